/*
 * config_cluster_test - the settings of a cluster: what `coordinator: zookeeper` needs, times that allow a lease, addresses,
 * static lists.
 */
#include "helper.h"

#define CLUSTER                                                                                                        \
    "changelog: kafka\n"                                                                                               \
    "kafka: { bootstrap.servers: \"k:9092\" }\n"                                                                       \
    "coordinator: zookeeper\n"                                                                                         \
    "node: { name: n-1, zone: rack-a }\n"
#define SERVERS "zookeeper: { connect: \"z1:2181,z2:2181/apps\" }\n"
#define PLAIN "peer: { security: plain }\n"

static void what_a_cluster_needs_is_named(void **state)
{
    (void)state;
    expect_errors("coordinator: zookeeper\n", NULL,
                  "test.yaml:1:14: coordinator: zookeeper needs changelog: kafka, whose topics the nodes share\n"
                  "test.yaml:1:14: coordinator: zookeeper needs node.name: another one for each node of the cluster\n"
                  "test.yaml:1:14: coordinator: zookeeper needs zookeeper.connect: host:port of the ZooKeeper servers, with "
                  "commas between them\n"
                  "test.yaml:1:14: peer.security: tls needs peer.certificate, peer.key, peer.ca (files in PEM); peer.security: "
                  "plain is for a network that only nodes are in\n");
    expect_errors(CLUSTER SERVERS "peer: { certificate: a.pem, ca: ca.pem }\n", NULL,
                  "test.yaml:3:14: peer.security: tls needs peer.key (files in PEM); peer.security: plain is for a network that "
                  "only nodes are in\n");
}

static void a_cluster_has_defaults(void **state)
{
    (void)state;
    struct aff_config *c = load(CLUSTER SERVERS PLAIN "keyspaces: { a: }\n", NULL);
    assert_int_equal(c->coordinator, AFF_COORDINATOR_ZOOKEEPER);
    assert_string_equal(c->zookeeper.connect, "z1:2181,z2:2181/apps");
    assert_int_equal(c->zookeeper.session_ms, 4000);
    assert_int_equal(c->zookeeper.tick_ms, 500);
    assert_int_equal(c->zookeeper.away_ms, 300000);
    assert_null(c->zookeeper.auth);
    assert_string_equal(c->peer.listen.text, "127.0.0.1:0");
    assert_null(c->peer.advertise.text);
    assert_int_equal(c->limits.master_wait_ms, 10000);
    assert_string_equal(c->node.zone, "rack-a");
    assert_int_equal(c->keyspaces[0].replicas, 2);
    assert_null(aff_config_assigned(&c->keyspaces[0]));
    aff_config_free(c);
}

static void times_without_a_lease_are_refused_with_those_that_have_one(void **state)
{
    (void)state;
    expect_errors(CLUSTER PLAIN "zookeeper: { connect: \"z:1\", session: 2s, tick: 2s }\n", NULL,
                  "test.yaml:6:39: zookeeper.session: 2s with a zookeeper.tick of 2s leaves no time for a lease: with this tick a "
                  "session is at least 2858ms; with this session a tick is at most 1400ms\n");
    expect_errors(CLUSTER PLAIN "zookeeper: { connect: \"z:1\", session: 4s, tick: 100ms }\n", NULL,
                  "test.yaml:6:39: zookeeper.session: ZooKeeper servers with a tick of 100ms grant sessions of 200ms to 2s, and 4s "
                  "is not among them\n");
    aff_config_free(load(CLUSTER PLAIN "zookeeper: { connect: \"z:1\", session: 4s, tick: 2s }\n", NULL));
}

static void servers_are_addresses(void **state)
{
    (void)state;
    static const char *const wrong[] = { "z", "z:0", "z:1, y:1", "z:1,", "z:1/", "z:99999" };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        char text[100], expected[200];
        (void)snprintf(text, sizeof text, "zookeeper: { connect: \"%s\" }\n", wrong[i]);
        (void)snprintf(expected, sizeof expected,
                       "test.yaml:1:23: zookeeper.connect: %s are not servers: expected host:port,host:port without spaces, and "
                       "perhaps a /path behind the last\n",
                       wrong[i]);
        expect_errors(text, NULL, expected);
    }
    aff_config_free(load("zookeeper: { connect: \"[::1]:2181,127.0.0.1:2181\" }\n", NULL));
}

static void a_password_is_not_shown(void **state)
{
    (void)state;
    struct aff_config *c = load("zookeeper: { auth: \"me:hush\" }\n", NULL);
    char *text = NULL;
    size_t len;
    FILE *to = open_memstream(&text, &len);
    assert_string_equal(c->zookeeper.auth, "me:hush");
    aff_config_print(c, to);
    fclose(to);
    assert_null(strstr(text, "hush"));
    assert_non_null(strstr(text, "  auth: \"***:***\"\n"));
    free(text);
    aff_config_free(c);
    expect_errors("zookeeper: { auth: hush }\n", NULL, "test.yaml:1:20: zookeeper.auth: expected user:password\n");
}

static void others_must_be_able_to_reach_a_node(void **state)
{
    (void)state;
    expect_errors(CLUSTER SERVERS "peer: { security: plain, listen: \"0.0.0.0:7000\" }\n", NULL,
                  "test.yaml:6:34: peer.listen: 0.0.0.0:7000 is all addresses: peer.advertise must say which one other nodes reach "
                  "this one by\n");
    expect_errors(CLUSTER SERVERS "peer: { security: plain, advertise: \"[::]:7000\" }\n"
                                  "http: [ { advertise: \"0.0.0.0:80\" } ]\n",
                  NULL,
                  "test.yaml:6:37: peer.advertise: nobody can connect to [::]:7000: expected a name or an address\n"
                  "test.yaml:7:22: http.0.advertise: nobody can connect to 0.0.0.0:80: expected a name or an address\n");
    aff_config_free(load(CLUSTER SERVERS "peer: { security: plain, listen: \"0.0.0.0:7000\", advertise: \"n1.example:7000\" }\n", NULL));
}

static void nodes_are_assigned_to_partitions(void **state)
{
    (void)state;
    static const sets_t sets = { "keyspaces.a.assign.3=n3 , n1" };
    struct aff_config *c = load("keyspaces:\n"
                                "  a:\n"
                                "    partitions: 4\n"
                                "    assign: { 0: [n1, n-2], 1-2: \"n2,n3\" }\n",
                                sets);
    const char *const *const *lists = aff_config_assigned(&c->keyspaces[0]);
    static const char *const expected[4][2] = { { "n1", "n-2" }, { "n2", "n3" }, { "n2", "n3" }, { "n3", "n1" } };
    for (size_t p = 0; p < 4; p++)
        for (size_t i = 0; i < 2; i++)
            assert_string_equal(lists[p][i], expected[p][i]);
    free((void *)lists);
    aff_config_free(c);
}

static void assignments_that_cannot_be_are_refused(void **state)
{
    (void)state;
    expect_errors("keyspaces:\n"
                  "  a:\n"
                  "    partitions: 4\n"
                  "    assign:\n"
                  "      0-4: [n1, n2]\n"
                  "      x: [n1, n2]\n"
                  "      0: n1\n"
                  "      1: [n1, n1]\n"
                  "      2: [N1, n2]\n"
                  "      3: { n1: n2 }\n",
                  NULL,
                  "test.yaml:5:7: keyspaces.a.assign.0-4: these are no partitions: expected a number from 0 to 3, or several of them "
                  "such as 0-3\n"
                  "test.yaml:6:7: keyspaces.a.assign.x: these are no partitions: expected a number from 0 to 3, or several of them "
                  "such as 0-3\n"
                  "test.yaml:7:7: keyspaces.a.assign.0: has 1 nodes, and replicas is 2\n"
                  "test.yaml:8:7: keyspaces.a.assign.1: n1 stands there twice\n"
                  "test.yaml:9:7: keyspaces.a.assign.2: N1 is not the name of a node\n"
                  "test.yaml:10:10: keyspaces.a.assign.3: expected a list of node names, such as [n1, n2]\n");
    expect_errors("keyspaces: { a: { partitions: 4, replicas: 1, assign: { 0-1: n1, 1-3: n2 } } }\n", NULL,
                  "test.yaml:1:66: keyspaces.a.assign.1-3: a partition of it stands in another line, too\n");
    expect_errors("keyspaces: { a: { partitions: 4, replicas: 1, assign: { 0-1: n1, 2: n2 } } }\n", NULL,
                  "test.yaml:1:57: keyspaces.a.assign: partition 3 has no nodes: all 4 partitions must be given\n");
    expect_errors("keyspaces: { a: { assign: [n1] } }\n", NULL,
                  "test.yaml:1:27: keyspaces.a.assign: expected a map of partitions, not a list\n");
}

/* What is printed loads again to the same. */
static void assignments_are_printed(void **state)
{
    (void)state;
    struct aff_config *c = load("keyspaces: { a: { partitions: 2, assign: { 0: [n1, n2], 1: [n2, n1] } } }\n", NULL);
    char *text = NULL;
    size_t len;
    FILE *to = open_memstream(&text, &len);
    aff_config_print(c, to);
    fclose(to);
    aff_config_free(c);
    assert_non_null(strstr(text, "    assign:\n      0: \"n1, n2\"\n      1: \"n2, n1\"\n"));
    c = load(text, NULL);
    assert_int_equal(c->keyspaces[0].assign.count, 2);
    aff_config_free(c);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_cluster_needs_is_named),
        cmocka_unit_test(a_cluster_has_defaults),
        cmocka_unit_test(times_without_a_lease_are_refused_with_those_that_have_one),
        cmocka_unit_test(servers_are_addresses),
        cmocka_unit_test(a_password_is_not_shown),
        cmocka_unit_test(others_must_be_able_to_reach_a_node),
        cmocka_unit_test(nodes_are_assigned_to_partitions),
        cmocka_unit_test(assignments_that_cannot_be_are_refused),
        cmocka_unit_test(assignments_are_printed),
    };
    return cmocka_run_group_tests_name("config_cluster", tests, NULL, NULL);
}
