/*
 * fake_net.h - GO and its answer between nodes: lost, doubled, late, out of order; and, like those of a real one, for one incarnation
 * alone.
 */
#ifndef AFF_SIM_FAKE_NET_H
#define AFF_SIM_FAKE_NET_H

#include "node.h"

void sim_net_go(struct sim_node *from, const struct aff_go *go, int64_t deadline_ns);
void sim_net_taken(struct sim_node *from, uint32_t major, bool leads); /* the answer to that GO */

#endif
