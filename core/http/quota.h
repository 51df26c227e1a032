/*
 * quota.h - how many requests a client may send: so many a second, so many at a time. A client is an address; of IPv6 its first 64
 * bits, since one household has as many addresses as it likes.
 *
 * The table has a bound. A client whose second is over and that has nothing under way is forgotten when room is needed, which
 * changes nothing for it. Where there is none to forget, new clients share one allowance: whoever has very many addresses can
 * neither push others out nor have memory without end; what it can do is to make newcomers wait together.
 *
 * All loops share it. A lock guards a part of the table, and nothing else is done under it. Time comes with the call.
 */
#ifndef AFF_HTTP_QUOTA_H
#define AFF_HTTP_QUOTA_H

#include "base/cleanup.h"

#include <stdint.h>
#include <sys/socket.h>

struct aff_quota_opts {
    unsigned rate;       /* requests a second; 0: any */
    unsigned burst;      /* how many at once when none came for a while; 0: `rate` */
    unsigned concurrent; /* requests under way; 0: any */
    unsigned clients;    /* that are known at a time; 0: AFF_QUOTA_CLIENTS */
};

enum { AFF_QUOTA_CLIENTS = 65536 };

struct aff_quota;
struct aff_quota_client;

/* A request's right to be under way. */
struct aff_quota_pass {
    struct aff_quota_client *client; /* NULL: it has none */
};

struct aff_quota *aff_quota_new(const struct aff_quota_opts *opts);
struct aff_quota *aff_quota_free(struct aff_quota *quota); /* accepts NULL, returns NULL */
AFF_CLEANUP_OF(struct aff_quota, aff_quota_free)

enum aff_quota_verdict { AFF_QUOTA_IN, AFF_QUOTA_RATE, AFF_QUOTA_CONCURRENT };

/* Any thread. AFF_QUOTA_IN: leave when the request is over. Otherwise `*ret_wait_ns`: when to come again. */
enum aff_quota_verdict aff_quota_enter(struct aff_quota *quota, const struct sockaddr *address, int64_t now_ns,
                                       struct aff_quota_pass *ret_pass, int64_t *ret_wait_ns);
void aff_quota_leave(struct aff_quota_pass *pass); /* nothing when there is none */

unsigned aff_quota_known(const struct aff_quota *quota); /* clients; any thread */

#endif
