/*
 * expiry.c - see expiry.h; and the walk over what is due.
 */
#include "store/expiry.h"

#include "base/buf.h"
#include "store/item.h"

enum { TIME_LEN = 8, DIGEST_LEN = sizeof(struct aff_digest) };
enum { WHOLE_MAX = AFF_KEY_MAX - TIME_LEN, CUT = WHOLE_MAX - DIGEST_LEN };

struct entry {
    size_t len;
    unsigned char b[AFF_KEY_MAX];
};

static uint64_t ordered(int64_t time_ms)
{
    return (uint64_t)time_ms ^ (UINT64_C(1) << 63);
}

static void make_entry(struct entry *e, int64_t time_ms, aff_bytes key)
{
    size_t whole = key.len <= WHOLE_MAX ? key.len : CUT;
    aff_put_u64(e->b, ordered(time_ms));
    memcpy(e->b + TIME_LEN, key.data, whole);
    e->len = TIME_LEN + whole;
    if (key.len > WHOLE_MAX) {
        struct aff_digest digest = aff_digest_of(&key, 1);
        memcpy(e->b + e->len, digest.b, DIGEST_LEN);
        e->len += DIGEST_LEN;
    }
}

bool aff_expiry_unused(struct aff_store *store)
{
    MDB_stat stat;
    return mdb_stat(store->txn, store->dbi[AFF_DB_EXPIRY], &stat) == MDB_SUCCESS && stat.ms_entries == 0;
}

int aff_expiry_move(struct aff_store *store, aff_bytes key, int64_t from_ms, int64_t to_ms)
{
    MDB_dbi dbi = store->dbi[AFF_DB_EXPIRY];
    struct entry e;
    MDB_val k = { 0, e.b }, v;
    int rc = MDB_SUCCESS;
    if (from_ms == to_ms)
        return 0;
    if (from_ms != AFF_NO_TIME) {
        make_entry(&e, from_ms, key);
        k.mv_size = e.len;
        rc = mdb_del(store->txn, dbi, &k, NULL);
        if (rc == MDB_NOTFOUND)
            rc = MDB_CORRUPTED;
    }
    if (rc == MDB_SUCCESS && to_ms != AFF_NO_TIME) {
        make_entry(&e, to_ms, key);
        k.mv_size = e.len;
        v = aff_to_val(key.len > WHOLE_MAX ? key : aff_bytes_of("", 0));
        rc = mdb_put(store->txn, dbi, &k, &v, 0);
    }
    return rc ? aff_store_spoiled(store, rc) : 0;
}

/* The first entry at or after where the walk stands: LMDB's code. */
static int seek(MDB_cursor *at, const struct aff_expiry_cursor *walk, MDB_val *k, MDB_val *v)
{
    if (!walk->started)
        return mdb_cursor_get(at, k, v, MDB_FIRST);
    struct entry e;
    make_entry(&e, walk->expires_ms, aff_bytes_of(walk->key, walk->key_len));
    *k = (MDB_val){ e.len, e.b };
    int rc = mdb_cursor_get(at, k, v, MDB_SET_RANGE);
    if (rc == MDB_SUCCESS && k->mv_size == e.len && memcmp(k->mv_data, e.b, e.len) == 0)
        rc = mdb_cursor_get(at, k, v, MDB_NEXT);
    return rc;
}

/* Puts the walk on an entry; false: the entry is damaged. */
static bool stand_on(struct aff_expiry_cursor *walk, aff_bytes k, aff_bytes v)
{
    if (k.len <= TIME_LEN || v.len > AFF_KEY_MAX)
        return false;
    aff_bytes key = v.len ? v : aff_bytes_of((const unsigned char *)k.data + TIME_LEN, k.len - TIME_LEN);
    walk->expires_ms = (int64_t)ordered((int64_t)aff_get_u64(k.data));
    walk->key_len = key.len;
    memcpy(walk->key, key.data, key.len);
    walk->started = true;
    return true;
}

static int version_of(struct aff_store *store, const struct aff_expiry_cursor *walk, struct aff_version *ret_version)
{
    struct aff_item item;
    int code = aff_store_get(store, aff_bytes_of(walk->key, walk->key_len), &item);
    if (code == 1 && item.version.expires_ms == walk->expires_ms)
        *ret_version = item.version;
    else if (code >= 0)
        code = aff_store_spoiled(store, MDB_CORRUPTED);
    return code;
}

int aff_store_expired(struct aff_store *store, int64_t now_ms, struct aff_expiry_cursor *cursor,
                      struct aff_version *ret_version)
{
    int code = aff_store_begin(store);
    if (code)
        return code;
    MDB_cursor *at = NULL;
    int rc = mdb_cursor_open(store->txn, store->dbi[AFF_DB_EXPIRY], &at);
    if (rc)
        return aff_store_spoiled(store, rc);
    MDB_val k, v;
    rc = seek(at, cursor, &k, &v);
    if (rc == MDB_NOTFOUND)
        code = 0;
    else if (rc || k.mv_size <= TIME_LEN)
        code = aff_store_spoiled(store, rc ? rc : MDB_CORRUPTED);
    else if (aff_get_u64(k.mv_data) > ordered(now_ms))
        code = 0;
    else if (!stand_on(cursor, aff_of_val(k), aff_of_val(v)))
        code = aff_store_spoiled(store, MDB_CORRUPTED);
    else
        code = version_of(store, cursor, ret_version);
    mdb_cursor_close(at);
    return code;
}
