/*
 * advertise.c - see advertise.h.
 */
#include "node/advertise.h"

#include <stdio.h>
#include <string.h>

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
