/*
 * assign_world.h - a cluster in miniature, for the controller's decision: nodes that come and go, replicas that catch up, owners that
 * hand over. No time: a round is a decision, and then everybody does a little of what it has to.
 *
 * After each decision the world checks what must always hold, and fails the test with the seed.
 */
#ifndef AFF_TESTS_ASSIGN_WORLD_H
#define AFF_TESTS_ASSIGN_WORLD_H

#include "coordinator/assignment.h"

enum { WORLD_NODES_MAX = 12, WORLD_SPACES = 3, WORLD_PARTITIONS_MAX = 300, WORLD_EPOCHS_MAX = 4096 };

struct world_node {
    char name[8];
    uint32_t incarnation;
    bool known, live, draining, gone;
    char zone[4];
    uint8_t states[WORLD_SPACES][WORLD_PARTITIONS_MAX];
    int64_t applied[WORLD_SPACES][WORLD_PARTITIONS_MAX];
    struct aff_report report; /* as last written; stays when the node dies */
};

struct world {
    uint64_t seed, random;
    struct world_node nodes[WORLD_NODES_MAX];
    struct aff_assign_space spaces[WORLD_SPACES];
    size_t spaces_count;
    struct aff_chunk *before[WORLD_SPACES], *twin[WORLD_SPACES]; /* room for what is compared */
    uint32_t next_incarnation;
    /* In percent: a replica that catches up in a round; a hand-over that fails; a replica that falls behind. */
    int catches_up, fails, falls_behind;
    uint32_t moves, handovers;
    bool patient;
    size_t masters_moved;  /* owners that changed, of partitions whose owner was another node before */
    size_t replicas_moved; /* new ones */
    char *ledger[WORLD_SPACES][WORLD_PARTITIONS_MAX]; /* who got each epoch: AFF_MEMBER_MAX + 1 bytes for each */
};

struct world *world_new(uint64_t seed);
void world_free(struct world *w);
void world_space(struct world *w, const char *name, uint32_t partitions, uint32_t replicas,
                 const char *const *const *assigned);
uint32_t world_random(struct world *w, uint32_t below);

/* By number, from 0; a node that joins again is a new incarnation. */
void world_join(struct world *w, int node, const char *zone);
void world_crash(struct world *w, int node);
void world_gone(struct world *w, int node);
/* The session is lost, and the process goes on as a new incarnation. */
void world_new_session(struct world *w, int node);

/* One round; true when anything changed. */
bool world_round(struct world *w);
/* Rounds without failures until nothing changes any more; fails the test when it does not come to rest. */
void world_rest(struct world *w);

/* ---- what is looked at; automatic keyspaces only ---- */

size_t world_leads(const struct world *w, int node);
size_t world_holds(const struct world *w, int node);
void world_expect_balance(const struct world *w, bool masters, bool replicas);
/* Everything is led, by a node that lives, and has its replicas. */
void world_expect_whole(const struct world *w);

#endif
