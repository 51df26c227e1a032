/*
 * embedded/journal.h - what the parts of the driver `embedded` share: the journal of one data folder.
 *
 *   loops      embedded.c   encode appends into chunks, hand the chunks of a pass over, take reports and read answers
 *   writer     writer.c     one thread: places, writes and syncs chunks; grows and seals segments; the only one that appends
 *   reader     reader.c     one thread: serves reads from the segment files
 *   compactor  compactor.c  one thread: replaces sealed segments
 *
 * A chunk goes loop -> queue -> writer -> port->done -> loop. A read goes loop -> j->reads -> reader -> port->ready -> loop;
 * one that waits for an entry stands in its partition's `waiting` until the writer has synced one.
 *
 * Two locks, neither held across I/O or a callback: `lock` is between loops and threads and held for moments only;
 * `map_lock` is between the threads (loops never take it) and guards the list of segments, the size and the index of the
 * one that is written to. Order: never both. What is durable enters the map first, then the partitions' ends.
 */
#ifndef AFF_CHANGELOG_EMBEDDED_JOURNAL_H
#define AFF_CHANGELOG_EMBEDDED_JOURNAL_H

#include "changelog/changelog.h"
#include "changelog/embedded/segment.h"
#include "changelog/port.h"

#include <pthread.h>
#include <stdatomic.h>

struct embedded_part;
struct embedded_port;
struct journal;

/* ---- topics and partitions: made once, never freed before the journal ---- */

struct jpartition {
    struct jtopic *topic;
    uint32_t index;  /* in its topic */
    uint32_t number; /* among all of the journal, for the index */

    /* writer */
    int64_t next_offset;
    struct jpartition *touched_next; /* in the present round; itself at the end of the list, NULL when not on it */

    /* lock */
    int64_t end;             /* one above the highest durable offset */
    int64_t keep_from;       /* as told last by a handle that is closed now */
    struct aff_list parts;   /* of embedded_part.sibling */
    struct aff_list waiting; /* of embedded_part.read.link */
};

struct jtopic {
    uint32_t id; /* from 1, as stored */
    char *name;
    uint32_t partition_count;
    struct jpartition *partitions;

    /* lock */
    bool compact; /* and the topic was declared in this run; else nothing of it goes */
    int64_t compaction_lag_ms, tombstone_retention_ms;
};

/* ---- appends ---- */

struct chunk_item {
    struct embedded_part *part; /* loop: who waits for the report; NULL: nobody any more */
    uint64_t seq;               /* loop */
    struct jpartition *partition;
    uint32_t at, size;       /* of the entry in `bytes` */
    int64_t offset, time_ms; /* writer */
};

struct chunk {
    struct aff_list link; /* loop: port->chunks, from the first append until the reports are out */
    struct chunk *next;   /* in j->queue, port->done or port->spare */
    struct embedded_port *port;
    struct aff_buf bytes;
    struct chunk_item *items;
    size_t count, capacity;
    uint64_t charged;  /* space that its appends took */
    uint64_t position; /* writer: of the batch that it became part of */
};

struct chunk_queue {
    struct chunk *first, **last;
};
static inline void chunk_queue_init(struct chunk_queue *q)
{
    q->first = NULL;
    q->last = &q->first;
}
static inline void chunk_queue_add(struct chunk_queue *q, struct chunk *c)
{
    c->next = NULL;
    *q->last = c;
    q->last = &c->next;
}
struct chunk *aff_chunk_free(struct chunk *chunk); /* returns NULL */

/* ---- reads ---- */

enum jread_state {
    JREAD_IDLE,
    JREAD_WAITING, /* on partition->waiting: there is nothing yet */
    JREAD_QUEUED,  /* on j->reads */
    JREAD_RUNNING, /* the reader is at it and owns `answer` and `cursor` */
    JREAD_READY,   /* on port->ready; the loop owns `answer` */
};

struct jread_want {
    int64_t from;
    size_t max_bytes;
    int mode;
    uint64_t ticket;
};

struct jread_answer {
    uint64_t ticket;
    int status;
    int64_t next, end;
    struct aff_buf bytes; /* stored entries, one after the other */
    struct aff_entry *entries;
    size_t count, capacity;
};

/* Where the read before stopped, so that the next one need not search. */
struct jread_cursor {
    uint64_t serial; /* of the segment; 0: none */
    uint64_t position;
    int64_t offset; /* what is read from there */
};

struct jread {
    enum jread_state state; /* lock, as `link` and `want` */
    struct aff_list link;
    struct jread_want want;
    bool again; /* lock: while it runs, `want` was replaced */
    struct jread_answer answer;
    struct jread_cursor cursor;
};

/* ---- handles ---- */

/* Behind `struct aff_changelog_part` in the interface. */
struct embedded_part {
    struct journal *journal;
    struct embedded_port *port;
    struct jpartition *partition;
    struct aff_changelog_sink *sink;

    /* lock */
    struct aff_list sibling; /* partition->parts */
    int64_t keep_from;       /* -1: never told */
    bool closed;             /* the reader, being at its read, frees it */
    struct jread read;

    /* loop */
    struct aff_list reporting; /* on port->reporting while `reports` has some */
    struct aff_delivery_report *reports;
    size_t report_count, report_capacity;
};

struct embedded_port {
    struct aff_port port;
    struct journal *journal;

    /* lock */
    struct aff_list link;    /* j->ports */
    struct chunk_queue done; /* chunks whose reports are due */
    struct aff_list ready;   /* of embedded_part.read.link */
    size_t under_way;        /* chunks between submit and done */
    bool closed;             /* no ring, no done: whoever brings the last chunk back frees it */
    bool gone;               /* the loop has let go of it */

    /* loop */
    size_t users;           /* parts open */
    struct chunk *filling;  /* that the next append goes into, NULL: none yet */
    struct chunk_queue out; /* full ones of this pass */
    size_t out_count;
    struct chunk *spare;
    struct aff_list chunks;        /* all that hold a part: filling, out, under way, done */
    struct aff_list reporting;     /* of embedded_part.reporting */
    struct embedded_part *current; /* whose sink is being called */
    struct jread_answer spare_answer;
};

/* ---- the journal ---- */

struct journal {
    struct aff_changelog base;

    /* constant after start */
    char *folder;
    int dir_fd, lock_fd;
    uint64_t segment_bytes, max_in_flight;
    uint64_t ahead; /* space that is kept allocated for appends to come */
    int64_t compact_every_ms;
    uint64_t compact_map_bytes;
    const struct aff_clock *clock;
    const struct aff_logger *logger;
    pthread_t writer, reader, compactor;
    bool writer_runs, reader_runs, compactor_runs;

    pthread_mutex_t
        topics_lock; /* one change of the topics file at a time; held across its I/O, never with the others */

    pthread_mutex_t lock;   /* guards what follows */
    struct jtopic **topics; /* by id - 1 */
    size_t topic_count;
    struct jpartition **partitions; /* by number */
    size_t partition_count;
    uint64_t rules_version; /* counts topics that began to be compacted */
    struct aff_list ports;
    struct chunk_queue queue;
    bool writer_sleeps, wants_space;
    struct aff_list reads;
    bool stop_writer, stop_reader;
    pthread_cond_t work, read_work;

    pthread_mutex_t map_lock;      /* guards what follows */
    struct aff_segment **segments; /* ascending; the last one is written to */
    size_t segment_count, segment_capacity;
    uint64_t next_serial;
    uint64_t compactions_wanted, compactions_done;
    int compaction_code; /* of the pass that was done last */
    bool stop_compactor;
    pthread_cond_t compact_work, compact_done;

    atomic_uint_fast64_t in_flight; /* bytes accepted and not synced */
    atomic_int_fast64_t space;      /* bytes allocated and not taken by an append */
    atomic_uint_fast64_t syncs;     /* rounds of the writer */
    atomic_bool full;               /* the file system had no more space when it was asked last */

    /* writer */
    struct aff_segment *active;           /* the last of the list */
    int64_t last_ms;                      /* log time of the newest entry */
    int64_t roll_after_ns, grow_after_ns; /* after a failure: not again before */
};

/* Puts a segment at the end of the list (it then has a serial). map_lock held, or before threads run. */
void aff_journal_push_segment(struct journal *j, struct aff_segment *segment);
/* The last one. map_lock held, or before threads run; the writer has j->active. */
static inline struct aff_segment *journal_last(const struct journal *j)
{
    return j->segments[j->segment_count - 1];
}

#endif
