/*
 * Requests whose framing is in doubt, and requests that are too large, on raw sockets: one answer, a closed connection, and
 * nothing that was smuggled behind is ever handled. Also what must go on working: chunks, pipelines, kept connections.
 */
#include "fixture.h"

#include <sys/socket.h>

static struct fixture *f;
static struct response r;

#define T(literal) literal, sizeof(literal) - 1
#define HOST "Host: x\r\n"
#define SMUGGLED "PUT /v1/notes/smuggled HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\n1"

/* One refusal, then the end. The double of the router must not have been asked for anything. */
static void refused(const char *what, const char *data, size_t len, int status, const char *type, const char *detail)
{
    unsigned before = fixture_calls(f);
    int fd = client_open(f);
    client_send(fd, data, len);
    client_read(fd, &r, false);
    if (type)
        assert_problem(&r, status, type, detail);
    else
        assert_status(&r, status);
    assert_header(&r, "Connection", "close");
    if (!client_at_end(fd))
        fail_msg("%s: something came after the refusal", what);
    client_close(fd);
    if (fixture_calls(f) != before)
        fail_msg("%s: a request was handled", what);
}

/* ---- smuggling ---- */

static const struct {
    const char *what, *data;
    size_t len;
    const char *detail;
} forms[] = {
    { "Content-Length with Transfer-Encoding",
      T("PUT /v1/notes/a HTTP/1.1\r\n" HOST
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED),
      "Content-Length and Transfer-Encoding" },
    { "Transfer-Encoding with Content-Length",
      T("PUT /v1/notes/a HTTP/1.1\r\n" HOST
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" SMUGGLED),
      "Content-Length and Transfer-Encoding" },
    { "two Content-Length",
      T("PUT /v1/notes/a HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 99\r\n\r\n1" SMUGGLED),
      "came twice" },
    { "two equal Content-Length",
      T("PUT /v1/notes/a HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n1" SMUGGLED), "came twice" },
    { "a space before the colon", T("PUT /v1/notes/a HTTP/1.1\r\n" HOST "Content-Length : 1\r\n\r\n1" SMUGGLED),
      "right before its colon" },
    { "a tab before the colon",
      T("PUT /v1/notes/a HTTP/1.1\r\n" HOST "Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n" SMUGGLED),
      "right before its colon" },
    { "a folded field", T("PUT /v1/notes/a HTTP/1.1\r\n" HOST "X: a\r\n b\r\nContent-Length: 1\r\n\r\n1" SMUGGLED),
      "folded" },
    { "a folded Transfer-Encoding",
      T("PUT /v1/notes/a HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" SMUGGLED), "folded" },
    { "a folded empty line", T("GET /v1/notes/a HTTP/1.1\r\n" HOST "X: a\r\n \r\n\r\n" SMUGGLED), "folded" },
    { "a folded first line", T("GET /v1/notes/a HTTP/1.1\r\n Host: x\r\n\r\n" SMUGGLED), "right before its colon" },
    { "a NUL in a value", T("GET /v1/notes/a HTTP/1.1\r\n" HOST "X: a\0b\r\n\r\n" SMUGGLED), "NUL" },
    { "a NUL at the end of a value", T("GET /v1/notes/a HTTP/1.1\r\n" HOST "X: a\0\r\n\r\n" SMUGGLED), "NUL" },
    { "a NUL in Content-Length", T("PUT /v1/notes/a HTTP/1.1\r\n" HOST "Content-Length: 1\0 9\r\n\r\n1" SMUGGLED),
      "NUL" },
    { "a line that begins with NUL", T("GET /v1/notes/a HTTP/1.1\r\n" HOST "\0X: a\r\n\r\n" SMUGGLED), "NUL" },
    { "a NUL in the target", T("GET /v1/notes/a\0b HTTP/1.1\r\n" HOST "\r\n" SMUGGLED), "space" },
    { "a NUL behind the method", T("GET\0 /v1/notes/a HTTP/1.1\r\n" HOST "\r\n" SMUGGLED), "space" },
    { "a coding that is unknown", T("PUT /v1/notes/a HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\n" SMUGGLED),
      "not chunked" },
    { "two codings",
      T("PUT /v1/notes/a HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" SMUGGLED),
      "not chunked" },
    { "Transfer-Encoding twice",
      T("PUT /v1/notes/a HTTP/1.1\r\n" HOST
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" SMUGGLED),
      "came twice" },
    { "Transfer-Encoding in HTTP/1.0",
      T("PUT /v1/notes/a HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED),
      "HTTP/1.0" },
    { "Content-Length that is no number", T("PUT /v1/notes/a HTTP/1.1\r\n" HOST "Content-Length: abc\r\n\r\n" SMUGGLED),
      "Content-Length is not a number" },
    { "Content-Length with a sign", T("PUT /v1/notes/a HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\n1" SMUGGLED),
      "Content-Length is not a number" },
    { "Content-Length as a list", T("PUT /v1/notes/a HTTP/1.1\r\n" HOST "Content-Length: 1, 1\r\n\r\n1" SMUGGLED),
      "Content-Length is not a number" },
    { "an empty Content-Length", T("PUT /v1/notes/a HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n" SMUGGLED),
      "Content-Length is not a number" },
    { "no Host", T("GET /v1/notes/a HTTP/1.1\r\n\r\n" SMUGGLED), "demands a Host" },
    { "two Host", T("GET /v1/notes/a HTTP/1.1\r\n" HOST HOST "\r\n" SMUGGLED), "Host came twice" },
    { "a Host that is none", T("GET /v1/notes/a HTTP/1.1\r\nHost: a, b\r\n\r\n" SMUGGLED), "Host is not a host" },
    { "a control character in a value", T("GET /v1/notes/a HTTP/1.1\r\n" HOST "X: a\x01\r\n\r\n" SMUGGLED), "control" },
    { "a bare CR", T("GET /v1/notes/a HTTP/1.1\r\n" HOST "X: a\rContent-Length: 9\r\n\r\n" SMUGGLED), "control" },
    { "a bare LF", T("GET /v1/notes/a HTTP/1.1\r\n" HOST "X: a\nContent-Length: 0\r\n\r\n" SMUGGLED), "CR LF" },
    { "only bare LF", T("GET /v1/notes/a HTTP/1.1\nHost: x\n\n" SMUGGLED), "CR LF" },
    { "a control character in the target", T("GET /v1/notes/\x01 HTTP/1.1\r\n" HOST "\r\n" SMUGGLED),
      "percent-encode" },
    { "bytes above ASCII in the target", T("GET /v1/notes/\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n" SMUGGLED),
      "percent-encode" },
    { "a space in the target", T("GET /v1/notes/a HTTP/1.1 HTTP/1.1\r\n" HOST "\r\n" SMUGGLED), "percent-encode" },
    { "two spaces behind the method", T("GET  /v1/notes/a HTTP/1.1\r\n" HOST "\r\n" SMUGGLED), "one space" },
    { "a method that is no token", T("G,T /v1/notes/a HTTP/1.1\r\n" HOST "\r\n" SMUGGLED), "not a token" },
};

static void every_doubtful_framing_is_one_400_and_the_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        refused(forms[i].what, forms[i].data, forms[i].len, 400, "bad-framing", forms[i].detail);
}

static void it_is_the_same_when_it_arrives_byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        size_t head = 0;
        while (memcmp(forms[i].data + head, "smuggled", 8) != 0)
            head++;
        head -= 14; /* "PUT /v1/notes/" */
        unsigned before = fixture_calls(f);
        int fd = client_open(f);
        for (size_t k = 0; k < head; k++)
            client_send(fd, forms[i].data + k, 1);
        client_read(fd, &r, false);
        if (r.status != 400 || !strstr(r.body, forms[i].detail) || !client_at_end(fd) || fixture_calls(f) != before)
            fail_msg("%s: %s%s", forms[i].what, r.head, r.body);
        client_close(fd);
    }
}

/* Heads of which libmicrohttpd itself makes no request: without a problem, but refused and closed as well. */
static void what_is_no_request_at_all_is_400(void **state)
{
    (void)state;
    static const struct {
        const char *data;
        size_t len;
    } heads[] = {
        { T("GET /v1/notes/a HTTP/1.1\r\n" HOST "X\r\n\r\n" SMUGGLED) },
        { T("GET /v1/notes/a HTTP/1.1\r\n" HOST "X\0: a\r\n\r\n" SMUGGLED) },
        { T("GET /v1/notes/a\r\n" HOST "\r\n" SMUGGLED) },
        { T("GET /v1/notes/a HTTP/1.1\0\r\n" HOST "\r\n" SMUGGLED) },
        { T("GET /v1/notes/a HTTP/1.1 \r\n" HOST "\r\n" SMUGGLED) },
    };
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        refused("no request", heads[i].data, heads[i].len, 400, NULL, NULL);
    refused("HTTP/2", T("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505, NULL, NULL);
}

static void a_malformed_chunk_is_the_end(void **state)
{
    (void)state;
    const char *const bodies[] = { "zz\r\n", "5;\r\nhello0\r\n\r\n", "-1\r\n", "5 \r\nhello\r\n0\r\n\r\n",
                                   "0x5\r\nhello\r\n0\r\n\r\n" };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        char request[512];
        (void)snprintf(request, sizeof request,
                       "PUT /v1/notes/a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n%s%s", bodies[i],
                       SMUGGLED);
        refused("a malformed chunk", request, strlen(request), 400, NULL, NULL);
    }
}

static void refusals_are_counted(void **state)
{
    (void)state;
    unsigned long long before = fixture_metric(f, "aff_http_bad_framing_total");
    refused("no Host", T("GET / HTTP/1.1\r\n\r\n"), 400, "bad-framing", NULL);
    refused("no number", T("PUT / HTTP/1.1\r\n" HOST "Content-Length: x\r\n\r\n"), 400, "bad-framing", NULL);
    assert_int_equal(fixture_metric(f, "aff_http_bad_framing_total"), before + 2);
}

/*
 * While the heads of two connections are under way it is not known whose Content-Length is no number: libmicrohttpd's own
 * answer goes out, never ours to the wrong one.
 */
static void a_wrong_length_never_hits_another_connection(void **state)
{
    (void)state;
    int other = client_open(f), fd = client_open(f);
    client_say(other, "GET /livez HTTP/1.1\r\n");
    client_say(fd, "GET /livez HTTP/1.1\r\n" HOST "Content-Length: x\r\n\r\n");
    client_read(fd, &r, false);
    assert_status(&r, 400);
    while (!client_at_end(fd))
        continue;
    client_say(other, HOST "\r\n");
    client_read(other, &r, false);
    assert_status(&r, 200);
    client_close(other);
    client_close(fd);
}

/* ---- what is fine ---- */

static void spaces_around_values_are_fine(void **state)
{
    (void)state;
    int fd = client_open(f);
    client_say(fd, "\r\nPUT /v1/notes/sp HTTP/1.1\r\nhOST:x\r\nX:\t a \t\r\nY:\r\nContent-Length:  1\r\n\r\n1"
                   "\r\nGET /v1/notes/sp HTTP/1.1\r\nHost:  \t x \r\n\r\n");
    client_read(fd, &r, false);
    assert_status(&r, 201);
    client_read(fd, &r, false);
    assert_string_equal(r.body, "1");
    client_close(fd);
}

/* Where chunks end is libmicrohttpd's word alone: what comes behind them is not taken. */
static void chunks_are_put_together_and_end_the_connection(void **state)
{
    (void)state;
    unsigned before = fixture_calls(f);
    int fd = client_open(f);
    client_say(fd, "PUT /v1/notes/chunks HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n\r\n"
                   "5\r\nhello\r\n1;ext=\"x\"\r\n \r\n00005\r\nworld\r\n0\r\nTrailer: x\r\n\r\n" SMUGGLED);
    client_read(fd, &r, false);
    assert_status(&r, 201);
    assert_header(&r, "Connection", "close");
    assert_true(client_at_end(fd));
    client_close(fd);
    assert_int_equal(fixture_calls(f), before + 1);
    exchange(f, &r, "GET /v1/notes/chunks HTTP/1.1\r\n" HOST "\r\n");
    assert_string_equal(r.body, "hello world");
}

static void a_pipeline_is_answered_in_order(void **state)
{
    (void)state;
    int fd = client_open(f);
    char request[256];
    for (int i = 0; i < 50; i++) {
        int len = snprintf(request, sizeof request,
                           "PUT /v1/notes/pipe HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n%02d"
                           "GET /v1/notes/pipe HTTP/1.1\r\n" HOST "\r\n",
                           i);
        client_send(fd, request, (size_t)len);
    }
    for (int i = 0; i < 50; i++) {
        char want[8];
        client_read(fd, &r, false);
        assert_status(&r, i ? 200 : 201);
        client_read(fd, &r, false);
        (void)snprintf(want, sizeof want, "%02d", i);
        assert_string_equal(r.body, want);
    }
    client_close(fd);
}

static void http_1_0_is_closed_unless_it_asks_otherwise(void **state)
{
    (void)state;
    int fd = client_open(f);
    client_say(fd, "GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    client_read(fd, &r, false);
    assert_status(&r, 200);
    client_say(fd, "GET /livez HTTP/1.0\r\n\r\n");
    client_read(fd, &r, false);
    assert_status(&r, 200);
    assert_true(client_at_end(fd));
    client_close(fd);
}

static void connection_close_is_obeyed(void **state)
{
    (void)state;
    int fd = client_open(f);
    client_say(fd, "GET /livez HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    client_read(fd, &r, false);
    assert_header(&r, "Connection", "close");
    assert_true(client_at_end(fd));
    client_close(fd);
}

static void who_expects_100_gets_it_before_the_body(void **state)
{
    (void)state;
    int fd = client_open(f);
    client_say(fd, "PUT /v1/notes/expect HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n");
    client_read(fd, &r, false);
    assert_status(&r, 100);
    client_say(fd, "1");
    client_read(fd, &r, false);
    assert_status(&r, 201);
    client_say(fd, "PUT /v1/none/expect HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n");
    client_read(fd, &r, false);
    assert_problem(&r, 404, "no-route", NULL); /* instead of 100 */
    assert_true(client_at_end(fd));
    client_close(fd);
}

/* ---- too large ---- */

static char *request_of(const char *start, char fill, size_t count, const char *end, size_t *ret_len)
{
    size_t a = strlen(start), b = strlen(end);
    char *request = malloc(a + count + b + 1);
    memcpy(request, start, a);
    memset(request + a, fill, count);
    memcpy(request + a + count, end, b + 1);
    *ret_len = a + count + b;
    return request;
}

static void too_much(const char *start, char fill, size_t count, const char *end, int status, const char *type)
{
    size_t len;
    char *request = request_of(start, fill, count, end, &len);
    refused(type ? type : "beyond libmicrohttpd's memory", request, len, status, type, NULL);
    free(request);
}

static void a_target_beyond_its_limit_is_414(void **state)
{
    (void)state;
    size_t len;
    char *request = request_of("GET /v1/notes/", 'k', 8192 - 10, " HTTP/1.1\r\n" HOST "\r\n" SMUGGLED, &len);
    int fd = client_open(f);
    client_send(fd, request, len);
    client_read(fd, &r, false);
    assert_problem(&r, 400, "bad-request", "511 bytes"); /* 8192 bytes are not too long for a target */
    client_close(fd);
    free(request);
    too_much("GET /v1/notes/", 'k', 8193 - 10, " HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", 414, "uri-too-long");
    too_much("GET /v1/notes/", 'k', 40000, " HTTP/1.1\r\n" HOST "\r\n" SMUGGLED, 414, NULL);
}

static void a_head_beyond_its_limit_is_431(void **state)
{
    (void)state;
    size_t len;
    const char start[] = "GET /livez HTTP/1.1\r\n" HOST "X: ", end[] = "\r\n\r\n";
    char *request = request_of(start, 'x', 16384 - (sizeof start - 1) - 4, end, &len);
    assert_int_equal(len, 16384);
    int fd = client_open(f);
    client_send(fd, request, len);
    client_read(fd, &r, false);
    assert_status(&r, 200);
    client_close(fd);
    free(request);
    too_much(start, 'x', 16385 - (sizeof start - 1) - 4 - 19, "\r\nConnection: close\r\n\r\n", 431,
             "headers-too-large");
    too_much(start, 'x', 40000, "\r\n\r\n" SMUGGLED, 431, NULL);
}

static void more_than_a_hundred_fields_are_431(void **state)
{
    (void)state;
    char request[4096] = "GET /livez HTTP/1.1\r\n" HOST "Connection: close\r\n";
    for (int i = 0; i < 98; i++)
        strcat(request, "X: 1\r\n");
    size_t len = strlen(request);
    strcat(request, "\r\n");
    exchange(f, &r, request);
    assert_status(&r, 200);
    strcpy(request + len, "X: 1\r\n\r\n");
    exchange(f, &r, request);
    assert_problem(&r, 431, "headers-too-large", NULL);
}

/* However the head of a request fills the memory of a connection, there is an answer: its own or 431, and never just the end. */
static int answer_to_crowded(unsigned fields, size_t cookie, unsigned parameters)
{
    char *request = malloc(20000), *at = request;
    at += sprintf(at, "PUT /v1/notes/");
    for (int i = 0; i < 511; i++)
        at += sprintf(at, "%%%02x", 'a' + i % 26); /* comes back in Location */
    for (unsigned i = 0; i < parameters; i++)
        at += sprintf(at, i ? "&" : "?");
    at += sprintf(at, " HTTP/1.1\r\n" HOST "Connection: close\r\nContent-Length: 1\r\n");
    if (cookie) {
        at += sprintf(at, "Cookie: a=");
        memset(at, 'c', cookie);
        at += cookie;
        at += sprintf(at, "\r\n");
    }
    for (unsigned i = 0; i < fields; i++)
        at += sprintf(at, "X: 1\r\n");
    size_t rest = 16384 - (size_t)(at - request) - 4, name = strlen("Fill: \r\n");
    if ((size_t)(at - request) + name + 4 < 16384) {
        at += sprintf(at, "Fill: ");
        memset(at, 'f', rest - name);
        at += rest - name;
        at += sprintf(at, "\r\n");
    }
    at += sprintf(at, "\r\n1");
    int fd = client_open(f);
    client_send(fd, request, (size_t)(at - request));
    client_read(fd, &r, false);
    client_close(fd);
    int status = r.status;
    size_t path = strcspn(request + 4, " ?");
    (void)snprintf(request + 4 + path, 64, " HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    memmove(request + 7, request + 4, strlen(request + 4) + 1);
    memcpy(request, "DELETE ", 7); /* so that the next one creates, and has a Location */
    exchange(f, &r, request);
    free(request);
    return status;
}

static void a_crowded_head_is_answered_all_the_same(void **state)
{
    (void)state;
    for (unsigned fields = 0; fields <= 96; fields += 4) {
        int status = answer_to_crowded(fields, 0, 0);
        if (status != 201 && status != 431)
            fail_msg("%u fields: %d", fields, status);
        if (status == 431 && fields < 40)
            fail_msg("%u fields are not too many", fields);
    }
    for (size_t cookie = 500; cookie < 14000; cookie += 100) {
        int status = answer_to_crowded(0, cookie, 0);
        if (status != 201 && status != 431)
            fail_msg("a cookie of %zu bytes: %d", cookie, status);
    }
    for (unsigned parameters = 1; parameters < 6000; parameters *= 2)
        assert_true(answer_to_crowded(0, 0, parameters) != 0);
}

/* The whole body is on its way when the answer comes: it must arrive all the same, and not be destroyed by a reset. */
static void a_body_that_is_too_long_is_413_before_it_is_read(void **state)
{
    (void)state;
    size_t len;
    char *body = request_of("PUT /v1/notes/a HTTP/1.1\r\n" HOST "Content-Length: 2000000\r\n\r\n", 'b', 2000000,
                            SMUGGLED, &len);
    refused("too long", body, len, 413, "content-too-large", "2000000");
    free(body);
    refused("by far", T("PUT /v1/notes/a HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999\r\n\r\n" SMUGGLED), 413,
            "content-too-large", NULL);
    refused("beyond numbers",
            T("PUT /v1/notes/a HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999999\r\n\r\n" SMUGGLED), 413,
            "content-too-large", NULL);
}

/* Whoever still sends when the refusal comes is heard out, and not cut off by a reset, which can destroy what was sent before. */
static void a_client_may_go_on_sending_after_its_refusal(void **state)
{
    (void)state;
    static const char piece[10000];
    char byte;
    const char *const heads[] = {
        "PUT /v1/notes/a HTTP/1.1\r\n" HOST "Content-Length: 2000000\r\n\r\n",
        "PUT /v1/notes/a HTTP/1.1\r\n" HOST "Content-Length: 2000000\r\nContent-Length: 1\r\n\r\n",
        "PUT /v1/notes/a HTTP/1.1\r\n" HOST "X\r\n\r\n",
        "PUT /v1/notes/a HTTP/1.1\r\n" HOST "Content-Length: x\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        int fd = client_open(f);
        client_say(fd, heads[i]);
        client_read(fd, &r, false);
        assert_true(r.status == 413 || r.status == 400);
        for (int k = 0; k < 50; k++)
            client_send(fd, piece, sizeof piece);
        ssize_t got = recv(fd, &byte, 1, 0);
        if (got != 0)
            fail_msg("after refusal %zu the stream does not end in order", i);
        client_close(fd);
    }
}

static void chunks_that_become_too_long_are_413_in_their_middle(void **state)
{
    (void)state;
    int fd = client_open(f);
    char *chunk = malloc(65536);
    memset(chunk, 'c', 65536);
    client_say(fd, "PUT /v1/notes/a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 17; i++) { /* 1,114,112 bytes, and it is not over */
        client_say(fd, "10000\r\n");
        client_send(fd, chunk, 65536);
        client_say(fd, "\r\n");
    }
    client_read(fd, &r, false);
    assert_problem(&r, 413, "content-too-large", "1044480");
    assert_header(&r, "Connection", "close");
    assert_true(client_at_end(fd));
    client_close(fd);
    free(chunk);
}

static void a_value_at_the_limit_goes_in_and_comes_out(void **state)
{
    (void)state;
    size_t len;
    char *request = request_of("PUT /v1/notes/large HTTP/1.1\r\n" HOST "Content-Length: 1044480\r\n\r\n", 'v', 1044480,
                               "", &len);
    int fd = client_open(f);
    client_send(fd, request, len);
    client_read(fd, &r, false);
    assert_status(&r, 201);
    client_say(fd, "GET /v1/notes/large HTTP/1.1\r\n" HOST "\r\n");
    client_read(fd, &r, false);
    assert_int_equal(r.body_len, 1044480);
    assert_memory_equal(r.body, request + len - 1044480, 1044480);
    client_close(fd);
    free(request);
}

/* A short body of a request that is refused is read, so the connection can be kept. */
static void a_refused_request_with_a_short_body_keeps_the_connection(void **state)
{
    (void)state;
    int fd = client_open(f);
    client_say(fd, "PUT /v1/none/a HTTP/1.1\r\n" HOST "Content-Length: 26\r\n\r\nGET /livez HTTP/1.1\r\n\r\n123"
                   "GET /livez HTTP/1.1\r\n" HOST "\r\n");
    client_read(fd, &r, false);
    assert_problem(&r, 404, "no-route", NULL);
    client_read(fd, &r, false);
    assert_status(&r, 200);
    client_close(fd);
}

static void a_refused_request_with_a_long_or_chunked_body_is_the_end(void **state)
{
    (void)state;
    size_t len;
    char *request = request_of("PUT /v1/none/a HTTP/1.1\r\n" HOST "Content-Length: 70000\r\n\r\n", 'b', 70000, SMUGGLED,
                               &len);
    refused("long", request, len, 404, "no-route", NULL);
    free(request);
    refused("chunked",
            T("PUT /v1/none/a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n" SMUGGLED), 404,
            "no-route", NULL);
    refused("a GET with chunks",
            T("GET /livez HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n" SMUGGLED), 413,
            "content-too-large", "takes no body");
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
        cmocka_unit_test(every_doubtful_framing_is_one_400_and_the_end),
        cmocka_unit_test(it_is_the_same_when_it_arrives_byte_by_byte),
        cmocka_unit_test(what_is_no_request_at_all_is_400),
        cmocka_unit_test(a_malformed_chunk_is_the_end),
        cmocka_unit_test(refusals_are_counted),
        cmocka_unit_test(a_wrong_length_never_hits_another_connection),
        cmocka_unit_test(spaces_around_values_are_fine),
        cmocka_unit_test(chunks_are_put_together_and_end_the_connection),
        cmocka_unit_test(a_pipeline_is_answered_in_order),
        cmocka_unit_test(http_1_0_is_closed_unless_it_asks_otherwise),
        cmocka_unit_test(connection_close_is_obeyed),
        cmocka_unit_test(who_expects_100_gets_it_before_the_body),
        cmocka_unit_test(a_target_beyond_its_limit_is_414),
        cmocka_unit_test(a_head_beyond_its_limit_is_431),
        cmocka_unit_test(more_than_a_hundred_fields_are_431),
        cmocka_unit_test(a_crowded_head_is_answered_all_the_same),
        cmocka_unit_test(a_body_that_is_too_long_is_413_before_it_is_read),
        cmocka_unit_test(a_client_may_go_on_sending_after_its_refusal),
        cmocka_unit_test(chunks_that_become_too_long_are_413_in_their_middle),
        cmocka_unit_test(a_value_at_the_limit_goes_in_and_comes_out),
        cmocka_unit_test(a_refused_request_with_a_short_body_keeps_the_connection),
        cmocka_unit_test(a_refused_request_with_a_long_or_chunked_body_is_the_end),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
