/*
 * coordinator.h - the contract between a partition and whoever says who should lead it: replicas, grants of epochs, hand-overs,
 * leases; and between a node and the cluster that it is a member of.
 *
 * A coordinator proposes, the log decides (doc/protocol.md, doc/cluster.md). Drivers: `embedded` (one node decides for itself;
 * beside the embedded changelog the lock on its folder makes that certain) and `zookeeper`.
 *
 * Threads. A seat belongs to the loop of its partition: its functions are called there and its events come there, never from
 * inside a call. Functions and fields marked so may be used by any thread.
 */
#ifndef AFF_COORDINATOR_COORDINATOR_H
#define AFF_COORDINATOR_COORDINATOR_H

#include "base/loop.h"
#include "coordinator/view.h"

#include <affinity/error.h>
#include <stdint.h>

struct aff_coordinator;

#define AFF_LEASED_ANY UINT32_MAX /* as leased_major: whichever it leads with */

/* What a partition tells of itself. */
enum aff_seat_state {
    AFF_SEAT_AWAY,     /* no replica is held here */
    AFF_SEAT_BEHIND,   /* follows, and has not reached the log's end yet */
    AFF_SEAT_IN_STEP,  /* follows, and everything is applied as far as known */
    AFF_SEAT_LEADS,    /* masters, and the log answers */
    AFF_SEAT_STALLED,  /* masters, and the log has confirmed nothing for 2 s although something was due; or it does not answer a standby */
    AFF_SEAT_FAILED,   /* stopped, with a reason */
};

/* A hand-over: this node is to give the partition to `to`, which may claim with `major`; `back` is kept for this node. */
struct aff_give {
    char to[AFF_NODE_NAME_MAX + 1];
    uint32_t incarnation;
    uint32_t major, back;
};

/* One partition of this node, seen from the coordinator. Whoever takes a seat embeds this and fills the events. */
struct aff_seat {
    void (*host)(struct aff_seat *seat);                    /* hold a replica: open the store, follow the log */
    void (*unhost)(struct aff_seat *seat);                  /* hold none any more; comes only when it does not lead */
    void (*lead)(struct aff_seat *seat);                    /* this node should lead the partition; it is hosted */
    void (*resign)(struct aff_seat *seat);                  /* it should not, any more */
    /* The epoch asked for, or the one of gave(false), granted to nobody else (I1). Who leads with a lower one claims anew. */
    void (*granted)(struct aff_seat *seat, uint32_t major);
    /* Answered by gave(), unless deposed() comes instead, or the driver says resign. NULL: it cannot. */
    void (*give)(struct aff_seat *seat, const struct aff_give *give);
    struct aff_loop *loop;
    const char *keyspace;
    uint32_t partition;
    void *driver; /* the driver's own, between take and leave */

    /* The partition's, for the reports; any thread reads them. */
    atomic_int state;        /* enum aff_seat_state */
    _Atomic int64_t applied; /* everything below is applied */
    /*
     * The driver's: the epoch with which this incarnation owns the partition, as far as it knows, so that no other may lead while
     * the lease holds; 0: none. Who leads with another one may not use the lease. It is 0 before lease_until() tells of a new
     * session. Any thread reads it.
     */
    _Atomic uint32_t leased_major;
};

/* What a node says of itself when it becomes a member. */
struct aff_member {
    const char *name;       /* of the node */
    const char *http, *peer; /* addresses that others reach it by */
    const char *zone;       /* "" */
};

/* How the cluster is, as far as this node can tell. */
struct aff_coordinator_health {
    bool connected;  /* to whoever coordinates */
    bool registered; /* as a member, now */
    char trouble[160]; /* "" when all is well */
};

/* Called on the driver's own thread whenever the view or the health changed; it must only post. */
struct aff_coordinator_watch {
    void (*changed)(struct aff_coordinator_watch *watch);
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
    /*
     * Boottime ns until which no other incarnation can lead what this node leads and is leased for. INT64_MAX: always; 0: no lease.
     * Any thread. Ask for it after the read, and for seat->leased_major after that (I5).
     */
    int64_t (*lease_until)(struct aff_coordinator *c);

    /* ---- of a cluster; NULL in a driver without one ---- */

    /*
     * The end of a `give`. True: the other leads now. False: it refused, or nothing is known, or GO was not even said: the driver
     * takes the hand-over back by compare-and-set (this node is the owner with `back`), and only when that is committed says
     * granted(back); or resign, when the other's took() was committed before. So exactly one of them can be leased.
     */
    void (*gave)(struct aff_coordinator *c, struct aff_seat *seat, bool taken);
    /*
     * This node leads with a `major` that another handed over to it: it is to become the owner. Not when the hand-over was taken
     * back: then it leads without a lease until the other's claim deposes it.
     */
    void (*took)(struct aff_coordinator *c, struct aff_seat *seat, uint32_t major);

    /* Becomes a member, when its addresses are known; and begins to send events. Once. The node's owner. */
    int (*join)(struct aff_coordinator *c, const struct aff_member *self, aff_error *err);
    /* This node is to lead nothing, and gets nothing new; masterships move away as long as it is a member. Any thread. */
    void (*drain)(struct aff_coordinator *c);
    /*
     * A wish: `to` (NULL: whoever is best) should lead the partition. 0 when it was noted; AFF_EINVAL with a text: no such node or
     * partition, or it holds no replica; AFF_EAGAIN: not connected. What becomes of it shows in the view. Any thread.
     */
    int (*wish)(struct aff_coordinator *c, const char *keyspace, uint32_t partition, const char *to, aff_error *err);
    /* The present view, held for the caller; NULL before the first. Any thread. */
    struct aff_view *(*view)(struct aff_coordinator *c);
    void (*health)(struct aff_coordinator *c, struct aff_coordinator_health *ret_health); /* any thread */
    void (*watch)(struct aff_coordinator *c, struct aff_coordinator_watch *watch);        /* before join, as often as wanted */

    struct aff_coordinator *(*free)(struct aff_coordinator *c); /* no seat is taken any more; ends the membership; returns NULL */
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

/* A keyspace that is to be shared out. */
struct aff_coordinator_space {
    const char *name;
    uint32_t partitions, replicas;
    /* Static lists: for each partition `replicas` node names, the preferred leader first; NULL: automatic. */
    const char *const *const *assigned;
};

struct aff_coordinator_zookeeper_opts {
    const char *cluster;
    const char *connect;           /* "host:port,host:port" */
    const char *auth;              /* "user:password" of digest ACLs; NULL: everybody may */
    int64_t session_ms, tick_ms;   /* as configured; the tick is the servers' */
    int64_t away_ms;               /* after it a node that is away is gone for good: others get its replicas; 0: 5 minutes */
    const struct aff_coordinator_space *spaces;
    size_t spaces_count;
    uint64_t features;
    const struct aff_clock *clock;
    const struct aff_logger *logger;
    /*
     * When the loop that was seen least recently said that it lives (monotonic ns): no lease beyond that, and no session either once it
     * has been silent for two, so that others take over. Any thread. NULL: they always live.
     */
    int64_t (*alive_ns)(void *self);
    /*
     * When the log answered those who follow it last (monotonic ns): after 2 s of silence a standby is reported as stalled, so that nobody
     * gives a partition up for one that is no better off. Any thread. NULL: the log is always there.
     */
    int64_t (*log_heard_ns)(void *self);
    /* The session changed: whoever closes it after this process died has to know. On the driver's thread. NULL: nobody does. */
    void (*session)(void *self, int64_t id, const unsigned char password[16]);
    void *self;
};
/* Seats are of the partitions of `spaces`; all strings are copied. */
int aff_coordinator_zookeeper_new(const struct aff_coordinator_zookeeper_opts *opts, struct aff_coordinator **ret_c,
                                  aff_error *err);
/* Ends the session of a process that died, so that what it led is given to others at once. Waits so long at most. */
int aff_zookeeper_close_session(const char *connect, int64_t id, const unsigned char password[16], int64_t timeout_ms,
                                aff_error *err);

#endif
