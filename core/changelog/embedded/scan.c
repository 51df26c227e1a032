/*
 * embedded/scan.c - see embedded/scan.h.
 *
 * The file is read through a window that grows to the longest batch. When a place is no good batch the rest is looked
 * through for good ones (a batch says where it stands, so chance hits and left-over bytes do not count) to tell a write
 * that a crash tore from damage.
 */
#include "changelog/embedded/scan.h"

#include "base/alloc.h"
#include "changelog/embedded/segment.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WINDOW = 1 << 20 };

struct window {
    int fd;
    uint64_t file_size;
    uint64_t at; /* place in the file of data[0] */
    size_t len, capacity;
    unsigned char *data;
};

/* A view of up to `len` bytes at a place; shorter at the end of the file. False: the read failed. */
static bool look(struct window *w, uint64_t at, size_t len, aff_bytes *ret_view)
{
    uint64_t left = w->file_size > at ? w->file_size - at : 0;
    if (len > left)
        len = (size_t)left;
    if (at < w->at || at + len > w->at + w->len) {
        size_t wanted = len > WINDOW ? len : left < WINDOW ? (size_t)left + 1 : WINDOW; /* never 0 */
        if (wanted > w->capacity) {
            w->data = aff_xrealloc(w->data, wanted, 1);
            w->capacity = wanted;
        }
        ssize_t got = aff_file_read(w->fd, w->data, wanted, at);
        if (got < 0)
            return false;
        w->at = at;
        w->len = (size_t)got;
        if (w->len < len)
            len = w->len;
    }
    *ret_view = aff_bytes_of(w->data + (at - w->at), len);
    return true;
}

/* Is there a good batch at this place? -1: the read failed. */
static int good_batch(struct window *w, uint64_t number, uint64_t at, struct aff_batch_head *ret_head,
                      aff_bytes *ret_batch)
{
    if (!look(w, at, AFF_BATCH_HEAD, ret_batch))
        return -1;
    if (!aff_batch_head_get(*ret_batch, number, at, ret_head) || ret_head->length > w->file_size - at)
        return 0;
    if (!look(w, at, ret_head->length, ret_batch))
        return -1;
    return ret_batch->len == ret_head->length && aff_batch_crc_right(*ret_batch, ret_head);
}

int aff_scan_batch(aff_bytes batch, const struct aff_batch_head *head, struct aff_scan_visitor *visitor)
{
    struct aff_cursor c = aff_batch_entries(batch, head);
    for (uint32_t i = 0; i < head->count; i++) {
        const unsigned char *at = c.at;
        struct aff_placed placed;
        if (!aff_entry_get(&c, &placed))
            return AFF_ECORRUPT;
        struct aff_scan_place place = {
            .batch = head->position,
            .at = head->position + (uint64_t)(at - (const unsigned char *)batch.data),
            .raw = aff_bytes_of(at, (size_t)(c.at - at)),
        };
        int rc = visitor->entry(visitor, &placed, &place);
        if (rc)
            return rc;
    }
    return aff_batch_ends(&c) ? 0 : AFF_ECORRUPT;
}

/* ---- what lies behind the last good batch ---- */

/* The next place at or above `at` that the file system has stored; holes read as zeros. */
static uint64_t skip_hole(int fd, uint64_t at, uint64_t file_size)
{
    off_t data = lseek(fd, (off_t)at, SEEK_DATA);
    if (data >= 0)
        return (uint64_t)data > at ? (uint64_t)data : at;
    return errno == ENXIO ? file_size : at;
}

/* Where the bytes from `at` on end, zeros at the end not counted; `at` when there are none but zeros. */
static int end_of_bytes(struct window *w, uint64_t at, uint64_t *ret_end)
{
    *ret_end = at;
    while ((at = skip_hole(w->fd, at, w->file_size)) < w->file_size) {
        aff_bytes view;
        if (!look(w, at, WINDOW, &view))
            return AFF_EIO;
        if (view.len == 0)
            break;
        for (size_t i = 0; i < view.len; i++)
            if (((const unsigned char *)view.data)[i] != 0)
                *ret_end = at + i + 1;
        at += view.len;
    }
    return 0;
}

/* Looks for good batches above a damaged place, and for one that proves that the place had been on disk. */
static int look_for_proof(struct window *w, uint64_t number, struct aff_scan_result *result)
{
    uint64_t at = result->size;
    while (at < w->file_size && !result->proof) {
        struct aff_batch_head head;
        aff_bytes batch;
        int good = good_batch(w, number, at, &head, &batch);
        if (good < 0)
            return AFF_EIO;
        if (good && !result->later)
            result->later = at;
        if (good && head.durable > result->size)
            result->proof = at;
        at += good ? head.length : AFF_BATCH_ALIGN;
    }
    return 0;
}

static int judge_rest(struct window *w, uint64_t number, struct aff_scan_result *result)
{
    int rc = end_of_bytes(w, result->size, &result->garbage_end);
    if (rc)
        return rc;
    if (result->garbage_end == result->size) {
        result->end = result->sealed ? AFF_SCAN_SEALED : AFF_SCAN_OPEN;
        return 0;
    }
    result->end = AFF_SCAN_DAMAGED;
    return look_for_proof(w, number, result);
}

/* ---- the walk ---- */

static int walk(struct window *w, uint64_t number, struct aff_scan_visitor *visitor, struct aff_scan_result *result)
{
    for (;;) {
        struct aff_batch_head head;
        aff_bytes batch;
        int good = good_batch(w, number, result->size, &head, &batch);
        if (good < 0)
            return AFF_EIO;
        if (!good)
            return judge_rest(w, number, result);
        int rc = aff_scan_batch(batch, &head, visitor);
        if (rc)
            return rc;
        result->size += head.length;
        result->batches++;
        result->entries += head.count;
        result->sealed = head.flags & AFF_BATCH_END;
        if (result->sealed)
            return judge_rest(w, number, result);
    }
}

int aff_scan_segment(int fd, uint64_t number, struct aff_scan_visitor *visitor, struct aff_scan_result *ret_result)
{
    struct stat st;
    if (fstat(fd, &st))
        return AFF_EIO;
    struct window w = { .fd = fd, .file_size = (uint64_t)st.st_size };
    *ret_result = (struct aff_scan_result){ .size = AFF_SEGMENT_HEAD, .file_size = w.file_size };
    int rc = walk(&w, number, visitor, ret_result);
    free(w.data);
    return rc;
}
