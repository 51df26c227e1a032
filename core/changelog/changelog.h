/*
 * changelog.h - the contract between a partition and the log that it is kept in.
 *
 * A changelog holds topics (one per keyspace, named `<cluster>.<keyspace>`), each with a fixed number of partitions. A
 * partition of a topic is an ordered sequence of entries with dense offsets from 0 (sparse after compaction). Drivers:
 * `embedded` (files of this machine), `kafka`, `memory` (tests and trials). All meet this contract and its suite
 * (tests/contract/).
 *
 * Threads. A partition is opened for one loop. Every function that takes a `struct aff_changelog_part` is called on that
 * loop's thread and never blocks; every callback of its sink comes on that thread too, never from inside a call of this
 * interface. The driver hands the appends of a pass over in one batch at AFF_STAGE_LOG of that loop.
 *
 * What "appended" means. A report with status 0 says that the entry is in the log at `offset`, durable against a crash of
 * process and machine (embedded: after fdatasync; Kafka: acks=all), and that every entry before it is too.
 */
#ifndef AFF_CHANGELOG_CHANGELOG_H
#define AFF_CHANGELOG_CHANGELOG_H

#include "base/loop.h"

#include <affinity/bytes.h>
#include <affinity/error.h>
#include <stdbool.h>
#include <stdint.h>

struct aff_changelog;      /* a node's connection to the log */
struct aff_changelog_part; /* one partition, opened by its loop */

/* An entry as the log keeps it. Views are borrowed: on append until the call returns, in a callback until it returns. */
struct aff_entry {
    int64_t offset;  /* set by the log */
    int64_t time_ms; /* log append time, set by the log: max(time of the entry before, wall clock). Kafka: the wall clock of
                        whichever broker leads, so nothing may lean on its never going back */
    aff_bytes key;
    aff_bytes value; /* data == NULL: a tombstone */
    /* headers; data == NULL when absent */
    aff_bytes aff;          /* binary, see record.h */
    aff_bytes content_type; /* media type of the value */
    aff_bytes event_time;   /* decimal milliseconds since 1970, text */
    aff_bytes traceparent;  /* W3C trace context, text */
};

/* Key, value and headers of one entry together; more is AFF_ETOOLARGE. What Kafka adds fits beside it in a batch of 2 MiB. */
#define AFF_ENTRY_MAX ((2u << 20) - 4096)

static inline size_t aff_entry_size(const struct aff_entry *e)
{
    return e->key.len + e->value.len + e->aff.len + e->content_type.len + e->event_time.len + e->traceparent.len;
}

/*
 * What became of one append. Reports of one partition come in the order of the appends. After a report whose status is not 0
 * nothing that was handed over later through the same producer lands any more, until reset(): so among the entries of one
 * producer that are in the log none is missing (Kafka: enable.gapless.guarantee).
 */
struct aff_delivery_report {
    uint64_t seq;    /* the number given to append */
    int status;      /* 0; AFF_EVOID: certainly not in the log; AFF_EUNKNOWN: may be in the log, now or later */
    int64_t offset;  /* -1 when unknown, also with status 0 (Kafka: a duplicate that is too old) */
    int64_t time_ms; /* log append time, when status is 0 */
};

/* The answer to one read. */
struct aff_batch {
    uint64_t ticket; /* of the read that it answers */
    int status;      /* 0, or AFF_EIO / AFF_ECORRUPT with nothing read; the reader decides whether to ask again */
    const struct aff_entry *entries;
    size_t count;
    int64_t next;  /* the offset to ask for next: above every entry delivered and every hole passed */
    int64_t start; /* lowest offset that the log still has; holes that compaction made do not raise it */
    int64_t end;   /* one above the highest durable offset when the read was served */
};

/* Who opened a partition embeds this. */
struct aff_changelog_sink {
    void (*reports)(struct aff_changelog_sink *sink, const struct aff_delivery_report *reports, size_t count);
    void (*entries)(struct aff_changelog_sink *sink, const struct aff_batch *batch);
};

struct aff_topic {
    const char *name;          /* `<cluster>.<keyspace>`, at most 255 bytes */
    uint32_t partitions;       /* fixed for the topic's life; another count than stored is refused by name */
    int64_t compaction_lag_ms; /* younger entries are never compacted away */
    int64_t tombstone_retention_ms; /* a tombstone stays at least this long after it could first be removed */
    bool compact;              /* false: keep everything */
};

enum { AFF_READ_TO_END = 0, AFF_READ_WAIT = 1 };

struct aff_changelog_numbers {
    uint64_t syncs;             /* embedded: rounds of the writer that ended with a sync */
    uint64_t producers_rebuilt; /* kafka: producers that failed and were replaced */
};

struct aff_changelog_ops {
    const char *name;

    /* Makes the topic when it is new, checks it when it is not. Any thread, before its partitions are opened; may block. */
    int (*topic)(struct aff_changelog *log, const struct aff_topic *topic, aff_error *err);

    /* Opens partition `index` of a topic for `loop`. On the loop's thread or before the loop runs. */
    int (*open)(struct aff_changelog *log, const char *topic, uint32_t index, struct aff_loop *loop,
                struct aff_changelog_sink *sink, struct aff_changelog_part **ret_part, aff_error *err);
    /* No callback comes after it. Appends that were not reported yet may still land in the log. */
    void (*close)(struct aff_changelog_part *part);

    /*
     * Appends one entry; `seq` comes back in its report. 0, or with nothing appended and no report to come:
     * AFF_EAGAIN (too much in flight: wait for reports), AFF_ENOSPACE (no space left for it), AFF_ETOOLARGE, AFF_EUNSAFE
     * (the log is not as it must be, see `trouble`; nothing is taken until it is again).
     */
    int (*append)(struct aff_changelog_part *part, const struct aff_entry *entry, uint64_t seq) AFF_MUST_USE;

    /*
     * Asks for entries from offset `from` on; one answer, through `entries`, with at least one entry when there is one,
     * else with count 0 and next == end. AFF_READ_WAIT: when there is none, answer as soon as one comes (still possibly with
     * count 0: ask again). At most about `max_bytes` of keys and values, but always one entry. A new read replaces one
     * that is still open; its ticket tells them apart. Below `start` the read is answered from `start` on.
     */
    void (*read)(struct aff_changelog_part *part, int64_t from, size_t max_bytes, int mode, uint64_t ticket);

    /*
     * Gives the producer up: appends from now on go through a fresh one. Appends not reported yet will not be reported
     * any more (their outcome is unknown; the caller settles it by a claim and a read).
     */
    void (*reset)(struct aff_changelog_part *part);

    /*
     * Tells the compaction how far it may look: entries at or above `offset` (the first dirty one, or what is not applied
     * yet) are kept, and they do not make older entries of their key superfluous either. Drivers whose log compacts by
     * itself ignore it.
     */
    void (*keep_from)(struct aff_changelog_part *part, int64_t offset);

    /*
     * Is the log as it must be (I0)? 0, or AFF_EUNSAFE with what was found and what is wanted. Any thread. NULL: a driver
     * that nobody else can change.
     */
    int (*trouble)(struct aff_changelog *log, aff_error *ret_err);

    /*
     * When somebody on the other side answered last, to whatever was asked by those who read; monotonic ns, 0: not yet. As long as a
     * partition is followed that is a moment ago, unless nobody can be reached. Any thread. NULL: a log that is always there.
     */
    int64_t (*heard_ns)(struct aff_changelog *log);

    /* What it counts, for /metrics. Any thread. NULL: nothing. */
    void (*numbers)(struct aff_changelog *log, struct aff_changelog_numbers *ret_numbers);

    /* After every partition is closed. Waits until what was submitted is written. Returns NULL. */
    struct aff_changelog *(*free)(struct aff_changelog *log);
};

/* Every driver's object starts with this. */
struct aff_changelog {
    const struct aff_changelog_ops *ops;
};

struct aff_changelog_memory_opts {
    uint64_t max_in_flight; /* bytes accepted in the present pass, all partitions together; 0: 64 MiB */
    const struct aff_clock *clock;
    const struct aff_logger *logger;
};
int aff_changelog_memory_new(const struct aff_changelog_memory_opts *opts, struct aff_changelog **ret_log, aff_error *err);

struct aff_changelog_embedded_opts {
    const char *folder;      /* made when it is missing; locked: AFF_EBUSY with the holder's pid when somebody has it */
    uint64_t segment_bytes;  /* a segment is sealed when it grows beyond this; 0: 64 MiB */
    uint64_t max_in_flight;  /* bytes accepted and not synced yet, all partitions together; 0: 64 MiB */
    int64_t compact_every_ms; /* how often sealed segments are looked at; 0: 60 s; tests set less */
    uint64_t compact_map_bytes; /* memory for the keys of one round of compaction; 0: 64 MiB */
    const struct aff_clock *clock;
    const struct aff_logger *logger;
};
/* AFF_ECORRUPT names file and position; AFF_EBUSY, AFF_EIO, AFF_ENOSPACE likewise. */
int aff_changelog_embedded_new(const struct aff_changelog_embedded_opts *opts, struct aff_changelog **ret_log,
                               aff_error *err);

#endif
