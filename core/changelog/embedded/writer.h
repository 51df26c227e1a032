/*
 * embedded/writer.h - the thread that writes the journal: everything that is queued, one sync, then the reports.
 */
#ifndef AFF_CHANGELOG_EMBEDDED_WRITER_H
#define AFF_CHANGELOG_EMBEDDED_WRITER_H

#include "changelog/embedded/journal.h"

/* Takes over the space behind the last batch. Before threads run. */
void aff_writer_init(struct journal *j);
/* The thread; `arg` is the journal. Ends once stop_writer is set and the queue is empty. */
void *aff_writer_run(void *arg);

/* Loop: hands the chunks over. They come back through port->done, or are freed when the port is closed. */
void aff_writer_submit(struct journal *j, struct chunk_queue *chunks, size_t count);
/* Loop: takes space for an append. 0, AFF_ENOSPACE, or AFF_EAGAIN when the writer has yet to get more. */
int aff_writer_charge(struct journal *j, uint64_t bytes);
void aff_writer_discharge(struct journal *j, uint64_t bytes);

/* What an append takes of the space: its bytes, and its part of a batch's header and padding, at most all of it. */
static inline uint64_t writer_cost(size_t stored)
{
    return stored + AFF_BATCH_HEAD + AFF_BATCH_ALIGN;
}

#endif
