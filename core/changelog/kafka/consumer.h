/*
 * kafka/consumer.h - a consumer of librdkafka and the partitions that it fetches. The reader's thread.
 *
 * The simple consumer, each partition with a queue of its own: no group, no coordinator, no commits, and starting somewhere
 * else is a stop and a start. A stop waits for librdkafka's main thread, not for a broker. An instance of librdkafka fetches
 * a partition once; for a partition that is read twice at one time (an audit reads beside who serves) there is another one.
 */
#ifndef AFF_CHANGELOG_KAFKA_CONSUMER_H
#define AFF_CHANGELOG_KAFKA_CONSUMER_H

#include "changelog/kafka/bell.h"
#include "changelog/kafka/settings.h"

struct aff_kafka_consumer;
struct aff_kafka_source; /* a partition that is being fetched */

/* `settings`, `logger` and `bell` are borrowed until it is freed. */
int aff_kafka_consumer_new(const struct aff_kafka_settings *settings, enum aff_kafka_role role,
                           const struct aff_logger *logger, struct aff_kafka_bell *bell,
                           struct aff_kafka_consumer **ret_consumer, aff_error *err);
struct aff_kafka_consumer *aff_kafka_consumer_free(struct aff_kafka_consumer *consumer); /* its sources are stopped */
/* When a broker answered it last, monotonic; 0: none did. Any thread. */
int64_t aff_kafka_consumer_heard_ns(const struct aff_kafka_consumer *consumer);

/*
 * Begins to fetch at an offset, or at RD_KAFKA_OFFSET_END. `came` is rung when there is something after there was nothing:
 * take until there is nothing. NULL: librdkafka refused it, with `*ret_error`.
 */
struct aff_kafka_source *aff_kafka_source_start(struct aff_kafka_consumer *consumer, const char *topic,
                                                int32_t partition, int64_t offset, struct aff_kafka_call *came,
                                                rd_kafka_resp_err_t *ret_error);
/* `came` does not run any more. Returns NULL. */
struct aff_kafka_source *aff_kafka_source_stop(struct aff_kafka_source *source, int64_t now_ns);

/* A message, which may be an error (the caller's to destroy), or NULL. `*ret_error`: an error that came without one, or 0. */
rd_kafka_message_t *aff_kafka_source_take(struct aff_kafka_source *source, rd_kafka_resp_err_t *ret_error);

/*
 * It was taken empty, after so much that librdkafka may have stopped fetching above the bound of its queue: that is not noticed
 * to be over for up to a second. (fetch.queue.backoff.ms, where there is one, makes it less.)
 */
bool aff_kafka_source_may_sleep(const struct aff_kafka_source *source);

/*
 * Asks the cluster about the topic: 0, or why it cannot be read. For a source that gets nothing; bounded by a fraction of a
 * second, and seldom: else 0.
 */
rd_kafka_resp_err_t aff_kafka_source_examine(struct aff_kafka_source *source, int64_t now_ns);

/* What the last answer of a broker told, negative when none did. */
void aff_kafka_source_ends(struct aff_kafka_source *source, int64_t *ret_start, int64_t *ret_end);

/* Drops what came after sources were stopped. Returns when it wants to be called next. */
int64_t aff_kafka_consumer_sweep(struct aff_kafka_consumer *consumer, int64_t now_ns);

#endif
