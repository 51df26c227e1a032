/*
 * embedded/order.h - the two promises that the crash suite must be able to see broken: sync before the report, and write
 * before the report.
 *
 * order.c keeps them and is what is built. break_nosync.c and break_early_ack.c stand in for it in the builds that the
 * suite makes to prove that it notices (meson option break_it).
 */
#ifndef AFF_CHANGELOG_EMBEDDED_ORDER_H
#define AFF_CHANGELOG_EMBEDDED_ORDER_H

#include "changelog/embedded/journal.h"

/* Brings what was written to the disk. 0, or -1 with errno. */
int aff_order_sync(int fd);

/*
 * Called when the chunks of a round have their offsets and are about to be written; returns the chunks to write: these.
 * `report` hands chunks back to their loops.
 */
struct chunk *aff_order_before_write(struct journal *j, struct chunk *chunks,
                                     void (*report)(struct journal *j, struct chunk *chunks));

#endif
