/*
 * coordinator_assignment_test.c - the controller's decision, by cases and by random histories of a cluster in miniature: what must always
 * hold is checked after each decision (assign_world.c), and that it comes to rest, evenly.
 */
#include "assign_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct world *of_nodes(uint64_t seed, int nodes, uint32_t partitions, uint32_t replicas)
{
    struct world *w = world_new(seed);

    world_space(w, "accounts", partitions, replicas, NULL);
    for (int i = 0; i < nodes; i++)
        world_join(w, i, "");
    world_rest(w);
    world_expect_whole(w);
    world_expect_balance(w, true, true);
    return w;
}

static struct aff_chunk_part *part(struct world *w, uint32_t p)
{
    return &w->spaces[0].chunks[p / AFF_CHUNK_PARTITIONS].parts[p % AFF_CHUNK_PARTITIONS];
}

static size_t share(uint32_t partitions, int nodes)
{
    return (partitions + (uint32_t)nodes - 1) / (uint32_t)nodes;
}

static void test_first_placing(void **state)
{
    (void)state;
    for (int nodes = 1; nodes <= 7; nodes++)
        for (uint32_t replicas = 1; replicas <= 5; replicas++) {
            struct world *w = of_nodes((uint64_t)nodes * 10 + replicas, nodes, 24, replicas);
            assert_int_equal(w->replicas_moved, 0); /* it was right at once */
            assert_true(w->masters_moved <= 2);
            world_free(w);
        }
}

static void test_a_join_moves_a_share(void **state)
{
    (void)state;
    for (int nodes = 1; nodes <= 6; nodes++)
        for (uint32_t replicas = 1; replicas <= 4; replicas++)
            for (uint32_t partitions = 5; partitions <= 60; partitions += 11) {
                struct world *w = of_nodes((uint64_t)nodes * 1000 + replicas * 100 + partitions, nodes, partitions,
                                           replicas);
                w->masters_moved = 0;
                world_join(w, nodes, "");
                world_rest(w);
                world_expect_whole(w);
                world_expect_balance(w, true, true);
                if (w->masters_moved > share(partitions, nodes + 1))
                    fail_msg("%zu of %u masterships moved when node %d joined, with %u replicas; at most %zu should",
                             w->masters_moved, partitions, nodes + 1, replicas, share(partitions, nodes + 1));
                if (w->replicas_moved > share(partitions * replicas, nodes + 1) && (uint32_t)nodes >= replicas)
                    fail_msg("%zu replicas moved when node %d joined; at most %zu should", w->replicas_moved, nodes + 1,
                             share(partitions * replicas, nodes + 1));
                world_free(w);
            }
}

static void test_a_crash_moves_what_it_led(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct world *w = of_nodes(seed, 5, 40, 3);
        struct aff_chunk before = w->spaces[0].chunks[0];
        world_crash(w, 2);
        world_round(w);
        for (uint32_t p = 0; p < 40; p++)
            if (!aff_member_of(before.parts[p].owner, "n2"))
                assert_string_equal(part(w, p)->owner, before.parts[p].owner);
        world_rest(w);
        world_expect_whole(w);
        assert_int_equal(w->replicas_moved, 0); /* it may come back */
        world_join(w, 2, "");
        world_rest(w);
        world_expect_balance(w, true, true);
        assert_int_equal(w->replicas_moved, 0);
        world_gone(w, 2);
        world_rest(w);
        world_expect_whole(w);
        world_expect_balance(w, true, true);
        assert_int_equal(world_holds(w, 2), 0);
        world_free(w);
    }
}

static void test_draining(void **state)
{
    struct world *w = of_nodes(7, 3, 24, 2);
    size_t held = world_holds(w, 1);

    (void)state;
    w->nodes[1].draining = true;
    world_rest(w);
    assert_int_equal(world_leads(w, 1), 0);
    assert_int_equal(world_holds(w, 1), held);
    assert_int_equal(w->replicas_moved, 0);
    world_join(w, 1, ""); /* started again */
    world_rest(w);
    world_expect_balance(w, true, true);
    assert_int_equal(w->replicas_moved, 0);
    for (int i = 0; i < 3; i++)
        w->nodes[i].draining = true; /* nobody to take it: it goes on */
    world_rest(w);
    world_expect_whole(w);
    world_free(w);
}

/* With two replicas each mastership has but one place to go, wherever that leads to. */
static void leaves(int nodes, uint32_t partitions, bool drains)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct world *w = of_nodes(seed, nodes, partitions, 2);
        int node = (int)world_random(w, (uint32_t)nodes);
        size_t led = world_leads(w, node);

        w->masters_moved = 0;
        if (drains) {
            w->nodes[node].draining = true;
            world_rest(w);
        }
        world_crash(w, node);
        world_rest(w);
        world_expect_whole(w);
        if (w->masters_moved != (drains ? led : 0))
            fail_msg("seed %d: %zu hand-overs when a node of %d left that led %zu of %u", (int)seed, w->masters_moved,
                     nodes, led, partitions);
        w->masters_moved = 0;
        world_join(w, node, "");
        world_rest(w);
        world_expect_balance(w, true, true);
        if (w->masters_moved > share(partitions, nodes))
            fail_msg("seed %d: %zu hand-overs when it was back; at most %zu should", (int)seed, w->masters_moved,
                     share(partitions, nodes));
        assert_int_equal(w->replicas_moved, 0);
        world_free(w);
    }
}

static void test_a_leave_moves_what_it_led(void **state)
{
    (void)state;
    for (int nodes = 2; nodes <= 6; nodes++)
        for (uint32_t partitions = 6; partitions <= 40; partitions += 17) {
            leaves(nodes, partitions, true);
            leaves(nodes, partitions, false);
        }
}

static void test_who_joins_while_another_is_away_gets_its_share(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct world *w = of_nodes(seed, 4, 24, 2);

        world_crash(w, 1);
        world_rest(w);
        world_join(w, 4, "");
        world_rest(w);
        world_expect_whole(w);
        if (world_leads(w, 4) < 24 / 5)
            fail_msg("seed %d: it leads %zu of 24, among five", (int)seed, world_leads(w, 4));
        world_gone(w, 1);
        world_rest(w);
        world_expect_whole(w);
        world_expect_balance(w, true, true);
        world_free(w);
    }
}

static void test_few_at_a_time(void **state)
{
    struct world *w = of_nodes(3, 2, 64, 2);

    (void)state;
    w->moves = 3;
    w->handovers = 2;
    world_join(w, 2, "");
    for (int round = 0; round < 200; round++) {
        size_t moving = 0, aimed = 0;
        world_round(w);
        for (uint32_t p = 0; p < 64; p++) {
            moving += part(w, p)->leaving != 0;
            aimed += part(w, p)->next[0] != '\0';
        }
        assert_true(moving <= 3);
        assert_true(aimed <= 2 + 3); /* of a move, the hand-over comes as soon as it can */
    }
    world_rest(w);
    world_expect_balance(w, true, true);
    world_free(w);
}

static void test_zones(void **state)
{
    static const char *const zones[] = { "a", "b", "c" };
    struct world *w = world_new(5);

    (void)state;
    world_space(w, "accounts", 30, 3, NULL);
    for (int i = 0; i < 6; i++)
        world_join(w, i, zones[i / 2]);
    world_rest(w);
    world_expect_whole(w);
    world_expect_balance(w, true, true);
    for (uint32_t p = 0; p < 30; p++) {
        int seen = 0;
        for (int i = 0; i < 3; i++)
            seen |= 1 << ((part(w, p)->replicas[i][1] - '0') / 2);
        assert_int_equal(seen, 7);
    }
    assert_int_equal(w->replicas_moved, 0);
    world_free(w);

    /* Two zones that become three: the replicas spread. */
    w = world_new(6);
    world_space(w, "accounts", 30, 3, NULL);
    for (int i = 0; i < 4; i++)
        world_join(w, i, zones[i / 2]);
    world_rest(w);
    world_join(w, 4, "c");
    world_join(w, 5, "c");
    world_rest(w);
    world_expect_whole(w);
    world_expect_balance(w, true, true);
    for (uint32_t p = 0; p < 30; p++)
        assert_true(aff_chunk_replica(part(w, p), "n4") >= 0 || aff_chunk_replica(part(w, p), "n5") >= 0);
    world_free(w);
}

static void test_in_step_first(void **state)
{
    struct world *w = of_nodes(9, 3, 1, 3);
    int owner = part(w, 0)->owner[1] - '0', good = (owner + 1) % 3, bad = (owner + 2) % 3;

    (void)state;
    w->nodes[good].applied[0][0] = 5000;
    w->nodes[bad].states[0][0] = AFF_SEAT_BEHIND;
    w->nodes[bad].applied[0][0] = 9000; /* of another log; its word that it is behind counts */
    w->catches_up = 0;
    world_round(w);
    world_crash(w, owner);
    world_round(w);
    assert_int_equal(part(w, 0)->owner[1] - '0', good);
    world_crash(w, good);
    world_round(w);
    assert_int_equal(part(w, 0)->owner[1] - '0', bad); /* no other is left */
    world_free(w);
}

static void test_stalled_gets_nothing(void **state)
{
    struct world *w = of_nodes(9, 3, 1, 3);
    int owner = part(w, 0)->owner[1] - '0';
    char member[AFF_MEMBER_MAX + 1];
    aff_error err;

    (void)state;
    memcpy(member, part(w, 0)->owner, sizeof member);
    w->nodes[(owner + 1) % 3].states[0][0] = AFF_SEAT_STALLED;
    world_round(w);
    assert_int_equal(aff_chunk_release(part(w, 0), member, "stalled", &err), 0);
    world_rest(w);
    assert_int_equal(part(w, 0)->owner[1] - '0', (owner + 2) % 3);
    world_free(w);
}

static void test_patience(void **state)
{
    struct world *w = world_new(4);

    (void)state;
    world_space(w, "accounts", 12, 3, NULL);
    w->patient = true;
    world_join(w, 0, "");
    world_join(w, 1, "");
    world_rest(w);
    assert_int_equal(part(w, 0)->replicas_count, 0);
    world_join(w, 2, "");
    world_rest(w);
    world_expect_whole(w);
    world_expect_balance(w, true, true);
    assert_int_equal(w->replicas_moved, 0);
    world_free(w);

    w = world_new(4); /* and when it ends, those who are there take everything */
    world_space(w, "accounts", 12, 3, NULL);
    world_join(w, 0, "");
    world_rest(w);
    world_expect_whole(w);
    world_free(w);
}

static void test_static_lists(void **state)
{
    static const char *const one[] = { "n2", "n0" }, *const two[] = { "n1", "n2" }, *const changed[] = { "n0", "n1" };
    const char *const *lists[] = { one, two };
    struct world *w = world_new(4);

    (void)state;
    world_space(w, "fixed", 2, 2, lists);
    for (int i = 0; i < 3; i++)
        world_join(w, i, "");
    world_rest(w);
    world_expect_whole(w);
    assert_true(aff_member_of(part(w, 0)->owner, "n2"));
    assert_true(aff_member_of(part(w, 1)->owner, "n1"));
    world_crash(w, 2);
    world_rest(w);
    assert_true(aff_member_of(part(w, 0)->owner, "n0"));
    world_join(w, 2, "");
    world_rest(w);
    assert_true(aff_member_of(part(w, 0)->owner, "n2")); /* the first of the list leads again */
    lists[0] = changed;
    world_rest(w);
    assert_true(aff_member_of(part(w, 0)->owner, "n0"));
    assert_int_equal(part(w, 0)->replicas_count, 2);
    assert_string_equal(part(w, 0)->replicas[1], "n1");
    world_free(w);
}

static void test_pinned(void **state)
{
    struct world *w = of_nodes(2, 3, 9, 3);
    aff_error err;
    int to = (part(w, 0)->owner[1] - '0' + 1) % 3;

    (void)state;
    assert_int_equal(aff_chunk_aim(part(w, 0), w->nodes[to].name, true, &err), 0);
    world_rest(w);
    assert_int_equal(part(w, 0)->owner[1] - '0', to);
    assert_true(part(w, 0)->pinned);
    world_expect_balance(w, true, true); /* another went the other way */
    world_crash(w, to);
    world_rest(w);
    assert_false(part(w, 0)->pinned);
    world_free(w);
}

static void test_session_lost(void **state)
{
    struct world *w = of_nodes(2, 3, 9, 3);

    (void)state;
    world_new_session(w, 1); /* still leads in the log, and nobody was faster */
    world_rest(w);
    world_expect_whole(w);
    world_expect_balance(w, true, true);
    world_free(w);
}

static void test_fewer_and_more_replicas(void **state)
{
    struct world *w = of_nodes(2, 5, 20, 3);

    (void)state;
    w->spaces[0].replicas = 2;
    world_rest(w);
    world_expect_balance(w, true, true);
    for (uint32_t p = 0; p < 20; p++)
        assert_int_equal(part(w, p)->replicas_count, 2);
    w->spaces[0].replicas = 4;
    world_rest(w);
    world_expect_whole(w);
    world_expect_balance(w, true, true);
    world_free(w);
}

static void test_hand_overs_that_fail_end(void **state)
{
    struct world *w = of_nodes(2, 2, 8, 2);

    (void)state;
    w->nodes[1].draining = true;
    w->fails = 100;
    for (int i = 0; i < 200; i++)
        world_round(w);
    for (uint32_t p = 0; p < 8; p++)
        assert_true(part(w, p)->fails <= AFF_CHUNK_FAILS_MAX);
    world_free(w);
}

/* ---- random histories ---- */

static void something_happens(struct world *w, int nodes)
{
    int node = (int)world_random(w, (uint32_t)nodes);
    bool live = w->nodes[node].live;

    switch (world_random(w, 8)) {
    case 0:
    case 1:
        if (!live)
            world_join(w, node, w->nodes[node].zone);
        break;
    case 2:
        world_crash(w, node);
        break;
    case 3:
        if (!live && w->nodes[node].known)
            world_gone(w, node);
        break;
    case 4:
        if (live)
            w->nodes[node].draining = !w->nodes[node].draining;
        break;
    case 5:
        if (live)
            world_new_session(w, node);
        break;
    case 6:
        w->fails = (int)world_random(w, 30);
        w->catches_up = (int)world_random(w, 100);
        w->falls_behind = (int)world_random(w, 20);
        break;
    default:
        w->patient = !w->patient;
    }
}

/* A history begins and ends: all that are left live, in step, and none is patient. */
static void settle(struct world *w, int nodes)
{
    int live = 0;

    w->patient = false;
    for (int i = 0; i < nodes; i++) {
        if (!w->nodes[i].live && w->nodes[i].known)
            world_gone(w, i);
        if (w->nodes[i].live) /* new sessions: failed hand-overs are forgotten */
            world_new_session(w, i);
        w->nodes[i].draining = false;
        live += w->nodes[i].live;
    }
    if (!live)
        world_join(w, 0, "");
}

static void history(uint64_t seed)
{
    static const char *const one[] = { "n0", "n1" }, *const two[] = { "n3", "n2" }, *const three[] = { "n1", "n3" };
    static const char *const *const lists[] = { one, two, three };
    struct world *w = world_new(seed);
    int nodes = 4 + (int)world_random(w, 5);

    world_space(w, "accounts", 5 + world_random(w, 30), 1 + world_random(w, 4), NULL);
    world_space(w, "sessions", 1 + world_random(w, 8), 1 + world_random(w, 3), NULL);
    world_space(w, "fixed", 3, 2, lists);
    w->moves = 1 + world_random(w, 8);
    w->handovers = 1 + world_random(w, 8);
    for (int i = 0; i < nodes; i++)
        if (world_random(w, 3))
            world_join(w, i, "");
    for (int round = 0; round < 120; round++) {
        if (world_random(w, 4) == 0)
            something_happens(w, nodes);
        world_round(w);
    }
    world_rest(w); /* also as it happens to be, with nodes away and draining */
    settle(w, nodes);
    world_rest(w);
    for (uint32_t p = 0; p < 3; p++) { /* of the lists, whoever is there */
        const struct aff_chunk_part *fixed = &w->spaces[2].chunks[0].parts[p];
        assert_int_equal(fixed->replicas_count, 2);
        assert_false(fixed->pinned);
    }
    w->spaces_count = 2;
    world_expect_whole(w);
    world_expect_balance(w, true, true);
    w->spaces_count = 3;
    world_free(w);
}

static void test_histories(void **state)
{
    const char *only = getenv("AFFINITY_SEED");

    (void)state;
    if (only) {
        history(strtoull(only, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= 400; seed++)
        history(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_placing),
        cmocka_unit_test(test_a_join_moves_a_share),
        cmocka_unit_test(test_a_crash_moves_what_it_led),
        cmocka_unit_test(test_draining),
        cmocka_unit_test(test_a_leave_moves_what_it_led),
        cmocka_unit_test(test_who_joins_while_another_is_away_gets_its_share),
        cmocka_unit_test(test_few_at_a_time),
        cmocka_unit_test(test_zones),
        cmocka_unit_test(test_in_step_first),
        cmocka_unit_test(test_stalled_gets_nothing),
        cmocka_unit_test(test_patience),
        cmocka_unit_test(test_static_lists),
        cmocka_unit_test(test_pinned),
        cmocka_unit_test(test_session_lost),
        cmocka_unit_test(test_fewer_and_more_replicas),
        cmocka_unit_test(test_hand_overs_that_fail_end),
        cmocka_unit_test(test_histories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
