/*
 * write.c - what PUT, DELETE and commands have in common: conditions, idempotency, lifetimes, and what is said of a write.
 */
#include "http/inner.h"

#include "serde/media.h"

#include <stdio.h>

/* ---- checking the head ---- */

void aff_check_query(struct aff_exchange *x, const char *known)
{
    aff_bytes query = x->target.query, name, value;
    char *room = x->raw + x->raw_len; /* a decoded key may stand there: segments come before the query */
    if (!query.data)
        return;
    room += (const char *)query.data - x->raw;
    int rc;
    while ((rc = aff_query_next(&query, room, &name, &value)) == 1)
        if (!known || !aff_bytes_equal(name, aff_str(known)))
            aff_refuse(x, AFF_EINVAL, "there is no parameter `%.*s` here", name.len > 64 ? 64 : (int)name.len,
                       (const char *)name.data);
    if (rc)
        aff_refuse(x, AFF_EINVAL, "a '%%' in the query must be followed by two hexadecimal digits");
}

void aff_check_coding(struct aff_exchange *x)
{
    aff_bytes coding = x->headers.field[AFF_FIELD_CONTENT_ENCODING];
    if (!coding.data || aff_same_word(coding, "identity") || aff_refused(x))
        return;
    x->accepts = NULL;
    aff_refuse(x, AFF_EMEDIATYPE, "a body with a Content-Encoding is not taken");
}

static void check_tags(struct aff_exchange *x, enum aff_field field, const char *name, bool weak,
                       struct aff_etags *tags)
{
    const char *what = NULL;
    if (aff_headers_have(&x->headers, field) && aff_etags_parse(x->headers.field[field], weak, tags, &what) != 0)
        aff_refuse(x, AFF_EINVAL, "%s: %s", name, what);
}

void aff_check_conditions(struct aff_exchange *x)
{
    check_tags(x, AFF_FIELD_IF_MATCH, "If-Match", false, &x->match);
    check_tags(x, AFF_FIELD_IF_NONE_MATCH, "If-None-Match", true, &x->none_match);
}

/* A bound is of one partition, that of the key. */
static void check_bound(struct aff_exchange *x)
{
    if (!x->key.len) {
        aff_refuse(x, AFF_EINVAL, "Affinity-Consistency: at-least and max-lag go with the read of a key; a scan is strict or eventual");
        return;
    }
    uint32_t partition = aff_space_partition(x->space, x->key);
    if (x->consistency.kind == AFF_CONSISTENCY_AT_LEAST && x->consistency.partition != partition)
        aff_refuse(x, AFF_EINVAL, "Affinity-Consistency: the key is in partition %u, so at-least must be a place of it, not of %u",
                   (unsigned)partition, (unsigned)x->consistency.partition);
}

void aff_check_consistency(struct aff_exchange *x)
{
    struct aff_wanted_consistency *c = &x->consistency;
    *c = (struct aff_wanted_consistency){ .kind = AFF_CONSISTENCY_STRICT };
    if (!aff_headers_have(&x->headers, AFF_FIELD_CONSISTENCY))
        return;
    const char *fault = aff_consistency_parse(x->headers.field[AFF_FIELD_CONSISTENCY], c);
    if (fault)
        aff_refuse(x, AFF_EINVAL, "%s", fault);
    else if (c->kind == AFF_CONSISTENCY_AT_LEAST || c->kind == AFF_CONSISTENCY_MAX_LAG)
        check_bound(x);
}

static void check_times(struct aff_exchange *x)
{
    const struct aff_headers *h = &x->headers;
    int64_t ms;
    if (aff_headers_have(h, AFF_FIELD_TTL) && !aff_ttl_parse(h->field[AFF_FIELD_TTL], &ms))
        aff_refuse(x, AFF_EINVAL, "Affinity-TTL must be a number with a unit (ms, s, m, h, d), from 1ms to 36500d");
    if (aff_headers_have(h, AFF_FIELD_EVENT_TIME) && !aff_event_time_parse(h->field[AFF_FIELD_EVENT_TIME], &ms))
        aff_refuse(x, AFF_EINVAL, "Affinity-Event-Time must be milliseconds since 1970");
}

void aff_check_length(struct aff_exchange *x)
{
    if (!x->guard.chunked && !x->guard.lengths)
        aff_refuse(x, AFF_ELENGTH, "a %s must have a Content-Length or be chunked",
                   x->method == AFF_PATCH ? "PATCH" : "PUT");
}

void aff_check_demanded(struct aff_exchange *x)
{
    if (x->space->require_match && !aff_headers_have(&x->headers, AFF_FIELD_IF_MATCH) &&
        !aff_headers_have(&x->headers, AFF_FIELD_IF_NONE_MATCH))
        aff_refuse(x, AFF_EPRECONDITIONREQUIRED, "send If-Match with the ETag of what you read, or If-None-Match: *");
}

void aff_check_write(struct aff_exchange *x)
{
    const struct aff_headers *h = &x->headers;
    aff_check_query(x, NULL);
    aff_check_conditions(x);
    aff_check_consistency(x);
    if (x->consistency.kind != AFF_CONSISTENCY_STRICT && !(x->command && x->command->read))
        aff_refuse(x, AFF_EINVAL, "Affinity-Consistency: a write is always strict");
    check_times(x);
    if (aff_headers_have(h, AFF_FIELD_IF_UNMODIFIED_SINCE) && !aff_headers_have(h, AFF_FIELD_IF_MATCH))
        aff_refuse(x, AFF_EINVAL, "If-Unmodified-Since is too coarse for writes: send the ETag in If-Match");
    if (aff_headers_have(h, AFF_FIELD_IDEMPOTENCY_KEY) &&
        !aff_idempotency_key_fits(h->field[AFF_FIELD_IDEMPOTENCY_KEY]))
        aff_refuse(x, AFF_EINVAL, "Idempotency-Key must be 1 to 255 visible characters");
    if (aff_headers_have(h, AFF_FIELD_PREFER))
        x->prefer = aff_prefer_return(h->field[AFF_FIELD_PREFER]);
}

/* ---- filling the operation ---- */

static void fill_conditions(struct aff_exchange *x, struct aff_conditions *c)
{
    c->match_any = x->match.any;
    c->has_match = aff_headers_have(&x->headers, AFF_FIELD_IF_MATCH) && !x->match.any;
    c->match = x->match.tags;
    c->match_count = x->match.count;
    c->none_match_any = x->none_match.any;
    c->none_match = x->none_match.tags;
    c->none_match_count = x->none_match.count;
}

static aff_bytes or_empty(aff_bytes text)
{
    return text.data ? text : aff_str("");
}

/* The scope of an Idempotency-Key: principal (there is none yet), keyspace, key, method, command. */
void aff_identify(struct aff_op *op, const struct aff_space *space, const struct aff_identity *i)
{
    const aff_bytes id[] = {
        aff_str(""), aff_str(space->name), op->key, aff_str(i->method), aff_str(i->command), i->id
    };
    const aff_bytes request[] = { i->content_type,         or_empty(i->body), or_empty(i->match),
                                  or_empty(i->none_match), or_empty(i->life), or_empty(i->event_time) };
    op->identified = true;
    op->id = aff_digest_of(id, sizeof id / sizeof *id);
    op->request = aff_digest_of(request, sizeof request / sizeof *request);
}

static void fill_identity(struct aff_exchange *x, struct aff_op *op)
{
    const aff_bytes *field = x->headers.field;
    static const char *const methods[AFF_METHODS] = {
        [AFF_PUT] = "PUT", [AFF_PATCH] = "PATCH", [AFF_DELETE] = "DELETE", [AFF_POST] = "POST"
    };
    const struct aff_identity identity = {
        .method = methods[x->method],
        .command = x->command ? x->command->name : "",
        .id = field[AFF_FIELD_IDEMPOTENCY_KEY],
        .content_type = aff_str(x->content_type),
        .body = aff_buf_view(&x->body),
        .match = field[AFF_FIELD_IF_MATCH],
        .none_match = field[AFF_FIELD_IF_NONE_MATCH],
        .life = field[AFF_FIELD_TTL],
        .event_time = field[AFF_FIELD_EVENT_TIME],
    };
    aff_identify(op, x->space, &identity);
}

aff_bytes aff_request_trace(const struct aff_exchange *x)
{
    return x->traceparent[0] ? aff_bytes_of(x->traceparent, AFF_TRACE_LEN) : aff_bytes_of(NULL, 0);
}

void aff_fill_write(struct aff_exchange *x, enum aff_op_kind kind)
{
    const struct aff_headers *h = &x->headers;
    struct aff_op *op = &x->op.call.op;
    aff_op_init(op, kind);
    x->writes = true;
    op->key = x->key;
    op->value = aff_buf_view(&x->body);
    op->content_type = aff_str(x->content_type);
    if (aff_headers_have(h, AFF_FIELD_TTL))
        (void)aff_ttl_parse(h->field[AFF_FIELD_TTL], &op->ttl_ms);
    if (aff_headers_have(h, AFF_FIELD_EVENT_TIME))
        (void)aff_event_time_parse(h->field[AFF_FIELD_EVENT_TIME], &op->event_ms);
    op->traceparent = aff_request_trace(x);
    fill_conditions(x, &op->conditions);
    if (aff_headers_have(h, AFF_FIELD_IDEMPOTENCY_KEY))
        fill_identity(x, op);
}

/* ---- what is said of a write ---- */

static const struct aff_result *result_of(const struct aff_exchange *x)
{
    return &x->op.call.op.result;
}

static bool print_request_id(const struct aff_exchange *x, char out[AFF_REQUEST_ID_MAX])
{
    const struct aff_result *r = result_of(x);
    if (r->stamped)
        (void)aff_request_id_print(x->space, x->op.call.partition, r->stamp, out);
    return r->stamped;
}

static void answer_refusal(struct aff_exchange *x, const struct aff_result *r)
{
    struct aff_problem problem = {
        .code = AFF_EREFUSED,
        .status = r->status,
        .type = r->problem[0] ? r->problem : NULL,
        .title = r->title,
        .detail = r->detail[0] ? aff_str(r->detail) : (aff_bytes){ NULL, 0 },
    };
    aff_answer_problem(x, &problem);
}

bool aff_answer_failure(struct aff_exchange *x)
{
    const struct aff_result *r = result_of(x);
    char id[AFF_REQUEST_ID_MAX], instance[AFF_REQUEST_ID_MAX + 16];
    int code = r->outcome == AFF_OUTCOME_UNKNOWN ? AFF_EUNKNOWN : r->code; /* unknown is never told as anything else */
    if (code == 0)
        return false;
    if (code == AFF_EREFUSED) {
        answer_refusal(x, r);
        return true;
    }
    struct aff_problem problem = { .code = code, .detail = r->detail[0] ? aff_str(r->detail) : (aff_bytes){ NULL, 0 } };
    bool stamped = print_request_id(x, id);
    if (stamped && code == AFF_EUNKNOWN) {
        (void)snprintf(instance, sizeof instance, "/outcome/%s", id);
        problem.instance = instance;
    }
    aff_answer_problem(x, &problem);
    if (stamped)
        aff_answer_header(x, "Affinity-Request-Id", id);
    return true;
}

void aff_answer_stored(struct aff_exchange *x, bool created, bool whole)
{
    bool minimal = x->prefer == AFF_RETURN_MINIMAL;
    if (whole || minimal)
        aff_answer_header(x, "Preference-Applied", whole ? "return=representation" : "return=minimal");
    if (created && x->target.path.len < 2048) {
        char location[2048];
        memcpy(location, x->target.path.data, x->target.path.len);
        location[x->target.path.len] = 0;
        aff_answer_header(x, "Location", location);
    }
}

void aff_answer_written(struct aff_exchange *x, bool tag)
{
    const struct aff_result *r = result_of(x);
    const struct aff_call *call = &x->op.call;
    char id[AFF_REQUEST_ID_MAX];
    if (r->versioned) {
        if (tag)
            aff_answer_etag(x, (struct aff_etag){ call->identity8, call->partition, r->version.offset });
        aff_answer_position(x, call->partition, r->version.offset);
    }
    if (print_request_id(x, id))
        aff_answer_header(x, "Affinity-Request-Id", id);
    if (r->replayed)
        aff_answer_header(x, "Affinity-Replayed", "true");
}
