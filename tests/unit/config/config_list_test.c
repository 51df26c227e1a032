/*
 * config_list_test.c - settings that are lists: origins, and names of header fields and methods.
 */
#include "helper.h"

static void a_list_is_one_of_yaml_or_has_commas(void **state)
{
    (void)state;
    const char *texts[] = { "cors: { origins: [ \"https://a.example\", \"http://[::1]:3000\" ] }\n",
                            "cors:\n  origins:\n    - https://a.example\n    - \"http://[::1]:3000\"\n",
                            "cors: { origins: \"https://a.example, http://[::1]:3000\" }\n" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct aff_config *c = load(texts[i], NULL);
        assert_int_equal(c->cors.origins.count, 2);
        assert_string_equal(c->cors.origins.items[0], "https://a.example");
        assert_string_equal(c->cors.origins.items[1], "http://[::1]:3000");
        assert_int_equal(c->cors.methods.count, 6);
        assert_int_equal(c->cors.headers.count, 0);
        aff_config_free(c);
    }
}

static void what_is_set_replaces_the_default_and_what_the_file_has(void **state)
{
    (void)state;
    struct aff_config *c = load("cors: { methods: [ GET, LOCK ], headers: X-A }\n",
                                (const char *[]){ "cors.methods=PUT", "cors.headers=X-B,X-C", NULL });
    assert_int_equal(c->cors.methods.count, 1);
    assert_string_equal(c->cors.methods.items[0], "PUT");
    assert_int_equal(c->cors.headers.count, 2);
    assert_string_equal(c->cors.headers.items[1], "X-C");
    aff_config_free(c);
    c = load("cors: { methods: [] }\n", (const char *[]){ "cors.origins=", NULL });
    assert_int_equal(c->cors.methods.count, 0);
    assert_int_equal(c->cors.origins.count, 0);
    aff_config_free(c);
}

#define FORM "expected scheme://host or scheme://host:port in lower case, without a path"

static void what_no_browser_sends_is_no_origin(void **state)
{
    (void)state;
    static const struct {
        const char *origin, *why;
    } cases[] = {
        { "a.example", FORM },
        { "https://", FORM },
        { "://a.example", FORM },
        { "https://a.example/", FORM },
        { "https://a.example/path", FORM },
        { "https://A.example", FORM },
        { "HTTPS://a.example", FORM },
        { "https://a.example:", FORM },
        { "https://a.example:x", FORM },
        { "https://user@a.example", FORM },
        { "https://*.example", FORM },
        { "https://a.example b", FORM },
        { "https://[::g]", FORM },
        { "https://a.example:443", "browsers leave out the port that the scheme has anyway" },
        { "http://a.example:80", "browsers leave out the port that the scheme has anyway" },
        { "null", "any page can make itself be called that, so it names nobody" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[200], expected[300];
        (void)snprintf(text, sizeof text, "cors:\n  origins:\n  - https://fine.example\n  - \"%s\"\n", cases[i].origin);
        (void)snprintf(expected, sizeof expected, "test.yaml:4:5: cors.origins: %s: %s\n", cases[i].origin,
                       cases[i].why);
        expect_errors(text, NULL, expected);
    }
}

static void a_name_is_one(void **state)
{
    (void)state;
    expect_errors("cors: { headers: [ X-A, \"X A\" ] }\n", NULL,
                  "test.yaml:1:25: cors.headers: X A: expected a name of up to 64 letters, digits and -\n");
    expect_errors("cors: { methods: \"GET,,PUT\" }\n", NULL, "test.yaml:1:18: cors.methods: an entry is empty\n");
    expect_errors("cors: { methods: [ [ GET ] ] }\n", NULL,
                  "test.yaml:1:20: cors.methods: expected one value, not a list\n");
    expect_errors("cors: { methods: { a: b } }\n", NULL,
                  "test.yaml:1:18: cors.methods: expected one value, not a map\n");
}

static void a_list_has_a_bound(void **state)
{
    (void)state;
    char text[400] = "cors: { headers: \"X-0";
    for (int i = 1; i <= 24; i++)
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), ",X-%d", i);
    strcat(text, "\" }\n");
    expect_errors(text, NULL, "test.yaml:1:18: cors.headers: has more than the 24 entries that are possible\n");
}

static void every_page_is_not_told_who_the_user_is(void **state)
{
    (void)state;
    expect_errors("cors: { origins: \"*\", credentials: true }\n", NULL,
                  "test.yaml:1:36: cors.credentials: not with the origin *, which is every page: name the origins\n");
    expect_errors("cors: { origins: [ \"*\", \"https://a.example\" ] }\n", NULL,
                  "test.yaml:1:18: cors.origins: * is all there are: name no others\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_one_of_yaml_or_has_commas),
        cmocka_unit_test(what_is_set_replaces_the_default_and_what_the_file_has),
        cmocka_unit_test(what_no_browser_sends_is_no_origin),
        cmocka_unit_test(a_name_is_one),
        cmocka_unit_test(a_list_has_a_bound),
        cmocka_unit_test(every_page_is_not_told_who_the_user_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
