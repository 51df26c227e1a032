/*
 * changelog_model_test.c - random appends, compactions, waiting and restarts of the embedded log, against everything that was
 * ever appended: what is there is what was appended, what may not go is there, what must go once its segment was compacted
 * is gone, and whoever reads what is left arrives at the same state.
 *
 * Two topics with different lags; few keys; small segments, so that passes rewrite, merge and need several rounds.
 */
#include "changelog/compaction.h"
#include "changelog/embedded/embedded.h"
#include "journal_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { TOPICS = 2, PARTS = 2 * TOPICS, KEYS = 40, STEPS = 20, PER_STEP = 120, MOST = STEPS * PER_STEP, SEEDS = 4 };
enum { SEGMENT = 16 << 10, FILLER = 4 << 10 };

static const struct aff_topic topics[TOPICS] = {
    { "model.short", 2, 1000, 3000, true },
    { "model.long", 2, 5000, 2000, true },
};

struct original {
    unsigned key, number;
    bool tombstone, there;
    int64_t time_ms;
};

struct model {
    struct folder *folder;
    struct aff_changelog *log;
    struct client parts[PARTS];
    struct original *entries[PARTS]; /* by offset */
    int64_t ends[PARTS], keep_from[PARTS];
    uint32_t seed;
};

static uint32_t below(struct model *m, uint32_t limit)
{
    m->seed = m->seed * 1664525u + 1013904223u;
    return (m->seed >> 8) % limit;
}

/* ---- the log and what is done to it ---- */

static void start(struct model *m)
{
    aff_error err = { 0 };
    if (folder_start(m->folder, &m->log, &err))
        fail_msg("%s", err.text);
    for (int t = 0; t < TOPICS; t++)
        assert_int_equal(m->log->ops->topic(m->log, &topics[t], &err), 0);
    for (unsigned p = 0; p < PARTS; p++) {
        assert_true(client_open(&m->parts[p], m->log, topics[p / 2].name, p % 2, p ? &m->parts[0] : NULL));
        m->log->ops->keep_from(m->parts[p].part, m->keep_from[p]);
    }
}

static void stop(struct model *m)
{
    for (unsigned p = PARTS; p-- > 0;)
        client_close(&m->parts[p]);
    m->log = m->log->ops->free(m->log);
}

static void append(struct model *m, unsigned p)
{
    char key[32], value[600];
    struct original *o = &m->entries[p][m->ends[p]];

    *o = (struct original){ .key = below(m, KEYS), .number = below(m, 1000000), .tombstone = below(m, 4) == 0 };
    (void)snprintf(key, sizeof key, "key%u", o->key);
    (void)snprintf(value, sizeof value, "%u %0*u", o->number, 1 + (int)below(m, 500), 0);
    assert_int_equal(client_put(&m->parts[p], key, o->tombstone ? NULL : value, (uint64_t)m->ends[p]), 0);
    m->ends[p]++;
}

static void append_some(struct model *m)
{
    size_t before[PARTS];
    int64_t first[PARTS];
    for (unsigned p = 0; p < PARTS; p++) {
        before[p] = m->parts[p].report_count;
        first[p] = m->ends[p];
    }
    for (int i = 0; i < PER_STEP / 2; i++) {
        append(m, below(m, PARTS));
        if (below(m, 10) == 0)
            (void)aff_loop_pass(m->parts[0].loop, 0);
    }
    for (unsigned p = 0; p < PARTS; p++) {
        size_t count = (size_t)(m->ends[p] - first[p]);
        assert_true(client_await_reports(&m->parts[p], before[p] + count));
        for (size_t i = 0; i < count; i++) {
            const struct aff_delivery_report *r = &m->parts[p].reports[before[p] + i];
            assert_int_equal(r->offset, first[p] + (int64_t)i);
            m->entries[p][r->offset].time_ms = r->time_ms;
        }
    }
}

/* Fills the segment that holds everything so far, so that all of it is sealed. */
static void seal(struct model *m)
{
    static char filler[FILLER + 1];
    const struct aff_topic topic = { "model.filler", 1, 0, 0, true };
    struct client c;

    memset(filler, 'f', FILLER);
    assert_int_equal(m->log->ops->topic(m->log, &topic, NULL), 0);
    assert_true(client_open(&c, m->log, topic.name, 0, &m->parts[0]));
    m->log->ops->keep_from(c.part, INT64_MAX);
    for (int i = 0; i <= SEGMENT / FILLER; i++)
        assert_true(client_put_now(&c, "filler", filler));
    client_close(&c);
}

/* ---- what must hold ---- */

static struct aff_compaction rules_of(const struct model *m, unsigned p)
{
    const struct aff_topic *t = &topics[p / 2];
    return aff_compaction_of(t->compaction_lag_ms, t->tombstone_retention_ms, m->keep_from[p], m->ends[p],
                             aff_wall_ms(&m->folder->clock.clock));
}

/* Reads a partition and marks what is there. */
static void look(struct model *m, unsigned p)
{
    char key[32], number[32];
    struct client *c = &m->parts[p];

    for (int64_t i = 0; i < m->ends[p]; i++)
        m->entries[p][i].there = false;
    assert_true(client_read_all(c, 0));
    assert_int_equal(c->last.end, m->ends[p]);
    for (size_t i = 0; i < c->seen_count; i++) {
        const struct aff_entry *e = &c->seen[i].entry;
        struct original *o = &m->entries[p][e->offset];
        (void)snprintf(key, sizeof key, "key%u", o->key);
        int len = snprintf(number, sizeof number, "%u ", o->number);
        assert_true(aff_bytes_equal(e->key, aff_str(key)));
        assert_int_equal(e->value.data == NULL, o->tombstone);
        assert_true(o->tombstone || memcmp(e->value.data, number, (size_t)len) == 0);
        assert_int_equal(e->time_ms, o->time_ms);
        assert_false(o->there);
        o->there = true;
    }
}

/* What stays, what may go, and (when everything is sealed and was compacted) what must be gone. */
static void judge_entries(const struct model *m, unsigned p, bool compacted)
{
    struct aff_compaction rules = rules_of(m, p);
    int64_t latest[KEYS];

    for (unsigned k = 0; k < KEYS; k++)
        latest[k] = -1;
    for (int64_t i = 0; i < m->ends[p]; i++)
        if (aff_compaction_reaches(&rules, i, m->entries[p][i].time_ms))
            latest[m->entries[p][i].key] = i;
    for (int64_t i = 0; i < m->ends[p]; i++) {
        const struct original *o = &m->entries[p][i];
        bool may_go = aff_compaction_reaches(&rules, i, o->time_ms) &&
                      aff_compaction_drops(&rules, i, o->time_ms, o->tombstone, latest[o->key]);
        if (!may_go && !o->there)
            fail_msg("partition %u: offset %lld is gone", p, (long long)i);
        if (may_go && compacted && o->there)
            fail_msg("partition %u: offset %lld is still there", p, (long long)i);
    }
}

/* The state of a reader of everything is that of a reader of what is left. */
static void judge_state(const struct model *m, unsigned p)
{
    int64_t all[KEYS], left[KEYS];
    for (unsigned k = 0; k < KEYS; k++)
        all[k] = left[k] = -1;
    for (int64_t i = 0; i < m->ends[p]; i++) {
        const struct original *o = &m->entries[p][i];
        all[o->key] = o->tombstone ? -1 : i;
        if (o->there)
            left[o->key] = o->tombstone ? -1 : i;
    }
    assert_memory_equal(all, left, sizeof all);
}

static void judge(struct model *m, bool compacted)
{
    for (unsigned p = 0; p < PARTS; p++) {
        look(m, p);
        judge_entries(m, p, compacted);
        judge_state(m, p);
    }
}

/* ---- the run ---- */

static void raise_keep_from(struct model *m)
{
    for (unsigned p = 0; p < PARTS; p++) {
        int64_t room = m->ends[p] - m->keep_from[p];
        if (room > 0)
            m->keep_from[p] += below(m, (uint32_t)room + 1);
        m->log->ops->keep_from(m->parts[p].part, m->keep_from[p]);
    }
}

static void step(struct model *m)
{
    append_some(m);
    aff_virtual_clock_advance(&m->folder->clock, (1 + (int64_t)below(m, 700)) * AFF_NS_PER_MS);
    append_some(m);
    raise_keep_from(m);
    if (below(m, 4) == 0) {
        stop(m);
        start(m);
    }
    switch (below(m, 3)) {
    case 0:
        assert_int_equal(aff_changelog_embedded_compact(m->log), 0);
        judge(m, false);
        break;
    case 1:
        seal(m);
        assert_int_equal(aff_changelog_embedded_compact(m->log), 0);
        judge(m, true);
        break;
    default:
        break;
    }
}

static void run(struct folder *f, uint32_t seed)
{
    struct model *m = calloc(1, sizeof *m);
    m->folder = f;
    m->seed = seed;
    for (unsigned p = 0; p < PARTS; p++)
        m->entries[p] = calloc(MOST, sizeof(struct original));
    start(m);
    for (int i = 0; i < STEPS; i++)
        step(m);
    stop(m);
    start(m);
    judge(m, false);
    stop(m);
    for (unsigned p = 0; p < PARTS; p++)
        free(m->entries[p]);
    free(m);
}

static void what_is_left_is_what_was_appended(void **state)
{
    struct folder *f = *state;
    char path[300];

    f->opts.segment_bytes = SEGMENT;
    f->opts.max_in_flight = 1 << 20;
    for (uint32_t seed = 1; seed <= SEEDS; seed++) {
        f->opts.compact_map_bytes = seed % 2 ? 1500 : 0; /* some tens of keys a round, or all */
        (void)snprintf(path, sizeof path, "%s/%u", f->path, seed);
        f->opts.folder = path;
        print_message("seed %u\n", seed);
        run(f, seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_left_is_what_was_appended, folder_set_up, folder_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
