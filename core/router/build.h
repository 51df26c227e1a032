/*
 * build.h - making a router and its ports; the node layer alone includes it. Before the loops run, and after they stopped.
 */
#ifndef AFF_ROUTER_BUILD_H
#define AFF_ROUTER_BUILD_H

#include "partition/handover.h"
#include "partition/partition.h"
#include "peer/peer.h"
#include "router/router.h"

struct aff_router *aff_router_new(void);
struct aff_router *aff_router_free(struct aff_router *router); /* its ports are gone; partitions belong to the node */

/* Adds a keyspace. `settings` is copied (its name, too; its commands are borrowed); `parts` has settings->partitions entries. */
void aff_router_add(struct aff_router *router, const struct aff_space *settings, struct aff_partition *const *parts);

/* ---- of a cluster; without these calls all partitions are led here, or by nobody ---- */

struct aff_router_cluster_opts {
    struct aff_coordinator *coordinator; /* without a `view` function: nothing of this */
    int64_t master_wait_ms; /* how long a request waits for somebody to lead its partition; 0: not at all */
    uint32_t waiting;       /* requests that wait so for a partition on a loop; 0: 4096 */
    size_t waiting_bytes;   /* and what they hold; 0: 8 MiB */
};
/* After the keyspaces, before the ports; and before the coordinator's join, since it watches the views. */
void aff_router_cluster(struct aff_router *router, const struct aff_router_cluster_opts *opts);
/* For the options of partitions, from aff_router_new() on; the router outlives them. */
struct aff_partition_events *aff_router_events(struct aff_router *router);
struct aff_handover_net *aff_router_net(struct aff_router *router);

/* The peers of the port's loop, made with aff_port_serve() and the port; before the loop runs. They are freed before the port. */
void aff_port_connect(struct aff_port *port, struct aff_peers *peers);
/* Answers what waits for a leader with AFF_EDRAINING; nothing waits from then on. On its loop, at the end of a drain. */
void aff_port_close(struct aff_port *port);

/* The door of one loop; all keyspaces are added by now. */
int aff_port_new(struct aff_router *router, struct aff_loop *loop, struct aff_port **ret_port, aff_error *err);
struct aff_port *aff_port_free(struct aff_port *port);

#endif
