/*
 * scan.c - steps over the keys of a store: a reader seeks a place, copies what follows, and drops its snapshot before it returns.
 * So whoever reads a store in order, however slowly, keeps no page of it; the place where it goes on is a key that it has.
 *
 * An entry is copied as it is stored, in one piece:
 *
 *   size   4   of the stored item that follows the key; 0: left out, since it alone was over the budget
 *   length 2   of the key
 *   key, and the stored item (item.h), which ends before its value when only keys are wanted
 *
 * Numbers are big-endian: copies travel to other nodes. On the thread of the reader's loop; what looks at copies, on any.
 */
#include "base/buf.h"
#include "store/inner.h"
#include "store/item.h"

#include <assert.h>

enum { SIZE_AT = 0, LENGTH_AT = 4, KEY_AT = 6 };

_Static_assert(KEY_AT <= AFF_STORE_STEP_HEAD, "the head of an entry is as long as is said");

/* ---- the place ---- */

/* The key that is looked for, and what it is when it exists. A place that is too long for a key lies right behind its beginning. */
struct place {
    aff_bytes key; /* len 0: the end where the step begins */
    bool taken;
};

static struct place place_of(const struct aff_store_step *step)
{
    if (!step->from.data)
        return (struct place){ .key.len = 0 };
    if (step->from.len > AFF_KEY_MAX)
        return (struct place){ aff_bytes_of(step->from.data, AFF_KEY_MAX), step->reverse };
    return (struct place){ step->from, step->inclusive };
}

static int seek_forward(MDB_cursor *at, const struct place *place, MDB_val *k, MDB_val *v)
{
    if (place->key.len == 0)
        return mdb_cursor_get(at, k, v, MDB_FIRST);
    *k = aff_to_val(place->key);
    int rc = mdb_cursor_get(at, k, v, MDB_SET_RANGE);
    if (rc == MDB_SUCCESS && !place->taken && aff_bytes_equal(aff_of_val(*k), place->key))
        rc = mdb_cursor_get(at, k, v, MDB_NEXT);
    return rc;
}

static int seek_back(MDB_cursor *at, const struct place *place, MDB_val *k, MDB_val *v)
{
    *k = aff_to_val(place->key);
    int rc = mdb_cursor_get(at, k, v, MDB_SET_RANGE);
    if (rc == MDB_NOTFOUND)
        return mdb_cursor_get(at, k, v, MDB_LAST);
    if (rc == MDB_SUCCESS && !(place->taken && aff_bytes_equal(aff_of_val(*k), place->key)))
        rc = mdb_cursor_get(at, k, v, MDB_PREV);
    return rc;
}

static int seek(MDB_cursor *at, const struct aff_store_step *step, MDB_val *k, MDB_val *v)
{
    struct place place = place_of(step);
    if (!step->reverse)
        return seek_forward(at, &place, k, v);
    if (!step->from.data)
        return mdb_cursor_get(at, k, v, MDB_LAST);
    if (place.key.len == 0)
        return MDB_NOTFOUND; /* no key is below the empty one */
    return seek_back(at, &place, k, v);
}

static bool is_beyond(const struct aff_store_step *step, MDB_val k)
{
    if (!step->until.data)
        return false;
    int order = aff_bytes_compare(aff_of_val(k), step->until);
    return step->reverse ? order < 0 : order >= 0;
}

/* ---- copies ---- */

static size_t put_entry(unsigned char *to, MDB_val k, const void *stored, size_t size)
{
    aff_put_u32(to + SIZE_AT, (uint32_t)size);
    aff_put_u16(to + LENGTH_AT, (uint16_t)k.mv_size);
    memcpy(to + KEY_AT, k.mv_data, k.mv_size);
    if (size)
        memcpy(to + KEY_AT + k.mv_size, stored, size);
    return KEY_AT + k.mv_size + size;
}

/* The bytes of the stored item that are wanted; 0: it is damaged. */
static size_t wanted_size(const struct aff_store_step *step, MDB_val k, MDB_val v)
{
    struct aff_item item;
    if (k.mv_size > AFF_KEY_MAX || v.mv_size > UINT32_MAX || !aff_item_read(aff_of_val(v), &item))
        return 0;
    return step->keys_only ? v.mv_size - item.value.len : v.mv_size;
}

/* LMDB's code: MDB_SUCCESS when it stopped for want of room, MDB_NOTFOUND at the end. */
static int copy(MDB_cursor *at, const struct aff_store_step *step, unsigned char *to, size_t budget, size_t *ret_len)
{
    MDB_val k, v;
    size_t len = 0;
    int rc = seek(at, step, &k, &v);
    for (; rc == MDB_SUCCESS; rc = mdb_cursor_get(at, &k, &v, step->reverse ? MDB_PREV : MDB_NEXT)) {
        if (is_beyond(step, k)) {
            rc = MDB_NOTFOUND;
            break;
        }
        size_t size = wanted_size(step, k, v);
        if (size == 0)
            return MDB_CORRUPTED;
        bool fits = size <= budget && len + KEY_AT + k.mv_size + size <= budget;
        if (!fits && len > 0)
            break;
        len += put_entry(to + len, k, v.mv_data, fits ? size : 0);
        if (!fits)
            break;
    }
    *ret_len = len;
    return rc;
}

int aff_store_reader_step(struct aff_store_reader *reader, const struct aff_store_step *step, void *to, size_t budget,
                          size_t *ret_len)
{
    assert(!reader->holds); /* its end would end the views of a get */
    struct aff_store *store = reader->store;
    int code = aff_store_reader_hold(reader);
    if (code)
        return code;
    int rc = reader->cursor ? mdb_cursor_renew(reader->txn, reader->cursor)
                            : mdb_cursor_open(reader->txn, store->dbi[AFF_DB_VALUES], &reader->cursor);
    if (rc == MDB_SUCCESS)
        rc = copy(reader->cursor, step, to, budget, ret_len);
    aff_store_reader_done(reader);
    if (rc == MDB_SUCCESS)
        return 1;
    return rc == MDB_NOTFOUND ? 0 : aff_store_code(store, rc);
}

/* ---- copies that came from elsewhere ---- */

static bool is_item(aff_bytes stored)
{
    struct aff_item item;
    return stored.len == 0 || aff_item_read(stored, &item);
}

/* Behind the key stands the item, or of an index the key of the value before it. */
static bool is_behind_key(aff_bytes rest, bool indexed)
{
    struct aff_cursor c = aff_cursor_of(rest);
    if (indexed && !aff_store_key_fits(aff_cursor_take(&c, aff_cursor_u16(&c))))
        return false;
    return !c.failed && is_item(aff_bytes_of(c.at, aff_cursor_left(&c)));
}

bool aff_store_entries_check(aff_bytes entries, bool indexed)
{
    struct aff_cursor c = aff_cursor_of(entries);
    while (aff_cursor_left(&c) > 0) {
        uint32_t size = aff_cursor_u32(&c);
        uint16_t length = aff_cursor_u16(&c);
        aff_bytes key = aff_cursor_take(&c, length), rest = aff_cursor_take(&c, size);
        if (c.failed || key.len == 0 || key.len > AFF_KEY_MAX || !is_behind_key(rest, indexed))
            return false;
    }
    return !c.failed;
}

/* ---- looking at them ---- */

aff_bytes aff_store_entry_key(const void *entry, size_t *ret_size)
{
    const unsigned char *at = entry;
    uint16_t length = aff_get_u16(at + LENGTH_AT);
    *ret_size = KEY_AT + length + (size_t)aff_get_u32(at + SIZE_AT);
    return aff_bytes_of(at + KEY_AT, length);
}

void aff_store_entry_read(const void *entry, struct aff_store_entry *ret)
{
    size_t size;
    aff_bytes key = aff_store_entry_key(entry, &size);
    aff_bytes stored = aff_bytes_of((const unsigned char *)key.data + key.len, size - KEY_AT - key.len);
    *ret = (struct aff_store_entry){ .key = key, .whole = stored.len > 0 };
    if (ret->whole && !aff_item_read(stored, &ret->item))
        assert(false); /* it was read when it was copied */
}
