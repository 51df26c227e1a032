/*
 * embedded/order.c - see embedded/order.h: written, synced, then reported. On the writer's thread.
 */
#include "changelog/embedded/order.h"

#include <unistd.h>

int aff_order_sync(int fd)
{
    return fdatasync(fd);
}

struct chunk *aff_order_before_write(struct journal *j, struct chunk *chunks,
                                     void (*report)(struct journal *j, struct chunk *chunks))
{
    (void)j;
    (void)report;
    return chunks;
}
