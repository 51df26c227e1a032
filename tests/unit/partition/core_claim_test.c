/*
 * core_claim_test.c - to lead: grant, CLAIM, everything below it read (I2); being deposed, giving up.
 */
#include "script_world.h"

static const char other_log[] = "identity-of-them";

static void wants_to_lead(struct script *s)
{
    aff_core_lead(s->core);
    script_pass(s);
    script_read(s);
}

static void a_claim_on_an_empty_log_mints_the_identity(void **state)
{
    static const unsigned char none[AFF_IDENTITY_LEN];
    struct script *s = *state;
    struct aff_claim claim;

    wants_to_lead(s);
    assert_int_equal(s->epoch_above, 0);
    script_grant(s, 1);
    expect_role(s, AFF_ROLE_CLAIMING);
    assert_int_equal(script_handed_over(s), 1);
    assert_int_equal(script_last_sent(s)->entry.kind, AFF_KIND_CLAIM);
    assert_true(aff_claim_decode(script_last_sent(s)->entry.view.value, &claim));
    assert_memory_not_equal(claim.identity, none, sizeof none);

    script_ack(s);
    expect_role(s, AFF_ROLE_CLAIMING); /* reported is not enough */
    script_read(s);
    expect_role(s, AFF_ROLE_MASTER);
    assert_int_equal(s->standing.claim_offset, 0);
    assert_memory_equal(s->standing.identity, claim.identity, sizeof claim.identity);
}

static void nothing_is_admitted_before_the_claim_is_read(void **state)
{
    struct script *s = *state;
    struct ask *early, *in_time;

    wants_to_lead(s);
    script_grant(s, 1);
    script_ack(s);
    early = script_put(s, "a", "one");
    expect_refused(early, AFF_ENOMASTER);
    script_read(s);
    in_time = script_put(s, "a", "one");
    script_ack(s);
    expect_committed(in_time, 1);
}

static void it_leads_when_it_has_read_up_to_its_own_claim_and_not_before(void **state)
{
    struct script *s = *state;

    script_foreign_claim(s, script_stamp(1, 0, 7, 0), other_log);
    script_read(s);
    wants_to_lead(s);
    assert_int_equal(s->epoch_above, 1);
    script_grant(s, 2);
    script_foreign(s, AFF_KIND_DATA, script_stamp(1, 0, 7, 1), "a", "last word of the old one");
    script_ack(s);
    script_read_some(s, 1);
    expect_role(s, AFF_ROLE_CLAIMING);
    script_read(s);
    expect_role(s, AFF_ROLE_MASTER);
    expect_stored(s, "a", "last word of the old one");
    assert_memory_equal(s->standing.identity, other_log, AFF_IDENTITY_LEN);
}

static void a_claim_below_which_a_higher_one_stands_is_void(void **state)
{
    struct script *s = *state;

    wants_to_lead(s);
    script_grant(s, 1);
    script_foreign_claim(s, script_stamp(5, 0, 7, 0), other_log);
    script_ack(s);
    script_read(s);
    expect_role(s, AFF_ROLE_FOLLOWING);
    assert_int_equal(s->deposed, 1);
    assert_int_equal(aff_epoch_major(s->deposed_by), 5);

    wants_to_lead(s); /* and asks for a higher one */
    assert_int_equal(s->epoch_above, 5);
}

static void of_an_epoch_granted_twice_the_first_claim_counts(void **state)
{
    struct script *s = *state;

    wants_to_lead(s);
    script_grant(s, 1);
    script_foreign_claim(s, script_stamp(1, 0, 7, 0), other_log);
    script_ack(s);
    script_read(s);
    expect_role(s, AFF_ROLE_FOLLOWING);
    assert_int_equal(s->deposed, 1);
}

static void a_second_claim_of_its_epoch_is_void_and_withdrawn(void **state)
{
    struct script *s = *state; /* leads epoch 1 */
    struct aff_record claim;
    char key[AFF_CONTROL_KEY_MAX];
    aff_bytes name = aff_bytes_of(key, aff_claim_key(script_stamp(1, 0, 7, 0), key));
    struct ask *put;

    script_foreign_claim(s, script_stamp(1, 0, 7, 0), other_log);
    put = script_put(s, "a", "one");
    script_ack(s);
    expect_waiting(put);
    script_read(s);
    expect_committed(put, 2);
    assert_true(script_is_dirty(s, name));

    aff_record_decode(&script_last_sent(s)->entry.view, &claim);
    assert_int_equal(claim.kind, AFF_KIND_REPAIR);
    assert_true(aff_bytes_equal(claim.key, name));
    assert_null(claim.value.data); /* it never counted: a tombstone */
    script_ack(s);
    assert_false(script_is_dirty(s, name));
    assert_int_not_equal(memcmp(s->standing.identity, other_log, AFF_IDENTITY_LEN), 0);
}

static void a_second_copy_of_its_own_claim_is_told_again(void **state)
{
    struct script *s = *state; /* leads epoch 1 */
    struct aff_record claim;
    struct aff_claim value;
    char key[AFF_CONTROL_KEY_MAX];
    aff_bytes name = aff_bytes_of(key, aff_claim_key(s->standing.own, key));
    struct ask *put;

    script_land_again(s);
    put = script_put(s, "a", "one");
    script_ack(s);
    script_read(s);
    expect_committed(put, 2);
    assert_true(script_is_dirty(s, name));
    aff_record_decode(&script_last_sent(s)->entry.view, &claim);
    assert_true(aff_bytes_equal(claim.key, name));
    assert_true(aff_claim_decode(claim.value, &value)); /* never withdrawn while it counts */
    assert_memory_equal(value.identity, s->standing.identity, AFF_IDENTITY_LEN);
    script_ack(s);
    assert_false(script_is_dirty(s, name));
}

static void a_claim_that_minted_another_identity_is_repeated_with_the_right_one(void **state)
{
    struct script *s = *state;
    struct ask *put;

    wants_to_lead(s);
    script_grant(s, 2); /* it knows of no identity and mints one; meanwhile somebody led before it */
    script_foreign_claim(s, script_stamp(1, 0, 7, 0), other_log);
    script_ack(s);
    script_read(s);
    expect_role(s, AFF_ROLE_CLAIMING);
    script_after(s, 1000);
    assert_int_equal(script_handed_over(s), 1);
    assert_int_equal(script_last_sent(s)->entry.kind, AFF_KIND_CLAIM);
    assert_int_equal(aff_epoch_minor(script_last_sent(s)->entry.stamp.epoch), 1);
    script_ack(s);
    script_read(s);
    expect_role(s, AFF_ROLE_MASTER);
    assert_memory_equal(s->standing.identity, other_log, AFF_IDENTITY_LEN);
    put = script_put(s, "a", "one");
    script_ack(s);
    expect_committed(put, 3);
}

static void a_grant_that_is_not_above_the_log_is_asked_for_again(void **state)
{
    struct script *s = *state;

    script_foreign_claim(s, script_stamp(5, 0, 7, 0), other_log);
    wants_to_lead(s);
    script_grant(s, 5);
    expect_role(s, AFF_ROLE_FOLLOWING);
    assert_true(s->asked_epoch); /* the coordinator is raised, never the log */
    assert_int_equal(s->epoch_above, 5);
    script_grant(s, 6);
    expect_role(s, AFF_ROLE_CLAIMING);
}

static void a_grant_that_was_lost_is_asked_for_again_and_both_may_come(void **state)
{
    struct script *s = *state;

    wants_to_lead(s);
    s->asked_epoch = false;
    wants_to_lead(s);
    assert_true(s->asked_epoch);
    script_grant(s, 1);
    s->asked_epoch = true;
    script_grant(s, 2); /* the coordinator knows it by that one */
    assert_int_equal(script_handed_over(s), 2);
    assert_int_equal(aff_epoch_major(script_last_sent(s)->entry.stamp.epoch), 2);
    script_land(s);
    script_ack(s);
    script_read(s);
    expect_role(s, AFF_ROLE_MASTER);
    assert_int_equal(aff_epoch_major(s->standing.own.epoch), 2);
}

static void granted_a_higher_epoch_a_master_claims_anew(void **state)
{
    struct script *s = *state;
    struct ask *under_way, *waits;

    script_lead(s);
    under_way = script_put(s, "a", "1");
    s->asked_epoch = true; /* by another than this core */
    script_grant(s, 7);
    expect_role(s, AFF_ROLE_SETTLING);
    waits = script_put(s, "a", "2");
    expect_waiting(under_way);
    script_land(s); /* the write, then the claim */
    script_ack(s);
    script_read(s);
    expect_role(s, AFF_ROLE_MASTER);
    assert_int_equal(aff_epoch_major(s->standing.own.epoch), 7);
    expect_answer(under_way, 0, AFF_OUTCOME_COMMITTED);
    script_ack(s);
    expect_answer(waits, 0, AFF_OUTCOME_COMMITTED);
    expect_stored(s, "a", "2");
}

static void a_grant_after_it_resigned_is_not_used(void **state)
{
    struct script *s = *state;

    wants_to_lead(s);
    script_resign(s);
    script_grant(s, 1);
    expect_role(s, AFF_ROLE_FOLLOWING);
    assert_int_equal(script_handed_over(s), 0);
}

static void a_claim_that_the_log_does_not_take_is_tried_again(void **state)
{
    struct script *s = *state;

    wants_to_lead(s);
    s->append_code = AFF_EAGAIN;
    script_grant(s, 1);
    expect_role(s, AFF_ROLE_CLAIMING);
    s->append_code = 0;
    script_after(s, 1000);
    assert_int_equal(script_handed_over(s), 1);
    script_ack(s);
    script_read(s);
    expect_role(s, AFF_ROLE_MASTER);
}

static void resigned_with_its_claim_not_taken_it_never_claims(void **state)
{
    struct script *s = *state;

    wants_to_lead(s);
    s->append_code = AFF_EAGAIN;
    script_grant(s, 1);
    script_resign(s);
    expect_role(s, AFF_ROLE_FOLLOWING);
    s->append_code = 0;
    script_after(s, 1000);
    assert_int_equal(script_handed_over(s), 0);
}

static void resigned_with_its_claim_under_way_it_steps_down_when_that_is_settled(void **state)
{
    struct script *s = *state;

    wants_to_lead(s);
    script_grant(s, 1);
    script_resign(s);
    expect_role(s, AFF_ROLE_CLAIMING);
    script_ack(s);
    script_read(s);
    expect_role(s, AFF_ROLE_FOLLOWING);
    assert_int_equal(s->deposed, 1);
    assert_true(aff_core_idle(s->core));
}

static void a_claim_that_the_log_keeps_refusing_is_repeated_with_a_pause(void **state)
{
    struct script *s = *state;
    size_t claims;

    wants_to_lead(s);
    script_grant(s, 1);
    script_drop(s);
    script_report_as(s, AFF_EVOID, -1);
    assert_int_equal(script_handed_over(s), 0);
    claims = s->sent_count;
    for (int i = 0; i < 100; i++) {
        script_after(s, 10);
        if (script_handed_over(s) > 0) {
            script_drop(s);
            script_report_as(s, AFF_EVOID, -1);
        }
    }
    assert_in_range(s->sent_count - claims, 2, 10); /* in a second */
    script_after(s, 1000);
    script_ack(s);
    script_read(s);
    expect_role(s, AFF_ROLE_MASTER);
}

static void a_claim_of_unknown_outcome_is_followed_by_another(void **state)
{
    struct script *s = *state;

    wants_to_lead(s);
    script_grant(s, 1);
    script_land(s); /* it is there, but nobody says so */
    script_report_as(s, AFF_EUNKNOWN, -1);
    script_after(s, 1000);
    script_read(s);
    expect_role(s, AFF_ROLE_CLAIMING);
    script_ack(s);
    script_read(s);
    expect_role(s, AFF_ROLE_MASTER);
    assert_int_equal(aff_epoch_minor(s->standing.own.epoch), 1);
    assert_int_equal(s->standing.claim_offset, 1);
}

static void a_claim_tells_how_the_masterships_before_it_ended(void **state)
{
    struct script *s = *state;
    struct aff_claim claim;
    struct aff_epoch_end end;

    script_foreign_claim(s, script_stamp(1, 0, 7, 0), other_log);
    script_foreign(s, AFF_KIND_DATA, script_stamp(1, 0, 7, 1), "a", "1");
    script_foreign(s, AFF_KIND_DATA, script_stamp(1, 0, 7, 2), "a", "2");
    script_foreign_claim(s, script_stamp(2, 0, 8, 0), other_log);
    script_read(s);
    wants_to_lead(s);
    script_grant(s, 3);
    assert_true(aff_claim_decode(script_last_sent(s)->entry.view.value, &claim));
    assert_int_equal(claim.epoch_count, 1); /* the second ends with this very claim */
    end = aff_claim_epoch(&claim, 0);
    assert_int_equal(end.epoch, aff_epoch_of(1, 0));
    assert_int_equal(end.nonce, 7);
    assert_int_equal(end.last_seq, 2);
}

static void a_claim_tells_of_the_newest_when_there_were_too_many(void **state)
{
    struct script *s = *state;
    struct aff_claim claim;

    for (uint32_t major = 1; major <= AFF_CLAIM_EPOCHS_MAX + 3; major++)
        script_foreign_claim(s, script_stamp(major, 0, 7, 0), other_log);
    script_read(s);
    wants_to_lead(s);
    script_grant(s, AFF_CLAIM_EPOCHS_MAX + 4);
    assert_true(aff_claim_decode(script_last_sent(s)->entry.view.value, &claim));
    assert_int_equal(claim.epoch_count, AFF_CLAIM_EPOCHS_MAX);
    assert_int_equal(aff_epoch_major(aff_claim_epoch(&claim, 0).epoch), 3);
    assert_int_equal(aff_epoch_major(aff_claim_epoch(&claim, AFF_CLAIM_EPOCHS_MAX - 1).epoch),
                     AFF_CLAIM_EPOCHS_MAX + 2);
}

static void a_claim_whose_value_cannot_be_read_counts_all_the_same(void **state)
{
    struct script *s = *state; /* leads epoch 1 */
    struct aff_record rec;
    unsigned char identity[AFF_IDENTITY_LEN];

    memcpy(identity, s->standing.identity, sizeof identity);
    aff_record_init(&rec);
    rec.kind = AFF_KIND_CLAIM;
    rec.stamp = script_stamp(2, 0, 7, 0);
    rec.key = aff_str("x");
    rec.value = aff_str("of a release to come");
    script_foreign_record(s, &rec);
    script_put(s, "a", "one");
    script_ack(s);
    script_read(s);
    expect_role(s, AFF_ROLE_FOLLOWING);
    assert_memory_equal(s->standing.identity, identity, sizeof identity);
}

static void an_incarnation_without_a_nonce_draws_one(void **state)
{
    struct script *s;

    script_teardown(state);
    *state = s = script_new();
    s->opts.nonce = 0;
    s->drawn = 4710;
    script_start(s);
    script_lead(s);
    assert_int_equal(s->standing.own.nonce, 4711);
}

static void deposed_by_a_newer_claim_it_answers_all_and_follows(void **state)
{
    struct script *s = *state; /* leads epoch 1 */
    struct ask *in_flight = script_put(s, "a", "one"), *other = script_put(s, "b", "two"),
               *queued = script_put(s, "a", "three");
    struct ask *waiting = script_barrier(s);

    script_foreign_claim(s, script_stamp(2, 0, 7, 0), other_log);
    script_foreign(s, AFF_KIND_DATA, script_stamp(2, 0, 7, 1), "a", "theirs");
    script_land(s);
    script_land(s);
    script_report(s);
    expect_waiting(in_flight);
    script_read(s);
    expect_refused(in_flight, AFF_EVOID);
    expect_refused(other, AFF_EVOID);
    expect_refused(queued, AFF_ENOMASTER);
    expect_refused(waiting, AFF_ENOMASTER);
    expect_role(s, AFF_ROLE_FOLLOWING);
    assert_int_equal(s->deposed, 1);
    expect_stored(s, "a", "theirs"); /* ours landed above it, and is void */
    assert_true(script_is_dirty(s, aff_str("a")));
    expect_refused(script_put(s, "c", "x"), AFF_ENOMASTER);
}

static void what_stands_below_the_newer_claim_counts(void **state)
{
    struct script *s = *state; /* leads epoch 1 */
    struct ask *first = script_put(s, "a", "one"), *second = script_put(s, "b", "two");

    script_land(s);
    script_foreign_claim(s, script_stamp(2, 0, 7, 0), other_log);
    script_land(s);
    /* the report of the first is lost in the middle of the network: only that of the second shows the gap */
    script_report(s);
    expect_committed(first, 1);
    script_report(s);
    script_read(s);
    expect_refused(second, AFF_EVOID);
    expect_stored(s, "a", "one");
    expect_stored(s, "b", NULL);
}

static void resigned_it_finishes_what_is_under_way_and_takes_nothing_new(void **state)
{
    struct script *s = *state; /* leads epoch 1 */
    struct ask *in_flight = script_put(s, "a", "one"), *queued = script_put(s, "a", "two");

    script_resign(s);
    expect_refused(queued, AFF_ENOMASTER);
    expect_waiting(in_flight);
    expect_refused(script_put(s, "b", "x"), AFF_ENOMASTER);
    expect_role(s, AFF_ROLE_MASTER);
    script_ack(s);
    expect_committed(in_flight, 1);
    expect_role(s, AFF_ROLE_FOLLOWING);
    assert_int_equal(s->deposed, 1);
    assert_true(aff_core_idle(s->core));
}

static void resigned_it_starts_no_upkeep(void **state)
{
    struct script *s = *state; /* leads epoch 1 */
    struct ask *put = ask_put(s, "a", "short");

    put->op.ttl_ms = 100;
    script_submit(s, put);
    script_ack(s);
    script_put(s, "b", "keeps it busy");
    script_foreign(s, AFF_KIND_DATA, script_stamp(0, 1, 7, 1), "zombie", "x");
    script_land(s);
    script_resign(s);
    script_after(s, 120 * 1000);
    script_report(s);
    script_read(s); /* the gap made a key dirty; whoever leads next repairs it */
    expect_role(s, AFF_ROLE_FOLLOWING);
    assert_int_equal(script_handed_over(s), 0);
}

static void wanted_again_before_it_stepped_down_it_goes_on(void **state)
{
    struct script *s = *state; /* leads epoch 1 */
    struct ask *in_flight = script_put(s, "a", "one"), *after;

    script_resign(s);
    aff_core_lead(s->core);
    after = script_put(s, "b", "two");
    script_ack_all(s);
    expect_committed(in_flight, 1);
    expect_committed(after, 2);
    expect_role(s, AFF_ROLE_MASTER);
}

int main(void)
{
#define FOLLOWING(test) cmocka_unit_test_setup_teardown(test, script_setup, script_teardown)
#define LEADING(test) cmocka_unit_test_setup_teardown(test, script_setup_leading, script_teardown)
    const struct CMUnitTest tests[] = {
        FOLLOWING(a_claim_on_an_empty_log_mints_the_identity),
        FOLLOWING(nothing_is_admitted_before_the_claim_is_read),
        FOLLOWING(it_leads_when_it_has_read_up_to_its_own_claim_and_not_before),
        FOLLOWING(a_claim_below_which_a_higher_one_stands_is_void),
        FOLLOWING(of_an_epoch_granted_twice_the_first_claim_counts),
        LEADING(a_second_claim_of_its_epoch_is_void_and_withdrawn),
        LEADING(a_second_copy_of_its_own_claim_is_told_again),
        FOLLOWING(a_claim_that_minted_another_identity_is_repeated_with_the_right_one),
        FOLLOWING(a_grant_that_is_not_above_the_log_is_asked_for_again),
        FOLLOWING(a_grant_that_was_lost_is_asked_for_again_and_both_may_come),
        FOLLOWING(granted_a_higher_epoch_a_master_claims_anew),
        FOLLOWING(a_grant_after_it_resigned_is_not_used),
        FOLLOWING(a_claim_that_the_log_does_not_take_is_tried_again),
        FOLLOWING(resigned_with_its_claim_not_taken_it_never_claims),
        FOLLOWING(resigned_with_its_claim_under_way_it_steps_down_when_that_is_settled),
        FOLLOWING(a_claim_that_the_log_keeps_refusing_is_repeated_with_a_pause),
        FOLLOWING(a_claim_of_unknown_outcome_is_followed_by_another),
        FOLLOWING(a_claim_tells_how_the_masterships_before_it_ended),
        FOLLOWING(a_claim_tells_of_the_newest_when_there_were_too_many),
        LEADING(a_claim_whose_value_cannot_be_read_counts_all_the_same),
        FOLLOWING(an_incarnation_without_a_nonce_draws_one),
        LEADING(deposed_by_a_newer_claim_it_answers_all_and_follows),
        LEADING(what_stands_below_the_newer_claim_counts),
        LEADING(resigned_it_finishes_what_is_under_way_and_takes_nothing_new),
        LEADING(resigned_it_starts_no_upkeep),
        LEADING(wanted_again_before_it_stepped_down_it_goes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
