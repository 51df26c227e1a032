/*
 * base_error_test.c - the table of affinity/error.h holds together; texts are filled in and cut cleanly.
 */
#include <affinity/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct row {
    const char *name;
    int code, status;
    const char *type, *title;
} rows[] = {
#define ROW(name, code, status, type, title) { #name, code, status, type, title },
    AFF_ERROR_TABLE(ROW)
#undef ROW
};
enum { ROWS = sizeof rows / sizeof *rows };

static void no_name_code_type_or_title_stands_twice(void **state)
{
    (void)state;
    for (int i = 0; i < ROWS; i++)
        for (int k = 0; k < i; k++) {
            assert_int_not_equal(rows[i].code, rows[k].code);
            assert_string_not_equal(rows[i].name, rows[k].name);
            assert_string_not_equal(rows[i].type, rows[k].type);
            assert_string_not_equal(rows[i].title, rows[k].title);
        }
}

static void every_row_is_fit_for_an_answer(void **state)
{
    (void)state;
    for (int i = 0; i < ROWS; i++) {
        assert_true(rows[i].code < 0);
        assert_in_range(rows[i].status, 400, 599);
        assert_true(rows[i].type[0] != '\0' && rows[i].title[0] != '\0');
        assert_int_equal(strspn(rows[i].type, "abcdefghijklmnopqrstuvwxyz-"), strlen(rows[i].type));
    }
}

static void the_functions_read_the_table(void **state)
{
    (void)state;
    for (int i = 0; i < ROWS; i++) {
        assert_string_equal(aff_error_name(rows[i].code), rows[i].name);
        assert_string_equal(aff_error_type(rows[i].code), rows[i].type);
        assert_string_equal(aff_error_title(rows[i].code), rows[i].title);
        assert_int_equal(aff_error_status(rows[i].code), rows[i].status);
    }
    assert_int_equal(aff_error_status(AFF_EUNKNOWN), 504);
    assert_string_equal(aff_error_name(AFF_OK), "OK");
    assert_int_equal(aff_error_status(AFF_OK), 200);
}

static void an_unknown_code_is_a_defect(void **state)
{
    (void)state;
    static const int unknown[] = { 1, 404, -ROWS - 1, INT32_MIN, INT32_MAX };
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        assert_string_equal(aff_error_name(unknown[i]), "EBUG");
        assert_string_equal(aff_error_type(unknown[i]), "internal");
        assert_int_equal(aff_error_status(unknown[i]), 500);
        assert_non_null(aff_error_title(unknown[i]));
    }
}

static void fail_with_fills_the_text_and_returns_the_code(void **state)
{
    (void)state;
    aff_error err;
    assert_int_equal(aff_fail_with(&err, AFF_ECONFIG, "port %d is above %d", 70000, 65535), AFF_ECONFIG);
    assert_int_equal(err.code, AFF_ECONFIG);
    assert_string_equal(err.text, "port 70000 is above 65535");
    assert_int_equal(aff_fail_with(NULL, AFF_EIO, "nobody reads %s", "this"), AFF_EIO);
}

/* Pads so that the character is cut after each number of its bytes. */
static void a_text_that_is_too_long_is_cut_between_characters(void **state)
{
    (void)state;
    static const char *const characters[] = { "x", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x90\x98" };
    char padding[sizeof((aff_error *)0)->text];
    const size_t room = sizeof padding - 1;
    for (size_t i = 0; i < 4; i++)
        for (size_t fits = 0; fits <= i + 1; fits++) {
            aff_error err;
            memset(padding, '.', room);
            padding[room - fits] = '\0';
            (void)aff_fail_with(&err, AFF_EINVAL, "%s%s%s", padding, characters[i], "and more");
            assert_int_equal(strlen(err.text), fits == i + 1 ? room : room - fits);
            assert_memory_equal(err.text, padding, room - fits);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_name_code_type_or_title_stands_twice),
        cmocka_unit_test(every_row_is_fit_for_an_answer),
        cmocka_unit_test(the_functions_read_the_table),
        cmocka_unit_test(an_unknown_code_is_a_defect),
        cmocka_unit_test(fail_with_fills_the_text_and_returns_the_code),
        cmocka_unit_test(a_text_that_is_too_long_is_cut_between_characters),
    };
    return cmocka_run_group_tests_name("base/error", tests, NULL, NULL);
}
