/*
 * handover.c - a mastership moves to another node (I9).
 */
#include "partition/state.h"

void aff_core_give(struct aff_core *core, uint32_t major)
{
    (void)major;
    core->w.coordinator->gave(core->w.coordinator, false);
}

void aff_core_went(struct aff_core *core, bool taken)
{
    (void)core;
    (void)taken;
}

void aff_core_take(struct aff_core *core, const struct aff_go *go, int64_t deadline_ns)
{
    (void)deadline_ns;
    core->w.net->taken(core->w.net, go->major, false);
}
