/*
 * fixture.h - nodes for the tests of core/peer: a loop, peers and a listener each, in one process and on one virtual clock, over
 * real sockets on 127.0.0.1. A test drives all loops until what it waits for has happened.
 *
 * And the other half: a socket of the test itself that speaks frames by hand, to do what a node would never do.
 */
#ifndef AFF_TESTS_UNIT_PEER_FIXTURE_H
#define AFF_TESTS_UNIT_PEER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "lib/certificates.h"
#include "lib/virtual_clock.h"
#include "peer/frame.h"
#include "peer/peer.h"

enum { PEER_NODES_MAX = 3, PEER_HELD_MAX = 16384 };

/* What a node does with a question. */
enum peer_manner {
    PEER_ECHOES, /* answers kind, ':', body */
    PEER_HOLDS,  /* keeps it in `held` */
    PEER_REFUSES,
};

struct peer_fixture;
struct peer_node {
    struct peer_fixture *fixture;
    char member[32];
    struct aff_loop *loop;
    struct aff_peers *peers;
    struct aff_peer_listener *listener;
    struct aff_peer_to to; /* how others ask it */
    enum peer_manner manner;
    struct aff_peer_question *held[PEER_HELD_MAX];
    size_t held_count, served;
    int64_t last_left_ns; /* of the deadline of the last question */
};

struct peer_fixture {
    struct aff_virtual_clock clock;
    struct aff_logger logger;
    int log_fds[2]; /* a pipe */
    char log[64 * 1024];
    size_t log_len;
    struct peer_node nodes[PEER_NODES_MAX];
    size_t nodes_count;
    struct certificates *ca; /* NULL: plain TCP */
    struct aff_peer_tls *tls;
};

/* A question of the test, and what became of it. */
struct peer_asked {
    struct aff_peer_call call;
    int times, code;
    char answer[256]; /* the beginning */
    size_t answer_len;
};

struct peer_fixture *peer_fixture_new(bool tls);
struct peer_fixture *peer_fixture_free(struct peer_fixture *f);

/* `opts` may be NULL; loop, serve and self are filled, and tls when it is NULL. The member is "<name>-0000000001". */
struct peer_node *peer_node_add(struct peer_fixture *f, const char *name, const struct aff_peers_opts *opts);

/* Runs all loops until done(arg); fails after some seconds with `what` and the log. */
void peer_run_until(struct peer_fixture *f, bool (*done)(void *arg), void *arg, const char *what);
void peer_run(struct peer_fixture *f, int passes); /* that many passes of each loop, without a wait */

void peer_ask(struct peer_node *from, const struct aff_peer_to *to, struct peer_asked *asked, const char *body);
void peer_ask_bytes(struct peer_node *from, const struct aff_peer_to *to, struct peer_asked *asked, aff_bytes body,
                    int64_t left_ns);
void peer_run_until_answered(struct peer_fixture *f, struct peer_asked *asked, size_t count);
void peer_run_until_held(struct peer_node *node, size_t count);
/* Asks, waits, and wants this code; the answer is in *asked. */
void peer_expect(struct peer_node *from, const struct aff_peer_to *to, struct peer_asked *asked, const char *body,
                 int code);

/* Has this been logged by any node? Then all that was logged is forgotten. */
bool peer_logged(struct peer_fixture *f, const char *text);
void peer_run_until_logged(struct peer_fixture *f, const char *text);
struct aff_peers_stats peer_stats_of(const struct peer_node *node);

/* ---- a socket of the test ---- */

struct peer_raw {
    int listener, fd; /* blocking, with a limit of some seconds */
    char address[64];
};
void peer_raw_listen(struct peer_raw *raw, int receive_buffer); /* 0: the usual one */
void peer_raw_accept(struct peer_raw *raw);
void peer_raw_connect(struct peer_raw *raw, const char *address);
void peer_raw_close(struct peer_raw *raw);
void peer_raw_send(struct peer_raw *raw, aff_bytes bytes);
void peer_raw_send_frame(struct peer_raw *raw, const struct aff_frame *frame, aff_bytes body);
void peer_raw_hello(struct peer_raw *raw, const char *cluster, const char *member);
/* What has come so far, without a wait; false: the other side has closed. */
bool peer_raw_read(struct peer_raw *raw, struct aff_buf *into);
/* Runs the loops until a whole frame is at the beginning of `from`, and gives it; its bytes stay until `from` is shortened. */
ssize_t peer_raw_frame(struct peer_fixture *f, struct peer_raw *raw, struct aff_buf *from, struct aff_frame *ret_frame);
void peer_raw_drop(struct aff_buf *from, size_t len);
void peer_run_until_closed(struct peer_fixture *f, struct peer_raw *raw);

#endif
