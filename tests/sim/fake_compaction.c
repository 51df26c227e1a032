/*
 * fake_compaction.c - compaction of the fake log (fake_log.h): what is superseded goes after the lag, a tombstone after its
 * retention.
 */
#include "base/alloc.h"
#include "node.h"
#include "trace.h"
#include "truth.h"

#include <inttypes.h>
#include <stdlib.h>

/*
 * Records below this may be compacted. Never the youngest (a log keeps its active segment), nothing younger than the lag; and
 * nothing at or above the first dirty record: the design's known limit is not what is looked for here. A log that obeys asks the
 * nodes for the same; one that is down keeps all.
 */
static int64_t compaction_end(struct sim_log *log)
{
    int64_t end = 0, limit_ms = sim_log_now_ms(log->sim) - log->sim->profile.lag_ms;

    while (end < log->end - 1 && log->entries[end]->view.time_ms < limit_ms)
        end++;
    for (int i = 0; i < log->sim->profile.nodes && log->sim->profile.compaction_obeys; i++) {
        int64_t keep = sim_node_keeps_from(log->sim->nodes[i]);
        if (keep < end)
            end = keep;
    }
    for (int i = 0; i < SIM_KEYS_MAX && !log->sim->profile.compaction_obeys; i++) {
        const struct sim_key *key = &log->sim->truth->keys[i];
        if (key->dirty && key->dirty_offset < end)
            end = key->dirty_offset;
    }
    return end;
}

/* Is it superseded, or a tombstone whose time is over? `last`: offset of the last record of each key below the end. */
static bool goes(struct sim_log *log, struct sim_entry *e, const int64_t *last)
{
    int64_t now_ms = sim_log_now_ms(log->sim);

    if (last[e->key] > e->view.offset) {
        sim_count(log->sim->coverage, SIM_COMPACTED);
        return true;
    }
    if (e->view.value.data || (e->key < SIM_KEYS_MAX && log->sim->truth->keys[e->key].dirty))
        return false; /* of a dirty key: the known limit again */
    if (e->horizon_ms == 0)
        e->horizon_ms = now_ms + log->sim->profile.retention_ms;
    if (now_ms < e->horizon_ms)
        return false;
    sim_count(log->sim->coverage, SIM_TOMBSTONES);
    if (e->view.offset >= log->tombstones_gone)
        log->tombstones_gone = e->view.offset + 1;
    return true;
}

/*
 * Who reads the log from now on may meet states that never were, until it has read what removed the rest. A key that was dirty
 * at the end of the compacted part has lost its valid record there; its repair stands further up.
 */
static void raise_bound(struct sim_log *log, int64_t end)
{
    int64_t bound = sim_truth_at(log->sim->truth, end)->dirty_count > 0 ? log->end : end;

    if (bound > log->clean_bound)
        log->clean_bound = bound;
}

void sim_log_compact(struct sim_log *log)
{
    int64_t end = compaction_end(log), kept = 0, before = log->left_count;
    int64_t *last = aff_xcalloc((size_t)log->key_count, sizeof *last);

    for (int64_t i = 0; i < log->left_count && log->left[i] < end; i++)
        last[log->entries[log->left[i]]->key] = log->left[i];
    for (int64_t i = 0; i < log->left_count; i++) {
        struct sim_entry *e = log->entries[log->left[i]];

        if (e->view.offset < end && goes(log, e, last))
            e->removed = true;
        else
            log->left[kept++] = log->left[i];
    }
    free(last);
    log->left_count = kept;
    if (kept < before)
        raise_bound(log, end);
    sim_trace_line(log->sim, "log: compacted below %" PRId64 ", %" PRId64 " of %" PRId64 " records left", end, kept,
                   before);
}
