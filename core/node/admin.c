/*
 * admin.c - see admin.h. /metrics is in metrics.c, /cluster in cluster_page.c.
 */
#include "node/admin.h"

#include <affinity.h>
#include <jansson.h>

enum { STUCK_S = 5, WAITING_SHOWN = 20 };

const char *aff_role_name(enum aff_role role)
{
    static const char *const names[] = { "opening", "following", "claiming", "master", "settling", "failed", "away" };
    return names[role];
}

int aff_admin_print(json_t *body, int status, struct aff_buf *to)
{
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    bool fits = text && aff_buf_add(to, text, strlen(text)) && aff_buf_u8(to, '\n');
    free(text);
    json_decref(body);
    return fits ? status : AFF_ENOMEM;
}

const char *aff_admin_mode(const struct aff_node *node)
{
    return node->config->mode == AFF_MODE_DEVELOPMENT ? "development" : "production";
}

/* ---- /livez: do the loops turn? Never about recovery ---- */

int aff_admin_livez(const struct aff_node *node, struct aff_buf *body)
{
    int64_t now = aff_mono_ns(node->logger.clock);
    json_t *stuck = json_array();
    for (unsigned i = 0; i < node->loops_count; i++)
        if (now - atomic_load(&node->loops[i].ticked_ns) > STUCK_S * AFF_NS_PER_S)
            (void)json_array_append_new(stuck, json_integer(i));
    bool live = json_array_size(stuck) == 0;
    json_t *answer = json_pack("{s:b, s:s, s:s}", "live", live, "mode", aff_admin_mode(node), "version", aff_version());
    if (answer && !live)
        (void)json_object_set(answer, "stuck_loops", stuck);
    json_decref(stuck);
    return aff_admin_print(answer, live ? 200 : 503, body);
}

/* ---- partitions ---- */

json_t *aff_admin_part(const struct aff_part_info *info)
{
    json_t *part = json_pack("{s:s, s:I, s:s, s:b}", "keyspace", info->space->name, "partition",
                             (json_int_t)info->partition, "role", aff_role_name(info->role), "serves", info->serves);
    if (part && info->role == AFF_ROLE_FAILED)
        (void)json_object_set_new(part, "failure", json_string(info->failure));
    return part;
}

/* Calls `each` for every partition. */
static void each_part(const struct aff_node *node, void (*each)(const struct aff_part_info *info, void *arg), void *arg)
{
    const struct aff_space *space;
    for (size_t i = 0; (space = aff_router_space_at(node->router, i)); i++)
        for (uint32_t p = 0; p < space->partitions; p++) {
            struct aff_part_info info;
            aff_router_part_info(space, p, &info);
            each(&info, arg);
        }
}

/* ---- /readyz: is the log as it must be, and does every partition serve? In a cluster: are those in order that it should hold? ---- */

struct readiness {
    json_t *shown;
    bool verbose, alone;
    json_int_t total, serving;
};

static void count_ready(const struct aff_part_info *info, void *arg)
{
    struct readiness *r = arg;
    r->total++;
    r->serving += info->serves;
    if (r->verbose || (r->alone && !info->serves && json_array_size(r->shown) < WAITING_SHOWN))
        (void)json_array_append_new(r->shown, aff_admin_part(info));
}

static json_t *log_json(const struct aff_node *node, bool trusted, const aff_error *trouble)
{
    json_t *log = json_pack("{s:s, s:b}", "driver", node->changelog->ops->name, "trusted", trusted);
    if (log && !trusted)
        (void)json_object_set_new(log, "trouble", json_string(trouble->text));
    return log;
}

/* Without its coordinator a node serves on; nothing can move until it is back. */
static json_t *membership_json(const struct aff_membership *s)
{
    char text[400];
    json_t *told = json_pack("{s:b, s:b, s:I, s:I}", "connected", s->health.connected, "registered", s->health.registered, "held",
                             (json_int_t)s->held, "in_order", (json_int_t)s->in_order);
    if (told && s->health.trouble[0])
        (void)json_object_set_new(told, "trouble", json_string(s->health.trouble));
    if (told && !aff_membership_ready(s)) {
        aff_membership_tell(s, text, sizeof text);
        (void)json_object_set_new(told, "waits_for", json_string(text));
    }
    return told;
}

int aff_admin_readyz(struct aff_node *node, bool verbose, struct aff_buf *body)
{
    struct readiness r = { .shown = json_array(), .verbose = verbose, .alone = !aff_node_in_cluster(node) };
    bool draining = atomic_load(&node->draining);
    aff_error trouble;
    bool trusted = !aff_node_log_trouble(node, &trouble);
    each_part(node, count_ready, &r);
    struct aff_membership membership = { 0 };
    bool member = aff_node_in_cluster(node);
    if (member)
        aff_node_membership(node, &membership);
    bool ready = !draining && trusted && (member ? aff_membership_ready(&membership) : r.serving == r.total);
    json_t *answer = json_pack("{s:b, s:b, s:s, s:o, s:I, s:I}", "ready", ready, "draining", draining, "mode",
                               aff_admin_mode(node), "changelog", log_json(node, trusted, &trouble), "partitions", r.total,
                               "serving", r.serving);
    if (answer && member)
        (void)json_object_set_new(answer, "cluster", membership_json(&membership));
    if (answer && member && (!membership.health.connected || !membership.health.registered))
        (void)json_object_set_new(answer, "degraded", json_true());
    if (answer && json_array_size(r.shown) > 0)
        (void)json_object_set(answer, verbose ? "all" : "waiting", r.shown);
    json_decref(r.shown);
    return aff_admin_print(answer, ready ? 200 : 503, body);
}
