/* The JSON validator: what RFC 8259 takes, what it does not, and where the text goes wrong. */
#include "serde/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* A literal with its length, so that NUL can stand inside. */
#define T(literal)                                                                                                     \
    {                                                                                                                  \
        literal, sizeof(literal) - 1                                                                                   \
    }

struct text {
    const char *data;
    size_t len;
};

static const struct text taken[] = {
    /* structure */
    T("{}"),
    T("[]"),
    T("[[]]"),
    T("[{}]"),
    T("{\"a\":{}}"),
    T("[[],[[]],{}]"),
    T("[1,2]"),
    T("[ 1 , 2 ]"),
    T("[null]"),
    T("{\"a\":1,\"b\":2}"),
    T("{ \"a\" : [ ] }"),
    T("[[1],[2],[3]]"),
    T("{\"a\":{\"b\":{\"c\":[]}}}"),
    T("[{},{}]"),
    T("{\"a\":[1,{\"b\":2}],\"c\":{}}"),
    /* space */
    T(" \t\r\n[]\n \r\t"),
    T("[\n]"),
    T("{\n}"),
    T("1 "),
    T(" 1"),
    /* any value alone */
    T("null"),
    T("true"),
    T("false"),
    T("0"),
    T("\"\""),
    T("-0"),
    T("\"a\""),
    /* names: empty, repeated, escaped */
    T("{\"\":0}"),
    T("{\"a\":1,\"a\":2}"),
    T("{\"\\u0061\":1,\"a\":1}"),
    T("{\"foo\\u0000bar\":42}"),
    /* numbers of any size */
    T("-1"),
    T("10"),
    T("1.5"),
    T("0.5"),
    T("-0.1"),
    T("0e0"),
    T("0E+1"),
    T("1e-2"),
    T("1.5e300"),
    T("1e400"),
    T("-1e+9999"),
    T("123456789012345678901234567890"),
    T("0.000000000000000000000000000000001"),
    T("[0,-0,0.0,0e1]"),
    T("1E22"),
    T("1e00"),
    /* escapes */
    T("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
    T("\"\\u0000\""),
    T("\"\\uD83D\\uDE00\""),
    T("\"\\uabcd\\uABCD\""),
    /* a lone surrogate as an escape: the grammar takes it, and so do we */
    T("\"\\uD800\""),
    T("\"\\uDC00\\uD800\""),
    T("\"\\uDFAA\""),
    T("\"\\uD800\\n\""),
    /* UTF-8 of every length, at its limits; DEL and noncharacters are characters */
    T("\"\x7f\""),
    T("\"\xc2\x80\""),
    T("\"\xdf\xbf\""),
    T("\"\xe0\xa0\x80\""),
    T("\"\xed\x9f\xbf\""),
    T("\"\xee\x80\x80\""),
    T("\"\xef\xbf\xbf\""),
    T("\"\xf0\x90\x80\x80\""),
    T("\"\xf4\x8f\xbf\xbf\""),
    T("\"\xe2\x82\xac \xf0\x9f\x98\x80\""),
    T("\"\xe2\x80\xa8\xe2\x80\xa9\""),
    T("\"\xef\xbb\xbf\""),
    T("{\"\xc3\xa9\":\"\xc3\xa9\"}"),
    /* strings around the eight bytes that are looked at together */
    T("\"1234567\""),
    T("\"12345678\""),
    T("\"123456789\""),
    T("\"1234567\xc3\xa9\""),
    T("\"12345678\\n12345678\""),
};

static void takes_what_the_grammar_takes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        struct aff_json_error error = { 0 };
        if (aff_json_check(aff_bytes_of(taken[i].data, taken[i].len), 128, &error) != 0)
            fail_msg("text %zu <%s> was refused at byte %zu: expected %s", i, taken[i].data, error.offset,
                     error.expected);
    }
}

static const struct {
    struct text text;
    size_t offset;
    const char *expected;
} refused[] = {
    /* nothing, and not enough */
    { T(""), 0, "a value" },
    { T(" "), 1, "a value" },
    { T("["), 1, "a value" },
    { T("{"), 1, "a name in quotes or '}'" },
    { T("[1"), 2, "',' or ']'" },
    { T("[1,"), 3, "a value" },
    { T("{\"a\""), 4, "':'" },
    { T("{\"a\":"), 5, "a value" },
    { T("{\"a\":1"), 6, "',' or '}'" },
    { T("{\"a\":1,"), 7, "a name in quotes" },
    { T("\"a"), 2, "the closing quote of the string" },
    { T("[\"a"), 3, "the closing quote of the string" },
    /* too much */
    { T("1 2"), 2, "the end of the text" },
    { T("[]]"), 2, "the end of the text" },
    { T("{}{}"), 2, "the end of the text" },
    { T("nullnull"), 4, "the end of the text" },
    { T("[]\0"), 2, "the end of the text" },
    { T("{\"a\":1}#"), 7, "the end of the text" },
    /* commas and colons */
    { T("[,1]"), 1, "a value" },
    { T("[1,]"), 3, "a value" },
    { T("[1,,2]"), 3, "a value" },
    { T("[1 2]"), 3, "',' or ']'" },
    { T("[1:2]"), 2, "',' or ']'" },
    { T("{,}"), 1, "a name in quotes or '}'" },
    { T("{\"a\":1,}"), 7, "a name in quotes" },
    { T("{\"a\" 1}"), 5, "':'" },
    { T("{\"a\"::1}"), 5, "a value" },
    { T("{\"a\",1}"), 4, "':'" },
    { T("{\"a\":1 \"b\":2}"), 7, "',' or '}'" },
    { T("{\"a\":1;\"b\":2}"), 6, "',' or '}'" },
    { T("[1}"), 2, "',' or ']'" },
    { T("{\"a\":1]"), 6, "',' or '}'" },
    { T("]"), 0, "a value" },
    { T("}"), 0, "a value" },
    /* names that are no strings */
    { T("{1:1}"), 1, "a name in quotes or '}'" },
    { T("{a:1}"), 1, "a name in quotes or '}'" },
    { T("{'a':1}"), 1, "a name in quotes or '}'" },
    { T("{null:1}"), 1, "a name in quotes or '}'" },
    { T("{[]:1}"), 1, "a name in quotes or '}'" },
    /* other languages */
    { T("'a'"), 0, "a value" },
    { T("NaN"), 0, "a value" },
    { T("-Infinity"), 1, "a digit" },
    { T("undefined"), 0, "a value" },
    { T("True"), 0, "a value" },
    { T("tru"), 3, "true, false or null" },
    { T("nul1"), 3, "true, false or null" },
    { T("fals"), 4, "true, false or null" },
    { T("[1] // one"), 4, "the end of the text" },
    { T("/* one */ 1"), 0, "a value" },
    { T("#"), 0, "a value" },
    { T("[a"), 1, "a value" },
    /* numbers */
    { T("01"), 1, "the end of the text" },
    { T("-01"), 2, "the end of the text" },
    { T("[01]"), 2, "',' or ']'" },
    { T("+1"), 0, "a value" },
    { T(".5"), 0, "a value" },
    { T("1."), 2, "a digit" },
    { T("1.e1"), 2, "a digit" },
    { T("-"), 1, "a digit" },
    { T("-.5"), 1, "a digit" },
    { T("1e"), 2, "a digit" },
    { T("1e+"), 3, "a digit" },
    { T("1eE2"), 2, "a digit" },
    { T("0x1"), 1, "the end of the text" },
    { T("1_000"), 1, "the end of the text" },
    { T("1.2.3"), 3, "the end of the text" },
    { T("1 000"), 2, "the end of the text" },
    { T("\xef\xbc\x91"), 0, "a value" }, /* a full-width 1 */
    /* escapes */
    { T("\"\\"), 2, "one of \" \\ / b f n r t u after the backslash" },
    { T("\"\\x00\""), 2, "one of \" \\ / b f n r t u after the backslash" },
    { T("\"\\a\""), 2, "one of \" \\ / b f n r t u after the backslash" },
    { T("\"\\\n\""), 2, "one of \" \\ / b f n r t u after the backslash" },
    { T("\"\\\0\""), 2, "one of \" \\ / b f n r t u after the backslash" },
    { T("\"\\U0041\""), 2, "one of \" \\ / b f n r t u after the backslash" },
    { T("\"\\u00"), 5, "four hexadecimal digits after \\u" },
    { T("\"\\u00g0\""), 5, "four hexadecimal digits after \\u" },
    { T("\"\\u-001\""), 3, "four hexadecimal digits after \\u" },
    { T("\"\\uD800\\u\""), 9, "four hexadecimal digits after \\u" },
    /* control characters in a string */
    { T("\"a\nb\""), 2, "no control character in a string (write \\u00XX)" },
    { T("\"\t\""), 1, "no control character in a string (write \\u00XX)" },
    { T("\"\0\""), 1, "no control character in a string (write \\u00XX)" },
    { T("\"12345678\x1f\""), 9, "no control character in a string (write \\u00XX)" },
    /* space that is none */
    { T("[\f]"), 1, "a value" },
    { T("\v1"), 0, "a value" },
    { T("\xc2\xa0"
        "1"),
      0, "a value" },
    { T("[\xe2\x81\xa0]"), 1, "a value" },
    /* not UTF-8 */
    { T("\"\x80\""), 1, "UTF-8" },
    { T("\"\xbf\""), 1, "UTF-8" },
    { T("\"\xff\""), 1, "UTF-8" },
    { T("\"\xc0\xaf\""), 1, "UTF-8" },
    { T("\"\xc1\xbf\""), 1, "UTF-8" },
    { T("\"\xe0\x9f\xbf\""), 1, "UTF-8" },
    { T("\"\xf0\x8f\xbf\xbf\""), 1, "UTF-8" },
    { T("\"\xed\xa0\x80\""), 1, "UTF-8" }, /* a surrogate */
    { T("\"\xf4\x90\x80\x80\""), 1, "UTF-8" },
    { T("\"\xf5\x80\x80\x80\""), 1, "UTF-8" },
    { T("\"\xc3\""), 1, "UTF-8" },
    { T("\"\xe2\x82\""), 1, "UTF-8" },
    { T("\"\xf0\x9f\x98"), 1, "UTF-8" },
    { T("\"\xe9\""), 1, "UTF-8" }, /* Latin-1 */
    { T("\"abcdefg\xc3(\""), 8, "UTF-8" },
    /* byte order marks, UTF-16 */
    { T("\xef\xbb\xbf{}"), 0, "a value, without a byte order mark before it" },
    { T("\xff\xfe[\0]\0"), 0, "a value" },
    { T("\0[\0]"), 0, "a value" },
};

static void refuses_the_rest_and_says_where_and_what_was_expected(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const char *text = refused[i].text.data;
        struct aff_json_error error = { .offset = 999 };
        if (aff_json_check(aff_bytes_of(text, refused[i].text.len), 128, &error) != AFF_EJSON)
            fail_msg("text %zu <%s> was taken", i, text);
        if (error.offset != refused[i].offset || strcmp(error.expected, refused[i].expected) != 0)
            fail_msg("text %zu <%s>: said byte %zu, expected %s; it is byte %zu, expected %s", i, text, error.offset,
                     error.expected, refused[i].offset, refused[i].expected);
    }
}

static void every_cut_of_a_document_is_refused(void **state)
{
    (void)state;
    const char text[] = "{\"a\":[1.5e3,\"\\u00e9\xc3\xa9\",true,null],\"b\":{\"c\":-0}}";
    assert_int_equal(aff_json_check(aff_str(text), 128, NULL), 0);
    for (size_t len = 0; len < sizeof text - 1; len++) {
        char *cut = malloc(len + 1); /* its own block, so that a sanitizer sees a read past the end */
        memcpy(cut, text, len);
        if (aff_json_check(aff_bytes_of(cut, len), 128, NULL) == 0)
            fail_msg("the first %zu bytes were taken", len);
        free(cut);
    }
}

static void line_and_column_count_characters(void **state)
{
    (void)state;
    struct aff_json_error error;
    char text[128];
    assert_int_equal(aff_json_check(aff_str("{\n  \"\xc3\xa9\xf0\x9f\x98\x80\": x\n}"), 128, &error), AFF_EJSON);
    (void)aff_json_error_print(&error, text, sizeof text);
    assert_string_equal(text, "line 2, column 9 (byte 14): expected a value");
    assert_int_equal(aff_json_error_print(&error, text, 7), 6);
    assert_string_equal(text, "line 2");
}

static char *nested(size_t depth, const char *open, const char *close, size_t *ret_len)
{
    size_t o = strlen(open), c = strlen(close);
    char *text = malloc(depth * (o + c) + 2);
    char *at = text;
    for (size_t i = 0; i < depth; i++, at += o)
        memcpy(at, open, o);
    *at++ = '1';
    for (size_t i = 0; i < depth; i++, at += c)
        memcpy(at, close, c);
    *ret_len = (size_t)(at - text);
    return text;
}

static void brackets_nest_as_deep_as_allowed_and_no_deeper(void **state)
{
    (void)state;
    const unsigned limits[] = { 1, 63, 64, 65, 128, AFF_JSON_DEPTH_MAX };
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        for (unsigned more = 0; more <= 1; more++) {
            size_t len, objects_len;
            char *arrays = nested(limits[i] + more, "[", "]", &len);
            char *objects = nested(limits[i] + more, "{\"a\":", "}", &objects_len);
            int want = more ? AFF_EJSON : 0;
            struct aff_json_error error;
            assert_int_equal(aff_json_check(aff_bytes_of(arrays, len), limits[i], NULL), want);
            assert_int_equal(aff_json_check(aff_bytes_of(objects, objects_len), limits[i], &error), want);
            if (more) {
                char expected[64];
                (void)snprintf(expected, sizeof expected, "brackets at most %u deep", limits[i]);
                assert_string_equal(error.expected, expected);
            }
            free(arrays);
            free(objects);
        }
    }
}

static void a_hundred_thousand_open_brackets_are_refused_at_the_limit(void **state)
{
    (void)state;
    static char text[100000];
    memset(text, '[', sizeof text);
    struct aff_json_error error;
    assert_int_equal(aff_json_check(aff_bytes_of(text, sizeof text), 1000, &error), AFF_EJSON);
    assert_int_equal(error.offset, 1000);
}

/* Levels of either kind in any mixture are told apart when they close. */
static void arrays_and_objects_in_one_another_close_in_order(void **state)
{
    (void)state;
    uint64_t random = 42;
    for (int round = 0; round < 200; round++) {
        char text[1024], closing[300];
        size_t len = 0, depth = 1 + (size_t)round;
        for (size_t d = 0; d < depth; d++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            bool object = random >> 63;
            len += (size_t)sprintf(text + len, object ? "{\"\":" : "[");
            closing[depth - 1 - d] = object ? '}' : ']';
        }
        text[len++] = '0';
        memcpy(text + len, closing, depth);
        assert_int_equal(aff_json_check(aff_bytes_of(text, len + depth), 256, NULL), 0);
        size_t wrong = len + (size_t)(random >> 33) % depth;
        text[wrong] = text[wrong] == '}' ? ']' : '}';
        struct aff_json_error error;
        assert_int_equal(aff_json_check(aff_bytes_of(text, len + depth), 256, &error), AFF_EJSON);
        assert_int_equal(error.offset, wrong);
    }
}

static void quotes_any_bytes_as_a_json_string(void **state)
{
    (void)state;
    static const struct {
        struct text text;
        const char *quoted;
    } cases[] = {
        { T(""), "\"\"" },
        { T("abc"), "\"abc\"" },
        { T("a\"b\\c/"), "\"a\\\"b\\\\c/\"" },
        { T("\b\n\r\t\f"), "\"\\b\\n\\r\\t\\f\"" },
        { T("\0\x1f\x7f"), "\"\\u0000\\u001f\\u007f\"" },
        { T("\xc3\xa9\xf0\x9f\x98\x80"), "\"\xc3\xa9\xf0\x9f\x98\x80\"" },
        { T("a\xff\xc3"), "\"a\xef\xbf\xbd\xef\xbf\xbd\"" },
    };
    struct aff_buf buf;
    aff_buf_init(&buf);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        aff_buf_clear(&buf);
        assert_true(aff_json_quote(aff_bytes_of(cases[i].text.data, cases[i].text.len), &buf));
        assert_int_equal(buf.len, strlen(cases[i].quoted));
        assert_memory_equal(buf.data, cases[i].quoted, buf.len);
        assert_int_equal(aff_json_check(aff_buf_view(&buf), 1, NULL), 0);
    }
    aff_buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_the_grammar_takes),
        cmocka_unit_test(refuses_the_rest_and_says_where_and_what_was_expected),
        cmocka_unit_test(every_cut_of_a_document_is_refused),
        cmocka_unit_test(line_and_column_count_characters),
        cmocka_unit_test(brackets_nest_as_deep_as_allowed_and_no_deeper),
        cmocka_unit_test(a_hundred_thousand_open_brackets_are_refused_at_the_limit),
        cmocka_unit_test(arrays_and_objects_in_one_another_close_in_order),
        cmocka_unit_test(quotes_any_bytes_as_a_json_string),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
