/*
 * limits.c - see limits.h.
 */
#include "node/limits.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

enum {
    FILES_FIXED = 64,        /* standard streams, the log's folder and lock, what libraries open for a moment */
    FILES_PER_LOOP = 8,      /* epolls, eventfd, timer */
    FILES_PER_PARTITION = 8, /* data, lock table, marker, owner, folder; some while it is thrown away */
    FILES_SEGMENTS = 128,    /* growth of the log, and files that compaction replaces */
    FILES_PER_CLIENT = 64,   /* for each broker a connection and a pipe that wakes its thread; some pipes besides */
};

#if defined(__SANITIZE_THREAD__)
#define MAP_ALL (UINT64_C(64) << 30) /* ThreadSanitizer leaves little of the address space */
#define MAP_ONE (UINT64_C(1) << 30)
#else
#define MAP_ALL (UINT64_C(64) << 40)
#define MAP_ONE (UINT64_C(1) << 40)
#endif

uint64_t aff_needs_files(const struct aff_needs *n)
{
    return FILES_FIXED + n->connections + n->listeners + FILES_PER_LOOP * n->loops +
           FILES_PER_PARTITION * n->partitions + FILES_SEGMENTS + n->segments + FILES_PER_CLIENT * n->clients;
}

int aff_needs_raise(const struct aff_needs *needs, aff_error *err)
{
    uint64_t files = aff_needs_files(needs), of_stores = FILES_PER_PARTITION * needs->partitions;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return aff_fail_with(err, AFF_EIO, "cannot read the limit of open files: %s", strerror(errno));
    if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
            (void)getrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < files)
        return aff_fail_with(
            err, AFF_ECONFIG,
            "this node needs %llu open files (%llu for limits.connections, %llu for %llu partitions) and "
            "RLIMIT_NOFILE allows %llu: raise it (ulimit -n, LimitNOFILE=), or lower limits.connections",
            (unsigned long long)files, (unsigned long long)needs->connections, (unsigned long long)of_stores,
            (unsigned long long)needs->partitions, (unsigned long long)limit.rlim_cur);
    return 0;
}

uint64_t aff_map_bytes(uint64_t partitions)
{
    uint64_t share = MAP_ALL / (partitions ? partitions : 1);
    return share < MAP_ONE ? share : MAP_ONE;
}
