/*
 * handover.c - a mastership moves to another node while both live (I9), without a pause that a client would notice.
 *
 *   giver      DRAINING  nothing new is handed to the log; reports come in, void records are repaired; reads go on
 *              GONE      serves nothing, has said GO, follows; appends nothing until it knows (I9). What is asked waits
 *              BACK      it did not hear that the other leads, and asked for the partition back; claims when that is granted
 *   receiver   follows until everything below GO's end is applied, claims (what is asked waits from then on), leads (mastership.c)
 *
 * What is lost on the way cannot do harm: what counts is in the log. Only the leases need more than the log. The receiver may get
 * one once the coordinator has it for the owner, and does not look into the log before it answers a read by it. So the giver must
 * not claim again before the coordinator has taken the hand-over back: that, and not a deadline, tells it that the
 * receiver will never be leased for the epoch of this GO.
 *
 * Why the receiver leads without reading, when its CLAIM is reported at exactly GO's end (I2). It has itself read and applied every
 * offset below that end, by the validity rule, and the CLAIM stands at the next one. Nothing can stand between, so to read up to
 * the CLAIM is to read the CLAIM, whose content it knows. It is therefore taken from the flight as if it had been read (observe() in
 * follow.c): the validity rule against `cur`, the age of the state against the time of the CLAIM (I8), the identity that it carries
 * against the log's, the end of the mastership before it, which is known exactly if no offset was missing since its last valid
 * record. The giver's word is not needed for any of that: it only says when claiming is worth while. That the giver appends
 * nothing more is what makes the report contiguous, and I3 of the giver cannot be broken by the CLAIM: all that it acknowledged
 * is below the end.
 */
#include "partition/state.h"

/* Behind by more records than this, catching up takes longer than anybody should wait. */
enum { DRAIN_MS = 1000, ANSWER_MS = 300, BACK_MS = 2000, BEHIND_MAX = 20000 };

static int64_t in_ms(const struct aff_core *core, int64_t ms)
{
    return aff_core_now(core) + ms * AFF_NS_PER_MS;
}

static void tell(const struct aff_core *core, enum aff_log_level level, const char *event, uint32_t major)
{
    aff_log_fields(core->w.logger, level, event,
                   (const struct aff_log_field[]){ aff_f_str("keyspace", core->opts.keyspace),
                                                   aff_f_int("partition", core->opts.index), aff_f_int("epoch", major),
                                                   aff_f_int("applied", core->frontier) },
                   4);
}

/* ---- the giver ---- */

static void give_step(struct aff_core *core, enum aff_give_step step, int64_t until_ns)
{
    core->give.step = step;
    core->give.until_ns = until_ns;
}

static void refuse_all(struct aff_core *core)
{
    aff_core_refuse_queued(core, AFF_ENOMASTER);
    aff_core_refuse_waiters(core, &core->proofs, AFF_ENOMASTER);
}

bool aff_core_give(struct aff_core *core, uint32_t major)
{
    bool leads = core->role == AFF_ROLE_MASTER || core->role == AFF_ROLE_SETTLING;

    if (core->give.step != AFF_GIVE_NONE)
        return false;
    if (!leads || core->resigning || major <= aff_epoch_major(core->own.epoch)) {
        core->w.coordinator->gave(core->w.coordinator, false);
        return false;
    }
    core->give.major = major;
    give_step(core, AFF_GIVE_DRAINING, in_ms(core, DRAIN_MS));
    return true;
}

/* Nothing is in flight, so everything is known; nothing is void that would have to be repaired. */
static bool may_go(const struct aff_core *core)
{
    return core->give.step == AFF_GIVE_DRAINING && core->role == AFF_ROLE_MASTER && !core->reading && !core->resigning &&
           core->dirty == 0 && (core->flight_count == 0 || AFF_WEAK(core, DRAIN));
}

/* Whatever was handed over was found valid: the last number is that of the last valid record. */
static bool is_known_whole(const struct aff_core *core)
{
    unsigned weak = 0; /* the weakenings under which that is not so, by design */

    weak += AFF_WEAK(core, DUP);
    weak += AFF_WEAK(core, CUT);
    weak += AFF_WEAK(core, ACK);
    weak += AFF_WEAK(core, SETTLE);
    weak += AFF_WEAK(core, DRAIN);
    return weak > 0 || (core->flight_count == 0 && aff_stamp_same_owner(core->cur, core->own) && core->cur.seq == core->own.seq);
}

/*
 * The end of this mastership, as far as this node goes. It serves nothing from before GO leaves, so that no read is answered here
 * when the other may have written (I5, I9).
 */
void aff_core_say_go(struct aff_core *core)
{
    struct aff_go go = { .major = core->give.major, .cur = core->cur, .end = core->frontier };
    int64_t until;

    if (!may_go(core))
        return;
    assert(is_known_whole(core)); /* I9 */
    (void)is_known_whole;
    until = in_ms(core, ANSWER_MS);
    give_step(core, AFF_GIVE_GONE, until);
    core->own = (struct aff_stamp){ 0 };
    core->want_lead = core->granting = core->unsafe = false;
    core->caught_up = true;
    aff_core_stalled(core, false);
    core->refused_since_ns = 0;
    core->next_idle_ns = core->next_expiry_ns = INT64_MAX;
    aff_core_set_role(core, AFF_ROLE_FOLLOWING);
    assert(!core->serves || AFF_WEAK(core, SERVE)); /* I9 */
    tell(core, AFF_LOG_INFO, "partition.go", go.major);
    core->w.net->go(core->w.net, &go, until);
    aff_core_read_on(core, true);
}

/* The other leads: who waits here is sent there. */
static void is_gone(struct aff_core *core)
{
    give_step(core, AFF_GIVE_NONE, INT64_MAX);
    tell(core, AFF_LOG_INFO, "partition.handed-over", core->give.major);
    core->w.net->moved(core->w.net);
    if (!AFF_WEAK(core, QUEUE))
        refuse_all(core);
}

/* The coordinator decides which of the two it is, and grants this node an epoch, or not. Who waits here goes on waiting. */
static void want_back(struct aff_core *core)
{
    tell(core, AFF_LOG_WARN, "partition.not-handed-over", core->give.major);
    give_step(core, AFF_GIVE_BACK, in_ms(core, BACK_MS));
    core->want_lead = core->granting = true;
    core->w.coordinator->gave(core->w.coordinator, false);
}

void aff_core_went(struct aff_core *core, uint32_t major, bool taken)
{
    if (core->role != AFF_ROLE_FOLLOWING || core->give.major != major)
        return;
    if (core->give.step == AFF_GIVE_BACK && taken) {
        is_gone(core); /* late; the coordinator was asked, and will say what it decided */
    } else if (core->give.step == AFF_GIVE_GONE && taken) {
        is_gone(core);
        core->w.coordinator->gave(core->w.coordinator, true);
    } else if (core->give.step == AFF_GIVE_GONE) {
        want_back(core);
    }
}

/* The giver, which follows, has read a valid record of another mastership: the log says it before the other did. */
void aff_core_give_seen(struct aff_core *core, struct aff_stamp stamp)
{
    bool asked = core->give.step == AFF_GIVE_BACK;

    if ((!asked && core->give.step != AFF_GIVE_GONE) || core->role != AFF_ROLE_FOLLOWING)
        return;
    if (aff_epoch_major(stamp.epoch) == core->give.major) {
        is_gone(core);
        if (!asked)
            core->w.coordinator->gave(core->w.coordinator, true);
        return;
    }
    give_step(core, AFF_GIVE_NONE, INT64_MAX); /* a third one */
    refuse_all(core);
    if (!asked)
        core->w.coordinator->deposed(core->w.coordinator, stamp.epoch);
}

static void give_too_late(struct aff_core *core)
{
    switch (core->give.step) {
    case AFF_GIVE_DRAINING: /* goes on as master; what the other might have been granted it never hears of */
        give_step(core, AFF_GIVE_NONE, INT64_MAX);
        tell(core, AFF_LOG_WARN, "partition.not-handed-over", core->give.major);
        core->w.coordinator->gave(core->w.coordinator, false);
        break;
    case AFF_GIVE_GONE:
        want_back(core);
        break;
    case AFF_GIVE_BACK: /* a standby like any other; it still claims when it is granted an epoch */
        give_step(core, AFF_GIVE_NONE, INT64_MAX);
        refuse_all(core);
        break;
    case AFF_GIVE_NONE:
        break;
    }
}

/* The coordinator wants this node to lead, after GO: it decides. */
void aff_core_give_ends_by_lead(struct aff_core *core)
{
    if (core->give.step == AFF_GIVE_GONE)
        want_back(core);
}

/* ---- the receiver ---- */

static void take_ends(struct aff_core *core, bool leads)
{
    uint32_t major = core->take.go.major;

    if (!core->take.under_way)
        return;
    core->take.under_way = false;
    core->take.until_ns = INT64_MAX;
    if (leads && aff_epoch_major(core->own.epoch) == major)
        core->w.coordinator->took(core->w.coordinator, major);
    core->w.net->taken(core->w.net, major, leads);
}

/* Does this node follow the same log as the giver, and is it where the giver was? 1, 0: not yet; -1: it cannot come to be. */
static int has_arrived(const struct aff_core *core)
{
    const struct aff_go *go = &core->take.go;

    if (core->role != AFF_ROLE_FOLLOWING || go->major <= aff_epoch_major(core->cur.epoch))
        return -1;
    if (core->frontier < go->end && !AFF_WEAK(core, EARLY))
        return go->end - core->frontier > BEHIND_MAX ? -1 : 0;
    if (!core->has_identity)
        return -1;
    return (aff_stamp_same_owner(core->cur, go->cur) && core->cur.seq == go->cur.seq) || AFF_WEAK(core, EARLY) ? 1 : -1;
}

/* Called when something was read: claims as soon as it may. */
void aff_core_take_on(struct aff_core *core)
{
    int arrived;

    if (!core->take.under_way || core->role == AFF_ROLE_CLAIMING)
        return;
    arrived = has_arrived(core);
    if (arrived < 0)
        take_ends(core, false);
    else if (arrived > 0)
        aff_core_claim(core, core->take.go.major);
}

void aff_core_take(struct aff_core *core, const struct aff_go *go, int64_t deadline_ns)
{
    struct aff_world_net *net = core->w.net;

    if (core->role == AFF_ROLE_MASTER && aff_epoch_major(core->own.epoch) == go->major) {
        net->taken(net, go->major, true); /* said again */
        return;
    }
    if (core->take.under_way && core->take.go.major == go->major)
        return;
    if (core->role != AFF_ROLE_FOLLOWING || (core->take.under_way && go->major < core->take.go.major) ||
        deadline_ns <= aff_core_now(core)) {
        net->taken(net, go->major, false);
        return;
    }
    take_ends(core, false);
    core->take.go = *go;
    core->take.under_way = true;
    core->take.until_ns = deadline_ns;
    aff_core_take_on(core);
}

/* The CLAIM of a take was reported: does it stand right behind what is applied, where the giver stopped? See the top. */
bool aff_core_take_follows(const struct aff_core *core, const struct aff_flight *claim)
{
    if (!core->take.under_way || core->role != AFF_ROLE_CLAIMING || claim->kind != AFF_KIND_CLAIM)
        return false;
    if (AFF_WEAK(core, JUMP))
        return true;
    return claim->offset == core->take.go.end && (claim->offset == core->frontier || AFF_WEAK(core, EARLY));
}

/* This node was granted an epoch: it claims with that one. */
void aff_core_handover_granted(struct aff_core *core)
{
    take_ends(core, false);
    core->give.until_ns = INT64_MAX;
}

/* This node leads. */
void aff_core_handover_leads(struct aff_core *core)
{
    if (core->give.step == AFF_GIVE_BACK)
        give_step(core, AFF_GIVE_NONE, INT64_MAX);
    take_ends(core, true);
}

/* ---- both ---- */

/* A mastership, or the try, ends, and so does what was under way; what waits is refused by whoever ended it. */
void aff_core_handover_void(struct aff_core *core)
{
    give_step(core, AFF_GIVE_NONE, INT64_MAX);
    take_ends(core, false);
}

/* It is not to lead, whoever does. A CLAIM that is under way ends otherwise. */
void aff_core_handover_resigned(struct aff_core *core)
{
    bool waits = core->give.step != AFF_GIVE_NONE;

    give_step(core, AFF_GIVE_NONE, INT64_MAX);
    if (waits)
        refuse_all(core);
    if (core->role == AFF_ROLE_FOLLOWING)
        take_ends(core, false);
}

/* This replica begins anew, or stops: nobody else would tell the coordinator. */
void aff_core_handover_fails(struct aff_core *core)
{
    bool asked = core->give.step == AFF_GIVE_DRAINING || core->give.step == AFF_GIVE_GONE;
    bool waits = core->give.step != AFF_GIVE_NONE;

    aff_core_handover_void(core);
    if (waits)
        refuse_all(core);
    if (asked)
        core->w.coordinator->gave(core->w.coordinator, false);
}

int64_t aff_core_handover_tick(const struct aff_core *core)
{
    return core->give.until_ns < core->take.until_ns ? core->give.until_ns : core->take.until_ns;
}

void aff_core_handover_late(struct aff_core *core)
{
    int64_t now = aff_core_now(core);

    if (now >= core->give.until_ns)
        give_too_late(core);
    if (now < core->take.until_ns)
        return;
    core->take.until_ns = INT64_MAX;
    if (core->role == AFF_ROLE_FOLLOWING)
        take_ends(core, false);
    else /* its CLAIM is under way and may yet count; then it says so */
        core->w.net->taken(core->w.net, core->take.go.major, false);
}
