/*
 * random.h - the simulator's only source of chance: one 64-bit state, so that a seed replays exactly.
 */
#ifndef AFF_SIM_RANDOM_H
#define AFF_SIM_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct sim_random {
    uint64_t state;
};

static inline uint64_t sim_u64(struct sim_random *r)
{
    uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* 0 to limit - 1. */
static inline uint64_t sim_below(struct sim_random *r, uint64_t limit)
{
    return limit ? sim_u64(r) % limit : 0;
}

static inline int64_t sim_between(struct sim_random *r, int64_t low, int64_t high)
{
    return low + (int64_t)sim_below(r, (uint64_t)(high - low) + 1);
}

/* True in `per_10000` of 10,000 cases. */
static inline bool sim_chance(struct sim_random *r, unsigned per_10000)
{
    return per_10000 > 0 && sim_below(r, 10000) < per_10000;
}

/* True in `per_million` of 1,000,000 cases. */
static inline bool sim_rare(struct sim_random *r, unsigned per_million)
{
    return per_million > 0 && sim_below(r, 1000000) < per_million;
}

/* Between low and high, every order of magnitude as likely as the next: most are short, a few are long. */
static inline int64_t sim_spread(struct sim_random *r, int64_t low, int64_t high)
{
    int64_t top = low;

    while (top < high && sim_below(r, 100) < 50)
        top *= 2;
    return sim_between(r, low, top < high ? top : high);
}

#endif
