/* GET, HEAD, PUT, DELETE and OPTIONS over a socket, on the double of the router: what reaches the partition, what comes back. */
#include "fixture.h"

static struct fixture *f;
static struct response r;

static void ask(const char *request)
{
    exchange(f, &r, request);
}

/* "METHOD target" with header lines and a body of its length. */
static void send_body(const char *line, const char *headers, const char *body)
{
    char request[8192];
    (void)snprintf(request, sizeof request, "%s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n%s\r\n%s", line,
                   strlen(body), headers, body);
    ask(request);
}

static void get(const char *target, const char *headers)
{
    char request[8192];
    (void)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n", target, headers);
    ask(request);
}

#define JSON "Content-Type: application/json\r\n"

/* ---- values ---- */

static void a_value_comes_back_as_it_was_put(void **state)
{
    (void)state;
    send_body("PUT /v1/notes/milk", "Content-Type: application/json; charset=utf-8\r\n",
              "{\"n\":  0.10000000000000000001}");
    assert_status(&r, 201);
    assert_header(&r, "Location", "/v1/notes/milk");
    assert_header(&r, "Affinity-Request-Id", "notes-3-42");
    char etag[64], position[64];
    (void)snprintf(etag, sizeof etag, "%s", header(&r, "ETag"));
    (void)snprintf(position, sizeof position, "%s", header(&r, "Affinity-Position"));
    assert_memory_equal(etag, "\"0badcafe-3-", 12);
    assert_memory_equal(position, "3:", 2);
    get("/v1/notes/milk", "");
    assert_status(&r, 200);
    assert_string_equal(r.body, "{\"n\":  0.10000000000000000001}");
    assert_header(&r, "Content-Type", "application/json; charset=utf-8");
    assert_header(&r, "Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_header(&r, "ETag", etag);
    assert_header(&r, "Affinity-Position", position);
    assert_header(&r, "Cache-Control", "no-cache");
    assert_header(&r, "Affinity-Expires", NULL);
    assert_header(&r, "Affinity-Event-Time", NULL);
}

/* A response is kept and sent again as long as it is the same version. */
static void reading_again_gives_the_same_until_it_is_changed(void **state)
{
    (void)state;
    struct response first = { 0 };
    int fd = client_open(f), other = client_open(f);
    send_body("PUT /v1/notes/again", "Affinity-TTL: 1h\r\n", "one");
    for (int i = 0; i < 3; i++) {
        client_say(fd, "GET /v1/notes/again HTTP/1.1\r\nHost: x\r\n\r\n");
        client_say(other, "GET /v1/notes/again HTTP/1.1\r\nHost: x\r\n\r\n");
        client_read(fd, &first, false);
        client_read(other, &r, false);
        assert_string_equal(first.body, "one");
        assert_string_equal(r.body, "one");
        assert_string_equal(strstr(r.head, "ETag"), strstr(first.head, "ETag")); /* behind the Date */
    }
    send_body("PUT /v1/notes/again", "", "two");
    client_say(fd, "GET /v1/notes/again HTTP/1.1\r\nHost: x\r\n\r\n");
    client_read(fd, &r, false);
    assert_string_equal(r.body, "two");
    assert_header(&r, "Affinity-Expires", NULL);
    assert_string_not_equal(strstr(r.head, "ETag"), strstr(first.head, "ETag"));
    client_say(fd, "GET /v1/notes/again HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\n\r\n"
                   "GET /v1/notes/again HTTP/1.0\r\n\r\n");
    client_read(fd, &r, false);
    assert_status(&r, 406);
    client_read(fd, &r, false);
    assert_header(&r, "Connection", "close");
    assert_true(client_at_end(fd));
    client_say(other, "GET /v1/notes/again HTTP/1.1\r\nHost: x\r\n\r\n"); /* the close was that request's alone */
    client_read(other, &r, false);
    assert_header(&r, "Connection", NULL);
    client_close(fd);
    client_close(other);
    response_free(&first);
}

static void a_head_has_the_headers_of_a_get(void **state)
{
    (void)state;
    send_body("PUT /v1/notes/head", "", "12345");
    ask("HEAD /v1/notes/head HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_status(&r, 200);
    assert_header(&r, "Content-Length", "5");
    assert_header(&r, "Content-Type", "application/octet-stream");
    ask("HEAD /v1/notes/nothing HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_status(&r, 404);
}

static void replacing_a_value_is_200(void **state)
{
    (void)state;
    send_body("PUT /v1/notes/twice", "", "1");
    assert_status(&r, 201);
    send_body("PUT /v1/notes/twice", "", "2");
    assert_status(&r, 200);
    assert_header(&r, "Location", NULL);
    assert_header(&r, "Content-Length", "0");
}

static void any_bytes_are_a_value_of_another_type(void **state)
{
    (void)state;
    const char bytes[] = "\0\xff{not json";
    int fd = client_open(f);
    client_say(fd, "PUT /v1/notes/bytes HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n");
    client_send(fd, bytes, 11);
    client_read(fd, &r, false);
    assert_status(&r, 201);
    client_say(fd, "GET /v1/notes/bytes HTTP/1.1\r\nHost: x\r\n\r\n");
    client_read(fd, &r, false);
    assert_int_equal(r.body_len, 11);
    assert_memory_equal(r.body, bytes, 11);
    client_close(fd);
}

static void an_empty_value_is_one(void **state)
{
    (void)state;
    send_body("PUT /v1/notes/empty", "", "");
    assert_status(&r, 201);
    get("/v1/notes/empty", "");
    assert_status(&r, 200);
    assert_int_equal(r.body_len, 0);
}

static void a_key_is_any_bytes_but_a_leading_nul(void **state)
{
    (void)state;
    send_body("PUT /v1/notes/a%2Fb%00%ff+%3f", "", "1");
    assert_status(&r, 201);
    assert_header(&r, "Location", "/v1/notes/a%2Fb%00%ff+%3f");
    struct fake_seen seen = fixture_seen(f);
    assert_int_equal(seen.key_len, 7);
    assert_memory_equal(seen.key, "a/b\0\xff+?", 7);
    get("/v1/notes/a%2fb%00%FF%2B%3F", "");
    assert_status(&r, 200);
    get("/v1/notes/%00a", "");
    assert_problem(&r, 400, "bad-request", "does not begin with a NUL");
    get("/v1/notes/", "");
    assert_problem(&r, 400, "bad-request", "at least one byte");
    get("/v1/notes/%4", "");
    assert_problem(&r, 400, "bad-request", "two hexadecimal digits");
}

static void a_key_has_at_most_511_bytes(void **state)
{
    (void)state;
    char line[600] = "PUT /v1/notes/";
    memset(line + 14, 'k', 511);
    send_body(line, "", "1");
    assert_status(&r, 201);
    line[14 + 511] = 'k';
    send_body(line, "", "1");
    assert_problem(&r, 400, "bad-request", "at most 511 bytes");
}

static void deleting_is_204_and_then_404(void **state)
{
    (void)state;
    send_body("PUT /v1/notes/gone", "", "1");
    ask("DELETE /v1/notes/gone HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_status(&r, 204);
    assert_header(&r, "ETag", NULL);
    assert_header(&r, "Content-Length", NULL);
    assert_non_null(header(&r, "Affinity-Position"));
    assert_header(&r, "Affinity-Request-Id", "notes-3-42");
    ask("DELETE /v1/notes/gone HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_problem(&r, 404, "not-found", NULL);
    get("/v1/notes/gone", "");
    assert_problem(&r, 404, "not-found", NULL);
}

/* ---- JSON and media types ---- */

static void json_is_checked_and_the_fault_is_named(void **state)
{
    (void)state;
    unsigned before = fixture_calls(f);
    send_body("PUT /v1/notes/json", JSON, "{\"a\":1,}");
    assert_problem(&r, 400, "bad-json", "line 1, column 8 (byte 7): expected a name in quotes");
    send_body("PUT /v1/notes/json", "Content-Type: application/vnd.a+json\r\n", "nope");
    assert_problem(&r, 400, "bad-json", "true, false or null");
    send_body("PUT /v1/notes/json", JSON, "");
    assert_problem(&r, 400, "bad-json", "expected a value");
    assert_int_equal(fixture_calls(f), before);
    send_body("PUT /v1/notes/json", "Content-Type: text/json\r\n", "nope");
    assert_status(&r, 201);
}

static void what_is_no_media_type_is_415(void **state)
{
    (void)state;
    send_body("PUT /v1/notes/type", "Content-Type: json\r\n", "1");
    assert_problem(&r, 415, "unsupported-media-type", "Content-Type");
    send_body("PUT /v1/notes/type", JSON "Content-Encoding: gzip\r\n", "1");
    assert_problem(&r, 415, "unsupported-media-type", "Content-Encoding");
    send_body("PUT /v1/notes/type", JSON "Content-Encoding: identity\r\n", "1");
    assert_status(&r, 201);
    send_body("PUT /v1/notes/type", JSON JSON, "1");
    assert_problem(&r, 400, "bad-request", "Content-Type came twice");
}

static void accept_is_looked_at(void **state)
{
    (void)state;
    send_body("PUT /v1/notes/accept", JSON, "1");
    get("/v1/notes/accept", "Accept: text/html\r\n");
    assert_problem(&r, 406, "not-acceptable", NULL);
    get("/v1/notes/accept", "Accept: text/html\r\nAccept: application/*\r\n");
    assert_status(&r, 200);
    get("/v1/notes/accept", "Accept: */*\r\n");
    assert_status(&r, 200);
}

/* ---- conditions ---- */

static void reads_with_conditions(void **state)
{
    (void)state;
    char etag[64], field[256];
    send_body("PUT /v1/notes/cond", JSON, "[1]");
    (void)snprintf(etag, sizeof etag, "%s", header(&r, "ETag"));
    (void)snprintf(field, sizeof field, "If-None-Match: \"x\"\r\nIf-None-Match: W/%s\r\n", etag);
    get("/v1/notes/cond", field);
    assert_status(&r, 304);
    assert_header(&r, "ETag", etag);
    assert_header(&r, "Content-Length", "3"); /* as the 200 would have */
    get("/v1/notes/cond", "If-None-Match: \"0badcafe-3-1\"\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
    assert_status(&r, 200);
    get("/v1/notes/cond", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
    assert_status(&r, 304);
    get("/v1/notes/cond", "If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n");
    assert_status(&r, 200);
    get("/v1/notes/cond", "If-Match: \"0badcafe-3-1\"\r\n");
    assert_problem(&r, 412, "precondition-failed", NULL);
    (void)snprintf(field, sizeof field, "If-Match: \"y\", %s\r\n", etag);
    get("/v1/notes/cond", field);
    assert_status(&r, 200);
    get("/v1/notes/nothing", "If-Match: *\r\n");
    assert_problem(&r, 412, "precondition-failed", NULL);
    get("/v1/notes/nothing", "If-None-Match: *\r\n");
    assert_problem(&r, 404, "not-found", NULL);
    get("/v1/notes/cond", "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n");
    assert_problem(&r, 412, "precondition-failed", NULL);
    get("/v1/notes/cond", "If-Match: abc\r\n");
    assert_problem(&r, 400, "bad-request", "If-Match");
}

static void a_kept_connection_goes_on_after_a_304(void **state)
{
    (void)state;
    send_body("PUT /v1/notes/kept", JSON, "[1]");
    int fd = client_open(f);
    client_say(fd, "GET /v1/notes/kept HTTP/1.1\r\nHost: x\r\nIf-None-Match: *\r\n\r\n"
                   "HEAD /v1/notes/kept HTTP/1.1\r\nHost: x\r\n\r\n"
                   "GET /v1/notes/kept HTTP/1.1\r\nHost: x\r\n\r\n");
    client_read(fd, &r, false);
    assert_status(&r, 304);
    client_read(fd, &r, true);
    assert_status(&r, 200);
    client_read(fd, &r, false);
    assert_string_equal(r.body, "[1]");
    client_close(fd);
}

static void conditions_of_writes_reach_the_partition(void **state)
{
    (void)state;
    send_body("PUT /v1/notes/w",
              "If-Match: \"0badcafe-3-7\", W/\"0badcafe-3-8\", \"x\"\r\nIf-None-Match: W/\"0badcafe-4-9\"\r\n", "1");
    struct fake_seen seen = fixture_seen(f);
    assert_true(seen.conditions.has_match);
    assert_false(seen.conditions.match_any || seen.conditions.none_match_any);
    assert_int_equal(seen.conditions.match_count, 1);
    assert_int_equal(seen.match[0].offset, 7);
    assert_int_equal(seen.conditions.none_match_count, 1);
    assert_int_equal(seen.none_match[0].partition, 4);
    ask("DELETE /v1/notes/w HTTP/1.1\r\nHost: x\r\nIf-Match: *\r\n\r\n");
    seen = fixture_seen(f);
    assert_true(seen.conditions.match_any);
    assert_int_equal(seen.kind, AFF_OP_DELETE);
    send_body("PUT /v1/notes/w", "If-None-Match: *\r\n", "1");
    assert_true(fixture_seen(f).conditions.none_match_any);
    send_body("PUT /v1/notes/w", "If-Match: \"x\"\r\n",
              "1"); /* a tag that is none of ours must not be taken for no condition */
    seen = fixture_seen(f);
    assert_true(seen.conditions.has_match);
    assert_int_equal(seen.conditions.match_count, 0);
    send_body("PUT /v1/notes/w", "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "1");
    assert_problem(&r, 400, "bad-request", "If-Match");
}

static void a_keyspace_can_demand_conditions(void **state)
{
    (void)state;
    send_body("PUT /v1/strict/a", "", "1");
    assert_problem(&r, 428, "precondition-required", "If-None-Match: *");
    ask("DELETE /v1/strict/a HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_problem(&r, 428, "precondition-required", NULL);
    send_body("PUT /v1/strict/a", "If-None-Match: *\r\n", "1");
    assert_status(&r, 201);
    get("/v1/strict/a", "");
    assert_status(&r, 200);
}

/* ---- what else a write carries ---- */

static void prefer_chooses_what_a_put_answers(void **state)
{
    (void)state;
    send_body("PUT /v1/notes/pref", JSON "Prefer: return=representation\r\n", "[ 1 ]");
    assert_status(&r, 201);
    assert_string_equal(r.body, "[ 1 ]");
    assert_header(&r, "Content-Type", "application/json");
    assert_header(&r, "Preference-Applied", "return=representation");
    send_body("PUT /v1/notes/pref", JSON "Prefer: return=minimal\r\n", "[ 2 ]");
    assert_status(&r, 204);
    assert_header(&r, "Preference-Applied", "return=minimal");
    assert_non_null(header(&r, "ETag"));
    send_body("PUT /v1/notes/pref", JSON "Prefer: wait=5\r\n", "[ 3 ]");
    assert_status(&r, 200);
    assert_header(&r, "Preference-Applied", NULL);
    send_body("PUT /v1/notes/pref2", JSON "Prefer: return=minimal\r\n", "[ 2 ]");
    assert_status(&r, 201);
}

static void lifetimes_and_times_reach_the_partition_and_come_back(void **state)
{
    (void)state;
    send_body("PUT /v1/notes/ttl", "Affinity-TTL: 30s\r\nAffinity-Event-Time: -5\r\n", "1");
    assert_status(&r, 201);
    struct fake_seen seen = fixture_seen(f);
    assert_int_equal(seen.ttl_ms, 30000);
    assert_int_equal(seen.event_ms, -5);
    get("/v1/notes/ttl", "");
    assert_header(&r, "Affinity-Expires", "784111807000");
    assert_header(&r, "Affinity-Event-Time", "-5");
    send_body("PUT /v1/notes/ttl", "Affinity-TTL: 30\r\n", "1");
    assert_problem(&r, 400, "bad-request", "Affinity-TTL");
    send_body("PUT /v1/notes/ttl", "Affinity-Event-Time: now\r\n", "1");
    assert_problem(&r, 400, "bad-request", "Affinity-Event-Time");
}

static void without_them_the_keyspace_decides(void **state)
{
    (void)state;
    send_body("PUT /v1/notes/plain", "", "1");
    struct fake_seen seen = fixture_seen(f);
    assert_int_equal(seen.ttl_ms, 0);
    assert_true(seen.event_ms == AFF_NO_TIME);
    assert_string_equal(seen.traceparent, "");
    assert_false(seen.identified);
    assert_true(seen.has_deadline);
}

static void a_trace_is_passed_on_or_replaced_when_it_is_none(void **state)
{
    (void)state;
    const char trace[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    char field[128];
    (void)snprintf(field, sizeof field, "Traceparent: %s\r\n", trace);
    send_body("PUT /v1/notes/trace", field, "1");
    assert_string_equal(fixture_seen(f).traceparent, trace);
    send_body("PUT /v1/notes/trace", "traceparent: 00-nonsense\r\n", "1");
    assert_status(&r, 200);
    assert_header(&r, "traceparent", fixture_seen(f).traceparent);
    assert_string_not_equal(fixture_seen(f).traceparent, trace);
    send_body("PUT /v1/notes/trace", "", "1");
    assert_string_equal(fixture_seen(f).traceparent, "");
    assert_header(&r, "traceparent", NULL);
}

static struct fake_seen identified(const char *line, const char *headers, const char *body)
{
    char fields[512];
    (void)snprintf(fields, sizeof fields, "Idempotency-Key: k1\r\n%s", headers);
    send_body(line, fields, body);
    struct fake_seen seen = fixture_seen(f);
    assert_true(seen.identified);
    return seen;
}

static void an_idempotency_key_is_told_apart_by_scope_and_request(void **state)
{
    (void)state;
    struct fake_seen first = identified("PUT /v1/notes/i1", JSON, "1"),
                     again = identified("PUT /v1/notes/i1", JSON, "1");
    assert_true(aff_digest_equal(first.id, again.id) && aff_digest_equal(first.request, again.request));
    struct fake_seen key = identified("PUT /v1/notes/i2", JSON, "1"), space = identified("PUT /v1/small/i1", JSON, "1");
    struct fake_seen method = identified("DELETE /v1/notes/i1", "", ""),
                     command = identified("POST /v1/notes/i1/deposit", JSON, "1");
    assert_false(aff_digest_equal(first.id, key.id) || aff_digest_equal(first.id, space.id) ||
                 aff_digest_equal(first.id, method.id) || aff_digest_equal(first.id, command.id));
    struct fake_seen others[] = {
        identified("PUT /v1/notes/i1", JSON, "2"),
        identified("PUT /v1/notes/i1", "Content-Type: text/plain\r\n", "1"),
        identified("PUT /v1/notes/i1", JSON "If-Match: *\r\n", "1"),
        identified("PUT /v1/notes/i1", JSON "If-None-Match: *\r\n", "1"),
        identified("PUT /v1/notes/i1", JSON "Affinity-TTL: 1s\r\n", "1"),
        identified("PUT /v1/notes/i1", JSON "Affinity-Event-Time: 1\r\n", "1"),
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (!aff_digest_equal(first.id, others[i].id) || aff_digest_equal(first.request, others[i].request))
            fail_msg("request %zu is not told apart, or has another scope", i);
}

static void a_bad_idempotency_key_is_400(void **state)
{
    (void)state;
    char field[400];
    send_body("PUT /v1/notes/i", "Idempotency-Key: a b\r\n", "1");
    assert_problem(&r, 400, "bad-request", "Idempotency-Key");
    send_body("PUT /v1/notes/i", "Idempotency-Key:\r\n", "1");
    assert_problem(&r, 400, "bad-request", "Idempotency-Key");
    (void)snprintf(field, sizeof field, "Idempotency-Key: %0256d\r\n", 0);
    send_body("PUT /v1/notes/i", field, "1");
    assert_problem(&r, 400, "bad-request", "Idempotency-Key");
    (void)snprintf(field, sizeof field, "Idempotency-Key: %0255d\r\n", 0);
    send_body("PUT /v1/notes/i", field, "1");
    assert_status(&r, 201);
}

static void consistency_is_strict_or_eventual(void **state)
{
    (void)state;
    get("/v1/notes/nothing", "Affinity-Consistency: strict\r\n");
    assert_problem(&r, 404, "not-found", NULL);
    get("/v1/notes/nothing", "Affinity-Consistency: eventual\r\n");
    assert_problem(&r, 404, "not-found", NULL);
    send_body("PUT /v1/notes/nothing", "Affinity-Consistency: eventual\r\n", "1");
    assert_problem(&r, 400, "bad-request", "a write is always strict");
}

static void a_read_says_what_it_must_have_seen(void **state)
{
    (void)state;
    for (int behind = 0; behind < 2; behind++) { /* answered in the handler, and later */
        fixture_script(f, (struct fake_script){ .behind = behind });
        get("/v1/notes/nothing", "Affinity-Consistency: eventual; max-lag=500ms\r\n");
        assert_problem(&r, 404, "not-found", NULL);
        struct aff_bound bound = fixture_seen(f).bound;
        assert_int_equal(bound.after, -1);
        assert_int_equal(bound.max_age_ns, 500000000);
        get("/v1/notes/nothing", "Affinity-Consistency: at-least=3:7\r\n");
        assert_problem(&r, 404, "not-found", NULL);
        assert_int_equal(fixture_seen(f).bound.after, 7);
    }
    fixture_script(f, (struct fake_script){ 0 });
    get("/v1/notes/nothing", "Affinity-Consistency: at-least=2:7\r\n");
    assert_problem(&r, 400, "bad-request", "the key is in partition 3");
    get("/v1/notes/nothing", "Affinity-Consistency: at-least=7\r\n");
    assert_problem(&r, 400, "bad-request", "wants a place");
    get("/v1/notes", "Affinity-Consistency: at-least=3:7\r\n");
    assert_problem(&r, 400, "bad-request", "a scan is strict or eventual");
    send_body("PUT /v1/notes/nothing", "Affinity-Consistency: at-least=3:7\r\n", "1");
    assert_problem(&r, 400, "bad-request", "a write is always strict");
}

/* ---- routes ---- */

static void what_is_not_there_is_404(void **state)
{
    (void)state;
    const char *const paths[] = {
        "/",       "/v1",          "/v1/none/key", "/v1/notes/a/b", "/v1/notes/a/deposit/c", "/v2/notes/a",
        "/livez/", "//v1/notes/a", "/outcome",     "/outcome/x",    "/outcome/nothing-1",    "/v1/none"
    };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        get(paths[i], "");
        assert_problem(&r, 404, "no-route", NULL);
    }
}

static void another_method_is_405_with_those_that_are_allowed(void **state)
{
    (void)state;
    static const struct {
        const char *line, *allow;
    } cases[] = {
        { "POST /v1/notes/a", "GET, HEAD, PUT, PATCH, DELETE, OPTIONS" },
        { "PATCH /v1/fixed/a", "GET, HEAD, OPTIONS" },
        { "get /v1/notes/a", "GET, HEAD, PUT, PATCH, DELETE, OPTIONS" },
        { "PUT /v1/fixed/a", "GET, HEAD, OPTIONS" },
        { "DELETE /v1/fixed/a", "GET, HEAD, OPTIONS" },
        { "GET /v1/notes/a/deposit", "POST, OPTIONS" },
        { "PUT /v1/notes/a/show", "GET, HEAD, POST, OPTIONS" },
        { "DELETE /v1/notes", "GET, HEAD, POST, OPTIONS" },
        { "DELETE /livez", "GET, HEAD, OPTIONS" },
        { "POST /outcome/notes-1", "GET, HEAD, OPTIONS" },
        { "TRACE /v1/notes/a", "GET, HEAD, PUT, PATCH, DELETE, OPTIONS" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        send_body(cases[i].line, "", "x");
        assert_problem(&r, 405, "method-not-allowed", NULL);
        assert_header(&r, "Allow", cases[i].allow);
    }
}

static void options_tells_what_is_allowed(void **state)
{
    (void)state;
    ask("OPTIONS /v1/notes/a HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_status(&r, 204);
    assert_header(&r, "Allow", "GET, HEAD, PUT, PATCH, DELETE, OPTIONS");
    ask("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_status(&r, 204);
    assert_header(&r, "Allow", "GET, HEAD, PUT, PATCH, POST, DELETE, OPTIONS");
    ask("GET * HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_problem(&r, 400, "bad-request", "OPTIONS");
    ask("HEAD * HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_status(&r, 400);
}

static void a_parameter_that_is_not_known_is_named(void **state)
{
    (void)state;
    get("/v1/notes/a?ttl=30s", "");
    assert_problem(&r, 400, "bad-request", "`ttl`");
    get("/v1/notes/a%2fb?", "");
    assert_problem(&r, 404, "not-found", NULL);
    get("/v1/notes/a?%zz", "");
    assert_problem(&r, 400, "bad-request", "query");
}

static void pages_about_the_node(void **state)
{
    (void)state;
    get("/livez", "");
    assert_status(&r, 200);
    assert_string_equal(r.body, "{\"live\":true}\n");
    assert_header(&r, "Content-Type", "application/json");
    assert_header(&r, "Cache-Control", "no-store");
    get("/readyz", "");
    assert_status(&r, 503);
    assert_string_equal(r.body, "{\"ready\":false,\"verbose\":false}\n");
    get("/readyz?verbose", "");
    assert_string_equal(r.body, "{\"ready\":false,\"verbose\":true}\n");
    get("/readyz?verbos", "");
    assert_problem(&r, 400, "bad-request", "`verbos`");
    get("/metrics", "");
    assert_status(&r, 200);
    assert_header(&r, "Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    assert_non_null(strstr(r.body, "\naff_http_requests_total{route=\"/readyz\",status=\"5xx\"} "));
    get("/cluster", ""); /* the fixture has none */
    assert_problem(&r, 404, "no-route", NULL);
    get("/cluster/drain", "");
    assert_problem(&r, 404, "no-route", NULL);
    get("/cluster/drain?keyspace=notes", "");
    assert_problem(&r, 400, "bad-request", "expected no parameters, not `keyspace`");
    get("/cluster/handover?keyspace=notes&partition=x", "");
    assert_problem(&r, 400, "bad-request", "`partition`");
    get("/cluster/handover?keyspace=notes", "");
    assert_problem(&r, 400, "bad-request", "which mastership?");
    get("/cluster/handover?keyspace=notes&partition=1", ""); /* the fixture has none */
    assert_problem(&r, 404, "no-route", NULL);
    get("/cluster/status", "");
    assert_problem(&r, 404, "no-route", NULL);
    get("/verify", "");
    assert_problem(&r, 404, "no-route", NULL);
    get("/verify?keyspace=notes", "");
    assert_problem(&r, 400, "bad-request", "`keyspace`");
    ask("HEAD /livez HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_status(&r, 200);
}

/* ---- bodies ---- */

static void a_put_must_tell_its_length(void **state)
{
    (void)state;
    ask("PUT /v1/notes/a HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_problem(&r, 411, "length-required", NULL);
    ask("PUT /v1/notes/a HTTP/1.0\r\n\r\n");
    assert_problem(&r, 411, "length-required", NULL);
}

static void a_value_longer_than_the_keyspace_allows_is_413(void **state)
{
    (void)state;
    send_body("PUT /v1/small/ten", "", "0123456789");
    assert_status(&r, 201);
    send_body("PUT /v1/small/ten", "", "0123456789+");
    assert_problem(&r, 413, "content-too-large", "11 bytes; here it may have 10");
}

static void a_get_may_have_a_body_that_is_ignored(void **state)
{
    (void)state;
    int fd = client_open(f);
    client_say(fd, "GET /v1/notes/nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
                   "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
    client_read(fd, &r, false);
    assert_status(&r, 404);
    client_read(fd, &r, false);
    assert_status(&r, 200);
    client_close(fd);
}

/* ---- */

static int start(void **state)
{
    (void)state;
    struct fixture_opts opts = fixture_defaults();
    f = fixture_start(&opts);
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
        cmocka_unit_test(a_value_comes_back_as_it_was_put),
        cmocka_unit_test(reading_again_gives_the_same_until_it_is_changed),
        cmocka_unit_test(a_head_has_the_headers_of_a_get),
        cmocka_unit_test(replacing_a_value_is_200),
        cmocka_unit_test(any_bytes_are_a_value_of_another_type),
        cmocka_unit_test(an_empty_value_is_one),
        cmocka_unit_test(a_key_is_any_bytes_but_a_leading_nul),
        cmocka_unit_test(a_key_has_at_most_511_bytes),
        cmocka_unit_test(deleting_is_204_and_then_404),
        cmocka_unit_test(json_is_checked_and_the_fault_is_named),
        cmocka_unit_test(what_is_no_media_type_is_415),
        cmocka_unit_test(accept_is_looked_at),
        cmocka_unit_test(reads_with_conditions),
        cmocka_unit_test(a_kept_connection_goes_on_after_a_304),
        cmocka_unit_test(conditions_of_writes_reach_the_partition),
        cmocka_unit_test(a_keyspace_can_demand_conditions),
        cmocka_unit_test(prefer_chooses_what_a_put_answers),
        cmocka_unit_test(lifetimes_and_times_reach_the_partition_and_come_back),
        cmocka_unit_test(without_them_the_keyspace_decides),
        cmocka_unit_test(a_trace_is_passed_on_or_replaced_when_it_is_none),
        cmocka_unit_test(an_idempotency_key_is_told_apart_by_scope_and_request),
        cmocka_unit_test(a_bad_idempotency_key_is_400),
        cmocka_unit_test(consistency_is_strict_or_eventual),
        cmocka_unit_test(a_read_says_what_it_must_have_seen),
        cmocka_unit_test(what_is_not_there_is_404),
        cmocka_unit_test(another_method_is_405_with_those_that_are_allowed),
        cmocka_unit_test(options_tells_what_is_allowed),
        cmocka_unit_test(a_parameter_that_is_not_known_is_named),
        cmocka_unit_test(pages_about_the_node),
        cmocka_unit_test(a_put_must_tell_its_length),
        cmocka_unit_test(a_value_longer_than_the_keyspace_allows_is_413),
        cmocka_unit_test(a_get_may_have_a_body_that_is_ignored),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
