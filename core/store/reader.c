/*
 * reader.c - snapshots of committed values for the loops that read while the writer works.
 *
 * A reader keeps its transaction and its slot in LMDB's table for good and takes a snapshot (mdb_txn_renew) with the
 * first get of a pass; aff_store_reader_done() lets go of it. Neither takes a lock. Steps over the keys are in scan.c.
 * Each reader on the thread of its loop.
 */
#include "base/alloc.h"
#include "store/inner.h"
#include "store/item.h"

#include <assert.h>
#include <stdlib.h>

int aff_store_reader_new(struct aff_store *store, struct aff_store_reader **ret_reader, aff_error *err)
{
    MDB_txn *txn = NULL;
    int rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return aff_fail_with(err, aff_store_code(store, rc), "store: cannot open a reader of %s: %s", store->folder,
                             mdb_strerror(rc));
    mdb_txn_reset(txn);
    atomic_fetch_add(&store->readers, 1);
    struct aff_store_reader *reader = aff_xcalloc(1, sizeof *reader);
    reader->store = store;
    reader->txn = txn;
    *ret_reader = reader;
    return 0;
}

void aff_store_reader_done(struct aff_store_reader *reader)
{
    if (!reader->holds)
        return;
    aff_store_leaves(reader->store);
    mdb_txn_reset(reader->txn);
    reader->holds = false;
}

struct aff_store_reader *aff_store_reader_free(struct aff_store_reader *reader)
{
    if (!reader)
        return NULL;
    aff_store_reader_done(reader);
    if (reader->cursor)
        mdb_cursor_close(reader->cursor);
    mdb_txn_abort(reader->txn);
    atomic_fetch_sub(&reader->store->readers, 1);
    free(reader);
    return NULL;
}

int aff_store_reader_hold(struct aff_store_reader *reader)
{
    if (reader->holds)
        return 0;
    int rc = mdb_txn_renew(reader->txn);
    if (rc)
        return aff_store_code(reader->store, rc);
    aff_store_enters(reader->store);
    reader->holds = true;
    return 0;
}

int aff_store_reader_get(struct aff_store_reader *reader, aff_bytes key, struct aff_item *ret_item)
{
    if (!aff_store_key_fits(key))
        return AFF_EINVAL;
    int code = aff_store_reader_hold(reader);
    if (code)
        return code;
    MDB_val k = aff_to_val(key), v;
    int rc = mdb_get(reader->txn, reader->store->dbi[AFF_DB_VALUES], &k, &v);
    if (rc == MDB_NOTFOUND)
        return 0;
    if (rc == MDB_SUCCESS && !aff_item_read(aff_of_val(v), ret_item))
        rc = MDB_CORRUPTED;
    return rc ? aff_store_code(reader->store, rc) : 1;
}

int aff_store_reader_meta(struct aff_store_reader *reader, const char *name, void *to, size_t size, size_t *ret_len)
{
    int code = aff_store_reader_hold(reader);
    if (code)
        return code;
    MDB_val k = aff_to_val(aff_str(name)), v;
    int rc = mdb_get(reader->txn, reader->store->dbi[AFF_DB_META], &k, &v);
    if (rc == MDB_NOTFOUND)
        return 0;
    if (rc != MDB_SUCCESS)
        return aff_store_code(reader->store, rc);
    memcpy(to, v.mv_data, v.mv_size < size ? v.mv_size : size);
    *ret_len = v.mv_size;
    return 1;
}
