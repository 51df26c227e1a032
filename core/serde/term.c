/*
 * term.c - see term.h.
 */
#include "serde/term.h"

#include <affinity/error.h>
#include <assert.h>
#include <stdio.h>

enum { NULL_AT = 1, FALSE_AT, TRUE_AT, NUMBER_AT, STRING_AT };
enum { BELOW_ZERO = 1, ZERO, ABOVE_ZERO };

#define EXPONENT_MOST INT64_C(1000000000000000)

static int done(bool added)
{
    return added ? 1 : AFF_ENOMEM;
}

/* ---- numbers ---- */

struct number {
    bool negative, too_far;
    aff_bytes whole, fraction; /* digits */
    int64_t exponent;
};

static aff_bytes take_digits(const char **at, const char *end)
{
    const char *from = *at;
    while (*at < end && **at >= '0' && **at <= '9')
        ++*at;
    return aff_bytes_of(from, (size_t)(*at - from));
}

static int64_t exponent_of(aff_bytes digits, bool *ret_too_far)
{
    int64_t sum = 0;
    for (size_t i = 0; i < digits.len && sum <= EXPONENT_MOST; i++)
        sum = 10 * sum + (((const char *)digits.data)[i] - '0');
    *ret_too_far = sum > EXPONENT_MOST;
    return sum;
}

/* Takes the text of a number apart, which JSON allows. */
static struct number take_apart(aff_bytes text)
{
    const char *at = text.data, *end = at + text.len;
    struct number n = { .negative = at < end && *at == '-' };
    at += n.negative;
    n.whole = take_digits(&at, end);
    if (at < end && *at == '.') {
        at++;
        n.fraction = take_digits(&at, end);
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        bool negative = at < end && *at == '-';
        at += at < end && (*at == '-' || *at == '+');
        n.exponent = exponent_of(take_digits(&at, end), &n.too_far);
        n.exponent = negative ? -n.exponent : n.exponent;
    }
    return n;
}

static bool add_exponent(int64_t exponent, unsigned char flip, struct aff_buf *to)
{
    uint64_t size = (uint64_t)(exponent < 0 ? -exponent : exponent);
    unsigned char bytes[9];
    unsigned count = 0;
    while (count < 8 && size >> (8 * count))
        count++;
    bytes[0] = (unsigned char)(exponent < 0 ? 0x80 - count : 0x80 + count) ^ flip;
    for (unsigned i = 0; i < count; i++) {
        unsigned char b = (unsigned char)(size >> (8 * (count - 1 - i)));
        bytes[1 + i] = (exponent < 0 ? (unsigned char)~b : b) ^ flip;
    }
    return aff_buf_add(to, bytes, 1 + count);
}

static bool add_digits(aff_bytes digits, size_t from, size_t to_place, unsigned char flip, struct aff_buf *to)
{
    const unsigned char *all = digits.data;
    if (!aff_buf_reserve(to, to_place - from))
        return false;
    for (size_t i = from; i < to_place; i++)
        to->data[to->len++] = all[i] ^ flip;
    return true;
}

/* The digits of both parts as one row, from `first` to before `end`. */
static bool add_row(const struct number *n, size_t first, size_t end, unsigned char flip, struct aff_buf *to)
{
    size_t whole = n->whole.len;
    return (first >= whole || add_digits(n->whole, first, end < whole ? end : whole, flip, to)) &&
           (end <= whole || add_digits(n->fraction, first > whole ? first - whole : 0, end - whole, flip, to));
}

static char digit_at(const struct number *n, size_t i)
{
    if (i < n->whole.len)
        return ((const char *)n->whole.data)[i];
    assert(n->fraction.data);
    return ((const char *)n->fraction.data)[i - n->whole.len];
}

int aff_term_of_number(aff_bytes text, struct aff_buf *to)
{
    struct number n = take_apart(text);
    size_t first = 0, end = n.whole.len + n.fraction.len;
    while (first < end && digit_at(&n, first) == '0')
        first++;
    while (end > first && digit_at(&n, end - 1) == '0')
        end--;
    if (first == end)
        return done(aff_buf_add(to, (const unsigned char[]){ NUMBER_AT, ZERO }, 2));
    int64_t exponent = n.exponent + (int64_t)n.whole.len - (int64_t)first;
    if (n.too_far || exponent > EXPONENT_MOST || exponent < -EXPONENT_MOST)
        return 0;
    unsigned char flip = n.negative ? 0xff : 0;
    return done(aff_buf_u8(to, NUMBER_AT) && aff_buf_u8(to, n.negative ? BELOW_ZERO : ABOVE_ZERO) &&
                add_exponent(exponent, flip, to) && add_row(&n, first, end, flip, to) &&
                (!n.negative || aff_buf_u8(to, 0xff)));
}

int aff_term_of_int(int64_t number, struct aff_buf *to)
{
    char text[24];
    int len = snprintf(text, sizeof text, "%lld", (long long)number);
    return aff_term_of_number(aff_bytes_of(text, (size_t)len), to);
}

/* ---- others ---- */

int aff_term_of_string(aff_bytes text, struct aff_buf *to)
{
    return done(aff_buf_u8(to, STRING_AT) && aff_buf_add(to, text.data, text.len));
}

int aff_term_of_word(enum aff_json_type type, struct aff_buf *to)
{
    return done(aff_buf_u8(to, type == AFF_JSON_NULL ? NULL_AT : type == AFF_JSON_FALSE ? FALSE_AT : TRUE_AT));
}

static int of_quoted(const struct aff_json_tree *tree, uint32_t node, struct aff_buf *to)
{
    size_t before = to->len, len;
    if (!aff_buf_u8(to, STRING_AT) || !aff_buf_reserve(to, aff_json_text(tree, node).len))
        return AFF_ENOMEM;
    bool is_text = aff_json_string(tree, node, (char *)to->data + to->len, &len);
    to->len = is_text ? to->len + len : before;
    return is_text;
}

int aff_term_of_node(const struct aff_json_tree *tree, uint32_t node, struct aff_buf *to)
{
    switch (tree->nodes[node].type) {
    case AFF_JSON_NULL:
    case AFF_JSON_FALSE:
    case AFF_JSON_TRUE:
        return aff_term_of_word(tree->nodes[node].type, to);
    case AFF_JSON_NUMBER:
        return aff_term_of_number(aff_json_text(tree, node), to);
    case AFF_JSON_STRING:
        return of_quoted(tree, node, to);
    case AFF_JSON_ARRAY:
    case AFF_JSON_OBJECT:
        break;
    }
    return 0;
}

int aff_term_of_text(aff_bytes text, struct aff_buf *to)
{
    struct aff_json_tree tree;
    struct aff_json_error problem;
    aff_json_tree_init(&tree);
    int code = aff_json_tree_parse(&tree, text, 1, &problem);
    bool scalar = code == 0 && tree.nodes[0].type < AFF_JSON_ARRAY;
    if (code == 0 && scalar)
        code = aff_term_of_node(&tree, 0, to);
    else if (code != AFF_ENOMEM)
        code = aff_term_of_string(text, to);
    aff_json_tree_fini(&tree);
    return code;
}
