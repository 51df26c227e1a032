/*
 * kept.h - responses of values that were read lately, to be sent again.
 *
 * A version of a value never changes: log identity, partition and offset name one record for ever. So the response that was
 * made for it is as good the next time; making one costs some twenty allocations, more than to read the value.
 *
 * A fixed number of places. A version has one place, and the version that was read last has it. One loop's.
 *
 * An answer that was made while its connection is suspended is given to libmicrohttpd later, when that runs the connection again. Until
 * then nobody but the place holds the response, so the place is pinned: another version of the same place is not kept.
 */
#ifndef AFF_HTTP_KEPT_H
#define AFF_HTTP_KEPT_H

#include "router/router.h"

#include <microhttpd.h>

enum {
    AFF_KEPT_PLACES = 4096,
    AFF_KEPT_VALUE_MAX = 1024, /* longer values are not kept, so that all places take at most 8 MiB */
};

struct aff_kept {
    const struct aff_space *space;
    struct aff_etag tag;
    struct MHD_Response *response; /* NULL: the place is free */
    unsigned pins;                 /* answers of it that libmicrohttpd has not been given yet */
};

/* The place of a version, which may be another's now. `table` has AFF_KEPT_PLACES places. */
static inline struct aff_kept *aff_kept_place(struct aff_kept *table, const struct aff_space *space,
                                              struct aff_etag tag)
{
    uint64_t number = (uint64_t)tag.offset * space->partitions + tag.partition; /* apart for what was written lately */
    return &table[number % AFF_KEPT_PLACES];
}

static inline bool aff_kept_is(const struct aff_kept *place, const struct aff_space *space, struct aff_etag tag)
{
    return place->response && place->tag.offset == tag.offset && place->tag.partition == tag.partition &&
           place->tag.identity8 == tag.identity8 && place->space == space;
}

/* Takes the response over, unless the place is pinned. What is being sent of the one before lives until it is sent. */
static inline bool aff_kept_set(struct aff_kept *place, const struct aff_space *space, struct aff_etag tag,
                                struct MHD_Response *response)
{
    if (place->pins)
        return false;
    if (place->response)
        MHD_destroy_response(place->response);
    *place = (struct aff_kept){ space, tag, response, 0 };
    return true;
}

/* The same of a text that does not change. */
struct aff_kept_document {
    struct aff_etag tag;              /* offset 0: not known yet */
    struct MHD_Response *response[2]; /* as it is, and by gzip; NULL: not made yet */
};

static inline void aff_kept_document_drop(struct aff_kept_document *kept)
{
    for (int i = 0; i < 2; i++) {
        if (kept->response[i])
            MHD_destroy_response(kept->response[i]);
        kept->response[i] = NULL;
    }
}

static inline void aff_kept_clear(struct aff_kept *table)
{
    for (int i = 0; i < AFF_KEPT_PLACES; i++)
        if (table[i].response)
            MHD_destroy_response(table[i].response);
}

#endif
