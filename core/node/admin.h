/*
 * admin.h - what a node says about itself: the bodies of /livez, /readyz, /metrics and /cluster.
 *
 * Any loop; everything is read from what the loops publish, nothing waits for another thread.
 */
#ifndef AFF_NODE_ADMIN_H
#define AFF_NODE_ADMIN_H

#include "base/buf.h"
#include "node/inner.h"

#include <jansson.h>

/* Each appends its body and returns the status: 200, or 503 when the answer is no; AFF_ENOMEM. */
int aff_admin_livez(const struct aff_node *node, struct aff_buf *body);
int aff_admin_readyz(struct aff_node *node, bool verbose, struct aff_buf *body);
int aff_admin_metrics(struct aff_node *node, struct aff_buf *body); /* metrics.c */
/* The part of /metrics that is of the cluster, cluster_metrics.c; false: no memory. */
bool aff_admin_cluster_metrics(const struct aff_node *node, struct aff_buf *body);
int aff_admin_cluster(const struct aff_node *node, struct aff_buf *body); /* cluster_page.c */

const char *aff_role_name(enum aff_role role);

/* ---- what these files share ---- */

const char *aff_admin_mode(const struct aff_node *node);
json_t *aff_admin_part(const struct aff_part_info *info); /* name, role, whether it serves, why it failed */
/* Appends the body, which is consumed, and a line end; returns the status, or AFF_ENOMEM. */
int aff_admin_print(json_t *body, int status, struct aff_buf *to);

#endif
