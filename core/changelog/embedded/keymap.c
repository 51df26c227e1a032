/*
 * embedded/keymap.c - see embedded/keymap.h. Open addressing, linear probing, at most two thirds full.
 */
#include "changelog/embedded/keymap.h"

#include "base/alloc.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

enum { FIRST_SLOTS = 1024 };

/* ---- SipHash-2-4 (Aumasson, Bernstein), of a number and bytes ---- */

struct sip {
    uint64_t a, b, c, d;
};

static inline uint64_t rotated(uint64_t x, unsigned by)
{
    return x << by | x >> (64 - by);
}

static inline void sip_rounds(struct sip *s, int rounds)
{
    while (rounds-- > 0) {
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
}

static inline void sip_word(struct sip *s, uint64_t word)
{
    s->d ^= word;
    sip_rounds(s, 2);
    s->a ^= word;
}

static uint64_t hash_of(const uint64_t seed[2], uint32_t number, aff_bytes key)
{
    struct sip s = { seed[0] ^ UINT64_C(0x736f6d6570736575), seed[1] ^ UINT64_C(0x646f72616e646f6d),
                     seed[0] ^ UINT64_C(0x6c7967656e657261), seed[1] ^ UINT64_C(0x7465646279746573) };
    const unsigned char *at = key.data;
    size_t left = key.len;
    uint64_t word;

    sip_word(&s, number);
    for (; left >= sizeof word; at += sizeof word, left -= sizeof word) {
        memcpy(&word, at, sizeof word); /* in the machine's order: hashes never leave the process */
        sip_word(&s, word);
    }
    word = 0;
    if (left)
        memcpy(&word, at, left);
    sip_word(&s, word ^ (uint64_t)key.len << 56);
    s.c ^= 0xff;
    sip_rounds(&s, 4);
    return s.a ^ s.b ^ s.c ^ s.d;
}

/* ---- the table ---- */

static void make_slots(struct aff_keymap *map, size_t capacity)
{
    map->slots = aff_xcalloc(capacity, sizeof *map->slots);
    map->capacity = capacity;
    map->count = 0;
}

void aff_keymap_init(struct aff_keymap *map, size_t max_bytes)
{
    map->limit = max_bytes / sizeof *map->slots * 2 / 3;
    while (getrandom(map->seed, sizeof map->seed, 0) != (ssize_t)sizeof map->seed)
        if (errno != EINTR)
            abort(); /* Linux has had it since 3.17 */
    make_slots(map, FIRST_SLOTS);
}

void aff_keymap_fini(struct aff_keymap *map)
{
    free(map->slots);
    map->slots = NULL;
}

void aff_keymap_clear(struct aff_keymap *map)
{
    free(map->slots);
    make_slots(map, FIRST_SLOTS);
}

static struct aff_keymap_slot *find(const struct aff_keymap *map, const uint64_t hash[2])
{
    size_t i = hash[0] & (map->capacity - 1);
    while (map->slots[i].offset && (map->slots[i].hash[0] != hash[0] || map->slots[i].hash[1] != hash[1]))
        i = (i + 1) & (map->capacity - 1);
    return &map->slots[i];
}

static void grow(struct aff_keymap *map)
{
    struct aff_keymap_slot *old = map->slots;
    size_t capacity = map->capacity, count = map->count;

    make_slots(map, 2 * capacity);
    for (size_t i = 0; i < capacity; i++)
        if (old[i].offset)
            *find(map, old[i].hash) = old[i];
    map->count = count;
    free(old);
}

static struct aff_keymap_slot *slot_of(const struct aff_keymap *map, uint32_t partition, aff_bytes key,
                                       uint64_t ret_hash[2])
{
    ret_hash[0] = hash_of(map->seed, partition, key);
    ret_hash[1] = hash_of(map->seed + 2, partition, key);
    return find(map, ret_hash);
}

void aff_keymap_note(struct aff_keymap *map, uint32_t partition, aff_bytes key, int64_t offset)
{
    uint64_t hash[2];
    if (map->count + 1 > map->capacity / 3 * 2)
        grow(map);
    struct aff_keymap_slot *slot = slot_of(map, partition, key, hash);
    if (!slot->offset) {
        slot->hash[0] = hash[0];
        slot->hash[1] = hash[1];
        map->count++;
    }
    slot->offset = offset + 1;
}

int64_t aff_keymap_latest(const struct aff_keymap *map, uint32_t partition, aff_bytes key)
{
    uint64_t hash[2];
    return slot_of(map, partition, key, hash)->offset - 1;
}
