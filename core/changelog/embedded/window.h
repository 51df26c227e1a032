/*
 * embedded/window.h - the pieces of segment files that the reader has in memory, with batches verified once.
 *
 * Many partitions tail the same few batches: a batch is read and its checksum computed for the first of them only. One
 * thread.
 */
#ifndef AFF_CHANGELOG_EMBEDDED_WINDOW_H
#define AFF_CHANGELOG_EMBEDDED_WINDOW_H

#include "changelog/embedded/segment.h"

enum { AFF_WINDOWS = 4, AFF_WINDOW_BYTES = 512 << 10 };

struct aff_window {
    struct aff_segment *segment; /* a reference; NULL: unused */
    uint64_t at;                 /* place in the file of data[0] */
    size_t len, capacity;
    unsigned char *data;
    uint64_t checked_from, checked_to; /* batches in between are verified */
    uint64_t used;                     /* when, for replacing the oldest */
};

struct aff_windows {
    struct aff_window items[AFF_WINDOWS];
    uint64_t uses;
};

void aff_windows_fini(struct aff_windows *windows);

/* The verified batch at `at` in a segment of which `limit` bytes are on disk; the view is good until the next call.
 * AFF_EIO, AFF_ECORRUPT. */
int aff_windows_batch(struct aff_windows *windows, struct aff_segment *segment, uint64_t at, uint64_t limit,
                      struct aff_batch_head *ret_head, aff_bytes *ret_batch);

#endif
