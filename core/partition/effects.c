/*
 * effects.c - the world of the core (world.h) on a real node: records go to the changelog, values to the store, grants come from
 * the coordinator, and what others may see is published. No decision is taken here. Neighbours: core.h (decides), partition.c
 * (brings the events). On the partition's loop.
 */
#include "partition/inner.h"

#include "base/fault.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum { READ_BYTES = 1024 * 1024 };

/* ---- log ---- */

static int log_append(struct aff_world_log *w, const struct aff_record *rec)
{
    struct aff_partition *p = aff_container_of(w, struct aff_partition, world_log);
    char event_time[24];
    struct aff_entry entry = { .key = rec->key, .value = rec->value, .traceparent = rec->traceparent };

    if (!aff_record_encode(rec, &p->header))
        return AFF_EAGAIN;
    entry.aff = aff_buf_view(&p->header);
    if (rec->content_type.len > 0)
        entry.content_type = rec->content_type;
    if (rec->event_ms != AFF_NO_TIME)
        entry.event_time = aff_bytes_of(event_time, (size_t)snprintf(event_time, sizeof event_time, "%lld",
                                                                     (long long)rec->event_ms));
    (void)aff_fault("partition.before-append");
    if (rec->kind == AFF_KIND_REPAIR)
        atomic_fetch_add_explicit(&p->shared.repairs, 1, memory_order_relaxed);
    return p->changelog->ops->append(p->log, &entry, rec->stamp.seq);
}

static void log_read(struct aff_world_log *w, int64_t from, bool wait, uint64_t ticket)
{
    struct aff_partition *p = aff_container_of(w, struct aff_partition, world_log);

    p->changelog->ops->read(p->log, from, READ_BYTES, wait ? AFF_READ_WAIT : AFF_READ_TO_END, ticket);
}

static void log_reset(struct aff_world_log *w)
{
    struct aff_partition *p = aff_container_of(w, struct aff_partition, world_log);

    p->changelog->ops->reset(p->log);
}

static void log_keep_from(struct aff_world_log *w, int64_t offset)
{
    struct aff_partition *p = aff_container_of(w, struct aff_partition, world_log);

    p->changelog->ops->keep_from(p->log, offset);
}

/* ---- store ---- */

static struct aff_store *store_of(struct aff_world_store *w)
{
    return atomic_load_explicit(&aff_container_of(w, struct aff_partition, world_store)->store, memory_order_relaxed);
}
static int store_get(struct aff_world_store *w, aff_bytes key, struct aff_item *ret)
{
    return aff_store_get(store_of(w), key, ret);
}
static int store_put(struct aff_world_store *w, aff_bytes key, const struct aff_item *item)
{
    return aff_store_put(store_of(w), key, item);
}
static int store_del(struct aff_world_store *w, aff_bytes key)
{
    return aff_store_delete(store_of(w), key);
}
static int store_room(struct aff_world_store *w, uint64_t bytes)
{
    return aff_store_room(store_of(w), bytes);
}
static int store_index_weight(struct aff_world_store *w, aff_bytes key, const struct aff_item *item, uint64_t *ret)
{
    return aff_store_index_weight(store_of(w), key, item, ret);
}
static int store_commit(struct aff_world_store *w)
{
    (void)aff_fault("partition.before-commit");
    int code = aff_store_commit(store_of(w));
    (void)aff_fault("partition.after-commit");
    return code;
}
static int store_wipe(struct aff_world_store *w)
{
    aff_error err;

    aff_store_abort(store_of(w));
    return aff_store_wipe(store_of(w), &err);
}
static int store_expired(struct aff_world_store *w, int64_t now_ms, struct aff_expiry_cursor *c, struct aff_version *ret)
{
    return aff_store_expired(store_of(w), now_ms, c, ret);
}
static int store_meta_get(struct aff_world_store *w, const char *name, aff_bytes *ret)
{
    return aff_store_meta_get(store_of(w), name, ret);
}
static int store_meta_put(struct aff_world_store *w, const char *name, aff_bytes value)
{
    return aff_store_meta_put(store_of(w), name, value);
}
static int table_get(struct aff_world_store *w, enum aff_table t, aff_bytes key, aff_bytes *ret)
{
    return aff_store_table_get(store_of(w), t, key, ret);
}
static int table_put(struct aff_world_store *w, enum aff_table t, aff_bytes key, aff_bytes value)
{
    return aff_store_table_put(store_of(w), t, key, value);
}
static int table_del(struct aff_world_store *w, enum aff_table t, aff_bytes key)
{
    return aff_store_table_delete(store_of(w), t, key);
}
static int table_next(struct aff_world_store *w, enum aff_table t, aff_bytes after, aff_bytes *key, aff_bytes *value)
{
    return aff_store_table_next(store_of(w), t, after, key, value);
}
static uint64_t table_count(struct aff_world_store *w, enum aff_table t)
{
    return aff_store_table_count(store_of(w), t);
}

static const struct aff_world_store store_functions = {
    .get = store_get,
    .put = store_put,
    .del = store_del,
    .room = store_room,
    .index_weight = store_index_weight,
    .commit = store_commit,
    .wipe = store_wipe,
    .expired = store_expired,
    .meta_get = store_meta_get,
    .meta_put = store_meta_put,
    .table_get = table_get,
    .table_put = table_put,
    .table_del = table_del,
    .table_next = table_next,
    .table_count = table_count,
};

/* ---- numbers of hand-overs ---- */

static void count_handover(const struct aff_partition *p, int64_t *since_ns, _Atomic uint64_t *count, _Atomic uint64_t *ns)
{
    if (*since_ns == 0)
        return; /* it is counted, or there was none */
    atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
    if (ns)
        atomic_fetch_add_explicit(ns, (uint64_t)(aff_loop_now(p->group->loop) - *since_ns), memory_order_relaxed);
    *since_ns = 0;
}

static void count_not_given(struct aff_partition *p)
{
    count_handover(p, &p->giving_ns, &p->shared.not_given, NULL);
}

/* ---- coordinator ---- */

static void coordinator_request_epoch(struct aff_world_coordinator *w, uint32_t above)
{
    struct aff_partition *p = aff_container_of(w, struct aff_partition, world_coordinator);

    p->coordinator->ops->request_epoch(p->coordinator, &p->seat, above);
}

static void coordinator_deposed(struct aff_world_coordinator *w, aff_epoch newer)
{
    struct aff_partition *p = aff_container_of(w, struct aff_partition, world_coordinator);

    count_not_given(p);
    p->leading_wanted = false;
    p->deposed = true;
    p->coordinator->ops->deposed(p->coordinator, &p->seat, aff_epoch_major(newer));
}

static void coordinator_heard(struct aff_world_coordinator *w)
{
    struct aff_partition *p = aff_container_of(w, struct aff_partition, world_coordinator);

    if (p->coordinator->ops->heard)
        p->coordinator->ops->heard(p->coordinator, &p->seat);
}

/* In that order: the driver unsets leased_major before it tells of a new session. */
static int64_t coordinator_lease_until(struct aff_world_coordinator *w, uint32_t major)
{
    struct aff_partition *p = aff_container_of(w, struct aff_partition, world_coordinator);
    int64_t until = p->coordinator->ops->lease_until(p->coordinator);
    uint32_t leased = atomic_load(&p->seat.leased_major);

    return leased == major || leased == AFF_LEASED_ANY ? until : 0;
}

static void coordinator_gave(struct aff_world_coordinator *w, bool taken)
{
    struct aff_partition *p = aff_container_of(w, struct aff_partition, world_coordinator);

    if (!taken)
        count_not_given(p);
    if (p->coordinator->ops->gave)
        p->coordinator->ops->gave(p->coordinator, &p->seat, taken);
}

static void coordinator_took(struct aff_world_coordinator *w, uint32_t major)
{
    struct aff_partition *p = aff_container_of(w, struct aff_partition, world_coordinator);

    p->deposed = false;
    p->leading_wanted = true;
    if (p->coordinator->ops->took)
        p->coordinator->ops->took(p->coordinator, &p->seat, major);
}

/* ---- net ---- */

static void net_go(struct aff_world_net *w, const struct aff_go *go, int64_t deadline_ns)
{
    struct aff_partition *p = aff_container_of(w, struct aff_partition, world_net);

    p->net->go(p->net, p, &p->give, go, deadline_ns);
}

static void net_moved(struct aff_world_net *w)
{
    struct aff_partition *p = aff_container_of(w, struct aff_partition, world_net);

    count_handover(p, &p->giving_ns, &p->shared.given, &p->shared.given_ns);
    p->deposed = true;
    p->leading_wanted = false;
    if (p->events)
        p->events->moved(p->events, p, &p->give);
}

/* Several may wait: the same GO came twice, or a newer one. */
static void net_taken(struct aff_world_net *w, uint32_t major, bool leads)
{
    struct aff_partition *p = aff_container_of(w, struct aff_partition, world_net);

    count_handover(p, &p->taking_ns, leads ? &p->shared.taken : &p->shared.not_taken, leads ? &p->shared.taken_ns : NULL);
    aff_list_each (node, &p->takes) {
        struct aff_take *take = aff_container_of(node, struct aff_take, link);

        if (take->go.major != major)
            continue;
        aff_list_remove(&take->link);
        take->taken(take, leads);
    }
}

/* ---- entropy, host ---- */

static uint64_t entropy_u64(struct aff_world_entropy *e)
{
    uint64_t v = 0;

    (void)e;
    while (getrandom(&v, sizeof v, 0) != (ssize_t)sizeof v)
        if (errno != EINTR)
            abort(); /* no entropy: nothing that needs to be unique may be made */
    return v;
}

static enum aff_seat_state seat_state(const struct aff_partition *p, const struct aff_standing *s)
{
    bool leads = s->role == AFF_ROLE_MASTER || s->role == AFF_ROLE_SETTLING;
    int64_t now = aff_mono_ns(aff_loop_clock(p->group->loop));

    if (s->role == AFF_ROLE_FAILED || atomic_load(&p->shared.role) == AFF_ROLE_FAILED) /* perhaps it could not even begin */
        return AFF_SEAT_FAILED;
    if ((leads || s->role == AFF_ROLE_CLAIMING) && s->owed_since_ns && now - s->owed_since_ns >= AFF_SEAT_STALL_NS)
        return AFF_SEAT_STALLED;
    if (leads)
        return AFF_SEAT_LEADS;
    return s->role != AFF_ROLE_OPENING && s->applied >= s->log_end ? AFF_SEAT_IN_STEP : AFF_SEAT_BEHIND;
}

void aff_partition_publish(struct aff_partition *p, const struct aff_standing *s)
{
    atomic_store(&p->seat.state, seat_state(p, s));
    atomic_store(&p->seat.applied, s->applied);
    atomic_store_explicit(&p->shared.applied, s->applied, memory_order_relaxed);
    atomic_store_explicit(&p->shared.log_end, s->log_end, memory_order_relaxed);
    atomic_store_explicit(&p->shared.dirty, s->dirty, memory_order_relaxed);
    atomic_store_explicit(&p->shared.in_flight, s->in_flight, memory_order_relaxed);
    atomic_store_explicit(&p->shared.queued, s->queued, memory_order_relaxed);
    atomic_store_explicit(&p->shared.epoch, s->cur.epoch, memory_order_relaxed);
    atomic_store_explicit(&p->shared.stands_by,
                          p->deposed && s->role == AFF_ROLE_FOLLOWING && s->applied >= s->log_end, memory_order_relaxed);
    atomic_store(&p->shared.identity8, aff_get_u32(s->identity));
}

static void host_changed(struct aff_world_host *w, const struct aff_standing *s)
{
    struct aff_partition *p = aff_container_of(w, struct aff_partition, world_host);
    bool served = atomic_load(&p->shared.serves);

    if (s->failure)
        snprintf(p->shared.failure, sizeof p->shared.failure, "%s", s->failure);
    aff_partition_publish(p, s);
    atomic_store(&p->shared.major, aff_epoch_major(s->own.epoch));
    atomic_store(&p->shared.serves, s->serves); /* before the core goes on: no reader is served by an old mastership (I5) */
    atomic_store(&p->shared.role, s->role);
    if (served != s->serves)
        aff_partition_turned(p);
}

void aff_partition_world(struct aff_partition *p)
{
    p->world_log = (struct aff_world_log){ log_append, log_read, log_reset, log_keep_from };
    p->world_store = store_functions;
    p->world_coordinator = (struct aff_world_coordinator){
        .request_epoch = coordinator_request_epoch,
        .deposed = coordinator_deposed,
        .heard = coordinator_heard,
        .lease_until = coordinator_lease_until,
        .gave = coordinator_gave,
        .took = coordinator_took,
    };
    p->world_net = (struct aff_world_net){ net_go, net_moved, net_taken };
    p->world_entropy.u64 = entropy_u64;
    p->world_host.changed = host_changed;
}
