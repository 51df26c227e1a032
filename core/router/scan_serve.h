/*
 * scan_serve.h - the answer to a part of a scan that another node makes (AFF_WIRE_SCAN).
 */
#ifndef AFF_ROUTER_SCAN_SERVE_H
#define AFF_ROUTER_SCAN_SERVE_H

#include "router/serve.h"

/* Ends the question, now or when its proof came. On the loop of the port. */
void aff_scan_serve(const struct aff_serving *serving);

#endif
