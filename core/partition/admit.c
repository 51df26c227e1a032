/*
 * admit.c - operations become records: a queue per key, one record in flight per key (I4), preconditions against the
 * value that the log confirmed, commands that wait together leave as one record.
 */
#include "partition/state.h"

enum { MERGED_REPLIES_MAX = 64 * 1024, RETRY_APPEND_MS = 20, RETRY_UNSAFE_MS = 250, IDEM_WEIGHT = 512 };

/* ---- slots: keys that somebody waits for ---- */

struct aff_slot *aff_core_slot(struct aff_core *core, aff_bytes key, bool create)
{
    struct aff_map_node *node = aff_map_get(&core->slots, key);
    struct aff_slot *slot;

    if (node)
        return aff_container_of(node, struct aff_slot, node);
    if (!create)
        return NULL;
    slot = aff_xcalloc(1, sizeof *slot + key.len);
    aff_list_init(&slot->queue);
    aff_list_init(&slot->ready);
    slot->key_len = key.len;
    memcpy(slot->key, key.data, key.len);
    aff_map_add(&core->slots, &slot->node, aff_bytes_of(slot->key, slot->key_len));
    return slot;
}

/* The key has no record in flight any more, or lost a waiter: its next operation may start, or the slot goes. */
void aff_core_slot_settled(struct aff_core *core, struct aff_slot *slot)
{
    if (slot->flight)
        return;
    if (!aff_list_empty(&slot->queue)) {
        if (aff_list_empty(&slot->ready))
            aff_list_append(&core->ready, &slot->ready);
        return;
    }
    aff_list_remove(&slot->ready);
    aff_map_remove(&core->slots, &slot->node);
    free(slot);
}

/* ---- flights: records handed to the log ---- */

struct aff_flight *aff_core_flight_new(struct aff_core *core, enum aff_kind kind, struct aff_slot *slot)
{
    struct aff_flight *f = aff_xcalloc(1, sizeof *f);

    (void)core;
    f->kind = kind;
    f->slot = slot;
    f->expires_ms = f->event_ms = AFF_NO_TIME;
    f->kept_offset = -1;
    f->weight = AFF_STORE_WRITE_MIN;
    aff_list_init(&f->link);
    aff_list_init(&f->carried);
    aff_list_init(&f->waiters);
    if (slot)
        f->key = aff_bytes_of(slot->key, slot->key_len);
    return f;
}

void aff_core_flight_free(struct aff_core *core, struct aff_flight *f)
{
    assert(aff_list_empty(&f->carried) && aff_list_empty(&f->waiters));
    if (!aff_list_empty(&f->link)) {
        aff_list_remove(&f->link);
        core->flight_count--;
        core->flight_weight -= f->weight;
        if (f->kind == AFF_KIND_BARRIER)
            core->barriers--;
    }
    if (f->slot) {
        struct aff_slot *slot = f->slot;

        slot->flight = NULL;
        aff_core_slot_settled(core, slot);
    }
    free(f->owned);
    free(f);
}

static void record_idem(const struct aff_op *op, bool versioned, struct aff_idem *idem)
{
    const struct aff_result *r = &op->result;

    *idem = (struct aff_idem){ .id = op->id, .request = op->request, .status = r->status, .versioned = versioned };
    idem->content_type = r->reply_type.len <= 255 ? r->reply_type : aff_str("");
    idem->cut = r->reply.len > AFF_IDEM_REPLY_MAX;
    idem->reply = idem->cut || !r->reply.data ? aff_str("") : r->reply;
    if (!idem->content_type.data)
        idem->content_type = aff_str("");
}

void aff_core_flight_record(const struct aff_flight *f, struct aff_record *rec)
{
    rec->offset = -1;
    rec->time_ms = 0;
    rec->kind = f->kind;
    rec->stamp = f->stamp;
    rec->key = f->key;
    rec->value = f->value;
    rec->content_type = f->content_type;
    rec->traceparent = f->traceparent;
    rec->expires_ms = f->expires_ms;
    rec->event_ms = f->event_ms;
    rec->kept_offset = f->kept_offset;
    rec->kept_time_ms = f->kept_time_ms;
    rec->route = f->route;
    rec->idem_count = 0;
    aff_list_each (node, &f->carried) {
        const struct aff_op *op = aff_container_of(node, struct aff_op, link);

        if (op->identified && op->wrote)
            record_idem(op, op == f->writer, &rec->idems[rec->idem_count++]);
    }
}

/* The log takes no more: all appends wait for the next report, or for a moment when none will come. */
void aff_core_stalled(struct aff_core *core, bool stalled)
{
    int64_t wait_ms = core->unsafe ? RETRY_UNSAFE_MS : RETRY_APPEND_MS;

    core->stalled = stalled;
    core->retry_append_ns = stalled ? aff_core_now(core) + wait_ms * AFF_NS_PER_MS : INT64_MAX;
}

/* What the log just said about itself. Until it is right again it is tried with barriers (upkeep.c). */
static void learn_safety(struct aff_core *core, bool unsafe)
{
    if (unsafe != core->unsafe)
        aff_log_fields(core->w.logger, unsafe ? AFF_LOG_ERROR : AFF_LOG_INFO,
                       unsafe ? "partition.log-unsafe" : "partition.log-safe",
                       (const struct aff_log_field[]){ aff_f_str("keyspace", core->opts.keyspace),
                                                       aff_f_int("partition", core->opts.index) },
                       2);
    core->unsafe = unsafe;
}

/* I0: with a log that takes nothing because it cannot be trusted, whoever waits for it is told so. */
void aff_core_refuse_unsafe(struct aff_core *core)
{
    if (!core->unsafe)
        return;
    aff_core_refuse_queued(core, AFF_EUNSAFE);
    aff_core_refuse_waiters(core, &core->proofs, AFF_EUNSAFE);
}

/* Hands the record to the log under the next number. Reads that wait for a proof ride on it (I5). */
int aff_core_flight_send(struct aff_core *core, struct aff_flight *f)
{
    int code;

    assert(f->kind == AFF_KIND_CLAIM || core->role == AFF_ROLE_MASTER); /* I2 */
    assert(core->give.step != AFF_GIVE_GONE && (core->give.step != AFF_GIVE_BACK || f->kind == AFF_KIND_CLAIM)); /* I9 */
    assert(f->kind == AFF_KIND_CLAIM || aff_stamp_same_owner(core->cur, core->own) || AFF_WEAK(core, DUP) ||
           AFF_WEAK(core, CUT)); /* I2 */
    f->stamp = core->own;
    if (f->kind != AFF_KIND_CLAIM)
        f->stamp.seq++;
    aff_core_flight_record(f, &core->scratch);
    code = core->w.log->append(core->w.log, &core->scratch);
    if (code == 0 || code == AFF_EUNSAFE)
        learn_safety(core, code == AFF_EUNSAFE);
    if (code == 0)
        core->refused_since_ns = 0;
    else if (core->refused_since_ns == 0)
        core->refused_since_ns = aff_core_now(core);
    if (code != 0) {
        if (code == AFF_EAGAIN || core->unsafe || aff_list_empty(&f->carried)) /* nobody to tell: it is tried again */
            aff_core_stalled(core, true);
        return code;
    }
    core->own.seq = f->stamp.seq;
    f->sent_ns = aff_core_now(core);
    core->flight_weight += f->weight;
    core->flight_count++;
    if (f->kind == AFF_KIND_BARRIER)
        core->barriers++;
    aff_list_append(&core->flights, &f->link);
    if (f->slot) {
        assert(!f->slot->flight); /* I4 */
        f->slot->flight = f;
    }
    if (f->kind != AFF_KIND_CLAIM)
        aff_list_splice(&f->waiters, &core->proofs);
    aff_list_each (node, &f->carried) {
        struct aff_op *op = aff_container_of(node, struct aff_op, link);

        op->result.stamped = op->wrote;
        op->result.stamp = f->stamp;
    }
    return 0;
}

/* ---- from the queue of a key to a record ---- */

static void take_from_queue(struct aff_core *core, struct aff_op *op)
{
    aff_list_remove(&op->link);
    op->slot = NULL;
    core->queued--;
}

static void carry(struct aff_core *core, struct aff_flight *f, struct aff_op *op, bool wrote)
{
    take_from_queue(core, op);
    aff_list_append(&f->carried, &op->link);
    op->state = AFF_OP_CARRIED;
    op->flight = f;
    op->wrote = wrote;
    if (wrote)
        f->writer = op;
}

/* The log takes no more at this moment: operations go back to the head of their queue and run again later. */
static void put_back(struct aff_core *core, struct aff_slot *slot, struct aff_flight *f)
{
    struct aff_list back;

    aff_list_init(&back);
    aff_list_splice(&back, &f->carried);
    aff_list_splice(&back, &slot->queue);
    aff_list_splice(&slot->queue, &back);
    aff_list_each (node, &slot->queue) {
        struct aff_op *op = aff_container_of(node, struct aff_op, link);

        if (op->state != AFF_OP_CARRIED)
            break;
        op->state = AFF_OP_QUEUED;
        op->slot = slot;
        op->flight = NULL;
        op->wrote = false;
        memset(&op->result, 0, sizeof op->result);
        core->queued++;
    }
    aff_core_flight_free(core, f);
}

static void refuse_carried(struct aff_core *core, struct aff_flight *f, int code)
{
    struct aff_list *node;

    while ((node = aff_list_take(&f->carried)))
        aff_core_answer(core, aff_container_of(node, struct aff_op, link), code, AFF_OUTCOME_NOT_APPLIED);
    aff_core_flight_free(core, f);
}

/* What the indexes will need for the record. 0 or an error. */
static int index_weight_of(struct aff_core *core, const struct aff_flight *f, uint64_t *ret_bytes)
{
    struct aff_world_store *s = core->w.store;
    struct aff_item item = { .version = { -1, 0, f->expires_ms, f->event_ms },
                             .content_type = f->content_type,
                             .value = f->value };

    *ret_bytes = 0;
    return s->index_weight ? s->index_weight(s, f->key, f->value.data ? &item : NULL, ret_bytes) : 0;
}

/* What the store will need for the record, as its contract counts. */
static size_t weight_of(const struct aff_flight *f)
{
    size_t bytes = f->key.len + f->value.len + f->content_type.len;

    aff_list_each (node, &f->carried) {
        const struct aff_op *op = aff_container_of(node, struct aff_op, link);
        size_t reply = op->result.reply.len;

        if (op->identified)
            bytes += IDEM_WEIGHT + (reply < AFF_IDEM_REPLY_MAX ? reply : AFF_IDEM_REPLY_MAX);
    }
    return bytes < AFF_STORE_WRITE_MIN ? AFF_STORE_WRITE_MIN : bytes;
}

/* To the log; when it does not take the record its operations go back, or are refused, and the slot is as it was. */
static void dispatch(struct aff_core *core, struct aff_slot *slot, struct aff_flight *f)
{
    uint64_t for_indexes;
    int code = index_weight_of(core, f, &for_indexes);

    f->weight = weight_of(f) + (size_t)for_indexes;
    if (code == 0)
        code = core->w.store->room(core->w.store, core->flight_weight + f->weight);
    if (code == 0)
        code = aff_core_flight_send(core, f);
    if (code == 0)
        return;
    f->slot = NULL;
    if (code == AFF_EAGAIN)
        put_back(core, slot, f);
    else
        refuse_carried(core, f, code);
}

/* In a record a value without a pointer is a tombstone: an empty value is not to become one. */
static aff_bytes present(aff_bytes value)
{
    return value.data ? value : aff_str("");
}

static int64_t expiry_of(const struct aff_core *core, int64_t ttl_ms)
{
    int64_t ttl = ttl_ms ? ttl_ms : core->opts.ttl_ms;

    return ttl > 0 ? aff_wall_ms(core->w.clock) + ttl : AFF_NO_TIME;
}

static bool etag_matches(const struct aff_core *core, const struct aff_etag *tags, size_t count, int64_t offset)
{
    for (size_t i = 0; i < count; i++)
        if (tags[i].identity8 == aff_get_u32(core->identity) && tags[i].partition == core->opts.index &&
            tags[i].offset == offset)
            return true;
    return false;
}

/* RFC 9110, 13.1.1 and 13.1.2, on the key's present version; `exists` false: no such key. */
static bool conditions_hold(const struct aff_core *core, const struct aff_conditions *c, bool exists, int64_t offset)
{
    if ((c->match_any || c->has_match) && !exists)
        return false;
    if (c->has_match && !c->match_any && !etag_matches(core, c->match, c->match_count, offset))
        return false;
    return !exists ||
           (!c->none_match_any && !etag_matches(core, c->none_match, c->none_match_count, offset));
}

static bool conditional(const struct aff_op *op)
{
    const struct aff_conditions *c = &op->conditions;

    return c->match_any || c->none_match_any || c->has_match || c->none_match_count > 0;
}

/* Answers without a record: the result was computed on confirmed state and needs a proof that we still lead (I5). */
static void answer_from_queue(struct aff_core *core, struct aff_op *op, int code)
{
    take_from_queue(core, op);
    op->result.code = code;
    op->result.outcome = AFF_OUTCOME_NONE;
    aff_core_answer_proven(core, op);
}

static void start_plain(struct aff_core *core, struct aff_slot *slot, struct aff_op *op, bool exists, int64_t offset)
{
    struct aff_flight *f;

    if (!conditions_hold(core, &op->conditions, exists, offset)) {
        answer_from_queue(core, op, AFF_EPRECONDITION);
        return;
    }
    if (op->kind == AFF_OP_DELETE && !exists) {
        answer_from_queue(core, op, AFF_ENOTFOUND);
        return;
    }
    f = aff_core_flight_new(core, AFF_KIND_DATA, slot);
    op->result.created = op->kind == AFF_OP_PUT && !exists;
    op->result.status = op->kind == AFF_OP_DELETE ? 204 : exists ? 200 : 201;
    if (op->kind == AFF_OP_PUT) {
        f->value = present(op->value);
        f->content_type = op->content_type;
        f->expires_ms = op->expires_ms != AFF_NO_TIME ? op->expires_ms : expiry_of(core, op->ttl_ms);
    }
    f->event_ms = op->event_ms;
    f->traceparent = op->traceparent;
    carry(core, f, op, true);
    dispatch(core, slot, f);
}

/* What the commands of one record see and leave: the value as staged so far. */
struct chain {
    struct aff_flight *flight;
    struct aff_item current;
    bool exists;
    size_t count, replies;
    bool closed; /* it has an operation that shares its record with none */
};

static bool chain_takes(const struct chain *c, const struct aff_op *op)
{
    return op->kind == AFF_OP_COMMAND && c->count < AFF_RECORD_IDEMS_MAX && c->replies < MERGED_REPLIES_MAX &&
           !((conditional(op) || op->alone) && c->count > 0) && !c->closed;
}

static void chain_run(struct aff_core *core, struct chain *c, struct aff_op *op)
{
    struct aff_staged staged = { .what = AFF_STAGE_NOTHING };
    struct aff_flight *f = c->flight;
    int64_t kept_ms = c->exists ? c->current.version.expires_ms : AFF_NO_TIME;
    bool wrote;
    int code = op->run(op, c->exists ? &c->current : NULL, &staged);

    wrote = code == 0 && (staged.what == AFF_STAGE_PUT || (staged.what == AFF_STAGE_DELETE && c->exists));
    op->result.code = code;
    if (!wrote && c->count == 0) {
        answer_from_queue(core, op, code);
        return;
    }
    carry(core, f, op, wrote);
    c->count++;
    c->closed = op->alone;
    c->replies += op->result.reply.len;
    if (!wrote)
        return;
    c->exists = staged.what == AFF_STAGE_PUT;
    c->current = (struct aff_item){ .version = { -1, 0, AFF_NO_TIME, AFF_NO_TIME },
                                    .content_type = staged.content_type,
                                    .value = present(staged.value) };
    f->value = c->exists ? c->current.value : aff_bytes_of(NULL, 0);
    f->content_type = c->exists ? staged.content_type : aff_bytes_of(NULL, 0);
    f->expires_ms = !c->exists            ? AFF_NO_TIME
                    : staged.keeps_expiry ? kept_ms
                                          : expiry_of(core, staged.ttl_ms);
    f->event_ms = op->event_ms;
    f->traceparent = op->traceparent;
}

static void start_commands(struct aff_core *core, struct aff_slot *slot, const struct aff_item *item, bool exists)
{
    struct chain c = { .exists = exists };
    struct aff_list *node;

    if (exists)
        c.current = *item;
    c.flight = aff_core_flight_new(core, AFF_KIND_DATA, slot);
    while ((node = aff_list_first(&slot->queue))) {
        struct aff_op *op = aff_container_of(node, struct aff_op, link);

        if (!chain_takes(&c, op))
            break;
        if (c.count == 0 && !conditions_hold(core, &op->conditions, c.exists, c.current.version.offset))
            answer_from_queue(core, op, AFF_EPRECONDITION);
        else
            chain_run(core, &c, op);
    }
    if (c.count > 0) {
        dispatch(core, slot, c.flight);
        return;
    }
    c.flight->slot = NULL;
    aff_core_flight_free(core, c.flight);
}

/* Starts what waits first on a key. Does not free the slot, unless the core fails. */
static void start(struct aff_core *core, struct aff_slot *slot)
{
    struct aff_op *op = aff_container_of(aff_list_first(&slot->queue), struct aff_op, link);
    struct aff_item item;
    int found = core->w.store->get(core->w.store, op->key, &item);

    if (!aff_core_store_ok(core, found))
        return;
    if (op->kind == AFF_OP_COMMAND)
        start_commands(core, slot, &item, found == 1);
    else
        start_plain(core, slot, op, found == 1, found == 1 ? item.version.offset : -1);
}

/* Starts what can start. */
void aff_core_pump(struct aff_core *core)
{
    struct aff_list *node;

    while (aff_core_may_append(core) && (node = aff_list_take(&core->ready))) {
        struct aff_slot *slot = aff_container_of(node, struct aff_slot, ready);

        assert(!slot->flight && !aff_list_empty(&slot->queue));
        start(core, slot);
        if (core->role == AFF_ROLE_MASTER)
            aff_core_slot_settled(core, slot);
    }
}

/* ---- submit ---- */

static int admissible(const struct aff_core *core, const struct aff_op *op)
{
    bool leads = core->role == AFF_ROLE_MASTER || core->role == AFF_ROLE_SETTLING || aff_core_is_between(core);

    if (!leads || core->resigning)
        return AFF_ENOMASTER;
    if (op->kind == AFF_OP_BARRIER)
        return 0;
    if (core->draining)
        return AFF_EDRAINING;
    if (op->key.len == 0 || op->key.len > AFF_KEY_MAX || aff_key_is_control(op->key))
        return AFF_EINVAL;
    return core->queued >= core->opts.queue ? AFF_EQUEUEFULL : 0;
}

static void enqueue(struct aff_core *core, struct aff_op *op)
{
    struct aff_slot *slot = aff_core_slot(core, op->key, true);

    if (op->identified)
        aff_map_add(&core->running, &op->running, aff_bytes_of(op->id.b, sizeof op->id.b));
    op->slot = slot;
    op->state = AFF_OP_QUEUED;
    core->queued++;
    aff_list_append(&slot->queue, &op->link);
    aff_core_slot_settled(core, slot);
}

/*
 * Is a record not reported for too long? What is queued waits until its deadline, but more would only fill the queue for a log
 * that may be gone: it is refused at once, provably not applied.
 */
static bool log_stalls(struct aff_core *core)
{
    const struct aff_list *oldest = aff_list_first(&core->flights);
    bool stalls = core->opts.stall_ms > 0 && oldest &&
                  aff_core_now(core) - aff_container_of(oldest, const struct aff_flight, link)->sent_ns >
                      core->opts.stall_ms * AFF_NS_PER_MS;

    if (stalls != core->stall_told)
        aff_log_fields(core->w.logger, stalls ? AFF_LOG_WARN : AFF_LOG_INFO,
                       stalls ? "partition.log-stalled" : "partition.log-goes-on",
                       (const struct aff_log_field[]){ aff_f_str("keyspace", core->opts.keyspace),
                                                       aff_f_int("partition", core->opts.index),
                                                       aff_f_int("in-flight", core->flight_count) },
                       3);
    core->stall_told = stalls;
    return stalls;
}

void aff_core_submit(struct aff_core *core, struct aff_op *op)
{
    int code = admissible(core, op);

    assert(op->state == AFF_OP_NEW);
    if (code != 0) {
        aff_core_answer(core, op, code, AFF_OUTCOME_NOT_APPLIED);
        return;
    }
    if (op->kind != AFF_OP_BARRIER && op->identified) {
        if (aff_map_get(&core->running, aff_bytes_of(op->id.b, sizeof op->id.b))) {
            aff_core_answer(core, op, AFF_EIDRUNNING, AFF_OUTCOME_NOT_APPLIED);
            return;
        }
        if (aff_core_replay(core, op))
            return;
    }
    if (op->kind != AFF_OP_BARRIER && log_stalls(core)) {
        aff_core_answer(core, op, AFF_ESTALLED, AFF_OUTCOME_NOT_APPLIED);
        return;
    }
    if (op->deadline_ns)
        aff_heap_set(&core->deadlines, &op->deadline, op->deadline_ns);
    if (op->kind == AFF_OP_BARRIER)
        aff_core_answer_proven(core, op);
    else
        enqueue(core, op);
}

void aff_core_refuse_queued(struct aff_core *core, int code)
{
    struct aff_map_node *node, *next = aff_map_next(&core->slots, NULL);

    while ((node = next)) {
        struct aff_slot *slot = aff_container_of(node, struct aff_slot, node);
        struct aff_list *link;

        next = aff_map_next(&core->slots, node); /* the slot may be freed below */
        while ((link = aff_list_first(&slot->queue))) {
            struct aff_op *op = aff_container_of(link, struct aff_op, link);

            take_from_queue(core, op);
            aff_core_answer(core, op, code, AFF_OUTCOME_NOT_APPLIED);
        }
        aff_core_slot_settled(core, slot);
    }
}
