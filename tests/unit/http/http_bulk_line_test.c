/* Lines of a bulk write: what each may say, and what is wrong with one that is refused. */
#include "http/bulk_line.h"

#include <affinity/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { NOW_MS = 1700000000, DEPTH = 4 };

static struct aff_bulk_line line;
static char *copy; /* exactly as long as the text, so that a sanitizer sees what is read behind it */

static int parse(const char *text)
{
    size_t len = strlen(text);
    free(copy);
    copy = malloc(len ? len : 1);
    memcpy(copy, text, len);
    return aff_bulk_line_parse(aff_bytes_of(copy, len), DEPTH, NOW_MS, &line);
}

static void accept(const char *text)
{
    if (parse(text) != 0)
        fail_msg("<%s> was refused: %s", text, line.detail);
}

static void refuse(const char *text, const char *why)
{
    int code = parse(text);
    if (code == 0)
        fail_msg("<%s> was taken", text);
    if (!strstr(line.detail, why))
        fail_msg("<%s> was refused, but not because <%s>: %s", text, why, line.detail);
}

static void assert_bytes(aff_bytes got, const char *want, size_t len)
{
    if (got.len != len || (len && memcmp(got.data, want, len) != 0))
        fail_msg("it is <%.*s>, it should be <%.*s>", (int)got.len, (const char *)got.data, (int)len, want);
}

static void assert_text(aff_bytes got, const char *want)
{
    assert_bytes(got, want, strlen(want));
}

/* ---- */

static void a_value_is_the_text_that_stands_in_the_line(void **state)
{
    (void)state;
    const char *const values[] = { "1.0000000000000000001",
                                   "\"\\u00e9\\/\"",
                                   "{\"a\" : [ 1,{\"b\":null} ]}",
                                   "null",
                                   "[\"}\\\"]\", \"\\\\\"]",
                                   "true",
                                   "-0e+9",
                                   "\"\"" };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char text[128];
        (void)snprintf(text, sizeof text, " { \"key\" : \"k\" ,\t\"value\" :%s } \r", values[i]);
        accept(text);
        assert_text(line.value, values[i]);
        assert_text(line.key, "k");
        assert_text(line.type, "application/json");
        assert_true(line.is_json && !line.encoded && !line.deletes);
        (void)snprintf(text, sizeof text, "{\"value\":%s,\"key\":\"k\"}", values[i]);
        accept(text);
        assert_text(line.value, values[i]);
    }
}

static void keys_are_any_bytes(void **state)
{
    (void)state;
    char text[4096], *at = text + sprintf(text, "{\"delete\":true,\"key\":\"");
    accept("{\"key\":\"a\\u00e9\\n\\u0000\\ud83d\\ude00\\/\",\"delete\":true}");
    assert_bytes(line.key, "a\xc3\xa9\n\0\xf0\x9f\x98\x80/", 10);
    assert_text(line.key_text, "\"a\\u00e9\\n\\u0000\\ud83d\\ude00\\/\"");
    accept("{\"key64\":\"/wD+\",\"delete\":true}");
    assert_bytes(line.key, "\xff\0\xfe", 3);
    assert_true(line.key64);
    accept("{\"key64\":\"\\/w==\",\"delete\":true}");
    assert_bytes(line.key, "\xff", 1);
    for (int i = 0; i < AFF_KEY_MAX; i++)
        at += sprintf(at, "\\u0061");
    (void)sprintf(at, "\"}");
    accept(text);
    assert_int_equal(line.key.len, AFF_KEY_MAX);
    (void)sprintf(at, "a\"}");
    refuse(text, "1 to 511 bytes");
}

static void keys_that_cannot_be_are_refused(void **state)
{
    (void)state;
    refuse("{\"delete\":true}", "`key` or `key64`");
    refuse("{\"key\":\"a\",\"key64\":\"YQ==\",\"delete\":true}", "`key` or `key64`");
    refuse("{\"key\":1,\"delete\":true}", "`key` must be a string");
    refuse("{\"key\":\"\",\"delete\":true}", "at least one byte");
    refuse("{\"key\":\"\\u0000a\",\"delete\":true}", "does not begin with a NUL");
    refuse("{\"key64\":\"AGE=\",\"delete\":true}", "does not begin with a NUL");
    refuse("{\"key\":\"\\ud800\",\"delete\":true}", "must be UTF-8");
    const char *const coded[] = { "YQ",         "YQ=",  "YQ==YQ==", "YR==", "YWJ=",  "Y===", "====",
                                  "Y\\u0051==", "Y Q=", "YQ=a",     "_w==", "\\/w=", "Y" };
    for (size_t i = 0; i < sizeof coded / sizeof *coded; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "{\"key64\":\"%s\",\"delete\":true}", coded[i]);
        refuse(text, "`key64` must be base64");
    }
}

static void a_value_of_any_type_is_base64(void **state)
{
    (void)state;
    unsigned char decoded[8];
    accept("{\"key\":\"k\",\"value64\":\"AP8A\"}");
    assert_true(line.encoded && !line.is_json);
    assert_text(line.type, "application/octet-stream");
    assert_int_equal(aff_bulk_decoded_length(line.value), 3);
    aff_bulk_decode(line.value, decoded);
    assert_memory_equal(decoded, "\0\xff\0", 3);
    accept("{\"key\":\"k\",\"value64\":\"\",\"type\":\"image\\/png; a=b\"}");
    assert_int_equal(aff_bulk_decoded_length(line.value), 0);
    assert_text(line.type, "image/png; a=b");
    accept("{\"key\":\"k\",\"value64\":\"e30=\",\"type\":\"application/vnd.x+json\"}");
    assert_true(line.encoded && line.is_json);
    accept("{\"key\":\"k\",\"value\":{},\"type\":\"application/vnd.x+json\"}");
    assert_text(line.type, "application/vnd.x+json");
    refuse("{\"key\":\"k\",\"value64\":\"e30\"}", "`value64` must be base64");
    refuse("{\"key\":\"k\",\"value64\":{}}", "`value64` must be base64");
    refuse("{\"key\":\"k\",\"value\":{},\"type\":\"text/plain\"}", "a `value` has a type of JSON");
    refuse("{\"key\":\"k\",\"value64\":\"\",\"type\":\"text\"}", "`type` is no media type");
    refuse("{\"key\":\"k\",\"value64\":\"\",\"type\":1}", "`type` is no media type");
}

static void every_length_of_base64_is_decoded(void **state)
{
    (void)state;
    const char *const coded[] = { "", "AQ==", "AQI=", "AQID", "AQIDBA==", "AQIDBAU=" };
    for (size_t i = 0; i < sizeof coded / sizeof *coded; i++) {
        char text[64];
        unsigned char decoded[8];
        (void)snprintf(text, sizeof text, "{\"key\":\"k\",\"value64\":\"%s\"}", coded[i]);
        accept(text);
        assert_int_equal(aff_bulk_decoded_length(line.value), i);
        aff_bulk_decode(line.value, decoded);
        assert_memory_equal(decoded, "\1\2\3\4\5", i);
    }
}

static void a_line_says_one_thing(void **state)
{
    (void)state;
    accept("{\"key\":\"k\",\"delete\":true}");
    assert_true(line.deletes);
    refuse("{\"key\":\"k\"}", "one of `value`");
    refuse("{\"key\":\"k\",\"value\":1,\"delete\":true}", "one of `value`");
    refuse("{\"key\":\"k\",\"value\":1,\"value64\":\"\"}", "one of `value`");
    refuse("{\"key\":\"k\",\"delete\":false}", "can only be true");
    refuse("{\"key\":\"k\",\"delete\":1}", "can only be true");
    refuse("{\"key\":\"k\",\"delete\":true,\"type\":\"a/b\"}", "`type` belongs to a value");
    refuse("{\"key\":\"k\",\"delete\":true,\"ttl\":\"1s\"}", "a `delete` has neither");
}

static void unknown_and_repeated_members_are_named(void **state)
{
    (void)state;
    refuse("{\"key\":\"k\",\"value\":1,\"valeu\":2}", "there is no member \"valeu\" here");
    refuse("{\"key\":\"k\",\"value\":1,\"Value\":2}", "there is no member \"Value\" here");
    refuse("{\"key\":\"k\",\"value\":1,\"\":2}", "there is no member \"\" here");
    refuse("{\"key\":\"k\",\"value\":1,\"\\ud800\":2}", "there is no member \"\\ud800\" here");
    refuse("{\"key\":\"k\",\"value\":1,\"key\":\"k\"}", "`key` stands twice");
    refuse("{\"key\":\"k\",\"value\":1,\"v\\u0061lue\":2}", "`value` stands twice");
    accept("{\"key\":\"k\",\"v\\u0061lue\":{\"nothing\":1,\"nothing\":2}}");
}

static void what_a_scan_tells_is_taken(void **state)
{
    (void)state;
    accept("{\"key\":\"a\",\"value\":{\"n\":1.0},\"etag\":\"\\\"0badcafe-3-100\\\"\"}");
    assert_true(!line.match_any && !line.has_match);
    accept("{\"key64\":\"/v8=\",\"value64\":\"/9j/\",\"type\":\"image/jpeg\",\"expires\":1784000000000,\"etag\":\"\"}");
    assert_int_equal(line.expires_ms, 1784000000000);
}

static void conditions(void **state)
{
    (void)state;
    accept("{\"key\":\"k\",\"value\":1,\"if_match\":\"\\\"0badcafe-3-100\\\"\",\"if_none_match\":\"*\"}");
    assert_true(line.has_match && !line.match_any && line.none_match_any);
    assert_int_equal(line.match_count, 1);
    assert_int_equal(line.match.offset, 100);
    assert_text(line.match_text, "\"0badcafe-3-100\"");
    accept("{\"key\":\"k\",\"value\":1,\"if_match\":\"0badcafe-3-100\"}");
    assert_true(line.has_match && line.match.partition == 3);
    accept("{\"key\":\"k\",\"delete\":true,\"if_match\":\"*\"}");
    assert_true(line.match_any && !line.has_match);
    accept("{\"key\":\"k\",\"delete\":true,\"if_match\":\"\\\"of somebody else\\\"\"}");
    assert_true(line.has_match && line.match_count == 0);
    refuse("{\"key\":\"k\",\"value\":1,\"if_match\":\"rubbish\"}", "`if_match` must be");
    refuse("{\"key\":\"k\",\"value\":1,\"if_match\":true}", "`if_match` must be");
    refuse("{\"key\":\"k\",\"value\":1,\"if_match\":\"\\\"0badcafe-3-1\\\", \\\"0badcafe-3-2\\\"\"}",
           "`if_match` must be");
    refuse("{\"key\":\"k\",\"value\":1,\"if_none_match\":\"\\\"0badcafe-3-1\\\"\"}", "`if_none_match` can only be");
}

static void ids_and_times(void **state)
{
    (void)state;
    char text[400] = "{\"key\":\"k\",\"value\":1,\"id\":\"", *at = text + strlen(text);
    accept("{\"key\":\"k\",\"value\":1,\"id\":\"a\\u002f1\",\"ttl\":\"30s\",\"event_time\":-5}");
    assert_text(line.id, "a/1");
    assert_int_equal(line.ttl_ms, 30000);
    assert_int_equal(line.event_ms, -5);
    assert_text(line.life_text, "30s");
    assert_text(line.event_text, "-5");
    memset(at, 'i', 255);
    strcpy(at + 255, "\"}");
    accept(text);
    strcpy(at + 255, "i\"}");
    refuse(text, "`id` must be");
    refuse("{\"key\":\"k\",\"value\":1,\"id\":\"\"}", "`id` must be");
    refuse("{\"key\":\"k\",\"value\":1,\"id\":\"a b\"}", "`id` must be");
    refuse("{\"key\":\"k\",\"value\":1,\"id\":7}", "`id` must be");
    refuse("{\"key\":\"k\",\"value\":1,\"ttl\":30}", "`ttl` must be");
    refuse("{\"key\":\"k\",\"value\":1,\"ttl\":\"0s\"}", "`ttl` must be");
    refuse("{\"key\":\"k\",\"value\":1,\"ttl\":\"1s\",\"expires\":1784000000000}", "a `ttl` or `expires`");
    refuse("{\"key\":\"k\",\"value\":1,\"expires\":1600000000}", "not lie in the past");
    refuse("{\"key\":\"k\",\"value\":1,\"expires\":1.5e12}", "`expires` must be");
    refuse("{\"key\":\"k\",\"value\":1,\"event_time\":\"1\"}", "`event_time` must be");
}

static void what_is_no_object_is_refused_with_its_column(void **state)
{
    (void)state;
    assert_int_equal(parse("{\"key\":\"k\",\"value\":}"), AFF_EJSON);
    assert_string_equal(line.detail, "column 20: expected a value");
    assert_null(line.key_text.data);
    refuse("[1]", "a line is a JSON object");
    refuse("\"key\"", "a line is a JSON object");
    refuse("{} {}", "column 4");
    refuse("{}", "`key` or `key64`");
    refuse("\xef\xbb\xbf{}", "column 1");
    accept("{\"key\":\"k\",\"value\":[[[[]]]]}");
    assert_int_equal(parse("{\"key\":\"k\",\"value\":[[[[[]]]]]}"), AFF_EJSON);
    assert_true(aff_bulk_line_empty(aff_str(" \t\r")) && aff_bulk_line_empty(aff_str("")));
    assert_false(aff_bulk_line_empty(aff_str(" x")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_the_text_that_stands_in_the_line),
        cmocka_unit_test(keys_are_any_bytes),
        cmocka_unit_test(keys_that_cannot_be_are_refused),
        cmocka_unit_test(a_value_of_any_type_is_base64),
        cmocka_unit_test(every_length_of_base64_is_decoded),
        cmocka_unit_test(a_line_says_one_thing),
        cmocka_unit_test(unknown_and_repeated_members_are_named),
        cmocka_unit_test(what_a_scan_tells_is_taken),
        cmocka_unit_test(conditions),
        cmocka_unit_test(ids_and_times),
        cmocka_unit_test(what_is_no_object_is_refused_with_its_column),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(copy);
    return failed;
}
