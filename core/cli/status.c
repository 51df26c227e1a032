/*
 * status.c - `affinity status`: how a cluster is, as one of its nodes sees it: a table for people, or the node's own JSON. One thread.
 */
#include "cli/cli.h"
#include "cli/client.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { COLUMNS_MAX = 10, CELL_MAX = 240 };

/* ---- tables ---- */

/* The rows of a table are filled twice: to learn how wide the columns are, and to print. */
struct table {
    int widths[COLUMNS_MAX];
    bool prints;
};

struct row {
    char cells[COLUMNS_MAX][CELL_MAX];
    int count;
};

AFF_PRINTF(2, 3) static void cell(struct row *row, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(row->cells[row->count++], CELL_MAX, format, args);
    va_end(args);
}

static void put(struct table *table, const struct row *row)
{
    for (int i = 0; i < row->count; i++) {
        int width = (int)strlen(row->cells[i]);
        if (!table->prints)
            table->widths[i] = width > table->widths[i] ? width : table->widths[i];
        else if (i + 1 < row->count)
            printf("%-*s  ", table->widths[i], row->cells[i]);
        else
            puts(row->cells[i]);
    }
}

/* ---- the answer ---- */

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text && *text ? text : "-";
}

static int64_t number_of(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static bool is(const json_t *object, const char *name)
{
    return json_is_true(json_object_get(object, name));
}

static const char *node_state(const json_t *node)
{
    if (!is(node, "live"))
        return "away";
    return is(node, "draining") ? "draining" : "live";
}

static void print_head(const json_t *answer)
{
    const json_t *coordinator = json_object_get(answer, "coordinator"), *lease = json_object_get(answer, "lease_ms");
    printf("cluster %s, as %s sees it (%s, %s)", text_of(answer, "cluster"), text_of(answer, "node"),
           text_of(answer, "version"), text_of(answer, "mode"));
    if (json_object_get(answer, "controller"))
        printf(", controller %s", text_of(answer, "controller"));
    if (lease)
        printf(", lease %.1f s", (double)json_integer_value(lease) / 1e3);
    putchar('\n');
    if (coordinator && !is(coordinator, "connected"))
        printf("DEGRADED: not connected to the coordinator: nothing can move, and what follows may be old\n");
    else if (coordinator && !is(coordinator, "registered"))
        printf("DEGRADED: this node is no member of its cluster at this moment\n");
    if (coordinator && strcmp(text_of(coordinator, "trouble"), "-") != 0)
        printf("trouble: %s\n", text_of(coordinator, "trouble"));
}

static void node_row(struct table *table, const json_t *node)
{
    struct row row = { .count = 0 };
    cell(&row, "%s", text_of(node, "name"));
    cell(&row, "%" PRId64, number_of(node, "incarnation"));
    cell(&row, "%s", node_state(node));
    cell(&row, "%s", text_of(node, "zone"));
    cell(&row, "%s", text_of(node, "http"));
    cell(&row, "%s", text_of(node, "peer"));
    cell(&row, "%" PRId64, number_of(node, "speaks"));
    cell(&row, "%" PRId64, number_of(node, "leads"));
    cell(&row, "%" PRId64, number_of(node, "holds"));
    put(table, &row);
}

static void print_nodes(const json_t *nodes)
{
    static const struct row head = {
        { "NODE", "INCARNATION", "STATE", "ZONE", "HTTP", "PEER", "SPEAKS", "LEADS", "HOLDS" }, 9
    };
    struct table table = { .prints = false };
    for (int pass = 0; pass < 2; pass++, table.prints = true) {
        const json_t *node;
        size_t i;
        put(&table, &head);
        json_array_foreach(nodes, i, node)
        {
            node_row(&table, node);
        }
    }
}

/* ---- partitions ---- */

/* What the leader has applied, or -1. */
static int64_t leader_applied(const json_t *part)
{
    const json_t *replica;
    size_t i;
    json_array_foreach(json_object_get(part, "replicas"), i, replica)
    {
        if (strcmp(text_of(replica, "node"), text_of(part, "master")) == 0 && json_object_get(replica, "applied"))
            return number_of(replica, "applied");
    }
    return -1;
}

/* "n2 n3(behind 120) n4(away)" */
static void standbys_cell(struct row *row, const json_t *part)
{
    int64_t most = leader_applied(part);
    char *text = row->cells[row->count++];
    size_t used = 0;
    const json_t *replica;
    size_t i;
    json_array_foreach(json_object_get(part, "replicas"), i, replica)
    {
        int64_t lag = most - number_of(replica, "applied");
        char more[80] = "";
        if (strcmp(text_of(replica, "node"), text_of(part, "master")) == 0)
            continue;
        if (!is(replica, "in_step") && json_object_get(replica, "applied") && lag > 0)
            (void)snprintf(more, sizeof more, "(%.40s %" PRId64 ")", text_of(replica, "state"), lag);
        else if (!is(replica, "in_step"))
            (void)snprintf(more, sizeof more, "(%.40s)", text_of(replica, "state"));
        used += (size_t)snprintf(text + used, CELL_MAX - used, "%s%.41s%s", used ? " " : "", text_of(replica, "node"),
                                 more);
        used = used < CELL_MAX ? used : CELL_MAX - 1;
    }
    if (!used)
        (void)snprintf(text, CELL_MAX, "-");
}

/* A number of the node that was asked, of its own replica. */
static void own_cell(struct row *row, const json_t *part, const char *name)
{
    if (strcmp(text_of(part, "role"), "away") == 0)
        cell(row, "-");
    else
        cell(row, "%" PRId64, number_of(part, name));
}

static void part_row(struct table *table, const json_t *part)
{
    struct row row = { .count = 0 };
    cell(&row, "%s", text_of(part, "keyspace"));
    cell(&row, "%" PRId64, number_of(part, "partition"));
    cell(&row, "%s", text_of(part, "master"));
    cell(&row, "%" PRId64, number_of(part, "granted"));
    standbys_cell(&row, part);
    if (json_object_get(part, "handed_to"))
        cell(&row, "handed to %.41s", text_of(part, "handed_to"));
    else if (json_object_get(part, "target") && strcmp(text_of(part, "target"), text_of(part, "master")) != 0)
        cell(&row, "goes to %.41s", text_of(part, "target"));
    else
        cell(&row, "-");
    cell(&row, "%s", text_of(part, "role"));
    own_cell(&row, part, "applied");
    own_cell(&row, part, "log_end");
    own_cell(&row, part, "dirty");
    put(table, &row);
}

static void print_partitions(const json_t *answer, const json_t *parts)
{
    struct row head = {
        { "KEYSPACE", "PARTITION", "MASTER", "EPOCH", "STANDBYS", "MOVES", "", "APPLIED", "LOG END", "DIRTY" }, 10
    };
    struct table table = { .prints = false };
    (void)snprintf(head.cells[6], CELL_MAX, "ON %.60s", text_of(answer, "node"));
    for (int pass = 0; pass < 2; pass++, table.prints = true) {
        const json_t *part;
        size_t i;
        put(&table, &head);
        json_array_foreach(parts, i, part)
        {
            part_row(&table, part);
        }
    }
}

/* How many of them have no master, or a replica that is not in step. */
static void print_sum(const json_t *parts)
{
    int64_t total = 0, orphans = 0, lagging = 0;
    const json_t *part, *replica;
    size_t i, k;
    json_array_foreach(parts, i, part)
    {
        bool behind = false;
        json_array_foreach(json_object_get(part, "replicas"), k, replica)
        {
            behind |= !is(replica, "in_step");
        }
        total++;
        orphans += !json_object_get(part, "master");
        lagging += behind;
    }
    printf("%" PRId64 " partitions: %" PRId64 " without a master, %" PRId64 " with a replica that is not in step\n",
           total, orphans, lagging);
}

static void print_answer(const json_t *answer)
{
    const json_t *parts = json_object_get(answer, "partitions");
    print_head(answer);
    putchar('\n');
    print_nodes(json_object_get(answer, "nodes"));
    putchar('\n');
    print_partitions(answer, parts);
    putchar('\n');
    print_sum(parts);
}

/* ---- the command ---- */

struct request {
    const char *url;
    bool json;
};

static int read_options(int argc, char **argv, struct request *request)
{
    static const struct option longs[] = { { "url", required_argument, NULL, 'u' },
                                           { "json", no_argument, NULL, 'j' },
                                           { 0 } };
    for (int option; (option = aff_cli_option(argc, argv, ":", longs)) != -1;) {
        if (option == 'u')
            request->url = optarg;
        else if (option == 'j')
            request->json = true;
        else
            return AFF_EXIT_USAGE;
    }
    if (optind < argc)
        return aff_cli_usage(argv[0], "%s is too much: expected options alone", argv[optind]);
    if (!request->url)
        return aff_cli_usage(argv[0], "which node? expected --url http://HOST:PORT; any of the cluster");
    return AFF_EXIT_OK;
}

int aff_cli_status(int argc, char **argv)
{
    struct request request = { 0 };
    AFF_CLEANUP(aff_client_freep) struct aff_client *client = NULL;
    json_t *answer = NULL;
    aff_error err = { 0 };
    int status = read_options(argc, argv, &request);
    if (status != AFF_EXIT_OK)
        return status;
    if (aff_client_new(request.url, &client, &err) != 0)
        return err.code == AFF_EINVAL ? aff_cli_usage(argv[0], "--url %s", err.text)
                                      : aff_cli_failed(argv[0], "%s", err.text);
    if (aff_client_ask(client, "GET", "/cluster", &answer, &err) != 0)
        return aff_cli_failed(argv[0], "%s", err.text);
    if (request.json) {
        (void)json_dumpf(answer, stdout, JSON_COMPACT);
        putchar('\n');
    } else {
        print_answer(answer);
    }
    json_decref(answer);
    return AFF_EXIT_OK;
}
