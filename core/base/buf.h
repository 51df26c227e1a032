/*
 * buf.h - a growable byte buffer and the big-endian numbers of our formats.
 *
 * Sizes that a client chooses can fail to be allocated: the functions then return false and leave the buffer as it was.
 */
#ifndef AFF_BASE_BUF_H
#define AFF_BASE_BUF_H

#include <affinity/bytes.h>
#include <affinity/export.h>
#include <stdint.h>

struct aff_buf {
    unsigned char *data;
    size_t len, capacity;
};

static inline void aff_buf_init(struct aff_buf *b)
{
    b->data = NULL;
    b->len = b->capacity = 0;
}
void aff_buf_fini(struct aff_buf *b);
static inline void aff_buf_clear(struct aff_buf *b)
{
    b->len = 0;
}
static inline aff_bytes aff_buf_view(const struct aff_buf *b)
{
    return aff_bytes_of(b->data ? b->data : (const unsigned char *)"", b->len);
}

bool aff_buf_reserve(struct aff_buf *b, size_t more) AFF_MUST_USE;
bool aff_buf_add(struct aff_buf *b, const void *data, size_t len) AFF_MUST_USE;
bool aff_buf_printf(struct aff_buf *b, const char *format, ...) AFF_PRINTF(2, 3) AFF_MUST_USE;
bool aff_buf_u8(struct aff_buf *b, uint8_t v) AFF_MUST_USE;
bool aff_buf_u16(struct aff_buf *b, uint16_t v) AFF_MUST_USE;
bool aff_buf_u32(struct aff_buf *b, uint32_t v) AFF_MUST_USE;
bool aff_buf_u64(struct aff_buf *b, uint64_t v) AFF_MUST_USE;

/* Reading: a cursor over a view. A read past the end sets `failed`, yields zeros and an empty view from then on; so a
 * decoder reads all fields and checks once. */
struct aff_cursor {
    const unsigned char *at, *end;
    bool failed;
};
static inline struct aff_cursor aff_cursor_of(aff_bytes b)
{
    struct aff_cursor c = { (const unsigned char *)b.data, (const unsigned char *)b.data + b.len, false };
    return c;
}
static inline size_t aff_cursor_left(const struct aff_cursor *c)
{
    return c->failed ? 0 : (size_t)(c->end - c->at);
}
uint8_t aff_cursor_u8(struct aff_cursor *c);
uint16_t aff_cursor_u16(struct aff_cursor *c);
uint32_t aff_cursor_u32(struct aff_cursor *c);
uint64_t aff_cursor_u64(struct aff_cursor *c);
aff_bytes aff_cursor_take(struct aff_cursor *c, size_t len);

/* Numbers in place; here, so that compilers make one instruction of each. */

static inline void aff_put_u16(void *to, uint16_t v)
{
    unsigned char *at = (unsigned char *)to;
    at[0] = (unsigned char)(v >> 8);
    at[1] = (unsigned char)v;
}

static inline void aff_put_u32(void *to, uint32_t v)
{
    aff_put_u16(to, (uint16_t)(v >> 16));
    aff_put_u16((unsigned char *)to + 2, (uint16_t)v);
}

static inline void aff_put_u64(void *to, uint64_t v)
{
    aff_put_u32(to, (uint32_t)(v >> 32));
    aff_put_u32((unsigned char *)to + 4, (uint32_t)v);
}

static inline uint16_t aff_get_u16(const void *from)
{
    const unsigned char *at = (const unsigned char *)from;
    return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t aff_get_u32(const void *from)
{
    return (uint32_t)aff_get_u16(from) << 16 | aff_get_u16((const unsigned char *)from + 2);
}

static inline uint64_t aff_get_u64(const void *from)
{
    return (uint64_t)aff_get_u32(from) << 32 | aff_get_u32((const unsigned char *)from + 4);
}

#endif
