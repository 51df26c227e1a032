/* The framing guard, behind a model of what libmicrohttpd reports. The real one is behind it in tests/http. */
#include "http/guard.h"
#include "lib/mhd_head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define T(literal)                                                                                                     \
    {                                                                                                                  \
        literal, sizeof(literal) - 1                                                                                   \
    }

/* NULL when the guard lets the head pass. */
static const char *guarded(aff_bytes raw, struct aff_guard *ret_guard)
{
    struct mhd_head head;
    if (!mhd_head_parse(raw, &head))
        fail_msg("libmicrohttpd would refuse this by itself: %.*s", (int)raw.len, (const char *)raw.data);
    aff_guard_begin(ret_guard, aff_bytes_of(head.target, head.target_len));
    aff_guard_line(ret_guard, head.method, head.version);
    for (unsigned i = 0; i < head.count; i++)
        aff_guard_field(ret_guard, head.names[i], head.values[i]);
    const char *wrong = aff_guard_end(ret_guard, head.end);
    mhd_head_free(&head);
    return wrong;
}

static void lets_ordinary_heads_pass(void **state)
{
    (void)state;
    static const char *const heads[] = {
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\nHost:\r\n\r\n",
        "GET /a%00b?c=d&e=f HTTP/1.1\r\nHost:x\r\nA:   b  \r\nB:\r\nC: \t \r\n\r\n",
        "GET http://x:80/ HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nhOST: localhost\r\n\r\n",
        "PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nX-Name: J\xc3\xbcrgen \xfc\r\n\r\n",
        "PUT /a HTTP/1.1\r\nHost: x \t\r\nTransfer-Encoding: CHUNKED\r\nTab:\ta\tb\r\n\r\n",
        "X-METHOD!#$%&'*+.^_`|~ / HTTP/1.1\r\nHost: x\r\n!#$%&'*+-.^_`|~1a: \"(),/:;<=>?@[\\]{}\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        struct aff_guard guard;
        const char *wrong = guarded(aff_str(heads[i]), &guard);
        if (wrong)
            fail_msg("head %zu was refused: %s\n%s", i, wrong, heads[i]);
    }
}

static void tells_the_body(void **state)
{
    (void)state;
    struct aff_guard guard;
    assert_null(guarded((aff_bytes)T("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 00123\r\n\r\n"), &guard));
    assert_int_equal(guard.lengths, 1);
    assert_int_equal(guard.content_length, 123);
    assert_false(guard.chunked);
    assert_null(guarded((aff_bytes)T("PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"), &guard));
    assert_true(guard.chunked);
    assert_int_equal(guard.lengths, 0);
    assert_null(guarded((aff_bytes)T("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), &guard));
    assert_false(guard.chunked || guard.lengths);
}

#define SHAPE "a line is folded, holds a NUL, or does not end in CR LF"

static const struct {
    aff_bytes head;
    const char *wrong;
} refused[] = {
    /* bodies */
    { T("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"),
      "Content-Length and Transfer-Encoding came together" },
    { T("PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"),
      "Content-Length and Transfer-Encoding came together" },
    { T("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n"), "Content-Length came twice" },
    { T("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\ncontent-length: 3\r\n\r\n"), "Content-Length came twice" },
    { T("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3, 3\r\n\r\n"), "Content-Length is not a number" },
    { T("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\n"), "Content-Length is not a number" },
    { T("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: -3\r\n\r\n"), "Content-Length is not a number" },
    { T("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x3\r\n\r\n"), "Content-Length is not a number" },
    { T("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3 \r\n\r\n"), "Content-Length is not a number" },
    { T("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n"), "Content-Length is not a number" },
    { T("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1234567890123456789\r\n\r\n"), "Content-Length is not a number" },
    { T("PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"), "Transfer-Encoding is not chunked" },
    { T("PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n"), "Transfer-Encoding is not chunked" },
    { T("PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked \r\n\r\n"), "Transfer-Encoding is not chunked" },
    { T("PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
      "Transfer-Encoding came twice" },
    { T("PUT / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"), "Transfer-Encoding came with HTTP/1.0" },
    /* names */
    { T("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length : 3\r\n\r\n"),
      "the name of a field is not a token right before its colon" },
    { T("PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding\t: chunked\r\n\r\n"),
      "the name of a field is not a token right before its colon" },
    { T("GET / HTTP/1.1\r\n Host: x\r\n\r\n"), "the name of a field is not a token right before its colon" },
    { T("GET / HTTP/1.1\r\nHost: x\r\n: a\r\n\r\n"), "the name of a field is not a token right before its colon" },
    { T("GET / HTTP/1.1\r\nHost: x\r\nA(: a\r\n\r\n"), "the name of a field is not a token right before its colon" },
    { T("GET / HTTP/1.1\r\nHost: x\r\n\x80: a\r\n\r\n"), "the name of a field is not a token right before its colon" },
    /* folded */
    { T("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n"), SHAPE },
    { T("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n\tc\r\nD: e\r\n\r\n"), SHAPE },
    { T("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n \r\n\r\n"), SHAPE },
    { T("GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \r\n chunked\r\n\r\n"), SHAPE },
    /* NUL */
    { T("GET / HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n"), SHAPE },
    { T("GET / HTTP/1.1\r\nHost: x\0\r\nA: b\r\n\r\n"), SHAPE },
    { T("GET / HTTP/1.1\r\nHost: x\r\nA: \0\r\n\r\n"), SHAPE },
    { T("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\0 4\r\n\r\n"), SHAPE },
    { T("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n\0hidden: c\r\n\r\n"), SHAPE },
    { T("GET /a\0b HTTP/1.1\r\nHost: x\r\n\r\n"), "the target must be followed by one space" },
    { T("GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n"), "the target must be followed by one space" },
    { T("GET\0 / HTTP/1.1\r\nHost: x\r\n\r\n"), "the method must be followed by one space" },
    /* line ends */
    { T("GET / HTTP/1.1\nHost: x\r\n\r\n"), SHAPE },
    { T("GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n"), SHAPE },
    { T("GET / HTTP/1.1\r\nHost: x\r\n\n"), SHAPE },
    { T("GET / HTTP/1.1\n\n"), SHAPE },
    { T("GET / HTTP/1.1\r\nHost: x\rA: b\r\n\r\n"), "a value holds a control character" },
    { T("GET / HTTP/1.1\r\nHost: x\r\r\n\r\n"), "a value holds a control character" },
    /* control characters */
    { T("GET / HTTP/1.1\r\nHost: x\r\nA: \x01\r\n\r\n"), "a value holds a control character" },
    { T("GET / HTTP/1.1\r\nHost: x\r\nA: \x7f\r\n\r\n"), "a value holds a control character" },
    { T("GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n"),
      "the target must be printable ASCII without spaces (percent-encode the rest)" },
    { T("GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n"),
      "the target must be printable ASCII without spaces (percent-encode the rest)" },
    { T("GET /#a HTTP/1.1\r\nHost: x\r\n\r\n"),
      "the target must be printable ASCII without spaces (percent-encode the rest)" },
    /* spaces in the request line */
    { T("GET /a b HTTP/1.1\r\nHost: x\r\n\r\n"),
      "the target must be printable ASCII without spaces (percent-encode the rest)" },
    { T("GET  / HTTP/1.1\r\nHost: x\r\n\r\n"), "the method must be followed by one space" },
    { T("GET /  HTTP/1.1\r\nHost: x\r\n\r\n"),
      "the target must be printable ASCII without spaces (percent-encode the rest)" },
    { T("G(T / HTTP/1.1\r\nHost: x\r\n\r\n"), "the method is not a token" },
    { T("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\nHost: x\r\n\r\n"), "the method is not a token" },
    /* Host */
    { T("GET / HTTP/1.1\r\n\r\n"), "HTTP/1.1 demands a Host" },
    { T("GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n"), "Host came twice" },
    { T("GET / HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n"), "Host came twice" },
    { T("GET / HTTP/1.1\r\nHost: x, y\r\n\r\n"), "Host is not a host" },
    { T("GET / HTTP/1.1\r\nHost: x/y\r\n\r\n"), "Host is not a host" },
    { T("GET / HTTP/1.1\r\nHost: x@y\r\n\r\n"), "Host is not a host" },
};

static void refuses_whatever_another_might_read_differently(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct aff_guard guard;
        const char *wrong = guarded(refused[i].head, &guard);
        if (!wrong || strcmp(wrong, refused[i].wrong) != 0)
            fail_msg("head %zu: said <%s>, it is <%s>\n%s", i, wrong ? wrong : "fine", refused[i].wrong,
                     (const char *)refused[i].head.data);
    }
}

/* Any byte of a head that is replaced by NUL is noticed, but for the CR of a line end. */
static void finds_a_nul_anywhere(void **state)
{
    (void)state;
    const char head[] = "PUT /v1/a HTTP/1.1\r\nHost: x\r\nAccept: a/b\r\nContent-Length: 12\r\n\r\n";
    for (size_t i = 0; i < sizeof head - 1; i++) {
        char copy[sizeof head];
        memcpy(copy, head, sizeof head);
        if (copy[i] == '\r' || copy[i] == '\n')
            continue;
        copy[i] = 0;
        struct mhd_head parsed;
        struct aff_guard guard;
        if (mhd_head_parse(aff_bytes_of(copy, sizeof head - 1), &parsed)) {
            aff_guard_begin(&guard, aff_bytes_of(parsed.target, parsed.target_len));
            aff_guard_line(&guard, parsed.method, parsed.version);
            for (unsigned k = 0; k < parsed.count; k++)
                aff_guard_field(&guard, parsed.names[k], parsed.values[k]);
            if (!aff_guard_end(&guard, parsed.end))
                fail_msg("a NUL instead of '%c' at %zu was not noticed", head[i], i);
        }
        mhd_head_free(&parsed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lets_ordinary_heads_pass),
        cmocka_unit_test(tells_the_body),
        cmocka_unit_test(refuses_whatever_another_might_read_differently),
        cmocka_unit_test(finds_a_nul_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
