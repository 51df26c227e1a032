/*
 * memory/memory.h - what the driver `memory` offers beside the contract (changelog.h): compaction when a test asks for it.
 */
#ifndef AFF_CHANGELOG_MEMORY_MEMORY_H
#define AFF_CHANGELOG_MEMORY_MEMORY_H

#include "changelog/changelog.h"

/* Compacts one partition now, by the rules of compaction.h. Any thread. Returns how many entries went; a partition that
 * does not exist, or whose topic is not compacted, has none to lose. */
size_t aff_changelog_memory_compact(struct aff_changelog *log, const char *topic, uint32_t partition);

#endif
