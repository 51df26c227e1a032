/* Entity tags, HTTP dates, and the conditions of reads. */
#include "http/conditional.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static const struct aff_etag mine = { 0x0badcafe, 7, 88213 };

static void prints_a_tag_and_reads_it_again(void **state)
{
    (void)state;
    const struct aff_etag tags[] = { { 0x0badcafe, 7, 88213 }, { 0, 0, 0 }, { UINT32_MAX, UINT32_MAX, INT64_MAX } };
    const char *texts[] = { "\"0badcafe-7-88213\"", "\"00000000-0-0\"", "\"ffffffff-4294967295-9223372036854775807\"" };
    for (size_t i = 0; i < 3; i++) {
        char text[AFF_ETAG_TEXT_MAX];
        struct aff_etag again;
        assert_int_equal(aff_etag_print(tags[i], text), strlen(texts[i]));
        assert_string_equal(text, texts[i]);
        assert_true(aff_etag_parse(aff_bytes_of(text + 1, strlen(text) - 2), &again));
        assert_int_equal(again.identity8, tags[i].identity8);
        assert_int_equal(again.partition, tags[i].partition);
        assert_int_equal(again.offset, tags[i].offset);
    }
}

static void the_coded_form_has_a_tag_of_its_own(void **state)
{
    (void)state;
    const struct aff_etag largest = { UINT32_MAX, UINT32_MAX, INT64_MAX };
    char text[AFF_ETAG_TEXT_MAX];
    struct aff_etag again;
    assert_int_equal(aff_etag_print_gzip(mine, text), strlen("\"0badcafe-7-88213-gzip\""));
    assert_string_equal(text, "\"0badcafe-7-88213-gzip\"");
    assert_true(aff_etag_parse(aff_str("0badcafe-7-88213-gzip"), &again));
    assert_int_equal(again.offset, mine.offset);
    size_t length = aff_etag_print_gzip(largest, text);
    assert_int_equal(length, strlen(text));
}

static void other_tags_are_not_ours(void **state)
{
    (void)state;
    const char *others[] = { "",
                             "x",
                             "0badcafe-7",
                             "0badcafe-7-",
                             "0badcafe--1",
                             "0BADCAFE-7-1",
                             "0badcaf-7-11",
                             "0badcafe-07-1",
                             "0badcafe-7-01",
                             "0badcafe-7- 1",
                             "0badcafe-7-1 ",
                             "0badcafe-7--1",
                             "0badcafe-4294967296-1",
                             "0badcafe-7-9223372036854775808",
                             "0badcafe-7-1-1",
                             "0badcafe_7-1x",
                             "-gzip",
                             "0badcafe-7-gzip",
                             "0badcafe-7--gzip",
                             "0badcafe-7-1gzip",
                             "0badcafe-7-1-gzip-gzip",
                             "0badcafe-7-1-GZIP" };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct aff_etag tag;
        if (aff_etag_parse(aff_str(others[i]), &tag))
            fail_msg("<%s> was read as a tag of ours", others[i]);
    }
}

static int parse(const char *value, bool weak, struct aff_etags *tags)
{
    const char *what;
    return aff_etags_parse(aff_str(value), weak, tags, &what);
}

static void a_list_holds_the_tags_that_can_be_ours(void **state)
{
    (void)state;
    struct aff_etags tags;
    assert_int_equal(parse(" \"abc\" ,, \"0badcafe-7-88213\"\t, W/\"0badcafe-7-5\" , \"a,b\"", true, &tags), 0);
    assert_false(tags.any);
    assert_int_equal(tags.count, 2);
    assert_true(aff_etags_contain(&tags, mine));
    assert_true(aff_etags_contain(&tags, (struct aff_etag){ 0x0badcafe, 7, 5 }));
    assert_false(aff_etags_contain(&tags, (struct aff_etag){ 0x0badcafe, 8, 5 }));
    assert_false(aff_etags_contain(&tags, (struct aff_etag){ 0x0badcaff, 7, 5 }));
}

static void a_condition_takes_both_forms_and_knows_which_it_was(void **state)
{
    (void)state;
    struct aff_etags tags;
    const struct aff_etag other = { 0x0badcafe, 7, 5 };
    assert_int_equal(parse("\"0badcafe-7-5\", \"0badcafe-7-88213-gzip\"", true, &tags), 0);
    assert_true(aff_etags_contain(&tags, mine));
    assert_true(aff_etags_name(&tags, mine, true));
    assert_false(aff_etags_name(&tags, mine, false));
    assert_true(aff_etags_name(&tags, other, false));
    assert_false(aff_etags_name(&tags, other, true));
    assert_int_equal(parse("\"0badcafe-7-88213\"", true, &tags), 0); /* nothing is left of the list before */
    assert_false(aff_etags_name(&tags, mine, true));
}

static void a_weak_tag_matches_only_where_comparison_is_weak(void **state)
{
    (void)state;
    struct aff_etags tags;
    assert_int_equal(parse("W/\"0badcafe-7-88213\"", false, &tags), 0);
    assert_int_equal(tags.count, 0);
    assert_int_equal(parse("W/\"0badcafe-7-88213\"", true, &tags), 0);
    assert_int_equal(tags.count, 1);
}

static void a_star_stands_alone(void **state)
{
    (void)state;
    struct aff_etags tags;
    assert_int_equal(parse(" * ", false, &tags), 0);
    assert_true(tags.any);
    assert_int_equal(parse("*, \"a\"", false, &tags), AFF_EINVAL);
}

static void what_is_no_list_of_tags_is_refused(void **state)
{
    (void)state;
    const char *wrong[] = { "",        " ",        ",",  "abc", "\"abc", "abc\"", "\"a\" \"b\"", "\"a\";\"b\"",
                            "w/\"a\"", "W/ \"a\"", "W/", "W" };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct aff_etags tags;
        if (parse(wrong[i], true, &tags) != AFF_EINVAL)
            fail_msg("<%s> was taken", wrong[i]);
    }
}

static void a_list_has_a_bound(void **state)
{
    (void)state;
    struct aff_etags tags;
    char list[65 * 20], *at = list;
    for (int i = 0; i < 65; i++)
        at += sprintf(at, "\"00000000-0-%d\",", i);
    assert_int_equal(parse(list, true, &tags), AFF_EINVAL);
    *strrchr(list, '"') = 0;
    *strrchr(list, '"') = 0;
    assert_int_equal(parse(list, true, &tags), 0);
    assert_int_equal(tags.count, 64);
}

/* ---- dates ---- */

static void prints_dates_as_the_c_library_does(void **state)
{
    (void)state;
    const int64_t days[] = { 0, 58, 59, 60, 364, 365, 789, 790, 11016, 11017, 20780, 24855, 47541, 1000000, 2932896 };
    for (size_t i = 0; i < sizeof days / sizeof *days; i++) {
        for (int64_t of_day = 0; of_day < 86400; of_day += 86399 / 7) {
            time_t seconds = (time_t)(days[i] * 86400 + of_day);
            struct tm tm;
            char want[64], got[AFF_DATE_TEXT_LEN + 1];
            assert_non_null(gmtime_r(&seconds, &tm));
            (void)strftime(want, sizeof want, "%a, %d %b %Y %H:%M:%S GMT", &tm);
            aff_date_print((int64_t)seconds * 1000 + 999, got);
            assert_string_equal(got, want);
            int64_t again;
            assert_true(aff_date_parse(aff_str(got), 0, &again));
            assert_int_equal(again, seconds);
        }
    }
}

static void dates_outside_the_format_are_held_at_its_ends(void **state)
{
    (void)state;
    char text[AFF_DATE_TEXT_LEN + 1];
    aff_date_print(INT64_MIN, text);
    assert_string_equal(text, "Thu, 01 Jan 1970 00:00:00 GMT");
    aff_date_print(INT64_MAX, text);
    assert_string_equal(text, "Fri, 31 Dec 9999 23:59:59 GMT");
}

static void reads_the_three_forms(void **state)
{
    (void)state;
    const int64_t now = INT64_C(1795300000000); /* 2026 */
    const char *same[] = { "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                           "Sun Nov  6 08:49:37 1994", " Sun, 06 Nov 1994 08:49:37 GMT " };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        int64_t seconds = 0;
        assert_true(aff_date_parse(aff_str(same[i]), now, &seconds));
        assert_int_equal(seconds, 784111777);
    }
    int64_t seconds;
    assert_true(aff_date_parse(aff_str("Friday, 01-Jan-27 00:00:00 GMT"), now, &seconds));
    assert_int_equal(seconds, INT64_C(1798761600));
    const char *wrong[] = { "",
                            "now",
                            "Sun, 06 Nov 1994 08:49:37",
                            "Sun, 06 Nov 1994 08:49:37 CET",
                            "Sun, 32 Nov 1994 08:49:37 GMT",
                            "Sun, 06 Nov 1994 24:49:37 GMT",
                            "Sun, 6 Nov 1994 08:49:37 GMT",
                            "Sun, 06 nov 1994 08:49:37 GMT",
                            "1994",
                            "Sun, 06 Nov 1994 08:49:37 GMT trailing words that are long" };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (aff_date_parse(aff_str(wrong[i]), now, &seconds))
            fail_msg("<%s> was read as a date", wrong[i]);
}

static void reads_times_of_rfc_3339(void **state)
{
    (void)state;
    const struct {
        const char *text;
        int64_t ms;
    } right[] = {
        { "1970-01-01T00:00:00Z", 0 },
        { "1994-11-06T08:49:37Z", INT64_C(784111777000) },
        { "1994-11-06t10:49:37.5+02:00", INT64_C(784111777500) },
        { "1994-11-06T03:19:37.123456-05:30", INT64_C(784111777123) },
        { "1969-12-31T23:59:59.999z", -1 },
        { "2024-02-29T00:00:00Z", INT64_C(1709164800000) },
        { "0001-01-01T00:00:00Z", INT64_C(-62135596800000) },
    };
    static const char *const wrong[] = { "", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
                                         "2026-01-01T24:00:00Z", "2026-01-01T00:00:00", "2026-01-01T00:00:00.Z",
                                         "2026-01-01T00:00:00+0200", "2026-01-01T00:00:00+24:00", "2026-01-01",
                                         "2026-01-01 00:00:00Z", "2026-01-01T00:00:00Z ", "0000-01-01T00:00:00Z" };
    int64_t ms;
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        if (!aff_date_parse_rfc3339(aff_str(right[i].text), &ms) || ms != right[i].ms)
            fail_msg("<%s> was not read as %lld", right[i].text, (long long)right[i].ms);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (aff_date_parse_rfc3339(aff_str(wrong[i]), &ms))
            fail_msg("<%s> was read as a time", wrong[i]);
}

/* ---- reads ---- */

static void decides_reads_in_the_order_of_the_rfc(void **state)
{
    (void)state;
    const struct aff_etag other = { 1, 2, 3 };
    struct aff_etags match = { .count = 1, .tags = { mine } }, no_match = { .count = 1, .tags = { other } },
                     any = { .any = true };
    const struct {
        const char *what;
        struct aff_read_conditions conditions;
        bool exists;
        enum aff_verdict verdict;
    } cases[] = {
        { "none", { 0 }, true, AFF_VERDICT_PROCEED },
        { "none, absent", { 0 }, false, AFF_VERDICT_PROCEED },
        { "If-Match that holds", { .match = &match }, true, AFF_VERDICT_PROCEED },
        { "If-Match that fails", { .match = &no_match }, true, AFF_VERDICT_FAILED },
        { "If-Match: *", { .match = &any }, true, AFF_VERDICT_PROCEED },
        { "If-Match: *, absent", { .match = &any }, false, AFF_VERDICT_FAILED },
        { "If-Match, absent", { .match = &match }, false, AFF_VERDICT_FAILED },
        { "If-None-Match with the tag", { .none_match = &match }, true, AFF_VERDICT_NOT_MODIFIED },
        { "If-None-Match without it", { .none_match = &no_match }, true, AFF_VERDICT_PROCEED },
        { "If-None-Match: *", { .none_match = &any }, true, AFF_VERDICT_NOT_MODIFIED },
        { "If-None-Match: *, absent", { .none_match = &any }, false, AFF_VERDICT_PROCEED },
        { "modified since: no", { .has_modified_since = true, .modified_since = 10 }, true, AFF_VERDICT_NOT_MODIFIED },
        { "modified since: yes", { .has_modified_since = true, .modified_since = 9 }, true, AFF_VERDICT_PROCEED },
        { "If-None-Match outweighs modified since",
          { .none_match = &no_match, .has_modified_since = true, .modified_since = 10 },
          true,
          AFF_VERDICT_PROCEED },
        { "unmodified since: no", { .has_unmodified_since = true, .unmodified_since = 9 }, true, AFF_VERDICT_FAILED },
        { "unmodified since: yes",
          { .has_unmodified_since = true, .unmodified_since = 10 },
          true,
          AFF_VERDICT_PROCEED },
        { "If-Match outweighs unmodified since",
          { .match = &match, .has_unmodified_since = true, .unmodified_since = 9 },
          true,
          AFF_VERDICT_PROCEED },
        { "If-Match before If-None-Match", { .match = &no_match, .none_match = &match }, true, AFF_VERDICT_FAILED },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (aff_conditions_decide(&cases[i].conditions, cases[i].exists, mine, 10999) != cases[i].verdict)
            fail_msg("%s", cases[i].what);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints_a_tag_and_reads_it_again),
        cmocka_unit_test(the_coded_form_has_a_tag_of_its_own),
        cmocka_unit_test(a_condition_takes_both_forms_and_knows_which_it_was),
        cmocka_unit_test(other_tags_are_not_ours),
        cmocka_unit_test(a_list_holds_the_tags_that_can_be_ours),
        cmocka_unit_test(a_weak_tag_matches_only_where_comparison_is_weak),
        cmocka_unit_test(a_star_stands_alone),
        cmocka_unit_test(what_is_no_list_of_tags_is_refused),
        cmocka_unit_test(a_list_has_a_bound),
        cmocka_unit_test(prints_dates_as_the_c_library_does),
        cmocka_unit_test(dates_outside_the_format_are_held_at_its_ends),
        cmocka_unit_test(reads_the_three_forms),
        cmocka_unit_test(reads_times_of_rfc_3339),
        cmocka_unit_test(decides_reads_in_the_order_of_the_rfc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
