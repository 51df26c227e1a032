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
 *     POST /v1/things/{key}/move     {"to": "b", "n": 1}   asks: takes it here and adds it there; the second's answer
 *     POST /v1/things/{key}/peek     {"keys": ["a", "b"]}  asks: the values of the keys and what `show` says of them, in that order
 *     POST /v1/things/{key}/tally    {"prefix": "a"}       asks all partitions: how many such keys each has, and who is missing
 *     POST /v1/things/{key}/odd      {"ask": "nobody"}     asks what cannot be asked, or nothing
 */
#include <affinity.h>
#include <affinity/json.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* ---- commands that ask ---- */

/* The arguments, until the run has ended. */
static json_t *args_of(aff_later *later)
{
    aff_bytes body = aff_later_body(later);
    json_t *args = json_loadb(body.data, body.len, 0, NULL);
    return args ? args : json_object();
}

/* An id for one question of several. */
static aff_bytes id_of(aff_later *later, const char *step)
{
    aff_bytes id = aff_later_id(later);
    char *text = id.data ? aff_later_alloc(later, id.len + 16) : NULL;
    int n = text ? snprintf(text, id.len + 16, "%s/%.*s", step, (int)id.len, (const char *)id.data) : 0;
    return aff_bytes_of(text, (size_t)n);
}

static void pass(aff_later *later, const aff_told *told, void *arg)
{
    (void)arg;
    aff_later_pass(later, told);
}

static void taken(aff_later *later, const aff_told *told, void *arg)
{
    json_t *args = args_of(later);
    const char *to = json_string_value(json_object_get(args, "to"));
    aff_question q = { .size = sizeof q, .keyspace = "things", .key = aff_str(to), .command = "add", .body = aff_later_body(later),
                       .id = id_of(later, "add") };
    (void)arg;
    if (told->code != 0 || aff_ask(later, &q, pass, NULL) != 0)
        aff_later_pass(later, told);
    json_decref(args);
}

static int move(aff_later *later)
{
    aff_question q = { .size = sizeof q, .keyspace = "things", .key = aff_later_key(later), .command = "take",
                       .body = aff_later_body(later), .id = id_of(later, "take") };
    return aff_ask(later, &q, taken, NULL);
}

/* What is gathered until the last answer is there. */
struct peek {
    size_t left;
    json_t *answers;
};
struct glance {
    struct peek *peek;
    size_t at;
};

static void glanced(aff_later *later, const aff_told *told, void *arg)
{
    struct glance *glance = arg;
    struct peek *peek = glance->peek;
    json_t *body = told->code == 0 && told->body.len ? json_loadb(told->body.data, told->body.len, JSON_DECODE_ANY, NULL) : NULL;
    json_array_set_new(peek->answers, glance->at,
                       json_pack("{s:s, s:i, s:o*}", "code", told->code ? aff_error_name(told->code) : "OK", "status", told->status,
                                 "body", body));
    if (--peek->left == 0) {
        char *text = json_dumps(peek->answers, JSON_COMPACT);
        (void)aff_later_reply(later, 200, aff_str(text), NULL);
        free(text);
        json_decref(peek->answers);
    }
}

static int peek(aff_later *later)
{
    json_t *args = args_of(later), *keys = json_object_get(args, "keys"), *key;
    struct peek *peek = aff_later_alloc(later, sizeof *peek);
    size_t i;
    int code = 0;
    *peek = (struct peek){ 2 * json_array_size(keys), json_array() };
    json_array_foreach (keys, i, key) {
        for (size_t kind = 0; kind < 2 && code == 0; kind++) {
            struct glance *glance = aff_later_alloc(later, sizeof *glance);
            aff_question q = { .size = sizeof q, .keyspace = "things", .key = aff_str(json_string_value(key)),
                               .command = kind ? "show" : NULL };
            *glance = (struct glance){ peek, 2 * i + kind };
            json_array_append_new(peek->answers, json_null());
            code = aff_ask(later, &q, glanced, glance);
        }
    }
    json_decref(args);
    return code;
}

static bool tallied(aff_later *later, const aff_scattered *entry, void *arg)
{
    char partition[16];
    json_t *counts = arg;
    (void)later;
    (void)snprintf(partition, sizeof partition, "%u", entry->value->partition);
    json_object_set_new(counts, partition, json_integer(json_integer_value(json_object_get(counts, partition)) + 1));
    return true;
}

static void tally_done(aff_later *later, const aff_gathered *result, void *arg)
{
    json_t *missing = json_array(), *all;
    for (uint32_t i = 0; i < result->missing_count; i++)
        json_array_append_new(missing, json_pack("{s:i, s:s}", "partition", (int)result->missing[i].partition, "why",
                                                 aff_error_name(result->missing[i].code)));
    all = json_pack("{s:i, s:I, s:o, s:o}", "partitions", (int)result->partitions, "entries", (json_int_t)result->entries,
                    "counts", arg, "missing", missing);
    char *text = json_dumps(all, JSON_COMPACT);
    (void)aff_later_reply(later, 200, aff_str(text), NULL);
    free(text);
    json_decref(all);
}

static int tally(aff_later *later)
{
    json_t *args = args_of(later), *counts = json_object();
    const char *prefix = json_string_value(json_object_get(args, "prefix"));
    aff_scatter_query q = { .size = sizeof q, .keyspace = "things", .keys_only = true };
    if (prefix)
        q.prefix = aff_str(prefix);
    int code = aff_scatter(later, &q, tallied, tally_done, counts);
    if (code)
        json_decref(counts);
    json_decref(args);
    return code;
}

static int odd(aff_later *later)
{
    json_t *args = args_of(later);
    const char *ask = json_string_value(json_object_get(args, "ask"));
    aff_question q = { .size = sizeof q, .keyspace = "things", .key = aff_str("k"), .command = "add" };
    int code;
    if (ask && strcmp(ask, "nobody") == 0)
        q.keyspace = "nobody";
    else if (ask && strcmp(ask, "no command") == 0)
        q.command = "nothing";
    else if (ask && strcmp(ask, "no key") == 0)
        q.key = aff_str("");
    else if (ask && strcmp(ask, "no JSON") == 0)
        q.body = aff_str("{");
    else if (ask && strcmp(ask, "another") == 0)
        q.command = "odd";
    code = ask ? aff_ask(later, &q, pass, NULL) : 0;
    json_decref(args);
    return code;
}

#define WRITES(name_)                                                                                                  \
    {                                                                                                                  \
        .size = sizeof(aff_command), .name = #name_, .run = name_                                                      \
    }
#define READS(name_)                                                                                                   \
    {                                                                                                                  \
        .size = sizeof(aff_command), .name = #name_, .read = name_                                                     \
    }
#define ASKS(name_)                                                                                                    \
    {                                                                                                                  \
        .size = sizeof(aff_command), .name = #name_, .later = name_                                                    \
    }
static const aff_command commands[] = {
    WRITES(add),     WRITES(take),     WRITES(note),
    WRITES(clear),   WRITES(fleeting), { .size = sizeof(aff_command), .name = "keep", .run = keep, .accepts = "*" },
    WRITES(code),    READS(show),      READS(quiet),
    ASKS(move),      ASKS(peek),       ASKS(odd),
    ASKS(tally),
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
