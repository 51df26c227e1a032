/*
 * changelog_client.c - see changelog_client.h.
 */
#include "lib/changelog_client.h"

#include "base/alloc.h"

#include <stdlib.h>

enum { PASS_MS = 20, PATIENCE_MS = 30000, READ_BYTES = 64 << 10 };

static void fail(struct client *c, const char *what)
{
    if (!c->failure)
        c->failure = what;
}

/* ---- the sink ---- */

static aff_bytes copied(unsigned char **at, aff_bytes from)
{
    if (!from.data)
        return from;
    unsigned char *to = *at;
    if (from.len)
        memcpy(to, from.data, from.len);
    *at += from.len;
    return aff_bytes_of(to, from.len);
}

static struct seen copy_of(const struct aff_entry *e)
{
    struct seen s = { .entry = *e, .bytes = aff_xmalloc(aff_entry_size(e) + 1) };
    unsigned char *at = s.bytes;
    s.entry.key = copied(&at, e->key);
    s.entry.value = copied(&at, e->value);
    s.entry.aff = copied(&at, e->aff);
    s.entry.content_type = copied(&at, e->content_type);
    s.entry.event_time = copied(&at, e->event_time);
    s.entry.traceparent = copied(&at, e->traceparent);
    return s;
}

static void check_callback(struct client *c)
{
    if (c->calling)
        fail(c, "a callback from inside a call");
    if (!c->part)
        fail(c, "a callback after close");
    if (!aff_loop_here(c->loop))
        fail(c, "a callback on another thread");
}

static void on_reports(struct aff_changelog_sink *sink, const struct aff_delivery_report *reports, size_t count)
{
    struct client *c = aff_container_of(sink, struct client, sink);
    check_callback(c);
    if (count == 0)
        fail(c, "a call without reports");
    c->reports = aff_xrealloc(c->reports, c->report_count + count + 1, sizeof *c->reports);
    for (size_t i = 0; i < count; i++)
        c->reports[c->report_count++] = reports[i];
    if (c->close_on_reports)
        client_close_part(c);
}

static void check_batch(struct client *c, const struct aff_batch *batch)
{
    int64_t before = -1;
    for (size_t i = 0; i < batch->count; before = batch->entries[i++].offset)
        if (batch->entries[i].offset <= before)
            fail(c, "offsets of a batch do not rise");
    if (batch->status == 0 && batch->next <= before)
        fail(c, "`next` is not above the entries");
    if (batch->status == 0 && batch->count == 0 && batch->next != batch->end)
        fail(c, "a batch without entries that does not reach the end");
    if (before >= batch->end)
        fail(c, "an entry at or above `end`");
}

static void on_entries(struct aff_changelog_sink *sink, const struct aff_batch *batch)
{
    struct client *c = aff_container_of(sink, struct client, sink);
    check_callback(c);
    check_batch(c, batch);
    c->batches++;
    c->last = *batch;
    c->last.entries = NULL;
    c->last_count = batch->count;
    c->seen = aff_xrealloc(c->seen, c->seen_count + batch->count + 1, sizeof *c->seen);
    for (size_t i = 0; i < batch->count; i++)
        c->seen[c->seen_count++] = copy_of(&batch->entries[i]);
    if (c->close_on_entries)
        client_close_part(c);
    else if (c->read_on)
        c->log->ops->read(c->part, batch->next, c->read_bytes, AFF_READ_WAIT, batch->ticket + 1);
}

/* ---- life ---- */

bool client_open(struct client *c, struct aff_changelog *log, const char *topic, uint32_t partition,
                 struct client *loop_of)
{
    static const struct aff_loop_opts opts = { .name = "client" };
    aff_error err = { 0 };

    *c = (struct client){ .log = log, .read_bytes = READ_BYTES };
    c->sink = (struct aff_changelog_sink){ .reports = on_reports, .entries = on_entries };
    if (loop_of)
        c->loop = loop_of->loop;
    else if (aff_loop_new(&opts, &c->loop, &err))
        return false;
    c->owns_loop = !loop_of;
    return log->ops->open(log, topic, partition, c->loop, &c->sink, &c->part, &err) == 0;
}

void client_close_part(struct client *c)
{
    struct aff_changelog_part *part = c->part;
    c->part = NULL;
    if (part)
        c->log->ops->close(part);
}

void client_forget(struct client *c)
{
    for (size_t i = 0; i < c->seen_count; i++)
        free(c->seen[i].bytes);
    c->seen_count = 0;
    c->batches = 0;
}

void client_close(struct client *c)
{
    client_close_part(c);
    client_forget(c);
    free(c->seen);
    free(c->reports);
    c->seen = NULL;
    c->reports = NULL;
    if (c->owns_loop)
        c->loop = aff_loop_free(c->loop);
}

/* ---- calls ---- */

int client_append(struct client *c, const struct aff_entry *entry, uint64_t seq)
{
    c->calling = true;
    int rc = c->log->ops->append(c->part, entry, seq);
    c->calling = false;
    return rc;
}

int client_put(struct client *c, const char *key, const char *value, uint64_t seq)
{
    const struct aff_entry entry = { .key = aff_str(key), .value = aff_str(value) };
    return client_append(c, &entry, seq);
}

void client_read(struct client *c, int64_t from, size_t max_bytes, int mode, uint64_t ticket)
{
    c->calling = true;
    c->log->ops->read(c->part, from, max_bytes, mode, ticket);
    c->calling = false;
}

/* ---- waiting ---- */

void client_pass(struct client *c)
{
    (void)aff_loop_pass(c->loop, PASS_MS * AFF_NS_PER_MS);
}

/* The first pass does not wait: what was appended outside of a pass is handed over at its end only. */
static bool await(struct client *c, const size_t *what, size_t count)
{
    int64_t until = aff_mono_ns(aff_clock_system()) + PATIENCE_MS * AFF_NS_PER_MS;
    if (*what < count)
        (void)aff_loop_pass(c->loop, 0);
    while (*what < count && aff_mono_ns(aff_clock_system()) < until)
        client_pass(c);
    return *what >= count;
}

bool client_await_reports(struct client *c, size_t count)
{
    return await(c, &c->report_count, count);
}

bool client_await_batches(struct client *c, size_t count)
{
    return await(c, &c->batches, count);
}

bool client_await_seen(struct client *c, size_t count)
{
    return await(c, &c->seen_count, count);
}

bool client_put_now(struct client *c, const char *key, const char *value)
{
    size_t before = c->report_count;
    return client_put(c, key, value, before) == 0 && client_await_reports(c, before + 1) &&
           c->reports[before].status == 0;
}

bool client_read_all(struct client *c, int64_t from)
{
    client_forget(c);
    for (uint64_t ticket = 1;; ticket++) {
        client_read(c, from, READ_BYTES, AFF_READ_TO_END, ticket);
        if (!client_await_batches(c, c->batches + 1) || c->last.status || c->last.ticket != ticket)
            return false;
        if (c->last_count == 0)
            return true;
        from = c->last.next;
    }
}

/* ---- what was seen ---- */

const struct aff_entry *client_last_of(const struct client *c, const char *key)
{
    for (size_t i = c->seen_count; i-- > 0;)
        if (aff_bytes_equal(c->seen[i].entry.key, aff_str(key)))
            return &c->seen[i].entry;
    return NULL;
}

size_t client_count_of(const struct client *c, const char *key)
{
    size_t count = 0;
    for (size_t i = 0; i < c->seen_count; i++)
        count += aff_bytes_equal(c->seen[i].entry.key, aff_str(key));
    return count;
}
