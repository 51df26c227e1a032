/*
 * base64.c - see base64.h.
 */
#include "base/base64.h"

#include <stdint.h>

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char for_urls[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* All but padding. */
static char *put(char *to, aff_bytes bytes, const char *alphabet)
{
    const unsigned char *at = bytes.data, *end = at + bytes.len;
    for (; end - at >= 3; at += 3) {
        uint32_t group = (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];
        *to++ = alphabet[group >> 18];
        *to++ = alphabet[group >> 12 & 63];
        *to++ = alphabet[group >> 6 & 63];
        *to++ = alphabet[group & 63];
    }
    if (at == end)
        return to;
    uint32_t group = (uint32_t)at[0] << 16 | (end - at == 2 ? (uint32_t)at[1] << 8 : 0);
    *to++ = alphabet[group >> 18];
    *to++ = alphabet[group >> 12 & 63];
    if (end - at == 2)
        *to++ = alphabet[group >> 6 & 63];
    return to;
}

char *aff_base64_put(char *to, aff_bytes bytes)
{
    char *end = put(to, bytes, standard);
    while (end < to + aff_base64_length(bytes.len))
        *end++ = '=';
    return end;
}

char *aff_base64url_put(char *to, aff_bytes bytes)
{
    return put(to, bytes, for_urls);
}

int aff_base64_digit(int c, const char last[2])
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == last[0] ? 62 : c == last[1] ? 63 : -1;
}

bool aff_base64url_take(aff_bytes text, unsigned char *to, size_t room, size_t *ret_len)
{
    const char *at = text.data;
    uint32_t group = 0;
    unsigned bits = 0;
    size_t len = 0;
    if (text.len % 4 == 1 || text.len / 4 * 3 + (text.len % 4 ? text.len % 4 - 1 : 0) > room)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        int digit = aff_base64_digit(at[i], "-_");
        if (digit < 0)
            return false;
        group = group << 6 | (uint32_t)digit;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            to[len++] = (unsigned char)(group >> bits);
        }
    }
    if (group & ((1U << bits) - 1))
        return false; /* bits that no byte has: another text stands for the same bytes */
    *ret_len = len;
    return true;
}
