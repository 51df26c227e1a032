/*
 * item.c - see item.h.
 */
#include "store/item.h"

#include "base/buf.h"

enum { HAS_EXPIRES = 1, HAS_EVENT = 2, TYPE_IN_TEXT = 255, FIXED = 18 };

/* Their places are part of the format: only add. */
static const char *const types[] = {
    "", "application/json", "application/octet-stream", "text/plain", "text/plain; charset=utf-8",
};
enum { TYPES = sizeof types / sizeof *types };

static unsigned type_of(aff_bytes content_type)
{
    for (unsigned i = 0; i < TYPES; i++) {
        if (aff_bytes_equal(content_type, aff_str(types[i])))
            return i;
    }
    return TYPE_IN_TEXT;
}

static size_t head_size(const struct aff_item *item, unsigned type)
{
    return FIXED + (item->version.expires_ms != AFF_NO_TIME ? 8 : 0) + (item->version.event_ms != AFF_NO_TIME ? 8 : 0) +
           (type == TYPE_IN_TEXT ? 2 + item->content_type.len : 0);
}

size_t aff_item_size(const struct aff_item *item)
{
    return head_size(item, type_of(item->content_type)) + item->value.len;
}

static unsigned char *put_time(unsigned char *to, int64_t time_ms)
{
    if (time_ms == AFF_NO_TIME)
        return to;
    aff_put_u64(to, (uint64_t)time_ms);
    return to + 8;
}

static unsigned char *put_bytes(unsigned char *to, aff_bytes from)
{
    if (from.len)
        memcpy(to, from.data, from.len);
    return to + from.len;
}

void aff_item_write(const struct aff_item *item, void *to)
{
    const struct aff_version *v = &item->version;
    unsigned type = type_of(item->content_type);
    unsigned char *at = to;
    *at++ = (unsigned char)((v->expires_ms != AFF_NO_TIME ? HAS_EXPIRES : 0) |
                            (v->event_ms != AFF_NO_TIME ? HAS_EVENT : 0));
    *at++ = (unsigned char)type;
    aff_put_u64(at, (uint64_t)v->offset);
    aff_put_u64(at + 8, (uint64_t)v->time_ms);
    at = put_time(at + 16, v->expires_ms);
    at = put_time(at, v->event_ms);
    if (type == TYPE_IN_TEXT) {
        aff_put_u16(at, (uint16_t)item->content_type.len);
        at = put_bytes(at + 2, item->content_type);
    }
    (void)put_bytes(at, item->value);
}

bool aff_item_read(aff_bytes stored, struct aff_item *ret_item)
{
    struct aff_cursor c = aff_cursor_of(stored);
    unsigned flags = aff_cursor_u8(&c), type = aff_cursor_u8(&c);
    struct aff_item item;
    item.version.offset = (int64_t)aff_cursor_u64(&c);
    item.version.time_ms = (int64_t)aff_cursor_u64(&c);
    item.version.expires_ms = flags & HAS_EXPIRES ? (int64_t)aff_cursor_u64(&c) : AFF_NO_TIME;
    item.version.event_ms = flags & HAS_EVENT ? (int64_t)aff_cursor_u64(&c) : AFF_NO_TIME;
    if (type == TYPE_IN_TEXT)
        item.content_type = aff_cursor_take(&c, aff_cursor_u16(&c));
    else if (type < TYPES)
        item.content_type = aff_str(types[type]);
    else
        return false;
    item.value = aff_cursor_take(&c, aff_cursor_left(&c));
    if (c.failed || flags & ~(unsigned)(HAS_EXPIRES | HAS_EVENT))
        return false;
    *ret_item = item;
    return true;
}
