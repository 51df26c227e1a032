/*
 * changelog_kafka_producer_test.c - a pool of producers against librdkafka's mock brokers: what is appended lands in order,
 * is reported once and in order, and an instance that fails gives way to a fresh one.
 *
 * The mock checks no sequence numbers. Where an error is injected, one request at a time is in flight, so that what a real
 * broker would refuse is not there yet.
 */
#include "changelog/kafka/pool.h"
#include "kafka_mock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/parts.h"

enum {
    WAIT_S = 30, /* for anything; a test that waits so long has failed */
    PASS_MS = 5,
    WRITERS_MOST = 8,
    MESSAGE_BYTES = 1 << 20, /* what the topic takes */
};

#define TOPIC "demo.accounts"

struct world;

/* Who appends to one partition, and keeps the reports. */
struct writer {
    struct aff_kafka_lane_user user;
    struct world *world;
    struct aff_kafka_lane *lane;
    struct aff_delivery_report *reports;
    size_t count, capacity;
    uint64_t next_seq;
    void (*in_report)(struct writer *writer);
};

struct world {
    struct kafka_mock mock;
    struct aff_kafka_settings *settings;
    struct aff_loop *loop;
    struct aff_kafka_pool *pool;
    _Atomic uint64_t in_flight, rebuilt;
    uint64_t max_in_flight, batch_bytes;
    struct writer writers[WRITERS_MOST];
};

/* ---- the world ---- */

static int start(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    kafka_mock_start(&w->mock, 3);
    kafka_mock_topic(&w->mock, TOPIC, WRITERS_MOST);
    w->max_in_flight = 64 << 20;
    *state = w;
    return 0;
}

static void make_pool(struct world *w, unsigned instances)
{
    aff_error err = { .code = 0 };
    w->settings = kafka_mock_settings(&w->mock);
    const struct aff_kafka_pool_opts opts = {
        .settings = w->settings,
        .instances = instances,
        .batch_bytes = w->batch_bytes,
        .in_flight = &w->in_flight,
        .max_in_flight = w->max_in_flight,
        .rebuilt = &w->rebuilt,
    };
    assert_int_equal(aff_loop_new(&(struct aff_loop_opts){ .name = "test" }, &w->loop, &err), 0);
    assert_int_equal(aff_kafka_pool_new(&opts, &w->pool, &err), 0);
    assert_int_equal(aff_kafka_pool_attach(w->pool, w->loop, &err), 0);
}

static void drop_pool(struct world *w)
{
    for (size_t i = 0; i < WRITERS_MOST; i++) {
        struct writer *writer = &w->writers[i];
        if (writer->lane)
            aff_kafka_lane_close(writer->lane);
        free(writer->reports);
        *writer = (struct writer){ .lane = NULL };
    }
    if (w->pool && w->pool->loop)
        aff_kafka_pool_detach(w->pool);
    w->pool = aff_kafka_pool_free(w->pool);
    w->loop = aff_loop_free(w->loop);
    w->settings = aff_kafka_settings_free(w->settings);
}

static int stop(void **state)
{
    struct world *w = *state;
    drop_pool(w);
    assert_int_equal(w->in_flight, 0);
    kafka_mock_stop(&w->mock);
    free(w);
    return 0;
}

/* One request at a time, see above. */
static void make_careful_pool(struct world *w, unsigned instances)
{
    kafka_mock_set(&w->mock, "max.in.flight.requests.per.connection", "1");
    make_pool(w, instances);
}

static void keep_reports(struct aff_kafka_lane_user *user, const struct aff_delivery_report *reports, size_t count)
{
    struct writer *writer = aff_container_of(user, struct writer, user);
    for (size_t i = 0; i < count; i++) {
        if (writer->count == writer->capacity) {
            writer->capacity = writer->capacity ? 2 * writer->capacity : 64;
            writer->reports = realloc(writer->reports, writer->capacity * sizeof *writer->reports);
        }
        writer->reports[writer->count++] = reports[i];
    }
    if (writer->in_report)
        writer->in_report(writer);
}

static struct writer *open_writer(struct world *w, uint32_t partition)
{
    struct writer *writer = &w->writers[partition];
    aff_error err = { .code = 0 };
    assert_null(writer->lane);
    writer->world = w;
    writer->user.reports = keep_reports;
    assert_int_equal(aff_kafka_lane_open(w->pool, TOPIC, partition, MESSAGE_BYTES, &writer->user, &writer->lane, &err),
                     0);
    return writer;
}

static int put(struct writer *writer, const char *value)
{
    const struct aff_entry entry = { .key = aff_str("key"), .value = aff_str(value), .aff = aff_str("header") };
    int rc = aff_kafka_lane_append(writer->lane, &entry, writer->next_seq);
    writer->next_seq += rc == 0;
    return rc;
}

static void put_many(struct writer *writer, size_t count)
{
    char value[24];
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(value, sizeof value, "v%u", (unsigned)writer->next_seq);
        assert_int_equal(put(writer, value), 0);
    }
}

/* ---- waiting ---- */

static int64_t now(void)
{
    return aff_mono_ns(aff_clock_system());
}

#define AWAIT(w, condition, what)                                                                                      \
    do {                                                                                                               \
        int64_t until_ = now() + WAIT_S * AFF_NS_PER_S;                                                                \
        while (!(condition)) {                                                                                         \
            if (now() > until_)                                                                                        \
                fail_msg("waited in vain for %s", (what));                                                             \
            (void)aff_loop_pass((w)->loop, PASS_MS *AFF_NS_PER_MS);                                                    \
        }                                                                                                              \
    } while (0)

static void await_reports(struct writer *writer, size_t count)
{
    AWAIT(writer->world, writer->count >= count, "reports");
    assert_int_equal(writer->count, count);
}

static void await_all(struct writer *writer)
{
    await_reports(writer, writer->next_seq);
}

/* Some time in which nothing may happen that would be wrong. */
static void linger(struct world *w, int ms)
{
    int64_t until = now() + ms * AFF_NS_PER_MS;
    while (now() < until)
        (void)aff_loop_pass(w->loop, PASS_MS * AFF_NS_PER_MS);
}

/* Reports [from, to) are successes at offsets from `offset` on, each directly behind the one before. */
static void assert_landed(const struct writer *writer, size_t from, size_t to, int64_t offset)
{
    for (size_t i = from; i < to; i++) {
        const struct aff_delivery_report *r = &writer->reports[i];
        if (r->status || r->offset != offset + (int64_t)(i - from))
            fail_msg("report %zu: seq %u, status %s, offset %d", i, (unsigned)r->seq, aff_error_name(r->status),
                     (int)r->offset);
        assert_true(r->time_ms > 0);
    }
}

static void assert_in_order(const struct writer *writer)
{
    for (size_t i = 1; i < writer->count; i++)
        assert_int_equal(writer->reports[i].seq, writer->reports[i - 1].seq + 1);
}

static void push_error(struct world *w, rd_kafka_resp_err_t error, size_t times)
{
    for (size_t i = 0; i < times; i++)
        rd_kafka_mock_push_request_errors(w->mock.cluster, KAFKA_MOCK_PRODUCE, 1, error);
}

static void ignore_record(const rd_kafka_message_t *message, void *arg)
{
    (void)message;
    (void)arg;
}

static size_t count_log(struct world *w, int32_t partition)
{
    return kafka_mock_each(&w->mock, TOPIC, partition, ignore_record, NULL);
}

/* ---- appends ---- */

static void reports_come_in_order_and_offsets_are_contiguous(void **state)
{
    struct world *w = *state;
    make_pool(w, 3);
    for (uint32_t p = 0; p < WRITERS_MOST; p++)
        open_writer(w, p);
    for (int round = 0; round < 20; round++) {
        for (uint32_t p = 0; p < WRITERS_MOST; p++)
            put_many(&w->writers[p], 100);
        linger(w, 1);
    }
    for (uint32_t p = 0; p < WRITERS_MOST; p++) {
        await_all(&w->writers[p]);
        assert_in_order(&w->writers[p]);
        assert_landed(&w->writers[p], 0, 2000, 0);
        assert_int_equal(aff_kafka_lane_confirmed_end(w->writers[p].lane), 2000);
    }
    assert_int_equal(w->in_flight, 0);
    assert_int_equal(w->rebuilt, 0);
}

static const struct aff_entry shapes[] = {
    { .key = { "a", 1 },
      .value = { "{}", 2 },
      .aff = { "\x00\x01", 2 },
      .content_type = { "application/json", 16 },
      .event_time = { "17", 2 },
      .traceparent = { "00-1-2-3", 8 } },
    { .key = { "\xff\x00z", 3 }, .value = { NULL, 0 }, .aff = { "x", 1 } },                  /* a tombstone */
    { .key = { "c", 1 }, .value = { "", 0 }, .aff = { "x", 1 }, .content_type = { "", 0 } }, /* an empty value */
    { .key = { "d", 1 }, .value = { "plain", 5 } },
};

static void assert_header(const rd_kafka_message_t *m, const char *name, aff_bytes wanted, size_t *place)
{
    rd_kafka_headers_t *headers;
    const char *found_name = NULL;
    const void *value;
    size_t size;
    if (!wanted.data)
        return;
    assert_int_equal(rd_kafka_message_headers(m, &headers), 0);
    assert_int_equal(rd_kafka_header_get_all(headers, (*place)++, &found_name, &value, &size), 0);
    assert_string_equal(found_name, name);
    assert_true(aff_bytes_equal(aff_bytes_of(value, size), wanted));
}

static void check_shape(const rd_kafka_message_t *m, void *arg)
{
    const struct aff_entry *e = &shapes[m->offset];
    rd_kafka_headers_t *headers;
    size_t place = 0;
    (void)arg;
    assert_true(aff_bytes_equal(aff_bytes_of(m->key, m->key_len), e->key));
    assert_true(aff_bytes_equal(aff_bytes_of(m->payload, m->len), e->value));
    assert_int_equal(m->payload == NULL, e->value.data == NULL);
    assert_header(m, "aff", e->aff, &place);
    assert_header(m, "content-type", e->content_type, &place);
    assert_header(m, "aff-event-time", e->event_time, &place);
    assert_header(m, "traceparent", e->traceparent, &place);
    if (rd_kafka_message_headers(m, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR)
        assert_int_equal(rd_kafka_header_cnt(headers), place);
    else
        assert_int_equal(place, 0);
}

static void the_log_has_what_was_appended(void **state)
{
    struct world *w = *state;
    make_pool(w, 1);
    struct writer *writer = open_writer(w, 0);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) /* the first is handed over as it is, others are held */
        assert_int_equal(aff_kafka_lane_append(writer->lane, &shapes[i], i), 0);
    await_reports(writer, 4);
    assert_landed(writer, 0, 4, 0);
    assert_int_equal(kafka_mock_each(&w->mock, TOPIC, 0, check_shape, NULL), 4);
}

/* A broker takes any sequence number from a producer that it does not know: no order would be kept among the first ones. */
static void the_first_append_through_an_instance_travels_alone(void **state)
{
    struct world *w = *state;
    make_pool(w, 1);
    struct writer *writer = open_writer(w, 0);
    put_many(writer, 10);
    assert_int_equal(writer->lane->sent, 0); /* there is no instance yet */
    AWAIT(w, writer->lane->sent > 0 || writer->count > 0, "an instance");
    assert_true(writer->count > 0 || writer->lane->sent == 1);
    await_all(writer);
    rd_kafka_mock_broker_set_rtt(w->mock.cluster, -1, 50);
    put_many(writer, 10);
    assert_int_equal(writer->lane->sent, 10); /* now it is known */
    await_all(writer);
    assert_landed(writer, 0, 20, 0);
}

static void only_a_window_is_handed_over(void **state)
{
    struct world *w = *state;
    make_pool(w, 1);
    struct writer *writer = open_writer(w, 0);
    put_many(writer, 1);
    await_all(writer);
    put_many(writer, 3 * KAFKA_SENT_MOST);
    assert_int_equal(writer->lane->sent, KAFKA_SENT_MOST);
    await_all(writer);
    assert_in_order(writer);
    assert_landed(writer, 0, writer->count, 0);
}

static void what_is_too_large_is_refused_and_its_neighbours_land(void **state)
{
    struct world *w = *state;
    char *value = calloc(1, MESSAGE_BYTES);
    struct aff_entry entry = { .key = aff_str("k"), .value = aff_bytes_of(value, MESSAGE_BYTES) };
    make_pool(w, 1);
    struct writer *writer = open_writer(w, 0);
    put_many(writer, 3);
    assert_int_equal(aff_kafka_lane_append(writer->lane, &entry, 99), AFF_ETOOLARGE);
    entry.value.len = MESSAGE_BYTES - KAFKA_RECORD_OVERHEAD; /* with the key one byte too many */
    assert_int_equal(aff_kafka_lane_append(writer->lane, &entry, 99), AFF_ETOOLARGE);
    entry.value.len--;
    assert_int_equal(aff_kafka_lane_append(writer->lane, &entry, writer->next_seq++), 0);
    put_many(writer, 3);
    await_all(writer);
    assert_landed(writer, 0, 7, 0);
    free(value);
}

static void bytes_in_flight_are_bounded(void **state)
{
    struct world *w = *state;
    char value[1001] = { 0 };
    memset(value, 'x', sizeof value - 1);
    w->max_in_flight = 100000;
    make_pool(w, 1);
    struct writer *writer = open_writer(w, 0);
    for (int round = 0; round < 3; round++) {
        int rc = 0;
        size_t before = writer->next_seq;
        while ((rc = put(writer, value)) == 0)
            assert_true(writer->next_seq - before < 200);
        assert_int_equal(rc, AFF_EAGAIN);
        assert_true(writer->next_seq - before > 50);
        assert_true(w->in_flight <= 100000);
        await_all(writer);
        assert_int_equal(w->in_flight, 0);
    }
    assert_landed(writer, 0, writer->count, 0);
}

static void a_single_append_is_let_in_whatever_the_bound(void **state)
{
    struct world *w = *state;
    w->max_in_flight = 1;
    make_pool(w, 1);
    struct writer *writer = open_writer(w, 0);
    put_many(writer, 1);
    assert_int_equal(put(writer, "second"), AFF_EAGAIN);
    await_all(writer);
    put_many(writer, 1);
    await_all(writer);
}

static void batches_are_not_larger_than_topics_take(void **state)
{
    struct world *w = *state;
    aff_error err = { .code = 0 };
    struct aff_kafka_lane *lane;
    w->batch_bytes = 5000;
    make_pool(w, 1);
    assert_int_equal(w->pool->opts.batch_bytes, 5000);
    struct writer *writer = open_writer(w, 0);
    put_many(writer, 500);
    await_all(writer);
    assert_landed(writer, 0, 500, 0);
    assert_int_equal(aff_kafka_lane_open(w->pool, TOPIC, 1, 4999, &writer->user, &lane, &err), AFF_ECONFIG);
    assert_non_null(strstr(err.text, "4999"));
    assert_non_null(strstr(err.text, "max.message.bytes"));
}

/* ---- errors that pass ---- */

static void errors_that_pass_are_survived(void **state)
{
    static const rd_kafka_resp_err_t errors[] = {
        RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
        RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
        RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
        RD_KAFKA_RESP_ERR__TRANSPORT, /* the connection is closed */
    };
    struct world *w = *state;
    make_careful_pool(w, 1);
    struct writer *writer = open_writer(w, 0);
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        push_error(w, errors[i], 3);
        put_many(writer, 20);
        await_all(writer);
    }
    assert_in_order(writer);
    assert_landed(writer, 0, writer->count, 0);
    assert_int_equal(w->rebuilt, 0);
}

static void brokers_that_are_down_are_waited_for(void **state)
{
    struct world *w = *state;
    make_pool(w, 2);
    struct writer *a = open_writer(w, 0), *b = open_writer(w, 1);
    put_many(a, 5);
    await_all(a);
    rd_kafka_mock_broker_set_down(w->mock.cluster, -1);
    put_many(a, 20);
    put_many(b, 20);
    linger(w, 300);
    assert_int_equal(a->count, 5);
    assert_int_equal(b->count, 0);
    rd_kafka_mock_broker_set_up(w->mock.cluster, -1);
    await_all(a);
    await_all(b);
    assert_landed(a, 0, 25, 0);
    assert_landed(b, 0, 20, 0);
    assert_int_equal(w->rebuilt, 0);
}

static void a_leader_that_moves_is_followed(void **state)
{
    struct world *w = *state;
    rd_kafka_mock_partition_set_leader(w->mock.cluster, TOPIC, 0, 1);
    make_careful_pool(w, 1);
    struct writer *writer = open_writer(w, 0);
    for (int32_t leader = 1; leader <= 3; leader++) {
        rd_kafka_mock_partition_set_leader(w->mock.cluster, TOPIC, 0, leader);
        put_many(writer, 20);
        await_all(writer);
    }
    assert_landed(writer, 0, 60, 0);
    assert_int_equal(w->rebuilt, 0);
}

static void a_success_without_an_offset_has_none(void **state)
{
    struct world *w = *state;
    make_careful_pool(w, 1);
    struct writer *writer = open_writer(w, 0);
    put_many(writer, 3);
    await_all(writer);
    push_error(w, RD_KAFKA_RESP_ERR_DUPLICATE_SEQUENCE_NUMBER, 1);
    put_many(writer, 10); /* the mock says that it has them, and does not */
    await_all(writer);
    for (size_t i = 3; i < 13; i++) {
        assert_int_equal(writer->reports[i].status, 0);
        if (writer->reports[i].offset >= 0) /* of a batch that was sent on its own */
            assert_true(writer->reports[i].offset >= 3);
    }
    assert_int_equal(writer->reports[3].offset, -1);
    assert_int_equal(w->rebuilt, 0);
}

/* ---- errors for good ---- */

/* Statuses of a lane after a failure: successes, then void or unknown ones, never a success again. */
static size_t count_successes(const struct writer *writer, size_t from)
{
    size_t i = from;
    while (i < writer->count && writer->reports[i].status == 0)
        i++;
    size_t successes = i - from;
    for (; i < writer->count; i++)
        if (writer->reports[i].status != AFF_EVOID && writer->reports[i].status != AFF_EUNKNOWN)
            fail_msg("report %zu: %s after a failure", i, aff_error_name(writer->reports[i].status));
    return successes;
}

static void check_permanent(struct world *w, rd_kafka_resp_err_t error, int status)
{
    struct writer *failing = open_writer(w, 0), *other = open_writer(w, 1);
    uint64_t rebuilt = w->rebuilt;
    put_many(failing, 2);
    put_many(other, 2);
    await_all(failing);
    await_all(other);
    int64_t end = failing->reports[1].offset + 1, other_end = other->reports[1].offset + 1;

    push_error(w, error, 1);
    put_many(failing, 1);
    await_all(failing);
    assert_int_equal(failing->reports[2].status, status);
    assert_int_equal(w->rebuilt, rebuilt + 1);
    put_many(failing, 5);                /* nothing may land until the reset */
    assert_int_equal(failing->count, 3); /* and nobody is told from inside an append */
    await_all(failing);
    for (size_t i = 3; i < 8; i++)
        assert_int_equal(failing->reports[i].status, AFF_EVOID);
    put_many(other, 5); /* nothing of it is in doubt: it goes on by itself */
    await_all(other);
    assert_landed(other, 2, 7, other_end);

    aff_kafka_lane_reset(failing->lane);
    put_many(failing, 5);
    await_all(failing);
    assert_in_order(failing);
    assert_landed(failing, 8, 13, end);
    assert_int_equal(w->rebuilt, rebuilt + 1);
    AWAIT(w, aff_list_first(&w->pool->instances) && w->pool->instances.next->next == &w->pool->instances,
          "the failed instance to go");
}

static void a_permanent_error_makes_the_instance_give_way(void **state)
{
    static const struct {
        rd_kafka_resp_err_t error;
        int status;
    } cases[] = {
        { RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, AFF_EVOID },
        { RD_KAFKA_RESP_ERR_INVALID_RECORD, AFF_EVOID },
        { RD_KAFKA_RESP_ERR_POLICY_VIOLATION, AFF_EVOID },
        { RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, AFF_EUNKNOWN },
        { RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, AFF_EVOID },
    };
    struct world *w = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        w->mock.property_count = 1;
        make_careful_pool(w, 1);
        check_permanent(w, cases[i].error, cases[i].status);
        drop_pool(w);
    }
}

static void everything_in_flight_is_reported_once_when_the_instance_fails(void **state)
{
    struct world *w = *state;
    make_careful_pool(w, 1);
    for (uint32_t p = 0; p < 4; p++) {
        put_many(open_writer(w, p), 1);
        await_all(&w->writers[p]);
    }
    rd_kafka_mock_broker_set_rtt(w->mock.cluster, -1, 20);
    push_error(w, RD_KAFKA_RESP_ERR_INVALID_RECORD, 1);
    for (int round = 0; round < 10; round++)
        for (uint32_t p = 0; p < 4; p++)
            put_many(&w->writers[p], 50);
    size_t landed = 0, failed = 0;
    for (uint32_t p = 0; p < 4; p++) {
        await_all(&w->writers[p]);
        assert_in_order(&w->writers[p]);
        size_t successes = count_successes(&w->writers[p], 0);
        assert_landed(&w->writers[p], 0, successes, 0);
        failed += successes < w->writers[p].count;
        landed += successes;
    }
    assert_true(failed > 0);
    assert_true(landed < 4 * 501);
    assert_int_equal(w->rebuilt, 1);
    linger(w, 100);
    for (uint32_t p = 0; p < 4; p++) {
        struct writer *writer = &w->writers[p];
        size_t count = writer->count;
        assert_int_equal(count, writer->next_seq); /* none twice */
        aff_kafka_lane_reset(writer->lane);
        put_many(writer, 3);
        await_all(writer);
        assert_landed(writer, count, count + 3, (int64_t)count_log(w, (int32_t)p) - 3);
    }
}

/* A record that is refused whenever it comes would else make connections and producer ids without end. */
static void instances_that_fail_soon_are_replaced_ever_more_slowly(void **state)
{
    struct world *w = *state;
    int64_t delay_ms = 0;
    make_careful_pool(w, 1);
    struct writer *writer = open_writer(w, 0);
    for (uint64_t failures = 1; failures <= 4; failures++) {
        push_error(w, RD_KAFKA_RESP_ERR_INVALID_RECORD, 1);
        put_many(writer, 1);
        await_all(writer);
        assert_int_equal(w->rebuilt, failures);
        assert_true(w->pool->slots[0].delay_ms > delay_ms);
        delay_ms = w->pool->slots[0].delay_ms;
        aff_kafka_lane_reset(writer->lane);
    }
    put_many(writer, 3);
    await_all(writer);
    assert_landed(writer, 4, 7, 0);
}

/* The partition that failed is in flight at a broker that does not answer any more. */
static void an_instance_that_fails_does_not_wait_for_brokers_that_are_gone(void **state)
{
    struct world *w = *state;
    rd_kafka_mock_partition_set_leader(w->mock.cluster, TOPIC, 0, 1);
    rd_kafka_mock_partition_set_leader(w->mock.cluster, TOPIC, 1, 2);
    make_careful_pool(w, 1);
    struct writer *quiet = open_writer(w, 0), *failing = open_writer(w, 1);
    put_many(quiet, 1);
    put_many(failing, 1);
    await_all(quiet);
    await_all(failing);
    rd_kafka_mock_broker_set_rtt(w->mock.cluster, 1, 60000);
    put_many(quiet, 3);
    linger(w, 50);
    push_error(w, RD_KAFKA_RESP_ERR_INVALID_RECORD, 1);
    put_many(failing, 1);
    await_all(failing);
    assert_int_equal(failing->reports[1].status, AFF_EVOID);
    await_all(quiet);
    assert_int_equal(quiet->reports[1].status, AFF_EUNKNOWN);
    rd_kafka_mock_broker_set_rtt(w->mock.cluster, 1, 0);
    aff_kafka_lane_reset(quiet->lane);
    put_many(quiet, 1);
    await_all(quiet);
    assert_int_equal(quiet->reports[4].status, 0);
}

static void a_partition_that_is_not_there_voids_appends(void **state)
{
    struct world *w = *state;
    aff_error err = { .code = 0 };
    make_pool(w, 1);
    struct writer *writer = &w->writers[0];
    writer->world = w;
    writer->user.reports = keep_reports;
    assert_int_equal(aff_kafka_lane_open(w->pool, TOPIC, 4711, MESSAGE_BYTES, &writer->user, &writer->lane, &err), 0);
    put_many(writer, 3);
    await_all(writer);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(writer->reports[i].status, AFF_EVOID);
    struct writer *other = open_writer(w, 1);
    put_many(other, 3);
    await_all(other);
    assert_landed(other, 0, 3, 0);
    assert_int_equal(w->rebuilt, 0);
}

/* ---- reset and close ---- */

static void after_a_reset_only_later_appends_are_reported(void **state)
{
    struct world *w = *state;
    make_pool(w, 1);
    struct writer *writer = open_writer(w, 0);
    put_many(writer, 1);
    await_all(writer);
    rd_kafka_mock_broker_set_rtt(w->mock.cluster, -1, 30);
    put_many(writer, 10);
    aff_kafka_lane_reset(writer->lane);
    put_many(writer, 5);
    await_reports(writer, 6);
    for (size_t i = 1; i < 6; i++)
        assert_int_equal(writer->reports[i].seq, 10 + i);
    assert_landed(writer, 1, 6, 11); /* behind what was under way */
    linger(w, 50);
    assert_int_equal(writer->count, 6);
    assert_int_equal(w->in_flight, 0);
}

static void close_in_report(struct writer *writer)
{
    aff_kafka_lane_close(writer->lane);
    writer->lane = NULL;
}

static void closing_forgets_what_is_under_way(void **state)
{
    struct world *w = *state;
    make_pool(w, 2);
    struct writer *a = open_writer(w, 0), *b = open_writer(w, 1);
    put_many(a, 1);
    await_all(a);
    put_many(a, 100);
    close_in_report(a);
    b->in_report = close_in_report;
    put_many(b, 100);
    AWAIT(w, !b->lane, "a report");
    AWAIT(w, w->in_flight == 0, "the appends of closed lanes");
    assert_int_equal(a->count, 1);
    assert_true(b->count >= 1 && b->count < 100);

    size_t before = count_log(w, 0), next_seq = a->next_seq;
    open_writer(w, 0);
    put_many(a, 1);
    await_reports(a, 2);
    assert_int_equal(a->reports[1].seq, next_seq);
    assert_int_equal(a->reports[1].offset, before);
}

static void reset_in_report(struct writer *writer)
{
    writer->in_report = NULL;
    aff_kafka_lane_reset(writer->lane);
    put_many(writer, 1);
}

static void a_report_may_reset_its_lane(void **state)
{
    struct world *w = *state;
    make_careful_pool(w, 1);
    struct writer *writer = open_writer(w, 0);
    put_many(writer, 1);
    await_all(writer);
    writer->in_report = reset_in_report;
    push_error(w, RD_KAFKA_RESP_ERR_INVALID_RECORD, 1);
    put_many(writer, 1);
    await_reports(writer, 3);
    assert_int_equal(writer->reports[1].status, AFF_EVOID);
    assert_landed(writer, 2, 3, 1);
}

static void a_pool_serves_one_loop_after_another(void **state)
{
    struct world *w = *state;
    aff_error err = { .code = 0 };
    make_pool(w, 1);
    put_many(open_writer(w, 0), 10);
    close_in_report(&w->writers[0]);
    aff_kafka_pool_detach(w->pool);
    w->loop = aff_loop_free(w->loop);
    assert_int_equal(aff_loop_new(&(struct aff_loop_opts){ .name = "other" }, &w->loop, &err), 0);
    assert_int_equal(aff_kafka_pool_attach(w->pool, w->loop, &err), 0);
    struct writer *writer = open_writer(w, 0);
    put_many(writer, 10);
    await_reports(writer, 10);
    assert_in_order(writer);
}

static void the_end_does_not_wait_for_brokers_that_are_gone(void **state)
{
    struct world *w = *state;
    make_pool(w, 2);
    struct writer *a = open_writer(w, 0), *b = open_writer(w, 1);
    put_many(a, 5);
    await_all(a);
    rd_kafka_mock_broker_set_down(w->mock.cluster, -1);
    put_many(a, 100);
    put_many(b, 100);
    linger(w, 20);
    drop_pool(w); /* the time limit of the test is the assertion */
    assert_int_equal(w->in_flight, 0);
    rd_kafka_mock_broker_set_up(w->mock.cluster, -1);
}

static void the_end_waits_for_what_is_under_way(void **state)
{
    struct world *w = *state;
    make_pool(w, 1);
    struct writer *writer = open_writer(w, 0);
    put_many(writer, 1);
    await_all(writer);
    rd_kafka_mock_broker_set_rtt(w->mock.cluster, -1, 50);
    put_many(writer, 100);
    drop_pool(w);
    assert_int_equal(count_log(w, 0), 101);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(int argc, char **argv)
{
    struct CMUnitTest tests[] = {
        TEST(reports_come_in_order_and_offsets_are_contiguous),
        TEST(the_log_has_what_was_appended),
        TEST(the_first_append_through_an_instance_travels_alone),
        TEST(only_a_window_is_handed_over),
        TEST(what_is_too_large_is_refused_and_its_neighbours_land),
        TEST(bytes_in_flight_are_bounded),
        TEST(a_single_append_is_let_in_whatever_the_bound),
        TEST(batches_are_not_larger_than_topics_take),
        TEST(errors_that_pass_are_survived),
        TEST(brokers_that_are_down_are_waited_for),
        TEST(a_leader_that_moves_is_followed),
        TEST(a_success_without_an_offset_has_none),
        TEST(a_permanent_error_makes_the_instance_give_way),
        TEST(everything_in_flight_is_reported_once_when_the_instance_fails),
        TEST(instances_that_fail_soon_are_replaced_ever_more_slowly),
        TEST(an_instance_that_fails_does_not_wait_for_brokers_that_are_gone),
        TEST(a_partition_that_is_not_there_voids_appends),
        TEST(after_a_reset_only_later_appends_are_reported),
        TEST(closing_forgets_what_is_under_way),
        TEST(a_report_may_reset_its_lane),
        TEST(a_pool_serves_one_loop_after_another),
        TEST(the_end_does_not_wait_for_brokers_that_are_gone),
        TEST(the_end_waits_for_what_is_under_way),
    };
    if (!parts_leave(tests, sizeof tests / sizeof *tests, argc > 1 ? argv[1] : NULL))
        return 2;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
