/*
 * build.c - the parts of a node, made in order and freed in reverse. Nothing runs meanwhile: the owner's thread alone. The
 * partitions are made and wait: they open their part of the log when its topics are known (log.c).
 */
#include "node/inner.h"

#include "base/alloc.h"
#include "base/cleanup.h"
#include "node/admin.h"
#include "node/limits.h"
#include "node/moves.h"
#include "node/openapi.h"
#include "node/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { HEARTBEAT_MS = 1000 }; /* on a log that others may lead on, too: well below the time that they are patient */

/* ---- folders ---- */

char *aff_node_path(const struct aff_node *node, const char *tail)
{
    size_t size = strlen(node->config->node.data) + strlen(tail) + 2;
    char *path = aff_xmalloc(size);
    (void)snprintf(path, size, "%s/%s", node->config->node.data, tail);
    return path;
}

/* Makes a folder and its name durable: a log in a folder that is lost with the power would be lost as well. */
static int make_folder(const char *path)
{
    if (mkdir(path, 0700) != 0)
        return errno == EEXIST ? 0 : -1;
    AFF_CLEANUP(aff_closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    AFF_CLEANUP(aff_closep) int parent = fd < 0 ? -1 : openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return parent < 0 || fsync(parent) != 0 ? -1 : 0;
}

static int make_data_folder(const struct aff_node *node, aff_error *err)
{
    AFF_CLEANUP(aff_freep) char *path = aff_xstrdup(node->config->node.data);
    for (char *at = path + 1;; at++) {
        char cut = *at;
        if (cut != '/' && cut != '\0')
            continue;
        *at = '\0';
        if (make_folder(path) != 0)
            return aff_fail_with(err, AFF_EIO, "node.data: cannot make the folder %s: %s", path, strerror(errno));
        if (cut == '\0')
            return 0;
        *at = cut;
    }
}

/* ---- loops ---- */

static int make_loop(struct aff_node *node, unsigned index, aff_error *err)
{
    struct aff_node_loop *l = &node->loops[index];
    char name[16];
    (void)snprintf(name, sizeof name, "aff-loop-%u", index % 1000);
    struct aff_loop_opts opts = { .name = name, .index = index, .clock = node->logger.clock, .logger = &node->logger };
    l->node = node;
    atomic_init(&l->stage, AFF_LOOP_MADE);
    atomic_init(&l->ticked_ns, aff_mono_ns(node->logger.clock));
    int code = aff_loop_new(&opts, &l->loop, err);
    if (code == 0)
        l->group = aff_partition_group_new(l->loop);
    return code;
}

static int make_loops(struct aff_node *node, aff_error *err)
{
    int code = 0;
    node->loops = aff_xcalloc(node->loops_count, sizeof *node->loops);
    for (unsigned i = 0; i < node->loops_count && code == 0; i++)
        code = make_loop(node, i, err);
    return code;
}

/* ---- partitions: dealt out to the loops in turn, over all keyspaces ---- */

static uint64_t count_partitions(const struct aff_node *node)
{
    uint64_t count = 0;
    for (size_t i = 0; i < node->served.count; i++)
        count += node->served.items[i].settings->partitions;
    return count;
}

static void make_spaces(struct aff_node *node)
{
    node->spaces = aff_xcalloc(node->served.count, sizeof *node->spaces);
    for (size_t i = 0; i < node->served.count; i++) {
        struct aff_node_space *space = &node->spaces[i];
        space->served = &node->served.items[i];
        size_t size = strlen(node->config->cluster) + strlen(space->served->settings->name) + 2;
        space->topic = aff_xmalloc(size);
        (void)snprintf(space->topic, size, "%s.%s", node->config->cluster, space->served->settings->name);
    }
}

static int make_partition(struct aff_node *node, struct aff_node_space *space, uint32_t index, uint64_t number,
                          uint64_t map_bytes, aff_error *err)
{
    const struct aff_config_keyspace *k = space->served->settings;
    char tail[80];
    (void)snprintf(tail, sizeof tail, "state/%s/%u", k->name, index);
    AFF_CLEANUP(aff_freep) char *folder = aff_node_path(node, tail);
    struct aff_partition_opts opts = {
        .core = { .keyspace = k->name,
                  .index = index,
                  .heartbeat_ms = aff_node_owns_log(node) || aff_node_in_cluster(node) ? 0 : HEARTBEAT_MS,
                  .stall_ms = node->config->limits.stall_timeout_ms,
                  .partitions = k->partitions,
                  .route = &k->route,
                  .place = aff_partition_of,
                  .ttl_ms = k->ttl_ms,
                  .compaction_lag_ms = k->compaction_lag_ms,
                  .tombstone_retention_ms = k->tombstone_retention_ms },
        .topic = space->topic,
        .group = node->loops[number % node->loops_count].group,
        .changelog = node->changelog,
        .coordinator = node->coordinator,
        .finder = space->served->finder,
        .store = { .folder = folder, .map_bytes = map_bytes, .readers = node->loops_count, .logger = &node->logger },
        .on_demand = aff_node_in_cluster(node),
        .net = aff_node_in_cluster(node) ? aff_router_net(node->router) : NULL,
        .events = aff_node_in_cluster(node) ? aff_router_events(node->router) : NULL,
    };
    aff_error problem = { 0 };
    int code = aff_partition_new(&opts, &space->parts[index], &problem);
    return code ? aff_fail_with(err, code, "keyspace %s, partition %u: %.400s", k->name, index, problem.text) : 0;
}

static int make_partitions(struct aff_node *node, aff_error *err)
{
    uint64_t number = 0, map_bytes = aff_map_bytes(count_partitions(node));
    for (size_t i = 0; i < node->served.count; i++) {
        struct aff_node_space *space = &node->spaces[i];
        uint32_t count = space->served->settings->partitions;
        space->parts = aff_xcalloc(count, sizeof(struct aff_partition *));
        for (; space->made < count; space->made++) {
            int code = make_partition(node, space, space->made, number++, map_bytes, err);
            if (code)
                return code;
        }
    }
    return 0;
}

/* ---- router and ports ---- */

static void fill_router(struct aff_node *node)
{
    for (size_t i = 0; i < node->served.count; i++) {
        const struct aff_served *served = &node->served.items[i];
        struct aff_space settings = {
            .name = served->settings->name,
            .partitions = served->settings->partitions,
            .rest = served->rest,
            .require_match = served->settings->require_match,
            .max_value = served->settings->max_value,
            .ttl_ms = served->settings->ttl_ms,
            .commands = served->commands,
            .indexes = served->finder,
            .route = served->settings->route,
        };
        aff_router_add(node->router, &settings, node->spaces[i].parts);
    }
    if (aff_node_in_cluster(node))
        aff_router_cluster(node->router, &(struct aff_router_cluster_opts){
                                             .coordinator = node->coordinator,
                                             .master_wait_ms = node->config->limits.master_wait_ms });
}

static int make_ports(struct aff_node *node, aff_error *err)
{
    int code = 0;
    for (unsigned i = 0; i < node->loops_count && code == 0; i++)
        code = aff_port_new(node->router, node->loops[i].loop, &node->loops[i].port, err);
    return code;
}

/* ---- http ---- */

static int livez(void *node, struct aff_buf *body)
{
    return aff_admin_livez(node, body);
}
static int readyz(void *node, bool verbose, struct aff_buf *body)
{
    return aff_admin_readyz(node, verbose, body);
}
static int metrics(void *node, struct aff_buf *body)
{
    return aff_admin_metrics(node, body);
}
static int cluster(void *node, struct aff_buf *body)
{
    return aff_admin_cluster(node, body);
}
static int drain(void *node, const struct aff_http_move *move, struct aff_buf *body, aff_error *err)
{
    return aff_moves_drain(node, move, body, err);
}
static int handover(void *node, const struct aff_http_move *move, struct aff_buf *body, aff_error *err)
{
    return aff_moves_handover(node, move, body, err);
}
static int verify(void *node, const struct aff_http_verify *ask, struct aff_buf *body, aff_error *err)
{
    return aff_verify_page(((struct aff_node *)node)->verify, ask, body, err);
}

static struct aff_cors_opts cors_of(const struct aff_config *config)
{
    return (struct aff_cors_opts){
        .origins = config->cors.origins.items,
        .origins_count = config->cors.origins.count,
        .headers = config->cors.headers.items,
        .headers_count = config->cors.headers.count,
        .methods = config->cors.methods.items,
        .methods_count = config->cors.methods.count,
        .credentials = config->cors.credentials,
        .max_age_ms = config->cors.max_age_ms,
    };
}

static int make_http(struct aff_node *node, struct aff_node_loop *l, aff_error *err)
{
    const struct aff_config_limits *limits = &node->config->limits;
    struct aff_http_opts opts = {
        .loop = l->loop,
        .router = node->router,
        .port = l->port,
        .gate = node->gate,
        .limits = { .head = limits->head,
                    .target = limits->target,
                    .body = limits->body,
                    .bulk = limits->bulk < limits->bodies ? limits->bulk : limits->bodies,
                    .head_timeout_ms = limits->head_timeout_ms,
                    .exchange_timeout_ms = limits->exchange_timeout_ms,
                    .idle_timeout_ms = limits->idle_timeout_ms,
                    .body_min_rate = limits->body_min_rate,
                    .json_depth = node->config->json.max_depth,
                    .gzip_level = node->config->gzip.level,
                    .gzip_min = node->config->gzip.min,
                    .gzip_max = node->config->gzip.max },
        .cors = cors_of(node->config),
        .admin = { .self = node,
                   .livez = livez,
                   .readyz = readyz,
                   .metrics = metrics,
                   .cluster = cluster,
                   .verify = verify,
                   .drain = drain,
                   .handover = handover },
        .openapi = aff_openapi_document(node->openapi),
        .docs = aff_docs_document(),
    };
    return aff_http_new(&opts, &l->http, err);
}

static int make_https(struct aff_node *node, aff_error *err)
{
    const struct aff_config_limits *limits = &node->config->limits;
    struct aff_gate_opts opts = {
        .connections = limits->connections,
        .connections_per_address = limits->connections_per_address,
        .quota = { .rate = limits->rate, .burst = limits->burst, .concurrent = limits->concurrent },
        .bodies = limits->bodies
    };
    int code = 0;
    node->gate = aff_gate_new(&opts);
    node->openapi = aff_openapi_text(node->config->cluster, &node->served);
    node->https = aff_xcalloc(node->loops_count, sizeof(struct aff_http *));
    for (unsigned i = 0; i < node->loops_count && code == 0; i++) {
        code = make_http(node, &node->loops[i], err);
        node->https[i] = node->loops[i].http;
    }
    return code;
}

/* Accepted by the loops in turn. */
static int make_listeners(struct aff_node *node, aff_error *err)
{
    int code = 0;
    node->listeners = aff_xcalloc(node->config->http_count, sizeof(struct aff_listener *));
    for (size_t i = 0; i < node->config->http_count && code == 0; i++) {
        const struct aff_config_address *address = &node->config->http[i].listen;
        struct aff_listener_opts opts = {
            .host = address->host,
            .port = address->port,
            .bound = node->supervised ? node->supervised->https[i] : 0,
            .loop = node->loops[i % node->loops_count].loop,
            .https = node->https,
            .https_count = node->loops_count,
            .gate = node->gate,
        };
        code = aff_listener_new(&opts, &node->listeners[i], err);
        if (code == 0)
            (void)snprintf(node->addresses[i], sizeof *node->addresses, "%s", aff_listener_address(node->listeners[i]));
    }
    return code;
}

static void free_https(struct aff_node *node)
{
    for (size_t i = 0; node->listeners && i < node->config->http_count; i++)
        aff_listener_free(node->listeners[i]);
    for (unsigned i = 0; node->https && i < node->loops_count; i++)
        aff_http_free(node->https[i]);
    free(node->listeners);
    free(node->https);
    node->listeners = NULL;
    node->https = NULL;
    node->gate = aff_gate_free(node->gate);
    free(node->openapi);
    node->openapi = NULL;
}

/* ---- the whole ---- */

static int make_room(struct aff_node *node, aff_error *err)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    node->loops_count = node->config->node.loops ? node->config->node.loops : cores > 0 ? (unsigned)cores : 1;
    int code = make_data_folder(node, err);
    if (code)
        return code;
    struct aff_needs needs = {
        .connections = node->config->limits.connections,
        .partitions = count_partitions(node),
        .loops = node->loops_count,
        .listeners = node->config->http_count + aff_node_in_cluster(node),
        .segments = aff_node_log_segments(node),
        .clients = aff_node_log_clients(node),
    };
    return aff_needs_raise(&needs, err);
}

int aff_node_build(struct aff_node *node, aff_error *err)
{
    int code = make_room(node, err);
    if (code == 0)
        code = aff_node_make_log(node, err);
    if (code)
        return code;
    make_spaces(node);
    node->router = aff_router_new();
    code = aff_node_make_coordinator(node, err);
    if (code == 0)
        code = make_loops(node, err);
    if (code == 0)
        code = make_partitions(node, err);
    if (code)
        return code;
    fill_router(node);
    node->verify = aff_verify_new(node);
    code = make_ports(node, err);
    if (code == 0)
        code = aff_node_make_peers(node, err);
    if (code == 0)
        code = make_https(node, err);
    return code ? code : make_listeners(node, err);
}

static void free_spaces(struct aff_node *node)
{
    for (size_t i = 0; node->spaces && i < node->served.count; i++) {
        struct aff_node_space *space = &node->spaces[i];
        for (uint32_t p = 0; p < space->made; p++)
            aff_partition_free(space->parts[p]);
        free(space->parts);
        free(space->topic);
    }
    free(node->spaces);
    node->spaces = NULL;
}

static void free_loops(struct aff_node *node)
{
    for (unsigned i = 0; node->loops && i < node->loops_count; i++) {
        struct aff_node_loop *l = &node->loops[i];
        aff_partition_group_free(l->group);
        aff_loop_free(l->loop);
    }
    free(node->loops);
    node->loops = NULL;
}

/* Its thread tells those who watch it, such as the router, so it ends before they are freed. */
static void free_coordinator(struct aff_node *node)
{
    if (node->coordinator)
        node->coordinator = node->coordinator->ops->free(node->coordinator);
    if (node->supervised)
        aff_supervised_session(node->supervised, 0, NULL);
}

void aff_node_unbuild(struct aff_node *node)
{
    free_https(node);
    if (aff_node_in_cluster(node))
        free_coordinator(node);
    aff_node_free_peers(node);
    for (unsigned i = 0; node->loops && i < node->loops_count; i++)
        node->loops[i].port = aff_port_free(node->loops[i].port);
    node->verify = aff_verify_free(node->verify);
    node->router = aff_router_free(node->router);
    free_spaces(node);
    free_coordinator(node);
    if (node->changelog)
        node->changelog = node->changelog->ops->free(node->changelog);
    free_loops(node);
}
