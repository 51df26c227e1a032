/*
 * port.h - how a driver meets one loop: a descriptor that any thread can ring, and the hook at AFF_STAGE_LOG.
 *
 * The drivers' threads leave what a loop shall see in a list of their own under their own lock and ring; the loop comes for
 * it on its next pass. An eventfd instead of a mailbox message, because a partition may be closed at any moment and a
 * message on its way could not be called back: after aff_port_fini() nothing of the port is left in the loop.
 */
#ifndef AFF_CHANGELOG_PORT_H
#define AFF_CHANGELOG_PORT_H

#include "base/loop.h"

struct aff_port;

/* What a driver does with it; all three on the loop's thread. */
struct aff_port_ops {
    void (*rung)(struct aff_port *port); /* somebody rang since it was called last */
    bool (*pass)(struct aff_port *port); /* the hook of AFF_STAGE_LOG; true: do not sleep before the next pass */
    void (*gone)(struct aff_port *port); /* after aff_port_fini(), once no call of the other two is running: free it */
};

struct aff_port {
    const struct aff_port_ops *ops;
    struct aff_loop *loop;
    struct aff_io io;
    struct aff_hook hook;
    unsigned running; /* calls of rung and pass on the stack */
    bool finished;
};

/* On the loop's thread or before it runs. */
int aff_port_init(struct aff_port *port, struct aff_loop *loop, const struct aff_port_ops *ops, aff_error *err);
/* On the loop's thread (also from inside `rung` and `pass`) or when it does not run any more; nobody may ring during or
 * after it. */
void aff_port_fini(struct aff_port *port);

void aff_port_ring(struct aff_port *port); /* any thread */

#endif
