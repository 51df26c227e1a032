/*
 * affinity/keyspace.h - a named set of keys, declared by the application.
 *
 * The configuration file says how a keyspace is stored (partitions, ttl, retention); the application says what its commands
 * are. A keyspace that only the file names is served with the built-in verbs; one that only the application names takes the
 * file's defaults.
 */
#ifndef AFFINITY_KEYSPACE_H
#define AFFINITY_KEYSPACE_H

#include <affinity/command.h>
#include <affinity/index.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Built-in verbs of a keyspace that clients may use. */
enum {
    AFF_REST_GET = 1,    /* GET and HEAD */
    AFF_REST_PUT = 2,
    AFF_REST_DELETE = 4,
    AFF_REST_PATCH = 8,
    AFF_REST_ALL = 15,
    AFF_REST_NONE = 1 << 30 /* commands only; 0 means AFF_REST_ALL */
};

typedef struct aff_keyspace {
    size_t size;                /* sizeof(aff_keyspace) */
    const char *name;           /* [a-z][a-z0-9_]{0,39} */
    const aff_command *commands; /* ends with AFF_COMMAND_END; NULL: none. Must live as long as the node */
    unsigned rest;
    /* What /openapi.json tells besides; each may be NULL. */
    const char *doc;   /* one sentence */
    const char *value; /* schema of the values, which are JSON: a text of JSON Schema 2020-12. Nothing is checked by it */
    const aff_index *indexes;   /* ends with AFF_INDEX_END; NULL: none but those of the file. Must live as long as the node */
    /*
     * Which bytes of a key decide on its partition, as the setting `route` has it: "up-to \"/\"" lets keys share the partition of
     * what stands before their first '/'. NULL: the file says, or the whole key decides. A file that says something else is
     * refused.
     */
    const char *route;
} aff_keyspace;

#ifdef __cplusplus
}
#endif
#endif
