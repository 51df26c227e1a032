/*
 * view_build.c - makes a view from members, chunks and reports, see assignment.h and view.h.
 */
#include "coordinator/roster.h"

#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BOUND = 100 };

struct build {
    const struct aff_view_sources *from;
    struct aff_roster roster;
    int64_t bound;
};

static const struct aff_chunk_part *part_of(const struct aff_assign_space *space, uint32_t partition)
{
    return &space->chunks[partition / AFF_CHUNK_PARTITIONS].parts[partition % AFF_CHUNK_PARTITIONS];
}

/* Every name that the view has to number. */
static void gather_names(struct build *build)
{
    for (size_t s = 0; s < build->from->spaces_count; s++) {
        const struct aff_assign_space *space = &build->from->spaces[s];
        for (uint32_t p = 0; p < space->partitions; p++) {
            const struct aff_chunk_part *part = part_of(space, p);
            for (int i = 0; i < part->replicas_count; i++)
                (void)aff_roster_add(&build->roster, part->replicas[i]);
        }
    }
    if (build->from->self)
        (void)aff_roster_add(&build->roster, build->from->self);
}

static void fill_node(struct aff_view_node *to, const struct aff_roster_node *from)
{
    if (from->live) {
        *to = *from->live;
    } else {
        memcpy(to->name, from->name, sizeof to->name);
        if (from->report)
            (void)aff_member_parse(from->report->member, NULL, &to->incarnation);
    }
    to->live = from->live != NULL;
    to->draining = from->draining;
}

/*
 * The owner, if that incarnation lives. A node whose session was lost is another incarnation now; when it says that it leads in
 * the log still, it is asked until the controller has decided.
 */
static int16_t leader_of(const struct build *build, const struct aff_assign_space *space, uint32_t partition)
{
    const struct aff_chunk_part *part = part_of(space, partition);
    int16_t owner = aff_roster_owner(&build->roster, build->from->living, part->owner);
    const struct aff_report_seat *seat;
    char name[AFF_NODE_NAME_MAX + 1];

    if (owner >= 0 || !aff_member_parse(part->owner, name, NULL))
        return owner;
    owner = aff_roster_find(&build->roster, name);
    seat = aff_roster_seat(&build->roster, owner, space->name, partition);
    return seat && seat->state == AFF_SEAT_LEADS ? owner : -1;
}

static void fill_part(struct build *build, const struct aff_assign_space *space, uint32_t partition,
                      struct aff_view_part *to)
{
    const struct aff_chunk_part *from = part_of(space, partition);
    const struct aff_report_seat *leader = NULL;

    to->epoch = from->major;
    to->leader = leader_of(build, space, partition);
    to->next = aff_roster_owner(&build->roster, build->from->living, from->next);
    to->target = from->target[0] ? aff_roster_find(&build->roster, from->target) : -1;
    to->replicas_count = from->replicas_count;
    if (to->leader >= 0)
        leader = aff_roster_seat(&build->roster, to->leader, space->name, partition);
    for (int i = 0; i < from->replicas_count; i++) {
        const struct aff_report_seat *seat = NULL;

        to->replicas[i] = aff_roster_find(&build->roster, from->replicas[i]);
        seat = aff_roster_seat(&build->roster, to->replicas[i], space->name, partition);
        to->states[i] = seat ? seat->state : AFF_SEAT_AWAY;
        to->applied[i] = seat ? seat->applied : -1;
        if (aff_seat_in_step(seat, leader, build->bound))
            to->in_step |= (uint8_t)(1 << i);
    }
}

static void fill(struct build *build, struct aff_view *view)
{
    const struct aff_view_sources *from = build->from;

    view->generation = from->generation;
    view->self = from->self ? aff_roster_find(&build->roster, from->self) : -1;
    view->controller = from->controller ? aff_roster_owner(&build->roster, from->living, from->controller) : -1;
    for (size_t i = 0; i < build->roster.count; i++)
        fill_node(&view->nodes[i], &build->roster.nodes[i]);
    for (size_t s = 0; s < from->spaces_count; s++) {
        (void)snprintf(view->spaces[s].name, sizeof view->spaces[s].name, "%s", from->spaces[s].name);
        for (uint32_t p = 0; p < from->spaces[s].partitions; p++)
            fill_part(build, &from->spaces[s], p, &view->spaces[s].parts[p]);
    }
}

struct aff_view *aff_view_build(const struct aff_view_sources *sources)
{
    struct build build = { .from = sources, .bound = sources->bound ? sources->bound : BOUND };
    uint32_t *partitions = aff_xcalloc(sources->spaces_count + 1, sizeof *partitions);
    struct aff_view *view = NULL;

    aff_roster_init(&build.roster, sources->living, sources->reports, sources->reports_count);
    gather_names(&build);
    for (size_t s = 0; s < sources->spaces_count; s++)
        partitions[s] = sources->spaces[s].partitions;
    view = aff_view_new(build.roster.count, sources->spaces_count, partitions);
    fill(&build, view);
    aff_roster_fini(&build.roster);
    free(partitions);
    return view;
}
