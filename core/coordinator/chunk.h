/*
 * chunk.h - who holds and leads 256 partitions of a keyspace: the znode `keyspaces/<keyspace>/<chunk>`, and each step by which it changes.
 *
 * A node reads a chunk, makes a step on a copy, encodes it and writes it by compare-and-set on the znode's version. A step checks
 * what must hold before it; it returns 0, or a code and a reason and has changed nothing:
 *   AFF_EINVAL    nonsense: no such replica, not a name
 *   AFF_ECONFLICT the chunk has gone on: who asks is not the owner (any more), that hand-over is over
 *   AFF_EBUSY     somebody else has a right to the partition and lives
 *
 * I1: a major epoch goes to one incarnation, once. `epoch` is the highest that was ever granted or reserved, and only grows; a step
 * that grants takes a number above it, or one that was reserved for that very incarnation. Asserted in each step.
 *
 * The text is a JSON object, empty members left out:
 *   {"v":1,"first":0,"partitions":[{"epoch":9,"owner":"n1-0000000007","major":7,"next":"n2-0000000008","claim":8,"back":9,
 *    "target":"n2","pinned":true,"failed":"n3-0000000001","fails":1,"released":"n3-0000000001","why":"...",
 *    "replicas":["n1","n2","n3"],"leaving":["n3"]}]}
 * Members that are unknown are ignored, and lost when this node writes the chunk: so a later release writes new ones only when all live
 * members announce the feature. A form above 1 is refused (AFF_EREFUSED). What is malformed is AFF_ECORRUPT with the place.
 *
 * Pure: any thread, no clock.
 */
#ifndef AFF_COORDINATOR_CHUNK_H
#define AFF_COORDINATOR_CHUNK_H

#include "base/buf.h"
#include "coordinator/member.h"

#include <affinity/error.h>

enum {
    AFF_CHUNK_PARTITIONS = 256,
    AFF_CHUNK_WHY_MAX = 79,   /* bytes of a reason */
    AFF_CHUNK_FAILS_MAX = 3,  /* hand-overs to one incarnation that failed: the controller asks it no more */
    AFF_CHUNK_OFFERS_OF = 32, /* partitions of which one at a time is handed over */
};

struct aff_chunk_part {
    uint32_t epoch; /* the highest major epoch that was ever granted or reserved; 0: none yet */
    uint32_t major; /* granted to the owner; 0: no owner */
    char owner[AFF_MEMBER_MAX +
               1]; /* an incarnation; "": nobody. It stands here until another is granted, also when it is gone */
    char next[AFF_MEMBER_MAX + 1]; /* a hand-over to it is under way; "": none */
    uint32_t claim, back;          /* of a hand-over: reserved for `next`, and for the owner should it fail */
    char target[AFF_NODE_NAME_MAX +
                1]; /* should lead, as soon as it is in step; one of the replicas; "": who leads is fine */
    bool pinned;    /* the target was wished by a person: it stays when it is reached, and is not balanced away */
    char failed[AFF_MEMBER_MAX + 1]; /* the hand-over to it failed, `fails` times in a row */
    uint8_t fails;
    char released[AFF_MEMBER_MAX + 1]; /* gave the partition up by itself; "" once another is granted */
    char why[AFF_CHUNK_WHY_MAX + 1];
    uint8_t replicas_count;
    uint8_t leaving; /* a bit for each replica that goes when the others are in step */
    char replicas[AFF_REPLICAS_MAX]
                 [AFF_NODE_NAME_MAX + 1]; /* names of nodes, in the order of preference; the owner's is one of them */
};

struct aff_chunk {
    char keyspace[AFF_NODE_NAME_MAX + 1];
    uint32_t first, count; /* partitions first .. first + count - 1 */
    bool changed;          /* aff_assign() changed something; no part of the text */
    struct aff_chunk_part parts[AFF_CHUNK_PARTITIONS];
};

static inline uint32_t aff_chunks_of(uint32_t partitions)
{
    return (partitions + AFF_CHUNK_PARTITIONS - 1) / AFF_CHUNK_PARTITIONS;
}

/* The chunk `index` of a keyspace that nobody holds yet. */
void aff_chunk_init(struct aff_chunk *chunk, const char *keyspace, uint32_t partitions, uint32_t index);

/* Appends the text. AFF_ETOOLARGE above AFF_ZNODE_MAX. */
int aff_chunk_encode(const struct aff_chunk *chunk, struct aff_buf *out, aff_error *err);
/* Into an initialised chunk: the text must be of the same partitions. Nothing is changed when it fails. */
int aff_chunk_decode(struct aff_chunk *chunk, aff_bytes text, aff_error *err);

/* What always holds of a partition; NULL, or what does not. */
const char *aff_chunk_wrong(const struct aff_chunk_part *part);
/* The place of a node among the replicas, or -1. */
int aff_chunk_replica(const struct aff_chunk_part *part, const char *name);

/*
 * May one more hand-over begin? All at once they would wait for each other, at the log and at the znode, with writes that wait for
 * them: so a few at a time, one for each 32 partitions of the chunk.
 */
bool aff_chunk_has_room(const struct aff_chunk *chunk);

/* ---- the steps ---- */

/*
 * The controller: `member`, which holds a replica and lives, becomes the owner with the epoch after the highest. Nobody is granted a
 * partition while its owner or the node of a hand-over lives, unless it released it. Ends what was under way.
 */
int aff_chunk_grant(struct aff_chunk_part *part, const char *member, const struct aff_members *living, aff_error *err);
/* The owner learned from the log of the epoch `above`: it gets one above that, and above the highest. Ends a hand-over. */
int aff_chunk_raise(struct aff_chunk_part *part, const char *owner, uint32_t above, aff_error *err);
/* The owner begins to hand over to `to`, which holds a replica and lives: `claim` and `back` are reserved. */
int aff_chunk_offer(struct aff_chunk_part *part, const char *owner, const char *to, const struct aff_members *living,
                    aff_error *err);
/* Either side: `next` leads with `claim`, so it becomes the owner. No change and 0 when it is already. A target that is reached is cleared. */
int aff_chunk_taken(struct aff_chunk_part *part, const char *next, uint32_t claim, aff_error *err);
/* The owner: the hand-over failed, it goes on with `back`. Clears the target, and counts the failure. */
int aff_chunk_kept(struct aff_chunk_part *part, const char *owner, aff_error *err);
/* The controller or `next`: the owner is gone and `next` lives, so it becomes the owner with the `claim` that is reserved for it. */
int aff_chunk_inherit(struct aff_chunk_part *part, const struct aff_members *living, aff_error *err);
/* The owner gives the partition up; not during a hand-over. `why` is cut to AFF_CHUNK_WHY_MAX. */
int aff_chunk_release(struct aff_chunk_part *part, const char *owner, const char *why, aff_error *err);
/* Who should lead; NULL: who leads is fine. It must hold a replica that stays. */
int aff_chunk_aim(struct aff_chunk_part *part, const char *name, bool pinned, aff_error *err);
/* The replicas, and which of them go. Owner, node of a hand-over stay among them; a target that is not, or goes, is cleared. */
int aff_chunk_place(struct aff_chunk_part *part, const char *const *names, size_t count, uint8_t leaving,
                    aff_error *err);

#endif
