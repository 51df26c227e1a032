/*
 * Bulk writes over a socket, on the double of the router: the order of what is told, how many lines are under way, and what becomes of
 * them when queues are full, time is over, or the client has gone.
 *
 * Lines that only count are deletes of what is not there: the double answers them 404, and keeps nothing.
 */
#include "fixture.h"

#include "http/bulk_run.h"

#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HOST "Host: x\r\n"
#define TYPE "Content-Type: application/jsonl\r\n"

static struct fixture *f;
static struct response r;
static char *answer; /* the body of the last one; its lines end with NUL */
static char *lines[AFF_BULK_LINES + 1];
static unsigned count;

/* ---- the client ---- */

static void send_bulk(int fd, const char *space, const char *fields, const char *body)
{
    char head[1024];
    (void)snprintf(head, sizeof head, "POST /v1/%s HTTP/1.1\r\n" HOST "%sContent-Length: %zu\r\n\r\n", space, fields,
                   strlen(body));
    client_say(fd, head);
    client_say(fd, body);
}

static size_t read_size(int fd)
{
    char text[32];
    size_t len = 0;
    while (len < 2 || text[len - 1] != '\n') {
        assert_true(len < sizeof text - 1);
        assert_int_equal(recv(fd, text + len, 1, 0), 1);
        len++;
    }
    return strtoul(text, NULL, 16);
}

static char *read_bytes(int fd, char *to, size_t len)
{
    while (len) {
        ssize_t got = recv(fd, to, len, 0);
        if (got <= 0)
            fail_msg("the stream ended %zu bytes before the end of a chunk", len);
        to += got;
        len -= (size_t)got;
    }
    return to;
}

/* The rest of an answer in chunks. */
static void read_chunks(int fd)
{
    size_t used = 0, size;
    do {
        size = read_size(fd);
        answer = realloc(answer, used + size + 3);
        (void)read_bytes(fd, answer + used, size + 2);
        used += size;
    } while (size);
    answer[used] = 0;
    count = 0;
    for (char *at = answer; *at; at = strchr(at, 0) + 1) {
        char *end = strchr(at, '\n');
        if (!end)
            fail_msg("the last line does not end: %s", at);
        *end = 0;
        lines[count++] = at;
    }
}

static void read_bulk(int fd)
{
    client_read(fd, &r, false);
    assert_status(&r, 200);
    assert_header(&r, "Content-Type", "application/jsonl");
    assert_header(&r, "Transfer-Encoding", "chunked");
    read_chunks(fd);
}

static void bulk(const char *space, const char *fields, const char *body)
{
    int fd = client_open(f);
    send_bulk(fd, space, fields, body);
    read_bulk(fd);
    client_close(fd);
}

static void assert_lines(const char *const *want, unsigned want_count)
{
    for (unsigned i = 0; i < want_count && i < count; i++)
        if (strncmp(lines[i], want[i], strlen(want[i])) != 0)
            fail_msg("line %u is <%s>, it should begin with <%s>", i, lines[i], want[i]);
    assert_int_equal(count, want_count);
}
#define ASSERT_LINES(...)                                                                                              \
    assert_lines((const char *const[]){ __VA_ARGS__ }, sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

static char *deletes(unsigned number)
{
    char *body = malloc(number * 40 + 1), *at = body;
    *at = 0;
    for (unsigned i = 0; i < number; i++)
        at += sprintf(at, "{\"key\":\"k%u\",\"delete\":true}\n", i);
    return body;
}

/* ---- the router ---- */

static void get_held(struct fixture *fixture, void *arg)
{
    unsigned *held = arg;
    *held = 0;
    aff_list_each(link, &fixture->fake->held)
        ++*held;
}

static unsigned held(void)
{
    unsigned number;
    fixture_run(f, get_held, &number);
    return number;
}

static void wait_until(unsigned (*number)(void), unsigned least)
{
    const struct timespec nap = { .tv_nsec = 1000000 };
    for (int i = 0; i < CLIENT_PATIENCE_S * 1000; i++) {
        if (number() >= least)
            return;
        (void)nanosleep(&nap, NULL);
    }
    fail_msg("it is %u, it should be %u", number(), least);
}

static unsigned calls(void)
{
    return fixture_calls(f);
}

static void hold(void)
{
    fixture_script(f, (struct fake_script){ .when = FAKE_HELD });
}

static void nothing(struct fixture *fixture, void *arg)
{
    (void)fixture;
    (void)arg;
}

static void passes(void)
{
    for (int i = 0; i < 20; i++)
        fixture_run(f, nothing, NULL);
}

/* ---- what is told ---- */

static void every_line_has_its_answer_in_its_place(void **state)
{
    (void)state;
    for (int at_once = 0; at_once <= 1; at_once++) {
        fixture_script(f, (struct fake_script){ .when = at_once ? FAKE_AT_ONCE : FAKE_IN_STAGE });
        bulk("notes", TYPE,
             "{\"key\":\"a\",\"value\":{\"n\":1.0}}\r\n"
             "\n \t\n"
             "nonsense\n"
             "{\"key\":\"\\u0061\",\"value\":2}\n"
             "{\"key64\":\"/v8=\",\"value64\":\"AAE=\",\"type\":\"image/png\"}\n"
             "{\"key\":\"b\",\"value\":1,\"wat\":2}\n"
             "{\"key\":\"a\",\"delete\":true}\n"
             "{\"key\":\"a\",\"delete\":true}\n"
             "{\"key64\":\"/v8=\",\"delete\":true}");
        ASSERT_LINES("{\"key\":\"a\",\"status\":201,\"etag\":\"\\\"0badcafe-3-",
                     "{\"line\":4,\"status\":400,\"problem\":{\"type\":\"https://affinity.dev/problems/bad-json\"",
                     "{\"key\":\"\\u0061\",\"status\":200,\"etag\":\"\\\"0badcafe-3-",
                     "{\"key64\":\"/v8=\",\"status\":201,\"etag\":\"\\\"0badcafe-3-",
                     "{\"line\":7,\"status\":400,\"problem\":{", "{\"key\":\"a\",\"status\":204}",
                     "{\"line\":9,\"key\":\"a\",\"status\":404,\"problem\":{", "{\"key64\":\"/v8=\",\"status\":204}");
        assert_non_null(strstr(lines[4], "there is no member \\\"wat\\\" here"));
    }
}

static void nothing_is_answered_with_nothing(void **state)
{
    (void)state;
    int fd = client_open(f);
    const char *const bodies[] = { "", "\n", " \r\n\r\n\t" };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        send_bulk(fd, "notes", TYPE, bodies[i]);
        read_bulk(fd);
        assert_int_equal(count, 0);
    }
    client_close(fd);
}

static void what_reaches_the_partition_is_what_the_line_says(void **state)
{
    (void)state;
    bulk("notes", TYPE "traceparent: 00-0123456789abcdef0123456789abcdef-0123456789abcdef-01\r\n",
         "{\"key\":\"x\\ty\",\"value64\":\"AAEC\",\"type\":\"image\\/png\",\"if_match\":\"\\\"0badcafe-3-7\\\"\","
         "\"id\":\"i\",\"ttl\":\"2m\",\"event_time\":9}\n");
    struct fake_seen seen = fixture_seen(f);
    assert_int_equal(seen.kind, AFF_OP_PUT);
    assert_memory_equal(seen.key, "x\ty", 3);
    assert_int_equal(seen.value_len, 3);
    assert_string_equal(seen.content_type, "image/png");
    assert_true(seen.conditions.has_match && seen.conditions.match_count == 1);
    assert_int_equal(seen.match[0].offset, 7);
    assert_int_equal(seen.ttl_ms, 120000);
    assert_int_equal(seen.event_ms, 9);
    assert_true(seen.has_deadline && seen.identified);
    assert_memory_equal(seen.traceparent, "00-0123", 7);
}

/* So that either can repeat the other. */
static void an_id_is_the_idempotency_key_of_the_same_put(void **state)
{
    (void)state;
    const struct {
        const char *line, *request;
    } same[] = {
        { "{\"key\":\"k\",\"value\":[1, 2],\"id\":\"i\",\"ttl\":\"2m\",\"event_time\":9,\"if_none_match\":\"*\"}",
          "PUT /v1/notes/k HTTP/1.1\r\n" HOST "Content-Type: application/json\r\nIdempotency-Key: i\r\n"
          "Affinity-TTL: 2m\r\nAffinity-Event-Time: 9\r\nIf-None-Match: *\r\nContent-Length: 6\r\n\r\n[1, 2]" },
        { "{\"key\":\"k\",\"value64\":\"AAA=\",\"id\":\"j\",\"if_match\":\"\\\"0badcafe-3-7\\\"\"}",
          "PUT /v1/notes/k HTTP/1.1\r\n" HOST "Idempotency-Key: j\r\nIf-Match: \"0badcafe-3-7\"\r\n"
          "Content-Type: application/octet-stream\r\nContent-Length: 2\r\n\r\n" },
        { "{\"key\":\"k\",\"delete\":true,\"id\":\"k\"}",
          "DELETE /v1/notes/k HTTP/1.1\r\n" HOST "Idempotency-Key: k\r\n\r\n" },
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        bulk("notes", TYPE, same[i].line);
        struct fake_seen of_line = fixture_seen(f);
        int fd = client_open(f);
        client_say(fd, same[i].request);
        if (i == 1)
            client_send(fd, "\0\0", 2);
        client_read(fd, &r, false);
        client_close(fd);
        struct fake_seen of_request = fixture_seen(f);
        assert_true(aff_digest_equal(of_line.id, of_request.id));
        assert_true(aff_digest_equal(of_line.request, of_request.request));
    }
}

static void replays_and_failures_say_so(void **state)
{
    (void)state;
    fixture_script(f, (struct fake_script){ .replayed = true, .status = 201 });
    bulk("notes", TYPE, "{\"key\":\"a\",\"value\":1,\"id\":\"1\"}");
    assert_non_null(strstr(lines[0], "\"status\":201,\"etag\":"));
    assert_non_null(strstr(lines[0], ",\"replayed\":true}"));
    fixture_script(f, (struct fake_script){ .code = AFF_ENOMASTER, .outcome = AFF_OUTCOME_NOT_APPLIED });
    bulk("notes", TYPE, "{\"key\":\"a\",\"value\":1}");
    ASSERT_LINES("{\"line\":1,\"key\":\"a\",\"status\":503,\"outcome\":\"not-applied\",\"problem\":{\"type\":\"https://"
                 "affinity.dev/problems/no-master\"");
    fixture_script(f, (struct fake_script){ .code = AFF_EPRECONDITION });
    bulk("notes", TYPE, "{\"key\":\"a\",\"value\":1}");
    ASSERT_LINES("{\"line\":1,\"key\":\"a\",\"status\":412,\"problem\":{\"type\":");
}

static void brief_answers_tell_failures_and_a_sum(void **state)
{
    (void)state;
    int fd = client_open(f);
    send_bulk(fd, "notes", TYPE "Prefer: return=minimal\r\n",
              "{\"key\":\"a\",\"value\":1}\n\n{\"key\":\"none\",\"delete\":true}\n{\"key\":\"b\",\"value\":1}\n");
    read_bulk(fd);
    assert_header(&r, "Preference-Applied", "return=minimal");
    ASSERT_LINES("{\"line\":3,\"key\":\"none\",\"status\":404", "{\"lines\":3,\"failed\":1}");
    client_close(fd);
}

static void a_keyspace_has_its_own_rules(void **state)
{
    (void)state;
    bulk("strict", TYPE, "{\"key\":\"a\",\"value\":1}\n{\"key\":\"a\",\"value\":1,\"if_none_match\":\"*\"}");
    ASSERT_LINES("{\"line\":1,\"key\":\"a\",\"status\":428,", "{\"key\":\"a\",\"status\":");
    bulk("small", TYPE,
         "{\"key\":\"a\",\"value\":\"12345678\"}\n{\"key\":\"a\",\"value\":\"123456789\"}\n"
         "{\"key\":\"a\",\"value64\":\"AAAAAAAAAAAAAA==\"}\n{\"key\":\"a\",\"value64\":\"AAAAAAAAAAAAAAA=\"}\n"
         "{\"key\":\"a\",\"value64\":\"fQ==\",\"type\":\"application/json\"}");
    ASSERT_LINES(
        "{\"key\":\"a\",\"status\":20", "{\"line\":2,\"key\":\"a\",\"status\":413,", "{\"key\":\"a\",\"status\":20",
        "{\"line\":4,\"key\":\"a\",\"status\":413,",
        "{\"line\":5,\"key\":\"a\",\"status\":400,\"problem\":{\"type\":\"https://affinity.dev/problems/bad-json");
    assert_non_null(strstr(lines[1], "more than the 10 bytes"));
    exchange(f, &r, "POST /v1/fixed HTTP/1.1\r\n" HOST TYPE "Content-Length: 2\r\n\r\n{}");
    assert_status(&r, 405);
}

/* ---- what is refused as a whole ---- */

static void refuse(const char *fields, const char *body, int status, const char *type, const char *detail)
{
    unsigned before = calls();
    int fd = client_open(f);
    send_bulk(fd, "notes", fields, body);
    client_read(fd, &r, false);
    assert_problem(&r, status, type, detail);
    assert_int_equal(calls(), before);
    client_close(fd);
}

static void what_is_no_bulk_write_is_refused_before_anything_is_done(void **state)
{
    (void)state;
    const char line[] = "{\"key\":\"a\",\"value\":1}";
    refuse("", line, 415, "unsupported-media-type", "a bulk write is application/jsonl");
    refuse("Content-Type: application/json\r\n", line, 415, "unsupported-media-type", "a bulk write is");
    refuse(TYPE "Content-Encoding: gzip\r\n", line, 415, "unsupported-media-type", "Content-Encoding");
    refuse(TYPE "Accept: text/html\r\n", line, 406, "not-acceptable", "Accept");
    refuse(TYPE "Idempotency-Key: a\r\n", line, 400, "bad-request", "each line of a bulk write: `id`");
    refuse(TYPE "If-Match: *\r\n", line, 400, "bad-request", "`if_match`");
    refuse(TYPE "Affinity-TTL: 3s\r\n", line, 400, "bad-request", "`ttl`");
    refuse(TYPE "Affinity-Consistency: eventual\r\n", line, 400, "bad-request", "always strict");
    exchange(f, &r, "POST /v1/notes HTTP/1.1\r\n" HOST TYPE "\r\n");
    assert_problem(&r, 411, "length-required", "Content-Length");
    exchange(f, &r, "POST /v1/notes?a=b HTTP/1.1\r\n" HOST TYPE "Content-Length: 0\r\n\r\n");
    assert_problem(&r, 400, "bad-request", "no parameter");
}

static void ndjson_is_the_same_under_another_name(void **state)
{
    (void)state;
    int fd = client_open(f);
    send_bulk(fd, "notes", "Content-Type: application/x-ndjson\r\nAccept: application/x-ndjson\r\n",
              "{\"key\":\"a\",\"delete\":true}");
    client_read(fd, &r, false);
    assert_header(&r, "Content-Type", "application/x-ndjson");
    read_chunks(fd);
    assert_int_equal(count, 1);
    client_close(fd);
}

static void too_much_is_413_and_nothing_is_done(void **state)
{
    (void)state;
    char *body = malloc(AFF_BULK_LINES + 2);
    memset(body, '\n', AFF_BULK_LINES + 1);
    body[AFF_BULK_LINES + 1] = 0;
    refuse(TYPE, body, 413, "content-too-large", "at most 100000 lines");
    body[AFF_BULK_LINES] = 0;
    bulk("notes", TYPE, body);
    assert_int_equal(count, 0);
    free(body);
    int fd = client_open(f);
    client_say(fd, "POST /v1/notes HTTP/1.1\r\n" HOST TYPE "Content-Length: 16777217\r\n\r\n");
    client_read(fd, &r, false);
    assert_problem(&r, 413, "content-too-large", "16777216");
    client_close(fd);
}

/* ---- many at a time ---- */

static void as_many_are_under_way_as_the_window_has(void **state)
{
    (void)state;
    hold();
    unsigned before = calls();
    char *body = deletes(3 * AFF_BULK_WINDOW);
    int fd = client_open(f);
    send_bulk(fd, "notes", TYPE, body);
    free(body);
    wait_until(held, AFF_BULK_WINDOW);
    passes();
    assert_int_equal(held(), AFF_BULK_WINDOW);
    for (unsigned round = 1; round <= 3; round++) {
        wait_until(held, AFF_BULK_WINDOW);
        assert_int_equal(calls() - before, round * AFF_BULK_WINDOW);
        fixture_answer_held(f);
    }
    read_bulk(fd);
    assert_int_equal(count, 3 * AFF_BULK_WINDOW);
    for (unsigned i = 0; i < count; i++) {
        char want[64];
        (void)snprintf(want, sizeof want, "{\"line\":%u,\"key\":\"k%u\",\"status\":404,", i + 1, i);
        if (strncmp(lines[i], want, strlen(want)) != 0)
            fail_msg("<%s> should begin with <%s>", lines[i], want);
    }
    client_close(fd);
}

static void lines_of_one_key_go_one_after_the_other(void **state)
{
    (void)state;
    hold();
    int fd = client_open(f);
    send_bulk(fd, "notes", TYPE,
              "{\"key\":\"one\",\"value\":1}\n{\"key\":\"one\",\"value\":22}\n{\"key\":\"one\",\"delete\":true}\n"
              "{\"key\":\"other\",\"value\":1}\n{\"key\":\"one\",\"value\":333}\n");
    static const size_t lengths[] = { 1, 2, 0, 3 };
    wait_until(held, 2);
    for (int i = 0; i < 4; i++) {
        wait_until(held, i ? 1 : 2);
        passes();
        assert_int_equal(held(), i ? 1 : 2);
        if (i)
            assert_int_equal(fixture_seen(f).value_len, lengths[i]);
        fixture_answer_held(f);
    }
    read_bulk(fd);
    ASSERT_LINES("{\"key\":\"one\",\"status\":201", "{\"key\":\"one\",\"status\":200",
                 "{\"key\":\"one\",\"status\":204", "{\"key\":\"other\",\"status\":201",
                 "{\"key\":\"one\",\"status\":201");
    client_close(fd);
}

/* Whether the mailbox says so at once or the partition later: the line waits, and those of its key behind it. */
static void a_full_queue_is_waited_for(void **state)
{
    (void)state;
    static const int codes[] = { AFF_EQUEUEFULL, AFF_EQUEUEFULL, AFF_EIDRUNNING, AFF_EIDRUNNING };
    for (int i = 0; i < 4; i++) {
        fixture_script(f, (struct fake_script){ .when = i % 2 ? FAKE_AT_ONCE : FAKE_IN_STAGE,
                                                .code = codes[i],
                                                .outcome = AFF_OUTCOME_NOT_APPLIED });
        unsigned before = calls();
        int fd = client_open(f);
        send_bulk(fd, "notes", TYPE,
                  "{\"key\":\"full\",\"value\":1}\n{\"key\":\"full\",\"value\":22}\n{\"key\":\"next\",\"value\":1}\n");
        wait_until(calls, before + 6);
        fixture_script(f, (struct fake_script){ .when = FAKE_IN_STAGE });
        read_bulk(fd);
        ASSERT_LINES("{\"key\":\"full\",\"status\":20", "{\"key\":\"full\",\"status\":200",
                     "{\"key\":\"next\",\"status\":20");
        client_close(fd);
        exchange(f, &r, "GET /v1/notes/full HTTP/1.1\r\n" HOST "\r\n");
        assert_string_equal(r.body, "22");
    }
}

/* ---- ends ---- */

static void start_with(struct fixture_opts opts)
{
    fixture_stop(f);
    f = fixture_start(&opts);
}

static void at_the_deadline_each_line_tells_what_is_known_of_it(void **state)
{
    (void)state;
    struct fixture_opts opts = fixture_defaults();
    opts.limits.exchange_timeout_ms = 200;
    start_with(opts);
    hold();
    char *body = deletes(AFF_BULK_WINDOW + 2);
    memcpy(strstr(body, "\"k1\""), "\"k0\"", 4); /* waits behind the first */
    memcpy(strstr(body, "{\"key\":\"k513\""), "nonsense    ", 12);
    int fd = client_open(f);
    send_bulk(fd, "notes", TYPE, body);
    free(body);
    read_bulk(fd);
    assert_int_equal(count, AFF_BULK_WINDOW + 2);
    assert_non_null(strstr(lines[0], "{\"line\":1,\"key\":\"k0\",\"status\":504,\"outcome\":\"unknown\",\"problem\":"));
    assert_non_null(strstr(lines[1], "\"status\":503,\"outcome\":\"not-applied\",\"problem\":"));
    assert_non_null(strstr(lines[1], "/timed-out"));
    assert_non_null(strstr(lines[AFF_BULK_WINDOW - 1], "\"status\":504,\"outcome\":\"unknown\""));
    assert_non_null(
        strstr(lines[AFF_BULK_WINDOW], "{\"line\":513,\"key\":\"k512\",\"status\":503,\"outcome\":\"not-applied\""));
    assert_non_null(strstr(lines[AFF_BULK_WINDOW + 1], "{\"line\":514,\"status\":400,"));
    client_say(fd, "GET /livez HTTP/1.1\r\n" HOST "\r\n"); /* the connection goes on */
    client_read(fd, &r, false);
    assert_status(&r, 200);
    client_close(fd);
    fixture_answer_held(f);
    fixture_wait_metric_is(f, "aff_http_bodies_bytes", 0);
    start_with(fixture_defaults());
}

static void what_is_unknown_has_its_request_id_and_holds_its_memory(void **state)
{
    (void)state;
    fixture_script(f,
                   (struct fake_script){ .late_release = true, .code = AFF_EUNKNOWN, .outcome = AFF_OUTCOME_UNKNOWN });
    bulk("notes", TYPE, "{\"key\":\"a\",\"value\":1}\n");
    ASSERT_LINES(
        "{\"line\":1,\"key\":\"a\",\"status\":504,\"outcome\":\"unknown\",\"request_id\":\"notes-3-42\",\"problem\":{");
    assert_non_null(strstr(lines[0], "\"instance\":\"/outcome/notes-3-42\""));
    fixture_wait_metric_is(f, "aff_http_connections", 0);
    assert_true(fixture_metric(f, "aff_http_bodies_bytes") > 0);
    fixture_release(f);
    fixture_wait_metric_is(f, "aff_http_bodies_bytes", 0);
}

static void nothing_is_begun_for_a_client_that_has_gone(void **state)
{
    (void)state;
    unsigned long long gone = fixture_metric(f, "aff_http_clients_gone_total");
    unsigned before = calls();
    hold();
    char *body = deletes(20 * AFF_BULK_WINDOW);
    int fd = client_open(f);
    send_bulk(fd, "notes", TYPE, body);
    free(body);
    wait_until(held, AFF_BULK_WINDOW);
    const struct linger reset = { .l_onoff = 1 };
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    client_close(fd);
    fixture_answer_held(f);
    fixture_wait_metric(f, "aff_http_clients_gone_total", gone + 1);
    passes();
    assert_true(calls() - before <= 3 * AFF_BULK_WINDOW);
    fixture_answer_held(f);
    fixture_wait_metric_is(f, "aff_http_bodies_bytes", 0);
    assert_true(calls() - before <= 3 * AFF_BULK_WINDOW);
}

static void drain(struct fixture *fixture, void *arg)
{
    (void)arg;
    aff_http_drain(fixture->https[0]);
}

static void a_drain_begins_nothing_and_finishes_what_is_under_way(void **state)
{
    (void)state;
    hold();
    char *body = deletes(AFF_BULK_WINDOW + 1);
    int fd = client_open(f);
    send_bulk(fd, "notes", TYPE, body);
    free(body);
    wait_until(held, AFF_BULK_WINDOW);
    fixture_run(f, drain, NULL);
    fixture_answer_held(f);
    read_bulk(fd);
    assert_int_equal(count, AFF_BULK_WINDOW + 1);
    assert_non_null(strstr(lines[AFF_BULK_WINDOW - 1], "\"status\":404"));
    assert_non_null(strstr(lines[AFF_BULK_WINDOW], "\"status\":503,\"outcome\":\"not-applied\""));
    assert_non_null(strstr(lines[AFF_BULK_WINDOW], "/draining"));
    client_close(fd);
    start_with(fixture_defaults());
}

static void stop_server(struct fixture *fixture, void *arg)
{
    (void)arg;
    aff_http_stop(fixture->https[0]);
}

static void a_stop_ends_it_and_calls_still_come_back(void **state)
{
    (void)state;
    hold();
    char *body = deletes(AFF_BULK_WINDOW + 1);
    int fd = client_open(f);
    send_bulk(fd, "notes", TYPE, body);
    free(body);
    wait_until(held, AFF_BULK_WINDOW);
    fixture_run(f, stop_server, NULL);
    fixture_answer_held(f);
    assert_int_equal(held(), 0);
    client_close(fd);
    start_with(fixture_defaults());
}

/* The budget has room for the body and nothing else: lines go one by one, and all of them. */
static void without_a_budget_it_goes_slowly(void **state)
{
    (void)state;
    struct fixture_opts opts = fixture_defaults();
    char *body = deletes(3000);
    opts.gate.bodies = strlen(body);
    start_with(opts);
    bulk("notes", TYPE, body);
    free(body);
    assert_int_equal(count, 3000);
    fixture_wait_metric_is(f, "aff_http_bodies_bytes", 0);
    start_with(fixture_defaults());
}

/* Results wait for a client that reads nothing for a while, and everything is carried out meanwhile. */
static void a_client_may_read_when_all_is_done(void **state)
{
    (void)state;
    unsigned before = calls();
    char *body = deletes(30000);
    int fd = client_open(f);
    send_bulk(fd, "notes", TYPE, body);
    free(body);
    wait_until(calls, before + 30000);
    read_bulk(fd);
    assert_int_equal(count, 30000);
    client_close(fd);
    fixture_wait_metric_is(f, "aff_http_bodies_bytes", 0);
}

static int start(void **state)
{
    struct fixture_opts opts = fixture_defaults();
    (void)state;
    f = fixture_start(&opts);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    fixture_stop(f);
    response_free(&r);
    free(answer);
    return 0;
}

static int reset(void **state)
{
    (void)state;
    fixture_script(f, (struct fake_script){ .when = FAKE_IN_STAGE });
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(every_line_has_its_answer_in_its_place, reset),
        cmocka_unit_test_setup(nothing_is_answered_with_nothing, reset),
        cmocka_unit_test_setup(what_reaches_the_partition_is_what_the_line_says, reset),
        cmocka_unit_test_setup(an_id_is_the_idempotency_key_of_the_same_put, reset),
        cmocka_unit_test_setup(replays_and_failures_say_so, reset),
        cmocka_unit_test_setup(brief_answers_tell_failures_and_a_sum, reset),
        cmocka_unit_test_setup(a_keyspace_has_its_own_rules, reset),
        cmocka_unit_test_setup(what_is_no_bulk_write_is_refused_before_anything_is_done, reset),
        cmocka_unit_test_setup(ndjson_is_the_same_under_another_name, reset),
        cmocka_unit_test_setup(too_much_is_413_and_nothing_is_done, reset),
        cmocka_unit_test_setup(as_many_are_under_way_as_the_window_has, reset),
        cmocka_unit_test_setup(lines_of_one_key_go_one_after_the_other, reset),
        cmocka_unit_test_setup(a_full_queue_is_waited_for, reset),
        cmocka_unit_test_setup(at_the_deadline_each_line_tells_what_is_known_of_it, reset),
        cmocka_unit_test_setup(what_is_unknown_has_its_request_id_and_holds_its_memory, reset),
        cmocka_unit_test_setup(nothing_is_begun_for_a_client_that_has_gone, reset),
        cmocka_unit_test_setup(a_drain_begins_nothing_and_finishes_what_is_under_way, reset),
        cmocka_unit_test_setup(a_stop_ends_it_and_calls_still_come_back, reset),
        cmocka_unit_test_setup(without_a_budget_it_goes_slowly, reset),
        cmocka_unit_test_setup(a_client_may_read_when_all_is_done, reset),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
