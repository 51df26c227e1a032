/*
 * index.c - which indexes a store has, how far each is built, and the changes of entries that come with a change of a value.
 * See index.h and index_inner.h. On the writer's thread.
 */
#include "store/index_inner.h"

#include "base/alloc.h"
#include "base/list.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { META_VERSION = 1 };

/* ---- what is remembered ---- */

bool aff_index_states_write(const struct aff_store_index *index, struct aff_buf *to)
{
    bool ok = aff_buf_u8(to, META_VERSION) && aff_buf_u8(to, (uint8_t)index->count);
    for (unsigned i = 0; i < index->count && ok; i++) {
        const struct aff_index_state *s = &index->states[i];
        size_t len = strlen(s->name);
        ok = aff_buf_u16(to, s->id) && aff_buf_u8(to, (uint8_t)s->stage) && aff_buf_u8(to, (uint8_t)len) &&
             aff_buf_add(to, s->name, len) && aff_buf_add(to, s->digest.b, sizeof s->digest.b) &&
             aff_buf_u16(to, (uint16_t)s->place_len) && aff_buf_add(to, s->place, s->place_len);
    }
    return ok;
}

static bool read_state(struct aff_cursor *c, struct aff_index_state *ret)
{
    *ret = (struct aff_index_state){ .id = aff_cursor_u16(c) };
    unsigned stage = aff_cursor_u8(c);
    aff_bytes name = aff_cursor_take(c, aff_cursor_u8(c));
    aff_bytes digest = aff_cursor_take(c, sizeof ret->digest.b);
    aff_bytes place = aff_cursor_take(c, aff_cursor_u16(c));
    if (c->failed || stage > AFF_INDEX_LEAVING || name.len > AFF_INDEX_NAME_MAX || place.len > AFF_KEY_MAX)
        return false;
    ret->stage = (enum aff_index_stage)stage;
    memcpy(ret->name, name.data, name.len);
    memcpy(ret->digest.b, digest.data, digest.len);
    memcpy(ret->place, place.data, ret->place_len = place.len);
    return true;
}

bool aff_index_states_read(aff_bytes from, struct aff_index_state *ret_states, unsigned *ret_count)
{
    struct aff_cursor c = aff_cursor_of(from);
    unsigned version = aff_cursor_u8(&c), count = aff_cursor_u8(&c);
    if (c.failed || version != META_VERSION || count > AFF_INDEX_STATES)
        return false;
    for (unsigned i = 0; i < count; i++) {
        if (!read_state(&c, &ret_states[i]))
            return false;
    }
    *ret_count = count;
    return aff_cursor_left(&c) == 0;
}

int aff_index_save(struct aff_store *store)
{
    struct aff_buf bytes;
    aff_buf_init(&bytes);
    int code = AFF_ENOMEM;
    if (aff_index_states_write(store->index, &bytes))
        code = aff_store_meta_put(store, AFF_INDEX_META, aff_buf_view(&bytes));
    aff_buf_fini(&bytes);
    return code;
}

/* ---- opening ---- */

static bool is_of(const struct aff_index_state *s, const struct aff_index_decl *decl)
{
    return s->stage != AFF_INDEX_LEAVING && strcmp(s->name, decl->name) == 0 && aff_digest_equal(s->digest, decl->digest);
}

static uint16_t unused_id(const struct aff_index_state *a, unsigned a_count, const struct aff_index_state *b, unsigned b_count)
{
    for (uint16_t id = 1;; id++) {
        bool used = false;
        for (unsigned i = 0; i < a_count; i++)
            used = used || a[i].id == id;
        for (unsigned i = 0; i < b_count; i++)
            used = used || b[i].id == id;
        if (!used)
            return id;
    }
}

/* What was found becomes what is declared, then what leaves. `empty`: there are no values, so what is new is whole. True: changed. */
static bool settle(struct aff_store_index *index, const struct aff_index_state *found, unsigned found_count, bool empty)
{
    const struct aff_indexes *declared = index->declared;
    bool taken[AFF_INDEX_STATES] = { false }, changed = found_count != declared->count;
    index->count = 0;
    for (unsigned d = 0; d < declared->count; d++) {
        struct aff_index_state *s = &index->states[index->count];
        unsigned i = 0;
        while (i < found_count && !is_of(&found[i], &declared->items[d]))
            i++;
        changed = changed || i != d;
        if (i < found_count) {
            *s = found[i];
            taken[i] = true;
        } else {
            *s = (struct aff_index_state){ .id = unused_id(found, found_count, index->states, index->count),
                                           .stage = empty ? AFF_INDEX_WHOLE : AFF_INDEX_BUILDING,
                                           .digest = declared->items[d].digest };
            (void)snprintf(s->name, sizeof s->name, "%s", declared->items[d].name);
        }
        index->count++;
    }
    for (unsigned i = 0; i < found_count; i++) {
        if (taken[i])
            continue;
        changed = changed || found[i].stage != AFF_INDEX_LEAVING;
        index->states[index->count] = found[i];
        index->states[index->count++].stage = AFF_INDEX_LEAVING;
    }
    return changed;
}

/* What a store remembers of its indexes. A store that was opened again and again with others before the old ones were gone has no
 * room for more: then all of them go at once. */
static int load(struct aff_store *store, struct aff_index_state *found, unsigned *ret_count)
{
    aff_bytes meta;
    int code = aff_store_meta_get(store, AFF_INDEX_META, &meta);
    *ret_count = 0;
    if (code == 1 && !aff_index_states_read(meta, found, ret_count))
        return aff_store_spoiled(store, MDB_CORRUPTED);
    if (code < 0 || *ret_count + store->index->declared->count <= AFF_INDEX_STATES)
        return code < 0 ? code : 0;
    *ret_count = 0;
    int rc = mdb_drop(store->txn, store->index->dbi, 0);
    return rc ? aff_store_spoiled(store, rc) : 0;
}

/* Finds the database of the entries, or makes it: only then is there need for space, which a full disk does not have. */
static int open_entries(struct aff_store *store)
{
    int rc = mdb_dbi_open(store->txn, "index", 0, &store->index->dbi);
    if (rc == MDB_NOTFOUND) {
        int code = aff_space_claim(&store->space, store->txn, AFF_SPACE_CHANGE);
        if (code)
            return code;
        rc = mdb_dbi_open(store->txn, "index", MDB_CREATE, &store->index->dbi);
    }
    return rc ? aff_store_spoiled(store, rc) : 0;
}

static int open_in_txn(struct aff_store *store)
{
    struct aff_index_state *found = aff_xcalloc(AFF_INDEX_STATES, sizeof *found);
    unsigned count = 0;
    int code = aff_store_begin(store);
    if (code == 0)
        code = open_entries(store);
    if (code == 0)
        code = load(store, found, &count);
    if (code == 0 && settle(store->index, found, count, aff_store_count(store) == 0))
        code = aff_index_save(store);
    free(found);
    return code ? code : aff_store_commit(store);
}

int aff_index_open(struct aff_store *store, const struct aff_indexes *declared, aff_error *err)
{
    static const struct aff_indexes none;
    size_t len;
    int code = declared && declared->count ? 1 : aff_store_meta_committed(store, AFF_INDEX_META, NULL, 0, &len);
    if (code == 0)
        return 0; /* there are none, and were none */
    store->index = aff_xcalloc(1, sizeof *store->index);
    store->index->declared = declared ? declared : &none;
    assert(store->index->declared->count <= AFF_INDEXES_MAX);
    code = code < 0 ? code : open_in_txn(store);
    if (code == 0)
        return 0;
    aff_store_abort(store);
    return aff_fail_with(err, code, "store: cannot prepare the indexes in %s: %s", store->folder, aff_error_title(code));
}

void aff_index_close(struct aff_store *store)
{
    struct aff_store_index *index = store->index;
    if (!index)
        return;
    aff_buf_fini(&index->change.bytes);
    free(index->change.old.items);
    free(index->change.new.items);
    free(index);
    store->index = NULL;
}

/* There are no values: what is declared is whole, and nothing else is left. */
void aff_index_wiped(struct aff_store *store)
{
    struct aff_store_index *index = store->index;
    if (!index)
        return;
    index->count = index->declared->count;
    for (unsigned i = 0; i < index->count; i++)
        index->states[i].stage = AFF_INDEX_WHOLE, index->states[i].place_len = 0;
}

int aff_index_wipe(struct aff_store *store)
{
    struct aff_store_index *index = store->index;
    if (!index)
        return 0;
    struct aff_store after = { .index = aff_xmalloc(sizeof *index) };
    struct aff_buf bytes;
    aff_buf_init(&bytes);
    *after.index = *index;
    aff_index_wiped(&after);
    int rc = aff_index_states_write(after.index, &bytes) ? mdb_drop(store->txn, index->dbi, 0) : ENOMEM;
    MDB_val k = aff_to_val(aff_str(AFF_INDEX_META)), v = aff_to_val(aff_buf_view(&bytes));
    if (rc == MDB_SUCCESS)
        rc = mdb_put(store->txn, store->dbi[AFF_DB_META], &k, &v, 0);
    aff_buf_fini(&bytes);
    free(after.index);
    return rc ? aff_store_spoiled(store, rc) : 0;
}

/* ---- the entries of a value ---- */

struct collector {
    struct aff_terms terms;
    const struct aff_store_index *index;
    aff_bytes key;
    struct aff_buf *bytes;
    struct aff_index_edits *to;
    bool wanted[AFF_INDEXES_MAX];
    unsigned counts[AFF_INDEXES_MAX];
};

static int collect(struct aff_terms *terms, unsigned which, aff_bytes term)
{
    struct collector *c = aff_container_of(terms, struct collector, terms);
    assert(which < c->index->declared->count);
    if (!c->wanted[which] || c->counts[which] == AFF_TERMS_MAX)
        return 0;
    c->counts[which]++;
    struct aff_index_entry e;
    aff_index_entry_make(c->index->states[which].id, term, c->key, &e);
    struct aff_index_edits *to = c->to;
    if (to->count == to->capacity) {
        to->capacity = to->capacity ? 2 * to->capacity : 16;
        to->items = aff_xrealloc(to->items, to->capacity, sizeof *to->items);
    }
    to->items[to->count++] = (struct aff_index_edit){ (uint32_t)c->bytes->len, (uint32_t)e.len, e.cut };
    return aff_buf_add(c->bytes, e.b, e.len) ? 0 : AFF_ENOMEM;
}

static aff_bytes edit_view(const struct aff_index_change *change, const struct aff_index_edit *edit)
{
    return aff_bytes_of(change->bytes.data + edit->at, edit->len);
}

static int compare_edits(const void *a, const void *b, void *change)
{
    return aff_bytes_compare(edit_view(change, a), edit_view(change, b));
}

/* In order, each once. */
static void sort(struct aff_index_change *change, struct aff_index_edits *edits)
{
    size_t kept = 0;
    if (edits->count > 1)
        qsort_r(edits->items, edits->count, sizeof *edits->items, compare_edits, change);
    for (size_t i = 0; i < edits->count; i++) {
        if (kept == 0 || compare_edits(&edits->items[kept - 1], &edits->items[i], change) != 0)
            edits->items[kept++] = edits->items[i];
    }
    edits->count = kept;
}

/* Takes out what is in both. */
static void subtract_common(struct aff_index_change *change)
{
    struct aff_index_edits *old = &change->old, *new = &change->new;
    size_t i = 0, j = 0, olds = 0, news = 0;
    while (i < old->count || j < new->count) {
        int order = i == old->count ? 1 : j == new->count ? -1 : compare_edits(&old->items[i], &new->items[j], change);
        if (order < 0)
            old->items[olds++] = old->items[i++];
        else if (order > 0)
            new->items[news++] = new->items[j++];
        else
            i++, j++;
    }
    old->count = olds;
    new->count = news;
}

static void clear(struct aff_index_change *change)
{
    aff_buf_clear(&change->bytes);
    change->old.count = change->new.count = 0;
}

static int collect_all(struct collector *c, const struct aff_item *item, struct aff_index_edits *to)
{
    struct aff_index_change *change = aff_container_of(c->bytes, struct aff_index_change, bytes);
    c->to = to;
    memset(c->counts, 0, sizeof c->counts);
    int code = c->index->declared->find(c->index->declared, c->key, item, &c->terms);
    if (code == 0)
        sort(change, to);
    return code;
}

int aff_index_entries_of(struct aff_store *store, unsigned which, aff_bytes key, const struct aff_item *item)
{
    struct aff_store_index *index = store->index;
    struct collector c = { .terms.add = collect, .index = index, .key = key, .bytes = &index->change.bytes };
    c.wanted[which] = true;
    clear(&index->change);
    return collect_all(&c, item, &index->change.new);
}

/* Which indexes have the entries of this key already, or are to get them now? True: some. */
static bool concerned(const struct aff_store_index *index, aff_bytes key, bool *ret_wanted)
{
    bool some = false;
    for (unsigned i = 0; i < index->declared->count; i++) {
        const struct aff_index_state *s = &index->states[i];
        ret_wanted[i] = s->stage == AFF_INDEX_WHOLE ||
                        (s->place_len && aff_bytes_compare(key, aff_bytes_of(s->place, s->place_len)) <= 0);
        some = some || ret_wanted[i];
    }
    return some;
}

/* ---- a change of a value ---- */

int aff_index_change_find(struct aff_store *store, aff_bytes key, const struct aff_item *item)
{
    struct aff_store_index *index = store->index;
    struct aff_item old;
    clear(&index->change);
    struct collector c = { .terms.add = collect, .index = index, .key = key, .bytes = &index->change.bytes };
    if (!concerned(index, key, c.wanted))
        return 0;
    int code = aff_store_get(store, key, &old);
    if (code == 1)
        code = collect_all(&c, &old, &index->change.old);
    if (code == 0 && item)
        code = collect_all(&c, item, &index->change.new);
    if (code == 0)
        subtract_common(&index->change);
    return code;
}

uint64_t aff_index_pages(struct aff_store *store, size_t entries)
{
    MDB_stat stat;
    if (entries == 0 || mdb_stat(store->txn, store->index->dbi, &stat))
        return 0;
    return AFF_SPACE_CHANGE + (entries - 1) * 3 * ((uint64_t)stat.ms_depth + 4);
}

uint64_t aff_index_change_pages(struct aff_store *store)
{
    return aff_index_pages(store, store->index->change.old.count + store->index->change.new.count);
}

int aff_index_put_new(struct aff_store *store, aff_bytes key)
{
    const struct aff_index_change *change = &store->index->change;
    int rc = MDB_SUCCESS;
    for (size_t i = 0; i < change->new.count && rc == MDB_SUCCESS; i++) {
        MDB_val k = aff_to_val(edit_view(change, &change->new.items[i]));
        MDB_val v = aff_to_val(change->new.items[i].cut ? key : aff_str(""));
        rc = mdb_put(store->txn, store->index->dbi, &k, &v, 0);
    }
    return rc;
}

/* An entry that should be there and is not: the function that finds terms is not pure. Nothing breaks for it. */
static int delete_old(struct aff_store *store)
{
    const struct aff_index_change *change = &store->index->change;
    int rc = MDB_SUCCESS;
    for (size_t i = 0; i < change->old.count && rc == MDB_SUCCESS; i++) {
        MDB_val k = aff_to_val(edit_view(change, &change->old.items[i]));
        rc = mdb_del(store->txn, store->index->dbi, &k, NULL);
        if (rc == MDB_NOTFOUND)
            rc = MDB_SUCCESS;
    }
    return rc;
}

int aff_index_change_apply(struct aff_store *store, aff_bytes key)
{
    int rc = delete_old(store);
    if (rc == MDB_SUCCESS)
        rc = aff_index_put_new(store, key);
    return rc ? aff_store_spoiled(store, rc) : 0;
}

int aff_store_index_weight(struct aff_store *store, aff_bytes key, const struct aff_item *item, uint64_t *ret_bytes)
{
    *ret_bytes = 0;
    if (!store->index)
        return 0;
    int code = aff_store_begin(store);
    if (code == 0)
        code = aff_index_change_find(store, key, item);
    if (code == 0)
        *ret_bytes = (store->index->change.old.count + store->index->change.new.count) * (AFF_STORE_WRITE_MIN / 2);
    return code;
}
