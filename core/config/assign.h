/*
 * assign.h - one line of a keyspace's static lists taken apart: "0-3": "n1, n2". Any thread.
 */
#ifndef AFF_CONFIG_ASSIGN_H
#define AFF_CONFIG_ASSIGN_H

#include "config/config.h"

enum { AFF_ASSIGN_MAX = 7 }; /* nodes of a partition */

struct aff_assign {
    uint32_t first, last; /* partitions */
    aff_bytes nodes[AFF_ASSIGN_MAX];
    size_t count; /* of them */
};

/* False: `err` tells what is wrong, for a text that goes on "<path>: ". */
bool aff_assign_read(const struct aff_config_keyspace *keyspace, const struct aff_config_property *line,
                     struct aff_assign *ret_assign, aff_error *err);

#endif
