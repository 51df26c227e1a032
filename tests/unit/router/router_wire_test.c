/*
 * router_wire_test.c - what is put on the wire is taken off it as the same; what is cut short or makes no sense is not taken.
 */
#include "router/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct aff_cursor all_of(const struct aff_buf *b)
{
    return aff_cursor_of(aff_buf_view(b));
}

static void add_tail(struct aff_buf *b, aff_bytes tail)
{
    assert_true(aff_buf_add(b, tail.data, tail.len));
}

static void assert_bytes(aff_bytes is, const char *should)
{
    assert_true(aff_bytes_equal(is, aff_str(should)));
}

/* Every beginning of the bytes is refused by `take`. */
static void assert_refuses_beginnings(const struct aff_buf *b, bool (*take)(struct aff_cursor *from))
{
    for (size_t len = 0; len < b->len; len++) {
        void *copy = malloc(len + 1); /* of its own, so that a sanitizer sees a step too far */
        memcpy(copy, b->data, len);
        struct aff_cursor from = aff_cursor_of(aff_bytes_of(copy, len));
        if (take(&from))
            fail_msg("%zu of %zu bytes were taken", len, b->len);
        free(copy);
    }
}

/* ---- operations ---- */

static bool take_op(struct aff_cursor *from)
{
    struct aff_op op;
    struct aff_wire_etags etags;
    struct aff_wire_form form;
    return aff_wire_take_op(from, &op, &etags, &form);
}

static const struct aff_etag match[] = { { 1, 2, 3 }, { 4, 5, INT64_MAX } }, none_match[] = { { 6, 7, 8 } };

static struct aff_op full_put(void)
{
    struct aff_op op;
    aff_op_init(&op, AFF_OP_PUT);
    op.key = aff_bytes_of("k\0y", 3);
    op.value = aff_str("a value");
    op.content_type = aff_str("text/plain");
    op.ttl_ms = 1000;
    op.expires_ms = 1234567890123;
    op.event_ms = -1;
    op.traceparent = aff_str("00-x-y-01");
    op.conditions = (struct aff_conditions){ .has_match = true, .none_match_any = true, .match = match, .match_count = 2,
                                             .none_match = none_match, .none_match_count = 1 };
    op.identified = true;
    memset(op.id.b, 0xa1, sizeof op.id.b);
    memset(op.request.b, 0xb2, sizeof op.request.b);
    return op;
}

static void an_operation_is_taken_as_it_was_put(void **state)
{
    const struct aff_op op = full_put();
    const struct aff_wire_form none = { .patch = false };
    struct aff_wire_form form;
    struct aff_wire_etags etags;
    struct aff_op got;
    struct aff_buf b;
    aff_bytes tail;
    (void)state;
    aff_buf_init(&b);
    assert_true(aff_wire_put_op(&b, &op, &none, &tail));
    add_tail(&b, tail);
    assert_refuses_beginnings(&b, take_op);
    assert_true(aff_buf_add(&b, "later", 5)); /* fields of a later version */
    struct aff_cursor from = all_of(&b);
    assert_true(aff_wire_take_op(&from, &got, &etags, &form));
    assert_int_equal(got.kind, AFF_OP_PUT);
    assert_true(aff_bytes_equal(got.key, op.key));
    assert_bytes(got.value, "a value");
    assert_bytes(got.content_type, "text/plain");
    assert_bytes(got.traceparent, "00-x-y-01");
    assert_int_equal(got.ttl_ms, 1000);
    assert_int_equal(got.expires_ms, op.expires_ms);
    assert_int_equal(got.event_ms, -1);
    assert_true(got.conditions.has_match && got.conditions.none_match_any && !got.conditions.match_any);
    assert_int_equal(got.conditions.match_count, 2);
    assert_memory_equal(got.conditions.match, match, sizeof match);
    assert_int_equal(got.conditions.none_match_count, 1);
    assert_memory_equal(got.conditions.none_match, none_match, sizeof none_match);
    assert_true(got.identified && aff_digest_equal(got.id, op.id) && aff_digest_equal(got.request, op.request));
    aff_buf_fini(&b);
}

static void take_back(const struct aff_op *op, const struct aff_wire_form *form, struct aff_buf *b, struct aff_op *ret,
                      struct aff_wire_form *ret_form)
{
    static struct aff_wire_etags etags;
    aff_bytes tail;
    aff_buf_init(b);
    assert_true(aff_wire_put_op(b, op, form, &tail));
    add_tail(b, tail);
    struct aff_cursor from = all_of(b);
    assert_true(aff_wire_take_op(&from, ret, &etags, ret_form));
}

static void commands_patches_and_the_rest_keep_what_they_are(void **state)
{
    const struct aff_wire_form command = { .command = aff_str("deposit"), .body = aff_str("{}"), .type = aff_str("a/b") };
    const struct aff_wire_form patch = { .patch = true, .body = aff_str("[]"), .merges = true, .whole = true, .depth = 77 };
    struct aff_wire_form form;
    struct aff_op op, got;
    struct aff_buf b;
    (void)state;
    aff_op_init(&op, AFF_OP_COMMAND);
    op.key = aff_str("k");
    take_back(&op, &command, &b, &got, &form);
    assert_true(got.kind == AFF_OP_COMMAND && !form.patch);
    assert_bytes(form.command, "deposit");
    assert_bytes(form.body, "{}");
    assert_bytes(form.type, "a/b");
    assert_null(got.traceparent.data);
    aff_buf_fini(&b);
    take_back(&op, &patch, &b, &got, &form);
    assert_true(got.kind == AFF_OP_COMMAND && form.patch && form.merges && form.whole);
    assert_int_equal(form.depth, 77);
    assert_bytes(form.body, "[]");
    aff_buf_fini(&b);
    aff_op_init(&op, AFF_OP_DELETE);
    op.key = aff_str("k");
    take_back(&op, &command, &b, &got, &form);
    assert_int_equal(got.kind, AFF_OP_DELETE);
    assert_int_equal(got.expires_ms, AFF_NO_TIME);
    aff_buf_fini(&b);
    aff_op_init(&op, AFF_OP_BARRIER);
    op.key = aff_str("named-by"); /* a barrier is of a partition */
    take_back(&op, &command, &b, &got, &form);
    assert_true(got.kind == AFF_OP_BARRIER && got.key.len == 0);
    aff_buf_fini(&b);
}

static bool taken_after(const struct aff_op *op, size_t at, unsigned char byte)
{
    const struct aff_wire_form none = { .patch = false };
    struct aff_buf b;
    aff_bytes tail;
    aff_buf_init(&b);
    assert_true(aff_wire_put_op(&b, op, &none, &tail));
    add_tail(&b, tail);
    b.data[at] = byte;
    struct aff_cursor from = all_of(&b);
    bool taken = take_op(&from);
    aff_buf_fini(&b);
    return taken;
}

static void an_operation_that_makes_no_sense_is_not_taken(void **state)
{
    struct aff_op op = full_put();
    (void)state;
    assert_false(taken_after(&op, 0, 0));
    assert_false(taken_after(&op, 0, 6));
    assert_false(taken_after(&op, 0, 4)); /* a barrier with a key */
    assert_false(taken_after(&op, 7, 0x80)); /* a lifetime below zero */
    op.key = aff_str("");
    assert_false(taken_after(&op, 0, 1));
    static char long_key[AFF_KEY_MAX + 1];
    op.key = aff_bytes_of(long_key, sizeof long_key);
    assert_false(taken_after(&op, 0, 1));
}

/* ---- results ---- */

static bool take_result(struct aff_cursor *from)
{
    struct aff_result r;
    uint32_t identity8;
    aff_bytes title;
    return aff_wire_take_result(from, &r, &identity8, &title);
}

static void a_result_is_taken_as_it_was_put(void **state)
{
    const struct aff_result r = { .code = AFF_EREFUSED, .outcome = AFF_OUTCOME_COMMITTED, .created = true, .replayed = true,
                                  .replay_cut = true, .versioned = true, .stamped = true, .unchanged = true,
                                  .version = { 1, 2, 3, 4 }, .stamp = { 5, 6, 7 }, .status = 409, .reply = aff_str("{}"),
                                  .reply_type = aff_str("a/b"), .problem = "poor", .title = "Too poor", .detail = "why" };
    struct aff_result got;
    struct aff_buf b;
    uint32_t identity8;
    aff_bytes tail, title;
    (void)state;
    aff_buf_init(&b);
    assert_true(aff_wire_put_result(&b, &r, 0xabcdef01, &tail));
    add_tail(&b, tail);
    assert_refuses_beginnings(&b, take_result);
    struct aff_cursor from = all_of(&b);
    assert_true(aff_wire_take_result(&from, &got, &identity8, &title));
    assert_int_equal(identity8, 0xabcdef01);
    assert_int_equal(got.code, AFF_EREFUSED);
    assert_int_equal(got.outcome, AFF_OUTCOME_COMMITTED);
    assert_true(got.created && got.replayed && got.replay_cut && got.versioned && got.stamped && got.unchanged);
    assert_memory_equal(&got.version, &r.version, sizeof r.version);
    assert_memory_equal(&got.stamp, &r.stamp, sizeof r.stamp);
    assert_int_equal(got.status, 409);
    assert_bytes(got.reply, "{}");
    assert_bytes(got.reply_type, "a/b");
    assert_bytes(title, "Too poor");
    assert_string_equal(got.problem, "poor");
    assert_string_equal(got.detail, "why");
    aff_buf_fini(&b);
}

static void no_reply_and_no_title_are_none(void **state)
{
    const struct aff_result r = { .code = 0, .outcome = AFF_OUTCOME_NONE };
    struct aff_result got;
    struct aff_buf b;
    uint32_t identity8;
    aff_bytes tail, title;
    (void)state;
    aff_buf_init(&b);
    assert_true(aff_wire_put_result(&b, &r, 0, &tail));
    struct aff_cursor from = all_of(&b);
    assert_true(aff_wire_take_result(&from, &got, &identity8, &title));
    assert_null(got.reply.data);
    assert_null(title.data);
    b.data[2] = 9; /* no such outcome */
    from = all_of(&b);
    assert_false(aff_wire_take_result(&from, &got, &identity8, &title));
    aff_buf_fini(&b);
}

/* ---- the rest ---- */

static bool take_found(struct aff_cursor *from)
{
    struct aff_found found;
    int code;
    return aff_wire_take_found(from, &code, &found);
}

static void a_value_is_taken_as_it_was_put(void **state)
{
    const struct aff_found found = { .exists = true, .identity8 = 9, .item = { .version = { 1, 2, AFF_NO_TIME, 4 },
                                     .content_type = aff_str("a/b"), .value = aff_str("v") } };
    struct aff_found got;
    struct aff_buf b;
    aff_bytes tail;
    int code;
    (void)state;
    aff_buf_init(&b);
    assert_true(aff_wire_put_found(&b, 0, &found, &tail));
    add_tail(&b, tail);
    assert_refuses_beginnings(&b, take_found);
    struct aff_cursor from = all_of(&b);
    assert_true(aff_wire_take_found(&from, &code, &got));
    assert_true(code == 0 && got.exists && got.identity8 == 9);
    assert_memory_equal(&got.item.version, &found.item.version, sizeof found.item.version);
    assert_bytes(got.item.content_type, "a/b");
    assert_bytes(got.item.value, "v");
    aff_buf_clear(&b);
    assert_true(aff_wire_put_found(&b, 0, &(struct aff_found){ .identity8 = 3 }, &tail));
    from = all_of(&b);
    assert_true(aff_wire_take_found(&from, &code, &got) && code == 0 && !got.exists && got.identity8 == 3);
    aff_buf_clear(&b);
    assert_true(aff_wire_put_found(&b, AFF_EIO, NULL, &tail));
    from = all_of(&b);
    assert_true(aff_wire_take_found(&from, &code, &got) && code == AFF_EIO);
    aff_buf_fini(&b);
}

static bool take_go(struct aff_cursor *from)
{
    struct aff_go go;
    return aff_wire_take_go(from, &go);
}

static bool take_leader(struct aff_cursor *from)
{
    struct aff_wire_leader leader;
    return aff_wire_take_leader(from, &leader);
}

static void a_hand_over_and_a_leader_are_taken_as_they_were_put(void **state)
{
    const struct aff_go go = { .major = 7, .cur = { 1, 2, 3 }, .end = 99 };
    const struct aff_wire_leader leader = { .epoch = 4, .incarnation = 5, .name = "n1" };
    struct aff_wire_leader told;
    struct aff_go got;
    struct aff_buf b;
    (void)state;
    aff_buf_init(&b);
    assert_true(aff_wire_put_go(&b, &go));
    assert_refuses_beginnings(&b, take_go);
    struct aff_cursor from = all_of(&b);
    assert_true(aff_wire_take_go(&from, &got));
    assert_memory_equal(&got.cur, &go.cur, sizeof go.cur);
    assert_true(got.major == 7 && got.end == 99);
    aff_buf_clear(&b);
    assert_true(aff_wire_put_leader(&b, &leader));
    assert_refuses_beginnings(&b, take_leader);
    from = all_of(&b);
    assert_true(aff_wire_take_leader(&from, &told));
    assert_true(told.epoch == 4 && told.incarnation == 5);
    assert_string_equal(told.name, "n1");
    aff_buf_fini(&b);
}

static void a_name_that_is_too_long_is_cut(void **state)
{
    struct aff_wire_leader told;
    struct aff_buf b;
    char name[200];
    (void)state;
    memset(name, 'x', sizeof name);
    aff_buf_init(&b);
    assert_true(aff_buf_u32(&b, 1) && aff_buf_u32(&b, 2) && aff_buf_u16(&b, sizeof name) && aff_buf_add(&b, name, sizeof name));
    struct aff_cursor from = all_of(&b);
    assert_true(aff_wire_take_leader(&from, &told));
    assert_int_equal(strlen(told.name), AFF_NODE_NAME_MAX);
    aff_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_operation_is_taken_as_it_was_put),
        cmocka_unit_test(commands_patches_and_the_rest_keep_what_they_are),
        cmocka_unit_test(an_operation_that_makes_no_sense_is_not_taken),
        cmocka_unit_test(a_result_is_taken_as_it_was_put),
        cmocka_unit_test(no_reply_and_no_title_are_none),
        cmocka_unit_test(a_value_is_taken_as_it_was_put),
        cmocka_unit_test(a_hand_over_and_a_leader_are_taken_as_they_were_put),
        cmocka_unit_test(a_name_that_is_too_long_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
