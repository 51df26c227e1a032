/*
 * journal_folder.c - see journal_folder.h.
 */
#include "journal_folder.h"

#include "changelog/embedded/format.h"
#include "changelog/embedded/segment.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

int folder_set_up(void **state)
{
    const char *base = getenv("TMPDIR");
    struct folder *f = calloc(1, sizeof *f);
    char log[300];

    (void)snprintf(f->path, sizeof f->path, "%s/affinity-journal-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(f->path));
    aff_virtual_clock_init(&f->clock);
    (void)snprintf(log, sizeof log, "%s/log", f->path);
    f->logger.fd = open(log, O_CREAT | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
    f->logger.clock = &f->clock.clock;
    f->opts = (struct aff_changelog_embedded_opts){
        .folder = f->path,
        .max_in_flight = 256 << 10, /* little space is allocated ahead, so that starts are quick */
        .clock = &f->clock.clock,
        .logger = &f->logger,
    };
    *state = f;
    return f->logger.fd < 0;
}

int folder_tear_down(void **state)
{
    struct folder *f = *state;
    char command[300];

    (void)snprintf(command, sizeof command, "rm -rf '%s'", f->path);
    int rc = system(command);
    (void)close(f->logger.fd);
    free(f);
    return rc;
}

/* ---- the log ---- */

int folder_start(struct folder *f, struct aff_changelog **ret_log, aff_error *err)
{
    return aff_changelog_embedded_new(&f->opts, ret_log, err);
}

struct aff_changelog *folder_open(struct folder *f)
{
    const struct aff_topic topic = { FOLDER_TOPIC, FOLDER_PARTITIONS, 1000, 1000, true };
    struct aff_changelog *log = NULL;
    aff_error err = { 0 };
    if (folder_start(f, &log, &err) || log->ops->topic(log, &topic, &err))
        fail_msg("%s", err.text);
    return log;
}

void folder_fill(struct aff_changelog *log, unsigned from, unsigned to)
{
    char key[32], value[32];
    struct client c;

    assert_true(client_open(&c, log, FOLDER_TOPIC, 0, NULL));
    for (unsigned i = from; i < to; i++) {
        (void)snprintf(key, sizeof key, "key%u", i);
        (void)snprintf(value, sizeof value, "value%u", i);
        assert_true(client_put_now(&c, key, value));
        assert_int_equal(c.reports[i - from].offset, i);
    }
    client_close(&c);
}

unsigned folder_count(struct aff_changelog *log)
{
    char key[32], value[32];
    struct client c;

    assert_true(client_open(&c, log, FOLDER_TOPIC, 0, NULL));
    assert_true(client_read_all(&c, 0));
    unsigned count = (unsigned)c.seen_count;
    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(key, sizeof key, "key%u", i);
        (void)snprintf(value, sizeof value, "value%u", i);
        assert_int_equal(c.seen[i].entry.offset, i);
        assert_true(aff_bytes_equal(c.seen[i].entry.key, aff_str(key)));
        assert_true(aff_bytes_equal(c.seen[i].entry.value, aff_str(value)));
    }
    client_close(&c);
    return count;
}

/* ---- its files ---- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

size_t folder_segments(const struct folder *f, char names[][32], size_t most)
{
    size_t count = 0;
    uint64_t number;
    DIR *dir = opendir(f->path);

    assert_non_null(dir);
    for (struct dirent *d; (d = readdir(dir)) != NULL;)
        if (aff_segment_number(d->d_name, &number)) {
            assert_true(count < most);
            (void)snprintf(names[count++], 32, "%.31s", d->d_name);
        }
    (void)closedir(dir);
    qsort(names, count, 32, compare_names);
    return count;
}

static void path_of(const struct folder *f, const char *name, char path[512])
{
    (void)snprintf(path, 512, "%s/%s", f->path, name);
}

unsigned char *folder_read(const struct folder *f, const char *name, size_t *ret_len)
{
    char path[512];
    struct stat st;

    path_of(f, name, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st))
        fail_msg("%s cannot be read", path);
    unsigned char *data = malloc((size_t)st.st_size + 1);
    assert_int_equal(read(fd, data, (size_t)st.st_size), st.st_size);
    (void)close(fd);
    *ret_len = (size_t)st.st_size;
    return data;
}

void folder_write(const struct folder *f, const char *name, const void *data, size_t len)
{
    char path[512];

    path_of(f, name, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), len);
    (void)close(fd);
}

void folder_remove(const struct folder *f, const char *name)
{
    char path[512];
    path_of(f, name, path);
    assert_int_equal(unlink(path), 0);
}

bool folder_has(const struct folder *f, const char *name)
{
    char path[512];
    path_of(f, name, path);
    return access(path, F_OK) == 0;
}

bool folder_logged(const struct folder *f, const char *event, const char *more)
{
    size_t len;
    bool found = false;
    char *text = (char *)folder_read(f, "log", &len), *rest = text;

    text[len] = '\0';
    for (char *line; (line = strsep(&rest, "\n")) != NULL;)
        found |= strstr(line, event) && strstr(line, more);
    free(text);
    return found;
}

void folder_forget_log(const struct folder *f)
{
    assert_int_equal(ftruncate(f->logger.fd, 0), 0);
}

size_t folder_batches(const unsigned char *data, size_t len, size_t *ret_at, size_t most)
{
    size_t count = 0, at = AFF_SEGMENT_HEAD;
    struct aff_segment_head segment;
    struct aff_batch_head head;

    assert_true(aff_segment_head_get(aff_bytes_of(data, len), &segment));
    while (at < len && aff_batch_head_get(aff_bytes_of(data + at, len - at), segment.first, at, &head)) {
        assert_true(count + 1 < most);
        ret_at[count++] = at;
        at += head.length;
    }
    ret_at[count] = at;
    return count;
}
