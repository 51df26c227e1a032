/*
 * partitioner.h - which partition a key belongs to: Kafka's default partitioner, so that every Kafka client agrees.
 *
 * Pure; any thread.
 */
#ifndef AFF_ROUTER_PARTITIONER_H
#define AFF_ROUTER_PARTITIONER_H

#include <affinity/bytes.h>
#include <stdint.h>

/* MurmurHash2, 32 bits, with Kafka's seed. */
uint32_t aff_murmur2(const void *data, size_t len);

/* (murmur2(routed) & 0x7fffffff) % n; n is at least 1. `routed`: the bytes of a key that decide (base/key_route.h), mostly all. */
uint32_t aff_partition_of(aff_bytes routed, uint32_t n);

#endif
