/*
 * advertise.h - the address that a node tells others to reach it by.
 */
#ifndef AFF_NODE_ADVERTISE_H
#define AFF_NODE_ADVERTISE_H

#include "config/config.h"

#include <affinity/error.h>

enum { AFF_ADDRESS_MAX = 96 };

/* As advertised, else as `bound` ("127.0.0.1:41234"). Port 0 of what is advertised stands for the bound one. */
void aff_advertised(const struct aff_config_address *advertise, const char *bound, char out[AFF_ADDRESS_MAX]);
/* The same of an HTTP listener: one on all addresses is reached where other nodes reach this node, at its own port. */
void aff_advertised_http(const struct aff_config_http *http, const struct aff_config_address *peer, const char *bound,
                         char out[AFF_ADDRESS_MAX]);

/*
 * The same with the host as a number, since a loop that connects to it cannot wait for a name server: this node asks once, for all. May
 * block; the owner's thread. AFF_ECONFIG: it has no address.
 */
int aff_advertised_number(const char *advertised, char out[AFF_ADDRESS_MAX], aff_error *err);

#endif
