/*
 * peer.h - questions and answers between the nodes of a cluster: length-prefixed frames over TCP, pipelined, under mutual TLS.
 *
 * Each loop has one `struct aff_peers`: the streams that it opened to other nodes (one a node), and those that others opened and
 * the listener dealt to it. What is asked in a pass leaves in one write at its end; so do answers. Everything is bounded: a stream
 * holds at most so many questions and bytes, and refuses beyond that. A stream begins with HELLO from both sides: version of the
 * form, features, cluster, node and incarnation; a stranger is refused with a reason in the log.
 *
 * This layer does not know what a question means: `kind` and the body belong to who asks (router/wire.h).
 *
 * Threads. Everything is called, and calls back, on the loop of the `struct aff_peers`; never inside the call that it answers.
 */
#ifndef AFF_PEER_PEER_H
#define AFF_PEER_PEER_H

#include "base/heap.h"
#include "base/list.h"
#include "base/loop.h"
#include "base/map.h"

#include <affinity/bytes.h>
#include <affinity/error.h>

enum { AFF_PEER_VERSION = 1, AFF_PEER_FRAME_MAX = 4 * 1024 * 1024 };

struct aff_peers;
struct aff_peer_stream;
struct aff_peer_tls; /* credentials, shared by all loops; constant */
struct aff_peer_listener;

/* Files in PEM: the node's certificate and key, and the CA that both sides must be signed by. Names in certificates are not asked. */
int aff_peer_tls_new(const char *certificate, const char *key, const char *ca, struct aff_peer_tls **ret_tls,
                     aff_error *err);
struct aff_peer_tls *aff_peer_tls_free(struct aff_peer_tls *tls);

/* ---- asking ---- */

/* A node to be asked. Two with the same member are the same; the strings are copied when the stream is opened. */
struct aff_peer_to {
    const char *
        member; /* "<name>-<10 digits>": another incarnation at that address refuses, and that is AFF_ENOMASTER-like: not asked */
    const char *address; /* "host:port" */
};

/*
 * One question. Whoever asks embeds it, fills `kind`, `deadline_ns` and `answered`, and owns it again inside `answered`, which
 * comes exactly once:
 *   0              the answer, borrowed until the callback returns
 *   AFF_EAGAIN     it was provably never handled there: no stream, or it broke or the deadline passed before the question
 *                  was written, or the other side says so (it is closing)
 *   AFF_EQUEUEFULL likewise; a bound of the stream is reached, here or there
 *   AFF_ETOOLARGE  likewise; the question does not fit into a frame
 *   AFF_EUNKNOWN   the stream broke, or the deadline passed, after it may have been received; or its answer did not fit
 */
struct aff_peer_call {
    uint8_t kind;
    int64_t deadline_ns; /* monotonic; the other side is told what is left of it */
    void (*answered)(struct aff_peer_call *call, int code, aff_bytes answer);
    /* the peers' own */
    struct aff_map_node node;
    struct aff_heap_node due;
    struct aff_list link;
    struct aff_peer_stream *stream;
    uint64_t id, end; /* where its frame ends, in the bytes of the stream */
    uint32_t size;    /* of the frame */
    int code;
};
/* The body is the concatenation of the parts; it is copied. */
void aff_peers_call(struct aff_peers *peers, const struct aff_peer_to *to, struct aff_peer_call *call,
                    const aff_bytes *parts, size_t parts_count);
/* Nobody waits any more: `answered` does not come. */
void aff_peers_forget(struct aff_peers *peers, struct aff_peer_call *call);

/* ---- answering ---- */

/* A question that came. It lives until it is answered, exactly once; also when its stream is gone meanwhile. */
struct aff_peer_question {
    struct aff_peers *peers;
    uint8_t kind;
    aff_bytes body;      /* lives as long as the question */
    int64_t deadline_ns; /* monotonic, of this machine */
    char member[64];     /* who asks */
    uint64_t features;   /* that it announced */
};
void aff_peer_answer(struct aff_peer_question *question, const aff_bytes *parts, size_t parts_count);
/* Instead of an answer: it was not handled here, and will not be. */
void aff_peer_refuse(struct aff_peer_question *question);

/* ---- life ---- */

struct aff_peers_opts {
    struct aff_loop *loop;
    const char *cluster;
    uint64_t features;
    const struct aff_peer_tls *tls; /* NULL: plain TCP */
    uint32_t questions;             /* under way on a stream, each way; 0: 8192 */
    size_t bytes;                   /* waiting to be written on a stream; 0: 32 MiB */
    void (*serve)(void *self, struct aff_peer_question *question);
    void *self;
};
int aff_peers_new(const struct aff_peers_opts *opts, struct aff_peers **ret_peers, aff_error *err);
/* Who this node is; known once it joined (a new incarnation: again). Before it, questions are answered by AFF_EAGAIN. */
void aff_peers_name(struct aff_peers *peers, const char *member);
/* Refuses what comes from now on, and answers what is under way. */
void aff_peers_drain(struct aff_peers *peers);
bool aff_peers_quiet(const struct aff_peers *peers); /* nothing is under way, in or out */
/* Questions of this side are answered; those of others may be answered later, to nobody. On the loop, or when it does not run.
 * Returns NULL. */
struct aff_peers *aff_peers_free(struct aff_peers *peers);

/* Accepts on a loop and deals the streams out over all peers in turn. Port 0 takes a free one. Freed before the peers and loops. */
struct aff_peer_listener_opts {
    const char *host;
    uint16_t port;
    int bound; /* a socket that listens already (base/listen.h), taken over when the listener was made; 0: bind one */
    struct aff_loop *loop;
    struct aff_peers *const *peers;
    size_t peers_count;
};
int aff_peer_listener_new(const struct aff_peer_listener_opts *opts, struct aff_peer_listener **ret_l, aff_error *err);
const char *aff_peer_listener_address(const struct aff_peer_listener *listener); /* "host:port" as bound */
void aff_peer_listener_close(struct aff_peer_listener *listener);                /* any thread; accepts nothing more */
struct aff_peer_listener *aff_peer_listener_free(struct aff_peer_listener *listener);

/* ---- numbers, of one loop; any thread ---- */

struct aff_peers_stats {
    uint64_t streams;           /* that there are, both ways */
    uint64_t asked;             /* questions of this side that a stream took */
    uint64_t answered, refused; /* of others, by this side */
    uint64_t broken;            /* streams that ended with a reason in the log */
    uint64_t bytes_out, bytes_in;
};
void aff_peers_stats(const struct aff_peers *peers, struct aff_peers_stats *ret_stats);

#endif
