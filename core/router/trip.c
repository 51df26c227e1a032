/*
 * trip.c - see trip.h.
 *
 * A trip is at one of four places: here, away (a peer has it), waiting (on its partition's list and on the port's heap), or over.
 * Whoever waits tries again after a pause that grows, and at once when something is heard of another leader; until its deadline,
 * or until it had patience for long enough.
 */
#include "router/inner.h"

#include <stdio.h>

enum {
    PAUSE_MIN_MS = 2,
    PAUSE_MAX_MS = 100,
    FOLLOWS_AT_ONCE = 3, /* so often it goes to another leader without a pause: two nodes may name each other for a while */
};

static struct aff_leaders_at at_of(const struct aff_trip *trip)
{
    const struct space *s = trip->space->parts;
    return (struct aff_leaders_at){ s->index, trip->partition, s->first_reader + trip->partition };
}

static struct aff_place *place_of(const struct aff_trip *trip)
{
    return &trip->port->places[at_of(trip).index];
}

uint32_t aff_port_own_epoch(const struct space *s, uint32_t partition)
{
    struct aff_partition *part = s->parts[partition];
    return aff_partition_leads(part) ? aff_epoch_major(atomic_load(&aff_partition_shared(part)->epoch)) : 0;
}

static struct aff_leader leader_of(const struct aff_trip *trip)
{
    return aff_leaders_of(&trip->port->leaders, at_of(trip), aff_port_own_epoch(trip->space->parts, trip->partition));
}

static int64_t now_of(const struct aff_trip *trip)
{
    return aff_loop_now(trip->port->loop);
}

/* ---- the end ---- */

/* What a trip that found nobody is told. */
static int code_of(const struct aff_trip *trip)
{
    if (trip->unsure)
        return AFF_EUNKNOWN;
    return trip->lost ? AFF_ETIMEDOUT : AFF_ENOMASTER;
}

static void end(struct aff_trip *trip, int code)
{
    trip->ops->over(trip, trip->unsure ? AFF_EUNKNOWN : code);
}

/* ---- waiting ---- */

/* How long it may go on without having been carried out. */
static int64_t patience_of(const struct aff_trip *trip)
{
    int64_t until = trip->since_ns + trip->port->router->cluster.master_wait_ms * AFF_NS_PER_MS;
    return trip->deadline_ns && trip->deadline_ns < until ? trip->deadline_ns : until;
}

static void count(atomic_uint_fast64_t *counter, uint64_t by)
{
    atomic_fetch_add_explicit(counter, by, memory_order_relaxed);
}

static uint64_t number(const atomic_uint_fast64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void aff_port_waits(const struct aff_port *port, struct aff_port_waits *ret)
{
    *ret = (struct aff_port_waits){ number(&port->waits_now), number(&port->waits_total), number(&port->waits_refused) };
}

static void end_in_vain(struct aff_trip *trip)
{
    count(&trip->port->waits_refused, 1);
    end(trip, code_of(trip));
}

static void leave_place(struct aff_trip *trip)
{
    struct aff_place *place = place_of(trip);
    count(&trip->port->waits_now, UINT64_MAX);
    aff_list_remove(&trip->link);
    aff_heap_remove(&trip->port->waits, &trip->due);
    place->count--;
    place->bytes -= trip->weight;
}

static void wait_until(struct aff_trip *trip, int64_t again_ns)
{
    struct aff_port *port = trip->port;
    struct aff_place *place = place_of(trip);
    const struct aff_cluster *cluster = &port->router->cluster;
    int64_t until;
    if (!trip->since_ns)
        trip->since_ns = now_of(trip);
    until = patience_of(trip);
    if (port->closed) {
        end(trip, AFF_EDRAINING);
        return;
    }
    if (until <= now_of(trip) || place->count >= cluster->waiting || place->bytes + trip->weight > cluster->waiting_bytes) {
        end_in_vain(trip);
        return;
    }
    count(&port->waits_now, 1);
    count(&port->waits_total, 1);
    trip->again_ns = again_ns;
    place->count++;
    place->bytes += trip->weight;
    aff_list_append(&place->waiting, &trip->link);
    aff_heap_set(&port->waits, &trip->due, again_ns < until ? again_ns : until);
    aff_loop_timer_set(port->loop, &port->wake, aff_heap_min(&port->waits)->key);
}

static void pause_for(struct aff_trip *trip)
{
    int64_t ms = PAUSE_MIN_MS << (trip->follows < 6 ? trip->follows : 6);
    wait_until(trip, now_of(trip) + (ms < PAUSE_MAX_MS ? ms : PAUSE_MAX_MS) * AFF_NS_PER_MS);
}

/* ---- going ---- */

static void answered(struct aff_peer_call *call, int code, aff_bytes answer);

/* Nobody is told a deadline that is further away than this node's own patience. */
static int64_t question_deadline(const struct aff_trip *trip)
{
    int64_t until = trip->deadline_ns;
    if (!until)
        until = now_of(trip) + trip->port->router->cluster.master_wait_ms * AFF_NS_PER_MS;
    return until + AFF_WIRE_GRACE_MS * AFF_NS_PER_MS;
}

/* Writes the question. 0, or a code: it did not leave. */
static int send(struct aff_trip *trip, const struct aff_peer_to *to)
{
    struct aff_port *port = trip->port;
    aff_bytes parts[2] = { { NULL, 0 }, { NULL, 0 } };
    struct aff_buf *room = &port->room;
    aff_buf_clear(room);
    if (!aff_wire_put_about(room, trip->space->name, trip->partition) || !trip->ops->question(trip, room, &parts[1]))
        return AFF_ENOMEM;
    parts[0] = aff_buf_view(room);
    if (parts[0].len + parts[1].len > AFF_WIRE_MAX)
        return AFF_ETOOLARGE;
    trip->call = (struct aff_peer_call){ .kind = trip->kind, .deadline_ns = question_deadline(trip), .answered = answered };
    trip->away = true;
    aff_list_append(&place_of(trip)->away, &trip->link);
    aff_peers_call(port->peers, to, &trip->call, parts, parts[1].len ? 2 : 1);
    return 0;
}

static void go_there(struct aff_trip *trip, const struct aff_leader *leader)
{
    char member[AFF_MEMBER_MAX + 1];
    const struct aff_peer_to to = { .member = member, .address = leader->node->peer };
    int code;
    (void)snprintf(member, sizeof member, "%s-%010u", leader->node->name, (unsigned)leader->node->incarnation);
    code = send(trip, &to);
    if (code != 0)
        end(trip, code);
}

static void go(struct aff_trip *trip)
{
    struct aff_leader leader = leader_of(trip);
    if (leader.where == AFF_LEADER_NONE || leader.where == AFF_LEADER_SOON ||
        (leader.where == AFF_LEADER_THERE && !trip->port->peers)) {
        trip->follows++;
        pause_for(trip);
        return;
    }
    trip->went = true;
    trip->lost = false;
    trip->epoch = leader.epoch;
    trip->incarnation = leader.incarnation;
    trip->hinted = leader.hinted;
    if (leader.where == AFF_LEADER_HERE)
        trip->ops->here(trip);
    else
        go_there(trip, &leader);
}

void aff_trip_begin(struct aff_port *port, struct aff_trip *trip)
{
    trip->port = port;
    trip->unsure = trip->lost = trip->went = trip->away = false;
    trip->follows = 0;
    trip->since_ns = 0;
    aff_list_init(&trip->link);
    trip->due.slot = 0;
    if (trip->stays || !port->router->cluster.coordinator)
        trip->ops->here(trip);
    else
        go(trip);
}

/* Is there somebody else to ask than the one that it went to last? */
static bool leads_another(const struct aff_trip *trip)
{
    struct aff_leader leader = leader_of(trip);
    return (leader.where == AFF_LEADER_HERE || leader.where == AFF_LEADER_THERE) &&
           (!trip->went || leader.epoch != trip->epoch || leader.incarnation != trip->incarnation);
}

void aff_trip_follow(struct aff_trip *trip)
{
    if (!trip->since_ns)
        trip->since_ns = now_of(trip);
    trip->follows++;
    if (leads_another(trip) && trip->follows <= FOLLOWS_AT_ONCE && patience_of(trip) > now_of(trip) && !trip->port->closed)
        go(trip);
    else
        pause_for(trip);
}

void aff_trip_forget(struct aff_trip *trip)
{
    if (trip->away) {
        aff_peers_forget(trip->port->peers, &trip->call);
        aff_list_remove(&trip->link);
    } else if (aff_heap_has(&trip->due)) {
        leave_place(trip);
    }
    trip->away = false;
}

/* ---- what comes back ---- */

static void take_elsewhere(struct aff_trip *trip, struct aff_cursor *from)
{
    struct aff_leaders *leaders = &trip->port->leaders;
    struct aff_wire_leader hint;
    bool told = aff_wire_take_leader(from, &hint) && hint.epoch > 0;
    if (told && aff_leaders_hint(leaders, at_of(trip), &hint))
        aff_port_stir(trip->port, at_of(trip).index);
    else if (trip->hinted)
        aff_leaders_refuted(leaders, at_of(trip), trip->epoch);
    aff_trip_follow(trip);
}

/* It may have been received. */
void aff_trip_lose(struct aff_trip *trip)
{
    trip->lost = true;
    trip->unsure |= trip->changes;
    if (trip->repeats)
        aff_trip_follow(trip);
    else
        end(trip, trip->changes ? AFF_EUNKNOWN : AFF_ETIMEDOUT);
}

static void take_answer(struct aff_trip *trip, aff_bytes answer)
{
    struct aff_cursor from = aff_cursor_of(answer);
    uint8_t how = aff_cursor_u8(&from);
    if (!from.failed && how == AFF_WIRE_ANSWERED)
        trip->ops->answer(trip, aff_cursor_take(&from, aff_cursor_left(&from)));
    else if (!from.failed && how == AFF_WIRE_ELSEWHERE)
        take_elsewhere(trip, &from);
    else
        aff_trip_lose(trip); /* nothing that this node can read */
}

static void answered(struct aff_peer_call *call, int code, aff_bytes answer)
{
    struct aff_trip *trip = aff_container_of(call, struct aff_trip, call);
    trip->away = false;
    aff_list_remove(&trip->link);
    if (code == 0)
        take_answer(trip, answer);
    else if (code == AFF_EUNKNOWN)
        aff_trip_lose(trip);
    else if (code == AFF_EAGAIN)
        aff_trip_follow(trip);
    else
        end(trip, code);
}

/* ---- news ---- */

/* Whoever waits and has somebody else to go to now goes. */
static void stir_waiting(struct aff_place *place)
{
    struct aff_list *link, news;
    aff_list_init(&news);
    aff_list_splice(&news, &place->waiting);
    while ((link = aff_list_take(&news))) {
        struct aff_trip *trip = aff_container_of(link, struct aff_trip, link);
        aff_list_append(&place->waiting, link);
        if (!leads_another(trip))
            continue;
        leave_place(trip);
        go(trip);
    }
}

/* Whoever asked a node that leads no more, and may ask again, does not wait for that one's word: it may be gone, or stand still. */
static void stir_away(struct aff_place *place)
{
    struct aff_list *link, news;
    aff_list_init(&news);
    aff_list_splice(&news, &place->away);
    while ((link = aff_list_take(&news))) {
        struct aff_trip *trip = aff_container_of(link, struct aff_trip, link);
        struct aff_leader leader = leader_of(trip);
        aff_list_append(&place->away, link);
        if (!trip->repeats || leader.epoch <= trip->epoch || !leads_another(trip))
            continue;
        aff_trip_forget(trip);
        trip->unsure |= trip->changes;
        go(trip);
    }
}

void aff_port_stir(struct aff_port *port, size_t index)
{
    struct aff_place *place = &port->places[index];
    if (!aff_list_empty(&place->away))
        stir_away(place);
    if (!aff_list_empty(&place->waiting))
        stir_waiting(place);
}

void aff_port_stir_all(struct aff_port *port)
{
    for (size_t i = 0; i < port->router->reader_count; i++)
        aff_port_stir(port, i);
}

static void try_again(struct aff_trip *trip)
{
    leave_place(trip);
    if (trip->port->closed)
        end(trip, AFF_EDRAINING);
    else if (patience_of(trip) <= now_of(trip))
        end_in_vain(trip);
    else
        go(trip);
}

void aff_port_wake(struct aff_timer *timer)
{
    struct aff_port *port = aff_container_of(timer, struct aff_port, wake);
    struct aff_heap_node *first;
    int64_t now = aff_loop_now(port->loop);
    aff_port_end_asks(port);
    while ((first = aff_heap_min(&port->waits)) && (first->key <= now || port->closed))
        try_again(aff_container_of(first, struct aff_trip, due));
    if (first)
        aff_loop_timer_set(port->loop, &port->wake, first->key);
}

void aff_port_close(struct aff_port *port)
{
    port->closed = true;
    aff_port_wake(&port->wake);
    aff_standby_close(port->standby);
}
