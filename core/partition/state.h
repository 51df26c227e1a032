/*
 * state.h - the insides of the core, shared by its files alone. Everything here is touched by the partition's loop
 * only.
 *
 *   core.c        life, roles, the end of a pass
 *   follow.c      reading: the check of the checkpoint, records in offset order, the validity rule
 *   mastership.c  grant, claim, settle by a re-claim, being deposed
 *   handover.c    a mastership moves to another node (I9)
 *   continuity.c  delivery reports: contiguous or a gap
 *   apply.c       what a valid or a void record does to the store
 *   checkpoint.c  how far the store is, and whether it may be resumed (I8)
 *   admit.c       operations: queues by key, preconditions, commands, records
 *   answer.c      results, waiting for proof, deadlines
 *   upkeep.c      repairs, expiry, idle barriers, forgetting old ids and masterships
 */
#ifndef AFF_PARTITION_STATE_H
#define AFF_PARTITION_STATE_H

#include "base/alloc.h"
#include "partition/core.h"
#include "partition/mutants.h"

#include <assert.h>
#include <stdlib.h>

/* A key that somebody waits for or that has a record in flight. It exists no longer than that. */
struct aff_slot {
    struct aff_map_node node;
    struct aff_list queue;     /* of aff_op.link, in order of arrival */
    struct aff_list ready;     /* on core->ready when its first operation may start */
    struct aff_flight *flight; /* at most one record in flight per key (I4) */
    size_t key_len;
    unsigned char key[];
};

/* A record handed to the log whose fate is not known yet. */
struct aff_flight {
    struct aff_list link; /* on core->flights, in order of (epoch, seq) */
    enum aff_kind kind;
    struct aff_stamp stamp;
    struct aff_slot *slot; /* NULL: a control record */
    aff_bytes route; /* a CLAIM's; the core's */
    aff_bytes key, value, content_type, traceparent; /* live in the slot, in carried operations or in `owned` */
    int64_t expires_ms, event_ms, kept_offset, kept_time_ms;
    struct aff_list carried; /* operations that ride on it, in order */
    struct aff_op *writer;   /* the last of them that staged something: it gets the version */
    struct aff_list waiters; /* operations that wait for the proof that it gives (I5) */
    int64_t sent_ns; /* when it was handed over */
    bool reported;
    int64_t offset, time_ms; /* as reported */
    size_t weight;           /* bytes that the store may need for it */
    void *owned;
};

/* How far the giver of a hand-over is (handover.c). */
enum aff_give_step { AFF_GIVE_NONE, AFF_GIVE_DRAINING, AFF_GIVE_GONE, AFF_GIVE_BACK };

#define AFF_CORE_COMMIT_EVERY 10000 /* records in one transaction while catching up */

struct aff_core {
    struct aff_core_opts opts;
    struct aff_world w;
    enum aff_role role;
    char failure[256];
    char route_text[AFF_KEY_ROUTE_TEXT_MAX];
    aff_bytes route; /* as claims and checkpoints tell it: empty for the whole key */

    /* the log as read so far */
    struct aff_stamp cur;   /* of the last valid record */
    int64_t frontier;       /* every offset below is applied, or was found void (I4) */
    int64_t log_end;        /* as last heard */
    int64_t claim_offset;   /* of the last valid CLAIM, -1: none */
    int64_t last_time_ms;   /* log time of the last record read, AFF_NO_TIME: none */
    int64_t caught_up_ms;   /* age of this state (I8), see checkpoint.c; AFF_NO_TIME: not complete yet */
    int64_t mark_offset, mark_ms; /* what the age becomes once a record at or above the offset was read; -1: no mark */
    int64_t begun_boot_ns;  /* when reading from nothing began; only while caught_up_ms is AFF_NO_TIME */
    const char *misfit;     /* while opening: why the store is not of this log, unless the CLAIM is found */
    bool hole;              /* offsets were missing since `cur`: compaction took records */
    bool has_identity;
    unsigned char identity[AFF_IDENTITY_LEN];
    bool caught_up;         /* the last read reached the end */
    bool heard;             /* valid records of another incarnation came since the coordinator was told */
    int64_t end_asked_ns;   /* when the end was asked for once more, to take over; 0: it is not */

    /* reading */
    uint64_t ticket;
    bool reading;
    int64_t read_from;
    int64_t retry_read_ns;

    /* mastership */
    bool want_lead, granting, resigning, draining;
    struct aff_stamp own;   /* seq: of the last record handed to the log */
    bool interrupted;       /* another led since the last time that this node did, though it may not have known */
    bool claim_pending;     /* the CLAIM is due and not handed to the log yet */
    int claim_code;         /* why it was not, as logged */
    unsigned char claim_identity[AFF_IDENTITY_LEN];
    int64_t retry_claim_ns;

    /* hand-over */
    struct {
        enum aff_give_step step;
        uint32_t major; /* of the one that is to lead */
        int64_t until_ns;
    } give;
    struct {
        bool under_way;
        struct aff_go go;
        int64_t until_ns;
    } take;

    /* writes */
    struct aff_list flights;
    uint32_t flight_count;
    uint64_t flight_weight;
    struct aff_map slots;
    struct aff_list ready;
    uint32_t queued;
    bool stalled;           /* the log took no more: wait for a report, or for a moment (others may have filled it) */
    int64_t retry_append_ns;
    int64_t refused_since_ns; /* since when it takes nothing; 0: it took the last */
    bool unsafe;            /* it takes nothing, because it is not as it must be (I0): nobody is to wait for it */
    bool stall_told;        /* that writes are refused for a record that is not reported was logged */
    unsigned barriers;      /* BARRIERs in flight */
    struct aff_map running; /* idempotency ids under way */

    /* answers */
    struct aff_list answers; /* results that leave after the next commit */
    struct aff_list proofs;  /* operations that wait for a record handed over after they came (I5) */
    struct aff_heap deadlines;

    /* upkeep */
    uint64_t dirty;
    int64_t first_dirty;    /* with dirty keys: no void record that is not repaired stands below */
    int64_t keep_from;      /* as told to the log */
    int64_t next_idle_ns;
    unsigned idle_step;
    int64_t next_expiry_ns, next_prune_ns;

    bool serves;            /* master, and what that stands on is committed: snapshots show it (I5) */
    bool changed;           /* the store has uncommitted changes */
    unsigned uncommitted;   /* records in them */
    struct aff_record scratch;
    struct aff_buf buf;
};

/* May one more record be handed over that does not have to be? */
static inline bool aff_core_may_append(const struct aff_core *core)
{
    return core->role == AFF_ROLE_MASTER && !core->resigning && !core->stalled &&
           core->flight_count < core->opts.window && core->give.step == AFF_GIVE_NONE;
}

/*
 * What is asked of it waits: it leads no more, and does not know yet who does; or all that the giver wrote is applied, and its CLAIM
 * is on the way. Others may read that CLAIM before its report comes here, and send on what they have.
 */
static inline bool aff_core_is_between(const struct aff_core *core)
{
    return core->give.step == AFF_GIVE_GONE || core->give.step == AFF_GIVE_BACK ||
           (core->take.under_way && core->role == AFF_ROLE_CLAIMING);
}

/* core.c */
void aff_core_set_role(struct aff_core *core, enum aff_role role);
void aff_core_fail(struct aff_core *core, const char *format, ...) AFF_PRINTF(2, 3);
void aff_core_publish(struct aff_core *core);
bool aff_core_commit(struct aff_core *core);
static inline int64_t aff_core_now(const struct aff_core *core)
{
    return aff_mono_ns(core->w.clock);
}

/* follow.c */
void aff_core_read_on(struct aff_core *core, bool wait);
void aff_core_claim_stands(struct aff_core *core, struct aff_flight *claim);
void aff_core_rebuild(struct aff_core *core, const char *why);

/* mastership.c */
void aff_core_try_lead(struct aff_core *core);
void aff_core_claim(struct aff_core *core, uint32_t major);
void aff_core_append_claim(struct aff_core *core);
void aff_core_become_master(struct aff_core *core, bool valid, const unsigned char *identity_before);
void aff_core_settle(struct aff_core *core, const char *why);
void aff_core_depose(struct aff_core *core, aff_epoch newer, const char *why);
void aff_core_lay_down(struct aff_core *core);

/* handover.c */
void aff_core_say_go(struct aff_core *core);
void aff_core_give_seen(struct aff_core *core, struct aff_stamp stamp);
void aff_core_give_ends_by_lead(struct aff_core *core);
void aff_core_take_on(struct aff_core *core);
bool aff_core_take_follows(const struct aff_core *core, const struct aff_flight *claim);
void aff_core_handover_granted(struct aff_core *core);
void aff_core_handover_leads(struct aff_core *core);
void aff_core_handover_resigned(struct aff_core *core);
void aff_core_handover_void(struct aff_core *core);
void aff_core_handover_fails(struct aff_core *core);
int64_t aff_core_handover_tick(const struct aff_core *core);
void aff_core_handover_late(struct aff_core *core);

/* continuity.c */
void aff_core_advance(struct aff_core *core);
bool aff_core_confirm(struct aff_core *core, struct aff_flight *f, int64_t offset, int64_t time_ms);
struct aff_flight *aff_core_find_flight(struct aff_core *core, struct aff_stamp stamp);

/* apply.c */
bool aff_core_apply_valid(struct aff_core *core, const struct aff_record *rec);
bool aff_core_apply_void(struct aff_core *core, const struct aff_record *rec);
enum aff_outcome aff_core_fate(struct aff_core *core, struct aff_stamp stamp);
bool aff_core_end_epoch(struct aff_core *core, int64_t time_ms);
bool aff_core_store_ok(struct aff_core *core, int code);
bool aff_core_idem_forget(struct aff_core *core);
int aff_core_epoch_known(struct aff_core *core, aff_bytes claim_key);

/* checkpoint.c */
int aff_core_checkpoint_save(struct aff_core *core);
/* 1 loaded, 0 none; AFF_EINVAL: it cannot be read; AFF_ECORRUPT: it is another partition's; or an error of the
 * store. */
int aff_core_checkpoint_load(struct aff_core *core);
int64_t aff_core_age_limit(const struct aff_core *core);
void aff_core_age_mark(struct aff_core *core);
bool aff_core_first_reading_ok(const struct aff_core *core);
bool aff_core_age_ok(struct aff_core *core, int64_t offset, int64_t time_ms);
bool aff_core_age_own(struct aff_core *core, int64_t time_ms);

/* admit.c */
void aff_core_pump(struct aff_core *core);
void aff_core_slot_settled(struct aff_core *core, struct aff_slot *slot);
struct aff_slot *aff_core_slot(struct aff_core *core, aff_bytes key, bool create);
struct aff_flight *aff_core_flight_new(struct aff_core *core, enum aff_kind kind, struct aff_slot *slot);
void aff_core_flight_free(struct aff_core *core, struct aff_flight *f);
int aff_core_flight_send(struct aff_core *core, struct aff_flight *f);
void aff_core_stalled(struct aff_core *core, bool stalled);
void aff_core_flight_record(const struct aff_flight *f, struct aff_record *rec);
void aff_core_refuse_queued(struct aff_core *core, int code);
void aff_core_refuse_unsafe(struct aff_core *core);

/* answer.c */
void aff_core_answer(struct aff_core *core, struct aff_op *op, int code, enum aff_outcome outcome);
void aff_core_answer_proven(struct aff_core *core, struct aff_op *op);
void aff_core_answers_out(struct aff_core *core, bool committed);
void aff_core_refuse_waiters(struct aff_core *core, struct aff_list *waiters, int code);
void aff_core_release_waiters(struct aff_core *core, struct aff_list *waiters);
void aff_core_expire_deadlines(struct aff_core *core);
void aff_core_flight_gone(struct aff_core *core, struct aff_flight *f, bool for_ever);
bool aff_core_replay(struct aff_core *core, struct aff_op *op);
void aff_core_release(struct aff_core *core, struct aff_op *op);

/* upkeep.c */
void aff_core_repair(struct aff_core *core);
void aff_core_barrier(struct aff_core *core);
bool aff_core_barrier_due(const struct aff_core *core);
void aff_core_expire_keys(struct aff_core *core);
void aff_core_plan_expiry(struct aff_core *core, int64_t expires_ms);
void aff_core_idle_barrier(struct aff_core *core);
void aff_core_plan_idle(struct aff_core *core);
void aff_core_prune(struct aff_core *core);

#endif
