/*
 * coordinator_cluster_contract.c - several coordinators of the driver `zookeeper` in one process: who gets what when nodes come, go, hand
 * over and fail, and when ZooKeeper does.
 */
#include "coordinator_contract.h"

#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PARTITIONS = 8 };

/* ---- what is looked at ---- */

static uint32_t hosts(const struct node *node)
{
    uint32_t count = 0;

    for (uint32_t p = 0; p < node->cluster->partitions; p++)
        count += atomic_load(&node->seats[p].seat.state) != AFF_SEAT_AWAY;
    return count;
}

static uint32_t leased(const struct node *node)
{
    uint32_t count = 0;

    for (uint32_t p = 0; p < node->cluster->partitions; p++)
        count += node_leased(node, p);
    return count;
}

static uint32_t total_of(const struct node *node, size_t at)
{
    uint32_t total = 0;

    for (uint32_t p = 0; p < node->cluster->partitions; p++)
        total += atomic_load((const atomic_uint *)(const void *)((const char *)&node->seats[p] + at));
    return total;
}

static uint32_t gives(const struct node *node)
{
    return total_of(node, offsetof(struct node_seat, gives));
}

static struct aff_coordinator_health health_of(const struct node *node)
{
    struct aff_coordinator_health health;

    node->c->ops->health(node->c, &health);
    return health;
}

/* Two nodes that lead half of the partitions each, and hold a replica of all. */
static void start_two(struct cluster *cluster, uint32_t partitions, struct node *ret_nodes[2])
{
    contract_cluster(cluster, partitions, 2);
    ret_nodes[0] = node_start(cluster, 0);
    ret_nodes[1] = node_start(cluster, 1);
    await_that(cluster, leased(ret_nodes[0]) + leased(ret_nodes[1]) == partitions);
    await_that(cluster, leased(ret_nodes[0]) == partitions / 2 && leased(ret_nodes[1]) == partitions / 2);
    await_that(cluster, hosts(ret_nodes[0]) == partitions && hosts(ret_nodes[1]) == partitions);
}

/* The node of a partition whose other replica is `other`. */
static struct node *other_of(struct node *const nodes[2], const struct node *node)
{
    return nodes[0] == node ? nodes[1] : nodes[0];
}

/* It may have to wait for a report that says that somebody is in step. */
static void wish(struct node *node, uint32_t partition, const char *to)
{
    aff_error err;

    await_that(node->cluster, node->c->ops->wish(node->c, "accounts", partition, to, &err) == 0);
}

/* ---- nodes come and go ---- */

/* Does the node's view have two replicas and a leader of everything? */
static bool sees_all(const struct node *node)
{
    struct aff_view *view = node->c->ops->view(node->c);
    bool all = view && view->nodes_count == 2 && view->self >= 0 && view->controller >= 0;

    for (uint32_t p = 0; all && p < node->cluster->partitions; p++)
        all = view->spaces[0].parts[p].replicas_count == 2 && view->spaces[0].parts[p].leader >= 0 &&
              view->spaces[0].parts[p].in_step == 3;
    (void)aff_view_drop(view);
    return all;
}

static void two_share_out_and_the_views_say_so(void **state)
{
    struct cluster cluster;
    struct node *nodes[2];

    (void)state;
    start_two(&cluster, PARTITIONS, nodes);
    await_that(&cluster, sees_all(nodes[0]) && sees_all(nodes[1]));
    assert_true(health_of(nodes[0]).registered && !health_of(nodes[0]).trouble[0]);
    cluster_fini(&cluster);
}

/* As when a configuration was copied. */
static void two_processes_of_one_name_are_told(void **state)
{
    struct cluster cluster, copy;
    struct node *one, *other;

    (void)state;
    contract_cluster(&cluster, 1, 1);
    contract_cluster(&copy, 1, 1);
    memcpy(copy.name, cluster.name, sizeof copy.name);
    one = node_start(&cluster, 0);
    await_that(&cluster, leased(one) == 1);
    other = node_start(&copy, 0);
    await_that(&cluster, strstr(health_of(one).trouble, "a name of its own"));
    await_that(&copy, health_of(other).registered);
    cluster_fini(&copy);
    await_that(&cluster, !health_of(one).trouble[0]);
    cluster_fini(&cluster);
}

static void who_remains_leads_what_a_dead_one_led(void **state)
{
    struct cluster cluster;
    struct node *nodes[2];

    (void)state;
    for (unsigned dies = 0; dies < 2; dies++) { /* one of them is the controller */
        start_two(&cluster, PARTITIONS, nodes);
        node_stop(nodes[dies]);
        await_that(&cluster, leased(nodes[1 - dies]) == PARTITIONS);
        assert_int_equal(total_of(nodes[1 - dies], offsetof(struct node_seat, resigns)), 0);
        cluster_fini(&cluster);
    }
}

static void who_joins_takes_its_share_and_no_more(void **state)
{
    struct cluster cluster;
    struct node *nodes[2], *third;
    uint32_t before;

    (void)state;
    start_two(&cluster, 12, nodes);
    before = gives(nodes[0]) + gives(nodes[1]);
    third = node_start(&cluster, 2);
    await_that(&cluster, leased(third) == 4 && leased(nodes[0]) == 4 && leased(nodes[1]) == 4);
    await_that(&cluster, hosts(third) + hosts(nodes[0]) + hosts(nodes[1]) == 24);
    assert_int_equal(total_of(third, offsetof(struct node_seat, leads)), 0); /* each came by a hand-over */
    assert_true(gives(nodes[0]) + gives(nodes[1]) - before <= 4);
    cluster_fini(&cluster);
}

static void who_drains_leads_nothing_and_gets_nothing(void **state)
{
    struct cluster cluster;
    struct node *nodes[2];
    struct aff_view *view = NULL;
    uint32_t gave, led;

    (void)state;
    start_two(&cluster, PARTITIONS, nodes);
    gave = gives(nodes[0]);
    led = total_of(nodes[1], offsetof(struct node_seat, leads));
    nodes[0]->c->ops->drain(nodes[0]->c);
    await_that(&cluster, leased(nodes[1]) == PARTITIONS);
    assert_int_equal(gives(nodes[0]) - gave, PARTITIONS / 2); /* each by a hand-over */
    assert_int_equal(total_of(nodes[1], offsetof(struct node_seat, leads)), led);
    view = nodes[1]->c->ops->view(nodes[1]->c);
    assert_true(view->nodes[0].draining != view->nodes[1].draining);
    (void)aff_view_drop(view);
    cluster_fini(&cluster);
}

/* ---- hand-overs ---- */

static void a_wish_is_a_hand_over_that_is_taken(void **state)
{
    struct cluster cluster;
    struct node *nodes[2], *giver, *receiver;

    (void)state;
    start_two(&cluster, 2, nodes);
    giver = cluster_leader(&cluster, 0);
    receiver = other_of(nodes, giver);
    wish(nodes[0], 0, receiver->name);
    await_that(&cluster, node_leased(receiver, 0));
    assert_int_equal(atomic_load(&giver->seats[0].gives), 1);
    assert_int_equal(atomic_load(&giver->seats[0].resigns), 0);
    assert_int_equal(atomic_load(&receiver->seats[0].leads), 0);
    assert_int_equal(atomic_load(&receiver->seats[0].major), giver->seats[0].give.major);
    cluster_fini(&cluster);
}

static void a_wish_that_cannot_be_is_refused_with_a_reason(void **state)
{
    struct cluster cluster;
    struct node *nodes[2];
    aff_error err;

    (void)state;
    start_two(&cluster, 2, nodes);
    assert_int_equal(nodes[0]->c->ops->wish(nodes[0]->c, "accounts", 0, "nobody", &err), AFF_EINVAL);
    assert_non_null(strstr(err.text, "nobody"));
    assert_int_equal(nodes[0]->c->ops->wish(nodes[0]->c, "accounts", 2, NULL, &err), AFF_EINVAL);
    assert_int_equal(nodes[0]->c->ops->wish(nodes[0]->c, "none", 0, NULL, &err), AFF_EINVAL);
    cluster_fini(&cluster);
}

/* Two nodes, and a hand-over of partition 0 that its master, which is returned, was told to carry out. */
static struct node *start_handover(struct cluster *cluster, struct node *ret_nodes[2], enum give_mode mode)
{
    struct node *giver;

    start_two(cluster, 2, ret_nodes);
    giver = cluster_leader(cluster, 0);
    atomic_store(&giver->give_mode, mode);
    wish(ret_nodes[0], 0, NULL);
    await_that(cluster, atomic_load(&giver->seats[0].gives) == 1);
    return giver;
}

static void a_giver_whose_hand_over_was_refused_goes_on_with_the_epoch_kept_for_it(void **state)
{
    struct cluster cluster;
    struct node *nodes[2], *giver;

    (void)state;
    giver = start_handover(&cluster, nodes, GIVE_REFUSED);
    await_that(&cluster, node_leased(giver, 0));
    assert_int_equal(atomic_load(&giver->seats[0].major), giver->seats[0].give.back);
    assert_int_equal(atomic_load(&giver->seats[0].resigns), 0);
    cluster_fini(&cluster);
}

static void a_receiver_whose_answer_was_lost_leads_and_the_giver_resigns_or_the_other_way_round(void **state)
{
    struct cluster cluster;
    struct node *nodes[2], *giver, *receiver;

    (void)state;
    start_two(&cluster, 2, nodes);
    giver = cluster_leader(&cluster, 0);
    receiver = other_of(nodes, giver);
    cluster.tells = false; /* the giver does not read the receiver's claim */
    atomic_store(&giver->give_mode, GIVE_LOST);
    wish(nodes[0], 0, NULL);
    await_that(&cluster, atomic_load(&receiver->seats[0].major));
    node_gave(giver, 0, false); /* it heard nothing, and the receiver says took() at the same time */
    await_that(&cluster, node_leased(giver, 0) || node_leased(receiver, 0));
    cluster.tells = true;
    await_that(&cluster, node_leased(giver, 0) != node_leased(receiver, 0));
    cluster_fini(&cluster);
}

static void a_receiver_that_leads_and_never_says_so_is_made_the_owner_by_the_giver(void **state)
{
    struct cluster cluster;
    struct node *nodes[2], *giver, *receiver;

    (void)state;
    giver = start_handover(&cluster, nodes, GIVE_SILENT);
    receiver = other_of(nodes, giver);
    node_gave(giver, 0, true);
    await_that(&cluster, node_leased(receiver, 0));
    cluster_fini(&cluster);
}

static void a_giver_that_dies_in_the_middle_is_succeeded_by_the_receiver(void **state)
{
    struct cluster cluster;
    struct node *nodes[2], *giver, *receiver;

    (void)state;
    giver = start_handover(&cluster, nodes, GIVE_SILENT);
    receiver = other_of(nodes, giver);
    node_stop(giver);
    await_that(&cluster, leased(receiver) == 2);
    cluster_fini(&cluster);
}

static void a_receiver_that_dies_in_the_middle_leaves_the_partition_with_the_giver(void **state)
{
    struct cluster cluster;
    struct node *nodes[2], *giver;

    (void)state;
    giver = start_handover(&cluster, nodes, GIVE_SILENT);
    node_stop(other_of(nodes, giver));
    node_gave(giver, 0, false); /* no answer came */
    await_that(&cluster, leased(giver) == 2);
    assert_int_equal(atomic_load(&giver->seats[0].major), giver->seats[0].give.back);
    cluster_fini(&cluster);
}

/* ---- masters that are of no use ---- */

static void a_master_whose_log_stalls_is_released_when_another_can(void **state)
{
    struct cluster cluster;
    struct node *nodes[2], *master, *other;

    (void)state;
    start_two(&cluster, 2, nodes);
    master = cluster_leader(&cluster, 0);
    other = other_of(nodes, master);
    node_state(master, 0, AFF_SEAT_STALLED);
    await_that(&cluster, node_leased(other, 0));
    assert_int_equal(atomic_load(&master->seats[0].resigns), 1);
    cluster_fini(&cluster);
}

static void a_master_whose_log_stalls_for_all_stays(void **state)
{
    struct cluster cluster;
    struct node *nodes[2], *master;
    unsigned changes;

    (void)state;
    start_two(&cluster, 2, nodes);
    master = cluster_leader(&cluster, 0);
    node_state(other_of(nodes, master), 0, AFF_SEAT_STALLED);
    node_state(master, 0, AFF_SEAT_STALLED);
    changes = atomic_load(&master->changes);
    await_that(&cluster, atomic_load(&master->changes) > changes + 4); /* as many rounds of reports */
    assert_int_equal(atomic_load(&master->seats[0].resigns), 0);
    cluster_fini(&cluster);
}

static void a_node_whose_loops_stand_loses_its_lease_at_first(void **state)
{
    struct cluster cluster;
    struct node *nodes[2];

    (void)state;
    start_two(&cluster, 2, nodes);
    node_freeze(nodes[0], true);
    await_that(&cluster, leased(nodes[0]) == 0);
    assert_int_equal(node_leads(nodes[0]), 1);
    node_freeze(nodes[0], false);
    await_that(&cluster, leased(nodes[0]) == 1);
    assert_int_equal(total_of(nodes[0], offsetof(struct node_seat, resigns)), 0);
    cluster_fini(&cluster);
}

static void a_node_whose_loops_stand_for_long_is_succeeded(void **state)
{
    struct cluster cluster;
    struct node *nodes[2];

    (void)state;
    start_two(&cluster, 2, nodes);
    node_freeze(nodes[0], true);
    await_that(&cluster, leased(nodes[1]) == 2);
    await_that(&cluster, strstr(health_of(nodes[0]).trouble, "stands still"));
    assert_int_equal(atomic_load(&nodes[0]->sessions), 1);
    node_freeze(nodes[0], false);
    await_that(&cluster, leased(nodes[0]) == 1 && leased(nodes[1]) == 1);
    assert_int_equal(atomic_load(&nodes[0]->sessions), 2);
    cluster_fini(&cluster);
}

/* ---- sessions ---- */

static void a_new_incarnation_keeps_what_the_old_one_led(void **state)
{
    struct cluster cluster;
    struct node *node;

    (void)state;
    contract_cluster(&cluster, 2, 1);
    node = node_start(&cluster, 0);
    await_that(&cluster, leased(node) == 2);
    node_close_session(node);
    await_that(&cluster, atomic_load(&node->sessions) == 2 && leased(node) == 2);
    assert_int_equal(total_of(node, offsetof(struct node_seat, resigns)), 0);
    assert_int_equal(total_of(node, offsetof(struct node_seat, leads)), 2);
    cluster_fini(&cluster);
}

static void a_session_that_is_closed_gives_the_partitions_to_others_at_once(void **state)
{
    struct cluster cluster;
    struct node *nodes[2];

    (void)state;
    start_two(&cluster, PARTITIONS, nodes);
    node_close_session(nodes[0]);
    await_that(&cluster, atomic_load(&nodes[0]->sessions) == 2);
    await_that(&cluster, leased(nodes[0]) + leased(nodes[1]) == PARTITIONS); /* whoever was faster */
    await_that(&cluster,
               leased(nodes[0]) == PARTITIONS / 2 && leased(nodes[1]) == PARTITIONS / 2); /* and then in balance */
    cluster_fini(&cluster);
}

static void a_session_that_is_over_is_closed_already(void **state)
{
    static const unsigned char password[16];
    struct cluster cluster;
    aff_error err;

    (void)state;
    contract_cluster(&cluster, 1, 1);
    assert_int_equal(aff_zookeeper_close_session(cluster.connect, 0x123456789, password, 10000, &err), 0);
    assert_int_equal(aff_zookeeper_close_session("127.0.0.1:1", 0x123456789, password, 100, &err), AFF_ETIMEDOUT);
    cluster_fini(&cluster);
}

/* ---- who may ---- */

static void with_a_user_only_this_user_may(void **state)
{
    struct cluster cluster, stranger;
    struct node *node;

    (void)state;
    contract_cluster(&cluster, 1, 1);
    cluster.auth = "affinity:secret";
    node = node_start(&cluster, 0);
    await_that(&cluster, leased(node) == 1);

    contract_cluster(&stranger, 1, 1);
    memcpy(stranger.name, cluster.name, sizeof stranger.name);
    stranger.auth = "affinity:guessed";
    node = node_start(&stranger, 1);
    await_that(&stranger, health_of(node).trouble[0]);
    assert_non_null(strstr(health_of(node).trouble, "user and password"));
    assert_false(health_of(node).registered);
    cluster_fini(&stranger);
    cluster_fini(&cluster);
}

static void a_session_too_short_for_a_lease_is_refused(void **state)
{
    const struct aff_coordinator_zookeeper_opts opts = {
        .cluster = "c", .connect = "127.0.0.1:1", .session_ms = 2000, .tick_ms = 2000
    };
    struct aff_coordinator *c = NULL;
    aff_error err;

    (void)state;
    assert_int_equal(aff_coordinator_zookeeper_new(&opts, &c, &err), AFF_ECONFIG);
    assert_non_null(strstr(err.text, "too short"));
}

int contract_cluster_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_share_out_and_the_views_say_so),
        cmocka_unit_test(two_processes_of_one_name_are_told),
        cmocka_unit_test(who_remains_leads_what_a_dead_one_led),
        cmocka_unit_test(who_joins_takes_its_share_and_no_more),
        cmocka_unit_test(who_drains_leads_nothing_and_gets_nothing),
        cmocka_unit_test(a_wish_is_a_hand_over_that_is_taken),
        cmocka_unit_test(a_wish_that_cannot_be_is_refused_with_a_reason),
        cmocka_unit_test(a_giver_whose_hand_over_was_refused_goes_on_with_the_epoch_kept_for_it),
        cmocka_unit_test(a_receiver_whose_answer_was_lost_leads_and_the_giver_resigns_or_the_other_way_round),
        cmocka_unit_test(a_receiver_that_leads_and_never_says_so_is_made_the_owner_by_the_giver),
        cmocka_unit_test(a_giver_that_dies_in_the_middle_is_succeeded_by_the_receiver),
        cmocka_unit_test(a_receiver_that_dies_in_the_middle_leaves_the_partition_with_the_giver),
        cmocka_unit_test(a_master_whose_log_stalls_is_released_when_another_can),
        cmocka_unit_test(a_master_whose_log_stalls_for_all_stays),
        cmocka_unit_test(a_node_whose_loops_stand_loses_its_lease_at_first),
        cmocka_unit_test(a_node_whose_loops_stand_for_long_is_succeeded),
        cmocka_unit_test(a_new_incarnation_keeps_what_the_old_one_led),
        cmocka_unit_test(a_session_that_is_closed_gives_the_partitions_to_others_at_once),
        cmocka_unit_test(a_session_that_is_over_is_closed_already),
        cmocka_unit_test(with_a_user_only_this_user_may),
        cmocka_unit_test(a_session_too_short_for_a_lease_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* ---- servers go away ---- */

/* scripts/zookeeper, in the folder of this test's servers; false when it refused. */
static bool zookeeper(const char *command)
{
    char line[1024];

    (void)snprintf(line, sizeof line, "%s %s --dir %s >/dev/null", getenv("AFFINITY_TEST_ZOOKEEPER_SCRIPT"), command,
                   getenv("AFFINITY_TEST_ZOOKEEPER_DIR"));
    return system(line) == 0;
}

/* 0: none does. */
static unsigned leading_server(void)
{
    char line[1024], word[16] = "";
    FILE *out;

    (void)snprintf(line, sizeof line, "%s leader --dir %s 2>/dev/null", getenv("AFFINITY_TEST_ZOOKEEPER_SCRIPT"),
                   getenv("AFFINITY_TEST_ZOOKEEPER_DIR"));
    out = popen(line, "r");
    assert_non_null(out);
    (void)!fgets(word, sizeof word, out);
    (void)pclose(out);
    return (unsigned)strtoul(word, NULL, 10);
}

static void work_server(const char *command, unsigned server)
{
    char words[64];

    (void)snprintf(words, sizeof words, "%s --server %u", command, server);
    assert_true(zookeeper(words));
}

static void nobody_loses_anything_when_the_leading_server_dies(void **state)
{
    struct cluster cluster;
    struct node *nodes[2];
    unsigned server = leading_server();

    (void)state;
    start_two(&cluster, PARTITIONS, nodes);
    work_server("kill", server);
    await_that(&cluster, leading_server() != 0 && leading_server() != server);
    node_stop(nodes[1]); /* and it works: somebody has to take over */
    await_that(&cluster, leased(nodes[0]) == PARTITIONS);
    assert_int_equal(atomic_load(&nodes[0]->sessions), 1);
    assert_int_equal(total_of(nodes[0], offsetof(struct node_seat, resigns)), 0);
    cluster_fini(&cluster);
    work_server("restart", server);
}

static void nothing_is_taken_while_all_servers_are_away(void **state)
{
    struct cluster cluster;
    struct node *nodes[2];

    (void)state;
    start_two(&cluster, PARTITIONS, nodes);
    assert_true(zookeeper("stop"));
    await_that(&cluster, leased(nodes[0]) == 0 && leased(nodes[1]) == 0);
    await_that(&cluster, !health_of(nodes[0]).connected && health_of(nodes[0]).trouble[0]);
    assert_int_equal(node_leads(nodes[0]) + node_leads(nodes[1]), PARTITIONS);
    assert_true(zookeeper("start"));
    await_that(&cluster, leased(nodes[0]) == PARTITIONS / 2 && leased(nodes[1]) == PARTITIONS / 2);
    cluster_fini(&cluster);
}

int contract_ensemble_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_loses_anything_when_the_leading_server_dies),
        cmocka_unit_test(nothing_is_taken_while_all_servers_are_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
