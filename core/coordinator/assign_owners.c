/*
 * assign_owners.c - partitions that nobody owns are granted, see assignment.h.
 */
#include "coordinator/deciding.h"

#include <string.h>

/* How good a candidate is; lower is better. */
enum standing { LEADS_ALREADY, IN_STEP, NOT_IN_STEP, DRAINS, RELEASED_IT, NEVER };

struct candidate {
    int replica;
    enum standing standing;
};

static enum standing standing_of(const struct aff_deciding *d, const struct aff_piece *piece, int replica)
{
    int16_t node = piece->replicas[replica];
    uint8_t state = piece->states[replica];

    if (!d->nodes[node].live || state == AFF_SEAT_STALLED || state == AFF_SEAT_FAILED)
        return NEVER;
    if (strcmp(piece->part->released, d->roster.nodes[node].member) == 0)
        return RELEASED_IT;
    if (!d->nodes[node].able)
        return DRAINS;
    if (state == AFF_SEAT_LEADS)
        return LEADS_ALREADY;
    return aff_piece_in_step(piece, replica) ? IN_STEP : NOT_IN_STEP;
}

/* Is `a` better than `b`, both of one standing and with as much applied? */
static bool better(const struct aff_deciding *d, const struct aff_piece *piece, int a, int b)
{
    int16_t one = piece->replicas[a], other = piece->replicas[b];

    if (!aff_piece_automatic(piece))
        return a < b;
    if (aff_piece_leaves(piece, a) != aff_piece_leaves(piece, b))
        return aff_piece_leaves(piece, b);
    if ((piece->lead == one) != (piece->lead == other)) /* the target */
        return piece->lead == one;
    if (d->nodes[one].leads != d->nodes[other].leads)
        return d->nodes[one].leads < d->nodes[other].leads;
    return a < b;
}

/* The best replica, or -1. Up to `bound` records are the same: reports are not of the same moment. */
static int best(const struct aff_deciding *d, const struct aff_piece *piece, enum standing *ret_standing)
{
    enum standing standing = NEVER, standings[AFF_REPLICAS_MAX];
    int64_t most = -1;
    int best = -1;

    for (int i = 0; i < piece->part->replicas_count; i++) {
        standings[i] = standing_of(d, piece, i);
        standing = standings[i] < standing ? standings[i] : standing;
    }
    for (int i = 0; i < piece->part->replicas_count; i++)
        if (standings[i] == standing && piece->applied[i] > most)
            most = piece->applied[i];
    for (int i = 0; i < piece->part->replicas_count; i++)
        if (standings[i] == standing && (piece->applied[i] >= most - d->bound || !aff_piece_automatic(piece)) &&
            (best < 0 || better(d, piece, i, best)))
            best = i;
    *ret_standing = standing;
    return standing == NEVER ? -1 : best;
}

static void grant(struct aff_deciding *d, struct aff_piece *piece)
{
    enum standing standing = NEVER;
    int replica = best(d, piece, &standing);

    if (replica < 0)
        return;
    if (d->in->patient && piece->part->epoch && standing > IN_STEP)
        return;
    (void)aff_piece_grant(d, piece, piece->replicas[replica]);
}

void aff_assign_grant(struct aff_deciding *d)
{
    for (size_t i = 0; i < d->pieces_count; i++) {
        struct aff_piece *piece = &d->pieces[i];
        if (piece->owner >= 0)
            continue;
        if (piece->next >= 0)
            (void)aff_piece_inherit(d, piece);
        else
            grant(d, piece);
    }
}
