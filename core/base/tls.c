/*
 * tls.c - see tls.h.
 *
 * GnuTLS would read a record by two calls of recv(), and a third that says that there is none. Here it reads from a buffer
 * that one recv() fills; once that was taken, it is told to come again.
 */
#include "base/tls.h"

#include "base/alloc.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { RAW_SIZE = 64 * 1024 };

static const char priorities[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3";

struct aff_tls {
    gnutls_certificate_credentials_t credentials;
    gnutls_priority_t priority;
};

struct aff_tls_session {
    gnutls_session_t session;
    int fd;
    size_t under_way; /* of a record that the socket took in part */
    bool refilled;    /* since the caller was told to come again */
    size_t raw_at, raw_len;
    char why[256];
    unsigned char raw[RAW_SIZE]; /* read, and not taken yet */
};

/* ---- credentials ---- */

static int load(struct aff_tls *tls, const char *certificate, const char *key, const char *ca, aff_error *err)
{
    int n = gnutls_certificate_set_x509_trust_file(tls->credentials, ca, GNUTLS_X509_FMT_PEM);
    if (n <= 0)
        return aff_fail_with(err, AFF_ECONFIG, "tls: '%s' should hold the certificate of a CA in PEM: %s", ca,
                             n ? gnutls_strerror(n) : "there is none in it");
    n = gnutls_certificate_set_x509_key_file(tls->credentials, certificate, key, GNUTLS_X509_FMT_PEM);
    if (n < 0)
        return aff_fail_with(err, AFF_ECONFIG, "tls: '%s' and '%s' should hold a certificate and its key in PEM: %s",
                             certificate, key, gnutls_strerror(n));
    n = gnutls_priority_init(&tls->priority, priorities, NULL);
    if (n < 0)
        return aff_fail_with(err, AFF_ECONFIG, "tls: this GnuTLS does not know '%s': %s", priorities,
                             gnutls_strerror(n));
    return 0;
}

int aff_tls_new(const char *certificate, const char *key, const char *ca, struct aff_tls **ret_tls, aff_error *err)
{
    struct aff_tls *tls = aff_xcalloc(1, sizeof *tls);
    int n = gnutls_certificate_allocate_credentials(&tls->credentials);
    int rc = n < 0 ? aff_fail_with(err, AFF_ENOMEM, "tls: %s", gnutls_strerror(n))
                   : load(tls, certificate, key, ca, err);
    if (rc) {
        (void)aff_tls_free(tls);
        return rc;
    }
    *ret_tls = tls;
    return 0;
}

struct aff_tls *aff_tls_free(struct aff_tls *tls)
{
    if (!tls)
        return NULL;
    if (tls->priority)
        gnutls_priority_deinit(tls->priority);
    if (tls->credentials)
        gnutls_certificate_free_credentials(tls->credentials);
    free(tls);
    return NULL;
}

/* ---- the socket ---- */

static ssize_t fail_pull(struct aff_tls_session *s, int error)
{
    gnutls_transport_set_errno(s->session, error);
    return -1;
}

static ssize_t pull(gnutls_transport_ptr_t ptr, void *to, size_t size)
{
    struct aff_tls_session *s = ptr;
    if (s->raw_at == s->raw_len) {
        if (s->refilled)
            return fail_pull(s, EAGAIN);
        ssize_t n = recv(s->fd, s->raw, sizeof s->raw, MSG_DONTWAIT);
        if (n <= 0)
            return n == 0 ? 0 : fail_pull(s, errno);
        s->refilled = true;
        s->raw_at = 0;
        s->raw_len = (size_t)n;
    }
    size_t len = s->raw_len - s->raw_at < size ? s->raw_len - s->raw_at : size;
    memcpy(to, s->raw + s->raw_at, len);
    s->raw_at += len;
    return (ssize_t)len;
}

static ssize_t push(gnutls_transport_ptr_t ptr, const giovec_t *parts, int count)
{
    struct aff_tls_session *s = ptr;
    struct iovec copy[16];
    struct msghdr message = { .msg_iov = copy, .msg_iovlen = count < 16 ? (size_t)count : 16 };
    for (size_t i = 0; i < message.msg_iovlen; i++)
        copy[i] = (struct iovec){ .iov_base = parts[i].iov_base, .iov_len = parts[i].iov_len };
    ssize_t n = sendmsg(s->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    return n < 0 ? fail_pull(s, errno) : n;
}

/* ---- life ---- */

static bool prepare(struct aff_tls_session *s, const struct aff_tls *tls, bool server)
{
    unsigned flags = GNUTLS_NONBLOCK | GNUTLS_NO_TICKETS | (server ? GNUTLS_SERVER : GNUTLS_CLIENT);
    if (gnutls_init(&s->session, flags) < 0)
        return false;
    if (gnutls_priority_set(s->session, tls->priority) < 0 ||
        gnutls_credentials_set(s->session, GNUTLS_CRD_CERTIFICATE, tls->credentials) < 0)
        return false;
    if (server)
        gnutls_certificate_server_set_request(s->session, GNUTLS_CERT_REQUIRE);
    gnutls_session_set_verify_cert(s->session, NULL, 0);
    gnutls_transport_set_ptr(s->session, s);
    gnutls_transport_set_pull_function(s->session, pull);
    gnutls_transport_set_vec_push_function(s->session, push);
    return true;
}

struct aff_tls_session *aff_tls_open(const struct aff_tls *tls, int fd, bool server)
{
    struct aff_tls_session *s = malloc(sizeof *s);
    if (!s)
        return NULL;
    s->session = NULL;
    s->fd = fd;
    s->under_way = s->raw_at = s->raw_len = 0;
    s->refilled = false;
    s->why[0] = '\0';
    return prepare(s, tls, server) ? s : aff_tls_close(s);
}

struct aff_tls_session *aff_tls_close(struct aff_tls_session *s)
{
    if (!s)
        return NULL;
    if (s->session && s->under_way == 0)
        (void)gnutls_bye(s->session, GNUTLS_SHUT_WR);
    if (s->session)
        gnutls_deinit(s->session);
    free(s);
    return NULL;
}

/* ---- errors ---- */

static void say_certificate(struct aff_tls_session *s)
{
    gnutls_datum_t text = { 0 };
    unsigned status = gnutls_session_get_verify_cert_status(s->session);
    if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0) < 0)
        return;
    (void)snprintf(s->why, sizeof s->why, "tls: the other side's certificate: %s", (const char *)text.data);
    gnutls_free(text.data);
}

static int failed(struct aff_tls_session *s, int error)
{
    (void)snprintf(s->why, sizeof s->why, "tls: %s", gnutls_strerror(error));
    if (error == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR)
        say_certificate(s);
    if (error == GNUTLS_E_CERTIFICATE_REQUIRED || error == GNUTLS_E_NO_CERTIFICATE_FOUND)
        (void)snprintf(s->why, sizeof s->why, "tls: the other side shows no certificate that our CA has signed");
    if (error == GNUTLS_E_FATAL_ALERT_RECEIVED)
        (void)snprintf(s->why, sizeof s->why, "tls: the other side says: %s",
                       gnutls_alert_get_name(gnutls_alert_get(s->session)));
    if (error == GNUTLS_E_PREMATURE_TERMINATION)
        return AFF_ECLOSED;
    return AFF_EIO;
}

static bool is_again(int error)
{
    return error == GNUTLS_E_AGAIN || error == GNUTLS_E_INTERRUPTED;
}

const char *aff_tls_why(const struct aff_tls_session *s)
{
    return s->why;
}

/* ---- use ---- */

int aff_tls_handshake(struct aff_tls_session *s)
{
    int n;
    do
        n = gnutls_handshake(s->session);
    while (n < 0 && !is_again(n) && !gnutls_error_is_fatal(n));
    if (n == 0 || is_again(n))
        s->refilled = false;
    if (n == 0)
        return 1; /* what came behind the handshake waits in `raw` */
    if (is_again(n))
        return 0;
    (void)gnutls_alert_send_appropriate(s->session, n); /* so that the other side can tell why, too */
    return failed(s, n);
}

bool aff_tls_wants_write(const struct aff_tls_session *s)
{
    return gnutls_record_get_direction(s->session) == 1;
}

ssize_t aff_tls_send(struct aff_tls_session *s, const void *data, size_t len)
{
    ssize_t n = s->under_way ? gnutls_record_send(s->session, NULL, 0) : gnutls_record_send(s->session, data, len);
    if (n >= 0) {
        s->under_way = 0;
        return n;
    }
    if (!is_again((int)n))
        return failed(s, (int)n);
    if (!s->under_way) {
        size_t most = gnutls_record_get_max_size(s->session);
        s->under_way = len < most ? len : most;
    }
    return 0;
}

size_t aff_tls_under_way(const struct aff_tls_session *s)
{
    return s->under_way;
}

ssize_t aff_tls_recv(struct aff_tls_session *s, void *to, size_t size)
{
    for (;;) {
        ssize_t n = gnutls_record_recv(s->session, to, size);
        if (n > 0)
            return n;
        if (n == 0) {
            (void)snprintf(s->why, sizeof s->why, "the other side closed it");
            return AFF_ECLOSED;
        }
        if (is_again((int)n)) {
            s->refilled = false;
            return 0;
        }
        if (gnutls_error_is_fatal((int)n))
            return failed(s, (int)n);
    }
}
