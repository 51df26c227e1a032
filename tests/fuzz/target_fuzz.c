/*
 * target_fuzz.c - request targets: no read outside the views, and what was parsed can be written again. A path of segments
 * that are encoded anew parses to the same segments; a query's pairs are decoded to no more bytes than there were.
 */
#include "http/target.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every byte as an escape, so nothing about which characters need one is assumed. */
static size_t encode(const struct aff_target *target, char *out)
{
    char *at = out;
    for (unsigned i = 0; i < target->count; i++) {
        *at++ = '/';
        const unsigned char *byte = target->segments[i].data;
        for (size_t k = 0; k < target->segments[i].len; k++)
            at += sprintf(at, "%%%02x", byte[k]);
    }
    return (size_t)(at - out);
}

static void parse_again(const struct aff_target *target, size_t size)
{
    char *path = malloc(size * 3 + 16), *room = malloc(size * 3 + 16);
    const char *what = NULL;
    struct aff_target again;
    size_t len = encode(target, path);
    if (aff_target_parse(aff_bytes_of(path, len), room, &again, &what) != 0 || again.count != target->count)
        abort();
    for (unsigned i = 0; i < again.count; i++)
        if (!aff_bytes_equal(again.segments[i], target->segments[i]))
            abort();
    free(path);
    free(room);
}

static void walk_query(aff_bytes query)
{
    char *room = malloc(query.len + 1);
    aff_bytes name, value;
    int rc;
    size_t left = query.len;
    while ((rc = aff_query_next(&query, room, &name, &value)) == 1) {
        if (name.len + value.len > left || query.len >= left)
            abort();
        left = query.len;
    }
    if (rc != 0 && rc != AFF_EINVAL)
        abort();
    free(room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *raw = malloc(size + 1), *room = malloc(size + 1); /* of their own, so a sanitizer sees their ends */
    memcpy(raw, data, size);
    struct aff_target target;
    const char *what = NULL;
    int rc = aff_target_parse(aff_bytes_of(raw, size), room, &target, &what);
    if (rc != 0 && (rc != AFF_EINVAL || !what))
        abort();
    if (rc == 0 && !target.asterisk && target.count <= AFF_TARGET_SEGMENTS)
        parse_again(&target, size);
    if (rc == 0 && target.query.data)
        walk_query(target.query);
    free(raw);
    free(room);
    return 0;
}
