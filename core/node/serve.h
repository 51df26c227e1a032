/*
 * serve.h - a node as a process: what aff_main() and `affinity serve` do.
 *
 * The only part of the library that prints, takes signals and reads the environment. The process's first thread.
 */
#ifndef AFF_NODE_SERVE_H
#define AFF_NODE_SERVE_H

#include "config/config.h"
#include "node/supervisor.h"

#include <affinity/keyspace.h>

struct aff_serve_opts {
    const char *program;    /* begins each message: "affinity serve" */
    const char *ready_file; /* NULL: none */
    const aff_keyspace *const *keyspaces;
    struct aff_supervised *supervised; /* NULL: this process has no supervisor */
};

/* Serves until SIGTERM or SIGINT; returns the exit status. Takes the configuration over. */
int aff_serve(const struct aff_serve_opts *opts, struct aff_config *config);

/* aff_main() under a name for its messages; argv[0] is passed over. */
int aff_main_as(const char *program, int argc, char **argv, const aff_keyspace *const *keyspaces);

#endif
