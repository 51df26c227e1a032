/*
 * core_upkeep_test.c - what a master does without being asked: keys that expire, masterships that are forgotten.
 * Repairs and idle barriers are in core_write_test.c. Every test begins with a core that leads epoch 1, without a
 * lease.
 */
#include "script_world.h"

#define DAY_MS (24 * 3600 * INT64_C(1000))

static struct ask *put_for(struct script *s, const char *key, int64_t ttl_ms)
{
    struct ask *a = ask_put(s, key, "x");

    a->op.ttl_ms = ttl_ms;
    script_submit(s, a);
    script_ack(s);
    assert_int_equal(a->op.result.code, 0);
    return a;
}

static struct aff_record last_sent(struct script *s)
{
    struct aff_record rec;

    aff_record_decode(&script_last_sent(s)->entry.view, &rec);
    return rec;
}

/* Without idle barriers in between: those of the first 71 seconds have left. */
static void grows_quiet(struct script *s)
{
    for (int i = 0; i < 71; i++) {
        script_after(s, 1000);
        script_ack_all(s);
    }
}

static void a_key_exists_until_its_tombstone_is_committed(void **state)
{
    struct script *s = *state;

    grows_quiet(s);
    put_for(s, "a", 500);
    script_after(s, 499);
    assert_int_equal(script_handed_over(s), 0);
    script_after(s, 1);
    assert_int_equal(script_handed_over(s), 1);
    assert_int_equal(last_sent(s).kind, AFF_KIND_DATA);
    assert_null(last_sent(s).value.data);
    expect_stored(s, "a", "x"); /* nobody filters by clock */
    script_after(s, 1000);
    assert_int_equal(script_handed_over(s), 1); /* one tombstone is enough */
    script_ack(s);
    expect_stored(s, "a", NULL);
    script_expect_plain_equals(s);
}

static void the_keyspaces_lifetime_holds_where_a_write_says_none(void **state)
{
    struct script *s;

    script_teardown(state);
    *state = s = script_new();
    s->opts.ttl_ms = 500;
    script_start(s);
    script_lead(s);
    put_for(s, "a", 0);
    script_after(s, 600);
    script_ack(s);
    expect_stored(s, "a", NULL);
}

static void a_key_that_is_being_written_expires_only_if_it_still_has_to(void **state)
{
    struct script *s = *state;
    struct ask *again;

    grows_quiet(s);
    put_for(s, "a", 500);
    put_for(s, "b", 500);
    again = script_put(s, "a", "for ever");
    script_after(s, 500);
    assert_int_equal(script_handed_over(s), 2); /* that write, and the tombstone of b */
    script_ack(s);
    assert_int_equal(again->op.result.code, 0);
    script_ack(s);
    script_after(s, 1000);
    assert_int_equal(script_handed_over(s), 0);
    expect_stored(s, "a", "for ever");
    expect_stored(s, "b", NULL);
}

static void a_write_that_waits_behind_a_tombstone_finds_no_key(void **state)
{
    struct script *s = *state;
    struct ask *put;

    grows_quiet(s);
    put_for(s, "a", 500);
    script_after(s, 500);
    put = script_put(s, "a", "new");
    script_ack_all(s);
    assert_true(put->op.result.created);
    expect_stored(s, "a", "new");
}

static void keys_expire_after_a_restart(void **state)
{
    struct script *s = *state;

    put_for(s, "a", 60 * 1000);
    put_for(s, "b", 3600 * 1000);
    script_restart(s);
    aff_virtual_clock_sleep(&s->clock, 61 * AFF_NS_PER_S);
    script_after(s, 5000); /* a standby expires nothing */
    assert_int_equal(script_handed_over(s), 0);
    script_lead(s);
    script_after(s, 0);
    assert_int_equal(script_handed_over(s), 1);
    script_ack(s);
    expect_stored(s, "a", NULL);
    expect_stored(s, "b", "x");
}

static void a_key_expires_within_a_second_when_the_wall_clock_was_set(void **state)
{
    struct script *s = *state;

    grows_quiet(s);
    put_for(s, "a", 3600 * 1000);
    s->clock.wall_base_ms += 3600 * 1000;
    script_after(s, 1000);
    script_ack_all(s);
    expect_stored(s, "a", NULL);
}

static void thousands_of_keys_expire_as_fast_as_the_log_takes_them(void **state)
{
    struct script *s = *state;
    char key[16];

    grows_quiet(s);
    for (int i = 0; i < 2000; i++) {
        snprintf(key, sizeof key, "%d", i);
        put_for(s, key, 500);
    }
    script_after(s, 500);
    for (int ms = 0; ms < 500; ms += 5) { /* the log reports every 5 ms */
        size_t due = script_handed_over(s);
        while (due-- > 0)
            script_ack(s);
        script_after(s, 5);
    }
    script_ack_all(s);
    assert_int_equal(s->committed[SCRIPT_TABLE_VALUES].count, 0); /* within a second of their time */
}

static void a_full_log_is_not_asked_for_each_expired_key(void **state)
{
    struct script *s = *state;

    grows_quiet(s);
    put_for(s, "a", 500);
    put_for(s, "b", 500);
    s->append_code = AFF_EAGAIN;
    script_after(s, 1000);
    s->append_code = 0;
    script_after(s, 100);
    script_ack_all(s);
    expect_stored(s, "a", NULL);
    expect_stored(s, "b", NULL);
}

static void a_mastership_is_forgotten_when_its_successor_is_older_than_tombstones_live(void **state)
{
    struct script *s = *state;
    struct aff_stamp old = script_stamp(1, 0, 101, 1);
    char key[AFF_CONTROL_KEY_MAX];
    size_t len = aff_claim_key(old, key);

    script_put(s, "a", "one");
    script_ack(s);
    script_restart(s);
    script_lead(s); /* epoch 2 */
    assert_int_equal(aff_core_outcome(s->core, old), AFF_OUTCOME_COMMITTED);
    for (int day = 0; day < 7; day++) {
        grows_quiet(s);
        aff_virtual_clock_sleep(&s->clock, DAY_MS * AFF_NS_PER_MS);
        script_put(s, "b", "x");
        script_ack_all(s);
    }
    script_after(s, 59 * 1000); /* its successor is seven days old, and a bit */
    script_after(s, 2 * 1000);
    assert_int_equal(last_sent(s).kind, AFF_KIND_REPAIR);
    assert_true(aff_bytes_equal(last_sent(s).key, aff_bytes_of(key, len)));
    assert_null(last_sent(s).value.data);
    assert_int_equal(aff_core_outcome(s->core, old), AFF_OUTCOME_COMMITTED); /* not before that is committed */
    script_ack_all(s);
    assert_int_equal(aff_core_outcome(s->core, old), AFF_OUTCOME_NONE);
    assert_int_equal(s->committed[AFF_TABLE_EPOCHS].count, 0);
    script_after(s, 120 * 1000);
    assert_int_equal(aff_core_outcome(s->core, s->standing.own),
                     AFF_OUTCOME_COMMITTED); /* its own is never forgotten */
}

static void a_standby_withdraws_nothing(void **state)
{
    struct script *s = *state;

    script_resign(s);
    script_foreign_claim(s, script_stamp(2, 0, 7, 0), NULL);
    for (uint64_t day = 1; day < 9; day++) {
        script_read(s);
        aff_virtual_clock_sleep(&s->clock, DAY_MS * AFF_NS_PER_MS);
        script_foreign(s, AFF_KIND_BARRIER, script_stamp(2, 0, 7, day), "x", "");
    }
    script_read(s);
    script_after(s, 120 * 1000);
    assert_int_equal(script_handed_over(s), 0);
}

int main(void)
{
#define LEADING(test) cmocka_unit_test_setup_teardown(test, script_setup_leading, script_teardown)
    const struct CMUnitTest tests[] = {
        LEADING(a_key_exists_until_its_tombstone_is_committed),
        LEADING(the_keyspaces_lifetime_holds_where_a_write_says_none),
        LEADING(a_key_that_is_being_written_expires_only_if_it_still_has_to),
        LEADING(a_write_that_waits_behind_a_tombstone_finds_no_key),
        LEADING(keys_expire_after_a_restart),
        LEADING(a_key_expires_within_a_second_when_the_wall_clock_was_set),
        LEADING(thousands_of_keys_expire_as_fast_as_the_log_takes_them),
        LEADING(a_full_log_is_not_asked_for_each_expired_key),
        LEADING(a_mastership_is_forgotten_when_its_successor_is_older_than_tombstones_live),
        LEADING(a_standby_withdraws_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
