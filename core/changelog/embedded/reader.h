/*
 * embedded/reader.h - the thread that serves reads from the segment files, so that no loop waits for the disk.
 *
 * The life of a read is enum jread_state (journal.h).
 */
#ifndef AFF_CHANGELOG_EMBEDDED_READER_H
#define AFF_CHANGELOG_EMBEDDED_READER_H

#include "changelog/embedded/journal.h"

/* The thread; `arg` is the journal. Ends once stop_reader is set. */
void *aff_reader_run(void *arg);

/* Loop: a read is asked for, in place of one that is still open. */
void aff_reader_ask(struct embedded_part *part, const struct jread_want *want);
/* Loop: the part is being closed. True: the reader is at its read and frees the part when it is done. lock held. */
bool aff_reader_cancel(struct embedded_part *part);
/* Writer: there are new entries. lock held. */
void aff_reader_wake(struct journal *j, struct jpartition *partition);

void aff_answer_fini(struct jread_answer *answer);
void aff_answer_clear(struct jread_answer *answer); /* empty; keeps its memory unless that is much */

#endif
