/*
 * kafka/check.c - would the driver take these properties? For those who only look at a configuration. Any thread.
 */
#include "changelog/kafka/kafka.h"
#include "changelog/kafka/settings.h"
#include "changelog/kafka/wanted.h"

int aff_changelog_kafka_check(const struct aff_changelog_kafka_opts *opts, aff_error *err)
{
    static const struct aff_topic any = { .name = "", .compact = true };
    const struct aff_kafka_demand demand = {
        .topic = &any,
        .development = opts->development,
        .overrides = opts->topic,
        .override_count = opts->topic_count,
    };
    struct aff_kafka_settings *settings = NULL;
    int rc = aff_kafka_settings_new(opts->properties, opts->property_count, &settings, err);
    if (rc == 0)
        rc = aff_kafka_demand_check(&demand, err);
    aff_kafka_settings_free(settings);
    return rc;
}
