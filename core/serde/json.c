/*
 * json.c - see json.h.
 *
 * One loop over tokens. What encloses the present place is kept as one bit a level (object or array) in a fixed array,
 * so a hostile document can exhaust neither the stack nor memory.
 */
#include "serde/json.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>

struct scan {
    const unsigned char *at, *end;
    const char *expected; /* set by whoever fails; `at` then stands at the byte that does not fit */
    unsigned depth, max_depth;
    uint64_t objects[AFF_JSON_DEPTH_MAX / 64]; /* bit d: the bracket at depth d + 1 is an object's */
};

static bool fail(struct scan *s, const char *expected)
{
    s->expected = expected;
    return false;
}

static bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

static void skip_space(struct scan *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\r' || *s->at == '\t'))
        s->at++;
}

/* ---- strings ---- */

/* Eight bytes at once: true when all of them are ASCII that a string may hold as it is. */
static bool all_plain(const unsigned char *at)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = UINT64_C(0x8080808080808080);
    uint64_t w;
    memcpy(&w, at, sizeof w);
    uint64_t quote = w ^ (ones * '"'), backslash = w ^ (ones * '\\');
    uint64_t odd = ((w - ones * 0x20) & ~w) | ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) | w;
    return (odd & tops) == 0;
}

static const unsigned char *skip_plain(const unsigned char *at, const unsigned char *end)
{
    while (end - at >= 8 && all_plain(at))
        at += 8;
    while (at < end && *at >= 0x20 && *at < 0x80 && *at != '"' && *at != '\\')
        at++;
    return at;
}

static bool is_hex(unsigned char c)
{
    unsigned char lower = c | 0x20;
    return is_digit(c) || (lower >= 'a' && lower <= 'f');
}

/* `at` stands behind the backslash. */
static bool check_escape(struct scan *s)
{
    if (s->at == s->end || !memchr("\"\\/bfnrtu", *s->at, 9))
        return fail(s, "one of \" \\ / b f n r t u after the backslash");
    if (*s->at++ != 'u')
        return true;
    for (int i = 0; i < 4; i++, s->at++)
        if (s->at == s->end || !is_hex(*s->at))
            return fail(s, "four hexadecimal digits after \\u");
    return true;
}

/* `at` stands behind the opening quote; afterwards behind the closing one. */
static bool check_string(struct scan *s)
{
    for (;;) {
        s->at = skip_plain(s->at, s->end);
        if (s->at == s->end)
            return fail(s, "the closing quote of the string");
        unsigned char c = *s->at;
        if (c == '"') {
            s->at++;
            return true;
        }
        if (c == '\\') {
            s->at++;
            if (!check_escape(s))
                return false;
        } else if (c < 0x20) {
            return fail(s, "no control character in a string (write \\u00XX)");
        } else {
            size_t length = aff_utf8_length(s->at, s->end);
            if (!length)
                return fail(s, "UTF-8");
            s->at += length;
        }
    }
}

/* ---- numbers and words ---- */

static bool check_digits(struct scan *s)
{
    if (s->at == s->end || !is_digit(*s->at))
        return fail(s, "a digit");
    while (s->at < s->end && is_digit(*s->at))
        s->at++;
    return true;
}

static bool check_number(struct scan *s)
{
    if (*s->at == '-')
        s->at++;
    if (s->at < s->end && *s->at == '0')
        s->at++; /* nothing but a point or an exponent may follow: a digit is refused by what comes next */
    else if (!check_digits(s))
        return false;
    if (s->at < s->end && *s->at == '.') {
        s->at++;
        if (!check_digits(s))
            return false;
    }
    if (s->at < s->end && (*s->at == 'e' || *s->at == 'E')) {
        s->at++;
        if (s->at < s->end && (*s->at == '+' || *s->at == '-'))
            s->at++;
        return check_digits(s);
    }
    return true;
}

static bool check_word(struct scan *s, const char *word)
{
    for (; *word; word++, s->at++)
        if (s->at == s->end || *s->at != (unsigned char)*word)
            return fail(s, "true, false or null");
    return true;
}

/* ---- structure ---- */

static bool in_object(const struct scan *s)
{
    unsigned d = s->depth - 1;
    return s->objects[d / 64] >> (d % 64) & 1;
}

/* `at` stands at the bracket. */
static bool enter(struct scan *s, bool object)
{
    if (s->depth == s->max_depth)
        return fail(s, NULL);
    uint64_t bit = UINT64_C(1) << (s->depth % 64), *word = &s->objects[s->depth / 64];
    *word = object ? *word | bit : *word & ~bit;
    s->depth++;
    s->at++;
    return true;
}

static bool check_name(struct scan *s, const char *expected)
{
    skip_space(s);
    if (s->at == s->end || *s->at != '"')
        return fail(s, expected);
    s->at++;
    if (!check_string(s))
        return false;
    skip_space(s);
    if (s->at == s->end || *s->at != ':')
        return fail(s, "':'");
    s->at++;
    return true;
}

/* Is the bracket that was just opened closed at once? */
static bool closes(struct scan *s, unsigned char bracket)
{
    skip_space(s);
    if (s->at == s->end || *s->at != bracket)
        return false;
    s->at++;
    s->depth--;
    return true;
}

/* Reads what begins a value. `*ret_again`: a bracket was opened and another value has to follow. */
static bool begin_value(struct scan *s, bool *ret_again)
{
    *ret_again = false;
    skip_space(s);
    if (s->at == s->end)
        return fail(s, "a value");
    switch (*s->at) {
    case '"':
        s->at++;
        return check_string(s);
    case '{':
        if (!enter(s, true))
            return false;
        if (closes(s, '}'))
            return true;
        *ret_again = true;
        return check_name(s, "a name in quotes or '}'");
    case '[':
        if (!enter(s, false))
            return false;
        *ret_again = !closes(s, ']');
        return true;
    case 't':
        return check_word(s, "true");
    case 'f':
        return check_word(s, "false");
    case 'n':
        return check_word(s, "null");
    default:
        if (*s->at != '-' && !is_digit(*s->at))
            return fail(s, "a value");
        return check_number(s);
    }
}

/* After a value: closes what ends here. `*ret_again`: a comma was there, and another value has to follow. */
static bool after_value(struct scan *s, bool *ret_again)
{
    *ret_again = false;
    while (s->depth > 0) {
        bool object = in_object(s);
        skip_space(s);
        unsigned char c = s->at < s->end ? *s->at : 0;
        if (c == ',') {
            s->at++;
            *ret_again = true;
            return !object || check_name(s, "a name in quotes");
        }
        if (c != (object ? '}' : ']'))
            return fail(s, object ? "',' or '}'" : "',' or ']'");
        s->at++;
        s->depth--;
    }
    return true;
}

static bool check_text(struct scan *s)
{
    if (s->end - s->at >= 3 && memcmp(s->at, "\xef\xbb\xbf", 3) == 0)
        return fail(s, "a value, without a byte order mark before it");
    bool again;
    do {
        do
            if (!begin_value(s, &again))
                return false;
        while (again);
        if (!after_value(s, &again))
            return false;
    } while (again);
    skip_space(s);
    return s->at == s->end || fail(s, "the end of the text");
}

/* ---- the answer ---- */

static void describe(const struct scan *s, const unsigned char *start, struct aff_json_error *ret_error)
{
    size_t line = 1, column = 1;
    for (const unsigned char *at = start; at < s->at; at++) {
        if (*at == '\n') {
            line++;
            column = 1;
        } else if ((*at & 0xc0) != 0x80) {
            column++;
        }
    }
    ret_error->offset = (size_t)(s->at - start);
    ret_error->line = line;
    ret_error->column = column;
    if (s->expected)
        (void)snprintf(ret_error->expected, sizeof ret_error->expected, "%s", s->expected);
    else
        (void)snprintf(ret_error->expected, sizeof ret_error->expected, "brackets at most %u deep", s->max_depth);
}

int aff_json_check(aff_bytes text, unsigned max_depth, struct aff_json_error *ret_error)
{
    assert(max_depth >= 1 && max_depth <= AFF_JSON_DEPTH_MAX);
    const unsigned char *start = text.data;
    struct scan s = { .at = start, .end = start + text.len, .max_depth = max_depth };
    if (check_text(&s))
        return 0;
    if (ret_error)
        describe(&s, start, ret_error);
    return AFF_EJSON;
}

size_t aff_json_error_print(const struct aff_json_error *error, char *out, size_t size)
{
    int length = snprintf(out, size, "line %zu, column %zu (byte %zu): expected %s", error->line, error->column,
                          error->offset, error->expected);
    return length < 0 ? 0 : (size_t)length < size ? (size_t)length : size - 1;
}
