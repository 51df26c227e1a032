/*
 * clients.c - see clients.h: what clients choose to do. How an attempt is handed over and answered is in attempt.c.
 */
#include "clients.h"

#include "base/alloc.h"
#include "fake_coordinator.h"
#include "trace.h"
#include "truth.h"

#include <assert.h>
#include <stdlib.h>

enum { REPEATS_MAX = 5, RECENT = 24 };

static struct sim_random *chance_of(const struct sim_clients *c)
{
    return &c->sim->random;
}

/* ---- where to ---- */

/* A node that says it leads, mostly; now and then any. -1: all are down. */
static int choose_node(struct sim_clients *c)
{
    struct sim *sim = c->sim;
    int count = 0, choice[2 * SIM_NODES_MAX];
    bool any = sim_below(&sim->random, 100) < 15;

    for (int i = 0; i < sim->profile.nodes; i++)
        if (sim_node_up(sim->nodes[i]) && (any || sim_node_leads(sim->nodes[i])))
            choice[count++] = i;
    for (int i = 0; i < sim->profile.nodes && count == 0; i++)
        if (sim_node_up(sim->nodes[i]))
            choice[count++] = i;
    return count ? choice[sim_below(&sim->random, (uint64_t)count)] : -1;
}

/* Some keys are asked for more than others. */
static int choose_key(struct sim_clients *c, bool ledger)
{
    const struct sim_profile *p = &c->sim->profile;
    uint64_t count = (uint64_t)(ledger ? p->ledgers : p->registers), first = sim_below(chance_of(c), count);

    if (sim_below(chance_of(c), 2))
        first = sim_below(chance_of(c), first + 1);
    return (ledger ? p->registers : 0) + (int)first;
}

/* ---- attempts ---- */

struct sim_attempt *sim_clients_make(struct sim_clients *c, enum sim_call call, int key, int node)
{
    struct sim_attempt *a = aff_xcalloc(1, sizeof *a);

    if (c->count == c->capacity) {
        c->capacity = c->capacity ? 2 * c->capacity : 256;
        c->attempts = aff_xrealloc(c->attempts, c->capacity, sizeof *c->attempts);
    }
    a->sim = c->sim;
    a->id = c->count;
    a->call = call;
    a->key = key;
    a->node = node;
    a->valid_offset = -1;
    c->attempts[c->count++] = a;
    c->outstanding++;
    return a;
}

void sim_clients_send(struct sim_attempt *a)
{
    for (int i = 0; i < SIM_KEYS_MAX; i++)
        a->seen[i] = a->sim->truth->keys[i].seen;
    sim_node_submit(a->sim->nodes[a->node], a);
}

static struct sim_request *request_new(struct sim_clients *c, enum sim_call call, int key)
{
    struct sim_request *r = aff_xcalloc(1, sizeof *r);

    if (c->request_count == c->request_capacity) {
        c->request_capacity = c->request_capacity ? 2 * c->request_capacity : 64;
        c->requests = aff_xrealloc(c->requests, c->request_capacity, sizeof *c->requests);
    }
    aff_put_u64(r->id.b, c->request_count);
    aff_put_u64(r->id.b + 8, sim_u64(chance_of(c)));
    r->call = call;
    r->key = key;
    c->requests[c->request_count++] = r;
    return r;
}

/* An entity tag: of the present version, of an old one, or of none. */
static struct aff_etag choose_etag(struct sim_clients *c, const struct sim_attempt *a)
{
    const struct sim_key *key = &c->sim->truth->keys[a->key];
    int known = key->seen > 0 && sim_below(chance_of(c), 4) == 0 ? (int)sim_below(chance_of(c), (uint64_t)key->seen)
                                                                 : key->seen;

    return (struct aff_etag){
        .identity8 = aff_get_u32(c->sim->nodes[a->node]->standing.identity),
        .offset = key->states[known].item.version.offset,
    };
}

static void add_conditions(struct sim_clients *c, struct sim_attempt *a)
{
    if (!sim_chance(chance_of(c), c->sim->profile.condition_chance))
        return;
    a->etag = choose_etag(c, a);
    switch (sim_below(chance_of(c), 5)) {
    case 0:
        a->conditions.match_any = true;
        break;
    case 1:
        a->conditions.none_match_any = true;
        break;
    case 2:
        a->conditions.none_match = &a->etag;
        a->conditions.none_match_count = 1;
        break;
    default:
        a->conditions.has_match = true;
        a->conditions.match = &a->etag;
        a->conditions.match_count = 1;
    }
}

static void add_times(struct sim_clients *c, struct sim_attempt *a)
{
    const struct sim_profile *p = &c->sim->profile;

    if (sim_chance(chance_of(c), p->deadline_chance))
        a->deadline_ns = sim_node_mono_ns(c->sim->nodes[a->node]) + sim_spread(chance_of(c), SIM_MS, 10 * SIM_S);
    if (sim_chance(chance_of(c), p->ttl_chance))
        a->ttl_ms = sim_spread(chance_of(c), 10, 60000);
}

static void write_something(struct sim_clients *c, int node, bool repeats_id)
{
    bool command = sim_chance(chance_of(c), c->sim->profile.command_chance);
    /* a ledger is emptied or set anew now and then */
    bool ledger = command || sim_below(chance_of(c), 20) == 0;
    enum sim_call call = sim_below(chance_of(c), 5) == 0 ? SIM_DELETE : SIM_PUT;
    struct sim_attempt *a;

    if (command)
        call = sim_below(chance_of(c), 10) < 5   ? SIM_DEPOSIT
               : sim_below(chance_of(c), 10) < 8 ? SIM_WITHDRAW
                                                 : SIM_PEEK;
    a = sim_clients_make(c, call, choose_key(c, ledger), node);
    add_conditions(c, a);
    add_times(c, a);
    if (repeats_id) {
        a->request = request_new(c, call, a->key);
        a->request->attempts = 1;
    }
    sim_clients_send(a);
}

/* Several commands for one ledger at once: they leave as one record. */
static void burst(struct sim_clients *c, int node)
{
    int key = choose_key(c, true);

    for (int i = (int)sim_between(chance_of(c), 2, 6); i > 0; i--) {
        enum sim_call call = sim_below(chance_of(c), 2) ? SIM_DEPOSIT : SIM_WITHDRAW;
        struct sim_attempt *a = sim_clients_make(c, call, key, node);

        add_times(c, a);
        if (sim_chance(chance_of(c), c->sim->profile.id_chance)) {
            a->request = request_new(c, call, key);
            a->request->attempts = 1;
        }
        sim_clients_send(a);
    }
}

void sim_clients_repeat(struct sim_clients *c, struct sim_request *r, int node)
{
    struct sim_attempt *a = sim_clients_make(c, r->call, r->key, node);

    a->request = r;
    a->variant = !c->sim->quiet && sim_below(chance_of(c), 12) == 0;
    r->attempts++;
    sim_clients_send(a);
}

/* The client of a recent request heard nothing, or something indefinite; or asks again all the same. */
static void repeat_something(struct sim_clients *c, int node)
{
    uint32_t recent = c->request_count < RECENT ? c->request_count : RECENT;
    struct sim_request *r;

    if (recent == 0)
        return;
    r = c->requests[c->request_count - 1 - sim_below(chance_of(c), recent)];
    if (r->attempts < REPEATS_MAX && (!r->settled || sim_below(chance_of(c), 5) == 0))
        sim_clients_repeat(c, r, node);
}

static void look_up(struct sim_clients *c, int node)
{
    uint32_t recent = c->count < RECENT ? c->count : RECENT;
    struct sim_attempt *target = recent ? c->attempts[c->count - 1 - sim_below(chance_of(c), recent)] : NULL;
    struct sim_attempt *a;

    if (!target || !target->done || target->lost || !target->result.stamped)
        return;
    a = sim_clients_make(c, SIM_LOOKUP, target->key, node);
    a->target = target;
    sim_clients_send(a);
}

static void read_all(struct sim_clients *c, int node)
{
    struct sim_attempt *a = sim_clients_make(c, SIM_READ, 0, node);

    add_times(c, a);
    sim_clients_send(a);
}

void sim_clients_step(struct sim_clients *c)
{
    int node = choose_node(c);

    if (node < 0)
        return;
    if (sim_chance(chance_of(c), c->sim->profile.burst_chance))
        burst(c, node);
    if (sim_chance(chance_of(c), c->sim->profile.write_chance))
        write_something(c, node, sim_chance(chance_of(c), c->sim->profile.id_chance));
    else
        read_all(c, node);
    if (sim_below(chance_of(c), 100) < 20)
        repeat_something(c, choose_node(c));
    if (sim_below(chance_of(c), 100) < 10)
        look_up(c, node);
}

/* ---- life ---- */

int64_t sim_ledger_balance(aff_bytes value, size_t count)
{
    int64_t balance = 0;

    for (size_t i = 0; i < count; i++)
        balance += sim_ledger_token(value, i) & SIM_WITHDRAWAL ? -1 : 1;
    return balance;
}

struct sim_clients *sim_clients_new(struct sim *sim)
{
    struct sim_clients *c = aff_xcalloc(1, sizeof *c);

    c->sim = sim;
    return c;
}

struct sim_clients *sim_clients_free(struct sim_clients *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        free(c->attempts[i]);
    for (uint32_t i = 0; i < c->request_count; i++)
        free(c->requests[i]);
    free(c->attempts);
    free(c->requests);
    free(c);
    return NULL;
}
