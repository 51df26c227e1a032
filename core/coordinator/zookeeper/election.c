/*
 * election.c - which incarnation decides: the ephemeral znode `controller`. Who finds none creates it; everybody watches it. That
 * it is ours the znode's session tells, so an unknown outcome is settled by reading it.
 */
#include "coordinator/zookeeper/keeper.h"

#include <stdio.h>
#include <string.h>

static void controller_path(const struct keeper *k, char *to)
{
    (void)snprintf(to, KEEPER_PATH_MAX, "%s/controller", k->root);
}

static void created(struct aff_zk_call *call, const struct aff_zk_reply *reply)
{
    struct keeper *k = aff_container_of(call, struct keeper, election.call);

    keeper_due(k);
    k->election.stale = true;
    if (reply->result != AFF_ZK_OK && reply->result != AFF_ZK_UNKNOWN && reply->result != AFF_ZK_EXISTS)
        aff_keeper_trouble(k, "create", "controller", reply);
}

static void compete(struct keeper *k)
{
    char path[KEEPER_PATH_MAX];

    k->election.call.done = created;
    controller_path(k, path);
    aff_zk_create(k->zk, &k->election.call, path, aff_str(k->member), AFF_ZK_EPHEMERAL);
}

static void found(struct keeper *k, const struct aff_zk_reply *reply)
{
    struct keeper_election *e = &k->election;
    bool was = e->self;

    e->known = true;
    e->self = reply->owner == k->session.id;
    (void)snprintf(e->holder, sizeof e->holder, "%.*s",
                   (int)(reply->data.len < AFF_MEMBER_MAX ? reply->data.len : AFF_MEMBER_MAX),
                   (const char *)reply->data.data);
    k->view_due = true;
    if (!e->self || was)
        return;
    aff_log(k->opts.logger, INFO, "coordinator.decides", aff_f_str("member", k->member));
    k->controller.since_ns = k->controller.changed_ns = keeper_now(k);
    k->controller.due = k->reports.due = true;
}

static void read_controller(struct aff_zk_call *call, const struct aff_zk_reply *reply)
{
    struct keeper *k = aff_container_of(call, struct keeper, election.call);

    keeper_due(k);
    if (reply->result == AFF_ZK_OK)
        found(k, reply);
    else if (reply->result == AFF_ZK_NONE) {
        k->election.self = false;
        compete(k);
    } else {
        k->election.stale = true;
        if (reply->result != AFF_ZK_UNKNOWN)
            aff_keeper_trouble(k, "read", "controller", reply);
    }
}

void aff_keeper_election_step(struct keeper *k)
{
    char path[KEEPER_PATH_MAX];

    if (!k->election.stale || k->election.call.op)
        return;
    k->election.stale = false;
    k->election.call.done = read_controller;
    controller_path(k, path);
    aff_zk_get(k->zk, &k->election.call, path, true);
}

void aff_keeper_election_reset(struct keeper *k)
{
    aff_zk_forget(&k->election.call);
    memset(&k->election, 0, sizeof k->election);
    k->election.stale = true;
}
