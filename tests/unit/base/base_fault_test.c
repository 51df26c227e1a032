/*
 * base_fault_test.c - how AFFINITY_FAULTS is read and what the points do; deaths happen in a child process,
 * and the linker wraps nanosleep() so that nobody waits.
 */
#include "base/fault.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static int64_t slept_ms;

int __wrap_nanosleep(const struct timespec *time, struct timespec *left);
int __wrap_nanosleep(const struct timespec *time, struct timespec *left)
{
    (void)left;
    slept_ms += (int64_t)time->tv_sec * 1000 + time->tv_nsec / 1000000;
    return 0;
}

static void arm(const char *spec)
{
    aff_error err = { 0 };
    int rc = aff_fault_init(spec, &err);
    if (rc)
        fail_msg("'%s' was refused: %s", spec, err.text);
}

static int disarm(void **state)
{
    (void)state;
    return aff_fault_init(NULL, NULL);
}

/* Passes n times; a letter a pass: E for an error, a dot for none. */
static const char *passes(const char *name, int n, char *text)
{
    for (int i = 0; i < n; i++)
        text[i] = aff_fault(name) ? 'E' : '.';
    text[n] = '\0';
    return text;
}

static void nothing_is_armed_without_a_spec(void **state)
{
    (void)state;
    char text[8];
    arm("a=error@1+");
    assert_true(aff_fault_armed);
    arm(NULL);
    assert_false(aff_fault_armed);
    assert_string_equal(passes("a", 3, text), "...");
    arm("");
    assert_false(aff_fault_armed);
}

static void an_error_comes_at_its_pass(void **state)
{
    (void)state;
    char text[8];
    arm("a=error@3");
    assert_string_equal(passes("other", 4, text), "....");
    assert_string_equal(passes("a", 5, text), "..E..");
}

static void an_error_with_a_plus_stays(void **state)
{
    (void)state;
    char text[8];
    arm("store.commit-2_x=error@2+");
    assert_string_equal(passes("store.commit-2_x", 5, text), ".EEEE");
}

static void points_count_for_themselves_and_a_name_may_stand_twice(void **state)
{
    (void)state;
    char text[8];
    arm("a=error@1,b=error@2,a=error@4+");
    assert_string_equal(passes("b", 3, text), ".E.");
    assert_string_equal(passes("a", 5, text), "E..EE");
}

static void arming_again_starts_to_count_again(void **state)
{
    (void)state;
    char text[8];
    arm("a=error@2");
    assert_string_equal(passes("a", 1, text), ".");
    arm("a=error@2");
    assert_string_equal(passes("a", 3, text), ".E.");
}

static void a_kill_ends_the_process_at_its_pass(void **state)
{
    (void)state;
    int pipes[2], status = 0;
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (aff_fault_init("die=kill@3", NULL))
            _exit(2);
        for (int i = 0; i < 5; i++) {
            (void)aff_fault("die");
            if (write(pipes[1], ".", 1) != 1)
                _exit(3);
        }
        _exit(0);
    }
    (void)close(pipes[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
    char text[8];
    assert_int_equal(read(pipes[0], text, sizeof text), 2); /* died inside the third pass */
    (void)close(pipes[0]);
}

static void a_sleep_delays_at_its_pass_and_fails_nothing(void **state)
{
    (void)state;
    arm("slow=sleep:1234@2");
    slept_ms = 0;
    assert_false(aff_fault("slow"));
    assert_int_equal(slept_ms, 0);
    assert_false(aff_fault("slow"));
    assert_int_equal(slept_ms, 1234);
    assert_false(aff_fault("slow"));
    assert_int_equal(slept_ms, 1234);
}

static void what_is_not_understood_is_refused_and_named(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "a",          "a=",          "a=kill",
        "a=kill@",    "a=kill@0",    "a=kill@-1",
        "a=kill@1x",  "a=kill@1+",   "a=kil@1",
        "=kill@1",    "a=error@+",   "a=error@1++",
        "a=sleep@1",  "a=sleep:@1",  "a=sleep:5",
        "a=sleep:5@", "a=sleep:x@1", "a b=error@1",
        "a=error@1 ", "A=error@1",   "a=error@99999999999999999999",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char spec[128];
        aff_error err = { 0 };
        (void)snprintf(spec, sizeof spec, "good=error@1,%s,more=error@1", wrong[i]);
        if (aff_fault_init(spec, &err) != AFF_EINVAL)
            fail_msg("'%s' was taken", spec);
        if (!strstr(err.text, wrong[i]))
            fail_msg("'%s' does not name '%s'", err.text, wrong[i]);
        assert_null(strstr(err.text, "more"));
        assert_false(aff_fault_armed);
    }
    assert_int_equal(aff_fault_init("a=error@1,", NULL), AFF_EINVAL);
    assert_int_equal(aff_fault_init(",a=error@1", NULL), AFF_EINVAL);
    assert_int_equal(aff_fault_init(",", NULL), AFF_EINVAL);
}

static void names_and_numbers_of_points_are_bounded(void **state)
{
    (void)state;
    char spec[1024] = { 0 };
    memset(spec, 'n', 63);
    memcpy(spec + 63, "=error@1", 9);
    arm(spec);
    memset(spec, 'n', 64);
    memcpy(spec + 64, "=error@1", 9);
    assert_int_equal(aff_fault_init(spec, NULL), AFF_EINVAL);

    spec[0] = '\0';
    for (int i = 0; i < 33; i++) {
        if (i == 32)
            arm(spec);
        strcat(spec, i ? ",p=error@1" : "p=error@1");
    }
    aff_error err = { 0 };
    assert_int_equal(aff_fault_init(spec, &err), AFF_EINVAL);
    assert_non_null(strstr(err.text, "32"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(nothing_is_armed_without_a_spec, disarm),
        cmocka_unit_test_teardown(an_error_comes_at_its_pass, disarm),
        cmocka_unit_test_teardown(an_error_with_a_plus_stays, disarm),
        cmocka_unit_test_teardown(points_count_for_themselves_and_a_name_may_stand_twice, disarm),
        cmocka_unit_test_teardown(arming_again_starts_to_count_again, disarm),
        cmocka_unit_test_teardown(a_kill_ends_the_process_at_its_pass, disarm),
        cmocka_unit_test_teardown(a_sleep_delays_at_its_pass_and_fails_nothing, disarm),
        cmocka_unit_test_teardown(what_is_not_understood_is_refused_and_named, disarm),
        cmocka_unit_test_teardown(names_and_numbers_of_points_are_bounded, disarm),
    };
    return cmocka_run_group_tests_name("base/fault", tests, NULL, NULL);
}
