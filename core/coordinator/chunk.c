/*
 * chunk.c - the steps of a partition's assignment, see chunk.h. Each ends in commit(), which asserts what must hold after any.
 */
#include "coordinator/chunk.h"

#include "coordinator/text.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void aff_chunk_init(struct aff_chunk *chunk, const char *keyspace, uint32_t partitions, uint32_t index)
{
    memset(chunk, 0, sizeof *chunk);
    (void)snprintf(chunk->keyspace, sizeof chunk->keyspace, "%s", keyspace);
    chunk->first = index * AFF_CHUNK_PARTITIONS;
    assert(chunk->first < partitions);
    chunk->count = partitions - chunk->first < AFF_CHUNK_PARTITIONS ? partitions - chunk->first : AFF_CHUNK_PARTITIONS;
}

int aff_chunk_replica(const struct aff_chunk_part *part, const char *name)
{
    for (int i = 0; i < part->replicas_count; i++)
        if (strcmp(part->replicas[i], name) == 0)
            return i;
    return -1;
}

/* ---- what always holds ---- */

static const char *wrong_replicas(const struct aff_chunk_part *part)
{
    if (part->replicas_count > AFF_REPLICAS_MAX || part->leaving >> part->replicas_count)
        return "it has more replicas than are possible";
    for (int i = 0; i < part->replicas_count; i++) {
        if (!aff_node_name_valid(part->replicas[i]))
            return "a replica is not the name of a node";
        if (aff_chunk_replica(part, part->replicas[i]) != i)
            return "a node stands twice among the replicas";
    }
    return NULL;
}

/* A member that holds a replica, or nobody. */
static bool wrong_member(const struct aff_chunk_part *part, const char *member)
{
    char name[AFF_NODE_NAME_MAX + 1];

    return member[0] && (!aff_member_parse(member, name, NULL) || aff_chunk_replica(part, name) < 0);
}

static bool wrong_past(const char *member)
{
    return member[0] && !aff_member_parse(member, NULL, NULL);
}

const char *aff_chunk_wrong(const struct aff_chunk_part *part)
{
    const char *wrong = wrong_replicas(part);

    if (wrong)
        return wrong;
    if (wrong_member(part, part->owner) || !part->owner[0] != !part->major)
        return "the owner is no incarnation of a replica with an epoch";
    if (wrong_member(part, part->next) || !part->next[0] != !part->claim || !part->next[0] != !part->back)
        return "the receiver of the hand-over is no incarnation of a replica with an epoch";
    if (part->next[0] && (!part->owner[0] || part->claim <= part->major || part->back <= part->claim))
        return "the epochs of the hand-over are not above the owner's";
    if (part->major > part->epoch || part->back > part->epoch)
        return "an epoch is above the highest that was granted";
    if (part->target[0] &&
        (aff_chunk_replica(part, part->target) < 0 || part->leaving >> aff_chunk_replica(part, part->target) & 1))
        return "the target is no replica that stays";
    if (part->pinned && !part->target[0])
        return "it is pinned, and nowhere";
    if (wrong_past(part->failed) || wrong_past(part->released) || !part->failed[0] != !part->fails)
        return "what failed or was released names no member";
    return NULL;
}

/* ---- the steps ---- */

/* What holds after each step, and that the numbers only grow (I1). */
static int commit(struct aff_chunk_part *part, const struct aff_chunk_part *after)
{
    assert(!aff_chunk_wrong(after));
    assert(after->epoch >= part->epoch);
    /* I1: who gets an epoch gets one above all before, or the one that was kept for it. */
    assert(after->major == part->major || !after->major || after->major > part->epoch ||
           (after->major == part->claim && strcmp(after->owner, part->next) == 0) ||
           (after->major == part->back && strcmp(after->owner, part->owner) == 0));
    assert(after->major != part->major || !after->major || strcmp(after->owner, part->owner) == 0);
    *part = *after;
    return 0;
}

static void end_handover(struct aff_chunk_part *part)
{
    part->next[0] = '\0';
    part->claim = part->back = 0;
}

static void forget_failures(struct aff_chunk_part *part)
{
    part->failed[0] = '\0';
    part->fails = 0;
}

static void clear_target(struct aff_chunk_part *part)
{
    part->target[0] = '\0';
    part->pinned = false;
}

static void own(struct aff_chunk_part *part, const char *member, uint32_t major)
{
    if (strcmp(part->owner, member) != 0)
        memcpy(part->owner, member, strlen(member) + 1);
    part->major = major;
    part->released[0] = part->why[0] = '\0';
    end_handover(part);
    if (part->target[0] && !part->pinned && aff_member_of(member, part->target))
        clear_target(part);
}

static int replica_of(const struct aff_chunk_part *part, const char *member, aff_error *err)
{
    char name[AFF_NODE_NAME_MAX + 1];

    if (!aff_member_parse(member, name, NULL) || aff_chunk_replica(part, name) < 0)
        return aff_fail_with(err, AFF_EINVAL, "\"%.80s\" is not an incarnation of a node that holds a replica", member);
    return 0;
}

static int owned_by(const struct aff_chunk_part *part, const char *owner, aff_error *err)
{
    if (!owner[0] || strcmp(part->owner, owner) != 0)
        return aff_fail_with(err, AFF_ECONFLICT, "%.80s is not the owner: that is %s", owner,
                             part->owner[0] ? part->owner : "nobody");
    return 0;
}

/* The numbers are used up after 4,294,967,295 grants. */
static int room(const struct aff_chunk_part *part, uint32_t above, uint32_t more, aff_error *err)
{
    uint32_t highest = part->epoch > above ? part->epoch : above;

    return highest > UINT32_MAX - more ? aff_fail_with(err, AFF_EINVAL, "there is no epoch above %" PRIu32, highest)
                                       : 0;
}

int aff_chunk_grant(struct aff_chunk_part *part, const char *member, const struct aff_members *living, aff_error *err)
{
    struct aff_chunk_part after = *part;
    int rc = replica_of(part, member, err);

    rc = rc ? rc : room(part, 0, 1, err);
    if (rc)
        return rc;
    if (!aff_members_live(living, member))
        return aff_fail_with(err, AFF_ECONFLICT, "%s does not live", member);
    if (part->owner[0] && aff_members_live(living, part->owner))
        return aff_fail_with(err, AFF_EBUSY, "%s owns the partition and lives", part->owner);
    if (part->next[0] && aff_members_live(living, part->next))
        return aff_fail_with(err, AFF_EBUSY, "the partition is handed over to %s, which lives", part->next);
    after.epoch++;
    own(&after, member, after.epoch);
    forget_failures(&after);
    return commit(part, &after);
}

int aff_chunk_raise(struct aff_chunk_part *part, const char *owner, uint32_t above, aff_error *err)
{
    struct aff_chunk_part after = *part;
    int rc = owned_by(part, owner, err);

    rc = rc ? rc : room(part, above, 1, err);
    if (rc)
        return rc;
    after.epoch = (after.epoch > above ? after.epoch : above) + 1;
    own(&after, owner, after.epoch);
    return commit(part, &after);
}

int aff_chunk_offer(struct aff_chunk_part *part, const char *owner, const char *to, const struct aff_members *living,
                    aff_error *err)
{
    struct aff_chunk_part after = *part;
    char name[AFF_NODE_NAME_MAX + 1];
    int rc = owned_by(part, owner, err);

    rc = rc ? rc : replica_of(part, to, err);
    rc = rc ? rc : room(part, 0, 2, err);
    if (rc)
        return rc;
    if (part->next[0])
        return aff_fail_with(err, AFF_EBUSY, "the partition is handed over to %s already", part->next);
    if (!aff_members_live(living, to))
        return aff_fail_with(err, AFF_ECONFLICT, "%s does not live", to);
    (void)aff_member_parse(to, name, NULL);
    if (aff_member_of(owner, name))
        return aff_fail_with(err, AFF_EINVAL, "%s cannot hand over to itself", owner);
    memcpy(after.next, to, strlen(to) + 1);
    after.claim = after.epoch + 1;
    after.back = after.epoch + 2;
    after.epoch += 2;
    return commit(part, &after);
}

int aff_chunk_taken(struct aff_chunk_part *part, const char *next, uint32_t claim, aff_error *err)
{
    struct aff_chunk_part after = *part;

    if (claim && strcmp(part->owner, next) == 0 && part->major == claim)
        return 0;
    if (!claim || strcmp(part->next, next) != 0 || part->claim != claim)
        return aff_fail_with(err, AFF_ECONFLICT, "no hand-over to %.80s with epoch %" PRIu32 " is under way", next,
                             claim);
    own(&after, next, claim);
    forget_failures(&after);
    return commit(part, &after);
}

bool aff_chunk_has_room(const struct aff_chunk *chunk)
{
    uint32_t under_way = 0;

    for (uint32_t i = 0; i < chunk->count; i++)
        under_way += chunk->parts[i].next[0] != '\0';
    return under_way < (chunk->count + AFF_CHUNK_OFFERS_OF - 1) / AFF_CHUNK_OFFERS_OF;
}

int aff_chunk_kept(struct aff_chunk_part *part, const char *owner, aff_error *err)
{
    struct aff_chunk_part after = *part;
    int rc = owned_by(part, owner, err);

    if (rc)
        return rc;
    if (!part->next[0])
        return aff_fail_with(err, AFF_ECONFLICT, "no hand-over is under way");
    after.fails = (uint8_t)(strcmp(after.failed, after.next) != 0 ? 1
                            : after.fails < UINT8_MAX             ? after.fails + 1
                                                                  : UINT8_MAX);
    memcpy(after.failed, after.next, sizeof after.failed);
    own(&after, owner, part->back);
    clear_target(&after);
    return commit(part, &after);
}

int aff_chunk_inherit(struct aff_chunk_part *part, const struct aff_members *living, aff_error *err)
{
    struct aff_chunk_part after = *part;

    if (!part->next[0])
        return aff_fail_with(err, AFF_ECONFLICT, "no hand-over is under way");
    if (aff_members_live(living, part->owner))
        return aff_fail_with(err, AFF_EBUSY, "%s owns the partition and lives", part->owner);
    if (!aff_members_live(living, part->next))
        return aff_fail_with(err, AFF_ECONFLICT, "%s does not live", part->next);
    own(&after, part->next, part->claim);
    forget_failures(&after);
    return commit(part, &after);
}

/* A reason is for people; what is not plain ASCII would not survive being cut. */
static void set_why(struct aff_chunk_part *part, const char *why)
{
    (void)snprintf(part->why, sizeof part->why, "%s", why);
    for (char *at = part->why; *at; at++)
        if (*at < ' ' || *at > '~')
            *at = '?';
}

int aff_chunk_release(struct aff_chunk_part *part, const char *owner, const char *why, aff_error *err)
{
    struct aff_chunk_part after = *part;
    int rc = owned_by(part, owner, err);

    if (rc)
        return rc;
    if (part->next[0])
        return aff_fail_with(err, AFF_EBUSY, "the partition is handed over to %s: that has to end first", part->next);
    memcpy(after.released, after.owner, sizeof after.released);
    set_why(&after, why);
    after.owner[0] = '\0';
    after.major = 0;
    if (after.target[0] && aff_member_of(after.released, after.target))
        clear_target(&after);
    return commit(part, &after);
}

int aff_chunk_aim(struct aff_chunk_part *part, const char *name, bool pinned, aff_error *err)
{
    struct aff_chunk_part after = *part;
    int at = name ? aff_chunk_replica(part, name) : -1;

    clear_target(&after);
    if (name && at < 0)
        return aff_fail_with(err, AFF_EINVAL, "the node \"%.80s\" holds no replica", name);
    if (name && part->leaving >> at & 1)
        return aff_fail_with(err, AFF_EINVAL, "the replica of node \"%.80s\" is about to go", name);
    if (name) {
        memcpy(after.target, part->replicas[at], sizeof after.target);
        after.pinned = pinned;
    }
    return commit(part, &after);
}

static int set_replicas(struct aff_chunk_part *part, const char *const *names, size_t count, uint8_t leaving,
                        aff_error *err)
{
    memset(part->replicas, 0, sizeof part->replicas);
    part->replicas_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (!aff_node_name_valid(names[i]) || aff_chunk_replica(part, names[i]) >= 0)
            return aff_fail_with(err, AFF_EINVAL, "\"%.80s\" is not the name of a node, or stands there twice",
                                 names[i]);
        memcpy(part->replicas[part->replicas_count++], names[i], strlen(names[i]) + 1);
    }
    part->leaving = leaving;
    return 0;
}

int aff_chunk_place(struct aff_chunk_part *part, const char *const *names, size_t count, uint8_t leaving,
                    aff_error *err)
{
    struct aff_chunk_part after = *part;
    int target = 0, rc = 0;

    if (!count || count > AFF_REPLICAS_MAX || leaving >> count)
        return aff_fail_with(err, AFF_EINVAL, "a partition has 1 to %d replicas, not %zu", AFF_REPLICAS_MAX, count);
    rc = set_replicas(&after, names, count, leaving, err);
    if (rc)
        return rc;
    if (wrong_member(&after, after.owner) || wrong_member(&after, after.next))
        return aff_fail_with(err, AFF_EINVAL, "the owner %s%s%s would hold no replica", after.owner,
                             after.next[0] ? ", or " : "", after.next);
    target = after.target[0] ? aff_chunk_replica(&after, after.target) : -1;
    if (target < 0 || after.leaving >> target & 1)
        clear_target(&after);
    return commit(part, &after);
}
