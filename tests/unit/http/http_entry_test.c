/* An entry of a scan as a JSON object: which member stands for what, and that a value is not changed. */
#include "http/entry.h"

#include "serde/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct aff_scan_entry entry_of(aff_bytes key, const char *type, aff_bytes value)
{
    return (struct aff_scan_entry){
        .key = key,
        .item = { .version = { .offset = 7, .expires_ms = AFF_NO_TIME, .event_ms = AFF_NO_TIME },
                  .content_type = aff_str(type),
                  .value = value },
        .partition = 3,
        .identity8 = 0x0badcafe,
    };
}

#define TAG ",\"etag\":\"\\\"0badcafe-3-7\\\"\"}"

static void assert_entry(const struct aff_scan_entry *entry, struct aff_entry_form form, const char *want)
{
    struct aff_buf out;
    aff_buf_init(&out);
    assert_true(aff_entry_print(entry, form, &out) && aff_buf_u8(&out, 0));
    assert_string_equal((const char *)out.data, want);
    assert_int_equal(aff_json_check(aff_bytes_of(out.data, out.len - 1), 64, NULL), 0);
    aff_buf_fini(&out);
}

static void assert_line(aff_bytes key, const char *type, aff_bytes value, const char *want)
{
    const struct aff_scan_entry entry = entry_of(key, type, value);
    assert_entry(&entry, (struct aff_entry_form){ .one_line = true }, want);
}

static void json_stands_as_it_is(void **state)
{
    (void)state;
    assert_line(aff_str("a"), "application/json", aff_str("{\"n\": 1.0e0 }"),
                "{\"key\":\"a\",\"value\":{\"n\": 1.0e0 }" TAG);
    assert_line(aff_str("a/b"), "application/json", aff_str("\"\\u000a\""),
                "{\"key\":\"a/b\",\"value\":\"\\u000a\"" TAG);
    assert_line(aff_str("a"), "application/vnd.x+json; v=\"1\"", aff_str("[]"),
                "{\"key\":\"a\",\"value\":[],\"type\":\"application/vnd.x+json; v=\\\"1\\\"\"" TAG);
}

static void a_line_stays_one_line(void **state)
{
    (void)state;
    const struct aff_scan_entry entry = entry_of(aff_str("a"), "application/json", aff_str("[1,\r\n 2\n]\n"));
    assert_entry(&entry, (struct aff_entry_form){ .one_line = true }, "{\"key\":\"a\",\"value\":[1,   2 ] " TAG);
    assert_entry(&entry, (struct aff_entry_form){ .one_line = false }, "{\"key\":\"a\",\"value\":[1,\r\n 2\n]\n" TAG);
}

static void other_values_are_base64(void **state)
{
    (void)state;
    assert_line(aff_str("a"), "text/plain", aff_str("foob"),
                "{\"key\":\"a\",\"value64\":\"Zm9vYg==\",\"type\":\"text/plain\"" TAG);
    assert_line(aff_str("a"), "", aff_str(""),
                "{\"key\":\"a\",\"value64\":\"\",\"type\":\"application/octet-stream\"" TAG);
    assert_line(aff_str("a"), "text/x; y=\"\xff\"", aff_str(""),
                "{\"key\":\"a\",\"value64\":\"\",\"type\":\"text/x; y=\\\"\\ufffd\\\"\"" TAG);
}

static void keys_are_text_when_they_can_be(void **state)
{
    (void)state;
    assert_line(aff_str("\xc3\xa4 \"q\" \\ \x01\x7f"), "application/json", aff_str("1"),
                "{\"key\":\"\xc3\xa4 \\\"q\\\" \\\\ \\u0001\x7f\",\"value\":1" TAG);
    assert_line(aff_bytes_of("a\0b", 3), "application/json", aff_str("1"), "{\"key\":\"a\\u0000b\",\"value\":1" TAG);
    assert_line(aff_str("\xff\x01"), "application/json", aff_str("1"), "{\"key64\":\"/wE=\",\"value\":1" TAG);
    assert_line(aff_str("\xed\xa0\x80"), "application/json", aff_str("1"), "{\"key64\":\"7aCA\",\"value\":1" TAG);
}

static void times_are_told(void **state)
{
    (void)state;
    struct aff_scan_entry entry = entry_of(aff_str("a"), "application/json", aff_str("1"));
    entry.item.version.expires_ms = INT64_C(1784000000000);
    assert_entry(&entry, (struct aff_entry_form){ .one_line = true },
                 "{\"key\":\"a\",\"value\":1,\"expires\":1784000000000" TAG);
    entry.item.version.event_ms = -1;
    assert_entry(&entry, (struct aff_entry_form){ .one_line = true },
                 "{\"key\":\"a\",\"value\":1,\"expires\":1784000000000,\"event_time\":-1" TAG);
    entry.item.version.event_ms = AFF_NO_TIME;
    assert_entry(&entry, (struct aff_entry_form){ .keys_only = true }, "{\"key\":\"a\",\"expires\":1784000000000" TAG);
}

/* The room that is taken is enough for what needs most. */
static void the_longest_of_all_fit(void **state)
{
    (void)state;
    unsigned char key[AFF_KEY_MAX], value[5000];
    char type[256];
    memset(key, 1, sizeof key);
    memset(value, 0xff, sizeof value);
    memset(type, '\x01', sizeof type);
    type[255] = 0;
    struct aff_scan_entry entry = entry_of(aff_bytes_of(key, sizeof key), type, aff_bytes_of(value, sizeof value));
    entry.partition = UINT32_MAX;
    entry.item.version = (struct aff_version){ INT64_MAX, 0, INT64_MIN + 1, INT64_MIN + 1 };
    struct aff_buf out;
    aff_buf_init(&out);
    assert_true(aff_entry_print(&entry, (struct aff_entry_form){ .one_line = true }, &out));
    assert_true(out.len <= out.capacity);
    assert_int_equal(aff_json_check(aff_buf_view(&out), 8, NULL), 0);
    aff_buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_stands_as_it_is),    cmocka_unit_test(a_line_stays_one_line),
        cmocka_unit_test(other_values_are_base64), cmocka_unit_test(keys_are_text_when_they_can_be),
        cmocka_unit_test(times_are_told),          cmocka_unit_test(the_longest_of_all_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
