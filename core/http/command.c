/*
 * command.c - the application's commands: POST /v1/{keyspace}/{key}/{command}, and GET for those that only read.
 *
 * One that writes runs on its partition's loop, where that is led; one that only reads runs here, on a snapshot or what came of one;
 * one that asks others runs here, and replies when it has what it needs.
 */
#include "http/inner.h"

#include "serde/json.h"
#include "serde/media.h"

/* ---- the body ---- */

/* The body must be of the type that the command accepts; without a Content-Type it is taken to be. */
static void check_type(struct aff_exchange *x)
{
    const char *accepts = x->command->accepts ? x->command->accepts : "application/json";
    aff_bytes type = x->headers.field[AFF_FIELD_CONTENT_TYPE];
    struct aff_media media;
    bool any = strcmp(accepts, "*") == 0;
    x->accepts = any ? "*/*" : accepts;
    if (!type.data)
        type = aff_str(any ? "application/octet-stream" : accepts);
    if (type.len > AFF_TYPE_MAX || !aff_media_parse(type, &media) || media.essence.len > AFF_TYPE_MAX) {
        aff_refuse(x, AFF_EMEDIATYPE, "Content-Type is no media type of at most %d bytes", AFF_TYPE_MAX);
        return;
    }
    if (!any && !aff_media_is(&media, accepts))
        aff_refuse(x, AFF_EMEDIATYPE, "the command `%s` takes %s", x->command->name, accepts);
    memcpy(x->content_type, media.essence.data, media.essence.len);
    x->content_type[media.essence.len] = 0;
    x->is_json = aff_media_is_json(&media);
    aff_check_coding(x);
}

/* An empty body stands for no arguments. */
static bool check_arguments(struct aff_exchange *x)
{
    struct aff_json_error error;
    if (!x->is_json || !x->body.len ||
        aff_json_check(aff_buf_view(&x->body), x->http->opts.limits.json_depth, &error) == 0)
        return true;
    char detail[160];
    (void)aff_json_error_print(&error, detail, sizeof detail);
    aff_refuse(x, AFF_EJSON, "%s", detail);
    return false;
}

/* ---- answering ---- */

static void answer_command(struct aff_exchange *x)
{
    if (aff_answer_failure(x))
        return;
    const struct aff_result *r = &x->op.call.op.result;
    aff_bytes body = r->reply.data ? r->reply : aff_str("");
    int status = r->status ? r->status : body.len ? 200 : 204;
    bool minimal = x->prefer == AFF_RETURN_MINIMAL && status < 300;
    if (minimal) {
        body = aff_str("");
        status = status == 200 ? 204 : status;
    }
    if (r->reply_type.len && body.len)
        aff_answer_coded(x, status, body, r->reply_type);
    else
        aff_answer(x, status, body);
    if (minimal)
        aff_answer_header(x, "Preference-Applied", "return=minimal");
    if (x->coding != AFF_CODING_NONE)
        aff_answer_written(x, true);
}

/* ---- commands that only read ---- */

static void read_found(struct aff_exchange *x, const struct aff_found *found)
{
    x->op.call.partition = found->partition;
    x->op.call.identity8 = found->identity8;
    aff_command_read(&x->op, found);
    answer_command(x);
    aff_answer_header(x, "Cache-Control", "no-cache");
}

static void prepare(struct aff_exchange *x)
{
    aff_command_prepare(&x->op, x->space, x->command, aff_buf_view(&x->body), aff_str(x->content_type));
}

/* The value came; the partition may not have let the operation go yet, so it stays what it is. */
static void answer_read(struct aff_exchange *x)
{
    if (aff_answer_failure(x))
        return;
    prepare(x);
    read_found(x, &x->op.call.found);
}

static void run_read(struct aff_exchange *x)
{
    struct aff_found found;
    int code = aff_get_found(x, &found);
    if (code == AFF_EAGAIN) {
        aff_exchange_read(x, answer_read);
        return;
    }
    if (code) {
        aff_answer_code(x, code, NULL);
        return;
    }
    aff_op_init(&x->op.call.op, AFF_OP_COMMAND);
    x->op.call.op.key = x->key;
    prepare(x);
    read_found(x, &found);
    aff_port_done(x->http->opts.port);
}

static void check_get(struct aff_exchange *x)
{
    aff_check_query(x, NULL);
    aff_check_conditions(x);
    aff_check_consistency(x);
    x->content_type[0] = 0;
}

const struct aff_verb aff_verb_command_get = { .check = check_get, .run = run_read };

/* ---- POST ---- */

static void check_post(struct aff_exchange *x)
{
    check_type(x);
    aff_check_write(x);
    if (x->command->later && (aff_headers_have(&x->headers, AFF_FIELD_IF_MATCH) ||
                              aff_headers_have(&x->headers, AFF_FIELD_IF_NONE_MATCH)))
        aff_refuse(x, AFF_EINVAL, "the command `%s` asks other keys: it takes no conditions", x->command->name);
}

static void run_later(struct aff_exchange *x)
{
    struct aff_later_opts opts = {
        .port = x->http->opts.port,
        .space = x->space,
        .command = x->command,
        .key = x->key,
        .body = aff_buf_view(&x->body),
        .body_type = aff_str(x->content_type),
        .id = x->headers.field[AFF_FIELD_IDEMPOTENCY_KEY],
    };
    aff_op_init(&x->op.call.op, AFF_OP_COMMAND);
    x->writes = true;
    int code = aff_exchange_later(x, &opts, answer_command);
    if (code)
        aff_answer_code(x, code, NULL);
}

static void run_post(struct aff_exchange *x)
{
    if (!check_arguments(x))
        return;
    if (x->command->read || x->command->later) {
        (x->command->read ? run_read : run_later)(x);
        return;
    }
    aff_fill_write(x, AFF_OP_COMMAND);
    prepare(x);
    aff_exchange_call(x, answer_command);
}

const struct aff_verb aff_verb_command = { .takes_body = true, .check = check_post, .run = run_post };
