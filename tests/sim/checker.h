/*
 * checker.h - the invariants of the protocol, looked at from outside after each step: what a node appends (I2, I4), what it has
 * applied (I4, I6, I8), what is repaired (I6, I7), and that it gets on.
 */
#ifndef AFF_SIM_CHECKER_H
#define AFF_SIM_CHECKER_H

#include "checker_ops.h"

void sim_check_append(struct sim_node *n, const struct aff_record *rec);      /* before it is handed to the log */
void sim_check_go(struct sim_node *n, const struct aff_go *go);                /* before it leaves */
void sim_check_role(struct sim_node *n, const struct aff_standing *standing); /* the role has changed */
void sim_check_node(struct sim_node *n);                                      /* after each pass */
void sim_check_keep_from(struct sim_node *n);
void sim_check_progress(struct sim *sim); /* now and then */
/* Nothing dirty: a reader that knows no rule arrives at the state, from what compaction left (I7). */
void sim_check_plain_reader(struct sim *sim);
/* The last phase is over: everybody has read everything, everything was answered. */
void sim_check_end(struct sim *sim);

#endif
