/*
 * baseline.c - the least that an HTTP server on libmicrohttpd can do: it reads a request, ignores it, and answers a
 * constant of 100 bytes. scripts/bench measures Affinity against it; doc/performance.md says how.
 *
 *   baseline own-loop          one epoll, run by the main thread, as Affinity runs its daemons
 *   baseline internal-thread   one epoll, run by libmicrohttpd's thread
 *
 * Listens on a free port of 127.0.0.1, prints {"http":["127.0.0.1:PORT"],"pid":PID} when it serves, and runs until it
 * is killed. The handler runs on the one thread that serves; the response is shared by all requests.
 */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char body[] =
    "{\"id\":\"0123456789abcdef\",\"name\":\"a constant, whoever asks\",\"n\":12345,\"ok\":true,\"tags\":[\"a\",\"b\",\"c\"]}";
_Static_assert(sizeof body - 1 == 100, "the answer has 100 bytes");

static enum MHD_Result handle(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *upload, size_t *upload_size, void **context)
{
    static char seen;

    (void)url, (void)method, (void)version, (void)upload;
    if (!*context) { /* the head is complete, a body may follow */
        *context = &seen;
        return MHD_YES;
    }
    if (*upload_size > 0) {
        *upload_size = 0;
        return MHD_YES;
    }
    return MHD_queue_response(connection, MHD_HTTP_OK, cls);
}

static struct MHD_Response *constant_answer(void)
{
    struct MHD_Response *answer = MHD_create_response_from_buffer(sizeof body - 1, (void *)body,
                                                                  MHD_RESPMEM_PERSISTENT);

    if (!answer || MHD_add_response_header(answer, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json") != MHD_YES)
        abort();
    return answer;
}

static struct MHD_Daemon *start(unsigned flags)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

    return MHD_start_daemon(flags, 0, NULL, NULL, handle, constant_answer(), MHD_OPTION_SOCK_ADDR, &address,
                            MHD_OPTION_END);
}

int main(int argc, char **argv)
{
    int own_loop = argc == 2 && strcmp(argv[1], "own-loop") == 0;

    if (!own_loop && (argc != 2 || strcmp(argv[1], "internal-thread") != 0)) {
        fputs("usage: baseline own-loop|internal-thread\n", stderr);
        return 2;
    }
    struct MHD_Daemon *daemon = start(own_loop ? MHD_USE_EPOLL | MHD_USE_TURBO : MHD_USE_EPOLL_INTERNAL_THREAD);
    if (!daemon) {
        fputs("baseline: could not start\n", stderr);
        return 1;
    }
    printf("{\"http\":[\"127.0.0.1:%u\"],\"pid\":%d}\n",
           (unsigned)MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port, (int)getpid());
    fflush(stdout);
    while (own_loop && MHD_run_wait(daemon, -1) == MHD_YES)
        ;
    while (!own_loop)
        pause();
    return 1; /* a loop that ended */
}
