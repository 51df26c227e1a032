/*
 * core_checkpoint_test.c - whether a store may be resumed, and how old it may be (I8). Every test begins with a core
 * that led epoch 1 and wrote "one" to key a at offset 1.
 */
#include "script_world.h"

#define DAY_MS (24 * 3600 * INT64_C(1000))

static const char us[] = "identity-of-ours", other_log[] = "identity-of-them";

static int setup(void **state)
{
    struct script *s;

    script_setup_leading(state);
    s = *state;
    script_put(s, "a", "one");
    script_ack(s);
    expect_stored(s, "a", "one");
    return 0;
}

static void sleeps(struct script *s, int64_t ms)
{
    aff_virtual_clock_sleep(&s->clock, ms * AFF_NS_PER_MS);
}

/* Ends the present core without a word and makes the next one; it is not started yet. */
static void stop(struct script *s)
{
    script_resign(s);
    aff_core_free(s->core);
    s->core = NULL;
    s->producer++;
    s->read_open = false;
    s->opts.nonce++;
}

static void start(struct script *s)
{
    script_make(s);
    script_start(s);
}

/* ---- does the store belong to this log? ---- */

static void a_store_is_resumed_where_it_stopped(void **state)
{
    struct script *s = *state;

    stop(s);
    script_foreign_claim(s, script_stamp(2, 0, 7, 0), other_log);
    script_foreign(s, AFF_KIND_DATA, script_stamp(2, 0, 7, 1), "b", "two");
    start(s);
    assert_int_equal(s->wipes, 0);
    expect_stored(s, "a", "one");
    expect_stored(s, "b", "two");
    expect_role(s, AFF_ROLE_FOLLOWING);
    assert_int_equal(s->standing.cur.nonce, 101); /* as told when it began to follow */
}

static void a_store_of_another_partition_count_is_refused(void **state)
{
    struct script *s = *state;

    stop(s);
    s->opts.partitions = 5;
    start(s);
    expect_role(s, AFF_ROLE_FAILED);
    assert_non_null(strstr(s->standing.failure, "partition count"));
    assert_int_equal(s->wipes, 0);
    expect_stored(s, "a", "one"); /* nothing is thrown away: an operator decides */
}

static struct aff_key_route route_of(const char *text)
{
    struct aff_key_route route;

    assert_int_equal(aff_key_route_read(aff_str(text), &route, NULL), 0);
    return route;
}

static void a_store_of_another_route_is_refused(void **state)
{
    struct script *s = *state;
    struct aff_key_route route = route_of("up-to \"/\"");

    stop(s);
    s->opts.route = &route;
    start(s);
    expect_role(s, AFF_ROLE_FAILED);
    assert_non_null(strstr(s->standing.failure, "route"));
    assert_int_equal(s->wipes, 0);
    expect_stored(s, "a", "one");
}

/* The store is gone, the log is not: what its claims tell is asked for, too. */
static void a_log_of_another_route_is_refused(void **state)
{
    struct script *s = *state;
    struct aff_key_route route = route_of("up-to \"/\"");

    stop(s);
    s->store.wipe(&s->store);
    s->opts.route = &route;
    start(s);
    expect_role(s, AFF_ROLE_FAILED);
    assert_non_null(strstr(s->standing.failure, "route: whole-key and this node has route: up-to \"/\""));
}

static void a_claim_and_a_checkpoint_tell_the_route(void **state)
{
    struct script *s = *state;
    struct aff_key_route route = route_of("up-to \"/\""), other = route_of("up-to \"/\" 2");

    stop(s);
    s->store.wipe(&s->store);
    script_truncate(s, 0);
    s->opts.route = &route;
    start(s);
    script_lead(s);
    script_put(s, "a", "two");
    script_ack(s);
    expect_stored(s, "a", "two");
    stop(s);
    start(s);
    expect_role(s, AFF_ROLE_FOLLOWING);
    stop(s);
    s->opts.route = &other;
    start(s);
    expect_role(s, AFF_ROLE_FAILED);
    stop(s);
    s->opts.route = &route;
    start(s);
    expect_role(s, AFF_ROLE_FOLLOWING);
}

static uint32_t first_letter(aff_bytes routed, uint32_t partitions)
{
    return (uint32_t)(*(const char *)routed.data - 'a' + 2) % partitions; /* the test's own is number 2 */
}

/* Whatever wrote it: it is not served from where nobody looks for it. A delete there does no harm. */
static void a_value_that_is_not_in_its_place_stops_the_replica(void **state)
{
    struct script *s = *state;

    stop(s);
    s->opts.place = first_letter;
    script_foreign_claim(s, script_stamp(2, 0, 7, 0), NULL);
    script_foreign(s, AFF_KIND_DATA, script_stamp(2, 0, 7, 1), "b", NULL);
    script_foreign(s, AFF_KIND_DATA, script_stamp(2, 0, 7, 2), "a", "right");
    start(s);
    expect_role(s, AFF_ROLE_FOLLOWING);
    expect_stored(s, "a", "right");
    script_foreign(s, AFF_KIND_DATA, script_stamp(2, 0, 7, 3), "b", "wrong");
    stop(s);
    start(s);
    expect_role(s, AFF_ROLE_FAILED);
    assert_non_null(strstr(s->standing.failure, "partition 3"));
    expect_stored(s, "b", NULL);
}

static void a_store_of_another_partition_is_refused(void **state)
{
    struct script *s = *state;

    stop(s);
    s->opts.index = 3;
    start(s);
    expect_role(s, AFF_ROLE_FAILED);
    assert_int_equal(s->wipes, 0);
}

static void a_checkpoint_of_another_format_is_thrown_away_with_its_store(void **state)
{
    struct script *s = *state;

    stop(s);
    assert_int_equal(s->store.meta_put(&s->store, "checkpoint", aff_str("of a release to come")), 0);
    start(s);
    assert_int_equal(s->wipes, 1);
    expect_role(s, AFF_ROLE_FOLLOWING);
    expect_stored(s, "a", "one"); /* read from the log */
}

static void a_store_that_was_never_complete_is_begun_anew(void **state)
{
    struct script *s = *state;

    s->core = aff_core_free(s->core);
    s->store.wipe(&s->store);
    s->wipes = 0;
    for (int i = 0; i < 3; i++)
        script_foreign(s, AFF_KIND_FOREIGN, script_stamp(0, 0, 0, 0), "x", "y");
    script_make(s);
    aff_core_start(s->core);
    script_pass(s);
    script_read_some(s, 2); /* and the process ends in the middle */
    script_restart(s);
    assert_int_equal(s->wipes, 1);
    expect_stored(s, "a", "one");
}

static void without_the_claim_in_the_log_the_store_is_begun_anew(void **state)
{
    struct script *s = *state;

    stop(s);
    script_compact(s, 0);
    start(s);
    assert_int_equal(s->wipes, 1);
    expect_stored(s, "a", "one");
}

static void with_nothing_left_behind_the_claim_the_store_is_begun_anew(void **state)
{
    struct script *s = *state;

    script_truncate(s, 1);
    stop(s);
    script_compact(s, 0);
    s->end++; /* the log is as long as it was, but empty */
    s->entries[1] = (struct script_entry){ .gone = true };
    start(s);
    assert_int_equal(s->wipes, 1);
    expect_stored(s, "a", NULL);
}

static void a_long_reading_is_committed_in_pieces(void **state)
{
    struct script *s = *state;
    unsigned commits;
    char key[16];

    for (int i = 0; i < 25000; i++) {
        snprintf(key, sizeof key, "k%d", i % 10);
        script_foreign(s, AFF_KIND_DATA, script_stamp(1, 0, 101, (uint64_t)i + 2), key, "x");
    }
    stop(s);
    script_make(s);
    aff_core_start(s->core);
    script_read_some(s, 1);
    commits = s->commits;
    script_read_some(s, 25000);
    assert_int_equal(s->commits - commits, 3); /* 10,000 records at most each */
    assert_int_equal(script_version(s, "k9"), 2 + 24999);
}

static void an_answer_to_an_older_read_is_not_heard(void **state)
{
    struct script *s = *state;
    struct script_entry e;

    script_resign(s);
    script_foreign(s, AFF_KIND_DATA, script_stamp(2, 0, 7, 1), "b", "x");
    e = s->entries[s->end - 1];
    aff_record_decode(&e.view, &s->decoded);
    assert_false(aff_core_record(s->core, s->read_ticket - 1, &s->decoded));
    s->decoded.offset = 0;
    assert_true(aff_core_record(s->core, s->read_ticket, &s->decoded)); /* applied long ago: passed over */
    aff_core_read_done(s->core, s->read_ticket - 1, AFF_ECORRUPT, 0, 0, 0);
    script_pass(s);
    expect_stored(s, "b", NULL);
    expect_role(s, AFF_ROLE_FOLLOWING);
}

static void with_another_identity_in_the_log_the_store_is_begun_anew(void **state)
{
    struct script *s = *state;

    stop(s);
    script_truncate(s, 0); /* another log */
    script_foreign_claim(s, script_stamp(1, 0, 101, 0), us);
    script_foreign(s, AFF_KIND_DATA, script_stamp(1, 0, 101, 1), "b", "other data");
    start(s);
    assert_int_equal(s->wipes, 1);
    expect_stored(s, "a", NULL);
    expect_stored(s, "b", "other data");
}

static void with_another_claim_at_that_place_the_store_is_begun_anew(void **state)
{
    struct script *s = *state;

    stop(s);
    script_truncate(s, 0);
    script_foreign_claim(s, script_stamp(1, 0, 55, 0), NULL);
    script_foreign(s, AFF_KIND_DATA, script_stamp(1, 0, 55, 1), "b", "other data");
    start(s);
    assert_int_equal(s->wipes, 1);
    expect_stored(s, "b", "other data");
}

static void a_log_that_is_shorter_than_the_store_stops_it(void **state)
{
    struct script *s = *state;

    stop(s);
    script_truncate(s, 1); /* the claim is there, the write is not */
    start(s);
    expect_role(s, AFF_ROLE_FAILED);
    assert_non_null(strstr(s->standing.failure, "the log lost records"));
    assert_int_equal(s->wipes, 0);
}

static void an_empty_log_stops_it_too(void **state)
{
    struct script *s = *state;

    stop(s);
    script_truncate(s, 0);
    start(s);
    expect_role(s, AFF_ROLE_FAILED);
    assert_int_equal(s->wipes, 0);
}

/* The topic was deleted and made again, and somebody has begun to write: the store may be all that is left of what was. */
static void another_log_that_is_shorter_than_the_store_stops_it(void **state)
{
    struct script *s = *state;

    for (int barrier = 0; barrier < 2; barrier++) {
        stop(s);
        script_truncate(s, 0);
        if (barrier)
            script_foreign(s, AFF_KIND_BARRIER, script_stamp(1, 0, 55, 1), "\0aff/barrier", NULL);
        else
            script_foreign_claim(s, script_stamp(1, 0, 55, 0), other_log);
        start(s);
        expect_role(s, AFF_ROLE_FAILED);
        assert_non_null(strstr(s->standing.failure, "or is another one"));
        assert_int_equal(s->wipes, 0);
    }
}

static void a_log_whose_beginning_went_above_the_store_makes_it_begin_anew(void **state)
{
    struct script *s = *state;

    script_resign(s);
    script_foreign_claim(s, script_stamp(2, 0, 7, 0), other_log);
    script_read(s);
    script_foreign(s, AFF_KIND_DATA, script_stamp(2, 0, 7, 1), "b", "never seen");
    script_foreign(s, AFF_KIND_DATA, script_stamp(2, 0, 7, 2), "c", "three");
    s->start = 4; /* somebody deleted records */
    script_read(s);
    assert_int_equal(s->wipes, 1);
    expect_stored(s, "a", NULL);
    expect_stored(s, "c", "three");
}

static void a_read_that_fails_while_it_looks_for_the_claim_is_repeated(void **state)
{
    struct script *s = *state;

    stop(s);
    script_make(s);
    aff_core_start(s->core);
    script_pass(s);
    script_read_fails(s, AFF_EIO);
    expect_role(s, AFF_ROLE_OPENING);
    script_after(s, 1000);
    script_read(s);
    expect_role(s, AFF_ROLE_FOLLOWING);
    assert_int_equal(s->wipes, 0);
}

static void a_read_that_fails_before_the_end_was_reached_is_repeated_and_it_can_lead(void **state)
{
    struct script *s = *state;

    s->core = aff_core_free(s->core);
    s->store.wipe(&s->store);
    script_truncate(s, 0); /* a new log */
    script_make(s);
    aff_core_start(s->core);
    aff_core_lead(s->core);
    script_pass(s);
    script_read_fails(s, AFF_EIO);
    script_after(s, 1000);
    script_read(s);
    assert_true(s->asked_epoch);
}

static void dirty_keys_outlive_a_restart(void **state)
{
    struct script *s = *state;

    script_foreign(s, AFF_KIND_DATA, script_stamp(0, 9, 7, 1), "z", "stale");
    script_put(s, "a", "two");
    script_ack(s);
    script_read(s);
    assert_int_equal(script_handed_over(s), 1); /* the repair, which never lands */
    script_drop(s);
    script_restart(s);
    assert_true(script_is_dirty(s, aff_str("z")));
    assert_true(s->keep_from <= 2);
    script_lead(s);
    assert_int_equal(script_last_sent(s)->entry.kind, AFF_KIND_REPAIR);
    script_ack(s);
    script_expect_plain_equals(s);
    assert_int_equal(s->keep_from, s->end);
}

/* ---- age ---- */

static void a_state_that_is_younger_than_tombstones_live_is_resumed(void **state)
{
    struct script *s = *state;

    stop(s);
    sleeps(s, 6 * DAY_MS);
    start(s);
    script_lead(s);
    assert_int_equal(s->wipes, 0);
}

static void a_state_that_is_older_is_begun_anew_when_the_log_tells_so(void **state)
{
    struct script *s = *state;

    stop(s);
    script_foreign_claim(s, script_stamp(2, 0, 7, 0), other_log);
    script_foreign(s, AFF_KIND_DATA, script_stamp(2, 0, 7, 1), "a", NULL); /* the delete */
    sleeps(s, 8 * DAY_MS);
    script_foreign(s, AFF_KIND_DATA, script_stamp(2, 0, 7, 2), "b", "x");
    script_compact(s, 1);
    script_compact(s, 3);
    start(s);
    assert_int_equal(s->wipes, 1);
    expect_stored(s, "a", NULL); /* it does not come back */
    expect_stored(s, "b", "x");
}

static void reaching_the_end_of_a_silent_log_does_not_make_a_state_young(void **state)
{
    struct script *s = *state;

    stop(s);
    script_foreign_claim(s, script_stamp(2, 0, 7, 0), other_log);
    sleeps(s, 60 * 1000);
    script_foreign(s, AFF_KIND_DATA, script_stamp(2, 0, 7, 1), "a", NULL);
    sleeps(s, 6 * DAY_MS);
    script_foreign(s, AFF_KIND_DATA, script_stamp(2, 0, 7, 2), "b", "x");
    sleeps(s, DAY_MS + 2 * 3600 * 1000); /* everything is down, and compaction takes the delete */
    script_compact(s, 1);
    script_compact(s, 3);
    start(s);
    aff_core_lead(s->core);
    script_pass(s);
    script_read(s);
    script_grant(s, 3);
    script_ack(s);
    script_read(s);
    assert_int_equal(s->wipes, 1); /* its own claim is the first that tells how late it is */
    expect_stored(s, "a", NULL);
}

static void a_grant_that_comes_after_the_state_was_thrown_away_is_not_used(void **state)
{
    struct script *s = *state;

    stop(s);
    start(s);
    aff_core_lead(s->core);
    script_pass(s);
    sleeps(s, 8 * DAY_MS);
    script_foreign(s, AFF_KIND_FOREIGN, script_stamp(0, 0, 0, 0), "z", "y");
    script_read_some(s, 1);
    assert_int_equal(s->wipes, 1);
    script_grant(s, 2); /* it was asked for with another state */
    expect_role(s, AFF_ROLE_FOLLOWING);
    script_read(s); /* the end is reached, and it asks again */
    script_grant(s, 2);
    expect_role(s, AFF_ROLE_CLAIMING);
}

static void a_standby_that_keeps_up_does_not_age(void **state)
{
    struct script *s = *state;

    script_resign(s);
    script_foreign_claim(s, script_stamp(2, 0, 7, 0), other_log);
    script_read(s);
    for (uint64_t day = 1; day < 30; day++) {
        sleeps(s, 2 * DAY_MS);
        script_foreign(s, AFF_KIND_BARRIER, script_stamp(2, 0, 7, day), "x", "");
        script_read(s);
    }
    assert_int_equal(s->wipes, 0);
}

static void a_standby_that_stood_still_for_too_long_begins_anew(void **state)
{
    struct script *s = *state;

    script_resign(s);
    script_foreign_claim(s, script_stamp(2, 0, 7, 0), other_log);
    script_read(s);
    script_foreign(s, AFF_KIND_DATA, script_stamp(2, 0, 7, 1), "a", NULL);
    sleeps(s, 8 * DAY_MS); /* it did not read that; by now it is compacted away */
    script_compact(s, 1);
    script_compact(s, 3);
    script_foreign(s, AFF_KIND_DATA, script_stamp(2, 0, 7, 2), "b", "x");
    script_read(s);
    assert_int_equal(s->wipes, 1);
    expect_stored(s, "a", NULL);
}

static void a_master_that_stood_still_goes_on_since_nothing_of_others_counts_while_it_leads(void **state)
{
    struct script *s = *state;
    struct ask *put;

    sleeps(s, 8 * DAY_MS); /* a laptop with its lid closed */
    put = script_put(s, "a", "two");
    script_ack(s);
    expect_committed(put, 2);
    expect_role(s, AFF_ROLE_MASTER);

    script_foreign(s, AFF_KIND_DATA, script_stamp(0, 9, 7, 1), "z", "stale");
    sleeps(s, 8 * DAY_MS);
    put = script_put(s, "a", "three");
    script_ack(s);
    script_read(s);
    expect_committed(put, 4);
    expect_role(s, AFF_ROLE_MASTER);
    script_ack_all(s);
    script_expect_plain_equals(s);
}

/*
 * Somebody else deletes a key; hours later our claim lands. We stand still until the delete is compacted away, and read
 * on. Since the claim less time has passed than tombstones live.
 */
static void stands_still_between_claim_and_reading(struct script *s)
{
    stop(s);
    start(s);
    aff_core_lead(s->core);
    script_pass(s);
    script_grant(s, 2);
    script_foreign_claim(s, script_stamp(1, 1, 7, 0), NULL);
    script_foreign(s, AFF_KIND_DATA, script_stamp(1, 1, 7, 1), "a", NULL);
    sleeps(s, 3 * 3600 * 1000);
    script_land(s);
    script_foreign(s, AFF_KIND_DATA, script_stamp(1, 1, 7, 2), "z", "stale"); /* just behind it */
    s->log_time_ms = s->entries[s->end - 1].view.time_ms;
    sleeps(s, 7 * DAY_MS - 2 * 3600 * 1000);
    script_compact(s, 1);
    script_compact(s, 3);
    script_report(s);
    while (s->standing.role != AFF_ROLE_MASTER)
        script_read_some(s, 1);
}

static void a_master_that_stood_still_before_it_read_its_claim_is_too_old(void **state)
{
    struct script *s = *state;

    stands_still_between_claim_and_reading(s);
    expect_stored(s, "a", "one"); /* it cannot know yet; without a lease it answers nothing */
    s->log_time_ms = INT64_MIN;
    script_put(s, "b", "x");
    script_ack(s);
    script_read(s);
    assert_int_equal(s->wipes, 1); /* the zombie's record in the gap was old, but the own one tells */
    expect_stored(s, "a", NULL);
}

static void settling_before_its_first_record_it_is_not_taken_for_young(void **state)
{
    struct script *s = *state;

    stands_still_between_claim_and_reading(s);
    s->log_time_ms = INT64_MIN;
    script_put(s, "b", "x");
    script_report_as(s, AFF_EUNKNOWN, -1);
    script_drop(s);
    script_ack(s);
    script_read(s);
    assert_int_equal(s->wipes, 1);
    expect_stored(s, "a", NULL);
}

/* ---- a first reading ---- */

/* A new replica of the log as it stands; it has begun to read. */
static void begins_from_nothing(struct script *s)
{
    stop(s);
    s->store.wipe(&s->store);
    s->wipes = 0;
    script_make(s);
    aff_core_start(s->core);
    script_pass(s);
}

static void a_first_reading_that_took_longer_than_tombstones_live_is_begun_anew(void **state)
{
    struct script *s = *state;

    script_delete(s, "a");
    begins_from_nothing(s);
    script_land(s);
    script_read_some(s, 2); /* the claim, and the value of a */
    sleeps(s, 8 * DAY_MS);
    script_compact(s, 1);
    script_compact(s, 2);
    script_foreign_claim(s, script_stamp(3, 0, 7, 0), NULL);
    script_read(s);
    assert_int_equal(s->wipes, 1);
    expect_stored(s, "a", NULL);
    expect_role(s, AFF_ROLE_FOLLOWING);
}

static void a_first_reading_that_was_complete_may_wait_for_as_long_as_the_log_is_silent(void **state)
{
    struct script *s = *state;

    begins_from_nothing(s);
    script_read(s);
    sleeps(s, 8 * DAY_MS);
    script_read_some(s, 0); /* an answer with nothing */
    assert_int_equal(s->wipes, 0);
    script_lead(s); /* nothing stands between the end and its claim */
    assert_int_equal(s->wipes, 0);
    expect_stored(s, "a", "one");
}

static void what_it_missed_after_its_first_reading_is_noticed_at_its_claim(void **state)
{
    struct script *s = *state;

    begins_from_nothing(s);
    script_read(s);
    script_foreign_claim(s, script_stamp(2, 0, 7, 0), NULL);
    script_foreign(s, AFF_KIND_DATA, script_stamp(2, 0, 7, 1), "a", NULL);
    s->lease_until = INT64_MAX;
    sleeps(s, 8 * DAY_MS);
    script_compact(s, 1);
    script_compact(s, 2); /* (whoever withdrew that claim) */
    script_compact(s, 3);
    aff_core_lead(s->core);
    script_pass(s);
    script_grant(s, 3);
    script_ack(s);
    script_read(s);
    assert_int_equal(s->wipes, 1);
    expect_stored(s, "a", NULL);
}

static void reads_that_were_proven_do_not_go_to_a_store_that_was_wiped(void **state)
{
    struct script *s = *state;
    struct ask *put, *reading;
    struct aff_delivery_report report = { .seq = 1 };

    stands_still_between_claim_and_reading(s);
    s->log_time_ms = INT64_MIN;
    s->lease_until = INT64_MAX;
    put = script_put(s, "b", "x");
    report.offset = script_land(s);
    report.time_ms = s->entries[report.offset].view.time_ms;
    script_compact(s, report.offset - 1); /* contiguous */
    aff_core_report(s->core, &report);
    reading = ask_barrier(s);
    script_submit_quietly(s, reading);
    script_read(s);
    assert_int_equal(s->wipes, 1);
    expect_answer(put, AFF_EUNKNOWN, AFF_OUTCOME_UNKNOWN);
    expect_refused(reading, AFF_ENOMASTER);
}

static void deposed_before_its_first_record_it_is_not_taken_for_young(void **state)
{
    struct script *s = *state;

    stands_still_between_claim_and_reading(s);
    script_foreign_claim(s, script_stamp(3, 0, 8, 0), NULL); /* old too */
    script_foreign(s, AFF_KIND_DATA, script_stamp(3, 0, 8, 1), "c", "x");
    s->log_time_ms = INT64_MIN;
    script_put(s, "b", "x");
    script_ack(s);
    script_read(s);
    expect_role(s, AFF_ROLE_FOLLOWING);
    script_foreign(s, AFF_KIND_DATA, script_stamp(3, 0, 8, 2), "d", "x");
    script_read(s);
    assert_int_equal(s->wipes, 1);
    expect_stored(s, "a", NULL);
}

static void deposed_after_it_stood_still_it_is_as_old_as_its_last_own_record(void **state)
{
    struct script *s = *state;

    script_foreign_claim(s, script_stamp(2, 0, 7, 0), other_log);
    script_foreign(s, AFF_KIND_DATA, script_stamp(2, 0, 7, 1), "a", NULL);
    sleeps(s, 8 * DAY_MS);
    script_compact(s, 1);
    script_compact(s, 3);
    script_put(s, "b", "x");
    script_ack(s);
    script_read(s);
    expect_role(s, AFF_ROLE_FOLLOWING);
    assert_int_equal(s->wipes, 1);
    expect_stored(s, "a", NULL);
}

static void tombstones_that_live_for_a_moment_only_do_not_keep_it_from_leading(void **state)
{
    struct script *s;

    script_teardown(state);
    *state = s = script_new();
    s->opts.tombstone_retention_ms = 100; /* the least that may be configured */
    script_start(s);
    script_lead(s);
    for (int i = 0; i < 200; i++) {
        script_after(s, 10);
        script_ack_all(s);
    }
    expect_role(s, AFF_ROLE_MASTER);
    assert_int_equal(s->wipes, 0);
}

int main(void)
{
#define LED(test) cmocka_unit_test_setup_teardown(test, setup, script_teardown)
    const struct CMUnitTest tests[] = {
        LED(a_store_is_resumed_where_it_stopped),
        LED(a_store_of_another_partition_count_is_refused),
        LED(a_store_of_another_partition_is_refused),
        LED(a_store_of_another_route_is_refused),
        LED(a_log_of_another_route_is_refused),
        LED(a_claim_and_a_checkpoint_tell_the_route),
        LED(a_value_that_is_not_in_its_place_stops_the_replica),
        LED(a_checkpoint_of_another_format_is_thrown_away_with_its_store),
        LED(a_store_that_was_never_complete_is_begun_anew),
        LED(without_the_claim_in_the_log_the_store_is_begun_anew),
        LED(with_nothing_left_behind_the_claim_the_store_is_begun_anew),
        LED(a_long_reading_is_committed_in_pieces),
        LED(an_answer_to_an_older_read_is_not_heard),
        LED(with_another_identity_in_the_log_the_store_is_begun_anew),
        LED(with_another_claim_at_that_place_the_store_is_begun_anew),
        LED(a_log_that_is_shorter_than_the_store_stops_it),
        LED(an_empty_log_stops_it_too),
        LED(another_log_that_is_shorter_than_the_store_stops_it),
        LED(a_log_whose_beginning_went_above_the_store_makes_it_begin_anew),
        LED(a_read_that_fails_while_it_looks_for_the_claim_is_repeated),
        LED(a_read_that_fails_before_the_end_was_reached_is_repeated_and_it_can_lead),
        LED(dirty_keys_outlive_a_restart),
        LED(a_state_that_is_younger_than_tombstones_live_is_resumed),
        LED(a_state_that_is_older_is_begun_anew_when_the_log_tells_so),
        LED(reaching_the_end_of_a_silent_log_does_not_make_a_state_young),
        LED(a_grant_that_comes_after_the_state_was_thrown_away_is_not_used),
        LED(a_standby_that_keeps_up_does_not_age),
        LED(a_standby_that_stood_still_for_too_long_begins_anew),
        LED(a_master_that_stood_still_goes_on_since_nothing_of_others_counts_while_it_leads),
        LED(a_master_that_stood_still_before_it_read_its_claim_is_too_old),
        LED(settling_before_its_first_record_it_is_not_taken_for_young),
        LED(a_first_reading_that_took_longer_than_tombstones_live_is_begun_anew),
        LED(a_first_reading_that_was_complete_may_wait_for_as_long_as_the_log_is_silent),
        LED(what_it_missed_after_its_first_reading_is_noticed_at_its_claim),
        LED(reads_that_were_proven_do_not_go_to_a_store_that_was_wiped),
        LED(deposed_before_its_first_record_it_is_not_taken_for_young),
        LED(deposed_after_it_stood_still_it_is_as_old_as_its_last_own_record),
        LED(tombstones_that_live_for_a_moment_only_do_not_keep_it_from_leading),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
