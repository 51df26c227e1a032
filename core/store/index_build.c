/*
 * index_build.c - what is new is built and what left is removed, a slice at a time, each in a transaction of its own. On the
 * writer's thread, while the store serves:
 *
 *   first key ===== in the index, kept up to date ===== place ----- not in it yet ----- last key
 */
#include "store/index_inner.h"

#include "store/item.h"

#include <assert.h>

enum { ENTRY_COST = 256, EDITS_AT_ONCE = 16 };

bool aff_store_index_pending(const struct aff_store *store)
{
    for (unsigned i = 0; store->index && i < store->index->count; i++) {
        if (store->index->states[i].stage != AFF_INDEX_WHOLE)
            return true;
    }
    return false;
}

/* ---- building ---- */

static int build_one(struct aff_store *store, unsigned which, aff_bytes key, const struct aff_item *item)
{
    int code = aff_index_entries_of(store, which, key, item);
    if (code == 0)
        code = aff_space_claim(&store->space, store->txn, aff_index_pages(store, store->index->change.new.count));
    if (code)
        return code;
    int rc = aff_index_put_new(store, key);
    return rc ? aff_store_spoiled(store, rc) : 0;
}

static int build_some(struct aff_store *store, unsigned which, MDB_cursor *at, size_t bytes)
{
    struct aff_index_state *s = &store->index->states[which];
    MDB_val k = { 0, NULL }, v;
    size_t taken = 0;
    int rc = aff_store_seek(at, aff_bytes_of(s->place, s->place_len), &k, &v);
    for (; rc == MDB_SUCCESS && taken < bytes; rc = mdb_cursor_get(at, &k, &v, MDB_NEXT)) {
        struct aff_item item;
        if (k.mv_size > AFF_KEY_MAX || !aff_item_read(aff_of_val(v), &item))
            return aff_store_spoiled(store, MDB_CORRUPTED);
        int code = build_one(store, which, aff_of_val(k), &item);
        if (code)
            return code;
        taken += k.mv_size + v.mv_size + (1 + store->index->change.new.count) * ENTRY_COST;
        memcpy(s->place, k.mv_data, s->place_len = k.mv_size);
    }
    if (rc == MDB_NOTFOUND)
        s->stage = AFF_INDEX_WHOLE, s->place_len = 0;
    return rc && rc != MDB_NOTFOUND ? aff_store_spoiled(store, rc) : 0;
}

static int build(struct aff_store *store, unsigned which, size_t bytes)
{
    MDB_cursor *at = NULL;
    int rc = mdb_cursor_open(store->txn, store->dbi[AFF_DB_VALUES], &at);
    if (rc)
        return aff_store_spoiled(store, rc);
    int code = build_some(store, which, at, bytes);
    mdb_cursor_close(at);
    return code;
}

/* ---- removing ---- */

static void forget(struct aff_store_index *index, unsigned which)
{
    index->count--;
    memmove(&index->states[which], &index->states[which + 1], (index->count - which) * sizeof *index->states);
}

static int leave(struct aff_store *store, unsigned which, size_t bytes)
{
    struct aff_store_index *index = store->index;
    unsigned char id[AFF_INDEX_ID_LEN];
    MDB_cursor *at = NULL;
    MDB_val k = { sizeof id, id }, v;
    size_t edits = 0;
    aff_put_u16(id, index->states[which].id);
    int code = 0, rc = mdb_cursor_open(store->txn, index->dbi, &at);
    if (rc)
        return aff_store_spoiled(store, rc);
    for (size_t taken = 0; taken < bytes; taken += ENTRY_COST, k = (MDB_val){ sizeof id, id }) {
        rc = mdb_cursor_get(at, &k, &v, MDB_SET_RANGE);
        if (rc || k.mv_size < sizeof id || memcmp(k.mv_data, id, sizeof id) != 0)
            break;
        code = edits++ % EDITS_AT_ONCE ? 0
                                       : aff_space_claim(&store->space, store->txn, aff_index_pages(store, EDITS_AT_ONCE));
        if (code)
            break;
        rc = mdb_cursor_del(at, 0);
        if (rc)
            break;
    }
    mdb_cursor_close(at);
    bool gone = code == 0 && (rc == MDB_NOTFOUND || (rc == 0 && edits * ENTRY_COST < bytes));
    if (rc && rc != MDB_NOTFOUND)
        return aff_store_spoiled(store, rc);
    if (gone)
        forget(index, which);
    return code;
}

/* ---- a slice ---- */

static unsigned first_pending(const struct aff_store_index *index)
{
    unsigned i = 0;
    while (index->states[i].stage == AFF_INDEX_WHOLE)
        i++;
    return i;
}

static int slice(struct aff_store *store, unsigned which, size_t bytes)
{
    int code = aff_store_begin(store);
    if (code == 0)
        code = store->index->states[which].stage == AFF_INDEX_BUILDING ? build(store, which, bytes)
                                                                       : leave(store, which, bytes);
    if (code == 0)
        code = aff_index_save(store);
    return code ? code : aff_store_commit(store);
}

int aff_store_index_step(struct aff_store *store, size_t bytes)
{
    if (!aff_store_index_pending(store))
        return 0;
    if (store->written)
        return AFF_EAGAIN;
    unsigned which = first_pending(store->index);
    struct aff_index_state before = store->index->states[which];
    unsigned count = store->index->count;
    int code = slice(store, which, bytes);
    if (code == 0) {
        if (store->index->count < count || store->index->states[which].stage == AFF_INDEX_WHOLE)
            aff_log(store->logger, INFO, before.stage == AFF_INDEX_BUILDING ? "store.index-built" : "store.index-removed",
                    aff_f_str("folder", store->folder), aff_f_str("index", before.name));
        return aff_store_index_pending(store);
    }
    aff_store_abort(store);
    if (store->index->count < count) { /* it was forgotten, and is not */
        memmove(&store->index->states[which + 1], &store->index->states[which],
                (store->index->count - which) * sizeof before);
        store->index->count = count;
    }
    store->index->states[which] = before;
    return code;
}
