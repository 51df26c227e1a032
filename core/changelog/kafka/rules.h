/*
 * kafka/rules.h - the properties of librdkafka that the driver has a word on; settings.c carries them out. Constant.
 */
#ifndef AFF_CHANGELOG_KAFKA_RULES_H
#define AFF_CHANGELOG_KAFKA_RULES_H

#include "changelog/kafka/settings.h"

enum { AFF_KAFKA_ROLES = AFF_KAFKA_ADMIN + 1 };

enum aff_kafka_rule_kind {
    AFF_KAFKA_FIXED,    /* the protocol needs it; a user who sets another value is refused with the reason */
    AFF_KAFKA_CHOSEN,   /* ours unless a user sets another */
    AFF_KAFKA_OPTIONAL, /* as chosen, where this librdkafka knows it */
};

struct aff_kafka_rule {
    const char *name;
    const char *value; /* NULL: must not be set */
    enum aff_kafka_rule_kind kind;
    unsigned roles; /* bits 1 << enum aff_kafka_role */
    const char *why;
};

const struct aff_kafka_rule *aff_kafka_rules(size_t *ret_count);

#endif
