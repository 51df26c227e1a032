/* traceparent: what is read, what is replaced, what begins here. */
#include "http/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static const char fine[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

static void what_version_00_says_is_kept(void **state)
{
    (void)state;
    char out[AFF_TRACE_LEN + 1];
    assert_true(aff_traceparent_read(aff_str(fine), out));
    assert_string_equal(out, fine);
    assert_true(aff_traceparent_read(aff_str("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff"), out));
}

static void of_a_later_version_the_known_parts_are_kept(void **state)
{
    (void)state;
    char out[AFF_TRACE_LEN + 1];
    assert_true(aff_traceparent_read(aff_str("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-13-more"), out));
    assert_string_equal(out, fine);
    assert_true(aff_traceparent_read(aff_str("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-02"), out));
    assert_string_equal(out, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00");
}

static void what_is_none_is_not_read(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "00",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "0x-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7_01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
    };
    char out[AFF_TRACE_LEN + 1];
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (aff_traceparent_read(aff_str(wrong[i]), out))
            fail_msg("<%s> was read", wrong[i]);
    assert_false(aff_traceparent_read(aff_bytes_of(fine, 54), out));
}

static void what_begins_here_is_read_again_and_differs(void **state)
{
    (void)state;
    struct aff_trace_source source = { 1, 2 }, other = { 1, 3 };
    char first[AFF_TRACE_LEN + 1], second[AFF_TRACE_LEN + 1], third[AFF_TRACE_LEN + 1], again[AFF_TRACE_LEN + 1];
    aff_traceparent_make(&source, first);
    aff_traceparent_make(&source, second);
    aff_traceparent_make(&other, third);
    assert_true(aff_traceparent_read(aff_str(first), again));
    assert_string_equal(first, again);
    assert_memory_not_equal(first + AFF_TRACE_ID_AT, second + AFF_TRACE_ID_AT, AFF_TRACE_ID_LEN);
    assert_memory_not_equal(first + AFF_TRACE_ID_AT, third + AFF_TRACE_ID_AT, AFF_TRACE_ID_LEN);
    aff_trace_init(&source);
    aff_trace_init(&other);
    assert_memory_not_equal(&source, &other, sizeof source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_version_00_says_is_kept),
        cmocka_unit_test(of_a_later_version_the_known_parts_are_kept),
        cmocka_unit_test(what_is_none_is_not_read),
        cmocka_unit_test(what_begins_here_is_read_again_and_differs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
