/*
 * changelog_kafka_entry_test.c - a message of Kafka as an entry of the log: what is absent, what is empty, which headers count.
 */
#include "kafka_reading.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define TOPIC "test.entries"

/* The entry that comes of what was appended last; valid until the next. */
static const struct aff_entry *read_back(struct asker *a, int64_t offset)
{
    const struct aff_batch *batch = asker_read(a, offset, 1, AFF_READ_TO_END);
    assert_non_null(batch);
    assert_int_equal(batch->status, 0);
    assert_int_equal(batch->count, 1);
    assert_int_equal(batch->entries[0].offset, offset);
    return &batch->entries[0];
}

static void assert_bytes(aff_bytes found, const char *wanted)
{
    assert_non_null(found.data);
    assert_int_equal(found.len, strlen(wanted));
    assert_memory_equal(found.data, wanted, found.len);
}

static void flush(struct reading *r)
{
    assert_int_equal(rd_kafka_flush(r->host, READING_WAIT_S * 1000), 0);
}

static void a_record_comes_back_as_it_was_appended(void **state)
{
    struct reading *r = *state;
    struct asker *a = asker_open(r, TOPIC, 0);

    assert_int_equal(rd_kafka_producev(r->host, RD_KAFKA_V_TOPIC(TOPIC), RD_KAFKA_V_PARTITION(0),
                                       RD_KAFKA_V_KEY("k\0y", 3), RD_KAFKA_V_VALUE((void *)(uintptr_t) "{\"a\":1}", 7),
                                       RD_KAFKA_V_TIMESTAMP(1234567890123), RD_KAFKA_V_HEADER("aff", "\0\1\2", 3),
                                       RD_KAFKA_V_HEADER("content-type", "application/json", 16),
                                       RD_KAFKA_V_HEADER("aff-event-time", "17", 2),
                                       RD_KAFKA_V_HEADER("traceparent", "00-ab-cd-01", 11),
                                       RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END),
                     0);
    flush(r);
    const struct aff_entry *entry = read_back(a, 0);
    assert_int_equal(entry->time_ms, 1234567890123);
    assert_true(aff_bytes_equal(entry->key, aff_bytes_of("k\0y", 3)));
    assert_bytes(entry->value, "{\"a\":1}");
    assert_true(aff_bytes_equal(entry->aff, aff_bytes_of("\0\1\2", 3)));
    assert_bytes(entry->content_type, "application/json");
    assert_bytes(entry->event_time, "17");
    assert_bytes(entry->traceparent, "00-ab-cd-01");
    asker_close(a);
}

static void a_tombstone_is_no_empty_value(void **state)
{
    struct reading *r = *state;
    struct asker *a = asker_open(r, TOPIC, 0);

    reading_put(r, TOPIC, 0, "k", NULL);
    reading_put(r, TOPIC, 0, "k", "");
    const struct aff_entry *entry = read_back(a, 0);
    assert_null(entry->value.data);
    assert_int_equal(entry->value.len, 0);
    assert_null(entry->aff.data);
    assert_null(entry->content_type.data);
    assert_null(entry->event_time.data);
    assert_null(entry->traceparent.data);
    entry = read_back(a, 1);
    assert_non_null(entry->value.data);
    assert_int_equal(entry->value.len, 0);
    asker_close(a);
}

/* What a foreign program may write: no key, an empty one, headers of other names, without a value, twice. */
static void what_others_write_is_taken_as_it_is(void **state)
{
    struct reading *r = *state;
    struct asker *a = asker_open(r, TOPIC, 0);

    assert_int_equal(
        rd_kafka_producev(r->host, RD_KAFKA_V_TOPIC(TOPIC), RD_KAFKA_V_PARTITION(0),
                          RD_KAFKA_V_VALUE((void *)(uintptr_t) "v", 1), RD_KAFKA_V_HEADER("x-other", "o", 1),
                          RD_KAFKA_V_HEADER("aff", NULL, 0), RD_KAFKA_V_HEADER("content-type", "text/plain", 10),
                          RD_KAFKA_V_HEADER("content-type", "text/html", 9), RD_KAFKA_V_HEADER("traceparent", "", 0),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END),
        0);
    flush(r);
    reading_put(r, TOPIC, 0, "", "v");
    const struct aff_entry *entry = read_back(a, 0);
    assert_non_null(entry->key.data);
    assert_int_equal(entry->key.len, 0);
    assert_null(entry->aff.data);
    assert_bytes(entry->content_type, "text/html");
    assert_non_null(entry->traceparent.data);
    assert_int_equal(entry->traceparent.len, 0);
    entry = read_back(a, 1);
    assert_non_null(entry->key.data);
    assert_int_equal(entry->key.len, 0);
    asker_close(a);
}

static int make(void **state)
{
    *state = reading_new(1, TOPIC);
    return 0;
}

static int unmake(void **state)
{
    *state = reading_free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_record_comes_back_as_it_was_appended, make, unmake),
        cmocka_unit_test_setup_teardown(a_tombstone_is_no_empty_value, make, unmake),
        cmocka_unit_test_setup_teardown(what_others_write_is_taken_as_it_is, make, unmake),
    };
    cmocka_set_message_output(CM_OUTPUT_STDOUT);
    return cmocka_run_group_tests_name("changelog kafka entry", tests, NULL, NULL);
}
