/* Equality of JSON values: exact numbers, strings whatever their escapes, objects in any order. */
#include "serde/equal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static bool equal(aff_bytes a, aff_bytes b)
{
    struct aff_json_tree x, y;
    bool result, again;
    aff_json_tree_init(&x);
    aff_json_tree_init(&y);
    assert_int_equal(aff_json_tree_parse(&x, a, AFF_JSON_DEPTH_MAX, NULL), 0);
    assert_int_equal(aff_json_tree_parse(&y, b, AFF_JSON_DEPTH_MAX, NULL), 0);
    assert_int_equal(aff_json_equal(&x, 0, &y, 0, &result), 0);
    assert_int_equal(aff_json_equal(&y, 0, &x, 0, &again), 0);
    if (result != again)
        fail_msg("<%.*s> and <%.*s> depend on their order", (int)a.len, (const char *)a.data, (int)b.len,
                 (const char *)b.data);
    aff_json_tree_fini(&x);
    aff_json_tree_fini(&y);
    return result;
}

struct pair {
    const char *a, *b;
};

#define CHECK_ALL(pairs, want)                                                                                         \
    for (size_t i = 0; i < sizeof(pairs) / sizeof *(pairs); i++)                                                       \
        if (equal(aff_str((pairs)[i].a), aff_str((pairs)[i].b)) != (want))                                             \
    fail_msg("<%s> and <%s>", (pairs)[i].a, (pairs)[i].b)

static void numbers_are_equal_when_their_decimal_values_are(void **state)
{
    (void)state;
    static const struct pair same[] = {
        { "1", "1.0" },
        { "1", "1e0" },
        { "1", "10e-1" },
        { "1", "0.1e1" },
        { "100", "1E+2" },
        { "100", "1.00e2" },
        { "0", "-0" },
        { "0", "0.000" },
        { "0e99999999999999999999", "0" },
        { "-1.50", "-15e-1" },
        { "0.00120", "12e-4" },
        { "10000000000000000000001", "1.0000000000000000000001e22" },
        { "1e99999999999999999999999", "10e99999999999999999999998" },
        { "1e-100000000000000000000", "0.1e-99999999999999999999" },
        { "1e00000000000000000000000000001", "10" },
        { "123.456e3", "123456" },
        { "1000.0001", "10000001e-4" },
        { "1e-0", "1" },
    };
    static const struct pair other[] = {
        { "1", "2" },
        { "1", "-1" },
        { "10000000000000000000001", "10000000000000000000002" },
        { "0.1", "0.10000000000000000001" },
        { "0.1", "0.01" },
        { "1", "10" },
        { "1e400", "1e401" },
        { "1e-400", "0" },
        { "1e99999999999999999999999", "1e99999999999999999999998" },
        { "1e18446744073709551616", "1" },
        { "1e18446744073709551616", "1e0" },
        { "1e10000000000", "1e-10000000000" },
        { "12", "1.2" },
        { "101", "11" },
        { "1", "1e1" },
    };
    CHECK_ALL(same, true);
    CHECK_ALL(other, false);
}

static void strings_are_equal_when_their_characters_are(void **state)
{
    (void)state;
    static const struct pair same[] = {
        { "\"a\"", "\"\\u0061\"" },
        { "\"\\/\"", "\"/\"" },
        { "\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\"" },
        { "\"\\ud800\"", "\"\\uD800\"" },
        { "\"\\n\"", "\"\\u000a\"" },
    };
    static const struct pair other[] = {
        { "\"a\"", "\"b\"" },       { "\"a\"", "\"ab\"" },  { "\"\"", "\"a\"" },
        { "\"1\"", "1" },           { "\"null\"", "null" }, { "\"\\ud800\"", "\"\\ud801\"" },
        { "\"\\\\n\"", "\"\\n\"" }, { "true", "false" },
    };
    CHECK_ALL(same, true);
    CHECK_ALL(other, false);
}

static void objects_are_equal_in_any_order_and_arrays_are_not(void **state)
{
    (void)state;
    static const struct pair same[] = {
        { "{\"a\":1,\"b\":2}", " { \"b\" : 2.0 , \"\\u0061\" : 1 } " },
        { "{\"a\":{\"x\":[1,{\"p\":1,\"q\":2}],\"y\":0},\"b\":[]}",
          "{\"b\":[ ],\"a\":{\"y\":0,\"x\":[1,{\"q\":2,\"p\":1}]}}" },
        { "{\"a\":1,\"a\":2}", "{\"a\":2}" },
        { "{\"a\":[1,2,3],\"b\":0,\"a\":7}", "{\"b\":0,\"a\":7}" },
        { "[]", "[ ]" },
        { "{}", "{ }" },
    };
    static const struct pair other[] = {
        { "[1,2]", "[2,1]" },
        { "{\"a\":1}", "{\"a\":1,\"b\":2}" },
        { "{\"a\":1,\"b\":2}", "{\"a\":2,\"b\":1}" },
        { "{\"a\":1}", "{\"b\":1}" },
        { "{\"a\":{}}", "{\"a\":[]}" },
        { "[[],[1]]", "[[1],[]]" },
        { "{\"a\":{\"b\":1},\"c\":2}", "{\"a\":{},\"b\":1,\"c\":2}" },
        { "[1,2]", "[1,2,3]" },
        { "{\"a\":null}", "{}" },
        { "{\"a\":1,\"a\":2}", "{\"a\":1}" },
    };
    CHECK_ALL(same, true);
    CHECK_ALL(other, false);
}

/* An adversary's objects: many members, in another order, names that differ in their last letter alone. */
static void large_objects_take_no_time_of_note(void **state)
{
    (void)state;
    enum { MEMBERS = 20000 };
    char *a = malloc(MEMBERS * 40), *b = malloc(MEMBERS * 40);
    size_t a_len = 0, b_len = 0;
    a[a_len++] = b[b_len++] = '{';
    for (int i = 0; i < MEMBERS; i++) {
        a_len += (size_t)sprintf(a + a_len, "%s\"a name, number %d\":%d", i ? "," : "", i, i);
        b_len += (size_t)sprintf(b + b_len, "%s\"a name, number %d\":%d.0", i ? "," : "", MEMBERS - 1 - i,
                                 MEMBERS - 1 - i);
    }
    a[a_len++] = b[b_len++] = '}';
    assert_true(equal(aff_bytes_of(a, a_len), aff_bytes_of(b, b_len)));
    b[b_len - 2] = '1'; /* the last of them is 0.1 */
    assert_false(equal(aff_bytes_of(a, a_len), aff_bytes_of(b, b_len)));
    free(a);
    free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_equal_when_their_decimal_values_are),
        cmocka_unit_test(strings_are_equal_when_their_characters_are),
        cmocka_unit_test(objects_are_equal_in_any_order_and_arrays_are_not),
        cmocka_unit_test(large_objects_take_no_time_of_note),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
