/* Cursors: a key goes through one unchanged; what is garbled or belongs to another scan is told apart. */
#include "http/cursor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static const struct aff_cursor_of_scan scan = { .query = { "a query's digest" } };

static void a_key_comes_back(void **state)
{
    (void)state;
    unsigned char key[AFF_KEY_MAX], back[AFF_KEY_MAX];
    char text[AFF_CURSOR_TEXT_MAX];
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (unsigned char)(i * 7);
    for (size_t len = 1; len <= sizeof key; len++) {
        size_t text_len = aff_cursor_print(scan, aff_bytes_of(key, len), text), got = 0;
        assert_in_range(text_len, 1, sizeof text);
        const char *fault = aff_cursor_parse(aff_bytes_of(text, text_len), scan, back, &got);
        if (fault)
            fail_msg("a key of %zu bytes: %s", len, fault);
        assert_int_equal(got, len);
        assert_memory_equal(back, key, len);
    }
}

static void assert_fault(aff_bytes text, struct aff_cursor_of_scan with, const char *part)
{
    unsigned char key[AFF_KEY_MAX];
    size_t len = 4711;
    const char *fault = aff_cursor_parse(text, with, key, &len);
    if (!fault || !strstr(fault, part))
        fail_msg("<%.*s> should be refused with `%s`, not <%s>", (int)text.len, (const char *)text.data, part,
                 fault ? fault : "taken");
    assert_int_equal(len, 4711);
}

static void a_cursor_of_another_scan_says_so(void **state)
{
    (void)state;
    char text[AFF_CURSOR_TEXT_MAX];
    aff_bytes cursor = aff_bytes_of(text, aff_cursor_print(scan, aff_str("apple"), text));
    struct aff_cursor_of_scan other = scan;
    other.query.b[0] ^= 1;
    assert_fault(cursor, other, "another scan");
    other = scan;
    other.reverse = true;
    assert_fault(cursor, other, "the other `order`");
}

static void a_garbled_one_is_none(void **state)
{
    (void)state;
    char text[AFF_CURSOR_TEXT_MAX], copy[AFF_CURSOR_TEXT_MAX + 1];
    size_t len = aff_cursor_print(scan, aff_str("apple"), text);
    for (size_t i = 0; i < len; i++) {
        memcpy(copy, text, len);
        copy[i] = copy[i] == 'A' ? 'B' : 'A';
        assert_fault(aff_bytes_of(copy, len), scan, "none of ours");
        assert_fault(aff_bytes_of(text, i), scan, "none of ours");
    }
    memcpy(copy, text, len);
    copy[len] = 'A';
    assert_fault(aff_bytes_of(copy, len + 1), scan, "none of ours");
    assert_fault(aff_str("not a cursor"), scan, "none of ours");
}

/* A cursor lives as long as somebody keeps it: its form does not change unnoticed. */
static void its_form_is_fixed(void **state)
{
    (void)state;
    char text[AFF_CURSOR_TEXT_MAX + 1];
    text[aff_cursor_print(scan, aff_str("apple"), text)] = 0;
    assert_string_equal(text, "AQBhIHF1ZXJ5J2FwcGxlfmQW_g");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_comes_back),
        cmocka_unit_test(a_cursor_of_another_scan_says_so),
        cmocka_unit_test(a_garbled_one_is_none),
        cmocka_unit_test(its_form_is_fixed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
