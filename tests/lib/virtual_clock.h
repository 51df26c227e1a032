/*
 * virtual_clock.h - a clock that stands still until a test moves it. The three clocks move together; boottime can be
 * moved alone, as by a machine that sleeps, and so can the wall clock, as by an administrator. One thread.
 */
#ifndef AFF_TESTS_LIB_VIRTUAL_CLOCK_H
#define AFF_TESTS_LIB_VIRTUAL_CLOCK_H

#include "base/clock.h"

struct aff_virtual_clock {
    struct aff_clock clock; /* hand its address out as the clock */
    int64_t now_ns;         /* monotonic */
    int64_t asleep_ns;      /* boottime is that much more */
    int64_t wall_base_ms;   /* the wall clock is that much more */
};

/* Starts at 1,000 s monotonic and 2026-01-01T00:00:00Z. */
void aff_virtual_clock_init(struct aff_virtual_clock *v);
void aff_virtual_clock_advance(struct aff_virtual_clock *v, int64_t ns);
void aff_virtual_clock_sleep(struct aff_virtual_clock *v, int64_t ns); /* boottime and wall go on, monotonic stands */

#endif
