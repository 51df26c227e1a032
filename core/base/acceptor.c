/*
 * acceptor.c - see acceptor.h.
 */
#include "base/acceptor.h"

#include "base/listen.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { ACCEPTS_AT_ONCE = 64, PAUSE_MS = 100 };

static void resume(struct aff_timer *timer)
{
    struct aff_acceptor *acceptor = aff_container_of(timer, struct aff_acceptor, pause);
    (void)aff_loop_io_set(acceptor->loop, &acceptor->io, EPOLLIN);
}

static void rest(struct aff_acceptor *acceptor, int error)
{
    struct aff_loop *loop = acceptor->loop;
    aff_log_fields(
        aff_loop_logger(loop), AFF_LOG_WARN, acceptor->event,
        (const struct aff_log_field[]){ aff_f_str("address", acceptor->address), aff_f_str("error", strerror(error)) },
        2);
    (void)aff_loop_io_set(loop, &acceptor->io, 0);
    aff_loop_timer_set(loop, &acceptor->pause, aff_loop_now(loop) + PAUSE_MS * AFF_NS_PER_MS);
}

static void acceptable(struct aff_io *io, uint32_t epoll_events)
{
    struct aff_acceptor *acceptor = aff_container_of(io, struct aff_acceptor, io);
    (void)epoll_events;
    for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
        struct sockaddr_storage from;
        socklen_t len = sizeof from;
        int fd = accept4(io->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            acceptor->arrived(acceptor, fd, (const struct sockaddr *)&from, len);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            rest(acceptor, errno);
        if (errno != ECONNABORTED && errno != EINTR)
            return;
    }
}

int aff_acceptor_begin(struct aff_acceptor *acceptor, const struct aff_acceptor_opts *opts, aff_error *err)
{
    int fd = opts->bound;
    int rc = fd > 0 ? 0 : aff_listen(opts->what, opts->host, opts->port, &fd, err);
    if (rc)
        return rc;
    acceptor->loop = opts->loop;
    acceptor->event = opts->event;
    acceptor->io = (struct aff_io){ .fd = fd, .ready = acceptable };
    acceptor->pause.fire = resume;
    aff_listen_address(fd, acceptor->address, sizeof acceptor->address);
    rc = aff_loop_io_add(opts->loop, &acceptor->io, EPOLLIN);
    acceptor->open = rc == 0;
    if (rc == 0)
        return 0;
    if (!opts->bound)
        (void)close(fd);
    return aff_fail_with(err, rc, "%s: the listener on %s could not be added to its loop", opts->what,
                         acceptor->address);
}

void aff_acceptor_end(struct aff_acceptor *acceptor)
{
    if (!acceptor->open)
        return;
    acceptor->open = false;
    aff_loop_timer_cancel(acceptor->loop, &acceptor->pause);
    aff_loop_io_remove(acceptor->loop, &acceptor->io);
    (void)close(acceptor->io.fd);
}

static void close_asked(struct aff_msg *msg)
{
    aff_acceptor_end(aff_container_of(msg, struct aff_acceptor, close));
}

void aff_acceptor_close(struct aff_acceptor *acceptor)
{
    if (atomic_exchange(&acceptor->closing, true))
        return;
    acceptor->close.deliver = close_asked;
    aff_loop_call(acceptor->loop, &acceptor->close);
}
