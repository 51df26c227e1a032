/*
 * core_trouble_test.c - a log that is not as it must be (I0), a log that confirms nothing, and a log that is shared: who waits is
 * told the truth in time, and it goes on when the log does. Most tests begin with a core that leads epoch 1, without a lease.
 */
#include "script_world.h"

enum { STALL_MS = 5000, HEARTBEAT_MS = 1000 };

/* ---- unsafe ---- */

static void on_an_unsafe_log_writes_and_barrier_reads_are_refused(void **state)
{
    struct script *s = *state;
    struct ask *queued, *reading, *command, *later;

    s->append_code = AFF_EUNSAFE;
    queued = script_put(s, "a", "1");
    expect_refused(queued, AFF_EUNSAFE);
    reading = script_barrier(s);
    expect_refused(reading, AFF_EUNSAFE);
    command = script_command(s, "b", "no"); /* its refusal needs a proof */
    expect_refused(command, AFF_EUNSAFE);
    script_after(s, 60 * 1000); /* it is tried again and again */
    later = script_put(s, "a", "2");
    expect_refused(later, AFF_EUNSAFE);
    assert_int_equal(script_handed_over(s), 0);
}

static void what_waits_when_the_log_becomes_unsafe_is_told(void **state)
{
    struct script *s = *state;
    struct ask *first = script_put(s, "a", "1"), *behind = script_put(s, "a", "2"), *rides = script_barrier(s), *waits;

    s->append_code = AFF_EUNSAFE;
    waits = script_barrier(s); /* a barrier is under way: it waits for the next */
    expect_waiting(waits);
    script_ack_all(s); /* what was handed over before counts */
    expect_committed(first, 1);
    expect_answer(rides, 0, AFF_OUTCOME_NONE);
    expect_refused(behind, AFF_EUNSAFE);
    expect_refused(waits, AFF_EUNSAFE);
}

static void it_goes_on_when_the_log_is_right_again(void **state)
{
    struct script *s = *state;
    struct ask *put;

    s->append_code = AFF_EUNSAFE;
    expect_refused(script_put(s, "a", "1"), AFF_EUNSAFE);
    s->append_code = 0;
    script_after(s, 500); /* nobody asks: a barrier does */
    assert_int_equal(script_last_sent(s)->entry.kind, AFF_KIND_BARRIER);
    script_ack(s);
    put = script_put(s, "a", "2");
    script_ack(s);
    expect_committed(put, s->end - 1);
}

static void with_a_lease_reads_go_on_over_an_unsafe_log(void **state)
{
    struct script *s = *state;

    s->append_code = AFF_EUNSAFE;
    expect_refused(script_put(s, "a", "1"), AFF_EUNSAFE);
    s->lease_until = INT64_MAX;
    expect_answer(script_barrier(s), 0, AFF_OUTCOME_NONE);
}

static void a_repeat_is_answered_whatever_the_log_is(void **state)
{
    struct script *s = *state;
    struct ask *first = ask_put(s, "a", "1"), *again = ask_put(s, "a", "1");

    ask_id(first, "id", "request");
    script_submit(s, first);
    script_ack(s);
    s->append_code = AFF_EUNSAFE;
    expect_refused(script_put(s, "b", "1"), AFF_EUNSAFE);
    ask_id(again, "id", "request");
    script_submit(s, again);
    expect_answer(again, 0, AFF_OUTCOME_COMMITTED);
    assert_true(again->op.result.replayed);
}

static void a_claim_waits_for_a_log_that_is_right(void **state)
{
    struct script *s = *state;

    aff_core_lead(s->core);
    script_pass(s);
    s->append_code = AFF_EUNSAFE;
    script_grant(s, 1);
    script_after(s, 5000);
    expect_role(s, AFF_ROLE_CLAIMING);
    s->append_code = 0;
    script_after(s, 1000);
    script_ack(s);
    script_read(s);
    expect_role(s, AFF_ROLE_MASTER);
    expect_waiting(script_put(s, "a", "1"));
    script_ack(s);
}

/* While it settles, too: the claim that would decide is not taken. */
static void who_settles_on_an_unsafe_log_refuses(void **state)
{
    struct script *s = *state;
    struct ask *doubt = script_put(s, "a", "1"), *queued = script_put(s, "a", "2");

    s->append_code = AFF_EUNSAFE;
    script_report_as(s, AFF_EUNKNOWN, -1);
    expect_role(s, AFF_ROLE_SETTLING);
    expect_waiting(doubt);
    expect_refused(queued, AFF_EUNSAFE);
    s->append_code = 0;
    script_drop(s);
    script_after(s, 1000);
    script_ack(s);
    script_read(s);
    expect_role(s, AFF_ROLE_MASTER);
    expect_refused(doubt, AFF_EVOID);
}

/* ---- stalled ---- */

static int setup_stalling(void **state)
{
    struct script *s = script_new();

    s->opts.stall_ms = STALL_MS;
    script_start(s);
    script_lead(s);
    *state = s;
    return 0;
}

static void behind_a_record_that_is_not_confirmed_new_writes_are_refused(void **state)
{
    struct script *s = *state;
    struct ask *stuck = script_put(s, "a", "1"), *queued, *put, *command, *reading;

    script_after(s, STALL_MS);
    queued = script_put(s, "a", "2"); /* not longer than allowed yet */
    expect_waiting(queued);
    script_after(s, 1);
    put = script_put(s, "b", "1");
    command = script_command(s, "c", "+x");
    expect_refused(put, AFF_ESTALLED);
    expect_refused(command, AFF_ESTALLED);
    reading = script_barrier(s); /* waits until its own deadline */
    expect_waiting(reading);
    script_ack_all(s);
    expect_answer(stuck, 0, AFF_OUTCOME_COMMITTED);
    expect_answer(queued, 0, AFF_OUTCOME_COMMITTED);
    expect_answer(reading, 0, AFF_OUTCOME_NONE);
    put = script_put(s, "b", "1");
    script_ack_all(s);
    expect_answer(put, 0, AFF_OUTCOME_COMMITTED);
}

static void a_log_that_answers_in_time_does_not_stall_for_many_writes(void **state)
{
    struct script *s = *state;

    for (int i = 0; i < 20; i++) {
        struct ask *put = script_put(s, "a", "1");

        script_after(s, STALL_MS - 1);
        script_ack_all(s);
        expect_answer(put, 0, AFF_OUTCOME_COMMITTED);
    }
}

static void while_it_settles_new_writes_are_refused_after_a_while(void **state)
{
    struct script *s = *state;
    struct ask *doubt = script_put(s, "a", "1"), *put;

    script_report_as(s, AFF_EUNKNOWN, -1);
    expect_role(s, AFF_ROLE_SETTLING);
    put = script_put(s, "b", "1");
    expect_waiting(put);
    script_after(s, STALL_MS + 1);
    expect_refused(script_put(s, "b", "2"), AFF_ESTALLED);
    script_drop(s);
    script_ack(s);
    script_read(s);
    expect_refused(doubt, AFF_EVOID);
    script_ack_all(s);
    expect_answer(put, 0, AFF_OUTCOME_COMMITTED);
}

/* ---- a shared log ---- */

static int setup_sharing(void **state)
{
    struct script *s = script_new();

    s->opts.heartbeat_ms = HEARTBEAT_MS;
    script_start(s);
    script_lead(s);
    *state = s;
    return 0;
}

static void be_deposed(struct script *s)
{
    script_foreign_claim(s, script_stamp(2, 0, 9, 0), NULL);
    script_after(s, HEARTBEAT_MS);
    script_ack(s); /* the heartbeat, behind the claim */
    script_read(s);
}

static void a_master_deposed_while_idle_learns_it_by_its_heartbeat(void **state)
{
    struct script *s = *state;

    be_deposed(s);
    expect_role(s, AFF_ROLE_FOLLOWING);
    assert_int_equal(s->deposed, 1);
    assert_int_equal(aff_epoch_major(s->deposed_by), 2);
    assert_true(s->read_open && s->read_wait); /* and tails from now on */
}

static void no_heartbeat_is_piled_up_on_one_under_way(void **state)
{
    struct script *s = *state;

    script_after(s, 10 * HEARTBEAT_MS);
    assert_int_equal(script_handed_over(s), 1);
    script_ack(s);
    script_after(s, HEARTBEAT_MS);
    assert_int_equal(script_handed_over(s), 1);
}

/* A stop waits for requests, not for a log that is away. */
static void a_heartbeat_under_way_keeps_nobody_waiting(void **state)
{
    struct script *s = *state;
    struct ask *reading, *put;

    script_after(s, HEARTBEAT_MS);
    assert_int_equal(script_handed_over(s), 1);
    assert_true(aff_core_idle(s->core));
    reading = script_barrier(s);
    assert_false(aff_core_idle(s->core));
    script_ack_all(s);
    expect_answer(reading, 0, AFF_OUTCOME_NONE);
    put = ask_put(s, "a", "1");
    ask_deadline(put, 100);
    script_submit(s, put);
    assert_false(aff_core_idle(s->core));
    script_after(s, 100);
    expect_answer(put, AFF_EUNKNOWN, AFF_OUTCOME_UNKNOWN);
    assert_true(aff_core_idle(s->core));
    script_ack_all(s);
}

static void a_standby_says_when_it_hears_another(void **state)
{
    struct script *s = *state;
    unsigned before;

    be_deposed(s);
    before = s->heard;
    script_foreign(s, AFF_KIND_BARRIER, script_stamp(2, 0, 9, 1), AFF_BARRIER_KEY, "");
    script_read(s);
    assert_int_equal(s->heard, before + 1);
    script_foreign(s, AFF_KIND_DATA, script_stamp(1, 0, 101, 50), "a", "void"); /* its own late record */
    script_read(s);
    script_foreign(s, AFF_KIND_DATA, script_stamp(1, 0, 7, 50), "a", "void"); /* a zombie's is no sign of life */
    script_read(s);
    assert_int_equal(s->heard, before + 1);
}

/* The silence may have been its own: the end is read first, and what is there heard before it asks for an epoch. */
static void a_standby_reads_the_end_once_more_before_it_takes_over(void **state)
{
    struct script *s = *state;
    unsigned before;

    be_deposed(s);
    s->asked_epoch = false;
    before = s->heard;
    script_foreign(s, AFF_KIND_BARRIER, script_stamp(2, 0, 9, 1), AFF_BARRIER_KEY, "");
    aff_core_lead(s->core);
    script_pass(s);
    assert_false(s->asked_epoch);
    assert_true(s->read_open && !s->read_wait);
    script_read(s);
    assert_true(s->asked_epoch);
    assert_int_equal(s->heard, before + 1);
}

/* It answered late, so it may have been away, and the other node's heartbeats with it. */
static void after_a_log_that_was_away_the_other_gets_time(void **state)
{
    struct script *s = *state;
    unsigned before;

    be_deposed(s);
    before = s->heard;
    aff_core_lead(s->core);
    script_pass(s);
    script_after(s, HEARTBEAT_MS + 1);
    script_read(s);
    assert_int_equal(s->heard, before + 1);
    aff_core_lead(s->core);
    script_pass(s);
    script_after(s, HEARTBEAT_MS);
    script_read(s);
    assert_int_equal(s->heard, before + 1);
}

int main(void)
{
#define LEADING(test) cmocka_unit_test_setup_teardown(test, script_setup_leading, script_teardown)
#define FOLLOWING(test) cmocka_unit_test_setup_teardown(test, script_setup, script_teardown)
#define STALLING(test) cmocka_unit_test_setup_teardown(test, setup_stalling, script_teardown)
#define SHARING(test) cmocka_unit_test_setup_teardown(test, setup_sharing, script_teardown)
    const struct CMUnitTest tests[] = {
        LEADING(on_an_unsafe_log_writes_and_barrier_reads_are_refused),
        LEADING(what_waits_when_the_log_becomes_unsafe_is_told),
        LEADING(it_goes_on_when_the_log_is_right_again),
        LEADING(with_a_lease_reads_go_on_over_an_unsafe_log),
        LEADING(a_repeat_is_answered_whatever_the_log_is),
        FOLLOWING(a_claim_waits_for_a_log_that_is_right),
        LEADING(who_settles_on_an_unsafe_log_refuses),
        STALLING(behind_a_record_that_is_not_confirmed_new_writes_are_refused),
        STALLING(a_log_that_answers_in_time_does_not_stall_for_many_writes),
        STALLING(while_it_settles_new_writes_are_refused_after_a_while),
        SHARING(a_master_deposed_while_idle_learns_it_by_its_heartbeat),
        SHARING(no_heartbeat_is_piled_up_on_one_under_way),
        SHARING(a_heartbeat_under_way_keeps_nobody_waiting),
        SHARING(a_standby_says_when_it_hears_another),
        SHARING(a_standby_reads_the_end_once_more_before_it_takes_over),
        SHARING(after_a_log_that_was_away_the_other_gets_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
