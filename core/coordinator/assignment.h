/*
 * assignment.h - the controller's decision: from members, reports and the present chunks to the next ones. And the view that all
 * nodes make of the same.
 *
 * A pure function: no clock, no random number, the same for the same input. It keeps what is; when nothing changed it changes
 * nothing, and repeated it comes to rest. It moves, a few at a time, only what a rule demands:
 *
 *   owner       Of a partition whose owner is gone (and the node of a hand-over, too) or released it: a replica that leads in the log
 *               already, else the one in step that has applied the most, where up to `bound` records are the same; of equals, the
 *               one that leads the least. One that is not in step only when no other lives.
 *   replicas    As many as wanted, on distinct nodes, in as many zones as can be, each node as many as any other. A node that is away
 *               keeps its replicas until it is `gone`. A replica moves by a new one, which follows; when that is in step, and leads if
 *               the old one did, the old one goes.
 *   masters     Each node as many as any other that is live and not draining, of those partitions that are placed automatically. A move is a
 *               `target`: the owner hands over when the target is in step. On a join at most ceil(P/N) move. When a node leaves
 *               only what it led moves; until it is back or `gone` the others are not evened out, but a node that joins gets its share.
 *   draining    Leads nothing if another in step is there, gets nothing new, and keeps its replicas: it may come back.
 *   static      A list is taken as it is: the first in step of the list leads.
 *   pinned      A target that a person wished stays, as long as that node lives and does not drain.
 *
 * Pure: any thread.
 */
#ifndef AFF_COORDINATOR_ASSIGNMENT_H
#define AFF_COORDINATOR_ASSIGNMENT_H

#include "coordinator/chunk.h"
#include "coordinator/report.h"

struct aff_assign_space {
    const char *name;
    uint32_t partitions, replicas;
    const char *const *const *assigned; /* as in coordinator.h; NULL: automatic */
    struct aff_chunk *chunks;           /* aff_chunks_of(partitions), in order; changed in place */
};

struct aff_assign {
    struct aff_assign_space *spaces;
    size_t spaces_count;
    const struct aff_members *living;
    const struct aff_report *const
        *reports; /* the last of each node, live or not, in any order; without those that are too old */
    size_t reports_count;
    const char *const *gone; /* names of nodes that are away for so long that others shall hold their replicas */
    size_t gone_count;
    int64_t bound;      /* records; 0: 100 */
    uint32_t moves;     /* partitions with a replica that is being built, at a time; 0: 8 */
    uint32_t handovers; /* masterships that are asked to move at a time; 0: 8 */
    /*
     * Members may still be arriving (the cluster starts, or did a moment ago): nothing is placed on fewer nodes than wanted, nothing is
     * balanced, and no replica that is not in step gets a partition that had another owner. The caller ends it after a while.
     */
    bool patient;
};

/* What one decision did; nothing when it was at rest. */
struct aff_assigned {
    size_t granted, aimed, placed; /* partitions: owners, targets, replicas */
};

/* Changes the chunks in place, and marks those that it changed. */
struct aff_assigned aff_assign(struct aff_assign *assign);

/* ---- the view ---- */

struct aff_view_sources {
    const char *self;       /* name of this node */
    const char *controller; /* its member, or NULL */
    uint64_t generation;
    const struct aff_assign_space *spaces; /* a chunk that is not known yet: as aff_chunk_init() makes it */
    size_t spaces_count;
    const struct aff_members *living;
    const struct aff_report *const *reports;
    size_t reports_count;
    int64_t bound; /* records; 0: 100 */
};
struct aff_view *aff_view_build(const struct aff_view_sources *sources);

#endif
