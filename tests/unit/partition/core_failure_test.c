/*
 * core_failure_test.c - a store that fails, and ends of every kind: nothing is ever silently behind its log, each
 * request gets one answer and one release (I10; the script counts them). Every test begins with a core that leads epoch
 * 1.
 */
#include "script_world.h"

/* Requests of every kind, in every state that there is. */
struct crowd {
    struct ask *in_flight, *merged, *left, *queued, *conditional, *reading, *refusal;
};

static struct crowd crowd(struct script *s)
{
    struct crowd c;

    s->append_code = AFF_EAGAIN;
    c.refusal = script_command(s, "e", "no"); /* computed, waits for a proof */
    s->append_code = 0;
    script_submit_quietly(s, c.in_flight = ask_command(s, "a", "=1"));
    c.merged = script_command(s, "a", "no"); /* rides on the first one's record */
    c.left = ask_put(s, "b", "2");
    ask_deadline(c.left, 100);
    script_submit(s, c.left);
    script_after(s, 200);
    c.queued = script_put(s, "a", "3");
    c.conditional = ask_put(s, "a", "4");
    ask_if_match(c.conditional, 77);
    ask_id(c.conditional, "id", "request");
    script_submit(s, c.conditional);
    c.reading = script_barrier(s);
    expect_answer(c.left, AFF_EUNKNOWN, AFF_OUTCOME_UNKNOWN);
    assert_int_equal(c.left->released, 0);
    return c;
}

static void all_are_answered(struct crowd c, int refused)
{
    expect_answer(c.in_flight, AFF_EUNKNOWN, AFF_OUTCOME_UNKNOWN);
    assert_int_equal(c.merged->op.result.outcome,
                     AFF_OUTCOME_NOT_APPLIED); /* it wrote nothing, whatever became of the record */
    expect_refused(c.queued, refused);
    expect_refused(c.conditional, refused);
    expect_refused(c.reading, refused);
    assert_int_equal(c.refusal->done, 1);
    assert_int_equal(c.left->released, 1);
}

/* ---- the store ---- */

static void a_store_that_cannot_be_read_fails_the_core_and_all_are_answered(void **state)
{
    struct script *s = *state;
    struct crowd c = crowd(s);
    struct ask *last;

    s->faults[STORE_GET] = AFF_EIO;
    last = script_put(s, "z", "x");
    expect_role(s, AFF_ROLE_FAILED);
    expect_refused(last, AFF_ENOMASTER);
    all_are_answered(c, AFF_ENOMASTER);
    assert_true(aff_core_idle(s->core));
    expect_refused(script_put(s, "y", "x"), AFF_ENOMASTER);
    expect_refused(script_barrier(s), AFF_ENOMASTER);
    assert_int_equal(aff_core_next_tick(s->core), INT64_MAX);
}

static void a_store_that_does_not_take_a_value_fails_the_core(void **state)
{
    struct script *s = *state;
    struct crowd c = crowd(s);

    s->faults[STORE_PUT] = AFF_ENOSPACE;
    script_ack(s);
    expect_role(s, AFF_ROLE_FAILED);
    all_are_answered(c, AFF_ENOMASTER);
}

static void a_store_that_does_not_commit_fails_the_core_and_what_was_not_answered_is_unknown(void **state)
{
    struct script *s = *state;
    struct crowd c = crowd(s);

    s->faults[STORE_COMMIT] = AFF_EIO;
    script_ack_all(s);
    expect_role(s, AFF_ROLE_FAILED);
    expect_answer(c.in_flight, AFF_EUNKNOWN, AFF_OUTCOME_UNKNOWN);
    assert_false(c.in_flight->op.result.versioned);
    assert_true(c.in_flight->op.result.stamped);                /* by which it can be asked for */
    expect_answer(c.queued, AFF_EUNKNOWN, AFF_OUTCOME_UNKNOWN); /* its turn had come in the same pass */
    expect_refused(c.conditional, AFF_ENOMASTER);
    script_restart(s);
    script_lead(s);
    expect_stored(s, "a", "3");
    assert_int_equal(aff_core_outcome(s->core, c.in_flight->op.result.stamp), AFF_OUTCOME_COMMITTED);
}

static void what_a_failing_store_took_of_a_record_is_not_kept(void **state)
{
    struct script *s = *state;
    struct ask *put = ask_put(s, "a", "one");

    ask_id(put, "id", "request");
    script_submit(s, put);
    s->faults[STORE_TABLE] = AFF_ENOSPACE; /* the value goes in, the id does not */
    script_ack(s);
    expect_role(s, AFF_ROLE_FAILED);
    expect_answer(put, AFF_EUNKNOWN, AFF_OUTCOME_UNKNOWN);
    expect_stored(s, "a", NULL);

    script_restart(s);
    script_lead(s);
    expect_stored(s, "a", "one");
    put = ask_put(s, "a", "one");
    ask_id(put, "id", "request");
    script_submit(s, put);
    expect_answer(put, 0, AFF_OUTCOME_COMMITTED);
    assert_true(put->op.result.replayed);
}

static void a_standby_whose_store_failed_reads_the_record_again_and_it_counts(void **state)
{
    struct script *s = *state;

    script_resign(s);
    script_foreign_claim(s, script_stamp(2, 0, 7, 0), "identity-of-them");
    script_read(s);
    script_foreign(s, AFF_KIND_DATA, script_stamp(2, 0, 7, 1), "a", "one");
    s->faults[STORE_PUT] = AFF_ENOSPACE;
    script_read(s);
    expect_role(s, AFF_ROLE_FAILED);
    script_restart(s);
    expect_stored(s, "a", "one");
    assert_false(script_is_dirty(s, aff_str("a")));
}

static void a_store_that_fails_under_a_repair_fails_the_core(void **state)
{
    struct script *s = *state;

    script_foreign(s, AFF_KIND_DATA, script_stamp(0, 9, 7, 1), "z", "stale");
    script_put(s, "a", "one");
    script_ack(s);
    s->faults[STORE_GET] = AFF_EIO;
    script_read(s);
    expect_role(s, AFF_ROLE_FAILED);
}

static void a_store_that_fails_does_not_withdraw_a_claim_that_counts(void **state)
{
    struct script *s = *state;

    script_restart(s);
    script_lead(s);                                            /* epoch 2 */
    script_foreign_claim(s, script_stamp(1, 0, 101, 0), NULL); /* a late copy of the claim before */
    script_put(s, "a", "one");
    script_ack(s);
    s->append_code = AFF_EAGAIN;
    script_read(s);
    s->append_code = 0;
    s->faults[STORE_TABLE] = AFF_EIO;
    script_after(s, 100); /* the repair asks whether that mastership counts */
    expect_role(s, AFF_ROLE_FAILED);
    assert_int_equal(script_handed_over(s), 0);
}

static void a_store_that_fails_under_a_lookup_of_an_id_fails_the_core_and_the_request_is_answered(void **state)
{
    struct script *s = *state;
    struct ask *put = ask_put(s, "a", "one");

    ask_id(put, "id", "request");
    s->faults[STORE_TABLE] = AFF_EIO;
    script_submit(s, put);
    expect_role(s, AFF_ROLE_FAILED);
    expect_refused(put, AFF_ENOMASTER);
}

static void a_store_that_fails_where_a_mastership_ends_fails_the_core(void **state)
{
    struct script *s = *state;
    struct ask *put = script_put(s, "a", "one");

    script_foreign_claim(s, script_stamp(2, 0, 7, 0), "identity-of-them");
    script_ack(s);
    s->faults[STORE_TABLE] = AFF_EIO;
    script_read(s);
    expect_role(s, AFF_ROLE_FAILED);
    expect_answer(put, AFF_EUNKNOWN, AFF_OUTCOME_UNKNOWN);
    script_restart(s);
    assert_int_equal(aff_core_outcome(s->core, put->op.result.stamp), AFF_OUTCOME_NOT_APPLIED);
}

static void with_a_store_that_fails_an_outcome_is_unknown(void **state)
{
    struct script *s = *state;

    s->faults[STORE_TABLE] = AFF_EIO;
    assert_int_equal(aff_core_outcome(s->core, script_stamp(0, 9, 7, 1)), AFF_OUTCOME_UNKNOWN);
    assert_int_equal(aff_core_outcome(s->core, script_stamp(0, 9, 7, 1)), AFF_OUTCOME_NONE);
}

static void a_store_that_fails_under_the_walk_of_expired_keys_fails_the_core(void **state)
{
    struct script *s = *state;

    s->faults[STORE_EXPIRED] = AFF_EIO;
    script_after(s, 1000);
    expect_role(s, AFF_ROLE_FAILED);
}

static void a_store_that_cannot_be_wiped_fails_the_core(void **state)
{
    struct script *s = *state;

    script_put(s, "a", "one");
    script_ack(s);
    script_compact(s, 0); /* the claim is gone: the store does not belong to this log any more */
    s->faults[STORE_WIPE] = AFF_EIO;
    aff_core_free(s->core);
    s->faults[STORE_WIPE] = AFF_EIO;
    script_make(s);
    script_start(s);
    expect_role(s, AFF_ROLE_FAILED);
    assert_int_equal(s->wipes, 0);
}

static void a_checkpoint_that_cannot_be_read_fails_the_core(void **state)
{
    struct script *s = *state;

    aff_core_free(s->core);
    s->faults[STORE_META] = AFF_EIO;
    script_make(s);
    script_start(s);
    expect_role(s, AFF_ROLE_FAILED);
}

static void a_replay_that_rests_on_what_was_not_committed_is_unknown_not_void(void **state)
{
    struct script *s = *state;
    struct ask *first = ask_put(s, "a", "one"), *again = ask_put(s, "a", "one");
    struct aff_delivery_report report = { .seq = 1, .offset = 1 };

    ask_deadline(first, 100);
    ask_id(first, "id", "request");
    ask_id(again, "id", "request");
    script_submit(s, first);
    script_after(s, 200);
    script_land(s);
    report.time_ms = s->entries[1].view.time_ms;
    aff_core_report(s->core, &report); /* applied, and the first is forgotten */
    script_submit_quietly(s, again);
    s->faults[STORE_COMMIT] = AFF_EIO;
    script_pass(s);
    expect_answer(again, AFF_EUNKNOWN, AFF_OUTCOME_UNKNOWN);
    assert_false(again->op.result.replayed || again->op.result.versioned);
}

static void damage_in_the_log_fails_the_core_with_the_place(void **state)
{
    struct script *s = *state;
    struct ask *put = script_put(s, "a", "one");

    script_foreign(s, AFF_KIND_DATA, script_stamp(0, 9, 7, 1), "z", "stale");
    script_ack(s);
    script_read_fails(s, AFF_ECORRUPT);
    expect_role(s, AFF_ROLE_FAILED);
    assert_non_null(strstr(s->standing.failure, "offset 1"));
    expect_answer(put, AFF_EUNKNOWN, AFF_OUTCOME_UNKNOWN);
}

/* ---- ends ---- */

static void freed_with_everything_pending_each_gets_its_answer(void **state)
{
    struct script *s = *state;
    struct crowd c = crowd(s);

    s->core = aff_core_free(s->core);
    all_are_answered(c, AFF_ECLOSED);
    script_make(s);
}

static void freed_while_it_settles_each_gets_its_answer(void **state)
{
    struct script *s = *state;
    struct crowd c = crowd(s);

    script_report_as(s, AFF_EUNKNOWN, -1);
    expect_role(s, AFF_ROLE_SETTLING);
    s->core = aff_core_free(s->core);
    all_are_answered(c, AFF_ECLOSED);
    script_make(s);
}

static void drained_it_takes_no_writes_and_finishes_what_waits(void **state)
{
    struct script *s = *state;
    struct ask *in_flight = script_put(s, "a", "1"), *queued = script_put(s, "a", "2"), *reading;

    aff_core_drain(s->core);
    expect_refused(script_put(s, "b", "x"), AFF_EDRAINING);
    reading = script_barrier(s);
    assert_false(aff_core_idle(s->core));
    script_ack_all(s);
    expect_committed(in_flight, 1);
    expect_answer(queued, 0, AFF_OUTCOME_COMMITTED);
    expect_answer(reading, 0, AFF_OUTCOME_NONE);
    assert_true(aff_core_idle(s->core));
}

static void resigned_with_everything_pending_each_gets_its_answer(void **state)
{
    struct script *s = *state;
    struct crowd c = crowd(s);

    script_resign(s);
    expect_refused(c.queued, AFF_ENOMASTER);
    script_ack_all(s);
    expect_committed(c.in_flight, 1);
    expect_answer(c.merged, AFF_EREFUSED, AFF_OUTCOME_NONE);
    expect_answer(c.reading, 0, AFF_OUTCOME_NONE);
    assert_int_equal(c.left->released, 1);
    expect_role(s, AFF_ROLE_FOLLOWING);
    assert_true(aff_core_idle(s->core));
}

static void too_old_a_state_found_while_it_claims_is_thrown_away_with_all_that_belongs_to_the_claim(void **state)
{
    struct script *s = *state;

    script_put(s, "a", "one");
    script_ack(s);
    script_after(s, 1); /* the whole cluster is down for eight days */
    aff_virtual_clock_sleep(&s->clock, 8 * 24 * 3600 * AFF_NS_PER_S);
    script_restart(s);
    aff_core_lead(s->core);
    script_pass(s);
    script_read(s);
    script_grant(s, 2);
    script_ack(s);
    script_read(s);
    assert_int_equal(s->wipes, 1); /* the claim told how late it is */
    script_resign(s);
    script_read(s);
    expect_role(s, AFF_ROLE_FOLLOWING);
    assert_true(aff_core_idle(s->core));
    expect_stored(s, "a", "one");
}

static void too_old_a_state_found_while_it_settles_leaves_nobody_waiting(void **state)
{
    struct script *s = *state;
    struct crowd c = crowd(s);

    script_report_as(s, AFF_EUNKNOWN, -1);
    aff_virtual_clock_sleep(&s->clock, 8 * 24 * 3600 * AFF_NS_PER_S);
    while (script_handed_over(s) > 1)
        script_drop(s);
    script_ack(s);
    script_read(s);
    assert_int_equal(s->wipes, 1);
    all_are_answered(c, AFF_ENOMASTER);
    script_read(s);
    script_lead(s);
    expect_stored(s, "a", NULL);
}

int main(void)
{
#define LEADING(test) cmocka_unit_test_setup_teardown(test, script_setup_leading, script_teardown)
    const struct CMUnitTest tests[] = {
        LEADING(a_store_that_cannot_be_read_fails_the_core_and_all_are_answered),
        LEADING(a_store_that_does_not_take_a_value_fails_the_core),
        LEADING(a_store_that_does_not_commit_fails_the_core_and_what_was_not_answered_is_unknown),
        LEADING(what_a_failing_store_took_of_a_record_is_not_kept),
        LEADING(a_standby_whose_store_failed_reads_the_record_again_and_it_counts),
        LEADING(a_store_that_fails_under_a_repair_fails_the_core),
        LEADING(a_store_that_fails_does_not_withdraw_a_claim_that_counts),
        LEADING(a_store_that_fails_under_a_lookup_of_an_id_fails_the_core_and_the_request_is_answered),
        LEADING(a_store_that_fails_where_a_mastership_ends_fails_the_core),
        LEADING(with_a_store_that_fails_an_outcome_is_unknown),
        LEADING(a_store_that_fails_under_the_walk_of_expired_keys_fails_the_core),
        LEADING(a_store_that_cannot_be_wiped_fails_the_core),
        LEADING(a_checkpoint_that_cannot_be_read_fails_the_core),
        LEADING(a_replay_that_rests_on_what_was_not_committed_is_unknown_not_void),
        LEADING(damage_in_the_log_fails_the_core_with_the_place),
        LEADING(freed_with_everything_pending_each_gets_its_answer),
        LEADING(freed_while_it_settles_each_gets_its_answer),
        LEADING(drained_it_takes_no_writes_and_finishes_what_waits),
        LEADING(resigned_with_everything_pending_each_gets_its_answer),
        LEADING(too_old_a_state_found_while_it_claims_is_thrown_away_with_all_that_belongs_to_the_claim),
        LEADING(too_old_a_state_found_while_it_settles_leaves_nobody_waiting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
