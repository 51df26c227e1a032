/*
 * supervisor.h - a small process above the one that serves. It holds the sockets that are listened on, so that the ports outlive a
 * crash and clients wait instead of being refused; starts the worker again when it dies; ends its ZooKeeper session, so that others
 * take over at once; passes signals on; and takes the worker with it when it dies itself.
 *
 * The supervisor has one thread and does nothing but wait. What it must know of its worker stands in memory of both.
 */
#ifndef AFF_NODE_SUPERVISOR_H
#define AFF_NODE_SUPERVISOR_H

#include "config/config.h"

#include <stdatomic.h>
#include <sys/types.h>

/* What worker and supervisor share. */
struct aff_supervised {
    pid_t supervisor;
    atomic_uint
        told; /* how often a signal to end was passed on; the supervisor writes, and so below what is the worker's */
    atomic_bool served;  /* a worker served once; the worker */
    atomic_uint session; /* which of `sessions` is the worker's, from 1; 0: it has none; the worker */
    struct {
        int64_t id;
        unsigned char password[16];
    } sessions[2]; /* one is written while the other counts: the worker may die at any moment */
    /* Sockets that listen, inherited; constant. */
    size_t https_count; /* as in the configuration */
    int peer;           /* 0: none */
    int https[];
};

struct aff_supervisor_opts {
    const char *program;    /* begins each message */
    const char *ready_file; /* NULL: none */
    const struct aff_config *config;
};

/*
 * Binds, and makes the worker. Returns in the worker alone, 0; in the first process only when that could not be done, an exit status
 * after a message. That process ends by _exit() with the status of its worker: nothing of the application runs in it.
 */
int aff_supervise(const struct aff_supervisor_opts *opts, struct aff_supervised **ret_shared);

/* The worker has another session now; or none any more (password NULL), then nobody has to end it. One thread at a time. */
void aff_supervised_session(struct aff_supervised *shared, int64_t id, const unsigned char password[16]);

#endif
