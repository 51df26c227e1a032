/*
 * view.h - the cluster as a node knows it: members, and who holds and leads each partition. A snapshot: made by a coordinator,
 * never changed after, shared by counting references.
 *
 * Any thread may hold one. Numbers that name a node are its place in `nodes` of the same view, -1: none.
 */
#ifndef AFF_COORDINATOR_VIEW_H
#define AFF_COORDINATOR_VIEW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    AFF_NODE_NAME_MAX = 40,    /* [a-z][a-z0-9_-]*, without the NUL */
    AFF_MEMBER_MAX = 56,       /* "<name>-<10 digits>", an incarnation, without the NUL */
    AFF_NODE_ADDRESS_MAX = 95, /* "host:port", without the NUL */
    AFF_REPLICAS_MAX = 7,
};

/* A node that the cluster knows by name: it lives, or holds replicas. */
struct aff_view_node {
    char name[AFF_NODE_NAME_MAX + 1];
    uint32_t incarnation; /* of the last one known; 0 as well while none is */
    bool live;
    bool draining;     /* it is to lead nothing, and gets nothing new */
    uint32_t version;  /* of frames, records and znodes that it speaks */
    uint64_t features; /* bits; one is used when all live members announce it */
    char http[AFF_NODE_ADDRESS_MAX + 1], peer[AFF_NODE_ADDRESS_MAX + 1], zone[AFF_NODE_NAME_MAX + 1];
};

struct aff_view_part {
    uint32_t epoch;                  /* major, of the owner; 0: it never had one */
    int16_t leader;                  /* the owner, if that incarnation lives; or its node, when that leads in the log still */
    int16_t next;                    /* a hand-over to it is under way */
    int16_t target;                  /* it is wished to lead */
    uint8_t replicas_count, in_step; /* in_step: a bit for each of `replicas`, as last reported */
    int16_t replicas[AFF_REPLICAS_MAX];
    /* Of each of them, as last reported by the incarnation that lives. */
    uint8_t states[AFF_REPLICAS_MAX];  /* enum aff_seat_state; AFF_SEAT_AWAY: nothing is known */
    int64_t applied[AFF_REPLICAS_MAX]; /* -1: not known */
};

struct aff_view_space {
    char name[AFF_NODE_NAME_MAX + 1];
    uint32_t partitions;
    struct aff_view_part *parts;
};

struct aff_view {
    _Atomic uint32_t refs;
    uint64_t generation; /* grows with each view of a process */
    int16_t self;        /* this node */
    int16_t controller;
    size_t nodes_count, spaces_count;
    struct aff_view_node *nodes;
    struct aff_view_space *spaces; /* those of this node's configuration, in its order */
};

/* Room for nodes and spaces, all zero, with one reference; `partitions` has spaces_count numbers. */
struct aff_view *aff_view_new(size_t nodes_count, size_t spaces_count, const uint32_t *partitions);
struct aff_view *aff_view_hold(struct aff_view *view);
struct aff_view *aff_view_drop(struct aff_view *view); /* NULL is fine; returns NULL */
/* The features that all live members have. */
uint64_t aff_view_features(const struct aff_view *view);
/* The leader should hand over now: its target lives, is in step and does not drain. */
bool aff_view_due(const struct aff_view *view, const struct aff_view_part *part);
/*
 * Who should lead the partition if the present leader should not: lives, in step, does not drain, leads least. If none is in step, one
 * against which nothing speaks: it is wished for, and leads as soon as it is in step. -1: nobody.
 */
int16_t aff_view_best(const struct aff_view *view, const struct aff_view_part *part);

#endif
