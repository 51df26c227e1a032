/*
 * audit.h - compares the store of a partition with its changelog, while it serves: a fold (fold.h) of the topic from its
 * beginning, apart from the store, against a tally of the store, both at one offset.
 *
 *   read        the fold comes to where the store was when it began
 *   tally       the store is tallied in slices; the fold goes on, never beyond what the store has applied
 *   finish      the store's offset is fixed with its tally; the fold comes to just that offset; both are compared
 *
 * The log is followed closely before the offset is fixed, so compaction has no time to take what the fold has not read.
 *
 * Threads. Everything on the partition's loop. Work is done in slices of about a millisecond that end a pass, and never
 * more than half of the time.
 */
#ifndef AFF_PARTITION_AUDIT_H
#define AFF_PARTITION_AUDIT_H

#include "partition/fold.h"
#include "partition/partition.h"

struct aff_audit;

enum aff_verdict { AFF_VERDICT_EQUAL, AFF_VERDICT_DIFFERS, AFF_VERDICT_UNDECIDED };

struct aff_audit_result {
    enum aff_verdict store; /* the store against the fold */
    enum aff_verdict
        last;       /* last-writer-wins by offset against the fold's state; UNDECIDED while keys are dirty (I7) */
    bool compared;  /* the numbers below are there: both at `offset` */
    int64_t offset; /* everything below it is in them */
    struct aff_tally tally; /* of the store */
    struct aff_fold_numbers log;
    char reason[320]; /* of what is not decided */
};

struct aff_audit_opts {
    struct aff_partition *part; /* neither stopped nor freed while this lives */
    struct aff_changelog *changelog;
    const char *topic; /* of the partition; until aff_audit_new() returns, like the folder */
    uint32_t index;
    const char *folder; /* for the scratch store */
    uint64_t map_bytes;
    int64_t tombstone_retention_ms; /* of the topic */
    int64_t deadline_ns;            /* monotonic: undecided then */
    /* Once, not inside aff_audit_new(); the audit may be freed in it. */
    void (*done)(void *self, const struct aff_audit_result *result);
    /* Now and then: the log is read up to `read`, the store has applied up to `applied`. */
    void (*moved)(void *self, int64_t read, int64_t applied);
    void *self;
};

int aff_audit_new(const struct aff_audit_opts *opts, struct aff_audit **ret_audit, aff_error *err);
struct aff_audit *aff_audit_free(struct aff_audit *audit); /* accepts NULL, returns NULL; nothing of it is left */

#endif
