/*
 * inner.h - what the files of this folder share: the peers of a loop, their streams, and who calls whom.
 *
 *   peers.c   life, numbers, what is done at the end of a pass and by the clock
 *   ask.c     questions of this side: links to other nodes, their streams, deadlines
 *   serve.c   questions of others: kept until they are answered
 *   fence.c   between the streams of one asker: nothing of an older one is handled late
 *   stream.c  one connection: connecting, HELLO, reading, writing, breaking
 *   tls.c     credentials
 *   frame.c   the layout
 *
 * A stream carries questions one way only: those of the side that opened it. Everything runs on the loop of the peers. No stream is
 * closed inside a callback of the users: what breaks there is noted, and done at the end of the pass.
 */
#ifndef AFF_PEER_INNER_H
#define AFF_PEER_INNER_H

#include "base/annotate.h"
#include "base/buf.h"
#include "base/tls.h"
#include "peer/frame.h"
#include "peer/peer.h"

#include <stdatomic.h>

enum {
    AFF_PEER_READ_SIZE = 64 * 1024, /* of a buffer that is read into; it grows for a larger frame */
    AFF_PEER_STREAMS_MAX = 1024,    /* of each kind, on a loop: opened here, and dealt to it */
    AFF_PEER_STRANGERS_MAX = 64,    /* of those dealt to it: that have not said HELLO */
    AFF_PEER_OPEN_MS = 2000,        /* to connect and to hear HELLO, for who opens a stream */
    AFF_PEER_HELLO_MS = 5000,       /* to hear HELLO, for who accepted it */
    AFF_PEER_PING_MS = 1000,        /* silence, while questions wait, until it is asked whether anybody is there */
    AFF_PEER_SILENCE_MS = 4000,     /* and until the stream is given up */
    AFF_PEER_BACKOFF_MIN_MS = 50,
    AFF_PEER_BACKOFF_MAX_MS = 2000,
    AFF_PEER_FORGET_MS = 60000, /* a link without a stream is forgotten after so long */
};

/* The way of a new stream past all loops that may have older ones of its asker (fence.c). One at a time on each loop. */
struct aff_peer_sweep {
    struct aff_msg msg;
    struct aff_peers *home, *at;
    struct aff_peer_stream *stream; /* that waits for it; NULL: it is gone */
    struct aff_hello_fence fence;
};

struct aff_peers {
    struct aff_peers_opts opts; /* `cluster` is a copy of our own */
    char *cluster;
    char member[AFF_HELLO_NAME_MAX + 1]; /* "" until it is known */
    uint64_t seed;

    struct aff_hook hook;
    struct aff_timer soon; /* what was done outside of a pass does not wait for the next event */
    struct aff_timer due_timer, tick;
    int64_t due_armed; /* when due_timer fires; INT64_MAX: it is not set */
    bool ticking;

    struct aff_map links;     /* struct aff_peer_link, by member */
    struct aff_heap due;      /* struct aff_peer_call, by deadline */
    struct aff_list streams;  /* struct aff_peer_stream, all */
    struct aff_list touched;  /* those with something to do at the end of the pass */
    struct aff_list rejected; /* calls that are answered with their `code` at the end of the pass */
    uint64_t asker;           /* what others know this loop by, in this process */
    uint64_t last_stream;
    struct aff_peers *next; /* those that a listener deals to are a ring; constant while streams come in */
    struct aff_list fenced; /* struct aff_peer_stream: they wait for a sweep, the first for the one under way */
    struct aff_peer_sweep sweep;
    uint64_t last_id;
    size_t calls, questions; /* under way: of this side, of others */
    size_t outgoing, incoming, strangers;
    bool draining, closing;

    struct aff_list orphans;         /* questions whose stream is gone and that are not answered yet */
    struct aff_list spare_questions; /* structs, kept for the next ones */
    size_t spare_count;
    struct aff_buf spare_in; /* a buffer to be read into */

    /* any thread */
    atomic_uint_fast64_t streams_open, asked, answered, refused, broken, bytes_out, bytes_in;
};

struct aff_peer_tls {
    struct aff_tls *tls;
};

/* A node that was asked, and how it went. */
struct aff_peer_link {
    struct aff_map_node node;
    char member[AFF_HELLO_NAME_MAX + 1];
    struct aff_peer_stream *stream; /* the one that takes questions; NULL: none */
    int64_t retry_ns;               /* no stream is opened before */
    int64_t backoff_ns;
};

enum aff_peer_state {
    AFF_PEER_CONNECTING,
    AFF_PEER_SHAKING,  /* TLS */
    AFF_PEER_GREETING, /* waits for the HELLO of the other side */
    AFF_PEER_OPEN,
};

struct aff_peer_stream {
    struct aff_list link, touched;
    struct aff_peers *peers;
    struct aff_io io;
    struct aff_tls_session *tls; /* NULL: plain TCP */
    uint32_t events;             /* that epoll reports */
    enum aff_peer_state state;
    bool outgoing;                       /* questions go out by it; else they come in */
    bool retired;                        /* it takes no new ones; closed when nothing is under way */
    bool blocked;                        /* the socket takes no more */
    const char *failed;                  /* why it has to be closed at the end of the pass */
    char member[AFF_HELLO_NAME_MAX + 1]; /* the other side; as expected, until it said HELLO */
    char address[80];
    uint64_t features;
    struct aff_hello_fence fence; /* incoming: as HELLO had it; outgoing: `stream` alone */
    struct aff_list fenced;
    bool greeted; /* HELLO came */
    int64_t since_ns, heard_ns, pinged_ns;

    struct aff_buf in; /* from its beginning: a frame that is not whole */

    struct aff_buf out; /* from `head` on: to be written */
    size_t head;
    uint64_t sent;     /* so many bytes were handed to the socket since the stream was opened */
    uint64_t may_send; /* and no more than this: questions wait for HELLO */

    struct aff_peer_link *to; /* outgoing: NULL once it is retired */
    struct aff_map calls;     /* outgoing: struct aff_peer_call, by id */
    struct aff_list waiting;  /* the same */
    uint32_t waiting_count;
    uint64_t doubts; /* questions that nobody here waits for any more, and that may be handled yet */

    struct aff_list serving; /* incoming: struct aff_peer_served */
    uint32_t serving_count;
    size_t serving_bytes;
};

/* ---- peers.c ---- */

void aff_peers_touch(struct aff_peers *peers, struct aff_peer_stream *stream); /* looked at when the pass ends */
void aff_peers_reject(struct aff_peers *peers, struct aff_peer_call *call, int code);
void aff_peers_tick(struct aff_peers *peers); /* there is something that the clock must look at */
static inline void aff_peers_count(atomic_uint_fast64_t *counter, uint64_t by)
{
    atomic_fetch_add_explicit(counter, by, memory_order_relaxed);
}

/* ---- ask.c: NULL, or why the stream has to be closed ---- */

void aff_peer_ask_due(struct aff_timer *timer);
const char *aff_peer_ask_opened(struct aff_peer_stream *stream, const struct aff_hello *hello);
const char *aff_peer_ask_answer(struct aff_peer_stream *stream, const struct aff_frame *frame);
const char *aff_peer_ask_refused(struct aff_peer_stream *stream, const struct aff_frame *frame);
const char *aff_peer_ask_goodbye(struct aff_peer_stream *stream, const struct aff_frame *frame);
void aff_peer_ask_retire(struct aff_peer_stream *stream); /* the next question opens another one */
void aff_peer_ask_broken(struct aff_peer_stream *stream); /* it is being closed: its calls are rejected */
void aff_peer_ask_forget_links(struct aff_peers *peers, bool all);

/* ---- serve.c ---- */

const char *aff_peer_serve_question(struct aff_peer_stream *stream, const struct aff_frame *frame);
void aff_peer_serve_broken(struct aff_peer_stream *stream);
void aff_peer_serve_fini(struct aff_peers *peers);

/* ---- fence.c ---- */

/* Asking: what HELLO of this stream says of the older ones. */
void aff_peer_fence_fill(const struct aff_peer_stream *stream, struct aff_hello_fence *ret_fence);
/* Asking: something that was asked on the stream may be handled later. What is asked now goes by a stream that says so. */
void aff_peer_fence_doubt(struct aff_peer_stream *stream);
/* Answering: HELLO of the stream came. It is welcomed when no loop reads of an older one any more. NULL, or why not. */
const char *aff_peer_fence_raise(struct aff_peer_stream *stream);
void aff_peer_fence_broken(struct aff_peer_stream *stream);

/* ---- stream.c ---- */

/* Answers HELLO: questions may come. NULL, or why not. */
const char *aff_peer_stream_welcome(struct aff_peer_stream *stream);

/* Begins to connect; NULL when that fails at once: *ret_why says why. */
struct aff_peer_stream *aff_peer_stream_open(struct aff_peers *peers, const struct aff_peer_to *to,
                                             const char **ret_why);
void aff_peer_stream_accept(struct aff_peers *peers, int fd); /* takes the descriptor */
void aff_peer_stream_close(struct aff_peer_stream *stream, const char *why);
/* The end of the pass: writes what can be written, closes what has to be closed. */
void aff_peer_stream_settle(struct aff_peer_stream *stream);
/* By the clock; true while it wants to be looked at again. */
bool aff_peer_stream_tick(struct aff_peer_stream *stream, int64_t now_ns);

/* Appends a frame whose body is the concatenation of the parts; false when there is no memory. */
bool aff_peer_stream_add(struct aff_peer_stream *stream, const struct aff_frame *frame, const aff_bytes *parts,
                         size_t parts_count) AFF_MUST_USE;
void aff_peer_stream_goodbye(struct aff_peer_stream *stream);
static inline size_t aff_peer_stream_unsent(const struct aff_peer_stream *stream)
{
    return stream->out.len - stream->head;
}
/* The frame of this size that ends at the position `end` since the stream was opened; NULL when its first byte has left. */
unsigned char *aff_peer_stream_unsent_frame(struct aff_peer_stream *stream, uint64_t end, size_t size);

size_t aff_peer_parts_len(const aff_bytes *parts, size_t count);

#endif
