/*
 * wire.c - see wire.h. Layouts stand in the order of the code: what is put is taken.
 */
#include "router/wire.h"

#include <assert.h>
#include <stdio.h>

/* ---- pieces ---- */

static bool put_text(struct aff_buf *to, aff_bytes text)
{
    assert(text.len <= UINT16_MAX);
    return aff_buf_u16(to, (uint16_t)text.len) && aff_buf_add(to, text.data, text.len);
}

static aff_bytes take_text(struct aff_cursor *from)
{
    return aff_cursor_take(from, aff_cursor_u16(from));
}

/* Cut to what fits, with its NUL. */
static void take_string(struct aff_cursor *from, char *to, size_t size)
{
    aff_bytes text = take_text(from);
    int length = text.len < size ? (int)text.len : (int)size - 1;
    (void)snprintf(to, size, "%.*s", length, length ? (const char *)text.data : "");
}

static bool put_i64(struct aff_buf *to, int64_t v)
{
    return aff_buf_u64(to, (uint64_t)v);
}

static int64_t take_i64(struct aff_cursor *from)
{
    return (int64_t)aff_cursor_u64(from);
}

static bool put_version(struct aff_buf *to, const struct aff_version *v)
{
    return put_i64(to, v->offset) && put_i64(to, v->time_ms) && put_i64(to, v->expires_ms) && put_i64(to, v->event_ms);
}

static struct aff_version take_version(struct aff_cursor *from)
{
    struct aff_version v;
    v.offset = take_i64(from);
    v.time_ms = take_i64(from);
    v.expires_ms = take_i64(from);
    v.event_ms = take_i64(from);
    return v;
}

bool aff_wire_put_stamp(struct aff_buf *to, struct aff_stamp stamp)
{
    return aff_buf_u64(to, stamp.epoch) && aff_buf_u64(to, stamp.nonce) && aff_buf_u64(to, stamp.seq);
}

struct aff_stamp aff_wire_take_stamp(struct aff_cursor *from)
{
    struct aff_stamp stamp;
    stamp.epoch = aff_cursor_u64(from);
    stamp.nonce = aff_cursor_u64(from);
    stamp.seq = aff_cursor_u64(from);
    return stamp;
}

/* ---- beginnings ---- */

bool aff_wire_put_about(struct aff_buf *to, const char *keyspace, uint32_t partition)
{
    return put_text(to, aff_str(keyspace)) && aff_buf_u32(to, partition);
}

bool aff_wire_take_about(struct aff_cursor *from, aff_bytes *ret_keyspace, uint32_t *ret_partition)
{
    *ret_keyspace = take_text(from);
    *ret_partition = aff_cursor_u32(from);
    return !from->failed;
}

bool aff_wire_put_leader(struct aff_buf *to, const struct aff_wire_leader *leader)
{
    return aff_buf_u32(to, leader->epoch) && aff_buf_u32(to, leader->incarnation) && put_text(to, aff_str(leader->name));
}

bool aff_wire_take_leader(struct aff_cursor *from, struct aff_wire_leader *ret)
{
    ret->epoch = aff_cursor_u32(from);
    ret->incarnation = aff_cursor_u32(from);
    take_string(from, ret->name, sizeof ret->name);
    return !from->failed;
}

/* ---- operations ---- */

/* How an operation is called on the wire; never renumbered. */
enum { OP_PUT = 1, OP_DELETE = 2, OP_COMMAND = 3, OP_BARRIER = 4, OP_PATCH = 5 };

enum { OP_IDENTIFIED = 1, OP_MATCH_ANY = 2, OP_NONE_MATCH_ANY = 4, OP_HAS_MATCH = 8, OP_MERGES = 16, OP_WHOLE = 32 };

static uint8_t number_of(const struct aff_op *op, const struct aff_wire_form *form)
{
    switch (op->kind) {
    case AFF_OP_PUT:
        return OP_PUT;
    case AFF_OP_DELETE:
        return OP_DELETE;
    case AFF_OP_BARRIER:
        return OP_BARRIER;
    case AFF_OP_COMMAND:
        break;
    }
    return form->patch ? OP_PATCH : OP_COMMAND;
}

static uint8_t flags_of(const struct aff_op *op, const struct aff_wire_form *form)
{
    const struct aff_conditions *c = &op->conditions;
    bool patch = op->kind == AFF_OP_COMMAND && form->patch;
    return (uint8_t)((op->identified ? OP_IDENTIFIED : 0) | (c->match_any ? OP_MATCH_ANY : 0) |
                     (c->none_match_any ? OP_NONE_MATCH_ANY : 0) | (c->has_match ? OP_HAS_MATCH : 0) |
                     (patch && form->merges ? OP_MERGES : 0) | (patch && form->whole ? OP_WHOLE : 0));
}

static bool put_etags(struct aff_buf *to, const struct aff_etag *tags, size_t count)
{
    assert(count <= AFF_WIRE_ETAGS_MAX);
    bool ok = aff_buf_u8(to, (uint8_t)count);
    for (size_t i = 0; ok && i < count; i++)
        ok = aff_buf_u32(to, tags[i].identity8) && aff_buf_u32(to, tags[i].partition) && put_i64(to, tags[i].offset);
    return ok;
}

static size_t take_etags(struct aff_cursor *from, struct aff_etag *tags)
{
    size_t count = aff_cursor_u8(from);
    from->failed |= count > AFF_WIRE_ETAGS_MAX;
    for (size_t i = 0; !from->failed && i < count; i++) {
        tags[i].identity8 = aff_cursor_u32(from);
        tags[i].partition = aff_cursor_u32(from);
        tags[i].offset = take_i64(from);
    }
    return from->failed ? 0 : count;
}

static bool put_times(struct aff_buf *to, const struct aff_op *op)
{
    return put_i64(to, op->ttl_ms) && put_i64(to, op->expires_ms) && put_i64(to, op->event_ms);
}

static bool put_identity(struct aff_buf *to, const struct aff_op *op)
{
    return !op->identified || (aff_buf_add(to, op->id.b, sizeof op->id.b) && aff_buf_add(to, op->request.b, sizeof op->request.b));
}

static bool put_form(struct aff_buf *to, const struct aff_op *op, const struct aff_wire_form *form, aff_bytes *ret_tail)
{
    const aff_bytes none = { "", 0 };
    bool command = op->kind == AFF_OP_COMMAND;
    bool put = op->kind == AFF_OP_PUT;
    *ret_tail = command ? form->body : put ? op->value : none;
    return put_text(to, command && !form->patch ? form->command : none) &&
           put_text(to, put ? op->content_type : command && !form->patch ? form->type : none) &&
           aff_buf_u16(to, command && form->patch ? form->depth : 0) && aff_buf_u32(to, (uint32_t)ret_tail->len);
}

bool aff_wire_put_op(struct aff_buf *to, const struct aff_op *op, const struct aff_wire_form *form, aff_bytes *ret_tail)
{
    const struct aff_conditions *c = &op->conditions;
    return aff_buf_u8(to, number_of(op, form)) && aff_buf_u8(to, flags_of(op, form)) &&
           put_text(to, op->kind == AFF_OP_BARRIER ? aff_str("") : op->key) && put_times(to, op) && put_text(to, op->traceparent) &&
           put_etags(to, c->match, c->match_count) && put_etags(to, c->none_match, c->none_match_count) &&
           put_identity(to, op) && put_form(to, op, form, ret_tail);
}

static void take_digest(struct aff_cursor *from, struct aff_digest *ret)
{
    aff_bytes bytes = aff_cursor_take(from, sizeof ret->b);
    if (!from->failed)
        memcpy(ret->b, bytes.data, sizeof ret->b);
}

static void take_conditions(struct aff_cursor *from, uint8_t flags, struct aff_wire_etags *etags, struct aff_conditions *c)
{
    c->match_any = flags & OP_MATCH_ANY;
    c->none_match_any = flags & OP_NONE_MATCH_ANY;
    c->has_match = flags & OP_HAS_MATCH;
    c->match = etags->match;
    c->none_match = etags->none_match;
    c->match_count = take_etags(from, etags->match);
    c->none_match_count = take_etags(from, etags->none_match);
}

static void take_form(struct aff_cursor *from, struct aff_op *op, struct aff_wire_form *form)
{
    form->command = take_text(from);
    form->type = take_text(from);
    form->depth = aff_cursor_u16(from);
    form->body = aff_cursor_take(from, aff_cursor_u32(from));
    if (op->kind != AFF_OP_PUT)
        return;
    op->content_type = form->type;
    op->value = form->body;
}

static bool kind_of(uint8_t number, enum aff_op_kind *ret_kind)
{
    static const enum aff_op_kind kinds[] = { [OP_PUT] = AFF_OP_PUT,
                                              [OP_DELETE] = AFF_OP_DELETE,
                                              [OP_COMMAND] = AFF_OP_COMMAND,
                                              [OP_BARRIER] = AFF_OP_BARRIER,
                                              [OP_PATCH] = AFF_OP_COMMAND };
    if (number < OP_PUT || number > OP_PATCH)
        return false;
    *ret_kind = kinds[number];
    return true;
}

/* What it says must be what an operation can be: the partition trusts it. */
static bool is_sound(const struct aff_op *op, const struct aff_wire_form *form)
{
    bool keyed = op->kind != AFF_OP_BARRIER;
    return keyed == (op->key.len > 0) && op->key.len <= AFF_KEY_MAX && op->traceparent.len <= AFF_WIRE_TRACE_MAX &&
           op->ttl_ms >= 0 && form->type.len <= 255;
}

bool aff_wire_take_op(struct aff_cursor *from, struct aff_op *op, struct aff_wire_etags *etags, struct aff_wire_form *form)
{
    uint8_t number = aff_cursor_u8(from), flags = aff_cursor_u8(from);
    enum aff_op_kind kind;
    if (from->failed || !kind_of(number, &kind))
        return false;
    aff_op_init(op, kind);
    *form = (struct aff_wire_form){ .patch = number == OP_PATCH, .merges = flags & OP_MERGES, .whole = flags & OP_WHOLE };
    op->key = take_text(from);
    op->ttl_ms = take_i64(from);
    op->expires_ms = take_i64(from);
    op->event_ms = take_i64(from);
    op->traceparent = take_text(from);
    if (!op->traceparent.len)
        op->traceparent.data = NULL;
    take_conditions(from, flags, etags, &op->conditions);
    op->identified = flags & OP_IDENTIFIED;
    if (op->identified) {
        take_digest(from, &op->id);
        take_digest(from, &op->request);
    }
    take_form(from, op, form);
    return !from->failed && is_sound(op, form);
}

/* ---- results ---- */

enum {
    RESULT_CREATED = 1,
    RESULT_REPLAYED = 2,
    RESULT_REPLAY_CUT = 4,
    RESULT_VERSIONED = 8,
    RESULT_STAMPED = 16,
    RESULT_UNCHANGED = 32,
    RESULT_REPLIED = 64,
    RESULT_TITLED = 128,
};

/* How outcomes are called on the wire; never renumbered. */
static const uint8_t outcome_numbers[] = {
    [AFF_OUTCOME_NONE] = 0, [AFF_OUTCOME_COMMITTED] = 1, [AFF_OUTCOME_NOT_APPLIED] = 2, [AFF_OUTCOME_UNKNOWN] = 3
};

static bool outcome_of(uint8_t number, enum aff_outcome *ret)
{
    for (size_t i = 0; i < sizeof outcome_numbers; i++)
        if (outcome_numbers[i] == number) {
            *ret = (enum aff_outcome)i;
            return true;
        }
    return false;
}

static uint8_t result_flags(const struct aff_result *r)
{
    return (uint8_t)((r->created ? RESULT_CREATED : 0) | (r->replayed ? RESULT_REPLAYED : 0) |
                     (r->replay_cut ? RESULT_REPLAY_CUT : 0) | (r->versioned ? RESULT_VERSIONED : 0) |
                     (r->stamped ? RESULT_STAMPED : 0) | (r->unchanged ? RESULT_UNCHANGED : 0) |
                     (r->reply.data ? RESULT_REPLIED : 0) | (r->title ? RESULT_TITLED : 0));
}

bool aff_wire_put_result(struct aff_buf *to, const struct aff_result *r, uint32_t identity8, aff_bytes *ret_tail)
{
    *ret_tail = r->reply.data ? r->reply : aff_str("");
    return aff_buf_u16(to, (uint16_t)-r->code) && aff_buf_u8(to, outcome_numbers[r->outcome]) &&
           aff_buf_u8(to, result_flags(r)) && aff_buf_u16(to, r->status) && aff_buf_u32(to, identity8) &&
           put_version(to, &r->version) && aff_wire_put_stamp(to, r->stamp) && put_text(to, aff_str(r->problem)) &&
           put_text(to, aff_str(r->title ? r->title : "")) && put_text(to, aff_str(r->detail)) &&
           put_text(to, r->reply_type.data ? r->reply_type : aff_str("")) && aff_buf_u32(to, (uint32_t)ret_tail->len);
}

static void take_flags(struct aff_result *r, uint8_t flags)
{
    r->created = flags & RESULT_CREATED;
    r->replayed = flags & RESULT_REPLAYED;
    r->replay_cut = flags & RESULT_REPLAY_CUT;
    r->versioned = flags & RESULT_VERSIONED;
    r->stamped = flags & RESULT_STAMPED;
    r->unchanged = flags & RESULT_UNCHANGED;
}

bool aff_wire_take_result(struct aff_cursor *from, struct aff_result *r, uint32_t *ret_identity8, aff_bytes *ret_title)
{
    uint8_t outcome, flags;
    memset(r, 0, sizeof *r);
    r->code = -(int)aff_cursor_u16(from);
    outcome = aff_cursor_u8(from);
    flags = aff_cursor_u8(from);
    take_flags(r, flags);
    r->status = aff_cursor_u16(from);
    *ret_identity8 = aff_cursor_u32(from);
    r->version = take_version(from);
    r->stamp = aff_wire_take_stamp(from);
    take_string(from, r->problem, sizeof r->problem);
    *ret_title = take_text(from);
    if (!(flags & RESULT_TITLED))
        *ret_title = aff_bytes_of(NULL, 0);
    take_string(from, r->detail, sizeof r->detail);
    r->reply_type = take_text(from);
    r->reply = aff_cursor_take(from, aff_cursor_u32(from));
    if (!(flags & RESULT_REPLIED))
        r->reply = aff_bytes_of(NULL, 0);
    return !from->failed && outcome_of(outcome, &r->outcome) && (r->status == 0 || (r->status >= 200 && r->status <= 599));
}

/* ---- values ---- */

bool aff_wire_put_found(struct aff_buf *to, int code, const struct aff_found *found, aff_bytes *ret_tail)
{
    bool exists = code == 0 && found->exists;
    *ret_tail = exists ? found->item.value : aff_str("");
    if (!aff_buf_u16(to, (uint16_t)-code))
        return false;
    if (code != 0)
        return true;
    return aff_buf_u8(to, exists) && aff_buf_u32(to, found->identity8) &&
           (!exists || (put_version(to, &found->item.version) && put_text(to, found->item.content_type) &&
                        aff_buf_u32(to, (uint32_t)ret_tail->len)));
}

bool aff_wire_take_found(struct aff_cursor *from, int *ret_code, struct aff_found *ret)
{
    uint8_t exists;
    *ret_code = -(int)aff_cursor_u16(from);
    *ret = (struct aff_found){ .exists = false };
    if (*ret_code != 0)
        return !from->failed;
    exists = aff_cursor_u8(from);
    ret->exists = exists == 1;
    ret->identity8 = aff_cursor_u32(from);
    if (ret->exists) {
        ret->item.version = take_version(from);
        ret->item.content_type = take_text(from);
        ret->item.value = aff_cursor_take(from, aff_cursor_u32(from));
    }
    return !from->failed && exists <= 1;
}

/* ---- a hand-over ---- */

bool aff_wire_put_go(struct aff_buf *to, const struct aff_go *go)
{
    return aff_buf_u32(to, go->major) && aff_wire_put_stamp(to, go->cur) && put_i64(to, go->end);
}

bool aff_wire_take_go(struct aff_cursor *from, struct aff_go *ret)
{
    ret->major = aff_cursor_u32(from);
    ret->cur = aff_wire_take_stamp(from);
    ret->end = take_i64(from);
    return !from->failed && ret->end >= 0;
}
