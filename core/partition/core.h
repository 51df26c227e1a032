/*
 * core.h - claim and continuity: the state machine of one partition (doc/protocol.md). Pure: an event in, effects out
 * through world.h; no I/O, no clock of its own, no thread.
 *
 * Events are the functions below. After one or many of them the caller runs aff_core_flush() once per pass: it commits what was
 * applied, then answers, then appends what is due (barriers for waiting reads, repairs). No answer leaves before the commit.
 */
#ifndef AFF_PARTITION_CORE_H
#define AFF_PARTITION_CORE_H

#include "partition/op.h"
#include "partition/world.h"

struct aff_core;

struct aff_core_opts {
    const char *keyspace;   /* for log lines and errors */
    uint32_t index;         /* of the partition */
    uint32_t partitions;    /* count of the keyspace, part of the checkpoint (I8) */
    const struct aff_key_route *route; /* fixed for life as the count is, and checked with it; NULL: the whole key. Outlives the core */
    /* The partition of the bytes of a key that the route names. NULL: records are not asked where they belong. */
    uint32_t (*place)(aff_bytes routed, uint32_t partitions);
    uint64_t nonce;         /* of the incarnation; 0: taken from entropy */
    int64_t ttl_ms;         /* default lifetime of a value; 0: for ever */
    int64_t compaction_lag_ms;
    int64_t tombstone_retention_ms;
    /*
     * A BARRIER that often, so that others see that the master lives; before this node takes over, it reads the end once more.
     * 0: 1, 10, 60 s after the claim, then every lag / 6.
     */
    int64_t heartbeat_ms;
    int64_t stall_ms;       /* a record not reported for so long: new writes are refused (AFF_ESTALLED); 0: never */
    uint32_t window;        /* records handed to the log and not reported; 0: 256 */
    uint32_t queue;         /* operations waiting, all keys together; 0: 4096 */
#ifdef AFF_MUTANTS
    unsigned mutants;       /* simulator only: weakenings of the protocol that its checks must find (mutants.h) */
#endif
};

int aff_core_new(const struct aff_core_opts *opts, const struct aff_world *world, struct aff_core **ret_core);
/* Answers whatever is still waiting (not applied, or unknown when it was handed to the log), then forgets it all. */
struct aff_core *aff_core_free(struct aff_core *core);

/* ---- events ---- */

void aff_core_start(struct aff_core *core);                     /* once: loads the checkpoint, begins to read */
void aff_core_lead(struct aff_core *core);                      /* the coordinator wants this node to lead */
void aff_core_resign(struct aff_core *core);                    /* stop leading, answer what waits, go on as a standby */
/* The answer to request_epoch, or to gave(false). A master that has a lower one claims anew. */
void aff_core_granted(struct aff_core *core, uint32_t major);
void aff_core_submit(struct aff_core *core, struct aff_op *op); /* `done` may come inside the call */
void aff_core_report(struct aff_core *core, const struct aff_delivery_report *report);
bool aff_core_record(struct aff_core *core, uint64_t ticket, const struct aff_record *rec); /* false: skip the rest */
void aff_core_read_done(struct aff_core *core, uint64_t ticket, int status, int64_t next, int64_t start, int64_t end);
void aff_core_tick(struct aff_core *core);                      /* time has come (aff_core_next_tick) */
void aff_core_drain(struct aff_core *core);                     /* refuse new writes; those under way finish */

/* ---- events of a hand-over (handover.c) ---- */

/* Another node is to lead, by `major`. Ends with coordinator->gave(), unless it is deposed or resigns before. */
/* False: not from here; gave() was called, or another hand-over is under way. */
bool aff_core_give(struct aff_core *core, uint32_t major);
void aff_core_went(struct aff_core *core, uint32_t major, bool taken); /* the answer to net->go() */
/*
 * Another node gives to this one. Ends with net->taken(), possibly at once; one that comes again is answered with the first. If the
 * deadline passes while its CLAIM is under way the answer is false, and true comes too should it count.
 */
void aff_core_take(struct aff_core *core, const struct aff_go *go, int64_t deadline_ns);

/* End of a pass. True when there is more to do at once. */
bool aff_core_flush(struct aff_core *core);

/* ---- questions ---- */

int64_t aff_core_next_tick(const struct aff_core *core); /* monotonic ns */
bool aff_core_idle(const struct aff_core *core);         /* nobody waits, neither for a turn nor for a record in flight */
void aff_core_standing(const struct aff_core *core, struct aff_standing *ret_standing);

/* What became of the record with this stamp: COMMITTED, NOT_APPLIED, UNKNOWN (still under way, or this replica cannot
 * tell yet), NONE (no such mastership was ever here). Only meaningful on a master. */
enum aff_outcome aff_core_outcome(struct aff_core *core, struct aff_stamp stamp);

#endif
