/*
 * base_tls_test.c - base/tls.h over a pair of sockets: who is let in, that bytes come out as they went in, and what is said when not.
 */
#include "base/tls.h"

#include "lib/certificates.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    struct certificates *ours, *others;
    struct certificate_files a, b, stranger, expired;
};

struct pair {
    struct aff_tls *tls[2];
    struct aff_tls_session *sessions[2]; /* client, server */
    int fds[2], codes[2];
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (!f)
        return -1;
    f->ours = certificates_new();
    f->others = certificates_new();
    certificates_issue(f->ours, "a", 3600, &f->a);
    certificates_issue(f->ours, "b", 3600, &f->b);
    certificates_issue(f->ours, "expired", -3600, &f->expired);
    certificates_issue(f->others, "stranger", 3600, &f->stranger);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    f->ours = certificates_free(f->ours);
    f->others = certificates_free(f->others);
    free(f);
    return 0;
}

static struct aff_tls *load(const struct certificate_files *files, const char *ca)
{
    struct aff_tls *tls = NULL;
    aff_error err = { 0 };
    if (aff_tls_new(files->certificate, files->key, ca, &tls, &err))
        fail_msg("%s", err.text);
    return tls;
}

static void open_pair(struct pair *p, const struct certificate_files *client, const struct certificate_files *server)
{
    memset(p, 0, sizeof *p);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, p->fds), 0);
    const struct certificate_files *files[2] = { client, server };
    for (int i = 0; i < 2; i++) {
        p->tls[i] = load(files[i], files[i]->ca);
        p->sessions[i] = aff_tls_open(p->tls[i], p->fds[i], i == 1);
        assert_non_null(p->sessions[i]);
    }
}

static void close_pair(struct pair *p)
{
    for (int i = 0; i < 2; i++) {
        p->sessions[i] = aff_tls_close(p->sessions[i]);
        p->tls[i] = aff_tls_free(p->tls[i]);
        if (p->fds[i] >= 0)
            (void)close(p->fds[i]);
    }
}

/* Until each side is through or has failed. The socket of one that failed is closed. */
static void shake(struct pair *p)
{
    for (int round = 0; round < 100; round++)
        for (int i = 0; i < 2; i++)
            if (p->codes[i] == 0)
                p->codes[i] = aff_tls_handshake(p->sessions[i]);
}

static void both_sides_talk(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    char got[16];
    open_pair(&p, &f->a, &f->b);
    shake(&p);
    assert_int_equal(p.codes[0], 1);
    assert_int_equal(p.codes[1], 1);
    assert_int_equal(aff_tls_recv(p.sessions[0], got, sizeof got), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(aff_tls_send(p.sessions[i], "hello", 5), 5);
        assert_int_equal(aff_tls_recv(p.sessions[1 - i], got, sizeof got), 5);
        assert_memory_equal(got, "hello", 5);
        assert_int_equal(aff_tls_recv(p.sessions[1 - i], got, sizeof got), 0);
    }
    p.sessions[0] = aff_tls_close(p.sessions[0]);
    assert_int_equal(aff_tls_recv(p.sessions[1], got, sizeof got), AFF_ECLOSED);
    assert_string_equal(aff_tls_why(p.sessions[1]), "the other side closed it");
    close_pair(&p);
}

static void nothing_readable_is_on_the_wire(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    char raw[256];
    open_pair(&p, &f->a, &f->b);
    shake(&p);
    char got[16];
    (void)aff_tls_recv(p.sessions[0], got, sizeof got);
    assert_int_equal(aff_tls_send(p.sessions[0], "in the clear?", 13), 13);
    ssize_t n = recv(p.fds[1], raw, sizeof raw, 0);
    assert_true(n > 13);
    assert_null(memmem(raw, (size_t)n, "clear", 5));
    close_pair(&p);
}

/* More than the sockets hold: what is on its way is told apart from what is not, and everything arrives. */
static void a_lot_goes_through_a_narrow_socket(void **state)
{
    enum { TOTAL = 2 * 1024 * 1024 };
    struct fixture *f = *state;
    struct pair p;
    unsigned char *sent = malloc(TOTAL), *got = malloc(TOTAL);
    size_t out = 0, in = 0;
    bool stuck = false;
    assert_true(sent && got);
    for (size_t i = 0; i < TOTAL; i++)
        sent[i] = (unsigned char)(i * 31 + i / 251);
    open_pair(&p, &f->a, &f->b);
    shake(&p);
    while (in < TOTAL) {
        ssize_t n = 1;
        while (out < TOTAL && n > 0) {
            n = aff_tls_send(p.sessions[0], sent + out, TOTAL - out);
            assert_true(n >= 0);
            out += (size_t)n;
        }
        if (out < TOTAL) {
            stuck = stuck || aff_tls_under_way(p.sessions[0]) > 0;
            memset(sent + out, 0xee, aff_tls_under_way(p.sessions[0])); /* it was taken: a change is not seen */
        } else {
            assert_int_equal(aff_tls_under_way(p.sessions[0]), 0);
        }
        for (n = 1; in < TOTAL && n > 0; in += n > 0 ? (size_t)n : 0)
            n = aff_tls_recv(p.sessions[1], got + in, TOTAL - in);
        if (n < 0)
            fail_msg("%s", aff_tls_why(p.sessions[1]));
    }
    assert_true(stuck);
    for (size_t i = 0; i < TOTAL; i++)
        if (got[i] != (unsigned char)(i * 31 + i / 251))
            fail_msg("byte %zu is not what was sent", i);
    close_pair(&p);
    free(sent);
    free(got);
}

/* In TLS 1.3 a client is through before the server has looked at its certificate: it learns of it when it reads. */
static void learn(struct pair *p)
{
    char got[8];
    for (int i = 0; i < 2; i++)
        if (p->codes[i] == 1)
            p->codes[i] = (int)aff_tls_recv(p->sessions[i], got, sizeof got);
}

static void expect_why(const struct aff_tls_session *session, const char *reason)
{
    if (!strstr(aff_tls_why(session), reason))
        fail_msg("the reason is '%s', without '%s'", aff_tls_why(session), reason);
}

static void a_client_of_another_ca_is_not_let_in(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    struct certificate_files stranger = f->stranger;
    memcpy(stranger.ca, f->a.ca, sizeof stranger.ca); /* it believes in our CA, which does not know it */
    open_pair(&p, &stranger, &f->b);
    shake(&p);
    learn(&p);
    assert_int_equal(p.codes[1], AFF_EIO);
    expect_why(p.sessions[1], "shows no certificate that our CA has signed");
    assert_int_equal(p.codes[0], AFF_EIO);
    expect_why(p.sessions[0], "the other side says");
    close_pair(&p);
}

static void a_server_of_another_ca_is_not_talked_to(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    open_pair(&p, &f->a, &f->stranger);
    shake(&p);
    learn(&p);
    assert_int_equal(p.codes[0], AFF_EIO);
    expect_why(p.sessions[0], "issuer is unknown");
    assert_int_equal(p.codes[1], AFF_EIO);
    close_pair(&p);
}

static void an_expired_certificate_is_refused(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    open_pair(&p, &f->a, &f->expired);
    shake(&p);
    assert_int_equal(p.codes[0], AFF_EIO);
    expect_why(p.sessions[0], "expired");
    close_pair(&p);
}

static void what_is_no_tls_is_told(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    open_pair(&p, &f->a, &f->b);
    assert_int_equal(send(p.fds[0], "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
    assert_int_equal(aff_tls_handshake(p.sessions[1]), AFF_EIO);
    expect_why(p.sessions[1], "tls: ");
    close_pair(&p);
}

static void a_side_that_goes_away_is_noticed(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    char got[8];
    open_pair(&p, &f->a, &f->b);
    shake(&p);
    (void)aff_tls_recv(p.sessions[1], got, sizeof got);
    (void)close(p.fds[0]); /* without a goodbye */
    p.fds[0] = -1;
    assert_int_equal(aff_tls_recv(p.sessions[1], got, sizeof got), AFF_ECLOSED);
    assert_int_equal(aff_tls_send(p.sessions[1], "x", 1), AFF_EIO);
    close_pair(&p);
}

static void wrong_files_are_named(void **state)
{
    struct fixture *f = *state;
    struct aff_tls *tls = NULL;
    aff_error err = { 0 };
    assert_int_equal(aff_tls_new(f->a.certificate, f->a.key, "/nowhere/ca.pem", &tls, &err), AFF_ECONFIG);
    assert_non_null(strstr(err.text, "/nowhere/ca.pem"));
    assert_int_equal(aff_tls_new("/nowhere/a.crt", f->a.key, f->a.ca, &tls, &err), AFF_ECONFIG);
    assert_non_null(strstr(err.text, "/nowhere/a.crt"));
    assert_int_equal(aff_tls_new(f->a.certificate, f->b.key, f->a.ca, &tls, &err), AFF_ECONFIG);
    assert_non_null(strstr(err.text, f->b.key));
    assert_int_equal(aff_tls_new(f->a.certificate, f->a.key, f->a.key, &tls, &err), AFF_ECONFIG);
    assert_null(tls);
    assert_null(aff_tls_free(NULL));
    assert_null(aff_tls_close(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_talk),
        cmocka_unit_test(nothing_readable_is_on_the_wire),
        cmocka_unit_test(a_lot_goes_through_a_narrow_socket),
        cmocka_unit_test(a_client_of_another_ca_is_not_let_in),
        cmocka_unit_test(a_server_of_another_ca_is_not_talked_to),
        cmocka_unit_test(an_expired_certificate_is_refused),
        cmocka_unit_test(what_is_no_tls_is_told),
        cmocka_unit_test(a_side_that_goes_away_is_noticed),
        cmocka_unit_test(wrong_files_are_named),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
