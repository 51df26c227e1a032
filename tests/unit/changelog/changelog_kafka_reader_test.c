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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_empty_partition_is_read_to_its_end, make, unmake),
        cmocka_unit_test_setup_teardown(a_read_tells_start_next_and_end, make, unmake),
    };
    cmocka_set_message_output(CM_OUTPUT_STDOUT);
    return cmocka_run_group_tests_name("changelog kafka reader", tests, NULL, NULL);
}
