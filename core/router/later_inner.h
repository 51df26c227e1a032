/*
 * later_inner.h - the run of a command that asks others, shared by later.c (its questions to keys) and scatter.c (those to all partitions).
 *
 * On the loop of the port.
 */
#ifndef AFF_ROUTER_LATER_INNER_H
#define AFF_ROUTER_LATER_INNER_H

#include "base/list.h"
#include "router/inner.h"
#include "router/later.h"

#include <stddef.h>

struct aff_later_block {
    struct aff_later_block *next;
    max_align_t bytes[];
};

struct aff_later {
    struct aff_later_opts opts; /* its views are in blocks */
    struct aff_later_block *blocks;
    struct aff_timer turn;
    struct aff_list leaving; /* struct asking: not asked yet */
    unsigned asking;         /* questions that are under way, or about to be */
    unsigned unanswered;     /* of them; an answered one may be held by its partition for a while */
    unsigned writing;        /* of the unanswered: those that write */
    unsigned scattering;     /* of the unanswered: those to all partitions */
    bool wrote;              /* one was committed, or may be */
    bool begun, replied, inside;
};

/* After each function of the run: what it asked leaves, and at the end it ends. */
void aff_later_settle(aff_later *later);

#endif
