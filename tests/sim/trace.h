/*
 * trace.h - a run as text, one line an event, for people:
 *
 *   [    12.034] n2 > append CLAIM 5.0/9f3c S0
 *   [    14.881] log + 17 CLAIM 5.0/9f3c S0 valid
 *   [    15.020] n2 < report S0 at 17
 *
 * The time is virtual, in milliseconds. `>` leaves a node, `<` reaches one. Nothing is formatted unless somebody looks.
 */
#ifndef AFF_SIM_TRACE_H
#define AFF_SIM_TRACE_H

#include "sim.h"

struct sim_text {
    char text[80];
};

void sim_trace_line(const struct sim *sim, const char *format, ...) AFF_PRINTF(2, 3);

struct sim_text sim_stamp_text(struct aff_stamp stamp); /* "5.0/9f3c S12" */
struct sim_text sim_bytes_text(aff_bytes bytes);        /* printable, cut */
const char *sim_kind_text(enum aff_kind kind);
const char *sim_role_text(enum aff_role role);
const char *sim_outcome_text(enum aff_outcome outcome);

#endif
