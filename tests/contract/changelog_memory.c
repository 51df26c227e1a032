/*
 * changelog_memory.c - the driver `memory` in the contract suite.
 */
#include "changelog/memory/memory.h"
#include "changelog_driver.h"

static void set_up(struct contract_world *world)
{
    (void)world;
}

static struct aff_changelog *start(struct contract_world *world)
{
    const struct aff_changelog_memory_opts opts = { .max_in_flight = CONTRACT_IN_FLIGHT, .clock = &world->clock.clock };
    struct aff_changelog *log = NULL;
    return aff_changelog_memory_new(&opts, &log, NULL) ? NULL : log;
}

static size_t compact(struct contract_world *world, const char *topic, uint32_t partition)
{
    (void)aff_changelog_memory_compact(world->log, topic, partition);
    return 0;
}

const struct changelog_driver changelog_driver_memory = {
    .name = "memory",
    .set_up = set_up,
    .start = start,
    .tear_down = set_up,
    .clock_moves = true,
    .keeps_from = true,
    .lag_ms = CONTRACT_LAG_MS,
    .retention_ms = CONTRACT_RETENTION_MS,
    .advance = contract_advance,
    .compact = compact,
};
