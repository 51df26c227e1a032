/*
 * checkpoint.c - how far the store is applied, in the same transaction as the data (I8).
 *
 * Whether a store may be resumed is decided here and in follow.c: log identity and partition count match, the CLAIM
 * that the checkpoint names still stands in the log, the offset is inside the log, and its age by the log's time is
 * below what tombstones live (else a delete could be missed and the key would come back).
 *
 * The age. `caught_up_ms` is a log time such that every delete after it was, or will be, seen by this replica. That the
 * end of the log was reached does not prove that nothing was missing below: the end may be old. So reaching it only
 * sets a mark; a record at or above the marked end was appended after we had read that far, its time is later than that
 * reading, and if even it is younger than the limit, no tombstone below can have gone before we read it: then the age
 * moves to the mark, or to the record itself when it stands right there. The own CLAIM is such a record, so nobody
 * leads on a state that is too old; nor does one that stood still between its CLAIM and the reading of it get beyond
 * its first record.
 *
 * A first reading has no age to compare with; that it did not take longer than tombstones live is measured by the
 * boottime clock, since one that is interrupted begins anew.
 *
 * From then on a master does not age: no delete of others counts before a newer CLAIM, which it would read first.
 */
#include "partition/checkpoint.h"

#include "partition/state.h"

int64_t aff_checkpoint_age_limit_ms(int64_t tombstone_retention_ms)
{
    int64_t hour = 3600 * INT64_C(1000), lives = tombstone_retention_ms;

    return lives > 2 * hour ? lives - hour : lives / 2;
}

int64_t aff_core_age_limit(const struct aff_core *core)
{
    return aff_checkpoint_age_limit_ms(core->opts.tombstone_retention_ms);
}

/* The end of the log was reached: was what was read first still there when the last was read? */
bool aff_core_first_reading_ok(const struct aff_core *core)
{
    return core->caught_up_ms != AFF_NO_TIME || core->mark_offset >= 0 || AFF_WEAK(core, CHECKPOINT) ||
           (aff_boot_ns(core->w.clock) - core->begun_boot_ns) / AFF_NS_PER_MS < aff_core_age_limit(core);
}

/* The end was reached, everything below is applied. */
void aff_core_age_mark(struct aff_core *core)
{
    if (core->mark_offset >= 0)
        return;
    core->mark_offset = core->frontier;
    core->mark_ms = core->last_time_ms;
}

static bool is_too_old(const struct aff_core *core, int64_t time_ms)
{
    return core->caught_up_ms != AFF_NO_TIME && time_ms - core->caught_up_ms >= aff_core_age_limit(core) &&
           !AFF_WEAK(core, CHECKPOINT);
}

/* A record was read by one that does not lead. False: the state below it is too old to be carried forward. */
bool aff_core_age_ok(struct aff_core *core, int64_t offset, int64_t time_ms)
{
    if (is_too_old(core, time_ms))
        return false;
    if (core->mark_offset >= 0 && offset >= core->mark_offset) {
        /* with no hole before it, every delete from here on is younger than this very record */
        bool next = offset == core->mark_offset;

        core->caught_up_ms = next || core->mark_ms == AFF_NO_TIME ? time_ms : core->mark_ms;
        core->mark_offset = -1;
    }
    return !is_too_old(core, time_ms); /* again: a first reading has no age before its mark */
}

/* A master's own record is in the log, and valid. The first behind its CLAIM was appended after all below that was
 * read. */
bool aff_core_age_own(struct aff_core *core, int64_t time_ms)
{
    if (core->mark_offset >= 0 && is_too_old(core, time_ms))
        return false;
    core->mark_offset = -1;
    core->caught_up_ms = time_ms;
    return true;
}

enum { CHECKPOINT_VERSION = 1, APPLIED_AT = 27 };

int aff_core_checkpoint_save(struct aff_core *core)
{
    unsigned char b[AFF_CHECKPOINT_MAX], *p = b;

    *p++ = CHECKPOINT_VERSION;
    *p++ = core->has_identity;
    *p++ = core->hole;
    memcpy(p, core->identity, AFF_IDENTITY_LEN), p += AFF_IDENTITY_LEN;
    aff_put_u64(p, core->opts.partitions), p += 8;
    assert(p == b + APPLIED_AT);
    aff_put_u64(p, (uint64_t)core->frontier), p += 8;
    aff_put_u64(p, core->cur.epoch), p += 8;
    aff_put_u64(p, core->cur.nonce), p += 8;
    aff_put_u64(p, core->cur.seq), p += 8;
    aff_put_u64(p, (uint64_t)core->claim_offset), p += 8;
    aff_put_u64(p, (uint64_t)core->caught_up_ms), p += 8;
    aff_put_u64(p, core->opts.index), p += 8;
    assert(p == b + AFF_CHECKPOINT_LEN);
    memcpy(p, core->route.data, core->route.len);
    return core->w.store->meta_put(core->w.store, AFF_CHECKPOINT, aff_bytes_of(b, AFF_CHECKPOINT_LEN + core->route.len));
}

static bool is_of_this_release(aff_bytes checkpoint)
{
    return checkpoint.len >= AFF_CHECKPOINT_LEN && checkpoint.len < AFF_CHECKPOINT_MAX &&
           ((const unsigned char *)checkpoint.data)[0] == CHECKPOINT_VERSION;
}

aff_bytes aff_route_told(const struct aff_key_route *route, char room[AFF_KEY_ROUTE_TEXT_MAX])
{
    return aff_str(route && route->nth > 0 ? aff_key_route_print(route, room) : "");
}

bool aff_checkpoint_route(aff_bytes checkpoint, aff_bytes *ret_text)
{
    if (!is_of_this_release(checkpoint))
        return false;
    *ret_text = aff_bytes_of((const char *)checkpoint.data + AFF_CHECKPOINT_LEN, checkpoint.len - AFF_CHECKPOINT_LEN);
    return true;
}

bool aff_checkpoint_applied(aff_bytes checkpoint, int64_t *ret_offset)
{
    const unsigned char *b = checkpoint.data;

    if (!is_of_this_release(checkpoint))
        return false;
    *ret_offset = (int64_t)aff_get_u64(b + APPLIED_AT);
    return true;
}

/* Dirty keys that were kept: how many, and where the first of their records stands. */
static int load_dirty(struct aff_core *core)
{
    struct aff_world_store *s = core->w.store;
    unsigned char at[AFF_KEY_MAX];
    aff_bytes key, value, after = aff_str("");
    int found;

    core->dirty = s->table_count(s, AFF_TABLE_DIRTY);
    core->first_dirty = core->frontier;
    while (core->dirty > 0 && (found = s->table_next(s, AFF_TABLE_DIRTY, after, &key, &value)) != 0) {
        if (found < 0)
            return found;
        if (value.len == 8 && (int64_t)aff_get_u64(value.data) < core->first_dirty)
            core->first_dirty = (int64_t)aff_get_u64(value.data);
        after = aff_bytes_of(memcpy(at, key.data, key.len), key.len);
    }
    return 0;
}

/* AFF_ECORRUPT: of another partition, partition count or route. AFF_EINVAL: of another release. */
int aff_core_checkpoint_load(struct aff_core *core)
{
    aff_bytes value, route, identity;
    struct aff_cursor c;
    uint8_t has_identity, hole;
    int code = core->w.store->meta_get(core->w.store, AFF_CHECKPOINT, &value);

    if (code != 1)
        return code;
    if (!aff_checkpoint_route(value, &route))
        return AFF_EINVAL;
    if (!aff_bytes_equal(route, core->route))
        return AFF_ECORRUPT;
    c = aff_cursor_of(value);
    (void)aff_cursor_u8(&c); /* version */
    has_identity = aff_cursor_u8(&c);
    hole = aff_cursor_u8(&c);
    identity = aff_cursor_take(&c, AFF_IDENTITY_LEN);
    if (aff_cursor_u64(&c) != core->opts.partitions)
        return AFF_ECORRUPT;
    core->frontier = (int64_t)aff_cursor_u64(&c);
    core->cur.epoch = aff_cursor_u64(&c);
    core->cur.nonce = aff_cursor_u64(&c);
    core->cur.seq = aff_cursor_u64(&c);
    core->claim_offset = (int64_t)aff_cursor_u64(&c);
    core->caught_up_ms = core->last_time_ms = (int64_t)aff_cursor_u64(&c);
    if (aff_cursor_u64(&c) != core->opts.index)
        return AFF_ECORRUPT;
    core->has_identity = has_identity;
    core->hole = hole;
    memcpy(core->identity, identity.data, AFF_IDENTITY_LEN);
    code = load_dirty(core);
    return code == 0 ? 1 : code;
}
