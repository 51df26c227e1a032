/*
 * checkpoint.h - what others than the core may know of a checkpoint, and of how old what was read may be (I8).
 *
 * Pure; any thread.
 */
#ifndef AFF_PARTITION_CHECKPOINT_H
#define AFF_PARTITION_CHECKPOINT_H

#include "base/key_route.h"

#include <affinity/bytes.h>
#include <stdbool.h>
#include <stdint.h>

#define AFF_CHECKPOINT "checkpoint" /* the name of its meta value in the store */
enum {
    AFF_CHECKPOINT_LEN = 83, /* without the route's text, which follows unless the whole key decides */
    AFF_CHECKPOINT_MAX = AFF_CHECKPOINT_LEN + AFF_KEY_ROUTE_TEXT_MAX
};

/* The offset below which everything is applied in a store with this checkpoint. False: it is none of this release. */
bool aff_checkpoint_applied(aff_bytes checkpoint, int64_t *ret_offset);

/* The text of the route that the store's data was placed by, empty for the whole key. False: it is none of this release. */
bool aff_checkpoint_route(aff_bytes checkpoint, aff_bytes *ret_text);

/* The text of a route as records and checkpoints have it: empty for the whole key. `room` is where it stands. */
aff_bytes aff_route_told(const struct aff_key_route *route, char room[AFF_KEY_ROUTE_TEXT_MAX]);

/* What was read for so long, or from so far back, may have missed tombstones. */
int64_t aff_checkpoint_age_limit_ms(int64_t tombstone_retention_ms);

#endif
