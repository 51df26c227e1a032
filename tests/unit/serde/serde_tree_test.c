/* JSON texts taken apart: spans, links, names, strings and pointers. */
#include "serde/tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct aff_json_tree tree;

static int prepare(void **state)
{
    (void)state;
    aff_json_tree_init(&tree);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    aff_json_tree_fini(&tree);
    return 0;
}

static void parse(const char *text)
{
    struct aff_json_error error;
    if (aff_json_tree_parse(&tree, aff_str(text), AFF_JSON_DEPTH_DEFAULT, &error) != 0)
        fail_msg("<%s> is refused at byte %zu: expected %s", text, error.offset, error.expected);
}

static void assert_view(aff_bytes view, const char *text)
{
    if (!aff_bytes_equal(view, aff_str(text)))
        fail_msg("<%.*s> is not <%s>", (int)view.len, (const char *)view.data, text);
}

static void every_value_is_a_span_of_the_text_in_its_order(void **state)
{
    (void)state;
    parse(" { \"a\" : [ 1.50 , true ] , \"b\\u0063\" : { } , \"\":\"x\\\"y\" } ");
    static const struct {
        const char *key, *text;
        enum aff_json_type type;
        uint32_t parent, next, first, count;
    } nodes[] = {
        { "", "{ \"a\" : [ 1.50 , true ] , \"b\\u0063\" : { } , \"\":\"x\\\"y\" }", AFF_JSON_OBJECT, AFF_JSON_NONE,
          AFF_JSON_NONE, 1, 3 },
        { "\"a\"", "[ 1.50 , true ]", AFF_JSON_ARRAY, 0, 4, 2, 2 },
        { "", "1.50", AFF_JSON_NUMBER, 1, 3, AFF_JSON_NONE, 0 },
        { "", "true", AFF_JSON_TRUE, 1, AFF_JSON_NONE, AFF_JSON_NONE, 0 },
        { "\"b\\u0063\"", "{ }", AFF_JSON_OBJECT, 0, 5, AFF_JSON_NONE, 0 },
        { "\"\"", "\"x\\\"y\"", AFF_JSON_STRING, 0, AFF_JSON_NONE, AFF_JSON_NONE, 0 },
    };
    assert_int_equal(tree.count, sizeof nodes / sizeof *nodes);
    for (uint32_t i = 0; i < tree.count; i++) {
        const struct aff_json_node *n = &tree.nodes[i];
        assert_view(aff_json_key(&tree, i), nodes[i].key);
        assert_view(aff_json_text(&tree, i), nodes[i].text);
        assert_int_equal(n->type, nodes[i].type);
        assert_int_equal(n->parent, nodes[i].parent);
        assert_int_equal(n->next, nodes[i].next);
        assert_int_equal(n->first, nodes[i].first);
        assert_int_equal(n->count, nodes[i].count);
    }
}

static void a_scalar_is_a_tree_of_one(void **state)
{
    (void)state;
    static const char *const texts[] = { "null", "false", "true", "-0.0E+7", "\"\"", "[]", "{}" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        parse(texts[i]);
        assert_int_equal(tree.count, 1);
        assert_int_equal(tree.nodes[0].type, i);
        assert_int_equal(tree.nodes[0].next, AFF_JSON_NONE);
        assert_int_equal(tree.nodes[0].parent, AFF_JSON_NONE);
        assert_view(aff_json_text(&tree, 0), texts[i]);
    }
}

static void what_is_no_json_is_refused_with_the_place(void **state)
{
    (void)state;
    struct aff_json_error error, checked;
    static const char *const texts[] = { "",      " ",       "{\"a\":1,}", "[1,2", "{\"a\" 1}", "[1] 2",
                                         "nulle", "\"\\x\"", "01",         "-",    "[}",        "{\"a\":[1}" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_int_equal(aff_json_check(aff_str(texts[i]), 9, &checked), AFF_EJSON);
        assert_int_equal(aff_json_tree_parse(&tree, aff_str(texts[i]), 9, &error), AFF_EJSON);
        assert_int_equal(error.offset, checked.offset);
        assert_string_equal(error.expected, checked.expected);
        assert_int_equal(tree.count, 0);
    }
    assert_int_equal(aff_json_tree_parse(&tree, aff_str("[[1]]"), 1, &error), AFF_EJSON);
    assert_string_equal(error.expected, "brackets at most 1 deep");
    assert_int_equal(aff_json_tree_parse(&tree, aff_str("["), 1, NULL), AFF_EJSON);
    parse("[1]"); /* and is good for the next text */
}

static void as_deep_as_may_be_and_as_wide(void **state)
{
    (void)state;
    enum { DEPTH = AFF_JSON_DEPTH_MAX, WIDE = 100000 };
    char *text = malloc(2 * WIDE + 2);
    memset(text, '[', DEPTH);
    memset(text + DEPTH, ']', DEPTH);
    assert_int_equal(aff_json_tree_parse(&tree, aff_bytes_of(text, 2 * DEPTH), DEPTH, NULL), 0);
    assert_int_equal(tree.count, DEPTH);
    assert_int_equal(tree.nodes[DEPTH - 1].parent, DEPTH - 2);
    assert_int_equal(aff_json_tree_parse(&tree, aff_bytes_of(text, 2 * DEPTH), DEPTH - 1, NULL), AFF_EJSON);
    for (size_t i = 0; i < WIDE; i++)
        memcpy(text + 2 * i, ",7", 2);
    text[0] = '[';
    text[2 * WIDE] = ']';
    assert_int_equal(aff_json_tree_parse(&tree, aff_bytes_of(text, 2 * WIDE + 1), 1, NULL), 0);
    assert_int_equal(tree.nodes[0].count, WIDE);
    bool malformed;
    assert_int_equal(aff_json_point(&tree, aff_str("/99999"), &malformed), WIDE);
    assert_int_equal(aff_json_point(&tree, aff_str("/100000"), &malformed), AFF_JSON_NONE);
    free(text);
}

static void members_are_found_by_their_unescaped_name_and_the_last_twin_counts(void **state)
{
    (void)state;
    parse("{\"a\":1,\"\\u0061\":2,\"\\ud83d\\ude00\\n\":3,\"\":4,\"x\":{\"y\":5},\"\\ud800\":6}");
    assert_view(aff_json_text(&tree, aff_json_member(&tree, 0, aff_str("a"))), "2");
    assert_view(aff_json_text(&tree, aff_json_member(&tree, 0, aff_str("\xf0\x9f\x98\x80\n"))), "3");
    assert_view(aff_json_text(&tree, aff_json_member(&tree, 0, aff_str(""))), "4");
    assert_int_equal(aff_json_member(&tree, 0, aff_str("y")), AFF_JSON_NONE);
    assert_int_equal(aff_json_member(&tree, 0, aff_str("a\\")), AFF_JSON_NONE);
    assert_int_equal(aff_json_member(&tree, 0, aff_str("\xf0\x9f\x98\x80")), AFF_JSON_NONE);
    assert_int_equal(aff_json_member(&tree, 1, aff_str("a")), AFF_JSON_NONE); /* a number has none */
}

static void strings_lose_quotes_and_escapes(void **state)
{
    (void)state;
    static const struct {
        const char *text, *bytes;
        bool utf8;
    } strings[] = {
        { "\"\"", "", true },
        { "\"plain \xc3\xa9\"", "plain \xc3\xa9", true },
        { "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", true },
        { "\"\\u0041\\u00e9\\u20AC\\uD83D\\uDE00\"", "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", true },
        { "\"\\ud800\"", "\xed\xa0\x80", false },
        { "\"\\udc00\\ud800\"", "\xed\xb0\x80\xed\xa0\x80", false },
        { "\"\\ud800\\ud83d\\ude00x\"", "\xed\xa0\x80\xf0\x9f\x98\x80x", false },
        { "\"\\ud800\\n\"", "\xed\xa0\x80\n", false },
    };
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
        parse(strings[i].text);
        char *room = malloc(strlen(strings[i].text)); /* its own block, so that a sanitizer sees a write past the end */
        size_t len;
        assert_int_equal(aff_json_string(&tree, 0, room, &len), strings[i].utf8);
        assert_int_equal(len, strlen(strings[i].bytes));
        assert_memory_equal(room, strings[i].bytes, len);
        free(room);
    }
    parse("\"a\\u0000b\"");
    char room[16];
    size_t len;
    assert_true(aff_json_string(&tree, 0, room, &len));
    assert_int_equal(len, 3);
    assert_memory_equal(room, "a\0b", 3);
}

/* RFC 6901, 5. */
static void pointers_name_what_the_rfc_says(void **state)
{
    (void)state;
    parse("{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,\"e^f\":3,\"g|h\":4,\"i\\\\j\":5,\"k\\\"l\":6,\" \":7,"
          "\"m~n\":8}");
    static const struct {
        const char *pointer, *text;
    } found[] = { { "/foo", "[\"bar\",\"baz\"]" },
                  { "/foo/0", "\"bar\"" },
                  { "/", "0" },
                  { "/a~1b", "1" },
                  { "/c%d", "2" },
                  { "/e^f", "3" },
                  { "/g|h", "4" },
                  { "/i\\j", "5" },
                  { "/k\"l", "6" },
                  { "/ ", "7" },
                  { "/m~0n", "8" } };
    bool malformed;
    assert_int_equal(aff_json_point(&tree, aff_str(""), &malformed), 0);
    for (size_t i = 0; i < sizeof found / sizeof *found; i++) {
        uint32_t node = aff_json_point(&tree, aff_str(found[i].pointer), &malformed);
        assert_int_not_equal(node, AFF_JSON_NONE);
        assert_view(aff_json_text(&tree, node), found[i].text);
    }
}

static void pointers_that_name_nothing_and_those_that_are_none(void **state)
{
    (void)state;
    parse("{\"a\":[1,2],\"b\":3,\"~\":{\"/\":4},\"~01\":5}");
    static const char *const nothing[] = {
        "/c",   "/a/2",  "/a/-",  "/a/01",         "/a/+1", "/a/",  "/a/1e0",
        "/b/0", "/a/0/", "/a/-1", "/a/4294967296", "//",    "/a/x", "/a/18446744073709551616",
        "/~01", "/a/0 ", "/A"
    };
    static const char *const malformed_ones[] = { "a", "/~", "/a~2", "/~0~", "#/a", " ", "/a/~a" };
    bool malformed;
    for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++) {
        if (aff_json_point(&tree, aff_str(nothing[i]), &malformed) != AFF_JSON_NONE || malformed)
            fail_msg("%s", nothing[i]);
    }
    for (size_t i = 0; i < sizeof malformed_ones / sizeof *malformed_ones; i++) {
        if (aff_json_point(&tree, aff_str(malformed_ones[i]), &malformed) != AFF_JSON_NONE || !malformed)
            fail_msg("%s", malformed_ones[i]);
    }
    assert_view(aff_json_text(&tree, aff_json_point(&tree, aff_str("/~0/~1"), &malformed)), "4");
    assert_view(aff_json_text(&tree, aff_json_point(&tree, aff_str("/~001"), &malformed)), "5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_value_is_a_span_of_the_text_in_its_order, prepare, clean),
        cmocka_unit_test_setup_teardown(a_scalar_is_a_tree_of_one, prepare, clean),
        cmocka_unit_test_setup_teardown(what_is_no_json_is_refused_with_the_place, prepare, clean),
        cmocka_unit_test_setup_teardown(as_deep_as_may_be_and_as_wide, prepare, clean),
        cmocka_unit_test_setup_teardown(members_are_found_by_their_unescaped_name_and_the_last_twin_counts, prepare,
                                        clean),
        cmocka_unit_test_setup_teardown(strings_lose_quotes_and_escapes, prepare, clean),
        cmocka_unit_test_setup_teardown(pointers_name_what_the_rfc_says, prepare, clean),
        cmocka_unit_test_setup_teardown(pointers_that_name_nothing_and_those_that_are_none, prepare, clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
