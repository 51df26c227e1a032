/*
 * scan_inner.h - the insides of a scan, shared by the files that are one:
 *
 *   scan.c        the merge: whose key comes next, and which part is read when
 *   scan_range.c  where a scan begins and ends, and which partitions it asks
 *   scan_here.c   a part that is read from this node's store, and its proof of mastership
 *   scan_away.c   a part that another node leads
 *
 * On the port's loop.
 */
#ifndef AFF_ROUTER_SCAN_INNER_H
#define AFF_ROUTER_SCAN_INNER_H

#include "base/buf.h"
#include "router/inner.h"
#include "router/scan.h"

struct aff_scan_away;
struct aff_scan_value;

enum {
    AFF_SCAN_AWAITED_MAX = 64, /* proofs and answers that a scan waits for at once */
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
    bool deposed;      /* it said that it is led elsewhere: that is asked before this node's partition is, again */
    bool follow;       /* what comes behind this chunk is to be asked of the same node */
    uint64_t order;    /* the next key's first bytes behind what all keys of the range share */
    int64_t proven_ns; /* until then by a barrier; INT64_MAX: for the next read, whenever that is */
    struct aff_scan_away *away; /* what is under way to another node; NULL: nothing ever was */
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
    unsigned awaited;     /* what must come before it is worth to go on */
    unsigned ahead;       /* questions that nobody waits for yet */
    struct aff_buf whole; /* of a value that was not read ahead */
    struct aff_scan_value *value; /* the same, of another node; NULL: there was none */
    struct aff_scan_part **heap, **dry;
    size_t merged, dry_count, live; /* live: not ended */
    size_t count;
    struct aff_scan_part parts[];
};

/* ---- scan.c ---- */

/* The first failure stays; it is returned. */
int aff_scan_fail(struct aff_scan *scan, const struct aff_scan_part *part, int code);
/* Something that was waited for (`awaited`) is there; after the last of it `ready` comes. */
void aff_scan_came(struct aff_scan *scan);

/* ---- scan_range.c ---- */

void aff_scan_set_range(struct aff_scan *scan, const struct aff_scan_opts *opts);
/* Where a part goes on: behind the entry at `last` of what was read of it, if anything was. Views of the scan and the part. */
struct aff_store_step aff_scan_step_of(const struct aff_scan *scan, const struct aff_scan_part *part, uint32_t last);
/* How many partitions are asked, from `*ret_first` on: one, when all keys of the range have the same route. */
size_t aff_scan_partitions(const struct aff_scan_opts *opts, uint32_t *ret_first);

/* ---- scan_here.c ---- */

/* Where a chunk of at most AFF_SCAN_CHUNK_MAX bytes has room, before it is kept. */
unsigned char *aff_scan_scratch(struct aff_port *port);
/* One step over a partition's keys or, unless it is NULL, an index: as aff_store_reader_step(). */
int aff_scan_step(struct aff_port *port, const struct aff_space *space, uint32_t partition, const struct aff_index_range *index,
                  const struct aff_store_step *step, unsigned char *to, size_t bytes, size_t *ret_len);
/* The value of a key whose entry has this place: 1, 0: it is gone; or a failure. Then aff_scan_got(), in the same pass. */
int aff_scan_get(struct aff_port *port, const struct aff_space *space, uint32_t partition, const struct aff_index_range *index,
                 aff_bytes place, aff_bytes key, struct aff_item *ret_item);
void aff_scan_got(struct aff_port *port, const struct aff_space *space, uint32_t partition);

/*
 * May what was read of this node's copy before this call be told (I5)? 0; AFF_EAGAIN: a barrier must be answered before it is read,
 * and then it is `proven`; AFF_ENOMASTER. `local`: any copy that is kept up to date will do. `serving`: as aff_partition_serving() told it
 * before the read.
 */
int aff_scan_may_tell(const struct aff_space *space, uint32_t partition, bool local, bool proven, uint32_t serving);

/* Reads the next chunk of a dry part, about so many bytes. 0; AFF_EAGAIN: it is being proven; AFF_ENOMASTER; or a failure. */
int aff_scan_read_here(struct aff_scan *scan, struct aff_scan_part *part, size_t bytes);
/*
 * Reads the item of a key that was read ahead without it, as it is now. 1, its views live until the next call; 0: it is gone;
 * AFF_EAGAIN: it is being proven; AFF_ENOMASTER; or a failure.
 */
int aff_scan_read_value_here(struct aff_scan *scan, struct aff_scan_part *part, aff_bytes place, aff_bytes key,
                             struct aff_item *ret_item);
/* Copies what the item shows, but for a value that is not wanted, to the scan's `whole`. */
int aff_scan_keep_whole(struct aff_scan *scan, struct aff_item *item);
void aff_scan_forget_proofs(struct aff_scan *scan); /* those under way come back to nobody */

/* ---- scan_away.c ---- */

/* Is its next chunk, or a question for it, on the way from another node? */
bool aff_scan_is_away(const struct aff_scan_part *part);
/* As aff_scan_read_here(), of whoever leads the part. AFF_EAGAIN: the answer comes, or says that it is to be read here. */
int aff_scan_read_away(struct aff_scan *scan, struct aff_scan_part *part, size_t bytes);
/* A chunk of it was read, here or there: what went wrong before does not count any more. */
void aff_scan_settled(struct aff_scan_part *part);
/* Asks for the next chunk while there are entries of one that was read away, if so many bytes are worth it. */
void aff_scan_ask_ahead(struct aff_scan *scan, struct aff_scan_part *part, size_t bytes);
void aff_scan_forget_away(struct aff_scan *scan, struct aff_scan_part *part); /* no answer comes */

bool aff_scan_value_is_away(const struct aff_scan *scan);
/* As aff_scan_read_value_here(). */
int aff_scan_read_value_away(struct aff_scan *scan, struct aff_scan_part *part, aff_bytes place, aff_bytes key,
                             struct aff_item *ret_item);
void aff_scan_value_passed(struct aff_scan *scan); /* it is not asked for any more */
void aff_scan_forget_value(struct aff_scan *scan); /* no answer comes */

#endif
