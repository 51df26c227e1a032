/*
 * cors.h - which pages of other origins may call us from a browser (the Fetch standard's CORS): what stands in `cors` of the
 * configuration, made into the fields that are sent.
 *
 * Off unless origins are configured. An origin that is not among them gets no field of these, and its request is served as any
 * other: it is the browser that keeps the answer from the page.
 *
 * Made before the loops run, then constant; any thread.
 */
#ifndef AFF_HTTP_CORS_H
#define AFF_HTTP_CORS_H

#include "base/buf.h"

/* Texts live until aff_cors_init() has returned, but the origins: as long as what is made of them. */
struct aff_cors_opts {
    char *const *origins; /* "https://a.example", or "*" */
    size_t origins_count;
    char *const *headers; /* that a page may send, besides those that we know */
    size_t headers_count;
    char *const *methods;
    size_t methods_count;
    bool credentials;
    int64_t max_age_ms;
};

struct aff_cors {
    char *const *origins;
    size_t origins_count; /* 0: off */
    bool any, credentials;
    struct aff_buf methods, headers; /* lists with a NUL behind */
    char max_age[24];                /* seconds */
};

void aff_cors_init(struct aff_cors *cors, const struct aff_cors_opts *opts);
void aff_cors_fini(struct aff_cors *cors);

static inline bool aff_cors_on(const struct aff_cors *cors)
{
    return cors->origins_count > 0;
}

/* Do answers differ by origin? */
static inline bool aff_cors_varies(const struct aff_cors *cors)
{
    return aff_cors_on(cors) && !cors->any;
}

bool aff_cors_allows(const struct aff_cors *cors, aff_bytes origin);

#endif
