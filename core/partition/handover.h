/*
 * handover.h - how a mastership moves from one node to another without a pause that a client would notice (doc/cluster.md, I9).
 *
 * The giver is told by its seat (`give`): it admits nothing more to the log, waits for its reports, stops serving strict reads, and
 * says GO by `net`. The receiver, told by aff_partition_take(), claims when it has applied everything below `end`. Whatever is lost on
 * the way, the log decides; the giver that hears nothing has the hand-over taken back (gave), and claims anew when it was.
 *
 * Threads: all on the loop of the partition.
 */
#ifndef AFF_PARTITION_HANDOVER_H
#define AFF_PARTITION_HANDOVER_H

#include "base/list.h"
#include "coordinator/coordinator.h"
#include "partition/world.h"

struct aff_partition;

/* The way to other nodes; whoever makes partitions fills it. */
struct aff_handover_net {
    /* Brings GO to the node. Answered once, later, by aff_partition_went(). */
    void (*go)(struct aff_handover_net *net, struct aff_partition *part, const struct aff_give *give, const struct aff_go *go,
               int64_t deadline_ns);
};
/* The answer to the GO with that epoch: does the receiver lead? False: it refused, or nothing is known. One that comes too late does no harm. */
void aff_partition_went(struct aff_partition *part, uint32_t major, bool taken);

/*
 * A GO (world.h) that came. Whoever brings it owns it again when `taken` comes, exactly once, possibly inside the call. False: this
 * node does not lead, by now; it may yet, if its deadline has passed.
 */
struct aff_take {
    struct aff_go go;
    int64_t deadline_ns;
    void (*taken)(struct aff_take *take, bool leads);
    struct aff_list link; /* the partition's own */
};
void aff_partition_take(struct aff_partition *part, struct aff_take *take);

/* What a partition tells the router of its node, as it happens. */
struct aff_partition_events {
    /* It began or ceased to serve, or to be hosted. */
    void (*turned)(struct aff_partition_events *events, struct aff_partition *part);
    /* The node of `give` leads from now on, with its epoch; before what waited here is answered "not the master". */
    void (*moved)(struct aff_partition_events *events, struct aff_partition *part, const struct aff_give *give);
};

#endif
