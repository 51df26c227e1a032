/*
 * clock.c - the clocks of the operating system; see clock.h. Any thread.
 */
#include "base/clock.h"

#include <time.h>

static int64_t read_ns(clockid_t id)
{
    struct timespec now = { 0 };
    (void)clock_gettime(id, &now); /* the three ids exist on every Linux; there is nothing else to fail */
    return (int64_t)now.tv_sec * AFF_NS_PER_S + now.tv_nsec;
}

static int64_t system_mono_ns(const struct aff_clock *clock)
{
    (void)clock;
    return read_ns(CLOCK_MONOTONIC);
}

static int64_t system_boot_ns(const struct aff_clock *clock)
{
    (void)clock;
    return read_ns(CLOCK_BOOTTIME);
}

static int64_t system_wall_ms(const struct aff_clock *clock)
{
    (void)clock;
    return read_ns(CLOCK_REALTIME) / AFF_NS_PER_MS;
}

static const struct aff_clock system_clock = {
    .mono_ns = system_mono_ns,
    .boot_ns = system_boot_ns,
    .wall_ms = system_wall_ms,
};

const struct aff_clock *aff_clock_system(void)
{
    return &system_clock;
}
