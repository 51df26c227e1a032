/*
 * embedded/break_early_ack.c - broken on purpose, see embedded/order.h: reports first and writes 5 ms later. Never shipped.
 */
#include "changelog/embedded/order.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <unistd.h>

int aff_order_sync(int fd)
{
    return fdatasync(fd);
}

/* What is still to be written of a chunk, with nobody to report to. */
static struct chunk *copy_of(const struct chunk *from)
{
    struct chunk *c = aff_xcalloc(1, sizeof *c);
    aff_list_init(&c->link);
    c->bytes.data = aff_xmemdup(from->bytes.data, from->bytes.len);
    c->bytes.len = c->bytes.capacity = from->bytes.len;
    c->items = aff_xmemdup(from->items, from->count * sizeof *from->items);
    c->count = c->capacity = from->count;
    c->charged = from->charged;
    return c;
}

struct chunk *aff_order_before_write(struct journal *j, struct chunk *chunks,
                                     void (*report)(struct journal *j, struct chunk *chunks))
{
    struct chunk_queue copies;
    chunk_queue_init(&copies);
    for (struct chunk *c = chunks; c; c = c->next)
        chunk_queue_add(&copies, copy_of(c));
    report(j, chunks);
    (void)usleep(5000);
    return copies.first;
}
