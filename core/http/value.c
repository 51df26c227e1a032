/*
 * value.c - GET, HEAD, PUT and DELETE of /v1/{keyspace}/{key}.
 *
 * A read is answered inside the handler, from a snapshot of this loop, when this node leads and has a lease. Any other, and each
 * write, goes to the partition.
 */
#include "http/inner.h"

#include "http/digits.h"
#include "serde/json.h"
#include "serde/media.h"

#include <stdio.h>

static const char octets[] = "application/octet-stream";

/* ---- reading ---- */

static void check_get(struct aff_exchange *x)
{
    aff_check_query(x, NULL);
    aff_check_conditions(x);
    aff_check_consistency(x);
}

static enum aff_verdict decide(const struct aff_exchange *x, const struct aff_found *found, struct aff_etag tag)
{
    const struct aff_headers *h = &x->headers;
    struct aff_read_conditions c = {
        .match = aff_headers_have(h, AFF_FIELD_IF_MATCH) ? &x->match : NULL,
        .none_match = aff_headers_have(h, AFF_FIELD_IF_NONE_MATCH) ? &x->none_match : NULL,
    };
    bool modified = aff_headers_have(h, AFF_FIELD_IF_MODIFIED_SINCE);
    bool unmodified = aff_headers_have(h, AFF_FIELD_IF_UNMODIFIED_SINCE);
    int64_t now_ms = modified || unmodified ? aff_wall_ms(aff_loop_clock(x->http->opts.loop)) : 0;
    if (modified)
        c.has_modified_since = aff_date_parse(h->field[AFF_FIELD_IF_MODIFIED_SINCE], now_ms, &c.modified_since);
    if (unmodified)
        c.has_unmodified_since = aff_date_parse(h->field[AFF_FIELD_IF_UNMODIFIED_SINCE], now_ms, &c.unmodified_since);
    return aff_conditions_decide(&c, found->exists, tag, found->exists ? found->item.version.time_ms : 0);
}

static bool is_acceptable(const struct aff_exchange *x, aff_bytes content_type)
{
    struct aff_media media;
    return !aff_headers_have(&x->headers, AFF_FIELD_ACCEPT) || !aff_media_parse(content_type, &media) ||
           aff_media_accepted(x->headers.field[AFF_FIELD_ACCEPT], &media);
}

static void refuse_type(struct aff_exchange *x, aff_bytes type)
{
    char detail[AFF_TYPE_MAX + 64];
    (void)snprintf(detail, sizeof detail, "the value is %.*s, which Accept does not allow", (int)type.len,
                   (const char *)type.data);
    aff_answer_code(x, AFF_ENOTACCEPTABLE, detail);
    x->varies |= AFF_VARIES_TYPE;
}

static void answer_number(struct aff_exchange *x, const char *name, int64_t ms)
{
    char text[32];
    if (ms == AFF_NO_TIME)
        return;
    (void)snprintf(text, sizeof text, "%lld", (long long)ms);
    aff_answer_header(x, name, text);
}

/* The headers of a version; they are the same each time. */
static void add_version(struct aff_exchange *x, const struct aff_found *found, struct aff_etag tag, aff_bytes type)
{
    const struct aff_item *item = &found->item;
    char date[AFF_DATE_TEXT_LEN + 1];
    aff_answer_etag(x, tag);
    aff_date_print(item->version.time_ms, date);
    aff_answer_header(x, "Last-Modified", date);
    aff_answer_header_bytes(x, "Content-Type", type);
    aff_answer_position(x, found->partition, item->version.offset);
    aff_answer_header(x, "Cache-Control", "no-cache"); /* a cache that asks each time may keep it */
    answer_number(x, "Affinity-Expires", item->version.expires_ms);
    answer_number(x, "Affinity-Event-Time", item->version.event_ms);
}

static void answer_whole(struct aff_exchange *x, const struct aff_found *found, struct aff_etag tag, aff_bytes type,
                         bool varies)
{
    struct aff_kept *place = aff_kept_place(x->http->kept, x->space, tag);
    bool keep = found->item.value.len <= AFF_KEPT_VALUE_MAX && !aff_answers_alone(x);
    if (keep && aff_kept_is(place, x->space, tag)) {
        aff_answer_again(x, 200, place->response, found->item.value.len);
        aff_answer_pin(x, place);
        return;
    }
    aff_answer(x, 200, found->item.value);
    add_version(x, found, tag, type);
    if (varies)
        x->varies |= AFF_VARIES_CODING;
    if (keep && x->response && aff_kept_set(place, x->space, tag, x->response)) {
        aff_answer_kept(x);
        aff_answer_pin(x, place);
    }
}

/*
 * A 304 names the form that the client has: of the two that If-None-Match may list, the one that it would be sent, or else the
 * other.
 */
static void choose_named(struct aff_exchange *x, struct aff_etag tag)
{
    bool gzip = x->coding == AFF_CODING_GZIP;
    if (!aff_headers_have(&x->headers, AFF_FIELD_IF_NONE_MATCH) || x->none_match.any ||
        aff_etags_name(&x->none_match, tag, gzip))
        return;
    x->coding = gzip ? AFF_CODING_IDENTITY : AFF_CODING_GZIP;
}

/* Of the body that a GET would be sent. */
static uint64_t whole_length(struct aff_exchange *x, const struct aff_found *found, struct aff_etag tag)
{
    return x->coding == AFF_CODING_GZIP ? aff_gzip_length(x, tag, found->item.value) : found->item.value.len;
}

static void answer_head(struct aff_exchange *x, const struct aff_found *found, struct aff_etag tag, aff_bytes type,
                        bool varies)
{
    aff_answer_bodiless(x, 200, whole_length(x, found, tag));
    if (x->coding == AFF_CODING_GZIP)
        aff_answer_header(x, "Content-Encoding", "gzip");
    if (varies || x->coding == AFF_CODING_GZIP)
        x->varies |= AFF_VARIES_CODING;
    add_version(x, found, tag, type);
}

static void answer_unchanged(struct aff_exchange *x, const struct aff_found *found, struct aff_etag tag, aff_bytes type,
                             bool varies)
{
    uint64_t length = whole_length(x, found, tag);
    choose_named(x, tag);
    aff_answer_bodiless(x, 304, length);
    add_version(x, found, tag, type);
    if (varies)
        x->varies |= AFF_VARIES_CODING;
}

static void answer_value(struct aff_exchange *x, const struct aff_found *found, struct aff_etag tag, bool unchanged)
{
    const struct aff_item *item = &found->item;
    aff_bytes type = item->content_type.len ? item->content_type : aff_str(octets);
    bool varies = false;
    if (!unchanged && !is_acceptable(x, type)) {
        refuse_type(x, type);
        return;
    }
    if (aff_coding_of(x, type, item->value.len, &varies) == AFF_CODING_NONE)
        return;
    if (unchanged) {
        answer_unchanged(x, found, tag, type, varies);
    } else if (x->method == AFF_HEAD) {
        answer_head(x, found, tag, type, varies);
    } else if (x->coding == AFF_CODING_GZIP) {
        aff_answer_gzip(x, 200, item->value);
        aff_gzip_remember(x, tag, x->response_len);
        add_version(x, found, tag, type);
    } else {
        answer_whole(x, found, tag, type, varies);
    }
}

static void answer_found(struct aff_exchange *x, const struct aff_found *found)
{
    struct aff_etag tag = { found->identity8, found->partition, found->exists ? found->item.version.offset : 0 };
    enum aff_verdict verdict = decide(x, found, tag);
    if (verdict == AFF_VERDICT_FAILED)
        aff_answer_code(x, AFF_EPRECONDITION, NULL);
    else if (!found->exists)
        aff_answer_code(x, AFF_ENOTFOUND, NULL);
    else
        answer_value(x, found, tag, verdict == AFF_VERDICT_NOT_MODIFIED);
}

static void answer_read(struct aff_exchange *x, int code, const struct aff_found *found)
{
    if (code) {
        aff_answer_code(x, code, NULL);
        return;
    }
    answer_found(x, found);
    aff_port_done(x->http->opts.port);
}

static void answer_get(struct aff_exchange *x)
{
    if (!aff_answer_failure(x))
        answer_found(x, &x->op.call.found);
}

bool aff_bound_of(const struct aff_exchange *x, struct aff_bound *ret_bound)
{
    const struct aff_wanted_consistency *c = &x->consistency;
    *ret_bound = (struct aff_bound){ .after = -1 };
    if (c->kind == AFF_CONSISTENCY_AT_LEAST)
        ret_bound->after = c->offset;
    if (c->kind == AFF_CONSISTENCY_MAX_LAG)
        ret_bound->max_age_ns = c->max_lag_ms * AFF_NS_PER_MS;
    return c->kind == AFF_CONSISTENCY_AT_LEAST || c->kind == AFF_CONSISTENCY_MAX_LAG;
}

int aff_get_found(struct aff_exchange *x, struct aff_found *ret_found)
{
    struct aff_port *port = x->http->opts.port;
    struct aff_bound bound;
    if (aff_bound_of(x, &bound))
        return aff_port_get_bounded(port, x->space, x->key, &bound, ret_found);
    if (x->consistency.kind == AFF_CONSISTENCY_EVENTUAL)
        return aff_port_get_local(port, x->space, x->key, ret_found);
    return aff_port_get(port, x->space, x->key, ret_found);
}

static void run_get(struct aff_exchange *x)
{
    struct aff_found found;
    int code = aff_get_found(x, &found);
    if (code == AFF_EAGAIN)
        aff_exchange_read(x, answer_get);
    else
        answer_read(x, code, &found);
}

const struct aff_verb aff_verb_get = { .check = check_get, .run = run_get };

/* ---- writing ---- */

/* Keeps the Content-Type: stored as it came, and longer than its header lives. */
static void check_type(struct aff_exchange *x)
{
    aff_bytes type = x->headers.field[AFF_FIELD_CONTENT_TYPE];
    struct aff_media media;
    x->accepts = "*/*";
    if (!type.data)
        type = aff_str(octets);
    if (type.len > AFF_TYPE_MAX || !aff_media_parse(type, &media)) {
        aff_refuse(x, AFF_EMEDIATYPE, "Content-Type is no media type of at most %d bytes", AFF_TYPE_MAX);
        return;
    }
    memcpy(x->content_type, type.data, type.len);
    x->content_type[type.len] = 0;
    x->is_json = aff_media_is_json(&media);
    aff_check_coding(x);
}

static void check_put(struct aff_exchange *x)
{
    aff_check_length(x);
    if (x->space->max_value < x->body_max)
        x->body_max = x->space->max_value;
    check_type(x);
    aff_check_write(x);
    aff_check_demanded(x);
}

static bool is_created(const struct aff_result *r)
{
    return r->created || (r->replayed && r->status == 201);
}

static void answer_put(struct aff_exchange *x)
{
    if (aff_answer_failure(x))
        return;
    bool created = is_created(&x->op.call.op.result), whole = x->prefer == AFF_RETURN_REPRESENTATION;
    int status = created ? 201 : x->prefer == AFF_RETURN_MINIMAL ? 204 : 200;
    aff_answer(x, status, whole ? aff_buf_view(&x->body) : aff_str(""));
    if (whole)
        aff_answer_header(x, "Content-Type", x->content_type);
    aff_answer_stored(x, created, whole);
    aff_answer_written(x, true);
}

static void run_put(struct aff_exchange *x)
{
    struct aff_json_error error;
    if (x->is_json && aff_json_check(aff_buf_view(&x->body), x->http->opts.limits.json_depth, &error) != 0) {
        char detail[160];
        (void)aff_json_error_print(&error, detail, sizeof detail);
        aff_refuse(x, AFF_EJSON, "%s", detail);
        return;
    }
    aff_fill_write(x, AFF_OP_PUT);
    aff_exchange_call(x, answer_put);
}

const struct aff_verb aff_verb_put = { .takes_body = true, .check = check_put, .run = run_put };

static void check_delete(struct aff_exchange *x)
{
    x->content_type[0] = 0;
    aff_check_write(x);
    aff_check_demanded(x);
}

static void answer_delete(struct aff_exchange *x)
{
    if (aff_answer_failure(x))
        return;
    aff_answer(x, 204, aff_str(""));
    if (x->prefer == AFF_RETURN_MINIMAL)
        aff_answer_header(x, "Preference-Applied", "return=minimal");
    aff_answer_written(x, false);
}

static void run_delete(struct aff_exchange *x)
{
    aff_fill_write(x, AFF_OP_DELETE);
    aff_exchange_call(x, answer_delete);
}

const struct aff_verb aff_verb_delete = { .check = check_delete, .run = run_delete };
