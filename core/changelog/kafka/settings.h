/*
 * kafka/settings.h - what librdkafka is told. Pure but for librdkafka's own checks; any thread.
 *
 * Three kinds of properties: those that the protocol needs (refused with the reason when a user sets another value), those
 * that we choose and a user may change, and all others, which pass through as they are. doc/changelog.md lists the first two.
 */
#ifndef AFF_CHANGELOG_KAFKA_SETTINGS_H
#define AFF_CHANGELOG_KAFKA_SETTINGS_H

#include "changelog/kafka/kafka.h"

#include <librdkafka/rdkafka.h>

/* The user's properties, copied. */
struct aff_kafka_settings;

enum aff_kafka_role {
    AFF_KAFKA_PRODUCER, /* appends */
    AFF_KAFKA_TAIL,     /* reads what comes next: low latency */
    AFF_KAFKA_CATCH_UP, /* reads what is there: throughput */
    AFF_KAFKA_ADMIN,    /* topics */
};

int aff_kafka_settings_new(const struct aff_kafka_property *properties, size_t count,
                           struct aff_kafka_settings **ret_settings, aff_error *err);
struct aff_kafka_settings *aff_kafka_settings_free(struct aff_kafka_settings *settings);

/*
 * A configuration for one instance of librdkafka, to be given to rd_kafka_new() (which owns it on success) or destroyed.
 * Never NULL: settings_new() has tried them all. Log lines of librdkafka go to `logger`, which must outlive the instance.
 */
rd_kafka_conf_t *aff_kafka_conf(const struct aff_kafka_settings *settings, enum aff_kafka_role role,
                                const struct aff_logger *logger);

#endif
