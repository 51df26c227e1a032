/*
 * index_read.c - steps over the entries of an index, as scan.c has them over the keys: copies of what follows a place, as it is
 * in one snapshot, which is dropped at the end. On the thread of the reader's loop.
 *
 * An entry is copied as one of scan.c whose key is the entry's place in the order of the index, and whose item comes behind the
 * key of the value and that key's length:
 *
 *   size 4 | length of the place 2 | place | length of the key 2 | key | stored item
 */
#include "store/index_inner.h"

#include "base/buf.h"
#include "base/list.h"
#include "store/item.h"

#include <assert.h>
#include <errno.h>

enum { SIZE_AT = 0, LENGTH_AT = 4, PLACE_AT = 6, KEY_HEAD = 2 };

/* ---- is it exactly in the range? ---- */

struct holder {
    struct aff_terms terms;
    const struct aff_index_range *range;
    aff_bytes place, key;
    bool holds;
};

static int look(struct aff_terms *terms, unsigned which, aff_bytes term)
{
    struct holder *h = aff_container_of(terms, struct holder, terms);
    struct aff_index_entry e;
    if (h->holds || which != h->range->index || (h->range->from.data && aff_bytes_compare(term, h->range->from) < 0) ||
        (h->range->to.data && aff_bytes_compare(term, h->range->to) >= 0))
        return 0;
    aff_index_entry_make(0, term, h->key, &e);
    h->holds = aff_bytes_equal(h->place, aff_bytes_of(e.b + AFF_INDEX_ID_LEN, e.len - AFF_INDEX_ID_LEN));
    return 0;
}

int aff_index_holds(const struct aff_indexes *indexes, const struct aff_index_range *range, aff_bytes place, aff_bytes key,
                    const struct aff_item *item)
{
    struct holder h = { .terms.add = look, .range = range, .place = place, .key = key };
    int code = indexes->find(indexes, key, item, &h.terms);
    return code ? code : h.holds;
}

/* ---- seeking ---- */

struct walk {
    struct aff_store *store;
    MDB_txn *txn;
    MDB_cursor *at;
    const struct aff_index_range *range;
    const struct aff_store_step *step;
    struct aff_index_bounds bounds;
    unsigned char *to;
    size_t budget, len;
};

/* LMDB's key of a place. */
static aff_bytes key_of_place(const struct walk *w, aff_bytes place, unsigned char room[AFF_KEY_MAX])
{
    size_t len = place.len < AFF_INDEX_ENTRY_MAX ? place.len : AFF_INDEX_ENTRY_MAX;
    memcpy(room, w->bounds.from.b, AFF_INDEX_ID_LEN);
    memcpy(room + AFF_INDEX_ID_LEN, place.data, len);
    return aff_bytes_of(room, AFF_INDEX_ID_LEN + len);
}

static int first(struct walk *w, MDB_val *k, MDB_val *v)
{
    unsigned char room[AFF_KEY_MAX];
    aff_bytes begin = aff_index_entry_view(&w->bounds.from);
    bool exclusive = false;
    if (w->step->from.data) {
        aff_bytes place = key_of_place(w, w->step->from, room);
        if (aff_bytes_compare(place, begin) >= 0)
            begin = place, exclusive = !w->step->inclusive;
    }
    *k = aff_to_val(begin);
    int rc = mdb_cursor_get(w->at, k, v, MDB_SET_RANGE);
    if (rc == MDB_SUCCESS && exclusive && aff_bytes_equal(aff_of_val(*k), begin))
        rc = mdb_cursor_get(w->at, k, v, MDB_NEXT);
    return rc;
}

static int last(struct walk *w, MDB_val *k, MDB_val *v)
{
    unsigned char room[AFF_KEY_MAX];
    aff_bytes end = aff_index_entry_view(&w->bounds.to);
    bool inclusive = false;
    if (w->step->from.data) {
        aff_bytes place = key_of_place(w, w->step->from, room);
        if (aff_bytes_compare(place, end) < 0)
            end = place, inclusive = w->step->inclusive;
    }
    *k = aff_to_val(end);
    int rc = mdb_cursor_get(w->at, k, v, MDB_SET_RANGE);
    if (rc == MDB_NOTFOUND)
        return mdb_cursor_get(w->at, k, v, MDB_LAST);
    if (rc == MDB_SUCCESS && !(inclusive && aff_bytes_equal(aff_of_val(*k), end)))
        rc = mdb_cursor_get(w->at, k, v, MDB_PREV);
    return rc;
}

static bool is_beyond(const struct walk *w, aff_bytes entry)
{
    aff_bytes until = w->step->until, place;
    if (w->step->reverse ? aff_bytes_compare(entry, aff_index_entry_view(&w->bounds.from)) < 0
                         : aff_bytes_compare(entry, aff_index_entry_view(&w->bounds.to)) >= 0)
        return true;
    if (!until.data)
        return false;
    place = aff_bytes_of((const unsigned char *)entry.data + AFF_INDEX_ID_LEN, entry.len - AFF_INDEX_ID_LEN);
    int order = aff_bytes_compare(place, until);
    return w->step->reverse ? order < 0 : order >= 0;
}

/* ---- copies ---- */

static void put_entry(struct walk *w, aff_bytes place, aff_bytes key, aff_bytes stored)
{
    unsigned char *to = w->to + w->len;
    size_t size = KEY_HEAD + key.len + stored.len;
    aff_put_u32(to + SIZE_AT, (uint32_t)size);
    aff_put_u16(to + LENGTH_AT, (uint16_t)place.len);
    memcpy(to + PLACE_AT, place.data, place.len);
    to += PLACE_AT + place.len;
    aff_put_u16(to, (uint16_t)key.len);
    memcpy(to + KEY_HEAD, key.data, key.len);
    if (stored.data && stored.len)
        memcpy(to + KEY_HEAD + key.len, stored.data, stored.len);
    w->len += PLACE_AT + place.len + size;
}

/* Copies an entry that is in the range. 1: copied; 0: left out; MDB_MAP_FULL: there is no room; or another code of LMDB. */
static int take(struct walk *w, aff_bytes entry, aff_bytes cut_key)
{
    aff_bytes place = aff_bytes_of((const unsigned char *)entry.data + AFF_INDEX_ID_LEN, entry.len - AFF_INDEX_ID_LEN);
    aff_bytes key = cut_key.len ? cut_key : aff_index_entry_key(entry);
    struct aff_item item;
    MDB_val k = aff_to_val(key), v;
    if (!aff_store_key_fits(key))
        return MDB_CORRUPTED;
    int rc = mdb_get(w->txn, w->store->dbi[AFF_DB_VALUES], &k, &v);
    if (rc == MDB_NOTFOUND)
        return 0; /* what found its terms is not pure */
    if (rc)
        return rc;
    if (!aff_item_read(aff_of_val(v), &item))
        return MDB_CORRUPTED;
    int holds = w->bounds.loose ? aff_index_holds(w->store->index->declared, w->range, place, key, &item) : 1;
    if (holds <= 0)
        return holds ? ENOMEM : 0;
    size_t size = w->step->keys_only ? v.mv_size - item.value.len : v.mv_size;
    size_t whole = PLACE_AT + place.len + KEY_HEAD + key.len + size;
    bool fits = size <= w->budget && w->len + whole <= w->budget;
    if (!fits && w->len > 0)
        return MDB_MAP_FULL;
    put_entry(w, place, key, aff_bytes_of(v.mv_data, fits ? size : 0));
    return fits ? 1 : MDB_MAP_FULL;
}

/* LMDB's code: MDB_SUCCESS when it stopped for want of room, MDB_NOTFOUND at the end. */
static int copy(struct walk *w)
{
    bool reverse = w->step->reverse;
    MDB_val k, v;
    int rc = reverse ? last(w, &k, &v) : first(w, &k, &v);
    for (; rc == MDB_SUCCESS; rc = mdb_cursor_get(w->at, &k, &v, reverse ? MDB_PREV : MDB_NEXT)) {
        if (is_beyond(w, aff_of_val(k)))
            return MDB_NOTFOUND;
        int taken = take(w, aff_of_val(k), aff_of_val(v));
        if (taken == MDB_MAP_FULL)
            return MDB_SUCCESS;
        if (taken != 0 && taken != 1)
            return taken;
    }
    return rc;
}

/* ---- a step ---- */

/* The number of the index in this snapshot. 1, 0: it is not whole, or a negative code. */
static int find_whole(struct aff_store_reader *reader, const char *name, uint16_t *ret_id)
{
    struct aff_index_state states[AFF_INDEX_STATES];
    unsigned count;
    MDB_val k = aff_to_val(aff_str(AFF_INDEX_META)), v;
    int rc = mdb_get(reader->txn, reader->store->dbi[AFF_DB_META], &k, &v);
    if (rc == MDB_SUCCESS && !aff_index_states_read(aff_of_val(v), states, &count))
        rc = MDB_CORRUPTED;
    if (rc)
        return aff_store_code(reader->store, rc == MDB_NOTFOUND ? MDB_CORRUPTED : rc);
    for (unsigned i = 0; i < count; i++) {
        if (states[i].stage == AFF_INDEX_WHOLE && strcmp(states[i].name, name) == 0) {
            *ret_id = states[i].id;
            return 1;
        }
    }
    return 0;
}

int aff_store_reader_index_step(struct aff_store_reader *reader, const struct aff_index_range *range,
                                const struct aff_store_step *step, void *to, size_t budget, size_t *ret_len)
{
    struct aff_store *store = reader->store;
    assert(!reader->holds && store->index && range->index < store->index->declared->count);
    struct walk w = { .store = store, .txn = reader->txn, .range = range, .step = step, .to = to, .budget = budget };
    uint16_t id = 0;
    int rc = MDB_SUCCESS, code = aff_store_reader_hold(reader);
    if (code)
        return code;
    code = find_whole(reader, store->index->declared->items[range->index].name, &id);
    if (code == 1) {
        aff_index_bounds_make(id, range, &w.bounds);
        rc = mdb_cursor_open(reader->txn, store->index->dbi, &w.at);
        if (rc == MDB_SUCCESS) {
            rc = copy(&w);
            mdb_cursor_close(w.at);
        }
    }
    aff_store_reader_done(reader);
    if (code != 1)
        return code ? code : AFF_EBUILDING;
    if (rc != MDB_SUCCESS && rc != MDB_NOTFOUND)
        return aff_store_code(store, rc);
    *ret_len = w.len;
    return rc == MDB_SUCCESS;
}

void aff_index_entry_read(const void *entry, struct aff_store_entry *ret)
{
    size_t size;
    aff_bytes place = aff_store_entry_key(entry, &size);
    const unsigned char *at = (const unsigned char *)place.data + place.len;
    uint16_t key_len = aff_get_u16(at);
    aff_bytes key = aff_bytes_of(at + KEY_HEAD, key_len);
    aff_bytes stored = aff_bytes_of(at + KEY_HEAD + key_len, size - PLACE_AT - place.len - KEY_HEAD - key_len);
    *ret = (struct aff_store_entry){ .key = key, .whole = stored.len > 0 };
    if (ret->whole && !aff_item_read(stored, &ret->item))
        assert(false); /* it was read when it was copied */
}
