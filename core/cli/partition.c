/*
 * partition.c - `affinity partition`: where a key belongs, for whoever writes to or reads from the topics by hand.
 * One thread.
 */
#include "base/key_route.h"
#include "cli/cli.h"
#include "router/partitioner.h"
#include "store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST_PARTITIONS = 4096, LINE_MAX_BYTES = 2 * AFF_KEY_MAX };

struct request {
    const char *command;
    uint32_t partitions;
    bool hex, from_stdin;
    struct aff_key_route route;
};

static int nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The bytes that pairs of hexadecimal digits stand for; false when they are not that. */
static bool from_hex(aff_bytes text, unsigned char *to, size_t *ret_len)
{
    const char *digits = text.data;
    if (text.len % 2 != 0)
        return false;
    for (size_t i = 0; i < text.len; i += 2) {
        int high = nibble(digits[i]), low = nibble(digits[i + 1]);
        if (high < 0 || low < 0)
            return false;
        to[i / 2] = (unsigned char)(high << 4 | low);
    }
    *ret_len = text.len / 2;
    return true;
}

/* Prints the line of one key. NULL, or what is wrong with the key. */
static const char *place(const struct request *request, aff_bytes text)
{
    unsigned char bytes[LINE_MAX_BYTES];
    aff_bytes key = text;
    if (request->hex && text.len <= LINE_MAX_BYTES) {
        if (!from_hex(text, bytes, &key.len))
            return "expected pairs of hexadecimal digits, such as 00ff41";
        key.data = bytes;
    }
    if (key.len < 1 || key.len > AFF_KEY_MAX)
        return "a key has 1 to 511 bytes";
    if (*(const unsigned char *)key.data == 0)
        return "a key does not begin with a zero byte";
    key = aff_key_route_of(&request->route, key);
    printf("partition=%" PRIu32 " hash=0x%08" PRIx32 "\n", aff_partition_of(key, request->partitions),
           aff_murmur2(key.data, key.len));
    return NULL;
}

/* A line without its end; false at the end of the input. What is longer than the buffer is passed over, *ret_len tells. */
static bool read_line(FILE *from, char *line, size_t size, size_t *ret_len)
{
    size_t len = 0;
    int c = getc(from);
    if (c == EOF)
        return false;
    for (; c != EOF && c != '\n'; c = getc(from), len++)
        if (len < size)
            line[len] = (char)c;
    *ret_len = len;
    return true;
}

static int place_lines(const struct request *request)
{
    char line[LINE_MAX_BYTES];
    size_t len;
    int status = AFF_EXIT_OK;
    for (unsigned long number = 1; read_line(stdin, line, sizeof line, &len); number++) {
        const char *wrong = len > sizeof line ? "a key has 1 to 511 bytes" : place(request, aff_bytes_of(line, len));
        if (wrong)
            status = aff_cli_failed(request->command, "line %lu: %s", number, wrong);
    }
    if (ferror(stdin))
        status = aff_cli_failed(request->command, "the standard input cannot be read");
    return status;
}

static bool read_count(const char *text, uint32_t *ret_count)
{
    char *end;
    unsigned long count = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || count < 1 || count > MOST_PARTITIONS)
        return false;
    *ret_count = (uint32_t)count;
    return true;
}

static int read_options(int argc, char **argv, struct request *request)
{
    aff_error err;
    static const struct option longs[] = { { "partitions", required_argument, NULL, 'n' },
                                           { "route", required_argument, NULL, 'r' },
                                           { "hex", no_argument, NULL, 'x' },
                                           { "stdin", no_argument, NULL, 'i' },
                                           { 0 } };
    for (int option; (option = aff_cli_option(argc, argv, ":", longs)) != -1;) {
        if (option == 'x')
            request->hex = true;
        else if (option == 'i')
            request->from_stdin = true;
        else if (option == 'r' && aff_key_route_read(aff_str(optarg), &request->route, &err) != 0)
            return aff_cli_usage(argv[0], "--route: %s", err.text);
        else if (option != 'n' && option != 'r')
            return AFF_EXIT_USAGE;
        else if (option == 'n' && !read_count(optarg, &request->partitions))
            return aff_cli_usage(argv[0], "--partitions %s: expected a number from 1 to %d", optarg, MOST_PARTITIONS);
    }
    if (request->partitions == 0)
        return aff_cli_usage(argv[0], "how many partitions? expected --partitions N");
    return AFF_EXIT_OK;
}

int aff_cli_partition(int argc, char **argv)
{
    struct request request = { .command = argv[0] };
    int status = read_options(argc, argv, &request);
    if (status != AFF_EXIT_OK)
        return status;
    int keys = argc - optind;
    if (request.from_stdin)
        return keys == 0 ? place_lines(&request) : aff_cli_usage(argv[0], "expected KEY or --stdin, not both");
    if (keys != 1)
        return aff_cli_usage(argv[0], keys == 0 ? "which key? expected KEY or --stdin" : "expected one KEY");
    const char *wrong = place(&request, aff_str(argv[optind]));
    return wrong ? aff_cli_usage(argv[0], "%s: %s", argv[optind], wrong) : AFF_EXIT_OK;
}
