/*
 * world.c - the core's world on a node: its log, coordinator, entropy, host and clock, each passed on to the fake behind it and
 * looked at on the way (checker.h).
 */
#include "base/alloc.h"
#include "checker.h"
#include "fake_coordinator.h"
#include "fake_net.h"
#include "node.h"
#include "trace.h"

#include <inttypes.h>

/* ---- log ---- */

static int world_append(struct aff_world_log *log, const struct aff_record *rec)
{
    struct sim_node *n = aff_container_of(log, struct sim_node, world_log);
    int code;

    if (n->dying)
        return AFF_EAGAIN;
    sim_check_append(n, rec);
    code = sim_producer_append(n->producer, rec);
    sim_trace_line(n->sim, "n%d > append %s %s %s = %s%s%s", n->index, sim_kind_text(rec->kind),
                   sim_stamp_text(rec->stamp).text, sim_bytes_text(rec->key).text, sim_bytes_text(rec->value).text,
                   code ? ": " : "", code ? aff_error_name(code) : "");
    if (code == 0)
        n->last_sent = rec->stamp;
    return code;
}

static void world_read(struct aff_world_log *log, int64_t from, bool wait, uint64_t ticket)
{
    struct sim_node *n = aff_container_of(log, struct sim_node, world_log);

    if (n->dying)
        return;
    if (n->standing.role == AFF_ROLE_MASTER)
        sim_count(n->sim->coverage, SIM_GAPS);
    sim_trace_line(n->sim, "n%d > read #%" PRIu64 " from %" PRId64 "%s", n->index, ticket, from, wait ? ", wait" : "");
    n->ticket = ticket;
    sim_log_read(n->sim->log, n, from, wait, ticket);
}

static void world_reset(struct aff_world_log *log)
{
    struct sim_node *n = aff_container_of(log, struct sim_node, world_log);

    if (n->dying)
        return;
    sim_trace_line(n->sim, "n%d > reset", n->index);
    sim_producer_give_up(n->producer);
    n->producer = sim_producer_new(n->sim->log, n->index);
}

static void world_keep_from(struct aff_world_log *log, int64_t offset)
{
    struct sim_node *n = aff_container_of(log, struct sim_node, world_log);

    n->keep_from = offset;
    sim_check_keep_from(n);
}

/* ---- coordinator ---- */

static void world_request_epoch(struct aff_world_coordinator *c, uint32_t above)
{
    struct sim_node *n = aff_container_of(c, struct sim_node, world_coordinator);

    if (n->dying)
        return;
    sim_trace_line(n->sim, "n%d > request epoch above %" PRIu32, n->index, above);
    sim_coordinator_request(n->sim->coordinator, n, above);
}

static void world_deposed(struct aff_world_coordinator *c, aff_epoch newer)
{
    struct sim_node *n = aff_container_of(c, struct sim_node, world_coordinator);

    if (n->dying)
        return;
    sim_trace_line(n->sim, "n%d > deposed by %" PRIu32 ".%u", n->index, aff_epoch_major(newer), aff_epoch_minor(newer));
    sim_count(n->sim->coverage, SIM_DEPOSALS);
    sim_coordinator_deposed(n->sim->coordinator, n);
}

/* The fake coordinator elects by what it sees of the nodes, not by what they hear. */
static void world_heard(struct aff_world_coordinator *c)
{
    (void)c;
}

static int64_t world_lease_until(struct aff_world_coordinator *c, uint32_t major)
{
    struct sim_node *n = aff_container_of(c, struct sim_node, world_coordinator);

    return n->dying ? 0 : sim_coordinator_lease(n->sim->coordinator, n, major);
}

static void world_gave(struct aff_world_coordinator *c, bool taken)
{
    struct sim_node *n = aff_container_of(c, struct sim_node, world_coordinator);

    if (n->dying)
        return;
    n->gave++;
    sim_trace_line(n->sim, "n%d > gave: %s", n->index, taken ? "the other leads" : "not taken");
    sim_coordinator_gave(n->sim->coordinator, n, taken);
}

static void world_took(struct aff_world_coordinator *c, uint32_t major)
{
    struct sim_node *n = aff_container_of(c, struct sim_node, world_coordinator);

    if (n->dying)
        return;
    sim_trace_line(n->sim, "n%d > took %" PRIu32, n->index, major);
    sim_coordinator_took(n->sim->coordinator, n, major);
}

/* ---- net ---- */

static void world_go(struct aff_world_net *net, const struct aff_go *go, int64_t deadline_ns)
{
    struct sim_node *n = aff_container_of(net, struct sim_node, world_net);

    if (n->dying)
        return;
    sim_trace_line(n->sim, "n%d > go %" PRIu32 ", the log ends at %" PRId64 " with %s", n->index, go->major, go->end,
                   sim_stamp_text(go->cur).text);
    sim_check_go(n, go);
    sim_net_go(n, go, deadline_ns);
}

static void world_moved(struct aff_world_net *net)
{
    const struct sim_node *n = aff_container_of(net, struct sim_node, world_net);

    sim_trace_line(n->sim, "n%d > moved", n->index);
}

static void world_taken(struct aff_world_net *net, uint32_t major, bool leads)
{
    struct sim_node *n = aff_container_of(net, struct sim_node, world_net);

    if (n->dying)
        return;
    sim_trace_line(n->sim, "n%d > taken %" PRIu32 ": %s", n->index, major, leads ? "leads" : "does not lead");
    sim_net_taken(n, major, leads);
}

/* ---- entropy, host, clock ---- */

static uint64_t world_u64(struct aff_world_entropy *e)
{
    return sim_u64(&aff_container_of(e, struct sim_node, world_entropy)->sim->random);
}

static void world_changed(struct aff_world_host *h, const struct aff_standing *standing)
{
    struct sim_node *n = aff_container_of(h, struct sim_node, world_host);

    if (standing->role != n->standing.role)
        sim_trace_line(n->sim, "n%d: %s, own %s, applied %" PRId64 "%s%s", n->index, sim_role_text(standing->role),
                       sim_stamp_text(standing->own).text, standing->applied, standing->failure ? ": " : "",
                       standing->failure ? standing->failure : "");
    if (standing->role == AFF_ROLE_SETTLING && n->standing.role != AFF_ROLE_SETTLING)
        sim_count(n->sim->coverage, SIM_SETTLES);
    if (standing->role == AFF_ROLE_FOLLOWING && n->standing.role == AFF_ROLE_OPENING && standing->applied > 0)
        sim_count(n->sim->coverage, SIM_RESUMES);
    sim_check_role(n, standing);
    n->standing = *standing;
}

static int64_t clock_mono_ns(const struct aff_clock *c)
{
    return sim_node_mono_ns(aff_container_of(c, struct sim_node, clock));
}

static int64_t clock_boot_ns(const struct aff_clock *c)
{
    return sim_node_boot_ns(aff_container_of(c, struct sim_node, clock));
}

static int64_t clock_wall_ms(const struct aff_clock *c)
{
    return sim_node_wall_ms(aff_container_of(c, struct sim_node, clock));
}

void sim_world_make(struct sim_node *n)
{
    n->world_log = (struct aff_world_log){ world_append, world_read, world_reset, world_keep_from };
    n->world_coordinator = (struct aff_world_coordinator){ world_request_epoch, world_deposed, world_heard,
                                                           world_lease_until,   world_gave,    world_took };
    n->world_net = (struct aff_world_net){ world_go, world_moved, world_taken };
    n->world_entropy.u64 = world_u64;
    n->world_host.changed = world_changed;
    n->clock = (struct aff_clock){ clock_mono_ns, clock_boot_ns, clock_wall_ms };
    n->world = (struct aff_world){
        .log = &n->world_log,
        .store = NULL, /* set at each start: the store may have been replaced */
        .coordinator = &n->world_coordinator,
        .net = &n->world_net,
        .clock = &n->clock,
        .entropy = &n->world_entropy,
        .host = &n->world_host,
    };
}
