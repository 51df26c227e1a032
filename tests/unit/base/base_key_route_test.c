/*
 * base_key_route_test.c - routes: their texts, and which bytes of a key they name. core/base/key_route.c.
 */
#include "base/key_route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static struct aff_key_route route_of(const char *text)
{
    struct aff_key_route route;
    aff_error err = { 0 };

    if (aff_key_route_read(aff_str(text), &route, &err) != 0)
        fail_msg("%s", err.text);
    return route;
}

static void a_text_is_read_and_printed_as_the_same(void **state)
{
    static const char *const texts[] = { "whole-key", "up-to \"/\"", "up-to \"/\" 2", "up-to \"::\" 9", "up-to \" \"",
                                         "up-to \"12345678\" 7" };
    char out[AFF_KEY_ROUTE_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct aff_key_route route = route_of(texts[i]);

        assert_string_equal(aff_key_route_print(&route, out), texts[i]);
    }
    struct aff_key_route first = route_of("up-to \"/\" 1");
    assert_string_equal(aff_key_route_print(&first, out), "up-to \"/\"");
}

static void a_text_that_is_none_is_refused(void **state)
{
    static const char *const bad[] = { "", "/", "up-to", "up-to ", "up-to /", "up-to \"", "up-to \"\"", "up-to \"/", "up-to \"/\"2",
                                       "up-to \"/\" 0", "up-to \"/\" 10", "up-to \"/\" x", "up-to \"/\" ", "up-to \"123456789\"",
                                       "up-to \"\t\"", "up-to \"\xc3\xa4\"", "up-to \"\\\"", "whole-key ", "up-to  \"/\"" };
    struct aff_key_route route;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        aff_error err = { 0 };

        if (aff_key_route_read(aff_str(bad[i]), &route, &err) != AFF_ECONFIG)
            fail_msg("taken for a route: '%s'", bad[i]);
        assert_non_null(strstr(err.text, "expected whole-key"));
    }
}

static void expect(const char *route_text, const char *key, const char *want, bool settled)
{
    struct aff_key_route route = route_of(route_text);
    aff_bytes got = aff_key_route_of(&route, aff_str(key));

    if (!aff_bytes_equal(got, aff_str(want)) || aff_key_route_settles(&route, aff_str(key)) != settled)
        fail_msg("%s of '%s': '%.*s', %s", route_text, key, (int)got.len, (const char *)got.data,
                 settled ? "and it should be settled" : "and nothing is settled");
}

static void a_route_ends_before_its_separator(void **state)
{
    (void)state;
    expect("whole-key", "a/b", "a/b", false);
    expect("up-to \"/\"", "a/b/c", "a", true);
    expect("up-to \"/\"", "a", "a", false);
    expect("up-to \"/\"", "a/", "a", true);
    expect("up-to \"/\"", "/a", "", true);
    expect("up-to \"/\" 2", "account/1", "account/1", false);
    expect("up-to \"/\" 2", "account/1/", "account/1", true);
    expect("up-to \"/\" 2", "account/1/tx/9", "account/1", true);
    expect("up-to \"::\"", "a:b::c", "a:b", true);
    expect("up-to \"::\"", "a:", "a:", false);
    expect("up-to \"::\" 2", "a:::::b", "a::", true);
}

static void bytes_of_any_kind_are_keys(void **state)
{
    struct aff_key_route route = route_of("up-to \"/\"");

    (void)state;
    assert_int_equal(aff_key_route_of(&route, aff_bytes_of("a\0\xff/b", 5)).len, 3);
    assert_int_equal(aff_key_route_of(&route, aff_bytes_of("", 0)).len, 0);
    assert_false(aff_key_route_settles(&route, aff_bytes_of("", 0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_is_read_and_printed_as_the_same),
        cmocka_unit_test(a_text_that_is_none_is_refused),
        cmocka_unit_test(a_route_ends_before_its_separator),
        cmocka_unit_test(bytes_of_any_kind_are_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
