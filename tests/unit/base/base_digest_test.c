/*
 * base_digest_test.c - vectors of base/digest.h, computed by Python's hashlib and zlib.
 */
#include "base/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static const char *digest_hex(const aff_bytes *parts, size_t count, char text[33])
{
    struct aff_digest d = aff_digest_of(parts, count);
    for (size_t i = 0; i < sizeof d.b; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", d.b[i]);
    return text;
}

/* sha256(len8(part) part ...)[:16] */
static void digests_are_sha_256_cut_to_128_bits(void **state)
{
    (void)state;
    char text[33];
    unsigned char block[4096];
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = (unsigned char)i;
    const aff_bytes empty = aff_str(""), abc = aff_str("abc"), big = aff_bytes_of(block, sizeof block);
    assert_string_equal(digest_hex(NULL, 0, text), "e3b0c44298fc1c149afbf4c8996fb924");
    assert_string_equal(digest_hex(&empty, 1, text), "af5570f5a1810b7af78caf4bc70a660f");
    assert_string_equal(digest_hex(&abc, 1, text), "c3494ca1a2cf8eeb8a11ded316fb55b8");
    assert_string_equal(digest_hex(&big, 1, text), "09e0727dc736bf7785139fb47c1d75cb");
}

static void parts_are_told_apart_by_their_lengths(void **state)
{
    (void)state;
    char text[33];
    const aff_bytes ab_c[] = { aff_str("ab"), aff_str("c") }, a_bc[] = { aff_str("a"), aff_str("bc") };
    assert_string_equal(digest_hex(ab_c, 2, text), "601d5476e2ccfe2c87a2bba7a3226597");
    assert_string_equal(digest_hex(a_bc, 2, text), "3fafa1cf2f19a7c1129beb20cf0983f7");
    assert_false(aff_digest_equal(aff_digest_of(ab_c, 2), aff_digest_of(a_bc, 2)));
    assert_true(aff_digest_equal(aff_digest_of(ab_c, 2), aff_digest_of(ab_c, 2)));
}

static struct aff_digest all_of(unsigned char byte)
{
    struct aff_digest d;
    memset(d.b, byte, sizeof d.b);
    return d;
}

/* As numbers of 128 bits: a carry goes from the lower half to the upper one, and out of it. */
static void members_of_a_set_come_and_go(void **state)
{
    (void)state;
    const struct aff_digest empty = all_of(0), a = all_of(0xff), b = all_of(0x80);
    struct aff_digest one = empty, sum = empty;
    one.b[15] = 1;
    aff_digest_add(&sum, a);
    aff_digest_add(&sum, one);
    assert_true(aff_digest_equal(sum, empty));
    aff_digest_subtract(&sum, one);
    assert_true(aff_digest_equal(sum, a));
    aff_digest_add(&sum, b);
    aff_digest_add(&sum, b);
    aff_digest_subtract(&sum, a);
    aff_digest_subtract(&sum, b);
    assert_true(aff_digest_equal(sum, b));
}

static void crc32_is_that_of_zlib_and_can_be_continued(void **state)
{
    (void)state;
    assert_int_equal(aff_crc32(0, "123456789", 9), 0xcbf43926);
    assert_int_equal(aff_crc32(aff_crc32(0, "1234", 4), "56789", 5), 0xcbf43926);
    assert_int_equal(aff_crc32(0, "", 0), 0);
    assert_int_equal(aff_crc32(0xcbf43926, NULL, 0), 0xcbf43926); /* zlib alone would start again */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_sha_256_cut_to_128_bits),
        cmocka_unit_test(parts_are_told_apart_by_their_lengths),
        cmocka_unit_test(members_of_a_set_come_and_go),
        cmocka_unit_test(crc32_is_that_of_zlib_and_can_be_continued),
    };
    return cmocka_run_group_tests_name("base/digest", tests, NULL, NULL);
}
