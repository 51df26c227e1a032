/*
 * call.c - operations and questions on their way to a partition's loop and back.
 *
 * A call to a partition of the same loop goes straight in. To another loop it takes slots of three messages before it leaves, so
 * that no answer can ever be without a place: there, answered, released. An answer that needs no later release (nearly all)
 * is one message back.
 */
#include "router/inner.h"

#include <stdio.h>
#include <stdlib.h>

static struct aff_partition *part_of(const struct aff_space *space, uint32_t partition)
{
    return ((const struct space *)space->parts)->parts[partition];
}

static void count_outcome(struct aff_partition *part, const struct aff_result *r)
{
    struct aff_partition_shared *sh = aff_partition_shared(part);
    _Atomic uint64_t *n = r->outcome == AFF_OUTCOME_COMMITTED ? &sh->committed
                          : r->outcome == AFF_OUTCOME_UNKNOWN ? &sh->unknown
                                                              : &sh->refused;

    if (r->outcome != AFF_OUTCOME_NONE || r->code != 0)
        atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + 1, memory_order_relaxed);
}

/* ---- back home ---- */

static void deliver_done(struct aff_msg *msg)
{
    struct aff_call *call = aff_container_of(msg, struct aff_call, done_msg);

    call->answered(call);
}

static void release(struct aff_call *call)
{
    free(call->owned);
    call->owned = NULL;
    call->released(call);
}

static void deliver_release(struct aff_msg *msg)
{
    release(aff_container_of(msg, struct aff_call, release_msg));
}

static void deliver_both(struct aff_msg *msg)
{
    struct aff_call *call = aff_container_of(msg, struct aff_call, release_msg);

    call->answered(call);
    release(call);
}

/* ---- on the partition's loop ---- */

static bool is_local(const struct aff_call *call)
{
    return aff_partition_loop(call->part) == call->port->loop;
}

static void op_done(struct aff_op *op)
{
    struct aff_call *call = aff_container_of(op, struct aff_call, op);

    count_outcome(call->part, &op->result);
    call->identity8 = atomic_load(&aff_partition_shared(call->part)->identity8);
    if (is_local(call)) {
        call->answered(call);
        return;
    }
    call->owned = op->owned; /* the answer is on its way for longer than the partition remembers it */
    op->owned = NULL;
    if (op->state == AFF_OP_LEFT) /* answered at its deadline; released when the log has settled it */
        aff_loop_post(call->port->loop, &call->done_msg);
}

static void op_release(struct aff_op *op)
{
    struct aff_call *call = aff_container_of(op, struct aff_call, op);
    struct aff_loop *home = call->port->loop;

    if (is_local(call)) {
        call->released(call);
        return;
    }
    if (op->state != AFF_OP_LEFT) { /* answered and released at once: the slot of the first message is free again */
        aff_loop_unreserve(home);
        call->release_msg.deliver = deliver_both;
    }
    aff_loop_post(home, &call->release_msg);
}

static void deliver_submit(struct aff_msg *msg)
{
    struct aff_call *call = aff_container_of(msg, struct aff_call, to);

    aff_partition_submit(call->part, &call->op);
}

/* ---- leaving ---- */

static bool reserve_all(struct aff_loop *there, struct aff_loop *home)
{
    if (!aff_loop_reserve(there))
        return false;
    if (aff_loop_reserve(home)) {
        if (aff_loop_reserve(home))
            return true;
        aff_loop_unreserve(home);
    }
    aff_loop_unreserve(there);
    return false;
}

void aff_port_call(struct aff_port *port, const struct aff_space *space, struct aff_call *call)
{
    struct aff_loop *there;

    assert(aff_loop_here(port->loop));
    if (call->op.key.data)
        call->partition = aff_space_partition(space, call->op.key);
    assert(call->partition < space->partitions);
    call->port = port;
    call->part = part_of(space, call->partition);
    call->owned = NULL;
    call->op.done = op_done;
    call->op.release = op_release;
    there = aff_partition_loop(call->part);
    if (there == port->loop) {
        aff_partition_submit(call->part, &call->op);
        return;
    }
    if (!reserve_all(there, port->loop)) {
        call->op.result.code = AFF_EQUEUEFULL;
        call->op.result.outcome = AFF_OUTCOME_NOT_APPLIED;
        call->answered(call);
        call->released(call);
        return;
    }
    call->to.deliver = deliver_submit;
    call->done_msg.deliver = deliver_done;
    call->release_msg.deliver = deliver_release;
    aff_loop_post(there, &call->to);
}

/* ---- questions about outcomes ---- */

static void inquire(struct aff_inquiry *q)
{
    struct aff_partition *part = q->part;

    q->code = aff_partition_leads(part) ? 0 : AFF_ENOMASTER;
    q->outcome = aff_partition_outcome(part, q->stamp);
}

static void deliver_answer(struct aff_msg *msg)
{
    struct aff_inquiry *q = aff_container_of(msg, struct aff_inquiry, back);

    q->answered(q);
}

static void deliver_inquiry(struct aff_msg *msg)
{
    struct aff_inquiry *q = aff_container_of(msg, struct aff_inquiry, to);

    inquire(q);
    aff_loop_post(q->port->loop, &q->back);
}

void aff_port_inquire(struct aff_port *port, const struct aff_space *space, struct aff_inquiry *q)
{
    struct aff_loop *there;

    assert(q->partition < space->partitions);
    q->port = port;
    q->part = part_of(space, q->partition);
    there = aff_partition_loop(q->part);
    if (there == port->loop) {
        inquire(q);
        q->answered(q);
        return;
    }
    q->to.deliver = deliver_inquiry;
    q->back.deliver = deliver_answer;
    if (!aff_loop_reserve(port->loop)) {
        q->code = AFF_EQUEUEFULL;
        q->answered(q);
        return;
    }
    if (!aff_loop_reserve(there)) {
        aff_loop_unreserve(port->loop);
        q->code = AFF_EQUEUEFULL;
        q->answered(q);
        return;
    }
    aff_loop_post(there, &q->to);
}

/* ---- request ids ---- */

size_t aff_request_id_print(const struct aff_space *space, uint32_t partition, struct aff_stamp stamp,
                            char out[AFF_REQUEST_ID_MAX])
{
    int n = snprintf(out, AFF_REQUEST_ID_MAX, "%s-%u-%llx-%llx-%llu", space->name, (unsigned)partition,
                     (unsigned long long)stamp.epoch, (unsigned long long)stamp.nonce, (unsigned long long)stamp.seq);

    assert(n > 0 && n < AFF_REQUEST_ID_MAX);
    return (size_t)n;
}

/* Digits up to the next '-' or the end; false: none, or more than 64 bits. */
static bool take_number(const char **at, int base, uint64_t *ret)
{
    const char *digits = base == 16 ? "0123456789abcdef" : "0123456789";
    uint64_t v = 0;
    const char *p = *at, *d;

    for (; *p && *p != '-'; p++) {
        d = memchr(digits, *p, (size_t)base);
        if (!d || v > (UINT64_MAX - (uint64_t)(d - digits)) / (uint64_t)base)
            return false;
        v = v * (uint64_t)base + (uint64_t)(d - digits);
    }
    if (p == *at)
        return false;
    *at = *p == '-' ? p + 1 : p;
    *ret = v;
    return true;
}

bool aff_request_id_parse(const struct aff_router *router, aff_bytes text, const struct aff_space **ret_space,
                          uint32_t *ret_partition, struct aff_stamp *ret_stamp)
{
    char copy[AFF_REQUEST_ID_MAX];
    const char *at;
    char *dash;
    const struct aff_space *space;
    uint64_t partition;
    struct aff_stamp stamp;

    if (text.len == 0 || text.len >= sizeof copy || memchr(text.data, 0, text.len))
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    if (copy[text.len - 1] == '-')
        return false;
    dash = strchr(copy, '-');
    if (!dash || !(space = aff_router_space(router, aff_bytes_of(copy, (size_t)(dash - copy)))))
        return false;
    at = dash + 1;
    if (!take_number(&at, 10, &partition) || !take_number(&at, 16, &stamp.epoch) ||
        !take_number(&at, 16, &stamp.nonce) || !take_number(&at, 10, &stamp.seq) || *at ||
        partition >= space->partitions || stamp.epoch > AFF_EPOCH_MAX)
        return false;
    *ret_space = space;
    *ret_partition = (uint32_t)partition;
    *ret_stamp = stamp;
    return true;
}
