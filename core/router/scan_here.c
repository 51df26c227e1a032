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

#define PROOF_HOLDS_NS AFF_NS_PER_S

/* A barrier on its way. It outlives a scan that is freed meanwhile. */
struct proof {
    struct aff_call call;
    struct aff_list link;
    struct aff_scan *scan; /* NULL: nobody waits for it */
    struct aff_scan_part *part;
};

/* ---- a node's own store ---- */

unsigned char *aff_scan_scratch(struct aff_port *port)
{
    if (!port->scratch)
        port->scratch = aff_xmalloc(AFF_SCAN_CHUNK_MAX + AFF_STORE_STEP_HEAD + 2 * AFF_KEY_MAX + 2);
    return port->scratch;
}

int aff_scan_step(struct aff_port *port, const struct aff_space *space, uint32_t partition,
                  const struct aff_index_range *index, const struct aff_store_step *step, unsigned char *to,
                  size_t bytes, size_t *ret_len)
{
    struct aff_store_reader *reader;
    int code = aff_port_reader(port, space->parts, partition, &reader);

    if (code != 0)
        return code;
    return index ? aff_store_reader_index_step(reader, index, step, to, bytes, ret_len)
                 : aff_store_reader_step(reader, step, to, bytes, ret_len);
}

int aff_scan_get(struct aff_port *port, const struct aff_space *space, uint32_t partition,
                 const struct aff_index_range *index, aff_bytes place, aff_bytes key, struct aff_item *ret_item)
{
    struct aff_store_reader *reader;
    int found = aff_port_reader(port, space->parts, partition, &reader);

    if (found == 0)
        found = aff_store_reader_get(reader, key, ret_item);
    return found == 1 && index ? aff_index_holds(&space->indexes->base, index, place, key, ret_item) : found;
}

void aff_scan_got(struct aff_port *port, const struct aff_space *space, uint32_t partition)
{
    struct aff_store_reader *reader = port->readers[((const struct space *)space->parts)->first_reader + partition];

    if (reader)
        aff_store_reader_done(reader);
}

/* ---- proofs ---- */

static struct aff_partition *partition_of(const struct aff_scan *scan, const struct aff_scan_part *part)
{
    return ((const struct space *)scan->opts.space->parts)->parts[part->index];
}

static int64_t now_of(const struct aff_scan *scan)
{
    return aff_loop_now(scan->opts.port->loop);
}

/* Has this node a copy that is kept up to date? */
static bool is_held(struct aff_partition *part)
{
    return atomic_load(&aff_partition_shared(part)->role) != AFF_ROLE_AWAY;
}

int aff_scan_may_tell(const struct aff_space *space, uint32_t partition, bool local, bool proven, uint32_t serving)
{
    struct aff_partition *part = ((const struct space *)space->parts)->parts[partition];
    int code = !local ? aff_partition_may_serve(part, serving) : is_held(part) ? 0 : AFF_ENOMASTER;

    if (code != AFF_EAGAIN || !proven)
        return code;
    return aff_partition_serving(part) == serving ? 0 : AFF_EAGAIN; /* it serves all the same */
}

static int may_tell(const struct aff_scan *scan, const struct aff_scan_part *part, uint32_t serving)
{
    return aff_scan_may_tell(scan->opts.space, part->index, scan->opts.local, now_of(scan) < part->proven_ns, serving);
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
    if (call->op.result.code == 0)
        proof->part->proven_ns = INT64_MAX;
    else if (call->op.result.code == AFF_ENOMASTER)
        proof->part->deposed = true;
    else
        (void)aff_scan_fail(scan, proof->part, call->op.result.code);
    aff_scan_came(scan);
}

static void proof_released(struct aff_call *call)
{
    free(aff_container_of(call, struct proof, call));
}

static void prove(struct aff_scan *scan, struct aff_scan_part *part)
{
    struct proof *proof;

    if (part->proving || scan->awaited >= AFF_SCAN_AWAITED_MAX)
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
    scan->awaited++;
    aff_port_call_here(scan->opts.port, scan->opts.space, &proof->call);
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

int aff_scan_keep_whole(struct aff_scan *scan, struct aff_item *item)
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

static int read_step(struct aff_scan *scan, struct aff_scan_part *part, size_t bytes)
{
    const struct aff_scan_opts *o = &scan->opts;
    struct aff_store_step step = aff_scan_step_of(scan, part, part->last);
    unsigned char *scratch = aff_scan_scratch(o->port);
    uint32_t serving = aff_partition_serving(partition_of(scan, part));
    size_t len = 0;
    int code = may_tell(scan, part, serving), more;

    if (code != 0)
        return code;
    more = aff_scan_step(o->port, o->space, part->index, o->index, &step, scratch, bytes, &len);
    code = more < 0 ? more : may_tell(scan, part, serving);
    if (code == 0)
        code = keep(part, scratch, len);
    if (code != 0)
        return code;
    was_read(scan, part);
    aff_scan_settled(part);
    part->ended = more == 0;
    part->follow = false;
    return 0;
}

int aff_scan_read_here(struct aff_scan *scan, struct aff_scan_part *part, size_t bytes)
{
    int code = part->proving ? AFF_EAGAIN : part->deposed ? AFF_ENOMASTER : read_step(scan, part, bytes);

    if (code == AFF_EAGAIN)
        prove(scan, part);
    return code;
}

static int read_value(struct aff_scan *scan, struct aff_scan_part *part, aff_bytes place, aff_bytes key,
                      struct aff_item *ret_item)
{
    const struct aff_scan_opts *o = &scan->opts;
    uint32_t serving = aff_partition_serving(partition_of(scan, part));
    int found = aff_scan_get(o->port, o->space, part->index, o->index, place, key, ret_item);
    int code = found < 0 ? found : may_tell(scan, part, serving);

    if (code == 0 && found == 1)
        code = aff_scan_keep_whole(scan, ret_item);
    aff_scan_got(o->port, o->space, part->index);
    if (code != 0)
        return code;
    was_read(scan, part);
    return found;
}

int aff_scan_read_value_here(struct aff_scan *scan, struct aff_scan_part *part, aff_bytes place, aff_bytes key,
                             struct aff_item *ret_item)
{
    int found = part->deposed ? AFF_ENOMASTER : read_value(scan, part, place, key, ret_item);

    if (found == AFF_EAGAIN)
        prove(scan, part);
    return found;
}
