/*
 * core_deadline_test.c - deadlines: not applied while that is certain, unknown once the record was handed over, and the
 * truth later. Every test begins with a core that leads epoch 1, without a lease.
 */
#include "script_world.h"

static struct ask *within(struct ask *a, int64_t ms)
{
    ask_deadline(a, ms);
    script_submit(a->script, a);
    return a;
}

static void a_write_that_waits_for_its_key_is_not_applied(void **state)
{
    struct script *s = *state;
    struct ask *first = script_put(s, "a", "1"), *late = within(ask_put(s, "a", "2"), 100),
               *next = script_put(s, "a", "3");

    script_after(s, 99);
    expect_waiting(late);
    script_after(s, 1);
    expect_refused(late, AFF_ETIMEDOUT);
    script_ack_all(s);
    expect_committed(first, 1);
    expect_committed(next, 2);
}

static void the_last_that_waits_for_a_key_leaves_nothing_behind(void **state)
{
    struct script *s = *state;
    struct ask *late;

    s->append_code = AFF_EAGAIN;
    late = within(ask_put(s, "a", "1"), 100);
    script_after(s, 100);
    expect_refused(late, AFF_ETIMEDOUT);
    s->append_code = 0;
    script_after(s, 100);
    assert_int_equal(script_handed_over(s), 0);
    assert_true(aff_core_idle(s->core));
}

static void a_read_that_waits_for_its_proof_is_not_applied(void **state)
{
    struct script *s = *state;
    struct ask *read = within(ask_barrier(s), 100), *refusal = within(ask_delete(s, "none"), 100);

    script_after(s, 100);
    expect_refused(read, AFF_ETIMEDOUT);
    expect_refused(refusal, AFF_ETIMEDOUT);
    script_ack_all(s);
}

static void a_write_that_was_handed_over_is_unknown_and_its_memory_is_kept_until_it_is_settled(void **state)
{
    struct script *s = *state;
    struct ask *put = within(ask_put(s, "a", "one"), 100);

    script_after(s, 100);
    expect_answer(put, AFF_EUNKNOWN, AFF_OUTCOME_UNKNOWN);
    assert_true(put->op.result.stamped);
    assert_int_equal(put->released, 0); /* the value is its */
    assert_int_equal(aff_core_outcome(s->core, put->op.result.stamp), AFF_OUTCOME_UNKNOWN);
    script_ack(s);
    assert_int_equal(put->released, 1);
    expect_stored(s, "a", "one");
    assert_int_equal(aff_core_outcome(s->core, put->op.result.stamp), AFF_OUTCOME_COMMITTED);
}

static void an_outcome_is_told_when_reads_show_it(void **state)
{
    struct script *s = *state;
    struct ask *put = within(ask_put(s, "a", "one"), 100);

    script_after(s, 100);
    script_land(s);
    script_report_quietly(s);
    assert_int_equal(aff_core_outcome(s->core, put->op.result.stamp), AFF_OUTCOME_COMMITTED);
    expect_stored(s, "a", "one");
    script_pass(s);
}

static void an_unknown_write_that_turns_out_void_is_told_so_when_asked(void **state)
{
    struct script *s = *state;
    struct ask *put = within(ask_put(s, "a", "one"), 100);

    script_after(s, 100);
    script_report_as(s, AFF_EUNKNOWN, -1);
    script_drop(s);
    script_ack(s);
    script_read(s);
    assert_int_equal(put->released, 1);
    assert_int_equal(aff_core_outcome(s->core, put->op.result.stamp), AFF_OUTCOME_NOT_APPLIED);
}

static void an_unknown_write_is_asked_of_its_successor(void **state)
{
    struct script *s = *state;
    struct ask *in = within(ask_put(s, "a", "one"), 100), *out = within(ask_put(s, "b", "two"), 100);

    script_after(s, 100);
    script_land(s);
    script_drop(s);
    script_restart(s);
    script_lead(s);
    assert_int_equal(aff_core_outcome(s->core, in->op.result.stamp), AFF_OUTCOME_COMMITTED);
    assert_int_equal(aff_core_outcome(s->core, out->op.result.stamp), AFF_OUTCOME_NOT_APPLIED);
}

static void an_unknown_write_keeps_its_id_until_it_is_settled(void **state)
{
    struct script *s = *state;
    struct ask *put = ask_put(s, "a", "one"), *again;

    ask_id(put, "id", "request");
    within(put, 100);
    script_after(s, 100);
    again = ask_put(s, "a", "one");
    ask_id(again, "id", "request");
    script_submit(s, again);
    expect_refused(again, AFF_EIDRUNNING);
    script_ack(s);
    again = ask_put(s, "a", "one");
    ask_id(again, "id", "request");
    script_submit(s, again);
    expect_committed(again, 1);
    assert_true(again->op.result.replayed);
}

static void of_merged_commands_each_has_its_own_deadline(void **state)
{
    struct script *s = *state;
    struct ask *hurried = ask_command(s, "a", "+1"), *refused = ask_command(s, "a", "no"),
               *patient = ask_command(s, "a", "+2");

    ask_deadline(hurried, 100);
    ask_deadline(refused, 100);
    script_submit_quietly(s, hurried);
    script_submit_quietly(s, refused);
    script_submit(s, patient);
    script_after(s, 100);
    expect_answer(hurried, AFF_EUNKNOWN, AFF_OUTCOME_UNKNOWN);
    expect_refused(refused, AFF_ETIMEDOUT); /* it wrote nothing: that is certain */
    script_ack(s);
    expect_committed(patient, 1);
    expect_stored(s, "a", "12");
    assert_int_equal(hurried->released, 1);
}

static void while_it_settles_deadlines_hold(void **state)
{
    struct script *s = *state;
    struct ask *doubt = within(ask_put(s, "a", "1"), 100), *queued = within(ask_put(s, "a", "2"), 100);

    script_report_as(s, AFF_EUNKNOWN, -1);
    script_after(s, 100);
    expect_answer(doubt, AFF_EUNKNOWN, AFF_OUTCOME_UNKNOWN);
    expect_refused(queued, AFF_ETIMEDOUT);
    script_land(s);
    script_ack(s);
    script_read(s);
    assert_int_equal(aff_core_outcome(s->core, doubt->op.result.stamp), AFF_OUTCOME_COMMITTED);
    assert_int_equal(doubt->released, 1);
}

static void deadlines_are_what_the_core_asks_to_be_woken_for(void **state)
{
    struct script *s = *state;
    struct ask *a, *b;

    script_after(s, 0);
    a = within(ask_put(s, "a", "1"), 70);
    b = within(ask_put(s, "b", "2"), 30);
    assert_int_equal(aff_core_next_tick(s->core), b->op.deadline_ns);
    script_after(s, 30);
    assert_int_equal(aff_core_next_tick(s->core), a->op.deadline_ns);
    script_ack_all(s);
    expect_committed(a, 1);
    assert_true(aff_core_next_tick(s->core) > a->op.deadline_ns);
}

int main(void)
{
#define LEADING(test) cmocka_unit_test_setup_teardown(test, script_setup_leading, script_teardown)
    const struct CMUnitTest tests[] = {
        LEADING(a_write_that_waits_for_its_key_is_not_applied),
        LEADING(the_last_that_waits_for_a_key_leaves_nothing_behind),
        LEADING(a_read_that_waits_for_its_proof_is_not_applied),
        LEADING(a_write_that_was_handed_over_is_unknown_and_its_memory_is_kept_until_it_is_settled),
        LEADING(an_outcome_is_told_when_reads_show_it),
        LEADING(an_unknown_write_that_turns_out_void_is_told_so_when_asked),
        LEADING(an_unknown_write_is_asked_of_its_successor),
        LEADING(an_unknown_write_keeps_its_id_until_it_is_settled),
        LEADING(of_merged_commands_each_has_its_own_deadline),
        LEADING(while_it_settles_deadlines_hold),
        LEADING(deadlines_are_what_the_core_asks_to_be_woken_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
