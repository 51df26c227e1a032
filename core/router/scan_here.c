/*
 * scan_here.c - a part of a scan that is read from this node's store.
 *
 * A chunk is read in one snapshot of the loop's own reader (store/scan.c), and the right to serve it is asked for afterwards, so it
 * held at a moment after the read (I5). Without a lease a barrier goes to the partition first. Its proof also holds for what is
 * read there within the next second: as long as the partition serves, what it has was current when the barrier was confirmed
 * or later, and so while the scan ran, which is all that a scan says of an entry.
 *
 * On the port's loop.
 */
#include "router/scan_inner.h"

#include <stdlib.h>

enum { PROOFS_AT_ONCE = 64 };

#define PROOF_HOLDS_NS AFF_NS_PER_S

/* A barrier on its way. It outlives a scan that is freed meanwhile. */
struct proof {
    struct aff_call call;
    struct aff_list link;
    struct aff_scan *scan; /* NULL: nobody waits for it */
    struct aff_scan_part *part;
};

/* ---- proofs ---- */

static struct aff_partition *partition_of(const struct aff_scan *scan, const struct aff_scan_part *part)
{
    return ((const struct space *)scan->opts.space->parts)->parts[part->index];
}

static int reader_of(const struct aff_scan *scan, const struct aff_scan_part *part, struct aff_store_reader **ret_reader)
{
    return aff_port_reader(scan->opts.port, scan->opts.space->parts, part->index, ret_reader);
}

static int64_t now_of(const struct aff_scan *scan)
{
    return aff_loop_now(scan->opts.port->loop);
}

/* May this part be served, or what was read of it before this call (I5)? 0, AFF_EAGAIN: a barrier first, or a failure. */
static int proven(const struct aff_scan *scan, const struct aff_scan_part *part)
{
    int code = scan->opts.local ? 0 : aff_partition_may_serve(partition_of(scan, part));

    return code == AFF_EAGAIN && now_of(scan) < part->proven_ns ? 0 : code; /* it serves all the same */
}

static void was_read(const struct aff_scan *scan, struct aff_scan_part *part)
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
        (void)aff_scan_fail(scan, proof->part, call->op.result.code);
    if (scan->proving == 0 && !scan->inside)
        aff_scan_owe_ready(scan);
}

static void proof_released(struct aff_call *call)
{
    free(aff_container_of(call, struct proof, call));
}

static void prove(struct aff_scan *scan, struct aff_scan_part *part)
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

void aff_scan_forget_proofs(struct aff_scan *scan)
{
    struct aff_list *link;

    while ((link = aff_list_take(&scan->proofs)))
        aff_container_of(link, struct proof, link)->scan = NULL;
}

/* ---- reading ---- */

static int keep(struct aff_scan_part *part, const unsigned char *read, size_t len)
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

static int keep_whole(struct aff_scan *scan, struct aff_item *item)
{
    struct aff_buf *whole = &scan->whole;
    size_t type_len = item->content_type.len, value_len = scan->opts.keys_only ? 0 : item->value.len;

    aff_buf_clear(whole);
    if (!aff_buf_reserve(whole, type_len + value_len + 1) || !aff_buf_add(whole, item->content_type.data, type_len) ||
        !aff_buf_add(whole, item->value.data, value_len))
        return AFF_ENOMEM;
    item->content_type = aff_bytes_of(whole->data, type_len);
    item->value = aff_bytes_of(whole->data + type_len, value_len);
    return 0;
}

static unsigned char *scratch_of(struct aff_port *port)
{
    if (!port->scratch)
        port->scratch = aff_xmalloc(AFF_SCAN_CHUNK_MAX + AFF_STORE_STEP_HEAD + 2 * AFF_KEY_MAX + 2);
    return port->scratch;
}

static int read_step(struct aff_scan *scan, struct aff_scan_part *part, size_t bytes)
{
    struct aff_store_step step = aff_scan_step_of(scan, part);
    unsigned char *scratch = scratch_of(scan->opts.port);
    struct aff_store_reader *reader;
    size_t len = 0;
    int code = proven(scan, part), more;

    if (code == 0)
        code = reader_of(scan, part, &reader);
    if (code != 0)
        return code;
    more = scan->opts.index ? aff_store_reader_index_step(reader, scan->opts.index, &step, scratch, bytes, &len)
                            : aff_store_reader_step(reader, &step, scratch, bytes, &len);
    code = more < 0 ? more : proven(scan, part);
    if (code == 0)
        code = keep(part, scratch, len);
    if (code != 0)
        return code;
    was_read(scan, part);
    part->ended = more == 0;
    return 0;
}

int aff_scan_read_here(struct aff_scan *scan, struct aff_scan_part *part, size_t bytes)
{
    int code = part->proving ? AFF_EAGAIN : read_step(scan, part, bytes);

    if (code == AFF_EAGAIN)
        prove(scan, part);
    return code;
}

static int read_item(struct aff_scan *scan, struct aff_scan_part *part, aff_bytes place, aff_bytes key, struct aff_item *ret_item)
{
    struct aff_store_reader *reader;
    int code = reader_of(scan, part, &reader), found;

    if (code != 0)
        return code;
    found = aff_store_reader_get(reader, key, ret_item);
    if (found == 1 && scan->opts.index)
        found = aff_index_holds(&scan->opts.space->indexes->base, scan->opts.index, place, key, ret_item);
    code = found < 0 ? found : proven(scan, part);
    if (code == 0 && found == 1)
        code = keep_whole(scan, ret_item);
    aff_store_reader_done(reader);
    if (code != 0)
        return code;
    was_read(scan, part);
    return found;
}

int aff_scan_read_whole_here(struct aff_scan *scan, struct aff_scan_part *part, aff_bytes place, aff_bytes key,
                             struct aff_item *ret_item)
{
    int found = read_item(scan, part, place, key, ret_item);

    if (found == AFF_EAGAIN)
        prove(scan, part);
    return found;
}
