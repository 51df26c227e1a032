/*
 * standby.c - see standby.h.
 *
 *   question  nothing
 *   answer    code 4 | identity8 4 | offset 8: everything that was answered before is below it
 *
 * Who waits for the copy is looked at every few milliseconds: the copy belongs to another loop, which knows nothing of readers.
 */
#include "router/standby.h"

#include "partition/checkpoint.h"
#include "router/ask.h"
#include "router/inner.h"
#include "router/serve.h"

#include <stdlib.h>

enum { LOOK_MS = 3, ASK_MS = 500, ANSWER_LEN = 16 };

/* How far the log was, as the leader said in answer to a question that was asked then. */
struct sample {
    int64_t asked_ns, offset;
    uint32_t identity8;
};

/* What is known of a partition's age. */
struct age {
    struct aff_standby *standby;
    const struct space *s;
    uint32_t partition;
    struct sample
        samples[2]; /* the newest first; offset -1: none. A copy may be as far as the older one, and not the newer */
    bool asking;
    int64_t asked_ns;
    struct aff_ask ask;
    struct aff_list waiting; /* struct aff_call, for its answer */
};

struct aff_standby {
    struct aff_port *port;
    struct age **ages;       /* one per partition of every space; NULL: never asked for */
    struct aff_list waiting; /* struct aff_call, for the copy */
    struct aff_timer look;
};

/* ---- a look at the copy ---- */

static struct aff_partition_shared *shared_of(const struct space *s, uint32_t partition)
{
    return aff_partition_shared(s->parts[partition]);
}

/* Is a copy held here that goes on with the log? */
static bool is_held(const struct space *s, uint32_t partition)
{
    int role = atomic_load(&shared_of(s, partition)->role);
    return role != AFF_ROLE_AWAY && role != AFF_ROLE_FAILED && aff_partition_store(s->parts[partition]);
}

/* The offset below which everything is applied in the snapshot that the port holds; -1: nothing is known. */
static int64_t applied_in_snapshot(struct aff_port *port)
{
    unsigned char room[AFF_CHECKPOINT_MAX];
    size_t len = 0;
    int64_t applied;
    int found = aff_store_reader_meta(port->open, AFF_CHECKPOINT, room, sizeof room, &len);
    bool read = found == 1 && len <= sizeof room && aff_checkpoint_applied(aff_bytes_of(room, len), &applied);
    return read ? applied : -1;
}

static struct age *age_of(struct aff_standby *standby, const struct space *s, uint32_t partition)
{
    struct age **age = &standby->ages[s->first_reader + partition];
    if (!*age) {
        *age = aff_xcalloc(1, sizeof **age);
        (*age)->standby = standby;
        (*age)->s = s;
        (*age)->partition = partition;
        (*age)->samples[0].offset = (*age)->samples[1].offset = -1;
        aff_list_init(&(*age)->waiting);
    }
    return *age;
}

/* Is a copy that has this much, of this log, within the bound? */
static bool is_young(const struct age *age, int64_t applied, uint32_t identity8, int64_t max_age_ns)
{
    int64_t now = aff_mono_ns(aff_loop_clock(age->standby->port->loop));
    for (size_t i = 0; i < sizeof age->samples / sizeof *age->samples; i++) {
        const struct sample *sample = &age->samples[i];
        if (sample->offset >= 0 && applied >= sample->offset && identity8 == sample->identity8 &&
            now - sample->asked_ns <= max_age_ns)
            return true;
    }
    return false;
}

/* 0: the port holds a snapshot that is within the bound, and what was found in it; AFF_EAGAIN; or a failure. */
static int look(struct aff_port *port, const struct space *s, aff_bytes key, const struct aff_bound *bound,
                struct aff_found *ret_found)
{
    uint32_t partition = aff_space_partition(&s->base, key);
    int code = aff_port_get_local(port, &s->base, key, ret_found);
    bool proven;
    if (code != 0)
        return code == AFF_ENOMASTER ? AFF_EAGAIN : code;
    int64_t applied = applied_in_snapshot(port);
    if (bound->after >= 0)
        proven = applied > bound->after;
    else
        proven = is_young(age_of(port->standby, s, partition), applied, ret_found->identity8, bound->max_age_ns);
    if (proven)
        return 0;
    aff_port_done(port);
    return AFF_EAGAIN;
}

int aff_port_get_bounded(struct aff_port *port, const struct aff_space *space, aff_bytes key,
                         const struct aff_bound *bound, struct aff_found *ret_found)
{
    const struct space *s = space->parts;
    uint32_t partition = aff_space_partition(space, key);
    if (bound->after < 0 && atomic_load(&shared_of(s, partition)->serves)) {
        int code = aff_port_get(port, space, key, ret_found);
        return code == AFF_ENOMASTER ? AFF_EAGAIN : code;
    }
    return is_held(s, partition) ? look(port, s, key, bound, ret_found) : AFF_EAGAIN;
}

/* ---- who waits ---- */

static const struct space *space_of(const struct aff_call *call)
{
    return call->trip.space->parts;
}

/* `found` is of a snapshot that the port holds, or NULL with a code. */
static void answer(struct aff_call *call, int code, const struct aff_found *found)
{
    call->op.result = (struct aff_result){ .code = code, .outcome = code ? AFF_OUTCOME_NOT_APPLIED : AFF_OUTCOME_NONE };
    if (found) {
        call->found = *found;
        call->identity8 = found->identity8;
    }
    call->answered(call);
    if (found)
        aff_port_done(call->port);
    call->released(call);
}

static void ask_leader(struct aff_call *call)
{
    aff_port_read(call->port, call->trip.space, call);
}

/* ---- for the copy ---- */

/* True: it waits no more. */
static bool look_again(struct aff_call *call)
{
    struct aff_port *port = call->port;
    const struct space *s = space_of(call);
    struct aff_found found;
    if (!is_held(s, call->partition)) {
        ask_leader(call);
        return true;
    }
    int code = look(port, s, call->op.key, &call->bound, &found);
    if (code == AFF_EAGAIN && call->op.deadline_ns && aff_loop_now(port->loop) >= call->op.deadline_ns)
        code = AFF_ETIMEDOUT;
    if (code != AFF_EAGAIN)
        answer(call, code, code == 0 ? &found : NULL);
    return code != AFF_EAGAIN;
}

static void set_look(struct aff_standby *standby)
{
    struct aff_loop *loop = standby->port->loop;
    aff_loop_timer_set(loop, &standby->look, aff_loop_now(loop) + LOOK_MS * AFF_NS_PER_MS);
}

static void look_at_all(struct aff_timer *timer)
{
    struct aff_standby *standby = aff_container_of(timer, struct aff_standby, look);
    struct aff_list batch, *link;
    aff_list_init(&batch);
    aff_list_splice(&batch, &standby->waiting);
    while ((link = aff_list_take(&batch)) != NULL) {
        struct aff_call *call = aff_container_of(link, struct aff_call, standby);
        if (standby->port->closed)
            answer(call, AFF_EDRAINING, NULL);
        else if (!look_again(call))
            aff_list_append(&standby->waiting, link);
    }
    if (!aff_list_empty(&standby->waiting))
        set_look(standby);
}

static void wait_for_copy(struct aff_call *call)
{
    struct aff_standby *standby = call->port->standby;
    if (standby->port->closed) {
        answer(call, AFF_EDRAINING, NULL);
        return;
    }
    if (aff_list_empty(&standby->waiting))
        set_look(standby);
    aff_list_append(&standby->waiting, &call->standby);
}

/* ---- for the leader's word ---- */

static void take_sample(struct age *age, aff_bytes body)
{
    struct aff_cursor from = aff_cursor_of(body);
    uint32_t code = aff_cursor_u32(&from), identity8 = aff_cursor_u32(&from);
    int64_t offset = (int64_t)aff_cursor_u64(&from);
    if (from.failed || code != 0 || offset < 0)
        return;
    age->samples[1] = age->samples[0];
    age->samples[0] = (struct sample){ .asked_ns = age->asked_ns, .offset = offset, .identity8 = identity8 };
}

static void told(struct aff_ask *ask, int code, aff_bytes body)
{
    struct age *age = aff_container_of(ask, struct age, ask);
    struct aff_list batch, *link;
    age->asking = false;
    if (code == 0)
        take_sample(age, body);
    aff_list_init(&batch);
    aff_list_splice(&batch, &age->waiting);
    while ((link = aff_list_take(&batch)) != NULL) {
        struct aff_call *call = aff_container_of(link, struct aff_call, standby);
        struct aff_found found;
        bool here = is_held(age->s, age->partition) &&
                    look(call->port, age->s, call->op.key, &call->bound, &found) == 0;
        if (here)
            answer(call, 0, &found);
        else
            ask_leader(call);
    }
}

static void wait_for_word(struct aff_call *call)
{
    struct aff_port *port = call->port;
    struct age *age = age_of(port->standby, space_of(call), call->partition);
    aff_list_append(&age->waiting, &call->standby);
    if (age->asking)
        return;
    age->asking = true;
    age->asked_ns = aff_loop_now(port->loop);
    age->ask = (struct aff_ask){ .partition = age->partition,
                                 .kind = AFF_WIRE_POSITION,
                                 .deadline_ns = age->asked_ns + ASK_MS * AFF_NS_PER_MS,
                                 .answered = told };
    aff_port_ask(port, call->trip.space, &age->ask, NULL, 0);
}

void aff_port_read_bounded(struct aff_port *port, const struct aff_space *space, struct aff_call *call,
                           const struct aff_bound *bound)
{
    const struct space *s = space->parts;
    assert(aff_loop_here(port->loop));
    call->port = port;
    call->trip.space = space;
    call->partition = aff_space_partition(space, call->op.key);
    call->bound = *bound;
    aff_list_init(&call->standby);
    if (!is_held(s, call->partition))
        ask_leader(call);
    else if (bound->after >= 0)
        wait_for_copy(call);
    else if (atomic_load(&shared_of(s, call->partition)->serves) || !aff_port_clustered(port))
        ask_leader(call);
    else
        wait_for_word(call);
}

/* ---- answering how far the log is ---- */

struct told {
    struct aff_call call;
    struct aff_serving s;
};

static void tell(const struct aff_serving *s, int code, uint32_t identity8, int64_t offset)
{
    unsigned char answer[ANSWER_LEN];
    aff_put_u32(answer, (uint32_t)code);
    aff_put_u32(answer + 4, identity8);
    aff_put_u64(answer + 8, (uint64_t)offset);
    aff_serve_answer(s, &(aff_bytes){ answer, sizeof answer }, 1);
}

/* What is committed now: what was answered was committed before. */
static int committed(struct aff_port *port, const struct space *s, uint32_t partition, int64_t *ret_offset)
{
    int code = aff_port_reader(port, s, partition, &port->open);
    if (code == 0) {
        *ret_offset = applied_in_snapshot(port);
        code = *ret_offset >= 0 ? 0 : AFF_EAGAIN;
        aff_port_done(port);
    }
    return code;
}

static void proven(struct aff_call *call)
{
    struct told *told = aff_container_of(call, struct told, call);
    const struct space *s = told->s.space->parts;
    uint32_t serving = aff_partition_serving(s->parts[told->s.partition]);
    int64_t offset = 0;
    int code = call->op.result.code;
    if (code == 0)
        code = serving ? committed(told->s.port, s, told->s.partition, &offset) : AFF_ENOMASTER;
    if (code == 0 && aff_partition_serving(s->parts[told->s.partition]) != serving)
        code = AFF_ENOMASTER; /* deposed since the barrier */
    if (code == AFF_ENOMASTER)
        aff_serve_elsewhere(&told->s);
    else
        tell(&told->s, code, atomic_load(&shared_of(s, told->s.partition)->identity8), offset);
}

static void released(struct aff_call *call)
{
    free(aff_container_of(call, struct told, call));
}

static void prove_by_barrier(const struct aff_serving *s)
{
    struct told *told = aff_xcalloc(1, sizeof *told);
    told->s = *s;
    aff_op_init(&told->call.op, AFF_OP_BARRIER);
    told->call.op.deadline_ns = s->deadline_ns;
    told->call.partition = s->partition;
    told->call.answered = proven;
    told->call.released = released;
    aff_port_call_here(s->port, s->space, &told->call);
}

/* As a strict read: first the snapshot, then the right to tell it (I5). */
void aff_position_serve(const struct aff_serving *s)
{
    const struct space *space = s->space->parts;
    struct aff_partition *part = space->parts[s->partition];
    uint32_t serving = aff_partition_serving(part);
    int64_t offset = 0;
    int code = serving ? committed(s->port, space, s->partition, &offset) : AFF_ENOMASTER;
    if (code == 0)
        code = aff_partition_may_serve(part, serving);
    if (code == AFF_ENOMASTER)
        aff_serve_elsewhere(s);
    else if (code == AFF_EAGAIN)
        prove_by_barrier(s);
    else
        tell(s, code, atomic_load(&aff_partition_shared(part)->identity8), offset);
}

/* ---- life ---- */

struct aff_standby *aff_standby_new(struct aff_port *port)
{
    struct aff_standby *standby = aff_xcalloc(1, sizeof *standby);
    standby->port = port;
    standby->ages = aff_xcalloc(port->router->reader_count + 1, sizeof *standby->ages);
    standby->look.fire = look_at_all;
    aff_list_init(&standby->waiting);
    return standby;
}

void aff_standby_close(struct aff_standby *standby)
{
    look_at_all(&standby->look);
}

struct aff_standby *aff_standby_free(struct aff_standby *standby)
{
    if (!standby)
        return NULL;
    aff_loop_timer_cancel(standby->port->loop, &standby->look);
    for (size_t i = 0; i < standby->port->router->reader_count; i++)
        free(standby->ages[i]);
    free(standby->ages);
    free(standby);
    return NULL;
}
