/*
 * scan_range.c - where a scan begins and ends, and which partitions it asks.
 */
#include "router/scan_inner.h"

#include <stdlib.h>

struct aff_range aff_range_of_prefix(struct aff_range range, aff_bytes prefix, unsigned char *room)
{
    const unsigned char *bytes = prefix.data;
    size_t len = prefix.len;

    if (!range.start.data || aff_bytes_compare(range.start, prefix) < 0)
        range.start = prefix;
    while (len > 0 && bytes[len - 1] == 0xff)
        len--;
    if (len == 0) /* nothing comes behind all that begins so */
        return range;
    memcpy(room, bytes, len);
    room[len - 1]++;
    if (!range.end.data || aff_bytes_compare(aff_bytes_of(room, len), range.end) < 0)
        range.end = aff_bytes_of(room, len);
    return range;
}

static void bound_set(struct aff_scan_bound *b, aff_bytes bytes)
{
    b->there = bytes.data != NULL;
    b->len = (uint16_t)(bytes.len < AFF_SCAN_BOUND_MAX ? bytes.len : AFF_SCAN_BOUND_MAX);
    if (b->there && b->len)
        memcpy(b->bytes, bytes.data, b->len);
}

static aff_bytes bound_view(const struct aff_scan_bound *b)
{
    return aff_bytes_of(b->there ? b->bytes : NULL, b->len);
}

/* How many bytes of `start` all keys of the range begin with. */
static size_t shared_beginning(struct aff_range range)
{
    const unsigned char *start = range.start.data, *end = range.end.data;
    size_t n = 0, most = range.start.len < AFF_KEY_MAX ? range.start.len : AFF_KEY_MAX;

    if (!start)
        return 0;
    while (end && n < most && n < range.end.len && start[n] == end[n])
        n++;
    if (end) {
        if (n == most || n + 1 != range.end.len || end[n] != start[n] + 1)
            return n;
        n++; /* the end is what follows all that begins so: from here on it is no bound */
    }
    while (n < most && start[n] == 0xff)
        n++;
    return n;
}

/* Where the scan begins and ends, in its own direction. */
static void set_bounds(struct aff_scan *scan, const struct aff_scan_opts *opts)
{
    aff_bytes from = opts->reverse ? opts->range.end : opts->range.start, after = opts->after;

    scan->inclusive = !opts->reverse;
    if (after.data &&
        (!from.data || (opts->reverse ? aff_bytes_compare(after, from) < 0 : aff_bytes_compare(after, from) >= 0))) {
        from = after;
        scan->inclusive = false;
    }
    bound_set(&scan->from, from);
    bound_set(&scan->until, opts->reverse ? opts->range.start : opts->range.end);
    scan->shared = (uint16_t)shared_beginning(opts->range);
}

/* Terms come with a request, which bounds them. */
static void set_index(struct aff_scan *scan, const struct aff_index_range *range)
{
    size_t from = range->from.data ? range->from.len : 0, to = range->to.data ? range->to.len : 0;

    assert(!scan->opts.range.start.data && !scan->opts.range.end.data && scan->opts.space->indexes);
    scan->terms.data = aff_xmalloc(from + to + 1);
    scan->terms.capacity = from + to + 1;
    if (!aff_buf_add(&scan->terms, range->from.data, from) || !aff_buf_add(&scan->terms, range->to.data, to))
        abort(); /* there is room */
    scan->index = (struct aff_index_range){ range->index, { NULL, 0 }, { NULL, 0 } };
    if (range->from.data)
        scan->index.from = aff_bytes_of(scan->terms.data, from);
    if (range->to.data)
        scan->index.to = aff_bytes_of(scan->terms.data + from, to);
    scan->opts.index = &scan->index;
}

void aff_scan_set_range(struct aff_scan *scan, const struct aff_scan_opts *opts)
{
    set_bounds(scan, opts);
    if (opts->index)
        set_index(scan, opts->index);
}

struct aff_store_step aff_scan_step_of(const struct aff_scan *scan, const struct aff_scan_part *part, uint32_t last)
{
    struct aff_store_step step = {
        .from = bound_view(&scan->from),
        .until = bound_view(&scan->until),
        .inclusive = scan->inclusive,
        .reverse = scan->opts.reverse,
        .keys_only = scan->opts.keys_only,
    };
    size_t size;

    if (part->chunk > 0) {
        step.from = aff_store_entry_key(part->data + last, &size);
        step.inclusive = false;
    }
    return step;
}

/* Have all keys of the range the same route? */
static bool is_one_route(const struct aff_scan_opts *opts, uint32_t *ret_partition)
{
    aff_bytes beginning = aff_bytes_of(opts->range.start.data, shared_beginning(opts->range));

    if (!aff_key_route_settles(&opts->space->route, beginning))
        return false;
    *ret_partition = aff_space_partition(opts->space, beginning);
    return true;
}

size_t aff_scan_partitions(const struct aff_scan_opts *opts, uint32_t *ret_first)
{
    if (!opts->alone)
        return is_one_route(opts, ret_first) ? 1 : opts->space->partitions;
    *ret_first = opts->partition;
    return 1;
}
