/*
 * kafka/keeper.h - a thread for the calls of librdkafka that block: jobs go in, and come back done, in their order.
 */
#ifndef AFF_CHANGELOG_KAFKA_KEEPER_H
#define AFF_CHANGELOG_KAFKA_KEEPER_H

#include "changelog/port.h"

#include <pthread.h>
#include <stdatomic.h>

/* Embedded in what the job is about; whose it is until `done` is called. */
struct kafka_job {
    struct aff_list link;
    void (*run)(struct kafka_job *job);  /* keeper's thread */
    void (*done)(struct kafka_job *job); /* in aff_keeper_finish() */
};

struct kafka_keeper {
    pthread_t thread;
    atomic_bool stopping; /* jobs that can be skipped are, and what waits gives up */

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t work;
    struct aff_list jobs, finished; /* of kafka_job.link */
    struct aff_port *port;          /* rung when a job is finished; may be NULL */
    bool stop;
};

int aff_keeper_init(struct kafka_keeper *keeper, aff_error *err);
/* Ends the thread after the jobs that there are; then finishes them. */
void aff_keeper_fini(struct kafka_keeper *keeper);

void aff_keeper_submit(struct kafka_keeper *keeper, struct kafka_job *job);
/* Calls `done` of the jobs that ran. */
void aff_keeper_finish(struct kafka_keeper *keeper);
/* After it returned the former port is not rung any more. */
void aff_keeper_ring(struct kafka_keeper *keeper, struct aff_port *port);

#endif
