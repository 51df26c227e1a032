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
    /* This node leads, or there is no other: carry it out. Goes on by aff_trip_follow(), or is over without another word. */
    void (*here)(struct aff_trip *trip);
    /*
     * The question for the leader: its fields are added to `room`, and `*ret_tail` follows them; it lives as long as the trip.
     * False: no memory.
     */
    bool (*question)(struct aff_trip *trip, struct aff_buf *room, aff_bytes *ret_tail);
    /* The leader's answer, behind its first byte. Goes on or is over as `here` does. */
    void (*answer)(struct aff_trip *trip, aff_bytes body);
    /* Over, by this code: AFF_EUNKNOWN: it may have been carried out; any other: it was not, and will not be. */
    void (*over)(struct aff_trip *trip, int code);
};

struct aff_trip {
    /* ---- filled by whoever begins it ---- */
    const struct aff_trip_ops *ops;
    const struct aff_space *space;
    uint32_t partition;
    uint8_t kind;        /* of the question */
    bool stays;          /* it is never asked elsewhere, and never waits */
    bool changes;        /* it may change something */
    bool repeats;        /* it may be asked again although the first may have been received */
    int64_t deadline_ns; /* monotonic; 0: none */
    size_t weight;       /* bytes that it holds while it waits */

    /* ---- its own ---- */
    struct aff_port *port;
    bool unsure;          /* it changes something, and an earlier question may have been received */
    bool lost;            /* no word came back from whom it went to last */
    bool went;            /* it went to somebody: */
    uint32_t epoch;       /* the mastership that it went to */
    uint32_t incarnation; /* and that node; 0: this one */
    bool hinted;
    unsigned follows;     /* how often it went on to another */
    int64_t since_ns;     /* when it had to wait or to go on first; 0: not yet */
    int64_t again_ns;     /* when it tries again by itself */
    struct aff_list link; /* among those of its partition that wait, or that are away */
    struct aff_heap_node due; /* waiting */
    bool away;                /* a peer has it */
    struct aff_peer_call call;
};

void aff_trip_begin(struct aff_port *port, struct aff_trip *trip);
/* The one that it went to provably did not carry it out, and another will: it goes on, now or after a pause, or ends by ops->over. */
void aff_trip_follow(struct aff_trip *trip);
/* What the one that it went to says cannot be read: it may have been carried out. */
void aff_trip_lose(struct aff_trip *trip);
/* It ends here, without a word. */
void aff_trip_forget(struct aff_trip *trip);

#endif
