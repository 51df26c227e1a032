/*
 * digits.h - numbers in header fields: printed without printf on the hot path, read strictly. Pure; any thread.
 */
#ifndef AFF_HTTP_DIGITS_H
#define AFF_HTTP_DIGITS_H

#include <affinity/bytes.h>
#include <stdint.h>

/* Write at `to` and return where they ended; no NUL. */
static inline char *aff_put_decimal(char *to, uint64_t number)
{
    char digits[20];
    unsigned count = 0;
    do
        digits[count++] = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    while (count)
        *to++ = digits[--count];
    return to;
}

/* `width` digits, at most 16, zeros in front. */
static inline char *aff_put_hex(char *to, uint64_t number, unsigned width)
{
    for (unsigned i = width; i-- > 0; number >>= 4)
        to[i] = "0123456789abcdef"[number & 15];
    return to + width;
}

static inline char *aff_put_text(char *to, const char *text)
{
    size_t length = strlen(text);
    memcpy(to, text, length);
    return to + length;
}

/* The whole text is a number up to `max`, without zeros in front. */
static inline bool aff_take_decimal(aff_bytes text, uint64_t max, uint64_t *ret_number)
{
    const char *at = text.data;
    uint64_t number = 0;
    if (!text.len || (text.len > 1 && *at == '0'))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (at[i] < '0' || at[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(at[i] - '0');
        if (number > (max - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *ret_number = number;
    return true;
}

/* The whole text is lower-case hexadecimal, at most 16 digits. */
static inline bool aff_take_hex(aff_bytes text, uint64_t *ret_number)
{
    const char *at = text.data;
    uint64_t number = 0;
    if (!text.len || text.len > 16)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        bool digit = at[i] >= '0' && at[i] <= '9';
        if (!digit && (at[i] < 'a' || at[i] > 'f'))
            return false;
        number = number << 4 | (uint64_t)(digit ? at[i] - '0' : at[i] - 'a' + 10);
    }
    *ret_number = number;
    return true;
}

#endif
