/*
 * fake_producer.c - producers of the fake log (fake_log.h). An append is a request in its producer's queue until it lands; what
 * becomes of it is decided when it is made.
 */
#include "fake_log.h"

#include "base/alloc.h"
#include "node.h"

#include <stdlib.h>

/* What will become of an append when its turn comes. */
enum fate {
    FATE_LANDS,
    FATE_REPORT_LOST, /* lands; the report says unknown */
    FATE_NO_OFFSET,   /* lands; the report says so, but not where */
    FATE_TWICE,       /* lands, and a copy lands later */
    FATE_REFUSED,     /* does not land, and the report says so; so do all after it */
    FATE_BREAKS,      /* the producer breaks: it and all after it are reported unknown, and may land late or never */
};

struct request {
    struct aff_list link;
    struct sim_entry *entry;
    uint64_t seq;
    int64_t lands_ns; /* not before */
    enum fate fate;
};

/* A report that must wait for the one before it. */
struct held {
    struct aff_list link;
    struct aff_delivery_report report;
    int key;
};

struct sim_producer {
    struct aff_list link; /* on log->producers */
    struct sim_log *log;
    int node;
    bool given_up;
    int broken; /* the status that everything from now on is reported with; 0: it works */
    int64_t stalled_until_ns;
    int64_t last_lands_ns, last_report_ns;
    struct aff_list waiting; /* of requests */
    bool holding;            /* a report waits for a copy to land, and all after it */
    struct aff_list held;
    struct aff_list copies; /* of resends that have not landed */
    struct {
        int unreported;          /* records of this key */
        struct aff_stamp newest; /* of them */
    } keys[SIM_KEYS_MAX];
    struct sim_event land;
};

/* A second copy of a record, on its way. */
struct resend {
    struct aff_list link;
    struct sim_event event;
    struct sim_entry *entry;
    struct sim_producer *producer;
    bool reports; /* the report names the copy's offset */
    uint64_t seq;
};

/* ---- producers: reports ---- */

static void send_report(struct sim_producer *p, const struct aff_delivery_report *report, int key)
{
    struct sim *sim = p->log->sim;
    int64_t at = sim->now_ns + sim_log_delay(sim);

    if (at <= p->last_report_ns)
        at = p->last_report_ns + 1; /* in the order of the appends */
    p->last_report_ns = at;
    sim_node_report(sim->nodes[p->node], p, report, key, at);
}

static void hold_report(struct sim_producer *p, const struct aff_delivery_report *report, int key)
{
    struct held *held = aff_xcalloc(1, sizeof *held);

    held->report = *report;
    held->key = key;
    aff_list_append(&p->held, &held->link);
}

static void send_held(struct sim_producer *p, bool drop)
{
    struct aff_list *node;

    p->holding = false;
    while ((node = aff_list_take(&p->held))) {
        struct held *held = aff_container_of(node, struct held, link);

        if (!drop)
            send_report(p, &held->report, held->key);
        free(held);
    }
}

static void report(struct sim_producer *p, uint64_t seq, const struct sim_entry *e, int status, int64_t offset)
{
    struct sim_coverage *coverage = p->log->sim->coverage;
    struct aff_delivery_report report = { .seq = seq, .status = status, .offset = offset };

    if (p->given_up)
        return;
    if (status == 0)
        report.time_ms = e->view.time_ms;
    if (status == AFF_EUNKNOWN)
        sim_count(coverage, SIM_UNKNOWN_REPORTS);
    else if (status == AFF_EVOID)
        sim_count(coverage, SIM_REFUSED_REPORTS);
    else if (offset < 0)
        sim_count(coverage, SIM_NO_OFFSETS);
    if (p->holding)
        hold_report(p, &report, e->key);
    else
        send_report(p, &report, e->key);
}

void sim_producer_reported(struct sim_producer *p, int key)
{
    if (key < SIM_KEYS_MAX)
        p->keys[key].unreported--;
}

bool sim_producer_unreported(const struct sim_producer *p, int key, struct aff_stamp *ret_newest)
{
    if (key >= SIM_KEYS_MAX || p->keys[key].unreported == 0)
        return false;
    *ret_newest = p->keys[key].newest;
    return true;
}

/* ---- producers: copies ---- */

static void resend_lands(struct sim *sim, struct sim_event *event)
{
    struct resend *copy = aff_container_of(event, struct resend, event);
    struct sim_producer *p = copy->producer;
    struct sim_entry *e = copy->entry;

    e->zombie = p->given_up;
    sim_log_land(sim->log, e);
    sim_count(sim->coverage, SIM_RESENDS);
    if (copy->reports) {
        p->holding = false;
        report(p, copy->seq, e, 0, e->view.offset);
        send_held(p, p->given_up);
    }
    aff_list_remove(&copy->link);
    free(copy);
}

/* The record that just landed will land once more. The report names either offset; that of the copy must wait for it. */
static void send_again(struct sim_producer *p, uint64_t seq, const struct sim_entry *e)
{
    struct sim *sim = p->log->sim;
    struct resend *copy = aff_xcalloc(1, sizeof *copy);

    copy->entry = sim_entry_new(p->log, &e->view, p->node);
    copy->event.run = resend_lands;
    copy->producer = p;
    copy->seq = seq;
    copy->reports = !p->holding && sim_below(&sim->random, 2);
    aff_list_append(&p->copies, &copy->link);
    sim_at(sim, &copy->event,
           sim->now_ns + (copy->reports ? sim_log_delay(sim) : sim_spread(&sim->random, SIM_MS / 10, 10 * SIM_S)));
    if (copy->reports)
        p->holding = true;
    else
        report(p, seq, e, 0, e->view.offset);
}

/* ---- producers: landing ---- */

static void free_request(struct request *r)
{
    free(r->entry); /* NULL when it landed */
    free(r);
}

static void drop_waiting(struct sim_producer *p)
{
    struct aff_list *node;

    while ((node = aff_list_take(&p->waiting)))
        free_request(aff_container_of(node, struct request, link));
}

void sim_producer_plan(struct sim_producer *p)
{
    struct aff_list *node = aff_list_first(&p->waiting);
    struct sim *sim = p->log->sim;
    int64_t at;

    if (!node) {
        sim_cancel(sim, &p->land);
        return;
    }
    at = aff_container_of(node, struct request, link)->lands_ns;
    if (at < p->stalled_until_ns)
        at = p->stalled_until_ns;
    if (at < p->log->outage_until_ns)
        at = p->log->outage_until_ns + sim_between(&sim->random, 0, 100 * SIM_MS);
    sim_at(sim, &p->land, at > sim->now_ns ? at : sim->now_ns);
}

/* Of what is under way a random part lands late, in order; the rest never does. */
static void scatter(struct sim_producer *p)
{
    struct sim *sim = p->log->sim;
    int64_t at = sim->now_ns;
    uint64_t count = 0, late, i = 0;

    aff_list_each(node, &p->waiting)
        count++;
    late = sim->quiet ? 0 : sim_below(&sim->random, count + 1);
    aff_list_each(node, &p->waiting) {
        struct request *r = aff_container_of(node, struct request, link);

        if (i++ < late) {
            at += sim_spread(&sim->random, SIM_MS, 20 * SIM_MINUTE);
            r->lands_ns = at;
            r->fate = FATE_LANDS;
        } else {
            aff_list_remove(&r->link);
            free_request(r);
        }
    }
    sim_producer_plan(p);
}

/* From now on nothing new lands; all that waits is reported, and some of it lands late if it may. */
static void breaks(struct sim_producer *p, int status)
{
    p->broken = status;
    aff_list_each(node, &p->waiting) {
        const struct request *r = aff_container_of(node, struct request, link);

        report(p, r->seq, r->entry, status, -1);
    }
    if (status == AFF_EVOID)
        drop_waiting(p);
    else
        scatter(p);
}

/* The first request's turn has come. */
static void first_lands(struct sim_producer *p)
{
    struct request *r = aff_container_of(aff_list_first(&p->waiting), struct request, link);

    if (r->fate == FATE_REFUSED || r->fate == FATE_BREAKS) {
        breaks(p, r->fate == FATE_REFUSED ? AFF_EVOID : AFF_EUNKNOWN);
        return;
    }
    aff_list_remove(&r->link);
    r->entry->zombie = p->given_up || p->broken;
    sim_log_land(p->log, r->entry);
    if (p->broken)
        ; /* it was reported when the producer broke */
    else if (r->fate == FATE_REPORT_LOST)
        report(p, r->seq, r->entry, AFF_EUNKNOWN, -1);
    else if (r->fate == FATE_NO_OFFSET)
        report(p, r->seq, r->entry, 0, -1);
    else if (r->fate == FATE_TWICE)
        send_again(p, r->seq, r->entry);
    else
        report(p, r->seq, r->entry, 0, r->entry->view.offset);
    r->entry = NULL;
    free_request(r);
}

static void requests_land(struct sim *sim, struct sim_event *event)
{
    struct sim_producer *p = aff_container_of(event, struct sim_producer, land);

    do
        first_lands(p);
    while (!aff_list_empty(&p->waiting) && p->stalled_until_ns <= sim->now_ns &&
           aff_container_of(aff_list_first(&p->waiting), struct request, link)->lands_ns <= sim->now_ns);
    sim_producer_plan(p);
}

static enum fate choose_fate(struct sim *sim, const struct sim_profile *f)
{
    if (sim->quiet)
        return FATE_LANDS;
    if (sim_chance(&sim->random, f->report_lost))
        return FATE_REPORT_LOST;
    if (sim_chance(&sim->random, f->report_no_offset))
        return FATE_NO_OFFSET;
    if (sim_chance(&sim->random, f->resend))
        return FATE_TWICE;
    if (sim_chance(&sim->random, f->refused))
        return FATE_REFUSED;
    return sim_chance(&sim->random, f->broken) ? FATE_BREAKS : FATE_LANDS;
}

static struct sim_entry *entry_of_record(struct sim_log *log, const struct aff_record *rec, int node)
{
    struct aff_entry view = {
        .key = rec->key,
        .value = rec->value,
        .content_type = rec->content_type,
        .traceparent = rec->traceparent,
    };

    if (!aff_record_encode(rec, &log->buf))
        abort();
    view.aff = aff_buf_view(&log->buf);
    return sim_entry_new(log, &view, node);
}

int sim_producer_append(struct sim_producer *p, const struct aff_record *rec)
{
    struct sim *sim = p->log->sim;
    struct request *r;

    if (p->log->unsafe_until_ns > sim->now_ns) {
        sim_count(sim->coverage, SIM_LOG_UNSAFE);
        return AFF_EUNSAFE;
    }
    if (!sim->quiet && sim_chance(&sim->random, sim->profile.again)) {
        sim_count(sim->coverage, SIM_LOG_FULL);
        return sim_below(&sim->random, 4) ? AFF_EAGAIN : AFF_ENOSPACE;
    }
    r = aff_xcalloc(1, sizeof *r);
    r->entry = entry_of_record(p->log, rec, p->node);
    r->seq = rec->stamp.seq;
    r->fate = choose_fate(sim, &sim->profile);
    r->lands_ns = sim->now_ns + (sim_below(&sim->random, 3) ? sim->profile.latency_ns : sim_log_delay(sim));
    if (r->lands_ns < p->last_lands_ns)
        r->lands_ns = p->last_lands_ns;
    p->last_lands_ns = r->lands_ns;
    if (r->entry->key < SIM_KEYS_MAX) {
        p->keys[r->entry->key].unreported++;
        p->keys[r->entry->key].newest = rec->stamp;
    }
    if (p->broken) {
        report(p, r->seq, r->entry, p->broken, -1);
        free_request(r);
        return 0;
    }
    aff_list_append(&p->waiting, &r->link);
    if (aff_list_first(&p->waiting) == &r->link)
        sim_producer_plan(p);
    return 0;
}

struct sim_producer *sim_producer_new(struct sim_log *log, int node)
{
    struct sim_producer *p = aff_xcalloc(1, sizeof *p);

    p->log = log;
    p->node = node;
    p->land.run = requests_land;
    aff_list_init(&p->waiting);
    aff_list_init(&p->held);
    aff_list_init(&p->copies);
    aff_list_append(&log->producers, &p->link);
    return p;
}

void sim_producer_give_up(struct sim_producer *p)
{
    if (p->given_up)
        return;
    p->given_up = true;
    send_held(p, true);
    if (!p->broken)
        scatter(p);
}

bool sim_producer_is_idle(const struct sim_producer *p)
{
    return p->waiting.next == &p->waiting;
}

void sim_producer_stall(struct sim_producer *p, int64_t until_ns)
{
    p->stalled_until_ns = until_ns;
    sim_producer_plan(p);
}

struct sim_producer *sim_producer_of(struct aff_list *link)
{
    return aff_container_of(link, struct sim_producer, link);
}

void sim_producer_settle(struct sim_producer *p)
{
    p->stalled_until_ns = 0;
    if (p->given_up || p->broken)
        drop_waiting(p);
    sim_producer_plan(p);
}

/* The heap of events is gone already. */
struct sim_producer *sim_producer_free(struct sim_producer *p)
{
    struct aff_list *node;

    drop_waiting(p);
    send_held(p, true);
    while ((node = aff_list_take(&p->copies))) {
        struct resend *copy = aff_container_of(node, struct resend, link);

        free(copy->entry);
        free(copy);
    }
    aff_list_remove(&p->link);
    free(p);
    return NULL;
}
