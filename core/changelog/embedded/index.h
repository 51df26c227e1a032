/*
 * embedded/index.h - where the entries of each partition lie in one segment: sparse, in memory only.
 *
 * A point stands at the first entry of a partition and then about once per 64 KiB of that partition's bytes, so the points
 * of a segment are bounded by its size and its partitions. A point names the batch that holds the entry; from there a
 * reader goes on batch by batch. The index of the segment that is written to is guarded by the journal's lock; after
 * aff_index_seal() it does not change any more and any thread may look.
 */
#ifndef AFF_CHANGELOG_EMBEDDED_INDEX_H
#define AFF_CHANGELOG_EMBEDDED_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { AFF_INDEX_STEP = 64 << 10 };

struct aff_index_point {
    int64_t offset;
    uint64_t position; /* of its batch */
    uint32_t before;   /* the partition's point before this one, plus one; 0: none */
};

struct aff_index_span {
    uint32_t partition;
    uint32_t newest; /* point, plus one; 0: the partition has nothing here */
    int64_t last_offset;
    uint64_t bytes; /* since the newest point */
};

struct aff_index {
    struct aff_index_point *points;
    struct aff_index_span *spans; /* one each partition number; once sealed: those that have something, ascending */
    size_t point_count, point_capacity, span_count;
    bool sealed;
};

/* An index that is all zero is empty. */
void aff_index_fini(struct aff_index *index);

/* An entry of `size` bytes in the batch at `position`. Offsets of a partition rise. */
void aff_index_add(struct aff_index *index, uint32_t partition, int64_t offset, uint64_t position, size_t size);
void aff_index_seal(struct aff_index *index);

/* The last offset of a partition here; -1: it has nothing here. */
int64_t aff_index_last(const struct aff_index *index, uint32_t partition);
/* The batch from which to look for offsets from `from` on; false when there is none at or above it here. */
bool aff_index_find(const struct aff_index *index, uint32_t partition, int64_t from, uint64_t *ret_position);

#endif
