/*
 * embedded/writer.c - see embedded/writer.h. One round:
 *
 *   take      the queue, at most ROUND_MAX of it
 *   place     each entry gets its offset and time
 *   write     chunks become batches of up to BATCH_TARGET, one pwritev each
 *   sync      one fdatasync
 *   publish   index and size, then the partitions' ends; readers that wait are queued; chunks go back to their loops
 *   grow      space for what comes; a segment that is full is sealed and the next one begun
 *
 * When a write or the sync fails nobody knows what is on the disk, so the process ends: the next start reads it.
 */
#include "changelog/embedded/writer.h"

#include "base/alloc.h"
#include "base/fault.h"
#include "changelog/embedded/order.h"
#include "changelog/embedded/reader.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    ROUND_MAX = 16 << 20,
    BATCH_TARGET = 4 << 20,
    BATCH_CHUNKS = 62,
    SPACE_LEAST = 64 << 10, /* growth is tried in ever smaller steps down to this */
    RETRY_MS = 200,         /* how often space is asked for while there is none */
};

static struct jpartition list_end; /* ends the list of touched partitions; only its address counts */

static _Noreturn void give_up(const struct journal *j, const char *event, const struct aff_segment *segment)
{
    aff_log(j->logger, ERROR, event, aff_f_str("folder", j->folder), aff_f_str("file", segment->name),
            aff_f_int("position", (int64_t)segment->size), aff_f_str("error", strerror(errno)));
    abort();
}

/* ---- space ---- */

/* Room in the segment behind its last batch, less what its END takes. */
static int64_t room_of(const struct aff_segment *segment)
{
    return (int64_t)(segment->allocated - segment->size) - AFF_BATCH_HEAD;
}

void aff_writer_init(struct journal *j)
{
    j->active = journal_last(j);
    atomic_store(&j->space, room_of(j->active));
}

int aff_writer_charge(struct journal *j, uint64_t bytes)
{
    if (atomic_fetch_sub(&j->space, (int64_t)bytes) >= (int64_t)bytes)
        return 0;
    aff_writer_discharge(j, bytes);
    if (atomic_load(&j->full))
        return AFF_ENOSPACE;
    pthread_mutex_lock(&j->lock);
    j->wants_space = true;
    pthread_cond_signal(&j->work);
    pthread_mutex_unlock(&j->lock);
    return AFF_EAGAIN;
}

void aff_writer_discharge(struct journal *j, uint64_t bytes)
{
    atomic_fetch_add(&j->space, (int64_t)bytes);
}

static void tell_full(struct journal *j, bool full)
{
    if (atomic_exchange(&j->full, full) == full)
        return;
    if (full)
        aff_log(j->logger, ERROR, "changelog.no-space", aff_f_str("folder", j->folder),
                aff_f_int("space", atomic_load(&j->space)));
    else
        aff_log(j->logger, INFO, "changelog.space-again", aff_f_str("folder", j->folder),
                aff_f_int("space", atomic_load(&j->space)));
}

static bool grow_by(struct journal *j, struct aff_segment *segment, uint64_t bytes)
{
    uint64_t end = segment->allocated + bytes;
    if (aff_fault("changelog.nospace") || aff_file_allocate(segment->fd, segment->allocated, end))
        return false;
    segment->allocated = end;
    atomic_fetch_add(&j->space, (int64_t)bytes);
    return true;
}

/* Brings the space back to `ahead` when half of it is gone; less than that when the file system has no more. */
static void grow(struct journal *j, bool wanted)
{
    struct aff_segment *segment = j->active;
    int64_t space = atomic_load(&j->space), ahead = (int64_t)j->ahead, now = aff_mono_ns(aff_clock_system());
    bool full = atomic_load(&j->full);

    if (full ? now < j->grow_after_ns : space >= (wanted ? ahead - SPACE_LEAST : ahead / 2))
        return;
    uint64_t step = space < ahead ? (uint64_t)(ahead - space) : SPACE_LEAST;
    bool grown = grow_by(j, segment, step);
    for (; !grown && step > SPACE_LEAST; grown = grow_by(j, segment, step))
        step = step / 2 < SPACE_LEAST ? SPACE_LEAST : step / 2;
    j->grow_after_ns = now + RETRY_MS * AFF_NS_PER_MS;
    tell_full(j, !grown);
}

/* ---- place ---- */

static void place(struct journal *j, struct chunk *chunks)
{
    int64_t now = aff_wall_ms(j->clock);
    if (now > j->last_ms)
        j->last_ms = now;
    for (struct chunk *c = chunks; c; c = c->next)
        for (size_t i = 0; i < c->count; i++) {
            struct chunk_item *item = &c->items[i];
            item->offset = item->partition->next_offset++;
            item->time_ms = j->last_ms;
            aff_entry_place(c->bytes.data + item->at, item->offset, item->time_ms);
        }
}

/* ---- write ---- */

/* Writes the chunks from `first` that fit into one batch; returns the first that does not. */
static struct chunk *write_batch(struct journal *j, struct chunk *first, uint64_t durable, uint64_t *at)
{
    static const unsigned char zeros[AFF_BATCH_ALIGN];
    struct aff_segment *segment = j->active;
    unsigned char bytes[AFF_BATCH_HEAD];
    struct iovec parts[BATCH_CHUNKS + 2];
    struct aff_batch_head head = { .segment = segment->head.first, .position = *at, .durable = durable };
    struct chunk *c = first;
    size_t len = AFF_BATCH_HEAD;
    int count = 1;

    for (; c && count <= BATCH_CHUNKS && (c == first || len + c->bytes.len <= BATCH_TARGET); c = c->next) {
        parts[count++] = (struct iovec){ c->bytes.data, c->bytes.len };
        len += c->bytes.len;
        head.count += (uint32_t)c->count;
        c->position = *at;
    }
    parts[0] = (struct iovec){ bytes, sizeof bytes };
    parts[count] = (struct iovec){ (void *)(uintptr_t)zeros, aff_batch_padding(len) };
    head.length = (uint32_t)(len + parts[count].iov_len);
    count++;
    uint32_t crc = aff_batch_head_put(bytes, &head);
    for (int i = 1; i < count; i++)
        crc = aff_batch_crc(crc, parts[i].iov_base, parts[i].iov_len);
    aff_batch_crc_put(bytes, crc);
    if (aff_file_write(segment->fd, parts, count, *at))
        give_up(j, "changelog.write-failed", segment);
    *at += head.length;
    return c;
}

static uint64_t write_chunks(struct journal *j, struct chunk *chunks)
{
    uint64_t durable = j->active->size, at = durable;
    while (chunks)
        chunks = write_batch(j, chunks, durable, &at);
    return at;
}

static void sync_segment(const struct journal *j)
{
    const struct aff_segment *segment = j->active;
    bool failed = aff_fault("changelog.sync-error");
    if (failed)
        errno = EIO;
    if (failed || aff_order_sync(segment->fd))
        give_up(j, "changelog.sync-failed", segment);
}

/* ---- publish ---- */

static void publish_map(struct journal *j, const struct chunk *chunks, uint64_t end)
{
    struct aff_segment *segment = j->active;
    for (const struct chunk *c = chunks; c; c = c->next) {
        pthread_mutex_lock(&j->map_lock); /* for each chunk anew: a reader may come in between */
        for (size_t i = 0; i < c->count; i++) {
            const struct chunk_item *item = &c->items[i];
            aff_index_add(&segment->index, item->partition->number, item->offset, c->position, item->size);
        }
        segment->entries += c->count;
        pthread_mutex_unlock(&j->map_lock);
    }
    pthread_mutex_lock(&j->map_lock);
    segment->size = end;
    segment->last_ms = j->last_ms;
    pthread_mutex_unlock(&j->map_lock);
}

static struct jpartition *touched_by(const struct chunk *chunks)
{
    struct jpartition *touched = &list_end;
    for (const struct chunk *c = chunks; c; c = c->next)
        for (size_t i = 0; i < c->count; i++) {
            struct jpartition *p = c->items[i].partition;
            if (!p->touched_next) {
                p->touched_next = touched;
                touched = p;
            }
        }
    return touched;
}

static void publish_ends(struct journal *j, struct jpartition *touched)
{
    pthread_mutex_lock(&j->lock);
    while (touched != &list_end) {
        struct jpartition *next = touched->touched_next;
        touched->touched_next = NULL;
        touched->end = touched->next_offset;
        aff_reader_wake(j, touched);
        touched = next;
    }
    pthread_mutex_unlock(&j->lock);
}

/* The chunk's port is closed: nobody asks for it. */
static void drop(struct chunk *c) /* lock held */
{
    struct embedded_port *port = c->port;
    if (port && port->under_way == 0 && port->gone)
        free(port);
    aff_chunk_free(c);
}

static void report(struct journal *j, struct chunk *chunks)
{
    pthread_mutex_lock(&j->lock);
    for (struct chunk *c = chunks, *next; c; c = next) {
        struct embedded_port *port = c->port;
        next = c->next;
        if (port)
            port->under_way--;
        if (!port || port->closed) {
            drop(c);
            continue;
        }
        bool first = !port->done.first;
        chunk_queue_add(&port->done, c);
        if (first)
            aff_port_ring(&port->port);
    }
    pthread_mutex_unlock(&j->lock);
}

/* ---- the round ---- */

static void run_round(struct journal *j, struct chunk *chunks)
{
    uint64_t start = j->active->size, size = 0, charged = 0;

    for (struct chunk *c = chunks; c; c = c->next) {
        size += c->bytes.len;
        charged += c->charged;
    }
    place(j, chunks);
    chunks = aff_order_before_write(j, chunks, report);
    (void)aff_fault("changelog.before-write");
    uint64_t end = write_chunks(j, chunks);
    (void)aff_fault("changelog.after-write");
    sync_segment(j);
    atomic_fetch_add_explicit(&j->syncs, 1, memory_order_relaxed);
    (void)aff_fault("changelog.after-sync");
    publish_map(j, chunks, end);
    publish_ends(j, touched_by(chunks));
    atomic_fetch_sub(&j->in_flight, size);
    assert(charged >= end - start);
    atomic_fetch_add(&j->space, (int64_t)(charged - (end - start)));
    report(j, chunks);
}

/* ---- the next segment ---- */

static void write_end(struct journal *j)
{
    struct aff_segment *segment = j->active;
    unsigned char bytes[AFF_BATCH_HEAD];
    struct iovec part = { bytes, sizeof bytes };
    struct aff_batch_head head = {
        .length = AFF_BATCH_HEAD,
        .segment = segment->head.first,
        .position = segment->size,
        .durable = segment->size,
        .flags = AFF_BATCH_END,
    };
    aff_batch_crc_put(bytes, aff_batch_head_put(bytes, &head));
    if (aff_file_write(segment->fd, &part, 1, segment->size))
        give_up(j, "changelog.write-failed", segment);
    sync_segment(j);
}

/* The file is made first and used only when the one before has its END on the disk; see recovery.h. */
static void begin_next(struct journal *j, struct aff_segment *next)
{
    struct aff_segment *full = j->active;
    int64_t gained = room_of(next) - room_of(full);

    assert(gained >= 0); /* what was accepted still fits */
    write_end(j);
    pthread_mutex_lock(&j->map_lock);
    full->size += AFF_BATCH_HEAD;
    full->sealed = true;
    aff_index_seal(&full->index);
    aff_journal_push_segment(j, next);
    pthread_mutex_unlock(&j->map_lock);
    j->active = next;
    atomic_fetch_add(&j->space, gained);
    if (ftruncate(full->fd, (off_t)full->size) == 0) /* gives back what was allocated; zeros would do no harm */
        full->allocated = full->size;
}

/* Without space for a new file the old one goes on: its own space is there. */
static void roll(struct journal *j)
{
    struct aff_segment *full = j->active, *next;
    int64_t now = aff_mono_ns(aff_clock_system());
    int64_t room = room_of(full);
    uint64_t space = (uint64_t)(room > (int64_t)j->ahead ? room : (int64_t)j->ahead) + AFF_BATCH_HEAD;
    aff_error err;

    if (full->size < j->segment_bytes || now < j->roll_after_ns)
        return;
    if (aff_segment_create(j->dir_fd, full->head.last + 1, space, &next, &err) == 0) {
        begin_next(j, next);
        return;
    }
    j->roll_after_ns = now + AFF_NS_PER_S;
    aff_log(j->logger, WARN, "changelog.roll-postponed", aff_f_str("folder", j->folder), aff_f_str("error", err.text));
}

/* ---- the thread ---- */

static struct timespec retry_time(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += RETRY_MS * AFF_NS_PER_MS;
    t.tv_sec += t.tv_nsec / AFF_NS_PER_S;
    t.tv_nsec %= AFF_NS_PER_S;
    return t;
}

/* Takes what a round holds off the queue. */
static struct chunk *take_round(struct journal *j) /* lock held */
{
    struct chunk *first = j->queue.first, *last = first;
    if (!first)
        return NULL;
    for (size_t size = last->bytes.len; last->next && size + last->next->bytes.len <= ROUND_MAX; last = last->next)
        size += last->next->bytes.len;
    j->queue.first = last->next;
    if (!j->queue.first)
        j->queue.last = &j->queue.first;
    last->next = NULL;
    return first;
}

/* False: time to end. Without a round there is something to do about space. */
static bool wait_for_work(struct journal *j, struct chunk **ret_round, bool *ret_wants_space)
{
    pthread_mutex_lock(&j->lock);
    struct timespec until = retry_time();
    int timed_out = 0;
    while (!j->queue.first && !j->stop_writer && !j->wants_space && !timed_out) {
        j->writer_sleeps = true;
        if (atomic_load(&j->full))
            timed_out = pthread_cond_timedwait(&j->work, &j->lock, &until);
        else
            pthread_cond_wait(&j->work, &j->lock);
        j->writer_sleeps = false;
    }
    *ret_round = take_round(j);
    *ret_wants_space = j->wants_space;
    j->wants_space = false;
    bool goes_on = *ret_round || !j->stop_writer;
    pthread_mutex_unlock(&j->lock);
    return goes_on;
}

void *aff_writer_run(void *arg)
{
    struct journal *j = arg;
    struct chunk *round;
    bool wants_space;

    (void)pthread_setname_np(pthread_self(), "aff-log-writer");
    while (wait_for_work(j, &round, &wants_space)) {
        if (round)
            run_round(j, round);
        roll(j);
        grow(j, wants_space);
    }
    return NULL;
}

void aff_writer_submit(struct journal *j, struct chunk_queue *chunks, size_t count)
{
    if (!chunks->first)
        return;
    struct embedded_port *port = chunks->first->port;
    pthread_mutex_lock(&j->lock);
    *j->queue.last = chunks->first;
    j->queue.last = chunks->last;
    port->under_way += count;
    if (j->writer_sleeps)
        pthread_cond_signal(&j->work);
    pthread_mutex_unlock(&j->lock);
    chunk_queue_init(chunks);
}
