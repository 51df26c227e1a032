/*
 * core_handover_test.c - both sides of a hand-over: what the giver waits for, says and does not append any more (I9); when the
 * receiver claims, and when its CLAIM makes it lead without reading (I2).
 */
#include "script_world.h"

/* The log's first epoch is 1, led by this node; 2 is for the other, 3 kept for this one. */
enum { MAJOR = 2, BACK = 3 };

static const struct aff_stamp other = { (aff_epoch)MAJOR << 16, 77, 0 };

static void give(struct script *s)
{
    assert_true(aff_core_give(s->core, MAJOR));
    script_pass(s);
}

static void went(struct script *s, bool taken)
{
    aff_core_went(s->core, MAJOR, taken);
    script_pass(s);
}

static void granted(struct script *s, uint32_t major)
{
    aff_core_granted(s->core, major);
    script_pass(s);
}

/* ---- the giver ---- */

static void it_says_go_when_all_is_reported_and_serves_nothing_before(void **state)
{
    struct script *s = *state;
    struct ask *first = script_put(s, "a", "1"), *waits;

    give(s);
    waits = script_put(s, "b", "2");
    assert_int_equal(s->goes, 0);
    assert_int_equal(script_handed_over(s), 1);
    script_ack(s);
    expect_committed(first, 1);
    assert_int_equal(s->goes, 1);
    assert_false(s->served_at_go);
    assert_int_equal(s->go.major, MAJOR);
    assert_int_equal(s->go.end, 2);
    assert_int_equal(s->go.cur.seq, 1);
    expect_role(s, AFF_ROLE_FOLLOWING);
    expect_waiting(waits);
    assert_int_equal(script_handed_over(s), 0); /* I9 */
    went(s, true);
    assert_int_equal(s->moved, 1);
    assert_int_equal(s->gave_taken, 1);
    expect_refused(waits, AFF_ENOMASTER);
}

static void reads_wait_for_the_end_of_it_whatever_the_lease(void **state)
{
    struct script *s = *state;
    struct ask *read;

    s->lease_until = INT64_MAX;
    give(s);
    assert_int_equal(s->goes, 1);
    read = script_barrier(s);
    expect_waiting(read);
    went(s, true);
    expect_refused(read, AFF_ENOMASTER);
}

static void a_void_record_is_repaired_first_though_a_write_of_its_key_waits(void **state)
{
    struct script *s = *state;
    struct ask *gap, *waits;

    script_foreign(s, AFF_KIND_DATA, script_stamp(0, 1, 7, 1), "a", "void");
    gap = script_put(s, "b", "1");
    assert_true(aff_core_give(s->core, MAJOR));
    waits = script_put(s, "a", "2");
    script_ack(s);
    script_read(s);
    expect_answer(gap, 0, AFF_OUTCOME_COMMITTED);
    assert_int_equal(s->goes, 0);
    assert_int_equal(script_last_sent(s)->entry.kind, AFF_KIND_REPAIR);
    script_ack(s);
    assert_int_equal(s->goes, 1);
    expect_waiting(waits);
    went(s, true);
    expect_refused(waits, AFF_ENOMASTER);
}

static void refused_it_claims_only_when_it_is_granted_and_what_waited_is_done(void **state)
{
    struct script *s = *state;
    struct ask *waits;

    give(s);
    waits = script_put(s, "a", "1");
    went(s, false);
    assert_int_equal(s->gave_back, 1);
    assert_int_equal(script_handed_over(s), 0); /* I9: the other may be the owner */
    granted(s, BACK);
    assert_int_equal(script_last_sent(s)->entry.kind, AFF_KIND_CLAIM);
    expect_waiting(waits);
    script_ack(s);
    script_read(s);
    expect_role(s, AFF_ROLE_MASTER);
    script_ack(s);
    expect_answer(waits, 0, AFF_OUTCOME_COMMITTED);
}

static void without_an_answer_it_asks_for_it_back_and_does_not_wait_for_ever(void **state)
{
    struct script *s = *state;
    struct ask *waits;

    give(s);
    waits = script_put(s, "a", "1");
    script_after(s, 299);
    assert_int_equal(s->gave_back, 0);
    script_after(s, 2);
    assert_int_equal(s->gave_back, 1);
    expect_waiting(waits);
    script_after(s, 2500);
    expect_refused(waits, AFF_ENOMASTER);
    assert_int_equal(script_handed_over(s), 0);
    granted(s, BACK); /* late, but granted */
    expect_role(s, AFF_ROLE_CLAIMING);
}

static void an_answer_to_an_earlier_go_does_not_count(void **state)
{
    struct script *s = *state;

    give(s);
    aff_core_went(s->core, MAJOR - 1, true);
    script_pass(s);
    assert_int_equal(s->moved, 0);
}

static void the_claim_of_the_other_in_the_log_is_an_answer(void **state)
{
    struct script *s = *state;
    struct ask *waits;

    give(s);
    waits = script_put(s, "a", "1");
    script_foreign_claim(s, other, NULL);
    script_read(s);
    assert_int_equal(s->moved, 1);
    assert_int_equal(s->gave_taken, 1);
    expect_refused(waits, AFF_ENOMASTER);
    went(s, false);
    assert_int_equal(s->gave_back, 0);
}

static void back_after_another_led_what_waited_is_to_be_asked_again(void **state)
{
    struct script *s = *state;
    struct ask *waits;

    give(s);
    waits = script_put(s, "a", "1");
    went(s, false);
    granted(s, BACK);
    script_foreign_claim(s, other, NULL); /* before ours */
    script_foreign(s, AFF_KIND_DATA, (struct aff_stamp){ other.epoch, other.nonce, 1 }, "a", "theirs");
    script_ack(s);
    script_read(s);
    expect_role(s, AFF_ROLE_MASTER);
    expect_refused(waits, AFF_ENOMASTER);
    expect_stored(s, "a", "theirs");
}

static void a_log_that_does_not_report_ends_it_and_the_giver_goes_on(void **state)
{
    struct script *s = *state;
    struct ask *stuck = script_put(s, "a", "1");

    give(s);
    script_after(s, 1100);
    assert_int_equal(s->goes, 0);
    assert_int_equal(s->gave_back, 1);
    expect_role(s, AFF_ROLE_MASTER);
    script_ack(s);
    expect_committed(stuck, 1);
}

static void resigned_or_not_leading_it_gives_nothing(void **state)
{
    struct script *s = *state;
    struct ask *waits;

    give(s);
    waits = script_put(s, "a", "1");
    script_resign(s);
    expect_refused(waits, AFF_ENOMASTER);
    assert_int_equal(s->gave_back + s->gave_taken, 0);
    assert_false(aff_core_give(s->core, MAJOR));
    assert_int_equal(s->gave_back, 1);
}

/* ---- the receiver ---- */

/* Another leads with epoch 1 and wrote one value; this node follows. */
static struct aff_go follow_another(struct script *s)
{
    struct aff_stamp leader = script_stamp(1, 0, 77, 0);

    script_foreign_claim(s, leader, "the log itself..");
    leader.seq = 1;
    script_foreign(s, AFF_KIND_DATA, leader, "a", "1");
    return (struct aff_go){ .major = MAJOR, .cur = leader, .end = 2 };
}

static void take(struct script *s, const struct aff_go *go, int64_t ms)
{
    aff_core_take(s->core, go, aff_mono_ns(&s->clock.clock) + ms * AFF_NS_PER_MS);
    script_pass(s);
}

static void at_the_end_it_claims_and_leads_by_the_report_alone(void **state)
{
    struct script *s = *state;
    struct aff_go go = follow_another(s);

    script_read(s);
    take(s, &go, 300);
    expect_role(s, AFF_ROLE_CLAIMING);
    script_land(s);
    script_report(s);
    expect_role(s, AFF_ROLE_MASTER);
    assert_int_equal(s->took, 1);
    assert_int_equal(s->took_major, MAJOR);
    assert_int_equal(s->taken, 1);
    expect_stored(s, "a", "1");
    take(s, &go, 300); /* said again */
    assert_int_equal(s->taken, 2);
    script_put(s, "a", "2");
    script_ack(s);
    expect_stored(s, "a", "2");
}

/* The giver may read the CLAIM before its report comes here, and sends on what waited. */
static void what_is_asked_while_it_claims_waits_for_its_claim(void **state)
{
    struct script *s = *state;
    struct aff_go go = follow_another(s);
    struct ask *early = script_put(s, "b", "1"), *write, *read;

    expect_refused(early, AFF_ENOMASTER);
    script_read(s);
    take(s, &go, 300);
    write = script_put(s, "b", "2");
    read = script_barrier(s);
    assert_int_equal(script_handed_over(s), 1); /* the CLAIM (I2) */
    expect_waiting(write);
    script_land(s);
    script_report(s);
    expect_role(s, AFF_ROLE_MASTER);
    expect_waiting(read); /* the CLAIM was handed over before it came (I5) */
    script_ack(s);
    expect_answer(write, 0, AFF_OUTCOME_COMMITTED);
    expect_answer(read, 0, AFF_OUTCOME_NONE);
}

static void behind_it_waits_until_all_below_is_applied(void **state)
{
    struct script *s = *state;
    struct aff_go go = follow_another(s);

    take(s, &go, 300);
    expect_role(s, AFF_ROLE_FOLLOWING);
    assert_int_equal(script_handed_over(s), 0);
    script_read(s);
    expect_role(s, AFF_ROLE_CLAIMING);
    script_land(s);
    script_report(s);
    expect_role(s, AFF_ROLE_MASTER);
}

static void behind_for_too_long_it_refuses(void **state)
{
    struct script *s = *state;
    struct aff_go go = follow_another(s);

    take(s, &go, 300);
    script_after(s, 301);
    assert_int_equal(s->refused, 1);
    script_read(s);
    expect_role(s, AFF_ROLE_FOLLOWING);
    assert_int_equal(script_handed_over(s), 0);
}

static void a_claim_above_the_end_is_read_up_to(void **state)
{
    struct script *s = *state;
    struct aff_go go = follow_another(s);
    struct ask *waits;

    script_read(s);
    take(s, &go, 300);
    waits = script_put(s, "a", "2");
    script_foreign(s, AFF_KIND_DATA, script_stamp(0, 1, 7, 1), "a", "a zombie's");
    script_land(s);
    script_report(s);
    expect_role(s, AFF_ROLE_CLAIMING);
    script_read(s);
    expect_role(s, AFF_ROLE_MASTER);
    assert_int_equal(s->took, 1);
    assert_true(script_is_dirty(s, aff_str("a")));
    script_ack(s);
    expect_answer(waits, 0, AFF_OUTCOME_COMMITTED); /* nobody else has led */
}

static void another_led_below_its_claim_and_what_waited_is_to_be_asked_again(void **state)
{
    struct script *s = *state;
    struct aff_go go = follow_another(s);
    struct ask *waits;

    script_read(s);
    take(s, &go, 300);
    waits = script_put(s, "a", "mine");
    script_foreign_claim(s, script_stamp(1, 1, 77, 0), "the log itself..");
    script_foreign(s, AFF_KIND_DATA, script_stamp(1, 1, 77, 1), "a", "theirs");
    script_land(s);
    script_report(s);
    script_read(s);
    expect_role(s, AFF_ROLE_MASTER);
    expect_refused(waits, AFF_ENOMASTER);
    expect_stored(s, "a", "theirs");
}

static void resigned_while_it_claims_it_refuses_what_waited(void **state)
{
    struct script *s = *state;
    struct aff_go go = follow_another(s);
    struct ask *waits;

    script_read(s);
    take(s, &go, 300);
    waits = script_put(s, "a", "2");
    script_resign(s);
    expect_refused(waits, AFF_ENOMASTER);
    expect_refused(script_put(s, "a", "3"), AFF_ENOMASTER);
}

static void its_claim_defeated_it_says_so(void **state)
{
    struct script *s = *state;
    struct aff_go go = follow_another(s);
    struct ask *waits;

    script_read(s);
    take(s, &go, 300);
    waits = script_put(s, "b", "1");
    script_foreign_claim(s, script_stamp(BACK, 0, 77, 0), "the log itself..");
    script_ack(s);
    script_read(s);
    expect_refused(waits, AFF_ENOMASTER);
    expect_role(s, AFF_ROLE_FOLLOWING);
    assert_int_equal(s->took + s->taken, 0);
    assert_int_equal(s->refused, 1);
}

static void elsewhere_than_the_giver_or_with_an_old_epoch_it_refuses(void **state)
{
    struct script *s = *state;
    struct aff_go go = follow_another(s), old = go;

    script_read(s);
    old.major = 1;
    take(s, &old, 300);
    assert_int_equal(s->refused, 1);
    go.cur.seq = 5;
    take(s, &go, 300);
    assert_int_equal(s->refused, 2);
    assert_int_equal(s->taken_major, MAJOR);
    expect_role(s, AFF_ROLE_FOLLOWING);
}

static void its_own_minted_identity_is_never_used(void **state)
{
    struct script *s = *state; /* follows an empty log: it knows no identity */
    struct aff_go go = { .major = MAJOR, .end = 0 };

    take(s, &go, 300);
    assert_int_equal(s->refused, 1);
}

int main(void)
{
#define FOLLOWING(test) cmocka_unit_test_setup_teardown(test, script_setup, script_teardown)
#define LEADING(test) cmocka_unit_test_setup_teardown(test, script_setup_leading, script_teardown)
    const struct CMUnitTest tests[] = {
        LEADING(it_says_go_when_all_is_reported_and_serves_nothing_before),
        LEADING(reads_wait_for_the_end_of_it_whatever_the_lease),
        LEADING(a_void_record_is_repaired_first_though_a_write_of_its_key_waits),
        LEADING(refused_it_claims_only_when_it_is_granted_and_what_waited_is_done),
        LEADING(without_an_answer_it_asks_for_it_back_and_does_not_wait_for_ever),
        LEADING(an_answer_to_an_earlier_go_does_not_count),
        LEADING(the_claim_of_the_other_in_the_log_is_an_answer),
        LEADING(back_after_another_led_what_waited_is_to_be_asked_again),
        LEADING(a_log_that_does_not_report_ends_it_and_the_giver_goes_on),
        LEADING(resigned_or_not_leading_it_gives_nothing),
        FOLLOWING(at_the_end_it_claims_and_leads_by_the_report_alone),
        FOLLOWING(what_is_asked_while_it_claims_waits_for_its_claim),
        FOLLOWING(behind_it_waits_until_all_below_is_applied),
        FOLLOWING(behind_for_too_long_it_refuses),
        FOLLOWING(a_claim_above_the_end_is_read_up_to),
        FOLLOWING(another_led_below_its_claim_and_what_waited_is_to_be_asked_again),
        FOLLOWING(resigned_while_it_claims_it_refuses_what_waited),
        FOLLOWING(its_claim_defeated_it_says_so),
        FOLLOWING(elsewhere_than_the_giver_or_with_an_old_epoch_it_refuses),
        FOLLOWING(its_own_minted_identity_is_never_used),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
