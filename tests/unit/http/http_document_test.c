/* /openapi.json and /docs: the same text each time, with a tag, conditions, and as a page may be: no more than it needs. */
#include "fixture.h"

static struct fixture *f;
static struct response r;

static void get(const char *target, const char *headers)
{
    char request[512];
    (void)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n", target, headers);
    exchange(f, &r, request);
}

static void a_document_is_served_whole_and_again(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        get("/openapi.json", "");
        assert_status(&r, 200);
        assert_string_equal(r.body, fixture_openapi);
        assert_header(&r, "Content-Type", "application/json");
        assert_header(&r, "Cache-Control", "no-cache");
        assert_header(&r, "X-Content-Type-Options", "nosniff");
        assert_header(&r, "Content-Security-Policy", NULL);
    }
    get("/docs", "");
    assert_string_equal(r.body, fixture_docs);
    assert_header(&r, "Content-Type", "text/html; charset=utf-8");
    assert_header(&r, "Content-Security-Policy", "default-src 'none'");
}

static void head_says_the_same_without_the_text(void **state)
{
    (void)state;
    char length[24], tag[64];
    get("/openapi.json", "");
    (void)snprintf(tag, sizeof tag, "%s", header(&r, "ETag"));
    int fd = client_open(f);
    client_say(fd, "HEAD /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n");
    client_read(fd, &r, true);
    client_close(fd);
    (void)snprintf(length, sizeof length, "%zu", strlen(fixture_openapi));
    assert_status(&r, 200);
    assert_header(&r, "Content-Length", length);
    assert_header(&r, "ETag", tag);
}

static void its_tag_decides_conditions(void **state)
{
    (void)state;
    char field[128], tag[64];
    get("/docs", "");
    (void)snprintf(tag, sizeof tag, "%s", header(&r, "ETag"));
    get("/openapi.json", "");
    assert_string_not_equal(header(&r, "ETag"), tag);
    (void)snprintf(tag, sizeof tag, "%s", header(&r, "ETag"));
    (void)snprintf(field, sizeof field, "If-None-Match: \"other\", W/%s\r\n", tag);
    get("/openapi.json", field);
    assert_status(&r, 304);
    assert_header(&r, "ETag", tag);
    get("/openapi.json", "If-None-Match: \"00000000-0-1\"\r\n");
    assert_status(&r, 200);
    get("/openapi.json", "If-Match: \"00000000-0-1\"\r\n");
    assert_problem(&r, 412, "precondition-failed", NULL);
    get("/openapi.json", "If-Match: nonsense\r\n");
    assert_problem(&r, 400, "bad-request", "If-Match");
}

/* An answer after which the connection closes is not the one that is kept. */
static void what_is_said_of_a_connection_is_not_kept(void **state)
{
    (void)state;
    get("/openapi.json", "Transfer-Encoding: chunked\r\n");
    assert_status(&r, 413);
    get("/openapi.json", "");
    assert_status(&r, 200);
    assert_header(&r, "Connection", NULL);
}

static void parameters_and_other_methods_are_refused(void **state)
{
    (void)state;
    get("/openapi.json?pretty", "");
    assert_problem(&r, 400, "bad-request", "pretty");
    exchange(f, &r, "DELETE /docs HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_problem(&r, 405, "method-not-allowed", NULL);
    assert_header(&r, "Allow", "GET, HEAD, OPTIONS");
}

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
        cmocka_unit_test(a_document_is_served_whole_and_again),
        cmocka_unit_test(head_says_the_same_without_the_text),
        cmocka_unit_test(its_tag_decides_conditions),
        cmocka_unit_test(what_is_said_of_a_connection_is_not_kept),
        cmocka_unit_test(parameters_and_other_methods_are_refused),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
