/*
 * supervisor.c - see supervisor.h; restart.c decides what happens when a worker has ended.
 *
 * All signals that matter are blocked and waited for, so nothing is interrupted. A worker asks the kernel to be killed with its parent and
 * looks afterwards whether that still lives: so none is left behind, at whatever moment the parent dies. It has a process group of its
 * own, so that a Ctrl-C comes by one way alone.
 */
#include "node/supervisor.h"

#include "base/clock.h"
#include "base/listen.h"
#include "coordinator/coordinator.h"
#include "node/restart.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FORK_AGAIN_MS = 1000, PORT_AGAIN_MS = 50, PORT_TAKEN_MS = 2000 };

struct supervisor {
    const struct aff_supervisor_opts *opts;
    struct aff_logger logger;
    struct aff_supervised *shared;
    sigset_t signals, before; /* waited for here; blocked when the process began */
    pid_t worker;             /* 0: none */
    int64_t started_ns;
    unsigned quick; /* see restart.h */
    bool asked;     /* to end */
};

static int failed(const struct supervisor *s, const char *what, const char *why)
{
    fprintf(stderr, "%s: %s%s\n", s->opts->program, what, why);
    return EXIT_FAILURE;
}

static int64_t now_ns(const struct supervisor *s)
{
    return aff_mono_ns(s->logger.clock);
}

/* ---- sockets ---- */

/* A port that is taken is tried for a while: its holder may be the node that was killed here, which is ending yet. */
static int listen_on(const struct supervisor *s, const char *what, const struct aff_config_address *address,
                     int *ret_fd, aff_error *err)
{
    const struct timespec pause = { .tv_nsec = PORT_AGAIN_MS * AFF_NS_PER_MS };
    int64_t until = now_ns(s) + PORT_TAKEN_MS * AFF_NS_PER_MS;
    for (;;) {
        int code = aff_listen(what, address->host, address->port, ret_fd, err);
        if (code != AFF_EBUSY || now_ns(s) >= until)
            return code;
        (void)nanosleep(&pause, NULL);
    }
}

/* Zero stands for none, so the descriptor of a closed standard input is no place for one. */
static int hold(const struct supervisor *s, const char *what, const struct aff_config_address *address, int *ret_fd,
                aff_error *err)
{
    int fd, code = listen_on(s, what, address, &fd, err);
    if (code == 0 && fd == 0) {
        fd = dup(0);
        (void)close(0);
    }
    if (code == 0)
        *ret_fd = fd;
    return code;
}

static int hold_sockets(const struct supervisor *s, aff_error *err)
{
    const struct aff_config *config = s->opts->config;
    int code = 0;
    for (size_t i = 0; i < config->http_count && code == 0; i++)
        code = hold(s, "http", &config->http[i].listen, &s->shared->https[i], err);
    if (code == 0 && config->coordinator == AFF_COORDINATOR_ZOOKEEPER)
        code = hold(s, "peer", &config->peer.listen, &s->shared->peer, err);
    return code;
}

/* What is listened on is the worker's alone then, or nobody's. */
static void leave_sockets(const struct supervisor *s)
{
    for (size_t i = 0; i < s->shared->https_count; i++)
        if (s->shared->https[i] > 0)
            (void)close(s->shared->https[i]);
    if (s->shared->peer > 0)
        (void)close(s->shared->peer);
}

/* ---- signals ---- */

static bool is_ignored(int signal)
{
    struct sigaction action;
    return sigaction(signal, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

/* A hang-up that the caller had ignored (nohup) goes on to be. */
static void take_signals(struct supervisor *s)
{
    (void)signal(SIGCHLD, SIG_DFL);
    sigemptyset(&s->signals);
    sigaddset(&s->signals, SIGTERM);
    sigaddset(&s->signals, SIGINT);
    sigaddset(&s->signals, SIGCHLD);
    if (!is_ignored(SIGHUP))
        sigaddset(&s->signals, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &s->signals, &s->before);
}

/* Signals to end stay blocked in the worker, which waits for them: none comes too early. */
static void give_signals_back(const struct supervisor *s)
{
    sigset_t mask = s->before;
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    (void)sigprocmask(SIG_SETMASK, &mask, NULL);
}

/* The next signal, 0 when none came until then. */
static int await_signal(const struct supervisor *s, int64_t until_ns)
{
    for (;;) {
        int64_t left = until_ns - now_ns(s);
        struct timespec time = { .tv_sec = left / AFF_NS_PER_S, .tv_nsec = left % AFF_NS_PER_S };
        if (left < 0)
            return 0;
        int got = until_ns == INT64_MAX ? sigwaitinfo(&s->signals, NULL) : sigtimedwait(&s->signals, NULL, &time);
        if (got > 0)
            return got;
    }
}

/* The worker closes its listeners when it is time to: nobody else may hold them then. */
static void pass_on(struct supervisor *s, int signal)
{
    if (signal != SIGHUP)
        atomic_fetch_add(&s->shared->told, 1);
    if (!s->asked)
        leave_sockets(s);
    s->asked = true;
    if (s->worker)
        (void)kill(s->worker, signal);
}

/* ---- children ---- */

/* A process that is to die with this one. */
static void end_with(pid_t parent)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_FAILURE);
}

/* 0 in the worker, its id here; negative when it could not be made. */
static pid_t make_worker(struct supervisor *s)
{
    (void)fflush(NULL); /* what is buffered now would be written twice */
    pid_t pid = fork();
    if (pid == 0) {
        end_with(s->shared->supervisor);
        (void)setpgid(0, 0);
        give_signals_back(s);
        return 0;
    }
    s->worker = pid > 0 ? pid : 0;
    s->started_ns = now_ns(s);
    return pid;
}

/* Did the worker end? Others that ended are forgotten. */
static bool reap(struct supervisor *s, int *ret_status)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        if (pid == s->worker) {
            s->worker = 0;
            *ret_status = status;
            return true;
        }
    return false;
}

static int await_end(struct supervisor *s)
{
    int status;
    for (;;) {
        int signal = await_signal(s, INT64_MAX);
        if (signal != SIGCHLD)
            pass_on(s, signal);
        else if (reap(s, &status))
            return status;
    }
}

/* ---- after an end ---- */

/* The client library has threads, so a process of its own does it; it holds nothing that a later worker would need. */
static void close_session(const struct supervisor *s)
{
    const struct aff_config *config = s->opts->config;
    unsigned which = atomic_exchange(&s->shared->session, 0);
    aff_error err = { 0 };
    if (which == 0 || fork() != 0)
        return;
    leave_sockets(s);
    (void)sigprocmask(SIG_SETMASK, &s->before, NULL);
    int code = aff_zookeeper_close_session(config->zookeeper.connect, s->shared->sessions[which - 1].id,
                                           s->shared->sessions[which - 1].password, config->zookeeper.session_ms, &err);
    if (code)
        aff_log(&s->logger, WARN, "supervisor.session_not_closed", aff_f_str("error", err.text));
    _exit(code ? EXIT_FAILURE : EXIT_SUCCESS);
}

static void tell_end(const struct supervisor *s, pid_t worker, int status, const struct aff_restart *restart)
{
    if (WIFSIGNALED(status))
        aff_log(&s->logger, ERROR, "supervisor.worker_died", aff_f_int("pid", worker),
                aff_f_int("signal", WTERMSIG(status)), aff_f_str("name", strsignal(WTERMSIG(status))),
                aff_f_int("again_in_ms", restart->pause_ms));
    else
        aff_log(&s->logger, ERROR, "supervisor.worker_died", aff_f_int("pid", worker),
                aff_f_int("status", WEXITSTATUS(status)), aff_f_int("again_in_ms", restart->pause_ms));
}

/* False: told to end meanwhile. */
static bool pause_for(struct supervisor *s, int64_t ms)
{
    int64_t until = now_ns(s) + ms * AFF_NS_PER_MS;
    int status, signal;
    while (!s->asked && (signal = await_signal(s, until)) != 0)
        if (signal == SIGCHLD)
            (void)reap(s, &status);
        else
            pass_on(s, signal);
    return !s->asked;
}

/* The worker ended: 1 to start another, 0 to end with *ret_status. */
static bool goes_on(struct supervisor *s, pid_t worker, int wait_status, int *ret_status)
{
    const struct aff_worker_end end = {
        .status = wait_status,
        .asked = s->asked,
        .served = atomic_load(&s->shared->served),
        .lived_ms = (now_ns(s) - s->started_ns) / AFF_NS_PER_MS,
    };
    struct aff_restart restart = aff_restart_decide(&end, &s->quick);
    *ret_status = restart.status;
    close_session(s);
    if (!restart.restarts)
        return false;
    if (s->opts->ready_file)
        (void)unlink(s->opts->ready_file);
    tell_end(s, worker, wait_status, &restart);
    if (pause_for(s, restart.pause_ms))
        return true;
    *ret_status = EXIT_SUCCESS; /* nothing was under way */
    return false;
}

/* ---- life ---- */

/* Returns in a worker. */
static void supervise(struct supervisor *s)
{
    int status = EXIT_FAILURE;
    for (;;) {
        pid_t worker = make_worker(s);
        if (worker == 0)
            return;
        if (worker < 0) {
            aff_log(&s->logger, ERROR, "supervisor.fork", aff_f_str("error", strerror(errno)));
            if (!pause_for(s, FORK_AGAIN_MS))
                _exit(EXIT_SUCCESS);
        } else if (!goes_on(s, worker, await_end(s), &status)) {
            _exit(status);
        }
    }
}

static struct aff_supervised *share(size_t https_count)
{
    size_t size = sizeof(struct aff_supervised) + https_count * sizeof(int);
    struct aff_supervised *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return NULL;
    shared->supervisor = getpid();
    shared->https_count = https_count;
    return shared;
}

int aff_supervise(const struct aff_supervisor_opts *opts, struct aff_supervised **ret_shared)
{
    const struct aff_config *config = opts->config;
    struct supervisor s = {
        .opts = opts,
        .logger = { STDERR_FILENO, config->log.level, config->log.format, aff_clock_system() },
        .shared = share(config->http_count),
    };
    aff_error err = { 0 };
    if (!s.shared)
        return failed(&s, "no memory to share with the worker: ", strerror(errno));
    if (hold_sockets(&s, &err) != 0) {
        leave_sockets(&s);
        return failed(&s, "", err.text);
    }
    take_signals(&s);
    supervise(&s);
    *ret_shared = s.shared;
    return EXIT_SUCCESS;
}

void aff_supervised_session(struct aff_supervised *shared, int64_t id, const unsigned char password[16])
{
    unsigned to = atomic_load(&shared->session) == 1 ? 2 : 1;
    if (!password) {
        atomic_store(&shared->session, 0);
        return;
    }
    shared->sessions[to - 1].id = id;
    memcpy(shared->sessions[to - 1].password, password, sizeof shared->sessions[to - 1].password);
    atomic_store(&shared->session, to);
}
