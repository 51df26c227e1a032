/*
 * cleanup.h - cleanup at the end of a scope; ownership is handed over in sight, by clearing the variable.
 *
 *   AFF_CLEANUP_OF(struct aff_loop, aff_loop_free)               once, after the declaration of aff_loop_free()
 *
 *   AFF_CLEANUP(aff_loop_freep) struct aff_loop *loop = NULL;    freed on every way out of the scope
 *   ...
 *   *ret_loop = loop;
 *   loop = NULL;
 */
#ifndef AFF_BASE_CLEANUP_H
#define AFF_BASE_CLEANUP_H

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AFF_CLEANUP(handler) __attribute__((cleanup(handler)))

/* Defines the handler `<free>p` for pointers to `type`; `free` accepts NULL. */
#define AFF_CLEANUP_OF(type, free)                                                                                     \
    __attribute__((unused)) static inline void free##p(type **variable)                                                \
    {                                                                                                                  \
        (void)free(*variable);                                                                                         \
    }

/* For any pointer that malloc() gave: AFF_CLEANUP(aff_freep) char *text = NULL; */
static inline void aff_freep(void *variable)
{
    void *block = NULL;
    memcpy(&block, variable, sizeof block);
    free(block);
}

/* Hands a descriptor over: what is returned is the caller's, the variable holds none any more. */
static inline int aff_fd_take(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

/* For a descriptor; -1 is none: AFF_CLEANUP(aff_closep) int fd = -1; */
static inline void aff_closep(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

#endif
