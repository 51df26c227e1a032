/*
 * cluster_fixture.h - a router in a cluster that is not there: one loop on a virtual clock, doubles of partitions, of peers and of a
 * coordinator, linked in their places. A test says what each of them says.
 *
 * This node is "a"; "b" and "c" are others. All partitions are of one keyspace.
 */
#ifndef AFF_TESTS_ROUTER_CLUSTER_FIXTURE_H
#define AFF_TESTS_ROUTER_CLUSTER_FIXTURE_H

#include "base/buf.h"
#include "lib/virtual_clock.h"
#include "router/ask.h"
#include "router/build.h"
#include "router/patch.h"
#include "router/serve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { PARTS = 4, NODE_A = 0, NODE_B = 1, NODE_C = 2, NODES = 3, CALLS_MAX = 4096, MASTER_WAIT_MS = 1000, WAITING = 4, WAITING_BYTES = 8000 };

/* A question that the router asked of another node. */
struct asked {
    struct aff_peer_call *call; /* NULL: it was answered, or forgotten */
    char member[64], address[100];
    unsigned char *body;
    size_t len;
};

/* An answer that the router gave to another node. */
struct given {
    struct aff_peer_question question;
    bool ended, refused;
    unsigned char *answer;
    size_t len;
};

struct aff_partition {
    struct cluster *c;
    uint32_t index;
    struct aff_partition_shared shared;
    struct aff_list ops;      /* struct aff_op, submitted and not answered */
    unsigned submitted;
    int at_once;              /* operations are answered so, inside the submit; 0: they wait */
    struct aff_store *store;
    struct aff_take *take;    /* a GO that came */
    int went;                 /* -1: no word of a GO; else what aff_partition_went() said */
};

struct cluster {
    struct aff_virtual_clock clock;
    struct aff_loop *loop;
    struct aff_router *router;
    struct aff_port *port;
    const struct aff_space *space;
    struct aff_partition parts[PARTS];
    struct aff_coordinator coordinator;
    struct aff_coordinator_watch *watch;
    struct aff_view *view;
    bool lease;
    struct asked asked[CALLS_MAX];
    unsigned asked_count;
    char folder[64];
};

int cluster_setup(void **state);      /* in a cluster, with a first view: nobody leads anything */
int cluster_setup_alone(void **state); /* without one */
int cluster_teardown(void **state);

void pass(struct cluster *c);
void wait_ms(struct cluster *c, int64_t ms); /* time goes by, in steps */

/* A new view: the node (-1: nobody) leads the partition by that epoch; all else stays. */
void view_says(struct cluster *c, uint32_t partition, int node, uint32_t epoch);
/* This node's partition leads, or does not (epoch 0), and tells so. */
void leads(struct cluster *c, uint32_t partition, uint32_t epoch);

/* The only operation that a partition has: is answered so, and released. */
void op_answers(struct aff_partition *part, int code, enum aff_outcome outcome);
struct aff_op *op_of(struct aff_partition *part);

/* The last question that was asked and not answered; fails when there is none. */
struct asked *question(struct cluster *c);
unsigned questions(struct cluster *c); /* not answered */
void forget_asked(struct cluster *c);  /* those that were; none is under way */
void peer_answers(struct asked *q, int code, aff_bytes answer);
void peer_answers_result(struct asked *q, const struct aff_result *r);
void peer_answers_code(struct asked *q, int code, enum aff_outcome outcome);
void peer_answers_elsewhere(struct asked *q, const char *name, uint32_t incarnation, uint32_t epoch);

/* A request of this node. */
struct request {
    struct aff_command_op op;
    int answered, released;
    struct aff_result result; /* as it was answered */
    char reply[64], title[64];
    struct aff_found found;
    char value[64];
};
void request_init(struct request *r, enum aff_op_kind kind, uint32_t partition);
void request_send(struct cluster *c, struct request *r);
void request_read(struct cluster *c, struct request *r);
const char *key_of(uint32_t partition); /* a key that belongs to it */
void assert_waits(const struct request *r);
void assert_answer(const struct request *r, int code, enum aff_outcome outcome);

/* A question of another node. */
struct given *ask_us(struct cluster *c, uint8_t kind, uint32_t partition, aff_bytes fields);
void given_free(struct given *g);

#endif
