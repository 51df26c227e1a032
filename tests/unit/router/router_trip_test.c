/*
 * router_trip_test.c - the way of a request to the node that leads: here, there, waiting, following; exactly one answer (I10).
 */
#include "cluster_fixture.h"

static const enum aff_outcome not_applied = AFF_OUTCOME_NOT_APPLIED;
static const int followed[] = { AFF_ENOMASTER, AFF_EDRAINING, AFF_ECLOSED, AFF_EVOID };
enum { FOLLOWED = sizeof followed / sizeof *followed };

/* ---- without a cluster ---- */

static void alone_nobody_waits_and_answers_stay(void **state)
{
    struct cluster *c = *state;
    for (int i = 0; i < FOLLOWED; i++) {
        struct request r;
        request_init(&r, AFF_OP_PUT, 1);
        request_send(c, &r);
        op_answers(&c->parts[1], followed[i], not_applied);
        assert_answer(&r, followed[i], not_applied);
    }
}

static void alone_a_read_without_a_master_is_refused(void **state)
{
    struct cluster *c = *state;
    struct aff_found found;
    assert_int_equal(aff_port_get(c->port, c->space, aff_str(key_of(0)), &found), AFF_ENOMASTER);
}

/* ---- here and there ---- */

static void what_is_led_here_is_done_here(void **state)
{
    struct cluster *c = *state;
    struct request r;
    leads(c, 1, 5);
    request_init(&r, AFF_OP_PUT, 1);
    request_send(c, &r);
    assert_int_equal(c->asked_count, 0);
    op_answers(&c->parts[1], 0, AFF_OUTCOME_COMMITTED);
    assert_answer(&r, 0, AFF_OUTCOME_COMMITTED);
}

static void what_is_led_there_is_asked_there(void **state)
{
    struct cluster *c = *state;
    struct aff_result said = { .outcome = AFF_OUTCOME_COMMITTED, .created = true, .versioned = true, .status = 201,
                               .version = { .offset = 77 } };
    struct request r;
    view_says(c, 1, NODE_B, 5);
    request_init(&r, AFF_OP_PUT, 1);
    request_send(c, &r);
    assert_string_equal(question(c)->member, "b-0000000002");
    assert_string_equal(question(c)->address, "host-b:1");
    assert_int_equal(question(c)->call->kind, AFF_WIRE_OP);
    assert_waits(&r);
    peer_answers_result(question(c), &said);
    assert_answer(&r, 0, AFF_OUTCOME_COMMITTED);
    assert_true(r.result.created && r.result.versioned);
    assert_int_equal(r.result.version.offset, 77);
    assert_int_equal(r.op.call.identity8, 0x1234);
}

static void a_refusal_comes_whole(void **state)
{
    struct cluster *c = *state;
    struct aff_result said = { .code = AFF_EREFUSED, .status = 409, .title = "Too poor", .reply = aff_str("{}"),
                               .reply_type = aff_str("application/json"), .problem = "poor", .detail = "none left" };
    struct request r;
    view_says(c, 1, NODE_B, 5);
    request_init(&r, AFF_OP_COMMAND, 1);
    aff_command_prepare(&r.op, c->space, aff_space_command(c->space, aff_str("echo")), aff_str("body"), aff_str("text/plain"));
    request_send(c, &r);
    peer_answers_result(question(c), &said);
    assert_answer(&r, AFF_EREFUSED, AFF_OUTCOME_NONE);
    assert_string_equal(r.title, "Too poor");
    assert_string_equal(r.reply, "{}");
    assert_string_equal(r.result.problem, "poor");
    assert_string_equal(r.result.detail, "none left");
    assert_int_equal(r.result.status, 409);
    aff_command_fini(&r.op);
}

static void the_higher_epoch_counts(void **state)
{
    struct cluster *c = *state;
    struct request r;
    leads(c, 1, 5);
    view_says(c, 1, NODE_B, 6);
    request_init(&r, AFF_OP_PUT, 1);
    request_send(c, &r);
    peer_answers_code(question(c), 0, AFF_OUTCOME_COMMITTED);
    leads(c, 1, 7);
    request_init(&r, AFF_OP_PUT, 1);
    request_send(c, &r);
    op_answers(&c->parts[1], 0, AFF_OUTCOME_COMMITTED);
    assert_answer(&r, 0, AFF_OUTCOME_COMMITTED);
}

/* ---- waiting ---- */

static void who_has_no_master_waits_for_one(void **state)
{
    struct cluster *c = *state;
    struct request r;
    request_init(&r, AFF_OP_PUT, 1);
    request_send(c, &r);
    wait_ms(c, 300);
    assert_waits(&r);
    view_says(c, 1, NODE_C, 5);
    peer_answers_code(question(c), 0, AFF_OUTCOME_COMMITTED);
    assert_answer(&r, 0, AFF_OUTCOME_COMMITTED);
}

static void who_waits_hears_that_this_node_serves_at_once(void **state)
{
    struct cluster *c = *state;
    struct request r;
    view_says(c, 1, NODE_A, 5); /* and its claim is not there yet */
    request_init(&r, AFF_OP_PUT, 1);
    request_send(c, &r);
    wait_ms(c, 200);
    assert_int_equal(c->parts[1].submitted, 0);
    leads(c, 1, 5);
    op_answers(&c->parts[1], 0, AFF_OUTCOME_COMMITTED);
    assert_answer(&r, 0, AFF_OUTCOME_COMMITTED);
}

static void patience_ends(void **state)
{
    struct cluster *c = *state;
    struct aff_port_waits waits;
    struct request r;
    request_init(&r, AFF_OP_PUT, 1);
    request_send(c, &r);
    wait_ms(c, MASTER_WAIT_MS - 1);
    assert_waits(&r);
    aff_port_waits(c->port, &waits);
    assert_true(waits.now == 1 && waits.total > 0 && waits.refused == 0);
    wait_ms(c, 2);
    assert_answer(&r, AFF_ENOMASTER, not_applied);
    aff_port_waits(c->port, &waits);
    assert_true(waits.now == 0 && waits.refused == 1);
}

static void a_deadline_ends_it_before(void **state)
{
    struct cluster *c = *state;
    struct request r;
    request_init(&r, AFF_OP_PUT, 1);
    r.op.call.op.deadline_ns = aff_loop_now(c->loop) + 50 * AFF_NS_PER_MS;
    request_send(c, &r);
    wait_ms(c, 49);
    assert_waits(&r);
    wait_ms(c, 2);
    assert_answer(&r, AFF_ENOMASTER, not_applied);
}

static void only_so_many_wait(void **state)
{
    struct cluster *c = *state;
    struct request r[WAITING + 1], other;
    for (int i = 0; i < WAITING; i++) {
        request_init(&r[i], AFF_OP_PUT, 1);
        request_send(c, &r[i]);
        assert_waits(&r[i]);
    }
    request_init(&r[WAITING], AFF_OP_PUT, 1);
    request_send(c, &r[WAITING]);
    assert_answer(&r[WAITING], AFF_ENOMASTER, not_applied);
    request_init(&other, AFF_OP_PUT, 2); /* another partition is none the worse for it */
    request_send(c, &other);
    assert_waits(&other);
    view_says(c, 2, NODE_B, 1);
    peer_answers_code(question(c), 0, AFF_OUTCOME_COMMITTED);
    assert_answer(&other, 0, AFF_OUTCOME_COMMITTED);
    wait_ms(c, MASTER_WAIT_MS + 1);
    for (int i = 0; i < WAITING; i++)
        assert_answer(&r[i], AFF_ENOMASTER, not_applied);
}

static void only_so_many_bytes_wait(void **state)
{
    static char large[WAITING_BYTES];
    struct cluster *c = *state;
    struct request r, small;
    request_init(&r, AFF_OP_PUT, 1);
    r.op.call.op.value = aff_bytes_of(large, sizeof large);
    request_send(c, &r);
    assert_answer(&r, AFF_ENOMASTER, not_applied);
    request_init(&small, AFF_OP_PUT, 1);
    request_send(c, &small);
    assert_waits(&small);
    wait_ms(c, MASTER_WAIT_MS + 1);
}

static void a_port_that_closes_lets_nobody_wait(void **state)
{
    struct cluster *c = *state;
    struct request r, later;
    request_init(&r, AFF_OP_PUT, 1);
    request_send(c, &r);
    aff_port_close(c->port);
    assert_answer(&r, AFF_EDRAINING, not_applied);
    request_init(&later, AFF_OP_PUT, 1);
    request_send(c, &later);
    assert_answer(&later, AFF_EDRAINING, not_applied);
}

/* ---- following ---- */

static void who_is_refused_here_follows(void **state)
{
    struct cluster *c = *state;
    for (int i = 0; i < FOLLOWED; i++) {
        struct request r;
        leads(c, 1, (uint32_t)(10 * i + 1));
        request_init(&r, AFF_OP_PUT, 1);
        request_send(c, &r);
        view_says(c, 1, NODE_B, (uint32_t)(10 * i + 2));
        op_answers(&c->parts[1], followed[i], not_applied);
        assert_waits(&r);
        assert_string_equal(question(c)->member, "b-0000000002");
        peer_answers_code(question(c), 0, AFF_OUTCOME_COMMITTED);
        assert_answer(&r, 0, AFF_OUTCOME_COMMITTED);
    }
}

static void who_is_refused_there_follows(void **state)
{
    struct cluster *c = *state;
    for (int i = 0; i < FOLLOWED; i++) {
        struct request r;
        view_says(c, 1, NODE_B, (uint32_t)(10 * i + 1));
        request_init(&r, AFF_OP_PUT, 1);
        request_send(c, &r);
        struct asked *first = question(c);
        view_says(c, 1, NODE_C, (uint32_t)(10 * i + 2));
        peer_answers_code(first, followed[i], not_applied);
        assert_waits(&r);
        assert_string_equal(question(c)->member, "c-0000000003");
        peer_answers_code(question(c), 0, AFF_OUTCOME_COMMITTED);
        assert_answer(&r, 0, AFF_OUTCOME_COMMITTED);
    }
}

static void a_leader_that_refuses_is_asked_again_after_pauses_that_grow(void **state)
{
    struct cluster *c = *state;
    struct request r;
    unsigned times = 0;
    int64_t last = 0, gaps[3] = { 0 };
    view_says(c, 1, NODE_B, 1);
    request_init(&r, AFF_OP_PUT, 1);
    request_send(c, &r);
    for (int ms = 0; r.answered == 0 && ms < 2 * MASTER_WAIT_MS; ms++) {
        if (questions(c)) {
            gaps[times < 2 ? times : 2] = ms - last;
            last = ms;
            times++;
            peer_answers_code(question(c), AFF_ENOMASTER, not_applied);
        }
        wait_ms(c, 1);
    }
    assert_answer(&r, AFF_ENOMASTER, not_applied);
    assert_in_range(times, 8, 20);
    assert_true(gaps[2] > gaps[1]);
}

static void other_refusals_are_answers(void **state)
{
    static const struct {
        int code;
        enum aff_outcome outcome;
    } said[] = { { AFF_EPRECONDITION, AFF_OUTCOME_NONE },      { AFF_ENOTFOUND, AFF_OUTCOME_NONE },
                 { AFF_EQUEUEFULL, AFF_OUTCOME_NOT_APPLIED },  { AFF_ESTALLED, AFF_OUTCOME_NOT_APPLIED },
                 { AFF_ENOSPACE, AFF_OUTCOME_NOT_APPLIED },    { AFF_ETIMEDOUT, AFF_OUTCOME_NOT_APPLIED },
                 { AFF_EIDRUNNING, AFF_OUTCOME_NOT_APPLIED },  { AFF_EUNKNOWN, AFF_OUTCOME_UNKNOWN },
                 { AFF_EVOID, AFF_OUTCOME_UNKNOWN } };
    struct cluster *c = *state;
    view_says(c, 1, NODE_B, 1);
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        struct request r;
        request_init(&r, AFF_OP_PUT, 1);
        request_send(c, &r);
        peer_answers_code(question(c), said[i].code, said[i].outcome);
        assert_answer(&r, said[i].code, said[i].outcome);
    }
}

static void a_peer_that_cannot_be_reached_is_tried_again(void **state)
{
    struct cluster *c = *state;
    struct request r;
    view_says(c, 1, NODE_B, 1);
    request_init(&r, AFF_OP_PUT, 1);
    request_send(c, &r);
    peer_answers(question(c), AFF_EAGAIN, aff_str(""));
    assert_waits(&r);
    assert_int_equal(questions(c), 0);
    wait_ms(c, 20);
    peer_answers_code(question(c), 0, AFF_OUTCOME_COMMITTED);
    assert_answer(&r, 0, AFF_OUTCOME_COMMITTED);
}

static void a_stream_that_is_full_says_so(void **state)
{
    struct cluster *c = *state;
    struct request r;
    view_says(c, 1, NODE_B, 1);
    request_init(&r, AFF_OP_PUT, 1);
    request_send(c, &r);
    peer_answers(question(c), AFF_EQUEUEFULL, aff_str(""));
    assert_answer(&r, AFF_EQUEUEFULL, not_applied);
}

static void what_fits_into_no_frame_does_not_leave(void **state)
{
    struct cluster *c = *state;
    char *large = calloc(1, AFF_WIRE_MAX);
    struct request r;
    view_says(c, 1, NODE_B, 1);
    request_init(&r, AFF_OP_PUT, 1);
    r.op.call.op.value = aff_bytes_of(large, AFF_WIRE_MAX);
    request_send(c, &r);
    assert_answer(&r, AFF_ETOOLARGE, not_applied);
    free(large);
}

/* ---- word of mouth ---- */

static void who_is_told_who_leads_goes_there_at_once(void **state)
{
    struct cluster *c = *state;
    struct request r;
    view_says(c, 1, NODE_B, 1);
    request_init(&r, AFF_OP_PUT, 1);
    request_send(c, &r);
    peer_answers_elsewhere(question(c), "c", 3, 2);
    assert_string_equal(question(c)->member, "c-0000000003");
    peer_answers_code(question(c), 0, AFF_OUTCOME_COMMITTED);
    request_init(&r, AFF_OP_PUT, 1); /* and later requests, too */
    request_send(c, &r);
    assert_string_equal(question(c)->member, "c-0000000003");
    peer_answers_code(question(c), 0, AFF_OUTCOME_COMMITTED);
}

static void word_that_is_old_does_not_count(void **state)
{
    struct cluster *c = *state;
    struct request r;
    view_says(c, 1, NODE_B, 5);
    request_init(&r, AFF_OP_PUT, 1);
    request_send(c, &r);
    peer_answers_elsewhere(question(c), "c", 3, 4);
    assert_int_equal(questions(c), 0);
    wait_ms(c, 20);
    assert_string_equal(question(c)->member, "b-0000000002");
    peer_answers_code(question(c), 0, AFF_OUTCOME_COMMITTED);
}

static void word_that_its_node_refutes_is_forgotten(void **state)
{
    struct cluster *c = *state;
    struct request r;
    view_says(c, 1, NODE_B, 1);
    request_init(&r, AFF_OP_PUT, 1);
    request_send(c, &r);
    peer_answers_elsewhere(question(c), "c", 3, 2);
    peer_answers_elsewhere(question(c), "b", 2, 1);
    assert_string_equal(question(c)->member, "b-0000000002");
    peer_answers_code(question(c), 0, AFF_OUTCOME_COMMITTED);
    assert_answer(&r, 0, AFF_OUTCOME_COMMITTED);
}

static void two_that_name_each_other_do_not_keep_it_busy(void **state)
{
    struct cluster *c = *state;
    struct request r;
    uint32_t epoch = 1;
    view_says(c, 1, NODE_B, epoch);
    request_init(&r, AFF_OP_PUT, 1);
    request_send(c, &r);
    for (int ms = 0; r.answered == 0 && ms < 2 * MASTER_WAIT_MS; ms++) {
        while (questions(c)) {
            epoch++;
            peer_answers_elsewhere(question(c), epoch % 2 ? "b" : "c", epoch % 2 ? 2 : 3, epoch);
        }
        wait_ms(c, 1);
    }
    assert_answer(&r, AFF_ENOMASTER, not_applied);
    assert_in_range(c->asked_count, 5, 30);
}

static void a_move_takes_along_what_waited_here(void **state)
{
    struct cluster *c = *state;
    struct aff_partition_events *events = aff_router_events(c->router);
    const struct aff_give give = { .to = "c", .incarnation = 3, .major = 6 };
    struct request r;
    view_says(c, 1, NODE_A, 5);
    leads(c, 1, 5);
    request_init(&r, AFF_OP_PUT, 1);
    request_send(c, &r);
    atomic_store(&c->parts[1].shared.role, AFF_ROLE_FOLLOWING);
    events->moved(events, &c->parts[1], &give);
    op_answers(&c->parts[1], AFF_ENOMASTER, not_applied);
    assert_string_equal(question(c)->member, "c-0000000003"); /* without a pause */
    peer_answers_code(question(c), 0, AFF_OUTCOME_COMMITTED);
    assert_answer(&r, 0, AFF_OUTCOME_COMMITTED);
    pass(c);
}

static void word_of_a_node_that_is_not_known_waits_for_the_view(void **state)
{
    struct cluster *c = *state;
    struct request r;
    view_says(c, 1, NODE_B, 1);
    request_init(&r, AFF_OP_PUT, 1);
    request_send(c, &r);
    peer_answers_elsewhere(question(c), "d", 9, 2);
    wait_ms(c, 50);
    assert_int_equal(questions(c), 0);
    view_says(c, 1, NODE_C, 3);
    peer_answers_code(question(c), 0, AFF_OUTCOME_COMMITTED);
    assert_answer(&r, 0, AFF_OUTCOME_COMMITTED);
}

/* ---- a stream that broke ---- */

static void a_write_whose_stream_broke_is_unknown(void **state)
{
    struct cluster *c = *state;
    struct request r;
    view_says(c, 1, NODE_B, 1);
    request_init(&r, AFF_OP_PUT, 1);
    request_send(c, &r);
    peer_answers(question(c), AFF_EUNKNOWN, aff_str(""));
    assert_answer(&r, AFF_EUNKNOWN, AFF_OUTCOME_UNKNOWN);
}

static void an_answer_that_cannot_be_read_is_unknown(void **state)
{
    static const char *const answers[] = { "", "\x07", "\x01\x00", "\x00\x01" };
    struct cluster *c = *state;
    view_says(c, 1, NODE_B, 1);
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct request r;
        request_init(&r, AFF_OP_PUT, 1);
        request_send(c, &r);
        peer_answers(question(c), 0, aff_bytes_of(answers[i], i == 0 ? 0 : i));
        if (i != 2) /* the third says clearly that it was done by nobody, and not who leads */
            assert_answer(&r, AFF_EUNKNOWN, AFF_OUTCOME_UNKNOWN);
        else
            assert_waits(&r);
        wait_ms(c, 10);
        if (i == 2)
            peer_answers_code(question(c), 0, AFF_OUTCOME_COMMITTED);
    }
}

static void send_identified(struct cluster *c, struct request *r)
{
    request_init(r, AFF_OP_PUT, 1);
    r->op.call.op.identified = true;
    request_send(c, r);
}

static void an_identified_write_is_repeated(void **state)
{
    struct cluster *c = *state;
    struct request r;
    view_says(c, 1, NODE_B, 1);
    send_identified(c, &r);
    peer_answers(question(c), AFF_EUNKNOWN, aff_str(""));
    assert_waits(&r);
    wait_ms(c, 20);
    peer_answers_code(question(c), AFF_EIDRUNNING, not_applied); /* the first is not through yet */
    assert_waits(&r);
    wait_ms(c, 20);
    peer_answers_result(question(c), &(struct aff_result){ .replayed = true, .status = 201 });
    assert_answer(&r, 0, AFF_OUTCOME_NONE);
    assert_true(r.result.replayed);
}

static void a_repeat_that_was_not_applied_leaves_the_first_in_doubt(void **state)
{
    struct cluster *c = *state;
    struct request r;
    view_says(c, 1, NODE_B, 1);
    send_identified(c, &r);
    peer_answers(question(c), AFF_EUNKNOWN, aff_str(""));
    wait_ms(c, 20);
    peer_answers_code(question(c), AFF_ESTALLED, not_applied);
    assert_answer(&r, AFF_EUNKNOWN, AFF_OUTCOME_UNKNOWN);
}

static void a_repeat_that_finds_nobody_leaves_the_first_in_doubt(void **state)
{
    struct cluster *c = *state;
    struct request r;
    view_says(c, 1, NODE_B, 1);
    send_identified(c, &r);
    peer_answers(question(c), AFF_EUNKNOWN, aff_str(""));
    view_says(c, 1, -1, 1);
    wait_ms(c, MASTER_WAIT_MS + 1);
    assert_answer(&r, AFF_EUNKNOWN, AFF_OUTCOME_UNKNOWN);
}

static void a_repeat_that_is_refused_is_refused(void **state)
{
    struct cluster *c = *state;
    struct request r;
    view_says(c, 1, NODE_B, 1);
    send_identified(c, &r);
    peer_answers(question(c), AFF_EUNKNOWN, aff_str(""));
    wait_ms(c, 20);
    peer_answers_code(question(c), AFF_EPRECONDITION, AFF_OUTCOME_NONE);
    assert_answer(&r, AFF_EPRECONDITION, AFF_OUTCOME_NONE);
}

static void a_barrier_is_asked_again(void **state)
{
    struct cluster *c = *state;
    struct request r;
    view_says(c, 1, NODE_B, 1);
    request_init(&r, AFF_OP_BARRIER, 1);
    request_send(c, &r);
    peer_answers(question(c), AFF_EUNKNOWN, aff_str(""));
    wait_ms(c, 20);
    peer_answers_code(question(c), 0, AFF_OUTCOME_NONE);
    assert_answer(&r, 0, AFF_OUTCOME_NONE);
}

/* A node that stands still answers nothing; another leads meanwhile. */
static void who_may_ask_again_leaves_a_leader_that_is_none_any_more(void **state)
{
    struct cluster *c = *state;
    struct request plain, identified;
    view_says(c, 1, NODE_B, 1);
    request_init(&plain, AFF_OP_PUT, 1);
    request_send(c, &plain);
    struct asked *first = question(c);
    send_identified(c, &identified);
    view_says(c, 1, NODE_C, 2);
    assert_int_equal(questions(c), 2);
    assert_string_equal(question(c)->member, "c-0000000003");
    peer_answers_code(question(c), 0, AFF_OUTCOME_COMMITTED);
    assert_answer(&identified, 0, AFF_OUTCOME_COMMITTED);
    assert_waits(&plain); /* its outcome is known there alone */
    peer_answers_code(first, 0, AFF_OUTCOME_COMMITTED);
    assert_answer(&plain, 0, AFF_OUTCOME_COMMITTED);
}

/* ---- reads ---- */

static void put_value(struct cluster *c, const char *value)
{
    struct aff_item item = { .version = { 9, 8, AFF_NO_TIME, AFF_NO_TIME }, .content_type = aff_str("text/plain"),
                             .value = aff_str(value) };
    assert_int_equal(aff_store_put(c->parts[0].store, aff_str(key_of(0)), &item), 0);
    assert_int_equal(aff_store_commit(c->parts[0].store), 0);
}

static void a_read_of_another_node_brings_the_value(void **state)
{
    struct cluster *c = *state;
    struct aff_found found = { .exists = true, .identity8 = 7,
                               .item = { .version = { 5, 6, 7, 8 }, .content_type = aff_str("a/b"), .value = aff_str("far") } };
    struct aff_buf b;
    struct request r;
    aff_bytes tail;
    view_says(c, 0, NODE_B, 1);
    assert_int_equal(aff_port_get(c->port, c->space, aff_str(key_of(0)), &found), AFF_EAGAIN);
    request_init(&r, AFF_OP_PUT, 0);
    request_read(c, &r);
    assert_int_equal(question(c)->call->kind, AFF_WIRE_GET);
    aff_buf_init(&b);
    assert_true(aff_buf_u8(&b, AFF_WIRE_ANSWERED) && aff_wire_put_found(&b, 0, &found, &tail) &&
                aff_buf_add(&b, tail.data, tail.len));
    peer_answers(question(c), 0, aff_buf_view(&b));
    aff_buf_fini(&b);
    assert_answer(&r, 0, AFF_OUTCOME_NONE);
    assert_string_equal(r.value, "far");
    assert_int_equal(r.found.item.version.expires_ms, 7);
    assert_int_equal(r.found.partition, 0);
    assert_int_equal(r.found.identity8, 7);
}

static void a_read_is_asked_again_and_again(void **state)
{
    struct cluster *c = *state;
    struct request r;
    view_says(c, 1, NODE_B, 1);
    request_init(&r, AFF_OP_PUT, 1);
    request_read(c, &r);
    peer_answers(question(c), AFF_EUNKNOWN, aff_str(""));
    wait_ms(c, 20);
    peer_answers_elsewhere(question(c), "c", 3, 2);
    peer_answers(question(c), AFF_EAGAIN, aff_str(""));
    view_says(c, 1, -1, 3);
    wait_ms(c, MASTER_WAIT_MS + 1);
    assert_answer(&r, AFF_ENOMASTER, not_applied);
}

static void a_read_without_a_lease_takes_a_barrier(void **state)
{
    struct cluster *c = *state;
    struct aff_found found;
    struct request r;
    put_value(c, "near");
    leads(c, 0, 1);
    c->lease = false;
    assert_int_equal(aff_port_get(c->port, c->space, aff_str(key_of(0)), &found), AFF_EAGAIN);
    request_init(&r, AFF_OP_PUT, 0);
    request_read(c, &r);
    assert_int_equal(op_of(&c->parts[0])->kind, AFF_OP_BARRIER);
    op_answers(&c->parts[0], 0, AFF_OUTCOME_NONE);
    assert_answer(&r, 0, AFF_OUTCOME_NONE);
    assert_string_equal(r.value, "near");
    assert_int_equal(aff_port_get_settled(c->port, c->space, aff_str(key_of(0)), &found), 0); /* none is open */
    aff_port_done(c->port);
}

static void a_read_follows_a_mastership_that_ended_behind_its_barrier(void **state)
{
    struct cluster *c = *state;
    struct request r;
    leads(c, 0, 1);
    request_init(&r, AFF_OP_PUT, 0);
    request_read(c, &r);
    atomic_store(&c->parts[0].shared.serves, false);
    atomic_store(&c->parts[0].shared.role, AFF_ROLE_FOLLOWING);
    view_says(c, 0, NODE_B, 2);
    op_answers(&c->parts[0], 0, AFF_OUTCOME_NONE);
    assert_waits(&r);
    assert_string_equal(question(c)->member, "b-0000000002");
    peer_answers(question(c), AFF_EQUEUEFULL, aff_str(""));
    assert_answer(&r, AFF_EQUEUEFULL, not_applied);
}

static void a_read_of_what_is_led_here_again_is_done_here(void **state)
{
    struct cluster *c = *state;
    struct request r;
    put_value(c, "back");
    view_says(c, 0, NODE_B, 1);
    request_init(&r, AFF_OP_PUT, 0);
    request_read(c, &r);
    leads(c, 0, 2); /* the question is left alone */
    op_answers(&c->parts[0], 0, AFF_OUTCOME_NONE);
    assert_answer(&r, 0, AFF_OUTCOME_NONE);
    assert_string_equal(r.value, "back");
    assert_int_equal(questions(c), 0);
}

/* ---- all together ---- */

enum { MANY = 40, STEPS = 4000 };

/* A small generator of its own: the same on every machine. */
static uint32_t next_random(uint64_t *state, uint32_t below)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33) % below;
}

static void answer_something(struct cluster *c, uint64_t *random, uint32_t *epoch)
{
    static const int codes[] = { 0, AFF_ENOMASTER, AFF_EVOID, AFF_EPRECONDITION, AFF_EIDRUNNING, AFF_EDRAINING };
    struct asked *q = questions(c) ? question(c) : NULL;
    if (!q)
        return;
    int code = codes[next_random(random, 6)];
    switch (next_random(random, 5)) {
    case 0:
        peer_answers(q, AFF_EUNKNOWN, aff_str(""));
        break;
    case 1:
        peer_answers(q, AFF_EAGAIN, aff_str(""));
        break;
    case 2:
        peer_answers_elsewhere(q, next_random(random, 2) ? "b" : "c", next_random(random, 2) + 2, *epoch += next_random(random, 2));
        break;
    default:
        peer_answers_code(q, code, code == 0 ? AFF_OUTCOME_COMMITTED : AFF_OUTCOME_NOT_APPLIED);
    }
}

static void happen(struct cluster *c, uint64_t *random, uint32_t *epoch)
{
    uint32_t partition = 1 + next_random(random, PARTS - 1);
    struct aff_partition *part = &c->parts[partition];
    switch (next_random(random, 6)) {
    case 0:
        view_says(c, partition, (int)next_random(random, NODES + 1) - 1, *epoch += next_random(random, 2));
        break;
    case 1:
        leads(c, partition, next_random(random, 2) ? *epoch += next_random(random, 2) : 0);
        break;
    case 2:
        if (!aff_list_empty(&part->ops))
            op_answers(part, next_random(random, 2) ? 0 : AFF_ENOMASTER,
                       aff_partition_leads(part) ? AFF_OUTCOME_COMMITTED : AFF_OUTCOME_NOT_APPLIED);
        break;
    case 3:
        wait_ms(c, 1 + next_random(random, 20));
        break;
    default:
        answer_something(c, random, epoch);
    }
    if (!questions(c))
        forget_asked(c);
}

static bool is_over(const struct request *r)
{
    return r->answered && r->released;
}

static void begin_one(struct cluster *c, struct request *r, uint64_t *random)
{
    request_init(r, next_random(random, 4) ? AFF_OP_PUT : AFF_OP_BARRIER, 1 + next_random(random, PARTS - 1));
    r->op.call.op.identified = r->op.call.op.kind == AFF_OP_PUT && next_random(random, 2);
    request_send(c, r);
}

static void finish_all(struct cluster *c, struct request *r)
{
    for (bool more = true; more;) {
        more = false;
        aff_port_close(c->port);
        while (questions(c))
            peer_answers(question(c), AFF_EAGAIN, aff_str(""));
        for (int p = 0; p < PARTS; p++)
            while (!aff_list_empty(&c->parts[p].ops))
                op_answers(&c->parts[p], AFF_ECLOSED, AFF_OUTCOME_NOT_APPLIED);
        for (int i = 0; i < MANY; i++)
            more |= !is_over(&r[i]) && (questions(c) || aff_heap_has(&r[i].op.call.trip.due));
    }
    for (int i = 0; i < MANY; i++)
        assert_true(r[i].answered == 1 && r[i].released == 1);
}

/* What comes back twice, or before it was answered, is found by the callbacks of the requests. */
static void whatever_happens_each_request_has_one_answer(void **state)
{
    struct cluster *c = *state;
    struct request *r = calloc(MANY, sizeof *r);
    uint64_t random = 42;
    uint32_t epoch = 1;
    for (int i = 0; i < MANY; i++)
        begin_one(c, &r[i], &random);
    for (int step = 0; step < STEPS; step++) {
        struct request *one = &r[next_random(&random, MANY)];
        happen(c, &random, &epoch);
        if (is_over(one))
            begin_one(c, one, &random);
    }
    finish_all(c, r);
    free(r);
}

int main(void)
{
#define IN(test) cmocka_unit_test_setup_teardown(test, cluster_setup, cluster_teardown)
#define ALONE(test) cmocka_unit_test_setup_teardown(test, cluster_setup_alone, cluster_teardown)
    const struct CMUnitTest tests[] = {
        ALONE(alone_nobody_waits_and_answers_stay),
        ALONE(alone_a_read_without_a_master_is_refused),
        IN(what_is_led_here_is_done_here),
        IN(what_is_led_there_is_asked_there),
        IN(a_refusal_comes_whole),
        IN(the_higher_epoch_counts),
        IN(who_has_no_master_waits_for_one),
        IN(who_waits_hears_that_this_node_serves_at_once),
        IN(patience_ends),
        IN(a_deadline_ends_it_before),
        IN(only_so_many_wait),
        IN(only_so_many_bytes_wait),
        IN(a_port_that_closes_lets_nobody_wait),
        IN(who_is_refused_here_follows),
        IN(who_is_refused_there_follows),
        IN(a_leader_that_refuses_is_asked_again_after_pauses_that_grow),
        IN(other_refusals_are_answers),
        IN(a_peer_that_cannot_be_reached_is_tried_again),
        IN(a_stream_that_is_full_says_so),
        IN(what_fits_into_no_frame_does_not_leave),
        IN(who_is_told_who_leads_goes_there_at_once),
        IN(word_that_is_old_does_not_count),
        IN(word_that_its_node_refutes_is_forgotten),
        IN(two_that_name_each_other_do_not_keep_it_busy),
        IN(a_move_takes_along_what_waited_here),
        IN(word_of_a_node_that_is_not_known_waits_for_the_view),
        IN(a_write_whose_stream_broke_is_unknown),
        IN(an_answer_that_cannot_be_read_is_unknown),
        IN(an_identified_write_is_repeated),
        IN(a_repeat_that_was_not_applied_leaves_the_first_in_doubt),
        IN(a_repeat_that_finds_nobody_leaves_the_first_in_doubt),
        IN(a_repeat_that_is_refused_is_refused),
        IN(a_barrier_is_asked_again),
        IN(who_may_ask_again_leaves_a_leader_that_is_none_any_more),
        IN(a_read_of_another_node_brings_the_value),
        IN(a_read_is_asked_again_and_again),
        IN(a_read_without_a_lease_takes_a_barrier),
        IN(a_read_follows_a_mastership_that_ended_behind_its_barrier),
        IN(a_read_of_what_is_led_here_again_is_done_here),
        IN(whatever_happens_each_request_has_one_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
