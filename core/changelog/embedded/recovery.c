/*
 * embedded/recovery.c - see embedded/recovery.h. On the thread that starts the node.
 */
#include "changelog/embedded/recovery.h"

#include "base/alloc.h"
#include "base/cleanup.h"
#include "changelog/embedded/scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* One file as found. */
struct found {
    struct aff_segment *segment;
    uint64_t number; /* by its name */
    bool head_good;
    bool leftover; /* to be removed */
    struct aff_scan_result scan;
};

struct recovery {
    struct aff_scan_visitor visitor;
    struct journal *j;
    aff_error *err;
    struct found *found; /* ascending numbers */
    size_t count, capacity;
    struct found *at;           /* that is being scanned */
    struct aff_buf temporaries; /* names of temporary files, each with its NUL */
};

/* ---- listing ---- */

static int failed(const struct journal *j, const char *what, const char *name, aff_error *err)
{
    return aff_fail_with(err, AFF_EIO, "changelog: cannot %s %s/%s: %s", what, j->folder, name, strerror(errno));
}

static int note_segment(struct recovery *r, const char *name, uint64_t number)
{
    int fd = openat(r->j->dir_fd, name, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return failed(r->j, "open", name, r->err);
    if (r->count == r->capacity) {
        r->capacity = r->capacity ? 2 * r->capacity : 16;
        r->found = aff_xrealloc(r->found, r->capacity, sizeof *r->found);
    }
    r->found[r->count++] = (struct found){
        .number = number,
        .segment = aff_segment_new(fd, (struct aff_segment_head){ number, number }),
    };
    return 0;
}

static int note_file(struct recovery *r, const char *name)
{
    uint64_t number;
    size_t len = strlen(name);

    if (aff_segment_number(name, &number))
        return note_segment(r, name, number);
    if (len > 4 && strcmp(name + len - 4, ".tmp") == 0 && !aff_buf_add(&r->temporaries, name, len + 1))
        return aff_fail_with(r->err, AFF_ENOMEM, "changelog: no memory to list %s", r->j->folder);
    return 0;
}

static int compare_number(const void *a, const void *b)
{
    uint64_t x = ((const struct found *)a)->number, y = ((const struct found *)b)->number;
    return (x > y) - (x < y);
}

static int list_files(struct recovery *r)
{
    int rc = 0;
    DIR *dir = opendir(r->j->folder);
    if (!dir)
        return failed(r->j, "list", "", r->err);
    for (struct dirent *d; rc == 0 && (d = readdir(dir)) != NULL;)
        rc = note_file(r, d->d_name);
    (void)closedir(dir);
    if (r->count)
        qsort(r->found, r->count, sizeof *r->found, compare_number);
    return rc;
}

/* ---- verifying ---- */

static int corrupt(const struct recovery *r, const struct found *f, uint64_t place, const char *what)
{
    return aff_fail_with(r->err, AFF_ECORRUPT, "changelog: %s/%s is damaged at byte %" PRIu64 ": %s", r->j->folder,
                         f->segment->name, place, what);
}

static struct jpartition *partition_of(const struct journal *j, const struct aff_placed *placed)
{
    if (placed->topic == 0 || placed->topic > j->topic_count)
        return NULL;
    const struct jtopic *t = j->topics[placed->topic - 1];
    return placed->partition < t->partition_count ? &t->partitions[placed->partition] : NULL;
}

static int visit(struct aff_scan_visitor *visitor, const struct aff_placed *placed, const struct aff_scan_place *place)
{
    struct recovery *r = aff_container_of(visitor, struct recovery, visitor);
    struct jpartition *p = partition_of(r->j, placed);
    const struct aff_entry *e = &placed->entry;

    if (!p)
        return corrupt(r, r->at, place->at, "an entry of a topic or partition that the file `topics` does not have");
    if (e->offset < p->next_offset || e->offset == INT64_MAX)
        return corrupt(r, r->at, place->at, "an offset that the partition had before");
    p->next_offset = e->offset + 1;
    if (e->time_ms > r->j->last_ms)
        r->j->last_ms = e->time_ms;
    if (e->time_ms > r->at->segment->last_ms)
        r->at->segment->last_ms = e->time_ms;
    aff_index_add(&r->at->segment->index, p->number, e->offset, place->batch, place->raw.len);
    return 0;
}

static int read_head(struct recovery *r, struct found *f)
{
    unsigned char bytes[AFF_SEGMENT_HEAD];
    struct aff_segment_head head;
    ssize_t got = aff_file_read(f->segment->fd, bytes, sizeof bytes, 0);

    if (got < 0)
        return failed(r->j, "read", f->segment->name, r->err);
    f->head_good = aff_segment_head_get(aff_bytes_of(bytes, (size_t)got), &head) && head.first == f->number;
    if (f->head_good)
        f->segment->head = head;
    return 0;
}

static int scan_file(struct recovery *r, struct found *f)
{
    r->at = f;
    r->err->text[0] = '\0';
    int rc = aff_scan_segment(f->segment->fd, f->number, &r->visitor, &f->scan);
    if (rc == AFF_EIO)
        return failed(r->j, "read", f->segment->name, r->err);
    if (rc && r->err->text[0] == '\0') /* the visitor tells its own reasons */
        return corrupt(r, f, f->scan.size, "a batch with a right checksum and wrong content");
    return rc;
}

/* A file without a batch, or with none that is good: nothing in it was ever acknowledged. */
static bool is_barren(const struct found *f)
{
    return f->scan.batches == 0 && !f->scan.later;
}

static bool rest_is_barren(const struct recovery *r, size_t from)
{
    for (size_t i = from; i < r->count; i++)
        if (!r->found[i].leftover && !is_barren(&r->found[i]))
            return false;
    return true;
}

/* Files that an earlier one covers; and no number may be missing. */
static int check_coverage(struct recovery *r)
{
    uint64_t covered = 0;
    for (size_t i = 0; i < r->count; i++) {
        struct found *f = &r->found[i];
        int rc = read_head(r, f);
        if (rc)
            return rc;
        f->leftover = f->number <= covered && (!f->head_good || f->segment->head.last <= covered);
        if (f->leftover)
            continue;
        if (f->number != covered + 1)
            return aff_fail_with(r->err, AFF_ECORRUPT,
                                 "changelog: %s: segment %016" PRIx64
                                 ".journal is missing or overlaps; the next file is %s",
                                 r->j->folder, covered + 1, f->segment->name);
        covered = f->segment->head.last;
    }
    return 0;
}

static int scan_all(struct recovery *r)
{
    for (size_t i = 0; i < r->count; i++) {
        struct found *f = &r->found[i];
        int rc = f->leftover ? 0 : scan_file(r, f);
        if (rc)
            return rc;
        if (!f->leftover && !f->head_good && !is_barren(f))
            return corrupt(r, f, 0, "the header of the segment");
    }
    return 0;
}

static int judge_torn(struct recovery *r, const struct found *f)
{
    char text[160];
    if (!f->scan.proof)
        return 0;
    (void)snprintf(text, sizeof text, "a batch; the batch at byte %" PRIu64 " states that it had been on disk",
                   f->scan.proof);
    return corrupt(r, f, f->scan.size, text);
}

/* The first file that has no END, or the number of files. */
static size_t first_open(const struct recovery *r)
{
    size_t i = 0;
    while (i < r->count && (r->found[i].leftover || r->found[i].scan.sealed))
        i++;
    return i;
}

/* The one that was written to when the process ended; what stands behind it was not in use yet. */
static int judge_tail(struct recovery *r, size_t tail)
{
    struct found *f = &r->found[tail];

    if (!rest_is_barren(r, tail + 1))
        return corrupt(r, f, f->scan.size, "a batch of a segment that was sealed");
    for (size_t i = tail + 1; i < r->count; i++)
        r->found[i].leftover = true;
    f->leftover = !f->head_good; /* then it is barren, or scan_all() had refused it */
    return f->leftover ? 0 : judge_torn(r, f);
}

static int judge_all(struct recovery *r)
{
    size_t tail = first_open(r);
    for (size_t i = 0; i < r->count; i++) {
        const struct found *f = &r->found[i];
        if (!f->leftover && f->scan.sealed && f->scan.end == AFF_SCAN_DAMAGED)
            return corrupt(r, f, f->scan.size, "bytes behind the end of a sealed segment");
    }
    return tail < r->count ? judge_tail(r, tail) : 0;
}

/* ---- changing: only now ---- */

static int remove_leftovers(struct recovery *r)
{
    const char *name = (const char *)r->temporaries.data;
    const char *end = name + r->temporaries.len;
    for (; name < end; name += strlen(name) + 1)
        if (unlinkat(r->j->dir_fd, name, 0) && errno != ENOENT)
            return failed(r->j, "remove", name, r->err);
    for (size_t i = 0; i < r->count; i++)
        if (r->found[i].leftover && unlinkat(r->j->dir_fd, r->found[i].segment->name, 0))
            return failed(r->j, "remove", r->found[i].segment->name, r->err);
    return 0;
}

static int cut_tail(struct recovery *r, struct found *f)
{
    struct journal *j = r->j;
    if (f->scan.end != AFF_SCAN_DAMAGED)
        return 0;
    aff_log(j->logger, WARN, "changelog.tail-cut", aff_f_str("folder", j->folder), aff_f_str("file", f->segment->name),
            aff_f_int("position", (int64_t)f->scan.size),
            aff_f_int("bytes", (int64_t)(f->scan.garbage_end - f->scan.size)));
    if (ftruncate(f->segment->fd, (off_t)f->scan.size))
        return failed(j, "cut the torn end of", f->segment->name, r->err);
    f->scan.file_size = f->scan.size;
    f->scan.end = AFF_SCAN_OPEN;
    return 0;
}

/* Space for appends behind the last batch. Without it the log is served all the same; appends are refused. */
static void allocate_tail(struct journal *j, struct aff_segment *segment, uint64_t file_size)
{
    uint64_t end = segment->size + j->ahead;
    if (end < file_size)
        end = file_size;
    if (aff_file_allocate(segment->fd, segment->size, end) == 0)
        segment->allocated = end;
    else
        segment->allocated = segment->size;
}

static void keep_segment(struct recovery *r, struct found *f)
{
    struct aff_segment *s = f->segment;
    s->size = s->allocated = f->scan.size;
    s->entries = f->scan.entries;
    s->sealed = f->scan.sealed;
    if (s->sealed)
        aff_index_seal(&s->index);
    else
        allocate_tail(r->j, s, f->scan.file_size);
    aff_journal_push_segment(r->j, s);
    f->segment = NULL;
}

/* The last one, and the one before it: its END may have been the last thing that was written. */
static int sync_tail(const struct recovery *r)
{
    const struct journal *j = r->j;
    for (size_t i = j->segment_count > 2 ? j->segment_count - 2 : 0; i < j->segment_count; i++)
        if (fsync(j->segments[i]->fd))
            return failed(j, "sync", j->segments[i]->name, r->err);
    return fsync(j->dir_fd) ? failed(j, "sync", "", r->err) : 0;
}

static int keep_all(struct recovery *r)
{
    for (size_t i = 0; i < r->count; i++) {
        struct found *f = &r->found[i];
        int rc = f->leftover ? 0 : cut_tail(r, f);
        if (rc)
            return rc;
        if (!f->leftover)
            keep_segment(r, f);
    }
    return sync_tail(r);
}

/* The journal always has one to write to. */
static int ensure_active(struct journal *j, aff_error *err)
{
    struct aff_segment *fresh;
    if (j->segment_count && !journal_last(j)->sealed)
        return 0;
    uint64_t number = j->segment_count ? journal_last(j)->head.last + 1 : 1;
    int rc = aff_segment_create(j->dir_fd, number, j->ahead, &fresh, err);
    if (rc == 0)
        aff_journal_push_segment(j, fresh);
    return rc;
}

static int recover(struct recovery *r)
{
    int rc = list_files(r);
    if (rc == 0)
        rc = check_coverage(r);
    if (rc == 0)
        rc = scan_all(r);
    if (rc == 0)
        rc = judge_all(r);
    if (rc == 0)
        rc = remove_leftovers(r);
    if (rc == 0)
        rc = keep_all(r);
    return rc ? rc : ensure_active(r->j, r->err);
}

static void tell_what_is_there(const struct journal *j)
{
    uint64_t entries = 0, bytes = 0;
    for (size_t i = 0; i < j->segment_count; i++) {
        entries += j->segments[i]->entries;
        bytes += j->segments[i]->size;
    }
    aff_log(j->logger, INFO, "changelog.open", aff_f_str("folder", j->folder),
            aff_f_int("segments", (int64_t)j->segment_count), aff_f_int("entries", (int64_t)entries),
            aff_f_int("bytes", (int64_t)bytes));
}

int aff_recover(struct journal *j, aff_error *err)
{
    struct recovery r = { .visitor = { visit }, .j = j, .err = err };

    aff_buf_init(&r.temporaries);
    int rc = recover(&r);
    for (size_t i = 0; i < r.count; i++)
        aff_segment_unref(r.found[i].segment);
    free(r.found);
    aff_buf_fini(&r.temporaries);
    for (size_t i = 0; rc == 0 && i < j->partition_count; i++)
        j->partitions[i]->end = j->partitions[i]->next_offset;
    if (rc == 0)
        tell_what_is_there(j);
    return rc;
}
