/*
 * members.c - who lives, and the registration of this node: znodes below nodes/, one for each incarnation.
 *
 * The own one is created when the list was read and has none of this session, so a creation whose outcome was unknown is found
 * instead of repeated. Whoever sees the own one missing has no right to go on under its name: the session is replaced.
 */
#include "coordinator/zookeeper/keeper.h"

#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void nodes_path(const struct keeper *k, char *to, const char *name)
{
    (void)snprintf(to, KEEPER_PATH_MAX, "%s/nodes%s%s", k->root, name[0] ? "/" : "", name);
}

/* ---- one member ---- */

/* What this release cannot read still lives, and gets nothing. */
static void take_text(struct keeper_member *m, aff_bytes text)
{
    aff_error err;

    if (aff_member_decode(m->name, text, &m->node, &err) == 0)
        return;
    memset(&m->node, 0, sizeof m->node);
    (void)aff_member_parse(m->name, m->node.name, &m->node.incarnation);
    m->node.live = m->node.draining = true;
}

static void read_member(struct aff_zk_call *call, const struct aff_zk_reply *reply)
{
    struct keeper_member *m = aff_container_of(call, struct keeper_member, call);

    keeper_due(m->k);
    if (reply->result == AFF_ZK_OK) {
        m->stale = false;
        m->known = true;
        m->session = reply->owner;
        take_text(m, reply->data);
    } else if (reply->result == AFF_ZK_NONE) {
        m->stale = false;
        m->k->members.stale = true; /* the list tells */
    } else if (reply->result != AFF_ZK_UNKNOWN)
        aff_keeper_trouble(m->k, "read", m->name, reply);
}

static struct keeper_member *find(const struct keeper *k, const char *name)
{
    for (size_t i = 0; i < k->members.count; i++)
        if (strcmp(k->members.all[i]->name, name) == 0)
            return k->members.all[i];
    return NULL;
}

static void add(struct keeper *k, const char *name)
{
    struct keeper_members *ms = &k->members;
    struct keeper_member *m;

    if (find(k, name) || !aff_member_parse(name, NULL, NULL))
        return;
    m = aff_xcalloc(1, sizeof *m);
    m->k = k;
    m->stale = true;
    m->call.done = read_member;
    (void)snprintf(m->name, sizeof m->name, "%s", name);
    ms->all = aff_xrealloc(ms->all, ms->count + 1, sizeof(struct keeper_member *));
    ms->all[ms->count++] = m;
}

static void drop(struct keeper_member *m)
{
    aff_zk_forget(&m->call);
    free(m);
}

/* ---- the list ---- */

static bool listed(const struct aff_zk_reply *reply, const char *name)
{
    for (size_t i = 0; i < reply->names_count; i++)
        if (strcmp(reply->names[i], name) == 0)
            return true;
    return false;
}

static void take_list(struct keeper *k, const struct aff_zk_reply *reply)
{
    struct keeper_members *ms = &k->members;
    size_t kept = 0;

    for (size_t i = 0; i < ms->count; i++)
        if (listed(reply, ms->all[i]->name))
            ms->all[kept++] = ms->all[i];
        else
            drop(ms->all[i]);
    ms->count = kept;
    for (size_t i = 0; i < reply->names_count; i++)
        add(k, reply->names[i]);
    ms->listed = true;
    k->controller.changed_ns = keeper_now(k);
    k->controller.due = k->reports.due = k->view_due = true;
    if (k->member[0] && !find(k, k->member)) {
        aff_log(k->opts.logger, WARN, "coordinator.unregistered", aff_f_str("member", k->member));
        k->over = true;
    }
}

static void read_list(struct aff_zk_call *call, const struct aff_zk_reply *reply)
{
    struct keeper *k = aff_container_of(call, struct keeper, members.list);

    keeper_due(k);
    if (reply->result == AFF_ZK_OK)
        take_list(k, reply);
    else {
        k->members.stale = true;
        if (reply->result != AFF_ZK_UNKNOWN)
            aff_keeper_trouble(k, "list", "nodes", reply);
    }
}

static void gather(struct keeper *k)
{
    struct keeper_members *ms = &k->members;

    ms->complete = ms->listed && !ms->stale && !ms->list.op;
    free(ms->living.nodes);
    ms->living.nodes = aff_xcalloc(ms->count + 1, sizeof *ms->living.nodes);
    ms->living.count = 0;
    for (size_t i = 0; i < ms->count; i++) {
        if (ms->all[i]->known)
            ms->living.nodes[ms->living.count++] = ms->all[i]->node;
        else
            ms->complete = false;
    }
}

/* ---- the own one ---- */

static void registered(struct keeper *k, const char *name)
{
    if (strcmp(k->member, name) == 0)
        return;
    (void)snprintf(k->member, sizeof k->member, "%s", name);
    aff_log(k->opts.logger, INFO, "coordinator.registered", aff_f_str("member", k->member),
            aff_f_int("session_ms", k->session_ms));
    k->view_due = true;
    aff_keeper_reports_tick(k); /* the controller waits for it */
}

static void created(struct aff_zk_call *call, const struct aff_zk_reply *reply)
{
    struct keeper *k = aff_container_of(call, struct keeper, members.create);

    keeper_due(k);
    k->members.stale = true; /* with it in, or to see whether it is */
    if (reply->result != AFF_ZK_OK && reply->result != AFF_ZK_UNKNOWN)
        aff_keeper_trouble(k, "create", "nodes", reply);
}

static void create_own(struct keeper *k)
{
    char path[KEEPER_PATH_MAX], name[AFF_MEMBER_MAX + 1];
    struct aff_buf text;
    aff_error err;

    aff_buf_init(&text);
    (void)snprintf(name, sizeof name, "%s-", k->self.name);
    nodes_path(k, path, name);
    k->members.create.done = created;
    if (aff_member_encode(&k->self, &text, &err) == 0)
        aff_zk_create(k->zk, &k->members.create, path, aff_buf_view(&text), AFF_ZK_SEQUENTIAL);
    else
        (void)snprintf(k->trouble, sizeof k->trouble, "%.150s", err.text);
    aff_buf_fini(&text);
}

static void removed(struct aff_zk_call *call, const struct aff_zk_reply *reply)
{
    (void)call;
    (void)reply;
}

/* Of this session: the youngest is meant; an older one is of a creation that was done after all. */
static void find_own(struct keeper *k)
{
    struct keeper_members *ms = &k->members;
    struct keeper_member *own = NULL, *extra = NULL;
    char path[KEEPER_PATH_MAX];

    for (size_t i = 0; i < ms->count; i++) {
        struct keeper_member *m = ms->all[i];

        if (m->session != k->session.id)
            continue;
        extra = own && own->node.incarnation < m->node.incarnation ? own : own ? m : extra;
        own = own && own->node.incarnation > m->node.incarnation ? own : m;
    }
    if (!own && !ms->create.op && !k->member[0])
        create_own(k);
    if (own && !k->member[0])
        registered(k, own->name);
    if (extra && !ms->remove.op) {
        nodes_path(k, path, extra->name);
        ms->remove.done = removed;
        aff_zk_delete(k->zk, &ms->remove, path, -1);
    }
}

/* ---- the bell of who drains ---- */

static void rang(struct aff_zk_call *call, const struct aff_zk_reply *reply)
{
    struct keeper *k = aff_container_of(call, struct keeper, members.bell);

    k->members.rung = reply->result == AFF_ZK_OK || reply->result == AFF_ZK_EXISTS; /* else with the next report */
}

/* Reports are too many to be watched, and the list of members is watched: a znode in it that is no member changes it. */
void aff_keeper_members_ring(struct keeper *k)
{
    struct keeper_members *ms = &k->members;
    char path[KEEPER_PATH_MAX], name[AFF_MEMBER_MAX + 16];

    if (ms->rung || ms->bell.op)
        return;
    (void)snprintf(name, sizeof name, "%s.drains", k->member);
    nodes_path(k, path, name);
    ms->bell.done = rang;
    aff_zk_create(k->zk, &ms->bell, path, aff_str(""), AFF_ZK_EPHEMERAL);
}

/* ---- the part ---- */

static void read_stale(struct keeper *k)
{
    char path[KEEPER_PATH_MAX];

    for (size_t i = 0; i < k->members.count; i++) {
        struct keeper_member *m = k->members.all[i];

        if (!m->stale || m->call.op)
            continue;
        nodes_path(k, path, m->name);
        aff_zk_get(k->zk, &m->call, path, false); /* it never changes; that it goes the list tells */
    }
}

void aff_keeper_members_step(struct keeper *k)
{
    struct keeper_members *ms = &k->members;
    char path[KEEPER_PATH_MAX];

    if (ms->stale && !ms->list.op) {
        ms->stale = false;
        ms->list.done = read_list;
        nodes_path(k, path, "");
        aff_zk_children(k->zk, &ms->list, path, true);
    }
    read_stale(k);
    gather(k);
    if (ms->complete)
        find_own(k);
}

void aff_keeper_members_changed(struct keeper *k, const char *path)
{
    (void)path;
    k->members.stale = true;
}

void aff_keeper_members_reset(struct keeper *k)
{
    struct keeper_members *ms = &k->members;

    aff_zk_forget(&ms->list);
    aff_zk_forget(&ms->create);
    aff_zk_forget(&ms->remove);
    aff_zk_forget(&ms->bell);
    ms->rung = false;
    for (size_t i = 0; i < ms->count; i++)
        drop(ms->all[i]);
    ms->count = 0;
    ms->listed = ms->complete = false;
    ms->stale = true;
}

void aff_keeper_members_fini(struct keeper *k)
{
    aff_keeper_members_reset(k);
    free(k->members.all);
    free(k->members.living.nodes);
}
