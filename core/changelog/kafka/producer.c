/*
 * kafka/producer.c - a pool of producers in its loop: see kafka/producer.h, and kafka/pool.h for its parts.
 *
 * A pass: what the keeper's thread has done, the reports of every instance (a bounded number; more of them on the next
 * pass), what to do about instances that failed, appends that were held, and last the reports to the users. The timer is
 * for what nobody rings for: a failed instance that has to be wound up, a topic or an instance to be tried again.
 */
#include "base/alloc.h"
#include "changelog/kafka/pool.h"

#include <assert.h>
#include <stdlib.h>

enum {
    DRAIN_MOST = 8192,
    MAKE_AGAIN_MS = 1000, /* one that could not be made */
    SOON_MS = 5000,       /* an instance that fails so soon after it was made delays the next one */
    DELAY_MS = 20,        /* at first; then twice the last delay */
    DELAY_MOST_MS = 1000,
    END_WAIT_MS = 1000, /* for what was handed over */
    END_PURGE_MS = 500, /* for what was called back */
    END_STEP_MS = 5,
};

int64_t aff_pool_now(const struct aff_kafka_pool *pool)
{
    return aff_mono_ns(pool->loop ? aff_loop_clock(pool->loop) : aff_clock_system());
}

void aff_pool_ring(struct aff_kafka_pool *pool)
{
    if (pool->port)
        aff_port_ring(&pool->port->port);
}

void aff_pool_at(struct aff_kafka_pool *pool, int64_t due_ns)
{
    if (!pool->loop || (pool->timer_ns && pool->timer_ns <= due_ns))
        return;
    pool->timer_ns = due_ns;
    aff_loop_timer_set(pool->loop, &pool->timer, due_ns);
}

void aff_pool_charge_back(struct aff_kafka_pool *pool, size_t size)
{
    assert(atomic_load(pool->opts.in_flight) >= size);
    atomic_fetch_sub(pool->opts.in_flight, size);
}

/* ---- instances ---- */

static void pump_slot(struct kafka_slot *slot)
{
    aff_list_each(node, &slot->lanes)
        aff_lane_pump(aff_container_of(node, struct aff_kafka_lane, link));
}

void aff_pool_instance_made(struct kafka_instance *instance)
{
    struct aff_kafka_pool *pool = instance->pool;
    struct kafka_slot *slot = instance->slot;

    slot->making = false;
    instance->made_ns = aff_pool_now(pool);
    if (instance->rk) {
        aff_list_append(&pool->instances, &instance->link);
        slot->instance = instance;
        aff_instance_wake(instance, pool->port ? pool->port->port.io.fd : -1);
        pump_slot(slot);
        return;
    }
    if (!pool->closing)
        aff_log(pool->opts.logger, ERROR, "kafka.producer.unmade", aff_f_str("error", instance->text));
    slot->retry_ns = aff_pool_now(pool) + MAKE_AGAIN_MS * AFF_NS_PER_MS;
    aff_pool_at(pool, slot->retry_ns);
    free(instance);
}

/* A record that is refused whenever it comes must not make connections and producer ids without end. */
void aff_pool_replace(struct kafka_instance *instance)
{
    struct kafka_slot *slot = instance->slot;
    if (instance->failed_ns - instance->made_ns >= SOON_MS * AFF_NS_PER_MS)
        slot->delay_ms = 0;
    slot->retry_ns = instance->failed_ns + slot->delay_ms * AFF_NS_PER_MS;
    if (slot->delay_ms == 0)
        aff_instance_make(instance->pool, slot);
    else
        aff_pool_at(instance->pool, slot->retry_ns);
    slot->delay_ms = slot->delay_ms ? 2 * slot->delay_ms : DELAY_MS;
    if (slot->delay_ms > DELAY_MOST_MS)
        slot->delay_ms = DELAY_MOST_MS;
}

void aff_pool_topic_known(struct kafka_topic *topic)
{
    struct kafka_instance *instance = topic->instance;
    if (instance->slot->instance == instance)
        pump_slot(instance->slot);
}

/* Slots without an instance get one; lanes without one look for it, and for their topic. */
static void tend_slots(struct aff_kafka_pool *pool)
{
    for (unsigned i = 0; i < pool->opts.instances; i++) {
        struct kafka_slot *slot = &pool->slots[i];
        if (!slot->instance && !slot->making) {
            if (slot->retry_ns <= aff_pool_now(pool))
                aff_instance_make(pool, slot);
            else
                aff_pool_at(pool, slot->retry_ns);
        }
        pump_slot(slot);
    }
}

static void drain(struct aff_kafka_pool *pool)
{
    size_t left = DRAIN_MOST;
    aff_list_each(node, &pool->instances) {
        struct kafka_instance *instance = aff_container_of(node, struct kafka_instance, link);
        size_t count = aff_instance_drain(instance, left, 0);
        left = count < left ? left - count : 0;
        if (left == 0) {
            aff_pool_ring(pool);
            return;
        }
    }
}

/* True: there was one. */
static bool wind_up(struct aff_kafka_pool *pool)
{
    bool any = false;
    aff_list_each(node, &pool->instances) {
        struct kafka_instance *instance = aff_container_of(node, struct kafka_instance, link);
        if (!instance->failed)
            continue;
        any = true;
        bool empty = aff_instance_wind_up(instance, aff_pool_now(pool));
        pump_slot(instance->slot); /* its lanes leave */
        if (empty && instance->lanes == 0)
            aff_instance_destroy(instance);
    }
    return any;
}

/* ---- passes ---- */

static void call_reports(struct aff_kafka_pool *pool)
{
    struct aff_list due, *node;
    aff_list_init(&due);
    aff_list_splice(&due, &pool->reporting);
    while ((node = aff_list_take(&due)) != NULL)
        aff_lane_report(aff_container_of(node, struct aff_kafka_lane, reporting));
}

static void serve(struct aff_kafka_pool *pool)
{
    aff_keeper_finish(&pool->keeper);
    drain(pool);
    aff_list_each(node, &pool->holding)
        aff_lane_pump(aff_container_of(node, struct aff_kafka_lane, holding));
    call_reports(pool);
}

static void port_rung(struct aff_port *base)
{
    struct kafka_pool_port *port = aff_container_of(base, struct kafka_pool_port, port);
    if (!base->finished)
        serve(port->pool);
}

static bool port_pass(struct aff_port *base)
{
    (void)base;
    return false; /* appends were handed over as they came */
}

static void port_gone(struct aff_port *base)
{
    free(aff_container_of(base, struct kafka_pool_port, port));
}

static void timer_fire(struct aff_timer *timer)
{
    struct aff_kafka_pool *pool = aff_container_of(timer, struct aff_kafka_pool, timer);
    pool->timer_ns = 0;
    drain(pool);
    (void)wind_up(pool);
    tend_slots(pool);
    call_reports(pool);
}

/* ---- loop ---- */

static void wake_all(struct aff_kafka_pool *pool, int fd)
{
    aff_list_each(node, &pool->instances)
        aff_instance_wake(aff_container_of(node, struct kafka_instance, link), fd);
}

int aff_kafka_pool_attach(struct aff_kafka_pool *pool, struct aff_loop *loop, aff_error *err)
{
    static const struct aff_port_ops ops = { .rung = port_rung, .pass = port_pass, .gone = port_gone };
    struct kafka_pool_port *port = aff_xcalloc(1, sizeof *port);

    assert(!pool->loop);
    int rc = aff_port_init(&port->port, loop, &ops, err);
    if (rc) {
        free(port);
        return rc;
    }
    port->pool = pool;
    pool->port = port;
    pool->loop = loop;
    wake_all(pool, port->port.io.fd);
    aff_keeper_ring(&pool->keeper, &port->port);
    aff_pool_at(pool, aff_pool_now(pool)); /* what happened while there was no loop */
    return 0;
}

void aff_kafka_pool_detach(struct aff_kafka_pool *pool)
{
    struct kafka_pool_port *port = pool->port;

    assert(pool->loop && aff_loop_here(pool->loop) && pool->lane_count == 0);
    wake_all(pool, -1);
    aff_keeper_ring(&pool->keeper, NULL);
    aff_loop_timer_cancel(pool->loop, &pool->timer);
    pool->timer_ns = 0;
    pool->port = NULL;
    pool->loop = NULL;
    aff_port_fini(&port->port);
}

/* ---- life ---- */

/* What batches may have: what the topics take, or less when the settings say so. */
static uint64_t batch_bytes(const struct aff_kafka_pool_opts *opts)
{
    rd_kafka_conf_t *conf = aff_kafka_conf(opts->settings, AFF_KAFKA_PRODUCER, NULL);
    char text[32];
    size_t size = sizeof text;
    rd_kafka_conf_res_t rc = rd_kafka_conf_get(conf, "batch.size", text, &size);
    assert(rc == RD_KAFKA_CONF_OK);
    (void)rc;
    rd_kafka_conf_destroy(conf);
    uint64_t set = strtoull(text, NULL, 10);
    return opts->batch_bytes && opts->batch_bytes < set ? opts->batch_bytes : set;
}

int aff_kafka_pool_new(const struct aff_kafka_pool_opts *opts, struct aff_kafka_pool **ret_pool, aff_error *err)
{
    struct aff_kafka_pool *pool = aff_xcalloc(1, sizeof *pool);

    assert(opts->instances > 0 && opts->max_in_flight > 0);
    pool->opts = *opts;
    pool->opts.batch_bytes = batch_bytes(opts);
    int rc = aff_keeper_init(&pool->keeper, err);
    if (rc) {
        free(pool);
        return rc;
    }
    aff_list_init(&pool->instances);
    aff_list_init(&pool->reporting);
    aff_list_init(&pool->holding);
    pool->timer.fire = timer_fire;
    pool->slots = aff_xcalloc(opts->instances, sizeof *pool->slots);
    for (unsigned i = 0; i < opts->instances; i++) {
        aff_list_init(&pool->slots[i].lanes);
        aff_instance_make(pool, &pool->slots[i]);
    }
    *ret_pool = pool;
    return 0;
}

/* Takes reports until there is nothing under way any more, or so long. */
static bool drain_for(struct aff_kafka_pool *pool, int64_t ms)
{
    int64_t until = aff_pool_now(pool) + ms * AFF_NS_PER_MS;
    bool empty;
    do {
        empty = true;
        aff_list_each(node, &pool->instances) {
            struct kafka_instance *instance = aff_container_of(node, struct kafka_instance, link);
            if (!aff_list_empty(&instance->sent))
                (void)aff_instance_drain(instance, DRAIN_MOST, END_STEP_MS);
            empty = empty && aff_list_empty(&instance->sent);
        }
    } while (!empty && aff_pool_now(pool) < until);
    return empty;
}

static void call_back_all(struct aff_kafka_pool *pool)
{
    aff_list_each(node, &pool->instances) {
        struct kafka_instance *instance = aff_container_of(node, struct kafka_instance, link);
        (void)rd_kafka_purge(instance->rk,
                             RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
    }
}

struct aff_kafka_pool *aff_kafka_pool_free(struct aff_kafka_pool *pool)
{
    if (!pool)
        return NULL;
    assert(!pool->loop && pool->lane_count == 0);
    pool->closing = true;
    if (!drain_for(pool, END_WAIT_MS)) {
        call_back_all(pool);
        (void)drain_for(pool, END_PURGE_MS);
    }
    aff_keeper_fini(&pool->keeper);
    aff_list_each(node, &pool->instances) {
        struct kafka_instance *instance = aff_container_of(node, struct kafka_instance, link);
        aff_instance_abandon(instance);
        aff_instance_destroy_now(instance);
    }
    free(pool->slots);
    free(pool);
    return NULL;
}
