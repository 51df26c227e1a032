/*
 * ask.c - questions of this side: the links to other nodes, what waits for an answer, and until when.
 *
 * What may have been received is known by counting: a call remembers where in the bytes of its stream its frame ends. The other
 * side cannot have handled it before the socket took its last byte; after that nobody here knows.
 */
#include "peer/inner.h"

#include "base/alloc.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { QUESTION_BODY_MAX = AFF_PEER_FRAME_MAX - AFF_FRAME_QUESTION_HEAD, LINKS_KEPT = 64 };

/* ---- calls ---- */

static aff_bytes id_key(const struct aff_peer_call *call)
{
    return aff_bytes_of(&call->id, sizeof call->id);
}

static bool may_have_arrived(const struct aff_peer_call *call)
{
    return call->stream->sent >= call->end;
}

/* Its stream does not know it any more. */
static void detach(struct aff_peers *peers, struct aff_peer_call *call)
{
    struct aff_peer_stream *stream = call->stream;
    aff_map_remove(&stream->calls, &call->node);
    aff_heap_remove(&peers->due, &call->due);
    aff_list_remove(&call->link);
    call->stream = NULL;
    stream->waiting_count--;
    peers->calls--;
    if (stream->retired && stream->waiting_count == 0)
        aff_peers_touch(peers, stream);
}

/* Takes the question back when none of it has left; else it may be received, now or later. */
static bool withdraw(struct aff_peer_call *call)
{
    unsigned char *frame = aff_peer_stream_unsent_frame(call->stream, call->end, call->size);
    if (frame)
        aff_frame_make_void(frame);
    return frame != NULL;
}

static void give_up(struct aff_peers *peers, struct aff_peer_call *call, int code)
{
    detach(peers, call);
    aff_peers_reject(peers, call, code);
}

/* Nobody waits for it any more. True: it was not received, and will not be. */
static bool abandon(struct aff_peer_call *call)
{
    if (withdraw(call))
        return true;
    call->stream->doubts++;
    aff_peer_fence_doubt(call->stream);
    return false;
}

static uint32_t left_us(int64_t deadline_ns, int64_t since_ns)
{
    int64_t left = (deadline_ns - since_ns) / 1000;
    return left < 1 ? 1 : left > UINT32_MAX ? UINT32_MAX : (uint32_t)left;
}

/* ---- deadlines ---- */

static void arm(struct aff_peers *peers)
{
    struct aff_heap_node *first = aff_heap_min(&peers->due);
    if (!first || first->key >= peers->due_armed)
        return; /* it fires early and is set again: cheaper than to move it with each call */
    peers->due_armed = first->key;
    aff_loop_timer_set(peers->opts.loop, &peers->due_timer, first->key);
}

void aff_peer_ask_due(struct aff_timer *timer)
{
    struct aff_peers *peers = aff_container_of(timer, struct aff_peers, due_timer);
    int64_t now = aff_loop_now(peers->opts.loop);
    struct aff_heap_node *first;
    peers->due_armed = INT64_MAX;
    while ((first = aff_heap_min(&peers->due)) != NULL && first->key <= now) {
        struct aff_peer_call *call = aff_container_of(first, struct aff_peer_call, due);
        give_up(peers, call, abandon(call) ? AFF_EAGAIN : AFF_EUNKNOWN);
    }
    arm(peers);
}

/* ---- links ---- */

static void forget_link(struct aff_peers *peers, struct aff_peer_link *link)
{
    aff_map_remove(&peers->links, &link->node);
    free(link);
}

void aff_peer_ask_forget_links(struct aff_peers *peers, bool all)
{
    int64_t old = aff_loop_now(peers->opts.loop) - AFF_PEER_FORGET_MS * AFF_NS_PER_MS;
    struct aff_peer_link *last = NULL;
    for (struct aff_map_node *node = NULL; (node = aff_map_next(&peers->links, node)) != NULL;) {
        struct aff_peer_link *link = aff_container_of(node, struct aff_peer_link, node);
        if (last)
            forget_link(peers, last);
        last = all || (!link->stream && link->retry_ns < old) ? link : NULL;
    }
    if (last)
        forget_link(peers, last);
}

static struct aff_peer_link *link_to(struct aff_peers *peers, const struct aff_peer_to *to)
{
    struct aff_map_node *node = aff_map_get(&peers->links, aff_str(to->member));
    if (node)
        return aff_container_of(node, struct aff_peer_link, node);
    if (strlen(to->member) > AFF_HELLO_NAME_MAX)
        return NULL;
    if (peers->links.count >= LINKS_KEPT)
        aff_peer_ask_forget_links(peers, false);
    if (peers->links.count >= AFF_PEER_STREAMS_MAX)
        return NULL;
    struct aff_peer_link *link = aff_xcalloc(1, sizeof *link);
    (void)snprintf(link->member, sizeof link->member, "%s", to->member);
    aff_map_add(&peers->links, &link->node, aff_str(link->member));
    return link;
}

static void back_off(struct aff_peers *peers, struct aff_peer_link *link)
{
    const int64_t most = AFF_PEER_BACKOFF_MAX_MS * AFF_NS_PER_MS;
    int64_t next = link->backoff_ns ? 2 * link->backoff_ns : AFF_PEER_BACKOFF_MIN_MS * AFF_NS_PER_MS;
    link->backoff_ns = next < most ? next : most;
    link->retry_ns = aff_loop_now(peers->opts.loop) + link->backoff_ns;
}

static struct aff_peer_stream *stream_to(struct aff_peers *peers, const struct aff_peer_to *to)
{
    struct aff_peer_link *link = link_to(peers, to);
    if (!link || link->stream || aff_loop_now(peers->opts.loop) < link->retry_ns)
        return link ? link->stream : NULL;
    const char *why = NULL;
    link->stream = aff_peer_stream_open(peers, to, &why);
    if (link->stream) {
        link->stream->to = link;
        return link->stream;
    }
    aff_log(aff_loop_logger(peers->opts.loop), WARN, "peer.unreachable", aff_f_str("member", to->member),
            aff_f_str("address", to->address), aff_f_str("reason", why));
    back_off(peers, link);
    return NULL;
}

/* ---- asking ---- */

static int send_question(struct aff_peers *peers, struct aff_peer_stream *stream, struct aff_peer_call *call,
                         const aff_bytes *parts, size_t parts_count)
{
    bool open = stream->state == AFF_PEER_OPEN; /* else it is counted from the beginning of the stream until it is */
    int64_t now = aff_loop_now(peers->opts.loop);
    struct aff_frame frame = { .type = AFF_FRAME_QUESTION,
                               .kind = call->kind,
                               .id = ++peers->last_id,
                               .left_us = left_us(call->deadline_ns, open ? now : stream->since_ns) };
    size_t before = aff_peer_stream_unsent(stream);
    if (!aff_peer_stream_add(stream, &frame, parts, parts_count))
        return AFF_EAGAIN;
    call->stream = stream;
    call->id = frame.id;
    call->end = stream->sent + aff_peer_stream_unsent(stream);
    call->size = (uint32_t)(aff_peer_stream_unsent(stream) - before);
    aff_map_add(&stream->calls, &call->node, id_key(call));
    aff_list_append(&stream->waiting, &call->link);
    if (stream->waiting_count++ == 0 && open)
        stream->heard_ns = now; /* silence counts from here */
    aff_heap_set(&peers->due, &call->due, call->deadline_ns);
    peers->calls++;
    aff_peers_count(&peers->asked, 1);
    aff_peers_tick(peers);
    arm(peers);
    return 0;
}

static int ask(struct aff_peers *peers, const struct aff_peer_to *to, struct aff_peer_call *call,
               const aff_bytes *parts, size_t parts_count)
{
    size_t len = aff_peer_parts_len(parts, parts_count);
    if (len > QUESTION_BODY_MAX)
        return AFF_ETOOLARGE;
    if (peers->closing || peers->member[0] == '\0' || call->deadline_ns <= aff_loop_now(peers->opts.loop))
        return AFF_EAGAIN;
    struct aff_peer_stream *stream = stream_to(peers, to);
    if (!stream)
        return AFF_EAGAIN;
    if (stream->waiting_count >= peers->opts.questions ||
        aff_peer_stream_unsent(stream) + AFF_FRAME_QUESTION_HEAD + len > peers->opts.bytes)
        return AFF_EQUEUEFULL;
    return send_question(peers, stream, call, parts, parts_count);
}

void aff_peers_call(struct aff_peers *peers, const struct aff_peer_to *to, struct aff_peer_call *call,
                    const aff_bytes *parts, size_t parts_count)
{
    aff_assert_on_loop(peers->opts.loop);
    call->due.slot = 0;
    call->stream = NULL;
    aff_list_init(&call->link);
    int rc = ask(peers, to, call, parts, parts_count);
    if (rc)
        aff_peers_reject(peers, call, rc);
}

void aff_peers_forget(struct aff_peers *peers, struct aff_peer_call *call)
{
    aff_assert_on_loop(peers->opts.loop);
    if (!call->stream) {
        aff_list_remove(&call->link); /* it was about to be told that it failed */
        return;
    }
    (void)abandon(call);
    detach(peers, call);
}

/* ---- what comes back ---- */

/* The deadlines of what waited for HELLO were told from the beginning of the stream; time has passed since. */
static void tell_time(struct aff_peer_stream *stream)
{
    int64_t passed = (aff_loop_now(stream->peers->opts.loop) - stream->since_ns) / 1000;
    aff_list_each(link, &stream->waiting) {
        struct aff_peer_call *call = aff_container_of(link, struct aff_peer_call, link);
        unsigned char *frame = aff_peer_stream_unsent_frame(stream, call->end, call->size);
        assert(frame); /* nothing but HELLO may have left */
        int64_t left = (int64_t)aff_frame_left_us(frame) - passed;
        aff_frame_set_left_us(frame, left < 1 ? 1 : (uint32_t)left);
    }
}

const char *aff_peer_ask_opened(struct aff_peer_stream *stream, const struct aff_hello *hello)
{
    (void)hello;
    tell_time(stream);
    aff_peers_touch(stream->peers, stream);
    aff_peers_tick(stream->peers);
    return NULL;
}

static struct aff_peer_call *call_of(struct aff_peer_stream *stream, uint64_t id)
{
    struct aff_map_node *node = aff_map_get(&stream->calls, aff_bytes_of(&id, sizeof id));
    return node ? aff_container_of(node, struct aff_peer_call, node) : NULL;
}

/* An answer that nobody waits for is no mistake: the question was forgotten, or its deadline has passed. Now it is settled. */
static const char *nobody_waits(struct aff_peer_stream *stream)
{
    stream->doubts -= stream->doubts > 0;
    return NULL;
}

const char *aff_peer_ask_answer(struct aff_peer_stream *stream, const struct aff_frame *frame)
{
    struct aff_peer_call *call = call_of(stream, frame->id);
    if (!call)
        return nobody_waits(stream);
    if (!may_have_arrived(call))
        return "an answer came to a question that was not asked";
    detach(stream->peers, call);
    call->answered(call, 0, frame->body);
    return NULL;
}

const char *aff_peer_ask_refused(struct aff_peer_stream *stream, const struct aff_frame *frame)
{
    struct aff_peer_call *call = call_of(stream, frame->id);
    int code = frame->kind == AFF_REFUSAL_AGAIN  ? AFF_EAGAIN
               : frame->kind == AFF_REFUSAL_FULL ? AFF_EQUEUEFULL
                                                 : AFF_EUNKNOWN;
    if (!call)
        return nobody_waits(stream);
    if (!may_have_arrived(call))
        return "a question was refused that was not asked";
    detach(stream->peers, call);
    call->answered(call, code, aff_bytes_of("", 0));
    return NULL;
}

void aff_peer_ask_retire(struct aff_peer_stream *stream)
{
    stream->retired = true;
    if (stream->to)
        stream->to->stream = NULL;
    stream->to = NULL;
    aff_peers_touch(stream->peers, stream);
}

const char *aff_peer_ask_goodbye(struct aff_peer_stream *stream, const struct aff_frame *frame)
{
    struct aff_peer_link *link = stream->to;
    (void)frame;
    if (link)
        link->retry_ns = aff_loop_now(stream->peers->opts.loop) + AFF_PEER_BACKOFF_MAX_MS * AFF_NS_PER_MS;
    aff_peer_ask_retire(stream);
    return NULL;
}

/* One that worked for a second may be opened again at once; else it waits a little, and longer each time. */
static void unlink_stream(struct aff_peer_stream *stream)
{
    struct aff_peer_link *link = stream->to;
    if (!link)
        return;
    int64_t now = aff_loop_now(stream->peers->opts.loop);
    link->stream = NULL;
    if (stream->state == AFF_PEER_OPEN && now - stream->since_ns >= AFF_NS_PER_S) {
        link->backoff_ns = 0;
        link->retry_ns = now;
    } else {
        back_off(stream->peers, link);
    }
}

void aff_peer_ask_broken(struct aff_peer_stream *stream)
{
    bool doubtful = stream->doubts > 0;
    unlink_stream(stream);
    aff_list_each(link, &stream->waiting) {
        struct aff_peer_call *call = aff_container_of(link, struct aff_peer_call, link);
        bool arrived = may_have_arrived(call);
        doubtful |= arrived;
        give_up(stream->peers, call, arrived ? AFF_EUNKNOWN : AFF_EAGAIN);
    }
    if (doubtful)
        aff_peer_fence_doubt(stream);
}
