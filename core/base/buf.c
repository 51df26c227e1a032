/*
 * buf.c - see buf.h. Numbers are written byte by byte: the formats are big-endian on any machine and need no alignment.
 */
#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_CAPACITY = 64 };

void aff_buf_fini(struct aff_buf *b)
{
    free(b->data);
    aff_buf_init(b);
}

/* Doubles, so that many small additions cost linear time. */
static size_t next_capacity(size_t capacity, size_t needed)
{
    if (capacity < FIRST_CAPACITY)
        capacity = FIRST_CAPACITY;
    while (capacity < needed)
        capacity = capacity > PTRDIFF_MAX / 2 ? PTRDIFF_MAX : 2 * capacity;
    return capacity;
}

bool aff_buf_reserve(struct aff_buf *b, size_t more)
{
    if (more <= b->capacity - b->len)
        return true;
    if (more > PTRDIFF_MAX - b->len)
        return false;
    size_t capacity = next_capacity(b->capacity, b->len + more);
    unsigned char *data = realloc(b->data, capacity);
    if (!data)
        return false;
    b->data = data;
    b->capacity = capacity;
    return true;
}

bool aff_buf_add(struct aff_buf *b, const void *data, size_t len)
{
    if (!aff_buf_reserve(b, len))
        return false;
    if (len)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    return true;
}

bool aff_buf_printf(struct aff_buf *b, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(b->data ? (char *)b->data + b->len : NULL, b->capacity - b->len, format, args);
    bool done = len >= 0 && (size_t)len < b->capacity - b->len;
    if (len >= 0 && !done && aff_buf_reserve(b, (size_t)len + 1))
        done = vsnprintf((char *)b->data + b->len, (size_t)len + 1, format, again) == len;
    if (done)
        b->len += (size_t)len;
    va_end(again);
    va_end(args);
    return done;
}

bool aff_buf_u8(struct aff_buf *b, uint8_t v)
{
    return aff_buf_add(b, &v, 1);
}

bool aff_buf_u16(struct aff_buf *b, uint16_t v)
{
    unsigned char bytes[2];
    aff_put_u16(bytes, v);
    return aff_buf_add(b, bytes, sizeof bytes);
}

bool aff_buf_u32(struct aff_buf *b, uint32_t v)
{
    unsigned char bytes[4];
    aff_put_u32(bytes, v);
    return aff_buf_add(b, bytes, sizeof bytes);
}

bool aff_buf_u64(struct aff_buf *b, uint64_t v)
{
    unsigned char bytes[8];
    aff_put_u64(bytes, v);
    return aff_buf_add(b, bytes, sizeof bytes);
}

/* ---- reading ---- */

aff_bytes aff_cursor_take(struct aff_cursor *c, size_t len)
{
    if (c->failed || len > (size_t)(c->end - c->at)) {
        c->failed = true;
        return aff_bytes_of("", 0);
    }
    aff_bytes taken = aff_bytes_of(c->at, len);
    c->at += len;
    return taken;
}

uint8_t aff_cursor_u8(struct aff_cursor *c)
{
    aff_bytes b = aff_cursor_take(c, 1);
    return b.len ? *(const unsigned char *)b.data : 0;
}

uint16_t aff_cursor_u16(struct aff_cursor *c)
{
    aff_bytes b = aff_cursor_take(c, 2);
    return b.len ? aff_get_u16(b.data) : 0;
}

uint32_t aff_cursor_u32(struct aff_cursor *c)
{
    aff_bytes b = aff_cursor_take(c, 4);
    return b.len ? aff_get_u32(b.data) : 0;
}

uint64_t aff_cursor_u64(struct aff_cursor *c)
{
    aff_bytes b = aff_cursor_take(c, 8);
    return b.len ? aff_get_u64(b.data) : 0;
}
