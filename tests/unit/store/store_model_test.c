/*
 * store_model_test.c - random operations against a model in memory: commits, aborts, clean and unclean reopening,
 * wipes, and a tally that is taken meanwhile.
 *
 * A failure names its seed; store_model_test SEED runs that one alone.
 */
#include "store_fixture.h"

#include <string.h>

enum { KEYS = 120, SEEDS = 40, STEPS = 800, ENTRIES = 20, VALUE_MAX = 60000 };

struct record {
    bool there;
    size_t size;
    unsigned type;
    struct aff_version version;
};

/* What a store holds, or should. */
struct content {
    struct record records[KEYS];
    struct record tables[AFF_TABLES][ENTRIES]; /* size is that of the value, version.offset its first byte */
    struct record meta;
};

struct model {
    struct fixture f;
    struct aff_store_reader *reader;
    struct aff_store_tally *tally;
    unsigned tallies; /* that were compared */
    bool touched;     /* values, since the last commit */
    struct content pending, committed;
    uint64_t seed;
    unsigned char keys[KEYS][AFF_KEY_MAX];
    size_t key_lens[KEYS];
    unsigned char value[VALUE_MAX];
};

static const char *const types[] = { "application/json", "", "text/plain", "application/x-something; a=b" };

static uint64_t random_below(struct model *m, uint64_t limit)
{
    return next_random(&m->seed) % limit;
}

/* Keys of all lengths; those of a third share a long beginning. */
static void make_keys(struct model *m)
{
    for (unsigned i = 0; i < KEYS; i++) {
        size_t len = i % 3 == 0 ? 480 + i % 32 : i % 3 == 1 ? 4 + i % 40 : 4 + random_below(m, AFF_KEY_MAX - 4);
        memset(m->keys[i], i % 2, len);
        memcpy(m->keys[i] + len - 4, (unsigned char[]){ (unsigned char)(i >> 4), 0, 255, (unsigned char)i }, 4);
        m->key_lens[i] = len;
    }
}

static aff_bytes key_of(const struct model *m, unsigned i)
{
    return aff_bytes_of(m->keys[i], m->key_lens[i]);
}

static struct aff_item item_of_record(struct model *m, const struct record *r)
{
    memset(m->value, (int)(r->version.offset & 0xff), r->size);
    return (struct aff_item){
        .version = r->version,
        .content_type = aff_str(types[r->type]),
        .value = aff_bytes_of(m->value, r->size),
    };
}

static struct record random_record(struct model *m)
{
    static const int64_t expiries[] = { AFF_NO_TIME, AFF_NO_TIME, -7, 100, 100, 2000 };
    uint64_t dice = next_random(&m->seed);
    return (struct record){
        .there = true,
        .size = dice % 10 ? dice % 300 : (dice >> 8) % VALUE_MAX,
        .type = (unsigned)(dice >> 32) % 4,
        .version = { (int64_t)(dice >> 16), (int64_t)(dice >> 3), expiries[(dice >> 40) % 6],
                     (dice >> 44) % 4 ? AFF_NO_TIME : (int64_t)dice },
    };
}

/* ---- comparing ---- */

static void compare_item(struct model *m, const struct record *r, int code, const struct aff_item *got)
{
    assert_int_equal(code, r->there);
    if (!r->there)
        return;
    struct aff_item item = item_of_record(m, r);
    assert_memory_equal(&got->version, &item.version, sizeof item.version);
    assert_true(aff_bytes_equal(got->content_type, item.content_type));
    assert_true(aff_bytes_equal(got->value, item.value));
}

static void compare_values(struct model *m)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < KEYS; i++) {
        struct aff_item got;
        compare_item(m, &m->pending.records[i], aff_store_get(m->f.store, key_of(m, i), &got), &got);
        count += m->pending.records[i].there;
    }
    assert_int_equal(aff_store_count(m->f.store), count);
}

static void compare_reader(struct model *m)
{
    for (unsigned i = 0; i < KEYS; i++) {
        struct aff_item got;
        compare_item(m, &m->committed.records[i], aff_store_reader_get(m->reader, key_of(m, i), &got), &got);
    }
    aff_store_reader_done(m->reader);
}

static unsigned index_of(struct model *m, aff_bytes key)
{
    for (unsigned i = 0; i < KEYS; i++) {
        if (aff_bytes_equal(key, key_of(m, i)))
            return i;
    }
    fail_msg("a key that was never put");
    return 0;
}

/* All that expire up to a time, each once, in order of time. */
static void compare_expiries(struct model *m)
{
    int64_t now = (int64_t)random_below(m, 3) * 100;
    struct aff_expiry_cursor cursor = { .started = false };
    struct aff_version version;
    bool seen[KEYS] = { false };
    int64_t last = INT64_MIN;
    int code;
    while ((code = aff_store_expired(m->f.store, now, &cursor, &version)) == 1) {
        unsigned i = index_of(m, aff_bytes_of(cursor.key, cursor.key_len));
        assert_false(seen[i]);
        assert_memory_equal(&version, &m->pending.records[i].version, sizeof version);
        assert_true(cursor.expires_ms >= last);
        seen[i] = true;
        last = cursor.expires_ms;
    }
    assert_int_equal(code, 0);
    for (unsigned i = 0; i < KEYS; i++) {
        const struct record *r = &m->pending.records[i];
        bool due = r->there && r->version.expires_ms != AFF_NO_TIME && r->version.expires_ms <= now;
        assert_int_equal(seen[i], due);
    }
}

static void compare_tables(struct model *m)
{
    for (unsigned table = 0; table < AFF_TABLES; table++) {
        aff_bytes key = aff_bytes_of("", 0), value;
        uint64_t count = 0;
        for (unsigned i = 0; i < ENTRIES; i++) {
            const struct record *r = &m->pending.tables[table][i];
            if (!r->there)
                continue;
            assert_int_equal(aff_store_table_next(m->f.store, (enum aff_table)table, key, &key, &value), 1);
            assert_int_equal(*(const unsigned char *)key.data, i);
            struct aff_item item = item_of_record(m, r);
            assert_true(aff_bytes_equal(value, item.value));
            count++;
        }
        assert_int_equal(aff_store_table_next(m->f.store, (enum aff_table)table, key, &key, &value), 0);
        assert_int_equal(aff_store_table_count(m->f.store, (enum aff_table)table), count);
    }
    aff_bytes got;
    assert_int_equal(aff_store_meta_get(m->f.store, "checkpoint", &got), m->pending.meta.there);
    if (m->pending.meta.there)
        assert_true(aff_bytes_equal(got, item_of_record(m, &m->pending.meta).value));
}

static void compare_tally(struct model *m)
{
    struct aff_tally want = { .count = 0 }, got;
    for (unsigned i = 0; i < KEYS; i++) {
        const struct record *r = &m->committed.records[i];
        struct aff_item item = item_of_record(m, r);
        struct aff_tally one = aff_tally_of(key_of(m, i), &item);
        if (r->there)
            aff_tally_add(&want, &one);
    }
    aff_store_tally_get(m->tally, &got);
    assert_memory_equal(&got, &want, sizeof want);
    m->tallies++;
}

static void compare_all(struct model *m)
{
    compare_values(m);
    compare_reader(m);
    compare_expiries(m);
    compare_tables(m);
}

/* ---- steps ---- */

static void step_value(struct model *m)
{
    unsigned i = (unsigned)random_below(m, KEYS);
    struct record r = random_record(m);
    m->touched = true;
    if (random_below(m, 3) == 0) {
        assert_int_equal(aff_store_delete(m->f.store, key_of(m, i)), 0);
        m->pending.records[i].there = false;
        return;
    }
    struct aff_item item = item_of_record(m, &r);
    assert_int_equal(aff_store_put(m->f.store, key_of(m, i), &item), 0);
    m->pending.records[i] = r;
}

static void step_table(struct model *m)
{
    enum aff_table table = (enum aff_table)random_below(m, AFF_TABLES);
    unsigned char key[4] = { (unsigned char)random_below(m, ENTRIES), 'k', 0, 1 };
    aff_bytes k = aff_bytes_of(key, sizeof key);
    struct record r = random_record(m);
    r.size %= 5000;
    if (random_below(m, 3) == 0) {
        assert_int_equal(aff_store_table_delete(m->f.store, table, k), 0);
        r.there = false;
    } else {
        assert_int_equal(aff_store_table_put(m->f.store, table, k, item_of_record(m, &r).value), 0);
    }
    m->pending.tables[table][key[0]] = r;
}

static void step_commit(struct model *m)
{
    m->pending.meta = random_record(m);
    m->pending.meta.size %= 500;
    aff_bytes value = item_of_record(m, &m->pending.meta).value;
    assert_int_equal(aff_store_meta_put(m->f.store, "checkpoint", value), 0);
    assert_int_equal(aff_store_commit(m->f.store), 0);
    m->committed = m->pending;
    m->touched = false;
}

static void open_store(struct model *m, bool fresh)
{
    fixture_open(&m->f);
    assert_int_equal(m->f.fresh, fresh);
    assert_int_equal(aff_store_reader_new(m->f.store, &m->reader, NULL), 0);
    m->pending = m->committed;
    m->touched = false;
}

static void close_store(struct model *m)
{
    m->tally = aff_store_tally_free(m->tally);
    m->reader = aff_store_reader_free(m->reader);
    fixture_close(&m->f);
}

/* A slice of a few entries, or one that is larger than all. Sometimes the tally begins anew. */
static void step_tally(struct model *m)
{
    if (m->tally && random_below(m, 10) == 0)
        m->tally = aff_store_tally_free(m->tally);
    if (!m->tally)
        assert_int_equal(aff_store_tally_new(m->f.store, &m->tally, NULL), 0);
    int code = aff_store_tally_step(m->tally, random_below(m, 20) ? 1 + random_below(m, 20000) : SIZE_MAX);
    if (code == 0)
        compare_tally(m);
    else if (code != 1)
        assert_int_equal(code, m->touched ? AFF_EAGAIN : 1);
}

static void step(struct model *m)
{
    uint64_t dice = random_below(m, 1000);
    if (dice < 350) {
        step_value(m);
    } else if (dice < 600) {
        step_tally(m);
    } else if (dice < 780) {
        step_table(m);
    } else if (dice < 900) {
        step_commit(m);
    } else if (dice < 940) {
        aff_store_abort(m->f.store);
        m->pending = m->committed;
        m->touched = false;
    } else if (dice < 990) {
        compare_all(m);
    } else if (dice < 996) {
        close_store(m);
        open_store(m, false);
    } else {
        assert_int_equal(aff_store_wipe(m->f.store, NULL), 0);
        memset(&m->pending, 0, sizeof m->pending);
        m->committed = m->pending;
        m->touched = false;
    }
}

static uint64_t only_seed;

static void the_store_does_what_the_model_does(void **state)
{
    (void)state;
    struct model *m = malloc(sizeof *m);
    for (uint64_t seed = only_seed ? only_seed : 1; seed <= (only_seed ? only_seed : SEEDS); seed++) {
        memset(m, 0, sizeof *m);
        m->seed = seed;
        fixture_init(&m->f);
        make_keys(m);
        open_store(m, true);
        print_message("seed %llu\n", (unsigned long long)seed);
        for (int i = 0; i < STEPS; i++)
            step(m);
        compare_all(m);
        close_store(m);
        fixture_fini(&m->f);
        assert_true(m->tallies > 5);
    }
    free(m);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(the_store_does_what_the_model_does) };
    if (argc > 1)
        only_seed = strtoull(argv[1], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
