/*
 * topic.c - see topic.h.
 */
#include "changelog/topic.h"

#include <string.h>

static bool name_is_plain(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t len = strlen(name);
    return len > 0 && len <= AFF_TOPIC_NAME_MAX && strspn(name, allowed) == len;
}

int aff_topic_check(const struct aff_topic *topic, aff_error *err)
{
    if (!topic->name || !name_is_plain(topic->name))
        return aff_fail_with(err, AFF_ECONFIG,
                             "changelog: the topic name '%s' is not 1 to %d letters, digits, '.', '_' or '-'",
                             topic->name ? topic->name : "", AFF_TOPIC_NAME_MAX);
    if (topic->partitions == 0 || topic->partitions > AFF_TOPIC_PARTITIONS_MAX)
        return aff_fail_with(err, AFF_ECONFIG, "changelog: topic %s: %u partitions; 1 to %d are possible", topic->name,
                             topic->partitions, AFF_TOPIC_PARTITIONS_MAX);
    if (topic->compaction_lag_ms < 0 || topic->tombstone_retention_ms < 0)
        return aff_fail_with(err, AFF_ECONFIG,
                             "changelog: topic %s: compaction lag %lld ms and tombstone retention "
                             "%lld ms must not be negative",
                             topic->name, (long long)topic->compaction_lag_ms,
                             (long long)topic->tombstone_retention_ms);
    return 0;
}

int aff_topic_check_count(const struct aff_topic *topic, uint32_t stored, aff_error *err)
{
    if (stored == topic->partitions)
        return 0;
    return aff_fail_with(err, AFF_ECONFIG,
                         "changelog: topic %s is stored with %u partitions, not %u; the number is fixed for its life",
                         topic->name, stored, topic->partitions);
}
