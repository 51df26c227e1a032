/*
 * embedded/folder.c - see embedded/folder.h. On the thread that starts the node.
 *
 * The lock is flock() on the file `lock`, so it ends with the process however that ends; the pid in the file is for people.
 */
#include "changelog/embedded/folder.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

static int cannot(const char *what, const char *folder, aff_error *err)
{
    int code = errno == ENOSPC || errno == EDQUOT ? AFF_ENOSPACE : AFF_EIO;
    return aff_fail_with(err, code, "changelog: cannot %s %s: %s", what, folder, strerror(errno));
}

/* A new folder is on the disk only when the one that it stands in is. */
static int sync_parent(int dir_fd)
{
    AFF_CLEANUP(aff_closep) int parent = openat(dir_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return parent < 0 || fsync(parent) ? -1 : 0;
}

static int is_held(const char *folder, int lock_fd, aff_error *err)
{
    char pid[32] = "";
    ssize_t len = pread(lock_fd, pid, sizeof pid - 1, 0);
    pid[len > 0 ? strcspn(pid, "\n") : 0] = '\0';
    return aff_fail_with(err, AFF_EBUSY, "changelog: %s is in use by process %s", folder, pid[0] ? pid : "(unknown)");
}

static int lock(const char *folder, int lock_fd, aff_error *err)
{
    char pid[32];

    if (flock(lock_fd, LOCK_EX | LOCK_NB))
        return errno == EWOULDBLOCK ? is_held(folder, lock_fd, err) : cannot("lock", folder, err);
    int len = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(lock_fd, 0) == 0) /* a full disk leaves the file empty, which holds as well */
        (void)!pwrite(lock_fd, pid, (size_t)len, 0);
    return 0;
}

int aff_folder_open(const char *folder, int *ret_dir_fd, int *ret_lock_fd, aff_error *err)
{
    AFF_CLEANUP(aff_closep) int dir_fd = -1;
    AFF_CLEANUP(aff_closep) int lock_fd = -1;
    bool made = mkdir(folder, 0700) == 0;

    if (!made && errno != EEXIST)
        return cannot("make", folder, err);
    dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0 || (made && sync_parent(dir_fd)))
        return cannot("open", folder, err);
    lock_fd = openat(dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock_fd < 0)
        return cannot("make the lock in", folder, err);
    int rc = lock(folder, lock_fd, err);
    if (rc)
        return rc;
    *ret_dir_fd = aff_fd_take(&dir_fd);
    *ret_lock_fd = aff_fd_take(&lock_fd);
    return 0;
}
