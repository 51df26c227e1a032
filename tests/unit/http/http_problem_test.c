/* problem+json, and doc/problems.md against the table of errors. */
#include "http/problem.h"
#include "serde/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void assert_printed(const struct aff_problem *problem, const char *text)
{
    struct aff_buf buf;
    aff_buf_init(&buf);
    assert_true(aff_problem_print(problem, &buf));
    assert_true(aff_buf_add(&buf, "", 1));
    assert_string_equal((const char *)buf.data, text);
    aff_buf_fini(&buf);
}

static void takes_type_title_and_status_from_the_table(void **state)
{
    (void)state;
    assert_printed(&(struct aff_problem){ .code = AFF_ENOTFOUND },
                   "{\"type\":\"https://affinity.dev/problems/not-found\",\"title\":\"No such key\",\"status\":404}\n");
}

static void detail_and_instance_are_quoted(void **state)
{
    (void)state;
    struct aff_problem problem = { .code = AFF_EINVAL, .detail = aff_str("a \"b\"\n\xff"), .instance = "/outcome/x-1" };
    assert_printed(&problem,
                   "{\"type\":\"https://affinity.dev/problems/bad-request\",\"title\":\"The request is not valid\","
                   "\"status\":400,\"detail\":\"a \\\"b\\\"\\n\xef\xbf\xbd\",\"instance\":\"/outcome/x-1\"}\n");
}

static void a_commands_failure_brings_its_own(void **state)
{
    (void)state;
    struct aff_problem problem = { .code = AFF_EREFUSED,
                                   .status = 409,
                                   .type = "insufficient-funds",
                                   .title = "Not enough money",
                                   .detail = aff_str("") };
    assert_printed(&problem,
                   "{\"type\":\"https://affinity.dev/problems/insufficient-funds\",\"title\":\"Not enough money\","
                   "\"status\":409,\"detail\":\"\"}\n");
}

#define ONE_MORE(...) +1
enum { CODES = AFF_ERROR_TABLE(ONE_MORE) }; /* from -1 down, without a gap */

static void every_problem_of_the_table_is_json(void **state)
{
    (void)state;
    struct aff_buf buf;
    aff_buf_init(&buf);
    for (int code = -1; code >= -CODES; code--) {
        aff_buf_clear(&buf);
        assert_true(aff_problem_print(&(struct aff_problem){ .code = code }, &buf));
        assert_int_equal(aff_json_check(aff_buf_view(&buf), 2, NULL), 0);
    }
    aff_buf_fini(&buf);
}

static void a_whole_response_says_its_length_and_closes(void **state)
{
    (void)state;
    struct aff_buf buf;
    aff_buf_init(&buf);
    assert_true(aff_problem_response(&(struct aff_problem){ .code = AFF_EQUEUEFULL }, &buf));
    assert_true(aff_buf_add(&buf, "", 1));
    const char *text = (const char *)buf.data, *body = strstr(text, "\r\n\r\n");
    assert_non_null(body);
    assert_memory_equal(text, "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n", 53);
    assert_non_null(strstr(text, "\r\nRetry-After: 1\r\n"));
    assert_non_null(strstr(text, "\r\nAffinity-Outcome: not-applied\r\n"));
    char length[40];
    (void)snprintf(length, sizeof length, "\r\nContent-Length: %zu\r\n", strlen(body + 4));
    assert_non_null(strstr(text, length));
    aff_buf_fini(&buf);
}

/* ---- doc/problems.md ---- */

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file)
        fail_msg("%s cannot be read", path);
    char *text = calloc(1, 1 << 20);
    size_t got = fread(text, 1, (1 << 20) - 1, file);
    assert_true(got > 0 && feof(file));
    (void)fclose(file);
    return text;
}

static size_t count_of(const char *text, const char *what)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at += strlen(what))
        count++;
    return count;
}

/* Each type has a heading, and below it the status and the title, as the table has them; and no other type is there. */
static void the_page_of_problems_is_that_of_the_table(void **state)
{
    (void)state;
    char *page = read_file(AFF_SOURCE_ROOT "/doc/problems.md");
    size_t types = 0;
    for (int code = -1; code >= -CODES; code--, types++) {
        char heading[200];
        (void)snprintf(heading, sizeof heading, "\n## %s\n\n%d. %s.\n", aff_error_type(code), aff_error_status(code),
                       aff_error_title(code));
        if (!strstr(page, heading))
            fail_msg("doc/problems.md lacks:%s", heading);
    }
    if (count_of(page, "\n## ") != types)
        fail_msg("doc/problems.md has %zu types, the table %zu", count_of(page, "\n## "), types);
    free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_type_title_and_status_from_the_table),
        cmocka_unit_test(detail_and_instance_are_quoted),
        cmocka_unit_test(a_commands_failure_brings_its_own),
        cmocka_unit_test(every_problem_of_the_table_is_json),
        cmocka_unit_test(a_whole_response_says_its_length_and_closes),
        cmocka_unit_test(the_page_of_problems_is_that_of_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
