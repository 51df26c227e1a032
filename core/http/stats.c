/*
 * stats.c - the counters of all loops as Prometheus text. Any thread.
 */
#include "http/stats.h"

#include "http/gate.h"
#include "http/inner.h"

static const char *const route_texts[AFF_ROUTES] = {
    [AFF_ROUTE_VALUE] = "/v1/{keyspace}/{key}",
    [AFF_ROUTE_COMMAND] = "/v1/{keyspace}/{key}/{command}",
    [AFF_ROUTE_KEYSPACE] = "/v1/{keyspace}",
    [AFF_ROUTE_OUTCOME] = "/outcome/{id}",
    [AFF_ROUTE_LIVEZ] = "/livez",
    [AFF_ROUTE_READYZ] = "/readyz",
    [AFF_ROUTE_METRICS] = "/metrics",
    [AFF_ROUTE_CLUSTER] = "/cluster",
    [AFF_ROUTE_DRAIN] = "/cluster/drain",
    [AFF_ROUTE_HANDOVER] = "/cluster/handover",
    [AFF_ROUTE_VERIFY] = "/verify",
    [AFF_ROUTE_OPENAPI] = "/openapi.json",
    [AFF_ROUTE_DOCS] = "/docs",
    [AFF_ROUTE_NONE] = "none",
};
static const char *const timeout_texts[AFF_TIMEOUTS] = {
    [AFF_TIMEOUT_HEAD] = "head",         [AFF_TIMEOUT_BODY] = "body", [AFF_TIMEOUT_IDLE] = "idle",
    [AFF_TIMEOUT_EXCHANGE] = "exchange", [AFF_TIMEOUT_SEND] = "send",
};

void aff_stats_request(struct aff_http_stats *stats, enum aff_route_name route, int status)
{
    int class = status / 100 - 2;
    if (class >= 0 && class < AFF_STATUS_CLASSES)
        aff_count(&stats->requests[route][class]);
}

struct numbers {
    struct aff_http *const *https;
    unsigned count;
    struct aff_buf *out;
};

/* The sum over all loops of the counter that stands `offset` bytes into the stats. */
static unsigned long long sum(const struct numbers *n, size_t offset)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < n->count; i++) {
        char *stats = (char *)&n->https[i]->stats;
        total += atomic_load_explicit((_Atomic uint64_t *)(void *)(stats + offset), memory_order_relaxed);
    }
    return total;
}

static bool add_title(const struct numbers *n, const char *name, const char *type, const char *help)
{
    return aff_buf_printf(n->out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static bool add_one(const struct numbers *n, const char *name, const char *type, const char *help,
                    unsigned long long value)
{
    return add_title(n, name, type, help) && aff_buf_printf(n->out, "%s %llu\n", name, value);
}

static bool add_requests(const struct numbers *n)
{
    if (!add_title(n, "aff_http_requests_total", "counter", "Requests that were answered, by route and status"))
        return false;
    for (int route = 0; route < AFF_ROUTES; route++)
        for (int class = 0; class < AFF_STATUS_CLASSES; class ++) {
            size_t offset = offsetof(struct aff_http_stats, requests) +
                            sizeof(uint64_t) * (size_t)(route * AFF_STATUS_CLASSES + class);
            if (!aff_buf_printf(n->out, "aff_http_requests_total{route=\"%s\",status=\"%dxx\"} %llu\n",
                                route_texts[route], class + 2, sum(n, offset)))
                return false;
        }
    return true;
}

static bool add_timeouts(const struct numbers *n)
{
    if (!add_title(n, "aff_http_timeouts_total", "counter",
                   "Connections and requests that were given up, by what was late"))
        return false;
    for (int what = 0; what < AFF_TIMEOUTS; what++) {
        size_t offset = offsetof(struct aff_http_stats, timeouts) + sizeof(uint64_t) * (size_t)what;
        if (!aff_buf_printf(n->out, "aff_http_timeouts_total{what=\"%s\"} %llu\n", timeout_texts[what], sum(n, offset)))
            return false;
    }
    return true;
}

bool aff_http_metrics(struct aff_http *const *https, unsigned count, const struct aff_gate *gate, struct aff_buf *out)
{
    struct numbers n = { https, count, out };
    struct aff_gate_numbers g = aff_gate_read(gate);
    _Static_assert(sizeof(_Atomic uint64_t) == sizeof(uint64_t), "counters stand one behind the other");
    return add_requests(&n) && add_timeouts(&n) &&
           add_one(&n, "aff_http_bad_framing_total", "counter", "Requests refused because their framing was in doubt",
                   sum(&n, offsetof(struct aff_http_stats, bad_framing))) &&
           add_one(&n, "aff_http_throttled_total", "counter", "Requests refused because their client sent too many",
                   sum(&n, offsetof(struct aff_http_stats, throttled))) &&
           add_one(&n, "aff_http_clients", "gauge", "Clients that the limits of requests know", g.clients) &&
           add_one(&n, "aff_http_clients_gone_total", "counter", "Requests whose client went away before the answer",
                   sum(&n, offsetof(struct aff_http_stats, gone))) &&
           add_one(&n, "aff_http_suspended_total", "counter",
                   "Requests that waited longer than 50 ms, or with 2,000 others",
                   sum(&n, offsetof(struct aff_http_stats, suspended))) &&
           add_one(&n, "aff_http_runs_total", "counter", "Runs of the HTTP daemons",
                   sum(&n, offsetof(struct aff_http_stats, runs))) &&
           add_one(&n, "aff_http_connections", "gauge", "Connections that are open", g.connections) &&
           add_one(&n, "aff_http_connections_refused_total", "counter", "Connections refused by a limit", g.refused) &&
           add_one(&n, "aff_http_bodies_bytes", "gauge", "Bytes of request bodies that are held", g.bodies);
}
