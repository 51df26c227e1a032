/*
 * kafka/reading.h - what the files of the reader share; see kafka/reader.h.
 *
 * A stream's `synced` part is for any thread that holds its lock; everything else is the reader's thread's own.
 */
#ifndef AFF_CHANGELOG_KAFKA_READING_H
#define AFF_CHANGELOG_KAFKA_READING_H

#include "base/heap.h"
#include "changelog/kafka/consumer.h"
#include "changelog/kafka/reader.h"
#include "changelog/kafka/window.h"

#include <stdatomic.h>

/* Places among the streams that catch up: so many fetch at one time. */
struct aff_kafka_places {
    struct aff_list holders; /* longest first */
    struct aff_list line;    /* streams that wait for one */
    size_t taken;
};

struct aff_kafka_reader {
    const struct aff_clock *clock;
    const struct aff_logger *logger;
    struct aff_kafka_bell bell;
    pthread_t thread;
    struct aff_kafka_call stop;

    struct aff_kafka_consumer *tail, *catch_up;
    struct aff_kafka_places places;
    _Atomic size_t out;     /* memory of answers that were not released yet */
    struct aff_heap timers; /* of streams */
    bool stopping;
};

struct aff_kafka_want {
    int64_t from;
    size_t max_bytes;
    int mode;
    uint64_t ticket;
    int64_t confirmed_end;
};

/* What went wrong; all zero when nothing did. */
struct aff_kafka_trouble {
    rd_kafka_resp_err_t told; /* logged last */
    int status;               /* what reads were answered with last: they go on being tried, but not for long */
    int64_t vague_ns;         /* since when errors come that librdkafka neither mends nor explains */
    int64_t beyond_ns;        /* since when the log has ended below the position */
    unsigned damaged;         /* times in a row that a message came damaged */
    int64_t retry_ns;         /* not to be started before */
};

struct aff_kafka_stream {
    struct aff_kafka_reader *reader;
    char *topic;
    int32_t partition;
    struct aff_kafka_stream_user *user;

    struct aff_kafka_call posted; /* the loop wants something */
    struct aff_kafka_call closed; /* it wants nothing any more; a call of its own: a question may still be on its way */
    struct {
        pthread_mutex_t lock;
        pthread_cond_t quiet; /* `ringing` ended */
        struct aff_kafka_want want;
        bool asked, closed, ringing;
        struct aff_kafka_answer *ready, *untaken; /* untaken: its read was replaced before the loop took it */
    } synced;

    /* the present read */
    struct aff_kafka_want want;
    bool open;
    uint64_t serial; /* counts reads */
    int64_t asked_ns, answered_ns;

    /* what is known */
    struct aff_kafka_window window;
    int64_t log_start, log_end; /* as brokers told last */
    bool at_end;                /* the log ended at window.position ... */
    uint64_t end_serial;        /* ... when it was asked for this read */
    int64_t end_ns;
    int64_t behind_ns; /* since when ends below what was confirmed are seen; told when negative */
    struct aff_kafka_trouble trouble;

    /* where it comes from */
    struct aff_kafka_source *source; /* NULL: nothing is fetched */
    struct aff_kafka_call came;
    enum aff_kafka_role role;
    uint64_t source_serial; /* the read that it was started for */
    int64_t started_ns, progress_ns, kick_ns;
    bool probing;          /* started at the end, to learn where the log begins and ends */
    struct aff_list place; /* on places.holders or places.line */
    bool has_place;
    int64_t place_ns;
    struct aff_heap_node timer;
};

static inline int64_t aff_kafka_now(const struct aff_kafka_stream *s)
{
    return aff_mono_ns(s->reader->clock);
}

/* ---- stream.c ---- */

/* How much the answer to the open read may have. Less when loops have much to take and to apply already. */
size_t aff_kafka_stream_entries(const struct aff_kafka_stream *s);
size_t aff_kafka_stream_bytes(const struct aff_kafka_stream *s);

void aff_kafka_stream_ask(struct aff_kafka_stream *s, const struct aff_kafka_want *want,
                          struct aff_kafka_answer *untaken);
/* Does what can be done at this moment. */
void aff_kafka_stream_step(struct aff_kafka_stream *s);
/* Answers the open read, if there is one and nothing was read for it: with an error, or with the end of the log. */
void aff_kafka_stream_fail(struct aff_kafka_stream *s, int status);
void aff_kafka_stream_end(struct aff_kafka_stream *s, int64_t end);

/* ---- fetch.c ---- */

/* Takes what came, as much as the read asked for. */
void aff_kafka_fetch_pull(struct aff_kafka_stream *s);
/* Decides who fetches, and sets the timer. */
void aff_kafka_fetch_arrange(struct aff_kafka_stream *s);
/* Nothing is fetched any more. */
void aff_kafka_fetch_stop(struct aff_kafka_stream *s);
/* ... nor kept. */
void aff_kafka_fetch_let_go(struct aff_kafka_stream *s);

/* ---- event.c ---- */

void aff_kafka_event_message(struct aff_kafka_stream *s, rd_kafka_message_t *message); /* or an error; owned */
void aff_kafka_event_error(struct aff_kafka_stream *s, rd_kafka_resp_err_t error);     /* one that is no message */

/* ---- reader.c ---- */

/* Hands the answer over, or puts it back when a newer read is there. */
void aff_kafka_stream_publish(struct aff_kafka_stream *s, struct aff_kafka_answer *answer);

#endif
