/*
 * kafka_mock.h - brokers in this process for tests of core/changelog/kafka: librdkafka's mock cluster, and a plain consumer.
 *
 * What the mock does not do: it checks no sequence numbers, so a record behind one that it was told to refuse lands; it
 * compacts nothing, and describes no topic.
 */
#ifndef AFF_TESTS_UNIT_CHANGELOG_KAFKA_MOCK_H
#define AFF_TESTS_UNIT_CHANGELOG_KAFKA_MOCK_H

#include "changelog/kafka/settings.h"

#include <librdkafka/rdkafka_mock.h>

enum { KAFKA_MOCK_PRODUCE = 0, KAFKA_MOCK_PROPERTIES = 16 };

struct kafka_mock {
    rd_kafka_t *rk;
    rd_kafka_mock_cluster_t *cluster;
    struct aff_kafka_property properties[KAFKA_MOCK_PROPERTIES]; /* bootstrap.servers, and what a test adds */
    size_t property_count;
};

void kafka_mock_start(struct kafka_mock *mock, int brokers);
void kafka_mock_stop(struct kafka_mock *mock);
void kafka_mock_topic(struct kafka_mock *mock, const char *name, int partitions);
void kafka_mock_set(struct kafka_mock *mock, const char *name, const char *value);
struct aff_kafka_settings *kafka_mock_settings(const struct kafka_mock *mock);

/* Every record of a partition, in order; offsets are dense. Returns how many. */
size_t kafka_mock_each(const struct kafka_mock *mock, const char *topic, int32_t partition,
                       void (*each)(const rd_kafka_message_t *message, void *arg), void *arg);

#endif
