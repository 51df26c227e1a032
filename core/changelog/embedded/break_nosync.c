/*
 * embedded/break_nosync.c - broken on purpose, see embedded/order.h: reports what was never synced. Never shipped.
 */
#include "changelog/embedded/order.h"

int aff_order_sync(int fd)
{
    (void)fd;
    return 0;
}

struct chunk *aff_order_before_write(struct journal *j, struct chunk *chunks,
                                     void (*report)(struct journal *j, struct chunk *chunks))
{
    (void)j;
    (void)report;
    return chunks;
}
