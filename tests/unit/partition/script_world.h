/*
 * script_world.h - a world for the core that the test plays by hand: a small fake of partition/world.h.
 *
 * The log. What the core appends is "handed over", and nothing more, until the test says where it lands, what is
 * reported, what others write in between and what a read brings. The store is in memory, with one transaction; views
 * that it hands out die with the next change, as LMDB's do. The clock stands until it is moved. Coordinator and host
 * write down what they are told.
 *
 * Every function that brings the core an event ends the pass (aff_core_flush), as the loop does; a flush that asks for
 * another round for ever fails the test. So does an answer that leaves before its commit, a second answer, one that
 * never comes.
 */
#ifndef AFF_TESTS_SCRIPT_WORLD_H
#define AFF_TESTS_SCRIPT_WORLD_H

#include "lib/virtual_clock.h"
#include "partition/core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct script;

/* ---- the log ---- */

/* A record with bytes of its own. */
struct script_entry {
    struct aff_entry view;
    struct aff_stamp stamp;
    enum aff_kind kind;
    bool gone; /* compacted away */
    void *owned;
};

/* A record that the core handed over. */
struct script_sent {
    struct script_entry entry;
    unsigned producer;
    int64_t offset; /* where it landed, -1: it has not */
    bool reported, dropped;
};

/* ---- the store ---- */

struct script_pair {
    unsigned char *key, *value;
    size_t key_len, value_len;
};

struct script_table {
    struct script_pair *pairs; /* in order of their keys */
    size_t count;
};

enum { SCRIPT_TABLE_VALUES = AFF_TABLES, SCRIPT_TABLE_META, SCRIPT_TABLES };

/* The function of the store that fails next, and how. */
enum script_fault {
    STORE_GET,
    STORE_PUT,
    STORE_TABLE,
    STORE_COMMIT,
    STORE_ROOM,
    STORE_WIPE,
    STORE_EXPIRED,
    STORE_META,
    STORE_FAULTS
};

/* ---- requests ---- */

struct ask {
    struct aff_op op;
    struct script *script;
    struct aff_list link;
    int done, released;
    int order; /* of its answer among all answers, from 1 */
    char *key, *value;
    char staged[64], reply[64];
    char replied[64], replied_type[64]; /* as it was when the answer came */
    const char *verb;                   /* command: "+x" appends x, "=x" sets, "del", "none", "no" refuses */
    bool keeps_expiry;                  /* command: what it writes expires when the value that it read did */
    int runs;
    char seen[64]; /* the value that the command ran on, "-": none */
    struct aff_etag etag;
};

/* ---- all of it ---- */

struct script {
    struct aff_core *core;
    struct aff_core_opts opts;
    struct aff_virtual_clock clock;
    struct aff_world_log log;
    struct aff_world_store store;
    struct aff_world_coordinator coordinator;
    struct aff_world_net net;
    struct aff_world_entropy entropy;
    struct aff_world_host host;
    uint64_t drawn; /* what entropy gave last */

    struct script_entry *entries; /* by offset */
    int64_t end, start, room;
    struct script_sent *sent;
    size_t sent_count, settled, reported; /* below `settled` all landed or were dropped; below `reported` none waits */
    unsigned producer;                    /* raised by each reset */
    int append_code;                      /* what append returns instead of taking the record */
    int64_t log_time_ms;                  /* of the next record; INT64_MIN: the clock's */
    int64_t keep_from;
    bool read_open, read_wait;
    int64_t read_from;
    uint64_t read_ticket;
    struct aff_record decoded;

    struct script_table tables[SCRIPT_TABLES], committed[SCRIPT_TABLES];
    bool changed; /* the transaction holds changes */
    unsigned commits, wipes;
    int faults[STORE_FAULTS];
    uint64_t room_asked;
    struct aff_list views;

    bool asked_epoch;
    uint32_t epoch_above;
    unsigned deposed;
    aff_epoch deposed_by;
    unsigned heard;
    int64_t lease_until;

    /* hand-overs */
    struct aff_go go;       /* the last that was said */
    int64_t go_deadline_ns;
    unsigned goes, moved, gave_taken, gave_back, took, taken, refused;
    uint32_t took_major, taken_major;
    bool served_at_go; /* strict reads might be answered when it left */

    struct aff_standing standing; /* as last told to the host */

    struct aff_list asks;
    int answers;
};

/* Without a core yet, so that a test may change `opts`. Compaction lag 1 h, tombstones 7 d, no lease. */
struct script *script_new(void);
void script_free(struct script *s); /* frees the core too; checks that each request got one answer and one release */

/* cmocka fixtures: a script whose core is started and follows an empty log; one that leads epoch 1 (its CLAIM is
 * at 0). */
int script_setup(void **state);
int script_setup_leading(void **state);
int script_teardown(void **state);

void script_start(struct script *s); /* makes the core when there is none */
void script_lead(struct script *s);  /* the coordinator wants it, grants what is asked, the CLAIM lands and is read */
void script_grant(struct script *s, uint32_t major);
void script_resign(struct script *s);
/* The process ends without a word and starts anew on what was committed, with another nonce. */
void script_restart(struct script *s);
void script_make(struct script *s); /* a new core on the world as it stands */
void script_pass(struct script *s);
void script_after(struct script *s, int64_t ms); /* time passes; the core is ticked whenever it asked to be */

/* ---- the log, by hand ---- */

int64_t script_land(struct script *s);       /* the oldest record handed over is in the log now: its offset */
int64_t script_land_again(struct script *s); /* a second copy of the one that landed last */
void script_drop(struct script *s);          /* the oldest record handed over never lands */
void script_report(struct script *s);        /* the oldest that landed and was not reported is reported */
void script_report_as(struct script *s, int status, int64_t offset); /* the oldest not reported is reported like this */
void script_report_quietly(struct script *s);                        /* as script_report(), and the pass goes on */
void script_ack(struct script *s);                                   /* lands and is reported */
void script_ack_all(struct script *s);             /* all of them, and what the core appends thereupon */
size_t script_handed_over(const struct script *s); /* how many have neither landed nor been dropped */
struct script_sent *script_last_sent(struct script *s);
int64_t script_foreign(struct script *s, enum aff_kind kind, struct aff_stamp stamp, const char *key,
                       const char *value);
int64_t script_foreign_record(struct script *s, const struct aff_record *rec);
/* `identity`: 16 letters; NULL: the one that this log has. */
int64_t script_foreign_claim(struct script *s, struct aff_stamp stamp, const char *identity);
void script_compact(struct script *s, int64_t offset); /* compaction takes the record */
void script_truncate(struct script *s, int64_t end);   /* what stood from there on is lost */
void script_read(struct script *s);                    /* open reads are answered with all there is */
void script_read_some(struct script *s, size_t most);  /* the open read is answered with that many */
void script_read_fails(struct script *s, int status);

/* ---- requests ---- */

struct ask *ask_put(struct script *s, const char *key, const char *value);
struct ask *ask_delete(struct script *s, const char *key);
struct ask *ask_command(struct script *s, const char *key, const char *verb);
struct ask *ask_barrier(struct script *s);
void ask_id(struct ask *a, const char *id, const char *request);
void ask_deadline(struct ask *a, int64_t ms);
void ask_if_match(struct ask *a, int64_t offset);                             /* of a version of this log */
void script_submit(struct script *s, struct ask *a);                          /* and the pass ends */
void script_submit_quietly(struct script *s, struct ask *a);                  /* the pass goes on */
struct ask *script_put(struct script *s, const char *key, const char *value); /* asked and submitted */
struct ask *script_delete(struct script *s, const char *key);
struct ask *script_command(struct script *s, const char *key, const char *verb);
struct ask *script_barrier(struct script *s);

/* ---- what is there ---- */

const char *script_value(struct script *s, const char *key); /* committed; NULL: absent */
int64_t script_version(struct script *s, const char *key);   /* its offset, -1: absent */
bool script_is_dirty(struct script *s, aff_bytes key);       /* committed */
struct aff_stamp script_stamp(uint32_t major, uint16_t minor, uint64_t nonce, uint64_t seq);

/* Plain last-writer-wins by offset over the log gives what the store has (I7). */
void script_expect_plain_equals(struct script *s);

#define expect_role(s, expected) expect_role_at((s), (expected), __FILE__, __LINE__)
#define expect_waiting(a) expect_answer_at((a), 0, 0, AFF_OUTCOME_NONE, __FILE__, __LINE__)
#define expect_answer(a, code, outcome) expect_answer_at((a), 1, (code), (outcome), __FILE__, __LINE__)
#define expect_committed(a, offset) expect_committed_at((a), (offset), __FILE__, __LINE__)
#define expect_refused(a, code) expect_answer_at((a), 1, (code), AFF_OUTCOME_NOT_APPLIED, __FILE__, __LINE__)
#define expect_stored(s, key, value) expect_stored_at((s), (key), (value), __FILE__, __LINE__)
void expect_role_at(struct script *s, enum aff_role expected, const char *file, int line);
void expect_answer_at(struct ask *a, int done, int code, enum aff_outcome outcome, const char *file, int line);
void expect_committed_at(struct ask *a, int64_t offset, const char *file, int line);
void expect_stored_at(struct script *s, const char *key, const char *value, const char *file, int line);

#endif
