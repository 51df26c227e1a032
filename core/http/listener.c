/*
 * listener.c - accepts connections on one loop and hands each to the loop that has the fewest.
 *
 * One listening socket for all loops: closing one of several sockets on the same port would reset the connections that wait in
 * its queue. Above a limit, or when the loop's mailbox is full, a connection gets a 503 and is closed.
 */
#include "http/inner.h"

#include "base/alloc.h"
#include "base/listen.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { ACCEPTS_AT_ONCE = 64, PAUSE_MS = 100, TURNED_AWAY_MAX = 64 };

struct aff_listener {
    struct aff_listener_opts opts;
    struct aff_http **https;
    char address[INET6_ADDRSTRLEN + 16];
    struct aff_io io;
    struct aff_timer pause; /* no descriptors are left: accepting rests */
    struct aff_msg close;
    _Atomic bool closing;        /* aff_listener_close() was called */
    bool closed;                 /* and the loop has done it */
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

static void welcome(struct aff_listener *listener, int fd, const struct sockaddr *address, socklen_t len)
{
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

/* ---- accepting ---- */

static void resume_accepting(struct aff_timer *timer)
{
    struct aff_listener *listener = aff_container_of(timer, struct aff_listener, pause);
    (void)aff_loop_io_set(listener->opts.loop, &listener->io, EPOLLIN);
}

/* Without descriptors or memory the queue stays full, and epoll would report it again and again. */
static void rest(struct aff_listener *listener, int error)
{
    struct aff_loop *loop = listener->opts.loop;
    aff_log(aff_loop_logger(loop), WARN, "http.accept", aff_f_str("address", listener->address),
            aff_f_str("error", strerror(error)));
    (void)aff_loop_io_set(loop, &listener->io, 0);
    aff_loop_timer_set(loop, &listener->pause, aff_loop_now(loop) + PAUSE_MS * AFF_NS_PER_MS);
}

static void acceptable(struct aff_io *io, uint32_t epoll_events)
{
    struct aff_listener *listener = aff_container_of(io, struct aff_listener, io);
    (void)epoll_events;
    for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
        struct sockaddr_storage address;
        socklen_t len = sizeof address;
        int fd = accept4(io->fd, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            welcome(listener, fd, (const struct sockaddr *)&address, len);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            rest(listener, errno);
        if (errno != ECONNABORTED && errno != EINTR)
            return;
    }
}

/* ---- life ---- */

int aff_listener_new(const struct aff_listener_opts *opts, struct aff_listener **ret_listener, aff_error *err)
{
    assert(opts->https_count > 0);
    struct aff_listener *listener = aff_xcalloc(1, sizeof *listener);
    listener->opts = *opts;
    listener->io.fd = -1;
    aff_list_init(&listener->turned_away);
    int rc = 0;
    if (opts->bound)
        listener->io.fd = opts->bound;
    else
        rc = aff_listen("http", opts->host, opts->port, &listener->io.fd, err);
    if (rc == 0) {
        aff_listen_address(listener->io.fd, listener->address, sizeof listener->address);
        listener->https = aff_xmemdup(opts->https, opts->https_count * sizeof *opts->https);
        listener->io.ready = acceptable;
        listener->pause.fire = resume_accepting;
        rc = aff_loop_io_add(opts->loop, &listener->io, EPOLLIN);
        if (rc)
            (void)aff_fail_with(err, rc, "http: the listener on %s could not be added to its loop", listener->address);
    }
    if (rc) {
        listener->closed = true;
        (void)aff_listener_free(listener);
        return rc;
    }
    *ret_listener = listener;
    return 0;
}

const char *aff_listener_address(const struct aff_listener *listener)
{
    return listener->address;
}

static void stop_accepting(struct aff_listener *listener)
{
    if (listener->closed)
        return;
    listener->closed = true;
    aff_loop_timer_cancel(listener->opts.loop, &listener->pause);
    aff_loop_io_remove(listener->opts.loop, &listener->io);
    (void)close(listener->io.fd);
    listener->io.fd = -1;
}

static void close_asked(struct aff_msg *msg)
{
    stop_accepting(aff_container_of(msg, struct aff_listener, close));
}

void aff_listener_close(struct aff_listener *listener)
{
    if (atomic_exchange(&listener->closing, true))
        return;
    listener->close.deliver = close_asked;
    aff_loop_call(listener->opts.loop, &listener->close);
}

struct aff_listener *aff_listener_free(struct aff_listener *listener)
{
    if (!listener)
        return NULL;
    stop_accepting(listener);
    aff_list_each(link, &listener->turned_away)
        aff_linger_cut(&aff_container_of(link, struct visitor, link)->linger);
    if (listener->io.fd >= 0)
        (void)close(listener->io.fd);
    free(listener->https);
    free(listener);
    return NULL;
}
