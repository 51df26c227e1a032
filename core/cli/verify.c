/*
 * verify.c - `affinity verify`: has a node compare its stores with their changelog, and shows what it found. One thread.
 */
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "config/value.h"

#include <inttypes.h>
#include <time.h>

enum {
    TIMEOUT_MS = 600000,
    GRACE_MS = 20000, /* by which the node may be late */
    LOOK_MIN_MS = 20,
    LOOK_MAX_MS = 500,
    TARGET_MAX = 512,
};

struct request {
    const char *command, *url, *keyspace, *partition;
    int64_t timeout_ms;
    bool json;
    struct aff_client *client;
    char run[40];     /* the one that the node began for us */
    size_t shown;     /* partitions */
    int64_t until_ns; /* monotonic */
};

/* ---- options ---- */

static int read_timeout(struct request *request, const char *text)
{
    uint64_t ms;
    aff_error err = { 0 };
    if (aff_number_read(AFF_TYPE_DURATION, aff_str(text), &ms, &err) != 0)
        return aff_cli_usage(request->command, "--timeout %s", err.text);
    if (ms < 1 || ms > INT64_C(36500) * 86400000)
        return aff_cli_usage(request->command, "--timeout %s: expected 1ms to 36500d", text);
    request->timeout_ms = (int64_t)ms;
    return AFF_EXIT_OK;
}

static int read_options(int argc, char **argv, struct request *request)
{
    static const struct option longs[] = { { "url", required_argument, NULL, 'u' },
                                           { "keyspace", required_argument, NULL, 'k' },
                                           { "partition", required_argument, NULL, 'p' },
                                           { "timeout", required_argument, NULL, 't' },
                                           { "json", no_argument, NULL, 'j' },
                                           { 0 } };
    for (int option; (option = aff_cli_option(argc, argv, ":", longs)) != -1;) {
        if (option == 'u')
            request->url = optarg;
        else if (option == 'k')
            request->keyspace = optarg;
        else if (option == 'p')
            request->partition = optarg;
        else if (option == 'j')
            request->json = true;
        else if (option != 't')
            return AFF_EXIT_USAGE;
        else if (read_timeout(request, optarg) != AFF_EXIT_OK)
            return AFF_EXIT_USAGE;
    }
    if (optind < argc)
        return aff_cli_usage(argv[0], "%s is too much: expected options alone", argv[optind]);
    if (!request->url)
        return aff_cli_usage(argv[0], "which node? expected --url http://HOST:PORT");
    if (request->keyspace && !aff_is_word(aff_str(request->keyspace)))
        return aff_cli_usage(argv[0], "--keyspace %s: a name is a lower-case letter, then up to 39 of a-z, 0-9 and _",
                             request->keyspace);
    if (!request->partition)
        return AFF_EXIT_OK;
    if (!request->keyspace)
        return aff_cli_usage(argv[0], "--partition needs --keyspace");
    if (!request->partition[0] || strspn(request->partition, "0123456789") != strlen(request->partition))
        return aff_cli_usage(argv[0], "--partition %s: expected a number", request->partition);
    return AFF_EXIT_OK;
}

/* ---- what was found ---- */

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static int64_t number_of(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static void print_row(const json_t *row)
{
    const char *result = text_of(row, "result"), *reason = text_of(row, "reason");
    printf("%-20s %9" PRId64 " ", text_of(row, "keyspace"), number_of(row, "partition"));
    if (json_object_get(row, "digest"))
        printf("%12" PRId64 " %10" PRId64 " %s  ", number_of(row, "offset"), number_of(row, "keys"),
               text_of(row, "digest"));
    else
        printf("%12s %10s %-32s  ", "-", "-", "-");
    printf("%s%s%s", strcmp(result, "undecided") == 0 ? "not decided" : result, *reason ? ": " : "", reason);
    int64_t dirty = number_of(json_object_get(row, "changelog"), "dirty");
    if (dirty > 0)
        printf(" (%" PRId64 " dirty keys: last-writer-wins may differ)", dirty);
    putchar('\n');
}

/* Those that were finished since the last look. They finish in order. */
static void print_new_rows(struct request *request, const json_t *run)
{
    const json_t *rows = json_object_get(run, "partitions"), *row;
    while ((row = json_array_get(rows, request->shown)) && strcmp(text_of(row, "state"), "done") == 0) {
        if (request->shown++ == 0)
            printf("%-20s %9s %12s %10s %-32s  %s\n", "KEYSPACE", "PARTITION", "OFFSET", "KEYS", "DIGEST", "RESULT");
        print_row(row);
    }
    (void)fflush(stdout);
}

/* The exit status. */
static int print_end(struct request *request, const json_t *run)
{
    int64_t asked = number_of(run, "asked"), equal = number_of(run, "equal");
    if (request->json) {
        (void)json_dumpf(run, stdout, JSON_COMPACT);
        putchar('\n');
    } else {
        printf("%" PRId64 " partition%s: %" PRId64 " equal, %" PRId64 " differ, %" PRId64 " not decided\n", asked,
               asked == 1 ? "" : "s", equal, number_of(run, "differs"), number_of(run, "undecided"));
    }
    return asked > 0 && equal == asked ? AFF_EXIT_OK : AFF_EXIT_FAILED;
}

/* ---- the node ---- */

static int begin(struct request *request)
{
    char target[TARGET_MAX];
    json_t *run = NULL;
    aff_error err = { 0 };
    (void)snprintf(target, sizeof target, "/verify?timeout=%" PRId64 "ms%s%s%s%s", request->timeout_ms,
                   request->keyspace ? "&keyspace=" : "", request->keyspace ? request->keyspace : "",
                   request->partition ? "&partition=" : "", request->partition ? request->partition : "");
    if (aff_client_ask(request->client, "POST", target, &run, &err) != 0)
        return aff_cli_failed(request->command, "%s", err.text);
    (void)snprintf(request->run, sizeof request->run, "%s", text_of(run, "run"));
    json_decref(run);
    return AFF_EXIT_OK;
}

static void nap(int64_t ms)
{
    const struct timespec time = { ms / 1000, (long)(ms % 1000 * 1000000) };
    (void)nanosleep(&time, NULL);
}

/* One look at how far it is; with `*ret_done` the status is the command's. */
static int look(struct request *request, bool *ret_done)
{
    json_t *run = NULL;
    aff_error err = { 0 };
    int status = AFF_EXIT_OK;
    *ret_done = true;
    if (aff_client_ask(request->client, "GET", "/verify", &run, &err) != 0)
        return aff_cli_failed(request->command, "%s; the verification was not finished", err.text);
    if (strcmp(text_of(run, "run"), request->run) != 0) {
        status = aff_cli_failed(request->command,
                                "%s does not know this verification any more: it was started anew, or "
                                "another one was begun",
                                request->url);
    } else {
        *ret_done = strcmp(text_of(run, "state"), "running") != 0;
        if (!request->json)
            print_new_rows(request, run);
        if (*ret_done)
            status = print_end(request, run);
    }
    json_decref(run);
    return status;
}

static int follow(struct request *request)
{
    int64_t wait_ms = LOOK_MIN_MS;
    for (;;) {
        bool done;
        int status = look(request, &done);
        if (done)
            return status;
        if (aff_mono_ns(aff_clock_system()) > request->until_ns)
            return aff_cli_failed(request->command, "%s did not end the verification in time", request->url);
        nap(wait_ms);
        wait_ms = wait_ms * 2 < LOOK_MAX_MS ? wait_ms * 2 : LOOK_MAX_MS;
    }
}

int aff_cli_verify(int argc, char **argv)
{
    struct request request = { .command = argv[0], .timeout_ms = TIMEOUT_MS };
    aff_error err = { 0 };
    int status = read_options(argc, argv, &request);
    if (status != AFF_EXIT_OK)
        return status;
    AFF_CLEANUP(aff_client_freep) struct aff_client *client = NULL;
    if (aff_client_new(request.url, &client, &err) != 0)
        return err.code == AFF_EINVAL ? aff_cli_usage(argv[0], "--url %s", err.text)
                                      : aff_cli_failed(argv[0], "%s", err.text);
    request.client = client;
    request.until_ns = aff_mono_ns(aff_clock_system()) + (request.timeout_ms + GRACE_MS) * AFF_NS_PER_MS;
    status = begin(&request);
    return status == AFF_EXIT_OK ? follow(&request) : status;
}
