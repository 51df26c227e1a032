/*
 * core.c - the core's life: made, started, its roles, the end of a pass. See core.h; the neighbours are listed in
 * state.h.
 */
#include "partition/checkpoint.h"
#include "partition/state.h"

#include <stdarg.h>
#include <stdio.h>

enum { DEFAULT_WINDOW = 256, DEFAULT_QUEUE = 4096 };

int aff_core_new(const struct aff_core_opts *opts, const struct aff_world *world, struct aff_core **ret_core)
{
    struct aff_core *core = aff_xcalloc(1, sizeof *core);

    core->opts = *opts;
    core->route = aff_route_told(opts->route, core->route_text);
    core->w = *world;
    core->opts.window = opts->window ? opts->window : DEFAULT_WINDOW;
    core->opts.queue = opts->queue ? opts->queue : DEFAULT_QUEUE;
    core->role = AFF_ROLE_OPENING;
    core->claim_offset = core->mark_offset = -1;
    core->caught_up_ms = core->last_time_ms = AFF_NO_TIME;
    core->retry_read_ns = core->retry_claim_ns = core->retry_append_ns = INT64_MAX;
    core->next_idle_ns = core->next_expiry_ns = core->next_prune_ns = INT64_MAX;
    core->give.until_ns = core->take.until_ns = INT64_MAX;
    if (!core->opts.nonce)
        core->opts.nonce = world->entropy->u64(world->entropy);
    aff_list_init(&core->flights);
    aff_list_init(&core->ready);
    aff_list_init(&core->answers);
    aff_list_init(&core->proofs);
    aff_map_init(&core->slots, world->entropy->u64(world->entropy));
    aff_map_init(&core->running, world->entropy->u64(world->entropy));
    aff_heap_init(&core->deadlines);
    aff_buf_init(&core->buf);
    *ret_core = core;
    return 0;
}

/* Every write in flight is unknown to those who wait for it: the log may still take it. */
static void abandon_flights(struct aff_core *core)
{
    aff_list_each (node, &core->flights) {
        struct aff_flight *f = aff_container_of(node, struct aff_flight, link);

        aff_core_flight_gone(core, f, false);
    }
}

struct aff_core *aff_core_free(struct aff_core *core)
{
    if (!core)
        return NULL;
    abandon_flights(core);
    aff_core_refuse_queued(core, AFF_ECLOSED);
    aff_core_refuse_waiters(core, &core->proofs, AFF_ECLOSED);
    aff_core_answers_out(core, aff_core_commit(core));
    assert(core->running.count == 0 && core->slots.count == 0 && core->queued == 0);
    aff_map_fini(&core->slots);
    aff_map_fini(&core->running);
    aff_heap_fini(&core->deadlines);
    aff_buf_fini(&core->buf);
    free(core);
    return NULL;
}

/* ---- roles ---- */

static int64_t owed_since(const struct aff_core *core)
{
    if (core->flight_count > 0)
        return aff_container_of(core->flights.next, const struct aff_flight, link)->sent_ns;
    return core->refused_since_ns;
}

void aff_core_standing(const struct aff_core *core, struct aff_standing *ret)
{
    *ret = (struct aff_standing){
        .role = core->role,
        .own = core->own,
        .cur = core->cur,
        .claim_offset = core->claim_offset,
        .applied = core->frontier,
        .log_end = core->log_end > core->frontier ? core->log_end : core->frontier,
        .dirty = core->dirty,
        .in_flight = core->flight_count,
        .queued = core->queued,
        .owed_since_ns = owed_since(core),
        .serves = core->serves,
        .failure = core->role == AFF_ROLE_FAILED ? core->failure : NULL,
    };
    memcpy(ret->identity, core->identity, sizeof ret->identity);
}

static bool is_leading(const struct aff_core *core)
{
    return core->role == AFF_ROLE_MASTER || core->role == AFF_ROLE_SETTLING;
}

void aff_core_publish(struct aff_core *core)
{
    struct aff_standing standing;

    aff_core_standing(core, &standing);
    core->w.host->changed(core->w.host, &standing);
}

void aff_core_set_role(struct aff_core *core, enum aff_role role)
{
    static const char *const names[] = { "opening", "following", "claiming", "master", "settling", "failed" };

    const struct aff_log_field fields[] = {
        aff_f_str("keyspace", core->opts.keyspace),
        aff_f_int("partition", core->opts.index),
        aff_f_str("role", names[role]),
        aff_f_int("epoch", aff_epoch_major(core->own.epoch)),
        aff_f_int("minor", aff_epoch_minor(core->own.epoch)),
        aff_f_int("applied", core->frontier),
    };

    if (core->role != role) /* the steps on the way to lead are many and of little news */
        aff_log_fields(core->w.logger, role == AFF_ROLE_MASTER ? AFF_LOG_INFO : AFF_LOG_DEBUG, "partition.role", fields,
                       sizeof fields / sizeof *fields);
    if (core->role == AFF_ROLE_MASTER)
        core->mark_offset = -1; /* a master's is for its own next record alone (checkpoint.c) */
    core->role = role;
    core->serves = core->serves && (is_leading(core) || (AFF_WEAK(core, SERVE) && aff_core_is_between(core)));
    aff_core_publish(core);
}

/* What a new master has applied is committed: from now on other loops may answer reads from their snapshots (I5). */
static void begin_to_serve(struct aff_core *core)
{
    if (core->serves || core->role != AFF_ROLE_MASTER)
        return;
    core->serves = true;
    aff_core_publish(core);
}

/* Stops for good: a replica that cannot go on must say so and not serve. Its host starts it anew when there is reason
 * to. */
void aff_core_fail(struct aff_core *core, const char *format, ...)
{
    va_list args;

    if (core->role == AFF_ROLE_FAILED)
        return;
    va_start(args, format);
    vsnprintf(core->failure, sizeof core->failure, format, args);
    va_end(args);
    aff_log(core->w.logger, ERROR, "partition.failed", aff_f_str("keyspace", core->opts.keyspace),
            aff_f_int("partition", core->opts.index), aff_f_str("why", core->failure));
    core->reading = core->changed = false;
    core->retry_read_ns = core->retry_claim_ns = core->retry_append_ns = INT64_MAX;
    core->next_idle_ns = core->next_expiry_ns = core->next_prune_ns = INT64_MAX;
    aff_core_set_role(core, AFF_ROLE_FAILED);
    aff_core_handover_fails(core);
    abandon_flights(core);
    aff_core_refuse_queued(core, AFF_ENOMASTER);
    aff_core_refuse_waiters(core, &core->proofs, AFF_ENOMASTER);
}

/* ---- the end of a pass ---- */

/*
 * Data and the checkpoint that says so commit together (I8). False: the core has failed. Then nothing is committed,
 * since the record that met the failure may be applied in part; the host drops the transaction.
 */
bool aff_core_commit(struct aff_core *core)
{
    int code;

    if (core->role == AFF_ROLE_FAILED)
        return false;
    if (!core->changed)
        return true;
    code = aff_core_checkpoint_save(core);
    if (code == 0)
        code = core->w.store->commit(core->w.store);
    core->changed = false;
    core->uncommitted = 0;
    if (code != 0) {
        aff_core_fail(core, "the store did not commit: %s", aff_error_title(code));
        return false;
    }
    return true;
}

/*
 * What is told is committed first: whoever is told that the write is in, and reads next, reads it, from whichever snapshot
 * (I5).
 */
enum aff_outcome aff_core_outcome(struct aff_core *core, struct aff_stamp stamp)
{
    return aff_core_commit(core) ? aff_core_fate(core, stamp) : AFF_OUTCOME_UNKNOWN;
}

/* Compaction may look no further than the first dirty record (I6), nor beyond what is applied. */
static void tell_compaction(struct aff_core *core)
{
    int64_t keep = core->dirty > 0 ? core->first_dirty : core->frontier;

    if (keep != core->keep_from)
        core->w.log->keep_from(core->w.log, core->keep_from = keep);
}

static void step_down_when_idle(struct aff_core *core)
{
    if (!core->resigning || core->flight_count > 0)
        return;
    core->resigning = false;
    if (core->role == AFF_ROLE_MASTER || core->role == AFF_ROLE_CLAIMING || core->role == AFF_ROLE_SETTLING)
        aff_core_depose(core, core->own.epoch, "resigned");
}

/* Answers may have brought new operations. */
static bool may_start(const struct aff_core *core)
{
    return (aff_core_may_append(core) && !aff_list_empty(&core->ready)) || aff_core_barrier_due(core);
}

bool aff_core_flush(struct aff_core *core)
{
    bool committed, had_changes = core->changed;

    aff_core_pump(core);
    aff_core_repair(core);
    aff_core_barrier(core);
    aff_core_refuse_unsafe(core);
    step_down_when_idle(core);
    committed = aff_core_commit(core);
    if (had_changes && committed)
        tell_compaction(core);
    if (committed)
        begin_to_serve(core);
    aff_core_answers_out(core, committed);
    if (committed)
        aff_core_say_go(core);
    return core->changed || !aff_list_empty(&core->answers) || may_start(core);
}

/* ---- time ---- */

int64_t aff_core_next_tick(const struct aff_core *core)
{
    int64_t next = core->retry_read_ns;
    const struct aff_heap_node *deadline = aff_heap_min(&core->deadlines);

    if (core->retry_claim_ns < next)
        next = core->retry_claim_ns;
    if (core->retry_append_ns < next)
        next = core->retry_append_ns;
    if (core->next_idle_ns < next)
        next = core->next_idle_ns;
    if (core->next_expiry_ns < next)
        next = core->next_expiry_ns;
    if (core->next_prune_ns < next)
        next = core->next_prune_ns;
    if (aff_core_handover_tick(core) < next)
        next = aff_core_handover_tick(core);
    if (deadline && deadline->key < next)
        next = deadline->key;
    return next;
}

void aff_core_tick(struct aff_core *core)
{
    int64_t now = aff_core_now(core);

    aff_core_expire_deadlines(core);
    if (core->role == AFF_ROLE_FAILED)
        return;
    aff_core_handover_late(core);
    if (now >= core->retry_read_ns)
        aff_core_read_on(core, core->caught_up);
    if (now >= core->retry_claim_ns) {
        core->retry_claim_ns = INT64_MAX;
        aff_core_append_claim(core);
    }
    if (now >= core->retry_append_ns)
        aff_core_stalled(core, false);
    if (now >= core->next_idle_ns)
        aff_core_idle_barrier(core);
    if (now >= core->next_expiry_ns)
        aff_core_expire_keys(core);
    if (now >= core->next_prune_ns)
        aff_core_prune(core);
}

void aff_core_drain(struct aff_core *core)
{
    core->draining = true;
}

/* Records of its own, such as a heartbeat, may be in flight for as long as the log is away. */
static bool is_waited_for(const struct aff_flight *f)
{
    const struct aff_list *node;

    for (node = f->carried.next; node != &f->carried; node = node->next)
        if (aff_container_of(node, const struct aff_op, link)->state != AFF_OP_LEFT)
            return true;
    return !aff_list_empty(&f->waiters);
}

bool aff_core_idle(const struct aff_core *core)
{
    const struct aff_list *node;

    if (core->queued > 0 || !aff_list_empty(&core->answers) || !aff_list_empty(&core->proofs) || core->changed)
        return false;
    for (node = core->flights.next; node != &core->flights; node = node->next)
        if (is_waited_for(aff_container_of(node, const struct aff_flight, link)))
            return false;
    return true;
}
