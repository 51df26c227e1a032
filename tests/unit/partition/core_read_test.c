/*
 * core_read_test.c - strict reads (I5): a lease, or a record that was handed over after the read came. Refusals are
 * reads too. Every test begins with a core that leads epoch 1, without a lease.
 */
#include "script_world.h"

static void a_read_waits_for_a_record_that_was_handed_over_after_it_came(void **state)
{
    struct script *s = *state;
    struct ask *put = script_put(s, "a", "one"), *read = script_barrier(s);

    assert_int_equal(script_handed_over(s), 2);
    assert_int_equal(script_last_sent(s)->entry.kind, AFF_KIND_BARRIER);
    script_ack(s);
    expect_committed(put, 1);
    expect_waiting(read); /* the write was on its way already: it proves nothing about later */
    script_ack(s);
    expect_answer(read, 0, AFF_OUTCOME_NONE);
    assert_false(read->op.result.stamped);
}

static void one_barrier_is_in_flight_and_those_who_come_meanwhile_share_the_next(void **state)
{
    struct script *s = *state;
    struct ask *first = script_barrier(s), *second = script_barrier(s), *third = script_barrier(s);

    assert_int_equal(script_handed_over(s), 1);
    script_ack(s);
    expect_answer(first, 0, AFF_OUTCOME_NONE);
    expect_waiting(second);
    assert_int_equal(script_handed_over(s), 1);
    script_ack(s);
    expect_answer(second, 0, AFF_OUTCOME_NONE);
    expect_answer(third, 0, AFF_OUTCOME_NONE);
    assert_int_equal(script_handed_over(s), 0);
}

static void a_read_joins_the_next_write(void **state)
{
    struct script *s = *state;
    struct ask *first = script_barrier(s), *second = script_barrier(s), *put = script_put(s, "a", "one");

    assert_int_equal(script_handed_over(s), 2);
    script_ack(s);
    expect_answer(first, 0, AFF_OUTCOME_NONE);
    assert_int_equal(script_handed_over(s), 1); /* no barrier for the second: the write was handed over after it came */
    script_ack(s);
    expect_committed(put, 2);
    expect_answer(second, 0, AFF_OUTCOME_NONE);
}

static void a_lease_answers_at_once(void **state)
{
    struct script *s = *state;

    s->lease_until = aff_boot_ns(&s->clock.clock) + 1;
    expect_answer(script_barrier(s), 0, AFF_OUTCOME_NONE);
    assert_int_equal(script_handed_over(s), 0);
    aff_virtual_clock_sleep(&s->clock, 1); /* a machine that sleeps loses it, though no time passed for it */
    expect_waiting(script_barrier(s));
    script_ack(s);
}

static void what_is_read_is_committed_before_the_answer(void **state)
{
    struct script *s = *state;
    struct ask *read;
    struct aff_delivery_report report = { .seq = 1 };

    s->lease_until = INT64_MAX;
    script_put(s, "a", "one");
    report.offset = script_land(s);
    report.time_ms = s->entries[report.offset].view.time_ms;
    aff_core_report(s->core, &report);
    script_submit_quietly(s, read = ask_barrier(s));
    expect_waiting(read);
    script_pass(s);
    expect_answer(read, 0, AFF_OUTCOME_NONE);
    expect_stored(s, "a", "one"); /* committed: the snapshot that is taken now shows it */
}

static void a_read_behind_a_gap_waits_until_it_is_read(void **state)
{
    struct script *s = *state;
    struct ask *read = script_barrier(s);

    script_foreign(s, AFF_KIND_DATA, script_stamp(0, 9, 7, 1), "z", "stale");
    script_ack(s);
    expect_waiting(read);
    script_read(s);
    expect_answer(read, 0, AFF_OUTCOME_NONE);
}

static void a_read_whose_barrier_is_void_is_refused(void **state)
{
    struct script *s = *state;
    struct ask *read = script_barrier(s), *later = script_barrier(s);

    script_foreign_claim(s, script_stamp(2, 0, 7, 0), NULL);
    script_ack(s);
    expect_waiting(read);
    script_read(s);
    expect_refused(read, AFF_ENOMASTER);
    expect_refused(later, AFF_ENOMASTER);
}

static void while_it_settles_reads_wait_and_are_proven_afterwards(void **state)
{
    struct script *s = *state;
    struct ask *before = script_barrier(s), *meanwhile;

    script_report_as(s, AFF_EUNKNOWN, -1);
    script_drop(s);
    meanwhile = script_barrier(s);
    script_ack(s);
    script_read(s);
    expect_role(s, AFF_ROLE_MASTER);
    expect_waiting(before); /* its barrier was void: it needs another proof */
    expect_waiting(meanwhile);
    assert_int_equal(script_handed_over(s), 1);
    script_ack(s);
    expect_answer(before, 0, AFF_OUTCOME_NONE);
    expect_answer(meanwhile, 0, AFF_OUTCOME_NONE);
}

static void a_barrier_that_is_found_below_the_new_claim_is_proof_enough(void **state)
{
    struct script *s = *state;
    struct ask *read = script_barrier(s);

    script_land(s);
    script_report_as(s, AFF_EUNKNOWN, -1);
    script_ack(s);
    script_read(s);
    expect_answer(read, 0, AFF_OUTCOME_NONE);
}

static void while_it_settles_a_lease_still_answers(void **state)
{
    struct script *s = *state;

    script_put(s, "a", "one");
    script_report_as(s, AFF_EUNKNOWN, -1);
    s->lease_until = INT64_MAX;
    expect_answer(script_barrier(s), 0, AFF_OUTCOME_NONE);
}

static void a_failed_precondition_needs_a_proof(void **state)
{
    struct script *s = *state;
    struct ask *put = ask_put(s, "a", "one");

    ask_if_match(put, 7);
    script_submit(s, put);
    expect_waiting(put);
    script_ack(s);
    expect_answer(put, AFF_EPRECONDITION, AFF_OUTCOME_NONE);
    assert_false(put->op.result.stamped);
}

static void no_such_key_needs_a_proof(void **state)
{
    struct script *s = *state;
    struct ask *del = script_delete(s, "a");

    expect_waiting(del);
    assert_int_equal(script_last_sent(s)->entry.kind, AFF_KIND_BARRIER);
    script_ack(s);
    expect_answer(del, AFF_ENOTFOUND, AFF_OUTCOME_NONE);
}

static void a_commands_refusal_and_its_plain_answer_need_a_proof(void **state)
{
    struct script *s = *state;
    struct ask *refused = ask_command(s, "a", "no"), *reads = ask_command(s, "b", "none");

    script_submit_quietly(s, refused);
    script_submit(s, reads);
    expect_waiting(refused);
    expect_waiting(reads);
    assert_int_equal(script_handed_over(s), 1);
    script_ack(s);
    expect_answer(refused, AFF_EREFUSED, AFF_OUTCOME_NONE);
    assert_string_equal(refused->op.result.detail, "not with -");
    expect_answer(reads, 0, AFF_OUTCOME_NONE);
    assert_string_equal(reads->replied, "saw -");
}

static void with_a_lease_refusals_leave_at_once(void **state)
{
    struct script *s = *state;

    s->lease_until = INT64_MAX;
    expect_answer(script_delete(s, "a"), AFF_ENOTFOUND, AFF_OUTCOME_NONE);
    assert_int_equal(script_handed_over(s), 0);
}

static void a_refusal_waits_for_the_write_before_it(void **state)
{
    struct script *s = *state;
    struct ask *put = script_put(s, "a", "one"), *del = script_delete(s, "a"), *again = script_delete(s, "a");

    s->lease_until = INT64_MAX;
    expect_waiting(del); /* what it is to be told depends on the write */
    script_ack(s);
    expect_committed(put, 1);
    script_ack(s);
    expect_committed(del, 2);
    expect_answer(again, AFF_ENOTFOUND, AFF_OUTCOME_NONE);
}

static void reads_the_log_does_not_take_a_barrier_for_are_tried_again(void **state)
{
    struct script *s = *state;
    struct ask *read;

    s->append_code = AFF_ENOSPACE;
    read = script_barrier(s); /* (a core that asks for another pass for ever fails the test) */
    s->append_code = 0;
    script_after(s, 100);
    script_ack(s);
    expect_answer(read, 0, AFF_OUTCOME_NONE);
}

static void who_does_not_lead_refuses_reads(void **state)
{
    struct script *s = *state;

    script_resign(s);
    s->lease_until = INT64_MAX;
    expect_refused(script_barrier(s), AFF_ENOMASTER);
}

int main(void)
{
#define LEADING(test) cmocka_unit_test_setup_teardown(test, script_setup_leading, script_teardown)
    const struct CMUnitTest tests[] = {
        LEADING(a_read_waits_for_a_record_that_was_handed_over_after_it_came),
        LEADING(one_barrier_is_in_flight_and_those_who_come_meanwhile_share_the_next),
        LEADING(a_read_joins_the_next_write),
        LEADING(a_lease_answers_at_once),
        LEADING(what_is_read_is_committed_before_the_answer),
        LEADING(a_read_behind_a_gap_waits_until_it_is_read),
        LEADING(a_read_whose_barrier_is_void_is_refused),
        LEADING(while_it_settles_reads_wait_and_are_proven_afterwards),
        LEADING(a_barrier_that_is_found_below_the_new_claim_is_proof_enough),
        LEADING(while_it_settles_a_lease_still_answers),
        LEADING(a_failed_precondition_needs_a_proof),
        LEADING(no_such_key_needs_a_proof),
        LEADING(a_commands_refusal_and_its_plain_answer_need_a_proof),
        LEADING(with_a_lease_refusals_leave_at_once),
        LEADING(a_refusal_waits_for_the_write_before_it),
        LEADING(reads_the_log_does_not_take_a_barrier_for_are_tried_again),
        LEADING(who_does_not_lead_refuses_reads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
