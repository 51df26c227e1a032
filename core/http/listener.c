/*
 * listener.c - accepts connections on one loop and hands each to the loop that has the fewest.
 *
 * One listening socket for all loops: closing one of several sockets on the same port would reset the connections that wait in
 * its queue. Above a limit, or when the loop's mailbox is full, a connection gets a 503 and is closed.
 */
#include "http/inner.h"

#include "base/acceptor.h"
#include "base/alloc.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

enum { TURNED_AWAY_MAX = 64 };

struct aff_listener {
    struct aff_listener_opts opts;
    struct aff_http **https;
    struct aff_acceptor acceptor;
    struct aff_list turned_away; /* struct visitor, until they have read their 503 */
    unsigned turned_away_count;
};

/* A connection that is told to come again. */
struct visitor {
    struct aff_linger linger;
    struct aff_list link;
    struct aff_listener *listener;
};

/* ---- turning away ---- */

static void visitor_left(struct aff_linger *linger)
{
    struct visitor *visitor = aff_container_of(linger, struct visitor, linger);
    aff_list_remove(&visitor->link);
    visitor->listener->turned_away_count--;
    free(visitor);
}

static void turn_away(struct aff_listener *listener, int fd, const char *why)
{
    struct aff_buf text;
    struct aff_problem problem = { .code = AFF_EQUEUEFULL, .detail = aff_str(why) };
    aff_buf_init(&text);
    if (aff_problem_response(&problem, &text))
        (void)send(fd, text.data, text.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    aff_buf_fini(&text);
    struct visitor *visitor = listener->turned_away_count < TURNED_AWAY_MAX ? calloc(1, sizeof *visitor) : NULL;
    if (!visitor || !aff_linger_begin(&visitor->linger, listener->opts.loop, fd, visitor_left)) {
        free(visitor);
        (void)close(fd);
        return;
    }
    visitor->listener = listener;
    aff_list_append(&listener->turned_away, &visitor->link);
    listener->turned_away_count++;
}

/* ---- handing over ---- */

static struct aff_http *least_busy(const struct aff_listener *listener)
{
    struct aff_http *best = NULL;
    uint64_t fewest = UINT64_MAX;
    for (unsigned i = 0; i < listener->opts.https_count; i++) {
        uint64_t count = atomic_load_explicit(&listener->https[i]->stats.connections, memory_order_relaxed);
        if (count < fewest) {
            fewest = count;
            best = listener->https[i];
        }
    }
    return best;
}

static void arrived(struct aff_msg *msg)
{
    aff_conn_adopt(aff_container_of(msg, struct aff_conn, msg));
}

static void welcome(struct aff_acceptor *acceptor, int fd, const struct sockaddr *address, socklen_t len)
{
    struct aff_listener *listener = aff_container_of(acceptor, struct aff_listener, acceptor);
    struct aff_gate_pass pass;
    if (!aff_gate_enter(listener->opts.gate, address, &pass)) {
        turn_away(listener, fd, "there are as many connections as there may be, of all or from this address");
        return;
    }
    struct aff_http *http = least_busy(listener);
    bool here = http->opts.loop == listener->opts.loop;
    bool reserved = here || aff_loop_reserve(http->opts.loop);
    struct aff_conn *conn = reserved ? aff_conn_new(http, fd, address, len) : NULL;
    if (!conn) {
        if (reserved && !here)
            aff_loop_unreserve(http->opts.loop);
        aff_gate_leave(&pass);
        turn_away(listener, fd, "the server is too busy to take a connection");
        return;
    }
    conn->pass = pass;
    if (here) {
        aff_conn_adopt(conn);
    } else {
        conn->msg.deliver = arrived;
        aff_loop_post(http->opts.loop, &conn->msg);
    }
}

/* ---- life ---- */

int aff_listener_new(const struct aff_listener_opts *opts, struct aff_listener **ret_listener, aff_error *err)
{
    const struct aff_acceptor_opts accepting = { .what = "http",
                                                 .event = "http.accept",
                                                 .host = opts->host,
                                                 .port = opts->port,
                                                 .bound = opts->bound,
                                                 .loop = opts->loop };
    assert(opts->https_count > 0);
    struct aff_listener *listener = aff_xcalloc(1, sizeof *listener);
    listener->opts = *opts;
    listener->https = aff_xmemdup(opts->https, opts->https_count * sizeof *opts->https);
    listener->acceptor.arrived = welcome;
    aff_list_init(&listener->turned_away);
    int rc = aff_acceptor_begin(&listener->acceptor, &accepting, err);
    if (rc) {
        (void)aff_listener_free(listener);
        return rc;
    }
    *ret_listener = listener;
    return 0;
}

const char *aff_listener_address(const struct aff_listener *listener)
{
    return listener->acceptor.address;
}

void aff_listener_close(struct aff_listener *listener)
{
    aff_acceptor_close(&listener->acceptor);
}

struct aff_listener *aff_listener_free(struct aff_listener *listener)
{
    if (!listener)
        return NULL;
    aff_acceptor_end(&listener->acceptor);
    aff_list_each(link, &listener->turned_away)
        aff_linger_cut(&aff_container_of(link, struct visitor, link)->linger);
    free(listener->https);
    free(listener);
    return NULL;
}
