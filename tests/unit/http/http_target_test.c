/* Request targets: segments, escapes, queries, keys. */
#include "http/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct aff_target parse(const char *raw)
{
    static char room[1024];
    struct aff_target target;
    const char *what = "";
    if (aff_target_parse(aff_str(raw), room, &target, &what) != 0)
        fail_msg("<%s> was refused: %s", raw, what);
    return target;
}

static void assert_view(aff_bytes view, const char *text, size_t len)
{
    assert_int_equal(view.len, len);
    assert_memory_equal(view.data, text, len);
}

static void splits_the_path_at_slashes(void **state)
{
    (void)state;
    struct aff_target t = parse("/v1/words/a?b=c");
    assert_int_equal(t.count, 3);
    assert_view(t.segments[0], "v1", 2);
    assert_view(t.segments[1], "words", 5);
    assert_view(t.segments[2], "a", 1);
    assert_view(t.path, "/v1/words/a", 11);
    assert_view(t.query, "b=c", 3);
    assert_int_equal(parse("/").count, 1);
    assert_null(parse("/").query.data);
    assert_int_equal(parse("/?").query.len, 0);
    assert_non_null(parse("/?").query.data);
}

static void keeps_empty_and_dotted_segments(void **state)
{
    (void)state;
    struct aff_target t = parse("/v1//../.");
    assert_int_equal(t.count, 4);
    assert_view(t.segments[1], "", 0);
    assert_view(t.segments[2], "..", 2);
    assert_view(t.segments[3], ".", 1);
    assert_int_equal(parse("/v1/words/").count, 3);
}

static void an_escape_never_becomes_a_separator(void **state)
{
    (void)state;
    struct aff_target t = parse("/v1/words/a%2Fb%2f%3F%00%ff+c?x");
    assert_int_equal(t.count, 3);
    assert_view(t.segments[2], "a/b/?\0\xff+c", 9);
    assert_view(t.path, "/v1/words/a%2Fb%2f%3F%00%ff+c", 29);
}

static void escaped_and_plain_segments_stand_side_by_side(void **state)
{
    (void)state;
    struct aff_target t = parse("/%76%31/words/%61/%62");
    assert_view(t.segments[0], "v1", 2);
    assert_view(t.segments[1], "words", 5);
    assert_view(t.segments[2], "a", 1);
    assert_view(t.segments[3], "b", 1);
}

static void counts_no_further_than_one_too_many(void **state)
{
    (void)state;
    assert_int_equal(parse("/a/b/c/d").count, 4);
    assert_int_equal(parse("/a/b/c/d/e").count, 5);
    assert_int_equal(parse("/a/b/c/d/e/f/g").count, 5);
}

static void takes_the_absolute_form(void **state)
{
    (void)state;
    struct aff_target t = parse("HTTP://example.com:80/v1/words/a?b");
    assert_int_equal(t.count, 3);
    assert_view(t.path, "/v1/words/a", 11);
    assert_view(t.query, "b", 1);
    assert_view(parse("http://example.com").path, "/", 1);
    assert_view(parse("https://example.com?a").path, "/", 1);
    assert_view(parse("https://example.com?a").query, "a", 1);
}

static void takes_the_asterisk(void **state)
{
    (void)state;
    assert_true(parse("*").asterisk);
    assert_int_equal(parse("*").count, 0);
    assert_false(parse("/*").asterisk);
}

static void refuses_bad_escapes_and_bad_forms(void **state)
{
    (void)state;
    const char *wrong[] = { "/a%", "/a%4", "/a%zz", "/a%4g/b",        "/%%41",    "",
                            "a/b", "**",   "?a",    "example.com:80", "ftp://a/b" };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char room[64];
        struct aff_target target;
        const char *what = NULL;
        if (aff_target_parse(aff_str(wrong[i]), room, &target, &what) != AFF_EINVAL || !what)
            fail_msg("<%s> was taken", wrong[i]);
    }
}

static void reads_a_query_as_a_form(void **state)
{
    (void)state;
    aff_bytes query = aff_str("a=1&&b=x+y%2B%26&c&=d&e=f=g"), name, value;
    const char *pairs[][2] = { { "a", "1" }, { "b", "x y+&" }, { "c", "" }, { "", "d" }, { "e", "f=g" } };
    char room[64];
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        assert_int_equal(aff_query_next(&query, room, &name, &value), 1);
        assert_view(name, pairs[i][0], strlen(pairs[i][0]));
        assert_view(value, pairs[i][1], strlen(pairs[i][1]));
    }
    assert_int_equal(aff_query_next(&query, room, &name, &value), 0);
    query = aff_str("a=%4");
    assert_int_equal(aff_query_next(&query, room, &name, &value), AFF_EINVAL);
    query = aff_str("%zz=1");
    assert_int_equal(aff_query_next(&query, room, &name, &value), AFF_EINVAL);
}

static void a_key_has_1_to_511_bytes_and_no_nul_in_front(void **state)
{
    (void)state;
    char bytes[512];
    memset(bytes, 'k', sizeof bytes);
    assert_null(aff_key_fault(aff_bytes_of(bytes, 1)));
    assert_null(aff_key_fault(aff_bytes_of(bytes, 511)));
    assert_string_equal(aff_key_fault(aff_bytes_of(bytes, 512)), "a key has at most 511 bytes");
    assert_string_equal(aff_key_fault(aff_bytes_of(bytes, 0)), "a key has at least one byte");
    bytes[1] = 0;
    assert_null(aff_key_fault(aff_bytes_of(bytes, 2)));
    bytes[0] = 0;
    assert_string_equal(aff_key_fault(aff_bytes_of(bytes, 2)), "a key does not begin with a NUL byte");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_the_path_at_slashes),
        cmocka_unit_test(keeps_empty_and_dotted_segments),
        cmocka_unit_test(an_escape_never_becomes_a_separator),
        cmocka_unit_test(escaped_and_plain_segments_stand_side_by_side),
        cmocka_unit_test(counts_no_further_than_one_too_many),
        cmocka_unit_test(takes_the_absolute_form),
        cmocka_unit_test(takes_the_asterisk),
        cmocka_unit_test(refuses_bad_escapes_and_bad_forms),
        cmocka_unit_test(reads_a_query_as_a_form),
        cmocka_unit_test(a_key_has_1_to_511_bytes_and_no_nul_in_front),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
