/*
 * store_values_test.c - values and the writer's transaction: core/store/store.c, item.c, digest.c, tables.c.
 */
#include "store_fixture.h"

#include <string.h>

static void what_is_put_is_read_back_whole(void **state)
{
    struct fixture *f = *state;
    assert_true(f->fresh);
    struct aff_item item = {
        .version = { 42, 1700000000123, 1800000000456, -5 },
        .content_type = aff_str("text/csv; header=present"),
        .value = aff_bytes_of("a\0b", 3),
    };
    put(f, "key", item);
    for (int round = 0; round < 3; round++) { /* uncommitted, committed, after a clean close */
        struct aff_item got;
        assert_int_equal(aff_store_get(f->store, aff_str("key"), &got), 1);
        assert_memory_equal(&got.version, &item.version, sizeof got.version);
        assert_true(aff_bytes_equal(got.content_type, item.content_type));
        assert_true(aff_bytes_equal(got.value, item.value));
        if (round == 0) {
            commit(f);
        } else {
            fixture_close(f);
            fixture_open(f);
            assert_false(f->fresh);
        }
    }
}

static void every_shape_of_an_item_survives(void **state)
{
    struct fixture *f = *state;
    char *big = malloc(65535);
    memset(big, 't', 65535);
    const aff_bytes types[] = { aff_bytes_of("", 0),   aff_bytes_of(NULL, 0),         aff_str("application/json"),
                                aff_str("text/plain"), aff_str("application/x-avro"), aff_bytes_of(big, 65535) };
    const int64_t times[] = { AFF_NO_TIME, 0, -1, INT64_MAX };
    for (size_t type = 0; type < sizeof types / sizeof *types; type++) {
        for (size_t time = 0; time < 16; time++) {
            struct aff_item item = {
                .version = { 7, 8, times[time % 4], times[time / 4] },
                .content_type = types[type],
                .value = aff_bytes_of(time ? big : NULL, time * 500),
            };
            struct aff_item got;
            assert_int_equal(aff_store_put(f->store, aff_str("k"), &item), 0);
            assert_int_equal(aff_store_get(f->store, aff_str("k"), &got), 1);
            assert_memory_equal(&got.version, &item.version, sizeof got.version);
            assert_true(aff_bytes_equal(got.content_type, item.content_type));
            assert_true(aff_bytes_equal(got.value, item.value));
            assert_non_null(got.value.data);
        }
    }
    free(big);
}

static void a_value_is_replaced_and_deleted(void **state)
{
    struct fixture *f = *state;
    put(f, "a", item_of("one", 1));
    put(f, "a", item_of("a longer value", 2));
    put(f, "b", item_of("two", 3));
    expect(f, "a", "a longer value");
    assert_int_equal(aff_store_count(f->store), 2);
    assert_int_equal(aff_store_delete(f->store, aff_str("a")), 0);
    assert_int_equal(aff_store_delete(f->store, aff_str("never there")), 0);
    expect(f, "a", NULL);
    expect(f, "b", "two");
    assert_int_equal(aff_store_count(f->store), 1);
}

static void an_abort_drops_what_was_not_committed(void **state)
{
    struct fixture *f = *state;
    put(f, "a", item_of("kept", 1));
    commit(f);
    put(f, "a", item_of("dropped", 2));
    put(f, "b", item_of("dropped", 3));
    aff_store_abort(f->store);
    expect(f, "a", "kept");
    expect(f, "b", NULL);
    aff_store_abort(f->store);
    aff_store_abort(f->store);
    commit(f);
    commit(f);
}

static void close_drops_what_was_not_committed(void **state)
{
    struct fixture *f = *state;
    put(f, "a", item_of("kept", 1));
    commit(f);
    put(f, "a", item_of("dropped", 2));
    fixture_close(f);
    fixture_open(f);
    assert_false(f->fresh);
    expect(f, "a", "kept");
}

static void keys_have_1_to_511_bytes_of_any_kind(void **state)
{
    struct fixture *f = *state;
    unsigned char key[AFF_KEY_MAX + 1];
    memset(key, 0, sizeof key);
    struct aff_item item = item_of("v", 1), got;
    for (size_t len = 1; len <= AFF_KEY_MAX; len++)
        assert_int_equal(aff_store_put(f->store, aff_bytes_of(key, len), &item), 0);
    assert_int_equal(aff_store_count(f->store), AFF_KEY_MAX);
    assert_int_equal(aff_store_get(f->store, aff_bytes_of(key, AFF_KEY_MAX), &got), 1);

    const aff_bytes wrong[] = { aff_bytes_of(key, 0), aff_bytes_of(key, AFF_KEY_MAX + 1), aff_bytes_of(NULL, 0) };
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(aff_store_put(f->store, wrong[i], &item), AFF_EINVAL);
        assert_int_equal(aff_store_get(f->store, wrong[i], &got), AFF_EINVAL);
        assert_int_equal(aff_store_delete(f->store, wrong[i]), AFF_EINVAL);
    }
    commit(f);
}

static void what_is_too_large_is_refused_and_changes_nothing(void **state)
{
    struct fixture *f = *state;
    put(f, "k", item_of("old", 1));
    struct aff_item item = item_of("new", 2);
    item.content_type = aff_bytes_of("", 65536);
    assert_int_equal(aff_store_put(f->store, aff_str("k"), &item), AFF_ETOOLARGE);
    item = item_of("new", 2);
    item.value.len = ((size_t)1 << 30) + 1;
    assert_int_equal(aff_store_put(f->store, aff_str("k"), &item), AFF_ETOOLARGE);
    expect(f, "k", "old");
    commit(f);
}

static void a_full_map_refuses_and_keeps_what_was_there(void **state)
{
    struct fixture *f = *state;
    fixture_close(f);
    f->opts.map_bytes = UINT64_C(16) << 20;
    remove_folder(f->folder);
    fixture_open(f);
    char *big = malloc(2 << 20);
    memset(big, 'x', 2 << 20);
    struct aff_item item = item_of("", 1);
    item.value = aff_bytes_of(big, 2 << 20);
    char key[16];
    int code = 0, stored = 0;
    while (code == 0 && stored < 100) {
        (void)snprintf(key, sizeof key, "key-%d", stored);
        code = aff_store_put(f->store, aff_str(key), &item);
        stored += code == 0;
    }
    assert_int_equal(code, AFF_ENOSPACE);
    assert_in_range(stored, 4, 7);
    assert_int_equal(aff_store_room(f->store, 2 << 20), AFF_ENOSPACE);
    commit(f); /* the refused one is not in it, the others are */
    assert_int_equal(aff_store_count(f->store), stored);
    assert_true(fixture_logged(f, "event=store.full"));

    assert_int_equal(aff_store_wipe(f->store, NULL), 0);
    assert_int_equal(aff_store_count(f->store), 0);
    put(f, "after", item_of("small", 1));
    commit(f);
    free(big);
}

/* 10,000 records at once, some with values of 2 MiB: more than LMDB's dirty list, if it had to keep their pages
 * there. */
static void a_batch_of_10000_records_commits_at_once(void **state)
{
    struct fixture *f = *state;
    enum { BATCH = 10000, BIG = 2 << 20 };
    char *big = malloc(BIG), key[32];
    uint64_t seed = 1;
    for (int i = 0; i < BIG; i++)
        big[i] = (char)('a' + i % 23);
    for (int round = 0; round < 2; round++) { /* then all are replaced */
        for (int i = 0; i < BATCH; i++) {
            struct aff_item item = item_due("", i, i % 3 ? AFF_NO_TIME : i);
            item.value = aff_bytes_of(big, i % 500 == 7 ? BIG : next_random(&seed) % 300);
            (void)snprintf(key, sizeof key, "key-%d", (i * 7919) % BATCH);
            assert_int_equal(aff_store_put(f->store, aff_str(key), &item), 0);
        }
        commit(f);
        assert_int_equal(aff_store_count(f->store), BATCH);
    }
    struct aff_item got;
    (void)snprintf(key, sizeof key, "key-%d", (507 * 7919) % BATCH);
    assert_int_equal(aff_store_get(f->store, aff_str(key), &got), 1);
    assert_true(aff_bytes_equal(got.value, aff_bytes_of(big, BIG)));
    free(big);
}

/* ---- meta and tables ---- */

static void meta_commits_with_the_values(void **state)
{
    struct fixture *f = *state;
    aff_bytes got;
    assert_int_equal(aff_store_meta_get(f->store, "checkpoint", &got), 0);
    put(f, "a", item_of("1", 1));
    assert_int_equal(aff_store_meta_put(f->store, "checkpoint", aff_str("at 1")), 0);
    commit(f);
    put(f, "a", item_of("2", 2));
    assert_int_equal(aff_store_meta_put(f->store, "checkpoint", aff_str("at 2")), 0);
    aff_store_abort(f->store);
    assert_int_equal(aff_store_meta_get(f->store, "checkpoint", &got), 1);
    assert_true(aff_bytes_equal(got, aff_str("at 1")));
    expect(f, "a", "1");
    char text[8];
    size_t len = 0;
    assert_int_equal(aff_store_meta_put(f->store, "checkpoint", aff_str("at 333333333")), 0);
    assert_int_equal(aff_store_meta_committed(f->store, "checkpoint", text, sizeof text, &len), 1);
    assert_true(aff_bytes_equal(aff_bytes_of(text, len), aff_str("at 1")));
    commit(f);
    assert_int_equal(aff_store_meta_committed(f->store, "checkpoint", text, sizeof text, &len), 1);
    assert_int_equal(len, 12);
    assert_memory_equal(text, "at 33333", sizeof text);
    assert_int_equal(aff_store_meta_committed(f->store, "nothing", text, sizeof text, &len), 0);
}

static void tables_are_ordered_and_apart(void **state)
{
    struct fixture *f = *state;
    static const char *const keys[] = { "b", "a", "ab", "c", "\xff" };
    for (int table = 0; table < AFF_TABLES; table++) {
        char value[2] = { (char)('0' + table), 0 };
        for (int i = 0; i <= table; i++)
            assert_int_equal(aff_store_table_put(f->store, (enum aff_table)table, aff_str(keys[i]), aff_str(value)), 0);
    }
    commit(f);
    aff_bytes key = aff_bytes_of(NULL, 0), value;
    char walked[16] = "";
    while (aff_store_table_next(f->store, AFF_TABLE_EPOCHS, key, &key, &value) == 1) {
        size_t len = strlen(walked);
        (void)snprintf(walked + len, sizeof walked - len, "%.*s ", (int)key.len, (const char *)key.data);
        assert_true(aff_bytes_equal(value, aff_str("3")));
    }
    assert_string_equal(walked, "a ab b c ");
    assert_int_equal(aff_store_table_next(f->store, AFF_TABLE_EPOCHS, aff_str("aa"), &key, &value), 1);
    assert_true(aff_bytes_equal(key, aff_str("ab")));
    for (int table = 0; table < AFF_TABLES; table++)
        assert_int_equal(aff_store_table_count(f->store, (enum aff_table)table), table + 1);
    assert_int_equal(aff_store_count(f->store), 0);
}

static void table_entries_are_replaced_and_deleted(void **state)
{
    struct fixture *f = *state;
    aff_bytes got;
    char reply[4096];
    memset(reply, 'r', sizeof reply);
    assert_int_equal(aff_store_table_put(f->store, AFF_TABLE_IDEM, aff_str("id"), aff_str("first")), 0);
    assert_int_equal(aff_store_table_put(f->store, AFF_TABLE_IDEM, aff_str("id"), aff_bytes_of(reply, 4096)), 0);
    assert_int_equal(aff_store_table_put(f->store, AFF_TABLE_DIRTY, aff_str("d"), aff_bytes_of("", 0)), 0);
    commit(f);
    assert_int_equal(aff_store_table_get(f->store, AFF_TABLE_IDEM, aff_str("id"), &got), 1);
    assert_true(aff_bytes_equal(got, aff_bytes_of(reply, 4096)));
    assert_int_equal(aff_store_table_get(f->store, AFF_TABLE_DIRTY, aff_str("d"), &got), 1);
    assert_int_equal(got.len, 0);
    assert_int_equal(aff_store_table_delete(f->store, AFF_TABLE_IDEM, aff_str("id")), 0);
    assert_int_equal(aff_store_table_delete(f->store, AFF_TABLE_IDEM, aff_str("id")), 0);
    assert_int_equal(aff_store_table_get(f->store, AFF_TABLE_IDEM, aff_str("id"), &got), 0);
}

static void a_wipe_empties_everything_for_good(void **state)
{
    struct fixture *f = *state;
    put(f, "a", item_due("1", 1, 5));
    assert_int_equal(aff_store_meta_put(f->store, "checkpoint", aff_str("x")), 0);
    assert_int_equal(aff_store_table_put(f->store, AFF_TABLE_DIRTY, aff_str("d"), aff_str("x")), 0);
    commit(f);
    put(f, "b", item_of("uncommitted", 2));
    assert_int_equal(aff_store_wipe(f->store, NULL), 0);
    for (int round = 0; round < 2; round++) {
        aff_bytes got;
        struct aff_version version;
        struct aff_expiry_cursor cursor = { .started = false };
        expect(f, "a", NULL);
        expect(f, "b", NULL);
        assert_int_equal(aff_store_count(f->store), 0);
        assert_int_equal(aff_store_meta_get(f->store, "checkpoint", &got), 0);
        assert_int_equal(aff_store_table_count(f->store, AFF_TABLE_DIRTY), 0);
        assert_int_equal(aff_store_expired(f->store, INT64_MAX, &cursor, &version), 0);
        fixture_close(f);
        fixture_open(f);
    }
    put(f, "a", item_of("new", 1));
    commit(f);
    expect(f, "a", "new");
}

#define store_test(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(what_is_put_is_read_back_whole),
        store_test(every_shape_of_an_item_survives),
        store_test(a_value_is_replaced_and_deleted),
        store_test(an_abort_drops_what_was_not_committed),
        store_test(close_drops_what_was_not_committed),
        store_test(keys_have_1_to_511_bytes_of_any_kind),
        store_test(what_is_too_large_is_refused_and_changes_nothing),
        store_test(a_full_map_refuses_and_keeps_what_was_there),
        store_test(a_batch_of_10000_records_commits_at_once),
        store_test(meta_commits_with_the_values),
        store_test(tables_are_ordered_and_apart),
        store_test(table_entries_are_replaced_and_deleted),
        store_test(a_wipe_empties_everything_for_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
