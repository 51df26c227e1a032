/*
 * assign_world.c - see assign_world.h.
 */
#include "assign_world.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROUNDS_MAX = 3000 };

#define world_fail(w, ...)                                                                                             \
    do {                                                                                                               \
        print_error("seed %llu: ", (unsigned long long)(w)->seed);                                                     \
        fail_msg(__VA_ARGS__);                                                                                         \
    } while (0)

/* ---- making one ---- */

uint32_t world_random(struct world *w, uint32_t below)
{
    w->random += 0x9e3779b97f4a7c15u; /* splitmix64 */
    uint64_t z = w->random;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ z >> 31) % below);
}

struct world *world_new(uint64_t seed)
{
    struct world *w = aff_xcalloc(1, sizeof *w);

    w->seed = w->random = seed;
    w->catches_up = 60;
    for (int i = 0; i < WORLD_NODES_MAX; i++)
        (void)snprintf(w->nodes[i].name, sizeof w->nodes[i].name, "n%d", i);
    return w;
}

void world_free(struct world *w)
{
    for (int i = 0; i < WORLD_NODES_MAX; i++)
        aff_report_fini(&w->nodes[i].report);
    for (size_t s = 0; s < w->spaces_count; s++) {
        for (uint32_t p = 0; p < w->spaces[s].partitions; p++)
            free(w->ledger[s][p]);
        free(w->spaces[s].chunks);
        free(w->before[s]);
        free(w->twin[s]);
    }
    free(w);
}

void world_space(struct world *w, const char *name, uint32_t partitions, uint32_t replicas,
                 const char *const *const *assigned)
{
    struct aff_assign_space *space = &w->spaces[w->spaces_count];

    space->name = name;
    space->partitions = partitions;
    space->replicas = replicas;
    space->assigned = assigned;
    space->chunks = aff_xcalloc(aff_chunks_of(partitions), sizeof *space->chunks);
    w->before[w->spaces_count] = aff_xcalloc(aff_chunks_of(partitions), sizeof *space->chunks);
    w->twin[w->spaces_count] = aff_xcalloc(aff_chunks_of(partitions), sizeof *space->chunks);
    for (uint32_t i = 0; i < aff_chunks_of(partitions); i++)
        aff_chunk_init(&space->chunks[i], name, partitions, i);
    for (uint32_t p = 0; p < partitions; p++)
        w->ledger[w->spaces_count][p] = aff_xcalloc(WORLD_EPOCHS_MAX, AFF_MEMBER_MAX + 1);
    w->spaces_count++;
}

static struct aff_chunk_part *part_of(const struct world *w, size_t s, uint32_t p)
{
    return &w->spaces[s].chunks[p / AFF_CHUNK_PARTITIONS].parts[p % AFF_CHUNK_PARTITIONS];
}

static void member_of(const struct world_node *node, char member[AFF_MEMBER_MAX + 1])
{
    aff_member_format(member, node->name, node->incarnation);
}

/* ---- nodes ---- */

static void write_report(struct world *w, struct world_node *node)
{
    char member[AFF_MEMBER_MAX + 1];

    member_of(node, member);
    aff_report_fini(&node->report);
    aff_report_init(&node->report, member, node->draining);
    for (size_t s = 0; s < w->spaces_count; s++)
        for (uint32_t p = 0; p < w->spaces[s].partitions; p++)
            aff_report_add(&node->report, w->spaces[s].name, p, node->states[s][p], node->applied[s][p]);
}

void world_join(struct world *w, int number, const char *zone)
{
    struct world_node *node = &w->nodes[number];

    node->known = node->live = true;
    node->draining = node->gone = false;
    node->incarnation = ++w->next_incarnation;
    (void)snprintf(node->zone, sizeof node->zone, "%s", zone);
    memset(node->states, 0, sizeof node->states); /* AFF_SEAT_AWAY */
}

void world_crash(struct world *w, int node)
{
    w->nodes[node].live = w->nodes[node].draining = false;
}

void world_gone(struct world *w, int node)
{
    world_crash(w, node);
    w->nodes[node].gone = true;
}

void world_new_session(struct world *w, int node)
{
    w->nodes[node].incarnation = ++w->next_incarnation;
}

/* ---- what must always hold ---- */

struct sources {
    struct aff_view_node living[WORLD_NODES_MAX];
    struct aff_members members;
    const struct aff_report *reports[WORLD_NODES_MAX];
    const char *gone[WORLD_NODES_MAX];
    size_t reports_count, gone_count;
};

static void gather(struct world *w, struct sources *from)
{
    memset(from, 0, sizeof *from);
    from->members.nodes = from->living;
    for (int i = 0; i < WORLD_NODES_MAX; i++) {
        struct world_node *node = &w->nodes[i];
        if (node->live) {
            struct aff_view_node *member = &from->living[from->members.count++];
            memcpy(member->name, node->name, sizeof node->name);
            memcpy(member->zone, node->zone, sizeof node->zone);
            member->incarnation = node->incarnation;
            member->live = true;
        }
        if (node->gone)
            from->gone[from->gone_count++] = node->name;
        if (node->report.member[0])
            from->reports[from->reports_count++] = &node->report;
    }
}

static void enter(const struct world *w, size_t s, uint32_t p, uint32_t epoch, const char *member)
{
    char *entry = NULL;

    if (!epoch)
        return;
    if (epoch >= WORLD_EPOCHS_MAX)
        world_fail(w, "%s/%u: epoch %u: too many hand-overs to be true", w->spaces[s].name, p, epoch);
    entry = w->ledger[s][p] + (size_t)epoch * (AFF_MEMBER_MAX + 1);
    if (entry[0] && strcmp(entry, member) != 0)
        world_fail(w, "%s/%u: epoch %u went to %s and to %s (I1)", w->spaces[s].name, p, epoch, entry, member);
    memcpy(entry, member, strlen(member) + 1);
}

/* Is there a replica that lives, is in step, does not drain and did not release the partition? As reported. */
static bool somebody_in_step(const struct world *w, const struct sources *from, const struct aff_chunk_part *part,
                             size_t s, uint32_t p)
{
    for (int i = 0; i < part->replicas_count; i++) {
        const struct aff_view_node *node = aff_members_find(&from->members, part->replicas[i]);
        char member[AFF_MEMBER_MAX + 1];
        if (!node)
            continue;
        aff_member_format(member, node->name, node->incarnation);
        for (size_t k = 0; k < from->reports_count; k++) {
            const struct aff_report_seat *seat = aff_report_find(from->reports[k], w->spaces[s].name, p);
            if (strcmp(from->reports[k]->member, member) == 0 && !from->reports[k]->draining &&
                aff_seat_in_step(seat, NULL, 0) && strcmp(part->released, member) != 0)
                return true;
        }
    }
    return false;
}

static bool was_in_step(const struct world *w, const struct sources *from, const char *member, size_t s, uint32_t p)
{
    for (size_t k = 0; k < from->reports_count; k++)
        if (strcmp(from->reports[k]->member, member) == 0)
            return aff_seat_in_step(aff_report_find(from->reports[k], w->spaces[s].name, p), NULL, 0);
    return false;
}

static void check_grant(struct world *w, const struct sources *from, const struct aff_chunk_part *before,
                        const struct aff_chunk_part *after, size_t s, uint32_t p)
{
    const char *name = w->spaces[s].name;

    if (before->owner[0] && aff_members_live(&from->members, before->owner))
        world_fail(w, "%s/%u: taken from %s, which lives", name, p, before->owner);
    if (before->next[0] && aff_members_live(&from->members, before->next) && strcmp(before->next, after->owner) != 0)
        world_fail(w, "%s/%u: granted to %s though %s may claim", name, p, after->owner, before->next);
    if (strcmp(before->next, after->owner) == 0)
        return;
    if (!was_in_step(w, from, after->owner, s, p) && somebody_in_step(w, from, before, s, p))
        world_fail(w, "%s/%u: granted to %s, which is not in step, though another is", name, p, after->owner);
}

static void check_part(struct world *w, const struct sources *from, const struct aff_chunk_part *before,
                       const struct aff_chunk_part *after, size_t s, uint32_t p)
{
    const char *wrong = aff_chunk_wrong(after);

    if (wrong)
        world_fail(w, "%s/%u: %s", w->spaces[s].name, p, wrong);
    if (after->major != before->major || strcmp(after->owner, before->owner) != 0)
        check_grant(w, from, before, after, s, p);
    if (after->epoch < before->epoch)
        world_fail(w, "%s/%u: the epoch went back", w->spaces[s].name, p);
    enter(w, s, p, after->major, after->owner);
    for (int i = 0; i < after->replicas_count; i++)
        w->replicas_moved += before->replicas_count && aff_chunk_replica(before, after->replicas[i]) < 0;
}

static void copy_chunks(const struct world *w, struct aff_chunk *const *copies)
{
    for (size_t s = 0; s < w->spaces_count; s++)
        for (uint32_t i = 0; i < aff_chunks_of(w->spaces[s].partitions); i++) {
            const struct aff_chunk *chunk = &w->spaces[s].chunks[i];
            memcpy(&copies[s][i], chunk, offsetof(struct aff_chunk, parts) + chunk->count * sizeof *chunk->parts);
        }
}

static bool same_chunks(const struct world *w, struct aff_chunk *const *chunks)
{
    for (size_t s = 0; s < w->spaces_count; s++)
        for (uint32_t i = 0; i < aff_chunks_of(w->spaces[s].partitions); i++)
            if (memcmp(chunks[s][i].parts, w->spaces[s].chunks[i].parts,
                       chunks[s][i].count * sizeof *chunks[s][i].parts) != 0)
                return false;
    return true;
}

static void decide(struct world *w, struct sources *from, struct aff_assign_space *spaces, struct aff_chunk **chunks)
{
    struct aff_assign assign = { .spaces = spaces,
                                 .spaces_count = w->spaces_count,
                                 .living = &from->members,
                                 .reports = from->reports,
                                 .reports_count = from->reports_count,
                                 .gone = from->gone,
                                 .gone_count = from->gone_count,
                                 .moves = w->moves,
                                 .handovers = w->handovers,
                                 .patient = w->patient };

    for (size_t s = 0; chunks && s < w->spaces_count; s++) {
        spaces[s] = w->spaces[s];
        spaces[s].chunks = chunks[s];
    }
    (void)aff_assign(&assign);
}

/* Decides, twice for being the same, and checks. True when something changed. */
static bool controller(struct world *w)
{
    struct aff_assign_space twin_spaces[WORLD_SPACES];
    struct sources from;
    bool changed = false;

    gather(w, &from);
    copy_chunks(w, w->before);
    copy_chunks(w, w->twin);
    decide(w, &from, twin_spaces, w->twin);
    decide(w, &from, w->spaces, NULL);
    if (!same_chunks(w, w->twin))
        world_fail(w, "the same decision came out different");
    changed = !same_chunks(w, w->before);
    for (size_t s = 0; s < w->spaces_count; s++)
        for (uint32_t p = 0; p < w->spaces[s].partitions; p++)
            check_part(w, &from, &w->before[s][p / AFF_CHUNK_PARTITIONS].parts[p % AFF_CHUNK_PARTITIONS],
                       part_of(w, s, p), s, p);
    return changed;
}

/* ---- what the nodes do ---- */

/* A hand-over that is under way comes to its end, one way or the other, or not yet. */
static bool end_handover(struct world *w, struct sources *from, struct aff_chunk_part *part, size_t s, uint32_t p)
{
    aff_error err;
    bool can = aff_members_live(&from->members, part->next);

    enter(w, s, p, part->claim, part->next);
    enter(w, s, p, part->back, part->owner);
    if (world_random(w, 100) >= 70)
        return false;
    if (!can || (int)world_random(w, 100) < w->fails) {
        assert_int_equal(aff_chunk_kept(part, part->owner, &err), 0);
        return true;
    }
    char next[AFF_MEMBER_MAX + 1];
    memcpy(next, part->next, sizeof next);
    assert_int_equal(aff_chunk_taken(part, next, part->claim, &err), 0);
    w->masters_moved++;
    return true;
}

static bool begin_handover(struct sources *from, struct aff_chunk_part *part, const struct aff_view *view, size_t s,
                           uint32_t p)
{
    const struct aff_view_part *seen = &view->spaces[s].parts[p];
    char member[AFF_MEMBER_MAX + 1];
    aff_error err;

    if (!aff_view_due(view, seen))
        return false;
    aff_member_format(member, view->nodes[seen->target].name, view->nodes[seen->target].incarnation);
    assert_int_equal(aff_chunk_offer(part, part->owner, member, &from->members, &err), 0);
    return true;
}

/* Owners hand over. */
static bool owners(struct world *w)
{
    struct sources from;
    struct aff_view_sources sources;
    struct aff_view *view = NULL;
    bool changed = false;

    gather(w, &from);
    sources = (struct aff_view_sources){ .spaces = w->spaces,
                                         .spaces_count = w->spaces_count,
                                         .living = &from.members,
                                         .reports = from.reports,
                                         .reports_count = from.reports_count };
    view = aff_view_build(&sources);
    for (size_t s = 0; s < w->spaces_count; s++)
        for (uint32_t p = 0; p < w->spaces[s].partitions; p++) {
            struct aff_chunk_part *part = part_of(w, s, p);
            if (!part->owner[0] || !aff_members_live(&from.members, part->owner))
                continue;
            changed |= part->next[0] ? end_handover(w, &from, part, s, p) : begin_handover(&from, part, view, s, p);
        }
    (void)aff_view_drop(view);
    return changed;
}

/* A replica follows, or leads. */
static bool follow(struct world *w, struct world_node *node, size_t s, uint32_t p)
{
    const struct aff_chunk_part *part = part_of(w, s, p);
    char member[AFF_MEMBER_MAX + 1];
    uint8_t *state = &node->states[s][p], before = *state;

    member_of(node, member);
    if (aff_chunk_replica(part, node->name) < 0)
        *state = AFF_SEAT_AWAY;
    else if (strcmp(part->owner, member) == 0)
        *state = AFF_SEAT_LEADS;
    else if (*state == AFF_SEAT_AWAY)
        *state = AFF_SEAT_BEHIND;
    else if (*state == AFF_SEAT_LEADS)
        *state = AFF_SEAT_IN_STEP;
    else if (*state == AFF_SEAT_BEHIND && (int)world_random(w, 100) < w->catches_up)
        *state = AFF_SEAT_IN_STEP;
    else if (*state == AFF_SEAT_IN_STEP && (int)world_random(w, 100) < w->falls_behind)
        *state = AFF_SEAT_BEHIND;
    node->applied[s][p] = *state == AFF_SEAT_AWAY ? 0 : *state == AFF_SEAT_BEHIND ? 10 : 5000 + world_random(w, 50);
    return *state != before;
}

bool world_round(struct world *w)
{
    bool changed = controller(w);

    changed |= owners(w);
    for (int i = 0; i < WORLD_NODES_MAX; i++) {
        struct world_node *node = &w->nodes[i];
        for (size_t s = 0; node->live && s < w->spaces_count; s++)
            for (uint32_t p = 0; p < w->spaces[s].partitions; p++)
                changed |= follow(w, node, s, p);
        if (node->live)
            write_report(w, node);
    }
    return changed;
}

void world_rest(struct world *w)
{
    int quiet = 0, rounds = 0;

    w->catches_up = 60;
    w->fails = w->falls_behind = 0;
    for (; quiet < 20; rounds++) { /* chance may make some rounds quiet */
        if (rounds == ROUNDS_MAX)
            world_fail(w, "it did not come to rest in %d rounds", rounds);
        quiet = world_round(w) ? 0 : quiet + 1;
    }
}

/* ---- what is looked at ---- */

size_t world_leads(const struct world *w, int node)
{
    size_t count = 0;

    for (size_t s = 0; s < w->spaces_count; s++)
        for (uint32_t p = 0; !w->spaces[s].assigned && p < w->spaces[s].partitions; p++)
            count += aff_member_of(part_of(w, s, p)->owner, w->nodes[node].name);
    return count;
}

size_t world_holds(const struct world *w, int node)
{
    size_t count = 0;

    for (size_t s = 0; s < w->spaces_count; s++)
        for (uint32_t p = 0; !w->spaces[s].assigned && p < w->spaces[s].partitions; p++)
            count += aff_chunk_replica(part_of(w, s, p), w->nodes[node].name) >= 0;
    return count;
}

static void expect_even(const struct world *w, const char *what, size_t (*of)(const struct world *w, int node))
{
    size_t most = 0, least = SIZE_MAX;

    for (int i = 0; i < WORLD_NODES_MAX; i++) {
        size_t here = w->nodes[i].live && !w->nodes[i].draining ? of(w, i) : least;
        if (!w->nodes[i].live || w->nodes[i].draining)
            continue;
        most = here > most ? here : most;
        least = here < least ? here : least;
    }
    if (least != SIZE_MAX && most > least + 1) {
        for (int i = 0; i < WORLD_NODES_MAX; i++)
            if (w->nodes[i].known)
                print_error("%s: %s %zu%s%s\n", w->nodes[i].name, what, of(w, i), w->nodes[i].live ? "" : ", away",
                            w->nodes[i].draining ? ", drains" : "");
        world_fail(w, "a node %s %zu, another %zu", what, most, least);
    }
}

void world_expect_balance(const struct world *w, bool masters, bool replicas)
{
    if (masters)
        expect_even(w, "leads", world_leads);
    if (replicas)
        expect_even(w, "holds", world_holds);
}

void world_expect_whole(const struct world *w)
{
    struct sources from;
    struct world *mutable_world = (struct world *)(uintptr_t)w;

    gather(mutable_world, &from);
    for (size_t s = 0; s < w->spaces_count; s++)
        for (uint32_t p = 0; p < w->spaces[s].partitions; p++) {
            const struct aff_chunk_part *part = part_of(w, s, p);
            size_t wanted = w->spaces[s].replicas < from.members.count ? w->spaces[s].replicas : from.members.count;
            if (!part->owner[0] || !aff_members_live(&from.members, part->owner))
                world_fail(w, "%s/%u has no master", w->spaces[s].name, p);
            if (!w->spaces[s].assigned && (part->replicas_count < wanted || part->leaving))
                world_fail(w, "%s/%u has %d replicas, leaving %x, instead of %zu", w->spaces[s].name, p,
                           part->replicas_count, part->leaving, wanted);
        }
}
