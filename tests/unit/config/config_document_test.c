/*
 * config_document_test.c - YAML as far as the configuration takes it: aliases, merge keys, bounds, what is no YAML.
 */
#include "helper.h"

static void an_alias_is_what_it_names(void **state)
{
    struct aff_config *c = load("keyspaces:\n"
                                "  a: &wide { partitions: 64, ttl: 1h }\n"
                                "  b: *wide\n",
                                NULL);
    (void)state;
    assert_int_equal(c->keyspaces[1].partitions, 64);
    assert_int_equal(c->keyspaces[1].ttl_ms, 3600000);
    aff_config_free(c);
}

static void a_merged_map_yields_to_own_keys(void **state)
{
    struct aff_config *c = load("keyspaces:\n"
                                "  a: &wide { partitions: 64, ttl: 1h }\n"
                                "  b: { <<: *wide, partitions: 2 }\n"
                                "  c: { partitions: 3, <<: [ { max_value: 5B }, *wide ] }\n",
                                NULL);
    (void)state;
    assert_int_equal(c->keyspaces[1].partitions, 2);
    assert_int_equal(c->keyspaces[1].ttl_ms, 3600000);
    assert_int_equal(c->keyspaces[2].partitions, 3);
    assert_int_equal(c->keyspaces[2].max_value, 5);
    assert_int_equal(c->keyspaces[2].ttl_ms, 3600000);
    aff_config_free(c);
}

static void what_is_wrong_with_an_alias_is_told(void **state)
{
    (void)state;
    expect_errors("keyspaces:\n  a: *other\n", NULL, "test.yaml:2:6: *other: there is no complete &other before it\n");
    expect_errors("keyspaces: &all\n  a: *all\n", NULL, "test.yaml:2:6: *all: there is no complete &all before it\n");
    expect_errors("keyspaces: { a: { <<: 5 } }\n", NULL,
                  "test.yaml:1:23: <<: expected a map, an alias of one, or a list of these\n");
}

static void an_error_behind_an_alias_is_told_for_each_use(void **state)
{
    (void)state;
    expect_errors("keyspaces:\n  a: &x { partitions: 0 }\n  b: *x\n", NULL,
                  "test.yaml:2:23: keyspaces.a.partitions: 0 is below the minimum 1\n"
                  "test.yaml:2:23: keyspaces.b.partitions: 0 is below the minimum 1\n");
}

/* Nine levels, each ten aliases of the one below: 10^9 values if they were copied. */
static void aliases_do_not_multiply(void **state)
{
    char text[4096] = "cluster: demo\nl0: &l0 [x,x,x,x,x,x,x,x,x,x]\n", *end = text + strlen(text);
    (void)state;
    for (unsigned i = 1; i < 9; i++) {
        end += sprintf(end, "l%u: &l%u [", i, i);
        for (unsigned j = 0; j < 10; j++)
            end += sprintf(end, "%s*l%u", j ? "," : "", i - 1);
        end += sprintf(end, "]\n");
    }
    struct aff_config_errors errors = { 0 };
    struct aff_config *config = NULL;
    assert_int_equal(aff_config_parse("x", aff_str(text), NULL, 0, &config, &errors), AFF_ECONFIG);
    assert_int_equal(errors.count, 9); /* nine unknown keys, and that is all */
    aff_config_errors_fini(&errors);
}

/* Each map merges the one before twice: 2^40 pairs if there were no bound. */
static void merged_maps_do_not_multiply(void **state)
{
    char text[4096] = "m0: &m0 { a0: 1, b0: 1 }\n", *end = text + strlen(text);
    (void)state;
    for (unsigned i = 1; i < 40; i++)
        end += sprintf(end, "m%u: &m%u { a%u: 1, <<: [ *m%u, *m%u ] }\n", i, i, i, i - 1, i - 1);
    struct aff_config_errors errors = { 0 };
    struct aff_config *config = NULL;
    assert_int_equal(aff_config_parse("x", aff_str(text), NULL, 0, &config, &errors), AFF_ECONFIG);
    assert_int_equal(errors.count, 40);
    aff_config_errors_fini(&errors);
}

static void nesting_values_anchors_and_directives_are_bounded(void **state)
{
    char *text = calloc(1, 400000), *end = text;
    (void)state;
    memset(text, '[', 33);
    expect_errors(text, NULL, "test.yaml:1:33: lists and maps are nested deeper than 32\n");
    end += sprintf(end, "a: [");
    for (unsigned i = 0; i < 60000; i++)
        end += sprintf(end, "x,%s", i % 100 ? "" : "\n");
    sprintf(end, "]");
    expect_errors(text, NULL, "test.yaml:501:193: there are more than 50000 values\n");
    end = text + sprintf(text, "a: [");
    for (unsigned i = 0; i < 101; i++)
        end += sprintf(end, "&a%u x,\n", i);
    sprintf(end, "]");
    expect_errors(text, NULL, "test.yaml:101:1: there are more than 100 anchors\n");
    end = text;
    for (unsigned i = 0; i < 17; i++)
        end += sprintf(end, "%%TAG !a%u! tag:x\n", i);
    sprintf(end, "---\ncluster: a\n");
    expect_errors(text, NULL, "test.yaml: there are more than 16 %TAG directives\n");
    free(text);
}

static void what_is_not_yaml_is_told_with_its_place(void **state)
{
    (void)state;
    expect_errors("cluster: demo\nnode: { name: n1\nhttp: []\n", NULL,
                  "test.yaml:3:5: this is not YAML: while parsing a flow mapping, did not find expected ',' or '}'\n");
    expect_errors("cluster: \"demo\n", NULL,
                  "test.yaml:2:1: this is not YAML: while scanning a quoted scalar, found unexpected end of stream\n");
    expect_errors(
        "\tcluster: demo\n", NULL,
        "test.yaml:1:1: this is not YAML: while scanning for the next token, found character that cannot start "
        "any token\n");
    expect_errors_bytes(aff_bytes_of("cluster: \xff\n", 11), NULL,
                        "test.yaml:1:1: this is not YAML: at byte 9, invalid leading UTF-8 octet\n");
}

static void there_is_one_document_with_plain_keys_and_no_tags(void **state)
{
    (void)state;
    expect_errors("cluster: a\n---\ncluster: b\n", NULL,
                  "test.yaml:2:1: a second document begins here; a file has one\n");
    expect_errors("? [a, b]\n: c\n", NULL, "test.yaml:1:3: a key must be one word, not a list or map\n");
    expect_errors("cluster: !!str demo\n", NULL,
                  "test.yaml:1:10: tags such as tag:yaml.org,2002:str have no meaning here: leave it out\n");
    aff_config_free(load("--- # one document\ncluster: a\n...\n", NULL));
}

static void names_of_other_words_are_names_when_they_are_keys(void **state)
{
    struct aff_config *c = load("keyspaces: { null: { partitions: 2 }, true: {} }\n", NULL);
    (void)state;
    assert_string_equal(c->keyspaces[0].name, "null");
    assert_string_equal(c->keyspaces[1].name, "true");
    aff_config_free(c);
}

/* ---- overrides ---- */

static void an_override_wins_over_the_file_and_a_later_one_over_an_earlier(void **state)
{
    struct aff_config *c = load("cluster: demo\nnode: { name: n1 }\n",
                                (sets_t){ "node.name=n2", "node.name=n3", "node.data=/tmp/a=b", "log.level=warn" });
    (void)state;
    assert_string_equal(c->cluster, "demo");
    assert_string_equal(c->node.name, "n3");
    assert_string_equal(c->node.data, "/tmp/a=b");
    assert_int_equal(c->log.level, AFF_LOG_WARN);
    aff_config_free(c);
}

static void an_override_can_add_entries(void **state)
{
    struct aff_config *c = load(
        "http: [ { listen: 127.0.0.1:80 } ]\n",
        (sets_t){ "http.0.listen=127.0.0.1:0", "http.1.listen=[::1]:0", "keyspaces.a.ttl=5m", "keyspaces.b=" });
    (void)state;
    assert_int_equal(c->http_count, 2);
    assert_int_equal(c->http[0].listen.port, 0);
    assert_string_equal(c->http[1].listen.host, "::1");
    assert_int_equal(c->keyspaces_count, 2);
    assert_int_equal(c->keyspaces[0].ttl_ms, 300000);
    assert_string_equal(c->keyspaces[1].name, "b");
    aff_config_free(c);
}

static void an_empty_override_takes_the_default_back(void **state)
{
    struct aff_config *c = load("node: { name: other }\nkeyspaces: { a: { ttl: 1h } }\n",
                                (sets_t){ "keyspaces.a.ttl=", "node.name=" });
    (void)state;
    assert_int_equal(c->keyspaces[0].ttl_ms, 0);
    assert_string_equal(c->node.name, "n1");
    aff_config_free(c);
}

static void an_override_does_not_reach_other_aliases(void **state)
{
    struct aff_config *c = load("keyspaces: { a: &x { partitions: 4 }, b: *x }\n",
                                (sets_t){ "keyspaces.b.partitions=5" });
    (void)state;
    assert_int_equal(c->keyspaces[0].partitions, 4);
    assert_int_equal(c->keyspaces[1].partitions, 5);
    aff_config_free(c);
}

static void errors_of_overrides_name_the_override_and_stand_last(void **state)
{
    (void)state;
    expect_errors(
        "cluster: Demo\n", (sets_t){ "node.loops=-1", "node.nmae=x", "keyspaces.A.partitions=1" },
        "test.yaml:1:10: cluster: Demo is not a name: expected a lower-case letter, then up to 39 of a-z, 0-9 and "
        "_\n"
        "--set 1: node.loops: -1 is not a whole number\n"
        "--set 2: node.nmae: there is no such setting; is node.name meant?\n"
        "--set 3: keyspaces: A is not a name: expected a lower-case letter, then up to 39 of a-z, 0-9 and _\n");
}

static void an_override_that_is_no_path_and_value_is_told_how(void **state)
{
    (void)state;
    expect_errors("http: [ {} ]\n",
                  (sets_t){ "cluster", "=x", "node..name=x", "node.=x", "http.2.listen=x", "http.a=x", "cluster=a",
                            "cluster.b=c" },
                  "--set 1: cluster: expected path=value, such as node.data=./data\n"
                  "--set 2: =x: expected path=value, such as node.data=./data\n"
                  "--set 3: node..name: a name is empty; expected a path such as node.data or http.0.listen\n"
                  "--set 4: node.: a name is empty; expected a path such as node.data or http.0.listen\n"
                  "--set 5: http.2.listen: 2 must be the number of an entry, from 0 to 1\n"
                  "--set 6: http.a: a must be the number of an entry, from 0 to 1\n"
                  "--set 8: cluster.b: there is nothing below the value a\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_alias_is_what_it_names),
        cmocka_unit_test(a_merged_map_yields_to_own_keys),
        cmocka_unit_test(what_is_wrong_with_an_alias_is_told),
        cmocka_unit_test(an_error_behind_an_alias_is_told_for_each_use),
        cmocka_unit_test(aliases_do_not_multiply),
        cmocka_unit_test(merged_maps_do_not_multiply),
        cmocka_unit_test(nesting_values_anchors_and_directives_are_bounded),
        cmocka_unit_test(what_is_not_yaml_is_told_with_its_place),
        cmocka_unit_test(there_is_one_document_with_plain_keys_and_no_tags),
        cmocka_unit_test(names_of_other_words_are_names_when_they_are_keys),
        cmocka_unit_test(an_override_wins_over_the_file_and_a_later_one_over_an_earlier),
        cmocka_unit_test(an_override_can_add_entries),
        cmocka_unit_test(an_empty_override_takes_the_default_back),
        cmocka_unit_test(an_override_does_not_reach_other_aliases),
        cmocka_unit_test(errors_of_overrides_name_the_override_and_stand_last),
        cmocka_unit_test(an_override_that_is_no_path_and_value_is_told_how),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
