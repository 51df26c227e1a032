/*
 * cors.c - see cors.h. The fields are added when an answer is sent (exchange.c), never to one that is kept.
 */
#include "http/cors.h"

#include "base/alloc.h"
#include "http/inner.h"

#include <stdio.h>
#include <stdlib.h>

/* What a page may send without being configured: all that has a meaning here. */
static const char known_headers[] = "Accept, Affinity-Consistency, Affinity-Event-Time, Affinity-TTL, Content-Type, "
                                    "Idempotency-Key, If-Match, If-Modified-Since, If-None-Match, If-Unmodified-Since, "
                                    "Last-Event-ID, Prefer, traceparent, tracestate";
/* What a page may see of an answer, besides what every page may. */
static const char exposed_headers[] =
    "Accept, Accept-Patch, Affinity-Event-Time, Affinity-Expires, Affinity-Outcome, "
    "Affinity-Position, Affinity-Replayed, Affinity-Request-Id, Allow, Content-Encoding, "
    "Date, ETag, Link, Location, Preference-Applied, Retry-After, traceparent, Vary";

/* ---- made of the configuration ---- */

static void must(bool done)
{
    if (!done)
        abort(); /* some bytes at a start */
}

static void join(struct aff_buf *list, char *const *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        must(aff_buf_printf(list, "%s%s", list->len ? ", " : "", items[i]));
}

void aff_cors_init(struct aff_cors *cors, const struct aff_cors_opts *opts)
{
    memset(cors, 0, sizeof *cors);
    aff_buf_init(&cors->methods);
    aff_buf_init(&cors->headers);
    cors->origins = opts->origins;
    cors->origins_count = opts->origins_count;
    cors->credentials = opts->credentials;
    for (size_t i = 0; i < opts->origins_count; i++)
        cors->any |= strcmp(opts->origins[i], "*") == 0;
    join(&cors->methods, opts->methods, opts->methods_count);
    must(aff_buf_add(&cors->headers, known_headers, sizeof known_headers - 1));
    join(&cors->headers, opts->headers, opts->headers_count);
    must(aff_buf_u8(&cors->methods, 0) && aff_buf_u8(&cors->headers, 0));
    (void)snprintf(cors->max_age, sizeof cors->max_age, "%lld", (long long)(opts->max_age_ms / 1000));
}

void aff_cors_fini(struct aff_cors *cors)
{
    aff_buf_fini(&cors->methods);
    aff_buf_fini(&cors->headers);
}

/* As browsers write it, byte for byte: an origin has one spelling. */
bool aff_cors_allows(const struct aff_cors *cors, aff_bytes origin)
{
    if (cors->any)
        return true;
    for (size_t i = 0; i < cors->origins_count; i++)
        if (aff_bytes_equal(origin, aff_str(cors->origins[i])))
            return true;
    return false;
}

/* ---- on answers ---- */

bool aff_cors_asked(const struct aff_exchange *x)
{
    const struct aff_cors *cors = &x->http->cors;
    return aff_cors_on(cors) && aff_headers_have(&x->headers, AFF_FIELD_ORIGIN) &&
           aff_cors_allows(cors, x->headers.field[AFF_FIELD_ORIGIN]);
}

/* A preflight asks what the page may send; whatever its path, method and fields are, the answer is the same list. */
static void answer_preflight(struct aff_exchange *x)
{
    const struct aff_cors *cors = &x->http->cors;
    aff_answer_header(x, "Access-Control-Allow-Methods", (const char *)cors->methods.data);
    aff_answer_header(x, "Access-Control-Allow-Headers", (const char *)cors->headers.data);
    aff_answer_header(x, "Access-Control-Max-Age", cors->max_age);
}

void aff_cors_answer(struct aff_exchange *x)
{
    const struct aff_cors *cors = &x->http->cors;
    if (!aff_cors_asked(x))
        return;
    if (cors->any)
        aff_answer_header(x, "Access-Control-Allow-Origin", "*");
    else
        aff_answer_header_bytes(x, "Access-Control-Allow-Origin", x->headers.field[AFF_FIELD_ORIGIN]);
    if (cors->credentials)
        aff_answer_header(x, "Access-Control-Allow-Credentials", "true");
    if (x->method == AFF_OPTIONS && aff_headers_have(&x->headers, AFF_FIELD_REQUEST_METHOD))
        answer_preflight(x);
    else
        aff_answer_header(x, "Access-Control-Expose-Headers", exposed_headers);
}
