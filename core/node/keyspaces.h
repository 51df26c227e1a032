/*
 * keyspaces.h - what a node serves: the keyspaces of the configuration and those of the application, merged and checked.
 *
 * The configuration says how a keyspace is stored, the application what its commands are; either may name one alone. One
 * thread, while a node is made.
 */
#ifndef AFF_NODE_KEYSPACES_H
#define AFF_NODE_KEYSPACES_H

#include "config/config.h"
#include "partition/finder.h"

#include <affinity/keyspace.h>

struct aff_served {
    const struct aff_config_keyspace *settings; /* in the configuration */
    unsigned rest;                              /* AFF_REST_... */
    const char *doc, *value;                    /* the application's, or NULL */
    aff_command *commands; /* copied, of this library's size, ends with AFF_COMMAND_END; NULL: none */
    struct aff_finder *finder; /* the indexes of both; NULL: none */
};

struct aff_served_list {
    struct aff_served *items;
    size_t count;
};

/*
 * One entry for each keyspace of `config`, which gets those that only the application names. `keyspaces` ends with NULL
 * and may be NULL. AFF_EINVAL names the keyspace or command and what would be right; AFF_ECONFIG: there is none at all.
 */
int aff_served_merge(struct aff_config *config, const aff_keyspace *const *keyspaces, struct aff_served_list *ret_list,
                     aff_error *err);
void aff_served_fini(struct aff_served_list *list);

#endif
