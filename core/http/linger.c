/*
 * linger.c - see linger.h. The loop's thread.
 */
#include "http/linger.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINGER_S = 2, LINGER_BYTES = 4 << 20, READS_AT_ONCE = 8 };

void aff_linger_cut(struct aff_linger *linger)
{
    aff_loop_timer_cancel(linger->loop, &linger->timer);
    aff_loop_io_remove(linger->loop, &linger->io);
    (void)close(linger->io.fd);
    linger->ended(linger);
}

static void expired(struct aff_timer *timer)
{
    aff_linger_cut(aff_container_of(timer, struct aff_linger, timer));
}

static void readable(struct aff_io *io, uint32_t epoll_events)
{
    struct aff_linger *linger = aff_container_of(io, struct aff_linger, io);
    static _Thread_local char sink[16384];
    (void)epoll_events;
    for (int i = 0; i < READS_AT_ONCE; i++) {
        ssize_t got = recv(io->fd, sink, sizeof sink, MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (got <= 0 || (uint64_t)got > linger->left) {
            aff_linger_cut(linger);
            return;
        }
        linger->left -= (uint64_t)got;
    }
}

bool aff_linger_begin(struct aff_linger *linger, struct aff_loop *loop, int fd,
                      void (*ended)(struct aff_linger *linger))
{
    *linger = (struct aff_linger){
        .loop = loop, .io = { .fd = fd, .ready = readable }, .left = LINGER_BYTES, .ended = ended
    };
    if (aff_loop_io_add(loop, &linger->io, EPOLLIN | EPOLLRDHUP) != 0)
        return false;
    (void)shutdown(fd, SHUT_WR);
    linger->timer.fire = expired;
    aff_loop_timer_set(loop, &linger->timer, aff_loop_now(loop) + LINGER_S * AFF_NS_PER_S);
    return true;
}
