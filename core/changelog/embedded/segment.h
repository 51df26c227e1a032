/*
 * embedded/segment.h - one segment file: its descriptor, how much of it is on disk, its index.
 *
 * A counted reference: a reader keeps a segment, and through its descriptor the file, to its end while compaction puts
 * another file under the name. Functions that touch the file may block and belong to the driver's own threads.
 */
#ifndef AFF_CHANGELOG_EMBEDDED_SEGMENT_H
#define AFF_CHANGELOG_EMBEDDED_SEGMENT_H

#include "changelog/embedded/format.h"
#include "changelog/embedded/index.h"

#include <affinity/error.h>
#include <stdatomic.h>
#include <sys/types.h>
#include <sys/uio.h>

#define AFF_SEGMENT_NAME_LEN 24 /* 16 hexadecimal digits and ".journal" */

struct aff_segment {
    atomic_uint refs;
    int fd;
    struct aff_segment_head head;
    char name[AFF_SEGMENT_NAME_LEN + 1];
    uint64_t serial;    /* given by the journal: a compacted segment is a new object under the old number */
    uint64_t size;      /* end of the last batch that is on disk; grows until sealed, then constant */
    uint64_t allocated; /* space that the file system keeps for it; the writer's */
    uint64_t entries;
    int64_t last_ms; /* highest log time in it */
    bool sealed;
    struct aff_index index;
};

void aff_segment_name(uint64_t number, char out[AFF_SEGMENT_NAME_LEN + 1]);
bool aff_segment_number(const char *name, uint64_t *ret_number); /* false: not the name of a segment */

/* A new object around a descriptor, which it owns from then on. */
struct aff_segment *aff_segment_new(int fd, struct aff_segment_head head);
struct aff_segment *aff_segment_ref(struct aff_segment *segment);
struct aff_segment *aff_segment_unref(struct aff_segment *segment); /* any thread; returns NULL */

/*
 * Makes the file `number` with its header and `space` bytes behind it, on disk together with its name. AFF_ENOSPACE and
 * AFF_EIO leave no file behind.
 */
int aff_segment_create(int dir_fd, uint64_t number, uint64_t space, struct aff_segment **ret_segment, aff_error *err);

/* Makes the file system keep space for the file up to `end`: AFF_ENOSPACE when there is none, AFF_EIO. */
int aff_file_allocate(int fd, uint64_t from, uint64_t end);
/* All of it or an error; EINTR and short writes are no errors. 0, or -1 with errno. */
int aff_file_write(int fd, struct iovec *parts, int count, uint64_t at);
/* Reads until `len` or the end of the file; the count, or -1 with errno. */
ssize_t aff_file_read(int fd, void *to, size_t len, uint64_t at);

#endif
