/*
 * cluster.c - what the router hears of its cluster, and brings to the loops: new views from the coordinator's thread, turns and
 * moves of partitions from theirs; and the way of a GO to another node.
 *
 * Each loop has a copy of its own of what is known (leaders.h), so that no request takes a lock. News is rare, and is posted.
 */
#include "router/inner.h"

#include <stdio.h>
#include <stdlib.h>

enum { WAITING = 4096, WAITING_BYTES = 8 * 1024 * 1024 };

/* ---- views ---- */

static void take_view(struct aff_msg *msg)
{
    struct aff_port *port = aff_container_of(msg, struct aff_port, news);
    struct aff_coordinator *c = port->router->cluster.coordinator;
    struct aff_view *view;
    atomic_store(&port->news_under_way, false); /* before the view is taken: what comes later is told once more */
    view = c->ops->view(c);
    if (!view)
        return;
    aff_leaders_view(&port->leaders, view);
    aff_port_stir_all(port);
}

/* On the coordinator's thread. */
static void view_changed(struct aff_coordinator_watch *watch)
{
    struct aff_cluster *cluster = aff_container_of(watch, struct aff_cluster, watch);
    pthread_mutex_lock(&cluster->lock);
    for (size_t i = 0; i < cluster->ports_count; i++) {
        struct aff_port *port = cluster->ports[i];
        if (!atomic_exchange(&port->news_under_way, true))
            aff_loop_call(port->loop, &port->news);
    }
    pthread_mutex_unlock(&cluster->lock);
}

/* ---- news of partitions ---- */

struct word {
    struct aff_msg msg;
    struct aff_port *port;
    struct aff_leaders_at at;
    struct aff_wire_leader leader; /* epoch 0: look again */
};

static void take_word(struct aff_port *port, const struct word *word)
{
    if (word->leader.epoch)
        (void)aff_leaders_hint(&port->leaders, word->at, &word->leader);
    aff_port_stir(port, word->at.index);
}

static void deliver_word(struct aff_msg *msg)
{
    struct word *word = aff_container_of(msg, struct word, msg);
    take_word(word->port, word);
    free(word);
}

static void post_word(struct aff_port *port, const struct word *word)
{
    struct word *copy = aff_xmalloc(sizeof *copy);
    *copy = *word;
    copy->port = port;
    copy->msg = (struct aff_msg){ .deliver = deliver_word };
    aff_loop_call(port->loop, &copy->msg);
}

static bool find_partition(const struct aff_router *router, const struct aff_partition *part, struct aff_leaders_at *ret)
{
    const struct aff_space *space = aff_router_space(router, aff_str(aff_partition_keyspace(part)));
    const struct space *s = space ? space->parts : NULL;
    if (!s)
        return false;
    *ret = (struct aff_leaders_at){ s->index, aff_partition_index(part), s->first_reader + aff_partition_index(part) };
    return true;
}

/*
 * To all loops. On the partition's own the hint counts before this returns, since what waited in the partition comes back next; who
 * waits on the loop is stirred in a pass of its own: this is inside of a step of the partition.
 */
static void spread(struct aff_router *router, const struct aff_partition *part, const struct aff_wire_leader *leader)
{
    struct aff_cluster *cluster = &router->cluster;
    struct word word = { .leader = *leader };
    if (!cluster->coordinator || !find_partition(router, part, &word.at))
        return;
    pthread_mutex_lock(&cluster->lock);
    for (size_t i = 0; i < cluster->ports_count; i++) {
        struct aff_port *port = cluster->ports[i];
        if (leader->epoch && port->loop == aff_partition_loop(part))
            (void)aff_leaders_hint(&port->leaders, word.at, leader);
        post_word(port, &word);
    }
    pthread_mutex_unlock(&cluster->lock);
}

static void turned(struct aff_partition_events *events, struct aff_partition *part)
{
    struct aff_cluster *cluster = aff_container_of(events, struct aff_cluster, events);
    spread(aff_container_of(cluster, struct aff_router, cluster), part, &(struct aff_wire_leader){ .epoch = 0 });
}

static void moved(struct aff_partition_events *events, struct aff_partition *part, const struct aff_give *give)
{
    struct aff_cluster *cluster = aff_container_of(events, struct aff_cluster, events);
    struct aff_wire_leader leader = { .epoch = give->major, .incarnation = give->incarnation };
    (void)snprintf(leader.name, sizeof leader.name, "%s", give->to);
    spread(aff_container_of(cluster, struct aff_router, cluster), part, &leader);
}

/* ---- GO ---- */

struct going {
    struct aff_peer_call call;
    struct aff_partition *part;
    uint32_t major;
};

static void gone(struct aff_peer_call *call, int code, aff_bytes answer)
{
    struct going *going = aff_container_of(call, struct going, call);
    struct aff_cursor from = aff_cursor_of(answer);
    bool taken = code == 0 && aff_cursor_u8(&from) == AFF_WIRE_ANSWERED && aff_cursor_u8(&from) == 1 && !from.failed;
    aff_partition_went(going->part, going->major, taken);
    free(going);
}

static struct aff_port *port_of(struct aff_cluster *cluster, const struct aff_loop *loop)
{
    struct aff_port *found = NULL;
    pthread_mutex_lock(&cluster->lock);
    for (size_t i = 0; i < cluster->ports_count; i++)
        if (cluster->ports[i]->loop == loop)
            found = cluster->ports[i];
    pthread_mutex_unlock(&cluster->lock);
    return found;
}

struct refusal {
    struct aff_msg msg;
    struct aff_partition *part;
    uint32_t major;
};

static void deliver_refusal(struct aff_msg *msg)
{
    struct refusal *refusal = aff_container_of(msg, struct refusal, msg);
    aff_partition_went(refusal->part, refusal->major, false);
    free(refusal);
}

/* The answer comes later, whatever it is. */
static void refuse_go(struct aff_partition *part, uint32_t major)
{
    struct refusal *refusal = aff_xmalloc(sizeof *refusal);
    *refusal = (struct refusal){ .msg = { .deliver = deliver_refusal }, .part = part, .major = major };
    aff_loop_call(aff_partition_loop(part), &refusal->msg);
}

static bool put_go(struct aff_buf *room, const struct aff_partition *part, const struct aff_go *go)
{
    aff_buf_clear(room);
    return aff_wire_put_about(room, aff_partition_keyspace(part), aff_partition_index(part)) && aff_wire_put_go(room, go);
}

static void bring_go(struct aff_handover_net *net, struct aff_partition *part, const struct aff_give *give,
                     const struct aff_go *go, int64_t deadline_ns)
{
    struct aff_cluster *cluster = aff_container_of(net, struct aff_cluster, net);
    struct aff_port *port = port_of(cluster, aff_partition_loop(part));
    const struct aff_view_node *node = port ? aff_leaders_node(&port->leaders, give->to, give->incarnation) : NULL;
    char member[AFF_MEMBER_MAX + 1];
    if (!node || !port->peers || !put_go(&port->room, part, go)) {
        refuse_go(part, go->major);
        return;
    }
    struct going *going = aff_xcalloc(1, sizeof *going);
    const aff_bytes body = aff_buf_view(&port->room);
    (void)snprintf(member, sizeof member, "%s-%010u", node->name, (unsigned)node->incarnation);
    going->part = part;
    going->major = go->major;
    going->call = (struct aff_peer_call){ .kind = AFF_WIRE_GO, .deadline_ns = deadline_ns, .answered = gone };
    aff_peers_call(port->peers, &(struct aff_peer_to){ member, node->peer }, &going->call, &body, 1);
}

/* ---- life ---- */

void aff_cluster_init(struct aff_router *router)
{
    struct aff_cluster *cluster = &router->cluster;
    cluster->watch.changed = view_changed;
    cluster->events = (struct aff_partition_events){ .turned = turned, .moved = moved };
    cluster->net.go = bring_go;
    pthread_mutex_init(&cluster->lock, NULL);
}

void aff_cluster_fini(struct aff_router *router)
{
    pthread_mutex_destroy(&router->cluster.lock);
    free(router->cluster.ports);
}

void aff_router_cluster(struct aff_router *router, const struct aff_router_cluster_opts *opts)
{
    struct aff_cluster *cluster = &router->cluster;
    if (!opts->coordinator || !opts->coordinator->ops->view)
        return;
    cluster->coordinator = opts->coordinator;
    cluster->master_wait_ms = opts->master_wait_ms;
    cluster->waiting = opts->waiting ? opts->waiting : WAITING;
    cluster->waiting_bytes = opts->waiting_bytes ? opts->waiting_bytes : WAITING_BYTES;
    opts->coordinator->ops->watch(opts->coordinator, &cluster->watch);
}

struct aff_partition_events *aff_router_events(struct aff_router *router)
{
    return &router->cluster.events;
}

struct aff_handover_net *aff_router_net(struct aff_router *router)
{
    return &router->cluster.net;
}

/* It takes the present view at once; a view that is newer is told to it. */
void aff_cluster_add(struct aff_router *router, struct aff_port *port)
{
    struct aff_cluster *cluster = &router->cluster;
    struct aff_view *view;
    port->news.deliver = take_view;
    pthread_mutex_lock(&cluster->lock);
    cluster->ports = aff_xrealloc(cluster->ports, cluster->ports_count + 1, sizeof(struct aff_port *));
    cluster->ports[cluster->ports_count++] = port;
    pthread_mutex_unlock(&cluster->lock);
    view = cluster->coordinator ? cluster->coordinator->ops->view(cluster->coordinator) : NULL;
    if (view)
        aff_leaders_view(&port->leaders, view);
}

void aff_cluster_remove(struct aff_router *router, struct aff_port *port)
{
    struct aff_cluster *cluster = &router->cluster;
    pthread_mutex_lock(&cluster->lock);
    for (size_t i = 0; i < cluster->ports_count; i++)
        if (cluster->ports[i] == port)
            cluster->ports[i] = cluster->ports[--cluster->ports_count];
    pthread_mutex_unlock(&cluster->lock);
}
