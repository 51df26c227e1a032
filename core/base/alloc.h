/*
 * alloc.h - allocation of fixed-size internals: never NULL, the process aborts with a message when memory is out.
 *
 * Whatever a client sizes is allocated by plain malloc() or a struct aff_buf and checked instead. Any thread.
 */
#ifndef AFF_BASE_ALLOC_H
#define AFF_BASE_ALLOC_H

#include <stddef.h>

void *aff_xmalloc(size_t size) __attribute__((malloc, returns_nonnull, warn_unused_result));
void *aff_xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull, warn_unused_result));
void *aff_xrealloc(void *old, size_t count, size_t size) __attribute__((returns_nonnull, warn_unused_result));
char *aff_xstrdup(const char *s) __attribute__((malloc, returns_nonnull, warn_unused_result));
void *aff_xmemdup(const void *data, size_t len) __attribute__((malloc, returns_nonnull, warn_unused_result));

#endif
