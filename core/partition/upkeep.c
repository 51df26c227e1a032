/*
 * upkeep.c - what a master does without being asked: repairs void records (I6), lets expired keys go, appends barriers
 * while idle so that a zombie's late record is noticed, and, like every replica, forgets old idempotency ids.
 */
#include "partition/state.h"

enum { PRUNE_EVERY_S = 60, PRUNE_BATCH = 512, EXPIRE_BATCH = 128, EXPIRE_AGAIN_MS = 10 };

/* A record that no client asked for; it is forgotten when the log does not take it. */
static bool hand_over(struct aff_core *core, struct aff_flight *f)
{
    if (aff_core_flight_send(core, f) == 0)
        return true;
    aff_core_flight_free(core, f);
    return false;
}

/* ---- repairs ---- */

/* The value that the void record hides is told again, with its version. NULL: the core has failed. */
static struct aff_flight *repair_of_value(struct aff_core *core, aff_bytes key)
{
    struct aff_flight *f;
    struct aff_item item;
    int found = core->w.store->get(core->w.store, key, &item);

    if (!aff_core_store_ok(core, found))
        return NULL;
    f = aff_core_flight_new(core, AFF_KIND_REPAIR, aff_core_slot(core, key, true));
    if (found == 0)
        return f; /* a tombstone: the void record hides a delete, or nothing */
    f->owned = aff_xmalloc(item.value.len + item.content_type.len + 1);
    memcpy(f->owned, item.value.data, item.value.len);
    memcpy((char *)f->owned + item.value.len, item.content_type.data, item.content_type.len);
    f->value = aff_bytes_of(f->owned, item.value.len);
    f->content_type = aff_bytes_of((char *)f->owned + item.value.len, item.content_type.len);
    f->kept_offset = item.version.offset;
    f->kept_time_ms = item.version.time_ms;
    f->expires_ms = item.version.expires_ms;
    f->event_ms = item.version.event_ms;
    return f;
}

/* A void CLAIM hides nothing but, perhaps, itself: of a mastership that counts it is told again, else it is
 * withdrawn. */
static struct aff_flight *repair_of_control(struct aff_core *core, aff_bytes key)
{
    bool barrier = aff_bytes_equal(key, aff_bytes_of(AFF_BARRIER_KEY, AFF_BARRIER_KEY_LEN));
    int counts = aff_core_epoch_known(core, key);
    struct aff_flight *f;

    if (counts == 1 && !aff_claim_encode(core->identity, NULL, 0, &core->buf))
        counts = AFF_ENOMEM;
    if (!aff_core_store_ok(core, counts))
        return NULL;
    f = aff_core_flight_new(core, barrier ? AFF_KIND_BARRIER : AFF_KIND_REPAIR, aff_core_slot(core, key, true));
    if (barrier) {
        f->value = aff_str("");
    } else if (counts == 1) {
        f->owned = aff_xmemdup(core->buf.data, core->buf.len);
        f->value = aff_bytes_of(f->owned, core->buf.len);
    }
    return f;
}

/* In a hand-over repairs come first, and writes that wait for a key have to wait for its repair. */
static bool may_repair(const struct aff_core *core)
{
    return aff_core_may_append(core) ||
           (core->give.step == AFF_GIVE_DRAINING && core->role == AFF_ROLE_MASTER && !core->resigning && !core->stalled &&
            core->flight_count < core->opts.window);
}

/* Sends one repair; false: the log takes no more now, or the core has failed. */
static bool repair_key(struct aff_core *core, aff_bytes key)
{
    struct aff_slot *slot = aff_core_slot(core, key, false);
    struct aff_flight *f;

    if (slot && (slot->flight || core->give.step == AFF_GIVE_NONE))
        return true; /* a write of this key is under way and will do, or its turn comes */
    if (slot)
        aff_list_remove(&slot->ready); /* until it is repaired */
    f = aff_key_is_control(key) ? repair_of_control(core, key) : repair_of_value(core, key);
    return f && hand_over(core, f);
}

void aff_core_repair(struct aff_core *core)
{
    unsigned char at[AFF_KEY_MAX];
    aff_bytes key, value, after = aff_str("");
    int found;

    if (core->dirty == 0 || AFF_WEAK(core, REPAIR))
        return;
    while (may_repair(core)) {
        found = core->w.store->table_next(core->w.store, AFF_TABLE_DIRTY, after, &key, &value);
        if (!aff_core_store_ok(core, found) || found == 0)
            return;
        after = aff_bytes_of(memcpy(at, key.data, key.len), key.len);
        if (!repair_key(core, after))
            return;
    }
}

/* ---- barriers ---- */

static bool send_barrier(struct aff_core *core)
{
    struct aff_flight *f = aff_core_flight_new(core, AFF_KIND_BARRIER, NULL);

    f->key = aff_bytes_of(AFF_BARRIER_KEY, AFF_BARRIER_KEY_LEN);
    f->value = aff_str("");
    return hand_over(core, f);
}

/*
 * Do reads wait that no record will prove? One barrier at a time: those who come later share the next. One also asks a log that
 * was not as it must be whether it is again.
 */
bool aff_core_barrier_due(const struct aff_core *core)
{
    return core->role == AFF_ROLE_MASTER && !core->stalled && core->barriers == 0 && core->give.step == AFF_GIVE_NONE &&
           (core->unsafe || !aff_list_empty(&core->proofs));
}

void aff_core_barrier(struct aff_core *core)
{
    if (aff_core_barrier_due(core))
        send_barrier(core);
}

void aff_core_plan_idle(struct aff_core *core)
{
    static const int64_t first[] = { 1, 10 - 1, 60 - 10 }; /* 1, 10 and 60 s after the claim */
    int64_t now = aff_core_now(core), wait = core->opts.compaction_lag_ms / 6 * AFF_NS_PER_MS;

    if (core->opts.heartbeat_ms > 0)
        wait = core->opts.heartbeat_ms * AFF_NS_PER_MS;
    else if (core->idle_step < sizeof first / sizeof *first && first[core->idle_step] * AFF_NS_PER_S < wait)
        wait = first[core->idle_step] * AFF_NS_PER_S;
    if (core->mark_offset >= 0 && aff_core_age_limit(core) / 2 < wait / AFF_NS_PER_MS)
        wait = aff_core_age_limit(core) / 2 * AFF_NS_PER_MS; /* the first record must come in time (checkpoint.c) */
    core->idle_step++;
    core->next_idle_ns = now + (wait > AFF_NS_PER_MS ? wait : AFF_NS_PER_MS);
}

void aff_core_idle_barrier(struct aff_core *core)
{
    bool beats = core->opts.heartbeat_ms > 0 && core->barriers > 0; /* none is piled up on one that is under way */

    if (core->role != AFF_ROLE_MASTER) {
        core->next_idle_ns = INT64_MAX;
        return;
    }
    if (AFF_WEAK(core, TAIL) || beats || (aff_core_may_append(core) && send_barrier(core)))
        aff_core_plan_idle(core);
    else
        core->next_idle_ns = aff_core_now(core) + AFF_NS_PER_S;
}

/* ---- expiry: a key exists until the master's tombstone is committed; nobody filters by clock ---- */

static bool send_tombstone(struct aff_core *core, aff_bytes key, enum aff_kind kind)
{
    if (aff_core_slot(core, key, false))
        return false;
    return hand_over(core, aff_core_flight_new(core, kind, aff_core_slot(core, key, true)));
}

/* A value with this lifetime was applied: look again when it ends, a second from now at most (the wall clock may be
 * set). */
void aff_core_plan_expiry(struct aff_core *core, int64_t expires_ms)
{
    int64_t wait_ms, due;

    if (core->role != AFF_ROLE_MASTER)
        return;
    wait_ms = expires_ms - aff_wall_ms(core->w.clock);
    due = aff_core_now(core) + (wait_ms < 0 ? 0 : wait_ms < 1000 ? wait_ms : 1000) * AFF_NS_PER_MS;
    if (due < core->next_expiry_ns)
        core->next_expiry_ns = due;
}

/* Keys whose time has come get their tombstones, others wait; a key that is being written is looked at again. */
void aff_core_expire_keys(struct aff_core *core)
{
    struct aff_expiry_cursor cursor = { .started = false };
    struct aff_version version;
    int64_t wall = aff_wall_ms(core->w.clock);
    int found = 1, busy = 0, sent = 0;

    core->next_expiry_ns = INT64_MAX;
    while (sent < EXPIRE_BATCH && aff_core_may_append(core)) {
        found = core->w.store->expired(core->w.store, INT64_MAX, &cursor, &version);
        if (!aff_core_store_ok(core, found) || found == 0)
            break;
        if (cursor.expires_ms > wall) {
            aff_core_plan_expiry(core, cursor.expires_ms);
            break;
        }
        if (send_tombstone(core, aff_bytes_of(cursor.key, cursor.key_len), AFF_KIND_DATA))
            sent++;
        else
            busy++;
    }
    if (core->role == AFF_ROLE_MASTER && (busy + sent > 0 || !aff_core_may_append(core)))
        core->next_expiry_ns = aff_core_now(core) + EXPIRE_AGAIN_MS * AFF_NS_PER_MS;
}

/* ---- forgetting ---- */

/* True: there are more. */
static bool prune_ids(struct aff_core *core)
{
    for (int i = 0; i < PRUNE_BATCH; i++)
        if (!aff_core_idem_forget(core))
            return false;
    return true;
}

/*
 * Claims of an ended mastership are withdrawn once the one that ended it is older than tombstones live: no zombie of
 * before can be told valid by a reader that misses them.
 */
static void prune_claims(struct aff_core *core)
{
    struct aff_world_store *s = core->w.store;
    aff_bytes key, value;
    char name[AFF_CONTROL_KEY_MAX];
    struct aff_stamp stamp = { 0 };

    if (!aff_core_may_append(core) || s->table_next(s, AFF_TABLE_EPOCHS, aff_str(""), &key, &value) != 1 ||
        key.len != 16 || value.len != 17)
        return;
    if (core->last_time_ms - (int64_t)aff_get_u64((const char *)value.data + 9) <= core->opts.tombstone_retention_ms)
        return;
    stamp.epoch = aff_get_u64(key.data);
    stamp.nonce = aff_get_u64((const char *)key.data + 8);
    send_tombstone(core, aff_bytes_of(name, aff_claim_key(stamp, name)), AFF_KIND_REPAIR);
}

void aff_core_prune(struct aff_core *core)
{
    bool more = false;

    if (core->last_time_ms != AFF_NO_TIME && core->role != AFF_ROLE_OPENING) {
        more = prune_ids(core);
        prune_claims(core);
    }
    if (core->role != AFF_ROLE_FAILED)
        core->next_prune_ns = aff_core_now(core) + (more ? AFF_NS_PER_MS : PRUNE_EVERY_S * AFF_NS_PER_S);
}
