/*
 * partition.h - a partition on its loop: the core (core.h) with the real changelog, store and coordinator around it.
 *
 * Threads. Made before its loop is told of it; everything but the functions marked "any thread" is called on the partition's loop.
 * Partitions of one loop share a group, which ends the pass for those that something happened to.
 */
#ifndef AFF_PARTITION_PARTITION_H
#define AFF_PARTITION_PARTITION_H

#include "changelog/changelog.h"
#include "coordinator/coordinator.h"
#include "partition/core.h"
#include "partition/finder.h"
#include "partition/handover.h"

#include <stdatomic.h>

struct aff_partition;
struct aff_partition_group; /* one per loop */

struct aff_partition_group *aff_partition_group_new(struct aff_loop *loop);
struct aff_partition_group *aff_partition_group_free(struct aff_partition_group *group); /* its partitions are gone */

struct aff_partition_opts {
    struct aff_core_opts core;       /* keyspace name is copied */
    const char *topic;
    struct aff_partition_group *group;
    struct aff_changelog *changelog;
    struct aff_coordinator *coordinator;
    struct aff_store_opts store;     /* without indexes */
    const struct aff_finder *finder; /* the indexes; copied. NULL: none */
    /*
     * Beside a cluster's coordinator: nothing is opened before it says host; a store that cannot be opened then makes the partition
     * FAILED, and is tried again. Else the store is opened by aff_partition_new(), and the log by aff_partition_start().
     */
    bool on_demand;
    struct aff_handover_net *net;        /* the way to other nodes; NULL: it cannot be handed over */
    struct aff_partition_events *events; /* NULL: nobody asks */
};

int aff_partition_new(const struct aff_partition_opts *opts, struct aff_partition **ret_part, aff_error *err);
/*
 * Begins: opens its partition of the log, whose topic is known by now, unless it is `on_demand`. When that fails it counts as
 * failed, says why, and tries again.
 */
void aff_partition_start(struct aff_partition *part);
/*
 * Ends it: leaves the coordinator and the log, and answers whatever still waits (unknown when it was handed to the log). Only
 * the store stays open, for readers of other loops. On its loop, while the loops of those who asked still run.
 */
void aff_partition_stop(struct aff_partition *part);
/* Stops it if need be, and closes the store, which has no readers any more. On the loop's thread, or when the loop does not
 * run any more. Returns NULL. */
struct aff_partition *aff_partition_free(struct aff_partition *part);

/* AFF_ENOMASTER, not applied: another node leads, or nobody. AFF_ECLOSED once it is stopped. */
void aff_partition_submit(struct aff_partition *part, struct aff_op *op);
void aff_partition_drain(struct aff_partition *part);
bool aff_partition_idle(const struct aff_partition *part);
enum aff_outcome aff_partition_outcome(struct aff_partition *part, struct aff_stamp stamp); /* NONE when it does not lead */
bool aff_partition_leads(const struct aff_partition *part);

const char *aff_partition_keyspace(const struct aff_partition *part);      /* any thread */
uint32_t aff_partition_index(const struct aff_partition *part);            /* any thread */
struct aff_loop *aff_partition_loop(const struct aff_partition *part);     /* any thread */
/* For readers of other loops; any thread. NULL until it is hosted first; from then on the same one until it is freed. */
struct aff_store *aff_partition_store(const struct aff_partition *part);
const struct aff_finder *aff_partition_finder(const struct aff_partition *part); /* NULL: no indexes; any thread */

/* What other threads may see; written by the loop alone. */
struct aff_partition_shared {
    atomic_int role;            /* enum aff_role; AWAY: not hosted */
    atomic_bool serves;         /* set while strict reads may be answered here, given a lease */
    atomic_bool stands_by;      /* another leads; everything that it wrote, as far as known, is applied here */
    _Atomic uint32_t major;     /* that it leads with, or claims */
    _Atomic uint32_t identity8;
    _Atomic int64_t applied, log_end;
    _Atomic uint64_t epoch, dirty, in_flight, queued, committed, refused, unknown, repairs;
    /* Hand-overs that came about, and those that did not; how long writes waited in those that did, as this node knows it. */
    _Atomic uint64_t given, not_given, given_ns, taken, not_taken, taken_ns;
    char failure[256];          /* written before role becomes FAILED; stays */
};
struct aff_partition_shared *aff_partition_shared(struct aff_partition *part); /* any thread */

/*
 * The mastership that serves now, so that a snapshot which is taken after this call shows all from before it; 0: none does. Any thread.
 */
uint32_t aff_partition_serving(struct aff_partition *part);
/*
 * May a strict read be answered that was taken from a snapshot before this call, and after aff_partition_serving() told `serving` (I5)?
 * 0, AFF_EAGAIN: it needs a barrier, AFF_ENOMASTER. Any thread.
 */
int aff_partition_may_serve(struct aff_partition *part, uint32_t serving);

#endif
