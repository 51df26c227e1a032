/*
 * serve.c - see serve.h. Signals are blocked in every thread and taken here, by waiting for them; so no handler exists and
 * nothing is interrupted.
 */
#include "node/serve.h"

#include "base/buf.h"
#include "base/fault.h"
#include "node/inner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LOOK_MS = 5 };

struct process {
    const struct aff_serve_opts *opts;
    struct aff_node *node;
    sigset_t signals; /* that end it */
};

static int failed(const struct process *p, const char *what, const char *why)
{
    fprintf(stderr, "%s: %s%s\n", p->opts->program, what, why);
    return EXIT_FAILURE;
}

/* ---- signals ---- */

static void take_signals(struct process *p)
{
    sigemptyset(&p->signals);
    sigaddset(&p->signals, SIGTERM);
    sigaddset(&p->signals, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &p->signals, NULL);
    (void)signal(SIGPIPE, SIG_IGN); /* a standard error that nobody reads is no reason to end */
}

/* Did one come? Waits a little for it, or as long as it takes. */
static bool told_to_end(const struct process *p, bool wait)
{
    const struct timespec little = { .tv_nsec = LOOK_MS * AFF_NS_PER_MS };
    int got;
    do {
        got = wait ? sigwaitinfo(&p->signals, NULL) : sigtimedwait(&p->signals, NULL, &little);
    } while (got < 0 && wait && errno == EINTR);
    return got > 0;
}

/* A second signal. Under a supervisor only what that passed on counts: others may send theirs to both of them. */
static bool told_to_hurry(const struct process *p)
{
    bool told = told_to_end(p, false);
    return p->opts->supervised ? atomic_load(&p->opts->supervised->told) > 1 : told;
}

/* The process that a SIGTERM should go to. */
static long first_pid(const struct process *p)
{
    return p->opts->supervised ? (long)p->opts->supervised->supervisor : (long)getpid();
}

/* ---- the ready file ---- */

static bool ready_line(const struct process *p, struct aff_buf *buf)
{
    bool fits = aff_buf_printf(buf, "{\"http\":[");
    const char *address;
    for (unsigned i = 0; fits && (address = aff_node_address(p->node, i)); i++)
        fits = aff_buf_printf(buf, "%s\"%s\"", i ? "," : "", address);
    return fits && aff_buf_printf(buf, "],\"pid\":%ld,\"worker\":%ld}\n", first_pid(p), (long)getpid());
}

static int write_whole(const char *path, const struct aff_buf *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return -1;
    ssize_t n = write(fd, text->data, text->len);
    return close(fd) == 0 && n == (ssize_t)text->len ? 0 : -1;
}

/* Whoever waits for the file sees the whole line or no file. */
static int write_ready_file(const struct process *p)
{
    struct aff_buf text, temp;
    aff_buf_init(&text);
    aff_buf_init(&temp);
    bool fits = ready_line(p, &text) && aff_buf_printf(&temp, "%s.%ld", p->opts->ready_file, (long)getpid()) &&
                aff_buf_u8(&temp, 0);
    int status = EXIT_SUCCESS;
    if (!fits || write_whole((const char *)temp.data, &text) != 0 ||
        rename((const char *)temp.data, p->opts->ready_file) != 0)
        status = failed(p, "cannot write the ready file: ", strerror(fits ? errno : ENOMEM));
    aff_buf_fini(&text);
    aff_buf_fini(&temp);
    return status;
}

static void remove_ready_file(const struct process *p)
{
    if (p->opts->ready_file)
        (void)unlink(p->opts->ready_file);
}

/* ---- life ---- */

/* 1 when it serves, 0 when a signal came before, negative when it failed. */
static int begin(const struct process *p, aff_error *err)
{
    int code = aff_node_begin(p->node, err);
    while (code == 0) {
        if (told_to_end(p, false))
            return 0;
        code = aff_node_begun(p->node, err);
    }
    return code;
}

static int serve(const struct process *p)
{
    if (p->opts->ready_file && write_ready_file(p) != EXIT_SUCCESS)
        return EXIT_FAILURE;
    if (p->opts->supervised)
        atomic_store(&p->opts->supervised->served, true);
    const char *address;
    for (unsigned i = 0; (address = aff_node_address(p->node, i)); i++)
        aff_log(&p->node->logger, INFO, "node.serving", aff_f_str("http", address), aff_f_int("pid", getpid()));
    (void)told_to_end(p, true);
    return EXIT_SUCCESS;
}

/* Until it is so, at most for the time that any exchange has. False: a second signal came. */
static bool patient(const struct process *p, bool (*done)(struct aff_node *node))
{
    const struct aff_clock *clock = p->node->logger.clock;
    int64_t until = aff_mono_ns(clock) + p->node->config->limits.exchange_timeout_ms * AFF_NS_PER_MS;
    while (!done(p->node) && aff_mono_ns(clock) < until)
        if (told_to_hurry(p))
            return false;
    return true;
}

/* In a cluster others take over first, while requests are served on; then what is under way ends. */
static void drain(const struct process *p)
{
    aff_log(&p->node->logger, INFO, "node.draining", aff_f_int("pid", getpid()));
    aff_node_retire(p->node);
    bool waits = patient(p, aff_node_retired);
    if (!aff_node_leads_nothing(p->node))
        aff_log(&p->node->logger, WARN, "node.not_retired",
                aff_f_str("what",
                          "it leads partitions that nobody took over: they are without a leader until others notice"));
    aff_node_drain(p->node);
    if (waits)
        (void)patient(p, aff_node_drained);
}

static int end(const struct process *p, int status)
{
    int code = aff_node_end(p->node);
    if (code == AFF_EBUSY)
        _exit(EXIT_FAILURE); /* a thread is stuck: its memory must stay, and nothing is left to be done */
    if (status == EXIT_SUCCESS)
        aff_log(&p->node->logger, INFO, "node.ended", aff_f_str("how", code ? "requests were cut off" : "drained"));
    return code ? EXIT_FAILURE : status;
}

static int run(struct process *p)
{
    aff_error err = { 0 };
    int code = begin(p, &err);
    int status = code == 1 ? serve(p) : EXIT_SUCCESS;
    if (code < 0)
        status = failed(p, "", err.text);
    remove_ready_file(p);
    if (code >= 0)
        drain(p);
    return end(p, status);
}

int aff_serve(const struct aff_serve_opts *opts, struct aff_config *config)
{
    struct process p = { .opts = opts };
    aff_error err = { 0 };
    if (aff_fault_init(getenv("AFFINITY_FAULTS"), &err) || aff_node_make(config, opts->keyspaces, &p.node, &err)) {
        aff_config_free(config);
        return failed(&p, "", err.text);
    }
    p.node->supervised = opts->supervised;
    remove_ready_file(&p); /* of a run before this one */
    take_signals(&p);
    int status = run(&p);
    aff_node_free(p.node);
    return status;
}
