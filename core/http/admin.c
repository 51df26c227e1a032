/*
 * admin.c - /livez, /readyz, /metrics, /cluster: pages whose bodies the node writes.
 */
#include "http/inner.h"

static void answer_page(struct aff_exchange *x, int status, struct aff_buf *body, const char *type)
{
    if (status > 0)
        aff_answer(x, status, aff_buf_view(body));
    else
        aff_answer_code(x, status, NULL);
    aff_buf_fini(body);
    if (status > 0)
        aff_answer_header(x, "Content-Type", type);
    aff_answer_header(x, "Cache-Control", "no-store");
}

static void run_page(struct aff_exchange *x, int (*page)(void *self, struct aff_buf *body), const char *type)
{
    struct aff_buf body;
    aff_buf_init(&body);
    answer_page(x, page ? page(x->http->opts.admin.self, &body) : AFF_ENOROUTE, &body, type);
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
    answer_page(x, admin->readyz ? admin->readyz(admin->self, verbose, &body) : AFF_ENOROUTE, &body,
                "application/json");
}

const struct aff_verb aff_verb_livez = { .run = run_livez };
const struct aff_verb aff_verb_readyz = { .check = check_readyz, .run = run_readyz };
const struct aff_verb aff_verb_metrics = { .run = run_metrics };
const struct aff_verb aff_verb_cluster = { .run = run_cluster };
