/*
 * alloc.c - see alloc.h. Sizes of 0 give a block of one byte, so that NULL never means anything but "out of memory".
 */
#include "base/alloc.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *block, size_t size)
{
    if (block)
        return block;
    fprintf(stderr, "affinity: out of memory: no %zu bytes\n", size);
    abort();
}

void *aff_xmalloc(size_t size)
{
    return checked(malloc(size ? size : 1), size);
}

void *aff_xcalloc(size_t count, size_t size)
{
    size_t total = 0;
    if (__builtin_mul_overflow(count, size, &total))
        return checked(NULL, SIZE_MAX);
    return checked(calloc(1, total ? total : 1), total);
}

void *aff_xrealloc(void *old, size_t count, size_t size)
{
    size_t total = 0;
    if (__builtin_mul_overflow(count, size, &total))
        return checked(NULL, SIZE_MAX);
    return checked(realloc(old, total ? total : 1), total);
}

char *aff_xstrdup(const char *s)
{
    return aff_xmemdup(s, strlen(s) + 1);
}

void *aff_xmemdup(const void *data, size_t len)
{
    void *copy = aff_xmalloc(len);
    if (len)
        memcpy(copy, data, len);
    return copy;
}
