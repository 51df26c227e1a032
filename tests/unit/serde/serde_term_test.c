/*
 * serde_term_test.c - terms stand in the order of the values that they are of.
 */
#include "serde/term.h"

#include <affinity/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static aff_bytes term(const char *text, struct aff_buf *buf)
{
    aff_buf_clear(buf);
    if (aff_term_of_text(aff_str(text), buf) != 1)
        fail_msg("%s has no term", text);
    return aff_buf_view(buf);
}

static int compare(const char *a, const char *b)
{
    struct aff_buf x, y;
    aff_buf_init(&x);
    aff_buf_init(&y);
    int order = aff_bytes_compare(term(a, &x), term(b, &y));
    aff_buf_fini(&x);
    aff_buf_fini(&y);
    return (order > 0) - (order < 0);
}

static void scalars_stand_in_their_order(void **state)
{
    (void)state;
    static const char *const rising[] = {
        "null", "false", "true", "-1e300", "-123456789012345678901234567890.5", "-123456789012345678901234567890",
        "-256", "-255", "-12.5", "-12", "-10", "-9.99", "-1", "-0.5", "-0.1", "-0.01", "-1e-9", "-1e-300", "0", "1e-300",
        "1e-256", "1e-255", "1e-9", "0.01", "0.1", "0.10000000000000001", "0.2", "0.25", "1", "1.5", "2", "9.99", "10", "12",
        "12.5", "255", "256", "9007199254740992", "9007199254740993", "1e255", "1e256", "1e300", "1e999999999999999", "\"\"",
        "\"12\"", "\"Z\"", "a", "a ", "ab", "b", "\"\\u00e9\"", "\"\\ud83d\\ude00\"",
    };
    for (size_t i = 0; i < sizeof rising / sizeof *rising; i++) {
        for (size_t j = 0; j < sizeof rising / sizeof *rising; j++) {
            if (compare(rising[i], rising[j]) != (i > j) - (i < j))
                fail_msg("%s and %s are in the wrong order", rising[i], rising[j]);
        }
    }
}

static void equal_values_have_one_term(void **state)
{
    (void)state;
    static const char *const same[][2] = {
        { "0", "-0" },        { "0", "0.000e77" }, { "0", "0e99999999999999999999" }, { "1", "1.0" },
        { "1", "10e-1" },     { "1", "0.001E+3" }, { "-250", "-2.5e2" },              { "120", "1.2e2" },
        { "a", "\"a\"" },     { "a", "\"\\u0061\"" }, { "12", " 12 " },               { "[1]", "\"[1]\"" },
        { "1e-7", "0.0000001" },
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        if (compare(same[i][0], same[i][1]) != 0)
            fail_msg("%s and %s have different terms", same[i][0], same[i][1]);
    }
}

static void what_has_no_order_has_no_term(void **state)
{
    (void)state;
    static const char *const none[] = { "1e1000000000000001", "1e99999999999999999999999", "-1e-1000000000000001",
                                        "\"\\ud800\"" };
    struct aff_buf buf;
    aff_buf_init(&buf);
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        assert_int_equal(aff_term_of_text(aff_str(none[i]), &buf), 0);
        assert_int_equal(buf.len, 0);
    }
    aff_buf_fini(&buf);
}

/* Decimal fractions against what integers say of them. */
static void random_numbers_stand_in_their_order(void **state)
{
    (void)state;
    uint64_t seed = 7;
    for (int round = 0; round < 20000; round++) {
        char text[2][64];
        int64_t value[2];
        for (int i = 0; i < 2; i++) {
            seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            int digits = (int)(seed >> 60) % 7, shift = (int)(seed >> 56) % 7;
            static const int64_t power[] = { 1, 10, 100, 1000, 10000, 100000, 1000000 };
            int64_t all = (int64_t)((seed >> 20) % (uint64_t)(2 * power[digits])) - power[digits];
            value[i] = all * power[shift]; /* in millionths */
            (void)snprintf(text[i], sizeof text[i], "%llde%d", (long long)all, shift - 6);
        }
        if (compare(text[0], text[1]) != (value[0] > value[1]) - (value[0] < value[1]))
            fail_msg("%s and %s are in the wrong order", text[0], text[1]);
    }
}

static void integers_are_numbers(void **state)
{
    (void)state;
    struct aff_buf a, b;
    aff_buf_init(&a);
    aff_buf_init(&b);
    assert_int_equal(aff_term_of_int(INT64_MIN, &a), 1);
    assert_true(aff_bytes_equal(aff_buf_view(&a), term("-9223372036854775808", &b)));
    aff_buf_fini(&a);
    aff_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars_stand_in_their_order),      cmocka_unit_test(equal_values_have_one_term),
        cmocka_unit_test(what_has_no_order_has_no_term),     cmocka_unit_test(random_numbers_stand_in_their_order),
        cmocka_unit_test(integers_are_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
