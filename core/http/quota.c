/*
 * quota.c - see quota.h.
 *
 * An allowance is one number: the time when it will be whole again. A request moves it one interval on, and is refused when it
 * would be more than a burst ahead; so nothing has to be filled up, and one that lies in the past says nothing any more.
 */
#include "http/quota.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/map.h"

#include <assert.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>

enum {
    PARTS = 16,
    LOOKED_AT = 8, /* of those that were used longest ago, when room is needed */
    ADDRESS_LEN = 9,
};

struct aff_quota_client {
    struct aff_map_node node;
    struct aff_list recent;
    struct part *part;
    unsigned char address[ADDRESS_LEN]; /* the family, then what counts of the address */
    unsigned under_way;
    int64_t whole_at;
};

struct part {
    pthread_mutex_t lock; /* of all that follows */
    struct aff_map clients;
    struct aff_list recent; /* the last was used last */
    unsigned count;
    struct aff_quota_client others; /* of all for whom there is no room; in no list */
};

struct aff_quota {
    struct aff_quota_opts opts;
    int64_t interval_ns;
    unsigned most; /* clients of a part */
    struct part parts[PARTS];
};

/* ---- life ---- */

struct aff_quota *aff_quota_new(const struct aff_quota_opts *opts)
{
    struct aff_quota *quota = aff_xcalloc(1, sizeof *quota);
    unsigned clients = opts->clients ? opts->clients : AFF_QUOTA_CLIENTS;
    quota->opts = *opts;
    if (!opts->burst)
        quota->opts.burst = opts->rate;
    quota->interval_ns = opts->rate ? AFF_NS_PER_S / opts->rate : 0;
    quota->most = clients / PARTS ? clients / PARTS : 1;
    for (int i = 0; i < PARTS; i++) {
        struct part *part = &quota->parts[i];
        (void)pthread_mutex_init(&part->lock, NULL);
        aff_map_init(&part->clients, (uint64_t)(uintptr_t)part ^ (uint64_t)aff_mono_ns(aff_clock_system()));
        aff_list_init(&part->recent);
        part->others.part = part;
    }
    return quota;
}

static void forget(struct part *part, struct aff_quota_client *client)
{
    aff_map_remove(&part->clients, &client->node);
    aff_list_remove(&client->recent);
    part->count--;
    free(client);
}

struct aff_quota *aff_quota_free(struct aff_quota *quota)
{
    if (!quota)
        return NULL;
    for (int i = 0; i < PARTS; i++) {
        struct part *part = &quota->parts[i];
        aff_list_each(link, &part->recent)
            forget(part, aff_container_of(link, struct aff_quota_client, recent));
        aff_map_fini(&part->clients);
        (void)pthread_mutex_destroy(&part->lock);
    }
    free(quota);
    return NULL;
}

/* ---- clients ---- */

static aff_bytes address_of(const struct sockaddr *address, unsigned char out[ADDRESS_LEN])
{
    memset(out, 0, ADDRESS_LEN);
    out[0] = (unsigned char)address->sa_family;
    if (address->sa_family == AF_INET) {
        memcpy(out + 1, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
    } else if (address->sa_family == AF_INET6) {
        const struct in6_addr *six = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(six)) {
            out[0] = AF_INET;
            memcpy(out + 1, six->s6_addr + 12, 4);
        } else {
            memcpy(out + 1, six->s6_addr, 8);
        }
    }
    return aff_bytes_of(out, ADDRESS_LEN);
}

static struct part *part_of(struct aff_quota *quota, aff_bytes address)
{
    const unsigned char *at = address.data;
    uint32_t mixed = 0;
    for (size_t i = 0; i < address.len; i++)
        mixed = (mixed ^ at[i]) * 16777619u;
    return &quota->parts[(mixed >> 16) % PARTS];
}

static bool says_nothing(const struct aff_quota_client *client, int64_t now_ns)
{
    return client->under_way == 0 && client->whole_at <= now_ns;
}

/* Forgets clients that say nothing, of those that were used longest ago; more than come, so that the table shrinks, too. */
static void make_room(struct part *part, int64_t now_ns)
{
    int looked_at = 0;
    aff_list_each(link, &part->recent) {
        struct aff_quota_client *client = aff_container_of(link, struct aff_quota_client, recent);
        if (looked_at++ == LOOKED_AT)
            return;
        if (says_nothing(client, now_ns))
            forget(part, client);
    }
}

static struct aff_quota_client *client_of(struct aff_quota *quota, struct part *part, aff_bytes address, int64_t now_ns)
{
    struct aff_map_node *node = aff_map_get(&part->clients, address);
    if (node) {
        struct aff_quota_client *known = aff_container_of(node, struct aff_quota_client, node);
        aff_list_remove(&known->recent);
        aff_list_append(&part->recent, &known->recent);
        return known;
    }
    make_room(part, now_ns);
    if (part->count >= quota->most)
        return &part->others;
    struct aff_quota_client *client = aff_xcalloc(1, sizeof *client);
    client->part = part;
    memcpy(client->address, address.data, ADDRESS_LEN);
    aff_map_add(&part->clients, &client->node, aff_bytes_of(client->address, ADDRESS_LEN));
    aff_list_append(&part->recent, &client->recent);
    part->count++;
    return client;
}

/* ---- requests ---- */

static enum aff_quota_verdict judge(const struct aff_quota *quota, struct aff_quota_client *client, int64_t now_ns,
                                    int64_t *ret_wait_ns)
{
    if (quota->opts.concurrent && client->under_way >= quota->opts.concurrent) {
        *ret_wait_ns = AFF_NS_PER_S; /* nobody knows */
        return AFF_QUOTA_CONCURRENT;
    }
    if (quota->opts.rate) {
        int64_t from = client->whole_at > now_ns ? client->whole_at : now_ns;
        int64_t ahead = from - now_ns, most = (int64_t)(quota->opts.burst - 1) * quota->interval_ns;
        if (ahead > most) {
            *ret_wait_ns = ahead - most;
            return AFF_QUOTA_RATE;
        }
        client->whole_at = from + quota->interval_ns;
    }
    client->under_way++;
    return AFF_QUOTA_IN;
}

enum aff_quota_verdict aff_quota_enter(struct aff_quota *quota, const struct sockaddr *address, int64_t now_ns,
                                       struct aff_quota_pass *ret_pass, int64_t *ret_wait_ns)
{
    unsigned char bytes[ADDRESS_LEN];
    aff_bytes key = address_of(address, bytes);
    struct part *part = part_of(quota, key);
    (void)pthread_mutex_lock(&part->lock);
    struct aff_quota_client *client = client_of(quota, part, key, now_ns);
    enum aff_quota_verdict verdict = judge(quota, client, now_ns, ret_wait_ns);
    (void)pthread_mutex_unlock(&part->lock);
    ret_pass->client = verdict == AFF_QUOTA_IN ? client : NULL;
    return verdict;
}

void aff_quota_leave(struct aff_quota_pass *pass)
{
    if (!pass->client)
        return;
    struct part *part = pass->client->part;
    (void)pthread_mutex_lock(&part->lock);
    assert(pass->client->under_way > 0);
    pass->client->under_way--;
    (void)pthread_mutex_unlock(&part->lock);
    pass->client = NULL;
}

unsigned aff_quota_known(const struct aff_quota *quota)
{
    struct aff_quota *q = (struct aff_quota *)(uintptr_t)quota; /* for its locks */
    unsigned count = 0;
    for (int i = 0; i < PARTS; i++) {
        (void)pthread_mutex_lock(&q->parts[i].lock);
        count += q->parts[i].count;
        (void)pthread_mutex_unlock(&q->parts[i].lock);
    }
    return count;
}
