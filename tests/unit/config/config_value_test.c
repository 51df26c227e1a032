/*
 * config_value_test.c - each type of value: what it takes, what it refuses, how it is printed; and the table as a whole.
 */
#include "helper.h"

#include "config/settings.h"
#include "config/value.h"

#include <limits.h>

struct number_case {
    enum aff_setting_type type;
    const char *text;
    uint64_t number;
    const char *shown; /* NULL: as the text */
};

static void numbers_are_read_and_shown(void **state)
{
    static const struct number_case cases[] = {
        { AFF_TYPE_INT, "0", 0, NULL },
        { AFF_TYPE_INT, "007", 7, "7" },
        { AFF_TYPE_INT, "9223372036854775807", INT64_MAX, NULL },
        { AFF_TYPE_DURATION, "500ms", 500, NULL },
        { AFF_TYPE_DURATION, "30s", 30000, NULL },
        { AFF_TYPE_DURATION, "5m", 300000, NULL },
        { AFF_TYPE_DURATION, "1h", 3600000, NULL },
        { AFF_TYPE_DURATION, "7d", 604800000, NULL },
        { AFF_TYPE_DURATION, "90m", 5400000, NULL },
        { AFF_TYPE_DURATION, "24h", 86400000, "1d" },
        { AFF_TYPE_DURATION, "0s", 0, "0ms" },
        { AFF_TYPE_SIZE, "100B", 100, NULL },
        { AFF_TYPE_SIZE, "16KiB", 16384, NULL },
        { AFF_TYPE_SIZE, "1020KiB", 1044480, NULL },
        { AFF_TYPE_SIZE, "64MiB", 67108864, NULL },
        { AFF_TYPE_SIZE, "1GiB", 1073741824, NULL },
        { AFF_TYPE_SIZE, "1024GiB", UINT64_C(1) << 40, "1TiB" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t number = 0;
        int status = aff_number_read(cases[i].type, aff_str(cases[i].text), &number, NULL);
        if (status != 0 || number != cases[i].number)
            fail_msg("%s was read as %llu (status %d)", cases[i].text, (unsigned long long)number, status);
        assert_string_equal(aff_number_text(cases[i].type, number).text,
                            cases[i].shown ? cases[i].shown : cases[i].text);
    }
}

static void what_is_no_number_is_refused(void **state)
{
    static const struct number_case cases[] = {
        { AFF_TYPE_INT, "", 0, NULL },
        { AFF_TYPE_INT, "-1", 0, NULL },
        { AFF_TYPE_INT, "+1", 0, NULL },
        { AFF_TYPE_INT, "1.0", 0, NULL },
        { AFF_TYPE_INT, "0x10", 0, NULL },
        { AFF_TYPE_INT, " 1", 0, NULL },
        { AFF_TYPE_INT, "1s", 0, NULL },
        { AFF_TYPE_INT, "9223372036854775808", 0, NULL },
        { AFF_TYPE_INT, "99999999999999999999", 0, NULL },
        { AFF_TYPE_DURATION, "30", 0, NULL },
        { AFF_TYPE_DURATION, "s", 0, NULL },
        { AFF_TYPE_DURATION, "1.5h", 0, NULL },
        { AFF_TYPE_DURATION, "30 s", 0, NULL },
        { AFF_TYPE_DURATION, "1H", 0, NULL },
        { AFF_TYPE_DURATION, "1h30m", 0, NULL },
        { AFF_TYPE_DURATION, "1w", 0, NULL },
        { AFF_TYPE_DURATION, "999999999999999d", 0, NULL },
        { AFF_TYPE_SIZE, "64", 0, NULL },
        { AFF_TYPE_SIZE, "64MB", 0, NULL },
        { AFF_TYPE_SIZE, "64M", 0, NULL },
        { AFF_TYPE_SIZE, "64mib", 0, NULL },
        { AFF_TYPE_SIZE, "-1KiB", 0, NULL },
        { AFF_TYPE_SIZE, "9007199254740992KiB", 0, NULL },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t number = 42;
        aff_error err = { 0 };
        if (aff_number_read(cases[i].type, aff_str(cases[i].text), &number, &err) != AFF_ECONFIG)
            fail_msg("'%s' was taken for the number %llu", cases[i].text, (unsigned long long)number);
        assert_int_equal(number, 42);
        assert_true(err.text[0] != '\0');
    }
}

static void names_are_words_of_at_most_forty_characters(void **state)
{
    static const char *const good[] = { "a", "z9_", "accounts", "a234567890123456789012345678901234567890" };
    static const char *const bad[] = { "",    "A",        "9a",
                                       "_a",  "a-b",      "a.b",
                                       "a b", "\xc3\xa4", "a2345678901234567890123456789012345678901" };
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++)
        if (!aff_is_word(aff_str(good[i])))
            fail_msg("%s was refused", good[i]);
    for (size_t i = 0; i < COUNT(bad); i++)
        if (aff_is_word(aff_str(bad[i])))
            fail_msg("%s was taken", bad[i]);
    assert_false(aff_is_word(aff_bytes_of("a\0b", 3)));
}

static const struct aff_setting *listen_setting(void)
{
    return aff_setting_find(AFF_GROUP_HTTP, aff_str("listen"));
}

static void addresses_have_host_and_port(void **state)
{
    static const struct {
        const char *text, *host;
        uint16_t port;
    } cases[] = {
        { "127.0.0.1:8080", "127.0.0.1", 8080 }, { "0.0.0.0:0", "0.0.0.0", 0 },
        { "[::1]:65535", "::1", 65535 },         { "[::]:80", "::", 80 },
        { "localhost:1", "localhost", 1 },       { "a-b.example:80", "a-b.example", 80 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct aff_config_address address = { 0 };
        aff_error err;
        if (aff_value_read(listen_setting(), aff_str(cases[i].text), &address, &err) != 0)
            fail_msg("%s was refused: %s", cases[i].text, err.text);
        assert_string_equal(address.text, cases[i].text);
        assert_string_equal(address.host, cases[i].host);
        assert_int_equal(address.port, cases[i].port);
        aff_value_free(listen_setting(), &address);
    }
}

static void what_is_no_address_is_refused(void **state)
{
    static const char *const cases[] = { "",         "8080",         ":8080",    "127.0.0.1",  "127.0.0.1:",
                                         "[::1]",    "::1:80",       "[::1:80",  "[]:80",      "[1.2.3.4]:80",
                                         "1.2.3:80", "256.1.1.1:80", "a b:80",   "host:65536", "host:-1",
                                         "host:80s", "http://a:80",  "host:+80", "*:80" };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct aff_config_address address = { 0 };
        if (aff_value_read(listen_setting(), aff_str(cases[i]), &address, NULL) != AFF_ECONFIG)
            fail_msg("'%s' was taken", cases[i]);
        assert_null(address.text);
    }
}

static void a_value_that_is_refused_leaves_the_one_before(void **state)
{
    struct aff_config_address address = { 0 };
    (void)state;
    assert_int_equal(aff_value_read(listen_setting(), aff_str("[::1]:1"), &address, NULL), 0);
    assert_int_equal(aff_value_read(listen_setting(), aff_str("nonsense"), &address, NULL), AFF_ECONFIG);
    assert_string_equal(address.text, "[::1]:1");
    aff_value_free(listen_setting(), &address);
}

static void paths_are_printable_utf8(void **state)
{
    const struct aff_setting *setting = aff_setting_find(AFF_GROUP_ROOT, aff_str("node.data"));
    static const aff_bytes bad[] = { { "", 0 },
                                     { "a\0b", 3 },
                                     { "a\nb", 3 },
                                     { "\x7f", 1 },
                                     { "\xff", 1 },
                                     { "\xc3", 1 },
                                     { "\xc0\xaf", 2 },
                                     { "\xc2\x85", 2 },
                                     { "\xe2\x80\xa8", 3 },
                                     { "\xed\xa0\x80", 3 },
                                     { "\xef\xbb\xbf", 3 },
                                     { "\xf5\x80\x80\x80", 4 } };
    char *path = NULL;
    (void)state;
    assert_int_equal(aff_value_read(setting, aff_str("/d\xc3\xa4ten/\xf0\x9f\x98\x80 \"x\\"), &path, NULL), 0);
    for (size_t i = 0; i < COUNT(bad); i++)
        if (aff_value_read(setting, bad[i], &path, NULL) != AFF_ECONFIG)
            fail_msg("path %zu was taken", i);
    char *long_path = malloc(PATH_MAX + 1);
    memset(long_path, 'a', PATH_MAX);
    assert_int_equal(aff_value_read(setting, aff_bytes_of(long_path, PATH_MAX), &path, NULL), AFF_ECONFIG);
    assert_int_equal(aff_value_read(setting, aff_bytes_of(long_path, PATH_MAX - 1), &path, NULL), 0);
    free(long_path);
    aff_value_free(setting, &path);
}

/* ---- the table ---- */

static bool is_numeric(const struct aff_setting *s)
{
    return s->type == AFF_TYPE_INT || s->type == AFF_TYPE_DURATION || s->type == AFF_TYPE_SIZE;
}

static uint64_t number_in_table(const struct aff_setting *s, const char *text)
{
    uint64_t number = 0;
    if (!text || aff_number_read(s->type, aff_str(text), &number, NULL) != 0)
        fail_msg("%s: a bound is missing or malformed", s->path);
    return number;
}

static void rows_of_numbers_have_bounds_that_hold_their_default(void **state)
{
    (void)state;
    for (size_t i = 0; i < aff_settings_count; i++) {
        const struct aff_setting *s = &aff_settings[i];
        if (!is_numeric(s))
            continue;
        uint64_t min = number_in_table(s, s->min), max = number_in_table(s, s->max);
        uint64_t value = s->fallback ? number_in_table(s, s->fallback) : min;
        uint64_t least = s->production_min ? number_in_table(s, s->production_min) : min;
        if (min > least || least > value || value > max)
            fail_msg("%s: minimum, default and maximum are not in order", s->path);
        if (s->type == AFF_TYPE_INT && max > UINT_MAX)
            fail_msg("%s: the maximum does not fit an unsigned", s->path);
        if (!s->fallback && min == 0)
            fail_msg("%s: 0 stands for not set, so the minimum must be above it", s->path);
    }
}

static void rows_have_what_their_type_and_the_printing_need(void **state)
{
    (void)state;
    for (size_t i = 0; i < aff_settings_count; i++) {
        const struct aff_setting *s = &aff_settings[i];
        const char *dot = strchr(s->path, '.');
        size_t len = s->doc ? strlen(s->doc) : 0;
        if (len == 0 || s->doc[len - 1] != '.' || strchr(s->doc, '|'))
            fail_msg("%s: expected a sentence without | as doc", s->path);
        if (!s->fallback && (s->type == AFF_TYPE_ENUM || s->type == AFF_TYPE_BOOL || s->type == AFF_TYPE_ROUTE))
            fail_msg("%s: a setting of this type has a default", s->path);
        if (s->secret && s->type != AFF_TYPE_TEXT)
            fail_msg("%s: only texts can be secret", s->path);
        if (s->beside && (s->type != AFF_TYPE_PROPERTIES || !dot))
            fail_msg("%s: only properties can stand beside the settings of a section", s->path);
        if ((s->words != NULL) != (s->type == AFF_TYPE_ENUM))
            fail_msg("%s: an enumeration has words, and nothing else has", s->path);
        if (s->production_min && !is_numeric(s))
            fail_msg("%s: only numbers can have a minimum for production", s->path);
        if (dot && (s->group != AFF_GROUP_ROOT || strchr(dot + 1, '.')))
            fail_msg("%s: sections are one level, and of the file itself", s->path);
    }
}

static bool same_block(const struct aff_setting *a, const struct aff_setting *b)
{
    size_t section = aff_section_len(a->path);
    return a->group == b->group && (a->group != AFF_GROUP_ROOT || (section > 0 && section == aff_section_len(b->path) &&
                                                                   strncmp(a->path, b->path, section) == 0));
}

static void rows_of_one_section_stand_together(void **state)
{
    (void)state;
    for (size_t i = 0; i < aff_settings_count; i++)
        for (size_t j = i + 2; j < aff_settings_count; j++)
            if (same_block(&aff_settings[i], &aff_settings[j]) && !same_block(&aff_settings[i], &aff_settings[j - 1]))
                fail_msg("%s stands apart from %s", aff_settings[j].path, aff_settings[i].path);
}

static void words_stand_in_the_order_of_their_enum(void **state)
{
    (void)state;
    assert_int_equal(aff_word_index("a|bc|d", aff_str("bc")), 1);
    assert_int_equal(aff_word_index("a|bc|d", aff_str("b")), -1);
    assert_int_equal(aff_word_index("a|bc|d", aff_str("")), -1);
    struct aff_config *c = load("mode: development\nlog: { level: debug, format: json }\nchangelog: memory\n", NULL);
    assert_int_equal(c->mode, AFF_MODE_DEVELOPMENT);
    assert_int_equal(c->log.level, AFF_LOG_DEBUG);
    assert_int_equal(c->log.format, AFF_LOG_JSON);
    assert_int_equal(c->changelog, AFF_CHANGELOG_MEMORY);
    aff_config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_read_and_shown),
        cmocka_unit_test(what_is_no_number_is_refused),
        cmocka_unit_test(names_are_words_of_at_most_forty_characters),
        cmocka_unit_test(addresses_have_host_and_port),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(a_value_that_is_refused_leaves_the_one_before),
        cmocka_unit_test(paths_are_printable_utf8),
        cmocka_unit_test(rows_of_numbers_have_bounds_that_hold_their_default),
        cmocka_unit_test(rows_have_what_their_type_and_the_printing_need),
        cmocka_unit_test(rows_of_one_section_stand_together),
        cmocka_unit_test(words_stand_in_the_order_of_their_enum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
