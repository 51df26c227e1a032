/*
 * linger.h - closing a socket on which the client may still be sending.
 *
 * close() with unread bytes in the socket sends a reset, and a reset can overtake the answer that we sent before. So the
 * sending side is shut down, what still comes is read and thrown away for a little while, and then it is closed.
 */
#ifndef AFF_HTTP_LINGER_H
#define AFF_HTTP_LINGER_H

#include "base/loop.h"

struct aff_linger {
    struct aff_loop *loop;
    struct aff_io io;
    struct aff_timer timer;
    uint64_t left;                            /* bytes that it still reads */
    void (*ended)(struct aff_linger *linger); /* the socket is closed */
};

/* Takes the socket over. `ended` comes later, or from aff_linger_cut(). False: it could not, the socket is the caller's. */
bool aff_linger_begin(struct aff_linger *linger, struct aff_loop *loop, int fd,
                      void (*ended)(struct aff_linger *linger));
void aff_linger_cut(struct aff_linger *linger); /* closes at once */

#endif
