/*
 * check.c - `affinity check`: the effective settings, every error, or the reference of all settings. One thread.
 */
#include "cli/cli.h"

struct request {
    struct aff_cli_source source;
    bool describe;
};

static int read_options(int argc, char **argv, struct request *request)
{
    static const struct option longs[] = { AFF_CLI_SOURCE_LONGS, { "describe", no_argument, NULL, 'd' }, { 0 } };
    for (int option; (option = aff_cli_option(argc, argv, ":" AFF_CLI_SOURCE_SHORTS, longs)) != -1;) {
        if (option == 'd')
            request->describe = true;
        else if (!aff_cli_source_option(&request->source, option, optarg))
            return AFF_EXIT_USAGE;
    }
    return optind == argc ? AFF_EXIT_OK
                          : aff_cli_usage(argv[0], "%s is too much: expected -c FILE and options", argv[optind]);
}

static int print_effective(const struct aff_cli_source *source, const char *command)
{
    AFF_CLEANUP(aff_config_freep) struct aff_config *config = NULL;
    int status = aff_cli_source_load(source, command, &config);
    if (status == AFF_EXIT_OK)
        aff_config_print(config, stdout);
    return status;
}

int aff_cli_check(int argc, char **argv)
{
    struct request request = { 0 };
    int status = read_options(argc, argv, &request);
    if (status == AFF_EXIT_OK && request.describe)
        aff_config_describe(stdout);
    else if (status == AFF_EXIT_OK)
        status = print_effective(&request.source, argv[0]);
    aff_cli_source_fini(&request.source);
    return status;
}
