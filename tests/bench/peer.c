/*
 * peer.c - what a question between two nodes costs: a loop asks, another answers with the same bytes, over loopback. Prints for plain TCP and
 * for TLS, and for some numbers of questions at a time, how many questions a second of CPU is worth, both loops together.
 *
 *   peer [--seconds N] [--bytes N]
 */
#include "peer/peer.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "lib/certificates.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { BYTES_MAX = 65536, AT_ONCE_MAX = 1024 };

struct side {
    struct aff_loop *loop;
    struct aff_peers *peers;
    pthread_t thread;
};

struct bench {
    struct side asks, answers;
    struct aff_peer_listener *listener;
    struct aff_peer_to to;
    struct aff_msg msg;
    unsigned at_once;
    size_t bytes;
    atomic_bool stop;
    atomic_ullong answered, failed;
};

struct question {
    struct aff_peer_call call;
    struct bench *bench;
};

static char body[BYTES_MAX];

static void must(int rc, const aff_error *err)
{
    if (rc == 0)
        return;
    (void)fprintf(stderr, "bench peer: %s\n", err->text);
    exit(1);
}

static void serve(void *self, struct aff_peer_question *question)
{
    (void)self;
    aff_peer_answer(question, &question->body, 1);
}

static void ask(struct question *q)
{
    aff_bytes part = aff_bytes_of(body, q->bench->bytes);
    q->call.deadline_ns = aff_loop_now(q->bench->asks.loop) + 30 * AFF_NS_PER_S;
    aff_peers_call(q->bench->asks.peers, &q->bench->to, &q->call, &part, 1);
}

static void answered(struct aff_peer_call *call, int code, aff_bytes answer)
{
    struct question *q = aff_container_of(call, struct question, call);
    (void)answer;
    atomic_fetch_add_explicit(code ? &q->bench->failed : &q->bench->answered, 1, memory_order_relaxed);
    if (!atomic_load_explicit(&q->bench->stop, memory_order_relaxed))
        ask(q);
}

static void begin(struct aff_msg *msg)
{
    static struct question questions[AT_ONCE_MAX];
    struct bench *b = aff_container_of(msg, struct bench, msg);
    for (unsigned i = 0; i < b->at_once; i++) {
        questions[i] = (struct question){ .call.answered = answered, .bench = b };
        ask(&questions[i]);
    }
}

static void *run(void *loop)
{
    aff_loop_run(loop);
    return NULL;
}

static void start(struct side *side, const char *member, const struct aff_peer_tls *tls)
{
    aff_error err = { 0 };
    struct aff_loop_opts loop_opts = { .name = member };
    must(aff_loop_new(&loop_opts, &side->loop, &err), &err);
    struct aff_peers_opts opts = { .loop = side->loop, .cluster = "bench", .tls = tls, .serve = serve };
    must(aff_peers_new(&opts, &side->peers, &err), &err);
    aff_peers_name(side->peers, member);
}

static void stop(struct side *side)
{
    aff_loop_stop(side->loop);
    (void)pthread_join(side->thread, NULL);
    side->peers = aff_peers_free(side->peers);
    side->loop = aff_loop_free(side->loop);
}

static double cpu_s(void)
{
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + 1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void wait_s(double seconds)
{
    struct timespec left = { .tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9) };
    (void)nanosleep(&left, NULL);
}

static void measure(const struct aff_peer_tls *tls, unsigned at_once, size_t bytes, double seconds)
{
    struct bench *b = aff_xcalloc(1, sizeof *b);
    aff_error err = { 0 };
    b->at_once = at_once;
    b->bytes = bytes;
    start(&b->asks, "n1-1", tls);
    start(&b->answers, "n2-1", tls);
    struct aff_peer_listener_opts opts = {
        .host = "127.0.0.1", .loop = b->answers.loop, .peers = &b->answers.peers, .peers_count = 1
    };
    must(aff_peer_listener_new(&opts, &b->listener, &err), &err);
    b->to = (struct aff_peer_to){ .member = "n2-1", .address = aff_peer_listener_address(b->listener) };
    b->msg.deliver = begin;
    aff_loop_call(b->asks.loop, &b->msg);
    (void)pthread_create(&b->asks.thread, NULL, run, b->asks.loop);
    (void)pthread_create(&b->answers.thread, NULL, run, b->answers.loop);
    wait_s(0.2);
    double cpu = cpu_s();
    int64_t since = aff_mono_ns(aff_clock_system());
    unsigned long long before = atomic_load(&b->answered);
    wait_s(seconds);
    double done = (double)(atomic_load(&b->answered) - before);
    double wall = (double)(aff_mono_ns(aff_clock_system()) - since) * 1e-9;
    cpu = cpu_s() - cpu;
    if (atomic_load(&b->failed) || done == 0)
        must(AFF_EIO, &(aff_error){ .text = "questions failed" });
    printf("%s %4u at once, %zu bytes: %8.0f questions/s, %8.0f a CPU second, %5.2f us of CPU each\n",
           tls ? "TLS  " : "plain", at_once, bytes, done / wall, done / cpu, 1e6 * cpu / done);
    atomic_store(&b->stop, true);
    stop(&b->asks);
    b->listener = aff_peer_listener_free(b->listener);
    stop(&b->answers);
    free(b);
}

int main(int argc, char **argv)
{
    static const unsigned at_once[] = { 1, 16, 64, 1024 };
    double seconds = 2;
    size_t bytes = 200;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seconds") == 0)
            seconds = strtod(argv[i + 1], NULL);
        if (strcmp(argv[i], "--bytes") == 0)
            bytes = strtoul(argv[i + 1], NULL, 10);
    }
    if (bytes > BYTES_MAX || seconds <= 0)
        must(AFF_EINVAL, &(aff_error){ .text = "--bytes is at most 65536, --seconds more than 0" });
    struct certificates *ca = certificates_new();
    struct certificate_files files;
    struct aff_peer_tls *tls = NULL;
    aff_error err = { 0 };
    certificates_issue(ca, "bench", 3600, &files);
    must(aff_peer_tls_new(files.certificate, files.key, files.ca, &tls, &err), &err);
    for (int i = 0; i < 8; i++)
        measure(i < 4 ? NULL : tls, at_once[i % 4], bytes, seconds);
    (void)aff_peer_tls_free(tls);
    (void)certificates_free(ca);
    return 0;
}
