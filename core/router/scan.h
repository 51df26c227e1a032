/*
 * scan.h - the entries of a keyspace in order of their keys, merged over its partitions, a few at a time.
 *
 * A scan is no snapshot: each entry was current, and confirmed by the log, at some moment of the scan; keys are told at most once, in
 * strict order. It holds no page of any store between two calls: what it has read ahead is copied, and bounded (AFF_SCAN_AHEAD),
 * however slowly its reader takes it. It needs no memory of the past: the last key is all that a later scan has to know.
 *
 * Everything here is on the port's loop. Any number of scans may run on one port, and each call of theirs may stand between any two
 * other calls of the port's loop, but not between aff_port_get() and aff_port_done().
 */
#ifndef AFF_ROUTER_SCAN_H
#define AFF_ROUTER_SCAN_H

#include "router/router.h"

struct aff_scan;

/* Bytes read ahead, all partitions together, besides a key for each and the one value that is told and was too long to be kept. */
enum { AFF_SCAN_AHEAD = 256 * 1024 };

/* Which keys: those from `start` (inclusive) to before `end`; data NULL: unbounded. Bytes are compared without a sign. */
struct aff_range {
    aff_bytes start, end;
};

/*
 * The range of all keys that begin with `prefix`, within `range`. `room`: at least prefix.len bytes; the result points to it, to
 * `prefix` and to what `range` points to.
 */
struct aff_range aff_range_of_prefix(struct aff_range range, aff_bytes prefix, unsigned char *room);

struct aff_scan_opts {
    struct aff_port *port;
    const struct aff_space *space;
    struct aff_range range; /* copied */
    aff_bytes after;        /* tell only what comes behind this key in the order of the scan; data NULL: all. Copied */
    const struct aff_index_range *index; /* what has such terms, in the order of (term, key) of that index of the keyspace; NULL:
                               all keys. `range` is unbounded then, and `after` a place. Copied */
    bool alone;             /* `partition` and no other is asked */
    uint32_t partition;
    bool reverse;           /* from the last key to the first */
    bool keys_only;         /* item.value stays empty */
    bool local;             /* what this node's copies have, whatever their role (eventual); else each part is proven (I5) */
    int64_t patience_ns;    /* how long a proof of mastership may take, each of them; 0: for ever */
    void (*ready)(void *self); /* after AFF_EAGAIN: call aff_scan_next() again, here if you like. Never inside a call of the scan */
    void *self;
};

struct aff_scan_entry {
    aff_bytes key;
    struct aff_item item;
    aff_bytes place; /* the key, or where it stands in the order of the index: what `after` takes */
    uint32_t partition, identity8;
};

/* When all keys of the range have the same route, such as those with the prefix "7/" of route: up-to "/", one partition is asked. */
struct aff_scan *aff_scan_new(const struct aff_scan_opts *opts);
/*
 * 1: an entry, its views live until the next call; 0: there are no more; AFF_EAGAIN: `ready` will come; AFF_ENOMASTER and others:
 * the scan cannot go on, `*ret_partition` (may be NULL) says whose fault it is. An end and a failure stay.
 */
int aff_scan_next(struct aff_scan *scan, struct aff_scan_entry *ret_entry, uint32_t *ret_partition);
/* At any time, inside `ready` too; a proof that is under way comes back to nobody. Returns NULL. */
struct aff_scan *aff_scan_free(struct aff_scan *scan);

#endif
