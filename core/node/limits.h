/*
 * limits.h - what a node takes of the machine: open files, and address space for the stores.
 *
 * One thread, while a node starts.
 */
#ifndef AFF_NODE_LIMITS_H
#define AFF_NODE_LIMITS_H

#include <affinity/error.h>
#include <stdint.h>

struct aff_needs {
    uint64_t connections, partitions, loops, listeners;
    uint64_t segments; /* of the embedded changelog, as found */
    uint64_t clients;  /* of Kafka */
};

uint64_t aff_needs_files(const struct aff_needs *needs);

/* Raises the process's limit of open files as far as it may. AFF_ECONFIG when that is less than the needs: the text names
 * the numbers. */
int aff_needs_raise(const struct aff_needs *needs, aff_error *err);

/* Address space of one store: as much as the address space allows for all of them, 1 TiB at most. */
uint64_t aff_map_bytes(uint64_t partitions);

#endif
