/*
 * document.c - /openapi.json and /docs: texts that are the same while the node runs. Each response is made once, plain and
 * coded, and sent again.
 */
#include "http/inner.h"

#include "base/digest.h"

static void check_document(struct aff_exchange *x)
{
    aff_check_query(x, NULL);
    aff_check_conditions(x);
}

static uint64_t number_at(const unsigned char *at, unsigned bytes)
{
    uint64_t number = 0;
    while (bytes--)
        number = number << 8 | *at++;
    return number;
}

/* An entity tag of the form that a version has, so that conditions are decided by the same code: 127 bits of a digest. */
static struct aff_etag tag_of(aff_bytes text)
{
    struct aff_digest digest = aff_digest_of(&text, 1);
    return (struct aff_etag){
        .identity8 = (uint32_t)number_at(digest.b, 4),
        .partition = (uint32_t)number_at(digest.b + 4, 4),
        .offset = (int64_t)(number_at(digest.b + 8, 8) >> 1),
    };
}

static void add_headers(struct aff_exchange *x, struct aff_etag tag, const struct aff_http_document *document,
                        bool varies)
{
    aff_answer_etag(x, tag);
    aff_answer_header(x, "Cache-Control", "no-cache"); /* a cache that asks each time may keep it */
    aff_answer_header(x, "Content-Type", document->type);
    aff_answer_header(x, "X-Content-Type-Options", "nosniff");
    if (document->policy)
        aff_answer_header(x, "Content-Security-Policy", document->policy);
    if (varies)
        x->varies |= AFF_VARIES_CODING;
}

static void answer_whole(struct aff_exchange *x, struct aff_kept_document *kept,
                         const struct aff_http_document *document, bool varies)
{
    struct MHD_Response **place = &kept->response[x->coding == AFF_CODING_GZIP];
    bool keep = !aff_answers_alone(x);
    if (keep && *place) {
        aff_answer_again(x, 200, *place, document->bytes.len);
        return;
    }
    if (x->coding == AFF_CODING_GZIP)
        aff_answer_gzip(x, 200, document->bytes);
    else
        aff_answer(x, 200, document->bytes);
    add_headers(x, kept->tag, document, varies);
    if (keep && x->response) {
        *place = x->response;
        aff_answer_kept(x);
    }
}

/* It names the form that the client has, when it says that it has one. */
static void answer_unchanged(struct aff_exchange *x, struct aff_kept_document *kept,
                             const struct aff_http_document *document, bool varies)
{
    bool gzip = x->coding == AFF_CODING_GZIP;
    if (!x->none_match.any && !aff_etags_name(&x->none_match, kept->tag, gzip))
        x->coding = gzip ? AFF_CODING_IDENTITY : AFF_CODING_GZIP;
    aff_answer_bodiless(x, 304, document->bytes.len);
    add_headers(x, kept->tag, document, varies);
}

static void answer_document(struct aff_exchange *x, struct aff_kept_document *kept,
                            const struct aff_http_document *document)
{
    if (!document->bytes.data) {
        aff_answer_code(x, AFF_ENOROUTE, NULL);
        return;
    }
    if (!kept->tag.offset)
        kept->tag = tag_of(document->bytes);
    struct aff_read_conditions c = {
        .match = aff_headers_have(&x->headers, AFF_FIELD_IF_MATCH) ? &x->match : NULL,
        .none_match = aff_headers_have(&x->headers, AFF_FIELD_IF_NONE_MATCH) ? &x->none_match : NULL,
    };
    bool varies;
    if (aff_coding_of(x, aff_str(document->type), document->bytes.len, &varies) == AFF_CODING_NONE)
        return;
    switch (aff_conditions_decide(&c, true, kept->tag, 0)) {
    case AFF_VERDICT_FAILED:
        aff_answer_code(x, AFF_EPRECONDITION, NULL);
        break;
    case AFF_VERDICT_NOT_MODIFIED:
        answer_unchanged(x, kept, document, varies);
        break;
    case AFF_VERDICT_PROCEED:
        answer_whole(x, kept, document, varies);
        break;
    }
}

static void run_openapi(struct aff_exchange *x)
{
    answer_document(x, &x->http->openapi, &x->http->opts.openapi);
}

static void run_docs(struct aff_exchange *x)
{
    answer_document(x, &x->http->docs, &x->http->opts.docs);
}

const struct aff_verb aff_verb_openapi = { .check = check_document, .run = run_openapi };
const struct aff_verb aff_verb_docs = { .check = check_document, .run = run_docs };
