/*
 * base_gzip_test.c - what base/gzip.h codes comes out again, by zlib's own decoder, however it was cut into parts.
 */
#include "base/gzip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <zlib.h>

static bool no_memory; /* for the next that want some */

void *__wrap_realloc(void *old, size_t size);
void *__real_realloc(void *old, size_t size);

void *__wrap_realloc(void *old, size_t size)
{
    return no_memory ? NULL : __real_realloc(old, size);
}

/* Fails unless `coded` is exactly one gzip member that holds `text`. */
static void assert_codes(const struct aff_buf *coded, aff_bytes text)
{
    z_stream z = { .next_in = coded->data, .avail_in = (uInt)coded->len };
    unsigned char *room = malloc(text.len + 1);
    z.next_out = room;
    z.avail_out = (uInt)text.len + 1;
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(z.avail_in, 0);
    assert_int_equal(z.total_out, text.len);
    assert_memory_equal(room, text.data, text.len);
    (void)inflateEnd(&z);
    free(room);
}

static aff_bytes some_text(size_t len, bool random)
{
    static char text[300000];
    uint32_t state = 1;
    assert_true(len <= sizeof text);
    for (size_t i = 0; i < len; i++) {
        state = state * 1664525 + 1013904223;
        text[i] = random ? (char)(state >> 24) : "{\"a\":1}, "[i % 9];
    }
    return aff_bytes_of(text, len);
}

static void a_text_comes_out_as_it_went_in(void **state)
{
    (void)state;
    static const size_t lengths[] = { 0, 1, 9, 1024, 65536, 300000 };
    struct aff_buf first, again;
    struct aff_gzip *gzip = aff_gzip_new(1);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (int random = 0; random < 2; random++) {
            aff_bytes text = some_text(lengths[i], random);
            aff_buf_init(&first);
            aff_buf_init(&again);
            assert_true(aff_gzip_add(gzip, text, true, &first));
            assert_true(aff_gzip_add(gzip, text, true, &again));
            assert_codes(&first, text);
            assert_int_equal(first.len, again.len); /* the coder keeps nothing of what it did before */
            assert_memory_equal(first.data, again.data, first.len);
            aff_buf_fini(&first);
            aff_buf_fini(&again);
        }
    (void)aff_gzip_free(gzip);
}

static void parts_make_one_text(void **state)
{
    (void)state;
    aff_bytes text = some_text(200000, true);
    struct aff_buf coded;
    struct aff_gzip *gzip = aff_gzip_new(9);
    aff_buf_init(&coded);
    for (size_t at = 0, len = 1; at < text.len; at += len, len = 3 * len + 1) {
        if (len > text.len - at)
            len = text.len - at;
        assert_true(aff_gzip_add(gzip, aff_bytes_of((const char *)text.data + at, len), false, &coded));
    }
    assert_true(aff_gzip_add(gzip, aff_str(""), true, &coded));
    assert_codes(&coded, text);
    aff_buf_fini(&coded);
    (void)aff_gzip_free(gzip);
}

static void it_adds_to_what_the_buffer_has(void **state)
{
    (void)state;
    struct aff_buf coded;
    struct aff_gzip *gzip = aff_gzip_new(6);
    aff_buf_init(&coded);
    assert_true(aff_buf_add(&coded, "abc", 3));
    assert_true(aff_gzip_add(gzip, aff_str("text"), true, &coded));
    assert_memory_equal(coded.data, "abc\x1f\x8b", 5);
    aff_buf_fini(&coded);
    (void)aff_gzip_free(gzip);
}

static void after_it_failed_it_begins_another_text(void **state)
{
    (void)state;
    aff_bytes text = some_text(100000, true);
    struct aff_buf coded;
    struct aff_gzip *gzip = aff_gzip_new(1);
    aff_buf_init(&coded);
    assert_true(aff_gzip_add(gzip, text, false, &coded));
    no_memory = true;
    bool done = aff_gzip_add(gzip, text, true, &coded);
    no_memory = false;
    assert_false(done);
    aff_buf_clear(&coded);
    assert_true(aff_gzip_add(gzip, text, true, &coded));
    assert_codes(&coded, text);
    aff_buf_fini(&coded);
    (void)aff_gzip_free(gzip);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_comes_out_as_it_went_in),
        cmocka_unit_test(parts_make_one_text),
        cmocka_unit_test(it_adds_to_what_the_buffer_has),
        cmocka_unit_test(after_it_failed_it_begins_another_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
