/*
 * router_test.c - calls between two loops with threads of their own, snapshots, request ids, application commands. A port of loop 0 is
 * driven by the test through messages; the partitions lie on both loops.
 */
#include "coordinator/coordinator.h"
#include "router/build.h"
#include "router/inquiry.h"

#include <affinity.h>
#include <affinity/json.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { LOOPS = 2, PARTS = 4 };

/* LMDB is not built with ThreadSanitizer: what it does with its own locks is not seen. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "called_from_lib:liblmdb.so\n";
}

struct fixture {
    struct aff_loop *loops[LOOPS];
    pthread_t threads[LOOPS];
    struct aff_partition_group *groups[LOOPS];
    struct aff_partition *parts[PARTS];
    struct aff_port *port; /* of loop 0 */
    struct aff_changelog *log;
    struct aff_coordinator *coordinator;
    struct aff_router *router;
    const struct aff_space *space;
    char folder[64];
};

static const aff_failure too_poor = { "insufficient-funds", 409, "The balance is too low" };

static int deposit(aff_cmd *cmd)
{
    int64_t balance = aff_cmd_int(cmd, "balance", 0) + aff_cmd_arg_int(cmd, "amount", 0);

    if (balance < 0)
        return aff_cmd_fail(cmd, &too_poor, "the balance is %d", (int)aff_cmd_int(cmd, "balance", 0));
    return aff_cmd_put_json(cmd, json_pack("{sI}", "balance", (json_int_t)balance));
}

static int stage_no_json(aff_cmd *cmd)
{
    return aff_cmd_put(cmd, aff_str("{"), NULL);
}

static int balance(aff_read *read)
{
    const json_t *value = aff_read_json(read);

    return aff_read_reply_json(read, 200, json_pack("{sO?}", "is", json_object_get(value, "balance")));
}

static const aff_command commands[] = {
    { .size = sizeof(aff_command), .name = "deposit", .run = deposit },
    { .size = sizeof(aff_command), .name = "balance", .read = balance },
    { .size = sizeof(aff_command), .name = "bad", .run = stage_no_json },
    AFF_COMMAND_END,
};

/* ---- running something on a loop and waiting for it ---- */

struct errand {
    struct aff_msg msg;
    void (*run)(void *what);
    void *what;
    sem_t done;
};

static void deliver(struct aff_msg *msg)
{
    struct errand *e = aff_container_of(msg, struct errand, msg);

    e->run(e->what);
    sem_post(&e->done);
}

static void on_loop(struct aff_loop *loop, void (*run)(void *), void *what)
{
    struct errand e = { .msg = { .deliver = deliver }, .run = run, .what = what };

    sem_init(&e.done, 0, 0);
    aff_loop_call(loop, &e.msg);
    sem_wait(&e.done);
    sem_destroy(&e.done);
}

static void *run_loop(void *loop)
{
    aff_loop_run(loop);
    return NULL;
}

static void start_part(void *part)
{
    aff_partition_start(part);
}

/* ---- fixture ---- */

static void make_parts(struct fixture *f)
{
    struct aff_space settings = { .name = "accounts", .partitions = PARTS, .max_value = 1000, .commands = commands };
    aff_error err = { 0 };

    for (uint32_t i = 0; i < PARTS; i++) {
        char folder[96];
        struct aff_partition_opts opts = {
            .core = { .keyspace = "accounts", .index = i, .partitions = PARTS, .compaction_lag_ms = 3600000,
                      .tombstone_retention_ms = 604800000 },
            .topic = "test.accounts",
            .group = f->groups[i % LOOPS],
            .changelog = f->log,
            .coordinator = f->coordinator,
            .store = { .folder = folder, .map_bytes = 16 << 20, .readers = LOOPS, .boot_id = "b" },
        };

        snprintf(folder, sizeof folder, "%s/%u", f->folder, i);
        if (aff_partition_new(&opts, &f->parts[i], &err) != 0)
            fail_msg("partition %u did not open: %s", i, err.text);
    }
    aff_router_add(f->router, &settings, f->parts);
    assert_int_equal(aff_port_new(f->router, f->loops[0], &f->port, &err), 0);
    f->space = aff_router_space(f->router, aff_str("accounts"));
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct aff_changelog_memory_opts log = { .clock = aff_clock_system() };
    struct aff_topic topic = { "test.accounts", PARTS, 3600000, 604800000, true };
    struct aff_coordinator_embedded_opts coordinator = { .exclusive = true };
    aff_error err = { 0 };

    snprintf(f->folder, sizeof f->folder, "/tmp/router-test-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    assert_int_equal(aff_changelog_memory_new(&log, &f->log, &err), 0);
    assert_int_equal(f->log->ops->topic(f->log, &topic, &err), 0);
    f->coordinator = aff_coordinator_embedded_new(&coordinator);
    f->router = aff_router_new();
    for (unsigned i = 0; i < LOOPS; i++) {
        struct aff_loop_opts opts = { .name = "test", .index = i, .clock = aff_clock_system() };

        assert_int_equal(aff_loop_new(&opts, &f->loops[i], &err), 0);
        f->groups[i] = aff_partition_group_new(f->loops[i]);
    }
    make_parts(f);
    for (unsigned i = 0; i < LOOPS; i++)
        pthread_create(&f->threads[i], NULL, run_loop, f->loops[i]);
    for (unsigned i = 0; i < PARTS; i++)
        on_loop(aff_partition_loop(f->parts[i]), start_part, f->parts[i]);
    for (unsigned i = 0; i < PARTS; i++)
        while (!aff_partition_leads(f->parts[i]))
            usleep(1000);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char command[128];

    for (unsigned i = 0; i < LOOPS; i++) {
        aff_loop_stop(f->loops[i]);
        pthread_join(f->threads[i], NULL);
    }
    aff_port_free(f->port);
    for (unsigned i = 0; i < PARTS; i++)
        aff_partition_free(f->parts[i]);
    for (unsigned i = 0; i < LOOPS; i++) {
        aff_partition_group_free(f->groups[i]);
    }
    f->log->ops->free(f->log);
    for (unsigned i = 0; i < LOOPS; i++)
        aff_loop_free(f->loops[i]);
    f->coordinator->ops->free(f->coordinator);
    aff_router_free(f->router);
    snprintf(command, sizeof command, "rm -rf %s", f->folder);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

/* ---- calls ---- */

struct request {
    struct aff_command_op op;
    struct fixture *f;
    int answered;
    char reply[64]; /* as it was when the answer came */
    sem_t released;
};

static void on_answered(struct aff_call *call)
{
    struct request *r = aff_container_of(aff_container_of(call, struct aff_command_op, call), struct request, op);

    assert_true(aff_loop_here(r->f->loops[0]));
    if (call->op.result.reply.len < sizeof r->reply && call->op.result.reply.data)
        memcpy(r->reply, call->op.result.reply.data, call->op.result.reply.len);
    r->answered++;
}

static void on_released(struct aff_call *call)
{
    struct request *r = aff_container_of(aff_container_of(call, struct aff_command_op, call), struct request, op);

    assert_int_equal(r->answered, 1);
    sem_post(&r->released);
}

static void send_call(void *what)
{
    struct request *r = what;

    aff_port_call(r->f->port, r->f->space, &r->op.call);
}

static void begin(struct fixture *f, struct request *r, enum aff_op_kind kind, const char *key, const char *text)
{
    memset(r, 0, sizeof *r);
    aff_op_init(&r->op.call.op, kind);
    r->f = f;
    r->op.call.op.key = aff_str(key);
    r->op.call.op.value = aff_str(text);
    r->op.call.op.content_type = aff_str("application/json");
    r->op.call.answered = on_answered;
    r->op.call.released = on_released;
    sem_init(&r->released, 0, 0);
}

static struct aff_result *ask(struct fixture *f, struct request *r)
{
    on_loop(f->loops[0], send_call, r);
    sem_wait(&r->released);
    return &r->op.call.op.result;
}

static struct aff_result *command(struct fixture *f, struct request *r, const char *key, const char *name, const char *body)
{
    begin(f, r, AFF_OP_COMMAND, key, "");
    aff_command_prepare(&r->op, f->space, aff_space_command(f->space, aff_str(name)), aff_str(body),
                        aff_str("application/json"));
    return ask(f, r);
}

/* ---- snapshots ---- */

struct look {
    struct fixture *f;
    const char *key;
    int code;
    bool exists;
    char value[64];
};

static void look_at(void *what)
{
    struct look *l = what;
    struct aff_found found;

    l->code = aff_port_get(l->f->port, l->f->space, aff_str(l->key), &found);
    if (l->code != 0)
        return;
    l->exists = found.exists;
    if (found.exists)
        snprintf(l->value, sizeof l->value, "%.*s", (int)found.item.value.len, (const char *)found.item.value.data);
    aff_port_done(l->f->port);
}

static void an_acknowledged_write_is_read_on_another_loop(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 200; i++) {
        struct request r;
        char key[16], value[16];
        struct look l = { .f = f, .key = key };

        snprintf(key, sizeof key, "k%d", i);
        snprintf(value, sizeof value, "%d", i);
        begin(f, &r, AFF_OP_PUT, key, value);
        assert_int_equal(ask(f, &r)->outcome, AFF_OUTCOME_COMMITTED);
        on_loop(f->loops[0], look_at, &l);
        assert_int_equal(l.code, 0);
        assert_true(l.exists);
        assert_string_equal(l.value, value);
    }
}

static void commands_stage_reply_and_refuse(void **state)
{
    struct fixture *f = *state;
    struct request r;
    struct aff_result *res = command(f, &r, "ada", "deposit", "{\"amount\":5}");

    assert_int_equal(res->outcome, AFF_OUTCOME_COMMITTED);
    assert_true(aff_bytes_equal(res->reply, aff_str("{\"balance\":5}")));
    aff_command_fini(&r.op);
    res = command(f, &r, "ada", "deposit", "{\"amount\":-6}");
    assert_int_equal(res->code, AFF_EREFUSED);
    assert_int_equal(res->status, 409);
    assert_string_equal(res->problem, "insufficient-funds");
    assert_string_equal(res->detail, "the balance is 5");
    aff_command_fini(&r.op);
    res = command(f, &r, "ada", "bad", "");
    assert_int_equal(res->code, AFF_EJSON);
    aff_command_fini(&r.op);
}

/* The reply of an earlier request is memory of the partition's loop; it must outlive the way to the other one. */
static void a_replayed_reply_is_whole_on_every_loop(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 40; i++) {
        char key[16] = "";

        snprintf(key, sizeof key, "replay-%d", i);
        for (int repeat = 0; repeat < 2; repeat++) {
            struct request r;

            begin(f, &r, AFF_OP_COMMAND, key, "");
            aff_command_prepare(&r.op, f->space, aff_space_command(f->space, aff_str("deposit")),
                                aff_str("{\"amount\":1234567}"), aff_str("application/json"));
            r.op.call.op.identified = true;
            memcpy(r.op.call.op.id.b, key, sizeof r.op.call.op.id.b);
            assert_int_equal(ask(f, &r)->code, 0);
            assert_int_equal(r.op.call.op.result.replayed, repeat);
            assert_string_equal(r.reply, "{\"balance\":1234567}");
            aff_command_fini(&r.op);
        }
    }
}

static void read_balance(void *what)
{
    struct request *r = what;
    struct aff_found found;

    assert_int_equal(aff_port_get(r->f->port, r->f->space, r->op.call.op.key, &found), 0);
    aff_command_read(&r->op, &found);
    aff_port_done(r->f->port);
}

static void a_reading_command_runs_on_a_snapshot(void **state)
{
    struct fixture *f = *state;
    struct request r;

    command(f, &r, "bob", "deposit", "{\"amount\":7}");
    aff_command_fini(&r.op);
    begin(f, &r, AFF_OP_COMMAND, "bob", "");
    aff_command_prepare(&r.op, f->space, aff_space_command(f->space, aff_str("balance")), aff_str(""), aff_str(""));
    on_loop(f->loops[0], read_balance, &r);
    assert_true(aff_bytes_equal(r.op.call.op.result.reply, aff_str("{\"is\":7}")));
    aff_command_fini(&r.op);
}

/* ---- outcomes ---- */

struct question {
    struct aff_inquiry q;
    struct fixture *f;
    sem_t answered;
};

static void on_outcome(struct aff_inquiry *q)
{
    sem_post(&aff_container_of(q, struct question, q)->answered);
}

static void inquire(void *what)
{
    struct question *q = what;

    aff_port_inquire(q->f->port, q->f->space, &q->q);
}

static void an_outcome_is_found_by_its_request_id(void **state)
{
    struct fixture *f = *state;
    struct request r;
    struct question q = { .f = f, .q = { .answered = on_outcome } };
    char id[AFF_REQUEST_ID_MAX];
    const struct aff_space *space;
    size_t len;

    begin(f, &r, AFF_OP_PUT, "x", "1");
    ask(f, &r);
    len = aff_request_id_print(f->space, r.op.call.partition, r.op.call.op.result.stamp, id);
    assert_true(aff_request_id_parse(f->router, aff_bytes_of(id, len), &space, &q.q.partition, &q.q.stamp));
    assert_ptr_equal(space, f->space);
    sem_init(&q.answered, 0, 0);
    on_loop(f->loops[0], inquire, &q);
    sem_wait(&q.answered);
    assert_int_equal(q.q.code, 0);
    assert_int_equal(q.q.outcome, AFF_OUTCOME_COMMITTED);
}

static void a_request_id_that_is_none_is_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = { "", "accounts", "accounts-", "accounts-0-1-1", "accounts-4-1-1-1", "other-0-1-1-1",
                                       "accounts-0-1-1-1-", "accounts-0-g-1-1", "accounts-0-1-1-18446744073709551616",
                                       "accounts-0-1000000000000-1-1", "accounts-0--1-1", "accounts-0-1-1-1x" };
    const struct aff_space *space;
    struct aff_stamp stamp;
    uint32_t partition;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (aff_request_id_parse(f->router, aff_str(bad[i]), &space, &partition, &stamp))
            fail_msg("taken for a request id: \"%s\"", bad[i]);
    assert_true(aff_request_id_parse(f->router, aff_str("accounts-3-10000-ff-18446744073709551615"), &space, &partition, &stamp));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_acknowledged_write_is_read_on_another_loop),
        cmocka_unit_test(commands_stage_reply_and_refuse),
        cmocka_unit_test(a_replayed_reply_is_whole_on_every_loop),
        cmocka_unit_test(a_reading_command_runs_on_a_snapshot),
        cmocka_unit_test(an_outcome_is_found_by_its_request_id),
        cmocka_unit_test(a_request_id_that_is_none_is_refused),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
