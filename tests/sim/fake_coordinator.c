/*
 * fake_coordinator.c - see fake_coordinator.h.
 */
#include "fake_coordinator.h"

#include "base/alloc.h"
#include "trace.h"

#include <inttypes.h>
#include <stdlib.h>

enum { LEASE_S = 3, NO_MASTER_S = 6, WATCH_S = 5 };

struct request {
    struct aff_list link;
    struct sim_event event;
    struct sim_node *node;
    uint64_t incarnation;
    uint32_t above;
};

/* ---- elections ---- */

void sim_coordinator_elect(struct sim_coordinator *c, int node, bool resigns)
{
    struct sim *sim = c->sim;

    sim_count(sim->coverage, SIM_ELECTIONS);
    sim_trace_line(sim, "coordinator: n%d is to lead%s", node, resigns ? ", the one before is to stop" : "");
    if (resigns && c->told >= 0 && c->told != node && sim_node_up(sim->nodes[c->told]))
        sim_node_resign(sim->nodes[c->told], sim->now_ns + sim_spread(&sim->random, SIM_MS, SIM_S));
    c->told = node;
    c->elected_ns = sim->now_ns;
    if (sim_node_up(sim->nodes[node]))
        sim_node_lead(sim->nodes[node], sim->now_ns + sim_spread(&sim->random, SIM_MS / 10, SIM_S));
}

bool sim_somebody_leads(const struct sim *sim)
{
    for (int i = 0; i < sim->profile.nodes; i++)
        if (sim_node_leads(sim->nodes[i]) && !sim_node_paused(sim->nodes[i]))
            return true;
    return false;
}

static bool somebody_is_up(const struct sim *sim)
{
    for (int i = 0; i < sim->profile.nodes; i++)
        if (sim_node_up(sim->nodes[i]))
            return true;
    return false;
}

/* Nobody has led for a while: somebody should. */
static void watch_runs(struct sim *sim, struct sim_event *event)
{
    struct sim_coordinator *c = sim->coordinator;
    bool leads = sim_somebody_leads(sim);

    if (!leads && !sim->quiet && somebody_is_up(sim) && sim->now_ns - c->elected_ns > NO_MASTER_S * SIM_S)
        sim_coordinator_elect(c, (int)sim_below(&sim->random, (uint64_t)sim->profile.nodes), false);
    sim_at(sim, event, sim->now_ns + (leads ? 12 : 1) * WATCH_S * SIM_S);
}

/* It follows for a while; then somebody is told anew, unless that has happened already (the watch sees to it). */
void sim_coordinator_deposed(struct sim_coordinator *c, struct sim_node *n)
{
    if (c->told == n->index)
        sim_at(c->sim, &c->watch, c->sim->now_ns + sim_between(&c->sim->random, 2 * SIM_S, 6 * SIM_S));
}

void sim_coordinator_node_died(struct sim_coordinator *c, const struct sim_node *n)
{
    if (c->lease_node == n->index)
        c->lease_node = -1;
    if (c->told == n->index)
        sim_at(c->sim, &c->watch, c->sim->now_ns + sim_spread(&c->sim->random, 10 * SIM_MS, 5 * SIM_S));
}

/* ---- grants ---- */

/* Does a lease of somebody else stand in the way? Then: until when, or a while. */
static int64_t leased_until(struct sim_coordinator *c, const struct request *r)
{
    struct sim *sim = c->sim;

    if (c->lease_node < 0 || (c->lease_node == r->node->index && c->lease_incarnation == r->incarnation))
        return 0;
    if (sim->profile.lease_mode == SIM_LEASE_LOCK)
        return sim->now_ns + 20 * SIM_S;
    return c->lease_end_ns > sim->now_ns ? c->lease_end_ns + SIM_MS : 0;
}

static bool may_grant_twice(struct sim_coordinator *c, const struct request *r)
{
    return c->sim->profile.lease_mode == SIM_LEASE_NONE && !c->sim->quiet && c->highest > r->above &&
           c->highest_node >= 0 && c->highest_node != r->node->index &&
           sim_chance(&c->sim->random, c->sim->profile.grant_twice);
}

/* Decided now: this incarnation gets an epoch. */
static uint32_t grant(struct sim_coordinator *c, const struct request *r)
{
    if (may_grant_twice(c, r)) {
        sim_count(c->sim->coverage, SIM_EPOCHS_TWICE);
        c->highest_node = -1;
        return c->highest;
    }
    if (c->highest < r->above)
        c->highest = r->above;
    c->highest += 1 + (uint32_t)sim_below(&c->sim->random, 2) * (uint32_t)sim_below(&c->sim->random, 3);
    c->highest_node = r->node->index;
    c->highest_incarnation = r->incarnation;
    if (c->sim->profile.lease_mode == SIM_LEASE_LOCK) {
        c->lease_node = r->node->index;
        c->lease_incarnation = r->incarnation;
    }
    return c->highest;
}

static void request_runs(struct sim *sim, struct sim_event *event)
{
    struct request *r = aff_container_of(event, struct request, event);
    struct sim_coordinator *c = sim->coordinator;
    int64_t until = leased_until(c, r);
    uint32_t major;

    if (until > 0 && sim_node_up(r->node) && sim_node_incarnation(r->node) == r->incarnation) {
        sim_at(sim, event, until);
        return;
    }
    if (sim_node_incarnation(r->node) == r->incarnation && sim_node_up(r->node)) {
        major = grant(c, r);
        sim_trace_line(sim, "coordinator: grants %" PRIu32 " to n%d", major, r->node->index);
        if (!sim->quiet && sim_chance(&sim->random, sim->profile.grant_lost))
            sim_count(sim->coverage, SIM_GRANTS_LOST);
        else
            sim_node_granted(r->node, major, r->incarnation,
                             sim->now_ns + sim_spread(&sim->random, SIM_MS / 10, sim->quiet ? SIM_MS : 20 * SIM_S));
    }
    aff_list_remove(&r->link);
    free(r);
}

/* Who asks again has given up what it asked before. */
static void forget_requests(struct sim_coordinator *c, const struct sim_node *n)
{
    aff_list_each(node, &c->requests) {
        struct request *r = aff_container_of(node, struct request, link);

        if (r->node != n)
            continue;
        sim_cancel(c->sim, &r->event);
        aff_list_remove(&r->link);
        free(r);
    }
}

void sim_coordinator_request(struct sim_coordinator *c, struct sim_node *n, uint32_t above)
{
    struct request *r = aff_xcalloc(1, sizeof *r);

    forget_requests(c, n);
    r->node = n;
    r->incarnation = sim_node_incarnation(n);
    r->above = above;
    r->event.run = request_runs;
    aff_list_append(&c->requests, &r->link);
    sim_at(c->sim, &r->event, c->sim->now_ns + sim_spread(&c->sim->random, SIM_MS / 10, 100 * SIM_MS));
}

/* ---- leases ---- */

/*
 * A node that asks runs, so its heartbeat went out just now; it is renewed if it leads by the newest epoch of all, so that what
 * was granted to others before can only be void.
 */
static void renew(struct sim_coordinator *c, const struct sim_node *n)
{
    if (c->lease_lapses || c->told != n->index || c->highest_node != n->index ||
        c->highest_incarnation != sim_node_incarnation(n) || aff_epoch_major(n->standing.own.epoch) != c->highest)
        return;
    c->lease_node = n->index;
    c->lease_incarnation = sim_node_incarnation(n);
    c->lease_end_ns = c->sim->now_ns + LEASE_S * SIM_S;
}

int64_t sim_coordinator_lease(struct sim_coordinator *c, struct sim_node *n)
{
    if (c->sim->profile.lease_mode == SIM_LEASE_NONE)
        return 0;
    if (c->sim->profile.lease_mode == SIM_LEASE_TIMED && c->lease_end_ns < c->sim->now_ns + SIM_S)
        renew(c, n);
    if (c->lease_node != n->index || c->lease_incarnation != sim_node_incarnation(n))
        return 0;
    if (c->sim->profile.lease_mode == SIM_LEASE_LOCK)
        return INT64_MAX;
    return sim_node_boot_ns(n) + (c->lease_end_ns - c->sim->now_ns);
}

/* ---- life ---- */

struct sim_coordinator *sim_coordinator_new(struct sim *sim)
{
    struct sim_coordinator *c = aff_xcalloc(1, sizeof *c);

    c->sim = sim;
    c->highest_node = c->told = c->lease_node = -1;
    c->watch.run = watch_runs;
    aff_list_init(&c->requests);
    return c;
}

struct sim_coordinator *sim_coordinator_free(struct sim_coordinator *c)
{
    struct aff_list *node;

    while ((node = aff_list_take(&c->requests)))
        free(aff_container_of(node, struct request, link));
    free(c);
    return NULL;
}
