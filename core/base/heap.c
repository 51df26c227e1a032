/*
 * heap.c - see heap.h. A node knows its place, so moving and removing it take logarithmic time without a search.
 */
#include "base/heap.h"

#include "base/alloc.h"

#include <assert.h>
#include <stdlib.h>

void aff_heap_init(struct aff_heap *h)
{
    *h = (struct aff_heap){ 0 };
}

void aff_heap_fini(struct aff_heap *h)
{
    for (size_t i = 0; i < h->count; i++)
        h->nodes[i]->slot = 0;
    free(h->nodes);
    aff_heap_init(h);
}

static void put(struct aff_heap *h, size_t at, struct aff_heap_node *node)
{
    h->nodes[at] = node;
    node->slot = at + 1;
}

static void move_up(struct aff_heap *h, size_t at)
{
    struct aff_heap_node *node = h->nodes[at];
    while (at > 0) {
        size_t parent = (at - 1) / 2;
        if (h->nodes[parent]->key <= node->key)
            break;
        put(h, at, h->nodes[parent]);
        at = parent;
    }
    put(h, at, node);
}

static size_t smaller_child(const struct aff_heap *h, size_t at)
{
    size_t left = 2 * at + 1, right = left + 1;
    return right < h->count && h->nodes[right]->key < h->nodes[left]->key ? right : left;
}

static void move_down(struct aff_heap *h, size_t at)
{
    struct aff_heap_node *node = h->nodes[at];
    while (at < h->count / 2) {
        size_t child = smaller_child(h, at);
        if (node->key <= h->nodes[child]->key)
            break;
        put(h, at, h->nodes[child]);
        at = child;
    }
    put(h, at, node);
}

/* The node at this place has a new key: it goes up or down, or stays. */
static void settle(struct aff_heap *h, size_t at)
{
    struct aff_heap_node *node = h->nodes[at];
    move_up(h, at);
    move_down(h, node->slot - 1);
}

void aff_heap_set(struct aff_heap *h, struct aff_heap_node *node, int64_t key)
{
    node->key = key;
    if (!aff_heap_has(node)) {
        if (h->count == h->capacity) {
            h->capacity = h->capacity ? 2 * h->capacity : 16;
            h->nodes = aff_xrealloc(h->nodes, h->capacity, sizeof *h->nodes);
        }
        put(h, h->count++, node);
    }
    assert(node->slot <= h->count && h->nodes[node->slot - 1] == node);
    settle(h, node->slot - 1);
}

void aff_heap_remove(struct aff_heap *h, struct aff_heap_node *node)
{
    if (!aff_heap_has(node))
        return;
    size_t at = node->slot - 1;
    assert(at < h->count && h->nodes[at] == node);
    node->slot = 0;
    struct aff_heap_node *last = h->nodes[--h->count];
    if (last == node)
        return;
    put(h, at, last);
    settle(h, at);
}

struct aff_heap_node *aff_heap_min(const struct aff_heap *h)
{
    return h->count ? h->nodes[0] : NULL;
}
