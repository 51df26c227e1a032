/*
 * changelog_death_test.c - a process that writes the embedded log is killed at random moments and at every fault point;
 * what it had acknowledged is there afterwards, and the log goes on.
 *
 * The child appends to partition 0 keys that are never written again, and to partition 1 one key over and over, and compacts
 * now and then. It tells by a pipe what was acknowledged: a number, once both appends of that number were reported.
 */
#include "changelog/embedded/embedded.h"

#include "base/fault.h"
#include "journal_folder.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROUNDS = 50, IN_FLIGHT = 20, COMPACT_EVERY = 150 };

static const struct aff_topic topic = { FOLDER_TOPIC, FOLDER_PARTITIONS, 0, INT64_MAX / 4, true };

/* ---- the child ---- */

struct child {
    struct client unique, same; /* on one loop */
    struct aff_changelog *log;
    int pipe;
    unsigned first; /* number of the first append of this life */
};

static bool put_both(struct child *c, unsigned i)
{
    char key[32], value[64];
    (void)snprintf(key, sizeof key, "key%u", i);
    (void)snprintf(value, sizeof value, "value%u", i);
    return client_put(&c->unique, key, value, i) == 0 && client_put(&c->same, "same", value, i) == 0;
}

/* True while both reports of a number have come in one more time. */
static bool tell_acknowledged(struct child *c, unsigned *told)
{
    size_t reported = c->unique.report_count < c->same.report_count ? c->unique.report_count : c->same.report_count;
    unsigned number = c->first + (unsigned)reported;
    if (number == *told)
        return true;
    *told = number;
    return write(c->pipe, &number, sizeof number) == sizeof number;
}

static int write_until_death(struct folder *f, int pipe, unsigned first, unsigned most)
{
    struct child c = { .pipe = pipe, .first = first };
    unsigned told = first;

    if (folder_start(f, &c.log, NULL) || c.log->ops->topic(c.log, &topic, NULL) ||
        !client_open(&c.unique, c.log, FOLDER_TOPIC, 0, NULL) ||
        !client_open(&c.same, c.log, FOLDER_TOPIC, 1, &c.unique))
        return 3;
    c.log->ops->keep_from(c.same.part, INT64_MAX);
    c.log->ops->keep_from(c.unique.part, INT64_MAX);
    for (unsigned i = first; i < first + most; i++) {
        if (!put_both(&c, i))
            return 4;
        (void)aff_loop_pass(c.unique.loop, 0);
        while (i + 1 - told >= IN_FLIGHT) {
            client_pass(&c.unique);
            if (!tell_acknowledged(&c, &told))
                return 5;
        }
        if (i % COMPACT_EVERY == COMPACT_EVERY - 1)
            (void)aff_changelog_embedded_compact(c.log);
    }
    client_close(&c.same);
    client_close(&c.unique);
    c.log->ops->free(c.log);
    return 0;
}

/* ---- the parent ---- */

struct life {
    pid_t pid;
    int pipe;
};

static struct life begin_life(struct folder *f, unsigned first, unsigned most, const char *faults)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(ends[0]);
        if (faults && aff_fault_init(faults, NULL))
            _exit(2);
        _exit(write_until_death(f, ends[1], first, most));
    }
    (void)close(ends[1]);
    return (struct life){ pid, ends[0] };
}

/* Waits for its end; the last number that it told, or `first`. */
static unsigned end_life(struct life life, unsigned first, int *ret_status)
{
    unsigned number, told = first;
    while (read(life.pipe, &number, sizeof number) == sizeof number)
        told = number;
    (void)close(life.pipe);
    assert_int_equal(waitpid(life.pid, ret_status, 0), life.pid);
    return told;
}

static unsigned number_of(const struct aff_entry *e)
{
    char text[64] = "";
    assert_true(e->value.data && e->value.len < sizeof text && e->value.len > 5);
    memcpy(text, e->value.data, e->value.len);
    assert_int_equal(strncmp(text, "value", 5), 0);
    return (unsigned)strtoul(text + 5, NULL, 10);
}

/* Starts on what is left: everything up to `acknowledged` is there. Returns how many entries partition 0 has. */
static unsigned check_what_is_left(struct folder *f, unsigned acknowledged)
{
    struct aff_changelog *log = NULL;
    aff_error err = { 0 };
    struct client c;

    if (folder_start(f, &log, &err))
        fail_msg("%s", err.text);
    assert_int_equal(log->ops->topic(log, &topic, NULL), 0);
    unsigned count = folder_count(log);
    if (count < acknowledged)
        fail_msg("%u were acknowledged and %u are there", acknowledged, count);
    assert_true(client_open(&c, log, FOLDER_TOPIC, 1, NULL));
    assert_true(client_read_all(&c, 0));
    const struct aff_entry *last = client_last_of(&c, "same");
    if (acknowledged > 0)
        assert_true(last && number_of(last) + 1 >= acknowledged);
    if (last) { /* both partitions have the same number of appends: bring them level for the next life */
        unsigned next = number_of(last) + 1;
        for (; next < count; next++) {
            char value[64];
            (void)snprintf(value, sizeof value, "value%u", next);
            assert_true(client_put_now(&c, "same", value));
        }
    }
    client_close(&c);
    log->ops->free(log);
    return count;
}

static void killed_at_random_it_keeps_what_it_acknowledged(void **state)
{
    struct folder *f = *state;
    uint32_t seed = 1;
    unsigned count = 0;

    f->opts.segment_bytes = 8 << 10;
    f->opts.clock = NULL;
    for (int round = 0; round < ROUNDS; round++) {
        int status;
        struct life life = begin_life(f, count, 1000000, NULL);
        seed = seed * 1664525u + 1013904223u;
        (void)usleep(1000 + (seed >> 8) % 40000);
        assert_int_equal(kill(life.pid, SIGKILL), 0);
        unsigned acknowledged = end_life(life, count, &status);
        if (WIFEXITED(status))
            fail_msg("round %d: the child ended with %d", round, WEXITSTATUS(status));
        count = check_what_is_left(f, acknowledged);
    }
    assert_true(count > ROUNDS);
}

static void killed_at_a_fault_point_it_keeps_what_it_acknowledged(void **state)
{
    static const char *const points[] = {
        "changelog.before-write",  "changelog.after-write",  "changelog.after-sync",
        "changelog.before-rename", "changelog.after-rename", "changelog.after-segment-create",
    };
    struct folder *f = *state;
    unsigned count = 0;
    char faults[128];

    f->opts.segment_bytes = 8 << 10;
    f->opts.clock = NULL;
    for (size_t i = 0; i < sizeof points / sizeof *points; i++)
        for (int pass = 1; pass <= 7; pass += 3) {
            int status;
            (void)snprintf(faults, sizeof faults, "%s=kill@%d", points[i], pass);
            unsigned acknowledged = end_life(begin_life(f, count, 3000, faults), count, &status);
            if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
                fail_msg("%s was not reached", faults);
            count = check_what_is_left(f, acknowledged);
        }
}

static void the_making_of_a_topic_is_all_or_nothing(void **state)
{
    struct folder *f = *state;
    int status;

    (void)end_life(begin_life(f, 0, 10, "changelog.topics-before-rename=kill@1"), 0, &status);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(check_what_is_left(f, 0), 0);
}

static void a_failed_sync_ends_the_process(void **state)
{
    struct folder *f = *state;
    int status;

    unsigned acknowledged = end_life(begin_life(f, 0, 100, "changelog.sync-error=error@3"), 0, &status);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_true(folder_logged(f, "event=changelog.sync-failed", "0000000000000001.journal"));
    (void)check_what_is_left(f, acknowledged);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_set_up, folder_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(killed_at_random_it_keeps_what_it_acknowledged),
        TEST(killed_at_a_fault_point_it_keeps_what_it_acknowledged),
        TEST(the_making_of_a_topic_is_all_or_nothing),
        TEST(a_failed_sync_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
