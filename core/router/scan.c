/*
 * scan.c - a merge of the partitions of a keyspace: each is read ahead in chunks, and the one whose key comes next is told.
 *
 *   dry      nothing read ahead: to be read before anything else can be told
 *   merged   on the heap by the key that it comes with next
 *   ended    it has no more
 *
 * A chunk is read in one snapshot of the loop's own reader (store/scan.c), and the right to serve it is asked for afterwards, so it
 * held at a moment after the read (I5). Without a lease a barrier goes to the partition first. Its proof also holds for what is
 * read there within the next second: as long as the partition serves, what it has was current when the barrier was confirmed
 * or later, and so while the scan ran, which is all that a scan says of an entry.
 *
 * On the port's loop.
 */
#include "router/scan.h"

#include "base/buf.h"
#include "router/inner.h"

#include <stdlib.h>

enum {
    CHUNK_FIRST = 1024, /* the first read of a partition: many scans want a few entries only */
    CHUNK_GROWS = 4,    /* the next one is so many times as large */
    CHUNK_MAX = 64 * 1024,
    READS_A_CALL = 256, /* then other work of the loop has its turn */
    PROOFS_AT_ONCE = 64,
    /* Keys compare with these bytes of a longer bound as with all of it, and so do places of an index: a term, a key, two bytes. */
    BOUND_MAX = 2 * AFF_KEY_MAX + 3,
};

#define PROOF_HOLDS_NS AFF_NS_PER_S

struct part {
    unsigned char *data; /* entries that were read ahead, as store/scan.c copied them */
    uint32_t len, capacity;
    uint32_t at;       /* the entry that comes next; when it is dry that is behind the last */
    uint32_t last;     /* the entry before it: where the next read goes on */
    uint32_t chunk;    /* bytes that were asked for by the last read; 0: there was none */
    uint32_t index;    /* of the partition */
    uint32_t identity8;
    bool ended;        /* nothing lies behind what was read */
    bool proving;      /* a barrier is under way */
    uint64_t order;    /* the next key's first bytes behind what all keys of the range share */
    int64_t proven_ns; /* until then by a barrier; INT64_MAX: for the next read, whenever that is */
};

struct bound {
    bool there;
    uint16_t len;
    unsigned char bytes[BOUND_MAX];
};

struct aff_scan {
    struct aff_scan_opts opts; /* its views are in the bounds */
    struct bound from, until;
    struct aff_index_range index; /* its terms are in `terms` */
    struct aff_buf terms;
    bool inclusive;    /* `from` itself, too */
    bool inside;       /* a call */
    bool waiting;      /* AFF_EAGAIN was said, `ready` is owed */
    bool told;         /* the first of the heap */
    uint16_t shared;   /* bytes at the beginning of all keys of the range */
    int failure;
    uint32_t failed;   /* partition */
    struct aff_timer wake;
    struct aff_list proofs;
    unsigned proving;
    struct aff_buf whole; /* of a value that was not read ahead */
    struct part **heap, **dry;
    size_t merged, dry_count, live; /* live: not ended */
    size_t count;
    struct part parts[];
};

/* A barrier on its way. It outlives a scan that is freed meanwhile. */
struct proof {
    struct aff_call call;
    struct aff_list link;
    struct aff_scan *scan; /* NULL: nobody waits for it */
    struct part *part;
};

/* ---- ranges ---- */

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

static void bound_set(struct bound *b, aff_bytes bytes)
{
    b->there = bytes.data != NULL;
    b->len = (uint16_t)(bytes.len < BOUND_MAX ? bytes.len : BOUND_MAX);
    if (b->there && b->len)
        memcpy(b->bytes, bytes.data, b->len);
}

static aff_bytes bound_view(const struct bound *b)
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
    if (after.data && (!from.data || (opts->reverse ? aff_bytes_compare(after, from) < 0 : aff_bytes_compare(after, from) >= 0))) {
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

/* ---- the heap ---- */

static aff_bytes key_at(const struct part *part, uint32_t at, size_t *ret_size)
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

static bool comes_before(const struct aff_scan *scan, const struct part *a, const struct part *b)
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
    struct part *part = scan->heap[i];

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

static void merge_in(struct aff_scan *scan, struct part *part)
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

static void end_part(struct aff_scan *scan, struct part *part)
{
    free(part->data);
    part->data = NULL;
    part->len = part->capacity = 0;
    scan->live--;
}

/* On to what follows the first of the heap. */
static void pass_first(struct aff_scan *scan)
{
    struct part *part = scan->heap[0];
    size_t size;

    scan->told = false;
    if (scan->whole.capacity > CHUNK_MAX)
        aff_buf_fini(&scan->whole);
    (void)key_at(part, part->at, &size);
    part->last = part->at;
    part->at += (uint32_t)size;
    if (part->at < part->len) {
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

/* ---- proofs ---- */

static struct aff_partition *partition_of(const struct aff_scan *scan, const struct part *part)
{
    return ((const struct space *)scan->opts.space->parts)->parts[part->index];
}

static struct aff_store_reader *reader_of(const struct aff_scan *scan, const struct part *part)
{
    return scan->opts.port->readers[((const struct space *)scan->opts.space->parts)->first_reader + part->index];
}

static int64_t now_of(const struct aff_scan *scan)
{
    return aff_loop_now(scan->opts.port->loop);
}

static int fail(struct aff_scan *scan, const struct part *part, int code)
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
    aff_loop_timer_set(scan->opts.port->loop, &scan->wake, now_of(scan));
}

/* May this part be served, or what was read of it before this call (I5)? 0, AFF_EAGAIN: a barrier first, or a failure. */
static int proven(const struct aff_scan *scan, const struct part *part)
{
    int code = scan->opts.local ? 0 : aff_partition_may_serve(partition_of(scan, part));

    return code == AFF_EAGAIN && now_of(scan) < part->proven_ns ? 0 : code; /* it serves all the same */
}

static void was_read(const struct aff_scan *scan, struct part *part)
{
    if (part->proven_ns == INT64_MAX)
        part->proven_ns = now_of(scan) + PROOF_HOLDS_NS;
    part->identity8 = atomic_load(&aff_partition_shared(partition_of(scan, part))->identity8);
}

static void proof_answered(struct aff_call *call)
{
    struct proof *proof = aff_container_of(call, struct proof, call);
    struct aff_scan *scan = proof->scan;

    if (!scan)
        return;
    aff_list_remove(&proof->link);
    proof->scan = NULL;
    proof->part->proving = false;
    scan->proving--;
    if (call->op.result.code == 0)
        proof->part->proven_ns = INT64_MAX;
    else
        (void)fail(scan, proof->part, call->op.result.code);
    if (scan->proving == 0 && !scan->inside)
        owe_ready(scan);
}

static void proof_released(struct aff_call *call)
{
    free(aff_container_of(call, struct proof, call));
}

static void prove(struct aff_scan *scan, struct part *part)
{
    struct proof *proof;

    if (part->proving || scan->proving == PROOFS_AT_ONCE)
        return;
    proof = aff_xcalloc(1, sizeof *proof);
    aff_op_init(&proof->call.op, AFF_OP_BARRIER);
    proof->call.partition = part->index;
    proof->call.op.deadline_ns = scan->opts.patience_ns ? now_of(scan) + scan->opts.patience_ns : 0;
    proof->call.answered = proof_answered;
    proof->call.released = proof_released;
    proof->scan = scan;
    proof->part = part;
    aff_list_append(&scan->proofs, &proof->link);
    part->proving = true;
    scan->proving++;
    aff_port_call(scan->opts.port, scan->opts.space, &proof->call);
}

/* ---- reading ahead ---- */

static size_t next_chunk(const struct aff_scan *scan, const struct part *part)
{
    size_t share = AFF_SCAN_AHEAD / scan->live, chunk = part->chunk ? (size_t)part->chunk * CHUNK_GROWS : CHUNK_FIRST;

    if (chunk > CHUNK_MAX)
        chunk = CHUNK_MAX;
    return chunk < share ? chunk : share;
}

static struct aff_store_step step_of(const struct aff_scan *scan, const struct part *part)
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
        step.from = key_at(part, part->last, &size);
        step.inclusive = false;
    }
    return step;
}

static int keep(struct part *part, const unsigned char *read, size_t len)
{
    if (len > part->capacity) {
        unsigned char *data = realloc(part->data, len);

        if (!data)
            return AFF_ENOMEM;
        part->data = data;
        part->capacity = (uint32_t)len;
    }
    if (len > 0)
        memcpy(part->data, read, len);
    part->len = (uint32_t)len;
    part->at = 0;
    return 0;
}

static unsigned char *scratch_of(struct aff_port *port)
{
    if (!port->scratch)
        port->scratch = aff_xmalloc(CHUNK_MAX + AFF_STORE_STEP_HEAD + 2 * AFF_KEY_MAX + 2);
    return port->scratch;
}

/* Reads the next chunk of a dry part and merges it in. 0, AFF_EAGAIN: a barrier first, or a failure. */
static int read_part(struct aff_scan *scan, struct part *part)
{
    struct aff_store_step step = step_of(scan, part);
    unsigned char *scratch = scratch_of(scan->opts.port);
    size_t chunk = next_chunk(scan, part), len = 0;
    int code = proven(scan, part), more;

    if (code != 0)
        return code;
    more = scan->opts.index
               ? aff_store_reader_index_step(reader_of(scan, part), scan->opts.index, &step, scratch, chunk, &len)
               : aff_store_reader_step(reader_of(scan, part), &step, scratch, chunk, &len);
    code = more < 0 ? more : proven(scan, part);
    if (code == 0)
        code = keep(part, scratch, len);
    if (code != 0)
        return code;
    was_read(scan, part);
    part->chunk = (uint32_t)chunk;
    part->ended = more == 0;
    if (len > 0)
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
        struct part *part = scan->dry[i];

        if (code == 0 && !part->proving && *reads < READS_A_CALL) {
            int read = read_part(scan, part);

            (*reads)++;
            if (read == 0)
                continue;
            if (read == AFF_EAGAIN)
                prove(scan, part);
            else
                code = fail(scan, part, read);
        }
        scan->dry[kept++] = part;
    }
    scan->dry_count = kept;
    return scan->failure;
}

/* 0: go on, the proofs are there; AFF_EAGAIN: `ready` comes. */
static int wait_for_proofs(const struct aff_scan *scan)
{
    return scan->failure ? scan->failure : scan->proving > 0 ? AFF_EAGAIN : 0;
}

/* Until no part is dry. */
static int refill(struct aff_scan *scan)
{
    unsigned reads = 0;

    while (scan->dry_count > 0) {
        int code = read_dry(scan, &reads);

        if (code == 0)
            code = wait_for_proofs(scan);
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

/* Reads the item of a key that was read ahead without it, as it is now. 1, 0: it is gone, AFF_EAGAIN or a failure. */
static int read_whole(struct aff_scan *scan, struct part *part, aff_bytes place, aff_bytes key, struct aff_item *ret_item)
{
    struct aff_store_reader *reader = reader_of(scan, part);
    int found = aff_store_reader_get(reader, key, ret_item), code;

    if (found == 1 && scan->opts.index)
        found = aff_index_holds(&scan->opts.space->indexes->base, scan->opts.index, place, key, ret_item);
    code = found < 0 ? found : proven(scan, part);

    if (code == 0 && found == 1) {
        struct aff_buf *whole = &scan->whole;
        size_t type_len = ret_item->content_type.len, value_len = scan->opts.keys_only ? 0 : ret_item->value.len;

        aff_buf_clear(whole);
        if (!aff_buf_reserve(whole, type_len + value_len + 1) || !aff_buf_add(whole, ret_item->content_type.data, type_len) ||
            !aff_buf_add(whole, ret_item->value.data, value_len))
            code = AFF_ENOMEM;
        ret_item->content_type = aff_bytes_of(whole->data, type_len);
        ret_item->value = aff_bytes_of(whole->data + type_len, value_len);
    }
    aff_store_reader_done(reader);
    if (code != 0)
        return code;
    was_read(scan, part);
    return found;
}

/* The first of the heap. 1; 0: it is gone meanwhile; AFF_EAGAIN or a failure. */
static int tell(struct aff_scan *scan, struct aff_scan_entry *ret)
{
    struct part *part = scan->heap[0];
    struct aff_store_entry entry;
    size_t size;
    aff_bytes place = key_at(part, part->at, &size);
    int found = 1;

    if (scan->opts.index)
        aff_index_entry_read(part->data + part->at, &entry);
    else
        aff_store_entry_read(part->data + part->at, &entry);
    if (!entry.whole)
        found = read_whole(scan, part, place, entry.key, &entry.item);
    if (found == AFF_EAGAIN) {
        prove(scan, part);
        return AFF_EAGAIN;
    }
    if (found < 0)
        return fail(scan, part, found);
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
        } else if ((code = wait_for_proofs(scan)) != 0) {
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

/* Have all keys of the range the same route? */
static bool is_one_route(const struct aff_scan_opts *opts, uint32_t *ret_partition)
{
    aff_bytes beginning = aff_bytes_of(opts->range.start.data, shared_beginning(opts->range));

    if (!aff_key_route_settles(&opts->space->route, beginning))
        return false;
    *ret_partition = aff_space_partition(opts->space, beginning);
    return true;
}

struct aff_scan *aff_scan_new(const struct aff_scan_opts *opts)
{
    uint32_t first = 0;
    size_t count = is_one_route(opts, &first) ? 1 : opts->space->partitions;
    struct aff_scan *scan = aff_xcalloc(1, sizeof *scan + count * sizeof *scan->parts);

    scan->opts = *opts;
    scan->wake.fire = wake_up;
    scan->count = scan->live = scan->dry_count = count;
    scan->heap = aff_xcalloc(count, sizeof *scan->heap);
    scan->dry = aff_xcalloc(count, sizeof *scan->dry);
    aff_list_init(&scan->proofs);
    aff_buf_init(&scan->whole);
    aff_buf_init(&scan->terms);
    set_bounds(scan, opts);
    if (opts->index)
        set_index(scan, opts->index);
    for (size_t i = 0; i < count; i++) {
        scan->parts[i].index = first + (uint32_t)i;
        scan->dry[i] = &scan->parts[i];
    }
    return scan;
}

struct aff_scan *aff_scan_free(struct aff_scan *scan)
{
    struct aff_list *link;

    if (!scan)
        return NULL;
    assert(aff_loop_here(scan->opts.port->loop) && !scan->inside);
    while ((link = aff_list_take(&scan->proofs)))
        aff_container_of(link, struct proof, link)->scan = NULL;
    aff_loop_timer_cancel(scan->opts.port->loop, &scan->wake);
    for (size_t i = 0; i < scan->count; i++)
        free(scan->parts[i].data);
    aff_buf_fini(&scan->whole);
    aff_buf_fini(&scan->terms);
    free(scan->heap);
    free(scan->dry);
    free(scan);
    return NULL;
}
