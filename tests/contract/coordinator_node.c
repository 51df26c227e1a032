/*
 * coordinator_node.c - see coordinator_node.h. Seats live on their node's loop; the world's lock guards the log and the traces.
 */
#include "coordinator_node.h"

#include "base/alloc.h"
#include "base/list.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PATIENCE_S = 60 };

static const char keyspace[] = "accounts";

/* ---- what may never be ---- */

static void wrong(struct node_seat *s, const char *what)
{
    struct cluster *cluster = s->node->cluster;

    (void)pthread_mutex_lock(&cluster->lock);
    if (!cluster->wrong[0])
        (void)snprintf(cluster->wrong, sizeof cluster->wrong, "%s partition %u: %s; it was told:%.300s", s->node->name,
                       s->seat.partition, what, s->trace);
    (void)pthread_mutex_unlock(&cluster->lock);
}

static void note(struct node_seat *s, const char *event, uint32_t number)
{
    size_t used;

    (void)pthread_mutex_lock(&s->node->cluster->lock);
    used = strlen(s->trace);
    if (number)
        (void)snprintf(s->trace + used, sizeof s->trace - used, " %s(%u)", event, number);
    else
        (void)snprintf(s->trace + used, sizeof s->trace - used, " %s", event);
    (void)pthread_mutex_unlock(&s->node->cluster->lock);
}

/* Each event begins with it. */
static struct node_seat *event(struct aff_seat *seat, const char *name, uint32_t number)
{
    struct node_seat *s = aff_container_of(seat, struct node_seat, seat);

    note(s, name, number);
    if (!aff_loop_here(s->node->loop))
        wrong(s, "an event came on another thread than its loop's");
    if (s->in_call)
        wrong(s, "an event came from inside a call");
    if (!s->taken)
        wrong(s, "an event came after leave()");
    return s;
}

/* ---- the log ---- */

static void deposed(struct node_seat *s, uint32_t major)
{
    note(s, "deposed", major);
    atomic_store(&s->major, 0);
    atomic_store(&s->seat.state, AFF_SEAT_IN_STEP);
    s->in_call = true;
    s->node->c->ops->deposed(s->node->c, &s->seat, major);
    s->in_call = false;
}

struct word {
    struct aff_msg msg;
    struct node_seat *s;
    uint32_t major;
};

static void deliver_deposal(struct aff_msg *msg)
{
    struct word *word = aff_container_of(msg, struct word, msg);

    if (word->s->taken && atomic_load(&word->s->major) && atomic_load(&word->s->major) < word->major)
        deposed(word->s, word->major);
    free(word);
}

/* Who led reads the claim of another. */
static void tell_deposal(struct node_seat *s, uint32_t major)
{
    struct word *word = aff_xcalloc(1, sizeof *word);

    word->s = s;
    word->major = major;
    word->msg.deliver = deliver_deposal;
    aff_loop_call(s->node->loop, &word->msg);
}

/* True: the claim is valid, and the seat leads. */
static bool claim(struct node_seat *s, uint32_t major)
{
    struct cluster *cluster = s->node->cluster;
    uint32_t p = s->seat.partition, highest;
    struct node_seat *before;

    (void)pthread_mutex_lock(&cluster->lock);
    highest = cluster->log[p].highest;
    before = cluster->log[p].leader;
    if (major > highest) {
        cluster->log[p].highest = major;
        cluster->log[p].leader = s;
    }
    (void)pthread_mutex_unlock(&cluster->lock);
    if (major <= highest)
        return false;
    if (before && before != s && cluster->tells)
        tell_deposal(before, major);
    atomic_store(&s->major, major);
    atomic_store(&s->seat.state, AFF_SEAT_LEADS);
    return true;
}

static void note_grant(struct node_seat *s, uint32_t major)
{
    struct cluster *cluster = s->node->cluster;
    bool again = false;

    (void)pthread_mutex_lock(&cluster->lock);
    for (size_t i = 0; i < cluster->grants_count; i++)
        again |= cluster->grants[i].partition == s->seat.partition && cluster->grants[i].major == major &&
                 cluster->grants[i].node != s->node;
    if (cluster->grants_count < GRANTS_MAX)
        cluster->grants[cluster->grants_count++] = (struct grant){ s->seat.partition, major, 0, s->node };
    (void)pthread_mutex_unlock(&cluster->lock);
    if (again)
        wrong(s, "an epoch was granted to two nodes (I1)");
}

/* ---- events ---- */

static void on_host(struct aff_seat *seat)
{
    struct node_seat *s = event(seat, "host", 0);

    if (s->hosted)
        wrong(s, "host came twice");
    s->hosted = true;
    atomic_fetch_add(&s->hosts, 1);
    atomic_store(&s->seat.state, atomic_load(&s->node->behind) ? AFF_SEAT_BEHIND : AFF_SEAT_IN_STEP);
}

static void on_unhost(struct aff_seat *seat)
{
    struct node_seat *s = event(seat, "unhost", 0);

    if (!s->hosted || atomic_load(&s->major))
        wrong(s, "unhost came to a seat that leads, or is not hosted");
    s->hosted = false;
    atomic_fetch_add(&s->unhosts, 1);
    atomic_store(&s->seat.state, AFF_SEAT_AWAY);
}

static void on_lead(struct aff_seat *seat)
{
    struct node_seat *s = event(seat, "lead", 0);
    uint32_t above;

    if (!s->hosted)
        wrong(s, "lead came before host");
    atomic_fetch_add(&s->leads, 1);
    s->told_lead = true;
    (void)pthread_mutex_lock(&s->node->cluster->lock);
    above = s->node->cluster->log[s->seat.partition].highest;
    (void)pthread_mutex_unlock(&s->node->cluster->lock);
    atomic_store(&s->asked, above);
    s->in_call = true;
    s->node->c->ops->request_epoch(s->node->c, seat, above);
    s->in_call = false;
}

static void on_resign(struct aff_seat *seat)
{
    struct node_seat *s = event(seat, "resign", 0);

    if (!s->told_lead && !atomic_load(&s->major))
        wrong(s, "resign came to a seat that was not told to lead");
    s->told_lead = false;
    atomic_store(&s->major, 0);
    if (s->hosted)
        atomic_store(&s->seat.state, AFF_SEAT_IN_STEP);
    atomic_fetch_add(&s->resigns, 1);
}

static void on_granted(struct aff_seat *seat, uint32_t major)
{
    struct node_seat *s = event(seat, "granted", major);

    if (major <= atomic_load(&s->asked) || major <= atomic_load(&s->major))
        wrong(s, "the epoch is not above the one asked for");
    note_grant(s, major);
    atomic_fetch_add(&s->grants, 1);
    if (!claim(s, major))
        deposed(s, major + 1);
}

static struct node_seat *receiver_of(struct node_seat *s, const struct aff_give *give)
{
    struct cluster *cluster = s->node->cluster;

    for (unsigned i = 0; i < NODES_MAX; i++)
        if (cluster->nodes[i] && strcmp(cluster->nodes[i]->name, give->to) == 0)
            return &cluster->nodes[i]->seats[s->seat.partition];
    return NULL;
}

static void on_give(struct aff_seat *seat, const struct aff_give *give)
{
    struct node_seat *s = event(seat, "give", give->major), *to = receiver_of(s, give);
    enum give_mode mode = (enum give_mode)atomic_load(&s->node->give_mode);

    if (give->major <= atomic_load(&s->major) || give->back <= give->major)
        wrong(s, "the epochs of a hand-over are not above the giver's");
    if (atomic_load(&s->seat.leased_major))
        wrong(s, "it is leased while it gives");
    s->give = *give;
    atomic_fetch_add(&s->gives, 1);
    if ((mode == GIVE_TAKEN || mode == GIVE_LOST) && to)
        node_claim(to->node, seat->partition, give->major);
    if (mode != GIVE_SILENT && mode != GIVE_LOST)
        node_gave(s->node, seat->partition, mode == GIVE_TAKEN);
}

/* ---- what is done on a node's loop ---- */

struct errand {
    struct aff_msg msg;
    struct node *node;
    void (*run)(struct node *node, void *with);
    void *with;
    sem_t done;
};

static void deliver_errand(struct aff_msg *msg)
{
    struct errand *errand = aff_container_of(msg, struct errand, msg);

    errand->run(errand->node, errand->with);
    (void)sem_post(&errand->done);
}

void node_call(struct node *node, void (*run)(struct node *node, void *with), void *with)
{
    struct errand errand = { .msg.deliver = deliver_errand, .node = node, .run = run, .with = with };

    (void)sem_init(&errand.done, 0, 0);
    aff_loop_call(node->loop, &errand.msg);
    while (sem_wait(&errand.done) != 0)
        ;
    (void)sem_destroy(&errand.done);
}

struct saying {
    struct aff_msg msg;
    struct node *node;
    uint32_t partition, number;
    void (*run)(struct node_seat *s, uint32_t number);
};

static void deliver_saying(struct aff_msg *msg)
{
    struct saying *saying = aff_container_of(msg, struct saying, msg);

    if (saying->node->seats[saying->partition].taken)
        saying->run(&saying->node->seats[saying->partition], saying->number);
    free(saying);
}

static void say(struct node *node, uint32_t partition, uint32_t number,
                void (*run)(struct node_seat *s, uint32_t number))
{
    struct saying *saying = aff_xcalloc(1, sizeof *saying);

    saying->node = node;
    saying->partition = partition;
    saying->number = number;
    saying->run = run;
    saying->msg.deliver = deliver_saying;
    aff_loop_call(node->loop, &saying->msg);
}

static void say_gave(struct node_seat *s, uint32_t taken)
{
    note(s, taken ? "gave" : "kept", 0);
    if (taken) {
        atomic_store(&s->major, 0);
        s->told_lead = false;
        atomic_store(&s->seat.state, AFF_SEAT_IN_STEP);
    }
    s->in_call = true;
    s->node->c->ops->gave(s->node->c, &s->seat, taken);
    s->in_call = false;
}

void node_gave(struct node *node, uint32_t partition, bool taken)
{
    say(node, partition, taken, say_gave);
}

static void say_claim(struct node_seat *s, uint32_t major)
{
    note_grant(s, major);
    if (!claim(s, major))
        return;
    note(s, "took", major);
    s->told_lead = true;
    s->in_call = true;
    s->node->c->ops->took(s->node->c, &s->seat, major);
    s->in_call = false;
}

void node_claim(struct node *node, uint32_t partition, uint32_t major)
{
    say(node, partition, major, say_claim);
}

static void say_state(struct node_seat *s, uint32_t state)
{
    atomic_store(&s->seat.state, (int)state);
}

void node_state(struct node *node, uint32_t partition, enum aff_seat_state state)
{
    say(node, partition, (uint32_t)state, say_state);
}

void node_deposed(struct node *node, uint32_t partition, uint32_t major)
{
    say(node, partition, major, deposed);
}

/* ---- life ---- */

static int64_t alive_ns(void *self)
{
    int64_t frozen = atomic_load(&((struct node *)self)->frozen_ns);

    return frozen ? frozen : INT64_MAX;
}

void node_freeze(struct node *node, bool on)
{
    atomic_store(&node->frozen_ns, on ? aff_mono_ns(aff_clock_system()) : 0);
}

static void keep_session(void *self, int64_t id, const unsigned char password[16])
{
    struct node *node = self;

    (void)pthread_mutex_lock(&node->lock);
    node->session = id;
    memcpy(node->password, password, sizeof node->password);
    (void)pthread_mutex_unlock(&node->lock);
    atomic_fetch_add(&node->sessions, 1);
}

static void count_change(struct aff_coordinator_watch *watch)
{
    atomic_fetch_add(&aff_container_of(watch, struct node, watch)->changes, 1);
}

static struct aff_coordinator *make_coordinator(struct node *node)
{
    struct cluster *cluster = node->cluster;
    const struct aff_coordinator_space space = { keyspace, cluster->partitions, cluster->replicas, NULL };
    const struct aff_coordinator_zookeeper_opts opts = {
        .cluster = cluster->name,
        .connect = cluster->connect,
        .auth = cluster->auth,
        .session_ms = cluster->session_ms,
        .tick_ms = cluster->tick_ms,
        .spaces = &space,
        .spaces_count = 1,
        .alive_ns = alive_ns,
        .session = keep_session,
        .self = node,
    };
    struct aff_coordinator *c = NULL;
    aff_error err;

    if (!cluster->connect)
        return aff_coordinator_embedded_new(&(struct aff_coordinator_embedded_opts){ true, 10, 30, NULL });
    if (aff_coordinator_zookeeper_new(&opts, &c, &err))
        fail_msg("%s", err.text);
    return c;
}

static void *run_loop(void *self)
{
    aff_loop_run(((struct node *)self)->loop);
    return NULL;
}

struct node *node_make(struct cluster *cluster, unsigned index)
{
    struct node *node = aff_xcalloc(1, sizeof *node);
    aff_error err;

    node->cluster = cluster;
    node->index = index;
    (void)snprintf(node->name, sizeof node->name, "n%u", index + 1);
    (void)pthread_mutex_init(&node->lock, NULL);
    assert_int_equal(aff_loop_new(&(struct aff_loop_opts){ .name = node->name }, &node->loop, &err), 0);
    node->c = make_coordinator(node);
    node->watch.changed = count_change;
    if (node->c->ops->watch)
        node->c->ops->watch(node->c, &node->watch);
    assert_int_equal(pthread_create(&node->thread, NULL, run_loop, node), 0);
    cluster->nodes[index] = node;
    return node;
}

static void take(struct node *node, void *with)
{
    const uint32_t p = *(const uint32_t *)with;
    struct node_seat *s = &node->seats[p];
    aff_error err;

    s->node = node;
    s->taken = true;
    s->seat = (struct aff_seat){
        .host = on_host,
        .unhost = on_unhost,
        .lead = on_lead,
        .resign = on_resign,
        .granted = on_granted,
        .give = on_give,
        .loop = node->loop,
        .keyspace = keyspace,
        .partition = p,
    };
    s->in_call = true;
    if (node->c->ops->take(node->c, &s->seat, &err))
        wrong(s, err.text);
    s->in_call = false;
}

void node_take(struct node *node, uint32_t partition)
{
    node_call(node, take, &partition);
}

static void leave(struct node *node, void *with)
{
    struct node_seat *s = &node->seats[*(const uint32_t *)with];

    if (!s->taken)
        return;
    s->in_call = true;
    node->c->ops->leave(node->c, &s->seat);
    s->in_call = s->taken = s->hosted = s->told_lead = false;
    atomic_store(&s->major, 0);
}

void node_leave(struct node *node, uint32_t partition)
{
    node_call(node, leave, &partition);
}

void node_join(struct node *node)
{
    const struct aff_member self = { node->name, "127.0.0.1:1", "127.0.0.1:2", node->zone };
    aff_error err;

    if (node->c->ops->join && node->c->ops->join(node->c, &self, &err))
        fail_msg("%s", err.text);
}

struct node *node_start(struct cluster *cluster, unsigned index)
{
    struct node *node = node_make(cluster, index);

    for (uint32_t p = 0; p < cluster->partitions; p++)
        node_take(node, p);
    node_join(node);
    return node;
}

void node_stop(struct node *node)
{
    struct cluster *cluster = node->cluster;

    for (uint32_t p = 0; p < cluster->partitions; p++)
        node_leave(node, p);
    node->c = node->c->ops->free(node->c);
    (void)pthread_mutex_lock(&cluster->lock);
    for (uint32_t p = 0; p < cluster->partitions; p++)
        if (cluster->log[p].leader == &node->seats[p])
            cluster->log[p].leader = NULL;
    (void)pthread_mutex_unlock(&cluster->lock);
    cluster->nodes[node->index] = NULL;
    aff_loop_stop(node->loop);
    (void)pthread_join(node->thread, NULL);
    (void)aff_loop_free(node->loop);
    (void)pthread_mutex_destroy(&node->lock);
    free(node);
}

static void close_session(struct node *node)
{
    unsigned char password[16];
    aff_error err;
    int64_t id;

    (void)pthread_mutex_lock(&node->lock);
    id = node->session;
    memcpy(password, node->password, sizeof password);
    (void)pthread_mutex_unlock(&node->lock);
    if (aff_zookeeper_close_session(node->cluster->connect, id, password, 10000, &err))
        fail_msg("%s", err.text);
}

/* A process that died would not fight for its session; this one does, by connecting again. */
void node_close_session(struct node *node)
{
    unsigned before = atomic_load(&node->sessions);

    for (int round = 0; atomic_load(&node->sessions) == before; round++)
        if (round % 200 == 0)
            close_session(node);
        else
            (void)nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
}

/* ---- the cluster ---- */

void cluster_init(struct cluster *cluster, const char *connect, const char *name, uint32_t partitions,
                  uint32_t replicas)
{
    memset(cluster, 0, sizeof *cluster);
    cluster->connect = connect;
    (void)snprintf(cluster->name, sizeof cluster->name, "%s", name);
    cluster->partitions = partitions;
    cluster->replicas = replicas;
    cluster->session_ms = 2000;
    cluster->tick_ms = 500;
    cluster->tells = true;
    (void)pthread_mutex_init(&cluster->lock, NULL);
}

void cluster_fini(struct cluster *cluster)
{
    for (unsigned i = 0; i < NODES_MAX; i++)
        if (cluster->nodes[i])
            node_stop(cluster->nodes[i]);
    (void)pthread_mutex_destroy(&cluster->lock);
    if (cluster->wrong[0])
        fail_msg("%s", cluster->wrong);
}

uint32_t node_leads(const struct node *node)
{
    uint32_t count = 0;

    for (uint32_t p = 0; p < node->cluster->partitions; p++)
        count += cluster_leader(node->cluster, p) == node;
    return count;
}

struct node *cluster_leader(struct cluster *cluster, uint32_t partition)
{
    struct node_seat *leader;

    (void)pthread_mutex_lock(&cluster->lock);
    leader = cluster->log[partition].leader;
    (void)pthread_mutex_unlock(&cluster->lock);
    return leader && atomic_load(&leader->major) ? leader->node : NULL;
}

bool node_leased(const struct node *node, uint32_t partition)
{
    const struct node_seat *s = &node->seats[partition];
    uint32_t major = atomic_load(&s->major), leased;
    int64_t until = node->c->ops->lease_until(node->c);

    leased = atomic_load(&s->seat.leased_major);
    return major && until > aff_boot_ns(aff_clock_system()) && (leased == major || leased == AFF_LEASED_ANY);
}

const char *node_trace(struct node *node, uint32_t partition)
{
    return node->seats[partition].trace;
}

/* Only one of the seats of a partition may use its lease, whoever leads. What is not at one moment is looked at twice. */
static bool both_leased(const struct node *one, const struct node *other, uint32_t p)
{
    uint32_t major = atomic_load(&one->seats[p].major);

    return node_leased(one, p) && node_leased(other, p) && node_leased(one, p) &&
           atomic_load(&one->seats[p].major) == major;
}

static void check_leases(struct cluster *cluster)
{
    for (uint32_t p = 0; p < cluster->partitions; p++)
        for (unsigned i = 0; i < NODES_MAX; i++)
            for (unsigned j = 0; j < NODES_MAX; j++)
                if (i != j && cluster->nodes[i] && cluster->nodes[j] &&
                    both_leased(cluster->nodes[i], cluster->nodes[j], p))
                    fail_msg("%s and %s may use a lease of partition %u at the same time", cluster->nodes[i]->name,
                             cluster->nodes[j]->name, p);
}

static void tell_all(struct cluster *cluster)
{
    for (unsigned i = 0; i < NODES_MAX; i++) {
        struct node *node = cluster->nodes[i];
        struct aff_coordinator_health health = { 0 };

        if (!node)
            continue;
        if (node->c->ops->health)
            node->c->ops->health(node->c, &health);
        (void)fprintf(stderr, "%s: connected %d, registered %d, %s\n", node->name, health.connected, health.registered,
                      health.trouble);
        for (uint32_t p = 0; p < cluster->partitions; p++)
            (void)fprintf(stderr, "  %u: state %d, leads with %u, leased %u, told:%s\n", p,
                          atomic_load(&node->seats[p].seat.state), atomic_load(&node->seats[p].major),
                          atomic_load(&node->seats[p].seat.leased_major), node->seats[p].trace);
    }
}

bool await_pass(struct cluster *cluster, const char *what, int64_t *since)
{
    const struct timespec while_ms = { 0, 1000000 };
    int64_t now = aff_mono_ns(aff_clock_system());

    *since = *since ? *since : now;
    if (now - *since > PATIENCE_S * AFF_NS_PER_S || cluster->wrong[0]) {
        tell_all(cluster);
        fail_msg("%s: %s", cluster->wrong[0] ? cluster->wrong : "it did not come to be", what);
    }
    check_leases(cluster);
    (void)nanosleep(&while_ms, NULL);
    return true;
}
