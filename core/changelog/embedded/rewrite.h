/*
 * embedded/rewrite.h - writes what is kept of some adjacent sealed segments as one new segment in their place.
 *
 * The entries are sorted by partition, so that a reader of one partition finds them together; within a partition their
 * order, offsets and times stay.
 */
#ifndef AFF_CHANGELOG_EMBEDDED_REWRITE_H
#define AFF_CHANGELOG_EMBEDDED_REWRITE_H

#include "changelog/embedded/journal.h"

struct aff_kept_entry {
    uint32_t partition; /* its number */
    uint32_t source;    /* which of the segments */
    uint64_t at;        /* in its file */
    uint32_t stored;
    int64_t offset, time_ms;
};

struct aff_kept {
    struct aff_kept_entry *entries;
    size_t count, capacity;
    uint64_t bytes;
};
void aff_kept_add(struct aff_kept *kept, struct aff_kept_entry entry);
void aff_kept_fini(struct aff_kept *kept);

struct aff_rewrite {
    struct journal *j;
    struct aff_segment **sources; /* adjacent, ascending */
    size_t source_count;
    struct aff_kept kept;
    /* May the new file take the place of the old ones? Asked when it is complete. */
    bool (*may_replace)(struct aff_rewrite *rewrite);
};

/* 0, or AFF_EAGAIN: may_replace said no; AFF_ENOSPACE, AFF_EIO. The old segments stay as they were then. */
int aff_rewrite_run(struct aff_rewrite *rewrite);

#endif
