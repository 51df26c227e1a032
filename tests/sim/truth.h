/*
 * truth.h - what the log really says: each record is judged when it lands, by a validity rule written down a second time and
 * simpler than the core's (major, minor, nonce, number; nothing else). From it: the states that each client's key went through,
 * and for every offset the digest of the state, the dirty keys and the owner, so that a replica is compared in one step.
 */
#ifndef AFF_SIM_TRUTH_H
#define AFF_SIM_TRUTH_H

#include "fake_log.h"

/* A key's state from this record on, until the next one. */
struct sim_state {
    const struct sim_entry *entry; /* NULL: the beginning */
    bool exists;
    struct aff_item item; /* views into the entry */
};

struct sim_key {
    struct sim_state *states; /* never empty */
    int count, capacity;
    const struct sim_entry *last; /* the last record, whatever it is; NULL: none */
    bool dirty;                   /* that one is void */
    int64_t dirty_since_ns;
    int64_t dirty_offset;
    int seen; /* the newest state that a client knows of: reads from now on must see it */
};

/* The log below an offset. */
struct sim_prefix {
    uint64_t values_digest, dirty_digest, dirty_count;
    struct aff_stamp cur; /* of the last valid record */
};

struct sim_truth {
    struct sim *sim;
    struct sim_key keys[SIM_KEYS_MAX];
    struct sim_prefix *prefixes; /* by offset, one more than records */
    int64_t capacity;
    int64_t claim_offset; /* of the last valid CLAIM */
    struct aff_record scratch;
};

struct sim_truth *sim_truth_new(struct sim *sim);
struct sim_truth *sim_truth_free(struct sim_truth *t);
void sim_truth_landed(struct sim_truth *t, struct sim_entry *entry);

const char *sim_key_name(const struct sim *sim, int key); /* "r0", "l2"; NULL: no key of clients */
bool sim_key_is_ledger(const struct sim *sim, int key);
int sim_client_keys(const struct sim *sim); /* numbers are 0 to this - 1 */

const struct sim_prefix *sim_truth_at(const struct sim_truth *t, int64_t offset);
/* The state that has this version, or -1. */
int sim_truth_find(const struct sim_key *key, int64_t version_offset);
/* The valid record with this stamp, or NULL. */
const struct sim_entry *sim_truth_record(const struct sim_truth *t, struct aff_stamp stamp);
bool sim_stamp_owner(struct aff_stamp a, struct aff_stamp b);

#endif
