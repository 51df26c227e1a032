/*
 * marker.c - see marker.h. The only place of the store that waits for the disk, at open and close alone.
 */
#include "store/marker.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define FORMAT "affinity store 1 "

enum { MARKER_LEN = 128 };

static int io_error(aff_error *err, const char *what)
{
    int code = errno == ENOSPC || errno == EDQUOT ? AFF_ENOSPACE : AFF_EIO;
    return aff_fail_with(err, code, "store: %s: %s", what, strerror(errno));
}

/* Reads at most size - 1 bytes into a string; the length, or -1. */
static ssize_t read_text(int fd, char *to, size_t size)
{
    ssize_t n;
    do {
        n = pread(fd, to, size - 1, 0);
    } while (n < 0 && errno == EINTR);
    to[n > 0 ? n : 0] = '\0';
    return n;
}

static int write_block(int fd, const char *block, size_t len)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = pwrite(fd, block + done, len - done, (off_t)done);
        if (n < 0 && errno != EINTR)
            return -1;
        done += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static int say(struct aff_marker *marker, const char *what, const char *boot_id, aff_error *err)
{
    char text[MARKER_LEN + 1];
    int len = snprintf(text, sizeof text, FORMAT "%s%s%s", what, *boot_id ? " " : "", boot_id);
    memset(text + len, ' ', MARKER_LEN - (size_t)len);
    text[MARKER_LEN - 1] = '\n';
    if (marker->fd < 0)
        marker->fd = openat(marker->folder_fd, "marker", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (marker->fd < 0 || write_block(marker->fd, text, MARKER_LEN) || fsync(marker->fd) || fsync(marker->folder_fd))
        return io_error(err, "cannot write its marker");
    return 0;
}

int aff_marker_say_open(struct aff_marker *marker, aff_error *err)
{
    return say(marker, "open", marker->boot_id, err);
}

int aff_marker_say_closed(struct aff_marker *marker, aff_error *err)
{
    return say(marker, "closed", "", err);
}

int aff_marker_say_damaged(struct aff_marker *marker, aff_error *err)
{
    return say(marker, "damaged", "", err);
}

static int find_boot_id(struct aff_marker *marker, const char *boot_id, aff_error *err)
{
    char text[AFF_BOOT_ID_MAX + 1] = "";
    if (!boot_id) {
        AFF_CLEANUP(aff_closep) int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
        if (fd < 0 || read_text(fd, text, sizeof text) <= 0)
            return io_error(err, "cannot read /proc/sys/kernel/random/boot_id");
        text[strcspn(text, "\n")] = '\0';
        boot_id = text;
    }
    size_t len = strlen(boot_id);
    if (len == 0 || len > AFF_BOOT_ID_MAX || strpbrk(boot_id, " \n"))
        return aff_fail_with(err, AFF_EINVAL, "store: a boot id has 1 to %d bytes and no space, not '%s'",
                             AFF_BOOT_ID_MAX, boot_id);
    memcpy(marker->boot_id, boot_id, len + 1);
    return 0;
}

static int take_folder(struct aff_marker *marker, const char *folder, aff_error *err)
{
    marker->folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (marker->folder_fd < 0)
        return aff_fail_with(err, AFF_EIO, "store: cannot open the folder %s: %s", folder, strerror(errno));
    marker->owner_fd = openat(marker->folder_fd, "owner", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (marker->owner_fd < 0)
        return io_error(err, "cannot open its lock file");
    char pid[24];
    if (flock(marker->owner_fd, LOCK_EX | LOCK_NB) == 0) {
        int len = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
        if (ftruncate(marker->owner_fd, 0) || write_block(marker->owner_fd, pid, (size_t)len))
            errno = 0; /* for people only: a full disk is no reason not to open */
        return 0;
    }
    if (errno != EWOULDBLOCK)
        return io_error(err, "cannot lock its folder");
    (void)read_text(marker->owner_fd, pid, sizeof pid);
    pid[strcspn(pid, "\n")] = '\0';
    return aff_fail_with(err, AFF_EBUSY, "store: process %s has %s open; each node needs a data folder of its own",
                         *pid ? pid : "(unknown)", folder);
}

/* What the text of a marker, which is changed, says. */
static enum aff_left understand(const struct aff_marker *marker, char *text)
{
    size_t len = strlen(text);
    while (len && (text[len - 1] == '\n' || text[len - 1] == ' '))
        text[--len] = '\0';
    if (strncmp(text, FORMAT, strlen(FORMAT)) != 0)
        return AFF_LEFT_DAMAGED;
    const char *says = text + strlen(FORMAT);
    if (strcmp(says, "closed") == 0)
        return AFF_LEFT_CLOSED;
    if (strncmp(says, "open ", 5) != 0)
        return AFF_LEFT_DAMAGED;
    return strcmp(says + 5, marker->boot_id) == 0 ? AFF_LEFT_RUNNING : AFF_LEFT_LOST;
}

static int read_marker(struct aff_marker *marker, enum aff_left *ret_left, aff_error *err)
{
    marker->fd = openat(marker->folder_fd, "marker", O_RDWR | O_CLOEXEC);
    if (marker->fd < 0 && errno != ENOENT)
        return io_error(err, "cannot open its marker");
    char text[MARKER_LEN + 1];
    if (marker->fd >= 0 && read_text(marker->fd, text, sizeof text) < 0)
        return io_error(err, "cannot read its marker");
    *ret_left = marker->fd < 0 ? AFF_LEFT_NEW : understand(marker, text);
    return 0;
}

int aff_marker_init(struct aff_marker *marker, const char *folder, const char *boot_id, enum aff_left *ret_left,
                    aff_error *err)
{
    *marker = (struct aff_marker){ .folder_fd = -1, .owner_fd = -1, .fd = -1 };
    int code = take_folder(marker, folder, err);
    if (code == 0)
        code = find_boot_id(marker, boot_id, err);
    return code ? code : read_marker(marker, ret_left, err);
}

void aff_marker_fini(struct aff_marker *marker)
{
    aff_closep(&marker->fd);
    aff_closep(&marker->owner_fd);
    aff_closep(&marker->folder_fd);
    marker->fd = marker->owner_fd = marker->folder_fd = -1;
}
