/*
 * op.h - one request to a partition: what is asked, when it must be answered, and what became of it.
 *
 * Whoever makes an operation (an HTTP exchange, later a peer) owns its memory and everything that it points to, and hands it
 * to the partition by submit. From then on the partition owns it until `release`. Exactly one `done` comes, then exactly
 * one `release` (in the same call or later: a write whose deadline passed is answered at once and released when the log has
 * settled it). Both come on the partition's loop.
 */
#ifndef AFF_PARTITION_OP_H
#define AFF_PARTITION_OP_H

#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "changelog/record.h"
#include "store/store.h"

struct aff_op;

enum aff_op_kind {
    AFF_OP_PUT,     /* replace the value; never merged with another operation */
    AFF_OP_DELETE,  /* the same */
    AFF_OP_COMMAND, /* application code that reads the value and may stage one write */
    AFF_OP_BARRIER, /* no key: done when a strict read may be answered from a snapshot taken after it (I5) */
};

/* An entity tag, taken apart: "<identity8>-<partition>-<offset>". */
struct aff_etag {
    uint32_t identity8; /* first four bytes of the log's identity */
    uint32_t partition;
    int64_t offset;
};

struct aff_conditions {
    bool match_any;      /* If-Match: * */
    bool none_match_any; /* If-None-Match: * */
    bool has_match;      /* an If-Match with tags came, even when none of them could be ours */
    const struct aff_etag *match, *none_match;
    size_t match_count, none_match_count;
};

/* What a command wants written. Views live until the operation is released. */
struct aff_staged {
    enum { AFF_STAGE_NOTHING, AFF_STAGE_PUT, AFF_STAGE_DELETE } what;
    aff_bytes value;
    aff_bytes content_type;
    int64_t ttl_ms;    /* 0: the keyspace's default */
    bool keeps_expiry; /* of the value that was read; `ttl_ms` does not count */
};

enum aff_outcome {
    AFF_OUTCOME_NONE,        /* a read, a refusal or a replay: nothing was to be written by this request */
    AFF_OUTCOME_COMMITTED,   /* in the log, valid for ever, applied here */
    AFF_OUTCOME_NOT_APPLIED, /* provably not in the log, now and for ever */
    AFF_OUTCOME_UNKNOWN,     /* can be looked up later by the stamp */
};

struct aff_result {
    int code; /* 0 or AFF_E...; AFF_EREFUSED: the command refused with `status`, `problem` and `detail` */
    enum aff_outcome outcome;
    bool created;            /* PUT: the key did not exist before */
    bool replayed;           /* the answer of an earlier request with the same idempotency id */
    bool replay_cut;         /* replayed, and its reply was too long to be kept */
    bool unchanged;          /* a patch left the value as it is: `version` is the value's */
    bool versioned;          /* `version` is this request's own record or the replayed one's */
    struct aff_version version;
    bool stamped;            /* handed to the log under `stamp` */
    struct aff_stamp stamp;
    uint16_t status;         /* HTTP status a command chose or the replayed one; 0: the default */
    aff_bytes reply;         /* body and media type of a command's answer; live until release */
    aff_bytes reply_type;
    char problem[64];        /* type of a command's refusal */
    const char *title;       /* and its title; NULL: none. Constant */
    char detail[256];
};

struct aff_op {
    /* ---- filled by the requester ---- */
    enum aff_op_kind kind;
    aff_bytes key;
    aff_bytes value; /* PUT */
    aff_bytes content_type;
    int64_t ttl_ms;     /* 0: the keyspace's default */
    int64_t expires_ms; /* PUT: rather at this time, by the wall clock; AFF_NO_TIME: ttl_ms counts */
    int64_t event_ms;   /* AFF_NO_TIME: none */
    aff_bytes traceparent;
    struct aff_conditions conditions;
    bool alone;      /* COMMAND: shares its record with no other operation, like PUT */
    bool identified; /* an Idempotency-Key came: `id` and `request` count */
    struct aff_digest id, request;
    int64_t deadline_ns; /* monotonic; 0: none */
    /*
     * COMMAND: runs on the partition's loop on the key's present value (NULL: no such key), which may be the staged one of
     * a command before it in the same record. Fills `staged` and the reply fields of op->result. 0, AFF_EREFUSED or another code:
     * then nothing of it is written. May run again when the log did not take a first run's record, so it keeps no state.
     */
    int (*run)(struct aff_op *op, const struct aff_item *current, struct aff_staged *staged);
    void (*done)(struct aff_op *op);    /* op->result is complete */
    void (*release)(struct aff_op *op); /* the partition has forgotten it */

    struct aff_result result;

    /* ---- the partition's own ---- */
    struct aff_list link;           /* on its key's queue, its flight's list or the list of waiters */
    struct aff_heap_node deadline;  /* on the heap of deadlines */
    struct aff_map_node running;    /* among the idempotency ids that are under way */
    struct aff_slot *slot;          /* the key that it is queued on */
    struct aff_flight *flight;      /* the record that carries it */
    bool wrote;                     /* it staged something in the record that carries it */
    void *owned;                    /* memory behind result.reply of a replay; `done` may take it over, and free it */
    enum {
        AFF_OP_NEW,
        AFF_OP_QUEUED,    /* waits for its key */
        AFF_OP_CARRIED,   /* its effect, or what it was computed on, is in a record in flight */
        AFF_OP_WAITING,   /* its result is computed and waits for a proof of mastership (I5) */
        AFF_OP_ANSWERING, /* its result stands; done and release come with the next flush */
        AFF_OP_LEFT,      /* answered at its deadline; release comes when the log has settled it */
    } state;
};

static inline void aff_op_init(struct aff_op *op, enum aff_op_kind kind)
{
    memset(op, 0, sizeof *op);
    op->kind = kind;
    op->event_ms = op->expires_ms = AFF_NO_TIME;
    aff_list_init(&op->link);
}

/* As it was before it was submitted, to be submitted again; after its release. */
static inline void aff_op_renew(struct aff_op *op)
{
    size_t filled = offsetof(struct aff_op, result);

    memset((char *)op + filled, 0, sizeof *op - filled);
    aff_list_init(&op->link);
}

#endif
