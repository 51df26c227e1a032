/*
 * peer_break_test.c - streams that break, at every stage: what was written is unknown, what was not was provably not handled. The other
 * side is a socket of the test, which sees exactly what a node could have seen.
 */
#include "fixture.h"

#include <string.h>
#include <sys/socket.h>

static int set_up(void **state)
{
    struct peer_fixture *f = peer_fixture_new(false);
    (void)peer_node_add(f, "n1", NULL);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    *state = peer_fixture_free(*state);
    return 0;
}

static struct aff_peer_to to_raw(const struct peer_raw *raw)
{
    return (struct aff_peer_to){ .member = "n9-0000000009", .address = raw->address };
}

/* Takes the stream that n1 opens, and HELLO off it. */
static void accept_stream(struct peer_fixture *f, struct peer_raw *raw, struct aff_buf *in)
{
    struct aff_frame frame;
    peer_run(f, 2); /* the kernel completes the connection; then accept() does not wait */
    peer_raw_accept(raw);
    ssize_t size = peer_raw_frame(f, raw, in, &frame);
    assert_int_equal(frame.type, AFF_FRAME_HELLO);
    peer_raw_drop(in, (size_t)size);
}

/* ---- when it breaks ---- */

static void nobody_listens(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_node *n1 = &f->nodes[0];
    struct peer_raw raw;
    struct peer_asked asked[2];
    peer_raw_listen(&raw, 0);
    peer_raw_close(&raw);
    struct aff_peer_to to = to_raw(&raw);
    peer_ask(n1, &to, &asked[0], "one");
    peer_ask(n1, &to, &asked[1], "two");
    peer_run_until_answered(f, asked, 2);
    assert_int_equal(asked[0].code, AFF_EAGAIN);
    assert_int_equal(asked[1].code, AFF_EAGAIN);
    assert_true(aff_peers_quiet(n1->peers));
}

static void a_node_that_does_not_answer_is_left_alone_for_a_while(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_node *n1 = &f->nodes[0];
    struct peer_raw raw;
    struct peer_asked asked;
    peer_raw_listen(&raw, 0);
    peer_raw_close(&raw);
    struct aff_peer_to to = to_raw(&raw);
    static const int64_t waits_ms[] = { 50, 100, 200, 400, 800, 1600, 2000, 2000 };
    for (size_t i = 0; i < sizeof waits_ms / sizeof *waits_ms; i++) {
        peer_expect(n1, &to, &asked, "refused", AFF_EAGAIN);
        uint64_t broken = peer_stats_of(n1).broken;
        aff_virtual_clock_advance(&f->clock, waits_ms[i] * AFF_NS_PER_MS - 1);
        peer_run(f, 1);
        peer_expect(n1, &to, &asked, "at once", AFF_EAGAIN);
        assert_int_equal(peer_stats_of(n1).broken, broken); /* and nothing was tried */
        aff_virtual_clock_advance(&f->clock, 1);
        peer_run(f, 1);
    }
}

/* Where the other side closes, seen from it. */
enum stage { BEFORE_HELLO, IN_HELLO, AFTER_HELLO, AFTER_QUESTION, IN_ANSWER };

static void break_at(struct peer_fixture *f, enum stage stage, bool reset)
{
    struct peer_node *n1 = &f->nodes[0];
    struct peer_raw raw;
    struct peer_asked asked;
    struct aff_buf in;
    struct aff_frame frame;
    char member[32];
    const struct linger now = { .l_onoff = 1 };

    aff_buf_init(&in);
    peer_raw_listen(&raw, 0);
    (void)snprintf(member, sizeof member, "n%d-%010d", (int)stage + 2, reset);
    struct aff_peer_to to = { .member = member, .address = raw.address };
    peer_ask(n1, &to, &asked, "hello");
    if (stage == BEFORE_HELLO) {
        peer_run(f, 2);
        peer_raw_accept(&raw);
    } else {
        accept_stream(f, &raw, &in);
    }
    if (stage == IN_HELLO)
        peer_raw_send(&raw, aff_bytes_of("\0\0\0\x2f\1\0\0", 7));
    if (stage >= AFTER_HELLO)
        peer_raw_hello(&raw, "test", member);
    if (stage >= AFTER_QUESTION) {
        (void)peer_raw_frame(f, &raw, &in, &frame);
        assert_int_equal(frame.type, AFF_FRAME_QUESTION);
    }
    if (stage == IN_ANSWER)
        peer_raw_send(&raw, aff_bytes_of("\0\0\0\x12\3\0\0\0\0\0\0\0", 12));
    if (reset)
        assert_int_equal(setsockopt(raw.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    peer_raw_close(&raw);
    peer_run_until_answered(f, &asked, 1);
    if (stage == AFTER_HELLO) /* HELLO may have been read before the end was, and the question sent */
        assert_true(asked.code == AFF_EAGAIN || asked.code == AFF_EUNKNOWN);
    else
        assert_int_equal(asked.code, stage >= AFTER_QUESTION ? AFF_EUNKNOWN : AFF_EAGAIN);
    assert_true(aff_peers_quiet(n1->peers));
    assert_int_equal(peer_stats_of(n1).streams, 0);
    aff_buf_fini(&in);
}

static void a_stream_may_break_anywhere(void **state)
{
    for (enum stage stage = BEFORE_HELLO; stage <= IN_ANSWER; stage++) {
        break_at(*state, stage, false);
        break_at(*state, stage, true);
    }
}

/* ---- what was written, and what was not ---- */

enum { QUESTIONS = 200, BODY = 20 * 1000 };

/* Which of the questions are whole in what arrived. */
static void mark_arrived(const struct aff_buf *in, bool arrived[QUESTIONS])
{
    size_t at = 0;
    for (;;) {
        struct aff_frame frame;
        size_t size;
        const char *why = NULL;
        ssize_t n = aff_frame_read(aff_bytes_of(in->data + at, in->len - at), &frame, &size, &why);
        assert_true(n >= 0);
        if (n == 0)
            return;
        at += (size_t)n;
        if (frame.type == AFF_FRAME_QUESTION)
            arrived[aff_get_u32(frame.body.data)] = true;
        else
            assert_true(frame.type == AFF_FRAME_VOID || frame.type == AFF_FRAME_PING);
    }
}

static void ask_many(struct peer_node *n1, const struct aff_peer_to *to, struct peer_asked asked[QUESTIONS])
{
    static unsigned char body[BODY];
    for (uint32_t i = 0; i < QUESTIONS; i++) {
        aff_put_u32(body, i);
        peer_ask_bytes(n1, to, &asked[i], aff_bytes_of(body, sizeof body), (1 + i % 3) * AFF_NS_PER_S);
    }
}

/*
 * The socket takes a part of the questions. Some deadlines pass and some questions are forgotten. The test reads what arrived and closes:
 * whoever was told AFF_EAGAIN must not be among it.
 */
static void what_was_told_not_to_be_handled_was_not_received(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_node *n1 = &f->nodes[0];
    struct peer_raw raw;
    static struct peer_asked asked[QUESTIONS];
    bool arrived[QUESTIONS] = { false };
    struct aff_buf in;
    int codes[3] = { 0 };

    aff_buf_init(&in);
    peer_raw_listen(&raw, 8192);
    struct aff_peer_to to = to_raw(&raw);
    ask_many(n1, &to, asked);
    accept_stream(f, &raw, &in);
    peer_raw_hello(&raw, "test", to.member);
    peer_run(f, 20); /* the socket is full */
    for (int i = 0; i < QUESTIONS; i += 10)
        aff_peers_forget(n1->peers, &asked[i].call);
    aff_virtual_clock_advance(&f->clock, AFF_NS_PER_S); /* a third of them is late */
    peer_run(f, 2);
    for (int i = 0; i < 10; i++) { /* the rest goes on a little */
        assert_true(peer_raw_read(&raw, &in));
        peer_run(f, 1);
    }
    assert_int_equal(shutdown(raw.fd, SHUT_WR), 0); /* n1 reads the end, and closes */
    while (peer_raw_read(&raw, &in))
        peer_run(f, 1);
    mark_arrived(&in, arrived);
    for (int i = 0; i < QUESTIONS; i++) {
        if (i % 10 == 0) {
            assert_int_equal(asked[i].times, 0);
            continue;
        }
        assert_int_equal(asked[i].times, 1);
        if (asked[i].code == AFF_EAGAIN && arrived[i])
            fail_msg("question %d was received, and is said not to have been", i);
        assert_true(asked[i].code == AFF_EAGAIN || asked[i].code == AFF_EUNKNOWN);
        codes[asked[i].code == AFF_EAGAIN]++;
    }
    assert_true(codes[0] > 0);
    assert_true(codes[1] > 0);
    peer_raw_close(&raw);
    aff_buf_fini(&in);
}

/* A question of which a part has left cannot be taken back: it is sent to its end, and the frames after it are in step. */
static void frames_stay_whole_when_questions_are_given_up(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_node *n1 = &f->nodes[0];
    struct peer_raw raw;
    static struct peer_asked asked[QUESTIONS];
    struct peer_asked last;
    bool arrived[QUESTIONS] = { false };
    struct aff_buf in;
    int count = 0;

    aff_buf_init(&in);
    peer_raw_listen(&raw, 8192);
    struct aff_peer_to to = to_raw(&raw);
    ask_many(n1, &to, asked);
    accept_stream(f, &raw, &in);
    peer_raw_hello(&raw, "test", to.member);
    peer_run(f, 20);
    for (int i = 0; i < QUESTIONS; i++)
        aff_peers_forget(n1->peers, &asked[i].call);
    peer_ask(n1, &to, &last, "after them");
    size_t whole = QUESTIONS * (BODY + (size_t)AFF_FRAME_QUESTION_HEAD) + 10 + AFF_FRAME_QUESTION_HEAD;
    while (in.len < whole) {
        assert_true(peer_raw_read(&raw, &in));
        peer_run(f, 1);
    }
    aff_bytes end = aff_bytes_of(in.data + in.len - 10, 10);
    assert_true(aff_bytes_equal(end, aff_str("after them")));
    in.len -= 10 + AFF_FRAME_QUESTION_HEAD; /* the last is no numbered one */
    mark_arrived(&in, arrived);
    for (int i = 0; i < QUESTIONS; i++)
        count += arrived[i];
    assert_true(count > 0 && count < QUESTIONS);
    aff_peers_forget(n1->peers, &last.call);
    peer_raw_close(&raw);
    aff_buf_fini(&in);
}

/* ---- what the other side may not do ---- */

static void open_stream(struct peer_fixture *f, struct peer_raw *raw, struct peer_asked *asked, struct aff_buf *in,
                        struct aff_frame *ret_question)
{
    struct aff_peer_to to = to_raw(raw);
    peer_ask(&f->nodes[0], &to, asked, "hello");
    accept_stream(f, raw, in);
    peer_raw_hello(raw, "test", to.member);
    (void)peer_raw_frame(f, raw, in, ret_question);
    assert_int_equal(ret_question->type, AFF_FRAME_QUESTION);
}

static void an_answer_that_is_none_ends_the_stream(void **state)
{
    static const struct {
        struct aff_frame frame;
        const char *reason;
    } wrongs[] = {
        { { .type = AFF_FRAME_QUESTION, .left_us = 1000 }, "has no place here" },
        { { .type = AFF_FRAME_HELLO }, "has no place here" },
        { { .type = AFF_FRAME_TURN_AWAY }, "has no place here" },
        { { .type = AFF_FRAME_VOID }, "has no place here" },
        { { .type = AFF_FRAME_TYPES }, "of a type" },
    };
    struct peer_fixture *f = *state;
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
        struct peer_raw raw;
        struct peer_asked asked;
        struct aff_frame question;
        struct aff_buf in;
        aff_buf_init(&in);
        peer_raw_listen(&raw, 0);
        open_stream(f, &raw, &asked, &in, &question);
        peer_raw_send_frame(&raw, &wrongs[i].frame, aff_bytes_of("", 0));
        peer_run_until_answered(f, &asked, 1);
        assert_int_equal(asked.code, AFF_EUNKNOWN);
        assert_true(peer_logged(f, wrongs[i].reason));
        peer_raw_close(&raw);
        aff_buf_fini(&in);
        aff_virtual_clock_advance(&f->clock, 3 * AFF_NS_PER_S);
        peer_run(f, 1);
    }
}

static void answers_to_nobody_are_left_alone(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_raw raw;
    struct peer_asked asked;
    struct aff_frame question;
    struct aff_buf in;
    aff_buf_init(&in);
    peer_raw_listen(&raw, 0);
    open_stream(f, &raw, &asked, &in, &question);
    struct aff_frame answer = { .type = AFF_FRAME_ANSWER, .id = question.id + 77 };
    peer_raw_send_frame(&raw, &answer, aff_str("who asked?"));
    answer.type = AFF_FRAME_REFUSED;
    peer_raw_send_frame(&raw, &answer, aff_bytes_of("", 0));
    answer.type = AFF_FRAME_ANSWER;
    answer.id = question.id;
    peer_raw_send_frame(&raw, &answer, aff_str("you"));
    peer_run_until_answered(f, &asked, 1);
    assert_int_equal(asked.code, 0);
    assert_string_equal(asked.answer, "you");
    peer_raw_send_frame(&raw, &answer, aff_str("you")); /* twice */
    peer_run(f, 3);
    assert_int_equal(asked.times, 1);
    peer_raw_close(&raw);
    aff_buf_fini(&in);
}

static void an_answer_may_come_byte_by_byte(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_raw raw;
    struct peer_asked asked;
    struct aff_frame question;
    struct aff_buf in;
    unsigned char frame[AFF_FRAME_QUESTION_HEAD + 8];
    aff_buf_init(&in);
    peer_raw_listen(&raw, 0);
    open_stream(f, &raw, &asked, &in, &question);
    struct aff_frame answer = { .type = AFF_FRAME_ANSWER, .id = question.id };
    size_t len = aff_frame_head(frame, &answer, 6);
    memcpy(frame + len, "slowly", 6);
    for (size_t i = 0; i < len + 6; i++) {
        assert_int_equal(asked.times, 0);
        peer_raw_send(&raw, aff_bytes_of(frame + i, 1));
        peer_run(f, 2);
    }
    peer_run_until_answered(f, &asked, 1);
    assert_string_equal(asked.answer, "slowly");
    peer_raw_close(&raw);
    aff_buf_fini(&in);
}

/* ---- silence ---- */

static void silence_is_asked_about_and_then_ends_the_stream(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_raw raw;
    struct peer_asked asked;
    struct aff_frame frame;
    struct aff_buf in;
    aff_buf_init(&in);
    peer_raw_listen(&raw, 0);
    open_stream(f, &raw, &asked, &in, &frame);
    peer_raw_drop(&in, in.len);
    for (int round = 0; round < 3; round++) { /* somebody is there: it may take as long as it likes */
        for (int i = 0; i < 5; i++) {
            aff_virtual_clock_advance(&f->clock, 250 * AFF_NS_PER_MS);
            peer_run(f, 1);
        }
        ssize_t size = peer_raw_frame(f, &raw, &in, &frame);
        assert_int_equal(frame.type, AFF_FRAME_PING);
        peer_raw_drop(&in, (size_t)size);
        peer_raw_send_frame(&raw, &(struct aff_frame){ .type = AFF_FRAME_PONG }, aff_bytes_of("", 0));
        peer_run(f, 3);
    }
    assert_int_equal(asked.times, 0);
    for (int i = 0; i < 18; i++) {
        aff_virtual_clock_advance(&f->clock, 250 * AFF_NS_PER_MS);
        peer_run(f, 1);
    }
    peer_run_until_answered(f, &asked, 1);
    assert_int_equal(asked.code, AFF_EUNKNOWN);
    assert_true(peer_logged(f, "nothing was heard for 4 s"));
    peer_raw_close(&raw);
    aff_buf_fini(&in);
}

static void an_idle_stream_is_left_alone(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_node *n1 = &f->nodes[0], *n2 = peer_node_add(f, "n2", NULL);
    struct peer_asked asked;
    peer_expect(n1, &n2->to, &asked, "hello", 0);
    for (int i = 0; i < 100; i++) {
        aff_virtual_clock_advance(&f->clock, AFF_NS_PER_S);
        peer_run(f, 1);
    }
    uint64_t bytes = peer_stats_of(n1).bytes_out;
    assert_int_equal(peer_stats_of(n1).streams, 1);
    peer_expect(n1, &n2->to, &asked, "hello", 0); /* the silence before it does not count */
    assert_int_equal(peer_stats_of(n1).bytes_out, bytes + AFF_FRAME_QUESTION_HEAD + 5);
}

/* A node answers PING also to who is no node of ours. */
static void a_ping_is_answered(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_raw raw;
    struct aff_frame frame;
    struct aff_buf in;
    aff_buf_init(&in);
    peer_raw_connect(&raw, f->nodes[0].to.address);
    peer_raw_hello(&raw, "test", "n9-0000000009");
    ssize_t size = peer_raw_frame(f, &raw, &in, &frame);
    assert_int_equal(frame.type, AFF_FRAME_HELLO);
    peer_raw_drop(&in, (size_t)size);
    peer_raw_send_frame(&raw, &(struct aff_frame){ .type = AFF_FRAME_VOID }, aff_str("withdrawn"));
    peer_raw_send_frame(&raw, &(struct aff_frame){ .type = AFF_FRAME_PING }, aff_bytes_of("", 0));
    (void)peer_raw_frame(f, &raw, &in, &frame);
    assert_int_equal(frame.type, AFF_FRAME_PONG);
    assert_int_equal(f->nodes[0].served, 0);
    peer_raw_close(&raw);
    peer_run_until_logged(f, "the other side closed it");
    aff_buf_fini(&in);
}

/* ---- after a break ---- */

static void a_stream_that_worked_is_opened_again_at_once(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_node *n1 = &f->nodes[0];
    struct peer_raw raw;
    struct peer_asked asked;
    struct aff_frame frame;
    struct aff_buf in;
    aff_buf_init(&in);
    peer_raw_listen(&raw, 0);
    open_stream(f, &raw, &asked, &in, &frame);
    aff_virtual_clock_advance(&f->clock, AFF_NS_PER_S);
    (void)close(raw.fd);
    peer_run_until_answered(f, &asked, 1);
    peer_raw_drop(&in, in.len);
    open_stream(f, &raw, &asked, &in, &frame);
    aff_peers_forget(n1->peers, &asked.call);
    peer_raw_close(&raw);
    aff_buf_fini(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nobody_listens, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_node_that_does_not_answer_is_left_alone_for_a_while, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stream_may_break_anywhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_told_not_to_be_handled_was_not_received, set_up, tear_down),
        cmocka_unit_test_setup_teardown(frames_stay_whole_when_questions_are_given_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_answer_that_is_none_ends_the_stream, set_up, tear_down),
        cmocka_unit_test_setup_teardown(answers_to_nobody_are_left_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_answer_may_come_byte_by_byte, set_up, tear_down),
        cmocka_unit_test_setup_teardown(silence_is_asked_about_and_then_ends_the_stream, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_idle_stream_is_left_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_ping_is_answered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stream_that_worked_is_opened_again_at_once, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
