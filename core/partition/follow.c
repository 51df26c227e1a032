/*
 * follow.c - reading the log: first the check that the checkpoint fits it, then records in offset order under the
 * validity rule. Standbys, claimers and masters that read a gap all go through observe().
 */
#include "partition/state.h"

#include <inttypes.h>

enum { RETRY_READ_MS = 200 };

/* Asks for what comes next; `wait`: answer only when there is something. */
void aff_core_read_on(struct aff_core *core, bool wait)
{
    core->reading = true;
    core->retry_read_ns = INT64_MAX;
    core->read_from = core->role == AFF_ROLE_OPENING ? core->claim_offset : core->frontier;
    core->w.log->read(core->w.log, core->read_from, wait, ++core->ticket);
}

static void read_later(struct aff_core *core)
{
    core->reading = false;
    core->retry_read_ns = aff_core_now(core) + RETRY_READ_MS * AFF_NS_PER_MS;
}

/* ---- start: is the store a prefix of this log? ---- */

static void follow(struct aff_core *core)
{
    aff_core_set_role(core, AFF_ROLE_FOLLOWING);
    core->next_prune_ns = aff_core_now(core);
    core->begun_boot_ns = aff_boot_ns(core->w.clock);
    aff_core_read_on(core, false);
}

void aff_core_start(struct aff_core *core)
{
    int code;

    assert(core->role == AFF_ROLE_OPENING);
    code = aff_core_checkpoint_load(core);
    if (code == AFF_ECORRUPT) {
        aff_core_fail(core,
                      "the store's checkpoint is of another partition, of another partition count than %" PRIu32
                      ", or of another route; count and route are fixed for the life of a keyspace",
                      core->opts.partitions);
        return;
    }
    if (code == AFF_EINVAL) {
        aff_core_rebuild(core, "the checkpoint is not one of this release");
        return;
    }
    if (!aff_core_store_ok(core, code))
        return;
    if (code == 0) {
        follow(core);
    } else if (core->claim_offset < 0 || core->caught_up_ms == AFF_NO_TIME) {
        aff_core_rebuild(core, "the checkpoint is of a store that was never complete");
    } else {
        core->misfit = "the claim that the checkpoint names is not in the log";
        aff_core_read_on(core, false);
    }
}

/* Reads that were proven go to a snapshot that is taken after their answer: not to one of an empty store. */
static void take_back_reads(struct aff_core *core)
{
    aff_list_each (node, &core->answers) {
        struct aff_op *op = aff_container_of(node, struct aff_op, link);

        if (op->kind == AFF_OP_BARRIER && op->result.code == 0) {
            op->result.code = AFF_ENOMASTER;
            op->result.outcome = AFF_OUTCOME_NOT_APPLIED;
        }
    }
}

/* The store cannot be trusted to be a prefix of the log: it is thrown away and read anew. Nothing is lost: it is a
 * cache. */
void aff_core_rebuild(struct aff_core *core, const char *why)
{
    int code;

    aff_log(core->w.logger, WARN, "partition.rebuild", aff_f_str("keyspace", core->opts.keyspace),
            aff_f_int("partition", core->opts.index), aff_f_str("why", why), aff_f_int("applied", core->frontier));
    aff_core_handover_fails(core);
    if (core->role == AFF_ROLE_CLAIMING || core->role == AFF_ROLE_MASTER || core->role == AFF_ROLE_SETTLING)
        aff_core_lay_down(core); /* to lead again when it is read, if that is still wanted */
    take_back_reads(core);
    code = core->w.store->wipe(core->w.store);
    core->changed = false;
    core->uncommitted = 0;
    core->cur = (struct aff_stamp){ 0 };
    core->frontier = core->keep_from = 0;
    core->claim_offset = core->mark_offset = -1;
    core->caught_up_ms = core->last_time_ms = AFF_NO_TIME;
    core->hole = core->has_identity = core->caught_up = core->granting = core->reading = false;
    core->dirty = 0;
    if (aff_core_store_ok(core, code))
        follow(core);
}

/*
 * The CLAIM that the checkpoint names has a key of its own and stays in the log: finding it proves that it is that log. If it
 * is not there the end of the log says what to do, which comes with the end of the batch.
 */
static void check_claim(struct aff_core *core, const struct aff_record *rec)
{
    struct aff_claim claim;

    if (rec->offset != core->claim_offset || rec->kind != AFF_KIND_CLAIM || !aff_claim_decode(rec->value, &claim))
        return;
    if (!aff_stamp_same_owner(rec->stamp, core->cur) || memcmp(claim.identity, core->identity, AFF_IDENTITY_LEN) != 0)
        core->misfit = "the log is another one than the checkpoint's";
    else
        follow(core);
}

/* ---- records ---- */

static bool is_valid(const struct aff_core *core, const struct aff_record *rec)
{
    return rec->kind != AFF_KIND_FOREIGN && aff_stamp_valid(core->cur, rec->stamp);
}

static bool observe_valid(struct aff_core *core, const struct aff_record *rec)
{
    struct aff_flight *f = aff_core_find_flight(core, rec->stamp);

    if (!aff_stamp_same_owner(core->cur, rec->stamp) && !aff_core_end_epoch(core, rec->time_ms))
        return false; /* failed, and the flight is gone */
    core->cur = rec->stamp;
    core->hole = false;
    if (f && rec->kind != AFF_KIND_CLAIM)
        return aff_core_confirm(core, f, rec->offset, rec->time_ms);
    return aff_core_apply_valid(core, rec);
}

/* What a record that was read means for a node that claims or leads. False: stop reading this batch. */
static bool observe_rank(struct aff_core *core, const struct aff_record *rec, bool valid, const unsigned char *known)
{
    bool mine = aff_stamp_same_owner(rec->stamp, core->own);
    bool claiming = core->role == AFF_ROLE_CLAIMING || core->role == AFF_ROLE_SETTLING;
    aff_epoch rival = core->own.epoch + (AFF_WEAK(core, DUP) ? 1 : 0); /* from here on a claim defeats ours */

    if (claiming && mine && rec->kind == AFF_KIND_CLAIM) {
        if (valid || (AFF_WEAK(core, DUP) && rec->stamp.epoch == core->cur.epoch))
            aff_core_become_master(core, valid, known);
        else
            aff_core_depose(core, core->cur.epoch, "the claim is void");
        return false;
    }
    if (valid && !mine && ((claiming && rec->stamp.epoch >= rival) || core->role == AFF_ROLE_MASTER)) {
        aff_core_depose(core, rec->stamp.epoch, "a newer mastership stands in the log");
        return false;
    }
    core->interrupted |= valid && claiming && rec->stamp.nonce != core->opts.nonce;
    if (valid)
        aff_core_give_seen(core, rec->stamp);
    return true;
}

/* Of this incarnation and its present major epoch, whichever minor one. */
static bool is_own_mastership(const struct aff_core *core, struct aff_stamp stamp)
{
    return stamp.nonce == core->own.nonce && aff_epoch_major(stamp.epoch) == aff_epoch_major(core->own.epoch);
}

/* One record in offset order. False: the caller stops. */
static bool observe(struct aff_core *core, const struct aff_record *rec)
{
    unsigned char before[AFF_IDENTITY_LEN];
    /* what an own claim of this mastership told is not what the log told before */
    bool knew_identity = core->has_identity && !is_own_mastership(core, core->cur);
    bool valid = is_valid(core, rec), go_on;

    if (core->role != AFF_ROLE_MASTER && !aff_core_age_ok(core, rec->offset, rec->time_ms)) {
        aff_core_rebuild(core, "the checkpoint is older than tombstones live");
        return false;
    }
    assert(rec->offset >= core->frontier); /* I4 */
    memcpy(before, core->identity, sizeof before);
    if (rec->offset > core->frontier)
        core->hole = true;
    if (!(valid ? observe_valid(core, rec) : aff_core_apply_void(core, rec)))
        return false;
    core->heard |= valid && rec->stamp.nonce != core->opts.nonce;
    core->frontier = rec->offset + 1;
    core->last_time_ms = rec->time_ms;
    core->uncommitted++;
    go_on = observe_rank(core, rec, valid, knew_identity ? before : NULL);
    if (core->uncommitted >= AFF_CORE_COMMIT_EVERY)
        return aff_core_commit(core) && go_on;
    return go_on && core->role != AFF_ROLE_FAILED;
}

/* The own CLAIM stands at the frontier: what is there is known, and counts as read. The flight is gone after it. */
void aff_core_claim_stands(struct aff_core *core, struct aff_flight *claim)
{
    aff_core_flight_record(claim, &core->scratch);
    core->scratch.offset = claim->offset;
    core->scratch.time_ms = claim->time_ms;
    (void)observe(core, &core->scratch);
}

bool aff_core_record(struct aff_core *core, uint64_t ticket, const struct aff_record *rec)
{
    if (ticket != core->ticket || !core->reading)
        return false;
    if (core->role == AFF_ROLE_OPENING) {
        check_claim(core, rec);
        return false;
    }
    return rec->offset < core->frontier || observe(core, rec);
}

/* ---- the end of a batch ---- */

static bool log_is_whole(struct aff_core *core, int64_t start, int64_t end)
{
    if (end < core->frontier) {
        aff_core_fail(core, "the log ends at %" PRId64 " but the store has applied up to %" PRId64
                            ": the log lost records, or is another one; to accept the log as it is, delete the store",
                      end, core->frontier);
        return false;
    }
    if (start > core->read_from && core->read_from > 0) {
        aff_core_rebuild(core, "the log begins above the checkpoint");
        return false;
    }
    return true;
}

/*
 * A log that took longer for its answer than a master between two signs of life may have been away, and the master silent for
 * that reason: it is given time, as if it had been heard.
 */
static void tell_heard(struct aff_core *core)
{
    bool slow = core->end_asked_ns && aff_core_now(core) - core->end_asked_ns > core->opts.heartbeat_ms * AFF_NS_PER_MS;

    if (core->caught_up)
        core->end_asked_ns = 0;
    if (core->heard || (slow && core->caught_up))
        core->w.coordinator->heard(core->w.coordinator);
    core->heard = false;
}

static void after_batch(struct aff_core *core, int64_t next, int64_t end)
{
    if (next > core->frontier) {
        core->frontier = next; /* holes of compaction at the end of what was read */
        core->hole = true;
        core->changed = true;
    }
    core->caught_up = core->frontier >= end;
    tell_heard(core);
    if (core->caught_up && !aff_core_first_reading_ok(core)) {
        aff_core_rebuild(core, "it was read for longer than tombstones live");
        return;
    }
    if (core->caught_up && core->role != AFF_ROLE_MASTER)
        aff_core_age_mark(core);
    if (core->role == AFF_ROLE_FOLLOWING)
        aff_core_try_lead(core);
    aff_core_take_on(core);
    if (core->role == AFF_ROLE_MASTER) {
        core->reading = false;
        aff_core_advance(core);
    } else if (core->role != AFF_ROLE_FAILED) {
        aff_core_read_on(core, core->caught_up);
    }
}

void aff_core_read_done(struct aff_core *core, uint64_t ticket, int status, int64_t next, int64_t start, int64_t end)
{
    if (ticket != core->ticket || !core->reading)
        return;
    core->reading = false;
    if (status == AFF_ECORRUPT) {
        aff_core_fail(core, "the log is damaged at or above offset %" PRId64, core->frontier);
        return;
    }
    if (status != 0) {
        read_later(core);
        return;
    }
    core->log_end = end;
    if (core->role == AFF_ROLE_OPENING && end >= core->frontier) {
        aff_core_rebuild(core, core->misfit);
        return;
    }
    if (log_is_whole(core, start, end))
        after_batch(core, next, end);
}
