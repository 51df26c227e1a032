/*
 * partition_test.c - a partition on a loop with the memory changelog and a real store: what its users see of the core.
 */
#include "coordinator/coordinator.h"
#include "partition/partition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { PASSES = 2000 };

struct fixture {
    struct aff_loop *loop;
    struct aff_changelog *log;
    struct aff_coordinator *coordinator;
    struct aff_partition_group *group;
    struct aff_partition *part;
    char folder[64];
};

struct request {
    struct aff_op op;
    int done, released;
    aff_bytes stage;
};

static void on_done(struct aff_op *op)
{
    aff_container_of(op, struct request, op)->done++;
}

static void on_release(struct aff_op *op)
{
    aff_container_of(op, struct request, op)->released++;
}

static void open_part(struct fixture *f)
{
    struct aff_partition_opts opts = {
        .core = { .keyspace = "things", .partitions = 1, .compaction_lag_ms = 3600000, .tombstone_retention_ms = 604800000 },
        .topic = "test.things",
        .group = f->group,
        .changelog = f->log,
        .coordinator = f->coordinator,
        .store = { .folder = f->folder, .map_bytes = 64 << 20, .readers = 1, .boot_id = "b" },
    };
    aff_error err = { 0 };

    if (aff_partition_new(&opts, &f->part, &err) != 0)
        fail_msg("the partition did not open: %s", err.text);
    aff_partition_start(f->part);
    for (int i = 0; i < PASSES && !aff_partition_leads(f->part); i++)
        aff_loop_pass(f->loop, AFF_NS_PER_MS);
    assert_true(aff_partition_leads(f->part));
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct aff_loop_opts loop = { .name = "test", .clock = aff_clock_system() };
    struct aff_changelog_memory_opts log = { .clock = aff_clock_system() };
    struct aff_topic topic = { "test.things", 1, 3600000, 604800000, true };
    struct aff_coordinator_embedded_opts coordinator = { .exclusive = true };
    aff_error err = { 0 };

    snprintf(f->folder, sizeof f->folder, "/tmp/partition-test-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    assert_int_equal(aff_loop_new(&loop, &f->loop, &err), 0);
    assert_int_equal(aff_changelog_memory_new(&log, &f->log, &err), 0);
    assert_int_equal(f->log->ops->topic(f->log, &topic, &err), 0);
    f->coordinator = aff_coordinator_embedded_new(&coordinator);
    f->group = aff_partition_group_new(f->loop);
    open_part(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char command[128];

    aff_partition_free(f->part);
    aff_partition_group_free(f->group);
    f->coordinator->ops->free(f->coordinator);
    f->log->ops->free(f->log);
    aff_loop_free(f->loop);
    snprintf(command, sizeof command, "rm -rf %s", f->folder);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

static void begin(struct request *r, enum aff_op_kind kind, const char *key, const char *value)
{
    memset(r, 0, sizeof *r);
    aff_op_init(&r->op, kind);
    r->op.key = aff_str(key);
    r->op.value = aff_str(value ? value : "");
    r->op.content_type = aff_str("text/plain");
    r->op.done = on_done;
    r->op.release = on_release;
}

static void finish(struct fixture *f, struct request *r)
{
    for (int i = 0; i < PASSES && !r->released; i++)
        aff_loop_pass(f->loop, AFF_NS_PER_MS);
    assert_int_equal(r->done, 1);
    assert_int_equal(r->released, 1);
}

static void ask(struct fixture *f, struct request *r)
{
    aff_partition_submit(f->part, &r->op);
    finish(f, r);
}

static void expect_stored(struct fixture *f, const char *key, const char *value)
{
    struct aff_item item;
    int found = aff_store_get(aff_partition_store(f->part), aff_str(key), &item);

    assert_int_equal(found, value != NULL);
    if (value)
        assert_true(aff_bytes_equal(item.value, aff_str(value)));
    aff_store_abort(aff_partition_store(f->part));
}

static void a_write_is_committed_with_its_version(void **state)
{
    struct fixture *f = *state;
    struct request r;

    begin(&r, AFF_OP_PUT, "a", "one");
    ask(f, &r);
    assert_int_equal(r.op.result.code, 0);
    assert_int_equal(r.op.result.outcome, AFF_OUTCOME_COMMITTED);
    assert_true(r.op.result.created && r.op.result.versioned && r.op.result.stamped);
    assert_int_equal(r.op.result.version.offset, 1); /* behind the CLAIM */
    expect_stored(f, "a", "one");
    assert_int_equal(aff_partition_outcome(f->part, r.op.result.stamp), AFF_OUTCOME_COMMITTED);
}

static void a_delete_of_nothing_writes_nothing(void **state)
{
    struct fixture *f = *state;
    struct request r;

    begin(&r, AFF_OP_DELETE, "nothing", NULL);
    ask(f, &r);
    assert_int_equal(r.op.result.code, AFF_ENOTFOUND);
    assert_int_equal(r.op.result.outcome, AFF_OUTCOME_NONE);
}

static void a_condition_that_fails_is_refused(void **state)
{
    struct fixture *f = *state;
    struct request r;

    begin(&r, AFF_OP_PUT, "a", "one");
    ask(f, &r);
    begin(&r, AFF_OP_PUT, "a", "two");
    r.op.conditions.none_match_any = true;
    ask(f, &r);
    assert_int_equal(r.op.result.code, AFF_EPRECONDITION);
    expect_stored(f, "a", "one");
}

static int stage_longer(struct aff_op *op, const struct aff_item *current, struct aff_staged *staged)
{
    struct request *r = aff_container_of(op, struct request, op);
    char text[64];
    int n = snprintf(text, sizeof text, "%.*s+", current ? (int)current->value.len : 0,
                     current ? (const char *)current->value.data : "");

    free((void *)(uintptr_t)r->stage.data);
    r->stage = aff_bytes_of(strdup(text), (size_t)n);
    *staged = (struct aff_staged){ .what = AFF_STAGE_PUT, .value = r->stage, .content_type = aff_str("text/plain") };
    return 0;
}

static void commands_that_wait_leave_as_one_record(void **state)
{
    struct fixture *f = *state;
    struct request first, r[3];

    begin(&first, AFF_OP_COMMAND, "a", NULL);
    first.op.run = stage_longer;
    aff_partition_submit(f->part, &first.op);
    for (int i = 0; i < 3; i++) {
        begin(&r[i], AFF_OP_COMMAND, "a", NULL);
        r[i].op.run = stage_longer;
        aff_partition_submit(f->part, &r[i].op);
    }
    finish(f, &first);
    for (int i = 0; i < 3; i++)
        finish(f, &r[i]);
    expect_stored(f, "a", "++++");
    assert_true(r[2].op.result.versioned);
    free((void *)(uintptr_t)first.stage.data);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(r[i].op.result.outcome, AFF_OUTCOME_COMMITTED);
        free((void *)(uintptr_t)r[i].stage.data);
    }
}

static void a_repeat_gets_the_first_answer(void **state)
{
    struct fixture *f = *state;
    struct request first, again;

    begin(&first, AFF_OP_PUT, "a", "one");
    first.op.identified = true;
    first.op.id.b[0] = 7;
    ask(f, &first);
    begin(&again, AFF_OP_PUT, "a", "one");
    again.op.identified = true;
    again.op.id.b[0] = 7;
    ask(f, &again);
    assert_true(again.op.result.replayed && again.op.result.versioned);
    assert_int_equal(again.op.result.status, 201);
    assert_int_equal(again.op.result.version.offset, first.op.result.version.offset);
    begin(&again, AFF_OP_PUT, "a", "other");
    again.op.identified = true;
    again.op.id.b[0] = 7;
    again.op.request.b[0] = 1;
    ask(f, &again);
    assert_int_equal(again.op.result.code, AFF_EIDREUSED);
}

static void the_store_is_resumed_after_a_restart(void **state)
{
    struct fixture *f = *state;
    struct request r;

    begin(&r, AFF_OP_PUT, "a", "one");
    ask(f, &r);
    f->part = aff_partition_free(f->part);
    open_part(f);
    expect_stored(f, "a", "one");
    assert_int_equal(aff_partition_outcome(f->part, r.op.result.stamp), AFF_OUTCOME_COMMITTED);
    r.op.result.stamp.seq++;
    assert_int_equal(aff_partition_outcome(f->part, r.op.result.stamp), AFF_OUTCOME_NOT_APPLIED);
}

static void an_expired_key_goes_by_a_tombstone(void **state)
{
    struct fixture *f = *state;
    struct request r;
    struct aff_item item;
    int found = 1;

    begin(&r, AFF_OP_PUT, "a", "one");
    r.op.ttl_ms = 20;
    ask(f, &r);
    for (int i = 0; i < 5000 && found == 1; i++) {
        aff_loop_pass(f->loop, AFF_NS_PER_MS);
        found = aff_store_get(aff_partition_store(f->part), aff_str("a"), &item);
    }
    assert_int_equal(found, 0);
}

/* ---- on demand: what a cluster's coordinator says ---- */

static struct aff_seat *seat; /* as taken last */
static uint32_t wanted;       /* the epoch that was asked for; 0: none */

static int take_seat(struct aff_coordinator *c, struct aff_seat *s, aff_error *err)
{
    (void)c;
    (void)err;
    seat = s;
    return 0;
}

static void leave_seat(struct aff_coordinator *c, struct aff_seat *s)
{
    (void)c;
    (void)s;
}

static void request_epoch(struct aff_coordinator *c, struct aff_seat *s, uint32_t above)
{
    (void)c;
    (void)s;
    wanted = above + 1;
}

static void was_deposed(struct aff_coordinator *c, struct aff_seat *s, uint32_t newer)
{
    (void)c;
    (void)s;
    (void)newer;
}

static int64_t always_leased(struct aff_coordinator *c)
{
    (void)c;
    return INT64_MAX;
}

static void pass_until(struct fixture *f, enum aff_seat_state state)
{
    for (int i = 0; i < PASSES && atomic_load(&seat->state) != (int)state; i++) {
        aff_loop_pass(f->loop, AFF_NS_PER_MS);
        if (wanted)
            seat->granted(seat, wanted);
        wanted = 0;
    }
    assert_int_equal(atomic_load(&seat->state), state);
}

static void it_opens_when_it_is_hosted_and_goes_on_where_it_was_when_it_is_again(void **state)
{
    static const struct aff_coordinator_ops ops = { .name = "test",
                                                    .take = take_seat,
                                                    .leave = leave_seat,
                                                    .request_epoch = request_epoch,
                                                    .deposed = was_deposed,
                                                    .lease_until = always_leased };
    struct aff_coordinator cluster = { &ops };
    struct fixture *f = *state;
    struct aff_store *store;
    uint32_t serving;
    struct request r;
    aff_error err = { 0 };

    aff_partition_free(f->part);
    struct aff_partition_opts opts = {
        .core = { .keyspace = "things", .partitions = 1, .compaction_lag_ms = 3600000, .tombstone_retention_ms = 604800000 },
        .topic = "test.things",
        .group = f->group,
        .changelog = f->log,
        .coordinator = &cluster,
        .store = { .folder = f->folder, .map_bytes = 64 << 20, .readers = 1, .boot_id = "b" },
        .on_demand = true,
    };
    assert_int_equal(aff_partition_new(&opts, &f->part, &err), 0);
    aff_partition_start(f->part);
    assert_null(aff_partition_store(f->part));
    assert_int_equal(atomic_load(&seat->state), AFF_SEAT_AWAY);
    begin(&r, AFF_OP_PUT, "a", "early");
    ask(f, &r);
    assert_int_equal(r.op.result.code, AFF_ENOMASTER);
    assert_int_equal(r.op.result.outcome, AFF_OUTCOME_NOT_APPLIED);

    seat->host(seat);
    store = aff_partition_store(f->part);
    assert_non_null(store);
    pass_until(f, AFF_SEAT_IN_STEP);
    seat->unhost(seat);
    assert_int_equal(atomic_load(&aff_partition_shared(f->part)->role), AFF_ROLE_AWAY);
    assert_ptr_equal(aff_partition_store(f->part), store); /* readers of other loops may have it */
    seat->host(seat);
    assert_ptr_equal(aff_partition_store(f->part), store);
    seat->lead(seat);
    pass_until(f, AFF_SEAT_LEADS);
    begin(&r, AFF_OP_PUT, "a", "one");
    ask(f, &r);
    assert_int_equal(r.op.result.code, 0);
    for (int i = 0; i < PASSES && !aff_partition_serving(f->part); i++)
        aff_loop_pass(f->loop, AFF_NS_PER_MS);
    serving = aff_partition_serving(f->part);
    assert_int_equal(aff_partition_may_serve(f->part, serving), AFF_EAGAIN); /* the lease is of another epoch */
    atomic_store(&seat->leased_major, atomic_load(&aff_partition_shared(f->part)->major));
    assert_int_equal(aff_partition_may_serve(f->part, serving), 0);
    assert_int_equal(aff_partition_may_serve(f->part, serving + 1), AFF_EAGAIN); /* the read began under another mastership */
    assert_int_equal(aff_partition_may_serve(f->part, 0), AFF_ENOMASTER);
    aff_partition_free(f->part); /* before its coordinator */
    f->part = NULL;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_write_is_committed_with_its_version), TEST(a_delete_of_nothing_writes_nothing),
        TEST(a_condition_that_fails_is_refused),     TEST(commands_that_wait_leave_as_one_record),
        TEST(a_repeat_gets_the_first_answer),        TEST(the_store_is_resumed_after_a_restart),
        TEST(an_expired_key_goes_by_a_tombstone),
        TEST(it_opens_when_it_is_hosted_and_goes_on_where_it_was_when_it_is_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
