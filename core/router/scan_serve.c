/*
 * scan_serve.c - answers the part of a scan that another node makes (AFF_WIRE_SCAN): some entries, or a value, as a scan of this node would
 * read them, with the same proof.
 *
 * It is read first and then asked for whether this node may answer (I5). Without a lease a barrier goes to the partition before; what is
 * read after that is good if the partition serves still. On the loop that got the question.
 */
#include "router/scan_serve.h"
#include "router/scan_inner.h"
#include "router/scan_wire.h"

#include <stdlib.h>

/* A question that waits for its proof. */
struct waiting {
    struct aff_call barrier;
    struct aff_serving serving;
};

struct job {
    const struct aff_serving *s;
    struct aff_scan_question q;
    struct aff_index_range index;
    bool settled; /* a barrier was answered after the question came */
    uint32_t serving; /* as aff_partition_serving() told it before anything was read */
};

static struct aff_partition *partition_of(const struct aff_serving *s)
{
    return ((const struct space *)s->space->parts)->parts[s->partition];
}

static int may_answer(const struct job *job)
{
    return aff_scan_may_tell(job->s->space, job->s->partition, job->q.local, job->settled, job->serving);
}

/* ---- answers ---- */

static void answer(const struct aff_serving *s, const struct aff_scan_reply *reply, bool whole)
{
    struct aff_buf head;
    aff_bytes parts[2] = { { NULL, 0 }, reply->entries };

    aff_buf_init(&head);
    if (aff_scan_reply_put(&head, reply, whole)) {
        parts[0] = aff_buf_view(&head);
        aff_serve_answer(s, parts, reply->entries.data ? 2 : 1);
    } else {
        aff_peer_refuse(s->question); /* no memory: it may be asked again */
    }
    aff_buf_fini(&head);
}

static void answer_code(const struct aff_serving *s, int code)
{
    struct aff_scan_reply reply = { .code = code };

    if (code == AFF_ENOMASTER)
        aff_serve_elsewhere(s);
    else
        answer(s, &reply, false);
}

static uint32_t identity_of(const struct aff_serving *s)
{
    return atomic_load(&aff_partition_shared(partition_of(s))->identity8);
}

/* ---- reading ---- */

/* 0: it was answered; AFF_EAGAIN: a barrier first; or a failure. */
static int answer_entries(const struct job *job)
{
    const struct aff_serving *s = job->s;
    unsigned char *room = aff_scan_scratch(s->port);
    size_t bytes = job->q.bytes < AFF_SCAN_CHUNK_MAX ? job->q.bytes : AFF_SCAN_CHUNK_MAX, len = 0;
    int more = aff_scan_step(s->port, s->space, s->partition, job->q.indexed ? &job->index : NULL, &job->q.step, room,
                             bytes, &len);
    int code = more < 0 ? more : may_answer(job);
    struct aff_scan_reply reply = { .identity8 = identity_of(s), .more = more == 1, .entries = { room, len } };

    if (code == 0)
        answer(s, &reply, false);
    return code;
}

static int answer_value(const struct job *job)
{
    const struct aff_serving *s = job->s;
    struct aff_scan_reply reply = { .code = 0 };
    int found = aff_scan_get(s->port, s->space, s->partition, job->q.indexed ? &job->index : NULL, job->q.step.from,
                             job->q.key, &reply.item);
    int code = found < 0 ? found : may_answer(job);

    reply.identity8 = identity_of(s);
    reply.more = found == 1;
    if (job->q.step.keys_only)
        reply.item.value.len = 0;
    if (code == 0)
        answer(s, &reply, true);
    aff_scan_got(s->port, s->space, s->partition);
    return code;
}

/* The index of that name here; another declaration finds other terms. 0 or AFF_EBUILDING. */
static int find_index(struct job *job)
{
    const struct aff_finder *finder = job->s->space->indexes;
    int place = finder && job->q.indexed ? aff_finder_place(finder, job->q.index) : -1;

    if (!job->q.indexed)
        return 0;
    if (place < 0 || !aff_digest_equal(finder->base.items[place].digest, job->q.declared))
        return AFF_EBUILDING;
    job->index = job->q.terms;
    job->index.index = (unsigned)place;
    return 0;
}

static int serve(const struct aff_serving *s, bool settled)
{
    struct job job = { .s = s, .settled = settled, .serving = aff_partition_serving(partition_of(s)) };
    int code;

    if (!aff_scan_question_take(s->body, &job.q))
        return AFF_EINVAL;
    code = find_index(&job);
    if (code == 0)
        code = may_answer(&job);
    if (code == 0)
        code = job.q.key.data ? answer_value(&job) : answer_entries(&job);
    return code;
}

/* ---- proofs ---- */

static void proven(struct aff_call *call)
{
    struct waiting *w = aff_container_of(call, struct waiting, barrier);
    int code = call->op.result.code;

    if (code == 0)
        code = serve(&w->serving, true);
    if (code != 0)
        answer_code(&w->serving, code);
}

static void released(struct aff_call *call)
{
    free(aff_container_of(call, struct waiting, barrier));
}

static void prove(const struct aff_serving *s)
{
    struct waiting *w = aff_xcalloc(1, sizeof *w);

    w->serving = *s;
    aff_op_init(&w->barrier.op, AFF_OP_BARRIER);
    w->barrier.partition = s->partition;
    w->barrier.op.deadline_ns = s->deadline_ns;
    w->barrier.answered = proven;
    w->barrier.released = released;
    aff_port_call_here(s->port, s->space, &w->barrier);
}

void aff_scan_serve(const struct aff_serving *s)
{
    int code = serve(s, false);

    if (code == AFF_EAGAIN)
        prove(s);
    else if (code != 0)
        answer_code(s, code);
}
