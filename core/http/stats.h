/*
 * stats.h - counters of one loop's server. The loop's thread writes them, any thread reads them: relaxed atomics, and no
 * read-modify-write, since there is one writer.
 */
#ifndef AFF_HTTP_STATS_H
#define AFF_HTTP_STATS_H

#include <stdatomic.h>
#include <stdint.h>

/* A route as the metrics name it; the texts are in stats.c. */
enum aff_route_name {
    AFF_ROUTE_VALUE,
    AFF_ROUTE_COMMAND,
    AFF_ROUTE_KEYSPACE,
    AFF_ROUTE_OUTCOME,
    AFF_ROUTE_LIVEZ,
    AFF_ROUTE_READYZ,
    AFF_ROUTE_METRICS,
    AFF_ROUTE_CLUSTER,
    AFF_ROUTE_DRAIN,
    AFF_ROUTE_HANDOVER,
    AFF_ROUTE_VERIFY,
    AFF_ROUTE_OPENAPI,
    AFF_ROUTE_DOCS,
    AFF_ROUTE_NONE, /* no such path, or no path that could be read */
    AFF_ROUTES
};

enum aff_timeout {
    AFF_TIMEOUT_HEAD,
    AFF_TIMEOUT_BODY,
    AFF_TIMEOUT_IDLE,
    AFF_TIMEOUT_EXCHANGE,
    AFF_TIMEOUT_SEND,
    AFF_TIMEOUTS
};

enum { AFF_STATUS_CLASSES = 4 /* 2xx to 5xx */ };

struct aff_http_stats {
    _Atomic uint64_t requests[AFF_ROUTES][AFF_STATUS_CLASSES];
    _Atomic uint64_t timeouts[AFF_TIMEOUTS];
    _Atomic uint64_t bad_framing;
    _Atomic uint64_t throttled;   /* 429 by the quota */
    _Atomic uint64_t gone;        /* clients that went away before their answer */
    _Atomic uint64_t suspended;   /* exchanges that waited so long that they were suspended */
    _Atomic uint64_t runs;        /* of the daemon */
    _Atomic uint64_t connections; /* now; the listener counts up, the loop down */
};

static inline void aff_count(_Atomic uint64_t *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1, memory_order_relaxed);
}

void aff_stats_request(struct aff_http_stats *stats, enum aff_route_name route, int status);

#endif
