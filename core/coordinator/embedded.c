/*
 * embedded.c - the coordinator of a node without one: it always wants to lead, and an epoch is the log's highest plus one.
 *
 * Beside a changelog that is locked by this process nobody else can lead, and the lock is the lease. On a shared log there is
 * no lease (strict reads are barriers), and whoever is started leads at once. Who was deposed by that stands by until no valid
 * record of another came for a while, chosen at random so that of several one is first; a master's heartbeats come each second.
 * Runs on the loops of its seats; it has no thread.
 */
#include "base/alloc.h"
#include "coordinator/coordinator.h"

#include <stdlib.h>

enum { QUIET_MIN_MS = 2000, QUIET_MAX_MS = 6000 };

struct embedded {
    struct aff_coordinator base;
    struct aff_coordinator_embedded_opts opts;
};

/* Events are timers of the seat's loop, so that they never come from inside a call. */
struct place {
    struct aff_seat *seat;
    struct aff_timer host, lead, grant;
    uint32_t major;
    unsigned seed;
    bool stands_by;             /* it was deposed, and got no grant since */
    int64_t quiet_ns, heard_ns; /* how long nobody else must be heard; when somebody was, or the deposal */
};

static void fire_host(struct aff_timer *timer)
{
    struct place *p = aff_container_of(timer, struct place, host);

    p->seat->host(p->seat);
    aff_loop_timer_set(p->seat->loop, &p->lead, 0);
}

static void fire_lead(struct aff_timer *timer)
{
    struct place *p = aff_container_of(timer, struct place, lead);

    p->seat->lead(p->seat);
}

static void fire_grant(struct aff_timer *timer)
{
    struct place *p = aff_container_of(timer, struct place, grant);

    p->seat->granted(p->seat, p->major);
}

static int take(struct aff_coordinator *c, struct aff_seat *seat, aff_error *err)
{
    struct place *p = aff_xcalloc(1, sizeof *p);

    (void)c;
    (void)err;
    p->seat = seat;
    p->host.fire = fire_host;
    p->lead.fire = fire_lead;
    p->grant.fire = fire_grant;
    p->seed = (unsigned)aff_mono_ns(aff_loop_clock(seat->loop)) ^ seat->partition;
    seat->driver = p;
    atomic_store(&seat->leased_major, AFF_LEASED_ANY); /* as lease_until() has it */
    aff_loop_timer_set(seat->loop, &p->host, 0);
    return 0;
}

static void leave(struct aff_coordinator *c, struct aff_seat *seat)
{
    struct place *p = seat->driver;

    (void)c;
    if (!p)
        return;
    aff_loop_timer_cancel(seat->loop, &p->host);
    aff_loop_timer_cancel(seat->loop, &p->lead);
    aff_loop_timer_cancel(seat->loop, &p->grant);
    seat->driver = NULL;
    free(p);
}

static int64_t now_ns(const struct place *p)
{
    return aff_mono_ns(aff_loop_clock(p->seat->loop));
}

/* Somebody else leads: this node is told to when it was not heard for long enough. */
static void stand_by(struct place *p)
{
    p->heard_ns = now_ns(p);
    aff_loop_timer_set(p->seat->loop, &p->lead, p->heard_ns + p->quiet_ns);
}

/* The log was read to its end just now. Somebody may have been heard there although the timer had fired: it may have been late. */
static void request_epoch(struct aff_coordinator *c, struct aff_seat *seat, uint32_t above)
{
    struct place *p = seat->driver;

    (void)c;
    if (p->stands_by && now_ns(p) < p->heard_ns + p->quiet_ns)
        return; /* told to lead again in time */
    p->stands_by = false;
    p->major = above + 1;
    aff_loop_timer_set(seat->loop, &p->grant, 0);
}

static void deposed(struct aff_coordinator *c, struct aff_seat *seat, uint32_t newer_major)
{
    struct embedded *e = aff_container_of(c, struct embedded, base);
    struct place *p = seat->driver;
    int64_t min = e->opts.quiet_min_ms, span = e->opts.quiet_max_ms - min + 1;
    int64_t wait_ms = min + rand_r(&p->seed) % (span > 0 ? span : 1);

    (void)newer_major;
    aff_loop_timer_cancel(seat->loop, &p->grant);
    p->stands_by = true;
    p->quiet_ns = wait_ms * AFF_NS_PER_MS;
    stand_by(p);
}

static void heard(struct aff_coordinator *c, struct aff_seat *seat)
{
    struct place *p = seat->driver;

    (void)c;
    if (p->stands_by)
        stand_by(p);
}

static int64_t lease_until(struct aff_coordinator *c)
{
    return aff_container_of(c, struct embedded, base)->opts.exclusive ? INT64_MAX : 0;
}

static struct aff_coordinator *embedded_free(struct aff_coordinator *c)
{
    if (c)
        free(aff_container_of(c, struct embedded, base));
    return NULL;
}

static const struct aff_coordinator_ops ops = {
    .name = "embedded",
    .take = take,
    .leave = leave,
    .request_epoch = request_epoch,
    .deposed = deposed,
    .heard = heard,
    .lease_until = lease_until,
    .free = embedded_free,
};

struct aff_coordinator *aff_coordinator_embedded_new(const struct aff_coordinator_embedded_opts *opts)
{
    struct embedded *e = aff_xcalloc(1, sizeof *e);

    e->base.ops = &ops;
    e->opts = *opts;
    if (!e->opts.quiet_min_ms)
        e->opts.quiet_min_ms = QUIET_MIN_MS;
    if (!e->opts.quiet_max_ms)
        e->opts.quiet_max_ms = QUIET_MAX_MS;
    return &e->base;
}
