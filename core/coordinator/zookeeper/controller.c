/*
 * controller.c - carries out the decision of assignment.h, when this incarnation is the controller.
 *
 * It decides when something changed and everything is known: members, chunks, and reports that were read after the last change of the
 * members. What it decides is written with the versions that it was decided on; who was faster is read and decided on again.
 */
#include "coordinator/zookeeper/keeper.h"

#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what the decision is made of ---- */

void aff_keeper_picture(struct keeper *k, struct aff_assign_space *spaces)
{
    for (size_t s = 0; s < k->spaces_count; s++) {
        struct keeper_space *space = &k->spaces[s];

        for (size_t i = 0; i < space->chunks_count; i++) {
            space->scratch[i] = space->chunks[i].now;
            space->scratch[i].changed = false;
        }
        spaces[s] = (struct aff_assign_space){
            .name = space->name,
            .partitions = space->partitions,
            .replicas = space->replicas,
            .assigned = (const char *const *const *)space->assigned,
            .chunks = space->scratch,
        };
    }
}

static struct keeper_away *away_of(struct keeper *k, const char *name)
{
    struct keeper_controller *c = &k->controller;

    for (size_t i = 0; i < c->away_count; i++)
        if (strcmp(c->away[i].name, name) == 0)
            return &c->away[i];
    c->away = aff_xrealloc(c->away, c->away_count + 1, sizeof *c->away);
    (void)snprintf(c->away[c->away_count].name, sizeof c->away->name, "%s", name);
    c->away[c->away_count].since_ns = 0;
    return &c->away[c->away_count++];
}

/* Notes since when the replicas' nodes are away. */
static void watch_absence(struct keeper *k)
{
    for (size_t s = 0; s < k->spaces_count; s++)
        for (size_t i = 0; i < k->spaces[s].chunks_count; i++) {
            const struct aff_chunk *chunk = &k->spaces[s].chunks[i].now;

            for (uint32_t p = 0; p < chunk->count; p++)
                for (int r = 0; r < chunk->parts[p].replicas_count; r++)
                    if (!aff_members_find(&k->members.living, chunk->parts[p].replicas[r]))
                        (void)away_of(k, chunk->parts[p].replicas[r]);
        }
    for (size_t i = 0; i < k->controller.away_count; i++) {
        struct keeper_away *away = &k->controller.away[i];

        if (aff_members_find(&k->members.living, away->name))
            away->since_ns = 0;
        else if (!away->since_ns)
            away->since_ns = keeper_now(k);
    }
}

static size_t gone(const struct keeper *k, const char **ret_names)
{
    size_t count = 0;

    for (size_t i = 0; i < k->controller.away_count; i++) {
        const struct keeper_away *away = &k->controller.away[i];

        if (away->since_ns && keeper_now(k) - away->since_ns >= k->opts.away_ms * AFF_NS_PER_MS)
            ret_names[count++] = away->name;
    }
    return count;
}

static struct aff_assigned decide(struct keeper *k, struct aff_assign_space *spaces)
{
    const struct aff_report **reports = aff_xcalloc(k->reports.count + 1, sizeof(struct aff_report *));
    const char **names;
    struct aff_assigned done;

    aff_keeper_picture(k, spaces);
    watch_absence(k);
    names = aff_xcalloc(k->controller.away_count + 1, sizeof(char *));
    done = aff_assign(&(struct aff_assign){
        .spaces = spaces,
        .spaces_count = k->spaces_count,
        .living = &k->members.living,
        .reports = reports,
        .reports_count = aff_keeper_reports_fresh(k, reports),
        .gone = names,
        .gone_count = gone(k, names),
        .bound = KEEPER_IN_STEP,
        .patient = keeper_now(k) - k->controller.since_ns < k->session_ms * AFF_NS_PER_MS,
    });
    free(names);
    free(reports);
    return done;
}

/* ---- when ---- */

static bool chunks_known(const struct keeper *k)
{
    for (size_t s = 0; s < k->spaces_count; s++)
        for (size_t i = 0; i < k->spaces[s].chunks_count; i++) {
            const struct keeper_chunk *chunk = &k->spaces[s].chunks[i];

            if (!chunk->known || chunk->stale || chunk->call.op)
                return false;
        }
    return true;
}

static bool ready(const struct keeper *k)
{
    return k->election.self && k->members.complete && k->reports.read_ns >= k->controller.changed_ns && chunks_known(k);
}

void aff_keeper_controller_step(struct keeper *k)
{
    struct aff_assign_space *spaces;
    struct aff_assigned done;

    if (!k->controller.due || !ready(k))
        return;
    k->controller.due = false;
    spaces = aff_xcalloc(k->spaces_count + 1, sizeof *spaces);
    done = decide(k, spaces);
    if (done.granted + done.aimed + done.placed > 0)
        aff_log(k->opts.logger, INFO, "coordinator.decided", aff_f_int("granted", (int64_t)done.granted),
                aff_f_int("aimed", (int64_t)done.aimed), aff_f_int("placed", (int64_t)done.placed));
    for (size_t s = 0; s < k->spaces_count; s++)
        for (size_t i = 0; i < k->spaces[s].chunks_count; i++)
            if (spaces[s].chunks[i].changed)
                aff_keeper_chunk_write(&k->spaces[s].chunks[i], &spaces[s].chunks[i]);
    free(spaces);
}

void aff_keeper_controller_fini(struct keeper *k)
{
    free(k->controller.away);
}
