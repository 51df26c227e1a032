/*
 * check.c - `affinity check`: the effective settings, every error, or the reference of all settings. One thread.
 */
#include "base/alloc.h"
#include "cli/cli.h"
#include "node/load.h"

struct request {
    const char *file;
    const char **sets;
    size_t nsets;
    bool describe;
};

static void add_set(struct request *request, const char *set)
{
    request->sets = aff_xrealloc(request->sets, request->nsets + 1, sizeof *request->sets);
    request->sets[request->nsets++] = set;
}

static int read_options(int argc, char **argv, struct request *request)
{
    static const struct option longs[] = { { "config", required_argument, NULL, 'c' },
                                           { "set", required_argument, NULL, 's' },
                                           { "describe", no_argument, NULL, 'd' },
                                           { 0 } };
    for (int option; (option = aff_cli_option(argc, argv, ":c:", longs)) != -1;) {
        if (option == 'c')
            request->file = optarg;
        else if (option == 's')
            add_set(request, optarg);
        else if (option == 'd')
            request->describe = true;
        else
            return AFF_EXIT_USAGE;
    }
    if (optind < argc)
        return aff_cli_usage(argv[0], "%s is too much: expected -c FILE and options", argv[optind]);
    if (!request->file && !request->describe)
        return aff_cli_usage(argv[0], "no configuration: expected -c FILE");
    return AFF_EXIT_OK;
}

static int print_effective(const struct request *request)
{
    AFF_CLEANUP(aff_config_freep) struct aff_config *config = NULL;
    struct aff_config_errors errors = { 0 };
    int status = aff_node_load(request->file, request->sets, request->nsets, &config, &errors);
    aff_config_errors_print(&errors, stderr);
    aff_config_errors_fini(&errors);
    if (status)
        return AFF_EXIT_FAILED;
    aff_config_print(config, stdout);
    return AFF_EXIT_OK;
}

int aff_cli_check(int argc, char **argv)
{
    struct request request = { 0 };
    int status = read_options(argc, argv, &request);
    if (status == AFF_EXIT_OK && request.describe)
        aff_config_describe(stdout);
    else if (status == AFF_EXIT_OK)
        status = print_effective(&request);
    free(request.sets);
    return status;
}
