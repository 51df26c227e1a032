/*
 * stream.c - a scan as lines, of any length, as fast as its client takes them.
 *
 *   before the first byte   like any read: the scan is waited for, and a partition without a master is a 503
 *   from then on            libmicrohttpd asks for bytes when the socket has taken those before. There is never more in memory than it
 *                           asks for, one line, and what the scan has read ahead
 *   the scan must wait      the connection is suspended until it can go on
 *   it cannot go on         {"problem":{...},"next":"/v1/..."} is the last line, and the connection is closed without the last
 *                           chunk: nobody takes it for whole. The same when the node is stopped
 *
 * How long a client may take: connection.c, STREAMING.
 */
#include "http/inner.h"

#include "http/listing.h"

#include <stdio.h>

enum { FIRST_BYTES = 16384 }; /* gathered before the answer begins */

/* ---- lines ---- */

/* {"problem":{...},"next":"..."}: where it can be gone on with. */
static bool add_problem(struct aff_exchange *x, int code)
{
    struct aff_listing *l = x->listing;
    struct aff_problem problem = { .code = code, .detail = aff_str(x->detail[0] ? x->detail : NULL) };
    if (!aff_buf_add(&l->out, "{\"problem\":", 11) || !aff_problem_print(&problem, &l->out))
        return false;
    l->out.len--; /* its line feed */
    return aff_buf_add(&l->out, ",\"next\":\"", 9) && aff_listing_next_url(x, &l->out) &&
           aff_buf_add(&l->out, "\"}\n", 3);
}

/* The next entry as a line. As aff_scan_next(). */
static int add_line(struct aff_exchange *x)
{
    struct aff_listing *l = x->listing;
    struct aff_scan_entry entry;
    if (l->limit && l->told == l->limit)
        return 0;
    if (x->http->draining) {
        (void)snprintf(x->detail, sizeof x->detail, "the node is being stopped");
        return AFF_EDRAINING;
    }
    int rc = aff_listing_next(x, &entry);
    if (rc == 1 && !(aff_listing_add(l, &entry) && aff_buf_add(&l->out, "\n", 1)))
        return AFF_ENOMEM;
    return rc;
}

/* Until there are `bytes`: 1, or why there are fewer. */
static int fill(struct aff_exchange *x, size_t bytes)
{
    struct aff_listing *l = x->listing;
    int rc = 1;
    while (rc == 1 && l->out.len < bytes)
        rc = add_line(x);
    l->ended = rc == 0;
    return rc;
}

/* ---- when it is under way ---- */

static void end_broken(struct aff_exchange *x, int code)
{
    struct aff_listing *l = x->listing;
    size_t whole = l->out.len;
    if (!add_problem(x, code))
        l->out.len = whole;
    l->ended = l->broken = true;
}

static void refill(struct aff_exchange *x, size_t bytes)
{
    struct aff_listing *l = x->listing;
    aff_buf_clear(&l->out);
    l->sent = 0;
    if (l->out.capacity > 16 * bytes) { /* a large value has passed */
        aff_buf_fini(&l->out);
        aff_buf_init(&l->out);
    }
    int rc = fill(x, bytes);
    if (rc < 0 && rc != AFF_EAGAIN)
        end_broken(x, rc);
}

static ssize_t stop(struct aff_exchange *x)
{
    x->failed = x->listing->broken;
    return x->failed ? MHD_CONTENT_READER_END_WITH_ERROR : MHD_CONTENT_READER_END_OF_STREAM;
}

static ssize_t read_lines(void *self, uint64_t position, char *to, size_t max)
{
    struct aff_exchange *x = self;
    struct aff_listing *l = x->listing;
    (void)position;
    x->http->progress++;
    if (l->sent == l->out.len && !l->ended)
        refill(x, max);
    size_t left = l->out.len - l->sent, len = left < max ? left : max;
    if (len == 0 && l->ended)
        return stop(x);
    if (len == 0)
        aff_exchange_pause(x);
    else
        memcpy(to, l->out.data + l->sent, len);
    l->sent += len;
    return (ssize_t)len;
}

/* ---- its beginning ---- */

static void begin(struct aff_exchange *x)
{
    if (aff_coding_of(x, aff_str(x->listing->type), SIZE_MAX, NULL) == AFF_CODING_NONE)
        return; /* it is never coded, and that was answered */
    aff_answer_stream(x, 200, read_lines);
    aff_answer_header(x, "Content-Type", x->listing->type);
    aff_answer_header(x, "Cache-Control", "no-store");
    aff_answer_header(x, "Vary", "Accept");
}

void aff_stream_run(struct aff_exchange *x)
{
    struct aff_listing *l = x->listing;
    int rc = fill(x, FIRST_BYTES);
    if (rc < 0 && rc != AFF_EAGAIN)
        aff_answer_code(x, rc, x->detail[0] ? x->detail : NULL);
    else if (rc == AFF_EAGAIN && l->out.len == 0)
        aff_exchange_await(x, aff_stream_run);
    else
        begin(x);
}
