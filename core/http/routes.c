/*
 * routes.c - which paths there are, and what each method does on them: one table. HEAD goes where GET does.
 *
 *   first segment + number of segments  ->  a row  ->  resolve (keyspace, key, command)  ->  the method's verb
 */
#include "http/inner.h"

#include <stdio.h>

static const struct {
    const char *text;
    enum aff_method method;
} methods[] = {
    { "GET", AFF_GET },   { "HEAD", AFF_HEAD },     { "PUT", AFF_PUT },         { "PATCH", AFF_PATCH },
    { "POST", AFF_POST }, { "DELETE", AFF_DELETE }, { "OPTIONS", AFF_OPTIONS },
};

enum aff_method aff_method_of(const char *text)
{
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (strcmp(methods[i].text, text) == 0)
            return methods[i].method;
    return AFF_METHOD_OTHER;
}

/* ---- finding what a path names ---- */

static int find_space(struct aff_exchange *x)
{
    aff_bytes name = x->target.segments[1];
    x->space = aff_router_space(x->http->opts.router, name);
    if (x->space)
        return 0;
    aff_refuse(x, AFF_ENOROUTE, "there is no keyspace `%.*s`", name.len > 64 ? 64 : (int)name.len,
               (const char *)name.data);
    return AFF_ENOROUTE;
}

static int find_key(struct aff_exchange *x)
{
    int rc = find_space(x);
    if (rc)
        return rc;
    x->key = x->target.segments[2];
    const char *fault = aff_key_fault(x->key);
    if (!fault)
        return 0;
    aff_refuse(x, AFF_EINVAL, "%s", fault);
    return AFF_EINVAL;
}

static int find_command(struct aff_exchange *x)
{
    int rc = find_key(x);
    if (rc)
        return rc;
    aff_bytes name = x->target.segments[3];
    x->command = aff_space_command(x->space, name);
    if (x->command)
        return 0;
    aff_refuse(x, AFF_ENOROUTE, "the keyspace `%s` has no command `%.*s`", x->space->name,
               name.len > 64 ? 64 : (int)name.len, (const char *)name.data);
    return AFF_ENOROUTE;
}

/* ---- methods ---- */

static unsigned value_methods(const struct aff_exchange *x)
{
    unsigned rest = x->space->rest ? x->space->rest : AFF_REST_ALL;
    return (rest & AFF_REST_GET ? 1U << AFF_GET : 0) | (rest & AFF_REST_PUT ? 1U << AFF_PUT : 0) |
           (rest & AFF_REST_PATCH ? 1U << AFF_PATCH : 0) | (rest & AFF_REST_DELETE ? 1U << AFF_DELETE : 0);
}

/* A scan reads what a GET of each key would; a bulk write has lines that are taken if a PUT or a DELETE is. */
static unsigned keyspace_methods(const struct aff_exchange *x)
{
    unsigned rest = x->space->rest ? x->space->rest : AFF_REST_ALL;
    return (rest & AFF_REST_GET ? 1U << AFF_GET : 0U) |
           (rest & (AFF_REST_PUT | AFF_REST_DELETE) ? 1U << AFF_POST : 0U);
}

static unsigned command_methods(const struct aff_exchange *x)
{
    return 1U << AFF_POST | (x->command->read ? 1U << AFF_GET : 0);
}

/* ---- the table ---- */

#define PAGE(name_, first_, verb_)                                                                                     \
    {                                                                                                                  \
        .name = (name_), .first = (first_), .count = 1, .verbs = { [AFF_GET] = &(verb_) }                              \
    }

static const struct aff_route routes[] = {
    { .name = AFF_ROUTE_VALUE,
      .first = "v1",
      .count = 3,
      .resolve = find_key,
      .allowed = value_methods,
      .verbs = { [AFF_GET] = &aff_verb_get,
                 [AFF_PUT] = &aff_verb_put,
                 [AFF_PATCH] = &aff_verb_patch,
                 [AFF_DELETE] = &aff_verb_delete } },
    { .name = AFF_ROUTE_COMMAND,
      .first = "v1",
      .count = 4,
      .resolve = find_command,
      .allowed = command_methods,
      .verbs = { [AFF_GET] = &aff_verb_command_get, [AFF_POST] = &aff_verb_command } },
    { .name = AFF_ROUTE_KEYSPACE,
      .first = "v1",
      .count = 2,
      .resolve = find_space,
      .allowed = keyspace_methods,
      .verbs = { [AFF_GET] = &aff_verb_scan, [AFF_POST] = &aff_verb_bulk } },
    { .name = AFF_ROUTE_OUTCOME, .first = "outcome", .count = 2, .verbs = { [AFF_GET] = &aff_verb_outcome } },
    PAGE(AFF_ROUTE_LIVEZ, "livez", aff_verb_livez),
    PAGE(AFF_ROUTE_READYZ, "readyz", aff_verb_readyz),
    PAGE(AFF_ROUTE_METRICS, "metrics", aff_verb_metrics),
    PAGE(AFF_ROUTE_CLUSTER, "cluster", aff_verb_cluster),
    { .name = AFF_ROUTE_DRAIN,
      .first = "cluster",
      .second = "drain",
      .count = 2,
      .verbs = { [AFF_GET] = &aff_verb_drain, [AFF_POST] = &aff_verb_drain } },
    { .name = AFF_ROUTE_HANDOVER,
      .first = "cluster",
      .second = "handover",
      .count = 2,
      .verbs = { [AFF_GET] = &aff_verb_handover, [AFF_POST] = &aff_verb_handover } },
    PAGE(AFF_ROUTE_OPENAPI, "openapi.json", aff_verb_openapi),
    PAGE(AFF_ROUTE_DOCS, "docs", aff_verb_docs),
    { .name = AFF_ROUTE_VERIFY,
      .first = "verify",
      .count = 1,
      .verbs = { [AFF_GET] = &aff_verb_verified, [AFF_POST] = &aff_verb_verify } },
};

bool aff_http_serves(const char *first, unsigned segments, const char *method)
{
    enum aff_method known = aff_method_of(method);
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        if (routes[i].count == segments && strcmp(routes[i].first, first) == 0)
            return known != AFF_METHOD_OTHER && routes[i].verbs[known] != NULL;
    return false;
}

/* For "*" and nothing else: what the server as a whole takes. */
static const struct aff_route whole_server = { .name = AFF_ROUTE_NONE };

static const struct aff_route *find_route(const struct aff_target *target)
{
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        if (routes[i].count == target->count && aff_bytes_equal(target->segments[0], aff_str(routes[i].first)) &&
            (!routes[i].second || aff_bytes_equal(target->segments[1], aff_str(routes[i].second))))
            return &routes[i];
    return NULL;
}

static unsigned allowed_methods(const struct aff_exchange *x)
{
    unsigned allowed = 0;
    if (x->route == &whole_server)
        return (1U << AFF_METHOD_OTHER) - 1;
    if (x->route->allowed) {
        allowed = x->route->allowed(x);
    } else {
        for (int method = 0; method < AFF_METHODS; method++)
            allowed |= x->route->verbs[method] ? 1U << method : 0;
    }
    if (allowed & 1U << AFF_GET)
        allowed |= 1U << AFF_HEAD;
    return allowed | 1U << AFF_OPTIONS;
}

void aff_route_allow(const struct aff_exchange *x, char *out, size_t size)
{
    unsigned allowed = allowed_methods(x);
    size_t used = 0;
    out[0] = 0;
    for (size_t i = 0; i < sizeof methods / sizeof *methods && used < size; i++)
        if (allowed & 1U << methods[i].method)
            used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "", methods[i].text);
}

void aff_route(struct aff_exchange *x)
{
    const struct aff_route *route = x->target.asterisk ? &whole_server : find_route(&x->target);
    if (!route) {
        aff_refuse(x, AFF_ENOROUTE, "%s", "");
        return;
    }
    x->route = route;
    if (route->resolve && route->resolve(x) != 0)
        return;
    x->verb = route->verbs[x->method];
    if (x->method == AFF_HEAD && !x->verb)
        x->verb = route->verbs[AFF_GET]; /* the same, without its body */
    if (x->target.asterisk && x->method != AFF_OPTIONS)
        aff_refuse(x, AFF_EINVAL, "the target * is for OPTIONS alone");
    else if (!(allowed_methods(x) & 1U << x->method) || (!x->verb && x->method != AFF_OPTIONS))
        aff_refuse(x, AFF_EMETHOD, "%s", "");
}
