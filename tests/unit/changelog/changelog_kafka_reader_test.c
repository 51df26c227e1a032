/*
 * changelog_kafka_reader_test.c - reading partitions from librdkafka's mock cluster: what a read of the contract must do, and
 * what happens when brokers and topics do not behave.
 */
#include "kafka_reading.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/parts.h"

#define TOPIC "test.things"

static int make(void **state)
{
    *state = reading_new(3, TOPIC);
    return 0;
}

static int unmake(void **state)
{
    *state = reading_free(*state);
    return 0;
}

/* ---- what a read must do ---- */

static void an_empty_partition_is_read_to_its_end(void **state)
{
    struct asker *a;

    a = asker_open(*state, TOPIC, 0);
    const struct aff_batch *batch = asker_read(a, 0, 1000, AFF_READ_TO_END);
    assert_non_null(batch);
    assert_int_equal(batch->status, 0);
    assert_int_equal(batch->count, 0);
    assert_int_equal(batch->start, 0);
    assert_int_equal(batch->next, 0);
    assert_int_equal(batch->end, 0);
    asker_close(a);
}

static void a_read_tells_start_next_and_end(void **state)
{
    struct asker *a;
    const struct aff_batch *batch;

    for (int i = 0; i < 5; i++)
        assert_int_equal(reading_put(*state, TOPIC, 0, "k", "v"), i);
    a = asker_open(*state, TOPIC, 0);
    batch = asker_read(a, 2, 1 << 20, AFF_READ_TO_END);
    assert_non_null(batch);
    assert_in_range(batch->count, 1, 3); /* the mock delivers batch by batch */
    assert_int_equal(batch->entries[0].offset, 2);
    assert_int_equal(batch->next, 2 + batch->count);
    assert_int_equal(batch->end, 5);
    assert_int_equal(batch->start, 0);

    batch = asker_read(a, -3, 1 << 20, AFF_READ_TO_END);
    assert_non_null(batch);
    assert_int_equal(batch->entries[0].offset, 0);

    batch = asker_read(a, 9, 1 << 20, AFF_READ_TO_END);
    assert_non_null(batch);
    assert_int_equal(batch->status, 0);
    assert_int_equal(batch->count, 0);
    assert_int_equal(batch->next, 5);
    assert_int_equal(batch->end, 5);

    batch = asker_read(a, 4, 1 << 20, AFF_READ_TO_END);
    assert_non_null(batch);
    assert_int_equal(batch->count, 1);
    asker_close(a);
}

static void max_bytes_bounds_an_answer_but_one_entry_always_comes(void **state)
{
    enum { COUNT = 50 };
    struct asker *a = asker_open(*state, TOPIC, 0);
    int64_t from = 0;

    reading_fill(*state, TOPIC, 0, COUNT, 24);
    while (from < COUNT) {
        const struct aff_batch *batch = asker_read(a, from, 100, AFF_READ_TO_END);
        assert_non_null(batch);
        assert_in_range(batch->count, 1, 3);
        assert_int_equal(batch->entries[0].offset, from);
        from = batch->next;
    }
    const struct aff_batch *batch = asker_read(a, 0, 1, AFF_READ_TO_END);
    assert_non_null(batch);
    assert_int_equal(batch->count, 1);
    asker_close(a);
}

/* For longer than it stays with the consumer that catches up. */
static void a_read_waits_on_the_tail(void **state)
{
    struct asker *a = asker_open(*state, TOPIC, 0);

    reading_put(*state, TOPIC, 0, "k", "v");
    for (int64_t round = 0; round < 3; round++) {
        assert_int_equal(asker_read_all(a, round, 1000), 1);
        asker_ask(a, round + 1, 1000, AFF_READ_WAIT, round + 1);
        assert_false(asker_await(a, 700 * round));
        assert_int_equal(reading_put(*state, TOPIC, 0, "k", "v"), round + 1);
        assert_true(asker_await(a, 10000));
        assert_int_equal(a->answer->count, 1);
        assert_int_equal(a->answer->batch.next, round + 2);
        assert_int_equal(a->answer->batch.end, round + 2);
    }
    asker_ask(a, 4, 1000, AFF_READ_WAIT, 4);
    for (int64_t i = 4; i < 30; i++) {
        assert_int_equal(reading_put(*state, TOPIC, 0, "k", "v"), i);
        assert_true(asker_await(a, 10000));
        assert_int_equal(a->answer->batch.next, i + 1);
        asker_ask(a, i + 1, 1000, AFF_READ_WAIT, i + 1);
    }
    asker_close(a);
}

static void a_new_read_replaces_an_open_one(void **state)
{
    struct asker *a = asker_open(*state, TOPIC, 0);

    asker_ask(a, 0, 1000, AFF_READ_WAIT, 0);
    assert_false(asker_await(a, 50));
    assert_int_equal(asker_read_all(a, 0, 1000), 0);
    assert_int_equal(reading_put(*state, TOPIC, 0, "k", "v"), 0);
    assert_false(asker_await(a, 50));
    for (int i = 0; i < 200; i++)
        asker_ask(a, 0, 1000, i % 2 ? AFF_READ_TO_END : AFF_READ_WAIT, 1);
    assert_true(asker_await(a, 10000)); /* of the last one: asker_await() looks at the ticket */
    assert_int_equal(a->answer->count, 1);
    assert_false(asker_await(a, 50));
    asker_close(a);
}

/* An answer that its loop did not take before it asked again is not lost, nor fetched again. */
static void what_was_not_taken_is_read_again(void **state)
{
    enum { COUNT = 2000 };
    struct asker *a = asker_open(*state, TOPIC, 0);
    int64_t from = 0;

    reading_fill(*state, TOPIC, 0, COUNT, 100);
    for (int round = 0; from < COUNT; round++) {
        asker_ask(a, from, 10000, AFF_READ_TO_END, 0);
        if (round % 3)
            assert_true(asker_rung(a, 10000)); /* and it is not taken */
        const struct aff_batch *batch = asker_read(a, from + round % 2, 10000, AFF_READ_TO_END);
        assert_non_null(batch);
        assert_true(batch->count > 0);
        assert_int_equal(batch->entries[0].offset, from + round % 2);
        from = batch->next;
    }
    asker_close(a);
}

/* Whatever was fetched for an earlier position must not be taken for the present one: in a log without holes it would show
 * as one. */
static void every_position_is_read_without_holes(void **state)
{
    enum { COUNT = 3000, ROUNDS = 400 };
    struct asker *a = asker_open(*state, TOPIC, 3);
    unsigned random = 12345;

    reading_fill(*state, TOPIC, 3, COUNT, 50);
    for (int round = 0; round < ROUNDS; round++) {
        random = random * 1103515245u + 12345u;
        int64_t from = (random >> 8) % COUNT;
        asker_ask(a, from, random % 20000, random >> 30 ? AFF_READ_TO_END : AFF_READ_WAIT, 0);
        if (random >> 29 & 1)
            continue; /* replaced by the next */
        assert_true(asker_await(a, 10000));
        const struct aff_batch *batch = &a->answer->batch;
        assert_int_equal(batch->status, 0);
        assert_true(batch->count > 0);
        for (size_t i = 0; i < batch->count; i++)
            assert_int_equal(batch->entries[i].offset, from + (int64_t)i);
        assert_int_equal(batch->next, from + (int64_t)batch->count);
        assert_int_equal(batch->end, COUNT);
    }
    asker_close(a);
}

/* "The end" is that of after the question: what was reported to anybody before is there. */
static void a_read_to_the_end_finds_what_was_just_written(void **state)
{
    struct asker *a = asker_open(*state, TOPIC, 5), *tail = asker_open(*state, TOPIC, 5);

    asker_ask(tail, 0, 1000, AFF_READ_WAIT, 0);
    for (int64_t i = 0; i < 60; i++) {
        assert_int_equal(asker_read_all(a, i, 1000), 0);
        assert_int_equal(reading_put(*state, TOPIC, 5, "k", "v"), i);
        const struct aff_batch *batch = asker_read(a, i, 1000, AFF_READ_TO_END);
        assert_non_null(batch);
        assert_int_equal(batch->count, 1);
        assert_int_equal(batch->end, i + 1);
        assert_true(asker_await(tail, 10000));
        assert_int_equal(asker_read_all(tail, i + 1, 1000), 0);
        asker_ask(tail, i + 1, 1000, AFF_READ_WAIT, 0);
    }
    asker_close(a);
    asker_close(tail);
}

static void an_end_below_what_was_confirmed_answers_nothing(void **state)
{
    struct asker *a = asker_open(*state, TOPIC, 0);

    reading_fill(*state, TOPIC, 0, 3, 10);
    assert_int_equal(asker_read_all(a, 0, 1000), 3);
    for (int mode = AFF_READ_TO_END; mode <= AFF_READ_WAIT; mode++) {
        asker_ask(a, 3 + mode, 1000, mode, 4 + mode);
        assert_false(asker_await(a, 1300));
        reading_fill(*state, TOPIC, 0, 1, 10);
        assert_true(asker_await(a, 10000));
        assert_int_equal(a->answer->count, 1);
        assert_int_equal(a->answer->batch.end, 4 + mode);
    }
    asker_close(a);
}

/* The mock drops the oldest beyond 5 MiB of a partition. */
static void below_the_start_reading_begins_at_the_start(void **state)
{
    struct asker *a = asker_open(*state, TOPIC, 0);

    for (int i = 0; i < 8; i++)
        reading_fill(*state, TOPIC, 0, 100, 10000);
    const struct aff_batch *batch = asker_read(a, 1, 1 << 20, AFF_READ_TO_END);
    assert_non_null(batch);
    assert_true(batch->start > 1);
    assert_true(batch->count > 0);
    assert_int_equal(batch->entries[0].offset, batch->start);
    int64_t next = batch->next;
    assert_int_equal(next, batch->start + (int64_t)batch->count);
    assert_int_equal(asker_read_all(a, next, 1 << 20), 800 - next);
    asker_close(a);
}

/* ---- many at a time ---- */

static void many_streams_catch_up_at_one_time(void **state)
{
    enum { COUNT = 200, EACH = 100 };
    struct asker *a[READING_PARTITIONS];
    int64_t from[READING_PARTITIONS] = { 0 };

    for (int p = 0; p < READING_PARTITIONS; p++) {
        reading_fill(*state, TOPIC, p, COUNT, 100);
        a[p] = asker_open(*state, TOPIC, (uint32_t)p);
        asker_ask(a[p], 0, EACH * 103, AFF_READ_TO_END, 0);
    }
    for (int left = READING_PARTITIONS; left > 0;) {
        for (int p = 0; p < READING_PARTITIONS; p++) {
            if (from[p] < 0)
                continue;
            assert_true(asker_await(a[p], 20000));
            const struct aff_batch *batch = &a[p]->answer->batch;
            assert_int_equal(batch->status, 0);
            if (batch->count == 0) {
                assert_int_equal(batch->end, COUNT);
                from[p] = -1;
                left--;
                asker_ask(a[p], COUNT, 1000, AFF_READ_WAIT, 0);
                continue;
            }
            assert_int_equal(batch->entries[0].offset, from[p]);
            from[p] = batch->next;
            asker_ask(a[p], from[p], EACH * 103, AFF_READ_TO_END, 0);
        }
    }
    for (int p = READING_PARTITIONS; p-- > 0;) { /* and all of them wait at the end */
        assert_int_equal(reading_put(*state, TOPIC, p, "k", "v"), COUNT);
        assert_true(asker_await(a[p], 20000));
        assert_int_equal(a[p]->answer->count, 1);
        asker_close(a[p]);
    }
}

/* More of them than have places; their loops never take what was answered. */
static void streams_that_are_not_asked_hold_up_nobody(void **state)
{
    enum { SLOW = 40, COUNT = 300 };
    struct asker *slow[SLOW], *quick;

    for (int p = 0; p < SLOW; p++) {
        reading_fill(*state, TOPIC, p, COUNT, 1000);
        slow[p] = asker_open(*state, TOPIC, (uint32_t)p);
        asker_ask(slow[p], 0, 1000, AFF_READ_TO_END, 0);
    }
    reading_fill(*state, TOPIC, SLOW, COUNT, 1000);
    quick = asker_open(*state, TOPIC, SLOW);
    assert_int_equal(asker_read_all(quick, 0, 10000), COUNT);
    for (int p = 0; p < SLOW; p++) { /* and go on where they were */
        assert_true(asker_await(slow[p], 20000));
        int64_t next = slow[p]->answer->batch.next;
        assert_int_equal(asker_read_all(slow[p], next, 100000), COUNT - next);
        asker_close(slow[p]);
    }
    asker_close(quick);
}

/* When loops have so much to take, answers are small; nobody waits for another loop. */
static void answers_that_wait_for_their_loops_are_bounded(void **state)
{
    enum { STREAMS = 24, COUNT = 40, SIZE = 100000, MOST = 64 << 20 };
    struct asker *a[STREAMS];
    size_t entries = 0;

    for (int p = 0; p < STREAMS; p++) {
        reading_fill(*state, TOPIC, p, COUNT, SIZE);
        a[p] = asker_open(*state, TOPIC, (uint32_t)p);
        asker_ask(a[p], 0, COUNT * SIZE, AFF_READ_TO_END, 0);
    }
    for (int p = STREAMS; p-- > 0;) {
        assert_true(asker_await(a[p], READING_WAIT_S * 1000));
        assert_true(a[p]->answer->count > 0);
        entries += a[p]->answer->count;
    }
    assert_true(entries * SIZE < MOST + COUNT * SIZE + STREAMS * SIZE);
    for (int p = 0; p < STREAMS; p++)
        asker_close(a[p]);
}

static void streams_are_closed_at_any_moment(void **state)
{
    unsigned random = 99;

    for (int p = 0; p < 8; p++)
        reading_fill(*state, TOPIC, p, 300, 100);
    for (int round = 0; round < 300; round++) {
        random = random * 1103515245u + 12345u;
        struct asker *a = asker_open(*state, TOPIC, random >> 8 & 7);
        if (round % 7)
            asker_ask(a, random % 310, 1000, random >> 20 & 1, 0);
        if (round % 3 == 0)
            (void)asker_rung(a, random % 30);
        if (round % 5 == 0)
            (void)asker_await(a, random % 30);
        asker_close(a);
    }
}

/* The reader's thread takes up the question while the loop closes the stream: sanitizers tell who is too late. */
static void a_stream_is_closed_while_its_question_is_taken_up(void **state)
{
    for (int round = 0; round < 2000; round++) {
        struct asker *a = asker_open(*state, TOPIC, 0);

        asker_ask(a, 0, 1000, 0, 0);
        for (volatile int wait = 0; wait < round % 100 * 1000; wait++)
            ;
        asker_close(a);
    }
}

/* ---- brokers and topics that do not behave ---- */

static void set_brokers(struct reading *r, bool up)
{
    for (int32_t broker = 1; broker <= 3; broker++)
        assert_int_equal((up ? rd_kafka_mock_broker_set_up : rd_kafka_mock_broker_set_down)(r->cluster, broker), 0);
}

static void reads_wait_while_no_broker_answers(void **state)
{
    struct reading *r = *state;
    struct asker *tail = asker_open(r, TOPIC, 0), *late = asker_open(r, TOPIC, 1);

    reading_fill(r, TOPIC, 0, 3, 10);
    assert_int_equal(asker_read_all(tail, 0, 1000), 3);
    asker_ask(tail, 3, 1000, AFF_READ_WAIT, 3);
    set_brokers(r, false);
    asker_ask(late, 0, 1000, AFF_READ_TO_END, 0);
    assert_false(asker_await(late, 3000));
    assert_false(asker_await(tail, 0));
    set_brokers(r, true);
    assert_true(asker_await(late, 20000));
    assert_int_equal(late->answer->batch.status, 0);
    assert_int_equal(late->answer->count, 0);
    assert_int_equal(reading_put(r, TOPIC, 0, "k", "v"), 3);
    assert_true(asker_await(tail, 20000));
    assert_int_equal(tail->answer->count, 1);
    asker_close(tail);
    asker_close(late);
}

static void reading_goes_on_when_the_leader_moves(void **state)
{
    struct reading *r = *state;
    struct asker *a = asker_open(r, TOPIC, 0);

    for (int32_t broker = 1; broker <= 3; broker++) {
        assert_int_equal(rd_kafka_mock_partition_set_leader(r->cluster, TOPIC, 0, broker), 0);
        asker_ask(a, broker - 1, 1000, AFF_READ_WAIT, 0);
        assert_int_equal(reading_put(r, TOPIC, 0, "k", "v"), broker - 1);
        assert_true(asker_await(a, 20000));
        assert_int_equal(a->answer->batch.next, broker);
    }
    asker_close(a);
}

static void a_topic_that_is_forbidden_answers_eio_until_it_is_allowed(void **state)
{
    struct reading *r = *state;
    struct asker *a = asker_open(r, TOPIC, 0);

    reading_fill(r, TOPIC, 0, 3, 10);
    rd_kafka_mock_topic_set_error(r->cluster, TOPIC, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    for (int i = 0; i < 3; i++) {
        const struct aff_batch *batch = asker_read(a, 1, 1000, AFF_READ_WAIT);
        assert_non_null(batch);
        assert_int_equal(batch->status, AFF_EIO);
        assert_int_equal(batch->count, 0);
        assert_int_equal(batch->next, 1);
    }
    rd_kafka_mock_topic_set_error(r->cluster, TOPIC, RD_KAFKA_RESP_ERR_NO_ERROR);
    const struct aff_batch *batch;
    do {
        batch = asker_read(a, 0, 1000, AFF_READ_TO_END);
        assert_non_null(batch);
    } while (batch->status == AFF_EIO);
    assert_int_equal(batch->entries[0].offset, 0);
    asker_close(a);
}

static void a_partition_that_does_not_exist_answers_eio(void **state)
{
    struct asker *a = asker_open(*state, TOPIC, READING_PARTITIONS); /* a partition more than it has */

    assert_non_null(asker_read(a, 0, 1000, AFF_READ_TO_END));
    assert_int_equal(a->answer->batch.status, AFF_EIO);
    asker_close(a);
}

static void push_fetch_errors(struct reading *r, rd_kafka_resp_err_t error, size_t count)
{
    while (count-- > 0)
        rd_kafka_mock_push_request_errors(r->cluster, 1 /* Fetch */, 1, error);
}

static void damage_that_stays_answers_ecorrupt(void **state)
{
    struct reading *r = *state;
    struct asker *a = asker_open(r, TOPIC, 0);

    reading_fill(r, TOPIC, 0, 3, 10);
    push_fetch_errors(r, RD_KAFKA_RESP_ERR_INVALID_MSG, 1);
    assert_int_equal(asker_read_all(a, 0, 1000), 3); /* once is as good as never */
    push_fetch_errors(r, RD_KAFKA_RESP_ERR_INVALID_MSG, 100);
    const struct aff_batch *batch = asker_read(a, 1, 1000, AFF_READ_TO_END);
    assert_non_null(batch);
    assert_int_equal(batch->status, AFF_ECORRUPT);
    assert_int_equal(batch->count, 0);
    rd_kafka_mock_clear_request_errors(r->cluster, 1);
    assert_int_equal(asker_read_all(a, 1, 1000), 2);
    asker_close(a);
}

static void errors_that_pass_are_not_told(void **state)
{
    static const rd_kafka_resp_err_t errors[] = {
        RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
        RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE,     RD_KAFKA_RESP_ERR_UNKNOWN,
        RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH,      RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE,
    };
    struct reading *r = *state;

    reading_fill(r, TOPIC, 0, 3, 10);
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        struct asker *a = asker_open(r, TOPIC, 0);
        push_fetch_errors(r, errors[i], 3);
        assert_int_equal(asker_read_all(a, 0, 1000), 3);
        asker_close(a);
    }
}

/* Looks until two looks one wait apart are alike, or differ. */
static bool heard_comes_to(struct reading *r, struct asker *a, bool still)
{
    enum { LOOKS = 60, WAIT_MS = 500 }; /* well above the time that a fetch waits at the broker */

    for (int i = 0; i < LOOKS; i++) {
        int64_t before = aff_kafka_reader_heard_ns(r->reader);

        (void)asker_await(a, WAIT_MS);
        if ((aff_kafka_reader_heard_ns(r->reader) == before) == still)
            return true;
    }
    return false;
}

static void whether_brokers_answer_is_known_also_when_nothing_comes(void **state)
{
    struct reading *r = *state;
    struct asker *a = asker_open(r, TOPIC, 0);

    asker_ask(a, 0, 1000, AFF_READ_WAIT, 0);
    assert_true(heard_comes_to(r, a, false));
    assert_true(heard_comes_to(r, a, false));
    set_brokers(r, false);
    assert_true(heard_comes_to(r, a, true));
    set_brokers(r, true);
    assert_true(heard_comes_to(r, a, false));
    asker_close(a);
}

static void it_ends_also_when_no_broker_answers(void **state)
{
    struct reading *r = *state;
    struct asker *a = asker_open(r, TOPIC, 0), *b = asker_open(r, TOPIC, 1);

    assert_int_equal(asker_read_all(a, 0, 1000), 0);
    asker_ask(a, 0, 1000, AFF_READ_WAIT, 0);
    set_brokers(r, false);
    asker_ask(b, 0, 1000, AFF_READ_TO_END, 0);
    assert_false(asker_await(b, 200));
    asker_close(a);
    asker_close(b);
    r->reader = aff_kafka_reader_free(r->reader); /* a test that hangs here is ended by its time limit */
}

#define READING_TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)

int main(int argc, char **argv)
{
    struct CMUnitTest tests[] = {
        READING_TEST(an_empty_partition_is_read_to_its_end),
        READING_TEST(a_read_tells_start_next_and_end),
        READING_TEST(max_bytes_bounds_an_answer_but_one_entry_always_comes),
        READING_TEST(a_read_waits_on_the_tail),
        READING_TEST(a_new_read_replaces_an_open_one),
        READING_TEST(what_was_not_taken_is_read_again),
        READING_TEST(every_position_is_read_without_holes),
        READING_TEST(a_read_to_the_end_finds_what_was_just_written),
        READING_TEST(an_end_below_what_was_confirmed_answers_nothing),
        READING_TEST(below_the_start_reading_begins_at_the_start),
        READING_TEST(many_streams_catch_up_at_one_time),
        READING_TEST(streams_that_are_not_asked_hold_up_nobody),
        READING_TEST(answers_that_wait_for_their_loops_are_bounded),
        READING_TEST(streams_are_closed_at_any_moment),
        READING_TEST(a_stream_is_closed_while_its_question_is_taken_up),
        READING_TEST(reads_wait_while_no_broker_answers),
        READING_TEST(reading_goes_on_when_the_leader_moves),
        READING_TEST(a_topic_that_is_forbidden_answers_eio_until_it_is_allowed),
        READING_TEST(a_partition_that_does_not_exist_answers_eio),
        READING_TEST(damage_that_stays_answers_ecorrupt),
        READING_TEST(errors_that_pass_are_not_told),
        READING_TEST(whether_brokers_answer_is_known_also_when_nothing_comes),
        READING_TEST(it_ends_also_when_no_broker_answers),
    };
    if (!parts_leave(tests, sizeof tests / sizeof *tests, argc > 1 ? argv[1] : NULL))
        return 2;
    cmocka_set_message_output(CM_OUTPUT_STDOUT);
    return cmocka_run_group_tests_name("changelog kafka reader", tests, NULL, NULL);
}
