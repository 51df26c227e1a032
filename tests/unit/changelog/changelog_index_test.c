/*
 * changelog_index_test.c - the index of one segment, while it grows and once it is sealed.
 */
#include "changelog/embedded/index.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { SIZE = 1000, COUNT = 1000 };

/* Partitions 3 and 8, offset i in the batch at 100 * i; partition 8 starts late and has even offsets only. */
static struct aff_index filled(void)
{
    struct aff_index index = { 0 };
    for (int64_t i = 0; i < COUNT; i++) {
        aff_index_add(&index, 3, i, (uint64_t)(100 * i), SIZE);
        if (i >= 500 && i % 2 == 0)
            aff_index_add(&index, 8, i, (uint64_t)(100 * i), SIZE);
    }
    return index;
}

static void assert_finds(const struct aff_index *index, uint32_t partition, int64_t from, int64_t least)
{
    uint64_t at = UINT64_MAX;
    assert_true(aff_index_find(index, partition, from, &at));
    int64_t offset = (int64_t)(at / 100);
    assert_true(offset <= (from < least ? least : from)); /* not beyond it */
    assert_true(offset >= least);
    assert_true(from - offset <= 3 * AFF_INDEX_STEP / SIZE); /* and near */
}

static void check(const struct aff_index *index)
{
    uint64_t at;
    for (int64_t from = 0; from < COUNT; from += 7)
        assert_finds(index, 3, from, 0);
    for (int64_t from = 0; from <= 998; from += 7)
        assert_finds(index, 8, from, 500);
    assert_false(aff_index_find(index, 3, COUNT, &at));
    assert_false(aff_index_find(index, 8, 999, &at));
    assert_int_equal(aff_index_last(index, 3), COUNT - 1);
    assert_int_equal(aff_index_last(index, 8), 998);
    for (uint32_t absent = 0; absent < 20; absent++)
        if (absent != 3 && absent != 8) {
            assert_int_equal(aff_index_last(index, absent), -1);
            assert_false(aff_index_find(index, absent, 0, &at));
        }
}

static void offsets_are_found_while_it_grows_and_after(void **state)
{
    struct aff_index index = filled();

    (void)state;
    check(&index);
    aff_index_seal(&index);
    check(&index);
    aff_index_fini(&index);
}

static void it_stays_small(void **state)
{
    struct aff_index index = filled();

    (void)state;
    assert_true(index.point_count <= (size_t)COUNT * 2 * SIZE / AFF_INDEX_STEP + 2);
    aff_index_seal(&index);
    assert_int_equal(index.span_count, 2);
    aff_index_fini(&index);
}

static void an_empty_one_has_nothing(void **state)
{
    struct aff_index index = { 0 };
    uint64_t at;

    (void)state;
    assert_int_equal(aff_index_last(&index, 0), -1);
    aff_index_seal(&index);
    assert_int_equal(aff_index_last(&index, 0), -1);
    assert_false(aff_index_find(&index, 0, 0, &at));
    aff_index_fini(&index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_are_found_while_it_grows_and_after),
        cmocka_unit_test(it_stays_small),
        cmocka_unit_test(an_empty_one_has_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
