/*
 * memory/memory.c - the changelog driver `memory`: everything in RAM under one lock, for tests and trials.
 *
 * It keeps the whole contract of changelog.h, with any number of loops and of handles on one partition. Appends of a pass
 * wait on their handle until AFF_STAGE_LOG; then they enter the log, the handle becomes due for its reports, and the
 * handles that wait for entries become due to read. A due handle is served when its loop finds the port rung, on the next
 * pass. Entries are in memory/entries.c.
 */
#include "changelog/memory/memory.h"

#include "base/alloc.h"
#include "changelog/memory/entries.h"
#include "changelog/port.h"
#include "changelog/topic.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

enum { DEFAULT_IN_FLIGHT = 64 << 20, ENTRIES_PER_BATCH = 1024 };

struct memory_partition {
    struct memory_entries entries;
    struct aff_list parts; /* of memory_part.sibling */
    int64_t keep_from;     /* as told last by a handle that is closed now */
};

struct memory_topic {
    struct aff_list link;
    struct aff_topic config;
    char *name;
    struct memory_partition *partitions;
};

struct memory_log {
    struct aff_changelog base;
    const struct aff_clock *clock;
    uint64_t max_in_flight;

    pthread_mutex_t lock; /* guards what follows, and in parts and ports what says so */
    struct aff_list topics;
    struct aff_list ports;
    uint64_t in_flight;
};

struct memory_port {
    struct aff_port port;
    struct memory_log *log;
    struct aff_list link;        /* log->ports; lock */
    struct aff_list due;         /* of memory_part.due; lock */
    size_t due_count;            /* lock */
    size_t users;                /* parts open; loop */
    struct aff_list appended;    /* of memory_part.appended; loop */
    struct memory_part *current; /* whose sink is being called; loop */
    struct memory_entry *items[ENTRIES_PER_BATCH];
    struct aff_entry entries[ENTRIES_PER_BATCH];
};

struct memory_read {
    bool open;
    int64_t from;
    size_t max_bytes;
    int mode;
    uint64_t ticket;
};

/* The handle; behind `struct aff_changelog_part` in the interface. */
struct memory_part {
    struct memory_log *log;
    struct memory_port *port;
    struct memory_partition *partition;
    struct aff_changelog_sink *sink;

    /* lock */
    struct aff_list sibling; /* partition->parts */
    struct aff_list due;     /* port->due */
    bool waiting;            /* its read waits for an entry */
    int64_t keep_from;       /* -1: never told */

    /* loop */
    struct aff_list appended; /* port->appended */
    struct memory_entry *first, **last;
    struct aff_delivery_report *reports;
    size_t report_count, report_capacity;
    struct memory_read read;
};

static struct memory_part *part_of(struct aff_changelog_part *part)
{
    return (struct memory_part *)(void *)part;
}

static struct memory_log *log_of(struct aff_changelog *log)
{
    return aff_container_of(log, struct memory_log, base);
}

/* ---- due handles ---- */

static void make_due(struct memory_part *part) /* lock held */
{
    struct memory_port *port = part->port;
    if (!aff_list_empty(&part->due))
        return;
    aff_list_append(&port->due, &part->due);
    if (port->due_count++ == 0)
        aff_port_ring(&port->port);
}

static void make_undue(struct memory_part *part) /* lock held */
{
    if (aff_list_empty(&part->due))
        return;
    aff_list_remove(&part->due);
    part->port->due_count--;
}

static struct memory_part *take_due(struct memory_port *port)
{
    struct memory_part *part = NULL;
    pthread_mutex_lock(&port->log->lock);
    if (!aff_list_empty(&port->due)) {
        part = aff_container_of(aff_list_first(&port->due), struct memory_part, due);
        make_undue(part);
    }
    pthread_mutex_unlock(&port->log->lock);
    return part;
}

/* ---- appends enter the log ---- */

static void add_report(struct memory_part *part, const struct memory_entry *e)
{
    if (part->report_count == part->report_capacity) {
        part->report_capacity = part->report_capacity ? 2 * part->report_capacity : 64;
        part->reports = aff_xrealloc(part->reports, part->report_capacity, sizeof *part->reports);
    }
    part->reports[part->report_count++] = (struct aff_delivery_report){
        .seq = e->seq,
        .status = 0,
        .offset = e->entry.offset,
        .time_ms = e->entry.time_ms,
    };
}

static void wake_readers(struct memory_partition *partition) /* lock held */
{
    aff_list_each(node, &partition->parts) {
        struct memory_part *reader = aff_container_of(node, struct memory_part, sibling);
        if (reader->waiting) {
            reader->waiting = false;
            make_due(reader);
        }
    }
}

static void commit(struct memory_part *part, int64_t now_ms) /* lock held */
{
    struct memory_entry *e = part->first, *next;
    for (; e; e = next) {
        next = e->next;
        part->log->in_flight -= aff_entry_size(&e->entry);
        aff_memory_entries_append(&part->partition->entries, e, now_ms);
        if (!e->silent)
            add_report(part, e);
    }
    part->first = NULL;
    part->last = &part->first;
    if (part->report_count)
        make_due(part);
    wake_readers(part->partition);
}

static bool port_pass(struct aff_port *base)
{
    struct memory_port *port = aff_container_of(base, struct memory_port, port);
    if (aff_list_empty(&port->appended))
        return false;
    int64_t now_ms = aff_wall_ms(port->log->clock);
    pthread_mutex_lock(&port->log->lock);
    aff_list_each(node, &port->appended) {
        commit(aff_container_of(node, struct memory_part, appended), now_ms);
        aff_list_remove(node);
    }
    pthread_mutex_unlock(&port->log->lock);
    return false;
}

/* ---- serving a due handle ---- */

/* Does `part` still exist after its sink was called? */
static bool call_reports(struct memory_port *port, struct memory_part *part)
{
    struct aff_delivery_report *reports = part->reports;
    size_t count = part->report_count;
    if (!count)
        return true;
    part->reports = NULL;
    part->report_count = part->report_capacity = 0;
    port->current = part;
    part->sink->reports(part->sink, reports, count);
    free(reports);
    return port->current == part;
}

/* Takes references to what answers the read; false: nothing yet, and it waits. */
static bool collect(struct memory_port *port, struct memory_part *part, struct aff_batch *batch)
{
    struct memory_entries *entries = &part->partition->entries;
    const struct memory_read *read = &part->read;

    pthread_mutex_lock(&port->log->lock);
    batch->count = aff_memory_entries_read(entries, read->from, read->max_bytes, ENTRIES_PER_BATCH, port->items);
    batch->end = entries->end;
    part->waiting = batch->count == 0 && read->mode == AFF_READ_WAIT;
    bool answered = !part->waiting;
    pthread_mutex_unlock(&port->log->lock);
    return answered;
}

static void call_entries(struct memory_port *port, struct memory_part *part)
{
    struct aff_batch batch = { .ticket = part->read.ticket, .entries = port->entries };
    if (!part->read.open || !collect(port, part, &batch))
        return;
    for (size_t i = 0; i < batch.count; i++)
        port->entries[i] = port->items[i]->entry;
    batch.next = batch.count ? port->entries[batch.count - 1].offset + 1 : batch.end;
    part->read.open = false;
    part->sink->entries(part->sink, &batch);
    for (size_t i = 0; i < batch.count; i++)
        port->items[i] = aff_memory_entry_unref(port->items[i]);
}

/* At most as many as were due: a sink that reads again at once is served on the next pass. */
static void port_rung(struct aff_port *base)
{
    struct memory_port *port = aff_container_of(base, struct memory_port, port);
    struct memory_part *part;

    pthread_mutex_lock(&port->log->lock);
    size_t left = port->due_count;
    pthread_mutex_unlock(&port->log->lock);
    for (; left > 0 && (part = take_due(port)) != NULL; left--)
        if (call_reports(port, part))
            call_entries(port, part);
    if (port->port.finished)
        return;
    pthread_mutex_lock(&port->log->lock);
    if (port->due_count)
        aff_port_ring(&port->port);
    pthread_mutex_unlock(&port->log->lock);
}

static void port_gone(struct aff_port *base)
{
    free(aff_container_of(base, struct memory_port, port));
}

/* ---- topics ---- */

static struct memory_topic *find_topic(struct memory_log *log, const char *name) /* lock held */
{
    aff_list_each(node, &log->topics) {
        struct memory_topic *topic = aff_container_of(node, struct memory_topic, link);
        if (strcmp(topic->name, name) == 0)
            return topic;
    }
    return NULL;
}

static void add_topic(struct memory_log *log, const struct aff_topic *config) /* lock held */
{
    struct memory_topic *topic = aff_xcalloc(1, sizeof *topic);
    topic->name = aff_xstrdup(config->name);
    topic->config = *config;
    topic->config.name = topic->name;
    topic->partitions = aff_xcalloc(config->partitions, sizeof *topic->partitions);
    for (uint32_t i = 0; i < config->partitions; i++)
        aff_list_init(&topic->partitions[i].parts);
    aff_list_append(&log->topics, &topic->link);
}

static int memory_topic(struct aff_changelog *base, const struct aff_topic *config, aff_error *err)
{
    struct memory_log *log = log_of(base);
    int rc = aff_topic_check(config, err);
    if (rc)
        return rc;
    pthread_mutex_lock(&log->lock);
    struct memory_topic *topic = find_topic(log, config->name);
    uint32_t stored = topic ? topic->config.partitions : config->partitions;
    if (!topic)
        add_topic(log, config);
    else if (stored == config->partitions)
        topic->config = (struct aff_topic){ topic->name, stored, config->compaction_lag_ms,
                                            config->tombstone_retention_ms, config->compact };
    pthread_mutex_unlock(&log->lock);
    return aff_topic_check_count(config, stored, err);
}

static struct memory_topic *topic_free(struct memory_topic *topic)
{
    for (uint32_t i = 0; i < topic->config.partitions; i++) {
        assert(aff_list_empty(&topic->partitions[i].parts)); /* every partition is closed */
        aff_memory_entries_fini(&topic->partitions[i].entries);
    }
    free(topic->partitions);
    free(topic->name);
    free(topic);
    return NULL;
}

/* ---- open and close ---- */

static struct memory_partition *find_partition(struct memory_log *log, const char *topic, uint32_t index)
{
    pthread_mutex_lock(&log->lock);
    struct memory_topic *found = find_topic(log, topic);
    struct memory_partition *partition = found && index < found->config.partitions ? &found->partitions[index] : NULL;
    pthread_mutex_unlock(&log->lock);
    return partition;
}

static struct memory_port *find_port(struct memory_log *log, const struct aff_loop *loop)
{
    struct memory_port *found = NULL;
    pthread_mutex_lock(&log->lock);
    aff_list_each(node, &log->ports) {
        struct memory_port *port = aff_container_of(node, struct memory_port, link);
        if (port->port.loop == loop)
            found = port;
    }
    pthread_mutex_unlock(&log->lock);
    return found;
}

static int port_for(struct memory_log *log, struct aff_loop *loop, struct memory_port **ret_port, aff_error *err)
{
    static const struct aff_port_ops ops = { .rung = port_rung, .pass = port_pass, .gone = port_gone };
    struct memory_port *port = find_port(log, loop);
    if (!port) {
        port = aff_xcalloc(1, sizeof *port);
        int rc = aff_port_init(&port->port, loop, &ops, err);
        if (rc) {
            free(port);
            return rc;
        }
        port->log = log;
        aff_list_init(&port->due);
        aff_list_init(&port->appended);
        pthread_mutex_lock(&log->lock);
        aff_list_append(&log->ports, &port->link);
        pthread_mutex_unlock(&log->lock);
    }
    *ret_port = port;
    return 0;
}

static int memory_open(struct aff_changelog *base, const char *topic, uint32_t index, struct aff_loop *loop,
                       struct aff_changelog_sink *sink, struct aff_changelog_part **ret_part, aff_error *err)
{
    struct memory_log *log = log_of(base);
    struct memory_partition *partition = find_partition(log, topic, index);
    struct memory_port *port;

    if (!partition)
        return aff_fail_with(err, AFF_ENOTFOUND, "changelog: there is no partition %u of a topic %s", index, topic);
    int rc = port_for(log, loop, &port, err);
    if (rc)
        return rc;
    struct memory_part *part = aff_xcalloc(1, sizeof *part);
    part->log = log;
    part->port = port;
    part->partition = partition;
    part->sink = sink;
    part->keep_from = -1;
    part->last = &part->first;
    aff_list_init(&part->due);
    aff_list_init(&part->appended);
    port->users++;
    pthread_mutex_lock(&log->lock);
    aff_list_append(&partition->parts, &part->sibling);
    pthread_mutex_unlock(&log->lock);
    *ret_part = (struct aff_changelog_part *)(void *)part;
    return 0;
}

static void memory_close(struct aff_changelog_part *base)
{
    struct memory_part *part = part_of(base);
    struct memory_port *port = part->port;
    bool last = --port->users == 0;

    pthread_mutex_lock(&part->log->lock);
    commit(part, aff_wall_ms(part->log->clock));
    make_undue(part);
    aff_list_remove(&part->sibling);
    if (part->keep_from >= 0)
        part->partition->keep_from = part->keep_from;
    if (last)
        aff_list_remove(&port->link);
    pthread_mutex_unlock(&part->log->lock);

    aff_list_remove(&part->appended);
    if (port->current == part)
        port->current = NULL;
    free(part->reports);
    free(part);
    if (last)
        aff_port_fini(&port->port);
}

/* ---- append, read, reset, keep_from ---- */

/* Takes room for `size` bytes; something is always let in when nothing is under way. */
static bool admit(struct memory_log *log, size_t size)
{
    pthread_mutex_lock(&log->lock);
    bool room = log->in_flight == 0 || log->in_flight + size <= log->max_in_flight;
    if (room)
        log->in_flight += size;
    pthread_mutex_unlock(&log->lock);
    return room;
}

static int memory_append(struct aff_changelog_part *base, const struct aff_entry *entry, uint64_t seq)
{
    struct memory_part *part = part_of(base);
    size_t size = aff_entry_size(entry);

    assert(aff_loop_here(part->port->port.loop) && entry->key.len > 0);
    if (size > AFF_ENTRY_MAX)
        return AFF_ETOOLARGE;
    struct memory_entry *e = aff_memory_entry_new(entry, seq);
    if (!e)
        return AFF_EAGAIN;
    if (!admit(part->log, size)) {
        aff_memory_entry_unref(e);
        return AFF_EAGAIN;
    }
    *part->last = e;
    part->last = &e->next;
    if (aff_list_empty(&part->appended))
        aff_list_append(&part->port->appended, &part->appended);
    return 0;
}

static void memory_read(struct aff_changelog_part *base, int64_t from, size_t max_bytes, int mode, uint64_t ticket)
{
    struct memory_part *part = part_of(base);
    assert(aff_loop_here(part->port->port.loop));
    part->read = (struct memory_read){ true, from, max_bytes, mode, ticket };
    pthread_mutex_lock(&part->log->lock);
    part->waiting = false;
    make_due(part);
    pthread_mutex_unlock(&part->log->lock);
}

static void memory_reset(struct aff_changelog_part *base)
{
    struct memory_part *part = part_of(base);
    assert(aff_loop_here(part->port->port.loop));
    for (struct memory_entry *e = part->first; e; e = e->next)
        e->silent = true;
    part->report_count = 0;
}

static void memory_keep_from(struct aff_changelog_part *base, int64_t offset)
{
    struct memory_part *part = part_of(base);
    pthread_mutex_lock(&part->log->lock);
    part->keep_from = offset < 0 ? 0 : offset;
    pthread_mutex_unlock(&part->log->lock);
}

/* ---- compaction ---- */

/* The lowest that an open handle told; without one that did, what was told before. */
static int64_t kept_from(const struct memory_partition *partition) /* lock held */
{
    int64_t lowest = -1;
    aff_list_each(node, &partition->parts) {
        int64_t told = aff_container_of(node, struct memory_part, sibling)->keep_from;
        if (told >= 0 && (lowest < 0 || told < lowest))
            lowest = told;
    }
    return lowest >= 0 ? lowest : partition->keep_from;
}

size_t aff_changelog_memory_compact(struct aff_changelog *base, const char *name, uint32_t index)
{
    struct memory_log *log = log_of(base);
    int64_t now_ms = aff_wall_ms(log->clock);
    size_t dropped = 0;

    pthread_mutex_lock(&log->lock);
    struct memory_topic *topic = find_topic(log, name);
    if (topic && topic->config.compact && index < topic->config.partitions) {
        struct memory_partition *partition = &topic->partitions[index];
        struct aff_compaction rules = aff_compaction_of(topic->config.compaction_lag_ms,
                                                        topic->config.tombstone_retention_ms, kept_from(partition),
                                                        partition->entries.end, now_ms);
        dropped = aff_memory_entries_compact(&partition->entries, &rules);
    }
    pthread_mutex_unlock(&log->lock);
    return dropped;
}

/* ---- life ---- */

static struct aff_changelog *memory_free(struct aff_changelog *base)
{
    if (!base)
        return NULL;
    struct memory_log *log = log_of(base);
    assert(aff_list_empty(&log->ports)); /* every partition is closed */
    aff_list_each(node, &log->topics)
        topic_free(aff_container_of(node, struct memory_topic, link));
    pthread_mutex_destroy(&log->lock);
    free(log);
    return NULL;
}

static const struct aff_changelog_ops memory_ops = {
    .name = "memory",
    .topic = memory_topic,
    .open = memory_open,
    .close = memory_close,
    .append = memory_append,
    .read = memory_read,
    .reset = memory_reset,
    .keep_from = memory_keep_from,
    .free = memory_free,
};

int aff_changelog_memory_new(const struct aff_changelog_memory_opts *opts, struct aff_changelog **ret_log,
                             aff_error *err)
{
    (void)err;
    struct memory_log *log = aff_xcalloc(1, sizeof *log);
    log->base.ops = &memory_ops;
    log->clock = opts->clock ? opts->clock : aff_clock_system();
    log->max_in_flight = opts->max_in_flight ? opts->max_in_flight : DEFAULT_IN_FLIGHT;
    pthread_mutex_init(&log->lock, NULL);
    aff_list_init(&log->topics);
    aff_list_init(&log->ports);
    *ret_log = &log->base;
    return 0;
}
