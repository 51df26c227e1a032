/*
 * coordinator_chunk_test.c - each step of a partition's assignment, what it refuses, and that epochs are given once (I1).
 */
#include "coordinator/chunk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NODES = 4 };

struct fixture {
    struct aff_view_node nodes[NODES];
    struct aff_members living;
    struct aff_chunk_part part;
    aff_error err;
};

/* n1-0000000001, n2-0000000002 and so on; all live, n1 to n3 hold a replica. */
static struct fixture begin(void)
{
    struct fixture f = { 0 };
    const char *const names[] = { "n1", "n2", "n3" };

    for (int i = 0; i < NODES; i++) {
        f.nodes[i].name[0] = 'n';
        f.nodes[i].name[1] = (char)('1' + i);
        f.nodes[i].incarnation = (uint32_t)i + 1;
    }
    f.living.count = NODES;
    assert_int_equal(aff_chunk_place(&f.part, names, 3, 0, &f.err), 0);
    return f;
}

/* The struct is returned by value, so the pointer into it is set by whoever holds it. */
static const struct aff_members *living(struct fixture *f)
{
    f->living.nodes = f->nodes;
    return &f->living;
}

static void dies(struct fixture *f, int node)
{
    f->nodes[node - 1].incarnation = 1000;
}

static void expect_owner(const struct fixture *f, const char *owner, uint32_t major, uint32_t epoch)
{
    assert_string_equal(f->part.owner, owner);
    assert_int_equal(f->part.major, major);
    assert_int_equal(f->part.epoch, epoch);
    assert_null(aff_chunk_wrong(&f->part));
}

/* The step was refused with a reason, and changed nothing. */
static void expect_refused(const struct fixture *f, const struct aff_chunk_part *before, int rc, int code,
                           const char *part_of_text)
{
    assert_int_equal(rc, code);
    if (!strstr(f->err.text, part_of_text))
        fail_msg("\"%s\" does not say \"%s\"", f->err.text, part_of_text);
    assert_memory_equal(&f->part, before, sizeof *before);
}

static void test_grant(void **state)
{
    struct fixture f = begin();
    struct aff_chunk_part before = f.part;

    (void)state;
    expect_refused(&f, &before, aff_chunk_grant(&f.part, "n4-0000000004", living(&f), &f.err), AFF_EINVAL,
                   "holds a replica");
    expect_refused(&f, &before, aff_chunk_grant(&f.part, "n1", living(&f), &f.err), AFF_EINVAL, "n1");
    expect_refused(&f, &before, aff_chunk_grant(&f.part, "n1-0000000009", living(&f), &f.err), AFF_ECONFLICT,
                   "does not live");
    assert_int_equal(aff_chunk_grant(&f.part, "n1-0000000001", living(&f), &f.err), 0);
    expect_owner(&f, "n1-0000000001", 1, 1);

    before = f.part; /* nobody else while it lives, nor itself again */
    expect_refused(&f, &before, aff_chunk_grant(&f.part, "n2-0000000002", living(&f), &f.err), AFF_EBUSY, "lives");
    expect_refused(&f, &before, aff_chunk_grant(&f.part, "n1-0000000001", living(&f), &f.err), AFF_EBUSY, "lives");
    dies(&f, 1);
    assert_int_equal(aff_chunk_grant(&f.part, "n2-0000000002", living(&f), &f.err), 0);
    expect_owner(&f, "n2-0000000002", 2, 2);
}

static void test_raise(void **state)
{
    struct fixture f = begin();
    struct aff_chunk_part before;

    (void)state;
    assert_int_equal(aff_chunk_grant(&f.part, "n1-0000000001", living(&f), &f.err), 0);
    before = f.part;
    expect_refused(&f, &before, aff_chunk_raise(&f.part, "n2-0000000002", 7, &f.err), AFF_ECONFLICT, "not the owner");
    expect_refused(&f, &before, aff_chunk_raise(&f.part, "n1-0000000001", UINT32_MAX, &f.err), AFF_EINVAL,
                   "no epoch above");
    assert_int_equal(aff_chunk_raise(&f.part, "n1-0000000001", 7, &f.err), 0);
    expect_owner(&f, "n1-0000000001", 8, 8);
    assert_int_equal(aff_chunk_raise(&f.part, "n1-0000000001", 3, &f.err), 0);
    expect_owner(&f, "n1-0000000001", 9, 9);
}

static void offer(struct fixture *f)
{
    assert_int_equal(aff_chunk_grant(&f->part, "n1-0000000001", living(f), &f->err), 0);
    assert_int_equal(aff_chunk_aim(&f->part, "n2", false, &f->err), 0);
    assert_int_equal(aff_chunk_offer(&f->part, "n1-0000000001", "n2-0000000002", living(f), &f->err), 0);
    assert_string_equal(f->part.next, "n2-0000000002");
    assert_int_equal(f->part.claim, 2);
    assert_int_equal(f->part.back, 3);
    expect_owner(f, "n1-0000000001", 1, 3);
}

static void test_a_few_at_a_time(void **state)
{
    struct aff_chunk *chunk = calloc(1, sizeof *chunk);
    struct fixture f = begin();

    (void)state;
    offer(&f);
    aff_chunk_init(chunk, "things", 6, 0);
    assert_true(aff_chunk_has_room(chunk));
    chunk->parts[5] = f.part;
    assert_false(aff_chunk_has_room(chunk));
    aff_chunk_init(chunk, "things", 300, 0);
    for (uint32_t i = 0; i < AFF_CHUNK_PARTITIONS / AFF_CHUNK_OFFERS_OF; i++) {
        assert_true(aff_chunk_has_room(chunk));
        chunk->parts[i] = f.part;
    }
    assert_false(aff_chunk_has_room(chunk));
    free(chunk);
}

static void test_offer_refused(void **state)
{
    struct fixture f = begin();
    struct aff_chunk_part before;

    (void)state;
    assert_int_equal(aff_chunk_grant(&f.part, "n1-0000000001", living(&f), &f.err), 0);
    before = f.part;
    expect_refused(&f, &before, aff_chunk_offer(&f.part, "n2-0000000002", "n3-0000000003", living(&f), &f.err),
                   AFF_ECONFLICT, "not the owner");
    expect_refused(&f, &before, aff_chunk_offer(&f.part, "n1-0000000001", "n4-0000000004", living(&f), &f.err),
                   AFF_EINVAL, "replica");
    expect_refused(&f, &before, aff_chunk_offer(&f.part, "n1-0000000001", "n2-0000000009", living(&f), &f.err),
                   AFF_ECONFLICT, "does not live");
    expect_refused(&f, &before, aff_chunk_offer(&f.part, "n1-0000000001", "n1-0000000001", living(&f), &f.err),
                   AFF_EINVAL, "itself");
    assert_int_equal(aff_chunk_offer(&f.part, "n1-0000000001", "n2-0000000002", living(&f), &f.err), 0);
    before = f.part;
    expect_refused(&f, &before, aff_chunk_offer(&f.part, "n1-0000000001", "n3-0000000003", living(&f), &f.err),
                   AFF_EBUSY, "already");
    expect_refused(&f, &before, aff_chunk_release(&f.part, "n1-0000000001", "x", &f.err), AFF_EBUSY, "handed over");
}

static void test_taken(void **state)
{
    struct fixture f = begin();
    struct aff_chunk_part before;

    (void)state;
    offer(&f);
    before = f.part;
    expect_refused(&f, &before, aff_chunk_taken(&f.part, "n2-0000000002", 3, &f.err), AFF_ECONFLICT, "no hand-over");
    expect_refused(&f, &before, aff_chunk_taken(&f.part, "n3-0000000003", 2, &f.err), AFF_ECONFLICT, "no hand-over");
    assert_int_equal(aff_chunk_taken(&f.part, "n2-0000000002", 2, &f.err), 0);
    expect_owner(&f, "n2-0000000002", 2, 3);
    assert_string_equal(f.part.next, "");
    assert_string_equal(f.part.target, ""); /* reached */
    before = f.part;
    assert_int_equal(aff_chunk_taken(&f.part, "n2-0000000002", 2, &f.err), 0); /* the other side says it, too */
    assert_memory_equal(&f.part, &before, sizeof before);
    expect_refused(&f, &before, aff_chunk_kept(&f.part, "n1-0000000001", &f.err), AFF_ECONFLICT, "not the owner");
}

static void test_pinned_stays(void **state)
{
    struct fixture f = begin();

    (void)state;
    assert_int_equal(aff_chunk_grant(&f.part, "n1-0000000001", living(&f), &f.err), 0);
    assert_int_equal(aff_chunk_aim(&f.part, "n2", true, &f.err), 0);
    assert_int_equal(aff_chunk_offer(&f.part, "n1-0000000001", "n2-0000000002", living(&f), &f.err), 0);
    assert_int_equal(aff_chunk_taken(&f.part, "n2-0000000002", 2, &f.err), 0);
    assert_string_equal(f.part.target, "n2");
    assert_true(f.part.pinned);
    assert_int_equal(aff_chunk_aim(&f.part, NULL, false, &f.err), 0);
    assert_false(f.part.pinned);
}

static void test_kept(void **state)
{
    struct fixture f = begin();
    struct aff_chunk_part before;

    (void)state;
    offer(&f);
    assert_int_equal(aff_chunk_kept(&f.part, "n1-0000000001", &f.err), 0);
    expect_owner(&f, "n1-0000000001", 3, 3);
    assert_string_equal(f.part.failed, "n2-0000000002");
    assert_int_equal(f.part.fails, 1);
    assert_string_equal(f.part.target, "");
    before = f.part; /* the late answer of the other changes nothing */
    expect_refused(&f, &before, aff_chunk_taken(&f.part, "n2-0000000002", 2, &f.err), AFF_ECONFLICT, "no hand-over");
    expect_refused(&f, &before, aff_chunk_kept(&f.part, "n1-0000000001", &f.err), AFF_ECONFLICT, "no hand-over");
    assert_int_equal(aff_chunk_offer(&f.part, "n1-0000000001", "n2-0000000002", living(&f), &f.err), 0);
    assert_int_equal(aff_chunk_kept(&f.part, "n1-0000000001", &f.err), 0);
    expect_owner(&f, "n1-0000000001", 5, 5);
    assert_int_equal(f.part.fails, 2);
}

static void test_raise_ends_handover(void **state)
{
    struct fixture f = begin();

    (void)state;
    offer(&f);
    assert_int_equal(aff_chunk_raise(&f.part, "n1-0000000001", 0, &f.err), 0);
    expect_owner(&f, "n1-0000000001", 4, 4);
    assert_string_equal(f.part.next, "");
    assert_int_equal(aff_chunk_taken(&f.part, "n2-0000000002", 2, &f.err), AFF_ECONFLICT);
}

static void test_inherit(void **state)
{
    struct fixture f = begin();
    struct aff_chunk_part before;

    (void)state;
    offer(&f);
    before = f.part;
    expect_refused(&f, &before, aff_chunk_inherit(&f.part, living(&f), &f.err), AFF_EBUSY, "lives");
    dies(&f, 1);
    expect_refused(&f, &before, aff_chunk_grant(&f.part, "n3-0000000003", living(&f), &f.err), AFF_EBUSY,
                   "handed over");
    assert_int_equal(aff_chunk_inherit(&f.part, living(&f), &f.err), 0);
    expect_owner(&f, "n2-0000000002", 2, 3);
}

static void test_both_sides_of_a_handover_die(void **state)
{
    struct fixture f = begin();

    (void)state;
    offer(&f);
    dies(&f, 1);
    dies(&f, 2);
    assert_int_equal(aff_chunk_inherit(&f.part, living(&f), &f.err), AFF_ECONFLICT);
    assert_int_equal(aff_chunk_grant(&f.part, "n3-0000000003", living(&f), &f.err), 0);
    expect_owner(&f, "n3-0000000003", 4, 4); /* 2 and 3 belonged to others */
    assert_string_equal(f.part.next, "");
}

static void test_release(void **state)
{
    struct fixture f = begin();
    struct aff_chunk_part before = f.part;

    (void)state;
    expect_refused(&f, &before, aff_chunk_release(&f.part, "n1-0000000001", "x", &f.err), AFF_ECONFLICT, "nobody");
    expect_refused(&f, &before, aff_chunk_release(&f.part, "", "x", &f.err), AFF_ECONFLICT, "nobody");
    assert_int_equal(aff_chunk_grant(&f.part, "n1-0000000001", living(&f), &f.err), 0);
    assert_int_equal(
        aff_chunk_release(
            &f.part, "n1-0000000001",
            "the log has confirmed nothing for 2 s, and this reason is much longer than there is room: \xc3\xa4 \xc3\xa4",
            &f.err),
        0);
    expect_owner(&f, "", 0, 1);
    assert_string_equal(f.part.released, "n1-0000000001");
    assert_int_equal(strlen(f.part.why), AFF_CHUNK_WHY_MAX);
    assert_int_equal(aff_chunk_grant(&f.part, "n2-0000000002", living(&f), &f.err), 0); /* though n1 lives */
    expect_owner(&f, "n2-0000000002", 2, 2);
    assert_string_equal(f.part.released, "");
}

static void test_aim_and_place(void **state)
{
    struct fixture f = begin();
    const char *const four[] = { "n1", "n2", "n3", "n4" }, *const two[] = { "n3", "n4" },
                      *const twice[] = { "n1", "n1" };
    const char *const bad[] = { "n1", "N2" };
    struct aff_chunk_part before;

    (void)state;
    assert_int_equal(aff_chunk_grant(&f.part, "n1-0000000001", living(&f), &f.err), 0);
    before = f.part;
    expect_refused(&f, &before, aff_chunk_aim(&f.part, "n4", true, &f.err), AFF_EINVAL, "n4");
    expect_refused(&f, &before, aff_chunk_place(&f.part, two, 2, 0, &f.err), AFF_EINVAL, "n1-0000000001");
    expect_refused(&f, &before, aff_chunk_place(&f.part, twice, 2, 0, &f.err), AFF_EINVAL, "twice");
    expect_refused(&f, &before, aff_chunk_place(&f.part, bad, 2, 0, &f.err), AFF_EINVAL, "N2");
    expect_refused(&f, &before, aff_chunk_place(&f.part, bad, 0, 0, &f.err), AFF_EINVAL, "1 to 7");
    expect_refused(&f, &before, aff_chunk_place(&f.part, four, 2, 4, &f.err), AFF_EINVAL, "1 to 7");
    assert_int_equal(aff_chunk_aim(&f.part, "n2", true, &f.err), 0);
    assert_int_equal(aff_chunk_place(&f.part, four, 4, 0, &f.err), 0);
    assert_string_equal(f.part.target, "n2");
    assert_int_equal(aff_chunk_place(&f.part, four, 4, 2, &f.err), 0); /* n2 goes */
    assert_string_equal(f.part.target, "");
    before = f.part;
    expect_refused(&f, &before, aff_chunk_aim(&f.part, "n2", true, &f.err), AFF_EINVAL, "about to go");
}

/* ---- the text ---- */

static void decode_into(struct aff_chunk *chunk, const char *text, int code, const char *part_of_text)
{
    struct aff_chunk *before = malloc(sizeof *before);
    aff_error err = { 0 };

    assert_non_null(before);
    *before = *chunk;
    assert_int_equal(aff_chunk_decode(chunk, aff_str(text), &err), code);
    if (code && !strstr(err.text, part_of_text))
        fail_msg("\"%s\" does not say \"%s\"", err.text, part_of_text);
    if (code)
        assert_memory_equal(chunk, before, sizeof *chunk);
    free(before);
}

static void test_text_round(void **state)
{
    static struct aff_chunk chunk, again;
    struct fixture f = begin();
    struct aff_buf text, text_again;

    (void)state;
    aff_buf_init(&text);
    aff_buf_init(&text_again);
    aff_chunk_init(&chunk, "accounts", 300, 1);
    assert_int_equal(chunk.first, 256);
    assert_int_equal(chunk.count, 44);
    offer(&f);
    f.part.leaving = 4;
    chunk.parts[3] = f.part;
    assert_int_equal(aff_chunk_kept(&f.part, "n1-0000000001", &f.err), 0);
    assert_int_equal(aff_chunk_release(&f.part, "n1-0000000001", "a \"reason\"", &f.err), 0);
    assert_int_equal(aff_chunk_aim(&f.part, "n1", true, &f.err), 0);
    chunk.parts[43] = f.part;
    assert_int_equal(aff_chunk_encode(&chunk, &text, &f.err), 0);
    aff_chunk_init(&again, "accounts", 300, 1);
    if (aff_chunk_decode(&again, aff_buf_view(&text), &f.err))
        fail_msg("%s", f.err.text);
    assert_int_equal(aff_chunk_encode(&again, &text_again, &f.err), 0);
    assert_true(aff_bytes_equal(aff_buf_view(&text), aff_buf_view(&text_again)));
    assert_string_equal(again.parts[3].next, "n2-0000000002");
    assert_int_equal(again.parts[3].leaving, 4);
    assert_string_equal(again.parts[43].why, "a \"reason\"");
    assert_true(again.parts[43].pinned);
    aff_buf_fini(&text);
    aff_buf_fini(&text_again);
}

/* The largest that can be: every field of every partition as long as possible. */
static void test_text_fits(void **state)
{
    static struct aff_chunk chunk, again;
    struct aff_buf text;
    aff_error err;

    (void)state;
    aff_buf_init(&text);
    aff_chunk_init(&chunk, "accounts", 256, 0);
    for (uint32_t p = 0; p < chunk.count; p++) {
        struct aff_chunk_part *part = &chunk.parts[p];
        part->replicas_count = AFF_REPLICAS_MAX;
        part->leaving = 0x3f;
        for (int i = 0; i < AFF_REPLICAS_MAX; i++) {
            memset(part->replicas[i], 'a' + i, AFF_NODE_NAME_MAX);
        }
        part->epoch = part->back = UINT32_MAX;
        part->claim = UINT32_MAX - 1;
        part->major = UINT32_MAX - 2;
        aff_member_format(part->owner, part->replicas[0], UINT32_MAX);
        aff_member_format(part->next, part->replicas[1], UINT32_MAX);
        aff_member_format(part->failed, part->replicas[1], UINT32_MAX);
        aff_member_format(part->released, part->replicas[1], UINT32_MAX);
        memcpy(part->target, part->replicas[6], sizeof part->target);
        part->pinned = true;
        part->fails = UINT8_MAX;
        memset(part->why, '"', AFF_CHUNK_WHY_MAX);
    }
    if (aff_chunk_encode(&chunk, &text, &err))
        fail_msg("%s", err.text);
    aff_chunk_init(&again, "accounts", 256, 0);
    if (aff_chunk_decode(&again, aff_buf_view(&text), &err))
        fail_msg("%s", err.text);
    assert_memory_equal(chunk.parts, again.parts, sizeof chunk.parts);
    aff_buf_fini(&text);
}

static void test_text_refused(void **state)
{
    static struct aff_chunk chunk;
    static const struct {
        const char *text;
        int code;
        const char *says;
    } cases[] = {
        { "", AFF_ECORRUPT, "accounts" },
        { "{", AFF_ECORRUPT, "byte" },
        { "[]", AFF_ECORRUPT, "not a JSON object" },
        { "{\"partitions\":[{}]}", AFF_ECORRUPT, "\"v\"" },
        { "{\"v\":0,\"partitions\":[{}]}", AFF_ECORRUPT, "\"v\"" },
        { "{\"v\":2,\"partitions\":[{}]}", AFF_EREFUSED, "later release" },
        { "{\"v\":1}", AFF_ECORRUPT, "\"partitions\" is not an array" },
        { "{\"v\":1,\"partitions\":[]}", AFF_ECORRUPT, "0 partitions" },
        { "{\"v\":1,\"first\":256,\"partitions\":[{}]}", AFF_ECORRUPT, "from 256 on" },
        { "{\"v\":1,\"first\":-1,\"partitions\":[{}]}", AFF_ECORRUPT, "\"first\"" },
        { "{\"v\":1,\"partitions\":[7]}", AFF_ECORRUPT, "partition 0" },
        { "{\"v\":1,\"partitions\":[{\"epoch\":\"7\"}]}", AFF_ECORRUPT, "partition 0: \"epoch\"" },
        { "{\"v\":1,\"partitions\":[{\"epoch\":4294967296}]}", AFF_ECORRUPT, "\"epoch\"" },
        { "{\"v\":1,\"partitions\":[{\"owner\":7}]}", AFF_ECORRUPT, "\"owner\"" },
        { "{\"v\":1,\"partitions\":[{\"pinned\":1}]}", AFF_ECORRUPT, "\"pinned\"" },
        { "{\"v\":1,\"partitions\":[{\"replicas\":\"n1\"}]}", AFF_ECORRUPT, "\"replicas\"" },
        { "{\"v\":1,\"partitions\":[{\"replicas\":[7]}]}", AFF_ECORRUPT, "\"replicas\"" },
        { "{\"v\":1,\"partitions\":[{\"replicas\":[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\"]}]}", AFF_ECORRUPT,
          "\"replicas\"" },
        { "{\"v\":1,\"partitions\":[{\"replicas\":[\"n1\",\"n1\"]}]}", AFF_ECORRUPT, "twice" },
        { "{\"v\":1,\"partitions\":[{\"replicas\":[\"n1\"],\"leaving\":[\"n2\"]}]}", AFF_ECORRUPT, "\"leaving\"" },
        { "{\"v\":1,\"partitions\":[{\"replicas\":[\"n1\"],\"leaving\":7}]}", AFF_ECORRUPT, "\"leaving\"" },
        { "{\"v\":1,\"partitions\":[{\"owner\":\"n1-0000000001\",\"major\":1,\"epoch\":1}]}", AFF_ECORRUPT, "owner" },
        { "{\"v\":1,\"partitions\":[{\"owner\":\"n1-0000000001\",\"epoch\":1,\"replicas\":[\"n1\"]}]}", AFF_ECORRUPT,
          "owner" },
        { "{\"v\":1,\"partitions\":[{\"owner\":\"n1-0000000001\",\"major\":2,\"epoch\":1,\"replicas\":[\"n1\"]}]}",
          AFF_ECORRUPT, "above the highest" },
        { "{\"v\":1,\"partitions\":[{\"next\":\"n1-0000000001\",\"claim\":2,\"back\":3,\"epoch\":3,\"replicas\":[\"n1\"]}]}",
          AFF_ECORRUPT, "hand-over" },
        { "{\"v\":1,\"partitions\":[{\"target\":\"n1\"}]}", AFF_ECORRUPT, "target" },
        { "{\"v\":1,\"partitions\":[{\"pinned\":true}]}", AFF_ECORRUPT, "pinned" },
        { "{\"v\":1,\"partitions\":[{\"failed\":\"n1-0000000001\"}]}", AFF_ECORRUPT, "failed" },
        { "{\"v\":1,\"partitions\":[{\"epoch\":1,\"epoch\":2}]}", AFF_ECORRUPT, "duplicate" },
    };

    (void)state;
    aff_chunk_init(&chunk, "accounts", 1, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        decode_into(&chunk, cases[i].text, cases[i].code, cases[i].says);
    decode_into(&chunk, "{\"v\":1,\"later\":{\"x\":1},\"partitions\":[{\"epoch\":5,\"later\":[1]}]}", 0, "");
    assert_int_equal(chunk.parts[0].epoch, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grant),
        cmocka_unit_test(test_raise),
        cmocka_unit_test(test_a_few_at_a_time),
        cmocka_unit_test(test_offer_refused),
        cmocka_unit_test(test_taken),
        cmocka_unit_test(test_pinned_stays),
        cmocka_unit_test(test_kept),
        cmocka_unit_test(test_raise_ends_handover),
        cmocka_unit_test(test_inherit),
        cmocka_unit_test(test_both_sides_of_a_handover_die),
        cmocka_unit_test(test_release),
        cmocka_unit_test(test_aim_and_place),
        cmocka_unit_test(test_text_round),
        cmocka_unit_test(test_text_fits),
        cmocka_unit_test(test_text_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
