/*
 * router_inquiry_test.c - what became of a write, asked of a partition that this node leads, or another. The other node is the same
 * partition, asked by the question of the inquiry.
 */
#include "router/inner.h"
#include "router/inquiry.h"
#include "router/serve.h"
#include "scan_fixture.h"

/* The question that is under way, and the answer to one that was served. */
static struct aff_ask *asked;
static unsigned char question[64];
static size_t question_len;
static unsigned asks;
static struct aff_buf served;
static bool elsewhere, refused;

void __wrap_aff_port_ask(struct aff_port *port, const struct aff_space *space, struct aff_ask *ask,
                         const aff_bytes *parts, size_t count);
void __wrap_aff_port_ask(struct aff_port *port, const struct aff_space *space, struct aff_ask *ask,
                         const aff_bytes *parts, size_t count)
{
    (void)port, (void)space;
    assert_int_equal(count, 1);
    assert_int_equal(ask->kind, AFF_WIRE_INQUIRY);
    assert_true(parts->len <= sizeof question);
    memcpy(question, parts->data, parts->len);
    question_len = parts->len;
    asked = ask;
    asks++;
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

void __wrap_aff_peer_refuse(struct aff_peer_question *q);
void __wrap_aff_peer_refuse(struct aff_peer_question *q)
{
    (void)q;
    refused = true;
}

/* ---- fixture ---- */

struct inquirer {
    struct fixture *f;
    struct aff_inquiry q;
    unsigned answered;
};

static void on_answered(struct aff_inquiry *q)
{
    aff_container_of(q, struct inquirer, q)->answered++;
}

static void depose_all(struct fixture *f)
{
    f->router->cluster.coordinator = f->coordinator; /* others may lead */
    for (uint32_t i = 0; i < f->count; i++)
        atomic_store(&aff_partition_shared(f->parts[i])->role, AFF_ROLE_FOLLOWING);
}

static struct aff_stamp write_stamped(struct fixture *f)
{
    struct request q;
    struct record r = { .key = "a key", .key_len = 5, .size = 1 };

    send_write(f, &q, &r, true);
    finish_write(f, &q);
    assert_true(q.call.op.result.stamped);
    return q.call.op.result.stamp;
}

static void begin(struct inquirer *i, struct fixture *f, uint32_t partition, struct aff_stamp stamp)
{
    memset(i, 0, sizeof *i);
    i->f = f;
    i->q.partition = partition;
    i->q.stamp = stamp;
    i->q.answered = on_answered;
    asks = 0;
    asked = NULL;
    aff_port_inquire(f->port, f->space, &i->q);
}

static void settle(struct inquirer *i)
{
    while (!i->answered && !asked)
        pass(i->f);
}

static uint32_t home(struct fixture *f)
{
    return aff_space_partition(f->space, aff_str("a key"));
}

/* On both loops, so that it is asked with and without a message. */
static void serve(struct fixture *f, aff_bytes body)
{
    struct aff_serving s = { .port = f->port, .space = f->space, .partition = home(f), .body = body };

    aff_buf_clear(&served);
    elsewhere = refused = false;
    aff_inquiry_serve(&s);
    while (served.len == 0 && !elsewhere && !refused)
        pass(f);
}

/* ---- tests ---- */

static void what_is_led_here_is_looked_up_here(void **state)
{
    (void)state;
    for (uint32_t partitions = 1; partitions <= 2; partitions++) {
        struct fixture *f = fixture_new(partitions);
        struct aff_stamp stamp = write_stamped(f);
        struct inquirer i;

        begin(&i, f, home(f), stamp);
        settle(&i);
        assert_int_equal(i.answered, 1);
        assert_int_equal(i.q.code, 0);
        assert_int_equal(i.q.outcome, AFF_OUTCOME_COMMITTED);
        assert_int_equal(asks, 0);
        fixture_free(f);
    }
}

static void the_leader_is_asked_and_its_answer_told(void **state)
{
    struct fixture *f = fixture_new(2);
    struct aff_stamp stamp = write_stamped(f);
    struct inquirer i;

    (void)state;
    begin(&i, f, home(f), stamp);
    settle(&i);
    depose_all(f);
    begin(&i, f, home(f), stamp);
    settle(&i);
    assert_int_equal(asks, 1);
    assert_int_equal(i.answered, 0);
    serve(f, aff_bytes_of(question, question_len)); /* that one does not lead either */
    assert_true(elsewhere);
    asked->answered(asked, 0, aff_bytes_of("\0\0\0\0\1", 5));
    assert_int_equal(i.answered, 1);
    assert_int_equal(i.q.code, 0);
    assert_int_equal(i.q.outcome, AFF_OUTCOME_COMMITTED);
    fixture_free(f);
}

static void a_question_is_answered_by_who_leads(void **state)
{
    struct fixture *f = fixture_new(2);
    struct aff_stamp stamp = write_stamped(f);
    unsigned char body[24];

    (void)state;
    aff_put_u64(body, stamp.epoch);
    aff_put_u64(body + 8, stamp.nonce);
    aff_put_u64(body + 16, stamp.seq);
    serve(f, aff_bytes_of(body, sizeof body));
    assert_true(aff_bytes_equal(aff_buf_view(&served), aff_bytes_of("\0\0\0\0\1", 5)));
    serve(f, aff_bytes_of(body, sizeof body - 1));
    assert_true(refused);
    fixture_free(f);
}

static void what_is_no_answer_is_a_failure(void **state)
{
    static const struct {
        int code;
        const char *answer;
        size_t len;
        int want;
    } cases[] = {
        { AFF_ENOMASTER, "", 0, AFF_ENOMASTER },
        { 0, "\0\0\0\0", 4, AFF_EIO },
        { 0, "\0\0\0\0\4", 5, AFF_EIO },
        { 0, "\0\0\0\7\1", 5, AFF_EIO },
        { 0, "\xff\xff\xff\xf4\1", 5, AFF_EQUEUEFULL },
    };
    struct fixture *f = fixture_new(1);
    struct aff_stamp stamp = write_stamped(f);

    (void)state;
    depose_all(f);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct inquirer i;

        begin(&i, f, 0, stamp);
        assert_non_null(asked);
        asked->answered(asked, cases[c].code, aff_bytes_of(cases[c].answer, cases[c].len));
        assert_int_equal(i.answered, 1);
        assert_int_equal(i.q.code, cases[c].want);
    }
    fixture_free(f);
}

/* The router says that this node leads, and its partition says that it does not. */
static void it_is_given_up_when_nobody_owns_to_lead(void **state)
{
    struct fixture *f = fixture_new(2);
    struct aff_stamp stamp = write_stamped(f);
    struct inquirer i;

    (void)state;
    depose_all(f);
    begin(&i, f, home(f), stamp);
    for (;;) {
        settle(&i);
        if (i.answered)
            break;
        struct aff_ask *ask = asked;
        asked = NULL;
        ask->answered(ask, AFF_ASK_HERE, aff_str(""));
    }
    assert_int_equal(i.q.code, AFF_ENOMASTER);
    assert_in_range(asks, 2, 10);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_led_here_is_looked_up_here),
        cmocka_unit_test(the_leader_is_asked_and_its_answer_told),
        cmocka_unit_test(a_question_is_answered_by_who_leads),
        cmocka_unit_test(what_is_no_answer_is_a_failure),
        cmocka_unit_test(it_is_given_up_when_nobody_owns_to_lead),
    };
    int failed;

    aff_buf_init(&served);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    aff_buf_fini(&served);
    return failed;
}
