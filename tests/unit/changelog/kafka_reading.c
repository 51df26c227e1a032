/*
 * kafka_reading.c - see kafka_reading.h.
 */
#include "kafka_reading.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

/* ---- the cluster ---- */

static void reported(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    (void)opaque;
    assert_int_equal(message->err, 0);
    if (message->_private)
        *(int64_t *)message->_private = message->offset;
}

static rd_kafka_t *writer_new(void)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char text[256];

    rd_kafka_conf_set_dr_msg_cb(conf, reported);
    rd_kafka_conf_set(conf, "linger.ms", "2", NULL, 0);
    rd_kafka_conf_set(conf, "message.max.bytes", "5000000", NULL, 0);
    rd_kafka_conf_set(conf, "batch.size", "4500000", NULL, 0);
    rd_kafka_conf_set(conf, "batch.num.messages", "500", NULL, 0);
    rd_kafka_conf_set(conf, "log_level", "0", NULL, 0);
    rd_kafka_conf_set(conf, "reconnect.backoff.max.ms", "200", NULL, 0);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    assert_non_null(rk);
    return rk;
}

struct reading *reading_new(int brokers, const char *topic)
{
    struct reading *r = aff_xcalloc(1, sizeof *r);
    aff_error err = { 0 };

    aff_list_init(&r->askers);
    r->host = writer_new();
    r->cluster = rd_kafka_mock_cluster_new(r->host, brokers);
    assert_non_null(r->cluster);
    assert_int_equal(rd_kafka_mock_topic_create(r->cluster, topic, READING_PARTITIONS, brokers), 0);
    rd_kafka_brokers_add(r->host, rd_kafka_mock_cluster_bootstraps(r->cluster));

    const struct aff_kafka_property property = { "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(r->cluster) };
    assert_int_equal(aff_kafka_settings_new(&property, 1, &r->settings, &err), 0);
    r->logger = (struct aff_logger){ 2, getenv("READING_LOG") ? AFF_LOG_DEBUG : AFF_LOG_ERROR, AFF_LOG_LOGFMT,
                                     aff_clock_system() };
    const struct aff_kafka_reader_opts opts = { r->settings, aff_clock_system(), &r->logger };
    assert_int_equal(aff_kafka_reader_new(&opts, &r->reader, &err), 0);
    return r;
}

struct reading *reading_free(struct reading *r)
{
    aff_list_each(node, &r->askers)
        asker_close(aff_container_of(node, struct asker, link));
    aff_kafka_reader_free(r->reader);
    aff_kafka_settings_free(r->settings);
    rd_kafka_purge(r->host, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_mock_cluster_destroy(r->cluster);
    rd_kafka_destroy(r->host);
    free(r);
    return NULL;
}

int64_t reading_put(struct reading *r, const char *topic, int32_t partition, const char *key, const char *value)
{
    int64_t offset = -1;

    assert_int_equal(rd_kafka_producev(r->host, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
                                       RD_KAFKA_V_KEY(key, strlen(key)),
                                       RD_KAFKA_V_VALUE((void *)(uintptr_t)value, value ? strlen(value) : 0),
                                       RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_OPAQUE(&offset),
                                       RD_KAFKA_V_END),
                     0);
    assert_int_equal(rd_kafka_flush(r->host, READING_WAIT_S * 1000), 0);
    return offset;
}

void reading_fill(struct reading *r, const char *topic, int32_t partition, int count, size_t size)
{
    char *value = aff_xcalloc(1, size + 1);

    memset(value, 'v', size);
    for (int i = 0; i < count; i++) {
        assert_int_equal(rd_kafka_producev(r->host, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
                                           RD_KAFKA_V_KEY("key", 3), RD_KAFKA_V_VALUE(value, size),
                                           RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END),
                         0);
        if (i % 5000 == 4999)
            assert_int_equal(rd_kafka_flush(r->host, READING_WAIT_S * 1000), 0);
    }
    assert_int_equal(rd_kafka_flush(r->host, READING_WAIT_S * 1000), 0);
    free(value);
}

/* ---- who reads ---- */

static void ring(struct aff_kafka_stream_user *user)
{
    struct asker *a = aff_container_of(user, struct asker, user);

    pthread_mutex_lock(&a->lock);
    a->rings++;
    pthread_cond_signal(&a->rung);
    pthread_mutex_unlock(&a->lock);
}

struct asker *asker_open(struct reading *r, const char *topic, uint32_t partition)
{
    struct asker *a = aff_xcalloc(1, sizeof *a);
    pthread_condattr_t attr;

    a->user.ready = ring;
    aff_list_append(&r->askers, &a->link);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&a->rung, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&a->lock, NULL);
    a->stream = aff_kafka_stream_open(r->reader, topic, partition, &a->user);
    return a;
}

static void forget_answer(struct asker *a)
{
    aff_kafka_answer_release(a->answer);
    a->answer = NULL;
}

void asker_close(struct asker *a)
{
    forget_answer(a);
    aff_kafka_stream_close(a->stream);
    aff_list_remove(&a->link);
    pthread_cond_destroy(&a->rung);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

void asker_ask(struct asker *a, int64_t from, size_t max_bytes, int mode, int64_t confirmed_end)
{
    aff_kafka_stream_read(a->stream, from, max_bytes, mode, ++a->ticket, confirmed_end);
}

bool asker_rung(struct asker *a, int64_t ms)
{
    int64_t until = aff_mono_ns(aff_clock_system()) + ms * AFF_NS_PER_MS;
    const struct timespec due = { .tv_sec = until / AFF_NS_PER_S, .tv_nsec = until % AFF_NS_PER_S };
    int rc = 0;

    pthread_mutex_lock(&a->lock);
    while (a->rings == 0 && rc == 0)
        rc = pthread_cond_timedwait(&a->rung, &a->lock, &due);
    a->rings = 0;
    pthread_mutex_unlock(&a->lock);
    return rc == 0;
}

bool asker_await(struct asker *a, int64_t ms)
{
    forget_answer(a);
    while (!aff_kafka_stream_take(a->stream, &a->answer))
        if (!asker_rung(a, ms))
            return aff_kafka_stream_take(a->stream, &a->answer);
    assert_int_equal(a->answer->batch.ticket, a->ticket);
    return true;
}

const struct aff_batch *asker_read(struct asker *a, int64_t from, size_t max_bytes, int mode)
{
    asker_ask(a, from, max_bytes, mode, 0);
    return asker_await(a, READING_WAIT_S * 1000) ? &a->answer->batch : NULL;
}

int64_t asker_read_all(struct asker *a, int64_t from, size_t max_bytes)
{
    const struct aff_batch *batch;
    int64_t seen = 0;

    do {
        batch = asker_read(a, from, max_bytes, AFF_READ_TO_END);
        assert_non_null(batch);
        assert_int_equal(batch->status, 0);
        for (size_t i = 0; i < batch->count; i++)
            assert_int_equal(batch->entries[i].offset, from + (int64_t)i);
        seen += (int64_t)batch->count;
        from = batch->next;
    } while (batch->count > 0 || batch->next < batch->end);
    return seen;
}
