/*
 * clock.h - the only source of time. Real nodes use aff_clock_system(); the simulator and tests bring a virtual one.
 *
 * Three clocks, never mixed: monotonic (timers, deadlines), boottime (leases: it counts while the machine sleeps) and
 * wall (absolute expiry and log time, in milliseconds since 1970).
 */
#ifndef AFF_BASE_CLOCK_H
#define AFF_BASE_CLOCK_H

#include <stdint.h>

#define AFF_NS_PER_MS INT64_C(1000000)
#define AFF_NS_PER_S INT64_C(1000000000)

#define AFF_NO_TIME INT64_MIN /* "no such time" for times in milliseconds: expiry, event time */

struct aff_clock {
    int64_t (*mono_ns)(const struct aff_clock *);
    int64_t (*boot_ns)(const struct aff_clock *);
    int64_t (*wall_ms)(const struct aff_clock *);
};

const struct aff_clock *aff_clock_system(void);

static inline int64_t aff_mono_ns(const struct aff_clock *c)
{
    return c->mono_ns(c);
}
static inline int64_t aff_boot_ns(const struct aff_clock *c)
{
    return c->boot_ns(c);
}
static inline int64_t aff_wall_ms(const struct aff_clock *c)
{
    return c->wall_ms(c);
}

#endif
