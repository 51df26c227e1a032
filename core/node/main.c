/*
 * main.c - aff_main(): the command line of a server that an application builds. The process's first thread.
 */
#include "base/alloc.h"
#include "node/load.h"
#include "node/serve.h"

#include <affinity.h>
#include <getopt.h>
#include <stdlib.h>

enum { STATUS_OK = 0, STATUS_FAILED = 1, STATUS_USAGE = 2 };

struct line {
    const char *program;
    const char *config_file, *ready_file;
    const char **sets;
    size_t nsets;
    bool alone; /* without a supervisor */
    bool done;  /* --help or --version was answered */
};

static void print_help(const char *program)
{
    printf(
        "usage: %s [-c FILE] [--set a.b=c]... [--ready-file F] [--no-supervisor]\n"
        "\n"
        "  -c, --config FILE   the configuration (YAML); without it every setting has its default\n"
        "  --set a.b=c         override a setting; as often as wanted\n"
        "  --ready-file F      write one line of JSON with the addresses and the process ids once it serves\n"
        "  --no-supervisor     serve in this process; without it, it holds the ports and starts another one to serve, again\n"
        "                      when that dies\n"
        "  --help, --version   print this, or the version\n"
        "\n"
        "SIGTERM or SIGINT ends it after what is under way is done; a second one hurries.\n",
        program);
}

static int usage(const char *program, const char *what, const char *argument)
{
    fprintf(stderr, "%s: %s%s; --help shows how it is used\n", program, argument, what);
    return STATUS_USAGE;
}

static int take(struct line *line, int option)
{
    switch (option) {
    case 'c':
        line->config_file = optarg;
        return STATUS_OK;
    case 's':
        line->sets = aff_xrealloc(line->sets, line->nsets + 1, sizeof *line->sets);
        line->sets[line->nsets++] = optarg;
        return STATUS_OK;
    case 'r':
        line->ready_file = optarg;
        return STATUS_OK;
    case 'n':
        line->alone = true;
        return STATUS_OK;
    case 'h':
        print_help(line->program);
        line->done = true;
        return STATUS_OK;
    default:
        printf("affinity %s\n", aff_version());
        line->done = true;
        return STATUS_OK;
    }
}

static int read_line(struct line *line, int argc, char **argv)
{
    static const struct option longs[] = { { "config", required_argument, NULL, 'c' },
                                           { "set", required_argument, NULL, 's' },
                                           { "ready-file", required_argument, NULL, 'r' },
                                           { "no-supervisor", no_argument, NULL, 'n' },
                                           { "help", no_argument, NULL, 'h' },
                                           { "version", no_argument, NULL, 'v' },
                                           { 0 } };
    int status = STATUS_OK, option;
    opterr = 0;
    optind = 1;
    while (status == STATUS_OK && !line->done && (option = getopt_long(argc, argv, ":c:h", longs, NULL)) != -1)
        if (option == ':')
            status = usage(line->program, " needs an argument", argv[optind - 1]);
        else if (option == '?')
            status = usage(line->program, " is not an option", argv[optind - 1]);
        else
            status = take(line, option);
    if (status == STATUS_OK && !line->done && optind < argc)
        status = usage(line->program, " is too much: expected options only", argv[optind]);
    return status;
}

static int load_and_serve(const struct line *line, const aff_keyspace *const *keyspaces)
{
    struct aff_config *config = NULL;
    struct aff_config_errors errors = { 0 };
    int code = aff_node_load(line->config_file, line->sets, line->nsets, &config, &errors);
    aff_config_errors_print(&errors, stderr);
    aff_config_errors_fini(&errors);
    if (code)
        return STATUS_FAILED;
    struct aff_serve_opts opts = {
        .program = line->program,
        .ready_file = line->ready_file,
        .keyspaces = keyspaces,
    };
    struct aff_supervisor_opts above = { .program = line->program, .ready_file = line->ready_file, .config = config };
    int status = line->alone ? STATUS_OK : aff_supervise(&above, &opts.supervised);
    if (status != STATUS_OK) {
        aff_config_free(config);
        return status;
    }
    return aff_serve(&opts, config);
}

int aff_main_as(const char *program, int argc, char **argv, const aff_keyspace *const *keyspaces)
{
    struct line line = { .program = program };
    int status = read_line(&line, argc, argv);
    if (status == STATUS_OK && !line.done)
        status = load_and_serve(&line, keyspaces);
    free(line.sets);
    return status;
}

int aff_main(int argc, char **argv, const aff_keyspace *const *keyspaces)
{
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    return aff_main_as(slash ? slash + 1 : argc > 0 ? argv[0] : "affinity", argc, argv, keyspaces);
}
