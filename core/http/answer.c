/*
 * answer.c - responses. A value is copied once, from the store's pages into the response.
 */
#include "http/inner.h"

#include "http/digits.h"

#include <assert.h>
#include <stdio.h>

enum { STREAM_BLOCK = 16384 /* of an answer without chunks (HTTP/1.0) */ };
enum { FAILURES_A_SECOND = 10 }; /* that are logged, of a loop */

static void take(struct aff_exchange *x, int status, struct MHD_Response *response, uint64_t length)
{
    assert(!x->response);
    x->response = response;
    x->status = status;
    x->response_len = length;
    x->failed = response == NULL;
}

void aff_answer(struct aff_exchange *x, int status, aff_bytes body)
{
    void *data = (void *)(uintptr_t)body.data; /* it is only read: libmicrohttpd has no const here */
    take(x, status, MHD_create_response_from_buffer(body.len, data, MHD_RESPMEM_MUST_COPY), body.len);
}

void aff_answer_again(struct aff_exchange *x, int status, struct MHD_Response *response, uint64_t length)
{
    take(x, status, response, length);
    x->response_kept = true;
}

static ssize_t no_body(void *self, uint64_t at, char *to, size_t max)
{
    (void)self;
    (void)at;
    (void)to;
    (void)max;
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

void aff_answer_bodiless(struct aff_exchange *x, int status, uint64_t length)
{
    assert(x->method == AFF_HEAD || status == 304);
    take(x, status, MHD_create_response_from_callback(length, 1, no_body, NULL, NULL), 0);
}

void aff_answer_stream(struct aff_exchange *x, int status, MHD_ContentReaderCallback read)
{
    x->streams = true;
    take(x, status, MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, read, x, NULL), 0);
    /* libmicrohttpd 0.9.75 sends the last chunk as an answer to HEAD, too: so it shall send no chunks, and close */
    if (x->method == AFF_HEAD && x->response)
        (void)MHD_set_response_options(x->response, MHD_RF_HTTP_VERSION_1_0_ONLY, MHD_RO_END);
}

/* A header that cannot be added (no memory, or bytes that none may have) is left out. */
void aff_answer_header(struct aff_exchange *x, const char *name, const char *value)
{
    if (x->response)
        (void)MHD_add_response_header(x->response, name, value);
}

void aff_answer_header_bytes(struct aff_exchange *x, const char *name, aff_bytes value)
{
    char text[AFF_TYPE_MAX + 1];
    if (value.len > AFF_TYPE_MAX)
        return;
    memcpy(text, value.data, value.len);
    text[value.len] = 0;
    aff_answer_header(x, name, text);
}

static void add_vary(struct aff_exchange *x)
{
    static const char *const texts[] = {
        NULL,     "Accept",         "Accept-Encoding",         "Accept, Accept-Encoding",
        "Origin", "Accept, Origin", "Accept-Encoding, Origin", "Accept, Accept-Encoding, Origin"
    };
    unsigned varies = x->varies | (aff_cors_varies(&x->http->cors) ? AFF_VARIES_ORIGIN : 0);
    if (varies)
        aff_answer_header(x, "Vary", texts[varies]);
}

void aff_answer_own(struct aff_exchange *x)
{
    if (x->http->leaving || x->guard.chunked)
        aff_answer_header(x, "Connection", "close");
    if (x->traceparent[0])
        aff_answer_header(x, "traceparent", x->traceparent);
    add_vary(x);
    aff_cors_answer(x);
}

void aff_answer_kept(struct aff_exchange *x)
{
    add_vary(x);
    x->response_kept = true;
}

void aff_answer_pin(struct aff_exchange *x, struct aff_kept *place)
{
    assert(x->response == place->response && !x->pinned);
    x->pinned = place;
    place->pins++;
}

void aff_answer_etag(struct aff_exchange *x, struct aff_etag tag)
{
    char text[AFF_ETAG_TEXT_MAX];
    if (x->coding == AFF_CODING_GZIP && aff_reads(x))
        (void)aff_etag_print_gzip(tag, text);
    else
        (void)aff_etag_print(tag, text);
    aff_answer_header(x, "ETag", text);
}

void aff_answer_position(struct aff_exchange *x, uint32_t partition, int64_t offset)
{
    char text[48], *at = aff_put_decimal(text, partition);
    *at++ = ':';
    at = aff_put_decimal(at, (uint64_t)offset);
    *at = 0;
    aff_answer_header(x, "Affinity-Position", text);
}

/* ---- problems ---- */

/* A line for each, up to so many a second; what was left out is counted in the next. No key: it may be somebody's name. */
static void note_failure(struct aff_exchange *x, const struct aff_problem *problem)
{
    struct aff_http *http = x->http;
    int64_t now = aff_loop_now(http->opts.loop);
    if (now - http->failures_since >= AFF_NS_PER_S) {
        http->failures_since = now;
        http->failures = 0;
    }
    if (http->failures++ >= FAILURES_A_SECOND) {
        http->failures_left_out++;
        return;
    }
    aff_log(aff_loop_logger(http->opts.loop), WARN, "http.failed", aff_f_int("status", aff_problem_status(problem)),
            aff_f_str("problem", problem->type ? problem->type : aff_error_type(problem->code)),
            aff_f_str("keyspace", x->space ? x->space->name : ""), aff_f_bytes("detail", problem->detail),
            aff_f_bytes("trace_id", problem->trace_id), aff_f_int("left_out", http->failures_left_out));
    http->failures_left_out = 0;
}

void aff_answer_problem(struct aff_exchange *x, const struct aff_problem *problem)
{
    struct aff_buf body;
    struct aff_problem traced = *problem;
    int status = aff_problem_status(problem);
    if (!x->traceparent[0])
        aff_traceparent_make(&x->http->traces, x->traceparent);
    traced.trace_id = aff_bytes_of(x->traceparent + AFF_TRACE_ID_AT, AFF_TRACE_ID_LEN);
    if (status >= 500)
        note_failure(x, &traced);
    aff_buf_init(&body);
    if (!aff_problem_print(&traced, &body)) {
        x->failed = true;
        aff_buf_fini(&body);
        return;
    }
    aff_answer(x, status, aff_buf_view(&body));
    aff_buf_fini(&body);
    aff_answer_header(x, "Content-Type", AFF_PROBLEM_MEDIA);
    if (status == 503) {
        aff_answer_header(x, "Retry-After", "1");
        aff_answer_header(x, "Affinity-Outcome", "not-applied");
    } else if (problem->code == AFF_ERATE) {
        char seconds[24];
        (void)snprintf(seconds, sizeof seconds, "%lld", (long long)x->retry_after_s);
        aff_answer_header(x, "Retry-After", seconds);
    } else if (problem->code == AFF_EUNKNOWN) {
        aff_answer_header(x, "Affinity-Outcome", "unknown");
    } else if (problem->code == AFF_EMETHOD && x->route) {
        char allow[64];
        aff_route_allow(x, allow, sizeof allow);
        aff_answer_header(x, "Allow", allow);
    } else if (problem->code == AFF_EMEDIATYPE) { /* RFC 9110, 15.5.16: what would be right */
        aff_answer_header(x, x->accepts ? "Accept" : "Accept-Encoding", x->accepts ? x->accepts : "identity");
        if (x->method == AFF_PATCH)
            aff_answer_header(x, "Accept-Patch", AFF_ACCEPT_PATCH); /* RFC 5789, 2.2 */
    }
}

void aff_answer_code(struct aff_exchange *x, int code, const char *detail)
{
    struct aff_problem problem = { .code = code, .detail = aff_str(detail) };
    aff_answer_problem(x, &problem);
}

void aff_answer_refused(struct aff_exchange *x)
{
    aff_answer_code(x, x->refused, x->detail[0] ? x->detail : NULL);
}

void aff_answer_options(struct aff_exchange *x)
{
    char allow[64];
    aff_route_allow(x, allow, sizeof allow);
    aff_answer(x, 204, aff_str(""));
    aff_answer_header(x, "Allow", allow);
    if (x->route->verbs[AFF_PATCH] && strstr(allow, "PATCH"))
        aff_answer_header(x, "Accept-Patch", AFF_ACCEPT_PATCH);
}
