/*
 * embedded/window.c - see embedded/window.h. On the reader's thread.
 */
#include "changelog/embedded/window.h"

#include "base/alloc.h"

#include <stdlib.h>

static void forget(struct aff_window *w)
{
    w->segment = aff_segment_unref(w->segment);
    w->len = 0;
    w->checked_from = w->checked_to = 0;
}

void aff_windows_fini(struct aff_windows *windows)
{
    for (size_t i = 0; i < AFF_WINDOWS; i++) {
        forget(&windows->items[i]);
        free(windows->items[i].data);
    }
    *windows = (struct aff_windows){ 0 };
}

static bool holds(const struct aff_window *w, const struct aff_segment *segment, uint64_t at, size_t len)
{
    return w->segment == segment && at >= w->at && at + len <= w->at + w->len;
}

/* The window that holds a place, else the one that was not used for longest, emptied. */
static struct aff_window *window_for(struct aff_windows *windows, const struct aff_segment *segment, uint64_t at)
{
    struct aff_window *oldest = &windows->items[0];
    for (size_t i = 0; i < AFF_WINDOWS; i++) {
        struct aff_window *w = &windows->items[i];
        if (holds(w, segment, at, AFF_BATCH_HEAD))
            return w;
        if (w->used < oldest->used)
            oldest = w;
    }
    forget(oldest);
    return oldest;
}

/* Fills the window from `at` on, with at least `len` bytes and never beyond `limit`. */
static int load(struct aff_window *w, struct aff_segment *segment, uint64_t at, size_t len, uint64_t limit)
{
    size_t wanted = len > AFF_WINDOW_BYTES ? len : AFF_WINDOW_BYTES;

    forget(w);
    if (len > limit - at)
        return AFF_ECORRUPT;
    if (wanted > limit - at)
        wanted = (size_t)(limit - at);
    if (wanted > w->capacity || (wanted <= AFF_WINDOW_BYTES && w->capacity > AFF_WINDOW_BYTES)) {
        w->capacity = wanted > AFF_WINDOW_BYTES ? wanted : AFF_WINDOW_BYTES;
        w->data = aff_xrealloc(w->data, w->capacity, 1);
    }
    ssize_t got = aff_file_read(segment->fd, w->data, wanted, at);
    if (got < 0)
        return AFF_EIO;
    w->segment = aff_segment_ref(segment);
    w->at = at;
    w->len = (size_t)got;
    return w->len < len ? AFF_ECORRUPT : 0;
}

static aff_bytes view_at(const struct aff_window *w, uint64_t at)
{
    size_t skip = (size_t)(at - w->at);
    return aff_bytes_of(w->data + skip, w->len - skip);
}

static bool verify(struct aff_window *w, const struct aff_batch_head *head, aff_bytes batch)
{
    uint64_t from = head->position, to = from + head->length;

    if (from >= w->checked_from && to <= w->checked_to)
        return true;
    if (!aff_batch_crc_right(batch, head))
        return false;
    if (from != w->checked_to)
        w->checked_from = from;
    w->checked_to = to;
    return true;
}

int aff_windows_batch(struct aff_windows *windows, struct aff_segment *segment, uint64_t at, uint64_t limit,
                      struct aff_batch_head *ret_head, aff_bytes *ret_batch)
{
    struct aff_window *w = window_for(windows, segment, at);
    int rc = holds(w, segment, at, AFF_BATCH_HEAD) ? 0 : load(w, segment, at, AFF_BATCH_HEAD, limit);

    w->used = ++windows->uses;
    if (rc)
        return rc;
    if (!aff_batch_head_get(view_at(w, at), segment->head.first, at, ret_head))
        return AFF_ECORRUPT;
    if (!holds(w, segment, at, ret_head->length) && (rc = load(w, segment, at, ret_head->length, limit)) != 0)
        return rc;
    *ret_batch = aff_bytes_of(view_at(w, at).data, ret_head->length);
    return verify(w, ret_head, *ret_batch) ? 0 : AFF_ECORRUPT;
}
