/*
 * changelog_embedded_test.c - the embedded log as it runs: large rounds, many segments, reads from anywhere, the lock, full
 * disks, damage under its feet, and what compaction does to the files. Deaths are in changelog_death_test.c.
 */
#include "changelog/embedded/embedded.h"

#include "base/fault.h"
#include "changelog/embedded/format.h"
#include "journal_folder.h"
#include "lib/mounts.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { MOST = 4096 };

static uint32_t random_next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static int64_t file_size(const struct folder *f, const char *name)
{
    char path[512];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/%s", f->path, name);
    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

/* ---- writing ---- */

static void a_pass_of_many_megabytes_is_written_in_pieces(void **state)
{
    enum { COUNT = 40, SIZE = 1 << 20 };
    struct folder *f = *state;
    struct client c;
    char *value = malloc(SIZE);

    f->opts.max_in_flight = 0;
    struct aff_changelog *log = folder_open(f);
    assert_true(client_open(&c, log, FOLDER_TOPIC, 0, NULL));
    for (unsigned i = 0; i < COUNT; i++) {
        memset(value, (int)('a' + i), SIZE);
        const struct aff_entry entry = { .key = aff_str("k"), .value = aff_bytes_of(value, SIZE - i) };
        assert_int_equal(client_append(&c, &entry, i), 0);
    }
    assert_true(client_await_reports(&c, COUNT));
    assert_true(client_read_all(&c, 0));
    assert_int_equal(c.seen_count, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(c.seen[i].entry.value.len, SIZE - i);
        assert_int_equal(*(const unsigned char *)c.seen[i].entry.value.data, 'a' + i);
    }
    client_close(&c);
    log->ops->free(log);
    log = folder_open(f);
    assert_true(client_open(&c, log, FOLDER_TOPIC, 0, NULL));
    assert_true(client_read_all(&c, COUNT - 1));
    assert_int_equal(c.seen_count, 1);
    client_close(&c);
    log->ops->free(log);
    free(value);
}

static void appends_of_one_pass_share_a_batch(void **state)
{
    struct folder *f = *state;
    struct aff_changelog *log = folder_open(f);
    size_t len, at[MOST];
    struct client c;

    assert_true(client_open(&c, log, FOLDER_TOPIC, 0, NULL));
    for (uint64_t i = 0; i < 64; i++)
        assert_int_equal(client_put(&c, "key", "value", i), 0);
    assert_true(client_await_reports(&c, 64));
    struct aff_changelog_numbers numbers = { 0 };
    log->ops->numbers(log, &numbers);
    assert_int_equal(numbers.syncs, 1);
    client_close(&c);
    log->ops->free(log);
    unsigned char *data = folder_read(f, "0000000000000001.journal", &len);
    assert_int_equal(folder_batches(data, len, at, MOST), 1);
    free(data);
}

static void space_is_allocated_ahead_and_given_back(void **state)
{
    struct folder *f = *state;
    struct aff_changelog *log = folder_open(f);

    folder_fill(log, 0, 3);
    assert_true(file_size(f, "0000000000000001.journal") > (int64_t)f->opts.max_in_flight);
    log->ops->free(log);
    assert_true(file_size(f, "0000000000000001.journal") < 1000);
}

/* ---- reading ---- */

enum { ENTRIES = 3000 };

/* ENTRIES entries over the partitions, of sizes up to 2 KiB; the value begins with its number in the partition. */
static void fill_partitions(struct client c[FOLDER_PARTITIONS], int64_t ends[FOLDER_PARTITIONS])
{
    uint32_t seed = 7;
    char value[2100];

    memset(value, 'v', sizeof value);
    for (unsigned i = 0; i < ENTRIES; i++) {
        uint32_t p = random_next(&seed) % 10 % FOLDER_PARTITIONS;
        int len = snprintf(value, sizeof value, "%lld ", (long long)ends[p]);
        const struct aff_entry entry = { .key = aff_str("key"),
                                         .value = aff_bytes_of(value, (size_t)len + random_next(&seed) % 2048) };
        value[len] = 'v';
        while (client_append(&c[p], &entry, (uint64_t)ends[p]) == AFF_EAGAIN)
            client_pass(&c[0]);
        ends[p]++;
        if (random_next(&seed) % 8 == 0)
            (void)aff_loop_pass(c[0].loop, 0);
    }
    for (uint32_t p = 0; p < FOLDER_PARTITIONS; p++)
        assert_true(client_await_reports(&c[p], (size_t)ends[p]));
}

static void open_partitions(struct aff_changelog *log, struct client c[FOLDER_PARTITIONS])
{
    for (uint32_t p = 0; p < FOLDER_PARTITIONS; p++)
        assert_true(client_open(&c[p], log, FOLDER_TOPIC, p, p ? &c[0] : NULL));
}

static void close_partitions(struct client c[FOLDER_PARTITIONS])
{
    for (uint32_t p = FOLDER_PARTITIONS; p-- > 0;)
        client_close(&c[p]);
}

static void assert_reads(struct client *c, int64_t from, size_t max_bytes, int64_t end)
{
    char number[32];
    client_forget(c);
    client_read(c, from, max_bytes, AFF_READ_TO_END, 1);
    assert_true(client_await_batches(c, 1));
    assert_int_equal(c->last.status, 0);
    assert_int_equal(c->last.end, end);
    assert_int_equal(c->seen_count > 0, from < end);
    for (size_t i = 0; i < c->seen_count; i++) {
        const struct aff_entry *e = &c->seen[i].entry;
        int len = snprintf(number, sizeof number, "%lld ", (long long)e->offset);
        assert_int_equal(e->offset, from + (int64_t)i);
        assert_memory_equal(e->value.data, number, (size_t)len);
    }
    if (from < end)
        assert_int_equal(c->last.next, from + (int64_t)c->seen_count);
}

static void reads_begin_anywhere(void **state)
{
    struct folder *f = *state;
    struct client c[FOLDER_PARTITIONS];
    int64_t ends[FOLDER_PARTITIONS] = { 0 };
    uint32_t seed = 99;
    static char names[MOST][32];

    f->opts.segment_bytes = 300 << 10;
    struct aff_changelog *log = folder_open(f);
    open_partitions(log, c);
    fill_partitions(c, ends);
    for (int again = 0; again < 2; again++) {
        assert_true(folder_segments(f, names, MOST) > 5);
        for (int i = 0; i < 400; i++) {
            uint32_t p = random_next(&seed) % FOLDER_PARTITIONS;
            int64_t from = random_next(&seed) % (uint32_t)(ends[p] + 1);
            assert_reads(&c[p], from, random_next(&seed) % 30000, ends[p]);
            if (c[p].last.next < ends[p] && i % 3 == 0) /* and go on where they stopped */
                assert_reads(&c[p], c[p].last.next, 5000, ends[p]);
        }
        close_partitions(c);
        log->ops->free(log);
        log = folder_open(f); /* the index is made anew */
        open_partitions(log, c);
    }
    close_partitions(c);
    log->ops->free(log);
}

static void damage_that_comes_while_it_runs_is_told_to_the_reader(void **state)
{
    struct folder *f = *state;
    struct aff_changelog *log = folder_open(f);
    size_t len, at[MOST];
    char path[512];
    struct client c;

    folder_fill(log, 0, 5);
    unsigned char *data = folder_read(f, "0000000000000001.journal", &len);
    assert_int_equal(folder_batches(data, len, at, MOST), 5);
    (void)snprintf(path, sizeof path, "%s/0000000000000001.journal", f->path);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "?", 1, (off_t)at[3] + 70), 1);
    (void)close(fd);

    assert_true(client_open(&c, log, FOLDER_TOPIC, 0, NULL));
    client_read(&c, 0, 1 << 20, AFF_READ_TO_END, 1);
    assert_true(client_await_batches(&c, 1)); /* what is good before it comes */
    assert_int_equal(c.last.status, 0);
    assert_int_equal(c.seen_count, 3);
    client_read(&c, 3, 1 << 20, AFF_READ_TO_END, 2);
    assert_true(client_await_batches(&c, 2));
    assert_int_equal(c.last.status, AFF_ECORRUPT);
    assert_int_equal(c.last_count, 0);
    assert_true(folder_logged(f, "event=changelog.read-failed", "0000000000000001.journal"));
    client_close(&c);
    log->ops->free(log);
    free(data);
}

/* ---- full disks ---- */

static int append_large(struct client *c, uint64_t seq)
{
    static char value[32 << 10];
    const struct aff_entry entry = { .key = aff_str("k"), .value = aff_bytes_of(value, sizeof value) };
    return client_append(c, &entry, seq);
}

/* Appends of 32 KiB, each waited for, until one is refused; returns their number. */
static uint64_t fill_disk(struct client *c, uint64_t count, int *ret_code)
{
    int64_t until = aff_mono_ns(aff_clock_system()) + 60 * AFF_NS_PER_S;

    do {
        *ret_code = append_large(c, count);
        count += *ret_code == 0;
        if (!client_await_reports(c, count))
            return 0;
    } while ((*ret_code == 0 || *ret_code == AFF_EAGAIN) && aff_mono_ns(aff_clock_system()) < until);
    return count;
}

/* True once an append is taken again. */
static bool await_space(struct client *c, uint64_t seq)
{
    for (int i = 0; i < 1000; i++) {
        if (append_large(c, seq) == 0)
            return client_await_reports(c, c->report_count + 1);
        client_pass(c);
    }
    return false;
}

static void no_space_refuses_appends_and_loses_none(void **state)
{
    struct folder *f = *state;
    struct client c;
    int rc;

    assert_int_equal(aff_fault_init("changelog.nospace=error@1+", NULL), 0);
    struct aff_changelog *log = folder_open(f);
    assert_true(client_open(&c, log, FOLDER_TOPIC, 0, NULL));
    uint64_t count = fill_disk(&c, 0, &rc);
    assert_int_equal(rc, AFF_ENOSPACE);
    assert_true(count > 0);
    assert_true(folder_logged(f, "event=changelog.no-space", f->path));
    assert_true(client_read_all(&c, 0));
    assert_int_equal(c.seen_count, count);
    client_close(&c);
    log->ops->free(log);
    assert_int_equal(aff_fault_init(NULL, NULL), 0);
}

/* In a child with a mount namespace of its own: a disk of 12 MiB, most of it taken by a file. Returns what failed. */
static const char *live_on_small_disk(struct folder *f)
{
    const struct aff_topic topic = { FOLDER_TOPIC, FOLDER_PARTITIONS, 0, 0, false };
    struct aff_changelog *log = NULL;
    char ballast[512], folder[512];
    struct client c;
    aff_error err;
    int rc;

    (void)snprintf(ballast, sizeof ballast, "%s/ballast", f->path);
    (void)snprintf(folder, sizeof folder, "%s/journal", f->path);
    f->opts.folder = folder;
    int fd = open(ballast, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 || posix_fallocate(fd, 0, 6 << 20) || close(fd))
        return "the ballast";
    if (folder_start(f, &log, &err) || log->ops->topic(log, &topic, &err) ||
        !client_open(&c, log, FOLDER_TOPIC, 0, NULL))
        return "the start";
    uint64_t count = fill_disk(&c, 0, &rc);
    if (rc != AFF_ENOSPACE || count < 50)
        return "the refusal when it is full";
    if (!client_read_all(&c, 0) || c.seen_count != count)
        return "the reading when it is full";
    client_close(&c);
    log->ops->free(log);

    if (folder_start(f, &log, &err) || log->ops->topic(log, &topic, &err) ||
        !client_open(&c, log, FOLDER_TOPIC, 0, NULL))
        return "the start on a full disk";
    count = fill_disk(&c, 0, &rc) + count; /* what was given back at the end, and no more */
    if (rc != AFF_ENOSPACE || !client_read_all(&c, 0) || c.seen_count != count)
        return "the second refusal";
    if (unlink(ballast) || !await_space(&c, 0))
        return "appending once there was space again";
    if (!client_read_all(&c, 0) || c.seen_count != count + 1)
        return "the reading at the end";
    client_close(&c);
    log->ops->free(log);
    return NULL;
}

static int small_disk_child(struct folder *f)
{
    if (!mounts_of_its_own())
        return 2;
    if (mount("small", f->path, "tmpfs", 0, "size=12m")) {
        perror("cannot mount a small disk");
        return 2;
    }
    const char *failure = live_on_small_disk(f);
    if (failure)
        (void)fprintf(stderr, "on the small disk failed: %s\n", failure);
    return failure ? 1 : 0;
}

static void a_small_disk_is_filled_and_no_accepted_append_fails(void **state)
{
    struct folder *f = *state;
    int status;

    pid_t child = fork();
    if (child == 0)
        _exit(small_disk_child(f));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_true(folder_logged(f, "event=changelog.no-space", "journal"));
    assert_true(folder_logged(f, "event=changelog.space-again", "journal"));
}

/* ---- the lock ---- */

static void a_second_process_is_refused_and_told_who_has_it(void **state)
{
    struct folder *f = *state;
    struct aff_changelog *log = NULL;
    aff_error err = { 0 };
    int ready[2];
    char pid[32], byte;

    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        if (folder_start(f, &log, &err) || write(ready[1], "r", 1) != 1)
            _exit(1);
        for (;;)
            (void)pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(folder_start(f, &log, &err), AFF_EBUSY);
    (void)snprintf(pid, sizeof pid, "process %ld", (long)child);
    assert_non_null(strstr(err.text, pid));
    assert_non_null(strstr(err.text, f->path));
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);

    assert_int_equal(folder_start(f, &log, &err), 0); /* the lock ended with its holder */
    struct aff_changelog *again = NULL;
    assert_int_equal(folder_start(f, &again, &err), AFF_EBUSY); /* also within one process */
    log->ops->free(log);
    (void)close(ready[0]);
    (void)close(ready[1]);
}

static void a_folder_that_cannot_be_is_refused(void **state)
{
    struct folder *f = *state;
    struct aff_changelog *log = NULL;
    aff_error err = { 0 };
    char path[512];

    (void)snprintf(path, sizeof path, "%s/a/b/c", f->path);
    f->opts.folder = path;
    assert_int_equal(folder_start(f, &log, &err), AFF_EIO);
    assert_non_null(strstr(err.text, path));
    (void)snprintf(path, sizeof path, "%s/log", f->path); /* a file */
    assert_int_equal(folder_start(f, &log, &err), AFF_EIO);
}

/* ---- compaction and files ---- */

/* Rounds of the same keys in every partition on small segments; then the segments are compacted. */
static void overwrite(struct folder *f, struct aff_changelog *log, unsigned rounds)
{
    char key[32], value[300];
    struct client c[FOLDER_PARTITIONS];

    memset(value, 'x', sizeof value);
    value[sizeof value - 1] = '\0';
    open_partitions(log, c);
    for (uint32_t p = 0; p < FOLDER_PARTITIONS; p++)
        log->ops->keep_from(c[p].part, INT64_MAX);
    for (unsigned i = 0; i < rounds; i++) {
        (void)snprintf(key, sizeof key, "key%u", i % 20);
        (void)snprintf(value, 12, "%010u", i);
        value[10] = ' ';
        for (uint32_t p = 0; p < FOLDER_PARTITIONS; p++)
            assert_int_equal(client_put(&c[p], key, value, i), 0);
        if (i % 5 == 4)
            assert_true(client_await_reports(&c[FOLDER_PARTITIONS - 1], i + 1));
    }
    for (uint32_t p = 0; p < FOLDER_PARTITIONS; p++)
        assert_true(client_await_reports(&c[p], rounds));
    close_partitions(c);
    (void)f;
}

static void compaction_shrinks_and_merges_files(void **state)
{
    struct folder *f = *state;
    static char names[MOST][32];

    f->opts.segment_bytes = 32 << 10;
    struct aff_changelog *log = folder_open(f);
    overwrite(f, log, 600);
    size_t before = folder_segments(f, names, MOST);
    assert_true(before > 10);
    aff_virtual_clock_advance(&f->clock, 1001 * AFF_NS_PER_MS);
    assert_int_equal(aff_changelog_embedded_compact(log), 0);
    size_t after = folder_segments(f, names, MOST);
    assert_in_range(after, 2, 4); /* 60 keys are 24 KiB; and the segment that is being written */
    log->ops->free(log);

    log = folder_open(f); /* the numbers that the merged file covers are all there */
    struct client c;
    assert_true(client_open(&c, log, FOLDER_TOPIC, 1, NULL));
    assert_true(client_read_all(&c, 0));
    assert_in_range(c.seen_count, 20, 60);
    assert_int_equal(c.last.end, 600);
    client_close(&c);
    log->ops->free(log);
}

static void a_compacted_segment_has_each_partition_in_one_piece(void **state)
{
    struct folder *f = *state;
    static char names[MOST][32];
    size_t len, at[MOST];
    uint32_t last_partition = 0;
    int64_t last_offset = -1;

    f->opts.segment_bytes = 32 << 10;
    struct aff_changelog *log = folder_open(f);
    overwrite(f, log, 200);
    aff_virtual_clock_advance(&f->clock, 1001 * AFF_NS_PER_MS);
    assert_int_equal(aff_changelog_embedded_compact(log), 0);
    log->ops->free(log);
    assert_true(folder_segments(f, names, MOST) >= 2);
    unsigned char *data = folder_read(f, names[0], &len);
    size_t count = folder_batches(data, len, at, MOST);
    assert_int_equal(at[count], len);
    for (size_t i = 0; i < count; i++) {
        struct aff_batch_head head;
        struct aff_placed placed;
        aff_bytes batch = aff_bytes_of(data + at[i], len - at[i]);
        assert_true(aff_batch_head_get(batch, 1, at[i], &head) && aff_batch_crc_right(batch, &head));
        struct aff_cursor cursor = aff_batch_entries(batch, &head);
        for (uint32_t k = 0; k < head.count; k++) {
            assert_true(aff_entry_get(&cursor, &placed));
            assert_true(placed.partition > last_partition ||
                        (placed.partition == last_partition && placed.entry.offset > last_offset));
            last_partition = placed.partition;
            last_offset = placed.entry.offset;
        }
        assert_int_equal(head.flags == AFF_BATCH_END, i + 1 == count);
    }
    assert_int_equal(last_partition, FOLDER_PARTITIONS - 1);
    free(data);
}

/* A reader that is inside a segment while that is replaced goes on in the old file and then in the new ones. */
static void a_reader_survives_that_its_segment_is_replaced(void **state)
{
    struct folder *f = *state;
    struct client c;

    f->opts.segment_bytes = 32 << 10;
    struct aff_changelog *log = folder_open(f);
    overwrite(f, log, 300);
    aff_virtual_clock_advance(&f->clock, 1001 * AFF_NS_PER_MS);
    assert_true(client_open(&c, log, FOLDER_TOPIC, 1, NULL));
    client_read(&c, 0, 2000, AFF_READ_TO_END, 1);
    assert_true(client_await_batches(&c, 1));
    assert_int_equal(aff_changelog_embedded_compact(log), 0);
    for (size_t batches = 1; c.last.next < 300;) {
        client_read(&c, c.last.next, 2000, AFF_READ_TO_END, 1);
        assert_true(client_await_batches(&c, ++batches));
        assert_int_equal(c.last.status, 0);
    }
    for (size_t i = 1; i < c.seen_count; i++)
        assert_true(c.seen[i].entry.offset > c.seen[i - 1].entry.offset);
    assert_int_equal(c.seen[c.seen_count - 1].entry.offset, 299);
    client_close(&c);
    log->ops->free(log);
}

/* Entries of before it was compacted do not come into the key map of later passes, unless the topic's turn makes every
 * segment unclean again; then a tombstone could go before what it covers. */
static void a_topic_that_is_compacted_later_keeps_its_deletes(void **state)
{
    struct folder *f = *state;
    struct aff_topic topic = { FOLDER_TOPIC, FOLDER_PARTITIONS, 10, 10, false };
    const struct aff_topic other = { "test.other", 1, 10, 10, true };
    struct aff_changelog *log = NULL;
    struct client c;

    f->opts.segment_bytes = 4096;
    assert_int_equal(folder_start(f, &log, NULL), 0);
    assert_int_equal(log->ops->topic(log, &topic, NULL), 0);
    assert_int_equal(log->ops->topic(log, &other, NULL), 0);
    assert_true(client_open(&c, log, FOLDER_TOPIC, 0, NULL));
    log->ops->keep_from(c.part, INT64_MAX);
    char *filler = calloc(1, 5001);
    memset(filler, 'f', 5000);
    assert_true(client_put_now(&c, "k", "v"));
    assert_true(client_put_now(&c, "filler", filler)); /* each seals its segment */
    assert_true(client_put_now(&c, "k", NULL));
    assert_true(client_put_now(&c, "filler", filler));
    assert_true(client_put_now(&c, "end", "v"));
    aff_virtual_clock_advance(&f->clock, 11 * AFF_NS_PER_MS);
    assert_int_equal(aff_changelog_embedded_compact(log), 0);
    topic.compact = true;
    assert_int_equal(log->ops->topic(log, &topic, NULL), 0);
    assert_true(client_put_now(&c, "filler", filler)); /* something new, so that a pass has to do */
    assert_true(client_put_now(&c, "end", "v"));
    aff_virtual_clock_advance(&f->clock, 11 * AFF_NS_PER_MS);
    assert_int_equal(aff_changelog_embedded_compact(log), 0);
    assert_true(client_read_all(&c, 0));
    const struct aff_entry *last = client_last_of(&c, "k");
    assert_true(!last || !last->value.data);
    client_close(&c);
    log->ops->free(log);
    free(filler);
}

static void the_compactor_comes_by_itself(void **state)
{
    struct folder *f = *state;
    static char names[MOST][32];
    size_t left = MOST;

    f->opts.segment_bytes = 32 << 10;
    f->opts.clock = NULL;
    f->opts.compact_every_ms = 20;
    const struct aff_topic topic = { FOLDER_TOPIC, FOLDER_PARTITIONS, 0, 0, true };
    struct aff_changelog *log = folder_open(f);
    assert_int_equal(log->ops->topic(log, &topic, NULL), 0);
    overwrite(f, log, 600);
    for (int i = 0; left > 6 && i < 3000; i++) {
        (void)usleep(10000);
        left = folder_segments(f, names, MOST);
    }
    assert_true(left <= 6);
    log->ops->free(log);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_set_up, folder_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_pass_of_many_megabytes_is_written_in_pieces),
        TEST(appends_of_one_pass_share_a_batch),
        TEST(space_is_allocated_ahead_and_given_back),
        TEST(reads_begin_anywhere),
        TEST(damage_that_comes_while_it_runs_is_told_to_the_reader),
        TEST(no_space_refuses_appends_and_loses_none),
        TEST(a_small_disk_is_filled_and_no_accepted_append_fails),
        TEST(a_second_process_is_refused_and_told_who_has_it),
        TEST(a_folder_that_cannot_be_is_refused),
        TEST(compaction_shrinks_and_merges_files),
        TEST(a_compacted_segment_has_each_partition_in_one_piece),
        TEST(a_reader_survives_that_its_segment_is_replaced),
        TEST(a_topic_that_is_compacted_later_keeps_its_deletes),
        TEST(the_compactor_comes_by_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
