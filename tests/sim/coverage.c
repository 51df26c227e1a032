/*
 * coverage.c - see coverage.h.
 */
#include "coverage.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const names[SIM_COUNTERS] = {
#define SIM_COVERAGE_NAME(id, what) [SIM_##id] = what,
    SIM_COVERAGE_TABLE(SIM_COVERAGE_NAME)
#undef SIM_COVERAGE_NAME
};

void sim_coverage_print(const struct sim_coverage *c)
{
    for (int i = 0; i < SIM_COUNTERS; i++)
        printf("%12" PRIu64 "  %s\n", c->count[i], names[i]);
}

bool sim_coverage_is_whole(const struct sim_coverage *c)
{
    bool whole = true;

    for (int i = 0; i < SIM_COUNTERS; i++)
        if (c->count[i] == 0) {
            printf("never happened: %s\n", names[i]);
            whole = false;
        }
    return whole;
}
