/*
 * faults.c - see faults.h.
 */
#include "faults.h"

#include "base/alloc.h"
#include "checker.h"
#include "fake_coordinator.h"
#include "trace.h"

#include <stdlib.h>

static struct sim_random *chance_of(const struct sim_faults *f)
{
    return &f->sim->random;
}

/* Any node that is up, or NULL. */
static struct sim_node *choose_up(struct sim_faults *f)
{
    struct sim_node *n = f->sim->nodes[sim_below(chance_of(f), (uint64_t)f->sim->profile.nodes)];

    return sim_node_up(n) ? n : NULL;
}

/* ---- of nodes ---- */

/* Somebody is told to lead; now and then somebody else as well, at the same time. */
static void elect(struct sim_faults *f)
{
    uint64_t nodes = (uint64_t)f->sim->profile.nodes;
    int node = (int)sim_below(chance_of(f), nodes);

    sim_coordinator_elect(f->sim->coordinator, node, sim_below(chance_of(f), 2));
    if (sim_below(chance_of(f), 3) == 0)
        sim_coordinator_elect(f->sim->coordinator, (node + 1) % (int)nodes, false);
}

/* Of those who lead, or say so, one is to give the partition to any other. */
static void hand_over(struct sim_faults *f)
{
    int nodes = f->sim->profile.nodes, from = (int)sim_below(chance_of(f), (uint64_t)nodes);

    for (int i = 0; i < nodes; i++, from = (from + 1) % nodes)
        if (sim_node_leads(f->sim->nodes[from])) {
            (void)sim_coordinator_hand_over(f->sim->coordinator, from,
                                            (from + 1 + (int)sim_below(chance_of(f), (uint64_t)nodes - 1)) % nodes);
            return;
        }
}

static void pause_one(struct sim_faults *f)
{
    struct sim_node *n = choose_up(f);
    int64_t for_ns = sim_spread(chance_of(f), 10 * SIM_MS, 2 * SIM_MINUTE);

    if (f->sim->profile.long_idle && sim_below(chance_of(f), 4) == 0)
        for_ns = sim_between(chance_of(f), SIM_MINUTE, 2 * SIM_HOUR);
    if (n && !sim_node_paused(n))
        sim_node_pause(n, for_ns, sim_below(chance_of(f), 5) == 0);
}

static void crash_one(struct sim_faults *f)
{
    struct sim_node *n = choose_up(f);

    if (!n)
        return;
    sim_node_crash(n);
    sim_node_restart_later(n);
}

static void drain_one(struct sim_faults *f)
{
    struct sim_node *n = choose_up(f);

    if (n && !n->stopping && !sim_node_paused(n))
        sim_node_stop(n);
}

static void set_clock(struct sim_faults *f)
{
    struct sim_node *n = f->sim->nodes[sim_below(chance_of(f), (uint64_t)f->sim->profile.nodes)];

    n->wall_set_ns = f->sim->now_ns;
    n->wall_off_ms += sim_between(chance_of(f), -1, 1) * sim_spread(chance_of(f), 1000, 7200000);
    sim_count(f->sim->coverage, SIM_CLOCK_JUMPS);
    sim_trace_line(f->sim, "n%d: its wall clock is set, now %+.3f s", n->index, (double)n->wall_off_ms / 1000.0);
}

/* ---- of disks ---- */

static void make_backup(struct sim_node *n)
{
    if (n->store->undo_count > 0)
        return;
    sim_store_free(n->backup);
    n->backup = sim_store_copy(n->store);
    sim_trace_line(n->sim, "n%d: a backup is made", n->index);
}

/* The process starts again on the disk as it was some time ago. */
static void restore_backup(struct sim_faults *f)
{
    struct sim_node *n = f->sim->nodes[sim_below(chance_of(f), (uint64_t)f->sim->profile.nodes)];

    if (!n->backup) {
        make_backup(n);
        return;
    }
    if (sim_node_up(n))
        sim_node_crash(n);
    sim_trace_line(f->sim, "n%d: its backup is restored", n->index);
    sim_count(f->sim->coverage, SIM_BACKUPS);
    sim_store_free(n->store);
    n->store = n->backup;
    n->backup = NULL;
    sim_node_restart_later(n);
}

static void lose_disk(struct sim_faults *f)
{
    struct sim_node *n = f->sim->nodes[sim_below(chance_of(f), (uint64_t)f->sim->profile.nodes)];

    if (sim_node_up(n))
        sim_node_crash(n);
    sim_trace_line(f->sim, "n%d: its disk is lost", n->index);
    sim_count(f->sim->coverage, SIM_DISKS_LOST);
    sim_store_free(n->store);
    n->store = sim_store_new(f->sim);
    sim_node_restart_later(n);
}

static void fill_disk(struct sim_faults *f)
{
    struct sim_node *n = choose_up(f);

    if (n)
        n->store->full = !n->store->full;
}

/* ---- of the log ---- */

static void log_is_troubled(struct sim_faults *f, int64_t for_ns)
{
    if (f->sim->now_ns + for_ns > f->log_trouble_until_ns)
        f->log_trouble_until_ns = f->sim->now_ns + for_ns;
}

static void break_log(struct sim_faults *f)
{
    int64_t for_ns = sim_spread(chance_of(f), 100 * SIM_MS, 30 * SIM_S);

    sim_trace_line(f->sim, "log: out for %.3f ms", (double)for_ns / (double)SIM_MS);
    log_is_troubled(f, for_ns);
    sim_log_outage(f->sim->log, f->sim->now_ns + for_ns);
}

/* Somebody changes a setting of the log, and puts it right again. */
static void distrust_log(struct sim_faults *f)
{
    int64_t for_ns = sim_spread(chance_of(f), 100 * SIM_MS, 2 * SIM_MINUTE);

    sim_trace_line(f->sim, "log: not as it must be for %.3f ms", (double)for_ns / (double)SIM_MS);
    log_is_troubled(f, for_ns);
    sim_log_distrust(f->sim->log, f->sim->now_ns + for_ns);
}

/* The appends of one node are held up, those of the others are not. */
static void stall_one(struct sim_faults *f)
{
    struct sim_node *n = choose_up(f);
    int64_t for_ns = sim_spread(chance_of(f), 50 * SIM_MS, 5 * SIM_MINUTE);

    if (!n)
        return;
    sim_trace_line(f->sim, "log: appends of n%d are held up for %.3f ms", n->index, (double)for_ns / (double)SIM_MS);
    log_is_troubled(f, for_ns);
    sim_producer_stall(n->producer, f->sim->now_ns + for_ns);
}

static void write_foreign(struct sim_faults *f)
{
    sim_log_foreign(f->sim->log, (int)sim_below(chance_of(f), (uint64_t)sim_client_keys(f->sim)));
}

/* Once in a while, whatever else happens. */
static void compaction_runs(struct sim *sim, struct sim_event *event)
{
    sim_check_plain_reader(sim);
    sim_log_compact(sim->log);
    sim_check_plain_reader(sim);
    sim_check_progress(sim);
    sim_at(sim, event, sim->now_ns + sim_between(&sim->random, SIM_MINUTE, sim->profile.lag_ms * SIM_MS));
}

/* ---- a long absence: a store that is older than tombstones live comes back (I8) ---- */

static void keep_down(struct sim_node *n)
{
    if (sim_node_up(n))
        sim_node_crash(n);
    sim_cancel(n->sim, &n->restart);
}

/* Deletes what there is, so that there are tombstones to be missed. */
static void delete_all(struct sim_faults *f, int64_t for_ns)
{
    struct sim *sim = f->sim;

    for (int k = 0; k < sim_client_keys(sim); k++)
        for (int i = 0; i < sim->profile.nodes; i++)
            if (sim_node_leads(sim->nodes[i]))
                sim_clients_send(sim_clients_make(sim->clients, SIM_DELETE, k, i));
    sim_run_until(sim, sim->now_ns + for_ns);
}

/* Everybody who was away is back; who stood still goes on where it was. */
static void come_back(struct sim_faults *f, const struct sim_node *first, int64_t others_wait_ns)
{
    for (int i = 0; i < f->sim->profile.nodes; i++) {
        struct sim_node *n = f->sim->nodes[i];

        sim_node_wake(n);
        if (sim_node_up(n))
            sim_at(f->sim, &n->pass, f->sim->now_ns);
        else
            sim_at(f->sim, &n->restart, f->sim->now_ns + SIM_S + (n == first ? 0 : others_wait_ns));
    }
}

/*
 * One node goes down with what it has, or stands still. Keys are deleted meanwhile, and then all nodes may be down for a part of
 * the time. When it comes back, alone or not, the tombstones may be gone.
 */
static void be_away_long(struct sim_faults *f)
{
    struct sim *sim = f->sim;
    struct sim_node *n = sim->nodes[sim_below(chance_of(f), (uint64_t)sim->profile.nodes)];
    int64_t retention = sim->profile.retention_ms * SIM_MS;
    bool all = sim_below(chance_of(f), 2), alone = sim_below(chance_of(f), 2);

    sim_trace_line(sim, "n%d: away for long%s", n->index, all ? ", and the others for a while" : "");
    if (sim_node_up(n) && sim_below(chance_of(f), 2))
        sim_node_pause(n, 100 * SIM_HOUR, false);
    else
        keep_down(n);
    sim_run_until(sim, sim->now_ns + 10 * SIM_S);
    delete_all(f, sim_between(chance_of(f), 0, retention / 2));
    for (int i = 0; i < sim->profile.nodes && all && !sim->violated; i++)
        if (sim->nodes[i] != n)
            keep_down(sim->nodes[i]);
    sim_run_until(sim, sim->now_ns + sim_between(chance_of(f), retention / 2, 2 * retention));
    sim_log_compact(sim->log); /* sets the horizon of tombstones, or has done so before */
    sim_run_until(sim, sim->now_ns + sim_between(chance_of(f), 0, 2 * retention));
    sim_log_compact(sim->log);
    if (sim->violated)
        return;
    come_back(f, n, alone ? SIM_MINUTE : 0);
    if (alone)
        sim_coordinator_elect(sim->coordinator, n->index, false);
    sim_run_until(sim, sim->now_ns + sim_spread(chance_of(f), SIM_S, 2 * SIM_MINUTE));
}

/* ---- choosing ---- */

static void break_lease(struct sim_faults *f)
{
    f->sim->coordinator->lease_lapses = !f->sim->coordinator->lease_lapses;
}

void sim_faults_step(struct sim_faults *f)
{
    const struct sim_profile *p = &f->sim->profile;
    const struct {
        unsigned chance;
        void (*happens)(struct sim_faults *f);
    } kinds[] = {
        { p->election, elect },          { p->pause, pause_one },       { p->crash, crash_one },
        { p->drain, drain_one },         { p->clock_jump, set_clock },  { p->backup_restored, restore_backup },
        { p->disk_lost, lose_disk },     { p->no_room, fill_disk },     { p->outage, break_log },
        { p->stall, stall_one },         { p->foreign, write_foreign }, { p->long_absence, be_away_long },
        { p->lease_lapse, break_lease }, { p->distrust, distrust_log },  { p->handover, hand_over },
    };

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && !f->sim->violated; i++)
        if (sim_chance(chance_of(f), kinds[i].chance))
            kinds[i].happens(f);
    sim_check_progress(f->sim);
}

void sim_faults_heal(struct sim_faults *f)
{
    struct sim *sim = f->sim;

    sim->quiet = true;
    sim->coordinator->lease_lapses = false;
    sim_log_settle(sim->log);
    for (int i = 0; i < sim->profile.nodes; i++) {
        struct sim_node *n = sim->nodes[i];

        n->store->full = false;
        sim_node_wake(n);
        n->healthy_since_ns = sim->now_ns;
        if (!sim_node_up(n))
            sim_at(sim, &n->restart, sim->now_ns);
        else
            sim_at(sim, &n->pass, sim->now_ns);
    }
}

struct sim_faults *sim_faults_new(struct sim *sim)
{
    struct sim_faults *f = aff_xcalloc(1, sizeof *f);

    f->sim = sim;
    f->compaction.run = compaction_runs;
    sim_at(sim, &f->compaction, sim->now_ns + SIM_MINUTE);
    return f;
}

struct sim_faults *sim_faults_free(struct sim_faults *f)
{
    free(f);
    return NULL;
}
