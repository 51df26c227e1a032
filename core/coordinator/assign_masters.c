/*
 * assign_masters.c - who should lead: away from nodes that drain and replicas that go, then as many on each node, see assignment.h.
 *
 * Balance is a flow: a partition can go from the node that will lead it to any other that holds it in step. Where the one that leads
 * most cannot give to one that leads two less, it gives to a third, which gives one of its own, and so on: the shortest such way.
 *
 * While a node is absent that will come back for its share, what it led rests where it went: evening that out would move masterships of
 * others, and move them again when it is back. Only who leads less than a share of its own, one that joined meanwhile, gets more.
 */
#include "coordinator/deciding.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

/* Too many hand-overs to this incarnation failed. */
static bool given_up(const struct aff_deciding *d, const struct aff_piece *piece, int16_t node)
{
    return piece->part->fails >= AFF_CHUNK_FAILS_MAX && strcmp(piece->part->failed, d->roster.nodes[node].member) == 0;
}

static bool may_take(const struct aff_deciding *d, const struct aff_piece *piece, int replica)
{
    return aff_piece_can_lead(d, piece, replica) && !given_up(d, piece, piece->replicas[replica]);
}

/* ---- aims that are over ---- */

static bool in_vain(const struct aff_deciding *d, const struct aff_piece *piece)
{
    int replica = aff_piece_replica(piece, piece->lead);

    if (replica < 0 || !d->nodes[piece->lead].able)
        return true;
    if (piece->lead == piece->owner && !piece->part->pinned)
        return true;
    return piece->states[replica] == AFF_SEAT_STALLED || piece->states[replica] == AFF_SEAT_FAILED;
}

void aff_assign_aims(struct aff_deciding *d)
{
    for (size_t i = 0; i < d->pieces_count; i++)
        if (d->pieces[i].part->target[0] && in_vain(d, &d->pieces[i]))
            (void)aff_piece_aim(d, &d->pieces[i], -1);
}

/* ---- one partition ---- */

/* Who should lead if the owner should not; -1: nobody can, now. */
static int16_t substitute(const struct aff_deciding *d, const struct aff_piece *piece)
{
    int16_t best = -1;

    for (int i = 0; i < piece->part->replicas_count; i++) {
        int16_t node = piece->replicas[i];
        if (node == piece->owner || !may_take(d, piece, i))
            continue;
        if (best < 0 || (aff_piece_automatic(piece) && d->nodes[node].leads < d->nodes[best].leads))
            best = node;
    }
    return best;
}

static void aim(struct aff_deciding *d, struct aff_piece *piece, int16_t node)
{
    if (aff_piece_aim(d, piece, node))
        d->handing++;
}

static bool owner_must_not(const struct aff_deciding *d, const struct aff_piece *piece)
{
    int replica = aff_piece_replica(piece, piece->owner);

    return !d->nodes[piece->owner].able || (replica >= 0 && aff_piece_leaves(piece, replica));
}

/* The first of a static list that could lead, when the owner is behind it. */
static int16_t first_of_list(const struct aff_deciding *d, const struct aff_piece *piece)
{
    for (int i = 0; i < piece->part->replicas_count && piece->replicas[i] != piece->owner; i++)
        if (may_take(d, piece, i))
            return piece->replicas[i];
    return -1;
}

static void settle_piece(struct aff_deciding *d, struct aff_piece *piece)
{
    int16_t to = -1;

    if (piece->owner < 0 || piece->next >= 0 || piece->part->target[0] || d->handing >= d->handovers)
        return;
    if (owner_must_not(d, piece))
        to = substitute(d, piece);
    else if (!aff_piece_automatic(piece) && !d->in->patient)
        to = first_of_list(d, piece);
    if (to >= 0)
        aim(d, piece, to);
}

/* ---- balance ---- */

struct flow {
    struct aff_deciding *d;
    uint32_t *edges; /* nodes x nodes: a piece + 1 that can go from the one to the other; 0: none */
    int16_t *from;   /* by which node the search came to each; -1: not yet */
    int16_t *queue;
    /*
     * Replicas are being built, which will give nearer ways: only neighbours are looked at, and nobody gives below the average or gets
     * above it. Else what one gave too much would have to be given to it again.
     */
    bool near;
    uint32_t total, able; /* masterships, nodes */
};

static bool can_go(const struct aff_piece *piece)
{
    return aff_piece_automatic(piece) && piece->owner >= 0 && piece->next < 0 && !piece->part->target[0];
}

static void find_edges(struct flow *flow)
{
    struct aff_deciding *d = flow->d;

    memset(flow->edges, 0, d->nodes_count * d->nodes_count * sizeof *flow->edges);
    for (size_t p = 0; p < d->pieces_count; p++) {
        const struct aff_piece *piece = &d->pieces[p];
        if (!can_go(piece) || !d->nodes[piece->owner].able)
            continue;
        for (int i = 0; i < piece->part->replicas_count; i++) {
            uint32_t *edge = &flow->edges[(size_t)piece->owner * d->nodes_count + (size_t)piece->replicas[i]];
            if (piece->replicas[i] == piece->owner || !may_take(d, piece, i))
                continue;
            if (!*edge || aff_piece_lot(d, piece, piece->replicas[i]) <
                              aff_piece_lot(d, &d->pieces[*edge - 1], piece->replicas[i]))
                *edge = (uint32_t)p + 1;
        }
    }
}

static bool may_give(const struct flow *flow, int16_t start, int16_t end)
{
    uint32_t more = flow->d->nodes[start].leads, less = flow->d->nodes[end].leads;

    if (less + 2 > more || less >= flow->d->share)
        return false;
    return !flow->near ||
           ((uint64_t)(more - 1) * flow->able >= flow->total && (uint64_t)less * flow->able < flow->total);
}

/* The nearest node that leads two less than `start`, or -1. */
static int16_t search(struct flow *flow, int16_t start)
{
    struct aff_deciding *d = flow->d;
    size_t head = 0, tail = 0;

    for (size_t i = 0; i < d->nodes_count; i++)
        flow->from[i] = -1;
    flow->from[start] = start;
    flow->queue[tail++] = start;
    while (head < tail) {
        int16_t at = flow->queue[head++], best = -1;
        for (int16_t to = 0; (size_t)to < d->nodes_count; to++) {
            if (flow->from[to] >= 0 || !flow->edges[(size_t)at * d->nodes_count + (size_t)to])
                continue;
            flow->from[to] = at;
            flow->queue[tail++] = to;
            if (may_give(flow, start, to) && (best < 0 || d->nodes[to].leads < d->nodes[best].leads))
                best = to;
        }
        if (best >= 0 || flow->near)
            return best;
    }
    return -1;
}

static void shift(struct flow *flow, int16_t start, int16_t end)
{
    for (int16_t to = end; to != start; to = flow->from[to]) {
        size_t edge = (size_t)flow->from[to] * flow->d->nodes_count + (size_t)to;
        aim(flow->d, &flow->d->pieces[flow->edges[edge] - 1], to);
    }
}

/* Nodes that lead more than another come first. */
static int16_t next_giver(const struct aff_deciding *d, const bool *tried)
{
    int16_t most = -1;

    for (int16_t i = 0; (size_t)i < d->nodes_count; i++)
        if (d->nodes[i].able && !tried[i] && (most < 0 || d->nodes[i].leads > d->nodes[most].leads))
            most = i;
    return most;
}

static bool shift_once(struct flow *flow, bool *tried)
{
    struct aff_deciding *d = flow->d;
    int16_t start = 0;

    memset(tried, 0, d->nodes_count);
    while ((start = next_giver(d, tried)) >= 0) {
        int16_t end = search(flow, start);
        if (end >= 0) {
            shift(flow, start, end);
            return true;
        }
        tried[start] = true;
    }
    return false;
}

/* It holds replicas, and nobody else builds them yet. */
static bool will_be_back(const struct aff_assign_node *node)
{
    return !node->able && !node->gone && node->holds > 0;
}

/* What each node leads at least when all are there; without absent ones there is no need of it. */
static uint32_t share_of(const struct aff_deciding *d)
{
    uint32_t all = 0, nodes = 0, absent = 0;

    for (size_t i = 0; i < d->nodes_count; i++) {
        all += d->nodes[i].leads;
        absent += will_be_back(&d->nodes[i]);
        nodes += d->nodes[i].able || will_be_back(&d->nodes[i]);
    }
    return absent ? all / nodes : UINT32_MAX;
}

static bool uneven(const struct aff_deciding *d)
{
    uint32_t most = 0, least = UINT32_MAX;

    for (size_t i = 0; i < d->nodes_count; i++) {
        if (!d->nodes[i].able)
            continue;
        most = d->nodes[i].leads > most ? d->nodes[i].leads : most;
        least = d->nodes[i].leads < least ? d->nodes[i].leads : least;
    }
    return least < most && most - least > 1;
}

static void balance(struct aff_deciding *d)
{
    struct flow flow = { .d = d };
    bool *tried = NULL, more = true;

    if (!uneven(d) || d->handing >= d->handovers)
        return;
    flow.edges = aff_xcalloc(d->nodes_count * d->nodes_count, sizeof *flow.edges);
    flow.from = aff_xcalloc(d->nodes_count, sizeof *flow.from);
    flow.queue = aff_xcalloc(d->nodes_count, sizeof *flow.queue);
    tried = aff_xcalloc(d->nodes_count, sizeof *tried);
    for (size_t i = 0; i < d->nodes_count; i++) {
        flow.able += d->nodes[i].able;
        flow.total += d->nodes[i].able ? d->nodes[i].leads : 0;
    }
    while (more && uneven(d) && d->handing < d->handovers) {
        find_edges(&flow);
        flow.near = d->moving > 0;
        more = shift_once(&flow, tried);
    }
    if (!more && !d->moving && !d->handing)
        aff_assign_exchange(d);
    free(flow.edges);
    free(flow.from);
    free(flow.queue);
    free(tried);
}

void aff_assign_masters(struct aff_deciding *d)
{
    for (size_t i = 0; i < d->pieces_count; i++)
        settle_piece(d, &d->pieces[i]);
    d->share = share_of(d);
    if (!d->in->patient)
        balance(d);
}
