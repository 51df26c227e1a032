/*
 * standby.h - reads from this node's copy of a partition that say how much of the log they must have seen; proven by the copy itself,
 * since a snapshot knows below which offset everything is applied in it.
 *
 *   after an offset   the copy is waited for; where no copy is held the leader is asked
 *   of an age         the leader was asked how far the log is, under the proof that a strict read needs, and the copy is that far:
 *                     then it is no older than that question. One question serves all who ask within the age that they allow.
 *                     A copy that is behind, or whose leader does not answer, is not waited for: the read goes to the leader.
 *
 * Everything is on the loop of the port.
 */
#ifndef AFF_ROUTER_STANDBY_H
#define AFF_ROUTER_STANDBY_H

#include "router/router.h"

/*
 * 0, and then aff_port_done() is due; AFF_EAGAIN: it cannot be answered at once, so ask by aff_port_read_bounded(); or a failure of
 * the store.
 */
int aff_port_get_bounded(struct aff_port *port, const struct aff_space *space, aff_bytes key,
                         const struct aff_bound *bound, struct aff_found *ret_found);
/* As aff_port_read(), but for the bound. AFF_ETIMEDOUT: the copy had not come so far by the deadline. */
void aff_port_read_bounded(struct aff_port *port, const struct aff_space *space, struct aff_call *call,
                           const struct aff_bound *bound);

struct aff_serving;
/* Answers AFF_WIRE_POSITION. */
void aff_position_serve(const struct aff_serving *serving);

/* ---- of a port's life (router.c, trip.c) ---- */

struct aff_standby *aff_standby_new(struct aff_port *port);
void aff_standby_close(struct aff_standby *standby); /* answers who waits for the copy: AFF_EDRAINING */
struct aff_standby *aff_standby_free(struct aff_standby *standby);

#endif
