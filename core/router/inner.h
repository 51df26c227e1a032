/*
 * inner.h - the insides of the router, shared by its files alone.
 */
#ifndef AFF_ROUTER_INNER_H
#define AFF_ROUTER_INNER_H

#include "base/alloc.h"
#include "router/build.h"

#include <assert.h>

struct space {
    struct aff_space base;
    struct aff_map_node node;
    char name[64];
    struct aff_partition **parts;
    size_t first_reader; /* of its partition 0 among a port's readers */
};

struct aff_router {
    struct space **spaces;
    size_t count, reader_count;
    struct aff_map by_name;
};

struct aff_port {
    struct aff_router *router;
    struct aff_loop *loop;
    struct aff_store_reader **readers; /* one per partition of every space; NULL until it is needed */
    struct aff_store_reader *open;     /* the one that holds a snapshot now */
    unsigned char *scratch;            /* where a scan reads a chunk before it is kept; NULL until the first */
};

/* The reader of a partition's store on this loop, made when it is needed first. 0, AFF_ENOMASTER: no replica is here, or a failure. */
int aff_port_reader(struct aff_port *port, const struct space *s, uint32_t partition, struct aff_store_reader **ret_reader);

#endif
