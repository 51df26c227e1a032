/*
 * outcome.c - GET /outcome/{id}: what became of a write whose outcome was unknown when it was answered.
 */
#include "http/inner.h"

static void check_outcome(struct aff_exchange *x)
{
    aff_bytes id = x->target.segments[1];
    aff_check_query(x, NULL);
    if (!aff_request_id_parse(x->http->opts.router, id, &x->space, &x->inquiry.partition, &x->inquiry.stamp))
        aff_refuse(x, AFF_ENOROUTE, "this is no Affinity-Request-Id, or of a keyspace that is not served here");
}

static const char *outcome_text(enum aff_outcome outcome)
{
    switch (outcome) {
    case AFF_OUTCOME_COMMITTED:
        return "committed";
    case AFF_OUTCOME_NOT_APPLIED:
        return "not-applied";
    case AFF_OUTCOME_NONE:
    case AFF_OUTCOME_UNKNOWN:
        break;
    }
    return "unknown";
}

static void answer_outcome(struct aff_exchange *x)
{
    char id[AFF_REQUEST_ID_MAX];
    struct aff_buf body;
    bool known = x->inquiry.outcome == AFF_OUTCOME_COMMITTED || x->inquiry.outcome == AFF_OUTCOME_NOT_APPLIED;
    if (x->inquiry.code) {
        aff_answer_code(x, x->inquiry.code, NULL);
        return;
    }
    aff_buf_init(&body);
    (void)aff_request_id_print(x->space, x->inquiry.partition, x->inquiry.stamp, id);
    if (aff_buf_printf(&body, "{\"id\":\"%s\",\"outcome\":\"%s\"}\n", id, outcome_text(x->inquiry.outcome)))
        aff_answer(x, 200, aff_buf_view(&body));
    else
        x->failed = true;
    aff_buf_fini(&body);
    aff_answer_header(x, "Content-Type", "application/json");
    aff_answer_header(x, "Cache-Control", "no-store");
    if (!known)
        aff_answer_header(x, "Retry-After", "1");
}

static void run_outcome(struct aff_exchange *x)
{
    aff_exchange_inquire(x, answer_outcome);
}

const struct aff_verb aff_verb_outcome = { .check = check_outcome, .run = run_outcome };
