/*
 * main.c - the load client of the cluster's tests and demonstrations: mixed requests over many keys on keep-alive connections to
 * all nodes, every one a line of the history (worker.c). It costs little: a thread a worker, each with one request at a time.
 *
 *   load --history FILE --nodes HOST:PORT,... [--keyspace NAME] [--workers N] [--keys N] [--rate N] [--writers KEY,...]
 *        [--writer-gap US] [--attempt MS] [--short-attempt MS] [--patience MS] [--gives-up]
 *
 * Each key of --writers has a worker that does nothing but write it, so that a pause of its partition shows. A request that was
 * refused, or whose connection ended before any answer, is repeated under the same Idempotency-Key at another node; so is, until
 * --patience is over, what was answered 5xx or not at all within --attempt (of the writers and every second other worker:
 * --short-attempt, the same without it), but that counts as failed. Commands on the standard
 * input, a line each:
 *
 *   nodes HOST:PORT,...   the nodes from now on
 *   rate N                requests a second of the mixed workers, 0 for no limit
 *   count                 prints "requests=N failed=N repeated=N" once the history is written so far
 *   stop                  every worker finishes what it has; so does the end of the input
 */
#include "load.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WRITERS_MAX = 256, LINE_LEN = 4096 };

_Noreturn static void usage(const char *what)
{
    (void)fprintf(stderr, "load: %s; see the top of tests/load/main.c\n", what);
    exit(2);
}

/* Cuts `list` at its commas. */
static unsigned split(char *list, char **ret_words, unsigned max)
{
    unsigned n = 0;
    char *rest = NULL;
    for (char *word = strtok_r(list, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        if (n == max)
            usage("a list is too long");
        ret_words[n++] = word;
    }
    return n;
}

static struct sockaddr_in address_of(char *text)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    char *colon = strrchr(text, ':');
    if (!colon)
        usage("an address has no port");
    *colon = '\0';
    address.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    if (inet_pton(AF_INET, text, &address.sin_addr) != 1)
        usage("an address is not numeric");
    return address;
}

static void set_nodes(struct load *load, char *list)
{
    char *words[NODES_MAX];
    unsigned n = split(list, words, NODES_MAX);
    if (n == 0)
        usage("there is no node");
    (void)pthread_mutex_lock(&load->lock);
    for (unsigned i = 0; i < n; i++)
        load->nodes[i] = address_of(words[i]);
    load->nodes_count = n;
    (void)atomic_fetch_add(&load->nodes_version, 1);
    (void)pthread_mutex_unlock(&load->lock);
}

static void count(struct load *load)
{
    (void)fflush(load->history);
    (void)printf("requests=%llu failed=%llu repeated=%llu\n", (unsigned long long)atomic_load(&load->requests),
                 (unsigned long long)atomic_load(&load->failed), (unsigned long long)atomic_load(&load->repeated));
    (void)fflush(stdout);
}

static void obey(struct load *load)
{
    char line[LINE_LEN];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "nodes ", 6) == 0)
            set_nodes(load, line + 6);
        else if (strncmp(line, "rate ", 5) == 0)
            atomic_store(&load->rate, (unsigned)strtoul(line + 5, NULL, 10));
        else if (strcmp(line, "count") == 0)
            count(load);
        else if (strcmp(line, "stop") == 0)
            return;
        else
            usage("there is no such command");
    }
}

/* ---- options ---- */

struct options {
    const char *history;
    char *writers[WRITERS_MAX];
    unsigned writers_count, rate;
};

static unsigned number(const char *text)
{
    return (unsigned)strtoul(text, NULL, 10);
}

static void read_option(int option, char *value, struct load *load, struct options *o)
{
    switch (option) {
    case 'h':
        o->history = value;
        break;
    case 'n':
        set_nodes(load, value);
        break;
    case 's':
        load->keyspace = value;
        break;
    case 'w':
        load->workers = number(value);
        break;
    case 'k':
        load->keys = number(value);
        break;
    case 'r':
        atomic_store(&load->rate, number(value));
        break;
    case 'p':
        o->writers_count = split(value, o->writers, WRITERS_MAX);
        break;
    case 'g':
        load->writer_gap_us = (int)number(value);
        break;
    case 'a':
        load->attempt_ms = (int)number(value);
        break;
    case 'b':
        load->short_attempt_ms = (int)number(value);
        break;
    case 't':
        load->patience_ms = (int)number(value);
        break;
    case 'u':
        load->gives_up = true;
        break;
    default:
        usage("there is no such option");
    }
}

static void read_options(int argc, char **argv, struct load *load, struct options *o)
{
    static const struct option longs[] = {
        { "history", required_argument, NULL, 'h' },
        { "nodes", required_argument, NULL, 'n' },
        { "keyspace", required_argument, NULL, 's' },
        { "workers", required_argument, NULL, 'w' },
        { "keys", required_argument, NULL, 'k' },
        { "rate", required_argument, NULL, 'r' },
        { "writers", required_argument, NULL, 'p' },
        { "writer-gap", required_argument, NULL, 'g' },
        { "attempt", required_argument, NULL, 'a' },
        { "patience", required_argument, NULL, 't' },
        { "short-attempt", required_argument, NULL, 'b' },
        { "gives-up", no_argument, NULL, 'u' },
        { 0 },
    };
    for (int option; (option = getopt_long(argc, argv, "", longs, NULL)) != -1;)
        read_option(option, optarg, load, o);
    if (load->short_attempt_ms == 0)
        load->short_attempt_ms = load->attempt_ms;
    if (!o->history || load->nodes_count == 0 || load->keys == 0)
        usage("--history, --nodes and a number of --keys are needed");
}

int main(int argc, char **argv)
{
    static struct load load = { .keyspace = "accounts",
                                .keys = 2000,
                                .workers = 16,
                                .attempt_ms = 35000,
                                .patience_ms = 60000,
                                .writer_gap_us = 5000,
                                .lock = PTHREAD_MUTEX_INITIALIZER };
    struct options o = { 0 };
    read_options(argc, argv, &load, &o);
    (void)snprintf(load.run, sizeof load.run, "%" PRIx64, (uint64_t)load_now_ns());
    load.history = fopen(o.history, "w");
    if (!load.history)
        usage("the history cannot be written");
    unsigned n = load.workers + o.writers_count;
    struct worker *workers = calloc(n, sizeof *workers);
    if (!workers)
        usage("there is no memory");
    for (unsigned i = 0; i < n; i++)
        worker_start(&workers[i], &load, i, i < load.workers ? NULL : o.writers[i - load.workers]);
    obey(&load);
    atomic_store(&load.stopping, true);
    for (unsigned i = 0; i < n; i++)
        (void)pthread_join(workers[i].thread, NULL);
    count(&load);
    free(workers);
    return fclose(load.history) == 0 ? 0 : 2;
}
