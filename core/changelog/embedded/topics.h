/*
 * embedded/topics.h - the file `topics` of a data folder: which number a topic has in the entries, and its partitions.
 *
 *   affinity topics 1
 *   1 8 demo.accounts          number, partitions, name; numbers from 1, in order
 *   crc32 9c2f01aa             of all that stands before
 *
 * It is replaced whole by rename, and stands on disk before the first entry of a new topic can be appended.
 */
#ifndef AFF_CHANGELOG_EMBEDDED_TOPICS_H
#define AFF_CHANGELOG_EMBEDDED_TOPICS_H

#include "changelog/embedded/journal.h"

/* Reads the file into j->topics; a folder without one has no topics. Before threads run. AFF_ECORRUPT, AFF_EIO. */
int aff_topics_load(struct journal *j, aff_error *err);

/* Makes a topic or checks it; then its rules count. Any thread, may block. */
int aff_topics_declare(struct journal *j, const struct aff_topic *topic, aff_error *err);

/* NULL: no such topic. lock held, or before threads run. */
struct jtopic *aff_topics_find(const struct journal *j, const char *name);

void aff_topics_fini(struct journal *j);

#endif
