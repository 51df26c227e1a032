/*
 * config_print_test.c - what is printed loads again to the same, and the reference in doc/ is the one that is printed.
 */
#include "helper.h"

static void expect_same_after_printing(const char *text, const char *const *sets)
{
    struct aff_config *first = load(text, sets);
    char *once = printed_config(first);
    struct aff_config *second = load(once, NULL);
    char *twice = printed_config(second);
    assert_string_equal(once, twice);
    assert_string_equal(first->node.data, second->node.data);
    assert_int_equal(first->http_count, second->http_count);
    assert_int_equal(first->keyspaces_count, second->keyspaces_count);
    aff_config_free(first);
    aff_config_free(second);
    free(once);
    free(twice);
}

static void what_is_printed_loads_again(void **state)
{
    (void)state;
    expect_same_after_printing("", NULL);
    expect_same_after_printing("cluster: null_\n"
                               "mode: development\n"
                               "node: { data: \"/d\xc3\xa4ten/\\\"quoted\\\" \\\\ # : {\", loops: 2 }\n"
                               "http: [ { listen: \"[::1]:0\" }, { listen: localhost:81 } ]\n"
                               "limits: { body: 1000001B, idle_timeout: 1001ms, body_min_rate: 0B }\n"
                               "keyspaces: { null: { ttl: 90m }, \"true\": { compaction_lag: 100ms } }\n",
                               NULL);
    expect_same_after_printing("cors: { origins: [ \"https://a.example\", \"http://[::1]:3000\" ], headers: X-A }\n",
                               (sets_t){ "cors.methods=GET, PUT" });
    expect_same_after_printing("cors: { methods: [] }\n", NULL);
    expect_same_after_printing("node: { name: a-1, zone: z-1 }\n"
                               "http: [ { advertise: \"h:0\" } ]\n"
                               "zookeeper: { connect: \"a:1,b:2/c\", session: 3s }\n"
                               "peer: { advertise: \"h:1\", security: plain, certificate: c, key: k, ca: a }\n"
                               "keyspaces: { a: { replicas: 1, partitions: 2, assign: { 0-1: n1 } } }\n",
                               NULL);
    expect_same_after_printing("", (sets_t){ "node.data= x ", "cluster=on", "keyspaces.y.ttl=1h" });
}

static void every_setting_is_printed(void **state)
{
    struct aff_config *c = load("node: { data: /x }\nkeyspaces: { a: { ttl: 90m } }\n", NULL);
    char *text = printed_config(c);
    (void)state;
    assert_string_equal(text, "cluster: \"affinity\"\n"
                              "mode: production\n"
                              "node:\n"
                              "  name: \"n1\"\n"
                              "  data: \"/x\"\n"
                              "  loops: 0\n"
                              "http:\n"
                              "  - listen: \"127.0.0.1:8080\"\n"
                              "limits:\n"
                              "  head: 16KiB\n"
                              "  target: 8KiB\n"
                              "  body: 1020KiB\n"
                              "  bulk: 16MiB\n"
                              "  head_timeout: 10s\n"
                              "  exchange_timeout: 30s\n"
                              "  idle_timeout: 1m\n"
                              "  connections: 10000\n"
                              "  connections_per_address: 1000\n"
                              "  rate: 0\n"
                              "  burst: 0\n"
                              "  concurrent: 0\n"
                              "  bodies: 64MiB\n"
                              "  body_min_rate: 1KiB\n"
                              "  stall_timeout: 5s\n"
                              "  master_wait: 10s\n"
                              "changelog: embedded\n"
                              "embedded:\n"
                              "  segment: 64MiB\n"
                              "  sync: fdatasync\n"
                              "  compaction: true\n"
                              "  compaction_interval: 1m\n"
                              "kafka:\n"
                              "  producers: 0\n"
                              "coordinator: embedded\n"
                              "zookeeper:\n"
                              "  session: 4s\n"
                              "  tick: 500ms\n"
                              "  away: 5m\n"
                              "peer:\n"
                              "  listen: \"127.0.0.1:0\"\n"
                              "  security: tls\n"
                              "log:\n"
                              "  format: logfmt\n"
                              "  level: info\n"
                              "json:\n"
                              "  max_depth: 128\n"
                              "cors:\n"
                              "  methods: [\"GET\", \"HEAD\", \"PUT\", \"PATCH\", \"POST\", \"DELETE\"]\n"
                              "  credentials: false\n"
                              "  max_age: 10m\n"
                              "gzip:\n"
                              "  level: 1\n"
                              "  min: 1KiB\n"
                              "  max: 256KiB\n"
                              "keyspaces:\n"
                              "  a:\n"
                              "    partitions: 8\n"
                              "    route: \"whole-key\"\n"
                              "    replicas: 2\n"
                              "    ttl: 90m\n"
                              "    require_match: false\n"
                              "    compaction_lag: 1h\n"
                              "    tombstone_retention: 7d\n"
                              "    max_value: 1020KiB\n");
    free(text);
    aff_config_free(c);
}

static void the_reference_in_doc_is_what_is_printed(void **state)
{
    char *described = NULL, *committed = calloc(1, 1 << 20);
    size_t len;
    FILE *to = open_memstream(&described, &len), *from = fopen(AFF_SOURCE_ROOT "/doc/configuration.md", "r");
    (void)state;
    assert_non_null(from);
    aff_config_describe(to);
    fclose(to);
    assert_true(fread(committed, 1, (1 << 20) - 1, from) > 0);
    fclose(from);
    if (strcmp(described, committed) != 0)
        fail_msg("doc/configuration.md is out of date: affinity check --describe > doc/configuration.md");
    free(described);
    free(committed);
}

/* The reference gives a file as an example: it must load. */
static void the_example_in_the_reference_is_valid(void **state)
{
    char *described = NULL;
    size_t len;
    FILE *to = open_memstream(&described, &len);
    (void)state;
    aff_config_describe(to);
    fclose(to);
    char *begin = strstr(described, "```yaml\n"), *end = begin ? strstr(begin, "\n```\n") : NULL;
    assert_non_null(end);
    end[1] = '\0';
    struct aff_config *c = load(begin + strlen("```yaml\n"), NULL);
    assert_int_equal(c->keyspaces_count, 2);
    aff_config_free(c);
    free(described);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_printed_loads_again),
        cmocka_unit_test(every_setting_is_printed),
        cmocka_unit_test(the_reference_in_doc_is_what_is_printed),
        cmocka_unit_test(the_example_in_the_reference_is_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
