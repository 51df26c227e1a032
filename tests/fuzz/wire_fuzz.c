/*
 * wire_fuzz.c - what nodes ask and answer each other: any bytes are read without harm, and what could be read is written and read
 * again as the same.
 */
#include "router/wire.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool condition)
{
    if (!condition)
        abort();
}

/* The two byte strings are equal, and absent alike. */
static void expect_text(aff_bytes a, aff_bytes b)
{
    expect(aff_bytes_equal(a, b));
}

static void expect_tags(const struct aff_conditions *a, const struct aff_conditions *b)
{
    expect(a->match_count == b->match_count && a->none_match_count == b->none_match_count);
    expect(a->match_count == 0 || memcmp(a->match, b->match, a->match_count * sizeof *a->match) == 0);
    expect(a->none_match_count == 0 || memcmp(a->none_match, b->none_match, a->none_match_count * sizeof *a->none_match) == 0);
    expect(a->match_any == b->match_any && a->none_match_any == b->none_match_any && a->has_match == b->has_match);
}

static void expect_op(const struct aff_op *a, const struct aff_op *b)
{
    expect(a->kind == b->kind && a->ttl_ms == b->ttl_ms && a->expires_ms == b->expires_ms && a->event_ms == b->event_ms);
    expect_text(a->key, b->key);
    expect_text(a->traceparent, b->traceparent);
    expect_tags(&a->conditions, &b->conditions);
    expect(a->identified == b->identified);
    if (a->identified)
        expect(aff_digest_equal(a->id, b->id) && aff_digest_equal(a->request, b->request));
    if (a->kind == AFF_OP_PUT) {
        expect_text(a->value, b->value);
        expect_text(a->content_type, b->content_type);
    }
}

static void try_op(aff_bytes bytes)
{
    struct aff_cursor from = aff_cursor_of(bytes);
    struct aff_wire_etags etags, etags_again;
    struct aff_wire_form form, form_again;
    struct aff_op op, op_again;
    struct aff_buf b;
    aff_bytes tail;
    if (!aff_wire_take_op(&from, &op, &etags, &form))
        return;
    aff_buf_init(&b);
    expect(aff_wire_put_op(&b, &op, &form, &tail) && aff_buf_add(&b, tail.data, tail.len));
    from = aff_cursor_of(aff_buf_view(&b));
    expect(aff_wire_take_op(&from, &op_again, &etags_again, &form_again));
    expect_op(&op, &op_again);
    expect(op.kind != AFF_OP_COMMAND || form.patch == form_again.patch);
    aff_buf_fini(&b);
}

static void try_result(aff_bytes bytes)
{
    struct aff_cursor from = aff_cursor_of(bytes);
    struct aff_result r, again;
    struct aff_buf b;
    aff_bytes tail, title;
    uint32_t identity8;
    if (!aff_wire_take_result(&from, &r, &identity8, &title))
        return;
    aff_buf_init(&b);
    expect(aff_wire_put_result(&b, &r, identity8, &tail) && aff_buf_add(&b, tail.data, tail.len));
    from = aff_cursor_of(aff_buf_view(&b));
    expect(aff_wire_take_result(&from, &again, &identity8, &title));
    expect(r.code == again.code && r.outcome == again.outcome && r.status == again.status && r.stamped == again.stamped);
    expect(strcmp(r.detail, again.detail) == 0 && strcmp(r.problem, again.problem) == 0);
    expect_text(r.reply, again.reply);
    expect_text(r.reply_type, again.reply_type);
    aff_buf_fini(&b);
}

static void try_found(aff_bytes bytes)
{
    struct aff_cursor from = aff_cursor_of(bytes);
    struct aff_found found, again;
    struct aff_buf b;
    aff_bytes tail;
    int code, code_again;
    if (!aff_wire_take_found(&from, &code, &found))
        return;
    aff_buf_init(&b);
    expect(aff_wire_put_found(&b, code, &found, &tail) && aff_buf_add(&b, tail.data, tail.len));
    from = aff_cursor_of(aff_buf_view(&b));
    expect(aff_wire_take_found(&from, &code_again, &again));
    expect(code == code_again && found.exists == again.exists);
    if (found.exists)
        expect_text(found.item.value, again.item.value);
    aff_buf_fini(&b);
}

static void try_rest(aff_bytes bytes)
{
    struct aff_cursor from = aff_cursor_of(bytes);
    struct aff_wire_leader leader;
    struct aff_go go;
    aff_bytes name;
    uint32_t partition;
    (void)aff_wire_take_about(&from, &name, &partition);
    from = aff_cursor_of(bytes);
    if (aff_wire_take_leader(&from, &leader))
        expect(strlen(leader.name) <= AFF_NODE_NAME_MAX);
    from = aff_cursor_of(bytes);
    if (aff_wire_take_go(&from, &go))
        expect(go.end >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    aff_bytes bytes = aff_bytes_of(data ? data : (const uint8_t *)"", size);
    try_op(bytes);
    try_result(bytes);
    try_found(bytes);
    try_rest(bytes);
    return 0;
}
