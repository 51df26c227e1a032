/*
 * moves.c - `affinity drain` and `affinity handover`: have masterships move, wait until they did, and print what happened. One thread.
 */
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "config/value.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

enum { TIMEOUT_MS = 60000, LOOK_MS = 50, TARGET_MAX = 256 };

struct move {
    const char *command, *url, *keyspace, *partition, *to;
    int64_t timeout_ms, begun_ns;
    struct aff_client *client;
    char target[TARGET_MAX]; /* to be asked how far it is */
    char from[64];           /* who led before; "": nobody */
    bool targeted;           /* the wish was seen in the cluster */
};

/* ---- options ---- */

static int read_timeout(struct move *move, const char *text)
{
    uint64_t ms;
    aff_error err = { 0 };
    if (aff_number_read(AFF_TYPE_DURATION, aff_str(text), &ms, &err) != 0)
        return aff_cli_usage(move->command, "--timeout %s", err.text);
    if (ms < 1 || ms > INT64_C(365) * 86400000)
        return aff_cli_usage(move->command, "--timeout %s: expected 1ms to 365d", text);
    move->timeout_ms = (int64_t)ms;
    return AFF_EXIT_OK;
}

static int check_handover(const struct move *move)
{
    if (!move->keyspace || !aff_is_word(aff_str(move->keyspace)))
        return aff_cli_usage(move->command, "which partition? expected --keyspace NAME --partition NUMBER");
    if (!move->partition || !move->partition[0] || strspn(move->partition, "0123456789") != strlen(move->partition))
        return aff_cli_usage(move->command, "which partition? expected --partition NUMBER");
    if (move->to && !aff_is_label(aff_str(move->to)))
        return aff_cli_usage(move->command, "--to %s: this is no name of a node", move->to);
    return AFF_EXIT_OK;
}

static int read_options(int argc, char **argv, bool handover, struct move *move)
{
    static const struct option longs[] = {
        { "url", required_argument, NULL, 'u' },      { "timeout", required_argument, NULL, 't' },
        { "keyspace", required_argument, NULL, 'k' }, { "partition", required_argument, NULL, 'p' },
        { "to", required_argument, NULL, 'o' },       { 0 }
    };
    static const struct option few[] = { { "url", required_argument, NULL, 'u' },
                                         { "timeout", required_argument, NULL, 't' },
                                         { 0 } };
    for (int option; (option = aff_cli_option(argc, argv, ":", handover ? longs : few)) != -1;) {
        if (option == 'u')
            move->url = optarg;
        else if (option == 'k')
            move->keyspace = optarg;
        else if (option == 'p')
            move->partition = optarg;
        else if (option == 'o')
            move->to = optarg;
        else if (option != 't' || read_timeout(move, optarg) != AFF_EXIT_OK)
            return AFF_EXIT_USAGE;
    }
    if (optind < argc)
        return aff_cli_usage(argv[0], "%s is too much: expected options alone", argv[optind]);
    if (!move->url)
        return aff_cli_usage(argv[0], "which node? expected --url http://HOST:PORT");
    return handover ? check_handover(move) : AFF_EXIT_OK;
}

/* ---- the node ---- */

static int64_t elapsed_ms(const struct move *move)
{
    return (aff_mono_ns(aff_clock_system()) - move->begun_ns) / AFF_NS_PER_MS;
}

static int ask(const struct move *move, const char *method, const char *target, json_t **ret_json)
{
    aff_error err = { 0 };
    if (aff_client_ask(move->client, method, target, ret_json, &err) != 0)
        return aff_cli_failed(move->command, "%s", err.text);
    return AFF_EXIT_OK;
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

/* How it stands: -1 not done yet, else the exit status, after it was printed. */
typedef int look_function(struct move *move, const json_t *state);

static int follow(struct move *move, look_function *look)
{
    const struct timespec nap = { .tv_nsec = LOOK_MS * AFF_NS_PER_MS };
    for (;;) {
        json_t *state = NULL;
        int status = ask(move, "GET", move->target, &state);
        if (status == AFF_EXIT_OK)
            status = look(move, state);
        json_decref(state);
        if (status >= 0)
            return status;
        if (elapsed_ms(move) > move->timeout_ms)
            return aff_cli_failed(move->command, "it did not come to pass within %" PRId64 " ms; it is still wanted",
                                  move->timeout_ms);
        (void)nanosleep(&nap, NULL);
    }
}

static int run(int argc, char **argv, bool handover, int (*go)(struct move *move))
{
    struct move move = { .command = argv[0], .timeout_ms = TIMEOUT_MS, .begun_ns = aff_mono_ns(aff_clock_system()) };
    aff_error err = { 0 };
    int status = read_options(argc, argv, handover, &move);
    if (status != AFF_EXIT_OK)
        return status;
    AFF_CLEANUP(aff_client_freep) struct aff_client *client = NULL;
    if (aff_client_new(move.url, &client, &err) != 0)
        return err.code == AFF_EINVAL ? aff_cli_usage(argv[0], "--url %s", err.text)
                                      : aff_cli_failed(argv[0], "%s", err.text);
    move.client = client;
    return go(&move);
}

/* ---- drain ---- */

static int look_at_drain(struct move *move, const json_t *state)
{
    int64_t leads = json_integer_value(json_object_get(state, "leads"));
    if (!json_is_true(json_object_get(state, "draining")))
        return -1;
    if (leads == 0) {
        printf("%s leads nothing, and gets nothing new; %" PRId64 " ms\n", text_of(state, "node"), elapsed_ms(move));
        return AFF_EXIT_OK;
    }
    if (!json_is_true(json_object_get(state, "others")))
        return aff_cli_failed(move->command, "%s leads %" PRId64 " partitions, and no other node could take them over",
                              text_of(state, "node"), leads);
    return -1;
}

static int drain(struct move *move)
{
    json_t *state = NULL;
    (void)snprintf(move->target, sizeof move->target, "/cluster/drain");
    int status = ask(move, "POST", move->target, &state);
    if (status == AFF_EXIT_OK)
        printf("%s gives away the %" PRId64 " partitions that it leads\n", text_of(state, "node"),
               (int64_t)json_integer_value(json_object_get(state, "leads")));
    (void)fflush(stdout);
    json_decref(state);
    return status == AFF_EXIT_OK ? follow(move, look_at_drain) : status;
}

int aff_cli_drain(int argc, char **argv)
{
    return run(argc, argv, false, drain);
}

/* ---- hand-over ---- */

static int look_at_handover(struct move *move, const json_t *state)
{
    const char *leader = text_of(state, "leader"), *target = text_of(state, "target");
    bool there = move->to ? strcmp(leader, move->to) == 0 : *leader && strcmp(leader, move->from) != 0;
    bool wished = *target || *text_of(state, "next");
    if (there && !*text_of(state, "next")) {
        printf("%s leads partition %s of %s, with epoch %" PRId64 "; %" PRId64 " ms\n", leader, move->partition,
               move->keyspace, (int64_t)json_integer_value(json_object_get(state, "epoch")), elapsed_ms(move));
        return AFF_EXIT_OK;
    }
    if (move->targeted && !wished)
        return aff_cli_failed(move->command, "the wish was given up: %s%s leads partition %s of %s",
                              *leader ? "" : "nobody", leader, move->partition, move->keyspace);
    move->targeted |= wished;
    return -1;
}

static int handover(struct move *move)
{
    char wish[TARGET_MAX];
    json_t *state = NULL;
    (void)snprintf(move->target, sizeof move->target, "/cluster/handover?keyspace=%s&partition=%.10s", move->keyspace,
                   move->partition);
    (void)snprintf(wish, sizeof wish, "%.180s%s%s", move->target, move->to ? "&to=" : "", move->to ? move->to : "");
    int status = ask(move, "POST", wish, &state);
    if (status == AFF_EXIT_OK)
        (void)snprintf(move->from, sizeof move->from, "%s", text_of(state, "leader"));
    json_decref(state);
    return status == AFF_EXIT_OK ? follow(move, look_at_handover) : status;
}

int aff_cli_handover(int argc, char **argv)
{
    return run(argc, argv, true, handover);
}
