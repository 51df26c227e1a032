/*
 * rdkafka_alone.c - what librdkafka and the broker do without HTTP: a fixed number of senders, each of which hands a record
 * over when the one before was reported, and thinks for a while in between when asked to.
 *
 *   rdkafka_alone PRODUCERS BOOTSTRAP TOPIC SENDERS THINK_MS KEYS SECONDS BODY
 *
 *   THINK_MS    the mean of the pauses of a sender, spread evenly between half and one and a half of it; 0: none
 *
 * Prints the line that load.lua prints, and behind it the microseconds of CPU time that it used. One thread beside librdkafka's own.
 */
#include "producers.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SENDERS_MAX = 1024, NS_PER_MS = 1000000 };

struct sender {
    struct run *run;
    int64_t due, sent; /* nanoseconds; `due` INT64_MAX: in flight */
};

struct run {
    struct producers producers;
    struct sender senders[SENDERS_MAX];
    unsigned sender_count, keys, key, in_flight, failed;
    int64_t think, end; /* nanoseconds */
    char *body;
    size_t body_length;
    int64_t *latencies;
    size_t count, capacity;
};

static int64_t now_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void note(struct run *run, int64_t latency)
{
    if (run->count == run->capacity) {
        run->capacity = run->capacity ? run->capacity * 2 : 65536;
        run->latencies = realloc(run->latencies, run->capacity * sizeof *run->latencies);
        if (!run->latencies)
            abort();
    }
    run->latencies[run->count++] = latency;
}

static int64_t pause_of(const struct run *run)
{
    return run->think ? run->think / 2 + (int64_t)((double)run->think * drand48()) : 0;
}

static void reported(void *opaque, bool landed, int64_t offset)
{
    struct sender *sender = opaque;
    int64_t now = now_ns(CLOCK_MONOTONIC);

    (void)offset;
    sender->run->in_flight--;
    sender->run->failed += !landed;
    note(sender->run, now - sender->sent);
    sender->due = now + pause_of(sender->run);
}

/* Sends what is due; returns when the next sender is. */
static int64_t send_due(struct run *run)
{
    int64_t next = INT64_MAX;
    char key[16];

    for (unsigned i = 0; i < run->sender_count; i++) {
        struct sender *sender = &run->senders[i];
        int64_t now = now_ns(CLOCK_MONOTONIC);
        if (sender->due <= now) {
            int length = snprintf(key, sizeof key, "key-%06u", run->key);
            run->key = (run->key + 1) % run->keys;
            sender->sent = now;
            sender->due = INT64_MAX;
            run->in_flight++;
            producers_send(&run->producers, key, (size_t)length, run->body, run->body_length, sender);
        }
        if (sender->due < next)
            next = sender->due;
    }
    return next;
}

static void wait_until(struct run *run, int64_t next)
{
    struct pollfd ready = { .fd = run->producers.fd, .events = POLLIN };
    int64_t now = now_ns(CLOCK_MONOTONIC);
    int64_t left = next < run->end ? next - now : run->end - now;
    struct timespec timeout = { .tv_sec = left / 1000000000, .tv_nsec = left % 1000000000 };

    if (left <= 0)
        return;
    ppoll(&ready, 1, &timeout, NULL);
}

static int ascending(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static void drain(struct run *run)
{
    run->end = INT64_MAX;
    while (run->in_flight > 0) {
        wait_until(run, INT64_MAX);
        producers_poll(&run->producers);
    }
}

/* Returns how long it took. */
static int64_t drive(struct run *run, double seconds)
{
    int64_t begin = now_ns(CLOCK_MONOTONIC);

    run->end = begin + (int64_t)(seconds * 1e9);
    for (unsigned i = 0; i < run->sender_count; i++)
        run->senders[i] = (struct sender){ .run = run, .due = begin + pause_of(run) };
    while (now_ns(CLOCK_MONOTONIC) < run->end) {
        int64_t next = send_due(run);
        if (producers_poll(&run->producers) == 0)
            wait_until(run, next);
    }
    return now_ns(CLOCK_MONOTONIC) - begin;
}

static void print_result(struct run *run, int64_t took, int64_t cpu)
{
    if (run->count == 0)
        abort();
    qsort(run->latencies, run->count, sizeof *run->latencies, ascending);
    printf("bench %zu %lld %.0f %.0f %u 0 %lld\n", run->count, (long long)(took / 1000),
           (double)run->latencies[run->count / 2] / 1e3, (double)run->latencies[run->count * 99 / 100] / 1e3,
           run->failed, (long long)(cpu / 1000));
}

static void measure(struct run *run, double seconds)
{
    drive(run, 0.05); /* what comes first is slower */
    drain(run);
    run->count = run->failed = 0;
    int64_t cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    int64_t took = drive(run, seconds);
    print_result(run, took, now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu);
    drain(run);
}

int main(int argc, char **argv)
{
    static struct run run;

    if (argc != 9) {
        fputs("usage: rdkafka_alone PRODUCERS BOOTSTRAP TOPIC SENDERS THINK_MS KEYS SECONDS BODY\n", stderr);
        return 2;
    }
    run.sender_count = (unsigned)atoi(argv[4]);
    run.think = (int64_t)atoi(argv[5]) * NS_PER_MS;
    run.keys = (unsigned)atoi(argv[6]);
    run.body = argv[8];
    run.body_length = strlen(argv[8]);
    if (run.sender_count < 1 || run.sender_count > SENDERS_MAX || run.keys < 1)
        return 2;
    run.producers.reported = reported;
    producers_start(&run.producers, argv[2], argv[3], (unsigned)atoi(argv[1]));
    measure(&run, atof(argv[7]));
    return 0;
}
