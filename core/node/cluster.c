/*
 * cluster.c - a node among others: the coordinator as the configuration has it, the peers of each loop and their listener, joining when
 * everything that others may ask for is there, and how the node stands in its cluster.
 *
 *   made       coordinator before the partitions, whose seats it gives; peers after the ports, which serve what others ask
 *   joined     when the topics are known and every partition has taken its seat: from then on it may be given some to hold
 *   named      a member's name is known once it is registered, and is another after its session was lost; the peers are told
 *
 * The owner's thread, but for what is marked.
 */
#include "node/inner.h"

#include "base/alloc.h"
#include "node/admin.h"
#include "node/advertise.h"
#include "router/serve.h"

#include <stdio.h>
#include <stdlib.h>

enum { ALIVE_TICK_MS = 100, TICK_MS = 500, NEAR = 100 /* records that a standby may be behind and count as in step */ };

bool aff_node_in_cluster(const struct aff_node *node)
{
    return node->config->coordinator == AFF_COORDINATOR_ZOOKEEPER;
}

/* A lease must not outlive a loop that stands still, so in a cluster they tell often that they turn. */
int64_t aff_node_tick_ms(const struct aff_node *node)
{
    return aff_node_in_cluster(node) ? ALIVE_TICK_MS : TICK_MS;
}

/* ---- the coordinator ---- */

/* Any thread. */
static int64_t alive_ns(void *self)
{
    const struct aff_node *node = self;
    int64_t least = INT64_MAX;
    for (unsigned i = 0; i < node->loops_count; i++) {
        int64_t ticked = atomic_load(&node->loops[i].ticked_ns);
        least = ticked < least ? ticked : least;
    }
    return least;
}

/* Any thread. */
static int64_t log_heard_ns(void *self)
{
    const struct aff_node *node = self;
    return node->changelog->ops->heard_ns(node->changelog);
}

/* On the coordinator's thread. */
static void session_changed(void *self, int64_t id, const unsigned char password[16])
{
    const struct aff_node *node = self;
    aff_supervised_session(node->supervised, id, password);
}

static struct aff_coordinator_space *spaces_of(const struct aff_node *node)
{
    struct aff_coordinator_space *spaces = aff_xcalloc(node->served.count, sizeof *spaces);
    for (size_t i = 0; i < node->served.count; i++) {
        const struct aff_config_keyspace *k = node->served.items[i].settings;
        spaces[i] = (struct aff_coordinator_space){
            .name = k->name, .partitions = k->partitions, .replicas = k->replicas, .assigned = aff_config_assigned(k)
        };
    }
    return spaces;
}

static void free_spaces(const struct aff_node *node, struct aff_coordinator_space *spaces)
{
    for (size_t i = 0; i < node->served.count; i++)
        free((void *)spaces[i].assigned);
    free(spaces);
}

static int use_zookeeper(struct aff_node *node, aff_error *err)
{
    const struct aff_config *config = node->config;
    struct aff_coordinator_space *spaces = spaces_of(node);
    struct aff_coordinator_zookeeper_opts opts = {
        .cluster = config->cluster,
        .connect = config->zookeeper.connect,
        .auth = config->zookeeper.auth,
        .session_ms = config->zookeeper.session_ms,
        .tick_ms = config->zookeeper.tick_ms,
        .away_ms = config->zookeeper.away_ms,
        .spaces = spaces,
        .spaces_count = node->served.count,
        .clock = node->logger.clock,
        .logger = &node->logger,
        .alive_ns = alive_ns,
        .log_heard_ns = node->changelog->ops->heard_ns ? log_heard_ns : NULL,
        .session = node->supervised ? session_changed : NULL,
        .self = node,
    };
    int code = aff_coordinator_zookeeper_new(&opts, &node->coordinator, err);
    free_spaces(node, spaces);
    return code;
}

static void use_embedded(struct aff_node *node)
{
    struct aff_coordinator_embedded_opts opts = { .exclusive = aff_node_owns_log(node), .logger = &node->logger };
    node->coordinator = aff_coordinator_embedded_new(&opts);
}

int aff_node_make_coordinator(struct aff_node *node, aff_error *err)
{
    if (aff_node_in_cluster(node))
        return use_zookeeper(node, err);
    use_embedded(node);
    return 0;
}

/* ---- peers ---- */

static int make_tls(struct aff_node *node, aff_error *err)
{
    const struct aff_config *config = node->config;
    if (config->peer.security == AFF_PEER_PLAIN)
        return 0;
    return aff_peer_tls_new(config->peer.certificate, config->peer.key, config->peer.ca, &node->peer_tls, err);
}

static int make_peers(struct aff_node *node, aff_error *err)
{
    int code = 0;
    node->peers = aff_xcalloc(node->loops_count, sizeof(struct aff_peers *));
    for (unsigned i = 0; i < node->loops_count && code == 0; i++) {
        struct aff_peers_opts opts = {
            .loop = node->loops[i].loop,
            .cluster = node->config->cluster,
            .tls = node->peer_tls,
            .serve = aff_port_serve,
            .self = node->loops[i].port,
        };
        code = aff_peers_new(&opts, &node->peers[i], err);
        if (code == 0)
            aff_port_connect(node->loops[i].port, node->peers[i]);
    }
    return code;
}

static int make_listener(struct aff_node *node, aff_error *err)
{
    const struct aff_config_address *listen = &node->config->peer.listen;
    struct aff_peer_listener_opts opts = {
        .host = listen->host,
        .port = listen->port,
        .bound = node->supervised ? node->supervised->peer : 0,
        .loop = node->loops[0].loop,
        .peers = node->peers,
        .peers_count = node->loops_count,
    };
    return aff_peer_listener_new(&opts, &node->peer_listener, err);
}

int aff_node_make_peers(struct aff_node *node, aff_error *err)
{
    if (!aff_node_in_cluster(node))
        return 0;
    int code = make_tls(node, err);
    if (code == 0)
        code = make_peers(node, err);
    return code ? code : make_listener(node, err);
}

void aff_node_free_peers(struct aff_node *node)
{
    node->peer_listener = aff_peer_listener_free(node->peer_listener);
    for (unsigned i = 0; node->peers && i < node->loops_count; i++)
        aff_peers_free(node->peers[i]);
    free(node->peers);
    node->peers = NULL;
    node->peer_tls = aff_peer_tls_free(node->peer_tls);
}

/* ---- who this node is ---- */

/* The peers of a loop are told the member that this node is now. */
static void on_named(struct aff_msg *msg)
{
    struct aff_node_loop *l = aff_container_of(msg, struct aff_node_loop, named);
    struct aff_coordinator *c = l->node->coordinator;
    char member[AFF_MEMBER_MAX + 1];
    atomic_store(&l->naming, false); /* before the view is taken: what comes later is told once more */
    struct aff_view *view = c->ops->view(c);
    if (view && view->self >= 0 && view->nodes[view->self].live) {
        const struct aff_view_node *self = &view->nodes[view->self];
        (void)snprintf(member, sizeof member, "%s-%010u", self->name, (unsigned)self->incarnation);
        aff_peers_name(l->node->peers[aff_loop_index(l->loop)], member);
    }
    aff_view_drop(view);
}

/* On the coordinator's thread. */
static void on_changed(struct aff_coordinator_watch *watch)
{
    struct aff_node *node = aff_container_of(watch, struct aff_node, watch);
    for (unsigned i = 0; i < node->loops_count; i++)
        if (!atomic_exchange(&node->loops[i].naming, true))
            aff_loop_call(node->loops[i].loop, &node->loops[i].named);
}

/* ---- joining ---- */

int aff_node_join(struct aff_node *node, aff_error *err)
{
    char http[AFF_ADDRESS_MAX] = "", told[AFF_ADDRESS_MAX], peer[AFF_ADDRESS_MAX];
    if (node->config->http_count)
        aff_advertised_http(&node->config->http[0], &node->config->peer.advertise, node->addresses[0], http);
    aff_advertised(&node->config->peer.advertise, aff_peer_listener_address(node->peer_listener), told);
    int code = aff_advertised_number(told, peer, err);
    if (code)
        return code;
    struct aff_member self = {
        .name = node->config->node.name,
        .http = http,
        .peer = peer,
        .zone = node->config->node.zone ? node->config->node.zone : "",
    };
    for (unsigned i = 0; i < node->loops_count; i++)
        node->loops[i].named.deliver = on_named;
    node->watch.changed = on_changed;
    node->coordinator->ops->watch(node->coordinator, &node->watch);
    aff_log(&node->logger, INFO, "node.joining", aff_f_str("cluster", node->config->cluster),
            aff_f_str("name", self.name), aff_f_str("peer", peer), aff_f_str("http", http));
    return node->coordinator->ops->join(node->coordinator, &self, err);
}

/* ---- how the node stands in its cluster ---- */

static bool holds(const struct aff_view *view, const struct aff_view_part *part)
{
    for (unsigned i = 0; i < part->replicas_count; i++)
        if (part->replicas[i] == view->self)
            return true;
    return false;
}

/* It leads, or is so near to the log's end that it could. */
static bool in_order(const struct aff_part_info *info)
{
    return info->serves || (info->role == AFF_ROLE_FOLLOWING && info->applied + NEAR >= info->log_end);
}

/* Counts one; any thread. */
static void count_part(const struct aff_node *node, const struct aff_view *view, size_t space, uint32_t p,
                       struct aff_membership *to)
{
    const struct aff_view_part *part = &view->spaces[space].parts[p];
    struct aff_part_info info;
    aff_router_part_info(aff_router_space_at(node->router, space), p, &info);
    if (!holds(view, part))
        return;
    to->held++;
    to->in_order += in_order(&info);
    if (!in_order(&info) && !to->waits.space)
        to->waits = info;
}

/*
 * Partitions that nobody should hold. A keyspace that has none at all, beside others that have, does not count: while a configuration
 * with a new keyspace goes from node to node, the one that decides may not know it yet; and nodes must be ready for that to go on.
 */
static uint64_t count_unassigned(const struct aff_view *view)
{
    uint64_t all = 0, assigned = 0, begun = 0;
    for (size_t i = 0; i < view->spaces_count; i++) {
        uint64_t here = 0;
        for (uint32_t p = 0; p < view->spaces[i].partitions; p++)
            here += view->spaces[i].parts[p].replicas_count > 0;
        all += view->spaces[i].partitions;
        assigned += here;
        begun += here ? view->spaces[i].partitions : 0;
    }
    return (assigned ? begun : all) - assigned;
}

void aff_node_membership(const struct aff_node *node, struct aff_membership *ret)
{
    struct aff_coordinator *c = node->coordinator;
    *ret = (struct aff_membership){ 0 };
    c->ops->health(c, &ret->health);
    struct aff_view *view = c->ops->view(c);
    ret->known = view && view->self >= 0;
    if (ret->known)
        ret->unassigned = count_unassigned(view);
    for (size_t i = 0; ret->known && i < view->spaces_count; i++)
        for (uint32_t p = 0; p < view->spaces[i].partitions; p++)
            count_part(node, view, i, p, ret);
    aff_view_drop(view);
}

bool aff_membership_ready(const struct aff_membership *s)
{
    return s->known && s->unassigned == 0 && s->in_order == s->held;
}

void aff_membership_tell(const struct aff_membership *s, char *text, size_t size)
{
    if (!s->known)
        (void)snprintf(text, size, "this node is no member of its cluster yet%s%s", s->health.trouble[0] ? ": " : "",
                       s->health.trouble);
    else if (s->unassigned)
        (void)snprintf(text, size, "%llu partitions are given to no node yet", (unsigned long long)s->unassigned);
    else
        (void)snprintf(
            text, size,
            "%llu of the %llu partitions held here are not in order; the first is keyspace %s, partition %u: it is %s at "
            "offset %lld of %lld",
            (unsigned long long)(s->held - s->in_order), (unsigned long long)s->held, s->waits.space->name,
            s->waits.partition, aff_role_name(s->waits.role), (long long)s->waits.applied, (long long)s->waits.log_end);
}

/* ---- leaving ---- */

/*
 * It does not lead any more, and all others can read only that it does: they ask here, and are told who leads. So it is until
 * the end of the hand-over is committed where the coordinator keeps it.
 */
static bool is_asked_for(const struct aff_view *view, const struct aff_part_info *info)
{
    if (info->role != AFF_ROLE_FOLLOWING)
        return false;
    for (size_t s = 0; view && s < view->spaces_count; s++)
        if (strcmp(view->spaces[s].name, info->space->name) == 0)
            return info->partition < view->spaces[s].partitions &&
                   view->spaces[s].parts[info->partition].leader == view->self;
    return false;
}

static bool leads_any(const struct aff_node *node, const struct aff_view *view)
{
    const struct aff_space *space;
    for (size_t i = 0; (space = aff_router_space_at(node->router, i)); i++)
        for (uint32_t p = 0; p < space->partitions; p++) {
            struct aff_part_info info;
            aff_router_part_info(space, p, &info);
            if (info.serves || info.role == AFF_ROLE_MASTER || is_asked_for(view, &info))
                return true;
        }
    return false;
}

/* Is there anybody who could lead instead? */
static bool has_others(const struct aff_view *view)
{
    bool found = false;
    for (size_t i = 0; view && i < view->nodes_count; i++)
        found |= (int)i != view->self && view->nodes[i].live && !view->nodes[i].draining;
    return found;
}

bool aff_node_leads_nothing(const struct aff_node *node)
{
    if (!aff_node_in_cluster(node))
        return true;
    struct aff_view *view = node->coordinator->ops->view(node->coordinator);
    bool nothing = !has_others(view) || !leads_any(node, view);
    (void)aff_view_drop(view);
    return nothing;
}
