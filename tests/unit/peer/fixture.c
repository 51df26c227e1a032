/* fixture.c - see fixture.h. */
#include "fixture.h"

#include "base/alloc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { PATIENCE_S = 20 };

/* ---- nodes ---- */

static void answer_echo(struct aff_peer_question *question)
{
    char head[8];
    aff_bytes parts[2] = { aff_bytes_of(head, (size_t)snprintf(head, sizeof head, "%u:", question->kind)),
                           question->body };
    aff_peer_answer(question, parts, 2);
}

static void serve(void *self, struct aff_peer_question *question)
{
    struct peer_node *node = self;
    node->served++;
    node->last_left_ns = question->deadline_ns - node->fixture->clock.now_ns;
    switch (node->manner) {
    case PEER_ECHOES:
        answer_echo(question);
        break;
    case PEER_HOLDS:
        assert_true(node->held_count < PEER_HELD_MAX);
        node->held[node->held_count++] = question;
        break;
    case PEER_REFUSES:
        aff_peer_refuse(question);
        break;
    }
}

static void must(int rc, const aff_error *err)
{
    if (rc)
        fail_msg("%s", err->text);
}

struct peer_node *peer_node_add(struct peer_fixture *f, const char *name, const struct aff_peers_opts *opts)
{
    assert_true(f->nodes_count < PEER_NODES_MAX);
    struct peer_node *node = &f->nodes[f->nodes_count++];
    aff_error err = { 0 };
    struct aff_loop_opts loop_opts = { .name = "peer", .clock = &f->clock.clock, .logger = &f->logger };
    struct aff_peers_opts peers_opts = opts ? *opts : (struct aff_peers_opts){ .cluster = "test", .features = 5 };

    node->fixture = f;
    (void)snprintf(node->member, sizeof node->member, "%.16s-0000000001", name);
    must(aff_loop_new(&loop_opts, &node->loop, &err), &err);
    peers_opts.loop = node->loop;
    peers_opts.tls = peers_opts.tls ? peers_opts.tls : f->tls;
    peers_opts.serve = serve;
    peers_opts.self = node;
    must(aff_peers_new(&peers_opts, &node->peers, &err), &err);
    aff_peers_name(node->peers, node->member);
    struct aff_peer_listener_opts listener_opts = {
        .host = "127.0.0.1", .loop = node->loop, .peers = &node->peers, .peers_count = 1
    };
    must(aff_peer_listener_new(&listener_opts, &node->listener, &err), &err);
    node->to = (struct aff_peer_to){ .member = node->member, .address = aff_peer_listener_address(node->listener) };
    return node;
}

static void issue(struct peer_fixture *f)
{
    struct certificate_files files;
    aff_error err = { 0 };
    f->ca = certificates_new();
    certificates_issue(f->ca, "node", 3600, &files);
    must(aff_peer_tls_new(files.certificate, files.key, files.ca, &f->tls, &err), &err);
}

struct peer_fixture *peer_fixture_new(bool tls)
{
    struct peer_fixture *f = aff_xcalloc(1, sizeof *f);
    aff_virtual_clock_init(&f->clock);
    assert_int_equal(pipe2(f->log_fds, O_CLOEXEC | O_NONBLOCK), 0);
    f->logger = (struct aff_logger){ .fd = f->log_fds[1], .level = AFF_LOG_DEBUG, .clock = &f->clock.clock };
    if (tls)
        issue(f);
    return f;
}

struct peer_fixture *peer_fixture_free(struct peer_fixture *f)
{
    for (size_t i = 0; i < f->nodes_count; i++) {
        struct peer_node *node = &f->nodes[i];
        node->listener = aff_peer_listener_free(node->listener);
        node->peers = aff_peers_free(node->peers);
        for (size_t k = 0; k < node->held_count; k++)
            aff_peer_refuse(node->held[k]);
        node->loop = aff_loop_free(node->loop);
    }
    (void)close(f->log_fds[0]);
    (void)close(f->log_fds[1]);
    f->tls = aff_peer_tls_free(f->tls);
    f->ca = certificates_free(f->ca);
    free(f);
    return NULL;
}

/* ---- running ---- */

static void read_log(struct peer_fixture *f)
{
    for (;;) {
        if (f->log_len > sizeof f->log / 2) { /* the older half goes */
            memmove(f->log, f->log + f->log_len / 2, f->log_len - f->log_len / 2);
            f->log_len -= f->log_len / 2;
        }
        ssize_t n = read(f->log_fds[0], f->log + f->log_len, sizeof f->log - 1 - f->log_len);
        if (n <= 0)
            return;
        f->log_len += (size_t)n;
        f->log[f->log_len] = '\0';
    }
}

void peer_run(struct peer_fixture *f, int passes)
{
    for (int i = 0; i < passes; i++)
        for (size_t k = 0; k < f->nodes_count; k++)
            assert_true(aff_loop_pass(f->nodes[k].loop, 0));
    read_log(f);
}

static void run_a_little(struct peer_fixture *f)
{
    for (size_t k = 0; k < f->nodes_count; k++)
        assert_true(aff_loop_pass(f->nodes[k].loop, AFF_NS_PER_MS / 5));
    read_log(f);
}

void peer_run_until(struct peer_fixture *f, bool (*done)(void *arg), void *arg, const char *what)
{
    time_t until = time(NULL) + PATIENCE_S;
    while (!done(arg)) {
        if (time(NULL) > until)
            fail_msg("waited in vain for: %s; the log says:\n%s", what, f->log);
        run_a_little(f);
    }
}

/* ---- asking ---- */

static void answered(struct aff_peer_call *call, int code, aff_bytes answer)
{
    struct peer_asked *asked = aff_container_of(call, struct peer_asked, call);
    asked->times++;
    asked->code = code;
    asked->answer_len = answer.len;
    size_t kept = answer.len < sizeof asked->answer ? answer.len : sizeof asked->answer - 1;
    memcpy(asked->answer, answer.data, kept);
    asked->answer[kept] = '\0';
}

void peer_ask_bytes(struct peer_node *from, const struct aff_peer_to *to, struct peer_asked *asked, aff_bytes body,
                    int64_t left_ns)
{
    *asked = (struct peer_asked){ .call = { .kind = 7, .answered = answered } };
    asked->call.deadline_ns = from->fixture->clock.now_ns + left_ns;
    aff_peers_call(from->peers, to, &asked->call, &body, 1);
    assert_int_equal(asked->times, 0); /* never inside the call */
}

void peer_ask(struct peer_node *from, const struct aff_peer_to *to, struct peer_asked *asked, const char *body)
{
    peer_ask_bytes(from, to, asked, aff_str(body), 30 * AFF_NS_PER_S);
}

struct many {
    struct peer_asked *asked;
    size_t count;
};

static bool all_answered(void *arg)
{
    const struct many *many = arg;
    for (size_t i = 0; i < many->count; i++)
        if (many->asked[i].times == 0)
            return false;
    return true;
}

void peer_run_until_answered(struct peer_fixture *f, struct peer_asked *asked, size_t count)
{
    struct many many = { asked, count };
    peer_run_until(f, all_answered, &many, "answers");
    for (size_t i = 0; i < count; i++)
        assert_int_equal(asked[i].times, 1);
}

void peer_expect(struct peer_node *from, const struct aff_peer_to *to, struct peer_asked *asked, const char *body,
                 int code)
{
    peer_ask(from, to, asked, body);
    peer_run_until_answered(from->fixture, asked, 1);
    if (asked->code != code)
        fail_msg("the question was answered %s, not %s; the log says:\n%s", aff_error_name(asked->code),
                 aff_error_name(code), from->fixture->log);
}

struct holding {
    struct peer_node *node;
    size_t count;
};

static bool holds(void *arg)
{
    const struct holding *holding = arg;
    return holding->node->held_count >= holding->count;
}

void peer_run_until_held(struct peer_node *node, size_t count)
{
    struct holding holding = { node, count };
    peer_run_until(node->fixture, holds, &holding, "questions to arrive");
}

struct line {
    struct peer_fixture *f;
    const char *text;
};

static bool is_logged(void *arg)
{
    const struct line *line = arg;
    return strstr(line->f->log, line->text) != NULL;
}

void peer_run_until_logged(struct peer_fixture *f, const char *text)
{
    struct line line = { f, text };
    peer_run_until(f, is_logged, &line, text);
}

bool peer_logged(struct peer_fixture *f, const char *text)
{
    read_log(f);
    bool found = strstr(f->log, text) != NULL;
    f->log_len = 0;
    f->log[0] = '\0';
    return found;
}

struct aff_peers_stats peer_stats_of(const struct peer_node *node)
{
    struct aff_peers_stats stats;
    aff_peers_stats(node->peers, &stats);
    return stats;
}

/* ---- a socket of the test ---- */

static void patient(int fd)
{
    struct timeval limit = { .tv_sec = PATIENCE_S };
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit), 0);
}

/* What is sent has arrived when the loops run next. */
static void at_once(int fd)
{
    int on = 1;
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
}

void peer_raw_listen(struct peer_raw *raw, int receive_buffer)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof address;
    raw->fd = -1;
    raw->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(raw->listener >= 0);
    if (receive_buffer)
        assert_int_equal(setsockopt(raw->listener, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer), 0);
    assert_int_equal(bind(raw->listener, (const struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(raw->listener, 16), 0);
    assert_int_equal(getsockname(raw->listener, (struct sockaddr *)&address, &len), 0);
    (void)snprintf(raw->address, sizeof raw->address, "127.0.0.1:%u", ntohs(address.sin_port));
    patient(raw->listener);
}

void peer_raw_accept(struct peer_raw *raw)
{
    raw->fd = accept4(raw->listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(raw->fd >= 0);
    patient(raw->fd);
    at_once(raw->fd);
}

void peer_raw_connect(struct peer_raw *raw, const char *address)
{
    const char *colon = strrchr(address, ':');
    assert_non_null(colon);
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                              .sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10)) };
    raw->listener = -1;
    raw->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(raw->fd >= 0);
    patient(raw->fd);
    assert_int_equal(connect(raw->fd, (const struct sockaddr *)&to, sizeof to), 0);
    at_once(raw->fd);
}

void peer_raw_close(struct peer_raw *raw)
{
    if (raw->fd >= 0)
        (void)close(raw->fd);
    if (raw->listener >= 0)
        (void)close(raw->listener);
    raw->fd = raw->listener = -1;
}

void peer_raw_send(struct peer_raw *raw, aff_bytes bytes)
{
    if (bytes.len)
        assert_int_equal(send(raw->fd, bytes.data, bytes.len, MSG_NOSIGNAL), bytes.len);
}

void peer_raw_send_frame(struct peer_raw *raw, const struct aff_frame *frame, aff_bytes body)
{
    unsigned char head[AFF_FRAME_QUESTION_HEAD];
    peer_raw_send(raw, aff_bytes_of(head, aff_frame_head(head, frame, body.len)));
    peer_raw_send(raw, body);
}

void peer_raw_hello(struct peer_raw *raw, const char *cluster, const char *member)
{
    struct aff_hello hello = { .version = AFF_PEER_VERSION, .oldest = 1 };
    struct aff_buf out;
    aff_buf_init(&out);
    (void)snprintf(hello.cluster, sizeof hello.cluster, "%s", cluster);
    (void)snprintf(hello.member, sizeof hello.member, "%s", member);
    assert_true(aff_hello_write(&hello, &out));
    peer_raw_send(raw, aff_buf_view(&out));
    aff_buf_fini(&out);
}

bool peer_raw_read(struct peer_raw *raw, struct aff_buf *into)
{
    for (;;) {
        assert_true(aff_buf_reserve(into, 64 * 1024));
        ssize_t n = recv(raw->fd, into->data + into->len, 64 * 1024, MSG_DONTWAIT);
        if (n <= 0)
            return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
        into->len += (size_t)n;
    }
}

struct reading {
    struct peer_raw *raw;
    struct aff_buf *from;
    struct aff_frame *frame;
    ssize_t size;
    bool open;
};

static bool has_frame(void *arg)
{
    struct reading *reading = arg;
    size_t size;
    const char *why = NULL;
    reading->open = peer_raw_read(reading->raw, reading->from);
    reading->size = aff_frame_read(aff_buf_view(reading->from), reading->frame, &size, &why);
    if (reading->size < 0)
        fail_msg("a node wrote what is no frame: %s", why);
    return reading->size > 0 || !reading->open;
}

ssize_t peer_raw_frame(struct peer_fixture *f, struct peer_raw *raw, struct aff_buf *from, struct aff_frame *ret_frame)
{
    struct reading reading = { .raw = raw, .from = from, .frame = ret_frame };
    peer_run_until(f, has_frame, &reading, "a frame from the node");
    if (reading.size == 0)
        fail_msg("the node closed the stream instead of sending a frame; the log says:\n%s", f->log);
    return reading.size;
}

void peer_raw_drop(struct aff_buf *from, size_t len)
{
    memmove(from->data, from->data + len, from->len - len);
    from->len -= len;
}

static bool is_closed(void *arg)
{
    struct aff_buf rest;
    aff_buf_init(&rest);
    bool open = peer_raw_read(arg, &rest);
    aff_buf_fini(&rest);
    return !open;
}

void peer_run_until_closed(struct peer_fixture *f, struct peer_raw *raw)
{
    peer_run_until(f, is_closed, raw, "the node to close the stream");
}
