/*
 * admin.c - /livez, /readyz, /metrics, /cluster, /verify: pages whose bodies the node writes.
 */
#include "http/inner.h"

#include "http/digits.h"

void aff_answer_page(struct aff_exchange *x, int status, struct aff_buf *body, const char *type)
{
    if (status > 0)
        aff_answer_coded(x, status, aff_buf_view(body), aff_str(type));
    else
        aff_answer_code(x, status, NULL);
    aff_buf_fini(body);
    aff_answer_header(x, "Cache-Control", "no-store");
}

static void run_page(struct aff_exchange *x, int (*page)(void *self, struct aff_buf *body), const char *type)
{
    struct aff_buf body;
    aff_buf_init(&body);
    aff_answer_page(x, page ? page(x->http->opts.admin.self, &body) : AFF_ENOROUTE, &body, type);
}

static void run_livez(struct aff_exchange *x)
{
    run_page(x, x->http->opts.admin.livez, "application/json");
}

static void run_metrics(struct aff_exchange *x)
{
    run_page(x, x->http->opts.admin.metrics, "text/plain; version=0.0.4; charset=utf-8");
}

static void run_cluster(struct aff_exchange *x)
{
    run_page(x, x->http->opts.admin.cluster, "application/json");
}

static void check_readyz(struct aff_exchange *x)
{
    aff_check_query(x, "verbose");
}

static void run_readyz(struct aff_exchange *x)
{
    const struct aff_http_admin *admin = &x->http->opts.admin;
    struct aff_buf body;
    aff_buf_init(&body);
    bool verbose = x->target.query.data && x->target.query.len;
    aff_answer_page(x, admin->readyz ? admin->readyz(admin->self, verbose, &body) : AFF_ENOROUTE, &body,
                "application/json");
}

/* ---- /verify ---- */

static bool read_parameter(aff_bytes name, aff_bytes value, struct aff_http_verify *ask)
{
    uint64_t partition;
    if (aff_bytes_equal(name, aff_str("keyspace"))) {
        ask->keyspace = value;
        return value.len > 0;
    }
    if (aff_bytes_equal(name, aff_str("timeout")))
        return aff_ttl_parse(value, &ask->timeout_ms);
    if (!aff_bytes_equal(name, aff_str("partition")) || !aff_take_decimal(value, UINT32_MAX, &partition))
        return false;
    ask->partition = (int64_t)partition;
    return true;
}

/* Decoded values stand behind the raw target, each where it stands in it. */
static void read_verify(struct aff_exchange *x, struct aff_http_verify *ask)
{
    aff_bytes query = x->target.query, name, value;
    int rc = 0;
    *ask = (struct aff_http_verify){ .partition = -1 };
    while (query.data &&
           (rc = aff_query_next(&query, x->raw + x->raw_len + ((const char *)query.data - x->raw), &name, &value)) == 1)
        if (!read_parameter(name, value, ask))
            aff_refuse(x, AFF_EINVAL, "expected keyspace=NAME, partition=NUMBER and timeout=30s, not `%.*s`",
                       name.len > 64 ? 64 : (int)name.len, (const char *)name.data);
    if (rc)
        aff_refuse(x, AFF_EINVAL, "a '%%' in the query must be followed by two hexadecimal digits");
    if (ask->partition >= 0 && !ask->keyspace.data)
        aff_refuse(x, AFF_EINVAL, "a partition needs its keyspace=NAME");
}

static void call_verify(struct aff_exchange *x, const struct aff_http_verify *ask)
{
    const struct aff_http_admin *admin = &x->http->opts.admin;
    struct aff_buf body;
    aff_error err = { 0 };
    aff_buf_init(&body);
    int status = admin->verify ? admin->verify(admin->self, ask, &body, &err) : AFF_ENOROUTE;
    if (status < 0 && err.text[0])
        aff_refuse(x, status, "%s", err.text);
    else
        aff_answer_page(x, status, &body, "application/json");
    aff_buf_fini(&body);
}

static void run_verify(struct aff_exchange *x)
{
    struct aff_http_verify ask;
    read_verify(x, &ask);
    if (!aff_refused(x))
        call_verify(x, &ask);
}

static void check_verified(struct aff_exchange *x)
{
    aff_check_query(x, NULL);
}

static void run_verified(struct aff_exchange *x)
{
    call_verify(x, NULL);
}

const struct aff_verb aff_verb_livez = { .run = run_livez };
const struct aff_verb aff_verb_readyz = { .check = check_readyz, .run = run_readyz };
const struct aff_verb aff_verb_metrics = { .run = run_metrics };
const struct aff_verb aff_verb_cluster = { .run = run_cluster };
const struct aff_verb aff_verb_verify = { .run = run_verify };
const struct aff_verb aff_verb_verified = { .check = check_verified, .run = run_verified };
