/*
 * gate.c - see gate.h.
 */
#include "http/gate.h"

#include "base/alloc.h"
#include "base/list.h"
#include "base/map.h"

#include <assert.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* An address that has connections. */
struct aff_gate_entry {
    struct aff_map_node node;
    unsigned char address[17]; /* the family's number, then the address */
    unsigned connections;
};

struct aff_gate {
    struct aff_gate_opts opts;
    pthread_mutex_t lock;
    struct aff_map addresses; /* under the lock */
    unsigned connections;     /* the same */
    _Atomic uint64_t refused;
    _Atomic uint64_t bodies; /* bytes that are taken */
    struct aff_quota *quota; /* NULL: off */
};

struct aff_gate *aff_gate_new(const struct aff_gate_opts *opts)
{
    struct aff_gate *gate = aff_xcalloc(1, sizeof *gate);
    gate->opts = *opts;
    (void)pthread_mutex_init(&gate->lock, NULL);
    aff_map_init(&gate->addresses, (uint64_t)(uintptr_t)gate ^ (uint64_t)aff_mono_ns(aff_clock_system()));
    if (opts->quota.rate || opts->quota.concurrent)
        gate->quota = aff_quota_new(&opts->quota);
    return gate;
}

struct aff_gate *aff_gate_free(struct aff_gate *gate)
{
    if (!gate)
        return NULL;
    assert(gate->connections == 0 && atomic_load(&gate->bodies) == 0);
    aff_map_fini(&gate->addresses);
    (void)aff_quota_free(gate->quota);
    (void)pthread_mutex_destroy(&gate->lock);
    free(gate);
    return NULL;
}

/* ---- connections ---- */

static aff_bytes address_bytes(const struct sockaddr *address, unsigned char out[17])
{
    memset(out, 0, 17);
    out[0] = (unsigned char)address->sa_family;
    if (address->sa_family == AF_INET)
        memcpy(out + 1, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
    else if (address->sa_family == AF_INET6)
        memcpy(out + 1, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, 16);
    return aff_bytes_of(out, 17);
}

static struct aff_gate_entry *entry_of(struct aff_gate *gate, const struct sockaddr *address)
{
    unsigned char bytes[17];
    aff_bytes key = address_bytes(address, bytes);
    struct aff_map_node *node = aff_map_get(&gate->addresses, key);
    if (node)
        return aff_container_of(node, struct aff_gate_entry, node);
    struct aff_gate_entry *entry = aff_xcalloc(1, sizeof *entry);
    memcpy(entry->address, bytes, sizeof bytes);
    aff_map_add(&gate->addresses, &entry->node, aff_bytes_of(entry->address, sizeof entry->address));
    return entry;
}

bool aff_gate_enter(struct aff_gate *gate, const struct sockaddr *address, struct aff_gate_pass *ret_pass)
{
    bool entered = false;
    (void)pthread_mutex_lock(&gate->lock);
    if (gate->connections < gate->opts.connections) {
        struct aff_gate_entry *entry = entry_of(gate, address);
        unsigned most = gate->opts.connections_per_address;
        entered = most == 0 || entry->connections < most;
        if (entered) {
            gate->connections++;
            entry->connections++;
            *ret_pass = (struct aff_gate_pass){ gate, entry };
        }
    }
    (void)pthread_mutex_unlock(&gate->lock);
    if (!entered)
        atomic_fetch_add_explicit(&gate->refused, 1, memory_order_relaxed);
    return entered;
}

void aff_gate_leave(struct aff_gate_pass *pass)
{
    struct aff_gate *gate = pass->gate;
    if (!gate)
        return;
    (void)pthread_mutex_lock(&gate->lock);
    assert(gate->connections > 0 && pass->entry->connections > 0);
    gate->connections--;
    if (--pass->entry->connections == 0) {
        aff_map_remove(&gate->addresses, &pass->entry->node);
        free(pass->entry);
    }
    (void)pthread_mutex_unlock(&gate->lock);
    pass->gate = NULL;
}

/* ---- bodies ---- */

bool aff_gate_take(struct aff_gate *gate, uint64_t bytes)
{
    uint64_t taken = atomic_load_explicit(&gate->bodies, memory_order_relaxed);
    do
        if (bytes > gate->opts.bodies - taken)
            return false;
    while (!atomic_compare_exchange_weak_explicit(&gate->bodies, &taken, taken + bytes, memory_order_relaxed,
                                                  memory_order_relaxed));
    return true;
}

void aff_gate_give(struct aff_gate *gate, uint64_t bytes)
{
    uint64_t before = atomic_fetch_sub_explicit(&gate->bodies, bytes, memory_order_relaxed);
    assert(before >= bytes);
    (void)before;
}

struct aff_quota *aff_gate_quota(const struct aff_gate *gate)
{
    return gate->quota;
}

struct aff_gate_numbers aff_gate_read(const struct aff_gate *gate)
{
    struct aff_gate *g = (struct aff_gate *)(uintptr_t)gate; /* for its lock */
    struct aff_gate_numbers numbers = {
        .refused = atomic_load_explicit(&g->refused, memory_order_relaxed),
        .bodies = atomic_load_explicit(&g->bodies, memory_order_relaxed),
        .clients = g->quota ? aff_quota_known(g->quota) : 0,
    };
    (void)pthread_mutex_lock(&g->lock);
    numbers.connections = g->connections;
    (void)pthread_mutex_unlock(&g->lock);
    return numbers;
}
