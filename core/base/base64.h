/*
 * base64.h - bytes as text (RFC 4648): base64 with padding, and base64url without. Pure; any thread.
 */
#ifndef AFF_BASE_BASE64_H
#define AFF_BASE_BASE64_H

#include <affinity/bytes.h>

/* Characters that `len` bytes become, padding included. */
static inline size_t aff_base64_length(size_t len)
{
    return (len + 2) / 3 * 4;
}

/* Both write at `to`, which has room for aff_base64_length() characters, and return where they ended; no NUL. */
char *aff_base64_put(char *to, aff_bytes bytes);
char *aff_base64url_put(char *to, aff_bytes bytes);

/* What a character stands for, 0 to 63; -1: it is no digit. `last`: those for 62 and 63, "+/" or "-_". */
int aff_base64_digit(int c, const char last[2]);

/* Decodes to `to`, which has `room` bytes. False: too long, or not what aff_base64url_put() makes of any bytes. */
bool aff_base64url_take(aff_bytes text, unsigned char *to, size_t room, size_t *ret_len);

#endif
