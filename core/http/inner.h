/*
 * inner.h - the insides of the server, shared by the files of this folder alone.
 *
 *   server.c      the daemon, its callbacks, the loop's hook
 *   listener.c    accepting, and the hand-over to loops        gate.c      what all loops share, with quota.c
 *   connection.c  a client connection: its deadlines, answers without libmicrohttpd
 *   linger.c      sockets that are read for a while after our last word
 *   exchange.c    a request from its first byte to its answer
 *   routes.c      which paths and methods there are
 *   answer.c      responses                                    kept.h      those that can be sent again
 *   coding.c      responses that gzip makes smaller            cors.h      what pages of other origins may
 *   value.c       GET, PUT, DELETE of a value                  write.c     what writes and commands have in common
 *   patch.c       PATCH of a value
 *   command.c     the application's commands                   stream.c    answers of any length
 *   scan.c        GET of a keyspace                          bulk.c      POST of a keyspace: many writes in one request
 *   outcome.c     /outcome/{id}                                admin.c     /livez and the like
 *   document.c    /openapi.json, /docs
 *   stats.c       counters
 *
 * All of it belongs to its loop's thread, but the gate, and the counters that others read.
 */
#ifndef AFF_HTTP_INNER_H
#define AFF_HTTP_INNER_H

#include "base/gzip.h"
#include "http/conditional.h"
#include "http/cors.h"
#include "http/gate.h"
#include "http/guard.h"
#include "http/headers.h"
#include "http/kept.h"
#include "http/linger.h"
#include "http/negotiate.h"
#include "http/problem.h"
#include "http/server.h"
#include "http/stats.h"
#include "http/target.h"
#include "http/trace.h"
#include "router/inquiry.h"
#include "router/later.h"
#include "router/standby.h"

#include <microhttpd.h>

struct aff_exchange;
struct aff_listing;
struct aff_bulk;

/* ---- the server of a loop ---- */

enum { AFF_GZIP_LENGTHS = 1024 };

/* Of a version that was coded; a 304 and a HEAD tell it. */
struct aff_gzip_length {
    const struct aff_space *space; /* NULL: the place is free */
    struct aff_etag tag;
    uint64_t length;
};

struct aff_http {
    struct aff_http_opts opts;
    struct MHD_Daemon *daemon;
    size_t memory;       /* that the daemon has for a connection */
    struct aff_io epoll; /* the daemon's, in the loop's */
    struct aff_hook hook;
    struct aff_timer wake;  /* so that the loop does not sleep when `due` was set after the hook ran */
    struct aff_timer nudge; /* see server.c */
    bool due;               /* the daemon must run */
    bool running;           /* it does */
    bool nudged;            /* the timer is set */
    bool leaving; /* every answer is the last on its connection; else all is as ever */
    bool draining, stopped;
    unsigned progress;         /* counts what the daemon has to run again for */
    unsigned vain;             /* runs in a row that the daemon asked for, and in which nothing happened */
    unsigned waiting;          /* exchanges whose handler is called in each run */
    int64_t garbled_at;        /* when libmicrohttpd answered last what was no request */
    struct aff_list conns;     /* struct aff_conn */
    struct aff_list heads;     /* those of them with half a head */
    struct aff_list lingering; /* those that libmicrohttpd has closed */
    struct aff_list exchanges; /* all that are alive */
    struct aff_list pool;      /* and some that are not */
    unsigned pooled;
    struct aff_conn *adopted; /* during MHD_add_connection() */
    struct aff_http_stats stats;
    struct aff_kept kept[AFF_KEPT_PLACES];
    struct aff_kept_document openapi, docs;
    struct aff_quota *quota; /* the gate's; NULL: off */
    struct aff_cors cors;
    struct aff_trace_source traces;
    int64_t failures_since; /* when the second began in which failures are logged */
    unsigned failures, failures_left_out;
    struct aff_gzip *gzip; /* made when it is first wanted */
    struct aff_gzip_length gzip_lengths[AFF_GZIP_LENGTHS];
};

/* The daemon has something to do; from anywhere on the loop. */
void aff_http_due(struct aff_http *http);

/* ---- connection.c ---- */

enum aff_phase {
    AFF_PHASE_IDLE, /* between requests */
    AFF_PHASE_HEAD, /* its request line is there */
    AFF_PHASE_BODY,
    AFF_PHASE_WAITING, /* for a partition */
    AFF_PHASE_SENDING,
    AFF_PHASE_STREAMING, /* an answer of any length */
};

struct aff_conn {
    struct aff_msg msg; /* from the listener */
    struct aff_http *http;
    struct aff_list link; /* on conns or lingering */
    struct aff_list head; /* on heads while the head is under way */
    struct aff_gate_pass pass;
    struct sockaddr_storage address;
    socklen_t address_len;
    int fd;
    struct aff_exchange *exchange; /* of the request under way; NULL: none */
    enum aff_phase phase;
    int64_t since;  /* when the phase began */
    int64_t due;    /* when it must have ended */
    int64_t armed;  /* when the timer fires; not later than `due` */
    uint64_t taken; /* bytes that the client had acknowledged when its stream was looked at last */
    struct aff_timer timer;
    struct aff_io end; /* tells when the client has sent all that it will */
    bool watched;      /* for that */
    bool ended;        /* it has */
    bool first;        /* no request has come yet */
    bool doomed;       /* we have said our last word: nothing of it is handled any more */
    bool silent;       /* it is closed without a word: do not linger */
    bool whole;        /* the last request was read to its end */
    struct aff_linger linger;
};

/* By the listener: the loop's thread takes the connection over. */
struct aff_conn *aff_conn_new(struct aff_http *http, int fd, const struct sockaddr *address, socklen_t len);
struct aff_conn *aff_conn_free(struct aff_conn *conn); /* closes the socket, gives the gate's pass back; returns NULL */
void aff_conn_adopt(struct aff_conn *conn);            /* on the loop's thread */
void aff_conn_started(struct aff_conn *conn);          /* libmicrohttpd has it */
void aff_conn_closed(struct aff_conn *conn);           /* libmicrohttpd is about to close the socket */
/* A phase begins; it must end within `timeout_ms`. */
void aff_conn_enter(struct aff_conn *conn, enum aff_phase phase, int64_t timeout_ms);
void aff_conn_send(struct aff_conn *conn, uint64_t length); /* an answer of that length */
void aff_conn_stream(struct aff_conn *conn);                /* one of any length */
void aff_conn_expect(struct aff_conn *conn, int64_t due);   /* the present phase ends at another time */
/* Sends a problem past libmicrohttpd and takes nothing more. Only while no response is under way. */
void aff_conn_refuse(struct aff_conn *conn, int code, const char *detail);
void aff_conn_cut(struct aff_conn *conn); /* ends it without a word */

/* ---- exchange.c ---- */

enum aff_method { AFF_GET, AFF_HEAD, AFF_PUT, AFF_PATCH, AFF_POST, AFF_DELETE, AFF_OPTIONS, AFF_METHOD_OTHER, AFF_METHODS };

/* What of the request has a part in which answer it gets: Vary. */
enum { AFF_VARIES_TYPE = 1, AFF_VARIES_CODING = 2, AFF_VARIES_ORIGIN = 4 };

enum aff_exchange_state {
    AFF_EXCHANGE_HEAD,     /* before the first call of the handler */
    AFF_EXCHANGE_BODY,     /* the body is read, or there is none; the last call is to come */
    AFF_EXCHANGE_WAITING,  /* a call is under way, or its answer was not yet taken */
    AFF_EXCHANGE_ANSWERED, /* the response is libmicrohttpd's */
};

enum { AFF_TARGET_INLINE = 320, AFF_DETAIL_MAX = 384, AFF_TYPE_MAX = 255 };

struct aff_exchange {
    struct aff_list link;
    struct aff_http *http;
    struct aff_conn *conn; /* NULL: the client has gone, what is under way comes back to nobody */
    struct MHD_Connection *mhd;
    enum aff_exchange_state state;
    int64_t deadline; /* of the answer, monotonic */
    int64_t submitted_at;
    bool away;  /* a call or inquiry has not been released */
    bool ready; /* the handler has something to do */
    bool suspended;
    bool discards; /* the body is not kept */
    bool failed;   /* no answer could be made: the connection is closed */
    bool warned;   /* its deadline has passed, we looked once */
    bool overdue;  /* answered by its deadline here */
    bool writes;   /* what is under way may change something */

    /* the request */
    char *raw; /* the target as it was sent; behind it as much room for decoding */
    size_t raw_len;
    char raw_inline[2 * AFF_TARGET_INLINE];
    enum aff_method method;
    struct aff_guard guard;
    size_t noted; /* bytes of its memory that libmicrohttpd needed for the fields */
    struct aff_headers headers;
    struct aff_target target;
    const struct aff_route *route;
    const struct aff_verb *verb;
    const struct aff_space *space;
    const aff_command *command;
    aff_bytes key;
    enum aff_return prefer;
    enum aff_coding coding;           /* of the answer */
    unsigned varies;                  /* AFF_VARIES_... */
    struct aff_wanted_consistency consistency; /* of a read */
    struct aff_etags match, none_match;
    bool is_json;
    uint64_t body_max;
    struct aff_buf body;
    struct aff_quota_pass pass;
    uint64_t charged; /* bytes of the gate's budget */
    char content_type[AFF_TYPE_MAX + 1];
    char traceparent[AFF_TRACE_LEN + 1]; /* what came, or was put in its place; empty: none yet */

    /* under way */
    struct aff_command_op op;
    struct aff_inquiry inquiry;
    struct aff_listing *listing;            /* of a scan; freed with the exchange */
    struct aff_bulk *bulk;                  /* of a bulk write; freed with the exchange */
    void (*answer)(struct aff_exchange *x); /* when the call was answered: makes the response */
    void (*resume)(struct aff_exchange *x); /* when it was released; in the handler */
    void (*over)(struct aff_exchange *x);   /* when the client has its answer, or has gone; may be NULL */

    /* the answer */
    int64_t retry_after_s; /* with a 429 */
    const char *accepts;   /* with a 415: the media types that are right */
    int refused;           /* code of a problem that was found before the request was carried out; 0: none */
    char detail[AFF_DETAIL_MAX];
    int status;
    uint64_t response_len;
    struct MHD_Response *response; /* until it is queued */
    bool response_kept;            /* it is one of kept.h */
    struct aff_kept *pinned;       /* the place that the response is of; NULL: it is of none */
    bool streams;                  /* its length is not known */
};

struct aff_exchange *aff_exchange_new(struct aff_http *http, struct aff_conn *conn, struct MHD_Connection *mhd,
                                      const char *target);
/* The request is over for libmicrohttpd. The exchange lives on while a call is under way. */
void aff_exchange_over(struct aff_exchange *x, bool answered);
void aff_exchange_free(struct aff_exchange *x); /* at the end of the server; calls come back no more */
/* The handler: first call, parts of the body, last call and any number after it. */
enum MHD_Result aff_exchange_step(struct aff_exchange *x, const char *method, const char *version, const char *upload,
                                  size_t *upload_len);
void aff_exchange_resume(struct aff_exchange *x);  /* it is suspended */
bool aff_exchange_overdue(struct aff_exchange *x); /* false: not yet, or not any more */

static inline bool aff_reads(const struct aff_exchange *x)
{
    return x->method == AFF_GET || x->method == AFF_HEAD;
}

/* Notes why the request is not carried out; the first reason stays. */
void aff_refuse(struct aff_exchange *x, int code, const char *format, ...) AFF_PRINTF(3, 4);
static inline bool aff_refused(const struct aff_exchange *x)
{
    return x->refused != 0;
}

/* x->op is filled: sends it. `answer` makes the response as soon as the answer is there. */
void aff_exchange_call(struct aff_exchange *x, void (*answer)(struct aff_exchange *x));
/* Reads x->key strictly, wherever it is led; `answer` makes the response from x->op.call.found, unless there was a failure. */
void aff_exchange_read(struct aff_exchange *x, void (*answer)(struct aff_exchange *x));
void aff_exchange_inquire(struct aff_exchange *x, void (*answer)(struct aff_exchange *x));
/* Runs a command that asks others; `answer` makes the response from x->op.call.op.result. `opts` is filled but for what is said here. */
int aff_exchange_later(struct aff_exchange *x, struct aff_later_opts *opts, void (*answer)(struct aff_exchange *x));
/* Waits for aff_exchange_wake(), then `resume` in the handler. Nothing of ours is under way elsewhere. */
void aff_exchange_await(struct aff_exchange *x, void (*resume)(struct aff_exchange *x));
/* In the reader of a streamed answer: there is nothing to send before aff_exchange_wake(). */
void aff_exchange_pause(struct aff_exchange *x);
void aff_exchange_wake(struct aff_exchange *x);
/* Whoever set x->away: what was under way has come back. The exchange may be gone afterwards. */
void aff_exchange_home(struct aff_exchange *x);

/* ---- answer.c: each makes x->response, or sets x->failed ---- */

void aff_answer(struct aff_exchange *x, int status, aff_bytes body); /* copied */
/* A response that was made before and is kept (kept.h). */
void aff_answer_again(struct aff_exchange *x, int status, struct MHD_Response *response, uint64_t length);
/* A response as long as `length` that libmicrohttpd sends without its body (HEAD, 304). */
void aff_answer_bodiless(struct aff_exchange *x, int status, uint64_t length);
/* A response whose body `read` brings, with `x` as its first argument (see MHD_ContentReaderCallback). */
void aff_answer_stream(struct aff_exchange *x, int status, MHD_ContentReaderCallback read);
void aff_answer_header(struct aff_exchange *x, const char *name, const char *value);
void aff_answer_header_bytes(struct aff_exchange *x, const char *name,
                             aff_bytes value); /* at most AFF_TYPE_MAX bytes */
void aff_answer_problem(struct aff_exchange *x, const struct aff_problem *problem);
void aff_answer_code(struct aff_exchange *x, int code, const char *detail); /* detail may be NULL */
void aff_answer_refused(struct aff_exchange *x);
void aff_answer_options(struct aff_exchange *x);
void aff_answer_own(struct aff_exchange *x);  /* the fields that are this request's alone */
void aff_answer_kept(struct aff_exchange *x); /* x->response is kept from now on: those that are the same for all */
/* x->response is that of the place, which keeps it until it was given to libmicrohttpd, or never will be. */
void aff_answer_pin(struct aff_exchange *x, struct aff_kept *place);
void aff_answer_etag(struct aff_exchange *x, struct aff_etag tag);
void aff_answer_position(struct aff_exchange *x, uint32_t partition, int64_t offset);

/* ---- cors.c ---- */

bool aff_cors_asked(const struct aff_exchange *x); /* by a page that may */
void aff_cors_answer(struct aff_exchange *x);      /* the fields of that, on any answer that is not kept */

/* Does the answer have fields that are this request's alone? Then it can be no kept one. */
static inline bool aff_answers_alone(const struct aff_exchange *x)
{
    return x->traceparent[0] || x->http->leaving || x->guard.chunked || aff_cors_asked(x);
}

/* ---- coding.c ---- */

/*
 * Decides x->coding for a body of this type and length by Accept-Encoding. AFF_CODING_NONE: a 406 was answered; only to GET and
 * HEAD, since what another method has done is told in any case. `*ret_varies`
 * (may be NULL): another Accept-Encoding could have had another answer, so this one needs a Vary.
 */
enum aff_coding aff_coding_of(struct aff_exchange *x, aff_bytes type, size_t length, bool *ret_varies);
/* As aff_answer() with the type of the body, in whatever coding Accept-Encoding chooses for it, with what must be said of that. */
void aff_answer_coded(struct aff_exchange *x, int status, aff_bytes body, aff_bytes type);
/* The same when x->coding is decided: gzip. */
void aff_answer_gzip(struct aff_exchange *x, int status, aff_bytes body);
/* How long the coded form of a version of a value is; known when it was sent or asked for lately, and found out otherwise. */
uint64_t aff_gzip_length(struct aff_exchange *x, struct aff_etag tag, aff_bytes value);
void aff_gzip_remember(struct aff_exchange *x, struct aff_etag tag, uint64_t length);

/* ---- routes.c ---- */

/* What a method does on a route. */
struct aff_verb {
    bool takes_body;
    void (*check)(struct aff_exchange *x); /* when the head is there; may aff_refuse() */
    void (*run)(struct aff_exchange *x);   /* when the request is complete: answers, or sends a call */
};

struct aff_route {
    enum aff_route_name name;
    const char *first; /* its first segment */
    const char *second; /* NULL: any */
    unsigned count;    /* of segments */
    int (*resolve)(
        struct aff_exchange *x); /* finds keyspace, key, command: 0 or a code with a refusal noted; may be NULL */
    unsigned (*allowed)(const struct aff_exchange *x); /* methods as bits; NULL: those with a verb */
    const struct aff_verb *verbs[AFF_METHODS];
};

/* A page of the node (admin.c); `body` is taken over. A status below 0 is a code. */
void aff_answer_page(struct aff_exchange *x, int status, struct aff_buf *body, const char *type);

enum aff_method aff_method_of(const char *text);
void aff_route(struct aff_exchange *x);                                     /* sets x->route and x->verb, or refuses */
void aff_route_allow(const struct aff_exchange *x, char *out, size_t size); /* "GET, HEAD, OPTIONS" */

extern const struct aff_verb aff_verb_get, aff_verb_put, aff_verb_delete;                         /* value.c */
extern const struct aff_verb aff_verb_patch;                                                      /* patch.c */
extern const struct aff_verb aff_verb_command, aff_verb_command_get;                              /* command.c */
extern const struct aff_verb aff_verb_scan;                                                       /* scan.c */
extern const struct aff_verb aff_verb_bulk;                                                       /* bulk.c */
extern const struct aff_verb aff_verb_outcome;                                                    /* outcome.c */
extern const struct aff_verb aff_verb_livez, aff_verb_readyz, aff_verb_metrics, aff_verb_cluster; /* admin.c */
extern const struct aff_verb aff_verb_verify, aff_verb_verified;                                  /* admin.c */
extern const struct aff_verb aff_verb_drain, aff_verb_handover;                                   /* moves.c */
extern const struct aff_verb aff_verb_openapi, aff_verb_docs;                                     /* document.c */

/* ---- value.c ---- */

/* Reads x->key as x->consistency wants it. AFF_EAGAIN: it takes an aff_exchange_read(). After 0: aff_port_done(). */
int aff_get_found(struct aff_exchange *x, struct aff_found *ret_found);
/* What x->consistency says of this node's copy; false: nothing. */
bool aff_bound_of(const struct aff_exchange *x, struct aff_bound *ret_bound);

/* ---- patch.c ---- */

#define AFF_ACCEPT_PATCH "application/merge-patch+json, application/json-patch+json"

/* ---- bulk.c ---- */

struct aff_bulk *aff_bulk_free(struct aff_bulk *bulk); /* accepts NULL, returns NULL */
void aff_bulk_drain(struct aff_bulk *bulk);            /* accepts NULL */

/* ---- write.c ---- */

void aff_check_query(struct aff_exchange *x, const char *known); /* refuses any parameter but `known` (may be NULL) */
void aff_check_key(struct aff_exchange *x);
void aff_check_coding(struct aff_exchange *x); /* of the body: none */
void aff_check_conditions(struct aff_exchange *x);
void aff_check_consistency(struct aff_exchange *x);
void aff_check_write(struct aff_exchange *x); /* all that PUT, DELETE and commands may carry */
void aff_check_length(struct aff_exchange *x);   /* refuses what has neither a Content-Length nor chunks */
void aff_check_demanded(struct aff_exchange *x); /* refuses a write without a condition where one is demanded */
/* Fills what aff_check_write() checked into x->op. */
void aff_fill_write(struct aff_exchange *x, enum aff_op_kind kind);
/* The traceparent of the request, which lives as long as the exchange; data NULL: there is none. */
aff_bytes aff_request_trace(const struct aff_exchange *x);
/* A request with an Idempotency-Key: whose key it is, and what must be the same in a repeat. data NULL: it did not come. */
struct aff_identity {
    const char *method, *command;
    aff_bytes id, content_type, body, match, none_match, life, event_time;
};
/* op->key is set. */
void aff_identify(struct aff_op *op, const struct aff_space *space, const struct aff_identity *identity);
/* Answers failures of every kind. True: it was one. */
bool aff_answer_failure(struct aff_exchange *x);
/* Preference-Applied, and Location of what was created: of a PUT or PATCH. `whole`: the answer has the value. */
void aff_answer_stored(struct aff_exchange *x, bool created, bool whole);
void aff_answer_written(struct aff_exchange *x, bool tag); /* the headers of a write that was done */

#endif
