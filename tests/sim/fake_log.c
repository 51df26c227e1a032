/*
 * fake_log.c - see fake_log.h: entries and reading. Its producers are in fake_producer.c, compaction in fake_compaction.c.
 */
#include "fake_log.h"

#include "base/alloc.h"
#include "base/map.h"
#include "node.h"
#include "trace.h"
#include "truth.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

struct read {
    struct aff_list link; /* on log->reads, or parked */
    struct sim_event event;
    struct sim_node *node;
    uint64_t incarnation;
    int64_t from;
    bool wait;
    uint64_t ticket;
};

int64_t sim_log_delay(struct sim *sim)
{
    return sim_spread(&sim->random, sim->profile.latency_ns, sim->profile.latency_ns * 200);
}

int64_t sim_log_now_ms(const struct sim *sim)
{
    return SIM_WALL_START_MS + sim->now_ns / SIM_MS;
}

/* ---- keys as numbers ---- */

struct key_number {
    struct aff_map_node node;
    int number;
    unsigned char bytes[];
};

int sim_log_key(struct sim_log *log, aff_bytes key)
{
    struct aff_map_node *node = aff_map_get(&log->keys, key);
    struct key_number *k;

    if (node)
        return aff_container_of(node, struct key_number, node)->number;
    k = aff_xmalloc(sizeof *k + key.len);
    if (key.len)
        memcpy(k->bytes, key.data, key.len);
    k->number = log->key_count++;
    aff_map_add(&log->keys, &k->node, aff_bytes_of(k->bytes, key.len));
    return k->number;
}

/* Clients' keys get the first numbers, used or not, then the barrier's. */
static void number_keys(struct sim_log *log)
{
    for (int i = 0; i < SIM_KEYS_MAX; i++) {
        const char *name = sim_key_name(log->sim, i);
        char unused[16];

        snprintf(unused, sizeof unused, "unused-%d", i);
        (void)sim_log_key(log, aff_str(name ? name : unused));
    }
    (void)sim_log_key(log, aff_bytes_of(AFF_BARRIER_KEY, AFF_BARRIER_KEY_LEN));
    assert(log->key_count == SIM_KEY_BARRIER + 1);
}

/* ---- entries ---- */

static aff_bytes place(unsigned char **at, aff_bytes bytes)
{
    aff_bytes placed = { bytes.data ? *at : NULL, bytes.len };

    if (bytes.len)
        memcpy(*at, bytes.data, bytes.len);
    *at += bytes.len;
    return placed;
}

/* An entry that owns its bytes; they stand behind it. */
struct sim_entry *sim_entry_new(struct sim_log *log, const struct aff_entry *from, int node)
{
    size_t len = from->key.len + from->value.len + from->aff.len + from->content_type.len + from->traceparent.len;
    struct sim_entry *e = aff_xcalloc(1, sizeof *e + len + 1);
    unsigned char *at = (unsigned char *)(e + 1);

    e->view.key = place(&at, from->key);
    e->view.value = place(&at, from->value);
    e->view.aff = place(&at, from->aff);
    e->view.content_type = place(&at, from->content_type);
    e->view.traceparent = place(&at, from->traceparent);
    e->key = sim_log_key(log, from->key);
    e->node = node;
    return e;
}

static void keep_offset(struct sim_log *log, int64_t offset)
{
    if (log->left_count == log->left_capacity) {
        log->left_capacity = log->left_capacity ? 2 * log->left_capacity : 256;
        log->left = aff_xrealloc(log->left, (size_t)log->left_capacity, sizeof *log->left);
    }
    log->left[log->left_count++] = offset;
}

static void wake_readers(struct sim_log *log);

/* The entry is in the log for good, at the next offset. */
void sim_log_land(struct sim_log *log, struct sim_entry *e)
{
    int64_t now_ms = sim_log_now_ms(log->sim);

    if (log->end == log->capacity) {
        log->capacity = log->capacity ? 2 * log->capacity : 256;
        log->entries = aff_xrealloc(log->entries, (size_t)log->capacity, sizeof(struct sim_entry *));
    }
    e->view.offset = log->end;
    e->view.time_ms = now_ms;
    if (log->end > 0 && log->entries[log->end - 1]->view.time_ms > now_ms)
        e->view.time_ms = log->entries[log->end - 1]->view.time_ms;
    e->landed_ns = log->sim->now_ns;
    log->entries[log->end++] = e;
    keep_offset(log, e->view.offset);
    sim_count(log->sim->coverage, SIM_RECORDS);
    if (e->zombie)
        sim_count(log->sim->coverage, SIM_ZOMBIES);
    sim_truth_landed(log->sim->truth, e);
    wake_readers(log);
}

void sim_log_foreign(struct sim_log *log, int key)
{
    static const char rubbish[] = "\001\001not a header of ours";
    struct aff_entry view = { .key = aff_str(sim_key_name(log->sim, key)), .value = aff_str("foreign") };

    if (sim_below(&log->sim->random, 2))
        view.aff = aff_bytes_of(rubbish, sizeof rubbish);
    sim_count(log->sim->coverage, SIM_FOREIGN);
    sim_log_land(log, sim_entry_new(log, &view, -1));
}

/* ---- reading ---- */

static int64_t first_left(const struct sim_log *log, int64_t from)
{
    int64_t low = 0, high = log->left_count;

    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (log->left[middle] < from)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void free_read(struct read *r)
{
    aff_list_remove(&r->link);
    free(r);
}

/* What the log answers at this moment; it reaches the node later. */
static void serve(struct sim_log *log, struct read *r)
{
    struct sim *sim = log->sim;
    struct sim_batch *batch;
    int64_t at = first_left(log, r->from), count = log->left_count - at;
    int64_t most = 1 + (int64_t)sim_spread(&sim->random, 1, 64);
    bool fails = !sim->quiet && sim_chance(&sim->random, sim->profile.read_fails);

    if (fails)
        count = 0;
    else if (count > most)
        count = most;
    batch = sim_batch_new(count);
    for (int64_t i = 0; i < count; i++)
        batch->offsets[i] = log->left[at + i];
    batch->ticket = r->ticket;
    batch->status = fails ? AFF_EIO : 0;
    batch->clean_bound = log->clean_bound;
    batch->doubt_until = r->from > 0 && r->from < log->tombstones_gone ? log->end : 0;
    batch->start = sim->profile.start_moves && log->left_count > 0 ? log->left[0] : 0;
    batch->end = log->end;
    batch->next = at + count < log->left_count ? batch->offsets[count - 1] + 1
                  : log->end > r->from         ? log->end
                                               : r->from;
    if (fails)
        sim_count(sim->coverage, SIM_READ_ERRORS);
    else if (count > 0 && batch->offsets[0] > r->from)
        sim_count(sim->coverage, SIM_HOLES);
    sim_node_batch(r->node, batch, sim->now_ns + sim_log_delay(sim));
    free_read(r);
}

static void read_runs(struct sim *sim, struct sim_event *event)
{
    struct read *r = aff_container_of(event, struct read, event);
    struct sim_log *log = sim->log;

    if (sim_node_incarnation(r->node) != r->incarnation) {
        free_read(r);
    } else if (r->ticket != sim_node_ticket(r->node) && sim_below(&sim->random, 4)) {
        free_read(r); /* replaced; but some answers come all the same */
    } else if (log->outage_until_ns > sim->now_ns) {
        sim_at(sim, event, log->outage_until_ns + sim_log_delay(sim));
    } else if (r->wait && r->from >= log->end) {
        aff_list_remove(&r->link);
        aff_list_append(&log->parked, &r->link);
    } else {
        if (r->ticket != sim_node_ticket(r->node))
            sim_count(sim->coverage, SIM_STALE_READS);
        serve(log, r);
    }
}

static void wake_readers(struct sim_log *log)
{
    aff_list_each(node, &log->parked) {
        struct read *r = aff_container_of(node, struct read, link);

        aff_list_remove(&r->link);
        aff_list_append(&log->reads, &r->link);
        sim_at(log->sim, &r->event, log->sim->now_ns + sim_log_delay(log->sim));
    }
}

void sim_log_read(struct sim_log *log, struct sim_node *node, int64_t from, bool wait, uint64_t ticket)
{
    struct read *r = aff_xcalloc(1, sizeof *r);

    r->node = node;
    r->incarnation = sim_node_incarnation(node);
    r->from = from;
    r->wait = wait;
    r->ticket = ticket;
    r->event.run = read_runs;
    aff_list_append(&log->reads, &r->link);
    sim_at(log->sim, &r->event, log->sim->now_ns + log->sim->profile.latency_ns / 2);
}

void sim_log_distrust(struct sim_log *log, int64_t until_ns)
{
    log->unsafe_until_ns = until_ns;
}

void sim_log_outage(struct sim_log *log, int64_t until_ns)
{
    log->outage_until_ns = until_ns;
    aff_list_each(node, &log->producers)
        sim_producer_plan(sim_producer_of(node));
}

/* ---- life ---- */

struct sim_log *sim_log_new(struct sim *sim)
{
    struct sim_log *log = aff_xcalloc(1, sizeof *log);

    log->sim = sim;
    aff_map_init(&log->keys, 1);
    aff_list_init(&log->producers);
    aff_list_init(&log->parked);
    aff_list_init(&log->reads);
    aff_buf_init(&log->buf);
    number_keys(log);
    return log;
}

void sim_log_settle(struct sim_log *log)
{
    log->outage_until_ns = log->unsafe_until_ns = 0;
    aff_list_each(node, &log->producers)
        sim_producer_settle(sim_producer_of(node));
}

/* The heap of events is gone already. */
static void free_reads(struct aff_list *reads)
{
    struct aff_list *node;

    while ((node = aff_list_take(reads)))
        free(aff_container_of(node, struct read, link));
}

struct sim_log *sim_log_free(struct sim_log *log)
{
    struct aff_map_node *key;
    struct aff_list *node;

    free_reads(&log->parked);
    free_reads(&log->reads);
    while ((node = aff_list_first(&log->producers)))
        sim_producer_free(sim_producer_of(node));
    for (int64_t i = 0; i < log->end; i++)
        free(log->entries[i]);
    while ((key = aff_map_next(&log->keys, NULL))) {
        aff_map_remove(&log->keys, key);
        free(aff_container_of(key, struct key_number, node));
    }
    aff_map_fini(&log->keys);
    aff_buf_fini(&log->buf);
    free(log->entries);
    free(log->left);
    free(log);
    return NULL;
}
