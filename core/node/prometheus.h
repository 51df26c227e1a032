/*
 * prometheus.h - the text format of Prometheus (0.0.4), as much of it as we need: counters and gauges with labels.
 *
 *     aff_prom_family(&text, "aff_partition_applied", AFF_PROM_GAUGE, "Offset below which all records are applied");
 *     aff_prom_value(&text, 42, "keyspace", name, "partition", number, NULL);
 *
 * One thread a text. Running out of memory is remembered and told at the end.
 */
#ifndef AFF_NODE_PROMETHEUS_H
#define AFF_NODE_PROMETHEUS_H

#include "base/buf.h"

enum aff_prom_type { AFF_PROM_COUNTER, AFF_PROM_GAUGE };

struct aff_prom {
    struct aff_buf *buf;
    const char *family; /* that the values belong to */
    bool failed;        /* no memory */
};

/* The name and the help are constants of ours; a help has no backslash and no line end. */
void aff_prom_family(struct aff_prom *prom, const char *name, enum aff_prom_type type, const char *help);
/* Labels: pairs of name and value, ended by NULL; values are escaped. */
void aff_prom_value(struct aff_prom *prom, double value, ... /* const char *label, const char *value, NULL */)
    __attribute__((sentinel));

#endif
