/* peers.c - the peers of a loop as a whole: life, the end of the pass, the clock, numbers. See inner.h. */
#include "peer/inner.h"

#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum { QUESTIONS = 8192, BYTES = 32 * 1024 * 1024, TICK_MS = 250 };

/* ---- the end of the pass ---- */

static void nothing(struct aff_timer *timer)
{
    (void)timer; /* the pass that it woke does the rest */
}

static void wake(struct aff_peers *peers)
{
    if (!aff_heap_has(&peers->soon.node))
        aff_loop_timer_set(peers->opts.loop, &peers->soon, aff_loop_now(peers->opts.loop));
}

void aff_peers_touch(struct aff_peers *peers, struct aff_peer_stream *stream)
{
    if (!aff_list_empty(&stream->touched))
        return;
    aff_list_append(&peers->touched, &stream->touched);
    wake(peers);
}

void aff_peers_reject(struct aff_peers *peers, struct aff_peer_call *call, int code)
{
    call->code = code;
    aff_list_append(&peers->rejected, &call->link);
    wake(peers);
}

/* Those that are there now; a callback may ask again and be rejected again. */
static void answer_rejected(struct aff_peers *peers)
{
    struct aff_list batch, *link;
    aff_list_init(&batch);
    aff_list_splice(&batch, &peers->rejected);
    while ((link = aff_list_take(&batch)) != NULL) {
        struct aff_peer_call *call = aff_container_of(link, struct aff_peer_call, link);
        call->answered(call, call->code, aff_bytes_of("", 0));
    }
}

static bool end_of_pass(struct aff_hook *hook)
{
    struct aff_peers *peers = aff_container_of(hook, struct aff_peers, hook);
    struct aff_list *link;
    aff_loop_timer_cancel(peers->opts.loop, &peers->soon);
    answer_rejected(peers);
    while ((link = aff_list_take(&peers->touched)) != NULL)
        aff_peer_stream_settle(aff_container_of(link, struct aff_peer_stream, touched));
    return !aff_list_empty(&peers->rejected);
}

/* ---- the clock ---- */

void aff_peers_tick(struct aff_peers *peers)
{
    if (peers->ticking)
        return;
    peers->ticking = true;
    aff_loop_timer_set(peers->opts.loop, &peers->tick, aff_loop_now(peers->opts.loop) + TICK_MS * AFF_NS_PER_MS);
}

static void tick(struct aff_timer *timer)
{
    struct aff_peers *peers = aff_container_of(timer, struct aff_peers, tick);
    int64_t now = aff_loop_now(peers->opts.loop);
    bool more = false;
    peers->ticking = false;
    aff_list_each(link, &peers->streams)
        more |= aff_peer_stream_tick(aff_container_of(link, struct aff_peer_stream, link), now);
    if (more)
        aff_peers_tick(peers);
}

/* ---- life ---- */

static uint64_t seed_of(const struct aff_peers *peers)
{
    uint64_t seed = (uintptr_t)peers;
    (void)!getrandom(&seed, sizeof seed, GRND_NONBLOCK);
    return seed;
}

int aff_peers_new(const struct aff_peers_opts *opts, struct aff_peers **ret_peers, aff_error *err)
{
    size_t len = strlen(opts->cluster);
    if (len == 0 || len > AFF_HELLO_NAME_MAX)
        return aff_fail_with(err, AFF_ECONFIG, "peers: the cluster's name '%s' has not 1 to %d bytes", opts->cluster,
                             AFF_HELLO_NAME_MAX);
    struct aff_peers *peers = aff_xcalloc(1, sizeof *peers);
    peers->opts = *opts;
    peers->cluster = aff_xstrdup(opts->cluster);
    peers->opts.cluster = peers->cluster;
    peers->opts.questions = opts->questions ? opts->questions : QUESTIONS;
    peers->opts.bytes = opts->bytes ? opts->bytes : BYTES;
    peers->seed = seed_of(peers);
    peers->asker = seed_of(peers) | 1; /* it is not 0 */
    peers->next = peers;
    peers->soon.fire = nothing;
    peers->due_timer.fire = aff_peer_ask_due;
    peers->due_armed = INT64_MAX;
    peers->tick.fire = tick;
    aff_map_init(&peers->links, peers->seed);
    aff_heap_init(&peers->due);
    aff_list_init(&peers->streams);
    aff_list_init(&peers->touched);
    aff_list_init(&peers->rejected);
    aff_list_init(&peers->fenced);
    aff_list_init(&peers->orphans);
    aff_list_init(&peers->spare_questions);
    aff_buf_init(&peers->spare_in);
    peers->hook.run = end_of_pass;
    aff_loop_hook_add(opts->loop, &peers->hook, AFF_STAGE_PEER);
    *ret_peers = peers;
    return 0;
}

void aff_peers_name(struct aff_peers *peers, const char *member)
{
    aff_assert_on_loop(peers->opts.loop);
    if (strcmp(peers->member, member) == 0)
        return;
    bool renamed = peers->member[0] != '\0';
    (void)snprintf(peers->member, sizeof peers->member, "%s", member);
    if (!renamed)
        return;
    aff_list_each(link, &peers->streams) {
        struct aff_peer_stream *stream = aff_container_of(link, struct aff_peer_stream, link);
        if (stream->outgoing)
            aff_peer_ask_retire(stream);
        else
            aff_peer_stream_goodbye(stream);
    }
}

void aff_peers_drain(struct aff_peers *peers)
{
    aff_assert_on_loop(peers->opts.loop);
    peers->draining = true;
    aff_list_each(link, &peers->streams)
        aff_peer_stream_goodbye(aff_container_of(link, struct aff_peer_stream, link));
}

bool aff_peers_quiet(const struct aff_peers *peers)
{
    aff_assert_on_loop(peers->opts.loop);
    if (peers->calls > 0 || peers->questions > 0 || !aff_list_empty(&peers->rejected))
        return false;
    aff_list_each(link, &peers->streams)
        if (aff_peer_stream_unsent(aff_container_of(link, struct aff_peer_stream, link)) > 0)
            return false;
    return true;
}

struct aff_peers *aff_peers_free(struct aff_peers *peers)
{
    if (!peers)
        return NULL;
    struct aff_loop *loop = peers->opts.loop;
    aff_assert_on_loop(loop);
    peers->closing = true;
    aff_list_each(link, &peers->streams)
        aff_peer_stream_close(aff_container_of(link, struct aff_peer_stream, link), NULL);
    while (!aff_list_empty(&peers->rejected))
        answer_rejected(peers);
    aff_peer_serve_fini(peers);
    aff_peer_ask_forget_links(peers, true);
    aff_loop_timer_cancel(loop, &peers->soon);
    aff_loop_timer_cancel(loop, &peers->due_timer);
    aff_loop_timer_cancel(loop, &peers->tick);
    aff_loop_hook_remove(&peers->hook);
    aff_map_fini(&peers->links);
    aff_heap_fini(&peers->due);
    aff_buf_fini(&peers->spare_in);
    free(peers->cluster);
    free(peers);
    return NULL;
}

/* ---- numbers ---- */

static uint64_t number(const atomic_uint_fast64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void aff_peers_stats(const struct aff_peers *peers, struct aff_peers_stats *ret_stats)
{
    *ret_stats = (struct aff_peers_stats){
        .streams = number(&peers->streams_open),
        .asked = number(&peers->asked),
        .answered = number(&peers->answered),
        .refused = number(&peers->refused),
        .broken = number(&peers->broken),
        .bytes_out = number(&peers->bytes_out),
        .bytes_in = number(&peers->bytes_in),
    };
}
