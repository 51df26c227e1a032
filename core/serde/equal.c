/*
 * equal.c - see equal.h.
 *
 * Both values are put into one order: a node before its children, members by name, hidden twins left out. Then they are
 * compared node by node.
 */
#include "serde/equal.h"

#include <stdlib.h>

/* ---- numbers ---- */

/* A number as 0.DDD * 10^(point + exponent), where DDD begins and ends with another digit than 0. */
struct decimal {
    bool negative, exponent_negative;
    const unsigned char *at, *end; /* DDD; a '.' may stand inside. Empty: the number is 0 */
    int64_t point;
    const unsigned char *exponent, *exponent_end; /* its digits, which may be many */
};

static bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

static void take_exponent(struct decimal *d, const unsigned char *at, const unsigned char *end)
{
    if (at < end)
        at++; /* the e */
    if (at < end && !is_digit(*at))
        d->exponent_negative = *at++ == '-';
    while (at < end && *at == '0')
        at++;
    d->exponent = at;
    d->exponent_end = end;
}

/* `at`: the first digit, `end`: behind the last, before the exponent. */
static void take_digits(struct decimal *d, const unsigned char *at, const unsigned char *end)
{
    const unsigned char *dot = memchr(at, '.', (size_t)(end - at));
    const unsigned char *point = dot ? dot : end;

    while (at < end && (*at == '0' || *at == '.'))
        at++;
    while (end > at && (end[-1] == '0' || end[-1] == '.'))
        end--;
    d->at = at;
    d->end = end;
    d->point = at < point ? point - at : point + 1 - at;
}

static struct decimal decimal_of(aff_bytes text)
{
    const unsigned char *at = text.data, *end = at + text.len, *e = at;
    struct decimal d = { .negative = *at == '-' };

    at += d.negative;
    while (e < end && *e != 'e' && *e != 'E')
        e++;
    take_exponent(&d, e, end);
    take_digits(&d, at, e);
    return d;
}

static bool digits_equal(const struct decimal *a, const struct decimal *b)
{
    const unsigned char *p = a->at, *q = b->at;

    for (;; p++, q++) {
        if (p < a->end && *p == '.')
            p++;
        if (q < b->end && *q == '.')
            q++;
        if (p == a->end || q == b->end)
            return p == a->end && q == b->end;
        if (*p != *q)
            return false;
    }
}

static int digit_at(const struct decimal *d, size_t from_end)
{
    size_t len = (size_t)(d->exponent_end - d->exponent);

    if (from_end >= len)
        return 0;
    int digit = d->exponent_end[-1 - (ptrdiff_t)from_end] - '0';
    return d->exponent_negative ? -digit : digit;
}

/* Is exponent a - exponent b == `by`? Beyond 2^40 a difference of the leading digits only grows, and no text is as long. */
static bool exponents_differ_by(const struct decimal *a, const struct decimal *b, int64_t by)
{
    size_t a_len = (size_t)(a->exponent_end - a->exponent), b_len = (size_t)(b->exponent_end - b->exponent);
    const int64_t most = INT64_C(1) << 40;
    int64_t difference = 0;

    for (size_t i = a_len > b_len ? a_len : b_len; i-- > 0;) {
        difference = difference * 10 + digit_at(a, i) - digit_at(b, i);
        if (difference > most || difference < -most)
            return false;
    }
    return difference == by;
}

bool aff_json_number_equal(aff_bytes a_text, aff_bytes b_text)
{
    struct decimal a = decimal_of(a_text), b = decimal_of(b_text);

    if (a.at == a.end || b.at == b.end)
        return a.at == a.end && b.at == b.end; /* 0 and -0 and 0e9 */
    return a.negative == b.negative && digits_equal(&a, &b) && exponents_differ_by(&a, &b, b.point - a.point);
}

/* ---- strings ---- */

static bool is_plain(aff_bytes quoted)
{
    return !memchr(quoted.data, '\\', quoted.len);
}

/* The order of strings and names is that of their bytes. */
static int compare_strings(aff_bytes a, aff_bytes b)
{
    struct aff_json_letters p = aff_json_letters_of(a), q = aff_json_letters_of(b);
    int c, d;

    if (is_plain(a) && is_plain(b))
        return aff_bytes_compare(aff_bytes_of(p.at, a.len - 2), aff_bytes_of(q.at, b.len - 2));
    do {
        c = aff_json_letter(&p);
        d = aff_json_letter(&q);
    } while (c == d && c >= 0);
    return (c > d) - (c < d);
}

/* ---- one order ---- */

/* `stack` holds the nodes of one value that are still to be taken, the next one on top. */
struct order {
    const struct aff_json_tree *tree;
    uint32_t *stack;
    uint32_t waiting;
    uint32_t count; /* of the children of the node that was taken last */
};

static int by_name(const void *a, const void *b, void *tree)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    int c = compare_strings(aff_json_key(tree, x), aff_json_key(tree, y));

    return c ? c : (x > y) - (x < y);
}

/* The members, by name, the last of twins alone; returns how many stay. */
static uint32_t sort_members(const struct aff_json_tree *tree, uint32_t *members, uint32_t count)
{
    uint32_t kept = 0;

    qsort_r(members, count, sizeof *members, by_name, (void *)(uintptr_t)tree);
    for (uint32_t i = 0; i < count; i++) {
        if (kept > 0 && compare_strings(aff_json_key(tree, members[kept - 1]), aff_json_key(tree, members[i])) == 0)
            kept--;
        members[kept++] = members[i];
    }
    return kept;
}

/* The next node, and its children are to come after it. */
static uint32_t order_take(struct order *o)
{
    uint32_t node = o->stack[--o->waiting];
    const struct aff_json_node *n = &o->tree->nodes[node];
    uint32_t *children = o->stack + o->waiting, count = 0;

    for (uint32_t c = n->first; c != AFF_JSON_NONE; c = o->tree->nodes[c].next)
        children[count++] = c;
    if (n->type == AFF_JSON_OBJECT)
        count = sort_members(o->tree, children, count);
    for (uint32_t i = 0; i < count / 2; i++) {
        uint32_t other = children[i];

        children[i] = children[count - 1 - i];
        children[count - 1 - i] = other;
    }
    o->count = count;
    o->waiting += count;
    return node;
}

/* Nodes stand in the order of the text, so those of a value are the ones behind it, up to its next relative. */
static uint32_t nodes_of(const struct aff_json_tree *tree, uint32_t node)
{
    uint32_t up = node;

    while (up != AFF_JSON_NONE && tree->nodes[up].next == AFF_JSON_NONE)
        up = tree->nodes[up].parent;
    return (up == AFF_JSON_NONE ? tree->count : tree->nodes[up].next) - node;
}

static bool order_begin(struct order *o, const struct aff_json_tree *tree, uint32_t node)
{
    *o = (struct order){ .tree = tree, .waiting = 1 };
    o->stack = malloc(((size_t)nodes_of(tree, node) + 1) * sizeof *o->stack);
    if (o->stack)
        o->stack[0] = node;
    return o->stack != NULL;
}

/* ---- comparing ---- */

static bool is_same(const struct order *a, uint32_t x, const struct order *b, uint32_t y)
{
    enum aff_json_type type = a->tree->nodes[x].type;
    aff_bytes a_text = aff_json_text(a->tree, x), b_text = aff_json_text(b->tree, y);

    if (type != b->tree->nodes[y].type)
        return false;
    if (type == AFF_JSON_NUMBER)
        return aff_json_number_equal(a_text, b_text);
    if (type == AFF_JSON_STRING)
        return compare_strings(a_text, b_text) == 0;
    return a->count == b->count; /* of children, which come next */
}

static bool compare(struct order *a, struct order *b)
{
    bool first = true;

    while (a->waiting > 0) {
        uint32_t x = order_take(a), y = order_take(b);
        bool member = !first && a->tree->nodes[a->tree->nodes[x].parent].type == AFF_JSON_OBJECT;

        if (!is_same(a, x, b, y))
            return false;
        if (member && compare_strings(aff_json_key(a->tree, x), aff_json_key(b->tree, y)) != 0)
            return false;
        first = false;
    }
    return true;
}

int aff_json_equal(const struct aff_json_tree *a_tree, uint32_t a, const struct aff_json_tree *b_tree, uint32_t b,
                   bool *ret_equal)
{
    struct order x, y = { .stack = NULL };
    int code = AFF_ENOMEM;

    *ret_equal = true;
    if (aff_bytes_equal(aff_json_text(a_tree, a), aff_json_text(b_tree, b)))
        return 0;
    if (order_begin(&x, a_tree, a) && order_begin(&y, b_tree, b)) {
        *ret_equal = compare(&x, &y);
        code = 0;
    }
    free(x.stack);
    free(y.stack);
    return code;
}
