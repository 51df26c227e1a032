/*
 * plain_kafka.c - the plainest program that does what a PUT of Affinity does on Kafka: it produces the body of each request
 * under the last part of its path, and answers 204 when the delivery report says that it landed, 503 when not. It checks
 * nothing, keeps nothing, and can be asked for nothing. scripts/bench put --kafka measures Affinity against it.
 *
 *   plain_kafka MODE PRODUCERS BOOTSTRAP TOPIC
 *
 *   recall    a handler that waits for its report returns without a response and is called again
 *   suspend   its connection is suspended until the report is there
 *
 * One thread beside librdkafka's: libmicrohttpd's epoll and the reports' descriptor in one poll(). (With libmicrohttpd's own
 * thread, and another one that waits for reports and resumes connections, the rate is the same and the CPU time more.)
 *
 * Listens on a free port of 127.0.0.1, prints {"http":["127.0.0.1:PORT"],"pid":PID} when it serves, and runs until it
 * is killed.
 */
#include "producers.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum state { BODY, SENT, LANDED, FAILED };

struct server {
    struct producers producers;
    struct MHD_Daemon *daemon;
    struct MHD_Response *empty;
    bool suspends;
    unsigned pending;  /* requests that wait for their report */
    unsigned progress; /* changes when a run of the daemon has changed something */
};

struct request {
    struct server *server;
    struct MHD_Connection *connection; /* NULL: it is gone, the report frees the request */
    enum state state;
    char *body;
    size_t length, capacity;
};

static void free_request(struct request *request)
{
    free(request->body);
    free(request);
}

static void reported(void *opaque, bool landed, int64_t offset)
{
    struct request *request = opaque;
    struct server *server = request->server;

    (void)offset;
    server->pending--;
    server->progress++;
    if (!request->connection) {
        free_request(request);
        return;
    }
    request->state = landed ? LANDED : FAILED;
    if (server->suspends)
        MHD_resume_connection(request->connection);
}

static void append(struct request *request, const char *data, size_t length)
{
    if (request->length + length > request->capacity) {
        request->capacity = (request->length + length) * 2;
        request->body = realloc(request->body, request->capacity);
        if (!request->body)
            abort();
    }
    memcpy(request->body + request->length, data, length);
    request->length += length;
}

static void send_body(struct request *request, const char *url)
{
    struct server *server = request->server;
    const char *slash = strrchr(url, '/');
    const char *key = slash ? slash + 1 : url;

    server->pending++;
    request->state = SENT;
    if (server->suspends)
        MHD_suspend_connection(request->connection);
    producers_send(&server->producers, key, strlen(key), request->body, request->length, request);
}

static struct request *new_request(struct server *server, struct MHD_Connection *connection)
{
    struct request *request = calloc(1, sizeof *request);

    if (!request)
        abort();
    request->server = server;
    request->connection = connection;
    return request;
}

static enum MHD_Result handle(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *upload, size_t *upload_size, void **context)
{
    struct server *server = cls;
    struct request *request = *context;

    (void)method, (void)version;
    if (!request) { /* the head is complete, the body follows */
        *context = new_request(server, connection);
        return MHD_YES;
    }
    if (*upload_size > 0) {
        append(request, upload, *upload_size);
        *upload_size = 0;
        server->progress++;
        return MHD_YES;
    }
    switch (request->state) {
    case BODY:
        send_body(request, url);
        return MHD_YES;
    case SENT:
        return MHD_YES;
    case LANDED:
        server->progress++;
        return MHD_queue_response(connection, MHD_HTTP_NO_CONTENT, server->empty);
    default:
        server->progress++;
        return MHD_queue_response(connection, MHD_HTTP_SERVICE_UNAVAILABLE, server->empty);
    }
}

static void completed(void *cls, struct MHD_Connection *connection, void **context,
                      enum MHD_RequestTerminationCode code)
{
    struct request *request = *context;

    (void)cls, (void)connection, (void)code;
    if (!request)
        return;
    if (request->state == SENT)
        request->connection = NULL;
    else
        free_request(request);
}

static void start_daemon(struct server *server)
{
    unsigned flags = MHD_USE_EPOLL | MHD_USE_TURBO | (server->suspends ? MHD_ALLOW_SUSPEND_RESUME : 0U);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

    server->empty = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    server->daemon = MHD_start_daemon(flags, 0, NULL, NULL, handle, server, MHD_OPTION_SOCK_ADDR, &address,
                                      MHD_OPTION_NOTIFY_COMPLETED, completed, NULL, MHD_OPTION_END);
    if (!server->daemon || !server->empty)
        abort();
    printf("{\"http\":[\"127.0.0.1:%u\"],\"pid\":%d}\n",
           (unsigned)MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT)->port, (int)getpid());
    fflush(stdout);
}

/* How long the loop may sleep. libmicrohttpd always says "not at all" while a handler waits that is called again. */
static int patience(const struct server *server)
{
    MHD_UNSIGNED_LONG_LONG timeout;

    if (!server->suspends && server->pending > 0)
        return -1;
    return MHD_get_timeout(server->daemon, &timeout) == MHD_YES ? (int)timeout : -1;
}

static _Noreturn void serve(struct server *server)
{
    struct pollfd ready[] = {
        { .fd = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, .events = POLLIN },
        { .fd = server->producers.fd, .events = POLLIN },
    };

    for (;;) {
        unsigned before = server->progress;
        if (MHD_run(server->daemon) != MHD_YES)
            abort();
        if (server->progress != before)
            continue;
        poll(ready, 2, patience(server));
        if (ready[1].revents)
            producers_poll(&server->producers);
    }
}

int main(int argc, char **argv)
{
    static struct server server;

    if (argc != 5 || (strcmp(argv[1], "recall") != 0 && strcmp(argv[1], "suspend") != 0)) {
        fputs("usage: plain_kafka recall|suspend PRODUCERS BOOTSTRAP TOPIC\n", stderr);
        return 2;
    }
    server.suspends = strcmp(argv[1], "suspend") == 0;
    server.producers.reported = reported;
    producers_start(&server.producers, argv[3], argv[4], (unsigned)atoi(argv[2]));
    start_daemon(&server);
    serve(&server);
}
