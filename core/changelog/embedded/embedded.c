/*
 * embedded/embedded.c - the changelog driver `embedded`: one journal per data folder. Start, stop, and the table of
 * operations; who does the work stands in embedded/journal.h.
 */
#include "changelog/embedded/embedded.h"

#include "base/alloc.h"
#include "changelog/embedded/compactor.h"
#include "changelog/embedded/folder.h"
#include "changelog/embedded/handle.h"
#include "changelog/embedded/reader.h"
#include "changelog/embedded/recovery.h"
#include "changelog/embedded/topics.h"
#include "changelog/embedded/writer.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    DEFAULT_SEGMENT = 64 << 20,
    DEFAULT_IN_FLIGHT = 64 << 20,
    DEFAULT_MAP = 64 << 20,
    DEFAULT_COMPACT_MS = 60000,
    SPACE_BESIDE = 4 << 20, /* what is kept allocated beside max_in_flight: one largest entry always fits */
};

static struct journal *journal_of(struct aff_changelog *log)
{
    return aff_container_of(log, struct journal, base);
}

void aff_journal_push_segment(struct journal *j, struct aff_segment *segment)
{
    if (j->segment_count == j->segment_capacity) {
        j->segment_capacity = j->segment_capacity ? 2 * j->segment_capacity : 16;
        j->segments = aff_xrealloc(j->segments, j->segment_capacity, sizeof(struct aff_segment *));
    }
    segment->serial = j->next_serial++;
    j->segments[j->segment_count++] = segment;
}

/* ---- stop ---- */

static void stop_threads(struct journal *j)
{
    pthread_mutex_lock(&j->map_lock);
    j->stop_compactor = true;
    pthread_cond_broadcast(&j->compact_work);
    pthread_cond_broadcast(&j->compact_done);
    pthread_mutex_unlock(&j->map_lock);
    pthread_mutex_lock(&j->lock);
    j->stop_writer = j->stop_reader = true;
    pthread_cond_broadcast(&j->work);
    pthread_cond_broadcast(&j->read_work);
    pthread_mutex_unlock(&j->lock);
    if (j->compactor_runs)
        (void)pthread_join(j->compactor, NULL);
    if (j->writer_runs)
        (void)pthread_join(j->writer, NULL);
    if (j->reader_runs)
        (void)pthread_join(j->reader, NULL);
}

/* Space that was allocated ahead goes back when the journal was stopped in order. */
static void close_segments(struct journal *j)
{
    if (j->writer_runs)
        (void)!ftruncate(j->active->fd, (off_t)j->active->size);
    for (size_t i = 0; i < j->segment_count; i++)
        j->segments[i] = aff_segment_unref(j->segments[i]);
    free(j->segments);
}

/* Also of a journal that is half made. */
static struct journal *journal_free(struct journal *j)
{
    assert(aff_list_empty(&j->ports)); /* every partition is closed */
    stop_threads(j);
    close_segments(j);
    aff_topics_fini(j);
    if (j->dir_fd >= 0)
        (void)close(j->dir_fd);
    if (j->lock_fd >= 0)
        (void)close(j->lock_fd);
    pthread_cond_destroy(&j->work);
    pthread_cond_destroy(&j->read_work);
    pthread_cond_destroy(&j->compact_work);
    pthread_cond_destroy(&j->compact_done);
    pthread_mutex_destroy(&j->topics_lock);
    pthread_mutex_destroy(&j->lock);
    pthread_mutex_destroy(&j->map_lock);
    free(j->folder);
    free(j);
    return NULL;
}

/* ---- start ---- */

static void init_locks(struct journal *j)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&j->work, &monotonic);
    pthread_cond_init(&j->read_work, &monotonic);
    pthread_cond_init(&j->compact_work, &monotonic);
    pthread_cond_init(&j->compact_done, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&j->topics_lock, NULL);
    pthread_mutex_init(&j->lock, NULL);
    pthread_mutex_init(&j->map_lock, NULL);
}

static struct journal *journal_new(const struct aff_changelog_embedded_opts *opts, const struct aff_changelog_ops *ops)
{
    struct journal *j = aff_xcalloc(1, sizeof *j);
    j->base.ops = ops;
    j->folder = aff_xstrdup(opts->folder);
    j->dir_fd = j->lock_fd = -1;
    j->segment_bytes = opts->segment_bytes ? opts->segment_bytes : DEFAULT_SEGMENT;
    j->max_in_flight = opts->max_in_flight ? opts->max_in_flight : DEFAULT_IN_FLIGHT;
    j->ahead = j->max_in_flight + SPACE_BESIDE;
    j->compact_every_ms = opts->compact_every_ms > 0 ? opts->compact_every_ms : DEFAULT_COMPACT_MS;
    j->compact_map_bytes = opts->compact_map_bytes ? opts->compact_map_bytes : DEFAULT_MAP;
    j->clock = opts->clock ? opts->clock : aff_clock_system();
    j->logger = opts->logger;
    j->last_ms = INT64_MIN;
    j->next_serial = 1;
    aff_list_init(&j->ports);
    aff_list_init(&j->reads);
    chunk_queue_init(&j->queue);
    init_locks(j);
    return j;
}

static int start_threads(struct journal *j, aff_error *err)
{
    j->writer_runs = pthread_create(&j->writer, NULL, aff_writer_run, j) == 0;
    j->reader_runs = pthread_create(&j->reader, NULL, aff_reader_run, j) == 0;
    j->compactor_runs = pthread_create(&j->compactor, NULL, aff_compactor_run, j) == 0;
    if (j->writer_runs && j->reader_runs && j->compactor_runs)
        return 0;
    return aff_fail_with(err, AFF_ENOMEM, "changelog: cannot start the threads of %s", j->folder);
}

static int journal_start(struct journal *j, aff_error *err)
{
    int rc = aff_folder_open(j->folder, &j->dir_fd, &j->lock_fd, err);
    if (rc == 0)
        rc = aff_topics_load(j, err);
    if (rc == 0)
        rc = aff_recover(j, err);
    if (rc)
        return rc;
    aff_writer_init(j);
    return start_threads(j, err);
}

/* ---- the driver ---- */

static int embedded_topic(struct aff_changelog *log, const struct aff_topic *topic, aff_error *err)
{
    return aff_topics_declare(journal_of(log), topic, err);
}

static void embedded_numbers(struct aff_changelog *log, struct aff_changelog_numbers *ret)
{
    *ret = (struct aff_changelog_numbers){
        .syncs = atomic_load_explicit(&journal_of(log)->syncs, memory_order_relaxed),
    };
}

static struct aff_changelog *embedded_free(struct aff_changelog *log)
{
    if (log)
        journal_free(journal_of(log));
    return NULL;
}

int aff_changelog_embedded_compact(struct aff_changelog *log)
{
    return aff_compactor_pass(journal_of(log));
}

static const struct aff_changelog_ops embedded_ops = {
    .name = "embedded",
    .topic = embedded_topic,
    .open = aff_embedded_open,
    .close = aff_embedded_close,
    .append = aff_embedded_append,
    .read = aff_embedded_read,
    .reset = aff_embedded_reset,
    .keep_from = aff_embedded_keep_from,
    .numbers = embedded_numbers,
    .free = embedded_free,
};

int aff_changelog_embedded_new(const struct aff_changelog_embedded_opts *opts, struct aff_changelog **ret_log,
                               aff_error *err)
{
    struct journal *j = journal_new(opts, &embedded_ops);
    aff_error own;
    int rc = journal_start(j, err ? err : &own);
    if (rc) {
        journal_free(j);
        return rc;
    }
    *ret_log = &j->base;
    return 0;
}
