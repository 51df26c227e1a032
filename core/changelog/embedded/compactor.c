/*
 * embedded/compactor.c - see embedded/compactor.h. The rules are those of compaction.h.
 *
 * A pass goes in rounds, each bounded by the memory for the key map, as Kafka's cleaner does it:
 *
 *   note    the highest offset of each key in segments [clean, m), of what is in reach
 *   clean   segments [first, m), oldest first: what the map says is superseded goes, and so do old tombstones
 *
 * Below `clean` every entry was in reach when it was cleaned, so no key stands there twice. The order of cleaning is what
 * makes it safe to drop a tombstone: whatever it covers is in the same file or in an older one, and that one has been
 * replaced on the disk before. Adjacent segments that became small are merged on the way.
 *
 * When: a pass reads everything, so one starts when as much was added (and became old enough) as half of what there is, or
 * some time after a pass that met entries which were out of reach. No lock is held across I/O.
 *
 * A topic that begins to be compacted makes every segment unclean again: until then its entries did not count.
 */
#include "changelog/embedded/compactor.h"

#include "base/alloc.h"
#include "changelog/compaction.h"
#include "changelog/embedded/keymap.h"
#include "changelog/embedded/rewrite.h"
#include "changelog/embedded/scan.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    NICE = 10,
    AGAIN_AFTER = 10 /* times compact_every_ms at least, after a pass that could not reach everything */
};

/* Rules of one partition as they stood when the pass began. */
struct rules {
    bool on;
    uint32_t topic, index;
    struct aff_compaction c;
};

/* What the thread keeps from pass to pass. */
struct compactor {
    struct journal *j;
    struct aff_keymap map;
    uint64_t clean;  /* segments up to this number hold each key once */
    uint64_t passed; /* segments up to this number were old enough for the last pass */
    uint64_t rules;  /* version of the rules that `clean` and `passed` are about */
    bool incomplete; /* the last pass met entries that were out of reach */
    int64_t last_pass_ns;
};

struct pass {
    struct compactor *c;
    struct journal *j;
    struct rules *rules; /* by partition number */
    size_t rule_count;
    uint32_t *first_numbers; /* of the partitions of a topic, by id - 1 */
    size_t topic_count;
    uint64_t last;                 /* segments up to this number are looked at */
    struct aff_segment **segments; /* references to them, ascending */
    size_t count;
};

/* ---- the rules of a pass ---- */

/* The lowest that an open handle told; without one that did, what was told before. */
static int64_t kept_from(const struct jpartition *p) /* lock held */
{
    int64_t lowest = -1;
    aff_list_each(node, &p->parts) {
        int64_t told = aff_container_of(node, struct embedded_part, sibling)->keep_from;
        if (told >= 0 && (lowest < 0 || told < lowest))
            lowest = told;
    }
    return lowest >= 0 ? lowest : p->keep_from;
}

static struct rules rules_of(const struct jpartition *p, int64_t now_ms) /* lock held */
{
    const struct jtopic *t = p->topic;
    struct rules r = { .on = t->compact, .topic = t->id, .index = p->index };
    if (r.on)
        r.c = aff_compaction_of(t->compaction_lag_ms, t->tombstone_retention_ms, kept_from(p), p->end, now_ms);
    return r;
}

static void take_rules(struct pass *pass)
{
    struct journal *j = pass->j;
    int64_t now_ms = aff_wall_ms(j->clock);

    pthread_mutex_lock(&j->lock);
    if (pass->c->rules != j->rules_version) {
        pass->c->rules = j->rules_version;
        pass->c->clean = pass->c->passed = 0;
    }
    pass->rule_count = j->partition_count;
    pass->rules = aff_xcalloc(pass->rule_count + 1, sizeof *pass->rules);
    for (size_t i = 0; i < pass->rule_count; i++)
        pass->rules[i] = rules_of(j->partitions[i], now_ms);
    pass->topic_count = j->topic_count;
    pass->first_numbers = aff_xcalloc(pass->topic_count + 1, sizeof *pass->first_numbers);
    for (size_t i = 0; i < pass->topic_count; i++)
        pass->first_numbers[i] = j->topics[i]->partitions[0].number;
    pthread_mutex_unlock(&j->lock);
}

/* No owner has asked since to keep more than it did when the pass began. */
static bool rules_still_hold(const struct pass *pass)
{
    bool hold = true;
    pthread_mutex_lock(&pass->j->lock);
    for (size_t i = 0; i < pass->rule_count; i++) {
        const struct rules *r = &pass->rules[i];
        const struct jpartition *p = pass->j->partitions[i];
        if (r->on && (!p->topic->compact || kept_from(p) < r->c.below))
            hold = false;
    }
    pthread_mutex_unlock(&pass->j->lock);
    return hold;
}

static uint32_t number_of(const struct pass *pass, const struct aff_placed *placed)
{
    assert(placed->topic > 0 && placed->topic <= pass->topic_count); /* verified at start, or written by us since */
    return pass->first_numbers[placed->topic - 1] + placed->partition;
}

static bool is_stopped(struct journal *j)
{
    pthread_mutex_lock(&j->map_lock);
    bool stopped = j->stop_compactor;
    pthread_mutex_unlock(&j->map_lock);
    return stopped;
}

/* ---- note ---- */

struct noting {
    struct aff_scan_visitor visitor;
    struct pass *pass;
    bool all_reached;
};

static int note_entry(struct aff_scan_visitor *visitor, const struct aff_placed *placed,
                      const struct aff_scan_place *place)
{
    struct noting *n = aff_container_of(visitor, struct noting, visitor);
    uint32_t number = number_of(n->pass, placed);
    const struct rules *r = &n->pass->rules[number];

    (void)place;
    if (!r->on)
        return 0;
    if (aff_compaction_reaches(&r->c, placed->entry.offset, placed->entry.time_ms))
        aff_keymap_note(&n->pass->c->map, number, placed->entry.key, placed->entry.offset);
    else
        n->all_reached = false;
    return 0;
}

static int scan(const struct aff_segment *segment, struct aff_scan_visitor *visitor)
{
    struct aff_scan_result result;
    int rc = aff_scan_segment(segment->fd, segment->head.first, visitor, &result);
    return rc == 0 && result.end != AFF_SCAN_SEALED ? AFF_ECORRUPT : rc;
}

/* Notes segments from `from` on until the map is full; returns the first that was not noted. */
static int note_segments(struct pass *pass, size_t from, size_t *ret_end, bool *ret_all_reached)
{
    struct noting n = { .visitor = { note_entry }, .pass = pass, .all_reached = true };
    size_t i = from;

    aff_keymap_clear(&pass->c->map);
    for (; i < pass->count && (i == from || !aff_keymap_full(&pass->c->map)); i++) {
        int rc = is_stopped(pass->j) ? AFF_ECLOSED : scan(pass->segments[i], &n.visitor);
        if (rc)
            return rc;
    }
    *ret_end = i;
    *ret_all_reached = n.all_reached;
    return 0;
}

/* ---- clean ---- */

/* Segments that are to become one. */
struct group {
    struct aff_rewrite rewrite;
    struct pass *pass;
    size_t dropped;
};

struct sifting {
    struct aff_scan_visitor visitor;
    struct pass *pass;
    struct aff_kept kept;
    uint32_t source;
    size_t dropped;
};

static bool drops(const struct pass *pass, uint32_t number, const struct aff_entry *e)
{
    const struct rules *r = &pass->rules[number];
    if (!r->on || !aff_compaction_reaches(&r->c, e->offset, e->time_ms))
        return false;
    int64_t latest = aff_keymap_latest(&pass->c->map, number, e->key);
    return aff_compaction_drops(&r->c, e->offset, e->time_ms, !e->value.data, latest < e->offset ? e->offset : latest);
}

static int sift_entry(struct aff_scan_visitor *visitor, const struct aff_placed *placed,
                      const struct aff_scan_place *place)
{
    struct sifting *s = aff_container_of(visitor, struct sifting, visitor);
    uint32_t number = number_of(s->pass, placed);

    if (drops(s->pass, number, &placed->entry)) {
        s->dropped++;
        return 0;
    }
    aff_kept_add(&s->kept, (struct aff_kept_entry){
                               .partition = number,
                               .source = s->source,
                               .at = place->at,
                               .stored = (uint32_t)place->raw.len,
                               .offset = placed->entry.offset,
                               .time_ms = placed->entry.time_ms,
                           });
    return 0;
}

static bool may_replace(struct aff_rewrite *rewrite)
{
    return rules_still_hold(aff_container_of(rewrite, struct group, rewrite)->pass);
}

/* Writes the group when that changes anything, and empties it. */
static int finish_group(struct group *g)
{
    struct aff_rewrite *r = &g->rewrite;
    int rc = g->dropped || r->source_count > 1 ? aff_rewrite_run(r) : 0;
    aff_kept_fini(&r->kept);
    r->source_count = 0;
    g->dropped = 0;
    return rc;
}

static void join_group(struct group *g, struct sifting *s, struct aff_segment **segment)
{
    struct aff_rewrite *r = &g->rewrite;
    if (r->source_count == 0)
        r->sources = segment;
    for (size_t i = 0; i < s->kept.count; i++) {
        s->kept.entries[i].source = (uint32_t)r->source_count;
        aff_kept_add(&r->kept, s->kept.entries[i]);
    }
    r->source_count++;
    g->dropped += s->dropped;
    aff_kept_fini(&s->kept);
}

static int clean_segment(struct group *g, struct aff_segment **segment)
{
    struct pass *pass = g->pass;
    struct sifting s = { .visitor = { sift_entry }, .pass = pass };
    int rc = is_stopped(pass->j) ? AFF_ECLOSED : scan(*segment, &s.visitor);

    if (rc == 0 && g->rewrite.source_count && g->rewrite.kept.bytes + s.kept.bytes > pass->j->segment_bytes)
        rc = finish_group(g);
    if (rc == 0)
        join_group(g, &s, segment);
    aff_kept_fini(&s.kept);
    return rc;
}

static int clean_segments(struct pass *pass, size_t end)
{
    struct group g = { .rewrite = { .j = pass->j, .may_replace = may_replace }, .pass = pass };
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < end; i++)
        rc = clean_segment(&g, &pass->segments[i]);
    if (rc == 0)
        rc = finish_group(&g);
    aff_kept_fini(&g.rewrite.kept);
    return rc;
}

/* ---- a pass ---- */

/* The shortest lag of a topic that is compacted; INT64_MAX: there is none. */
static int64_t shortest_lag(struct journal *j)
{
    int64_t lag = INT64_MAX;
    pthread_mutex_lock(&j->lock);
    for (size_t i = 0; i < j->topic_count; i++)
        if (j->topics[i]->compact && j->topics[i]->compaction_lag_ms < lag)
            lag = j->topics[i]->compaction_lag_ms;
    pthread_mutex_unlock(&j->lock);
    return lag;
}

/* Log times below it are older than the shortest lag; INT64_MIN: nothing is compacted. */
static int64_t young_of(struct journal *j)
{
    int64_t lag = shortest_lag(j);
    return lag == INT64_MAX ? INT64_MIN : aff_compaction_of(lag, 0, 0, 0, aff_wall_ms(j->clock)).young_ms;
}

/* The highest sealed segment all of whose entries are older than `young_ms`; 0: none. */
static uint64_t last_older(struct journal *j, int64_t young_ms)
{
    uint64_t last = 0;
    pthread_mutex_lock(&j->map_lock);
    for (size_t i = 0; i < j->segment_count && j->segments[i]->sealed && j->segments[i]->last_ms < young_ms; i++)
        last = j->segments[i]->head.last;
    pthread_mutex_unlock(&j->map_lock);
    return last;
}

/* References to the segments that the pass is about, as they are now. */
static void take_segments(struct pass *pass)
{
    struct journal *j = pass->j;
    pthread_mutex_lock(&j->map_lock);
    pass->segments = aff_xcalloc(j->segment_count + 1, sizeof(struct aff_segment *));
    for (size_t i = 0; i < j->segment_count && j->segments[i]->head.last <= pass->last; i++)
        pass->segments[pass->count++] = aff_segment_ref(j->segments[i]);
    pthread_mutex_unlock(&j->map_lock);
}

static void drop_segments(struct pass *pass)
{
    for (size_t i = 0; i < pass->count; i++)
        aff_segment_unref(pass->segments[i]);
    free(pass->segments);
    pass->segments = NULL;
    pass->count = 0;
}

static size_t first_above(const struct pass *pass, uint64_t number)
{
    size_t i = 0;
    while (i < pass->count && pass->segments[i]->head.last <= number)
        i++;
    return i;
}

/* One round from the segments above `from` on; 1: there is nothing to do any more. */
static int run_round(struct pass *pass, uint64_t *from)
{
    size_t end = 0;
    bool all_reached = true;
    int rc;

    take_segments(pass);
    size_t start = first_above(pass, *from);
    if (start == pass->count) {
        drop_segments(pass);
        return 1;
    }
    rc = note_segments(pass, start, &end, &all_reached);
    if (rc == 0)
        rc = clean_segments(pass, end);
    if (rc == 0) {
        *from = pass->segments[end - 1]->head.last;
        pass->c->incomplete |= !all_reached;
        if (!pass->c->incomplete)
            pass->c->clean = *from;
    }
    drop_segments(pass);
    return rc;
}

/* Over all sealed segments when it was asked for, else over those that are old enough. The segments are chosen before the
 * rules are taken: so every topic that stands in them has rules. */
static int run_pass(struct compactor *c, bool asked)
{
    struct pass pass = { .c = c, .j = c->j };
    uint64_t old = last_older(c->j, young_of(c->j));
    int rc = 0;

    pass.last = asked ? last_older(c->j, INT64_MAX) : old;
    take_rules(&pass);
    c->incomplete = false;
    uint64_t from = c->clean;
    while (rc == 0)
        rc = run_round(&pass, &from);
    if (rc > 0) {
        c->passed = old;
        rc = 0;
    }
    aff_keymap_clear(&c->map); /* its memory is for the passes */
    c->last_pass_ns = aff_mono_ns(aff_clock_system());
    free(pass.rules);
    free(pass.first_numbers);
    if (rc && rc != AFF_ECLOSED && rc != AFF_EAGAIN)
        aff_log(c->j->logger, ERROR, "changelog.compaction-failed", aff_f_str("folder", c->j->folder),
                aff_f_str("error", aff_error_name(rc)));
    return rc;
}

/* ---- when ---- */

/* Bytes of sealed segments that are older than the lag: all, and those that the last pass did not see as such. */
static void measure(const struct compactor *c, uint64_t *ret_old, uint64_t *ret_added)
{
    struct journal *j = c->j;
    int64_t young_ms = young_of(j);

    *ret_old = *ret_added = 0;
    pthread_mutex_lock(&j->map_lock);
    for (size_t i = 0; i < j->segment_count && j->segments[i]->sealed && j->segments[i]->last_ms < young_ms; i++) {
        *ret_old += j->segments[i]->size;
        if (j->segments[i]->head.last > c->passed)
            *ret_added += j->segments[i]->size;
    }
    pthread_mutex_unlock(&j->map_lock);
}

static bool is_due(const struct compactor *c)
{
    int64_t lag_ms = shortest_lag(c->j), pause_ms = AGAIN_AFTER * c->j->compact_every_ms;
    uint64_t old, added;

    if (lag_ms == INT64_MAX)
        return false;
    measure(c, &old, &added);
    if (added > 0 && added >= old / 2)
        return true;
    if (pause_ms < lag_ms)
        pause_ms = lag_ms;
    return c->incomplete && old > 0 && (aff_mono_ns(aff_clock_system()) - c->last_pass_ns) / AFF_NS_PER_MS >= pause_ms;
}

/* ---- the thread ---- */

static struct timespec next_look(const struct journal *j)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    int64_t ns = t.tv_nsec + j->compact_every_ms % 1000 * AFF_NS_PER_MS;
    t.tv_sec += j->compact_every_ms / 1000 + ns / AFF_NS_PER_S;
    t.tv_nsec = ns % AFF_NS_PER_S;
    return t;
}

/* Returns the highest number of a pass that was asked for; false: time to end. */
static bool wait_for_turn(struct journal *j, uint64_t *ret_wanted, bool *ret_asked)
{
    struct timespec until = next_look(j);
    int timed_out = 0;

    pthread_mutex_lock(&j->map_lock);
    while (!j->stop_compactor && j->compactions_wanted == j->compactions_done && !timed_out)
        timed_out = pthread_cond_timedwait(&j->compact_work, &j->map_lock, &until);
    *ret_wanted = j->compactions_wanted;
    *ret_asked = j->compactions_wanted != j->compactions_done;
    bool goes_on = !j->stop_compactor;
    pthread_mutex_unlock(&j->map_lock);
    return goes_on;
}

static void tell_done(struct journal *j, uint64_t wanted, int code)
{
    pthread_mutex_lock(&j->map_lock);
    j->compactions_done = wanted;
    j->compaction_code = code;
    pthread_cond_broadcast(&j->compact_done);
    pthread_mutex_unlock(&j->map_lock);
}

void *aff_compactor_run(void *arg)
{
    struct journal *j = arg;
    struct compactor c = { .j = j };
    uint64_t wanted;
    bool asked;

    (void)pthread_setname_np(pthread_self(), "aff-log-compact");
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
    aff_keymap_init(&c.map, j->compact_map_bytes);
    while (wait_for_turn(j, &wanted, &asked)) {
        int rc = asked || is_due(&c) ? run_pass(&c, asked) : 0;
        if (asked)
            tell_done(j, wanted, rc);
    }
    aff_keymap_fini(&c.map);
    return NULL;
}

int aff_compactor_pass(struct journal *j)
{
    pthread_mutex_lock(&j->map_lock);
    uint64_t mine = ++j->compactions_wanted;
    pthread_cond_signal(&j->compact_work);
    while (j->compactions_done < mine && !j->stop_compactor)
        pthread_cond_wait(&j->compact_done, &j->map_lock);
    int code = j->stop_compactor ? AFF_ECLOSED : j->compaction_code;
    pthread_mutex_unlock(&j->map_lock);
    return code;
}
