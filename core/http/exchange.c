/*
 * exchange.c - a request from its request line to its answer.
 *
 *   HEAD ── first call of the handler ──> BODY ── last call ──> WAITING ── the partition has answered ──> ANSWERED
 *    │        guard, headers, route,       │       verb->run()     ^  │
 *    │        verb->check()                │                       └──┘ called again in every run of the daemon
 *    └─ refused at once, and closed        └─ refused: discarded to its end, then answered; or answered without a call
 *
 * The exchange holds everything that a call needs, because libmicrohttpd forgets a request when its client goes away, and the
 * call does not. It is freed when both are done with it.
 *
 * Answers are made outside the handler when a partition answers (its reply lives no longer than that), and queued in it.
 */
#include "http/inner.h"

#include "base/alloc.h"
#include "http/listing.h"
#include "serde/media.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    POOL_MAX = 256,
    DISCARD_MAX = 65536, /* a refused body up to this length is read, so that the connection can be kept */
    CHARGE_STEP = 65536, /* of a body whose length is not known */
    WAITING_MAX = 2000,  /* handlers that are called in every run */
    SUSPEND_AFTER_MS = 50,
    OVERDUE_MS = 1000,  /* how much later than the partition's deadline we look, and then answer ourselves */
    NOTE_SIZE = 64,     /* what libmicrohttpd notes about a field or a cookie */
    ANSWER_HEAD = 4096, /* memory that the head of an answer may need */
};

/* ---- life ---- */

static struct aff_exchange *take_pooled(struct aff_http *http)
{
    struct aff_list *link = aff_list_take(&http->pool);
    if (!link)
        return aff_xcalloc(1, sizeof(struct aff_exchange));
    http->pooled--;
    return aff_container_of(link, struct aff_exchange, link);
}

/* Everything but the large arrays, whose contents are only looked at as far as something else says. */
static void clear(struct aff_exchange *x)
{
    x->away = x->ready = x->suspended = x->discards = x->failed = x->warned = x->overdue = false;
    x->is_json = x->writes = x->streams = false;
    x->listing = NULL;
    x->bulk = NULL;
    x->over = NULL;
    x->state = AFF_EXCHANGE_HEAD;
    x->route = NULL;
    x->verb = NULL;
    x->space = NULL;
    x->command = NULL;
    x->key = (aff_bytes){ NULL, 0 };
    x->prefer = AFF_RETURN_DEFAULT;
    x->coding = AFF_CODING_IDENTITY;
    x->varies = 0;
    x->pass.client = NULL;
    x->match.any = x->none_match.any = false;
    x->match.count = x->none_match.count = 0;
    x->charged = x->body_max = x->noted = 0;
    x->op.command.state = NULL;
    x->op.patching = NULL;
    x->answer = x->resume = NULL;
    x->accepts = NULL;
    x->traceparent[0] = 0;
    x->refused = x->status = 0;
    x->response = NULL;
    x->response_kept = false;
    x->pinned = NULL;
    aff_headers_init(&x->headers);
    aff_buf_init(&x->body);
}

static size_t count_of(aff_bytes text, char mark)
{
    size_t count = 0;
    const char *at = text.data, *end = at + text.len;
    while ((at = memchr(at, mark, (size_t)(end - at))) != NULL && ++at)
        count++;
    return count;
}

static void keep_target(struct aff_exchange *x, const char *target)
{
    x->raw_len = strlen(target);
    x->raw = x->raw_inline;
    aff_guard_begin(&x->guard, aff_bytes_of(target, x->raw_len));
    if (x->raw_len > x->http->opts.limits.target) {
        aff_refuse(x, AFF_EURITOOLONG, "the request target has more than %llu bytes",
                   (unsigned long long)x->http->opts.limits.target);
        return;
    }
    if (x->raw_len > AFF_TARGET_INLINE)
        x->raw = malloc(2 * x->raw_len);
    if (x->raw)
        memcpy(x->raw, target, x->raw_len);
    else
        aff_refuse(x, AFF_ENOMEM, "no memory for the request target");
}

/*
 * Right after this libmicrohttpd takes the query apart, in memory of the connection. 0.9.75 does not notice when that fails:
 * the connection hangs, and asks to be run again and again. We have our own copy of the query, so it shall see none: the
 * bytes are its own buffer, which it overwrites itself.
 */
static void hide_query(const char *target)
{
    char *mark = strchr((char *)(uintptr_t)target, '?');
    if (mark && mark[1])
        mark[1] = 0;
}

struct aff_exchange *aff_exchange_new(struct aff_http *http, struct aff_conn *conn, struct MHD_Connection *mhd,
                                      const char *target)
{
    struct aff_exchange *x = take_pooled(http);
    clear(x);
    x->http = http;
    x->conn = conn;
    x->mhd = mhd;
    aff_list_append(&http->exchanges, &x->link);
    keep_target(x, target);
    hide_query(target);
    return x;
}

static void drop_response(struct aff_exchange *x)
{
    if (x->response && !x->response_kept)
        MHD_destroy_response(x->response);
    if (x->pinned)
        x->pinned->pins--;
    x->pinned = NULL;
    x->response = NULL;
    x->response_kept = false;
}

static void release_memory(struct aff_exchange *x)
{
    if (x->raw != x->raw_inline)
        free(x->raw);
    x->raw = NULL;
    drop_response(x);
    aff_headers_fini(&x->headers);
    aff_command_fini(&x->op);
    x->listing = aff_listing_free(x->listing);
    x->bulk = aff_bulk_free(x->bulk);
    aff_buf_fini(&x->body);
    aff_buf_init(&x->body);
    aff_quota_leave(&x->pass);
    if (x->charged)
        aff_gate_give(x->http->opts.gate, x->charged);
    x->charged = 0;
}

void aff_exchange_free(struct aff_exchange *x)
{
    release_memory(x);
    aff_list_remove(&x->link);
    free(x);
}

static void recycle(struct aff_exchange *x)
{
    struct aff_http *http = x->http;
    if (http->pooled >= POOL_MAX) {
        aff_exchange_free(x);
        return;
    }
    release_memory(x);
    aff_list_remove(&x->link);
    aff_list_append(&http->pool, &x->link);
    http->pooled++;
}

static void stop_waiting(struct aff_exchange *x)
{
    if (x->state == AFF_EXCHANGE_WAITING && !x->suspended)
        x->http->waiting--;
}

void aff_exchange_over(struct aff_exchange *x, bool answered)
{
    if (!answered && !x->failed && !x->conn->doomed && x->state != AFF_EXCHANGE_HEAD)
        aff_count(&x->http->stats.gone);
    stop_waiting(x);
    x->state = AFF_EXCHANGE_ANSWERED;
    x->conn = NULL;
    x->mhd = NULL;
    if (x->over)
        x->over(x);
    if (!x->away)
        recycle(x);
}

void aff_exchange_home(struct aff_exchange *x)
{
    x->away = false;
    if (!x->conn)
        recycle(x);
}

/* ---- refusing ---- */

void aff_refuse(struct aff_exchange *x, int code, const char *format, ...)
{
    va_list args;
    if (x->refused)
        return;
    x->refused = code;
    va_start(args, format);
    (void)vsnprintf(x->detail, sizeof x->detail, format, args);
    va_end(args);
}

/* ---- answering ---- */

/*
 * Gives a response that is there to libmicrohttpd. After a chunked body nothing more is taken: libmicrohttpd ends its lines at a
 * bare LF, too, and shows none of them to the handler, so where such a body ends is not beyond doubt.
 */
static enum MHD_Result flush(struct aff_exchange *x)
{
    struct aff_http *http = x->http;
    if (x->failed)
        return MHD_NO;
    if (!x->response)
        return MHD_YES;
    stop_waiting(x);
    x->state = AFF_EXCHANGE_ANSWERED;
    http->progress++;
    aff_stats_request(&http->stats, x->route ? x->route->name : AFF_ROUTE_NONE, x->status);
    if (!x->response_kept)
        aff_answer_own(x);
    enum MHD_Result queued = MHD_queue_response(x->mhd, (unsigned)x->status, x->response);
    drop_response(x);
    if (x->streams)
        aff_conn_stream(x->conn);
    else
        aff_conn_send(x->conn, x->response_len);
    return queued;
}

static enum MHD_Result answer_refused(struct aff_exchange *x)
{
    aff_answer_refused(x);
    return flush(x);
}

/* ---- the head ---- */

static enum MHD_Result collect_field(void *self, enum MHD_ValueKind kind, const char *name, size_t name_len,
                                     const char *value, size_t value_len)
{
    struct aff_exchange *x = self;
    aff_bytes field = aff_bytes_of(name, name_len), content = aff_bytes_of(value, value_len);
    (void)kind;
    aff_guard_field(&x->guard, field, content);
    if (x->guard.wrong)
        return MHD_YES;
    aff_headers_add(&x->headers, field, content);
    x->noted += NOTE_SIZE;
    if (aff_same_word(field, "cookie")) /* it copies them, and takes the copy apart */
        x->noted += content.len + NOTE_SIZE * (1 + count_of(content, ';') + count_of(content, ','));
    return MHD_YES;
}

/*
 * Is the head within its limit, and does it leave memory for the head of the answer? An answer that does not fit could not
 * be sent, and the client would never know what became of its write.
 */
static bool fits(const struct aff_exchange *x, size_t size)
{
    const struct aff_http *http = x->http;
    return size <= http->opts.limits.head && x->guard.fields <= AFF_GUARD_FIELDS_MAX &&
           size + x->noted + ANSWER_HEAD <= http->memory;
}

/*
 * Says no past libmicrohttpd, whose memory may not hold an answer beside such a head. What was there before on this connection is
 * answered by now.
 */
static enum MHD_Result turn_down(struct aff_exchange *x, int code, const char *detail)
{
    aff_stats_request(&x->http->stats, AFF_ROUTE_NONE, aff_error_status(code));
    aff_conn_refuse(x->conn, code, detail);
    return MHD_NO;
}

/* MHD_NO: its framing is in doubt, or it is too large. */
static enum MHD_Result read_head(struct aff_exchange *x, const char *method, const char *version)
{
    size_t size = MHD_get_connection_info(x->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)->header_size;
    aff_guard_line(&x->guard, method, version);
    (void)MHD_get_connection_values_n(x->mhd, MHD_HEADER_KIND, collect_field, x);
    const char *wrong = aff_guard_end(&x->guard, method + size);
    if (wrong) {
        aff_count(&x->http->stats.bad_framing);
        return turn_down(x, AFF_EFRAMING, wrong);
    }
    if (!fits(x, size)) {
        char detail[128];
        (void)snprintf(detail, sizeof detail,
                       "the head has more than %llu bytes or %d fields, or its cookies are too large",
                       (unsigned long long)x->http->opts.limits.head, AFF_GUARD_FIELDS_MAX);
        return turn_down(x, AFF_EHEADERS, detail);
    }
    if (x->headers.no_memory)
        aff_refuse(x, AFF_ENOMEM, "no memory for the header fields");
    if (x->headers.twice)
        aff_refuse(x, AFF_EINVAL, "%s came twice", x->headers.twice);
    return MHD_YES;
}

static void read_trace(struct aff_exchange *x)
{
    aff_bytes came = x->headers.field[AFF_FIELD_TRACEPARENT];
    if (came.data && !aff_traceparent_read(came, x->traceparent))
        aff_traceparent_make(&x->http->traces, x->traceparent);
}

/* Probes of the node's own health are never counted: who asks for it may share an address with a busy client. */
static bool is_probe(const struct aff_exchange *x)
{
    return x->route && (x->route->name == AFF_ROUTE_LIVEZ || x->route->name == AFF_ROUTE_READYZ);
}

/* May the client send another request? That it sends too many comes before whatever else is wrong with this one. */
static void admit(struct aff_exchange *x)
{
    struct aff_quota *quota = x->http->quota;
    const struct sockaddr *address = (const struct sockaddr *)(const void *)&x->conn->address;
    int64_t wait_ns;
    if (!quota || is_probe(x))
        return;
    enum aff_quota_verdict verdict = aff_quota_enter(quota, address, aff_loop_now(x->http->opts.loop), &x->pass,
                                                     &wait_ns);
    if (verdict == AFF_QUOTA_IN)
        return;
    aff_count(&x->http->stats.throttled);
    x->refused = 0;
    x->retry_after_s = (wait_ns + AFF_NS_PER_S - 1) / AFF_NS_PER_S;
    aff_refuse(x, AFF_ERATE, "%s",
               verdict == AFF_QUOTA_RATE ? "your address sent more requests a second than it may"
                                         : "your address has as many requests under way as it may");
}

static void find_verb(struct aff_exchange *x, const char *method)
{
    const char *what = NULL;
    x->method = aff_method_of(method);
    if (aff_refused(x)) {
        admit(x);
        return;
    }
    if (aff_target_parse(aff_bytes_of(x->raw, x->raw_len), x->raw + x->raw_len, &x->target, &what) != 0)
        aff_refuse(x, AFF_EINVAL, "%s", what);
    else
        aff_route(x);
    admit(x);
    if (!aff_refused(x) && x->verb && x->verb->check)
        x->verb->check(x);
}

static bool has_body(const struct aff_exchange *x)
{
    return x->guard.chunked || x->guard.content_length > 0;
}

/* Takes the budget for a body of known length. */
static void admit_body(struct aff_exchange *x)
{
    uint64_t length = x->guard.content_length;
    x->discards = aff_refused(x) || !x->verb || !x->verb->takes_body;
    if (x->discards) {
        if (x->guard.chunked || length > DISCARD_MAX)
            aff_refuse(x, AFF_ETOOLARGE, "the request takes no body");
        return;
    }
    if (length > x->body_max) {
        aff_refuse(x, AFF_ETOOLARGE, "the body has %llu bytes; here it may have %llu", (unsigned long long)length,
                   (unsigned long long)x->body_max);
    } else if (length > 0) {
        if (!aff_gate_take(x->http->opts.gate, length))
            aff_refuse(x, AFF_EQUEUEFULL, "the server holds as many bytes of request bodies as it may");
        else if ((x->charged = length, !aff_buf_reserve(&x->body, (size_t)length)))
            aff_refuse(x, AFF_ENOMEM, "no memory for the body");
    }
    x->discards = aff_refused(x);
}

/* A refused body that is short is read to its end; otherwise the answer goes out at once and the connection is closed. */
static bool refuses_now(const struct aff_exchange *x)
{
    if (!has_body(x))
        return false;
    return x->guard.chunked || x->guard.content_length > DISCARD_MAX || aff_headers_have(&x->headers, AFF_FIELD_EXPECT);
}

/* When the body must be there: at its slowest rate, and not later than the exchange's deadline. */
static void expect_body(struct aff_exchange *x)
{
    const struct aff_http_limits *limits = &x->http->opts.limits;
    int64_t due = x->conn->since + limits->head_timeout_ms * AFF_NS_PER_MS;
    if (limits->body_min_rate)
        due += (int64_t)(x->body.len * (uint64_t)AFF_NS_PER_S / limits->body_min_rate);
    aff_conn_expect(x->conn, limits->body_min_rate && due < x->deadline ? due : x->deadline);
}

static enum MHD_Result begin(struct aff_exchange *x, const char *method, const char *version)
{
    const struct aff_http_limits *limits = &x->http->opts.limits;
    if (x->conn->doomed)
        return MHD_NO;
    x->body_max = limits->body;
    if (read_head(x, method, version) != MHD_YES)
        return MHD_NO;
    read_trace(x);
    find_verb(x, method);
    admit_body(x);
    x->state = AFF_EXCHANGE_BODY;
    if (aff_refused(x) && refuses_now(x))
        return answer_refused(x);
    x->conn->whole = !has_body(x);
    x->deadline = aff_loop_now(x->http->opts.loop) + limits->exchange_timeout_ms * AFF_NS_PER_MS;
    if (has_body(x)) {
        aff_conn_enter(x->conn, AFF_PHASE_BODY, limits->exchange_timeout_ms);
        expect_body(x);
        if (aff_headers_have(&x->headers, AFF_FIELD_EXPECT))
            x->http->progress++; /* "100 Continue" is written in the next run */
    }
    return MHD_YES;
}

/* ---- the body ---- */

/* A chunked body grows; false: too far. */
static bool charge(struct aff_exchange *x, size_t more)
{
    uint64_t total = x->body.len + more;
    if (!x->guard.chunked)
        return true; /* taken as a whole */
    if (total > x->body_max) {
        (void)snprintf(x->detail, sizeof x->detail, "the body has more than the %llu bytes that it may have here",
                       (unsigned long long)x->body_max);
        aff_conn_refuse(x->conn, AFF_ETOOLARGE, x->detail);
        return false;
    }
    while (x->charged < total) {
        if (!aff_gate_take(x->http->opts.gate, CHARGE_STEP)) {
            aff_conn_refuse(x->conn, AFF_EQUEUEFULL, "the server holds as many bytes of request bodies as it may");
            return false;
        }
        x->charged += CHARGE_STEP;
    }
    return true;
}

/* In the middle of a body libmicrohttpd takes no response: what must be said is written past it. */
static enum MHD_Result take_body(struct aff_exchange *x, const char *data, size_t *len)
{
    size_t got = *len;
    x->http->progress++;
    if (x->conn->doomed)
        return MHD_NO;
    *len = 0;
    if (x->discards)
        return MHD_YES;
    if (!charge(x, got))
        return MHD_NO;
    if (!aff_buf_add(&x->body, data, got)) {
        aff_conn_refuse(x->conn, AFF_ENOMEM, "no memory for the body");
        return MHD_NO;
    }
    expect_body(x);
    return MHD_YES;
}

/* ---- waiting ---- */

static void suspend(struct aff_exchange *x)
{
    x->suspended = true;
    x->http->waiting--;
    aff_count(&x->http->stats.suspended);
    MHD_suspend_connection(x->mhd);
}

static enum MHD_Result wait(struct aff_exchange *x)
{
    int64_t now = aff_loop_now(x->http->opts.loop);
    if (x->ready && x->resume && !x->response && !x->failed) {
        void (*resume)(struct aff_exchange * x) = x->resume;
        x->resume = NULL;
        resume(x);
    }
    if (x->ready || x->response || x->failed)
        return flush(x);
    if (x->http->waiting > WAITING_MAX || now - x->submitted_at > SUSPEND_AFTER_MS * AFF_NS_PER_MS)
        suspend(x);
    return MHD_YES;
}

static enum MHD_Result complete(struct aff_exchange *x)
{
    x->conn->whole = true;
    if (aff_refused(x))
        return answer_refused(x);
    if (x->conn->doomed)
        return MHD_NO;
    if (x->method == AFF_OPTIONS)
        aff_answer_options(x);
    else
        x->verb->run(x);
    if (aff_refused(x) && !x->response)
        aff_answer_refused(x);
    return x->state == AFF_EXCHANGE_WAITING ? wait(x) : flush(x);
}

enum MHD_Result aff_exchange_step(struct aff_exchange *x, const char *method, const char *version, const char *upload,
                                  size_t *upload_len)
{
    switch (x->state) {
    case AFF_EXCHANGE_HEAD:
        return begin(x, method, version);
    case AFF_EXCHANGE_BODY:
        return *upload_len ? take_body(x, upload, upload_len) : complete(x);
    case AFF_EXCHANGE_WAITING:
        return wait(x);
    case AFF_EXCHANGE_ANSWERED:
        break;
    }
    return MHD_YES;
}

/* ---- calls ---- */

static void enter_waiting(struct aff_exchange *x)
{
    x->away = true;
    x->ready = false;
    if (x->state == AFF_EXCHANGE_WAITING)
        return; /* a second call of the same exchange */
    x->state = AFF_EXCHANGE_WAITING;
    x->http->waiting++;
    x->submitted_at = aff_loop_now(x->http->opts.loop);
    aff_conn_enter(x->conn, AFF_PHASE_WAITING, (x->deadline - x->submitted_at) / AFF_NS_PER_MS + OVERDUE_MS);
}

void aff_exchange_resume(struct aff_exchange *x)
{
    x->suspended = false;
    if (x->state == AFF_EXCHANGE_WAITING)
        x->http->waiting++;
    MHD_resume_connection(x->mhd);
}

/* The handler has something to do. */
static void make_ready(struct aff_exchange *x)
{
    x->ready = true;
    if (x->suspended)
        aff_exchange_resume(x);
    aff_http_due(x->http);
}

static struct aff_exchange *exchange_of(struct aff_call *call)
{
    struct aff_command_op *op = aff_container_of(call, struct aff_command_op, call);
    return aff_container_of(op, struct aff_exchange, op);
}

static void call_answered(struct aff_call *call)
{
    struct aff_exchange *x = exchange_of(call);
    if (!x->conn || x->overdue)
        return;
    if (x->answer) {
        x->answer(x);
        make_ready(x);
    }
}

static void call_released(struct aff_call *call)
{
    struct aff_exchange *x = exchange_of(call);
    x->away = false;
    if (!x->conn)
        recycle(x);
    else if (x->resume && !x->overdue)
        make_ready(x);
}

static void prepare_call(struct aff_exchange *x)
{
    x->op.call.answered = call_answered;
    x->op.call.released = call_released;
    x->op.call.op.deadline_ns = x->deadline;
    enter_waiting(x);
}

void aff_exchange_call(struct aff_exchange *x, void (*answer)(struct aff_exchange *x))
{
    x->answer = answer;
    x->resume = NULL;
    prepare_call(x);
    aff_port_call(x->http->opts.port, x->space, &x->op.call);
}

void aff_exchange_read(struct aff_exchange *x, void (*answer)(struct aff_exchange *x))
{
    x->answer = answer;
    x->resume = NULL;
    x->op.call.op.key = x->key;
    prepare_call(x);
    struct aff_bound bound;
    if (aff_bound_of(x, &bound))
        aff_port_read_bounded(x->http->opts.port, x->space, &x->op.call, &bound);
    else
        aff_port_read(x->http->opts.port, x->space, &x->op.call);
}

static void inquiry_answered(struct aff_inquiry *inquiry)
{
    struct aff_exchange *x = aff_container_of(inquiry, struct aff_exchange, inquiry);
    x->away = false;
    if (!x->conn) {
        recycle(x);
    } else if (!x->overdue) {
        x->answer(x);
        make_ready(x);
    }
}

void aff_exchange_inquire(struct aff_exchange *x, void (*answer)(struct aff_exchange *x))
{
    x->answer = answer;
    x->inquiry.answered = inquiry_answered;
    x->inquiry.deadline_ns = x->deadline;
    enter_waiting(x);
    aff_port_inquire(x->http->opts.port, x->space, &x->inquiry);
}

static void later_replied(void *self, const struct aff_result *result)
{
    struct aff_exchange *x = self;
    x->away = false;
    if (!x->conn) {
        recycle(x);
    } else if (!x->overdue) {
        x->op.call.op.result = *result;
        x->answer(x);
        make_ready(x);
    }
}

int aff_exchange_later(struct aff_exchange *x, struct aff_later_opts *opts, void (*answer)(struct aff_exchange *x))
{
    opts->deadline_ns = x->deadline;
    opts->replied = later_replied;
    opts->self = x;
    int code = aff_later_begin(opts);
    if (code)
        return code;
    x->answer = answer;
    x->resume = NULL;
    enter_waiting(x);
    return 0;
}

void aff_exchange_await(struct aff_exchange *x, void (*resume)(struct aff_exchange *x))
{
    x->answer = NULL;
    x->resume = resume;
    enter_waiting(x);
    x->away = false;
}

void aff_exchange_pause(struct aff_exchange *x)
{
    assert(x->state == AFF_EXCHANGE_ANSWERED && !x->suspended);
    x->suspended = true;
    MHD_suspend_connection(x->mhd);
}

void aff_exchange_wake(struct aff_exchange *x)
{
    assert(x->conn);
    if (!x->overdue)
        make_ready(x);
}

/*
 * The partition did not keep its deadline. If the whole process stood still it has a moment yet, since only it can name the write;
 * otherwise its loop is stuck, and what became of a write is not known here.
 */
bool aff_exchange_overdue(struct aff_exchange *x)
{
    if (x->state != AFF_EXCHANGE_WAITING || x->response || x->overdue)
        return false;
    if (!x->warned) {
        x->warned = true;
        aff_conn_enter(x->conn, AFF_PHASE_WAITING, OVERDUE_MS);
        return false;
    }
    x->overdue = true;
    aff_answer_code(x, x->writes ? AFF_EUNKNOWN : AFF_ETIMEDOUT, "the partition did not answer in time");
    make_ready(x);
    return true;
}
