/*
 * core_settle_test.c - outcomes that the log does not tell: nothing more is produced, a CLAIM with the minor epoch
 * raised, everything below it read; then each write in doubt was found or is void for ever (I10). Every test begins
 * with a core that leads epoch 1.
 */
#include "script_world.h"

/* The new claim lands and everything below it is read. */
static void settled(struct script *s)
{
    struct script_sent *claim = script_last_sent(s);

    expect_role(s, AFF_ROLE_SETTLING);
    assert_int_equal(claim->entry.kind, AFF_KIND_CLAIM);
    while (claim->offset < 0)
        script_land(s);
    script_report(s);
    script_read(s);
    expect_role(s, AFF_ROLE_MASTER);
}

static void an_unknown_outcome_is_settled_by_a_claim_of_the_next_minor_epoch(void **state)
{
    struct script *s = *state;
    struct ask *put = script_put(s, "a", "one");
    unsigned producer = s->producer;

    script_report_as(s, AFF_EUNKNOWN, -1);
    expect_role(s, AFF_ROLE_SETTLING);
    expect_waiting(put);
    assert_int_equal(s->producer, producer + 1); /* the old one is given up first */
    assert_int_equal(script_last_sent(s)->entry.stamp.epoch, aff_epoch_of(1, 1));
    settled(s); /* the record landed below the claim */
    expect_committed(put, 1);
}

static void a_doubt_that_is_not_found_is_void_for_ever(void **state)
{
    struct script *s = *state;
    struct ask *put = script_put(s, "a", "one");

    script_report_as(s, AFF_EUNKNOWN, -1);
    script_drop(s);
    settled(s);
    expect_refused(put, AFF_EVOID);
    expect_stored(s, "a", NULL);
    assert_int_equal(aff_core_outcome(s->core, put->op.result.stamp), AFF_OUTCOME_NOT_APPLIED);
}

static void a_doubt_that_lands_after_all_is_void_and_repaired(void **state)
{
    struct script *s = *state;
    struct ask *put = script_put(s, "a", "one"), *next;
    struct script_sent late;

    script_report_as(s, AFF_EUNKNOWN, -1);
    late = s->sent[s->sent_count - 2];
    script_drop(s);
    settled(s);
    expect_refused(put, AFF_EVOID);

    script_foreign(s, AFF_KIND_DATA, late.entry.stamp, "a", "one"); /* there it is */
    next = script_put(s, "b", "two");
    script_ack(s);
    script_read(s);
    expect_committed(next, 3);
    script_ack(s);
    expect_stored(s, "a", NULL);
    script_expect_plain_equals(s);
}

static void of_several_doubts_each_gets_its_own_truth(void **state)
{
    struct script *s = *state;
    struct ask *a = script_put(s, "a", "1"), *b = script_put(s, "b", "2"), *c = script_put(s, "c", "3"), *queued;

    script_land(s);
    script_land(s);
    script_report_as(s, AFF_EUNKNOWN, -1);
    queued = script_put(s, "a", "4"); /* admitted while it settles */
    script_drop(s);
    settled(s);
    expect_committed(a, 1);
    expect_committed(b, 2);
    expect_refused(c, AFF_EVOID);
    expect_waiting(queued);
    script_ack(s);
    expect_committed(queued, 4);
}

static void a_report_without_an_offset_is_settled(void **state)
{
    struct script *s = *state;
    struct ask *put = script_put(s, "a", "one");

    script_land(s);
    script_report_as(s, 0, -1);
    settled(s);
    expect_committed(put, 1);
}

static void a_refused_record_is_answered_at_once_and_its_number_settled(void **state)
{
    struct script *s = *state;
    struct ask *refused = script_put(s, "a", "1"), *later = script_put(s, "b", "2"), *next;

    script_drop(s);
    script_report_as(s, AFF_EVOID, -1);
    expect_refused(refused, AFF_EVOID);
    expect_waiting(later);
    script_drop(s);
    settled(s);
    expect_refused(later, AFF_EVOID);
    next = script_put(s, "a", "3");
    script_ack(s);
    expect_committed(next, 2);
    assert_int_equal(aff_core_outcome(s->core, refused->op.result.stamp), AFF_OUTCOME_NOT_APPLIED);
}

static void a_settlement_that_fails_is_begun_again(void **state)
{
    struct script *s = *state;
    struct ask *put = script_put(s, "a", "one");

    script_report_as(s, AFF_EUNKNOWN, -1);
    script_land(s); /* the record, which nobody knows of yet */
    script_land(s); /* the claim; its report says nothing either */
    script_report_as(s, AFF_EUNKNOWN, -1);
    script_after(s, 1000);
    assert_int_equal(aff_epoch_minor(script_last_sent(s)->entry.stamp.epoch), 2);
    settled(s);
    expect_committed(put, 1);
}

static void reads_that_fail_while_it_settles_are_repeated(void **state)
{
    struct script *s = *state;
    struct ask *put = script_put(s, "a", "one");

    script_report_as(s, AFF_EUNKNOWN, -1);
    script_read_fails(s, AFF_EIO);
    script_land(s);
    script_ack(s);
    expect_role(s, AFF_ROLE_SETTLING);
    script_after(s, 1000);
    script_read(s);
    expect_role(s, AFF_ROLE_MASTER);
    expect_committed(put, 1);
}

static void a_newer_claim_found_while_it_settles_deposes_it(void **state)
{
    struct script *s = *state;
    struct ask *found = script_put(s, "a", "1"), *lost = script_put(s, "b", "2"), *queued = script_put(s, "a", "3");

    script_land(s);
    script_foreign_claim(s, script_stamp(2, 0, 7, 0), "identity-of-them");
    script_land(s);
    script_report_as(s, AFF_EUNKNOWN, -1);
    script_read(s);
    expect_role(s, AFF_ROLE_FOLLOWING);
    expect_committed(found, 1);
    expect_refused(lost, AFF_EVOID);
    expect_refused(queued, AFF_ENOMASTER);
    assert_true(aff_core_idle(s->core));
}

static void with_the_minor_epochs_used_up_it_steps_down_and_never_says_not_applied(void **state)
{
    struct script *s = *state; /* follows */
    struct ask *put;

    aff_core_lead(s->core);
    script_grant(s, 1);
    for (int i = 0; i < UINT16_MAX; i++) { /* the log refuses one claim after the other */
        script_drop(s);
        script_report_as(s, AFF_EVOID, -1);
        script_after(s, 1000);
    }
    assert_int_equal(aff_epoch_minor(script_last_sent(s)->entry.stamp.epoch), UINT16_MAX);
    script_ack(s);
    script_read(s);
    expect_role(s, AFF_ROLE_MASTER);
    put = script_put(s, "a", "one");
    script_report_as(s, AFF_EUNKNOWN, -1);
    expect_role(s, AFF_ROLE_FOLLOWING);
    assert_int_equal(s->deposed, 1);
    expect_answer(put, AFF_EUNKNOWN, AFF_OUTCOME_UNKNOWN);
    script_land(s); /* it was in the log all the time */
    script_lead(s);
    expect_stored(s, "a", "one");
    assert_int_equal(aff_core_outcome(s->core, put->op.result.stamp), AFF_OUTCOME_COMMITTED);
}

static void where_compaction_was_at_work_a_doubt_stays_unknown(void **state)
{
    struct script *s = *state;
    struct ask *put = script_put(s, "a", "one");

    script_report_as(s, AFF_EUNKNOWN, -1);
    script_land(s);
    script_foreign(s, AFF_KIND_FOREIGN, script_stamp(0, 0, 0, 0), "a", "void, but it hides ours");
    script_compact(s, 1); /* much later */
    settled(s);
    expect_answer(put, AFF_EUNKNOWN, AFF_OUTCOME_UNKNOWN);
    assert_int_equal(aff_core_outcome(s->core, put->op.result.stamp), AFF_OUTCOME_UNKNOWN);
}

static void failed_while_in_doubt_the_truth_is_known_to_the_next_one(void **state)
{
    struct script *s = *state;
    struct ask *in = script_put(s, "a", "1"), *out = script_put(s, "b", "2");
    struct aff_stamp never = script_stamp(1, 0, 101, 3), nobody = script_stamp(1, 0, 77, 3);

    script_land(s);
    script_drop(s);
    s->faults[STORE_GET] = AFF_EIO;
    script_put(s, "c", "3");
    expect_role(s, AFF_ROLE_FAILED);
    expect_answer(in, AFF_EUNKNOWN, AFF_OUTCOME_UNKNOWN);
    expect_answer(out, AFF_EUNKNOWN, AFF_OUTCOME_UNKNOWN);
    script_restart(s);
    script_lead(s);
    assert_int_equal(aff_core_outcome(s->core, in->op.result.stamp), AFF_OUTCOME_COMMITTED);
    assert_int_equal(aff_core_outcome(s->core, out->op.result.stamp), AFF_OUTCOME_NOT_APPLIED);
    assert_int_equal(aff_core_outcome(s->core, never), AFF_OUTCOME_NOT_APPLIED);
    assert_int_equal(aff_core_outcome(s->core, nobody), AFF_OUTCOME_NONE);
    assert_int_equal(aff_core_outcome(s->core, script_stamp(9, 0, 101, 1)), AFF_OUTCOME_UNKNOWN); /* not heard of yet */
}

static void under_way_an_outcome_is_unknown_and_never_was_is_none(void **state)
{
    struct script *s = *state;
    struct ask *put = script_put(s, "a", "1");

    assert_int_equal(aff_core_outcome(s->core, script_stamp(1, 0, 101, 1)), AFF_OUTCOME_UNKNOWN);
    assert_int_equal(aff_core_outcome(s->core, script_stamp(1, 0, 101, 2)), AFF_OUTCOME_NONE);
    script_ack(s);
    assert_int_equal(aff_core_outcome(s->core, put->op.result.stamp), AFF_OUTCOME_COMMITTED);
}

static void a_hole_is_remembered_over_a_restart(void **state)
{
    struct script *s = *state;

    script_resign(s);
    script_foreign(s, AFF_KIND_DATA, script_stamp(1, 0, 101, 1), "a", "1"); /* a late record of its own */
    script_foreign(s, AFF_KIND_DATA, script_stamp(1, 0, 101, 2), "a", "2");
    script_compact(s, 2);
    script_read(s);
    script_restart(s);
    script_foreign_claim(s, script_stamp(2, 0, 7, 0), NULL);
    script_read(s);
    assert_int_equal(aff_core_outcome(s->core, script_stamp(1, 0, 101, 1)), AFF_OUTCOME_COMMITTED);
    assert_int_equal(aff_core_outcome(s->core, script_stamp(1, 0, 101, 2)), AFF_OUTCOME_UNKNOWN);
}

static void behind_a_hole_the_end_of_a_mastership_is_not_exact_until_a_claim_tells_it(void **state)
{
    struct script *s = *state;
    struct aff_epoch_end known[] = { { aff_epoch_of(1, 0), 101, 2 } };
    struct aff_buf value;
    struct aff_record claim;
    char key[AFF_CONTROL_KEY_MAX];

    script_put(s, "a", "1");
    script_put(s, "a", "2");
    script_ack_all(s);
    script_compact(s, 2); /* what stood there is anybody's guess: number 2, here */
    script_restart(s);
    s->wipes = 0;
    aff_core_free(s->core);
    s->store.wipe(&s->store); /* a replica that begins from nothing */
    script_make(s);
    script_start(s);
    script_foreign_claim(s, script_stamp(2, 0, 7, 0), "identity-of-them");
    script_read(s);
    assert_int_equal(aff_core_outcome(s->core, script_stamp(1, 0, 101, 1)), AFF_OUTCOME_COMMITTED);
    assert_int_equal(aff_core_outcome(s->core, script_stamp(1, 0, 101, 2)), AFF_OUTCOME_UNKNOWN);

    aff_buf_init(&value); /* somebody read it before compaction did */
    assert_true(aff_claim_encode((const unsigned char *)"identity-of-them", known, 1, &value));
    aff_record_init(&claim);
    claim.kind = AFF_KIND_CLAIM;
    claim.stamp = script_stamp(3, 0, 8, 0);
    claim.key = aff_bytes_of(key, aff_claim_key(claim.stamp, key));
    claim.value = aff_buf_view(&value);
    script_foreign_record(s, &claim);
    aff_buf_fini(&value);
    script_read(s);
    assert_int_equal(aff_core_outcome(s->core, script_stamp(1, 0, 101, 2)), AFF_OUTCOME_COMMITTED);
    assert_int_equal(aff_core_outcome(s->core, script_stamp(1, 0, 101, 3)), AFF_OUTCOME_NOT_APPLIED);
}

int main(void)
{
#define FOLLOWING(test) cmocka_unit_test_setup_teardown(test, script_setup, script_teardown)
#define LEADING(test) cmocka_unit_test_setup_teardown(test, script_setup_leading, script_teardown)
    const struct CMUnitTest tests[] = {
        LEADING(an_unknown_outcome_is_settled_by_a_claim_of_the_next_minor_epoch),
        LEADING(a_doubt_that_is_not_found_is_void_for_ever),
        LEADING(a_doubt_that_lands_after_all_is_void_and_repaired),
        LEADING(of_several_doubts_each_gets_its_own_truth),
        LEADING(a_report_without_an_offset_is_settled),
        LEADING(a_refused_record_is_answered_at_once_and_its_number_settled),
        LEADING(a_settlement_that_fails_is_begun_again),
        LEADING(reads_that_fail_while_it_settles_are_repeated),
        LEADING(a_newer_claim_found_while_it_settles_deposes_it),
        FOLLOWING(with_the_minor_epochs_used_up_it_steps_down_and_never_says_not_applied),
        LEADING(where_compaction_was_at_work_a_doubt_stays_unknown),
        LEADING(failed_while_in_doubt_the_truth_is_known_to_the_next_one),
        LEADING(under_way_an_outcome_is_unknown_and_never_was_is_none),
        LEADING(a_hole_is_remembered_over_a_restart),
        LEADING(behind_a_hole_the_end_of_a_mastership_is_not_exact_until_a_claim_tells_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
