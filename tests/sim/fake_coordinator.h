/*
 * fake_coordinator.h - elections, grants and leases.
 *
 * Without leases it does what a coordinator must never be trusted not to do: tells anybody to lead at any time, answers late or
 * never, grants an epoch twice. With leases it is truthful: nobody else is granted an epoch before a lease has ended (TIMED), or
 * while the process of the one that leads lives (LOCK).
 */
#ifndef AFF_SIM_FAKE_COORDINATOR_H
#define AFF_SIM_FAKE_COORDINATOR_H

#include "node.h"

struct sim_coordinator {
    struct sim *sim;
    uint32_t highest; /* epoch granted */
    int highest_node; /* to whom; -1: nobody, or two */
    uint64_t highest_incarnation;
    int told; /* who was told last to lead */
    int64_t elected_ns;
    int lease_node; /* -1: none */
    uint64_t lease_incarnation;
    int64_t lease_end_ns;
    bool lease_lapses; /* the connection to the holder is broken: no renewals */
    struct sim_event watch;
    struct aff_list requests;
};

struct sim_coordinator *sim_coordinator_new(struct sim *sim);
struct sim_coordinator *sim_coordinator_free(struct sim_coordinator *c);

/* Tells the node to lead; the one that was told before is told to stop, if it `resigns`. */
void sim_coordinator_elect(struct sim_coordinator *c, int node, bool resigns);
bool sim_somebody_leads(const struct sim *sim); /* says so, and is not paused */
void sim_coordinator_node_died(struct sim_coordinator *c, const struct sim_node *n);

/* ---- asked by nodes ---- */

void sim_coordinator_request(struct sim_coordinator *c, struct sim_node *n, uint32_t above);
void sim_coordinator_deposed(struct sim_coordinator *c, struct sim_node *n);
int64_t sim_coordinator_lease(struct sim_coordinator *c, struct sim_node *n);

#endif
