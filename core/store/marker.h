/*
 * marker.h - two small files beside the data of a store: who has the folder, and how it was left.
 *
 * `owner` is locked (flock) while a store is open and holds the process id for people. `marker` is one block of fixed
 * length, written in place so that it needs no space on a full disk, and fsynced with its folder:
 *
 *   affinity store 1 open <boot id>     in use since that start of the machine, or left by a crash
 *   affinity store 1 closed             all data was synced
 *   affinity store 1 damaged            throw it away
 *
 * padded with spaces. The number is the format of the data: another one means that the data cannot be read.
 * On the thread that opens or closes the store.
 */
#ifndef AFF_STORE_MARKER_H
#define AFF_STORE_MARKER_H

#include <affinity/error.h>
#include <stdbool.h>

#define AFF_BOOT_ID_MAX 63

enum aff_left {
    AFF_LEFT_NEW, /* there is no marker */
    AFF_LEFT_CLOSED,
    AFF_LEFT_RUNNING, /* open since this boot: a process died, the kernel has its pages */
    AFF_LEFT_LOST,    /* open since another boot: what was not synced may be missing */
    AFF_LEFT_DAMAGED, /* says so, or cannot be read */
};

struct aff_marker {
    int folder_fd, owner_fd, fd; /* -1: not open */
    char boot_id[AFF_BOOT_ID_MAX + 1];
};

/* Takes the folder, which exists, and reads how it was left; boot_id as in struct aff_store_opts. Fills in all fields
 * even on errors; aff_marker_fini() is due in any case. */
int aff_marker_init(struct aff_marker *marker, const char *folder, const char *boot_id, enum aff_left *ret_left,
                    aff_error *err);
void aff_marker_fini(struct aff_marker *marker); /* gives the folder back */

int aff_marker_say_open(struct aff_marker *marker, aff_error *err);
int aff_marker_say_closed(struct aff_marker *marker, aff_error *err);
int aff_marker_say_damaged(struct aff_marker *marker, aff_error *err);

#endif
