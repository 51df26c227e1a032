/*
 * utf8.c - one character of UTF-8.
 */
#include "config/utf8.h"

#include <stdbool.h>
#include <stdint.h>

/* Reads a character of `len` bytes (2 to 4); 0 when it is not well-formed. */
static uint32_t decode(const unsigned char *bytes, size_t len)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    uint32_t c = bytes[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (bytes[i] & 0x3fu);
    }
    return c >= least[len] && c <= 0x10ffff ? c : 0;
}

static bool printable(uint32_t c)
{
    if (c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0xd800 && c < 0xe000))
        return false;
    return c != 0x2028 && c != 0x2029 && c != 0xfeff && c != 0xfffe && c != 0xffff;
}

size_t aff_utf8_printable(const unsigned char *bytes, size_t len)
{
    if (len == 0)
        return 0;
    if (bytes[0] < 0x80)
        return printable(bytes[0]) ? 1 : 0;
    size_t size = bytes[0] >= 0xf8 ? 0 : bytes[0] >= 0xf0 ? 4 : bytes[0] >= 0xe0 ? 3 : bytes[0] >= 0xc0 ? 2 : 0;
    if (size == 0 || size > len)
        return 0;
    return printable(decode(bytes, size)) ? size : 0;
}
