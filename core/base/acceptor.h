/*
 * acceptor.h - a socket that listens, on a loop: whoever connects is handed to its owner.
 *
 * Begun before the loop runs or on it, ended on the loop or when it does not run; what comes by `arrived` comes on the loop.
 * Its owners are http/listener.c and peer/listener.c; listen.c makes the socket.
 * Without descriptors or memory it rests for a moment, since the queue stays full and would be reported again and again.
 */
#ifndef AFF_BASE_ACCEPTOR_H
#define AFF_BASE_ACCEPTOR_H

#include "base/loop.h"

#include <affinity/error.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/socket.h>

enum { AFF_ACCEPTOR_ADDRESS_MAX = INET6_ADDRSTRLEN + 16 };

struct aff_acceptor_opts {
    const char *what;  /* begins errors: "http: cannot listen on ..." */
    const char *event; /* in the log, when it rests */
    const char *host;  /* a name or address, without brackets */
    uint16_t port;     /* 0: any free one */
    int bound;         /* a socket that listens already, taken over when it was begun; 0: bind one */
    struct aff_loop *loop;
};

struct aff_acceptor {
    struct aff_loop *loop;
    const char *event;
    /* The socket does not block and is the callee's; `from` lives as long as the call. */
    void (*arrived)(struct aff_acceptor *acceptor, int fd, const struct sockaddr *from, socklen_t from_len);
    char address[AFF_ACCEPTOR_ADDRESS_MAX]; /* where it listens: "127.0.0.1:41234", "[::1]:41234" */
    struct aff_io io;
    struct aff_timer pause;
    struct aff_msg close;
    atomic_bool closing; /* aff_acceptor_close() was called */
    bool open;           /* on the loop */
};

/* Into zeroed memory in which `arrived` is set. When it fails there is nothing to end. */
int aff_acceptor_begin(struct aff_acceptor *acceptor, const struct aff_acceptor_opts *opts, aff_error *err);
/* Accepts no more, soon; what was accepted stays. Any thread, while the loop runs. */
void aff_acceptor_close(struct aff_acceptor *acceptor);
/* Accepts no more, at once; the memory is the owner's again. */
void aff_acceptor_end(struct aff_acceptor *acceptor);

#endif
