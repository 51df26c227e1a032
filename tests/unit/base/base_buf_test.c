/*
 * base_buf_test.c - the buffer and the cursor of base/buf.h. realloc() is wrapped by the linker so that it can fail.
 */
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static bool out_of_memory;

void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size)
{
    return out_of_memory ? NULL : __real_realloc(old, size);
}

static void numbers_are_big_endian(void **state)
{
    (void)state;
    static const unsigned char expected[] = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
                                              0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32 };
    struct aff_buf b;
    aff_buf_init(&b);
    assert_true(aff_buf_u8(&b, 0x01));
    assert_true(aff_buf_u16(&b, 0x2345));
    assert_true(aff_buf_u32(&b, 0x6789abcd));
    assert_true(aff_buf_u64(&b, UINT64_C(0xeffedcba98765432)));
    assert_int_equal(b.len, sizeof expected);
    assert_memory_equal(b.data, expected, sizeof expected);
    aff_buf_fini(&b);
}

static void a_cursor_reads_what_was_written(void **state)
{
    (void)state;
    struct aff_buf b;
    aff_buf_init(&b);
    assert_true(aff_buf_u64(&b, UINT64_MAX));
    assert_true(aff_buf_u32(&b, UINT32_MAX - 1));
    assert_true(aff_buf_u16(&b, 0x8001));
    assert_true(aff_buf_u8(&b, 0xff));
    assert_true(aff_buf_add(&b, "tail", 4));
    struct aff_cursor c = aff_cursor_of(aff_buf_view(&b));
    assert_true(aff_cursor_u64(&c) == UINT64_MAX);
    assert_true(aff_cursor_u32(&c) == UINT32_MAX - 1);
    assert_int_equal(aff_cursor_u16(&c), 0x8001);
    assert_int_equal(aff_cursor_u8(&c), 0xff);
    assert_int_equal(aff_cursor_left(&c), 4);
    assert_true(aff_bytes_equal(aff_cursor_take(&c, 4), aff_str("tail")));
    assert_int_equal(aff_cursor_left(&c), 0);
    assert_false(c.failed);
    aff_buf_fini(&b);
}

/* Every length too short for the number by some bytes. */
static void reading_past_the_end_fails_for_good(void **state)
{
    (void)state;
    static const unsigned char data[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
    for (size_t len = 0; len < 8; len++) {
        struct aff_cursor c = aff_cursor_of(aff_bytes_of(data, len));
        assert_true(aff_cursor_u64(&c) == 0);
        assert_true(c.failed);
        assert_int_equal(aff_cursor_left(&c), 0);
        assert_int_equal(aff_cursor_u8(&c), 0); /* although a byte would be there */
        aff_bytes rest = aff_cursor_take(&c, 0);
        assert_non_null(rest.data);
        assert_int_equal(rest.len, 0);
    }
}

static void a_length_that_lies_does_not_read_outside(void **state)
{
    (void)state;
    struct aff_cursor c = aff_cursor_of(aff_str("abc"));
    aff_bytes taken = aff_cursor_take(&c, SIZE_MAX);
    assert_int_equal(taken.len, 0);
    assert_non_null(taken.data);
    assert_true(c.failed);
}

static void an_empty_view_is_read_to_its_end_without_failing(void **state)
{
    (void)state;
    struct aff_buf b;
    aff_buf_init(&b);
    assert_non_null(aff_buf_view(&b).data);
    struct aff_cursor c = aff_cursor_of(aff_buf_view(&b));
    assert_int_equal(aff_cursor_take(&c, 0).len, 0);
    assert_false(c.failed);
}

static void a_buffer_grows_and_keeps_its_content(void **state)
{
    (void)state;
    struct aff_buf b;
    aff_buf_init(&b);
    for (uint32_t i = 0; i < 10000; i++)
        assert_true(aff_buf_u32(&b, i));
    assert_int_equal(b.len, 40000);
    assert_in_range(b.capacity, 40000, 80000);
    for (uint32_t i = 0; i < 10000; i++)
        assert_int_equal(aff_get_u32(b.data + 4 * i), i);
    size_t capacity = b.capacity;
    aff_buf_clear(&b);
    assert_int_equal(b.len, 0);
    assert_int_equal(b.capacity, capacity);
    aff_buf_fini(&b);
    assert_null(b.data);
}

static void nothing_can_be_added_to_nothing(void **state)
{
    (void)state;
    struct aff_buf b;
    aff_buf_init(&b);
    assert_true(aff_buf_add(&b, NULL, 0));
    assert_int_equal(b.len, 0);
    aff_buf_fini(&b);
}

static void printf_appends_text_of_any_length(void **state)
{
    (void)state;
    struct aff_buf b;
    aff_buf_init(&b);
    assert_true(aff_buf_printf(&b, "%s", ""));
    assert_int_equal(b.len, 0);
    size_t len = 0;
    for (int width = 1; width < 200; width++) { /* each place of the end in the buffer is met */
        assert_true(aff_buf_printf(&b, "%0*d", width, 7));
        len += (size_t)width;
        assert_int_equal(b.len, len);
        assert_int_equal(b.data[len - 1], '7');
    }
    aff_buf_fini(&b);
}

static void sizes_that_cannot_be_are_refused(void **state)
{
    (void)state;
    struct aff_buf b;
    aff_buf_init(&b);
    assert_true(aff_buf_add(&b, "abc", 3));
    struct aff_buf before = b;
    assert_false(aff_buf_reserve(&b, SIZE_MAX));
    assert_false(aff_buf_reserve(&b, SIZE_MAX - 3));
    assert_false(aff_buf_reserve(&b, (size_t)PTRDIFF_MAX - 2));
    assert_memory_equal(&b, &before, sizeof b);
    aff_buf_fini(&b);
}

static void without_memory_the_buffer_stays_as_it_was(void **state)
{
    (void)state;
    struct aff_buf b;
    unsigned char big[200] = { 0 };
    aff_buf_init(&b);
    assert_true(aff_buf_add(&b, "abc", 3));
    struct aff_buf before = b;
    out_of_memory = true;
    bool added = aff_buf_add(&b, big, sizeof big), printed = aff_buf_printf(&b, "%200d", 1);
    bool small = aff_buf_u8(&b, 'd'); /* needs no memory */
    out_of_memory = false;
    assert_false(added);
    assert_false(printed);
    assert_true(small);
    assert_ptr_equal(b.data, before.data);
    assert_int_equal(b.capacity, before.capacity);
    assert_true(aff_bytes_equal(aff_buf_view(&b), aff_str("abcd")));
    aff_buf_fini(&b);
}

static void bytes_are_ordered_as_memcmp_does_with_the_prefix_first(void **state)
{
    (void)state;
    static const aff_bytes order[] = { { "", 0 },   { "\0", 1 }, { "a", 1 },   { "a\0", 2 },
                                       { "ab", 2 }, { "b", 1 },  { "\xff", 1 } };
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        for (size_t k = 0; k < sizeof order / sizeof *order; k++) {
            int c = aff_bytes_compare(order[i], order[k]);
            assert_int_equal((c > 0) - (c < 0), (i > k) - (i < k));
            assert_int_equal(aff_bytes_equal(order[i], order[k]), i == k);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_big_endian),
        cmocka_unit_test(a_cursor_reads_what_was_written),
        cmocka_unit_test(reading_past_the_end_fails_for_good),
        cmocka_unit_test(a_length_that_lies_does_not_read_outside),
        cmocka_unit_test(an_empty_view_is_read_to_its_end_without_failing),
        cmocka_unit_test(a_buffer_grows_and_keeps_its_content),
        cmocka_unit_test(nothing_can_be_added_to_nothing),
        cmocka_unit_test(printf_appends_text_of_any_length),
        cmocka_unit_test(sizes_that_cannot_be_are_refused),
        cmocka_unit_test(without_memory_the_buffer_stays_as_it_was),
        cmocka_unit_test(bytes_are_ordered_as_memcmp_does_with_the_prefix_first),
    };
    return cmocka_run_group_tests_name("base/buf", tests, NULL, NULL);
}
