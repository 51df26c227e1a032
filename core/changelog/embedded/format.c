/*
 * embedded/format.c - see embedded/format.h. Pure, any thread.
 */
#include "changelog/embedded/format.h"

#include "base/digest.h"

#include <assert.h>

#define SEGMENT_MAGIC UINT32_C(0x4146464a) /* "AFFJ" */
#define BATCH_MAGIC UINT32_C(0x41464642)   /* "AFFB" */
#define ABSENT UINT32_MAX

enum { VERSION = 1, CRC_AT = 12, AFTER_CRC = 16, OFFSET_AT = 8, TIME_AT = 16, LENGTHS_AT = 24 };

/* ---- segment header ---- */

void aff_segment_head_put(unsigned char to[AFF_SEGMENT_HEAD], struct aff_segment_head head)
{
    memset(to, 0, AFF_SEGMENT_HEAD);
    aff_put_u32(to, SEGMENT_MAGIC);
    to[4] = VERSION;
    aff_put_u64(to + 8, head.first);
    aff_put_u64(to + 16, head.last);
    aff_put_u32(to + 24, aff_crc32(0, to, 24));
}

bool aff_segment_head_get(aff_bytes from, struct aff_segment_head *ret_head)
{
    unsigned char whole[AFF_SEGMENT_HEAD];
    struct aff_segment_head head;

    if (from.len < AFF_SEGMENT_HEAD)
        return false;
    head.first = aff_get_u64((const unsigned char *)from.data + 8);
    head.last = aff_get_u64((const unsigned char *)from.data + 16);
    aff_segment_head_put(whole, head);
    if (memcmp(whole, from.data, sizeof whole) != 0 || head.first == 0 || head.last < head.first)
        return false;
    *ret_head = head;
    return true;
}

/* ---- batches ---- */

uint32_t aff_batch_head_put(unsigned char to[AFF_BATCH_HEAD], const struct aff_batch_head *head)
{
    assert(head->length % AFF_BATCH_ALIGN == 0 && head->length <= AFF_BATCH_MAX && head->durable <= head->position);
    memset(to, 0, AFF_BATCH_HEAD);
    aff_put_u32(to, BATCH_MAGIC);
    to[4] = VERSION;
    to[5] = head->flags;
    aff_put_u32(to + 8, head->length);
    aff_put_u64(to + 16, head->segment);
    aff_put_u64(to + 24, head->position);
    aff_put_u64(to + 32, head->durable);
    aff_put_u32(to + 40, head->count);
    return aff_crc32(aff_crc32(0, to, CRC_AT), to + AFTER_CRC, AFF_BATCH_HEAD - AFTER_CRC);
}

uint32_t aff_batch_crc(uint32_t before, const void *data, size_t len)
{
    return aff_crc32(before, data, len);
}

void aff_batch_crc_put(unsigned char to[AFF_BATCH_HEAD], uint32_t crc)
{
    aff_put_u32(to + CRC_AT, crc);
}

bool aff_batch_head_get(aff_bytes from, uint64_t segment, uint64_t position, struct aff_batch_head *ret_head)
{
    const unsigned char *at = from.data;

    if (from.len < AFF_BATCH_HEAD || aff_get_u32(at) != BATCH_MAGIC || at[4] != VERSION)
        return false;
    struct aff_batch_head head = {
        .flags = at[5],
        .length = aff_get_u32(at + 8),
        .crc = aff_get_u32(at + CRC_AT),
        .segment = aff_get_u64(at + 16),
        .position = aff_get_u64(at + 24),
        .durable = aff_get_u64(at + 32),
        .count = aff_get_u32(at + 40),
    };
    if (head.length < AFF_BATCH_HEAD || head.length > AFF_BATCH_MAX || head.length % AFF_BATCH_ALIGN != 0 ||
        head.segment != segment || head.position != position || head.durable > position ||
        (head.flags & ~AFF_BATCH_END) != 0 || ((head.flags & AFF_BATCH_END) != 0) != (head.count == 0))
        return false;
    *ret_head = head;
    return true;
}

bool aff_batch_crc_right(aff_bytes from, const struct aff_batch_head *head)
{
    const unsigned char *at = from.data;

    assert(from.len >= head->length);
    return aff_crc32(aff_crc32(0, at, CRC_AT), at + AFTER_CRC, head->length - AFTER_CRC) == head->crc;
}

/* ---- entries ---- */

static uint32_t stored_len(aff_bytes b)
{
    return b.data ? (uint32_t)b.len : ABSENT;
}

static bool put_bytes(struct aff_buf *buf, aff_bytes b)
{
    return b.len == 0 || aff_buf_add(buf, b.data, b.len);
}

bool aff_entry_put(struct aff_buf *buf, const struct aff_placed *placed)
{
    const struct aff_entry *e = &placed->entry;
    const aff_bytes parts[] = { e->key, e->value, e->aff, e->content_type, e->event_time, e->traceparent };
    unsigned char head[AFF_ENTRY_HEAD];
    bool added = true;

    assert(aff_entry_size(e) <= AFF_ENTRY_MAX);
    if (!aff_buf_reserve(buf, aff_entry_stored(e)))
        return false;
    aff_put_u32(head, placed->topic);
    aff_put_u32(head + 4, placed->partition);
    aff_entry_place(head, e->offset, e->time_ms);
    for (size_t i = 0; i < 6; i++)
        aff_put_u32(head + LENGTHS_AT + 4 * i, stored_len(parts[i]));
    added = aff_buf_add(buf, head, sizeof head);
    for (size_t i = 0; i < 6; i++)
        added = added && put_bytes(buf, parts[i]);
    return added;
}

void aff_entry_place(unsigned char *at, int64_t offset, int64_t time_ms)
{
    aff_put_u64(at + OFFSET_AT, (uint64_t)offset);
    aff_put_u64(at + TIME_AT, (uint64_t)time_ms);
}

struct aff_cursor aff_batch_entries(aff_bytes from, const struct aff_batch_head *head)
{
    return aff_cursor_of(
        aff_bytes_of((const unsigned char *)from.data + AFF_BATCH_HEAD, head->length - AFF_BATCH_HEAD));
}

static aff_bytes take(struct aff_cursor *c, uint32_t len)
{
    if (len == ABSENT)
        return (aff_bytes){ NULL, 0 };
    return aff_cursor_take(c, len);
}

bool aff_entry_get(struct aff_cursor *c, struct aff_placed *ret_placed)
{
    struct aff_placed p = { .topic = aff_cursor_u32(c), .partition = aff_cursor_u32(c) };
    uint32_t lens[6];

    p.entry.offset = (int64_t)aff_cursor_u64(c);
    p.entry.time_ms = (int64_t)aff_cursor_u64(c);
    for (size_t i = 0; i < 6; i++)
        lens[i] = aff_cursor_u32(c);
    p.entry.key = take(c, lens[0]);
    p.entry.value = take(c, lens[1]);
    p.entry.aff = take(c, lens[2]);
    p.entry.content_type = take(c, lens[3]);
    p.entry.event_time = take(c, lens[4]);
    p.entry.traceparent = take(c, lens[5]);
    if (c->failed || !p.entry.key.data || p.entry.key.len == 0 || p.entry.offset < 0 ||
        aff_entry_size(&p.entry) > AFF_ENTRY_MAX) {
        c->failed = true;
        return false;
    }
    *ret_placed = p;
    return true;
}

bool aff_entry_skip_other(struct aff_cursor *c, uint32_t topic, uint32_t partition)
{
    if (aff_cursor_left(c) < AFF_ENTRY_HEAD)
        return false;
    if (aff_get_u32(c->at) == topic && aff_get_u32(c->at + 4) == partition)
        return false;
    size_t size = AFF_ENTRY_HEAD;
    for (size_t i = 0; i < 6; i++) {
        uint32_t len = aff_get_u32(c->at + LENGTHS_AT + 4 * i);
        size += len == ABSENT ? 0 : len;
    }
    if (size > aff_cursor_left(c))
        return false;
    c->at += size;
    return true;
}

bool aff_batch_ends(struct aff_cursor *c)
{
    size_t left = aff_cursor_left(c);
    aff_bytes rest = aff_cursor_take(c, left);

    if (c->failed || left >= AFF_BATCH_ALIGN)
        return false;
    for (size_t i = 0; i < left; i++)
        if (((const unsigned char *)rest.data)[i] != 0)
            return false;
    return true;
}
