/*
 * base_alloc_test.c - base/alloc.h and base/cleanup.h: what is out of memory ends the process and says so.
 */
#include "base/alloc.h"
#include "base/cleanup.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/wait.h>

#include <cmocka.h>

static void copies_are_equal_and_separate(void **state)
{
    (void)state;
    const char text[] = "ab\0c";
    AFF_CLEANUP(aff_freep) char *string = aff_xstrdup(text), *bytes = aff_xmemdup(text, sizeof text);
    assert_string_equal(string, "ab");
    assert_memory_equal(bytes, text, sizeof text);
    assert_ptr_not_equal(string, text);
}

static void cleared_memory_is_zero_and_a_block_keeps_its_content(void **state)
{
    (void)state;
    AFF_CLEANUP(aff_freep) unsigned *numbers = aff_xcalloc(100, sizeof *numbers);
    for (int i = 0; i < 100; i++)
        assert_int_equal(numbers[i], 0);
    numbers[99] = 7;
    numbers = aff_xrealloc(numbers, 10000, sizeof *numbers);
    assert_int_equal(numbers[99], 7);
}

static void nothing_is_a_block_too(void **state)
{
    (void)state;
    AFF_CLEANUP(aff_freep) void *a = aff_xmalloc(0);
    AFF_CLEANUP(aff_freep) void *b = aff_xcalloc(0, 8);
    AFF_CLEANUP(aff_freep) void *c = aff_xmemdup(NULL, 0);
    assert_non_null(a);
    assert_non_null(b);
    assert_non_null(c);
}

static void ask_too_much(void)
{
    /* A product that overflows; through a variable, or the compiler refuses it. */
    volatile size_t half = SIZE_MAX / 2 + 1;
    free(aff_xcalloc(half, 2));
}

static void out_of_memory_aborts_with_a_message(void **state)
{
    (void)state;
    int pipes[2], status = 0;
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)signal(SIGABRT, SIG_DFL);
        (void)dup2(pipes[1], STDERR_FILENO);
        ask_too_much();
        _exit(0);
    }
    (void)close(pipes[1]);
    char text[256] = { 0 };
    assert_true(read(pipes[0], text, sizeof text - 1) > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(text, "affinity: out of memory"));
    (void)close(pipes[0]);
}

static void a_descriptor_is_closed_at_the_end_of_its_scope(void **state)
{
    (void)state;
    int number;
    {
        AFF_CLEANUP(aff_closep) int fd = dup(STDERR_FILENO), none = -1;
        assert_true(fd >= 0 && none < 0);
        number = fd;
    }
    assert_int_equal(fcntl(number, F_GETFD), -1);
}

struct thing {
    int *freed;
};

static struct thing *thing_free(struct thing *thing)
{
    if (thing)
        ++*thing->freed;
    return NULL;
}
AFF_CLEANUP_OF(struct thing, thing_free)

static struct thing *make(struct thing *thing, bool keep)
{
    AFF_CLEANUP(thing_freep) struct thing *made = thing;
    if (!keep)
        return NULL;
    made = NULL; /* handed over */
    return thing;
}

static void what_is_handed_over_is_not_freed(void **state)
{
    (void)state;
    int freed = 0;
    struct thing thing = { &freed };
    assert_ptr_equal(make(&thing, true), &thing);
    assert_int_equal(freed, 0);
    assert_null(make(&thing, false));
    assert_int_equal(freed, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_are_equal_and_separate),
        cmocka_unit_test(cleared_memory_is_zero_and_a_block_keeps_its_content),
        cmocka_unit_test(nothing_is_a_block_too),
        cmocka_unit_test(out_of_memory_aborts_with_a_message),
        cmocka_unit_test(a_descriptor_is_closed_at_the_end_of_its_scope),
        cmocka_unit_test(what_is_handed_over_is_not_freed),
    };
    return cmocka_run_group_tests_name("base/alloc", tests, NULL, NULL);
}
