/*
 * node.c - see node.h: inbox, passes, and how a node starts, pauses, stops and dies.
 */
#include "node.h"

#include "base/alloc.h"
#include "checker.h"
#include "checker_ops.h"
#include "fake_coordinator.h"
#include "trace.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

enum { BUSY_PASSES_MAX = 1000, STOP_PATIENCE_S = 5 };

/* ---- the inbox ---- */

/* Something for a node: it travels, waits in the inbox, is handed over. */
struct letter {
    struct aff_list link;
    struct sim_event event;
    struct sim_node *node;
    uint64_t incarnation; /* for which it was meant; 0: whichever runs */
    void (*hand_over)(struct sim_node *n, struct letter *letter);
    bool dropped; /* set when it never reaches its node */
    union {
        struct {
            struct sim_producer *producer;
            struct aff_delivery_report report;
            int key;
        } report;
        struct sim_batch *batch;
        uint32_t major;
        struct {
            struct aff_go go;
            int64_t lasts_ns;
        } go;
        struct {
            uint32_t major;
            bool taken;
        } went;
        struct sim_attempt *attempt;
        struct {
            void (*run)(struct sim_node *n, struct sim_attempt *attempt);
            struct sim_attempt *attempt;
        } call;
    } u;
};

static void plan_pass(struct sim_node *n)
{
    struct sim *sim = n->sim;
    int64_t at = sim->now_ns + sim_between(&sim->random, 0, SIM_MS / 10);

    if (!n->core || aff_heap_has(&n->pass.node))
        return;
    if (at < n->paused_until_ns) /* its timers may fire before it looks into the inbox, or after */
        at = n->paused_until_ns + (int64_t)sim_below(&sim->random, 2);
    sim_at(sim, &n->pass, at);
}

static void letter_arrives(struct sim *sim, struct sim_event *event)
{
    struct letter *letter = aff_container_of(event, struct letter, event);
    struct sim_node *n = letter->node;

    (void)sim;
    aff_list_remove(&letter->link);
    aff_list_append(&n->inbox, &letter->link);
    plan_pass(n);
}

static struct letter *letter_new(struct sim_node *n, void (*hand_over)(struct sim_node *n, struct letter *letter))
{
    struct letter *letter = aff_xcalloc(1, sizeof *letter);

    letter->node = n;
    letter->incarnation = n->incarnation;
    letter->hand_over = hand_over;
    letter->event.run = letter_arrives;
    aff_list_append(&n->under_way, &letter->link);
    return letter;
}

static void hand_over_batch(struct sim_node *n, struct letter *letter);
static void hand_over_attempt(struct sim_node *n, struct letter *letter);
static void hand_over_call(struct sim_node *n, struct letter *letter);

/* It cannot reach its node any more. */
static void letter_drop(struct letter *letter)
{
    if (letter->hand_over == hand_over_batch)
        free(letter->u.batch);
    else if (letter->hand_over == hand_over_attempt)
        sim_attempt_lost(letter->u.attempt);
    else if (letter->hand_over == hand_over_call)
        sim_attempt_lost(letter->u.call.attempt);
    sim_cancel(letter->node->sim, &letter->event);
    aff_list_remove(&letter->link);
    free(letter);
}

static void drop_all(struct aff_list *letters)
{
    struct aff_list *node;

    while ((node = aff_list_first(letters)))
        letter_drop(aff_container_of(node, struct letter, link));
}

/* ---- what a letter does ---- */

static void hand_over_report(struct sim_node *n, struct letter *letter)
{
    const struct aff_delivery_report *r = &letter->u.report.report;
    bool claims;

    sim_producer_reported(letter->u.report.producer, letter->u.report.key);
    if (letter->u.report.producer != n->producer)
        return; /* given up meanwhile */
    sim_trace_line(n->sim, "n%d < report S%" PRIu64 " %s at %" PRId64, n->index, r->seq,
                   r->status ? aff_error_name(r->status) : "ok", r->offset);
    claims = n->standing.role == AFF_ROLE_CLAIMING;
    aff_core_report(n->core, r);
    if (claims && n->standing.role == AFF_ROLE_MASTER)
        sim_count(n->sim->coverage, SIM_LEADS_UNREAD);
}

/* What the log was like when this was read. */
static void note_compaction(struct sim_node *n, const struct sim_batch *b)
{
    if (b->clean_bound > n->store->clean_bound)
        n->store->clean_bound = b->clean_bound;
    if (b->doubt_until > n->store->doubt_until)
        n->store->doubt_until = b->doubt_until;
}

static void trace_batch(const struct sim_node *n, const struct sim_batch *b)
{
    char offsets[100] = "";
    int at = 0;

    if (!n->sim->tracing)
        return;
    for (int64_t i = 0; i < b->count && at < (int)sizeof offsets - 24; i++)
        at += snprintf(offsets + at, sizeof offsets - (size_t)at, "%" PRId64 " ", b->offsets[i]);
    sim_trace_line(n->sim,
                   "n%d < read #%" PRIu64 " %s %" PRId64 " records: %snext %" PRId64 ", log %" PRId64 " to %" PRId64,
                   n->index, b->ticket, b->status ? aff_error_name(b->status) : "ok", b->count, offsets, b->next,
                   b->start, b->end);
}

static void hand_over_batch(struct sim_node *n, struct letter *letter)
{
    const struct sim_batch *b = letter->u.batch;
    struct sim_log *log = n->sim->log;
    int64_t i = 0;

    trace_batch(n, b);
    if (b->ticket == n->ticket)
        note_compaction(n, b);
    for (; i < b->count; i++) {
        aff_record_decode(&log->entries[b->offsets[i]]->view, &n->scratch);
        if (!aff_core_record(n->core, b->ticket, &n->scratch))
            break;
    }
    aff_core_read_done(n->core, b->ticket, b->status, b->next, b->start, b->end);
    free(letter->u.batch);
}

static void hand_over_lead(struct sim_node *n, struct letter *letter)
{
    (void)letter;
    sim_trace_line(n->sim, "n%d < lead", n->index);
    aff_core_lead(n->core);
}

static void hand_over_resign(struct sim_node *n, struct letter *letter)
{
    (void)letter;
    sim_trace_line(n->sim, "n%d < resign", n->index);
    aff_core_resign(n->core);
}

static void hand_over_grant(struct sim_node *n, struct letter *letter)
{
    sim_trace_line(n->sim, "n%d < granted %" PRIu32, n->index, letter->u.major);
    aff_core_granted(n->core, letter->u.major);
}

static void hand_over_give(struct sim_node *n, struct letter *letter)
{
    uint32_t before = n->gives, gave = n->gave;

    sim_trace_line(n->sim, "n%d < give, to who claims %" PRIu32, n->index, letter->u.major);
    n->gives = letter->u.major;
    if (!aff_core_give(n->core, letter->u.major) && n->gave == gave)
        n->gives = before; /* that one is still under way */
}

static void hand_over_go(struct sim_node *n, struct letter *letter)
{
    sim_trace_line(n->sim, "n%d < go %" PRIu32, n->index, letter->u.go.go.major);
    aff_core_take(n->core, &letter->u.go.go, sim_node_mono_ns(n) + letter->u.go.lasts_ns);
}

static void hand_over_went(struct sim_node *n, struct letter *letter)
{
    sim_trace_line(n->sim, "n%d < went %" PRIu32 ": %s", n->index, letter->u.went.major, letter->u.went.taken ? "leads" : "no");
    aff_core_went(n->core, letter->u.went.major, letter->u.went.taken);
}

static void hand_over_attempt(struct sim_node *n, struct letter *letter)
{
    sim_attempt_submit(n, letter->u.attempt);
}

static void hand_over_call(struct sim_node *n, struct letter *letter)
{
    letter->u.call.run(n, letter->u.call.attempt);
}

void sim_node_report(struct sim_node *n, struct sim_producer *p, const struct aff_delivery_report *report, int key,
                     int64_t at_ns)
{
    struct letter *letter = letter_new(n, hand_over_report);

    letter->u.report.producer = p;
    letter->u.report.report = *report;
    letter->u.report.key = key;
    sim_at(n->sim, &letter->event, at_ns);
}

struct sim_batch *sim_batch_new(int64_t count)
{
    struct sim_batch *batch = aff_xcalloc(1, sizeof *batch + (size_t)count * sizeof *batch->offsets);

    batch->count = count;
    return batch;
}

void sim_node_batch(struct sim_node *n, struct sim_batch *batch, int64_t at_ns)
{
    struct letter *letter = letter_new(n, hand_over_batch);

    letter->u.batch = batch;
    sim_at(n->sim, &letter->event, at_ns);
}

void sim_node_lead(struct sim_node *n, int64_t at_ns)
{
    sim_at(n->sim, &letter_new(n, hand_over_lead)->event, at_ns);
}

void sim_node_resign(struct sim_node *n, int64_t at_ns)
{
    sim_at(n->sim, &letter_new(n, hand_over_resign)->event, at_ns);
}

void sim_node_granted(struct sim_node *n, uint32_t major, uint64_t incarnation, int64_t at_ns)
{
    struct letter *letter = letter_new(n, hand_over_grant);

    letter->u.major = major;
    letter->incarnation = incarnation;
    sim_at(n->sim, &letter->event, at_ns);
}

void sim_node_give(struct sim_node *n, uint32_t major, int64_t at_ns)
{
    struct letter *letter = letter_new(n, hand_over_give);

    letter->u.major = major;
    sim_at(n->sim, &letter->event, at_ns);
}

void sim_node_go(struct sim_node *n, const struct aff_go *go, int64_t lasts_ns, uint64_t incarnation, int64_t at_ns)
{
    struct letter *letter = letter_new(n, hand_over_go);

    letter->u.go.go = *go;
    letter->u.go.lasts_ns = lasts_ns;
    letter->incarnation = incarnation;
    sim_at(n->sim, &letter->event, at_ns);
}

void sim_node_went(struct sim_node *n, uint32_t major, bool taken, uint64_t incarnation, int64_t at_ns)
{
    struct letter *letter = letter_new(n, hand_over_went);

    letter->u.went.major = major;
    letter->u.went.taken = taken;
    letter->incarnation = incarnation;
    sim_at(n->sim, &letter->event, at_ns);
}

void sim_node_submit(struct sim_node *n, struct sim_attempt *attempt)
{
    struct letter *letter = letter_new(n, hand_over_attempt);

    letter->u.attempt = attempt;
    sim_at(n->sim, &letter->event, n->sim->now_ns);
}

void sim_node_go_on(struct sim_node *n, void (*run)(struct sim_node *n, struct sim_attempt *attempt),
                    struct sim_attempt *attempt)
{
    struct letter *letter = letter_new(n, hand_over_call);

    letter->u.call.run = run;
    letter->u.call.attempt = attempt;
    aff_list_remove(&letter->link);
    aff_list_append(n->inbox.next, &letter->link); /* before the first */
    plan_pass(n);
}

/* ---- passes ---- */

static void go_down(struct sim_node *n, const char *how);

static void hand_over_first(struct sim_node *n)
{
    struct letter *letter = aff_container_of(aff_list_take(&n->inbox), struct letter, link);

    if (letter->incarnation != n->incarnation) {
        letter_drop(letter);
        return;
    }
    letter->hand_over(n, letter);
    free(letter);
}

/* What came, or a part of it, as one pass of a loop sees it. */
static void hand_over_some(struct sim_node *n)
{
    uint64_t most = sim_below(&n->sim->random, 4) ? UINT64_MAX : 1 + sim_below(&n->sim->random, 3);
    uint64_t done = 0;

    while (done++ < most && !aff_list_empty(&n->inbox) && n->paused_until_ns <= n->sim->now_ns && !n->sim->violated)
        hand_over_first(n);
}

static void plan_tick(struct sim_node *n)
{
    int64_t next = aff_core_next_tick(n->core);

    if (next == INT64_MAX)
        sim_cancel(n->sim, &n->tick);
    else
        sim_at(n->sim, &n->tick,
               next + n->asleep_ns > n->sim->now_ns ? next + n->asleep_ns : n->sim->now_ns + SIM_MS / 100);
}

/* The end of a pass: commit, answer, append; then the state of the node is looked at. */
static void end_pass(struct sim_node *n)
{
    bool more = aff_core_flush(n->core);

    aff_core_standing(n->core, &n->standing);
    sim_check_node(n);
    n->busy_passes = more ? n->busy_passes + 1 : 0;
    if (n->busy_passes > BUSY_PASSES_MAX)
        sim_violation(n->sim, "progress", "n%d is busy with nothing: %d flushes in a row want another one", n->index,
                      n->busy_passes);
    plan_tick(n);
    if (more || !aff_list_empty(&n->inbox))
        plan_pass(n);
}

/* The process is gone, in order or because its core has failed; it comes back. */
static void leave(struct sim_node *n, const char *how)
{
    go_down(n, how);
    sim_coordinator_node_died(n->sim->coordinator, n);
    sim_node_restart_later(n);
}

static void pass_runs(struct sim *sim, struct sim_event *event)
{
    struct sim_node *n = aff_container_of(event, struct sim_node, pass);

    if (!sim_node_paused(n))
        hand_over_some(n);
    if (sim->violated)
        return;
    if (sim_node_paused(n)) { /* perhaps in the middle of the pass */
        sim_at(sim, event, n->paused_until_ns);
        return;
    }
    end_pass(n);
    if (n->standing.role == AFF_ROLE_FAILED) {
        sim_count(sim->coverage, SIM_FAILURES);
        sim_trace_line(sim, "n%d: %s", n->index, n->standing.failure);
        leave(n, "failed");
    } else if (n->stopping && aff_core_idle(n->core)) {
        sim_count(sim->coverage, SIM_STOPS);
        leave(n, "stopped");
    }
}

static void tick_runs(struct sim *sim, struct sim_event *event)
{
    struct sim_node *n = aff_container_of(event, struct sim_node, tick);

    if (sim_node_paused(n)) {
        sim_at(sim, event, n->paused_until_ns);
        return;
    }
    aff_core_tick(n->core);
    plan_pass(n);
}

/* ---- life ---- */

void sim_node_start(struct sim_node *n)
{
    struct sim *sim = n->sim;
    struct aff_core_opts opts = {
        .keyspace = "sim",
        .partitions = 1,
        .compaction_lag_ms = sim->profile.lag_ms,
        .tombstone_retention_ms = sim->profile.retention_ms,
        .heartbeat_ms = sim->profile.heartbeat_ms,
        .window = (uint32_t)sim->profile.window,
        .queue = (uint32_t)sim->profile.queue,
        .stall_ms = sim->profile.stall_ms,
        .mutants = sim->mutants,
    };

    assert(!n->core);
    n->incarnation++;
    n->dying = n->stopping = false;
    n->busy_passes = 0;
    n->keep_from = 0;
    n->last_sent = n->gone = (struct aff_stamp){ 0 };
    sim_node_wake(n);
    n->healthy_since_ns = sim->now_ns;
    n->store->detached = false;
    n->producer = sim_producer_new(sim->log, n->index);
    n->world.store = &n->store->world;
    if (aff_core_new(&opts, &n->world, &n->core) != 0)
        abort();
    aff_core_standing(n->core, &n->standing);
    sim_trace_line(sim, "n%d: starts, incarnation %" PRIu64, n->index, n->incarnation);
    aff_core_start(n->core);
    plan_tick(n);
    plan_pass(n);
}

/* The process ends. Whatever the core still says while it is freed is checked only if the end was in order. */
static void go_down(struct sim_node *n, const char *how)
{
    sim_trace_line(n->sim, "n%d: %s", n->index, how);
    sim_cancel(n->sim, &n->pass);
    sim_cancel(n->sim, &n->tick);
    n->core = aff_core_free(n->core);
    n->dying = true;
    sim_producer_give_up(n->producer);
    n->producer = NULL;
    sim_store_crash(n->store);
    n->standing = (struct aff_standing){ .role = AFF_ROLE_OPENING };
    drop_all(&n->inbox);
    drop_all(&n->under_way);
}

void sim_node_crash(struct sim_node *n)
{
    sim_count(n->sim->coverage, SIM_CRASHES);
    sim_store_crash(n->store);
    n->store->detached = true;
    n->dying = true;
    go_down(n, "crashes");
    sim_coordinator_node_died(n->sim->coordinator, n);
}

void sim_node_stop(struct sim_node *n)
{
    sim_trace_line(n->sim, "n%d: drains", n->index);
    n->stopping = true;
    aff_core_drain(n->core);
    plan_pass(n);
    sim_at(n->sim, &n->restart, n->sim->now_ns + STOP_PATIENCE_S * SIM_S);
}

void sim_node_pause(struct sim_node *n, int64_t for_ns, bool machine_sleeps)
{
    sim_count(n->sim->coverage, SIM_PAUSES);
    sim_trace_line(n->sim, "n%d: paused for %.3f ms%s", n->index, (double)for_ns / (double)SIM_MS,
                   machine_sleeps ? ", its machine asleep" : "");
    n->paused_until_ns = n->sim->now_ns + for_ns;
    n->healthy_since_ns = n->paused_until_ns;
    n->sleeps = machine_sleeps;
    if (machine_sleeps)
        n->asleep_ns += for_ns;
}

void sim_node_wake(struct sim_node *n)
{
    int64_t now = n->sim->now_ns;

    if (n->paused_until_ns <= now)
        return;
    if (n->sleeps)
        n->asleep_ns -= n->paused_until_ns - now;
    n->paused_until_ns = n->healthy_since_ns = now;
}

static void restart_runs(struct sim *sim, struct sim_event *event)
{
    struct sim_node *n = aff_container_of(event, struct sim_node, restart);

    (void)sim;
    if (!n->core)
        sim_node_start(n);
    else if (n->stopping)
        leave(n, "stopped, with work left");
}

void sim_node_restart_later(struct sim_node *n)
{
    sim_at(n->sim, &n->restart, n->sim->now_ns + sim_spread(&n->sim->random, 10 * SIM_MS, 30 * SIM_S));
}

struct sim_node *sim_node_new(struct sim *sim, int index)
{
    struct sim_node *n = aff_xcalloc(1, sizeof *n);

    n->sim = sim;
    n->index = index;
    n->store = sim_store_new(sim);
    n->pass.run = pass_runs;
    n->tick.run = tick_runs;
    n->restart.run = restart_runs;
    aff_list_init(&n->inbox);
    aff_list_init(&n->under_way);
    n->wall_off_ms = sim_between(&sim->random, -5000, 5000);
    sim_world_make(n);
    return n;
}

void sim_node_end(struct sim_node *n)
{
    n->dying = n->sim->violated; /* then nobody asks any more */
    if (n->core)
        go_down(n, "ends");
    drop_all(&n->inbox); /* of one that was down already */
    drop_all(&n->under_way);
}

struct sim_node *sim_node_free(struct sim_node *n)
{
    n->store = sim_store_free(n->store);
    n->backup = sim_store_free(n->backup);
    free(n);
    return NULL;
}

/* ---- questions ---- */

bool sim_node_paused(const struct sim_node *n)
{
    return n->paused_until_ns > n->sim->now_ns;
}

bool sim_node_leads(const struct sim_node *n)
{
    return n->core && n->standing.role == AFF_ROLE_MASTER;
}

uint64_t sim_node_incarnation(const struct sim_node *n)
{
    return n->incarnation;
}

uint64_t sim_node_ticket(const struct sim_node *n)
{
    return n->ticket;
}

int64_t sim_node_keeps_from(const struct sim_node *n)
{
    return n->core ? n->keep_from : 0;
}

int64_t sim_node_mono_ns(const struct sim_node *n)
{
    return n->sim->now_ns - n->asleep_ns;
}

int64_t sim_node_boot_ns(const struct sim_node *n)
{
    return n->sim->now_ns + SIM_HOUR;
}

int64_t sim_node_wall_ms(const struct sim_node *n)
{
    return SIM_WALL_START_MS + n->sim->now_ns / SIM_MS + n->wall_off_ms;
}
