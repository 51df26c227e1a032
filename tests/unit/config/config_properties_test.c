/*
 * config_properties_test.c - properties of Kafka: any name, kept as text with its place; what is wrong with them is told
 * there; secrets are not printed.
 */
#include "helper.h"

static const char *value_of(const struct aff_config_properties *properties, const char *name)
{
    for (size_t i = 0; i < properties->count; i++)
        if (strcmp(properties->items[i].name, name) == 0)
            return properties->items[i].value;
    return NULL;
}

static void any_property_is_kept_as_text(void **state)
{
    struct aff_config *c = load("changelog: kafka\n"
                                "mode: development\n"
                                "kafka:\n"
                                "  bootstrap.servers: \"127.0.0.1:9092,127.0.0.1:9093\"\n"
                                "  socket.keepalive.enable: true\n"
                                "  linger.ms: 0.5\n"
                                "  sasl.password: \"\"\n"
                                "  statistics.interval.ms:\n"
                                "  producers: 8\n"
                                "  start_timeout: 2m\n"
                                "  topic: { segment.ms: 1000, cleanup.policy: compact }\n"
                                "  ssl.ca.pem: |\n"
                                "    -----BEGIN-----\n"
                                "    xyz\n",
                                NULL);
    (void)state;
    assert_int_equal(c->changelog, AFF_CHANGELOG_KAFKA);
    assert_string_equal(value_of(&c->kafka.properties, "bootstrap.servers"), "127.0.0.1:9092,127.0.0.1:9093");
    assert_string_equal(value_of(&c->kafka.properties, "socket.keepalive.enable"), "true");
    assert_string_equal(value_of(&c->kafka.properties, "linger.ms"), "0.5");
    assert_string_equal(value_of(&c->kafka.properties, "sasl.password"), "");
    assert_null(value_of(&c->kafka.properties, "statistics.interval.ms"));
    assert_string_equal(value_of(&c->kafka.properties, "ssl.ca.pem"), "-----BEGIN-----\nxyz\n");
    assert_int_equal(c->kafka.properties.count, 5);
    assert_int_equal(c->kafka.properties.items[2].mark.line, 6);
    assert_int_equal(c->kafka.properties.items[2].mark.column, 14);
    assert_int_equal(c->kafka.producers, 8);
    assert_int_equal(c->kafka.start_timeout_ms, 120000);
    assert_int_equal(c->kafka.topic.count, 2);
    assert_string_equal(value_of(&c->kafka.topic, "segment.ms"), "1000");
    aff_config_free(c);
}

static void an_override_takes_the_dots_of_a_property_as_its_name(void **state)
{
    struct aff_config *c = load("kafka: { bootstrap.servers: \"a:1\", acks: all }\n",
                                (sets_t){ "kafka.bootstrap.servers=b:2", "kafka.producers=2",
                                          "kafka.topic.segment.ms=5", "kafka.acks=", "mode=development" });
    (void)state;
    assert_int_equal(c->kafka.properties.count, 1);
    assert_string_equal(value_of(&c->kafka.properties, "bootstrap.servers"), "b:2");
    assert_int_equal(c->kafka.properties.items[0].mark.set, 1);
    assert_int_equal(c->kafka.producers, 2);
    assert_string_equal(value_of(&c->kafka.topic, "segment.ms"), "5");
    aff_config_free(c);
    c = load("", (sets_t){ "changelog=kafka", "kafka.bootstrap.servers=127.0.0.1:1" });
    assert_string_equal(value_of(&c->kafka.properties, "bootstrap.servers"), "127.0.0.1:1");
    aff_config_free(c);
}

static void what_cannot_be_a_property_is_told_with_its_place(void **state)
{
    (void)state;
    expect_errors(
        "kafka:\n"
        "  bootstrap: { servers: x }\n"
        "  bootstrap.servers: [ a, b ]\n"
        "  \"with space\": 1\n"
        "  client.id: \"\\a\"\n"
        "  producers: 65\n"
        "  topic: 7\n",
        NULL,
        "test.yaml:2:14: kafka.bootstrap: expected one value, not a map: the name of a property is written "
        "with its dots, such as bootstrap.servers\n"
        "test.yaml:3:22: kafka.bootstrap.servers: expected one value, not a list: several are one text, with "
        "commas between them\n"
        "test.yaml:4:3: kafka.with space: is not the name of a property: expected a letter, then up to 127 of "
        "a-z, A-Z, 0-9, dots, _ and -\n"
        "test.yaml:5:14: kafka.client.id: is not text in UTF-8 without control characters\n"
        "test.yaml:6:14: kafka.producers: 65 is above the maximum 64\n"
        "test.yaml:7:10: kafka.topic: expected a map of properties, not a single value\n");
    expect_errors("", (sets_t){ "kafka.=1" },
                  "--set 1: kafka.: a name is empty; expected a path such as node.data or http.0.listen\n");
}

static void kafka_needs_a_broker_and_production_its_topics(void **state)
{
    static const char text[] = "changelog: kafka\n"
                               "kafka: { client.id: me, topic: { segment.ms: 1, retention.ms: 2 } }\n";
    (void)state;
    expect_errors(text, NULL,
                  "test.yaml:1:12: changelog: kafka needs kafka.bootstrap.servers: host:port of some brokers, with "
                  "commas between them\n"
                  "test.yaml:2:46: kafka.topic.segment.ms: in production topics are as Affinity makes them (mode: "
                  "development allows other settings)\n"
                  "test.yaml:2:63: kafka.topic.retention.ms: in production topics are as Affinity makes them (mode: "
                  "development allows other settings)\n");
    aff_config_free(load(text, (sets_t){ "mode=development", "kafka.bootstrap.servers=127.0.0.1:1" }));
    aff_config_free(load(text, (sets_t){ "mode=development", "kafka.metadata.broker.list=127.0.0.1:1" }));
    aff_config_free(load(text, (sets_t){ "mode=development", "changelog=embedded" }));
}

static void secrets_are_not_printed(void **state)
{
    struct aff_config *c = load("mode: development\n"
                                "kafka:\n"
                                "  sasl.username: me\n"
                                "  sasl.password: hidden\n"
                                "  ssl.key.password: hidden\n"
                                "  ssl.key.pem: hidden\n"
                                "  ssl.ca.pem: \"a\\n\\tb\"\n"
                                "  sasl.oauthbearer.client.secret: hidden\n"
                                "  sasl.oauthbearer.config: hidden\n"
                                "  topic: { segment.ms: 1000 }\n",
                                NULL);
    char *text = printed_config(c);
    (void)state;
    assert_null(strstr(text, "hidden"));
    assert_non_null(strstr(text, "kafka:\n"
                                 "  sasl.username: \"me\"\n"
                                 "  sasl.password: \"***\"\n"
                                 "  ssl.key.password: \"***\"\n"
                                 "  ssl.key.pem: \"***\"\n"
                                 "  ssl.ca.pem: \"a\\n\\tb\"\n"
                                 "  sasl.oauthbearer.client.secret: \"***\"\n"
                                 "  sasl.oauthbearer.config: \"***\"\n"
                                 "  producers: 0\n"
                                 "  topic:\n"
                                 "    segment.ms: \"1000\"\n"));
    struct aff_config *again = load(text, NULL);
    assert_string_equal(value_of(&again->kafka.properties, "ssl.ca.pem"), "a\n\tb");
    assert_string_equal(value_of(&again->kafka.topic, "segment.ms"), "1000");
    aff_config_free(again);
    free(text);
    aff_config_free(c);
}

/* What librdkafka or a topic does not like gets the place of the property that the text begins with. */
static void what_the_driver_refuses_gets_its_place(void **state)
{
    struct aff_config *c = load("mode: development\nkafka: { acks: 1, topic: { segment.ms: -1 } }\n", NULL);
    struct aff_config_errors errors = { 0 };
    (void)state;
    aff_config_refuse(c, "kafka: acks cannot be '1'", &errors);
    aff_config_refuse(c, "kafka.topic.segment.ms: -1 is refused", &errors);
    aff_config_refuse(c, "kafka: everything is wrong", &errors);
    char *shown = printed(&errors);
    assert_string_equal(shown, "test.yaml:2:16: kafka.acks cannot be '1'\n"
                               "test.yaml:2:40: kafka.topic.segment.ms: -1 is refused\n"
                               "test.yaml: kafka: everything is wrong\n");
    free(shown);
    aff_config_errors_fini(&errors);
    aff_config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_property_is_kept_as_text),
        cmocka_unit_test(an_override_takes_the_dots_of_a_property_as_its_name),
        cmocka_unit_test(what_cannot_be_a_property_is_told_with_its_place),
        cmocka_unit_test(kafka_needs_a_broker_and_production_its_topics),
        cmocka_unit_test(secrets_are_not_printed),
        cmocka_unit_test(what_the_driver_refuses_gets_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
