/*
 * patch.c - PATCH of /v1/{keyspace}/{key}: RFC 7396 merge patches and RFC 6902 JSON patches.
 *
 * What it says is checked here; it is applied where the partition is led (router/patch.h).
 */
#include "http/inner.h"

#include "router/patch.h"
#include "serde/media.h"

#include <stdio.h>

/* ---- the request ---- */

static void check_type(struct aff_exchange *x)
{
    aff_bytes type = x->headers.field[AFF_FIELD_CONTENT_TYPE];
    struct aff_media media;
    bool merges = false, known = false;
    x->accepts = AFF_ACCEPT_PATCH;
    if (type.data && type.len <= AFF_TYPE_MAX && aff_media_parse(type, &media)) {
        merges = aff_media_is(&media, "application/merge-patch+json");
        known = merges || aff_media_is(&media, "application/json-patch+json");
    }
    if (!known)
        aff_refuse(x, AFF_EMEDIATYPE,
                   "the Content-Type of a PATCH is application/merge-patch+json (RFC 7396) or "
                   "application/json-patch+json (RFC 6902)");
    else
        (void)snprintf(x->content_type, sizeof x->content_type, "application/%s-patch+json", merges ? "merge" : "json");
    if (known)
        aff_check_coding(x);
}

static void check_patch(struct aff_exchange *x)
{
    aff_check_length(x);
    check_type(x);
    aff_check_write(x);
    aff_check_demanded(x);
}

/* ---- the answer ---- */

/* The value as this request wrote or found it; of a repeat only what was kept of the first answer. */
static aff_bytes new_value(const struct aff_result *r)
{
    return r->replay_cut || !r->reply_type.len ? (aff_bytes){ NULL, 0 } : r->reply;
}

static void answer_patch(struct aff_exchange *x)
{
    if (aff_answer_failure(x))
        return;
    const struct aff_result *r = &x->op.call.op.result;
    const struct aff_call *call = &x->op.call;
    aff_bytes value = new_value(r);
    bool created = r->status == 201, whole = x->prefer == AFF_RETURN_REPRESENTATION && value.data;
    int status = created ? 201 : x->prefer == AFF_RETURN_MINIMAL ? 204 : 200;
    aff_answer(x, status, whole ? value : aff_str(""));
    if (whole)
        aff_answer_header_bytes(x, "Content-Type", r->reply_type);
    aff_answer_stored(x, created, whole);
    aff_answer_written(x, true);
    if (!r->replayed && r->unchanged) {
        aff_answer_etag(x, (struct aff_etag){ call->identity8, call->partition, r->version.offset });
        aff_answer_position(x, call->partition, r->version.offset);
    }
}

static void run_patch(struct aff_exchange *x)
{
    const struct aff_patch_opts opts = {
        .body = aff_buf_view(&x->body),
        .merges = strcmp(x->content_type, "application/merge-patch+json") == 0,
        .whole = x->prefer == AFF_RETURN_REPRESENTATION,
        .depth = x->http->opts.limits.json_depth,
    };
    char detail[AFF_DETAIL_MAX];
    aff_fill_write(x, AFF_OP_COMMAND);
    int code = aff_patch_prepare(&x->op, x->space, &opts, detail, sizeof detail);
    if (code != 0)
        aff_refuse(x, code, "%s", detail);
    else
        aff_exchange_call(x, answer_patch);
}

const struct aff_verb aff_verb_patch = { .takes_body = true, .check = check_patch, .run = run_patch };
