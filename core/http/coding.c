/*
 * coding.c - responses that gzip makes smaller, for clients that take it (negotiate.h chooses).
 *
 * A body is coded as a whole, in the handler, so only up to a length: the loop does nothing else meanwhile. Nothing coded is kept;
 * what is kept (kept.h) is never coded.
 */
#include "http/inner.h"

#include <assert.h>

static bool can_code(const struct aff_http_limits *limits, size_t length)
{
    return limits->gzip_level && length <= limits->gzip_max;
}

/* What stands in the way of every coding that the client takes. */
static void refuse_coding(struct aff_exchange *x, size_t length)
{
    aff_answer_code(x, AFF_ENOTACCEPTABLE,
                    can_code(&x->http->opts.limits, length)
                        ? "there are identity and gzip here, and Accept-Encoding takes neither"
                        : "this is sent as it is (identity), which Accept-Encoding does not take");
    x->varies |= AFF_VARIES_CODING;
}

enum aff_coding aff_coding_of(struct aff_exchange *x, aff_bytes type, size_t length, bool *ret_varies)
{
    const struct aff_http_limits *limits = &x->http->opts.limits;
    bool asked = aff_headers_have(&x->headers, AFF_FIELD_ACCEPT_ENCODING);
    bool worth = length >= limits->gzip_min && can_code(limits, length) && aff_media_shrinks(type);
    aff_bytes accepted = x->headers.field[AFF_FIELD_ACCEPT_ENCODING];
    if (ret_varies)
        *ret_varies = worth;
    if (!asked)
        return x->coding;
    x->coding = aff_coding_choose(accepted, worth);
    if (x->coding == AFF_CODING_NONE) /* no plain one: then what is not worth it is coded, too */
        x->coding = aff_coding_choose(accepted, can_code(limits, length));
    if (x->coding == AFF_CODING_NONE && aff_reads(x))
        refuse_coding(x, length);
    else if (x->coding == AFF_CODING_NONE)
        x->coding = AFF_CODING_IDENTITY;
    return x->coding;
}

static bool code(struct aff_http *http, aff_bytes body, struct aff_buf *out)
{
    if (!http->gzip)
        http->gzip = aff_gzip_new((int)http->opts.limits.gzip_level);
    return http->gzip && aff_gzip_add(http->gzip, body, true, out);
}

void aff_answer_gzip(struct aff_exchange *x, int status, aff_bytes body)
{
    struct aff_buf coded;
    assert(x->coding == AFF_CODING_GZIP);
    aff_buf_init(&coded);
    if (code(x->http, body, &coded)) {
        aff_answer(x, status, aff_buf_view(&coded));
        aff_answer_header(x, "Content-Encoding", "gzip");
        x->varies |= AFF_VARIES_CODING;
    } else {
        x->failed = true;
    }
    aff_buf_fini(&coded);
}

static struct aff_gzip_length *place_of(struct aff_exchange *x, struct aff_etag tag)
{
    uint64_t number = (uint64_t)tag.offset * x->space->partitions + tag.partition;
    return &x->http->gzip_lengths[number % AFF_GZIP_LENGTHS];
}

void aff_gzip_remember(struct aff_exchange *x, struct aff_etag tag, uint64_t length)
{
    *place_of(x, tag) = (struct aff_gzip_length){ x->space, tag, length };
}

uint64_t aff_gzip_length(struct aff_exchange *x, struct aff_etag tag, aff_bytes value)
{
    const struct aff_gzip_length *place = place_of(x, tag);
    if (place->space == x->space && place->tag.offset == tag.offset && place->tag.partition == tag.partition &&
        place->tag.identity8 == tag.identity8)
        return place->length;
    struct aff_buf coded;
    aff_buf_init(&coded);
    uint64_t length = code(x->http, value, &coded) ? coded.len : 0;
    aff_buf_fini(&coded);
    if (length)
        aff_gzip_remember(x, tag, length);
    return length;
}

void aff_answer_coded(struct aff_exchange *x, int status, aff_bytes body, aff_bytes type)
{
    bool varies;
    if (aff_coding_of(x, type, body.len, &varies) == AFF_CODING_NONE)
        return;
    if (x->coding == AFF_CODING_GZIP) {
        aff_answer_gzip(x, status, body);
    } else {
        aff_answer(x, status, body);
        if (varies)
            x->varies |= AFF_VARIES_CODING;
    }
    aff_answer_header_bytes(x, "Content-Type", type);
}
