/*
 * later.h - the run of a command that asks others (<affinity/ask.h>): its request, its questions under way, its reply.
 *
 * On the loop of the port.
 */
#ifndef AFF_ROUTER_LATER_H
#define AFF_ROUTER_LATER_H

#include "router/router.h"

#include <affinity/ask.h>

struct aff_later_opts {
    struct aff_port *port;
    const struct aff_space *space;
    const aff_command *command; /* with `later` */
    aff_bytes key, body, body_type;
    aff_bytes id;        /* data NULL: none */
    int64_t deadline_ns; /* of its questions, monotonic; 0: none */
    /* The reply: exactly once, never inside aff_later_begin(). Its views live until this returns. */
    void (*replied)(void *self, const struct aff_result *result);
    void *self;
};
/* Everything is copied. It ends by itself, when it has replied and nothing is under way. AFF_ENOMEM. */
int aff_later_begin(const struct aff_later_opts *opts) AFF_MUST_USE;

#endif
