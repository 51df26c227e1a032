/*
 * close.c - ends the session of a process that died. Its own loop, on the caller's thread.
 */
#include "coordinator/coordinator.h"
#include "coordinator/zookeeper/client.h"

#include <string.h>

struct closing {
    bool attached, over;
};

static void take_state(void *self, enum aff_zk_state state)
{
    struct closing *c = self;

    c->attached = state == AFF_ZK_CONNECTED;
    c->over = state == AFF_ZK_EXPIRED || state == AFF_ZK_REFUSED;
}

static void take_change(void *self, const char *path)
{
    (void)self;
    (void)path;
}

static int attach(struct aff_loop *loop, const struct aff_zk_opts *opts, struct closing *c, int64_t timeout_ms,
                  aff_error *err)
{
    int64_t deadline = aff_mono_ns(aff_loop_clock(loop)) + timeout_ms * AFF_NS_PER_MS, left;
    struct aff_zk *zk = NULL;
    int rc = aff_zk_new(opts, &zk, err);

    while (!rc && !c->attached && !c->over && (left = deadline - aff_mono_ns(aff_loop_clock(loop))) > 0)
        (void)aff_loop_pass(loop, left);
    zk = aff_zk_free(zk); /* this is what ends the session */
    if (!rc && !c->attached && !c->over)
        rc = aff_fail_with(err, AFF_ETIMEDOUT, "zookeeper %s did not answer within %lld ms", opts->connect,
                           (long long)timeout_ms);
    return rc;
}

int aff_zookeeper_close_session(const char *connect, int64_t id, const unsigned char password[16], int64_t timeout_ms,
                                aff_error *err)
{
    struct aff_zk_opts opts = { .connect = connect, .session_ms = 4000, .deadline_ms = timeout_ms };
    struct aff_loop *loop = NULL;
    struct closing c = { 0 };
    int rc = aff_loop_new(&(struct aff_loop_opts){ .name = "close" }, &loop, err);

    if (rc)
        return rc;
    opts.session.id = id;
    memcpy(opts.session.password, password, sizeof opts.session.password);
    opts.loop = loop;
    opts.state = take_state;
    opts.changed = take_change;
    opts.self = &c;
    rc = attach(loop, &opts, &c, timeout_ms, err);
    aff_loop_stop(loop);
    (void)aff_loop_pass(loop, 0); /* events on their way hold memory */
    loop = aff_loop_free(loop);
    return rc;
}
