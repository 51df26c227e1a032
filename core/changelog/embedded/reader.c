/*
 * embedded/reader.c - see embedded/reader.h.
 *
 * A read begins where the one before stopped (its cursor) or where the index says, and goes on batch by batch, segment by
 * segment. Entries are copied as stored into the answer and taken apart once it is complete. A segment that compaction
 * replaces meanwhile is read to its end all the same: the old file is what its descriptor names.
 */
#include "changelog/embedded/reader.h"

#include "base/alloc.h"
#include "changelog/embedded/scan.h"
#include "changelog/embedded/window.h"

#include <assert.h>
#include <stdlib.h>

enum { ENTRIES_PER_ANSWER = 8192, KEEP_BYTES = 64 << 10 };

/* One read being served. */
struct serving {
    struct journal *j;
    struct embedded_part *part;
    struct jread_want want;
    int64_t end;  /* of the partition, when it began */
    int64_t next; /* lowest offset that is still wanted */
    size_t bytes; /* keys and values so far */
    bool full;
    struct aff_windows *windows;

    struct aff_segment *segment; /* a reference */
    uint64_t at, limit;          /* in it */
    int64_t last_here;           /* the partition's last offset in it, when that is known */
};

/* ---- life of a read ---- */

static void enqueue(struct journal *j, struct embedded_part *part) /* lock held */
{
    part->read.state = JREAD_QUEUED;
    aff_list_append(&j->reads, &part->read.link);
    pthread_cond_signal(&j->read_work);
}

static void make_ready(struct embedded_part *part) /* lock held */
{
    struct embedded_port *port = part->port;
    bool first = aff_list_empty(&port->ready);

    part->read.state = JREAD_READY;
    aff_list_append(&port->ready, &part->read.link);
    if (first)
        aff_port_ring(&port->port);
}

/* There is nothing to read: wait for it, or say so. */
static void wait_or_answer(struct embedded_part *part) /* lock held */
{
    struct jread *read = &part->read;
    if (read->want.mode == AFF_READ_WAIT) {
        read->state = JREAD_WAITING;
        aff_list_append(&part->partition->waiting, &read->link);
        return;
    }
    read->answer.ticket = read->want.ticket;
    read->answer.status = 0;
    read->answer.count = 0;
    read->answer.next = read->answer.end = part->partition->end;
    make_ready(part);
}

static void start(struct embedded_part *part) /* lock held */
{
    if (part->read.want.from >= part->partition->end)
        wait_or_answer(part);
    else
        enqueue(part->journal, part);
}

void aff_reader_ask(struct embedded_part *part, const struct jread_want *want)
{
    struct jread *read = &part->read;
    pthread_mutex_lock(&part->journal->lock);
    read->want = *want;
    if (read->state == JREAD_RUNNING) {
        read->again = true;
    } else {
        aff_list_remove(&read->link);
        start(part);
    }
    pthread_mutex_unlock(&part->journal->lock);
}

bool aff_reader_cancel(struct embedded_part *part)
{
    part->closed = true;
    aff_list_remove(&part->read.link);
    return part->read.state == JREAD_RUNNING;
}

void aff_reader_wake(struct journal *j, struct jpartition *partition)
{
    aff_list_each(node, &partition->waiting) {
        struct embedded_part *part = aff_container_of(node, struct embedded_part, read.link);
        if (part->read.want.from < partition->end) {
            aff_list_remove(node);
            enqueue(j, part);
        }
    }
}

void aff_answer_fini(struct jread_answer *answer)
{
    aff_buf_fini(&answer->bytes);
    free(answer->entries);
    answer->entries = NULL;
    answer->count = answer->capacity = 0;
}

void aff_answer_clear(struct jread_answer *answer)
{
    if (answer->bytes.capacity > KEEP_BYTES)
        aff_answer_fini(answer);
    aff_buf_clear(&answer->bytes);
    answer->count = 0;
}

/* ---- where to read ---- */

static void leave_segment(struct serving *s)
{
    s->segment = aff_segment_unref(s->segment);
}

static void enter_segment(struct serving *s, struct aff_segment *segment, uint64_t at) /* map_lock held */
{
    s->segment = aff_segment_ref(segment);
    s->at = at;
    s->limit = segment->size;
    s->last_here = segment->sealed ? aff_index_last(&segment->index, s->part->partition->number) : INT64_MAX;
}

static bool enter_by_cursor(struct serving *s) /* map_lock held */
{
    const struct jread_cursor *cursor = &s->part->read.cursor;
    if (!cursor->serial || cursor->offset != s->next)
        return false;
    for (size_t i = s->j->segment_count; i-- > 0;)
        if (s->j->segments[i]->serial == cursor->serial) {
            enter_segment(s, s->j->segments[i], cursor->position);
            return true;
        }
    return false;
}

/* The first segment, among those that reach above number `above`, with entries of the partition from s->next on. Offsets
 * rise with the segments, so the search goes down from the newest. */
static bool enter_by_index(struct serving *s, uint64_t above) /* map_lock held */
{
    uint32_t number = s->part->partition->number;
    struct aff_segment *found = NULL;
    uint64_t at = 0;

    for (size_t i = s->j->segment_count; i-- > 0 && s->j->segments[i]->head.last > above;) {
        struct aff_segment *segment = s->j->segments[i];
        if (aff_index_find(&segment->index, number, s->next, &at))
            found = segment;
        else if (aff_index_last(&segment->index, number) >= 0)
            break; /* it has older ones only */
    }
    if (!found || !aff_index_find(&found->index, number, s->next, &at))
        return false;
    enter_segment(s, found, at);
    return true;
}

static bool enter_first(struct serving *s)
{
    pthread_mutex_lock(&s->j->map_lock);
    bool entered = enter_by_cursor(s) || enter_by_index(s, 0);
    pthread_mutex_unlock(&s->j->map_lock);
    return entered;
}

static bool enter_next(struct serving *s)
{
    uint64_t above = s->segment->head.last;
    leave_segment(s);
    pthread_mutex_lock(&s->j->map_lock);
    bool entered = enter_by_index(s, above);
    pthread_mutex_unlock(&s->j->map_lock);
    return entered;
}

/* ---- reading ---- */

/* Takes an entry into the answer; false: it does not fit any more, or there is no memory for it. */
static bool take(struct serving *s, const struct aff_placed *placed, aff_bytes raw)
{
    struct jread_answer *answer = &s->part->read.answer;
    size_t size = placed->entry.key.len + placed->entry.value.len;

    if (answer->count > 0 &&
        (answer->count == ENTRIES_PER_ANSWER || size > s->want.max_bytes || s->bytes > s->want.max_bytes - size))
        return false;
    if (!aff_buf_add(&answer->bytes, raw.data, raw.len))
        return false;
    answer->count++;
    s->bytes += size;
    s->next = placed->entry.offset + 1;
    return true;
}

static int take_batch(struct serving *s, aff_bytes batch, const struct aff_batch_head *head)
{
    const struct jpartition *p = s->part->partition;
    struct aff_cursor c = aff_batch_entries(batch, head);

    for (uint32_t i = 0; i < head->count && !s->full; i++) {
        const unsigned char *at = c.at;
        struct aff_placed placed;
        if (aff_entry_skip_other(&c, p->topic->id, p->index))
            continue;
        if (!aff_entry_get(&c, &placed))
            return AFF_ECORRUPT;
        if (placed.entry.offset < s->next)
            continue;
        if (placed.entry.offset >= s->end) {
            s->next = s->end;
            s->full = true;
        } else {
            s->full = !take(s, &placed, aff_bytes_of(at, (size_t)(c.at - at)));
        }
    }
    return 0;
}

/* Reads on in the segment until it ends or the answer is full. */
static int read_segment(struct serving *s)
{
    while (s->at < s->limit && !s->full && s->next < s->end && s->next <= s->last_here) {
        struct aff_batch_head head;
        aff_bytes batch;
        int rc = aff_windows_batch(s->windows, s->segment, s->at, s->limit, &head, &batch);
        if (rc == 0)
            rc = take_batch(s, batch, &head);
        if (rc)
            return rc;
        if (!s->full)
            s->at += head.length;
    }
    return 0;
}

static void keep_cursor(struct serving *s)
{
    if (s->segment)
        s->part->read.cursor = (struct jread_cursor){ s->segment->serial, s->at, s->next };
}

static void tell_failure(const struct serving *s, int rc)
{
    aff_log(s->j->logger, ERROR, "changelog.read-failed", aff_f_str("topic", s->part->partition->topic->name),
            aff_f_int("partition", s->part->partition->index), aff_f_int("offset", s->next),
            aff_f_str("file", s->segment->name), aff_f_int("position", (int64_t)s->at),
            aff_f_str("error", aff_error_name(rc)));
}

static int read_all(struct serving *s)
{
    int rc = 0;
    bool inside = enter_first(s);
    while (inside && rc == 0) {
        rc = read_segment(s);
        if (rc || s->full || s->next >= s->end)
            break;
        inside = enter_next(s);
    }
    if (rc)
        tell_failure(s, rc);
    else
        keep_cursor(s);
    leave_segment(s);
    return s->part->read.answer.count ? 0 : rc; /* what was read before the bad place is good */
}

/* ---- the answer ---- */

static void unpack(struct jread_answer *answer)
{
    struct aff_cursor c = aff_cursor_of(aff_buf_view(&answer->bytes));
    if (answer->count > answer->capacity) {
        answer->entries = aff_xrealloc(answer->entries, answer->count, sizeof *answer->entries);
        answer->capacity = answer->count;
    }
    for (size_t i = 0; i < answer->count; i++) {
        struct aff_placed placed;
        bool good = aff_entry_get(&c, &placed);
        assert(good); /* it was before */
        (void)good;
        answer->entries[i] = placed.entry;
    }
}

static void serve(struct serving *s)
{
    struct jread_answer *answer = &s->part->read.answer;
    aff_answer_clear(answer);
    answer->ticket = s->want.ticket;
    answer->status = read_all(s);
    answer->end = s->end;
    if (answer->status)
        answer->next = s->want.from;
    else
        answer->next = s->full ? s->next : s->end;
    unpack(answer);
}

/* ---- the thread ---- */

static struct embedded_part *wait_for_read(struct journal *j, struct serving *s)
{
    struct embedded_part *part = NULL;
    pthread_mutex_lock(&j->lock);
    while (aff_list_empty(&j->reads) && !j->stop_reader)
        pthread_cond_wait(&j->read_work, &j->lock);
    if (!j->stop_reader) {
        part = aff_container_of(aff_list_take(&j->reads), struct embedded_part, read.link);
        part->read.state = JREAD_RUNNING;
        part->read.again = false;
        s->part = part;
        s->want = part->read.want;
        s->end = part->partition->end;
    }
    pthread_mutex_unlock(&j->lock);
    s->next = s->want.from < 0 ? 0 : s->want.from;
    return part;
}

static void finish(struct journal *j, struct embedded_part *part)
{
    pthread_mutex_lock(&j->lock);
    bool closed = part->closed;
    if (!closed && part->read.again)
        start(part);
    else if (!closed)
        make_ready(part);
    pthread_mutex_unlock(&j->lock);
    if (closed) {
        aff_answer_fini(&part->read.answer);
        free(part);
    }
}

void *aff_reader_run(void *arg)
{
    struct journal *j = arg;
    struct aff_windows windows = { 0 };

    (void)pthread_setname_np(pthread_self(), "aff-log-reader");
    for (;;) {
        struct serving s = { .j = j, .windows = &windows };
        if (!wait_for_read(j, &s))
            break;
        serve(&s);
        finish(j, s.part);
    }
    aff_windows_fini(&windows);
    return NULL;
}
