/*
 * checkpoint.c - how far the store is applied, in the same transaction as the data (I8).
 *
 * Whether a store may be resumed is decided here and in follow.c: log identity and partition count match, the CLAIM that
 * the checkpoint names still stands in the log, the offset is inside the log, and no record read afterwards is younger
 * than the checkpoint by more than tombstones live (else deleted keys would come back).
 */
#include "partition/state.h"

enum { CHECKPOINT_VERSION = 1, CHECKPOINT_LEN = 83 };

int aff_core_checkpoint_save(struct aff_core *core)
{
    unsigned char b[CHECKPOINT_LEN], *p = b;

    *p++ = CHECKPOINT_VERSION;
    *p++ = core->has_identity;
    *p++ = core->hole;
    memcpy(p, core->identity, AFF_IDENTITY_LEN), p += AFF_IDENTITY_LEN;
    aff_put_u64(p, core->opts.partitions), p += 8;
    aff_put_u64(p, (uint64_t)core->frontier), p += 8;
    aff_put_u64(p, core->cur.epoch), p += 8;
    aff_put_u64(p, core->cur.nonce), p += 8;
    aff_put_u64(p, core->cur.seq), p += 8;
    aff_put_u64(p, (uint64_t)core->claim_offset), p += 8;
    aff_put_u64(p, (uint64_t)core->caught_up_ms), p += 8;
    aff_put_u64(p, core->opts.index), p += 8;
    assert(p == b + sizeof b);
    return core->w.store->meta_put(core->w.store, "checkpoint", aff_bytes_of(b, sizeof b));
}

int aff_core_checkpoint_load(struct aff_core *core)
{
    aff_bytes value;
    struct aff_cursor c;
    uint8_t version, has_identity, hole;
    aff_bytes identity;
    int code = core->w.store->meta_get(core->w.store, "checkpoint", &value);

    if (code != 1)
        return code;
    c = aff_cursor_of(value);
    version = aff_cursor_u8(&c);
    has_identity = aff_cursor_u8(&c);
    hole = aff_cursor_u8(&c);
    identity = aff_cursor_take(&c, AFF_IDENTITY_LEN);
    if (value.len != CHECKPOINT_LEN || version != CHECKPOINT_VERSION || aff_cursor_u64(&c) != core->opts.partitions)
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
    core->dirty = core->w.store->table_count(core->w.store, AFF_TABLE_DIRTY);
    core->resumed = true;
    return 1;
}
