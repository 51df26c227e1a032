/*
 * seats.c - the partitions of this node: what they say goes to the keeper's loop, what they are to do goes to theirs.
 *
 * Each way has a box under the place's lock and one message: who finds the message on its way adds to the box. So nothing is lost and
 * nothing queues up: a box holds the last word. A place lives until its seat left, the keeper took note of that and no message is
 * on its way; the keeper touches the seat only under the lock, and not once it left.
 *
 * What a seat is to do follows from its chunk as it was last read (settle), so it does not matter which way that came to be true.
 */
#include "coordinator/zookeeper/keeper.h"

#include "base/alloc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { AGAIN_MS = 200, AGAIN_MAX_MS = 5000, TOOK_MS = 100 };

static void unref(struct keeper_place *p, unsigned count)
{
    if (atomic_fetch_sub(&p->refs, count) != count)
        return;
    (void)pthread_mutex_destroy(&p->lock);
    free(p);
}

static struct aff_chunk_part *part_of(struct keeper_place *p)
{
    return &keeper_chunk_of(p->k, p->space, p->partition)->now.parts[p->partition % AFF_CHUNK_PARTITIONS];
}

/* ---- to the seat ---- */

/* The seat may leave in any of its events. */
static bool left(struct keeper_place *p)
{
    bool gone;

    (void)pthread_mutex_lock(&p->lock);
    gone = !p->seat;
    (void)pthread_mutex_unlock(&p->lock);
    return gone;
}

/* Each step is one event at most; `down` is what was taken from the box. The seat's loop. */
static void tell_role(struct keeper_place *p, struct aff_seat *seat, const struct keeper_down *down)
{
    if (down->host && !p->told_host) {
        p->told_host = true;
        seat->host(seat);
    }
    if (!left(p) && !down->lead && p->told_lead) {
        p->told_lead = false;
        seat->resign(seat);
    }
    if (!left(p) && down->lead && p->told_turn != down->lead_turn) {
        p->told_turn = down->lead_turn;
        p->told_lead = true;
        seat->lead(seat);
    }
}

static void tell_rest(struct keeper_place *p, struct aff_seat *seat, const struct keeper_down *down)
{
    if (!left(p) && down->granted && p->told_lead)
        seat->granted(seat, down->granted);
    if (!left(p) && down->give && p->told_lead)
        seat->give(seat, &down->give_what);
    if (!left(p) && !down->host && p->told_host && !p->told_lead) {
        p->told_host = false;
        seat->unhost(seat);
    }
}

static void deliver_down(struct aff_msg *msg)
{
    struct keeper_place *p = aff_container_of(msg, struct keeper_place, down_msg);
    struct keeper_down down;
    struct aff_seat *seat;

    (void)pthread_mutex_lock(&p->lock);
    seat = p->seat;
    down = p->down;
    p->down.posted = p->down.give = false;
    p->down.granted = 0;
    (void)pthread_mutex_unlock(&p->lock);
    if (seat) {
        tell_role(p, seat, &down);
        tell_rest(p, seat, &down);
    }
    unref(p, 1);
}

/* Under the lock, and the seat is there: so the message is on its way before leave() can end. */
static void post_down(struct keeper_place *p)
{
    if (p->down.posted)
        return;
    p->down.posted = true;
    p->down_msg.deliver = deliver_down;
    atomic_fetch_add(&p->refs, 1);
    aff_loop_call(p->loop, &p->down_msg);
}

static void tell_roles(struct keeper_place *p, bool again)
{
    (void)pthread_mutex_lock(&p->lock);
    if (p->seat) {
        p->down.host = p->host;
        p->down.lead = p->lead;
        p->down.lead_turn += again;
        if (!p->lead) {
            p->down.granted = 0;
            p->down.give = false;
        }
        post_down(p);
    }
    (void)pthread_mutex_unlock(&p->lock);
}

static void tell_granted(struct keeper_place *p, uint32_t major)
{
    p->granted = major;
    p->fresh = p->asks = false;
    (void)pthread_mutex_lock(&p->lock);
    if (p->seat) {
        p->down.granted = major;
        post_down(p);
    }
    (void)pthread_mutex_unlock(&p->lock);
}

static void tell_give(struct keeper_place *p, const struct aff_chunk_part *part)
{
    struct aff_give give = { .major = part->claim, .back = part->back };

    (void)aff_member_parse(part->next, give.to, &give.incarnation);
    p->give_told = part->claim;
    (void)pthread_mutex_lock(&p->lock);
    if (p->seat) {
        p->down.give = true;
        p->down.give_what = give;
        post_down(p);
    }
    (void)pthread_mutex_unlock(&p->lock);
}

static void set_leased(struct keeper_place *p, uint32_t major)
{
    (void)pthread_mutex_lock(&p->lock);
    if (p->seat)
        atomic_store(&p->seat->leased_major, major);
    (void)pthread_mutex_unlock(&p->lock);
}

void aff_keeper_seats_unlease(struct keeper *k)
{
    for (size_t s = 0; s < k->spaces_count; s++)
        for (uint32_t i = 0; i < k->spaces[s].partitions; i++)
            if (k->spaces[s].places[i])
                set_leased(k->spaces[s].places[i], 0);
}

struct aff_report_seat aff_keeper_seat_report(struct keeper_place *p)
{
    struct aff_report_seat report = { .partition = p->partition, .state = AFF_SEAT_AWAY };

    (void)pthread_mutex_lock(&p->lock);
    if (p->seat) {
        report.applied = atomic_load(&p->seat->applied);
        report.state = (uint8_t)atomic_load(&p->seat->state);
    }
    (void)pthread_mutex_unlock(&p->lock);
    return report;
}

/* ---- what the chunk means for the seat ---- */

static bool mine(const struct keeper_place *p, const struct aff_chunk_part *part)
{
    return p->k->member[0] && strcmp(part->owner, p->k->member) == 0;
}

/* Should the seat lead? What it was told stands while the owner is an incarnation of this node whose session was lost. */
static bool should_lead(const struct keeper_place *p, const struct aff_chunk_part *part)
{
    if (p->gave && p->gave_taken)
        return false;
    if (p->took)
        return true;
    if (mine(p, part))
        return p->lead || (!part->next[0] && !p->deposed);
    if (part->owner[0] && !aff_member_of(part->owner, p->k->self.name))
        return false;
    return p->lead && !(part->released[0] && aff_member_of(part->released, p->k->self.name));
}

/* Who leads cannot let go of its store before it resigned, and that takes a moment. */
static bool should_host(struct keeper_place *p, const struct aff_chunk_part *part)
{
    enum aff_seat_state state;

    if (p->lead || aff_chunk_replica(part, p->k->self.name) >= 0)
        return true;
    state = (enum aff_seat_state)aff_keeper_seat_report(p).state;
    return p->host && (state == AFF_SEAT_LEADS || state == AFF_SEAT_STALLED);
}

static void settle_roles(struct keeper_place *p, const struct aff_chunk_part *part)
{
    bool lead = should_lead(p, part), begins = lead && !p->lead, host;

    p->lead = lead;
    p->asks = p->asks && lead;
    if (begins) {
        p->fresh = !p->took;
        p->asks = false;
    }
    host = should_host(p, part);
    if (host == p->host && !begins && lead == p->down.lead)
        return;
    p->host = host;
    tell_roles(p, begins && !p->took);
}

static void settle_epoch(struct keeper_place *p, const struct aff_chunk_part *part)
{
    if (part->major <= p->granted || !p->lead || p->took || p->gave)
        return;
    if (p->asks ? part->major > p->asks_above : !p->fresh)
        tell_granted(p, part->major);
}

void aff_keeper_settle(struct keeper_place *p)
{
    const struct keeper_chunk *chunk = keeper_chunk_of(p->k, p->space, p->partition);
    const struct aff_chunk_part *part = part_of(p);
    bool owns;

    if (!chunk->known || chunk->unreadable)
        return;
    owns = mine(p, part);
    p->yields = p->yields && (chunk->next || chunk->stale);
    settle_roles(p, part);
    if (owns && !part->next[0])
        settle_epoch(p, part);
    if (owns && part->next[0] && p->lead && !p->gave && p->give_told != part->claim)
        tell_give(p, part);
    set_leased(p, owns && !part->next[0] && !p->yields && !p->deposed && !p->gave ? part->major : 0);
}

/* ---- what the seat wants of the chunk ---- */

/* 0: it changed the part. A code: it cannot be (any more). */
typedef int step_fn(struct keeper_place *p, struct aff_chunk_part *part, aff_error *err);

static int step_gave(struct keeper_place *p, struct aff_chunk_part *part, aff_error *err)
{
    if (!mine(p, part) || part->claim != p->give_told)
        return AFF_ECONFLICT;
    return p->gave_taken ? aff_chunk_taken(part, part->next, part->claim, err)
                         : aff_chunk_kept(part, p->k->member, err);
}

static int step_took(struct keeper_place *p, struct aff_chunk_part *part, aff_error *err)
{
    if (mine(p, part) && part->major == p->took)
        return AFF_ECONFLICT; /* it is so already */
    return aff_chunk_taken(part, p->k->member, p->took, err);
}

static int step_raise(struct keeper_place *p, struct aff_chunk_part *part, aff_error *err)
{
    if (!mine(p, part) || (part->major > p->asks_above && part->major > p->granted))
        return AFF_ECONFLICT; /* it is high enough */
    return aff_chunk_raise(part, p->k->member, p->asks_above, err);
}

/* Another replica says that its log answers, while this one's does not. */
static bool another_can(struct keeper_place *p, const struct aff_chunk_part *part)
{
    struct keeper *k = p->k;

    for (int i = 0; i < part->replicas_count; i++) {
        const struct aff_view_node *node = aff_members_find(&k->members.living, part->replicas[i]);
        const struct aff_report *report = node ? aff_keeper_report_of(k, node->name) : NULL;
        const struct aff_report_seat *seat;

        if (!report || strcmp(node->name, k->self.name) == 0)
            continue;
        seat = aff_report_find(report, k->spaces[p->space].name, p->partition);
        if (seat && seat->state == AFF_SEAT_IN_STEP && !report->draining)
            return true;
    }
    return false;
}

static bool stalled(struct keeper_place *p, const struct aff_chunk_part *part)
{
    struct keeper *k = p->k;
    int64_t since;

    if (aff_keeper_seat_report(p).state != AFF_SEAT_STALLED || part->next[0]) {
        p->stalled_ns = 0;
        return false;
    }
    p->stalled_ns = p->stalled_ns ? p->stalled_ns : keeper_now(k);
    since = p->stalled_ns + KEEPER_STALL_MS * AFF_NS_PER_MS;
    if (keeper_now(k) < since)
        return false;
    k->reports.due = k->reports.due || k->reports.read_ns < since;
    return k->reports.read_ns >= since && another_can(p, part);
}

static int step_release(struct keeper_place *p, struct aff_chunk_part *part, aff_error *err)
{
    aff_log(p->k->opts.logger, WARN, "coordinator.release", aff_f_str("keyspace", p->k->spaces[p->space].name),
            aff_f_int("partition", p->partition), aff_f_int("epoch", part->major));
    return aff_chunk_release(part, p->k->member, "its log has confirmed nothing for too long", err);
}

/* The target lives and is in step: the hand-over can begin. */
static const struct aff_view_node *receiver(struct keeper_place *p, const struct aff_chunk_part *part)
{
    struct keeper *k = p->k;
    struct aff_report_seat own = aff_keeper_seat_report(p);
    const struct aff_view_node *node;
    const struct aff_report *report;

    if (!p->can_give || !part->target[0] || part->next[0] || own.state != AFF_SEAT_LEADS ||
        strcmp(part->target, k->self.name) == 0)
        return NULL;
    node = aff_members_find(&k->members.living, part->target);
    report = node ? aff_keeper_report_of(k, part->target) : NULL;
    if (!report || report->draining)
        return NULL;
    return aff_seat_in_step(aff_report_find(report, k->spaces[p->space].name, p->partition), &own, KEEPER_IN_STEP)
               ? node
               : NULL;
}

static int step_offer(struct keeper_place *p, struct aff_chunk_part *part, aff_error *err)
{
    const struct aff_view_node *node = receiver(p, part);
    char to[AFF_MEMBER_MAX + 1];

    aff_member_format(to, node->name, node->incarnation);
    if (strcmp(part->failed, to) == 0 && part->fails >= AFF_CHUNK_FAILS_MAX)
        return AFF_ECONFLICT;
    return aff_chunk_offer(part, p->k->member, to, &p->k->members.living, err);
}

static bool try_step(struct keeper_place *p, struct aff_chunk_part *part, step_fn *step)
{
    aff_error err;

    return step(p, part, &err) == 0;
}

/* The receiver makes itself the owner. Only when it is silent the giver does: both at once would be in each other's way. */
static bool waits_for_receiver(const struct keeper_place *p, const struct aff_chunk_part *part)
{
    return p->gave_taken && mine(p, part) && keeper_now(p->k) < p->gave_ns + TOOK_MS * AFF_NS_PER_MS;
}

/* What can be of use to nobody any more is forgotten: the chunk has gone on. */
static bool end_handover(struct keeper_place *p, struct aff_chunk_part *part)
{
    bool changed = false;

    if (p->gave && !waits_for_receiver(p, part)) {
        changed = try_step(p, part, step_gave);
        p->gave = changed; /* until it is read that it is so */
    }
    if (p->took && try_step(p, part, step_took))
        changed = true;
    else if (part->epoch >= p->took) /* else the hand-over is not even seen here: this server is behind */
        p->took = 0;
    return changed;
}

static bool yield(struct keeper_place *p, const struct aff_chunk *next, struct aff_chunk_part *part)
{
    bool changed;

    if (!mine(p, part) || !p->lead || p->fresh || p->deposed)
        return false;
    changed = stalled(p, part) && try_step(p, part, step_release);
    if (!changed && aff_chunk_has_room(next) && receiver(p, part))
        changed = try_step(p, part, step_offer);
    if (changed) { /* before it is written */
        p->yields = true;
        set_leased(p, 0);
    }
    return changed;
}

bool aff_keeper_seat_steps(struct keeper_place *p, struct aff_chunk *next)
{
    struct aff_chunk_part *part = &next->parts[p->partition % AFF_CHUNK_PARTITIONS];
    bool was = p->gave || p->took;

    if (end_handover(p, part))
        return true;
    if (was && !p->gave && !p->took)
        aff_keeper_settle(p);
    if (p->asks && try_step(p, part, step_raise))
        return true;
    return yield(p, next, part);
}

/* ---- from the seat ---- */

static void take_deposal(struct keeper_place *p)
{
    int64_t wait_ms = (int64_t)AGAIN_MS << (p->depositions < 8 ? p->depositions : 8);

    if (p->lead) { /* else it was told to resign, and has done so */
        p->deposed = true;
        p->depositions++;
        p->again_ns = keeper_now(p->k) + (wait_ms < AGAIN_MAX_MS ? wait_ms : AGAIN_MAX_MS) * AFF_NS_PER_MS;
    }
    p->lead = p->asks = p->gave = false;
    p->took = 0;
    keeper_chunk_of(p->k, p->space, p->partition)->stale = true; /* who is the owner now? */
}

/* What was said before a deposal the deposal took out of the box; so the others come after it. */
static void take_role(struct keeper_place *p, const struct keeper_up *up)
{
    struct keeper *k = p->k;

    if (up->deposed)
        take_deposal(p);
    if (up->took) {
        const struct aff_chunk_part *part = part_of(p);

        if (part->claim != up->took || strcmp(part->next, k->member) != 0)
            keeper_chunk_of(k, p->space, p->partition)->stale = true; /* the giver's word is faster than its watch */
        p->took = up->took;
        p->granted = up->took > p->granted ? up->took : p->granted;
        p->lead = true;
        p->fresh = p->asks = p->deposed = false;
    }
    if (up->gave) {
        p->gave = true;
        p->gave_taken = up->gave_taken;
        p->gave_ns = keeper_now(k);
        p->lead = p->lead && !up->gave_taken;
    }
    if (up->asks) {
        p->asks = true;
        p->asks_above = up->asks_above;
    }
}

static void deliver_up(struct aff_msg *msg)
{
    struct keeper_place *p = aff_container_of(msg, struct keeper_place, up_msg);
    struct keeper_up up;
    struct keeper *k = p->k;

    (void)pthread_mutex_lock(&p->lock);
    up = p->up;
    memset(&p->up, 0, sizeof p->up);
    (void)pthread_mutex_unlock(&p->lock);
    if (up.take) {
        assert(!k->spaces[p->space].places[p->partition]);
        k->spaces[p->space].places[p->partition] = p;
    }
    take_role(p, &up);
    if (up.leave)
        k->spaces[p->space].places[p->partition] = NULL;
    else
        aff_keeper_settle(p);
    keeper_due(k);
    unref(p, up.leave ? 2 : 1); /* the message's, and the keeper's */
}

/* Under the lock. */
static void post_up(struct keeper_place *p)
{
    if (p->up.posted)
        return;
    p->up.posted = true;
    p->up_msg.deliver = deliver_up;
    atomic_fetch_add(&p->refs, 1);
    aff_loop_call(p->k->loop, &p->up_msg);
}

static struct keeper_place *place_new(struct keeper *k, struct aff_seat *seat, uint32_t space)
{
    struct keeper_place *p = aff_xcalloc(1, sizeof *p);

    p->k = k;
    p->seat = seat;
    p->loop = seat->loop;
    p->can_give = seat->give != NULL;
    p->space = space;
    p->partition = seat->partition;
    atomic_init(&p->refs, 2); /* the seat's and the keeper's */
    (void)pthread_mutex_init(&p->lock, NULL);
    return p;
}

int aff_keeper_take(struct aff_coordinator *c, struct aff_seat *seat, aff_error *err)
{
    struct keeper *k = aff_container_of(c, struct keeper, base);
    struct keeper_place *p;
    uint32_t space = 0;

    while (space < k->spaces_count && strcmp(k->spaces[space].name, seat->keyspace) != 0)
        space++;
    if (space == k->spaces_count || seat->partition >= k->spaces[space].partitions)
        return aff_fail_with(err, AFF_EINVAL, "coordinator: there is no partition %u of a keyspace '%s'",
                             seat->partition, seat->keyspace);
    p = place_new(k, seat, space);
    atomic_store(&seat->leased_major, 0);
    seat->driver = p;
    (void)pthread_mutex_lock(&p->lock);
    p->up.take = true;
    post_up(p);
    (void)pthread_mutex_unlock(&p->lock);
    return 0;
}

void aff_keeper_leave(struct aff_coordinator *c, struct aff_seat *seat)
{
    struct keeper_place *p = seat->driver;

    (void)c;
    if (!p)
        return;
    seat->driver = NULL;
    (void)pthread_mutex_lock(&p->lock);
    p->seat = NULL;
    p->up.leave = true;
    post_up(p);
    (void)pthread_mutex_unlock(&p->lock);
    atomic_store(&seat->leased_major, 0);
    unref(p, 1);
}

void aff_keeper_request_epoch(struct aff_coordinator *c, struct aff_seat *seat, uint32_t above)
{
    struct keeper_place *p = seat->driver;

    (void)c;
    (void)pthread_mutex_lock(&p->lock);
    p->up.asks = true;
    p->up.asks_above = above;
    post_up(p);
    (void)pthread_mutex_unlock(&p->lock);
}

void aff_keeper_deposed(struct aff_coordinator *c, struct aff_seat *seat, uint32_t newer_major)
{
    struct keeper_place *p = seat->driver;

    (void)c;
    (void)newer_major;
    p->told_lead = false; /* it knows */
    (void)pthread_mutex_lock(&p->lock);
    p->up.deposed = true;
    p->up.asks = p->up.gave = false;
    p->up.took = 0;
    p->down.granted = 0;
    p->down.give = false;
    post_up(p);
    (void)pthread_mutex_unlock(&p->lock);
}

void aff_keeper_gave(struct aff_coordinator *c, struct aff_seat *seat, bool taken)
{
    struct keeper_place *p = seat->driver;

    (void)c;
    if (taken)
        p->told_lead = false; /* it follows already */
    (void)pthread_mutex_lock(&p->lock);
    p->up.gave = true;
    p->up.gave_taken = taken;
    post_up(p);
    (void)pthread_mutex_unlock(&p->lock);
}

void aff_keeper_took(struct aff_coordinator *c, struct aff_seat *seat, uint32_t major)
{
    struct keeper_place *p = seat->driver;

    (void)c;
    p->told_lead = true;
    (void)pthread_mutex_lock(&p->lock);
    p->up.took = major;
    post_up(p);
    (void)pthread_mutex_unlock(&p->lock);
}

/* ---- as time passes ---- */

static void tick_place(struct keeper_place *p)
{
    struct keeper_chunk *chunk = keeper_chunk_of(p->k, p->space, p->partition);

    if (aff_keeper_seat_report(p).state == AFF_SEAT_LEADS)
        p->depositions = 0;
    if (p->deposed && keeper_now(p->k) >= p->again_ns && chunk->known && !chunk->stale && !chunk->call.op)
        p->deposed = false; /* should it lead still, it is told so now */
    if (chunk->known && !chunk->stale)
        aff_keeper_settle(p);
}

void aff_keeper_seats_tick(struct keeper *k)
{
    for (size_t s = 0; s < k->spaces_count; s++)
        for (uint32_t i = 0; i < k->spaces[s].partitions; i++)
            if (k->spaces[s].places[i])
                tick_place(k->spaces[s].places[i]);
}
