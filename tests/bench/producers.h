/*
 * producers.h - librdkafka, told what Affinity tells it: what plain_kafka.c and rdkafka_alone.c share.
 *
 * A few idempotent producers, acks=all, linger 0, Nagle's algorithm off, one topic, partitions chosen here by murmur2 of the
 * key and passed explicitly. One thread; what goes wrong ends the program.
 */
#ifndef TESTS_BENCH_PRODUCERS_H
#define TESTS_BENCH_PRODUCERS_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PRODUCERS_MAX = 8, PRODUCERS_PARTITIONS = 8 };

struct producers {
    rd_kafka_t *instances[PRODUCERS_MAX];
    rd_kafka_topic_t *topics[PRODUCERS_MAX];
    unsigned count;
    int fd; /* readable when there are reports */
    void (*reported)(void *opaque, bool landed, int64_t offset);
};

/* Makes the topic when it is new, with settings like those of a changelog, and waits until it can be produced to. */
void producers_start(struct producers *self, const char *bootstrap, const char *topic, unsigned count);

/* `value` is borrowed until the report. */
void producers_send(struct producers *self, const char *key, size_t key_len, void *value, size_t value_len,
                    void *opaque);

/* Calls `reported` for all that has been reported; returns how many that were. Does not wait; `fd` tells when to call it. */
int producers_poll(struct producers *self);

#endif
