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

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

enum { SWEEP_AFTER_MS = 1000, EXAMINE_EVERY_MS = 2000, EXAMINE_MS = 300, UNANSWERED_MS = 5000 };

struct instance_topic {
    struct aff_list link;
    rd_kafka_topic_t *rkt;
    char *name;
    int64_t examine_ns; /* not before */
};

/* A partition that was stopped, until its queue was looked at again. */
struct stopped {
    struct aff_list link;
    struct instance_topic *topic;
    int32_t partition;
    int64_t due_ns;
};

struct instance {
    struct aff_logger logger; /* first: librdkafka's opaque pointer is that of a logger, see settings.h */
    struct aff_list link;
    struct aff_kafka_bell *bell;
    rd_kafka_t *rk;
    rd_kafka_queue_t *main;
    struct aff_kafka_call news; /* something is in the main queue */
    struct aff_list topics;
    struct aff_list sources;
    struct aff_list stopped;            /* oldest first */
    size_t queue_bytes, queue_messages; /* with so much in a partition's queue nothing is fetched for it */
    rd_kafka_resp_err_t raised;         /* by the error callback since it was cleared */
    int64_t examine_ns;                 /* not before: nobody answered */
};

struct aff_kafka_consumer {
    const struct aff_kafka_settings *settings;
    enum aff_kafka_role role;
    const struct aff_logger *logger;
    struct aff_kafka_bell *bell;
    struct aff_list instances; /* one, mostly */
    _Atomic int64_t heard_ns;  /* librdkafka's threads write it */
};

struct aff_kafka_source {
    struct aff_list link;
    struct instance *instance;
    struct instance_topic *topic;
    int32_t partition;
    rd_kafka_queue_t *queue;
    struct aff_kafka_call *came;
    size_t bytes, messages; /* taken since it was empty */
    bool may_sleep;
};

/* ---- events ---- */

static void raise_error(rd_kafka_t *rk, int code, const char *reason, void *opaque) /* inside a poll of ours */
{
    struct instance *instance = opaque;

    (void)rk;
    (void)reason; /* librdkafka logs it */
    instance->raised = (rd_kafka_resp_err_t)code;
}

static void ring_came(rd_kafka_t *rk, void *opaque) /* on a thread of librdkafka, under the queue's lock */
{
    struct aff_kafka_source *source = opaque;

    (void)rk;
    aff_kafka_bell_ring(source->instance->bell, source->came);
}

static void ring_news(rd_kafka_t *rk, void *opaque) /* as ring_came() */
{
    struct instance *instance = opaque;

    (void)rk;
    aff_kafka_bell_ring(instance->bell, &instance->news);
}

static void serve_news(struct aff_kafka_call *call)
{
    struct instance *instance = aff_container_of(call, struct instance, news);

    while (rd_kafka_poll(instance->rk, 0) > 0)
        ;
}

/* ---- instances ---- */

static size_t number_of(const rd_kafka_conf_t *conf, const char *name)
{
    char text[32];
    size_t size = sizeof text;

    return rd_kafka_conf_get(conf, name, text, &size) == RD_KAFKA_CONF_OK ? strtoul(text, NULL, 10) : SIZE_MAX;
}

/* On a thread of librdkafka's, for each answer of a broker. */
static rd_kafka_resp_err_t heard(rd_kafka_t *rk, int fd, const char *broker, int32_t id, int16_t key, int16_t version,
                                 int32_t correlation, size_t size, int64_t rtt, rd_kafka_resp_err_t error, void *opaque)
{
    struct aff_kafka_consumer *consumer = opaque;

    (void)rk, (void)fd, (void)broker, (void)id, (void)key, (void)version, (void)correlation, (void)size, (void)rtt;
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
        atomic_store_explicit(&consumer->heard_ns, aff_mono_ns(aff_clock_system()), memory_order_relaxed);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t listen_to(rd_kafka_t *rk, const rd_kafka_conf_t *conf, void *opaque, char *text, size_t size)
{
    (void)conf, (void)text, (void)size;
    return rd_kafka_interceptor_add_on_response_received(rk, "affinity", heard, opaque);
}

int64_t aff_kafka_consumer_heard_ns(const struct aff_kafka_consumer *consumer)
{
    return atomic_load_explicit(&consumer->heard_ns, memory_order_relaxed);
}

static rd_kafka_conf_t *conf_of(struct instance *instance, struct aff_kafka_consumer *consumer)
{
    rd_kafka_conf_t *conf = aff_kafka_conf(consumer->settings, consumer->role, consumer->logger);

    if (consumer->logger)
        instance->logger = *consumer->logger;
    else
        rd_kafka_conf_set_log_cb(conf, NULL);
    rd_kafka_conf_set_opaque(conf, instance);
    rd_kafka_conf_set_error_cb(conf, raise_error);
    (void)rd_kafka_conf_interceptor_add_on_new(conf, "affinity", listen_to, consumer);
    instance->queue_bytes = number_of(conf, "queued.max.messages.kbytes") << 10;
    instance->queue_messages = number_of(conf, "queued.min.messages");
    (void)rd_kafka_conf_set(conf, "group.id", NULL, NULL, 0); /* with one, a coordinator would be looked for */
    return conf;
}

static struct instance *instance_new(struct aff_kafka_consumer *consumer, aff_error *err)
{
    struct instance *instance = aff_xcalloc(1, sizeof *instance);
    rd_kafka_conf_t *conf = conf_of(instance, consumer);
    char text[256];

    instance->bell = consumer->bell;
    aff_kafka_call_init(&instance->news, serve_news);
    aff_list_init(&instance->topics);
    aff_list_init(&instance->sources);
    aff_list_init(&instance->stopped);
    instance->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    if (!instance->rk) {
        rd_kafka_conf_destroy(conf);
        free(instance);
        aff_fail_with(err, AFF_ECONFIG, "kafka: no consumer: %s", text);
        return NULL;
    }
    instance->main = rd_kafka_queue_get_main(instance->rk);
    rd_kafka_queue_cb_event_enable(instance->main, ring_news, instance);
    aff_list_append(&consumer->instances, &instance->link);
    return instance;
}

static void forget_topic(struct instance_topic *topic)
{
    aff_list_remove(&topic->link);
    rd_kafka_topic_destroy(topic->rkt);
    free(topic->name);
    free(topic);
}

static void forget_stopped(struct stopped *stopped)
{
    aff_list_remove(&stopped->link);
    free(stopped);
}

static void sweep(const struct stopped *stopped)
{
    rd_kafka_message_t *message;

    while ((message = rd_kafka_consume(stopped->topic->rkt, stopped->partition, 0)))
        rd_kafka_message_destroy(message);
}

static int64_t sweep_instance(struct instance *instance, int64_t now_ns)
{
    aff_list_each(node, &instance->stopped) {
        struct stopped *stopped = aff_container_of(node, struct stopped, link);
        if (stopped->due_ns > now_ns)
            return stopped->due_ns;
        sweep(stopped);
        forget_stopped(stopped);
    }
    return INT64_MAX;
}

static void instance_free(struct instance *instance)
{
    rd_kafka_queue_cb_event_enable(instance->main, NULL, NULL);
    aff_kafka_bell_forget(instance->bell, &instance->news);
    (void)sweep_instance(instance, INT64_MAX);
    aff_list_each(node, &instance->topics)
        forget_topic(aff_container_of(node, struct instance_topic, link));
    rd_kafka_queue_destroy(instance->main);
    rd_kafka_destroy_flags(instance->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    free(instance);
}

static struct instance_topic *topic_of(struct instance *instance, const char *name)
{
    aff_list_each(node, &instance->topics) {
        struct instance_topic *topic = aff_container_of(node, struct instance_topic, link);
        if (strcmp(topic->name, name) == 0)
            return topic;
    }
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(instance->rk, name, NULL);
    if (!rkt)
        return NULL;
    struct instance_topic *topic = aff_xcalloc(1, sizeof *topic);
    topic->rkt = rkt;
    topic->name = aff_xstrdup(name);
    aff_list_append(&instance->topics, &topic->link);
    return topic;
}

/* ---- consumers ---- */

int aff_kafka_consumer_new(const struct aff_kafka_settings *settings, enum aff_kafka_role role,
                           const struct aff_logger *logger, struct aff_kafka_bell *bell,
                           struct aff_kafka_consumer **ret_consumer, aff_error *err)
{
    struct aff_kafka_consumer *consumer = aff_xcalloc(1, sizeof *consumer);

    consumer->settings = settings;
    consumer->role = role;
    consumer->logger = logger;
    consumer->bell = bell;
    aff_list_init(&consumer->instances);
    if (!instance_new(consumer, err)) {
        free(consumer);
        return AFF_ECONFIG;
    }
    *ret_consumer = consumer;
    return 0;
}

struct aff_kafka_consumer *aff_kafka_consumer_free(struct aff_kafka_consumer *consumer)
{
    if (!consumer)
        return NULL;
    aff_list_each(node, &consumer->instances)
        instance_free(aff_container_of(node, struct instance, link));
    free(consumer);
    return NULL;
}

/* ---- what comes after a stop ---- */

int64_t aff_kafka_consumer_sweep(struct aff_kafka_consumer *consumer, int64_t now_ns)
{
    int64_t due_ns = INT64_MAX;

    aff_list_each(node, &consumer->instances) {
        int64_t due = sweep_instance(aff_container_of(node, struct instance, link), now_ns);
        due_ns = due < due_ns ? due : due_ns;
    }
    return due_ns;
}

static void sweep_later(const struct aff_kafka_source *source, int64_t now_ns)
{
    struct stopped *stopped = aff_xcalloc(1, sizeof *stopped);

    stopped->topic = source->topic;
    stopped->partition = source->partition;
    stopped->due_ns = now_ns + SWEEP_AFTER_MS * AFF_NS_PER_MS;
    aff_list_append(&source->instance->stopped, &stopped->link);
}

static void sweep_never(const struct aff_kafka_source *source) /* it is started again, and taken from by that */
{
    aff_list_each(node, &source->instance->stopped) {
        struct stopped *stopped = aff_container_of(node, struct stopped, link);
        if (stopped->topic == source->topic && stopped->partition == source->partition)
            forget_stopped(stopped);
    }
}

/* ---- sources ---- */

static bool fetches(const struct instance *instance, const char *topic, int32_t partition)
{
    aff_list_each(node, &instance->sources) {
        const struct aff_kafka_source *source = aff_container_of(node, struct aff_kafka_source, link);
        if (source->partition == partition && strcmp(source->topic->name, topic) == 0)
            return true;
    }
    return false;
}

static struct instance *instance_for(struct aff_kafka_consumer *consumer, const char *topic, int32_t partition)
{
    aff_error err;

    aff_list_each(node, &consumer->instances) {
        struct instance *instance = aff_container_of(node, struct instance, link);
        if (!fetches(instance, topic, partition))
            return instance;
    }
    return instance_new(consumer, &err);
}

static struct aff_kafka_source *source_free(struct aff_kafka_source *source)
{
    if (source->queue) {
        rd_kafka_queue_cb_event_enable(source->queue, NULL, NULL);
        aff_kafka_bell_forget(source->instance->bell, source->came);
        rd_kafka_queue_destroy(source->queue);
    }
    aff_list_remove(&source->link);
    free(source);
    return NULL;
}

static bool start(struct aff_kafka_source *source, int64_t offset)
{
    sweep_never(source);
    source->queue = rd_kafka_queue_new(source->instance->rk);
    rd_kafka_queue_cb_event_enable(source->queue, ring_came, source);
    return rd_kafka_consume_start_queue(source->topic->rkt, source->partition, offset, source->queue) == 0;
}

struct aff_kafka_source *aff_kafka_source_start(struct aff_kafka_consumer *consumer, const char *topic,
                                                int32_t partition, int64_t offset, struct aff_kafka_call *came,
                                                rd_kafka_resp_err_t *ret_error)
{
    struct instance *instance = instance_for(consumer, topic, partition);
    if (!instance) {
        *ret_error = RD_KAFKA_RESP_ERR__FAIL;
        return NULL;
    }
    struct aff_kafka_source *source = aff_xcalloc(1, sizeof *source);
    source->instance = instance;
    source->topic = topic_of(instance, topic);
    source->partition = partition;
    source->came = came;
    aff_list_append(&instance->sources, &source->link);
    if (source->topic && start(source, offset))
        return source;
    *ret_error = rd_kafka_last_error();
    return source_free(source);
}

struct aff_kafka_source *aff_kafka_source_stop(struct aff_kafka_source *source, int64_t now_ns)
{
    if (!source)
        return NULL;
    (void)rd_kafka_consume_stop(source->topic->rkt, source->partition); /* a partition that is gone stands still, too */
    sweep_later(source, now_ns);
    return source_free(source);
}

rd_kafka_message_t *aff_kafka_source_take(struct aff_kafka_source *source, rd_kafka_resp_err_t *ret_error)
{
    struct instance *instance = source->instance;

    instance->raised = RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_message_t *message = rd_kafka_consume_queue(source->queue, 0);
    *ret_error = instance->raised;
    if (message) {
        source->bytes += message->len + message->key_len;
        source->messages++;
        source->may_sleep = false;
    } else {
        source->may_sleep |= source->bytes >= instance->queue_bytes || source->messages >= instance->queue_messages;
        source->bytes = source->messages = 0;
    }
    return message;
}

bool aff_kafka_source_may_sleep(const struct aff_kafka_source *source)
{
    return source->may_sleep;
}

void aff_kafka_source_ends(struct aff_kafka_source *source, int64_t *ret_start, int64_t *ret_end)
{
    *ret_start = *ret_end = -1;
    (void)rd_kafka_get_watermark_offsets(source->instance->rk, source->topic->name, source->partition, ret_start,
                                         ret_end);
}

static rd_kafka_resp_err_t examine(const struct rd_kafka_metadata_topic *topic, int32_t partition)
{
    if (topic->err && topic->err != RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE)
        return topic->err;
    for (int i = 0; i < topic->partition_cnt; i++)
        if (topic->partitions[i].id == partition)
            return RD_KAFKA_RESP_ERR_NO_ERROR;
    return topic->err ? RD_KAFKA_RESP_ERR_NO_ERROR : RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
}

rd_kafka_resp_err_t aff_kafka_source_examine(struct aff_kafka_source *source, int64_t now_ns)
{
    const struct rd_kafka_metadata *metadata;
    struct instance_topic *topic = source->topic;
    rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;

    if (now_ns < topic->examine_ns || now_ns < source->instance->examine_ns)
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    topic->examine_ns = now_ns + EXAMINE_EVERY_MS * AFF_NS_PER_MS;
    if (rd_kafka_metadata(source->instance->rk, 0, topic->rkt, &metadata, EXAMINE_MS)) {
        source->instance->examine_ns = now_ns + UNANSWERED_MS * AFF_NS_PER_MS; /* nobody answers: that passes */
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    if (metadata->topic_cnt == 1)
        error = examine(&metadata->topics[0], source->partition);
    rd_kafka_metadata_destroy(metadata);
    return error;
}
