/*
 * tree.c - see tree.h. The grammar itself is in scan.h, of which this is the listener.
 *
 * While an object or array is open its `next`, which is not known yet, holds its last child: so neither a stack nor recursion
 * is needed to link the nodes.
 */
#include "serde/scan.h"

#include <stdlib.h>

void aff_json_tree_init(struct aff_json_tree *tree)
{
    *tree = (struct aff_json_tree){ .text = aff_str("") };
}

void aff_json_tree_fini(struct aff_json_tree *tree)
{
    free(tree->nodes);
    aff_json_tree_init(tree);
}

/* ---- taking apart ---- */

struct build {
    struct scan scan; /* first: the listener is given it */
    const unsigned char *start;
    struct aff_json_tree *tree;
    uint32_t open;               /* the innermost object or array that has not ended, or AFF_JSON_NONE */
    uint32_t key_begin, key_end; /* of the member whose value comes next; both 0: none */
    int code;                    /* why the listener ended the scan; 0: it did not */
};

static uint32_t place(const struct build *b, const unsigned char *at)
{
    return (uint32_t)(at - b->start);
}

static bool grow(struct aff_json_tree *tree)
{
    uint64_t more = tree->capacity ? (uint64_t)tree->capacity * 2 : 32;
    struct aff_json_node *nodes = NULL;

    if (more < AFF_JSON_NONE && more <= SIZE_MAX / sizeof *nodes)
        nodes = realloc(tree->nodes, (size_t)more * sizeof *nodes);
    if (!nodes)
        return false;
    tree->nodes = nodes;
    tree->capacity = (uint32_t)more;
    return true;
}

static void on_name(struct scan *s, const unsigned char *begin)
{
    struct build *b = (struct build *)s;

    b->key_begin = place(b, begin);
    b->key_end = place(b, s->at);
}

/* Hangs the new node behind the last child of its parent. */
static void link_node(struct aff_json_tree *tree, uint32_t parent, uint32_t node)
{
    struct aff_json_node *p;

    if (parent == AFF_JSON_NONE)
        return;
    p = &tree->nodes[parent];
    if (p->count++ == 0)
        p->first = node;
    else
        tree->nodes[p->next].next = node;
    p->next = node;
}

static bool on_begin(struct scan *s, enum aff_json_type type)
{
    struct build *b = (struct build *)s;
    struct aff_json_tree *tree = b->tree;
    uint32_t node = tree->count;

    if (node == tree->capacity && !grow(tree)) {
        b->code = AFF_ENOMEM;
        return false;
    }
    tree->nodes[node] = (struct aff_json_node){ .begin = place(b, s->at),
                                                .key_begin = b->key_begin,
                                                .key_end = b->key_end,
                                                .parent = b->open,
                                                .next = AFF_JSON_NONE,
                                                .first = AFF_JSON_NONE,
                                                .type = type };
    tree->count++;
    link_node(tree, b->open, node);
    b->key_begin = b->key_end = 0;
    if (type >= AFF_JSON_ARRAY)
        b->open = node;
    return true;
}

static void on_end(struct scan *s)
{
    struct build *b = (struct build *)s;
    struct aff_json_tree *tree = b->tree;
    struct aff_json_node *n = &tree->nodes[tree->count - 1]; /* a scalar ends before anything else begins */

    if (n->type >= AFF_JSON_ARRAY || n->end != 0) {
        n = &tree->nodes[b->open];
        n->next = AFF_JSON_NONE;
        b->open = n->parent;
    }
    n->end = place(b, s->at);
}

static const struct listener listener = { .name = on_name, .begin = on_begin, .end = on_end };

int aff_json_tree_parse(struct aff_json_tree *tree, aff_bytes text, unsigned max_depth,
                        struct aff_json_error *ret_error)
{
    assert(max_depth >= 1 && max_depth <= AFF_JSON_DEPTH_MAX);
    struct build b = { .start = text.data, .tree = tree, .open = AFF_JSON_NONE };

    tree->text = text;
    tree->count = 0;
    if (text.len > UINT32_MAX)
        return AFF_ETOOLARGE;
    b.scan.at = b.start;
    b.scan.end = b.start + text.len;
    b.scan.max_depth = max_depth;
    if (scan_text(&b.scan, &listener))
        return 0;
    tree->count = 0;
    if (b.code != 0)
        return b.code;
    if (ret_error)
        aff_scan_describe(&b.scan, b.start, ret_error);
    return AFF_EJSON;
}

/* ---- strings ---- */

static unsigned hex4(const unsigned char *at)
{
    unsigned value = 0;

    for (int i = 0; i < 4; i++)
        value = value << 4 | (is_digit(at[i]) ? at[i] - (unsigned)'0' : (at[i] | 0x20u) - 'a' + 10u);
    return value;
}

static size_t encode(unsigned c, unsigned char out[4])
{
    if (c < 0x80) {
        out[0] = (unsigned char)c;
        return 1;
    }
    size_t len = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--, c >>= 6)
        out[i] = (unsigned char)(0x80 | (c & 0x3f));
    out[0] = (unsigned char)((0xf00u >> len & 0xf0) | c);
    return len;
}

static bool is_surrogate(unsigned c, unsigned first)
{
    return (c & 0xfc00) == first;
}

/* `*at` stands behind "\u". */
static unsigned take_unicode(const unsigned char **at, const unsigned char *end)
{
    unsigned c = hex4(*at);

    *at += 4;
    if (is_surrogate(c, 0xd800) && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u') {
        unsigned low = hex4(*at + 2);

        if (is_surrogate(low, 0xdc00)) {
            *at += 6;
            c = 0x10000 + ((c & 0x3ff) << 10) + (low & 0x3ff);
        }
    }
    return c;
}

/* The bytes that the next byte or escape at `*at` stands for; returns how many. The grammar holds. */
static size_t take(const unsigned char **at, const unsigned char *end, unsigned char out[4], bool *lone)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    unsigned char c = *(*at)++;
    const char *letter;

    out[0] = c;
    if (c != '\\')
        return 1;
    c = *(*at)++;
    if (c == 'u') {
        unsigned value = take_unicode(at, end);

        *lone |= (value & ~0x7ffu) == 0xd800;
        return encode(value, out);
    }
    letter = strchr(from, c);
    out[0] = letter ? (unsigned char)to[letter - from] : c;
    return 1;
}

bool aff_json_unquote(aff_bytes quoted, char *room, size_t *ret_len)
{
    const unsigned char *at = (const unsigned char *)quoted.data + 1, *end = at + quoted.len - 2;
    bool lone = false;
    size_t len = 0;

    assert(quoted.len >= 2);
    while (at < end) {
        unsigned char bytes[4];
        size_t n = take(&at, end, bytes, &lone);

        memcpy(room + len, bytes, n);
        len += n;
    }
    *ret_len = len;
    return !lone;
}

bool aff_json_string(const struct aff_json_tree *tree, uint32_t node, char *room, size_t *ret_len)
{
    assert(tree->nodes[node].type == AFF_JSON_STRING);
    return aff_json_unquote(aff_json_text(tree, node), room, ret_len);
}

struct aff_json_letters aff_json_letters_of(aff_bytes quoted)
{
    const unsigned char *at = quoted.data;

    assert(quoted.len >= 2);
    return (struct aff_json_letters){ .at = at + 1, .end = at + quoted.len - 1 };
}

int aff_json_letter(struct aff_json_letters *l)
{
    bool lone = false;

    if (l->begin == l->len) {
        if (l->at == l->end)
            return -1;
        l->begin = 0;
        l->len = (unsigned char)take(&l->at, l->end, l->bytes, &lone);
    }
    return l->bytes[l->begin++];
}

/* The next byte of a name, which in a pointer may be written as ~0 or ~1. -1: it has ended. */
static int next_byte(const unsigned char **at, const unsigned char *end, bool tilde)
{
    if (*at == end)
        return -1;
    unsigned char c = *(*at)++;
    return tilde && c == '~' ? (*(*at)++ == '1' ? '/' : '~') : c;
}

static bool spells(aff_bytes quoted, aff_bytes name, bool tilde)
{
    aff_bytes inside = aff_bytes_of((const unsigned char *)quoted.data + 1, quoted.len - 2);
    struct aff_json_letters letters = aff_json_letters_of(quoted);
    const unsigned char *n = name.data, *name_end = n + name.len;
    int c, d;

    if (inside.len / 6 > name.len) /* no escape is longer for a byte */
        return false;
    if (!tilde && inside.len < name.len)
        return false;
    if (!tilde && !memchr(inside.data, '\\', inside.len))
        return aff_bytes_equal(inside, name);
    do {
        c = aff_json_letter(&letters);
        d = next_byte(&n, name_end, tilde);
    } while (c == d && c >= 0);
    return c == d;
}

bool aff_json_spells(aff_bytes quoted, aff_bytes name)
{
    return spells(quoted, name, false);
}

/* ---- finding ---- */

static uint32_t find_member(const struct aff_json_tree *tree, uint32_t node, aff_bytes name, bool tilde)
{
    uint32_t found = AFF_JSON_NONE;

    if (tree->nodes[node].type != AFF_JSON_OBJECT)
        return AFF_JSON_NONE;
    for (uint32_t i = tree->nodes[node].first; i != AFF_JSON_NONE; i = tree->nodes[i].next)
        if (spells(aff_json_key(tree, i), name, tilde))
            found = i;
    return found;
}

uint32_t aff_json_member(const struct aff_json_tree *tree, uint32_t node, aff_bytes name)
{
    return find_member(tree, node, name, false);
}

/* "0", "17"; anything else is the index of nothing. */
static uint32_t find_element(const struct aff_json_tree *tree, uint32_t node, aff_bytes token)
{
    const unsigned char *at = token.data;
    uint64_t index = 0;
    uint32_t found = tree->nodes[node].first;

    if (token.len == 0 || token.len > 10 || (token.len > 1 && at[0] == '0'))
        return AFF_JSON_NONE;
    for (size_t i = 0; i < token.len; i++) {
        if (!is_digit(at[i]))
            return AFF_JSON_NONE;
        index = index * 10 + (at[i] - '0');
    }
    if (index >= tree->nodes[node].count)
        return AFF_JSON_NONE;
    while (index-- > 0)
        found = tree->nodes[found].next;
    return found;
}

bool aff_json_pointer_fits(aff_bytes pointer)
{
    const unsigned char *at = pointer.data, *end = at + pointer.len;

    if (at < end && *at != '/')
        return false;
    while ((at = at < end ? memchr(at, '~', (size_t)(end - at)) : NULL)) {
        at++;
        if (at == end || (*at != '0' && *at != '1'))
            return false;
    }
    return true;
}

uint32_t aff_json_point(const struct aff_json_tree *tree, aff_bytes pointer, bool *ret_malformed)
{
    const unsigned char *at = pointer.data, *end = at + pointer.len;
    uint32_t node = 0;

    *ret_malformed = !aff_json_pointer_fits(pointer);
    if (*ret_malformed)
        return AFF_JSON_NONE;
    while (at < end && node != AFF_JSON_NONE) {
        const unsigned char *slash = memchr(at + 1, '/', (size_t)(end - at - 1));
        aff_bytes token = aff_bytes_of(at + 1, (size_t)((slash ? slash : end) - at - 1));

        node = tree->nodes[node].type == AFF_JSON_ARRAY ? find_element(tree, node, token)
                                                        : find_member(tree, node, token, true);
        at += 1 + token.len;
    }
    return node;
}
