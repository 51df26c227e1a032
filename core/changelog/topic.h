/*
 * topic.h - what every driver checks about a topic before it makes or opens it. Pure, any thread.
 */
#ifndef AFF_CHANGELOG_TOPIC_H
#define AFF_CHANGELOG_TOPIC_H

#include "changelog/changelog.h"

#define AFF_TOPIC_NAME_MAX 255
#define AFF_TOPIC_PARTITIONS_MAX 65536

/* 0, or AFF_ECONFIG: a name that is not letters, digits, '.', '_' and '-', no partitions, a negative time. */
int aff_topic_check(const struct aff_topic *topic, aff_error *err);
/* 0, or AFF_ECONFIG when the log has the topic with another number of partitions. */
int aff_topic_check_count(const struct aff_topic *topic, uint32_t stored, aff_error *err);

#endif
