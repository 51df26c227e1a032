/*
 * inner.h - a partition on its loop, shared by partition.c and effects.c alone.
 */
#ifndef AFF_PARTITION_INNER_H
#define AFF_PARTITION_INNER_H

#include "base/alloc.h"
#include "base/buf.h"
#include "partition/handover.h"
#include "partition/partition.h"

#define AFF_SEAT_STALL_NS (2 * AFF_NS_PER_S) /* so long a log may owe an answer before the seat says that it stalls */

struct aff_partition_group {
    struct aff_loop *loop;
    struct aff_hook hook;
    struct aff_list touched; /* partitions that something happened to in this pass */
};

struct aff_partition {
    struct aff_partition_shared shared;
    struct aff_partition_group *group;
    struct aff_list touched;
    struct aff_timer timer, restart, indexing, watch;
    int64_t giving_ns, taking_ns; /* since when a hand-over is under way, monotonic; 0: none is */
    char keyspace[64], topic[256];
    struct aff_core_opts core_opts;
    struct aff_core *core; /* NULL: not hosted */
    struct aff_store_opts store_opts;
    char *folder;
    struct aff_store *_Atomic store; /* set once, when it is hosted first; readers of other loops keep it open */
    struct aff_finder finder;
    struct aff_changelog *changelog;
    struct aff_changelog_part *log;
    struct aff_coordinator *coordinator;
    struct aff_handover_net *net;
    struct aff_partition_events *events;
    struct aff_give give;  /* the hand-over under way */
    struct aff_list takes; /* of aff_take.link: GOs that are not answered */
    struct aff_changelog_sink sink;
    struct aff_seat seat;
    struct aff_world_log world_log;
    struct aff_world_store world_store;
    struct aff_world_coordinator world_coordinator;
    struct aff_world_net world_net;
    struct aff_world_entropy world_entropy;
    struct aff_world_host world_host;
    struct aff_record record; /* the one being decoded */
    struct aff_buf header;    /* of the one being encoded */
    bool hosted, started, stopped, leading_wanted;
    bool deposed; /* and not granted an epoch since */
};

/* effects.c */
void aff_partition_world(struct aff_partition *p);
/* What others may see of it but its role. */
void aff_partition_publish(struct aff_partition *p, const struct aff_standing *s);

/* partition.c */
void aff_partition_turned(struct aff_partition *p);

#endif
