/*
 * cli_test.c - the `affinity` binary as a user meets it: what it prints, where, and with which status. No shell between.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *binary;

struct result {
    int status;
    char *out, *err;
};

static char *contents(int fd)
{
    off_t len = lseek(fd, 0, SEEK_END);
    char *text = calloc(1, (size_t)len + 1);
    assert_non_null(text);
    assert_int_equal(pread(fd, text, (size_t)len, 0), len);
    close(fd);
    return text;
}

/* The child's standard streams are files in memory, so neither side can wait for the other. */
static void become(const char *const *arguments, int in, int out, int err)
{
    const char *argv[16] = { binary };
    for (size_t i = 0; arguments[i]; i++)
        argv[i + 1] = arguments[i];
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
        _exit(126);
    execv(binary, (char *const *)(uintptr_t)argv);
    _exit(127);
}

static struct result run_with_input(const char *input, size_t len, const char *const *arguments)
{
    int in = memfd_create("in", MFD_CLOEXEC), out = memfd_create("out", MFD_CLOEXEC);
    int err = memfd_create("err", MFD_CLOEXEC), status;
    assert_true(in >= 0 && out >= 0 && err >= 0);
    assert_int_equal(pwrite(in, input, len, 0), len);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        become(arguments, in, out, err);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(in);
    assert_true(WIFEXITED(status));
    return (struct result){ WEXITSTATUS(status), contents(out), contents(err) };
}

#define RUN(...) run_with_input("", 0, (const char *const[]){ __VA_ARGS__, NULL })

static void expect(struct result result, int status, const char *out, const char *err)
{
    if (result.status != status)
        fail_msg("status %d, not %d; standard error: %s", result.status, status, result.err);
    assert_string_equal(result.out, out);
    assert_string_equal(result.err, err);
    free(result.out);
    free(result.err);
}

/* A file that is gone after the test; its name is of the same length each time. */
struct file {
    char path[32];
};
static struct file file_with(const char *text)
{
    struct file file = { "/tmp/affinity-cli-XXXXXX" };
    int fd = mkstemp(file.path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    return file;
}

/* ---- check ---- */

static void check_prints_the_effective_settings(void **state)
{
    struct file file = file_with("cluster: demo\nkeyspaces: { accounts: { partitions: 2 } }\n");
    struct result result = RUN("check", "-c", file.path, "--set", "node.name=n7", "--set",
                               "keyspaces.accounts.ttl=90m");
    (void)state;
    unlink(file.path);
    assert_int_equal(result.status, 0);
    assert_string_equal(result.err, "");
    assert_non_null(strstr(result.out, "cluster: \"demo\"\n"));
    assert_non_null(strstr(result.out, "  name: \"n7\"\n"));
    assert_non_null(strstr(result.out, "  accounts:\n    partitions: 2\n    route: \"whole-key\"\n    replicas: 2\n    ttl: 90m\n"));
    free(result.out);
    free(result.err);
}

static void check_prints_every_error_with_its_place(void **state)
{
    struct file file = file_with("cluster: Demo\nkeyspaces:\n  accounts: { partitions: 0 }\n");
    char expected[512];
    (void)state;
    snprintf(expected, sizeof expected,
             "%s:1:10: cluster: Demo is not a name: expected a lower-case letter, then up to 39 of a-z, 0-9 and _\n"
             "%s:3:27: keyspaces.accounts.partitions: 0 is below the minimum 1\n"
             "--set 2: node.loop: there is no such setting; is node.loops meant?\n",
             file.path, file.path);
    struct result result = RUN("check", "-c", file.path, "--set", "log.level=info", "--set", "node.loop=1");
    unlink(file.path);
    expect(result, 1, "", expected);
}

static void check_says_when_there_is_no_such_file(void **state)
{
    (void)state;
    expect(RUN("check", "--config", "/nowhere.yaml"), 1, "",
           "/nowhere.yaml: cannot be read: No such file or directory\n");
}

static void check_describes_every_setting(void **state)
{
    struct result result = RUN("check", "--describe");
    (void)state;
    assert_int_equal(result.status, 0);
    assert_memory_equal(result.out, "# Configuration\n", 16);
    assert_non_null(strstr(result.out, "| `limits.head` | size | `16KiB` | 1KiB to 1MiB |"));
    free(result.out);
    free(result.err);
}

static void what_cannot_be_printed_is_a_failure(void **state)
{
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC), err = memfd_create("err", MFD_CLOEXEC), status;
    (void)state;
    assert_true(full >= 0 && err >= 0);
    pid_t pid = fork();
    if (pid == 0)
        become((const char *const[]){ "check", "--describe", NULL }, full, full, err);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(full);
    char *text = contents(err);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    assert_string_equal(text, "affinity: the standard output cannot be written\n");
    free(text);
}

/* ---- partition ---- */

static void partition_prints_partition_and_hash(void **state)
{
    (void)state;
    expect(RUN("partition", "foobar", "--partitions", "97"), 0, "partition=13 hash=0xd0e47bbe\n", "");
    expect(RUN("partition", "--hex", "666F6f626172", "--partitions=97"), 0, "partition=13 hash=0xd0e47bbe\n", "");
    expect(RUN("partition", "--partitions", "4", "test-value-for-partitioner"), 0, "partition=3 hash=0x312fc40b\n", "");
    expect(RUN("partition", "foobar/tx/9", "--route", "up-to \"/\"", "--partitions", "97"), 0, "partition=13 hash=0xd0e47bbe\n", "");
    expect(RUN("partition", "--hex", "00", "--partitions", "4"), 2, "",
           "affinity partition: 00: a key does not begin with a zero byte\n");
    expect(RUN("partition", "--partitions", "4", "--", "--hex"), 0, "partition=3 hash=0x55f57def\n", "");
}

static void partition_reads_keys_line_by_line(void **state)
{
    static const char keys[] = "foobar\nabc\n21";
    static const char hex[] = "61\nfg\n\n0061\n6162\n";
    static const char *const plain[] = { "partition", "--stdin", "--partitions", "97", NULL };
    static const char *const in_hex[] = { "partition", "--stdin", "--hex", "--partitions", "1", NULL };
    (void)state;
    expect(run_with_input(keys, sizeof keys - 1, plain), 0,
           "partition=13 hash=0xd0e47bbe\npartition=77 hash=0x1c94221b\npartition=41 hash=0xc5f2f8ec\n", "");
    struct result result = run_with_input(hex, sizeof hex - 1, in_hex);
    assert_int_equal(result.status, 1);
    assert_string_equal(result.err, "affinity partition: line 2: expected pairs of hexadecimal digits, such as 00ff41\n"
                                    "affinity partition: line 3: a key has 1 to 511 bytes\n"
                                    "affinity partition: line 4: a key does not begin with a zero byte\n");
    free(result.out);
    free(result.err);
}

static void partition_takes_keys_of_at_most_511_bytes(void **state)
{
    char key[2048];
    static const char *const arguments[] = { "partition", "--stdin", "--partitions", "1", NULL };
    static const char *const in_hex[] = { "partition", "--stdin", "--hex", "--partitions", "1", NULL };
    static const char refused[] = "affinity partition: line 1: a key has 1 to 511 bytes\n";
    (void)state;
    memset(key, '6', sizeof key);
    struct result result = run_with_input(key, 511, arguments);
    assert_int_equal(result.status, 0);
    free(result.out);
    free(result.err);
    result = run_with_input(key, 1022, in_hex);
    assert_int_equal(result.status, 0);
    free(result.out);
    free(result.err);
    expect(run_with_input(key, 512, arguments), 1, "", refused);
    expect(run_with_input(key, 1024, in_hex), 1, "", refused);
    expect(run_with_input(key, sizeof key, in_hex), 1, "", refused);
}

/* ---- the rest ---- */

static void version_is_the_one_that_was_built(void **state)
{
    (void)state;
    expect(RUN("version"), 0, "affinity " AFF_EXPECTED_VERSION "\n", "");
    expect(RUN("--version"), 0, "affinity " AFF_EXPECTED_VERSION "\n", "");
}

static void help_tells_how_each_command_is_used(void **state)
{
    static const char *const commands[] = { "check", "partition", "version", "help" };
    struct result all = RUN("help");
    (void)state;
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        char expected[64];
        struct result result = RUN("help", commands[i]), same = RUN(commands[i], "--help");
        snprintf(expected, sizeof expected, "usage: affinity %s", commands[i]);
        assert_int_equal(result.status, 0);
        assert_memory_equal(result.out, expected, strlen(expected));
        assert_string_equal(result.out, same.out);
        assert_non_null(strstr(all.out, commands[i]));
        free(result.out);
        free(result.err);
        free(same.out);
        free(same.err);
    }
    free(all.out);
    free(all.err);
}

/* Status 2 and one line that says what would be right. */
static void expect_usage(struct result result, const char *err)
{
    expect(result, 2, "", err);
}

static void a_wrong_command_line_is_told_what_would_be_right(void **state)
{
    (void)state;
    expect_usage(RUN("check"), "affinity check: no configuration: expected -c FILE\n");
    expect_usage(RUN("check", "-c"), "affinity check: -c needs an argument; `affinity help check` shows it\n");
    expect_usage(RUN("check", "--set"), "affinity check: --set needs an argument; `affinity help check` shows it\n");
    expect_usage(RUN("check", "--sets", "a=b"),
                 "affinity check: there is no option --sets; `affinity help check` lists them\n");
    expect_usage(RUN("check", "--set", "a=b", "-zc"),
                 "affinity check: there is no option -z; `affinity help check` lists them\n");
    expect_usage(RUN("check", "--describe=all"), "affinity check: --describe takes no argument\n");
    expect_usage(RUN("check", "affinity.yaml"),
                 "affinity check: affinity.yaml is too much: expected -c FILE and options\n");
    expect_usage(RUN("partition", "a"), "affinity partition: how many partitions? expected --partitions N\n");
    expect_usage(RUN("partition", "--partitions", "4"), "affinity partition: which key? expected KEY or --stdin\n");
    expect_usage(RUN("partition", "a", "b", "--partitions", "4"), "affinity partition: expected one KEY\n");
    expect_usage(RUN("partition", "a", "--stdin", "--partitions", "4"),
                 "affinity partition: expected KEY or --stdin, not both\n");
    expect_usage(RUN("partition", "a", "--partitions", "0"),
                 "affinity partition: --partitions 0: expected a number from 1 to 4096\n");
    expect_usage(RUN("partition", "a", "--partitions", "4097"),
                 "affinity partition: --partitions 4097: expected a number from 1 to 4096\n");
    expect_usage(RUN("partition", "a", "--partitions", "-4"),
                 "affinity partition: --partitions -4: expected a number from 1 to 4096\n");
    expect_usage(RUN("partition", "--hex", "abc", "--partitions", "4"),
                 "affinity partition: abc: expected pairs of hexadecimal digits, such as 00ff41\n");
    expect_usage(RUN("partition", "a", "--route", "/", "--partitions", "4"),
                 "affinity partition: --route: / is not a route: expected whole-key, or up-to \"/\", or up-to \"/\" 2, with 1 to 8 "
                 "characters of ASCII between the quotes, and a number from 1 to 9\n");
    expect_usage(RUN("version", "now"), "affinity version: now is too much: nothing follows version\n");
    expect_usage(RUN("help", "a", "b"), "affinity help: expected one command at most\n");
}

static void an_unknown_command_is_told_the_commands(void **state)
{
    struct result result = RUN("chekc"), none = run_with_input("", 0, (const char *const[]){ NULL });
    (void)state;
    assert_int_equal(result.status, 2);
    assert_memory_equal(result.err, "affinity: there is no command chekc; there are ", 47);
    assert_non_null(strstr(result.err, "check, status, partition, verify, drain, handover, version, help\n"));
    assert_int_equal(none.status, 2);
    assert_memory_equal(none.err, "usage: affinity COMMAND\n", 24);
    free(result.out);
    free(result.err);
    free(none.out);
    free(none.err);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: cli_test AFFINITY_BINARY\n");
        return 2;
    }
    binary = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_prints_the_effective_settings),
        cmocka_unit_test(check_prints_every_error_with_its_place),
        cmocka_unit_test(check_says_when_there_is_no_such_file),
        cmocka_unit_test(check_describes_every_setting),
        cmocka_unit_test(what_cannot_be_printed_is_a_failure),
        cmocka_unit_test(partition_prints_partition_and_hash),
        cmocka_unit_test(partition_reads_keys_line_by_line),
        cmocka_unit_test(partition_takes_keys_of_at_most_511_bytes),
        cmocka_unit_test(version_is_the_one_that_was_built),
        cmocka_unit_test(help_tells_how_each_command_is_used),
        cmocka_unit_test(a_wrong_command_line_is_told_what_would_be_right),
        cmocka_unit_test(an_unknown_command_is_told_the_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
