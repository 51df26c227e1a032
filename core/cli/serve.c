/*
 * serve.c - `affinity serve`: a node with the keyspaces of its configuration; the same as aff_main() does for an
 * application. The process's first thread.
 */
#include "node/serve.h"
#include "cli/cli.h"

int aff_cli_serve(int argc, char **argv)
{
    return aff_main_as("affinity serve", argc, argv, NULL);
}
