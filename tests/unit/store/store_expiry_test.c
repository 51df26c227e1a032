/*
 * store_expiry_test.c - which keys are due, in which order: core/store/expiry.c.
 */
#include "store_fixture.h"

#include <string.h>

/* Walks what is due at `now` and compares it with "key@time key@time ". */
static void expect_due(struct fixture *f, int64_t now_ms, const char *expected)
{
    struct aff_expiry_cursor cursor = { .started = false };
    struct aff_version version;
    char got[512] = "";
    while (aff_store_expired(f->store, now_ms, &cursor, &version) == 1) {
        assert_int_equal(version.expires_ms, cursor.expires_ms);
        size_t len = strlen(got);
        (void)snprintf(got + len, sizeof got - len, "%.*s@%lld ", (int)cursor.key_len, (const char *)cursor.key,
                       (long long)cursor.expires_ms);
    }
    assert_string_equal(got, expected);
}

static void keys_come_in_order_of_their_time_up_to_now(void **state)
{
    struct fixture *f = *state;
    expect_due(f, INT64_MAX, "");
    put(f, "late", item_due("v", 1, 300));
    put(f, "never", item_of("v", 2));
    put(f, "early", item_due("v", 3, 100));
    put(f, "before 1970", item_due("v", 4, -100));
    put(f, "also early", item_due("v", 5, 100));
    expect_due(f, -101, "");
    expect_due(f, 100, "before 1970@-100 also early@100 early@100 ");
    commit(f);
    expect_due(f, 299, "before 1970@-100 also early@100 early@100 ");
    expect_due(f, INT64_MAX, "before 1970@-100 also early@100 early@100 late@300 ");
}

static void the_extremes_of_time_are_in_order(void **state)
{
    struct fixture *f = *state;
    put(f, "max", item_due("v", 1, INT64_MAX));
    put(f, "min", item_due("v", 1, INT64_MIN + 1));
    put(f, "zero", item_due("v", 1, 0));
    expect_due(f, INT64_MAX, "min@-9223372036854775807 zero@0 max@9223372036854775807 ");
    expect_due(f, INT64_MAX - 1, "min@-9223372036854775807 zero@0 ");
}

static void a_change_of_the_value_moves_or_removes_the_entry(void **state)
{
    struct fixture *f = *state;
    put(f, "a", item_due("v", 1, 10));
    put(f, "b", item_due("v", 1, 20));
    put(f, "c", item_due("v", 1, 30));
    put(f, "a", item_due("v", 2, 40));
    expect_due(f, 100, "b@20 c@30 a@40 ");
    put(f, "b", item_of("v", 2));
    assert_int_equal(aff_store_delete(f->store, aff_str("c")), 0);
    expect_due(f, 100, "a@40 ");
    put(f, "a", item_due("another", 3, 40));
    expect_due(f, 100, "a@40 ");
    put(f, "b", item_due("v", 3, 50));
    expect_due(f, 100, "a@40 b@50 ");
    aff_store_abort(f->store);
    expect_due(f, 100, "");
}

static void the_version_is_that_of_the_value(void **state)
{
    struct fixture *f = *state;
    struct aff_version version;
    struct aff_expiry_cursor cursor = { .started = false };
    put(f, "a", item_due("v", 77, 10));
    assert_int_equal(aff_store_expired(f->store, 10, &cursor, &version), 1);
    assert_int_equal(version.offset, 77);
    assert_int_equal(version.time_ms, 1077);
}

static void the_walk_goes_on_while_keys_are_deleted_under_it(void **state)
{
    struct fixture *f = *state;
    char key[16];
    for (int i = 0; i < 100; i++) {
        (void)snprintf(key, sizeof key, "key-%02d", i);
        put(f, key, item_due("v", i, 1000 - i));
    }
    struct aff_expiry_cursor cursor = { .started = false };
    struct aff_version version;
    for (int i = 99; i >= 0; i--) {
        assert_int_equal(aff_store_expired(f->store, 1000, &cursor, &version), 1);
        (void)snprintf(key, sizeof key, "key-%02d", i);
        assert_int_equal(cursor.key_len, strlen(key));
        assert_memory_equal(cursor.key, key, cursor.key_len);
        if (i % 3) {
            assert_int_equal(aff_store_delete(f->store, aff_bytes_of(cursor.key, cursor.key_len)), 0);
            commit(f);
        }
    }
    assert_int_equal(aff_store_expired(f->store, 1000, &cursor, &version), 0);
    assert_int_equal(aff_store_count(f->store), 34);
}

/* LMDB's keys end at 511 bytes, so an entry of a long key is cut and hashed: none may be lost or mistaken for
 * another. */
static void long_keys_with_one_beginning_are_kept_apart(void **state)
{
    struct fixture *f = *state;
    unsigned char key[AFF_KEY_MAX];
    memset(key, 'k', sizeof key);
    struct aff_item item = item_due("v", 1, 10);
    int count = 0;
    for (size_t len = 480; len <= AFF_KEY_MAX; len++) {
        for (unsigned last = 'a'; last <= 'c'; last++, count++) {
            key[len - 1] = (unsigned char)last;
            assert_int_equal(aff_store_put(f->store, aff_bytes_of(key, len), &item), 0);
        }
        key[len - 1] = 'k';
    }
    commit(f);
    struct aff_expiry_cursor cursor = { .started = false };
    struct aff_version version;
    int walked = 0;
    while (aff_store_expired(f->store, 10, &cursor, &version) == 1) {
        assert_int_equal(aff_store_delete(f->store, aff_bytes_of(cursor.key, cursor.key_len)), 0);
        walked++;
    }
    assert_int_equal(walked, count);
    assert_int_equal(aff_store_count(f->store), 0);
    cursor.started = false;
    assert_int_equal(aff_store_expired(f->store, 10, &cursor, &version), 0);
}

#define store_test(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(keys_come_in_order_of_their_time_up_to_now),
        store_test(the_extremes_of_time_are_in_order),
        store_test(a_change_of_the_value_moves_or_removes_the_entry),
        store_test(the_version_is_that_of_the_value),
        store_test(the_walk_goes_on_while_keys_are_deleted_under_it),
        store_test(long_keys_with_one_beginning_are_kept_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
