/*
 * leaders.c - see leaders.h.
 */
#include "router/leaders.h"

#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>

void aff_leaders_init(struct aff_leaders *l, size_t count)
{
    l->view = NULL;
    l->hints = aff_xcalloc(count + 1, sizeof *l->hints);
    l->count = count;
}

void aff_leaders_fini(struct aff_leaders *l)
{
    l->view = aff_view_drop(l->view);
    free(l->hints);
    l->hints = NULL;
}

static const struct aff_view_part *part_of(const struct aff_leaders *l, struct aff_leaders_at at)
{
    const struct aff_view *view = l->view;
    if (!view || at.space >= view->spaces_count || at.partition >= view->spaces[at.space].partitions)
        return NULL;
    return &view->spaces[at.space].parts[at.partition];
}

static uint32_t view_epoch(const struct aff_leaders *l, struct aff_leaders_at at)
{
    const struct aff_view_part *part = part_of(l, at);
    return part ? part->epoch : 0;
}

void aff_leaders_view(struct aff_leaders *l, struct aff_view *view)
{
    (void)aff_view_drop(l->view);
    l->view = view;
}

/* Word that is not newer than the view does not count, and is kept: a later view may be of an older state, after a reconnection. */
static const struct aff_wire_leader *hint_of(const struct aff_leaders *l, struct aff_leaders_at at)
{
    const struct aff_wire_leader *hint = &l->hints[at.index];
    return hint->epoch > view_epoch(l, at) ? hint : NULL;
}

bool aff_leaders_hint(struct aff_leaders *l, struct aff_leaders_at at, const struct aff_wire_leader *hint)
{
    if (hint->epoch <= view_epoch(l, at) || hint->epoch <= l->hints[at.index].epoch)
        return false;
    l->hints[at.index] = *hint;
    return true;
}

void aff_leaders_refuted(struct aff_leaders *l, struct aff_leaders_at at, uint32_t epoch)
{
    if (l->hints[at.index].epoch == epoch)
        l->hints[at.index].epoch = 0;
}

const struct aff_view_node *aff_leaders_node(const struct aff_leaders *l, const char *name, uint32_t incarnation)
{
    const struct aff_view *view = l->view;
    for (size_t i = 0; view && i < view->nodes_count; i++)
        if (view->nodes[i].live && view->nodes[i].incarnation == incarnation && strcmp(view->nodes[i].name, name) == 0)
            return &view->nodes[i];
    return NULL;
}

static bool is_self(const struct aff_leaders *l, const struct aff_view_node *node)
{
    return l->view->self >= 0 && node == &l->view->nodes[l->view->self];
}

struct aff_leader aff_leaders_of(const struct aff_leaders *l, struct aff_leaders_at at, uint32_t own)
{
    const struct aff_wire_leader *hint = hint_of(l, at);
    const struct aff_view_part *part = part_of(l, at);
    struct aff_leader leader = { .where = AFF_LEADER_NONE, .epoch = view_epoch(l, at) };
    const struct aff_view_node *node = NULL;
    if (hint) {
        leader.epoch = hint->epoch;
        leader.hinted = true;
        node = aff_leaders_node(l, hint->name, hint->incarnation);
    } else if (part && part->leader >= 0 && (size_t)part->leader < l->view->nodes_count) {
        node = &l->view->nodes[part->leader];
    }
    if (own && own >= leader.epoch)
        return (struct aff_leader){ .where = AFF_LEADER_HERE, .epoch = own };
    if (!node)
        return leader;
    leader.where = is_self(l, node) ? AFF_LEADER_SOON : AFF_LEADER_THERE;
    leader.incarnation = is_self(l, node) ? 0 : node->incarnation;
    leader.node = node;
    return leader;
}

void aff_leaders_tell(const struct aff_leaders *l, struct aff_leaders_at at, struct aff_wire_leader *ret)
{
    struct aff_leader leader = aff_leaders_of(l, at, 0);
    *ret = (struct aff_wire_leader){ .epoch = 0 };
    if (leader.where == AFF_LEADER_NONE)
        return;
    ret->epoch = leader.epoch;
    ret->incarnation = leader.node->incarnation;
    (void)snprintf(ret->name, sizeof ret->name, "%s", leader.node->name);
}
