/*
 * changelog_embedded.c - the driver `embedded` in the contract suite: small segments in a temporary folder.
 */
#include "changelog/embedded/embedded.h"
#include "changelog_driver.h"
#include "lib/changelog_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEGMENT = 64 << 10, FILLER = 8 << 10 };

static void set_up(struct contract_world *world)
{
    const char *base = getenv("TMPDIR");
    (void)snprintf(world->place, sizeof world->place, "%s/affinity-contract-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(world->place))
        abort();
}

static struct aff_changelog *start(struct contract_world *world)
{
    const struct aff_changelog_embedded_opts opts = {
        .folder = world->place,
        .segment_bytes = SEGMENT,
        .max_in_flight = CONTRACT_IN_FLIGHT,
        .compact_map_bytes = 4096, /* several rounds a pass */
        .clock = &world->clock.clock,
    };
    struct aff_changelog *log = NULL;
    aff_error err = { 0 };
    if (aff_changelog_embedded_new(&opts, &log, &err))
        (void)fprintf(stderr, "%s\n", err.text);
    return log;
}

static void tear_down(struct contract_world *world)
{
    char command[300];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", world->place);
    if (system(command) != 0)
        abort();
}

/* Appends to another topic until the segment that holds everything so far is sealed. The report of the append after that
 * says that it is: the writer seals before it goes on. */
static bool seal(struct contract_world *world)
{
    static char filler[FILLER + 1];
    const struct aff_topic topic = { .name = "contract.filler", .partitions = 1 };
    struct client c;
    bool done = true;

    memset(filler, 'f', FILLER);
    if (world->log->ops->topic(world->log, &topic, NULL) || !client_open(&c, world->log, topic.name, 0, NULL))
        return false;
    for (int i = 0; done && i <= SEGMENT / FILLER; i++)
        done = client_put_now(&c, "filler", filler);
    client_close(&c);
    return done;
}

static size_t compact(struct contract_world *world, const char *topic, uint32_t partition)
{
    (void)topic;
    (void)partition;
    if (!seal(world))
        abort();
    int rc = aff_changelog_embedded_compact(world->log);
    if (rc && rc != AFF_EAGAIN)
        abort();
    return 0;
}

const struct changelog_driver changelog_driver_embedded = {
    .name = "embedded",
    .persists = true,
    .set_up = set_up,
    .start = start,
    .tear_down = tear_down,
    .clock_moves = true,
    .keeps_from = true,
    .lag_ms = CONTRACT_LAG_MS,
    .retention_ms = CONTRACT_RETENTION_MS,
    .advance = contract_advance,
    .compact = compact,
};
