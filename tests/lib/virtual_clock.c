/*
 * virtual_clock.c - see virtual_clock.h.
 */
#include "lib/virtual_clock.h"

#include "base/list.h"

#define START_NS (1000 * AFF_NS_PER_S)
#define START_WALL_MS INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */

static const struct aff_virtual_clock *self(const struct aff_clock *clock)
{
    return aff_container_of(clock, const struct aff_virtual_clock, clock);
}

static int64_t virtual_mono_ns(const struct aff_clock *clock)
{
    return self(clock)->now_ns;
}

static int64_t virtual_boot_ns(const struct aff_clock *clock)
{
    return self(clock)->now_ns + self(clock)->asleep_ns;
}

static int64_t virtual_wall_ms(const struct aff_clock *clock)
{
    return self(clock)->wall_base_ms + self(clock)->now_ns / AFF_NS_PER_MS;
}

void aff_virtual_clock_init(struct aff_virtual_clock *v)
{
    *v = (struct aff_virtual_clock){
        .clock = { .mono_ns = virtual_mono_ns, .boot_ns = virtual_boot_ns, .wall_ms = virtual_wall_ms },
        .now_ns = START_NS,
        .wall_base_ms = START_WALL_MS - START_NS / AFF_NS_PER_MS,
    };
}

void aff_virtual_clock_advance(struct aff_virtual_clock *v, int64_t ns)
{
    v->now_ns += ns;
}

void aff_virtual_clock_sleep(struct aff_virtual_clock *v, int64_t ns)
{
    v->asleep_ns += ns;
    v->wall_base_ms += ns / AFF_NS_PER_MS;
}
