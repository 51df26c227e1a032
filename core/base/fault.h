/*
 * fault.h - named fault points: places where a test makes the process die, fail or wait.
 *
 * AFFINITY_FAULTS="name=kill@3,other=error@1+" in the environment, read once by aff_fault_init():
 *   name=kill@N     the N-th pass through the point ends the process by SIGKILL, as a power button would
 *   name=error@N    the N-th pass makes aff_fault() return true: the caller acts as if the operation had failed
 *   name=error@N+   the same from the N-th pass on
 *   name=sleep:MS@N the N-th pass sleeps that many milliseconds first
 *
 * The binary that is tested is the binary that is shipped, so the points are always compiled in; while the variable is
 * unset a point costs one predictable branch. Every name stands in doc/faults.md (a test compares).
 * Process-wide by its nature: what it does, it does to the process.
 */
#ifndef AFF_BASE_FAULT_H
#define AFF_BASE_FAULT_H

#include <affinity/error.h>
#include <stdbool.h>

extern bool aff_fault_armed;

int aff_fault_init(const char *spec, aff_error *err); /* once, before any thread; NULL or "" disarms */
bool aff_fault_pass(const char *name);                /* any thread */

static inline bool aff_fault(const char *name)
{
    return __builtin_expect(aff_fault_armed, 0) && aff_fault_pass(name);
}

#endif
