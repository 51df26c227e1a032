/*
 * config_indexes_test.c - the indexes of a keyspace: names, and JSON pointers or event-time; what is wrong is told at its place.
 */
#include "helper.h"

static void indexes_are_kept_in_their_order(void **state)
{
    struct aff_config *c = load("keyspaces:\n  notes: { indexes: { by_branch: /a~1b/0, whole: \"\", when: event-time } }\n",
                                (sets_t){ "keyspaces.notes.indexes.more=/x" });
    const struct aff_config_properties *indexes = &c->keyspaces[0].indexes;
    (void)state;
    assert_int_equal(indexes->count, 4);
    assert_string_equal(indexes->items[0].name, "by_branch");
    assert_string_equal(indexes->items[0].value, "/a~1b/0");
    assert_string_equal(indexes->items[1].value, "");
    assert_string_equal(indexes->items[2].value, AFF_INDEX_OF_EVENT_TIME);
    assert_string_equal(indexes->items[3].name, "more");
    aff_config_free(c);
}

static void what_is_printed_loads_to_the_same(void **state)
{
    struct aff_config *c = load("keyspaces: { notes: { indexes: { by-password: \"/a \\\" b\", when: event-time } }, b: }", NULL);
    char *text = printed_config(c), *again;
    (void)state;
    aff_config_free(c);
    assert_non_null(strstr(text, "    indexes:\n      by-password: \"/a \\\" b\"\n      when: \"event-time\"\n"));
    c = load(text, NULL);
    again = printed_config(c);
    assert_string_equal(text, again);
    aff_config_free(c);
    free(text);
    free(again);
}

static void what_is_wrong_is_told_at_its_place(void **state)
{
    (void)state;
    expect_errors("keyspaces: { notes: { indexes: { By: /x } } }", NULL,
            "test.yaml:1:38: keyspaces.notes.indexes.By: this is no name of an index: expected a lower-case letter, then up to "
            "39 of a-z, 0-9, _ and -\n");
    expect_errors("keyspaces: { notes: { indexes: { by: branch } } }", NULL,
            "test.yaml:1:38: keyspaces.notes.indexes.by: branch is not a JSON pointer such as /branch, and not event-time\n");
    expect_errors("keyspaces: { notes: { indexes: { by: /a~2 } } }", NULL,
            "test.yaml:1:38: keyspaces.notes.indexes.by: /a~2 is not a JSON pointer such as /branch, and not event-time\n");
    expect_errors("keyspaces: { notes: { indexes: [ /a ] } }", NULL,
            "test.yaml:1:32: keyspaces.notes.indexes: expected a map of properties, not a list\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(indexes_are_kept_in_their_order),
        cmocka_unit_test(what_is_printed_loads_to_the_same),
        cmocka_unit_test(what_is_wrong_is_told_at_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
