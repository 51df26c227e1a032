/*
 * store_index_test.c - an index is what a full scan would find: after random writes, deletes, aborts, reopening with the same
 * and with other declarations, wipes, and while it is built and removed in slices.
 *
 * A value is words with commas between them; index "words" has each of them, "length" their number, "all" the value itself,
 * which is longer than an entry can be. A failure names its seed; store_index_test SEED runs that one alone.
 */
#include "store_fixture.h"

#include "base/list.h"
#include "store/index.h"

#include <string.h>

enum { KEYS = 90, SEEDS = 30, STEPS = 900, LONG = 700, WORDS = 12, VALUE = 2048, BUDGET = 4096, INDEXES = 3 };

struct word_index {
    struct aff_indexes base;
    int (*find[INDEXES])(aff_bytes value, unsigned which, struct aff_terms *to);
};

struct model {
    struct fixture f;
    struct aff_store_reader *reader;
    struct word_index indexes;
    struct {
        bool there, committed_there;
        char value[VALUE], committed[VALUE];
    } keys[KEYS];
    char names[KEYS][AFF_KEY_MAX + 1];
    uint64_t seed;
    unsigned rebuilt, compared, refused;
    bool touched;
};

static uint64_t random_below(struct model *m, uint64_t limit)
{
    return next_random(&m->seed) % limit;
}

/* ---- what finds terms ---- */

static int find_words(aff_bytes value, unsigned which, struct aff_terms *to)
{
    const char *at = value.data, *end = at + value.len;
    int code = 0;
    while (at < end && code == 0) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        const char *stop = comma ? comma : end;
        code = to->add(to, which, aff_bytes_of(at, (size_t)(stop - at)));
        at = stop + 1;
    }
    return code;
}

static int find_length(aff_bytes value, unsigned which, struct aff_terms *to)
{
    const unsigned char *at = value.data;
    unsigned char commas = 0;
    for (size_t i = 0; i < value.len; i++)
        commas += at[i] == ',';
    return commas > 2 ? 0 : to->add(to, which, aff_bytes_of(&commas, 1));
}

static int find_all(aff_bytes value, unsigned which, struct aff_terms *to)
{
    return to->add(to, which, value);
}

static int find(const struct aff_indexes *self, aff_bytes key, const struct aff_item *item, struct aff_terms *to)
{
    const struct word_index *w = aff_container_of(self, const struct word_index, base);
    int code = 0;
    (void)key;
    for (unsigned i = 0; i < self->count && code == 0; i++)
        code = w->find[i](item->value, i, to);
    return code;
}

static struct aff_digest digest_of_version(unsigned version)
{
    struct aff_digest d = { { (unsigned char)version } };
    return d;
}

/* Some of the indexes, in some order, perhaps of another version than before. */
static void declare(struct model *m, bool anew)
{
    static const char *const names[] = { "words", "length", "all" };
    static int (*const finders[])(aff_bytes, unsigned, struct aff_terms *) = { find_words, find_length, find_all };
    unsigned first = anew ? (unsigned)random_below(m, INDEXES) : 0;
    m->indexes.base.count = anew ? (unsigned)random_below(m, INDEXES + 1) : INDEXES;
    m->indexes.base.find = find;
    for (unsigned i = 0; i < m->indexes.base.count; i++) {
        unsigned which = (first + i) % INDEXES;
        m->indexes.base.items[i] = (struct aff_index_decl){ names[which],
                                                            digest_of_version(anew ? (unsigned)random_below(m, 3) : 0) };
        m->indexes.find[i] = finders[which];
    }
}

/* ---- comparing ---- */

struct expected {
    unsigned key;
    size_t term_len;
    unsigned char term[VALUE];
    bool met;
};

struct gather {
    struct aff_terms terms;
    const struct aff_index_range *range;
    unsigned key, count;
    struct expected *found;
};

static int gather(struct aff_terms *terms, unsigned which, aff_bytes term)
{
    struct gather *g = aff_container_of(terms, struct gather, terms);
    if (which != g->range->index || (g->range->from.data && aff_bytes_compare(term, g->range->from) < 0) ||
        (g->range->to.data && aff_bytes_compare(term, g->range->to) >= 0))
        return 0;
    for (unsigned i = 0; i < g->count; i++) {
        if (g->found[i].key == g->key && aff_bytes_equal(term, aff_bytes_of(g->found[i].term, g->found[i].term_len)))
            return 0;
    }
    struct expected *e = &g->found[g->count++];
    assert_true(g->count < KEYS * WORDS);
    e->key = g->key;
    e->met = false;
    memcpy(e->term, term.data, e->term_len = term.len);
    return 0;
}

static void meet(struct model *m, struct gather *g, const struct aff_store_entry *entry, aff_bytes place, bool keys_only)
{
    for (unsigned i = 0; i < g->count; i++) {
        struct expected *e = &g->found[i];
        aff_bytes key = aff_str(m->names[e->key]), value = aff_str(m->keys[e->key].committed);
        struct aff_item item = { .value = value };
        struct aff_index_range exactly = { g->range->index, aff_bytes_of(e->term, e->term_len), { NULL, 0 } };
        unsigned char behind[VALUE + 1] = { 0 };
        memcpy(behind, e->term, e->term_len);
        exactly.to = aff_bytes_of(behind, e->term_len + 1);
        if (!aff_bytes_equal(key, entry->key) ||
            aff_index_holds(&m->indexes.base, &exactly, place, key, &item) != 1)
            continue;
        assert_false(e->met);
        e->met = true;
        if (entry->whole)
            assert_true(aff_bytes_equal(entry->item.value, keys_only ? aff_str("") : value));
        return;
    }
    fail_msg("seed: the index has %.*s, which no value has", (int)entry->key.len, (const char *)entry->key.data);
}

/* Steps through a range with a small room, from place to place. False: the index is not whole. */
static bool walk(struct model *m, struct gather *g, bool reverse, bool keys_only)
{
    unsigned char room[BUDGET + AFF_STORE_STEP_HEAD + 2 * AFF_KEY_MAX + 2], last[AFF_KEY_MAX];
    struct aff_store_step step = { .reverse = reverse, .keys_only = keys_only };
    size_t len = 0, size;
    int code;
    do {
        size_t budget = 1 + random_below(m, BUDGET);
        code = aff_store_reader_index_step(m->reader, g->range, &step, room, budget, &len);
        if (code == AFF_EBUILDING)
            return false;
        assert_true(code == 0 || code == 1);
        assert_true(aff_store_entries_check(aff_bytes_of(room, len), true));
        for (size_t at = 0; at < len; at += size) {
            struct aff_store_entry entry;
            aff_bytes place = aff_store_entry_key(room + at, &size);
            if (step.from.data)
                assert_true(reverse ? aff_bytes_compare(place, step.from) < 0 : aff_bytes_compare(place, step.from) > 0);
            aff_index_entry_read(room + at, &entry);
            meet(m, g, &entry, place, keys_only);
            memcpy(last, place.data, place.len);
            step.from = aff_bytes_of(last, place.len);
        }
    } while (code == 1);
    return true;
}

/* A term that some value has, cut, or NULL. */
static aff_bytes random_term(struct model *m, unsigned which, unsigned char room[VALUE])
{
    static const unsigned char counts[] = { 0, 1, 2, 3 };
    const char *value = m->keys[random_below(m, KEYS)].value;
    if (random_below(m, 4) == 0)
        return aff_bytes_of(NULL, 0);
    if (m->indexes.find[which] == find_length)
        return aff_bytes_of(&counts[random_below(m, 4)], 1);
    size_t len = m->indexes.find[which] == find_words ? strcspn(value, ",") : strlen(value);
    memcpy(room, value, len);
    return aff_bytes_of(room, random_below(m, 4) ? len : random_below(m, len + 1));
}

static void compare_index(struct model *m, unsigned which)
{
    static struct expected found[KEYS * WORDS];
    unsigned char from[VALUE], to[VALUE + 1];
    struct aff_index_range range = { .index = which, .from = random_term(m, which, from) };
    if (range.from.data && random_below(m, 2)) {
        memcpy(to, range.from.data, range.from.len);
        to[range.from.len] = 0;
        range.to = aff_bytes_of(to, range.from.len + 1);
    } else {
        range.to = random_term(m, which, to);
    }
    struct gather g = { .terms.add = gather, .range = &range, .found = found };
    for (g.key = 0; g.key < KEYS; g.key++) {
        struct aff_item item = { .value = aff_str(m->keys[g.key].committed) };
        if (m->keys[g.key].committed_there)
            (void)find(&m->indexes.base, aff_str(m->names[g.key]), &item, &g.terms);
    }
    if (!walk(m, &g, random_below(m, 2), random_below(m, 4) == 0)) {
        assert_true(aff_store_index_pending(m->f.store));
        m->refused++;
        return;
    }
    for (unsigned i = 0; i < g.count; i++) {
        if (!found[i].met)
            fail_msg("seed: index %s has no entry for %s", m->indexes.base.items[which].name, m->names[found[i].key]);
    }
    m->compared++;
}

static void compare_all(struct model *m)
{
    for (unsigned i = 0; i < m->indexes.base.count; i++)
        compare_index(m, i);
}

/* ---- steps ---- */

static void make_value(struct model *m, char *to)
{
    static const char *const words[] = { "a", "ab", "b", "banana", "", "zebra" };
    unsigned count = (unsigned)random_below(m, 5);
    size_t len = 0;
    for (unsigned i = 0; i <= count; i++)
        len += (size_t)snprintf(to + len, VALUE - len, "%s%s", i ? "," : "", words[random_below(m, 6)]);
    if (random_below(m, 3) == 0) {
        size_t more = random_below(m, 2) ? LONG : 470 + random_below(m, 50);
        memset(to + len, 'x', more);
        len += more;
        len += (size_t)snprintf(to + len, VALUE - len, "%u", (unsigned)random_below(m, 4));
    }
}

static void step_value(struct model *m)
{
    unsigned i = (unsigned)random_below(m, KEYS);
    uint64_t weight;
    m->touched = true;
    if (random_below(m, 4) == 0) {
        assert_int_equal(aff_store_delete(m->f.store, aff_str(m->names[i])), 0);
        m->keys[i].there = false;
        return;
    }
    make_value(m, m->keys[i].value);
    struct aff_item item = item_due(m->keys[i].value, 7, random_below(m, 3) ? AFF_NO_TIME : 1000);
    assert_int_equal(aff_store_index_weight(m->f.store, aff_str(m->names[i]), &item, &weight), 0);
    assert_int_equal(aff_store_put(m->f.store, aff_str(m->names[i]), &item), 0);
    m->keys[i].there = true;
}

static void undo(struct model *m)
{
    for (unsigned i = 0; i < KEYS; i++) {
        m->keys[i].there = m->keys[i].committed_there;
        memcpy(m->keys[i].value, m->keys[i].committed, VALUE);
    }
    m->touched = false;
}

static void step_commit(struct model *m)
{
    assert_int_equal(aff_store_commit(m->f.store), 0);
    for (unsigned i = 0; i < KEYS; i++) {
        m->keys[i].committed_there = m->keys[i].there;
        memcpy(m->keys[i].committed, m->keys[i].value, VALUE);
    }
    m->touched = false;
}

static void open_store(struct model *m)
{
    m->f.opts.indexes = m->indexes.base.count || random_below(m, 2) ? &m->indexes.base : NULL;
    fixture_open(&m->f);
    assert_int_equal(aff_store_reader_new(m->f.store, &m->reader, NULL), 0);
}

static void reopen(struct model *m)
{
    m->reader = aff_store_reader_free(m->reader);
    fixture_close(&m->f); /* what was not committed is gone, as after a crash of the process */
    undo(m);
    if (random_below(m, 2))
        declare(m, true);
    open_store(m);
    m->rebuilt += aff_store_index_pending(m->f.store);
}

static void wipe(struct model *m)
{
    assert_int_equal(aff_store_wipe(m->f.store, NULL), 0);
    for (unsigned i = 0; i < KEYS; i++)
        m->keys[i].committed_there = false;
    undo(m);
    assert_false(aff_store_index_pending(m->f.store));
}

static void step(struct model *m)
{
    uint64_t dice = random_below(m, 1000);
    if (dice < 450) {
        step_value(m);
    } else if (dice < 600) {
        step_commit(m);
    } else if (dice < 640) {
        aff_store_abort(m->f.store);
        undo(m);
    } else if (dice < 800) {
        int code = aff_store_index_step(m->f.store, 1 + random_below(m, 20000));
        assert_true(code == 0 || code == 1 || (code == AFF_EAGAIN && m->touched));
    } else if (dice < 975) {
        compare_all(m);
    } else if (dice < 997) {
        reopen(m);
    } else {
        wipe(m);
    }
}

static void finish(struct model *m)
{
    step_commit(m);
    while (aff_store_index_step(m->f.store, 5000) == 1)
        ;
    assert_false(aff_store_index_pending(m->f.store));
    m->refused = 0;
    for (int i = 0; i < 50; i++)
        compare_all(m);
    assert_int_equal(m->refused, 0);
}

static uint64_t only_seed;

static void an_index_is_what_a_full_scan_would_find(void **state)
{
    (void)state;
    struct model *m = malloc(sizeof *m);
    unsigned rebuilt = 0, compared = 0;
    for (uint64_t seed = only_seed ? only_seed : 1; seed <= (only_seed ? only_seed : SEEDS); seed++) {
        memset(m, 0, sizeof *m);
        m->seed = seed;
        print_message("seed %llu\n", (unsigned long long)seed);
        for (unsigned i = 0; i < KEYS; i++) {
            size_t pad = i % 3 == 0 ? 0 : random_below(m, AFF_KEY_MAX - 8);
            memset(m->names[i], 'k', pad);
            (void)snprintf(m->names[i] + pad, 8, "%u", i);
        }
        fixture_init(&m->f);
        declare(m, false);
        open_store(m);
        for (int i = 0; i < STEPS; i++)
            step(m);
        finish(m);
        rebuilt += m->rebuilt;
        compared += m->compared;
        m->reader = aff_store_reader_free(m->reader);
        fixture_fini(&m->f);
    }
    assert_true(only_seed || (rebuilt > SEEDS && compared > 100 * SEEDS));
    free(m);
}

/* A change that finds no space leaves the index as it was; the store opens again, since nothing has to be written for that. */
static void a_full_store_keeps_its_indexes_and_opens(void **state)
{
    struct model *m = calloc(1, sizeof *m);
    char key[16], value[VALUE];
    struct aff_index_range range = { .index = 2 };
    struct aff_store_step step = { .keys_only = true };
    unsigned char *room = malloc(1 << 20);
    unsigned put = 0, found = 0;
    size_t len, size;
    (void)state;
    fixture_init(&m->f);
    m->f.opts.map_bytes = 4 << 20;
    declare(m, false);
    open_store(m);
    memset(value, 'y', sizeof value);
    value[VALUE - 1] = '\0';
    for (;; put++) {
        struct aff_item item = item_of(value, put);
        (void)snprintf(key, sizeof key, "%u", put);
        if (aff_store_put(m->f.store, aff_str(key), &item) == AFF_ENOSPACE)
            break;
        commit(&m->f);
    }
    commit(&m->f);
    m->reader = aff_store_reader_free(m->reader);
    fixture_close(&m->f);
    open_store(m);
    assert_int_equal(aff_store_reader_index_step(m->reader, &range, &step, room, (1 << 20) - 2048, &len), 0);
    for (size_t at = 0; at < len; at += size, found++)
        (void)aff_store_entry_key(room + at, &size);
    assert_int_equal(found, put);
    m->reader = aff_store_reader_free(m->reader);
    fixture_fini(&m->f);
    free(room);
    free(m);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_full_store_keeps_its_indexes_and_opens),
                                        cmocka_unit_test(an_index_is_what_a_full_scan_would_find) };
    if (argc > 1)
        only_seed = strtoull(argv[1], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
