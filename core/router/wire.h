/*
 * wire.h - what nodes ask each other about partitions, as bytes (core/peer/peer.h carries them).
 *
 * Every question begins with the keyspace and the partition that it is about, every answer with a byte that says whether it was
 * answered there at all. Numbers are big-endian, byte strings have their length before them, fields stand in a fixed order. What stands
 * behind the last field that a node knows is skipped: a later version may add some; kinds are only ever added. Decoders take
 * nothing on trust: they are given what anybody may have sent.
 *
 * Pure; any thread.
 */
#ifndef AFF_ROUTER_WIRE_H
#define AFF_ROUTER_WIRE_H

#include "base/buf.h"
#include "coordinator/view.h"
#include "partition/handover.h"
#include "partition/op.h"
#include "router/router.h"

/* What is asked: `kind` of a peer question. Never renumbered. */
enum aff_wire_kind {
    AFF_WIRE_OP = 1,       /* an operation: PUT, DELETE, a command, a patch, a barrier */
    AFF_WIRE_GET = 2,      /* a strict read of a key */
    AFF_WIRE_INQUIRY = 3,  /* what became of a request */
    AFF_WIRE_GO = 4,       /* of a hand-over */
    AFF_WIRE_SCAN = 5,     /* some entries in order (scan) */
    AFF_WIRE_ASK = 6,      /* a question of an application */
    AFF_WIRE_POSITION = 7, /* how far the log is (standby) */
    AFF_WIRE_KINDS,
};

/* The first byte of an answer. */
enum aff_wire_answer {
    AFF_WIRE_ANSWERED = 0,  /* what was asked follows */
    AFF_WIRE_ELSEWHERE = 1, /* not led here; nothing was done. Who leads as far as is known there follows */
};

/*
 * The asker tells the other side a deadline so much later than the one of the request, and that side takes it off again: so the
 * answer of a partition that kept its deadline still finds somebody.
 */
enum { AFF_WIRE_GRACE_MS = 400 };

/* The longest question or answer; the frame around it has some bytes of its own. */
enum { AFF_WIRE_MAX = 4 * 1024 * 1024 - 256 };

/* ---- beginnings ---- */

bool aff_wire_put_about(struct aff_buf *to, const char *keyspace, uint32_t partition) AFF_MUST_USE;
/* False: it is cut short. The name is a view. */
bool aff_wire_take_about(struct aff_cursor *from, aff_bytes *ret_keyspace, uint32_t *ret_partition);

/* A node that leads, or is said to. */
struct aff_wire_leader {
    uint32_t epoch; /* major; 0: nobody is known */
    uint32_t incarnation;
    char name[AFF_NODE_NAME_MAX + 1];
};
bool aff_wire_put_leader(struct aff_buf *to, const struct aff_wire_leader *leader) AFF_MUST_USE;
bool aff_wire_take_leader(struct aff_cursor *from, struct aff_wire_leader *ret_leader);

/* ---- operations ---- */

enum { AFF_WIRE_ETAGS_MAX = 64, AFF_WIRE_TRACE_MAX = 255 };

/* What an operation of kind COMMAND is, besides its struct aff_op. */
struct aff_wire_form {
    bool patch;           /* a patch; else the command of that name */
    aff_bytes command;
    aff_bytes body, type; /* of the command or patch; `type` is a command's alone */
    bool merges, whole;   /* of a patch: RFC 7396; the answer has the value */
    uint16_t depth;
};
/* Room behind the conditions of an operation that was taken off the wire. */
struct aff_wire_etags {
    struct aff_etag match[AFF_WIRE_ETAGS_MAX], none_match[AFF_WIRE_ETAGS_MAX];
};
/* All but its last bytes, the value or the body, which follow as `*ret_tail`. `form` is for a COMMAND. */
bool aff_wire_put_op(struct aff_buf *to, const struct aff_op *op, const struct aff_wire_form *form,
                     aff_bytes *ret_tail) AFF_MUST_USE;
/* False: it cannot be read. Views stay views; `op` is initialised, and its deadline is not set. */
bool aff_wire_take_op(struct aff_cursor *from, struct aff_op *op, struct aff_wire_etags *etags, struct aff_wire_form *ret_form);

/* ---- results ---- */

/* All but the reply, which follows as `*ret_tail`. */
bool aff_wire_put_result(struct aff_buf *to, const struct aff_result *r, uint32_t identity8, aff_bytes *ret_tail) AFF_MUST_USE;
/* Reply, its type and the title are views; r->title is left NULL: it wants a NUL behind it. */
bool aff_wire_take_result(struct aff_cursor *from, struct aff_result *r, uint32_t *ret_identity8, aff_bytes *ret_title);

/* ---- values ---- */

/* A code, and with 0 what was found: all but the value itself, which follows as `*ret_tail`. Who asks knows the partition. */
bool aff_wire_put_found(struct aff_buf *to, int code, const struct aff_found *found, aff_bytes *ret_tail) AFF_MUST_USE;
bool aff_wire_take_found(struct aff_cursor *from, int *ret_code, struct aff_found *ret_found);

/* ---- a hand-over, an inquiry ---- */

bool aff_wire_put_go(struct aff_buf *to, const struct aff_go *go) AFF_MUST_USE;
bool aff_wire_take_go(struct aff_cursor *from, struct aff_go *ret_go);
bool aff_wire_put_stamp(struct aff_buf *to, struct aff_stamp stamp) AFF_MUST_USE;
struct aff_stamp aff_wire_take_stamp(struct aff_cursor *from);

#endif
