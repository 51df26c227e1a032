/*
 * advertise.c - see advertise.h.
 */
#include "node/advertise.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

void aff_advertised(const struct aff_config_address *advertise, const char *bound, char out[AFF_ADDRESS_MAX])
{
    const char *colon = strrchr(bound, ':');
    if (!advertise->text)
        (void)snprintf(out, AFF_ADDRESS_MAX, "%s", bound);
    else if (advertise->port)
        (void)snprintf(out, AFF_ADDRESS_MAX, "%s", advertise->text);
    else
        (void)snprintf(out, AFF_ADDRESS_MAX, strchr(advertise->host, ':') ? "[%s]:%s" : "%s:%s", advertise->host,
                       colon ? colon + 1 : "0");
}

void aff_advertised_http(const struct aff_config_http *http, const struct aff_config_address *peer, const char *bound,
                         char out[AFF_ADDRESS_MAX])
{
    const struct aff_config_address as_peer = { .text = peer->text, .host = peer->host };
    bool other = !http->advertise.text && aff_config_is_any(&http->listen);
    aff_advertised(other ? &as_peer : &http->advertise, bound, out);
}

int aff_advertised_number(const char *advertised, char out[AFF_ADDRESS_MAX], aff_error *err)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
    const char *colon = strrchr(advertised, ':');
    bool bracketed = advertised[0] == '[';
    char host[AFF_ADDRESS_MAX], number[64];
    struct addrinfo *found = NULL;
    int rc;
    if (!colon)
        return aff_fail_with(err, AFF_ECONFIG, "peer.advertise: '%s' is not host:port", advertised);
    (void)snprintf(host, sizeof host, "%.*s", (int)(colon - advertised) - 2 * bracketed, advertised + bracketed);
    rc = getaddrinfo(host, colon + 1, &hints, &found);
    if (rc == 0)
        rc = getnameinfo(found->ai_addr, found->ai_addrlen, number, sizeof number, NULL, 0, NI_NUMERICHOST);
    if (found)
        freeaddrinfo(found);
    if (rc != 0)
        return aff_fail_with(err, AFF_ECONFIG,
                             "peer.advertise: %s has no address here: %s; expected an address, or a name that this machine resolves",
                             host, gai_strerror(rc));
    (void)snprintf(out, AFF_ADDRESS_MAX, strchr(number, ':') ? "[%s]%s" : "%s%s", number, colon);
    return 0;
}
