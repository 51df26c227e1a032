/*
 * embedded/recovery.h - what a start does with the segment files that it finds.
 *
 * All are read and verified first, and nothing is changed until the whole journal is found good:
 *
 *   a sealed segment (every one but the last) must be good to its END; anything else is AFF_ECORRUPT with file and place
 *   the last one may end in a torn write: it is cut off, unless a later good batch proves that the place had been on disk
 *   a file that holds no batch, behind a segment that is not sealed, was being made when the process died: removed
 *   a file whose numbers an earlier one covers was merged into that one: removed, as are temporary files
 *
 * Then what is kept is synced, before anybody reads it: entries that were in memory only when the process died must not be
 * applied now and be lost by a power failure afterwards.
 */
#ifndef AFF_CHANGELOG_EMBEDDED_RECOVERY_H
#define AFF_CHANGELOG_EMBEDDED_RECOVERY_H

#include "changelog/embedded/journal.h"

/* Fills j->segments, the ends of the partitions and j->last_ms. Topics are loaded; no thread runs yet. `err`
 * is not NULL. */
int aff_recover(struct journal *j, aff_error *err);

#endif
