/*
 * store.c - the writer of a store: its transaction and the values. On the partition's loop.
 *
 * A change is checked and its space claimed before LMDB sees it, so what is refused leaves the transaction as it was.
 * What LMDB itself reports afterwards spoils the transaction: it can only be dropped, and commit says why.
 */
#include "store/store.h"

#include "store/expiry.h"
#include "store/inner.h"
#include "store/item.h"

#include <assert.h>
#include <errno.h>

#define VALUE_MAX (UINT64_C(1) << 30)

int aff_store_code(struct aff_store *store, int rc)
{
    switch (rc) {
    case ENOSPC:
    case EDQUOT:
    case MDB_MAP_FULL:
        return AFF_ENOSPACE;
    case ENOMEM:
        return AFF_ENOMEM;
    case MDB_TXN_FULL:
        return AFF_ETOOLARGE;
    case MDB_READERS_FULL:
        return AFF_EBUSY;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_PANIC:
        atomic_store(&store->corrupt, true);
        return AFF_ECORRUPT;
    default:
        assert(rc > 0); /* the other codes of LMDB tell of our bugs */
        return rc > 0 ? AFF_EIO : AFF_EBUG;
    }
}

int aff_store_spoiled(struct aff_store *store, int rc)
{
    int code = aff_store_code(store, rc);
    if (!store->failure)
        store->failure = code;
    return code;
}

int aff_store_begin(struct aff_store *store)
{
    if (store->txn)
        return store->failure;
    int rc = mdb_txn_begin(store->env, NULL, 0, &store->txn);
    if (rc) {
        store->txn = NULL;
        return aff_store_code(store, rc);
    }
    store->failure = 0;
    store->written = false;
    aff_space_begin(&store->space, store->txn);
    return 0;
}

void aff_store_abort(struct aff_store *store)
{
    if (store->txn)
        mdb_txn_abort(store->txn);
    store->txn = NULL;
    store->failure = 0;
    store->written = false;
    aff_tally_ended(store, false);
}

int aff_store_commit(struct aff_store *store)
{
    int code = store->failure;
    if (!store->txn)
        return 0;
    if (code) {
        aff_store_abort(store);
        return code;
    }
    aff_store_leaves(store);
    int rc = mdb_txn_commit(store->txn); /* on errors it is gone as well */
    store->txn = NULL;
    store->written = false;
    aff_tally_ended(store, rc == MDB_SUCCESS);
    if (rc)
        return aff_store_code(store, rc);
    aff_space_committed(&store->space, store->env);
    return 0;
}

int aff_store_room(struct aff_store *store, uint64_t bytes)
{
    int code = aff_store_begin(store);
    return code ? code : aff_space_ensure(&store->space, store->txn, aff_space_of_writes(&store->space, bytes));
}

int aff_store_get(struct aff_store *store, aff_bytes key, struct aff_item *ret_item)
{
    if (!aff_store_key_fits(key))
        return AFF_EINVAL;
    int code = aff_store_begin(store);
    if (code)
        return code;
    MDB_val k = aff_to_val(key), v;
    int rc = mdb_get(store->txn, store->dbi[AFF_DB_VALUES], &k, &v);
    if (rc == MDB_NOTFOUND)
        return 0;
    if (rc == MDB_SUCCESS && !aff_item_read(aff_of_val(v), ret_item))
        rc = MDB_CORRUPTED;
    return rc ? aff_store_spoiled(store, rc) : 1;
}

/* When the key expires as things stand: 0 and the time, AFF_NO_TIME for none, or an error. */
static int expiry_now(struct aff_store *store, aff_bytes key, int64_t *ret_ms)
{
    struct aff_item old = { .version.expires_ms = AFF_NO_TIME };
    int code = aff_expiry_unused(store) ? 0 : aff_store_get(store, key, &old);
    *ret_ms = old.version.expires_ms;
    return code < 0 ? code : 0;
}

/* The first half of a change: its space, and the expiry of the key, which will be that of `item` (NULL: the key goes). */
static int prepare(struct aff_store *store, aff_bytes key, uint64_t size, const struct aff_item *item)
{
    int64_t to_ms = item ? item->version.expires_ms : AFF_NO_TIME;
    int code = aff_store_begin(store);
    if (code)
        return code;
    int64_t from_ms;
    code = expiry_now(store, key, &from_ms);
    if (code == 0 && store->index)
        code = aff_index_change_find(store, key, item);
    if (code)
        return code;
    uint64_t changes = 1 + (from_ms == to_ms ? 0 : (from_ms != AFF_NO_TIME) + (to_ms != AFF_NO_TIME));
    uint64_t index_pages = store->index ? aff_index_change_pages(store) : 0;
    code = aff_space_claim(&store->space, store->txn,
                           changes * AFF_SPACE_CHANGE + index_pages + aff_space_of_value(&store->space, size));
    if (code)
        return code;
    store->written = true;
    return aff_expiry_move(store, key, from_ms, to_ms);
}

int aff_store_put(struct aff_store *store, aff_bytes key, const struct aff_item *item)
{
    if (!aff_store_key_fits(key))
        return AFF_EINVAL;
    if (item->content_type.len > AFF_CONTENT_TYPE_MAX || item->value.len > VALUE_MAX)
        return AFF_ETOOLARGE;
    size_t size = aff_item_size(item);
    int code = prepare(store, key, size, item);
    if (code == 0)
        code = aff_tally_change(store, key, item);
    if (code)
        return code;
    MDB_val k = aff_to_val(key), v = { size, NULL };
    int rc = mdb_put(store->txn, store->dbi[AFF_DB_VALUES], &k, &v, MDB_RESERVE);
    if (rc)
        return aff_store_spoiled(store, rc);
    aff_store_enters(store);
    aff_item_write(item, v.mv_data);
    return store->index ? aff_index_change_apply(store, key) : 0;
}

int aff_store_delete(struct aff_store *store, aff_bytes key)
{
    if (!aff_store_key_fits(key))
        return AFF_EINVAL;
    int code = prepare(store, key, 0, NULL);
    if (code == 0)
        code = aff_tally_change(store, key, NULL);
    if (code)
        return code;
    MDB_val k = aff_to_val(key);
    int rc = mdb_del(store->txn, store->dbi[AFF_DB_VALUES], &k, NULL);
    if (rc && rc != MDB_NOTFOUND)
        return aff_store_spoiled(store, rc);
    return store->index ? aff_index_change_apply(store, key) : 0;
}
