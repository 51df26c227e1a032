/*
 * partitioner.c - MurmurHash2 as Kafka's Java client computes it. Pure; any thread.
 */
#include "router/partitioner.h"

#include <assert.h>

static const uint32_t seed = 0x9747b28c, multiplier = 0x5bd1e995;

static uint32_t little_endian_word(const unsigned char *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* The last one to three bytes, the first of them lowest. */
static uint32_t mix_tail(uint32_t h, const unsigned char *at, size_t len)
{
    if (len == 0)
        return h;
    for (size_t i = 0; i < len; i++)
        h ^= (uint32_t)at[i] << (8 * i);
    return h * multiplier;
}

uint32_t aff_murmur2(const void *data, size_t len)
{
    const unsigned char *at = data;
    uint32_t h = seed ^ (uint32_t)len;
    for (; len >= 4; at += 4, len -= 4) {
        uint32_t k = little_endian_word(at) * multiplier;
        k = (k ^ k >> 24) * multiplier;
        h = h * multiplier ^ k;
    }
    h = mix_tail(h, at, len);
    h = (h ^ h >> 13) * multiplier;
    return h ^ h >> 15;
}

uint32_t aff_partition_of(aff_bytes routed, uint32_t n)
{
    assert(n > 0);
    return (aff_murmur2(routed.data, routed.len) & 0x7fffffff) % n;
}
