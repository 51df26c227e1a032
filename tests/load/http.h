/*
 * http.h - one keep-alive connection of the load client: a request, and what came of it, exact about what the server can have
 * seen. Blocking, with deadlines; one thread a connection.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

enum http_outcome {
    HTTP_ANSWERED,
    HTTP_REFUSED, /* nobody listens, or the connection was reset before it stood: nothing was sent */
    HTTP_LOST,    /* the connection ended before the first byte of an answer */
    HTTP_BROKEN,  /* it ended, or was nonsense, in the middle of an answer */
    HTTP_SILENT,  /* no answer, or no connection, in time */
};

struct http_connection {
    int fd; /* -1: none */
    struct sockaddr_in to;
};

enum { HTTP_ETAG_MAX = 96, HTTP_HEAD_MAX = 16384 };

struct http_answer {
    int status;
    char etag[HTTP_ETAG_MAX]; /* without its quotes; "" when there is none */
    bool not_applied;         /* Affinity-Outcome: not-applied */
    char *body;               /* ends with a NUL; kept for the next answer */
    size_t body_len, body_cap;
};

void http_init(struct http_connection *connection, const struct sockaddr_in *to);
void http_close(struct http_connection *connection);
void http_answer_fini(struct http_answer *answer);

/* Sends `len` bytes, a whole request, on the connection, which is opened when it is not, and reads the answer. Everything but an
 * answer closes the connection, and so does an answer that says so. */
enum http_outcome http_ask(struct http_connection *connection, const char *request, size_t len, int timeout_ms,
                           struct http_answer *ret_answer);
