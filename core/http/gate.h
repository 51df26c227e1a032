/*
 * gate.h - what all loops share: how many connections there are, how many from one address, how many bytes of bodies.
 *
 * Any thread. Connections come and go under a lock that guards the table of addresses and nothing else; bodies are one atomic.
 */
#ifndef AFF_HTTP_GATE_H
#define AFF_HTTP_GATE_H

#include "http/server.h"

#include <sys/socket.h>

struct aff_gate_entry;

/* A connection's right to be there. */
struct aff_gate_pass {
    struct aff_gate *gate;        /* NULL: it has none */
    struct aff_gate_entry *entry; /* of its address */
};

/* False: a limit is reached. */
bool aff_gate_enter(struct aff_gate *gate, const struct sockaddr *address, struct aff_gate_pass *ret_pass);
void aff_gate_leave(struct aff_gate_pass *pass);

/* Takes bytes of the budget for bodies; false when there are not so many left. */
bool aff_gate_take(struct aff_gate *gate, uint64_t bytes);
void aff_gate_give(struct aff_gate *gate, uint64_t bytes);

/* Of requests; NULL: they have none. */
struct aff_quota *aff_gate_quota(const struct aff_gate *gate);

struct aff_gate_numbers {
    uint64_t connections, refused /* connections, ever */, bodies, clients /* that the quota knows */;
};
struct aff_gate_numbers aff_gate_read(const struct aff_gate *gate);

#endif
