/*
 * loop.h - one thread, one epoll: descriptors, timers, a mailbox, and stages at the end of each pass.
 *
 * A pass: wait for descriptors (not at all when there is work) and serve them, take the mailbox, fire due timers, then
 * run the stages in their order; so a message that wakes the loop is served by the pass that it woke. Everything that a
 * loop owns is touched by its thread alone; the mailbox is the only way in from another thread. A loop never blocks but
 * in epoll.
 */
#ifndef AFF_BASE_LOOP_H
#define AFF_BASE_LOOP_H

#include "base/clock.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/log.h"

#include <affinity/error.h>
#include <stdbool.h>
#include <stdint.h>

struct aff_loop;

struct aff_loop_opts {
    const char *name;       /* thread name, at most 15 bytes */
    unsigned index;         /* place among the node's loops, from 0 */
    uint32_t mailbox_slots; /* bound of messages on the way to this loop; 0: 65,536 */
    const struct aff_clock *clock;
    const struct aff_logger *logger;
};

int aff_loop_new(const struct aff_loop_opts *opts, struct aff_loop **ret_loop, aff_error *err);
/* Not running; returns NULL. Forgets messages that were not delivered: after a stop aff_loop_pass() delivers them. */
struct aff_loop *aff_loop_free(struct aff_loop *loop);

void aff_loop_run(struct aff_loop *loop); /* on the thread that becomes the loop's; returns after aff_loop_stop() */
/* Any thread, also before it runs; a signal handler too. What was posted before is delivered before the loop ends. */
void aff_loop_stop(struct aff_loop *loop);
/* One pass, for tests, that waits so long at most (-1: no limit); false once stopped. */
bool aff_loop_pass(struct aff_loop *loop, int64_t max_wait_ns);

unsigned aff_loop_index(const struct aff_loop *loop);
const struct aff_clock *aff_loop_clock(const struct aff_loop *loop);
const struct aff_logger *aff_loop_logger(const struct aff_loop *loop);
/* Is the caller the loop's thread? True for everybody while no thread runs it. For assertions. */
bool aff_loop_here(const struct aff_loop *loop);
int64_t aff_loop_now(const struct aff_loop *loop); /* monotonic ns, read once per pass */

/* ---- descriptors (loop's thread) ---- */

struct aff_io {
    int fd;
    void (*ready)(struct aff_io *io, uint32_t epoll_events);
};
int aff_loop_io_add(struct aff_loop *loop, struct aff_io *io, uint32_t epoll_events);
int aff_loop_io_set(struct aff_loop *loop, struct aff_io *io, uint32_t epoll_events);
/* `ready` is not called any more, even in this pass. Before the descriptor is closed. */
void aff_loop_io_remove(struct aff_loop *loop, struct aff_io *io);

/* ---- timers (loop's thread) ---- */

struct aff_timer {
    struct aff_heap_node node;
    void (*fire)(struct aff_timer *timer);
};
void aff_loop_timer_set(struct aff_loop *loop, struct aff_timer *timer, int64_t due_mono_ns);
void aff_loop_timer_cancel(struct aff_loop *loop, struct aff_timer *timer);

/* ---- stages (loop's thread): what is done once per pass, after all events of the pass ---- */

enum aff_stage {
    AFF_STAGE_HTTP,      /* run the HTTP daemon: handlers submit requests */
    AFF_STAGE_PARTITION, /* commit what was applied, answer, append barriers and repairs */
    AFF_STAGE_LOG,       /* hand the pass's appends to the changelog in one batch */
    AFF_STAGE_PEER,      /* write what the pass asked and answered, once a stream */
    AFF_STAGES
};
struct aff_hook {
    struct aff_list link;
    bool (*run)(struct aff_hook *hook); /* true: there is more to do, do not sleep before the next pass */
};
void aff_loop_hook_add(struct aff_loop *loop, struct aff_hook *hook, enum aff_stage stage);
void aff_loop_hook_remove(struct aff_hook *hook); /* harmless when it was never added (all zero) or is off already */

/* ---- mailbox ---- */

/*
 * A message is embedded in what it carries; posting allocates nothing. `deliver` runs on the loop's thread and may free
 * the message. Order is kept per sender.
 */
struct aff_msg {
    struct aff_msg *next; /* the loop's, like has_slot */
    void (*deliver)(struct aff_msg *msg);
    bool has_slot;
};

/* Takes one of the bounded slots; false when all are taken: the sender then refuses its client (503). Any thread. */
bool aff_loop_reserve(struct aff_loop *loop);
/* Gives a slot back that was reserved and not used. */
void aff_loop_unreserve(struct aff_loop *loop);
/* Sends by a slot that was reserved before; it cannot fail. The slot is free again after `deliver`. Any thread. */
void aff_loop_post(struct aff_loop *loop, struct aff_msg *msg);
/*
 * Runs `run` on the loop's thread as soon as the pass allows; for setup and shutdown, never for requests: it takes no
 * slot. Any thread.
 */
void aff_loop_call(struct aff_loop *loop, struct aff_msg *msg);

#endif
