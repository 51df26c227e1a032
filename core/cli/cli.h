/*
 * cli.h - what the subcommands of the `affinity` binary share. main.c has their table; each has a file.
 *
 * Exit status: 0 done, 1 the thing asked for failed or was found wrong, 2 the command line is not right. One thread.
 */
#ifndef AFF_CLI_CLI_H
#define AFF_CLI_CLI_H

#include <affinity/export.h>
#include <getopt.h>

enum { AFF_EXIT_OK = 0, AFF_EXIT_FAILED = 1, AFF_EXIT_USAGE = 2 };

struct aff_cli_command {
    const char *name;
    const char *usage;                 /* after "affinity " */
    const char *summary;               /* one line */
    const char *details;               /* lines for `affinity help <name>`; may be NULL */
    int (*run)(int argc, char **argv); /* argv[0] is the command's name; returns the exit status */
};

/* One line on the standard error, "affinity check: <what would be right>"; returns AFF_EXIT_USAGE. */
int aff_cli_usage(const char *command, const char *format, ...) AFF_PRINTF(2, 3);
/* The same for something that failed; returns AFF_EXIT_FAILED. */
int aff_cli_failed(const char *command, const char *format, ...) AFF_PRINTF(2, 3);

/*
 * getopt_long() without its messages. '?' comes back for an unknown option or a missing argument, which was told as
 * usage. Short options begin with ":".
 */
int aff_cli_option(int argc, char **argv, const char *shorts, const struct option *longs);

/* ---- the commands ---- */

int aff_cli_check(int argc, char **argv);
int aff_cli_drain(int argc, char **argv);
int aff_cli_handover(int argc, char **argv);
int aff_cli_partition(int argc, char **argv);
int aff_cli_serve(int argc, char **argv);
int aff_cli_status(int argc, char **argv);
int aff_cli_verify(int argc, char **argv);

#endif
