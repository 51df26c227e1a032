/*
 * kafka/ask.h - questions to the cluster about topics: what is there, and make this one. kafka/admin.c asks them.
 *
 * Blocking, each until a deadline; any thread, several at once. AFF_EIO: nobody answered, or the answer was that it is not
 * possible now; the text names the brokers and what librdkafka last said of them. It may have been the one broker that hangs
 * which was asked, and the next question goes to another: ask again, with little time first.
 */
#ifndef AFF_CHANGELOG_KAFKA_ASK_H
#define AFF_CHANGELOG_KAFKA_ASK_H

#include "changelog/kafka/settings.h"
#include "changelog/kafka/wanted.h"

#include <stdatomic.h>

struct aff_kafka_asker;

/* A question is given up soon after `stop` became true; aff_kafka_ask_shape() is not. */
int aff_kafka_asker_new(const struct aff_kafka_settings *settings, const struct aff_logger *logger,
                        const atomic_bool *stop, struct aff_kafka_asker **ret_asker, aff_error *err);
struct aff_kafka_asker *aff_kafka_asker_free(struct aff_kafka_asker *asker);

/* Is `deadline_ns`, of the monotonic clock, not reached and the stop not asked for? */
bool aff_kafka_ask_on(const struct aff_kafka_asker *asker, int64_t deadline_ns);

/* Replicas and leaders of a topic. */
struct aff_kafka_shape {
    uint32_t partitions;
    int32_t replication; /* of the partition with the fewest */
    int32_t brokers;     /* that are alive */
    bool led;            /* each partition has a leader */
};
/* AFF_ENOTFOUND: there is no such topic; `brokers` is set then as well. */
int aff_kafka_ask_shape(struct aff_kafka_asker *asker, const char *topic, int64_t deadline_ns,
                        struct aff_kafka_shape *ret_shape, aff_error *err);

/* The effective settings of a topic; views into the answer, which is to be freed. AFF_ENOTFOUND as above. */
struct aff_kafka_described {
    void *event;
    struct aff_kafka_property *settings;
    size_t count;
};
int aff_kafka_ask_settings(struct aff_kafka_asker *asker, const char *topic, int64_t deadline_ns,
                           struct aff_kafka_described *ret_described, aff_error *err);
void aff_kafka_described_free(struct aff_kafka_described *described);

/* 0: it was made, or somebody else did. AFF_ECONFIG: the cluster refuses. AFF_EAGAIN: not now, or nobody knows; look again. */
int aff_kafka_ask_create(struct aff_kafka_asker *asker, const struct aff_kafka_demand *demand, int32_t replication,
                         int64_t deadline_ns, aff_error *err);

#endif
