/*
 * embedded/keymap.h - the highest offset of each key, in bounded memory, for one round of compaction.
 *
 * Keys are kept as 128-bit SipHash-2-4 under a random seed: clients choose keys, and two that collided would lose one of
 * them. One thread.
 */
#ifndef AFF_CHANGELOG_EMBEDDED_KEYMAP_H
#define AFF_CHANGELOG_EMBEDDED_KEYMAP_H

#include <affinity/bytes.h>
#include <stdint.h>

struct aff_keymap_slot {
    uint64_t hash[2];
    int64_t offset; /* plus one; 0: the slot is empty */
};

struct aff_keymap {
    uint64_t seed[4];
    struct aff_keymap_slot *slots;
    size_t count, capacity; /* a power of two */
    size_t limit;           /* keys that it should hold at most; see aff_keymap_full() */
};

void aff_keymap_init(struct aff_keymap *map, size_t max_bytes);
void aff_keymap_fini(struct aff_keymap *map);
void aff_keymap_clear(struct aff_keymap *map);

/* Offsets of a key are noted in rising order. It grows beyond its limit when it must: the caller asks aff_keymap_full()
 * between segments. */
void aff_keymap_note(struct aff_keymap *map, uint32_t partition, aff_bytes key, int64_t offset);
/* The highest noted offset, -1: none. */
int64_t aff_keymap_latest(const struct aff_keymap *map, uint32_t partition, aff_bytes key);
static inline bool aff_keymap_full(const struct aff_keymap *map)
{
    return map->count >= map->limit;
}

#endif
