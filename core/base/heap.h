/*
 * heap.h - an intrusive binary min-heap keyed by a 64-bit number (a time in nanoseconds, mostly).
 *
 * Timers of a loop and deadlines of requests live in it. The heap owns only its array of pointers. One thread.
 */
#ifndef AFF_BASE_HEAP_H
#define AFF_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aff_heap_node {
    int64_t key;
    size_t slot; /* place in the array plus one; 0 when on no heap */
};

struct aff_heap {
    struct aff_heap_node **nodes;
    size_t count, capacity;
};

void aff_heap_init(struct aff_heap *h);
void aff_heap_fini(struct aff_heap *h); /* nodes still on it are forgotten, not freed */

/* Puts the node on the heap, or moves it when it is there already. Aborts when the array cannot grow. */
void aff_heap_set(struct aff_heap *h, struct aff_heap_node *node, int64_t key);
void aff_heap_remove(struct aff_heap *h, struct aff_heap_node *node); /* harmless when it is on no heap */
struct aff_heap_node *aff_heap_min(const struct aff_heap *h);         /* NULL when empty */

static inline bool aff_heap_has(const struct aff_heap_node *node)
{
    return node->slot != 0;
}

#endif
