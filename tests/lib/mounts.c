/*
 * mounts.c - see mounts.h and user_namespaces(7).
 */
#include "lib/mounts.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

static bool put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0)
        (void)close(fd);
    return done;
}

/* Ids that are not mapped are refused by the file systems that are mounted in it. */
static bool map_ids(uid_t user, gid_t group)
{
    char users[64], groups[64];
    (void)snprintf(users, sizeof users, "0 %u 1", user);
    (void)snprintf(groups, sizeof groups, "0 %u 1", group);
    return put("/proc/self/setgroups", "deny") && put("/proc/self/uid_map", users) && put("/proc/self/gid_map", groups);
}

static bool enter(void)
{
    uid_t user = geteuid();
    gid_t group = getegid();
    if (unshare(CLONE_NEWNS) == 0)
        return true;
    return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && map_ids(user, group);
}

bool mounts_of_its_own(void)
{
    if (enter() && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
        return true;
    perror("no mounts of its own: run this test as root or where user namespaces are allowed");
    return false;
}
