/*
 * json_fuzz.c - the JSON validator against a second one, written as plainly as the grammar: recursive, byte by byte, UTF-8
 * by the values of its characters. Both must agree on every input; where they refuse, the place must be inside the text.
 */
#include "serde/json.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEPTH = 24 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct text {
    const uint8_t *at, *end;
    unsigned depth;
};

static int peek(const struct text *t)
{
    return t->at < t->end ? *t->at : -1;
}

static bool take(struct text *t, int c)
{
    if (peek(t) != c)
        return false;
    t->at++;
    return true;
}

static void space(struct text *t)
{
    while (take(t, ' ') || take(t, '\t') || take(t, '\r') || take(t, '\n'))
        continue;
}

static bool character(struct text *t)
{
    static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
    int first = peek(t);
    t->at++;
    if (first < 0x80)
        return first >= 0x20;
    int more = (first & 0xe0) == 0xc0 ? 1 : (first & 0xf0) == 0xe0 ? 2 : (first & 0xf8) == 0xf0 ? 3 : 0;
    if (!more)
        return false;
    uint32_t value = (uint32_t)first & (0x3fu >> more);
    for (int i = 0; i < more; i++) {
        int next = peek(t);
        if (next < 0 || (next & 0xc0) != 0x80)
            return false;
        value = value << 6 | (next & 0x3f);
        t->at++;
    }
    return value >= least[more] && value <= 0x10ffff && !(value >= 0xd800 && value <= 0xdfff);
}

static bool string(struct text *t)
{
    if (!take(t, '"'))
        return false;
    while (!take(t, '"')) {
        if (peek(t) < 0)
            return false;
        if (!take(t, '\\')) {
            if (!character(t))
                return false;
            continue;
        }
        int c = peek(t);
        if (c <= 0 || !strchr("\"\\/bfnrtu", c))
            return false;
        t->at++;
        for (int i = 0; c == 'u' && i < 4; i++, t->at++)
            if (peek(t) <= 0 || !strchr("0123456789abcdefABCDEF", peek(t)))
                return false;
    }
    return true;
}

static bool digits(struct text *t)
{
    const uint8_t *from = t->at;
    while (peek(t) >= '0' && peek(t) <= '9')
        t->at++;
    return t->at > from;
}

static bool number(struct text *t)
{
    (void)take(t, '-');
    if (!take(t, '0') && !digits(t))
        return false;
    if (take(t, '.') && !digits(t))
        return false;
    if (take(t, 'e') || take(t, 'E')) {
        (void)(take(t, '+') || take(t, '-'));
        return digits(t);
    }
    return true;
}

static bool word(struct text *t, const char *w)
{
    while (*w)
        if (!take(t, *w++))
            return false;
    return true;
}

static bool value(struct text *t);

static bool members(struct text *t, bool object)
{
    if (++t->depth > DEPTH)
        return false;
    int close = object ? '}' : ']';
    space(t);
    if (!take(t, close)) {
        do {
            space(t);
            if (object) {
                if (!string(t))
                    return false;
                space(t);
                if (!take(t, ':'))
                    return false;
            }
            if (!value(t))
                return false;
            space(t);
        } while (take(t, ','));
        if (!take(t, close))
            return false;
    }
    t->depth--;
    return true;
}

static bool value(struct text *t)
{
    space(t);
    switch (peek(t)) {
    case '{':
        t->at++;
        return members(t, true);
    case '[':
        t->at++;
        return members(t, false);
    case '"':
        return string(t);
    case 't':
        return word(t, "true");
    case 'f':
        return word(t, "false");
    case 'n':
        return word(t, "null");
    default:
        return number(t);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text t = { data, data + size, 0 };
    bool grammar = value(&t);
    space(&t);
    grammar = grammar && t.at == t.end;

    struct aff_json_error error;
    bool ours = aff_json_check(aff_bytes_of(data ? data : (const uint8_t *)"", size), DEPTH, &error) == 0;
    if (ours != grammar) {
        (void)fprintf(stderr, "the validator says %s, the grammar says %s\n", ours ? "yes" : "no",
                      grammar ? "yes" : "no");
        abort();
    }
    if (!ours && (error.offset > size || error.line == 0 || error.column == 0 || !error.expected[0]))
        abort();
    return 0;
}
