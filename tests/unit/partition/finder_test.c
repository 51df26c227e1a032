/*
 * finder_test.c - which terms a value has, by a pointer, by event time and by a function; and what is refused of a declaration.
 */
#include "base/list.h"
#include "partition/finder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* Terms as text: "0:05616263" for each, with blanks between them. */
struct told {
    struct aff_terms terms;
    char text[4096];
};

static int add(struct aff_terms *to, unsigned index, aff_bytes term)
{
    struct told *t = aff_container_of(to, struct told, terms);
    size_t len = strlen(t->text);
    len += (size_t)snprintf(t->text + len, sizeof t->text - len, "%s%u:", len ? " " : "", index);
    for (size_t i = 0; i < term.len; i++)
        len += (size_t)snprintf(t->text + len, sizeof t->text - len, "%02x", ((const unsigned char *)term.data)[i]);
    return 0;
}

static void expect(const struct aff_finder *finder, const char *type, const char *value, int64_t event_ms, const char *terms)
{
    struct told told = { .terms.add = add };
    struct aff_item item = { .version = { 5, 6, AFF_NO_TIME, event_ms },
                             .content_type = aff_str(type),
                             .value = aff_str(value) };
    assert_int_equal(finder->base.find(&finder->base, aff_str("key"), &item, &told.terms), 0);
    assert_string_equal(told.text, terms);
}

static int tell_much(aff_bytes key, const aff_value *value, void *user, aff_index_sink *sink)
{
    assert_string_equal(user, "user");
    assert_int_equal(value->offset, 5);
    assert_int_equal(aff_index_json(sink, aff_str("[]")), AFF_EJSON);
    assert_int_equal(aff_index_json(sink, aff_str("tru")), AFF_EJSON);
    int code = aff_index_string(sink, key);
    code = code ? code : aff_index_null(sink);
    code = code ? code : aff_index_bool(sink, true);
    code = code ? code : aff_index_int(sink, 0);
    return code ? code : aff_index_json(sink, aff_str("\"a\""));
}

static void a_pointer_finds_scalars(void **state)
{
    const aff_index index = { .size = sizeof index, .name = "a", .pointer = "/a" };
    struct aff_finder finder;
    (void)state;
    aff_finder_init(&finder);
    assert_int_equal(aff_finder_add(&finder, &index, NULL), 0);
    expect(&finder, "application/json", "{\"a\":\"x\"}", AFF_NO_TIME, "0:0578");
    expect(&finder, "application/merge+json; charset=utf-8", "{\"a\":null}", AFF_NO_TIME, "0:01");
    expect(&finder, "application/json", "{\"a\":[1,\"\",[2],{},false]}", AFF_NO_TIME, "0:0403810131 0:05 0:02");
    expect(&finder, "application/json", "{\"a\":{\"b\":1}}", AFF_NO_TIME, "");
    expect(&finder, "application/json", "{\"b\":1}", AFF_NO_TIME, "");
    expect(&finder, "application/json", "{\"a\":", AFF_NO_TIME, "");
    expect(&finder, "text/plain", "{\"a\":1}", AFF_NO_TIME, "");
    expect(&finder, "", "{\"a\":1}", AFF_NO_TIME, "");
}

static void event_times_and_functions_find_theirs(void **state)
{
    const aff_index when = { .size = sizeof when, .name = "when", .event_time = true };
    static char user[] = "user";
    const aff_index much = { .size = sizeof much, .name = "much", .terms = tell_much, .user = user };
    struct aff_finder finder;
    (void)state;
    aff_finder_init(&finder);
    assert_int_equal(aff_finder_add(&finder, &when, NULL), 0);
    expect(&finder, "text/plain", "x", 0, "0:0402");
    expect(&finder, "text/plain", "x", AFF_NO_TIME, "");
    assert_int_equal(aff_finder_add(&finder, &much, NULL), 0);
    expect(&finder, "text/plain", "x", AFF_NO_TIME, "1:056b6579 1:01 1:03 1:0402 1:0561");
    assert_int_equal(aff_finder_place(&finder, aff_str("much")), 1);
    assert_int_equal(aff_finder_place(&finder, aff_str("other")), -1);
}

static void refused(struct aff_finder *finder, aff_index index, const char *says)
{
    aff_error err = { 0 };
    assert_int_equal(aff_finder_add(finder, &index, &err), AFF_EINVAL);
    if (!strstr(err.text, says))
        fail_msg("<%s> does not say <%s>", err.text, says);
}

static void what_is_wrong_with_a_declaration_is_told(void **state)
{
    static char names[AFF_INDEXES_MAX][8];
    struct aff_finder finder;
    (void)state;
    aff_finder_init(&finder);
    refused(&finder, (aff_index){ .name = "2nd", .pointer = "/a" }, "has the name '2nd'");
    refused(&finder, (aff_index){ .pointer = "/a" }, "has the name ''");
    refused(&finder, (aff_index){ .name = "a" }, "sets 0 of pointer, event_time and terms");
    refused(&finder, (aff_index){ .name = "a", .pointer = "/a", .event_time = true }, "sets 2 of");
    refused(&finder, (aff_index){ .name = "a", .pointer = "a" }, "'a' is not a JSON pointer");
    for (int i = 0; i < AFF_INDEXES_MAX; i++) {
        (void)snprintf(names[i], sizeof names[i], "n%d", i);
        assert_int_equal(aff_finder_add(&finder, &(aff_index){ .name = names[i], .pointer = "" }, NULL), 0);
        if (i == 0)
            refused(&finder, (aff_index){ .name = "n0", .pointer = "/b" }, "there are two indexes n0");
    }
    refused(&finder, (aff_index){ .name = "more", .pointer = "/a" }, "at most 16");
}

/* What is declared alike has the same digest, so that it is not built again. */
static void a_digest_is_of_what_finds_the_terms(void **state)
{
    const aff_index all[] = {
        { .name = "a", .pointer = "/a" },      { .name = "b", .pointer = "/b" },
        { .name = "c", .event_time = true },   { .name = "d", .terms = tell_much, .version = 1 },
        { .name = "e", .terms = tell_much, .version = 2 }, { .name = "f", .pointer = "/a" },
    };
    struct aff_finder finder;
    (void)state;
    aff_finder_init(&finder);
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(aff_finder_add(&finder, &all[i], NULL), 0);
        for (unsigned j = 0; j < i; j++)
            assert_int_equal(aff_digest_equal(finder.base.items[i].digest, finder.base.items[j].digest), i == 5 && j == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pointer_finds_scalars),
        cmocka_unit_test(event_times_and_functions_find_theirs),
        cmocka_unit_test(what_is_wrong_with_a_declaration_is_told),
        cmocka_unit_test(a_digest_is_of_what_finds_the_terms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
