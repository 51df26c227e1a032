/*
 * trace.h - W3C Trace Context: `traceparent`, which names the trace that a request belongs to. Pure but for the start; any thread.
 */
#ifndef AFF_HTTP_TRACE_H
#define AFF_HTTP_TRACE_H

#include <affinity/bytes.h>
#include <stdint.h>

enum { AFF_TRACE_LEN = 55, AFF_TRACE_ID_AT = 3, AFF_TRACE_ID_LEN = 32 };

/* Where ids come from; they are to differ, not to be secret. One thread. */
struct aff_trace_source {
    uint64_t state, mask;
};

void aff_trace_init(struct aff_trace_source *source); /* by the kernel's random numbers */

/*
 * What came, as version 00 and with a NUL behind. Of a later version the parts that this one knows. False: it is none, and is to be
 * replaced.
 */
bool aff_traceparent_read(aff_bytes text, char out[AFF_TRACE_LEN + 1]);
/* A trace that begins here; nobody has decided to record it. */
void aff_traceparent_make(struct aff_trace_source *source, char out[AFF_TRACE_LEN + 1]);

#endif
