/*
 * client.h - requests of a subcommand to a node, one after the other. libcurl is named in client.c alone. One thread.
 */
#ifndef AFF_CLI_CLIENT_H
#define AFF_CLI_CLIENT_H

#include "base/cleanup.h"

#include <affinity/error.h>
#include <jansson.h>

struct aff_client;

/* `url` is "http://HOST:PORT", with or without a '/' behind it. AFF_EINVAL: it is not; the text follows "--url ". */
int aff_client_new(const char *url, struct aff_client **ret_client, aff_error *err);
struct aff_client *aff_client_free(struct aff_client *client); /* accepts NULL, returns NULL */
AFF_CLEANUP_OF(struct aff_client, aff_client_free)

/*
 * Sends a request without a body and takes the JSON of an answer of 2xx. AFF_EIO: there is no answer, or not one of a
 * node; AFF_EREFUSED: the node says no; the text has its reason.
 */
int aff_client_ask(struct aff_client *client, const char *method, const char *target, json_t **ret_json, aff_error *err);

#endif
