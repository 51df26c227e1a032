/*
 * roster.h - all nodes that are known by name, numbered: those that live, in the order of the members, then those that are named
 * otherwise. What the decision and the view count with. This folder's own.
 *
 * Pure: any thread. It borrows members and reports.
 */
#ifndef AFF_COORDINATOR_ROSTER_H
#define AFF_COORDINATOR_ROSTER_H

#include "coordinator/assignment.h"

struct aff_roster_node {
    char name[AFF_NODE_NAME_MAX + 1];
    char member[AFF_MEMBER_MAX + 1];  /* the incarnation that lives, the youngest; "": none */
    const struct aff_view_node *live; /* the same, or NULL */
    const struct aff_report *report;  /* the last, or NULL; of an incarnation that may be gone */
    bool fresh;                       /* the report is of the incarnation that lives */
    bool draining;
};

struct aff_roster {
    struct aff_roster_node *nodes;
    size_t count, capacity;
    uint32_t *slots; /* number + 1, by the hash of the name; 0: free */
    size_t slots_count;
};

void aff_roster_init(struct aff_roster *roster, const struct aff_members *living,
                     const struct aff_report *const *reports, size_t reports_count);
void aff_roster_fini(struct aff_roster *roster);
int16_t aff_roster_find(const struct aff_roster *roster, const char *name); /* -1: not known */
int16_t aff_roster_add(struct aff_roster *roster, const char *name);        /* its number, new or not */
/* The number of the node of an incarnation, when it lives: any of those that do; else -1. */
int16_t aff_roster_owner(const struct aff_roster *roster, const struct aff_members *living, const char *member);
/* What the node says of its replica: only the incarnation that lives counts. NULL: nothing. */
const struct aff_report_seat *aff_roster_seat(const struct aff_roster *roster, int16_t node, const char *keyspace,
                                              uint32_t partition);

#endif
