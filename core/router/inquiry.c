/*
 * inquiry.c - see inquiry.h. This node's partition is asked first, on its own loop, and then the one that leads.
 *
 *   question  E 8 | N 8 | S 8
 *   answer    code 4 | outcome 1
 */
#include "router/inquiry.h"

#include "router/inner.h"
#include "router/serve.h"

#include <stdlib.h>

enum { TURNS_MAX = 4 }; /* said so often in a row to lead here, and not led here, the partition has no master */

/* ---- here ---- */

static void conclude(struct aff_inquiry *q);

static void look(struct aff_inquiry *q)
{
    struct aff_partition *part = q->part;

    q->code = aff_partition_leads(part) ? 0 : AFF_ENOMASTER;
    q->outcome = aff_partition_outcome(part, q->stamp);
}

static void deliver_back(struct aff_msg *msg)
{
    conclude(aff_container_of(msg, struct aff_inquiry, back));
}

static void deliver_to(struct aff_msg *msg)
{
    struct aff_inquiry *q = aff_container_of(msg, struct aff_inquiry, to);

    look(q);
    aff_loop_post(q->port->loop, &q->back);
}

static bool reserve_both(struct aff_loop *home, struct aff_loop *there)
{
    if (!aff_loop_reserve(home))
        return false;
    if (aff_loop_reserve(there))
        return true;
    aff_loop_unreserve(home);
    return false;
}

static void inquire_here(struct aff_inquiry *q)
{
    struct aff_loop *there = aff_partition_loop(q->part);

    if (there == q->port->loop) {
        look(q);
        conclude(q);
    } else if (reserve_both(q->port->loop, there)) {
        q->to.deliver = deliver_to;
        q->back.deliver = deliver_back;
        aff_loop_post(there, &q->to);
    } else {
        q->code = AFF_EQUEUEFULL;
        q->answered(q);
    }
}

/* ---- there ---- */

static void take_answer(struct aff_inquiry *q, aff_bytes answer)
{
    struct aff_cursor from = aff_cursor_of(answer);
    uint32_t code = aff_cursor_u32(&from);
    unsigned outcome = aff_cursor_u8(&from);

    q->code = (int)(int32_t)code;
    q->outcome = (enum aff_outcome)outcome;
    if (from.failed || q->code > 0 || outcome > AFF_OUTCOME_UNKNOWN)
        q->code = AFF_EIO;
}

static void ask_answered(struct aff_ask *ask, int code, aff_bytes answer)
{
    struct aff_inquiry *q = aff_container_of(ask, struct aff_inquiry, ask);

    if (code == AFF_ASK_HERE) {
        q->turns++;
        inquire_here(q);
        return;
    }
    q->code = code;
    if (code == 0)
        take_answer(q, answer);
    q->answered(q);
}

static void ask_leader(struct aff_inquiry *q)
{
    unsigned char stamp[24];
    aff_bytes body;

    aff_put_u64(stamp, q->stamp.epoch);
    aff_put_u64(stamp + 8, q->stamp.nonce);
    aff_put_u64(stamp + 16, q->stamp.seq);
    body = aff_bytes_of(stamp, sizeof stamp);
    q->ask = (struct aff_ask){
        .partition = q->partition, .kind = AFF_WIRE_INQUIRY, .deadline_ns = q->deadline_ns, .answered = ask_answered
    };
    aff_port_ask(q->port, q->space, &q->ask, &body, 1);
}

static void conclude(struct aff_inquiry *q)
{
    if (q->code == AFF_ENOMASTER && !q->stays && aff_port_clustered(q->port) && q->turns < TURNS_MAX)
        ask_leader(q);
    else
        q->answered(q);
}

static void begin(struct aff_port *port, const struct aff_space *space, struct aff_inquiry *q, bool stays)
{
    assert(aff_loop_here(port->loop) && q->partition < space->partitions);
    q->port = port;
    q->space = space;
    q->part = ((const struct space *)space->parts)->parts[q->partition];
    q->stays = stays;
    q->turns = 0;
    inquire_here(q);
}

void aff_port_inquire(struct aff_port *port, const struct aff_space *space, struct aff_inquiry *q)
{
    begin(port, space, q, false);
}

/* ---- for others ---- */

struct served {
    struct aff_inquiry inquiry;
    struct aff_serving s;
};

static void answer_served(struct aff_inquiry *q)
{
    struct served *served = aff_container_of(q, struct served, inquiry);
    unsigned char answer[5];
    aff_bytes part;

    aff_put_u32(answer, (uint32_t)q->code);
    answer[4] = (unsigned char)q->outcome;
    part = aff_bytes_of(answer, sizeof answer);
    if (q->code == AFF_ENOMASTER)
        aff_serve_elsewhere(&served->s);
    else
        aff_serve_answer(&served->s, &part, 1);
    free(served);
}

void aff_inquiry_serve(const struct aff_serving *s)
{
    struct aff_cursor from = aff_cursor_of(s->body);
    struct served *served = aff_xcalloc(1, sizeof *served);

    served->s = *s;
    served->inquiry.partition = s->partition;
    served->inquiry.stamp.epoch = aff_cursor_u64(&from);
    served->inquiry.stamp.nonce = aff_cursor_u64(&from);
    served->inquiry.stamp.seq = aff_cursor_u64(&from);
    served->inquiry.answered = answer_served;
    if (from.failed) {
        aff_peer_refuse(s->question);
        free(served);
        return;
    }
    begin(s->port, s->space, &served->inquiry, true);
}
