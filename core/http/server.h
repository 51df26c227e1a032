/*
 * server.h - REST over HTTP: what the node makes of it.
 *
 * One `aff_http` per loop: a libmicrohttpd daemon without a thread and without a listener, run by the loop's HTTP stage.
 * `aff_listener` accepts on one loop and hands connections to the loop that has the fewest. `aff_gate` counts what all
 * loops share: connections, connections per address, bytes of bodies in flight.
 *
 *   aff_gate_new, aff_http_new for each loop, aff_listener_new     before the loops run
 *   aff_listener_close                                             any thread: accept no more
 *   aff_http_farewell, as long as others are to take over          each loop's thread
 *   aff_http_drain, then aff_http_quiet until it is true           each loop's thread
 *   aff_http_stop                                                  each loop's thread
 *   aff_listener_free, aff_http_free, aff_gate_free                after the loops
 */
#ifndef AFF_HTTP_SERVER_H
#define AFF_HTTP_SERVER_H

#include "base/buf.h"
#include "base/cleanup.h"
#include "http/cors.h"
#include "http/quota.h"
#include "router/router.h"

/* Everything of `limits`, `json` and `gzip` in the configuration; doc/configuration.md says what each means. */
struct aff_http_limits {
    uint64_t head, target, body; /* bytes of one request */
    uint64_t bulk;               /* of the body of a bulk write */
    int64_t head_timeout_ms, exchange_timeout_ms, idle_timeout_ms;
    uint64_t body_min_rate; /* bytes a second; 0: any */
    unsigned json_depth;
    unsigned gzip_level;         /* 1 to 9; 0: nothing is coded */
    uint64_t gzip_min, gzip_max; /* bytes of a body that is */
};
/* The defaults of the configuration, for tests and for programs without one. */
#define AFF_HTTP_LIMITS_DEFAULT                                                                                        \
    {                                                                                                                  \
        .head = 16384, .target = 8192, .body = 1044480, .bulk = 16777216, .head_timeout_ms = 10000,                    \
        .exchange_timeout_ms = 30000, .idle_timeout_ms = 60000, .body_min_rate = 1024, .json_depth = 128,              \
        .gzip_level = 1, .gzip_min = 1024, .gzip_max = 262144                                                          \
    }

/* ---- what all loops share; any thread ---- */

struct aff_gate;

struct aff_gate_opts {
    unsigned connections;             /* at a time */
    unsigned connections_per_address; /* 0: no limit of its own */
    uint64_t bodies;                  /* bytes of request bodies held at a time */
    struct aff_quota_opts quota;      /* of requests */
};
struct aff_gate *aff_gate_new(const struct aff_gate_opts *opts);
struct aff_gate *aff_gate_free(struct aff_gate *gate); /* accepts NULL, returns NULL */
AFF_CLEANUP_OF(struct aff_gate, aff_gate_free)

/* ---- one loop's server ---- */

struct aff_http;

/* POST /verify?keyspace=&partition=&timeout= */
struct aff_http_verify {
    aff_bytes keyspace; /* data NULL: all of them; a view until the call returns */
    int64_t partition;  /* -1: all of the keyspace */
    int64_t timeout_ms; /* 0: not said */
};

/* POST or GET /cluster/handover?keyspace=&partition=&to=, or /cluster/drain. */
struct aff_http_move {
    bool begins;         /* POST: it is to be; GET: how far is it? */
    aff_bytes keyspace;  /* a view until the call returns, like `to` */
    int64_t partition;   /* -1: of a drain */
    aff_bytes to;        /* data NULL: not said */
};

/*
 * Bodies of the pages about the node itself. Each appends to `body` and returns the HTTP status (200, 503) or AFF_ENOMEM.
 * Any loop; they must not block. livez, readyz and cluster write JSON, metrics the Prometheus text. A NULL one: 404.
 */
struct aff_http_admin {
    void *self;
    int (*livez)(void *self, struct aff_buf *body);
    int (*readyz)(void *self, bool verbose, struct aff_buf *body); /* GET /readyz?verbose */
    int (*metrics)(void *self, struct aff_buf *body);
    int (*cluster)(void *self, struct aff_buf *body);
    /* Starts a verification, 202, or with `ask` NULL tells how the last one stands, 200: JSON. Or a code; `err` says why. */
    int (*verify)(void *self, const struct aff_http_verify *ask, struct aff_buf *body, aff_error *err);
    /* Makes masterships move, 202, or tells how they stand, 200: JSON. Or a code; `err` says why. */
    int (*drain)(void *self, const struct aff_http_move *move, struct aff_buf *body, aff_error *err);
    int (*handover)(void *self, const struct aff_http_move *move, struct aff_buf *body, aff_error *err);
};

/* A text that is the same while the node runs. */
struct aff_http_document {
    aff_bytes bytes; /* live as long as the servers; data NULL: 404 */
    const char *type;
    const char *policy; /* its Content-Security-Policy; NULL: none */
};

struct aff_http_opts {
    struct aff_loop *loop;
    const struct aff_router *router;
    struct aff_port *port; /* the loop's */
    struct aff_gate *gate;
    struct aff_http_limits limits;
    struct aff_cors_opts cors;
    struct aff_http_admin admin;
    struct aff_http_document openapi, docs; /* /openapi.json, /docs */
};

int aff_http_new(const struct aff_http_opts *opts, struct aff_http **ret_http, aff_error *err);
/* Serves on, and tells clients with each answer that their connection closes with it. Ahead of a drain. */
void aff_http_farewell(struct aff_http *http);
/* Closes idle connections; those that are busy close with their answer. */
void aff_http_drain(struct aff_http *http);
/* No request is under way, none waits to be released. */
bool aff_http_quiet(const struct aff_http *http);
/* Closes every connection, whatever it does. Calls that are under way still come back. */
void aff_http_stop(struct aff_http *http);
struct aff_http *aff_http_free(struct aff_http *http); /* accepts NULL, returns NULL; stops when that was not done */
AFF_CLEANUP_OF(struct aff_http, aff_http_free)

/* Is there anything that does `method` ("GET") on paths of so many segments that begin with `first`? What a keyspace lets clients
 * use of it is another matter. */
bool aff_http_serves(const char *first, unsigned segments, const char *method);

/* Appends the numbers of all loops as Prometheus text (aff_http_...). Any thread. False: out of memory. */
bool aff_http_metrics(struct aff_http *const *https, unsigned count, const struct aff_gate *gate,
                      struct aff_buf *out) AFF_MUST_USE;

/* ---- listening ---- */

struct aff_listener;

struct aff_listener_opts {
    const char *host;              /* a name or address, without brackets */
    uint16_t port;                 /* 0: any free one */
    int bound;                     /* a socket that listens already, taken over when the listener was made; 0: bind one */
    struct aff_loop *loop;         /* the one that accepts */
    struct aff_http *const *https; /* of all loops; the array is copied */
    unsigned https_count;
    struct aff_gate *gate;
};

/* Binds and listens; connections are accepted as soon as the loop runs. */
int aff_listener_new(const struct aff_listener_opts *opts, struct aff_listener **ret_listener, aff_error *err);
/* "127.0.0.1:41234", "[::1]:41234"; lives as long as the listener. */
const char *aff_listener_address(const struct aff_listener *listener);
/* Accepts no more; what was accepted stays. Any thread, while the loop runs. */
void aff_listener_close(struct aff_listener *listener);
struct aff_listener *aff_listener_free(struct aff_listener *listener); /* accepts NULL, returns NULL */
AFF_CLEANUP_OF(struct aff_listener, aff_listener_free)

#endif
