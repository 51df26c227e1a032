/*
 * embedded/folder.h - the data folder: made when it is missing, and held by one process at a time.
 */
#ifndef AFF_CHANGELOG_EMBEDDED_FOLDER_H
#define AFF_CHANGELOG_EMBEDDED_FOLDER_H

#include <affinity/error.h>

/* Descriptors of the folder and of its lock; closing the second one lets go. AFF_EBUSY names the holder's pid. */
int aff_folder_open(const char *folder, int *ret_dir_fd, int *ret_lock_fd, aff_error *err);

#endif
