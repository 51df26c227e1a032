/*
 * kafka/consumer.c - see kafka/consumer.h.
 *
 * Facts of librdkafka 2.0.2 that shaped it:
 * - a topic that is gone, or forbidden, is told by an error that is no message: it comes to the error callback while the
 *   partition's queue is polled, on our thread;
 * - what a broker answers after the stop stays in the partition's own queue until it is started again, with the whole
 *   answer that it points into: the queue is polled once more a while later, which drops it.
 */
#include "changelog/kafka/consumer.h"

#include "base/alloc.h"

#include <stdlib.h>

enum { SWEEP_AFTER_MS = 1000 };

struct consumer_topic {
    struct aff_list link;
    rd_kafka_topic_t *rkt;
    char *name;
};

/* A partition that was stopped, until its queue was looked at again. */
struct stopped {
    struct aff_list link;
    struct consumer_topic *topic;
    int32_t partition;
    int64_t due_ns;
};

struct aff_kafka_consumer {
    struct aff_logger logger; /* first: librdkafka's opaque pointer is that of a logger, see settings.h */
    struct aff_kafka_bell *bell;
    rd_kafka_t *rk;
    rd_kafka_queue_t *main;
    struct aff_kafka_call news; /* something is in the main queue */
    struct aff_list topics;
    struct aff_list stopped; /* oldest first */
    rd_kafka_resp_err_t raised; /* by the error callback since it was cleared */
};

struct aff_kafka_source {
    struct aff_kafka_consumer *consumer;
    struct consumer_topic *topic;
    int32_t partition;
    rd_kafka_queue_t *queue;
    struct aff_kafka_call *came;
};

/* ---- events ---- */

static void raise_error(rd_kafka_t *rk, int code, const char *reason, void *opaque) /* inside a poll of ours */
{
    struct aff_kafka_consumer *consumer = opaque;

    (void)rk;
    (void)reason; /* librdkafka logs it */
    consumer->raised = (rd_kafka_resp_err_t)code;
}

static void ring_came(rd_kafka_t *rk, void *opaque) /* on a thread of librdkafka, under the queue's lock */
{
    struct aff_kafka_source *source = opaque;

    (void)rk;
    aff_kafka_bell_ring(source->consumer->bell, source->came);
}

static void ring_news(rd_kafka_t *rk, void *opaque) /* as ring_came() */
{
    struct aff_kafka_consumer *consumer = opaque;

    (void)rk;
    aff_kafka_bell_ring(consumer->bell, &consumer->news);
}

static void serve_news(struct aff_kafka_call *call)
{
    struct aff_kafka_consumer *consumer = aff_container_of(call, struct aff_kafka_consumer, news);

    while (rd_kafka_poll(consumer->rk, 0) > 0)
        ;
}

/* ---- life ---- */

static rd_kafka_conf_t *conf_of(struct aff_kafka_consumer *consumer, const struct aff_kafka_settings *settings,
                                enum aff_kafka_role role, const struct aff_logger *logger)
{
    rd_kafka_conf_t *conf = aff_kafka_conf(settings, role, logger);

    if (logger)
        consumer->logger = *logger;
    else
        rd_kafka_conf_set_log_cb(conf, NULL);
    rd_kafka_conf_set_opaque(conf, consumer);
    rd_kafka_conf_set_error_cb(conf, raise_error);
    (void)rd_kafka_conf_set(conf, "group.id", NULL, NULL, 0); /* with one, a coordinator would be looked for */
    return conf;
}

int aff_kafka_consumer_new(const struct aff_kafka_settings *settings, enum aff_kafka_role role,
                           const struct aff_logger *logger, struct aff_kafka_bell *bell,
                           struct aff_kafka_consumer **ret_consumer, aff_error *err)
{
    struct aff_kafka_consumer *consumer = aff_xcalloc(1, sizeof *consumer);
    rd_kafka_conf_t *conf = conf_of(consumer, settings, role, logger);
    char text[256];

    consumer->bell = bell;
    aff_kafka_call_init(&consumer->news, serve_news);
    aff_list_init(&consumer->topics);
    aff_list_init(&consumer->stopped);
    consumer->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    if (!consumer->rk) {
        rd_kafka_conf_destroy(conf);
        free(consumer);
        return aff_fail_with(err, AFF_ECONFIG, "kafka: no consumer: %s", text);
    }
    consumer->main = rd_kafka_queue_get_main(consumer->rk);
    rd_kafka_queue_cb_event_enable(consumer->main, ring_news, consumer);
    *ret_consumer = consumer;
    return 0;
}

static void forget_topics(struct aff_kafka_consumer *consumer)
{
    struct aff_list *node;

    while ((node = aff_list_take(&consumer->topics))) {
        struct consumer_topic *topic = aff_container_of(node, struct consumer_topic, link);
        rd_kafka_topic_destroy(topic->rkt);
        free(topic->name);
        free(topic);
    }
}

static void forget_stopped(struct stopped *stopped)
{
    aff_list_remove(&stopped->link);
    free(stopped);
}

struct aff_kafka_consumer *aff_kafka_consumer_free(struct aff_kafka_consumer *consumer)
{
    if (!consumer)
        return NULL;
    rd_kafka_queue_cb_event_enable(consumer->main, NULL, NULL);
    aff_kafka_bell_forget(consumer->bell, &consumer->news);
    aff_list_each (node, &consumer->stopped)
        forget_stopped(aff_container_of(node, struct stopped, link));
    forget_topics(consumer);
    rd_kafka_queue_destroy(consumer->main);
    rd_kafka_destroy_flags(consumer->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    free(consumer);
    return NULL;
}

static struct consumer_topic *topic_of(struct aff_kafka_consumer *consumer, const char *name)
{
    aff_list_each (node, &consumer->topics) {
        struct consumer_topic *topic = aff_container_of(node, struct consumer_topic, link);
        if (strcmp(topic->name, name) == 0)
            return topic;
    }
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(consumer->rk, name, NULL);
    if (!rkt)
        return NULL;
    struct consumer_topic *topic = aff_xcalloc(1, sizeof *topic);
    topic->rkt = rkt;
    topic->name = aff_xstrdup(name);
    aff_list_append(&consumer->topics, &topic->link);
    return topic;
}

/* ---- what comes after a stop ---- */

static void sweep(const struct stopped *stopped)
{
    rd_kafka_message_t *message;

    while ((message = rd_kafka_consume(stopped->topic->rkt, stopped->partition, 0)))
        rd_kafka_message_destroy(message);
}

int64_t aff_kafka_consumer_sweep(struct aff_kafka_consumer *consumer, int64_t now_ns)
{
    aff_list_each (node, &consumer->stopped) {
        struct stopped *stopped = aff_container_of(node, struct stopped, link);
        if (stopped->due_ns > now_ns)
            return stopped->due_ns;
        sweep(stopped);
        forget_stopped(stopped);
    }
    return INT64_MAX;
}

static void sweep_later(const struct aff_kafka_source *source, int64_t now_ns)
{
    struct stopped *stopped = aff_xcalloc(1, sizeof *stopped);

    stopped->topic = source->topic;
    stopped->partition = source->partition;
    stopped->due_ns = now_ns + SWEEP_AFTER_MS * AFF_NS_PER_MS;
    aff_list_append(&source->consumer->stopped, &stopped->link);
}

static void sweep_never(const struct aff_kafka_source *source) /* it is started again, and taken from by that */
{
    aff_list_each (node, &source->consumer->stopped) {
        struct stopped *stopped = aff_container_of(node, struct stopped, link);
        if (stopped->topic == source->topic && stopped->partition == source->partition)
            forget_stopped(stopped);
    }
}

/* ---- sources ---- */

struct aff_kafka_source *aff_kafka_source_start(struct aff_kafka_consumer *consumer, const char *topic, int32_t partition,
                                                int64_t offset, struct aff_kafka_call *came,
                                                rd_kafka_resp_err_t *ret_error)
{
    struct aff_kafka_source *source = aff_xcalloc(1, sizeof *source);

    *source = (struct aff_kafka_source){ consumer, topic_of(consumer, topic), partition, NULL, came };
    if (source->topic) {
        sweep_never(source);
        source->queue = rd_kafka_queue_new(consumer->rk);
        rd_kafka_queue_cb_event_enable(source->queue, ring_came, source);
        if (rd_kafka_consume_start_queue(source->topic->rkt, partition, offset, source->queue) == 0)
            return source;
        *ret_error = rd_kafka_last_error();
        rd_kafka_queue_destroy(source->queue);
        aff_kafka_bell_forget(consumer->bell, came);
    } else {
        *ret_error = rd_kafka_last_error();
    }
    free(source);
    return NULL;
}

struct aff_kafka_source *aff_kafka_source_stop(struct aff_kafka_source *source, int64_t now_ns)
{
    if (!source)
        return NULL;
    (void)rd_kafka_consume_stop(source->topic->rkt, source->partition); /* a partition that is gone stands still, too */
    rd_kafka_queue_cb_event_enable(source->queue, NULL, NULL);
    aff_kafka_bell_forget(source->consumer->bell, source->came);
    rd_kafka_queue_destroy(source->queue);
    sweep_later(source, now_ns);
    free(source);
    return NULL;
}

rd_kafka_message_t *aff_kafka_source_take(struct aff_kafka_source *source, rd_kafka_resp_err_t *ret_error)
{
    struct aff_kafka_consumer *consumer = source->consumer;

    consumer->raised = RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_message_t *message = rd_kafka_consume_queue(source->queue, 0);
    *ret_error = consumer->raised;
    return message;
}

void aff_kafka_source_ends(struct aff_kafka_source *source, int64_t *ret_start, int64_t *ret_end)
{
    *ret_start = *ret_end = -1;
    (void)rd_kafka_get_watermark_offsets(source->consumer->rk, source->topic->name, source->partition, ret_start, ret_end);
}
