/*
 * Deadlines and budgets: slow heads, slow bodies, silence, clients that do not read, partitions that do not answer; connections
 * in all and from one address, bytes of bodies. Times are short and never measured: what is waited for is the end.
 */
#include "fixture.h"

#include "http/gate.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>

#define HOST "Host: x\r\n"

static struct response r;
static char zeros[1000000];

static struct fixture *start(struct fixture_opts opts)
{
    return fixture_start(&opts);
}

static void stop(struct fixture *f)
{
    response_free(&r);
    fixture_stop(f);
}

/* ---- heads ---- */

static struct fixture_opts short_heads(void)
{
    struct fixture_opts opts = fixture_defaults();
    opts.limits.head_timeout_ms = 500;
    opts.limits.idle_timeout_ms = 60000;
    return opts;
}

static void a_slow_head_is_408(void **state)
{
    (void)state;
    const char *whole = "GET /livez HTTP/1.1\r\n" HOST;
    const char *const starts[] = { whole, "GET /livez HTTP/1.1\r\n", "GET /livez HTTP/1.1", "G" };
    struct fixture *f = start(short_heads());
    int fds[4];
    for (size_t i = 0; i < 4; i++) {
        fds[i] = client_open(f);
        client_say(fds[i], starts[i]);
    }
    for (size_t i = 0; i < 4; i++) {
        client_read(fds[i], &r, false);
        assert_problem(&r, 408, "request-timeout", "head");
        assert_header(&r, "Connection", "close");
        assert_true(client_at_end(fds[i]));
        client_close(fds[i]);
    }
    assert_int_equal(fixture_metric(f, "aff_http_timeouts_total{what=\"head\"}"), 4);
    stop(f);
}

/* What comes after the 408 is not taken for the rest of the head. */
static void a_head_that_goes_on_after_its_408_is_not_taken(void **state)
{
    (void)state;
    struct fixture *f = start(short_heads());
    int fd = client_open(f);
    client_say(fd, "PUT /v1/notes/slow HTTP/1.1\r\n" HOST);
    client_read(fd, &r, false);
    assert_problem(&r, 408, "request-timeout", "head");
    client_say(fd, "Content-Length: 1\r\n\r\n1");
    assert_true(client_at_end(fd));
    assert_int_equal(fixture_calls(f), 0);
    client_close(fd);
    stop(f);
}

static void a_slow_head_on_a_kept_connection_is_408_too(void **state)
{
    (void)state;
    const char *const starts[] = { "G", "GET /livez HTTP/1.1\r\n" };
    struct fixture *f = start(short_heads());
    int fds[2];
    for (size_t i = 0; i < 2; i++) {
        fds[i] = client_open(f);
        client_say(fds[i], "GET /livez HTTP/1.1\r\n" HOST "\r\n");
        client_read(fds[i], &r, false);
        assert_status(&r, 200);
    }
    const struct timespec later = { .tv_nsec = 60000000 }; /* or it counts as part of what came before */
    (void)nanosleep(&later, NULL);
    for (size_t i = 0; i < 2; i++)
        client_say(fds[i], starts[i]);
    for (size_t i = 0; i < 2; i++) {
        client_read(fds[i], &r, false);
        assert_problem(&r, 408, "request-timeout", "head");
        assert_true(client_at_end(fds[i]));
        client_close(fds[i]);
    }
    stop(f);
}

static void a_connection_without_a_request_is_closed_without_a_word(void **state)
{
    (void)state;
    struct fixture *f = start(short_heads());
    int fd = client_open(f);
    assert_true(client_at_end(fd));
    client_close(fd);
    stop(f);
}

static void a_kept_connection_may_be_silent_for_longer_than_a_head(void **state)
{
    (void)state;
    struct fixture_opts opts = fixture_defaults();
    opts.limits.head_timeout_ms = 30;
    opts.limits.idle_timeout_ms = 1500;
    struct fixture *f = start(opts);
    int fd = client_open(f);
    for (int i = 0; i < 2; i++) {
        client_say(fd, "GET /livez HTTP/1.1\r\n" HOST "\r\n");
        client_read(fd, &r, false);
        assert_status(&r, 200);
        const struct timespec longer = { .tv_nsec = 100000000 };
        (void)nanosleep(&longer, NULL);
    }
    assert_true(client_at_end(fd));
    assert_int_equal(fixture_metric(f, "aff_http_timeouts_total{what=\"idle\"}"), 1);
    assert_int_equal(fixture_metric(f, "aff_http_timeouts_total{what=\"head\"}"), 0);
    client_close(fd);
    stop(f);
}

/* ---- bodies ---- */

static void a_slow_body_is_408(void **state)
{
    (void)state;
    struct fixture_opts opts = fixture_defaults();
    opts.limits.head_timeout_ms = 300; /* the grace of a body, too */
    opts.limits.body_min_rate = 100000;
    struct fixture *f = start(opts);
    const char *const starts[] = { "Content-Length: 10\r\n\r\n12345", "Transfer-Encoding: chunked\r\n\r\n5\r\n123" };
    for (size_t i = 0; i < 2; i++) {
        int fd = client_open(f);
        client_say(fd, "PUT /v1/notes/slow HTTP/1.1\r\n" HOST);
        client_say(fd, starts[i]);
        client_read(fd, &r, false);
        assert_problem(&r, 408, "request-timeout", "body");
        assert_true(client_at_end(fd));
        client_close(fd);
    }
    assert_int_equal(fixture_calls(f), 0);
    assert_int_equal(fixture_metric(f, "aff_http_timeouts_total{what=\"body\"}"), 2);
    stop(f);
}

/* What comes after the 408 must not be taken for the rest of the body. */
static void a_body_that_goes_on_after_its_408_is_not_taken(void **state)
{
    (void)state;
    struct fixture_opts opts = fixture_defaults();
    opts.limits.head_timeout_ms = 300;
    struct fixture *f = start(opts);
    int fd = client_open(f);
    client_say(fd, "PUT /v1/notes/slow HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n12345");
    client_read(fd, &r, false);
    assert_problem(&r, 408, "request-timeout", "body");
    client_say(fd, "67890");
    assert_true(client_at_end(fd));
    assert_int_equal(fixture_calls(f), 0);
    client_close(fd);
    stop(f);
}

static void the_exchanges_deadline_bounds_a_body_of_any_rate(void **state)
{
    (void)state;
    struct fixture_opts opts = fixture_defaults();
    opts.limits.body_min_rate = 0;
    opts.limits.exchange_timeout_ms = 100;
    struct fixture *f = start(opts);
    int fd = client_open(f);
    client_say(fd, "PUT /v1/notes/slow HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n12345");
    client_read(fd, &r, false);
    assert_problem(&r, 408, "request-timeout", "body");
    client_close(fd);
    stop(f);
}

static void bodies_in_flight_have_a_budget(void **state)
{
    (void)state;
    struct fixture_opts opts = fixture_defaults();
    opts.gate.bodies = 150000;
    struct fixture *f = start(opts);
    int first = client_open(f), second = client_open(f), third = client_open(f);
    client_say(first, "PUT /v1/notes/a HTTP/1.1\r\n" HOST "Content-Length: 100000\r\n\r\n");
    fixture_wait_metric(f, "aff_http_bodies_bytes", 100000);
    client_say(second, "PUT /v1/notes/b HTTP/1.1\r\n" HOST "Content-Length: 60000\r\n\r\n");
    client_send(second, zeros, 60000);
    client_read(second, &r, false);
    assert_problem(&r, 503, "queue-full", "bodies");
    client_say(second, "GET /livez HTTP/1.1\r\n" HOST "\r\n"); /* it was short enough to be read to its end */
    client_read(second, &r, false);
    assert_status(&r, 200);
    client_say(third, "PUT /v1/notes/c HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
    client_read(third, &r, false); /* a chunked body takes 64 KiB at a time */
    assert_problem(&r, 503, "queue-full", "bodies");
    assert_true(client_at_end(third));
    client_send(first, zeros, 100000);
    client_read(first, &r, false);
    assert_status(&r, 201);
    client_say(second, "PUT /v1/notes/b HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\n1");
    client_read(second, &r, false);
    assert_status(&r, 201);
    fixture_wait_metric_is(f, "aff_http_bodies_bytes", 0); /* when it knows that the answer is sent */
    client_close(first);
    client_close(second);
    client_close(third);
    stop(f);
}

/* ---- partitions and clients ---- */

static void answer_when_overdue(bool write, struct fake_script script)
{
    struct fixture_opts opts = fixture_defaults();
    opts.limits.exchange_timeout_ms = 100; /* and two seconds more for the partition to keep its own deadline */
    struct fixture *f = start(opts);
    script.when = FAKE_HELD;
    fixture_script(f, script);
    int fd = client_open(f);
    client_say(fd, write ? "PUT /v1/notes/a HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\n1"
                         : "GET /v1/notes/a HTTP/1.1\r\n" HOST "\r\n");
    client_read(fd, &r, false);
    if (write) {
        assert_problem(&r, 504, "outcome-unknown", NULL);
        assert_header(&r, "Affinity-Outcome", "unknown");
    } else {
        assert_problem(&r, 503, "timed-out", NULL);
    }
    fixture_answer_held(f); /* too late */
    client_say(fd, "GET /livez HTTP/1.1\r\n" HOST "\r\n");
    client_read(fd, &r, false);
    assert_status(&r, 200);
    assert_int_equal(fixture_metric(f, "aff_http_timeouts_total{what=\"exchange\"}"), 1);
    client_close(fd);
    stop(f);
}

static void a_partition_that_does_not_answer_a_write_leaves_it_unknown(void **state)
{
    (void)state;
    answer_when_overdue(true, (struct fake_script){ 0 });
}

static void a_barrier_that_is_not_answered_is_503(void **state)
{
    (void)state;
    answer_when_overdue(false, (struct fake_script){ .no_lease = true });
}

static void a_client_that_does_not_read_is_given_up(void **state)
{
    (void)state;
    struct fixture_opts opts = fixture_defaults();
    struct fixture *f = start(opts);
    int fd = client_open(f);
    client_say(fd, "PUT /v1/notes/a HTTP/1.1\r\n" HOST "Content-Length: 1000000\r\n\r\n");
    client_send(fd, zeros, sizeof zeros);
    client_read(fd, &r, false);
    client_close(fd);
    stop(f);
    opts.limits.idle_timeout_ms = 200;
    opts.limits.body_min_rate = 1 << 30;
    f = start(opts);
    fd = client_open(f);
    client_say(fd, "PUT /v1/notes/a HTTP/1.1\r\n" HOST "Content-Length: 1000000\r\n\r\n");
    client_send(fd, zeros, sizeof zeros);
    client_read(fd, &r, false);
    for (int i = 0; i < 40; i++) /* far more than the buffers of both sides */
        client_say(fd, "GET /v1/notes/a HTTP/1.1\r\n" HOST "\r\n");
    fixture_wait_metric(f, "aff_http_timeouts_total{what=\"send\"}", 1);
    client_close(fd);
    stop(f);
}

/* ---- connections ---- */

static void beyond_the_limit_a_connection_gets_503(void **state)
{
    (void)state;
    for (int per_address = 0; per_address <= 1; per_address++) {
        struct fixture_opts opts = fixture_defaults();
        opts.gate.connections = per_address ? 100 : 2;
        opts.gate.connections_per_address = per_address ? 2 : 0;
        struct fixture *f = start(opts);
        int first = client_open(f), second = client_open(f);
        fixture_wait_metric(f, "aff_http_connections", 2);
        int third = client_open(f);
        client_say(third, "GET /livez HTTP/1.1\r\n" HOST "\r\n");
        client_read(third, &r, false);
        assert_problem(&r, 503, "queue-full", "as many connections");
        assert_true(client_at_end(third));
        client_close(third);
        assert_int_equal(fixture_metric(f, "aff_http_connections_refused_total"), 1);
        client_close(second);
        for (int tries = 0;; tries++) { /* its place is free when the server has seen it go */
            int fd = client_open(f);
            client_say(fd, "GET /livez HTTP/1.1\r\n" HOST "\r\n");
            client_read(fd, &r, false);
            client_close(fd);
            if (r.status == 200)
                break;
            assert_true(tries < 10000);
        }
        client_close(first);
        stop(f);
    }
}

static void a_gate_counts_addresses_apart(void **state)
{
    (void)state;
    struct sockaddr_in a = { .sin_family = AF_INET }, b = a;
    struct sockaddr_in6 c = { .sin6_family = AF_INET6 };
    a.sin_addr.s_addr = htonl(0x0a000001);
    b.sin_addr.s_addr = htonl(0x0a000002);
    struct aff_gate *gate = aff_gate_new(
        &(struct aff_gate_opts){ .connections = 4, .connections_per_address = 2, .bodies = 10 });
    struct aff_gate_pass p[4], refused;
    assert_true(aff_gate_enter(gate, (struct sockaddr *)&a, &p[0]) &&
                aff_gate_enter(gate, (struct sockaddr *)&a, &p[1]));
    assert_false(aff_gate_enter(gate, (struct sockaddr *)&a, &refused));
    a.sin_port = 7; /* another port is the same address */
    assert_false(aff_gate_enter(gate, (struct sockaddr *)&a, &refused));
    assert_true(aff_gate_enter(gate, (struct sockaddr *)&b, &p[2]) &&
                aff_gate_enter(gate, (struct sockaddr *)&c, &p[3]));
    assert_false(aff_gate_enter(gate, (struct sockaddr *)&c, &refused)); /* four in all */
    struct aff_gate_numbers numbers = aff_gate_read(gate);
    assert_int_equal(numbers.connections, 4);
    assert_int_equal(numbers.refused, 3);
    aff_gate_leave(&p[0]);
    aff_gate_leave(&p[0]); /* a pass is given back once */
    assert_true(aff_gate_enter(gate, (struct sockaddr *)&a, &p[0]));
    for (int i = 0; i < 4; i++)
        aff_gate_leave(&p[i]);
    (void)aff_gate_free(gate);
}

static void a_gate_never_lends_more_than_it_has(void **state)
{
    (void)state;
    struct aff_gate *gate = aff_gate_new(&(struct aff_gate_opts){ .connections = 1, .bodies = 10 });
    assert_true(aff_gate_take(gate, 6));
    assert_false(aff_gate_take(gate, 5));
    assert_false(aff_gate_take(gate, UINT64_MAX));
    assert_true(aff_gate_take(gate, 4));
    assert_false(aff_gate_take(gate, 1));
    assert_int_equal(aff_gate_read(gate).bodies, 10);
    aff_gate_give(gate, 10);
    assert_true(aff_gate_take(gate, 10));
    aff_gate_give(gate, 10);
    (void)aff_gate_free(gate);
}

/* ---- listening ---- */

static void an_address_that_is_taken_is_named(void **state)
{
    (void)state;
    struct fixture *f = start(fixture_defaults());
    aff_error err;
    struct aff_listener *listener = NULL;
    struct aff_listener_opts opts = {
        .host = "127.0.0.1", .port = f->port, .loop = f->loops[0], .https = f->https, .https_count = 1, .gate = f->gate
    };
    char want[64];
    assert_int_equal(aff_listener_new(&opts, &listener, &err), AFF_EBUSY);
    (void)snprintf(want, sizeof want, "127.0.0.1 port %u: Address already in use", (unsigned)f->port);
    assert_non_null(strstr(err.text, want));
    assert_null(listener);
    opts.host = "no.such.host.invalid";
    assert_int_equal(aff_listener_new(&opts, &listener, &err), AFF_ECONFIG);
    assert_non_null(strstr(err.text, "no.such.host.invalid"));
    stop(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slow_head_is_408),
        cmocka_unit_test(a_head_that_goes_on_after_its_408_is_not_taken),
        cmocka_unit_test(a_slow_head_on_a_kept_connection_is_408_too),
        cmocka_unit_test(a_connection_without_a_request_is_closed_without_a_word),
        cmocka_unit_test(a_kept_connection_may_be_silent_for_longer_than_a_head),
        cmocka_unit_test(a_slow_body_is_408),
        cmocka_unit_test(a_body_that_goes_on_after_its_408_is_not_taken),
        cmocka_unit_test(the_exchanges_deadline_bounds_a_body_of_any_rate),
        cmocka_unit_test(bodies_in_flight_have_a_budget),
        cmocka_unit_test(a_partition_that_does_not_answer_a_write_leaves_it_unknown),
        cmocka_unit_test(a_barrier_that_is_not_answered_is_503),
        cmocka_unit_test(a_client_that_does_not_read_is_given_up),
        cmocka_unit_test(beyond_the_limit_a_connection_gets_503),
        cmocka_unit_test(a_gate_counts_addresses_apart),
        cmocka_unit_test(a_gate_never_lends_more_than_it_has),
        cmocka_unit_test(an_address_that_is_taken_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
