/*
 * fake_store.h - the state of one node's partition: ordered maps with one transaction at a time, in memory.
 *
 * What survives is what was committed: sim_store_crash() drops the rest. A view that was handed out dies with the next change
 * or commit, and is overwritten then, so that whoever still looks at it is found out. Digests of values and dirty keys are kept
 * up to date, so that comparing a replica with the truth costs nothing.
 */
#ifndef AFF_SIM_FAKE_STORE_H
#define AFF_SIM_FAKE_STORE_H

#include "sim.h"

enum { SIM_TABLE_VALUES = AFF_TABLES, SIM_TABLE_META, SIM_TABLES };

struct sim_pair {
    unsigned char *key, *value;
    size_t key_len, value_len;
};

struct sim_map {
    struct sim_pair *pairs; /* in order of their keys */
    size_t count, capacity;
};

/* What a key held before the open transaction changed it. */
struct sim_undo {
    int table;
    struct sim_pair before; /* value NULL: nothing */
};

struct sim_view {
    unsigned char *data;
    size_t len;
};

struct sim_store {
    struct aff_world_store world; /* what the core sees */
    struct sim *sim;
    struct sim_map maps[SIM_TABLES];
    struct sim_undo *undo;
    size_t undo_count, undo_capacity;
    struct sim_view *views; /* handed out since the last change */
    size_t view_count, view_capacity;
    uint64_t values_digest; /* of the values as the core sees them, open transaction included */
    uint64_t dirty_digest;  /* of the dirty keys of clients */
    uint64_t dirty_count;
    bool fails, full;    /* the disk is broken; there is no room */
    bool detached;       /* its process is dead: nothing is changed any more */
    int64_t clean_bound; /* below this offset the log had been compacted when it was read into here */
    int64_t
        doubt_until; /* tombstones were gone when it was read; who applies a record from there on must notice (I8) */
};

struct sim_store *sim_store_new(struct sim *sim);
struct sim_store *sim_store_free(struct sim_store *s);
void sim_store_crash(struct sim_store *s);             /* the process died: the open transaction is gone */
struct sim_store *sim_store_copy(struct sim_store *s); /* a backup of what is committed */

/* As another thread's reader would see it: committed. 1 or 0. The view lives until the store changes. */
int sim_store_committed(struct sim_store *s, aff_bytes key, struct aff_item *ret_item);
/* Does the core see changes that no other thread's reader sees? */
bool sim_store_has_uncommitted(const struct sim_store *s);
/* As the core sees it: with the open transaction. */
int sim_store_current(struct sim_store *s, aff_bytes key, struct aff_item *ret_item);
uint64_t sim_item_hash(aff_bytes key, const struct aff_item *item);
uint64_t sim_bytes_hash(aff_bytes bytes);

#endif
