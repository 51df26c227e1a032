/*
 * loop.c - see loop.h.
 *
 * The mailbox is a stack that senders push to by compare-and-swap; the loop takes all of it by one exchange and turns
 * it round, so the order of each sender is kept. A sender writes to the eventfd only when the loop may be asleep:
 *
 *   loop:    sleeping = true;  is the inbox empty?  then epoll
 *   sender:  push to the inbox;  was it sleeping?   then eventfd
 *
 * All four are sequentially consistent, so at least one of the two sees the other. (Fences would do as well; the thread
 * sanitizer does not understand them.)
 */
#include "base/loop.h"

#include "base/alloc.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_PER_PASS = 256, DEFAULT_SLOTS = 65536 };

struct aff_loop {
    /* any thread */
    _Atomic(struct aff_msg *) inbox; /* newest first */
    atomic_uint_fast32_t reserved;   /* slots that are reserved or on the way */
    atomic_bool sleeping, stop;
    _Atomic(const void *) owner; /* of the thread that runs it, thread_mark(); NULL while none does */

    /* constant */
    char name[16];
    unsigned index;
    uint32_t slots;
    const struct aff_clock *clock;
    const struct aff_logger *logger;
    int epoll_fd;

    /* the loop's thread */
    struct aff_io wake; /* the eventfd */
    int64_t now;
    bool more;         /* a stage has more to do: do not sleep */
    bool coarse_epoll; /* the kernel has no epoll_pwait2 */
    struct aff_heap timers;
    struct aff_list stages[AFF_STAGES];
    int event_count; /* of the pass that is running */
    struct epoll_event events[EVENTS_PER_PASS];
};

/* ---- ownership ---- */

/* An address that no two living threads share. */
static const void *thread_mark(void)
{
    static _Thread_local char mark;
    return &mark;
}

static void enter(struct aff_loop *loop)
{
    const void *nobody = NULL;
    bool entered = atomic_compare_exchange_strong(&loop->owner, &nobody, thread_mark());
    assert(entered);
    (void)entered;
}

static void leave(struct aff_loop *loop)
{
    atomic_store(&loop->owner, NULL);
}

bool aff_loop_here(const struct aff_loop *loop)
{
    const void *owner = atomic_load_explicit(&loop->owner, memory_order_acquire);
    return !owner || owner == thread_mark();
}

/* ---- life ---- */

static void wake_ready(struct aff_io *io, uint32_t epoll_events)
{
    (void)io;
    (void)epoll_events; /* edge-triggered: nobody needs to read it */
}

static int open_descriptors(struct aff_loop *loop, aff_error *err)
{
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0)
        return aff_fail_with(err, AFF_EIO, "loop %s: epoll_create1: %s", loop->name, strerror(errno));
    loop->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->wake.fd < 0)
        return aff_fail_with(err, AFF_EIO, "loop %s: eventfd: %s", loop->name, strerror(errno));
    int rc = aff_loop_io_add(loop, &loop->wake, EPOLLIN | EPOLLET);
    return rc ? aff_fail_with(err, rc, "loop %s: epoll_ctl: %s", loop->name, strerror(errno)) : 0;
}

int aff_loop_new(const struct aff_loop_opts *opts, struct aff_loop **ret_loop, aff_error *err)
{
    struct aff_loop *loop = aff_xcalloc(1, sizeof *loop);
    (void)snprintf(loop->name, sizeof loop->name, "%s", opts->name ? opts->name : "loop");
    loop->index = opts->index;
    loop->slots = opts->mailbox_slots ? opts->mailbox_slots : DEFAULT_SLOTS;
    loop->clock = opts->clock ? opts->clock : aff_clock_system();
    loop->logger = opts->logger;
    loop->epoll_fd = -1;
    loop->wake = (struct aff_io){ .fd = -1, .ready = wake_ready };
    loop->now = aff_mono_ns(loop->clock);
    aff_heap_init(&loop->timers);
    for (int i = 0; i < AFF_STAGES; i++)
        aff_list_init(&loop->stages[i]);
    int rc = open_descriptors(loop, err);
    if (rc) {
        (void)aff_loop_free(loop);
        return rc;
    }
    *ret_loop = loop;
    return 0;
}

struct aff_loop *aff_loop_free(struct aff_loop *loop)
{
    if (!loop)
        return NULL;
    assert(!atomic_load(&loop->owner));
    if (loop->wake.fd >= 0)
        (void)close(loop->wake.fd);
    if (loop->epoll_fd >= 0)
        (void)close(loop->epoll_fd);
    aff_heap_fini(&loop->timers);
    free(loop);
    return NULL;
}

unsigned aff_loop_index(const struct aff_loop *loop)
{
    return loop->index;
}

const struct aff_clock *aff_loop_clock(const struct aff_loop *loop)
{
    return loop->clock;
}

const struct aff_logger *aff_loop_logger(const struct aff_loop *loop)
{
    return loop->logger;
}

int64_t aff_loop_now(const struct aff_loop *loop)
{
    assert(aff_loop_here(loop));
    return loop->now;
}

/* ---- descriptors ---- */

static int control(struct aff_loop *loop, int operation, struct aff_io *io, uint32_t epoll_events)
{
    assert(aff_loop_here(loop));
    struct epoll_event event = { .events = epoll_events, .data.ptr = io };
    if (epoll_ctl(loop->epoll_fd, operation, io->fd, &event) == 0)
        return 0;
    return errno == ENOMEM || errno == ENOSPC ? AFF_ENOMEM : AFF_EIO;
}

int aff_loop_io_add(struct aff_loop *loop, struct aff_io *io, uint32_t epoll_events)
{
    return control(loop, EPOLL_CTL_ADD, io, epoll_events);
}

int aff_loop_io_set(struct aff_loop *loop, struct aff_io *io, uint32_t epoll_events)
{
    return control(loop, EPOLL_CTL_MOD, io, epoll_events);
}

void aff_loop_io_remove(struct aff_loop *loop, struct aff_io *io)
{
    int rc = control(loop, EPOLL_CTL_DEL, io, 0);
    assert(rc == 0); /* it was added, and its descriptor is still open */
    (void)rc;
    for (int i = 0; i < loop->event_count; i++)
        if (loop->events[i].data.ptr == io)
            loop->events[i].data.ptr = NULL;
}

static void serve_events(struct aff_loop *loop, int count)
{
    loop->event_count = count;
    for (int i = 0; i < count; i++) {
        struct aff_io *io = loop->events[i].data.ptr;
        if (io)
            io->ready(io, loop->events[i].events);
    }
    loop->event_count = 0;
}

/* ---- timers ---- */

void aff_loop_timer_set(struct aff_loop *loop, struct aff_timer *timer, int64_t due_mono_ns)
{
    assert(aff_loop_here(loop));
    aff_heap_set(&loop->timers, &timer->node, due_mono_ns);
}

void aff_loop_timer_cancel(struct aff_loop *loop, struct aff_timer *timer)
{
    assert(aff_loop_here(loop));
    aff_heap_remove(&loop->timers, &timer->node);
}

/* At most as many as there were: a timer that sets itself again to a time that has passed waits for the next pass. */
static void fire_timers(struct aff_loop *loop)
{
    for (size_t left = loop->timers.count; left > 0; left--) {
        struct aff_heap_node *node = aff_heap_min(&loop->timers);
        if (!node || node->key > loop->now)
            return;
        aff_heap_remove(&loop->timers, node);
        struct aff_timer *timer = aff_container_of(node, struct aff_timer, node);
        timer->fire(timer);
    }
}

/* ---- stages ---- */

void aff_loop_hook_add(struct aff_loop *loop, struct aff_hook *hook, enum aff_stage stage)
{
    assert(aff_loop_here(loop) && stage < AFF_STAGES);
    aff_list_append(&loop->stages[stage], &hook->link);
}

void aff_loop_hook_remove(struct aff_hook *hook)
{
    if (hook->link.next)
        aff_list_remove(&hook->link);
}

/* Hooks wait on a list of this pass and go back before they run, so any of them may be removed and freed by any. */
static bool run_stage(struct aff_list *stage)
{
    bool more = false;
    struct aff_list waiting, *link;
    aff_list_init(&waiting);
    aff_list_splice(&waiting, stage);
    while ((link = aff_list_take(&waiting)) != NULL) {
        aff_list_append(stage, link);
        struct aff_hook *hook = aff_container_of(link, struct aff_hook, link);
        more |= hook->run(hook);
    }
    return more;
}

static bool run_stages(struct aff_loop *loop)
{
    bool more = false;
    for (int i = 0; i < AFF_STAGES; i++)
        more |= run_stage(&loop->stages[i]);
    return more;
}

/* ---- mailbox ---- */

static void kick(struct aff_loop *loop)
{
    if (!atomic_load(&loop->sleeping) || !atomic_exchange(&loop->sleeping, false))
        return;
    uint64_t one = 1;
    ssize_t written = write(loop->wake.fd, &one, sizeof one);
    (void)written; /* it can only be full, and then the loop is awake */
}

static void push(struct aff_loop *loop, struct aff_msg *msg)
{
    struct aff_msg *head = atomic_load_explicit(&loop->inbox, memory_order_relaxed);
    do
        msg->next = head;
    while (!atomic_compare_exchange_weak(&loop->inbox, &head, msg));
    kick(loop);
}

bool aff_loop_reserve(struct aff_loop *loop)
{
    uint_fast32_t taken = atomic_load_explicit(&loop->reserved, memory_order_relaxed);
    do
        if (taken >= loop->slots)
            return false;
    while (!atomic_compare_exchange_weak_explicit(&loop->reserved, &taken, taken + 1, memory_order_acq_rel,
                                                  memory_order_relaxed));
    return true;
}

void aff_loop_unreserve(struct aff_loop *loop)
{
    uint_fast32_t taken = atomic_fetch_sub_explicit(&loop->reserved, 1, memory_order_acq_rel);
    assert(taken > 0);
    (void)taken;
}

void aff_loop_post(struct aff_loop *loop, struct aff_msg *msg)
{
    msg->has_slot = true;
    push(loop, msg);
}

void aff_loop_call(struct aff_loop *loop, struct aff_msg *msg)
{
    msg->has_slot = false;
    push(loop, msg);
}

static struct aff_msg *oldest_first(struct aff_msg *newest)
{
    struct aff_msg *done = NULL;
    while (newest) {
        struct aff_msg *next = newest->next;
        newest->next = done;
        done = newest;
        newest = next;
    }
    return done;
}

static void take_mailbox(struct aff_loop *loop)
{
    if (!atomic_load_explicit(&loop->inbox, memory_order_relaxed))
        return;
    struct aff_msg *next, *msg = oldest_first(atomic_exchange(&loop->inbox, NULL));
    for (; msg; msg = next) {
        next = msg->next;
        bool has_slot = msg->has_slot;
        msg->deliver(msg);
        if (has_slot)
            aff_loop_unreserve(loop);
    }
}

/* ---- passes ---- */

/* How long the loop may sleep, -1 for ever: until the first timer, and not at all when there is work. */
static int64_t sleep_limit(struct aff_loop *loop, int64_t max_wait_ns)
{
    if (loop->more)
        return 0;
    struct aff_heap_node *first = aff_heap_min(&loop->timers);
    if (!first || max_wait_ns == 0)
        return max_wait_ns;
    int64_t now = aff_mono_ns(loop->clock);
    if (first->key <= now)
        return 0;
    int64_t left = first->key - now;
    return max_wait_ns < 0 || left < max_wait_ns ? left : max_wait_ns;
}

static int poll_coarsely(struct aff_loop *loop, int64_t wait_ns)
{
    int64_t ms = wait_ns < 0 ? -1 : wait_ns / AFF_NS_PER_MS + (wait_ns % AFF_NS_PER_MS != 0);
    return epoll_wait(loop->epoll_fd, loop->events, EVENTS_PER_PASS, ms > INT_MAX ? INT_MAX : (int)ms);
}

static int poll_events(struct aff_loop *loop, int64_t wait_ns)
{
#ifdef AFF_HAVE_EPOLL_PWAIT2
    if (wait_ns > 0 && !loop->coarse_epoll) {
        struct timespec limit = { .tv_sec = (time_t)(wait_ns / AFF_NS_PER_S),
                                  .tv_nsec = (long)(wait_ns % AFF_NS_PER_S) };
        int count = epoll_pwait2(loop->epoll_fd, loop->events, EVENTS_PER_PASS, &limit, NULL);
        if (count >= 0 || errno != ENOSYS)
            return count;
        loop->coarse_epoll = true;
    }
#endif
    return poll_coarsely(loop, wait_ns);
}

static int wait_for_events(struct aff_loop *loop, int64_t wait_ns)
{
    if (wait_ns != 0) {
        atomic_store(&loop->sleeping, true);
        if (atomic_load(&loop->inbox) || atomic_load(&loop->stop))
            wait_ns = 0;
    }
    int count = poll_events(loop, wait_ns);
    atomic_store_explicit(&loop->sleeping, false, memory_order_relaxed);
    assert(count >= 0 || errno == EINTR);
    return count < 0 ? 0 : count;
}

/* `stop` is read first, so whatever was posted before it was set is delivered by the last pass. */
static bool pass(struct aff_loop *loop, int64_t max_wait_ns)
{
    bool stopping = atomic_load(&loop->stop);
    int count = wait_for_events(loop, stopping ? 0 : sleep_limit(loop, max_wait_ns));
    loop->now = aff_mono_ns(loop->clock);
    serve_events(loop, count);
    take_mailbox(loop);
    fire_timers(loop);
    loop->more = run_stages(loop);
    return !stopping;
}

bool aff_loop_pass(struct aff_loop *loop, int64_t max_wait_ns)
{
    enter(loop);
    bool more = pass(loop, max_wait_ns);
    leave(loop);
    return more;
}

void aff_loop_run(struct aff_loop *loop)
{
    enter(loop);
    (void)pthread_setname_np(pthread_self(), loop->name);
    while (pass(loop, -1))
        continue;
    leave(loop);
}

void aff_loop_stop(struct aff_loop *loop)
{
    atomic_store(&loop->stop, true);
    kick(loop);
}
