/*
 * store_open_test.c - how a store was left decides whether it is used: core/store/env.c, marker.c.
 */
#include "store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void path_of(struct fixture *f, const char *name, char *path, size_t size)
{
    (void)snprintf(path, size, "%s/%s", f->folder, name);
}

static void write_file(struct fixture *f, const char *name, const void *data, size_t len)
{
    char path[300];
    path_of(f, name, path, sizeof path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(fd, data, len), len);
    (void)close(fd);
}

static void read_file(struct fixture *f, const char *name, char *to, size_t size)
{
    char path[300];
    path_of(f, name, path, sizeof path);
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, to, size - 1);
    if (n < 0)
        fail_msg("cannot read %s", path);
    to[n] = '\0';
    (void)close(fd);
}

/* Opens the store in a process of its own, puts "a", and dies without closing. */
static void die_with_it_open(struct fixture *f)
{
    pid_t pid = fork();
    if (pid == 0) {
        fixture_open(f);
        put(f, "a", item_of("from the dead", 1));
        commit(f);
        put(f, "b", item_of("uncommitted", 2));
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static int setup(void **state)
{
    struct fixture *f = malloc(sizeof *f);
    fixture_init(f);
    *state = f;
    return 0;
}

static void expect_used(struct fixture *f)
{
    fixture_open(f);
    assert_false(f->fresh);
    assert_false(fixture_logged(f, "store.discarded"));
}

static void expect_thrown_away(struct fixture *f, const char *reason)
{
    fixture_open(f);
    if (!f->fresh || !fixture_logged(f, "event=store.discarded") || !fixture_logged(f, reason))
        fail_msg("the store should be thrown away, and the log should say: %s", reason);
    expect(f, "a", NULL);
    assert_int_equal(aff_store_count(f->store), 0);
    put(f, "a", item_of("new", 1));
    commit(f);
    fixture_close(f);
    fixture_open(f);
    assert_false(f->fresh);
    expect(f, "a", "new");
}

static void a_new_folder_is_made_with_those_above_it(void **state)
{
    struct fixture *f = *state;
    char deep[400];
    (void)snprintf(deep, sizeof deep, "%s/store//accounts/3/", f->folder);
    f->opts.folder = deep;
    fixture_open(f);
    assert_true(f->fresh);
    assert_false(fixture_logged(f, "store.discarded"));
    fixture_close(f);
}

static void the_markers_say_how_it_stands(void **state)
{
    struct fixture *f = *state;
    char text[256];
    fixture_open(f);
    read_file(f, "marker", text, sizeof text);
    assert_memory_equal(text, "affinity store 1 open boot-1 ", 29);
    size_t open_len = strlen(text);
    fixture_close(f);
    read_file(f, "marker", text, sizeof text);
    assert_memory_equal(text, "affinity store 1 closed ", 24);
    assert_int_equal(strlen(text), open_len); /* written in place, so a full disk is no hindrance */
}

static void the_boot_id_of_the_system_is_the_default(void **state)
{
    struct fixture *f = *state;
    char text[256], id[64];
    f->opts.boot_id = NULL;
    fixture_open(f);
    read_file(f, "marker", text, sizeof text);
    FILE *boot = fopen("/proc/sys/kernel/random/boot_id", "r");
    assert_non_null(fgets(id, sizeof id, boot));
    (void)fclose(boot);
    id[strcspn(id, "\n")] = '\0';
    assert_non_null(strstr(text, id));
}

static void after_a_crash_of_the_process_it_is_used_as_it_stands(void **state)
{
    struct fixture *f = *state;
    die_with_it_open(f);
    expect_used(f);
    expect(f, "a", "from the dead");
    expect(f, "b", NULL);
}

static void after_a_crash_of_the_machine_it_is_thrown_away(void **state)
{
    struct fixture *f = *state;
    die_with_it_open(f);
    f->opts.boot_id = "boot-2";
    expect_thrown_away(f, "the machine stopped before it was closed");
}

static void closed_cleanly_it_is_used_after_another_start_of_the_machine(void **state)
{
    struct fixture *f = *state;
    die_with_it_open(f);
    expect_used(f);
    fixture_close(f);
    f->opts.boot_id = "boot-2";
    expect_used(f);
    expect(f, "a", "from the dead");
    fixture_close(f);
    f->opts.boot_id = "boot-3";
    expect_used(f);
}

static void data_without_a_marker_is_thrown_away(void **state)
{
    struct fixture *f = *state;
    char path[300];
    die_with_it_open(f);
    path_of(f, "marker", path, sizeof path);
    assert_int_equal(unlink(path), 0);
    expect_thrown_away(f, "it has no marker");
}

static void a_marker_that_is_not_understood_means_throwing_away(void **state)
{
    struct fixture *f = *state;
    static const char *const wrong[] = { "",
                                         "affinity store 1 ",
                                         "affinity store 1 ope",
                                         "affinity store 2 closed",
                                         "affinity store 1 closed now",
                                         "affinity store 1 damaged" };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        fixture_open(f);
        fixture_close(f);
        write_file(f, "marker", wrong[i], strlen(wrong[i]));
        assert_int_equal(ftruncate(f->log_fd, 0), 0);
        assert_int_equal(lseek(f->log_fd, 0, SEEK_SET), 0);
        expect_thrown_away(f, "damaged, or is of another format");
        fixture_close(f);
    }
}

static void a_file_that_lmdb_cannot_read_is_thrown_away(void **state)
{
    struct fixture *f = *state;
    char garbage[8192];
    memset(garbage, 'g', sizeof garbage);
    fixture_open(f);
    put(f, "a", item_of("old", 1));
    commit(f);
    fixture_close(f);
    write_file(f, "data.mdb", garbage, sizeof garbage);
    expect_thrown_away(f, "MDB_INVALID");
}

static void a_file_that_was_cut_is_thrown_away(void **state)
{
    struct fixture *f = *state;
    char path[300], key[16];
    fixture_open(f);
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(key, sizeof key, "key-%d", i);
        put(f, key, item_of("some value", i));
    }
    commit(f);
    fixture_close(f);
    path_of(f, "data.mdb", path, sizeof path);
    assert_int_equal(truncate(path, 5 * 4096), 0);
    expect_thrown_away(f, "has 20480 bytes and should have");
}

static void an_empty_or_missing_file_is_a_new_store(void **state)
{
    struct fixture *f = *state;
    char path[300];
    path_of(f, "data.mdb", path, sizeof path);
    for (int missing = 0; missing < 2; missing++) {
        fixture_open(f);
        put(f, "a", item_of("old", 1));
        commit(f);
        fixture_close(f);
        assert_int_equal(missing ? unlink(path) : truncate(path, 0), 0);
        fixture_open(f);
        assert_true(f->fresh);
        expect(f, "a", NULL);
        fixture_close(f);
    }
}

static void a_second_process_is_refused_by_name(void **state)
{
    struct fixture *f = *state;
    int ready[2], done[2];
    char byte = 0, pid_text[24];
    assert_int_equal(pipe(ready) | pipe(done), 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(done[1]);
        fixture_open(f);
        put(f, "a", item_of("mine", 1));
        commit(f);
        (void)!write(ready[1], "r", 1);
        (void)!read(done[0], &byte, 1);
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    (void)snprintf(pid_text, sizeof pid_text, "process %ld has", (long)pid);
    f->opts.boot_id = "boot-2"; /* nothing is thrown away under a living owner */
    fixture_open_fails(f, AFF_EBUSY, pid_text);
    fixture_open_fails(f, AFF_EBUSY, f->folder);
    f->opts.boot_id = "boot-1";
    (void)close(done[1]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    expect_used(f);
    expect(f, "a", "mine");
    fixture_open_fails(f, AFF_EBUSY, f->folder); /* nor in this process a second time */
    for (int i = 0; i < 2; i++)
        (void)close(i ? done[0] : ready[0]);
    (void)close(ready[1]);
}

static void wrong_options_are_refused_with_what_would_be_right(void **state)
{
    struct fixture *f = *state;
    f->opts.boot_id = "two words";
    fixture_open_fails(f, AFF_EINVAL, "two words");
    f->opts.boot_id = "";
    fixture_open_fails(f, AFF_EINVAL, "boot id");
    f->opts.boot_id = "boot-1";
    f->opts.map_bytes = 4096;
    fixture_open_fails(f, AFF_EINVAL, "1 MiB");
    f->opts.map_bytes = UINT64_C(1) << 24;
    f->opts.folder = "";
    fixture_open_fails(f, AFF_EINVAL, "folder");
    f->opts.folder = "/proc/nothing/here";
    fixture_open_fails(f, AFF_EIO, "/proc/nothing");
}

static void a_smaller_map_than_before_still_holds_what_is_there(void **state)
{
    struct fixture *f = *state;
    char *big = malloc(4 << 20);
    memset(big, 'b', 4 << 20);
    fixture_open(f);
    struct aff_item item = item_of("", 1);
    item.value = aff_bytes_of(big, 4 << 20);
    assert_int_equal(aff_store_put(f->store, aff_str("big"), &item), 0);
    commit(f);
    fixture_close(f);
    f->opts.map_bytes = UINT64_C(1) << 20;
    expect_used(f);
    struct aff_item got;
    assert_int_equal(aff_store_get(f->store, aff_str("big"), &got), 1);
    assert_true(aff_bytes_equal(got.value, item.value));
    item.version.offset = 2;
    assert_int_equal(aff_store_put(f->store, aff_str("big"), &item), AFF_ENOSPACE);
    fixture_close(f);
    f->opts.map_bytes = UINT64_C(64) << 20;
    expect_used(f);
    assert_int_equal(aff_store_put(f->store, aff_str("big"), &item), 0);
    commit(f);
    free(big);
}

#define open_test(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        open_test(a_new_folder_is_made_with_those_above_it),
        open_test(the_markers_say_how_it_stands),
        open_test(the_boot_id_of_the_system_is_the_default),
        open_test(after_a_crash_of_the_process_it_is_used_as_it_stands),
        open_test(after_a_crash_of_the_machine_it_is_thrown_away),
        open_test(closed_cleanly_it_is_used_after_another_start_of_the_machine),
        open_test(data_without_a_marker_is_thrown_away),
        open_test(a_marker_that_is_not_understood_means_throwing_away),
        open_test(a_file_that_lmdb_cannot_read_is_thrown_away),
        open_test(a_file_that_was_cut_is_thrown_away),
        open_test(an_empty_or_missing_file_is_a_new_store),
        open_test(a_second_process_is_refused_by_name),
        open_test(wrong_options_are_refused_with_what_would_be_right),
        open_test(a_smaller_map_than_before_still_holds_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
