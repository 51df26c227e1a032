/*
 * publish.c - what other threads see: views, the health, and wishes that they bring.
 */
#include "coordinator/zookeeper/keeper.h"

#include "base/alloc.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FLOOD_MS = 20 };

/* ---- the health ---- */

/* The lag znode and the names of replicas would be of both. */
static bool has_namesake(const struct keeper *k)
{
    const struct aff_view_node *youngest = aff_members_find(&k->members.living, k->self.name);
    char member[AFF_MEMBER_MAX + 1];

    if (!k->member[0] || !youngest)
        return false;
    aff_member_format(member, youngest->name, youngest->incarnation);
    return strcmp(member, k->member) != 0;
}

static void trouble_of(const struct keeper *k, char *to, size_t size)
{
    if (k->refused)
        (void)snprintf(to, size, "ZooKeeper refuses this node's user: is zookeeper.auth right?");
    else if (k->trouble[0])
        (void)snprintf(to, size, "%s", k->trouble);
    else if (!k->connected)
        (void)snprintf(to, size, "no connection to ZooKeeper at %.100s", k->opts.connect);
    else if (has_namesake(k))
        (void)snprintf(to, size, "another process is a member as %s, too: each node needs a name of its own",
                       k->self.name);
    else if (k->session_ms != k->opts.session_ms)
        (void)snprintf(to, size, "ZooKeeper gave a session of %lld ms, not %lld: its tick allows no other",
                       (long long)k->session_ms, (long long)k->opts.session_ms);
}

/* ---- the view ---- */

static bool can_view(const struct keeper *k)
{
    if (!k->member[0] || !k->members.complete)
        return false;
    for (size_t s = 0; s < k->spaces_count; s++)
        for (size_t i = 0; i < k->spaces[s].chunks_count; i++)
            if (!k->spaces[s].chunks[i].known)
                return false;
    return true;
}

static struct aff_view *build(struct keeper *k)
{
    const struct aff_report **reports = aff_xcalloc(k->reports.count + 1, sizeof(struct aff_report *));
    struct aff_assign_space *spaces = aff_xcalloc(k->spaces_count + 1, sizeof *spaces);
    struct aff_view *view;

    aff_keeper_picture(k, spaces);
    view = aff_view_build(&(struct aff_view_sources){
        .self = k->self.name,
        .controller = k->election.holder[0] ? k->election.holder : NULL,
        .generation = ++k->generation,
        .spaces = spaces,
        .spaces_count = k->spaces_count,
        .living = &k->members.living,
        .reports = reports,
        .reports_count = aff_keeper_reports_fresh(k, reports),
        .bound = KEEPER_IN_STEP,
    });
    free(spaces);
    free(reports);
    return view;
}

/* More is about to come, and a view of many partitions takes its time: not each chunk has to be seen by itself. */
static bool in_a_flood(const struct keeper *k)
{
    if (keeper_now(k) - k->published_ns >= FLOOD_MS * AFF_NS_PER_MS)
        return false;
    for (size_t s = 0; s < k->spaces_count; s++)
        for (size_t i = 0; i < k->spaces[s].chunks_count; i++)
            if (k->spaces[s].chunks[i].call.op)
                return true;
    return false;
}

void aff_keeper_publish(struct keeper *k)
{
    struct keeper_shared *shared = &k->shared;
    struct aff_coordinator_health health = { .connected = k->connected, .registered = k->connected && k->member[0] };
    struct aff_view *view = NULL;
    bool changed;

    if (!k->view_due || in_a_flood(k))
        return;
    k->view_due = false;
    k->published_ns = keeper_now(k);
    trouble_of(k, health.trouble, sizeof health.trouble);
    if (can_view(k))
        view = build(k);
    (void)pthread_mutex_lock(&shared->lock);
    changed = view || memcmp(&shared->health, &health, sizeof health) != 0;
    shared->health = health;
    if (view) {
        struct aff_view *old = shared->view;

        shared->view = view;
        view = old;
    }
    (void)pthread_mutex_unlock(&shared->lock);
    (void)aff_view_drop(view);
    for (size_t i = 0; changed && i < shared->watches_count; i++)
        shared->watches[i]->changed(shared->watches[i]);
}

struct aff_view *aff_keeper_view(struct aff_coordinator *c)
{
    struct keeper_shared *shared = &aff_container_of(c, struct keeper, base)->shared;
    struct aff_view *view;

    (void)pthread_mutex_lock(&shared->lock);
    view = aff_view_hold(shared->view);
    (void)pthread_mutex_unlock(&shared->lock);
    return view;
}

void aff_keeper_health(struct aff_coordinator *c, struct aff_coordinator_health *ret_health)
{
    struct keeper_shared *shared = &aff_container_of(c, struct keeper, base)->shared;

    (void)pthread_mutex_lock(&shared->lock);
    *ret_health = shared->health;
    (void)pthread_mutex_unlock(&shared->lock);
}

/* Before join(): there is no other thread yet. */
void aff_keeper_watch(struct aff_coordinator *c, struct aff_coordinator_watch *watch)
{
    struct keeper *k = aff_container_of(c, struct keeper, base);

    assert(!k->running && k->shared.watches_count < KEEPER_WATCHES_MAX);
    k->shared.watches[k->shared.watches_count++] = watch;
}

/* ---- wishes ---- */

static void deliver_wish(struct aff_msg *msg)
{
    struct keeper_wish *wish = aff_container_of(msg, struct keeper_wish, msg);

    aff_list_append(&wish->k->wishes, &wish->link);
    keeper_due(wish->k);
}

bool aff_keeper_wishes_step(struct keeper_chunk *chunk, struct aff_chunk *next)
{
    bool changed = false;
    aff_error err;

    aff_list_each(link, &chunk->k->wishes) {
        struct keeper_wish *wish = aff_container_of(link, struct keeper_wish, link);

        if (wish->space != chunk->space || wish->partition / AFF_CHUNK_PARTITIONS != chunk->index)
            continue;
        if (strcmp(next->parts[wish->partition % AFF_CHUNK_PARTITIONS].target, wish->to) != 0 &&
            aff_chunk_aim(&next->parts[wish->partition % AFF_CHUNK_PARTITIONS], wish->to, wish->pinned, &err) == 0)
            changed = true;
        else { /* it is so, or cannot be any more */
            aff_list_remove(&wish->link);
            free(wish);
        }
    }
    return changed;
}

void aff_keeper_wishes_fini(struct keeper *k)
{
    aff_list_each(link, &k->wishes)
        free(aff_container_of(link, struct keeper_wish, link));
}

static int named(const struct aff_view *view, const struct aff_view_part *part, const char *to)
{
    for (int i = 0; i < part->replicas_count; i++)
        if (part->replicas[i] >= 0 && strcmp(view->nodes[part->replicas[i]].name, to) == 0)
            return part->replicas[i];
    return -1;
}

static int fill_wish(const struct aff_view *view, const char *keyspace, const char *to, struct keeper_wish *wish,
                     aff_error *err)
{
    const struct aff_view_part *part;
    int node;

    while (wish->space < view->spaces_count && strcmp(view->spaces[wish->space].name, keyspace) != 0)
        wish->space++;
    if (wish->space == view->spaces_count || wish->partition >= view->spaces[wish->space].partitions)
        return aff_fail_with(err, AFF_EINVAL, "there is no partition %u of a keyspace '%s'", wish->partition, keyspace);
    part = &view->spaces[wish->space].parts[wish->partition];
    node = to ? named(view, part, to) : aff_view_best(view, part);
    if (node < 0 && to)
        return aff_fail_with(err, AFF_EINVAL, "'%s' holds no replica of %s/%u", to, keyspace, wish->partition);
    if (node < 0)
        return aff_fail_with(err, AFF_EAGAIN, "no other replica of %s/%u is there and well", keyspace, wish->partition);
    wish->pinned = to != NULL;
    (void)snprintf(wish->to, sizeof wish->to, "%s", view->nodes[node].name);
    return 0;
}

static int make_wish(struct keeper *k, const char *keyspace, const char *to, struct keeper_wish *wish, aff_error *err)
{
    struct aff_coordinator_health health;
    struct aff_view *view;
    int rc;

    aff_keeper_health(&k->base, &health);
    view = aff_keeper_view(&k->base);
    if (!view || !health.registered)
        rc = aff_fail_with(err, AFF_EAGAIN, "this node is not connected to ZooKeeper: %s", health.trouble);
    else
        rc = fill_wish(view, keyspace, to, wish, err);
    (void)aff_view_drop(view);
    return rc;
}

int aff_keeper_wish(struct aff_coordinator *c, const char *keyspace, uint32_t partition, const char *to, aff_error *err)
{
    struct keeper *k = aff_container_of(c, struct keeper, base);
    struct keeper_wish *wish = aff_xcalloc(1, sizeof *wish);
    int rc;

    wish->k = k;
    wish->partition = partition;
    rc = make_wish(k, keyspace, to, wish, err);
    if (rc) {
        free(wish);
        return rc;
    }
    wish->msg.deliver = deliver_wish;
    aff_loop_call(k->loop, &wish->msg);
    return 0;
}
