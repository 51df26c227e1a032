/*
 * moves.h - masterships that are to move: the bodies of /cluster/drain and /cluster/handover. Any loop; nothing waits.
 */
#ifndef AFF_NODE_MOVES_H
#define AFF_NODE_MOVES_H

#include "http/server.h"
#include "node/inner.h"

/* 202 after a POST, 200; or a code, with what would be right in `err`. */
int aff_moves_drain(struct aff_node *node, const struct aff_http_move *move, struct aff_buf *body, aff_error *err);
int aff_moves_handover(struct aff_node *node, const struct aff_http_move *move, struct aff_buf *body, aff_error *err);

#endif
