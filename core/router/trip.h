/*
 * trip.h - the way of a request to the node that leads its partition: to here or to there, waiting while nobody leads, and following
 * when the leader is another than thought.
 *
 * A call (call.c) and a question (ask.c) each embed a trip, and say by its functions what being here means, and what goes over
 * the wire. Without a cluster every trip is to here, at once.
 *
 * Everything is on the loop of the port.
 */
#ifndef AFF_ROUTER_TRIP_H
#define AFF_ROUTER_TRIP_H

#include "base/buf.h"
#include "base/heap.h"
#include "base/list.h"
#include "peer/peer.h"

struct aff_port;
struct aff_space;
struct aff_trip;

struct aff_trip_ops {
    /* This node leads, or there is no other: carry it out. Ends by aff_trip_follow(), or without another word. */
    void (*here)(struct aff_trip *trip);
    /* Fills the parts of a question; what they show lives until the function returns to who called it, or longer. The number of them, 0: no
       memory. */
    size_t (*question)(struct aff_trip *trip, struct aff_buf *room, aff_bytes parts[2]);
    /* An answer of the leader, behind its first byte. */
    void (*answer)(struct aff_trip *trip, aff_bytes body);
    /* Over, by this code; with AFF_EUNKNOWN it may have been carried out, else it was not, and will not be. */
    void (*over)(struct aff_trip *trip, int code);
};

struct aff_trip {
    const struct aff_trip_ops *ops;
    struct aff_port *port;
    const struct aff_space *space;
    uint32_t partition;
    uint8_t kind;        /* of the question */
    bool stays;          /* it is never asked elsewhere */
    bool repeats;        /* it may be asked again when the first may have been received */
    bool unsure;         /* an earlier question may have been received */
    uint8_t pauses;      /* in a row for the same leader */
    uint32_t epoch;      /* whom it went to last: its epoch */
    uint32_t incarnation; /* and incarnation; 0: this node */
    bool went;           /* it went to somebody */
    size_t weight;       /* bytes that it holds while it waits */
    int64_t deadline_ns; /* of the request; 0: none */
    int64_t since_ns;    /* when it was first without a leader; 0: not yet */
    int64_t again_ns;    /* when it goes on by itself */
    struct aff_list link; /* among those that wait for the partition */
    struct aff_heap_node due;
    struct aff_peer_call call;
};

#endif
