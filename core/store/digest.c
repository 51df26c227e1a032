/*
 * digest.c - one digest of all values, whatever the order in which they came: the sum, modulo 2^128, of the digests
 * of the records. On the partition's loop, in the writer's transaction.
 */
#include "base/buf.h"
#include "store/inner.h"
#include "store/item.h"

static struct aff_digest digest_of(aff_bytes key, const struct aff_item *item)
{
    unsigned char offset[8], expires[8];
    aff_put_u64(offset, (uint64_t)item->version.offset);
    aff_put_u64(expires, (uint64_t)item->version.expires_ms);
    const aff_bytes parts[] = { key, item->content_type, item->value, aff_bytes_of(offset, sizeof offset),
                                aff_bytes_of(expires, sizeof expires) };
    return aff_digest_of(parts, sizeof parts / sizeof *parts);
}

static void add(struct aff_digest *sum, struct aff_digest more)
{
    uint64_t low = aff_get_u64(sum->b + 8) + aff_get_u64(more.b + 8);
    uint64_t carry = low < aff_get_u64(more.b + 8);
    aff_put_u64(sum->b, aff_get_u64(sum->b) + aff_get_u64(more.b) + carry);
    aff_put_u64(sum->b + 8, low);
}

/* Over all values: LMDB's code. */
static int sum_up(MDB_cursor *at, struct aff_digest *sum, uint64_t *count)
{
    MDB_val k, v;
    int rc = mdb_cursor_get(at, &k, &v, MDB_FIRST);
    for (; rc == MDB_SUCCESS; rc = mdb_cursor_get(at, &k, &v, MDB_NEXT)) {
        struct aff_item item;
        if (!aff_item_read(aff_of_val(v), &item))
            return MDB_CORRUPTED;
        add(sum, digest_of(aff_of_val(k), &item));
        ++*count;
    }
    return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

int aff_store_digest(struct aff_store *store, struct aff_digest *ret_digest, uint64_t *ret_count)
{
    int code = aff_store_begin(store);
    if (code)
        return code;
    MDB_cursor *at = NULL;
    struct aff_digest sum = { { 0 } };
    uint64_t count = 0;
    int rc = mdb_cursor_open(store->txn, store->dbi[AFF_DB_VALUES], &at);
    if (rc == MDB_SUCCESS) {
        rc = sum_up(at, &sum, &count);
        mdb_cursor_close(at);
    }
    if (rc)
        return aff_store_spoiled(store, rc);
    *ret_digest = sum;
    *ret_count = count;
    return 0;
}
