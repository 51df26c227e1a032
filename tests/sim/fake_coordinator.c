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
    if (c->locked_by == n->index)
        c->locked_by = -1;
    c->leases[n->index].end_ns = 0;
    if (c->told == n->index)
        sim_at(c->sim, &c->watch, c->sim->now_ns + sim_spread(&c->sim->random, 10 * SIM_MS, 5 * SIM_S));
}

/* ---- grants ---- */

/* Does a lease of somebody else stand in the way? Then: until when, or a while. */
static int64_t leased_until(struct sim_coordinator *c, const struct request *r)
{
    struct sim *sim = c->sim;
    int64_t until = 0;

    if (sim->profile.lease_mode == SIM_LEASE_LOCK && c->locked_by >= 0 &&
        (c->locked_by != r->node->index || c->lock_incarnation != r->incarnation))
        return sim->now_ns + 20 * SIM_S;
    for (int i = 0; i < sim->profile.nodes; i++) {
        const struct sim_lease *l = &c->leases[i];

        if (l->end_ns > sim->now_ns && (i != r->node->index || l->incarnation != r->incarnation) && l->end_ns > until)
            until = l->end_ns;
    }
    return until ? until + SIM_MS : 0;
}

static bool may_grant_twice(struct sim_coordinator *c, const struct request *r)
{
    return c->sim->profile.lease_mode == SIM_LEASE_NONE && !c->sim->quiet && c->highest > r->above &&
           c->owner >= 0 && c->owner != r->node->index &&
           sim_chance(&c->sim->random, c->sim->profile.grant_twice);
}

static void set_owner(struct sim_coordinator *c, int node, uint64_t incarnation, uint32_t major)
{
    c->owner = node;
    c->owner_incarnation = incarnation;
    c->owner_major = major;
    if (c->hand_count > 0)
        c->hands[c->hand_count - 1].open = false;
}

/* Decided now: this incarnation gets an epoch. */
static uint32_t grant(struct sim_coordinator *c, const struct request *r)
{
    if (may_grant_twice(c, r)) {
        sim_count(c->sim->coverage, SIM_EPOCHS_TWICE);
        set_owner(c, -1, 0, c->highest);
        return c->highest;
    }
    if (c->highest < r->above)
        c->highest = r->above;
    c->highest += 1 + (uint32_t)sim_below(&c->sim->random, 2) * (uint32_t)sim_below(&c->sim->random, 3);
    set_owner(c, r->node->index, r->incarnation, c->highest);
    if (c->sim->profile.lease_mode == SIM_LEASE_LOCK) {
        c->locked_by = r->node->index;
        c->lock_incarnation = r->incarnation;
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

/* ---- hand-overs ---- */

/* What a node says of a hand-over, on its way. */
struct word {
    struct aff_list link;
    struct sim_event event;
    struct sim_node *node;
    uint64_t incarnation;
    uint32_t major;
};

static bool can_hand_over(const struct sim_coordinator *c, const struct sim_node *from, const struct sim_node *to)
{
    if (from == to || c->sim->profile.lease_mode == SIM_LEASE_LOCK || !sim_node_leads(from) || !sim_node_up(to))
        return false;
    return c->sim->profile.lease_mode == SIM_LEASE_NONE ||
           (c->owner == from->index && c->owner_incarnation == sim_node_incarnation(from));
}

const struct sim_hand *sim_coordinator_hand_over(struct sim_coordinator *c, int from, int to)
{
    struct sim *sim = c->sim;
    struct sim_node *giver = sim->nodes[from], *receiver = sim->nodes[to];
    struct sim_hand *h;

    if (!can_hand_over(c, giver, receiver))
        return NULL;
    if (c->hand_count > 0)
        c->hands[c->hand_count - 1].open = false;
    c->hands = aff_xrealloc(c->hands, c->hand_count + 1, sizeof *c->hands);
    h = &c->hands[c->hand_count++];
    *h = (struct sim_hand){ from, to, sim_node_incarnation(giver), sim_node_incarnation(receiver), c->highest + 1,
                            c->highest + 2, true };
    c->highest += 2;
    sim_count(sim->coverage, SIM_HANDOVERS);
    sim_trace_line(sim, "coordinator: n%d is to give to n%d, which may claim %" PRIu32, from, to, h->major);
    sim_node_give(giver, h->major, sim->now_ns + sim_spread(&sim->random, SIM_MS / 10, sim->quiet ? SIM_MS : SIM_S));
    return h;
}

const struct sim_hand *sim_coordinator_hand_of(const struct sim_coordinator *c, uint32_t major)
{
    for (uint32_t i = c->hand_count; i > 0; i--)
        if (c->hands[i - 1].major == major)
            return &c->hands[i - 1];
    return NULL;
}

static const struct sim_hand *open_hand(const struct sim_coordinator *c, uint32_t major)
{
    const struct sim_hand *h = sim_coordinator_hand_of(c, major);

    return h && h->open ? h : NULL;
}

static bool says_who_lives(const struct word *w)
{
    return sim_node_up(w->node) && sim_node_incarnation(w->node) == w->incarnation;
}

static void forget_word(struct word *w)
{
    aff_list_remove(&w->link);
    free(w);
}

static void speak(struct sim_coordinator *c, struct sim_node *n, uint32_t major,
                  void (*run)(struct sim *sim, struct sim_event *event))
{
    struct word *w = aff_xcalloc(1, sizeof *w);

    w->node = n;
    w->incarnation = sim_node_incarnation(n);
    w->major = major;
    w->event.run = run;
    aff_list_append(&c->words, &w->link);
    sim_at(c->sim, &w->event, c->sim->now_ns + sim_spread(&c->sim->random, SIM_MS / 10, c->sim->quiet ? SIM_MS : 5 * SIM_S));
}

/* The giver wants it back: it stays the owner, by a compare-and-set; unless it is too late for that. */
static void taken_back(struct sim *sim, struct sim_event *event)
{
    struct word *w = aff_container_of(event, struct word, event);
    struct sim_coordinator *c = sim->coordinator;
    const struct sim_hand *h = open_hand(c, w->major);
    uint32_t back = h ? h->back : 0;

    if (!says_who_lives(w)) {
        forget_word(w);
        return;
    }
    if (h && h->from == w->node->index) {
        set_owner(c, h->from, h->from_incarnation, back);
        sim_trace_line(sim, "coordinator: n%d takes it back, with %" PRIu32, w->node->index, back);
        if (sim->quiet || !sim_chance(&sim->random, sim->profile.grant_lost))
            sim_node_granted(w->node, back, w->incarnation, sim->now_ns + sim_spread(&sim->random, SIM_MS / 10, SIM_S));
    } else {
        sim_node_resign(w->node, sim->now_ns + sim_spread(&sim->random, SIM_MS / 10, SIM_S));
    }
    forget_word(w);
}

/* The receiver leads: it becomes the owner, if the hand-over is still under way. */
static void became_owner(struct sim *sim, struct sim_event *event)
{
    struct word *w = aff_container_of(event, struct word, event);
    struct sim_coordinator *c = sim->coordinator;
    const struct sim_hand *h = open_hand(c, w->major);

    if (says_who_lives(w) && h && h->to == w->node->index && h->to_incarnation == w->incarnation) {
        set_owner(c, w->node->index, w->incarnation, w->major);
        c->told = w->node->index;
        sim_trace_line(sim, "coordinator: n%d is the owner, with %" PRIu32, w->node->index, w->major);
    }
    forget_word(w);
}

void sim_coordinator_gave(struct sim_coordinator *c, struct sim_node *n, bool taken)
{
    sim_count(c->sim->coverage, taken ? SIM_HANDOVERS_DONE : SIM_HANDOVERS_BACK);
    if (!taken)
        speak(c, n, n->gives, taken_back);
}

void sim_coordinator_took(struct sim_coordinator *c, struct sim_node *n, uint32_t major)
{
    sim_count(c->sim->coverage, SIM_HANDOVERS_TAKEN);
    speak(c, n, major, became_owner);
}

/* ---- leases ---- */

/*
 * A node that asks runs, so its heartbeat went out just now; it is renewed if it leads by the newest epoch of all, so that what
 * was granted to others before can only be void.
 */
static void renew(struct sim_coordinator *c, const struct sim_node *n)
{
    if (c->lease_lapses || c->told != n->index || c->owner != n->index || c->owner_incarnation != sim_node_incarnation(n) ||
        aff_epoch_major(n->standing.own.epoch) != c->owner_major)
        return;
    c->leases[n->index] = (struct sim_lease){ sim_node_incarnation(n), c->owner_major, c->sim->now_ns + LEASE_S * SIM_S };
}

/* `major`: of the mastership that asks. */
int64_t sim_coordinator_lease(struct sim_coordinator *c, struct sim_node *n, uint32_t major)
{
    const struct sim_lease *l = &c->leases[n->index];

    if (c->sim->profile.lease_mode == SIM_LEASE_NONE)
        return 0;
    if (c->sim->profile.lease_mode == SIM_LEASE_LOCK)
        return c->locked_by == n->index && c->lock_incarnation == sim_node_incarnation(n) ? INT64_MAX : 0;
    if (l->end_ns < c->sim->now_ns + SIM_S)
        renew(c, n);
    if (l->incarnation != sim_node_incarnation(n) || l->major != major)
        return 0;
    return sim_node_boot_ns(n) + (l->end_ns - c->sim->now_ns);
}

/* ---- life ---- */

struct sim_coordinator *sim_coordinator_new(struct sim *sim)
{
    struct sim_coordinator *c = aff_xcalloc(1, sizeof *c);

    c->sim = sim;
    c->owner = c->told = c->locked_by = -1;
    c->watch.run = watch_runs;
    aff_list_init(&c->words);
    aff_list_init(&c->requests);
    return c;
}

struct sim_coordinator *sim_coordinator_free(struct sim_coordinator *c)
{
    struct aff_list *node;

    while ((node = aff_list_take(&c->requests)))
        free(aff_container_of(node, struct request, link));
    while ((node = aff_list_take(&c->words)))
        free(aff_container_of(node, struct word, link));
    free(c->hands);
    free(c);
    return NULL;
}
