/*
 * core_write_test.c - one record per write: contiguous, or a gap that is read (I3, I4, I6); what the log may refuse.
 * Every test begins with a core that leads epoch 1; its CLAIM stands at offset 0.
 */
#include "script_world.h"

static struct aff_stamp zombie(uint64_t seq)
{
    return script_stamp(0, 9, 7, seq); /* of an epoch before */
}

static struct aff_record last_sent(struct script *s)
{
    struct aff_record rec;

    aff_record_decode(&script_last_sent(s)->entry.view, &rec);
    return rec;
}

/* ---- contiguous ---- */

static void a_contiguous_write_is_acknowledged_at_its_offset(void **state)
{
    struct script *s = *state;
    struct ask *put = script_put(s, "a", "one");

    expect_waiting(put);
    expect_stored(s, "a", NULL); /* nobody sees it before it is proven */
    script_ack(s);
    expect_committed(put, 1);
    assert_true(put->op.result.created && put->op.result.stamped);
    assert_int_equal(put->op.result.stamp.seq, 1);
    expect_stored(s, "a", "one");
    assert_int_equal(script_version(s, "a"), 1);
}

static void several_keys_are_in_flight_at_once_and_answered_in_order(void **state)
{
    struct script *s = *state;
    struct ask *a = script_put(s, "a", "1"), *b = script_put(s, "b", "2"), *c = script_put(s, "c", "3");

    assert_int_equal(script_handed_over(s), 3);
    script_land(s);
    script_land(s);
    script_land(s);
    script_report(s);
    expect_committed(a, 1);
    expect_waiting(b);
    script_report(s);
    script_report(s);
    expect_committed(b, 2);
    expect_committed(c, 3);
    assert_true(a->order < b->order && b->order < c->order);
}

static void one_record_of_a_key_is_in_flight_and_the_next_write_waits_for_it(void **state)
{
    struct script *s = *state;
    struct ask *first = script_put(s, "a", "1"), *second = script_put(s, "a", "2"), *third = script_delete(s, "a");

    assert_int_equal(script_handed_over(s), 1);
    script_ack(s);
    expect_committed(first, 1);
    assert_int_equal(script_handed_over(s), 1);
    script_ack(s);
    expect_committed(second, 2);
    assert_false(second->op.result.created);
    script_ack(s);
    expect_committed(third, 3);
    expect_stored(s, "a", NULL);
}

static void an_empty_value_is_a_value(void **state)
{
    struct script *s = *state;
    struct ask *put = ask_put(s, "a", "");

    put->op.value = aff_bytes_of(NULL, 0); /* what a request without content brings */
    script_submit(s, put);
    script_ack(s);
    expect_committed(put, 1);
    expect_stored(s, "a", "");
}

static void no_more_than_the_window_is_in_flight(void **state)
{
    struct script *s = *state;
    struct ask *asks[300];
    char key[16];

    for (int i = 0; i < 300; i++) {
        snprintf(key, sizeof key, "k%d", i);
        asks[i] = script_put(s, key, "x");
    }
    assert_int_equal(script_handed_over(s), 256);
    script_ack(s);
    assert_int_equal(script_handed_over(s), 256);
    script_ack_all(s);
    for (int i = 0; i < 300; i++)
        expect_committed(asks[i], i + 1);
}

/* ---- gaps ---- */

static void a_gap_with_a_zombies_record_makes_its_key_dirty_the_write_is_acknowledged_and_the_repair_keeps_the_version(
    void **state)
{
    struct script *s = *state;
    struct ask *before = script_put(s, "b", "ours"), *put;
    struct aff_record repair;

    script_ack(s);
    expect_committed(before, 1);
    put = script_put(s, "a", "one");
    script_foreign(s, AFF_KIND_DATA, zombie(5), "b", "stale");
    script_ack(s);
    expect_waiting(put); /* the gap is read first */
    script_read(s);
    expect_committed(put, 3);
    expect_stored(s, "b", "ours");
    assert_true(script_is_dirty(s, aff_str("b")));

    repair = last_sent(s);
    assert_int_equal(repair.kind, AFF_KIND_REPAIR);
    assert_int_equal(repair.kept_offset, 1);
    script_ack(s);
    assert_false(script_is_dirty(s, aff_str("b")));
    assert_int_equal(script_version(s, "b"), 1);
    script_expect_plain_equals(s);
}

static void a_zombies_record_on_a_key_that_never_was_is_repaired_by_a_tombstone(void **state)
{
    struct script *s = *state;

    script_put(s, "a", "one");
    script_foreign(s, AFF_KIND_DATA, zombie(5), "ghost", "boo");
    script_ack(s);
    script_read(s);
    assert_int_equal(last_sent(s).kind, AFF_KIND_REPAIR);
    assert_null(last_sent(s).value.data);
    script_ack(s);
    expect_stored(s, "ghost", NULL);
    script_expect_plain_equals(s);
}

static void a_zombies_record_on_the_key_that_is_being_written_needs_no_repair(void **state)
{
    struct script *s = *state;
    struct ask *put = script_put(s, "a", "one");

    script_foreign(s, AFF_KIND_DATA, zombie(5), "a", "stale");
    script_ack(s);
    script_read(s);
    expect_committed(put, 2);
    assert_int_equal(script_handed_over(s), 0);
    script_expect_plain_equals(s);
}

static void a_dirty_key_whose_next_write_waits_is_repaired_by_that_write(void **state)
{
    struct script *s = *state;
    struct ask *first = script_put(s, "a", "one"), *second = script_put(s, "a", "two");

    script_land(s);
    script_foreign(s, AFF_KIND_DATA, zombie(5), "a", "stale");
    script_report(s);
    expect_committed(first, 1);
    script_ack(s);
    script_read(s);
    expect_committed(second, 3);
    assert_int_equal(script_handed_over(s), 0);
    script_expect_plain_equals(s);
}

static void a_second_copy_of_its_record_makes_the_key_dirty_and_the_version_is_the_first(void **state)
{
    struct script *s = *state;
    struct ask *put = script_put(s, "a", "one");

    script_land(s);
    script_land_again(s);
    script_report_as(s, 0, 2); /* the log names the copy */
    script_read(s);
    expect_committed(put, 1);
    assert_true(script_is_dirty(s, aff_str("a")));
    script_ack(s);
    assert_int_equal(script_version(s, "a"), 1);
    script_expect_plain_equals(s);
}

static void a_copy_that_lands_later_is_found_in_the_next_gap(void **state)
{
    struct script *s = *state;
    struct ask *first = script_put(s, "a", "one"), *second;

    script_ack(s);
    expect_committed(first, 1);
    script_land_again(s);
    second = script_put(s, "b", "two");
    script_ack(s);
    script_read(s);
    expect_committed(second, 3);
    assert_true(script_is_dirty(s, aff_str("a")));
    script_ack(s);
    assert_int_equal(script_version(s, "a"), 1);
    script_expect_plain_equals(s);
}

static void a_record_without_a_header_is_void(void **state)
{
    struct script *s = *state;
    struct ask *put = script_put(s, "a", "one");

    script_foreign(s, AFF_KIND_FOREIGN, script_stamp(0, 0, 0, 0), "b", "from a console");
    script_ack(s);
    script_read(s);
    expect_committed(put, 2);
    script_ack(s);
    expect_stored(s, "b", NULL);
    script_expect_plain_equals(s);
}

static void what_is_read_of_ours_in_a_gap_is_answered_though_it_is_not_reported_yet(void **state)
{
    struct script *s = *state;
    struct ask *first = script_put(s, "a", "1"), *second = script_put(s, "b", "2");

    script_foreign(s, AFF_KIND_DATA, zombie(5), "z", "stale");
    script_land(s);
    script_land(s);
    script_report(s);
    script_read(s);
    expect_committed(first, 2);
    expect_committed(second, 3);
    script_report(s); /* comes late and is of no use any more */
    script_ack(s);    /* the repair */
    expect_role(s, AFF_ROLE_MASTER);
    script_expect_plain_equals(s);
}

static void reports_that_come_while_a_gap_is_read_wait_for_it(void **state)
{
    struct script *s = *state;
    struct ask *first = script_put(s, "a", "1"), *second = script_put(s, "b", "2");

    script_foreign(s, AFF_KIND_DATA, zombie(5), "b", "stale");
    script_land(s);
    script_land(s);
    script_report(s);
    script_report(s);
    expect_waiting(first);
    expect_waiting(second);
    script_read_some(s, 1); /* that closes it */
    expect_committed(first, 2);
    expect_committed(second, 3);
    assert_int_equal(script_handed_over(s), 0); /* the write of the dirty key stands behind the void one */
}

static void a_gap_that_cannot_be_read_is_read_again(void **state)
{
    struct script *s = *state;
    struct ask *put = script_put(s, "a", "one"), *next;

    script_foreign(s, AFF_KIND_DATA, zombie(5), "b", "stale");
    script_ack(s);
    script_read_fails(s, AFF_EIO);
    expect_waiting(put);
    script_after(s, 1000);
    script_read(s);
    expect_committed(put, 2);
    script_ack_all(s);
    script_after(s, 500);
    assert_false(s->read_open); /* a master reads gaps only */
    next = script_put(s, "c", "x");
    script_ack_all(s);
    script_read(s);
    assert_int_equal(next->done, 1);
    expect_role(s, AFF_ROLE_MASTER);
}

static void an_own_record_that_was_overtaken_by_its_own_successor_is_settled(void **state)
{
    struct script *s = *state;
    struct ask *first = script_put(s, "a", "1");

    script_foreign(s, AFF_KIND_DATA, zombie(5), "z", "stale");
    script_land(s);
    script_report_as(s, 0, 0); /* an offset below everything that is known: the report cannot be true */
    expect_role(s, AFF_ROLE_SETTLING);
    script_ack(s);
    script_read(s);
    expect_role(s, AFF_ROLE_MASTER);
    expect_committed(first, 2);
}

static void a_void_record_on_a_key_that_cannot_be_ours_is_passed_over(void **state)
{
    struct script *s = *state;
    struct aff_record rec;
    char key[AFF_KEY_MAX + 1];
    struct ask *put = script_put(s, "a", "one");

    memset(key, 'x', sizeof key);
    aff_record_init(&rec);
    rec.kind = AFF_KIND_FOREIGN;
    rec.key = aff_bytes_of(key, sizeof key);
    rec.value = aff_str("y");
    script_foreign_record(s, &rec);
    rec.key = aff_str("");
    script_foreign_record(s, &rec);
    script_ack(s);
    script_read(s);
    expect_committed(put, 3);
    assert_int_equal(script_handed_over(s), 0); /* nobody can ask for them: nothing to repair */
}

static void a_heartbeat_is_sent_as_often_as_told(void **state)
{
    struct script *s;

    script_teardown(state);
    *state = s = script_new();
    s->opts.heartbeat_ms = 500;
    script_start(s);
    script_lead(s);
    for (int i = 0; i < 10; i++) {
        script_after(s, 500);
        assert_int_equal(script_handed_over(s), 1);
        script_ack(s);
    }
    assert_int_equal(script_last_sent(s)->entry.kind, AFF_KIND_BARRIER);
}

static void a_dirty_barrier_key_is_repaired_by_a_barrier(void **state)
{
    struct script *s = *state;
    aff_bytes key = aff_bytes_of(AFF_BARRIER_KEY, AFF_BARRIER_KEY_LEN);
    struct aff_record rec;

    aff_record_init(&rec);
    rec.kind = AFF_KIND_BARRIER;
    rec.stamp = zombie(5);
    rec.key = key;
    rec.value = aff_str("");
    script_foreign_record(s, &rec);
    script_put(s, "a", "one");
    script_ack(s);
    script_read(s);
    assert_true(script_is_dirty(s, key));
    assert_int_equal(script_last_sent(s)->entry.kind, AFF_KIND_BARRIER);
    script_ack(s);
    assert_false(script_is_dirty(s, key));
}

static void a_repair_keeps_type_and_lifetime_too(void **state)
{
    struct script *s = *state;
    struct ask *put = ask_put(s, "b", "ours");
    struct aff_record data, repair;

    put->op.ttl_ms = 3600 * 1000;
    put->op.event_ms = 77;
    script_submit(s, put);
    data = last_sent(s);
    script_ack(s);
    script_foreign(s, AFF_KIND_DATA, zombie(5), "b", "stale");
    script_put(s, "a", "one");
    script_ack(s);
    script_read(s);
    repair = last_sent(s);
    assert_true(aff_bytes_equal(repair.value, aff_str("ours")));
    assert_true(aff_bytes_equal(repair.content_type, aff_str("text/plain")));
    assert_int_equal(repair.expires_ms, data.expires_ms);
    assert_int_equal(repair.event_ms, 77);
    assert_int_equal(repair.kept_time_ms, put->op.result.version.time_ms);
}

static void compaction_is_kept_from_what_is_above_the_first_dirty_record(void **state)
{
    struct script *s = *state;

    script_put(s, "a", "one");
    script_ack(s);
    assert_int_equal(s->keep_from, 2);
    script_foreign(s, AFF_KIND_DATA, zombie(5), "z", "stale");
    script_foreign(s, AFF_KIND_DATA, zombie(6), "y", "stale");
    s->append_code = 0;
    script_put(s, "a", "two");
    script_ack(s);
    script_read(s);
    assert_int_equal(s->keep_from, 2); /* z at 2, y at 3, ours at 4 */
    script_ack_all(s);
    assert_int_equal(s->keep_from, 7);
}

static void an_idle_master_notices_a_zombies_late_record(void **state)
{
    struct script *s = *state;

    script_foreign(s, AFF_KIND_DATA, zombie(5), "z", "stale");
    script_after(s, 1000);
    assert_int_equal(script_last_sent(s)->entry.kind, AFF_KIND_BARRIER);
    script_ack(s);
    script_read(s);
    script_ack(s);
    script_expect_plain_equals(s);
    for (int minutes = 0; minutes < 120; minutes++) { /* at least every sixth of the compaction lag */
        script_after(s, 60 * 1000);
        script_ack_all(s);
    }
    assert_in_range(s->end, 4 + 2 + 11, 4 + 2 + 13);
}

static void idle_barriers_come_1_10_and_60_seconds_after_the_claim_and_then_each_sixth_of_the_lag(void **state)
{
    static const int64_t due_s[] = { 1, 10, 60, 660, 1260 };
    struct script *s = *state;
    int64_t now_s = 0;

    for (size_t i = 0; i < sizeof due_s / sizeof *due_s; i++) {
        script_after(s, (due_s[i] - now_s) * 1000 - 1);
        assert_int_equal(script_handed_over(s), 0);
        script_after(s, 1);
        script_ack(s);
        now_s = due_s[i];
    }
}

static void a_barrier_that_the_log_did_not_take_is_not_forgotten(void **state)
{
    struct script *s = *state;

    script_after(s, 30 * 1000);
    script_ack_all(s);
    s->append_code = AFF_EAGAIN;
    script_after(s, 50 * 1000);
    assert_int_equal(script_handed_over(s), 0);
    s->append_code = 0;
    script_after(s, 5 * 1000); /* and not ten minutes later */
    assert_int_equal(script_handed_over(s), 1);
}

/* ---- the order of things ---- */

static void an_answer_leaves_after_the_commit_and_one_commit_serves_a_pass(void **state)
{
    struct script *s = *state;
    struct ask *a = script_put(s, "a", "1"), *b = script_put(s, "b", "2");
    unsigned commits = s->commits;
    struct aff_delivery_report report;

    for (uint64_t seq = 1; seq <= 2; seq++) {
        int64_t offset = script_land(s);
        report = (struct aff_delivery_report){ .seq = seq, .offset = offset, .time_ms = s->entries[offset].view.time_ms };
        aff_core_report(s->core, &report);
    }
    expect_waiting(a); /* applied, not committed */
    script_pass(s);
    expect_committed(a, 1); /* (the script fails an answer that leaves earlier) */
    expect_committed(b, 2);
    assert_int_equal(s->commits, commits + 1);
}

/* ---- what the log may refuse ---- */

static void a_log_without_space_is_507_and_nothing_is_left_of_the_write(void **state)
{
    struct script *s = *state;
    struct ask *put;

    s->append_code = AFF_ENOSPACE;
    put = script_put(s, "a", "one");
    expect_refused(put, AFF_ENOSPACE);
    assert_false(put->op.result.created || put->op.result.stamped);
    s->append_code = 0;
    put = script_put(s, "a", "two");
    assert_int_equal(script_last_sent(s)->entry.stamp.seq, 1); /* the number was not used up */
    script_ack(s);
    expect_committed(put, 1);
}

static void a_record_that_is_too_large_is_413(void **state)
{
    struct script *s = *state;

    s->append_code = AFF_ETOOLARGE;
    expect_refused(script_put(s, "a", "one"), AFF_ETOOLARGE);
    expect_role(s, AFF_ROLE_MASTER);
}

static void a_full_log_makes_writes_wait_in_their_order(void **state)
{
    struct script *s = *state;
    struct ask *under_way = script_put(s, "x", "0"), *first, *second, *third;

    s->append_code = AFF_EAGAIN;
    first = script_put(s, "a", "1");
    second = script_put(s, "a", "2");
    third = script_put(s, "b", "3");
    expect_waiting(first);
    s->append_code = 0;
    script_ack(s); /* a report: there is room again */
    expect_committed(under_way, 1);
    script_ack_all(s);
    expect_committed(first, 2);
    expect_committed(third, 3);
    expect_committed(second, 4);
}

static void a_log_that_is_full_by_others_load_is_asked_again(void **state)
{
    struct script *s = *state;
    struct ask *put;

    script_after(s, 100 * 1000);
    script_ack_all(s);
    s->append_code = AFF_EAGAIN; /* and nothing of ours is in flight: no report will come */
    put = script_put(s, "a", "one");
    script_after(s, 100);
    expect_waiting(put);
    s->append_code = 0;
    script_after(s, 100);
    assert_int_equal(script_handed_over(s), 1);
    script_ack_all(s);
    assert_int_equal(put->op.result.code, 0);
}

static void a_store_without_room_is_507(void **state)
{
    struct script *s = *state;

    s->faults[STORE_ROOM] = AFF_ENOSPACE;
    expect_refused(script_put(s, "a", "one"), AFF_ENOSPACE);
    assert_int_equal(script_handed_over(s), 0);
    expect_role(s, AFF_ROLE_MASTER);
}

static void room_is_asked_for_all_that_is_not_applied_yet(void **state)
{
    struct script *s = *state;

    for (int i = 0; i < 10; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        script_put(s, key, "x");
    }
    assert_true(s->room_asked >= 10 * (uint64_t)AFF_STORE_WRITE_MIN); /* the store's contract */
    script_ack_all(s);
    script_put(s, "k", "x");
    assert_true(s->room_asked < 3 * (uint64_t)AFF_STORE_WRITE_MIN);
}

static void a_repair_that_the_log_does_not_take_is_tried_again(void **state)
{
    struct script *s = *state;

    script_foreign(s, AFF_KIND_DATA, zombie(5), "z", "stale");
    script_put(s, "a", "one");
    script_ack(s);
    s->append_code = AFF_ENOSPACE;
    script_read(s);
    assert_true(script_is_dirty(s, aff_str("z")));
    s->append_code = 0;
    script_after(s, 500);
    script_ack_all(s);
    assert_false(script_is_dirty(s, aff_str("z")));
}

static void keys_that_cannot_be_are_refused(void **state)
{
    struct script *s = *state;
    struct ask *control = ask_put(s, "x", "y"), *empty = ask_put(s, "", "y"), *queue;
    char key[16];

    control->op.key = aff_bytes_of("\0aff/x", 6);
    script_submit(s, control);
    expect_refused(control, AFF_EINVAL);
    script_submit(s, empty);
    expect_refused(empty, AFF_EINVAL);

    s->append_code = AFF_EAGAIN;
    for (int i = 0; i < 4096; i++) {
        snprintf(key, sizeof key, "%d", i % 7);
        script_put(s, key, "v");
    }
    queue = script_put(s, "one", "too many");
    expect_refused(queue, AFF_EQUEUEFULL);
}

int main(void)
{
#define LEADING(test) cmocka_unit_test_setup_teardown(test, script_setup_leading, script_teardown)
    const struct CMUnitTest tests[] = {
        LEADING(a_contiguous_write_is_acknowledged_at_its_offset),
        LEADING(several_keys_are_in_flight_at_once_and_answered_in_order),
        LEADING(one_record_of_a_key_is_in_flight_and_the_next_write_waits_for_it),
        LEADING(an_empty_value_is_a_value),
        LEADING(no_more_than_the_window_is_in_flight),
        LEADING(
            a_gap_with_a_zombies_record_makes_its_key_dirty_the_write_is_acknowledged_and_the_repair_keeps_the_version),
        LEADING(a_zombies_record_on_a_key_that_never_was_is_repaired_by_a_tombstone),
        LEADING(a_zombies_record_on_the_key_that_is_being_written_needs_no_repair),
        LEADING(a_dirty_key_whose_next_write_waits_is_repaired_by_that_write),
        LEADING(a_second_copy_of_its_record_makes_the_key_dirty_and_the_version_is_the_first),
        LEADING(a_copy_that_lands_later_is_found_in_the_next_gap),
        LEADING(a_record_without_a_header_is_void),
        LEADING(what_is_read_of_ours_in_a_gap_is_answered_though_it_is_not_reported_yet),
        LEADING(reports_that_come_while_a_gap_is_read_wait_for_it),
        LEADING(a_gap_that_cannot_be_read_is_read_again),
        LEADING(an_own_record_that_was_overtaken_by_its_own_successor_is_settled),
        LEADING(a_void_record_on_a_key_that_cannot_be_ours_is_passed_over),
        LEADING(a_heartbeat_is_sent_as_often_as_told),
        LEADING(a_dirty_barrier_key_is_repaired_by_a_barrier),
        LEADING(a_repair_keeps_type_and_lifetime_too),
        LEADING(compaction_is_kept_from_what_is_above_the_first_dirty_record),
        LEADING(an_idle_master_notices_a_zombies_late_record),
        LEADING(idle_barriers_come_1_10_and_60_seconds_after_the_claim_and_then_each_sixth_of_the_lag),
        LEADING(a_barrier_that_the_log_did_not_take_is_not_forgotten),
        LEADING(an_answer_leaves_after_the_commit_and_one_commit_serves_a_pass),
        LEADING(a_log_without_space_is_507_and_nothing_is_left_of_the_write),
        LEADING(a_record_that_is_too_large_is_413),
        LEADING(a_full_log_makes_writes_wait_in_their_order),
        LEADING(a_log_that_is_full_by_others_load_is_asked_again),
        LEADING(a_store_without_room_is_507),
        LEADING(room_is_asked_for_all_that_is_not_applied_yet),
        LEADING(a_repair_that_the_log_does_not_take_is_tried_again),
        LEADING(keys_that_cannot_be_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
