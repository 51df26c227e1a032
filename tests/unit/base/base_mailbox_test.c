/*
 * base_mailbox_test.c - the ways into a loop from other threads: messages, calls, stop. To be run under tsan as well.
 *
 * A wake-up that gets lost shows as a test that never ends. cmocka is called on the test's own thread only; others
 * count what they find wrong.
 */
#include "base/annotate.h"
#include "base/loop.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct aff_loop *new_loop(const char *name, uint32_t slots)
{
    struct aff_loop_opts opts = { .name = name, .mailbox_slots = slots };
    struct aff_loop *loop = NULL;
    aff_error err = { 0 };
    if (aff_loop_new(&opts, &loop, &err))
        fail_msg("no loop: %s", err.text);
    return loop;
}

static void *run_loop(void *loop)
{
    aff_loop_run(loop);
    return NULL;
}

static pthread_t start(void *(*main_of)(void *), void *argument)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, main_of, argument), 0);
    return thread;
}

static void join(pthread_t thread)
{
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* ---- many senders ---- */

enum { SENDERS = 4, MESSAGES = 20000, SLOTS = 64 };

struct sender {
    struct aff_loop *loop;
    pthread_t thread;
    int refused; /* the sender's own */

    /* the loop's, and the test's once the loop has ended */
    int received AFF_OWNED_BY(aff_on_loop);
    int out_of_order AFF_OWNED_BY(aff_on_loop);
    int elsewhere AFF_OWNED_BY(aff_on_loop);
};

struct numbered {
    struct aff_msg msg;
    struct sender *sender;
    int number;
};

static void count_message(struct aff_msg *msg)
{
    struct numbered *n = aff_container_of(msg, struct numbered, msg);
    struct sender *s = n->sender;
    aff_assert_on_loop(s->loop);
    s->out_of_order += n->number != s->received;
    s->elsewhere += !aff_loop_here(s->loop);
    s->received++;
    free(n);
}

static void *send_all(void *argument)
{
    struct sender *s = argument;
    for (int i = 0; i < MESSAGES; i++) {
        struct numbered *n = malloc(sizeof *n);
        if (!n)
            abort();
        *n = (struct numbered){ .msg.deliver = count_message, .sender = s, .number = i };
        if (i % 16 == 0) { /* a call now and then, in the same order */
            aff_loop_call(s->loop, &n->msg);
            continue;
        }
        while (!aff_loop_reserve(s->loop)) {
            s->refused++;
            (void)sched_yield();
        }
        aff_loop_post(s->loop, &n->msg);
    }
    return NULL;
}

static void many_threads_post_and_each_one_keeps_its_order(void **state)
{
    (void)state;
    struct aff_loop *loop = new_loop("receiver", SLOTS);
    pthread_t thread = start(run_loop, loop);
    struct sender senders[SENDERS] = { { 0 } };
    for (int i = 0; i < SENDERS; i++) {
        senders[i].loop = loop;
        senders[i].thread = start(send_all, &senders[i]);
    }
    for (int i = 0; i < SENDERS; i++)
        join(senders[i].thread);
    aff_loop_stop(loop); /* all was posted before, so all arrives */
    join(thread);
    aff_assert_on_loop(loop);
    for (int i = 0; i < SENDERS; i++) {
        assert_int_equal(senders[i].received, MESSAGES);
        assert_int_equal(senders[i].out_of_order, 0);
        assert_int_equal(senders[i].elsewhere, 0);
    }
    for (int i = 0; i < SLOTS; i++)
        assert_true(aff_loop_reserve(loop)); /* every slot came back */
    assert_false(aff_loop_reserve(loop));
    (void)aff_loop_free(loop);
}

/* ---- waking ---- */

struct ball {
    struct aff_msg msg;
    struct aff_loop *loops[2];
    int at, hits_left;
};

static void hit(struct aff_msg *msg)
{
    struct ball *b = aff_container_of(msg, struct ball, msg);
    if (--b->hits_left == 0) {
        aff_loop_stop(b->loops[0]);
        aff_loop_stop(b->loops[1]);
        return;
    }
    b->at = !b->at;
    while (!aff_loop_reserve(b->loops[b->at])) /* one slot: free once the last deliver over there has returned */
        (void)sched_yield();
    aff_loop_post(b->loops[b->at], msg);
}

/* Nearly every message finds the other loop asleep or about to sleep. */
static void two_loops_wake_each_other(void **state)
{
    (void)state;
    struct ball ball = { .msg.deliver = hit, .hits_left = 20000 };
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        ball.loops[i] = new_loop("player", 1);
        threads[i] = start(run_loop, ball.loops[i]);
    }
    assert_true(aff_loop_reserve(ball.loops[0]));
    aff_loop_post(ball.loops[0], &ball.msg);
    for (int i = 0; i < 2; i++)
        join(threads[i]);
    assert_int_equal(ball.hits_left, 0);
    for (int i = 0; i < 2; i++)
        (void)aff_loop_free(ball.loops[i]);
}

static void stop_wakes_a_loop_that_sleeps(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) { /* before it runs, while it starts, while it sleeps */
        struct aff_loop *loop = new_loop("sleeper", 0);
        pthread_t thread = start(run_loop, loop);
        for (int k = 0; k < i % 20; k++)
            (void)sched_yield();
        aff_loop_stop(loop);
        join(thread);
        (void)aff_loop_free(loop);
    }
}

/* ---- whose thread ---- */

struct probe {
    struct aff_msg msg;
    struct aff_loop *loop;
    char thread_name[16];
    bool here;
    atomic_bool done;
};

static void look_around(struct aff_msg *msg)
{
    struct probe *p = aff_container_of(msg, struct probe, msg);
    p->here = aff_loop_here(p->loop);
    if (pthread_getname_np(pthread_self(), p->thread_name, sizeof p->thread_name))
        p->thread_name[0] = '\0';
    atomic_store(&p->done, true);
}

static void a_running_loop_is_at_home_on_its_thread_only(void **state)
{
    (void)state;
    struct probe probe = { .msg.deliver = look_around, .loop = new_loop("a name that is too long", 0) };
    assert_true(aff_loop_here(probe.loop));
    pthread_t thread = start(run_loop, probe.loop);
    aff_loop_call(probe.loop, &probe.msg);
    while (!atomic_load(&probe.done))
        (void)sched_yield();
    assert_false(aff_loop_here(probe.loop));
    aff_loop_stop(probe.loop);
    join(thread);
    assert_true(aff_loop_here(probe.loop)); /* after it has ended it can be taken apart */
    assert_true(probe.here);
    assert_string_equal(probe.thread_name, "a name that is ");
    (void)aff_loop_free(probe.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_threads_post_and_each_one_keeps_its_order),
        cmocka_unit_test(two_loops_wake_each_other),
        cmocka_unit_test(stop_wakes_a_loop_that_sleeps),
        cmocka_unit_test(a_running_loop_is_at_home_on_its_thread_only),
    };
    return cmocka_run_group_tests_name("base/mailbox", tests, NULL, NULL);
}
