/*
 * kafka/event.c - what librdkafka delivers for a stream: messages, the end of the log, errors. The reader's thread.
 *
 *   a message, the end        progress: whatever was wrong is over
 *   out of range              a probe: fetch at the end, to learn where the log begins and ends; then go on where it
 *                             begins, or, when it has ended below the position for a while, tell the end
 *   topic gone or forbidden   AFF_EIO, and the next read is tried again
 *   damaged                   read again a few times, then AFF_ECORRUPT
 *   anything else             librdkafka tries again; AFF_EIO when that goes on for long (fetch.c)
 *
 * A broker that is gone and a leader that moved are not told at all: librdkafka finds the new one and fetches on.
 */
#include "changelog/kafka/reading.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    GONE_RETRY_MS = 1000, /* between two answers that the topic is gone */
    DAMAGED_TRIES = 3,
    DAMAGED_RETRY_MS = 100,
    BEYOND_MS = 1000, /* that long a log must have ended below the position */
    BEYOND_RETRY_MS = 250,
    PROBE_RETRY_MS = 500,
};

static void tell(struct aff_kafka_stream *s, rd_kafka_resp_err_t error, const char *text)
{
    if (s->trouble.told == error)
        return;
    s->trouble.told = error;
    aff_log(s->reader->logger, WARN, "changelog.read-trouble", aff_f_str("topic", s->topic),
            aff_f_int("partition", s->partition), aff_f_int("offset", s->window.position),
            aff_f_str("error", rd_kafka_err2name(error)), aff_f_str("text", text ? text : rd_kafka_err2str(error)));
}

static void retry_after(struct aff_kafka_stream *s, int64_t ms)
{
    aff_kafka_fetch_stop(s);
    s->trouble.retry_ns = aff_kafka_now(s) + ms * AFF_NS_PER_MS;
}

static void progress(struct aff_kafka_stream *s)
{
    if (s->trouble.told)
        aff_log(s->reader->logger, INFO, "changelog.reads-again", aff_f_str("topic", s->topic),
                aff_f_int("partition", s->partition), aff_f_int("offset", s->window.position));
    s->trouble = (struct aff_kafka_trouble){ 0 };
    s->progress_ns = aff_kafka_now(s);
    s->kick_ns = 0;
}

/* ---- positions that the log does not have ---- */

/* The log ends below the position: it lost entries, or is another one, or a deposed leader answered. The last passes. */
static void beyond(struct aff_kafka_stream *s, int64_t end)
{
    int64_t now = aff_kafka_now(s);

    if (s->trouble.beyond_ns == 0)
        s->trouble.beyond_ns = now;
    retry_after(s, BEYOND_RETRY_MS);
    if (now - s->trouble.beyond_ns >= BEYOND_MS * AFF_NS_PER_MS) {
        s->log_end = end;
        s->trouble.beyond_ns = 0;
        aff_kafka_stream_end(s, end);
    }
}

static void probed(struct aff_kafka_stream *s, int64_t end)
{
    int64_t start, unused;

    aff_kafka_source_ends(s->source, &start, &unused);
    aff_kafka_fetch_stop(s);
    if (start > s->window.position) {
        s->log_start = start;
        aff_kafka_window_reach(&s->window, start);
    } else if (end < s->window.position) {
        beyond(s, end);
    } else {
        retry_after(s, BEYOND_RETRY_MS); /* it is there by now */
    }
}

static void out_of_range(struct aff_kafka_stream *s, int64_t offset)
{
    if (s->probing) {
        retry_after(s, PROBE_RETRY_MS); /* the end could not be found out */
    } else if (offset == s->window.position) {
        aff_kafka_fetch_stop(s);
        s->probing = true;
    } /* else it is about an earlier position */
}

/* ---- the rest ---- */

static void gone(struct aff_kafka_stream *s, rd_kafka_resp_err_t error)
{
    tell(s, error, NULL);
    retry_after(s, GONE_RETRY_MS);
    s->trouble.status = AFF_EIO;
    aff_kafka_stream_fail(s, AFF_EIO);
}

static void damaged(struct aff_kafka_stream *s, rd_kafka_resp_err_t error, const char *text)
{
    tell(s, error, text);
    retry_after(s, DAMAGED_RETRY_MS);
    if (++s->trouble.damaged < DAMAGED_TRIES)
        return;
    s->trouble.damaged = 0;
    aff_kafka_stream_fail(s, AFF_ECORRUPT);
}

static void event_error(struct aff_kafka_stream *s, rd_kafka_resp_err_t error, int64_t offset, const char *text)
{
    switch (error) {
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        out_of_range(s, offset);
        break;
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
        gone(s, error);
        break;
    case RD_KAFKA_RESP_ERR__BAD_MSG:
    case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
        damaged(s, error, text);
        break;
    default:
        tell(s, error, text);
        if (s->trouble.vague_ns == 0)
            s->trouble.vague_ns = aff_kafka_now(s);
    }
}

static void event_end(struct aff_kafka_stream *s, int64_t offset)
{
    if (offset < s->window.position)
        return; /* of an earlier position */
    aff_kafka_window_reach(&s->window, offset);
    s->at_end = true;
    s->end_serial = s->source_serial;
    s->end_ns = aff_kafka_now(s);
    if (!s->open || offset >= s->want.confirmed_end)
        s->behind_ns = 0;
    else if (s->behind_ns == 0)
        s->behind_ns = s->end_ns;
    progress(s);
}

void aff_kafka_event_message(struct aff_kafka_stream *s, rd_kafka_message_t *message)
{
    if (message->err == 0 && !s->probing && aff_kafka_window_add(&s->window, message)) {
        s->at_end = false;
        s->behind_ns = 0;
        progress(s);
        return;
    }
    if (s->probing && (message->err == 0 || message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF))
        probed(s, message->offset);
    else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        event_end(s, message->offset);
    else if (message->err)
        event_error(s, message->err, message->offset, rd_kafka_message_errstr(message));
    rd_kafka_message_destroy(message);
}

void aff_kafka_event_error(struct aff_kafka_stream *s, rd_kafka_resp_err_t error)
{
    event_error(s, error, -1, NULL);
}
