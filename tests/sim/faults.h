/*
 * faults.h - what goes wrong, and when. The profile of the seed says how often each kind of fault comes.
 */
#ifndef AFF_SIM_FAULTS_H
#define AFF_SIM_FAULTS_H

#include "node.h"

struct sim_faults {
    struct sim *sim;
    int64_t log_trouble_until_ns; /* the log was not at its best until then */
    struct sim_event compaction;
};

struct sim_faults *sim_faults_new(struct sim *sim);
struct sim_faults *sim_faults_free(struct sim_faults *f);
void sim_faults_step(struct sim_faults *f);
void sim_faults_heal(struct sim_faults *f); /* everything is put right, for good */

#endif
