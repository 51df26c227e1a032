/*
 * faults_test.c - what becomes of writes when brokers, or the producer, fail under load: each is committed and in the log, or
 * not applied and not in it, and none stays unknown (I10). See faults.h.
 */
#include "faults.h"

#include "lib/parts.h"

#include <stdlib.h>

enum { FEW = 16, SOME = 60, MANY = 400 };

static struct faults *begin(void **state)
{
    struct faults *f = *state;
    faults_load(f, SOME);
    return f;
}

/* All is well again: what was begun ends, the log agrees, and new stores made from it as well. */
static void end(struct faults *f)
{
    faults_load(f, SOME);
    faults_judge(f);
    faults_rebuild(f);
    faults_judge(f);
}

/* ---- the producer fails for good ---- */

/* Errors after which librdkafka's producer takes nothing any more: by the first the batch is certainly not in the log. */
static const rd_kafka_resp_err_t refusals[] = {
    RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
    RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
    RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP,
};
static const rd_kafka_resp_err_t losses[] = {
    RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
    RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH,
};
enum { REFUSALS = sizeof refusals / sizeof *refusals, LOSSES = sizeof losses / sizeof *losses };

static void fail_under_load(struct faults *f, rd_kafka_resp_err_t error)
{
    uint64_t before = faults_rebuilt(f);
    faults_inject(f, KAFKA_MOCK_PRODUCE, 1, error);
    faults_load(f, MANY);
    faults_settle(f);
    if (faults_rebuilt(f) <= before)
        fail_msg("%s: no producer was replaced", rd_kafka_err2name(error));
}

static void fail_in_turn(void **state, const rd_kafka_resp_err_t *errors, int count)
{
    struct faults *f = *state = faults_make_careful();
    faults_start(f);
    faults_await(f, faults_lead(f));
    (void)begin(state);
    for (int i = 0; i < count; i++)
        fail_under_load(f, errors[i]);
    assert_true(faults_committed(f) > f->count / 2);
    end(f);
}

static void a_fatal_producer_error_under_load_is_settled(void **state)
{
    fail_in_turn(state, refusals, REFUSALS);
}

static void a_producer_that_lost_its_place_is_settled(void **state)
{
    fail_in_turn(state, losses, LOSSES);
}

/* All that one producer has under way, at most five batches, is refused; the rest meets the CLAIMs that are to settle it. */
static void a_claim_that_fails_is_tried_again(void **state)
{
    struct faults *f = begin(state);
    for (size_t in_a_row = 8; in_a_row <= 12; in_a_row += 4) {
        uint64_t before = faults_rebuilt(f);
        faults_inject(f, KAFKA_MOCK_PRODUCE, in_a_row, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
        faults_load(f, MANY);
        faults_settle(f);
        assert_true(faults_rebuilt(f) >= before + 2);
    }
    end(f);
}

static void the_first_claim_may_fail(void **state)
{
    struct faults *f = *state = faults_make();
    faults_inject(f, KAFKA_MOCK_PRODUCE, 3, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    faults_start(f);
    faults_await(f, faults_lead(f));
    assert_true(faults_rebuilt(f) > 0);
    end(begin(state));
}

/* The coordinator of idempotent producers does not answer, then says no. */
static void a_producer_that_gets_no_id_waits(void **state)
{
    struct faults *f = *state = faults_make();
    faults_inject(f, FAULTS_PRODUCER_ID, 5, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE);
    faults_inject(f, FAULTS_PRODUCER_ID, 3, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS);
    faults_start(f);
    faults_await(f, faults_lead(f));
    end(begin(state));
}

/* ---- outcomes that nobody tells ---- */

/* One write whose first sending is answered like that (late: the answer is lost), and whose second ends the producer. */
static const struct aff_result *doubt(struct faults *f, rd_kafka_resp_err_t first, int late_ms)
{
    uint64_t rebuilt = faults_rebuilt(f);
    faults_load(f, SOME);
    faults_settle(f);
    faults_answer(f, 1, KAFKA_MOCK_PRODUCE, first, late_ms);
    faults_answer(f, 1, KAFKA_MOCK_PRODUCE, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, 0);
    faults_submit(f, 0);
    faults_settle(f);
    assert_int_equal(faults_rebuilt(f), rebuilt + 1);
    return &f->writes[f->count - 1].op.result;
}

/* Twice the same failure, as far as anybody is told: only the log can tell them apart. */
static void a_write_in_doubt_is_what_the_log_says(void **state)
{
    struct faults *f = *state = faults_make_careful();
    f->heartbeat_ms = 3600000; /* nothing else is sent meanwhile */
    faults_start(f);
    faults_await(f, faults_lead(f));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(doubt(f, RD_KAFKA_RESP_ERR_NO_ERROR, 1500)->outcome, AFF_OUTCOME_COMMITTED);
        assert_int_equal(doubt(f, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, 0)->outcome, AFF_OUTCOME_NOT_APPLIED);
    }
    end(f);
}

/*
 * A broker that has a batch already, and has forgotten where, says that it is a duplicate: it is in the log, at an offset that
 * nobody tells. Here the answer to the first sending is lost, and the second is answered like that.
 */
static void a_success_without_an_offset_is_settled_by_the_log(void **state)
{
    struct faults *f = *state = faults_make_careful();
    f->heartbeat_ms = 3600000; /* nothing else is sent meanwhile */
    faults_start(f);
    faults_await(f, faults_lead(f));
    for (int i = 0; i < 4; i++) {
        faults_load(f, SOME);
        faults_settle(f);
        faults_answer(f, 1, KAFKA_MOCK_PRODUCE, RD_KAFKA_RESP_ERR_NO_ERROR, 1500);
        faults_answer(f, 1, KAFKA_MOCK_PRODUCE, RD_KAFKA_RESP_ERR_DUPLICATE_SEQUENCE_NUMBER, 0);
        uint64_t minor = aff_epoch_minor(atomic_load(&aff_partition_shared(f->parts[0])->epoch));
        faults_submit(f, 0);
        faults_settle(f);
        assert_int_equal(f->writes[f->count - 1].op.result.outcome, AFF_OUTCOME_COMMITTED);
        assert_int_equal(aff_epoch_minor(atomic_load(&aff_partition_shared(f->parts[0])->epoch)), minor + 1);
    }
    assert_int_equal(faults_committed(f), f->count);
    end(f);
}

/* The records are in the log, but the answers are lost; librdkafka sends them again. */
static void a_lost_answer_leaves_a_copy_that_counts_once(void **state)
{
    struct faults *f = *state = faults_make_careful();
    faults_start(f);
    faults_await(f, faults_lead(f));
    (void)begin(state);
    for (int i = 0; i < 3; i++) {
        faults_answer(f, 1, KAFKA_MOCK_PRODUCE, RD_KAFKA_RESP_ERR_NO_ERROR, 1500);
        faults_answer(f, 1, KAFKA_MOCK_PRODUCE, RD_KAFKA_RESP_ERR_NO_ERROR, 1500);
        faults_load(f, SOME);
        faults_settle(f);
    }
    end(f);
}

/* ---- brokers ---- */

static void a_leader_that_moves_under_load_loses_nothing(void **state)
{
    struct faults *f = *state = faults_make_careful();
    faults_start(f);
    faults_await(f, faults_lead(f));
    (void)begin(state);
    for (int i = 0; i < 6; i++) {
        int32_t to = 1 + (i + 1) % FAULTS_BROKERS;
        for (int32_t p = 0; p < FAULTS_PARTS; p++)
            assert_int_equal(rd_kafka_mock_partition_set_leader(f->mock.cluster, FAULTS_TOPIC, p, to), 0);
        faults_load(f, MANY);
    }
    faults_settle(f);
    assert_int_equal(faults_rebuilt(f), 0);
    assert_int_equal(faults_committed(f), f->count - f->stalled);
    end(f);
}

static void a_broker_that_is_down_makes_writes_wait_and_refuses_more(void **state)
{
    struct faults *f = begin(state);
    for (int i = 0; i < 3; i++) {
        faults_settle(f);
        assert_int_equal(rd_kafka_mock_broker_set_down(f->mock.cluster, 1), 0);
        faults_load_until_it_stalls(f);
        assert_int_equal(rd_kafka_mock_broker_set_up(f->mock.cluster, 1), 0);
        faults_settle(f);
    }
    assert_int_equal(faults_committed(f), f->count - f->stalled);
    end(f);
}

static void too_few_replicas_make_writes_wait_and_refuse_more(void **state)
{
    static const rd_kafka_resp_err_t errors[] = { RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
                                                  RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND };
    struct faults *f = *state = faults_make_careful();
    faults_start(f);
    faults_await(f, faults_lead(f));
    (void)begin(state);
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        faults_settle(f);
        faults_inject(f, KAFKA_MOCK_PRODUCE, 100000, errors[i]);
        faults_load_until_it_stalls(f);
        rd_kafka_mock_clear_request_errors(f->mock.cluster, KAFKA_MOCK_PRODUCE);
        faults_settle(f);
    }
    assert_int_equal(faults_rebuilt(f), 0);
    assert_int_equal(faults_committed(f), f->count - f->stalled);
    end(f);
}

static void a_distant_broker_is_slow_and_right(void **state)
{
    struct faults *f = *state = faults_make();
    f->stall_ms = 0; /* never: that slow it is */
    faults_start(f);
    faults_await(f, faults_lead(f));
    (void)begin(state);
    for (int32_t b = 1; b <= FAULTS_BROKERS; b++)
        assert_int_equal(rd_kafka_mock_broker_set_rtt(f->mock.cluster, b, 300), 0);
    faults_load(f, MANY);
    faults_settle(f);
    assert_int_equal(faults_committed(f), f->count);
    f->window = 1; /* what follows a refused record is refused by a broker, and not by this one */
    faults_rebuild(f);
    faults_inject(f, KAFKA_MOCK_PRODUCE, 1, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    faults_load(f, FEW);
    faults_settle(f);
    assert_int_equal(faults_rebuilt(f), 1);
    for (int32_t b = 1; b <= FAULTS_BROKERS; b++)
        assert_int_equal(rd_kafka_mock_broker_set_rtt(f->mock.cluster, b, 0), 0);
    end(f);
}

/* ---- reading ---- */

static void a_log_that_is_read_with_troubles_is_read_whole(void **state)
{
    static const rd_kafka_resp_err_t errors[] = {
        RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
        RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,      RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,     RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE,
    };
    struct faults *f = begin(state);
    faults_load(f, MANY);
    faults_judge(f);
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        faults_inject(f, FAULTS_FETCH, 3, errors[i]);
        faults_inject(f, FAULTS_LIST_OFFSETS, 1, errors[i]);
        faults_rebuild(f);
        faults_judge(f);
    }
    end(f);
}

/* ---- all of it ---- */

static void wound(struct faults *f, unsigned what, unsigned number)
{
    static const rd_kafka_resp_err_t passing[] = {
        RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,      RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,      RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID,
    };
    int32_t broker = 1 + (int32_t)(number % FAULTS_BROKERS);
    switch (what % 7) {
    case 0:
        faults_inject(f, KAFKA_MOCK_PRODUCE, 1 + number % 3,
                      number & 1 ? refusals[number % REFUSALS] : losses[number % LOSSES]);
        break;
    case 1:
        faults_inject(f, KAFKA_MOCK_PRODUCE, 1 + number % 4, passing[number % 6]);
        break;
    case 2:
        for (int32_t p = 0; p < FAULTS_PARTS; p++)
            (void)rd_kafka_mock_partition_set_leader(f->mock.cluster, FAULTS_TOPIC, p, broker);
        break;
    case 3:
        (void)rd_kafka_mock_broker_set_down(f->mock.cluster, broker);
        faults_press(f, SOME);
        (void)rd_kafka_mock_broker_set_up(f->mock.cluster, broker);
        break;
    case 4:
        (void)rd_kafka_mock_broker_set_rtt(f->mock.cluster, broker, (int)(number % 8));
        break;
    case 5:
        faults_answer(f, broker, KAFKA_MOCK_PRODUCE, RD_KAFKA_RESP_ERR_NO_ERROR, 1000); /* the answer is lost */
        break;
    default:
        faults_inject(f, FAULTS_FETCH, 1 + number % 3, passing[number % 2]);
        break;
    }
}

static void many_faults_at_random_leave_the_log_and_the_answers_agreeing(void **state)
{
    struct faults *f = *state = faults_make_careful();
    unsigned seed = 20261122;
    faults_start(f);
    faults_await(f, faults_lead(f));
    (void)begin(state);
    for (int round = 0; round < 24; round++) {
        unsigned what = (unsigned)rand_r(&seed), number = (unsigned)rand_r(&seed);
        wound(f, what, number);
        faults_load(f, SOME);
        if (round % 8 == 7)
            faults_judge(f);
    }
    assert_true(faults_rebuilt(f) > 0);
    assert_true(faults_committed(f) > f->count / 4);
    for (int32_t b = 1; b <= FAULTS_BROKERS; b++)
        (void)rd_kafka_mock_broker_set_rtt(f->mock.cluster, b, 0);
    end(f);
}

/* The argument is a part ("2/4", see parts.h), or a pattern of names, to run those only. */
int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, faults_set_up, faults_tear_down)
#define TEST_MADE(name) cmocka_unit_test_teardown(name, faults_tear_down)
    struct CMUnitTest tests[] = {
        TEST_MADE(a_fatal_producer_error_under_load_is_settled),
        TEST_MADE(a_producer_that_lost_its_place_is_settled),
        TEST(a_claim_that_fails_is_tried_again),
        TEST_MADE(the_first_claim_may_fail),
        TEST_MADE(a_producer_that_gets_no_id_waits),
        TEST_MADE(a_write_in_doubt_is_what_the_log_says),
        TEST_MADE(a_success_without_an_offset_is_settled_by_the_log),
        TEST_MADE(a_lost_answer_leaves_a_copy_that_counts_once),
        TEST_MADE(a_leader_that_moves_under_load_loses_nothing),
        TEST(a_broker_that_is_down_makes_writes_wait_and_refuses_more),
        TEST_MADE(too_few_replicas_make_writes_wait_and_refuse_more),
        TEST_MADE(a_distant_broker_is_slow_and_right),
        TEST(a_log_that_is_read_with_troubles_is_read_whole),
        TEST_MADE(many_faults_at_random_leave_the_log_and_the_answers_agreeing),
    };

    if (argc > 1 && !parts_leave(tests, sizeof tests / sizeof *tests, argv[1]))
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
