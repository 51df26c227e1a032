/*
 * partitioner_test.c - the partition of a key is the one that Kafka's Java client chooses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "router/partitioner.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Hashes as Java prints them: signed. */
static void hashes_are_those_of_java(void **state)
{
    static const struct {
        const char *key;
        int32_t hash;
    } cases[] = {
        { "", 275646681 },
        { "21", -973932308 },
        { "abc", 479470107 },
        { "foobar", -790332482 },
        { "a-little-bit-long-string", -985981536 },
        { "a-little-bit-longer-string", -1486304829 },
        { "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        int32_t hash = (int32_t)aff_murmur2(cases[i].key, strlen(cases[i].key));
        if (hash != cases[i].hash)
            fail_msg("murmur2(\"%s\") is %d, in Java it is %d", cases[i].key, hash, cases[i].hash);
    }
}

static void a_text_key_goes_where_kafka_sends_it(void **state)
{
    (void)state;
    assert_int_equal(aff_partition_of(aff_str("test-value-for-partitioner"), 4), 3);
}

/* An Avro string with schema id 6, as the Confluent serializer frames it. */
static void a_framed_avro_string_goes_where_kafka_sends_it(void **state)
{
    static const char key[] = "\0\0\0\0\6\x2c"
                              "6290853012217500191217";
    (void)state;
    assert_int_equal(aff_partition_of(aff_bytes_of(key, sizeof key - 1), 9), 4);
}

/* Avro ints with schema id 2: the number as a zigzag varint. */
static void framed_avro_ints_go_where_kafka_sends_them(void **state)
{
    static const struct {
        unsigned number;
        uint32_t partition;
    } cases[] = { { 1, 0 }, { 2, 3 }, { 3, 0 }, { 4, 0 }, { 101, 1 }, { 1000, 3 }, { 2000, 3 } };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        unsigned char key[10] = { 0, 0, 0, 0, 2 };
        size_t len = 5;
        for (unsigned zigzag = cases[i].number * 2; zigzag || len == 5; zigzag >>= 7)
            key[len++] = (unsigned char)((zigzag & 0x7f) | (zigzag > 0x7f ? 0x80 : 0));
        uint32_t partition = aff_partition_of(aff_bytes_of(key, len), 4);
        if (partition != cases[i].partition)
            fail_msg("the key %u goes to %u, not to %u", cases[i].number, partition, cases[i].partition);
    }
}

/* The expected hash comes from a second implementation, in another language, that meets the cases above too. */
static void bytes_above_127_count_as_unsigned(void **state)
{
    static const unsigned char key[] = { 0xff, 0x80, 0xfe, 0x81, 0xfd, 0x82, 0xfc };
    (void)state;
    assert_int_equal(aff_murmur2(key, sizeof key), 0x6f486197);
}

static void every_partition_of_one_is_zero(void **state)
{
    (void)state;
    assert_int_equal(aff_partition_of(aff_str("foobar"), 1), 0);
    assert_int_equal(aff_partition_of(aff_str(""), 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_are_those_of_java),
        cmocka_unit_test(a_text_key_goes_where_kafka_sends_it),
        cmocka_unit_test(a_framed_avro_string_goes_where_kafka_sends_it),
        cmocka_unit_test(framed_avro_ints_go_where_kafka_sends_them),
        cmocka_unit_test(bytes_above_127_count_as_unsigned),
        cmocka_unit_test(every_partition_of_one_is_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
