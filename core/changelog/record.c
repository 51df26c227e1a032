/*
 * record.c - the `aff` header: bytes to struct and back. The layout is the table "Record layout" of doc/protocol.md.
 *
 * Pure, any thread. Reading is strict where a release of ours could not have written the bytes (the whole record is then
 * FOREIGN, so void) and lenient where a later one may have: unknown fields and unknown flags are skipped.
 */
#include "changelog/record.h"

#include <assert.h>

enum { RECORD_VERSION = 1 };

enum field_type {
    FIELD_IDEM = 1,
    FIELD_KEPT = 2,
    FIELD_EXPIRES = 3,
    FIELD_EVENT = 4,
    FIELD_ROUTE = 5,
};

enum { IDEM_FIXED = 36, KEPT_LEN = 16, TIME_LEN = 8 };
enum { IDEM_VERSIONED = 1, IDEM_CUT = 2 };

void aff_record_init(struct aff_record *rec)
{
    static const aff_bytes absent = { NULL, 0 };

    /* Not the 64 idempotency entries: only the first idem_count are ever looked at. */
    rec->offset = -1;
    rec->time_ms = 0;
    rec->kind = AFF_KIND_DATA;
    rec->stamp = (struct aff_stamp){ 0 };
    rec->key = absent;
    rec->value = absent;
    rec->content_type = absent;
    rec->traceparent = absent;
    rec->expires_ms = AFF_NO_TIME;
    rec->event_ms = AFF_NO_TIME;
    rec->kept_offset = -1;
    rec->kept_time_ms = 0;
    rec->route = aff_str("");
    rec->idem_count = 0;
}

/* ---- writing ---- */

static bool put_field(struct aff_buf *buf, enum field_type type, size_t len)
{
    return aff_buf_u16(buf, (uint16_t)type) && aff_buf_u32(buf, (uint32_t)len);
}

static bool put_bytes(struct aff_buf *buf, aff_bytes b)
{
    return b.len == 0 || aff_buf_add(buf, b.data, b.len);
}

static bool put_idem(struct aff_buf *buf, const struct aff_idem *idem)
{
    uint8_t flags = (uint8_t)((idem->versioned ? IDEM_VERSIONED : 0) | (idem->cut ? IDEM_CUT : 0));

    assert(idem->content_type.len <= UINT8_MAX && idem->reply.len <= AFF_IDEM_REPLY_MAX);
    return put_field(buf, FIELD_IDEM, IDEM_FIXED + idem->content_type.len + idem->reply.len) &&
           aff_buf_add(buf, idem->id.b, sizeof idem->id.b) &&
           aff_buf_add(buf, idem->request.b, sizeof idem->request.b) && aff_buf_u16(buf, idem->status) &&
           aff_buf_u8(buf, flags) && aff_buf_u8(buf, (uint8_t)idem->content_type.len) &&
           put_bytes(buf, idem->content_type) && put_bytes(buf, idem->reply);
}

static bool put_kept(struct aff_buf *buf, const struct aff_record *rec)
{
    return put_field(buf, FIELD_KEPT, KEPT_LEN) && aff_buf_u64(buf, (uint64_t)rec->kept_offset) &&
           aff_buf_u64(buf, (uint64_t)rec->kept_time_ms);
}

static bool put_time(struct aff_buf *buf, enum field_type type, int64_t time_ms)
{
    return time_ms == AFF_NO_TIME || (put_field(buf, type, TIME_LEN) && aff_buf_u64(buf, (uint64_t)time_ms));
}

static bool put_route(struct aff_buf *buf, aff_bytes route)
{
    return route.len == 0 || (put_field(buf, FIELD_ROUTE, route.len) && put_bytes(buf, route));
}

static bool put_stamp(struct aff_buf *buf, const struct aff_record *rec)
{
    return aff_buf_u8(buf, RECORD_VERSION) && aff_buf_u8(buf, (uint8_t)rec->kind) &&
           aff_buf_u32(buf, aff_epoch_major(rec->stamp.epoch)) && aff_buf_u16(buf, aff_epoch_minor(rec->stamp.epoch)) &&
           aff_buf_u64(buf, rec->stamp.nonce) && aff_buf_u64(buf, rec->stamp.seq);
}

bool aff_record_encode(const struct aff_record *rec, struct aff_buf *buf)
{
    assert(rec->kind >= AFF_KIND_DATA && rec->kind <= AFF_KIND_REPAIR);
    assert(rec->stamp.epoch != 0 && rec->stamp.epoch <= AFF_EPOCH_MAX);
    assert((rec->kind == AFF_KIND_CLAIM) == (rec->stamp.seq == 0));
    assert(rec->idem_count <= AFF_RECORD_IDEMS_MAX);
    assert(rec->route.len == 0 || (rec->kind == AFF_KIND_CLAIM && rec->route.len < AFF_KEY_ROUTE_TEXT_MAX));

    aff_buf_clear(buf);
    if (!put_stamp(buf, rec) || (rec->kind == AFF_KIND_REPAIR && !put_kept(buf, rec)) ||
        !put_time(buf, FIELD_EXPIRES, rec->expires_ms) || !put_time(buf, FIELD_EVENT, rec->event_ms) ||
        !put_route(buf, rec->route))
        return false;
    for (uint32_t i = 0; i < rec->idem_count; i++)
        if (!put_idem(buf, &rec->idems[i]))
            return false;
    return true;
}

/* ---- reading ---- */

static bool take_idem(struct aff_record *rec, struct aff_cursor *c)
{
    struct aff_idem *idem;
    aff_bytes id, request;
    uint8_t flags, type_len;

    if (rec->idem_count == AFF_RECORD_IDEMS_MAX)
        return false;
    idem = &rec->idems[rec->idem_count++];
    id = aff_cursor_take(c, sizeof idem->id.b);
    request = aff_cursor_take(c, sizeof idem->request.b);
    idem->status = aff_cursor_u16(c);
    flags = aff_cursor_u8(c);
    type_len = aff_cursor_u8(c);
    idem->versioned = flags & IDEM_VERSIONED;
    idem->cut = flags & IDEM_CUT;
    idem->content_type = aff_cursor_take(c, type_len);
    idem->reply = aff_cursor_take(c, aff_cursor_left(c));
    if (c->failed || idem->reply.len > AFF_IDEM_REPLY_MAX)
        return false;
    memcpy(idem->id.b, id.data, sizeof idem->id.b);
    memcpy(idem->request.b, request.data, sizeof idem->request.b);
    return true;
}

static bool take_kept(struct aff_record *rec, struct aff_cursor *c)
{
    rec->kept_offset = (int64_t)aff_cursor_u64(c);
    rec->kept_time_ms = (int64_t)aff_cursor_u64(c);
    return !c->failed && aff_cursor_left(c) == 0 && rec->kept_offset >= -1;
}

static bool take_time(int64_t *ret_time_ms, struct aff_cursor *c)
{
    *ret_time_ms = (int64_t)aff_cursor_u64(c);
    return !c->failed && aff_cursor_left(c) == 0;
}

static bool take_route(struct aff_record *rec, struct aff_cursor *c)
{
    rec->route = aff_cursor_take(c, aff_cursor_left(c));
    return rec->kind == AFF_KIND_CLAIM && rec->route.len > 0 && rec->route.len < AFF_KEY_ROUTE_TEXT_MAX;
}

/* One field. `seen` has a bit for each type that may stand once only. */
static bool take_field(struct aff_record *rec, uint16_t type, struct aff_cursor *c, unsigned *seen)
{
    if (type >= FIELD_KEPT && type <= FIELD_ROUTE) {
        if (*seen & 1u << type)
            return false;
        *seen |= 1u << type;
    }
    switch (type) {
    case FIELD_IDEM:
        return take_idem(rec, c);
    case FIELD_KEPT:
        return take_kept(rec, c);
    case FIELD_EXPIRES:
        return take_time(&rec->expires_ms, c);
    case FIELD_EVENT:
        return take_time(&rec->event_ms, c);
    case FIELD_ROUTE:
        return take_route(rec, c);
    default:
        return true;
    }
}

static bool take_stamp(struct aff_record *rec, struct aff_cursor *c)
{
    uint8_t version = aff_cursor_u8(c), kind = aff_cursor_u8(c);
    uint32_t major = aff_cursor_u32(c);
    uint16_t minor = aff_cursor_u16(c);

    rec->stamp.epoch = aff_epoch_of(major, minor);
    rec->stamp.nonce = aff_cursor_u64(c);
    rec->stamp.seq = aff_cursor_u64(c);
    if (c->failed || version != RECORD_VERSION || kind < AFF_KIND_DATA || kind > AFF_KIND_REPAIR ||
        rec->stamp.epoch == 0)
        return false;
    rec->kind = (enum aff_kind)kind;
    /* Number 0 of a mastership is its CLAIM, and nothing else. */
    return (kind == AFF_KIND_CLAIM) == (rec->stamp.seq == 0);
}

static bool take_header(struct aff_record *rec, aff_bytes aff)
{
    struct aff_cursor c = aff_cursor_of(aff);
    unsigned seen = 0;

    if (!take_stamp(rec, &c))
        return false;
    while (aff_cursor_left(&c) > 0) {
        uint16_t type = aff_cursor_u16(&c);
        uint32_t len = aff_cursor_u32(&c);
        aff_bytes bytes = aff_cursor_take(&c, len);
        struct aff_cursor field;
        if (c.failed)
            return false;
        field = aff_cursor_of(bytes);
        if (!take_field(rec, type, &field, &seen))
            return false;
    }
    /* A repair says what it keeps; nothing else does. */
    return !c.failed && (rec->kind == AFF_KIND_REPAIR) == ((seen & 1u << FIELD_KEPT) != 0);
}

static void take_entry(struct aff_record *rec, const struct aff_entry *entry)
{
    aff_record_init(rec);
    rec->offset = entry->offset;
    rec->time_ms = entry->time_ms;
    rec->key = entry->key;
    rec->value = entry->value;
    rec->content_type = entry->content_type;
    rec->traceparent = entry->traceparent;
}

void aff_record_decode(const struct aff_entry *entry, struct aff_record *rec)
{
    take_entry(rec, entry);
    if (entry->aff.data && take_header(rec, entry->aff))
        return;
    take_entry(rec, entry); /* nothing of a header that cannot be read is left over */
    rec->kind = AFF_KIND_FOREIGN;
}
