/*
 * item.c - see item.h.
 */
#include "store/item.h"

#include "base/buf.h"

enum { HAS_EXPIRES = 1, HAS_EVENT = 2, TYPE_IN_TEXT = 255, FIXED = 18 };

/* Their places are part of the format: only add. */
#define TYPE(text)                                                                                                     \
    {                                                                                                                  \
        (text), sizeof(text) - 1                                                                                       \
    }
static const aff_bytes types[] = {
    TYPE(""),           TYPE("application/json"),          TYPE("application/octet-stream"),
    TYPE("text/plain"), TYPE("text/plain; charset=utf-8"),
};
enum { TYPES = sizeof types / sizeof *types };

static unsigned type_of(aff_bytes content_type)
{
    for (unsigned i = 0; i < TYPES; i++) {
        if (aff_bytes_equal(content_type, types[i]))
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

static int64_t take_time(const unsigned char **at, bool there)
{
    int64_t time_ms = AFF_NO_TIME;
    if (there) {
        time_ms = (int64_t)aff_get_u64(*at);
        *at += 8;
    }
    return time_ms;
}

static bool take_text(const unsigned char **at, const unsigned char *end, aff_bytes *ret_text)
{
    if (end - *at < 2 || end - *at - 2 < aff_get_u16(*at))
        return false;
    *ret_text = aff_bytes_of(*at + 2, aff_get_u16(*at));
    *at += 2 + ret_text->len;
    return true;
}

/* By hand, and not by a cursor: a scan reads each entry twice. */
bool aff_item_read(aff_bytes stored, struct aff_item *ret_item)
{
    const unsigned char *at = stored.data, *end = at + stored.len;
    struct aff_item item;
    if (stored.len < FIXED)
        return false;
    unsigned flags = at[0], type = at[1];
    size_t times = (flags & HAS_EXPIRES ? 8 : 0) + (flags & HAS_EVENT ? 8 : 0);
    if (flags & ~(unsigned)(HAS_EXPIRES | HAS_EVENT) || stored.len < FIXED + times)
        return false;
    item.version.offset = (int64_t)aff_get_u64(at + 2);
    item.version.time_ms = (int64_t)aff_get_u64(at + 10);
    at += FIXED;
    item.version.expires_ms = take_time(&at, flags & HAS_EXPIRES);
    item.version.event_ms = take_time(&at, flags & HAS_EVENT);
    if (type < TYPES)
        item.content_type = types[type];
    else if (type != TYPE_IN_TEXT || !take_text(&at, end, &item.content_type))
        return false;
    item.value = aff_bytes_of(at, (size_t)(end - at));
    *ret_item = item;
    return true;
}
