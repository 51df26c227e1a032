/*
 * json_patch.c - see json_patch.h. One function for each operation, in a table.
 */
#include "serde/json_patch.h"

#include "serde/equal.h"

#include <stdarg.h>
#include <stdio.h>

enum { SHOWN = 80 /* bytes of a text in a message */, OPERATION = 16 /* its work */ };

struct apply;

struct operation {
    const char *name;
    bool has_from, has_value;
    void (*run)(struct apply *a);
};

struct apply {
    struct aff_splice splice;
    const struct aff_json_tree *patch;
    struct aff_json_patch_error *error;
    int code;

    /* the operation under way */
    size_t index;
    const struct operation *operation;
    uint32_t path, from, value; /* nodes of the patch */
    struct aff_buf pointer;     /* the one that is followed, unescaped; its tokens are decoded where they stand */
};

/* ---- what went wrong ---- */

static void fail(struct apply *a, int code, const char *format, ...) AFF_PRINTF(3, 4);

static void fail(struct apply *a, int code, const char *format, ...)
{
    char text[sizeof a->error->text];
    va_list args;

    if (a->code != 0)
        return;
    a->code = code;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    a->error->operation = a->index;
    if (a->operation)
        (void)snprintf(a->error->text, sizeof a->error->text, "operation %zu (%s): %.160s", a->index,
                       a->operation->name, text);
    else
        (void)snprintf(a->error->text, sizeof a->error->text, "operation %zu: %.170s", a->index, text);
}

/* Whatever the splice stumbled over is the operation's. */
static bool goes_on(struct apply *a)
{
    struct aff_splice *s = &a->splice;

    if (a->code == 0 && s->code != 0)
        fail(a, s->code, "%s", s->what ? s->what : "no memory");
    return a->code == 0;
}

/* A text of the patch for a message: cut between characters, and "..." behind. */
struct shown {
    char text[SHOWN + 8];
};

static struct shown show(const struct apply *a, uint32_t node)
{
    aff_bytes text = aff_json_text(a->patch, node);
    struct shown shown;
    size_t len = text.len <= SHOWN ? text.len : SHOWN;

    while (len < text.len && (((const unsigned char *)text.data)[len] & 0xc0) == 0x80)
        len--;
    memcpy(shown.text, text.data, len);
    memcpy(shown.text + len, len < text.len ? "..." : "", len < text.len ? 4 : 1);
    return shown;
}

static void names_nothing(struct apply *a, uint32_t pointer)
{
    fail(a, AFF_EPATCHFAILED, "the %s %s names nothing", pointer == a->from ? "from" : "path", show(a, pointer).text);
}

/* ---- pointers ---- */

/* The tokens of a pointer, one after the other. */
struct tokens {
    char *at, *end;
    bool utf8; /* no lone surrogate */
};

static struct tokens tokens_of(struct apply *a, uint32_t pointer)
{
    size_t len = 0;

    aff_buf_clear(&a->pointer);
    if (a->code == 0 && !aff_buf_reserve(&a->pointer, aff_json_text(a->patch, pointer).len))
        fail(a, AFF_ENOMEM, "no memory");
    if (a->code != 0)
        return (struct tokens){ .at = NULL };
    struct tokens t = { .at = (char *)a->pointer.data };
    t.utf8 = aff_json_string(a->patch, pointer, t.at, &len);
    t.end = t.at + len;
    return t;
}

/* Overwrites ~0 and ~1. */
static aff_bytes next_token(struct tokens *t)
{
    char *start = ++t->at, *to = start; /* behind the slash */

    for (; t->at < t->end && *t->at != '/'; t->at++) {
        char c = *t->at;

        if (c == '~')
            c = *++t->at == '1' ? '/' : '~';
        *to++ = c;
    }
    return aff_bytes_of(start, (size_t)(to - start));
}

/* "0", "17". False: no index, or one beyond all arrays. */
static bool take_index(aff_bytes token, uint64_t *ret_index)
{
    const char *at = token.data;
    uint64_t index = 0;

    if (token.len == 0 || token.len > 10 || (token.len > 1 && at[0] == '0'))
        return false;
    for (size_t i = 0; i < token.len; i++) {
        if (at[i] < '0' || at[i] > '9')
            return false;
        index = index * 10 + (uint64_t)(at[i] - '0');
    }
    *ret_index = index;
    return true;
}

static uint32_t child_of(struct aff_splice *s, uint32_t part, aff_bytes token)
{
    uint64_t index;

    if (aff_splice_type(s, part) != AFF_JSON_ARRAY)
        return aff_splice_member(s, part, token);
    return take_index(token, &index) ? aff_splice_element(s, part, index) : AFF_JSON_NONE;
}

/* What the pointer names. AFF_JSON_NONE: the operation has failed. */
static uint32_t find(struct apply *a, uint32_t pointer)
{
    struct tokens t = tokens_of(a, pointer);
    uint32_t part = a->splice.root;

    while (t.at < t.end && part != AFF_JSON_NONE)
        part = child_of(&a->splice, part, next_token(&t));
    if (goes_on(a) && part == AFF_JSON_NONE)
        names_nothing(a, pointer);
    return a->code == 0 ? part : AFF_JSON_NONE;
}

/* ---- operations ---- */

static struct aff_splice_value operand(const struct apply *a)
{
    return (struct aff_splice_value){ 1, a->value };
}

static void insert(struct apply *a, uint32_t array, aff_bytes token, struct aff_splice_value value)
{
    struct aff_splice *s = &a->splice;
    uint64_t index = 0, count = aff_splice_count(s, array);
    bool last = aff_bytes_equal(token, aff_str("-"));

    if (!last && !take_index(token, &index))
        fail(a, AFF_EPATCHFAILED, "the path %s ends in an array, and not with an index or -", show(a, a->path).text);
    else if (!last && index > count)
        fail(a, AFF_EPATCHFAILED, "the path %s is beyond the end of the array, which has %llu elements",
             show(a, a->path).text, (unsigned long long)count);
    else
        aff_splice_insert(s, array, last || index == count ? AFF_JSON_NONE : aff_splice_element(s, array, index),
                          value);
}

static void put(struct apply *a, struct aff_splice_value value)
{
    struct aff_splice *s = &a->splice;
    struct tokens t = tokens_of(a, a->path);
    uint32_t part = s->root;
    aff_bytes token = aff_str("");

    if (a->code == 0 && t.at == t.end)
        aff_splice_replace(s, part, value);
    while (a->code == 0 && t.at < t.end) {
        token = next_token(&t);
        if (t.at == t.end)
            break;
        part = child_of(s, part, token);
        if (goes_on(a) && part == AFF_JSON_NONE)
            fail(a, AFF_EPATCHFAILED, "the path %s: what should contain it does not exist", show(a, a->path).text);
    }
    if (a->code != 0 || aff_json_text(a->patch, a->path).len == 2)
        return;
    if (aff_splice_type(s, part) == AFF_JSON_ARRAY) {
        insert(a, part, token, value);
    } else if (aff_splice_type(s, part) == AFF_JSON_OBJECT) {
        uint32_t member = aff_splice_member(s, part, token);

        if (member != AFF_JSON_NONE)
            aff_splice_replace(s, member, value);
        else if (goes_on(a))
            (void)aff_splice_add(s, part, aff_splice_name(s, token), value);
    } else {
        fail(a, AFF_EPATCHFAILED, "the path %s leads into a value that is no object and no array",
             show(a, a->path).text);
    }
}

static void run_add(struct apply *a)
{
    put(a, operand(a));
}

static void take_out(struct apply *a, uint32_t part, uint32_t pointer)
{
    if (part == a->splice.root)
        fail(a, AFF_EPATCHFAILED, "the %s \"\" is the whole value, which cannot be removed",
             pointer == a->from ? "from" : "path");
    else if (part != AFF_JSON_NONE)
        aff_splice_remove(&a->splice, part);
}

static void run_remove(struct apply *a)
{
    take_out(a, find(a, a->path), a->path);
}

static void run_replace(struct apply *a)
{
    uint32_t part = find(a, a->path);

    if (part != AFF_JSON_NONE)
        aff_splice_replace(&a->splice, part, operand(a));
}

static void run_move(struct apply *a)
{
    aff_bytes from = aff_json_text(a->patch, a->from), path = aff_json_text(a->patch, a->path);
    uint32_t part = find(a, a->from);

    if (part == AFF_JSON_NONE || aff_bytes_equal(from, path))
        return;
    struct aff_splice_value value = aff_splice_settle(&a->splice, part);
    take_out(a, part, a->from);
    if (goes_on(a))
        put(a, value);
}

static void run_copy(struct apply *a)
{
    uint32_t part = find(a, a->from);

    if (part == AFF_JSON_NONE)
        return;
    struct aff_splice_value value = aff_splice_settle(&a->splice, part);
    if (goes_on(a))
        put(a, value);
}

static void run_test(struct apply *a)
{
    struct aff_splice *s = &a->splice;
    uint32_t part = find(a, a->path);
    bool equal;

    if (part == AFF_JSON_NONE)
        return;
    struct aff_splice_value value = aff_splice_settle(s, part);
    if (!goes_on(a))
        return;
    aff_bytes present = aff_json_text(aff_splice_tree(s, value), value.node);
    aff_splice_spend(s, (present.len + aff_json_text(a->patch, a->value).len) / 4);
    if (!goes_on(a))
        return;
    if (aff_json_equal(aff_splice_tree(s, value), value.node, a->patch, a->value, &equal) != 0)
        fail(a, AFF_ENOMEM, "no memory");
    else if (!equal)
        fail(a, AFF_EPATCHFAILED, "the value at %s is another one", show(a, a->path).text);
}

static const struct operation operations[] = {
    { "add", false, true, run_add },   { "remove", false, false, run_remove }, { "replace", false, true, run_replace },
    { "move", true, false, run_move }, { "copy", true, false, run_copy },      { "test", false, true, run_test },
};

/* ---- reading the patch ---- */

static uint32_t member(const struct apply *a, uint32_t node, const char *name)
{
    return aff_json_member(a->patch, node, aff_str(name));
}

static const struct operation *operation_named(const struct apply *a, uint32_t node)
{
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        if (a->patch->nodes[node].type == AFF_JSON_STRING &&
            aff_json_spells(aff_json_text(a->patch, node), aff_str(operations[i].name)))
            return &operations[i];
    return NULL;
}

/* A member that must be a JSON pointer. */
static uint32_t take_pointer(struct apply *a, uint32_t node, const char *name)
{
    uint32_t pointer = member(a, node, name);
    struct tokens t;

    if (pointer == AFF_JSON_NONE || a->patch->nodes[pointer].type != AFF_JSON_STRING) {
        fail(a, AFF_EPATCH, "\"%s\" must be there, a string with a JSON pointer", name);
        return pointer;
    }
    t = tokens_of(a, pointer);
    if (a->code != 0)
        return pointer;
    if (!t.utf8 || !aff_json_pointer_fits(aff_bytes_of(t.at, (size_t)(t.end - t.at))))
        fail(a, AFF_EPATCH, "\"%s\" is %s, which is no JSON pointer: \"\", or \"/name/0\" with ~0 for ~ and ~1 for /",
             name, show(a, pointer).text);
    return pointer;
}

/* Is `from` above `path`? Then the one cannot move into the other. */
static bool moves_into_itself(struct apply *a)
{
    struct aff_json_letters from = aff_json_letters_of(aff_json_text(a->patch, a->from));
    struct aff_json_letters path = aff_json_letters_of(aff_json_text(a->patch, a->path));
    int c, d;

    do {
        c = aff_json_letter(&from);
        d = aff_json_letter(&path);
    } while (c == d && c >= 0);
    return c < 0 && d == '/';
}

/* Reads one operation; in the end a->code says whether it is one. */
static void read_operation(struct apply *a, uint32_t node)
{
    uint32_t op;

    a->operation = NULL;
    if (a->patch->nodes[node].type != AFF_JSON_OBJECT) {
        fail(a, AFF_EPATCH, "an operation is an object");
        return;
    }
    op = member(a, node, "op");
    if (op == AFF_JSON_NONE || !(a->operation = operation_named(a, op))) {
        fail(a, AFF_EPATCH, "\"op\" must be one of \"add\", \"remove\", \"replace\", \"move\", \"copy\", \"test\"");
        return;
    }
    a->path = take_pointer(a, node, "path");
    a->from = a->operation->has_from ? take_pointer(a, node, "from") : AFF_JSON_NONE;
    a->value = a->operation->has_value ? member(a, node, "value") : AFF_JSON_NONE;
    if (a->operation->has_value && a->value == AFF_JSON_NONE)
        fail(a, AFF_EPATCH, "\"value\" must be there");
    if (a->code == 0 && a->operation->run == run_move && moves_into_itself(a))
        fail(a, AFF_EPATCH, "what is at \"from\" cannot move into itself");
}

/* Every operation, and `run` for each. */
static void each_operation(struct apply *a, bool run)
{
    const struct aff_json_node *whole = &a->patch->nodes[0];

    a->index = 0;
    if (whole->type != AFF_JSON_ARRAY) {
        a->code = AFF_EPATCH;
        a->error->operation = 0;
        (void)snprintf(a->error->text, sizeof a->error->text, "a JSON patch is an array of operations");
        return;
    }
    for (uint32_t c = whole->first; c != AFF_JSON_NONE && a->code == 0; c = a->patch->nodes[c].next, a->index++) {
        read_operation(a, c);
        if (!run || a->code != 0)
            continue;
        aff_splice_spend(&a->splice, OPERATION);
        if (goes_on(a))
            a->operation->run(a);
        (void)goes_on(a);
    }
    a->operation = NULL;
}

int aff_json_patch_check(const struct aff_json_tree *patch, struct aff_json_patch_error *ret_error)
{
    struct apply a = { .patch = patch, .error = ret_error };

    aff_buf_init(&a.pointer);
    each_operation(&a, false);
    aff_buf_fini(&a.pointer);
    return a.code;
}

int aff_json_patch(const struct aff_json_tree *value, const struct aff_json_tree *patch,
                   const struct aff_splice_limits *limits, struct aff_buf *out, struct aff_json_patch_error *ret_error)
{
    struct apply a = { .patch = patch, .error = ret_error };
    struct aff_splice *s = &a.splice;

    aff_buf_init(&a.pointer);
    aff_splice_init(s, limits);
    (void)aff_splice_source(s, value);
    if (s->code == 0)
        (void)aff_splice_source(s, patch);
    aff_splice_set_root(s, (struct aff_splice_value){ 0, 0 });
    if (goes_on(&a))
        each_operation(&a, false);
    if (goes_on(&a))
        each_operation(&a, true);
    if (a.code == 0 && aff_splice_write(s, out) != 0) {
        a.code = s->code;
        ret_error->operation = a.index;
        (void)snprintf(ret_error->text, sizeof ret_error->text, "%s", s->what ? s->what : "no memory");
    }
    aff_buf_fini(&a.pointer);
    aff_splice_fini(s);
    return a.code;
}
