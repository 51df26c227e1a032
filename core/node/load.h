/*
 * load.h - a configuration that a node can use: as aff_config_load(), and the changelog's driver takes its properties.
 *
 * The layer of the configuration knows nothing of drivers, so what they refuse is found here. One thread.
 */
#ifndef AFF_NODE_LOAD_H
#define AFF_NODE_LOAD_H

#include "config/config.h"

int aff_node_load(const char *file, const char *const *sets, size_t nsets, struct aff_config **ret_config,
                  struct aff_config_errors *errors);

#endif
