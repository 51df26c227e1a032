/*
 * run.c - one seed: the world is made, lives through its steps and faults, is healed and must then be right; and the heap of
 * events that all of it runs on.
 */
#include "base/alloc.h"
#include "checker.h"
#include "fake_coordinator.h"
#include "faults.h"
#include "sim.h"
#include "trace.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

enum { HEAL_S = 120, EVENTS_MAX = 3000000 };

/* ---- events ---- */

void sim_at(struct sim *sim, struct sim_event *event, int64_t at_ns)
{
    aff_heap_set(&sim->events, &event->node, at_ns > sim->now_ns ? at_ns : sim->now_ns);
}

void sim_cancel(struct sim *sim, struct sim_event *event)
{
    aff_heap_remove(&sim->events, &event->node);
}

static void run_next(struct sim *sim)
{
    struct aff_heap_node *node = aff_heap_min(&sim->events);
    struct sim_event *event = aff_container_of(node, struct sim_event, node);

    sim->now_ns = node->key;
    aff_heap_remove(&sim->events, node);
    if (++sim->steps > EVENTS_MAX)
        sim_violation(sim, "progress", "more than %d events", EVENTS_MAX);
    event->run(sim, event);
}

bool sim_run_while(struct sim *sim, int64_t until_ns, bool (*waits)(struct sim *sim))
{
    struct aff_heap_node *node;

    while (!sim->violated && (node = aff_heap_min(&sim->events)) && node->key <= until_ns) {
        if (waits && !waits(sim))
            return true;
        run_next(sim);
    }
    if (!sim->violated && sim->now_ns < until_ns)
        sim->now_ns = until_ns;
    return !sim->violated && waits && !waits(sim);
}

void sim_run_until(struct sim *sim, int64_t until_ns)
{
    (void)sim_run_while(sim, until_ns, NULL);
}

/* ---- violations ---- */

void sim_violation(struct sim *sim, const char *invariant, const char *format, ...)
{
    va_list args;
    int n;

    if (sim->violated)
        return;
    sim->violated = true;
    n = snprintf(sim->violation, sizeof sim->violation, "seed %" PRIu64 " violates %s: ", sim->seed, invariant);
    va_start(args, format);
    vsnprintf(sim->violation + n, sizeof sim->violation - (size_t)n, format, args);
    va_end(args);
    sim_trace_line(sim, "VIOLATION of %s", invariant);
    printf("%s (at %.3f ms)\n", sim->violation, (double)sim->now_ns / (double)SIM_MS);
    fflush(stdout);
}

/* ---- the steps ---- */

/* Clients without a master wait longer before they try again. */
static int64_t gap(struct sim *sim)
{
    const struct sim_profile *p = &sim->profile;

    if (!sim_somebody_leads(sim) && sim_below(&sim->random, 4))
        return sim_spread(&sim->random, 100 * SIM_MS, 2 * SIM_S);
    return sim_spread(&sim->random, p->gap_ns, 100 * p->gap_ns);
}

static int64_t idle_time(struct sim *sim)
{
    uint64_t what = sim_below(&sim->random, 100);

    if (what < 70)
        return sim_spread(&sim->random, SIM_S, 2 * SIM_MINUTE);
    if (what < 90 || !sim->profile.long_idle)
        return sim_between(&sim->random, SIM_MINUTE, 20 * SIM_MINUTE);
    return sim_between(&sim->random, 20 * SIM_MINUTE, 3 * SIM_HOUR);
}

static void live(struct sim *sim)
{
    const struct sim_profile *p = &sim->profile;

    sim_coordinator_elect(sim->coordinator, (int)sim_below(&sim->random, (uint64_t)p->nodes), false);
    if (sim_below(&sim->random, 4) == 0) /* and perhaps another: the log has no identity yet, both mint one */
        sim_coordinator_elect(sim->coordinator, (int)sim_below(&sim->random, (uint64_t)p->nodes), false);
    for (int i = 0; i < p->steps && !sim->violated; i++) {
        sim_clients_step(sim->clients);
        sim_faults_step(sim->faults);
        sim_run_until(sim, sim->now_ns + (sim_chance(&sim->random, p->idle_chance) ? idle_time(sim) : gap(sim)));
    }
}

/* ---- the last phase ---- */

static struct sim_node *master(struct sim *sim)
{
    for (int i = 0; i < sim->profile.nodes; i++)
        if (sim_node_leads(sim->nodes[i]) && sim->coordinator->told == i)
            return sim->nodes[i];
    return NULL;
}

static bool has_no_master(struct sim *sim)
{
    return master(sim) == NULL;
}

static bool has_work(struct sim *sim)
{
    return sim->clients->outstanding > 0;
}

/* Whether every replica has read all, and nothing is dirty. */
static bool is_behind(struct sim *sim)
{
    for (int i = 0; i < sim->profile.nodes; i++)
        if (!sim_node_up(sim->nodes[i]) || sim->nodes[i]->standing.applied < sim->log->end)
            return true;
    return sim_truth_at(sim->truth, sim->log->end)->dirty_count > 0;
}

/* With a lock only its holder can lead. */
static int who_shall_lead(struct sim *sim)
{
    const struct sim_coordinator *c = sim->coordinator;

    if (sim->profile.lease_mode == SIM_LEASE_LOCK && c->locked_by >= 0)
        return c->locked_by;
    return (int)sim_below(&sim->random, (uint64_t)sim->profile.nodes);
}

static bool wait_for(struct sim *sim, const char *what, int64_t seconds, bool (*waits)(struct sim *sim))
{
    if (!sim->violated && !sim_run_while(sim, sim->now_ns + seconds * SIM_S, waits))
        sim_violation(sim, "progress", "nothing is wrong any more, and still %s after %" PRId64 " s", what, seconds);
    return !sim->violated;
}

/* Late copies land, nodes start, then one of them is told to lead. */
static bool recover(struct sim *sim)
{
    sim_faults_heal(sim->faults);
    sim_run_until(sim, sim->now_ns + 30 * SIM_S);
    for (int i = 0; i < sim->profile.nodes && !sim->violated; i++)
        if (sim_node_up(sim->nodes[i]))
            sim_node_resign(sim->nodes[i], sim->now_ns);
    sim_run_until(sim, sim->now_ns + 10 * SIM_S);
    sim_coordinator_elect(sim->coordinator, who_shall_lead(sim), false);
    return wait_for(sim, "there is no master", HEAL_S, has_no_master);
}

/* Everything indefinite becomes definite. */
static bool settle_requests(struct sim *sim, int node)
{
    struct sim_clients *c = sim->clients;
    uint32_t requests = c->request_count, attempts = c->count;

    for (uint32_t i = 0; i < requests; i++)
        if (!c->requests[i]->settled)
            sim_clients_repeat(c, c->requests[i], node);
    for (uint32_t i = 0; i < attempts; i++)
        if (c->attempts[i]->done && !c->attempts[i]->lost && c->attempts[i]->result.stamped) {
            struct sim_attempt *a = sim_clients_make(c, SIM_LOOKUP, c->attempts[i]->key, node);
            a->target = c->attempts[i];
            sim_clients_send(a);
        }
    return wait_for(sim, "an operation is not answered", HEAL_S, has_work);
}

/* An operation at a master that nothing hinders. */
static bool must_work(struct sim *sim, enum sim_call call, int key, int node)
{
    struct sim_attempt *a = sim_clients_make(sim->clients, call, key, node);

    sim_clients_send(a);
    if (!wait_for(sim, "an operation is not answered", HEAL_S, has_work))
        return false;
    if (a->lost || a->result.code != 0)
        sim_violation(sim, "progress", "nothing is wrong any more, and attempt #%" PRIu32 " is answered %s", a->id,
                      aff_error_name(a->result.code));
    return !sim->violated;
}

/* Every key can be written and read. */
static bool finish_clients(struct sim *sim)
{
    int node = master(sim)->index;

    if (!settle_requests(sim, node))
        return false;
    for (int k = 0; k < sim_client_keys(sim); k++)
        if (!must_work(sim, sim_key_is_ledger(sim, k) ? SIM_DEPOSIT : SIM_PUT, k, node))
            return false;
    return must_work(sim, SIM_READ, 0, node);
}

static bool hands_over(struct sim *sim)
{
    const struct sim_coordinator *c = sim->coordinator;

    return c->hand_count > 0 && c->hands[c->hand_count - 1].open;
}

/*
 * With nothing wrong a hand-over ends with the receiver leading, and no operation that comes meanwhile is left unknown. On a log that
 * is quick: a giver does not wait long.
 */
static bool hand_over(struct sim *sim)
{
    struct sim_clients *c = sim->clients;
    int from = master(sim)->index, to = (from + 1) % sim->profile.nodes;
    uint32_t before = c->count;
    const struct sim_hand *h;

    sim->profile.latency_ns = SIM_MS / 5;
    h = sim_coordinator_hand_over(sim->coordinator, from, to);
    if (!h)
        return true; /* a lock cannot be handed over */
    for (int k = 0; k < sim_client_keys(sim); k++) {
        sim_clients_send(sim_clients_make(c, sim_key_is_ledger(sim, k) ? SIM_DEPOSIT : SIM_PUT, k, from));
        sim_run_until(sim, sim->now_ns + SIM_MS / 2);
    }
    if (!wait_for(sim, "an operation is not answered in a hand-over", HEAL_S, has_work) ||
        !wait_for(sim, "a hand-over has not ended", HEAL_S, hands_over) ||
        !wait_for(sim, "nobody leads after a hand-over", HEAL_S, has_no_master))
        return false;
    if (master(sim)->index != to)
        sim_violation(sim, "progress", "nothing is wrong, and n%d has not taken over from n%d", to, from);
    for (uint32_t i = before; i < c->count; i++)
        if (c->attempts[i]->result.outcome == AFF_OUTCOME_UNKNOWN)
            sim_violation(sim, "progress", "nothing is wrong, and attempt #%" PRIu32 " is unknown after a hand-over", i);
    return !sim->violated && must_work(sim, SIM_READ, 0, to);
}

/* A replica that starts from nothing on the compacted log arrives at the same state. */
static void rebuild(struct sim *sim)
{
    struct sim_node *n = sim->nodes[(sim->coordinator->told + 1) % sim->profile.nodes];

    sim_run_until(sim, sim->now_ns + 2 * sim->profile.lag_ms * SIM_MS);
    sim_log_compact(sim->log);
    if (sim->violated || !sim_node_up(n))
        return;
    sim_node_crash(n);
    sim_store_free(n->store);
    n->store = sim_store_new(sim);
    sim_node_start(n);
    if (wait_for(sim, "a replica is behind", HEAL_S, is_behind))
        sim_count(sim->coverage, SIM_REBUILDS);
}

static void end(struct sim *sim)
{
    if (!recover(sim) || !finish_clients(sim))
        return;
    if (!wait_for(sim, "a replica is behind, or keys are dirty", HEAL_S + sim->profile.lag_ms / 6000, is_behind))
        return;
    if (!hand_over(sim))
        return;
    if (!wait_for(sim, "a replica is behind after a hand-over", HEAL_S + sim->profile.lag_ms / 6000, is_behind))
        return;
    rebuild(sim);
    if (!sim->violated)
        sim_check_end(sim);
}

/* ---- life ---- */

static void trace_profile(const struct sim *sim)
{
    const struct sim_profile *p = &sim->profile;
    static const char *const leases[] = { "no leases", "timed leases", "a lock" };

    sim_trace_line(sim,
                   "seed %" PRIu64 ": %d nodes, %d registers, %d ledgers, %s, lag %" PRId64 " s, tombstones %" PRId64
                   " s, heartbeat %" PRId64 " s, compaction %s, window %d, queue %d",
                   sim->seed, p->nodes, p->registers, p->ledgers, leases[p->lease_mode], p->lag_ms / 1000,
                   p->retention_ms / 1000, p->heartbeat_ms / 1000, p->compaction_obeys ? "obeys" : "by itself",
                   p->window, p->queue);
}

static void sim_make(struct sim *sim, const struct sim_options *options, struct sim_coverage *coverage)
{
    sim->seed = options->seed;
    sim->mutants = options->mutants;
    sim->tracing = options->tracing;
    sim->coverage = coverage;
    sim->random.state = options->seed * UINT64_C(0x2545f4914f6cdd1d) + 0x51ed270b;
    sim->now_ns = SIM_S;
    aff_heap_init(&sim->events);
    sim_profile_make(&sim->profile, &sim->random, options->nodes);
    trace_profile(sim);
    sim->log = sim_log_new(sim);
    sim->truth = sim_truth_new(sim);
    sim->coordinator = sim_coordinator_new(sim);
    sim->clients = sim_clients_new(sim);
    sim->faults = sim_faults_new(sim);
    for (int i = 0; i < sim->profile.nodes; i++)
        sim->nodes[i] = sim_node_new(sim, i);
    for (int i = 0; i < sim->profile.nodes; i++)
        sim_node_start(sim->nodes[i]);
}

static void sim_unmake(struct sim *sim)
{
    for (int i = 0; i < sim->profile.nodes; i++)
        sim_node_end(sim->nodes[i]);
    aff_heap_fini(&sim->events);
    for (int i = 0; i < sim->profile.nodes; i++)
        sim->nodes[i] = sim_node_free(sim->nodes[i]);
    sim->faults = sim_faults_free(sim->faults);
    sim->clients = sim_clients_free(sim->clients);
    sim->coordinator = sim_coordinator_free(sim->coordinator);
    sim->truth = sim_truth_free(sim->truth);
    sim->log = sim_log_free(sim->log);
}

bool sim_run_seed(const struct sim_options *options, struct sim_coverage *coverage)
{
    struct sim *sim = aff_xcalloc(1, sizeof *sim);
    bool good;

    sim_make(sim, options, coverage);
    live(sim);
    if (!sim->violated)
        end(sim);
    coverage->count[SIM_EVENTS] += sim->steps;
    coverage->count[SIM_SECONDS] += (uint64_t)(sim->now_ns / SIM_S);
    sim_unmake(sim);
    good = !sim->violated;
    free(sim);
    return good;
}
