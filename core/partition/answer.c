/*
 * answer.c - results on their way out. An answer leaves after the commit of what it rests on (core.c, flush); a result
 * that no record of its own proves waits for a lease or for a record handed to the log after it came (I5).
 */
#include "partition/state.h"

void aff_core_release(struct aff_core *core, struct aff_op *op)
{
    if (op->identified && op->running.key.data)
        aff_map_remove(&core->running, &op->running);
    op->running.key.data = NULL;
    free(op->owned);
    op->owned = NULL;
    op->release(op);
}

/* The result stands; it leaves with the next flush. The operation is on no other list. */
void aff_core_answer(struct aff_core *core, struct aff_op *op, int code, enum aff_outcome outcome)
{
    assert(op->state != AFF_OP_ANSWERING && op->state != AFF_OP_LEFT); /* I10 */
    op->result.code = code;
    op->result.outcome = outcome;
    if (outcome != AFF_OUTCOME_COMMITTED)
        op->result.versioned = op->result.created = false;
    aff_heap_remove(&core->deadlines, &op->deadline);
    aff_list_remove(&op->link);
    op->state = AFF_OP_ANSWERING;
    op->flight = NULL;
    aff_list_append(&core->answers, &op->link);
}

/*
 * The store did not commit: what is in the log is there, but this replica cannot say more than "unknown". A replay too:
 * what it repeats may just have been applied.
 */
static void uncommit(struct aff_result *r)
{
    bool written = r->outcome == AFF_OUTCOME_COMMITTED;

    if (r->outcome == AFF_OUTCOME_NOT_APPLIED || r->outcome == AFF_OUTCOME_UNKNOWN)
        return;
    r->code = written ? AFF_EUNKNOWN : AFF_EIO;
    r->outcome = written ? AFF_OUTCOME_UNKNOWN : AFF_OUTCOME_NOT_APPLIED;
    r->versioned = r->created = r->replayed = false;
}

void aff_core_answers_out(struct aff_core *core, bool committed)
{
    struct aff_list out, *node;

    aff_list_init(&out);
    aff_list_splice(&out, &core->answers);
    while ((node = aff_list_take(&out))) {
        struct aff_op *op = aff_container_of(node, struct aff_op, link);

        if (!committed)
            uncommit(&op->result);
        op->done(op); /* I10: once */
        aff_core_release(core, op);
    }
}

/* ---- proofs of mastership (I5) ---- */

static bool lease_holds(const struct aff_core *core)
{
    bool leads = core->role == AFF_ROLE_MASTER || core->role == AFF_ROLE_SETTLING;
    int64_t until = !leads ? 0 : core->w.coordinator->lease_until(core->w.coordinator, aff_epoch_major(core->own.epoch));

    return until > aff_boot_ns(core->w.clock);
}

/* op->result is computed on confirmed state. It may leave if the lease holds now, that is after the state was read. */
void aff_core_answer_proven(struct aff_core *core, struct aff_op *op)
{
    if (lease_holds(core) || AFF_WEAK(core, READ)) {
        aff_core_answer(core, op, op->result.code, op->result.outcome);
        return;
    }
    op->state = AFF_OP_WAITING;
    if (AFF_WEAK(core, JOIN) && !aff_list_empty(&core->flights))
        aff_list_append(&aff_container_of(core->flights.prev, struct aff_flight, link)->waiters, &op->link);
    else
        aff_list_append(&core->proofs, &op->link);
}

void aff_core_release_waiters(struct aff_core *core, struct aff_list *waiters)
{
    struct aff_list *node;

    while ((node = aff_list_take(waiters))) {
        struct aff_op *op = aff_container_of(node, struct aff_op, link);

        aff_core_answer(core, op, op->result.code, op->result.outcome);
    }
}

void aff_core_refuse_waiters(struct aff_core *core, struct aff_list *waiters, int code)
{
    struct aff_list *node;

    while ((node = aff_list_take(waiters)))
        aff_core_answer(core, aff_container_of(node, struct aff_op, link), code, AFF_OUTCOME_NOT_APPLIED);
}

/* ---- records that were not found ---- */

/*
 * `for_ever`: the record is certainly not in the log, or void. Otherwise nobody here can tell, and its writers hear
 * that. Who rode on it without writing is not applied in any case; reads that waited for it need another proof.
 */
void aff_core_flight_gone(struct aff_core *core, struct aff_flight *f, bool for_ever)
{
    struct aff_list *node;

    while ((node = aff_list_take(&f->carried))) {
        struct aff_op *op = aff_container_of(node, struct aff_op, link);

        if (op->state == AFF_OP_LEFT)
            aff_core_release(core, op);
        else if (for_ever || !op->wrote)
            aff_core_answer(core, op, AFF_EVOID, AFF_OUTCOME_NOT_APPLIED);
        else
            aff_core_answer(core, op, AFF_EUNKNOWN, AFF_OUTCOME_UNKNOWN);
    }
    aff_list_splice(&core->proofs, &f->waiters);
    aff_core_flight_free(core, f);
}

/* ---- deadlines ---- */

/* Written to the log and not settled: the client hears "unknown" and can look it up; the flight keeps the operation. */
static void leave(struct aff_op *op)
{
    op->state = AFF_OP_LEFT;
    op->result.code = AFF_EUNKNOWN;
    op->result.outcome = AFF_OUTCOME_UNKNOWN;
    op->done(op);
}

static void too_late(struct aff_core *core, struct aff_op *op)
{
    struct aff_slot *slot = op->slot;

    if (op->state == AFF_OP_CARRIED && op->wrote) {
        leave(op);
        return;
    }
    if (op->state == AFF_OP_QUEUED)
        core->queued--;
    op->slot = NULL;
    aff_core_answer(core, op, AFF_ETIMEDOUT, AFF_OUTCOME_NOT_APPLIED);
    if (slot)
        aff_core_slot_settled(core, slot);
}

void aff_core_expire_deadlines(struct aff_core *core)
{
    struct aff_heap_node *node;
    int64_t now = aff_core_now(core);

    while ((node = aff_heap_min(&core->deadlines)) && node->key <= now) {
        struct aff_op *op = aff_container_of(node, struct aff_op, deadline);

        aff_heap_remove(&core->deadlines, node);
        too_late(core, op);
    }
}
