/*
 * kafka/reader.c - see kafka/reader.h: the reader's thread, and what loops call.
 */
#include "base/alloc.h"
#include "changelog/kafka/reading.h"

#include <stdlib.h>

/* ---- the thread ---- */

static void stop(struct aff_kafka_call *call)
{
    aff_container_of(call, struct aff_kafka_reader, stop)->stopping = true;
}

static int64_t next_due(struct aff_kafka_reader *r)
{
    const struct aff_heap_node *first = aff_heap_min(&r->timers);
    int64_t now = aff_mono_ns(r->clock), due = now + 60 * AFF_NS_PER_S, sweep;

    sweep = aff_kafka_consumer_sweep(r->tail, now);
    due = sweep < due ? sweep : due;
    sweep = aff_kafka_consumer_sweep(r->catch_up, now);
    due = sweep < due ? sweep : due;
    return first && first->key < due ? first->key : due;
}

static void fire_timers(struct aff_kafka_reader *r)
{
    int64_t now = aff_mono_ns(r->clock);
    struct aff_heap_node *first;

    while ((first = aff_heap_min(&r->timers)) && first->key <= now) {
        aff_heap_remove(&r->timers, first);
        aff_kafka_stream_step(aff_container_of(first, struct aff_kafka_stream, timer));
    }
}

static void *run(void *arg)
{
    struct aff_kafka_reader *r = arg;

    (void)pthread_setname_np(pthread_self(), "aff-kafka-read");
    while (!r->stopping) {
        aff_kafka_bell_serve(&r->bell, next_due(r));
        fire_timers(r);
    }
    return NULL;
}

/* ---- life ---- */

static struct aff_kafka_reader *take_apart(struct aff_kafka_reader *r)
{
    r->tail = aff_kafka_consumer_free(r->tail);
    r->catch_up = aff_kafka_consumer_free(r->catch_up);
    aff_heap_fini(&r->timers);
    aff_kafka_bell_fini(&r->bell);
    free(r);
    return NULL;
}

int aff_kafka_reader_new(const struct aff_kafka_reader_opts *opts, struct aff_kafka_reader **ret_reader, aff_error *err)
{
    struct aff_kafka_reader *r = aff_xcalloc(1, sizeof *r);
    int rc;

    r->clock = opts->clock;
    r->logger = opts->logger;
    aff_kafka_bell_init(&r->bell);
    aff_kafka_call_init(&r->stop, stop);
    aff_heap_init(&r->timers);
    aff_list_init(&r->places.holders);
    aff_list_init(&r->places.line);
    rc = aff_kafka_consumer_new(opts->settings, AFF_KAFKA_TAIL, r->logger, &r->bell, &r->tail, err);
    if (rc == 0)
        rc = aff_kafka_consumer_new(opts->settings, AFF_KAFKA_CATCH_UP, r->logger, &r->bell, &r->catch_up, err);
    if (rc == 0 && pthread_create(&r->thread, NULL, run, r) != 0)
        rc = aff_fail_with(err, AFF_EIO, "kafka: no thread to read with");
    if (rc) {
        take_apart(r);
        return rc;
    }
    *ret_reader = r;
    return 0;
}

struct aff_kafka_reader *aff_kafka_reader_free(struct aff_kafka_reader *r)
{
    if (!r)
        return NULL;
    aff_kafka_bell_ring(&r->bell, &r->stop);
    pthread_join(r->thread, NULL);
    return take_apart(r);
}

int64_t aff_kafka_reader_heard_ns(const struct aff_kafka_reader *r)
{
    int64_t tail = aff_kafka_consumer_heard_ns(r->tail), catch_up = aff_kafka_consumer_heard_ns(r->catch_up);

    return tail > catch_up ? tail : catch_up;
}

/* ---- streams, the thread's side ---- */

static void came(struct aff_kafka_call *call)
{
    aff_kafka_stream_step(aff_container_of(call, struct aff_kafka_stream, came));
}

static void destroy(struct aff_kafka_stream *s)
{
    aff_kafka_fetch_let_go(s);
    aff_heap_remove(&s->reader->timers, &s->timer);
    aff_kafka_bell_forget(&s->reader->bell, &s->posted);
    aff_kafka_bell_forget(&s->reader->bell, &s->came);
    aff_kafka_window_fini(&s->window);
    pthread_cond_destroy(&s->synced.quiet);
    pthread_mutex_destroy(&s->synced.lock);
    free(s->topic);
    free(s);
}

static void posted(struct aff_kafka_call *call)
{
    struct aff_kafka_stream *s = aff_container_of(call, struct aff_kafka_stream, posted);

    pthread_mutex_lock(&s->synced.lock);
    struct aff_kafka_want want = s->synced.want;
    struct aff_kafka_answer *untaken = s->synced.untaken;
    bool asked = s->synced.asked && !s->synced.closed;
    if (asked) {
        s->synced.untaken = NULL;
        s->synced.asked = false;
    }
    pthread_mutex_unlock(&s->synced.lock);

    if (asked)
        aff_kafka_stream_ask(s, &want, untaken);
}

/* The loop's last word: nothing of the loop's touches the stream after it. */
static void closed(struct aff_kafka_call *call)
{
    struct aff_kafka_stream *s = aff_container_of(call, struct aff_kafka_stream, closed);

    aff_kafka_answer_release(s->synced.untaken);
    destroy(s);
}

static void tell_user(struct aff_kafka_stream *s)
{
    s->user->ready(s->user);
    pthread_mutex_lock(&s->synced.lock);
    s->synced.ringing = false;
    pthread_cond_signal(&s->synced.quiet);
    pthread_mutex_unlock(&s->synced.lock);
}

void aff_kafka_stream_publish(struct aff_kafka_stream *s, struct aff_kafka_answer *answer)
{
    s->open = false;
    s->answered_ns = aff_kafka_now(s);
    pthread_mutex_lock(&s->synced.lock);
    bool wanted = !s->synced.asked && !s->synced.closed;
    if (wanted) {
        s->synced.ready = answer;
        s->synced.ringing = true;
    } else {
        s->synced.untaken = answer; /* posted() is about to run, and puts it back */
    }
    pthread_mutex_unlock(&s->synced.lock);
    if (wanted)
        tell_user(s);
}

/* ---- streams, the loop's side ---- */

struct aff_kafka_stream *aff_kafka_stream_open(struct aff_kafka_reader *reader, const char *topic, uint32_t partition,
                                               struct aff_kafka_stream_user *user)
{
    struct aff_kafka_stream *s = aff_xcalloc(1, sizeof *s);

    s->reader = reader;
    s->topic = aff_xstrdup(topic);
    s->partition = (int32_t)partition;
    s->user = user;
    aff_kafka_call_init(&s->posted, posted);
    aff_kafka_call_init(&s->closed, closed);
    aff_kafka_call_init(&s->came, came);
    pthread_mutex_init(&s->synced.lock, NULL);
    pthread_cond_init(&s->synced.quiet, NULL);
    aff_kafka_window_init(&s->window);
    aff_list_init(&s->place);
    return s;
}

void aff_kafka_stream_close(struct aff_kafka_stream *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->synced.lock);
    while (s->synced.ringing)
        pthread_cond_wait(&s->synced.quiet, &s->synced.lock);
    struct aff_kafka_answer *ready = s->synced.ready;
    s->synced.ready = NULL;
    s->synced.closed = true;
    pthread_mutex_unlock(&s->synced.lock);
    aff_kafka_answer_release(ready);
    aff_kafka_bell_ring(&s->reader->bell, &s->closed);
}

void aff_kafka_stream_read(struct aff_kafka_stream *s, int64_t from, size_t max_bytes, int mode, uint64_t ticket,
                           int64_t confirmed_end)
{
    pthread_mutex_lock(&s->synced.lock);
    s->synced.want = (struct aff_kafka_want){ from, max_bytes, mode, ticket, confirmed_end };
    s->synced.asked = true;
    if (s->synced.ready) {
        s->synced.untaken = s->synced.ready;
        s->synced.ready = NULL;
    }
    pthread_mutex_unlock(&s->synced.lock);
    aff_kafka_bell_ring(&s->reader->bell, &s->posted);
}

/* ---- answers ---- */

static void unpack(struct aff_kafka_answer *answer)
{
    if (answer->count == 0)
        return;
    answer->entries = aff_xmalloc(answer->count * sizeof *answer->entries);
    for (size_t i = 0; i < answer->count; i++)
        aff_kafka_entry_of(answer->messages[i], &answer->entries[i]);
    answer->batch.entries = answer->entries;
}

bool aff_kafka_stream_take(struct aff_kafka_stream *s, struct aff_kafka_answer **ret_answer)
{
    pthread_mutex_lock(&s->synced.lock);
    struct aff_kafka_answer *answer = s->synced.ready;
    s->synced.ready = NULL;
    pthread_mutex_unlock(&s->synced.lock);
    if (!answer)
        return false;
    unpack(answer);
    *ret_answer = answer;
    return true;
}

void aff_kafka_answer_release(struct aff_kafka_answer *answer)
{
    if (!answer)
        return;
    for (size_t i = 0; i < answer->count; i++)
        rd_kafka_message_destroy(answer->messages[i]);
    atomic_fetch_sub_explicit(&answer->reader->out, answer->charge, memory_order_relaxed);
    free(answer->messages);
    free(answer->entries);
    free(answer);
}
