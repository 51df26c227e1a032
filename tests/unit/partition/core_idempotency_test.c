/*
 * core_idempotency_test.c - a repeat of a request with the same id gets the first answer, for as long as the compaction
 * lag by the log's time. Every test begins with a core that leads epoch 1, without a lease; the compaction lag is an
 * hour.
 */
#include "script_world.h"

#define HOUR_MS (3600 * INT64_C(1000))

static struct ask *identified(struct ask *a, const char *id, const char *request)
{
    ask_id(a, id, request);
    script_submit(a->script, a);
    return a;
}

static void passes(struct script *s, int64_t ms)
{
    aff_virtual_clock_sleep(&s->clock, ms * AFF_NS_PER_MS);
}

static void a_repeat_gets_the_first_answer_and_does_nothing(void **state)
{
    struct script *s = *state;
    struct ask *first = identified(ask_command(s, "a", "+1"), "id", "request"), *again;

    script_ack(s);
    expect_committed(first, 1);
    again = identified(ask_command(s, "a", "+1"), "id", "request");
    expect_committed(again, 1); /* at once: what is committed needs no proof */
    assert_true(again->op.result.replayed);
    assert_int_equal(again->runs, 0);
    assert_int_equal(again->op.result.status, 200);
    assert_string_equal(again->replied, "saw -");
    assert_string_equal(again->replied_type, "text/plain");
    assert_int_equal(again->op.result.version.time_ms, first->op.result.version.time_ms);
    expect_stored(s, "a", "1");
}

static void plain_writes_are_remembered_with_their_status(void **state)
{
    struct script *s = *state;
    struct ask *again;

    identified(ask_put(s, "a", "one"), "put", "r");
    script_ack(s);
    identified(ask_put(s, "a", "two"), "put2", "r");
    script_ack(s);
    identified(ask_delete(s, "a"), "delete", "r");
    script_ack(s);
    again = identified(ask_put(s, "a", "one"), "put", "r");
    assert_int_equal(again->op.result.status, 201);
    expect_committed(again, 1);
    again = identified(ask_put(s, "a", "two"), "put2", "r");
    assert_int_equal(again->op.result.status, 200);
    again = identified(ask_delete(s, "a"), "delete", "r");
    assert_int_equal(again->op.result.status, 204);
    expect_stored(s, "a", NULL);
}

static void an_id_that_comes_with_another_request_is_refused(void **state)
{
    struct script *s = *state;

    identified(ask_put(s, "a", "one"), "id", "request");
    script_ack(s);
    expect_refused(identified(ask_put(s, "a", "two"), "id", "other"), AFF_EIDREUSED);
}

static void a_repeat_while_the_first_runs_is_a_conflict(void **state)
{
    struct script *s = *state;
    struct ask *first = identified(ask_put(s, "a", "one"), "id", "request"), *queued;

    expect_refused(identified(ask_put(s, "a", "one"), "id", "request"), AFF_EIDRUNNING);
    queued = identified(ask_put(s, "a", "two"), "waits", "request");
    expect_refused(identified(ask_put(s, "a", "two"), "waits", "request"), AFF_EIDRUNNING);
    script_ack(s);
    expect_committed(first, 1);
    script_ack(s);
    expect_committed(queued, 2);
}

static void a_refusal_is_not_remembered(void **state)
{
    struct script *s = *state;
    struct ask *refused = identified(ask_command(s, "a", "no"), "id", "request"), *again;

    script_ack(s);
    expect_answer(refused, AFF_EREFUSED, AFF_OUTCOME_NONE);
    again = identified(ask_command(s, "a", "+1"), "id", "another request even");
    script_ack(s);
    expect_committed(again, 2);
}

static void what_was_void_is_not_remembered(void **state)
{
    struct script *s = *state;
    struct ask *first = identified(ask_command(s, "a", "+1"), "id", "request"), *again;

    script_report_as(s, AFF_EUNKNOWN, -1);
    script_drop(s);
    script_ack(s);
    script_read(s);
    expect_refused(first, AFF_EVOID);
    again = identified(ask_command(s, "a", "+1"), "id", "request");
    assert_int_equal(again->runs, 1);
    script_ack(s);
    expect_committed(again, 2);
}

static void a_zombies_id_is_not_remembered(void **state)
{
    struct script *s = *state;
    struct aff_record rec;
    struct ask *own;

    aff_record_init(&rec);
    rec.stamp = script_stamp(0, 9, 7, 1);
    rec.key = aff_str("z");
    rec.value = aff_str("stale");
    rec.idem_count = 1;
    rec.idems[0] = (struct aff_idem){ .content_type = aff_str(""), .reply = aff_str("") };
    memcpy(rec.idems[0].id.b, "id", 2);
    script_foreign_record(s, &rec);
    script_put(s, "b", "x");
    script_ack(s);
    script_read(s);
    script_ack_all(s);
    own = identified(ask_put(s, "z", "fresh"), "id", "");
    assert_int_equal(own->done, 0);
    script_ack(s);
    assert_int_equal(own->op.result.code, 0);
    assert_false(own->op.result.replayed);
}

static void a_merged_command_is_replayed_without_a_version(void **state)
{
    struct script *s = *state;
    struct ask *first = ask_command(s, "a", "+1"), *second = ask_command(s, "a", "+2"), *again;

    ask_id(first, "first", "r");
    script_submit_quietly(s, first);
    script_submit(s, second);
    script_ack(s);
    again = identified(ask_command(s, "a", "+1"), "first", "r");
    expect_answer(again, 0, AFF_OUTCOME_COMMITTED);
    assert_true(again->op.result.replayed);
    assert_false(again->op.result.versioned);
}

static int run_long_reply(struct aff_op *op, const struct aff_item *current, struct aff_staged *staged)
{
    static char reply[AFF_IDEM_REPLY_MAX + 1];

    (void)current;
    memset(reply, 'x', sizeof reply);
    op->result.status = 202;
    op->result.reply = aff_bytes_of(reply, sizeof reply);
    op->result.reply_type = aff_str("text/plain");
    staged->what = AFF_STAGE_PUT;
    staged->value = aff_str("v");
    staged->content_type = aff_str("text/plain");
    return 0;
}

static void a_long_reply_is_replayed_as_status_and_version(void **state)
{
    struct script *s = *state;
    struct ask *first = ask_command(s, "a", ""), *again;

    first->op.run = run_long_reply;
    identified(first, "id", "request");
    script_ack(s);
    expect_committed(first, 1);
    again = identified(ask_command(s, "a", ""), "id", "request");
    expect_committed(again, 1);
    assert_true(again->op.result.replayed && again->op.result.replay_cut);
    assert_int_equal(again->op.result.status, 202);
    assert_int_equal(again->op.result.reply.len, 0);
}

static void ids_are_remembered_by_whoever_reads_the_log(void **state)
{
    struct script *s = *state;
    struct ask *again;

    identified(ask_command(s, "a", "+1"), "id", "request");
    script_land(s); /* nobody hears of it any more */
    script_restart(s);
    script_lead(s);
    again = identified(ask_command(s, "a", "+1"), "id", "request");
    expect_committed(again, 1);
    assert_true(again->op.result.replayed);
    expect_stored(s, "a", "1");
}

static void ids_are_forgotten_when_the_window_has_passed_by_the_logs_time(void **state)
{
    struct script *s = *state;
    struct ask *again;

    identified(ask_put(s, "a", "one"), "id", "request");
    script_ack(s);
    passes(s, HOUR_MS + 1000);
    script_after(s, 100);
    again = identified(ask_put(s, "a", "one"), "id", "request");
    assert_true(again->op.result.replayed); /* no clock of ours says when */

    script_put(s, "b", "x"); /* the log does */
    script_ack_all(s);
    script_after(s, 61 * 1000);
    script_ack_all(s);
    assert_int_equal(s->committed[AFF_TABLE_IDEM].count, 0);
    assert_int_equal(s->committed[AFF_TABLE_IDEM_BY_TIME].count, 0);
    again = identified(ask_put(s, "a", "two"), "id", "another request");
    script_ack_all(s);
    assert_false(again->op.result.replayed);
    expect_stored(s, "a", "two");
}

static void no_answer_depends_on_when_ids_are_pruned(void **state)
{
    struct script *s = *state;
    struct ask *again;

    identified(ask_put(s, "a", "one"), "id", "request");
    script_ack(s);
    passes(s, HOUR_MS + 1000);
    script_put(s, "b", "x");
    script_ack(s);
    again = identified(ask_put(s, "a", "two"), "id", "another request");
    script_ack(s);
    expect_committed(again, 3);
    script_after(s, 61 * 1000); /* forgets the first, not the second */
    script_ack_all(s);
    assert_int_equal(s->committed[AFF_TABLE_IDEM].count, 1);
    assert_int_equal(s->committed[AFF_TABLE_IDEM_BY_TIME].count, 1);
}

static void many_ids_are_forgotten_in_pieces(void **state)
{
    struct script *s = *state;
    char id[16];

    for (int i = 0; i < 1500; i++) {
        snprintf(id, sizeof id, "%d", i);
        identified(ask_put(s, id, "x"), id, "r");
        script_ack(s);
    }
    passes(s, HOUR_MS + 1000);
    script_put(s, "b", "x");
    script_ack(s);
    script_after(s, 61 * 1000);
    assert_int_equal(s->committed[AFF_TABLE_IDEM].count, 0);
}

/* The master has forgotten the id and it was used again, before this standby came to forget it. */
static void an_id_that_is_used_again_after_its_window_is_remembered_by_a_standby(void **state)
{
    struct script *s = *state;
    struct aff_record rec;
    struct ask *again;

    script_resign(s);
    script_foreign_claim(s, script_stamp(2, 0, 7, 0), NULL);
    for (uint64_t seq = 1; seq <= 2; seq++) {
        aff_record_init(&rec);
        rec.stamp = script_stamp(2, 0, 7, seq);
        rec.key = aff_str("a");
        rec.value = aff_str(seq == 1 ? "1" : "2");
        rec.idem_count = 1;
        rec.idems[0] = (struct aff_idem){ .status = 200, .content_type = aff_str(""), .reply = aff_str("") };
        memcpy(rec.idems[0].id.b, "id", 2);
        script_foreign_record(s, &rec);
        if (seq == 1)
            passes(s, HOUR_MS + 1000);
    }
    script_read(s);
    script_after(s, 61 * 1000); /* now it forgets the first */
    script_lead(s);
    again = identified(ask_command(s, "a", "+x"), "id", "");
    expect_answer(again, 0, AFF_OUTCOME_COMMITTED);
    assert_true(again->op.result.replayed);
}

int main(void)
{
#define LEADING(test) cmocka_unit_test_setup_teardown(test, script_setup_leading, script_teardown)
    const struct CMUnitTest tests[] = {
        LEADING(a_repeat_gets_the_first_answer_and_does_nothing),
        LEADING(plain_writes_are_remembered_with_their_status),
        LEADING(an_id_that_comes_with_another_request_is_refused),
        LEADING(a_repeat_while_the_first_runs_is_a_conflict),
        LEADING(a_refusal_is_not_remembered),
        LEADING(what_was_void_is_not_remembered),
        LEADING(a_zombies_id_is_not_remembered),
        LEADING(a_merged_command_is_replayed_without_a_version),
        LEADING(a_long_reply_is_replayed_as_status_and_version),
        LEADING(ids_are_remembered_by_whoever_reads_the_log),
        LEADING(ids_are_forgotten_when_the_window_has_passed_by_the_logs_time),
        LEADING(no_answer_depends_on_when_ids_are_pruned),
        LEADING(many_ids_are_forgotten_in_pieces),
        LEADING(an_id_that_is_used_again_after_its_window_is_remembered_by_a_standby),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
