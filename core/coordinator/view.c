/*
 * view.c - see view.h. A view is one block of memory beside its arrays, freed with its last reference. Any thread.
 */
#include "coordinator/view.h"

#include "base/alloc.h"

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
