/*
 * scan_inner.h - the insides of a scan, shared by the files that are one:
 *
 *   scan.c        the merge: whose key comes next, and which part is read when
 *   scan_range.c  where a scan begins and ends, and which partitions it asks
 *   scan_here.c   a part that is read from this node's store, and its proof of mastership
 *
 * On the port's loop.
 */
#ifndef AFF_ROUTER_SCAN_INNER_H
#define AFF_ROUTER_SCAN_INNER_H

#include "base/buf.h"
#include "router/inner.h"
#include "router/scan.h"

enum {
    AFF_SCAN_CHUNK_MAX = 64 * 1024, /* what is read of a partition at once */
    /* Keys compare with these bytes of a longer bound as with all of it, and so do places of an index: a term, a key, two bytes. */
    AFF_SCAN_BOUND_MAX = 2 * AFF_KEY_MAX + 3,
};

/*
 * A partition, as the scan knows it.
 *
 *   dry      nothing read ahead: to be read before anything else can be told
 *   merged   on the heap by the key that it comes with next
 *   ended    it has no more
 */
struct aff_scan_part {
    unsigned char *data; /* entries that were read ahead, as store/scan.c copied them */
    uint32_t len, capacity;
    uint32_t at;       /* the entry that comes next; when it is dry that is behind the last */
    uint32_t last;     /* the entry before it: where the next read goes on */
    uint32_t chunk;    /* bytes that were asked for by the last read; 0: there was none */
    uint32_t index;    /* of the partition */
    uint32_t identity8;
    bool ended;        /* nothing lies behind what was read */
    bool proving;      /* a barrier is under way */
    uint64_t order;    /* the next key's first bytes behind what all keys of the range share */
    int64_t proven_ns; /* until then by a barrier; INT64_MAX: for the next read, whenever that is */
};

struct aff_scan_bound {
    bool there;
    uint16_t len;
    unsigned char bytes[AFF_SCAN_BOUND_MAX];
};

struct aff_scan {
    struct aff_scan_opts opts; /* its views are in the bounds */
    struct aff_scan_bound from, until;
    struct aff_index_range index; /* its terms are in `terms` */
    struct aff_buf terms;
    bool inclusive;    /* `from` itself, too */
    bool inside;       /* a call */
    bool waiting;      /* AFF_EAGAIN was said, `ready` is owed */
    bool told;         /* the first of the heap */
    uint16_t shared;   /* bytes at the beginning of all keys of the range */
    int failure;
    uint32_t failed;   /* partition */
    struct aff_timer wake;
    struct aff_list proofs;
    unsigned proving;
    struct aff_buf whole; /* of a value that was not read ahead */
    struct aff_scan_part **heap, **dry;
    size_t merged, dry_count, live; /* live: not ended */
    size_t count;
    struct aff_scan_part parts[];
};

/* ---- scan.c ---- */

/* The first failure stays; it is returned. */
int aff_scan_fail(struct aff_scan *scan, const struct aff_scan_part *part, int code);
/* What was waited for is there: `ready` comes. */
void aff_scan_owe_ready(struct aff_scan *scan);

/* ---- scan_range.c ---- */

void aff_scan_set_range(struct aff_scan *scan, const struct aff_scan_opts *opts);
/* Where a part goes on: behind the key that was passed last. Views of the scan. */
struct aff_store_step aff_scan_step_of(const struct aff_scan *scan, const struct aff_scan_part *part);
/* How many partitions are asked, from `*ret_first` on: one, when all keys of the range have the same route. */
size_t aff_scan_partitions(const struct aff_scan_opts *opts, uint32_t *ret_first);

/* ---- scan_here.c ---- */

/* Reads the next chunk of a dry part, about so many bytes. 0; AFF_EAGAIN: it is being proven; or a failure. */
int aff_scan_read_here(struct aff_scan *scan, struct aff_scan_part *part, size_t bytes);
/*
 * Reads the item of a key that was read ahead without it, as it is now. 1, its views live until the next call; 0: it is gone;
 * AFF_EAGAIN: it is being proven; or a failure.
 */
int aff_scan_read_whole_here(struct aff_scan *scan, struct aff_scan_part *part, aff_bytes place, aff_bytes key,
                             struct aff_item *ret_item);
void aff_scan_forget_proofs(struct aff_scan *scan); /* those under way come back to nobody */

#endif
