/*
 * tls.h - TLS 1.3 between nodes, on non-blocking sockets: both sides show a certificate that the same CA has signed. Names in
 * certificates are not asked.
 *
 * Credentials are constant once made: any thread. A session belongs to one thread. It reads the socket in large pieces: after
 * readiness, aff_tls_recv() is called until it returns 0, since what was read already wakes no epoll.
 */
#ifndef AFF_BASE_TLS_H
#define AFF_BASE_TLS_H

#include <affinity/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct aff_tls;
struct aff_tls_session;

/* Files in PEM. AFF_ECONFIG: one cannot be read, or certificate and key do not belong together. */
int aff_tls_new(const char *certificate, const char *key, const char *ca, struct aff_tls **ret_tls, aff_error *err);
struct aff_tls *aff_tls_free(struct aff_tls *tls);

/* On a socket that is connected and stays the caller's; NULL when there is no memory. */
struct aff_tls_session *aff_tls_open(const struct aff_tls *tls, int fd, bool server);
/* Says goodbye when that needs no wait. Returns NULL. */
struct aff_tls_session *aff_tls_close(struct aff_tls_session *session);

/* 1: done; 0: again when the socket is ready, see aff_tls_wants_write(); AFF_EIO or AFF_ECLOSED: aff_tls_why(). */
int aff_tls_handshake(struct aff_tls_session *session);
bool aff_tls_wants_write(const struct aff_tls_session *session);

/*
 * How many bytes, of those at `data`, the socket took as whole records; 0: again when it is writable, with the same bytes at `data` (more may
 * follow them); or AFF_EIO. What it did not take as a whole record, nobody can read.
 */
ssize_t aff_tls_send(struct aff_tls_session *session, const void *data, size_t len);
/* So many bytes are encrypted and on their way: they can be changed no more. */
size_t aff_tls_under_way(const struct aff_tls_session *session);

/* Bytes; 0: nothing more before the socket is readable again; AFF_ECLOSED: the other side closed it; AFF_EIO. */
ssize_t aff_tls_recv(struct aff_tls_session *session, void *to, size_t size);

/* After an error: what happened, for people. Lives as long as the session. */
const char *aff_tls_why(const struct aff_tls_session *session);

#endif
