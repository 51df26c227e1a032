/*
 * ask.h - a question to the node that leads a partition, whoever that is: it waits while nobody leads, and follows who does.
 *
 * It is for questions that change nothing: what may have been received by a node that went away is asked again. When this
 * node leads, it is told so and does itself what was to be asked.
 *
 * Everything is on the loop of the port.
 */
#ifndef AFF_ROUTER_ASK_H
#define AFF_ROUTER_ASK_H

#include "router/router.h"
#include "router/wire.h"

enum { AFF_ASK_HERE = 1 }; /* of `answered`: this node leads the partition; there is no answer */

/* Whoever asks embeds it, fills the first fields, and owns it again inside `answered`, which comes exactly once, and never inside the call. */
struct aff_ask {
    uint32_t partition;
    uint8_t kind;        /* AFF_WIRE_... */
    int64_t deadline_ns; /* monotonic; 0: only the router's patience counts */
    /*
     * 0: the answer behind its first byte, borrowed until the callback returns; AFF_ASK_HERE; AFF_ENOMASTER: nobody leads, or nobody
     * that can be reached, for as long as one waits; AFF_EQUEUEFULL; AFF_ETOOLARGE; AFF_ENOMEM; AFF_EDRAINING.
     */
    void (*answered)(struct aff_ask *ask, int code, aff_bytes answer);
    /* the router's own */
    struct aff_trip trip;
    struct aff_buf body;
    bool calling;
    int code;
};
/* The body is the concatenation of the parts; it is copied. */
void aff_port_ask(struct aff_port *port, const struct aff_space *space, struct aff_ask *ask, const aff_bytes *parts,
                  size_t parts_count);
/* Nobody waits any more: `answered` does not come. */
void aff_port_ask_forget(struct aff_port *port, struct aff_ask *ask);

#endif
