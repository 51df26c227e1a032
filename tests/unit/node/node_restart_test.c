/*
 * node_restart_test - what a supervisor does when its worker has ended.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/restart.h"

#include <signal.h>

enum { LONG = 60000, SOON = 10 };

/* As waitpid() has them. */
static int exited(int status)
{
    return status << 8;
}

static void what_was_told_to_end_is_not_started_again(void **state)
{
    unsigned quick = 0;
    (void)state;
    struct aff_restart r = aff_restart_decide(&(struct aff_worker_end){ exited(0), true, true, LONG }, &quick);
    assert_false(r.restarts);
    assert_int_equal(r.status, 0);
    r = aff_restart_decide(&(struct aff_worker_end){ exited(1), true, true, LONG }, &quick);
    assert_false(r.restarts);
    assert_int_equal(r.status, 1);
    r = aff_restart_decide(&(struct aff_worker_end){ SIGHUP, true, true, LONG }, &quick);
    assert_false(r.restarts);
    assert_int_equal(r.status, 128 + SIGHUP);
    /* somebody else told it */
    r = aff_restart_decide(&(struct aff_worker_end){ exited(0), false, true, LONG }, &quick);
    assert_false(r.restarts);
    assert_int_equal(r.status, 0);
}

static void what_cannot_start_ends_the_whole(void **state)
{
    unsigned quick = 0;
    (void)state;
    struct aff_restart r = aff_restart_decide(&(struct aff_worker_end){ exited(1), false, false, SOON }, &quick);
    assert_false(r.restarts);
    assert_int_equal(r.status, 1);
}

static void what_dies_is_started_again_at_once(void **state)
{
    unsigned quick = 0;
    (void)state;
    for (int i = 0; i < 20; i++) {
        struct aff_restart r = aff_restart_decide(&(struct aff_worker_end){ SIGKILL, false, true, LONG }, &quick);
        assert_true(r.restarts);
        assert_int_equal(r.pause_ms, 0);
    }
    /* one that served before, and gives up now: what it misses may come back */
    assert_true(aff_restart_decide(&(struct aff_worker_end){ exited(1), false, true, LONG }, &quick).restarts);
    /* one that was killed before it served: not by itself */
    assert_true(aff_restart_decide(&(struct aff_worker_end){ SIGKILL, false, false, SOON }, &quick).restarts);
}

static void what_dies_again_and_again_is_paced(void **state)
{
    static const int64_t pauses[] = { 0, 100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000, 10000 };
    unsigned quick = 0;
    (void)state;
    for (size_t i = 0; i < sizeof pauses / sizeof *pauses; i++)
        assert_int_equal(aff_restart_decide(&(struct aff_worker_end){ SIGSEGV, false, true, SOON }, &quick).pause_ms, pauses[i]);
    assert_int_equal(aff_restart_decide(&(struct aff_worker_end){ SIGSEGV, false, true, LONG }, &quick).pause_ms, 0);
    assert_int_equal(aff_restart_decide(&(struct aff_worker_end){ SIGSEGV, false, true, SOON }, &quick).pause_ms, 0);
    assert_int_equal(aff_restart_decide(&(struct aff_worker_end){ SIGSEGV, false, true, SOON }, &quick).pause_ms, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_told_to_end_is_not_started_again),
        cmocka_unit_test(what_cannot_start_ends_the_whole),
        cmocka_unit_test(what_dies_is_started_again_at_once),
        cmocka_unit_test(what_dies_again_and_again_is_paced),
    };
    return cmocka_run_group_tests_name("node_restart", tests, NULL, NULL);
}
