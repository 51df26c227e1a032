/*
 * view.c - see view.h. A view is one block of memory beside its arrays, freed with its last reference. Any thread.
 */
#include "coordinator/view.h"

#include "base/alloc.h"
#include "coordinator/coordinator.h"

#include <stdlib.h>

struct aff_view *aff_view_new(size_t nodes_count, size_t spaces_count, const uint32_t *partitions)
{
    struct aff_view *view = aff_xcalloc(1, sizeof *view);

    atomic_init(&view->refs, 1);
    view->self = view->controller = -1;
    view->nodes_count = nodes_count;
    view->spaces_count = spaces_count;
    view->nodes = aff_xcalloc(nodes_count + 1, sizeof *view->nodes);
    view->spaces = aff_xcalloc(spaces_count + 1, sizeof *view->spaces);
    for (size_t i = 0; i < spaces_count; i++) {
        view->spaces[i].partitions = partitions[i];
        view->spaces[i].parts = aff_xcalloc(partitions[i] + 1, sizeof *view->spaces[i].parts);
        for (uint32_t p = 0; p < partitions[i]; p++)
            view->spaces[i].parts[p].leader = view->spaces[i].parts[p].next = view->spaces[i].parts[p].target = -1;
    }
    return view;
}

struct aff_view *aff_view_hold(struct aff_view *view)
{
    if (view)
        atomic_fetch_add_explicit(&view->refs, 1, memory_order_relaxed);
    return view;
}

struct aff_view *aff_view_drop(struct aff_view *view)
{
    if (!view || atomic_fetch_sub(&view->refs, 1) != 1)
        return NULL;
    for (size_t i = 0; i < view->spaces_count; i++)
        free(view->spaces[i].parts);
    free(view->spaces);
    free(view->nodes);
    free(view);
    return NULL;
}

uint64_t aff_view_features(const struct aff_view *view)
{
    uint64_t all = UINT64_MAX;

    for (size_t i = 0; i < view->nodes_count; i++)
        if (view->nodes[i].live)
            all &= view->nodes[i].features;
    return all;
}

static bool can_lead(const struct aff_view *view, const struct aff_view_part *part, int replica)
{
    const struct aff_view_node *node = &view->nodes[part->replicas[replica]];

    return (part->in_step >> replica & 1) && node->live && !node->draining && part->replicas[replica] != part->leader;
}

bool aff_view_due(const struct aff_view *view, const struct aff_view_part *part)
{
    if (part->target < 0 || part->leader < 0 || part->next >= 0)
        return false;
    for (int i = 0; i < part->replicas_count; i++)
        if (part->replicas[i] == part->target)
            return can_lead(view, part, i);
    return false;
}

static size_t leads(const struct aff_view *view, int16_t node)
{
    size_t count = 0;

    for (size_t s = 0; s < view->spaces_count; s++)
        for (uint32_t p = 0; p < view->spaces[s].partitions; p++)
            count += view->spaces[s].parts[p].leader == node;
    return count;
}

/*
 * Nothing speaks against it: it may be in step by now, for what is known of others is up to a second old. One that told last that it
 * leads has handed over since, and one of which nothing is known may only just have come.
 */
static bool may_come_to_lead(const struct aff_view *view, const struct aff_view_part *part, int replica)
{
    const struct aff_view_node *node = &view->nodes[part->replicas[replica]];
    bool broken = part->states[replica] == AFF_SEAT_STALLED || part->states[replica] == AFF_SEAT_FAILED;

    return !broken && node->live && !node->draining && part->replicas[replica] != part->leader;
}

static int16_t best_of(const struct aff_view *view, const struct aff_view_part *part,
                       bool (*can)(const struct aff_view *view, const struct aff_view_part *part, int replica))
{
    int16_t best = -1;

    for (int i = 0; i < part->replicas_count; i++)
        if (can(view, part, i) && (best < 0 || leads(view, part->replicas[i]) < leads(view, best)))
            best = part->replicas[i];
    return best;
}

int16_t aff_view_best(const struct aff_view *view, const struct aff_view_part *part)
{
    int16_t best = best_of(view, part, can_lead);

    return best >= 0 ? best : best_of(view, part, may_come_to_lead);
}
