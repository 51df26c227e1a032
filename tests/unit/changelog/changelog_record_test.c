/*
 * changelog_record_test.c - the `aff` header and the value of a CLAIM: round trips, what is FOREIGN, the validity rule, and
 * the test vectors of doc/protocol.md.
 */
#include "changelog/record.h"
#include "vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct aff_digest digest_of(unsigned char first)
{
    struct aff_digest d;
    for (size_t i = 0; i < sizeof d.b; i++)
        d.b[i] = (unsigned char)(first + i);
    return d;
}

static struct aff_stamp stamp_of(uint32_t major, uint16_t minor, uint64_t nonce, uint64_t seq)
{
    return (struct aff_stamp){ aff_epoch_of(major, minor), nonce, seq };
}

/* One with every field. */
static void fill(struct aff_record *rec)
{
    aff_record_init(rec);
    rec->kind = AFF_KIND_REPAIR;
    rec->stamp = stamp_of(7, 2, UINT64_C(0x0123456789abcdef), 42);
    rec->kept_offset = 1000;
    rec->kept_time_ms = 1767225600123;
    rec->expires_ms = 1767229200000;
    rec->event_ms = -1;
    rec->idems[0] = (struct aff_idem){
        .id = digest_of(0x10),
        .request = digest_of(0x20),
        .status = 200,
        .versioned = true,
        .content_type = aff_str("application/json"),
        .reply = aff_str("{\"a\":1}"),
    };
    rec->idems[1] = (struct aff_idem){
        .id = digest_of(0x30),
        .request = digest_of(0x40),
        .status = 422,
        .cut = true,
        .content_type = aff_str(""),
        .reply = aff_str(""),
    };
    rec->idem_count = 2;
}

static void encode(const struct aff_record *rec, struct aff_buf *buf)
{
    aff_buf_init(buf);
    assert_true(aff_record_encode(rec, buf));
}

static void decode(aff_bytes aff, struct aff_record *rec)
{
    const struct aff_entry entry = {
        .offset = 5, .time_ms = 6, .key = aff_str("key"), .value = aff_str("value"), .aff = aff
    };
    aff_record_decode(&entry, rec);
    assert_int_equal(rec->offset, 5);
    assert_int_equal(rec->time_ms, 6);
    assert_true(aff_bytes_equal(rec->key, aff_str("key")));
    assert_true(aff_bytes_equal(rec->value, aff_str("value")));
}

static void assert_same_idem(const struct aff_idem *a, const struct aff_idem *b)
{
    assert_true(aff_digest_equal(a->id, b->id));
    assert_true(aff_digest_equal(a->request, b->request));
    assert_int_equal(a->status, b->status);
    assert_int_equal(a->versioned, b->versioned);
    assert_int_equal(a->cut, b->cut);
    assert_true(aff_bytes_equal(a->content_type, b->content_type));
    assert_true(aff_bytes_equal(a->reply, b->reply));
}

static void assert_same(const struct aff_record *a, const struct aff_record *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_memory_equal(&a->stamp, &b->stamp, sizeof a->stamp);
    assert_int_equal(a->kept_offset, b->kept_offset);
    assert_int_equal(a->kept_time_ms, b->kept_time_ms);
    assert_int_equal(a->expires_ms, b->expires_ms);
    assert_int_equal(a->event_ms, b->event_ms);
    assert_int_equal(a->idem_count, b->idem_count);
    for (uint32_t i = 0; i < a->idem_count; i++)
        assert_same_idem(&a->idems[i], &b->idems[i]);
}

static bool is_foreign(aff_bytes aff)
{
    struct aff_record rec;
    decode(aff, &rec);
    if (rec.kind != AFF_KIND_FOREIGN)
        return false;
    assert_int_equal(rec.stamp.epoch, 0); /* nothing of the header is left */
    assert_int_equal(rec.idem_count, 0);
    assert_int_equal(rec.expires_ms, AFF_NO_TIME);
    assert_int_equal(rec.kept_offset, -1);
    return true;
}

/* ---- round trips ---- */

static void a_record_comes_back(void **state)
{
    struct aff_record rec, back;
    struct aff_buf buf;

    (void)state;
    fill(&rec);
    encode(&rec, &buf);
    decode(aff_buf_view(&buf), &back);
    assert_same(&rec, &back);
    aff_buf_fini(&buf);
}

static void each_kind_comes_back_bare(void **state)
{
    (void)state;
    for (int kind = AFF_KIND_DATA; kind <= AFF_KIND_REPAIR; kind++) {
        struct aff_record rec, back;
        struct aff_buf buf;
        aff_record_init(&rec);
        rec.kind = (enum aff_kind)kind;
        rec.stamp = stamp_of(UINT32_MAX, UINT16_MAX, UINT64_MAX, kind == AFF_KIND_CLAIM ? 0 : UINT64_MAX);
        encode(&rec, &buf);
        assert_int_equal(buf.len, kind == AFF_KIND_REPAIR ? 24 + 22 : 24);
        decode(aff_buf_view(&buf), &back);
        assert_same(&rec, &back);
        aff_buf_fini(&buf);
    }
}

static void as_many_ids_as_fit_come_back_and_one_more_is_foreign(void **state)
{
    struct aff_record rec, back;
    struct aff_buf buf;
    char *reply = calloc(1, AFF_IDEM_REPLY_MAX + 1);

    (void)state;
    aff_record_init(&rec);
    rec.stamp = stamp_of(1, 0, 1, 1);
    for (; rec.idem_count < AFF_RECORD_IDEMS_MAX; rec.idem_count++)
        rec.idems[rec.idem_count] = (struct aff_idem){
            .id = digest_of((unsigned char)rec.idem_count),
            .status = 201,
            .content_type = aff_str("text/plain"),
            .reply = aff_bytes_of(reply, AFF_IDEM_REPLY_MAX),
        };
    encode(&rec, &buf);
    decode(aff_buf_view(&buf), &back);
    assert_same(&rec, &back);

    assert_true(aff_buf_u16(&buf, 1) && aff_buf_u32(&buf, 36));
    for (int i = 0; i < 36; i++)
        assert_true(aff_buf_u8(&buf, 0));
    assert_true(is_foreign(aff_buf_view(&buf)));
    aff_buf_fini(&buf);
    free(reply);
}

/* ---- what cannot be read ---- */

static void no_header_is_foreign(void **state)
{
    (void)state;
    assert_true(is_foreign((aff_bytes){ NULL, 0 }));
    assert_true(is_foreign(aff_str("")));
}

static void every_truncation_is_foreign(void **state)
{
    struct aff_record rec;
    struct aff_buf buf;

    (void)state;
    fill(&rec);
    rec.idem_count = 1;
    encode(&rec, &buf);
    for (size_t len = 0; len < buf.len; len++) {
        struct aff_record back;
        decode(aff_bytes_of(buf.data, len), &back);
        /* Only at the border of a field that may be missing a shorter header is one as well. */
        bool border = len == 24 + 22 || len == 24 + 22 + 14 || len == 24 + 22 + 28;
        assert_int_equal(back.kind, border ? AFF_KIND_REPAIR : AFF_KIND_FOREIGN);
    }
    assert_true(aff_buf_u8(&buf, 0)); /* nor does anything stand behind the last field */
    assert_true(is_foreign(aff_buf_view(&buf)));
    aff_buf_fini(&buf);
}

static void wrong_version_kind_and_epoch_are_foreign(void **state)
{
    static const struct {
        size_t at;
        unsigned char value;
    } changes[] = { { 0, 0 }, { 0, 2 }, { 1, 0 }, { 1, 5 }, { 1, 255 }, { 5, 0 } };
    struct aff_record rec;
    struct aff_buf buf;

    (void)state;
    aff_record_init(&rec);
    rec.stamp = stamp_of(9, 0, 1, 1);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        encode(&rec, &buf);
        assert_false(is_foreign(aff_buf_view(&buf)));
        buf.data[changes[i].at] = changes[i].value;
        assert_true(is_foreign(aff_buf_view(&buf)));
        aff_buf_fini(&buf);
    }
}

static void contradictions_are_foreign(void **state)
{
    struct aff_record rec;
    struct aff_buf buf;

    (void)state;
    aff_record_init(&rec);
    rec.stamp = stamp_of(9, 0, 1, 1);
    encode(&rec, &buf);
    buf.data[1] = AFF_KIND_CLAIM; /* a CLAIM that is not number 0 */
    assert_true(is_foreign(aff_buf_view(&buf)));
    buf.data[1] = AFF_KIND_REPAIR; /* a REPAIR that does not say what it keeps */
    assert_true(is_foreign(aff_buf_view(&buf)));
    buf.data[1] = AFF_KIND_DATA;
    buf.data[23] = 0; /* number 0, and no CLAIM */
    assert_true(is_foreign(aff_buf_view(&buf)));
    aff_buf_fini(&buf);

    fill(&rec);
    encode(&rec, &buf);
    buf.data[1] = AFF_KIND_DATA; /* DATA that keeps something */
    assert_true(is_foreign(aff_buf_view(&buf)));
    aff_buf_fini(&buf);
}

/* A header of DATA with one field. */
static void with_field(struct aff_buf *buf, uint16_t type, size_t len)
{
    struct aff_record rec;
    aff_record_init(&rec);
    rec.stamp = stamp_of(9, 0, 1, 1);
    encode(&rec, buf);
    assert_true(aff_buf_u16(buf, type) && aff_buf_u32(buf, (uint32_t)len));
    for (size_t i = 0; i < len; i++)
        assert_true(aff_buf_u8(buf, 0));
}

static void known_fields_have_their_length(void **state)
{
    static const struct {
        uint16_t type;
        size_t len;
        bool foreign;
    } fields[] = {
        { 1, 36, false }, { 1, 35, true }, { 1, 0, true },  { 1, 36 + AFF_IDEM_REPLY_MAX + 1, true },
        { 3, 8, false },  { 3, 7, true },  { 3, 9, true },  { 4, 8, false },
        { 4, 0, true },   { 6, 0, false }, { 6, 3, false }, { 65535, 100, false },
        { 0, 1, false },  { 2, 16, true }, { 5, 9, true }, /* on DATA */
    };

    (void)state;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        struct aff_buf buf;
        with_field(&buf, fields[i].type, fields[i].len);
        if (is_foreign(aff_buf_view(&buf)) != fields[i].foreign)
            fail_msg("type %u, length %zu", fields[i].type, fields[i].len);
        aff_buf_fini(&buf);
    }
}

static void a_claim_tells_its_route(void **state)
{
    struct aff_record rec, got;
    struct aff_buf buf;
    struct aff_entry entry = { .key = aff_str("k"), .value = aff_str("v") };

    (void)state;
    aff_buf_init(&buf);
    aff_record_init(&rec);
    rec.kind = AFF_KIND_CLAIM;
    rec.stamp = stamp_of(7, 2, 1, 0);
    rec.route = aff_str("up-to \"/\" 2");
    encode(&rec, &buf);
    entry.aff = aff_buf_view(&buf);
    aff_record_decode(&entry, &got);
    assert_int_equal(got.kind, AFF_KIND_CLAIM);
    assert_true(aff_bytes_equal(got.route, rec.route));
    buf.len--; /* the length of the field says more */
    entry.aff = aff_buf_view(&buf);
    aff_record_decode(&entry, &got);
    assert_int_equal(got.kind, AFF_KIND_FOREIGN);
    assert_int_equal(got.route.len, 0);
    aff_buf_fini(&buf);
}

static void single_fields_stand_once(void **state)
{
    struct aff_buf buf;

    (void)state;
    with_field(&buf, 3, 8);
    assert_true(aff_buf_u16(&buf, 3) && aff_buf_u32(&buf, 8) && aff_buf_u64(&buf, 1));
    assert_true(is_foreign(aff_buf_view(&buf)));
    aff_buf_fini(&buf);
}

/* ---- validity ---- */

static void a_record_counts_by_its_stamp(void **state)
{
    const struct aff_stamp cur = stamp_of(5, 1, 77, 10), none = { 0 };

    (void)state;
    assert_true(aff_stamp_valid(cur, stamp_of(5, 1, 77, 11)));
    assert_true(aff_stamp_valid(cur, stamp_of(5, 1, 77, 99)));  /* numbers between may have been compacted away */
    assert_false(aff_stamp_valid(cur, stamp_of(5, 1, 77, 10))); /* the same again */
    assert_false(aff_stamp_valid(cur, stamp_of(5, 1, 78, 11))); /* another incarnation in the same epoch */
    assert_true(aff_stamp_valid(cur, stamp_of(5, 2, 78, 0)));
    assert_true(aff_stamp_valid(cur, stamp_of(6, 0, 1, 0)));
    assert_false(aff_stamp_valid(cur, stamp_of(5, 0, 77, 11)));
    assert_false(aff_stamp_valid(cur, stamp_of(4, 9, 77, 99)));
    assert_true(aff_stamp_valid(none, stamp_of(1, 0, 0, 0)));
    assert_false(aff_stamp_valid(cur, none)); /* as a FOREIGN record has it */
}

/* ---- claims ---- */

static const unsigned char identity[AFF_IDENTITY_LEN] = { 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7,
                                                          0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf };
static const struct aff_epoch_end ends[] = {
    { UINT64_C(1) << 16, 0x1111, 99 },
    { UINT64_C(2) << 16 | 3, UINT64_MAX, 0 },
};

static void a_claim_comes_back(void **state)
{
    struct aff_buf buf;
    struct aff_claim claim;

    (void)state;
    aff_buf_init(&buf);
    assert_true(aff_claim_encode(identity, ends, 2, &buf));
    assert_true(aff_claim_decode(aff_buf_view(&buf), &claim));
    assert_memory_equal(claim.identity, identity, AFF_IDENTITY_LEN);
    assert_int_equal(claim.epoch_count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        struct aff_epoch_end end = aff_claim_epoch(&claim, i);
        assert_memory_equal(&end, &ends[i], sizeof end);
    }
    for (size_t len = 0; len < buf.len; len++)
        assert_false(aff_claim_decode(aff_bytes_of(buf.data, len), &claim));
    assert_true(aff_buf_u8(&buf, 0));
    assert_false(aff_claim_decode(aff_buf_view(&buf), &claim));
    buf.len--;
    buf.data[0] = 2;
    assert_false(aff_claim_decode(aff_buf_view(&buf), &claim));
    assert_false(aff_claim_decode((aff_bytes){ NULL, 0 }, &claim));
    aff_buf_fini(&buf);
}

static void a_claim_holds_at_most_so_many_masterships(void **state)
{
    struct aff_epoch_end *many = calloc(AFF_CLAIM_EPOCHS_MAX + 1, sizeof *many);
    struct aff_claim claim;
    struct aff_buf buf;

    (void)state;
    aff_buf_init(&buf);
    assert_true(aff_claim_encode(identity, many, AFF_CLAIM_EPOCHS_MAX, &buf));
    assert_true(aff_claim_decode(aff_buf_view(&buf), &claim));
    for (int i = 0; i < 22; i++)
        assert_true(aff_buf_u8(&buf, 0));
    aff_put_u32(buf.data + 17, AFF_CLAIM_EPOCHS_MAX + 1);
    assert_false(aff_claim_decode(aff_buf_view(&buf), &claim));
    aff_put_u32(buf.data + 17, UINT32_MAX);
    assert_false(aff_claim_decode(aff_buf_view(&buf), &claim));
    aff_buf_fini(&buf);
    free(many);
}

static void claim_keys_are_unique_control_keys(void **state)
{
    static const char expected[] = "\0aff/claim/000000070002/0123456789abcdef";
    char key[AFF_CONTROL_KEY_MAX];

    (void)state;
    size_t len = aff_claim_key(stamp_of(7, 2, UINT64_C(0x0123456789abcdef), 0), key);
    assert_int_equal(len, sizeof expected - 1);
    assert_memory_equal(key, expected, len);
    assert_true(aff_key_is_control(aff_bytes_of(key, len)));
    assert_true(aff_key_is_control(aff_bytes_of(AFF_BARRIER_KEY, AFF_BARRIER_KEY_LEN)));
    assert_false(aff_key_is_control(aff_str("aff")));
    assert_false(aff_key_is_control(aff_str("")));
    len = aff_claim_key((struct aff_stamp){ AFF_EPOCH_MAX, UINT64_MAX, 0 }, key);
    assert_true(len < AFF_CONTROL_KEY_MAX);
}

/* ---- the vectors of doc/protocol.md ---- */

static void the_documented_bytes_are_ours(void **state)
{
    struct aff_record rec;
    struct aff_buf buf;

    (void)state;
    aff_record_init(&rec);
    rec.stamp = stamp_of(7, 2, UINT64_C(0x0123456789abcdef), 42);
    encode(&rec, &buf);
    vector_assert("record-data", aff_buf_view(&buf));
    aff_buf_fini(&buf);

    fill(&rec);
    encode(&rec, &buf);
    vector_assert("record-repair", aff_buf_view(&buf));
    aff_buf_fini(&buf);

    rec = (struct aff_record){ 0 };
    aff_record_init(&rec);
    rec.kind = AFF_KIND_CLAIM;
    rec.stamp = stamp_of(7, 2, UINT64_C(0x0123456789abcdef), 0);
    encode(&rec, &buf);
    vector_assert("record-claim", aff_buf_view(&buf));
    rec.route = aff_str("up-to \"/\"");
    aff_buf_fini(&buf);
    encode(&rec, &buf);
    vector_assert("record-claim-route", aff_buf_view(&buf));
    assert_true(aff_claim_encode(identity, ends, 2, &buf));
    vector_assert("claim-value", aff_buf_view(&buf));
    aff_buf_clear(&buf);
    char key[AFF_CONTROL_KEY_MAX];
    assert_true(aff_buf_add(&buf, key, aff_claim_key(rec.stamp, key)));
    vector_assert("claim-key", aff_buf_view(&buf));
    aff_buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_comes_back),
        cmocka_unit_test(each_kind_comes_back_bare),
        cmocka_unit_test(as_many_ids_as_fit_come_back_and_one_more_is_foreign),
        cmocka_unit_test(no_header_is_foreign),
        cmocka_unit_test(every_truncation_is_foreign),
        cmocka_unit_test(wrong_version_kind_and_epoch_are_foreign),
        cmocka_unit_test(contradictions_are_foreign),
        cmocka_unit_test(known_fields_have_their_length),
        cmocka_unit_test(a_claim_tells_its_route),
        cmocka_unit_test(single_fields_stand_once),
        cmocka_unit_test(a_record_counts_by_its_stamp),
        cmocka_unit_test(a_claim_comes_back),
        cmocka_unit_test(a_claim_holds_at_most_so_many_masterships),
        cmocka_unit_test(claim_keys_are_unique_control_keys),
        cmocka_unit_test(the_documented_bytes_are_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
