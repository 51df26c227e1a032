/*
 * attempt.c - one operation of a client at one node: it is built, handed to the core, answered; or a read by lease, which needs
 * no operation. What is told to the client is judged by checker_ops.c.
 */
#include "base/alloc.h"
#include "checker_ops.h"
#include "clients.h"
#include "fake_coordinator.h"
#include "trace.h"
#include "truth.h"

#include <inttypes.h>
#include <stdlib.h>

enum { LONG_REPLY = 5000 };

/* The operation and everything that it points to: the core may look at it until it is released, and no longer. */
struct sim_op {
    struct aff_op op;
    struct sim_attempt *attempt;
    struct sim_node *node;
    char value[128];
    struct aff_etag etag;
    unsigned char *staged;
    char *reply;
};

/* ---- commands ---- */

static void set_reply(struct sim_op *so, size_t count)
{
    struct aff_result *r = &so->op.result;
    bool is_long = so->attempt->id % 37 == 0;

    if (!so->reply)
        so->reply = aff_xcalloc(1, is_long ? LONG_REPLY : 32);
    snprintf(so->reply, 32, "%zu", count);
    r->reply = aff_bytes_of(so->reply, is_long ? LONG_REPLY : strlen(so->reply));
    r->reply_type = aff_str("text/plain");
    r->status = 200;
}

static int append_token(struct sim_op *so, const struct aff_item *current, struct aff_staged *staged)
{
    size_t len = current ? current->value.len : 0;
    uint32_t token = so->attempt->id | (so->attempt->call == SIM_WITHDRAW ? SIM_WITHDRAWAL : 0);

    so->staged = aff_xrealloc(so->staged, len + 4, 1);
    if (len)
        memcpy(so->staged, current->value.data, len);
    aff_put_u32(so->staged + len, token);
    staged->what = AFF_STAGE_PUT;
    staged->value = aff_bytes_of(so->staged, len + 4);
    staged->content_type = aff_str("application/x-ledger");
    staged->ttl_ms = so->op.ttl_ms;
    set_reply(so, len / 4 + 1);
    return 0;
}

static int run_command(struct aff_op *op, const struct aff_item *current, struct aff_staged *staged)
{
    struct sim_op *so = aff_container_of(op, struct sim_op, op);
    size_t count = current ? sim_ledger_count(current->value) : 0;

    if (so->attempt->call == SIM_PEEK) {
        set_reply(so, count);
        return 0;
    }
    if (so->attempt->call == SIM_WITHDRAW && (!current || sim_ledger_balance(current->value, count) == 0)) {
        op->result.status = 409;
        snprintf(op->result.problem, sizeof op->result.problem, "empty");
        return AFF_EREFUSED;
    }
    return append_token(so, current, staged);
}

/* ---- strict reads ---- */

/* The committed state of all keys, as another loop's reader sees it. */
static void look(struct sim_node *n, struct sim_attempt *a)
{
    for (int i = 0; i < sim_client_keys(n->sim); i++) {
        aff_bytes key = aff_str(sim_key_name(n->sim, i));
        struct aff_item item;
        struct sim_sight *s = &a->sights[i];

        s->exists = sim_store_committed(n->store, key, &item) == 1;
        s->version_offset = s->exists ? item.version.offset : -1;
        s->hash = s->exists ? sim_item_hash(key, &item) : 0;
    }
}

static bool has_lease(struct sim_node *n)
{
    return n->standing.serves && sim_coordinator_lease(n->sim->coordinator, n, aff_epoch_major(n->standing.own.epoch)) > sim_node_boot_ns(n);
}

static void finish(struct sim_attempt *a)
{
    a->done = a->released = true;
    a->sim->clients->outstanding--;
}

static void submit_op(struct sim_node *n, struct sim_attempt *a);

/* The lease must still hold after the values were read; else it takes a barrier. */
static void finish_lease_read(struct sim_node *n, struct sim_attempt *a)
{
    if (!n->standing.serves || !sim_stamp_owner(n->standing.own, a->reader) || !has_lease(n)) {
        submit_op(n, a);
        return;
    }
    finish(a);
    sim_trace_line(n->sim, "n%d ! #%" PRIu32 " read by lease", n->index, a->id);
    sim_count(n->sim->coverage, SIM_READS_LEASE);
    sim_check_read(n, a);
}

/* The process may be stopped between the look and the second look at the lease. */
static void read_by_lease(struct sim_node *n, struct sim_attempt *a)
{
    a->reader = n->standing.own;
    look(n, a);
    if (!n->sim->quiet && sim_below(&n->sim->random, 20) == 0) {
        sim_count(n->sim->coverage, SIM_READS_PAUSED);
        sim_node_pause(n, sim_spread(&n->sim->random, SIM_MS, 10 * SIM_S), false);
        sim_node_go_on(n, finish_lease_read, a);
        return;
    }
    finish_lease_read(n, a);
}

/* ---- answers ---- */

static uint64_t hash_of_reply(aff_bytes reply)
{
    return reply.data ? sim_bytes_hash(reply) : 0;
}

static void keep_result(struct sim_attempt *a, const struct aff_op *op)
{
    a->done = true;
    a->result = op->result;
    a->reply_len = op->result.reply.len;
    a->reply_hash = hash_of_reply(op->result.reply);
}

static void op_done(struct aff_op *op)
{
    struct sim_op *so = aff_container_of(op, struct sim_op, op);
    struct sim_attempt *a = so->attempt;
    struct sim *sim = a->sim;

    if (a->done) {
        sim_violation(sim, "I10", "attempt #%" PRIu32 " was answered twice", a->id);
        return;
    }
    keep_result(a, op);
    if (so->node->dying) {
        a->lost = true;
        sim_count(sim->coverage, SIM_LOST_ANSWERS);
        return;
    }
    sim_trace_line(sim, "n%d ! #%" PRIu32 " %s, %s%s%s", a->node, a->id,
                   a->result.code ? aff_error_name(a->result.code) : "ok", sim_outcome_text(a->result.outcome),
                   a->result.stamped ? ", " : "", a->result.stamped ? sim_stamp_text(a->result.stamp).text : "");
    if (a->call == SIM_READ && a->result.code == 0) {
        look(so->node, a);
        sim_count(sim->coverage, SIM_READS_BARRIER);
        sim_check_read(so->node, a);
    } else {
        sim_check_answer(so->node, a, op);
    }
}

static void op_release(struct aff_op *op)
{
    struct sim_op *so = aff_container_of(op, struct sim_op, op);
    struct sim_attempt *a = so->attempt;

    if (!a->done)
        sim_violation(a->sim, "I10", "attempt #%" PRIu32 " was released without an answer", a->id);
    a->released = true;
    a->sim->clients->outstanding--;
    free(so->staged);
    free(so->reply);
    memset(so, 0xdd, sizeof *so);
    free(so);
}

/* ---- handing over ---- */

static void fill_value(struct sim_op *so)
{
    struct sim_attempt *a = so->attempt;
    struct aff_op *op = &so->op;
    struct aff_item item;

    if (sim_key_is_ledger(a->sim, a->key)) {
        aff_put_u32(so->value, a->id);
        op->value = aff_bytes_of(so->value, 4);
        op->content_type = aff_str("application/x-ledger");
    } else {
        int len = snprintf(so->value, sizeof so->value, "v%" PRIu32 "%*s", a->id, (int)(a->id % 60), "");
        op->value = aff_bytes_of(so->value, (size_t)len);
        op->content_type = aff_str(a->id % 2 ? "text/plain" : "application/json");
    }
    item = (struct aff_item){ .content_type = op->content_type, .value = op->value };
    a->value_hash = sim_item_hash(op->key, &item);
}

static void fill_id(struct sim_op *so)
{
    const struct sim_attempt *a = so->attempt;

    if (!a->request)
        return;
    so->op.identified = true;
    so->op.id = a->request->id;
    aff_put_u64(so->op.request.b, a->request->id.b[7]);
    aff_put_u64(so->op.request.b + 8, (uint64_t)a->variant);
}

static enum aff_op_kind kind_of(enum sim_call call)
{
    switch (call) {
    case SIM_PUT:
        return AFF_OP_PUT;
    case SIM_DELETE:
        return AFF_OP_DELETE;
    case SIM_READ:
        return AFF_OP_BARRIER;
    default:
        return AFF_OP_COMMAND;
    }
}

static struct sim_op *op_new(struct sim_node *n, struct sim_attempt *a)
{
    struct sim_op *so = aff_xcalloc(1, sizeof *so);
    struct aff_op *op = &so->op;

    aff_op_init(op, kind_of(a->call));
    so->attempt = a;
    so->node = n;
    so->etag = a->etag;
    op->done = op_done;
    op->release = op_release;
    op->deadline_ns = a->deadline_ns;
    if (a->call == SIM_READ)
        return so;
    op->key = aff_str(sim_key_name(n->sim, a->key));
    op->run = run_command;
    op->ttl_ms = a->ttl_ms;
    op->conditions = a->conditions;
    op->conditions.match = op->conditions.none_match = &so->etag;
    if (op->kind != AFF_OP_COMMAND)
        op->event_ms = SIM_EVENT_BASE + a->id;
    if (op->kind == AFF_OP_PUT)
        fill_value(so);
    fill_id(so);
    return so;
}

static const char *call_text(const struct sim_attempt *a)
{
    static const char *const names[] = { "PUT", "DELETE", "deposit", "withdraw", "peek", "READ", "lookup" };

    return names[a->call];
}

static void submit_op(struct sim_node *n, struct sim_attempt *a)
{
    struct aff_standing standing;

    aff_core_standing(n->core, &standing);
    a->in_flight = standing.in_flight;
    sim_trace_line(n->sim, "n%d < #%" PRIu32 " %s %s%s", n->index, a->id, call_text(a),
                   a->call == SIM_READ ? "" : sim_key_name(n->sim, a->key),
                   a->request ? a->variant ? ", id used for another request" : ", with an id" : "");
    aff_core_submit(n->core, &op_new(n, a)->op);
}

/* Asked of a master only. */
static void look_up(struct sim_node *n, struct sim_attempt *a)
{
    finish(a);
    if (n->standing.role != AFF_ROLE_MASTER)
        return;
    a->result.outcome = aff_core_outcome(n->core, a->target->result.stamp);
    sim_trace_line(n->sim, "n%d ! #%" PRIu32 " lookup of #%" PRIu32 ": %s", n->index, a->id, a->target->id,
                   sim_outcome_text(a->result.outcome));
    sim_count(n->sim->coverage, SIM_OUTCOMES);
    sim_check_lookup(n, a);
}

void sim_attempt_submit(struct sim_node *n, struct sim_attempt *a)
{
    a->submitted = true;
    a->submitted_ns = n->sim->now_ns;
    a->incarnation = n->incarnation;
    if (a->call == SIM_LOOKUP)
        look_up(n, a);
    else if (a->call == SIM_READ && has_lease(n))
        read_by_lease(n, a);
    else
        submit_op(n, a);
}

void sim_attempt_lost(struct sim_attempt *a)
{
    a->lost = true;
    a->result.code = AFF_ECLOSED;
    a->result.outcome = AFF_OUTCOME_NOT_APPLIED;
    finish(a);
}
