/*
 * partition.c - effects of the core: records go to the changelog, values to the store, grants come from the coordinator. No
 * decision is taken here. Neighbours: core.h (decides), router/router.c (brings operations), node/ (makes it).
 * Runs on the partition's loop; aff_partition_shared is read by all.
 */
#include "partition/partition.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/fault.h"
#include "partition/checkpoint.h"

#include <assert.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum { READ_BYTES = 1024 * 1024, RESTART_S = 5, INDEX_BYTES = 64 * 1024, INDEX_RETRY_S = 5 };

struct aff_partition_group {
    struct aff_loop *loop;
    struct aff_hook hook;
    struct aff_list touched; /* partitions that something happened to in this pass */
};

struct aff_partition {
    struct aff_partition_shared shared;
    struct aff_partition_group *group;
    struct aff_list touched;
    struct aff_timer timer, restart, indexing;
    char keyspace[64], topic[256];
    struct aff_core_opts core_opts;
    struct aff_core *core;
    struct aff_store *store;
    struct aff_finder finder;
    struct aff_changelog *changelog;
    struct aff_changelog_part *log;
    struct aff_coordinator *coordinator;
    struct aff_changelog_sink sink;
    struct aff_seat seat;
    struct aff_world_log world_log;
    struct aff_world_store world_store;
    struct aff_world_coordinator world_coordinator;
    struct aff_world_entropy world_entropy;
    struct aff_world_host world_host;
    struct aff_record record; /* the one being decoded */
    struct aff_buf header;    /* of the one being encoded */
    bool started, stopped, leading_wanted;
    bool deposed; /* and not granted an epoch since */
};

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
    return aff_container_of(w, struct aff_partition, world_store)->store;
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

/* ---- coordinator, entropy, host ---- */

static void coordinator_request_epoch(struct aff_world_coordinator *w, uint32_t above)
{
    struct aff_partition *p = aff_container_of(w, struct aff_partition, world_coordinator);

    p->coordinator->ops->request_epoch(p->coordinator, &p->seat, above);
}

static void coordinator_deposed(struct aff_world_coordinator *w, aff_epoch newer)
{
    struct aff_partition *p = aff_container_of(w, struct aff_partition, world_coordinator);

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

static int64_t coordinator_lease_until(struct aff_world_coordinator *w)
{
    struct aff_partition *p = aff_container_of(w, struct aff_partition, world_coordinator);

    return p->coordinator->ops->lease_until(p->coordinator);
}

static uint64_t entropy_u64(struct aff_world_entropy *e)
{
    uint64_t v = 0;

    (void)e;
    while (getrandom(&v, sizeof v, 0) != (ssize_t)sizeof v)
        if (errno != EINTR)
            abort(); /* no entropy: nothing that needs to be unique may be made */
    return v;
}

static void publish_numbers(struct aff_partition *p, const struct aff_standing *s)
{
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

    if (s->failure)
        snprintf(p->shared.failure, sizeof p->shared.failure, "%s", s->failure);
    publish_numbers(p, s);
    atomic_store(&p->shared.serves, s->serves); /* before the core goes on: no reader is served by an old mastership (I5) */
    atomic_store(&p->shared.role, s->role);
}

/* ---- the end of a pass ---- */

static void touch(struct aff_partition *p)
{
    if (aff_list_empty(&p->touched))
        aff_list_append(&p->group->touched, &p->touched);
}

static void core_make(struct aff_partition *p);

static void restart_later(struct aff_partition *p)
{
    if (!aff_heap_has(&p->restart.node))
        aff_loop_timer_set(p->group->loop, &p->restart,
                           aff_mono_ns(aff_loop_clock(p->group->loop)) + RESTART_S * AFF_NS_PER_S);
}

static void close_log(struct aff_partition *p)
{
    if (p->log)
        p->changelog->ops->close(p->log);
    p->log = NULL;
}

static bool open_log(struct aff_partition *p)
{
    aff_error err = { 0 };

    if (p->log || p->changelog->ops->open(p->changelog, p->topic, p->core_opts.index, p->group->loop, &p->sink, &p->log,
                                          &err) == 0)
        return true;
    snprintf(p->shared.failure, sizeof p->shared.failure, "%.*s", (int)sizeof p->shared.failure - 1, err.text);
    atomic_store(&p->shared.role, AFF_ROLE_FAILED);
    restart_later(p);
    return false;
}

/* A failed replica tries again from its checkpoint: what was missing may be back (space, a readable log). */
static void fire_restart(struct aff_timer *timer)
{
    struct aff_partition *p = aff_container_of(timer, struct aff_partition, restart);

    close_log(p); /* what it knew of the log is not held against what is there now */
    if (!open_log(p))
        return;
    aff_core_free(p->core);
    aff_store_abort(p->store);
    core_make(p);
    aff_core_start(p->core);
    if (p->leading_wanted)
        aff_core_lead(p->core);
    touch(p);
}

static void fire_tick(struct aff_timer *timer)
{
    struct aff_partition *p = aff_container_of(timer, struct aff_partition, timer);

    aff_core_tick(p->core);
    touch(p);
}

static void plan(struct aff_partition *p)
{
    int64_t next = aff_core_next_tick(p->core);

    if (next == INT64_MAX)
        aff_loop_timer_cancel(p->group->loop, &p->timer);
    else if (!aff_heap_has(&p->timer.node) || p->timer.node.key != next)
        aff_loop_timer_set(p->group->loop, &p->timer, next);
}

static void fire_indexing(struct aff_timer *timer)
{
    touch(aff_container_of(timer, struct aff_partition, indexing));
}

/* A slice of building an index that was declared, or of removing one that was. True: there is more to do at once. */
static bool build_indexes(struct aff_partition *p)
{
    int code;

    if (!aff_store_index_pending(p->store) || aff_heap_has(&p->indexing.node))
        return false;
    code = aff_store_index_step(p->store, INDEX_BYTES);
    if (code >= 0 || code == AFF_EAGAIN)
        return code != 0;
    aff_log(aff_loop_logger(p->group->loop), WARN, "partition.index", aff_f_str("keyspace", p->keyspace),
            aff_f_int("partition", p->core_opts.index), aff_f_str("reason", aff_error_title(code)));
    aff_loop_timer_set(p->group->loop, &p->indexing,
                       aff_mono_ns(aff_loop_clock(p->group->loop)) + INDEX_RETRY_S * AFF_NS_PER_S);
    return false;
}

static bool flush_one(struct aff_partition *p)
{
    struct aff_standing s;
    bool more = aff_core_flush(p->core);

    aff_core_standing(p->core, &s);
    publish_numbers(p, &s);
    if (s.role == AFF_ROLE_FAILED) {
        aff_store_abort(p->store);
        restart_later(p);
    } else if (build_indexes(p)) {
        more = true;
    }
    if (!more && aff_core_idle(p->core))
        aff_store_abort(p->store); /* of a look-up: an idle partition holds no transaction */
    plan(p);
    return more;
}

static bool end_pass(struct aff_hook *hook)
{
    struct aff_partition_group *g = aff_container_of(hook, struct aff_partition_group, hook);
    struct aff_list now, *node;

    aff_list_init(&now);
    aff_list_splice(&now, &g->touched);
    while ((node = aff_list_take(&now))) {
        struct aff_partition *p = aff_container_of(node, struct aff_partition, touched);

        if (flush_one(p))
            touch(p);
    }
    return !aff_list_empty(&g->touched);
}

struct aff_partition_group *aff_partition_group_new(struct aff_loop *loop)
{
    struct aff_partition_group *g = aff_xcalloc(1, sizeof *g);

    g->loop = loop;
    g->hook.run = end_pass;
    aff_list_init(&g->touched);
    aff_loop_hook_add(loop, &g->hook, AFF_STAGE_PARTITION);
    return g;
}

struct aff_partition_group *aff_partition_group_free(struct aff_partition_group *g)
{
    if (!g)
        return NULL;
    aff_loop_hook_remove(&g->hook);
    free(g);
    return NULL;
}

/* ---- events ---- */

static void on_reports(struct aff_changelog_sink *sink, const struct aff_report *reports, size_t count)
{
    struct aff_partition *p = aff_container_of(sink, struct aff_partition, sink);

    (void)aff_fault("partition.before-report");
    for (size_t i = 0; i < count; i++)
        aff_core_report(p->core, &reports[i]);
    touch(p);
}

static void on_entries(struct aff_changelog_sink *sink, const struct aff_batch *batch)
{
    struct aff_partition *p = aff_container_of(sink, struct aff_partition, sink);

    for (size_t i = 0; i < batch->count; i++) {
        aff_record_decode(&batch->entries[i], &p->record);
        if (!aff_core_record(p->core, batch->ticket, &p->record))
            break;
    }
    aff_core_read_done(p->core, batch->ticket, batch->status, batch->next, batch->start, batch->end);
    touch(p);
}

/* A replica is held from the start on. */
static void on_host(struct aff_seat *seat)
{
    (void)seat;
}

static void on_lead(struct aff_seat *seat)
{
    struct aff_partition *p = aff_container_of(seat, struct aff_partition, seat);

    p->leading_wanted = true;
    aff_core_lead(p->core);
    touch(p);
}

static void on_resign(struct aff_seat *seat)
{
    struct aff_partition *p = aff_container_of(seat, struct aff_partition, seat);

    p->leading_wanted = false;
    aff_core_resign(p->core);
    touch(p);
}

static void on_granted(struct aff_seat *seat, uint32_t major)
{
    struct aff_partition *p = aff_container_of(seat, struct aff_partition, seat);

    p->deposed = false;
    aff_core_granted(p->core, major);
    touch(p);
}

/* ---- life ---- */

static void core_make(struct aff_partition *p)
{
    struct aff_world world = {
        .log = &p->world_log,
        .store = &p->world_store,
        .coordinator = &p->world_coordinator,
        .clock = aff_loop_clock(p->group->loop),
        .entropy = &p->world_entropy,
        .host = &p->world_host,
        .logger = aff_loop_logger(p->group->loop),
    };

    aff_core_new(&p->core_opts, &world, &p->core);
}

static void wire(struct aff_partition *p)
{
    p->world_log = (struct aff_world_log){ log_append, log_read, log_reset, log_keep_from };
    p->world_store = store_functions;
    p->world_coordinator = (struct aff_world_coordinator){ coordinator_request_epoch, coordinator_deposed,
                                                           coordinator_heard, coordinator_lease_until };
    p->world_entropy.u64 = entropy_u64;
    p->world_host.changed = host_changed;
    p->sink = (struct aff_changelog_sink){ on_reports, on_entries };
    p->seat = (struct aff_seat){ .host = on_host, .lead = on_lead, .resign = on_resign, .granted = on_granted,
                                 .loop = p->group->loop, .keyspace = p->keyspace, .partition = p->core_opts.index };
    p->timer.fire = fire_tick;
    p->restart.fire = fire_restart;
    p->indexing.fire = fire_indexing;
    aff_list_init(&p->touched);
    aff_buf_init(&p->header);
}

/* The store must have been filled by the route that this start has: its partition would be another one for most keys. */
static int check_route(struct aff_partition *p, aff_error *err)
{
    unsigned char checkpoint[AFF_CHECKPOINT_MAX];
    char room[AFF_KEY_ROUTE_TEXT_MAX];
    aff_bytes ours = aff_route_told(p->core_opts.route, room), stored;
    size_t len = 0;
    int found = aff_store_meta_committed(p->store, AFF_CHECKPOINT, checkpoint, sizeof checkpoint, &len);

    if (found != 1 || !aff_checkpoint_route(aff_bytes_of(checkpoint, len), &stored) || aff_bytes_equal(stored, ours))
        return 0; /* what else may be wrong with it is found when the partition starts */
    return aff_fail_with(err, AFF_ECONFIG,
                         "its data was written with route: %.*s and the configuration says route: %.*s; the route is fixed for "
                         "the life of a keyspace",
                         stored.len ? (int)stored.len : 9, stored.len ? (const char *)stored.data : "whole-key",
                         ours.len ? (int)ours.len : 9, ours.len ? (const char *)ours.data : "whole-key");
}

int aff_partition_new(const struct aff_partition_opts *opts, struct aff_partition **ret_part, aff_error *err)
{
    struct aff_partition *p = aff_xcalloc(1, sizeof *p);
    bool fresh;
    int code;

    p->group = opts->group;
    p->core_opts = opts->core;
    snprintf(p->keyspace, sizeof p->keyspace, "%s", opts->core.keyspace);
    p->core_opts.keyspace = p->keyspace;
    snprintf(p->topic, sizeof p->topic, "%s", opts->topic);
    p->changelog = opts->changelog;
    p->coordinator = opts->coordinator;
    wire(p);
    aff_finder_init(&p->finder);
    if (opts->finder)
        p->finder = *opts->finder;
    p->finder.partition = opts->core.index;
    struct aff_store_opts store = opts->store;
    store.indexes = &p->finder.base;
    code = aff_store_open(&store, &p->store, &fresh, err);
    if (code == 0)
        code = check_route(p, err);
    if (code != 0) {
        aff_partition_free(p);
        return code;
    }
    core_make(p);
    *ret_part = p;
    return 0;
}

void aff_partition_stop(struct aff_partition *p)
{
    if (p->stopped)
        return;
    p->stopped = true;
    atomic_store(&p->shared.serves, false); /* before the lock on the log goes, which is the lease (I5) */
    if (p->started)
        p->coordinator->ops->leave(p->coordinator, &p->seat);
    close_log(p);
    p->core = aff_core_free(p->core);
    if (p->store)
        aff_store_abort(p->store); /* LMDB wants a transaction to end on the thread that began it */
    aff_loop_timer_cancel(p->group->loop, &p->timer);
    aff_loop_timer_cancel(p->group->loop, &p->restart);
    aff_loop_timer_cancel(p->group->loop, &p->indexing);
    aff_list_remove(&p->touched);
}

struct aff_partition *aff_partition_free(struct aff_partition *p)
{
    if (!p)
        return NULL;
    aff_partition_stop(p);
    aff_store_close(p->store);
    aff_buf_fini(&p->header);
    free(p);
    return NULL;
}

void aff_partition_start(struct aff_partition *p)
{
    aff_error err;

    p->started = true;
    if (open_log(p))
        aff_core_start(p->core);
    p->coordinator->ops->take(p->coordinator, &p->seat, &err);
    touch(p);
}

/* ---- from the router ---- */

void aff_partition_submit(struct aff_partition *p, struct aff_op *op)
{
    assert(aff_loop_here(p->group->loop));
    if (p->stopped) {
        op->result = (struct aff_result){ .code = AFF_ECLOSED, .outcome = AFF_OUTCOME_NOT_APPLIED };
        op->done(op);
        op->release(op);
        return;
    }
    aff_core_submit(p->core, op);
    touch(p);
}

void aff_partition_drain(struct aff_partition *p)
{
    if (!p->stopped)
        aff_core_drain(p->core);
}

bool aff_partition_idle(const struct aff_partition *p)
{
    return p->stopped || aff_core_idle(p->core);
}

bool aff_partition_leads(const struct aff_partition *p)
{
    int role = atomic_load(&p->shared.role);

    return role == AFF_ROLE_MASTER || role == AFF_ROLE_SETTLING;
}

enum aff_outcome aff_partition_outcome(struct aff_partition *p, struct aff_stamp stamp)
{
    return !p->stopped && aff_partition_leads(p) ? aff_core_outcome(p->core, stamp) : AFF_OUTCOME_NONE;
}

const char *aff_partition_keyspace(const struct aff_partition *p)
{
    return p->keyspace;
}

uint32_t aff_partition_index(const struct aff_partition *p)
{
    return p->core_opts.index;
}

struct aff_loop *aff_partition_loop(const struct aff_partition *p)
{
    return p->group->loop;
}

struct aff_store *aff_partition_store(const struct aff_partition *p)
{
    return p->store;
}

const struct aff_finder *aff_partition_finder(const struct aff_partition *p)
{
    return p->finder.base.count ? &p->finder : NULL;
}

struct aff_partition_shared *aff_partition_shared(struct aff_partition *p)
{
    return &p->shared;
}

int aff_partition_may_serve(struct aff_partition *p)
{
    if (!atomic_load(&p->shared.serves))
        return AFF_ENOMASTER;
    if (p->coordinator->ops->lease_until(p->coordinator) > aff_boot_ns(aff_loop_clock(p->group->loop)))
        return 0;
    return AFF_EAGAIN;
}
