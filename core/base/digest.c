/*
 * digest.c - see digest.h. GnuTLS is named in tls.c besides, zlib in gzip.c. Any thread.
 */
#include "base/digest.h"

#include "base/buf.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

/* GnuTLS has no SHA-256 only when it is broken or out of memory; a digest that is not one must never be used. */
static void must(int result)
{
    if (result >= 0)
        return;
    fprintf(stderr, "affinity: SHA-256 failed: %s\n", gnutls_strerror(result));
    abort();
}

struct aff_digest aff_digest_of(const aff_bytes *parts, size_t count)
{
    gnutls_hash_hd_t hash = NULL;
    must(gnutls_hash_init(&hash, GNUTLS_DIG_SHA256));
    for (size_t i = 0; i < count; i++) {
        unsigned char len[8];
        aff_put_u64(len, parts[i].len);
        must(gnutls_hash(hash, len, sizeof len));
        if (parts[i].len)
            must(gnutls_hash(hash, parts[i].data, parts[i].len));
    }
    unsigned char whole[32];
    gnutls_hash_deinit(hash, whole);
    struct aff_digest digest;
    memcpy(digest.b, whole, sizeof digest.b);
    return digest;
}

void aff_digest_add(struct aff_digest *sum, struct aff_digest one)
{
    uint64_t more = aff_get_u64(one.b + 8), low = aff_get_u64(sum->b + 8) + more;
    aff_put_u64(sum->b, aff_get_u64(sum->b) + aff_get_u64(one.b) + (low < more));
    aff_put_u64(sum->b + 8, low);
}

void aff_digest_subtract(struct aff_digest *sum, struct aff_digest one)
{
    uint64_t before = aff_get_u64(sum->b + 8), low = before - aff_get_u64(one.b + 8);
    aff_put_u64(sum->b, aff_get_u64(sum->b) - aff_get_u64(one.b) - (low > before));
    aff_put_u64(sum->b + 8, low);
}

uint32_t aff_crc32(uint32_t before, const void *data, size_t len)
{
    return len ? (uint32_t)crc32_z(before, data, len) : before;
}
