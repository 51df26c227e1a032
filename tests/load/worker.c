/*
 * worker.c - one worker: one request at a time, until it has a definite answer or its patience ends. Each is a line of the history:
 *
 *   start end worker kind key value status etag attempts refused lost bad what port
 *
 * Times are nanoseconds of the monotonic clock. kind: put, patch, delete, get, scan. value: the id of what a write wrote or a
 * GET saw, "-" for nothing. status: of the last answer; 0 when the outcome is unknown. refused, lost: attempts that were repeated
 * because nobody listened, or because the connection ended before any answer. bad: attempts that failed otherwise: an answer of
 * 5xx, none in time, a broken one; `what` describes the first of them. A write that got "not-applied" on its only attempt and
 * was given up has status 503. port: of the node that was asked last.
 */
#include "load.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    REQUEST_MAX = 4096,
    WHAT_MAX = 240,
    AVOID_MS = 100,
    AVOID_SILENT_MS = 10000,
    PAUSE_MIN_US = 2000,
    PAUSE_MAX_US = 50000,
    SCAN_LIMIT = 20
};

enum kind { PUT, PATCH, DELETE, GET, SCAN };
static const char *const kind_names[] = { "put", "patch", "delete", "get", "scan" };
static const char *const methods[] = { "PUT", "PATCH", "DELETE", "GET", "GET" };

/* One request with its repeats. */
struct operation {
    enum kind kind;
    char key[KEY_MAX], value[64];
    char request[REQUEST_MAX];
    size_t len;
    int64_t start_ns;
    int status; /* of the last answer; 0: none yet */
    bool definite;
    unsigned attempts, refused, lost, bad;
    char what[WHAT_MAX];
};

int64_t load_now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void nap_us(int64_t us)
{
    struct timespec t = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };
    if (us > 0)
        (void)nanosleep(&t, NULL);
}

/* xorshift64*: below n */
static unsigned chance(struct worker *w, unsigned n)
{
    w->random ^= w->random >> 12;
    w->random ^= w->random << 25;
    w->random ^= w->random >> 27;
    return (unsigned)((w->random * UINT64_C(2685821657736338717) >> 33) % n);
}

/* ---- nodes ---- */

/* Adopts a new list: connections to nodes that are still in it stay. */
static void look_at_nodes(struct worker *w)
{
    struct load *load = w->load;
    if (w->version == atomic_load(&load->nodes_version))
        return;
    struct http_connection old[NODES_MAX];
    unsigned old_count = w->connections_count;
    memcpy(old, w->connections, sizeof old);
    (void)pthread_mutex_lock(&load->lock);
    w->version = atomic_load(&load->nodes_version);
    w->connections_count = load->nodes_count;
    for (unsigned i = 0; i < load->nodes_count; i++)
        http_init(&w->connections[i], &load->nodes[i]);
    (void)pthread_mutex_unlock(&load->lock);
    memset(w->avoid_until_ns, 0, sizeof w->avoid_until_ns);
    for (unsigned o = 0; o < old_count; o++) {
        for (unsigned i = 0; i < w->connections_count; i++)
            if (memcmp(&w->connections[i].to, &old[o].to, sizeof old[o].to) == 0 && old[o].fd >= 0) {
                w->connections[i].fd = old[o].fd;
                old[o].fd = -1;
            }
        http_close(&old[o]);
    }
}

/* Any but `last` that has not just refused or been silent; any but `last` when there is none. */
static unsigned choose_node(struct worker *w, int last)
{
    int64_t now = load_now_ns();
    unsigned n = w->connections_count, first = chance(w, n);
    for (unsigned i = 0; i < n; i++) {
        unsigned node = (first + i) % n;
        if ((int)node != last && w->avoid_until_ns[node] <= now)
            return node;
    }
    return (int)first == last ? (first + 1) % n : first;
}

/* ---- requests ---- */

__attribute__((format(printf, 2, 3))) static void add(struct operation *op, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int n = vsnprintf(op->request + op->len, sizeof op->request - op->len, format, list);
    va_end(list);
    if (n < 0 || (size_t)n >= sizeof op->request - op->len)
        abort(); /* REQUEST_MAX is too small for what we build ourselves */
    op->len += (size_t)n;
}

static bool writes(enum kind kind)
{
    return kind == PUT || kind == PATCH || kind == DELETE;
}

static void build(struct worker *w, struct operation *op)
{
    static const char padding[] =
        "................................................................................................";
    const char *space = w->load->keyspace;
    w->made++;
    if (op->kind == SCAN)
        add(op, "GET /v1/%s?limit=%d&start=%s HTTP/1.1\r\nHost: load\r\n", space, SCAN_LIMIT, op->key);
    else
        add(op, "%s /v1/%s/%s HTTP/1.1\r\nHost: load\r\n", methods[op->kind], space, op->key);
    if (writes(op->kind))
        add(op, "Idempotency-Key: \"%s-%s-%lu\"\r\n", w->load->run, w->name, w->made);
    if (op->kind == PUT || op->kind == PATCH) {
        char body[256];
        (void)snprintf(op->value, sizeof op->value, "%s-%lu", w->name, w->made);
        int n = snprintf(body, sizeof body, "{\"by\":\"%s\",\"pad\":\"%.*s\"}", op->value, (int)chance(w, 96), padding);
        add(op, "Content-Type: application/%s\r\nContent-Length: %d\r\n", op->kind == PUT ? "json" : "merge-patch+json",
            n);
        add(op, "\r\n%s", body);
    } else {
        add(op, "\r\n");
    }
}

/* ---- answers ---- */

/* What went wrong, for the reader of the history; the first one stays. */
static void describe(struct operation *op, const struct worker *w, unsigned node, const char *what, const char *text)
{
    op->bad++;
    if (op->what[0])
        return;
    (void)snprintf(op->what, sizeof op->what, "port %u: %s %.180s", ntohs(w->connections[node].to.sin_port), what,
                   text);
    for (char *c = op->what; *c; c++)
        if (*c == '\n' || *c == '\r' || *c == '\t')
            *c = ' ';
}

static bool still_running(const struct http_answer *answer)
{
    return answer->status == 409 && strstr(answer->body, "idempotency-running");
}

/* A page ends with a document that is whole; what broke off has a problem in it. */
static bool page_is_whole(const struct http_answer *answer)
{
    return answer->status == 200 && !strstr(answer->body, "{\"problem\":");
}

/* The id of the value that a GET saw. */
static void read_value(struct operation *op, const struct http_answer *answer)
{
    const char *by = answer->status == 200 ? strstr(answer->body, "\"by\":\"") : NULL;
    if (by)
        (void)snprintf(op->value, sizeof op->value, "%.*s", (int)strcspn(by + 6, "\""), by + 6);
}

static void answered(struct worker *w, struct operation *op, unsigned node)
{
    const struct http_answer *answer = &w->answer;
    op->status = answer->status;
    if (answer->status >= 500) {
        char what[32];
        (void)snprintf(what, sizeof what, "%d%s", answer->status, answer->not_applied ? " not-applied" : "");
        describe(op, w, node, what, answer->body);
        /* Known not to have happened: only when no attempt before could have. */
        op->definite = w->load->gives_up && writes(op->kind) && answer->not_applied && op->attempts == 1 &&
                       chance(w, 4) == 0;
        return;
    }
    op->definite = !still_running(answer);
    if (op->kind == GET)
        read_value(op, answer);
    if (op->kind == SCAN && !page_is_whole(answer))
        describe(op, w, node, "a page that is not whole:", answer->body);
}

static void attempt(struct worker *w, struct operation *op, int *last)
{
    unsigned node = choose_node(w, *last);
    op->attempts++;
    enum http_outcome outcome = http_ask(&w->connections[node], op->request, op->len, w->attempt_ms, &w->answer);
    *last = (int)node;
    if (outcome == HTTP_ANSWERED) {
        answered(w, op, node);
        return;
    }
    w->avoid_until_ns[node] = load_now_ns() + (outcome == HTTP_SILENT ? AVOID_SILENT_MS : AVOID_MS) * INT64_C(1000000);
    if (outcome == HTTP_REFUSED)
        op->refused++;
    else if (outcome == HTTP_LOST)
        op->lost++;
    else
        describe(op, w, node, outcome == HTTP_SILENT ? "no answer in time" : "an answer broke off", "");
}

static void record(struct worker *w, const struct operation *op, unsigned node)
{
    struct load *load = w->load;
    (void)atomic_fetch_add(&load->requests, 1);
    (void)atomic_fetch_add(&load->repeated, op->attempts - 1);
    if (op->bad > 0 || !op->definite)
        (void)atomic_fetch_add(&load->failed, 1);
    const char *etag = op->definite && w->answer.etag[0] ? w->answer.etag : "-";
    (void)fprintf(load->history, "%lld\t%lld\t%s\t%s\t%s\t%s\t%d\t%s\t%u\t%u\t%u\t%u\t%s\t%u\n", (long long)op->start_ns,
                  (long long)load_now_ns(), w->name, kind_names[op->kind], op->key, op->value[0] ? op->value : "-",
                  op->definite ? op->status : 0, etag, op->attempts, op->refused, op->lost, op->bad, op->what,
                  ntohs(w->connections[node].to.sin_port));
}

/* Asks until there is a definite answer, one node after the other. */
static void perform(struct worker *w, enum kind kind, const char *key)
{
    struct operation op = { .kind = kind };
    (void)snprintf(op.key, sizeof op.key, "%s", key);
    build(w, &op);
    op.start_ns = load_now_ns();
    int64_t until_ns = op.start_ns + w->load->patience_ms * INT64_C(1000000), pause_us = PAUSE_MIN_US;
    int last = -1;
    for (;;) {
        look_at_nodes(w);
        attempt(w, &op, &last);
        if (op.definite || load_now_ns() > until_ns)
            break;
        if (op.attempts >= w->connections_count) {
            nap_us(pause_us);
            pause_us = 2 * pause_us > PAUSE_MAX_US ? PAUSE_MAX_US : 2 * pause_us;
        }
    }
    record(w, &op, (unsigned)last);
}

/* ---- the worker ---- */

static enum kind some_kind(struct worker *w)
{
    unsigned roll = chance(w, 100);
    return roll < 35 ? PUT : roll < 50 ? PATCH : roll < 57 ? DELETE : roll < 95 ? GET : SCAN;
}

static void mixed(struct worker *w)
{
    char key[KEY_MAX];
    int64_t next_ns = load_now_ns();
    while (!atomic_load(&w->load->stopping)) {
        (void)snprintf(key, sizeof key, "k%u", chance(w, w->load->keys));
        perform(w, some_kind(w), key);
        unsigned rate = atomic_load(&w->load->rate);
        if (rate == 0)
            continue;
        next_ns += INT64_C(1000000000) * w->load->workers / rate;
        int64_t now = load_now_ns();
        if (next_ns < now)
            next_ns = now; /* what was missed is not made up for */
        nap_us((next_ns - now) / 1000);
    }
}

static void writer(struct worker *w)
{
    while (!atomic_load(&w->load->stopping)) {
        perform(w, PUT, w->own_key);
        nap_us(w->load->writer_gap_us);
    }
}

static void *run(void *argument)
{
    struct worker *w = argument;
    look_at_nodes(w);
    if (w->own_key[0])
        writer(w);
    else
        mixed(w);
    for (unsigned i = 0; i < w->connections_count; i++)
        http_close(&w->connections[i]);
    http_answer_fini(&w->answer);
    return NULL;
}

void worker_start(struct worker *worker, struct load *load, unsigned number, const char *own_key)
{
    worker->load = load;
    worker->attempt_ms = own_key || number % 2 ? load->short_attempt_ms : load->attempt_ms;
    worker->random = UINT64_C(0x9e3779b97f4a7c15) * (number + 1) ^ (uint64_t)load_now_ns();
    (void)snprintf(worker->name, sizeof worker->name, "w%u", number);
    (void)snprintf(worker->own_key, sizeof worker->own_key, "%s", own_key ? own_key : "");
    if (pthread_create(&worker->thread, NULL, run, worker) != 0) {
        perror("load: pthread_create");
        exit(2);
    }
}
