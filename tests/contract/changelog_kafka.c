/*
 * changelog_kafka.c - the driver `kafka` in the contract suite: a real broker, whose address is in AFFINITY_TEST_KAFKA
 * (tests/kafka/contract_test.py starts one).
 *
 * Time is real: topics have a short lag, short retention and short segments, and the broker compacts by itself. What it may
 * compact is closed by the next append only, so compact() has to append.
 */
#include "changelog/kafka/kafka.h"
#include "changelog_driver.h"
#include "lib/changelog_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { LAG_MS = 500, RETENTION_MS = 400, SEGMENT_MS = 100, PATIENCE_MS = 60000 };

static void set_up(struct contract_world *world)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    (void)snprintf(world->prefix, sizeof world->prefix, "c%08x.",
                   (unsigned)(now.tv_sec * 1000000 + now.tv_nsec / 1000));
}

static struct aff_changelog *start(struct contract_world *world)
{
    static const struct aff_kafka_property topic[] = {
        { "segment.ms", "100" },
        { "min.cleanable.dirty.ratio", "0" },
        { "segment.index.bytes", "65536" },
    };
    const struct aff_kafka_property properties[] = { { "bootstrap.servers", getenv("AFFINITY_TEST_KAFKA") } };
    const struct aff_changelog_kafka_opts opts = {
        .properties = properties,
        .property_count = 1,
        .topic = topic,
        .topic_count = sizeof topic / sizeof *topic,
        .development = true,
        .loops = CONTRACT_CLIENTS,
        .max_in_flight = CONTRACT_IN_FLIGHT,
        .clock = &world->clock.clock,
    };
    struct aff_changelog *log = NULL;
    aff_error err = { 0 };
    if (!properties[0].value)
        (void)fprintf(stderr,
                      "AFFINITY_TEST_KAFKA must be the address of a broker, as tests/kafka/contract_test.py sets it\n");
    else if (aff_changelog_kafka_new(&opts, &log, &err))
        (void)fprintf(stderr, "%s\n", err.text);
    return log;
}

static void tear_down(struct contract_world *world)
{
    (void)world;
}

static void advance(struct contract_world *world, int64_t ms)
{
    struct timespec left = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * AFF_NS_PER_MS };
    (void)world;
    while (nanosleep(&left, &left) != 0)
        ;
}

/* Is there an entry at this offset still? */
static bool is_there(struct client *c, int64_t offset)
{
    client_forget(c);
    client_read(c, offset, 1, AFF_READ_TO_END, 1);
    if (!client_await_batches(c, 1) || c->last_count == 0)
        abort();
    return c->seen[0].entry.offset == offset;
}

/*
 * The cleaner works from the start of a partition to where it may: once it has taken the first filler away, which the second
 * supersedes, it has been over everything before. Each append after a segment's time closes the segment.
 */
static size_t compact(struct contract_world *world, const char *topic, uint32_t partition)
{
    int64_t until = aff_mono_ns(&world->clock.clock) + PATIENCE_MS * AFF_NS_PER_MS;
    struct client c;

    if (!client_open(&c, world->log, topic, partition, NULL) || !client_put_now(&c, CONTRACT_FILLER, "first"))
        abort();
    do {
        if (aff_mono_ns(&world->clock.clock) > until || !client_put_now(&c, CONTRACT_FILLER, "more"))
            abort();
        advance(world, SEGMENT_MS);
    } while (is_there(&c, c.reports[0].offset));
    size_t count = c.report_count;
    client_close(&c);
    return count;
}

const struct changelog_driver changelog_driver_kafka = {
    .name = "kafka",
    .persists = true,
    .lag_ms = LAG_MS,
    .retention_ms = RETENTION_MS,
    .set_up = set_up,
    .start = start,
    .tear_down = tear_down,
    .advance = advance,
    .compact = compact,
};
