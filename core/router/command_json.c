/*
 * command_json.c - <affinity/json.h>: views on JSON values by jansson, for application functions alone. Nothing that is stored or
 * served goes through jansson unless the application says so.
 */
#include "router/command.h"

#include <stdlib.h>

static json_t *parse(aff_bytes text)
{
    return text.len > 0 ? json_loadb(text.data, text.len, JSON_DECODE_ANY, NULL) : json_object();
}

static const json_t *value_json(struct aff_run *run)
{
    if (!run->value_json && run->value && aff_type_is_json(run->value->content_type))
        run->value_json = parse(run->value->bytes);
    return run->value_json;
}

static const json_t *args_json(struct aff_run *run)
{
    if (!run->args_json)
        run->args_json = parse(run->op->command.body);
    return run->args_json;
}

/* The printed form in memory of the run; `value` is released. */
static int print(struct aff_run *run, json_t *value, aff_bytes *ret)
{
    static const size_t flags = JSON_COMPACT | JSON_ENCODE_ANY;
    size_t len = value ? json_dumpb(value, NULL, 0, flags) : 0;
    char *text = len > 0 ? aff_run_alloc(run, len) : NULL;

    if (text)
        *ret = aff_bytes_of(text, json_dumpb(value, text, len, flags));
    json_decref(value);
    return text ? 0 : AFF_ENOMEM;
}

/* 5.0 and 5e0 are integers as well as 5: JSON has one kind of number. Beyond 2^53 a double does not tell which one it was. */
static int64_t field(const json_t *object, const char *name, int64_t otherwise)
{
    const json_t *v = json_object_get(object, name);
    double real = json_real_value(v);

    if (json_is_real(v) && real >= -0x1p53 && real <= 0x1p53 && (double)(int64_t)real == real)
        return (int64_t)real;
    return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

const json_t *aff_cmd_json(aff_cmd *cmd)
{
    return value_json(&cmd->run);
}

const json_t *aff_cmd_args(aff_cmd *cmd)
{
    return args_json(&cmd->run);
}

int aff_cmd_put_json(aff_cmd *cmd, json_t *value)
{
    aff_bytes text;
    int code = print(&cmd->run, value, &text);

    return code != 0 ? code : aff_cmd_put(cmd, text, NULL);
}

int aff_cmd_reply_json(aff_cmd *cmd, int status, json_t *body)
{
    aff_bytes text;
    int code = print(&cmd->run, body, &text);

    return code != 0 ? code : aff_run_reply(&cmd->run, status, text, NULL);
}

int64_t aff_cmd_arg_int(aff_cmd *cmd, const char *name, int64_t otherwise)
{
    return field(args_json(&cmd->run), name, otherwise);
}

int64_t aff_cmd_int(aff_cmd *cmd, const char *name, int64_t otherwise)
{
    return field(value_json(&cmd->run), name, otherwise);
}

const json_t *aff_read_json(aff_read *read)
{
    return value_json(&read->run);
}

const json_t *aff_read_args(aff_read *read)
{
    return args_json(&read->run);
}

int aff_read_reply_json(aff_read *read, int status, json_t *body)
{
    aff_bytes text;
    int code = print(&read->run, body, &text);

    return code != 0 ? code : aff_run_reply(&read->run, status, text, NULL);
}
