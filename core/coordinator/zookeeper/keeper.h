/*
 * keeper.h - what the files of the driver `zookeeper` share: one struct keeper for each coordinator.
 *
 *   client      a session with ZooKeeper                         keeper      life, the loop, the order of a step
 *   members     who lives; the registration of this node         election    which incarnation decides
 *   chunks      assignments: read, watched, changed              controller  the decision, carried out
 *   reports     lag znodes: the own one and with it the lease    seats       the partitions of this node
 *   publish     views and health, for other threads
 *
 * All of it runs on the keeper's own loop but for what is marked. Nothing waits: whatever happens (an answer, a watch, a seat's word, the
 * tick) says what is due, and at the end of the pass step() looks at each part in turn and begins what can begin. So there is one
 * way through for the first start, for a reconnection and for a new session; an unknown outcome is "stale", and read again.
 */
#ifndef AFF_COORDINATOR_ZOOKEEPER_KEEPER_H
#define AFF_COORDINATOR_ZOOKEEPER_KEEPER_H

#include "coordinator/assignment.h"
#include "coordinator/coordinator.h"
#include "coordinator/zookeeper/client.h"

#include <pthread.h>

enum {
    KEEPER_PATH_MAX = 192,
    KEEPER_WATCHES_MAX = 8,
    KEEPER_LEASES = 16,       /* reports in a session's time */
    KEEPER_REPORTS_MS = 1000, /* how often those of others are read when nothing is under way */
    KEEPER_SILENT_MS = 2000,  /* a log that has answered nothing for so long does not answer */
    KEEPER_STALL_MS = 1000,   /* a seat that is stalled for so long is released when another can */
    KEEPER_AWAY_MS = 300000,  /* unless it is said otherwise */
    KEEPER_IN_STEP = 100,     /* records that a replica may be behind and count as in step */
};

struct keeper;
struct keeper_place;

/* ---- members ---- */

struct keeper_member {
    struct keeper *k;
    char name[AFF_MEMBER_MAX + 1];
    struct aff_view_node node;
    bool known, stale;
    int64_t session; /* that it belongs to */
    struct aff_zk_call call;
};

struct keeper_members {
    struct aff_zk_call list, create, remove, bell;
    bool rung; /* in this session */
    bool stale, listed;
    struct keeper_member **all;
    size_t count;
    struct aff_members living; /* those of `all` that are known */
    bool complete;             /* all that are listed are known */
};

/* ---- reports ---- */

/* The last report of a node, as it was read. */
struct keeper_report {
    struct keeper *k;
    char name[AFF_NODE_NAME_MAX + 1];
    bool known;
    struct aff_report report;
    int32_t version;
    int64_t changed_ns; /* when it was last seen to be another one */
    struct aff_zk_call call;
};

struct keeper_reports {
    /* the own one */
    struct aff_zk_call write;
    bool creating, drains; /* what is being written says that this node drains */
    int64_t sent_boot_ns, sent_mono_ns;
    /* those of all */
    struct keeper_report **all;
    size_t count, pending;
    int64_t round_ns, read_ns; /* when the present round began, when the last one that came to its end did; 0: none */
    bool due;
};

/* ---- chunks ---- */

struct keeper_chunk {
    struct keeper *k;
    uint32_t space, index;
    char path[KEEPER_PATH_MAX];
    struct aff_zk_call call;
    bool known; /* read in this session */
    bool stale; /* there may be something newer */
    bool exists, unreadable;
    bool moved; /* since its seats were told */
    int32_t version;
    struct aff_chunk now;
    struct aff_chunk *next; /* being written */
};

struct keeper_space {
    char *name;
    uint32_t partitions, replicas;
    char ***assigned; /* or NULL */
    size_t chunks_count;
    struct keeper_chunk *chunks;
    struct aff_chunk *scratch;    /* what the decision works on, and views are built from */
    struct keeper_place **places; /* by partition; NULL: no seat is taken */
};

/* ---- the controller ---- */

struct keeper_election {
    struct aff_zk_call call;
    bool stale, known, self;
    char holder[AFF_MEMBER_MAX + 1];
};

struct keeper_away {
    char name[AFF_NODE_NAME_MAX + 1];
    int64_t since_ns;
};

struct keeper_controller {
    bool due;
    int64_t since_ns;   /* it decides since then */
    int64_t changed_ns; /* members changed: reports that are older do not count */
    struct keeper_away *away;
    size_t away_count;
};

/* ---- seats (any thread, unless it is said otherwise) ---- */

/* What a seat says, until the keeper takes it; what it is to do, until it does. Guarded by the place's lock. */
struct keeper_up {
    bool posted, take, leave, gave, gave_taken, asks, deposed;
    uint32_t asks_above, took;
};
struct keeper_down {
    bool posted, host, lead, give;
    uint64_t lead_turn; /* another number: it is told again */
    uint32_t granted;
    struct aff_give give_what;
};

struct keeper_place {
    struct keeper *k;
    atomic_uint refs;
    struct aff_loop *loop; /* the seat's */
    uint32_t space, partition;
    bool can_give;

    pthread_mutex_t lock;
    struct aff_seat *seat; /* guarded; NULL once it left */
    struct keeper_up up;
    struct keeper_down down;
    struct aff_msg up_msg, down_msg;

    /* the seat's loop */
    bool told_host, told_lead;
    uint64_t told_turn;

    /* the keeper's */
    bool host, lead; /* what it is to do, as it was told */
    bool fresh;      /* told to lead, and nothing granted since: it will ask */
    bool asks;       /* for an epoch above `asks_above` */
    uint32_t asks_above;
    uint32_t granted;         /* the highest epoch that it was told, or took */
    uint32_t took, give_told; /* an epoch that is to be made true; the `claim` of the last hand-over that it was told */
    bool gave, gave_taken;    /* to be made true, too */
    int64_t gave_ns;          /* since when */
    bool yields;              /* a step that gives the partition away is being written */
    bool deposed;             /* and is told to lead again at `again_ns` */
    int64_t again_ns, stalled_ns;
    unsigned depositions;
};

/* A wish, until it is written. */
struct keeper_wish {
    struct aff_msg msg;
    struct aff_list link;
    struct keeper *k;
    uint32_t space, partition;
    bool pinned;
    char to[AFF_NODE_NAME_MAX + 1];
};

struct keeper_shared {
    pthread_mutex_t lock;
    struct aff_view *view;
    struct aff_coordinator_health health;
    struct aff_coordinator_watch *watches[KEEPER_WATCHES_MAX];
    size_t watches_count;
};

struct keeper_path {
    struct keeper *k;
    struct aff_zk_call call;
    char path[KEEPER_PATH_MAX];
};

struct keeper {
    struct aff_coordinator base;

    /* constant since new() or join() */
    struct aff_coordinator_zookeeper_opts opts; /* its strings are owned */
    char root[64];
    struct keeper_space *spaces;
    size_t spaces_count;
    struct aff_view_node self;
    struct aff_loop *loop;
    pthread_t thread;
    bool running;

    /* any thread */
    _Atomic int64_t lease_until;
    atomic_bool drains;
    struct keeper_shared shared;

    /* the loop's */
    struct aff_hook hook;
    struct aff_timer tick;
    unsigned ticks;
    bool due;
    struct aff_zk *zk;
    bool connected, over, refused;
    int64_t begun_ns; /* the present client */
    struct aff_zk_session session;
    int64_t session_ms;              /* granted; as configured until then */
    char member[AFF_MEMBER_MAX + 1]; /* this incarnation; "": not registered */
    int64_t paused_ns;               /* nothing is begun before: something was refused that would be refused again */
    char trouble[160];               /* the last znode that could not be used; "" */
    struct keeper_path *paths;
    size_t paths_count, paths_made, paths_pending;
    struct keeper_members members;
    struct keeper_election election;
    struct keeper_reports reports;
    struct keeper_controller controller;
    struct aff_list wishes;
    bool view_due;
    int64_t published_ns; /* the last view */
    uint64_t generation;
};

static inline int64_t keeper_now(const struct keeper *k)
{
    return aff_loop_now(k->loop);
}
/* Something is to be looked at when this pass ends. */
static inline void keeper_due(struct keeper *k)
{
    k->due = true;
}
static inline int64_t keeper_h_ms(const struct keeper *k)
{
    return k->session_ms / KEEPER_LEASES;
}
static inline struct keeper_chunk *keeper_chunk_of(struct keeper *k, uint32_t space, uint32_t partition)
{
    return &k->spaces[space].chunks[partition / AFF_CHUNK_PARTITIONS];
}

/* A znode that cannot be used is told in the health, and in one log line. */
void aff_keeper_trouble(struct keeper *k, const char *what, const char *path, const struct aff_zk_reply *reply);

/* Each part: what to do at the end of a pass, and what the end of a session means for it. */
void aff_keeper_members_step(struct keeper *k);
/* This node drains, as its report says: everybody reads the reports now. */
void aff_keeper_members_ring(struct keeper *k);
void aff_keeper_members_changed(struct keeper *k,
                                const char *path); /* a watch below nodes/, or NULL: anything may have */
void aff_keeper_members_reset(struct keeper *k);
void aff_keeper_members_fini(struct keeper *k);
void aff_keeper_election_step(struct keeper *k);
void aff_keeper_election_reset(struct keeper *k);
void aff_keeper_chunks_read(struct keeper *k);
void aff_keeper_chunks_changed(struct keeper *k, const char *path);
void aff_keeper_chunks_reset(struct keeper *k);
/* Writes what the seats of this node want of a chunk, and the decision when there is one. One write is under way at a time. */
void aff_keeper_chunk_write(struct keeper_chunk *chunk, const struct aff_chunk *decided);
void aff_keeper_chunks_write(struct keeper *k);
void aff_keeper_reports_step(struct keeper *k);
void aff_keeper_reports_tick(struct keeper *k);
void aff_keeper_reports_reset(struct keeper *k);
void aff_keeper_reports_fini(struct keeper *k);
/* Those that are fresh enough to count; the array is the caller's, of reports.count places. */
size_t aff_keeper_reports_fresh(struct keeper *k, const struct aff_report **ret_reports);
const struct aff_report *aff_keeper_report_of(struct keeper *k, const char *name);
void aff_keeper_controller_step(struct keeper *k);
void aff_keeper_controller_fini(struct keeper *k);
/* What the chunks look like now, in the form of the pure functions; filled into `spaces`, of spaces_count places. */
void aff_keeper_picture(struct keeper *k, struct aff_assign_space *spaces);

/* Seats. */
int aff_keeper_take(struct aff_coordinator *c, struct aff_seat *seat, aff_error *err);
void aff_keeper_leave(struct aff_coordinator *c, struct aff_seat *seat);
void aff_keeper_request_epoch(struct aff_coordinator *c, struct aff_seat *seat, uint32_t above);
void aff_keeper_deposed(struct aff_coordinator *c, struct aff_seat *seat, uint32_t newer_major);
void aff_keeper_gave(struct aff_coordinator *c, struct aff_seat *seat, bool taken);
void aff_keeper_took(struct aff_coordinator *c, struct aff_seat *seat, uint32_t major);
/* What its chunk says of the partition is told to the seat. */
void aff_keeper_settle(struct keeper_place *place);
void aff_keeper_seats_tick(struct keeper *k);
void aff_keeper_seats_unlease(struct keeper *k);
/* Changes its partition in the chunk as far as the seat wants it; true when it did. */
bool aff_keeper_seat_steps(struct keeper_place *place, struct aff_chunk *next);
/* State and offset of the seat; AFF_SEAT_AWAY when it left. */
struct aff_report_seat aff_keeper_seat_report(struct keeper_place *place);

void aff_keeper_publish(struct keeper *k);
struct aff_view *aff_keeper_view(struct aff_coordinator *c);
void aff_keeper_health(struct aff_coordinator *c, struct aff_coordinator_health *ret_health);
void aff_keeper_watch(struct aff_coordinator *c, struct aff_coordinator_watch *watch);
int aff_keeper_wish(struct aff_coordinator *c, const char *keyspace, uint32_t partition, const char *to,
                    aff_error *err);
bool aff_keeper_wishes_step(struct keeper_chunk *chunk, struct aff_chunk *next);
void aff_keeper_wishes_fini(struct keeper *k);

#endif
