/*
 * mastership.c - to lead: a grant, a CLAIM in the log, everything below it read (I2). To settle: the same with the
 * minor epoch raised. To be deposed: by what stands in the log, never by what the coordinator or a clock says.
 */
#include "partition/state.h"

enum { RETRY_CLAIM_MS = 200 };

static void claim_anew(struct aff_core *core, aff_epoch epoch, const char *why);

/* ---- grant ---- */

void aff_core_try_lead(struct aff_core *core)
{
    if (!core->want_lead || core->granting || core->role != AFF_ROLE_FOLLOWING || !core->caught_up)
        return;
    core->granting = true;
    core->w.coordinator->request_epoch(core->w.coordinator, aff_epoch_major(core->cur.epoch));
}

void aff_core_lead(struct aff_core *core)
{
    aff_core_give_ends_by_lead(core);
    core->want_lead = true;
    core->resigning = false;
    core->granting = false; /* an answer that was lost is asked for again */
    if (core->role == AFF_ROLE_FOLLOWING && core->caught_up && core->opts.heartbeat_ms > 0) {
        core->caught_up = false; /* the silence may be this node's own, or the log's: it must answer first */
        core->end_asked_ns = aff_core_now(core);
        aff_core_read_on(core, false);
        return;
    }
    aff_core_try_lead(core);
}

void aff_core_resign(struct aff_core *core)
{
    core->want_lead = false;
    core->granting = false;
    if (core->role == AFF_ROLE_MASTER || core->role == AFF_ROLE_CLAIMING || core->role == AFF_ROLE_SETTLING) {
        core->resigning = true;
        aff_core_refuse_queued(core, AFF_ENOMASTER);
    }
    aff_core_handover_resigned(core);
}

/*
 * The coordinator knows this node by a higher epoch than it claims or leads with: it may have been deposed and not know it, or it
 * kept what it was to hand over. The log says: what is in flight is settled by the CLAIM, like any doubt.
 */
static void raise(struct aff_core *core, uint32_t major)
{
    if (core->resigning || major <= aff_epoch_major(core->own.epoch))
        return;
    claim_anew(core, aff_epoch_of(major, 0), "granted a higher epoch");
    if (core->role == AFF_ROLE_CLAIMING) {
        core->retry_claim_ns = INT64_MAX;
        aff_core_append_claim(core);
    }
}

void aff_core_granted(struct aff_core *core, uint32_t major)
{
    if (core->role == AFF_ROLE_MASTER || core->role == AFF_ROLE_SETTLING || core->role == AFF_ROLE_CLAIMING)
        raise(core, major);
    if (!core->granting || core->role != AFF_ROLE_FOLLOWING)
        return;
    core->granting = false;
    if (major <= aff_epoch_major(core->cur.epoch)) {
        aff_core_try_lead(core); /* the log knows a higher one: the coordinator is raised, not the log */
        return;
    }
    aff_core_handover_granted(core);
    aff_core_claim(core, major);
}

void aff_core_claim(struct aff_core *core, uint32_t major)
{
    core->granting = false;
    core->own = (struct aff_stamp){ aff_epoch_of(major, 0), core->opts.nonce, 0 };
    core->claim_pending = true;
    if (core->has_identity)
        memcpy(core->claim_identity, core->identity, AFF_IDENTITY_LEN);
    else
        for (int i = 0; i < AFF_IDENTITY_LEN; i += 8)
            aff_put_u64(core->claim_identity + i, core->w.entropy->u64(core->w.entropy));
    aff_core_set_role(core, AFF_ROLE_CLAIMING);
    aff_core_append_claim(core);
}

/* ---- the CLAIM ---- */

/* Masterships that ended for certain, oldest first; the newest of them when there are too many. */
static bool encode_claim(struct aff_core *core)
{
    static const size_t key_len = 16, value_len = 17;
    struct aff_world_store *s = core->w.store;
    struct aff_epoch_end *ends = aff_xcalloc(AFF_CLAIM_EPOCHS_MAX, sizeof *ends);
    unsigned char at[16];
    aff_bytes key, value, after = aff_str("");
    uint32_t count = 0;
    bool ok;

    while (s->table_next(s, AFF_TABLE_EPOCHS, after, &key, &value) == 1 && key.len == key_len) {
        const unsigned char *k = memcpy(at, key.data, key_len), *v = value.data;

        if (value.len == value_len && v[8]) {
            if (count == AFF_CLAIM_EPOCHS_MAX)
                memmove(ends, ends + 1, --count * sizeof *ends);
            ends[count++] = (struct aff_epoch_end){ aff_get_u64(k), aff_get_u64(k + 8), aff_get_u64(v) };
        }
        after = aff_bytes_of(at, key_len);
    }
    ok = aff_claim_encode(core->claim_identity, ends, count, &core->buf);
    free(ends);
    return ok;
}

static int send_claim(struct aff_core *core)
{
    struct aff_flight *f = aff_core_flight_new(core, AFF_KIND_CLAIM, NULL);
    char key[AFF_CONTROL_KEY_MAX];
    size_t key_len = aff_claim_key(core->own, key);
    int code;

    if (!encode_claim(core)) {
        aff_core_flight_free(core, f);
        return AFF_ENOMEM;
    }
    f->owned = aff_xmalloc(key_len + core->buf.len);
    memcpy(f->owned, key, key_len);
    memcpy((char *)f->owned + key_len, core->buf.data, core->buf.len);
    f->route = core->route;
    f->key = aff_bytes_of(f->owned, key_len);
    f->value = aff_bytes_of((char *)f->owned + key_len, core->buf.len);
    code = aff_core_flight_send(core, f);
    if (code != 0)
        aff_core_flight_free(core, f);
    return code;
}

void aff_core_append_claim(struct aff_core *core)
{
    int code;

    if (!core->claim_pending)
        return;
    code = send_claim(core);
    if (code != 0 && code != core->claim_code)
        aff_log(core->w.logger, WARN, "partition.claim-delayed", aff_f_str("keyspace", core->opts.keyspace),
                aff_f_int("partition", core->opts.index), aff_f_str("why", aff_error_title(code)));
    core->claim_code = code;
    if (code != 0) {
        core->retry_claim_ns = aff_core_now(core) + RETRY_CLAIM_MS * AFF_NS_PER_MS;
        return;
    }
    core->claim_pending = false;
}

/* ---- settle: let the log decide what became of writes whose outcome is unknown ---- */

/*
 * Nothing may be produced before: a new producer, a higher epoch, a CLAIM, and everything below it read. Then each write in
 * doubt was either found below it, or is void for ever.
 */
static void claim_anew(struct aff_core *core, aff_epoch epoch, const char *why)
{
    aff_log(core->w.logger, WARN, "partition.settle", aff_f_str("keyspace", core->opts.keyspace),
            aff_f_int("partition", core->opts.index), aff_f_str("why", why),
            aff_f_int("in-flight", core->flight_count));
    core->w.log->reset(core->w.log);
    aff_core_stalled(core, false);
    core->own.epoch = epoch;
    core->own.seq = 0;
    core->claim_pending = true;
    core->next_idle_ns = INT64_MAX;
    if (core->role == AFF_ROLE_MASTER) {
        memcpy(core->claim_identity, core->identity, AFF_IDENTITY_LEN);
        aff_core_set_role(core, AFF_ROLE_SETTLING);
        aff_core_append_claim(core);
    } else { /* a CLAIM did not do; a log that refuses them all is not to be flooded with them */
        core->retry_claim_ns = aff_core_now(core) + RETRY_CLAIM_MS * AFF_NS_PER_MS;
    }
    aff_core_read_on(core, true);
}

/* With the minor epoch raised, which needs nobody's leave. */
void aff_core_settle(struct aff_core *core, const char *why)
{
    if (aff_epoch_minor(core->own.epoch) == UINT16_MAX)
        aff_core_depose(core, core->own.epoch, "the minor epochs are used up");
    else
        claim_anew(core, core->own.epoch + 1, why);
}

/* ---- leading ---- */

/*
 * Every flight that is left was not found. Where its mastership has ended, and the end is known exactly, it is void for
 * ever by the validity rule (I10); else it may stand in the log, unread or compacted away. The same table tells later
 * what became of it.
 */
static void answer_doubts(struct aff_core *core)
{
    aff_list_each (node, &core->flights) {
        struct aff_flight *f = aff_container_of(node, struct aff_flight, link);

        aff_core_flight_gone(core, f, aff_core_fate(core, f->stamp) == AFF_OUTCOME_NOT_APPLIED);
    }
}

/*
 * Another led since what waits was admitted. Its idempotency id may be among what was written meanwhile, and what it was
 * computed on may be old (I5): it has to be asked again.
 */
static void refuse_old(struct aff_core *core)
{
    aff_core_refuse_queued(core, AFF_ENOMASTER);
    aff_core_refuse_waiters(core, &core->proofs, AFF_ENOMASTER);
}

/*
 * The own CLAIM was read and is valid: everything below it is applied, `cur` is ours (I2). `identity_before` is what
 * the log's identity was below it; a claim that minted another one, because it did not know, is repeated with the right
 * one.
 */
void aff_core_become_master(struct aff_core *core, bool valid, const unsigned char *identity_before)
{
    assert(valid || AFF_WEAK(core, DUP) || AFF_WEAK(core, CUT));                     /* I2 */
    assert(!valid || aff_stamp_same_owner(core->cur, core->own) || AFF_WEAK(core, CUT)); /* I2 */
    (void)valid;
    answer_doubts(core);
    if (core->interrupted)
        refuse_old(core);
    core->interrupted = core->reading = false;
    if (identity_before && memcmp(identity_before, core->claim_identity, AFF_IDENTITY_LEN) != 0) {
        memcpy(core->claim_identity, identity_before, AFF_IDENTITY_LEN);
        aff_core_settle(core, "the claim carried another identity than the log's");
        return;
    }
    aff_core_age_mark(core);
    aff_core_set_role(core, AFF_ROLE_MASTER);
    aff_core_handover_leads(core);
    core->idle_step = 0;
    aff_core_plan_idle(core);
    core->next_expiry_ns = aff_core_now(core);
}

/* Ends a mastership, or the try: nothing of it is produced any more, and nobody waits for it. */
void aff_core_lay_down(struct aff_core *core)
{
    core->w.log->reset(core->w.log);
    core->own = (struct aff_stamp){ 0 };
    core->claim_pending = core->granting = core->resigning = core->caught_up = core->unsafe = core->interrupted = false;
    aff_core_stalled(core, false);
    core->refused_since_ns = 0;
    core->retry_claim_ns = core->next_idle_ns = core->next_expiry_ns = INT64_MAX;
    aff_core_set_role(core, AFF_ROLE_FOLLOWING);
    aff_core_handover_void(core);
    answer_doubts(core);
    aff_core_refuse_queued(core, AFF_ENOMASTER);
    aff_core_refuse_waiters(core, &core->proofs, AFF_ENOMASTER);
}

/* A newer mastership stands in the log, or ours could not begin, or it is no longer wanted. */
void aff_core_depose(struct aff_core *core, aff_epoch newer, const char *why)
{
    aff_log(core->w.logger, WARN, "partition.deposed", aff_f_str("keyspace", core->opts.keyspace),
            aff_f_int("partition", core->opts.index), aff_f_str("why", why),
            aff_f_int("own", aff_epoch_major(core->own.epoch)), aff_f_int("newer", aff_epoch_major(newer)));
    aff_core_lay_down(core);
    core->want_lead = false;
    core->w.coordinator->deposed(core->w.coordinator, newer);
    aff_core_read_on(core, false);
}
