/*
 * coordinator_embedded_test.c - the coordinator of a single node: it wants to lead, grants what is above, waits after a defeat.
 */
#include "coordinator/coordinator.h"
#include "lib/virtual_clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct fixture {
    struct aff_virtual_clock clock;
    struct aff_loop *loop;
    struct aff_coordinator *coordinator;
    struct aff_seat seat;
    int hosts, leads;
    uint32_t granted;
    bool inside; /* a call of the coordinator's */
};

static void on_host(struct aff_seat *seat)
{
    struct fixture *f = aff_container_of(seat, struct fixture, seat);

    assert_false(f->inside);
    assert_int_equal(f->leads, 0);
    f->hosts++;
}

static void on_lead(struct aff_seat *seat)
{
    struct fixture *f = aff_container_of(seat, struct fixture, seat);

    assert_false(f->inside);
    f->leads++;
}

static void on_resign(struct aff_seat *seat)
{
    (void)seat;
    fail_msg("the embedded coordinator never takes a partition away");
}

static void on_granted(struct aff_seat *seat, uint32_t major)
{
    struct fixture *f = aff_container_of(seat, struct fixture, seat);

    assert_false(f->inside);
    f->granted = major;
}

static void begin(struct fixture *f, bool exclusive)
{
    struct aff_coordinator_embedded_opts opts = { .exclusive = exclusive };
    struct aff_loop_opts loop = { .name = "test" };
    aff_error err = { 0 };

    memset(f, 0, sizeof *f);
    aff_virtual_clock_init(&f->clock);
    loop.clock = &f->clock.clock;
    assert_int_equal(aff_loop_new(&loop, &f->loop, &err), 0);
    f->coordinator = aff_coordinator_embedded_new(&opts);
    f->seat = (struct aff_seat){ .host = on_host, .lead = on_lead, .resign = on_resign, .granted = on_granted, .loop = f->loop,
                                 .keyspace = "things", .partition = 3 };
    f->inside = true;
    assert_int_equal(f->coordinator->ops->take(f->coordinator, &f->seat, &err), 0);
    f->inside = false;
}

static void end(struct fixture *f)
{
    f->coordinator->ops->leave(f->coordinator, &f->seat);
    f->coordinator->ops->free(f->coordinator);
    aff_loop_free(f->loop);
}

static void after(struct fixture *f, int64_t ms)
{
    aff_virtual_clock_advance(&f->clock, ms * AFF_NS_PER_MS);
    aff_loop_pass(f->loop, 0);
    aff_loop_pass(f->loop, 0);
}

static void it_wants_to_lead_at_once(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, true);
    after(&f, 0);
    assert_int_equal(f.leads, 1);
    end(&f);
}

static void an_epoch_is_above_what_was_asked(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, true);
    f.inside = true;
    f.coordinator->ops->request_epoch(f.coordinator, &f.seat, 41);
    f.inside = false;
    after(&f, 0);
    assert_int_equal(f.granted, 42);
    end(&f);
}

static void a_locked_log_is_the_lease(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, true);
    assert_true(f.coordinator->ops->lease_until(f.coordinator) == INT64_MAX);
    end(&f);
    begin(&f, false);
    assert_true(f.coordinator->ops->lease_until(f.coordinator) == 0);
    end(&f);
}

static void a_defeat_is_followed_by_two_to_six_seconds_of_quiet(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, false);
    after(&f, 0);
    f.coordinator->ops->deposed(f.coordinator, &f.seat, 7);
    after(&f, 1999);
    assert_int_equal(f.leads, 1);
    after(&f, 4002);
    assert_int_equal(f.leads, 2);
    end(&f);
}

static void heard(struct fixture *f)
{
    f->inside = true;
    f->coordinator->ops->heard(f->coordinator, &f->seat);
    f->inside = false;
}

static void ask(struct fixture *f, uint32_t above)
{
    f->granted = 0;
    f->inside = true;
    f->coordinator->ops->request_epoch(f->coordinator, &f->seat, above);
    f->inside = false;
    after(f, 0);
}

static void who_was_deposed_stands_by_as_long_as_another_is_heard(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, false);
    after(&f, 0);
    f.coordinator->ops->deposed(f.coordinator, &f.seat, 7);
    for (int i = 0; i < 100; i++) {
        after(&f, 1000);
        heard(&f);
    }
    assert_int_equal(f.leads, 1);
    after(&f, 1999);
    assert_int_equal(f.leads, 1);
    after(&f, 4002);
    assert_int_equal(f.leads, 2);
    ask(&f, 7);
    assert_int_equal(f.granted, 8);
    end(&f);
}

/* The timer was late, and the log, once asked, told of the other. */
static void who_hears_another_when_it_is_to_lead_gets_no_epoch(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, false);
    after(&f, 0);
    f.coordinator->ops->deposed(f.coordinator, &f.seat, 7);
    after(&f, 60000);
    assert_int_equal(f.leads, 2);
    heard(&f);
    ask(&f, 7);
    assert_int_equal(f.granted, 0);
    after(&f, 6001);
    assert_int_equal(f.leads, 3);
    ask(&f, 7);
    assert_int_equal(f.granted, 8);
    end(&f);
}

static void a_fresh_start_leads_at_once_whoever_is_heard(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, false);
    heard(&f);
    after(&f, 0);
    assert_int_equal(f.leads, 1);
    heard(&f);
    ask(&f, 41);
    assert_int_equal(f.granted, 42);
    end(&f);
}

static void who_left_hears_nothing_more(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, true);
    f.coordinator->ops->request_epoch(f.coordinator, &f.seat, 1);
    f.coordinator->ops->leave(f.coordinator, &f.seat);
    after(&f, 10000);
    assert_int_equal(f.leads, 0);
    assert_int_equal(f.granted, 0);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_wants_to_lead_at_once),
        cmocka_unit_test(an_epoch_is_above_what_was_asked),
        cmocka_unit_test(a_locked_log_is_the_lease),
        cmocka_unit_test(a_defeat_is_followed_by_two_to_six_seconds_of_quiet),
        cmocka_unit_test(who_was_deposed_stands_by_as_long_as_another_is_heard),
        cmocka_unit_test(who_hears_another_when_it_is_to_lead_gets_no_epoch),
        cmocka_unit_test(a_fresh_start_leads_at_once_whoever_is_heard),
        cmocka_unit_test(who_left_hears_nothing_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
