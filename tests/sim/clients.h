/*
 * clients.h - who uses the partition: writes with values of their own, commands on ledgers, reads, repeats of what became
 * unknown, questions about outcomes.
 *
 * A register holds the text of the last write. A ledger holds the list of all commands that changed it, so its value alone tells
 * whether one is missing, doubled or out of order. An attempt is one operation handed to one node; a request is what a client
 * wants done once: its attempts share an idempotency id.
 */
#ifndef AFF_SIM_CLIENTS_H
#define AFF_SIM_CLIENTS_H

#include "node.h"

enum sim_call {
    SIM_PUT,
    SIM_DELETE,
    SIM_DEPOSIT,  /* command: one more in the ledger */
    SIM_WITHDRAW, /* command: one less, refused when there is none */
    SIM_PEEK,     /* command: how many? writes nothing */
    SIM_READ,     /* strict read of all keys, by lease if there is one, else by barrier */
    SIM_LOOKUP,   /* what became of an earlier attempt? */
};

struct sim_request {
    struct aff_digest id;
    enum sim_call call;
    int key;
    int attempts;
    bool settled;                       /* its client knows what became of it */
    const struct sim_attempt *valid[2]; /* the last attempt of each variant that counted in the log */
    int64_t valid_ms;
};

/* What a read saw of one key. */
struct sim_sight {
    bool exists;
    int64_t version_offset;
    uint64_t hash;
};

struct sim_attempt {
    struct sim *sim;
    uint32_t id;
    enum sim_call call;
    int key;
    struct sim_request *request; /* NULL: no idempotency id */
    int variant;                 /* 0, or 1: the same id for another request */
    struct sim_attempt *target;  /* of a lookup */
    int node;
    uint64_t incarnation;
    int64_t deadline_ns; /* monotonic clock of the node; 0: none */
    int64_t ttl_ms;
    struct aff_conditions conditions;
    struct aff_etag etag;
    uint64_t value_hash;    /* of a PUT: value and content type */
    int seen[SIM_KEYS_MAX]; /* states that were known when it was made: what it reports must not be older */
    struct sim_sight sights[SIM_KEYS_MAX];
    struct aff_stamp reader; /* mastership under which a lease read began */

    uint64_t in_flight;      /* records, when it was handed over */
    bool submitted, done, released;
    bool lost;                /* its node went down: the client heard nothing */
    struct aff_result result; /* its views are void */
    size_t reply_len;
    uint64_t reply_hash;
    int64_t submitted_ns;
    int64_t valid_offset; /* of the valid record that holds it, -1: none so far */
    bool ruled_out;       /* a lookup said that it is not applied */
};

struct sim_clients {
    struct sim *sim;
    struct sim_attempt **attempts;
    uint32_t count, capacity;
    struct sim_request **requests;
    uint32_t request_count, request_capacity;
    uint32_t first_open;  /* all before it are answered */
    uint32_t outstanding; /* attempts that were made and not released */
};

struct sim_clients *sim_clients_new(struct sim *sim);
struct sim_clients *sim_clients_free(struct sim_clients *c);
void sim_clients_step(struct sim_clients *c); /* something, or some things at once */

/* For the last phase. */
struct sim_attempt *sim_clients_make(struct sim_clients *c, enum sim_call call, int key, int node);
void sim_clients_send(struct sim_attempt *a);
void sim_clients_repeat(struct sim_clients *c, struct sim_request *r, int node);

/* ---- called by the node (attempt.c) ---- */

void sim_attempt_submit(struct sim_node *n, struct sim_attempt *a);
void sim_attempt_lost(struct sim_attempt *a); /* it did not reach its node */

/* ---- values ---- */

enum { SIM_EVENT_BASE = 1000000 }; /* event time of a write: this plus the number of its attempt */

/* A ledger's value: the numbers of attempts, 4 bytes each, a withdrawal with the top bit set. */
#define SIM_WITHDRAWAL UINT32_C(0x80000000)
static inline size_t sim_ledger_count(aff_bytes value)
{
    return value.len / 4;
}
static inline uint32_t sim_ledger_token(aff_bytes value, size_t index)
{
    return aff_get_u32((const unsigned char *)value.data + 4 * index);
}
/* Deposits less withdrawals among the first `count` tokens. */
int64_t sim_ledger_balance(aff_bytes value, size_t count);

#endif
