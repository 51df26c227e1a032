/*
 * router.h - from a key to its partition, and from there to the node that leads it and the loop that owns it there.
 *
 * The HTTP layer sees only this: spaces (keyspaces as they are served), strict reads from a snapshot on the caller's own
 * loop, and calls that go to the partition's loop by mailbox and come back.
 *
 * Threads. The router and its spaces are made before the loops run and do not change after; `struct aff_port` belongs to
 * one loop and every function that takes one is called there.
 */
#ifndef AFF_ROUTER_ROUTER_H
#define AFF_ROUTER_ROUTER_H

#include "base/key_route.h"
#include "base/loop.h"
#include "partition/finder.h"
#include "partition/op.h"
#include "partition/world.h"
#include "router/partitioner.h"
#include "router/trip.h"

#include <affinity/keyspace.h>

struct aff_router;
struct aff_port; /* a loop's door to the router: its snapshot readers */

/* A keyspace as it is served. Constant while the node runs. */
struct aff_space {
    const char *name;
    uint32_t partitions;
    unsigned rest;            /* AFF_REST_... */
    bool require_match;       /* writes must be conditional (428) */
    uint64_t max_value;       /* bytes; a longer value is 413 */
    int64_t ttl_ms;           /* default lifetime, 0: for ever */
    const aff_command *commands; /* ends with a NULL name; may be NULL */
    const struct aff_finder *indexes; /* as its partitions have them; NULL: none */
    struct aff_router *router;
    void *parts; /* the router's own */
    struct aff_key_route route; /* what decides on the partition of a key */
};

const struct aff_space *aff_router_space(const struct aff_router *router, aff_bytes name); /* NULL: no such keyspace */
const struct aff_space *aff_router_space_at(const struct aff_router *router, size_t index); /* NULL: past the last */
const aff_command *aff_space_command(const struct aff_space *space, aff_bytes name);       /* NULL: no such command */
/* The partition that a key belongs to. */
uint32_t aff_space_partition(const struct aff_space *space, aff_bytes key);

/* ---- reads on the caller's loop ---- */

struct aff_found {
    bool exists;
    struct aff_item item;    /* when it exists; views live until aff_port_done() */
    uint32_t partition;
    uint32_t identity8;      /* of the partition's log, for the ETag */
};

/*
 * A strict read (I5) from this loop's snapshot, without leaving the loop. 0 with ret_found filled; AFF_EAGAIN: it cannot be answered
 * at once, for there is no lease or another node leads, so ask by aff_port_read(); AFF_ENOMASTER: nobody leads, and nobody is waited
 * for. After 0 the caller must call aff_port_done() before its handler returns.
 */
int aff_port_get(struct aff_port *port, const struct aff_space *space, aff_bytes key, struct aff_found *ret_found);
/* The read after an answered barrier of this node's partition: no lease is asked for. AFF_ENOMASTER: the mastership ended meanwhile. */
int aff_port_get_settled(struct aff_port *port, const struct aff_space *space, aff_bytes key, struct aff_found *ret_found);
/*
 * What this node's copy has, whatever its role: a state that was current once. 0, as above, or a failure of the store. While a
 * copy is rebuilt it goes back to the log's beginning, and comes forward again.
 */
int aff_port_get_local(struct aff_port *port, const struct aff_space *space, aff_bytes key, struct aff_found *ret_found);
void aff_port_done(struct aff_port *port);

/* What a read of this node's copy must have seen at least (standby.h); one of the two. */
struct aff_bound {
    int64_t after;      /* the record at this offset; -1: no matter */
    int64_t max_age_ns; /* all that was answered longer ago than this */
};

/* ---- calls ---- */

/*
 * A request on its way to a partition. The caller embeds it, fills `op` (without done and release) and the callbacks, and owns
 * it again when `released` came. Both callbacks come on the port's loop, `answered` exactly once and then `released` exactly
 * once, possibly inside aff_port_call().
 */
struct aff_call {
    struct aff_op op;
    uint32_t partition; /* set by the router; for AFF_OP_BARRIER op.key names it, or the caller sets it and op.key.data is NULL */
    uint32_t identity8; /* set with the answer */
    struct aff_found found; /* of aff_port_read(), answered with 0; its views live until `answered` returns */
    void (*answered)(struct aff_call *call);
    void (*released)(struct aff_call *call);
    /* the router's own */
    struct aff_trip trip;
    struct aff_port *port;
    void *part;
    void *owned; /* memory behind the reply, until it is released */
    bool reads;  /* it is of aff_port_read() */
    struct aff_bound bound; /* of aff_port_read_bounded() */
    struct aff_list standby;
    bool goes_on; /* this answer is not the last */
    struct aff_msg to, done_msg, release_msg;
};
/*
 * To the partition, wherever it is led. In a cluster it waits while nobody leads, and follows who does, as long as it is provably not
 * applied; what may have been applied is sent again only when it changes nothing, or is identified, and is answered
 * AFF_EUNKNOWN otherwise.
 */
void aff_port_call(struct aff_port *port, const struct aff_space *space, struct aff_call *call);
/* To this node's partition and no other: AFF_ENOMASTER when it does not lead. */
void aff_port_call_here(struct aff_port *port, const struct aff_space *space, struct aff_call *call);
/*
 * A strict read, wherever the partition of the key is led: op.key and op.deadline_ns are filled, the rest is not used. Its code is
 * op.result.code; `answered` must not read from this port itself.
 */
void aff_port_read(struct aff_port *port, const struct aff_space *space, struct aff_call *call);
/* The same from this node's partition and no other. */
void aff_port_read_here(struct aff_port *port, const struct aff_space *space, struct aff_call *call);

/* "<keyspace>-<partition>-<E hex>-<N hex>-<S>": Affinity-Request-Id and the path of /outcome/. */
#define AFF_REQUEST_ID_MAX 128
size_t aff_request_id_print(const struct aff_space *space, uint32_t partition, struct aff_stamp stamp,
                            char out[AFF_REQUEST_ID_MAX]);
/* False: not such an id, or of a keyspace or partition that is not served here. */
bool aff_request_id_parse(const struct aff_router *router, aff_bytes text, const struct aff_space **ret_space,
                          uint32_t *ret_partition, struct aff_stamp *ret_stamp);

/* ---- commands (command.c): application functions as operations ---- */

struct aff_arena;

/* What an operation of kind COMMAND carries besides: embed it, fill it by aff_command_prepare(). */
struct aff_command_call {
    const struct aff_space *space;
    const aff_command *command;
    aff_bytes body, body_type;
    void *state; /* memory of the run: staged value, reply; freed by aff_command_fini() */
};
/* An operation of kind COMMAND is always embedded so: its carrier is found again by its place here. */
struct aff_patching;
struct aff_command_op {
    struct aff_call call;
    struct aff_command_call command;
    struct aff_patching *patching; /* instead of a command (patch.h); NULL: it is none */
};
/* Sets op->run so that it runs command->run. */
void aff_command_prepare(struct aff_command_op *op, const struct aff_space *space, const aff_command *command,
                         aff_bytes body, aff_bytes body_type);
void aff_command_fini(struct aff_command_op *op); /* after `released` */
/* Runs a read-only command on a found (or absent) value; result goes to op->call.op.result as if a partition had answered. */
void aff_command_read(struct aff_command_op *op, const struct aff_found *found);

/* ---- what health, metrics and /cluster show ---- */

/* Requests of a loop that nobody leads the partition of. Any thread. */
struct aff_port_waits {
    uint64_t now;     /* wait */
    uint64_t total;   /* waits that have begun; a request may wait more than once */
    uint64_t refused; /* found no room, or waited in vain */
};
void aff_port_waits(const struct aff_port *port, struct aff_port_waits *ret_waits);

struct aff_part_info {
    const struct aff_space *space;
    uint32_t partition;
    unsigned loop;
    enum aff_role role;
    bool serves, stands_by;
    int64_t applied, log_end;
    uint64_t dirty, in_flight, queued, committed, refused, unknown, repairs;
    uint64_t given, not_given, given_ns, taken, not_taken, taken_ns; /* hand-overs; see struct aff_partition_shared */
    aff_epoch epoch;
    uint32_t identity8;
    char failure[256];
};
/* Numbers as last published by the partition's loop; any thread. */
void aff_router_part_info(const struct aff_space *space, uint32_t partition, struct aff_part_info *ret_info);

#endif
