/*
 * digest.h - hashes: SHA-256 cut to 128 bits (identities of requests) and CRC-32 (blocks on disk).
 *
 * 128 bits of SHA-256: a client who may choose idempotency keys must not be able to make two of them collide.
 */
#ifndef AFF_BASE_DIGEST_H
#define AFF_BASE_DIGEST_H

#include <affinity/bytes.h>
#include <stdint.h>

struct aff_digest {
    unsigned char b[16];
};

/* The digest of the parts, each preceded by its length: ("ab","c") and ("a","bc") differ. */
struct aff_digest aff_digest_of(const aff_bytes *parts, size_t count);

static inline bool aff_digest_equal(struct aff_digest a, struct aff_digest b)
{
    return memcmp(a.b, b.b, sizeof a.b) == 0;
}

/*
 * The digest of a set is the sum of the digests of its members, modulo 2^128: it does not depend on their order, and
 * members come and go. All zeros is that of the empty set.
 */
void aff_digest_add(struct aff_digest *sum, struct aff_digest one);
void aff_digest_subtract(struct aff_digest *sum, struct aff_digest one);

uint32_t aff_crc32(uint32_t before, const void *data, size_t len); /* zlib's; start with 0 */

#endif
