/*
 * kafka/producer.h - idempotent producers of one loop: appends go in, delivery reports come out on the loop.
 *
 * A pool has a few slots, each with the present instance of librdkafka; partitions are spread over the slots, because
 * idempotence allows five requests in flight a connection, each with one partition. A pool serves one loop at a time; its
 * instances are made, and made acquainted with their topics, by a thread of the pool, since both block. What is appended
 * meanwhile is held back.
 *
 * An instance that failed for good (fatal error; a record refused for ever is one by enable.gapless.guarantee) takes nothing
 * any more. What it had in flight is reported, void or unknown; then each of its partitions moves to the slot's fresh
 * instance: at once when nothing of it is in doubt, else at its reset(). The old one is destroyed by the pool's thread.
 *
 * All functions on the attached loop's thread, or while no loop is attached; attach and detach on the loop's thread or
 * before it runs.
 */
#ifndef AFF_CHANGELOG_KAFKA_PRODUCER_H
#define AFF_CHANGELOG_KAFKA_PRODUCER_H

#include "changelog/kafka/settings.h"

#include <stdatomic.h>

struct aff_kafka_pool;
struct aff_kafka_lane; /* one partition's place in a pool */

struct aff_kafka_pool_opts {
    const struct aff_kafka_settings *settings;
    unsigned instances;
    uint64_t batch_bytes;        /* no batch of several records is larger: the least that a topic takes; 0: any */
    _Atomic uint64_t *in_flight; /* bytes, all pools together */
    uint64_t max_in_flight;
    _Atomic uint64_t *rebuilt; /* counts instances that failed and were replaced */
    const struct aff_logger *logger;
};
int aff_kafka_pool_new(const struct aff_kafka_pool_opts *opts, struct aff_kafka_pool **ret_pool, aff_error *err);
/* No lane is open, no loop attached. Waits, bounded, until what was handed over is out or refused. Returns NULL. */
struct aff_kafka_pool *aff_kafka_pool_free(struct aff_kafka_pool *pool);

int aff_kafka_pool_attach(struct aff_kafka_pool *pool, struct aff_loop *loop, aff_error *err);
/* No lane is open. Also from inside a callback. */
void aff_kafka_pool_detach(struct aff_kafka_pool *pool);

struct aff_kafka_lane_user {
    /* Never from inside another function of this header. It may append, reset, and close this lane or any other. */
    void (*reports)(struct aff_kafka_lane_user *user, const struct aff_delivery_report *reports, size_t count);
};

/* AFF_ECONFIG: the topic takes less than the pool's batches may have. */
int aff_kafka_lane_open(struct aff_kafka_pool *pool, const char *topic, uint32_t partition, uint64_t max_message_bytes,
                        struct aff_kafka_lane_user *user, struct aff_kafka_lane **ret_lane, aff_error *err);
void aff_kafka_lane_close(struct aff_kafka_lane *lane); /* no report comes after it */

/* As aff_changelog_ops.append and .reset. */
int aff_kafka_lane_append(struct aff_kafka_lane *lane, const struct aff_entry *entry, uint64_t seq) AFF_MUST_USE;
void aff_kafka_lane_reset(struct aff_kafka_lane *lane);

/* One above the highest offset that was reported, 0 at first. */
int64_t aff_kafka_lane_confirmed_end(const struct aff_kafka_lane *lane);

#endif
