/*
 * producers.c - see producers.h.
 */
#include "producers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static _Noreturn void die(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[256];

    if (rd_kafka_conf_set(conf, name, value, text, sizeof text) != RD_KAFKA_CONF_OK)
        die(name, text);
}

static void report(rd_kafka_t *instance, const rd_kafka_message_t *message, void *opaque)
{
    struct producers *self = opaque;

    (void)instance;
    self->reported(message->_private, message->err == RD_KAFKA_RESP_ERR_NO_ERROR, message->offset);
}

static rd_kafka_t *new_instance(struct producers *self, const char *bootstrap)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_t *instance;
    char text[256];

    set(conf, "bootstrap.servers", bootstrap);
    set(conf, "enable.idempotence", "true");
    set(conf, "enable.gapless.guarantee", "true");
    set(conf, "acks", "all");
    set(conf, "linger.ms", "0");
    set(conf, "message.timeout.ms", "0");
    set(conf, "socket.nagle.disable", "true");
    rd_kafka_conf_set_dr_msg_cb(conf, report);
    rd_kafka_conf_set_opaque(conf, self);
    instance = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (!instance)
        die("librdkafka", text);
    return instance;
}

/* ---- the topic ---- */

static const char *const topic_settings[][2] = {
    { "cleanup.policy", "compact" },
    { "min.compaction.lag.ms", "3600000" },
    { "message.timestamp.type", "LogAppendTime" },
    { "max.message.bytes", "2097152" },
};

static void await_creation(rd_kafka_queue_t *queue)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 30000);
    const rd_kafka_topic_result_t **results;
    size_t count;

    if (!event || rd_kafka_event_error(event))
        die("creating the topic", event ? rd_kafka_event_error_string(event) : "no answer");
    results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[0]);
    if (code && code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        die("creating the topic", rd_kafka_err2str(code));
    rd_kafka_event_destroy(event);
}

static void create_topic(rd_kafka_t *instance, const char *name)
{
    char text[256];
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(name, PRODUCERS_PARTITIONS, -1, text, sizeof text);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(instance);

    if (!topic)
        die("creating the topic", text);
    for (size_t i = 0; i < sizeof topic_settings / sizeof *topic_settings; i++)
        rd_kafka_NewTopic_set_config(topic, topic_settings[i][0], topic_settings[i][1]);
    rd_kafka_CreateTopics(instance, &topic, 1, NULL, queue);
    await_creation(queue);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy(topic);
}

/* Without it the first record may wait for a second. */
static void await_metadata(rd_kafka_t *instance, rd_kafka_topic_t *topic)
{
    const struct rd_kafka_metadata *metadata;

    for (int tries = 0; tries < 100; tries++) {
        if (rd_kafka_metadata(instance, 0, topic, &metadata, 10000) == RD_KAFKA_RESP_ERR_NO_ERROR) {
            bool there = metadata->topics[0].partition_cnt == PRODUCERS_PARTITIONS;
            rd_kafka_metadata_destroy(metadata);
            if (there)
                return;
        }
        usleep(100000);
    }
    die("metadata of the topic", "not there, or another number of partitions");
}

/* ---- what users call ---- */

static void raise_descriptor(rd_kafka_t *instance, int fd)
{
    static const uint64_t one = 1;
    rd_kafka_queue_t *queue = rd_kafka_queue_get_main(instance);

    rd_kafka_queue_io_event_enable(queue, fd, &one, sizeof one);
    rd_kafka_queue_destroy(queue);
}

void producers_start(struct producers *self, const char *bootstrap, const char *topic, unsigned count)
{
    if (count < 1 || count > PRODUCERS_MAX)
        die("producers", "1 to 8");
    self->count = count;
    self->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (self->fd < 0)
        die("eventfd", "no descriptor left");
    for (unsigned i = 0; i < count; i++) {
        self->instances[i] = new_instance(self, bootstrap);
        if (i == 0)
            create_topic(self->instances[i], topic);
        self->topics[i] = rd_kafka_topic_new(self->instances[i], topic, NULL);
        await_metadata(self->instances[i], self->topics[i]);
        raise_descriptor(self->instances[i], self->fd);
    }
}

void producers_send(struct producers *self, const char *key, size_t key_len, void *value, size_t value_len,
                    void *opaque)
{
    int32_t partition = rd_kafka_msg_partitioner_murmur2(self->topics[0], key, key_len, PRODUCERS_PARTITIONS, NULL,
                                                         NULL);

    if (rd_kafka_produce(self->topics[(unsigned)partition % self->count], partition, 0, value, value_len, key, key_len,
                         opaque) != 0)
        die("rd_kafka_produce", rd_kafka_err2str(rd_kafka_last_error()));
}

int producers_poll(struct producers *self)
{
    int reports = 0;
    uint64_t times;

    if (read(self->fd, &times, sizeof times) < 0)
        return 0; /* nothing has come since */
    for (unsigned i = 0; i < self->count; i++)
        reports += rd_kafka_poll(self->instances[i], 0);
    return reports;
}
