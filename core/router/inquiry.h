/*
 * inquiry.h - what became of a write: asked of the node that leads its partition now, whoever that is.
 *
 * Everything is on the loop of the port.
 */
#ifndef AFF_ROUTER_INQUIRY_H
#define AFF_ROUTER_INQUIRY_H

#include "router/ask.h"

/* Whoever asks embeds it, fills the first fields, and owns it again inside `answered`, which comes exactly once. */
struct aff_inquiry {
    uint32_t partition; /* below space->partitions */
    struct aff_stamp stamp;
    int64_t deadline_ns; /* monotonic; 0: only the router's patience counts */
    void (*answered)(struct aff_inquiry *inquiry); /* possibly inside aff_port_inquire() */
    enum aff_outcome outcome; /* when `code` is 0; NONE: not known, or not yet */
    int code; /* 0, AFF_ENOMASTER: nobody leads, or AFF_EQUEUEFULL and others of an aff_ask */
    /* the router's own */
    struct aff_port *port;
    const struct aff_space *space;
    void *part;
    bool stays;
    unsigned char turns;
    struct aff_ask ask;
    struct aff_msg to, back;
};
void aff_port_inquire(struct aff_port *port, const struct aff_space *space, struct aff_inquiry *inquiry);

struct aff_serving;
/* Answers AFF_WIRE_INQUIRY. */
void aff_inquiry_serve(const struct aff_serving *serving);

#endif
