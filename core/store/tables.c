/*
 * tables.c - what the partition keeps beside its values: small values by name (meta) and the ordered side tables. On
 * the partition's loop, in the writer's transaction.
 */
#include "store/inner.h"

#include <assert.h>

static int get(struct aff_store *store, enum aff_db db, aff_bytes key, aff_bytes *ret_value)
{
    if (!aff_store_key_fits(key))
        return AFF_EINVAL;
    int code = aff_store_begin(store);
    if (code)
        return code;
    MDB_val k = aff_to_val(key), v;
    int rc = mdb_get(store->txn, store->dbi[db], &k, &v);
    if (rc == MDB_NOTFOUND)
        return 0;
    if (rc)
        return aff_store_spoiled(store, rc);
    *ret_value = aff_of_val(v);
    return 1;
}

static int put(struct aff_store *store, enum aff_db db, aff_bytes key, aff_bytes value)
{
    if (!aff_store_key_fits(key))
        return AFF_EINVAL;
    int code = aff_store_begin(store);
    if (code == 0)
        code = aff_space_claim(&store->space, store->txn,
                               AFF_SPACE_CHANGE + aff_space_of_value(&store->space, key.len + value.len));
    if (code)
        return code;
    store->written = true;
    MDB_val k = aff_to_val(key), v = aff_to_val(value);
    int rc = mdb_put(store->txn, store->dbi[db], &k, &v, 0);
    return rc ? aff_store_spoiled(store, rc) : 0;
}

static enum aff_db db_of(enum aff_table table)
{
    assert(table >= 0 && table < AFF_TABLES);
    return AFF_DB_TABLES + (enum aff_db)table;
}

static uint64_t count(struct aff_store *store, enum aff_db db)
{
    MDB_stat stat;
    if (aff_store_begin(store) || mdb_stat(store->txn, store->dbi[db], &stat))
        return 0;
    return stat.ms_entries;
}

int aff_store_meta_get(struct aff_store *store, const char *name, aff_bytes *ret_value)
{
    return get(store, AFF_DB_META, aff_str(name), ret_value);
}

int aff_store_meta_committed(struct aff_store *store, const char *name, void *to, size_t size, size_t *ret_len)
{
    MDB_txn *txn = NULL;
    MDB_val k = aff_to_val(aff_str(name)), v;
    int rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return aff_store_code(store, rc);
    rc = mdb_get(txn, store->dbi[AFF_DB_META], &k, &v);
    if (rc == MDB_SUCCESS) {
        if (size)
            memcpy(to, v.mv_data, v.mv_size < size ? v.mv_size : size);
        *ret_len = v.mv_size;
    }
    mdb_txn_abort(txn);
    if (rc == MDB_NOTFOUND)
        return 0;
    return rc ? aff_store_code(store, rc) : 1;
}

int aff_store_meta_put(struct aff_store *store, const char *name, aff_bytes value)
{
    return put(store, AFF_DB_META, aff_str(name), value);
}

int aff_store_table_get(struct aff_store *store, enum aff_table table, aff_bytes key, aff_bytes *ret_value)
{
    return get(store, db_of(table), key, ret_value);
}

int aff_store_table_put(struct aff_store *store, enum aff_table table, aff_bytes key, aff_bytes value)
{
    return put(store, db_of(table), key, value);
}

int aff_store_table_delete(struct aff_store *store, enum aff_table table, aff_bytes key)
{
    if (!aff_store_key_fits(key))
        return AFF_EINVAL;
    int code = aff_store_begin(store);
    if (code == 0)
        code = aff_space_claim(&store->space, store->txn, AFF_SPACE_CHANGE);
    if (code)
        return code;
    store->written = true;
    MDB_val k = aff_to_val(key);
    int rc = mdb_del(store->txn, store->dbi[db_of(table)], &k, NULL);
    return rc && rc != MDB_NOTFOUND ? aff_store_spoiled(store, rc) : 0;
}

int aff_store_seek(MDB_cursor *at, aff_bytes after, MDB_val *k, MDB_val *v)
{
    if (after.len == 0)
        return mdb_cursor_get(at, k, v, MDB_FIRST);
    *k = aff_to_val(after);
    int rc = mdb_cursor_get(at, k, v, MDB_SET_RANGE);
    if (rc == MDB_SUCCESS && aff_bytes_equal(aff_of_val(*k), after))
        rc = mdb_cursor_get(at, k, v, MDB_NEXT);
    return rc;
}

int aff_store_table_next(struct aff_store *store, enum aff_table table, aff_bytes after, aff_bytes *ret_key,
                         aff_bytes *ret_value)
{
    if (after.len > AFF_KEY_MAX)
        return AFF_EINVAL;
    int code = aff_store_begin(store);
    if (code)
        return code;
    MDB_cursor *at = NULL;
    MDB_val k, v;
    int rc = mdb_cursor_open(store->txn, store->dbi[db_of(table)], &at);
    if (rc == MDB_SUCCESS) {
        rc = aff_store_seek(at, after, &k, &v);
        mdb_cursor_close(at);
    }
    if (rc == MDB_NOTFOUND)
        return 0;
    if (rc)
        return aff_store_spoiled(store, rc);
    *ret_key = aff_of_val(k);
    *ret_value = aff_of_val(v);
    return 1;
}

uint64_t aff_store_table_count(struct aff_store *store, enum aff_table table)
{
    return count(store, db_of(table));
}

uint64_t aff_store_count(struct aff_store *store)
{
    return count(store, AFF_DB_VALUES);
}
