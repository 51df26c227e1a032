/*
 * listener.c - accepts the streams of other nodes on one loop, and deals them out to the peers of all loops in turn.
 *
 * Each loop of each other node opens a stream of its own, so they come to be spread evenly. Runs on the loop of the listener; a socket
 * travels to its peers by the mailbox of their loop.
 */
#include "peer/inner.h"

#include "base/acceptor.h"
#include "base/alloc.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

struct aff_peer_listener {
    struct aff_peer_listener_opts opts;
    struct aff_peers **peers;
    size_t next;
    struct aff_acceptor acceptor;
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

static void deal(struct aff_acceptor *acceptor, int fd, const struct sockaddr *from, socklen_t from_len)
{
    struct aff_peer_listener *listener = aff_container_of(acceptor, struct aff_peer_listener, acceptor);
    (void)from;
    (void)from_len;
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

/* ---- life ---- */

int aff_peer_listener_new(const struct aff_peer_listener_opts *opts, struct aff_peer_listener **ret_l, aff_error *err)
{
    const struct aff_acceptor_opts accepting = { .what = "peers",
                                                 .event = "peer.accept",
                                                 .host = opts->host,
                                                 .port = opts->port,
                                                 .bound = opts->bound,
                                                 .loop = opts->loop };
    assert(opts->peers_count > 0);
    struct aff_peer_listener *listener = aff_xcalloc(1, sizeof *listener);
    listener->opts = *opts;
    listener->peers = aff_xmemdup(opts->peers, opts->peers_count * sizeof *opts->peers);
    listener->acceptor.arrived = deal;
    for (size_t i = 0; i < opts->peers_count; i++)
        listener->peers[i]->next = listener->peers[(i + 1) % opts->peers_count];
    int rc = aff_acceptor_begin(&listener->acceptor, &accepting, err);
    if (rc) {
        (void)aff_peer_listener_free(listener);
        return rc;
    }
    *ret_l = listener;
    return 0;
}

const char *aff_peer_listener_address(const struct aff_peer_listener *listener)
{
    return listener->acceptor.address;
}

void aff_peer_listener_close(struct aff_peer_listener *listener)
{
    aff_acceptor_close(&listener->acceptor);
}

struct aff_peer_listener *aff_peer_listener_free(struct aff_peer_listener *listener)
{
    if (!listener)
        return NULL;
    aff_acceptor_end(&listener->acceptor);
    free(listener->peers);
    free(listener);
    return NULL;
}
