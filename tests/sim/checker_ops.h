/*
 * checker_ops.h - is what clients were told true, and is it linearizable?
 *
 * The log gives the order of the writes; so a key's history is the list of its states (truth.h), and whatever a client is told
 * has to fit one of them that is not older than what anybody knew before it asked (I5), while what it was told about its own
 * write has to be so for ever (I3, I10).
 */
#ifndef AFF_SIM_CHECKER_OPS_H
#define AFF_SIM_CHECKER_OPS_H

#include "clients.h"
#include "truth.h"

/* An operation was answered; `op` still has its reply. */
void sim_check_answer(struct sim_node *n, struct sim_attempt *a, const struct aff_op *op);
/* A strict read was answered with a->sights. */
void sim_check_read(struct sim_node *n, struct sim_attempt *a);
void sim_check_lookup(struct sim_node *n, const struct sim_attempt *a);
/* A valid record of a client's key landed: whose is it, and may it be? */
void sim_check_valid_write(struct sim *sim, const struct sim_entry *e, const struct aff_record *rec,
                           const struct sim_state *before, const struct sim_state *after);

#endif
