/*
 * embedded/handle.c - see embedded/handle.h.
 *
 * An append is encoded at once into the chunk that its port is filling; at AFF_STAGE_LOG the chunks of the pass go to the
 * writer in one step. A port is rung when chunks came back or reads were answered. What a closed handle had under way is
 * written all the same; its items just have nobody any more who waits for their report.
 */
#include "changelog/embedded/handle.h"

#include "base/alloc.h"
#include "changelog/embedded/reader.h"
#include "changelog/embedded/topics.h"
#include "changelog/embedded/writer.h"

#include <assert.h>
#include <stdlib.h>

enum { CHUNK_TARGET = 1 << 20, SPARE_MAX = 4 << 20 };

static struct embedded_part *part_of(struct aff_changelog_part *part)
{
    return (struct embedded_part *)(void *)part;
}

/* ---- chunks ---- */

struct chunk *aff_chunk_free(struct chunk *c)
{
    if (c) {
        aff_buf_fini(&c->bytes);
        free(c->items);
        free(c);
    }
    return NULL;
}

static struct chunk *chunk_take(struct embedded_port *port)
{
    struct chunk *c = port->spare;
    if (c)
        port->spare = c->next;
    else
        c = aff_xcalloc(1, sizeof *c);
    c->next = NULL;
    c->port = port;
    aff_list_init(&c->link);
    aff_list_append(&port->chunks, &c->link);
    return c;
}

/* Keeps it for the next appends, unless one was so large that its memory should not be held. */
static void chunk_release(struct embedded_port *port, struct chunk *c)
{
    aff_list_remove(&c->link);
    if (c->bytes.capacity > SPARE_MAX) {
        aff_chunk_free(c);
        return;
    }
    aff_buf_clear(&c->bytes);
    c->count = 0;
    c->charged = 0;
    c->next = port->spare;
    port->spare = c;
}

static void finish_filling(struct embedded_port *port)
{
    if (!port->filling)
        return;
    chunk_queue_add(&port->out, port->filling);
    port->out_count++;
    port->filling = NULL;
}

static void submit(struct embedded_port *port)
{
    finish_filling(port);
    aff_writer_submit(port->journal, &port->out, port->out_count);
    port->out_count = 0;
}

static struct chunk_item *add_item(struct chunk *c)
{
    if (c->count == c->capacity) {
        c->capacity = c->capacity ? 2 * c->capacity : 64;
        c->items = aff_xrealloc(c->items, c->capacity, sizeof *c->items);
    }
    return &c->items[c->count++];
}

/* False: no memory for the entry. */
static bool encode(struct embedded_part *part, const struct aff_entry *entry, uint64_t seq)
{
    struct embedded_port *port = part->port;
    struct aff_placed placed = { part->partition->topic->id, part->partition->index, *entry };

    if (!port->filling)
        port->filling = chunk_take(port);
    struct chunk *c = port->filling;
    size_t at = c->bytes.len;
    placed.entry.offset = placed.entry.time_ms = 0;
    if (!aff_entry_put(&c->bytes, &placed))
        return false;
    *add_item(c) = (struct chunk_item){
        .part = part,
        .seq = seq,
        .partition = part->partition,
        .at = (uint32_t)at,
        .size = (uint32_t)(c->bytes.len - at),
    };
    c->charged += writer_cost(c->bytes.len - at);
    if (c->bytes.len >= CHUNK_TARGET)
        finish_filling(port);
    return true;
}

/* Nobody waits any more for the reports of what the handle has under way. */
static void disown(struct embedded_part *part)
{
    aff_list_each(node, &part->port->chunks) {
        struct chunk *c = aff_container_of(node, struct chunk, link);
        for (size_t i = 0; i < c->count; i++)
            if (c->items[i].part == part)
                c->items[i].part = NULL;
    }
    part->report_count = 0;
    aff_list_remove(&part->reporting);
}

/* ---- reports ---- */

static void add_report(struct embedded_part *part, const struct chunk_item *item)
{
    if (part->report_count == part->report_capacity) {
        part->report_capacity = part->report_capacity ? 2 * part->report_capacity : 64;
        part->reports = aff_xrealloc(part->reports, part->report_capacity, sizeof *part->reports);
    }
    part->reports[part->report_count++] = (struct aff_delivery_report){
        .seq = item->seq,
        .status = 0,
        .offset = item->offset,
        .time_ms = item->time_ms,
    };
    if (aff_list_empty(&part->reporting))
        aff_list_append(&part->port->reporting, &part->reporting);
}

/* Chunks that came back, turned into reports by part. */
static void collect_reports(struct embedded_port *port)
{
    pthread_mutex_lock(&port->journal->lock);
    struct chunk *c = port->done.first, *next;
    chunk_queue_init(&port->done);
    pthread_mutex_unlock(&port->journal->lock);
    for (; c; c = next) {
        next = c->next;
        for (size_t i = 0; i < c->count; i++)
            if (c->items[i].part)
                add_report(c->items[i].part, &c->items[i]);
        chunk_release(port, c);
    }
}

/* The sink may append, read, reset, close this part or any other of the loop; it cannot make reports. */
static void call_reports(struct embedded_port *port)
{
    struct aff_list *node;
    while ((node = aff_list_take(&port->reporting)) != NULL) {
        struct embedded_part *part = aff_container_of(node, struct embedded_part, reporting);
        struct aff_delivery_report *reports = part->reports;
        size_t count = part->report_count, capacity = part->report_capacity;
        part->reports = NULL;
        part->report_count = part->report_capacity = 0;
        port->current = part;
        part->sink->reports(part->sink, reports, count);
        if (port->current == part && !part->reports) {
            part->reports = reports;
            part->report_capacity = capacity;
        } else {
            free(reports);
        }
    }
}

/* ---- answers ---- */

static struct embedded_part *take_ready(struct embedded_port *port)
{
    struct embedded_part *part = NULL;
    pthread_mutex_lock(&port->journal->lock);
    struct aff_list *node = aff_list_take(&port->ready);
    if (node) {
        part = aff_container_of(node, struct embedded_part, read.link);
        part->read.state = JREAD_IDLE;
    }
    pthread_mutex_unlock(&port->journal->lock);
    return part;
}

/* The answer is taken out of the part: its sink may ask for the next one at once. */
static void call_entries(struct embedded_port *port, struct embedded_part *part)
{
    struct jread_answer answer = part->read.answer;
    part->read.answer = port->spare_answer;
    port->spare_answer = (struct jread_answer){ 0 };
    struct aff_batch batch = {
        .ticket = answer.ticket,
        .status = answer.status,
        .entries = answer.entries,
        .count = answer.count,
        .next = answer.next,
        .start = 0,
        .end = answer.end,
    };
    part->sink->entries(part->sink, &batch);
    aff_answer_clear(&answer);
    port->spare_answer = answer;
}

static size_t count_ready(struct embedded_port *port)
{
    size_t count = 0;
    pthread_mutex_lock(&port->journal->lock);
    aff_list_each(node, &port->ready)
        count++;
    pthread_mutex_unlock(&port->journal->lock);
    return count;
}

/* As many answers as there are now: what is answered while the sinks run is for the next pass. */
static void call_answers(struct embedded_port *port)
{
    struct embedded_part *part;
    for (size_t left = count_ready(port); left > 0 && (part = take_ready(port)) != NULL; left--)
        call_entries(port, part);
    if (count_ready(port) && !port->port.finished)
        aff_port_ring(&port->port);
}

/* ---- the port ---- */

static void port_rung(struct aff_port *base)
{
    struct embedded_port *port = aff_container_of(base, struct embedded_port, port);
    collect_reports(port);
    call_reports(port);
    call_answers(port);
}

static bool port_pass(struct aff_port *base)
{
    submit(aff_container_of(base, struct embedded_port, port));
    return false;
}

/* Chunks that are still with the writer are freed by it, and the port with the last of them. */
static void port_gone(struct aff_port *base)
{
    struct embedded_port *port = aff_container_of(base, struct embedded_port, port);
    struct journal *j = port->journal;

    while (port->spare) {
        struct chunk *next = port->spare->next;
        aff_chunk_free(port->spare);
        port->spare = next;
    }
    aff_answer_fini(&port->spare_answer);
    pthread_mutex_lock(&j->lock);
    port->gone = true;
    bool last = port->under_way == 0;
    pthread_mutex_unlock(&j->lock);
    if (last)
        free(port);
}

static struct embedded_port *find_port(struct journal *j, const struct aff_loop *loop)
{
    struct embedded_port *found = NULL;
    pthread_mutex_lock(&j->lock);
    aff_list_each(node, &j->ports) {
        struct embedded_port *port = aff_container_of(node, struct embedded_port, link);
        if (port->port.loop == loop)
            found = port;
    }
    pthread_mutex_unlock(&j->lock);
    return found;
}

static int port_new(struct journal *j, struct aff_loop *loop, struct embedded_port **ret_port, aff_error *err)
{
    static const struct aff_port_ops ops = { .rung = port_rung, .pass = port_pass, .gone = port_gone };
    struct embedded_port *port = aff_xcalloc(1, sizeof *port);
    int rc = aff_port_init(&port->port, loop, &ops, err);
    if (rc) {
        free(port);
        return rc;
    }
    port->journal = j;
    chunk_queue_init(&port->done);
    chunk_queue_init(&port->out);
    aff_list_init(&port->ready);
    aff_list_init(&port->chunks);
    aff_list_init(&port->reporting);
    pthread_mutex_lock(&j->lock);
    aff_list_append(&j->ports, &port->link);
    pthread_mutex_unlock(&j->lock);
    *ret_port = port;
    return 0;
}

/* The last handle of a loop is closed. */
static void port_close(struct embedded_port *port)
{
    struct journal *j = port->journal;
    submit(port);
    pthread_mutex_lock(&j->lock);
    port->closed = true;
    aff_list_remove(&port->link);
    struct chunk *done = port->done.first, *next;
    pthread_mutex_unlock(&j->lock);
    for (; done; done = next) {
        next = done->next;
        aff_chunk_free(done);
    }
    aff_port_fini(&port->port);
}

/* ---- open and close ---- */

static struct jpartition *find_partition(struct journal *j, const char *topic, uint32_t index)
{
    pthread_mutex_lock(&j->lock);
    struct jtopic *t = aff_topics_find(j, topic);
    struct jpartition *p = t && index < t->partition_count ? &t->partitions[index] : NULL;
    pthread_mutex_unlock(&j->lock);
    return p;
}

static struct embedded_part *part_new(struct embedded_port *port, struct jpartition *partition,
                                      struct aff_changelog_sink *sink)
{
    struct embedded_part *part = aff_xcalloc(1, sizeof *part);
    part->journal = port->journal;
    part->port = port;
    part->partition = partition;
    part->sink = sink;
    part->keep_from = -1;
    aff_list_init(&part->sibling);
    aff_list_init(&part->read.link);
    aff_list_init(&part->reporting);
    return part;
}

int aff_embedded_open(struct aff_changelog *log, const char *topic, uint32_t index, struct aff_loop *loop,
                      struct aff_changelog_sink *sink, struct aff_changelog_part **ret_part, aff_error *err)
{
    struct journal *j = aff_container_of(log, struct journal, base);
    struct jpartition *partition = find_partition(j, topic, index);
    struct embedded_port *port = find_port(j, loop);

    if (!partition)
        return aff_fail_with(err, AFF_ENOTFOUND, "changelog: there is no partition %u of a topic %s", index, topic);
    int rc = port ? 0 : port_new(j, loop, &port, err);
    if (rc)
        return rc;
    struct embedded_part *part = part_new(port, partition, sink);
    port->users++;
    pthread_mutex_lock(&j->lock);
    aff_list_append(&partition->parts, &part->sibling);
    pthread_mutex_unlock(&j->lock);
    *ret_part = (struct aff_changelog_part *)(void *)part;
    return 0;
}

void aff_embedded_close(struct aff_changelog_part *base)
{
    struct embedded_part *part = part_of(base);
    struct embedded_port *port = part->port;
    struct journal *j = part->journal;

    assert(aff_loop_here(port->port.loop));
    disown(part);
    if (port->current == part)
        port->current = NULL;
    free(part->reports);
    pthread_mutex_lock(&j->lock);
    if (part->keep_from >= 0)
        part->partition->keep_from = part->keep_from;
    aff_list_remove(&part->sibling);
    bool running = aff_reader_cancel(part);
    pthread_mutex_unlock(&j->lock);
    if (!running) {
        aff_answer_fini(&part->read.answer);
        free(part);
    }
    if (--port->users == 0)
        port_close(port);
}

/* ---- append, read, reset, keep_from ---- */

/* Something is always let in when nothing is under way. */
static bool admit(struct journal *j, uint64_t size)
{
    uint64_t before = atomic_fetch_add(&j->in_flight, size);
    if (before == 0 || before + size <= j->max_in_flight)
        return true;
    atomic_fetch_sub(&j->in_flight, size);
    return false;
}

int aff_embedded_append(struct aff_changelog_part *base, const struct aff_entry *entry, uint64_t seq)
{
    struct embedded_part *part = part_of(base);
    struct journal *j = part->journal;
    size_t stored = aff_entry_stored(entry);

    assert(aff_loop_here(part->port->port.loop) && entry->key.data && entry->key.len > 0);
    if (aff_entry_size(entry) > AFF_ENTRY_MAX)
        return AFF_ETOOLARGE;
    if (!admit(j, stored))
        return AFF_EAGAIN;
    int rc = aff_writer_charge(j, writer_cost(stored));
    if (rc == 0 && !encode(part, entry, seq)) {
        aff_writer_discharge(j, writer_cost(stored));
        rc = AFF_EAGAIN;
    }
    if (rc)
        atomic_fetch_sub(&j->in_flight, stored);
    return rc;
}

void aff_embedded_read(struct aff_changelog_part *base, int64_t from, size_t max_bytes, int mode, uint64_t ticket)
{
    struct embedded_part *part = part_of(base);
    assert(aff_loop_here(part->port->port.loop));
    aff_reader_ask(part, &(struct jread_want){ from < 0 ? 0 : from, max_bytes, mode, ticket });
}

void aff_embedded_reset(struct aff_changelog_part *base)
{
    struct embedded_part *part = part_of(base);
    assert(aff_loop_here(part->port->port.loop));
    disown(part);
}

void aff_embedded_keep_from(struct aff_changelog_part *base, int64_t offset)
{
    struct embedded_part *part = part_of(base);
    pthread_mutex_lock(&part->journal->lock);
    part->keep_from = offset < 0 ? 0 : offset;
    pthread_mutex_unlock(&part->journal->lock);
}
