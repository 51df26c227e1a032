/*
 * bulk_run.h - the lines of a bulk write, carried out: many at a time, told in their order.
 *
 *   next line ──> parsed ──> waits for its key ──> at the partition ──> its result is kept ──> aff_bulk_next()
 *                   │            ^ (an earlier line has it)   │               ^  in the order of the lines
 *                   │            └──── the queue is full ─────┘               │
 *                   └─ a fault ───────────────────────────────────────────────┘
 *
 * - At most AFF_BULK_WINDOW lines are between parsed and kept. Of the lines of one key one is at the partition at a time, so they are
 *   applied in their order, also when one must be sent again because a queue was full.
 * - A result takes 32 bytes until it is told. When there is no budget for more of them nothing new is begun until some are told.
 * - At the deadline, or when it is given up, what was not sent is told as not applied. Partitions answer what they have at
 *   the deadline themselves; a little later what they left unanswered is unknown.
 *
 * All of it on the loop of `port`.
 */
#ifndef AFF_HTTP_BULK_RUN_H
#define AFF_HTTP_BULK_RUN_H

#include "http/gate.h"
#include "http/server.h"

enum { AFF_BULK_WINDOW = 512, AFF_BULK_LINES = 100000, AFF_BULK_TEXT_MAX = 192 };

struct aff_bulk_run;

struct aff_bulk_opts {
    struct aff_loop *loop;
    struct aff_port *port;
    const struct aff_space *space;
    struct aff_gate *gate;
    aff_bytes body, traceparent; /* live as long as the run */
    unsigned json_depth;
    int64_t deadline_ns;
    void (*ready)(
        void *self); /* aff_bulk_next() may have something to tell. Not inside a call of the run's functions below */
    void (*home)(void *self); /* see aff_bulk_leave() */
    void *self;
};

/* AFF_ETOOLARGE: more lines than AFF_BULK_LINES; AFF_ENOMEM. */
int aff_bulk_run_new(const struct aff_bulk_opts *opts, struct aff_bulk_run **ret_run);
void aff_bulk_start(struct aff_bulk_run *run);
/* Begins no more. What is at a partition is told as it comes, all others with this code, as not applied. */
void aff_bulk_give_up(struct aff_bulk_run *run, int code);

/* What became of a line. Views live until the next call. */
struct aff_bulk_told {
    unsigned line;      /* from 1; empty ones count */
    aff_bytes key_text; /* as it stands in the line, with its quotes; data NULL: it has none that could be read */
    bool key64;
    int code;         /* 0 or AFF_E... */
    int status;       /* HTTP's */
    aff_bytes detail; /* data NULL: the code says it all */
    bool replayed;
    bool tagged; /* `tag` is the value's */
    struct aff_etag tag;
    bool stamped; /* it went to the log under `stamp` of `partition` */
    struct aff_stamp stamp;
    uint32_t partition;
    char room[AFF_BULK_TEXT_MAX];
};

/* 1: `ret_told` is filled; 0: every line was told; AFF_EAGAIN: `ready` will come. */
int aff_bulk_next(struct aff_bulk_run *run, struct aff_bulk_told *ret_told);

/*
 * Nobody wants to know any more: nothing new is begun, nothing is told. True: nothing is under way either, and the run may be freed;
 * else `home` comes, once, when that is so.
 */
bool aff_bulk_leave(struct aff_bulk_run *run);
struct aff_bulk_run *aff_bulk_run_free(struct aff_bulk_run *run); /* accepts NULL, returns NULL */

#endif
