/*
 * splice.c - see splice.h.
 *
 *   { "a" : 1 , "b" : [2] }        lead of "a": ` "a" : `, its value: `1`, its trail: ` `
 *    lead  value trail             lead of "b": ` "b" : `; it has no trail: the space before the bracket is the object's
 *
 * A part that took the place of another one keeps lead and trail; a new one has none. What is removed takes its own away.
 */
#include "serde/splice.h"

#include <assert.h>
#include <stdlib.h>

struct aff_splice_part {
    struct aff_splice_value value,
        place; /* where value, and where lead and trail are; place.node may be AFF_JSON_NONE */
    uint32_t parent, previous, next;
    uint32_t first, last, count; /* of its parts, if it is open */
    aff_bytes name;              /* of a new member: its text */
    bool open;                   /* taken apart */
    bool changed;                /* its text does not hold any more; then it is open */
};

enum { VISIT = 1, PART = 4, NODE = 4 };

void aff_splice_init(struct aff_splice *s, const struct aff_splice_limits *limits)
{
    *s = (struct aff_splice){ .limits = *limits, .root = AFF_JSON_NONE };
    s->work = limits->work ? limits->work : AFF_SPLICE_WORK;
}

void aff_splice_fini(struct aff_splice *s)
{
    for (uint32_t i = 0; i < s->source_count; i++) {
        if (s->sources[i].owned)
            aff_json_tree_fini(&s->sources[i].tree);
        aff_buf_fini(&s->sources[i].own);
    }
    free(s->sources);
    free(s->parts);
    s->sources = NULL;
    s->parts = NULL;
}

/* ---- failing ---- */

static void fail(struct aff_splice *s, int code, const char *what)
{
    if (s->code != 0)
        return;
    s->code = code;
    s->what = what;
}

void aff_splice_spend(struct aff_splice *s, size_t work)
{
    if (work > s->work)
        fail(s, AFF_ETOOLARGE, "the patch takes more work than one may");
    else
        s->work -= work;
}

/* ---- sources ---- */

static struct aff_splice_source *new_source(struct aff_splice *s)
{
    if (s->source_count == s->source_capacity) {
        uint32_t more = s->source_capacity ? s->source_capacity * 2 : 8; /* at most as many as there is work */
        struct aff_splice_source *sources = realloc(s->sources, (size_t)more * sizeof *sources);

        if (!sources) {
            fail(s, AFF_ENOMEM, NULL);
            return NULL;
        }
        s->sources = sources;
        s->source_capacity = more;
    }
    s->sources[s->source_count] = (struct aff_splice_source){ .owned = false };
    return &s->sources[s->source_count++];
}

uint32_t aff_splice_source(struct aff_splice *s, const struct aff_json_tree *tree)
{
    struct aff_splice_source *source = new_source(s);

    if (source)
        source->tree = *tree;
    return source ? s->source_count - 1 : AFF_JSON_NONE;
}

aff_bytes aff_splice_name(struct aff_splice *s, aff_bytes name)
{
    struct aff_splice_source *source;

    aff_splice_spend(s, PART + name.len);
    source = s->code == 0 ? new_source(s) : NULL;
    if (!source)
        return aff_str("\"\"");
    if (!aff_json_quote(name, &source->own))
        fail(s, AFF_ENOMEM, NULL);
    return aff_buf_view(&source->own);
}

static const struct aff_json_node *node_of(const struct aff_splice *s, struct aff_splice_value v)
{
    return &s->sources[v.source].tree.nodes[v.node];
}

static aff_bytes text_of(const struct aff_splice *s, struct aff_splice_value v)
{
    return aff_json_text(&s->sources[v.source].tree, v.node);
}

/* ---- parts ---- */

static bool grow(struct aff_splice *s)
{
    uint64_t more = s->part_capacity ? (uint64_t)s->part_capacity * 2 : 64;
    struct aff_splice_part *parts = NULL;

    if (more < AFF_JSON_NONE && more <= SIZE_MAX / sizeof *parts)
        parts = realloc(s->parts, (size_t)more * sizeof *parts);
    if (!parts) {
        fail(s, AFF_ENOMEM, NULL);
        return false;
    }
    s->parts = parts;
    s->part_capacity = (uint32_t)more;
    return true;
}

static uint32_t new_part(struct aff_splice *s, uint32_t parent, struct aff_splice_value value)
{
    aff_splice_spend(s, PART);
    if (s->code != 0 || (s->part_count == s->part_capacity && !grow(s)))
        return AFF_JSON_NONE;
    s->parts[s->part_count] = (struct aff_splice_part){
        .value = value,
        .place = { value.source, AFF_JSON_NONE },
        .parent = parent,
        .previous = AFF_JSON_NONE,
        .next = AFF_JSON_NONE,
        .first = AFF_JSON_NONE,
        .last = AFF_JSON_NONE,
    };
    return s->part_count++;
}

/* Puts a part among those of its parent, before `next` or as the last one. */
static void link_part(struct aff_splice *s, uint32_t part, uint32_t next)
{
    struct aff_splice_part *p = &s->parts[part], *parent = &s->parts[p->parent];

    p->next = next;
    p->previous = next == AFF_JSON_NONE ? parent->last : s->parts[next].previous;
    *(p->previous == AFF_JSON_NONE ? &parent->first : &s->parts[p->previous].next) = part;
    *(next == AFF_JSON_NONE ? &parent->last : &s->parts[next].previous) = part;
    parent->count++;
}

static void unlink_part(struct aff_splice *s, uint32_t part)
{
    struct aff_splice_part *p = &s->parts[part], *parent = &s->parts[p->parent];

    *(p->previous == AFF_JSON_NONE ? &parent->first : &s->parts[p->previous].next) = p->next;
    *(p->next == AFF_JSON_NONE ? &parent->last : &s->parts[p->next].previous) = p->previous;
    parent->count--;
}

/* Takes an object or array apart. */
static void open_part(struct aff_splice *s, uint32_t part)
{
    struct aff_splice_value v = s->parts[part].value;
    const struct aff_json_tree *tree = &s->sources[v.source].tree;

    if (s->parts[part].open)
        return;
    s->parts[part].open = true;
    for (uint32_t c = tree->nodes[v.node].first; c != AFF_JSON_NONE && s->code == 0; c = tree->nodes[c].next) {
        struct aff_splice_value child = { v.source, c };
        uint32_t new = new_part(s, part, child);

        if (new == AFF_JSON_NONE)
            return;
        s->parts[new].place = child;
        link_part(s, new, AFF_JSON_NONE);
    }
}

static void mark_changed(struct aff_splice *s, uint32_t part)
{
    for (; part != AFF_JSON_NONE && !s->parts[part].changed; part = s->parts[part].parent)
        s->parts[part].changed = true;
}

void aff_splice_set_root(struct aff_splice *s, struct aff_splice_value value)
{
    s->root = s->code == 0 ? new_part(s, AFF_JSON_NONE, value) : AFF_JSON_NONE;
}

/* ---- looking ---- */

enum aff_json_type aff_splice_type(const struct aff_splice *s, uint32_t part)
{
    return node_of(s, s->parts[part].value)->type;
}

uint32_t aff_splice_count(struct aff_splice *s, uint32_t part)
{
    const struct aff_splice_part *p = &s->parts[part];

    return p->open ? p->count : node_of(s, p->value)->count;
}

/* The text of a member's name. */
static aff_bytes name_of(const struct aff_splice *s, uint32_t part)
{
    const struct aff_splice_part *p = &s->parts[part];

    return p->place.node == AFF_JSON_NONE ? p->name : aff_json_key(&s->sources[p->place.source].tree, p->place.node);
}

uint32_t aff_splice_member(struct aff_splice *s, uint32_t part, aff_bytes name)
{
    uint32_t found = AFF_JSON_NONE;

    if (s->code != 0 || aff_splice_type(s, part) != AFF_JSON_OBJECT)
        return AFF_JSON_NONE;
    open_part(s, part);
    aff_splice_spend(s, s->parts[part].count * (VISIT + name.len / 64));
    for (uint32_t c = s->parts[part].first; c != AFF_JSON_NONE && s->code == 0; c = s->parts[c].next)
        if (aff_json_spells(name_of(s, c), name))
            found = c;
    return s->code == 0 ? found : AFF_JSON_NONE;
}

uint32_t aff_splice_element(struct aff_splice *s, uint32_t part, uint64_t index)
{
    if (s->code != 0 || aff_splice_type(s, part) != AFF_JSON_ARRAY || index >= aff_splice_count(s, part))
        return AFF_JSON_NONE;
    open_part(s, part);
    const struct aff_splice_part *p = &s->parts[part];
    bool backwards = s->code == 0 && index > p->count / 2;
    uint64_t steps = backwards ? p->count - 1 - index : index;
    uint32_t at = backwards ? p->last : p->first;

    aff_splice_spend(s, (size_t)steps * VISIT);
    if (s->code != 0)
        return AFF_JSON_NONE;
    while (steps-- > 0)
        at = backwards ? s->parts[at].previous : s->parts[at].next;
    return at;
}

bool aff_splice_reads(const struct aff_splice *s, uint32_t part, aff_bytes text)
{
    const struct aff_splice_part *p = &s->parts[part];

    return !p->changed && aff_bytes_equal(text_of(s, p->value), text);
}

/* ---- changing ---- */

void aff_splice_replace(struct aff_splice *s, uint32_t part, struct aff_splice_value value)
{
    struct aff_splice_part *p = &s->parts[part];

    if (s->code != 0)
        return;
    p->value = value;
    p->first = p->last = AFF_JSON_NONE;
    p->count = 0;
    p->open = p->changed = false;
    mark_changed(s, p->parent);
}

uint32_t aff_splice_add(struct aff_splice *s, uint32_t object, aff_bytes name, struct aff_splice_value value)
{
    open_part(s, object);
    uint32_t part = new_part(s, object, value);

    if (part == AFF_JSON_NONE)
        return part;
    s->parts[part].name = name;
    link_part(s, part, AFF_JSON_NONE);
    mark_changed(s, object);
    return part;
}

void aff_splice_insert(struct aff_splice *s, uint32_t array, uint32_t before, struct aff_splice_value value)
{
    open_part(s, array);
    uint32_t part = new_part(s, array, value);

    if (part == AFF_JSON_NONE)
        return;
    link_part(s, part, before);
    mark_changed(s, array);
}

static bool same_name(aff_bytes a, aff_bytes b)
{
    struct aff_json_letters p = aff_json_letters_of(a), q = aff_json_letters_of(b);
    int c, d;

    do {
        c = aff_json_letter(&p);
        d = aff_json_letter(&q);
    } while (c == d && c >= 0);
    return c == d;
}

void aff_splice_remove(struct aff_splice *s, uint32_t part)
{
    uint32_t parent = s->parts[part].parent, next;
    aff_bytes name;

    assert(parent != AFF_JSON_NONE);
    if (s->code != 0)
        return;
    unlink_part(s, part);
    mark_changed(s, parent);
    if (aff_splice_type(s, parent) != AFF_JSON_OBJECT)
        return;
    name = name_of(s, part);
    aff_splice_spend(s, s->parts[parent].count * (VISIT + name.len / 8));
    for (uint32_t c = s->parts[parent].first; c != AFF_JSON_NONE && s->code == 0; c = next) {
        next = s->parts[c].next;
        if (same_name(name_of(s, c), name))
            unlink_part(s, c);
    }
}

/* ---- writing ---- */

static void emit(struct aff_splice *s, struct aff_buf *out, const void *data, size_t len)
{
    if (s->code != 0)
        return;
    if (len > s->limits.bytes - out->len)
        fail(s, AFF_ETOOLARGE, "the value would be larger than it may be");
    else if (!aff_buf_add(out, data, len))
        fail(s, AFF_ENOMEM, NULL);
}

static bool is_space(unsigned char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Everything from the comma or bracket to the value. */
static void emit_lead(struct aff_splice *s, struct aff_buf *out, uint32_t part)
{
    const struct aff_splice_part *p = &s->parts[part];

    if (p->place.node == AFF_JSON_NONE) {
        if (p->name.len > 0) {
            emit(s, out, p->name.data, p->name.len);
            emit(s, out, ":", 1);
        }
        return;
    }
    const struct aff_json_node *n = node_of(s, p->place);
    const unsigned char *text = s->sources[p->place.source].tree.text.data;
    uint32_t from = n->key_end ? n->key_begin : n->begin;

    while (is_space(text[from - 1]))
        from--;
    emit(s, out, text + from, n->begin - from);
}

/* The spaces before the comma; those before a closing bracket are not the value's. */
static void emit_trail(struct aff_splice *s, struct aff_buf *out, uint32_t part)
{
    const struct aff_splice_part *p = &s->parts[part];

    if (p->place.node == AFF_JSON_NONE)
        return;
    const struct aff_json_node *n = node_of(s, p->place);
    const unsigned char *text = s->sources[p->place.source].tree.text.data;
    uint32_t to = n->end;

    while (is_space(text[to]))
        to++;
    if (text[to] == ',')
        emit(s, out, text + n->end, to - n->end);
}

/* Of an object or array: the spaces before its bracket, and that. */
static void emit_end(struct aff_splice *s, struct aff_buf *out, uint32_t part)
{
    aff_bytes text = text_of(s, s->parts[part].value);
    const unsigned char *end = (const unsigned char *)text.data + text.len, *from = end - 1;

    while (is_space(from[-1]))
        from--;
    emit(s, out, from, (size_t)(end - from));
}

/* Writes one part, changed or not, with what is in it. */
static void write_part(struct aff_splice *s, struct aff_buf *out, uint32_t root)
{
    uint32_t at = root;
    bool begins = true; /* the value of `at` is to be written; else it has been */

    while (s->code == 0) {
        const struct aff_splice_part *p = &s->parts[at];
        aff_bytes text = text_of(s, p->value);

        if (begins && p->changed && p->first != AFF_JSON_NONE) {
            emit(s, out, text.data, 1);
            at = p->first;
            emit_lead(s, out, at);
        } else if (begins) {
            if (p->changed)
                emit(s, out, text.data, 1);
            if (p->changed)
                emit_end(s, out, at);
            else
                emit(s, out, text.data, text.len);
            begins = false;
        } else if (at == root) {
            return;
        } else {
            begins = p->next != AFF_JSON_NONE;
            if (begins) {
                emit_trail(s, out, at);
                emit(s, out, ",", 1);
            }
            at = begins ? p->next : p->parent;
            if (begins)
                emit_lead(s, out, at);
            else
                emit_end(s, out, at);
        }
    }
}

struct aff_splice_value aff_splice_settle(struct aff_splice *s, uint32_t part)
{
    struct aff_splice_value value = s->parts[part].value;
    struct aff_splice_source *source;
    struct aff_buf text;
    int code;

    if (s->code != 0 || !s->parts[part].changed)
        return value;
    aff_buf_init(&text);
    write_part(s, &text, part);
    aff_splice_spend(s, PART + text.len);
    source = new_source(s);
    if (!source) {
        aff_buf_fini(&text);
        return value;
    }
    source->own = text;
    source->owned = true;
    aff_json_tree_init(&source->tree);
    if (s->code != 0)
        return value;
    code = aff_json_tree_parse(&source->tree, aff_buf_view(&source->own), AFF_JSON_DEPTH_MAX, NULL);
    if (code != 0) {
        fail(s, code == AFF_EJSON ? AFF_ETOOLARGE : code, "the value would be nested deeper than it may be");
        return value;
    }
    aff_splice_spend(s, (size_t)source->tree.count * NODE);
    value = (struct aff_splice_value){ s->source_count - 1, 0 };
    s->parts[part].value = value; /* its text is what it was, so nothing around it changes */
    s->parts[part].first = s->parts[part].last = AFF_JSON_NONE;
    s->parts[part].count = 0;
    s->parts[part].open = s->parts[part].changed = false;
    return value;
}

int aff_splice_write(struct aff_splice *s, struct aff_buf *out)
{
    struct aff_json_error error;

    aff_buf_clear(out);
    if (s->code == 0) {
        assert(s->root != AFF_JSON_NONE);
        write_part(s, out, s->root);
    }
    if (s->code == 0 && aff_json_check(aff_buf_view(out), s->limits.depth, &error) != 0) {
        bool deep = strncmp(error.expected, "brackets", 8) == 0;
        assert(deep);
        fail(s, deep ? AFF_ETOOLARGE : AFF_EBUG, "the value would be nested deeper than it may be");
    }
    return s->code;
}
