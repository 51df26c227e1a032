/*
 * mounts.h - a mount namespace for a test's own disks: nobody else sees them, and they vanish with the process.
 */
#ifndef AFF_TESTS_LIB_MOUNTS_H
#define AFF_TESTS_LIB_MOUNTS_H

#include <stdbool.h>

/*
 * As root, or by a user namespace in which the caller is root. Before the process has threads. False:
 * errno says why, and what is needed was printed.
 */
bool mounts_of_its_own(void);

#endif
