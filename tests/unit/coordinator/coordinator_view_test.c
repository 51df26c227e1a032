/*
 * coordinator_view_test.c - the view that a node makes of members, chunks and reports.
 */
#include "coordinator/assignment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_view(void **state)
{
    static struct aff_chunk chunk;
    struct aff_view_node nodes[] = {
        { .name = "n1", .incarnation = 1, .live = true, .features = 7 },
        { .name = "n2", .incarnation = 2, .live = true, .features = 5, .http = "h:2" },
        { .name = "n1", .incarnation = 5, .live = true, .features = 3 }, /* n1-1 has not ended yet */
    };
    struct aff_members living = { nodes, 3 };
    struct aff_assign_space space = { .name = "accounts", .partitions = 3, .replicas = 2, .chunks = &chunk };
    struct aff_report one, two, three;
    const struct aff_report *const reports[] = { &one, &two, &three };
    struct aff_view_sources sources = { .self = "n2",
                                        .controller = "n1-0000000005",
                                        .generation = 9,
                                        .spaces = &space,
                                        .spaces_count = 1,
                                        .living = &living,
                                        .reports = reports,
                                        .reports_count = 3 };
    const char *const replicas[] = { "n1", "n2", "n3" };
    struct aff_view *view = NULL;
    struct aff_view_part *part = NULL;
    aff_error err;

    (void)state;
    aff_chunk_init(&chunk, "accounts", 3, 0);
    for (int p = 0; p < 3; p++)
        assert_int_equal(aff_chunk_place(&chunk.parts[p], replicas, 3, 0, &err), 0);
    assert_int_equal(aff_chunk_grant(&chunk.parts[0], "n1-0000000001", &living, &err), 0);
    assert_int_equal(aff_chunk_aim(&chunk.parts[0], "n2", false, &err), 0);
    assert_int_equal(aff_chunk_grant(&chunk.parts[1], "n2-0000000002", &living, &err), 0);
    assert_int_equal(aff_chunk_offer(&chunk.parts[1], "n2-0000000002", "n1-0000000005", &living, &err), 0);
    aff_report_init(&one, "n1-0000000001", true); /* of one that is not the node any more */
    aff_report_add(&one, "accounts", 0, AFF_SEAT_LEADS, 10);
    aff_report_init(&two, "n2-0000000002", false);
    aff_report_add(&two, "accounts", 0, AFF_SEAT_IN_STEP, 10);
    aff_report_init(&three, "n3-0000000009", false); /* gone */
    aff_report_add(&three, "accounts", 0, AFF_SEAT_IN_STEP, 10);

    view = aff_view_build(&sources);
    assert_int_equal(view->nodes_count, 3);
    assert_int_equal(view->self, 1);
    assert_int_equal(view->controller, 0);
    assert_int_equal(view->generation, 9);
    assert_int_equal(view->nodes[0].incarnation, 5);
    assert_false(view->nodes[0].draining);
    assert_string_equal(view->nodes[1].http, "h:2");
    assert_string_equal(view->nodes[2].name, "n3");
    assert_int_equal(view->nodes[2].incarnation, 9);
    assert_false(view->nodes[2].live);
    assert_int_equal(aff_view_features(view), 1);

    part = &view->spaces[0].parts[0];
    assert_int_equal(part->leader, 0); /* that session has not ended */
    assert_int_equal(part->epoch, 1);
    assert_int_equal(part->target, 1);
    assert_int_equal(part->next, -1);
    assert_int_equal(part->replicas_count, 3);
    assert_int_equal(part->replicas[2], 2);
    assert_int_equal(part->in_step, 2);
    assert_int_equal(part->states[0], AFF_SEAT_AWAY); /* what the other incarnation said does not count */
    assert_int_equal(part->applied[0], -1);
    assert_int_equal(part->states[1], AFF_SEAT_IN_STEP);
    assert_int_equal(part->applied[1], 10);
    assert_true(aff_view_due(view, part));
    assert_int_equal(aff_view_best(view, part), 1);
    part = &view->spaces[0].parts[1];
    assert_int_equal(part->leader, 1);
    assert_int_equal(part->next, 0);
    assert_false(aff_view_due(view, part));
    part = &view->spaces[0].parts[2];
    assert_int_equal(part->leader, -1);
    assert_int_equal(aff_view_best(view, part), 0); /* nothing is known of it */
    (void)aff_view_drop(view);
    aff_report_fini(&one);
    aff_report_fini(&two);
    aff_report_fini(&three);
}

/* n1 leads, n2 and n3 are its standbys. */
static void who_is_best_to_lead_is_in_step_or_may_come_to_be(void **state)
{
    struct aff_view_node nodes[] = { { .live = true }, { .live = true }, { .live = true } };
    struct aff_view view = { .nodes_count = 3, .nodes = nodes };
    struct aff_view_part part = { .leader = 0,
                                  .replicas_count = 3,
                                  .replicas = { 0, 1, 2 },
                                  .in_step = 1 | 4,
                                  .states = { AFF_SEAT_LEADS, AFF_SEAT_BEHIND, AFF_SEAT_IN_STEP } };

    (void)state;
    assert_int_equal(aff_view_best(&view, &part), 2);
    part.in_step = 1;
    part.states[2] = AFF_SEAT_FAILED;
    assert_int_equal(aff_view_best(&view, &part), 1);
    part.states[1] = AFF_SEAT_LEADS; /* it handed over since it told that */
    assert_int_equal(aff_view_best(&view, &part), 1);
    part.states[1] = AFF_SEAT_AWAY; /* it has just come */
    assert_int_equal(aff_view_best(&view, &part), 1);
    part.states[1] = AFF_SEAT_STALLED;
    assert_int_equal(aff_view_best(&view, &part), -1);
    part.states[1] = AFF_SEAT_BEHIND;
    nodes[1].draining = true;
    assert_int_equal(aff_view_best(&view, &part), -1);
    nodes[1] = (struct aff_view_node){ .live = false };
    assert_int_equal(aff_view_best(&view, &part), -1);
}

/* Its session was lost, and it is another incarnation now: others ask it on, as long as it says that it leads. */
static void a_node_that_leads_on_is_the_leader_until_the_controller_decided(void **state)
{
    static struct aff_chunk chunk;
    struct aff_view_node nodes[] = { { .name = "n1", .incarnation = 1, .live = true } };
    struct aff_members living = { nodes, 1 };
    struct aff_assign_space space = { .name = "accounts", .partitions = 2, .replicas = 1, .chunks = &chunk };
    struct aff_report report;
    const struct aff_report *const reports[] = { &report };
    struct aff_view_sources sources = {
        .self = "n1", .spaces = &space, .spaces_count = 1, .living = &living, .reports = reports, .reports_count = 1
    };
    const char *const replicas[] = { "n1" };
    struct aff_view *view;
    aff_error err;

    (void)state;
    aff_chunk_init(&chunk, "accounts", 2, 0);
    for (int p = 0; p < 2; p++) {
        assert_int_equal(aff_chunk_place(&chunk.parts[p], replicas, 1, 0, &err), 0);
        assert_int_equal(aff_chunk_grant(&chunk.parts[p], "n1-0000000001", &living, &err), 0);
    }
    nodes[0].incarnation = 2;
    aff_report_init(&report, "n1-0000000002", false);
    aff_report_add(&report, "accounts", 0, AFF_SEAT_LEADS, 10);
    aff_report_add(&report, "accounts", 1, AFF_SEAT_IN_STEP, 10);
    view = aff_view_build(&sources);
    assert_int_equal(view->spaces[0].parts[0].leader, 0);
    assert_int_equal(view->spaces[0].parts[1].leader, -1);
    (void)aff_view_drop(view);
    aff_report_fini(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_view),
        cmocka_unit_test(who_is_best_to_lead_is_in_step_or_may_come_to_be),
        cmocka_unit_test(a_node_that_leads_on_is_the_leader_until_the_controller_decided),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
