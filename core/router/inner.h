/*
 * inner.h - the insides of the router, shared by its files alone.
 */
#ifndef AFF_ROUTER_INNER_H
#define AFF_ROUTER_INNER_H

#include "base/alloc.h"
#include "base/heap.h"
#include "router/build.h"
#include "router/leaders.h"
#include "router/standby.h"

#include <assert.h>
#include <pthread.h>

struct space {
    struct aff_space base;
    struct aff_map_node node;
    char name[64];
    struct aff_partition **parts;
    size_t first_reader; /* of its partition 0 among a port's readers */
    size_t index;        /* its place among the keyspaces, here and in a view */
};

/* More than the fields of any question or answer take, without its tail. */
enum { AFF_PORT_ROOM = 256 * 1024 };

/* What the router has of a cluster (cluster.c). */
struct aff_cluster {
    struct aff_coordinator *coordinator; /* NULL: there is none, everything is here */
    int64_t master_wait_ms;
    uint32_t waiting;
    size_t waiting_bytes;
    struct aff_coordinator_watch watch;
    struct aff_partition_events events;
    struct aff_handover_net net;
    pthread_mutex_t lock;    /* of the list below: ports come and go while other threads have news for them */
    struct aff_port **ports; /* one a loop at most */
    size_t ports_count;
};

struct aff_router {
    struct space **spaces;
    size_t count, reader_count;
    struct aff_map by_name;
    struct aff_cluster cluster;
};

/* Trips to a partition that are not over (trip.c). */
struct aff_place {
    struct aff_list waiting, away;
    uint32_t count; /* of those that wait */
    size_t bytes;   /* that they hold */
};

struct aff_port {
    struct aff_router *router;
    struct aff_loop *loop;
    struct aff_store_reader **readers; /* one per partition of every space; NULL until it is needed */
    struct aff_store_reader *open;     /* the one that holds a snapshot now */
    unsigned char *scratch;            /* where a scan reads a chunk before it is kept; NULL until the first */

    struct aff_peers *peers; /* NULL: nobody can be asked */
    struct aff_leaders leaders;
    struct aff_place *places; /* one per partition of every space */
    struct aff_heap waits;    /* struct aff_trip: when each that waits goes on */
    struct aff_timer wake;
    struct aff_list ended;     /* trips of questions (ask.c) that are over, and not told */
    struct aff_buf room;       /* where questions and answers are put together; of AFF_PORT_ROOM bytes, which are enough */
    struct aff_msg news;       /* there is a new view */
    atomic_bool news_under_way;
    struct aff_standby *standby;
    atomic_uint_fast64_t waits_now, waits_total, waits_refused; /* for metrics: any thread reads */
    bool closed; /* nothing waits any more */
};

/* The reader of a partition's store on this loop, made when it is needed first. 0, AFF_ENOMASTER: no replica is here, or a failure. */
int aff_port_reader(struct aff_port *port, const struct space *s, uint32_t partition, struct aff_store_reader **ret_reader);

/* ---- trip.c ---- */

void aff_port_stir(struct aff_port *port, size_t index); /* something was heard of the partition's leader */
void aff_port_stir_all(struct aff_port *port);
void aff_port_wake(struct aff_timer *timer);
void aff_port_end_asks(struct aff_port *port); /* ask.c */
uint32_t aff_port_own_epoch(const struct space *s, uint32_t partition); /* that it leads with here, 0: it does not */

/* ---- cluster.c ---- */

void aff_cluster_init(struct aff_router *router);
void aff_cluster_fini(struct aff_router *router);
void aff_cluster_add(struct aff_router *router, struct aff_port *port);
void aff_cluster_remove(struct aff_router *router, struct aff_port *port);

static inline bool aff_port_clustered(const struct aff_port *port)
{
    return port->router->cluster.coordinator != NULL;
}

#endif
