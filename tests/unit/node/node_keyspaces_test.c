/* What a node serves: keyspaces of the file and of the application, and what is refused of the latter. */
#include "node/keyspaces.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static int run_nothing(aff_cmd *cmd)
{
    (void)cmd;
    return 0;
}

static int read_nothing(aff_read *read)
{
    (void)read;
    return 0;
}

#define COMMAND(...)                                                                                                   \
    {                                                                                                                  \
        .size = sizeof(aff_command), __VA_ARGS__                                                                       \
    }
#define KEYSPACE(...)                                                                                                  \
    {                                                                                                                  \
        .size = sizeof(aff_keyspace), __VA_ARGS__                                                                      \
    }

static struct aff_config *config_of(const char *yaml)
{
    struct aff_config *config;
    struct aff_config_errors errors = { 0 };
    assert_int_equal(aff_config_parse("test", aff_str(yaml), NULL, 0, &config, &errors), 0);
    return config;
}

/* Merges one keyspace into an empty file; the code. */
static int merge_one(const aff_keyspace *keyspace, aff_error *err)
{
    AFF_CLEANUP(aff_config_freep) struct aff_config *config = config_of("");
    const aff_keyspace *keyspaces[] = { keyspace, NULL };
    struct aff_served_list list;
    int code = aff_served_merge(config, keyspaces, &list, err);
    if (code == 0)
        aff_served_fini(&list);
    return code;
}

static void refused(const aff_keyspace *keyspace, const char *says)
{
    aff_error err = { 0 };
    assert_int_equal(merge_one(keyspace, &err), AFF_EINVAL);
    if (!strstr(err.text, says))
        fail_msg("<%s> does not say <%s>", err.text, says);
}

static void refused_command(aff_command command, const char *says)
{
    const aff_command commands[] = { command, AFF_COMMAND_END };
    const aff_keyspace keyspace = KEYSPACE(.name = "notes", .commands = commands);
    refused(&keyspace, says);
}

static void a_route_is_the_applications_or_the_files(void **state)
{
    (void)state;
    AFF_CLEANUP(aff_config_freep) struct aff_config *config =
        config_of("keyspaces: { notes: , files: { route: up-to \"/\" 2 }, both: { route: up-to \"/\" } }");
    const aff_keyspace notes = KEYSPACE(.name = "notes", .route = "up-to \":\""), files = KEYSPACE(.name = "files");
    const aff_keyspace both = KEYSPACE(.name = "both", .route = "up-to \"/\"");
    const aff_keyspace *keyspaces[] = { &notes, &files, &both, NULL };
    struct aff_served_list list;
    char text[AFF_KEY_ROUTE_TEXT_MAX];
    assert_int_equal(aff_served_merge(config, keyspaces, &list, NULL), 0);
    assert_string_equal(aff_key_route_print(&list.items[0].settings->route, text), "up-to \":\"");
    assert_string_equal(aff_key_route_print(&list.items[1].settings->route, text), "up-to \"/\" 2");
    assert_string_equal(aff_key_route_print(&list.items[2].settings->route, text), "up-to \"/\"");
    aff_served_fini(&list);
}

static void a_route_that_the_file_contradicts_is_refused(void **state)
{
    (void)state;
    AFF_CLEANUP(aff_config_freep) struct aff_config *config = config_of("keyspaces: { notes: { route: up-to \"/\" } }");
    const aff_keyspace notes = KEYSPACE(.name = "notes", .route = "up-to \":\"");
    const aff_keyspace wrong = KEYSPACE(.name = "notes", .route = "/");
    const aff_keyspace *keyspaces[] = { &notes, NULL };
    struct aff_served_list list;
    aff_error err = { 0 };
    assert_int_equal(aff_served_merge(config, keyspaces, &list, &err), AFF_EINVAL);
    assert_non_null(strstr(err.text, "the application says route: up-to \":\", the configuration says route: up-to \"/\""));
    refused(&wrong, "keyspace notes: / is not a route");
}

static void a_keyspace_of_the_file_alone_has_all_verbs(void **state)
{
    (void)state;
    AFF_CLEANUP(aff_config_freep) struct aff_config *config = config_of("keyspaces: { notes: { partitions: 3 } }");
    struct aff_served_list list;
    assert_int_equal(aff_served_merge(config, NULL, &list, NULL), 0);
    assert_int_equal(list.count, 1);
    assert_string_equal(list.items[0].settings->name, "notes");
    assert_int_equal(list.items[0].settings->partitions, 3);
    assert_int_equal(list.items[0].rest, AFF_REST_ALL);
    assert_null(list.items[0].commands);
    aff_served_fini(&list);
}

static void a_keyspace_of_the_application_alone_has_the_defaults_of_the_file(void **state)
{
    (void)state;
    AFF_CLEANUP(aff_config_freep) struct aff_config *config = config_of("keyspaces: { notes: }");
    const aff_keyspace bills = KEYSPACE(.name = "bills", .rest = AFF_REST_NONE);
    const aff_keyspace *keyspaces[] = { &bills, NULL };
    struct aff_served_list list;
    assert_int_equal(aff_served_merge(config, keyspaces, &list, NULL), 0);
    assert_int_equal(list.count, 2);
    assert_string_equal(list.items[1].settings->name, "bills");
    assert_int_equal(list.items[1].settings->partitions, 8);
    assert_int_equal(list.items[1].rest, AFF_REST_NONE);
    aff_served_fini(&list);
}

static void settings_come_from_the_file_and_commands_from_the_application(void **state)
{
    (void)state;
    AFF_CLEANUP(aff_config_freep) struct aff_config *config = config_of("keyspaces: { notes: { partitions: 3 } }");
    const aff_command commands[] = { COMMAND(.name = "add", .run = run_nothing, .accepts = "text/plain"),
                                     COMMAND(.name = "look-up2", .read = read_nothing, .accepts = "*"),
                                     AFF_COMMAND_END };
    const aff_keyspace notes = KEYSPACE(.name = "notes", .commands = commands, .rest = AFF_REST_GET);
    const aff_keyspace *keyspaces[] = { &notes, NULL };
    struct aff_served_list list;
    assert_int_equal(aff_served_merge(config, keyspaces, &list, NULL), 0);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.items[0].settings->partitions, 3);
    assert_int_equal(list.items[0].rest, AFF_REST_GET);
    assert_string_equal(list.items[0].commands[0].name, "add");
    assert_ptr_equal(list.items[0].commands[1].read, read_nothing);
    assert_null(list.items[0].commands[2].name);
    aff_served_fini(&list);
}

/* A program that was built with a release whose aff_command had a member less, or has one more. */
struct old_command {
    size_t size;
    const char *name;
    aff_cmd_fn *run;
    aff_read_fn *read;
};
struct new_command {
    aff_command known;
    void *unknown;
};

static void tables_of_other_releases_are_read_by_their_own_size(void **state)
{
    (void)state;
    const struct old_command old[] = { { sizeof *old, "one", run_nothing, NULL },
                                       { sizeof *old, "two", NULL, read_nothing },
                                       { 0, NULL, NULL, NULL } };
    const struct new_command new[] = { { COMMAND(.name = "one", .run = run_nothing), NULL },
                                       { COMMAND(.name = "two", .read = read_nothing), NULL },
                                       { AFF_COMMAND_END, NULL } };
    struct new_command sized[3];
    memcpy(sized, new, sizeof new);
    sized[0].known.size = sized[1].known.size = sizeof(struct new_command);
    const void *tables[] = { old, sized };
    for (size_t i = 0; i < 2; i++) {
        AFF_CLEANUP(aff_config_freep) struct aff_config *config = config_of("");
        const aff_keyspace notes = KEYSPACE(.name = "notes", .commands = tables[i]);
        const aff_keyspace *keyspaces[] = { &notes, NULL };
        struct aff_served_list list;
        assert_int_equal(aff_served_merge(config, keyspaces, &list, NULL), 0);
        assert_string_equal(list.items[0].commands[0].name, "one");
        assert_string_equal(list.items[0].commands[1].name, "two");
        assert_ptr_equal(list.items[0].commands[1].read, read_nothing);
        assert_null(list.items[0].commands[1].accepts);
        assert_null(list.items[0].commands[2].name);
        aff_served_fini(&list);
    }
}

static void a_keyspace_needs_a_size_and_a_name(void **state)
{
    (void)state;
    const aff_keyspace unsized = { .name = "notes" }, unnamed = KEYSPACE(.rest = 0), upper = KEYSPACE(.name = "Notes"),
                       empty = KEYSPACE(.name = "");
    refused(&unsized, "sizeof(aff_keyspace)");
    refused(&unnamed, "no name");
    refused(&upper, "'Notes'");
    refused(&empty, "lower-case letter");
}

static void a_keyspace_is_named_once(void **state)
{
    (void)state;
    AFF_CLEANUP(aff_config_freep) struct aff_config *config = config_of("");
    const aff_keyspace a = KEYSPACE(.name = "notes"), b = KEYSPACE(.name = "notes");
    const aff_keyspace *keyspaces[] = { &a, &b, NULL };
    struct aff_served_list list;
    aff_error err = { 0 };
    assert_int_equal(aff_served_merge(config, keyspaces, &list, &err), AFF_EINVAL);
    assert_non_null(strstr(err.text, "twice"));
}

static void verbs_are_known_ones(void **state)
{
    (void)state;
    const aff_keyspace unknown = KEYSPACE(.name = "notes", .rest = 16),
                       both = KEYSPACE(.name = "notes", .rest = AFF_REST_NONE | AFF_REST_GET);
    refused(&unknown, "rest is 0x10");
    refused(&both, "AFF_REST_NONE alone");
}

static void a_command_has_a_name_for_the_path(void **state)
{
    (void)state;
    refused_command((aff_command)COMMAND(.run = run_nothing), "has the name ''");
    refused_command((aff_command)COMMAND(.name = "2nd", .run = run_nothing), "has the name '2nd'");
    refused_command((aff_command)COMMAND(.name = "a/b", .run = run_nothing), "has the name 'a/b'");
    refused_command((aff_command)COMMAND(.name = "a2345678901234567890123456789012345678901", .run = run_nothing),
                    "up to 39");
}

static void a_command_has_exactly_one_function(void **state)
{
    (void)state;
    refused_command((aff_command)COMMAND(.name = "add"), "none of run, read and later");
    refused_command((aff_command)COMMAND(.name = "add", .run = run_nothing, .read = read_nothing), "several of run, read and later");
}

static void a_command_accepts_a_media_type(void **state)
{
    (void)state;
    refused_command((aff_command)COMMAND(.name = "add", .run = run_nothing, .accepts = "plain"), "accepts 'plain'");
    refused_command((aff_command)COMMAND(.name = "add", .run = run_nothing, .accepts = "text/plain; charset=utf-8"),
                    "media type");
}

static void what_is_told_of_a_command_can_be_told(void **state)
{
    (void)state;
    static const aff_failure odd = { "odd", 500, "It is odd" };
    static const aff_failure *const odd_ones[] = { &odd, NULL };
    refused_command((aff_command)COMMAND(.name = "add", .run = run_nothing, .request = "{\"type\": "),
                    "the schema `request` of the command add is no JSON Schema");
    refused_command((aff_command)COMMAND(.name = "add", .run = run_nothing, .reply = "[]"), "expected an object");
    refused_command((aff_command)COMMAND(.name = "add", .run = run_nothing, .doc = "\xff"), "doc must be UTF-8");
    refused_command((aff_command)COMMAND(.name = "add", .run = run_nothing, .failures = odd_ones), "from 400 to 499");
    const aff_keyspace notes = KEYSPACE(.name = "notes", .value = "3"),
                       bills = KEYSPACE(.name = "bills", .doc = "\xff");
    refused(&notes, "the schema `value` is no JSON Schema");
    refused(&bills, "doc is not UTF-8");
    const aff_keyspace coins = KEYSPACE(.name = "coins", .value = "true", .doc = "M\xc3\xbcnzen");
    assert_int_equal(merge_one(&coins, NULL), 0);
}

static void commands_are_unique_and_of_one_size(void **state)
{
    (void)state;
    const aff_command twice[] = { COMMAND(.name = "add", .run = run_nothing),
                                  COMMAND(.name = "add", .read = read_nothing), AFF_COMMAND_END };
    const aff_keyspace notes = KEYSPACE(.name = "notes", .commands = twice);
    refused(&notes, "two commands add");

    const aff_command odd[] = { COMMAND(.name = "add", .run = run_nothing),
                                { .size = 16, .name = "sub", .run = run_nothing },
                                AFF_COMMAND_END };
    const aff_keyspace bills = KEYSPACE(.name = "bills", .commands = odd);
    refused(&bills, "command 1 does not begin with sizeof(aff_command)");

    const aff_command tiny[] = { { .size = 4, .name = "sub", .run = run_nothing }, AFF_COMMAND_END };
    const aff_keyspace coins = KEYSPACE(.name = "coins", .commands = tiny);
    refused(&coins, "size is 4");
}

static void an_empty_table_is_no_table(void **state)
{
    (void)state;
    const aff_command none[] = { AFF_COMMAND_END };
    const aff_keyspace notes = KEYSPACE(.name = "notes", .commands = none);
    assert_int_equal(merge_one(&notes, NULL), 0);
}

static void serving_nothing_is_an_error(void **state)
{
    (void)state;
    AFF_CLEANUP(aff_config_freep) struct aff_config *config = config_of("cluster: demo");
    struct aff_served_list list;
    aff_error err = { 0 };
    assert_int_equal(aff_served_merge(config, NULL, &list, &err), AFF_ECONFIG);
    assert_non_null(strstr(err.text, "keyspaces: { notes: }"));
}

static void indexes_of_the_file_and_of_the_application_are_served(void **state)
{
    (void)state;
    AFF_CLEANUP(aff_config_freep) struct aff_config *config =
        config_of("keyspaces: { notes: { indexes: { when: event-time, by: /by } }, plain: }");
    const aff_index indexes[] = { { .size = sizeof(aff_index), .name = "size", .pointer = "/size" }, AFF_INDEX_END };
    const aff_keyspace notes = KEYSPACE(.name = "notes", .indexes = indexes);
    const aff_keyspace *keyspaces[] = { &notes, NULL };
    struct aff_served_list list;
    assert_int_equal(aff_served_merge(config, keyspaces, &list, NULL), 0);
    assert_int_equal(list.items[0].finder->base.count, 3);
    assert_string_equal(list.items[0].finder->items[2].name, "size");
    assert_true(list.items[0].finder->items[0].event_time);
    assert_null(list.items[1].finder);
    aff_served_fini(&list);
}

static void indexes_are_refused_with_their_keyspace(void **state)
{
    (void)state;
    const aff_index wrong[] = { { .size = sizeof(aff_index), .name = "size", .pointer = "size" }, AFF_INDEX_END };
    const aff_index unsized[] = { { .size = 3, .name = "size", .pointer = "/size" }, AFF_INDEX_END };
    const aff_keyspace a = KEYSPACE(.name = "notes", .indexes = wrong), b = KEYSPACE(.name = "notes", .indexes = unsized);
    refused(&a, "keyspace notes: index size: 'size' is not a JSON pointer");
    refused(&b, "sizeof(aff_index)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_route_is_the_applications_or_the_files),
        cmocka_unit_test(a_route_that_the_file_contradicts_is_refused),
        cmocka_unit_test(a_keyspace_of_the_file_alone_has_all_verbs),
        cmocka_unit_test(a_keyspace_of_the_application_alone_has_the_defaults_of_the_file),
        cmocka_unit_test(settings_come_from_the_file_and_commands_from_the_application),
        cmocka_unit_test(tables_of_other_releases_are_read_by_their_own_size),
        cmocka_unit_test(a_keyspace_needs_a_size_and_a_name),
        cmocka_unit_test(a_keyspace_is_named_once),
        cmocka_unit_test(verbs_are_known_ones),
        cmocka_unit_test(a_command_has_a_name_for_the_path),
        cmocka_unit_test(a_command_has_exactly_one_function),
        cmocka_unit_test(a_command_accepts_a_media_type),
        cmocka_unit_test(commands_are_unique_and_of_one_size),
        cmocka_unit_test(what_is_told_of_a_command_can_be_told),
        cmocka_unit_test(an_empty_table_is_no_table),
        cmocka_unit_test(indexes_of_the_file_and_of_the_application_are_served),
        cmocka_unit_test(indexes_are_refused_with_their_keyspace),
        cmocka_unit_test(serving_nothing_is_an_error),
    };
    return cmocka_run_group_tests_name("node: keyspaces", tests, NULL, NULL);
}
