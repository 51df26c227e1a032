/*
 * verify.c - `affinity verify`: has the nodes of a cluster compare their stores with the changelog, one node after the other, and shows what
 * they found. One thread.
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
    URL_MAX = 256,
};

struct request {
    const char *command, *url, *keyspace, *partition;
    int64_t timeout_ms;
    bool json, here;
    int64_t until_ns;                         /* monotonic */
    bool several;                             /* nodes are asked */
    int64_t asked, equal, differs, undecided; /* partitions, of all nodes */
    json_t *runs;                             /* of several nodes, for --json */
};

/* One node, while it is asked. */
struct asking {
    struct request *request;
    const char *name, *url;
    struct aff_client *client;
    char run[40]; /* the one that the node began for us */
    size_t shown; /* partitions */
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
                                           { "here", no_argument, NULL, 'h' },
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
        else if (option == 'h')
            request->here = true;
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
static void print_new_rows(struct asking *asking, const json_t *run)
{
    const json_t *rows = json_object_get(run, "partitions"), *row;
    while ((row = json_array_get(rows, asking->shown)) && strcmp(text_of(row, "state"), "done") == 0) {
        if (asking->shown++ == 0)
            printf("%-20s %9s %12s %10s %-32s  %s\n", "KEYSPACE", "PARTITION", "OFFSET", "KEYS", "DIGEST", "RESULT");
        print_row(row);
    }
    (void)fflush(stdout);
}

/* ---- a node ---- */

static int begin(struct asking *asking)
{
    const struct request *request = asking->request;
    char target[TARGET_MAX];
    json_t *run = NULL;
    aff_error err = { 0 };
    int64_t left_ms = (request->until_ns - aff_mono_ns(aff_clock_system())) / AFF_NS_PER_MS - GRACE_MS;
    (void)snprintf(target, sizeof target, "/verify?timeout=%" PRId64 "ms%s%s%s%s", left_ms > 1 ? left_ms : 1,
                   request->keyspace ? "&keyspace=" : "", request->keyspace ? request->keyspace : "",
                   request->partition ? "&partition=" : "", request->partition ? request->partition : "");
    if (aff_client_ask(asking->client, "POST", target, &run, &err) != 0)
        return aff_cli_failed(request->command, "%s", err.text);
    (void)snprintf(asking->run, sizeof asking->run, "%s", text_of(run, "run"));
    json_decref(run);
    return AFF_EXIT_OK;
}

static void nap(int64_t ms)
{
    const struct timespec time = { ms / 1000, (long)(ms % 1000 * 1000000) };
    (void)nanosleep(&time, NULL);
}

/* It is done: into the sums, and the JSON is printed, or kept until all are there. The exit status. */
static int take_end(struct asking *asking, json_t *run)
{
    struct request *request = asking->request;
    int64_t asked = number_of(run, "asked"), equal = number_of(run, "equal");
    request->asked += asked;
    request->equal += equal;
    request->differs += number_of(run, "differs");
    request->undecided += number_of(run, "undecided");
    if (request->several) {
        (void)json_object_set_new(run, "node", json_string(asking->name));
        (void)json_array_append(request->runs, run);
    } else if (request->json) {
        (void)json_dumpf(run, stdout, JSON_COMPACT);
        putchar('\n');
    }
    return equal == asked ? AFF_EXIT_OK : AFF_EXIT_FAILED;
}

/* One look at how far it is; with `*ret_done` the status is the node's. */
static int look(struct asking *asking, bool *ret_done)
{
    const struct request *request = asking->request;
    json_t *run = NULL;
    aff_error err = { 0 };
    int status = AFF_EXIT_OK;
    *ret_done = true;
    if (aff_client_ask(asking->client, "GET", "/verify", &run, &err) != 0)
        return aff_cli_failed(request->command, "%s; the verification was not finished", err.text);
    if (strcmp(text_of(run, "run"), asking->run) != 0) {
        status = aff_cli_failed(request->command,
                                "%s does not know this verification any more: it was started anew, or "
                                "another one was begun",
                                asking->url);
    } else {
        *ret_done = strcmp(text_of(run, "state"), "running") != 0;
        if (!request->json)
            print_new_rows(asking, run);
        if (*ret_done)
            status = take_end(asking, run);
    }
    json_decref(run);
    return status;
}

static int follow(struct asking *asking)
{
    int64_t wait_ms = LOOK_MIN_MS;
    for (;;) {
        bool done;
        int status = look(asking, &done);
        if (done)
            return status;
        if (aff_mono_ns(aff_clock_system()) > asking->request->until_ns)
            return aff_cli_failed(asking->request->command, "%s did not end the verification in time", asking->url);
        nap(wait_ms);
        wait_ms = wait_ms * 2 < LOOK_MAX_MS ? wait_ms * 2 : LOOK_MAX_MS;
    }
}

static int verify_node(struct request *request, struct aff_client *client, const char *name, const char *url)
{
    struct asking asking = { .request = request, .name = name, .url = url, .client = client };
    if (request->several && !request->json)
        printf("node %s at %s\n", name, url);
    int status = begin(&asking);
    status = status == AFF_EXIT_OK ? follow(&asking) : status;
    if (request->several && !request->json)
        putchar('\n');
    return status;
}

/* ---- all of them ---- */

static int verify_at(struct request *request, const char *name, const char *url)
{
    AFF_CLEANUP(aff_client_freep) struct aff_client *client = NULL;
    aff_error err = { 0 };
    if (aff_client_new(url, &client, &err) != 0)
        return aff_cli_failed(request->command, "%s: %s", name, err.text);
    return verify_node(request, client, name, url);
}

static bool is_live(const json_t *node)
{
    return json_is_true(json_object_get(node, "live")) && text_of(node, "http")[0];
}

static size_t live_nodes(const json_t *nodes)
{
    size_t count = 0, i;
    const json_t *node;
    json_array_foreach(nodes, i, node)
    {
        count += is_live(node);
    }
    return count;
}

/* Each that lives, by the address that it told; the one that was named by that. All are asked, also when one fails. */
static int verify_nodes(struct request *request, struct aff_client *client, const json_t *cluster)
{
    const json_t *nodes = json_object_get(cluster, "nodes"), *node;
    int status = AFF_EXIT_OK;
    size_t i;
    json_array_foreach(nodes, i, node)
    {
        const char *name = text_of(node, "name");
        char url[URL_MAX];
        int one;
        if (!is_live(node))
            continue;
        (void)snprintf(url, sizeof url, "%.*s://%s", (int)strcspn(request->url, ":"), request->url,
                       text_of(node, "http"));
        one = strcmp(name, text_of(cluster, "node")) == 0 ? verify_node(request, client, name, request->url)
                                                          : verify_at(request, name, url);
        status = one == AFF_EXIT_OK ? status : one;
    }
    return status;
}

/* What was found in all. */
static void print_sum(const struct request *request)
{
    if (request->json && request->several) {
        json_t *sum = json_pack("{s:I, s:I, s:I, s:I, s:O}", "asked", (json_int_t)request->asked, "equal",
                                (json_int_t)request->equal, "differs", (json_int_t)request->differs, "undecided",
                                (json_int_t)request->undecided, "nodes", request->runs);
        (void)json_dumpf(sum, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(sum);
    } else if (!request->json) {
        printf("%" PRId64 " partition%s: %" PRId64 " equal, %" PRId64 " differ, %" PRId64 " not decided\n",
               request->asked, request->asked == 1 ? "" : "s", request->equal, request->differs, request->undecided);
    }
}

static int verify_cluster(struct request *request, struct aff_client *client)
{
    json_t *cluster = NULL;
    aff_error err = { 0 };
    int status = AFF_EXIT_OK;
    if (!request->here && aff_client_ask(client, "GET", "/cluster", &cluster, &err) != 0)
        return aff_cli_failed(request->command, "%s", err.text);
    request->several = live_nodes(json_object_get(cluster, "nodes")) > 1;
    request->runs = json_array();
    status = request->several ? verify_nodes(request, client, cluster) : verify_node(request, client, "", request->url);
    if (request->several || request->asked)
        print_sum(request);
    if (status == AFF_EXIT_OK && !request->asked)
        status = aff_cli_failed(request->command, "no replica of that is held there");
    json_decref(request->runs);
    json_decref(cluster);
    return status;
}

int aff_cli_verify(int argc, char **argv)
{
    struct request request = { .command = argv[0], .timeout_ms = TIMEOUT_MS };
    aff_error err = { 0 };
    int status = read_options(argc, argv, &request);
    if (status != AFF_EXIT_OK || !request.url)
        return status;
    AFF_CLEANUP(aff_client_freep) struct aff_client *client = NULL;
    if (aff_client_new(request.url, &client, &err) != 0)
        return err.code == AFF_EINVAL ? aff_cli_usage(argv[0], "--url %s", err.text)
                                      : aff_cli_failed(argv[0], "%s", err.text);
    request.until_ns = aff_mono_ns(aff_clock_system()) + (request.timeout_ms + GRACE_MS) * AFF_NS_PER_MS;
    return verify_cluster(&request, client);
}
