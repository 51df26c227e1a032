/*
 * kafka_mock.c - see kafka_mock.h.
 */
#include "kafka_mock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { WAIT_MS = 10000 };

void kafka_mock_start(struct kafka_mock *mock, int brokers)
{
    char text[256];
    *mock = (struct kafka_mock){ .rk = NULL };
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "0", NULL, 0);
    mock->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    assert_non_null(mock->rk);
    mock->cluster = rd_kafka_mock_cluster_new(mock->rk, brokers);
    assert_non_null(mock->cluster);
    kafka_mock_set(mock, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(mock->cluster));
}

void kafka_mock_stop(struct kafka_mock *mock)
{
    if (mock->cluster)
        rd_kafka_mock_cluster_destroy(mock->cluster);
    if (mock->rk)
        rd_kafka_destroy(mock->rk);
    *mock = (struct kafka_mock){ .rk = NULL };
}

void kafka_mock_topic(struct kafka_mock *mock, const char *name, int partitions)
{
    assert_int_equal(rd_kafka_mock_topic_create(mock->cluster, name, partitions, 1), 0);
}

void kafka_mock_set(struct kafka_mock *mock, const char *name, const char *value)
{
    assert_true(mock->property_count < KAFKA_MOCK_PROPERTIES);
    mock->properties[mock->property_count++] = (struct aff_kafka_property){ name, value };
}

struct aff_kafka_settings *kafka_mock_settings(const struct kafka_mock *mock)
{
    struct aff_kafka_settings *settings = NULL;
    aff_error err = { .code = 0 };
    if (aff_kafka_settings_new(mock->properties, mock->property_count, &settings, &err))
        fail_msg("%s", err.text);
    return settings;
}

static rd_kafka_t *consumer_of(const struct kafka_mock *mock)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", mock->properties[0].value, NULL, 0);
    rd_kafka_conf_set(conf, "enable.partition.eof", "true", NULL, 0);
    rd_kafka_conf_set(conf, "fetch.wait.max.ms", "10", NULL, 0);
    rd_kafka_conf_set(conf, "log_level", "0", NULL, 0);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    assert_non_null(rk);
    return rk;
}

size_t kafka_mock_each(const struct kafka_mock *mock, const char *topic, int32_t partition,
                       void (*each)(const rd_kafka_message_t *message, void *arg), void *arg)
{
    rd_kafka_t *rk = consumer_of(mock);
    rd_kafka_topic_t *handle = rd_kafka_topic_new(rk, topic, NULL);
    size_t count = 0;

    assert_int_equal(rd_kafka_consume_start(handle, partition, RD_KAFKA_OFFSET_BEGINNING), 0);
    for (bool end = false; !end;) {
        rd_kafka_message_t *m = rd_kafka_consume(handle, partition, WAIT_MS);
        if (!m)
            fail_msg("%s %d: nothing to read, not even the end", topic, (int)partition);
        end = m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
        if (!m->err) {
            assert_int_equal(m->offset, count);
            count++;
            each(m, arg);
        }
        rd_kafka_message_destroy(m);
    }
    rd_kafka_consume_stop(handle, partition);
    rd_kafka_topic_destroy(handle);
    rd_kafka_destroy(rk);
    return count;
}
