/*
 * connection.c - a client connection on its loop: what it may take how long, and how it ends.
 *
 * libmicrohttpd's own timeouts are switched off (they know nothing of a request that waits for a partition, and an individual
 * timeout puts a connection on a list that is walked in every run). Each connection has one timer of the loop's. It is moved
 * lazily: a phase that ends later than the timer fires only notes when, so a request on a kept connection costs no heap
 * operation.
 *
 *   IDLE     silence is fine for idle_timeout; but see tick(): half a request line is no silence
 *   HEAD     until the head is complete: head_timeout, 408
 *   BODY     body_min_rate with a grace of head_timeout, and exchange_timeout at most: 408
 *   WAITING  the partition answers at the exchange's deadline; a little later we do (exchange.c)
 *   SENDING  the client must take its answer: the same rate, with a grace of idle_timeout
 *   STREAMING  the same rate, looked at every idle_timeout, as long as there is something for it to take
 *
 * A connection that libmicrohttpd cannot be made to answer on gets its problem written to the socket directly.
 *
 * The end of a stream. libmicrohttpd 0.9.75 waits for edges, and takes a read that does not fill its buffer for the last one: an end
 * that came together with data it never reads. So each connection stands in the loop's epoll as well, for its end alone; from
 * then on, whenever libmicrohttpd should be reading, it is given another edge, which shutdown() of the side that has ended makes.
 */
#include "http/inner.h"

#include "base/alloc.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h> /* newer than netinet/tcp.h: tcpi_bytes_received */
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
    LAST_WORDS_MS = 1000, /* for the client to close after our last word, before we do */
    SAME_MOMENT_MS = 20,  /* the kernel's clock of arrivals is coarse */
    LOOK_AGAIN_MS = 10,   /* at a stream that has ended */
    GARBLED_MS = 1000,    /* for libmicrohttpd to close what it could not read */
    STREAM_UNSENT = 262144,
};

/* ---- deadlines ---- */

static int64_t now_of(const struct aff_conn *conn)
{
    return aff_loop_now(conn->http->opts.loop);
}

static void arm(struct aff_conn *conn, int64_t when)
{
    if (when >= conn->armed)
        return;
    conn->armed = when;
    aff_loop_timer_set(conn->http->opts.loop, &conn->timer, when);
}

void aff_conn_expect(struct aff_conn *conn, int64_t due)
{
    conn->due = due;
    arm(conn, due);
}

/* Its stream has ended, and libmicrohttpd has yet to see that. */
static bool must_look(const struct aff_conn *conn)
{
    return conn->ended && (conn->doomed || conn->phase < AFF_PHASE_WAITING);
}

static void look_soon(struct aff_conn *conn)
{
    if (must_look(conn))
        arm(conn, now_of(conn) + LOOK_AGAIN_MS * AFF_NS_PER_MS);
}

void aff_conn_enter(struct aff_conn *conn, enum aff_phase phase, int64_t timeout_ms)
{
    conn->phase = phase;
    conn->since = now_of(conn);
    aff_list_remove(&conn->head);
    if (phase == AFF_PHASE_HEAD)
        aff_list_append(&conn->http->heads, &conn->head);
    if (!conn->doomed)
        aff_conn_expect(conn, conn->since + timeout_ms * AFF_NS_PER_MS);
    look_soon(conn);
}

static void has_ended(struct aff_io *io, uint32_t epoll_events)
{
    struct aff_conn *conn = aff_container_of(io, struct aff_conn, end);
    (void)epoll_events;
    aff_loop_io_remove(conn->http->opts.loop, io);
    conn->watched = false;
    conn->ended = true;
    look_soon(conn); /* not now: libmicrohttpd has not read what came with it */
}

static void expire(struct aff_conn *conn, enum aff_timeout what, const char *detail)
{
    aff_count(&conn->http->stats.timeouts[what]);
    if (detail)
        aff_conn_refuse(conn, AFF_EREQUESTTIMEOUT, detail);
    else
        aff_conn_cut(conn);
}

/* Has anything arrived since the phase began? No callback tells of a request line that is not complete. */
static bool has_received(const struct aff_conn *conn)
{
    struct tcp_info info;
    socklen_t size = sizeof info;
    if (getsockopt(conn->fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
        return false;
    if (conn->first)
        return info.tcpi_bytes_received > 0;
    int64_t phase_ms = (now_of(conn) - conn->since) / AFF_NS_PER_MS;
    return (int64_t)info.tcpi_last_data_recv + SAME_MOMENT_MS < phase_ms;
}

/*
 * An idle connection is looked at every head_timeout. The first request has had its time then; on a kept connection,
 * something that came meanwhile is the beginning of a head, which then has head_timeout like any other.
 */
static void tick(struct aff_conn *conn)
{
    const struct aff_http_limits *limits = &conn->http->opts.limits;
    int64_t now = now_of(conn), idle_ends = conn->since + limits->idle_timeout_ms * AFF_NS_PER_MS;
    bool received = has_received(conn);
    if (conn->first)
        expire(conn, AFF_TIMEOUT_HEAD, received ? "the head of the request did not arrive in time" : NULL);
    else if (received)
        aff_conn_enter(conn, AFF_PHASE_HEAD, limits->head_timeout_ms);
    else if (now >= idle_ends)
        expire(conn, AFF_TIMEOUT_IDLE, NULL);
    else
        aff_conn_expect(conn, idle_ends < now + limits->head_timeout_ms * AFF_NS_PER_MS
                                  ? idle_ends
                                  : now + limits->head_timeout_ms * AFF_NS_PER_MS);
}

/* ---- answers ---- */

void aff_conn_send(struct aff_conn *conn, uint64_t length)
{
    const struct aff_http_limits *limits = &conn->http->opts.limits;
    uint64_t rate = limits->body_min_rate;
    aff_conn_enter(conn, AFF_PHASE_SENDING, limits->idle_timeout_ms + (int64_t)(rate ? length * 1000 / rate : 0));
}

/* Bytes that the client's side has acknowledged; `*ret_all`: there are no others. */
static uint64_t taken_by(const struct aff_conn *conn, bool *ret_all)
{
    struct tcp_info info = { 0 };
    socklen_t size = sizeof info;
    int queued = 0;
    (void)getsockopt(conn->fd, IPPROTO_TCP, TCP_INFO, &info, &size);
    *ret_all = ioctl(conn->fd, SIOCOUTQ, &queued) == 0 && queued == 0;
    return info.tcpi_bytes_acked;
}

/*
 * The kernel's own buffer of a connection grows to megabytes when there is much to send, for a client that takes little, too: it shall
 * hold no more than it needs to keep the line busy.
 */
void aff_conn_stream(struct aff_conn *conn)
{
    int unsent = STREAM_UNSENT;
    bool all;
    (void)setsockopt(conn->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
    conn->taken = taken_by(conn, &all);
    aff_conn_enter(conn, AFF_PHASE_STREAMING, conn->http->opts.limits.idle_timeout_ms);
}

/* A stream may last; its client must go on taking it. */
static void look_at_stream(struct aff_conn *conn)
{
    const struct aff_http_limits *limits = &conn->http->opts.limits;
    bool all;
    uint64_t taken = taken_by(conn, &all), least = limits->body_min_rate * (uint64_t)limits->idle_timeout_ms / 1000;
    if (!all && taken - conn->taken < (least ? least : 1)) {
        expire(conn, AFF_TIMEOUT_SEND, NULL);
        return;
    }
    conn->taken = taken;
    aff_conn_expect(conn, now_of(conn) + limits->idle_timeout_ms * AFF_NS_PER_MS);
}

static void run_out(struct aff_conn *conn)
{
    switch (conn->phase) {
    case AFF_PHASE_IDLE:
        tick(conn);
        return;
    case AFF_PHASE_HEAD:
        expire(conn, AFF_TIMEOUT_HEAD, "the head of the request did not arrive in time");
        return;
    case AFF_PHASE_BODY:
        expire(conn, AFF_TIMEOUT_BODY, "the body of the request did not arrive in time");
        return;
    case AFF_PHASE_WAITING:
        if (aff_exchange_overdue(conn->exchange))
            aff_count(&conn->http->stats.timeouts[AFF_TIMEOUT_EXCHANGE]);
        return;
    case AFF_PHASE_SENDING:
        expire(conn, AFF_TIMEOUT_SEND, NULL);
        return;
    case AFF_PHASE_STREAMING:
        look_at_stream(conn);
        return;
    }
}

static void fired(struct aff_timer *timer)
{
    struct aff_conn *conn = aff_container_of(timer, struct aff_conn, timer);
    conn->armed = INT64_MAX;
    if (must_look(conn)) {
        (void)shutdown(conn->fd, SHUT_RD);
        look_soon(conn);
    }
    if (conn->due > now_of(conn))
        arm(conn, conn->due);
    else if (conn->doomed)
        aff_conn_cut(conn);
    else
        run_out(conn);
}

/* ---- the last word ---- */

void aff_conn_cut(struct aff_conn *conn)
{
    conn->silent |= !conn->doomed;
    conn->doomed = true;
    (void)shutdown(conn->fd, SHUT_RDWR); /* libmicrohttpd sees the end of the stream and closes */
}

void aff_conn_refuse(struct aff_conn *conn, int code, const char *detail)
{
    struct aff_buf text;
    if (conn->doomed)
        return;
    aff_buf_init(&text);
    struct aff_problem problem = { .code = code, .detail = aff_str(detail) };
    if (aff_problem_response(&problem, &text))
        (void)send(conn->fd, text.data, text.len,
                   MSG_NOSIGNAL | MSG_DONTWAIT); /* it fits an empty socket, or is lost */
    aff_buf_fini(&text);
    (void)shutdown(conn->fd, SHUT_WR);
    conn->doomed = true;
    aff_conn_expect(conn, now_of(conn) + LAST_WORDS_MS * AFF_NS_PER_MS);
}

/* ---- life ---- */

struct aff_conn *aff_conn_new(struct aff_http *http, int fd, const struct sockaddr *address, socklen_t len)
{
    struct aff_conn *conn = calloc(1, sizeof *conn);
    if (!conn)
        return NULL;
    conn->http = http;
    conn->fd = fd;
    conn->first = true;
    conn->armed = INT64_MAX;
    conn->timer.fire = fired;
    aff_list_init(&conn->link);
    aff_list_init(&conn->head);
    memcpy(&conn->address, address, len);
    conn->address_len = len;
    atomic_fetch_add_explicit(&http->stats.connections, 1, memory_order_relaxed);
    return conn;
}

struct aff_conn *aff_conn_free(struct aff_conn *conn)
{
    assert(!conn->exchange);
    if (conn->fd >= 0)
        (void)close(conn->fd);
    aff_list_remove(&conn->head);
    aff_list_remove(&conn->link);
    aff_gate_leave(&conn->pass);
    atomic_fetch_sub_explicit(&conn->http->stats.connections, 1, memory_order_relaxed);
    free(conn);
    return NULL;
}

/* A client that does not take what we sent is given up by the kernel. */
static void set_send_timeout(const struct aff_conn *conn)
{
    int64_t ms = conn->http->opts.limits.idle_timeout_ms;
    unsigned limit = ms > 3600000 ? 3600000 : (unsigned)ms;
    (void)setsockopt(conn->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof limit);
}

void aff_conn_adopt(struct aff_conn *conn)
{
    struct aff_http *http = conn->http;
    if (http->draining || http->stopped) {
        (void)aff_conn_free(conn);
        return;
    }
    set_send_timeout(conn);
    int fd = conn->fd;
    http->adopted = conn;
    conn->fd = -1; /* it is libmicrohttpd's now, which closes it when it fails, too */
    (void)MHD_add_connection(http->daemon, fd, (const struct sockaddr *)&conn->address, conn->address_len);
    if (http->adopted) { /* aff_conn_started() was not called, so aff_conn_closed() was not, either */
        http->adopted = NULL;
        (void)aff_conn_free(conn);
    }
    aff_http_due(http);
}

/* From MHD_add_connection(). */
void aff_conn_started(struct aff_conn *conn)
{
    conn->http->adopted = NULL;
    aff_list_append(&conn->http->conns, &conn->link);
    conn->end = (struct aff_io){ .fd = conn->fd, .ready = has_ended };
    conn->watched = aff_loop_io_add(conn->http->opts.loop, &conn->end, EPOLLRDHUP) == 0; /* or its deadlines end it */
    aff_conn_enter(conn, AFF_PHASE_IDLE, conn->http->opts.limits.head_timeout_ms);
}

static void lingered(struct aff_linger *linger)
{
    struct aff_conn *conn = aff_container_of(linger, struct aff_conn, linger);
    conn->fd = -1;
    (void)aff_conn_free(conn);
}

/* Did we close first, perhaps with the client still sending? Then a plain close could destroy our answer. */
static bool must_linger(const struct aff_conn *conn)
{
    char byte;
    if (conn->silent || conn->http->stopped)
        return false;
    ssize_t peeked = recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (peeked == 0 || (peeked < 0 && errno != EAGAIN))
        return false; /* the client has closed, or the connection is broken */
    return peeked > 0 || !conn->whole || now_of(conn) - conn->http->garbled_at < GARBLED_MS * AFF_NS_PER_MS;
}

void aff_conn_closed(struct aff_conn *conn)
{
    struct aff_http *http = conn->http;
    aff_loop_timer_cancel(http->opts.loop, &conn->timer);
    if (conn->watched)
        aff_loop_io_remove(http->opts.loop, &conn->end);
    aff_list_remove(&conn->link);
    aff_list_remove(&conn->head);
    int fd = must_linger(conn) ? fcntl(conn->fd, F_DUPFD_CLOEXEC, 0) : -1;
    conn->fd = -1; /* libmicrohttpd closes its own */
    if (fd >= 0 && aff_linger_begin(&conn->linger, http->opts.loop, fd, lingered)) {
        aff_list_append(&http->lingering, &conn->link);
        return;
    }
    if (fd >= 0)
        (void)close(fd);
    (void)aff_conn_free(conn);
}
