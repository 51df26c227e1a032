/*
 * store_tally_test.c - the digest of a store: equal content has equal ones, each part of it counts, and it is taken in
 * slices while the store changes. And scratch stores, which are there for digests.
 */
#include "store_fixture.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct aff_tally tally(struct fixture *f, uint64_t count)
{
    struct aff_store_tally *t = NULL;
    struct aff_tally sum;
    assert_int_equal(aff_store_tally_new(f->store, &t, NULL), 0);
    while (aff_store_tally_step(t, 1) == 1)
        ;
    assert_int_equal(aff_store_tally_step(t, 1), 0);
    aff_store_tally_get(t, &sum);
    aff_store_tally_free(t);
    assert_int_equal(sum.count, count);
    return sum;
}

static bool same(struct aff_tally a, struct aff_tally b)
{
    return aff_digest_equal(a.full, b.full) && aff_digest_equal(a.plain, b.plain) && a.count == b.count;
}

static void equal_content_has_equal_digests_whatever_its_history(void **state)
{
    struct fixture *f = *state;
    struct aff_tally empty = tally(f, 0);
    put(f, "a", item_of("1", 1));
    put(f, "b", item_of("2", 2));
    commit(f);
    struct aff_tally both = tally(f, 2);
    assert_int_equal(aff_store_wipe(f->store, NULL), 0);
    assert_true(same(empty, tally(f, 0)));
    put(f, "b", item_of("2", 2));
    put(f, "c", item_of("3", 3));
    put(f, "a", item_of("1", 1));
    assert_int_equal(aff_store_delete(f->store, aff_str("c")), 0);
    assert_int_equal(aff_store_meta_put(f->store, "checkpoint", aff_str("not part of it")), 0);
    commit(f);
    assert_true(same(both, tally(f, 2)));
}

static void the_digest_sees_each_part(void **state)
{
    struct fixture *f = *state;
    enum { VARIANTS = 8, PLAIN = 4 };
    struct aff_item variants[VARIANTS];
    for (int i = 0; i < VARIANTS; i++)
        variants[i] = item_of("1", 1);
    variants[1].value = aff_str("2");
    variants[2].content_type = aff_str("text/plain");
    variants[3].content_type = aff_str("application/jso"); /* the cut between type and value moves */
    variants[3].value = aff_str("n1");
    variants[4].version.offset = 2;
    variants[5].version.time_ms = 0;
    variants[6].version.expires_ms = 0;
    variants[7].version.event_ms = 0;
    struct aff_tally sums[VARIANTS + 1];
    for (int i = 0; i < VARIANTS; i++) {
        put(f, "a", variants[i]);
        commit(f);
        sums[i] = tally(f, 1);
    }
    assert_int_equal(aff_store_delete(f->store, aff_str("a")), 0);
    put(f, "b", variants[0]);
    commit(f);
    sums[VARIANTS] = tally(f, 1);
    for (int i = 0; i <= VARIANTS; i++)
        for (int j = 0; j < i; j++) {
            bool versions_alone = (j == 0 || j >= PLAIN) && i >= PLAIN && i < VARIANTS;
            assert_false(aff_digest_equal(sums[i].full, sums[j].full));
            assert_int_equal(aff_digest_equal(sums[i].plain, sums[j].plain), versions_alone);
        }
}

static void what_is_not_committed_stops_the_tally_and_does_not_count(void **state)
{
    struct fixture *f = *state;
    struct aff_store_tally *t = NULL;
    struct aff_tally before, after;
    put(f, "a", item_of("1", 1));
    put(f, "b", item_of("2", 2));
    commit(f);
    assert_int_equal(aff_store_tally_new(f->store, &t, NULL), 0);
    assert_int_equal(aff_store_tally_step(t, 1), 1); /* "a" */
    put(f, "a", item_of("3", 3));
    put(f, "b", item_of("4", 4));
    assert_int_equal(aff_store_tally_step(t, 1), AFF_EAGAIN);
    aff_store_abort(f->store);
    while (aff_store_tally_step(t, 1) != 0)
        ;
    aff_store_tally_get(t, &before);
    put(f, "a", item_of("5", 5));
    aff_store_tally_get(t, &after);
    assert_true(same(before, after));
    commit(f);
    aff_store_tally_get(t, &after);
    assert_false(same(before, after));
    t = aff_store_tally_free(t);
    assert_true(same(after, tally(f, 2)));
}

/* ---- scratch ---- */

static void make_file(const char *folder, const char *name)
{
    char path[300];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, "left by a crash", 15), 15);
    (void)close(fd);
}

static void a_scratch_store_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    fixture_close(f);
    f->opts.scratch = true;
    for (int left = 0; left < 2; left++) {
        if (left) {
            assert_int_equal(mkdir(f->folder, 0700), 0);
            make_file(f->folder, "data.mdb");
            make_file(f->folder, "owner");
        }
        fixture_open(f);
        assert_true(f->fresh);
        assert_int_equal(stat(f->folder, &st), -1); /* nothing to clean up, however this process ends */
        for (int i = 0; i < 1000; i++) {
            char key[16];
            (void)snprintf(key, sizeof key, "%d", i);
            put(f, key, item_of("x", i));
        }
        commit(f);
        expect(f, "77", "x");
        assert_true(aff_store_dissolve(f->store, 1 << 20));
        while (aff_store_dissolve(f->store, 1 << 20))
            ;
        fixture_close(f);
        assert_int_equal(stat(f->folder, &st), -1);
    }
    assert_int_equal(mkdir(f->folder, 0700), 0);
    make_file(f->folder, "lock.mdb");
    aff_store_sweep(f->folder);
    assert_int_equal(stat(f->folder, &st), -1);
}

#define store_test(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(equal_content_has_equal_digests_whatever_its_history),
        store_test(the_digest_sees_each_part),
        store_test(what_is_not_committed_stops_the_tally_and_does_not_count),
        store_test(a_scratch_store_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
