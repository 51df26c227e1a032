/*
 * profile.c - the world of a seed: how large, how fast, how bad. Every kind of fault is absent from many seeds, so that each is
 * also seen alone; some seeds are calm.
 */
#include "sim.h"

/* A chance that is often none, else up to `most`. */
static unsigned rate(struct sim_random *r, unsigned most)
{
    return sim_below(r, 100) < 50 ? 0 : 1 + (unsigned)sim_below(r, most);
}

static void choose_load(struct sim_profile *p, struct sim_random *r)
{
    p->registers = (int)sim_between(r, 1, SIM_REGISTERS_MAX);
    p->ledgers = (int)sim_between(r, 1, SIM_LEDGERS_MAX);
    p->steps = (int)sim_between(r, 100, 600);
    p->gap_ns = sim_spread(r, SIM_MS / 10, 50 * SIM_MS);
    p->write_chance = (unsigned)sim_between(r, 5000, 9000);
    p->command_chance = (unsigned)sim_between(r, 2000, 7000);
    p->id_chance = (unsigned)sim_between(r, 2000, 9000);
    p->condition_chance = rate(r, 3000);
    p->ttl_chance = rate(r, 1500);
    p->deadline_chance = rate(r, 4000);
    p->burst_chance = rate(r, 3000);
    p->idle_chance = rate(r, 500);
    p->long_idle = sim_below(r, 3) == 0;
}

static void choose_times(struct sim_profile *p, struct sim_random *r)
{
    static const int64_t heartbeats[] = { 0, 0, 1000, 30000 };

    p->latency_ns = sim_spread(r, SIM_MS / 5, 5 * SIM_MS);
    p->lag_ms = sim_between(r, 5, 30) * 60000;
    p->retention_ms = sim_between(r, 30, 240) * 60000;
    p->heartbeat_ms = heartbeats[sim_below(r, 4)];
    p->compaction_obeys = sim_below(r, 3) == 0;
    p->start_moves = sim_below(r, 2);
    p->window = sim_below(r, 3) ? 256 : (int)sim_between(r, 1, 4);
    p->queue = sim_below(r, 4) ? 4096 : (int)sim_between(r, 2, 8);
    p->stall_ms = sim_below(r, 2) ? 0 : sim_between(r, 100, 10000);
}

static void choose_faults(struct sim_profile *p, struct sim_random *r)
{
    p->election = rate(r, 600);
    p->pause = rate(r, 400);
    p->crash = rate(r, 300);
    p->drain = rate(r, 100);
    p->clock_jump = rate(r, 200);
    p->backup_restored = rate(r, 150);
    p->disk_lost = rate(r, 80);
    p->no_room = rate(r, 100);
    p->outage = rate(r, 200);
    p->stall = rate(r, 300);
    p->foreign = rate(r, 200);
    p->lease_lapse = rate(r, 500);
    p->distrust = rate(r, 150);
    p->long_absence = sim_below(r, 6) == 0 ? 60 : 0;
    if (p->heartbeat_ms && (p->long_idle || p->long_absence)) /* a beat each second for hours is only slow */
        p->heartbeat_ms = 60000;
    p->report_lost = rate(r, 150);
    p->report_no_offset = rate(r, 150);
    p->resend = rate(r, 200);
    p->refused = rate(r, 80);
    p->broken = rate(r, 100);
    p->again = rate(r, 500);
    p->commit_fails = rate(r, 10);
    p->disk_fails = rate(r, 60);
    p->read_fails = rate(r, 300);
    p->grant_lost = rate(r, 3000);
    p->grant_twice = rate(r, 5000);
    p->handover = rate(r, 1500);
    p->net_lost = rate(r, 4000);
    p->net_twice = rate(r, 4000);
    p->net_slow = rate(r, 5000);
    p->go_pause = rate(r, 10000);
}

static void be_calm(struct sim_profile *p)
{
    p->election = p->pause = p->crash = p->drain = p->backup_restored = p->disk_lost = p->no_room = 0;
    p->outage = p->stall = p->foreign = p->long_absence = p->distrust = 0;
    p->report_lost = p->report_no_offset = p->resend = p->refused = p->broken = p->again = 0;
    p->commit_fails = p->disk_fails = p->read_fails = p->grant_lost = p->grant_twice = p->net_lost = p->net_slow = p->go_pause = 0;
}

void sim_profile_make(struct sim_profile *p, struct sim_random *r, int nodes)
{
    uint64_t lease = sim_below(r, 10);

    *p = (struct sim_profile){ .nodes = nodes ? nodes : (int)sim_between(r, 2, SIM_NODES_MAX) };
    choose_load(p, r);
    choose_times(p, r);
    choose_faults(p, r);
    p->lease_mode = lease < 6 ? SIM_LEASE_NONE : lease < 9 ? SIM_LEASE_TIMED : SIM_LEASE_LOCK;
    if (sim_below(r, 20) == 0)
        be_calm(p);
}
