/*
 * node_cluster_test - what a node tells its cluster, and whether it is in order there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "node/advertise.h"
#include "node/inner.h"

static struct aff_config_address address(char *text, char *host, uint16_t port)
{
    return (struct aff_config_address){ text, host, port };
}

static void an_address_is_told_as_it_is_advertised(void **state)
{
    char out[AFF_ADDRESS_MAX];
    struct aff_config_address none = { 0 };
    (void)state;
    aff_advertised(&none, "127.0.0.1:41234", out);
    assert_string_equal(out, "127.0.0.1:41234");
    struct aff_config_address whole = address((char *)"n1.example:7000", (char *)"n1.example", 7000);
    aff_advertised(&whole, "0.0.0.0:41234", out);
    assert_string_equal(out, "n1.example:7000");
    struct aff_config_address host = address((char *)"n1.example:0", (char *)"n1.example", 0);
    aff_advertised(&host, "[::]:41234", out);
    assert_string_equal(out, "n1.example:41234");
    struct aff_config_address six = address((char *)"[::1]:0", (char *)"::1", 0);
    aff_advertised(&six, "[::]:41234", out);
    assert_string_equal(out, "[::1]:41234");
}

static void a_listener_on_all_addresses_is_where_the_node_is(void **state)
{
    char out[AFF_ADDRESS_MAX];
    struct aff_config_address peer = address((char *)"n1.example:7000", (char *)"n1.example", 7000), none = { 0 };
    struct aff_config_http any = { .listen = address((char *)"0.0.0.0:80", (char *)"0.0.0.0", 80) };
    struct aff_config_http one = { .listen = address((char *)"10.0.0.1:80", (char *)"10.0.0.1", 80) };
    (void)state;
    aff_advertised_http(&any, &peer, "0.0.0.0:80", out);
    assert_string_equal(out, "n1.example:80");
    aff_advertised_http(&any, &none, "0.0.0.0:80", out);
    assert_string_equal(out, "0.0.0.0:80");
    aff_advertised_http(&one, &peer, "10.0.0.1:80", out);
    assert_string_equal(out, "10.0.0.1:80");
    any.advertise = address((char *)"shop.example:443", (char *)"shop.example", 443);
    aff_advertised_http(&any, &peer, "0.0.0.0:80", out);
    assert_string_equal(out, "shop.example:443");
}

static void nodes_are_told_a_number(void **state)
{
    char out[AFF_ADDRESS_MAX];
    aff_error err;
    (void)state;
    assert_int_equal(aff_advertised_number("127.0.0.1:7000", out, &err), 0);
    assert_string_equal(out, "127.0.0.1:7000");
    assert_int_equal(aff_advertised_number("[::1]:7000", out, &err), 0);
    assert_string_equal(out, "[::1]:7000");
    assert_int_equal(aff_advertised_number("localhost:7000", out, &err), 0);
    assert_true(strcmp(out, "127.0.0.1:7000") == 0 || strcmp(out, "[::1]:7000") == 0);
    assert_int_equal(aff_advertised_number("nobody.invalid:7000", out, &err), AFF_ECONFIG); /* RFC 2606 */
    assert_non_null(strstr(err.text, "peer.advertise: nobody.invalid has no address here: "));
}

static void a_member_is_ready_when_it_holds_what_it_should(void **state)
{
    char text[400];
    struct aff_space space = { .name = "notes" };
    struct aff_membership m = { .health = { .trouble = "no connection" } };
    (void)state;
    assert_false(aff_membership_ready(&m));
    aff_membership_tell(&m, text, sizeof text);
    assert_string_equal(text, "this node is no member of its cluster yet: no connection");
    m = (struct aff_membership){ .known = true, .unassigned = 3 };
    assert_false(aff_membership_ready(&m));
    aff_membership_tell(&m, text, sizeof text);
    assert_string_equal(text, "3 partitions are given to no node yet");
    m = (struct aff_membership){ .known = true, .held = 4, .in_order = 3, .waits = { .space = &space, .partition = 2, .applied = 5, .log_end = 900 } };
    assert_false(aff_membership_ready(&m));
    aff_membership_tell(&m, text, sizeof text);
    assert_non_null(strstr(text, "1 of the 4 partitions held here are not in order; the first is keyspace notes, partition 2"));
    m.in_order = 4;
    assert_true(aff_membership_ready(&m));
    assert_true(aff_membership_ready(&(struct aff_membership){ .known = true })); /* there may be more nodes than replicas */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_told_as_it_is_advertised),
        cmocka_unit_test(nodes_are_told_a_number),
        cmocka_unit_test(a_listener_on_all_addresses_is_where_the_node_is),
        cmocka_unit_test(a_member_is_ready_when_it_holds_what_it_should),
    };
    return cmocka_run_group_tests_name("node_cluster", tests, NULL, NULL);
}
