/*
 * script_store.h - the scripted store, for script_world.c alone.
 */
#ifndef AFF_TESTS_SCRIPT_STORE_H
#define AFF_TESTS_SCRIPT_STORE_H

#include "script_world.h"

void script_store_init(struct script *s); /* wires s->store */
void script_store_fini(struct script *s);
void script_store_crash(struct script *s); /* the open transaction is gone */
const struct script_pair *script_table_find(const struct script_table *t, aff_bytes key);

#endif
