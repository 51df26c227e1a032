/*
 * kafka/kafka.h - the changelog driver `kafka`: topics of a Kafka cluster, by librdkafka.
 *
 * Meets the contract of changelog/changelog.h. What it leans on, and the settings that it fixes, are in doc/changelog.md.
 *
 *   settings.c  what librdkafka is told: what the protocol fixes, what users may set, what is refused (rules.c)
 *   admin.c     topics: made, checked at start and each minute (I0)
 *   producer.c  idempotent producers: appends, delivery reports, an instance that failed gives way to a fresh one
 *               (instance.c, lane.c, keeper.c)
 *   reader.c    a thread that reads partitions for all loops: tails, and catching up apart from them
 *   kafka.c     the driver: partitions of loops, on these
 */
#ifndef AFF_CHANGELOG_KAFKA_KAFKA_H
#define AFF_CHANGELOG_KAFKA_KAFKA_H

#include "changelog/changelog.h"

/* A property by name, of librdkafka or of a topic. Borrowed until the function that takes it returns. */
struct aff_kafka_property {
    const char *name, *value;
};

struct aff_changelog_kafka_opts {
    const struct aff_kafka_property *properties; /* of librdkafka, as users set them; bootstrap.servers at least */
    size_t property_count;
    const struct aff_kafka_property *topic; /* overrides of topic settings; refused unless `development` */
    size_t topic_count;
    bool development;        /* replication follows the number of brokers; weaker topic settings are taken */
    unsigned loops;          /* that will open partitions */
    unsigned producers;      /* of the node, dealt out to the loops; each has one at least */
    uint64_t max_in_flight;  /* bytes handed over and not reported, all partitions together; 0: 64 MiB */
    int64_t ask_timeout_ms;  /* of topic(), and of a look at the settings of a topic; 0: 30 s */
    int64_t verify_every_ms; /* how often the topics' settings are looked at again; 0: 60 s */
    bool blind;              /* for tests with brokers that cannot describe topics: settings are not looked at */
    const struct aff_clock *clock;
    const struct aff_logger *logger;
};

/* AFF_ECONFIG names the property that is wrong, why, and what would be right. No broker is asked yet: topic() does that. */
int aff_changelog_kafka_new(const struct aff_changelog_kafka_opts *opts, struct aff_changelog **ret_log, aff_error *err);
/* The same, but nothing is made and nobody connected to. */
int aff_changelog_kafka_check(const struct aff_changelog_kafka_opts *opts, aff_error *err);

#endif
