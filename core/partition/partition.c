/*
 * partition.c - a partition on its loop: hosted and not, the core's events, the end of a pass. No decision is taken here.
 * Neighbours: core.h (decides), effects.c (what it decides happens), router/router.c (brings operations), node/ (makes it).
 * Runs on the partition's loop; aff_partition_shared is read by all.
 */
#include "base/fault.h"
#include "partition/checkpoint.h"
#include "partition/inner.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { RESTART_S = 5, INDEX_BYTES = 64 * 1024, INDEX_RETRY_S = 5 };

/* ---- the end of a pass ---- */

static void touch(struct aff_partition *p)
{
    if (aff_list_empty(&p->touched))
        aff_list_append(&p->group->touched, &p->touched);
}

static struct aff_store *store_of(const struct aff_partition *p)
{
    return atomic_load_explicit(&p->store, memory_order_relaxed);
}

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

static bool open_log(struct aff_partition *p, aff_error *err)
{
    return p->log || p->changelog->ops->open(p->changelog, p->topic, p->core_opts.index, p->group->loop, &p->sink, &p->log,
                                             err) == 0;
}

/* It could not even begin: it says why, and tries again. */
static void cannot_begin(struct aff_partition *p, const aff_error *err)
{
    snprintf(p->shared.failure, sizeof p->shared.failure, "%.*s", (int)sizeof p->shared.failure - 1, err->text);
    atomic_store(&p->shared.role, AFF_ROLE_FAILED);
    atomic_store(&p->seat.state, AFF_SEAT_FAILED);
    restart_later(p);
}

void aff_partition_turned(struct aff_partition *p)
{
    if (p->events)
        p->events->turned(p->events, p);
}

/* Whoever brought a GO that this core cannot answer any more hears that it does not lead. */
static void refuse_takes(struct aff_partition *p)
{
    struct aff_list *node;

    while ((node = aff_list_take(&p->takes))) {
        struct aff_take *take = aff_container_of(node, struct aff_take, link);

        take->taken(take, false);
    }
}

static void core_end(struct aff_partition *p)
{
    p->core = aff_core_free(p->core);
    refuse_takes(p);
    if (store_of(p))
        aff_store_abort(store_of(p)); /* LMDB wants a transaction to end on the thread that began it */
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

static void fire_watch(struct aff_timer *timer)
{
    touch(aff_container_of(timer, struct aff_partition, watch));
}

/* Looks again when what the log owes makes it a log that stalls. */
static void watch(struct aff_partition *p, const struct aff_standing *s)
{
    int64_t at = s->owed_since_ns + AFF_SEAT_STALL_NS;

    if (s->owed_since_ns == 0 || at <= aff_mono_ns(aff_loop_clock(p->group->loop)))
        aff_loop_timer_cancel(p->group->loop, &p->watch);
    else if (!aff_heap_has(&p->watch.node)) /* one that comes early looks again */
        aff_loop_timer_set(p->group->loop, &p->watch, at);
}

static void fire_indexing(struct aff_timer *timer)
{
    touch(aff_container_of(timer, struct aff_partition, indexing));
}

/* A slice of building an index that was declared, or of removing one that was. True: there is more to do at once. */
static bool build_indexes(struct aff_partition *p)
{
    int code;

    if (!aff_store_index_pending(store_of(p)) || aff_heap_has(&p->indexing.node))
        return false;
    code = aff_store_index_step(store_of(p), INDEX_BYTES);
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
    bool more;

    if (!p->core)
        return false;
    more = aff_core_flush(p->core);
    aff_core_standing(p->core, &s);
    aff_partition_publish(p, &s);
    if (s.role == AFF_ROLE_FAILED) {
        aff_store_abort(store_of(p));
        restart_later(p);
    } else if (build_indexes(p)) {
        more = true;
    }
    if (!more && aff_core_idle(p->core))
        aff_store_abort(store_of(p)); /* of a look-up: an idle partition holds no transaction */
    plan(p);
    watch(p, &s);
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

static void on_reports(struct aff_changelog_sink *sink, const struct aff_delivery_report *reports, size_t count)
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

/* ---- hosted and not ---- */

static void core_make(struct aff_partition *p)
{
    struct aff_world world = {
        .log = &p->world_log,
        .store = &p->world_store,
        .coordinator = &p->world_coordinator,
        .net = &p->world_net,
        .clock = aff_loop_clock(p->group->loop),
        .entropy = &p->world_entropy,
        .host = &p->world_host,
        .logger = aff_loop_logger(p->group->loop),
    };

    aff_core_new(&p->core_opts, &world, &p->core);
}

/* The store must have been filled by the route that this start has: its partition would be another one for most keys. */
static int check_route(const struct aff_partition *p, struct aff_store *store, aff_error *err)
{
    unsigned char checkpoint[AFF_CHECKPOINT_MAX];
    char room[AFF_KEY_ROUTE_TEXT_MAX];
    aff_bytes ours = aff_route_told(p->core_opts.route, room), stored;
    size_t len = 0;
    int found = aff_store_meta_committed(store, AFF_CHECKPOINT, checkpoint, sizeof checkpoint, &len);

    if (found != 1 || !aff_checkpoint_route(aff_bytes_of(checkpoint, len), &stored) || aff_bytes_equal(stored, ours))
        return 0; /* what else may be wrong with it is found when the partition starts */
    return aff_fail_with(err, AFF_ECONFIG,
                         "its data was written with route: %.*s and the configuration says route: %.*s; the route is fixed for "
                         "the life of a keyspace",
                         stored.len ? (int)stored.len : 9, stored.len ? (const char *)stored.data : "whole-key",
                         ours.len ? (int)ours.len : 9, ours.len ? (const char *)ours.data : "whole-key");
}

/* Once: it stays open until the end, for readers of other loops. */
static int open_store(struct aff_partition *p, aff_error *err)
{
    struct aff_store *store;
    bool fresh;
    int code;

    if (store_of(p))
        return 0;
    code = aff_store_open(&p->store_opts, &store, &fresh, err);
    if (code != 0)
        return code;
    code = check_route(p, store, err);
    if (code != 0)
        aff_store_close(store);
    else
        atomic_store(&p->store, store);
    return code;
}

/* From its checkpoint, at the first time or again. */
static void begin(struct aff_partition *p)
{
    aff_error err = { 0 };

    if (open_store(p, &err) != 0 || !open_log(p, &err)) {
        cannot_begin(p, &err);
        return;
    }
    if (!p->core)
        core_make(p);
    aff_core_start(p->core);
    if (p->leading_wanted)
        aff_core_lead(p->core);
    touch(p);
}

/* A failed replica tries again: what was missing may be back (space, a readable log). */
static void fire_restart(struct aff_timer *timer)
{
    struct aff_partition *p = aff_container_of(timer, struct aff_partition, restart);

    close_log(p); /* what it knew of the log is not held against what is there now */
    core_end(p);
    begin(p);
}

static void on_host(struct aff_seat *seat)
{
    struct aff_partition *p = aff_container_of(seat, struct aff_partition, seat);

    if (p->hosted)
        return;
    p->hosted = true;
    atomic_store(&p->shared.role, AFF_ROLE_OPENING);
    atomic_store(&p->seat.state, AFF_SEAT_BEHIND);
    begin(p);
    aff_partition_turned(p);
}

/* Nothing is read or answered any more. */
static void cease(struct aff_partition *p)
{
    close_log(p);
    core_end(p);
    aff_loop_timer_cancel(p->group->loop, &p->timer);
    aff_loop_timer_cancel(p->group->loop, &p->restart);
    aff_loop_timer_cancel(p->group->loop, &p->indexing);
    aff_loop_timer_cancel(p->group->loop, &p->watch);
    aff_list_remove(&p->touched);
}

/* What is committed stays, so that it can go on from there when it is hosted again in time (I8). */
static void on_unhost(struct aff_seat *seat)
{
    struct aff_partition *p = aff_container_of(seat, struct aff_partition, seat);

    if (!p->hosted)
        return;
    p->hosted = p->leading_wanted = p->deposed = false;
    atomic_store(&p->shared.serves, false);
    cease(p);
    atomic_store(&p->shared.stands_by, false);
    atomic_store(&p->shared.role, AFF_ROLE_AWAY);
    atomic_store(&p->seat.state, AFF_SEAT_AWAY);
    aff_partition_turned(p);
}

/* ---- who leads ---- */

static void on_lead(struct aff_seat *seat)
{
    struct aff_partition *p = aff_container_of(seat, struct aff_partition, seat);

    if (!p->hosted)
        return;
    p->leading_wanted = true;
    if (!p->core)
        return; /* when it has begun */
    aff_core_lead(p->core);
    touch(p);
}

static void on_resign(struct aff_seat *seat)
{
    struct aff_partition *p = aff_container_of(seat, struct aff_partition, seat);

    p->leading_wanted = false;
    if (!p->core)
        return;
    aff_core_resign(p->core);
    touch(p);
}

static void on_granted(struct aff_seat *seat, uint32_t major)
{
    struct aff_partition *p = aff_container_of(seat, struct aff_partition, seat);

    if (!p->core)
        return;
    p->deposed = false;
    aff_core_granted(p->core, major);
    touch(p);
}

static void on_give(struct aff_seat *seat, const struct aff_give *give)
{
    struct aff_partition *p = aff_container_of(seat, struct aff_partition, seat);

    if (!p->core || !p->net) {
        p->world_coordinator.gave(&p->world_coordinator, false);
        return;
    }
    if (aff_core_give(p->core, give->major)) {
        p->give = *give; /* GO leaves at the end of a pass */
        p->giving_ns = aff_loop_now(p->group->loop);
    }
    touch(p);
}

void aff_partition_went(struct aff_partition *p, uint32_t major, bool taken)
{
    assert(aff_loop_here(p->group->loop));
    if (!p->core)
        return;
    aff_core_went(p->core, major, taken);
    touch(p);
}

void aff_partition_take(struct aff_partition *p, struct aff_take *take)
{
    assert(aff_loop_here(p->group->loop));
    if (!p->core) {
        take->taken(take, false);
        return;
    }
    aff_list_init(&take->link);
    aff_list_append(&p->takes, &take->link);
    if (p->taking_ns == 0 && aff_partition_serving(p) != take->go.major)
        p->taking_ns = aff_loop_now(p->group->loop);
    aff_core_take(p->core, &take->go, take->deadline_ns);
    touch(p);
}

/* ---- life ---- */

static void wire(struct aff_partition *p)
{
    aff_partition_world(p);
    p->sink = (struct aff_changelog_sink){ on_reports, on_entries };
    p->seat = (struct aff_seat){
        .host = on_host,
        .unhost = on_unhost,
        .lead = on_lead,
        .resign = on_resign,
        .granted = on_granted,
        .give = p->net ? on_give : NULL,
        .loop = p->group->loop,
        .keyspace = p->keyspace,
        .partition = p->core_opts.index,
    };
    p->timer.fire = fire_tick;
    p->restart.fire = fire_restart;
    p->indexing.fire = fire_indexing;
    p->watch.fire = fire_watch;
    aff_list_init(&p->touched);
    aff_list_init(&p->takes);
    aff_buf_init(&p->header);
}

static void remember_store(struct aff_partition *p, const struct aff_store_opts *opts)
{
    p->store_opts = *opts;
    p->folder = aff_xmemdup(opts->folder, strlen(opts->folder) + 1);
    p->store_opts.folder = p->folder;
    p->store_opts.indexes = &p->finder.base;
}

int aff_partition_new(const struct aff_partition_opts *opts, struct aff_partition **ret_part, aff_error *err)
{
    struct aff_partition *p = aff_xcalloc(1, sizeof *p);
    int code;

    p->group = opts->group;
    p->core_opts = opts->core;
    snprintf(p->keyspace, sizeof p->keyspace, "%s", opts->core.keyspace);
    p->core_opts.keyspace = p->keyspace;
    snprintf(p->topic, sizeof p->topic, "%s", opts->topic);
    p->changelog = opts->changelog;
    p->coordinator = opts->coordinator;
    p->net = opts->net;
    p->events = opts->events;
    wire(p);
    aff_finder_init(&p->finder);
    if (opts->finder)
        p->finder = *opts->finder;
    p->finder.partition = opts->core.index;
    remember_store(p, &opts->store);
    p->hosted = !opts->on_demand;
    atomic_store(&p->shared.role, p->hosted ? AFF_ROLE_OPENING : AFF_ROLE_AWAY);
    atomic_store(&p->seat.state, p->hosted ? AFF_SEAT_BEHIND : AFF_SEAT_AWAY);
    code = p->hosted ? open_store(p, err) : 0;
    if (code != 0) {
        aff_partition_free(p);
        return code;
    }
    if (p->hosted)
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
    cease(p);
}

struct aff_partition *aff_partition_free(struct aff_partition *p)
{
    if (!p)
        return NULL;
    aff_partition_stop(p);
    aff_store_close(store_of(p));
    aff_buf_fini(&p->header);
    free(p->folder);
    free(p);
    return NULL;
}

void aff_partition_start(struct aff_partition *p)
{
    aff_error err;

    p->started = true;
    if (p->hosted)
        begin(p);
    p->coordinator->ops->take(p->coordinator, &p->seat, &err);
}

/* ---- from the router ---- */

void aff_partition_submit(struct aff_partition *p, struct aff_op *op)
{
    assert(aff_loop_here(p->group->loop));
    if (!p->core) {
        op->result = (struct aff_result){ .code = p->stopped ? AFF_ECLOSED : AFF_ENOMASTER, .outcome = AFF_OUTCOME_NOT_APPLIED };
        op->done(op);
        op->release(op);
        return;
    }
    aff_core_submit(p->core, op);
    touch(p);
}

void aff_partition_drain(struct aff_partition *p)
{
    if (p->core)
        aff_core_drain(p->core);
}

bool aff_partition_idle(const struct aff_partition *p)
{
    return !p->core || aff_core_idle(p->core);
}

bool aff_partition_leads(const struct aff_partition *p)
{
    int role = atomic_load(&p->shared.role);

    return role == AFF_ROLE_MASTER || role == AFF_ROLE_SETTLING;
}

enum aff_outcome aff_partition_outcome(struct aff_partition *p, struct aff_stamp stamp)
{
    return p->core && aff_partition_leads(p) ? aff_core_outcome(p->core, stamp) : AFF_OUTCOME_NONE;
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
    return atomic_load(&p->store);
}

const struct aff_finder *aff_partition_finder(const struct aff_partition *p)
{
    return p->finder.base.count ? &p->finder : NULL;
}

struct aff_partition_shared *aff_partition_shared(struct aff_partition *p)
{
    return &p->shared;
}

/* In that order: a mastership that claims has its number here already, and serves later. */
uint32_t aff_partition_serving(struct aff_partition *p)
{
    uint32_t major = atomic_load(&p->shared.major);

    return atomic_load(&p->shared.serves) ? major : 0;
}

/*
 * All after the read, and in this order: the driver unsets leased_major before it tells of a new session, and a mastership that
 * ended is not served by when the last line is reached. That it is the one from before the read is what makes the snapshot its own:
 * this thread may have been held up while another node led, and wrote, and this one led again.
 */
int aff_partition_may_serve(struct aff_partition *p, uint32_t serving)
{
    uint32_t leased;
    int64_t until;

    if (!serving || !atomic_load(&p->shared.serves))
        return AFF_ENOMASTER;
    until = p->coordinator->ops->lease_until(p->coordinator);
    if (until <= aff_boot_ns(aff_loop_clock(p->group->loop)))
        return AFF_EAGAIN;
    leased = atomic_load(&p->seat.leased_major);
    if (leased != serving && leased != AFF_LEASED_ANY)
        return AFF_EAGAIN;
    return aff_partition_serving(p) == serving ? 0 : AFF_EAGAIN;
}
