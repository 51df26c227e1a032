/*
 * base_log_test.c - the lines of base/log.h in both formats, read back from a pipe.
 */
#include "base/log.h"

#include "lib/virtual_clock.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    struct aff_virtual_clock clock;
    struct aff_logger logger;
    int read_fd;
    char line[8192];
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    int pipes[2];
    if (!f || pipe2(pipes, O_NONBLOCK) < 0)
        return -1;
    aff_virtual_clock_init(&f->clock);
    f->read_fd = pipes[0];
    f->logger = (struct aff_logger){ .fd = pipes[1], .level = AFF_LOG_INFO, .clock = &f->clock.clock };
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    (void)close(f->read_fd);
    (void)close(f->logger.fd);
    free(f);
    return 0;
}

/* What was written since the last look; "" when nothing was. */
static const char *written(struct fixture *f)
{
    ssize_t len = read(f->read_fd, f->line, sizeof f->line - 1);
    f->line[len > 0 ? len : 0] = '\0';
    return f->line;
}

static void a_line_has_one_shape_in_logfmt(void **state)
{
    struct fixture *f = *state;
    aff_virtual_clock_advance(&f->clock, 11123 * AFF_NS_PER_MS);
    aff_log(&f->logger, INFO, "partition.lead", aff_f_str("keyspace", "accounts"), aff_f_int("partition", 3),
            aff_f_str("epoch", "1.0"));
    assert_string_equal(written(f), "time=2026-01-01T00:00:11.123Z level=info event=partition.lead keyspace=accounts "
                                    "partition=3 epoch=1.0\n");
}

static void a_line_has_one_shape_in_json(void **state)
{
    struct fixture *f = *state;
    f->logger.format = AFF_LOG_JSON;
    aff_log(&f->logger, ERROR, "partition.lead", aff_f_str("keyspace", "accounts"), aff_f_int("partition", INT64_MIN),
            aff_f_str("epoch", "1.0"));
    assert_string_equal(written(f),
                        "{\"time\":\"2026-01-01T00:00:00.000Z\",\"level\":\"error\",\"event\":\"partition.lead\","
                        "\"keyspace\":\"accounts\",\"partition\":-9223372036854775808,\"epoch\":\"1.0\"}\n");
}

static void time_is_utc_with_milliseconds(void **state)
{
    struct fixture *f = *state;
    static const struct {
        int64_t wall_ms;
        const char *text;
    } times[] = {
        { 0, "1970-01-01T00:00:00.000Z" },
        { -1, "1969-12-31T23:59:59.999Z" },
        { INT64_C(951782400000), "2000-02-29T00:00:00.000Z" },
        { INT64_C(1795327331123), "2026-11-22T06:02:11.123Z" },
        { INT64_C(4102444799999), "2099-12-31T23:59:59.999Z" },
    };
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        char expected[128];
        f->clock.wall_base_ms = times[i].wall_ms - f->clock.now_ns / AFF_NS_PER_MS;
        (void)snprintf(expected, sizeof expected, "time=%s level=info event=a.b n=1\n", times[i].text);
        aff_log(&f->logger, INFO, "a.b", aff_f_int("n", 1));
        assert_string_equal(written(f), expected);
    }
}

static void lines_below_the_level_are_not_written(void **state)
{
    struct fixture *f = *state;
    f->logger.level = AFF_LOG_WARN;
    aff_log(&f->logger, DEBUG, "a.b", aff_f_int("n", 1));
    aff_log(&f->logger, INFO, "a.b", aff_f_int("n", 1));
    assert_string_equal(written(f), "");
    aff_log(&f->logger, WARN, "a.b", aff_f_int("n", 1));
    assert_non_null(strstr(written(f), "level=warn"));
    aff_log(NULL, ERROR, "a.b", aff_f_int("n", 1)); /* silent */
    assert_string_equal(written(f), "");
}

#define TEXT(literal)                                                                                                  \
    {                                                                                                                  \
        literal, sizeof(literal) - 1                                                                                   \
    }

static const struct vector {
    aff_bytes text;
    const char *logfmt, *json; /* json: without the quotes around it */
} vectors[] = {
    { TEXT(""), "\"\"", "" },
    { TEXT("plain-1.0/x:y,z"), "plain-1.0/x:y,z", "plain-1.0/x:y,z" },
    { TEXT("two words"), "\"two words\"", "two words" },
    { TEXT("a=b"), "\"a=b\"", "a=b" },
    { TEXT("say \"hi\""), "\"say \\\"hi\\\"\"", "say \\\"hi\\\"" },
    { TEXT("back\\slash"), "\"back\\\\slash\"", "back\\\\slash" },
    { TEXT("a\nlevel=error"), "\"a\\nlevel=error\"", "a\\nlevel=error" },
    { TEXT("\r\t"), "\"\\r\\t\"", "\\r\\t" },
    { TEXT("\0\x01\x1b[31m\x7f"), "\"\\u0000\\u0001\\u001b[31m\\u007f\"", "\\u0000\\u0001\\u001b[31m\\u007f" },
    { TEXT("Zürich-€-🐘"), "Zürich-€-🐘", "Zürich-€-🐘" },
    { TEXT("\xc2\x85\xc2\x9b"), "\"\\u0085\\u009b\"", "\\u0085\\u009b" },
    { TEXT("\xe2\x80\xa8\xe2\x80\xa9"), "\"\\u2028\\u2029\"", "\\u2028\\u2029" },
    { TEXT("\xff"), "\"\\xff\"", "\\ufffd" },
    { TEXT("a\x80z"), "\"a\\x80z\"", "a\\ufffdz" },                                           /* a continuation alone */
    { TEXT("\xc0\xaf"), "\"\\xc0\\xaf\"", "\\ufffd\\ufffd" },                                 /* overlong */
    { TEXT("\xe0\x80\xaf"), "\"\\xe0\\x80\\xaf\"", "\\ufffd\\ufffd\\ufffd" },                 /* overlong */
    { TEXT("\xed\xa0\x80"), "\"\\xed\\xa0\\x80\"", "\\ufffd\\ufffd\\ufffd" },                 /* a surrogate */
    { TEXT("\xf4\x90\x80\x80"), "\"\\xf4\\x90\\x80\\x80\"", "\\ufffd\\ufffd\\ufffd\\ufffd" }, /* above U+10FFFF */
    { TEXT("\xf0\x90\x80"), "\"\\xf0\\x90\\x80\"", "\\ufffd\\ufffd\\ufffd" },                 /* ends too early */
    { TEXT("\xe2\x82"), "\"\\xe2\\x82\"", "\\ufffd\\ufffd" },
    { TEXT("\xe2\x82\"\n"), "\"\\xe2\\x82\\\"\\n\"", "\\ufffd\\ufffd\\\"\\n" }, /* a quote is not swallowed */
    { TEXT("\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf"), "\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf",
      "\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf" }, /* just inside the limits */
};

static void text_is_escaped_so_that_a_line_stays_one_line(void **state)
{
    struct fixture *f = *state;
    char expected[256];
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        /* At the end of its own block, so that reading past it is seen by the address sanitizer. */
        char *copy = malloc(vectors[i].text.len ? vectors[i].text.len : 1);
        assert_non_null(copy);
        memcpy(copy, vectors[i].text.data, vectors[i].text.len);
        aff_bytes text = aff_bytes_of(copy, vectors[i].text.len);
        f->logger.format = AFF_LOG_LOGFMT;
        aff_log(&f->logger, INFO, "a.b", aff_f_bytes("v", text));
        (void)snprintf(expected, sizeof expected, "time=2026-01-01T00:00:00.000Z level=info event=a.b v=%s\n",
                       vectors[i].logfmt);
        assert_string_equal(written(f), expected);
        f->logger.format = AFF_LOG_JSON;
        aff_log(&f->logger, INFO, "a.b", aff_f_bytes("v", text));
        (void)snprintf(expected, sizeof expected,
                       "{\"time\":\"2026-01-01T00:00:00.000Z\",\"level\":\"info\",\"event\":\"a.b\",\"v\":\"%s\"}\n",
                       vectors[i].json);
        assert_string_equal(written(f), expected);
        free(copy);
    }
}

static void a_null_string_is_an_empty_one(void **state)
{
    struct fixture *f = *state;
    aff_log(&f->logger, INFO, "a.b", aff_f_str("v", NULL));
    assert_non_null(strstr(written(f), " v=\"\"\n"));
}

/* ---- long lines ---- */

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* Texts of each length around the limit: the line fits whole, or is cut, says so, and is never too long. */
static void check_lengths(struct fixture *f, const char *unit, const char *cut_end, const char *whole_end)
{
    char text[5000];
    size_t unit_len = strlen(unit);
    int cut = 0, whole = 0;
    for (size_t len = 3900; len < 4200; len++) {
        for (size_t i = 0; i < len; i++)
            text[i] = unit[i % unit_len];
        size_t used = len - len % unit_len;
        aff_log(&f->logger, INFO, "a.b", aff_f_bytes("v", aff_bytes_of(text, used)), aff_f_int("n", 7));
        const char *line = written(f);
        assert_true(strlen(line) <= 4096);
        assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
        bool is_cut = ends_with(line, cut_end), is_whole = ends_with(line, whole_end);
        assert_true(is_cut != is_whole);
        cut += is_cut;
        whole += is_whole;
    }
    assert_true(cut > 0 && whole > 0);
}

static void a_long_line_is_cut_with_a_mark(void **state)
{
    struct fixture *f = *state;
    check_lengths(f, "x", " cut=true\n", " n=7\n");
    check_lengths(f, "x y", " cut=true\n", "\" n=7\n");
    f->logger.format = AFF_LOG_JSON;
    check_lengths(f, "x", ",\"cut\":true}\n", ",\"n\":7}\n");
    check_lengths(f, "€", "\",\"cut\":true}\n", "\",\"n\":7}\n");
}

static void a_cut_text_keeps_its_beginning_and_whole_escapes(void **state)
{
    struct fixture *f = *state;
    char text[5000];
    memset(text, 1, sizeof text);
    f->logger.format = AFF_LOG_JSON;
    aff_log(&f->logger, INFO, "a.b", aff_f_bytes("v", aff_bytes_of(text, sizeof text)), aff_f_int("n", 7));
    const char *line = written(f), *value = strstr(line, "\"v\":\"");
    assert_non_null(value);
    value += 5;
    size_t escapes = 0;
    for (; strncmp(value, "\\u0001", 6) == 0; value += 6)
        escapes++;
    assert_in_range(escapes, 600, 683);
    assert_string_equal(value, "\",\"cut\":true}\n");
}

static void many_fields_are_cut_between_fields(void **state)
{
    struct fixture *f = *state;
    struct aff_log_field fields[500];
    for (size_t i = 0; i < 500; i++)
        fields[i] = i % 2 ? aff_f_int("number", INT64_MAX) : aff_f_str("text", "two words");
    aff_log_fields(&f->logger, AFF_LOG_INFO, "a.b", fields, 500);
    const char *line = written(f);
    assert_in_range(strlen(line), 4000, 4096);
    assert_true(ends_with(line, "=9223372036854775807 cut=true\n") || ends_with(line, "\" cut=true\n"));
}

/* ---- descriptors ---- */

static void a_full_pipe_loses_lines_and_waits_for_nobody(void **state)
{
    struct fixture *f = *state;
    int flags = fcntl(f->logger.fd, F_GETFL);
    assert_int_equal(fcntl(f->logger.fd, F_SETFL, flags & ~O_NONBLOCK), 0); /* a write to it would wait for ever */
    char text[1000];
    memset(text, 'x', sizeof text);
    for (int i = 0; i < 1000; i++) /* 1 MB into a pipe of 64 KiB */
        aff_log(&f->logger, INFO, "a.b", aff_f_bytes("v", aff_bytes_of(text, sizeof text)));
    size_t lines = 0;
    for (const char *at = written(f); *at; at = written(f)) /* what came is whole lines */
        for (; *at; at++)
            lines += *at == '\n';
    assert_in_range(lines, 10, 100);
    assert_int_equal(f->line[0], '\0');
    aff_log(&f->logger, INFO, "a.b", aff_f_int("n", 1)); /* it goes on once there is room */
    assert_non_null(strstr(written(f), "n=1\n"));
}

static void a_pipe_that_nobody_reads_loses_lines_and_kills_nobody(void **state)
{
    struct fixture *f = *state;
    (void)close(f->read_fd);
    f->read_fd = -1;
    aff_log(&f->logger, INFO, "a.b", aff_f_int("n", 1)); /* SIGPIPE would end the test */
}

static void a_file_takes_lines(void **state)
{
    struct fixture *f = *state;
    FILE *file = tmpfile();
    assert_non_null(file);
    struct aff_logger logger = f->logger;
    logger.fd = fileno(file);
    aff_log(&logger, INFO, "a.b", aff_f_int("n", 1));
    aff_log(&logger, INFO, "a.b", aff_f_int("n", 2));
    rewind(file);
    f->line[fread(f->line, 1, sizeof f->line - 1, file)] = '\0';
    assert_string_equal(f->line, "time=2026-01-01T00:00:00.000Z level=info event=a.b n=1\n"
                                 "time=2026-01-01T00:00:00.000Z level=info event=a.b n=2\n");
    (void)fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_line_has_one_shape_in_logfmt, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_line_has_one_shape_in_json, set_up, tear_down),
        cmocka_unit_test_setup_teardown(time_is_utc_with_milliseconds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lines_below_the_level_are_not_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(text_is_escaped_so_that_a_line_stays_one_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_null_string_is_an_empty_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_long_line_is_cut_with_a_mark, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_cut_text_keeps_its_beginning_and_whole_escapes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_fields_are_cut_between_fields, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_pipe_loses_lines_and_waits_for_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_pipe_that_nobody_reads_loses_lines_and_kills_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_takes_lines, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("base/log", tests, NULL, NULL);
}
