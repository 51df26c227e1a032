/*
 * assignment.c - a decision: names become numbers, then the stages of deciding.h follow each other, see there and in assignment.h.
 */
#include "coordinator/assignment.h"

#include "base/alloc.h"
#include "coordinator/deciding.h"

#include <stdlib.h>
#include <string.h>

enum { BOUND = 100, AT_A_TIME = 8 };

/* ---- what the stages share ---- */

int aff_piece_replica(const struct aff_piece *piece, int16_t node)
{
    for (int i = 0; i < piece->part->replicas_count; i++)
        if (piece->replicas[i] == node)
            return i;
    return -1;
}

uint32_t aff_piece_wanted(const struct aff_piece *piece)
{
    uint32_t wanted = piece->space->replicas;

    return wanted < 1 ? 1 : wanted > AFF_REPLICAS_MAX ? AFF_REPLICAS_MAX : wanted;
}

static uint64_t mix(uint64_t h, const char *text)
{
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 1099511628211u;
    return h ^ h >> 29;
}

uint64_t aff_piece_lot(const struct aff_deciding *d, const struct aff_piece *piece, int16_t node)
{
    uint64_t h = mix(14695981039346656037u + piece->partition * 0x9e3779b97f4a7c15u, piece->space->name);

    h = node < 0 ? h : mix(h, d->roster.nodes[node].name);
    return h * 0xff51afd7ed558ccdu;
}

bool aff_piece_can_lead(const struct aff_deciding *d, const struct aff_piece *piece, int replica)
{
    return d->nodes[piece->replicas[replica]].able && aff_piece_in_step(piece, replica) &&
           !aff_piece_leaves(piece, replica);
}

static void count(struct aff_deciding *d, const struct aff_piece *piece, int by)
{
    if (!aff_piece_automatic(piece))
        return;
    for (int i = 0; i < piece->part->replicas_count; i++)
        if (!aff_piece_leaves(piece, i))
            d->nodes[piece->replicas[i]].holds += (uint32_t)by;
    if (piece->lead >= 0)
        d->nodes[piece->lead].leads += (uint32_t)by;
    if (piece->moving)
        d->moving += (uint32_t)by;
}

static const struct aff_report_seat *seat_of(const struct aff_deciding *d, const struct aff_piece *piece, int16_t node)
{
    return aff_roster_seat(&d->roster, node, piece->space->name, piece->partition);
}

/* Was it in step when it was last heard of? */
static bool was_in_step(const struct aff_deciding *d, const struct aff_piece *piece, int16_t node)
{
    const struct aff_roster_node *known = &d->roster.nodes[node];
    const struct aff_report_seat *seat = NULL;

    if (d->nodes[node].live || d->nodes[node].gone || !known->report)
        return false;
    seat = aff_report_find(known->report, piece->space->name, piece->partition);
    return seat && (seat->state == AFF_SEAT_IN_STEP || seat->state == AFF_SEAT_LEADS);
}

static void load_replica(struct aff_deciding *d, struct aff_piece *piece, int i, const struct aff_report_seat *leader)
{
    int16_t node = aff_roster_find(&d->roster, piece->part->replicas[i]);
    const struct aff_report_seat *seat = seat_of(d, piece, node);
    bool in_step = aff_seat_in_step(seat, leader, d->bound);

    piece->replicas[i] = node;
    piece->states[i] = seat ? seat->state : AFF_SEAT_AWAY;
    piece->applied[i] = seat ? seat->applied : -1;
    piece->in_step |= (uint8_t)(in_step << i);
    piece->settled |= (uint8_t)((in_step || was_in_step(d, piece, node)) << i);
    if (d->nodes[node].live && !in_step && piece->part->epoch && piece->states[i] <= AFF_SEAT_BEHIND)
        piece->moving = true;
}

/* Everything that follows from the part. */
static void load_piece(struct aff_deciding *d, struct aff_piece *piece)
{
    const struct aff_chunk_part *part = piece->part;
    const struct aff_report_seat *leader = NULL;

    piece->in_step = piece->settled = 0;
    piece->moving = part->leaving != 0;
    piece->owner = part->owner[0] ? aff_roster_owner(&d->roster, d->in->living, part->owner) : -1;
    piece->next = part->next[0] ? aff_roster_owner(&d->roster, d->in->living, part->next) : -1;
    piece->lead = part->target[0]    ? aff_roster_find(&d->roster, part->target)
                  : piece->next >= 0 ? piece->next
                                     : piece->owner;
    if (piece->owner >= 0)
        leader = seat_of(d, piece, piece->owner);
    for (int i = 0; i < part->replicas_count; i++)
        load_replica(d, piece, i, leader);
}

/* After a step that changed the part: `ok` says that it did. */
static bool changed(struct aff_deciding *d, struct aff_piece *piece, bool ok, size_t *done)
{
    if (ok) {
        load_piece(d, piece);
        piece->chunk->changed = true;
        ++*done;
    }
    count(d, piece, 1);
    return ok;
}

bool aff_piece_place(struct aff_deciding *d, struct aff_piece *piece, const int16_t *nodes, size_t count_of,
                     uint8_t leaving)
{
    char names[AFF_REPLICAS_MAX][AFF_NODE_NAME_MAX + 1];
    const char *list[AFF_REPLICAS_MAX];

    if (count_of > AFF_REPLICAS_MAX)
        return false;
    for (size_t i = 0; i < count_of; i++) {
        memcpy(names[i], d->roster.nodes[nodes[i]].name, sizeof names[i]);
        list[i] = names[i];
    }
    count(d, piece, -1);
    return changed(d, piece, aff_chunk_place(piece->part, list, count_of, leaving, NULL) == 0, &d->done.placed);
}

bool aff_piece_grant(struct aff_deciding *d, struct aff_piece *piece, int16_t node)
{
    count(d, piece, -1);
    return changed(d, piece, aff_chunk_grant(piece->part, d->roster.nodes[node].member, d->in->living, NULL) == 0,
                   &d->done.granted);
}

bool aff_piece_inherit(struct aff_deciding *d, struct aff_piece *piece)
{
    count(d, piece, -1);
    return changed(d, piece, aff_chunk_inherit(piece->part, d->in->living, NULL) == 0, &d->done.granted);
}

bool aff_piece_aim(struct aff_deciding *d, struct aff_piece *piece, int16_t node)
{
    const char *name = node < 0 ? NULL : d->roster.nodes[node].name;

    count(d, piece, -1);
    return changed(d, piece, aff_chunk_aim(piece->part, name, false, NULL) == 0, &d->done.aimed);
}

/* ---- loading ---- */

/* Zones are numbered by the first node that is in it. That of a node that is away is not known: it is taken as one of its own. */
static int16_t zone_of(const struct aff_deciding *d, size_t node)
{
    const struct aff_roster_node *nodes = d->roster.nodes;

    for (size_t i = 0; nodes[node].live && i < node; i++)
        if (nodes[i].live && strcmp(nodes[i].live->zone, nodes[node].live->zone) == 0)
            return (int16_t)i;
    return (int16_t)node;
}

static void load_nodes(struct aff_deciding *d)
{
    d->nodes_count = d->roster.count;
    d->nodes = aff_xcalloc(d->nodes_count + 1, sizeof *d->nodes);
    for (size_t i = 0; i < d->nodes_count; i++) {
        d->nodes[i].live = d->roster.nodes[i].live != NULL;
        d->nodes[i].able = d->nodes[i].live && !d->roster.nodes[i].draining;
        d->nodes[i].zone = zone_of(d, i);
    }
    for (size_t i = 0; i < d->in->gone_count; i++) {
        int16_t node = aff_roster_find(&d->roster, d->in->gone[i]);
        if (node >= 0 && !d->nodes[node].live)
            d->nodes[node].gone = true;
    }
}

static void add_names(struct aff_deciding *d, const struct aff_piece *piece)
{
    for (int i = 0; i < piece->part->replicas_count; i++)
        (void)aff_roster_add(&d->roster, piece->part->replicas[i]);
    for (uint32_t i = 0; piece->space->assigned && i < aff_piece_wanted(piece); i++)
        (void)aff_roster_add(&d->roster, piece->space->assigned[piece->partition][i]);
}

static void add_pieces(struct aff_deciding *d, const struct aff_assign_space *space)
{
    for (uint32_t p = 0; p < space->partitions; p++) {
        struct aff_piece *piece = &d->pieces[d->pieces_count++];
        piece->space = space;
        piece->partition = p;
        piece->chunk = &space->chunks[p / AFF_CHUNK_PARTITIONS];
        piece->part = &piece->chunk->parts[p % AFF_CHUNK_PARTITIONS];
        add_names(d, piece);
    }
}

/* Hand-overs that run, or may begin at any moment. */
static bool hands_over(const struct aff_deciding *d, const struct aff_piece *piece)
{
    int target = piece->part->target[0] ? aff_piece_replica(piece, piece->lead) : -1;

    if (piece->next >= 0)
        return true;
    return target >= 0 && piece->owner >= 0 && piece->lead != piece->owner && aff_piece_can_lead(d, piece, target);
}

static void load(struct aff_deciding *d)
{
    size_t total = 0;

    aff_roster_init(&d->roster, d->in->living, d->in->reports, d->in->reports_count);
    for (size_t s = 0; s < d->in->spaces_count; s++)
        total += d->in->spaces[s].partitions;
    d->pieces = aff_xcalloc(total + 1, sizeof *d->pieces);
    for (size_t s = 0; s < d->in->spaces_count; s++)
        add_pieces(d, &d->in->spaces[s]);
    load_nodes(d);
    for (size_t i = 0; i < d->pieces_count; i++) {
        load_piece(d, &d->pieces[i]);
        count(d, &d->pieces[i], 1);
        d->handing += hands_over(d, &d->pieces[i]);
    }
}

struct aff_assigned aff_assign(struct aff_assign *assign)
{
    struct aff_deciding d = { .in = assign };

    d.bound = assign->bound ? assign->bound : BOUND;
    d.moves = assign->moves ? assign->moves : AT_A_TIME;
    d.handovers = assign->handovers ? assign->handovers : AT_A_TIME;
    load(&d);
    aff_assign_aims(&d);
    aff_assign_place(&d);
    aff_assign_grant(&d);
    aff_assign_replicas(&d);
    aff_assign_masters(&d);
    free(d.pieces);
    free(d.nodes);
    aff_roster_fini(&d.roster);
    return d.done;
}
