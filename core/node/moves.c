/*
 * moves.c - see moves.h. Any node takes a wish for any partition: it is written where all can read it. A drain is of the node that is asked.
 */
#include "node/moves.h"

#include <jansson.h>
#include <stdlib.h>

static int print(json_t *answer, const struct aff_http_move *move, struct aff_buf *body)
{
    char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
    bool fits = text && aff_buf_add(body, text, strlen(text)) && aff_buf_u8(body, '\n');
    free(text);
    json_decref(answer);
    return !fits ? AFF_ENOMEM : move->begins ? 202 : 200;
}

static int check_member(const struct aff_node *node, aff_error *err)
{
    return aff_node_in_cluster(node)
               ? 0
               : aff_fail_with(err, AFF_ENOROUTE,
                               "this node shares its partitions with no other: coordinator: zookeeper does");
}

/* ---- drain ---- */

static json_t *drain_json(const struct aff_node *node, const struct aff_view *view)
{
    json_int_t leads = 0;
    bool others = false;
    for (size_t i = 0; i < view->spaces_count; i++)
        for (uint32_t p = 0; p < view->spaces[i].partitions; p++)
            leads += view->self >= 0 && view->spaces[i].parts[p].leader == view->self;
    for (size_t i = 0; i < view->nodes_count; i++)
        others |= (int)i != view->self && view->nodes[i].live && !view->nodes[i].draining;
    return json_pack("{s:s, s:b, s:I, s:b}", "node", node->config->node.name, "draining",
                     view->self >= 0 && view->nodes[view->self].draining, "leads", leads, "others", others);
}

int aff_moves_drain(struct aff_node *node, const struct aff_http_move *move, struct aff_buf *body, aff_error *err)
{
    int code = check_member(node, err);
    if (code)
        return code;
    if (move->begins)
        node->coordinator->ops->drain(node->coordinator);
    struct aff_view *view = node->coordinator->ops->view(node->coordinator);
    if (!view)
        return aff_fail_with(err, AFF_EAGAIN, "this node does not know its cluster yet");
    code = print(drain_json(node, view), move, body);
    aff_view_drop(view);
    return code;
}

/* ---- hand-over ---- */

static json_t *name_of(const struct aff_view *view, int node)
{
    return node >= 0 ? json_string(view->nodes[node].name) : json_null();
}

static json_t *part_json(const struct aff_view *view, const struct aff_view_space *space, uint32_t p)
{
    const struct aff_view_part *part = &space->parts[p];
    json_t *replicas = json_array(), *in_step = json_array();
    for (unsigned i = 0; i < part->replicas_count; i++) {
        (void)json_array_append_new(replicas, name_of(view, part->replicas[i]));
        if (part->in_step & 1U << i)
            (void)json_array_append_new(in_step, name_of(view, part->replicas[i]));
    }
    return json_pack("{s:s, s:I, s:I, s:o, s:o, s:o, s:o, s:o}", "keyspace", space->name, "partition", (json_int_t)p,
                     "epoch", (json_int_t)part->epoch, "leader", name_of(view, part->leader), "next",
                     name_of(view, part->next), "target", name_of(view, part->target), "replicas", replicas, "in_step",
                     in_step);
}

static const struct aff_view_space *find_space(const struct aff_view *view, aff_bytes name)
{
    for (size_t i = 0; i < view->spaces_count; i++)
        if (aff_bytes_equal(aff_str(view->spaces[i].name), name))
            return &view->spaces[i];
    return NULL;
}

static int wish(struct aff_node *node, const struct aff_view_space *space, const struct aff_http_move *move,
                aff_error *err)
{
    char to[AFF_NODE_NAME_MAX + 1];
    if (move->to.len > AFF_NODE_NAME_MAX)
        return aff_fail_with(err, AFF_EINVAL, "to: a name has at most %d characters", AFF_NODE_NAME_MAX);
    (void)snprintf(to, sizeof to, "%.*s", (int)move->to.len, move->to.len ? (const char *)move->to.data : "");
    return node->coordinator->ops->wish(node->coordinator, space->name, (uint32_t)move->partition,
                                        move->to.data ? to : NULL, err);
}

static int tell(struct aff_node *node, const struct aff_view *view, const struct aff_http_move *move,
                struct aff_buf *body, aff_error *err)
{
    const struct aff_view_space *space = find_space(view, move->keyspace);
    if (!space)
        return aff_fail_with(err, AFF_EINVAL, "there is no keyspace `%.*s`",
                             move->keyspace.len > 64 ? 64 : (int)move->keyspace.len, (const char *)move->keyspace.data);
    if (move->partition >= space->partitions)
        return aff_fail_with(err, AFF_EINVAL, "the keyspace `%s` has the partitions 0 to %u", space->name,
                             space->partitions - 1);
    int code = move->begins ? wish(node, space, move, err) : 0;
    return code ? code : print(part_json(view, space, (uint32_t)move->partition), move, body);
}

int aff_moves_handover(struct aff_node *node, const struct aff_http_move *move, struct aff_buf *body, aff_error *err)
{
    int code = check_member(node, err);
    if (code)
        return code;
    struct aff_view *view = node->coordinator->ops->view(node->coordinator);
    if (!view)
        return aff_fail_with(err, AFF_EAGAIN, "this node does not know its cluster yet");
    code = tell(node, view, move, body, err);
    aff_view_drop(view);
    return code;
}
