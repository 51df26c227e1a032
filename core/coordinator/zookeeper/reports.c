/*
 * reports.c - the znodes lag/<name>: the own one, on whose committed write the lease stands, and those of the others.
 *
 * The own one is written each h = session / 16, when every loop has ticked since the last time. The others' are read each second, each h while
 * something is under way, and at once when the controller has to know.
 */
#include "coordinator/zookeeper/keeper.h"

#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void lag_path(const struct keeper *k, char *to, const char *name)
{
    (void)snprintf(to, KEEPER_PATH_MAX, "%s/lag/%s", k->root, name);
}

/* ---- the own one, and the lease ---- */

/* `sent`: boottime, before the write was sent that is committed now. It never shrinks within a session. */
static void renew_lease(struct keeper *k, int64_t sent_ns)
{
    int64_t length_ms = k->session_ms * 95 / 100 - keeper_h_ms(k) - k->opts.tick_ms;
    int64_t until = sent_ns + length_ms * AFF_NS_PER_MS;

    if (length_ms > 0 && until > atomic_load(&k->lease_until))
        atomic_store(&k->lease_until, until);
}

static void written(struct aff_zk_call *call, const struct aff_zk_reply *reply)
{
    struct keeper *k = aff_container_of(call, struct keeper, reports.write);

    keeper_due(k);
    if (reply->result == AFF_ZK_OK)
        renew_lease(k, k->reports.sent_boot_ns);
    if (reply->result == AFF_ZK_OK && k->reports.drains)
        aff_keeper_members_ring(k);
    k->reports.creating = reply->result == AFF_ZK_NONE;
    if (reply->result == AFF_ZK_DENIED || reply->result == AFF_ZK_FAILED)
        aff_keeper_trouble(k, "write", "lag", reply);
    if (k->reports.creating)
        aff_keeper_reports_tick(k);
}

/* The log answers nobody here: a standby that is in step as far as it knows cannot know. */
static bool log_is_silent(const struct keeper *k)
{
    return k->opts.log_heard_ns && keeper_now(k) - k->opts.log_heard_ns(k->opts.self) >= KEEPER_SILENT_MS * AFF_NS_PER_MS;
}

static uint8_t told_state(uint8_t state, bool silent)
{
    return silent && (state == AFF_SEAT_BEHIND || state == AFF_SEAT_IN_STEP) ? AFF_SEAT_STALLED : state;
}

static void gather(struct keeper *k, struct aff_report *report)
{
    bool silent = log_is_silent(k);

    aff_report_init(report, k->member, atomic_load(&k->drains));
    for (size_t s = 0; s < k->spaces_count; s++)
        for (uint32_t p = 0; p < k->spaces[s].partitions; p++)
            if (k->spaces[s].places[p]) {
                struct aff_report_seat seat = aff_keeper_seat_report(k->spaces[s].places[p]);

                if (seat.state != AFF_SEAT_AWAY)
                    aff_report_add(report, k->spaces[s].name, p, (enum aff_seat_state)told_state(seat.state, silent),
                                   seat.applied);
            }
}

static void send_report(struct keeper *k, aff_bytes text)
{
    char path[KEEPER_PATH_MAX];

    lag_path(k, path, k->self.name);
    k->reports.write.done = written;
    k->reports.sent_mono_ns = aff_mono_ns(k->opts.clock);
    k->reports.sent_boot_ns = aff_boot_ns(k->opts.clock);
    if (k->reports.creating)
        aff_zk_create(k->zk, &k->reports.write, path, text, AFF_ZK_PERSISTENT);
    else
        aff_zk_set(k->zk, &k->reports.write, path, text, -1);
}

void aff_keeper_reports_tick(struct keeper *k)
{
    struct aff_report report;
    struct aff_buf text;
    aff_error err;

    if (!k->connected || !k->member[0] || k->reports.write.op)
        return;
    if (k->opts.alive_ns && k->opts.alive_ns(k->opts.self) < k->reports.sent_mono_ns)
        return; /* a loop stands: no lease, and its seats' states are not known */
    gather(k, &report);
    k->reports.drains = report.draining;
    aff_buf_init(&text);
    if (aff_report_encode(&report, &text, &err) == 0)
        send_report(k, aff_buf_view(&text));
    else
        (void)snprintf(k->trouble, sizeof k->trouble, "%.150s", err.text);
    aff_buf_fini(&text);
    aff_report_fini(&report);
}

/* ---- those of all ---- */

static struct keeper_report *report_of(struct keeper *k, const char *name)
{
    for (size_t i = 0; i < k->reports.count; i++)
        if (strcmp(k->reports.all[i]->name, name) == 0)
            return k->reports.all[i];
    return NULL;
}

const struct aff_report *aff_keeper_report_of(struct keeper *k, const char *name)
{
    struct keeper_report *r = report_of(k, name);

    return r && r->known ? &r->report : NULL;
}

static void take_text(struct keeper_report *r, const struct aff_zk_reply *reply)
{
    struct aff_report read;
    aff_error err;

    if (r->known && r->version == reply->version)
        return;
    if (aff_report_decode(r->name, reply->data, &read, &err))
        return; /* of a later release: it says nothing to this one */
    if (r->known)
        aff_report_fini(&r->report);
    r->report = read;
    r->known = true;
    r->version = reply->version;
    r->changed_ns = keeper_now(r->k);
}

static void end_round(struct keeper *k)
{
    k->reports.read_ns = k->reports.round_ns;
    k->controller.due = k->view_due = true;
    keeper_due(k);
}

static void read_report(struct aff_zk_call *call, const struct aff_zk_reply *reply)
{
    struct keeper_report *r = aff_container_of(call, struct keeper_report, call);

    if (reply->result == AFF_ZK_OK)
        take_text(r, reply);
    if (--r->k->reports.pending == 0)
        end_round(r->k);
}

static struct keeper_report *add(struct keeper *k, const char *name)
{
    struct keeper_report *r = aff_xcalloc(1, sizeof *r);

    r->k = k;
    r->call.done = read_report;
    (void)snprintf(r->name, sizeof r->name, "%s", name);
    k->reports.all = aff_xrealloc(k->reports.all, k->reports.count + 1, sizeof(struct keeper_report *));
    k->reports.all[k->reports.count++] = r;
    return r;
}

/* Of those that live; what others said last stays. */
static void begin_round(struct keeper *k)
{
    char path[KEEPER_PATH_MAX];

    k->reports.due = false;
    k->reports.round_ns = keeper_now(k);
    for (size_t i = 0; i < k->members.living.count; i++) {
        const char *name = k->members.living.nodes[i].name;
        struct keeper_report *r = report_of(k, name);

        r = r ? r : add(k, name);
        if (r->call.op)
            continue; /* two incarnations, one report */
        k->reports.pending++;
        lag_path(k, path, name);
        aff_zk_get(k->zk, &r->call, path, false);
    }
    if (k->reports.pending == 0)
        end_round(k);
}

/* A partition has no owner that lives, a hand-over is wanted or under way, a replica is to catch up. */
static bool moves(const struct keeper *k, const struct aff_chunk_part *part)
{
    return part->target[0] || part->next[0] || part->leaving || !part->owner[0] ||
           !aff_members_live(&k->members.living, part->owner);
}

static bool something_moves(const struct keeper *k)
{
    for (size_t s = 0; s < k->spaces_count; s++)
        for (size_t i = 0; i < k->spaces[s].chunks_count; i++) {
            const struct aff_chunk *chunk = &k->spaces[s].chunks[i].now;

            for (uint32_t p = 0; p < chunk->count; p++)
                if (moves(k, &chunk->parts[p]))
                    return true;
        }
    return false;
}

/* A member is so new that nothing is known of it, and it is about to say so. */
static bool somebody_is_new(struct keeper *k)
{
    for (size_t i = 0; i < k->members.living.count; i++) {
        const struct aff_view_node *node = &k->members.living.nodes[i];
        const struct aff_report *report = aff_keeper_report_of(k, node->name);
        char member[AFF_MEMBER_MAX + 1];

        aff_member_format(member, node->name, node->incarnation);
        if (!report || strcmp(report->member, member) != 0)
            return true;
    }
    return false;
}

void aff_keeper_reports_step(struct keeper *k)
{
    int64_t since_ms = (keeper_now(k) - k->reports.round_ns) / AFF_NS_PER_MS, h_ms = keeper_h_ms(k);

    if (k->reports.pending > 0 || !k->members.complete)
        return;
    if (k->reports.due || since_ms >= KEEPER_REPORTS_MS || (since_ms >= h_ms && something_moves(k)) ||
        (since_ms >= h_ms / 4 && somebody_is_new(k) && something_moves(k)))
        begin_round(k);
}

size_t aff_keeper_reports_fresh(struct keeper *k, const struct aff_report **ret_reports)
{
    int64_t oldest = keeper_now(k) - 2 * k->session_ms * AFF_NS_PER_MS;
    size_t count = 0;

    for (size_t i = 0; i < k->reports.count; i++)
        if (k->reports.all[i]->known && k->reports.all[i]->changed_ns >= oldest)
            ret_reports[count++] = &k->reports.all[i]->report;
    return count;
}

/* What was read stays: a new session does not make it untrue, and each report names the incarnation that it is of. */
void aff_keeper_reports_reset(struct keeper *k)
{
    aff_zk_forget(&k->reports.write);
    for (size_t i = 0; i < k->reports.count; i++)
        aff_zk_forget(&k->reports.all[i]->call);
    k->reports.pending = 0;
    k->reports.creating = false;
    k->reports.due = true;
    k->reports.read_ns = 0;
    k->reports.sent_mono_ns = 0;
}

void aff_keeper_reports_fini(struct keeper *k)
{
    aff_keeper_reports_reset(k);
    for (size_t i = 0; i < k->reports.count; i++) {
        if (k->reports.all[i]->known)
            aff_report_fini(&k->reports.all[i]->report);
        free(k->reports.all[i]);
    }
    free(k->reports.all);
}
