/*
 * audit.c - see audit.h. On the partition's loop.
 *
 * A slice runs at AFF_STAGE_LOG, when the partition has committed what it applied in this pass: then the store and its
 * checkpoint belong together, and a slice of the tally meets no open changes.
 */
#include "partition/audit.h"

#include "base/alloc.h"
#include "partition/checkpoint.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    READ_BYTES = 512 * 1024,
    FOLD_RECORDS = 200, /* in a slice */
    FOLD_BYTES = 256 * 1024,
    TALLY_BYTES = 96 * 1024,
    RETRY_MS = 100,
    PATIENCE_S = 30, /* without any progress */
};

/* What a read brought, copied: entries are borrowed only until the callback returns. */
struct kept_batch {
    struct aff_buf bytes;
    struct aff_entry *entries;
    size_t count, capacity, at; /* entries[at] is the next */
};

struct aff_audit {
    struct aff_audit_opts opts;
    struct aff_loop *loop;
    struct aff_store *store;
    struct aff_store_tally *tally;
    struct aff_fold *fold;
    struct aff_changelog_part *log;
    struct aff_changelog_sink sink;
    struct aff_hook hook;
    struct aff_timer wake, watch;
    bool due;  /* a slice, in this pass */
    bool over; /* `result` has the reason */

    int64_t begun_boot_ns, moved_ns; /* `moved`: the last progress, monotonic */
    int64_t applied;                 /* by the store, committed */
    int64_t folded;                  /* every offset below is in the fold, or is a hole */
    int64_t top;                     /* behind the last record in it */
    int64_t from;                    /* where the store was when this began: the tally waits until the fold is there */
    int64_t log_end;                 /* as the first read told; -1: none yet */
    int64_t next;                    /* behind the batch that is kept */
    int64_t target;                  /* the offset at which both are compared; -1: not fixed */
    uint64_t ticket;
    bool reading;
    struct kept_batch batch;
    struct aff_record record;
    struct aff_audit_result result;
};

static int64_t now_of(const struct aff_audit *a)
{
    return aff_mono_ns(aff_loop_clock(a->loop));
}

static void wake_at(struct aff_audit *a, int64_t when_ns)
{
    aff_loop_timer_set(a->loop, &a->wake, when_ns);
}

static void progress(struct aff_audit *a)
{
    a->moved_ns = now_of(a);
    if (a->opts.moved)
        a->opts.moved(a->opts.self, a->folded, a->applied);
}

/* ---- the end ---- */

/* The last thing that is done: who asked may free the audit. */
static void finish(struct aff_audit *a)
{
    a->due = false;
    aff_loop_timer_cancel(a->loop, &a->wake);
    aff_loop_timer_cancel(a->loop, &a->watch);
    a->opts.done(a->opts.self, &a->result);
}

/* It ends with the next slice, since who calls may be in the middle of something. */
AFF_PRINTF(2, 3) static void give_up(struct aff_audit *a, const char *format, ...)
{
    va_list args;

    if (a->over)
        return;
    va_start(args, format);
    vsnprintf(a->result.reason, sizeof a->result.reason, format, args);
    va_end(args);
    a->result.store = a->result.last = AFF_VERDICT_UNDECIDED;
    a->over = true;
    wake_at(a, now_of(a));
}

static bool tombstones_may_be_gone(const struct aff_audit *a)
{
    int64_t took_ms = (aff_boot_ns(aff_loop_clock(a->loop)) - a->begun_boot_ns) / AFF_NS_PER_MS;

    return took_ms >= aff_checkpoint_age_limit_ms(a->opts.tombstone_retention_ms);
}

static void compare(struct aff_audit *a)
{
    struct aff_audit_result *r = &a->result;

    aff_fold_get(a->fold, &r->log);
    r->compared = true;
    r->offset = a->target;
    r->store = AFF_VERDICT_EQUAL;
    if (r->tally.count != r->log.state.count || !aff_digest_equal(r->tally.full, r->log.state.full))
        r->store = AFF_VERDICT_DIFFERS;
    r->last = AFF_VERDICT_EQUAL;
    if (r->log.dirty > 0)
        r->last = AFF_VERDICT_UNDECIDED;
    else if (r->log.last_count != r->log.state.count || !aff_digest_equal(r->log.last, r->log.state.plain))
        r->last = AFF_VERDICT_DIFFERS;
    if (r->store == AFF_VERDICT_DIFFERS && tombstones_may_be_gone(a))
        give_up(a, "it differs, but reading took longer than the topic keeps tombstones");
    a->over = true;
}

/* ---- the log ---- */

/* False: out of memory. */
static bool keep(struct kept_batch *kept, const struct aff_batch *batch)
{
    size_t size = 0;

    aff_buf_clear(&kept->bytes);
    kept->count = kept->at = 0;
    for (size_t i = 0; i < batch->count; i++)
        size += aff_entry_size(&batch->entries[i]);
    if (!aff_buf_reserve(&kept->bytes, size + 1)) /* so that no view moves */
        return false;
    if (batch->count > kept->capacity) {
        kept->entries = aff_xrealloc(kept->entries, batch->count, sizeof *kept->entries);
        kept->capacity = batch->count;
    }
    for (size_t i = 0; i < batch->count; i++) {
        struct aff_entry *e = &kept->entries[i];
        aff_bytes *const views[] = { &e->key, &e->value, &e->aff, &e->content_type };

        *e = batch->entries[i];
        e->event_time = e->traceparent = (aff_bytes){ NULL, 0 };
        for (size_t v = 0; v < sizeof views / sizeof *views; v++) {
            unsigned char *to = kept->bytes.data + kept->bytes.len;

            if (!views[v]->data)
                continue;
            if (!aff_buf_add(&kept->bytes, views[v]->data, views[v]->len))
                return false;
            views[v]->data = to;
        }
    }
    kept->count = batch->count;
    return true;
}

static void take_batch(struct aff_audit *a, const struct aff_batch *batch)
{
    if (batch->status == AFF_ECORRUPT) {
        give_up(a, "the log is damaged at or above offset %" PRId64, a->folded);
    } else if (batch->status != 0) {
        wake_at(a, now_of(a) + RETRY_MS * AFF_NS_PER_MS);
    } else if (a->next > 0 && batch->start > a->next) {
        give_up(a, "the log begins at offset %" PRId64 " by now, and was read up to %" PRId64, batch->start, a->next);
    } else if (!keep(&a->batch, batch)) {
        give_up(a, "out of memory for %zu entries of the log", batch->count);
    } else if (batch->next > a->next) {
        a->next = batch->next;
        progress(a);
        wake_at(a, now_of(a));
    } else { /* nothing new below what the store has applied already: the end that was told is an old one */
        wake_at(a, now_of(a) + RETRY_MS * AFF_NS_PER_MS);
    }
    if (a->log_end < 0 && batch->status == 0)
        a->log_end = batch->end;
}

static void on_entries(struct aff_changelog_sink *sink, const struct aff_batch *batch)
{
    struct aff_audit *a = aff_container_of(sink, struct aff_audit, sink);

    if (!a->reading || batch->ticket != a->ticket)
        return;
    a->reading = false;
    take_batch(a, batch);
}

static void on_reports(struct aff_changelog_sink *sink, const struct aff_delivery_report *reports, size_t count)
{
    (void)sink; /* nothing is ever appended here */
    (void)reports;
    (void)count;
}

static void read_on(struct aff_audit *a)
{
    a->reading = true;
    a->opts.changelog->ops->read(a->log, a->next, READ_BYTES, AFF_READ_TO_END, ++a->ticket);
}

/* ---- slices ---- */

/* The fold up to `limit`, as far as a slice goes and entries are there: 1 it did something, 0 nothing, or an error. */
static int fold_slice(struct aff_audit *a, int64_t limit)
{
    struct kept_batch *b = &a->batch;
    size_t records = 0, bytes = 0;
    int code = 0;

    while (code == 0 && b->at < b->count && b->entries[b->at].offset < limit && records < FOLD_RECORDS &&
           bytes < FOLD_BYTES) {
        const struct aff_entry *e = &b->entries[b->at++];

        if (e->offset < a->top)
            continue;
        a->top = e->offset + 1;
        aff_record_decode(e, &a->record);
        code = aff_fold_record(a->fold, &a->record);
        bytes += aff_entry_size(e);
        records++;
    }
    if (code == 0 && records > 0)
        code = aff_fold_commit(a->fold);
    a->folded = b->at < b->count ? b->entries[b->at].offset : a->next;
    return code < 0 ? code : records > 0;
}

/* The same for the tally: 1 there is more, 0 it is whole and the offset fixed, or an error. */
static int tally_slice(struct aff_audit *a)
{
    int code = 0;
    aff_error err;

    if (!a->tally)
        code = aff_store_tally_new(a->store, &a->tally, &err);
    if (code == 0)
        code = aff_store_tally_step(a->tally, TALLY_BYTES);
    if (code != 0)
        return code == AFF_EAGAIN ? 1 : code;
    aff_store_tally_get(a->tally, &a->result.tally);
    a->tally = aff_store_tally_free(a->tally);
    a->target = a->applied;
    return 0;
}

/* 1, or 0 when the checkpoint cannot be read. */
static int learn_applied(struct aff_audit *a)
{
    unsigned char checkpoint[AFF_CHECKPOINT_MAX];
    size_t len = 0;
    int64_t before = a->applied;
    int found = aff_store_meta_committed(a->store, AFF_CHECKPOINT, checkpoint, sizeof checkpoint, &len);

    a->applied = 0;
    if (found < 0 || (found == 1 && !aff_checkpoint_applied(aff_bytes_of(checkpoint, len), &a->applied)))
        return 0;
    if (a->from < 0) {
        a->from = a->applied;
        /* what is written from now on makes nothing superfluous that is not folded yet */
        a->opts.changelog->ops->keep_from(a->log, a->from);
    }
    if (a->applied != before && a->folded >= before)
        progress(a); /* it is the store that is waited for */
    return 1;
}

/* May the store be tallied? One that does not lead must have come to where the log ended, else little were compared. */
static bool is_ready(const struct aff_audit *a)
{
    return a->folded >= a->from &&
           (atomic_load(&aff_partition_shared(a->opts.part)->serves) || (a->log_end >= 0 && a->applied >= a->log_end));
}

/* Sees how far the store is, and whether there is a reason why this cannot go on. */
static void look(struct aff_audit *a)
{
    struct aff_partition_shared *shared = aff_partition_shared(a->opts.part);

    if (atomic_load(&shared->role) == AFF_ROLE_FAILED)
        give_up(a, "the partition has stopped: %.240s", shared->failure);
    else if (atomic_load(&shared->role) == AFF_ROLE_AWAY)
        give_up(a, "no replica of it is held here any more");
    else if (!learn_applied(a))
        give_up(a, "the store has no checkpoint that can be read");
    else if (a->target < 0 && a->applied < a->top)
        give_up(a, "the store is being rebuilt from the log");
}

/* Once in any case: it tells where the log ends. */
static bool must_read(const struct aff_audit *a)
{
    int64_t limit = a->target >= 0 ? a->target : a->applied;

    return !a->reading && a->batch.at == a->batch.count && (a->next < limit || a->log_end < 0);
}

/* One slice of everything that can be done now. True: there is more. */
static bool work(struct aff_audit *a)
{
    bool fixed = a->target >= 0;
    int folds = fold_slice(a, fixed ? a->target : a->applied);
    int tallies = folds < 0 || fixed || !is_ready(a) ? 0 : tally_slice(a);

    bool more = folds > 0 || tallies > 0 || (!fixed && a->target >= 0);

    if (folds < 0)
        give_up(a, "the replay failed: %s", aff_error_title(folds));
    else if (tallies < 0)
        give_up(a, "the store cannot be read: %s", aff_error_title(tallies));
    else if (a->target >= 0 && a->folded >= a->target)
        compare(a);
    else if (must_read(a))
        read_on(a);
    if (more)
        progress(a);
    return more;
}

static void slice(struct aff_audit *a)
{
    int64_t began = now_of(a);
    bool more;

    if (!a->over)
        look(a);
    more = !a->over && work(a);
    if (a->over && aff_fold_dissolve(a->fold))
        wake_at(a, 2 * now_of(a) - began);
    else if (a->over)
        finish(a);
    else if (more)
        wake_at(a, 2 * now_of(a) - began); /* half of the time is for others */
    else if (!a->reading && !aff_heap_has(&a->wake.node))
        wake_at(a, began + RETRY_MS * AFF_NS_PER_MS); /* the store comes further, or it is given up */
}

static bool end_pass(struct aff_hook *hook)
{
    struct aff_audit *a = aff_container_of(hook, struct aff_audit, hook);

    if (a->due) {
        a->due = false;
        slice(a);
    }
    return false;
}

static void fire_wake(struct aff_timer *timer)
{
    aff_container_of(timer, struct aff_audit, wake)->due = true;
}

/* ---- not for ever ---- */

static void plan_watch(struct aff_audit *a)
{
    int64_t patience = a->moved_ns + PATIENCE_S * AFF_NS_PER_S;

    aff_loop_timer_set(a->loop, &a->watch, patience < a->opts.deadline_ns ? patience : a->opts.deadline_ns);
}

static void fire_watch(struct aff_timer *timer)
{
    struct aff_audit *a = aff_container_of(timer, struct aff_audit, watch);
    int64_t now = now_of(a);
    const char *late = now >= a->opts.deadline_ns                       ? "the time was over"
                       : now - a->moved_ns >= PATIENCE_S * AFF_NS_PER_S ? "nothing has moved for a while"
                                                                        : NULL;

    if (late)
        give_up(a, "%s: the log was read up to offset %" PRId64 ", the store has applied up to %" PRId64, late,
                a->folded, a->target >= 0 ? a->target : a->applied);
    else
        plan_watch(a);
}

/* ---- life ---- */

int aff_audit_new(const struct aff_audit_opts *opts, struct aff_audit **ret_audit, aff_error *err)
{
    struct aff_audit *a;
    int code;

    if (!aff_partition_store(opts->part))
        return aff_fail_with(err, AFF_ENOMASTER, "no replica of it is held here");
    a = aff_xcalloc(1, sizeof *a);
    a->opts = *opts;
    a->loop = aff_partition_loop(opts->part);
    a->store = aff_partition_store(opts->part);
    a->sink = (struct aff_changelog_sink){ on_reports, on_entries };
    a->wake.fire = fire_wake;
    a->watch.fire = fire_watch;
    a->hook.run = end_pass;
    a->log_end = a->from = a->target = -1;
    aff_buf_init(&a->batch.bytes);
    code = aff_fold_new(opts->folder, opts->map_bytes, aff_loop_logger(a->loop), &a->fold, err);
    if (code == 0)
        code = opts->changelog->ops->open(opts->changelog, opts->topic, opts->index, a->loop, &a->sink, &a->log, err);
    if (code != 0) {
        aff_audit_free(a);
        return code;
    }
    a->opts.topic = a->opts.folder = NULL;
    a->begun_boot_ns = aff_boot_ns(aff_loop_clock(a->loop));
    a->moved_ns = now_of(a);
    aff_loop_hook_add(a->loop, &a->hook, AFF_STAGE_LOG);
    wake_at(a, a->moved_ns);
    plan_watch(a);
    *ret_audit = a;
    return 0;
}

struct aff_audit *aff_audit_free(struct aff_audit *a)
{
    if (!a)
        return NULL;
    aff_loop_hook_remove(&a->hook);
    aff_loop_timer_cancel(a->loop, &a->wake);
    aff_loop_timer_cancel(a->loop, &a->watch);
    if (a->log)
        a->opts.changelog->ops->close(a->log);
    aff_store_tally_free(a->tally);
    aff_fold_free(a->fold);
    aff_buf_fini(&a->batch.bytes);
    free(a->batch.entries);
    free(a);
    return NULL;
}
