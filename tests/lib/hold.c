/*
 * hold.c - a library to preload: writes to the disk can be held, so that a test can look at what waits for them.
 *
 * Each fdatasync() first takes a shared lock on the file that HOLD_FILE names, and gives it back. A test that has the
 * exclusive lock (hold.py) so holds the changelog just before a write becomes durable, until it lets go. Nothing is timed.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

typedef int sync_fn(int fd);

static void wait_for_leave(void)
{
    const char *path = getenv("HOLD_FILE");
    int lock = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (lock < 0)
        return;
    (void)flock(lock, LOCK_SH);
    (void)close(lock);
}

int fdatasync(int fd)
{
    void *symbol = dlsym(RTLD_NEXT, "fdatasync");
    sync_fn *next;
    memcpy(&next, &symbol, sizeof next);
    wait_for_leave();
    return next(fd);
}
