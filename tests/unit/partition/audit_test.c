/*
 * audit_test.c - a store against its changelog: equal whatever stands in the log, and any difference is found. A standby
 * follows a memory changelog into which the test writes what it likes, valid or not.
 */
#include "partition/audit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { PASSES = 20000, KEYS = 40, SEEDS = 30, RECORDS = 900 };
#define NAME "test.things"

struct fixture {
    struct aff_loop *loop;
    struct aff_changelog *log;
    struct aff_changelog_part *writer; /* the test's own handle */
    struct aff_changelog_sink sink;
    struct aff_coordinator *coordinator;
    struct aff_partition_group *group;
    struct aff_partition *part;
    char folder[64], state[80], scratch[80];

    uint64_t seed;
    int64_t appended; /* entries that the test wrote: the log's end */
    struct aff_stamp owners[3];
    struct aff_audit_result result;
    int done;
    int64_t read, applied; /* as told by `moved` */
};

static uint64_t random_below(struct fixture *f, uint64_t limit)
{
    f->seed = f->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (f->seed >> 33) % limit;
}

/* ---- a coordinator that lets nobody lead ---- */

static int never_take(struct aff_coordinator *c, struct aff_seat *seat, aff_error *err)
{
    (void)c, (void)seat, (void)err;
    return 0;
}
static void never_leave(struct aff_coordinator *c, struct aff_seat *seat)
{
    (void)c, (void)seat;
}
static int64_t never_lease(struct aff_coordinator *c)
{
    (void)c;
    return 0;
}
static const struct aff_coordinator_ops never_ops = { .name = "never",
                                                      .take = never_take,
                                                      .leave = never_leave,
                                                      .lease_until = never_lease };
static struct aff_coordinator never = { &never_ops };

/* ---- fixture ---- */

static void ignore_reports(struct aff_changelog_sink *sink, const struct aff_delivery_report *reports, size_t count)
{
    (void)sink;
    for (size_t i = 0; i < count; i++)
        assert_int_equal(reports[i].status, 0);
}

static void ignore_entries(struct aff_changelog_sink *sink, const struct aff_batch *batch)
{
    (void)sink, (void)batch;
}

static void open_part(struct fixture *f)
{
    struct aff_partition_opts opts = {
        .core = { .keyspace = "things",
                  .partitions = 1,
                  .compaction_lag_ms = 3600000,
                  .tombstone_retention_ms = 604800000 },
        .topic = NAME,
        .group = f->group,
        .changelog = f->log,
        .coordinator = f->coordinator,
        .store = { .folder = f->state, .map_bytes = 64 << 20, .readers = 1, .boot_id = "b" },
    };
    aff_error err = { 0 };

    if (aff_partition_new(&opts, &f->part, &err) != 0)
        fail_msg("the partition did not open: %s", err.text);
    aff_partition_start(f->part);
}

static void make(struct fixture *f, struct aff_coordinator *coordinator)
{
    struct aff_loop_opts loop = { .name = "test", .clock = aff_clock_system() };
    struct aff_changelog_memory_opts log = { .clock = aff_clock_system() };
    struct aff_topic topic = { NAME, 1, 3600000, 604800000, true };
    aff_error err = { 0 };

    snprintf(f->folder, sizeof f->folder, "/tmp/audit-test-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->state, sizeof f->state, "%s/state", f->folder);
    snprintf(f->scratch, sizeof f->scratch, "%s/verify", f->folder);
    assert_int_equal(aff_loop_new(&loop, &f->loop, &err), 0);
    assert_int_equal(aff_changelog_memory_new(&log, &f->log, &err), 0);
    assert_int_equal(f->log->ops->topic(f->log, &topic, &err), 0);
    f->sink = (struct aff_changelog_sink){ ignore_reports, ignore_entries };
    assert_int_equal(f->log->ops->open(f->log, NAME, 0, f->loop, &f->sink, &f->writer, &err), 0);
    f->coordinator = coordinator;
    f->group = aff_partition_group_new(f->loop);
    open_part(f);
}

static void unmake(struct fixture *f)
{
    char command[128];

    aff_partition_free(f->part);
    aff_partition_group_free(f->group);
    if (f->coordinator->ops->free)
        f->coordinator->ops->free(f->coordinator);
    f->log->ops->close(f->writer);
    f->log->ops->free(f->log);
    aff_loop_free(f->loop);
    snprintf(command, sizeof command, "rm -rf %s", f->folder);
    assert_int_equal(system(command), 0);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    make(f, &never);
    *state = f;
    return 0;
}

static int setup_master(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct aff_coordinator_embedded_opts opts = { .exclusive = true };

    make(f, aff_coordinator_embedded_new(&opts));
    for (int i = 0; i < PASSES && !aff_partition_leads(f->part); i++)
        aff_loop_pass(f->loop, AFF_NS_PER_MS);
    assert_true(aff_partition_leads(f->part));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    unmake(*state);
    free(*state);
    return 0;
}

/* ---- records ---- */

static void append(struct fixture *f, const struct aff_record *rec)
{
    struct aff_buf header;
    struct aff_entry entry = { .key = rec->key, .value = rec->value };

    aff_buf_init(&header);
    if (rec->kind != AFF_KIND_FOREIGN) {
        assert_true(aff_record_encode(rec, &header));
        entry.aff = aff_buf_view(&header);
    }
    if (rec->content_type.len > 0)
        entry.content_type = rec->content_type;
    assert_int_equal(f->log->ops->append(f->writer, &entry, (uint64_t)f->appended), 0);
    f->appended++;
    aff_buf_fini(&header);
}

static void append_data(struct fixture *f, struct aff_stamp *owner, const char *key, const char *value)
{
    struct aff_record rec;

    aff_record_init(&rec);
    rec.kind = AFF_KIND_DATA;
    owner->seq++;
    rec.stamp = *owner;
    rec.key = aff_str(key);
    rec.value = value ? aff_str(value) : (aff_bytes){ NULL, 0 };
    rec.content_type = aff_str(value ? "text/plain" : "");
    append(f, &rec);
}

static void append_claim(struct fixture *f, struct aff_stamp *owner, uint32_t major)
{
    static const unsigned char identity[AFF_IDENTITY_LEN] = "the log";
    char key[AFF_CONTROL_KEY_MAX];
    struct aff_record rec;
    struct aff_buf value;

    *owner = (struct aff_stamp){ aff_epoch_of(major, 0), 1000 + major, 0 };
    aff_buf_init(&value);
    assert_true(aff_claim_encode(identity, NULL, 0, &value));
    aff_record_init(&rec);
    rec.kind = AFF_KIND_CLAIM;
    rec.stamp = *owner;
    rec.key = aff_bytes_of(key, aff_claim_key(*owner, key));
    rec.value = aff_buf_view(&value);
    append(f, &rec);
    aff_buf_fini(&value);
}

/* Any record of any of three incarnations, of which one at most can count; or one of nobody. */
static void append_random(struct fixture *f)
{
    static const char *const types[] = { "", "text/plain", "application/json" };
    static const enum aff_kind kinds[] = { AFF_KIND_DATA, AFF_KIND_DATA, AFF_KIND_DATA, AFF_KIND_REPAIR,
                                           AFF_KIND_BARRIER, AFF_KIND_FOREIGN };
    struct aff_stamp *owner = &f->owners[random_below(f, 3)];
    struct aff_record rec;
    char key[600], value[24];
    uint64_t dice = random_below(f, 1000);

    if (owner->epoch == 0 || dice < 10) {
        append_claim(f, owner, 1 + (uint32_t)random_below(f, 20));
        return;
    }
    aff_record_init(&rec);
    rec.kind = kinds[random_below(f, 6)];
    owner->seq += random_below(f, 20) > 0; /* a resend now and then */
    rec.stamp = *owner;
    rec.stamp.seq += rec.stamp.seq == 0;
    rec.key = aff_bytes_of(key, (size_t)snprintf(key, sizeof key, "%c%0*d", dice % 50 ? 'k' : 0,
                                                 dice % 70 ? 1 : 520, (int)random_below(f, KEYS)));
    if (rec.kind == AFF_KIND_BARRIER)
        rec.key = aff_bytes_of(AFF_BARRIER_KEY, AFF_BARRIER_KEY_LEN);
    if (random_below(f, 4) > 0)
        rec.value = aff_bytes_of(value, (size_t)snprintf(value, sizeof value, "%d", (int)random_below(f, 1000)));
    rec.content_type = aff_str(types[random_below(f, 3)]);
    if (rec.kind == AFF_KIND_REPAIR) {
        rec.kept_offset = rec.value.data ? (int64_t)random_below(f, 50) : -1;
        rec.kept_time_ms = 5;
    }
    if (random_below(f, 5) == 0)
        rec.expires_ms = (int64_t)random_below(f, 5000);
    if (random_below(f, 5) == 0)
        rec.event_ms = (int64_t)random_below(f, 5000);
    append(f, &rec);
}

/* ---- the audit ---- */

static void on_done(void *self, const struct aff_audit_result *result)
{
    struct fixture *f = self;

    f->result = *result;
    f->done++;
}

static void on_moved(void *self, int64_t read, int64_t applied)
{
    struct fixture *f = self;

    f->read = read;
    f->applied = applied;
}

static struct aff_audit *begin(struct fixture *f, int64_t within_ns)
{
    struct aff_audit_opts opts = {
        .part = f->part,
        .changelog = f->log,
        .topic = NAME,
        .folder = f->scratch,
        .map_bytes = 64 << 20,
        .tombstone_retention_ms = 604800000,
        .deadline_ns = aff_mono_ns(aff_clock_system()) + within_ns,
        .done = on_done,
        .moved = on_moved,
        .self = f,
    };
    struct aff_audit *audit = NULL;
    aff_error err = { 0 };

    f->done = 0;
    if (aff_audit_new(&opts, &audit, &err) != 0)
        fail_msg("the audit did not begin: %s", err.text);
    return audit;
}

static void end(struct fixture *f, struct aff_audit *audit)
{
    struct stat st;

    for (int i = 0; i < PASSES && !f->done; i++)
        aff_loop_pass(f->loop, AFF_NS_PER_MS);
    assert_int_equal(f->done, 1);
    aff_audit_free(audit);
    aff_loop_pass(f->loop, 0);
    assert_int_equal(f->done, 1);
    assert_int_equal(stat(f->scratch, &st), -1);
}

static void audit(struct fixture *f)
{
    end(f, begin(f, 60 * AFF_NS_PER_S));
}

static void expect(const struct fixture *f, enum aff_verdict store, enum aff_verdict last)
{
    if (f->result.store != store || f->result.last != last)
        fail_msg("the store is found %d, last-writer-wins %d: %s; keys %d in the store, %d in the log", f->result.store,
                 f->result.last, f->result.reason, (int)f->result.tally.count, (int)f->result.log.state.count);
}

/* Until the standby has applied what the test appended. */
static void settle(struct fixture *f)
{
    for (int i = 0; i < PASSES && atomic_load(&aff_partition_shared(f->part)->applied) < f->appended; i++)
        aff_loop_pass(f->loop, AFF_NS_PER_MS);
    assert_int_equal(atomic_load(&aff_partition_shared(f->part)->applied), f->appended);
}

static void tamper(struct fixture *f, const char *key, const struct aff_item *item)
{
    struct aff_store *store = aff_partition_store(f->part);

    aff_store_abort(store);
    assert_int_equal(item ? aff_store_put(store, aff_str(key), item) : aff_store_delete(store, aff_str(key)), 0);
    assert_int_equal(aff_store_commit(store), 0);
}

static struct aff_item stored(struct fixture *f, const char *key)
{
    struct aff_item item;

    assert_int_equal(aff_store_get(aff_partition_store(f->part), aff_str(key), &item), 1);
    aff_store_abort(aff_partition_store(f->part));
    item.content_type = aff_str("text/plain"); /* what it had is gone with the transaction */
    item.value = aff_str("one");
    return item;
}

/* ---- tests ---- */

static void an_empty_log_and_an_empty_store_are_equal(void **state)
{
    struct fixture *f = *state;

    audit(f);
    expect(f, AFF_VERDICT_EQUAL, AFF_VERDICT_EQUAL);
    assert_int_equal(f->result.offset, 0);
    assert_int_equal(f->result.tally.count, 0);
}

static void values_and_deletes_are_followed(void **state)
{
    struct fixture *f = *state;
    struct aff_stamp owner;

    append_claim(f, &owner, 1);
    append_data(f, &owner, "a", "one");
    append_data(f, &owner, "b", "two");
    append_data(f, &owner, "a", NULL);
    append_data(f, &owner, "c", "three");
    settle(f);
    audit(f);
    expect(f, AFF_VERDICT_EQUAL, AFF_VERDICT_EQUAL);
    assert_int_equal(f->result.offset, 5);
    assert_int_equal(f->result.tally.count, 2);
    assert_int_equal(f->result.log.records, 5);
    assert_int_equal(f->read, 5);
    assert_int_equal(f->applied, 5);
}

static void every_kind_of_difference_is_found(void **state)
{
    struct fixture *f = *state;
    struct aff_stamp owner;
    struct aff_item whole, item;

    append_claim(f, &owner, 1);
    append_data(f, &owner, "a", "one");
    append_data(f, &owner, "b", "two");
    settle(f);
    whole = stored(f, "a");
    for (int what = 0; what < 8; what++) {
        item = whole;
        if (what == 0)
            item.value = aff_str("0ne");
        else if (what == 1)
            item.content_type = aff_str("text/html");
        else if (what == 2)
            item.version.offset++;
        else if (what == 3)
            item.version.time_ms++;
        else if (what == 4)
            item.version.expires_ms = 7;
        else if (what == 5)
            item.version.event_ms = 7;
        tamper(f, what == 6 ? "extra" : "a", what == 7 ? NULL : &item);
        audit(f);
        expect(f, AFF_VERDICT_DIFFERS, AFF_VERDICT_EQUAL);
        assert_true(f->result.compared);
        tamper(f, what == 6 ? "extra" : "a", what == 6 ? NULL : &whole);
        audit(f);
        expect(f, AFF_VERDICT_EQUAL, AFF_VERDICT_EQUAL);
    }
}

static void a_dirty_key_leaves_the_last_writer_undecided(void **state)
{
    struct fixture *f = *state;
    struct aff_stamp old, owner;
    struct aff_record rec;

    append_claim(f, &old, 1);
    append_data(f, &old, "a", "one");
    append_claim(f, &owner, 2);
    append_data(f, &old, "a", "late");
    settle(f);
    audit(f);
    expect(f, AFF_VERDICT_EQUAL, AFF_VERDICT_UNDECIDED);
    assert_int_equal(f->result.log.dirty, 1);
    assert_int_equal(f->result.log.voids, 1);
    assert_false(aff_digest_equal(f->result.log.last, f->result.log.state.plain));

    aff_record_init(&rec);
    rec.kind = AFF_KIND_REPAIR;
    owner.seq++;
    rec.stamp = owner;
    rec.key = aff_str("a");
    rec.value = aff_str("one");
    rec.content_type = aff_str("text/plain");
    rec.kept_offset = 1;
    rec.kept_time_ms = 5;
    append(f, &rec);
    settle(f);
    audit(f);
    expect(f, AFF_VERDICT_EQUAL, AFF_VERDICT_EQUAL);
    assert_int_equal(f->result.log.dirty, 0);
}

/* A repair that tells another value than was valid: nobody of ours writes it, and I7 does not see it either. But a valid
 * record of a kind that carries no value does harm to plain readers alone. */
static void a_plain_reader_that_would_go_wrong_is_told(void **state)
{
    struct fixture *f = *state;
    struct aff_stamp owner;
    struct aff_record rec;

    append_claim(f, &owner, 1);
    append_data(f, &owner, "a", "one");
    aff_record_init(&rec);
    rec.kind = AFF_KIND_BARRIER;
    owner.seq++;
    rec.stamp = owner;
    rec.key = aff_str("a");
    rec.value = aff_str("two");
    append(f, &rec);
    settle(f);
    audit(f);
    expect(f, AFF_VERDICT_EQUAL, AFF_VERDICT_DIFFERS);
}

static void any_log_is_folded_as_it_is_applied(void **state)
{
    uint64_t voids = 0, keys = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct fixture *f = calloc(1, sizeof *f);
        struct aff_audit *running;

        f->seed = seed;
        make(f, &never);
        for (int i = 0; i < RECORDS / 2; i++)
            append_random(f);
        running = begin(f, 60 * AFF_NS_PER_S);
        for (int i = 0; i < RECORDS / 2; i++) {
            append_random(f);
            if (i % 5 == 0)
                aff_loop_pass(f->loop, 0);
        }
        end(f, running);
        if (f->result.store != AFF_VERDICT_EQUAL)
            fail_msg("seed %d: %s", (int)seed, f->result.reason);
        settle(f);
        audit(f);
        expect(f, AFF_VERDICT_EQUAL, f->result.log.dirty ? AFF_VERDICT_UNDECIDED : f->result.last);
        assert_int_equal(f->result.offset, RECORDS);
        voids += f->result.log.voids;
        keys += f->result.tally.count;
        unmake(f);
        free(f);
    }
    assert_true(voids > SEEDS * 20 && keys > SEEDS * 3); /* there was something to see */
}

/* ---- on a master ---- */

struct request {
    struct aff_op op;
    int done;
    char key[16], value[16];
};

static void request_done(struct aff_op *op)
{
    (void)op;
}

static void request_release(struct aff_op *op)
{
    aff_container_of(op, struct request, op)->done = 1;
}

static void submit(struct fixture *f, struct request *r, int number)
{
    memset(r, 0, sizeof *r);
    aff_op_init(&r->op, number % 7 ? AFF_OP_PUT : AFF_OP_DELETE);
    r->op.key = aff_bytes_of(r->key, (size_t)snprintf(r->key, sizeof r->key, "%d", number * 7919 % 1009));
    r->op.value = aff_bytes_of(r->value, (size_t)snprintf(r->value, sizeof r->value, "%d", number));
    r->op.content_type = aff_str("text/plain");
    r->op.done = request_done;
    r->op.release = request_release;
    aff_partition_submit(f->part, &r->op);
}

static void writing_goes_on_meanwhile(void **state)
{
    enum { WRITES = 12000, AT_ONCE = 16, AFTER = 3000 };
    struct fixture *f = *state;
    struct request *r = calloc(AT_ONCE, sizeof *r);
    struct aff_audit *running = NULL;
    int number = 0, audits = 0;

    while (number < WRITES || running) {
        for (int i = 0; i < AT_ONCE && number < WRITES + AFTER; i++)
            if (r[i].done || number < AT_ONCE)
                submit(f, &r[i], number++);
        aff_loop_pass(f->loop, 0);
        if (!running && number > AFTER && number < WRITES) {
            running = begin(f, 60 * AFF_NS_PER_S);
        } else if (running && f->done) {
            running = aff_audit_free(running);
            expect(f, AFF_VERDICT_EQUAL, AFF_VERDICT_EQUAL);
            assert_true(f->result.offset > AFTER / 2 && f->result.tally.count > 100);
            audits++;
        }
    }
    for (int i = 0; i < PASSES && !aff_partition_idle(f->part); i++)
        aff_loop_pass(f->loop, AFF_NS_PER_MS);
    assert_true(audits > 0);
    audit(f);
    expect(f, AFF_VERDICT_EQUAL, AFF_VERDICT_EQUAL);
    free(r);
}

/* ---- a log in trouble ---- */

/* The memory changelog, seen through one that changes the answers to reads. */
struct crooked {
    struct aff_changelog base;
    struct aff_changelog *log;
    struct aff_changelog_part *part;
    struct aff_changelog_sink sink, *to;
    enum { CROOKED_FAILS, CROOKED_IS_BEHIND, CROOKED_IS_DAMAGED, CROOKED_WAS_CUT, CROOKED_IS_SILENT } how;
    int answers;
};

static void crooked_entries(struct aff_changelog_sink *sink, const struct aff_batch *given)
{
    struct crooked *c = aff_container_of(sink, struct crooked, sink);
    struct aff_batch batch = *given;
    int number = c->answers++;

    if (c->how == CROOKED_IS_SILENT)
        return;
    if (c->how == CROOKED_FAILS && number < 3)
        batch = (struct aff_batch){ .ticket = given->ticket, .status = AFF_EIO };
    else if (c->how == CROOKED_IS_BEHIND && number < 3)
        batch = (struct aff_batch){ .ticket = given->ticket };
    else if (c->how == CROOKED_IS_DAMAGED && number == 1)
        batch = (struct aff_batch){ .ticket = given->ticket, .status = AFF_ECORRUPT };
    else if (c->how == CROOKED_WAS_CUT && number == 1)
        batch.start = given->end;
    else if (number == 0) { /* one entry, so that there is more to read */
        batch.count = 1;
        batch.next = given->entries[0].offset + 1;
    }
    c->to->entries(c->to, &batch);
}

static int crooked_open(struct aff_changelog *log, const char *topic, uint32_t index, struct aff_loop *loop,
                        struct aff_changelog_sink *sink, struct aff_changelog_part **ret_part, aff_error *err)
{
    struct crooked *c = aff_container_of(log, struct crooked, base);

    c->to = sink;
    c->sink = (struct aff_changelog_sink){ ignore_reports, crooked_entries };
    *ret_part = (struct aff_changelog_part *)(void *)c;
    return c->log->ops->open(c->log, topic, index, loop, &c->sink, &c->part, err);
}

static void crooked_close(struct aff_changelog_part *part)
{
    struct crooked *c = (struct crooked *)(void *)part;

    c->log->ops->close(c->part);
}

static void crooked_read(struct aff_changelog_part *part, int64_t from, size_t max_bytes, int mode, uint64_t ticket)
{
    struct crooked *c = (struct crooked *)(void *)part;

    c->log->ops->read(c->part, from, max_bytes, mode, ticket);
}

static void crooked_keep_from(struct aff_changelog_part *part, int64_t offset)
{
    struct crooked *c = (struct crooked *)(void *)part;

    c->log->ops->keep_from(c->part, offset);
}

static const struct aff_changelog_ops crooked_ops = { .name = "crooked",
                                                      .open = crooked_open,
                                                      .close = crooked_close,
                                                      .read = crooked_read,
                                                      .keep_from = crooked_keep_from };

static void a_log_in_trouble_is_read_again_or_named(void **state)
{
    static const char *const reasons[] = { NULL, NULL, "the log is damaged at or above offset 1",
                                           "the log begins at offset 4 by now, and was read up to 1",
                                           "the time was over: the log was read up to offset 0" };
    struct fixture *f = *state;
    struct aff_changelog *log = f->log;
    struct aff_stamp owner;

    append_claim(f, &owner, 1);
    append_data(f, &owner, "a", "one");
    append_data(f, &owner, "b", "two");
    append_data(f, &owner, "c", "three");
    settle(f);
    for (int how = CROOKED_FAILS; how <= CROOKED_IS_SILENT; how++) {
        struct crooked c = { .base = { &crooked_ops }, .log = log, .how = how };

        f->log = &c.base;
        end(f, begin(f, how == CROOKED_IS_SILENT ? AFF_NS_PER_S / 5 : 60 * AFF_NS_PER_S));
        f->log = log;
        if (reasons[how] && !strstr(f->result.reason, reasons[how]))
            fail_msg("the reason is '%s'", f->result.reason);
        expect(f, reasons[how] ? AFF_VERDICT_UNDECIDED : AFF_VERDICT_EQUAL,
               reasons[how] ? AFF_VERDICT_UNDECIDED : AFF_VERDICT_EQUAL);
    }
}

static void a_store_that_is_rebuilt_meanwhile_is_not_judged(void **state)
{
    struct fixture *f = *state;
    struct aff_stamp owner;
    struct aff_audit *running;
    aff_error err;

    append_claim(f, &owner, 1);
    for (int i = 0; i < 2000; i++) {
        char key[16];

        snprintf(key, sizeof key, "%d", i);
        append_data(f, &owner, key, "x");
    }
    settle(f);
    running = begin(f, 60 * AFF_NS_PER_S);
    for (int i = 0; i < PASSES && f->read < 100; i++)
        aff_loop_pass(f->loop, AFF_NS_PER_MS);
    assert_true(f->read >= 100 && !f->done);
    aff_store_abort(aff_partition_store(f->part));
    assert_int_equal(aff_store_wipe(aff_partition_store(f->part), &err), 0);
    end(f, running);
    expect(f, AFF_VERDICT_UNDECIDED, AFF_VERDICT_UNDECIDED);
    assert_string_equal(f->result.reason, "the store is being rebuilt from the log");
}

/* ---- what cannot be decided ---- */

static void a_time_that_is_over_decides_nothing(void **state)
{
    struct fixture *f = *state;

    end(f, begin(f, 0));
    expect(f, AFF_VERDICT_UNDECIDED, AFF_VERDICT_UNDECIDED);
    assert_non_null(strstr(f->result.reason, "the time was over"));
    assert_false(f->result.compared);
}

static void it_can_be_given_up_at_any_moment(void **state)
{
    struct fixture *f = *state;
    struct aff_stamp owner;

    append_claim(f, &owner, 1);
    for (int i = 0; i < 3000; i++) {
        char key[16];

        snprintf(key, sizeof key, "%d", i);
        append_data(f, &owner, key, "x");
    }
    settle(f);
    for (int passes = 0; passes < 40; passes++) {
        struct aff_audit *running = begin(f, 60 * AFF_NS_PER_S);

        for (int i = 0; i < passes && !f->done; i++)
            aff_loop_pass(f->loop, 0);
        aff_audit_free(running);
    }
    f->done = 0;
    for (int i = 0; i < 20; i++)
        aff_loop_pass(f->loop, 0);
    assert_int_equal(f->done, 0);
    audit(f);
    expect(f, AFF_VERDICT_EQUAL, AFF_VERDICT_EQUAL);
}

#define audit_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        audit_test(an_empty_log_and_an_empty_store_are_equal),
        audit_test(values_and_deletes_are_followed),
        audit_test(every_kind_of_difference_is_found),
        audit_test(a_dirty_key_leaves_the_last_writer_undecided),
        audit_test(a_plain_reader_that_would_go_wrong_is_told),
        cmocka_unit_test(any_log_is_folded_as_it_is_applied),
        cmocka_unit_test_setup_teardown(writing_goes_on_meanwhile, setup_master, teardown),
        audit_test(a_log_in_trouble_is_read_again_or_named),
        audit_test(a_store_that_is_rebuilt_meanwhile_is_not_judged),
        audit_test(a_time_that_is_over_decides_nothing),
        audit_test(it_can_be_given_up_at_any_moment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
