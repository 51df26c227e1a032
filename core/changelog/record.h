/*
 * record.h - the `aff` header of an entry: who wrote it, in which mastership, and what it means.
 *
 * Pure: bytes in, struct out, and back. The layout is a table in doc/protocol.md with test vectors; readers skip fields
 * that they do not know, so a later release can add some. Also the validity rule, the heart of the protocol: the log, not
 * the coordinator, decides whose records count.
 */
#ifndef AFF_CHANGELOG_RECORD_H
#define AFF_CHANGELOG_RECORD_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/key_route.h"
#include "changelog/changelog.h"

enum aff_kind {
    AFF_KIND_FOREIGN = 0, /* no header, or one that cannot be read: never valid */
    AFF_KIND_DATA = 1,
    AFF_KIND_CLAIM = 2,
    AFF_KIND_BARRIER = 3,
    AFF_KIND_REPAIR = 4,
};

/* Epoch: major in the upper 32 bits (granted through the coordinator), minor in the lower 16 (raised by its owner). */
typedef uint64_t aff_epoch;
#define AFF_EPOCH_MAX ((UINT64_C(1) << 48) - 1)
static inline aff_epoch aff_epoch_of(uint32_t major, uint16_t minor)
{
    return (uint64_t)major << 16 | minor;
}
static inline uint32_t aff_epoch_major(aff_epoch e)
{
    return (uint32_t)(e >> 16);
}
static inline uint16_t aff_epoch_minor(aff_epoch e)
{
    return (uint16_t)e;
}

/* (E, N, S): mastership, nonce of the incarnation, dense number within both. The CLAIM is number 0. */
struct aff_stamp {
    aff_epoch epoch;
    uint64_t nonce;
    uint64_t seq;
};

/*
 * The validity rule: reading in offset order with `cur` = stamp of the last valid record, a record counts if its epoch is
 * higher, or if epoch and nonce are the same and its number is higher. Everything else is void. A zero `cur` precedes all.
 */
static inline bool aff_stamp_valid(struct aff_stamp cur, struct aff_stamp s)
{
    return s.epoch > cur.epoch || (s.epoch == cur.epoch && s.nonce == cur.nonce && s.seq > cur.seq);
}
static inline bool aff_stamp_same_owner(struct aff_stamp a, struct aff_stamp b)
{
    return a.epoch == b.epoch && a.nonce == b.nonce;
}

#define AFF_IDEM_REPLY_MAX 4096 /* a longer reply is remembered as status and version only */

/* One remembered request: what a repeat with the same id is answered with. */
struct aff_idem {
    struct aff_digest id;      /* of principal, keyspace, key, method, command and Idempotency-Key */
    struct aff_digest request; /* of what was asked; a repeat with another one is refused */
    uint16_t status;           /* HTTP status of the answer */
    bool versioned;            /* the answer carried the record's version as ETag */
    bool cut;                  /* the reply was longer than AFF_IDEM_REPLY_MAX and is not kept */
    aff_bytes content_type;    /* of the reply; empty when there is none; at most 255 bytes */
    aff_bytes reply;
};

#define AFF_RECORD_IDEMS_MAX 64 /* ids that one record can carry: commands that were merged into it */

/* A record: an entry with its header read. Views are borrowed from the entry. */
struct aff_record {
    int64_t offset;  /* -1 before it is in the log */
    int64_t time_ms; /* log append time */
    enum aff_kind kind;
    struct aff_stamp stamp;
    aff_bytes key;
    aff_bytes value; /* data == NULL: delete */
    aff_bytes content_type;
    aff_bytes traceparent;
    int64_t expires_ms; /* absolute, AFF_NO_TIME: never */
    int64_t event_ms;   /* event time, AFF_NO_TIME: none */
    /* REPAIR: the version that the re-appended value keeps; kept_offset -1: the repair confirms a delete */
    int64_t kept_offset, kept_time_ms;
    aff_bytes route; /* CLAIM: what decides on the partition of a key (base/key_route.h), as text; empty: the whole key */
    struct aff_idem idems[AFF_RECORD_IDEMS_MAX];
    uint32_t idem_count;
};

void aff_record_init(struct aff_record *rec); /* an empty DATA record without times */

/* Writes the `aff` header of `rec` into `buf` (cleared first). False: out of memory. */
bool aff_record_encode(const struct aff_record *rec, struct aff_buf *buf) AFF_MUST_USE;

/*
 * Reads an entry. Anything that is not a well-formed header of a known version yields kind AFF_KIND_FOREIGN with key,
 * value, offset and time filled: void by definition, never an error.
 */
void aff_record_decode(const struct aff_entry *entry, struct aff_record *rec);

/* ---- control records: keys that begin with "\0aff" ---- */

#define AFF_CONTROL_PREFIX "\0aff/"
#define AFF_CONTROL_PREFIX_LEN 5
#define AFF_CONTROL_KEY_MAX 64

static inline bool aff_key_is_control(aff_bytes key)
{
    return key.len > 0 && ((const unsigned char *)key.data)[0] == 0;
}
/* "\0aff/claim/<E hex, 12 digits>/<N hex, 16 digits>": unique, so compaction keeps every mastership. Returns its length. */
size_t aff_claim_key(struct aff_stamp stamp, char out[AFF_CONTROL_KEY_MAX]);
#define AFF_BARRIER_KEY "\0aff/barrier"
#define AFF_BARRIER_KEY_LEN 12

#define AFF_IDENTITY_LEN 16
#define AFF_CLAIM_EPOCHS_MAX 1024

/* An ended mastership: the last valid number that it wrote. */
struct aff_epoch_end {
    aff_epoch epoch;
    uint64_t nonce;
    uint64_t last_seq;
};

/* The value of a CLAIM: the log's identity and the masterships before, oldest first. */
struct aff_claim {
    unsigned char identity[AFF_IDENTITY_LEN];
    const unsigned char *epochs; /* packed; read with aff_claim_epoch() */
    uint32_t epoch_count;
};
bool aff_claim_encode(const unsigned char identity[AFF_IDENTITY_LEN], const struct aff_epoch_end *epochs, uint32_t count,
                      struct aff_buf *buf) AFF_MUST_USE;
bool aff_claim_decode(aff_bytes value, struct aff_claim *ret_claim); /* false: not a claim's value */
struct aff_epoch_end aff_claim_epoch(const struct aff_claim *claim, uint32_t index);

#endif
