/*
 * checker.c - see checker.h.
 */
#include "checker.h"

#include "base/alloc.h"
#include "faults.h"
#include "trace.h"

#include <inttypes.h>
#include <stdlib.h>

enum { REPAIR_PATIENCE_S = 90, ANSWER_PATIENCE_S = 45, EXPIRY_PATIENCE_S = 30 };

/* ---- what a node appends ---- */

/* I2: nothing before the own CLAIM stands in the log and counts. */
static void check_claimed(struct sim_node *n, const struct aff_record *rec)
{
    struct aff_stamp claim = { rec->stamp.epoch, rec->stamp.nonce, 0 };

    if (sim_stamp_owner(n->claimed, rec->stamp))
        return; /* looked up before */
    if (sim_truth_record(n->sim->truth, claim))
        n->claimed = rec->stamp;
    else
        sim_violation(n->sim, "I2", "n%d appends %s %s and has no valid claim", n->index, sim_kind_text(rec->kind),
                      sim_stamp_text(rec->stamp).text);
}

static void check_number(struct sim_node *n, const struct aff_record *rec)
{
    bool first = rec->kind == AFF_KIND_CLAIM;

    if (first
            ? rec->stamp.seq != 0 || rec->stamp.epoch < n->last_sent.epoch || sim_stamp_owner(rec->stamp, n->last_sent)
            : !sim_stamp_owner(rec->stamp, n->last_sent) || rec->stamp.seq != n->last_sent.seq + 1)
        sim_violation(n->sim, "I2", "n%d appends %s after %s", n->index, sim_stamp_text(rec->stamp).text,
                      sim_stamp_text(n->last_sent).text);
}

/* A tombstone that no client asked for: the key must have expired by the clock of the node. */
static void check_expiry(struct sim_node *n, const struct aff_record *rec)
{
    struct aff_item item;

    if (rec->kind != AFF_KIND_DATA || rec->value.data || rec->event_ms != AFF_NO_TIME)
        return;
    if (sim_store_current(n->store, rec->key, &item) != 1 || item.version.expires_ms == AFF_NO_TIME ||
        item.version.expires_ms > sim_node_wall_ms(n))
        sim_violation(n->sim, "expiry", "n%d deletes %s, which has not expired", n->index,
                      sim_bytes_text(rec->key).text);
}

/* One record in flight for each key (I4): it is until it is reported, or was read. */
static void check_alone(struct sim_node *n, const struct aff_record *rec)
{
    struct aff_standing s;
    struct aff_stamp newest;
    const struct sim_entry *e;

    if ((rec->kind != AFF_KIND_DATA && rec->kind != AFF_KIND_REPAIR) ||
        !sim_producer_unreported(n->producer, sim_log_key(n->sim->log, rec->key), &newest))
        return;
    aff_core_standing(n->core, &s);
    e = sim_truth_record(n->sim->truth, newest);
    if (!e || e->view.offset >= s.applied)
        sim_violation(n->sim, "I4", "n%d appends to %s while %s is in flight", n->index, sim_bytes_text(rec->key).text,
                      sim_stamp_text(newest).text);
}

/* I9: it serves nothing, everything that it handed over has landed, and below the end all is as it says. */
void sim_check_go(struct sim_node *n, const struct aff_go *go)
{
    const struct sim_prefix *truth;

    if (n->standing.serves)
        sim_violation(n->sim, "I9", "n%d says GO and may still serve strict reads", n->index);
    if (!sim_producer_is_idle(n->producer))
        sim_violation(n->sim, "I9", "n%d says GO while records are on their way", n->index);
    if (go->end > n->sim->log->end || go->end != n->standing.applied) {
        sim_violation(n->sim, "I9", "n%d says GO with an end at %" PRId64, n->index, go->end);
        return;
    }
    truth = sim_truth_at(n->sim->truth, go->end);
    if (!sim_stamp_owner(truth->cur, go->cur) || truth->dirty_count > 0)
        sim_violation(n->sim, "I9", "n%d says GO at %" PRId64 " with %s; the log has %s there, and %" PRIu64 " dirty keys", n->index,
                      go->end, sim_stamp_text(go->cur).text, sim_stamp_text(truth->cur).text, truth->dirty_count);
    n->gone = go->cur;
}

void sim_check_append(struct sim_node *n, const struct aff_record *rec)
{
    if (n->gone.epoch && sim_stamp_owner(rec->stamp, n->gone))
        sim_violation(n->sim, "I9", "n%d appends %s after it said GO", n->index, sim_stamp_text(rec->stamp).text);
    check_number(n, rec);
    if (rec->kind == AFF_KIND_CLAIM)
        return;
    check_claimed(n, rec);
    check_expiry(n, rec);
    check_alone(n, rec);
    if (rec->kind == AFF_KIND_BARRIER && n->sim->clients->outstanding == 0)
        sim_count(n->sim->coverage, SIM_IDLE_BARRIERS);
}

/* ---- roles ---- */

void sim_check_role(struct sim_node *n, const struct aff_standing *s)
{
    struct aff_stamp claim = { s->own.epoch, s->own.nonce, 0 };
    const struct sim_entry *e;

    if (s->role != AFF_ROLE_MASTER || n->standing.role == AFF_ROLE_MASTER)
        return;
    n->leads_since_ns = n->sim->now_ns;
    e = sim_truth_record(n->sim->truth, claim);
    if (!e)
        sim_violation(n->sim, "I2", "n%d leads by the claim %s, which is void", n->index, sim_stamp_text(claim).text);
    else if (s->applied <= e->view.offset)
        sim_violation(n->sim, "I2", "n%d leads and has applied below %" PRId64 " only; its claim stands at %" PRId64,
                      n->index, s->applied, e->view.offset);
}

/* ---- what a node has applied ---- */

static bool follows(const struct aff_standing *s)
{
    return s->role == AFF_ROLE_FOLLOWING || s->role == AFF_ROLE_CLAIMING || s->role == AFF_ROLE_MASTER ||
           s->role == AFF_ROLE_SETTLING;
}

static void check_state(struct sim_node *n, const struct sim_prefix *truth)
{
    if (n->store->values_digest != truth->values_digest)
        sim_violation(n->sim, "I4", "n%d has applied below %" PRId64 " and its values are not those of the log there",
                      n->index, n->standing.applied);
    else if (n->store->dirty_digest != truth->dirty_digest || n->store->dirty_count != truth->dirty_count)
        sim_violation(n->sim, "I6",
                      "n%d has applied below %" PRId64 " and its dirty keys (%" PRIu64
                      ") are not those of the log there (%" PRIu64 ")",
                      n->index, n->standing.applied, n->store->dirty_count, truth->dirty_count);
    else if (!sim_stamp_owner(n->standing.cur, truth->cur))
        sim_violation(n->sim, "I8", "n%d has applied below %" PRId64 " and takes %s for the last valid record, not %s",
                      n->index, n->standing.applied, sim_stamp_text(n->standing.cur).text,
                      sim_stamp_text(truth->cur).text);
}

void sim_check_node(struct sim_node *n)
{
    const struct aff_standing *s = &n->standing;

    if (!follows(s))
        return;
    if (s->applied > n->sim->log->end) {
        sim_violation(n->sim, "I4", "n%d has applied below %" PRId64 ", the log ends at %" PRId64, n->index, s->applied,
                      n->sim->log->end);
        return;
    }
    /*
     * In the middle of what was compacted a state need not be one that ever was. And a replica that missed tombstones cannot know
     * before it reads a record that is younger than its reading.
     */
    if (s->applied >= n->store->clean_bound && (s->applied > n->store->doubt_until || s->role == AFF_ROLE_MASTER)) {
        check_state(n, sim_truth_at(n->sim->truth, s->applied));
        sim_count(n->sim->coverage, SIM_DIGESTS);
    }
    if (s->role == AFF_ROLE_MASTER && !sim_stamp_owner(s->cur, s->own))
        sim_violation(n->sim, "I2", "n%d leads as %s, but the last valid record is %s", n->index,
                      sim_stamp_text(s->own).text, sim_stamp_text(s->cur).text);
}

void sim_check_keep_from(struct sim_node *n)
{
    struct aff_standing s;

    aff_core_standing(n->core, &s);
    if (n->keep_from > s.applied)
        sim_violation(n->sim, "I6", "n%d lets compaction go to %" PRId64 ", it has applied below %" PRId64, n->index,
                      n->keep_from, s.applied);
    for (int k = 0; k < sim_client_keys(n->sim); k++) {
        const struct sim_key *key = &n->sim->truth->keys[k];

        if (key->dirty && key->dirty_offset < s.applied && n->keep_from > key->dirty_offset)
            sim_violation(n->sim, "I6", "n%d lets compaction go to %" PRId64 ", but %s is dirty at %" PRId64, n->index,
                          n->keep_from, sim_key_name(n->sim, k), key->dirty_offset);
    }
}

/* ---- repairs ---- */

/* The node whose mastership the log has, if it knows and nothing is in its way. */
static const struct sim_node *true_master(const struct sim *sim)
{
    struct aff_stamp cur = sim_truth_at(sim->truth, sim->log->end)->cur;

    for (int i = 0; i < sim->profile.nodes; i++) {
        const struct sim_node *n = sim->nodes[i];

        if (sim_node_leads(n) && !sim_node_paused(n) && sim_stamp_owner(n->standing.own, cur))
            return n;
    }
    return NULL;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* With a master that nothing hinders, no key stays dirty longer than the longest pause between two of its barriers (I6). */
static void check_repairs(struct sim *sim)
{
    const struct sim_node *n = true_master(sim);
    int64_t patience = sim->profile.lag_ms / 6 * SIM_MS + REPAIR_PATIENCE_S * SIM_S, since;

    if (!n)
        return;
    since = later(later(n->healthy_since_ns, n->leads_since_ns), sim->faults->log_trouble_until_ns);
    for (int k = 0; k < sim_client_keys(sim); k++) {
        const struct sim_key *key = &sim->truth->keys[k];

        if (key->dirty && sim->now_ns - later(since, key->dirty_since_ns) > patience)
            sim_violation(sim, "I6", "%s has been dirty for %.0f s, n%d leads for %.0f s", sim_key_name(sim, k),
                          (double)(sim->now_ns - key->dirty_since_ns) / (double)SIM_S, n->index,
                          (double)(sim->now_ns - n->leads_since_ns) / (double)SIM_S);
    }
}

/* With such a master, what has expired by its clock goes. */
static void check_expired(struct sim *sim)
{
    const struct sim_node *n = true_master(sim);
    int64_t since, patience_ns = EXPIRY_PATIENCE_S * SIM_S;

    if (!n)
        return;
    since = later(later(n->healthy_since_ns, n->leads_since_ns),
                  later(sim->faults->log_trouble_until_ns, n->wall_set_ns));
    for (int k = 0; k < sim_client_keys(sim); k++) {
        const struct sim_key *key = &sim->truth->keys[k];
        const struct sim_state *s = &key->states[key->count - 1];

        if (s->exists && s->item.version.expires_ms != AFF_NO_TIME &&
            s->item.version.expires_ms + EXPIRY_PATIENCE_S * 1000 < sim_node_wall_ms(n) &&
            sim->now_ns - later(since, s->entry->landed_ns) > patience_ns)
            sim_violation(sim, "expiry", "%s has expired %.0f s ago by the clock of n%d, which leads",
                          sim_key_name(sim, k), (double)(sim_node_wall_ms(n) - s->item.version.expires_ms) / 1000.0,
                          n->index);
    }
}

/* Whoever asks a node that nothing hinders is answered. */
static void check_answers(struct sim *sim)
{
    struct sim_clients *c = sim->clients;

    while (c->first_open < c->count && c->attempts[c->first_open]->done)
        c->first_open++;
    for (uint32_t i = c->first_open; i < c->count; i++) {
        const struct sim_attempt *a = c->attempts[i];
        const struct sim_node *n = sim->nodes[a->node];
        int64_t since = later(later(n->healthy_since_ns, a->submitted_ns), sim->faults->log_trouble_until_ns);

        if (a->submitted && !a->done && !sim_node_paused(n) && sim->now_ns - since > ANSWER_PATIENCE_S * SIM_S)
            sim_violation(sim, "progress", "attempt #%" PRIu32 " waits for %.0f s on n%d, which nothing hinders", i,
                          (double)(sim->now_ns - a->submitted_ns) / (double)SIM_S, n->index);
    }
}

void sim_check_progress(struct sim *sim)
{
    check_repairs(sim);
    check_expired(sim);
    check_answers(sim);
}

static bool anything_dirty(const struct sim *sim)
{
    return sim_truth_at(sim->truth, sim->log->end)->dirty_count > 0;
}

void sim_check_plain_reader(struct sim *sim)
{
    const struct sim_log *log = sim->log;
    const struct sim_entry *last[SIM_KEYS_MAX] = { NULL };

    if (anything_dirty(sim))
        return;
    for (int64_t i = 0; i < log->left_count; i++)
        if (log->entries[log->left[i]]->key < SIM_KEYS_MAX)
            last[log->entries[log->left[i]]->key] = log->entries[log->left[i]];
    for (int k = 0; k < sim_client_keys(sim); k++) {
        const struct sim_key *key = &sim->truth->keys[k];
        const struct sim_state *state = &key->states[key->count - 1];
        bool exists = last[k] && last[k]->view.value.data;

        if (exists != state->exists || (exists && !aff_bytes_equal(last[k]->view.value, state->item.value)))
            sim_violation(sim, "I7",
                          "nothing is dirty, and a plain reader of the compacted log finds another value of %s",
                          sim_key_name(sim, k));
    }
}

/* ---- the end ---- */

static void check_caught_up(struct sim *sim, const struct sim_node *n)
{
    if (!sim_node_up(n) || !follows(&n->standing))
        sim_violation(sim, "progress", "n%d is %s at the end", n->index,
                      sim_node_up(n) ? sim_role_text(n->standing.role) : "down");
    else if (n->standing.applied < sim->log->end)
        sim_violation(sim, "progress", "n%d has applied below %" PRId64 " at the end, the log ends at %" PRId64,
                      n->index, n->standing.applied, sim->log->end);
    else
        check_state((struct sim_node *)(uintptr_t)n, sim_truth_at(sim->truth, sim->log->end));
}

void sim_check_end(struct sim *sim)
{
    for (int i = 0; i < sim->profile.nodes; i++)
        check_caught_up(sim, sim->nodes[i]);
    if (anything_dirty(sim))
        sim_violation(sim, "I6", "keys are dirty at the end");
    for (uint32_t i = 0; i < sim->clients->count; i++) {
        const struct sim_attempt *a = sim->clients->attempts[i];

        if (!a->done || !a->released)
            sim_violation(sim, "I10", "attempt #%" PRIu32 " was never %s", i, a->done ? "released" : "answered");
    }
    sim_check_plain_reader(sim);
}
