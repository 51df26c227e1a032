/*
 * validity_compaction_test.c - random logs under compaction against the validity rule.
 *
 * A log as correct masters, zombies and a coordinator that grants an epoch twice leave it is compacted up to a random
 * offset. Whoever reads what is left must arrive at the same state; and while no key is dirty, so must whoever knows no
 * rule and applies last-writer-wins. A control shows that the test can fail: were the nonce no part of a CLAIM's key, a
 * void claim would remove the valid one.
 */
#include "changelog/record.h"

#include <stdio.h>
#include <stdlib.h>

enum { LOGS = 20000, RECORDS_MAX = 128, KEYS = 3, ZOMBIES_MAX = 64, MASTERSHIPS_MAX = 32 };

struct record {
    enum aff_kind kind;
    struct aff_stamp stamp;
    int key;   /* DATA */
    int value; /* DATA; 0: none */
};

struct log {
    struct record records[RECORDS_MAX];
    int count;
};

struct state {
    int value[KEYS];
    bool dirty[KEYS];
};

/* What makes the logs: the master of the moment, and what older ones sent that did not land yet. */
struct maker {
    uint64_t random;
    bool twice; /* epochs may be granted to two incarnations */
    struct log log;
    struct aff_stamp master; /* with the number of its next record */
    struct record zombies[ZOMBIES_MAX];
    int zombie_first, zombie_count;
    int values;
};

static uint64_t random_u64(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static int below(struct maker *m, int limit)
{
    return (int)(random_u64(&m->random) % (uint64_t)limit);
}

/* ---- the two ways to read a log ---- */

static struct state read_by_rule(const struct log *log)
{
    struct state s = { 0 };
    struct aff_stamp cur = { 0 };

    for (int i = 0; i < log->count; i++) {
        const struct record *r = &log->records[i];
        bool valid = aff_stamp_valid(cur, r->stamp);
        if (valid)
            cur = r->stamp;
        if (r->kind != AFF_KIND_DATA)
            continue;
        s.dirty[r->key] = !valid;
        if (valid)
            s.value[r->key] = r->value;
    }
    return s;
}

static struct state read_plainly(const struct log *log)
{
    struct state s = { 0 };

    for (int i = 0; i < log->count; i++)
        if (log->records[i].kind == AFF_KIND_DATA)
            s.value[log->records[i].key] = log->records[i].value;
    return s;
}

static bool same_values(struct state a, struct state b)
{
    return memcmp(a.value, b.value, sizeof a.value) == 0;
}

/* ---- making a log ---- */

static void land(struct maker *m, struct record r)
{
    if (m->log.count < RECORDS_MAX)
        m->log.records[m->log.count++] = r;
}

static struct record next_data(struct maker *m, int key, int value)
{
    return (struct record){ .kind = AFF_KIND_DATA, .stamp = m->master, .key = key, .value = value };
}

static void write_data(struct maker *m, int key, int value)
{
    land(m, next_data(m, key, value));
    m->master.seq++;
}

/* The master goes, with up to two records on their way; the next one claims, and perhaps somebody else the same epoch. */
static void change_master(struct maker *m)
{
    if (m->master.epoch)
        for (int left = below(m, 3); left > 0 && m->zombie_first + m->zombie_count < ZOMBIES_MAX; left--) {
            m->zombies[m->zombie_first + m->zombie_count++] = next_data(m, below(m, KEYS - 1), ++m->values);
            m->master.seq++;
        }
    m->master = (struct aff_stamp){ .epoch = m->master.epoch + 1, .nonce = random_u64(&m->random) };
    land(m, (struct record){ .kind = AFF_KIND_CLAIM, .stamp = m->master });
    m->master.seq = 1;
    if (m->twice && below(m, 10) < 6) {
        struct aff_stamp other = { .epoch = m->master.epoch, .nonce = random_u64(&m->random) };
        land(m, (struct record){ .kind = AFF_KIND_CLAIM, .stamp = other });
    }
}

static void land_zombie(struct maker *m)
{
    land(m, m->zombies[m->zombie_first++]);
    m->zombie_count--;
}

static void step(struct maker *m)
{
    int what = below(m, 100);
    struct state now;

    if (!m->master.epoch || what < 15)
        change_master(m);
    else if (what < 35 && m->zombie_count > 0)
        land_zombie(m);
    else
        write_data(m, below(m, KEYS), ++m->values);
    now = read_by_rule(&m->log);
    for (int key = 0; key < KEYS; key++)
        if (now.dirty[key])
            write_data(m, key, now.value[key]); /* the repair */
}

static void make_log(struct maker *m, uint64_t seed, bool twice)
{
    *m = (struct maker){ .random = seed, .twice = twice };
    for (int steps = 5 + below(m, 21); steps > 0; steps--)
        step(m);
}

/* ---- compaction ---- */

/* Claims of one mastership have one key; without the nonce those of one epoch do. */
static bool same_key(const struct record *a, const struct record *b, bool claim_key_has_nonce)
{
    if (a->kind != b->kind)
        return false;
    if (a->kind == AFF_KIND_DATA)
        return a->key == b->key;
    return a->stamp.epoch == b->stamp.epoch && (!claim_key_has_nonce || a->stamp.nonce == b->stamp.nonce);
}

static bool is_superseded(const struct log *log, int at, int end, bool claim_key_has_nonce)
{
    for (int later = at + 1; later < end; later++)
        if (same_key(&log->records[at], &log->records[later], claim_key_has_nonce))
            return true;
    return false;
}

static struct log compact(const struct log *log, int end, bool claim_key_has_nonce)
{
    struct log kept = { .count = 0 };

    for (int i = 0; i < log->count; i++)
        if (i >= end || !is_superseded(log, i, end, claim_key_has_nonce))
            kept.records[kept.count++] = log->records[i];
    return kept;
}

/* ---- the test ---- */

struct counts {
    int compacted_differs, plain_differs, voids;
};

static struct counts check_logs(bool twice, bool claim_key_has_nonce)
{
    struct counts counts = { 0 };
    struct maker m;

    for (uint64_t seed = 0; seed < LOGS; seed++) {
        struct state full;
        struct log kept;
        make_log(&m, seed, twice);
        full = read_by_rule(&m.log);
        kept = compact(&m.log, below(&m, m.log.count + 1), claim_key_has_nonce);
        counts.voids += m.zombie_first;
        counts.compacted_differs += !same_values(full, read_by_rule(&kept));
        counts.plain_differs += !same_values(full, read_plainly(&m.log)) || !same_values(full, read_plainly(&kept));
    }
    printf("epochs granted twice: %d, nonce in the claim's key: %d: after compaction %d of %d logs read differently, "
           "read plainly %d; %d void records landed\n",
           twice, claim_key_has_nonce, counts.compacted_differs, LOGS, counts.plain_differs, counts.voids);
    return counts;
}

static bool passes(bool twice, bool claim_key_has_nonce, bool must_differ)
{
    struct counts counts = check_logs(twice, claim_key_has_nonce);

    return counts.voids > 0 && counts.plain_differs == 0 && (counts.compacted_differs > 0) == must_differ;
}

int main(void)
{
    bool good = passes(false, true, false);

    good = passes(true, true, false) && good;
    good = passes(false, false, false) && good;
    good = passes(true, false, true) && good; /* the control: the test can see it */
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
