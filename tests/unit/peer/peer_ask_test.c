/*
 * peer_ask_test.c - questions and answers between two nodes: many at a time, both bounds, deadlines, forgetting, drain, a new name.
 * All of it over plain TCP, and again under TLS.
 */
#include "fixture.h"

#include <string.h>

static bool under_tls;

static int set_up(void **state)
{
    struct peer_fixture *f = peer_fixture_new(under_tls);
    (void)peer_node_add(f, "n1", NULL);
    (void)peer_node_add(f, "n2", NULL);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    *state = peer_fixture_free(*state);
    return 0;
}

/* ---- the usual ---- */

static void a_question_is_answered(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_node *n1 = &f->nodes[0], *n2 = &f->nodes[1];
    struct peer_asked asked;
    peer_expect(n1, &n2->to, &asked, "hello", 0);
    assert_string_equal(asked.answer, "7:hello");
    assert_true(aff_peers_quiet(n1->peers) && aff_peers_quiet(n2->peers));
    struct aff_peers_stats asking = peer_stats_of(n1), serving = peer_stats_of(n2);
    assert_int_equal(asking.asked, 1);
    assert_int_equal(asking.streams, 1);
    assert_int_equal(serving.answered, 1);
    assert_int_equal(serving.streams, 1);
    assert_int_equal(asking.bytes_out, serving.bytes_in);
    assert_int_equal(asking.bytes_in, serving.bytes_out);
}

static void the_one_who_answers_knows_who_asks(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_node *n1 = &f->nodes[0], *n2 = &f->nodes[1];
    struct peer_asked asked;
    n2->manner = PEER_HOLDS;
    peer_ask_bytes(n1, &n2->to, &asked, aff_str("who"), AFF_NS_PER_S);
    peer_run_until_held(n2, 1);
    assert_string_equal(n2->held[0]->member, "n1-0000000001");
    assert_int_equal(n2->held[0]->features, 5);
    assert_int_equal(n2->held[0]->kind, 7);
    assert_true(aff_bytes_equal(n2->held[0]->body, aff_str("who")));
    assert_int_equal(n2->last_left_ns, AFF_NS_PER_S);
    assert_false(aff_peers_quiet(n1->peers) || aff_peers_quiet(n2->peers));
    aff_peer_answer(n2->held[--n2->held_count], NULL, 0);
    peer_run_until_answered(f, &asked, 1);
    assert_int_equal(asked.code, 0);
    assert_int_equal(asked.answer_len, 0);
}

static void both_ask_each_other(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_asked asked[2];
    peer_ask(&f->nodes[0], &f->nodes[1].to, &asked[0], "there");
    peer_ask(&f->nodes[1], &f->nodes[0].to, &asked[1], "back");
    peer_run_until_answered(f, asked, 2);
    assert_string_equal(asked[0].answer, "7:there");
    assert_string_equal(asked[1].answer, "7:back");
}

static void a_node_asks_itself(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_asked asked;
    peer_expect(&f->nodes[0], &f->nodes[0].to, &asked, "me", 0);
    assert_string_equal(asked.answer, "7:me");
}

static void thousands_go_by_one_stream(void **state)
{
    enum { MANY = 8000 };
    struct peer_fixture *f = *state;
    struct peer_node *n1 = &f->nodes[0], *n2 = &f->nodes[1];
    struct peer_asked *asked = calloc(MANY, sizeof *asked);
    assert_non_null(asked);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MANY; i++) {
            char body[32];
            (void)snprintf(body, sizeof body, "%d.%d", round, i);
            peer_ask(n1, &n2->to, &asked[i], body);
        }
        peer_run_until_answered(f, asked, MANY);
        for (int i = 0; i < MANY; i++) {
            char wanted[40];
            (void)snprintf(wanted, sizeof wanted, "7:%d.%d", round, i);
            assert_int_equal(asked[i].code, 0);
            assert_string_equal(asked[i].answer, wanted);
        }
    }
    assert_int_equal(peer_stats_of(n1).streams, 1);
    assert_int_equal(n2->served, 3 * MANY);
    free(asked);
}

static void answers_come_in_any_order(void **state)
{
    enum { FEW = 100 };
    struct peer_fixture *f = *state;
    struct peer_node *n1 = &f->nodes[0], *n2 = &f->nodes[1];
    struct peer_asked asked[FEW];
    n2->manner = PEER_HOLDS;
    for (int i = 0; i < FEW; i++) {
        char body[8];
        (void)snprintf(body, sizeof body, "%d", i);
        peer_ask(n1, &n2->to, &asked[i], body);
    }
    peer_run_until_held(n2, FEW);
    while (n2->held_count > 0) {
        struct aff_peer_question *question = n2->held[--n2->held_count];
        aff_peer_answer(question, &question->body, 1);
    }
    peer_run_until_answered(f, asked, FEW);
    for (int i = 0; i < FEW; i++)
        assert_int_equal(strtol(asked[i].answer, NULL, 10), i);
}

static void an_answer_that_is_ready_leaves_in_its_pass(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_node *n1 = &f->nodes[0], *n2 = &f->nodes[1];
    struct peer_asked asked;
    peer_expect(n1, &n2->to, &asked, "first", 0); /* the stream is open */
    n2->manner = PEER_HOLDS;
    peer_ask(n1, &n2->to, &asked, "second");
    peer_run_until_held(n2, 1);
    aff_peer_answer(n2->held[--n2->held_count], NULL, 0);
    assert_true(aff_loop_pass(n2->loop, 0));
    assert_true(aff_peers_quiet(n2->peers)); /* nothing is left to be written */
    peer_run_until_answered(f, &asked, 1);
}

static void large_bodies_go_through(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_node *n1 = &f->nodes[0], *n2 = &f->nodes[1];
    const size_t most = AFF_PEER_FRAME_MAX - 64;
    char *body = malloc(AFF_PEER_FRAME_MAX);
    struct peer_asked asked[3];
    assert_non_null(body);
    memset(body, 'x', AFF_PEER_FRAME_MAX);
    for (int i = 0; i < 3; i++)
        peer_ask_bytes(n1, &n2->to, &asked[i], aff_bytes_of(body, most >> (8 * i)), AFF_NS_PER_S);
    peer_run_until_answered(f, asked, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(asked[i].code, 0);
        assert_int_equal(asked[i].answer_len, (most >> (8 * i)) + 2);
    }
    peer_ask_bytes(n1, &n2->to, &asked[0], aff_bytes_of(body, AFF_PEER_FRAME_MAX), AFF_NS_PER_S);
    peer_run_until_answered(f, asked, 1);
    assert_int_equal(asked[0].code, AFF_ETOOLARGE);
    assert_int_equal(n2->served, 3);
    free(body);
}

static void an_answer_that_fits_no_frame_is_unknown(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_node *n1 = &f->nodes[0], *n2 = &f->nodes[1];
    char *body = calloc(1, AFF_PEER_FRAME_MAX);
    struct peer_asked asked;
    assert_non_null(body);
    n2->manner = PEER_HOLDS;
    peer_ask(n1, &n2->to, &asked, "long, please");
    peer_run_until_held(n2, 1);
    aff_bytes answer = aff_bytes_of(body, AFF_PEER_FRAME_MAX);
    aff_peer_answer(n2->held[--n2->held_count], &answer, 1);
    peer_run_until_answered(f, &asked, 1);
    assert_int_equal(asked.code, AFF_EUNKNOWN);
    assert_true(peer_logged(f, "it does not fit into a frame"));
    free(body);
}

static void what_is_refused_was_not_handled(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_asked asked;
    f->nodes[1].manner = PEER_REFUSES;
    peer_expect(&f->nodes[0], &f->nodes[1].to, &asked, "please", AFF_EAGAIN);
    assert_int_equal(peer_stats_of(&f->nodes[1]).refused, 1);
}

/* ---- bounds ---- */

static void a_stream_takes_so_many_questions(void **state)
{
    struct peer_fixture *f = *state;
    struct aff_peers_opts opts = { .cluster = "test", .questions = 3 };
    struct peer_node *n3 = peer_node_add(f, "n3", &opts), *n2 = &f->nodes[1];
    struct peer_asked asked[4];
    n2->manner = PEER_HOLDS;
    for (int i = 0; i < 4; i++)
        peer_ask(n3, &n2->to, &asked[i], "wait");
    peer_run_until_answered(f, &asked[3], 1);
    assert_int_equal(asked[3].code, AFF_EQUEUEFULL);
    peer_run_until_held(n2, 3);
    while (n2->held_count > 0)
        aff_peer_answer(n2->held[--n2->held_count], NULL, 0);
    peer_run_until_answered(f, asked, 3);
    peer_ask(n3, &n2->to, &asked[3], "now"); /* there is room again */
    peer_run_until_held(n2, 1);
    aff_peers_forget(n3->peers, &asked[3].call);
}

static void a_node_answers_so_many_questions_at_a_time(void **state)
{
    struct peer_fixture *f = *state;
    struct aff_peers_opts opts = { .cluster = "test", .questions = 3 };
    struct peer_node *n3 = peer_node_add(f, "n3", &opts), *n1 = &f->nodes[0];
    struct peer_asked asked[4];
    n3->manner = PEER_HOLDS;
    for (int i = 0; i < 4; i++)
        peer_ask(n1, &n3->to, &asked[i], "wait");
    peer_run_until_answered(f, &asked[3], 1);
    assert_int_equal(asked[3].code, AFF_EQUEUEFULL);
    assert_int_equal(n3->held_count, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(asked[i].times, 0);
        aff_peers_forget(n1->peers, &asked[i].call);
    }
}

static void so_many_bytes_wait_to_be_written(void **state)
{
    enum { EACH = 100 * 1000, QUESTIONS = 64 };
    struct peer_fixture *f = *state;
    struct aff_peers_opts opts = { .cluster = "test", .bytes = 1000 * 1000 };
    struct peer_node *n3 = peer_node_add(f, "n3", &opts), *n2 = &f->nodes[1];
    static char body[EACH];
    struct peer_asked asked[QUESTIONS];
    for (int i = 0; i < QUESTIONS; i++) /* no pass between them: nothing is written */
        peer_ask_bytes(n3, &n2->to, &asked[i], aff_bytes_of(body, EACH), AFF_NS_PER_S);
    peer_run_until_answered(f, asked, QUESTIONS);
    for (int i = 0; i < QUESTIONS; i++)
        assert_int_equal(asked[i].code, i < 9 ? 0 : AFF_EQUEUEFULL);
}

/* n3 answers more than it may have waiting: it stops reading questions, and no answer is lost. */
static void answers_that_nobody_reads_stop_the_reading(void **state)
{
    enum { EACH = 50 * 1000, QUESTIONS = 2000 };
    struct peer_fixture *f = *state;
    struct aff_peers_opts opts = { .cluster = "test", .bytes = 2000 * 1000 };
    struct peer_node *n3 = peer_node_add(f, "n3", &opts), *n1 = &f->nodes[0];
    static char body[EACH];
    struct peer_asked *asked = calloc(QUESTIONS, sizeof *asked);
    assert_non_null(asked);
    size_t sent = 0;
    for (int i = 0; i < QUESTIONS; i++) { /* n1 writes and does not read */
        peer_ask_bytes(n1, &n3->to, &asked[i], aff_bytes_of(body, EACH), AFF_NS_PER_S);
        if (i < 3)
            peer_run(f, 20); /* opens the stream */
        assert_true(aff_loop_pass(n3->loop, 0));
    }
    peer_run_until_answered(f, asked, QUESTIONS);
    for (int i = 0; i < QUESTIONS; i++) {
        assert_true(asked[i].code == 0 || asked[i].code == AFF_EQUEUEFULL);
        sent += asked[i].code == 0;
    }
    assert_int_equal(n3->served, sent);
    free(asked);
}

/* ---- deadlines ---- */

static void nobody_waits_beyond_the_deadline(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_node *n1 = &f->nodes[0], *n2 = &f->nodes[1];
    struct peer_asked asked[2];
    n2->manner = PEER_HOLDS;
    peer_ask_bytes(n1, &n2->to, &asked[0], aff_str("soon"), AFF_NS_PER_S);
    peer_ask_bytes(n1, &n2->to, &asked[1], aff_str("later"), 2 * AFF_NS_PER_S);
    peer_run_until_held(n2, 2);
    aff_virtual_clock_advance(&f->clock, AFF_NS_PER_S);
    peer_run_until_answered(f, asked, 1);
    assert_int_equal(asked[0].code, AFF_EUNKNOWN);
    assert_int_equal(asked[1].times, 0);
    for (; n2->held_count > 0;)
        aff_peer_answer(n2->held[--n2->held_count], NULL, 0);
    peer_run_until_answered(f, &asked[1], 1);
    assert_int_equal(asked[1].code, 0);
    assert_int_equal(asked[0].times, 1); /* the late answer went nowhere */
    assert_true(aff_peers_quiet(n1->peers));
}

static void a_question_that_is_late_already_is_not_asked(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_asked asked;
    peer_ask_bytes(&f->nodes[0], &f->nodes[1].to, &asked, aff_str("late"), 0);
    peer_run_until_answered(f, &asked, 1);
    assert_int_equal(asked.code, AFF_EAGAIN);
}

/* What waits for HELLO is told what is left when it leaves, not when it was asked. */
static void time_spent_on_opening_counts(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_node *n1 = &f->nodes[0], *n2 = &f->nodes[1];
    struct peer_asked asked[2];
    peer_ask_bytes(n1, &n2->to, &asked[0], aff_str("a"), 10 * AFF_NS_PER_S);
    aff_virtual_clock_advance(&f->clock, AFF_NS_PER_S);
    assert_true(aff_loop_pass(n1->loop, 0));
    peer_ask_bytes(n1, &n2->to, &asked[1], aff_str("b"), 20 * AFF_NS_PER_S);
    peer_run_until_answered(f, asked, 1);
    peer_run_until_answered(f, &asked[1], 1);
    assert_int_equal(n2->last_left_ns, 20 * AFF_NS_PER_S);
    assert_int_equal(asked[0].code, 0);
}

/* ---- forgetting ---- */

static void what_is_forgotten_is_not_answered(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_node *n1 = &f->nodes[0], *n2 = &f->nodes[1];
    struct peer_asked asked[3];
    n2->manner = PEER_HOLDS;
    peer_ask(n1, &n2->to, &asked[0], "written");
    peer_run_until_held(n2, 1);
    aff_peers_forget(n1->peers, &asked[0].call);
    peer_ask(n1, &n2->to, &asked[1], "not written yet");
    aff_peers_forget(n1->peers, &asked[1].call);
    peer_ask_bytes(n1, &n2->to, &asked[2], aff_str("rejected"), 0);
    aff_peers_forget(n1->peers, &asked[2].call);
    aff_peer_answer(n2->held[--n2->held_count], NULL, 0);
    n2->manner = PEER_ECHOES;
    struct peer_asked last;
    peer_expect(n1, &n2->to, &last, "after", 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(asked[i].times, 0);
    assert_int_equal(n2->served, 2); /* what was withdrawn in time never arrived */
    assert_true(aff_peers_quiet(n1->peers));
}

/* ---- before, after ---- */

static void a_node_without_a_name_asks_nobody(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_node *n1 = &f->nodes[0], *n3 = peer_node_add(f, "n3", NULL);
    struct peer_asked asked;
    n3->peers = aff_peers_free(n3->peers);
    struct aff_peers_opts opts = { .loop = n3->loop, .cluster = "test", .tls = f->tls };
    assert_int_equal(aff_peers_new(&opts, &n3->peers, NULL), 0);
    peer_expect(n3, &n1->to, &asked, "early", AFF_EAGAIN);
    aff_peers_name(n3->peers, "n3-0000000001");
    peer_expect(n3, &n1->to, &asked, "named", 0);
}

static void a_node_that_drains_answers_what_was_asked(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_node *n1 = &f->nodes[0], *n2 = &f->nodes[1];
    struct peer_asked before, crossing, after, own;
    n2->manner = PEER_HOLDS;
    peer_ask(n1, &n2->to, &before, "before");
    peer_run_until_held(n2, 1);
    aff_peers_drain(n2->peers);
    peer_ask(n1, &n2->to, &crossing, "crosses the GOODBYE");
    assert_true(aff_loop_pass(n1->loop, 0));
    peer_run_until_answered(f, &crossing, 1);
    assert_int_equal(crossing.code, AFF_EAGAIN);
    peer_run(f, 4);
    peer_expect(n1, &n2->to, &after, "after", AFF_EAGAIN);
    assert_int_equal(before.times, 0);
    peer_expect(n2, &n1->to, &own, "it may ask", 0);
    aff_peer_answer(n2->held[--n2->held_count], NULL, 0);
    peer_run_until_answered(f, &before, 1);
    assert_int_equal(before.code, 0);
    assert_true(aff_peers_quiet(n2->peers));
}

static void a_node_that_drains_turns_new_streams_away(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_asked asked;
    aff_peers_drain(f->nodes[1].peers);
    peer_expect(&f->nodes[0], &f->nodes[1].to, &asked, "hello", AFF_EAGAIN);
    assert_true(peer_logged(f, "this node is being drained"));
}

/* Another incarnation of this process: who asks the old one is told so; what is under way is answered. */
static void a_new_name_ends_the_streams_gently(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_node *n1 = &f->nodes[0], *n2 = &f->nodes[1];
    struct peer_asked before, own, after, renamed;
    struct aff_peer_to to = { .member = "n2-0000000002", .address = n2->to.address };
    n1->manner = n2->manner = PEER_HOLDS;
    peer_ask(n1, &n2->to, &before, "to the old one");
    peer_ask(n2, &n1->to, &own, "by the old one");
    peer_run_until_held(n1, 1);
    peer_run_until_held(n2, 1);
    aff_peers_name(n2->peers, "n2-0000000002");
    peer_run(f, 4);
    peer_expect(n1, &n2->to, &after, "to the old one", AFF_EAGAIN);
    aff_peer_answer(n2->held[--n2->held_count], NULL, 0);
    aff_peer_answer(n1->held[--n1->held_count], NULL, 0);
    peer_run_until_answered(f, &before, 1);
    peer_run_until_answered(f, &own, 1);
    assert_int_equal(before.code, 0);
    assert_int_equal(own.code, 0);
    n2->manner = PEER_ECHOES;
    peer_expect(n1, &to, &renamed, "to the new one", 0);
}

static void what_is_under_way_ends_with_the_peers(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_node *n1 = &f->nodes[0], *n2 = &f->nodes[1];
    struct peer_asked asked[2];
    n2->manner = PEER_HOLDS;
    peer_ask(n1, &n2->to, &asked[0], "written");
    peer_run_until_held(n2, 1);
    peer_ask(n1, &n2->to, &asked[1], "not written");
    n1->peers = aff_peers_free(n1->peers);
    assert_int_equal(asked[0].times, 1);
    assert_int_equal(asked[0].code, AFF_EUNKNOWN);
    assert_int_equal(asked[1].times, 1);
    assert_int_equal(asked[1].code, AFF_EAGAIN);
    peer_run_until_logged(f, "the other side closed it");
    assert_false(aff_peers_quiet(n2->peers)); /* its question is still to be answered, to nobody */
    aff_peer_answer(n2->held[--n2->held_count], NULL, 0);
    assert_true(aff_peers_quiet(n2->peers));
}

static void a_question_outlives_the_peers_that_it_came_to(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_node *n1 = &f->nodes[0], *n2 = &f->nodes[1];
    struct peer_asked asked;
    n2->manner = PEER_HOLDS;
    peer_ask(n1, &n2->to, &asked, "anybody there?");
    peer_run_until_held(n2, 1);
    n2->listener = aff_peer_listener_free(n2->listener);
    n2->peers = aff_peers_free(n2->peers);
    assert_true(aff_bytes_equal(n2->held[0]->body, aff_str("anybody there?")));
    aff_peer_answer(n2->held[--n2->held_count], NULL, 0);
    peer_run_until_answered(f, &asked, 1);
    assert_int_equal(asked.code, AFF_EUNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_question_is_answered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_one_who_answers_knows_who_asks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(both_ask_each_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_node_asks_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(thousands_go_by_one_stream, set_up, tear_down),
        cmocka_unit_test_setup_teardown(answers_come_in_any_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_answer_that_is_ready_leaves_in_its_pass, set_up, tear_down),
        cmocka_unit_test_setup_teardown(large_bodies_go_through, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_answer_that_fits_no_frame_is_unknown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_refused_was_not_handled, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stream_takes_so_many_questions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_node_answers_so_many_questions_at_a_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(so_many_bytes_wait_to_be_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(answers_that_nobody_reads_stop_the_reading, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_waits_beyond_the_deadline, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_question_that_is_late_already_is_not_asked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(time_spent_on_opening_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_forgotten_is_not_answered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_node_without_a_name_asks_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_node_that_drains_answers_what_was_asked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_node_that_drains_turns_new_streams_away, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_new_name_ends_the_streams_gently, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_under_way_ends_with_the_peers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_question_outlives_the_peers_that_it_came_to, set_up, tear_down),
    };
    int failed = cmocka_run_group_tests_name("over plain TCP", tests, NULL, NULL);
    under_tls = true;
    return failed + cmocka_run_group_tests_name("under TLS", tests, NULL, NULL);
}
