/*
 * kafka/wanted.h - which settings a topic must have. Pure, any thread. kafka/admin.c makes and checks topics by it.
 *
 * The table is in wanted.c; doc/changelog.md has it for users. In development the settings that guard against long outages
 * and lost brokers may be weaker, and any setting may be overridden but those that the protocol itself stands on; what was
 * overridden must then be found like that.
 */
#ifndef AFF_CHANGELOG_KAFKA_WANTED_H
#define AFF_CHANGELOG_KAFKA_WANTED_H

#include "changelog/kafka/kafka.h"

#define AFF_KAFKA_BATCH_MAX (2u << 20) /* bytes; what a topic takes at least: AFF_ENTRY_MAX, and what Kafka adds */

/* What decides about the settings of one topic. */
struct aff_kafka_demand {
    const struct aff_topic *topic;
    bool development;
    const struct aff_kafka_property *overrides; /* of the topic's settings */
    size_t override_count;
};

/* 0, or AFF_ECONFIG names the override that cannot be, and why. */
int aff_kafka_demand_check(const struct aff_kafka_demand *demand, aff_error *err);

/* Replicas of a new topic, where so many brokers are alive. */
int32_t aff_kafka_replication_of(const struct aff_kafka_demand *demand, int32_t brokers);

/* One setting that is wanted. */
struct aff_kafka_wanted {
    const char *name;
    enum { AFF_KAFKA_IS, AFF_KAFKA_AT_LEAST, AFF_KAFKA_AT_MOST } rule;
    char value[128]; /* to be given to a new topic */
};
#define AFF_KAFKA_WANTED_MAX 12 /* without overrides */

/* Lists them all; `list` has room for AFF_KAFKA_WANTED_MAX and the overrides. Returns how many there are. */
size_t aff_kafka_wanted_of(const struct aff_kafka_demand *demand, int32_t replication, struct aff_kafka_wanted *list);

/* A topic as it was found. */
struct aff_kafka_found {
    uint32_t partitions;
    int32_t replication;                       /* of the partition with the fewest replicas */
    const struct aff_kafka_property *settings; /* the effective ones, defaults too */
    size_t setting_count;
};

/* 0, or AFF_ECONFIG with every difference in the text: "setting: found X, wanted Y". */
int aff_kafka_compare(const struct aff_kafka_demand *demand, const struct aff_kafka_found *found, aff_error *err);

/* The value of a setting, NULL when there is none of the name. */
const char *aff_kafka_setting(const struct aff_kafka_found *found, const char *name);

#endif
