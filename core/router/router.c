/*
 * router.c - spaces, and reads on the caller's own loop. Calls to partitions of other loops are in call.c.
 *
 * The router does not change while loops run; a port belongs to its loop.
 */
#include "router/inner.h"

#include <stdio.h>
#include <stdlib.h>

struct aff_router *aff_router_new(void)
{
    struct aff_router *router = aff_xcalloc(1, sizeof *router);

    aff_map_init(&router->by_name, 0);
    aff_cluster_init(router);
    return router;
}

struct aff_router *aff_router_free(struct aff_router *router)
{
    if (!router)
        return NULL;
    for (size_t i = 0; i < router->count; i++) {
        free(router->spaces[i]->parts);
        free(router->spaces[i]);
    }
    aff_cluster_fini(router);
    aff_map_fini(&router->by_name);
    free(router->spaces);
    free(router);
    return NULL;
}

void aff_router_add(struct aff_router *router, const struct aff_space *settings, struct aff_partition *const *parts)
{
    struct space *s = aff_xcalloc(1, sizeof *s);

    s->base = *settings;
    snprintf(s->name, sizeof s->name, "%s", settings->name);
    s->base.name = s->name;
    s->base.router = router;
    s->base.parts = s;
    s->parts = aff_xcalloc(settings->partitions, sizeof *s->parts);
    memcpy(s->parts, parts, settings->partitions * sizeof *s->parts);
    s->first_reader = router->reader_count;
    s->index = router->count;
    router->reader_count += settings->partitions;
    router->spaces = aff_xrealloc(router->spaces, router->count + 1, sizeof *router->spaces);
    router->spaces[router->count++] = s;
    aff_map_add(&router->by_name, &s->node, aff_str(s->name));
}

const struct aff_space *aff_router_space(const struct aff_router *router, aff_bytes name)
{
    struct aff_map_node *node = aff_map_get(&router->by_name, name);

    return node ? &aff_container_of(node, struct space, node)->base : NULL;
}

const struct aff_space *aff_router_space_at(const struct aff_router *router, size_t index)
{
    return index < router->count ? &router->spaces[index]->base : NULL;
}

const aff_command *aff_space_command(const struct aff_space *space, aff_bytes name)
{
    for (const aff_command *c = space->commands; c && c->name; c++)
        if (aff_bytes_equal(aff_str(c->name), name))
            return c;
    return NULL;
}

uint32_t aff_space_partition(const struct aff_space *space, aff_bytes key)
{
    return aff_partition_of(aff_key_route_of(&space->route, key), space->partitions);
}

/* ---- ports ---- */

static void prepare_trips(struct aff_port *port)
{
    size_t count = port->router->reader_count;

    port->places = aff_xcalloc(count + 1, sizeof *port->places);
    for (size_t i = 0; i < count; i++) {
        aff_list_init(&port->places[i].waiting);
        aff_list_init(&port->places[i].away);
    }
    aff_leaders_init(&port->leaders, count);
    aff_heap_init(&port->waits);
    aff_list_init(&port->ended);
    port->room = (struct aff_buf){ aff_xmalloc(AFF_PORT_ROOM), 0, AFF_PORT_ROOM };
    port->wake.fire = aff_port_wake;
}

int aff_port_new(struct aff_router *router, struct aff_loop *loop, struct aff_port **ret_port, aff_error *err)
{
    struct aff_port *port = aff_xcalloc(1, sizeof *port);

    (void)err;
    port->router = router;
    port->loop = loop;
    port->readers = aff_xcalloc(router->reader_count + 1, sizeof *port->readers);
    prepare_trips(port);
    port->standby = aff_standby_new(port);
    aff_cluster_add(router, port);
    *ret_port = port;
    return 0;
}

int aff_port_reader(struct aff_port *port, const struct space *s, uint32_t partition, struct aff_store_reader **ret_reader)
{
    struct aff_store_reader **reader = &port->readers[s->first_reader + partition];
    struct aff_store *store;
    aff_error err;
    int code = 0;

    if (!*reader) {
        store = aff_partition_store(s->parts[partition]);
        code = store ? aff_store_reader_new(store, reader, &err) : AFF_ENOMASTER;
    }
    *ret_reader = *reader;
    return code;
}

void aff_port_connect(struct aff_port *port, struct aff_peers *peers)
{
    port->peers = peers;
}

struct aff_port *aff_port_free(struct aff_port *port)
{
    if (!port)
        return NULL;
    aff_cluster_remove(port->router, port);
    port->standby = aff_standby_free(port->standby);
    aff_loop_timer_cancel(port->loop, &port->wake);
    aff_leaders_fini(&port->leaders);
    aff_heap_fini(&port->waits);
    aff_buf_fini(&port->room);
    free(port->places);
    for (size_t i = 0; i < port->router->reader_count; i++)
        aff_store_reader_free(port->readers[i]);
    free(port->readers);
    free(port->scratch);
    free(port);
    return NULL;
}

static int read_snapshot(struct aff_port *port, const struct space *s, uint32_t index, aff_bytes key, struct aff_found *ret_found)
{
    int found;

    assert(aff_loop_here(port->loop) && !port->open);
    found = aff_port_reader(port, s, index, &port->open);
    if (found != 0)
        return found;
    found = aff_store_reader_get(port->open, key, &ret_found->item);
    ret_found->exists = found == 1;
    ret_found->partition = index;
    if (found < 0)
        aff_port_done(port);
    return found < 0 ? found : 0;
}

/*
 * The snapshot is taken first and the right to serve it is asked for afterwards: so it held at a moment after the read (I5). That
 * it serves at all is asked before, too, since in a cluster this node may have nothing of the partition.
 */
int aff_port_get(struct aff_port *port, const struct aff_space *space, aff_bytes key, struct aff_found *ret_found)
{
    const struct space *s = space->parts;
    uint32_t index = aff_space_partition(space, key);
    struct aff_partition *part = s->parts[index];
    uint32_t serving = aff_partition_serving(part);
    int code;

    if (!serving)
        return aff_port_clustered(port) ? AFF_EAGAIN : AFF_ENOMASTER;
    code = read_snapshot(port, s, index, key, ret_found);
    if (code != 0)
        return code;
    code = aff_partition_may_serve(part, serving);
    ret_found->identity8 = atomic_load(&aff_partition_shared(part)->identity8);
    if (code != 0)
        aff_port_done(port);
    return code == AFF_ENOMASTER && aff_port_clustered(port) ? AFF_EAGAIN : code;
}

int aff_port_get_settled(struct aff_port *port, const struct aff_space *space, aff_bytes key, struct aff_found *ret_found)
{
    const struct space *s = space->parts;
    uint32_t index = aff_space_partition(space, key), serving = aff_partition_serving(s->parts[index]);
    int code = read_snapshot(port, s, index, key, ret_found);

    if (code != 0)
        return code;
    ret_found->identity8 = atomic_load(&aff_partition_shared(s->parts[index])->identity8);
    if (serving && aff_partition_serving(s->parts[index]) == serving)
        return 0;
    aff_port_done(port); /* deposed since the barrier; the store may be in the middle of a rebuild */
    return AFF_ENOMASTER;
}

int aff_port_get_local(struct aff_port *port, const struct aff_space *space, aff_bytes key, struct aff_found *ret_found)
{
    const struct space *s = space->parts;
    int code = read_snapshot(port, s, aff_space_partition(space, key), key, ret_found);

    if (code == 0)
        ret_found->identity8 = atomic_load(&aff_partition_shared(s->parts[ret_found->partition])->identity8);
    return code == AFF_ENOMASTER && aff_port_clustered(port) ? AFF_EAGAIN : code;
}

void aff_port_done(struct aff_port *port)
{
    if (port->open)
        aff_store_reader_done(port->open);
    port->open = NULL;
}

/* ---- numbers ---- */

void aff_router_part_info(const struct aff_space *space, uint32_t partition, struct aff_part_info *ret)
{
    const struct space *s = space->parts;
    struct aff_partition *part = s->parts[partition];
    struct aff_partition_shared *sh = aff_partition_shared(part);

    *ret = (struct aff_part_info){
        .space = space,
        .partition = partition,
        .loop = aff_loop_index(aff_partition_loop(part)),
        .role = (enum aff_role)atomic_load(&sh->role),
        .serves = atomic_load(&sh->serves),
        .stands_by = atomic_load_explicit(&sh->stands_by, memory_order_relaxed),
        .applied = atomic_load_explicit(&sh->applied, memory_order_relaxed),
        .log_end = atomic_load_explicit(&sh->log_end, memory_order_relaxed),
        .dirty = atomic_load_explicit(&sh->dirty, memory_order_relaxed),
        .in_flight = atomic_load_explicit(&sh->in_flight, memory_order_relaxed),
        .queued = atomic_load_explicit(&sh->queued, memory_order_relaxed),
        .committed = atomic_load_explicit(&sh->committed, memory_order_relaxed),
        .refused = atomic_load_explicit(&sh->refused, memory_order_relaxed),
        .unknown = atomic_load_explicit(&sh->unknown, memory_order_relaxed),
        .repairs = atomic_load_explicit(&sh->repairs, memory_order_relaxed),
        .given = atomic_load_explicit(&sh->given, memory_order_relaxed),
        .not_given = atomic_load_explicit(&sh->not_given, memory_order_relaxed),
        .given_ns = atomic_load_explicit(&sh->given_ns, memory_order_relaxed),
        .taken = atomic_load_explicit(&sh->taken, memory_order_relaxed),
        .not_taken = atomic_load_explicit(&sh->not_taken, memory_order_relaxed),
        .taken_ns = atomic_load_explicit(&sh->taken_ns, memory_order_relaxed),
        .epoch = atomic_load_explicit(&sh->epoch, memory_order_relaxed),
        .identity8 = atomic_load_explicit(&sh->identity8, memory_order_relaxed),
    };
    if (ret->role == AFF_ROLE_FAILED)
        memcpy(ret->failure, sh->failure, sizeof ret->failure);
}
