/*
 * kafka/reader.h - reads partitions for all loops: one thread with two consumers, one that tails and one that catches up.
 *
 * A consumer of librdkafka has calls that block for a moment (assign, seek, the start of a log), so they are made here and
 * never on a loop. A stream is one opened partition: its loop asks, the thread collects what librdkafka delivers, the loop
 * is rung and takes the answer; the messages are handed over as they are, without a copy.
 *
 * Reading begins with the catch-up consumer; a stream that waits at the end moves over to the tail. One that is not asked any
 * more is let go after a second, so that nothing is fetched for nobody.
 *
 * Threads. Functions marked (loop) are called on the stream's loop; everything else before the loops run or after.
 *
 *   bell.c      calls to the reader's thread, and its one wait
 *   consumer.c  a consumer of librdkafka and the partitions that it fetches
 *   window.c    what was read of a partition and not handed over yet
 *   stream.c    a read: from the question to the answer
 *   fetch.c     which consumer fetches a stream, and when
 *   entry.c     a message as an entry
 *   reader.c    the thread, and the side of the loops
 */
#ifndef AFF_CHANGELOG_KAFKA_READER_H
#define AFF_CHANGELOG_KAFKA_READER_H

#include "changelog/kafka/settings.h"

struct aff_kafka_reader;
struct aff_kafka_stream;

struct aff_kafka_reader_opts {
    const struct aff_kafka_settings *settings;
    const struct aff_clock *clock;
    const struct aff_logger *logger;
};
int aff_kafka_reader_new(const struct aff_kafka_reader_opts *opts, struct aff_kafka_reader **ret_reader,
                         aff_error *err);
/* Every stream is closed and every answer released. Waits for its thread, bounded also when no broker answers. Returns NULL. */
struct aff_kafka_reader *aff_kafka_reader_free(struct aff_kafka_reader *reader);
int64_t aff_kafka_reader_heard_ns(const struct aff_kafka_reader *reader); /* as aff_changelog_ops.heard_ns */

/* Who reads. `ready` comes on the reader's thread, under no lock: ring the loop. Not after aff_kafka_stream_close(). */
struct aff_kafka_stream_user {
    void (*ready)(struct aff_kafka_stream_user *user);
};

/* (loop) */
struct aff_kafka_stream *aff_kafka_stream_open(struct aff_kafka_reader *reader, const char *topic, uint32_t partition,
                                               struct aff_kafka_stream_user *user);
void aff_kafka_stream_close(struct aff_kafka_stream *stream);

/*
 * (loop) As aff_changelog_ops.read. `confirmed_end`: one above the highest offset that was reported for this partition; an
 * end of the partition that is below it is an old one and answers nothing.
 */
void aff_kafka_stream_read(struct aff_kafka_stream *stream, int64_t from, size_t max_bytes, int mode, uint64_t ticket,
                           int64_t confirmed_end);

/* What aff_kafka_stream_take() gives. */
struct aff_kafka_answer {
    struct aff_batch batch; /* entries point into the messages */
    struct aff_entry *entries;
    rd_kafka_message_t **messages;
    size_t count;
    /* the reader's */
    struct aff_kafka_reader *reader;
    size_t charge; /* memory that it takes, about */
    int64_t base;  /* lowest offset that it covers */
};
/* (loop) True: the answer to the last read, to be released. A read that was replaced is never answered. */
bool aff_kafka_stream_take(struct aff_kafka_stream *stream, struct aff_kafka_answer **ret_answer);
/* Any thread; also after the stream is closed, but before the reader is freed. */
void aff_kafka_answer_release(struct aff_kafka_answer *answer);

/* ---- pure: a message as an entry; views into it ---- */

/* Headers of other names are skipped; of two with one name the last counts. LogAppendTime, or CreateTime where there is no other. */
void aff_kafka_entry_of(const rd_kafka_message_t *message, struct aff_entry *ret_entry);

#endif
