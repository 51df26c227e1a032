/*
 * base_loop_test.c - passes of base/loop.h on one thread: descriptors, timers on a virtual clock, stages, messages to
 * itself. Other threads are the subject of base_mailbox_test.c.
 *
 * What happens is written down as letters, in the order in which it happens.
 */
#include "base/loop.h"

#include "lib/virtual_clock.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    struct aff_virtual_clock clock;
    struct aff_loop *loop;
    char trace[512];
    size_t len;
};

static struct fixture *fixture; /* what callbacks write to */

static void note(char letter)
{
    assert_true(fixture->len < sizeof fixture->trace - 1);
    fixture->trace[fixture->len++] = letter;
    fixture->trace[fixture->len] = '\0';
}

/* Runs one pass that does not wait and gives what happened in it. */
static const char *pass(struct fixture *f)
{
    f->len = 0;
    f->trace[0] = '\0';
    assert_true(aff_loop_pass(f->loop, 0));
    return f->trace;
}

static struct aff_loop *new_loop(const struct aff_clock *clock, uint32_t slots)
{
    struct aff_loop_opts opts = { .name = "test", .index = 3, .mailbox_slots = slots, .clock = clock };
    struct aff_loop *loop = NULL;
    aff_error err = { 0 };
    if (aff_loop_new(&opts, &loop, &err))
        fail_msg("no loop: %s", err.text);
    return loop;
}

static int set_up(void **state)
{
    fixture = calloc(1, sizeof *fixture);
    if (!fixture)
        return -1;
    aff_virtual_clock_init(&fixture->clock);
    fixture->loop = new_loop(&fixture->clock.clock, 3);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture->loop = aff_loop_free(fixture->loop);
    free(fixture);
    return 0;
}

/* ---- the loop itself ---- */

static void a_loop_knows_what_it_was_made_of(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(aff_loop_index(f->loop), 3);
    assert_ptr_equal(aff_loop_clock(f->loop), &f->clock.clock);
    assert_null(aff_loop_logger(f->loop));
    assert_true(aff_loop_here(f->loop)); /* nobody runs it: whoever sets it up may touch it */
    assert_null(aff_loop_free(NULL));
}

static void now_moves_once_a_pass(void **state)
{
    struct fixture *f = *state;
    int64_t start = f->clock.now_ns;
    assert_true(aff_loop_now(f->loop) == start);
    aff_virtual_clock_advance(&f->clock, 5);
    assert_true(aff_loop_now(f->loop) == start);
    (void)pass(f);
    assert_true(aff_loop_now(f->loop) == start + 5);
}

static void a_stopped_loop_makes_one_last_pass(void **state)
{
    struct fixture *f = *state;
    aff_loop_stop(f->loop);
    assert_false(aff_loop_pass(f->loop, -1)); /* and does not wait */
    assert_false(aff_loop_pass(f->loop, -1));
    aff_loop_run(f->loop); /* returns */
}

/* ---- messages ---- */

struct letter {
    struct aff_msg msg;
    char name;
};

static void note_letter(struct aff_msg *msg)
{
    note(aff_container_of(msg, struct letter, msg)->name);
}

static void free_letter(struct aff_msg *msg)
{
    note_letter(msg);
    free(aff_container_of(msg, struct letter, msg));
}

static void messages_arrive_in_the_order_they_were_sent(void **state)
{
    struct fixture *f = *state;
    static const char names[] = "abcdef";
    struct letter letters[6];
    for (int i = 0; i < 6; i++) {
        letters[i] = (struct letter){ .msg.deliver = note_letter, .name = names[i] };
        if (i % 2) { /* posts and calls keep their order among each other */
            aff_loop_call(f->loop, &letters[i].msg);
        } else {
            assert_true(aff_loop_reserve(f->loop));
            aff_loop_post(f->loop, &letters[i].msg);
        }
    }
    assert_string_equal(pass(f), "abcdef");
    assert_string_equal(pass(f), "");
}

static void deliver_may_free_the_message(void **state)
{
    struct fixture *f = *state;
    for (char name = 'a'; name <= 'c'; name++) {
        struct letter *letter = malloc(sizeof *letter);
        assert_non_null(letter);
        *letter = (struct letter){ .msg.deliver = free_letter, .name = name };
        assert_true(aff_loop_reserve(f->loop));
        aff_loop_post(f->loop, &letter->msg);
    }
    assert_string_equal(pass(f), "abc");
}

static void send_again(struct aff_msg *msg)
{
    note_letter(msg);
    aff_loop_call(fixture->loop, msg);
}

static void a_message_to_itself_waits_for_the_next_pass_which_does_not_sleep(void **state)
{
    struct fixture *f = *state;
    struct letter letter = { .msg.deliver = send_again, .name = 'a' };
    aff_loop_call(f->loop, &letter.msg);
    assert_string_equal(pass(f), "a");
    assert_true(aff_loop_pass(f->loop, -1)); /* would hang if it slept */
    assert_string_equal(f->trace, "aa");
    letter.msg.deliver = note_letter;
    assert_string_equal(pass(f), "a");
}

static void a_mailbox_refuses_what_it_has_no_slot_for(void **state)
{
    struct fixture *f = *state;
    struct letter a = { .msg.deliver = note_letter, .name = 'a' }, b = { .msg.deliver = note_letter, .name = 'b' };
    for (int i = 0; i < 3; i++)
        assert_true(aff_loop_reserve(f->loop));
    assert_false(aff_loop_reserve(f->loop));
    aff_loop_unreserve(f->loop);
    assert_true(aff_loop_reserve(f->loop));
    assert_false(aff_loop_reserve(f->loop));

    aff_loop_post(f->loop, &a.msg);
    assert_false(aff_loop_reserve(f->loop)); /* on its way it holds the slot still */
    aff_loop_call(f->loop, &b.msg);          /* takes none, so it goes although all are taken */
    assert_string_equal(pass(f), "ab");
    assert_true(aff_loop_reserve(f->loop)); /* only one came free */
    assert_false(aff_loop_reserve(f->loop));
}

static void try_to_reserve(struct aff_msg *msg)
{
    (void)msg;
    note(aff_loop_reserve(fixture->loop) ? 'y' : 'n');
}

static void a_slot_is_free_only_after_deliver(void **state)
{
    struct fixture *f = *state;
    struct aff_msg msg = { .deliver = try_to_reserve };
    for (int i = 0; i < 3; i++)
        assert_true(aff_loop_reserve(f->loop));
    aff_loop_post(f->loop, &msg);
    assert_string_equal(pass(f), "n");
    aff_loop_call(f->loop, &msg);
    assert_string_equal(pass(f), "y");
}

/* ---- timers ---- */

struct test_timer {
    struct aff_timer timer;
    char name;
    struct test_timer *other; /* that it cancels */
    int64_t again_ns;         /* that it sets itself to */
    int again;                /* how often */
};

static void fire(struct aff_timer *timer)
{
    struct test_timer *t = aff_container_of(timer, struct test_timer, timer);
    note(t->name);
    if (t->other)
        aff_loop_timer_cancel(fixture->loop, &t->other->timer);
    if (t->again-- > 0)
        aff_loop_timer_set(fixture->loop, timer, aff_loop_now(fixture->loop) + t->again_ns);
}

static struct test_timer timer_named(char name)
{
    return (struct test_timer){ .timer.fire = fire, .name = name };
}

static void set_timer(struct fixture *f, struct test_timer *t, int64_t after_ns)
{
    aff_loop_timer_set(f->loop, &t->timer, f->clock.now_ns + after_ns);
}

static void timers_fire_in_the_order_of_their_times_and_never_before(void **state)
{
    struct fixture *f = *state;
    struct test_timer a = timer_named('a'), b = timer_named('b'), c = timer_named('c');
    set_timer(f, &c, 30);
    set_timer(f, &a, 10);
    set_timer(f, &b, 20);
    assert_string_equal(pass(f), "");
    aff_virtual_clock_advance(&f->clock, 9);
    assert_string_equal(pass(f), "");
    aff_virtual_clock_advance(&f->clock, 1);
    assert_string_equal(pass(f), "a");
    aff_virtual_clock_advance(&f->clock, 100);
    assert_string_equal(pass(f), "bc");
    assert_string_equal(pass(f), "");
}

static void a_timer_set_again_moves(void **state)
{
    struct fixture *f = *state;
    struct test_timer a = timer_named('a');
    set_timer(f, &a, 10);
    set_timer(f, &a, 20);
    aff_virtual_clock_advance(&f->clock, 10);
    assert_string_equal(pass(f), "");
    aff_virtual_clock_advance(&f->clock, 10);
    assert_string_equal(pass(f), "a");
}

static void a_cancelled_timer_does_not_fire_even_when_it_was_due(void **state)
{
    struct fixture *f = *state;
    struct test_timer a = timer_named('a'), b = timer_named('b'), c = timer_named('c');
    a.other = &b;
    c.other = &c; /* itself: it is off already, harmless */
    set_timer(f, &a, 1);
    set_timer(f, &b, 2);
    set_timer(f, &c, 3);
    aff_virtual_clock_advance(&f->clock, 10);
    assert_string_equal(pass(f), "ac");
    aff_loop_timer_cancel(f->loop, &b.timer);
}

static void a_timer_may_set_itself_again(void **state)
{
    struct fixture *f = *state;
    struct test_timer a = timer_named('a');
    a.again_ns = 10;
    a.again = 2;
    set_timer(f, &a, 10);
    for (int i = 0; i < 3; i++) {
        aff_virtual_clock_advance(&f->clock, 10);
        assert_string_equal(pass(f), "a");
    }
    aff_virtual_clock_advance(&f->clock, 10);
    assert_string_equal(pass(f), "");
}

static void a_timer_set_to_the_past_fires_once_a_pass(void **state)
{
    struct fixture *f = *state;
    struct test_timer a = timer_named('a');
    a.again_ns = -5;
    a.again = 2;
    set_timer(f, &a, 0);
    assert_string_equal(pass(f), "a");
    assert_string_equal(pass(f), "a");
    assert_string_equal(pass(f), "a");
    assert_string_equal(pass(f), "");
}

static void a_timer_that_is_due_lets_nobody_sleep(void **state)
{
    struct fixture *f = *state;
    struct test_timer a = timer_named('a');
    set_timer(f, &a, -1);
    assert_true(aff_loop_pass(f->loop, -1)); /* would hang if it slept */
    assert_string_equal(f->trace, "a");
}

static void free_timer(struct aff_timer *timer)
{
    note('f');
    free(aff_container_of(timer, struct test_timer, timer));
}

static void a_timer_may_free_itself(void **state)
{
    struct fixture *f = *state;
    struct test_timer *t = calloc(1, sizeof *t);
    assert_non_null(t);
    t->timer.fire = free_timer;
    set_timer(f, t, 0);
    assert_string_equal(pass(f), "f");
}

static void a_timer_ends_the_sleep_of_a_loop(void **state)
{
    struct fixture *f = *state;
    struct aff_loop *virtual_loop = f->loop;
    f->loop = new_loop(NULL, 0); /* on the clock of the system */
    struct test_timer a = timer_named('a');
    aff_loop_timer_set(f->loop, &a.timer, aff_mono_ns(aff_loop_clock(f->loop)) + AFF_NS_PER_MS / 2);
    while (f->len == 0)
        assert_true(aff_loop_pass(f->loop, -1)); /* would hang if it slept for ever */
    assert_string_equal(f->trace, "a");
    (void)aff_loop_free(f->loop);
    f->loop = virtual_loop;
}

#ifdef AFF_HAVE_EPOLL_PWAIT2
/* A kernel before 5.11 has no epoll_pwait2. */
static bool no_pwait2;
static int pwait2_calls;

int __real_epoll_pwait2(int fd, struct epoll_event *events, int max, const struct timespec *limit,
                        const sigset_t *mask);
int __wrap_epoll_pwait2(int fd, struct epoll_event *events, int max, const struct timespec *limit,
                        const sigset_t *mask);
int __wrap_epoll_pwait2(int fd, struct epoll_event *events, int max, const struct timespec *limit, const sigset_t *mask)
{
    pwait2_calls++;
    if (!no_pwait2)
        return __real_epoll_pwait2(fd, events, max, limit, mask);
    errno = ENOSYS;
    return -1;
}

static void timers_work_without_epoll_pwait2(void **state)
{
    (void)state;
    struct aff_loop *loop = new_loop(NULL, 0);
    struct test_timer a = timer_named('a');
    no_pwait2 = true;
    pwait2_calls = 0;
    for (size_t fired = 1; fired <= 3; fired++) {
        aff_loop_timer_set(loop, &a.timer, aff_mono_ns(aff_clock_system()) + 10 * AFF_NS_PER_MS);
        while (fixture->len < fired)
            assert_true(aff_loop_pass(loop, -1));
    }
    assert_true(pwait2_calls <= 1); /* it is asked for once */
    no_pwait2 = false;
    (void)aff_loop_free(loop);
}
#endif

/* ---- descriptors ---- */

struct test_io {
    struct aff_io io;
    char name;
    struct test_io *other; /* that it removes */
    bool add_back;         /* and adds again */
};

static void ready(struct aff_io *io, uint32_t epoll_events)
{
    struct test_io *t = aff_container_of(io, struct test_io, io);
    assert_true(epoll_events & (EPOLLIN | EPOLLOUT));
    note(epoll_events & EPOLLIN ? t->name : (char)(t->name - 'a' + 'A'));
    if (!t->other)
        return;
    aff_loop_io_remove(fixture->loop, &t->other->io);
    if (t->add_back)
        assert_int_equal(aff_loop_io_add(fixture->loop, &t->other->io, EPOLLIN), 0);
    t->other = NULL;
}

static struct test_io readable(char name)
{
    struct test_io t = { .io = { .fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC), .ready = ready }, .name = name };
    assert_true(t.io.fd >= 0);
    return t;
}

static void add_io(struct fixture *f, struct test_io *t)
{
    assert_int_equal(aff_loop_io_add(f->loop, &t->io, EPOLLIN), 0);
}

static void remove_io(struct fixture *f, struct test_io *t)
{
    aff_loop_io_remove(f->loop, &t->io);
    (void)close(t->io.fd);
}

static void a_descriptor_that_is_ready_is_served_until_it_is_removed(void **state)
{
    struct fixture *f = *state;
    struct test_io a = readable('a');
    add_io(f, &a);
    assert_string_equal(pass(f), "a");
    assert_string_equal(pass(f), "a");
    assert_int_equal(aff_loop_io_set(f->loop, &a.io, EPOLLOUT), 0);
    assert_string_equal(pass(f), "A");
    remove_io(f, &a);
    assert_string_equal(pass(f), "");
}

static void a_descriptor_that_cannot_be_watched_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct aff_io io = { .fd = -1, .ready = ready };
    assert_int_equal(aff_loop_io_add(f->loop, &io, EPOLLIN), AFF_EIO);
}

/* Whichever of the two the kernel reports first removes the other one. */
static void a_descriptor_removed_in_the_pass_is_not_served_any_more(void **state)
{
    struct fixture *f = *state;
    struct test_io a = readable('a'), b = readable('b');
    a.other = &b;
    b.other = &a;
    add_io(f, &a);
    add_io(f, &b);
    const char *trace = pass(f);
    assert_int_equal(strlen(trace), 1);
    struct test_io *left = trace[0] == 'a' ? &a : &b;
    assert_int_equal(strlen(pass(f)), 1);
    remove_io(f, left);
    (void)close(left == &a ? b.io.fd : a.io.fd);
}

static void a_descriptor_removed_and_added_in_the_pass_is_served_in_the_next(void **state)
{
    struct fixture *f = *state;
    struct test_io a = readable('a'), b = readable('b');
    a.other = &b;
    b.other = &a;
    a.add_back = b.add_back = true;
    add_io(f, &a);
    add_io(f, &b);
    assert_int_equal(strlen(pass(f)), 1);
    a.other = b.other = NULL;
    assert_int_equal(strlen(pass(f)), 2);
    remove_io(f, &a);
    remove_io(f, &b);
}

static void free_io(struct aff_io *io, uint32_t epoll_events)
{
    (void)epoll_events;
    note('f');
    aff_loop_io_remove(fixture->loop, io);
    (void)close(io->fd);
    free(aff_container_of(io, struct test_io, io));
}

static void a_descriptor_may_free_itself(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        struct test_io *t = malloc(sizeof *t);
        assert_non_null(t);
        *t = readable('x');
        t->io.ready = free_io;
        add_io(f, t);
    }
    assert_string_equal(pass(f), "fff");
    assert_string_equal(pass(f), "");
}

static void more_descriptors_than_a_pass_takes_are_all_served(void **state)
{
    struct fixture *f = *state;
    enum { MANY = 600 };
    for (int i = 0; i < MANY; i++) {
        struct test_io *t = malloc(sizeof *t);
        assert_non_null(t);
        *t = readable('x');
        t->io.ready = free_io;
        add_io(f, t);
    }
    size_t served = 0;
    for (int i = 0; i < 3; i++) {
        f->len = 0;
        assert_true(aff_loop_pass(f->loop, 0));
        served += f->len;
        assert_in_range(f->len, 1, 256);
    }
    assert_int_equal(served, MANY);
}

/* ---- on the way to sleep ---- */

/* A loop with a timer asks its clock how long it may sleep; this clock does something at that moment. */
struct meddling_clock {
    struct aff_clock clock;
    struct aff_loop *loop;
    struct aff_msg *call; /* is sent; NULL: the loop is stopped */
    int asked;
};

static int64_t meddle(const struct aff_clock *clock)
{
    struct meddling_clock *m = aff_container_of(clock, struct meddling_clock, clock);
    if (++m->asked != 2) /* once it was asked when the loop was made */
        return 0;
    if (m->call)
        aff_loop_call(m->loop, m->call);
    else
        aff_loop_stop(m->loop);
    return 0;
}

static void what_comes_on_the_way_to_sleep_is_not_missed(void **state)
{
    (void)state;
    struct letter letter = { .msg.deliver = note_letter, .name = 'm' };
    for (int stop = 0; stop < 2; stop++) {
        struct meddling_clock m = { .clock.mono_ns = meddle, .call = stop ? NULL : &letter.msg };
        struct test_timer far = timer_named('t');
        m.loop = new_loop(&m.clock, 0);
        aff_loop_timer_set(m.loop, &far.timer, 3600 * AFF_NS_PER_S);
        assert_true(aff_loop_pass(m.loop, -1)); /* would sleep for an hour */
        assert_int_equal(aff_loop_pass(m.loop, 0), !stop);
        (void)aff_loop_free(m.loop);
    }
    assert_string_equal(fixture->trace, "m");
}

/* ---- stages ---- */

struct test_hook {
    struct aff_hook hook;
    char name;
    bool more;
    struct test_hook *remove, *add;
};

static bool run_hook(struct aff_hook *hook)
{
    struct test_hook *t = aff_container_of(hook, struct test_hook, hook);
    bool more = t->more;
    note(t->name);
    if (t->add)
        aff_loop_hook_add(fixture->loop, &t->add->hook, AFF_STAGE_PARTITION);
    t->add = NULL;
    if (t->remove)
        aff_loop_hook_remove(&t->remove->hook);
    return more;
}

static struct test_hook hook_named(char name)
{
    return (struct test_hook){ .hook.run = run_hook, .name = name };
}

static void stages_run_in_their_order_once_a_pass(void **state)
{
    struct fixture *f = *state;
    struct test_hook h = hook_named('h'), p = hook_named('p'), q = hook_named('q'), l = hook_named('l');
    aff_loop_hook_add(f->loop, &l.hook, AFF_STAGE_LOG);
    aff_loop_hook_add(f->loop, &p.hook, AFF_STAGE_PARTITION);
    aff_loop_hook_add(f->loop, &q.hook, AFF_STAGE_PARTITION);
    aff_loop_hook_add(f->loop, &h.hook, AFF_STAGE_HTTP);
    assert_string_equal(pass(f), "hpql");
    assert_string_equal(pass(f), "hpql");
    aff_loop_hook_remove(&p.hook);
    aff_loop_hook_remove(&p.hook); /* harmless, like one that was never added */
    aff_loop_hook_remove(&(struct aff_hook){ 0 });
    assert_string_equal(pass(f), "hql");
}

static void a_pass_serves_descriptors_then_messages_then_timers_then_stages(void **state)
{
    struct fixture *f = *state;
    struct test_hook h = hook_named('h');
    struct test_timer t = timer_named('t');
    struct letter m = { .msg.deliver = note_letter, .name = 'm' };
    struct test_io d = readable('d');
    aff_loop_hook_add(f->loop, &h.hook, AFF_STAGE_HTTP);
    set_timer(f, &t, 0);
    aff_loop_call(f->loop, &m.msg);
    add_io(f, &d);
    assert_string_equal(pass(f), "dmth");
    remove_io(f, &d);
}

static void a_stage_with_more_to_do_keeps_the_loop_awake(void **state)
{
    struct fixture *f = *state;
    struct test_hook h = hook_named('h'), l = hook_named('l');
    h.more = true;
    aff_loop_hook_add(f->loop, &h.hook, AFF_STAGE_HTTP);
    aff_loop_hook_add(f->loop, &l.hook, AFF_STAGE_LOG); /* has nothing: that must not hide the other */
    assert_string_equal(pass(f), "hl");
    assert_true(aff_loop_pass(f->loop, -1)); /* would hang if it slept */
    assert_string_equal(f->trace, "hlhl");
}

static void hooks_may_remove_themselves_and_each_other(void **state)
{
    struct fixture *f = *state;
    struct test_hook a = hook_named('a'), b = hook_named('b'), c = hook_named('c'), d = hook_named('d');
    struct test_hook *all[] = { &a, &b, &c, &d };
    for (int i = 0; i < 4; i++)
        aff_loop_hook_add(f->loop, &all[i]->hook, AFF_STAGE_PARTITION);
    a.remove = &b; /* the next one */
    c.remove = &c; /* itself */
    d.remove = &a; /* one that ran */
    assert_string_equal(pass(f), "acd");
    assert_string_equal(pass(f), "d");
}

static void a_hook_added_by_a_hook_runs_from_the_next_pass_on(void **state)
{
    struct fixture *f = *state;
    struct test_hook a = hook_named('a'), b = hook_named('b');
    a.add = &b;
    aff_loop_hook_add(f->loop, &a.hook, AFF_STAGE_PARTITION);
    assert_string_equal(pass(f), "a");
    assert_string_equal(pass(f), "ab");
}

static bool call_and_stop(struct aff_hook *hook)
{
    static struct letter letter = { .msg.deliver = note_letter, .name = 'm' };
    aff_loop_hook_remove(hook);
    aff_loop_call(fixture->loop, &letter.msg);
    aff_loop_stop(fixture->loop);
    return false;
}

static void what_was_posted_before_the_stop_is_delivered(void **state)
{
    struct fixture *f = *state;
    struct aff_hook hook = { .run = call_and_stop };
    aff_loop_hook_add(f->loop, &hook, AFF_STAGE_LOG);
    assert_string_equal(pass(f), ""); /* the mailbox was taken before; this is not the last pass yet */
    aff_loop_run(f->loop);
    assert_string_equal(f->trace, "m");
}

static bool free_hook(struct aff_hook *hook)
{
    note('f');
    aff_loop_hook_remove(hook);
    free(aff_container_of(hook, struct test_hook, hook));
    return false;
}

static void a_hook_may_free_itself(void **state)
{
    struct fixture *f = *state;
    struct test_hook *h = malloc(sizeof *h);
    assert_non_null(h);
    *h = hook_named('x');
    h->hook.run = free_hook;
    aff_loop_hook_add(f->loop, &h->hook, AFF_STAGE_LOG);
    assert_string_equal(pass(f), "f");
    assert_string_equal(pass(f), "");
}

/* ---- our own bugs ---- */

#ifndef NDEBUG
static void free_the_loop(struct aff_msg *msg)
{
    (void)msg;
    (void)aff_loop_free(fixture->loop);
}

static void freeing_a_loop_that_runs_is_caught(void **state)
{
    struct fixture *f = *state;
    struct aff_msg msg = { .deliver = free_the_loop };
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)signal(SIGABRT, SIG_DFL);
        (void)close(STDERR_FILENO); /* the assertion's text would look like a failure of the test */
        aff_loop_call(f->loop, &msg);
        (void)aff_loop_pass(f->loop, 0);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}
#endif

#define LOOP_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(a_loop_knows_what_it_was_made_of),
        LOOP_TEST(now_moves_once_a_pass),
        LOOP_TEST(a_stopped_loop_makes_one_last_pass),
        LOOP_TEST(messages_arrive_in_the_order_they_were_sent),
        LOOP_TEST(deliver_may_free_the_message),
        LOOP_TEST(a_message_to_itself_waits_for_the_next_pass_which_does_not_sleep),
        LOOP_TEST(a_mailbox_refuses_what_it_has_no_slot_for),
        LOOP_TEST(a_slot_is_free_only_after_deliver),
        LOOP_TEST(timers_fire_in_the_order_of_their_times_and_never_before),
        LOOP_TEST(a_timer_set_again_moves),
        LOOP_TEST(a_cancelled_timer_does_not_fire_even_when_it_was_due),
        LOOP_TEST(a_timer_may_set_itself_again),
        LOOP_TEST(a_timer_set_to_the_past_fires_once_a_pass),
        LOOP_TEST(a_timer_that_is_due_lets_nobody_sleep),
        LOOP_TEST(a_timer_may_free_itself),
        LOOP_TEST(a_timer_ends_the_sleep_of_a_loop),
#ifdef AFF_HAVE_EPOLL_PWAIT2
        LOOP_TEST(timers_work_without_epoll_pwait2),
#endif
        LOOP_TEST(a_descriptor_that_is_ready_is_served_until_it_is_removed),
        LOOP_TEST(a_descriptor_that_cannot_be_watched_is_an_error),
        LOOP_TEST(a_descriptor_removed_in_the_pass_is_not_served_any_more),
        LOOP_TEST(a_descriptor_removed_and_added_in_the_pass_is_served_in_the_next),
        LOOP_TEST(a_descriptor_may_free_itself),
        LOOP_TEST(more_descriptors_than_a_pass_takes_are_all_served),
        LOOP_TEST(what_comes_on_the_way_to_sleep_is_not_missed),
        LOOP_TEST(stages_run_in_their_order_once_a_pass),
        LOOP_TEST(a_pass_serves_descriptors_then_messages_then_timers_then_stages),
        LOOP_TEST(a_stage_with_more_to_do_keeps_the_loop_awake),
        LOOP_TEST(hooks_may_remove_themselves_and_each_other),
        LOOP_TEST(a_hook_added_by_a_hook_runs_from_the_next_pass_on),
        LOOP_TEST(what_was_posted_before_the_stop_is_delivered),
        LOOP_TEST(a_hook_may_free_itself),
#ifndef NDEBUG
        LOOP_TEST(freeing_a_loop_that_runs_is_caught),
#endif
    };
    return cmocka_run_group_tests_name("base/loop", tests, NULL, NULL);
}
