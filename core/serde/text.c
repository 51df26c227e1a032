/*
 * text.c - UTF-8, and texts as JSON strings: see json.h. Pure; any thread.
 */
#include "serde/json.h"

size_t aff_utf8_length(const unsigned char *at, const unsigned char *end)
{
    unsigned char first = at[0], low = 0x80, high = 0xbf;
    if (first < 0x80)
        return 1;
    size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (first < 0xc2 || first > 0xf4 || (size_t)(end - at) < length)
        return 0;
    if (first == 0xe0)
        low = 0xa0; /* shorter forms exist */
    else if (first == 0xed)
        high = 0x9f; /* surrogates */
    else if (first == 0xf0)
        low = 0x90; /* shorter forms exist */
    else if (first == 0xf4)
        high = 0x8f; /* above U+10FFFF */
    if (at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

static bool stands_for_itself(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static bool add_escaped(unsigned char c, struct aff_buf *out)
{
    static const char letters[] = "b\bn\nr\rt\tf\f\"\"\\\\";
    for (const char *l = letters; *l; l += 2)
        if ((unsigned char)l[1] == c)
            return aff_buf_add(out, (const char[]){ '\\', l[0] }, 2);
    return aff_buf_printf(out, "\\u%04x", c);
}

/* Appends one character and returns its length; 0: out of memory. */
static size_t add_character(const unsigned char *at, const unsigned char *end, struct aff_buf *out)
{
    size_t length = aff_utf8_length(at, end);
    if (length > 1)
        return aff_buf_add(out, at, length) ? length : 0;
    bool added = length ? add_escaped(*at, out) : aff_buf_add(out, "\xef\xbf\xbd", 3);
    return added ? 1 : 0;
}

bool aff_json_quote(aff_bytes text, struct aff_buf *out)
{
    const unsigned char *at = text.data, *end = at + text.len;
    if (!aff_buf_add(out, "\"", 1))
        return false;
    while (at < end) {
        const unsigned char *plain = at;
        while (at < end && stands_for_itself(*at))
            at++;
        if (at > plain && !aff_buf_add(out, plain, (size_t)(at - plain)))
            return false;
        if (at < end) {
            size_t length = add_character(at, end, out);
            if (!length)
                return false;
            at += length;
        }
    }
    return aff_buf_add(out, "\"", 1);
}
