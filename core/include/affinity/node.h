/*
 * affinity/node.h - a node: configuration, threads, listeners, stores. One process usually holds one.
 */
#ifndef AFFINITY_NODE_H
#define AFFINITY_NODE_H

#include <affinity/keyspace.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct aff_node aff_node;

/*
 * The whole of a server's main(): reads the command line (`-c FILE`, `--set a.b=c`, `--ready-file F`, `--no-supervisor`, `--help`), runs a
 * node with these keyspaces (NULL-terminated array, may be NULL) until SIGTERM or SIGINT, drains, and returns the exit status: 0 after a
 * clean drain, 1 when the node could not start or failed (the reason is on standard error), 2 for a wrong command line. The only
 * function of the library that prints and takes signals.
 *
 * The node runs in a child of the process, and the function returns there: the process itself only holds the ports, starts the child
 * again when it crashes, and ends with its status. So call it before making threads; or give `--no-supervisor`, then it serves in the
 * process that called.
 */
AFF_API int aff_main(int argc, char **argv, const aff_keyspace *const *keyspaces);

typedef struct aff_node_opts {
    size_t size;             /* sizeof(aff_node_opts) */
    const char *config_file; /* NULL: defaults, one embedded node */
    const char *const *sets; /* "a.b=c", NULL-terminated; NULL: none. They override the file */
    const aff_keyspace *const *keyspaces; /* NULL-terminated; the structs are copied, what they point to is not */
} aff_node_opts;

/* The same in steps, for an application with a main loop of its own. Any thread, one at a time. */
AFF_API int aff_node_new(const aff_node_opts *opts, aff_node **ret_node, aff_error *err) AFF_MUST_USE;
/*
 * Starts threads and listeners; returns when every partition of this node serves or one failed; of a node of a cluster when it leads, or
 * is in step with, all that it should hold.
 */
AFF_API int aff_node_start(aff_node *node, aff_error *err) AFF_MUST_USE;
/* Address that listener `index` is bound to, as "127.0.0.1:41234"; NULL when there is none. Lives until aff_node_free(). */
AFF_API const char *aff_node_address(const aff_node *node, unsigned index);
/*
 * Gives away what it leads (in a cluster), refuses new requests, finishes what is under way (all of it within `timeout_ms`), closes the
 * stores. AFF_ETIMEDOUT: something was cut off.
 */
AFF_API int aff_node_stop(aff_node *node, int64_t timeout_ms);
AFF_API void aff_node_free(aff_node *node); /* stops at once when it runs; accepts NULL */

#ifdef __cplusplus
}
#endif
#endif
