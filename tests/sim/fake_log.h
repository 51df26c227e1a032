/*
 * fake_log.h - the changelog: one partition as a log with acks=all and idempotent producers keeps it.
 *
 * What it does: the appends of one producer land in order, after any delay; those of different producers in any order. A
 * producer that was given up (reset, crash) may see some of its appends land much later. A report may be late, say "unknown",
 * lack the offset, or name either copy of a record that landed twice. Reads come late and in pieces; a read that was replaced
 * may be answered all the same. Old records are compacted away.
 * What it never does: lose a record that landed, reorder one producer's records, or let one land after an earlier one of the
 * same producer was dropped.
 */
#ifndef AFF_SIM_FAKE_LOG_H
#define AFF_SIM_FAKE_LOG_H

#include "sim.h"

#include "base/map.h"

enum { SIM_KEY_BARRIER = SIM_KEYS_MAX }; /* keys of clients are 0 to SIM_KEYS_MAX - 1, others come above this */

/* A record, kept until the run ends, whether compacted away or not. */
struct sim_entry {
    struct aff_entry view; /* as a reader gets it */
    int key;               /* number of its key */
    int node;              /* who wrote it, -1: somebody else */
    bool zombie;           /* its producer had been given up when it landed */
    int64_t landed_ns;
    int64_t horizon_ms; /* a tombstone may go from then on; 0: not set yet */
    bool removed;

    /* filled by truth.c */
    enum aff_kind kind;
    struct aff_stamp stamp;
    bool valid;
};

struct sim_producer;

struct sim_log {
    struct sim *sim;
    struct sim_entry **entries; /* by offset */
    int64_t end, capacity;
    int64_t *left; /* offsets that compaction left, ascending */
    int64_t left_count, left_capacity;
    struct aff_map keys; /* numbers of keys */
    int key_count;
    struct aff_list producers; /* all of the run */
    struct aff_list parked;    /* reads that wait for a record */
    struct aff_list reads;     /* under way */
    int64_t outage_until_ns;
    int64_t unsafe_until_ns; /* takes nothing, because it is not as it must be (I0) */
    int64_t clean_bound;     /* compaction has removed records below it, by what stands below it */
    int64_t tombstones_gone; /* one above the last tombstone that was removed */
    struct aff_buf buf;
};

struct sim_log *sim_log_new(struct sim *sim);
struct sim_log *sim_log_free(struct sim_log *log);
int sim_log_key(struct sim_log *log, aff_bytes key); /* its number */
int64_t sim_log_now_ms(const struct sim *sim);       /* the broker's clock */

struct sim_producer *sim_producer_new(struct sim_log *log, int node);
int sim_producer_append(struct sim_producer *p, const struct aff_record *rec);
void sim_producer_give_up(struct sim_producer *p); /* no report comes any more; what is under way may land, or not */
bool sim_producer_is_idle(const struct sim_producer *p); /* whatever it took has landed, or will not */
void sim_producer_stall(struct sim_producer *p, int64_t until_ns);
/* Is a record with that key not reported yet? The newest. */
bool sim_producer_unreported(const struct sim_producer *p, int key, struct aff_stamp *ret_newest);
void sim_producer_reported(struct sim_producer *p, int key); /* the node has seen a report */

/* The answer reaches the node's inbox. */
void sim_log_read(struct sim_log *log, struct sim_node *node, int64_t from, bool wait, uint64_t ticket);

/* Somebody who is no node writes to a client's key. */
void sim_log_foreign(struct sim_log *log, int key);
void sim_log_outage(struct sim_log *log, int64_t until_ns);
void sim_log_distrust(struct sim_log *log, int64_t until_ns);
void sim_log_compact(struct sim_log *log);
void sim_log_settle(struct sim_log *log); /* the end of the faults: nothing lands late any more */

/* ---- between its files ---- */

int64_t sim_log_delay(struct sim *sim);
struct sim_entry *sim_entry_new(struct sim_log *log, const struct aff_entry *from, int node); /* not in the log yet */
void sim_log_land(struct sim_log *log, struct sim_entry *e);                                  /* now it is */
struct sim_producer *sim_producer_of(struct aff_list *link);
void sim_producer_plan(struct sim_producer *p); /* its next append lands, as far as the log works */
void sim_producer_settle(struct sim_producer *p);
struct sim_producer *sim_producer_free(struct sim_producer *p);

#endif
