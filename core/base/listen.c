/*
 * listen.c - see listen.h.
 */
#include "base/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 1024, ADDRESS_TEXT_MAX = 46 };

static int bind_one(const struct addrinfo *info, int *ret_fd)
{
    const int on = 1;
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (info->ai_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, info->ai_addr, info->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        int error = errno;
        (void)close(fd);
        errno = error;
        return -1;
    }
    *ret_fd = fd;
    return 0;
}

int aff_listen(const char *what, const char *host, uint16_t port, int *ret_fd, aff_error *err)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
    struct addrinfo *found = NULL;
    char service[8];
    (void)snprintf(service, sizeof service, "%u", (unsigned)port);
    int rc = getaddrinfo(host, service, &hints, &found);
    if (rc)
        return aff_fail_with(err, AFF_ECONFIG, "%s: cannot listen on %s port %s: %s", what, host, service,
                             gai_strerror(rc));
    int error = 0, done = -1;
    for (const struct addrinfo *info = found; info && done < 0; info = info->ai_next) {
        done = bind_one(info, ret_fd);
        error = errno;
    }
    freeaddrinfo(found);
    return done == 0 ? 0
                     : aff_fail_with(err, error == EADDRINUSE ? AFF_EBUSY : AFF_EIO,
                                     "%s: cannot listen on %s port %s: %s", what, host, service, strerror(error));
}

void aff_listen_address(int fd, char *out, size_t size)
{
    struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
    socklen_t len = sizeof address;
    char host[ADDRESS_TEXT_MAX] = "?", port[8] = "?";
    if (getsockname(fd, (struct sockaddr *)&address, &len) == 0)
        (void)getnameinfo((const struct sockaddr *)&address, len, host, sizeof host, port, sizeof port,
                          NI_NUMERICHOST | NI_NUMERICSERV);
    (void)snprintf(out, size, address.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}
