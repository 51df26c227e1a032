/*
 * restart.h - what a supervisor does when its worker has ended: a pure decision.
 */
#ifndef AFF_NODE_RESTART_H
#define AFF_NODE_RESTART_H

#include <stdbool.h>
#include <stdint.h>

/* How a worker ended. */
struct aff_worker_end {
    int status;       /* as waitpid() has it */
    bool asked;       /* a signal to end was passed on to it */
    bool served;      /* it, or one before it */
    int64_t lived_ms; /* since it was started */
};

struct aff_restart {
    bool restarts;
    int status; /* of the whole, when it does not restart: as a shell shows it, 128 + the signal that ended the worker */
    int64_t pause_ms; /* before the next one */
};

/* `quick` counts those that ended soon after their start, one after the other; starts at 0. */
struct aff_restart aff_restart_decide(const struct aff_worker_end *end, unsigned *quick);

#endif
