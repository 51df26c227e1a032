/*
 * fixture.c - see fixture.h.
 */
#include "fixture.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int never_run(aff_cmd *cmd)
{
    (void)cmd;
    return AFF_EBUG;
}

static int never_read(aff_read *read)
{
    (void)read;
    return AFF_EBUG;
}

static const aff_command commands[] = {
    { .size = sizeof(aff_command), .name = "deposit", .run = never_run },
    { .size = sizeof(aff_command), .name = "count", .run = never_run, .accepts = "text/plain" },
    { .size = sizeof(aff_command), .name = "swallow", .run = never_run, .accepts = "*" },
    { .size = sizeof(aff_command), .name = "show", .read = never_read },
    AFF_COMMAND_END,
};

const struct aff_space fixture_spaces[] = {
    { .name = "notes", .partitions = 8, .max_value = 1 << 20, .commands = commands },
    { .name = "strict", .partitions = 8, .max_value = 1 << 20, .require_match = true },
    { .name = "small", .partitions = 8, .max_value = 10 },
    { .name = "fixed", .partitions = 8, .max_value = 1 << 20, .rest = AFF_REST_GET },
    { .name = NULL },
};

/* ---- the pages of the node ---- */

static int livez(void *self, struct aff_buf *body)
{
    (void)self;
    return aff_buf_printf(body, "{\"live\":true}\n") ? 200 : AFF_ENOMEM;
}

static int readyz(void *self, bool verbose, struct aff_buf *body)
{
    (void)self;
    return aff_buf_printf(body, "{\"ready\":false,\"verbose\":%s}\n", verbose ? "true" : "false") ? 503 : AFF_ENOMEM;
}

static int metrics(void *self, struct aff_buf *body)
{
    struct fixture *f = self;
    return aff_http_metrics(f->https, f->loops_count, f->gate, body) ? 200 : AFF_ENOMEM;
}

const char fixture_openapi[] = "{\"openapi\":\"3.1.0\"}", fixture_docs[] = "<!doctype html><title>x</title>";

/* ---- life ---- */

struct fixture_opts fixture_defaults(void)
{
    return (struct fixture_opts){
        .limits = AFF_HTTP_LIMITS_DEFAULT,
        .gate = { .connections = 1000, .connections_per_address = 0, .bodies = 64 << 20 },
        .loops = 1,
    };
}

static void *run_loop(void *loop)
{
    aff_loop_run(loop);
    return NULL;
}

static void make_loop(struct fixture *f, unsigned i, const struct fixture_opts *opts)
{
    aff_error err;
    struct aff_loop_opts loop_opts = { .name = "http", .index = i };
    assert_int_equal(aff_loop_new(&loop_opts, &f->loops[i], &err), 0);
    f->fakes[i] = fake_router_new(f->loops[i], fixture_spaces);
    struct aff_http_opts http_opts = {
        .loop = f->loops[i],
        .router = (const struct aff_router *)(const void *)f->fakes[i],
        .port = (struct aff_port *)(void *)f->fakes[i],
        .gate = f->gate,
        .limits = opts->limits,
        .admin = { .self = f, .livez = livez, .readyz = readyz, .metrics = metrics },
        .openapi = { .bytes = aff_str(fixture_openapi), .type = "application/json" },
        .docs = { .bytes = aff_str(fixture_docs), .type = "text/html; charset=utf-8", .policy = "default-src 'none'" },
    };
    if (aff_http_new(&http_opts, &f->https[i], &err) != 0)
        fail_msg("%s", err.text);
}

struct fixture *fixture_start(const struct fixture_opts *opts)
{
    aff_error err;
    struct fixture *f = calloc(1, sizeof *f);
    f->gate = aff_gate_new(&opts->gate);
    f->loops_count = opts->loops ? opts->loops : 1;
    for (unsigned i = 0; i < f->loops_count; i++)
        make_loop(f, i, opts);
    f->fake = f->fakes[0];
    struct aff_listener_opts listener_opts = {
        .host = "127.0.0.1", .loop = f->loops[0], .https = f->https, .https_count = f->loops_count, .gate = f->gate
    };
    if (aff_listener_new(&listener_opts, &f->listener, &err) != 0)
        fail_msg("%s", err.text);
    f->port = (uint16_t)atoi(strrchr(aff_listener_address(f->listener), ':') + 1);
    for (unsigned i = 0; i < f->loops_count; i++)
        assert_int_equal(pthread_create(&f->threads[i], NULL, run_loop, f->loops[i]), 0);
    return f;
}

/* ---- on the loops ---- */

struct visit {
    struct aff_msg msg;
    struct fixture *f;
    void (*run)(struct fixture *f, void *arg);
    void *arg;
    sem_t done;
};

static void deliver(struct aff_msg *msg)
{
    struct visit *visit = aff_container_of(msg, struct visit, msg);
    visit->run(visit->f, visit->arg);
    (void)sem_post(&visit->done);
}

static void run_on(struct fixture *f, unsigned loop, void (*run)(struct fixture *f, void *arg), void *arg)
{
    struct visit visit = { .msg.deliver = deliver, .f = f, .run = run, .arg = arg };
    (void)sem_init(&visit.done, 0, 0);
    aff_loop_call(f->loops[loop], &visit.msg);
    while (sem_wait(&visit.done) != 0)
        continue;
    (void)sem_destroy(&visit.done);
}

void fixture_run(struct fixture *f, void (*run)(struct fixture *f, void *arg), void *arg)
{
    run_on(f, 0, run, arg);
}

static void drain_one(struct fixture *f, void *arg)
{
    aff_http_drain(f->https[*(unsigned *)arg]);
}

static void stop_one(struct fixture *f, void *arg)
{
    aff_http_stop(f->https[*(unsigned *)arg]);
}

void fixture_stop(struct fixture *f)
{
    aff_listener_close(f->listener);
    for (unsigned i = 0; i < f->loops_count; i++) {
        run_on(f, i, drain_one, &i);
        run_on(f, i, stop_one, &i);
    }
    for (unsigned i = 0; i < f->loops_count; i++) {
        aff_loop_stop(f->loops[i]);
        (void)pthread_join(f->threads[i], NULL);
    }
    f->listener = aff_listener_free(f->listener);
    for (unsigned i = 0; i < f->loops_count; i++) {
        assert_true(aff_http_quiet(f->https[i]));
        assert_int_equal(f->fakes[i]->snapshots, 0);
        assert_int_equal(f->fakes[i]->scans_alive, 0);
        (void)aff_http_free(f->https[i]);
        fake_router_free(f->fakes[i]);
        (void)aff_loop_free(f->loops[i]);
    }
    (void)aff_gate_free(f->gate);
    free(f);
}

static void set_script(struct fixture *f, void *arg)
{
    for (unsigned i = 0; i < f->loops_count; i++)
        f->fakes[i]->script = *(struct fake_script *)arg;
}

void fixture_script(struct fixture *f, struct fake_script script)
{
    fixture_run(f, set_script, &script);
}

static void get_seen(struct fixture *f, void *arg)
{
    *(struct fake_seen *)arg = f->fake->seen;
    ((struct fake_seen *)arg)->bound = f->fake->bound;
}

struct fake_seen fixture_seen(struct fixture *f)
{
    struct fake_seen seen;
    fixture_run(f, get_seen, &seen);
    return seen;
}

static void answer_held(struct fixture *f, void *arg)
{
    (void)arg;
    fake_answer_held(f->fake);
}

void fixture_answer_held(struct fixture *f)
{
    fixture_run(f, answer_held, NULL);
}

static void release_all(struct fixture *f, void *arg)
{
    (void)arg;
    fake_release_all(f->fake);
}

void fixture_release(struct fixture *f)
{
    fixture_run(f, release_all, NULL);
}

static void get_calls(struct fixture *f, void *arg)
{
    *(unsigned *)arg = f->fake->calls;
}

unsigned fixture_calls(struct fixture *f)
{
    unsigned calls;
    fixture_run(f, get_calls, &calls);
    return calls;
}

unsigned long long fixture_metric(struct fixture *f, const char *name)
{
    struct aff_buf text;
    char line[200];
    aff_buf_init(&text);
    assert_true(aff_http_metrics(f->https, f->loops_count, f->gate, &text) && aff_buf_u8(&text, 0));
    (void)snprintf(line, sizeof line, "\n%s ", name);
    const char *found = strstr((const char *)text.data, line);
    if (!found)
        fail_msg("there is no metric %s", name);
    unsigned long long value = strtoull(found + strlen(line), NULL, 10);
    aff_buf_fini(&text);
    return value;
}

static void wait_metric(struct fixture *f, const char *name, unsigned long long least, unsigned long long most)
{
    const struct timespec nap = { .tv_nsec = 1000000 };
    unsigned long long value = 0;
    for (int i = 0; i < CLIENT_PATIENCE_S * 1000; i++) {
        value = fixture_metric(f, name);
        if (value >= least && value <= most)
            return;
        (void)nanosleep(&nap, NULL);
    }
    fail_msg("%s did not become %llu, it is %llu", name, least, value);
}

void fixture_wait_metric(struct fixture *f, const char *name, unsigned long long least)
{
    wait_metric(f, name, least, UINT64_MAX);
}

void fixture_wait_metric_is(struct fixture *f, const char *name, unsigned long long value)
{
    wait_metric(f, name, value, value);
}

/* ---- the client ---- */

int client_open(const struct fixture *f)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(f->port) };
    struct timeval patience = { .tv_sec = CLIENT_PATIENCE_S };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience), 0);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0)
        fail_msg("connect: %s", strerror(errno));
    return fd;
}

void client_close(int fd)
{
    (void)close(fd);
}

void client_send(int fd, const void *data, size_t len)
{
    for (const char *at = data; len;) {
        ssize_t sent = send(fd, at, len, MSG_NOSIGNAL);
        if (sent < 0)
            fail_msg("send: %s", strerror(errno));
        at += sent;
        len -= (size_t)sent;
    }
}

void client_say(int fd, const char *text)
{
    client_send(fd, text, strlen(text));
}

static void read_exactly(int fd, char *to, size_t len)
{
    while (len) {
        ssize_t got = recv(fd, to, len, 0);
        if (got <= 0)
            fail_msg("the stream ended %zu bytes before the end of a body (%s)", len,
                     got < 0 ? strerror(errno) : "closed");
        to += got;
        len -= (size_t)got;
    }
}

static void read_head(int fd, struct response *r)
{
    size_t len = 0;
    while (len < 4 || memcmp(r->head + len - 4, "\r\n\r\n", 4) != 0) {
        if (len == sizeof r->head - 1)
            fail_msg("the head of a response does not end");
        ssize_t got = recv(fd, r->head + len, 1, 0);
        if (got <= 0)
            fail_msg("the stream ended in the head of a response, after <%.*s> (%s)", (int)len, r->head,
                     got < 0 ? strerror(errno) : "closed");
        len++;
    }
    r->head[len] = 0;
}

void response_free(struct response *r)
{
    free(r->body);
    r->body = NULL;
}

void client_read(int fd, struct response *r, bool head_only)
{
    read_head(fd, r);
    if (strncmp(r->head, "HTTP/1.1 ", 9) != 0)
        fail_msg("this is no response: %s", r->head);
    r->status = atoi(r->head + 9);
    const char *length = header(r, "Content-Length");
    r->body_len = length && !head_only && r->status != 304 ? strtoul(length, NULL, 10) : 0;
    response_free(r);
    r->body = malloc(r->body_len + 1);
    read_exactly(fd, r->body, r->body_len);
    r->body[r->body_len] = 0;
}

bool client_at_end(int fd)
{
    char byte;
    ssize_t got = recv(fd, &byte, 1, 0);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        fail_msg("the connection is neither closed nor is there anything on it");
    return got <= 0;
}

const char *header(const struct response *r, const char *name)
{
    static char value[4096];
    size_t len = strlen(name);
    for (const char *line = strstr(r->head, "\r\n"); line && line[2]; line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, len) != 0 || line[2 + len] != ':')
            continue;
        const char *start = line + 3 + len, *end = strstr(start, "\r\n");
        while (*start == ' ')
            start++;
        (void)snprintf(value, sizeof value, "%.*s", (int)(end - start), start);
        return value;
    }
    return NULL;
}

void exchange(const struct fixture *f, struct response *r, const char *request)
{
    int fd = client_open(f);
    client_say(fd, request);
    client_read(fd, r, strncmp(request, "HEAD ", 5) == 0);
    client_close(fd);
}

void assert_status(const struct response *r, int status)
{
    if (r->status != status)
        fail_msg("the status is %d, it should be %d:\n%s%s", r->status, status, r->head, r->body);
}

void assert_header(const struct response *r, const char *name, const char *value)
{
    const char *got = header(r, name);
    if (!got && !value)
        return;
    if (!got || !value || strcmp(got, value) != 0)
        fail_msg("%s is <%s>, it should be <%s>:\n%s", name, got ? got : "absent", value ? value : "absent", r->head);
}

void assert_problem(const struct response *r, int status, const char *type, const char *detail)
{
    char want[128];
    assert_status(r, status);
    assert_header(r, "Content-Type", "application/problem+json");
    (void)snprintf(want, sizeof want, "{\"type\":\"https://affinity.dev/problems/%s\",", type);
    if (strncmp(r->body, want, strlen(want)) != 0 || (detail && !strstr(r->body, detail)))
        fail_msg("this is not the problem %s (%s): %s", type, detail ? detail : "", r->body);
    if (status == 503) {
        assert_header(r, "Retry-After", "1");
        assert_header(r, "Affinity-Outcome", "not-applied");
    }
}
