/*
 * client.h - a session with ZooKeeper: requests whose answers come on a loop, and nothing else of the C library.
 *
 * client.c is the only file that includes <zookeeper/zookeeper.h>. The library's threads post what they complete to the loop of the
 * client; every function here is called on that loop and every callback comes there, never from inside a call.
 *
 * A request ends by its deadline at the latest. What was lost on the way is AFF_ZK_UNKNOWN: it may have been done, or may be done
 * yet, so it is read back before it is tried again. Watches are one-shot and name a path: who hears of one reads again.
 */
#ifndef AFF_COORDINATOR_ZOOKEEPER_CLIENT_H
#define AFF_COORDINATOR_ZOOKEEPER_CLIENT_H

#include "base/loop.h"

#include <affinity/bytes.h>
#include <affinity/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aff_zk;

enum aff_zk_state {
    AFF_ZK_CONNECTING, /* or connected no more: the session may go on */
    AFF_ZK_CONNECTED,
    AFF_ZK_EXPIRED, /* the session is over, and so is this client */
    AFF_ZK_REFUSED, /* the user or password is not accepted; so is this client */
};

enum aff_zk_result {
    AFF_ZK_OK,
    AFF_ZK_UNKNOWN, /* connection lost, or no answer in time */
    AFF_ZK_NONE,    /* there is no such znode */
    AFF_ZK_EXISTS,
    AFF_ZK_CHANGED, /* the znode has another version */
    AFF_ZK_DENIED,  /* this user may not */
    AFF_ZK_FAILED,  /* anything else; never when all is well */
};

struct aff_zk_session {
    int64_t id; /* 0: a new one */
    unsigned char password[16];
};

struct aff_zk_reply {
    enum aff_zk_result result;
    int code;           /* the library's, for a log line */
    aff_bytes data;     /* get */
    int32_t version;    /* get, set, create: of the znode as it is now */
    int64_t owner;      /* get: the session whose ephemeral it is, or 0 */
    const char *path;   /* create: what was made */
    char *const *names; /* children */
    size_t names_count;
};

/* Embedded in what asks; it stays until `done`, aff_zk_forget() or the end of the client. */
struct aff_zk_call {
    void (*done)(struct aff_zk_call *call, const struct aff_zk_reply *reply); /* the reply is borrowed */
    struct aff_zk_op *op; /* the client's; NULL: nothing is under way */
};

struct aff_zk_opts {
    const char *connect;
    const char *auth;              /* "user:password", or NULL */
    struct aff_zk_session session; /* attach to it, or a new one */
    int64_t session_ms;
    int64_t deadline_ms; /* of a request */
    struct aff_loop *loop;
    void (*state)(void *self, enum aff_zk_state state);
    void (*changed)(void *self, const char *path); /* something at the path did, or a watch there was lost */
    void *self;
};

int aff_zk_new(const struct aff_zk_opts *opts, struct aff_zk **ret_zk, aff_error *err);
/* Ends the session, if it can be reached. May wait for some seconds. Forgets all calls; NULL is fine; returns NULL. */
struct aff_zk *aff_zk_free(struct aff_zk *zk);

/* While connected. */
struct aff_zk_session aff_zk_session(const struct aff_zk *zk);
int64_t aff_zk_session_ms(const struct aff_zk *zk); /* as the servers granted it */

enum aff_zk_kind {
    AFF_ZK_PERSISTENT,
    AFF_ZK_SHARED, /* persistent; others may read it and make znodes below it */
    AFF_ZK_EPHEMERAL,
    AFF_ZK_SEQUENTIAL, /* and ephemeral */
};

/* The call must be free (call->op is NULL). Strings and data are copied. */
void aff_zk_get(struct aff_zk *zk, struct aff_zk_call *call, const char *path, bool watch);
void aff_zk_exists(struct aff_zk *zk, struct aff_zk_call *call, const char *path, bool watch);
void aff_zk_children(struct aff_zk *zk, struct aff_zk_call *call, const char *path, bool watch);
void aff_zk_create(struct aff_zk *zk, struct aff_zk_call *call, const char *path, aff_bytes data,
                   enum aff_zk_kind kind);
void aff_zk_set(struct aff_zk *zk, struct aff_zk_call *call, const char *path, aff_bytes data,
                int32_t version); /* -1: any */
void aff_zk_delete(struct aff_zk *zk, struct aff_zk_call *call, const char *path, int32_t version);
/* The call's answer does not come any more; it may still be done. */
void aff_zk_forget(struct aff_zk_call *call);

#endif
