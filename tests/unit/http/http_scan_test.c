/*
 * GET of a keyspace: pages and streams, their parameters, cursors, and what becomes of both when the scan must wait, cannot go on,
 * or nobody listens any more.
 */
#include "fixture.h"

#include "http/inner.h"

#include <sys/socket.h>

#define HOST "Host: x\r\n"
#define LINES "Accept: application/jsonl\r\n"
#define GET(target, fields) "GET " target " HTTP/1.1\r\n" HOST fields "\r\n"

static struct fixture *f;
static struct response r;

/* ---- a stream's bytes ---- */

static char stream_bytes[1 << 16];
static char lines[1 << 16]; /* what the chunks hold */
static bool whole;          /* the last chunk came */

static size_t read_to_end(int fd)
{
    size_t len = 0;
    ssize_t got;
    while ((got = recv(fd, stream_bytes + len, sizeof stream_bytes - len - 1, 0)) > 0)
        len += (size_t)got;
    assert_int_equal(got, 0);
    stream_bytes[len] = 0;
    return len;
}

static void take_chunks(const char *at)
{
    size_t len = 0;
    whole = false;
    while (*at && !whole) {
        char *end;
        size_t size = strtoul(at, &end, 16);
        assert_memory_equal(end, "\r\n", 2);
        memcpy(lines + len, end + 2, size);
        len += size;
        at = end + 2 + size;
        assert_memory_equal(at, "\r\n", 2);
        at += 2;
        whole = size == 0;
    }
    lines[len] = 0;
}

/* Reads what comes until the server closes; `r.head` is its head. */
static void finish_stream(int fd)
{
    (void)read_to_end(fd);
    char *body = strstr(stream_bytes, "\r\n\r\n");
    assert_non_null(body);
    (void)snprintf(r.head, sizeof r.head, "%.*s", (int)(body + 4 - stream_bytes), stream_bytes);
    r.status = atoi(r.head + 9);
    if (header(&r, "Transfer-Encoding"))
        take_chunks(body + 4);
    else
        (void)snprintf(lines, sizeof lines, "%s", body + 4);
    client_close(fd);
}

static void stream(const char *request)
{
    int fd = client_open(f);
    client_say(fd, request);
    finish_stream(fd);
}

/* ---- keys ---- */

static void put(const char *path, const char *type, const char *body)
{
    char request[600];
    (void)snprintf(request, sizeof request,
                   "PUT /v1/notes/%s HTTP/1.1\r\n" HOST "Content-Type: %s\r\nContent-Length: %zu\r\n\r\n%s", path, type,
                   strlen(body), body);
    exchange(f, &r, request);
    assert_status(&r, 201);
}

static void put_fruit(void)
{
    put("apple", "application/json", "{\"n\":\n1.0}");
    put("b%2Fx", "application/json", "2");
    put("b%2Fy", "application/json", "3");
    put("c+d", "text/plain", "foob");
    put("%FF", "application/json", "5");
}

/* The keys of an answer in their order, a space behind each: of its keys and key64s. */
static const char *keys_in(const char *body)
{
    static char keys[1024];
    size_t len = 0;
    for (const char *at = body; (at = strstr(at, "{\"key")) != NULL;) {
        at = strchr(at, ':') + 2;
        const char *end = strchr(at, '"');
        len += (size_t)snprintf(keys + len, sizeof keys - len, "%.*s ", (int)(end - at), at);
    }
    keys[len] = 0;
    return keys;
}

static void assert_keys(const char *query, const char *keys)
{
    char request[1024];
    (void)snprintf(request, sizeof request, "GET /v1/notes?%s HTTP/1.1\r\n" HOST "\r\n", query);
    exchange(f, &r, request);
    assert_status(&r, 200);
    if (strcmp(keys_in(r.body), keys) != 0)
        fail_msg("?%s: the keys are <%s>, they should be <%s>: %s", query, keys_in(r.body), keys, r.body);
    (void)snprintf(request, sizeof request, "GET /v1/notes?%s HTTP/1.1\r\n" HOST LINES "Connection: close\r\n\r\n",
                   query);
    stream(request);
    assert_true(whole);
    if (strcmp(keys_in(lines), keys) != 0)
        fail_msg("?%s as a stream: the keys are <%s>, they should be <%s>: %s", query, keys_in(lines), keys, lines);
}

/* ---- pages ---- */

static void a_page_has_the_entries_in_order(void **state)
{
    (void)state;
    put_fruit();
    exchange(f, &r, GET("/v1/notes", ""));
    assert_status(&r, 200);
    assert_header(&r, "Content-Type", "application/json");
    assert_header(&r, "Cache-Control", "no-store");
    assert_header(&r, "ETag", NULL);
    assert_header(&r, "Link", NULL);
    assert_string_equal(
        r.body,
        "{\"items\":[{\"key\":\"apple\",\"value\":{\"n\":\n1.0},\"etag\":\"\\\"0badcafe-3-100\\\"\"},\n"
        "{\"key\":\"b/x\",\"value\":2,\"etag\":\"\\\"0badcafe-3-101\\\"\"},\n"
        "{\"key\":\"b/y\",\"value\":3,\"etag\":\"\\\"0badcafe-3-102\\\"\"},\n"
        "{\"key\":\"c+d\",\"value64\":\"Zm9vYg==\",\"type\":\"text/plain\",\"etag\":\"\\\"0badcafe-3-103\\\"\"},\n"
        "{\"key64\":\"/w==\",\"value\":5,\"etag\":\"\\\"0badcafe-3-104\\\"\"}]}\n");
    exchange(f, &r, GET("/v1/strict", ""));
    assert_status(&r, 200);
}

static void an_empty_page_is_a_page(void **state)
{
    (void)state;
    exchange(f, &r, GET("/v1/notes?prefix=none", ""));
    assert_status(&r, 200);
    assert_string_equal(r.body, "{\"items\":[]}\n");
}

static void the_range_is_what_was_asked_for(void **state)
{
    (void)state;
    put_fruit();
    assert_keys("", "apple b/x b/y c+d /w== ");
    assert_keys("order=asc&prefix=", "apple b/x b/y c+d /w== ");
    assert_keys("order=desc", "/w== c+d b/y b/x apple ");
    assert_keys("prefix=b/", "b/x b/y ");
    assert_keys("prefix=b%2f&order=desc", "b/y b/x ");
    assert_keys("start=b%2Fy", "b/y c+d /w== ");
    assert_keys("end=b/y", "apple b/x ");
    assert_keys("start=b&end=c&order=desc&", "b/y b/x ");
    assert_keys("prefix=b&start=b/y", "b/y ");
    assert_keys("start=c&end=b", "");
    assert_keys("prefix=c+", "c+d ");
    assert_keys("start=%FF&&keys=only", "/w== ");
    assert_keys("limit=2", "apple b/x ");
    assert_keys("limit=2&order=desc", "/w== c+d ");
}

static void keys_alone_have_no_value(void **state)
{
    (void)state;
    put_fruit();
    exchange(f, &r, GET("/v1/notes?keys=only&limit=1&order=desc", ""));
    assert_status(&r, 200);
    assert_non_null(strstr(r.body, "[{\"key64\":\"/w==\",\"etag\":\"\\\"0badcafe-3-104\\\"\"}],\"next\":"));
}

/* Copies the `next` of a page; "" when there is none. */
static void next_of(char *url, size_t size)
{
    const char *at = strstr(r.body, "],\"next\":\"");
    (void)snprintf(url, size, "%.*s", at ? (int)strcspn(at + 10, "\"") : 0, at ? at + 10 : "");
}

static void walk(const char *target, const char *keys)
{
    char request[1024], url[512], link[600], got[256] = "";
    (void)snprintf(url, sizeof url, "%s", target);
    while (url[0]) {
        (void)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\n" HOST "\r\n", url);
        exchange(f, &r, request);
        assert_status(&r, 200);
        (void)strncat(got, keys_in(r.body), sizeof got - strlen(got) - 1);
        next_of(url, sizeof url);
        (void)snprintf(link, sizeof link, "<%s>; rel=\"next\"", url);
        assert_header(&r, "Link", url[0] ? link : NULL);
    }
    assert_string_equal(got, keys);
}

static void pages_follow_each_other(void **state)
{
    (void)state;
    put_fruit();
    walk("/v1/notes?limit=1", "apple b/x b/y c+d /w== ");
    walk("/v1/notes?limit=2&order=desc&keys=only", "/w== c+d b/y b/x apple ");
    walk("/v1/notes?limit=5", "apple b/x b/y c+d /w== ");
    walk("/v1/notes?prefix=b%2F&limit=1&end=b%2fz", "b/x b/y ");
}

static void a_page_is_bounded_in_bytes(void **state)
{
    (void)state;
    static char request[700200];
    const char *const keys[] = { "1", "2", "3" };
    for (int i = 0; i < 3; i++) {
        int len = snprintf(request, sizeof request,
                           "PUT /v1/notes/%s HTTP/1.1\r\n" HOST "Content-Length: 700000\r\n\r\n%0700000d", keys[i], 0);
        int fd = client_open(f);
        client_send(fd, request, (size_t)len);
        client_read(fd, &r, false);
        assert_status(&r, 201);
        client_close(fd);
    }
    walk("/v1/notes", "1 2 3 ");
    assert_keys("keys=only", "1 2 3 ");
}

static void head_tells_the_same_without_a_body(void **state)
{
    (void)state;
    put_fruit();
    exchange(f, &r, GET("/v1/notes?limit=1", ""));
    char link[600], length[32];
    (void)snprintf(link, sizeof link, "%s", header(&r, "Link"));
    (void)snprintf(length, sizeof length, "%s", header(&r, "Content-Length"));
    int fd = client_open(f);
    client_say(fd, "HEAD /v1/notes?limit=1 HTTP/1.1\r\n" HOST "\r\n");
    client_read(fd, &r, true);
    assert_status(&r, 200);
    assert_header(&r, "Link", link);
    assert_header(&r, "Content-Length", length);
    client_say(fd, GET("/livez", "")); /* on the same connection: no byte of a body came */
    client_read(fd, &r, false);
    assert_status(&r, 200);
    client_say(fd, "HEAD /v1/notes HTTP/1.1\r\n" HOST LINES "\r\n");
    client_read(fd, &r, true);
    assert_status(&r, 200);
    assert_header(&r, "Content-Type", "application/jsonl");
    assert_true(client_at_end(fd));
    client_close(fd);
}

static void what_is_asked_wrongly_is_refused(void **state)
{
    (void)state;
    put_fruit();
    static const struct {
        const char *request, *detail;
    } cases[] = {
        { GET("/v1/notes?first=1", ""), "no parameter `first`" },
        { GET("/v1/notes?Prefix=1", ""), "no parameter `Prefix`" },
        { GET("/v1/notes?prefix=a&prefix=b", ""), "`prefix` came twice" },
        { GET("/v1/notes?start=%4", ""), "two hexadecimal digits" },
        { GET("/v1/notes?limit=0", ""), "`limit`" },
        { GET("/v1/notes?limit=", ""), "`limit`" },
        { GET("/v1/notes?limit=-1", ""), "`limit`" },
        { GET("/v1/notes?limit=99999999999999999999", ""), "`limit`" },
        { GET("/v1/notes?limit=10001", ""), "at most 10000" },
        { GET("/v1/notes?limit=0", LINES), "`limit`" },
        { GET("/v1/notes?order=up", ""), "`order` must be asc or desc" },
        { GET("/v1/notes?keys=all", ""), "`keys` must be `only`" },
        { GET("/v1/notes?cursor=", ""), "none of ours" },
        { GET("/v1/notes?cursor=AQBhIHF1ZXJ5J2FwcGxlfmQW_g", ""), "another scan" },
        { GET("/v1/notes?cursor=AQBhIHF1ZXJ5J2FwcGxlfmQW_g&order=desc", ""), "the other `order`" },
        { GET("/v1/notes?cursor=AQBhIHF1ZXJ5J2FwcGxlfmQW_h", LINES), "none of ours" },
        { GET("/v1/notes", "Affinity-Consistency: perhaps\r\n"), "Affinity-Consistency" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        exchange(f, &r, cases[i].request);
        assert_problem(&r, 400, "bad-request", cases[i].detail);
    }
    exchange(f, &r, GET("/v1/notes", "Accept: text/html\r\n"));
    assert_problem(&r, 406, "not-acceptable", "application/jsonl");
    exchange(f, &r, GET("/v1/none", ""));
    assert_problem(&r, 404, "no-route", "no keyspace `none`");
    exchange(f, &r, "DELETE /v1/notes HTTP/1.1\r\n" HOST "\r\n");
    assert_problem(&r, 405, "method-not-allowed", NULL);
    assert_non_null(strstr(header(&r, "Allow"), "GET, HEAD"));
}

static void a_long_bound_is_refused(void **state)
{
    (void)state;
    char request[800];
    (void)snprintf(request, sizeof request, "GET /v1/notes?end=%0512d HTTP/1.1\r\n" HOST "\r\n", 0);
    exchange(f, &r, request);
    assert_problem(&r, 400, "bad-request", "`end` has more than the 511 bytes");
    (void)snprintf(request, sizeof request, "GET /v1/notes?end=%0511d HTTP/1.1\r\n" HOST "\r\n", 0);
    exchange(f, &r, request);
    assert_status(&r, 200);
}

static void the_form_is_what_the_client_likes_best(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "application/jsonl", "application/jsonl" },
        { "application/x-ndjson", "application/x-ndjson" },
        { "application/x-ndjson, application/jsonl", "application/jsonl" },
        { "*/*", "application/json" },
        { "application/*", "application/json" },
        { "application/jsonl, */*;q=0.1", "application/jsonl" },
        { "application/json;q=0.4, application/x-ndjson;q=0.5", "application/x-ndjson" },
        { "application/json;q=0, */*", "application/jsonl" },
        { "text/html, application/json;q=0.9, */*;q=0.8", "application/json" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char request[300];
        (void)snprintf(request, sizeof request,
                       "GET /v1/notes HTTP/1.1\r\n" HOST "Accept: %s\r\nConnection: close\r\n\r\n", cases[i][0]);
        stream(request);
        assert_status(&r, 200);
        assert_header(&r, "Content-Type", cases[i][1]);
    }
}

/* ---- streams ---- */

static void a_stream_has_a_line_for_each_entry(void **state)
{
    (void)state;
    put_fruit();
    stream(GET("/v1/notes", LINES "Connection: close\r\n"));
    assert_status(&r, 200);
    assert_header(&r, "Content-Type", "application/jsonl");
    assert_header(&r, "Transfer-Encoding", "chunked");
    assert_true(whole);
    assert_string_equal(
        lines,
        "{\"key\":\"apple\",\"value\":{\"n\": 1.0},\"etag\":\"\\\"0badcafe-3-100\\\"\"}\n"
        "{\"key\":\"b/x\",\"value\":2,\"etag\":\"\\\"0badcafe-3-101\\\"\"}\n"
        "{\"key\":\"b/y\",\"value\":3,\"etag\":\"\\\"0badcafe-3-102\\\"\"}\n"
        "{\"key\":\"c+d\",\"value64\":\"Zm9vYg==\",\"type\":\"text/plain\",\"etag\":\"\\\"0badcafe-3-103\\\"\"}\n"
        "{\"key64\":\"/w==\",\"value\":5,\"etag\":\"\\\"0badcafe-3-104\\\"\"}\n");
}

static void an_old_client_gets_it_without_chunks(void **state)
{
    (void)state;
    put_fruit();
    stream("GET /v1/notes?keys=only HTTP/1.0\r\n" HOST LINES "\r\n");
    assert_status(&r, 200);
    assert_header(&r, "Transfer-Encoding", NULL);
    assert_string_equal(keys_in(lines), "apple b/x b/y c+d /w== ");
}

static void a_kept_connection_takes_one_after_another(void **state)
{
    (void)state;
    put_fruit();
    int fd = client_open(f);
    client_say(fd, GET("/v1/notes", LINES) GET("/v1/notes?limit=1", LINES) GET("/livez", "Connection: close\r\n"));
    (void)read_to_end(fd);
    unsigned answers = 0;
    for (const char *at = stream_bytes; (at = strstr(at, "HTTP/1.1 200 ")) != NULL; at++)
        answers++;
    assert_int_equal(answers, 3);
    assert_int_equal(fixture_metric(f, "aff_http_requests_total{route=\"/v1/{keyspace}\",status=\"2xx\"}"), 2);
    client_close(fd);
}

static void a_strict_scan_is_what_is_meant(void **state)
{
    (void)state;
    exchange(f, &r, GET("/v1/notes", ""));
    assert_status(&r, 200);
    assert_false(f->fake->scanned.local);
    assert_true(f->fake->scanned.patience_ns == INT64_C(30000000000));
    exchange(f, &r, GET("/v1/notes", "Affinity-Consistency: eventual\r\n"));
    assert_status(&r, 200);
    assert_true(f->fake->scanned.local);
}

/* ---- waiting ---- */

static void a_scan_that_waits_is_waited_for(void **state)
{
    (void)state;
    put_fruit();
    for (unsigned at = 1; at <= 6; at++) {
        fixture_script(f, (struct fake_script){ .scan_waits_at = at });
        assert_keys("", "apple b/x b/y c+d /w== ");
    }
}

static void count_waiting(struct fixture *fixture, void *arg)
{
    *(unsigned *)arg = fixture->fake->scans_waiting;
}

static void wait_for_waiting(unsigned count)
{
    unsigned waiting = 0;
    while (waiting != count)
        fixture_run(f, count_waiting, &waiting);
}

static void wake(struct fixture *fixture, void *arg)
{
    (void)arg;
    fake_wake_scans(fixture->fake);
}

/* A stream that waits costs no run of the daemon. */
static void a_stream_that_waits_is_suspended(void **state)
{
    (void)state;
    put_fruit();
    fixture_script(f, (struct fake_script){ .scan_waits_at = 3, .scan_held = true });
    int fd = client_open(f);
    client_say(fd, GET("/v1/notes", LINES "Connection: close\r\n"));
    wait_for_waiting(1);
    exchange(f, &r, GET("/livez", ""));
    exchange(f, &r, GET("/livez", ""));
    fixture_run(f, wake, NULL);
    finish_stream(fd);
    assert_true(whole);
    assert_string_equal(keys_in(lines), "apple b/x b/y c+d /w== ");
}

static void clients_may_leave_while_a_scan_waits(void **state)
{
    (void)state;
    put_fruit();
    const char *const requests[] = { GET("/v1/notes", LINES), GET("/v1/notes", "") };
    for (unsigned at = 1; at <= 3; at += 2)
        for (size_t i = 0; i < 2; i++) {
            fixture_script(f, (struct fake_script){ .scan_waits_at = at, .scan_held = true });
            int fd = client_open(f);
            client_say(fd, requests[i]);
            wait_for_waiting(1);
            client_close(fd);
            fixture_run(f, wake, NULL);
            fixture_wait_metric_is(f, "aff_http_connections", 0);
            wait_for_waiting(0);
        }
}

static void a_stop_ends_a_scan_that_waits(void **state)
{
    (void)state;
    put_fruit();
    fixture_script(f, (struct fake_script){ .scan_waits_at = 3, .scan_held = true });
    int fds[2] = { client_open(f), client_open(f) };
    client_say(fds[0], GET("/v1/notes", LINES));
    client_say(fds[1], GET("/v1/notes", ""));
    wait_for_waiting(2);
    fixture_stop(f);
    (void)read_to_end(fds[0]); /* what came before, and no last chunk */
    take_chunks(strstr(stream_bytes, "\r\n\r\n") + 4);
    assert_false(whole);
    assert_true(client_at_end(fds[1]));
    client_close(fds[0]);
    client_close(fds[1]);
    struct fixture_opts opts = fixture_defaults();
    f = fixture_start(&opts);
}

/* ---- failing ---- */

static void a_failure_before_the_first_byte_is_a_503(void **state)
{
    (void)state;
    put_fruit();
    for (unsigned at = 1; at <= 3; at++) {
        fixture_script(f, (struct fake_script){ .scan_fails_at = at, .scan_code = AFF_ENOMASTER });
        exchange(f, &r, GET("/v1/notes", ""));
        assert_problem(&r, 503, "no-master", "partition 5 of `notes`");
        exchange(f, &r, GET("/v1/notes", LINES));
        assert_problem(&r, 503, "no-master", "partition 5 of `notes`");
    }
}

static void a_failure_later_breaks_the_stream_off(void **state)
{
    (void)state;
    put_fruit();
    fixture_script(f, (struct fake_script){ .scan_waits_at = 3, .scan_fails_at = 3, .scan_code = AFF_ENOMASTER });
    stream(GET("/v1/notes?limit=4&prefix=", LINES));
    assert_status(&r, 200);
    assert_false(whole);
    assert_string_equal(keys_in(lines), "apple b/x ");
    const char *problem = strstr(lines, "\n{\"problem\":{\"type\":\"https://affinity.dev/problems/no-master\",");
    assert_non_null(problem);
    assert_string_equal(problem + strlen(problem) - 3, "\"}\n");
    const char *next = strstr(problem, "},\"next\":\"/v1/notes?limit=2&cursor=");
    assert_non_null(next);
    char request[600];
    (void)snprintf(request, sizeof request, "GET %.*s HTTP/1.1\r\n" HOST LINES "Connection: close\r\n\r\n",
                   (int)strcspn(next + 10, "\""), next + 10);
    fixture_script(f, (struct fake_script){ 0 });
    stream(request);
    assert_true(whole);
    assert_string_equal(keys_in(lines), "b/y c+d ");
}

static void drain(struct fixture *fixture, void *arg)
{
    (void)arg;
    aff_http_drain(fixture->https[0]);
}

static void a_stop_of_the_node_breaks_it_off_in_order(void **state)
{
    (void)state;
    put_fruit();
    fixture_script(f, (struct fake_script){ .scan_waits_at = 2, .scan_held = true });
    int fd = client_open(f);
    client_say(fd, GET("/v1/notes", LINES));
    wait_for_waiting(1);
    fixture_run(f, drain, NULL);
    fixture_run(f, wake, NULL);
    finish_stream(fd);
    assert_false(whole);
    assert_string_equal(keys_in(lines), "apple ");
    assert_non_null(strstr(lines, "\n{\"problem\":{\"type\":\"https://affinity.dev/problems/draining\","));
    assert_non_null(strstr(lines, "\"next\":\"/v1/notes?cursor="));
}

static void a_scan_that_is_never_answered_is_a_503(void **state)
{
    (void)state;
    fixture_stop(f);
    struct fixture_opts opts = fixture_defaults();
    opts.limits.exchange_timeout_ms = 1;
    f = fixture_start(&opts);
    fixture_script(f, (struct fake_script){ .scan_waits_at = 1, .scan_held = true });
    exchange(f, &r, GET("/v1/notes", ""));
    assert_problem(&r, 503, "timed-out", NULL);
    exchange(f, &r, GET("/v1/notes", LINES));
    assert_problem(&r, 503, "timed-out", NULL);
}

/* ---- */

static int set_up(void **state)
{
    (void)state;
    struct fixture_opts opts = fixture_defaults();
    f = fixture_start(&opts);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    response_free(&r);
    fixture_stop(f);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_page_has_the_entries_in_order),
        TEST(an_empty_page_is_a_page),
        TEST(the_range_is_what_was_asked_for),
        TEST(keys_alone_have_no_value),
        TEST(pages_follow_each_other),
        TEST(a_page_is_bounded_in_bytes),
        TEST(head_tells_the_same_without_a_body),
        TEST(what_is_asked_wrongly_is_refused),
        TEST(a_long_bound_is_refused),
        TEST(the_form_is_what_the_client_likes_best),
        TEST(a_stream_has_a_line_for_each_entry),
        TEST(an_old_client_gets_it_without_chunks),
        TEST(a_kept_connection_takes_one_after_another),
        TEST(a_strict_scan_is_what_is_meant),
        TEST(a_scan_that_waits_is_waited_for),
        TEST(a_stream_that_waits_is_suspended),
        TEST(clients_may_leave_while_a_scan_waits),
        TEST(a_stop_ends_a_scan_that_waits),
        TEST(a_failure_before_the_first_byte_is_a_503),
        TEST(a_failure_later_breaks_the_stream_off),
        TEST(a_stop_of_the_node_breaks_it_off_in_order),
        TEST(a_scan_that_is_never_answered_is_a_503),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
