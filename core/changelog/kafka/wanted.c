/*
 * kafka/wanted.c - see kafka/wanted.h.
 *
 * A value of the table is a text or one of a few numbers that depend on the topic and the mode.
 */
#include "changelog/kafka/wanted.h"

#include "base/alloc.h"
#include "changelog/topic.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOUR_MS INT64_C(3600000)
#define REPLICATION_KEY "replication factor" /* no setting, but compared like one */

enum { PRODUCTION_REPLICATION = 3, PRODUCTION_MIN_IN_SYNC = 2 };

enum number { NONE, LAG, RETENTION, BATCH, MIN_IN_SYNC, REPLICATION };

/* One line of the table. */
struct line {
    const char *name;
    int rule;
    const char *text;   /* the value, or NULL: */
    enum number number; /* what it is */
    int policy;         /* 1: of topics that are compacted, 0: of those that are not, -1: of both */
    const char *why;    /* not NULL: no override may say otherwise */
};

static const struct line table[] = {
    { "cleanup.policy", AFF_KAFKA_IS, "compact", NONE, 1, "the topic is the only place where the state is kept" },
    { "cleanup.policy", AFF_KAFKA_IS, "delete", NONE, 0, "the topic keeps everything" },
    { "retention.ms", AFF_KAFKA_IS, "-1", NONE, 0, "the topic keeps everything" },
    { "retention.bytes", AFF_KAFKA_IS, "-1", NONE, 0, "the topic keeps everything" },
    { "min.compaction.lag.ms", AFF_KAFKA_AT_LEAST, NULL, LAG, 1, NULL },
    { "delete.retention.ms", AFF_KAFKA_AT_LEAST, NULL, RETENTION, 1, NULL },
    { "message.timestamp.type", AFF_KAFKA_IS, "LogAppendTime", NONE, -1,
      "clocks of clients must not decide about compaction and expiry" },
    { "max.message.bytes", AFF_KAFKA_AT_LEAST, NULL, BATCH, -1, NULL },
    { "unclean.leader.election.enable", AFF_KAFKA_IS, "false", NONE, -1,
      "a replica that lags must not become the leader: acknowledged writes would be lost" },
    { "min.insync.replicas", AFF_KAFKA_AT_LEAST, NULL, MIN_IN_SYNC, -1, NULL },
    { "min.insync.replicas", AFF_KAFKA_AT_MOST, NULL, REPLICATION, -1, NULL },
};
enum { LINES = sizeof table / sizeof *table };

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t number_of(const struct aff_kafka_demand *demand, enum number number, int32_t replication)
{
    const struct aff_topic *topic = demand->topic;
    switch (number) {
    case LAG:
        return demand->development ? topic->compaction_lag_ms : larger(topic->compaction_lag_ms, HOUR_MS);
    case RETENTION:
        return demand->development ? topic->tombstone_retention_ms
                                   : larger(topic->tombstone_retention_ms, 7 * 24 * HOUR_MS);
    case BATCH:
        return AFF_KAFKA_BATCH_MAX;
    case MIN_IN_SYNC:
        return demand->development && replication < PRODUCTION_REPLICATION ? 1 : PRODUCTION_MIN_IN_SYNC;
    case REPLICATION:
        return replication;
    case NONE:
        break;
    }
    assert(!"a line of the table has neither text nor number");
    return 0;
}

static bool is_of(const struct line *line, const struct aff_topic *topic)
{
    return line->policy < 0 || line->policy == topic->compact;
}

static const struct aff_kafka_property *override_of(const struct aff_kafka_demand *demand, const char *name)
{
    const struct aff_kafka_property *last = NULL;
    for (size_t i = 0; i < demand->override_count; i++)
        if (strcmp(demand->overrides[i].name, name) == 0)
            last = &demand->overrides[i];
    return last;
}

/* ---- overrides ---- */

static int check_override(const struct aff_kafka_demand *demand, const struct aff_kafka_property *property,
                          aff_error *err)
{
    for (size_t i = 0; i < LINES; i++)
        if (table[i].why && is_of(&table[i], demand->topic) && strcmp(table[i].name, property->name) == 0 &&
            strcmp(table[i].text, property->value) != 0)
            return aff_fail_with(err, AFF_ECONFIG, "kafka.topic.%s cannot be '%s': it is always %s, since %s",
                                 property->name, property->value, table[i].text, table[i].why);
    struct aff_kafka_wanted wanted;
    if (strlen(property->value) >= sizeof wanted.value)
        return aff_fail_with(err, AFF_ECONFIG, "kafka.topic.%s: the value has %zu bytes; %zu are possible",
                             property->name, strlen(property->value), sizeof wanted.value - 1);
    return 0;
}

int aff_kafka_demand_check(const struct aff_kafka_demand *demand, aff_error *err)
{
    if (demand->override_count > 0 && !demand->development)
        return aff_fail_with(err, AFF_ECONFIG,
                             "kafka.topic.%s: settings of topics can only be changed with mode: development",
                             demand->overrides[0].name);
    int rc = 0;
    for (size_t i = 0; i < demand->override_count && rc == 0; i++)
        rc = check_override(demand, &demand->overrides[i], err);
    return rc;
}

/* ---- what is wanted ---- */

int32_t aff_kafka_replication_of(const struct aff_kafka_demand *demand, int32_t brokers)
{
    if (!demand->development || brokers > PRODUCTION_REPLICATION)
        return PRODUCTION_REPLICATION;
    return brokers > 0 ? brokers : 1;
}

static void set_text(struct aff_kafka_wanted *wanted, const char *text)
{
    size_t len = strlen(text);
    assert(len < sizeof wanted->value); /* aff_kafka_demand_check() */
    memcpy(wanted->value, text, len + 1);
}

size_t aff_kafka_wanted_of(const struct aff_kafka_demand *demand, int32_t replication, struct aff_kafka_wanted *list)
{
    static_assert((int)LINES <= AFF_KAFKA_WANTED_MAX, "AFF_KAFKA_WANTED_MAX is too small");
    size_t count = 0;
    for (size_t i = 0; i < LINES; i++) {
        const struct line *line = &table[i];
        /* What is most has its place beside an override, what is least or exact gives way to it. */
        if (!is_of(line, demand->topic) || (line->rule != AFF_KAFKA_AT_MOST && override_of(demand, line->name)))
            continue;
        struct aff_kafka_wanted *wanted = &list[count++];
        *wanted = (struct aff_kafka_wanted){ .name = line->name, .rule = line->rule };
        if (line->text)
            set_text(wanted, line->text);
        else
            (void)snprintf(wanted->value, sizeof wanted->value, "%lld",
                           (long long)number_of(demand, line->number, replication));
    }
    for (size_t i = 0; i < demand->override_count; i++) {
        const struct aff_kafka_property *property = &demand->overrides[i];
        if (override_of(demand, property->name) != property)
            continue;
        list[count] = (struct aff_kafka_wanted){ .name = property->name, .rule = AFF_KAFKA_IS };
        set_text(&list[count++], property->value);
    }
    return count;
}

/* ---- comparing ---- */

static bool to_integer(const char *text, long long *ret_number)
{
    char *end;
    errno = 0;
    *ret_number = strtoll(text, &end, 10);
    return end != text && *end == '\0' && errno == 0;
}

static bool is_same(const char *a, const char *b)
{
    char *end_a, *end_b;
    double x = strtod(a, &end_a), y = strtod(b, &end_b);
    bool numbers = end_a != a && *end_a == '\0' && end_b != b && *end_b == '\0';
    return numbers ? x == y : strcmp(a, b) == 0;
}

static bool fits(const struct aff_kafka_wanted *wanted, const char *found)
{
    long long have, want;
    if (!found)
        return false;
    if (!to_integer(found, &have) || !to_integer(wanted->value, &want))
        return wanted->rule == AFF_KAFKA_IS && is_same(found, wanted->value);
    if (wanted->rule == AFF_KAFKA_AT_LEAST)
        return have >= want;
    return wanted->rule == AFF_KAFKA_AT_MOST ? have <= want : have == want;
}

/* Differences, one behind the other, and how many more there are than fit. */
struct differences {
    char text[412];
    size_t len;
    unsigned count, left_out;
};

static void add(struct differences *all, const struct aff_kafka_wanted *wanted, const char *found)
{
    static const char *const rules[] = { "", "at least ", "at most " };
    char text[sizeof all->text];
    int len = snprintf(text, sizeof text, "%s%s: found %s, wanted %s%s", all->count++ ? "; " : "", wanted->name,
                       found ? found : "nothing", rules[wanted->rule], wanted->value);
    if (len < 0 || all->len + (size_t)len >= sizeof all->text) {
        all->left_out++;
        return;
    }
    memcpy(all->text + all->len, text, (size_t)len + 1);
    all->len += (size_t)len;
}

static void compare_number(struct differences *all, const char *name, int rule, long long wanted, long long found)
{
    struct aff_kafka_wanted line = { .name = name, .rule = rule };
    char text[24];
    (void)snprintf(line.value, sizeof line.value, "%lld", wanted);
    (void)snprintf(text, sizeof text, "%lld", found);
    if (!fits(&line, text))
        add(all, &line, text);
}

const char *aff_kafka_setting(const struct aff_kafka_found *found, const char *name)
{
    for (size_t i = 0; i < found->setting_count; i++)
        if (strcmp(found->settings[i].name, name) == 0)
            return found->settings[i].value;
    return NULL;
}

int aff_kafka_compare(const struct aff_kafka_demand *demand, const struct aff_kafka_found *found, aff_error *err)
{
    struct differences all = { .len = 0 };
    size_t room = AFF_KAFKA_WANTED_MAX + demand->override_count;
    struct aff_kafka_wanted *list = aff_xcalloc(room, sizeof *list);
    size_t count = aff_kafka_wanted_of(demand, found->replication, list);

    compare_number(&all, "partitions", AFF_KAFKA_IS, demand->topic->partitions, found->partitions);
    compare_number(&all, REPLICATION_KEY, AFF_KAFKA_AT_LEAST, demand->development ? 1 : PRODUCTION_REPLICATION,
                   found->replication);
    for (size_t i = 0; i < count; i++) {
        const char *value = aff_kafka_setting(found, list[i].name);
        if (!fits(&list[i], value))
            add(&all, &list[i], value);
    }
    free(list);
    if (all.count == 0)
        return 0;
    char more[32] = "";
    if (all.left_out)
        (void)snprintf(more, sizeof more, "; and %u more", all.left_out);
    return aff_fail_with(err, AFF_ECONFIG, "kafka: topic %.60s: %s%s", demand->topic->name, all.text, more);
}
