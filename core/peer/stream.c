/*
 * stream.c - one connection between two nodes, from connect or accept to its end.
 *
 *   opened here:   CONNECTING -> SHAKING (TLS only) -> GREETING: sends HELLO, waits for one -> OPEN
 *   accepted:                    SHAKING (TLS only) -> GREETING: waits for HELLO, sends one -> OPEN
 *
 * Who opened a stream sends no question before it knows who answers: so nothing reaches a stranger, or another incarnation.
 * What is read goes into a buffer that the peers lend; a stream keeps it only while a frame in it is not whole.
 */
#include "peer/inner.h"

#include "base/alloc.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STRANGER_FRAME_MAX = 1024, KEPT_OUT = 256 * 1024, CUT_MS = 5000 };

/* ---- the socket ---- */

static void set_option(int fd, int level, int option, int value)
{
    (void)setsockopt(fd, level, option, &value, sizeof value);
}

/* A peer whose machine or cable is gone is noticed within seconds, also while nothing is asked. */
static void tune(int fd)
{
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, CUT_MS);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 2);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
}

static void address_of(int fd, char *out, size_t size)
{
    struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
    socklen_t len = sizeof address;
    char host[INET6_ADDRSTRLEN] = "?", port[8] = "?";
    if (getpeername(fd, (struct sockaddr *)&address, &len) == 0)
        (void)getnameinfo((const struct sockaddr *)&address, len, host, sizeof host, port, sizeof port,
                          NI_NUMERICHOST | NI_NUMERICSERV);
    (void)snprintf(out, size, address.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

/* ---- what epoll reports ---- */

static bool paused(const struct aff_peer_stream *s)
{
    return !s->outgoing && aff_peer_stream_unsent(s) > s->peers->opts.bytes / 2;
}

static uint32_t wanted_events(const struct aff_peer_stream *s)
{
    if (s->state == AFF_PEER_CONNECTING)
        return EPOLLOUT;
    if (s->state == AFF_PEER_SHAKING)
        return aff_tls_wants_write(s->tls) ? EPOLLOUT : EPOLLIN;
    return (paused(s) ? 0 : EPOLLIN) | (s->blocked ? EPOLLOUT : 0);
}

static void set_events(struct aff_peer_stream *s)
{
    uint32_t events = wanted_events(s);
    if (events == s->events)
        return;
    if (aff_loop_io_set(s->peers->opts.loop, &s->io, events) == 0)
        s->events = events;
    else
        s->failed = "epoll takes no more";
}

/* ---- what is to be written ---- */

size_t aff_peer_parts_len(const aff_bytes *parts, size_t count)
{
    size_t len = 0;
    for (size_t i = 0; i < count; i++)
        len += parts[i].len;
    return len;
}

/* What was written already makes room, when that is worth the copy. */
static bool make_room(struct aff_peer_stream *s, size_t more)
{
    if (s->out.capacity - s->out.len < more && s->head > 0 && s->head >= s->out.len - s->head) {
        memmove(s->out.data, s->out.data + s->head, s->out.len - s->head);
        s->out.len -= s->head;
        s->head = 0;
    }
    return aff_buf_reserve(&s->out, more);
}

bool aff_peer_stream_add(struct aff_peer_stream *s, const struct aff_frame *frame, const aff_bytes *parts,
                         size_t parts_count)
{
    size_t len = aff_peer_parts_len(parts, parts_count);
    if (!make_room(s, AFF_FRAME_QUESTION_HEAD + len))
        return false;
    s->out.len += aff_frame_head(s->out.data + s->out.len, frame, len);
    for (size_t i = 0; i < parts_count; i++)
        if (parts[i].len) {
            memcpy(s->out.data + s->out.len, parts[i].data, parts[i].len);
            s->out.len += parts[i].len;
        }
    aff_peers_touch(s->peers, s);
    return true;
}

/* A frame without a body, of which there are few. */
static void add_plain(struct aff_peer_stream *s, enum aff_frame_type type)
{
    struct aff_frame frame = { .type = (uint8_t)type };
    if (!aff_peer_stream_add(s, &frame, NULL, 0))
        s->failed = "there is no memory for what is to be written";
}

void aff_peer_stream_goodbye(struct aff_peer_stream *s)
{
    if (s->outgoing || s->retired || s->state != AFF_PEER_OPEN)
        return;
    s->retired = true;
    add_plain(s, AFF_FRAME_GOODBYE);
}

unsigned char *aff_peer_stream_unsent_frame(struct aff_peer_stream *s, uint64_t end, size_t size)
{
    uint64_t start = end - size, left = s->sent + (s->tls ? aff_tls_under_way(s->tls) : 0);
    return start >= left ? s->out.data + s->head + (start - s->sent) : NULL;
}

static void wrote(struct aff_peer_stream *s, size_t len)
{
    s->head += len;
    s->sent += len;
    aff_peers_count(&s->peers->bytes_out, len);
    if (s->head < s->out.len)
        return;
    s->head = s->out.len = 0;
    if (s->out.capacity > KEPT_OUT)
        aff_buf_fini(&s->out);
}

/* How many bytes the socket took; 0: none now, or it failed. */
static size_t send_some(struct aff_peer_stream *s, const unsigned char *data, size_t len)
{
    ssize_t n = s->tls ? aff_tls_send(s->tls, data, len) : send(s->io.fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0)
        return (size_t)n;
    if (s->tls && n < 0)
        s->failed = aff_tls_why(s->tls);
    else if (s->tls || errno == EAGAIN || errno == EWOULDBLOCK)
        s->blocked = true;
    else if (errno != EINTR)
        s->failed = strerror(errno);
    return 0;
}

/* As much as the socket takes. */
static void write_out(struct aff_peer_stream *s)
{
    while (!s->blocked && !s->failed) {
        uint64_t allowed = s->may_send - s->sent;
        size_t len = aff_peer_stream_unsent(s);
        if (len > allowed)
            len = (size_t)allowed;
        if (len == 0)
            return;
        size_t n = send_some(s, s->out.data + s->head, len);
        if (n > 0)
            wrote(s, n);
    }
}

/* ---- beginning ---- */

/* NULL when there is no memory; the descriptor is then closed. */
static struct aff_peer_stream *new_stream(struct aff_peers *peers, int fd, bool outgoing)
{
    struct aff_tls_session *tls = peers->opts.tls ? aff_tls_open(peers->opts.tls->tls, fd, !outgoing) : NULL;
    if (peers->opts.tls && !tls) {
        (void)close(fd);
        return NULL;
    }
    struct aff_peer_stream *s = aff_xcalloc(1, sizeof *s);
    s->tls = tls;
    s->peers = peers;
    s->io.fd = fd;
    s->outgoing = outgoing;
    s->since_ns = s->heard_ns = s->pinged_ns = aff_loop_now(peers->opts.loop);
    aff_buf_init(&s->in);
    aff_buf_init(&s->out);
    aff_map_init(&s->calls, peers->seed);
    aff_list_init(&s->waiting);
    aff_list_init(&s->serving);
    aff_list_init(&s->touched);
    aff_list_init(&s->fenced);
    aff_list_append(&peers->streams, &s->link);
    aff_peers_count(&peers->streams_open, 1);
    *(outgoing ? &peers->outgoing : &peers->incoming) += 1;
    peers->strangers += !outgoing;
    aff_peers_tick(peers);
    return s;
}

static struct aff_hello own_hello(const struct aff_peers *peers)
{
    struct aff_hello hello = { .version = AFF_PEER_VERSION, .oldest = 1, .features = peers->opts.features };
    (void)snprintf(hello.cluster, sizeof hello.cluster, "%s", peers->cluster);
    (void)snprintf(hello.member, sizeof hello.member, "%s", peers->member);
    return hello;
}

static bool add_hello(struct aff_peer_stream *s)
{
    struct aff_hello hello = own_hello(s->peers);
    if (s->outgoing)
        aff_peer_fence_fill(s, &hello.fence);
    aff_peers_touch(s->peers, s);
    return aff_hello_write(&hello, &s->out);
}

/* The transport stands: HELLO may leave, and nothing else yet. */
static void greet(struct aff_peer_stream *s)
{
    s->state = AFF_PEER_GREETING;
    s->heard_ns = aff_loop_now(s->peers->opts.loop);
    if (!s->outgoing)
        return;
    s->may_send = aff_get_u32(s->out.data) + 4;
    aff_peers_touch(s->peers, s);
}

static const char *turn_away(struct aff_peer_stream *s, const char *why)
{
    struct aff_frame frame = { .type = AFF_FRAME_TURN_AWAY };
    aff_bytes text = aff_str(why);
    if (!s->outgoing && aff_peer_stream_add(s, &frame, &text, 1)) {
        s->may_send = UINT64_MAX;
        write_out(s);
    }
    return why;
}

/* NULL when the other side may be talked to. */
static const char *judge(const struct aff_peer_stream *s, const struct aff_hello *theirs)
{
    struct aff_hello ours = own_hello(s->peers);
    if (strcmp(theirs->cluster, ours.cluster) != 0)
        return "the nodes are of different clusters";
    if (aff_hello_version(&ours, theirs) == 0)
        return "the nodes have no version of the frames in common";
    if (s->outgoing && strcmp(theirs->member, s->member) != 0)
        return "another incarnation or node answers at this address";
    if (!s->outgoing && ours.member[0] == '\0')
        return "this node has not joined its cluster yet";
    if (!s->outgoing && s->peers->draining)
        return "this node is being drained";
    return NULL;
}

static void open_for_questions(struct aff_peer_stream *s)
{
    s->state = AFF_PEER_OPEN;
    s->may_send = UINT64_MAX;
    aff_log(aff_loop_logger(s->peers->opts.loop), INFO, "peer.open", aff_f_str("member", s->member),
            aff_f_str("address", s->address), aff_f_str("opened-by", s->outgoing ? "us" : "them"));
}

static const char *hello_came(struct aff_peer_stream *s, const struct aff_frame *frame)
{
    struct aff_hello theirs;
    const char *why = s->greeted ? "HELLO came twice" : aff_hello_read(frame->body, &theirs);
    if (!why)
        why = judge(s, &theirs);
    if (why)
        return turn_away(s, why);
    s->greeted = true;
    s->features = theirs.features;
    if (s->outgoing) {
        open_for_questions(s);
        return aff_peer_ask_opened(s, &theirs);
    }
    (void)snprintf(s->member, sizeof s->member, "%s", theirs.member);
    s->fence = theirs.fence;
    return aff_peer_fence_raise(s);
}

const char *aff_peer_stream_welcome(struct aff_peer_stream *s)
{
    if (s->peers->draining) /* since HELLO came */
        return turn_away(s, "this node is being drained");
    s->peers->strangers--;
    open_for_questions(s);
    return add_hello(s) ? NULL : "there is no memory for HELLO";
}

static const char *turned_away(struct aff_peer_stream *s, const struct aff_frame *frame)
{
    aff_bytes text = frame->body;
    aff_log(aff_loop_logger(s->peers->opts.loop), WARN, "peer.turned-away", aff_f_str("member", s->member),
            aff_f_str("address", s->address), aff_f_bytes("reason", text));
    return "the other side turned us away";
}

static const char *ping_came(struct aff_peer_stream *s, const struct aff_frame *frame)
{
    (void)frame;
    add_plain(s, AFF_FRAME_PONG);
    return NULL;
}

static const char *nothing(struct aff_peer_stream *s, const struct aff_frame *frame)
{
    (void)s;
    (void)frame;
    return NULL;
}

/* ---- reading ---- */

enum { BY_OPENER = 1, BY_ACCEPTER = 2, BY_BOTH = 3 };

/* Who may send what, in which state of the stream. */
static const struct {
    const char *(*came)(struct aff_peer_stream *, const struct aff_frame *);
    unsigned char by;
    enum aff_peer_state state;
} frames[AFF_FRAME_TYPES] = {
    [AFF_FRAME_HELLO] = { hello_came, BY_BOTH, AFF_PEER_GREETING },
    [AFF_FRAME_QUESTION] = { aff_peer_serve_question, BY_OPENER, AFF_PEER_OPEN },
    [AFF_FRAME_ANSWER] = { aff_peer_ask_answer, BY_ACCEPTER, AFF_PEER_OPEN },
    [AFF_FRAME_REFUSED] = { aff_peer_ask_refused, BY_ACCEPTER, AFF_PEER_OPEN },
    [AFF_FRAME_GOODBYE] = { aff_peer_ask_goodbye, BY_ACCEPTER, AFF_PEER_OPEN },
    [AFF_FRAME_PING] = { ping_came, BY_BOTH, AFF_PEER_OPEN },
    [AFF_FRAME_PONG] = { nothing, BY_BOTH, AFF_PEER_OPEN },
    [AFF_FRAME_VOID] = { nothing, BY_OPENER, AFF_PEER_OPEN },
    [AFF_FRAME_TURN_AWAY] = { turned_away, BY_ACCEPTER, AFF_PEER_GREETING },
};

static const char *dispatch(struct aff_peer_stream *s, const struct aff_frame *frame)
{
    unsigned char by = s->outgoing ? BY_ACCEPTER : BY_OPENER;
    if (!(frames[frame->type].by & by) || frames[frame->type].state != s->state)
        return "a frame came that has no place here";
    return frames[frame->type].came(s, frame);
}

static bool begins_with_tls(const struct aff_buf *in)
{
    return in->len >= 2 && in->data[0] == 0x16 && in->data[1] == 0x03; /* a handshake record of any version */
}

/* Takes the whole frames out of the buffer. *ret_size: what the first one that is not whole will have, 0: unknown. */
static const char *take_frames(struct aff_peer_stream *s, size_t *ret_size)
{
    size_t done = 0;
    for (;;) {
        struct aff_frame frame;
        const char *why = NULL;
        ssize_t n = aff_frame_read(aff_bytes_of(s->in.data + done, s->in.len - done), &frame, ret_size, &why);
        if (s->state != AFF_PEER_OPEN && begins_with_tls(&s->in))
            return "it speaks TLS, and this node plain TCP (peers.tls)";
        if (n < 0)
            return why;
        if (s->state != AFF_PEER_OPEN && *ret_size > STRANGER_FRAME_MAX)
            return "the first frame is longer than any HELLO";
        if (n == 0)
            break;
        done += (size_t)n;
        why = dispatch(s, &frame);
        if (why || s->failed)
            return why ? why : s->failed;
    }
    if (done > 0 && done < s->in.len)
        memmove(s->in.data, s->in.data + done, s->in.len - done);
    s->in.len -= done;
    return NULL;
}

static bool borrow_buffer(struct aff_peer_stream *s)
{
    if (!s->in.data) {
        s->in = s->peers->spare_in;
        aff_buf_init(&s->peers->spare_in);
    }
    size_t capacity = s->in.capacity < AFF_PEER_READ_SIZE ? AFF_PEER_READ_SIZE : s->in.capacity;
    return aff_buf_reserve(&s->in, capacity - s->in.len);
}

static void return_buffer(struct aff_peer_stream *s)
{
    if (s->in.len > 0)
        return;
    if (!s->peers->spare_in.data && s->in.capacity <= AFF_PEER_READ_SIZE) {
        s->peers->spare_in = s->in;
        aff_buf_init(&s->in);
    } else {
        aff_buf_fini(&s->in);
    }
}

/* Bytes; 0: no more now; negative: *ret_why. */
static ssize_t receive_some(struct aff_peer_stream *s, const char **ret_why)
{
    unsigned char *to = s->in.data + s->in.len;
    size_t room = s->in.capacity - s->in.len;
    ssize_t n = s->tls ? aff_tls_recv(s->tls, to, room) : recv(s->io.fd, to, room, MSG_DONTWAIT);
    if (n > 0 || (s->tls && n == 0))
        return n;
    if (s->tls)
        *ret_why = aff_tls_why(s->tls);
    else if (n == 0)
        *ret_why = "the other side closed it";
    else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
        return 0;
    else
        *ret_why = strerror(errno);
    return -1;
}

/* One piece of what came; false when there was none, or it failed: *ret_why. */
static bool read_some(struct aff_peer_stream *s, const char **ret_why)
{
    size_t size = 0;
    if (!borrow_buffer(s)) {
        *ret_why = "there is no memory to read into";
        return false;
    }
    ssize_t n = receive_some(s, ret_why);
    if (n <= 0)
        return false;
    s->in.len += (size_t)n;
    s->heard_ns = aff_loop_now(s->peers->opts.loop);
    aff_peers_count(&s->peers->bytes_in, (uint64_t)n);
    *ret_why = take_frames(s, &size);
    if (!*ret_why && size > s->in.capacity && !aff_buf_reserve(&s->in, size - s->in.len))
        *ret_why = "there is no memory for a frame";
    return !*ret_why;
}

/* Under TLS a record at a time, until what one recv() brought is used up: epoll does not know of the rest. */
static void read_in(struct aff_peer_stream *s)
{
    const char *why = NULL;
    while (read_some(s, &why) && s->tls)
        continue;
    if (why)
        aff_peer_stream_close(s, why);
    else
        return_buffer(s);
}

/* ---- events ---- */

static void shake(struct aff_peer_stream *s)
{
    int rc = aff_tls_handshake(s->tls);
    if (rc < 0) {
        aff_peer_stream_close(s, aff_tls_why(s->tls));
        return;
    }
    if (rc == 0) {
        aff_peers_touch(s->peers, s); /* it may wait for something else now */
        return;
    }
    greet(s);
    read_in(s); /* what came with the end of the handshake */
}

/* The socket is connected: now TLS, or HELLO at once. */
static void begin(struct aff_peer_stream *s)
{
    if (!s->tls) {
        greet(s);
        return;
    }
    s->state = AFF_PEER_SHAKING;
    shake(s);
}

static void connected(struct aff_peer_stream *s)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(s->io.fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    if (error)
        aff_peer_stream_close(s, strerror(error));
    else
        begin(s);
}

static void ready(struct aff_io *io, uint32_t epoll_events)
{
    struct aff_peer_stream *s = aff_container_of(io, struct aff_peer_stream, io);
    if (s->state == AFF_PEER_CONNECTING) {
        connected(s);
        return;
    }
    if (s->state == AFF_PEER_SHAKING) {
        shake(s);
        return;
    }
    if (epoll_events & EPOLLOUT) {
        s->blocked = false;
        aff_peers_touch(s->peers, s);
    }
    if (epoll_events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        read_in(s);
}

/* ---- opening and accepting ---- */

/* "host:port" or "[host]:port", of numbers: a loop does not wait for names to be resolved. */
static const char *parse_address(const char *text, struct sockaddr_storage *ret_address, socklen_t *ret_len)
{
    char host[256];
    const char *colon = strrchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : 0;
    if (len >= 2 && text[0] == '[' && colon[-1] == ']') {
        text++;
        len -= 2;
    }
    if (len == 0 || len >= sizeof host)
        return "the address is not host:port";
    memcpy(host, text, len);
    host[len] = '\0';
    const struct addrinfo hints = { .ai_family = AF_UNSPEC,
                                    .ai_socktype = SOCK_STREAM,
                                    .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };
    struct addrinfo *found = NULL;
    if (getaddrinfo(host, colon + 1, &hints, &found) != 0)
        return "the address is not numbers: an IP address and a port";
    memcpy(ret_address, found->ai_addr, found->ai_addrlen);
    *ret_len = found->ai_addrlen;
    freeaddrinfo(found);
    return NULL;
}

static const char *begin_to_connect(const char *to, int *ret_fd)
{
    struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
    socklen_t len = 0;
    const char *why = parse_address(to, &address, &len);
    if (why)
        return why;
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return strerror(errno);
    tune(fd);
    if (connect(fd, (const struct sockaddr *)&address, len) != 0 && errno != EINPROGRESS) {
        why = strerror(errno);
        (void)close(fd);
        return why;
    }
    *ret_fd = fd;
    return NULL;
}

struct aff_peer_stream *aff_peer_stream_open(struct aff_peers *peers, const struct aff_peer_to *to,
                                             const char **ret_why)
{
    int fd = -1;
    *ret_why = begin_to_connect(to->address, &fd);
    if (*ret_why)
        return NULL;
    struct aff_peer_stream *s = new_stream(peers, fd, true);
    if (!s) {
        *ret_why = "there is no memory for TLS";
        return NULL;
    }
    s->io.ready = ready;
    s->fence.stream = ++peers->last_stream;
    s->state = AFF_PEER_CONNECTING;
    s->events = EPOLLOUT;
    (void)snprintf(s->member, sizeof s->member, "%s", to->member);
    (void)snprintf(s->address, sizeof s->address, "%.*s", (int)sizeof s->address - 1, to->address);
    if (aff_loop_io_add(peers->opts.loop, &s->io, s->events) != 0) {
        *ret_why = "epoll takes no more";
        s->io.ready = NULL;
    } else if (!add_hello(s)) {
        *ret_why = "there is no memory for HELLO";
    }
    if (!*ret_why)
        return s;
    aff_peer_stream_close(s, NULL);
    return NULL;
}

void aff_peer_stream_accept(struct aff_peers *peers, int fd)
{
    const char *why = NULL;
    if (peers->closing)
        why = "this node is closing";
    else if (peers->incoming >= AFF_PEER_STREAMS_MAX || peers->strangers >= AFF_PEER_STRANGERS_MAX)
        why = "there are as many streams as there may be";
    if (why) {
        char address[80];
        address_of(fd, address, sizeof address);
        aff_log(aff_loop_logger(peers->opts.loop), WARN, "peer.refused", aff_f_str("address", address),
                aff_f_str("reason", why));
        (void)close(fd);
        return;
    }
    tune(fd);
    struct aff_peer_stream *s = new_stream(peers, fd, false);
    if (!s)
        return;
    address_of(fd, s->address, sizeof s->address);
    s->events = EPOLLIN;
    if (aff_loop_io_add(peers->opts.loop, &s->io, s->events) != 0) {
        aff_peer_stream_close(s, "epoll takes no more");
        return;
    }
    s->io.ready = ready;
    begin(s);
}

/* ---- the end ---- */

static void log_end(const struct aff_peer_stream *s, const char *why)
{
    const struct aff_logger *logger = aff_loop_logger(s->peers->opts.loop);
    const char *by = s->outgoing ? "us" : "them";
    if (!why)
        aff_log(logger, INFO, "peer.close", aff_f_str("member", s->member), aff_f_str("address", s->address),
                aff_f_str("opened-by", by));
    else
        aff_log(logger, WARN, "peer.broken", aff_f_str("member", s->member), aff_f_str("address", s->address),
                aff_f_str("opened-by", by), aff_f_str("reason", why),
                aff_f_int("questions", s->outgoing ? s->waiting_count : s->serving_count));
}

void aff_peer_stream_close(struct aff_peer_stream *s, const char *why)
{
    struct aff_peers *peers = s->peers;
    log_end(s, why);
    if (why)
        aff_peers_count(&peers->broken, 1);
    if (s->io.ready)
        aff_loop_io_remove(peers->opts.loop, &s->io);
    (void)aff_tls_close(s->tls);
    (void)close(s->io.fd);
    peers->strangers -= !s->outgoing && s->state != AFF_PEER_OPEN;
    *(s->outgoing ? &peers->outgoing : &peers->incoming) -= 1;
    atomic_fetch_sub_explicit(&peers->streams_open, 1, memory_order_relaxed);
    aff_peer_ask_broken(s);
    aff_peer_serve_broken(s);
    aff_peer_fence_broken(s);
    aff_list_remove(&s->link);
    aff_list_remove(&s->touched);
    aff_map_fini(&s->calls);
    s->in.len = 0;
    return_buffer(s);
    aff_buf_fini(&s->in);
    aff_buf_fini(&s->out);
    free(s);
}

void aff_peer_stream_settle(struct aff_peer_stream *s)
{
    if (s->state >= AFF_PEER_GREETING)
        write_out(s);
    if (!s->failed)
        set_events(s);
    if (s->failed)
        aff_peer_stream_close(s, s->failed);
    else if (s->outgoing && s->retired && s->waiting_count == 0)
        aff_peer_stream_close(s, NULL);
}

/* ---- by the clock ---- */

static bool tick_opening(struct aff_peer_stream *s, int64_t now_ns)
{
    int64_t limit = s->outgoing ? AFF_PEER_OPEN_MS : AFF_PEER_HELLO_MS;
    if (now_ns - s->since_ns < limit * AFF_NS_PER_MS)
        return true;
    aff_peer_stream_close(s, s->state == AFF_PEER_CONNECTING ? "it did not connect in time" : "no HELLO came in time");
    return false;
}

bool aff_peer_stream_tick(struct aff_peer_stream *s, int64_t now_ns)
{
    if (s->state != AFF_PEER_OPEN)
        return tick_opening(s, now_ns);
    if (!s->outgoing || s->waiting_count == 0)
        return false;
    int64_t silence_ms = (now_ns - s->heard_ns) / AFF_NS_PER_MS;
    if (silence_ms >= AFF_PEER_SILENCE_MS) {
        aff_peer_stream_close(s, "nothing was heard for 4 s while questions wait");
        return false;
    }
    if (silence_ms >= AFF_PEER_PING_MS && s->pinged_ns <= s->heard_ns) {
        s->pinged_ns = now_ns;
        add_plain(s, AFF_FRAME_PING);
    }
    return true;
}
