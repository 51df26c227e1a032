/*
 * embedded/topics.c - see embedded/topics.h.
 */
#include "changelog/embedded/topics.h"

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/fault.h"
#include "changelog/topic.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "topics"
#define TEMP_NAME "topics.tmp"
#define FIRST_LINE "affinity topics 1\n"
#define CRC_WORD "crc32 "
enum { CRC_LINE_LEN = 15, FILE_MAX = 64 << 20 };

/* ---- in memory ---- */

static struct jtopic *topic_new(const char *name, uint32_t id, uint32_t partition_count, uint32_t first_number)
{
    struct jtopic *t = aff_xcalloc(1, sizeof *t);
    t->id = id;
    t->name = aff_xstrdup(name);
    t->partition_count = partition_count;
    t->partitions = aff_xcalloc(partition_count, sizeof *t->partitions);
    for (uint32_t i = 0; i < partition_count; i++) {
        struct jpartition *p = &t->partitions[i];
        p->topic = t;
        p->index = i;
        p->number = first_number + i;
        aff_list_init(&p->parts);
        aff_list_init(&p->waiting);
    }
    return t;
}

static struct jtopic *topic_free(struct jtopic *t)
{
    free(t->partitions);
    free(t->name);
    free(t);
    return NULL;
}

static struct jtopic *add_topic(struct journal *j, const char *name, uint32_t partition_count) /* lock held */
{
    struct jtopic *t = topic_new(name, (uint32_t)j->topic_count + 1, partition_count, (uint32_t)j->partition_count);
    size_t count = j->partition_count + partition_count;

    j->topics = aff_xrealloc(j->topics, j->topic_count + 1, sizeof(struct jtopic *));
    j->topics[j->topic_count++] = t;
    j->partitions = aff_xrealloc(j->partitions, count, sizeof(struct jpartition *));
    for (uint32_t i = 0; i < partition_count; i++)
        j->partitions[j->partition_count++] = &t->partitions[i];
    return t;
}

struct jtopic *aff_topics_find(const struct journal *j, const char *name)
{
    for (size_t i = 0; i < j->topic_count; i++)
        if (strcmp(j->topics[i]->name, name) == 0)
            return j->topics[i];
    return NULL;
}

void aff_topics_fini(struct journal *j)
{
    for (size_t i = 0; i < j->topic_count; i++)
        j->topics[i] = topic_free(j->topics[i]);
    free(j->topics);
    free(j->partitions);
}

/* ---- reading ---- */

static int damaged(const struct journal *j, const char *what, unsigned line, aff_error *err)
{
    return aff_fail_with(err, AFF_ECORRUPT, "changelog: %s/" FILE_NAME " is damaged: %s in line %u", j->folder, what,
                         line);
}

static bool crc_is_right(const char *text, size_t len)
{
    char expected[CRC_LINE_LEN + 1];
    if (len < CRC_LINE_LEN)
        return false;
    size_t body = len - CRC_LINE_LEN;
    (void)snprintf(expected, sizeof expected, CRC_WORD "%08x\n", aff_crc32(0, text, body));
    return memcmp(text + body, expected, CRC_LINE_LEN) == 0;
}

static int parse_line(struct journal *j, char *line, unsigned number, aff_error *err)
{
    unsigned id = 0, count = 0;
    int name_at = 0;

    if (sscanf(line, "%u %u %n", &id, &count, &name_at) != 2 || name_at == 0)
        return damaged(j, "no number, partitions and name", number, err);
    struct aff_topic config = { .name = line + name_at, .partitions = count };
    if (id != j->topic_count + 1 || aff_topics_find(j, config.name) || aff_topic_check(&config, NULL))
        return damaged(j, "a number, a count or a name that cannot be", number, err);
    add_topic(j, config.name, count);
    return 0;
}

static int parse(struct journal *j, char *text, size_t len, aff_error *err)
{
    static const size_t head = sizeof FIRST_LINE - 1;
    unsigned number = 2;

    if (!crc_is_right(text, len) || memcmp(text, FIRST_LINE, head) != 0)
        return damaged(j, "the first line or the checksum", 1, err);
    text[len - CRC_LINE_LEN] = '\0';
    for (char *line = text + head, *end; *line; line = end + 1, number++) {
        end = strchr(line, '\n');
        if (!end)
            return damaged(j, "no end", number, err);
        *end = '\0';
        int rc = parse_line(j, line, number, err);
        if (rc)
            return rc;
    }
    return 0;
}

int aff_topics_load(struct journal *j, aff_error *err)
{
    AFF_CLEANUP(aff_closep) int fd = openat(j->dir_fd, FILE_NAME, O_RDONLY | O_CLOEXEC);
    struct stat st;

    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0 || fstat(fd, &st))
        return aff_fail_with(err, AFF_EIO, "changelog: cannot read %s/" FILE_NAME ": %s", j->folder, strerror(errno));
    if (st.st_size < CRC_LINE_LEN + (off_t)sizeof FIRST_LINE - 1 || st.st_size > FILE_MAX)
        return damaged(j, "its length", 1, err);
    AFF_CLEANUP(aff_freep) char *text = aff_xmalloc((size_t)st.st_size + 1);
    if (aff_file_read(fd, text, (size_t)st.st_size, 0) != st.st_size)
        return aff_fail_with(err, AFF_EIO, "changelog: cannot read %s/" FILE_NAME ": %s", j->folder, strerror(errno));
    text[st.st_size] = '\0';
    return parse(j, text, (size_t)st.st_size, err);
}

/* ---- writing ---- */

/* The file with one topic more. */
static bool format(const struct journal *j, const struct aff_topic *added, struct aff_buf *buf)
{
    bool fits = aff_buf_printf(buf, FIRST_LINE);
    for (size_t i = 0; fits && i < j->topic_count; i++)
        fits = aff_buf_printf(buf, "%u %u %s\n", j->topics[i]->id, j->topics[i]->partition_count, j->topics[i]->name);
    return fits && aff_buf_printf(buf, "%zu %u %s\n", j->topic_count + 1, added->partitions, added->name) &&
           aff_buf_printf(buf, CRC_WORD "%08x\n", aff_crc32(0, buf->data, buf->len));
}

static int write_temp(const struct journal *j, const struct aff_buf *text)
{
    AFF_CLEANUP(aff_closep) int fd = openat(j->dir_fd, TEMP_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct iovec part = { text->data, text->len };
    return fd < 0 || aff_file_write(fd, &part, 1, 0) || fsync(fd) ? -1 : 0;
}

static int store(const struct journal *j, const struct aff_topic *added, aff_error *err)
{
    struct aff_buf text;
    aff_buf_init(&text);
    int rc = format(j, added, &text) ? 0 : AFF_ENOMEM;
    if (rc)
        rc = aff_fail_with(err, rc, "changelog: no memory for the topics file");
    else if (write_temp(j, &text) || aff_fault("changelog.topics-before-rename") ||
             renameat(j->dir_fd, TEMP_NAME, j->dir_fd, FILE_NAME) || fsync(j->dir_fd))
        rc = aff_fail_with(err, errno == ENOSPC || errno == EDQUOT ? AFF_ENOSPACE : AFF_EIO,
                           "changelog: cannot store topic %s in %s/" FILE_NAME ": %s", added->name, j->folder,
                           strerror(errno));
    aff_buf_fini(&text);
    return rc;
}

static void apply_rules(struct journal *j, struct jtopic *t, const struct aff_topic *config) /* lock held */
{
    j->rules_version += config->compact && !t->compact;
    t->compact = config->compact;
    t->compaction_lag_ms = config->compaction_lag_ms;
    t->tombstone_retention_ms = config->tombstone_retention_ms;
}

/* topics_lock held: nobody else changes the table, so reading it needs no lock. */
static int declare(struct journal *j, const struct aff_topic *config, aff_error *err)
{
    struct jtopic *t = aff_topics_find(j, config->name);
    int rc = t ? aff_topic_check_count(config, t->partition_count, err) : store(j, config, err);
    if (rc)
        return rc;
    pthread_mutex_lock(&j->lock);
    apply_rules(j, t ? t : add_topic(j, config->name, config->partitions), config);
    pthread_mutex_unlock(&j->lock);
    return 0;
}

int aff_topics_declare(struct journal *j, const struct aff_topic *config, aff_error *err)
{
    int rc = aff_topic_check(config, err);
    if (rc)
        return rc;
    pthread_mutex_lock(&j->topics_lock);
    rc = declare(j, config, err);
    pthread_mutex_unlock(&j->topics_lock);
    return rc;
}
