/*
 * peer_fence_test.c - a late copy: what was asked on a stream that was given up is not handled after what was asked on the next one (I10).
 * A node with two loops of its own that are run by hand answers; or a socket of the test does, to see what an asker says.
 */
#include "fixture.h"

#include <string.h>

/* ---- a node of two loops ---- */

enum { LOOPS = 2 };

struct wide_node {
    struct peer_fixture *fixture;
    struct aff_loop *loops[LOOPS];
    struct aff_peers *peers[LOOPS];
    struct aff_peer_listener *listener;
    struct aff_peer_to to;
    char served[64]; /* bodies, in the order in which they were handled */
};

static void serve(void *self, struct aff_peer_question *question)
{
    struct wide_node *n = self;
    size_t len = strlen(n->served);
    assert_true(len + question->body.len < sizeof n->served);
    memcpy(n->served + len, question->body.data, question->body.len);
    n->served[len + question->body.len] = '\0';
    aff_peer_answer(question, &question->body, 1);
}

static void wide_start(struct peer_fixture *f, struct wide_node *n)
{
    static const char member[] = "n9-0000000001";
    *n = (struct wide_node){ .fixture = f };
    for (unsigned i = 0; i < LOOPS; i++) {
        struct aff_loop_opts loop_opts = { .name = "peer", .index = i, .clock = &f->clock.clock, .logger = &f->logger };
        assert_int_equal(aff_loop_new(&loop_opts, &n->loops[i], NULL), 0);
        struct aff_peers_opts opts = { .loop = n->loops[i], .cluster = "test", .tls = f->tls, .serve = serve, .self = n };
        assert_int_equal(aff_peers_new(&opts, &n->peers[i], NULL), 0);
        aff_peers_name(n->peers[i], member);
    }
    struct aff_peer_listener_opts opts = {
        .host = "127.0.0.1", .loop = n->loops[0], .peers = n->peers, .peers_count = LOOPS
    };
    assert_int_equal(aff_peer_listener_new(&opts, &n->listener, NULL), 0);
    n->to = (struct aff_peer_to){ .member = member, .address = aff_peer_listener_address(n->listener) };
}

static void wide_stop(struct wide_node *n)
{
    n->listener = aff_peer_listener_free(n->listener);
    for (int i = 0; i < LOOPS; i++)
        n->peers[i] = aff_peers_free(n->peers[i]);
    for (int i = 0; i < LOOPS; i++)
        n->loops[i] = aff_loop_free(n->loops[i]);
}

static void run_loop(struct wide_node *n, int loop, int passes)
{
    for (int i = 0; i < passes; i++) {
        peer_run(n->fixture, 1);
        assert_true(aff_loop_pass(n->loops[loop], 0));
    }
}

static void run_all(struct wide_node *n, const struct peer_asked *until)
{
    for (int i = 0; i < 5000 && until->times == 0; i++)
        for (int k = 0; k < LOOPS; k++)
            run_loop(n, k, 1);
    assert_int_equal(until->times, 1);
}

/* The second loop stands still, with a question in its socket; the asker gives the stream up and asks again. */
static void a_late_copy_is_not_handled_after_its_repeat(struct peer_fixture *f)
{
    struct peer_node *n1 = peer_node_add(f, "n1", NULL), *n2 = peer_node_add(f, "n2", NULL);
    struct wide_node wide;
    struct peer_asked other, first, again;
    wide_start(f, &wide);
    peer_ask(n2, &wide.to, &other, "."); /* of another asker: on the first loop */
    run_all(&wide, &other);
    peer_ask(n1, &wide.to, &first, "_"); /* on the second */
    run_all(&wide, &first);
    peer_ask(n1, &wide.to, &first, "Q");
    run_loop(&wide, 0, 3);
    for (int i = 0; i < 20 && first.times == 0; i++) {
        aff_virtual_clock_advance(&f->clock, 250 * AFF_NS_PER_MS);
        run_loop(&wide, 0, 1);
    }
    assert_int_equal(first.code, AFF_EUNKNOWN);
    aff_virtual_clock_advance(&f->clock, 250 * AFF_NS_PER_MS);
    peer_ask(n1, &wide.to, &again, "R"); /* on the first */
    run_loop(&wide, 0, 200);
    assert_string_equal(wide.served, "._"); /* it waits for the other loop */
    run_all(&wide, &again);
    run_loop(&wide, 1, 5);
    assert_int_equal(again.code, 0);
    if (strcmp(wide.served, "._QR") != 0 && strcmp(wide.served, "._R") != 0)
        fail_msg("the first copy (Q) was handled after its repeat (R): %s", wide.served);
    peer_ask(n2, &wide.to, &other, "!"); /* the stream of another asker is left alone */
    run_all(&wide, &other);
    assert_int_equal(other.code, 0);
    wide_stop(&wide);
}

static void plain_copies(void **state)
{
    a_late_copy_is_not_handled_after_its_repeat(*state);
}

/* ---- what is ended ---- */

static void hello_of(struct peer_raw *raw, const struct peer_node *node, struct aff_hello_fence fence)
{
    struct aff_hello hello = { .version = 1, .oldest = 1, .cluster = "test", .member = "n9-0000000009", .fence = fence };
    struct aff_buf out;
    aff_buf_init(&out);
    peer_raw_connect(raw, node->to.address);
    assert_true(aff_hello_write(&hello, &out));
    peer_raw_send(raw, aff_buf_view(&out));
    aff_buf_fini(&out);
}

static bool is_welcome(struct peer_fixture *f, struct peer_raw *raw)
{
    struct aff_frame frame;
    struct aff_buf in;
    aff_buf_init(&in);
    (void)peer_raw_frame(f, raw, &in, &frame);
    bool welcome = frame.type == AFF_FRAME_HELLO;
    aff_buf_fini(&in);
    return welcome;
}

static void only_older_ones_that_are_given_up_end(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_node *n1 = peer_node_add(f, "n1", NULL);
    struct aff_hello_fence said[] = {
        { .asker = 0 },                                                         /* of an older version */
        { .asker = 8, .stream = 2 },                                            /* another asker */
        { .asker = 7, .stream = 2 },                                            /* given up */
        { .asker = 7, .stream = 3, .kept_count = 1, .kept = { 2 } },            /* kept */
        { .asker = 7, .stream = 9, .kept_count = 2, .kept = { 2, 3 } },         /* newer than the next one, which comes late */
        { .asker = 7, .stream = 4, .kept_count = 1, .kept = { 3 } },
    };
    enum { STREAMS = sizeof said / sizeof *said };
    struct peer_raw raw[STREAMS];
    for (int i = 0; i < STREAMS; i++) {
        hello_of(&raw[i], n1, said[i]);
        assert_true(is_welcome(f, &raw[i]));
    }
    peer_run_until_closed(f, &raw[2]);
    peer_run_until_logged(f, "given this one up");
    assert_int_equal(peer_stats_of(n1).streams, STREAMS - 1);
    for (int i = 0; i < STREAMS; i++)
        peer_raw_close(&raw[i]);
}

/* ---- what an asker says ---- */

static struct aff_peer_to to_raw(const struct peer_raw *raw, const char *member)
{
    return (struct aff_peer_to){ .member = member, .address = raw->address };
}

/* Takes the stream that n1 opens, and what its HELLO says. */
static struct aff_hello_fence accept_stream(struct peer_fixture *f, struct peer_raw *raw, const char *member)
{
    struct aff_hello hello;
    struct aff_frame frame;
    struct aff_buf in;
    aff_buf_init(&in);
    peer_run(f, 2);
    peer_raw_accept(raw);
    (void)peer_raw_frame(f, raw, &in, &frame);
    assert_int_equal(frame.type, AFF_FRAME_HELLO);
    assert_null(aff_hello_read(frame.body, &hello));
    aff_buf_fini(&in);
    peer_raw_hello(raw, "test", member);
    return hello.fence;
}

static uint64_t take_question(struct peer_fixture *f, struct peer_raw *raw)
{
    struct aff_frame frame;
    struct aff_buf in;
    aff_buf_init(&in);
    (void)peer_raw_frame(f, raw, &in, &frame);
    assert_int_equal(frame.type, AFF_FRAME_QUESTION);
    aff_buf_fini(&in);
    return frame.id;
}

static void say_goodbye(struct peer_fixture *f, struct peer_raw *raw)
{
    struct aff_frame frame = { .type = AFF_FRAME_GOODBYE };
    peer_raw_send_frame(raw, &frame, aff_bytes_of("", 0));
    peer_run(f, 3);
    aff_virtual_clock_advance(&f->clock, 2500 * AFF_NS_PER_MS); /* the link rests after it */
    peer_run(f, 1);
}

static void answer(struct peer_fixture *f, struct peer_raw *raw, uint64_t id)
{
    struct aff_frame frame = { .type = AFF_FRAME_ANSWER, .id = id };
    peer_raw_send_frame(raw, &frame, aff_str("late"));
    peer_run(f, 3);
}

/* A node becomes another incarnation: what it still answers is kept, and a question that nobody waits for ends that. */
static void what_is_doubtful_is_not_stood_by(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_node *n1 = peer_node_add(f, "n1", NULL);
    struct peer_raw raw, second, third, fourth;
    struct peer_asked asked[5];
    struct aff_hello_fence fence;
    peer_raw_listen(&raw, 0);
    second = third = fourth = raw;
    struct aff_peer_to old = to_raw(&raw, "n9-0000000001"), new = to_raw(&raw, "n9-0000000002");
    peer_ask(n1, &old, &asked[0], "waits");
    fence = accept_stream(f, &raw, old.member);
    assert_true(fence.asker != 0 && fence.stream == 1 && fence.kept_count == 0);
    (void)take_question(f, &raw);
    say_goodbye(f, &raw);
    peer_ask(n1, &new, &asked[1], "goes on");
    fence = accept_stream(f, &second, new.member);
    assert_true(fence.stream == 2 && fence.kept_count == 1 && fence.kept[0] == 1);
    uint64_t id = take_question(f, &second);
    aff_peers_forget(n1->peers, &asked[0].call); /* it may be handled on the first: the second takes nothing more */
    peer_ask(n1, &new, &asked[2], "again");
    fence = accept_stream(f, &third, new.member);
    assert_true(fence.stream == 3 && fence.kept_count == 1 && fence.kept[0] == 2);
    (void)take_question(f, &third);
    answer(f, &second, id); /* it is retired, and ends with its last answer */
    assert_int_equal(asked[1].times, 1);
    assert_int_equal(asked[1].code, 0);
    (void)close(third.fd); /* it breaks with a question under way */
    peer_run_until_answered(f, &asked[2], 1);
    assert_int_equal(asked[2].code, AFF_EUNKNOWN);
    aff_virtual_clock_advance(&f->clock, 2500 * AFF_NS_PER_MS);
    peer_run(f, 1);
    peer_ask(n1, &new, &asked[3], "once more");
    fence = accept_stream(f, &fourth, new.member);
    assert_int_equal(fence.stream, 4);
    assert_int_equal(fence.kept_count, 0);
    aff_peers_forget(n1->peers, &asked[3].call);
    (void)close(fourth.fd);
    (void)close(second.fd);
    peer_raw_close(&raw);
}

/* The answer that nobody waited for comes: nothing is doubtful any more. */
static void a_late_answer_settles_the_doubt(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_node *n1 = peer_node_add(f, "n1", NULL);
    struct peer_raw raw, second;
    struct peer_asked asked[3];
    struct aff_hello_fence fence;
    peer_raw_listen(&raw, 0);
    second = raw;
    struct aff_peer_to old = to_raw(&raw, "n9-0000000001"), new = to_raw(&raw, "n9-0000000002");
    peer_ask(n1, &old, &asked[0], "waits");
    (void)accept_stream(f, &raw, old.member);
    (void)take_question(f, &raw);
    peer_ask(n1, &old, &asked[1], "is forgotten");
    uint64_t id = take_question(f, &raw);
    aff_peers_forget(n1->peers, &asked[1].call);
    answer(f, &raw, id);
    peer_ask(n1, &new, &asked[2], "goes on");
    fence = accept_stream(f, &second, new.member);
    assert_int_equal(fence.stream, 2);
    assert_int_equal(fence.kept_count, 1);
    assert_int_equal(fence.kept[0], 1);
    aff_peers_forget(n1->peers, &asked[0].call);
    aff_peers_forget(n1->peers, &asked[2].call);
    (void)close(second.fd);
    peer_raw_close(&raw);
}

static int set_up(void **state)
{
    *state = peer_fixture_new(false);
    return 0;
}

static int set_up_tls(void **state)
{
    *state = peer_fixture_new(true);
    return 0;
}

static int tear_down(void **state)
{
    *state = peer_fixture_free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(plain_copies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(plain_copies, set_up_tls, tear_down),
        cmocka_unit_test_setup_teardown(only_older_ones_that_are_given_up_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_doubtful_is_not_stood_by, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_late_answer_settles_the_doubt, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
