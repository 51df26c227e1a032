/*
 * moves.c - /cluster/drain and /cluster/handover: masterships that are to move, and how far that is. The node writes the bodies.
 */
#include "http/inner.h"

#include "http/digits.h"

static bool is_drain(const struct aff_exchange *x)
{
    return x->route->name == AFF_ROUTE_DRAIN;
}

static bool read_parameter(const struct aff_exchange *x, aff_bytes name, aff_bytes value, struct aff_http_move *move)
{
    uint64_t partition;
    if (is_drain(x))
        return false;
    if (aff_bytes_equal(name, aff_str("keyspace")))
        move->keyspace = value;
    else if (aff_bytes_equal(name, aff_str("to")) && x->method == AFF_POST)
        move->to = value;
    else if (aff_bytes_equal(name, aff_str("partition")) && aff_take_decimal(value, UINT32_MAX, &partition))
        move->partition = (int64_t)partition;
    else
        return false;
    return value.len > 0;
}

/* Decoded values stand behind the raw target, each where it stands in it. */
static void read_move(struct aff_exchange *x, struct aff_http_move *move)
{
    aff_bytes query = x->target.query, name, value;
    int rc = 0;
    *move = (struct aff_http_move){ .partition = -1, .begins = x->method == AFF_POST };
    while (query.data &&
           (rc = aff_query_next(&query, x->raw + x->raw_len + ((const char *)query.data - x->raw), &name, &value)) == 1)
        if (!read_parameter(x, name, value, move))
            aff_refuse(x, AFF_EINVAL, "expected %s, not `%.*s`",
                       is_drain(x) ? "no parameters" : "keyspace=NAME, partition=NUMBER and, in a POST, to=NODE",
                       name.len > 64 ? 64 : (int)name.len, (const char *)name.data);
    if (rc)
        aff_refuse(x, AFF_EINVAL, "a '%%' in the query must be followed by two hexadecimal digits");
    else if (!is_drain(x) && !aff_refused(x) && (!move->keyspace.data || move->partition < 0))
        aff_refuse(x, AFF_EINVAL, "expected keyspace=NAME and partition=NUMBER: which mastership?");
}

static void run_move(struct aff_exchange *x)
{
    const struct aff_http_admin *admin = &x->http->opts.admin;
    int (*page)(void *, const struct aff_http_move *, struct aff_buf *, aff_error *) = is_drain(x) ? admin->drain
                                                                                                   : admin->handover;
    struct aff_http_move move;
    struct aff_buf body;
    aff_error err = { 0 };
    read_move(x, &move);
    if (aff_refused(x))
        return;
    aff_buf_init(&body);
    int status = page ? page(admin->self, &move, &body, &err) : AFF_ENOROUTE;
    if (status < 0 && err.text[0])
        aff_refuse(x, status, "%s", err.text);
    else
        aff_answer_page(x, status, &body, "application/json");
    aff_buf_fini(&body);
}

const struct aff_verb aff_verb_drain = { .run = run_move };
const struct aff_verb aff_verb_handover = { .run = run_move };
