/*
 * kafka/ask.c - see kafka/ask.h.
 *
 * One instance of librdkafka, a consumer that consumes nothing, since one of these never makes a topic by asking for it.
 * Each question has a queue for its answer. Metadata is the one question that cannot be broken off.
 *
 * librdkafka tells a connection that fails once and is then silent about the same failure, so what it said is kept until
 * somebody answers.
 */
#include "changelog/kafka/ask.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SLICE_MS = 100,
    REQUEST_MAX_MS = 3600000, /* of librdkafka */
    GRACE_MS = 1000,
    WHO_MAX = 128,
    SAID_MAX = 160,
};

struct aff_kafka_asker {
    rd_kafka_t *rk;
    rd_kafka_queue_t *errors;
    const atomic_bool *stop;
    char who[WHO_MAX]; /* bootstrap.servers */
    pthread_mutex_t lock;
    char said[SAID_MAX]; /* lock; of connections that failed, since the last answer */
};

int aff_kafka_asker_new(const struct aff_kafka_settings *settings, const struct aff_logger *logger,
                        const atomic_bool *stop, struct aff_kafka_asker **ret_asker, aff_error *err)
{
    struct aff_kafka_asker *asker = aff_xcalloc(1, sizeof *asker);
    char text[256], who[2048];
    size_t size = sizeof who;
    rd_kafka_conf_t *conf = aff_kafka_conf(settings, AFF_KAFKA_ADMIN, logger);

    if (rd_kafka_conf_get(conf, "bootstrap.servers", who, &size) != RD_KAFKA_CONF_OK)
        (void)snprintf(who, sizeof who, "the brokers");
    (void)snprintf(asker->who, sizeof asker->who, "%.*s", WHO_MAX - 1, who);
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_ERROR);
    asker->stop = stop;
    pthread_mutex_init(&asker->lock, NULL);
    asker->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    if (!asker->rk) {
        rd_kafka_conf_destroy(conf);
        pthread_mutex_destroy(&asker->lock);
        free(asker);
        return aff_fail_with(err, AFF_ECONFIG, "kafka: %s", text);
    }
    asker->errors = rd_kafka_queue_get_main(asker->rk);
    *ret_asker = asker;
    return 0;
}

struct aff_kafka_asker *aff_kafka_asker_free(struct aff_kafka_asker *asker)
{
    if (!asker)
        return NULL;
    rd_kafka_queue_destroy(asker->errors);
    rd_kafka_destroy_flags(asker->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    pthread_mutex_destroy(&asker->lock);
    free(asker);
    return NULL;
}

/* ---- time ---- */

static int left_ms(int64_t deadline_ns)
{
    int64_t left = (deadline_ns - aff_mono_ns(aff_clock_system())) / AFF_NS_PER_MS;
    return left < 1 ? 1 : left > REQUEST_MAX_MS ? REQUEST_MAX_MS : (int)left;
}

bool aff_kafka_ask_on(const struct aff_kafka_asker *asker, int64_t deadline_ns)
{
    return !atomic_load(asker->stop) && aff_mono_ns(aff_clock_system()) < deadline_ns;
}

/* ---- failures ---- */

/* Takes what librdkafka said of its connections meanwhile. */
static void listen_to(struct aff_kafka_asker *asker) /* lock held */
{
    rd_kafka_event_t *event;
    while ((event = rd_kafka_queue_poll(asker->errors, 0))) {
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR &&
            rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
            (void)snprintf(asker->said, SAID_MAX, "; %s", rd_kafka_event_error_string(event));
        rd_kafka_event_destroy(event);
    }
}

static void forget_said(struct aff_kafka_asker *asker)
{
    pthread_mutex_lock(&asker->lock);
    listen_to(asker);
    asker->said[0] = '\0';
    pthread_mutex_unlock(&asker->lock);
}

static int fail_unasked(struct aff_kafka_asker *asker, int code, const char *what, const char *topic, const char *why,
                        aff_error *err)
{
    pthread_mutex_lock(&asker->lock);
    listen_to(asker);
    (void)aff_fail_with(err, code, "kafka: %s topic %.60s at %s: %.120s%s", what, topic, asker->who, why, asker->said);
    pthread_mutex_unlock(&asker->lock);
    return code;
}

/* ---- questions with a queue ---- */

struct question {
    rd_kafka_queue_t *queue;
    rd_kafka_AdminOptions_t *options;
};

static struct question new_question(struct aff_kafka_asker *asker, rd_kafka_admin_op_t op, int64_t deadline_ns)
{
    struct question q = { rd_kafka_queue_new(asker->rk), rd_kafka_AdminOptions_new(asker->rk, op) };
    int ms = left_ms(deadline_ns);
    char text[SAID_MAX];

    rd_kafka_resp_err_t rc = rd_kafka_AdminOptions_set_request_timeout(q.options, ms, text, sizeof text);
    assert(rc == RD_KAFKA_RESP_ERR_NO_ERROR);
    (void)rc;
    return q;
}

/* Waits for the answer; NULL when the stop was asked for, or nothing came although librdkafka keeps to the time itself. */
static rd_kafka_event_t *answer_to(struct aff_kafka_asker *asker, struct question *q, int64_t deadline_ns)
{
    rd_kafka_event_t *event = NULL;
    while (!event && aff_kafka_ask_on(asker, deadline_ns + GRACE_MS * AFF_NS_PER_MS))
        event = rd_kafka_queue_poll(q->queue, SLICE_MS);
    rd_kafka_AdminOptions_destroy(q->options);
    rd_kafka_queue_destroy(q->queue);
    return event;
}

/* ---- settings ---- */

static int read_description(struct aff_kafka_asker *asker, const char *topic, rd_kafka_event_t *event, aff_error *err)
{
    const rd_kafka_DescribeConfigs_result_t *result = event ? rd_kafka_event_DescribeConfigs_result(event) : NULL;
    size_t count = 0;

    if (!result)
        return fail_unasked(asker, AFF_EIO, "could not ask for the settings of", topic, "no answer", err);
    if (rd_kafka_event_error(event))
        return fail_unasked(asker, AFF_EIO, "could not ask for the settings of", topic,
                            rd_kafka_event_error_string(event), err);
    const rd_kafka_ConfigResource_t **all = rd_kafka_DescribeConfigs_result_resources(result, &count);
    assert(count == 1);
    switch (rd_kafka_ConfigResource_error(all[0])) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return 0;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        return aff_fail_with(err, AFF_ENOTFOUND, "kafka: there is no topic %s at %s", topic, asker->who);
    default:
        return fail_unasked(asker, AFF_EIO, "could not ask for the settings of", topic,
                            rd_kafka_ConfigResource_error_string(all[0]), err);
    }
}

static struct aff_kafka_described list_settings(rd_kafka_event_t *event)
{
    struct aff_kafka_described described = { .event = event };
    size_t count;
    const rd_kafka_ConfigResource_t **all = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(event), &count);
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(all[0], &count);

    described.settings = aff_xcalloc(count + 1, sizeof *described.settings);
    for (size_t i = 0; i < count; i++) {
        const char *value = rd_kafka_ConfigEntry_value(entries[i]);
        if (value)
            described.settings[described.count++] = (struct aff_kafka_property){ rd_kafka_ConfigEntry_name(entries[i]),
                                                                                 value };
    }
    return described;
}

int aff_kafka_ask_settings(struct aff_kafka_asker *asker, const char *topic, int64_t deadline_ns,
                           struct aff_kafka_described *ret_described, aff_error *err)
{
    struct question q = new_question(asker, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, deadline_ns);
    rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);

    rd_kafka_DescribeConfigs(asker->rk, &resource, 1, q.options, q.queue);
    rd_kafka_event_t *event = answer_to(asker, &q, deadline_ns);
    rd_kafka_ConfigResource_destroy(resource);
    int rc = read_description(asker, topic, event, err);
    if (rc == 0)
        *ret_described = list_settings(event);
    else if (event)
        rd_kafka_event_destroy(event);
    if (rc != AFF_EIO)
        forget_said(asker);
    return rc;
}

void aff_kafka_described_free(struct aff_kafka_described *described)
{
    free(described->settings);
    if (described->event)
        rd_kafka_event_destroy(described->event);
    *described = (struct aff_kafka_described){ .count = 0 };
}

/* ---- shape ---- */

static struct aff_kafka_shape shape_of(const struct rd_kafka_metadata *metadata)
{
    const struct rd_kafka_metadata_topic *topic = &metadata->topics[0];
    struct aff_kafka_shape shape = {
        .brokers = metadata->broker_cnt,
        .partitions = (uint32_t)topic->partition_cnt,
        .led = topic->partition_cnt > 0,
    };
    for (int i = 0; i < topic->partition_cnt; i++) {
        const struct rd_kafka_metadata_partition *p = &topic->partitions[i];
        if (i == 0 || p->replica_cnt < shape.replication)
            shape.replication = p->replica_cnt;
        shape.led = shape.led && p->leader >= 0;
    }
    return shape;
}

int aff_kafka_ask_shape(struct aff_kafka_asker *asker, const char *topic, int64_t deadline_ns,
                        struct aff_kafka_shape *ret_shape, aff_error *err)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(asker->rk, topic, NULL);
    if (!handle)
        return fail_unasked(asker, AFF_EIO, "could not ask for", topic, rd_kafka_err2str(rd_kafka_last_error()), err);
    rd_kafka_resp_err_t rc = rd_kafka_metadata(asker->rk, 0, handle, &metadata, left_ms(deadline_ns));

    rd_kafka_topic_destroy(handle);
    if (rc)
        return fail_unasked(asker, AFF_EIO, "could not ask for", topic, rd_kafka_err2str(rc), err);
    assert(metadata->topic_cnt == 1);
    *ret_shape = shape_of(metadata);
    rc = metadata->topics[0].err;
    rd_kafka_metadata_destroy(metadata);
    if (rc == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        return aff_fail_with(err, AFF_ENOTFOUND, "kafka: there is no topic %s at %s", topic, asker->who);
    if (rc)
        return fail_unasked(asker, AFF_EIO, "could not ask for", topic, rd_kafka_err2str(rc), err);
    return 0;
}

/* ---- making ---- */

static rd_kafka_NewTopic_t *new_topic(const struct aff_kafka_demand *demand, int32_t replication, aff_error *err)
{
    char text[256];
    struct aff_kafka_wanted *list = aff_xcalloc(AFF_KAFKA_WANTED_MAX + demand->override_count, sizeof *list);
    size_t count = aff_kafka_wanted_of(demand, replication, list);
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(demand->topic->name, (int)demand->topic->partitions, replication,
                                                       text, sizeof text);
    for (size_t i = 0; i < count && topic; i++)
        if (list[i].rule != AFF_KAFKA_AT_MOST)
            (void)rd_kafka_NewTopic_set_config(topic, list[i].name, list[i].value);
    free(list);
    if (!topic)
        (void)aff_fail_with(err, AFF_ECONFIG, "kafka: topic %s: %s", demand->topic->name, text);
    return topic;
}

/* What a cluster says for good; everything else may go better the next time. */
static bool is_refusal(rd_kafka_resp_err_t rc)
{
    switch (rc) {
    case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
    case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
    case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
    case RD_KAFKA_RESP_ERR_INVALID_REQUEST:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
        return true;
    default:
        return false;
    }
}

static int created(struct aff_kafka_asker *asker, const char *topic, rd_kafka_event_t *event, aff_error *err)
{
    const rd_kafka_CreateTopics_result_t *result = event ? rd_kafka_event_CreateTopics_result(event) : NULL;
    rd_kafka_resp_err_t rc = event ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT;
    const char *text = rc && event ? rd_kafka_event_error_string(event) : rd_kafka_err2str(rc);
    size_t count = 0;

    if (result && !rc) {
        const rd_kafka_topic_result_t **all = rd_kafka_CreateTopics_result_topics(result, &count);
        assert(count == 1);
        rc = rd_kafka_topic_result_error(all[0]);
        text = rd_kafka_topic_result_error_string(all[0]);
    }
    if (!rc || rc == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        return 0;
    return fail_unasked(asker, is_refusal(rc) ? AFF_ECONFIG : AFF_EAGAIN, "could not make", topic,
                        text ? text : rd_kafka_err2str(rc), err);
}

int aff_kafka_ask_create(struct aff_kafka_asker *asker, const struct aff_kafka_demand *demand, int32_t replication,
                         int64_t deadline_ns, aff_error *err)
{
    rd_kafka_NewTopic_t *topic = new_topic(demand, replication, err);
    if (!topic)
        return AFF_ECONFIG;
    struct question q = new_question(asker, RD_KAFKA_ADMIN_OP_CREATETOPICS, deadline_ns);

    rd_kafka_CreateTopics(asker->rk, &topic, 1, q.options, q.queue);
    rd_kafka_event_t *event = answer_to(asker, &q, deadline_ns);
    rd_kafka_NewTopic_destroy(topic);
    int rc = created(asker, demand->topic->name, event, err);
    if (event)
        rd_kafka_event_destroy(event);
    return rc;
}
