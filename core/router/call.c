/*
 * call.c - operations and questions on their way to a partition's loop and back.
 *
 * A call to a partition of the same loop goes straight in. To another loop it takes slots of three messages before it leaves, so
 * that no answer can ever be without a place: there, answered, released. An answer that needs no later release (nearly all)
 * is one message back. To another node it is a question and its answer (trip.h).
 */
#include "router/inner.h"

#include "router/patch.h"

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

/* ---- one answer ---- */

/* Was it refused by somebody who does not lead (any more), and was nothing done: is the next one to be asked? */
static bool must_go_on(const struct aff_call *call)
{
    const struct aff_result *r = &call->op.result;

    if (call->trip.stays || !aff_port_clustered(call->port) ||
        (r->outcome != AFF_OUTCOME_NOT_APPLIED && r->outcome != AFF_OUTCOME_NONE))
        return false;
    switch (r->code) {
    case AFF_ENOMASTER:
    case AFF_EDRAINING:
    case AFF_ECLOSED:
    case AFF_EVOID:
        return true;
    case AFF_EIDRUNNING:
        return call->trip.unsure; /* the one that is running is its own */
    default:
        return false;
    }
}

/* That a repeat was not applied says nothing of the first. */
static void keep_doubt(struct aff_call *call)
{
    struct aff_result *r = &call->op.result;

    if (call->trip.unsure && r->outcome == AFF_OUTCOME_NOT_APPLIED)
        *r = (struct aff_result){ .code = AFF_EUNKNOWN, .outcome = AFF_OUTCOME_UNKNOWN };
}

/* On the port's loop, with the result of an attempt here. False: it is not the last, and nothing is answered. */
static bool conclude(struct aff_call *call)
{
    struct aff_result *r = &call->op.result;

    if (call->reads && r->code == 0)
        r->code = aff_port_get_settled(call->port, call->trip.space, call->op.key, &call->found);
    if (must_go_on(call))
        return false;
    keep_doubt(call);
    call->answered(call);
    if (call->reads)
        aff_port_done(call->port);
    return true;
}

static void release(struct aff_call *call)
{
    free(call->owned);
    call->owned = NULL;
    call->released(call);
}

static void go_on(struct aff_call *call)
{
    free(call->owned);
    call->owned = NULL;
    aff_op_renew(&call->op);
    aff_trip_follow(&call->trip);
}

/* It did not come from a partition. */
static void answer_code(struct aff_call *call, int code)
{
    call->op.result = (struct aff_result){ .code = code,
                                           .outcome = code == AFF_EUNKNOWN ? AFF_OUTCOME_UNKNOWN : AFF_OUTCOME_NOT_APPLIED };
    keep_doubt(call);
    call->answered(call);
    release(call);
}

/* ---- back home ---- */

static void deliver_done(struct aff_msg *msg)
{
    struct aff_call *call = aff_container_of(msg, struct aff_call, done_msg);

    call->answered(call);
}

static void deliver_release(struct aff_msg *msg)
{
    release(aff_container_of(msg, struct aff_call, release_msg));
}

static void deliver_both(struct aff_msg *msg)
{
    struct aff_call *call = aff_container_of(msg, struct aff_call, release_msg);

    if (conclude(call))
        release(call);
    else
        go_on(call);
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
        call->goes_on = !conclude(call);
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
        if (call->goes_on)
            go_on(call);
        else
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

/* ---- to a partition of this node ---- */

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

static struct aff_call *call_of(struct aff_trip *trip)
{
    return aff_container_of(trip, struct aff_call, trip);
}

static void go_here(struct aff_trip *trip)
{
    struct aff_call *call = call_of(trip);
    struct aff_port *port = call->port;
    struct aff_loop *there;

    call->part = part_of(trip->space, call->partition);
    call->op.done = op_done;
    call->op.release = op_release;
    there = aff_partition_loop(call->part);
    if (there == port->loop) {
        aff_partition_submit(call->part, &call->op);
        return;
    }
    if (!reserve_all(there, port->loop)) {
        answer_code(call, AFF_EQUEUEFULL);
        return;
    }
    call->to.deliver = deliver_submit;
    call->done_msg.deliver = deliver_done;
    call->release_msg.deliver = deliver_release;
    aff_loop_post(there, &call->to);
}

/* ---- to another node ---- */

static struct aff_wire_form form_of(const struct aff_call *call)
{
    const struct aff_command_op *op;
    const struct aff_patch_opts *patch;

    if (call->op.kind != AFF_OP_COMMAND)
        return (struct aff_wire_form){ .patch = false };
    op = aff_container_of(call, const struct aff_command_op, call);
    patch = aff_patch_opts_of(op);
    if (patch)
        return (struct aff_wire_form){ .patch = true, .body = patch->body, .merges = patch->merges, .whole = patch->whole,
                                       .depth = (uint16_t)patch->depth };
    return (struct aff_wire_form){ .command = aff_str(op->command.command->name), .body = op->command.body,
                                   .type = op->command.body_type };
}

static bool write_question(struct aff_trip *trip, struct aff_buf *room, aff_bytes *ret_tail)
{
    struct aff_call *call = call_of(trip);
    struct aff_wire_form form;

    if (call->reads) {
        *ret_tail = call->op.key;
        return true;
    }
    form = form_of(call);
    return aff_wire_put_op(room, &call->op, &form, ret_tail);
}

static void take_found(struct aff_call *call, struct aff_cursor *from)
{
    struct aff_result *r = &call->op.result;

    if (!aff_wire_take_found(from, &r->code, &call->found)) {
        aff_trip_lose(&call->trip);
        return;
    }
    r->outcome = r->code == 0 ? AFF_OUTCOME_NONE : AFF_OUTCOME_NOT_APPLIED;
    call->found.partition = call->partition;
    call->identity8 = call->found.identity8;
    if (must_go_on(call)) {
        go_on(call);
        return;
    }
    call->answered(call);
    release(call);
}

/* The title of a refusal ends with a NUL, and lives as long as the reply. */
static void keep_title(struct aff_call *call, aff_bytes title)
{
    char *copy;

    if (!title.data)
        return;
    copy = aff_xmalloc(title.len + 1);
    memcpy(copy, title.data, title.len);
    copy[title.len] = '\0';
    call->owned = copy;
    call->op.result.title = copy;
}

/* What the answer shows lives until this returns; so the call is released before. */
static void take_answer(struct aff_trip *trip, aff_bytes body)
{
    struct aff_call *call = call_of(trip);
    struct aff_cursor from = aff_cursor_of(body);
    aff_bytes title;

    if (call->reads) {
        take_found(call, &from);
        return;
    }
    if (!aff_wire_take_result(&from, &call->op.result, &call->identity8, &title)) {
        aff_trip_lose(trip);
        return;
    }
    if (must_go_on(call)) {
        go_on(call);
        return;
    }
    keep_title(call, title);
    keep_doubt(call);
    call->answered(call);
    release(call);
}

static void end_call(struct aff_trip *trip, int code)
{
    answer_code(call_of(trip), code);
}

/* ---- beginning ---- */

static const struct aff_trip_ops trip_ops = {
    .here = go_here, .question = write_question, .answer = take_answer, .over = end_call
};

static size_t weight_of(const struct aff_call *call)
{
    size_t bytes = sizeof *call + call->op.key.len;

    if (call->op.kind == AFF_OP_PUT)
        bytes += call->op.value.len;
    else if (call->op.kind == AFF_OP_COMMAND)
        bytes += form_of(call).body.len;
    return bytes;
}

static void begin(struct aff_port *port, const struct aff_space *space, struct aff_call *call, bool stays)
{
    struct aff_trip *trip = &call->trip;

    assert(aff_loop_here(port->loop));
    if (call->op.key.data)
        call->partition = aff_space_partition(space, call->op.key);
    assert(call->partition < space->partitions);
    call->port = port;
    call->owned = NULL;
    trip->ops = &trip_ops;
    trip->space = space;
    trip->partition = call->partition;
    trip->kind = call->reads ? AFF_WIRE_GET : AFF_WIRE_OP;
    trip->stays = stays;
    trip->changes = call->op.kind != AFF_OP_BARRIER;
    trip->repeats = !trip->changes || call->op.identified;
    trip->deadline_ns = call->op.deadline_ns;
    trip->weight = aff_port_clustered(port) ? weight_of(call) : 0;
    aff_trip_begin(port, trip);
}

void aff_port_call(struct aff_port *port, const struct aff_space *space, struct aff_call *call)
{
    call->reads = false;
    begin(port, space, call, false);
}

void aff_port_call_here(struct aff_port *port, const struct aff_space *space, struct aff_call *call)
{
    call->reads = false;
    begin(port, space, call, true);
}

/* Here it is a barrier, and then a look. */
static void read_by(struct aff_port *port, const struct aff_space *space, struct aff_call *call, bool stays)
{
    const aff_bytes key = call->op.key;
    const int64_t deadline_ns = call->op.deadline_ns;

    aff_op_init(&call->op, AFF_OP_BARRIER);
    call->op.key = key;
    call->op.deadline_ns = deadline_ns;
    call->reads = true;
    begin(port, space, call, stays);
}

void aff_port_read(struct aff_port *port, const struct aff_space *space, struct aff_call *call)
{
    read_by(port, space, call, false);
}

void aff_port_read_here(struct aff_port *port, const struct aff_space *space, struct aff_call *call)
{
    read_by(port, space, call, true);
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
