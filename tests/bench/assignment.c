/*
 * assignment.c - what a decision of the controller costs: 10,000 partitions with three replicas on 20 nodes. scripts/bench assignment
 * prints it; doc/performance.md says what was measured.
 *
 *   assignment [ROUNDS]
 *
 * Each case is decided ROUNDS times from the same state; the median counts, of CPU time. One thread.
 */
#include "coordinator/assignment.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PARTITIONS = 10000, NODES = 20, REPLICAS = 3, ROUNDS_MAX = 1000, GOAL_MS = 100 };

struct cluster {
    struct aff_view_node nodes[NODES + 1];
    struct aff_members living;
    struct aff_report reports[NODES + 1];
    const struct aff_report *list[NODES + 1];
    struct aff_assign_space space;
    size_t chunks;
};

static void fail(const char *what)
{
    (void)fprintf(stderr, "assignment: %s\n", what);
    exit(1);
}

static struct aff_chunk_part *part_of(const struct cluster *c, uint32_t p)
{
    return &c->space.chunks[p / AFF_CHUNK_PARTITIONS].parts[p % AFF_CHUNK_PARTITIONS];
}

static void join(struct cluster *c, int number)
{
    struct aff_view_node *node = &c->nodes[number];

    (void)snprintf(node->name, sizeof node->name, "node-%02d", number);
    (void)snprintf(node->zone, sizeof node->zone, "zone-%d", number % 4);
    node->incarnation = (uint32_t)number + 1;
    node->live = true;
}

/* Everybody is in step with what it holds, and hand-overs are over at once. */
static void catch_up(struct cluster *c)
{
    aff_error err;

    for (int i = 0; i <= NODES; i++) {
        char member[AFF_MEMBER_MAX + 1];
        aff_member_format(member, c->nodes[i].name, c->nodes[i].incarnation);
        aff_report_fini(&c->reports[i]);
        aff_report_init(&c->reports[i], member, false);
        c->list[i] = &c->reports[i];
        for (uint32_t p = 0; p < PARTITIONS; p++) {
            struct aff_chunk_part *part = part_of(c, p);
            bool leads = strcmp(part->owner, member) == 0;
            if (leads && part->target[0] && !aff_member_of(member, part->target)) {
                char next[AFF_MEMBER_MAX + 1];
                aff_member_format(next, part->target, aff_members_find(&c->living, part->target)->incarnation);
                if (aff_chunk_offer(part, member, next, &c->living, &err) ||
                    aff_chunk_taken(part, next, part->claim, &err))
                    fail(err.text);
            }
            if (aff_chunk_replica(part, c->nodes[i].name) >= 0)
                aff_report_add(&c->reports[i], c->space.name, p, leads ? AFF_SEAT_LEADS : AFF_SEAT_IN_STEP,
                               1000000 + p);
        }
    }
}

static struct aff_assigned decide(struct cluster *c)
{
    struct aff_assign assign = { .spaces = &c->space,
                                 .spaces_count = 1,
                                 .living = &c->living,
                                 .reports = c->list,
                                 .reports_count = c->living.count };

    return aff_assign(&assign);
}

static struct cluster *settled(void)
{
    struct cluster *c = calloc(1, sizeof *c);
    struct aff_assigned done = { 0 };

    if (!c)
        fail("out of memory");
    for (int i = 0; i <= NODES; i++)
        join(c, i);
    c->living = (struct aff_members){ c->nodes, NODES };
    c->chunks = aff_chunks_of(PARTITIONS);
    c->space = (struct aff_assign_space){ .name = "accounts",
                                          .partitions = PARTITIONS,
                                          .replicas = REPLICAS,
                                          .chunks = calloc(c->chunks, sizeof *c->space.chunks) };
    if (!c->space.chunks)
        fail("out of memory");
    for (uint32_t i = 0; i < c->chunks; i++)
        aff_chunk_init(&c->space.chunks[i], "accounts", PARTITIONS, i);
    catch_up(c);
    for (int round = 0; round < 1000; round++) {
        done = decide(c);
        if (!done.granted && !done.aimed && !done.placed)
            return c;
        catch_up(c);
    }
    fail("it does not come to rest");
    return NULL;
}

static double cpu_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int by_size(const void *a, const void *b)
{
    double one = *(const double *)a, other = *(const double *)b;

    return (one > other) - (one < other);
}

/* Decides that often from the same chunks, and leaves them as they were. */
static bool measure(struct cluster *c, const char *what, int rounds)
{
    static double took[ROUNDS_MAX];
    size_t size = c->chunks * sizeof *c->space.chunks;
    struct aff_chunk *saved = malloc(size);
    struct aff_assigned done = { 0 };

    if (!saved)
        fail("out of memory");
    memcpy(saved, c->space.chunks, size);
    for (int round = 0; round < rounds; round++) {
        double begin = cpu_ms();
        done = decide(c);
        took[round] = cpu_ms() - begin;
        memcpy(c->space.chunks, saved, size);
    }
    qsort(took, (size_t)rounds, sizeof *took, by_size);
    printf("%-16s %6.1f ms CPU, at most %.1f ms; %zu granted, %zu aimed, %zu placed\n", what, took[rounds / 2],
           took[rounds - 1], done.granted, done.aimed, done.placed);
    free(saved);
    return took[rounds / 2] < GOAL_MS;
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 21;
    struct cluster *c = settled();
    struct aff_view_node last = c->nodes[NODES - 1];
    bool met = true;

    if (rounds < 1 || rounds > ROUNDS_MAX)
        fail("ROUNDS is 1 to 1000");
    met = measure(c, "nothing changed", rounds);
    c->living.count = NODES - 1;
    met &= measure(c, "a node died", rounds);
    c->nodes[NODES - 1] = last;
    c->living.count = NODES + 1;
    met &= measure(c, "a node joined", rounds);
    printf("assignment: %d partitions, %d replicas, %d nodes; goal: below %d ms each: %s\n", PARTITIONS, REPLICAS,
           NODES, GOAL_MS, met ? "met" : "not met");
    for (int i = 0; i <= NODES; i++)
        aff_report_fini(&c->reports[i]);
    free(c->space.chunks);
    free(c);
    return 0;
}
