/*
 * roster.c - see roster.h. Names are found by open addressing, since each decision looks up some ten thousand.
 */
#include "coordinator/roster.h"

#include "base/alloc.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t hash(const char *name)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */

    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 1099511628211u;
    return (size_t)(h ^ h >> 32);
}

/* The slot of a name, or the free one where it would be. */
static uint32_t *slot_of(const struct aff_roster *roster, const char *name)
{
    size_t at = hash(name) & (roster->slots_count - 1);

    while (roster->slots[at] && strcmp(roster->nodes[roster->slots[at] - 1].name, name) != 0)
        at = (at + 1) & (roster->slots_count - 1);
    return &roster->slots[at];
}

static void grow(struct aff_roster *roster)
{
    roster->capacity = roster->capacity ? roster->capacity * 2 : 32;
    roster->nodes = aff_xrealloc(roster->nodes, roster->capacity, sizeof *roster->nodes);
    free(roster->slots);
    roster->slots_count = roster->capacity * 2;
    roster->slots = aff_xcalloc(roster->slots_count, sizeof *roster->slots);
    for (size_t i = 0; i < roster->count; i++)
        *slot_of(roster, roster->nodes[i].name) = (uint32_t)i + 1;
}

int16_t aff_roster_find(const struct aff_roster *roster, const char *name)
{
    return (int16_t)((int32_t)*slot_of(roster, name) - 1);
}

int16_t aff_roster_add(struct aff_roster *roster, const char *name)
{
    struct aff_roster_node *node = NULL;
    int16_t found = aff_roster_find(roster, name);

    if (found >= 0)
        return found;
    assert(roster->count < INT16_MAX);
    if (roster->count == roster->capacity)
        grow(roster);
    node = &roster->nodes[roster->count];
    memset(node, 0, sizeof *node);
    (void)snprintf(node->name, sizeof node->name, "%s", name);
    *slot_of(roster, name) = (uint32_t)++roster->count;
    return (int16_t)(roster->count - 1);
}

static void add_member(struct aff_roster *roster, const struct aff_view_node *member)
{
    struct aff_roster_node *node = &roster->nodes[aff_roster_add(roster, member->name)];

    if (node->live && node->live->incarnation >= member->incarnation)
        return;
    node->live = member;
    aff_member_format(node->member, member->name, member->incarnation);
}

static void add_report(struct aff_roster *roster, const struct aff_report *report)
{
    char name[AFF_NODE_NAME_MAX + 1];
    struct aff_roster_node *node = NULL;

    if (!aff_member_parse(report->member, name, NULL))
        return;
    node = &roster->nodes[aff_roster_add(roster, name)];
    node->report = report;
    node->fresh = strcmp(node->member, report->member) == 0;
    node->draining = node->fresh && report->draining;
}

void aff_roster_init(struct aff_roster *roster, const struct aff_members *living,
                     const struct aff_report *const *reports, size_t reports_count)
{
    memset(roster, 0, sizeof *roster);
    grow(roster);
    for (size_t i = 0; i < living->count; i++)
        add_member(roster, &living->nodes[i]);
    for (size_t i = 0; i < reports_count; i++)
        add_report(roster, reports[i]);
}

void aff_roster_fini(struct aff_roster *roster)
{
    free(roster->nodes);
    free(roster->slots);
    memset(roster, 0, sizeof *roster);
}

int16_t aff_roster_owner(const struct aff_roster *roster, const struct aff_members *living, const char *member)
{
    char name[AFF_NODE_NAME_MAX + 1];
    int16_t node = -1;

    if (!aff_member_parse(member, name, NULL))
        return -1;
    node = aff_roster_find(roster, name);
    if (node < 0 || !roster->nodes[node].live)
        return -1;
    if (strcmp(roster->nodes[node].member, member) == 0 || aff_members_live(living, member))
        return node;
    return -1;
}

const struct aff_report_seat *aff_roster_seat(const struct aff_roster *roster, int16_t node, const char *keyspace,
                                              uint32_t partition)
{
    const struct aff_roster_node *known = &roster->nodes[node];

    return known->fresh ? aff_report_find(known->report, keyspace, partition) : NULL;
}
