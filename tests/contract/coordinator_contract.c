/*
 * coordinator_contract.c - the contract of core/coordinator/coordinator.h, as tests. What a seat may rely on is run against either
 * driver, its name is the first argument; the cluster's part (coordinator_cluster_contract.c) only against `zookeeper`, whose servers are
 * named by AFFINITY_TEST_ZOOKEEPER and worked by scripts/zookeeper in AFFINITY_TEST_ZOOKEEPER_DIR (tests/coordinator).
 */
#include "coordinator_contract.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *connect_to;
static unsigned clusters;

void contract_cluster(struct cluster *cluster, uint32_t partitions, uint32_t replicas)
{
    char name[AFF_NODE_NAME_MAX + 1];

    (void)snprintf(name, sizeof name, "c%d_%u", (int)getpid(), ++clusters);
    cluster_init(cluster, connect_to, name, partitions, replicas);
}

/* ---- what a seat may rely on ---- */

static void a_seat_hosts_then_leads_with_an_epoch_above_the_one_it_asked_for(void **state)
{
    struct cluster cluster;
    struct node *node;

    (void)state;
    contract_cluster(&cluster, 2, 1);
    cluster.log[1].highest = 41;
    node = node_start(&cluster, 0);
    await_that(&cluster, node_leads(node) == 2);
    assert_int_equal(atomic_load(&node->seats[0].major), 1);
    assert_int_equal(atomic_load(&node->seats[1].major), 42);
    assert_string_equal(node_trace(node, 0), " host lead granted(1)");
    assert_string_equal(node_trace(node, 1), " host lead granted(42)");
    cluster_fini(&cluster);
}

static void nothing_comes_after_leave(void **state)
{
    struct cluster cluster;
    struct node *node;

    (void)state;
    contract_cluster(&cluster, 4, 1);
    node = node_start(&cluster, 0);
    for (uint32_t p = 0; p < 3; p++)
        node_leave(node, p); /* whatever is on its way */
    await_that(&cluster, atomic_load(&node->seats[3].major));
    node_take(node, 0);
    await_that(&cluster, atomic_load(&node->seats[0].major));
    cluster_fini(&cluster);
}

static void who_was_deposed_is_told_to_lead_again_and_gets_a_higher_epoch(void **state)
{
    struct cluster cluster;
    struct node *node;

    (void)state;
    contract_cluster(&cluster, 1, 1);
    node = node_start(&cluster, 0);
    await_that(&cluster, atomic_load(&node->seats[0].major));
    (void)pthread_mutex_lock(&cluster.lock);
    cluster.log[0].highest = 7; /* a stranger's claim */
    (void)pthread_mutex_unlock(&cluster.lock);
    node_deposed(node, 0, 7);
    await_that(&cluster, atomic_load(&node->seats[0].leads) == 2 && atomic_load(&node->seats[0].major));
    assert_int_equal(atomic_load(&node->seats[0].major), 8);
    await_that(&cluster, node_leased(node, 0));
    cluster_fini(&cluster);
}

static void a_leader_may_use_its_lease(void **state)
{
    struct cluster cluster;
    struct node *node;

    (void)state;
    contract_cluster(&cluster, 2, 1);
    node = node_start(&cluster, 0);
    await_that(&cluster, node_leased(node, 0) && node_leased(node, 1));
    cluster_fini(&cluster);
}

static void there_may_be_no_seat_at_all(void **state)
{
    struct cluster cluster;
    struct node *node;

    (void)state;
    contract_cluster(&cluster, 1, 1);
    node = node_make(&cluster, 0); /* never joined */
    node_take(node, 0);
    node_leave(node, 0);
    cluster_fini(&cluster);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seat_hosts_then_leads_with_an_epoch_above_the_one_it_asked_for),
        cmocka_unit_test(nothing_comes_after_leave),
        cmocka_unit_test(who_was_deposed_is_told_to_lead_again_and_gets_a_higher_epoch),
        cmocka_unit_test(a_leader_may_use_its_lease),
        cmocka_unit_test(there_may_be_no_seat_at_all),
    };
    const char *driver = argc > 1 ? argv[1] : "", *part = argc > 2 ? argv[2] : "seats";

    if (argc > 3)
        cmocka_set_test_filter(argv[3]);
    if (strcmp(driver, "zookeeper") == 0)
        connect_to = getenv("AFFINITY_TEST_ZOOKEEPER");
    if (strcmp(driver, "embedded") != 0 && !connect_to) {
        (void)fprintf(stderr,
                      "usage: coordinator_contract embedded | zookeeper seats|cluster|ensemble [TEST] "
                      "with AFFINITY_TEST_ZOOKEEPER=HOST:PORT (tests/coordinator/contract_test.py starts one)\n");
        return 2;
    }
    if (strcmp(part, "cluster") == 0)
        return contract_cluster_tests();
    if (strcmp(part, "ensemble") == 0)
        return contract_ensemble_tests();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
