/*
 * serve.c - questions of other nodes: each is kept with its body until it is answered, also when its stream is gone meanwhile.
 * Small ones live in structs that are used again, so that the common question allocates nothing.
 */
#include "peer/inner.h"

#include "base/alloc.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { SMALL_BODY = 512, SPARE_MAX = 1024, ANSWER_BODY_MAX = AFF_PEER_FRAME_MAX - AFF_FRAME_HEAD };

struct aff_peer_served {
    struct aff_peer_question question;
    struct aff_list link;           /* of its stream; of the peers when that is gone or it is spare */
    struct aff_peer_stream *stream; /* NULL: gone; the answer goes nowhere */
    uint64_t id;
    unsigned char *large; /* the body, when it is */
    unsigned char small[SMALL_BODY];
};

/* ---- the structs ---- */

static struct aff_peer_served *take(struct aff_peers *peers, aff_bytes body)
{
    unsigned char *large = body.len > SMALL_BODY ? malloc(body.len) : NULL;
    if (body.len > SMALL_BODY && !large)
        return NULL;
    struct aff_list *spare = aff_list_take(&peers->spare_questions);
    struct aff_peer_served *served = spare ? aff_container_of(spare, struct aff_peer_served, link)
                                           : aff_xmalloc(sizeof *served);
    peers->spare_count -= spare != NULL;
    served->large = large;
    unsigned char *to = large ? large : served->small;
    if (body.len)
        memcpy(to, body.data, body.len);
    served->question.body = aff_bytes_of(to, body.len);
    return served;
}

static void release(struct aff_peer_served *served)
{
    struct aff_peers *peers = served->question.peers;
    free(served->large);
    aff_list_remove(&served->link);
    if (!peers || peers->spare_count >= SPARE_MAX) {
        free(served);
        return;
    }
    aff_list_append(&peers->spare_questions, &served->link);
    peers->spare_count++;
}

/* ---- a question ---- */

static const char *refuse(struct aff_peer_stream *stream, uint64_t id, enum aff_refusal refusal)
{
    struct aff_frame frame = { .type = AFF_FRAME_REFUSED, .kind = (uint8_t)refusal, .id = id };
    aff_peers_count(&stream->peers->refused, 1);
    return aff_peer_stream_add(stream, &frame, NULL, 0) ? NULL : "there is no memory for what is to be written";
}

const char *aff_peer_serve_question(struct aff_peer_stream *stream, const struct aff_frame *frame)
{
    struct aff_peers *peers = stream->peers;
    if (peers->draining || !peers->opts.serve)
        return refuse(stream, frame->id, AFF_REFUSAL_AGAIN);
    if (stream->serving_count >= peers->opts.questions || stream->serving_bytes + frame->body.len > peers->opts.bytes)
        return refuse(stream, frame->id, AFF_REFUSAL_FULL);
    struct aff_peer_served *served = take(peers, frame->body);
    if (!served)
        return refuse(stream, frame->id, AFF_REFUSAL_FULL);
    struct aff_peer_question *question = &served->question;
    question->peers = peers;
    question->kind = frame->kind;
    question->deadline_ns = aff_loop_now(peers->opts.loop) + (int64_t)frame->left_us * 1000;
    question->features = stream->features;
    memcpy(question->member, stream->member, sizeof question->member);
    served->stream = stream;
    served->id = frame->id;
    aff_list_append(&stream->serving, &served->link);
    stream->serving_count++;
    stream->serving_bytes += frame->body.len;
    peers->questions++;
    peers->opts.serve(peers->opts.self, question);
    return NULL;
}

/* ---- its answer ---- */

/* The question leaves its stream, which may be gone: NULL then. */
static struct aff_peer_stream *leave(struct aff_peer_served *served)
{
    struct aff_peer_stream *stream = served->stream;
    if (served->question.peers) {
        aff_assert_on_loop(served->question.peers->opts.loop);
        served->question.peers->questions--;
    }
    if (stream) {
        stream->serving_count--;
        stream->serving_bytes -= served->question.body.len;
    }
    return stream;
}

static const char *send_answer(struct aff_peer_stream *stream, uint64_t id, const aff_bytes *parts, size_t parts_count)
{
    size_t len = aff_peer_parts_len(parts, parts_count);
    if (len > ANSWER_BODY_MAX || aff_peer_stream_unsent(stream) + len > stream->peers->opts.bytes) {
        aff_log(aff_loop_logger(stream->peers->opts.loop), WARN, "peer.answer-dropped",
                aff_f_str("member", stream->member), aff_f_int("bytes", (int64_t)len),
                aff_f_str("reason", len > ANSWER_BODY_MAX ? "it does not fit into a frame"
                                                          : "too much waits to be read by the other side"));
        return refuse(stream, id, AFF_REFUSAL_UNKNOWN);
    }
    struct aff_frame frame = { .type = AFF_FRAME_ANSWER, .id = id };
    aff_peers_count(&stream->peers->answered, 1);
    return aff_peer_stream_add(stream, &frame, parts, parts_count) ? NULL : "there is no memory for an answer";
}

void aff_peer_answer(struct aff_peer_question *question, const aff_bytes *parts, size_t parts_count)
{
    struct aff_peer_served *served = aff_container_of(question, struct aff_peer_served, question);
    struct aff_peer_stream *stream = leave(served);
    const char *why = stream ? send_answer(stream, served->id, parts, parts_count) : NULL;
    if (why) {
        stream->failed = why;
        aff_peers_touch(stream->peers, stream);
    }
    release(served);
}

void aff_peer_refuse(struct aff_peer_question *question)
{
    struct aff_peer_served *served = aff_container_of(question, struct aff_peer_served, question);
    struct aff_peer_stream *stream = leave(served);
    const char *why = stream ? refuse(stream, served->id, AFF_REFUSAL_AGAIN) : NULL;
    if (why) {
        stream->failed = why;
        aff_peers_touch(stream->peers, stream);
    }
    release(served);
}

/* ---- the end ---- */

void aff_peer_serve_broken(struct aff_peer_stream *stream)
{
    aff_list_each(link, &stream->serving)
        aff_container_of(link, struct aff_peer_served, link)->stream = NULL;
    aff_list_splice(&stream->peers->orphans, &stream->serving);
}

void aff_peer_serve_fini(struct aff_peers *peers)
{
    struct aff_list *link;
    while ((link = aff_list_take(&peers->orphans)) != NULL)
        aff_container_of(link, struct aff_peer_served, link)->question.peers = NULL;
    aff_list_each(spare, &peers->spare_questions)
        free(aff_container_of(spare, struct aff_peer_served, link));
    aff_list_init(&peers->spare_questions);
    peers->spare_count = 0;
}
