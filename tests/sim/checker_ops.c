/*
 * checker_ops.c - see checker_ops.h.
 */
#include "checker_ops.h"

#include "fake_store.h"
#include "faults.h"
#include "trace.h"

#include <inttypes.h>
#include <stdlib.h>

#define LATE_NS (20 * SIM_MS)
#define UNSAFE_PATIENCE_NS (10 * SIM_S)

static bool is_command(const struct sim_attempt *a)
{
    return a->call == SIM_DEPOSIT || a->call == SIM_WITHDRAW || a->call == SIM_PEEK;
}

static struct sim_key *key_of(const struct sim_attempt *a)
{
    return &a->sim->truth->keys[a->key];
}

/* Somebody was told of this state: nobody may be told of an older one from now on. */
static void know(struct sim_key *key, int state)
{
    if (state > key->seen)
        key->seen = state;
}

/* ---- conditions ---- */

static bool conditions_allow(const struct sim_attempt *a, const struct sim_state *s)
{
    const struct aff_conditions *c = &a->conditions;
    bool same = s->exists && s->item.version.offset == a->etag.offset;

    if ((c->match_any || c->has_match) && !s->exists)
        return false;
    if (c->has_match && !same)
        return false;
    return !s->exists || (!c->none_match_any && !(c->none_match_count > 0 && same));
}

static bool is_conditional(const struct sim_attempt *a)
{
    const struct aff_conditions *c = &a->conditions;

    return c->match_any || c->has_match || c->none_match_any || c->none_match_count > 0;
}

/* A tag with another identity (of a log that was not known yet) matches nothing; then any state will do. */
static bool tag_is_of_this_log(const struct sim_node *n, const struct sim_attempt *a)
{
    return a->etag.identity8 == aff_get_u32(n->standing.identity);
}

/* ---- records that count ---- */

static void check_id(struct sim *sim, struct sim_attempt *a, const struct sim_entry *e, const struct aff_record *rec)
{
    struct sim_request *r = a->request;
    const struct sim_attempt *other = r->valid[0] ? r->valid[0] : r->valid[1];
    bool carried = false;

    for (uint32_t i = 0; i < rec->idem_count; i++)
        carried = carried || aff_digest_equal(rec->idems[i].id, r->id);
    if (!carried)
        sim_violation(sim, "idempotency", "the record at %" PRId64 " lacks the id of attempt #%" PRIu32, e->view.offset,
                      a->id);
    if (other && e->view.time_ms - r->valid_ms < sim->profile.lag_ms)
        sim_violation(sim, "idempotency",
                      "attempt #%" PRIu32 " at %" PRId64 " doubles another one with its id, at %" PRId64, a->id,
                      e->view.offset, r->valid[0] ? r->valid[0]->valid_offset : r->valid[1]->valid_offset);
    r->valid[a->variant] = a;
    r->valid_ms = e->view.time_ms;
}

/* The attempt stands in the log for good. `before`: the state that it changed. */
static void attempt_counts(struct sim *sim, uint32_t id, const struct sim_entry *e, const struct aff_record *rec,
                           const struct sim_state *before)
{
    struct sim_attempt *a;

    if (id >= sim->clients->count) {
        sim_violation(sim, "I4", "the valid record at %" PRId64 " holds what nobody wrote", e->view.offset);
        return;
    }
    a = sim->clients->attempts[id];
    if (a->key != e->key)
        sim_violation(sim, "I4", "attempt #%" PRIu32 " landed on another key, at %" PRId64, id, e->view.offset);
    else if (a->valid_offset >= 0)
        sim_violation(sim, "I10", "attempt #%" PRIu32 " counts twice, at %" PRId64 " and %" PRId64, id, a->valid_offset,
                      e->view.offset);
    else if (a->done && !a->lost &&
             (a->result.outcome == AFF_OUTCOME_NOT_APPLIED || a->result.outcome == AFF_OUTCOME_NONE))
        sim_violation(sim, "I10", "attempt #%" PRIu32 " was told \"not applied\" and counts at %" PRId64, id,
                      e->view.offset);
    else if (a->ruled_out)
        sim_violation(sim, "I10", "attempt #%" PRIu32 " was looked up as \"not applied\" and counts at %" PRId64, id,
                      e->view.offset);
    else if (is_conditional(a) && before && tag_is_of_this_log(sim->nodes[e->node], a) && !conditions_allow(a, before))
        sim_violation(sim, "I4", "the conditions of attempt #%" PRIu32 " do not hold on what it replaced at %" PRId64,
                      id, e->view.offset);
    a->valid_offset = e->view.offset;
    if (a->request)
        check_id(sim, a, e, rec);
}

/* How many tokens `after` adds to `before`; -1: it does not begin with it. */
static int64_t tokens_added(const struct sim_state *before, const struct sim_state *after)
{
    size_t had = before->exists ? before->item.value.len : 0, has = after->item.value.len;

    if (has % 4 || has <= had || (had && memcmp(before->item.value.data, after->item.value.data, had) != 0))
        return -1;
    return (int64_t)(has - had) / 4;
}

static void ledger_counts(struct sim *sim, const struct sim_entry *e, const struct aff_record *rec,
                          const struct sim_state *before, const struct sim_state *after)
{
    int64_t added = tokens_added(before, after);
    size_t count = sim_ledger_count(after->item.value);

    if (rec->event_ms != AFF_NO_TIME) { /* a PUT sets it anew */
        attempt_counts(sim, (uint32_t)(rec->event_ms - SIM_EVENT_BASE), e, rec, before);
        return;
    }
    if (added < 1) {
        sim_violation(sim, "I4", "the record at %" PRId64 " lost commands of ledger %s", e->view.offset,
                      sim_bytes_text(e->view.key).text);
        return;
    }
    for (size_t i = count - (size_t)added; i < count; i++) {
        uint32_t token = sim_ledger_token(after->item.value, i);
        bool first = i == count - (size_t)added;

        attempt_counts(sim, token & ~SIM_WITHDRAWAL, e, rec, first ? before : NULL);
        if (sim_ledger_balance(after->item.value, i + 1) < 0)
            sim_violation(sim, "I4", "a withdrawal from an empty ledger at %" PRId64, e->view.offset);
    }
}

static void register_counts(struct sim *sim, const struct sim_entry *e, const struct aff_record *rec,
                            const struct sim_state *before, const struct sim_state *after)
{
    uint32_t id = (uint32_t)(rec->event_ms - SIM_EVENT_BASE);
    struct aff_item item = { .content_type = after->item.content_type, .value = after->item.value };

    attempt_counts(sim, id, e, rec, before);
    if (id < sim->clients->count && sim->clients->attempts[id]->value_hash != sim_item_hash(e->view.key, &item))
        sim_violation(sim, "I4", "the record at %" PRId64 " has not the value of attempt #%" PRIu32, e->view.offset,
                      id);
}

void sim_check_valid_write(struct sim *sim, const struct sim_entry *e, const struct aff_record *rec,
                           const struct sim_state *before, const struct sim_state *after)
{
    if (after->exists && sim_key_is_ledger(sim, e->key))
        ledger_counts(sim, e, rec, before, after);
    else if (after->exists)
        register_counts(sim, e, rec, before, after);
    else if (rec->event_ms != AFF_NO_TIME)
        attempt_counts(sim, (uint32_t)(rec->event_ms - SIM_EVENT_BASE), e, rec, before);
    else if (!before->exists || before->item.version.expires_ms == AFF_NO_TIME)
        sim_violation(sim, "expiry", "the tombstone at %" PRId64 " deletes what does not expire", e->view.offset);
    else
        sim_count(sim->coverage, SIM_EXPIRIES);
}

/* ---- answers that rest on a state ---- */

/* Does the answer fit this state of the key? */
static bool fits(const struct sim_attempt *a, const struct sim_state *s, size_t tokens, const struct aff_op *op)
{
    aff_bytes value = s->item.value;

    switch (a->result.code) {
    case AFF_EPRECONDITION:
        return !conditions_allow(a, s);
    case AFF_ENOTFOUND:
        return !s->exists;
    case AFF_EREFUSED:
        return !s->exists || sim_ledger_balance(value, tokens) == 0;
    default: /* peek */
        return op->result.reply.data && (size_t)atoi(op->result.reply.data) == (s->exists ? tokens : 0);
    }
}

/* The same, on what the commands of one record left to each other: states that never stood in the log by themselves. */
static bool fits_in_between(const struct sim_attempt *a, const struct sim_state *before, const struct sim_state *s,
                            const struct aff_op *op)
{
    int64_t added = is_command(a) && s->exists ? tokens_added(before, s) : -1;
    size_t count = sim_ledger_count(s->item.value);

    for (int64_t less = 1; less < added; less++)
        if (fits(a, s, count - (size_t)less, op))
            return true;
    return false;
}

/* Somewhere between what was known when the client asked and now, the answer must have been right. */
static void check_fits_some_state(struct sim *sim, struct sim_attempt *a, const struct aff_op *op)
{
    struct sim_key *key = key_of(a);

    for (int i = a->seen[a->key]; i < key->count; i++) {
        const struct sim_state *s = &key->states[i];

        if (i > a->seen[a->key] && fits_in_between(a, s - 1, s, op)) {
            know(key, i - 1);
            return;
        }
        if (fits(a, s, s->exists ? sim_ledger_count(s->item.value) : 0, op)) {
            know(key, i);
            return;
        }
    }
    sim_violation(sim, "I5", "the answer %s to attempt #%" PRIu32 " fits no state of %s since the one at %" PRId64,
                  a->result.code ? aff_error_name(a->result.code) : "ok", a->id, sim_key_name(sim, a->key),
                  key->states[a->seen[a->key]].item.version.offset);
}

static void check_refusal(struct sim_node *n, struct sim_attempt *a, const struct aff_op *op)
{
    struct sim *sim = n->sim;

    if (a->result.code == AFF_EPRECONDITION && !tag_is_of_this_log(n, a))
        return;
    if (a->result.code == AFF_EPRECONDITION)
        sim_count(sim->coverage, SIM_PRECONDITIONS);
    if (a->result.code == AFF_EREFUSED)
        sim_count(sim->coverage, SIM_REFUSALS);
    check_fits_some_state(sim, a, op);
}

/* ---- answers about a write ---- */

/* The HTTP status that the result stands for; a command chooses its own. */
static int expected_status(const struct sim_attempt *a)
{
    if (a->call == SIM_DELETE)
        return 204;
    return a->call == SIM_PUT && a->result.created ? 201 : 200;
}

static void check_committed(struct sim *sim, struct sim_attempt *a)
{
    struct sim_key *key = key_of(a);
    const struct sim_entry *e = a->valid_offset >= 0 ? sim->log->entries[a->valid_offset] : NULL;
    int state = e ? sim_truth_find(key, a->valid_offset) : -1;

    if (!e || state < 0) {
        sim_violation(sim, "I3", "attempt #%" PRIu32 " was acknowledged and its record %s does not count", a->id,
                      sim_stamp_text(a->result.stamp).text);
        return;
    }
    if (!a->result.stamped || !sim_stamp_owner(a->result.stamp, e->stamp) || a->result.stamp.seq != e->stamp.seq)
        sim_violation(sim, "I10", "attempt #%" PRIu32 " has the request id %s, but its record is %s", a->id,
                      sim_stamp_text(a->result.stamp).text, sim_stamp_text(e->stamp).text);
    if (!is_command(a) && !a->result.versioned)
        sim_violation(sim, "I4", "attempt #%" PRIu32 " was acknowledged without a version", a->id);
    if (a->result.versioned &&
        (a->result.version.offset != a->valid_offset || a->result.version.time_ms != e->view.time_ms))
        sim_violation(sim, "I4", "attempt #%" PRIu32 " got the version %" PRId64 " instead of %" PRId64, a->id,
                      a->result.version.offset, a->valid_offset);
    if (a->call == SIM_PUT && a->result.created == key->states[state - 1].exists)
        sim_violation(sim, "I4", "attempt #%" PRIu32 " was told wrongly whether it created its key", a->id);
    if (a->result.status != expected_status(a))
        sim_violation(sim, "I4", "attempt #%" PRIu32 " got the status %u", a->id, a->result.status);
    know(key, state);
}

static void check_replay(struct sim *sim, struct sim_attempt *a)
{
    const struct sim_attempt *first = a->request ? a->request->valid[a->variant] : NULL;
    const struct aff_result *r = &a->result;

    sim_count(sim->coverage, SIM_REPLAYS);
    if (r->replay_cut)
        sim_count(sim->coverage, SIM_REPLAYS_CUT);
    if (!first) {
        sim_violation(sim, "idempotency", "attempt #%" PRIu32 " got the answer of a request that never counted", a->id);
        return;
    }
    if (r->versioned && r->version.offset != first->valid_offset)
        sim_violation(sim, "idempotency",
                      "the replay #%" PRIu32 " has the version %" PRId64 ", the first answer %" PRId64, a->id,
                      r->version.offset, first->valid_offset);
    if (first->done && !first->lost && first->result.outcome == AFF_OUTCOME_COMMITTED &&
        (first->result.status != r->status || first->result.versioned != r->versioned ||
         (!r->replay_cut && first->reply_len > 0 && (first->reply_hash != a->reply_hash))))
        sim_violation(sim, "idempotency", "the replay #%" PRIu32 " differs from the first answer, to #%" PRIu32, a->id,
                      first->id);
    know(key_of(a), sim_truth_find(key_of(a), first->valid_offset));
}

static void check_not_applied(struct sim *sim, const struct sim_attempt *a)
{
    if (a->valid_offset >= 0)
        sim_violation(sim, "I10", "attempt #%" PRIu32 " was told \"%s\" and counts at %" PRId64, a->id,
                      sim_outcome_text(a->result.outcome), a->valid_offset);
}

static void check_id_answer(struct sim *sim, const struct sim_attempt *a)
{
    const struct sim_request *r = a->request;

    if (a->result.code == AFF_EIDREUSED) {
        sim_count(sim->coverage, SIM_IDS_REUSED);
        if (!r || !r->valid[!a->variant])
            sim_violation(sim, "idempotency", "attempt #%" PRIu32 " was refused for an id that was not used", a->id);
    } else if (a->result.code == AFF_EIDRUNNING) {
        sim_count(sim->coverage, SIM_IDS_RUNNING);
    }
}

static void check_in_time(struct sim_node *n, const struct sim_attempt *a)
{
    int64_t late = sim_node_mono_ns(n) - a->deadline_ns;

    if (!a->deadline_ns || late < 0)
        return;
    sim_count(n->sim->coverage, SIM_DEADLINES);
    if (late > LATE_NS && n->sim->now_ns - n->healthy_since_ns > late && a->submitted_ns + LATE_NS < n->sim->now_ns)
        sim_violation(n->sim, "deadline", "attempt #%" PRIu32 " was answered %.3f ms after its deadline", a->id,
                      (double)late / (double)SIM_MS);
}

static void count_outcome(struct sim *sim, const struct sim_attempt *a)
{
    static const int counters[] = { -1, SIM_COMMITTED, SIM_NOT_APPLIED, SIM_UNKNOWN };

    if (counters[a->result.outcome] >= 0)
        sim_count(sim->coverage, (enum sim_counter)counters[a->result.outcome]);
}

/* A log that is right again is soon taken for it, and only one that holds a record back stalls. */
static void check_log_refusal(struct sim_node *n, const struct sim_attempt *a)
{
    struct sim *sim = n->sim;
    int64_t since = sim->faults->log_trouble_until_ns;

    if (a->result.code == AFF_EUNSAFE) {
        sim_count(sim->coverage, SIM_UNSAFE);
        if (since < n->healthy_since_ns)
            since = n->healthy_since_ns;
        if (since < n->leads_since_ns)
            since = n->leads_since_ns;
        if (sim->now_ns - since > UNSAFE_PATIENCE_NS)
            sim_violation(sim, "I0", "attempt #%" PRIu32 " was refused for a log that has been safe for %.0f s", a->id,
                          (double)(sim->now_ns - since) / (double)SIM_S);
    } else if (a->result.code == AFF_ESTALLED) {
        sim_count(sim->coverage, SIM_STALLED);
        if (sim->profile.stall_ms == 0 || a->in_flight == 0)
            sim_violation(sim, "progress", "attempt #%" PRIu32 " was refused for a record in flight, there is none",
                          a->id);
    }
}

void sim_check_answer(struct sim_node *n, struct sim_attempt *a, const struct aff_op *op)
{
    struct sim *sim = n->sim;
    const struct aff_result *r = &a->result;

    count_outcome(sim, a);
    check_in_time(n, a);
    check_log_refusal(n, a);
    if (a->request && (r->outcome == AFF_OUTCOME_COMMITTED || r->outcome == AFF_OUTCOME_NONE))
        a->request->settled = true;
    if (a->call == SIM_READ)
        return; /* refused */
    if (r->replayed && r->code == 0)
        check_replay(sim, a);
    else if (r->outcome == AFF_OUTCOME_COMMITTED)
        check_committed(sim, a);
    else if (r->outcome == AFF_OUTCOME_NOT_APPLIED || r->outcome == AFF_OUTCOME_NONE)
        check_not_applied(sim, a);
    if (r->outcome == AFF_OUTCOME_NONE && !r->replayed)
        check_refusal(n, a, op);
    check_id_answer(sim, a);
}

/* ---- strict reads ---- */

static void check_sight(struct sim *sim, const struct sim_attempt *a, int k)
{
    struct sim_key *key = &sim->truth->keys[k];
    const struct sim_sight *s = &a->sights[k];
    int state = a->seen[k];

    if (s->exists) {
        state = sim_truth_find(key, s->version_offset);
        if (state < 0 || !key->states[state].exists ||
            sim_item_hash(key->states[state].entry->view.key, &key->states[state].item) != s->hash) {
            sim_violation(sim, "I4", "read #%" PRIu32 " saw what was never the state of %s", a->id,
                          sim_key_name(sim, k));
            return;
        }
    } else {
        while (state < key->count && key->states[state].exists)
            state++;
    }
    if (state >= key->count || state < a->seen[k]) {
        sim_violation(sim, "I5",
                      "read #%" PRIu32 " saw %s as it was at %" PRId64 " although %" PRId64 " was known before", a->id,
                      sim_key_name(sim, k), s->version_offset, key->states[a->seen[k]].item.version.offset);
        return;
    }
    know(key, state);
}

void sim_check_read(struct sim_node *n, struct sim_attempt *a)
{
    check_in_time(n, a);
    for (int k = 0; k < sim_client_keys(n->sim) && !n->sim->violated; k++)
        check_sight(n->sim, a, k);
}

/* ---- outcomes ---- */

/* The claim's mastership may have been forgotten if it ended long ago. */
static bool may_be_forgotten(const struct sim *sim, const struct sim_attempt *target)
{
    const struct sim_entry *e = sim->log->entries[target->valid_offset];

    return sim_log_now_ms(sim) - e->view.time_ms > sim->profile.retention_ms;
}

void sim_check_lookup(struct sim_node *n, const struct sim_attempt *a)
{
    struct sim *sim = n->sim;
    const struct sim_attempt *t = a->target;
    const struct sim_entry *e = sim_truth_record(sim->truth, t->result.stamp);
    enum aff_outcome outcome = a->result.outcome;

    if (outcome == AFF_OUTCOME_COMMITTED && !e)
        sim_violation(sim, "I10", "lookup #%" PRIu32 ": %s is said to be committed and is not", a->id,
                      sim_stamp_text(t->result.stamp).text);
    if (outcome == AFF_OUTCOME_COMMITTED && sim_store_has_uncommitted(n->store))
        sim_violation(sim, "I5", "lookup #%" PRIu32 ": %s is said to be committed, and a read by another thread may miss it",
                      a->id, sim_stamp_text(t->result.stamp).text);
    if (outcome == AFF_OUTCOME_NOT_APPLIED)
        a->target->ruled_out = true;
    if (outcome == AFF_OUTCOME_NOT_APPLIED && e)
        sim_violation(sim, "I10", "lookup #%" PRIu32 ": %s is said to be not applied and stands at %" PRId64, a->id,
                      sim_stamp_text(t->result.stamp).text, e->view.offset);
    if (outcome == AFF_OUTCOME_NONE && e && t->valid_offset >= 0 && !may_be_forgotten(sim, t))
        sim_violation(sim, "I10", "lookup #%" PRIu32 ": %s is said to be of no mastership and stands at %" PRId64,
                      a->id, sim_stamp_text(t->result.stamp).text, e->view.offset);
}
