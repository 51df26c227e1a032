/*
 * changelog_kafka_wanted_test.c - which settings a topic must have: the table of wanted.h, pure.
 */
#include "changelog/kafka/wanted.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { MINUTE = 60000, MOST = 32 };

static const struct aff_topic accounts = {
    .name = "demo.accounts",
    .partitions = 8,
    .compaction_lag_ms = 60 * MINUTE,
    .tombstone_retention_ms = 7 * 24 * 60 * MINUTE,
    .compact = true,
};

/* A topic that is right in production, in the order of the table. */
static const struct aff_kafka_property right[] = {
    { "cleanup.policy", "compact" },        { "min.compaction.lag.ms", "3600000" },
    { "delete.retention.ms", "604800000" }, { "message.timestamp.type", "LogAppendTime" },
    { "max.message.bytes", "2097152" },     { "unclean.leader.election.enable", "false" },
    { "min.insync.replicas", "2" },         { "segment.ms", "604800000" }, /* nobody's business */
};
enum { RIGHT = sizeof right / sizeof *right };

/* The right topic, with one setting as it should not be. */
struct sample {
    struct aff_kafka_property settings[MOST];
    struct aff_kafka_found found;
    aff_error err;
};

static void begin(struct sample *s)
{
    *s = (struct sample){ .found = { .partitions = 8, .replication = 3, .setting_count = RIGHT } };
    memcpy(s->settings, right, sizeof right);
    s->found.settings = s->settings;
}

static void set(struct sample *s, const char *name, const char *value)
{
    for (size_t i = 0; i < s->found.setting_count; i++)
        if (strcmp(s->settings[i].name, name) == 0)
            s->settings[i].value = value;
}

static int compare(struct sample *s, const struct aff_kafka_demand *demand)
{
    s->err = (aff_error){ .code = 0 };
    return aff_kafka_compare(demand, &s->found, &s->err);
}

static const struct aff_kafka_demand production = { .topic = &accounts };
static const struct aff_kafka_demand development = { .topic = &accounts, .development = true };

/* `text` is all that is told behind the name of the topic. */
static void assert_refused(struct sample *s, const struct aff_kafka_demand *demand, const char *text)
{
    static const char head[] = "kafka: topic demo.accounts: ";
    assert_int_equal(compare(s, demand), AFF_ECONFIG);
    assert_memory_equal(s->err.text, head, sizeof head - 1);
    assert_string_equal(s->err.text + sizeof head - 1, text);
}

/* ---- comparing ---- */

static void a_topic_that_is_right_is_taken(void **state)
{
    struct sample s;
    (void)state;
    begin(&s);
    assert_int_equal(compare(&s, &production), 0);
    assert_int_equal(compare(&s, &development), 0);
}

static void each_setting_that_differs_is_named(void **state)
{
    static const struct {
        const char *name, *found, *told;
    } cases[] = {
        { "cleanup.policy", "delete", "cleanup.policy: found delete, wanted compact" },
        { "cleanup.policy", "compact,delete", "cleanup.policy: found compact,delete, wanted compact" },
        { "min.compaction.lag.ms", "3599999", "min.compaction.lag.ms: found 3599999, wanted at least 3600000" },
        { "delete.retention.ms", "86400000", "delete.retention.ms: found 86400000, wanted at least 604800000" },
        { "message.timestamp.type", "CreateTime", "message.timestamp.type: found CreateTime, wanted LogAppendTime" },
        { "max.message.bytes", "1048588", "max.message.bytes: found 1048588, wanted at least 2097152" },
        { "unclean.leader.election.enable", "true", "unclean.leader.election.enable: found true, wanted false" },
        { "min.insync.replicas", "1", "min.insync.replicas: found 1, wanted at least 2" },
        { "min.insync.replicas", "4", "min.insync.replicas: found 4, wanted at most 3" },
    };
    struct sample s;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin(&s);
        set(&s, cases[i].name, cases[i].found);
        assert_refused(&s, &production, cases[i].told);
    }
}

static void longer_times_and_larger_records_are_taken(void **state)
{
    struct sample s;
    (void)state;
    begin(&s);
    set(&s, "min.compaction.lag.ms", "9223372036854775807");
    set(&s, "delete.retention.ms", "9223372036854775807");
    set(&s, "max.message.bytes", "10485760");
    set(&s, "min.insync.replicas", "3");
    assert_int_equal(compare(&s, &production), 0);
}

static void the_partition_count_is_fixed(void **state)
{
    struct sample s;
    (void)state;
    begin(&s);
    s.found.partitions = 12;
    assert_refused(&s, &production, "partitions: found 12, wanted 8");
    assert_refused(&s, &development, "partitions: found 12, wanted 8");
}

static void production_demands_three_replicas_and_development_none(void **state)
{
    struct sample s;
    (void)state;
    begin(&s);
    s.found.replication = 2;
    assert_refused(&s, &production, "replication factor: found 2, wanted at least 3");
    set(&s, "min.insync.replicas", "1");
    assert_int_equal(compare(&s, &development), 0);
    s.found.replication = 3;
    assert_refused(&s, &development, "min.insync.replicas: found 1, wanted at least 2");
}

static void several_differences_are_told_together(void **state)
{
    struct sample s;
    (void)state;
    begin(&s);
    set(&s, "min.insync.replicas", "1");
    set(&s, "cleanup.policy", "delete");
    assert_refused(&s, &production,
                   "cleanup.policy: found delete, wanted compact; min.insync.replicas: found 1, wanted at least 2");
}

static void what_was_made_by_kafkas_defaults_is_told_as_far_as_it_fits(void **state)
{
    static const char *const defaults[] = { "delete", "0", "86400000", "CreateTime", "1048588", "true", "1" };
    struct sample s;

    (void)state;
    begin(&s);
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
        s.settings[i].value = defaults[i];
    s.found.partitions = s.found.replication = 1;
    assert_int_equal(compare(&s, &production), AFF_ECONFIG);
    assert_non_null(strstr(s.err.text, "partitions: found 1, wanted 8; replication factor: found 1"));
    assert_non_null(strstr(s.err.text, "max.message.bytes: found 1048588"));
    assert_string_equal(s.err.text + strlen(s.err.text) - strlen("; and 2 more"), "; and 2 more");
}

static void a_setting_that_the_cluster_does_not_tell_is_missing(void **state)
{
    struct sample s;
    (void)state;
    begin(&s);
    s.settings[0].name = "other";
    assert_refused(&s, &production, "cleanup.policy: found nothing, wanted compact");
}

static void a_value_that_is_no_number_is_not_enough(void **state)
{
    struct sample s;
    (void)state;
    begin(&s);
    set(&s, "min.compaction.lag.ms", "99999999999999999999999");
    assert_refused(&s, &production, "min.compaction.lag.ms: found 99999999999999999999999, wanted at least 3600000");
}

static void development_takes_the_times_of_the_keyspace(void **state)
{
    struct aff_topic topic = accounts;
    struct aff_kafka_demand demand = { .topic = &topic, .development = true };
    struct sample s;

    (void)state;
    begin(&s);
    topic.compaction_lag_ms = 2000;
    topic.tombstone_retention_ms = 3000;
    set(&s, "min.compaction.lag.ms", "2000");
    set(&s, "delete.retention.ms", "2999");
    assert_refused(&s, &demand, "delete.retention.ms: found 2999, wanted at least 3000");
    demand.development = false;
    assert_refused(&s, &demand,
                   "min.compaction.lag.ms: found 2000, wanted at least 3600000; "
                   "delete.retention.ms: found 2999, wanted at least 604800000");
}

static void a_topic_without_compaction_keeps_everything(void **state)
{
    struct aff_topic topic = accounts;
    const struct aff_kafka_demand demand = { .topic = &topic };
    struct sample s;

    (void)state;
    begin(&s);
    topic.compact = false;
    set(&s, "cleanup.policy", "delete");
    set(&s, "min.compaction.lag.ms", "0");
    s.settings[s.found.setting_count++] = (struct aff_kafka_property){ "retention.ms", "604800000" };
    s.settings[s.found.setting_count++] = (struct aff_kafka_property){ "retention.bytes", "-1" };
    assert_refused(&s, &demand, "retention.ms: found 604800000, wanted -1");
    set(&s, "retention.ms", "-1");
    assert_int_equal(compare(&s, &demand), 0);
}

/* ---- overrides ---- */

static void an_override_is_for_development_only(void **state)
{
    static const struct aff_kafka_property lag = { "min.compaction.lag.ms", "100" };
    struct aff_kafka_demand demand = { .topic = &accounts, .overrides = &lag, .override_count = 1 };
    aff_error err;

    (void)state;
    assert_int_equal(aff_kafka_demand_check(&demand, &err), AFF_ECONFIG);
    assert_string_equal(err.text, "kafka.topic.min.compaction.lag.ms: settings of topics can only be changed with "
                                  "mode: development");
    demand.development = true;
    assert_int_equal(aff_kafka_demand_check(&demand, &err), 0);
}

static void an_override_must_be_found_as_it_is(void **state)
{
    static const struct aff_kafka_property overrides[] = {
        { "min.compaction.lag.ms", "7" }, /* the last one of a name counts */
        { "min.cleanable.dirty.ratio", "0.010" },
        { "min.compaction.lag.ms", "100" },
        { "min.insync.replicas", "1" },
    };
    const struct aff_kafka_demand demand = {
        .topic = &accounts, .development = true, .overrides = overrides, .override_count = 4
    };
    struct sample s;

    (void)state;
    begin(&s);
    s.settings[s.found.setting_count++] = (struct aff_kafka_property){ "min.cleanable.dirty.ratio", "0.5" };
    assert_refused(&s, &demand,
                   "min.cleanable.dirty.ratio: found 0.5, wanted 0.010; "
                   "min.compaction.lag.ms: found 3600000, wanted 100; min.insync.replicas: found 2, wanted 1");
    set(&s, "min.cleanable.dirty.ratio", "0.01");
    set(&s, "min.compaction.lag.ms", "100");
    set(&s, "min.insync.replicas", "1");
    assert_int_equal(compare(&s, &demand), 0);
}

static void what_the_protocol_stands_on_cannot_be_overridden(void **state)
{
    struct aff_kafka_property property = { "cleanup.policy", "compact" };
    const struct aff_kafka_demand demand = {
        .topic = &accounts, .development = true, .overrides = &property, .override_count = 1
    };
    static const struct aff_kafka_property refused[] = {
        { "cleanup.policy", "delete" },
        { "message.timestamp.type", "CreateTime" },
        { "unclean.leader.election.enable", "true" },
    };
    aff_error err;

    (void)state;
    assert_int_equal(aff_kafka_demand_check(&demand, &err), 0); /* it says what is so anyway */
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char start[128];
        property = refused[i];
        (void)snprintf(start, sizeof start, "kafka.topic.%s cannot be '%s': it is always ", property.name,
                       property.value);
        assert_int_equal(aff_kafka_demand_check(&demand, &err), AFF_ECONFIG);
        assert_memory_equal(err.text, start, strlen(start));
    }
}

static void an_override_that_is_too_long_is_refused(void **state)
{
    char value[200];
    const struct aff_kafka_property property = { "segment.ms", value };
    const struct aff_kafka_demand demand = {
        .topic = &accounts, .development = true, .overrides = &property, .override_count = 1
    };
    aff_error err;

    (void)state;
    memset(value, '1', sizeof value);
    value[128] = '\0';
    assert_int_equal(aff_kafka_demand_check(&demand, &err), AFF_ECONFIG);
    assert_string_equal(err.text, "kafka.topic.segment.ms: the value has 128 bytes; 127 are possible");
    value[127] = '\0';
    assert_int_equal(aff_kafka_demand_check(&demand, &err), 0);
}

/* ---- new topics ---- */

static const char *value_of(const struct aff_kafka_wanted *list, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].name, name) == 0 && list[i].rule != AFF_KAFKA_AT_MOST)
            return list[i].value;
    return "";
}

static void a_new_topic_gets_what_is_wanted(void **state)
{
    struct aff_kafka_wanted list[AFF_KAFKA_WANTED_MAX];
    size_t count = aff_kafka_wanted_of(&production, 3, list);

    (void)state;
    for (size_t i = 0; i < RIGHT - 1; i++)
        assert_string_equal(value_of(list, count, right[i].name), right[i].value);
    assert_string_equal(value_of(list, count, "retention.ms"), "");
    count = aff_kafka_wanted_of(&development, 1, list);
    assert_string_equal(value_of(list, count, "min.insync.replicas"), "1");
}

static void its_replicas_follow_the_brokers_in_development(void **state)
{
    (void)state;
    assert_int_equal(aff_kafka_replication_of(&production, 1), 3);
    assert_int_equal(aff_kafka_replication_of(&development, 0), 1);
    assert_int_equal(aff_kafka_replication_of(&development, 2), 2);
    assert_int_equal(aff_kafka_replication_of(&development, 5), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_topic_that_is_right_is_taken),
        cmocka_unit_test(each_setting_that_differs_is_named),
        cmocka_unit_test(longer_times_and_larger_records_are_taken),
        cmocka_unit_test(the_partition_count_is_fixed),
        cmocka_unit_test(production_demands_three_replicas_and_development_none),
        cmocka_unit_test(several_differences_are_told_together),
        cmocka_unit_test(what_was_made_by_kafkas_defaults_is_told_as_far_as_it_fits),
        cmocka_unit_test(a_setting_that_the_cluster_does_not_tell_is_missing),
        cmocka_unit_test(a_value_that_is_no_number_is_not_enough),
        cmocka_unit_test(development_takes_the_times_of_the_keyspace),
        cmocka_unit_test(a_topic_without_compaction_keeps_everything),
        cmocka_unit_test(an_override_is_for_development_only),
        cmocka_unit_test(an_override_must_be_found_as_it_is),
        cmocka_unit_test(what_the_protocol_stands_on_cannot_be_overridden),
        cmocka_unit_test(an_override_that_is_too_long_is_refused),
        cmocka_unit_test(a_new_topic_gets_what_is_wanted),
        cmocka_unit_test(its_replicas_follow_the_brokers_in_development),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
