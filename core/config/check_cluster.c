/*
 * check_cluster.c - rules about settings of a cluster: what `coordinator: zookeeper` needs, whether its times allow a lease
 * (doc/protocol.md), addresses that others can reach, static lists. As in check.c, each complaint stands at a value that was given.
 */
#include "config/assign.h"
#include "config/fill.h"
#include "config/value.h"

#include "base/alloc.h"

#include <stdlib.h>

enum { ADDRESS_MAX = 95 }; /* bytes of an address in ZooKeeper */

static struct aff_mark place_of_choice(const struct aff_fill *fill)
{
    return aff_fill_place(fill, &fill->config->coordinator, &fill->config->coordinator);
}

/* ---- what must be there ---- */

static void check_needs(const struct aff_fill *fill)
{
    const struct aff_config *config = fill->config;
    struct aff_mark at = place_of_choice(fill);
    if (config->changelog != AFF_CHANGELOG_KAFKA)
        aff_complain(fill->source, at, "coordinator: zookeeper needs changelog: kafka, whose topics the nodes share");
    if (!aff_fill_given(fill, &config->node.name))
        aff_complain(fill->source, at,
                     "coordinator: zookeeper needs node.name: another one for each node of the cluster");
    if (!config->zookeeper.connect)
        aff_complain(
            fill->source, at,
            "coordinator: zookeeper needs zookeeper.connect: host:port of the ZooKeeper servers, with commas between them");
}

static void check_security(const struct aff_fill *fill)
{
    const struct aff_config *config = fill->config;
    const struct {
        const char *text, *name;
    } files[] = { { config->peer.certificate, "peer.certificate" },
                  { config->peer.key, "peer.key" },
                  { config->peer.ca, "peer.ca" } };
    char missing[64] = "";
    if (config->peer.security != AFF_PEER_TLS)
        return;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (!files[i].text) {
            size_t len = strlen(missing);
            (void)snprintf(missing + len, sizeof missing - len, "%s%s", len ? ", " : "", files[i].name);
        }
    if (missing[0])
        aff_complain(
            fill->source, aff_fill_place(fill, &config->peer.security, &config->coordinator),
            "peer.security: tls needs %s (files in PEM); peer.security: plain is for a network that only nodes are in",
            missing);
}

/* ---- times: a lease must last for three of the writes that renew it ---- */

static struct aff_number_text time_text(int64_t ms)
{
    return aff_number_text(AFF_TYPE_DURATION, (uint64_t)ms);
}

/* With h = session / 16 the lease is 0.95 * session - h - tick, and 3h or more: tick <= 0.7 * session. */
static void check_lease(const struct aff_fill *fill)
{
    const int64_t session = fill->config->zookeeper.session_ms, tick = fill->config->zookeeper.tick_ms;
    struct aff_mark at = aff_fill_place(fill, &fill->config->zookeeper.session_ms, &fill->config->zookeeper.tick_ms);
    if (at.line == 0 && at.set == 0)
        at = place_of_choice(fill);
    if (tick * 10 > session * 7)
        aff_complain(
            fill->source, at,
            "zookeeper.session: %s with a zookeeper.tick of %s leaves no time for a lease: with this tick a session is at "
            "least %s; with this session a tick is at most %s",
            time_text(session).text, time_text(tick).text, time_text((tick * 10 + 6) / 7).text,
            time_text(session * 7 / 10).text);
    else if (session < 2 * tick || session > 20 * tick)
        aff_complain(
            fill->source, at,
            "zookeeper.session: ZooKeeper servers with a tick of %s grant sessions of %s to %s, and %s is not among them",
            time_text(tick).text, time_text(2 * tick).text, time_text(20 * tick).text, time_text(session).text);
}

static void check_auth(const struct aff_fill *fill)
{
    const char *auth = fill->config->zookeeper.auth, *colon = auth ? strchr(auth, ':') : NULL;
    if (auth && (!colon || colon == auth || !colon[1]))
        aff_complain(fill->source, aff_fill_place(fill, &fill->config->zookeeper.auth, NULL),
                     "zookeeper.auth: expected user:password");
}

/* ---- addresses ---- */

bool aff_config_is_any(const struct aff_config_address *address)
{
    return strcmp(address->host, "0.0.0.0") == 0 || strcmp(address->host, "::") == 0;
}

static void check_reachable(const struct aff_fill *fill, const char *name, const struct aff_config_address *address)
{
    if (!address->text)
        return;
    if (aff_config_is_any(address))
        aff_complain(fill->source, aff_fill_place(fill, address, NULL),
                     "%s: nobody can connect to %s: expected a name or an address", name, address->text);
    if (strlen(address->text) > ADDRESS_MAX)
        aff_complain(fill->source, aff_fill_place(fill, address, NULL), "%s: has more than %d bytes", name,
                     ADDRESS_MAX);
}

static void check_addresses(const struct aff_fill *fill)
{
    const struct aff_config *config = fill->config;
    char name[48];
    check_reachable(fill, "peer.advertise", &config->peer.advertise);
    for (size_t i = 0; i < config->http_count; i++) {
        (void)snprintf(name, sizeof name, "http.%zu.advertise", i);
        check_reachable(fill, name, &config->http[i].advertise);
    }
    if (aff_config_is_any(&config->peer.listen) && !config->peer.advertise.text)
        aff_complain(
            fill->source, aff_fill_place(fill, &config->peer.listen, NULL),
            "peer.listen: %s is all addresses: peer.advertise must say which one other nodes reach this one by",
            config->peer.listen.text);
}

/* ---- static lists ---- */

static void complain_of_line(const struct aff_fill *fill, const struct aff_config_keyspace *k,
                             const struct aff_config_property *line, const char *what)
{
    aff_complain(fill->source, line->mark, "keyspaces.%s.assign.%s: %s", k->name, aff_show(aff_str(line->name)).text,
                 what);
}

/* Marks the partitions of a line; false when one had a line already. */
static bool mark_line(const struct aff_assign *assign, bool *seen)
{
    bool once = true;
    for (uint32_t p = assign->first; p <= assign->last; p++) {
        once &= !seen[p];
        seen[p] = true;
    }
    return once;
}

static void check_assign(const struct aff_fill *fill, const struct aff_config_keyspace *k)
{
    bool *seen = k->assign.count ? aff_xcalloc(k->partitions, sizeof *seen) : NULL;
    bool right = true;
    for (size_t i = 0; i < k->assign.count; i++) {
        const struct aff_config_property *line = &k->assign.items[i];
        struct aff_assign assign;
        aff_error err;
        bool read = aff_assign_read(k, line, &assign, &err);
        right &= read;
        if (!read)
            complain_of_line(fill, k, line, err.text);
        else if (!mark_line(&assign, seen))
            complain_of_line(fill, k, line, "a partition of it stands in another line, too");
    }
    for (uint32_t p = 0; seen && right && p < k->partitions; p++)
        if (!seen[p]) {
            aff_complain(fill->source, k->assign.items[0].mark,
                         "keyspaces.%s.assign: partition %u has no nodes: all %u partitions must be given", k->name, p,
                         k->partitions);
            break;
        }
    free(seen);
}

void aff_check_cluster(const struct aff_fill *fill)
{
    const struct aff_config *config = fill->config;
    for (size_t i = 0; i < config->keyspaces_count; i++)
        check_assign(fill, &config->keyspaces[i]);
    check_auth(fill);
    if (config->coordinator != AFF_COORDINATOR_ZOOKEEPER)
        return;
    check_needs(fill);
    check_lease(fill);
    check_security(fill);
    check_addresses(fill);
}
