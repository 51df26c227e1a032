/*
 * changelog_kafka_test.c - the driver `kafka` as a whole, on librdkafka's mock brokers: what only its own part can get wrong.
 * The contract runs against real brokers (tests/contract); producers and reader have tests of their own.
 */
#include "changelog/kafka/kafka.h"
#include "kafka_mock.h"
#include "lib/changelog_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { PARTITIONS = 4 };

#define TOPIC "demo.accounts"

struct world {
    struct kafka_mock mock;
    struct aff_changelog *log;
    struct client clients[PARTITIONS];
};

static const struct aff_topic topic = { .name = TOPIC, .partitions = PARTITIONS, .compact = true };

static struct aff_changelog *log_new(const struct kafka_mock *mock)
{
    struct aff_changelog *log = NULL;
    aff_error err = { .code = 0 };
    const struct aff_changelog_kafka_opts opts = {
        .properties = mock->properties,
        .property_count = mock->property_count,
        .development = true,
        .loops = 2,
        .producers = 4,
        .blind = true,
    };
    if (aff_changelog_kafka_new(&opts, &log, &err))
        fail_msg("%s", err.text);
    return log;
}

static int start(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    aff_error err = { .code = 0 };
    kafka_mock_start(&w->mock, 2);
    kafka_mock_set(&w->mock, "max.in.flight.requests.per.connection", "1"); /* see changelog_kafka_producer_test.c */
    kafka_mock_topic(&w->mock, TOPIC, PARTITIONS);
    w->log = log_new(&w->mock);
    if (w->log->ops->topic(w->log, &topic, &err))
        fail_msg("%s", err.text);
    *state = w;
    return 0;
}

static int stop(void **state)
{
    struct world *w = *state;
    for (size_t i = PARTITIONS; i-- > 0;) /* the one that has the loop last */
        if (w->clients[i].log)
            client_close(&w->clients[i]);
    if (w->log)
        w->log->ops->free(w->log);
    kafka_mock_stop(&w->mock);
    free(w);
    return 0;
}

static struct client *open_client(struct world *w, uint32_t partition, struct client *loop_of)
{
    struct client *c = &w->clients[partition];
    assert_true(client_open(c, w->log, TOPIC, partition, loop_of));
    return c;
}

static void assert_well(const struct client *c)
{
    if (c->failure)
        fail_msg("%s", c->failure);
}

static void what_is_appended_is_read(void **state)
{
    struct client *c = open_client(*state, 0, NULL);
    assert_true(client_put_now(c, "a", "1"));
    assert_true(client_put_now(c, "b", NULL));
    assert_true(client_put_now(c, "a", "2"));
    assert_true(client_read_all(c, 0));
    assert_int_equal(c->seen_count, 3);
    assert_int_equal(c->last.end, 3);
    assert_true(aff_bytes_equal(client_last_of(c, "a")->value, aff_str("2")));
    assert_null(client_last_of(c, "b")->value.data);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(c->seen[i].entry.offset, c->reports[i].offset);
        assert_true(c->seen[i].entry.time_ms > 0);
        assert_true(c->reports[i].time_ms > 0); /* another one: the mock reports a time of its own */
    }
    assert_well(c);
}

static void partitions_of_one_loop_do_not_mix(void **state)
{
    struct world *w = *state;
    char value[16];
    struct client *first = open_client(w, 0, NULL);
    for (uint32_t p = 1; p < PARTITIONS; p++)
        open_client(w, p, first);
    for (uint64_t i = 0; i < 50; i++)
        for (uint32_t p = 0; p < PARTITIONS; p++) {
            (void)snprintf(value, sizeof value, "%u.%u", p, (unsigned)i);
            assert_int_equal(client_put(&w->clients[p], "k", value, i), 0);
        }
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        assert_true(client_await_reports(&w->clients[p], 50));
        assert_true(client_read_all(&w->clients[p], 0));
        assert_int_equal(w->clients[p].seen_count, 50);
        (void)snprintf(value, sizeof value, "%u.49", p);
        assert_true(aff_bytes_equal(client_last_of(&w->clients[p], "k")->value, aff_str(value)));
        assert_well(&w->clients[p]);
    }
}

/* A loop whose last partition was closed gives its producers back, with what is under way, and the next one takes them. */
static void loops_come_and_go(void **state)
{
    struct world *w = *state;
    for (size_t round = 0; round < 5; round++) {
        struct client *a = open_client(w, 0, NULL), *b = open_client(w, 1, round % 2 ? a : NULL);
        assert_true(client_put_now(a, "k", "v"));
        assert_true(client_put_now(b, "k", "v"));
        assert_int_equal(client_put(a, "k", "under way", 9), 0);
        client_close(b);
        client_close(a);
        *a = *b = (struct client){ .log = NULL };
    }
    struct client *c = open_client(w, 1, NULL);
    assert_true(client_read_all(c, 0));
    assert_int_equal(c->seen_count, 5);
}

static void a_sink_may_close_its_part(void **state)
{
    struct world *w = *state;
    struct client *a = open_client(w, 0, NULL), *b = open_client(w, 1, a);
    assert_true(client_put_now(a, "k", "v"));
    assert_true(client_put_now(b, "k", "v"));
    b->close_on_entries = true;
    client_read(b, 0, 1000, AFF_READ_TO_END, 1);
    assert_true(client_await_batches(b, 1));
    a->close_on_reports = true;
    for (uint64_t i = 0; i < 20; i++)
        assert_int_equal(client_put(a, "k", "v", i), 0);
    assert_true(client_await_reports(a, 2));
    for (int i = 0; i < 20; i++)
        client_pass(a);
    assert_well(a);
    assert_well(b);
}

static void what_is_not_there_is_told(void **state)
{
    struct world *w = *state;
    struct aff_changelog_sink sink = { .reports = NULL };
    struct aff_changelog_part *part;
    struct aff_loop *loop = NULL;
    aff_error err = { .code = 0 };
    assert_int_equal(aff_loop_new(&(struct aff_loop_opts){ .name = "test" }, &loop, &err), 0);
    assert_int_equal(w->log->ops->open(w->log, TOPIC, PARTITIONS, loop, &sink, &part, &err), AFF_ENOTFOUND);
    assert_non_null(strstr(err.text, TOPIC));
    assert_int_equal(w->log->ops->open(w->log, "demo.unknown", 0, loop, &sink, &part, &err), AFF_ENOTFOUND);
    aff_loop_free(loop);
}

static void replaced_producers_are_counted(void **state)
{
    struct world *w = *state;
    struct aff_changelog_numbers numbers;
    struct client *c = open_client(w, 0, NULL);
    assert_true(client_put_now(c, "k", "v"));
    w->log->ops->numbers(w->log, &numbers);
    assert_int_equal(numbers.producers_rebuilt, 0);
    rd_kafka_mock_push_request_errors(w->mock.cluster, KAFKA_MOCK_PRODUCE, 1, RD_KAFKA_RESP_ERR_INVALID_RECORD);
    assert_int_equal(client_put(c, "k", "refused", 1), 0);
    assert_true(client_await_reports(c, 2));
    assert_int_equal(c->reports[1].status, AFF_EVOID);
    w->log->ops->numbers(w->log, &numbers);
    assert_int_equal(numbers.producers_rebuilt, 1);
    w->log->ops->reset(c->part);
    assert_true(client_put_now(c, "k", "w"));
    assert_true(client_read_all(c, 0));
    assert_int_equal(c->seen_count, 2);
}

static void nothing_is_wrong_with_a_log_that_cannot_be_looked_at(void **state)
{
    struct world *w = *state;
    aff_error err = { .code = 0 };
    assert_int_equal(w->log->ops->trouble(w->log, &err), 0);
    w->log->ops->keep_from(NULL, 0); /* the brokers compact */
}

static void the_end_is_bounded_when_brokers_are_gone(void **state)
{
    struct world *w = *state;
    struct client *c = open_client(w, 0, NULL);
    assert_true(client_put_now(c, "k", "v"));
    rd_kafka_mock_broker_set_down(w->mock.cluster, -1);
    client_read(c, 0, 1000, AFF_READ_WAIT, 1);
    for (uint64_t i = 1; i < 20; i++)
        assert_int_equal(client_put(c, "k", "v", i), 0);
    for (int i = 0; i < 10; i++)
        client_pass(c);
    client_close(c);
    *c = (struct client){ .log = NULL };
    w->log = w->log->ops->free(w->log); /* the time limit of the test is the assertion */
    assert_null(w->log);
}

static void wrong_properties_are_refused_before_anything_is_made(void **state)
{
    static const struct aff_kafka_property wrong[] = { { "bootstrap.servers", "127.0.0.1:1" }, { "acks", "1" } };
    const struct aff_changelog_kafka_opts opts = { .properties = wrong, .property_count = 2, .loops = 1 };
    struct aff_changelog *log = NULL;
    aff_error err = { .code = 0 };
    (void)state;
    assert_int_equal(aff_changelog_kafka_new(&opts, &log, &err), AFF_ECONFIG);
    assert_non_null(strstr(err.text, "acks"));
    assert_null(log);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_appended_is_read),
        TEST(partitions_of_one_loop_do_not_mix),
        TEST(loops_come_and_go),
        TEST(a_sink_may_close_its_part),
        TEST(what_is_not_there_is_told),
        TEST(replaced_producers_are_counted),
        TEST(nothing_is_wrong_with_a_log_that_cannot_be_looked_at),
        TEST(the_end_is_bounded_when_brokers_are_gone),
        cmocka_unit_test(wrong_properties_are_refused_before_anything_is_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
