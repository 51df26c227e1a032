/*
 * kafka/stream.c - a read, from the question to the answer. The reader's thread.
 *
 * A read is answered by what the window has; else by the end of the log, when that was seen after the question came: what
 * stands in the log at that moment must be found. What it takes to get there is fetch.c's.
 */
#include "base/alloc.h"
#include "changelog/kafka/reading.h"

#include <stdlib.h>

enum {
    ENTRIES_MAX = 4096,
    MESSAGE_COST = 512, /* what librdkafka keeps beside the bytes, about */
    OUT_MUCH = 64 << 20,
    ENTRIES_SMALL = 128, /* when so much is out */
    BYTES_SMALL = 64 << 10,
};

/* ---- answers ---- */

static bool much_is_out(const struct aff_kafka_stream *s)
{
    return atomic_load_explicit(&s->reader->out, memory_order_relaxed) >= OUT_MUCH;
}

size_t aff_kafka_stream_entries(const struct aff_kafka_stream *s)
{
    return much_is_out(s) ? ENTRIES_SMALL : ENTRIES_MAX;
}

size_t aff_kafka_stream_bytes(const struct aff_kafka_stream *s)
{
    return much_is_out(s) && s->want.max_bytes > BYTES_SMALL ? BYTES_SMALL : s->want.max_bytes;
}

static struct aff_kafka_answer *answer_new(struct aff_kafka_stream *s, size_t room)
{
    struct aff_kafka_answer *answer = aff_xcalloc(1, sizeof *answer);

    answer->reader = s->reader;
    if (room > 0)
        answer->messages = aff_xmalloc(room * sizeof(rd_kafka_message_t *));
    return answer;
}

static int64_t highest(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void learn_ends(struct aff_kafka_stream *s)
{
    int64_t start, end;

    if (!s->source)
        return;
    aff_kafka_source_ends(s->source, &start, &end);
    if (start >= 0)
        s->log_start = start;
    if (end >= 0)
        s->log_end = end;
}

static void answer_entries(struct aff_kafka_stream *s)
{
    size_t most = aff_kafka_stream_entries(s), bytes = s->window.bytes;
    size_t room = s->window.count < most ? s->window.count : most;
    struct aff_kafka_answer *answer = answer_new(s, room);

    learn_ends(s);
    answer->base = s->window.base;
    answer->count = aff_kafka_window_take(&s->window, aff_kafka_stream_bytes(s), room, answer->messages);
    answer->charge = bytes - s->window.bytes + answer->count * MESSAGE_COST;
    atomic_fetch_add_explicit(&s->reader->out, answer->charge, memory_order_relaxed);
    answer->batch = (struct aff_batch){
        .ticket = s->want.ticket,
        .count = answer->count,
        .next = s->window.base,
        .start = s->log_start,
        .end = highest(s->window.base, highest(s->log_end, s->want.confirmed_end)),
    };
    aff_kafka_stream_publish(s, answer);
}

static void answer_nothing(struct aff_kafka_stream *s, int status, int64_t next, int64_t end)
{
    struct aff_kafka_answer *answer = answer_new(s, 0);

    learn_ends(s);
    answer->base = next;
    answer->batch = (struct aff_batch){
        .ticket = s->want.ticket, .status = status, .next = next, .start = s->log_start, .end = end
    };
    aff_kafka_stream_publish(s, answer);
}

void aff_kafka_stream_fail(struct aff_kafka_stream *s, int status)
{
    if (s->open && s->window.count == 0)
        answer_nothing(s, status, s->want.from, highest(s->log_end, s->want.confirmed_end));
}

void aff_kafka_stream_end(struct aff_kafka_stream *s, int64_t end)
{
    if (s->open && s->window.count == 0)
        answer_nothing(s, 0, end, end);
}

/* ---- reads ---- */

/* An end below what was confirmed is an old one: a leader that took over does not know yet how far the log is safe. */
static void answer_end(struct aff_kafka_stream *s)
{
    int64_t end = s->window.position;
    bool fresh = s->end_serial == s->serial;

    if (end < s->want.confirmed_end)
        return;
    if (s->want.mode == AFF_READ_WAIT ? end > s->want.from : fresh) {
        s->window.base = end;
        aff_kafka_stream_end(s, end);
    }
}

void aff_kafka_stream_step(struct aff_kafka_stream *s)
{
    aff_kafka_fetch_pull(s);
    if (s->open && s->window.count > 0)
        answer_entries(s);
    else if (s->open && s->at_end)
        answer_end(s);
    aff_kafka_fetch_arrange(s);
}

static void put_back(struct aff_kafka_stream *s, struct aff_kafka_answer *answer)
{
    if (answer->batch.status == 0 && answer->batch.next == s->window.base && answer->count > 0) {
        aff_kafka_window_untake(&s->window, answer->messages, answer->count, answer->base);
        answer->count = 0;
    }
    aff_kafka_answer_release(answer);
}

void aff_kafka_stream_ask(struct aff_kafka_stream *s, const struct aff_kafka_want *want,
                          struct aff_kafka_answer *untaken)
{
    if (untaken)
        put_back(s, untaken);
    s->want = *want;
    if (s->want.from < 0)
        s->want.from = 0;
    s->open = true;
    s->serial++;
    s->asked_ns = aff_kafka_now(s);
    if (!aff_kafka_window_skip(&s->window, s->want.from)) {
        aff_kafka_fetch_stop(s);
        aff_kafka_window_move(&s->window, s->want.from);
        s->trouble.beyond_ns = 0;
        s->trouble.damaged = 0;
    }
    aff_kafka_stream_step(s);
}
