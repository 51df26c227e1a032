/*
 * Requests that wait for a partition: nothing spins, nothing is lost, clients may go away, and everything comes back in the end.
 *
 * What costs a run of the daemon is counted, not timed: aff_http_runs_total.
 */
#include "fixture.h"

#include "http/kept.h"

#include <sys/socket.h>
#include <time.h>

#define HOST "Host: x\r\n"
#define PUT(key) "PUT /v1/notes/" key " HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\n1"

static struct fixture *f;
static struct response r;

static void hold(void)
{
    fixture_script(f, (struct fake_script){ .when = FAKE_HELD });
}

static void get_held(struct fixture *fixture, void *arg)
{
    unsigned *count = arg;
    *count = 0;
    aff_list_each(link, &fixture->fake->held)
        ++*count;
}

static void wait_held(unsigned least)
{
    const struct timespec nap = { .tv_nsec = 1000000 };
    unsigned count = 0;
    for (int i = 0; i < CLIENT_PATIENCE_S * 1000; i++) {
        fixture_run(f, get_held, &count);
        if (count >= least)
            return;
        (void)nanosleep(&nap, NULL);
    }
    fail_msg("%u calls are held, there should be %u", count, least);
}

static unsigned long long runs(void)
{
    return fixture_metric(f, "aff_http_runs_total");
}

static void nothing(struct fixture *fixture, void *arg)
{
    (void)fixture;
    (void)arg;
}

/* ---- */

static void a_held_request_is_answered_when_its_answer_comes(void **state)
{
    (void)state;
    hold();
    int fd = client_open(f);
    client_say(fd, PUT("held"));
    wait_held(1);
    fixture_answer_held(f);
    client_read(fd, &r, false);
    assert_status(&r, 201);
    client_close(fd);
}

static void an_answer_inside_the_call_is_taken_at_once(void **state)
{
    (void)state;
    fixture_script(f, (struct fake_script){ .when = FAKE_AT_ONCE });
    int fd = client_open(f);
    for (int i = 0; i < 3; i++) {
        client_say(fd, PUT("once"));
        client_read(fd, &r, false);
        assert_status(&r, i ? 200 : 201);
    }
    client_close(fd);
}

/*
 * A loop that spun would run the daemon some hundred thousand times in the 50 ms until the connection is suspended; the nudge
 * runs it every other millisecond. Afterwards it does not run at all.
 */
static void nothing_spins_while_a_request_waits(void **state)
{
    (void)state;
    hold();
    unsigned long long before = runs(), suspended = fixture_metric(f, "aff_http_suspended_total");
    int fd = client_open(f);
    client_say(fd, PUT("quiet"));
    wait_held(1);
    fixture_wait_metric(f, "aff_http_suspended_total", suspended + 1);
    assert_true(runs() - before < 500);
    for (int i = 0; i < 3; i++)
        fixture_run(f, nothing, NULL); /* the pass that suspended it has ended */
    before = runs();
    for (int i = 0; i < 1000; i++)
        fixture_run(f, nothing, NULL); /* a thousand passes of the loop */
    assert_true(runs() - before <= 2);
    fixture_answer_held(f);
    client_read(fd, &r, false);
    assert_status(&r, 201);
    client_say(fd, "GET /livez HTTP/1.1\r\n" HOST "\r\n");
    client_read(fd, &r, false);
    assert_status(&r, 200);
    client_close(fd);
}

/* Passes of the loop that concern others do not run the daemon either. */
static void an_idle_daemon_does_not_run(void **state)
{
    (void)state;
    int fd = client_open(f);
    client_say(fd, "GET /livez HTTP/1.1\r\n" HOST "\r\n");
    client_read(fd, &r, false);
    for (int i = 0; i < 3; i++)
        fixture_run(f, nothing, NULL);
    unsigned long long before = runs();
    for (int i = 0; i < 1000; i++)
        fixture_run(f, nothing, NULL);
    assert_true(runs() - before <= 2);
    client_close(fd);
}

/* While one waits, others are served as if it did not: answers in the handler, large bodies, slow heads, new connections. */
static void others_are_served_meanwhile(void **state)
{
    (void)state;
    hold();
    int held = client_open(f), fd = client_open(f);
    client_say(held, PUT("first"));
    wait_held(1);
    client_say(fd, "GET /v1/notes/none HTTP/1.1\r\n" HOST "\r\n");
    client_read(fd, &r, false);
    assert_status(&r, 404);
    const char slow[] = "GET /livez HTTP/1.1\r\n" HOST "\r\n";
    for (size_t i = 0; i < sizeof slow - 1; i++)
        client_send(fd, slow + i, 1);
    client_read(fd, &r, false);
    assert_status(&r, 200);
    size_t len = 1000000;
    char *body = malloc(len);
    memset(body, 'b', len);
    client_say(fd, "PUT /v1/notes/big HTTP/1.1\r\n" HOST "Content-Length: 1000000\r\n\r\n");
    client_send(fd, body, len);
    free(body);
    wait_held(2);
    fixture_answer_held(f);
    client_read(fd, &r, false);
    assert_status(&r, 201);
    client_read(held, &r, false);
    assert_status(&r, 201);
    client_close(held);
    client_close(fd);
}

/* A head that fills the read buffer is read in several runs that call nothing back. */
static void a_head_as_large_as_the_buffer_is_read_while_another_waits(void **state)
{
    (void)state;
    hold();
    int held = client_open(f), fd = client_open(f);
    client_say(held, PUT("beside"));
    wait_held(1);
    char *head = malloc(30000);
    int len = sprintf(head, "GET /livez HTTP/1.1\r\n" HOST "X: ");
    memset(head + len, 'x', 20000);
    len += 20000;
    len += sprintf(head + len, "\r\n\r\n");
    client_send(fd, head, (size_t)len);
    free(head);
    client_read(fd, &r, false);
    assert_status(&r, 431);
    fixture_answer_held(f);
    client_read(held, &r, false);
    assert_status(&r, 201);
    client_close(held);
    client_close(fd);
}

static void many_wait_and_are_answered_together(void **state)
{
    (void)state;
    enum { MANY = 60 };
    int fds[MANY];
    hold();
    for (int i = 0; i < MANY; i++) {
        char request[256];
        fds[i] = client_open(f);
        (void)snprintf(request, sizeof request,
                       "POST /v1/notes/k%d/deposit HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n%02d", i, i + 10);
        client_say(fds[i], request);
    }
    wait_held(MANY);
    fixture_answer_held(f);
    for (int i = 0; i < MANY; i++) {
        char want[16];
        client_read(fds[i], &r, false);
        (void)snprintf(want, sizeof want, "%02d", i + 10);
        assert_string_equal(r.body, want);
        client_close(fds[i]);
    }
}

/* ---- clients that go away ---- */

static void a_client_may_go_while_its_call_is_under_way(void **state)
{
    (void)state;
    for (int suspended = 0; suspended <= 1; suspended++) {
        unsigned long long gone = fixture_metric(f, "aff_http_clients_gone_total");
        unsigned long long before = fixture_metric(f, "aff_http_suspended_total");
        hold();
        int fd = client_open(f);
        client_say(fd, "POST /v1/notes/gone/deposit HTTP/1.1\r\n" HOST
                       "Idempotency-Key: k\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n[1]");
        wait_held(1);
        if (suspended)
            fixture_wait_metric(f, "aff_http_suspended_total", before + 1);
        const struct linger reset = { .l_onoff = 1 };
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
        client_close(fd);
        fixture_answer_held(f); /* it may not be known yet that nobody waits */
        fixture_wait_metric(f, "aff_http_clients_gone_total", gone + 1);
    }
}

/* The answer of a write whose deadline passed comes long before the log has settled it. */
static void a_late_release_holds_the_request_and_nothing_else(void **state)
{
    (void)state;
    fixture_script(f,
                   (struct fake_script){ .late_release = true, .code = AFF_EUNKNOWN, .outcome = AFF_OUTCOME_UNKNOWN });
    int fd = client_open(f);
    client_say(fd, PUT("late"));
    client_read(fd, &r, false);
    assert_status(&r, 504);
    client_say(fd, "GET /livez HTTP/1.1\r\n" HOST "\r\n"); /* the connection goes on */
    client_read(fd, &r, false);
    assert_status(&r, 200);
    client_say(fd, PUT("late2"));
    client_read(fd, &r, false);
    assert_status(&r, 504);
    client_close(fd);
    fixture_wait_metric_is(f, "aff_http_connections", 0);
    assert_int_equal(fixture_metric(f, "aff_http_bodies_bytes"), 2); /* both are still the partition's */
    fixture_release(f);
    assert_int_equal(fixture_metric(f, "aff_http_bodies_bytes"), 0);
}

static void a_read_behind_a_barrier_waits_for_its_release(void **state)
{
    (void)state;
    fixture_script(f, (struct fake_script){ .no_lease = true, .when = FAKE_HELD, .late_release = true });
    int fd = client_open(f);
    client_say(fd, "GET /v1/notes/none HTTP/1.1\r\n" HOST "\r\n");
    wait_held(1);
    fixture_answer_held(f);
    fixture_release(f);
    client_read(fd, &r, false);
    assert_status(&r, 404);
    client_say(fd, "GET /v1/notes/none HTTP/1.1\r\n" HOST "\r\n");
    wait_held(1);
    client_close(fd);
    fixture_answer_held(f);
    fixture_release(f);
}

/* ---- the end ---- */

static void drain(struct fixture *fixture, void *arg)
{
    (void)arg;
    aff_http_drain(fixture->https[0]);
}

static void is_quiet(struct fixture *fixture, void *arg)
{
    *(bool *)arg = aff_http_quiet(fixture->https[0]);
}

/* The next version has the place of the one before in http/kept.h. */
static void collide(struct fixture *fixture, void *arg)
{
    (void)arg;
    fixture->fake->next_offset += AFF_KEPT_PLACES - 1;
}

/* Answers that come together are sent one after the other; meanwhile others take their places among the responses that are kept. */
static void reads_that_are_answered_together_get_what_each_asked_for(void **state)
{
    (void)state;
    enum { MANY = 16 };
    int fds[MANY];
    for (int i = 0; i < MANY; i++) {
        char request[256];
        fds[i] = client_open(f);
        (void)snprintf(request, sizeof request, "PUT /v1/notes/c%02d HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n%02d",
                       i, i + 10);
        client_say(fds[i], request);
        client_read(fds[i], &r, false);
        assert_status(&r, 201);
        fixture_run(f, collide, NULL);
    }
    fixture_script(f, (struct fake_script){ .when = FAKE_HELD, .no_lease = true });
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MANY; i++) {
            char request[256];
            /* each value twice: of the two that read it the second finds what the first has kept */
            (void)snprintf(request, sizeof request, "GET /v1/notes/c%02d HTTP/1.1\r\n" HOST "\r\n", i / 2 + round * 4);
            client_say(fds[i], request);
        }
        wait_held(MANY);
        fixture_answer_held(f);
        for (int i = 0; i < MANY; i++) {
            char want[16];
            client_read(fds[i], &r, false);
            assert_status(&r, 200);
            (void)snprintf(want, sizeof want, "%02d", i / 2 + round * 4 + 10);
            assert_string_equal(r.body, want);
        }
    }
    for (int i = 0; i < MANY; i++)
        client_close(fds[i]);
}

static void a_drain_closes_what_is_idle_and_finishes_what_is_not(void **state)
{
    (void)state;
    hold();
    int idle = client_open(f), held = client_open(f), half = client_open(f);
    bool quiet;
    client_say(idle, "GET /livez HTTP/1.1\r\n" HOST "\r\n");
    client_read(idle, &r, false);
    client_say(held, PUT("drained"));
    wait_held(1);
    client_say(half, "GET /livez HTTP/1.1\r\n");
    fixture_wait_metric(f, "aff_http_connections", 3);
    fixture_run(f, nothing, NULL);
    fixture_run(f, drain, NULL);
    assert_true(client_at_end(idle));
    fixture_run(f, is_quiet, &quiet);
    assert_false(quiet);
    fixture_answer_held(f);
    client_read(held, &r, false);
    assert_status(&r, 201);
    assert_header(&r, "Connection", "close");
    assert_true(client_at_end(held));
    client_close(idle);
    client_close(held);
    client_close(half);
    fixture_stop(f);
    struct fixture_opts opts = fixture_defaults();
    f = fixture_start(&opts);
}

static void stop_server(struct fixture *fixture, void *arg)
{
    (void)arg;
    aff_http_stop(fixture->https[0]);
}

static void a_stop_closes_everything_and_calls_still_come_back(void **state)
{
    (void)state;
    hold();
    unsigned long long before = fixture_metric(f, "aff_http_suspended_total");
    int suspended = client_open(f), waiting = client_open(f), idle = client_open(f);
    bool quiet;
    client_say(suspended, PUT("s"));
    fixture_wait_metric(f, "aff_http_suspended_total", before + 1);
    client_say(waiting, PUT("w"));
    wait_held(2);
    fixture_run(f, stop_server, NULL);
    assert_true(client_at_end(suspended) && client_at_end(waiting) && client_at_end(idle));
    fixture_run(f, is_quiet, &quiet);
    assert_false(quiet);
    fixture_answer_held(f);
    fixture_run(f, is_quiet, &quiet);
    assert_true(quiet);
    client_close(suspended);
    client_close(waiting);
    client_close(idle);
    fixture_stop(f);
    struct fixture_opts opts = fixture_defaults();
    f = fixture_start(&opts);
}

/* ---- two loops ---- */

static void connections_are_spread_over_the_loops(void **state)
{
    (void)state;
    struct fixture_opts opts = fixture_defaults();
    opts.loops = 2;
    struct fixture *two = fixture_start(&opts);
    int fds[8];
    for (int i = 0; i < 8; i++) {
        fds[i] = client_open(two);
        client_say(fds[i], "GET /livez HTTP/1.1\r\n" HOST "\r\n");
        client_read(fds[i], &r, false);
        assert_status(&r, 200);
    }
    for (int i = 0; i < 8; i++) {
        client_say(fds[i], "GET /livez HTTP/1.1\r\n" HOST "\r\n");
        client_read(fds[i], &r, false);
    }
    struct aff_http *const first[] = { two->https[0] }, *const second[] = { two->https[1] };
    struct aff_buf text;
    for (int i = 0; i < 2; i++) {
        aff_buf_init(&text);
        assert_true(aff_http_metrics(i ? second : first, 1, two->gate, &text) && aff_buf_u8(&text, 0));
        assert_non_null(
            strstr((const char *)text.data, "aff_http_requests_total{route=\"/livez\",status=\"2xx\"} 8\n"));
        aff_buf_fini(&text);
    }
    for (int i = 0; i < 8; i++)
        client_close(fds[i]);
    fixture_stop(two);
}

/* ---- */

static int start(void **state)
{
    (void)state;
    struct fixture_opts opts = fixture_defaults();
    f = fixture_start(&opts);
    return 0;
}

static int reset(void **state)
{
    (void)state;
    fixture_script(f, (struct fake_script){ 0 });
    return 0;
}

static int stop(void **state)
{
    (void)state;
    response_free(&r);
    fixture_stop(f);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_held_request_is_answered_when_its_answer_comes, reset),
        cmocka_unit_test_setup(an_answer_inside_the_call_is_taken_at_once, reset),
        cmocka_unit_test_setup(nothing_spins_while_a_request_waits, reset),
        cmocka_unit_test_setup(an_idle_daemon_does_not_run, reset),
        cmocka_unit_test_setup(others_are_served_meanwhile, reset),
        cmocka_unit_test_setup(a_head_as_large_as_the_buffer_is_read_while_another_waits, reset),
        cmocka_unit_test_setup(many_wait_and_are_answered_together, reset),
        cmocka_unit_test_setup(a_client_may_go_while_its_call_is_under_way, reset),
        cmocka_unit_test_setup(a_late_release_holds_the_request_and_nothing_else, reset),
        cmocka_unit_test_setup(a_read_behind_a_barrier_waits_for_its_release, reset),
        cmocka_unit_test_setup(reads_that_are_answered_together_get_what_each_asked_for, reset),
        cmocka_unit_test_setup(a_drain_closes_what_is_idle_and_finishes_what_is_not, reset),
        cmocka_unit_test_setup(a_stop_closes_everything_and_calls_still_come_back, reset),
        cmocka_unit_test_setup(connections_are_spread_over_the_loops, reset),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
