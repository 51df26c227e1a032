/*
 * scan.c - a merge of the partitions of a keyspace: each is read ahead in chunks, and the one whose key comes next is told.
 *
 * On the port's loop.
 */
#include "router/scan_inner.h"

#include <stdlib.h>

enum {
    CHUNK_FIRST = 1024, /* the first read of a partition: many scans want a few entries only */
    CHUNK_GROWS = 4,    /* the next one is so many times as large */
    READS_A_CALL = 256, /* then other work of the loop has its turn */
};

/* ---- how much is read ---- */

static size_t next_chunk(const struct aff_scan *scan, const struct aff_scan_part *part)
{
    size_t share = AFF_SCAN_AHEAD / scan->live, chunk = part->chunk ? (size_t)part->chunk * CHUNK_GROWS : CHUNK_FIRST;

    if (chunk > AFF_SCAN_CHUNK_MAX)
        chunk = AFF_SCAN_CHUNK_MAX;
    return chunk < share ? chunk : share;
}

/* What is asked of another node at once: another such chunk is asked for while the first is told. */
static size_t half_of(size_t chunk)
{
    return chunk / 2 < CHUNK_FIRST ? chunk : chunk / 2;
}

/* ---- the heap ---- */

static aff_bytes key_at(const struct aff_scan_part *part, uint32_t at, size_t *ret_size)
{
    return aff_store_entry_key(part->data + at, ret_size);
}

/* Numbers that order as the keys do where they differ. */
static uint64_t order_of(aff_bytes key, size_t skip)
{
    unsigned char first[8] = { 0 };

    if (key.len >= skip + sizeof first)
        return aff_get_u64((const unsigned char *)key.data + skip);
    if (key.len > skip)
        memcpy(first, (const unsigned char *)key.data + skip, key.len - skip);
    return aff_get_u64(first);
}

static bool comes_before(const struct aff_scan *scan, const struct aff_scan_part *a, const struct aff_scan_part *b)
{
    size_t size;
    int order;

    if (a->order != b->order)
        return scan->opts.reverse != (a->order < b->order);
    order = aff_bytes_compare(key_at(a, a->at, &size), key_at(b, b->at, &size));
    return scan->opts.reverse ? order > 0 : order < 0;
}

static void sink(struct aff_scan *scan, size_t i)
{
    struct aff_scan_part *part = scan->heap[i];

    for (size_t child = 2 * i + 1; child < scan->merged; child = 2 * i + 1) {
        if (child + 1 < scan->merged && comes_before(scan, scan->heap[child + 1], scan->heap[child]))
            child++;
        if (!comes_before(scan, scan->heap[child], part))
            break;
        scan->heap[i] = scan->heap[child];
        i = child;
    }
    scan->heap[i] = part;
}

static void merge_in(struct aff_scan *scan, struct aff_scan_part *part)
{
    size_t i = scan->merged++, size;

    part->order = order_of(key_at(part, part->at, &size), scan->shared);
    while (i > 0 && comes_before(scan, part, scan->heap[(i - 1) / 2])) {
        scan->heap[i] = scan->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    scan->heap[i] = part;
}

static void take_first_out(struct aff_scan *scan)
{
    scan->heap[0] = scan->heap[--scan->merged];
    if (scan->merged > 0)
        sink(scan, 0);
}

static void end_part(struct aff_scan *scan, struct aff_scan_part *part)
{
    aff_scan_forget_away(scan, part);
    free(part->data);
    part->data = NULL;
    part->len = part->capacity = 0;
    scan->live--;
}

/* On to what follows the first of the heap. */
static void pass_first(struct aff_scan *scan)
{
    struct aff_scan_part *part = scan->heap[0];
    size_t size;

    scan->told = false;
    aff_scan_value_passed(scan);
    if (scan->whole.capacity > AFF_SCAN_CHUNK_MAX)
        aff_buf_fini(&scan->whole);
    (void)key_at(part, part->at, &size);
    part->last = part->at;
    part->at += (uint32_t)size;
    if (part->at < part->len) {
        if (part->follow && part->at >= part->len / 2)
            aff_scan_ask_ahead(scan, part, half_of(next_chunk(scan, part)));
        part->order = order_of(key_at(part, part->at, &size), scan->shared);
        sink(scan, 0);
        return;
    }
    take_first_out(scan);
    if (part->ended)
        end_part(scan, part);
    else
        scan->dry[scan->dry_count++] = part;
}

/* ---- what the parts tell ---- */

int aff_scan_fail(struct aff_scan *scan, const struct aff_scan_part *part, int code)
{
    if (scan->failure)
        return scan->failure;
    scan->failed = part->index;
    return scan->failure = code;
}

static void wake_up(struct aff_timer *timer)
{
    struct aff_scan *scan = aff_container_of(timer, struct aff_scan, wake);

    if (!scan->waiting)
        return;
    scan->waiting = false;
    scan->opts.ready(scan->opts.self); /* it may free the scan */
}

static void owe_ready(struct aff_scan *scan)
{
    aff_loop_timer_set(scan->opts.port->loop, &scan->wake, aff_loop_now(scan->opts.port->loop));
}

void aff_scan_came(struct aff_scan *scan)
{
    assert(scan->awaited > 0);
    if (--scan->awaited == 0 && !scan->inside)
        owe_ready(scan);
}

/* ---- reading ahead ---- */

/* Fetches the next chunk of a dry part. 0; AFF_EAGAIN: it comes later; or a failure. */
static int fetch(struct aff_scan *scan, struct aff_scan_part *part, size_t chunk)
{
    int code = aff_scan_is_away(part) ? AFF_ENOMASTER : aff_scan_read_here(scan, part, chunk);

    return code == AFF_ENOMASTER && aff_port_clustered(scan->opts.port) ? aff_scan_read_away(scan, part, half_of(chunk))
                                                                        : code;
}

/* The same, and it is merged in. */
static int read_part(struct aff_scan *scan, struct aff_scan_part *part)
{
    size_t chunk = next_chunk(scan, part);
    int code = fetch(scan, part, chunk);

    if (code != 0)
        return code;
    part->chunk = (uint32_t)chunk;
    if (part->len > 0)
        merge_in(scan, part);
    else
        end_part(scan, part);
    return 0;
}

/* One round over the dry parts; those that stay so are kept. */
static int read_dry(struct aff_scan *scan, unsigned *reads)
{
    size_t kept = 0, count = scan->dry_count;
    int code = 0;

    for (size_t i = 0; i < count; i++) {
        struct aff_scan_part *part = scan->dry[i];

        if (code == 0 && !part->proving && *reads < READS_A_CALL) {
            int read = read_part(scan, part);

            (*reads)++;
            if (read == 0)
                continue;
            if (read != AFF_EAGAIN)
                code = aff_scan_fail(scan, part, read);
        }
        scan->dry[kept++] = part;
    }
    scan->dry_count = kept;
    return scan->failure;
}

/* 0: go on, all is there; AFF_EAGAIN: `ready` comes. */
static int wait(const struct aff_scan *scan)
{
    return scan->failure ? scan->failure : scan->awaited > 0 ? AFF_EAGAIN : 0;
}

/* Until no part is dry. */
static int refill(struct aff_scan *scan)
{
    unsigned reads = 0;

    while (scan->dry_count > 0) {
        int code = read_dry(scan, &reads);

        if (code == 0)
            code = wait(scan);
        if (code != 0)
            return code;
        if (scan->dry_count > 0 && reads >= READS_A_CALL) {
            owe_ready(scan);
            return AFF_EAGAIN;
        }
    }
    return 0;
}

/* ---- telling ---- */

static int read_value(struct aff_scan *scan, struct aff_scan_part *part, aff_bytes place, aff_bytes key,
                      struct aff_item *ret_item)
{
    int found = aff_scan_value_is_away(scan) ? AFF_ENOMASTER
                                             : aff_scan_read_value_here(scan, part, place, key, ret_item);

    return found == AFF_ENOMASTER && aff_port_clustered(scan->opts.port)
               ? aff_scan_read_value_away(scan, part, place, key, ret_item)
               : found;
}

/* The first of the heap. 1; 0: it is gone meanwhile; AFF_EAGAIN or a failure. */
static int tell(struct aff_scan *scan, struct aff_scan_entry *ret)
{
    struct aff_scan_part *part = scan->heap[0];
    struct aff_store_entry entry;
    size_t size;
    aff_bytes place = key_at(part, part->at, &size);
    int found = 1;

    if (scan->opts.index)
        aff_index_entry_read(part->data + part->at, &entry);
    else
        aff_store_entry_read(part->data + part->at, &entry);
    if (!entry.whole)
        found = read_value(scan, part, place, entry.key, &entry.item);
    if (found < 0 && found != AFF_EAGAIN)
        return aff_scan_fail(scan, part, found);
    if (found == 1)
        *ret = (struct aff_scan_entry){ entry.key, entry.item, place, part->index, part->identity8 };
    return found;
}

static int next(struct aff_scan *scan, struct aff_scan_entry *ret)
{
    int code;

    if (scan->failure)
        return scan->failure;
    if (scan->told)
        pass_first(scan);
    for (;;) {
        code = refill(scan);
        if (code != 0)
            return code;
        if (scan->merged == 0)
            return 0;
        code = tell(scan, ret);
        if (code == 0) {
            pass_first(scan);
        } else if (code != AFF_EAGAIN) {
            scan->told = code == 1;
            return code;
        } else if ((code = wait(scan)) != 0) {
            return code;
        }
    }
}

int aff_scan_next(struct aff_scan *scan, struct aff_scan_entry *ret_entry, uint32_t *ret_partition)
{
    struct aff_port *port = scan->opts.port;
    int code;

    assert(aff_loop_here(port->loop) && !port->open && !scan->inside);
    (void)port;
    scan->inside = true;
    code = next(scan, ret_entry);
    scan->inside = false;
    scan->waiting = code == AFF_EAGAIN;
    if (code < 0 && code != AFF_EAGAIN && ret_partition)
        *ret_partition = scan->failed;
    return code;
}

/* ---- life ---- */

struct aff_scan *aff_scan_new(const struct aff_scan_opts *opts)
{
    uint32_t first = 0;
    size_t count = aff_scan_partitions(opts, &first);
    struct aff_scan *scan = aff_xcalloc(1, sizeof *scan + count * sizeof *scan->parts);

    scan->opts = *opts;
    scan->wake.fire = wake_up;
    scan->count = scan->live = scan->dry_count = count;
    scan->heap = aff_xcalloc(count, sizeof *scan->heap);
    scan->dry = aff_xcalloc(count, sizeof *scan->dry);
    aff_list_init(&scan->proofs);
    aff_buf_init(&scan->whole);
    aff_buf_init(&scan->terms);
    aff_scan_set_range(scan, opts);
    for (size_t i = 0; i < count; i++) {
        scan->parts[i].index = first + (uint32_t)i;
        scan->dry[i] = &scan->parts[i];
    }
    return scan;
}

struct aff_scan *aff_scan_free(struct aff_scan *scan)
{
    if (!scan)
        return NULL;
    assert(aff_loop_here(scan->opts.port->loop) && !scan->inside);
    aff_scan_forget_proofs(scan);
    aff_loop_timer_cancel(scan->opts.port->loop, &scan->wake);
    aff_scan_forget_value(scan);
    for (size_t i = 0; i < scan->count; i++) {
        aff_scan_forget_away(scan, &scan->parts[i]);
        free(scan->parts[i].data);
    }
    aff_buf_fini(&scan->whole);
    aff_buf_fini(&scan->terms);
    free(scan->heap);
    free(scan->dry);
    free(scan);
    return NULL;
}
