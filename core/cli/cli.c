/*
 * cli.c - options and messages that the subcommands share. One thread.
 */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

AFF_PRINTF(2, 0) static void say(const char *command, const char *format, va_list args)
{
    fprintf(stderr, "affinity %s: ", command);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

int aff_cli_usage(const char *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(command, format, args);
    va_end(args);
    return AFF_EXIT_USAGE;
}

int aff_cli_failed(const char *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(command, format, args);
    va_end(args);
    return AFF_EXIT_FAILED;
}

static void complain_option(char **argv, int option)
{
    const char *last = argv[optind - 1];
    if (option == ':')
        aff_cli_usage(argv[0], "%s needs an argument; `affinity help %s` shows it", last, argv[0]);
    else if (optopt && strncmp(last, "--", 2) == 0 && strchr(last, '='))
        aff_cli_usage(argv[0], "%.*s takes no argument", (int)strcspn(last, "="), last);
    else if (optopt)
        aff_cli_usage(argv[0], "there is no option -%c; `affinity help %s` lists them", optopt, argv[0]);
    else
        aff_cli_usage(argv[0], "there is no option %s; `affinity help %s` lists them", last, argv[0]);
}

int aff_cli_option(int argc, char **argv, const char *shorts, const struct option *longs)
{
    opterr = 0;
    int option = getopt_long(argc, argv, shorts, longs, NULL);
    if (option != ':' && option != '?')
        return option;
    complain_option(argv, option);
    return '?';
}
