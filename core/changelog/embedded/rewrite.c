/*
 * embedded/rewrite.c - see embedded/rewrite.h. On the compactor's thread.
 *
 * The new file is written under a temporary name, synced, and renamed over the first of the old ones; the folder is synced
 * before the other old ones are removed. At any moment of this a start finds either the old files or the new one, which
 * says in its header which numbers it covers (recovery.h).
 */
#include "changelog/embedded/rewrite.h"

#include "base/alloc.h"
#include "base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { BATCH_TARGET = 1 << 20 };

struct output {
    struct aff_rewrite *rewrite;
    struct aff_segment *segment; /* the new one */
    struct aff_buf batch;        /* header and entries so far */
    uint32_t count;
};

void aff_kept_add(struct aff_kept *kept, struct aff_kept_entry entry)
{
    if (kept->count == kept->capacity) {
        kept->capacity = kept->capacity ? 2 * kept->capacity : 1024;
        kept->entries = aff_xrealloc(kept->entries, kept->capacity, sizeof *kept->entries);
    }
    kept->entries[kept->count++] = entry;
    kept->bytes += entry.stored;
}

void aff_kept_fini(struct aff_kept *kept)
{
    free(kept->entries);
    *kept = (struct aff_kept){ 0 };
}

static int compare_place(const void *a, const void *b)
{
    const struct aff_kept_entry *x = a, *y = b;
    if (x->partition != y->partition)
        return x->partition < y->partition ? -1 : 1;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

/* ---- writing the file ---- */

static int code_of_errno(void)
{
    return errno == ENOSPC || errno == EDQUOT ? AFF_ENOSPACE : AFF_EIO;
}

static bool begin_batch(struct output *out)
{
    static const unsigned char space[AFF_BATCH_HEAD];
    aff_buf_clear(&out->batch);
    out->count = 0;
    return aff_buf_add(&out->batch, space, sizeof space);
}

static int write_batch(struct output *out, uint8_t flags)
{
    static const unsigned char zeros[AFF_BATCH_ALIGN];
    struct aff_segment *s = out->segment;

    if (!aff_buf_add(&out->batch, zeros, aff_batch_padding(out->batch.len)))
        return AFF_ENOSPACE;
    struct aff_batch_head head = {
        .length = (uint32_t)out->batch.len,
        .segment = s->head.first,
        .position = s->size,
        .durable = s->size,
        .count = out->count,
        .flags = flags,
    };
    uint32_t crc = aff_batch_head_put(out->batch.data, &head);
    aff_batch_crc_put(out->batch.data,
                      aff_batch_crc(crc, out->batch.data + AFF_BATCH_HEAD, out->batch.len - AFF_BATCH_HEAD));
    struct iovec part = { out->batch.data, out->batch.len };
    if (aff_file_write(s->fd, &part, 1, s->size))
        return code_of_errno();
    s->size += head.length;
    return begin_batch(out) ? 0 : AFF_ENOSPACE;
}

static int copy_entry(struct output *out, const struct aff_kept_entry *e)
{
    struct aff_segment *s = out->segment;

    if (!aff_buf_reserve(&out->batch, e->stored))
        return AFF_ENOSPACE;
    ssize_t got = aff_file_read(out->rewrite->sources[e->source]->fd, out->batch.data + out->batch.len, e->stored,
                                e->at);
    if (got != (ssize_t)e->stored)
        return AFF_EIO;
    out->batch.len += e->stored;
    out->count++;
    aff_index_add(&s->index, e->partition, e->offset, s->size, e->stored);
    if (e->time_ms > s->last_ms)
        s->last_ms = e->time_ms;
    s->entries++;
    return 0;
}

static int write_entries(struct output *out)
{
    const struct aff_kept *kept = &out->rewrite->kept;
    int rc = begin_batch(out) ? 0 : AFF_ENOSPACE;
    for (size_t i = 0; rc == 0 && i < kept->count; i++) {
        if (out->count && out->batch.len + kept->entries[i].stored > BATCH_TARGET)
            rc = write_batch(out, 0);
        if (rc == 0)
            rc = copy_entry(out, &kept->entries[i]);
    }
    if (rc == 0 && out->count)
        rc = write_batch(out, 0);
    return rc ? rc : write_batch(out, AFF_BATCH_END);
}

static int write_file(struct output *out)
{
    unsigned char bytes[AFF_SEGMENT_HEAD];
    struct iovec part = { bytes, sizeof bytes };

    aff_segment_head_put(bytes, out->segment->head);
    if (aff_file_write(out->segment->fd, &part, 1, 0))
        return code_of_errno();
    int rc = write_entries(out);
    if (rc)
        return rc;
    aff_index_seal(&out->segment->index);
    out->segment->sealed = true;
    out->segment->allocated = out->segment->size;
    return fsync(out->segment->fd) ? code_of_errno() : 0;
}

/* ---- taking the place of the old ones ---- */

static void temporary_name(const struct aff_rewrite *r, char out[AFF_SEGMENT_NAME_LEN + 5])
{
    (void)snprintf(out, AFF_SEGMENT_NAME_LEN + 5, "%s.tmp", r->sources[0]->name);
}

/* In memory: the sources leave the list, the new one stands where the first was. */
static void replace_in_list(struct aff_rewrite *r, struct aff_segment *fresh)
{
    struct journal *j = r->j;
    size_t at = 0, count = r->source_count;

    pthread_mutex_lock(&j->map_lock);
    while (j->segments[at] != r->sources[0])
        at++;
    for (size_t i = 0; i < count; i++)
        aff_segment_unref(j->segments[at + i]); /* the caller has references of its own */
    fresh->serial = j->next_serial++;
    j->segments[at] = fresh;
    memmove(&j->segments[at + 1], &j->segments[at + count],
            (j->segment_count - at - count) * sizeof(struct aff_segment *));
    j->segment_count -= count - 1;
    pthread_mutex_unlock(&j->map_lock);
}

/* One that cannot be removed is covered by the new file, and the next start removes it. */
static void remove_merged(const struct aff_rewrite *r)
{
    for (size_t i = 1; i < r->source_count; i++)
        (void)unlinkat(r->j->dir_fd, r->sources[i]->name, 0);
}

/* Until the folder is synced a power failure may bring the old files back. Tombstones in newer segments go only because
 * the older entries are gone for certain, so as with the journal itself: who cannot sync ends. */
static void sync_folder(const struct journal *j)
{
    if (fsync(j->dir_fd) == 0)
        return;
    aff_log(j->logger, ERROR, "changelog.sync-failed", aff_f_str("folder", j->folder),
            aff_f_str("error", strerror(errno)));
    abort();
}

static int put_in_place(struct output *out, const char *temporary)
{
    struct aff_rewrite *r = out->rewrite;
    struct journal *j = r->j;

    (void)aff_fault("changelog.before-rename");
    if (renameat(j->dir_fd, temporary, j->dir_fd, out->segment->name))
        return code_of_errno();
    (void)aff_fault("changelog.after-rename");
    sync_folder(j);
    replace_in_list(r, out->segment);
    out->segment = NULL;
    remove_merged(r);
    return 0;
}

static int write_and_replace(struct output *out, const char *temporary)
{
    struct aff_rewrite *r = out->rewrite;
    struct aff_segment_head head = { r->sources[0]->head.first, r->sources[r->source_count - 1]->head.last };
    int fd = openat(r->j->dir_fd, temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return code_of_errno();
    out->segment = aff_segment_new(fd, head);
    int rc = write_file(out);
    if (rc == 0 && !r->may_replace(r))
        rc = AFF_EAGAIN;
    return rc ? rc : put_in_place(out, temporary);
}

int aff_rewrite_run(struct aff_rewrite *r)
{
    struct output out = { .rewrite = r };
    char temporary[AFF_SEGMENT_NAME_LEN + 5];

    if (r->kept.count)
        qsort(r->kept.entries, r->kept.count, sizeof *r->kept.entries, compare_place);
    temporary_name(r, temporary);
    aff_buf_init(&out.batch);
    int rc = write_and_replace(&out, temporary);
    if (out.segment) {
        (void)unlinkat(r->j->dir_fd, temporary, 0);
        aff_segment_unref(out.segment);
    }
    aff_buf_fini(&out.batch);
    return rc;
}
