/*
 * embedded/index.c - see embedded/index.h.
 */
#include "changelog/embedded/index.h"

#include "base/alloc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void aff_index_fini(struct aff_index *index)
{
    free(index->points);
    free(index->spans);
    *index = (struct aff_index){ 0 };
}

static struct aff_index_span *span_for(struct aff_index *index, uint32_t partition)
{
    if (partition >= index->span_count) {
        size_t count = ((size_t)partition + 1) * 3 / 2;
        index->spans = aff_xrealloc(index->spans, count, sizeof *index->spans);
        memset(index->spans + index->span_count, 0, (count - index->span_count) * sizeof *index->spans);
        index->span_count = count;
    }
    return &index->spans[partition];
}

static uint32_t add_point(struct aff_index *index, int64_t offset, uint64_t position, uint32_t before)
{
    if (index->point_count == index->point_capacity) {
        index->point_capacity = index->point_capacity ? 2 * index->point_capacity : 64;
        index->points = aff_xrealloc(index->points, index->point_capacity, sizeof *index->points);
    }
    index->points[index->point_count++] = (struct aff_index_point){ offset, position, before };
    return (uint32_t)index->point_count;
}

void aff_index_add(struct aff_index *index, uint32_t partition, int64_t offset, uint64_t position, size_t size)
{
    assert(!index->sealed);
    struct aff_index_span *span = span_for(index, partition);
    assert(!span->newest || offset > span->last_offset);
    if (!span->newest || span->bytes >= AFF_INDEX_STEP) {
        span->newest = add_point(index, offset, position, span->newest);
        span->bytes = 0;
    }
    span->partition = partition;
    span->last_offset = offset;
    span->bytes += size;
}

void aff_index_seal(struct aff_index *index)
{
    size_t kept = 0;

    assert(!index->sealed);
    for (size_t i = 0; i < index->span_count; i++)
        if (index->spans[i].newest)
            index->spans[kept++] = index->spans[i];
    index->span_count = kept;
    index->sealed = true;
    if (kept)
        index->spans = aff_xrealloc(index->spans, kept, sizeof *index->spans);
    if (index->point_count)
        index->points = aff_xrealloc(index->points, index->point_count, sizeof *index->points);
    index->point_capacity = index->point_count;
}

static int compare_partition(const void *key, const void *span)
{
    uint32_t a = *(const uint32_t *)key, b = ((const struct aff_index_span *)span)->partition;
    return (a > b) - (a < b);
}

static const struct aff_index_span *find_span(const struct aff_index *index, uint32_t partition)
{
    const struct aff_index_span *span = NULL;
    if (index->sealed && index->span_count)
        span = bsearch(&partition, index->spans, index->span_count, sizeof *span, compare_partition);
    else if (!index->sealed && partition < index->span_count)
        span = &index->spans[partition];
    return span && span->newest ? span : NULL;
}

int64_t aff_index_last(const struct aff_index *index, uint32_t partition)
{
    const struct aff_index_span *span = find_span(index, partition);
    return span ? span->last_offset : -1;
}

bool aff_index_find(const struct aff_index *index, uint32_t partition, int64_t from, uint64_t *ret_position)
{
    const struct aff_index_span *span = find_span(index, partition);
    if (!span || span->last_offset < from)
        return false;
    const struct aff_index_point *point = &index->points[span->newest - 1];
    while (point->offset > from && point->before)
        point = &index->points[point->before - 1];
    *ret_position = point->position;
    return true;
}
