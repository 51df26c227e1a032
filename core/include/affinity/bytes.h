/*
 * affinity/bytes.h - a view of bytes: pointer and length, never an owner.
 *
 * Strings travel through the library in this form; they need no NUL at the end and may hold any byte.
 */
#ifndef AFFINITY_BYTES_H
#define AFFINITY_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct aff_bytes {
    const void *data; /* NULL means "absent" where a function says so; an empty view has a non-NULL pointer */
    size_t len;
} aff_bytes;

static inline aff_bytes aff_bytes_of(const void *data, size_t len)
{
    aff_bytes b = { data, len };
    return b;
}

/* The view of a NUL-terminated string, without its NUL. */
static inline aff_bytes aff_str(const char *s)
{
    return aff_bytes_of(s, s ? strlen(s) : 0);
}

static inline bool aff_bytes_equal(aff_bytes a, aff_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Order of memcmp, a shorter prefix first: the order of LMDB and of scans. */
static inline int aff_bytes_compare(aff_bytes a, aff_bytes b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n ? memcmp(a.data, b.data, n) : 0;
    return c ? c : (a.len > b.len) - (a.len < b.len);
}

#ifdef __cplusplus
}
#endif
#endif
