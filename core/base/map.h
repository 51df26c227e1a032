/*
 * map.h - an intrusive hash map from bytes to the struct that embeds the node.
 *
 * Chained, grows by doubling, hashes with SipHash-1-3 under a seed of the map's own so that clients who choose keys
 * cannot make chains long. The map owns only its table; nodes and the bytes of their keys belong to the caller and must
 * not change while the node is in. One thread.
 */
#ifndef AFF_BASE_MAP_H
#define AFF_BASE_MAP_H

#include <affinity/bytes.h>
#include <stdint.h>

struct aff_map_node {
    struct aff_map_node *next;
    aff_bytes key; /* borrowed from the struct that embeds this node */
    uint64_t hash;
};

struct aff_map {
    struct aff_map_node **slots;
    size_t count, mask;
    uint64_t seed[2];
};

void aff_map_init(struct aff_map *m, uint64_t seed);
void aff_map_fini(struct aff_map *m); /* nodes still in it are forgotten, not freed */

struct aff_map_node *aff_map_get(const struct aff_map *m, aff_bytes key);      /* NULL when absent */
void aff_map_add(struct aff_map *m, struct aff_map_node *node, aff_bytes key); /* the key must be absent */
void aff_map_remove(struct aff_map *m, struct aff_map_node *node);             /* the node must be in */

/* Walks all nodes in no particular order; `at` starts as NULL; the map must not change meanwhile except that the node
 * returned last may be removed (and is freed only after the next step). */
struct aff_map_node *aff_map_next(const struct aff_map *m, const struct aff_map_node *at);

#endif
