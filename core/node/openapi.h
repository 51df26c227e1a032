/*
 * openapi.h - what the node serves, told to clients: the text of /openapi.json, and the page of /docs.
 *
 * The text is made once, when a node is built: openapi.json is its frame, with what is the same for every keyspace and command
 * as templates; openapi.c fills them in for the keyspaces and commands that are served. The same ones give the same text.
 */
#ifndef AFF_NODE_OPENAPI_H
#define AFF_NODE_OPENAPI_H

#include "http/server.h"
#include "node/keyspaces.h"

/* To be freed with free(). Ends the process when there is no memory: nothing in it has a size that a client chose. */
char *aff_openapi_text(const char *cluster, const struct aff_served_list *served);

/* The two as the HTTP layer takes them; `text` must live as long as they are served. */
struct aff_http_document aff_openapi_document(const char *text);
struct aff_http_document aff_docs_document(void);

#endif
