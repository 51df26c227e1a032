/*
 * kafka/instance.c - one instance of librdkafka, as a pool of producers uses it. See kafka/pool.h.
 *
 * The functions named `make_run`, `ask_run` and `destroy_run` are on the keeper's thread and touch nothing but the instance
 * that they are about and librdkafka; everything else is on the loop's. Jobs are run and come back in their order, so an
 * instance outlives the jobs about its topics.
 */
#include "base/alloc.h"
#include "changelog/kafka/pool.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    ASK_TIMEOUT_MS = 1000, /* for metadata */
    ASK_AGAIN_MS = 200,
    PURGE_AGAIN_MS = 50,
    IN_FLIGHT_GRACE_MS = 1000, /* of a failed instance: so long the answers to its requests are waited for */
    GIVE_UP_MS = 5000,
};

/* ---- make ---- */

static void bound_batches(rd_kafka_conf_t *conf, uint64_t most)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)most);
    rd_kafka_conf_res_t rc = rd_kafka_conf_set(conf, "batch.size", text, NULL, 0);
    assert(rc == RD_KAFKA_CONF_OK);
    (void)rc;
}

static void make_run(struct kafka_job *job)
{
    struct kafka_instance *instance = aff_container_of(job, struct kafka_instance, job);
    struct aff_kafka_pool *pool = instance->pool;

    if (atomic_load(&pool->keeper.stopping))
        return;
    rd_kafka_conf_t *conf = aff_kafka_conf(pool->opts.settings, AFF_KAFKA_PRODUCER, pool->opts.logger);
    bound_batches(conf, pool->opts.batch_bytes);
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
    instance->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, instance->text, sizeof instance->text);
    if (instance->rk)
        instance->queue = rd_kafka_queue_get_main(instance->rk);
    else
        rd_kafka_conf_destroy(conf);
}

static void make_done(struct kafka_job *job)
{
    aff_pool_instance_made(aff_container_of(job, struct kafka_instance, job));
}

void aff_instance_make(struct aff_kafka_pool *pool, struct kafka_slot *slot)
{
    struct kafka_instance *instance = aff_xcalloc(1, sizeof *instance);
    assert(!slot->making && !slot->instance && !pool->closing);
    instance->pool = pool;
    instance->slot = slot;
    aff_list_init(&instance->link);
    aff_list_init(&instance->sent);
    aff_list_init(&instance->topics);
    instance->job = (struct kafka_job){ .run = make_run, .done = make_done };
    slot->making = true;
    aff_keeper_submit(&pool->keeper, &instance->job);
}

/* ---- destroy ---- */

static void destroy_run(struct kafka_job *job)
{
    struct kafka_instance *instance = aff_container_of(job, struct kafka_instance, job);
    aff_list_each(node, &instance->topics) {
        struct kafka_topic *topic = aff_container_of(node, struct kafka_topic, link);
        if (topic->handle)
            rd_kafka_topic_destroy(topic->handle);
    }
    if (!instance->rk)
        return;
    rd_kafka_queue_destroy(instance->queue);
    rd_kafka_destroy(instance->rk);
}

static void destroy_done(struct kafka_job *job)
{
    struct kafka_instance *instance = aff_container_of(job, struct kafka_instance, job);
    aff_list_each(node, &instance->topics) {
        struct kafka_topic *topic = aff_container_of(node, struct kafka_topic, link);
        free(topic->name);
        free(topic);
    }
    free(instance);
}

void aff_instance_destroy(struct kafka_instance *instance)
{
    assert(aff_list_empty(&instance->sent) && instance->lanes == 0);
    aff_list_remove(&instance->link);
    aff_instance_wake(instance, -1);
    instance->job = (struct kafka_job){ .run = destroy_run, .done = destroy_done };
    aff_keeper_submit(&instance->pool->keeper, &instance->job);
}

void aff_instance_destroy_now(struct kafka_instance *instance)
{
    assert(aff_list_empty(&instance->sent) && instance->lanes == 0);
    aff_list_remove(&instance->link);
    destroy_run(&instance->job);
    destroy_done(&instance->job);
}

void aff_instance_wake(struct kafka_instance *instance, int fd)
{
    static const uint64_t one = 1; /* what an eventfd takes */
    if (instance->rk)
        rd_kafka_queue_io_event_enable(instance->queue, fd, &one, sizeof one);
}

/* ---- topics ---- */

/* A handle whose metadata is not there yet makes the first append wait for a second (librdkafka before 2.10.1). */
static void ask_run(struct kafka_job *job)
{
    struct kafka_topic *topic = aff_container_of(job, struct kafka_topic, job);
    const struct rd_kafka_metadata *metadata;
    rd_kafka_t *rk = topic->instance->rk;

    if (atomic_load(&topic->instance->pool->keeper.stopping)) {
        topic->asked_err = RD_KAFKA_RESP_ERR__DESTROY;
        return;
    }
    if (!topic->handle)
        topic->handle = rd_kafka_topic_new(rk, topic->name, NULL);
    if (!topic->handle) {
        topic->asked_err = rd_kafka_last_error();
        return;
    }
    topic->asked_err = rd_kafka_metadata(rk, 0, topic->handle, &metadata, ASK_TIMEOUT_MS);
    if (topic->asked_err)
        return;
    topic->asked_err = metadata->topic_cnt == 1 ? metadata->topics[0].err : RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
    rd_kafka_metadata_destroy(metadata);
}

static void ask_done(struct kafka_job *job)
{
    struct kafka_topic *topic = aff_container_of(job, struct kafka_topic, job);
    struct aff_kafka_pool *pool = topic->instance->pool;

    topic->asked = false;
    topic->known = !topic->asked_err;
    if (!topic->known && !topic->failed && !pool->closing)
        aff_log(pool->opts.logger, WARN, "kafka.topic.unreachable", aff_f_str("topic", topic->name),
                aff_f_str("error", rd_kafka_err2str(topic->asked_err)));
    topic->failed = !topic->known;
    topic->retry_ns = aff_pool_now(pool) + ASK_AGAIN_MS * AFF_NS_PER_MS;
    aff_pool_topic_known(topic);
}

static struct kafka_topic *find_topic(struct kafka_instance *instance, const char *name)
{
    aff_list_each(node, &instance->topics) {
        struct kafka_topic *topic = aff_container_of(node, struct kafka_topic, link);
        if (strcmp(topic->name, name) == 0)
            return topic;
    }
    struct kafka_topic *topic = aff_xcalloc(1, sizeof *topic);
    topic->instance = instance;
    topic->name = aff_xstrdup(name);
    aff_list_append(&instance->topics, &topic->link);
    return topic;
}

struct kafka_topic *aff_instance_topic(struct kafka_instance *instance, const char *name)
{
    struct kafka_topic *topic = find_topic(instance, name);
    if (topic->known)
        return topic;
    if (topic->asked || instance->failed || instance->pool->closing)
        return NULL;
    if (topic->retry_ns > aff_pool_now(instance->pool)) {
        aff_pool_at(instance->pool, topic->retry_ns);
        return NULL;
    }
    topic->asked = true;
    topic->job = (struct kafka_job){ .run = ask_run, .done = ask_done };
    aff_keeper_submit(&instance->pool->keeper, &topic->job);
    return NULL;
}

/* ---- produce ---- */

static void add_header(rd_kafka_headers_t *headers, const char *name, aff_bytes value)
{
    if (value.data)
        (void)rd_kafka_header_add(headers, name, -1, value.data, (ssize_t)value.len);
}

static rd_kafka_headers_t *headers_of(const struct aff_entry *entry)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(4);
    add_header(headers, "aff", entry->aff);
    add_header(headers, "content-type", entry->content_type);
    add_header(headers, "aff-event-time", entry->event_time);
    add_header(headers, "traceparent", entry->traceparent);
    return headers;
}

/* librdkafka takes pointers that are not const, and copies. */
static void *loose(const void *data)
{
    return (void *)(uintptr_t)data;
}

/* Why the instance is of no use any more; false: it still is. */
static bool is_fatal(struct kafka_instance *instance, char *text, size_t size)
{
    return rd_kafka_fatal_error(instance->rk, text, size) != RD_KAFKA_RESP_ERR_NO_ERROR;
}

static int refused(struct kafka_instance *instance, const struct kafka_append *a, rd_kafka_resp_err_t why)
{
    char text[400];
    if (why == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        return AFF_EAGAIN;
    if (is_fatal(instance, text, sizeof text)) {
        aff_instance_fail(instance, text);
        return AFF_ECLOSED;
    }
    aff_log(instance->pool->opts.logger, WARN, "kafka.append.refused", aff_f_str("topic", a->lane->topic),
            aff_f_int("partition", a->lane->partition), aff_f_str("error", rd_kafka_err2str(why)));
    return AFF_EVOID;
}

int aff_instance_send(struct kafka_instance *instance, struct kafka_append *a, const struct aff_entry *entry,
                      rd_kafka_topic_t *topic, uint32_t partition)
{
    rd_kafka_headers_t *headers = headers_of(entry);
    assert(!instance->failed);
    rd_kafka_resp_err_t why = rd_kafka_producev(
        instance->rk, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_PARTITION((int32_t)partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(loose(entry->key.data), entry->key.len),
        RD_KAFKA_V_VALUE(loose(entry->value.data), entry->value.len), RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(a),
        RD_KAFKA_V_END);
    if (!why) {
        aff_list_append(&instance->sent, &a->sent);
        return 0;
    }
    rd_kafka_headers_destroy(headers);
    return refused(instance, a, why);
}

/* ---- drain ---- */

static size_t take_reports(struct kafka_instance *instance, rd_kafka_event_t *event)
{
    const rd_kafka_message_t *message;
    char text[400];
    size_t count = 0;

    while ((message = rd_kafka_event_message_next(event)) != NULL) {
        struct kafka_append *a = message->_private;
        if (message->err && !instance->failed && is_fatal(instance, text, sizeof text))
            aff_instance_fail(instance, text);
        aff_list_remove(&a->sent);
        aff_lane_settle(a, message);
        count++;
    }
    return count;
}

static void take_error(struct kafka_instance *instance)
{
    char text[400];
    if (is_fatal(instance, text, sizeof text)) /* what passes is logged and tried again by librdkafka */
        aff_instance_fail(instance, text);
}

size_t aff_instance_drain(struct kafka_instance *instance, size_t most, int wait_ms)
{
    rd_kafka_event_t *event;
    size_t count = 0;

    while (count < most && (event = rd_kafka_queue_poll(instance->queue, count ? 0 : wait_ms)) != NULL) {
        count++;
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR)
            count += take_reports(instance, event);
        else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR)
            take_error(instance);
        rd_kafka_event_destroy(event);
    }
    return count;
}

/* ---- fail ---- */

void aff_instance_fail(struct kafka_instance *instance, const char *why)
{
    struct aff_kafka_pool *pool = instance->pool;

    if (instance->failed)
        return;
    instance->failed = true;
    instance->failed_ns = aff_pool_now(pool);
    assert(instance->slot->instance == instance);
    instance->slot->instance = NULL;
    if (pool->closing) /* by what is called back in the end */
        return;
    aff_log(pool->opts.logger, WARN, "kafka.producer.failed", aff_f_str("client", rd_kafka_name(instance->rk)),
            aff_f_str("error", why));
    atomic_fetch_add(pool->opts.rebuilt, 1);
    aff_pool_replace(instance);
    aff_pool_at(pool, instance->failed_ns);
}

void aff_instance_abandon(struct kafka_instance *instance)
{
    struct aff_list *node;
    while ((node = aff_list_take(&instance->sent)) != NULL)
        aff_lane_settle_unknown(aff_container_of(node, struct kafka_append, sent));
}

/*
 * A fatal error calls back what is queued, once; what comes back from the brokers to be tried again after that stays, so it
 * is called back again and again.
 */
bool aff_instance_wind_up(struct kafka_instance *instance, int64_t now_ns)
{
    int64_t age_ms = (now_ns - instance->failed_ns) / AFF_NS_PER_MS;
    int flags = RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_NON_BLOCKING;

    assert(instance->failed);
    if (!aff_list_empty(&instance->sent)) {
        if (age_ms >= IN_FLIGHT_GRACE_MS)
            flags |= RD_KAFKA_PURGE_F_INFLIGHT;
        (void)rd_kafka_purge(instance->rk, flags);
        if (age_ms >= GIVE_UP_MS)
            aff_instance_abandon(instance);
    }
    if (aff_list_empty(&instance->sent))
        return true;
    aff_pool_at(instance->pool, now_ns + PURGE_AGAIN_MS * AFF_NS_PER_MS);
    return false;
}
