/*
 * bulk.c - POST /v1/{keyspace}: many writes in one request, a line each; answered by a line each, in their order.
 *
 *   the body is complete  ->  bulk_run.c carries the lines out  ->  results become lines when the client takes them
 *
 * bulk_line.c knows what a line may say. The answer begins before the first result is there, so its status is 200 whatever
 * becomes of the lines. When the client goes away nothing more is begun; the exchange stays until what is under way has come back.
 */
#include "http/inner.h"

#include "http/bulk_run.h"
#include "http/digits.h"
#include "serde/media.h"

#include <assert.h>
#include <stdlib.h>

enum { FILL = 32768 /* bytes of lines that are printed ahead of their sending */ };

struct aff_bulk {
    struct aff_bulk_run *run;
    struct aff_buf out; /* lines, of which `sent` bytes are sent */
    size_t sent;
    unsigned lines, failed;
    bool brief; /* Prefer: return=minimal */
    bool ended;
};

/* ---- the head ---- */

static const char *const types[] = { "application/jsonl", "application/x-ndjson" };

/* Which of them the client wants; both are the same bytes. */
static const char *answer_type(const struct aff_exchange *x)
{
    aff_bytes accept = x->headers.field[AFF_FIELD_ACCEPT];
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct aff_media media;
        if (!accept.data || (aff_media_parse(aff_str(types[i]), &media) && aff_media_accepted(accept, &media)))
            return types[i];
    }
    return NULL;
}

static void check_type(struct aff_exchange *x)
{
    struct aff_media media;
    aff_bytes type = x->headers.field[AFF_FIELD_CONTENT_TYPE], coding = x->headers.field[AFF_FIELD_CONTENT_ENCODING];
    if (!type.data || !aff_media_parse(type, &media) ||
        !(aff_media_is(&media, types[0]) || aff_media_is(&media, types[1])))
        aff_refuse(x, AFF_EMEDIATYPE, "a bulk write is %s: an object in each line", types[0]);
    if (coding.data && !aff_same_word(coding, "identity"))
        aff_refuse(x, AFF_EMEDIATYPE, "a body with a Content-Encoding is not taken");
    if (!answer_type(x))
        aff_refuse(x, AFF_ENOTACCEPTABLE, "the answer is %s, which Accept does not allow", types[0]);
}

/* What the lines say each for itself must not be said of all of them and be ignored. */
static void check_misplaced(struct aff_exchange *x)
{
    static const struct {
        enum aff_field field;
        const char *name, *member;
    } misplaced[] = {
        { AFF_FIELD_IF_MATCH, "If-Match", "if_match" },
        { AFF_FIELD_IF_NONE_MATCH, "If-None-Match", "if_none_match" },
        { AFF_FIELD_IF_UNMODIFIED_SINCE, "If-Unmodified-Since", "if_match" },
        { AFF_FIELD_IDEMPOTENCY_KEY, "Idempotency-Key", "id" },
        { AFF_FIELD_TTL, "Affinity-TTL", "ttl" },
        { AFF_FIELD_EVENT_TIME, "Affinity-Event-Time", "event_time" },
    };
    for (size_t i = 0; i < sizeof misplaced / sizeof *misplaced; i++)
        if (aff_headers_have(&x->headers, misplaced[i].field))
            aff_refuse(x, AFF_EINVAL, "%s is said in each line of a bulk write: `%s`", misplaced[i].name,
                       misplaced[i].member);
}

static void check_bulk(struct aff_exchange *x)
{
    if (!x->guard.chunked && !x->guard.lengths)
        aff_refuse(x, AFF_ELENGTH, "a bulk write must have a Content-Length or be chunked");
    x->body_max = x->http->opts.limits.bulk;
    check_type(x);
    check_misplaced(x);
    aff_check_write(x);
}

/* ---- a result as a line ---- */

static bool add_text(struct aff_buf *out, const char *text)
{
    return aff_buf_add(out, text, strlen(text));
}

static bool add_number(struct aff_buf *out, const char *before, uint64_t number)
{
    char digits[20];
    return add_text(out, before) && aff_buf_add(out, digits, (size_t)(aff_put_decimal(digits, number) - digits));
}

static bool add_key(struct aff_buf *out, const struct aff_bulk_told *told)
{
    return add_text(out, told->key64 ? "\"key64\":" : "\"key\":") &&
           aff_buf_add(out, told->key_text.data, told->key_text.len);
}

static bool add_tag(struct aff_buf *out, struct aff_etag tag)
{
    char text[AFF_ETAG_TEXT_MAX];
    size_t length = aff_etag_print(tag, text);
    return add_text(out, ",\"etag\":\"\\\"") && aff_buf_add(out, text + 1, length - 2) && add_text(out, "\\\"\"");
}

/* {"key":"a","status":201,"etag":"\"0badcafe-3-100\""} */
static bool add_done(struct aff_buf *out, const struct aff_bulk_told *told)
{
    return add_text(out, "{") && add_key(out, told) && add_number(out, ",\"status\":", (uint64_t)told->status) &&
           (!told->tagged || add_tag(out, told->tag)) && (!told->replayed || add_text(out, ",\"replayed\":true")) &&
           add_text(out, "}\n");
}

static const char *outcome_of(const struct aff_bulk_told *told)
{
    if (told->code == AFF_EUNKNOWN)
        return ",\"outcome\":\"unknown\"";
    return told->status == 503 ? ",\"outcome\":\"not-applied\"" : "";
}

/* {"line":7,"key":"a","status":504,"outcome":"unknown","request_id":"...","problem":{...}} */
static bool add_failed(const struct aff_exchange *x, struct aff_buf *out, const struct aff_bulk_told *told)
{
    char id[AFF_REQUEST_ID_MAX], instance[AFF_REQUEST_ID_MAX + 16];
    struct aff_problem problem = { .code = told->code, .detail = told->detail };
    if (told->stamped) {
        (void)aff_request_id_print(x->space, told->partition, told->stamp, id);
        *aff_put_text(aff_put_text(instance, "/outcome/"), id) = 0;
        problem.instance = told->code == AFF_EUNKNOWN ? instance : NULL;
    }
    bool done = add_number(out, "{\"line\":", told->line) &&
                (!told->key_text.data || (add_text(out, ",") && add_key(out, told))) &&
                add_number(out, ",\"status\":", (uint64_t)told->status) && add_text(out, outcome_of(told)) &&
                (!told->stamped || aff_buf_printf(out, ",\"request_id\":\"%s\"", id)) &&
                add_text(out, ",\"problem\":") && aff_problem_print(&problem, out);
    if (done)
        out->len--; /* its line feed */
    return done && add_text(out, "}\n");
}

/* {"lines":100000,"failed":1} */
static bool add_summary(struct aff_bulk *bulk)
{
    return add_number(&bulk->out, "{\"lines\":", bulk->lines) && add_number(&bulk->out, ",\"failed\":", bulk->failed) &&
           add_text(&bulk->out, "}\n");
}

static bool add_told(const struct aff_exchange *x, const struct aff_bulk_told *told)
{
    struct aff_bulk *bulk = x->bulk;
    bulk->lines++;
    bulk->failed += told->code != 0;
    if (told->code)
        return add_failed(x, &bulk->out, told);
    return bulk->brief || add_done(&bulk->out, told);
}

/* ---- the answer ---- */

/* Prints what there is to tell, up to some length. False: out of memory, so the rest cannot be told. */
static bool fill(struct aff_exchange *x)
{
    struct aff_bulk *bulk = x->bulk;
    struct aff_bulk_told told;
    int more;
    aff_buf_clear(&bulk->out);
    bulk->sent = 0;
    while (bulk->out.len < FILL && (more = aff_bulk_next(bulk->run, &told)) != AFF_EAGAIN) {
        bulk->ended = more == 0;
        if (bulk->ended)
            return !bulk->brief || add_summary(bulk);
        if (!add_told(x, &told))
            return false;
    }
    return true;
}

static ssize_t read_lines(void *self, uint64_t position, char *to, size_t max)
{
    struct aff_exchange *x = self;
    struct aff_bulk *bulk = x->bulk;
    (void)position;
    x->http->progress++;
    if (bulk->sent == bulk->out.len && !bulk->ended && !fill(x)) {
        x->failed = true;
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    size_t left = bulk->out.len - bulk->sent, len = left < max ? left : max;
    if (len == 0 && bulk->ended)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (len == 0)
        aff_exchange_pause(x);
    else
        memcpy(to, bulk->out.data + bulk->sent, len);
    bulk->sent += len;
    return (ssize_t)len;
}

static void ready(void *self)
{
    aff_exchange_wake(self);
}

/* ---- carrying out ---- */

static void home(void *self)
{
    aff_exchange_home(self);
}

static void over(struct aff_exchange *x)
{
    x->away = !aff_bulk_leave(x->bulk->run);
}

static int make(struct aff_exchange *x)
{
    const struct aff_http_opts *http = &x->http->opts;
    struct aff_bulk_opts opts = {
        .loop = http->loop,
        .port = http->port,
        .space = x->space,
        .gate = http->gate,
        .body = aff_buf_view(&x->body),
        .traceparent = aff_request_trace(x),
        .json_depth = http->limits.json_depth,
        .deadline_ns = x->deadline,
        .ready = ready,
        .home = home,
        .self = x,
    };
    x->bulk = calloc(1, sizeof *x->bulk);
    if (!x->bulk)
        return AFF_ENOMEM;
    aff_buf_init(&x->bulk->out);
    x->bulk->brief = x->prefer == AFF_RETURN_MINIMAL;
    return aff_bulk_run_new(&opts, &x->bulk->run);
}

static void run_bulk(struct aff_exchange *x)
{
    int rc = make(x);
    if (rc) {
        aff_refuse(x, rc, rc == AFF_ETOOLARGE ? "a bulk write has at most %d lines" : "no memory for %d lines",
                   AFF_BULK_LINES);
        return;
    }
    aff_answer_stream(x, 200, read_lines);
    aff_answer_header(x, "Content-Type", answer_type(x));
    if (x->bulk->brief)
        aff_answer_header(x, "Preference-Applied", "return=minimal");
    if (x->failed)
        return;
    x->away = true;
    x->over = over;
    aff_bulk_start(x->bulk->run);
    aff_bulk_drain(x->http->draining ? x->bulk : NULL);
}

void aff_bulk_drain(struct aff_bulk *bulk)
{
    if (bulk && bulk->run)
        aff_bulk_give_up(bulk->run, AFF_EDRAINING);
}

struct aff_bulk *aff_bulk_free(struct aff_bulk *bulk)
{
    if (!bulk)
        return NULL;
    bulk->run = aff_bulk_run_free(bulk->run);
    aff_buf_fini(&bulk->out);
    free(bulk);
    return NULL;
}

const struct aff_verb aff_verb_bulk = { .takes_body = true, .check = check_bulk, .run = run_bulk };
