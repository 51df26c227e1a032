/*
 * coordinator_node.h - nodes for the contract suite of the coordinator: a thread with a loop, a coordinator, and seats that behave as
 * partitions do, on a log that all nodes of a test share.
 *
 * A seat checks what it may rely on whenever something comes: host before lead, no event inside a call, none after leave(), an epoch
 * above what it asked for that nobody else ever got, and that of two seats of a partition one at most may use its lease.
 */
#ifndef AFF_TESTS_CONTRACT_COORDINATOR_NODE_H
#define AFF_TESTS_CONTRACT_COORDINATOR_NODE_H

#include "coordinator/coordinator.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { NODES_MAX = 4, PARTITIONS_MAX = 16, GRANTS_MAX = 256, TRACE_MAX = 2048 };

struct node;

/* What a seat does when it is to give: as the receiver and the network would have it. */
enum give_mode {
    GIVE_TAKEN, /* the receiver claims, and says so to both */
    GIVE_REFUSED,
    GIVE_SILENT, /* no answer ever comes: the test gives it */
    GIVE_LOST,   /* the receiver claims, but the giver never hears of it */
};

struct node_seat {
    struct aff_seat seat;
    struct node *node;
    bool taken, in_call, hosted, told_lead;
    atomic_uint asked, major; /* above which it asked; what it leads with, 0: it does not */
    struct aff_give give;     /* the last one */
    atomic_uint gives, leads, resigns, hosts, unhosts, grants;
    char trace[TRACE_MAX]; /* under the world's lock */
};

struct node {
    struct cluster *cluster;
    unsigned index;
    char name[AFF_NODE_NAME_MAX + 1], zone[AFF_NODE_NAME_MAX + 1];
    struct aff_coordinator *c;
    struct aff_loop *loop;
    pthread_t thread;
    struct node_seat seats[PARTITIONS_MAX];
    atomic_llong frozen_ns; /* since then its loops do not tick; 0: they do */
    atomic_bool behind;     /* its replicas do not get in step */
    atomic_int give_mode;
    pthread_mutex_t lock; /* of the session */
    int64_t session;
    unsigned char password[16];
    atomic_uint sessions;
    struct aff_coordinator_watch watch;
    atomic_uint changes;
};

struct grant {
    uint32_t partition, major, incarnation;
    const struct node *node;
};

/* One test's nodes, and the log of each partition: the highest claim, and who made it. */
struct cluster {
    const char *connect; /* NULL: the embedded driver */
    const char *auth;
    char name[AFF_NODE_NAME_MAX + 1];
    uint32_t partitions, replicas;
    int64_t session_ms, tick_ms;
    bool tells; /* who led hears of another's claim at once */
    pthread_mutex_t lock;
    struct {
        uint32_t highest;
        struct node_seat *leader;
    } log[PARTITIONS_MAX];
    struct grant grants[GRANTS_MAX];
    size_t grants_count;
    struct node *nodes[NODES_MAX];
    char wrong[512]; /* what may never be; the first */
};

void cluster_init(struct cluster *cluster, const char *connect, const char *name, uint32_t partitions,
                  uint32_t replicas);
/* Ends all nodes and fails the test when something was wrong. */
void cluster_fini(struct cluster *cluster);

struct node *node_start(struct cluster *cluster, unsigned index); /* with a seat for each partition; it has joined */
struct node *node_make(struct cluster *cluster, unsigned index);  /* without seats, and not joined */
void node_take(struct node *node, uint32_t partition);
void node_leave(struct node *node, uint32_t partition);
void node_join(struct node *node);
void node_freeze(struct node *node, bool on); /* its loops do not tick, as far as its coordinator sees */
void node_stop(struct node *node);            /* leaves and ends its membership */
/* As a supervisor does when its worker died. The node lives on, and does not know yet. */
void node_close_session(struct node *node);
/* Runs on the node's loop, and returns when it did. */
void node_call(struct node *node, void (*run)(struct node *node, void *with), void *with);

/* Says what the seat would say. */
void node_gave(struct node *node, uint32_t partition, bool taken);
void node_claim(struct node *node, uint32_t partition, uint32_t major); /* in the log, as after a GO; then took() */
void node_state(struct node *node, uint32_t partition, enum aff_seat_state state);
void node_deposed(struct node *node, uint32_t partition, uint32_t major);

/* How many partitions the node leads in the log. */
uint32_t node_leads(const struct node *node);
bool node_leased(const struct node *node, uint32_t partition); /* it leads, and may use its lease now */
struct node *cluster_leader(struct cluster *cluster, uint32_t partition);
const char *node_trace(struct node *node, uint32_t partition);

/* Until the condition holds; fails the test with its text, and what the nodes think, when it does not for a long time. */
#define await_that(cluster, condition)                                                                                 \
    for (int64_t awaited_since = 0; !(condition) && await_pass((cluster), #condition, &awaited_since);)
bool await_pass(struct cluster *cluster, const char *what, int64_t *since);

#endif
