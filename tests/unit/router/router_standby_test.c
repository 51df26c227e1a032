/*
 * router_standby_test.c - reads that say what the copy must have seen: it has it, is waited for, or the leader is asked. Partitions are
 * real ones of this node, which are told that another leads; the leader's word is their own, told as another node would.
 */
#include "router/ask.h"
#include "router/inner.h"
#include "router/serve.h"
#include "router/standby.h"
#include "scan_fixture.h"

static struct aff_ask *asked;      /* the question for the leader that is under way */
static struct aff_call *forwarded; /* the read that went to the leader */
static unsigned asks;
static struct aff_buf served;
static bool elsewhere;

void __wrap_aff_port_ask(struct aff_port *port, const struct aff_space *space, struct aff_ask *ask,
                         const aff_bytes *parts, size_t count);
void __wrap_aff_port_ask(struct aff_port *port, const struct aff_space *space, struct aff_ask *ask,
                         const aff_bytes *parts, size_t count)
{
    (void)port, (void)space, (void)parts;
    assert_int_equal(count, 0);
    assert_int_equal(ask->kind, AFF_WIRE_POSITION);
    asked = ask;
    asks++;
}

void __wrap_aff_port_read(struct aff_port *port, const struct aff_space *space, struct aff_call *call);
void __wrap_aff_port_read(struct aff_port *port, const struct aff_space *space, struct aff_call *call)
{
    (void)port, (void)space;
    forwarded = call;
}

void __wrap_aff_serve_answer(const struct aff_serving *s, const aff_bytes *parts, size_t count);
void __wrap_aff_serve_answer(const struct aff_serving *s, const aff_bytes *parts, size_t count)
{
    (void)s;
    for (size_t i = 0; i < count; i++)
        assert_true(aff_buf_add(&served, parts[i].data, parts[i].len));
}

void __wrap_aff_serve_elsewhere(const struct aff_serving *s);
void __wrap_aff_serve_elsewhere(const struct aff_serving *s)
{
    (void)s;
    elsewhere = true;
}

/* ---- fixture ---- */

static const char key[] = "a key";

static int set_up(void **state)
{
    struct fixture *f = fixture_new(2);
    aff_buf_init(&served);
    asked = NULL;
    forwarded = NULL;
    asks = 0;
    elsewhere = false;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    aff_buf_fini(&served);
    fixture_free(*state);
    return 0;
}

static struct aff_partition_shared *shared(struct fixture *f)
{
    return aff_partition_shared(f->parts[aff_space_partition(f->space, aff_str(key))]);
}

/* Writes the key; its offset. */
static int64_t write_key(struct fixture *f)
{
    struct request q;
    struct record r = { .size = 1 };
    memcpy(r.key, key, sizeof key);
    r.key_len = sizeof key - 1;
    send_write(f, &q, &r, true);
    finish_write(f, &q);
    assert_int_equal(q.call.op.result.code, 0);
    return q.call.op.result.version.offset;
}

/* Another node leads, as far as readers here are told; the copy goes on all the same. */
static void depose(struct fixture *f)
{
    f->router->cluster.coordinator = f->coordinator;
    atomic_store(&shared(f)->serves, false);
}

static void lead(struct fixture *f)
{
    f->router->cluster.coordinator = NULL;
    atomic_store(&shared(f)->serves, true);
}

static struct aff_bound after(int64_t offset)
{
    return (struct aff_bound){ .after = offset };
}

static struct aff_bound younger_than(int64_t ns)
{
    return (struct aff_bound){ .after = -1, .max_age_ns = ns };
}

static int get(struct fixture *f, struct aff_bound bound)
{
    struct aff_found found;
    int code = aff_port_get_bounded(f->port, f->space, aff_str(key), &bound, &found);
    if (code == 0) {
        assert_true(found.exists);
        aff_port_done(f->port);
    }
    return code;
}

struct reader {
    struct aff_call call;
    int answered, released, code;
    int64_t offset;
};

static void on_answered(struct aff_call *call)
{
    struct reader *r = aff_container_of(call, struct reader, call);
    r->answered++;
    r->code = call->op.result.code;
    if (r->code == 0)
        r->offset = call->found.item.version.offset;
}

static void on_released(struct aff_call *call)
{
    aff_container_of(call, struct reader, call)->released++;
}

static void read_later(struct fixture *f, struct reader *r, struct aff_bound bound, int64_t left_ns)
{
    memset(r, 0, sizeof *r);
    aff_op_init(&r->call.op, AFF_OP_BARRIER);
    r->call.op.key = aff_str(key);
    r->call.op.deadline_ns = aff_loop_now(f->loops[0]) + left_ns;
    r->call.answered = on_answered;
    r->call.released = on_released;
    aff_port_read_bounded(f->port, f->space, &r->call, &bound);
}

static void expect(const struct reader *r, int code)
{
    assert_int_equal(r->answered, 1);
    assert_int_equal(r->released, 1);
    assert_int_equal(r->code, code);
}

/* What the leader says when it is asked now. */
static void serve_position(struct fixture *f)
{
    struct aff_serving s = { .port = f->port,
                             .space = f->space,
                             .partition = aff_space_partition(f->space, aff_str(key)),
                             .deadline_ns = aff_loop_now(f->loops[0]) + 10 * AFF_NS_PER_S };
    aff_buf_clear(&served);
    elsewhere = false;
    aff_position_serve(&s);
    while (served.len == 0 && !elsewhere)
        pass(f);
}

static void leader_says(struct fixture *f)
{
    struct aff_ask *ask = asked;
    assert_non_null(ask);
    lead(f);
    serve_position(f);
    depose(f);
    asked = NULL;
    ask->answered(ask, 0, aff_buf_view(&served));
}

/* ---- after an offset ---- */

static void a_copy_that_has_it_answers_at_once(void **state)
{
    struct fixture *f = *state;
    int64_t offset = write_key(f);
    assert_int_equal(get(f, after(offset)), 0);
    assert_int_equal(get(f, after(offset + 1)), AFF_EAGAIN);
    depose(f);
    assert_int_equal(get(f, after(offset)), 0);
    assert_int_equal(get(f, after(0)), 0);
}

static void a_copy_that_is_behind_is_waited_for(void **state)
{
    struct fixture *f = *state;
    struct reader r[2];
    int64_t offset = write_key(f);
    read_later(f, &r[0], after(offset + 1), 60 * AFF_NS_PER_S);
    read_later(f, &r[1], after(offset + 2), 60 * AFF_NS_PER_S);
    for (int i = 0; i < 50; i++)
        pass(f);
    assert_int_equal(r[0].answered + r[1].answered, 0);
    assert_int_equal(write_key(f), offset + 1);
    while (!r[0].released)
        pass(f);
    expect(&r[0], 0);
    assert_int_equal(r[0].offset, offset + 1);
    assert_int_equal(r[1].answered, 0);
    (void)write_key(f);
    while (!r[1].released)
        pass(f);
    expect(&r[1], 0);
    assert_int_equal(asks, 0);
}

static void nobody_waits_for_a_copy_beyond_the_deadline(void **state)
{
    struct fixture *f = *state;
    struct reader r;
    read_later(f, &r, after(write_key(f) + 1000), AFF_NS_PER_MS);
    while (!r.released)
        pass(f);
    expect(&r, AFF_ETIMEDOUT);
}

static void who_waits_for_a_copy_is_told_when_the_node_goes(void **state)
{
    struct fixture *f = *state;
    struct reader r, late;
    read_later(f, &r, after(write_key(f) + 1), 60 * AFF_NS_PER_S);
    aff_port_close(f->port);
    expect(&r, AFF_EDRAINING);
    read_later(f, &late, after(1000), 60 * AFF_NS_PER_S);
    expect(&late, AFF_EDRAINING);
}

static void without_a_copy_the_leader_is_asked(void **state)
{
    struct fixture *f = *state;
    struct reader r;
    int64_t offset = write_key(f);
    depose(f);
    read_later(f, &r, after(offset + 1), 60 * AFF_NS_PER_S);
    assert_null(forwarded);
    atomic_store(&shared(f)->role, AFF_ROLE_AWAY); /* it is taken away while it is waited for */
    while (!forwarded)
        pass(f);
    assert_ptr_equal(forwarded, &r.call);
    forwarded = NULL;
    assert_int_equal(get(f, after(offset)), AFF_EAGAIN);
    read_later(f, &r, after(offset), 60 * AFF_NS_PER_S);
    assert_ptr_equal(forwarded, &r.call);
    atomic_store(&shared(f)->role, AFF_ROLE_FAILED);
    assert_int_equal(get(f, younger_than(AFF_NS_PER_S)), AFF_EAGAIN);
    read_later(f, &r, younger_than(AFF_NS_PER_S), 60 * AFF_NS_PER_S);
    assert_ptr_equal(forwarded, &r.call);
    assert_int_equal(asks, 0);
}

/* ---- of an age ---- */

static void who_leads_reads_strictly(void **state)
{
    struct fixture *f = *state;
    struct reader r;
    (void)write_key(f);
    assert_int_equal(get(f, younger_than(1)), 0);
    leased = false;
    assert_int_equal(get(f, younger_than(AFF_NS_PER_S)), AFF_EAGAIN);
    read_later(f, &r, younger_than(AFF_NS_PER_S), 60 * AFF_NS_PER_S);
    assert_ptr_equal(forwarded, &r.call); /* which proves it by a barrier */
    assert_int_equal(asks, 0);
}

static void one_question_proves_the_age_for_all(void **state)
{
    struct fixture *f = *state;
    struct reader r[3];
    int64_t offset = write_key(f);
    depose(f);
    assert_int_equal(get(f, younger_than(60 * AFF_NS_PER_S)), AFF_EAGAIN); /* nothing is known yet */
    for (int i = 0; i < 3; i++)
        read_later(f, &r[i], younger_than(60 * AFF_NS_PER_S), 60 * AFF_NS_PER_S);
    assert_int_equal(asks, 1);
    leader_says(f);
    for (int i = 0; i < 3; i++) {
        expect(&r[i], 0);
        assert_int_equal(r[i].offset, offset);
    }
    assert_int_equal(get(f, younger_than(60 * AFF_NS_PER_S)), 0);
    assert_int_equal(get(f, younger_than(1)), AFF_EAGAIN); /* it is older than that */
    assert_int_equal(asks, 1);
}

/* What the leader had written when the question left was not there yet. */
static void a_copy_that_is_behind_its_leader_is_not_waited_for(void **state)
{
    struct fixture *f = *state;
    struct reader r;
    unsigned char ahead[16];
    (void)write_key(f);
    depose(f);
    read_later(f, &r, younger_than(60 * AFF_NS_PER_S), 60 * AFF_NS_PER_S);
    aff_put_u32(ahead, 0);
    aff_put_u32(ahead + 4, atomic_load(&shared(f)->identity8));
    aff_put_u64(ahead + 8, (uint64_t)atomic_load(&shared(f)->applied) + 1);
    asked->answered(asked, 0, aff_bytes_of(ahead, sizeof ahead));
    assert_ptr_equal(forwarded, &r.call);
    assert_int_equal(get(f, younger_than(60 * AFF_NS_PER_S)), AFF_EAGAIN);
    lead(f);
    (void)write_key(f); /* it comes, and then the word of before is a proof */
    depose(f);
    assert_int_equal(get(f, younger_than(60 * AFF_NS_PER_S)), 0);
}

static void the_word_must_be_of_the_same_log(void **state)
{
    struct fixture *f = *state;
    struct reader r;
    unsigned char other[16] = { 0 };
    (void)write_key(f);
    depose(f);
    read_later(f, &r, younger_than(60 * AFF_NS_PER_S), 60 * AFF_NS_PER_S);
    aff_put_u32(other + 4, ~atomic_load(&shared(f)->identity8));
    asked->answered(asked, 0, aff_bytes_of(other, sizeof other));
    assert_ptr_equal(forwarded, &r.call);
}

static void a_leader_that_says_nothing_is_asked_to_read(void **state)
{
    static const int codes[] = { AFF_ENOMASTER, AFF_ETIMEDOUT, AFF_EQUEUEFULL, AFF_ASK_HERE, 0 };
    struct fixture *f = *state;
    (void)write_key(f);
    depose(f);
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        struct reader r;
        forwarded = NULL;
        read_later(f, &r, younger_than(60 * AFF_NS_PER_S), 60 * AFF_NS_PER_S);
        asked->answered(asked, codes[i], aff_str("short")); /* with 0: an answer that is cut */
        assert_ptr_equal(forwarded, &r.call);
    }
    assert_int_equal(asks, 5);
}

/* ---- the leader's word ---- */

static int64_t told_offset(void)
{
    assert_false(elsewhere);
    assert_int_equal(served.len, 16);
    assert_int_equal(aff_get_u32(served.data), 0);
    return (int64_t)aff_get_u64(served.data + 8);
}

static void a_leader_tells_how_far_the_log_is(void **state)
{
    struct fixture *f = *state;
    int64_t offset = write_key(f);
    serve_position(f);
    assert_true(told_offset() > offset);
    assert_int_equal(aff_get_u32(served.data + 4), atomic_load(&shared(f)->identity8));
    leased = false; /* a barrier proves it */
    serve_position(f);
    assert_true(told_offset() > offset);
}

static void who_does_not_lead_says_who_does(void **state)
{
    struct fixture *f = *state;
    (void)write_key(f);
    depose(f);
    serve_position(f);
    assert_true(elsewhere);
    assert_int_equal(served.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_copy_that_has_it_answers_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_copy_that_is_behind_is_waited_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_waits_for_a_copy_beyond_the_deadline, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_waits_for_a_copy_is_told_when_the_node_goes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_a_copy_the_leader_is_asked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_leads_reads_strictly, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_question_proves_the_age_for_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_copy_that_is_behind_its_leader_is_not_waited_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_word_must_be_of_the_same_log, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_leader_that_says_nothing_is_asked_to_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_leader_tells_how_far_the_log_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_does_not_lead_says_who_does, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
