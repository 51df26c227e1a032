/*
 * coordinator.h - the contract between a partition and whoever says who should lead it: grants of epochs, and leases.
 *
 * A coordinator proposes, the log decides (doc/protocol.md). Drivers: `embedded` (one node decides for itself; beside the
 * embedded changelog the lock on its folder makes that certain); ZooKeeper comes as a second.
 *
 * Threads. A seat belongs to the loop of its partition: its functions are called there and its events come there, never from
 * inside a call. lease_until() may be called by any thread.
 */
#ifndef AFF_COORDINATOR_COORDINATOR_H
#define AFF_COORDINATOR_COORDINATOR_H

#include "base/loop.h"

#include <affinity/error.h>
#include <stdint.h>

struct aff_coordinator;

/* One partition of this node, seen from the coordinator. Whoever takes a seat embeds this and fills the events. */
struct aff_seat {
    void (*lead)(struct aff_seat *seat);                    /* this node should lead the partition */
    void (*resign)(struct aff_seat *seat);                  /* it should not, any more */
    void (*granted)(struct aff_seat *seat, uint32_t major); /* the epoch asked for, granted to nobody else (I1) */
    struct aff_loop *loop;
    const char *keyspace;
    uint32_t partition;
    void *driver; /* the driver's own, between take and leave */
};

struct aff_coordinator_ops {
    const char *name;
    int (*take)(struct aff_coordinator *c, struct aff_seat *seat, aff_error *err);
    void (*leave)(struct aff_coordinator *c, struct aff_seat *seat); /* no event comes after it */
    /* Answered by `granted`, or by a later `lead`: then it is asked again. */
    void (*request_epoch)(struct aff_coordinator *c, struct aff_seat *seat, uint32_t above);
    /* The partition was deposed by `newer_major`, or its claim failed. The driver says lead again when it is time to. */
    void (*deposed)(struct aff_coordinator *c, struct aff_seat *seat, uint32_t newer_major);
    /* Valid records of another incarnation were read just now: somebody else leads. NULL: the driver does not ask the log. */
    void (*heard)(struct aff_coordinator *c, struct aff_seat *seat);
    /* Boottime ns until which no other incarnation can lead what this node leads. INT64_MAX: always; 0: no lease. Any thread. */
    int64_t (*lease_until)(struct aff_coordinator *c);
    struct aff_coordinator *(*free)(struct aff_coordinator *c); /* no seat is taken any more; returns NULL */
};

struct aff_coordinator {
    const struct aff_coordinator_ops *ops;
};

struct aff_coordinator_embedded_opts {
    bool exclusive; /* the changelog is locked by this process, so nobody else can lead: that lock is the lease */
    /* How long a deposed node must hear nothing of another before it tries again, at random between; 0: 2 s and 6 s. */
    int64_t quiet_min_ms, quiet_max_ms;
    const struct aff_logger *logger;
};
struct aff_coordinator *aff_coordinator_embedded_new(const struct aff_coordinator_embedded_opts *opts);

#endif
