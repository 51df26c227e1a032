/*
 * patch.c - PATCH of /v1/{keyspace}/{key}: RFC 7396 merge patches and RFC 6902 JSON patches (serde/).
 *
 * Whether the body is a patch at all is seen here, on the loop of the request. Applied it is on the partition's loop, as an
 * operation that reads the present value and stages one write, alone in its record; it may run again, and begins anew then.
 */
#include "http/inner.h"

#include "base/alloc.h"
#include "serde/json_patch.h"
#include "serde/media.h"
#include "serde/merge_patch.h"

#include <stdio.h>
#include <stdlib.h>

struct aff_patching {
    bool merges; /* RFC 7396; else RFC 6902 */
    unsigned depth;
    struct aff_json_tree patch; /* views of the request's body */
    /* of the last run */
    struct aff_buf out; /* the new value */
    char type[AFF_TYPE_MAX + 1];
    bool unchanged; /* the patch leaves `present` as it is */
    struct aff_version present;
};

void aff_patching_free(struct aff_patching *p)
{
    if (!p)
        return;
    aff_json_tree_fini(&p->patch);
    aff_buf_fini(&p->out);
    free(p);
}

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

/* The body as a patch; false: it is none, and that is noted. */
static bool take_patch(struct aff_exchange *x, struct aff_patching *p)
{
    struct aff_json_error error;
    struct aff_json_patch_error fault;
    char detail[160];
    int code = aff_json_tree_parse(&p->patch, aff_buf_view(&x->body), p->depth, &error);
    if (code == AFF_EJSON) {
        (void)aff_json_error_print(&error, detail, sizeof detail);
        aff_refuse(x, code, "%s", detail);
    } else if (code != 0) {
        aff_refuse(x, code, "no memory for the patch");
    } else if (!p->merges && (code = aff_json_patch_check(&p->patch, &fault)) != 0) {
        aff_refuse(x, code, "%s", fault.text);
    }
    return code == 0;
}

/* ---- applying it, on the partition's loop ---- */

static struct aff_exchange *exchange_of(struct aff_op *op)
{
    struct aff_call *call = aff_container_of(op, struct aff_call, op);
    struct aff_command_op *command = aff_container_of(call, struct aff_command_op, call);
    return aff_container_of(command, struct aff_exchange, op);
}

static void say(struct aff_result *r, const char *text)
{
    (void)snprintf(r->detail, sizeof r->detail, "%s", text);
}

/* Takes the present value apart, which must be JSON. */
static int read_present(struct aff_result *r, const struct aff_item *current, struct aff_json_tree *tree)
{
    struct aff_media media;
    aff_bytes type = current->content_type;
    int code = AFF_EJSON;
    if (aff_media_parse(type, &media) && aff_media_is_json(&media))
        code = aff_json_tree_parse(tree, current->value, AFF_JSON_DEPTH_MAX, NULL);
    if (code != AFF_EJSON)
        return code;
    (void)snprintf(r->detail, sizeof r->detail, "the present value is not JSON: its type is %.*s", (int)type.len,
                   type.len ? (const char *)type.data : "");
    return AFF_EPATCHFAILED;
}

static int apply(struct aff_exchange *x, const struct aff_json_tree *value, struct aff_result *r)
{
    struct aff_patching *p = x->patching;
    const struct aff_splice_limits limits = { .bytes = (size_t)x->space->max_value, .depth = p->depth };
    struct aff_json_patch_error error = { .text = "" };
    const char *what = NULL;
    int code;
    if (p->merges) {
        code = aff_merge_patch(value, &p->patch, &limits, &p->out, &what);
        say(r, code != 0 && what ? what : "");
    } else {
        code = aff_json_patch(value, &p->patch, &limits, &p->out, &error);
        say(r, code != 0 ? error.text : "");
    }
    return code;
}

/* What is written: the type that the value has, and its expiry unless the request brings one. */
static void stage(struct aff_exchange *x, const struct aff_item *current, struct aff_staged *staged)
{
    const struct aff_op *op = &x->op.call.op;
    struct aff_patching *p = x->patching;
    struct aff_result *r = &x->op.call.op.result;
    aff_bytes type = current ? current->content_type : aff_str("application/json");
    (void)snprintf(p->type, sizeof p->type, "%.*s", (int)type.len, (const char *)type.data);
    r->status = current ? 200 : 201;
    p->unchanged = current && aff_bytes_equal(current->value, aff_buf_view(&p->out)) && op->ttl_ms == 0 &&
                   op->event_ms == AFF_NO_TIME;
    if (p->unchanged) {
        p->present = current->version;
        return;
    }
    if (op->identified && x->prefer == AFF_RETURN_REPRESENTATION) { /* a repeat gets it, too */
        r->reply = aff_buf_view(&p->out);
        r->reply_type = aff_str(p->type);
    }
    *staged = (struct aff_staged){
        .what = AFF_STAGE_PUT,
        .value = aff_buf_view(&p->out),
        .content_type = aff_str(p->type),
        .ttl_ms = op->ttl_ms,
        .keeps_expiry = current && op->ttl_ms == 0,
    };
}

static int run_patch_on(struct aff_op *op, const struct aff_item *current, struct aff_staged *staged)
{
    struct aff_exchange *x = exchange_of(op);
    struct aff_json_tree value;
    int code = current || x->patching->merges ? 0 : AFF_ENOTFOUND;
    memset(&op->result, 0, sizeof op->result);
    x->patching->unchanged = false;
    aff_json_tree_init(&value);
    if (current)
        code = read_present(&op->result, current, &value);
    if (code == 0)
        code = apply(x, current ? &value : NULL, &op->result);
    if (code == 0)
        stage(x, current, staged);
    aff_json_tree_fini(&value);
    return code;
}

/* ---- the answer ---- */

/* The value as this request wrote or found it; of a repeat only what was kept of the first answer. */
static aff_bytes new_value(const struct aff_exchange *x)
{
    const struct aff_result *r = &x->op.call.op.result;
    if (!r->replayed)
        return aff_buf_view(&x->patching->out);
    return r->replay_cut || !r->reply_type.len ? (aff_bytes){ NULL, 0 } : r->reply;
}

static void answer_patch(struct aff_exchange *x)
{
    if (aff_answer_failure(x))
        return;
    const struct aff_result *r = &x->op.call.op.result;
    const struct aff_call *call = &x->op.call;
    const struct aff_patching *p = x->patching;
    aff_bytes value = new_value(x);
    bool created = r->status == 201, whole = x->prefer == AFF_RETURN_REPRESENTATION && value.data;
    int status = created ? 201 : x->prefer == AFF_RETURN_MINIMAL ? 204 : 200;
    aff_answer(x, status, whole ? value : aff_str(""));
    if (whole)
        aff_answer_header_bytes(x, "Content-Type", r->replayed ? r->reply_type : aff_str(p->type));
    aff_answer_stored(x, created, whole);
    aff_answer_written(x, true);
    if (!r->replayed && p->unchanged) {
        aff_answer_etag(x, (struct aff_etag){ call->identity8, call->partition, p->present.offset });
        aff_answer_position(x, call->partition, p->present.offset);
    }
}

static void run_patch(struct aff_exchange *x)
{
    struct aff_patching *p = aff_xcalloc(1, sizeof *p);
    x->patching = p;
    p->merges = strcmp(x->content_type, "application/merge-patch+json") == 0;
    p->depth = x->http->opts.limits.json_depth;
    aff_json_tree_init(&p->patch);
    aff_buf_init(&p->out);
    if (!take_patch(x, p))
        return;
    aff_fill_write(x, AFF_OP_COMMAND);
    x->op.call.op.alone = true;
    x->op.call.op.run = run_patch_on;
    aff_exchange_call(x, answer_patch);
}

const struct aff_verb aff_verb_patch = { .takes_body = true, .check = check_patch, .run = run_patch };
