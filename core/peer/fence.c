/*
 * fence.c - between the streams of one asker: what was asked on an older one is not handled after what is asked on a newer one (I10).
 *
 * A question that may have been received is asked again when it is identified, and the second answer counts, also when it is a
 * refusal. So the first copy must not be handled after that; and it may lie in the socket of a stream that broke, where who
 * answers finds it later than the repeat on a stream of another loop. Therefore who opens a stream tells which of its older ones it
 * still stands by: those on which every question has its answer or somebody who waits for it. Who answers closes the others on
 * all its loops, unread, and says HELLO after that; and before HELLO nothing is asked.
 *
 * An asker is a loop of a process: no question changes its loop. When a question becomes doubtful while newer streams to that node are
 * open, these take nothing new: the next one is opened with a HELLO that knows.
 *
 * Each loop's streams are closed on it: a message goes round the ring of those that a listener deals to, and comes home.
 */
#include "peer/inner.h"

#include <stdio.h>

/* ---- asking ---- */

/* "<name>-<10 digits>": another incarnation of a node may be the same process. */
static size_t name_len(const char *member)
{
    const char *dash = strrchr(member, '-');
    return dash ? (size_t)(dash - member) : strlen(member);
}

static bool is_same_node(const char *one, const char *other)
{
    size_t len = name_len(one);
    return len == name_len(other) && memcmp(one, other, len) == 0;
}

/* At most so many can be told; of others the node hears no more, and they end. */
void aff_peer_fence_fill(const struct aff_peer_stream *stream, struct aff_hello_fence *ret_fence)
{
    *ret_fence = (struct aff_hello_fence){ .asker = stream->peers->asker, .stream = stream->fence.stream };
    aff_list_each(link, &stream->peers->streams) {
        const struct aff_peer_stream *other = aff_container_of(link, struct aff_peer_stream, link);
        if (other != stream && other->outgoing && other->state == AFF_PEER_OPEN && !other->failed && other->doubts == 0 &&
            ret_fence->kept_count < AFF_HELLO_STREAMS_MAX && is_same_node(other->member, stream->member))
            ret_fence->kept[ret_fence->kept_count++] = other->fence.stream;
    }
}

/* What is asked on the stream itself stays behind what was asked there before. */
void aff_peer_fence_doubt(struct aff_peer_stream *stream)
{
    aff_list_each(link, &stream->peers->streams) {
        struct aff_peer_stream *other = aff_container_of(link, struct aff_peer_stream, link);
        if (other != stream && other->outgoing && other->to && is_same_node(other->member, stream->member))
            aff_peer_ask_retire(other);
    }
}

/* ---- answering ---- */

static bool is_kept(const struct aff_hello_fence *fence, uint64_t stream)
{
    for (unsigned i = 0; i < fence->kept_count; i++)
        if (fence->kept[i] == stream)
            return true;
    return false;
}

/* Of this loop. What was read of them is with the partitions already, before anything that the new one brings. */
static void end_older(struct aff_peers *peers, const struct aff_hello_fence *fence)
{
    aff_list_each(link, &peers->streams) {
        struct aff_peer_stream *s = aff_container_of(link, struct aff_peer_stream, link);
        if (!s->outgoing && s->fence.asker == fence->asker && s->fence.stream < fence->stream &&
            !is_kept(fence, s->fence.stream))
            aff_peer_stream_close(s, "who opened it has opened another, and given this one up");
    }
}

static void sweep_on(struct aff_peers *home);

static void came_home(struct aff_peers *home)
{
    struct aff_peer_stream *stream = home->sweep.stream;
    home->sweep.home = NULL;
    if (stream) {
        aff_list_remove(&stream->fenced);
        home->sweep.stream = NULL;
        const char *why = aff_peer_stream_welcome(stream);
        if (why)
            aff_peer_stream_close(stream, why);
    }
    sweep_on(home);
}

static void next_loop(struct aff_peer_sweep *sweep);

static void swept(struct aff_msg *msg)
{
    struct aff_peer_sweep *sweep = aff_container_of(msg, struct aff_peer_sweep, msg);
    if (sweep->at == sweep->home) {
        came_home(sweep->home);
        return;
    }
    end_older(sweep->at, &sweep->fence);
    next_loop(sweep);
}

static void next_loop(struct aff_peer_sweep *sweep)
{
    sweep->at = sweep->at->next;
    sweep->msg.deliver = swept;
    aff_loop_call(sweep->at->opts.loop, &sweep->msg);
}

/* The first that waits goes round, when none does. */
static void sweep_on(struct aff_peers *home)
{
    struct aff_peer_sweep *sweep = &home->sweep;
    if (sweep->home || aff_list_empty(&home->fenced))
        return;
    sweep->home = sweep->at = home;
    sweep->stream = aff_container_of(home->fenced.next, struct aff_peer_stream, fenced);
    sweep->fence = sweep->stream->fence;
    next_loop(sweep);
}

const char *aff_peer_fence_raise(struct aff_peer_stream *stream)
{
    struct aff_peers *peers = stream->peers;
    if (stream->fence.asker == 0)
        return aff_peer_stream_welcome(stream);
    end_older(peers, &stream->fence);
    if (peers->next == peers)
        return aff_peer_stream_welcome(stream);
    aff_list_append(&peers->fenced, &stream->fenced);
    sweep_on(peers);
    return NULL;
}

void aff_peer_fence_broken(struct aff_peer_stream *stream)
{
    aff_list_remove(&stream->fenced);
    if (stream->peers->sweep.stream == stream)
        stream->peers->sweep.stream = NULL;
}
