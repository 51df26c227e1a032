/*
 * map.c - see map.h.
 *
 * The table doubles when there are more nodes than slots. When there is no memory for a larger one the chains get
 * longer instead: a map that is full is slow, not broken. It never shrinks.
 */
#include "base/map.h"

#include "base/alloc.h"

#include <assert.h>
#include <stdlib.h>

enum { FIRST_SLOTS = 16 };

/* ---- SipHash-1-3 (Aumasson, Bernstein) ---- */

struct sip {
    uint64_t a, b, c, d;
};

static uint64_t rotated(uint64_t x, unsigned by)
{
    return x << by | x >> (64 - by);
}

static void sip_round(struct sip *s)
{
    s->a += s->b;
    s->c += s->d;
    s->b = rotated(s->b, 13) ^ s->a;
    s->d = rotated(s->d, 16) ^ s->c;
    s->a = rotated(s->a, 32);
    s->c += s->b;
    s->a += s->d;
    s->b = rotated(s->b, 17) ^ s->c;
    s->d = rotated(s->d, 21) ^ s->a;
    s->c = rotated(s->c, 32);
}

static void sip_word(struct sip *s, uint64_t word)
{
    s->d ^= word;
    sip_round(s);
    s->a ^= word;
}

/* Up to eight bytes, least significant first. */
static uint64_t little_endian(const unsigned char *at, size_t len)
{
    uint64_t word = 0;
    for (size_t i = 0; i < len; i++)
        word |= (uint64_t)at[i] << (8 * i);
    return word;
}

static uint64_t hash_of(const uint64_t seed[2], aff_bytes key)
{
    struct sip s = { seed[0] ^ UINT64_C(0x736f6d6570736575), seed[1] ^ UINT64_C(0x646f72616e646f6d),
                     seed[0] ^ UINT64_C(0x6c7967656e657261), seed[1] ^ UINT64_C(0x7465646279746573) };
    const unsigned char *at = key.data;
    size_t left = key.len;
    for (; left >= 8; at += 8, left -= 8)
        sip_word(&s, little_endian(at, 8));
    sip_word(&s, little_endian(at, left) | (uint64_t)(key.len & 0xff) << 56);
    s.c ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(&s);
    return s.a ^ s.b ^ s.c ^ s.d;
}

/* ---- the table ---- */

void aff_map_init(struct aff_map *m, uint64_t seed)
{
    /* The second half of the key by one step of splitmix64. */
    uint64_t z = seed + UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    *m = (struct aff_map){ .seed = { seed, z ^ z >> 31 } };
}

void aff_map_fini(struct aff_map *m)
{
    free(m->slots);
    m->slots = NULL;
    m->count = m->mask = 0;
}

static void push(struct aff_map_node **slots, size_t mask, struct aff_map_node *node)
{
    struct aff_map_node **slot = &slots[node->hash & mask];
    node->next = *slot;
    *slot = node;
}

static void grow(struct aff_map *m)
{
    size_t mask = 2 * m->mask + 1;
    struct aff_map_node **slots = calloc(mask + 1, sizeof *slots);
    if (!slots)
        return;
    for (size_t i = 0; i <= m->mask; i++)
        for (struct aff_map_node *node = m->slots[i], *next; node; node = next) {
            next = node->next;
            push(slots, mask, node);
        }
    free(m->slots);
    m->slots = slots;
    m->mask = mask;
}

static void make_room(struct aff_map *m)
{
    if (!m->slots) {
        m->slots = aff_xcalloc(FIRST_SLOTS, sizeof *m->slots);
        m->mask = FIRST_SLOTS - 1;
    } else if (m->count > m->mask) {
        grow(m);
    }
}

static struct aff_map_node *find(const struct aff_map *m, aff_bytes key, uint64_t hash)
{
    struct aff_map_node *node = m->slots ? m->slots[hash & m->mask] : NULL;
    while (node && !(node->hash == hash && aff_bytes_equal(node->key, key)))
        node = node->next;
    return node;
}

struct aff_map_node *aff_map_get(const struct aff_map *m, aff_bytes key)
{
    return m->count ? find(m, key, hash_of(m->seed, key)) : NULL;
}

void aff_map_add(struct aff_map *m, struct aff_map_node *node, aff_bytes key)
{
    node->key = key;
    node->hash = hash_of(m->seed, key);
    assert(!find(m, key, node->hash));
    make_room(m);
    push(m->slots, m->mask, node);
    m->count++;
}

void aff_map_remove(struct aff_map *m, struct aff_map_node *node)
{
    assert(m->count > 0);
    struct aff_map_node **link = &m->slots[node->hash & m->mask];
    while (*link && *link != node)
        link = &(*link)->next;
    assert(*link == node);
    if (!*link)
        return;
    *link = node->next; /* node->next stays: a walk goes on from it */
    m->count--;
}

struct aff_map_node *aff_map_next(const struct aff_map *m, const struct aff_map_node *at)
{
    if (!m->slots)
        return NULL;
    if (at && at->next)
        return at->next;
    for (size_t i = at ? (at->hash & m->mask) + 1 : 0; i <= m->mask; i++)
        if (m->slots[i])
            return m->slots[i];
    return NULL;
}
