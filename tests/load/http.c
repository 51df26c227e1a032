/*
 * http.c - see http.h. Only what Affinity's answers need: a length or chunks, no interim answers, no folded fields.
 */
#include "http.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BODY_MAX = 64 << 20, LINE_MAX_LEN = 64 };

/* What was received and is not used up. */
struct input {
    int fd;
    long long until_ms;
    enum http_outcome trouble;
    bool any; /* did a byte come? */
    size_t at, end;
    char data[HTTP_HEAD_MAX + 1];
};

static long long now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

void http_init(struct http_connection *connection, const struct sockaddr_in *to)
{
    connection->fd = -1;
    connection->to = *to;
}

void http_close(struct http_connection *connection)
{
    if (connection->fd >= 0)
        (void)close(connection->fd);
    connection->fd = -1;
}

void http_answer_fini(struct http_answer *answer)
{
    free(answer->body);
    answer->body = NULL;
}

/* ---- waiting ---- */

static bool wait_for(int fd, short events, long long until_ms)
{
    struct pollfd p = { .fd = fd, .events = events };
    for (;;) {
        long long left = until_ms - now_ms();
        if (left <= 0)
            return false;
        int n = poll(&p, 1, left > 60000 ? 60000 : (int)left);
        if (n > 0)
            return true;
        if (n < 0 && errno != EINTR)
            return false;
    }
}

/* ---- out ---- */

static enum http_outcome refusal(int error)
{
    return error == ECONNREFUSED || error == ECONNRESET || error == ECONNABORTED ? HTTP_REFUSED : HTTP_SILENT;
}

static enum http_outcome open_connection(struct http_connection *connection, long long until_ms)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1, error = 0;
    if (fd < 0) {
        perror("load: socket");
        exit(2);
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    connection->fd = fd;
    if (connect(fd, (const struct sockaddr *)&connection->to, sizeof connection->to) == 0)
        return HTTP_ANSWERED;
    if (errno != EINPROGRESS)
        return refusal(errno);
    if (!wait_for(fd, POLLOUT, until_ms))
        return HTTP_SILENT;
    socklen_t size = sizeof error;
    (void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return error == 0 ? HTTP_ANSWERED : refusal(error);
}

static enum http_outcome send_all(int fd, const char *data, size_t len, long long until_ms)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        } else if (errno != EAGAIN && errno != EINTR) {
            return HTTP_LOST;
        } else if (!wait_for(fd, POLLOUT, until_ms)) {
            return HTTP_SILENT;
        }
    }
    return HTTP_ANSWERED;
}

/* ---- in ---- */

static bool stop(struct input *in, enum http_outcome trouble)
{
    in->trouble = trouble;
    return false;
}

static void begin_input(struct input *in, int fd, long long until_ms)
{
    in->fd = fd;
    in->until_ms = until_ms;
    in->trouble = HTTP_ANSWERED;
    in->any = false;
    in->at = in->end = 0;
}

/* Receives some more bytes behind what is there. */
static bool more(struct input *in)
{
    if (in->at == in->end)
        in->at = in->end = 0;
    if (in->end == HTTP_HEAD_MAX && in->at > 0) {
        memmove(in->data, in->data + in->at, in->end - in->at);
        in->end -= in->at;
        in->at = 0;
    }
    if (in->end == HTTP_HEAD_MAX)
        return stop(in, HTTP_BROKEN);
    for (;;) {
        ssize_t n = recv(in->fd, in->data + in->end, HTTP_HEAD_MAX - in->end, 0);
        if (n > 0) {
            in->any = true;
            in->end += (size_t)n;
            in->data[in->end] = '\0';
            return true;
        }
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            return stop(in, in->any ? HTTP_BROKEN : HTTP_LOST);
        if (!wait_for(in->fd, POLLIN, in->until_ms))
            return stop(in, HTTP_SILENT);
    }
}

/* The text up to `mark`, ended with a NUL in its place; NULL when it does not come. */
static char *up_to(struct input *in, const char *mark)
{
    char *found = NULL;
    while (in->at == in->end || !(found = strstr(in->data + in->at, mark)))
        if (!more(in))
            return NULL;
    char *text = in->data + in->at;
    *found = '\0';
    in->at = (size_t)(found - in->data) + strlen(mark);
    return text;
}

static bool append(struct http_answer *answer, const char *data, size_t len)
{
    if (answer->body_len + len + 1 > answer->body_cap) {
        size_t cap = 2 * (answer->body_len + len + 1);
        char *body = cap <= BODY_MAX ? realloc(answer->body, cap) : NULL;
        if (!body)
            return false;
        answer->body = body;
        answer->body_cap = cap;
    }
    if (len > 0)
        memcpy(answer->body + answer->body_len, data, len);
    answer->body_len += len;
    answer->body[answer->body_len] = '\0';
    return true;
}

static bool take(struct input *in, size_t len, struct http_answer *answer)
{
    while (len > 0) {
        if (in->at == in->end && !more(in))
            return false;
        size_t n = in->end - in->at < len ? in->end - in->at : len;
        if (!append(answer, in->data + in->at, n))
            return stop(in, HTTP_BROKEN);
        in->at += n;
        len -= n;
    }
    return true;
}

static bool take_chunks(struct input *in, struct http_answer *answer)
{
    for (;;) {
        char *line = up_to(in, "\r\n"), *end;
        if (!line)
            return false;
        unsigned long size = strtoul(line, &end, 16);
        if (end == line || size > BODY_MAX)
            return stop(in, HTTP_BROKEN);
        if (!take(in, size, answer) || !up_to(in, "\r\n"))
            return false;
        if (size == 0)
            return true;
    }
}

/* What of the head decides how to go on. */
struct framing {
    bool chunks, closes;
    size_t length;
};

static void read_field(char *line, struct http_answer *answer, struct framing *framing)
{
    char *value = strchr(line, ':');
    if (!value)
        return;
    *value++ = '\0';
    value += strspn(value, " \t");
    if (strcasecmp(line, "Content-Length") == 0)
        framing->length = strtoul(value, NULL, 10);
    else if (strcasecmp(line, "Transfer-Encoding") == 0)
        framing->chunks = strcasecmp(value, "chunked") == 0;
    else if (strcasecmp(line, "Connection") == 0)
        framing->closes = strcasecmp(value, "close") == 0;
    else if (strcasecmp(line, "Affinity-Outcome") == 0)
        answer->not_applied = strcmp(value, "not-applied") == 0;
    else if (strcasecmp(line, "ETag") == 0)
        (void)snprintf(answer->etag, sizeof answer->etag, "%.*s", (int)strcspn(value + 1, "\""), value + 1);
}

static bool read_head(struct input *in, struct http_answer *answer, struct framing *framing)
{
    char *head = up_to(in, "\r\n\r\n"), *rest = NULL;
    if (!head)
        return false;
    if (sscanf(head, "HTTP/1.1 %d", &answer->status) != 1)
        return stop(in, HTTP_BROKEN);
    (void)strtok_r(head, "\r\n", &rest);
    for (char *line; (line = strtok_r(NULL, "\r\n", &rest));)
        read_field(line, answer, framing);
    return true;
}

static bool read_answer(struct input *in, struct http_answer *answer, struct framing *framing)
{
    answer->status = 0;
    answer->etag[0] = '\0';
    answer->not_applied = false;
    answer->body_len = 0;
    if (!append(answer, NULL, 0))
        return stop(in, HTTP_BROKEN);
    if (!read_head(in, answer, framing))
        return false;
    if (answer->status == 204 || answer->status == 304)
        return true;
    return framing->chunks ? take_chunks(in, answer) : take(in, framing->length, answer);
}

enum http_outcome http_ask(struct http_connection *connection, const char *request, size_t len, int timeout_ms,
                           struct http_answer *ret_answer)
{
    long long until_ms = now_ms() + timeout_ms;
    enum http_outcome outcome = connection->fd < 0 ? open_connection(connection, until_ms) : HTTP_ANSWERED;
    if (outcome == HTTP_ANSWERED)
        outcome = send_all(connection->fd, request, len, until_ms);
    struct framing framing = { 0 };
    if (outcome == HTTP_ANSWERED ||
        outcome == HTTP_LOST) { /* an answer may stand before the end of what did not take all */
        struct input in;
        begin_input(&in, connection->fd, until_ms);
        outcome = read_answer(&in, ret_answer, &framing) ? HTTP_ANSWERED : in.trouble;
    }
    if (outcome != HTTP_ANSWERED || framing.closes)
        http_close(connection);
    return outcome;
}
