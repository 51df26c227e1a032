/*
 * config_load_test.c - what a configuration file says is what the struct holds, and what it says wrongly is told with its
 * place.
 */
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- what is read ---- */

static void an_empty_file_has_every_default(void **state)
{
    struct aff_config *c = load("", NULL);
    (void)state;
    assert_string_equal(c->cluster, "affinity");
    assert_int_equal(c->mode, AFF_MODE_PRODUCTION);
    assert_string_equal(c->node.name, "n1");
    assert_string_equal(c->node.data, "./data");
    assert_int_equal(c->node.loops, 0);
    assert_int_equal(c->http_count, 1);
    assert_string_equal(c->http[0].listen.host, "127.0.0.1");
    assert_int_equal(c->http[0].listen.port, 8080);
    assert_int_equal(c->limits.head, 16384);
    assert_int_equal(c->limits.target, 8192);
    assert_int_equal(c->limits.body, (1 << 20) - 4096);
    assert_int_equal(c->limits.head_timeout_ms, 10000);
    assert_int_equal(c->limits.exchange_timeout_ms, 30000);
    assert_int_equal(c->limits.idle_timeout_ms, 60000);
    assert_int_equal(c->limits.connections, 10000);
    assert_int_equal(c->limits.bodies, 64 << 20);
    assert_int_equal(c->changelog, AFF_CHANGELOG_EMBEDDED);
    assert_int_equal(c->embedded.segment, 64 << 20);
    assert_true(c->embedded.compaction);
    assert_int_equal(c->coordinator, AFF_COORDINATOR_EMBEDDED);
    assert_int_equal(c->log.format, AFF_LOG_LOGFMT);
    assert_int_equal(c->log.level, AFF_LOG_INFO);
    assert_int_equal(c->keyspaces_count, 0);
    aff_config_free(c);
}

static void what_the_file_says_is_in_the_struct(void **state)
{
    struct aff_config *c = load("cluster: demo\n"
                                "mode: development\n"
                                "node: { name: n2, data: ./data/n2, loops: 3 }\n"
                                "http:\n"
                                "  - listen: \"127.0.0.1:0\"\n"
                                "  - { listen: \"[::1]:9090\" }\n"
                                "limits: { head: 4KiB, target: 2KiB, idle_timeout: 500ms, body_min_rate: 0B }\n"
                                "changelog: memory\n"
                                "embedded: { compaction: false }\n"
                                "log: { format: json, level: error }\n"
                                "json: { max_depth: 7 }\n",
                                NULL);
    (void)state;
    assert_string_equal(c->cluster, "demo");
    assert_int_equal(c->mode, AFF_MODE_DEVELOPMENT);
    assert_string_equal(c->node.data, "./data/n2");
    assert_int_equal(c->node.loops, 3);
    assert_int_equal(c->http_count, 2);
    assert_int_equal(c->http[0].listen.port, 0);
    assert_string_equal(c->http[1].listen.host, "::1");
    assert_string_equal(c->http[1].listen.text, "[::1]:9090");
    assert_int_equal(c->limits.head, 4096);
    assert_int_equal(c->limits.idle_timeout_ms, 500);
    assert_int_equal(c->limits.body_min_rate, 0);
    assert_int_equal(c->changelog, AFF_CHANGELOG_MEMORY);
    assert_false(c->embedded.compaction);
    assert_int_equal(c->log.format, AFF_LOG_JSON);
    assert_int_equal(c->log.level, AFF_LOG_ERROR);
    assert_int_equal(c->json.max_depth, 7);
    aff_config_free(c);
}

static void keyspaces_keep_their_order_and_fill_up_with_defaults(void **state)
{
    struct aff_config *c = load("keyspaces:\n"
                                "  sessions: { partitions: 4096, ttl: 30m, require_match: true, max_value: 64KiB }\n"
                                "  accounts:\n",
                                NULL);
    (void)state;
    assert_int_equal(c->keyspaces_count, 2);
    assert_string_equal(c->keyspaces[0].name, "sessions");
    assert_int_equal(c->keyspaces[0].partitions, 4096);
    assert_int_equal(c->keyspaces[0].ttl_ms, 30 * 60 * 1000);
    assert_true(c->keyspaces[0].require_match);
    assert_int_equal(c->keyspaces[0].max_value, 65536);
    assert_string_equal(c->keyspaces[1].name, "accounts");
    assert_int_equal(c->keyspaces[1].partitions, 8);
    assert_int_equal(c->keyspaces[1].replicas, 2);
    assert_int_equal(c->keyspaces[1].ttl_ms, 0);
    assert_false(c->keyspaces[1].require_match);
    assert_int_equal(c->keyspaces[1].compaction_lag_ms, 3600 * 1000);
    assert_int_equal(c->keyspaces[1].tombstone_retention_ms, INT64_C(7) * 24 * 3600 * 1000);
    aff_config_free(c);
}

static void sections_and_values_left_empty_take_their_defaults(void **state)
{
    struct aff_config *c = load("node:\nhttp: ~\nlimits: { head: }\nkeyspaces: { a: { ttl: null } }\n", NULL);
    (void)state;
    assert_string_equal(c->node.name, "n1");
    assert_int_equal(c->http_count, 1);
    assert_int_equal(c->limits.head, 16384);
    assert_int_equal(c->keyspaces[0].ttl_ms, 0);
    aff_config_free(c);
}

static void what_is_quoted_is_text(void **state)
{
    struct aff_config *c = load("node: { data: \"null\" }\n", NULL);
    (void)state;
    assert_string_equal(c->node.data, "null");
    aff_config_free(c);
    expect_errors("node: { data: '' }\n", NULL,
                  "test.yaml:1:15: node.data: is empty: expected the path of a file or folder\n");
}

static void the_example_file_is_valid(void **state)
{
    struct aff_config_errors errors = { 0 };
    struct aff_config *c = NULL;
    (void)state;
    assert_int_equal(aff_config_load(AFF_SOURCE_ROOT "/example/affinity.yaml", NULL, 0, &c, &errors), 0);
    assert_int_equal(c->keyspaces_count, 3);
    aff_config_free(c);
}

static void without_a_file_there_are_the_defaults_and_the_overrides(void **state)
{
    static const char *const sets[] = { "cluster=demo" };
    struct aff_config_errors errors = { 0 };
    struct aff_config *c = NULL;
    (void)state;
    assert_int_equal(aff_config_load(NULL, sets, 1, &c, &errors), 0);
    assert_string_equal(c->cluster, "demo");
    assert_string_equal(c->node.data, "./data");
    aff_config_free(c);
}

static void a_keyspace_of_the_application_is_found_or_added(void **state)
{
    struct aff_config *c = load("keyspaces: { accounts: { partitions: 3 } }", NULL);
    (void)state;
    assert_int_equal(aff_config_keyspace(c, "accounts")->partitions, 3);
    assert_int_equal(aff_config_keyspace(c, "texts")->partitions, 8);
    assert_int_equal(c->keyspaces_count, 2);
    assert_string_equal(c->keyspaces[1].name, "texts");
    assert_null(aff_config_keyspace(c, "Texts"));
    assert_int_equal(c->keyspaces_count, 2);
    aff_config_free(c);
}

/* ---- what is wrong ---- */

static void every_error_is_told_with_its_place(void **state)
{
    (void)state;
    expect_errors(
        "cluster: Demo\n"
        "node:\n"
        "  loops: many\n"
        "limits: { head: 16, idle_timeout: 60 }\n"
        "http: [ { listen: 8080 } ]\n"
        "keyspaces:\n"
        "  accounts: { partitions: 0, replicas: 8 }\n"
        "  Sessions: { ttl: 1.5h }\n",
        NULL,
        "test.yaml:1:10: cluster: Demo is not a name: expected a lower-case letter, then up to 39 of a-z, 0-9 and _\n"
        "test.yaml:3:10: node.loops: many is not a whole number\n"
        "test.yaml:4:17: limits.head: 16 is not a whole number with a unit: 100B, 16KiB, 64MiB or 1GiB\n"
        "test.yaml:4:35: limits.idle_timeout: 60 is not a whole number with a unit: 500ms, 30s, 5m, 1h or 7d\n"
        "test.yaml:5:19: http.0.listen: 8080 is not an address: expected host:port, such as 127.0.0.1:8080 or "
        "[::1]:8080\n"
        "test.yaml:7:27: keyspaces.accounts.partitions: 0 is below the minimum 1\n"
        "test.yaml:7:40: keyspaces.accounts.replicas: 8 is above the maximum 7\n"
        "test.yaml:8:3: keyspaces: Sessions is not a name: expected a lower-case letter, then up to 39 of a-z, "
        "0-9 and _\n"
        "test.yaml:8:20: keyspaces.Sessions.ttl: 1.5h is not a whole number with a unit: 500ms, 30s, 5m, 1h or "
        "7d\n");
}

static void an_unknown_key_gets_the_nearest_name(void **state)
{
    (void)state;
    expect_errors(
        "clutser: demo\n"
        "node: { date: ./x }\n"
        "limits: { idle-timeout: 1s }\n"
        "keyspace: {}\n"
        "keyspaces: { a: { partition: 4 } }\n",
        NULL,
        "test.yaml:1:1: clutser: there is no such setting; is cluster meant?\n"
        "test.yaml:2:9: node.date: there is no such setting; is node.data meant?\n"
        "test.yaml:3:11: limits.idle-timeout: there is no such setting; is limits.idle_timeout meant?\n"
        "test.yaml:4:1: keyspace: there is no such setting; is keyspaces meant?\n"
        "test.yaml:5:19: keyspaces.a.partition: there is no such setting; is keyspaces.a.partitions meant?\n");
}

static void a_key_at_the_wrong_place_is_told_its_right_one(void **state)
{
    (void)state;
    expect_errors("listen: 127.0.0.1:80\nttl: 1h\nhttp: [ { idle_timeout: 1s } ]\n", NULL,
                  "test.yaml:1:1: listen: there is no such setting; is http.<n>.listen meant?\n"
                  "test.yaml:2:1: ttl: there is no such setting; is keyspaces.<name>.ttl meant?\n"
                  "test.yaml:3:11: http.0.idle_timeout: there is no such setting; is limits.idle_timeout meant?\n");
}

static void a_key_like_no_other_is_told_the_names_there(void **state)
{
    (void)state;
    expect_errors("log: { colours: true }\ndatabase: x\n", NULL,
                  "test.yaml:1:8: log.colours: there is no such setting; here are format, level\n"
                  "test.yaml:2:1: database: there is no such setting; here are cluster, mode, node, limits, changelog, "
                  "embedded, kafka, coordinator, zookeeper, peer, log, json, cors, gzip, http, keyspaces\n");
}

static void a_key_given_twice_is_an_error(void **state)
{
    (void)state;
    expect_errors("cluster: a\nnode: { name: n1, data: x, name: n2 }\ncluster: b\n", NULL,
                  "test.yaml:2:28: name is given twice; line 2 has it already\n"
                  "test.yaml:3:1: cluster is given twice; line 1 has it already\n");
}

static void a_list_a_map_and_a_value_are_not_taken_for_each_other(void **state)
{
    (void)state;
    expect_errors("- cluster\n", NULL, "test.yaml:1:1: expected a map of settings, not a list\n");
    expect_errors("cluster: { a: b }\n"
                  "node: n1\n"
                  "http: { listen: 127.0.0.1:80 }\n"
                  "keyspaces: [ accounts ]\n",
                  NULL,
                  "test.yaml:1:10: cluster: expected one value, not a map\n"
                  "test.yaml:2:7: node: expected a map of settings, not a single value\n"
                  "test.yaml:3:7: http: expected a list of entries, not a map\n"
                  "test.yaml:4:12: keyspaces: expected a map of names, not a list\n");
    expect_errors("http: [ 127.0.0.1:80 ]\nkeyspaces: { a: 5 }\n", NULL,
                  "test.yaml:1:9: http.0: expected a map of settings, not a single value\n"
                  "test.yaml:2:17: keyspaces.a: expected a map of settings, not a single value\n");
}

static void a_word_that_is_none_of_those_is_told_them(void **state)
{
    (void)state;
    expect_errors("changelog: disk\n", NULL, "test.yaml:1:12: changelog: disk is not one of embedded|memory|kafka\n");
}

static void production_has_rules_that_development_has_not(void **state)
{
    static const char text[] = "changelog: memory\n"
                               "keyspaces:\n"
                               "  a: { compaction_lag: 59m }\n"
                               "  b: { compaction_lag: 1h, tombstone_retention: 6d }\n";
    (void)state;
    expect_errors(
        text, NULL,
        "test.yaml:1:12: changelog: memory loses everything when the process ends: use embedded, or set "
        "mode: development\n"
        "test.yaml:3:24: keyspaces.a.compaction_lag: 59m is below the minimum 1h for production (mode: development "
        "allows it)\n"
        "test.yaml:4:49: keyspaces.b.tombstone_retention: 6d is below the minimum 7d for production (mode: "
        "development allows it)\n");
    aff_config_free(load(text, (sets_t){ "mode=development" }));
}

static void limits_must_fit_each_other(void **state)
{
    (void)state;
    expect_errors("limits: { head: 4KiB, body: 2MiB, bodies: 1MiB }\n"
                  "http: [ { listen: 127.0.0.1:80 }, { listen: 127.0.0.1:81 }, { listen: 127.0.0.1:80 } ]\n",
                  NULL,
                  "test.yaml:1:17: limits.target: 8KiB is above limits.head, which is 4KiB\n"
                  "test.yaml:1:43: limits.bodies: 1MiB is below limits.body, which is 2MiB\n"
                  "test.yaml:2:71: http.2.listen: 127.0.0.1:80 is the address of http.0 already\n");
    aff_config_free(load("http: [ { listen: 127.0.0.1:0 }, { listen: 127.0.0.1:0 } ]\n", NULL));
}

static void errors_beyond_a_thousand_are_not_kept(void **state)
{
    char *text = malloc(200000), *end = text;
    (void)state;
    for (unsigned i = 0; i < 5000; i++)
        end += sprintf(end, "unknown%u: 1\n", i);
    struct aff_config_errors errors = { 0 };
    struct aff_config *config = NULL;
    assert_int_equal(aff_config_parse("x", aff_str(text), NULL, 0, &config, &errors), AFF_ECONFIG);
    assert_int_equal(errors.count, 1000);
    assert_true(errors.more);
    char *shown = printed(&errors);
    assert_non_null(strstr(shown, "\nthere are more errors than these 1000\n"));
    free(shown);
    free(text);
    aff_config_errors_fini(&errors);
}

/* ---- files ---- */

static void a_file_that_cannot_be_read_is_named(void **state)
{
    struct aff_config_errors errors = { 0 };
    struct aff_config *config = NULL;
    (void)state;
    assert_int_equal(aff_config_load("/nowhere/affinity.yaml", NULL, 0, &config, &errors), AFF_ECONFIG);
    assert_int_equal(aff_config_load("/", NULL, 0, &config, &errors), AFF_ECONFIG);
    char *shown = printed(&errors);
    assert_string_equal(shown, "/nowhere/affinity.yaml: cannot be read: No such file or directory\n"
                               "/: cannot be read: Is a directory\n");
    free(shown);
    aff_config_errors_fini(&errors);
}

static void a_file_of_more_than_a_mebibyte_is_refused(void **state)
{
    char path[] = "/tmp/affinity-config-XXXXXX";
    int fd = mkstemp(path);
    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (1 << 20) + 1), 0);
    struct aff_config_errors errors = { 0 };
    struct aff_config *config = NULL;
    int status = aff_config_load(path, NULL, 0, &config, &errors);
    close(fd);
    unlink(path);
    assert_int_equal(status, AFF_ECONFIG);
    assert_string_equal(errors.items[0].text, "the file is larger than 1 MiB");
    aff_config_errors_fini(&errors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_file_has_every_default),
        cmocka_unit_test(what_the_file_says_is_in_the_struct),
        cmocka_unit_test(keyspaces_keep_their_order_and_fill_up_with_defaults),
        cmocka_unit_test(sections_and_values_left_empty_take_their_defaults),
        cmocka_unit_test(what_is_quoted_is_text),
        cmocka_unit_test(the_example_file_is_valid),
        cmocka_unit_test(without_a_file_there_are_the_defaults_and_the_overrides),
        cmocka_unit_test(a_keyspace_of_the_application_is_found_or_added),
        cmocka_unit_test(every_error_is_told_with_its_place),
        cmocka_unit_test(an_unknown_key_gets_the_nearest_name),
        cmocka_unit_test(a_key_at_the_wrong_place_is_told_its_right_one),
        cmocka_unit_test(a_key_like_no_other_is_told_the_names_there),
        cmocka_unit_test(a_key_given_twice_is_an_error),
        cmocka_unit_test(a_list_a_map_and_a_value_are_not_taken_for_each_other),
        cmocka_unit_test(a_word_that_is_none_of_those_is_told_them),
        cmocka_unit_test(production_has_rules_that_development_has_not),
        cmocka_unit_test(limits_must_fit_each_other),
        cmocka_unit_test(errors_beyond_a_thousand_are_not_kept),
        cmocka_unit_test(a_file_that_cannot_be_read_is_named),
        cmocka_unit_test(a_file_of_more_than_a_mebibyte_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
