/*
 * tally.c - digests of all values, whatever the order in which they came: sums of the digests of the entries.
 *
 * A large store is not read in one go on a loop. So it is read in slices, each in a snapshot of its own that is dropped
 * at its end; what the writer changes behind the place where the next slice begins is taken out of the sum and put in
 * again; what lies ahead of it will be met in time:
 *
 *   first key ===== in the sum, kept up to date ===== place ----- not read yet ----- last key
 *
 * What an open transaction changes of the sum counts when it commits. On the writer's thread.
 */
#include "base/alloc.h"
#include "base/buf.h"
#include "store/inner.h"
#include "store/item.h"

#include <assert.h>
#include <stdlib.h>

enum { ENTRY_COST = 256 }; /* bytes that an entry counts for besides its own: what two digests of nothing take */

struct aff_store_tally {
    struct aff_store *store;
    MDB_txn *txn;             /* for the slices; reset between them */
    struct aff_tally sum;     /* of what is committed up to the place */
    struct aff_tally pending; /* what the open transaction adds to it */
    bool whole;               /* the place is behind the last key */
    size_t place_len;         /* 0: before the first key */
    unsigned char place[AFF_KEY_MAX];
};

/* ---- sums ---- */

struct aff_tally aff_tally_of(aff_bytes key, const struct aff_item *item)
{
    const aff_bytes content[] = { key, item->content_type, item->value };
    struct aff_tally one = { .plain = aff_digest_of(content, sizeof content / sizeof *content), .count = 1 };
    unsigned char numbers[32];
    aff_put_u64(numbers, (uint64_t)item->version.offset);
    aff_put_u64(numbers + 8, (uint64_t)item->version.time_ms);
    aff_put_u64(numbers + 16, (uint64_t)item->version.expires_ms);
    aff_put_u64(numbers + 24, (uint64_t)item->version.event_ms);
    const aff_bytes all[] = { aff_bytes_of(one.plain.b, sizeof one.plain.b), aff_bytes_of(numbers, sizeof numbers) };
    one.full = aff_digest_of(all, sizeof all / sizeof *all);
    return one;
}

void aff_tally_add(struct aff_tally *sum, const struct aff_tally *more)
{
    aff_digest_add(&sum->full, more->full);
    aff_digest_add(&sum->plain, more->plain);
    sum->count += more->count;
}

void aff_tally_subtract(struct aff_tally *sum, const struct aff_tally *less)
{
    aff_digest_subtract(&sum->full, less->full);
    aff_digest_subtract(&sum->plain, less->plain);
    sum->count -= less->count;
}

/* ---- what the writer changes meanwhile ---- */

static bool is_passed(const struct aff_store_tally *tally, aff_bytes key)
{
    return tally->whole ||
           (tally->place_len && aff_bytes_compare(key, aff_bytes_of(tally->place, tally->place_len)) <= 0);
}

int aff_tally_change(struct aff_store *store, aff_bytes key, const struct aff_item *item)
{
    struct aff_store_tally *tally = store->tally;
    store->changed = true;
    if (!tally || !is_passed(tally, key))
        return 0;
    struct aff_item old;
    int found = aff_store_get(store, key, &old);
    if (found < 0)
        return found;
    struct aff_tally one;
    if (found)
        one = aff_tally_of(key, &old), aff_tally_subtract(&tally->pending, &one);
    if (item)
        one = aff_tally_of(key, item), aff_tally_add(&tally->pending, &one);
    return 0;
}

void aff_tally_ended(struct aff_store *store, bool committed)
{
    store->changed = false;
    if (!store->tally)
        return;
    if (committed)
        aff_tally_add(&store->tally->sum, &store->tally->pending);
    store->tally->pending = (struct aff_tally){ 0 };
}

void aff_tally_wiped(struct aff_store *store)
{
    if (!store->tally)
        return;
    store->tally->sum = (struct aff_tally){ 0 };
    store->tally->place_len = 0;
    store->tally->whole = false;
}

/* ---- slices ---- */

int aff_store_tally_new(struct aff_store *store, struct aff_store_tally **ret_tally, aff_error *err)
{
    MDB_txn *txn = NULL;
    assert(!store->tally);
    int rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return aff_fail_with(err, aff_store_code(store, rc), "store: cannot read %s: %s", store->folder,
                             mdb_strerror(rc));
    mdb_txn_reset(txn);
    struct aff_store_tally *tally = aff_xcalloc(1, sizeof *tally);
    tally->store = store;
    tally->txn = txn;
    *ret_tally = store->tally = tally;
    return 0;
}

struct aff_store_tally *aff_store_tally_free(struct aff_store_tally *tally)
{
    if (!tally)
        return NULL;
    tally->store->tally = NULL;
    mdb_txn_abort(tally->txn);
    free(tally);
    return NULL;
}

/* Over the entries from the place on until it is enough: LMDB's code, MDB_NOTFOUND at the end. */
static int take(struct aff_store_tally *tally, MDB_cursor *at, size_t bytes)
{
    MDB_val k = { 0, NULL }, v;
    size_t taken = 0;
    int rc = aff_store_seek(at, aff_bytes_of(tally->place, tally->place_len), &k, &v);
    for (; rc == MDB_SUCCESS; rc = mdb_cursor_get(at, &k, &v, MDB_NEXT)) {
        struct aff_item item;
        if (k.mv_size > AFF_KEY_MAX || !aff_item_read(aff_of_val(v), &item))
            return MDB_CORRUPTED;
        struct aff_tally one = aff_tally_of(aff_of_val(k), &item);
        aff_tally_add(&tally->sum, &one);
        taken += k.mv_size + v.mv_size + ENTRY_COST;
        if (taken >= bytes) {
            memcpy(tally->place, k.mv_data, tally->place_len = k.mv_size);
            break;
        }
    }
    return rc;
}

int aff_store_tally_step(struct aff_store_tally *tally, size_t bytes)
{
    struct aff_store *store = tally->store;
    MDB_cursor *at = NULL;
    if (tally->whole)
        return 0;
    if (store->changed)
        return AFF_EAGAIN;
    int rc = mdb_txn_renew(tally->txn);
    if (rc)
        return aff_store_code(store, rc);
    rc = mdb_cursor_open(tally->txn, store->dbi[AFF_DB_VALUES], &at);
    if (rc == MDB_SUCCESS) {
        rc = take(tally, at, bytes);
        mdb_cursor_close(at);
    }
    mdb_txn_reset(tally->txn);
    tally->whole = rc == MDB_NOTFOUND;
    if (rc == MDB_SUCCESS)
        return 1;
    return tally->whole ? 0 : aff_store_code(store, rc);
}

void aff_store_tally_get(const struct aff_store_tally *tally, struct aff_tally *ret_sum)
{
    *ret_sum = tally->sum;
}
