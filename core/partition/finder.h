/*
 * finder.h - the indexes of a keyspace as the store wants them: which terms a value has, by a JSON pointer, by its event time or by
 * a function of the application.
 *
 * Terms are those of serde/term.h. Constant once it is made; finding is pure, on any thread.
 */
#ifndef AFF_PARTITION_FINDER_H
#define AFF_PARTITION_FINDER_H

#include "store/index.h"

#include <affinity/index.h>

struct aff_finder {
    struct aff_indexes base; /* for the store */
    aff_index items[AFF_INDEXES_MAX]; /* as declared, in the order of base.items; names and pointers are borrowed */
    uint32_t partition;      /* what a function is told */
};

void aff_finder_init(struct aff_finder *finder);
/* Declares one more. AFF_EINVAL says what is wrong with it and what would be right. */
int aff_finder_add(struct aff_finder *finder, const aff_index *index, aff_error *err);
/* Its place, or -1. */
int aff_finder_place(const struct aff_finder *finder, aff_bytes name);

#endif
