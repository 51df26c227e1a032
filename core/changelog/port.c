/*
 * port.c - see port.h. Everything but aff_port_ring() runs on the loop's thread.
 */
#include "changelog/port.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void enter(struct aff_port *port)
{
    port->running++;
}

static void leave(struct aff_port *port)
{
    port->running--;
    if (port->finished && port->running == 0)
        port->ops->gone(port);
}

static void io_ready(struct aff_io *io, uint32_t events)
{
    struct aff_port *port = aff_container_of(io, struct aff_port, io);
    uint64_t count;

    (void)events;
    while (read(io->fd, &count, sizeof count) < 0 && errno == EINTR)
        ;
    enter(port);
    port->ops->rung(port);
    leave(port);
}

static bool hook_run(struct aff_hook *hook)
{
    struct aff_port *port = aff_container_of(hook, struct aff_port, hook);
    enter(port);
    bool more = port->ops->pass(port);
    leave(port);
    return more;
}

int aff_port_init(struct aff_port *port, struct aff_loop *loop, const struct aff_port_ops *ops, aff_error *err)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0)
        return aff_fail_with(err, AFF_EIO, "changelog: no descriptor to wake a loop by: %s", strerror(errno));
    *port = (struct aff_port){
        .ops = ops, .loop = loop, .io = { .fd = fd, .ready = io_ready }, .hook = { .run = hook_run }
    };
    int rc = aff_loop_io_add(loop, &port->io, EPOLLIN);
    if (rc) {
        close(fd);
        return aff_fail_with(err, rc, "changelog: the loop did not take the descriptor that wakes it");
    }
    aff_loop_hook_add(loop, &port->hook, AFF_STAGE_LOG);
    return 0;
}

void aff_port_fini(struct aff_port *port)
{
    aff_loop_hook_remove(&port->hook);
    aff_loop_io_remove(port->loop, &port->io);
    close(port->io.fd);
    port->finished = true;
    if (port->running == 0)
        port->ops->gone(port);
}

void aff_port_ring(struct aff_port *port)
{
    static const uint64_t one = 1;

    while (write(port->io.fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}
