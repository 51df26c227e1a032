/*
 * fake_coordinator.h - elections, grants, hand-overs and leases.
 *
 * Without leases it does what a coordinator must never be trusted not to do: tells anybody to lead at any time, answers late or
 * never, grants an epoch twice. With leases it is truthful: nobody else is granted an epoch before a lease has ended (TIMED), or
 * while the process of the one that leads lives (LOCK).
 *
 * A hand-over is written down, then the giver is told. It ends by whichever comes first: the receiver that says it took it becomes
 * the owner, or the giver that wants it back stays the owner, with another epoch; or a grant to anybody. Only owners are leased.
 */
#ifndef AFF_SIM_FAKE_COORDINATOR_H
#define AFF_SIM_FAKE_COORDINATOR_H

#include "node.h"

struct sim_hand {
    int from, to;
    uint64_t from_incarnation, to_incarnation;
    uint32_t major, back; /* for the receiver, and kept for the giver */
    bool open;
};

struct sim_lease {
    uint64_t incarnation;
    uint32_t major;
    int64_t end_ns;
};

struct sim_coordinator {
    struct sim *sim;
    uint32_t highest; /* epoch granted, or kept for a hand-over */
    uint32_t owner_major;
    int owner; /* -1: nobody, or two */
    uint64_t owner_incarnation;
    int told; /* who was told last to lead */
    int64_t elected_ns;
    struct sim_lease leases[SIM_NODES_MAX]; /* as each knows of its own */
    int locked_by;                          /* -1: nobody */
    uint64_t lock_incarnation;
    bool lease_lapses; /* the connection to the holder is broken: no renewals */
    struct sim_hand *hands; /* all of the run, the last may be open */
    uint32_t hand_count;
    struct aff_list words; /* of nodes, about hand-overs, on their way */
    struct sim_event watch;
    struct aff_list requests;
};

struct sim_coordinator *sim_coordinator_new(struct sim *sim);
struct sim_coordinator *sim_coordinator_free(struct sim_coordinator *c);

/* Tells the node to lead; the one that was told before is told to stop, if it `resigns`. */
void sim_coordinator_elect(struct sim_coordinator *c, int node, bool resigns);
bool sim_somebody_leads(const struct sim *sim); /* says so, and is not paused */
/* A node that leads is told to give the partition to another. NULL: it cannot be. */
const struct sim_hand *sim_coordinator_hand_over(struct sim_coordinator *c, int from, int to);
const struct sim_hand *sim_coordinator_hand_of(const struct sim_coordinator *c, uint32_t major); /* for the receiver with it */
void sim_coordinator_node_died(struct sim_coordinator *c, const struct sim_node *n);

/* ---- asked by nodes ---- */

void sim_coordinator_request(struct sim_coordinator *c, struct sim_node *n, uint32_t above);
void sim_coordinator_deposed(struct sim_coordinator *c, struct sim_node *n);
int64_t sim_coordinator_lease(struct sim_coordinator *c, struct sim_node *n, uint32_t major);
void sim_coordinator_gave(struct sim_coordinator *c, struct sim_node *n, bool taken);
void sim_coordinator_took(struct sim_coordinator *c, struct sim_node *n, uint32_t major);

#endif
