/*
 * verify.h - POST /verify and GET /verify: one partition after the other is compared with its changelog
 * (partition/audit.h), each on its own loop, while the node serves.
 *
 * At most one verification a node at a time; what the last one found is kept until the next begins.
 */
#ifndef AFF_NODE_VERIFY_H
#define AFF_NODE_VERIFY_H

#include "http/server.h"

struct aff_node;
struct aff_verify;

struct aff_verify *aff_verify_new(struct aff_node *node);      /* before the loops run */
struct aff_verify *aff_verify_free(struct aff_verify *verify); /* after; accepts NULL, returns NULL */

/* The page, as struct aff_http_admin asks for it. Any loop. */
int aff_verify_page(struct aff_verify *verify, const struct aff_http_verify *ask, struct aff_buf *body, aff_error *err);

/* The partitions of this loop are about to stop: the verification ends here. On that loop, each of them. */
void aff_verify_leave(struct aff_verify *verify, const struct aff_loop *loop);

#endif
