/*
 * keeper.c - the driver `zookeeper`: its life, its loop, sessions one after the other, and the order of a step. See keeper.h.
 */
#include "coordinator/zookeeper/keeper.h"

#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RETRY_MS = 500, PAUSE_MS = 250, TICKS = 4 /* in the time between two reports */, STANDS_SESSIONS = 2 };

/* ---- sessions ---- */

static void forget_session(struct keeper *k)
{
    /* In this order: who reads without a lock must not see a lease of the next session beside an epoch of this one (I5). */
    aff_keeper_seats_unlease(k);
    atomic_store(&k->lease_until, 0);
    k->member[0] = '\0';
    k->connected = false;
    k->paths_made = k->paths_pending = 0;
    for (size_t i = 0; i < k->paths_count; i++)
        aff_zk_forget(&k->paths[i].call);
    aff_keeper_members_reset(k);
    aff_keeper_election_reset(k);
    aff_keeper_chunks_reset(k);
    aff_keeper_reports_reset(k);
    k->view_due = true;
}

static void connected(struct keeper *k)
{
    struct aff_zk_session session = aff_zk_session(k->zk);
    bool new = session.id != k->session.id;

    k->connected = true;
    k->refused = false;
    k->session = session;
    k->session_ms = aff_zk_session_ms(k->zk);
    aff_log(k->opts.logger, INFO, new ? "coordinator.session" : "coordinator.reconnected",
            aff_f_int("session_ms", k->session_ms));
    /* Watches may have been lost, and answers were. */
    aff_keeper_members_changed(k, NULL);
    aff_keeper_chunks_changed(k, NULL);
    k->election.stale = true;
    if (new && k->opts.session)
        k->opts.session(k->opts.self, session.id, session.password);
}

static void take_state(void *self, enum aff_zk_state state)
{
    struct keeper *k = self;
    bool was = k->connected;

    k->connected = false;
    switch (state) {
    case AFF_ZK_CONNECTED:
        connected(k);
        break;
    case AFF_ZK_EXPIRED:
        k->over = true;
        break;
    case AFF_ZK_REFUSED:
        k->over = k->refused = true;
        break;
    default:
        break;
    }
    if (was && !k->connected)
        aff_log(k->opts.logger, WARN, k->over ? "coordinator.session_lost" : "coordinator.disconnected",
                aff_f_str("member", k->member));
    k->view_due = true;
    keeper_due(k);
}

static void take_change(void *self, const char *path)
{
    struct keeper *k = self;
    size_t root = strlen(k->root);

    keeper_due(k);
    if (strncmp(path, k->root, root) != 0)
        return;
    if (strncmp(path + root, "/nodes", 6) == 0)
        aff_keeper_members_changed(k, path);
    else if (strcmp(path + root, "/controller") == 0)
        k->election.stale = true;
    else
        aff_keeper_chunks_changed(k, path);
}

static void begin_session(struct keeper *k)
{
    aff_error err;

    k->over = false;
    k->begun_ns = keeper_now(k);
    if (aff_zk_new(
            &(struct aff_zk_opts){
                .connect = k->opts.connect,
                .auth = k->opts.auth,
                .session_ms = k->opts.session_ms,
                .deadline_ms = k->opts.session_ms,
                .loop = k->loop,
                .state = take_state,
                .changed = take_change,
                .self = k,
            },
            &k->zk, &err) == 0)
        return;
    (void)snprintf(k->trouble, sizeof k->trouble, "%.150s", err.text);
    k->view_due = true;
}

static void replace_session(struct keeper *k)
{
    forget_session(k);
    k->zk = aff_zk_free(k->zk);
    begin_session(k);
}

/* A loop of this node has not turned for so long that its partitions are better led by others, whose reports are still known. */
static bool stands_still(const struct keeper *k)
{
    return k->opts.alive_ns &&
           keeper_now(k) - k->opts.alive_ns(k->opts.self) > STANDS_SESSIONS * k->opts.session_ms * AFF_NS_PER_MS;
}

/* The client library has threads of its own, which would keep the session for ever: others take over once it is closed. */
static void leave_session(struct keeper *k)
{
    aff_log(k->opts.logger, ERROR, "coordinator.left", aff_f_str("member", k->member),
            aff_f_str("why", "a loop stands still: does a command block?"));
    forget_session(k);
    k->zk = aff_zk_free(k->zk);
    (void)snprintf(k->trouble, sizeof k->trouble, "a loop of this node stands still; it is no member until it turns");
    k->paused_ns = keeper_now(k); /* told until there is a session again */
}

/* The client of a session that is over, or that could not be made, is replaced; not in a hurry. */
static bool has_session(struct keeper *k)
{
    bool stands = stands_still(k), over;

    if (stands && k->zk)
        leave_session(k);
    over = k->over || !k->zk;
    if (over)
        forget_session(k);
    if (over && !stands && keeper_now(k) - k->begun_ns >= RETRY_MS * AFF_NS_PER_MS)
        replace_session(k);
    return k->zk && !k->over && k->connected;
}

/* ---- the folders ---- */

void aff_keeper_trouble(struct keeper *k, const char *what, const char *path, const struct aff_zk_reply *reply)
{
    if (reply->result == AFF_ZK_DENIED)
        (void)snprintf(k->trouble, sizeof k->trouble,
                       "ZooKeeper does not allow this node to %s %.60s: are zookeeper's user and password right?", what,
                       path);
    else
        (void)snprintf(k->trouble, sizeof k->trouble, "ZooKeeper could not %s %.60s: its code is %d", what, path,
                       reply->code);
    aff_log(k->opts.logger, ERROR, "coordinator.trouble", aff_f_str("what", k->trouble));
    k->paused_ns = keeper_now(k) + PAUSE_MS * AFF_NS_PER_MS;
    k->view_due = true;
}

static void made_path(struct aff_zk_call *call, const struct aff_zk_reply *reply)
{
    struct keeper_path *path = aff_container_of(call, struct keeper_path, call);
    struct keeper *k = path->k;

    keeper_due(k);
    k->paths_pending--;
    if (reply->result == AFF_ZK_OK || reply->result == AFF_ZK_EXISTS)
        k->paths_made++;
    else if (reply->result != AFF_ZK_UNKNOWN && reply->result != AFF_ZK_NONE)
        aff_keeper_trouble(k, "create", path->path, reply);
}

/* All at once: they are done in their order. */
static bool folders_made(struct keeper *k)
{
    if (k->paths_made == k->paths_count)
        return true;
    if (k->paths_pending > 0)
        return false;
    k->paths_made = 0;
    for (size_t i = 0; i < k->paths_count; i++) {
        k->paths_pending++;
        aff_zk_create(k->zk, &k->paths[i].call, k->paths[i].path, aff_str(""),
                      i == 0 ? AFF_ZK_SHARED : AFF_ZK_PERSISTENT);
    }
    return false;
}

static void add_path(struct keeper *k, const char *below, const char *name)
{
    struct keeper_path *path = &k->paths[k->paths_count++];

    path->k = k;
    path->call.done = made_path;
    (void)snprintf(path->path, sizeof path->path, "%s%s%s", k->root, below, name);
}

static void name_folders(struct keeper *k)
{
    k->paths = aff_xcalloc(k->spaces_count + 5, sizeof *k->paths);
    add_path(k, "", "");
    (void)snprintf(k->paths[0].path, KEEPER_PATH_MAX, "/affinity");
    add_path(k, "", "");
    add_path(k, "/nodes", "");
    add_path(k, "/lag", "");
    add_path(k, "/keyspaces", "");
    for (size_t s = 0; s < k->spaces_count; s++)
        add_path(k, "/keyspaces/", k->spaces[s].name);
}

/* ---- a step ---- */

static void work(struct keeper *k)
{
    if (!has_session(k) || keeper_now(k) < k->paused_ns || !folders_made(k))
        return;
    aff_keeper_members_step(k);
    if (!k->member[0])
        return;
    aff_keeper_election_step(k);
    aff_keeper_chunks_read(k);
    aff_keeper_reports_step(k);
    aff_keeper_controller_step(k);
    aff_keeper_chunks_write(k);
}

static bool step(struct aff_hook *hook)
{
    struct keeper *k = aff_container_of(hook, struct keeper, hook);

    if (!k->due)
        return false;
    k->due = false;
    work(k);
    aff_keeper_publish(k);
    return k->due;
}

static void tick(struct aff_timer *timer)
{
    struct keeper *k = aff_container_of(timer, struct keeper, tick);

    if (k->paused_ns && keeper_now(k) >= k->paused_ns && k->connected) {
        k->paused_ns = 0;
        k->trouble[0] = '\0'; /* it is told again if it is still so */
        k->view_due = true;
    }
    if (k->connected && ++k->ticks % TICKS == 0)
        aff_keeper_reports_tick(k);
    if (k->connected)
        aff_keeper_seats_tick(k);
    keeper_due(k);
    aff_loop_timer_set(k->loop, &k->tick, keeper_now(k) + keeper_h_ms(k) * AFF_NS_PER_MS / TICKS);
}

/* ---- life ---- */

static void *run(void *self)
{
    struct keeper *k = self;

    begin_session(k);
    k->hook.run = step;
    aff_loop_hook_add(k->loop, &k->hook, AFF_STAGE_PARTITION);
    k->tick.fire = tick;
    aff_loop_timer_set(k->loop, &k->tick, 0);
    aff_loop_run(k->loop);
    aff_loop_timer_cancel(k->loop, &k->tick);
    aff_loop_hook_remove(&k->hook);
    forget_session(k);
    k->zk = aff_zk_free(k->zk);
    return NULL;
}

static int join(struct aff_coordinator *c, const struct aff_member *self, aff_error *err)
{
    struct keeper *k = aff_container_of(c, struct keeper, base);

    if (k->running)
        return aff_fail_with(err, AFF_EINVAL, "coordinator: joined already");
    if (!aff_node_name_valid(self->name))
        return aff_fail_with(err, AFF_ECONFIG, "node.name '%s': a node's name is [a-z][a-z0-9_-]*, at most %d bytes",
                             self->name, AFF_NODE_NAME_MAX);
    k->self = (struct aff_view_node){ .live = true, .version = AFF_ZNODE_VERSION, .features = k->opts.features };
    (void)snprintf(k->self.name, sizeof k->self.name, "%s", self->name);
    (void)snprintf(k->self.http, sizeof k->self.http, "%s", self->http ? self->http : "");
    (void)snprintf(k->self.peer, sizeof k->self.peer, "%s", self->peer ? self->peer : "");
    (void)snprintf(k->self.zone, sizeof k->self.zone, "%s", self->zone ? self->zone : "");
    k->running = pthread_create(&k->thread, NULL, run, k) == 0;
    return k->running ? 0 : aff_fail_with(err, AFF_EIO, "coordinator: no thread could be made");
}

static void drain(struct aff_coordinator *c)
{
    atomic_store(&aff_container_of(c, struct keeper, base)->drains, true); /* the next report says so */
}

static int64_t lease_until(struct aff_coordinator *c)
{
    return atomic_load(&aff_container_of(c, struct keeper, base)->lease_until);
}

static void free_space(struct keeper_space *space)
{
    for (uint32_t p = 0; space->assigned && p < space->partitions; p++) {
        for (uint32_t r = 0; r < space->replicas; r++)
            free(space->assigned[p][r]);
        free(space->assigned[p]);
    }
    free(space->assigned);
    free(space->name);
    free(space->chunks);
    free(space->scratch);
    free(space->places);
}

static void free_strings(struct keeper *k)
{
    free((char *)k->opts.cluster);
    free((char *)k->opts.connect);
    free((char *)k->opts.auth);
}

static struct aff_coordinator *keeper_free(struct aff_coordinator *c)
{
    struct keeper *k = c ? aff_container_of(c, struct keeper, base) : NULL;

    if (!k)
        return NULL;
    if (k->loop)
        aff_loop_stop(k->loop);
    if (k->running)
        (void)pthread_join(k->thread, NULL);
    if (k->loop) /* what was still on its way, as from seats that left */
        (void)aff_loop_pass(k->loop, 0);
    aff_keeper_wishes_fini(k);
    aff_keeper_members_fini(k);
    aff_keeper_chunks_reset(k);
    aff_keeper_reports_fini(k);
    aff_keeper_controller_fini(k);
    for (size_t s = 0; s < k->spaces_count; s++)
        free_space(&k->spaces[s]);
    free(k->spaces);
    free(k->paths);
    (void)aff_view_drop(k->shared.view);
    (void)pthread_mutex_destroy(&k->shared.lock);
    k->loop = aff_loop_free(k->loop);
    free_strings(k);
    free(k);
    return NULL;
}

static const struct aff_coordinator_ops ops = {
    .name = "zookeeper",
    .take = aff_keeper_take,
    .leave = aff_keeper_leave,
    .request_epoch = aff_keeper_request_epoch,
    .deposed = aff_keeper_deposed,
    .lease_until = lease_until,
    .gave = aff_keeper_gave,
    .took = aff_keeper_took,
    .join = join,
    .drain = drain,
    .wish = aff_keeper_wish,
    .view = aff_keeper_view,
    .health = aff_keeper_health,
    .watch = aff_keeper_watch,
    .free = keeper_free,
};

/* ---- making one ---- */

static void copy_assigned(struct keeper_space *space, const char *const *const *assigned)
{
    if (!assigned)
        return;
    space->assigned = aff_xcalloc(space->partitions, sizeof *space->assigned);
    for (uint32_t p = 0; p < space->partitions; p++) {
        space->assigned[p] = aff_xcalloc(space->replicas + 1, sizeof(char *));
        for (uint32_t r = 0; r < space->replicas; r++)
            space->assigned[p][r] = aff_xstrdup(assigned[p][r]);
    }
}

static void copy_space(struct keeper *k, uint32_t s, const struct aff_coordinator_space *from)
{
    struct keeper_space *space = &k->spaces[s];

    space->name = aff_xstrdup(from->name);
    space->partitions = from->partitions;
    space->replicas = from->replicas;
    copy_assigned(space, from->assigned);
    space->chunks_count = aff_chunks_of(from->partitions);
    space->chunks = aff_xcalloc(space->chunks_count, sizeof *space->chunks);
    space->scratch = aff_xcalloc(space->chunks_count, sizeof *space->scratch);
    space->places = aff_xcalloc(from->partitions, sizeof(struct keeper_place *));
    for (uint32_t i = 0; i < space->chunks_count; i++) {
        struct keeper_chunk *chunk = &space->chunks[i];

        chunk->k = k;
        chunk->space = s;
        chunk->index = i;
        chunk->stale = true;
        aff_chunk_init(&chunk->now, from->name, from->partitions, i);
        (void)snprintf(chunk->path, sizeof chunk->path, "%s/keyspaces/%.40s/%u", k->root, from->name, i);
    }
}

static int check(const struct aff_coordinator_zookeeper_opts *opts, aff_error *err)
{
    int64_t h = opts->session_ms / KEEPER_LEASES, lease = opts->session_ms * 95 / 100 - h - opts->tick_ms;

    if (strlen(opts->cluster) == 0 || strlen(opts->cluster) > AFF_NODE_NAME_MAX)
        return aff_fail_with(err, AFF_ECONFIG, "cluster '%s': its name has 1 to %d bytes", opts->cluster,
                             AFF_NODE_NAME_MAX);
    if (lease < 3 * h)
        return aff_fail_with(
            err, AFF_ECONFIG,
            "zookeeper.session %lld ms is too short for servers whose tick is %lld ms: a lease would hold %lld ms. "
            "Right is at least twice the tick",
            (long long)opts->session_ms, (long long)opts->tick_ms, (long long)lease);
    if (opts->auth && !strchr(opts->auth, ':'))
        return aff_fail_with(err, AFF_ECONFIG, "zookeeper.auth: right is user:password");
    return 0;
}

static struct keeper *allocate(const struct aff_coordinator_zookeeper_opts *opts)
{
    struct keeper *k = aff_xcalloc(1, sizeof *k);

    k->base.ops = &ops;
    k->opts = *opts;
    k->opts.cluster = aff_xstrdup(opts->cluster);
    k->opts.connect = aff_xstrdup(opts->connect);
    k->opts.auth = opts->auth ? aff_xstrdup(opts->auth) : NULL;
    k->opts.clock = opts->clock ? opts->clock : aff_clock_system();
    k->opts.spaces = NULL;
    k->opts.away_ms = opts->away_ms ? opts->away_ms : KEEPER_AWAY_MS;
    k->session_ms = opts->session_ms;
    (void)snprintf(k->root, sizeof k->root, "/affinity/%s", opts->cluster);
    (void)pthread_mutex_init(&k->shared.lock, NULL);
    aff_list_init(&k->wishes);
    k->members.stale = k->election.stale = k->due = true;
    k->spaces_count = opts->spaces_count;
    k->spaces = aff_xcalloc(opts->spaces_count + 1, sizeof *k->spaces);
    for (uint32_t s = 0; s < opts->spaces_count; s++)
        copy_space(k, s, &opts->spaces[s]);
    name_folders(k);
    return k;
}

int aff_coordinator_zookeeper_new(const struct aff_coordinator_zookeeper_opts *opts, struct aff_coordinator **ret_c,
                                  aff_error *err)
{
    struct keeper *k;
    int rc = check(opts, err);

    if (rc)
        return rc;
    k = allocate(opts);
    rc = aff_loop_new(&(struct aff_loop_opts){ .name = "coordinator", .clock = k->opts.clock, .logger = opts->logger },
                      &k->loop, err);
    if (rc) {
        (void)keeper_free(&k->base);
        return rc;
    }
    *ret_c = &k->base;
    return 0;
}
