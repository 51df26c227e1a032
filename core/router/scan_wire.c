/*
 * scan_wire.c - see scan_wire.h. Numbers are big-endian; `bytes` have a length of 4 before them, ffffffff for none.
 *
 *   question  flags 1 | bytes wanted 4 | from bytes | until bytes | key bytes, if there is one | of an index: name bytes, digest 16,
 *             terms from and to bytes
 *   answer    code 4, and if it is 0: identity 4 | more 1 | entries up to the end, or the item: offset, time, expires, event 8 each,
 *             content type bytes, value up to the end
 */
#include "router/scan_wire.h"

enum { LOCAL = 1, INCLUSIVE = 2, REVERSE = 4, KEYS_ONLY = 8, VALUE = 16, INDEXED = 32 };

#define NONE UINT32_MAX

static bool put(struct aff_buf *to, aff_bytes bytes)
{
    if (!bytes.data)
        return aff_buf_u32(to, NONE);
    return bytes.len < NONE && aff_buf_u32(to, (uint32_t)bytes.len) && aff_buf_add(to, bytes.data, bytes.len);
}

static aff_bytes take(struct aff_cursor *from)
{
    uint32_t len = aff_cursor_u32(from);

    return len == NONE ? aff_bytes_of(NULL, 0) : aff_cursor_take(from, len);
}

/* ---- questions ---- */

static bool put_index(struct aff_buf *to, const struct aff_scan_question *q)
{
    return put(to, q->index) && aff_buf_add(to, q->declared.b, sizeof q->declared.b) && put(to, q->terms.from) &&
           put(to, q->terms.to);
}

bool aff_scan_question_put(struct aff_buf *to, const struct aff_scan_question *q)
{
    unsigned flags = (q->local ? LOCAL : 0) | (q->step.inclusive ? INCLUSIVE : 0) | (q->step.reverse ? REVERSE : 0) |
                     (q->step.keys_only ? KEYS_ONLY : 0) | (q->key.data ? VALUE : 0) | (q->indexed ? INDEXED : 0);

    return aff_buf_u8(to, (uint8_t)flags) && aff_buf_u32(to, q->bytes) && put(to, q->step.from) &&
           put(to, q->step.until) && (!q->key.data || put(to, q->key)) && (!q->indexed || put_index(to, q));
}

static void take_index(struct aff_cursor *from, struct aff_scan_question *q)
{
    aff_bytes digest;

    q->index = take(from);
    digest = aff_cursor_take(from, sizeof q->declared.b);
    if (!from->failed)
        memcpy(q->declared.b, digest.data, sizeof q->declared.b);
    q->terms.from = take(from);
    q->terms.to = take(from);
}

bool aff_scan_question_take(aff_bytes body, struct aff_scan_question *ret)
{
    struct aff_cursor from = aff_cursor_of(body);
    unsigned flags = aff_cursor_u8(&from);

    *ret = (struct aff_scan_question){
        .local = flags & LOCAL,
        .indexed = flags & INDEXED,
        .bytes = aff_cursor_u32(&from),
        .step = { .inclusive = flags & INCLUSIVE, .reverse = flags & REVERSE, .keys_only = flags & KEYS_ONLY },
    };
    ret->step.from = take(&from);
    ret->step.until = take(&from);
    if (flags & VALUE)
        ret->key = take(&from);
    if (flags & INDEXED)
        take_index(&from, ret);
    return !from.failed && (!(flags & VALUE) || (ret->key.len > 0 && ret->step.from.len > 0)) &&
           (!ret->indexed || ret->index.data);
}

/* ---- answers ---- */

static bool put_item(struct aff_buf *to, const struct aff_item *item)
{
    const struct aff_version *v = &item->version;

    return aff_buf_u64(to, (uint64_t)v->offset) && aff_buf_u64(to, (uint64_t)v->time_ms) &&
           aff_buf_u64(to, (uint64_t)v->expires_ms) && aff_buf_u64(to, (uint64_t)v->event_ms) &&
           put(to, item->content_type) && aff_buf_add(to, item->value.data, item->value.len);
}

bool aff_scan_reply_put(struct aff_buf *to, const struct aff_scan_reply *r, bool whole)
{
    if (!aff_buf_u32(to, (uint32_t)r->code) || r->code != 0)
        return r->code != 0;
    return aff_buf_u32(to, r->identity8) && aff_buf_u8(to, r->more) && (!whole || !r->more || put_item(to, &r->item));
}

static bool take_item(struct aff_cursor *from, struct aff_item *ret)
{
    ret->version.offset = (int64_t)aff_cursor_u64(from);
    ret->version.time_ms = (int64_t)aff_cursor_u64(from);
    ret->version.expires_ms = (int64_t)aff_cursor_u64(from);
    ret->version.event_ms = (int64_t)aff_cursor_u64(from);
    ret->content_type = take(from);
    ret->value = aff_cursor_take(from, aff_cursor_left(from));
    return !from->failed && ret->content_type.data && ret->version.offset >= 0;
}

/* Does the key come behind another, in the order of the scan? */
static bool is_behind(const struct aff_store_step *step, aff_bytes key, aff_bytes before)
{
    int order = aff_bytes_compare(key, before);

    return step->reverse ? order < 0 : order > 0;
}

static bool are_in_order(const struct aff_store_step *step, aff_bytes entries, uint32_t *ret_tail)
{
    const unsigned char *data = entries.data;
    aff_bytes before = step->from;
    size_t size;

    for (size_t at = 0; at < entries.len; at += size) {
        aff_bytes key = aff_store_entry_key(data + at, &size), until = step->until;
        bool first = at == 0 && step->inclusive && aff_bytes_equal(key, before);

        if (before.data && !first && !is_behind(step, key, before))
            return false;
        if (until.data && (step->reverse ? aff_bytes_compare(key, until) < 0 : aff_bytes_compare(key, until) >= 0))
            return false;
        before = key;
        *ret_tail = (uint32_t)at;
    }
    return true;
}

static bool take_entries(struct aff_cursor *from, const struct aff_scan_question *q, struct aff_scan_reply *r)
{
    r->entries = aff_cursor_take(from, aff_cursor_left(from));
    return !from->failed && r->entries.len <= (size_t)q->bytes + AFF_STORE_STEP_HEAD + 2 * AFF_KEY_MAX + 2 &&
           (r->entries.len > 0 || !r->more) && aff_store_entries_check(r->entries, q->indexed) &&
           are_in_order(&q->step, r->entries, &r->tail);
}

bool aff_scan_reply_take(aff_bytes answer, const struct aff_scan_question *q, struct aff_scan_reply *ret)
{
    struct aff_cursor from = aff_cursor_of(answer);

    memset(ret, 0, sizeof *ret);
    ret->code = (int)(int32_t)aff_cursor_u32(&from);
    if (from.failed || ret->code > 0)
        return false;
    if (ret->code < 0)
        return true;
    ret->identity8 = aff_cursor_u32(&from);
    ret->more = aff_cursor_u8(&from) != 0;
    if (!q->key.data)
        return take_entries(&from, q, ret);
    return !from.failed && (!ret->more || take_item(&from, &ret->item));
}
