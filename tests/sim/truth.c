/*
 * truth.c - see truth.h.
 */
#include "truth.h"

#include "base/alloc.h"
#include "checker.h"
#include "fake_store.h"
#include "trace.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- names ---- */

const char *sim_key_name(const struct sim *sim, int key)
{
    static const char *const registers[] = { "r0", "r1", "r2", "r3", "r4", "r5" };
    static const char *const ledgers[] = { "l0", "l1", "l2" };

    if (key < sim->profile.registers)
        return registers[key];
    key -= sim->profile.registers;
    return key >= 0 && key < sim->profile.ledgers ? ledgers[key] : NULL;
}

bool sim_key_is_ledger(const struct sim *sim, int key)
{
    return key >= sim->profile.registers && key < sim_client_keys(sim);
}

int sim_client_keys(const struct sim *sim)
{
    return sim->profile.registers + sim->profile.ledgers;
}

/* ---- the rule ---- */

bool sim_stamp_owner(struct aff_stamp a, struct aff_stamp b)
{
    return a.epoch == b.epoch && a.nonce == b.nonce;
}

/* A record counts when its mastership is higher than the last one that counted, or goes on with the next numbers. */
static bool counts(struct aff_stamp last, const struct sim_entry *e)
{
    if (e->kind == AFF_KIND_FOREIGN)
        return false;
    if (e->stamp.epoch != last.epoch)
        return e->stamp.epoch > last.epoch;
    return e->stamp.nonce == last.nonce && e->stamp.seq > last.seq;
}

/* ---- states of a key ---- */

static void add_state(struct sim_key *key, struct sim_state state)
{
    if (key->count == key->capacity) {
        key->capacity = key->capacity ? 2 * key->capacity : 16;
        key->states = aff_xrealloc(key->states, (size_t)key->capacity, sizeof *key->states);
    }
    key->states[key->count++] = state;
}

static struct sim_state state_of(const struct sim_entry *e, const struct aff_record *rec)
{
    return (struct sim_state){
        .entry = e,
        .exists = rec->value.data != NULL,
        .item = { { rec->offset, rec->time_ms, rec->expires_ms, rec->event_ms }, rec->content_type, rec->value },
    };
}

static uint64_t state_hash(const struct sim_state *s)
{
    return s->exists ? sim_item_hash(s->entry->view.key, &s->item) : 0;
}

/* A repair tells again what is there: the same value under the same version. */
static void check_repair(struct sim *sim, const struct aff_record *rec, const struct sim_state *now)
{
    bool same;

    if (!now->exists)
        same = !rec->value.data && rec->kept_offset == -1;
    else
        same = rec->value.data && aff_bytes_equal(rec->value, now->item.value) &&
               aff_bytes_equal(rec->content_type, now->item.content_type) &&
               rec->kept_offset == now->item.version.offset && rec->kept_time_ms == now->item.version.time_ms &&
               rec->expires_ms == now->item.version.expires_ms && rec->event_ms == now->item.version.event_ms;
    if (!same)
        sim_violation(sim, "I6", "the valid repair at %" PRId64 " changes the state of %s", rec->offset,
                      sim_bytes_text(rec->key).text);
    sim_count(sim->coverage, SIM_REPAIRS);
}

static void apply_valid(struct sim_truth *t, struct sim_key *key, struct sim_prefix *p, const struct sim_entry *e,
                        const struct aff_record *rec)
{
    const struct sim_state *before = &key->states[key->count - 1];

    if (rec->kind == AFF_KIND_REPAIR) {
        check_repair(t->sim, rec, before);
        return;
    }
    p->values_digest ^= state_hash(before);
    add_state(key, state_of(e, rec));
    p->values_digest ^= state_hash(&key->states[key->count - 1]);
    sim_check_valid_write(t->sim, e, rec, &key->states[key->count - 2], &key->states[key->count - 1]);
}

static void set_dirty(struct sim_truth *t, struct sim_key *key, struct sim_prefix *p, const struct sim_entry *e)
{
    if (e->valid == key->dirty) {
        p->dirty_digest ^= sim_bytes_hash(e->view.key);
        p->dirty_count += e->valid ? UINT64_MAX : 1; /* one less or one more */
    }
    if (!e->valid) {
        if (!key->dirty)
            key->dirty_since_ns = t->sim->now_ns;
        if (!key->dirty || e->view.offset < key->dirty_offset)
            key->dirty_offset = e->view.offset;
    }
    key->dirty = !e->valid;
    key->last = e;
}

/* ---- a record has landed ---- */

static void decode(struct sim_entry *e, struct aff_record *rec)
{
    aff_record_decode(&e->view, rec);
    e->kind = rec->kind;
    e->stamp = rec->stamp;
}

static void count_record(struct sim *sim, const struct sim_entry *e, const struct aff_record *rec)
{
    if (!e->valid)
        sim_count(sim->coverage, SIM_VOIDS);
    if (e->kind == AFF_KIND_CLAIM)
        sim_count(sim->coverage, e->valid ? SIM_CLAIMS_VALID : SIM_CLAIMS_VOID);
    if (e->kind == AFF_KIND_REPAIR && aff_key_is_control(e->view.key) && !e->view.value.data)
        sim_count(sim->coverage, SIM_CLAIMS_WITHDRAWN);
    if (rec->idem_count > 1)
        sim_count(sim->coverage, SIM_MERGED);
}

static struct sim_prefix *next_prefix(struct sim_truth *t, int64_t offset)
{
    if (offset + 2 > t->capacity) {
        t->capacity = 2 * t->capacity;
        t->prefixes = aff_xrealloc(t->prefixes, (size_t)t->capacity, sizeof *t->prefixes);
    }
    t->prefixes[offset + 1] = t->prefixes[offset];
    return &t->prefixes[offset + 1];
}

void sim_truth_landed(struct sim_truth *t, struct sim_entry *e)
{
    struct aff_record *rec = &t->scratch;
    struct sim_prefix *p = next_prefix(t, e->view.offset);

    decode(e, rec);
    e->valid = counts(p->cur, e);
    if (e->valid) {
        p->cur = e->stamp;
        if (e->kind == AFF_KIND_CLAIM)
            t->claim_offset = e->view.offset;
    }
    sim_trace_line(t->sim, "log + %" PRId64 " %s %s %s %s = %s", e->view.offset, sim_kind_text(e->kind),
                   sim_stamp_text(e->stamp).text, e->valid ? "valid" : "VOID", sim_bytes_text(e->view.key).text,
                   sim_bytes_text(e->view.value).text);
    if (sim_key_name(t->sim, e->key)) {
        struct sim_key *key = &t->keys[e->key];
        if (e->valid)
            apply_valid(t, key, p, e, rec);
        set_dirty(t, key, p, e);
    }
    count_record(t->sim, e, rec);
}

/* ---- questions ---- */

const struct sim_prefix *sim_truth_at(const struct sim_truth *t, int64_t offset)
{
    return &t->prefixes[offset];
}

int sim_truth_find(const struct sim_key *key, int64_t version_offset)
{
    int low = 1, high = key->count;

    while (low < high) {
        int middle = (low + high) / 2;
        if (key->states[middle].item.version.offset < version_offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low < key->count && key->states[low].item.version.offset == version_offset ? low : -1;
}

const struct sim_entry *sim_truth_record(const struct sim_truth *t, struct aff_stamp stamp)
{
    const struct sim_log *log = t->sim->log;

    for (int64_t i = log->end - 1; i >= 0; i--) {
        const struct sim_entry *e = log->entries[i];
        if (e->valid && sim_stamp_owner(e->stamp, stamp) && e->stamp.seq == stamp.seq)
            return e;
        if (e->valid && e->stamp.epoch < stamp.epoch)
            return NULL;
    }
    return NULL;
}

/* ---- life ---- */

struct sim_truth *sim_truth_new(struct sim *sim)
{
    struct sim_truth *t = aff_xcalloc(1, sizeof *t);

    t->sim = sim;
    t->claim_offset = -1;
    t->capacity = 256;
    t->prefixes = aff_xcalloc((size_t)t->capacity, sizeof *t->prefixes);
    for (int i = 0; i < SIM_KEYS_MAX; i++)
        add_state(&t->keys[i], (struct sim_state){ .item = { .version = { .offset = -1 } } });
    return t;
}

struct sim_truth *sim_truth_free(struct sim_truth *t)
{
    for (int i = 0; i < SIM_KEYS_MAX; i++)
        free(t->keys[i].states);
    free(t->prefixes);
    free(t);
    return NULL;
}
