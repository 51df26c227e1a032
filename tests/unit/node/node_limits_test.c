/* What a node takes of the machine, and the text of its metrics. */
#include "node/limits.h"
#include "node/prometheus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

static void a_store_has_a_share_of_the_address_space(void **state)
{
    (void)state;
    assert_true(aff_map_bytes(1) == aff_map_bytes(64)); /* no store needs more than that */
    assert_true(aff_map_bytes(4096) * 4096 == aff_map_bytes(64) * 64);
    assert_true(aff_map_bytes(4096) < aff_map_bytes(64));
}

static void a_start_that_needs_more_files_is_refused_by_number(void **state)
{
    (void)state;
    struct rlimit limit;
    aff_error err = { 0 };
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    struct aff_needs needs = { .connections = 10, .partitions = 2, .loops = 1, .listeners = 1 };
    limit.rlim_cur = limit.rlim_max = aff_needs_files(&needs);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(aff_needs_raise(&needs, &err), 0);

    needs.connections = 20000;
    assert_int_equal(aff_needs_raise(&needs, &err), AFF_ECONFIG);
    assert_non_null(strstr(err.text, "20000 for limits.connections"));
    assert_non_null(strstr(err.text, "2 partitions"));
    char allowed[64];
    (void)snprintf(allowed, sizeof allowed, "RLIMIT_NOFILE allows %llu:", (unsigned long long)limit.rlim_max);
    assert_non_null(strstr(err.text, allowed));
}

static void the_limit_of_files_is_raised_to_what_is_allowed(void **state)
{
    (void)state;
    struct rlimit limit;
    struct aff_needs needs = { .connections = 1 };
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max / 2;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(aff_needs_raise(&needs, NULL), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(limit.rlim_cur == limit.rlim_max);
}

static void metrics_have_their_text_form(void **state)
{
    (void)state;
    struct aff_buf buf;
    aff_buf_init(&buf);
    struct aff_prom prom = { .buf = &buf };
    aff_prom_family(&prom, "aff_some_total", AFF_PROM_COUNTER, "Some of them");
    aff_prom_value(&prom, 12345678, NULL);
    aff_prom_family(&prom, "aff_age_seconds", AFF_PROM_GAUGE, "Age");
    aff_prom_value(&prom, 0.25, "name", "a\"b\\c\nd", "partition", "7", NULL);
    static const char expected[] = "# HELP aff_some_total Some of them\n"
                                   "# TYPE aff_some_total counter\n"
                                   "aff_some_total 12345678\n"
                                   "# HELP aff_age_seconds Age\n"
                                   "# TYPE aff_age_seconds gauge\n"
                                   "aff_age_seconds{name=\"a\\\"b\\\\c\\nd\",partition=\"7\"} 0.25\n";
    assert_false(prom.failed);
    assert_int_equal(buf.len, sizeof expected - 1);
    assert_memory_equal(buf.data, expected, buf.len);
    aff_buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store_has_a_share_of_the_address_space),
        cmocka_unit_test(a_start_that_needs_more_files_is_refused_by_number),
        cmocka_unit_test(the_limit_of_files_is_raised_to_what_is_allowed),
        cmocka_unit_test(metrics_have_their_text_form),
    };
    return cmocka_run_group_tests_name("node: limits and metrics", tests, NULL, NULL);
}
