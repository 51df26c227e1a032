/*
 * peer_listener_test.c - streams are dealt out over loops that run on threads of their own, each asks all the others; bounds of what is
 * accepted; closing. This is what ThreadSanitizer looks at.
 */
#include "fixture.h"

#include "base/listen.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

enum { LOOPS = 3, QUESTIONS = 2000, AT_ONCE = 100 };

struct node_of_threads {
    struct aff_loop *loops[LOOPS];
    struct aff_peers *peers[LOOPS];
    struct aff_peer_listener *listener;
    pthread_t threads[LOOPS];
    char member[32];
    atomic_uint served[LOOPS];
};

static void serve(void *self, struct aff_peer_question *question)
{
    atomic_fetch_add((atomic_uint *)self, 1);
    aff_peer_answer(question, &question->body, 1);
}

static void *run(void *loop)
{
    aff_loop_run(loop);
    return NULL;
}

static void start(struct node_of_threads *n, const char *member)
{
    (void)snprintf(n->member, sizeof n->member, "%s", member);
    for (unsigned i = 0; i < LOOPS; i++) {
        struct aff_loop_opts loop_opts = { .name = "peer", .index = i };
        assert_int_equal(aff_loop_new(&loop_opts, &n->loops[i], NULL), 0);
        struct aff_peers_opts opts = { .loop = n->loops[i], .cluster = "test", .serve = serve, .self = &n->served[i] };
        assert_int_equal(aff_peers_new(&opts, &n->peers[i], NULL), 0);
        aff_peers_name(n->peers[i], member);
    }
    struct aff_peer_listener_opts opts = {
        .host = "127.0.0.1", .loop = n->loops[0], .peers = n->peers, .peers_count = LOOPS
    };
    assert_int_equal(aff_peer_listener_new(&opts, &n->listener, NULL), 0);
}

static void start_threads(struct node_of_threads *n)
{
    for (int i = 0; i < LOOPS; i++)
        assert_int_equal(pthread_create(&n->threads[i], NULL, run, n->loops[i]), 0);
}

static void stop_threads(struct node_of_threads *n)
{
    for (int i = 0; i < LOOPS; i++)
        aff_loop_stop(n->loops[i]);
    for (int i = 0; i < LOOPS; i++)
        assert_int_equal(pthread_join(n->threads[i], NULL), 0);
}

static void stop(struct node_of_threads *n)
{
    n->listener = aff_peer_listener_free(n->listener);
    for (int i = 0; i < LOOPS; i++) {
        n->peers[i] = aff_peers_free(n->peers[i]);
        n->loops[i] = aff_loop_free(n->loops[i]);
    }
}

/* Asks the other node, so many at a time, from one loop. */
struct asker {
    struct aff_msg msg;
    struct aff_peers *peers;
    struct aff_peer_to to;
    const struct aff_clock *clock;
    struct aff_peer_call calls[AT_ONCE];
    unsigned asked;
    atomic_uint answered, wrong;
};

static void ask_next(struct asker *a, struct aff_peer_call *call)
{
    uint32_t number = a->asked++;
    aff_bytes body = aff_bytes_of(&number, sizeof number);
    call->kind = (uint8_t)(call - a->calls);
    call->deadline_ns = aff_mono_ns(a->clock) + 60 * AFF_NS_PER_S;
    aff_peers_call(a->peers, &a->to, call, &body, 1);
}

static struct asker *askers; /* by loop, for `answered` */

static void answered(struct aff_peer_call *call, int code, aff_bytes answer)
{
    struct asker *a = NULL;
    for (int i = 0; i < LOOPS && !a; i++)
        if (call >= askers[i].calls && call < askers[i].calls + AT_ONCE)
            a = &askers[i];
    assert_non_null(a);
    atomic_fetch_add(&a->wrong, code != 0 || answer.len != 4);
    atomic_fetch_add(&a->answered, 1);
    if (a->asked < QUESTIONS)
        ask_next(a, call);
}

static void begin_asking(struct aff_msg *msg)
{
    struct asker *a = aff_container_of(msg, struct asker, msg);
    for (int i = 0; i < AT_ONCE; i++) {
        a->calls[i].answered = answered;
        ask_next(a, &a->calls[i]);
    }
}

static void every_loop_asks_the_other_node(void **state)
{
    static struct node_of_threads n1, n2;
    (void)state;
    start(&n1, "n1-0000000001");
    start(&n2, "n2-0000000001");
    askers = calloc(LOOPS, sizeof *askers);
    assert_non_null(askers);
    start_threads(&n1);
    start_threads(&n2);
    for (int i = 0; i < LOOPS; i++) {
        askers[i].peers = n1.peers[i];
        askers[i].clock = aff_clock_system();
        askers[i].to = (struct aff_peer_to){ .member = n2.member, .address = aff_peer_listener_address(n2.listener) };
        askers[i].msg.deliver = begin_asking;
        aff_loop_call(n1.loops[i], &askers[i].msg);
    }
    time_t until = time(NULL) + 60;
    for (int i = 0; i < LOOPS;) {
        i += atomic_load(&askers[i].answered) == QUESTIONS;
        assert_true(time(NULL) < until);
        (void)nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    for (int i = 0; i < LOOPS; i++) {
        struct aff_peers_stats stats;
        aff_peers_stats(n2.peers[i], &stats);
        assert_int_equal(stats.streams, 1); /* one each: they were dealt out in turn */
        assert_int_equal(atomic_load(&n2.served[i]), QUESTIONS);
        assert_int_equal(atomic_load(&askers[i].wrong), 0);
    }
    stop_threads(&n1);
    stop_threads(&n2);
    stop(&n1);
    stop(&n2);
    free(askers);
}

/* ---- on one thread ---- */

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

static void so_many_strangers_are_let_in(void **state)
{
    enum { STRANGERS = 64 };
    struct peer_fixture *f = *state;
    struct peer_node *n1 = &f->nodes[0], *n2 = peer_node_add(f, "n2", NULL);
    struct peer_raw raw[STRANGERS + 1];
    struct peer_asked asked;
    for (int i = 0; i < STRANGERS; i++) {
        peer_raw_connect(&raw[i], n1->to.address);
        peer_run(f, 1);
    }
    while (peer_stats_of(n1).streams < STRANGERS)
        peer_run(f, 1);
    peer_raw_connect(&raw[STRANGERS], n1->to.address);
    peer_run_until_closed(f, &raw[STRANGERS]);
    peer_run_until_logged(f, "as many streams as there may be");
    for (int i = 0; i <= STRANGERS; i++)
        peer_raw_close(&raw[i]);
    while (peer_stats_of(n1).streams > 0)
        peer_run(f, 1);
    peer_expect(n2, &n1->to, &asked, "is there room?", 0);
}

static void a_listener_that_is_closed_accepts_nothing(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_node *n1 = &f->nodes[0], *n2 = peer_node_add(f, "n2", NULL), *n3 = peer_node_add(f, "n3", NULL);
    struct peer_asked asked;
    peer_expect(n2, &n1->to, &asked, "before", 0);
    aff_peer_listener_close(n1->listener);
    aff_peer_listener_close(n1->listener);
    peer_run(f, 1);
    peer_expect(n2, &n1->to, &asked, "the stream stays", 0);
    peer_expect(n3, &n1->to, &asked, "too late", AFF_EAGAIN);
}

static void a_socket_that_listens_already_is_taken_over(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_node *n1 = &f->nodes[0], *n2 = peer_node_add(f, "n2", NULL);
    struct peer_asked asked;
    struct aff_peer_listener_opts opts = { .loop = n1->loop, .peers = &n1->peers, .peers_count = 1 };
    assert_int_equal(aff_listen("test", "127.0.0.1", 0, &opts.bound, NULL), 0);
    n1->listener = aff_peer_listener_free(n1->listener);
    assert_int_equal(aff_peer_listener_new(&opts, &n1->listener, NULL), 0);
    n1->to.address = aff_peer_listener_address(n1->listener);
    peer_expect(n2, &n1->to, &asked, "hello", 0);
}

static void an_address_that_is_taken_is_an_error(void **state)
{
    struct peer_fixture *f = *state;
    struct peer_node *n1 = &f->nodes[0];
    struct aff_peer_listener *listener = NULL;
    const char *colon = strrchr(n1->to.address, ':');
    assert_non_null(colon);
    struct aff_peer_listener_opts opts = { .host = "127.0.0.1",
                                           .port = (uint16_t)strtoul(colon + 1, NULL, 10),
                                           .loop = n1->loop,
                                           .peers = &n1->peers,
                                           .peers_count = 1 };
    aff_error err = { 0 };
    assert_int_equal(aff_peer_listener_new(&opts, &listener, &err), AFF_EBUSY);
    assert_non_null(strstr(err.text, "peers: cannot listen on 127.0.0.1"));
    assert_null(aff_peer_listener_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_loop_asks_the_other_node),
        cmocka_unit_test_setup_teardown(so_many_strangers_are_let_in, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_listener_that_is_closed_accepts_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_socket_that_listens_already_is_taken_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_address_that_is_taken_is_an_error, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
