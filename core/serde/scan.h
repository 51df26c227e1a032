/*
 * scan.h - the grammar of RFC 8259, once: shared by json.c (is this JSON?) and tree.c (what is where?) alone.
 *
 * One loop over tokens. What encloses the present place is kept as one bit a level (object or array) in a fixed array,
 * so a hostile document can exhaust neither the stack nor memory.
 *
 * All of it is inline, with the listener as a constant of the caller: so the check that every write passes through is
 * compiled without a trace of what the tree wants to know. Pure; any thread.
 */
#ifndef AFF_SERDE_SCAN_H
#define AFF_SERDE_SCAN_H

#include "serde/json.h"
#include "serde/tree.h"

#include <assert.h>
#include <stdint.h>

#define AFF_SCAN_INLINE static inline __attribute__((always_inline))

struct scan {
    const unsigned char *at, *end;
    const char *expected; /* set by whoever fails; `at` then stands at the byte that does not fit */
    unsigned depth, max_depth;
    uint64_t objects[AFF_JSON_DEPTH_MAX / 64]; /* bit d: the bracket at depth d + 1 is an object's */
};

/* Whoever wants to know what is read; s->at stands at the place that is told. False ends the scan. */
struct listener {
    void (*name)(struct scan *s, const unsigned char *begin); /* of a member; s->at: behind its closing quote */
    bool (*begin)(struct scan *s, enum aff_json_type type);   /* s->at: the value's first byte */
    void (*end)(struct scan *s);                              /* s->at: behind the last value that has not ended */
};

static inline bool fail(struct scan *s, const char *expected)
{
    s->expected = expected;
    return false;
}

static inline bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

static inline void skip_space(struct scan *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\r' || *s->at == '\t'))
        s->at++;
}

/* ---- strings ---- */

/* Eight bytes at once: true when all of them are ASCII that a string may hold as it is. */
static inline bool all_plain(const unsigned char *at)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = UINT64_C(0x8080808080808080);
    uint64_t w;
    memcpy(&w, at, sizeof w);
    uint64_t quote = w ^ (ones * '"'), backslash = w ^ (ones * '\\');
    uint64_t odd = ((w - ones * 0x20) & ~w) | ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) | w;
    return (odd & tops) == 0;
}

static inline const unsigned char *skip_plain(const unsigned char *at, const unsigned char *end)
{
    while (end - at >= 8 && all_plain(at))
        at += 8;
    while (at < end && *at >= 0x20 && *at < 0x80 && *at != '"' && *at != '\\')
        at++;
    return at;
}

static inline bool is_hex(unsigned char c)
{
    unsigned char lower = c | 0x20;
    return is_digit(c) || (lower >= 'a' && lower <= 'f');
}

/* `at` stands behind the backslash. */
static inline bool check_escape(struct scan *s)
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
static inline bool check_string(struct scan *s)
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

static inline bool check_digits(struct scan *s)
{
    if (s->at == s->end || !is_digit(*s->at))
        return fail(s, "a digit");
    while (s->at < s->end && is_digit(*s->at))
        s->at++;
    return true;
}

static inline bool check_number(struct scan *s)
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

static inline bool check_word(struct scan *s, const char *word)
{
    for (; *word; word++, s->at++)
        if (s->at == s->end || *s->at != (unsigned char)*word)
            return fail(s, "true, false or null");
    return true;
}

/* ---- structure ---- */

static inline bool in_object(const struct scan *s)
{
    unsigned d = s->depth - 1;
    return s->objects[d / 64] >> (d % 64) & 1;
}

/* ---- telling ---- */

AFF_SCAN_INLINE bool tell_begin(struct scan *s, const struct listener *to, enum aff_json_type type)
{
    return !to || to->begin(s, type);
}

AFF_SCAN_INLINE bool tell_end(struct scan *s, const struct listener *to)
{
    if (to)
        to->end(s);
    return true;
}

/* `at` stands at the bracket. */
AFF_SCAN_INLINE bool enter(struct scan *s, const struct listener *to, bool object)
{
    if (s->depth == s->max_depth)
        return fail(s, NULL);
    uint64_t bit = UINT64_C(1) << (s->depth % 64), *word = &s->objects[s->depth / 64];
    *word = object ? *word | bit : *word & ~bit;
    if (!tell_begin(s, to, object ? AFF_JSON_OBJECT : AFF_JSON_ARRAY))
        return false;
    s->depth++;
    s->at++;
    return true;
}

AFF_SCAN_INLINE void leave(struct scan *s, const struct listener *to)
{
    s->at++;
    s->depth--;
    (void)tell_end(s, to);
}

AFF_SCAN_INLINE bool check_name(struct scan *s, const struct listener *to, const char *expected)
{
    skip_space(s);
    if (s->at == s->end || *s->at != '"')
        return fail(s, expected);
    const unsigned char *begin = s->at++;
    if (!check_string(s))
        return false;
    if (to)
        to->name(s, begin);
    skip_space(s);
    if (s->at == s->end || *s->at != ':')
        return fail(s, "':'");
    s->at++;
    return true;
}

/* Is the bracket that was just opened closed at once? */
AFF_SCAN_INLINE bool closes(struct scan *s, const struct listener *to, unsigned char bracket)
{
    skip_space(s);
    if (s->at == s->end || *s->at != bracket)
        return false;
    leave(s, to);
    return true;
}

AFF_SCAN_INLINE bool take_string(struct scan *s, const struct listener *to)
{
    if (!tell_begin(s, to, AFF_JSON_STRING))
        return false;
    s->at++;
    return check_string(s) && tell_end(s, to);
}

AFF_SCAN_INLINE bool take_word(struct scan *s, const struct listener *to, const char *word, enum aff_json_type type)
{
    return tell_begin(s, to, type) && check_word(s, word) && tell_end(s, to);
}

AFF_SCAN_INLINE bool take_number(struct scan *s, const struct listener *to)
{
    if (*s->at != '-' && !is_digit(*s->at))
        return fail(s, "a value");
    return tell_begin(s, to, AFF_JSON_NUMBER) && check_number(s) && tell_end(s, to);
}

/* Reads what begins a value. `*ret_again`: a bracket was opened and another value has to follow. */
AFF_SCAN_INLINE bool begin_value(struct scan *s, const struct listener *to, bool *ret_again)
{
    *ret_again = false;
    skip_space(s);
    if (s->at == s->end)
        return fail(s, "a value");
    switch (*s->at) {
    case '"':
        return take_string(s, to);
    case '{':
        if (!enter(s, to, true))
            return false;
        if (closes(s, to, '}'))
            return true;
        *ret_again = true;
        return check_name(s, to, "a name in quotes or '}'");
    case '[':
        if (!enter(s, to, false))
            return false;
        *ret_again = !closes(s, to, ']');
        return true;
    case 't':
        return take_word(s, to, "true", AFF_JSON_TRUE);
    case 'f':
        return take_word(s, to, "false", AFF_JSON_FALSE);
    case 'n':
        return take_word(s, to, "null", AFF_JSON_NULL);
    default:
        return take_number(s, to);
    }
}

/* After a value: closes what ends here. `*ret_again`: a comma was there, and another value has to follow. */
AFF_SCAN_INLINE bool after_value(struct scan *s, const struct listener *to, bool *ret_again)
{
    *ret_again = false;
    while (s->depth > 0) {
        bool object = in_object(s);
        skip_space(s);
        unsigned char c = s->at < s->end ? *s->at : 0;
        if (c == ',') {
            s->at++;
            *ret_again = true;
            return !object || check_name(s, to, "a name in quotes");
        }
        if (c != (object ? '}' : ']'))
            return fail(s, object ? "',' or '}'" : "',' or ']'");
        leave(s, to);
    }
    return true;
}

/* The whole text. False: s->expected and s->at say why, unless the listener ended it. */
AFF_SCAN_INLINE bool scan_text(struct scan *s, const struct listener *to)
{
    if (s->end - s->at >= 3 && memcmp(s->at, "\xef\xbb\xbf", 3) == 0)
        return fail(s, "a value, without a byte order mark before it");
    bool again;
    do {
        do
            if (!begin_value(s, to, &again))
                return false;
        while (again);
        if (!after_value(s, to, &again))
            return false;
    } while (again);
    skip_space(s);
    return s->at == s->end || fail(s, "the end of the text");
}

/* ---- the answer ---- */

/* Where and why scan_text() failed; `start` is the text's first byte. */
void aff_scan_describe(const struct scan *s, const unsigned char *start, struct aff_json_error *ret_error);

#endif
