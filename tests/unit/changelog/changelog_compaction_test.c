/*
 * changelog_compaction_test.c - the rules of compaction.h, and the key map of the embedded log.
 */
#include "changelog/compaction.h"
#include "changelog/embedded/keymap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { NOW = 1000, LAG = 100, RETENTION = 300 };

static void the_reach_ends_at_the_lag_and_at_what_is_kept(void **state)
{
    struct aff_compaction c = aff_compaction_of(LAG, RETENTION, 50, 80, NOW);

    (void)state;
    assert_true(aff_compaction_reaches(&c, 49, 899));
    assert_false(aff_compaction_reaches(&c, 50, 899)); /* kept */
    assert_false(aff_compaction_reaches(&c, 49, 900)); /* exactly as old as the lag is not older */
}

static void superseded_entries_go(void **state)
{
    struct aff_compaction c = aff_compaction_of(LAG, RETENTION, 50, 80, NOW);

    (void)state;
    assert_true(aff_compaction_drops(&c, 10, 0, false, 11));
    assert_true(aff_compaction_drops(&c, 10, 0, true, 11));
    assert_false(aff_compaction_drops(&c, 10, 0, false, 10));
}

static void a_last_tombstone_goes_after_lag_and_retention(void **state)
{
    struct aff_compaction c = aff_compaction_of(LAG, RETENTION, 50, 80, NOW);

    (void)state;
    assert_true(aff_compaction_drops(&c, 10, 599, true, 10));
    assert_false(aff_compaction_drops(&c, 10, 600, true, 10));
}

static void the_last_entry_of_a_partition_stays(void **state)
{
    struct aff_compaction c = aff_compaction_of(0, 0, INT64_MAX, 80, NOW);

    (void)state;
    assert_true(aff_compaction_reaches(&c, 79, 0)); /* it supersedes others */
    assert_false(aff_compaction_drops(&c, 79, 0, true, 79));
    assert_true(aff_compaction_drops(&c, 78, 0, true, 78));
}

static void extreme_times_do_not_wrap(void **state)
{
    struct aff_compaction c = aff_compaction_of(INT64_MAX, INT64_MAX, INT64_MAX, 1, -5);

    (void)state;
    assert_false(aff_compaction_reaches(&c, 0, INT64_MIN));
    assert_int_equal(c.young_ms, INT64_MIN);
    assert_int_equal(c.retained_ms, INT64_MIN);
}

static aff_bytes key_of(unsigned i, char text[32])
{
    (void)snprintf(text, 32, "key number %u", i);
    return aff_str(text);
}

static void the_key_map_knows_the_highest_offset(void **state)
{
    enum { KEYS = 20000 };
    struct aff_keymap map;
    char text[32];

    (void)state;
    aff_keymap_init(&map, 24 * KEYS * 3 / 2);
    for (unsigned i = 0; i < 2 * KEYS; i++) {
        assert_int_equal(aff_keymap_full(&map), i >= KEYS);
        aff_keymap_note(&map, 7, key_of(i % KEYS, text), i);
    }
    for (unsigned i = 0; i < KEYS; i++) {
        assert_int_equal(aff_keymap_latest(&map, 7, key_of(i, text)), KEYS + i);
        assert_int_equal(aff_keymap_latest(&map, 8, key_of(i, text)), -1); /* another partition */
    }
    aff_keymap_clear(&map);
    assert_false(aff_keymap_full(&map));
    assert_int_equal(aff_keymap_latest(&map, 7, key_of(1, text)), -1);
    aff_keymap_fini(&map);
}

static void keys_that_differ_in_length_only_are_different(void **state)
{
    static const char zeros[40];
    struct aff_keymap map;

    (void)state;
    aff_keymap_init(&map, 1 << 16);
    for (size_t len = 1; len < sizeof zeros; len++)
        aff_keymap_note(&map, 0, aff_bytes_of(zeros, len), (int64_t)len);
    for (size_t len = 1; len < sizeof zeros; len++)
        assert_int_equal(aff_keymap_latest(&map, 0, aff_bytes_of(zeros, len)), len);
    aff_keymap_fini(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reach_ends_at_the_lag_and_at_what_is_kept),
        cmocka_unit_test(superseded_entries_go),
        cmocka_unit_test(a_last_tombstone_goes_after_lag_and_retention),
        cmocka_unit_test(the_last_entry_of_a_partition_stays),
        cmocka_unit_test(extreme_times_do_not_wrap),
        cmocka_unit_test(the_key_map_knows_the_highest_offset),
        cmocka_unit_test(keys_that_differ_in_length_only_are_different),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
