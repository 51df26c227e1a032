/*
 * fold.h - the state that a changelog tells, computed from its records alone: for `affinity verify`, which compares it
 * with a store.
 *
 * It is written a second time on purpose, knows no partition, and shares with the core nothing but the record's header
 * and the validity rule. Beside the state it keeps what plain last-writer-wins by offset would have (I7). A key costs its
 * own bytes and about 70 more in a scratch store; values are not kept, their digests are.
 *
 * Pure but for the scratch store. One thread.
 */
#ifndef AFF_PARTITION_FOLD_H
#define AFF_PARTITION_FOLD_H

#include "changelog/record.h"
#include "store/store.h"

struct aff_fold;

struct aff_fold_numbers {
    struct aff_tally state;  /* as a store at this offset should have it */
    struct aff_digest last;  /* last-writer-wins by offset, like state.plain */
    uint64_t last_count;     /* keys in it */
    uint64_t dirty;          /* keys whose last record is void: there the two may differ */
    uint64_t records, voids; /* that were folded */
};

/* `folder` is that of the scratch store. */
int aff_fold_new(const char *folder, uint64_t map_bytes, const struct aff_logger *logger, struct aff_fold **ret_fold,
                 aff_error *err);
struct aff_fold *aff_fold_free(struct aff_fold *fold); /* accepts NULL, returns NULL */
/* Frees a part of a large one, of which only the numbers are wanted any more. True: there is more. */
bool aff_fold_dissolve(struct aff_fold *fold);

/* The next record in offset order; each offset once. 0 or an error of the scratch store. */
int aff_fold_record(struct aff_fold *fold, const struct aff_record *rec);
/* At the end of a slice: the scratch store commits, so that its transaction does not grow. */
int aff_fold_commit(struct aff_fold *fold);
void aff_fold_get(const struct aff_fold *fold, struct aff_fold_numbers *ret_numbers);

#endif
