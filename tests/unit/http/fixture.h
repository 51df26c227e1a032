/*
 * fixture.h - a server on its own thread over the double of the router, and a client that speaks raw bytes.
 *
 * Nothing is timed: the client waits for what must come, at most CLIENT_PATIENCE_S, and then fails.
 */
#ifndef AFF_TESTS_HTTP_FIXTURE_H
#define AFF_TESTS_HTTP_FIXTURE_H

#include "fake_router.h"
#include "http/server.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CLIENT_PATIENCE_S = 20 };

struct fixture {
    struct aff_loop *loops[2];
    unsigned loops_count;
    struct aff_http *https[2];
    struct fake_router *fakes[2];
    struct aff_gate *gate;
    struct aff_listener *listener;
    pthread_t threads[2];
    uint16_t port;
    struct fake_router *fake; /* of the first loop */
};

struct fixture_opts {
    struct aff_http_limits limits;
    struct aff_gate_opts gate;
    unsigned loops; /* 0: 1 */
};
struct fixture_opts fixture_defaults(void);

struct fixture *fixture_start(const struct fixture_opts *opts);
void fixture_stop(struct fixture *f); /* drains and stops; fails when something is left over */

/* Runs `run` on the first loop's thread and waits for it. */
void fixture_run(struct fixture *f, void (*run)(struct fixture *f, void *arg), void *arg);
void fixture_script(struct fixture *f, struct fake_script script);
struct fake_seen fixture_seen(struct fixture *f);
void fixture_answer_held(struct fixture *f);
void fixture_release(struct fixture *f);
unsigned fixture_calls(struct fixture *f);
/* The metric's value, of a line "name value" or "name{labels} value"; fails when there is none. */
unsigned long long fixture_metric(struct fixture *f, const char *name);
/* Waits until it is `value`. */
void fixture_wait_metric_is(struct fixture *f, const char *name, unsigned long long value);
/* Waits until it is at least `least`. */
void fixture_wait_metric(struct fixture *f, const char *name, unsigned long long least);

/* ---- the client ---- */

struct response {
    int status;
    char head[16384]; /* with its empty line, NUL behind */
    char *body;       /* NUL behind; freed by the next client_read() of the same struct, or response_free() */
    size_t body_len;
};

int client_open(const struct fixture *f);
void client_close(int fd);
void client_send(int fd, const void *data, size_t len);
void client_say(int fd, const char *text);
/* Reads one response; its body by Content-Length. `head_only`: the request was HEAD. Fails at the end of the stream. */
void client_read(int fd, struct response *r, bool head_only);
bool client_at_end(int fd); /* waits: true for the end of the stream (or a reset), false for a byte */
void response_free(struct response *r);
/* The header's value in a static buffer; NULL: it is not there. */
const char *header(const struct response *r, const char *name);

/* One request on a connection of its own, which the server may keep. */
void exchange(const struct fixture *f, struct response *r, const char *request);
void assert_status(const struct response *r, int status);
void assert_header(const struct response *r, const char *name, const char *value);
/* A problem of this type, and this text in its detail. */
void assert_problem(const struct response *r, int status, const char *type, const char *detail);

/* The keyspaces of every fixture: notes, strict (require_match), small (max_value 10), fixed (GET only). */
extern const struct aff_space fixture_spaces[];
/* What stands at /openapi.json and /docs. */
extern const char fixture_openapi[], fixture_docs[];

#endif
