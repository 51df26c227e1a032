/*
 * chunk_text.c - the text of a chunk, see chunk.h: written so that what is usual is short, read so that nothing wrong comes in.
 */
#include "coordinator/chunk.h"

#include "base/alloc.h"
#include "coordinator/text.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- writing ---- */

static void put_text(json_t *object, const char *key, const char *text)
{
    if (text[0])
        json_object_set_new(object, key, json_string(text));
}

static void put_number(json_t *object, const char *key, uint32_t number)
{
    if (number)
        json_object_set_new(object, key, json_integer(number));
}

static void put_replicas(json_t *object, const struct aff_chunk_part *part)
{
    json_t *names = json_array(), *leaving = json_array();

    for (int i = 0; i < part->replicas_count; i++) {
        json_array_append_new(names, json_string(part->replicas[i]));
        if (part->leaving >> i & 1)
            json_array_append_new(leaving, json_string(part->replicas[i]));
    }
    if (json_array_size(names))
        json_object_set(object, "replicas", names);
    if (json_array_size(leaving))
        json_object_set(object, "leaving", leaving);
    json_decref(names);
    json_decref(leaving);
}

static json_t *part_object(const struct aff_chunk_part *part)
{
    json_t *object = json_object();

    put_number(object, "epoch", part->epoch);
    put_text(object, "owner", part->owner);
    put_number(object, "major", part->major);
    put_text(object, "next", part->next);
    put_number(object, "claim", part->claim);
    put_number(object, "back", part->back);
    put_text(object, "target", part->target);
    if (part->pinned)
        json_object_set_new(object, "pinned", json_true());
    put_text(object, "failed", part->failed);
    put_number(object, "fails", part->fails);
    put_text(object, "released", part->released);
    put_text(object, "why", part->why);
    put_replicas(object, part);
    return object;
}

int aff_chunk_encode(const struct aff_chunk *chunk, struct aff_buf *out, aff_error *err)
{
    json_t *parts = json_array();

    for (uint32_t i = 0; i < chunk->count; i++) {
        assert(!aff_chunk_wrong(&chunk->parts[i]));
        json_array_append_new(parts, part_object(&chunk->parts[i]));
    }
    return aff_text_write(json_pack("{s:i, s:I, s:o}", "v", (int)AFF_ZNODE_VERSION, "first", (json_int_t)chunk->first,
                                    "partitions", parts),
                          chunk->keyspace, out, err);
}

/* ---- reading ---- */

struct number_member {
    const char *key;
    uint32_t *number;
};

struct text_member {
    const char *key;
    char *text;
    size_t size;
};

static int read_numbers(const json_t *object, const struct aff_text_place *place, struct aff_chunk_part *part,
                        aff_error *err)
{
    const struct number_member members[] = {
        { "epoch", &part->epoch },
        { "major", &part->major },
        { "claim", &part->claim },
        { "back", &part->back },
    };
    uint64_t number = 0;

    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        int rc = aff_text_number(object, members[i].key, place, UINT32_MAX, &number, err);
        if (rc)
            return rc;
        *members[i].number = (uint32_t)number;
    }
    int rc = aff_text_number(object, "fails", place, UINT8_MAX, &number, err);
    part->fails = (uint8_t)number;
    return rc;
}

static int read_texts(const json_t *object, const struct aff_text_place *place, struct aff_chunk_part *part,
                      aff_error *err)
{
    const struct text_member members[] = {
        { "owner", part->owner, sizeof part->owner },          { "next", part->next, sizeof part->next },
        { "target", part->target, sizeof part->target },       { "failed", part->failed, sizeof part->failed },
        { "released", part->released, sizeof part->released }, { "why", part->why, sizeof part->why },
    };

    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        int rc = aff_text_string(object, members[i].key, place, members[i].text, members[i].size, err);
        if (rc)
            return rc;
    }
    return aff_text_bool(object, "pinned", place, &part->pinned, err);
}

static int read_replicas(const json_t *object, const struct aff_text_place *place, struct aff_chunk_part *part,
                         aff_error *err)
{
    const json_t *names = json_object_get(object, "replicas"), *one = NULL;
    size_t i = 0;

    if (names && (!json_is_array(names) || json_array_size(names) > AFF_REPLICAS_MAX))
        return aff_text_fail(place, "replicas", "is not an array of at most 7 names", err);
    json_array_foreach(names, i, one)
    {
        if (!json_is_string(one) || !aff_node_name_valid(json_string_value(one)))
            return aff_text_fail(place, "replicas", "holds something that is not the name of a node", err);
        (void)snprintf(part->replicas[part->replicas_count++], sizeof part->replicas[0], "%s", json_string_value(one));
    }
    return 0;
}

static int read_leaving(const json_t *object, const struct aff_text_place *place, struct aff_chunk_part *part,
                        aff_error *err)
{
    const json_t *names = json_object_get(object, "leaving"), *one = NULL;
    size_t i = 0;

    if (names && !json_is_array(names))
        return aff_text_fail(place, "leaving", "is not an array of names", err);
    json_array_foreach(names, i, one)
    {
        int at = json_is_string(one) ? aff_chunk_replica(part, json_string_value(one)) : -1;
        if (at < 0)
            return aff_text_fail(place, "leaving", "holds something that is not the name of a replica", err);
        part->leaving |= (uint8_t)(1 << at);
    }
    return 0;
}

static int read_part(const json_t *object, const struct aff_text_place *place, struct aff_chunk_part *part,
                     aff_error *err)
{
    const char *wrong = NULL;
    int rc = 0;

    if (!json_is_object(object))
        return aff_text_fail(place, "partitions", "holds something that is not an object", err);
    rc = read_numbers(object, place, part, err);
    rc = rc ? rc : read_texts(object, place, part, err);
    rc = rc ? rc : read_replicas(object, place, part, err);
    rc = rc ? rc : read_leaving(object, place, part, err);
    if (rc)
        return rc;
    wrong = aff_chunk_wrong(part);
    return wrong ? aff_fail_with(err, AFF_ECORRUPT, "%s, partition %lld: %s", place->what, (long long)place->partition,
                                 wrong)
                 : 0;
}

static int read_parts(const json_t *object, struct aff_chunk *chunk, aff_error *err)
{
    struct aff_text_place place = { .what = chunk->keyspace, .partition = -1 };
    const json_t *parts = json_object_get(object, "partitions");
    uint64_t first = 0;
    int rc = aff_text_number(object, "first", &place, UINT32_MAX, &first, err);

    if (rc)
        return rc;
    if (!json_is_array(parts))
        return aff_text_fail(&place, "partitions", "is not an array", err);
    if (first != chunk->first || json_array_size(parts) != chunk->count)
        return aff_fail_with(
            err, AFF_ECORRUPT,
            "%s: the text has %zu partitions from %llu on, and it should have %u from %u on: was the number of partitions changed?",
            chunk->keyspace, json_array_size(parts), (unsigned long long)first, chunk->count, chunk->first);
    for (uint32_t i = 0; i < chunk->count; i++) {
        place.partition = (int64_t)chunk->first + i;
        memset(&chunk->parts[i], 0, sizeof chunk->parts[i]);
        rc = read_part(json_array_get(parts, i), &place, &chunk->parts[i], err);
        if (rc)
            return rc;
    }
    return 0;
}

int aff_chunk_decode(struct aff_chunk *chunk, aff_bytes text, aff_error *err)
{
    struct aff_chunk *read = NULL;
    json_t *object = NULL;
    int rc = aff_text_read(text, chunk->keyspace, &object, err);

    if (rc)
        return rc;
    read = aff_xmalloc(sizeof *read);
    *read = *chunk;
    read->changed = false;
    rc = read_parts(object, read, err);
    json_decref(object);
    if (!rc)
        *chunk = *read;
    free(read);
    return rc;
}
