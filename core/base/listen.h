/*
 * listen.h - a socket that listens: by whoever serves on it, or ahead of it by a process that outlives the one that serves. Any thread.
 */
#ifndef AFF_BASE_LISTEN_H
#define AFF_BASE_LISTEN_H

#include <affinity/error.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Binds to a name or address (without brackets) and a port (0: any free one) and listens; does not block in accept. `what` begins the
 * error: "http: cannot listen on ...". AFF_ECONFIG: there is no such name; AFF_EBUSY: somebody listens there; AFF_EIO: it
 * could not be bound.
 */
int aff_listen(const char *what, const char *host, uint16_t port, int *ret_fd, aff_error *err);

/* Where it listens: "127.0.0.1:41234", "[::1]:41234". */
void aff_listen_address(int fd, char *out, size_t size);

#endif
