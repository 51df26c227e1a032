/*
 * router_serve_test.c - what this node says to the questions of others; GO, both ways; questions of its own that change nothing.
 */
#include "cluster_fixture.h"

#include "router/inner.h"

/* ---- operations ---- */

static aff_bytes fields_of(struct aff_buf *b, const struct aff_op *op, const struct aff_wire_form *form)
{
    aff_bytes tail;
    aff_buf_init(b);
    assert_true(aff_wire_put_op(b, op, form, &tail) && aff_buf_add(b, tail.data, tail.len));
    return aff_buf_view(b);
}

static struct given *bring_op(struct cluster *c, enum aff_op_kind kind, const char *value, const struct aff_wire_form *form)
{
    struct aff_op op;
    struct aff_buf b;
    aff_op_init(&op, kind);
    op.key = aff_str(key_of(1));
    op.value = aff_str(value);
    op.content_type = aff_str("text/plain");
    struct given *g = ask_us(c, AFF_WIRE_OP, 1, fields_of(&b, &op, form));
    aff_buf_fini(&b);
    return g;
}

static const struct aff_wire_form plain = { .patch = false };

static struct aff_cursor answer_of(const struct given *g, enum aff_wire_answer how)
{
    struct aff_cursor from = aff_cursor_of(aff_bytes_of(g->answer, g->len));
    assert_true(g->ended && !g->refused);
    assert_int_equal(aff_cursor_u8(&from), how);
    return from;
}

static struct aff_result result_of(const struct given *g)
{
    struct aff_cursor from = answer_of(g, AFF_WIRE_ANSWERED);
    struct aff_result r;
    uint32_t identity8;
    aff_bytes title;
    assert_true(aff_wire_take_result(&from, &r, &identity8, &title));
    return r;
}

static void an_operation_is_carried_out_by_its_deadline(void **state)
{
    struct cluster *c = *state;
    leads(c, 1, 5);
    struct given *g = bring_op(c, AFF_OP_PUT, "v", &plain);
    struct aff_op *op = op_of(&c->parts[1]);
    assert_false(g->ended);
    assert_true(aff_bytes_equal(op->value, aff_str("v")));
    assert_true(op->deadline_ns == g->question.deadline_ns - AFF_WIRE_GRACE_MS * AFF_NS_PER_MS);
    op->result.created = true;
    op->result.status = 201;
    op_answers(&c->parts[1], 0, AFF_OUTCOME_COMMITTED);
    struct aff_result r = result_of(g);
    assert_true(r.code == 0 && r.outcome == AFF_OUTCOME_COMMITTED && r.created && r.status == 201);
    given_free(g);
}

/* The question is gone with its answer, and the partition has the operation still. */
static void what_is_answered_at_its_deadline_lives_until_it_is_released(void **state)
{
    struct cluster *c = *state;
    leads(c, 1, 5);
    struct given *g = bring_op(c, AFF_OP_PUT, "v", &plain);
    struct aff_op *op = op_of(&c->parts[1]);
    aff_list_remove(&op->link);
    op->state = AFF_OP_LEFT;
    op->result = (struct aff_result){ .code = AFF_EUNKNOWN, .outcome = AFF_OUTCOME_UNKNOWN, .stamped = true, .stamp = { 1, 2, 3 } };
    op->done(op);
    struct aff_result r = result_of(g);
    assert_true(r.code == AFF_EUNKNOWN && r.stamped && r.stamp.seq == 3);
    given_free(g);
    assert_true(aff_bytes_equal(op->value, aff_str("v")));
    op->release(op);
}

static void who_does_not_lead_says_who_does(void **state)
{
    struct cluster *c = *state;
    struct aff_wire_leader leader;
    view_says(c, 1, NODE_C, 9);
    struct given *g = bring_op(c, AFF_OP_PUT, "v", &plain);
    op_answers(&c->parts[1], AFF_ENOMASTER, AFF_OUTCOME_NOT_APPLIED);
    struct aff_cursor from = answer_of(g, AFF_WIRE_ELSEWHERE);
    assert_true(aff_wire_take_leader(&from, &leader));
    assert_true(leader.epoch == 9 && leader.incarnation == 3);
    assert_string_equal(leader.name, "c");
    assert_int_equal(c->asked_count, 0); /* and asks nobody itself */
    given_free(g);
}

static void who_knows_nobody_says_so(void **state)
{
    struct cluster *c = *state;
    struct aff_wire_leader leader;
    struct given *g = bring_op(c, AFF_OP_PUT, "v", &plain);
    op_answers(&c->parts[1], AFF_ENOMASTER, AFF_OUTCOME_NOT_APPLIED);
    struct aff_cursor from = answer_of(g, AFF_WIRE_ELSEWHERE);
    assert_true(aff_wire_take_leader(&from, &leader) && leader.epoch == 0);
    given_free(g);
}

static void other_refusals_go_back_as_they_are(void **state)
{
    struct cluster *c = *state;
    leads(c, 1, 5);
    struct given *g = bring_op(c, AFF_OP_PUT, "v", &plain);
    op_answers(&c->parts[1], AFF_EVOID, AFF_OUTCOME_NOT_APPLIED);
    assert_int_equal(result_of(g).code, AFF_EVOID);
    given_free(g);
}

static int run(struct cluster *c, const struct aff_item *current, struct aff_staged *staged)
{
    struct aff_op *op = op_of(&c->parts[1]);
    return op->run(op, current, staged);
}

static void a_command_runs_by_its_name(void **state)
{
    const struct aff_wire_form form = { .command = aff_str("echo"), .body = aff_str("hello"), .type = aff_str("text/plain") };
    struct cluster *c = *state;
    struct aff_staged staged = { .what = AFF_STAGE_NOTHING };
    leads(c, 1, 5);
    struct given *g = bring_op(c, AFF_OP_COMMAND, "", &form);
    assert_int_equal(run(c, NULL, &staged), 0);
    op_answers(&c->parts[1], 0, AFF_OUTCOME_NONE);
    struct aff_result r = result_of(g);
    assert_true(aff_bytes_equal(r.reply, aff_str("hello")));
    given_free(g);
}

static void a_patch_is_applied_and_comes_back_whole(void **state)
{
    const struct aff_wire_form form = { .patch = true, .body = aff_str("{\"b\":2}"), .merges = true, .whole = true, .depth = 8 };
    struct cluster *c = *state;
    struct aff_item current = { .content_type = aff_str("application/json"), .value = aff_str("{\"a\":1}") };
    struct aff_staged staged = { .what = AFF_STAGE_NOTHING };
    leads(c, 1, 5);
    struct given *g = bring_op(c, AFF_OP_COMMAND, "", &form);
    assert_true(op_of(&c->parts[1])->alone);
    assert_int_equal(run(c, &current, &staged), 0);
    assert_int_equal(staged.what, AFF_STAGE_PUT);
    assert_true(aff_bytes_equal(staged.value, aff_str("{\"a\":1,\"b\":2}")));
    op_answers(&c->parts[1], 0, AFF_OUTCOME_COMMITTED);
    struct aff_result r = result_of(g);
    assert_true(aff_bytes_equal(r.reply, aff_str("{\"a\":1,\"b\":2}")));
    assert_true(aff_bytes_equal(r.reply_type, aff_str("application/json")));
    assert_int_equal(r.status, 200);
    given_free(g);
}

static void a_patch_that_changes_nothing_says_so(void **state)
{
    const struct aff_wire_form form = { .patch = true, .body = aff_str("{}"), .merges = true, .depth = 8 };
    struct cluster *c = *state;
    struct aff_item current = { .version = { .offset = 42 }, .content_type = aff_str("application/json"), .value = aff_str("{}") };
    struct aff_staged staged = { .what = AFF_STAGE_NOTHING };
    leads(c, 1, 5);
    struct given *g = bring_op(c, AFF_OP_COMMAND, "", &form);
    assert_int_equal(run(c, &current, &staged), 0);
    assert_int_equal(staged.what, AFF_STAGE_NOTHING);
    op_answers(&c->parts[1], 0, AFF_OUTCOME_NONE);
    struct aff_result r = result_of(g);
    assert_true(r.unchanged && r.version.offset == 42 && !r.reply.data);
    given_free(g);
}

static void what_cannot_be_carried_out_is_refused_with_a_reason(void **state)
{
    static const struct {
        struct aff_wire_form form;
        int code;
    } cases[] = {
        { { .command = { "nonsense", 8 }, .body = { "", 0 }, .type = { "", 0 } }, AFF_ENOROUTE },
        { { .patch = true, .body = { "{", 1 }, .merges = true, .depth = 8 }, AFF_EJSON },
        { { .patch = true, .body = { "{}", 2 }, .depth = 8 }, AFF_EPATCH },
    };
    struct cluster *c = *state;
    leads(c, 1, 5);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct given *g = bring_op(c, AFF_OP_COMMAND, "", &cases[i].form);
        struct aff_result r = result_of(g);
        assert_int_equal(r.code, cases[i].code);
        assert_int_equal(r.outcome, AFF_OUTCOME_NOT_APPLIED);
        assert_true(r.detail[0]);
        given_free(g);
    }
    assert_int_equal(c->parts[1].submitted, 0);
}

static void a_question_about_nothing_here_is_refused(void **state)
{
    struct cluster *c = *state;
    static const struct {
        uint8_t kind;
        uint32_t partition;
    } cases[] = { { 0, 1 }, { AFF_WIRE_KINDS, 1 }, { 255, 1 }, { AFF_WIRE_OP, PARTS }, { AFF_WIRE_GO, 1 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct given *g = ask_us(c, cases[i].kind, cases[i].partition, aff_str("?"));
        assert_true(g->ended && g->refused);
        given_free(g);
    }
}

static void an_operation_that_cannot_be_read_was_not_applied(void **state)
{
    struct cluster *c = *state;
    struct given *g = ask_us(c, AFF_WIRE_OP, 1, aff_str("\x01"));
    assert_int_equal(result_of(g).outcome, AFF_OUTCOME_NOT_APPLIED);
    given_free(g);
}

/* Nodes whose configurations differ must not write into each other's partitions. */
static void a_key_of_another_partition_is_not_taken(void **state)
{
    struct cluster *c = *state;
    struct aff_op op;
    struct aff_buf b;
    aff_op_init(&op, AFF_OP_PUT);
    op.key = aff_str(key_of(2));
    op.value = op.content_type = aff_str("");
    struct given *g = ask_us(c, AFF_WIRE_OP, 1, fields_of(&b, &op, &plain));
    assert_int_equal(result_of(g).code, AFF_EAGAIN);
    given_free(g);
    aff_buf_fini(&b);
}

/* ---- reads ---- */

static struct aff_found found_of(const struct given *g, int *ret_code)
{
    struct aff_cursor from = answer_of(g, AFF_WIRE_ANSWERED);
    struct aff_found found;
    assert_true(aff_wire_take_found(&from, ret_code, &found));
    return found;
}

static void put_value(struct cluster *c, const char *value)
{
    struct aff_item item = { .version = { 9, 8, AFF_NO_TIME, AFF_NO_TIME }, .content_type = aff_str("text/plain"),
                             .value = aff_str(value) };
    assert_int_equal(aff_store_put(c->parts[0].store, aff_str(key_of(0)), &item), 0);
    assert_int_equal(aff_store_commit(c->parts[0].store), 0);
}

static void a_value_is_told_from_a_snapshot(void **state)
{
    struct cluster *c = *state;
    int code;
    put_value(c, "near");
    leads(c, 0, 1);
    struct given *g = ask_us(c, AFF_WIRE_GET, 0, aff_str(key_of(0)));
    struct aff_found found = found_of(g, &code);
    assert_true(code == 0 && found.exists && found.item.version.offset == 9);
    assert_true(aff_bytes_equal(found.item.value, aff_str("near")));
    given_free(g);
}

static void without_a_lease_a_value_waits_for_its_proof(void **state)
{
    struct cluster *c = *state;
    int code;
    put_value(c, "near");
    leads(c, 0, 1);
    c->lease = false;
    struct given *g = ask_us(c, AFF_WIRE_GET, 0, aff_str(key_of(0)));
    assert_false(g->ended);
    op_answers(&c->parts[0], 0, AFF_OUTCOME_NONE);
    struct aff_found found = found_of(g, &code);
    assert_true(code == 0 && aff_bytes_equal(found.item.value, aff_str("near")));
    given_free(g);
}

static void a_read_of_what_is_led_elsewhere_is_told_so(void **state)
{
    struct cluster *c = *state;
    view_says(c, 0, NODE_B, 3);
    struct given *g = ask_us(c, AFF_WIRE_GET, 0, aff_str(key_of(0)));
    op_answers(&c->parts[0], AFF_ENOMASTER, AFF_OUTCOME_NOT_APPLIED);
    (void)answer_of(g, AFF_WIRE_ELSEWHERE);
    given_free(g);
}

static void a_read_of_a_strange_key_is_refused(void **state)
{
    struct cluster *c = *state;
    static const char long_key[AFF_KEY_MAX + 1] = { 'k' };
    const aff_bytes keys[] = { aff_str(""), aff_bytes_of(long_key, sizeof long_key), aff_str(key_of(1)) };
    leads(c, 0, 1);
    for (size_t i = 0; i < 3; i++) {
        int code;
        struct given *g = ask_us(c, AFF_WIRE_GET, 0, keys[i]);
        (void)found_of(g, &code);
        assert_int_equal(code, AFF_EAGAIN);
        given_free(g);
    }
}

/* ---- GO ---- */

static const struct aff_go go = { .major = 6, .cur = { 1, 2, 3 }, .end = 50 };

static struct given *bring_go(struct cluster *c)
{
    struct aff_buf b;
    aff_buf_init(&b);
    assert_true(aff_wire_put_go(&b, &go));
    struct given *g = ask_us(c, AFF_WIRE_GO, 1, aff_buf_view(&b));
    aff_buf_fini(&b);
    pass(c);
    return g;
}

static void a_go_comes_to_its_partition(void **state)
{
    struct cluster *c = *state;
    for (int leads_now = 0; leads_now <= 1; leads_now++) {
        struct given *g = bring_go(c);
        struct aff_take *take = c->parts[1].take;
        assert_non_null(take);
        assert_true(take->go.major == 6 && take->go.end == 50 && take->deadline_ns == g->question.deadline_ns);
        take->taken(take, leads_now);
        pass(c);
        struct aff_cursor from = answer_of(g, AFF_WIRE_ANSWERED);
        assert_int_equal(aff_cursor_u8(&from), leads_now);
        given_free(g);
    }
}

static void a_go_is_brought_to_its_node(void **state)
{
    const struct aff_give give = { .to = "c", .incarnation = 3, .major = 6, .back = 7 };
    static const struct {
        int code;
        const char *answer;
        size_t len;
        int went;
    } cases[] = { { 0, "\0\1", 2, 1 }, { 0, "\0\0", 2, 0 }, { 0, "", 0, 0 }, { AFF_EAGAIN, "", 0, 0 }, { AFF_EUNKNOWN, "", 0, 0 } };
    struct cluster *c = *state;
    struct aff_handover_net *net = aff_router_net(c->router);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct asked *q;
        c->parts[1].went = -1;
        net->go(net, &c->parts[1], &give, &go, aff_loop_now(c->loop) + AFF_NS_PER_S);
        q = question(c);
        assert_string_equal(q->member, "c-0000000003");
        assert_int_equal(q->call->kind, AFF_WIRE_GO);
        assert_int_equal(c->parts[1].went, -1);
        peer_answers(q, cases[i].code, aff_bytes_of(cases[i].answer, cases[i].len));
        assert_int_equal(c->parts[1].went, cases[i].went);
    }
}

static void a_go_to_nobody_fails_later(void **state)
{
    const struct aff_give give = { .to = "z", .incarnation = 3, .major = 6, .back = 7 };
    struct cluster *c = *state;
    struct aff_handover_net *net = aff_router_net(c->router);
    net->go(net, &c->parts[1], &give, &go, aff_loop_now(c->loop) + AFF_NS_PER_S);
    assert_int_equal(c->parts[1].went, -1);
    pass(c);
    assert_int_equal(c->parts[1].went, 0);
}

/* ---- questions that change nothing ---- */

struct asking {
    struct aff_ask ask;
    int answered, code;
    char answer[64];
};

static void on_answer(struct aff_ask *ask, int code, aff_bytes answer)
{
    struct asking *a = aff_container_of(ask, struct asking, ask);
    a->answered++;
    a->code = code;
    (void)snprintf(a->answer, sizeof a->answer, "%.*s", (int)answer.len, (const char *)answer.data);
}

static void begin_asking(struct cluster *c, struct asking *a)
{
    const aff_bytes parts[] = { aff_str("what "), aff_str("now?") };
    *a = (struct asking){ .ask = { .partition = 1, .kind = AFF_WIRE_ASK, .answered = on_answer } };
    aff_port_ask(c->port, c->space, &a->ask, parts, 2);
    assert_int_equal(a->answered, 0); /* never inside the call */
}

static void a_question_is_answered_by_who_leads(void **state)
{
    struct cluster *c = *state;
    struct aff_cursor from;
    struct asking a;
    aff_bytes name;
    uint32_t partition;
    view_says(c, 1, NODE_B, 1);
    begin_asking(c, &a);
    struct asked *q = question(c);
    from = aff_cursor_of(aff_bytes_of(q->body, q->len));
    assert_true(aff_wire_take_about(&from, &name, &partition) && partition == 1);
    assert_true(aff_bytes_equal(aff_cursor_take(&from, aff_cursor_left(&from)), aff_str("what now?")));
    peer_answers(q, AFF_EUNKNOWN, aff_str("")); /* it is asked again */
    wait_ms(c, 20);
    peer_answers(question(c), 0, aff_bytes_of("\0wait", 5));
    assert_true(a.answered == 1 && a.code == 0);
    assert_string_equal(a.answer, "wait");
}

static void who_leads_is_told_so(void **state)
{
    struct cluster *c = *state;
    struct asking a;
    leads(c, 1, 1);
    begin_asking(c, &a);
    pass(c);
    assert_true(a.answered == 1 && a.code == AFF_ASK_HERE);
}

static void a_question_without_a_leader_ends(void **state)
{
    struct cluster *c = *state;
    struct asking a;
    begin_asking(c, &a);
    wait_ms(c, MASTER_WAIT_MS + 1);
    assert_true(a.answered == 1 && a.code == AFF_ENOMASTER);
    aff_port_close(c->port);
    begin_asking(c, &a);
    pass(c);
    assert_true(a.answered == 1 && a.code == AFF_EDRAINING);
}

static void a_forgotten_question_is_not_answered(void **state)
{
    struct cluster *c = *state;
    struct asking waits, asks, ends;
    begin_asking(c, &waits);
    aff_port_ask_forget(c->port, &waits.ask);
    view_says(c, 1, NODE_B, 1);
    begin_asking(c, &asks);
    aff_port_ask_forget(c->port, &asks.ask);
    assert_int_equal(questions(c), 0);
    leads(c, 1, 2);
    begin_asking(c, &ends);
    aff_port_ask_forget(c->port, &ends.ask);
    wait_ms(c, MASTER_WAIT_MS + 1);
    assert_true(waits.answered == 0 && asks.answered == 0 && ends.answered == 0);
}

int main(void)
{
#define IN(test) cmocka_unit_test_setup_teardown(test, cluster_setup, cluster_teardown)
    const struct CMUnitTest tests[] = {
        IN(an_operation_is_carried_out_by_its_deadline),
        IN(what_is_answered_at_its_deadline_lives_until_it_is_released),
        IN(who_does_not_lead_says_who_does),
        IN(who_knows_nobody_says_so),
        IN(other_refusals_go_back_as_they_are),
        IN(a_command_runs_by_its_name),
        IN(a_patch_is_applied_and_comes_back_whole),
        IN(a_patch_that_changes_nothing_says_so),
        IN(what_cannot_be_carried_out_is_refused_with_a_reason),
        IN(a_question_about_nothing_here_is_refused),
        IN(an_operation_that_cannot_be_read_was_not_applied),
        IN(a_key_of_another_partition_is_not_taken),
        IN(a_value_is_told_from_a_snapshot),
        IN(without_a_lease_a_value_waits_for_its_proof),
        IN(a_read_of_what_is_led_elsewhere_is_told_so),
        IN(a_read_of_a_strange_key_is_refused),
        IN(a_go_comes_to_its_partition),
        IN(a_go_is_brought_to_its_node),
        IN(a_go_to_nobody_fails_later),
        IN(a_question_is_answered_by_who_leads),
        IN(who_leads_is_told_so),
        IN(a_question_without_a_leader_ends),
        IN(a_forgotten_question_is_not_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
