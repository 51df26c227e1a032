/*
 * coordinator_report_test.c - names of incarnations, and the texts of members and reports: what is written is read, what is wrong is refused.
 */
#include "coordinator/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_names(void **state)
{
    char name[AFF_NODE_NAME_MAX + 1], member[AFF_MEMBER_MAX + 1];
    uint32_t incarnation = 0;

    (void)state;
    assert_true(aff_member_parse("n1-0000000007", name, &incarnation));
    assert_string_equal(name, "n1");
    assert_int_equal(incarnation, 7);
    assert_true(aff_member_parse("a-b_9-2147483647", name, &incarnation));
    assert_string_equal(name, "a-b_9");
    aff_member_format(member, name, incarnation);
    assert_string_equal(member, "a-b_9-2147483647");
    assert_true(aff_member_of(member, "a-b_9"));
    assert_false(aff_member_of(member, "a-b"));
    assert_false(aff_member_parse("", NULL, NULL));
    assert_false(aff_member_parse("n1", NULL, NULL));
    assert_false(aff_member_parse("-0000000007", NULL, NULL));
    assert_false(aff_member_parse("n1-000000007", NULL, NULL));
    assert_false(aff_member_parse("n1-00000000x7", NULL, NULL));
    assert_false(aff_member_parse("n1-9999999999", NULL, NULL)); /* above 32 bits */
    assert_false(aff_member_parse("N1-0000000007", NULL, NULL));
    assert_false(aff_node_name_valid("1n"));
    assert_false(aff_node_name_valid("a23456789012345678901234567890123456789012"));
}

static void test_member(void **state)
{
    struct aff_view_node node = { .http = "h:1", .peer = "h:2", .zone = "eu", .version = 3, .features = 5 }, again;
    struct aff_buf text;
    aff_error err;

    (void)state;
    aff_buf_init(&text);
    assert_int_equal(aff_member_encode(&node, &text, &err), 0);
    assert_int_equal(aff_member_decode("n1-0000000007", aff_buf_view(&text), &again, &err), 0);
    assert_string_equal(again.name, "n1");
    assert_int_equal(again.incarnation, 7);
    assert_true(again.live);
    assert_string_equal(again.http, "h:1");
    assert_string_equal(again.peer, "h:2");
    assert_string_equal(again.zone, "eu");
    assert_int_equal(again.version, 3);
    assert_int_equal(again.features, 5);
    assert_int_equal(aff_member_decode("n1", aff_buf_view(&text), &again, &err), AFF_ECORRUPT);
    assert_int_equal(aff_member_decode("n1-0000000007", aff_str("{\"v\":2}"), &again, &err), AFF_EREFUSED);
    assert_int_equal(aff_member_decode("n1-0000000007", aff_str("{\"v\":1,\"http\":[]}"), &again, &err), AFF_ECORRUPT);
    assert_int_equal(aff_member_decode("n1-0000000007", aff_str("{\"v\":1,\"features\":-1}"), &again, &err),
                     AFF_ECORRUPT);
    assert_non_null(strstr(err.text, "\"features\""));
    aff_buf_fini(&text);
}

static void test_youngest_is_the_node(void **state)
{
    struct aff_view_node nodes[] = { { .name = "n1", .incarnation = 7 },
                                     { .name = "n2", .incarnation = 1 },
                                     { .name = "n1", .incarnation = 9 } };
    struct aff_members members = { nodes, 3 };

    (void)state;
    assert_true(aff_members_live(&members, "n1-0000000007"));
    assert_true(aff_members_live(&members, "n1-0000000009"));
    assert_false(aff_members_live(&members, "n1-0000000008"));
    assert_false(aff_members_live(&members, ""));
    assert_ptr_equal(aff_members_find(&members, "n1"), &nodes[2]);
    assert_null(aff_members_find(&members, "n3"));
}

static void test_report(void **state)
{
    struct aff_report report, again;
    struct aff_buf text;
    aff_error err;

    (void)state;
    aff_buf_init(&text);
    aff_report_init(&report, "n1-0000000007", true);
    aff_report_add(&report, "accounts", 0, AFF_SEAT_LEADS, 1234);
    aff_report_add(&report, "accounts", 3, AFF_SEAT_AWAY, 0);
    aff_report_add(&report, "accounts", 7, AFF_SEAT_IN_STEP, INT64_MAX);
    aff_report_add(&report, "sessions", 1, AFF_SEAT_BEHIND, 0);
    assert_int_equal(aff_report_encode(&report, &text, &err), 0);
    assert_true(aff_bytes_equal(aff_buf_view(&text),
                                aff_str("{\"v\":1,\"member\":\"n1-0000000007\",\"draining\":true,\"seats\":{"
                                        "\"accounts\":[0,3,1234,7,2,9223372036854775807],\"sessions\":[1,1,0]}}")));
    assert_int_equal(aff_report_decode("n1", aff_buf_view(&text), &again, &err), 0);
    assert_string_equal(again.member, "n1-0000000007");
    assert_true(again.draining);
    assert_int_equal(aff_report_find(&again, "accounts", 7)->applied, INT64_MAX);
    assert_int_equal(aff_report_find(&again, "accounts", 0)->state, AFF_SEAT_LEADS);
    assert_null(aff_report_find(&again, "accounts", 3));
    assert_null(aff_report_find(&again, "accounts", 8));
    assert_int_equal(aff_report_find(&again, "sessions", 1)->state, AFF_SEAT_BEHIND);
    assert_null(aff_report_find(&again, "nothing", 1));
    aff_report_fini(&report);
    aff_report_fini(&again);
    aff_buf_fini(&text);
}

static void test_report_refused(void **state)
{
    static const struct {
        const char *text;
        int code;
        const char *says;
    } cases[] = {
        { "{\"v\":2,\"member\":\"n1-0000000007\"}", AFF_EREFUSED, "later release" },
        { "{\"v\":1}", AFF_ECORRUPT, "\"member\"" },
        { "{\"v\":1,\"member\":\"n2-0000000007\"}", AFF_ECORRUPT, "\"member\"" },
        { "{\"v\":1,\"member\":\"n1-0000000007\",\"draining\":0}", AFF_ECORRUPT, "\"draining\"" },
        { "{\"v\":1,\"member\":\"n1-0000000007\",\"seats\":[]}", AFF_ECORRUPT, "\"seats\"" },
        { "{\"v\":1,\"member\":\"n1-0000000007\",\"seats\":{\"X\":[]}}", AFF_ECORRUPT, "keyspace" },
        { "{\"v\":1,\"member\":\"n1-0000000007\",\"seats\":{\"a\":[1,2]}}", AFF_ECORRUPT, "three numbers" },
        { "{\"v\":1,\"member\":\"n1-0000000007\",\"seats\":{\"a\":[1,2,\"3\"]}}", AFF_ECORRUPT, "no number" },
        { "{\"v\":1,\"member\":\"n1-0000000007\",\"seats\":{\"a\":[1,2,-3]}}", AFF_ECORRUPT, "no number" },
        { "{\"v\":1,\"member\":\"n1-0000000007\",\"seats\":{\"a\":[1,256,3]}}", AFF_ECORRUPT, "state" },
        { "{\"v\":1,\"member\":\"n1-0000000007\",\"seats\":{\"a\":[1,2,3,1,2,3]}}", AFF_ECORRUPT, "rise" },
        { "{\"v\":1,\"member\":\"n1-0000000007\",\"seats\":{\"a\":[4294967296,2,3]}}", AFF_ECORRUPT, "rise" },
    };
    struct aff_report report;
    aff_error err;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(aff_report_decode("n1", aff_str(cases[i].text), &report, &err), cases[i].code);
        if (!strstr(err.text, cases[i].says))
            fail_msg("\"%s\" does not say \"%s\"", err.text, cases[i].says);
    }
}

static void test_in_step(void **state)
{
    struct aff_report_seat leader = { 0, AFF_SEAT_LEADS, 1000 }, seat = { 0, AFF_SEAT_IN_STEP, 10 };

    (void)state;
    assert_true(aff_seat_in_step(&seat, &leader, 100)); /* the leader's number may be newer */
    assert_true(aff_seat_in_step(&leader, NULL, 100));
    assert_false(aff_seat_in_step(NULL, &leader, 100));
    seat.state = AFF_SEAT_BEHIND;
    assert_false(aff_seat_in_step(&seat, &leader, 100));
    seat.applied = 900;
    assert_true(aff_seat_in_step(&seat, &leader, 100));
    assert_false(aff_seat_in_step(&seat, NULL, 100));
    leader.state = AFF_SEAT_STALLED;
    assert_false(aff_seat_in_step(&seat, &leader, 100));
    seat.state = AFF_SEAT_STALLED;
    assert_false(aff_seat_in_step(&seat, NULL, 100));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_member),
        cmocka_unit_test(test_youngest_is_the_node),
        cmocka_unit_test(test_report),
        cmocka_unit_test(test_report_refused),
        cmocka_unit_test(test_in_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
