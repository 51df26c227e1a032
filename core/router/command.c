/*
 * command.c - an application's function as an operation: the contexts of <affinity/command.h>.
 *
 * A command that writes runs inside the core's step on the partition's loop, perhaps several times; one that only reads runs on
 * the loop of the HTTP request. Memory that it asks for hangs on the operation until aff_command_fini().
 */
#include "router/command.h"

#include "base/alloc.h"
#include "router/patch.h"
#include "serde/json.h"
#include "serde/media.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define JSON_TYPE "application/json"

/* ---- memory of a run ---- */

struct block {
    struct block *next;
    max_align_t bytes[];
};

static void free_blocks(struct aff_command_op *op)
{
    struct block *b = op->command.state;

    while (b) {
        struct block *next = b->next;

        free(b);
        b = next;
    }
    op->command.state = NULL;
}

void *aff_run_alloc(struct aff_run *run, size_t size)
{
    struct block *b = size < SIZE_MAX - sizeof *b ? malloc(sizeof *b + size) : NULL;

    if (!b)
        return NULL;
    b->next = run->op->command.state;
    run->op->command.state = b;
    return b->bytes;
}

static bool copy(struct aff_run *run, aff_bytes from, aff_bytes *ret)
{
    void *to = aff_run_alloc(run, from.len + 1);

    if (!to)
        return false;
    if (from.len > 0)
        memcpy(to, from.data, from.len);
    *ret = aff_bytes_of(to, from.len);
    return true;
}

/* ---- running ---- */

static void end_run(struct aff_run *run)
{
    json_decref(run->value_json);
    json_decref(run->args_json);
}

static aff_value value_of(const struct aff_item *item, uint32_t partition)
{
    return (aff_value){ item->value, item->content_type, partition, item->version.offset, item->version.time_ms };
}

/* Without a reply of its own a command answers with what it staged. */
static void default_reply(struct aff_cmd *cmd, const struct aff_staged *staged)
{
    struct aff_result *r = &cmd->run.op->call.op.result;

    if (cmd->run.replied)
        return;
    r->status = staged->what == AFF_STAGE_PUT ? 200 : 204;
    if (staged->what == AFF_STAGE_PUT) {
        r->reply = staged->value;
        r->reply_type = staged->content_type;
    }
}

/* Whatever a function returns is a code of the table, and a refusal has a status and a type. */
static int checked(struct aff_result *r, int code)
{
    if (code == AFF_EREFUSED && r->status == 0)
        code = AFF_EBUG;
    if (code > 0 || (code < 0 && strcmp(aff_error_name(code), "EBUG") == 0))
        code = AFF_EBUG;
    return code;
}

static int run_writing(struct aff_op *core_op, const struct aff_item *current, struct aff_staged *staged)
{
    struct aff_call *call = aff_container_of(core_op, struct aff_call, op);
    struct aff_command_op *op = aff_container_of(call, struct aff_command_op, call);
    aff_value value;
    struct aff_cmd cmd = { .run = { .op = op }, .staged = staged, .exists = current != NULL };
    struct aff_result *r = &core_op->result;
    int code;

    free_blocks(op); /* of a run whose record turned out void */
    memset(r, 0, sizeof *r);
    if (current) {
        value = value_of(current, call->partition);
        cmd.run.value = &value;
    }
    code = checked(r, op->command.command->run(&cmd));
    end_run(&cmd.run);
    if (code == 0)
        default_reply(&cmd, staged);
    return code;
}

void aff_command_prepare(struct aff_command_op *op, const struct aff_space *space, const aff_command *command,
                         aff_bytes body, aff_bytes body_type)
{
    op->command = (struct aff_command_call){ .space = space, .command = command, .body = body, .body_type = body_type };
    op->call.op.run = run_writing;
}

void aff_command_fini(struct aff_command_op *op)
{
    free_blocks(op);
    aff_patch_fini(op);
}

void aff_command_read(struct aff_command_op *op, const struct aff_found *found)
{
    struct aff_read read = { .run = { .op = op } };
    struct aff_result *r = &op->call.op.result;
    aff_value value;

    free_blocks(op);
    memset(r, 0, sizeof *r);
    if (found->exists) {
        value = value_of(&found->item, found->partition);
        read.run.value = &value;
    }
    r->code = checked(r, op->command.command->read(&read));
    r->outcome = AFF_OUTCOME_NONE;
    end_run(&read.run);
    if (r->code == 0 && !read.run.replied)
        r->status = 204;
}

/* ---- what functions leave behind ---- */

bool aff_type_is_json(aff_bytes type)
{
    struct aff_media media;

    return aff_media_parse(type, &media) && aff_media_is_json(&media);
}

int aff_run_reply(struct aff_run *run, int status, aff_bytes body, const char *content_type)
{
    struct aff_result *r = &run->op->call.op.result;

    if (status < 200 || status > 299)
        return AFF_EINVAL;
    if (!copy(run, body, &r->reply) || !copy(run, aff_str(content_type ? content_type : JSON_TYPE), &r->reply_type))
        return AFF_ENOMEM;
    r->status = (uint16_t)status;
    run->replied = true;
    return 0;
}

AFF_PRINTF(3, 0)
static int refuse(struct aff_run *run, const aff_failure *failure, const char *format, va_list args)
{
    struct aff_result *r = &run->op->call.op.result;

    r->status = (uint16_t)(failure->status >= 400 && failure->status <= 499 ? failure->status : 422);
    snprintf(r->problem, sizeof r->problem, "%s", failure->type);
    r->title = failure->title;
    vsnprintf(r->detail, sizeof r->detail, format, args);
    return AFF_EREFUSED;
}

int aff_cmd_put(aff_cmd *cmd, aff_bytes value, const char *content_type)
{
    struct aff_staged *s = cmd->staged;
    aff_bytes type = aff_str(content_type ? content_type : JSON_TYPE);

    if (value.len > cmd->run.op->command.space->max_value)
        return AFF_ETOOLARGE;
    if (type.len > 255)
        return AFF_EINVAL;
    if (aff_type_is_json(type) && aff_json_check(value, AFF_JSON_DEPTH_MAX, NULL) != 0)
        return AFF_EJSON;
    if (!copy(&cmd->run, value, &s->value) || !copy(&cmd->run, type, &s->content_type))
        return AFF_ENOMEM;
    s->what = AFF_STAGE_PUT;
    return 0;
}

int aff_cmd_delete(aff_cmd *cmd)
{
    cmd->staged->what = cmd->exists ? AFF_STAGE_DELETE : AFF_STAGE_NOTHING;
    return 0;
}

int aff_cmd_ttl(aff_cmd *cmd, int64_t ttl_ms)
{
    if (ttl_ms <= 0)
        return AFF_EINVAL;
    cmd->staged->ttl_ms = ttl_ms;
    return 0;
}

/* ---- the two contexts ---- */

aff_bytes aff_cmd_key(const aff_cmd *cmd)
{
    return cmd->run.op->call.op.key;
}
const aff_value *aff_cmd_value(const aff_cmd *cmd)
{
    return cmd->run.value;
}
aff_bytes aff_cmd_body(const aff_cmd *cmd)
{
    return cmd->run.op->command.body;
}
aff_bytes aff_cmd_body_type(const aff_cmd *cmd)
{
    return cmd->run.op->command.body_type;
}
void *aff_cmd_user(const aff_cmd *cmd)
{
    return cmd->run.op->command.command->user;
}
void *aff_cmd_alloc(aff_cmd *cmd, size_t size)
{
    return aff_run_alloc(&cmd->run, size);
}
int aff_cmd_reply(aff_cmd *cmd, int status, aff_bytes body, const char *content_type)
{
    return aff_run_reply(&cmd->run, status, body, content_type);
}
int aff_cmd_fail(aff_cmd *cmd, const aff_failure *failure, const char *format, ...)
{
    va_list args;
    int code;

    va_start(args, format);
    code = refuse(&cmd->run, failure, format, args);
    va_end(args);
    return code;
}

aff_bytes aff_read_key(const aff_read *read)
{
    return read->run.op->call.op.key;
}
const aff_value *aff_read_value(const aff_read *read)
{
    return read->run.value;
}
aff_bytes aff_read_body(const aff_read *read)
{
    return read->run.op->command.body;
}
aff_bytes aff_read_body_type(const aff_read *read)
{
    return read->run.op->command.body_type;
}
void *aff_read_user(const aff_read *read)
{
    return read->run.op->command.command->user;
}
void *aff_read_alloc(aff_read *read, size_t size)
{
    return aff_run_alloc(&read->run, size);
}
int aff_read_reply(aff_read *read, int status, aff_bytes body, const char *content_type)
{
    return aff_run_reply(&read->run, status, body, content_type);
}
int aff_read_fail(aff_read *read, const aff_failure *failure, const char *format, ...)
{
    va_list args;
    int code;

    va_start(args, format);
    code = refuse(&read->run, failure, format, args);
    va_end(args);
    return code;
}
