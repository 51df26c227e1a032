/*
 * listener.c - accepts the streams of other nodes on one loop, and deals them out to the peers of all loops in turn.
 *
 * Each loop of each other node opens a stream of its own, so they come to be spread evenly. Runs on the loop of the listener; a socket
 * travels to its peers by the mailbox of their loop.
 */
#include "peer/inner.h"

#include "base/alloc.h"
#include "base/listen.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ACCEPTS_AT_ONCE = 64, PAUSE_MS = 100 };

struct aff_peer_listener {
    struct aff_peer_listener_opts opts;
    struct aff_peers **peers;
    size_t next;
    char address[INET6_ADDRSTRLEN + 16];
    struct aff_io io;
    struct aff_timer pause; /* no descriptors are left: accepting rests */
    struct aff_msg close;
    atomic_bool closing; /* aff_peer_listener_close() was called */
    bool closed;         /* and the loop has done it */
};

/* A socket on its way to its loop. */
struct arrival {
    struct aff_msg msg;
    struct aff_peers *peers;
    int fd;
};

/* ---- dealing out ---- */

static void arrived(struct aff_msg *msg)
{
    struct arrival *arrival = aff_container_of(msg, struct arrival, msg);
    aff_peer_stream_accept(arrival->peers, arrival->fd);
    free(arrival);
}

static void deal(struct aff_peer_listener *listener, int fd)
{
    struct aff_peers *peers = listener->peers[listener->next++ % listener->opts.peers_count];
    struct aff_loop *loop = peers->opts.loop;
    if (loop == listener->opts.loop) {
        aff_peer_stream_accept(peers, fd);
        return;
    }
    if (!aff_loop_reserve(loop)) {
        (void)close(fd); /* who opened it tries again */
        return;
    }
    struct arrival *arrival = aff_xmalloc(sizeof *arrival);
    *arrival = (struct arrival){ .msg.deliver = arrived, .peers = peers, .fd = fd };
    aff_loop_post(loop, &arrival->msg);
}

/* ---- accepting ---- */

static void resume_accepting(struct aff_timer *timer)
{
    struct aff_peer_listener *listener = aff_container_of(timer, struct aff_peer_listener, pause);
    (void)aff_loop_io_set(listener->opts.loop, &listener->io, EPOLLIN);
}

/* Without descriptors or memory the queue stays full, and epoll would report it again and again. */
static void rest(struct aff_peer_listener *listener, int error)
{
    struct aff_loop *loop = listener->opts.loop;
    aff_log(aff_loop_logger(loop), WARN, "peer.accept", aff_f_str("address", listener->address),
            aff_f_str("error", strerror(error)));
    (void)aff_loop_io_set(loop, &listener->io, 0);
    aff_loop_timer_set(loop, &listener->pause, aff_loop_now(loop) + PAUSE_MS * AFF_NS_PER_MS);
}

static void acceptable(struct aff_io *io, uint32_t epoll_events)
{
    struct aff_peer_listener *listener = aff_container_of(io, struct aff_peer_listener, io);
    (void)epoll_events;
    for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
        int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            deal(listener, fd);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            rest(listener, errno);
        if (errno != ECONNABORTED && errno != EINTR)
            return;
    }
}

/* ---- life ---- */

int aff_peer_listener_new(const struct aff_peer_listener_opts *opts, struct aff_peer_listener **ret_l, aff_error *err)
{
    assert(opts->peers_count > 0);
    int fd = opts->bound;
    int rc = fd > 0 ? 0 : aff_listen("peers", opts->host, opts->port, &fd, err);
    if (rc)
        return rc;
    struct aff_peer_listener *listener = aff_xcalloc(1, sizeof *listener);
    listener->opts = *opts;
    listener->peers = aff_xmemdup(opts->peers, opts->peers_count * sizeof *opts->peers);
    listener->io = (struct aff_io){ .fd = fd, .ready = acceptable };
    for (size_t i = 0; i < opts->peers_count; i++)
        listener->peers[i]->next = listener->peers[(i + 1) % opts->peers_count];
    listener->pause.fire = resume_accepting;
    aff_listen_address(fd, listener->address, sizeof listener->address);
    rc = aff_loop_io_add(opts->loop, &listener->io, EPOLLIN);
    if (rc) {
        (void)aff_fail_with(err, rc, "peers: the listener on %s could not be added to its loop", listener->address);
        if (!opts->bound)
            (void)close(fd);
        listener->closed = true;
        (void)aff_peer_listener_free(listener);
        return rc;
    }
    *ret_l = listener;
    return 0;
}

const char *aff_peer_listener_address(const struct aff_peer_listener *listener)
{
    return listener->address;
}

static void stop_accepting(struct aff_peer_listener *listener)
{
    if (listener->closed)
        return;
    listener->closed = true;
    aff_loop_timer_cancel(listener->opts.loop, &listener->pause);
    aff_loop_io_remove(listener->opts.loop, &listener->io);
    (void)close(listener->io.fd);
}

static void close_asked(struct aff_msg *msg)
{
    stop_accepting(aff_container_of(msg, struct aff_peer_listener, close));
}

void aff_peer_listener_close(struct aff_peer_listener *listener)
{
    if (atomic_exchange(&listener->closing, true))
        return;
    listener->close.deliver = close_asked;
    aff_loop_call(listener->opts.loop, &listener->close);
}

struct aff_peer_listener *aff_peer_listener_free(struct aff_peer_listener *listener)
{
    if (!listener)
        return NULL;
    stop_accepting(listener);
    free(listener->peers);
    free(listener);
    return NULL;
}
