/*
 * fake_store.c - see fake_store.h. All tables are maps of bytes to bytes; an item is its version, the length of its content
 * type, that and the value.
 */
#include "fake_store.h"

#include "base/alloc.h"

#include <assert.h>
#include <stdlib.h>

struct item_head {
    struct aff_version version;
    uint64_t type_len;
};

static struct sim_store *store_of(struct aff_world_store *world)
{
    return aff_container_of(world, struct sim_store, world);
}

/* ---- hashes ---- */

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * UINT64_C(0x9fb21c651e98df25);
    return h ^ h >> 32;
}

uint64_t sim_bytes_hash(aff_bytes bytes)
{
    const unsigned char *at = bytes.data;
    uint64_t h = 0x1234567 + bytes.len, word;

    for (size_t left = bytes.len; left > 0; left -= left < 8 ? left : 8, at += 8) {
        word = 0;
        memcpy(&word, at, left < 8 ? left : 8);
        h = mix(h, word);
    }
    return mix(h, 0);
}

uint64_t sim_item_hash(aff_bytes key, const struct aff_item *item)
{
    uint64_t h = sim_bytes_hash(key);

    h = mix(h, (uint64_t)item->version.offset);
    h = mix(h, (uint64_t)item->version.time_ms);
    h = mix(h, (uint64_t)item->version.expires_ms);
    h = mix(h, (uint64_t)item->version.event_ms);
    h = mix(h, sim_bytes_hash(item->content_type));
    return mix(h, sim_bytes_hash(item->value));
}

static struct aff_item item_of(const struct sim_pair *pair)
{
    struct item_head head;
    const unsigned char *after = pair->value + sizeof head;

    memcpy(&head, pair->value, sizeof head);
    return (struct aff_item){
        .version = head.version,
        .content_type = aff_bytes_of(after, head.type_len),
        .value = aff_bytes_of(after + head.type_len, pair->value_len - sizeof head - head.type_len),
    };
}

/* The digests gain and lose what a pair stands for. */
static void count_pair(struct sim_store *s, int table, const struct sim_pair *pair, int by)
{
    aff_bytes key = aff_bytes_of(pair->key, pair->key_len);

    if (table == SIM_TABLE_VALUES) {
        struct aff_item item = item_of(pair);
        s->values_digest ^= sim_item_hash(key, &item);
    } else if (table == AFF_TABLE_DIRTY && !aff_key_is_control(key)) {
        s->dirty_digest ^= sim_bytes_hash(key);
        s->dirty_count += (uint64_t)by;
    }
}

/* ---- maps ---- */

/* Place of the first key that is not below `key`. */
static size_t place_of(const struct sim_map *m, aff_bytes key)
{
    size_t low = 0, high = m->count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (aff_bytes_compare(aff_bytes_of(m->pairs[middle].key, m->pairs[middle].key_len), key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool holds_at(const struct sim_map *m, size_t at, aff_bytes key)
{
    return at < m->count && aff_bytes_equal(aff_bytes_of(m->pairs[at].key, m->pairs[at].key_len), key);
}

static struct sim_pair *find(struct sim_store *s, int table, aff_bytes key)
{
    size_t at = place_of(&s->maps[table], key);

    return holds_at(&s->maps[table], at, key) ? &s->maps[table].pairs[at] : NULL;
}

static void *copy_of(const void *data, size_t len)
{
    void *copy = aff_xmalloc(len + 1); /* never of size 0 */

    if (len)
        memcpy(copy, data, len);
    return copy;
}

static void insert(struct sim_store *s, int table, aff_bytes key, unsigned char *value, size_t value_len)
{
    struct sim_map *m = &s->maps[table];
    size_t at = place_of(m, key);

    if (m->count == m->capacity) {
        m->capacity = m->capacity ? 2 * m->capacity : 16;
        m->pairs = aff_xrealloc(m->pairs, m->capacity, sizeof *m->pairs);
    }
    memmove(m->pairs + at + 1, m->pairs + at, (m->count - at) * sizeof *m->pairs);
    m->pairs[at] = (struct sim_pair){ copy_of(key.data, key.len), value, key.len, value_len };
    m->count++;
    count_pair(s, table, &m->pairs[at], 1);
}

/* Takes the pair out; its memory goes to the caller. */
static struct sim_pair take(struct sim_store *s, int table, aff_bytes key)
{
    struct sim_map *m = &s->maps[table];
    size_t at = place_of(m, key);
    struct sim_pair pair = m->pairs[at];

    assert(holds_at(m, at, key));
    count_pair(s, table, &pair, -1);
    m->count--;
    memmove(m->pairs + at, m->pairs + at + 1, (m->count - at) * sizeof *m->pairs);
    return pair;
}

static void free_pair(struct sim_pair *pair)
{
    free(pair->key);
    free(pair->value);
}

/* ---- views ---- */

static aff_bytes hand_out(struct sim_store *s, const void *data, size_t len)
{
    if (s->view_count == s->view_capacity) {
        s->view_capacity = s->view_capacity ? 2 * s->view_capacity : 16;
        s->views = aff_xrealloc(s->views, s->view_capacity, sizeof *s->views);
    }
    s->views[s->view_count] = (struct sim_view){ copy_of(data, len), len };
    return aff_bytes_of(s->views[s->view_count++].data, len);
}

static void end_views(struct sim_store *s)
{
    for (size_t i = 0; i < s->view_count; i++) {
        memset(s->views[i].data, 0xdd, s->views[i].len);
        free(s->views[i].data);
    }
    s->view_count = 0;
}

/* ---- transactions ---- */

static void remember(struct sim_store *s, int table, struct sim_pair before)
{
    if (s->undo_count == s->undo_capacity) {
        s->undo_capacity = s->undo_capacity ? 2 * s->undo_capacity : 64;
        s->undo = aff_xrealloc(s->undo, s->undo_capacity, sizeof *s->undo);
    }
    s->undo[s->undo_count++] = (struct sim_undo){ table, before };
}

/* May the disk be used? It breaks now and then, and stays so while the process lives. */
static bool works(struct sim_store *s)
{
    if (!s->sim->quiet && sim_rare(&s->sim->random, s->sim->profile.disk_fails))
        s->fails = true;
    return !s->fails && !s->detached;
}

static int change(struct sim_store *s, int table, aff_bytes key, unsigned char *value, size_t value_len)
{
    struct sim_pair before;

    if (!works(s)) {
        free(value);
        return AFF_EIO;
    }
    if (find(s, table, key))
        before = take(s, table, key);
    else if (value)
        before = (struct sim_pair){ copy_of(key.data, key.len), NULL, key.len, 0 };
    else
        return 0; /* what is not there is not removed */
    remember(s, table, before);
    if (value)
        insert(s, table, key, value, value_len);
    end_views(s);
    return 0;
}

static void roll_back(struct sim_store *s)
{
    while (s->undo_count > 0) {
        struct sim_undo *u = &s->undo[--s->undo_count];
        aff_bytes key = aff_bytes_of(u->before.key, u->before.key_len);

        if (find(s, u->table, key)) {
            struct sim_pair now = take(s, u->table, key);
            free_pair(&now);
        }
        if (u->before.value)
            insert(s, u->table, key, u->before.value, u->before.value_len);
        free(u->before.key);
    }
}

static void forget_undo(struct sim_store *s)
{
    for (size_t i = 0; i < s->undo_count; i++)
        free_pair(&s->undo[i].before);
    s->undo_count = 0;
}

static int world_commit(struct aff_world_store *world)
{
    struct sim_store *s = store_of(world);

    end_views(s);
    if (s->detached)
        return AFF_EIO;
    if (!s->sim->quiet && sim_chance(&s->sim->random, s->sim->profile.commit_fails))
        s->fails = true;
    if (s->fails) {
        roll_back(s);
        return AFF_EIO;
    }
    forget_undo(s);
    return 0;
}

static void empty(struct sim_store *s)
{
    forget_undo(s);
    end_views(s);
    for (int t = 0; t < SIM_TABLES; t++) {
        for (size_t i = 0; i < s->maps[t].count; i++)
            free_pair(&s->maps[t].pairs[i]);
        s->maps[t].count = 0;
    }
    s->values_digest = s->dirty_digest = s->dirty_count = 0;
    s->clean_bound = s->doubt_until = 0;
}

static int world_wipe(struct aff_world_store *world)
{
    struct sim_store *s = store_of(world);

    if (s->fails || s->detached)
        return AFF_EIO;
    empty(s);
    sim_count(s->sim->coverage, SIM_WIPES);
    return 0;
}

/* ---- values ---- */

static int world_get(struct aff_world_store *world, aff_bytes key, struct aff_item *ret_item)
{
    struct sim_store *s = store_of(world);
    struct sim_pair *pair = find(s, SIM_TABLE_VALUES, key);
    struct sim_pair copy;

    if (!works(s))
        return AFF_EIO;
    if (!pair)
        return 0;
    copy = *pair;
    copy.value = (unsigned char *)(uintptr_t)hand_out(s, pair->value, pair->value_len).data;
    *ret_item = item_of(&copy);
    return 1;
}

static int world_put(struct aff_world_store *world, aff_bytes key, const struct aff_item *item)
{
    struct item_head head = { .version = item->version, .type_len = item->content_type.len };
    size_t len = sizeof head + item->content_type.len + item->value.len;
    unsigned char *value = aff_xmalloc(len);

    memcpy(value, &head, sizeof head);
    if (item->content_type.len)
        memcpy(value + sizeof head, item->content_type.data, item->content_type.len);
    if (item->value.len)
        memcpy(value + sizeof head + item->content_type.len, item->value.data, item->value.len);
    return change(store_of(world), SIM_TABLE_VALUES, key, value, len);
}

static int world_delete(struct aff_world_store *world, aff_bytes key)
{
    return change(store_of(world), SIM_TABLE_VALUES, key, NULL, 0);
}

static int world_room(struct aff_world_store *world, uint64_t bytes)
{
    struct sim_store *s = store_of(world);

    (void)bytes;
    return s->full && !s->sim->quiet ? AFF_ENOSPACE : 0;
}

/* Is (expires, key) above where the cursor stands? */
static bool above_cursor(const struct aff_expiry_cursor *cursor, int64_t expires_ms, aff_bytes key)
{
    if (!cursor->started || expires_ms != cursor->expires_ms)
        return !cursor->started || expires_ms > cursor->expires_ms;
    return aff_bytes_compare(key, aff_bytes_of(cursor->key, cursor->key_len)) > 0;
}

static int world_expired(struct aff_world_store *world, int64_t now_ms, struct aff_expiry_cursor *cursor,
                         struct aff_version *ret)
{
    struct sim_map *m = &store_of(world)->maps[SIM_TABLE_VALUES];
    const struct sim_pair *best = NULL;
    struct aff_version least = { 0 };

    for (size_t i = 0; i < m->count; i++) {
        struct aff_version v = item_of(&m->pairs[i]).version;

        if (v.expires_ms == AFF_NO_TIME || v.expires_ms > now_ms || (best && v.expires_ms >= least.expires_ms) ||
            !above_cursor(cursor, v.expires_ms, aff_bytes_of(m->pairs[i].key, m->pairs[i].key_len)))
            continue;
        best = &m->pairs[i];
        least = v;
    }
    if (!best)
        return 0;
    cursor->started = true;
    cursor->expires_ms = least.expires_ms;
    cursor->key_len = best->key_len;
    memcpy(cursor->key, best->key, best->key_len);
    *ret = least;
    return 1;
}

/* ---- meta and side tables ---- */

static int get_bytes(struct sim_store *s, int table, aff_bytes key, aff_bytes *ret_value)
{
    struct sim_pair *pair = find(s, table, key);

    if (!works(s))
        return AFF_EIO;
    if (!pair)
        return 0;
    *ret_value = hand_out(s, pair->value, pair->value_len);
    return 1;
}

static int world_meta_get(struct aff_world_store *world, const char *name, aff_bytes *ret_value)
{
    return get_bytes(store_of(world), SIM_TABLE_META, aff_str(name), ret_value);
}

static int world_meta_put(struct aff_world_store *world, const char *name, aff_bytes value)
{
    return change(store_of(world), SIM_TABLE_META, aff_str(name), copy_of(value.data, value.len), value.len);
}

static int world_table_get(struct aff_world_store *world, enum aff_table t, aff_bytes key, aff_bytes *ret_value)
{
    return get_bytes(store_of(world), (int)t, key, ret_value);
}

static int world_table_put(struct aff_world_store *world, enum aff_table t, aff_bytes key, aff_bytes value)
{
    return change(store_of(world), (int)t, key, copy_of(value.data, value.len), value.len);
}

static int world_table_delete(struct aff_world_store *world, enum aff_table t, aff_bytes key)
{
    return change(store_of(world), (int)t, key, NULL, 0);
}

static int world_table_next(struct aff_world_store *world, enum aff_table t, aff_bytes after, aff_bytes *ret_key,
                            aff_bytes *ret_value)
{
    struct sim_store *s = store_of(world);
    struct sim_map *m = &s->maps[t];
    size_t at = after.len ? place_of(m, after) : 0;

    if (!works(s))
        return AFF_EIO;
    if (after.len && holds_at(m, at, after))
        at++;
    if (at >= m->count)
        return 0;
    *ret_key = hand_out(s, m->pairs[at].key, m->pairs[at].key_len);
    *ret_value = hand_out(s, m->pairs[at].value, m->pairs[at].value_len);
    return 1;
}

static uint64_t world_table_count(struct aff_world_store *world, enum aff_table t)
{
    return store_of(world)->maps[t].count;
}

/* ---- life ---- */

struct sim_store *sim_store_new(struct sim *sim)
{
    static const struct aff_world_store world = {
        .get = world_get,
        .put = world_put,
        .del = world_delete,
        .room = world_room,
        .commit = world_commit,
        .wipe = world_wipe,
        .expired = world_expired,
        .meta_get = world_meta_get,
        .meta_put = world_meta_put,
        .table_get = world_table_get,
        .table_put = world_table_put,
        .table_del = world_table_delete,
        .table_next = world_table_next,
        .table_count = world_table_count,
    };
    struct sim_store *s = aff_xcalloc(1, sizeof *s);

    s->world = world;
    s->sim = sim;
    return s;
}

struct sim_store *sim_store_free(struct sim_store *s)
{
    if (!s)
        return NULL;
    empty(s);
    for (int t = 0; t < SIM_TABLES; t++)
        free(s->maps[t].pairs);
    free(s->undo);
    free(s->views);
    free(s);
    return NULL;
}

void sim_store_crash(struct sim_store *s)
{
    roll_back(s);
    end_views(s);
    s->fails = false;
}

struct sim_store *sim_store_copy(struct sim_store *s)
{
    struct sim_store *copy = sim_store_new(s->sim);

    assert(s->undo_count == 0);
    for (int t = 0; t < SIM_TABLES; t++)
        for (size_t i = 0; i < s->maps[t].count; i++) {
            const struct sim_pair *p = &s->maps[t].pairs[i];
            insert(copy, t, aff_bytes_of(p->key, p->key_len), copy_of(p->value, p->value_len), p->value_len);
        }
    copy->clean_bound = s->clean_bound;
    copy->doubt_until = s->doubt_until;
    return copy;
}

/* The open transaction's first change of a key tells what was committed. */
static const struct sim_pair *committed_pair(struct sim_store *s, aff_bytes key)
{
    for (size_t i = 0; i < s->undo_count; i++) {
        const struct sim_pair *before = &s->undo[i].before;
        if (s->undo[i].table == SIM_TABLE_VALUES && aff_bytes_equal(aff_bytes_of(before->key, before->key_len), key))
            return before->value ? before : NULL;
    }
    return find(s, SIM_TABLE_VALUES, key);
}

int sim_store_current(struct sim_store *s, aff_bytes key, struct aff_item *ret_item)
{
    const struct sim_pair *pair = find(s, SIM_TABLE_VALUES, key);

    if (!pair)
        return 0;
    *ret_item = item_of(pair);
    return 1;
}

bool sim_store_has_uncommitted(const struct sim_store *s)
{
    return s->undo_count > 0;
}

int sim_store_committed(struct sim_store *s, aff_bytes key, struct aff_item *ret_item)
{
    const struct sim_pair *pair = committed_pair(s, key);

    if (!pair)
        return 0;
    *ret_item = item_of(pair);
    return 1;
}
