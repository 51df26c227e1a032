/*
 * core_command_test.c - commands and preconditions: commands that wait for a key run in order on the staged value and
 * leave as one record (I4). Every test begins with a core that leads epoch 1, without a lease; commands: "+x" appends
 * x, "=x" sets it, "del", "none", "no" refuses.
 */
#include "script_world.h"

static const struct aff_record *last_sent(struct script *s)
{
    aff_record_decode(&script_last_sent(s)->entry.view, &s->decoded);
    return &s->decoded;
}

/* All at once: they wait for the key together. */
static void together(struct script *s, struct ask **asks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        script_submit_quietly(s, asks[i]);
    script_pass(s);
}

static void commands_that_wait_together_leave_as_one_record(void **state)
{
    struct script *s = *state;
    struct ask *asks[] = { ask_command(s, "a", "+1"), ask_command(s, "a", "+2"), ask_command(s, "a", "+3") };

    together(s, asks, 3);
    assert_int_equal(script_handed_over(s), 1);
    assert_string_equal(asks[0]->seen, "-");
    assert_string_equal(asks[1]->seen, "1");
    assert_string_equal(asks[2]->seen, "12");
    script_ack(s);
    expect_stored(s, "a", "123");
    expect_answer(asks[0], 0, AFF_OUTCOME_COMMITTED);
    expect_answer(asks[1], 0, AFF_OUTCOME_COMMITTED);
    expect_committed(asks[2], 1);
    assert_false(asks[0]->op.result.versioned); /* only the last writer's value is there under that version */
    assert_false(asks[1]->op.result.versioned);
    assert_true(asks[0]->order < asks[1]->order && asks[1]->order < asks[2]->order);
    assert_string_equal(asks[1]->replied, "saw 1");
}

static void one_that_stands_alone_shares_its_record_with_none_before_or_behind_it(void **state)
{
    struct script *s = *state;
    struct ask *asks[] = { ask_command(s, "a", "+1"), ask_command(s, "a", "+2"), ask_command(s, "a", "+3") };

    asks[1]->op.alone = true;
    together(s, asks, 3);
    assert_string_equal(asks[0]->seen, "-");
    script_ack(s);
    assert_string_equal(asks[1]->seen, "1");
    assert_int_equal(script_handed_over(s), 1);
    script_ack(s);
    assert_string_equal(asks[2]->seen, "12");
    script_ack(s);
    expect_stored(s, "a", "123");
    for (int i = 0; i < 3; i++)
        expect_committed(asks[i], 1 + i); /* each has its version */
}

static void a_command_may_keep_the_expiry_that_it_found(void **state)
{
    struct script *s = *state;
    struct ask *put = ask_put(s, "a", "1"), *keeps = ask_command(s, "a", "+2"), *fresh = ask_command(s, "b", "=1"),
               *forgets = ask_command(s, "a", "+3");
    int64_t expires;

    put->op.ttl_ms = 60000;
    script_submit(s, put);
    expires = last_sent(s)->expires_ms;
    assert_true(expires != AFF_NO_TIME);
    script_ack(s);
    keeps->keeps_expiry = fresh->keeps_expiry = true;
    script_submit(s, keeps);
    assert_true(last_sent(s)->expires_ms == expires);
    script_ack(s);
    script_submit(s, fresh);
    assert_true(last_sent(s)->expires_ms == AFF_NO_TIME); /* there was none */
    script_ack(s);
    script_submit(s, forgets);
    assert_true(last_sent(s)->expires_ms == AFF_NO_TIME);
    script_ack(s);
}

static void a_record_carries_the_ids_of_all_that_wrote(void **state)
{
    struct script *s = *state;
    struct ask *asks[] = { ask_command(s, "a", "+1"), ask_command(s, "a", "no"), ask_command(s, "a", "+2") };
    const struct aff_record *rec;

    ask_id(asks[0], "first", "r1");
    ask_id(asks[1], "refused", "r2");
    ask_id(asks[2], "second", "r3");
    together(s, asks, 3);
    rec = last_sent(s);
    assert_int_equal(rec->idem_count, 2); /* only committed effects are remembered */
    assert_memory_equal(rec->idems[0].id.b, "first", 5);
    assert_false(rec->idems[0].versioned);
    assert_memory_equal(rec->idems[1].id.b, "second", 6);
    assert_true(rec->idems[1].versioned);
    script_ack(s);
}

static void a_refusal_on_the_staged_value_waits_for_that_record(void **state)
{
    struct script *s = *state;
    struct ask *asks[] = { ask_command(s, "a", "+1"), ask_command(s, "a", "no") };

    s->lease_until = INT64_MAX; /* no lease helps: what it refused on is not proven yet */
    together(s, asks, 2);
    expect_waiting(asks[1]);
    script_ack(s);
    expect_answer(asks[1], AFF_EREFUSED, AFF_OUTCOME_NONE);
    assert_string_equal(asks[1]->op.result.detail, "not with 1");
    assert_false(asks[1]->op.result.stamped); /* nothing was written for it */
    assert_false(asks[1]->op.result.versioned);
    expect_committed(asks[0], 1);
}

static void a_refusal_before_any_staged_value_does_not_wait_for_the_record(void **state)
{
    struct script *s = *state;
    struct ask *asks[] = { ask_command(s, "a", "no"), ask_command(s, "a", "+1") };

    s->lease_until = INT64_MAX;
    together(s, asks, 2);
    expect_answer(asks[0], AFF_EREFUSED, AFF_OUTCOME_NONE);
    expect_waiting(asks[1]);
    script_ack(s);
    expect_committed(asks[1], 1);
}

static void a_void_record_answers_all_that_rode_on_it_not_applied(void **state)
{
    struct script *s = *state;
    struct ask *asks[] = { ask_command(s, "a", "+1"), ask_command(s, "a", "no"), ask_command(s, "a", "+2") };

    together(s, asks, 3);
    script_foreign_claim(s, script_stamp(2, 0, 7, 0), NULL);
    script_ack(s);
    script_read(s);
    for (int i = 0; i < 3; i++)
        expect_refused(asks[i], AFF_EVOID);
}

static void a_conditional_command_is_not_merged(void **state)
{
    struct script *s = *state;
    struct ask *asks[] = { ask_command(s, "a", "+1"), ask_command(s, "a", "+2"), ask_command(s, "a", "+3") };

    ask_if_match(asks[1], 1); /* of the first one's version, which does not exist yet */
    together(s, asks, 3);
    script_ack(s);
    expect_committed(asks[0], 1);
    assert_int_equal(script_handed_over(s), 1);
    script_ack(s); /* but it may be the first of a record */
    expect_answer(asks[1], 0, AFF_OUTCOME_COMMITTED);
    expect_committed(asks[2], 2);
    expect_stored(s, "a", "123");
}

static void a_conditional_command_that_fails_lets_the_next_run(void **state)
{
    struct script *s = *state;
    struct ask *asks[] = { ask_command(s, "a", "+1"), ask_command(s, "a", "+2") };

    ask_if_match(asks[0], 77);
    s->lease_until = INT64_MAX;
    together(s, asks, 2);
    expect_answer(asks[0], AFF_EPRECONDITION, AFF_OUTCOME_NONE);
    assert_int_equal(asks[0]->runs, 0);
    script_ack(s);
    expect_committed(asks[1], 1);
}

static void plain_writes_are_never_merged(void **state)
{
    struct script *s = *state;
    struct ask *asks[] = { ask_command(s, "a", "+1"), ask_put(s, "a", "p"), ask_command(s, "a", "+2"),
                           ask_put(s, "a", "q") };

    together(s, asks, 4);
    for (int i = 0; i < 4; i++)
        script_ack(s);
    for (int i = 0; i < 4; i++)
        expect_committed(asks[i], i + 1);
    assert_string_equal(asks[2]->seen, "p");
    expect_stored(s, "a", "q");
}

static void a_record_carries_no_more_than_its_ids_allow(void **state)
{
    struct script *s = *state;
    struct ask *asks[AFF_RECORD_IDEMS_MAX + 3];

    for (size_t i = 0; i < AFF_RECORD_IDEMS_MAX + 3; i++)
        asks[i] = ask_command(s, "a", "=x");
    together(s, asks, AFF_RECORD_IDEMS_MAX + 3);
    script_ack(s);
    expect_committed(asks[AFF_RECORD_IDEMS_MAX - 1], 1);
    expect_waiting(asks[AFF_RECORD_IDEMS_MAX]);
    script_ack(s);
    expect_committed(asks[AFF_RECORD_IDEMS_MAX + 2], 2);
}

static int run_with_a_long_reply(struct aff_op *op, const struct aff_item *current, struct aff_staged *staged)
{
    static const char reply[10000];

    (void)current;
    op->result.reply = aff_bytes_of(reply, sizeof reply);
    *staged = (struct aff_staged){ .what = AFF_STAGE_PUT,
                                   .value = aff_str("v"),
                                   .content_type = aff_str("text/plain") };
    return 0;
}

static void a_record_carries_no_more_replies_than_fit(void **state)
{
    struct script *s = *state;
    struct ask *asks[10];

    for (int i = 0; i < 10; i++) {
        asks[i] = ask_command(s, "a", "");
        asks[i]->op.run = run_with_a_long_reply;
    }
    together(s, asks, 10);
    script_ack(s);
    expect_committed(asks[6], 1); /* 64 KiB, and the one that goes beyond */
    expect_waiting(asks[7]);
    script_ack(s);
    expect_committed(asks[9], 2);
}

static void staged_and_taken_back_a_key_that_was_not_there_leaves_a_tombstone(void **state)
{
    struct script *s = *state;
    struct ask *asks[] = { ask_command(s, "a", "=1"), ask_command(s, "a", "del"), ask_command(s, "a", "none") };

    together(s, asks, 3);
    assert_null(last_sent(s)->value.data);
    script_ack(s);
    expect_stored(s, "a", NULL);
    expect_committed(asks[1], 1);
    assert_string_equal(asks[2]->seen, "-");
    expect_answer(asks[2], 0, AFF_OUTCOME_NONE);
}

static void a_delete_of_nothing_by_a_command_writes_nothing(void **state)
{
    struct script *s = *state;
    struct ask *del = script_command(s, "a", "del");

    assert_int_equal(script_last_sent(s)->entry.kind, AFF_KIND_BARRIER);
    script_ack(s);
    expect_answer(del, 0, AFF_OUTCOME_NONE);
}

static void a_full_log_puts_merged_commands_back_in_order_and_they_run_again(void **state)
{
    struct script *s = *state;
    struct ask *asks[] = { ask_command(s, "a", "+1"), ask_command(s, "a", "no"), ask_command(s, "a", "+2"),
                           ask_put(s, "a", "p") };

    s->append_code = AFF_EAGAIN;
    together(s, asks, 4);
    expect_waiting(asks[1]);
    s->append_code = 0;
    script_after(s, 100);
    assert_int_equal(asks[0]->runs, 2);
    script_ack_all(s);
    expect_answer(asks[0], 0, AFF_OUTCOME_COMMITTED);
    expect_answer(asks[1], AFF_EREFUSED, AFF_OUTCOME_NONE);
    assert_string_equal(asks[1]->op.result.detail, "not with 1");
    expect_committed(asks[2], 1);
    assert_string_equal(asks[2]->seen, "1");
    expect_committed(asks[3], 2);
}

static void a_log_without_space_refuses_all_that_ride(void **state)
{
    struct script *s = *state;
    struct ask *asks[] = { ask_command(s, "a", "+1"), ask_command(s, "a", "+2") };

    s->append_code = AFF_ENOSPACE;
    together(s, asks, 2);
    expect_refused(asks[0], AFF_ENOSPACE);
    expect_refused(asks[1], AFF_ENOSPACE);
    expect_stored(s, "a", NULL);
}

static void preconditions_are_of_the_confirmed_version(void **state)
{
    struct script *s = *state;
    struct ask *first = ask_put(s, "a", "1"), *second = ask_put(s, "a", "2"), *third = ask_put(s, "a", "3"), *fourth;
    struct aff_etag other;

    first->op.conditions.none_match_any = true;
    script_submit(s, first);
    ask_if_match(second, 1);
    script_submit(s, second); /* waits for the first one's version */
    ask_if_match(third, 1);
    script_submit(s, third); /* and loses */
    script_ack(s);
    script_ack(s);
    script_ack(s);
    expect_committed(first, 1);
    expect_committed(second, 2);
    expect_answer(third, AFF_EPRECONDITION, AFF_OUTCOME_NONE);

    fourth = ask_put(s, "a", "4");
    fourth->op.conditions.none_match_any = true;
    script_submit(s, fourth);
    script_ack(s);
    expect_answer(fourth, AFF_EPRECONDITION, AFF_OUTCOME_NONE);

    fourth = ask_put(s, "a", "4");
    other = (struct aff_etag){ 0x12345678, s->opts.index, 2 }; /* of another log */
    fourth->op.conditions = (struct aff_conditions){ .has_match = true, .match = &other, .match_count = 1 };
    script_submit(s, fourth);
    script_ack(s);
    expect_answer(fourth, AFF_EPRECONDITION, AFF_OUTCOME_NONE);

    fourth = ask_put(s, "b", "4");
    fourth->op.conditions.match_any = true;
    script_submit(s, fourth);
    script_ack(s);
    expect_answer(fourth, AFF_EPRECONDITION, AFF_OUTCOME_NONE); /* no such key */
}

static void a_repair_does_not_change_what_a_precondition_sees(void **state)
{
    struct script *s = *state;
    struct ask *put;

    script_put(s, "a", "1");
    script_ack(s);
    script_foreign(s, AFF_KIND_DATA, script_stamp(0, 9, 7, 1), "a", "stale");
    script_put(s, "b", "x");
    script_ack(s);
    script_read(s);
    script_ack(s); /* repaired, at another offset */
    put = ask_put(s, "a", "2");
    ask_if_match(put, 1);
    script_submit(s, put);
    script_ack(s);
    assert_int_equal(put->op.result.code, 0);
}

int main(void)
{
#define LEADING(test) cmocka_unit_test_setup_teardown(test, script_setup_leading, script_teardown)
    const struct CMUnitTest tests[] = {
        LEADING(commands_that_wait_together_leave_as_one_record),
        LEADING(one_that_stands_alone_shares_its_record_with_none_before_or_behind_it),
        LEADING(a_command_may_keep_the_expiry_that_it_found),
        LEADING(a_record_carries_the_ids_of_all_that_wrote),
        LEADING(a_refusal_on_the_staged_value_waits_for_that_record),
        LEADING(a_refusal_before_any_staged_value_does_not_wait_for_the_record),
        LEADING(a_void_record_answers_all_that_rode_on_it_not_applied),
        LEADING(a_conditional_command_is_not_merged),
        LEADING(a_conditional_command_that_fails_lets_the_next_run),
        LEADING(plain_writes_are_never_merged),
        LEADING(a_record_carries_no_more_than_its_ids_allow),
        LEADING(a_record_carries_no_more_replies_than_fit),
        LEADING(staged_and_taken_back_a_key_that_was_not_there_leaves_a_tombstone),
        LEADING(a_delete_of_nothing_by_a_command_writes_nothing),
        LEADING(a_full_log_puts_merged_commands_back_in_order_and_they_run_again),
        LEADING(a_log_without_space_refuses_all_that_ride),
        LEADING(preconditions_are_of_the_confirmed_version),
        LEADING(a_repair_does_not_change_what_a_precondition_sees),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
