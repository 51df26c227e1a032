/*
 * apply.c - what a record does to the store, in offset order (I4). Decided already: whether it is valid.
 */
#include "partition/state.h"

#include <inttypes.h>
#include <stdio.h>

enum { EPOCH_KEY_LEN = 16, EPOCH_VALUE_LEN = 17, TIME_KEY_LEN = 24 };
/* request, status, flags, offset, time, length of the content type; then content type and reply */
enum { IDEM_OFFSET_AT = 19, IDEM_TIME_AT = 27, IDEM_HEAD_LEN = 36 };

/* A store that fails stops the replica: it must never be silently behind its log. */
bool aff_core_store_ok(struct aff_core *core, int code)
{
    if (code >= 0)
        return true;
    aff_core_fail(core, "the store refused a change: %s", aff_error_title(code));
    return false;
}

static bool dirty_add(struct aff_core *core, const struct aff_record *rec)
{
    struct aff_world_store *s = core->w.store;
    unsigned char at[8];
    aff_bytes before;
    int found;

    if (rec->key.len == 0 || rec->key.len > AFF_KEY_MAX)
        return true; /* no key of ours: no reader of ours can ever ask for it */
    found = s->table_get(s, AFF_TABLE_DIRTY, rec->key, &before);
    if (!aff_core_store_ok(core, found))
        return false;
    if (found == 1)
        return true;
    aff_put_u64(at, (uint64_t)rec->offset);
    if (core->dirty++ == 0)
        core->first_dirty = rec->offset;
    return aff_core_store_ok(core, s->table_put(s, AFF_TABLE_DIRTY, rec->key, aff_bytes_of(at, sizeof at)));
}

static bool dirty_remove(struct aff_core *core, aff_bytes key)
{
    struct aff_world_store *s = core->w.store;
    aff_bytes before;
    int found;

    if (core->dirty == 0 || key.len == 0 || key.len > AFF_KEY_MAX)
        return true;
    found = s->table_get(s, AFF_TABLE_DIRTY, key, &before);
    if (found != 1)
        return aff_core_store_ok(core, found);
    core->dirty--;
    return aff_core_store_ok(core, s->table_del(s, AFF_TABLE_DIRTY, key));
}

/* A void record changes nothing, but plain last-writer-wins would take it: its key is dirty until it is repaired
 * (I6). */
bool aff_core_apply_void(struct aff_core *core, const struct aff_record *rec)
{
    aff_log(core->w.logger, DEBUG, "partition.void", aff_f_str("keyspace", core->opts.keyspace),
            aff_f_int("partition", core->opts.index), aff_f_int("offset", rec->offset));
    core->changed = true;
    return dirty_add(core, rec);
}

/* ---- ended masterships ---- */

static void epoch_key(aff_epoch epoch, uint64_t nonce, unsigned char out[EPOCH_KEY_LEN])
{
    aff_put_u64(out, epoch);
    aff_put_u64(out + 8, nonce);
}

/* `exact`: no record of it can stand above `last_seq`; otherwise compaction may have taken some. */
static bool epoch_put(struct aff_core *core, struct aff_epoch_end end, bool exact, int64_t ended_ms)
{
    struct aff_world_store *s = core->w.store;
    unsigned char key[EPOCH_KEY_LEN], value[EPOCH_VALUE_LEN];
    aff_bytes before;
    int found;

    epoch_key(end.epoch, end.nonce, key);
    found = s->table_get(s, AFF_TABLE_EPOCHS, aff_bytes_of(key, sizeof key), &before);
    if (!aff_core_store_ok(core, found))
        return false;
    if (found == 1 && before.len == EPOCH_VALUE_LEN) {
        const unsigned char *b = before.data;

        if (b[8] || !exact)
            return true; /* what is known already is at least as good */
        ended_ms = (int64_t)aff_get_u64(b + 9);
    }
    aff_put_u64(value, end.last_seq);
    value[8] = exact;
    aff_put_u64(value + 9, (uint64_t)ended_ms);
    return aff_core_store_ok(core, s->table_put(s, AFF_TABLE_EPOCHS, aff_bytes_of(key, sizeof key),
                                                aff_bytes_of(value, sizeof value)));
}

/* The mastership of `cur` ended at this time. */
bool aff_core_end_epoch(struct aff_core *core, int64_t time_ms)
{
    struct aff_epoch_end end = { core->cur.epoch, core->cur.nonce, core->cur.seq };

    return end.epoch == 0 || epoch_put(core, end, !core->hole, time_ms);
}

/* As far as records are applied, committed or not: for what leaves after the commit (aff_core_outcome is for others). */
enum aff_outcome aff_core_fate(struct aff_core *core, struct aff_stamp stamp)
{
    unsigned char key[EPOCH_KEY_LEN];
    aff_bytes value;
    const unsigned char *v;
    int found;

    if (aff_stamp_same_owner(stamp, core->cur))
        return stamp.seq <= core->cur.seq ? AFF_OUTCOME_COMMITTED
               : aff_stamp_same_owner(stamp, core->own) && stamp.seq > core->own.seq ? AFF_OUTCOME_NONE
                                                                                     : AFF_OUTCOME_UNKNOWN;
    if (stamp.epoch > core->cur.epoch)
        return AFF_OUTCOME_UNKNOWN; /* ours and on its way, or of a successor that was not heard of yet */
    epoch_key(stamp.epoch, stamp.nonce, key);
    found = core->w.store->table_get(core->w.store, AFF_TABLE_EPOCHS, aff_bytes_of(key, sizeof key), &value);
    if (found != 1 || value.len != EPOCH_VALUE_LEN)
        return found < 0 ? AFF_OUTCOME_UNKNOWN : AFF_OUTCOME_NONE;
    v = value.data;
    if (stamp.seq <= aff_get_u64(v))
        return AFF_OUTCOME_COMMITTED;
    return v[8] ? AFF_OUTCOME_NOT_APPLIED : AFF_OUTCOME_UNKNOWN;
}

/* Whoever claims says by which route it places keys: with another one no key would be where the others look for it. */
static bool is_of_our_route(struct aff_core *core, const struct aff_record *rec)
{
    aff_bytes ours = core->route, theirs = rec->route;

    if (aff_bytes_equal(ours, theirs))
        return true;
    aff_core_fail(core, "the log was written with route: %.*s and this node has route: %.*s; the route is fixed for the life of "
                        "a keyspace (claim at offset %" PRId64 ")",
                  theirs.len ? (int)theirs.len : 9, theirs.len ? (const char *)theirs.data : "whole-key",
                  ours.len ? (int)ours.len : 9, ours.len ? (const char *)ours.data : "whole-key", rec->offset);
    return false;
}

static bool apply_claim(struct aff_core *core, const struct aff_record *rec)
{
    struct aff_claim claim;

    if (!is_of_our_route(core, rec))
        return false;
    core->claim_offset = rec->offset;
    if (!aff_claim_decode(rec->value, &claim))
        return true; /* it counts as a claim by its header; it just tells nothing about the past */
    memcpy(core->identity, claim.identity, AFF_IDENTITY_LEN);
    core->has_identity = true;
    for (uint32_t i = 0; i < claim.epoch_count; i++)
        if (!epoch_put(core, aff_claim_epoch(&claim, i), true, rec->time_ms))
            return false;
    return true;
}

/* The key of the table of masterships that belongs to the key of a CLAIM; false: it is no such key. */
static bool epoch_key_of_claim(aff_bytes claim_key, unsigned char out[EPOCH_KEY_LEN])
{
    unsigned long long epoch, nonce;
    char text[AFF_CONTROL_KEY_MAX];
    int end = 0;

    if (claim_key.len <= AFF_CONTROL_PREFIX_LEN || claim_key.len >= sizeof text)
        return false;
    memcpy(text, (const char *)claim_key.data + AFF_CONTROL_PREFIX_LEN, claim_key.len - AFF_CONTROL_PREFIX_LEN);
    text[claim_key.len - AFF_CONTROL_PREFIX_LEN] = '\0';
    if (sscanf(text, "claim/%12llx/%16llx%n", &epoch, &nonce, &end) != 2 || text[end])
        return false;
    epoch_key(epoch, nonce, out);
    return true;
}

/* Did the mastership of this CLAIM ever count, as far as is remembered? 1, 0, or an error of the store. */
int aff_core_epoch_known(struct aff_core *core, aff_bytes claim_key)
{
    unsigned char key[EPOCH_KEY_LEN];
    aff_bytes value;

    if (!epoch_key_of_claim(claim_key, key))
        return 0;
    if (aff_get_u64(key) == core->cur.epoch && aff_get_u64(key + 8) == core->cur.nonce)
        return 1;
    return core->w.store->table_get(core->w.store, AFF_TABLE_EPOCHS, aff_bytes_of(key, sizeof key), &value);
}

/* A repaired control key: a CLAIM told again changes nothing, a tombstone lets a mastership be forgotten. */
static bool apply_control_repair(struct aff_core *core, const struct aff_record *rec)
{
    struct aff_world_store *s = core->w.store;
    unsigned char key[EPOCH_KEY_LEN];

    if (rec->value.data || !epoch_key_of_claim(rec->key, key))
        return true;
    return aff_core_store_ok(core, s->table_del(s, AFF_TABLE_EPOCHS, aff_bytes_of(key, sizeof key)));
}

/* ---- idempotency ids ---- */

static bool idem_put(struct aff_core *core, const struct aff_record *rec, const struct aff_idem *idem)
{
    struct aff_world_store *s = core->w.store;
    unsigned char by_time[TIME_KEY_LEN], fixed[IDEM_HEAD_LEN], *p = fixed;

    memcpy(p, idem->request.b, 16), p += 16;
    aff_put_u16(p, idem->status), p += 2;
    *p++ = (unsigned char)(idem->versioned | idem->cut << 1);
    aff_put_u64(p, (uint64_t)rec->offset), p += 8;
    aff_put_u64(p, (uint64_t)rec->time_ms), p += 8;
    *p++ = (unsigned char)idem->content_type.len;
    aff_buf_clear(&core->buf);
    if (!aff_buf_add(&core->buf, fixed, sizeof fixed) ||
        !aff_buf_add(&core->buf, idem->content_type.data, idem->content_type.len) ||
        !aff_buf_add(&core->buf, idem->reply.data, idem->reply.len))
        return aff_core_store_ok(core, AFF_ENOMEM);
    aff_put_u64(by_time, (uint64_t)rec->time_ms);
    memcpy(by_time + 8, idem->id.b, 16);
    return aff_core_store_ok(core, s->table_put(s, AFF_TABLE_IDEM, aff_bytes_of(idem->id.b, 16),
                                                aff_buf_view(&core->buf))) &&
           aff_core_store_ok(core, s->table_put(s, AFF_TABLE_IDEM_BY_TIME, aff_bytes_of(by_time, sizeof by_time),
                                                aff_str("")));
}

/* Ids are remembered for the compaction lag, by the log's time: exactly as long as the table can be rebuilt from the
 * log. */
static int64_t window_begin_ms(const struct aff_core *core)
{
    return core->last_time_ms == AFF_NO_TIME ? INT64_MIN : core->last_time_ms - core->opts.compaction_lag_ms;
}

/*
 * Forgets the id that was remembered first, if its window has passed. An id that was used again since keeps its younger
 * entry: each replica forgets in its own time. False: there is none, or the core has failed.
 */
bool aff_core_idem_forget(struct aff_core *core)
{
    struct aff_world_store *s = core->w.store;
    unsigned char at[TIME_KEY_LEN] = { 0 };
    aff_bytes key, value, id = aff_bytes_of(at + 8, 16);
    int found = s->table_next(s, AFF_TABLE_IDEM_BY_TIME, aff_str(""), &key, &value);

    if (!aff_core_store_ok(core, found) || found == 0 || key.len != sizeof at ||
        (int64_t)aff_get_u64(key.data) >= window_begin_ms(core))
        return false;
    memcpy(at, key.data, sizeof at);
    core->changed = true;
    if (!aff_core_store_ok(core, s->table_del(s, AFF_TABLE_IDEM_BY_TIME, aff_bytes_of(at, sizeof at))))
        return false;
    found = s->table_get(s, AFF_TABLE_IDEM, id, &value);
    if (found == 1 && value.len >= IDEM_HEAD_LEN &&
        memcmp((const unsigned char *)value.data + IDEM_TIME_AT, at, 8) == 0)
        found = s->table_del(s, AFF_TABLE_IDEM, id);
    return aff_core_store_ok(core, found);
}

/*
 * Answers a repeat from the table: true when it was known. Older entries than the window do not count, so that no
 * answer depends on when they are pruned. A reply is copied, since the table may change before it leaves.
 */
bool aff_core_replay(struct aff_core *core, struct aff_op *op)
{
    struct aff_world_store *s = core->w.store;
    struct aff_result *r = &op->result;
    const unsigned char *v;
    aff_bytes value;
    size_t type_len;
    int found = s->table_get(s, AFF_TABLE_IDEM, aff_bytes_of(op->id.b, 16), &value);

    if (!aff_core_store_ok(core, found)) {
        aff_core_answer(core, op, AFF_ENOMASTER, AFF_OUTCOME_NOT_APPLIED);
        return true;
    }
    if (found == 0 || value.len < IDEM_HEAD_LEN)
        return false;
    v = value.data;
    if ((int64_t)aff_get_u64(v + IDEM_TIME_AT) < window_begin_ms(core))
        return false;
    if (memcmp(v, op->request.b, 16) != 0) {
        aff_core_answer(core, op, AFF_EIDREUSED, AFF_OUTCOME_NOT_APPLIED);
        return true;
    }
    type_len = v[IDEM_HEAD_LEN - 1];
    if (type_len > value.len - IDEM_HEAD_LEN || !(op->owned = malloc(value.len))) {
        aff_core_answer(core, op, AFF_ENOMEM, AFF_OUTCOME_NOT_APPLIED);
        return true;
    }
    memcpy(op->owned, value.data, value.len);
    v = op->owned;
    r->replayed = true;
    r->status = aff_get_u16(v + 16);
    r->versioned = v[18] & 1;
    r->replay_cut = v[18] & 2;
    r->version = (struct aff_version){ (int64_t)aff_get_u64(v + IDEM_OFFSET_AT), (int64_t)aff_get_u64(v + IDEM_TIME_AT),
                                       AFF_NO_TIME, AFF_NO_TIME };
    r->reply_type = aff_bytes_of(v + IDEM_HEAD_LEN, type_len);
    r->reply = aff_bytes_of(v + IDEM_HEAD_LEN + type_len, value.len - IDEM_HEAD_LEN - type_len);
    aff_core_answer(core, op, 0, AFF_OUTCOME_COMMITTED);
    return true;
}

/* ---- valid records ---- */

/* A value in a partition where nobody looks for its key would be told by scans alone, and may be older than the one in its place. */
static bool is_in_its_place(struct aff_core *core, const struct aff_record *rec)
{
    static const struct aff_key_route whole_key;
    const struct aff_key_route *route = core->opts.route ? core->opts.route : &whole_key;
    uint32_t place;

    if (!core->opts.place || !rec->value.data)
        return true;
    place = core->opts.place(aff_key_route_of(route, rec->key), core->opts.partitions);
    if (place == core->opts.index)
        return true;
    aff_core_fail(core, "the record at offset %" PRId64 " has a key of partition %" PRIu32
                        ": it was written with another route or partition count",
                  rec->offset, place);
    return false;
}

static bool apply_value(struct aff_core *core, const struct aff_record *rec)
{
    struct aff_world_store *s = core->w.store;
    bool repair = rec->kind == AFF_KIND_REPAIR && rec->kept_offset >= 0;
    struct aff_item item = {
        .version = { repair ? rec->kept_offset : rec->offset, repair ? rec->kept_time_ms : rec->time_ms,
                     rec->expires_ms, rec->event_ms },
        .content_type = rec->content_type,
        .value = rec->value,
    };

    if (rec->key.len == 0 || rec->key.len > AFF_KEY_MAX)
        return true;
    if (!is_in_its_place(core, rec))
        return false;
    if (rec->value.data && rec->expires_ms != AFF_NO_TIME)
        aff_core_plan_expiry(core, rec->expires_ms);
    return aff_core_store_ok(core, rec->value.data ? s->put(s, rec->key, &item) : s->del(s, rec->key));
}

bool aff_core_apply_valid(struct aff_core *core, const struct aff_record *rec)
{
    bool ok = true;

    core->changed = true;
    if (rec->kind == AFF_KIND_CLAIM)
        ok = apply_claim(core, rec);
    else if (rec->kind == AFF_KIND_REPAIR && aff_key_is_control(rec->key))
        ok = apply_control_repair(core, rec);
    else if ((rec->kind == AFF_KIND_DATA || rec->kind == AFF_KIND_REPAIR) && !aff_key_is_control(rec->key))
        ok = apply_value(core, rec);
    for (uint32_t i = 0; ok && i < rec->idem_count && !AFF_WEAK(core, IDEM); i++)
        ok = idem_put(core, rec, &rec->idems[i]);
    return ok && dirty_remove(core, rec->key);
}
