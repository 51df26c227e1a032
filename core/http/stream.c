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

#include <assert.h>
#include <stdio.h>
#include <sys/socket.h>

enum {
    FIRST_BYTES = 16384, /* gathered before the answer begins */
    KEPT_BYTES = 65536,  /* of memory for lines that do not fit into what libmicrohttpd asks for */
};

struct room {
    char *at, *end;
};

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

/* Straight to where libmicrohttpd wants it, when it fits for certain; otherwise behind what is in `out`. False: out of memory. */
static bool put_line(struct aff_listing *l, const struct aff_scan_entry *entry, struct room *room)
{
    aff_listing_told(l, entry);
    if (aff_entry_most(entry) < (size_t)(room->end - room->at)) {
        room->at = aff_entry_write(entry, aff_listing_form(l), room->at);
        *room->at++ = '\n';
        return true;
    }
    return aff_entry_print(entry, aff_listing_form(l), &l->out) && aff_buf_add(&l->out, "\n", 1);
}

/* The next entry as a line. As aff_scan_next(). */
static int add_line(struct aff_exchange *x, struct room *room)
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
    return rc == 1 && !put_line(l, &entry, room) ? AFF_ENOMEM : rc;
}

/* Fills the room and then `out`, until that has `bytes`: 1, or why there is less. */
static int fill(struct aff_exchange *x, struct room *room, size_t bytes)
{
    struct aff_listing *l = x->listing;
    int rc = 1;
    while (rc == 1 && l->out.len < bytes)
        rc = add_line(x, room);
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

static void refill(struct aff_exchange *x, struct room *room)
{
    struct aff_listing *l = x->listing;
    aff_buf_clear(&l->out);
    l->sent = 0;
    if (l->out.capacity > KEPT_BYTES) { /* a large value has passed */
        aff_buf_fini(&l->out);
        aff_buf_init(&l->out);
    }
    int rc = fill(x, room, 1);
    if (rc < 0 && rc != AFF_EAGAIN)
        end_broken(x, rc);
}

/*
 * What was sent is followed by the end of the connection. libmicrohttpd 0.9.75 closes it, too, but may leave a connection whose reader
 * failed on no list that it looks at again: the hang-up makes it look.
 */
static ssize_t stop(struct aff_exchange *x)
{
    x->failed = x->listing->broken;
    if (!x->failed)
        return MHD_CONTENT_READER_END_OF_STREAM;
    (void)shutdown(x->conn->fd, SHUT_RDWR);
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

static void copy(struct aff_listing *l, struct room *room)
{
    size_t left = l->out.len - l->sent, most = (size_t)(room->end - room->at), len = left < most ? left : most;
    if (len == 0)
        return;
    assert(l->out.data);
    memcpy(room->at, l->out.data + l->sent, len);
    room->at += len;
    l->sent += len;
}

static ssize_t read_lines(void *self, uint64_t position, char *to, size_t max)
{
    struct aff_exchange *x = self;
    struct aff_listing *l = x->listing;
    struct room room = { to, to + max };
    (void)position;
    x->http->progress++;
    copy(l, &room);
    if (l->sent == l->out.len && !l->ended) {
        refill(x, &room);
        copy(l, &room);
    }
    if (room.at == to && l->ended)
        return stop(x);
    if (room.at == to)
        aff_exchange_pause(x);
    return room.at - to;
}

/* ---- its beginning ---- */

static void begin(struct aff_exchange *x)
{
    if (aff_coding_of(x, aff_str(x->listing->type), SIZE_MAX, NULL) == AFF_CODING_NONE)
        return; /* it is never coded, and that was answered */
    aff_answer_stream(x, 200, read_lines);
    aff_answer_header(x, "Content-Type", x->listing->type);
    aff_answer_header(x, "Cache-Control", "no-store");
    x->varies |= AFF_VARIES_TYPE;
}

void aff_stream_run(struct aff_exchange *x)
{
    struct aff_listing *l = x->listing;
    struct room none = { NULL, NULL };
    int rc = fill(x, &none, FIRST_BYTES);
    if (rc < 0 && rc != AFF_EAGAIN)
        aff_answer_code(x, rc, x->detail[0] ? x->detail : NULL);
    else if (rc == AFF_EAGAIN && l->out.len == 0)
        aff_exchange_await(x, aff_stream_run);
    else
        begin(x);
}
