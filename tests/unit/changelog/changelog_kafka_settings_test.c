/*
 * changelog_kafka_settings_test.c - what librdkafka is told: what is fixed and refused, what is chosen and may be changed,
 * what passes through, to whom; and librdkafka's log lines in ours.
 */
#include "changelog/kafka/settings.h"

#include "changelog/kafka/rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { PROPERTIES_MOST = 8, VALUE_MAX = 512 };

#define BROKERS "127.0.0.1:1"

/* Up to PROPERTIES_MOST pairs, and bootstrap.servers. */
static int make(const struct aff_kafka_property *properties, struct aff_kafka_settings **ret_settings, aff_error *err)
{
    struct aff_kafka_property all[PROPERTIES_MOST + 1] = { { "bootstrap.servers", BROKERS } };
    size_t count = 1;
    *err = (aff_error){ .code = 0 };
    for (; properties && properties->name; properties++) {
        assert_true(count <= PROPERTIES_MOST);
        all[count++] = *properties;
    }
    return aff_kafka_settings_new(all, count, ret_settings, err);
}

static struct aff_kafka_settings *made(const struct aff_kafka_property *properties)
{
    struct aff_kafka_settings *settings = NULL;
    aff_error err;
    if (make(properties, &settings, &err))
        fail_msg("%s", err.text);
    return settings;
}

static struct aff_kafka_settings *made_of(const char *name, const char *value)
{
    const struct aff_kafka_property properties[] = { { name, value }, { NULL, NULL } };
    return made(properties);
}

/* The settings are refused, and the text has all of `parts`. */
static void assert_refused(const char *name, const char *value, const char *const *parts)
{
    const struct aff_kafka_property properties[] = { { name, value }, { NULL, NULL } };
    struct aff_kafka_settings *settings = NULL;
    aff_error err;
    if (make(properties, &settings, &err) != AFF_ECONFIG)
        fail_msg("%s=%s was taken", name, value);
    assert_null(settings);
    assert_int_equal(err.code, AFF_ECONFIG);
    for (; *parts; parts++)
        if (!strstr(err.text, *parts))
            fail_msg("%s=%s: '%s' does not tell '%s'", name, value, err.text, *parts);
}

#define ASSERT_REFUSED(name, value, ...) assert_refused((name), (value), (const char *const[]){ __VA_ARGS__, NULL })

static void value_in(const struct aff_kafka_settings *settings, enum aff_kafka_role role, const char *name,
                     char value[VALUE_MAX])
{
    rd_kafka_conf_t *conf = aff_kafka_conf(settings, role, NULL);
    size_t size = VALUE_MAX;
    if (rd_kafka_conf_get(conf, name, value, &size) != RD_KAFKA_CONF_OK)
        value[0] = '\0';
    rd_kafka_conf_destroy(conf);
}

static void assert_value(const struct aff_kafka_settings *settings, enum aff_kafka_role role, const char *name,
                         const char *wanted)
{
    char found[VALUE_MAX];
    value_in(settings, role, name, found);
    if (strcmp(found, wanted) != 0)
        fail_msg("role %d: %s is '%s', not '%s'", (int)role, name, found, wanted);
}

/* ---- what we have a word on ---- */

static void every_rule_holds_in_its_roles(void **state)
{
    struct aff_kafka_settings *settings = made(NULL);
    size_t count;
    const struct aff_kafka_rule *rules = aff_kafka_rules(&count);
    (void)state;
    for (size_t i = 0; i < count; i++)
        for (int role = 0; role < AFF_KAFKA_ROLES; role++) {
            const char *wanted = rules[i].value ? rules[i].value : "";
            if (strcmp(wanted, "all") == 0)
                wanted = "-1"; /* as librdkafka prints it */
            if (rules[i].roles & 1u << role && rules[i].kind != AFF_KAFKA_OPTIONAL)
                assert_value(settings, (enum aff_kafka_role)role, rules[i].name, wanted);
        }
    aff_kafka_settings_free(settings);
}

/* Another value than the fixed one that librdkafka would take. */
static const char *other_value(const char *value)
{
    static const struct {
        const char *value, *other;
    } others[] = {
        { "true", "false" }, { "false", "true" },   { "all", "1" },           { "error", "earliest" },
        { "0", "1000" },     { "2147483647", "5" }, { "2228224", "1000000" }, { "read_uncommitted", "read_committed" },
    };
    for (size_t i = 0; value && i < sizeof others / sizeof *others; i++)
        if (strcmp(value, others[i].value) == 0)
            return others[i].other;
    return "other";
}

static void what_is_fixed_is_refused_with_the_reason(void **state)
{
    size_t count;
    const struct aff_kafka_rule *rules = aff_kafka_rules(&count);
    (void)state;
    for (size_t i = 0; i < count; i++)
        if (rules[i].kind == AFF_KAFKA_FIXED)
            ASSERT_REFUSED(rules[i].name, other_value(rules[i].value), rules[i].name, rules[i].why);
}

static void a_fixed_value_may_be_written_out(void **state)
{
    static const struct aff_kafka_property properties[] = {
        { "acks", "all" },
        { "request.required.acks", "-1" },
        { "enable.idempotence", "true" },
        { "message.timeout.ms", "0" },
        { "auto.offset.reset", "error" },
        { NULL, NULL },
    };
    (void)state;
    aff_kafka_settings_free(made(properties));
}

static void other_names_of_a_fixed_property_are_caught(void **state)
{
    (void)state;
    ASSERT_REFUSED("request.required.acks", "1", "request.required.acks", "acks is always all");
    ASSERT_REFUSED("delivery.timeout.ms", "5000", "delivery.timeout.ms", "message.timeout.ms is always 0");
    ASSERT_REFUSED("retries", "3", "retries");
}

static void what_is_chosen_may_be_changed(void **state)
{
    static const struct aff_kafka_property properties[] = {
        { "queue.buffering.max.ms", "2" }, /* linger.ms by its other name */
        { "client.id", "mine" },           { "fetch.wait.max.ms", "250" },
        { "socket.timeout.ms", "20000" },  { NULL, NULL },
    };
    struct aff_kafka_settings *settings = made(properties);
    (void)state;
    assert_value(settings, AFF_KAFKA_PRODUCER, "linger.ms", "2");
    for (int role = 0; role < AFF_KAFKA_ROLES; role++) {
        assert_value(settings, (enum aff_kafka_role)role, "client.id", "mine");
        assert_value(settings, (enum aff_kafka_role)role, "socket.timeout.ms", "20000");
        assert_value(settings, (enum aff_kafka_role)role, "bootstrap.servers", BROKERS);
    }
    assert_value(settings, AFF_KAFKA_TAIL, "fetch.wait.max.ms", "250");
    assert_value(settings, AFF_KAFKA_CATCH_UP, "fetch.wait.max.ms", "250");
    aff_kafka_settings_free(settings);
}

static void everything_else_passes_through(void **state)
{
    static const struct aff_kafka_property properties[] = {
        { "compression.type", "lz4" }, { "security.protocol", "sasl_plaintext" },
        { "sasl.mechanism", "PLAIN" }, { "sasl.username", "u" },
        { "sasl.password", "p" },      { NULL, NULL },
    };
    struct aff_kafka_settings *settings = made(properties);
    (void)state;
    assert_value(settings, AFF_KAFKA_PRODUCER, "compression.codec", "lz4");
    for (int role = 0; role < AFF_KAFKA_ROLES; role++)
        assert_value(settings, (enum aff_kafka_role)role, "sasl.username", "u");
    aff_kafka_settings_free(settings);
}

/* To the wrong role they would only make librdkafka warn, for each instance. */
static void a_property_is_given_to_the_roles_that_it_is_for(void **state)
{
    static const struct aff_kafka_property properties[] = {
        { "batch.num.messages", "77" },
        { "fetch.min.bytes", "2" },
        { NULL, NULL },
    };
    struct aff_kafka_settings *settings = made(properties);
    (void)state;
    assert_value(settings, AFF_KAFKA_PRODUCER, "batch.num.messages", "77");
    assert_value(settings, AFF_KAFKA_PRODUCER, "fetch.min.bytes", "1");
    assert_value(settings, AFF_KAFKA_TAIL, "fetch.min.bytes", "2");
    assert_value(settings, AFF_KAFKA_CATCH_UP, "batch.num.messages", "10000");
    assert_value(settings, AFF_KAFKA_ADMIN, "batch.num.messages", "10000");
    assert_value(settings, AFF_KAFKA_ADMIN, "fetch.min.bytes", "1");
    assert_value(settings, AFF_KAFKA_ADMIN, "enable.idempotence", "false");
    aff_kafka_settings_free(settings);
}

/* ---- what is wrong ---- */

static void what_librdkafka_does_not_take_is_told_in_its_words(void **state)
{
    (void)state;
    ASSERT_REFUSED("linger", "5", "linger", "No such configuration property");
    ASSERT_REFUSED("linger.ms", "soon", "linger.ms", "Invalid value");
    ASSERT_REFUSED("socket.timeout.ms", "1", "socket.timeout.ms", "range");
    ASSERT_REFUSED("dr_msg_cb", "x", "dr_msg_cb", "dedicated");
}

static void what_shows_only_in_an_instance_is_told_too(void **state)
{
    static const struct aff_kafka_property properties[] = {
        { "security.protocol", "ssl" },
        { "ssl.ca.location", "/nowhere/ca.pem" },
        { NULL, NULL },
    };
    struct aff_kafka_settings *settings = NULL;
    aff_error err;
    (void)state;
    ASSERT_REFUSED("max.in.flight", "6", "max.in.flight", "5");
    assert_int_equal(make(properties, &settings, &err), AFF_ECONFIG);
    assert_non_null(strstr(err.text, "ssl.ca.location"));
}

static void brokers_must_be_named(void **state)
{
    static const struct aff_kafka_property none[] = { { "client.id", "x" } }, empty[] = { { "bootstrap.servers", "" } },
                                           list[] = { { "metadata.broker.list", BROKERS } };
    struct aff_kafka_settings *settings = NULL;
    aff_error err = { .code = 0 };
    (void)state;
    assert_int_equal(aff_kafka_settings_new(none, 1, &settings, &err), AFF_ECONFIG);
    assert_non_null(strstr(err.text, "bootstrap.servers"));
    assert_int_equal(aff_kafka_settings_new(empty, 1, &settings, &err), AFF_ECONFIG);
    assert_int_equal(aff_kafka_settings_new(NULL, 0, &settings, &err), AFF_ECONFIG);
    assert_int_equal(aff_kafka_settings_new(list, 1, &settings, &err), 0);
    aff_kafka_settings_free(settings);
}

static void a_property_needs_a_value(void **state)
{
    (void)state;
    ASSERT_REFUSED("client.id", NULL, "client.id", "no value");
}

/* ---- log lines ---- */

static void read_all(int fd, char *text, size_t size)
{
    size_t len = 0;
    ssize_t got;
    while (len < size - 1 && (got = read(fd, text + len, size - 1 - len)) > 0)
        len += (size_t)got;
    text[len] = '\0';
}

static void log_lines_have_one_shape_and_our_levels(void **state)
{
    int fds[2];
    char text[8192], error[128];
    struct aff_kafka_settings *settings = made_of("sasl.username", "unused"); /* librdkafka warns of it */
    (void)state;
    assert_int_equal(pipe(fds), 0);
    const struct aff_logger logger = { .fd = fds[1], .level = AFF_LOG_DEBUG };
    for (int role = 0; role < AFF_KAFKA_ROLES; role++) {
        rd_kafka_conf_t *conf = aff_kafka_conf(settings, (enum aff_kafka_role)role, &logger);
        bool reads = role == AFF_KAFKA_TAIL || role == AFF_KAFKA_CATCH_UP;
        rd_kafka_t *rk = rd_kafka_new(reads ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER, conf, error, sizeof error);
        assert_non_null(rk);
        rd_kafka_destroy(rk);
    }
    close(fds[1]);
    read_all(fds[0], text, sizeof text);
    close(fds[0]);
    assert_non_null(strstr(text, "level=warn event=kafka.client client=affinity#"));
    assert_non_null(strstr(text, "about=CONFWARN text=\"Configuration property `sasl.username` only applies"));
    /* ours make it warn of nothing: neither of what is experimental or deprecated, nor of what is for another role */
    for (const char *line = text; (line = strstr(line, "about=CONFWARN")); line++)
        if (!strstr(line, "sasl.username") || strstr(line, "sasl.username") > strchr(line, '\n'))
            fail_msg("%s", line);
    aff_kafka_settings_free(settings);
}

static void nothing_is_freed_twice(void **state)
{
    (void)state;
    assert_null(aff_kafka_settings_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rule_holds_in_its_roles),
        cmocka_unit_test(what_is_fixed_is_refused_with_the_reason),
        cmocka_unit_test(a_fixed_value_may_be_written_out),
        cmocka_unit_test(other_names_of_a_fixed_property_are_caught),
        cmocka_unit_test(what_is_chosen_may_be_changed),
        cmocka_unit_test(everything_else_passes_through),
        cmocka_unit_test(a_property_is_given_to_the_roles_that_it_is_for),
        cmocka_unit_test(what_librdkafka_does_not_take_is_told_in_its_words),
        cmocka_unit_test(what_shows_only_in_an_instance_is_told_too),
        cmocka_unit_test(brokers_must_be_named),
        cmocka_unit_test(a_property_needs_a_value),
        cmocka_unit_test(log_lines_have_one_shape_and_our_levels),
        cmocka_unit_test(nothing_is_freed_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
