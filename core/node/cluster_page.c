/*
 * cluster_page.c - the body of /cluster: the nodes, and of each partition who leads and who holds it, how far; see admin.h.
 *
 * What is of the whole cluster comes from the view of the coordinator, so it is the same on every node but for a moment; what only the
 * node itself knows (role, offsets, dirty keys, lease) is that of this node. A node without a cluster is one of a single node.
 */
#include "node/admin.h"

#include <affinity.h>
#include <jansson.h>
#include <string.h>

/* ---- one partition ---- */

static const char *state_name(uint8_t state)
{
    static const char *const names[] = { "unknown", "behind", "in-step", "leads", "stalled", "failed" };
    return state < sizeof names / sizeof *names ? names[state] : names[0];
}

static void set_node(json_t *to, const char *key, const struct aff_view *view, int16_t node)
{
    if (node >= 0)
        (void)json_object_set_new(to, key, json_string(view->nodes[node].name));
}

static json_t *replicas_json(const struct aff_view *view, const struct aff_view_part *part)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < part->replicas_count; i++) {
        const struct aff_view_node *node = &view->nodes[part->replicas[i]];
        json_t *one = json_pack("{s:s, s:s, s:b}", "node", node->name, "state",
                                node->live ? state_name(part->states[i]) : "away", "in_step", part->in_step >> i & 1);
        if (one && part->applied[i] >= 0)
            (void)json_object_set_new(one, "applied", json_integer(part->applied[i]));
        (void)json_array_append_new(list, one);
    }
    return list;
}

/* What the cluster says of it. */
static void add_view_part(json_t *to, const struct aff_view *view, const struct aff_view_part *part)
{
    set_node(to, "master", view, part->leader);
    set_node(to, "handed_to", view, part->next);
    set_node(to, "target", view, part->target);
    (void)json_object_set_new(to, "granted", json_integer(part->epoch));
    (void)json_object_set_new(to, "replicas", replicas_json(view, part));
}

/* The same of a node alone. */
static void add_single_part(json_t *to, const struct aff_node *node, const struct aff_part_info *info)
{
    const char *name = node->config->node.name, *state = "behind";
    if (info->role == AFF_ROLE_MASTER)
        state = "leads";
    else if (info->role == AFF_ROLE_FAILED)
        state = "failed";
    else if (info->stands_by)
        state = "in-step";
    if (info->role == AFF_ROLE_MASTER)
        (void)json_object_set_new(to, "master", json_string(name));
    (void)json_object_set_new(to, "granted", json_integer(aff_epoch_major(info->epoch)));
    (void)json_object_set_new(to, "replicas",
                              json_pack("[{s:s, s:s, s:b, s:I}]", "node", name, "state", state, "in_step",
                                        info->serves || info->stands_by, "applied", (json_int_t)info->applied));
}

/* What this node knows of its own replica. */
static json_t *own_json(const struct aff_part_info *info)
{
    json_t *part = aff_admin_part(info);
    char epoch[32], identity[16];
    (void)snprintf(epoch, sizeof epoch, "%u.%u", aff_epoch_major(info->epoch), aff_epoch_minor(info->epoch));
    (void)snprintf(identity, sizeof identity, "%08x", info->identity8);
    json_t *more = json_pack("{s:s, s:I, s:I, s:I, s:s, s:I}", "epoch", epoch, "applied", (json_int_t)info->applied,
                             "log_end", (json_int_t)info->log_end, "dirty", (json_int_t)info->dirty, "identity",
                             identity, "loop", (json_int_t)info->loop);
    if (part && more)
        (void)json_object_update(part, more);
    json_decref(more);
    return part;
}

static json_t *partitions_json(const struct aff_node *node, const struct aff_view *view)
{
    json_t *list = json_array();
    const struct aff_space *space;
    for (size_t i = 0; (space = aff_router_space_at(node->router, i)); i++)
        for (uint32_t p = 0; p < space->partitions; p++) {
            struct aff_part_info info;
            aff_router_part_info(space, p, &info);
            json_t *part = own_json(&info);
            if (part && view)
                add_view_part(part, view, &view->spaces[i].parts[p]);
            else if (part && !aff_node_in_cluster(node))
                add_single_part(part, node, &info);
            (void)json_array_append_new(list, part);
        }
    return list;
}

/* ---- nodes ---- */

struct tally {
    json_int_t leads, holds;
};

static struct tally tally_of(const struct aff_view *view, int16_t node)
{
    struct tally tally = { 0 };
    for (size_t s = 0; s < view->spaces_count; s++)
        for (uint32_t p = 0; p < view->spaces[s].partitions; p++) {
            const struct aff_view_part *part = &view->spaces[s].parts[p];
            tally.leads += part->leader == node;
            for (unsigned i = 0; i < part->replicas_count; i++)
                tally.holds += part->replicas[i] == node;
        }
    return tally;
}

static json_t *node_json(const struct aff_view *view, int16_t number)
{
    const struct aff_view_node *node = &view->nodes[number];
    struct tally tally = tally_of(view, number);
    json_t *json = json_pack("{s:s, s:I, s:b, s:b, s:I, s:I}", "name", node->name, "incarnation",
                             (json_int_t)node->incarnation, "live", node->live, "draining", node->draining, "leads",
                             tally.leads, "holds", tally.holds);
    if (!json || !node->live)
        return json;
    json_t *more = json_pack("{s:s, s:s, s:s, s:I, s:I}", "http", node->http, "peer", node->peer, "zone", node->zone,
                             "speaks", (json_int_t)node->version, "features", (json_int_t)(node->features & INT64_MAX));
    if (more)
        (void)json_object_update(json, more);
    json_decref(more);
    return json;
}

static json_t *single_json(const struct aff_node *node)
{
    const struct aff_space *space;
    json_int_t leads = 0, holds = 0;
    for (size_t i = 0; (space = aff_router_space_at(node->router, i)); i++)
        for (uint32_t p = 0; p < space->partitions; p++) {
            struct aff_part_info info;
            aff_router_part_info(space, p, &info);
            leads += info.role == AFF_ROLE_MASTER;
            holds += info.role != AFF_ROLE_AWAY;
        }
    return json_pack("[{s:s, s:I, s:b, s:b, s:I, s:I, s:s}]", "name", node->config->node.name, "incarnation",
                     (json_int_t)0, "live", 1, "draining", atomic_load(&node->draining), "leads", leads, "holds", holds,
                     "http", node->config->http_count ? node->addresses[0] : "");
}

/* The next node by name; -1 before the first and after the last. */
static int16_t after(const struct aff_view *view, int16_t node)
{
    int16_t next = -1;
    for (int16_t i = 0; (size_t)i < view->nodes_count; i++)
        if ((node < 0 || strcmp(view->nodes[i].name, view->nodes[node].name) > 0) &&
            (next < 0 || strcmp(view->nodes[i].name, view->nodes[next].name) < 0))
            next = i;
    return next;
}

static json_t *nodes_json(const struct aff_node *node, const struct aff_view *view)
{
    if (!aff_node_in_cluster(node))
        return single_json(node);
    json_t *list = json_array();
    for (int16_t i = view ? after(view, -1) : -1; i >= 0; i = after(view, i))
        (void)json_array_append_new(list, node_json(view, i));
    return list;
}

/* ---- this node ---- */

static void add_coordinator(json_t *to, const struct aff_node *node, const struct aff_view *view)
{
    struct aff_coordinator *c = node->coordinator;
    struct aff_coordinator_health health = { 0 };
    int64_t until = c->ops->lease_until(c), left = until - aff_boot_ns(node->logger.clock);

    if (until != INT64_MAX) /* else it cannot end */
        (void)json_object_set_new(to, "lease_ms", json_integer(left > 0 ? left / AFF_NS_PER_MS : 0));
    if (!aff_node_in_cluster(node))
        return;
    c->ops->health(c, &health);
    (void)json_object_set_new(to, "coordinator",
                              json_pack("{s:b, s:b, s:s}", "connected", health.connected, "registered",
                                        health.registered, "trouble", health.trouble));
    if (view)
        (void)json_object_set_new(to, "view", json_integer((json_int_t)view->generation));
    if (view)
        set_node(to, "controller", view, view->controller);
}

static json_t *addresses_json(const struct aff_node *node)
{
    json_t *list = json_array();
    const char *address;
    for (unsigned i = 0; (address = aff_node_address(node, i)); i++)
        (void)json_array_append_new(list, json_string(address));
    return list;
}

int aff_admin_cluster(const struct aff_node *node, struct aff_buf *body)
{
    struct aff_view *view = aff_node_in_cluster(node) ? node->coordinator->ops->view(node->coordinator) : NULL;
    json_t *answer = json_pack("{s:s, s:s, s:s, s:s, s:o, s:I}", "cluster", node->config->cluster, "node",
                               node->config->node.name, "mode", aff_admin_mode(node), "version", aff_version(), "http",
                               addresses_json(node), "loops", (json_int_t)node->loops_count);
    if (answer) {
        add_coordinator(answer, node, view);
        (void)json_object_set_new(answer, "nodes", nodes_json(node, view));
        (void)json_object_set_new(answer, "partitions", partitions_json(node, view));
    }
    aff_view_drop(view);
    return aff_admin_print(answer, 200, body);
}
