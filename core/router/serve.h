/*
 * serve.h - answering what other nodes ask about partitions that this one leads. The answer to a question is never got from a third node:
 * who does not lead says who does, and the asker follows.
 *
 * Everything is on the loop of the port.
 */
#ifndef AFF_ROUTER_SERVE_H
#define AFF_ROUTER_SERVE_H

#include "peer/peer.h"
#include "router/router.h"
#include "router/wire.h"

/* For aff_peers_opts.serve of the port's loop, with `self` the struct aff_port. */
void aff_port_serve(void *port, struct aff_peer_question *question);

/* ---- for those who answer a kind of question (the table at the end of serve.c) ---- */

struct aff_serving {
    struct aff_port *port;
    const struct aff_space *space;
    uint32_t partition;
    aff_bytes body;      /* behind the beginning; lives as long as the question */
    int64_t deadline_ns; /* of the request, without the grace */
    struct aff_peer_question *question;
};
/* Each ends the question. */
void aff_serve_answer(const struct aff_serving *s, const aff_bytes *parts, size_t parts_count);
void aff_serve_elsewhere(const struct aff_serving *s); /* with who leads, as far as this port knows */

#endif
