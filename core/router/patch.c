/*
 * patch.c - see patch.h. The patch is taken apart on the loop of whoever brings it, and applied on the partition's.
 */
#include "router/patch.h"

#include "base/alloc.h"
#include "serde/json_patch.h"
#include "serde/media.h"
#include "serde/merge_patch.h"

#include <stdio.h>
#include <stdlib.h>

enum { TYPE_MAX = 255 };

struct aff_patching {
    struct aff_patch_opts opts;
    const struct aff_space *space;
    struct aff_json_tree patch; /* views of the body */
    /* of the last run */
    struct aff_buf out; /* the new value */
    char type[TYPE_MAX + 1];
};

const struct aff_patch_opts *aff_patch_opts_of(const struct aff_command_op *op)
{
    return op->patching ? &op->patching->opts : NULL;
}

void aff_patch_fini(struct aff_command_op *op)
{
    struct aff_patching *p = op->patching;
    op->patching = NULL;
    if (!p)
        return;
    aff_json_tree_fini(&p->patch);
    aff_buf_fini(&p->out);
    free(p);
}

/* ---- applying it, on the partition's loop ---- */

static struct aff_patching *patching_of(struct aff_op *op)
{
    struct aff_call *call = aff_container_of(op, struct aff_call, op);
    return aff_container_of(call, struct aff_command_op, call)->patching;
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

static int apply(struct aff_patching *p, const struct aff_json_tree *value, struct aff_result *r)
{
    const struct aff_splice_limits limits = { .bytes = (size_t)p->space->max_value, .depth = p->opts.depth };
    struct aff_json_patch_error error = { .text = "" };
    const char *what = NULL;
    int code;
    if (p->opts.merges) {
        code = aff_merge_patch(value, &p->patch, &limits, &p->out, &what);
        say(r, code != 0 && what ? what : "");
    } else {
        code = aff_json_patch(value, &p->patch, &limits, &p->out, &error);
        say(r, code != 0 ? error.text : "");
    }
    return code;
}

/* What is written: the type that the value has, and its expiry unless the request brings one. */
static void stage(struct aff_patching *p, struct aff_op *op, const struct aff_item *current, struct aff_staged *staged)
{
    struct aff_result *r = &op->result;
    aff_bytes type = current ? current->content_type : aff_str("application/json");
    (void)snprintf(p->type, sizeof p->type, "%.*s", (int)type.len, (const char *)type.data);
    r->status = current ? 200 : 201;
    if (p->opts.whole) { /* a repeat gets it, too */
        r->reply = aff_buf_view(&p->out);
        r->reply_type = aff_str(p->type);
    }
    r->unchanged = current && aff_bytes_equal(current->value, aff_buf_view(&p->out)) && op->ttl_ms == 0 &&
                   op->event_ms == AFF_NO_TIME;
    if (r->unchanged) {
        r->version = current->version;
        return;
    }
    *staged = (struct aff_staged){
        .what = AFF_STAGE_PUT,
        .value = aff_buf_view(&p->out),
        .content_type = aff_str(p->type),
        .ttl_ms = op->ttl_ms,
        .keeps_expiry = current && op->ttl_ms == 0,
    };
}

static int run(struct aff_op *op, const struct aff_item *current, struct aff_staged *staged)
{
    struct aff_patching *p = patching_of(op);
    struct aff_json_tree value;
    int code = current || p->opts.merges ? 0 : AFF_ENOTFOUND;
    memset(&op->result, 0, sizeof op->result);
    aff_json_tree_init(&value);
    if (current)
        code = read_present(&op->result, current, &value);
    if (code == 0)
        code = apply(p, current ? &value : NULL, &op->result);
    if (code == 0)
        stage(p, op, current, staged);
    aff_json_tree_fini(&value);
    return code;
}

/* ---- preparing ---- */

static int take_patch(struct aff_patching *p, char *detail, size_t size)
{
    struct aff_json_error error;
    struct aff_json_patch_error fault;
    int code = aff_json_tree_parse(&p->patch, p->opts.body, p->opts.depth, &error);
    if (code == AFF_EJSON) {
        (void)aff_json_error_print(&error, detail, size);
    } else if (code != 0) {
        (void)snprintf(detail, size, "no memory for the patch");
    } else if (!p->opts.merges && (code = aff_json_patch_check(&p->patch, &fault)) != 0) {
        (void)snprintf(detail, size, "%s", fault.text);
    }
    return code;
}

int aff_patch_prepare(struct aff_command_op *op, const struct aff_space *space, const struct aff_patch_opts *opts, char *detail,
                      size_t size)
{
    struct aff_patching *p = aff_xcalloc(1, sizeof *p);
    p->opts = *opts;
    p->space = space;
    aff_json_tree_init(&p->patch);
    aff_buf_init(&p->out);
    op->patching = p;
    op->call.op.alone = true;
    op->call.op.run = run;
    return take_patch(p, detail, size);
}
