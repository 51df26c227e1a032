/*
 * commands.c - an application for tests: its commands do one by one what a command can do.
 *
 *     POST /v1/things/{key}/add      {"n": 1}              n of the value grows; answers with what it staged
 *     POST /v1/things/{key}/take     {"n": 1}              n shrinks, or the failure too-little
 *     POST /v1/things/{key}/note     {"text": "a", "write": true}   keeps the arguments, answers 202 with the text
 *     POST /v1/things/{key}/clear                          deletes; answers with nothing
 *     POST /v1/things/{key}/fleeting {"ms": 100}           a value that lives so long
 *     POST /v1/things/{key}/keep     any type              keeps the body under its type
 *     POST /v1/things/{key}/code     {"code": -11}         returns that code
 *     GET  /v1/things/{key}/show                           only reads: {"n": 1, "key": "..."}
 *     GET  /v1/things/{key}/quiet                          only reads: no reply
 */
#include <affinity.h>
#include <affinity/json.h>

static const aff_failure too_little = { "too-little", 409, "There is less than that" };
static const aff_failure nothing_here = { "nothing-here", 404, "There is nothing to show" };

static int add(aff_cmd *cmd)
{
    json_int_t n = aff_cmd_int(cmd, "n", 0) + aff_cmd_arg_int(cmd, "n", 1);
    return aff_cmd_put_json(cmd, json_pack("{s:I}", "n", n));
}

static int take(aff_cmd *cmd)
{
    json_int_t n = aff_cmd_int(cmd, "n", 0), less = aff_cmd_arg_int(cmd, "n", 1);
    if (n < less)
        return aff_cmd_fail(cmd, &too_little, "%lld is less than \"%lld\"", (long long)n, (long long)less);
    return aff_cmd_put_json(cmd, json_pack("{s:I}", "n", n - less));
}

static int note(aff_cmd *cmd)
{
    const json_t *args = aff_cmd_args(cmd), *write = json_object_get(args, "write");
    const char *text = json_string_value(json_object_get(args, "text"));
    if (!json_is_false(write)) {
        int rc = aff_cmd_put(cmd, aff_cmd_body(cmd), NULL);
        if (rc)
            return rc;
    }
    return aff_cmd_reply(cmd, 202, aff_str(text ? text : ""), "text/plain; charset=utf-8");
}

static int clear(aff_cmd *cmd)
{
    return aff_cmd_delete(cmd);
}

static int fleeting(aff_cmd *cmd)
{
    int rc = aff_cmd_put(cmd, aff_str("\"fleeting\""), NULL);
    return rc ? rc : aff_cmd_ttl(cmd, aff_cmd_arg_int(cmd, "ms", 100));
}

static int keep(aff_cmd *cmd)
{
    aff_bytes type = aff_cmd_body_type(cmd);
    char *text = aff_cmd_alloc(cmd, type.len + 1);
    if (!text)
        return AFF_ENOMEM;
    memcpy(text, type.data, type.len);
    text[type.len] = '\0';
    return aff_cmd_put(cmd, aff_cmd_body(cmd), text);
}

static int code(aff_cmd *cmd)
{
    int rc = aff_cmd_put(cmd, aff_str("1"), NULL);
    return rc ? rc : (int)aff_cmd_arg_int(cmd, "code", 0);
}

static int show(aff_read *read)
{
    aff_bytes key = aff_read_key(read);
    const json_t *value = aff_read_json(read);
    if (!value)
        return aff_read_fail(read, &nothing_here, "nothing under %zu bytes of key", key.len);
    return aff_read_reply_json(
        read, 200,
        json_pack("{s:O?, s:s#}", "n", json_object_get(value, "n"), "key", (const char *)key.data, (int)key.len));
}

static int quiet(aff_read *read)
{
    (void)read;
    return 0;
}

#define WRITES(name_)                                                                                                  \
    {                                                                                                                  \
        .size = sizeof(aff_command), .name = #name_, .run = name_                                                      \
    }
#define READS(name_)                                                                                                   \
    {                                                                                                                  \
        .size = sizeof(aff_command), .name = #name_, .read = name_                                                     \
    }
static const aff_command commands[] = {
    WRITES(add),     WRITES(take),     WRITES(note),
    WRITES(clear),   WRITES(fleeting), { .size = sizeof(aff_command), .name = "keep", .run = keep, .accepts = "*" },
    WRITES(code),    READS(show),      READS(quiet),
    AFF_COMMAND_END,
};

int main(int argc, char **argv)
{
    const aff_keyspace things = { .size = sizeof(aff_keyspace), .name = "things", .commands = commands };
    const aff_keyspace hidden = {
        .size = sizeof(aff_keyspace), .name = "hidden", .commands = commands, .rest = AFF_REST_NONE
    };
    const aff_keyspace *keyspaces[] = { &things, &hidden, NULL };
    return aff_main(argc, argv, keyspaces);
}
