/*
 * problem.h - errors as RFC 9457 `application/problem+json`, from the one table of <affinity/error.h>.
 *
 * Pure; any thread. doc/problems.md describes each type; a test compares it with the table.
 */
#ifndef AFF_HTTP_PROBLEM_H
#define AFF_HTTP_PROBLEM_H

#include "base/buf.h"

#include <affinity/error.h>

#define AFF_PROBLEM_TYPES "https://affinity.dev/problems/"
#define AFF_PROBLEM_MEDIA "application/problem+json"

struct aff_problem {
    int code;
    int status;           /* 0: the table's */
    const char *type;     /* NULL: the table's */
    const char *title;    /* NULL: the table's */
    aff_bytes detail;     /* any bytes; data NULL: none */
    const char *instance; /* URI reference, NULL: none */
    aff_bytes trace_id;   /* data NULL: none */
};

int aff_problem_status(const struct aff_problem *problem);
/* Appends the JSON object. False: out of memory. */
bool aff_problem_print(const struct aff_problem *problem, struct aff_buf *out) AFF_MUST_USE;

/*
 * Appends a whole HTTP/1.1 response with the problem and `Connection: close`: for connections on which libmicrohttpd cannot
 * be made to answer (before a request's head, or in the middle of its body).
 */
bool aff_problem_response(const struct aff_problem *problem, struct aff_buf *out) AFF_MUST_USE;

#endif
