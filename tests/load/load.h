/*
 * load.h - the parts of the load client: what its workers share, and what a worker is. See main.c.
 */
#pragma once

#include "http.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

enum { NODES_MAX = 16, KEY_MAX = 64 };

/* Set before the first worker starts, unless it says otherwise. */
struct load {
    const char *keyspace;
    FILE *history;
    char run[24]; /* part of every Idempotency-Key, so that two runs differ */
    unsigned keys, workers;
    int attempt_ms, short_attempt_ms, patience_ms, writer_gap_us;
    bool gives_up;    /* some writes that were not applied are not repeated */
    atomic_uint rate; /* requests a second of all mixed workers; 0: as fast as they are answered */
    atomic_bool stopping;
    atomic_ullong requests, failed, repeated;

    /* Under `lock`. A new list of nodes has another number. */
    pthread_mutex_t lock;
    struct sockaddr_in nodes[NODES_MAX];
    unsigned nodes_count;
    atomic_uint nodes_version;
};

struct worker {
    struct load *load;
    char name[24];
    char own_key[KEY_MAX]; /* a writer's; "": mixed */
    int attempt_ms;
    uint64_t random;
    unsigned long made;
    pthread_t thread;
    struct http_connection connections[NODES_MAX];
    int64_t avoid_until_ns[NODES_MAX]; /* one that refused is left alone for a moment */
    unsigned connections_count, version;
    struct http_answer answer;
};

int64_t load_now_ns(void);

/* Starts its thread. `own_key` may be NULL. */
void worker_start(struct worker *worker, struct load *load, unsigned number, const char *own_key);
