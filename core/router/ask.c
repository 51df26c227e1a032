/*
 * ask.c - see ask.h. The trip does everything (trip.h); here is only what an answer means.
 */
#include "router/ask.h"

#include "router/inner.h"

static struct aff_ask *ask_of(struct aff_trip *trip)
{
    return aff_container_of(trip, struct aff_ask, trip);
}

/* Inside of the call that asks nothing is answered: it comes when the loop looks next. */
static void finish(struct aff_ask *ask, int code, aff_bytes answer)
{
    struct aff_port *port = ask->trip.port;
    if (ask->calling) {
        ask->code = code;
        aff_list_append(&port->ended, &ask->trip.link);
        aff_loop_timer_set(port->loop, &port->wake, 0);
        return;
    }
    aff_buf_fini(&ask->body);
    ask->answered(ask, code, answer);
}

void aff_port_end_asks(struct aff_port *port)
{
    struct aff_list *link;
    while ((link = aff_list_take(&port->ended)))
        finish(ask_of(aff_container_of(link, struct aff_trip, link)),
               ask_of(aff_container_of(link, struct aff_trip, link))->code, aff_str(""));
}

static void be_here(struct aff_trip *trip)
{
    finish(ask_of(trip), AFF_ASK_HERE, aff_str(""));
}

static bool write_question(struct aff_trip *trip, struct aff_buf *room, aff_bytes *ret_tail)
{
    (void)room;
    *ret_tail = aff_buf_view(&ask_of(trip)->body);
    return true;
}

static void take_answer(struct aff_trip *trip, aff_bytes body)
{
    finish(ask_of(trip), 0, body);
}

static void end_ask(struct aff_trip *trip, int code)
{
    finish(ask_of(trip), code, aff_str(""));
}

static const struct aff_trip_ops trip_ops = {
    .here = be_here, .question = write_question, .answer = take_answer, .over = end_ask
};

void aff_port_ask(struct aff_port *port, const struct aff_space *space, struct aff_ask *ask, const aff_bytes *parts,
                  size_t parts_count)
{
    struct aff_trip *trip = &ask->trip;
    bool kept = true;
    assert(aff_loop_here(port->loop) && ask->partition < space->partitions);
    aff_buf_init(&ask->body);
    for (size_t i = 0; kept && i < parts_count; i++)
        kept = aff_buf_add(&ask->body, parts[i].data, parts[i].len);
    *trip = (struct aff_trip){ .ops = &trip_ops,
                               .space = space,
                               .partition = ask->partition,
                               .kind = ask->kind,
                               .repeats = true,
                               .deadline_ns = ask->deadline_ns,
                               .weight = ask->body.len,
                               .port = port };
    aff_list_init(&trip->link);
    ask->calling = true;
    if (kept)
        aff_trip_begin(port, trip);
    else
        finish(ask, AFF_ENOMEM, aff_str(""));
    ask->calling = false;
}

void aff_port_ask_forget(struct aff_port *port, struct aff_ask *ask)
{
    assert(aff_loop_here(port->loop) && ask->trip.port == port);
    (void)port;
    aff_trip_forget(&ask->trip);
    aff_list_remove(&ask->trip.link);
    aff_buf_fini(&ask->body);
}
