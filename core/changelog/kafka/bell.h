/*
 * kafka/bell.h - how loops and librdkafka's threads call the reader's thread: a list of calls, and one wait for all of them.
 *
 * A call is embedded in what it is about; ringing allocates nothing, and a call that was rung twice before the thread came
 * runs once.
 */
#ifndef AFF_CHANGELOG_KAFKA_BELL_H
#define AFF_CHANGELOG_KAFKA_BELL_H

#include "base/list.h"

#include <pthread.h>
#include <stdint.h>

struct aff_kafka_call {
    struct aff_list link;
    void (*run)(struct aff_kafka_call *call); /* on the reader's thread, under no lock */
};

struct aff_kafka_bell {
    pthread_mutex_t lock; /* nothing is called while it is held: it may be taken under librdkafka's */
    pthread_cond_t rung;
    struct aff_list calls;
};

void aff_kafka_bell_init(struct aff_kafka_bell *bell);
void aff_kafka_bell_fini(struct aff_kafka_bell *bell);

void aff_kafka_call_init(struct aff_kafka_call *call, void (*run)(struct aff_kafka_call *call));
void aff_kafka_bell_ring(struct aff_kafka_bell *bell, struct aff_kafka_call *call); /* any thread */

/* On the reader's thread. Waits until somebody rings or the time has come, and runs what was rung. */
void aff_kafka_bell_serve(struct aff_kafka_bell *bell, int64_t until_mono_ns);
/* On the reader's thread, when nobody rings it any more: it does not run. */
void aff_kafka_bell_forget(struct aff_kafka_bell *bell, struct aff_kafka_call *call);

#endif
