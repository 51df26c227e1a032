/*
 * deciding.h - one decision of the controller while it is made: the nodes and partitions in numbers, and the stages that it goes through.
 * This folder's own; see assignment.h for the rules.
 *
 *   load      numbers instead of names; what is in step                          assignment.c
 *   aims      targets that cannot be any more are dropped                        assign_masters.c
 *   place     partitions that nobody holds, and static lists                     assign_replicas.c
 *   grant     partitions that nobody owns                                        assign_owners.c
 *   replicas  who goes, who is missing, zones, balance                           assign_replicas.c
 *   masters   away from who drains or goes, balance                              assign_masters.c
 */
#ifndef AFF_COORDINATOR_DECIDING_H
#define AFF_COORDINATOR_DECIDING_H

#include "coordinator/roster.h"

struct aff_assign_node {
    bool live, able; /* able: lives and does not drain */
    bool gone;
    int16_t zone;
    /* Of automatic keyspaces, when all that is under way has come to its end: */
    uint32_t leads, holds;
};

struct aff_piece {
    struct aff_chunk_part *part;
    struct aff_chunk *chunk;
    const struct aff_assign_space *space;
    uint32_t partition;
    int16_t owner, next;                /* nodes, when those incarnations live */
    int16_t lead;                       /* who will lead: the target, else next, else the owner; -1 */
    uint8_t in_step;                    /* a bit for each replica */
    uint8_t settled;                    /* likewise; also those that were in step when they were last heard of */
    bool moving;                        /* a replica is being built, or goes */
    int16_t replicas[AFF_REPLICAS_MAX]; /* nodes, as in `part` */
    uint8_t states[AFF_REPLICAS_MAX];   /* enum aff_seat_state */
    int64_t applied[AFF_REPLICAS_MAX];  /* -1: not known */
};

struct aff_deciding {
    struct aff_assign *in;
    struct aff_roster roster;
    struct aff_assign_node *nodes; /* as in the roster */
    size_t nodes_count;
    struct aff_piece *pieces;
    size_t pieces_count;
    int64_t bound;
    uint32_t moving, moves;      /* partitions with a move under way, and how many may be */
    uint32_t handing, handovers; /* the same of hand-overs */
    uint32_t share;              /* who leads as many gets no more by balance */
    struct aff_assigned done;
};

/* ---- what the stages share ---- */

static inline bool aff_piece_automatic(const struct aff_piece *piece)
{
    return !piece->space->assigned;
}

static inline bool aff_piece_leaves(const struct aff_piece *piece, int replica)
{
    return piece->part->leaving >> replica & 1;
}

static inline bool aff_piece_in_step(const struct aff_piece *piece, int replica)
{
    return piece->in_step >> replica & 1;
}

int aff_piece_replica(const struct aff_piece *piece, int16_t node); /* its place, or -1 */
uint32_t aff_piece_wanted(const struct aff_piece *piece);           /* replicas */
/* The same for the same names, and as good as random. */
uint64_t aff_piece_lot(const struct aff_deciding *d, const struct aff_piece *piece, int16_t node);
/* The replica could lead now: in step, stays, and its node is able. */
bool aff_piece_can_lead(const struct aff_deciding *d, const struct aff_piece *piece, int replica);
/* Changes the replicas, and all that is counted of them. `leaving` is by place. */
bool aff_piece_place(struct aff_deciding *d, struct aff_piece *piece, const int16_t *nodes, size_t count,
                     uint8_t leaving);
bool aff_piece_grant(struct aff_deciding *d, struct aff_piece *piece, int16_t node);
bool aff_piece_inherit(struct aff_deciding *d, struct aff_piece *piece);
bool aff_piece_aim(struct aff_deciding *d, struct aff_piece *piece, int16_t node); /* -1: nowhere */

/* ---- the stages ---- */

void aff_assign_aims(struct aff_deciding *d);
void aff_assign_place(struct aff_deciding *d);
void aff_assign_grant(struct aff_deciding *d);
void aff_assign_replicas(struct aff_deciding *d);
void aff_assign_masters(struct aff_deciding *d);
/* The masters are uneven and no replica in step can change it, though all are: one moves with its mastership, and another comes back. */
void aff_assign_exchange(struct aff_deciding *d);

#endif
