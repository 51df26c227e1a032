/*
 * embedded/compactor.h - the thread that compacts sealed segments.
 */
#ifndef AFF_CHANGELOG_EMBEDDED_COMPACTOR_H
#define AFF_CHANGELOG_EMBEDDED_COMPACTOR_H

#include "changelog/embedded/journal.h"

/* The thread; `arg` is the journal. Ends once stop_compactor is set; a pass that is running stops early. */
void *aff_compactor_run(void *arg);

/* Any thread but a loop's: a pass that begins from now on; waits for its end and returns its result. */
int aff_compactor_pass(struct journal *j);

#endif
