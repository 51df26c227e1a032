/*
 * checkpoint.h - what others than the core may know of a checkpoint, and of how old what was read may be (I8).
 *
 * Pure; any thread.
 */
#ifndef AFF_PARTITION_CHECKPOINT_H
#define AFF_PARTITION_CHECKPOINT_H

#include <affinity/bytes.h>
#include <stdbool.h>
#include <stdint.h>

#define AFF_CHECKPOINT "checkpoint" /* the name of its meta value in the store */
enum { AFF_CHECKPOINT_LEN = 83 };

/* The offset below which everything is applied in a store with this checkpoint. False: it is none of this release. */
bool aff_checkpoint_applied(aff_bytes checkpoint, int64_t *ret_offset);

/* What was read for so long, or from so far back, may have missed tombstones. */
int64_t aff_checkpoint_age_limit_ms(int64_t tombstone_retention_ms);

#endif
