/*
 * kafka/window.c - see kafka/window.h. A ring of pointers that grows by doubling.
 */
#include "changelog/kafka/window.h"

#include "base/alloc.h"

#include <assert.h>
#include <stdlib.h>

enum { CAPACITY_MIN = 16, CAPACITY_KEPT = 256 };

static size_t size_of(const rd_kafka_message_t *message)
{
    return message->len + message->key_len;
}

static rd_kafka_message_t **slot(struct aff_kafka_window *w, size_t index)
{
    return &w->ring[(w->head + index) & (w->capacity - 1)];
}

void aff_kafka_window_init(struct aff_kafka_window *w)
{
    *w = (struct aff_kafka_window){ 0 };
}

static void drop_first(struct aff_kafka_window *w)
{
    rd_kafka_message_t *message = *slot(w, 0);

    w->bytes -= size_of(message);
    w->head++;
    w->count--;
    rd_kafka_message_destroy(message);
}

void aff_kafka_window_move(struct aff_kafka_window *w, int64_t position)
{
    while (w->count > 0)
        drop_first(w);
    w->base = w->position = position;
    w->head = 0;
    if (w->capacity > CAPACITY_KEPT) {
        free(w->ring);
        w->ring = NULL;
        w->capacity = 0;
    }
}

void aff_kafka_window_fini(struct aff_kafka_window *w)
{
    aff_kafka_window_move(w, 0);
    free(w->ring);
    w->ring = NULL;
    w->capacity = 0;
}

bool aff_kafka_window_skip(struct aff_kafka_window *w, int64_t from)
{
    if (from < w->base || from > w->position)
        return false;
    while (w->count > 0 && (*slot(w, 0))->offset < from)
        drop_first(w);
    w->base = from;
    return true;
}

static void grow(struct aff_kafka_window *w)
{
    size_t capacity = w->capacity ? w->capacity * 2 : CAPACITY_MIN;
    rd_kafka_message_t **ring = aff_xcalloc(capacity, sizeof *ring);

    for (size_t i = 0; i < w->count; i++)
        ring[i] = *slot(w, i);
    free(w->ring);
    w->ring = ring;
    w->capacity = capacity;
    w->head = 0;
}

bool aff_kafka_window_add(struct aff_kafka_window *w, rd_kafka_message_t *message)
{
    if (message->offset < w->position)
        return false;
    if (w->count == w->capacity)
        grow(w);
    *slot(w, w->count++) = message;
    w->bytes += size_of(message);
    w->position = message->offset + 1;
    return true;
}

void aff_kafka_window_reach(struct aff_kafka_window *w, int64_t offset)
{
    if (offset > w->position)
        w->position = offset;
}

size_t aff_kafka_window_take(struct aff_kafka_window *w, size_t max_bytes, size_t room, rd_kafka_message_t **messages)
{
    size_t bytes = 0, taken = 0;

    while (w->count > 0 && taken < room) {
        rd_kafka_message_t *message = *slot(w, 0);
        size_t size = size_of(message);
        if (taken > 0 && (size > max_bytes || bytes > max_bytes - size))
            break;
        messages[taken++] = message;
        bytes += size;
        w->bytes -= size_of(message);
        w->base = message->offset + 1;
        w->head++;
        w->count--;
    }
    if (w->count == 0 && taken < room)
        w->base = w->position;
    return taken;
}

void aff_kafka_window_untake(struct aff_kafka_window *w, rd_kafka_message_t **messages, size_t count, int64_t base)
{
    assert(count == 0 || (messages[count - 1]->offset < w->base && messages[0]->offset >= base));
    while (count-- > 0) {
        if (w->count == w->capacity)
            grow(w);
        w->head--;
        w->count++;
        *slot(w, 0) = messages[count];
        w->bytes += size_of(messages[count]);
    }
    w->base = base;
}
