/*
 * kafka_reading.h - a cluster of librdkafka's mock, a writer to it, and somebody who reads by core/changelog/kafka/reader.c.
 */
#ifndef AFF_TESTS_UNIT_KAFKA_READING_H
#define AFF_TESTS_UNIT_KAFKA_READING_H

#include "changelog/kafka/reader.h"

#include "base/list.h"

#include <librdkafka/rdkafka_mock.h>
#include <pthread.h>

enum { READING_PARTITIONS = 64, READING_WAIT_S = 30 };

struct reading {
    rd_kafka_t *host; /* of the mock, and the writer */
    rd_kafka_mock_cluster_t *cluster;
    struct aff_kafka_settings *settings;
    struct aff_kafka_reader *reader;
    struct aff_logger logger;
    struct aff_list askers; /* open ones, so that a test that fails leaves none: librdkafka waits for its messages */
};

struct reading *reading_new(int brokers, const char *topic);
struct reading *reading_free(struct reading *r); /* also when a broker is down */

/* Appends, and waits for it. value NULL: a tombstone. Returns the offset. */
int64_t reading_put(struct reading *r, const char *topic, int32_t partition, const char *key, const char *value);
/* Appends `count` values of `size` bytes, and waits. */
void reading_fill(struct reading *r, const char *topic, int32_t partition, int count, size_t size);

/* Somebody who reads a partition; the test's thread stands for the loop's. */
struct asker {
    struct aff_kafka_stream_user user;
    struct aff_list link;
    pthread_mutex_t lock;
    pthread_cond_t rung;
    unsigned rings;
    struct aff_kafka_stream *stream;
    struct aff_kafka_answer *answer; /* the last one */
    uint64_t ticket;
};

struct asker *asker_open(struct reading *r, const char *topic, uint32_t partition);
void asker_close(struct asker *a);
void asker_ask(struct asker *a, int64_t from, size_t max_bytes, int mode, int64_t confirmed_end);
bool asker_rung(struct asker *a, int64_t ms); /* waits until there is an answer, and leaves it there */
/* Waits for the answer to the last question; false: none came within the time. */
bool asker_await(struct asker *a, int64_t ms);
const struct aff_batch *asker_read(struct asker *a, int64_t from, size_t max_bytes, int mode); /* NULL: no answer */
/* Reads to the end, checking that offsets follow each other without holes; how many entries. */
int64_t asker_read_all(struct asker *a, int64_t from, size_t max_bytes);

#endif
