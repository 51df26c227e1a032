/*
 * listing.h - a GET of a keyspace on its way: what was asked for, the scan, and what of it is not sent yet.
 *
 * scan.c reads the parameters and makes pages, stream.c answers of any length. It belongs to its exchange.
 */
#ifndef AFF_HTTP_LISTING_H
#define AFF_HTTP_LISTING_H

#include "base/buf.h"
#include "http/cursor.h"
#include "http/entry.h"

struct aff_exchange;

struct aff_listing {
    /* what was asked for; views of the exchange's target */
    aff_bytes prefix, start, end; /* len 0: not given */
    aff_bytes index, value, from, to; /* data NULL: not given */
    aff_bytes cursor;
    uint64_t limit; /* 0: none */
    unsigned given; /* parameters, as bits: one stands once */
    bool reverse, keys_only;
    bool streams;
    const char *type; /* of the answer */

    bool by_index;                /* through an index, */
    struct aff_index_range terms; /* these terms of it, */
    struct aff_buf term_room;     /* which lie here */

    /* under way */
    struct aff_scan *scan;
    bool waits; /* the scan said so and has not called since */
    unsigned char prefix_room[AFF_KEY_MAX];
    uint64_t told;   /* entries in the answer so far */
    uint64_t bytes;  /* of their keys and values */
    size_t last_len; /* of the place of the last one, or of the cursor's; 0: there is none */
    unsigned char last[AFF_KEY_MAX];
    struct aff_buf out; /* the page; or what of the stream is not sent yet */
    size_t sent;        /* of that */
    bool ended;         /* nothing more comes */
    bool broken;        /* and not because there is nothing more */
};

struct aff_listing *aff_listing_free(struct aff_listing *listing); /* accepts NULL, returns NULL */

/* by_index.c: which terms of which index are asked for; refuses what is wrong with that. */
void aff_listing_read_index(struct aff_exchange *x);

/* The next entry: as aff_scan_next(), whose failures are noted for the answer in `detail`. */
int aff_listing_next(struct aff_exchange *x, struct aff_scan_entry *ret_entry);
struct aff_entry_form aff_listing_form(const struct aff_listing *listing);
/* The entry is in the answer. */
void aff_listing_told(struct aff_listing *listing, const struct aff_scan_entry *entry);
/* Appends the relative URL of what follows the last entry. False: out of memory. */
bool aff_listing_next_url(const struct aff_exchange *x, struct aff_buf *out) AFF_MUST_USE;

/* Answers, or waits for the scan and answers then. Also what is called when it has waited. */
void aff_stream_run(struct aff_exchange *x);

#endif
