/*
 * continuity.c - delivery reports. A report whose offset directly follows the one before proves that nothing foreign
 * stands in between, so no newer claim can: the write is valid for ever and may be acknowledged (I3). At a gap the log
 * is read and the validity rule decides.
 */
#include "partition/state.h"

struct aff_flight *aff_core_find_flight(struct aff_core *core, struct aff_stamp stamp)
{
    aff_list_each (node, &core->flights) {
        struct aff_flight *f = aff_container_of(node, struct aff_flight, link);

        if (aff_stamp_same_owner(f->stamp, stamp) && f->stamp.seq == stamp.seq)
            return f;
    }
    return NULL;
}

/* ---- confirmed ---- */

/* What the commands and writes that rode on the record are answered with. */
static void answer_carried(struct aff_core *core, struct aff_flight *f, const struct aff_record *rec)
{
    struct aff_list *node;

    while ((node = aff_list_take(&f->carried))) {
        struct aff_op *op = aff_container_of(node, struct aff_op, link);
        op->flight = NULL;
        if (op->state == AFF_OP_LEFT) {
            aff_core_release(core, op);
            continue;
        }
        if (op == f->writer) {
            op->result.versioned = true;
            op->result.version = (struct aff_version){ rec->offset, rec->time_ms, rec->expires_ms, rec->event_ms };
        }
        aff_core_answer(core, op, op->result.code, op->wrote ? AFF_OUTCOME_COMMITTED : AFF_OUTCOME_NONE);
    }
}

/*
 * The flight's record is in the log at `offset`, valid, and everything below is applied (I3, I4). False: the core has
 * failed, or begins anew; every flight was answered as unknown.
 */
bool aff_core_confirm(struct aff_core *core, struct aff_flight *f, int64_t offset, int64_t time_ms)
{
    assert(offset >= core->frontier || AFF_WEAK(core, ACK)); /* I4 */
    if (core->role == AFF_ROLE_MASTER && !aff_core_age_own(core, time_ms)) {
        aff_core_rebuild(core, "the process stood still before it led, for longer than tombstones live");
        return false;
    }
    aff_core_flight_record(f, &core->scratch);
    core->scratch.offset = offset;
    core->scratch.time_ms = time_ms;
    if (!aff_core_apply_valid(core, &core->scratch))
        return false;
    answer_carried(core, f, &core->scratch);
    aff_core_release_waiters(core, &f->waiters);
    aff_core_flight_free(core, f);
    return true;
}

/* Is it the own record right after the last valid one (I2)? Else it was passed over, and a copy of it is reported. */
static bool follows(const struct aff_core *core, const struct aff_flight *f)
{
    unsigned weak = 0; /* the weakenings under which numbers do not follow by design */

    weak += AFF_WEAK(core, DUP);
    weak += AFF_WEAK(core, CUT);
    weak += AFF_WEAK(core, ACK);
    weak += AFF_WEAK(core, SETTLE);
    return weak > 0 || (aff_stamp_same_owner(core->cur, f->stamp) && f->stamp.seq == core->cur.seq + 1);
}

static void confirm_contiguous(struct aff_core *core, struct aff_flight *f)
{
    struct aff_stamp stamp = f->stamp;
    int64_t offset = f->offset, time_ms = f->time_ms;

    assert(offset == core->frontier || AFF_WEAK(core, ACK)); /* I3 */
    assert(follows(core, f)); /* I2 */
    core->uncommitted++;
    if (!aff_core_confirm(core, f, offset, time_ms))
        return;
    core->cur = stamp;
    core->hole = false;
    core->frontier = offset + 1;
    core->last_time_ms = time_ms;
}

/* Takes reports in order as far as they prove something. */
void aff_core_advance(struct aff_core *core)
{
    struct aff_list *node;

    while (core->role == AFF_ROLE_MASTER && !core->reading && (node = aff_list_first(&core->flights))) {
        struct aff_flight *f = aff_container_of(node, struct aff_flight, link);

        if (!f->reported)
            return;
        if ((f->offset == core->frontier && follows(core, f)) || AFF_WEAK(core, ACK)) {
            confirm_contiguous(core, f);
        } else if (f->offset <= core->frontier) {
            aff_core_settle(core, "a report names an offset that holds something else");
        } else {
            if (AFF_WEAK(core, ORDER)) {
                aff_core_flight_record(f, &core->scratch);
                core->scratch.offset = f->offset;
                core->scratch.time_ms = f->time_ms;
                aff_core_apply_valid(core, &core->scratch);
            }
            aff_core_read_on(core, true);
        }
    }
}

/* ---- reports ---- */

/* Certainly not in the log: those who wait for it get their answer now; the number it used up is settled by a
 * re-claim. */
static void refused_by_log(struct aff_core *core, struct aff_flight *f)
{
    aff_core_flight_gone(core, f, true);
    aff_core_settle(core, "the log refused a record");
}

static void report_trouble(struct aff_core *core, struct aff_flight *f, int status)
{
    if (AFF_WEAK(core, SETTLE) && core->role == AFF_ROLE_MASTER) {
        aff_core_flight_gone(core, f, true);
        return;
    }
    if (status == AFF_EVOID)
        refused_by_log(core, f);
    else
        aff_core_settle(core, status == 0 ? "a record stands at an unknown offset" : "a record's outcome is unknown");
}

void aff_core_report(struct aff_core *core, const struct aff_delivery_report *report)
{
    struct aff_stamp stamp = { core->own.epoch, core->own.nonce, report->seq };
    struct aff_flight *f = core->own.epoch ? aff_core_find_flight(core, stamp) : NULL;

    if (core->stalled)
        aff_core_stalled(core, false);
    if (!f)
        return; /* found by reading before its report came */
    if (report->status != 0 || report->offset < 0) {
        report_trouble(core, f, report->status);
        return;
    }
    f->reported = true;
    f->offset = report->offset;
    f->time_ms = report->time_ms;
    if (report->offset >= core->log_end)
        core->log_end = report->offset + 1;
    if (f->kind == AFF_KIND_CLAIM && AFF_WEAK(core, CUT) && core->role == AFF_ROLE_CLAIMING) {
        core->cur = f->stamp;
        core->frontier = f->offset + 1;
        memcpy(core->identity, core->claim_identity, AFF_IDENTITY_LEN);
        aff_core_flight_free(core, f);
        aff_core_become_master(core, true, NULL);
        return;
    }
    if (aff_core_take_follows(core, f)) {
        aff_core_claim_stands(core, f);
        return;
    }
    aff_core_advance(core);
}
