/*
 * changelog_driver.h - what the contract suite of the changelog (changelog_contract.c) has to know about a driver.
 *
 * A driver joins by a file changelog_<name>.c that fills a struct changelog_driver, a line in the table of
 * changelog_contract.c and its name in meson.build.
 */
#ifndef AFF_TESTS_CONTRACT_CHANGELOG_DRIVER_H
#define AFF_TESTS_CONTRACT_CHANGELOG_DRIVER_H

#include "changelog/changelog.h"

#include <stdatomic.h>

enum {
    CONTRACT_IN_FLIGHT = 1 << 20, /* the bound of bytes in flight that a driver is opened with */
    CONTRACT_CLIENTS = 8,
};

/* Key of the entries that a driver's compact() has to append to the partition. */
#define CONTRACT_FILLER "contract filler"

/* A wall clock that a test moves, read by all threads of a driver; the other clocks are the machine's. */
struct contract_clock {
    struct aff_clock clock;
    atomic_int_fast64_t wall_ms;
};

struct client;

/* One test's log. */
struct contract_world {
    const struct changelog_driver *driver;
    struct contract_clock clock;
    struct aff_changelog *log;
    struct client *clients[CONTRACT_CLIENTS]; /* open ones, so that a test that fails leaves none */
    char place[256];                          /* the driver's: where a log that persists lies */
    char prefix[16];                          /* the driver's: stands before the topics' names, so that they are new */
};

struct changelog_driver {
    const char *name;
    bool persists; /* a log that is freed and started again has what it had */
    /*
     * Log time is the world's clock, which passes when a test says so. False: it is real, advance() waits, and compaction comes
     * by itself besides. Tests of exact bounds need such a clock; changelog_real_time_contract.c has one for each of them that
     * does without.
     */
    bool clock_moves;
    bool keeps_from;              /* keep_from() counts; false: allowed to drivers whose log compacts by itself */
    int64_t lag_ms, retention_ms; /* of topics that are compacted */
    void (*set_up)(struct contract_world *world);
    struct aff_changelog *(*start)(struct contract_world *world);
    void (*tear_down)(struct contract_world *world);

    /* Lets `ms` of log time pass. */
    void (*advance)(struct contract_world *world, int64_t ms);
    /*
     * Makes everything go from a partition that may go (tombstones: by its second time). May append to other topics, and to this
     * partition entries with the key CONTRACT_FILLER: returns how many. Any thread.
     */
    size_t (*compact)(struct contract_world *world, const char *topic, uint32_t partition);
};

extern const struct changelog_driver changelog_driver_memory, changelog_driver_embedded, changelog_driver_kafka;

/* For drivers on the world's clock. */
enum { CONTRACT_LAG_MS = 60000, CONTRACT_RETENTION_MS = 300000 };
void contract_advance(struct contract_world *world, int64_t ms);

#endif
