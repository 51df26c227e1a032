/*
 * affinity.h - build a stateful, partitioned REST service: declare keyspaces and commands, run a node.
 *
 *     #include <affinity.h>
 *
 *     static const aff_command commands[] = { { .size = sizeof(aff_command), .name = "deposit", .run = deposit }, AFF_COMMAND_END };
 *
 *     int main(int argc, char **argv)
 *     {
 *         const aff_keyspace accounts = { .size = sizeof(aff_keyspace), .name = "accounts", .commands = commands };
 *         const aff_keyspace *keyspaces[] = { &accounts, NULL };
 *         return aff_main(argc, argv, keyspaces);
 *     }
 *
 * This header needs no other library. <affinity/json.h> adds views on JSON values by jansson.
 *
 * Conventions. Functions that can fail return 0 or a negative AFF_E... code (affinity/error.h). Structs that a caller fills
 * start with their own size, so fields can be added without breaking programs that were built before. Views (aff_bytes) are
 * borrowed; each function says until when. Nothing prints, exits or installs signal handlers but aff_main().
 */
#ifndef AFFINITY_H
#define AFFINITY_H

#include <affinity/ask.h>
#include <affinity/bytes.h>
#include <affinity/command.h>
#include <affinity/error.h>
#include <affinity/export.h>
#include <affinity/index.h>
#include <affinity/keyspace.h>
#include <affinity/node.h>

#define AFF_VERSION "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif

AFF_API const char *aff_version(void); /* of the library that runs, AFF_VERSION of the one it was built with */

#ifdef __cplusplus
}
#endif
#endif
