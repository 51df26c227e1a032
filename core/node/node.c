/*
 * node.c - life of a node: made, begun, drained, ended; and the public functions, which are made of these steps.
 *
 *   begin   builds the parts, opens the listeners, runs the loops; topics are asked for; then each loop starts its partitions
 *   drain   listeners closed, partitions refuse what is new; each loop says when nothing is under way on it any more
 *   end     partitions answer what still waits and stop; connections close; the loops end; the parts are freed
 *
 * The owner asks a loop by a message and sees what it did in its `stage`. It waits by looking again soon: that is done at
 * start and stop alone.
 */
#include "node/admin.h"
#include "node/load.h"

#include "base/alloc.h"
#include "node/verify.h"

#include <affinity.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { QUIET_MS = 5, LOOK_MS = 5, NO_PROGRESS_S = 60, TELL_S = 10, END_S = 10 };

const char *aff_version(void)
{
    return AFF_VERSION;
}

/* ---- making ---- */

int aff_node_make(struct aff_config *config, const aff_keyspace *const *keyspaces, struct aff_node **ret_node,
                  aff_error *err)
{
    struct aff_served_list served;
    int code = aff_served_merge(config, keyspaces, &served, err);
    if (code)
        return code;
    struct aff_node *node = aff_xcalloc(1, sizeof *node);
    node->config = config;
    node->served = served;
    node->logger = (struct aff_logger){ STDERR_FILENO, config->log.level, config->log.format, aff_clock_system() };
    node->addresses = aff_xcalloc(config->http_count, sizeof *node->addresses);
    pthread_mutex_init(&node->topics.lock, NULL);
    *ret_node = node;
    return 0;
}

/* The first error in full; the others by their number. */
static int told(const struct aff_config_errors *errors, aff_error *err)
{
    const struct aff_config_error *first = &errors->items[0];
    char place[32] = "", more[48] = "";
    if (first->line)
        (void)snprintf(place, sizeof place, ":%u:%u", first->line, first->column);
    if (errors->count > 1)
        (void)snprintf(more, sizeof more, " (and %zu more errors)", errors->count - 1);
    return aff_fail_with(err, AFF_ECONFIG, "%.120s%s: %.300s%s", first->set ? "--set" : first->file, place, first->text,
                         more);
}

static int load(const aff_node_opts *opts, struct aff_config **ret_config, aff_error *err)
{
    struct aff_config_errors errors = { 0 };
    size_t nsets = 0;
    while (opts->sets && opts->sets[nsets])
        nsets++;
    int code = aff_node_load(opts->config_file, opts->sets, nsets, ret_config, &errors);
    if (code)
        code = told(&errors, err);
    aff_config_errors_fini(&errors);
    return code;
}

int aff_node_new(const aff_node_opts *given, aff_node **ret_node, aff_error *err)
{
    aff_node_opts opts = { 0 };
    struct aff_config *config = NULL;
    if (given->size < offsetof(aff_node_opts, config_file))
        return aff_fail_with(err, AFF_EINVAL, "aff_node_opts: its size is %zu; expected sizeof(aff_node_opts)",
                             given->size);
    memcpy(&opts, given, given->size < sizeof opts ? given->size : sizeof opts);
    int code = load(&opts, &config, err);
    if (code == 0)
        code = aff_node_make(config, opts.keyspaces, ret_node, err);
    if (code)
        aff_config_free(config);
    return code;
}

/* ---- on the loops ---- */

/* Calls `act` for each partition that this loop owns, until it returns false; false then. */
static bool each_partition(const struct aff_node_loop *l, bool (*act)(struct aff_partition *part))
{
    const struct aff_node *node = l->node;
    for (size_t i = 0; i < node->served.count; i++)
        for (uint32_t p = 0; p < node->spaces[i].made; p++) {
            struct aff_partition *part = node->spaces[i].parts[p];
            if (aff_partition_loop(part) == l->loop && !act(part))
                return false;
        }
    return true;
}

static bool start_one(struct aff_partition *part)
{
    aff_partition_start(part);
    return true;
}

static bool drain_one(struct aff_partition *part)
{
    aff_partition_drain(part);
    return true;
}

static bool is_idle(struct aff_partition *part)
{
    return aff_partition_idle(part);
}

static bool stop_one(struct aff_partition *part)
{
    aff_partition_stop(part);
    return true;
}

static void set_timer(const struct aff_node_loop *l, struct aff_timer *timer, int64_t after_ms)
{
    aff_loop_timer_set(l->loop, timer, aff_mono_ns(aff_loop_clock(l->loop)) + after_ms * AFF_NS_PER_MS);
}

static void fire_tick(struct aff_timer *timer)
{
    struct aff_node_loop *l = aff_container_of(timer, struct aff_node_loop, tick);
    atomic_store(&l->ticked_ns, aff_mono_ns(aff_loop_clock(l->loop)));
    set_timer(l, timer, aff_node_tick_ms(l->node));
}

static void on_run(struct aff_msg *msg)
{
    struct aff_node_loop *l = aff_container_of(msg, struct aff_node_loop, run);
    l->tick.fire = fire_tick;
    fire_tick(&l->tick);
}

static void on_start(struct aff_msg *msg)
{
    struct aff_node_loop *l = aff_container_of(msg, struct aff_node_loop, start);
    each_partition(l, start_one);
    atomic_store(&l->stage, AFF_LOOP_STARTED);
}

/* NULL: no cluster. */
static struct aff_peers *peers_of(const struct aff_node_loop *l)
{
    return l->node->peers ? l->node->peers[aff_loop_index(l->loop)] : NULL;
}

static void fire_quiet(struct aff_timer *timer)
{
    struct aff_node_loop *l = aff_container_of(timer, struct aff_node_loop, quiet);
    if (each_partition(l, is_idle) && aff_http_quiet(l->http) && (!peers_of(l) || aff_peers_quiet(peers_of(l))))
        atomic_store(&l->stage, AFF_LOOP_QUIET);
    else
        set_timer(l, timer, QUIET_MS);
}

static void on_farewell(struct aff_msg *msg)
{
    aff_http_farewell(aff_container_of(msg, struct aff_node_loop, farewell)->http);
}

static void on_drain(struct aff_msg *msg)
{
    struct aff_node_loop *l = aff_container_of(msg, struct aff_node_loop, drain);
    aff_http_drain(l->http);
    if (peers_of(l))
        aff_peers_drain(peers_of(l));
    each_partition(l, drain_one);
    l->quiet.fire = fire_quiet;
    fire_quiet(&l->quiet);
}

/* Answers go to the loops of those who asked; they are on their way before this loop says that it has ended. */
static void on_end(struct aff_msg *msg)
{
    struct aff_node_loop *l = aff_container_of(msg, struct aff_node_loop, end);
    aff_loop_timer_cancel(l->loop, &l->quiet);
    aff_verify_leave(l->node->verify, l->loop);
    aff_port_close(l->port);
    each_partition(l, stop_one);
    atomic_store(&l->stage, AFF_LOOP_ENDED);
}

static void on_close(struct aff_msg *msg)
{
    struct aff_node_loop *l = aff_container_of(msg, struct aff_node_loop, close);
    aff_http_stop(l->http);
    aff_loop_timer_cancel(l->loop, &l->tick);
    atomic_store(&l->stage, AFF_LOOP_CLOSED);
}

/* ---- beginning ---- */

static void *run_thread(void *loop)
{
    aff_loop_run(loop);
    return NULL;
}

/* Signals are the application's business: our threads take none, but those that tell of a fault in the thread itself. */
static void block_signals(sigset_t *ret_before)
{
    static const int own[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS, SIGPROF };
    sigset_t all;
    sigfillset(&all);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        sigdelset(&all, own[i]);
    (void)pthread_sigmask(SIG_SETMASK, &all, ret_before);
}

static int run_loops(struct aff_node *node, aff_error *err)
{
    for (unsigned i = 0; i < node->loops_count; i++) {
        struct aff_node_loop *l = &node->loops[i];
        int rc = pthread_create(&l->thread, NULL, run_thread, l->loop);
        if (rc)
            return aff_fail_with(err, AFF_EAGAIN, "cannot make the thread of loop %u of %u: %s", i, node->loops_count,
                                 strerror(rc));
        l->runs = true;
    }
    return 0;
}

static void join_loops(struct aff_node *node)
{
    for (unsigned i = 0; node->loops && i < node->loops_count; i++)
        if (node->loops[i].runs)
            aff_loop_stop(node->loops[i].loop);
    for (unsigned i = 0; node->loops && i < node->loops_count; i++)
        if (node->loops[i].runs) {
            (void)pthread_join(node->loops[i].thread, NULL);
            node->loops[i].runs = false;
        }
}

static void ask(struct aff_node_loop *l, struct aff_msg *msg, void (*deliver)(struct aff_msg *msg))
{
    msg->deliver = deliver;
    aff_loop_call(l->loop, msg);
}

static void begin_anew(struct aff_node *node)
{
    atomic_store(&node->draining, false);
    atomic_store(&node->topics.stage, AFF_TOPICS_ASKED);
    atomic_store(&node->topics.give_up, false);
    node->topics.missing[0] = '\0';
    node->partitions_asked = node->joined = node->drain_asked = false;
    node->started_wall_ms = aff_wall_ms(node->logger.clock);
    node->started_ns = node->told_ns = aff_mono_ns(node->logger.clock);
    node->progress_sum = 0;
    node->cut_off_ns = 0;
}

int aff_node_begin(struct aff_node *node, aff_error *err)
{
    sigset_t before;
    if (node->built)
        return aff_fail_with(err, AFF_EBUSY, "the node is started already");
    block_signals(&before);
    begin_anew(node);
    int code = aff_node_build(node, err);
    if (code == 0)
        code = run_loops(node, err);
    for (unsigned i = 0; code == 0 && i < node->loops_count; i++)
        ask(&node->loops[i], &node->loops[i].run, on_run);
    if (code == 0)
        code = aff_node_ask_topics(node, err);
    node->built = code == 0;
    if (code) {
        join_loops(node);
        aff_node_unbuild(node);
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}

static void start_partitions(struct aff_node *node)
{
    node->partitions_asked = true;
    node->progress_ns = aff_mono_ns(node->logger.clock);
    for (unsigned i = 0; i < node->loops_count; i++)
        ask(&node->loops[i], &node->loops[i].start, on_start);
}

struct look {
    uint64_t partitions, begun; /* begun: serves, or stands by while another node leads it */
    int64_t applied;
    struct aff_part_info waits; /* the first that has not begun */
};

static struct look look_at(const struct aff_node *node)
{
    struct look look = { 0 };
    const struct aff_space *space;
    for (size_t i = 0; (space = aff_router_space_at(node->router, i)); i++)
        for (uint32_t p = 0; p < space->partitions; p++) {
            struct aff_part_info info;
            aff_router_part_info(space, p, &info);
            look.partitions++;
            look.begun += info.serves || info.stands_by;
            look.applied += info.applied;
            if (!info.serves && !info.stands_by && (!look.waits.space || info.role == AFF_ROLE_FAILED))
                look.waits = info;
        }
    return look;
}

/* "2 of 8 partitions do not serve; the first is ..." */
static void tell(const struct look *look, char *text, size_t size)
{
    (void)snprintf(
        text, size,
        "%llu of %llu partitions do not serve; the first is keyspace %s, partition %u: it is %s at offset %lld of "
        "%lld",
        (unsigned long long)(look->partitions - look->begun), (unsigned long long)look->partitions,
        look->waits.space->name, look->waits.partition, aff_role_name(look->waits.role), (long long)look->waits.applied,
        (long long)look->waits.log_end);
}

/* 0, or too late: `waits_for` says what it waits for. */
static int in_time(struct aff_node *node, const char *waits_for, aff_error *err)
{
    int64_t now = aff_mono_ns(node->logger.clock), most_ms = node->config->kafka.start_timeout_ms;
    if (aff_node_owns_log(node)) {
        if (now - node->progress_ns < NO_PROGRESS_S * AFF_NS_PER_S)
            return 0;
        return aff_fail_with(err, AFF_ETIMEDOUT, "nothing came further for %d s: %.400s", NO_PROGRESS_S, waits_for);
    }
    if (most_ms && now - node->started_ns > most_ms * AFF_NS_PER_MS)
        return aff_fail_with(err, AFF_ETIMEDOUT, "not started within kafka.start_timeout: %.400s", waits_for);
    if (now - node->told_ns > TELL_S * AFF_NS_PER_S) {
        node->told_ns = now;
        aff_log(&node->logger, WARN, "node.waits", aff_f_str("for", waits_for));
    }
    return 0;
}

static int partitions_begun(struct aff_node *node, aff_error *err)
{
    struct look look = look_at(node);
    char text[400];
    if (look.begun == look.partitions)
        return 1;
    if (look.waits.role == AFF_ROLE_FAILED)
        return aff_fail_with(err, AFF_EIO, "keyspace %s, partition %u: %.300s", look.waits.space->name,
                             look.waits.partition, look.waits.failure);
    if (look.applied != node->progress_sum) {
        node->progress_sum = look.applied;
        node->progress_ns = aff_mono_ns(node->logger.clock);
    }
    tell(&look, text, sizeof text);
    return in_time(node, text, err);
}

static bool all_reached(const struct aff_node *node, enum aff_loop_stage stage)
{
    for (unsigned i = 0; i < node->loops_count; i++)
        if (atomic_load(&node->loops[i].stage) < (int)stage)
            return false;
    return true;
}

/* As partitions_begun(); but the cluster decides what is held here. A partition that fails here is tried again. */
static int member_begun(struct aff_node *node, aff_error *err)
{
    struct aff_membership membership;
    char text[400];
    if (!all_reached(node, AFF_LOOP_STARTED))
        return 0;
    if (!node->joined) {
        node->joined = true;
        return aff_node_join(node, err);
    }
    aff_node_membership(node, &membership);
    if (aff_membership_ready(&membership))
        return 1;
    aff_membership_tell(&membership, text, sizeof text);
    return in_time(node, text, err);
}

int aff_node_begun(struct aff_node *node, aff_error *err)
{
    aff_error trouble;
    switch (atomic_load(&node->topics.stage)) {
    case AFF_TOPICS_FAILED:
        return aff_fail_with(err, node->topics.err.code, "%s", node->topics.err.text);
    case AFF_TOPICS_KNOWN:
        if (node->partitions_asked)
            return aff_node_in_cluster(node) ? member_begun(node, err) : partitions_begun(node, err);
        start_partitions(node);
        return 0;
    default:
        (void)aff_node_log_trouble(node, &trouble);
        return aff_node_owns_log(node) ? 0 : in_time(node, trouble.text, err);
    }
}

/* ---- ending ---- */

void aff_node_retire(struct aff_node *node)
{
    if (!node->built || atomic_exchange(&node->draining, true) || !node->joined)
        return;
    node->coordinator->ops->drain(node->coordinator);
    for (unsigned i = 0; i < node->loops_count; i++)
        ask(&node->loops[i], &node->loops[i].farewell, on_farewell);
}

/* While nobody coordinates nothing can move: that is borne as long as a session lasts. */
static bool is_cut_off(struct aff_node *node)
{
    int64_t now = aff_mono_ns(node->logger.clock);
    struct aff_coordinator_health health;
    node->coordinator->ops->health(node->coordinator, &health);
    if (health.connected || node->cut_off_ns == 0)
        node->cut_off_ns = now;
    return now - node->cut_off_ns > node->config->zookeeper.session_ms * AFF_NS_PER_MS;
}

bool aff_node_retired(struct aff_node *node)
{
    return !node->joined || aff_node_leads_nothing(node) || is_cut_off(node);
}

void aff_node_drain(struct aff_node *node)
{
    if (!node->built || node->drain_asked)
        return;
    node->drain_asked = true;
    atomic_store(&node->draining, true);
    if (node->peer_listener)
        aff_peer_listener_close(node->peer_listener);
    for (size_t i = 0; i < node->config->http_count; i++)
        aff_listener_close(node->listeners[i]);
    for (unsigned i = 0; i < node->loops_count; i++)
        ask(&node->loops[i], &node->loops[i].drain, on_drain);
}

bool aff_node_drained(struct aff_node *node)
{
    return !node->built || all_reached(node, AFF_LOOP_QUIET);
}

static void nap(void)
{
    const struct timespec time = { .tv_nsec = LOOK_MS * AFF_NS_PER_MS };
    (void)nanosleep(&time, NULL);
}

static bool await(const struct aff_node *node, enum aff_loop_stage stage)
{
    int64_t until = aff_mono_ns(node->logger.clock) + END_S * AFF_NS_PER_S;
    while (!all_reached(node, stage)) {
        if (aff_mono_ns(node->logger.clock) > until)
            return false;
        nap();
    }
    return true;
}

int aff_node_end(struct aff_node *node)
{
    if (!node->built)
        return 0;
    bool clean = aff_node_drained(node);
    aff_node_drain(node);
    for (unsigned i = 0; i < node->loops_count; i++)
        ask(&node->loops[i], &node->loops[i].end, on_end);
    bool ended = await(node, AFF_LOOP_ENDED);
    for (unsigned i = 0; ended && i < node->loops_count; i++)
        ask(&node->loops[i], &node->loops[i].close, on_close);
    if (!ended || !await(node, AFF_LOOP_CLOSED)) {
        aff_log(&node->logger, ERROR, "node.stuck", aff_f_int("seconds", END_S),
                aff_f_str("hint", "a loop does not answer: does a command block?"));
        return AFF_EBUSY;
    }
    join_loops(node);
    aff_node_leave_topics(node);
    aff_node_unbuild(node);
    node->built = false;
    return clean ? 0 : AFF_ETIMEDOUT;
}

/* ---- the public functions ---- */

int aff_node_start(aff_node *node, aff_error *err)
{
    int code = aff_node_begin(node, err);
    if (code)
        return code;
    while ((code = aff_node_begun(node, err)) == 0)
        nap();
    if (code < 0)
        (void)aff_node_end(node);
    return code < 0 ? code : 0;
}

const char *aff_node_address(const aff_node *node, unsigned index)
{
    return index < node->config->http_count && node->addresses[index][0] ? node->addresses[index] : NULL;
}

int aff_node_stop(aff_node *node, int64_t timeout_ms)
{
    int64_t until = aff_mono_ns(node->logger.clock) + timeout_ms * AFF_NS_PER_MS;
    aff_node_retire(node);
    while (!aff_node_retired(node) && aff_mono_ns(node->logger.clock) < until)
        nap();
    aff_node_drain(node);
    while (!aff_node_drained(node) && aff_mono_ns(node->logger.clock) < until)
        nap();
    return aff_node_end(node);
}

void aff_node_free(aff_node *node)
{
    if (!node)
        return;
    if (aff_node_end(node) == AFF_EBUSY)
        return; /* its threads still use it */
    aff_served_fini(&node->served);
    aff_config_free(node->config);
    pthread_mutex_destroy(&node->topics.lock);
    free(node->addresses);
    free(node);
}
