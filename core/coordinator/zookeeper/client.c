/*
 * client.c - see client.h. The only file that knows ZooKeeper's library.
 *
 * The library has two threads of its own: one talks to the server, one runs completions and watchers. They only copy what came
 * into a message and post it to the loop. An operation is in the list of its client until its completion came; when the client
 * ends first, the library's threads are joined, and then what was not posted is freed here and what was frees itself.
 */
#include "coordinator/zookeeper/client.h"

#include "base/alloc.h"
#include "base/list.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <zookeeper/zookeeper.h>

struct aff_zk {
    struct aff_zk_opts opts;
    char *auth;
    zhandle_t *handle;
    struct aff_zk_session session; /* of the last time that it was connected */
    int64_t session_ms;
    struct aff_list ops;
    bool closed;
    atomic_uint refs; /* its owner, and events on the way */
};

struct aff_zk_op {
    struct aff_msg msg;
    struct aff_list link;
    struct aff_timer deadline;
    struct aff_zk *zk;        /* NULL: it ended */
    struct aff_zk_call *call; /* NULL: nobody waits any more */
    /* Written by the thread of completions, before the message. */
    atomic_bool posted;
    int rc;
    char *data; /* or a path */
    size_t data_len;
    int32_t version;
    int64_t owner;
    char **names;
    size_t names_count;
};

/* A change of the session's state, or a watch. */
struct event {
    struct aff_msg msg;
    struct aff_zk *zk;
    int type, state;
    struct aff_zk_session session;
    int64_t session_ms;
    char *path;
};

static struct aff_zk *unref(struct aff_zk *zk)
{
    if (atomic_fetch_sub(&zk->refs, 1) == 1) {
        free(zk->auth);
        free(zk);
    }
    return NULL;
}

/* ---- operations ---- */

static enum aff_zk_result result_of(int rc)
{
    switch (rc) {
    case ZOK:
        return AFF_ZK_OK;
    case ZNONODE:
        return AFF_ZK_NONE;
    case ZNODEEXISTS:
        return AFF_ZK_EXISTS;
    case ZBADVERSION:
        return AFF_ZK_CHANGED;
    case ZNOAUTH:
    case ZAUTHFAILED:
        return AFF_ZK_DENIED;
    case ZCONNECTIONLOSS:
    case ZOPERATIONTIMEOUT:
    case ZSESSIONEXPIRED:
    case ZSESSIONMOVED:
    case ZINVALIDSTATE:
    case ZCLOSING:
    case ZTHROTTLEDOP:
        return AFF_ZK_UNKNOWN;
    default:
        return AFF_ZK_FAILED;
    }
}

static void free_op(struct aff_zk_op *op)
{
    for (size_t i = 0; i < op->names_count; i++)
        free(op->names[i]);
    free(op->names);
    free(op->data);
    free(op);
}

static void answer(struct aff_zk_op *op, const struct aff_zk_reply *reply)
{
    struct aff_zk_call *call = op->call;

    if (!call)
        return;
    op->call = NULL;
    call->op = NULL;
    call->done(call, reply);
}

static void deliver_op(struct aff_msg *msg)
{
    struct aff_zk_op *op = aff_container_of(msg, struct aff_zk_op, msg);
    const struct aff_zk_reply reply = {
        .result = result_of(op->rc),
        .code = op->rc,
        .data = aff_bytes_of(op->data ? op->data : "", op->data_len),
        .version = op->version,
        .owner = op->owner,
        .path = op->data,
        .names = op->names,
        .names_count = op->names_count,
    };

    if (op->zk) {
        aff_loop_timer_cancel(op->zk->opts.loop, &op->deadline);
        aff_list_remove(&op->link);
        answer(op, &reply);
    }
    free_op(op);
}

/* The completion may come yet; until then the operation stays. */
static void fire_deadline(struct aff_timer *timer)
{
    struct aff_zk_op *op = aff_container_of(timer, struct aff_zk_op, deadline);

    answer(op, &(struct aff_zk_reply){ .result = AFF_ZK_UNKNOWN, .code = ZOPERATIONTIMEOUT });
}

static void post_op(struct aff_zk_op *op, int rc)
{
    struct aff_loop *loop = op->zk->opts.loop;

    op->rc = rc;
    op->msg.deliver = deliver_op;
    atomic_store(&op->posted, true);
    aff_loop_call(loop, &op->msg);
}

static struct aff_zk_op *new_op(struct aff_zk *zk, struct aff_zk_call *call)
{
    struct aff_zk_op *op = aff_xcalloc(1, sizeof *op);

    assert(!call->op && !zk->closed);
    op->zk = zk;
    op->call = call;
    op->deadline.fire = fire_deadline;
    call->op = op;
    aff_list_append(&zk->ops, &op->link);
    aff_loop_timer_set(zk->opts.loop, &op->deadline,
                       aff_loop_now(zk->opts.loop) + zk->opts.deadline_ms * AFF_NS_PER_MS);
    return op;
}

/* What the library refused to begin has no completion. */
static void begun(struct aff_zk_op *op, int rc)
{
    if (rc != ZOK)
        post_op(op, rc);
}

void aff_zk_forget(struct aff_zk_call *call)
{
    if (call->op)
        call->op->call = NULL;
    call->op = NULL;
}

/* ---- completions: the library's thread, or zookeeper_close() ---- */

static void take_data(struct aff_zk_op *op, const char *data, int len)
{
    if (!data || len < 0)
        return;
    op->data = aff_xmalloc((size_t)len + 1);
    if (len > 0)
        memcpy(op->data, data, (size_t)len);
    op->data[len] = '\0';
    op->data_len = (size_t)len;
}

static void take_stat(struct aff_zk_op *op, const struct Stat *stat)
{
    if (!stat)
        return;
    op->version = stat->version;
    op->owner = stat->ephemeralOwner;
}

static struct aff_zk_op *op_of(const void *data)
{
    struct aff_zk_op *op = NULL;

    memcpy(&op, &data, sizeof op); /* it was ours when it was handed in */
    return op;
}

static void completed_data(int rc, const char *value, int len, const struct Stat *stat, const void *data)
{
    struct aff_zk_op *op = op_of(data);

    if (rc == ZOK) {
        take_data(op, value, len);
        take_stat(op, stat);
    }
    post_op(op, rc);
}

static void completed_stat(int rc, const struct Stat *stat, const void *data)
{
    struct aff_zk_op *op = op_of(data);

    if (rc == ZOK)
        take_stat(op, stat);
    post_op(op, rc);
}

static void completed_path(int rc, const char *value, const void *data)
{
    struct aff_zk_op *op = op_of(data);

    if (rc == ZOK && value)
        take_data(op, value, (int)strlen(value));
    post_op(op, rc);
}

static void completed_names(int rc, const struct String_vector *strings, const void *data)
{
    struct aff_zk_op *op = op_of(data);

    if (rc == ZOK && strings && strings->count > 0) {
        op->names_count = (size_t)strings->count;
        op->names = aff_xcalloc(op->names_count, sizeof *op->names);
        for (size_t i = 0; i < op->names_count; i++)
            op->names[i] = aff_xstrdup(strings->data[i]);
    }
    post_op(op, rc);
}

static void completed(int rc, const void *data)
{
    post_op(op_of(data), rc);
}

/* ---- requests ---- */

void aff_zk_get(struct aff_zk *zk, struct aff_zk_call *call, const char *path, bool watch)
{
    struct aff_zk_op *op = new_op(zk, call);

    begun(op, zoo_aget(zk->handle, path, watch, completed_data, op));
}

void aff_zk_exists(struct aff_zk *zk, struct aff_zk_call *call, const char *path, bool watch)
{
    struct aff_zk_op *op = new_op(zk, call);

    begun(op, zoo_aexists(zk->handle, path, watch, completed_stat, op));
}

void aff_zk_children(struct aff_zk *zk, struct aff_zk_call *call, const char *path, bool watch)
{
    struct aff_zk_op *op = new_op(zk, call);

    begun(op, zoo_aget_children(zk->handle, path, watch, completed_names, op));
}

static int create_flags(enum aff_zk_kind kind)
{
    return (kind == AFF_ZK_EPHEMERAL || kind == AFF_ZK_SEQUENTIAL ? ZOO_EPHEMERAL : 0) |
           (kind == AFF_ZK_SEQUENTIAL ? ZOO_SEQUENCE : 0);
}

static int create(struct aff_zk_op *op, const char *path, aff_bytes data, enum aff_zk_kind kind)
{
    struct Id anyone = ZOO_ANYONE_ID_UNSAFE, creator = ZOO_AUTH_IDS;
    struct ACL shared[] = {
        { ZOO_PERM_ALL, creator },
        { ZOO_PERM_READ | ZOO_PERM_CREATE, anyone },
    };
    const struct ACL_vector open = ZOO_OPEN_ACL_UNSAFE, own = { 1, shared }, both = { 2, shared };
    const struct ACL_vector *acl = !op->zk->opts.auth ? &open : kind == AFF_ZK_SHARED ? &both : &own;

    return zoo_acreate(op->zk->handle, path, data.data, (int)data.len, acl, create_flags(kind), completed_path, op);
}

void aff_zk_create(struct aff_zk *zk, struct aff_zk_call *call, const char *path, aff_bytes data, enum aff_zk_kind kind)
{
    struct aff_zk_op *op = new_op(zk, call);

    begun(op, create(op, path, data, kind));
}

void aff_zk_set(struct aff_zk *zk, struct aff_zk_call *call, const char *path, aff_bytes data, int32_t version)
{
    struct aff_zk_op *op = new_op(zk, call);

    begun(op, zoo_aset(zk->handle, path, data.data, (int)data.len, version, completed_stat, op));
}

void aff_zk_delete(struct aff_zk *zk, struct aff_zk_call *call, const char *path, int32_t version)
{
    struct aff_zk_op *op = new_op(zk, call);

    begun(op, zoo_adelete(zk->handle, path, version, completed, op));
}

/* ---- the session ---- */

static void tell_state(struct aff_zk *zk, const struct event *e)
{
    if (e->state == ZOO_CONNECTED_STATE) {
        zk->session = e->session;
        zk->session_ms = e->session_ms;
        zk->opts.state(zk->opts.self, AFF_ZK_CONNECTED);
    } else if (e->state == ZOO_EXPIRED_SESSION_STATE)
        zk->opts.state(zk->opts.self, AFF_ZK_EXPIRED);
    else if (e->state == ZOO_AUTH_FAILED_STATE)
        zk->opts.state(zk->opts.self, AFF_ZK_REFUSED);
    else
        zk->opts.state(zk->opts.self, AFF_ZK_CONNECTING);
}

static void deliver_event(struct aff_msg *msg)
{
    struct event *e = aff_container_of(msg, struct event, msg);
    struct aff_zk *zk = e->zk;

    if (!zk->closed && e->type == ZOO_SESSION_EVENT)
        tell_state(zk, e);
    else if (!zk->closed && e->path)
        zk->opts.changed(zk->opts.self, e->path);
    free(e->path);
    free(e);
    (void)unref(zk);
}

/* The library's thread. */
static void watcher(zhandle_t *handle, int type, int state, const char *path, void *context)
{
    struct aff_zk *zk = context;
    struct event *e = aff_xcalloc(1, sizeof *e);

    e->msg.deliver = deliver_event;
    e->zk = zk;
    e->type = type;
    e->state = state;
    if (type != ZOO_SESSION_EVENT && path)
        e->path = aff_xstrdup(path);
    if (type == ZOO_SESSION_EVENT && state == ZOO_CONNECTED_STATE) {
        const clientid_t *id = zoo_client_id(handle);
        e->session.id = id->client_id;
        memcpy(e->session.password, id->passwd, sizeof e->session.password);
        e->session_ms = zoo_recv_timeout(handle);
    }
    atomic_fetch_add(&zk->refs, 1);
    aff_loop_call(zk->opts.loop, &e->msg);
}

/* The library tells of each attempt to connect; whoever uses a client tells of what became of the session instead. */
static void silent(const char *message)
{
    (void)message;
}

/* Its fate is told by the session: a user that is not accepted ends in AFF_ZK_REFUSED. */
static void authenticated(int rc, const void *data)
{
    (void)rc;
    (void)data;
}

static int open_handle(struct aff_zk *zk, aff_error *err)
{
    clientid_t id = { .client_id = zk->opts.session.id };

    memcpy(id.passwd, zk->opts.session.password, sizeof id.passwd);
    zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
    zk->handle = zookeeper_init2(zk->opts.connect, watcher, (int)zk->opts.session_ms, id.client_id ? &id : NULL, zk,
                                 ZOO_NO_LOG_CLIENTENV, silent);
    if (!zk->handle)
        return aff_fail_with(err, AFF_ECONFIG,
                             "zookeeper '%s': %s; right is host:port[,host:port]... with names that resolve",
                             zk->opts.connect, strerror(errno));
    if (zk->auth && zoo_add_auth(zk->handle, "digest", zk->auth, (int)strlen(zk->auth), authenticated, NULL) != ZOK)
        return aff_fail_with(err, AFF_ECONFIG, "zookeeper: the user and password were refused by the client library");
    return 0;
}

int aff_zk_new(const struct aff_zk_opts *opts, struct aff_zk **ret_zk, aff_error *err)
{
    struct aff_zk *zk = aff_xcalloc(1, sizeof *zk);
    int rc;

    zk->opts = *opts;
    zk->auth = opts->auth ? aff_xstrdup(opts->auth) : NULL;
    atomic_init(&zk->refs, 1);
    aff_list_init(&zk->ops);
    rc = open_handle(zk, err);
    if (rc) {
        (void)aff_zk_free(zk);
        return rc;
    }
    *ret_zk = zk;
    return 0;
}

static void drop_op(struct aff_zk *zk, struct aff_zk_op *op)
{
    aff_loop_timer_cancel(zk->opts.loop, &op->deadline);
    aff_list_remove(&op->link);
    if (op->call)
        aff_zk_forget(op->call);
    op->zk = NULL;
    if (!atomic_load(&op->posted))
        free_op(op);
}

struct aff_zk *aff_zk_free(struct aff_zk *zk)
{
    if (!zk)
        return NULL;
    zk->closed = true;
    if (zk->handle)
        (void)zookeeper_close(zk->handle); /* joins the library's threads: nothing is posted after it */
    zk->handle = NULL;
    aff_list_each(link, &zk->ops)
        drop_op(zk, aff_container_of(link, struct aff_zk_op, link));
    return unref(zk);
}

struct aff_zk_session aff_zk_session(const struct aff_zk *zk)
{
    return zk->session;
}

int64_t aff_zk_session_ms(const struct aff_zk *zk)
{
    return zk->session_ms;
}
