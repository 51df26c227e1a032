/* frame.c - see frame.h. */
#include "peer/frame.h"

#include "peer/peer.h"

#include <string.h>

enum { LENGTH_SIZE = 4, LEFT_AT = AFF_FRAME_HEAD };

static const uint32_t magic = 0x41464650; /* "AFFP" */

static size_t head_size(uint8_t type)
{
    return type == AFF_FRAME_QUESTION ? AFF_FRAME_QUESTION_HEAD : AFF_FRAME_HEAD;
}

static ssize_t wrong(const char *why, const char **ret_wrong)
{
    *ret_wrong = why;
    return AFF_EINVAL;
}

ssize_t aff_frame_read(aff_bytes from, struct aff_frame *ret_frame, size_t *ret_size, const char **ret_wrong)
{
    const unsigned char *at = from.data;
    *ret_size = 0;
    if (from.len < LENGTH_SIZE)
        return 0;
    size_t length = aff_get_u32(at);
    if (length < AFF_FRAME_HEAD - LENGTH_SIZE)
        return wrong("a frame is shorter than its head", ret_wrong);
    if (length > AFF_PEER_FRAME_MAX)
        return wrong("a frame is longer than 4 MiB", ret_wrong);
    *ret_size = LENGTH_SIZE + length;
    if (from.len < AFF_FRAME_HEAD)
        return 0;
    uint8_t type = at[4];
    if (type == 0 || type >= AFF_FRAME_TYPES)
        return wrong("a frame is of a type that this version does not have", ret_wrong);
    size_t head = head_size(type);
    if (*ret_size < head)
        return wrong("a question is shorter than its head", ret_wrong);
    if (from.len < *ret_size)
        return 0;
    *ret_frame = (struct aff_frame){ .type = type, .kind = at[5], .id = aff_get_u64(at + 8) };
    if (type == AFF_FRAME_QUESTION)
        ret_frame->left_us = aff_frame_left_us(at);
    ret_frame->body = aff_bytes_of(at + head, *ret_size - head);
    return (ssize_t)*ret_size;
}

size_t aff_frame_head(void *to, const struct aff_frame *frame, size_t body_len)
{
    unsigned char *at = to;
    size_t head = head_size(frame->type);
    aff_put_u32(at, (uint32_t)(head - LENGTH_SIZE + body_len));
    at[4] = frame->type;
    at[5] = frame->kind;
    aff_put_u16(at + 6, 0);
    aff_put_u64(at + 8, frame->id);
    if (frame->type == AFF_FRAME_QUESTION)
        aff_put_u32(at + LEFT_AT, frame->left_us);
    return head;
}

void aff_frame_make_void(void *frame)
{
    ((unsigned char *)frame)[4] = AFF_FRAME_VOID;
}

uint32_t aff_frame_left_us(const void *question)
{
    return aff_get_u32((const unsigned char *)question + LEFT_AT);
}

void aff_frame_set_left_us(void *question, uint32_t left_us)
{
    aff_put_u32((unsigned char *)question + LEFT_AT, left_us);
}

/* ---- HELLO ---- */

static void put_name(unsigned char **at, const char *name)
{
    size_t len = strnlen(name, AFF_HELLO_NAME_MAX);
    *(*at)++ = (unsigned char)len;
    memcpy(*at, name, len);
    *at += len;
}

static void put_fence(unsigned char **at, const struct aff_hello_fence *fence)
{
    if (fence->asker == 0)
        return;
    aff_put_u64(*at, fence->asker);
    aff_put_u64(*at + 8, fence->stream);
    (*at)[16] = fence->kept_count;
    *at += 17;
    for (unsigned i = 0; i < fence->kept_count; i++, *at += 8)
        aff_put_u64(*at, fence->kept[i]);
}

bool aff_hello_write(const struct aff_hello *hello, struct aff_buf *out)
{
    unsigned char body[AFF_HELLO_SIZE_MAX], head[AFF_FRAME_QUESTION_HEAD], *at = body;
    aff_put_u32(at, magic);
    aff_put_u16(at + 4, hello->version);
    aff_put_u16(at + 6, hello->oldest);
    aff_put_u64(at + 8, hello->features);
    at += 16;
    put_name(&at, hello->cluster);
    put_name(&at, hello->member);
    put_fence(&at, &hello->fence);
    size_t len = (size_t)(at - body);
    struct aff_frame frame = { .type = AFF_FRAME_HELLO };
    size_t head_len = aff_frame_head(head, &frame, len);
    return aff_buf_reserve(out, head_len + len) && aff_buf_add(out, head, head_len) && aff_buf_add(out, body, len);
}

static bool take_name(struct aff_cursor *c, char name[AFF_HELLO_NAME_MAX + 1])
{
    aff_bytes text = aff_cursor_take(c, aff_cursor_u8(c));
    if (c->failed || text.len == 0 || text.len > AFF_HELLO_NAME_MAX || memchr(text.data, '\0', text.len))
        return false;
    memcpy(name, text.data, text.len);
    name[text.len] = '\0';
    return true;
}

/* An older version says nothing of it. */
static bool take_fence(struct aff_cursor *c, struct aff_hello_fence *fence)
{
    if (aff_cursor_left(c) == 0)
        return true;
    fence->asker = aff_cursor_u64(c);
    fence->stream = aff_cursor_u64(c);
    fence->kept_count = aff_cursor_u8(c);
    if (c->failed || fence->kept_count > AFF_HELLO_STREAMS_MAX)
        return false;
    for (unsigned i = 0; i < fence->kept_count; i++)
        fence->kept[i] = aff_cursor_u64(c);
    return !c->failed;
}

const char *aff_hello_read(aff_bytes body, struct aff_hello *ret_hello)
{
    struct aff_cursor c = aff_cursor_of(body);
    struct aff_hello hello = { 0 };
    if (aff_cursor_u32(&c) != magic)
        return "it is no node of Affinity: HELLO does not begin with AFFP";
    hello.version = aff_cursor_u16(&c);
    hello.oldest = aff_cursor_u16(&c);
    hello.features = aff_cursor_u64(&c);
    if (!take_name(&c, hello.cluster) || !take_name(&c, hello.member))
        return "HELLO names no cluster and member of 1 to 63 bytes each";
    if (!take_fence(&c, &hello.fence))
        return "HELLO tells a part of its asker, or of more than 8 streams";
    *ret_hello = hello;
    return NULL;
}

uint16_t aff_hello_version(const struct aff_hello *one, const struct aff_hello *other)
{
    uint16_t newest = one->version < other->version ? one->version : other->version;
    uint16_t oldest = one->oldest > other->oldest ? one->oldest : other->oldest;
    return newest >= oldest ? newest : 0;
}
