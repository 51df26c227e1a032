/* base64 with padding, base64url without: the vectors of RFC 4648, every length, and texts that are none. */
#include "base/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void the_vectors_of_the_rfc_hold(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "", "" },
        { "f", "Zg==" },
        { "fo", "Zm8=" },
        { "foo", "Zm9v" },
        { "foob", "Zm9vYg==" },
        { "fooba", "Zm9vYmE=" },
        { "foobar", "Zm9vYmFy" },
        { "\xff\xfe\xfb", "//77" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[16];
        char *end = aff_base64_put(text, aff_str(cases[i][0]));
        *end = 0;
        assert_string_equal(text, cases[i][1]);
        assert_int_equal(end - text, aff_base64_length(strlen(cases[i][0])));
    }
}

static void every_length_comes_back(void **state)
{
    (void)state;
    unsigned char bytes[70], back[70];
    char text[100];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 89 + 251);
    for (size_t len = 0; len <= sizeof bytes; len++) {
        size_t text_len = (size_t)(aff_base64url_put(text, aff_bytes_of(bytes, len)) - text), got = 0;
        assert_true(aff_base64url_take(aff_bytes_of(text, text_len), back, len, &got));
        assert_int_equal(got, len);
        assert_memory_equal(back, bytes, len);
        if (len)
            assert_false(aff_base64url_take(aff_bytes_of(text, text_len), back, len - 1, &got));
    }
}

static void other_texts_are_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "A",    /* six bits are no byte */
        "AB",   /* bits behind the last byte */
        "AAB",  /* the same */
        "Zg==", /* padding */
        "A+/A", /* the other alphabet */
        "AA A", "AA\n", "\xc3\xa4",
    };
    unsigned char to[16];
    size_t len;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (aff_base64url_take(aff_str(cases[i]), to, sizeof to, &len))
            fail_msg("<%s> was taken", cases[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_the_rfc_hold),
        cmocka_unit_test(every_length_comes_back),
        cmocka_unit_test(other_texts_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
