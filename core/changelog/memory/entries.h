/*
 * memory/entries.h - the entries of one partition of the driver `memory`: an array by offset, with holes after compaction.
 *
 * Entries are counted references, so that a loop can show them to a reader while another thread compacts. The array is
 * guarded by the log's lock (memory.c), the entries themselves never change once they are in it.
 */
#ifndef AFF_CHANGELOG_MEMORY_ENTRIES_H
#define AFF_CHANGELOG_MEMORY_ENTRIES_H

#include "changelog/changelog.h"
#include "changelog/compaction.h"

#include <stdatomic.h>

struct memory_entry {
    struct memory_entry *next; /* among the appends of a pass */
    atomic_uint refs;
    uint64_t seq;           /* of the append */
    bool silent;            /* nobody waits for its report any more */
    struct aff_entry entry; /* its views point behind the struct */
};

struct memory_entry *aff_memory_entry_new(const struct aff_entry *entry, uint64_t seq); /* NULL: out of memory */
struct memory_entry *aff_memory_entry_unref(struct memory_entry *entry);                /* returns NULL */

struct memory_entries {
    struct memory_entry **items; /* ascending offsets */
    size_t count, capacity;
    int64_t end; /* one above the highest offset ever given */
    int64_t last_ms;
};

void aff_memory_entries_fini(struct memory_entries *list);

/* Gives the entry its offset and time, and takes over the caller's reference. */
void aff_memory_entries_append(struct memory_entries *list, struct memory_entry *entry, int64_t now_ms);

/* References to entries from `from` on, at most `max_bytes` of keys and values and `max_count`, but one if there is one. */
size_t aff_memory_entries_read(const struct memory_entries *list, int64_t from, size_t max_bytes, size_t max_count,
                               struct memory_entry **ret_items);

size_t aff_memory_entries_compact(struct memory_entries *list, const struct aff_compaction *rules);

#endif
