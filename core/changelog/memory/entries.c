/*
 * memory/entries.c - see memory/entries.h.
 */
#include "changelog/memory/entries.h"

#include "base/alloc.h"
#include "base/map.h"

#include <assert.h>
#include <stdlib.h>

/* ---- one entry ---- */

static aff_bytes copied(unsigned char **at, aff_bytes from)
{
    if (!from.data)
        return (aff_bytes){ NULL, 0 };
    unsigned char *to = *at;
    if (from.len)
        memcpy(to, from.data, from.len);
    *at += from.len;
    return aff_bytes_of(to, from.len);
}

struct memory_entry *aff_memory_entry_new(const struct aff_entry *entry, uint64_t seq)
{
    struct memory_entry *e = malloc(sizeof *e + aff_entry_size(entry) + 1); /* views have a byte to point at */
    if (!e)
        return NULL;
    unsigned char *at = (unsigned char *)(e + 1);
    e->next = NULL;
    atomic_init(&e->refs, 1);
    e->seq = seq;
    e->silent = false;
    e->entry = (struct aff_entry){
        .offset = -1,
        .key = copied(&at, entry->key),
        .value = copied(&at, entry->value),
        .aff = copied(&at, entry->aff),
        .content_type = copied(&at, entry->content_type),
        .event_time = copied(&at, entry->event_time),
        .traceparent = copied(&at, entry->traceparent),
    };
    return e;
}

struct memory_entry *aff_memory_entry_unref(struct memory_entry *e)
{
    if (e && atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) == 1)
        free(e);
    return NULL;
}

/* ---- the array ---- */

void aff_memory_entries_fini(struct memory_entries *list)
{
    for (size_t i = 0; i < list->count; i++)
        list->items[i] = aff_memory_entry_unref(list->items[i]);
    free(list->items);
    *list = (struct memory_entries){ 0 };
}

void aff_memory_entries_append(struct memory_entries *list, struct memory_entry *e, int64_t now_ms)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : 64;
        list->items = aff_xrealloc(list->items, list->capacity, sizeof(struct memory_entry *));
    }
    if (list->end == 0 || now_ms > list->last_ms)
        list->last_ms = now_ms;
    e->entry.offset = list->end++;
    e->entry.time_ms = list->last_ms;
    list->items[list->count++] = e;
}

/* Index of the first entry at or above an offset. */
static size_t first_from(const struct memory_entries *list, int64_t offset)
{
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (list->items[mid]->entry.offset < offset)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

size_t aff_memory_entries_read(const struct memory_entries *list, int64_t from, size_t max_bytes, size_t max_count,
                               struct memory_entry **ret_items)
{
    size_t count = 0, bytes = 0;
    for (size_t i = first_from(list, from); i < list->count && count < max_count; i++) {
        struct memory_entry *e = list->items[i];
        bytes += e->entry.key.len + e->entry.value.len;
        if (count > 0 && bytes > max_bytes)
            break;
        atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
        ret_items[count++] = e;
    }
    return count;
}

/* ---- compaction ---- */

struct latest {
    struct aff_map_node node;
    int64_t offset;
};

/* The entries in reach are the first ones: offsets rise, and times do not fall. */
static size_t reach_of(const struct memory_entries *list, const struct aff_compaction *rules)
{
    size_t n = 0;
    while (n < list->count &&
           aff_compaction_reaches(rules, list->items[n]->entry.offset, list->items[n]->entry.time_ms))
        n++;
    return n;
}

static struct latest *latest_of(const struct aff_map *map, aff_bytes key)
{
    struct aff_map_node *node = aff_map_get(map, key);
    return node ? aff_container_of(node, struct latest, node) : NULL;
}

static void note_latest(struct aff_map *map, const struct memory_entry *e, struct latest *spare)
{
    struct latest *known = latest_of(map, e->entry.key);
    if (!known) {
        known = spare;
        aff_map_add(map, &known->node, e->entry.key);
    }
    known->offset = e->entry.offset;
}

static size_t sweep(struct memory_entries *list, size_t reach, const struct aff_map *map,
                    const struct aff_compaction *rules, struct memory_entry **gone)
{
    size_t kept = 0, dropped = 0;
    for (size_t i = 0; i < list->count; i++) {
        struct memory_entry *e = list->items[i];
        if (i < reach && aff_compaction_drops(rules, e->entry.offset, e->entry.time_ms, !e->entry.value.data,
                                              latest_of(map, e->entry.key)->offset))
            gone[dropped++] = e;
        else
            list->items[kept++] = e;
    }
    list->count = kept;
    return dropped;
}

size_t aff_memory_entries_compact(struct memory_entries *list, const struct aff_compaction *rules)
{
    size_t reach = reach_of(list, rules), dropped;
    struct latest *latest = aff_xcalloc(reach + 1, sizeof *latest);
    struct memory_entry **gone = aff_xcalloc(reach + 1, sizeof(struct memory_entry *));
    struct aff_map map;

    aff_map_init(&map, 0);
    for (size_t i = 0; i < reach; i++)
        note_latest(&map, list->items[i], &latest[i]);
    dropped = sweep(list, reach, &map, rules, gone);
    aff_map_fini(&map);
    for (size_t i = 0; i < dropped; i++) /* only now: the map borrows their keys */
        gone[i] = aff_memory_entry_unref(gone[i]);
    free(gone);
    free(latest);
    return dropped;
}
