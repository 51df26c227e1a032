/*
 * command.h - the run of one application function, shared by command.c and command_json.c alone.
 */
#ifndef AFF_ROUTER_COMMAND_H
#define AFF_ROUTER_COMMAND_H

#include "router/router.h"

#include <affinity/json.h>

/* What a function sees and leaves behind; on the stack of its run. */
struct aff_run {
    struct aff_command_op *op;
    const aff_value *value; /* NULL: no such key */
    json_t *value_json, *args_json; /* parsed when asked for, freed after the run */
    bool replied;
};
struct aff_cmd {
    struct aff_run run;
    struct aff_staged *staged;
    bool exists;
};
struct aff_read {
    struct aff_run run;
};

void *aff_run_alloc(struct aff_run *run, size_t size); /* until the answer is sent */
int aff_run_reply(struct aff_run *run, int status, aff_bytes body, const char *content_type);
bool aff_type_is_json(aff_bytes type);

#endif
