/*
 * inner.h - the insides of a node, shared by the files of this folder alone.
 *
 *   keyspaces.c  what is served: the configuration's keyspaces and the application's
 *   limits.c     open files and address space
 *   build.c      makes the parts in order, frees them in reverse
 *   advertise.c  the addresses that others are told
 *   cluster.c    the parts that a node among others has: coordinator, peers; joining; how it stands in the cluster
 *   log.c        the changelog as the configuration has it; asks for its topics while the loops run already
 *   node.c       life: start, drain, stop; the public functions
 *   admin.c      bodies of /livez, /readyz
 *   cluster_page.c  that of /cluster
 *   metrics.c    that of /metrics, the Prometheus text; of the cluster: cluster_metrics.c
 *   moves.c      bodies of /cluster/drain and /cluster/handover
 *   openapi.c    /openapi.json, /docs
 *   verify.c     /verify: stores against their changelog
 *   serve.c      the process around a node: signals, ready file
 *   supervisor.c the process above that one; restart.c decides what it does when a worker ended
 *   main.c       aff_main()
 *
 * Threads. A node is made, started and stopped by one thread of the application, "the owner". Loops are threads of the
 * node; what both touch is atomic and marked so. Parts are made before the loops run and freed after they have ended, so
 * loops see them as constant.
 */
#ifndef AFF_NODE_INNER_H
#define AFF_NODE_INNER_H

#include "base/loop.h"
#include "changelog/changelog.h"
#include "config/config.h"
#include "coordinator/coordinator.h"
#include "http/server.h"
#include "node/advertise.h"
#include "node/keyspaces.h"
#include "node/supervisor.h"
#include "partition/partition.h"
#include "router/build.h"

#include <affinity/node.h>
#include <pthread.h>
#include <stdatomic.h>

/* What the owner asks of a loop, and what the loop has done of it. */
enum aff_loop_stage {
    AFF_LOOP_MADE,    /* runs, perhaps; its partitions wait for the topics */
    AFF_LOOP_STARTED, /* its partitions have begun */
    AFF_LOOP_QUIET,   /* drained: nothing is under way */
    AFF_LOOP_ENDED,   /* its partitions have answered and stopped */
    AFF_LOOP_CLOSED,  /* its connections are gone */
};

struct aff_node_loop {
    struct aff_node *node;
    struct aff_loop *loop;
    struct aff_partition_group *group;
    struct aff_port *port;
    struct aff_http *http; /* also in node->https */
    pthread_t thread;
    bool runs; /* the thread was made and is not joined */
    struct aff_msg run, start, farewell, drain, end, close;
    struct aff_timer tick, quiet; /* the loop's */
    _Atomic int64_t ticked_ns;    /* when it said last that it lives, monotonic */
    atomic_int stage;             /* enum aff_loop_stage; the loop writes */
    struct aff_msg named;         /* tells the peers of the loop who this node is */
    atomic_bool naming;           /* it is under way */
};

struct aff_node_space {
    const struct aff_served *served;
    char *topic; /* "<cluster>.<keyspace>" */
    struct aff_partition **parts;
    uint32_t made; /* of them */
};

enum aff_topics_stage {
    AFF_TOPICS_ASKED,  /* or about to be */
    AFF_TOPICS_KNOWN,  /* all are there, and as they must be */
    AFF_TOPICS_FAILED, /* `err` tells why; it will not be tried again */
};

/* A thread asks for the topics: that may block, and brokers may be away. The owner makes it and joins it. */
struct aff_node_topics {
    pthread_t thread;
    bool runs;
    atomic_int stage;     /* enum aff_topics_stage; the thread writes */
    atomic_bool give_up;  /* the owner writes */
    aff_error err;        /* written before FAILED */
    pthread_mutex_t lock; /* guards `missing` */
    char missing[400];    /* why they are not known yet, "" at first */
};

struct aff_node {
    struct aff_config *config;
    struct aff_logger logger;
    struct aff_served_list served;
    struct aff_supervised *supervised; /* NULL: nobody holds the sockets */

    /* parts, while it is started */
    struct aff_changelog *changelog;
    struct aff_node_topics topics;
    struct aff_coordinator *coordinator;
    struct aff_coordinator_watch watch; /* of a cluster's */
    struct aff_peer_tls *peer_tls;      /* NULL: plain */
    struct aff_peers **peers;           /* one a loop; NULL: no cluster */
    struct aff_peer_listener *peer_listener;
    struct aff_node_loop *loops;
    unsigned loops_count;
    struct aff_node_space *spaces; /* as many as served */
    struct aff_router *router;
    struct aff_gate *gate;
    struct aff_http **https;         /* one a loop */
    struct aff_listener **listeners; /* as many as config->http_count */
    struct aff_verify *verify;
    char *openapi; /* the text of /openapi.json */
    char (*addresses)[AFF_ADDRESS_MAX];

    /* life */
    bool built;
    bool partitions_asked; /* to start, when the topics were known */
    bool joined;           /* the cluster; after every partition has taken its seat */
    int64_t started_wall_ms, started_ns;
    int64_t told_ns;     /* when it was logged last what a start waits for */
    int64_t progress_ns; /* when the sum of applied offsets changed last, while it starts */
    int64_t progress_sum;
    int64_t cut_off_ns; /* while it retires: when its coordinator was connected last */
    atomic_bool draining; /* or about to: it gives away what it leads */
    bool drain_asked;
};

/* ---- build.c ---- */

/* Makes everything but threads. On an error what was made is left to aff_node_unbuild(). */
int aff_node_build(struct aff_node *node, aff_error *err);
void aff_node_unbuild(struct aff_node *node); /* no loop runs */
char *aff_node_path(const struct aff_node *node, const char *tail); /* "<data>/<tail>", to be freed */

/* ---- cluster.c ---- */

bool aff_node_in_cluster(const struct aff_node *node);
int64_t aff_node_tick_ms(const struct aff_node *node);
int aff_node_make_coordinator(struct aff_node *node, aff_error *err);
int aff_node_make_peers(struct aff_node *node, aff_error *err); /* none without a cluster */
void aff_node_free_peers(struct aff_node *node);                /* before the ports */
/* Tells the cluster of this node. Once, when every partition has taken its seat. */
int aff_node_join(struct aff_node *node, aff_error *err);

/* How this node stands in its cluster, as far as it knows. */
struct aff_membership {
    struct aff_coordinator_health health;
    bool known;          /* it is a member, and knows what it should hold */
    uint64_t unassigned; /* partitions that nobody should hold */
    uint64_t held, in_order; /* partitions that this node should hold; of them: leads, or is in step */
    struct aff_part_info waits; /* the first that is not in order; space NULL: none */
};
void aff_node_membership(const struct aff_node *node, struct aff_membership *ret_membership); /* any thread */
bool aff_membership_ready(const struct aff_membership *membership);
void aff_membership_tell(const struct aff_membership *membership, char *text, size_t size); /* why it is not ready */
/* It leads nothing, or there is nobody who could lead it instead. */
bool aff_node_leads_nothing(const struct aff_node *node);

/* ---- log.c ---- */

int aff_node_make_log(struct aff_node *node, aff_error *err);
/* Does the log belong to this process alone? Else others may lead as well. */
bool aff_node_owns_log(const struct aff_node *node);
uint64_t aff_node_log_segments(const struct aff_node *node); /* files of the embedded one, as found */
unsigned aff_node_log_clients(const struct aff_node *node);  /* instances of a library that connect to it */
int aff_node_ask_topics(struct aff_node *node, aff_error *err); /* starts the thread */
void aff_node_leave_topics(struct aff_node *node);              /* ends it; after that no loop runs any more */
/* Is anything wrong with the log, as it is now? False, or the reason. Any thread. */
bool aff_node_log_trouble(struct aff_node *node, aff_error *ret_reason);

/* ---- node.c: the steps of which the public functions are made; the owner's thread ---- */

int aff_node_make(struct aff_config *config, const aff_keyspace *const *keyspaces, struct aff_node **ret_node,
                  aff_error *err);                         /* takes the configuration over, on success */
int aff_node_begin(struct aff_node *node, aff_error *err); /* builds, and runs the threads */
int aff_node_begun(struct aff_node *node, aff_error *err); /* 1: every partition has; 0: not yet; or an error */
void aff_node_retire(struct aff_node *node);               /* give away what it leads, and serve on; nothing without a cluster */
bool aff_node_retired(struct aff_node *node);              /* it leads nothing any more, or nobody else could */
void aff_node_drain(struct aff_node *node);                /* refuse what is new */
bool aff_node_drained(struct aff_node *node);              /* nothing is under way any more */
int aff_node_end(struct aff_node *node);                   /* AFF_ETIMEDOUT: something was cut off */

#endif
