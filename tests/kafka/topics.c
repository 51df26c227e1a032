/*
 * topics.c - core/changelog/kafka/admin.h behind a pipe, for topics_test.py.
 *
 *     topics BOOTSTRAP production|development|blind TIMEOUT_MS [setting=value]...
 *
 * A line in, a line out: "ok ..." or the name of an error and its text.
 *
 *     topic NAME PARTITIONS LAG_MS RETENTION_MS     ok MAX_MESSAGE_BYTES REPLICATION
 *     watch                                         ok; it looks ten times a second
 *     trouble                                       ok, when there is none
 *     trusted                                       yes or no
 *
 * The end of the input ends it, with status 0.
 */
#include "changelog/kafka/admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OVERRIDES = 8, WORDS = 5, LINE = 1024, LOOK_EVERY_MS = 100 };

static void answer(int rc, const aff_error *err)
{
    if (rc)
        printf("%s %s\n", aff_error_name(rc), err->text);
    else
        printf("ok\n");
}

static void topic(struct aff_kafka_admin *admin, char *const words[WORDS])
{
    const struct aff_topic wanted = {
        .name = words[1],
        .partitions = (uint32_t)strtoul(words[2], NULL, 10),
        .compaction_lag_ms = strtoll(words[3], NULL, 10),
        .tombstone_retention_ms = strtoll(words[4], NULL, 10),
        .compact = true,
    };
    struct aff_kafka_topic_facts facts;
    aff_error err = { .code = 0 };
    int rc = aff_kafka_admin_topic(admin, &wanted, &facts, &err);
    if (rc)
        answer(rc, &err);
    else
        printf("ok %llu %d\n", (unsigned long long)facts.max_message_bytes, (int)facts.replication);
}

static void trouble(struct aff_kafka_admin *admin)
{
    aff_error err;
    aff_kafka_admin_trouble(admin, &err);
    answer(err.code, &err);
}

static void obey(struct aff_kafka_admin *admin, char *line)
{
    char *words[WORDS] = { NULL }, *rest = NULL;
    size_t count = 0;
    aff_error err = { .code = 0 };

    for (char *word = strtok_r(line, " \n", &rest); word && count < WORDS; word = strtok_r(NULL, " \n", &rest))
        words[count++] = word;
    if (count == WORDS && strcmp(words[0], "topic") == 0)
        topic(admin, words);
    else if (count == 1 && strcmp(words[0], "watch") == 0)
        answer(aff_kafka_admin_watch(admin, &err), &err);
    else if (count == 1 && strcmp(words[0], "trouble") == 0)
        trouble(admin);
    else if (count == 1 && strcmp(words[0], "trusted") == 0)
        printf("%s\n", aff_kafka_admin_trusted(admin) ? "yes" : "no");
    else
        printf("what?\n");
    (void)fflush(stdout);
}

static int fail(const aff_error *err)
{
    printf("%s %s\n", aff_error_name(err->code), err->text);
    return 1;
}

int main(int argc, char **argv)
{
    struct aff_kafka_property brokers = { "bootstrap.servers", argc > 3 ? argv[1] : "" }, overrides[OVERRIDES];
    struct aff_logger logger = { .fd = 2, .level = AFF_LOG_ERROR, .clock = aff_clock_system() };
    struct aff_kafka_settings *settings;
    struct aff_kafka_admin *admin;
    aff_error err;
    char line[LINE];

    if (argc < 4 || argc > 4 + OVERRIDES || aff_kafka_settings_new(&brokers, 1, &settings, &err))
        return 2;
    struct aff_kafka_admin_opts opts = {
        .settings = settings,
        .topic = overrides,
        .development = strcmp(argv[2], "production") != 0,
        .blind = strcmp(argv[2], "blind") == 0,
        .timeout_ms = strtoll(argv[3], NULL, 10),
        .verify_every_ms = LOOK_EVERY_MS,
        .logger = &logger,
    };
    for (int i = 4; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (!value)
            return 2;
        *value = '\0';
        overrides[opts.topic_count++] = (struct aff_kafka_property){ argv[i], value + 1 };
    }
    int rc = aff_kafka_admin_new(&opts, &admin, &err);
    aff_kafka_settings_free(settings);
    if (rc)
        return fail(&err);
    while (fgets(line, sizeof line, stdin))
        obey(admin, line);
    aff_kafka_admin_free(admin);
    return 0;
}
