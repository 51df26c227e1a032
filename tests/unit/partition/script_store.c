/*
 * script_store.c - the state of the scripted partition: tables in memory, one transaction, and functions that fail on
 * demand.
 *
 * A view that is handed out is a copy that is freed with the next change or commit, so that a sanitizer finds whoever
 * looks at it later.
 */
#include "script_store.h"

struct view {
    struct aff_list link;
    size_t len;
    unsigned char data[];
};

static struct script *script_of(struct aff_world_store *w)
{
    return aff_container_of(w, struct script, store);
}

/* A fault strikes once. */
static int fault(struct script *s, enum script_fault f)
{
    int code = s->faults[f];

    s->faults[f] = 0;
    return code;
}

/* ---- views ---- */

static void drop_views(struct script *s)
{
    struct aff_list *node;

    while ((node = aff_list_take(&s->views)))
        free(aff_container_of(node, struct view, link));
}

static aff_bytes view_of(struct script *s, const void *data, size_t len)
{
    struct view *v = malloc(sizeof *v + len + 1);

    v->len = len;
    memcpy(v->data, data, len);
    v->data[len] = 0;
    aff_list_append(&s->views, &v->link);
    return aff_bytes_of(v->data, len);
}

static void changes(struct script *s)
{
    s->changed = true;
    drop_views(s);
}

/* ---- tables ---- */

/* The place of the key, or where it would stand. */
static size_t place(const struct script_table *t, aff_bytes key, bool *found)
{
    size_t low = 0, high = t->count;

    *found = false;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int c = aff_bytes_compare(aff_bytes_of(t->pairs[middle].key, t->pairs[middle].key_len), key);

        *found |= c == 0;
        if (c < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct script_pair *script_table_find(const struct script_table *t, aff_bytes key)
{
    bool found;
    size_t i = place(t, key, &found);

    return found ? &t->pairs[i] : NULL;
}

static unsigned char *copy_of(const void *data, size_t len)
{
    unsigned char *copy = malloc(len + 1);

    memcpy(copy, data, len);
    copy[len] = 0;
    return copy;
}

static void table_set(struct script_table *t, aff_bytes key, aff_bytes value)
{
    bool found;
    size_t i = place(t, key, &found);

    if (!found) {
        t->pairs = realloc(t->pairs, (t->count + 1) * sizeof *t->pairs);
        memmove(t->pairs + i + 1, t->pairs + i, (t->count++ - i) * sizeof *t->pairs);
        t->pairs[i].key = copy_of(key.data, key.len);
        t->pairs[i].key_len = key.len;
    } else {
        free(t->pairs[i].value);
    }
    t->pairs[i].value = copy_of(value.data, value.len);
    t->pairs[i].value_len = value.len;
}

static void table_remove(struct script_table *t, aff_bytes key)
{
    bool found;
    size_t i = place(t, key, &found);

    if (!found)
        return;
    free(t->pairs[i].key);
    free(t->pairs[i].value);
    memmove(t->pairs + i, t->pairs + i + 1, (--t->count - i) * sizeof *t->pairs);
}

static void table_clear(struct script_table *t)
{
    for (size_t i = 0; i < t->count; i++) {
        free(t->pairs[i].key);
        free(t->pairs[i].value);
    }
    free(t->pairs);
    *t = (struct script_table){ 0 };
}

static void tables_copy(struct script_table *to, const struct script_table *from)
{
    for (int t = 0; t < SCRIPT_TABLES; t++) {
        table_clear(&to[t]);
        to[t].count = from[t].count;
        to[t].pairs = malloc(from[t].count * sizeof *to[t].pairs + 1);
        for (size_t i = 0; i < from[t].count; i++) {
            to[t].pairs[i] = from[t].pairs[i];
            to[t].pairs[i].key = copy_of(from[t].pairs[i].key, from[t].pairs[i].key_len);
            to[t].pairs[i].value = copy_of(from[t].pairs[i].value, from[t].pairs[i].value_len);
        }
    }
}

/* ---- values: version, length of the content type, content type, value ---- */

static int store_get(struct aff_world_store *w, aff_bytes key, struct aff_item *ret)
{
    struct script *s = script_of(w);
    const struct script_pair *pair;
    const unsigned char *v;
    size_t type_len;
    int code = fault(s, STORE_GET);

    if (code)
        return code;
    assert_in_range(key.len, 1, AFF_KEY_MAX);
    pair = script_table_find(&s->tables[SCRIPT_TABLE_VALUES], key);
    if (!pair)
        return 0;
    v = view_of(s, pair->value, pair->value_len).data;
    memcpy(&ret->version, v, sizeof ret->version);
    type_len = v[sizeof ret->version];
    v += sizeof ret->version + 1;
    ret->content_type = aff_bytes_of(v, type_len);
    ret->value = aff_bytes_of(v + type_len, pair->value_len - sizeof ret->version - 1 - type_len);
    return 1;
}

static int store_put(struct aff_world_store *w, aff_bytes key, const struct aff_item *item)
{
    struct script *s = script_of(w);
    struct aff_buf buf;
    int code = fault(s, STORE_PUT);

    if (code)
        return code;
    assert_in_range(key.len, 1, AFF_KEY_MAX);
    assert_non_null(item->value.data);
    aff_buf_init(&buf);
    assert_true(aff_buf_add(&buf, &item->version, sizeof item->version));
    assert_true(aff_buf_u8(&buf, (uint8_t)item->content_type.len));
    if (item->content_type.len)
        assert_true(aff_buf_add(&buf, item->content_type.data, item->content_type.len));
    assert_true(aff_buf_add(&buf, item->value.data, item->value.len));
    changes(s);
    table_set(&s->tables[SCRIPT_TABLE_VALUES], key, aff_buf_view(&buf));
    aff_buf_fini(&buf);
    return 0;
}

static int store_del(struct aff_world_store *w, aff_bytes key)
{
    struct script *s = script_of(w);

    changes(s);
    table_remove(&s->tables[SCRIPT_TABLE_VALUES], key);
    return 0;
}

/* In order of expiry, then of key, as the real store walks. */
static int store_expired(struct aff_world_store *w, int64_t now_ms, struct aff_expiry_cursor *c,
                         struct aff_version *ret)
{
    struct script *s = script_of(w);
    const struct script_table *t = &s->tables[SCRIPT_TABLE_VALUES];
    const struct script_pair *best = NULL;
    struct aff_version version, best_version = { 0 };
    int code = fault(s, STORE_EXPIRED);

    if (code)
        return code;
    for (size_t i = 0; i < t->count; i++) {
        aff_bytes key = aff_bytes_of(t->pairs[i].key, t->pairs[i].key_len);

        memcpy(&version, t->pairs[i].value, sizeof version);
        if (version.expires_ms == AFF_NO_TIME || version.expires_ms > now_ms)
            continue;
        if (c->started &&
            (version.expires_ms < c->expires_ms ||
             (version.expires_ms == c->expires_ms && aff_bytes_compare(key, aff_bytes_of(c->key, c->key_len)) <= 0)))
            continue;
        if (best && version.expires_ms >= best_version.expires_ms)
            continue;
        best = &t->pairs[i];
        best_version = version;
    }
    if (!best)
        return 0;
    c->started = true;
    c->expires_ms = best_version.expires_ms;
    memcpy(c->key, best->key, c->key_len = best->key_len);
    *ret = best_version;
    return 1;
}

/* ---- the transaction ---- */

static int store_room(struct aff_world_store *w, uint64_t bytes)
{
    script_of(w)->room_asked = bytes;
    return fault(script_of(w), STORE_ROOM);
}

static int store_commit(struct aff_world_store *w)
{
    struct script *s = script_of(w);
    int code = fault(s, STORE_COMMIT);

    drop_views(s);
    if (code) {
        script_store_crash(s);
        return code;
    }
    tables_copy(s->committed, s->tables);
    s->changed = false;
    s->commits++;
    return 0;
}

static int store_wipe(struct aff_world_store *w)
{
    struct script *s = script_of(w);
    int code = fault(s, STORE_WIPE);

    drop_views(s);
    if (code)
        return code;
    for (int t = 0; t < SCRIPT_TABLES; t++) {
        table_clear(&s->tables[t]);
        table_clear(&s->committed[t]);
    }
    s->changed = false;
    s->wipes++;
    return 0;
}

void script_store_crash(struct script *s)
{
    drop_views(s);
    tables_copy(s->tables, s->committed);
    s->changed = false;
}

/* ---- side tables and the checkpoint ---- */

static int find(struct script *s, int table, aff_bytes key, aff_bytes *ret)
{
    const struct script_pair *pair = script_table_find(&s->tables[table], key);

    if (!pair)
        return 0;
    *ret = view_of(s, pair->value, pair->value_len);
    return 1;
}

static int store_meta_get(struct aff_world_store *w, const char *name, aff_bytes *ret)
{
    int code = fault(script_of(w), STORE_META);

    return code ? code : find(script_of(w), SCRIPT_TABLE_META, aff_str(name), ret);
}

static int store_meta_put(struct aff_world_store *w, const char *name, aff_bytes value)
{
    int code = fault(script_of(w), STORE_META);

    if (code)
        return code;
    changes(script_of(w));
    table_set(&script_of(w)->tables[SCRIPT_TABLE_META], aff_str(name), value);
    return 0;
}

static int store_table_get(struct aff_world_store *w, enum aff_table t, aff_bytes key, aff_bytes *ret)
{
    int code = fault(script_of(w), STORE_TABLE);

    return code ? code : find(script_of(w), t, key, ret);
}

static int store_table_put(struct aff_world_store *w, enum aff_table t, aff_bytes key, aff_bytes value)
{
    int code = fault(script_of(w), STORE_TABLE);
    struct aff_buf copy; /* the bytes may be views of this store, which the change ends */

    if (code)
        return code;
    aff_buf_init(&copy);
    assert_true(aff_buf_add(&copy, value.data, value.len));
    changes(script_of(w));
    table_set(&script_of(w)->tables[t], key, aff_buf_view(&copy));
    aff_buf_fini(&copy);
    return 0;
}

static int store_table_del(struct aff_world_store *w, enum aff_table t, aff_bytes key)
{
    changes(script_of(w));
    table_remove(&script_of(w)->tables[t], key);
    return 0;
}

static int store_table_next(struct aff_world_store *w, enum aff_table t, aff_bytes after, aff_bytes *ret_key,
                            aff_bytes *ret_value)
{
    struct script *s = script_of(w);
    const struct script_table *table = &s->tables[t];
    bool found = false;
    size_t i = after.len > 0 ? place(table, after, &found) : 0;

    i += found;
    if (i == table->count)
        return 0;
    *ret_key = view_of(s, table->pairs[i].key, table->pairs[i].key_len);
    *ret_value = view_of(s, table->pairs[i].value, table->pairs[i].value_len);
    return 1;
}

static uint64_t store_table_count(struct aff_world_store *w, enum aff_table t)
{
    return script_of(w)->tables[t].count;
}

void script_store_init(struct script *s)
{
    aff_list_init(&s->views);
    s->store = (struct aff_world_store){
        .get = store_get,
        .put = store_put,
        .del = store_del,
        .room = store_room,
        .commit = store_commit,
        .wipe = store_wipe,
        .expired = store_expired,
        .meta_get = store_meta_get,
        .meta_put = store_meta_put,
        .table_get = store_table_get,
        .table_put = store_table_put,
        .table_del = store_table_del,
        .table_next = store_table_next,
        .table_count = store_table_count,
    };
}

void script_store_fini(struct script *s)
{
    drop_views(s);
    for (int t = 0; t < SCRIPT_TABLES; t++) {
        table_clear(&s->tables[t]);
        table_clear(&s->committed[t]);
    }
}
