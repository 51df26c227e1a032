/*
 * serve.c - see serve.h. A question is decoded, carried out on this node as a request of its own is, and answered; never asked on.
 *
 * What a partition may keep longer than its question lives is copied first: a write whose deadline passed is answered at
 * once, and released when the log has settled it.
 */
#include "router/serve.h"

#include "base/alloc.h"
#include "router/inner.h"
#include "router/inquiry.h"
#include "router/patch.h"
#include "router/scan_serve.h"
#include "router/standby.h"

#include <stdio.h>
#include <stdlib.h>

enum { PARTS_MAX = 8, TAIL_MAX = AFF_WIRE_MAX - AFF_PORT_ROOM };

/* ---- answers ---- */

void aff_serve_answer(const struct aff_serving *s, const aff_bytes *parts, size_t parts_count)
{
    static const unsigned char how = AFF_WIRE_ANSWERED;
    aff_bytes all[PARTS_MAX + 1] = { { &how, 1 } };
    assert(parts_count <= PARTS_MAX);
    for (size_t i = 0; i < parts_count; i++)
        all[i + 1] = parts[i];
    aff_peer_answer(s->question, all, parts_count + 1);
}

static struct aff_leaders_at at_of(const struct aff_serving *s)
{
    const struct space *space = s->space->parts;
    return (struct aff_leaders_at){ space->index, s->partition, space->first_reader + s->partition };
}

void aff_serve_elsewhere(const struct aff_serving *s)
{
    struct aff_buf *room = &s->port->room;
    struct aff_wire_leader leader;
    aff_bytes answer;
    aff_leaders_tell(&s->port->leaders, at_of(s), &leader);
    aff_buf_clear(room);
    if (!aff_buf_u8(room, AFF_WIRE_ELSEWHERE) || !aff_wire_put_leader(room, &leader)) {
        aff_peer_refuse(s->question);
        return;
    }
    answer = aff_buf_view(room);
    aff_peer_answer(s->question, &answer, 1);
}

/* The beginning is in the port's room. */
static void answer_room(const struct aff_serving *s, aff_bytes tail)
{
    const aff_bytes parts[] = { aff_buf_view(&s->port->room), tail };
    aff_serve_answer(s, parts, tail.len ? 2 : 1);
}

/* One that is too long for a frame is told as such; what was done is done. */
static void answer_result(const struct aff_serving *s, const struct aff_result *result, uint32_t identity8)
{
    struct aff_buf *room = &s->port->room;
    struct aff_result cut = *result;
    aff_bytes tail;
    if (result->reply.len > TAIL_MAX) {
        cut.reply = aff_bytes_of(NULL, 0);
        cut.replay_cut = true;
        if (result->outcome != AFF_OUTCOME_COMMITTED)
            cut.code = AFF_ETOOLARGE;
    }
    aff_buf_clear(room);
    bool fits = aff_wire_put_result(room, &cut, identity8, &tail);
    assert(fits); /* the port's room is as large as this can be */
    (void)fits;
    answer_room(s, tail);
}

static void answer_code(const struct aff_serving *s, int code, const char *detail)
{
    struct aff_result result = { .code = code, .outcome = AFF_OUTCOME_NOT_APPLIED };
    (void)snprintf(result.detail, sizeof result.detail, "%s", detail);
    answer_result(s, &result, 0);
}

static void answer_found(const struct aff_serving *s, int code, const struct aff_found *found)
{
    struct aff_buf *room = &s->port->room;
    aff_bytes tail;
    if (code == 0 && found->exists && found->item.value.len > TAIL_MAX)
        code = AFF_ETOOLARGE;
    aff_buf_clear(room);
    bool fits = aff_wire_put_found(room, code, found, &tail);
    assert(fits);
    (void)fits;
    answer_room(s, tail);
}

/* ---- an operation, or a read that waits for its proof ---- */

struct served {
    struct aff_command_op op;
    struct aff_serving s;
    struct aff_etag *tags;
    unsigned char body[];
};

static struct served *served_of(struct aff_call *call)
{
    return aff_container_of(aff_container_of(call, struct aff_command_op, call), struct served, op);
}

static struct served *served_new(const struct aff_serving *s)
{
    struct served *served = malloc(sizeof *served + s->body.len);
    if (!served)
        return NULL;
    served->s = *s;
    served->tags = NULL;
    served->op.patching = NULL;
    served->op.command.state = NULL;
    if (s->body.len)
        memcpy(served->body, s->body.data, s->body.len);
    served->s.body = aff_bytes_of(served->body, s->body.len);
    return served;
}

static void served_free(struct served *served)
{
    aff_command_fini(&served->op);
    free(served->tags);
    free(served);
}

static void op_answered(struct aff_call *call)
{
    struct served *served = served_of(call);
    const struct aff_result *r = &call->op.result;
    if (r->code == AFF_ENOMASTER && r->outcome == AFF_OUTCOME_NOT_APPLIED)
        aff_serve_elsewhere(&served->s);
    else
        answer_result(&served->s, r, call->identity8);
}

static void read_answered(struct aff_call *call)
{
    struct served *served = served_of(call);
    if (call->op.result.code == AFF_ENOMASTER)
        aff_serve_elsewhere(&served->s);
    else
        answer_found(&served->s, call->op.result.code, &call->found);
}

static void call_released(struct aff_call *call)
{
    served_free(served_of(call));
}

/* Room for the conditions that came; mostly none did. */
static void keep_tags(struct served *served, struct aff_conditions *c)
{
    const struct aff_etag *match = c->match, *none_match = c->none_match;
    struct aff_etag *tags;
    c->match = c->none_match = NULL;
    if (c->match_count + c->none_match_count == 0)
        return;
    tags = aff_xcalloc(c->match_count + c->none_match_count, sizeof *tags);
    for (size_t i = 0; i < c->match_count; i++)
        tags[i] = match[i];
    for (size_t i = 0; i < c->none_match_count; i++)
        tags[c->match_count + i] = none_match[i];
    c->match = tags;
    c->none_match = tags + c->match_count;
    served->tags = tags;
}

/* What runs: a code when it cannot. */
static int prepare_command(struct served *served, const struct aff_wire_form *form, char *detail, size_t size)
{
    const struct aff_space *space = served->s.space;
    const struct aff_patch_opts patch = { .body = form->body, .merges = form->merges, .whole = form->whole, .depth = form->depth };
    const aff_command *command;
    if (form->patch)
        return aff_patch_prepare(&served->op, space, &patch, detail, size);
    command = aff_space_command(space, form->command);
    if (!command || !command->run) {
        (void)snprintf(detail, size, "the node that leads the partition does not know the command");
        return AFF_ENOROUTE;
    }
    aff_command_prepare(&served->op, space, command, form->body, form->type);
    return 0;
}

/* 0, or a code with a text: what came does not fit this node. */
static int prepare_op(struct served *served, char *detail, size_t size)
{
    struct aff_cursor from = aff_cursor_of(served->s.body);
    struct aff_op *op = &served->op.call.op;
    struct aff_wire_etags etags;
    struct aff_wire_form form;
    if (!aff_wire_take_op(&from, op, &etags, &form) ||
        (op->key.len && aff_space_partition(served->s.space, op->key) != served->s.partition)) {
        (void)snprintf(detail, size, "the node that leads the partition cannot read what it was sent");
        return AFF_EAGAIN;
    }
    keep_tags(served, &op->conditions);
    if (!op->key.len)
        op->key.data = NULL;
    op->deadline_ns = served->s.deadline_ns;
    if (op->kind == AFF_OP_PUT && op->value.len > served->s.space->max_value) {
        (void)snprintf(detail, size, "the value is longer than the keyspace allows");
        return AFF_ETOOLARGE;
    }
    return op->kind == AFF_OP_COMMAND ? prepare_command(served, &form, detail, size) : 0;
}

static void serve_op(const struct aff_serving *s)
{
    struct served *served = served_new(s);
    char detail[256] = "";
    int code;
    if (!served) {
        aff_peer_refuse(s->question);
        return;
    }
    code = prepare_op(served, detail, sizeof detail);
    if (code != 0) {
        answer_code(s, code, detail);
        served_free(served);
        return;
    }
    served->op.call.partition = s->partition;
    served->op.call.answered = op_answered;
    served->op.call.released = call_released;
    aff_port_call_here(s->port, s->space, &served->op.call);
}

/* ---- reads ---- */

static void read_later(const struct aff_serving *s)
{
    struct served *served = served_new(s);
    struct aff_call *call;
    if (!served) {
        aff_peer_refuse(s->question);
        return;
    }
    call = &served->op.call;
    call->op.key = served->s.body;
    call->op.deadline_ns = s->deadline_ns;
    call->answered = read_answered;
    call->released = call_released;
    aff_port_read_here(s->port, s->space, call);
}

static void serve_get(const struct aff_serving *s)
{
    struct aff_found found;
    int code;
    if (s->body.len == 0 || s->body.len > AFF_KEY_MAX || aff_space_partition(s->space, s->body) != s->partition) {
        answer_found(s, AFF_EAGAIN, NULL);
        return;
    }
    code = aff_port_get(s->port, s->space, s->body, &found);
    if (code == AFF_EAGAIN) {
        read_later(s);
        return;
    }
    if (code == AFF_ENOMASTER)
        aff_serve_elsewhere(s);
    else
        answer_found(s, code, &found);
    if (code == 0)
        aff_port_done(s->port);
}

/* ---- GO of a hand-over ---- */

struct taking {
    struct aff_take take;
    struct aff_serving s;
    struct aff_partition *part;
    struct aff_msg msg;
    bool leads;
};

static void tell_taken(struct aff_msg *msg)
{
    struct taking *taking = aff_container_of(msg, struct taking, msg);
    const unsigned char leads = taking->leads;
    const aff_bytes answer = aff_bytes_of(&leads, 1);
    aff_serve_answer(&taking->s, &answer, 1);
    free(taking);
}

static void taken(struct aff_take *take, bool leads)
{
    struct taking *taking = aff_container_of(take, struct taking, take);
    taking->leads = leads;
    taking->msg.deliver = tell_taken;
    aff_loop_call(taking->s.port->loop, &taking->msg);
}

static void deliver_take(struct aff_msg *msg)
{
    struct taking *taking = aff_container_of(msg, struct taking, msg);
    aff_partition_take(taking->part, &taking->take);
}

static void serve_go(const struct aff_serving *s)
{
    struct aff_cursor from = aff_cursor_of(s->body);
    struct aff_go go;
    struct taking *taking;
    if (!aff_wire_take_go(&from, &go)) {
        aff_peer_refuse(s->question);
        return;
    }
    taking = aff_xcalloc(1, sizeof *taking);
    taking->take = (struct aff_take){ .go = go, .deadline_ns = s->question->deadline_ns, .taken = taken };
    taking->s = *s;
    taking->part = ((const struct space *)s->space->parts)->parts[s->partition];
    taking->msg.deliver = deliver_take;
    aff_loop_call(aff_partition_loop(taking->part), &taking->msg);
}

/* ---- the table ---- */

static void (*const kinds[AFF_WIRE_KINDS])(const struct aff_serving *s) = {
    [AFF_WIRE_OP] = serve_op,
    [AFF_WIRE_GET] = serve_get,
    [AFF_WIRE_INQUIRY] = aff_inquiry_serve,
    [AFF_WIRE_GO] = serve_go,
    [AFF_WIRE_SCAN] = aff_scan_serve,
    [AFF_WIRE_POSITION] = aff_position_serve,
};

/* A question that this node does not know, or about what it does not have, is refused: it was not handled, and will not be. */
void aff_port_serve(void *port, struct aff_peer_question *question)
{
    struct aff_serving s = { .port = port, .question = question };
    struct aff_cursor from = aff_cursor_of(question->body);
    aff_bytes name;
    assert(aff_loop_here(s.port->loop));
    if (question->kind < AFF_WIRE_KINDS && kinds[question->kind] && aff_wire_take_about(&from, &name, &s.partition))
        s.space = aff_router_space(s.port->router, name);
    if (!s.space || s.partition >= s.space->partitions) {
        aff_peer_refuse(question);
        return;
    }
    s.body = aff_cursor_take(&from, aff_cursor_left(&from));
    s.deadline_ns = question->deadline_ns - AFF_WIRE_GRACE_MS * AFF_NS_PER_MS;
    kinds[question->kind](&s);
}
