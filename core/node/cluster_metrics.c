/*
 * cluster_metrics.c - what /metrics tells of a node among others: its membership, the view, its lease, and the streams to its peers. A node
 * without a cluster has none of it.
 */
#include "node/admin.h"
#include "node/prometheus.h"

static void add_one(struct aff_prom *prom, const char *name, enum aff_prom_type type, const char *help, double value)
{
    aff_prom_family(prom, name, type, help);
    aff_prom_value(prom, value, NULL);
}

/* ---- membership ---- */

static void add_health(struct aff_prom *prom, const struct aff_node *node)
{
    struct aff_coordinator *c = node->coordinator;
    struct aff_coordinator_health health = { 0 };
    int64_t until = c->ops->lease_until(c), left = until - aff_boot_ns(node->logger.clock);

    c->ops->health(c, &health);
    add_one(prom, "aff_cluster_connected", AFF_PROM_GAUGE, "1 while the coordinator answers", health.connected);
    add_one(prom, "aff_cluster_registered", AFF_PROM_GAUGE, "1 while this node is a member of its cluster",
            health.registered);
    add_one(prom, "aff_cluster_lease_seconds", AFF_PROM_GAUGE,
            "What is left of the lease by which strict reads need not ask the log; 0: they do",
            left > 0 ? (double)left / (double)AFF_NS_PER_S : 0);
}

/* ---- the view ---- */

struct counts {
    uint64_t live, draining, orphans, leads, holds, handing, lagging;
};

static void count_part(const struct aff_view *view, const struct aff_view_part *part, struct counts *counts)
{
    counts->orphans += part->leader < 0;
    counts->leads += part->leader >= 0 && part->leader == view->self;
    counts->handing += part->next >= 0;
    for (unsigned i = 0; i < part->replicas_count; i++) {
        counts->holds += part->replicas[i] == view->self;
        counts->lagging += !(part->in_step >> i & 1);
    }
}

static struct counts count_view(const struct aff_view *view)
{
    struct counts counts = { 0 };
    for (size_t i = 0; view && i < view->nodes_count; i++) {
        counts.live += view->nodes[i].live;
        counts.draining += view->nodes[i].live && view->nodes[i].draining;
    }
    for (size_t s = 0; view && s < view->spaces_count; s++)
        for (uint32_t p = 0; p < view->spaces[s].partitions; p++)
            count_part(view, &view->spaces[s].parts[p], &counts);
    return counts;
}

static void add_view(struct aff_prom *prom, const struct aff_view *view)
{
    struct counts counts = count_view(view);
    add_one(prom, "aff_cluster_view_generation", AFF_PROM_GAUGE,
            "Grows with each change of the cluster that this node heard of", view ? (double)view->generation : 0);
    add_one(prom, "aff_cluster_controller", AFF_PROM_GAUGE, "1 on the node that decides who leads what",
            view && view->self >= 0 && view->controller == view->self);
    add_one(prom, "aff_cluster_nodes_live", AFF_PROM_GAUGE, "Nodes that live", (double)counts.live);
    add_one(prom, "aff_cluster_nodes_draining", AFF_PROM_GAUGE, "Of them: give away what they lead",
            (double)counts.draining);
    add_one(prom, "aff_cluster_partitions_without_master", AFF_PROM_GAUGE,
            "Partitions of the cluster that nobody leads", (double)counts.orphans);
    add_one(prom, "aff_cluster_replicas_not_in_step", AFF_PROM_GAUGE,
            "Replicas of the cluster that are behind, stalled or away", (double)counts.lagging);
    add_one(prom, "aff_cluster_handovers", AFF_PROM_GAUGE, "Partitions of the cluster whose hand-over is under way",
            (double)counts.handing);
    add_one(prom, "aff_cluster_leads", AFF_PROM_GAUGE, "Partitions that were granted to this node",
            (double)counts.leads);
    add_one(prom, "aff_cluster_holds", AFF_PROM_GAUGE, "Partitions that this node should hold a replica of",
            (double)counts.holds);
}

/* ---- peers ---- */

static void add_peers(struct aff_prom *prom, const struct aff_node *node)
{
    struct aff_peers_stats sum = { 0 };
    for (unsigned i = 0; i < node->loops_count; i++) {
        struct aff_peers_stats one = { 0 };
        aff_peers_stats(node->peers[i], &one);
        sum.streams += one.streams;
        sum.asked += one.asked;
        sum.answered += one.answered;
        sum.refused += one.refused;
        sum.broken += one.broken;
        sum.bytes_out += one.bytes_out;
        sum.bytes_in += one.bytes_in;
    }
    add_one(prom, "aff_peer_streams", AFF_PROM_GAUGE, "Streams to and from other nodes", (double)sum.streams);
    add_one(prom, "aff_peer_asked_total", AFF_PROM_COUNTER, "Questions to other nodes", (double)sum.asked);
    add_one(prom, "aff_peer_answered_total", AFF_PROM_COUNTER, "Questions of other nodes that were answered",
            (double)sum.answered);
    add_one(prom, "aff_peer_refused_total", AFF_PROM_COUNTER, "Questions of other nodes that were refused: provably not handled",
            (double)sum.refused);
    add_one(prom, "aff_peer_broken_total", AFF_PROM_COUNTER, "Streams that ended with a reason in the log", (double)sum.broken);
    add_one(prom, "aff_peer_sent_bytes_total", AFF_PROM_COUNTER, "Bytes to other nodes", (double)sum.bytes_out);
    add_one(prom, "aff_peer_received_bytes_total", AFF_PROM_COUNTER, "Bytes from other nodes", (double)sum.bytes_in);
}

/* ---- the router ---- */

static void add_router(struct aff_prom *prom, const struct aff_node *node)
{
    struct aff_port_waits sum = { 0 };
    for (unsigned i = 0; i < node->loops_count; i++) {
        struct aff_port_waits one;
        aff_port_waits(node->loops[i].port, &one);
        sum.now += one.now;
        sum.total += one.total;
        sum.refused += one.refused;
    }
    add_one(prom, "aff_router_waiting", AFF_PROM_GAUGE, "Requests that wait for a master of their partition", (double)sum.now);
    add_one(prom, "aff_router_waits_total", AFF_PROM_COUNTER, "Times that a request began to wait for one", (double)sum.total);
    add_one(prom, "aff_router_waits_refused_total", AFF_PROM_COUNTER, "Requests that found no room to wait, or waited in vain",
            (double)sum.refused);
}

bool aff_admin_cluster_metrics(const struct aff_node *node, struct aff_buf *body)
{
    struct aff_prom prom = { .buf = body };
    if (!aff_node_in_cluster(node))
        return true;
    struct aff_view *view = node->coordinator->ops->view(node->coordinator);
    add_health(&prom, node);
    add_view(&prom, view);
    aff_view_drop(view);
    if (node->peers) {
        add_peers(&prom, node);
        add_router(&prom, node);
    }
    return !prom.failed;
}
