/*
 * leaders.h - who leads each partition, as one loop knows it: the view of the coordinator, and newer word of a hand-over.
 *
 * A mastership is named by its epoch, so what was heard is newer exactly when its epoch is higher (doc/cluster.md). This node's own
 * partition counts like any other word: it leads when it says so with the highest epoch. All of it is about who is worth asking;
 * who may answer is decided where the question arrives, and in the log.
 *
 * Pure; of one loop.
 */
#ifndef AFF_ROUTER_LEADERS_H
#define AFF_ROUTER_LEADERS_H

#include "coordinator/view.h"
#include "router/wire.h"

struct aff_leaders {
    struct aff_view *view; /* NULL: none came yet */
    struct aff_wire_leader *hints; /* one for each partition of all keyspaces; epoch 0: none */
    size_t count;
};

/* A partition: of which keyspace, by its place in the configuration, and where it stands among all. */
struct aff_leaders_at {
    size_t space;
    uint32_t partition;
    size_t index;
};

enum aff_where {
    AFF_LEADER_NONE, /* nobody, or one that cannot be named to a peer */
    AFF_LEADER_SOON, /* this node is to lead, and does not serve yet */
    AFF_LEADER_HERE,
    AFF_LEADER_THERE,
};
struct aff_leader {
    enum aff_where where;
    uint32_t epoch, incarnation; /* of a mastership; incarnation 0: of this node */
    const struct aff_view_node *node; /* THERE; of the present view */
    bool hinted;                      /* by word of a hand-over */
};

void aff_leaders_init(struct aff_leaders *l, size_t count);
void aff_leaders_fini(struct aff_leaders *l);
/* A new view, whose hold is taken over. */
void aff_leaders_view(struct aff_leaders *l, struct aff_view *view);
/* Word that somebody leads. True: it is newer than what was known, and counts from now on. */
bool aff_leaders_hint(struct aff_leaders *l, struct aff_leaders_at at, const struct aff_wire_leader *hint);
/* The node that was named by word of mouth says that it does not lead. */
void aff_leaders_refuted(struct aff_leaders *l, struct aff_leaders_at at, uint32_t epoch);
/* `own`: the epoch that this node's partition leads with, 0: it does not. */
struct aff_leader aff_leaders_of(const struct aff_leaders *l, struct aff_leaders_at at, uint32_t own);
/* The same as it is told to others; epoch 0: nobody is known. */
void aff_leaders_tell(const struct aff_leaders *l, struct aff_leaders_at at, struct aff_wire_leader *ret_leader);
/* The node of that name and incarnation, if it is known and lives; or NULL. */
const struct aff_view_node *aff_leaders_node(const struct aff_leaders *l, const char *name, uint32_t incarnation);

#endif
