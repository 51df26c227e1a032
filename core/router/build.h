/*
 * build.h - making a router and its ports; the node layer alone includes it. Before the loops run, and after they stopped.
 */
#ifndef AFF_ROUTER_BUILD_H
#define AFF_ROUTER_BUILD_H

#include "partition/partition.h"
#include "router/router.h"

struct aff_router *aff_router_new(void);
struct aff_router *aff_router_free(struct aff_router *router); /* its ports are gone; partitions belong to the node */

/* Adds a keyspace. `settings` is copied (its name, too; its commands are borrowed); `parts` has settings->partitions entries. */
void aff_router_add(struct aff_router *router, const struct aff_space *settings, struct aff_partition *const *parts);

/* The door of one loop; all keyspaces are added by now. */
int aff_port_new(struct aff_router *router, struct aff_loop *loop, struct aff_port **ret_port, aff_error *err);
struct aff_port *aff_port_free(struct aff_port *port);

#endif
