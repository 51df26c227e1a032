/*
 * embedded/segment.c - see embedded/segment.h.
 */
#include "changelog/embedded/segment.h"

#include "base/alloc.h"
#include "base/fault.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- names ---- */

void aff_segment_name(uint64_t number, char out[AFF_SEGMENT_NAME_LEN + 1])
{
    (void)snprintf(out, AFF_SEGMENT_NAME_LEN + 1, "%016" PRIx64 ".journal", number);
}

bool aff_segment_number(const char *name, uint64_t *ret_number)
{
    char again[AFF_SEGMENT_NAME_LEN + 1];
    uint64_t number = strtoull(name, NULL, 16);

    aff_segment_name(number, again);
    if (strcmp(again, name) != 0)
        return false;
    *ret_number = number;
    return true;
}

/* ---- life ---- */

struct aff_segment *aff_segment_new(int fd, struct aff_segment_head head)
{
    struct aff_segment *segment = aff_xcalloc(1, sizeof *segment);

    atomic_init(&segment->refs, 1);
    segment->fd = fd;
    segment->head = head;
    segment->size = AFF_SEGMENT_HEAD;
    segment->last_ms = INT64_MIN;
    aff_segment_name(head.first, segment->name);
    return segment;
}

struct aff_segment *aff_segment_ref(struct aff_segment *segment)
{
    atomic_fetch_add_explicit(&segment->refs, 1, memory_order_relaxed);
    return segment;
}

struct aff_segment *aff_segment_unref(struct aff_segment *segment)
{
    if (!segment || atomic_fetch_sub_explicit(&segment->refs, 1, memory_order_acq_rel) > 1)
        return NULL;
    if (segment->fd >= 0)
        (void)close(segment->fd);
    aff_index_fini(&segment->index);
    free(segment);
    return NULL;
}

/* ---- making one ---- */

static int code_of(int error)
{
    return error == ENOSPC || error == EDQUOT ? AFF_ENOSPACE : AFF_EIO;
}

static int fill_new(int fd, int dir_fd, struct aff_segment_head head, uint64_t space)
{
    unsigned char bytes[AFF_SEGMENT_HEAD];
    struct iovec part = { bytes, sizeof bytes };
    int rc = aff_file_allocate(fd, 0, AFF_SEGMENT_HEAD + space);
    if (rc)
        return rc;
    aff_segment_head_put(bytes, head);
    if (aff_file_write(fd, &part, 1, 0) || fsync(fd) || fsync(dir_fd))
        return code_of(errno);
    return 0;
}

int aff_segment_create(int dir_fd, uint64_t number, uint64_t space, struct aff_segment **ret_segment, aff_error *err)
{
    struct aff_segment_head head = { number, number };
    char name[AFF_SEGMENT_NAME_LEN + 1];

    aff_segment_name(number, name);
    int fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return aff_fail_with(err, code_of(errno), "changelog: cannot make %s: %s", name, strerror(errno));
    int rc = fill_new(fd, dir_fd, head, space);
    if (rc) {
        int error = errno;
        (void)close(fd);
        (void)unlinkat(dir_fd, name, 0);
        return aff_fail_with(err, rc, "changelog: cannot make %s with %" PRIu64 " bytes: %s", name, space,
                             strerror(error));
    }
    (void)aff_fault("changelog.after-segment-create");
    *ret_segment = aff_segment_new(fd, head);
    (*ret_segment)->allocated = AFF_SEGMENT_HEAD + space;
    return 0;
}

/* ---- file operations ---- */

int aff_file_allocate(int fd, uint64_t from, uint64_t end)
{
    int error;

    do
        error = fallocate(fd, 0, (off_t)from, (off_t)(end - from)) ? errno : 0;
    while (error == EINTR);
    if (error == EOPNOTSUPP || error == ENOSYS) /* a file system that cannot: the C library writes instead */
        error = posix_fallocate(fd, (off_t)from, (off_t)(end - from));
    errno = error;
    return error ? code_of(error) : 0;
}

static void skip_written(struct iovec **parts, int *count, size_t written)
{
    while (*count > 0 && written >= (*parts)->iov_len) {
        written -= (*parts)->iov_len;
        (*parts)++;
        (*count)--;
    }
    if (*count > 0) {
        (*parts)->iov_base = (char *)(*parts)->iov_base + written;
        (*parts)->iov_len -= written;
    }
}

int aff_file_write(int fd, struct iovec *parts, int count, uint64_t at)
{
    skip_written(&parts, &count, 0);
    while (count > 0) {
        ssize_t written = pwritev(fd, parts, count < IOV_MAX ? count : IOV_MAX, (off_t)at);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            errno = written ? errno : EIO;
            return -1;
        }
        at += (uint64_t)written;
        skip_written(&parts, &count, (size_t)written);
    }
    return 0;
}

ssize_t aff_file_read(int fd, void *to, size_t len, uint64_t at)
{
    size_t done = 0;
    while (done < len) {
        ssize_t got = pread(fd, (char *)to + done, len - done, (off_t)(at + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}
