/*
 * store_scan_test.c - steps over the keys: core/store/scan.c. Against a sorted array under random changes, in both directions, with
 * every kind of bound and budget; and the cases that an array does not know.
 */
#include "store_fixture.h"

#include <string.h>
#include <sys/stat.h>

enum { KEYS = 150, SEEDS = 30, ROUNDS = 60, ROOM = 80000, LONG = 600 };

struct model {
    struct fixture *f;
    struct aff_store_reader *reader;
    uint64_t seed;
    unsigned char keys[KEYS][AFF_KEY_MAX]; /* sorted */
    size_t lens[KEYS];
    struct {
        bool there;
        size_t size;
        int64_t offset;
        bool typed;
    } items[KEYS];
    unsigned char value[ROOM];
    unsigned char copied[ROOM + AFF_STORE_STEP_HEAD + AFF_KEY_MAX];
};

static const char *const odd_type = "application/x-odd; charset=none";

static uint64_t below(struct model *m, uint64_t limit)
{
    return next_random(&m->seed) % limit;
}

static aff_bytes key_of(const struct model *m, unsigned i)
{
    return aff_bytes_of(m->keys[i], m->lens[i]);
}

/* Short ones, long ones with a common beginning, ones that are beginnings of others, of bytes 0 and 255. */
static size_t random_key(struct model *m, unsigned char *to)
{
    static const unsigned char bytes[] = { 0, 1, 'a', 'b', 254, 255 };
    size_t len = below(m, 3) ? 1 + below(m, 4) : below(m, 2) ? AFF_KEY_MAX - below(m, 3) : 1 + below(m, AFF_KEY_MAX);
    for (size_t i = 0; i < len; i++)
        to[i] = i + 4 < len ? 'z' : bytes[below(m, sizeof bytes)];
    to[0] = to[0] == 0 ? 1 : to[0]; /* as the keys of clients */
    return len;
}

static void make_keys(struct model *m)
{
    for (unsigned n = 0; n < KEYS;) {
        unsigned char key[AFF_KEY_MAX];
        aff_bytes made = aff_bytes_of(key, random_key(m, key));
        unsigned at = 0;
        while (at < n && aff_bytes_compare(key_of(m, at), made) < 0)
            at++;
        if (at < n && aff_bytes_equal(key_of(m, at), made))
            continue;
        memmove(m->keys[at + 1], m->keys[at], (n - at) * sizeof *m->keys);
        memmove(&m->lens[at + 1], &m->lens[at], (n - at) * sizeof *m->lens);
        memcpy(m->keys[at], key, made.len);
        m->lens[at] = made.len;
        n++;
    }
}

static aff_bytes value_of(struct model *m, unsigned i)
{
    memset(m->value, (int)(m->items[i].offset & 0xff), m->items[i].size);
    return aff_bytes_of(m->value, m->items[i].size);
}

static void change(struct model *m)
{
    for (uint64_t n = below(m, 40); n > 0; n--) {
        unsigned i = (unsigned)below(m, KEYS);
        m->items[i].there = below(m, 4) > 0;
        m->items[i].size = below(m, 8) ? below(m, 100) : below(m, ROOM / 2);
        m->items[i].typed = below(m, 3) == 0;
        m->items[i].offset++;
        struct aff_item item = { .version = { m->items[i].offset, 1, AFF_NO_TIME, AFF_NO_TIME }, .value = value_of(m, i) };
        item.content_type = aff_str(m->items[i].typed ? odd_type : "application/json");
        int code = m->items[i].there ? aff_store_put(m->f->store, key_of(m, i), &item)
                                     : aff_store_delete(m->f->store, key_of(m, i));
        assert_int_equal(code, 0);
    }
    assert_int_equal(aff_store_commit(m->f->store), 0);
}

/* ---- one step against the array ---- */

static bool is_wanted(const struct model *m, unsigned i, const struct aff_store_step *step)
{
    int sign = step->reverse ? -1 : 1;
    int from = step->from.data ? sign * aff_bytes_compare(key_of(m, i), step->from) : 1;
    int until = step->until.data ? sign * aff_bytes_compare(key_of(m, i), step->until) : -1;
    return m->items[i].there && (from > 0 || (from == 0 && step->inclusive)) &&
           (until < 0 || (until == 0 && step->reverse));
}

static int next_wanted(const struct model *m, int i, const struct aff_store_step *step)
{
    for (; i >= 0 && i < KEYS; i += step->reverse ? -1 : 1)
        if (is_wanted(m, (unsigned)i, step))
            return i;
    return -1;
}

static void expect_entry(struct model *m, unsigned i, const struct aff_store_entry *e, const struct aff_store_step *step)
{
    aff_bytes value = step->keys_only ? aff_str("") : value_of(m, i);
    if (!aff_bytes_equal(e->key, key_of(m, i)))
        fail_msg("another key of %zu bytes came in place of number %u", e->key.len, i);
    if (!e->whole)
        return;
    assert_int_equal(e->item.version.offset, m->items[i].offset);
    assert_true(aff_bytes_equal(e->item.content_type, aff_str(m->items[i].typed ? odd_type : "application/json")));
    assert_true(aff_bytes_equal(e->item.value, value));
}

/* Copies one step, compares, and says where the next begins: an index of the array, -1 at the end. */
static int expect_step(struct model *m, const struct aff_store_step *step, size_t budget)
{
    size_t len = 0, at = 0, size;
    unsigned entries = 0;
    memset(m->copied, 0xee, sizeof m->copied);
    int more = aff_store_reader_step(m->reader, step, m->copied, budget, &len);
    int i = next_wanted(m, step->reverse ? KEYS - 1 : 0, step), last = -1;
    assert_in_range(more, 0, 1);
    assert_true(aff_store_entries_check(aff_bytes_of(m->copied, len), false));
    for (; at < len; at += size, entries++) {
        struct aff_store_entry e;
        if (i < 0)
            fail_msg("more entries than there are");
        (void)aff_store_entry_key(m->copied + at, &size);
        aff_store_entry_read(m->copied + at, &e);
        expect_entry(m, (unsigned)i, &e, step);
        assert_true(e.whole || (entries == 0 && at + size == len));
        last = i;
        i = next_wanted(m, i + (step->reverse ? -1 : 1), step);
    }
    assert_int_equal(at, len);
    if (len > budget && entries > 1)
        fail_msg("%u entries of %zu bytes, and only %zu were asked for", entries, len, budget);
    assert_int_equal(m->copied[len], 0xee);
    if (more == 0 && i >= 0)
        fail_msg("the step ended before number %d", i);
    assert_true(more == 0 || entries > 0);
    return more ? last : -1;
}

static aff_bytes random_bound(struct model *m, unsigned char *room)
{
    switch (below(m, 5)) {
    case 0:
        return aff_bytes_of(NULL, 0);
    case 1:
        return aff_bytes_of(room, random_key(m, room));
    case 2:
        return aff_bytes_of(memset(room, 'z', LONG), below(m, LONG));
    default:
        return key_of(m, (unsigned)below(m, KEYS));
    }
}

static void walk(struct model *m)
{
    unsigned char from[LONG], until[LONG];
    struct aff_store_step step = { .inclusive = below(m, 2), .reverse = below(m, 2), .keys_only = below(m, 4) == 0 };
    size_t budget = below(m, 2) ? below(m, 300) : below(m, ROOM);
    step.from = random_bound(m, from);
    step.until = random_bound(m, until);
    int at;
    while ((at = expect_step(m, &step, budget)) >= 0) {
        step.from = key_of(m, (unsigned)at);
        step.inclusive = false;
    }
}

static void random_one(uint64_t seed)
{
    struct model *m = calloc(1, sizeof *m);
    struct fixture f;
    m->seed = seed;
    m->f = &f;
    fixture_init(&f);
    fixture_open(&f);
    make_keys(m);
    assert_int_equal(aff_store_reader_new(f.store, &m->reader, NULL), 0);
    for (int i = 0; i < ROUNDS; i++) {
        change(m);
        for (int j = 0; j < 8; j++)
            walk(m);
    }
    aff_store_reader_free(m->reader);
    fixture_fini(&f);
    free(m);
}

static void steps_equal_a_sorted_array(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed); /* the last one is that of a failure */
        random_one(seed);
    }
}

/* ---- what an array does not know ---- */

struct walk {
    struct aff_store_reader *reader;
    unsigned char copied[4096 + AFF_STORE_STEP_HEAD + AFF_KEY_MAX];
};

static struct walk *walk_of(struct fixture *f)
{
    struct walk *w = calloc(1, sizeof *w);
    assert_int_equal(aff_store_reader_new(f->store, &w->reader, NULL), 0);
    return w;
}

static void walk_end(struct walk *w)
{
    aff_store_reader_free(w->reader);
    free(w);
}

static void an_empty_store_has_no_entries(void **state)
{
    struct walk *w = walk_of(*state);
    for (int reverse = 0; reverse < 2; reverse++) {
        struct aff_store_step step = { .reverse = reverse };
        size_t len = 1;
        assert_int_equal(aff_store_reader_step(w->reader, &step, w->copied, 4096, &len), 0);
        assert_int_equal(len, 0);
    }
    walk_end(w);
}

static void what_is_not_committed_is_not_seen(void **state)
{
    struct fixture *f = *state;
    struct walk *w = walk_of(f);
    struct aff_store_step step = { .keys_only = true };
    size_t len;
    put(f, "a", item_of("1", 1));
    commit(f);
    put(f, "b", item_of("2", 2));
    assert_int_equal(aff_store_reader_step(w->reader, &step, w->copied, 4096, &len), 0);
    struct aff_store_entry e;
    aff_store_entry_read(w->copied, &e);
    assert_true(aff_bytes_equal(e.key, aff_str("a")));
    assert_int_equal(e.item.value.len, 0);
    assert_int_equal(e.item.version.offset, 1);
    walk_end(w);
}

static void a_value_over_the_budget_leaves_its_key(void **state)
{
    struct fixture *f = *state;
    struct walk *w = walk_of(f);
    struct aff_store_step step = { .reverse = false };
    struct aff_store_entry e;
    size_t len, size;
    char *big = calloc(1, 1 << 20);
    struct aff_item item = { .version = { 1, 1, AFF_NO_TIME, AFF_NO_TIME }, .value = { big, 1 << 20 } };
    item.content_type = aff_str("");
    assert_int_equal(aff_store_put(f->store, aff_str("big"), &item), 0);
    put(f, "small", item_of("", 2));
    commit(f);
    assert_int_equal(aff_store_reader_step(w->reader, &step, w->copied, 4096, &len), 1);
    assert_true(aff_bytes_equal(aff_store_entry_key(w->copied, &size), aff_str("big")));
    assert_int_equal(size, len);
    aff_store_entry_read(w->copied, &e);
    assert_false(e.whole);
    step.from = aff_str("big");
    assert_int_equal(aff_store_reader_step(w->reader, &step, w->copied, 4096, &len), 0);
    aff_store_entry_read(w->copied, &e);
    assert_true(e.whole && e.item.value.len == 0);
    free(big);
    walk_end(w);
}

/* What another node may have sent: cut anywhere, and with any byte damaged. */
static void damaged_copies_are_no_entries(void **state)
{
    static const unsigned char no_key[] = { 0, 0, 0, 0, 0, 0 };
    struct fixture *f = *state;
    struct walk *w = walk_of(f);
    struct aff_store_step step = { .reverse = false };
    size_t len, size;
    put(f, "a", item_of("first", 1));
    put(f, "b", item_of("second", 2));
    commit(f);
    assert_int_equal(aff_store_reader_step(w->reader, &step, w->copied, 4096, &len), 0);
    (void)aff_store_entry_key(w->copied, &size);
    for (size_t cut = 0; cut <= len; cut++)
        assert_true(aff_store_entries_check(aff_bytes_of(w->copied, cut), false) == (cut == 0 || cut == size || cut == len));
    for (size_t at = 0; at < len; at++) {
        w->copied[at] ^= 0xff;
        (void)aff_store_entries_check(aff_bytes_of(w->copied, len), false);
        (void)aff_store_entries_check(aff_bytes_of(w->copied, len), true);
        w->copied[at] ^= 0xff;
    }
    assert_false(aff_store_entries_check(aff_bytes_of(no_key, sizeof no_key), false));
    walk_end(w);
}

static uint64_t file_size(const struct fixture *f)
{
    char path[300];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/data.mdb", f->folder);
    assert_int_equal(stat(path, &st), 0);
    return (uint64_t)st.st_size;
}

static void overwrite(struct fixture *f, int times)
{
    for (int i = 0; i < times; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "key-%d", i % 500);
        put(f, key, item_of("a value that is written again and again, and pins nothing when it is not looked at", i));
        if (i % 10 == 9)
            commit(f);
    }
    commit(f);
}

/* A snapshot that is held keeps each page that is written meanwhile; between two steps there is none. */
static void the_file_does_not_grow_between_two_steps(void **state)
{
    struct fixture *f = *state;
    overwrite(f, 40000);
    struct walk *w = walk_of(f);
    struct aff_store_step step = { .reverse = false };
    size_t len;
    assert_int_equal(aff_store_reader_step(w->reader, &step, w->copied, 100, &len), 1);
    uint64_t before = file_size(f);
    overwrite(f, 40000);
    assert_int_equal(file_size(f), before);
    step.from = aff_str("key-499");
    step.inclusive = true;
    assert_int_equal(aff_store_reader_step(w->reader, &step, w->copied, 4096, &len), 1);
    walk_end(w);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_equal_a_sorted_array),
        cmocka_unit_test_setup_teardown(an_empty_store_has_no_entries, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(what_is_not_committed_is_not_seen, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_value_over_the_budget_leaves_its_key, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(damaged_copies_are_no_entries, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(the_file_does_not_grow_between_two_steps, fixture_setup, fixture_teardown),
    };
    if (argc > 1) {
        random_one(strtoull(argv[1], NULL, 10));
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
