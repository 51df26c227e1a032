/*
 * world.h - everything outside that the partition's state machine touches: log, store, coordinator, net, clock, entropy, host.
 *
 * The core owns these interfaces; partition.c puts the real changelog, LMDB and coordinator behind them, the simulator puts
 * seeded fakes there and runs many nodes in one process in virtual time.
 *
 * No function calls back into the core: answers come later as events (core.h). All on the partition's loop.
 */
#ifndef AFF_PARTITION_WORLD_H
#define AFF_PARTITION_WORLD_H

#include "base/clock.h"
#include "changelog/record.h"
#include "store/store.h"

/* changelog.h, with records in place of entries. */
struct aff_world_log {
    /* Event: aff_core_report(). 0, or nothing appended: AFF_EAGAIN, AFF_ENOSPACE, AFF_ETOOLARGE, AFF_EUNSAFE. */
    int (*append)(struct aff_world_log *log, const struct aff_record *rec);
    /* Events: aff_core_record() for each, then aff_core_read_done(). A new read replaces an open one. */
    void (*read)(struct aff_world_log *log, int64_t from, bool wait, uint64_t ticket);
    void (*reset)(struct aff_world_log *log);
    void (*keep_from)(struct aff_world_log *log, int64_t offset);
};

/* store.h, seen from its writer; the meanings and returns are those of the functions there. */
struct aff_world_store {
    int (*get)(struct aff_world_store *s, aff_bytes key, struct aff_item *ret_item);
    int (*put)(struct aff_world_store *s, aff_bytes key, const struct aff_item *item);
    int (*del)(struct aff_world_store *s, aff_bytes key);
    int (*room)(struct aff_world_store *s, uint64_t bytes);
    /* What a write of the item (NULL: a delete) needs of that for the sake of indexes. NULL: nothing; a store without any. */
    int (*index_weight)(struct aff_world_store *s, aff_bytes key, const struct aff_item *item, uint64_t *ret_bytes);
    int (*commit)(struct aff_world_store *s);
    int (*wipe)(struct aff_world_store *s);
    int (*expired)(struct aff_world_store *s, int64_t now_ms, struct aff_expiry_cursor *cursor, struct aff_version *ret);
    int (*meta_get)(struct aff_world_store *s, const char *name, aff_bytes *ret_value);
    int (*meta_put)(struct aff_world_store *s, const char *name, aff_bytes value);
    int (*table_get)(struct aff_world_store *s, enum aff_table t, aff_bytes key, aff_bytes *ret_value);
    int (*table_put)(struct aff_world_store *s, enum aff_table t, aff_bytes key, aff_bytes value);
    int (*table_del)(struct aff_world_store *s, enum aff_table t, aff_bytes key);
    int (*table_next)(struct aff_world_store *s, enum aff_table t, aff_bytes after, aff_bytes *ret_key, aff_bytes *ret_value);
    uint64_t (*table_count)(struct aff_world_store *s, enum aff_table t);
};

struct aff_world_coordinator {
    /* Asks for a major epoch above `above`, for this incarnation alone (I1). Event: aff_core_granted(). */
    void (*request_epoch)(struct aff_world_coordinator *c, uint32_t above);
    /* This node does not lead the partition any more, or could not: `newer` is the epoch that the log knows. */
    void (*deposed)(struct aff_world_coordinator *c, aff_epoch newer);
    /* Valid records of another incarnation were read just now. */
    void (*heard)(struct aff_world_coordinator *c);
    /* Until when (boottime ns) nobody but who leads by `major` can; INT64_MAX: as long as this process lives; 0: no lease. */
    int64_t (*lease_until)(struct aff_world_coordinator *c, uint32_t major);
    /* The end of aff_core_give(): the other leads; or this node wants it back, waits for aff_core_granted() and claims then. */
    void (*gave)(struct aff_world_coordinator *c, bool taken);
    /* This node leads by an aff_core_take(). */
    void (*took)(struct aff_world_coordinator *c, uint32_t major);
};

/* What the giver of a hand-over says to the receiver. */
struct aff_go {
    uint32_t major;       /* the receiver is to claim with it */
    struct aff_stamp cur; /* of the last valid record below `end` */
    int64_t end;          /* the giver knows everything below, and appends nothing more */
};

/* Other nodes, in a hand-over. */
struct aff_world_net {
    /* To the node that aff_core_give() was for. Event: aff_core_went(). */
    void (*go)(struct aff_world_net *net, const struct aff_go *go, int64_t deadline_ns);
    /* That node leads, with its epoch: what waits here is answered AFF_ENOMASTER next. */
    void (*moved)(struct aff_world_net *net);
    /* Does this node lead, by that GO? Whoever gave may hear no and then yes (aff_core_take). */
    void (*taken)(struct aff_world_net *net, uint32_t major, bool leads);
};

struct aff_world_entropy {
    uint64_t (*u64)(struct aff_world_entropy *e);
};

enum aff_role {
    AFF_ROLE_OPENING,   /* checks that the checkpoint fits the log */
    AFF_ROLE_FOLLOWING, /* standby: tails the log */
    AFF_ROLE_CLAIMING,  /* waits for its grant and its CLAIM, reads up to it */
    AFF_ROLE_MASTER,
    AFF_ROLE_SETTLING,  /* was master; an outcome is unknown; claims again to let the log decide */
    AFF_ROLE_FAILED,    /* stopped, with a reason; never silently stale */
    AFF_ROLE_AWAY,      /* no replica is held here; the host's, no core ever has it */
};

/* The partition as others may see it. */
struct aff_standing {
    enum aff_role role;
    struct aff_stamp own;   /* of the mastership, seq of the last record handed to the log */
    struct aff_stamp cur;   /* of the last valid record */
    int64_t claim_offset;   /* of the last valid CLAIM, -1: none */
    int64_t applied;        /* everything below is applied */
    int64_t log_end;        /* as last heard */
    uint64_t dirty;
    uint64_t in_flight, queued;
    unsigned char identity[AFF_IDENTITY_LEN];
    int64_t owed_since_ns;  /* monotonic: since when the log owes it a report, or takes nothing; 0: it does not */
    bool serves;            /* strict reads may be answered here while lease_until() is in the future */
    const char *failure;    /* text when FAILED */
};

/* Who embeds the core. */
struct aff_world_host {
    /* Role, epoch or identity changed. `standing` is borrowed. Readers must not be served by the old one after it returns. */
    void (*changed)(struct aff_world_host *h, const struct aff_standing *standing);
};

struct aff_world {
    struct aff_world_log *log;
    struct aff_world_store *store;
    struct aff_world_coordinator *coordinator;
    struct aff_world_net *net;
    const struct aff_clock *clock;
    struct aff_world_entropy *entropy;
    struct aff_world_host *host;
    const struct aff_logger *logger;
};

#endif
