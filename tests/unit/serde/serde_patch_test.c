/* Merge patch and JSON patch: the tables of the RFCs, texts that stay as they were, limits, and what errors say. */
#include "serde/json_patch.h"
#include "serde/merge_patch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct aff_splice_limits usual = { .bytes = 1 << 20, .depth = AFF_JSON_DEPTH_DEFAULT };

struct fixture {
    struct aff_json_tree value, patch;
    struct aff_buf out;
    struct aff_json_patch_error error;
    const char *what;
};

static struct fixture f;

static int prepare(void **state)
{
    (void)state;
    aff_json_tree_init(&f.value);
    aff_json_tree_init(&f.patch);
    aff_buf_init(&f.out);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    aff_json_tree_fini(&f.value);
    aff_json_tree_fini(&f.patch);
    aff_buf_fini(&f.out);
    return 0;
}

static void parse(struct aff_json_tree *tree, const char *text)
{
    if (aff_json_tree_parse(tree, aff_str(text), AFF_JSON_DEPTH_MAX, NULL) != 0)
        fail_msg("<%s> is no JSON", text);
}

static int merge(const char *value, const char *patch, const struct aff_splice_limits *limits)
{
    if (value)
        parse(&f.value, value);
    parse(&f.patch, patch);
    return aff_merge_patch(value ? &f.value : NULL, &f.patch, limits, &f.out, &f.what);
}

static int patch(const char *value, const char *text, const struct aff_splice_limits *limits)
{
    parse(&f.value, value);
    parse(&f.patch, text);
    return aff_json_patch(&f.value, &f.patch, limits, &f.out, &f.error);
}

static void assert_out(const char *value, const char *with, const char *want)
{
    if (!aff_bytes_equal(aff_buf_view(&f.out), aff_str(want)))
        fail_msg("<%s> with <%s> is <%.*s>; it should be <%s>", value ? value : "", with, (int)f.out.len,
                 (const char *)f.out.data, want);
}

static void assert_merged(const char *value, const char *with, const char *want)
{
    if (merge(value, with, &usual) != 0)
        fail_msg("<%s> with <%s>: %s", value ? value : "", with, f.what);
    assert_out(value, with, want);
}

static void assert_patched(const char *value, const char *with, const char *want)
{
    if (patch(value, with, &usual) != 0)
        fail_msg("<%s> with <%s>: %s", value, with, f.error.text);
    assert_out(value, with, want);
}

static void assert_refused(const char *value, const char *with, int code, const char *text)
{
    int got = patch(value, with, &usual);
    if (got != code || strcmp(f.error.text, text) != 0)
        fail_msg("<%s> with <%s>: %d, %s", value, with, got, got ? f.error.text : "none");
}

/* ---- RFC 7396 ---- */

static void merges_what_appendix_a_lists(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        { "{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
        { "{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}" },
        { "{\"a\":\"b\"}", "{\"a\":null}", "{}" },
        { "{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}" },
        { "{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
        { "{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}" },
        { "{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}" },
        { "{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}" },
        { "[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"c\",\"d\"]" },
        { "{\"a\":\"b\"}", "[\"c\"]", "[\"c\"]" },
        { "{\"a\":\"foo\"}", "null", "null" },
        { "{\"a\":\"foo\"}", "\"bar\"", "\"bar\"" },
        { "{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}" },
        { "[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}" },
        { "{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_merged(cases[i][0], cases[i][1], cases[i][2]);
}

static void a_merge_patch_keeps_the_text_of_what_it_does_not_name(void **state)
{
    (void)state;
    const char *value =
        "{\n  \"z\" : 0.10000000000000000001,\n  \"a\": { \"\\u0062\" : 1e400 , \"c\":[ 1 ,2] },\n  \"k\": 1,\n"
        "  \"k\": 2\n}";
    assert_merged(value, "{}", value);
    assert_merged(
        value, "{\"a\":{\"c\":5}}",
        "{\n  \"z\" : 0.10000000000000000001,\n  \"a\": { \"\\u0062\" : 1e400 , \"c\":5 },\n  \"k\": 1,\n  \"k\": 2\n}");
    assert_merged(
        value, "{\"a\":{\"b\":null}, \"n\" : 1.0 }",
        "{\n  \"z\" : 0.10000000000000000001,\n  \"a\": { \"c\":[ 1 ,2] },\n  \"k\": 1,\n  \"k\": 2,\"n\":1.0\n}");
    assert_merged(value, "{\"k\":3,\"z\":null}",
                  "{\n  \"a\": { \"\\u0062\" : 1e400 , \"c\":[ 1 ,2] },\n  \"k\": 1,\n  \"k\": 3\n}");
    assert_merged(value, "{\"k\":null,\"a\":null}", "{\n  \"z\" : 0.10000000000000000001\n}");
    assert_merged(" [1] ", "7", "7");
}

static void a_merge_patch_creates_without_its_nulls(void **state)
{
    (void)state;
    assert_merged(NULL, "{\"a\":1,\"b\":null}", "{\"a\":1}");
    assert_merged(NULL, " [null, {\"a\":null}] ", "[null, {\"a\":null}]");
    assert_merged(NULL, "{ \"a\" : { \"b\" : null , \"c\" : [ null ] } }", "{ \"a\" : { \"c\" : [ null ] } }");
    assert_merged("{\"x\":1}", "{\"x\":{ \"n\":null, \"y\" : { \"n\" : null } }}", "{\"x\":{ \"y\" : { } }}");
    assert_merged(NULL, "{\"a\":{\"b\":1},\"a\":2}", "{\"a\":{\"b\":1},\"a\":2}");
    assert_merged(NULL, "{\"a\":null,\"a\":{\"b\":null}}", "{\"a\":{}}");
}

static void a_merge_patch_beyond_a_limit_says_which(void **state)
{
    (void)state;
    struct aff_splice_limits small = { .bytes = 9, .depth = 2 };
    assert_int_equal(merge("{\"a\":1}", "{\"a\":123}", &small), 0);
    assert_int_equal(merge("{\"a\":1}", "{\"a\":1234}", &small), AFF_ETOOLARGE);
    assert_string_equal(f.what, "the value would be larger than it may be");
    small.bytes = 99;
    assert_int_equal(merge("{\"a\":1}", "{\"a\":[1]}", &small), 0);
    assert_int_equal(merge("{\"a\":1}", "{\"a\":[[1]]}", &small), AFF_ETOOLARGE);
    assert_string_equal(f.what, "the value would be nested deeper than it may be");
    small.work = 5;
    assert_int_equal(merge("{\"a\":1,\"b\":1}", "{\"c\":1}", &small), AFF_ETOOLARGE);
    assert_string_equal(f.what, "the patch takes more work than one may");
}

/* ---- RFC 6902 ---- */

static void operations_do_what_appendix_a_shows(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        { "{\"foo\":\"bar\"}", "[{\"op\":\"add\",\"path\":\"/baz\",\"value\":\"qux\"}]",
          "{\"foo\":\"bar\",\"baz\":\"qux\"}" },
        { "{\"foo\":[\"bar\",\"baz\"]}", "[{\"op\":\"add\",\"path\":\"/foo/1\",\"value\":\"qux\"}]",
          "{\"foo\":[\"bar\",\"qux\",\"baz\"]}" },
        { "{\"baz\":\"qux\",\"foo\":\"bar\"}", "[{\"op\":\"remove\",\"path\":\"/baz\"}]", "{\"foo\":\"bar\"}" },
        { "{\"foo\":[\"bar\",\"qux\",\"baz\"]}", "[{\"op\":\"remove\",\"path\":\"/foo/1\"}]",
          "{\"foo\":[\"bar\",\"baz\"]}" },
        { "{\"baz\":\"qux\",\"foo\":\"bar\"}", "[{\"op\":\"replace\",\"path\":\"/baz\",\"value\":\"boo\"}]",
          "{\"baz\":\"boo\",\"foo\":\"bar\"}" },
        { "{\"foo\":{\"bar\":\"baz\",\"waldo\":\"fred\"},\"qux\":{\"corge\":\"grault\"}}",
          "[{\"op\":\"move\",\"from\":\"/foo/waldo\",\"path\":\"/qux/thud\"}]",
          "{\"foo\":{\"bar\":\"baz\"},\"qux\":{\"corge\":\"grault\",\"thud\":\"fred\"}}" },
        { "{\"foo\":[\"all\",\"grass\",\"cows\",\"eat\"]}",
          "[{\"op\":\"move\",\"from\":\"/foo/1\",\"path\":\"/foo/3\"}]",
          "{\"foo\":[\"all\",\"cows\",\"eat\",\"grass\"]}" },
        { "{\"baz\":\"qux\",\"foo\":[\"a\",2,\"c\"]}",
          "[{\"op\":\"test\",\"path\":\"/baz\",\"value\":\"qux\"},{\"op\":\"test\",\"path\":\"/foo/1\",\"value\":2}]",
          "{\"baz\":\"qux\",\"foo\":[\"a\",2,\"c\"]}" },
        { "{\"foo\":\"bar\"}", "[{\"op\":\"add\",\"path\":\"/child\",\"value\":{\"grandchild\":{}}}]",
          "{\"foo\":\"bar\",\"child\":{\"grandchild\":{}}}" },
        { "{\"foo\":\"bar\"}", "[{\"op\":\"add\",\"path\":\"/baz\",\"value\":\"qux\",\"xyz\":123}]",
          "{\"foo\":\"bar\",\"baz\":\"qux\"}" },
        { "{\"/\":9,\"~1\":10}", "[{\"op\":\"test\",\"path\":\"/~01\",\"value\":10}]", "{\"/\":9,\"~1\":10}" },
        { "{\"foo\":[\"bar\"]}", "[{\"op\":\"add\",\"path\":\"/foo/-\",\"value\":[\"abc\",\"def\"]}]",
          "{\"foo\":[\"bar\",[\"abc\",\"def\"]]}" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_patched(cases[i][0], cases[i][1], cases[i][2]);
}

static void a_json_patch_keeps_the_text_of_what_it_does_not_name(void **state)
{
    (void)state;
    const char *value =
        "{ \"n\" : 1.000 ,\n\t\"l\" : [ 1 , 2.50 , 3 ] , \"\\u0078\":{\"y\" : 0e0} , \"d\":1, \"d\":2 }";
    static const char *const cases[][2] = {
        { "[]", "{ \"n\" : 1.000 ,\n\t\"l\" : [ 1 , 2.50 , 3 ] , \"\\u0078\":{\"y\" : 0e0} , \"d\":1, \"d\":2 }" },
        { "[{\"op\":\"replace\",\"path\":\"/n\",\"value\": 10.0 }]",
          "{ \"n\" : 10.0 ,\n\t\"l\" : [ 1 , 2.50 , 3 ] , \"\\u0078\":{\"y\" : 0e0} , \"d\":1, \"d\":2 }" },
        { "[{\"op\":\"remove\",\"path\":\"/l/2\"},{\"op\":\"remove\",\"path\":\"/l/0\"}]",
          "{ \"n\" : 1.000 ,\n\t\"l\" : [ 2.50 ] , \"\\u0078\":{\"y\" : 0e0} , \"d\":1, \"d\":2 }" },
        { "[{\"op\":\"add\",\"path\":\"/x/y\",\"value\":7},{\"op\":\"remove\",\"path\":\"/d\"}]",
          "{ \"n\" : 1.000 ,\n\t\"l\" : [ 1 , 2.50 , 3 ] , \"\\u0078\":{\"y\" : 7} }" },
        { "[{\"op\":\"move\",\"from\":\"/x\",\"path\":\"/l/0\"}]",
          "{ \"n\" : 1.000 ,\n\t\"l\" : [{\"y\" : 0e0}, 1 , 2.50 , 3 ] , \"d\":1, \"d\":2 }" },
        { "[{\"op\":\"copy\",\"from\":\"/n\",\"path\":\"/a~1\\\"\xc3\xa9\"},{\"op\":\"add\",\"path\":\"/l/3\",\"value\":4}]",
          "{ \"n\" : 1.000 ,\n\t\"l\" : [ 1 , 2.50 , 3,4 ] , \"\\u0078\":{\"y\" : 0e0} , \"d\":1, \"d\":2,\"a/\\\"\xc3\xa9\":1.000 }" },
        { "[{\"op\":\"replace\",\"path\":\"\",\"value\":[ null ]}]", "[ null ]" },
        { "[{\"op\":\"copy\",\"from\":\"/x\",\"path\":\"\"},{\"op\":\"add\",\"path\":\"/y\",\"value\":1}]",
          "{\"y\" : 1}" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_patched(value, cases[i][0], cases[i][1]);
}

static void later_operations_see_what_earlier_ones_did(void **state)
{
    (void)state;
    assert_patched(
        "{}",
        "[{\"op\":\"add\",\"path\":\"/a\",\"value\":{}},{\"op\":\"add\",\"path\":\"/a/b\",\"value\":[]},"
        "{\"op\":\"add\",\"path\":\"/a/b/-\",\"value\":1},{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/c\"},"
        "{\"op\":\"add\",\"path\":\"/a/b/0\",\"value\":0},{\"op\":\"test\",\"path\":\"/a\",\"value\":{\"b\":[0,1]}},"
        "{\"op\":\"test\",\"path\":\"\",\"value\":{\"c\":{\"b\":[1]},\"a\":{\"b\":[0,1]}}},"
        "{\"op\":\"move\",\"from\":\"/a/b\",\"path\":\"/d\"}]",
        "{\"a\":{},\"c\":{\"b\":[1]},\"d\":[0,1]}");
    assert_patched(
        "[1,2,3]",
        "[{\"op\":\"move\",\"from\":\"/0\",\"path\":\"/-\"},{\"op\":\"move\",\"from\":\"/0\",\"path\":\"/0\"}]",
        "[2,3,1]");
    assert_patched("{\"a\":{\"b\":1}}", "[{\"op\":\"move\",\"from\":\"/a/b\",\"path\":\"\"}]", "1");
}

static void a_patch_that_does_not_fit_the_value_names_the_operation(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        { "{}", "[{\"op\":\"remove\",\"path\":\"/a\"}]", "operation 0 (remove): the path \"/a\" names nothing" },
        { "{\"a\":1}",
          "[{\"op\":\"test\",\"path\":\"/a\",\"value\":1},{\"op\":\"replace\",\"path\":\"/b/c\",\"value\":1}]",
          "operation 1 (replace): the path \"/b/c\" names nothing" },
        { "{\"a\":1}", "[{\"op\":\"test\",\"path\":\"/a\",\"value\":2}]",
          "operation 0 (test): the value at \"/a\" is another one" },
        { "{\"a\":1}", "[{\"op\":\"copy\",\"from\":\"/x\",\"path\":\"/a\"}]",
          "operation 0 (copy): the from \"/x\" names nothing" },
        { "{\"a\":[]}", "[{\"op\":\"add\",\"path\":\"/a/1\",\"value\":2}]",
          "operation 0 (add): the path \"/a/1\" is beyond the end of the array, which has 0 elements" },
        { "{\"a\":[]}", "[{\"op\":\"add\",\"path\":\"/a/x\",\"value\":2}]",
          "operation 0 (add): the path \"/a/x\" ends in an array, and not with an index or -" },
        { "{\"a\":[]}", "[{\"op\":\"add\",\"path\":\"/a/00\",\"value\":2}]",
          "operation 0 (add): the path \"/a/00\" ends in an array, and not with an index or -" },
        { "{\"a\":[1]}", "[{\"op\":\"remove\",\"path\":\"/a/-\"}]",
          "operation 0 (remove): the path \"/a/-\" names nothing" },
        { "{\"a\":1}", "[{\"op\":\"add\",\"path\":\"/a/b\",\"value\":2}]",
          "operation 0 (add): the path \"/a/b\" leads into a value that is no object and no array" },
        { "{\"a\":1}", "[{\"op\":\"add\",\"path\":\"/b/c\",\"value\":2}]",
          "operation 0 (add): the path \"/b/c\": what should contain it does not exist" },
        { "{\"a\":1}", "[{\"op\":\"remove\",\"path\":\"\"}]",
          "operation 0 (remove): the path \"\" is the whole value, which cannot be removed" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_refused(cases[i][0], cases[i][1], AFF_EPATCHFAILED, cases[i][2]);
}

static void what_is_no_patch_is_refused_without_a_value(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "{}", "a JSON patch is an array of operations" },
        { "[1]", "operation 0: an operation is an object" },
        { "[{\"op\":\"test\",\"path\":\"\",\"value\":1},{\"path\":\"\"}]",
          "operation 1: \"op\" must be one of \"add\", \"remove\", \"replace\", \"move\", \"copy\", \"test\"" },
        { "[{\"op\":\"delete\",\"path\":\"/a\"}]",
          "operation 0: \"op\" must be one of \"add\", \"remove\", \"replace\", \"move\", \"copy\", \"test\"" },
        { "[{\"op\":\"add\",\"path\":\"/a\"}]", "operation 0 (add): \"value\" must be there" },
        { "[{\"op\":\"add\",\"value\":1}]", "operation 0 (add): \"path\" must be there, a string with a JSON pointer" },
        { "[{\"op\":\"remove\",\"path\":7}]",
          "operation 0 (remove): \"path\" must be there, a string with a JSON pointer" },
        { "[{\"op\":\"move\",\"path\":\"/a\"}]",
          "operation 0 (move): \"from\" must be there, a string with a JSON pointer" },
        { "[{\"op\":\"remove\",\"path\":\"a\"}]",
          "operation 0 (remove): \"path\" is \"a\", which is no JSON pointer: \"\", or \"/name/0\" with ~0 for ~ and ~1 for /" },
        { "[{\"op\":\"remove\",\"path\":\"/\\ud800\"}]",
          "operation 0 (remove): \"path\" is \"/\\ud800\", which is no JSON pointer: \"\", or \"/name/0\" with ~0 for ~ and ~1 for "
          "/" },
        { "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/a/b\"}]",
          "operation 0 (move): what is at \"from\" cannot move into itself" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_refused("{\"a\":{}}", cases[i][0], AFF_EPATCH, cases[i][1]);
        assert_int_equal(aff_json_patch_check(&f.patch, &f.error), AFF_EPATCH);
        assert_string_equal(f.error.text, cases[i][1]);
    }
    parse(&f.patch, "[{\"op\":\"remove\",\"path\":\"/nothing/there\"}]");
    assert_int_equal(aff_json_patch_check(&f.patch, &f.error), 0);
}

/* "Copy the whole into itself", thirty times: 2^30 copies. */
static void copies_do_not_explode(void **state)
{
    (void)state;
    char text[4096] = "[", *at = text + 1;
    for (int i = 0; i < 30; i++)
        at += sprintf(at, "%s{\"op\":\"copy\",\"from\":\"\",\"path\":\"/%c%d\"}", i ? "," : "", 'a' + i % 26, i);
    (void)sprintf(at, "]");
    assert_int_equal(patch("{\"x\":\"0123456789\"}", text, &usual), AFF_ETOOLARGE);
    assert_non_null(strstr(f.error.text, "(copy): the value would be larger than it may be"));
}

static void many_operations_on_a_large_value_end_at_the_limit_of_work(void **state)
{
    (void)state;
    enum { MEMBERS = 60000, OPERATIONS = 20000 };
    char *value = malloc(MEMBERS * 16), *text = malloc(OPERATIONS * 64);
    size_t len = 0;
    for (int i = 0; i < MEMBERS; i++)
        len += (size_t)sprintf(value + len, "%c\"%d\":0", i ? ',' : '{', i);
    memcpy(value + len, "}", 2);
    len = 0;
    for (int i = 0; i < OPERATIONS; i++)
        len += (size_t)sprintf(text + len, "%c{\"op\":\"replace\",\"path\":\"/59999\",\"value\":1}", i ? ',' : '[');
    memcpy(text + len, "]", 2);
    assert_int_equal(patch(value, text, &usual), AFF_ETOOLARGE);
    assert_non_null(strstr(f.error.text, "the patch takes more work than one may"));
    assert_true(f.error.operation > 100);
    free(value);
    free(text);
}

static void long_texts_in_messages_are_cut_between_characters(void **state)
{
    (void)state;
    char text[1024] = "[{\"op\":\"remove\",\"path\":\"/";
    for (int i = 0; i < 200; i++)
        strcat(text, "\xc3\xa9");
    strcat(text, "\"}]");
    assert_int_equal(patch("{}", text, &usual), AFF_EPATCHFAILED);
    const unsigned char *at = (const unsigned char *)f.error.text, *end = at + strlen(f.error.text);
    while (at < end) {
        size_t length = aff_utf8_length(at, end);
        assert_int_not_equal(length, 0);
        at += length;
    }
    assert_non_null(strstr(f.error.text, "... names nothing"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(merges_what_appendix_a_lists, prepare, clean),
        cmocka_unit_test_setup_teardown(a_merge_patch_keeps_the_text_of_what_it_does_not_name, prepare, clean),
        cmocka_unit_test_setup_teardown(a_merge_patch_creates_without_its_nulls, prepare, clean),
        cmocka_unit_test_setup_teardown(a_merge_patch_beyond_a_limit_says_which, prepare, clean),
        cmocka_unit_test_setup_teardown(operations_do_what_appendix_a_shows, prepare, clean),
        cmocka_unit_test_setup_teardown(a_json_patch_keeps_the_text_of_what_it_does_not_name, prepare, clean),
        cmocka_unit_test_setup_teardown(later_operations_see_what_earlier_ones_did, prepare, clean),
        cmocka_unit_test_setup_teardown(a_patch_that_does_not_fit_the_value_names_the_operation, prepare, clean),
        cmocka_unit_test_setup_teardown(what_is_no_patch_is_refused_without_a_value, prepare, clean),
        cmocka_unit_test_setup_teardown(copies_do_not_explode, prepare, clean),
        cmocka_unit_test_setup_teardown(many_operations_on_a_large_value_end_at_the_limit_of_work, prepare, clean),
        cmocka_unit_test_setup_teardown(long_texts_in_messages_are_cut_between_characters, prepare, clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
