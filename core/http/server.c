/*
 * server.c - libmicrohttpd inside a loop.
 *
 * The daemon has no thread and no listener; its epoll descriptor is in the loop's epoll, and the loop's HTTP stage runs it when
 * it is due. A handler whose request waits for a partition returns without a response and is called again in every run;
 * measured, that keeps 0.79 to 0.93 of the rate of inline answers, where suspending each connection keeps 0.45 to 0.68.
 *
 * When to run. While no handler waits, MHD_get_timeout() tells: 0 is "again". While some wait it always says 0, so then:
 *   - an answer has come, a descriptor is ready, a connection is new: run;
 *   - the last run queued a response, took a part of a body, or owes a "100 Continue": run again, since that is written in the
 *     next run (`progress`);
 *   - otherwise sleep. One case is left, a head so large that it fills the read buffer exactly and is read in several
 *     runs without any callback: the nudge, a timer that runs the daemon every other millisecond while handlers wait.
 * And should it say "again" without end, the nudge takes over, too: no defect of it shall keep a core busy.
 * Exchanges that have waited for long, or when there are very many, are suspended after all (exchange.c).
 */
#include "http/inner.h"

#include "base/alloc.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/epoll.h>

enum {
    NUDGE_MS = 2,
    VAIN_RUNS = 100,            /* that it asked for, and in which nothing came of it */
    RUNS_AT_ONCE = 3,           /* answer, write, and what a kept connection sent meanwhile */
    CONNECTIONS_MAX = 16777216, /* the gate counts; libmicrohttpd's own limit must never be reached */
    MEMORY_LEAST = 16384,
};

/* ---- running ---- */

void aff_http_due(struct aff_http *http)
{
    if (http->due)
        return;
    http->due = true;
    if (!http->running && http->daemon)
        aff_loop_timer_set(http->opts.loop, &http->wake, aff_loop_now(http->opts.loop));
}

static void epoll_ready(struct aff_io *io, uint32_t epoll_events)
{
    struct aff_http *http = aff_container_of(io, struct aff_http, epoll);
    (void)epoll_events;
    http->due = true; /* the hook comes later in this pass */
}

static void woken(struct aff_timer *timer)
{
    (void)timer; /* `due` is set */
}

static void nudged(struct aff_timer *timer)
{
    struct aff_http *http = aff_container_of(timer, struct aff_http, nudge);
    http->nudged = false;
    http->due = true;
}

static void run_daemon(struct aff_http *http)
{
    http->due = false;
    http->running = true;
    aff_count(&http->stats.runs);
    (void)MHD_run(http->daemon);
    http->running = false;
}

static bool wants_to_run(struct aff_http *http, unsigned progress_before)
{
    MHD_UNSIGNED_LONG_LONG timeout;
    if (http->due)
        return true;
    bool again = MHD_get_timeout(http->daemon, &timeout) == MHD_YES && timeout == 0;
    if (http->progress != progress_before || !again) {
        http->vain = 0;
        return again;
    }
    return http->waiting == 0 && ++http->vain <= VAIN_RUNS;
}

/* Whatever was not noticed above is noticed now. */
static void plan_nudge(struct aff_http *http)
{
    if (http->nudged || (http->waiting == 0 && http->vain <= VAIN_RUNS))
        return;
    http->nudged = true;
    aff_loop_timer_set(http->opts.loop, &http->nudge, aff_loop_now(http->opts.loop) + NUDGE_MS * AFF_NS_PER_MS);
}

static bool run(struct aff_hook *hook)
{
    struct aff_http *http = aff_container_of(hook, struct aff_http, hook);
    aff_loop_timer_cancel(http->opts.loop, &http->wake);
    for (int i = 0; http->due && i < RUNS_AT_ONCE; i++) {
        unsigned before = http->progress;
        run_daemon(http);
        http->due = wants_to_run(http, before);
    }
    plan_nudge(http);
    return http->due;
}

/* ---- what libmicrohttpd calls ---- */

static struct aff_conn *conn_of(struct MHD_Connection *mhd)
{
    return MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static void connection_changed(void *self, struct MHD_Connection *mhd, void **context,
                               enum MHD_ConnectionNotificationCode code)
{
    struct aff_http *http = self;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        struct aff_conn *conn = http->adopted;
        conn->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        *context = conn;
        aff_conn_started(conn);
    } else if (*context) {
        aff_conn_closed(*context);
        *context = NULL;
    }
}

/* The request line is complete, and its target as it was sent. What is returned is the handler's context. */
static void *request_begins(void *self, const char *target, struct MHD_Connection *mhd)
{
    struct aff_http *http = self;
    struct aff_conn *conn = conn_of(mhd);
    struct aff_exchange *x = aff_exchange_new(http, conn, mhd, target ? target : "");
    conn->exchange = x;
    conn->whole = false;
    int64_t left = http->opts.limits.head_timeout_ms;
    if (conn->phase == AFF_PHASE_HEAD || conn->first) /* it began before */
        left -= (aff_loop_now(http->opts.loop) - conn->since) / AFF_NS_PER_MS;
    conn->first = false;
    aff_conn_enter(conn, AFF_PHASE_HEAD, left > 0 ? left : 0);
    return x;
}

static enum MHD_Result handle(void *self, struct MHD_Connection *mhd, const char *url, const char *method,
                              const char *version, const char *upload, size_t *upload_len, void **context)
{
    (void)self;
    (void)mhd;
    (void)url; /* decoded and cut at a NUL: request_begins() has the target */
    return aff_exchange_step(*context, method, version, upload, upload_len);
}

static void request_over(void *self, struct MHD_Connection *mhd, void **context, enum MHD_RequestTerminationCode code)
{
    struct aff_exchange *x = *context;
    struct aff_http *http = self;
    if (!x)
        return;
    struct aff_conn *conn = conn_of(mhd);
    *context = NULL;
    conn->exchange = NULL;
    aff_exchange_over(x, code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
    aff_conn_enter(conn, AFF_PHASE_IDLE,
                   http->opts.limits.idle_timeout_ms < http->opts.limits.head_timeout_ms
                       ? http->opts.limits.idle_timeout_ms
                       : http->opts.limits.head_timeout_ms);
}

/*
 * libmicrohttpd 0.9.75 answers a Content-Length that is no number by itself, before any handler runs, and garbles it: the
 * head of its 400 goes out twice. It logs first, and at that moment the connection is one whose head is under way. When there is
 * only one such, we answer in its place; its own answer then meets a socket that is shut down.
 *
 * What is no request at all it answers itself, too, and closes. It does not tell whose that was, so for a moment every
 * connection that it closes is read to its end.
 */
static void logged(void *self, const char *format, va_list args)
{
    struct aff_http *http = self;
    (void)args;
    bool malformed = strncmp(format, "Failed to parse `Content-Length'", 32) == 0;
    bool too_large = strncmp(format, "Too large value of 'Content-Length'", 35) == 0;
    if (strncmp(format, "Error processing request", 24) == 0)
        http->garbled_at = aff_loop_now(http->opts.loop);
    if (!malformed && !too_large)
        return;
    aff_count(&http->stats.bad_framing);
    struct aff_list *first = aff_list_first(&http->heads);
    if (!first || first->next != &http->heads)
        return;
    struct aff_conn *conn = aff_container_of(first, struct aff_conn, head);
    if (malformed)
        aff_conn_refuse(conn, AFF_EFRAMING, "Content-Length is not a number");
    else
        aff_conn_refuse(conn, AFF_ETOOLARGE, "Content-Length is too large");
}

/* ---- life ---- */

/*
 * Memory of a connection. libmicrohttpd clears all of it after each request, so there is no more of it than the largest head
 * needs, with what libmicrohttpd notes about its fields (see read_head() in exchange.c), and the head of the answer.
 */
static size_t connection_memory(const struct aff_http_limits *limits)
{
    size_t memory = (size_t)limits->head * 3 / 2;
    return memory > MEMORY_LEAST ? memory : MEMORY_LEAST;
}

static int start_daemon(struct aff_http *http, aff_error *err)
{
    const unsigned flags = MHD_USE_EPOLL | MHD_USE_TURBO | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME |
                           MHD_USE_ERROR_LOG;
    http->daemon = MHD_start_daemon(flags, 0, NULL, NULL, handle, http, MHD_OPTION_EXTERNAL_LOGGER, logged, http,
                                    MHD_OPTION_URI_LOG_CALLBACK, request_begins, http, MHD_OPTION_NOTIFY_COMPLETED,
                                    request_over, http, MHD_OPTION_NOTIFY_CONNECTION, connection_changed, http,
                                    MHD_OPTION_CONNECTION_MEMORY_LIMIT, http->memory, MHD_OPTION_CONNECTION_LIMIT,
                                    (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, 0U, MHD_OPTION_END);
    if (!http->daemon)
        return aff_fail_with(err, AFF_EIO, "http: libmicrohttpd could not be started (no memory or descriptors left?)");
    http->epoll.fd = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    http->epoll.ready = epoll_ready;
    int rc = aff_loop_io_add(http->opts.loop, &http->epoll, EPOLLIN);
    if (rc == 0)
        return 0;
    MHD_stop_daemon(http->daemon);
    http->daemon = NULL;
    return aff_fail_with(err, rc, "http: the server's epoll descriptor could not be added to the loop's");
}

int aff_http_new(const struct aff_http_opts *opts, struct aff_http **ret_http, aff_error *err)
{
    struct aff_http *http = aff_xcalloc(1, sizeof *http);
    http->opts = *opts;
    http->memory = connection_memory(&opts->limits);
    aff_cors_init(&http->cors, &opts->cors);
    aff_trace_init(&http->traces);
    http->quota = aff_gate_quota(opts->gate);
    aff_list_init(&http->conns);
    aff_list_init(&http->heads);
    aff_list_init(&http->lingering);
    aff_list_init(&http->exchanges);
    aff_list_init(&http->pool);
    http->wake.fire = woken;
    http->nudge.fire = nudged;
    http->hook.run = run;
    int rc = start_daemon(http, err);
    if (rc) {
        aff_cors_fini(&http->cors);
        free(http);
        return rc;
    }
    aff_loop_hook_add(opts->loop, &http->hook, AFF_STAGE_HTTP);
    *ret_http = http;
    return 0;
}

void aff_http_farewell(struct aff_http *http)
{
    http->leaving = true;
}

void aff_http_drain(struct aff_http *http)
{
    http->leaving = http->draining = true;
    aff_list_each(link, &http->conns) {
        struct aff_conn *conn = aff_container_of(link, struct aff_conn, link);
        if (!conn->exchange)
            aff_conn_cut(conn);
        else if (conn->phase == AFF_PHASE_HEAD)
            aff_conn_refuse(conn, AFF_EDRAINING, "the node is being stopped");
    }
    aff_list_each(link, &http->exchanges)
        aff_bulk_drain(aff_container_of(link, struct aff_exchange, link)->bulk);
    aff_http_due(http);
}

bool aff_http_quiet(const struct aff_http *http)
{
    return aff_list_empty(&http->exchanges);
}

static void resume_all(struct aff_http *http)
{
    aff_list_each(link, &http->exchanges) {
        struct aff_exchange *x = aff_container_of(link, struct aff_exchange, link);
        if (x->suspended && x->mhd)
            aff_exchange_resume(x);
    }
}

void aff_http_stop(struct aff_http *http)
{
    if (http->stopped)
        return;
    http->stopped = true;
    resume_all(http);
    aff_loop_hook_remove(&http->hook);
    aff_loop_timer_cancel(http->opts.loop, &http->wake);
    aff_loop_timer_cancel(http->opts.loop, &http->nudge);
    aff_loop_io_remove(http->opts.loop, &http->epoll);
    MHD_stop_daemon(http->daemon);
    http->daemon = NULL;
    aff_kept_clear(http->kept);
    aff_kept_document_drop(&http->openapi);
    aff_kept_document_drop(&http->docs);
    http->gzip = aff_gzip_free(http->gzip);
    aff_list_each(link, &http->lingering)
        aff_linger_cut(&aff_container_of(link, struct aff_conn, link)->linger);
    assert(aff_list_empty(&http->conns));
}

struct aff_http *aff_http_free(struct aff_http *http)
{
    if (!http)
        return NULL;
    aff_http_stop(http);
    aff_list_each(link, &http->exchanges)
        aff_exchange_free(aff_container_of(link, struct aff_exchange, link));
    aff_list_each(link, &http->pool)
        aff_exchange_free(aff_container_of(link, struct aff_exchange, link));
    aff_cors_fini(&http->cors);
    free(http);
    return NULL;
}
