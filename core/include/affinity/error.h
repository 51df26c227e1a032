/*
 * affinity/error.h - the one error scheme of the library.
 *
 * A function that can fail returns 0 or a negative code of this table. Functions that are called while a node is set up
 * also fill a `struct aff_error` with a text that names what was wrong and what would be right.
 *
 * The same table gives the HTTP status and the RFC 9457 problem type of each code, so an error has one meaning whether
 * it is read by a C caller, by an HTTP client or in a log line.
 */
#ifndef AFFINITY_ERROR_H
#define AFFINITY_ERROR_H

#include <affinity/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * X(name, code, HTTP status, problem type, title)
 *
 * The problem type is the last part of the URI `https://affinity.dev/problems/<type>`; each is described in doc/problems.md.
 * Codes are part of the ABI: never renumber, only add.
 */
#define AFF_ERROR_TABLE(X)                                                                                            \
    X(ENOMEM, -1, 503, "out-of-memory", "Out of memory")                                                              \
    X(EINVAL, -2, 400, "bad-request", "The request is not valid")                                                     \
    X(ENOTFOUND, -3, 404, "not-found", "No such key")                                                                 \
    X(EPRECONDITION, -4, 412, "precondition-failed", "The precondition does not hold")                                \
    X(EPRECONDITIONREQUIRED, -5, 428, "precondition-required", "This keyspace demands If-Match or If-None-Match")     \
    X(ECONFLICT, -6, 409, "conflict", "The request conflicts with the present state")                                 \
    X(EIDRUNNING, -7, 409, "idempotency-running", "A request with this Idempotency-Key is still running")             \
    X(EIDREUSED, -8, 422, "idempotency-reused", "This Idempotency-Key came with another request before")              \
    X(EREFUSED, -9, 422, "refused", "The command refused")                                                            \
    X(ENOMASTER, -10, 503, "no-master", "The partition has no master at this moment")                                 \
    X(EDRAINING, -11, 503, "draining", "The node is shutting down")                                                   \
    X(EQUEUEFULL, -12, 503, "queue-full", "Too many requests are waiting")                                            \
    X(EVOID, -13, 503, "not-applied", "The write was provably not applied")                                           \
    X(EUNKNOWN, -14, 504, "outcome-unknown", "The outcome of the write is not known yet")                             \
    X(ENOSPACE, -15, 507, "no-space", "No space left for the write")                                                  \
    X(ETOOLARGE, -16, 413, "content-too-large", "The content is too large")                                           \
    X(EMEDIATYPE, -17, 415, "unsupported-media-type", "The media type is not supported here")                         \
    X(EJSON, -18, 400, "bad-json", "The content is not JSON as RFC 8259 defines it")                                  \
    X(EMETHOD, -19, 405, "method-not-allowed", "The method is not allowed here")                                      \
    X(EURITOOLONG, -20, 414, "uri-too-long", "The request target is too long")                                        \
    X(EHEADERS, -21, 431, "headers-too-large", "The header fields are too large")                                     \
    X(ELENGTH, -22, 411, "length-required", "The request needs a Content-Length")                                     \
    X(ETIMEDOUT, -23, 503, "timed-out", "The deadline passed before the request was begun")                           \
    X(EIO, -24, 503, "io", "Input or output failed")                                                                  \
    X(ECORRUPT, -25, 503, "corrupt", "Stored data is damaged")                                                        \
    X(EBUSY, -26, 503, "busy", "The resource is held by somebody else")                                               \
    X(EAGAIN, -27, 503, "try-again", "Not possible at this moment")                                                   \
    X(ECLOSED, -28, 503, "closed", "The node or connection is closed")                                                \
    X(ECONFIG, -29, 500, "configuration", "The configuration is not valid")                                           \
    X(EFRAMING, -30, 400, "bad-framing", "The framing of the request is ambiguous")                                   \
    X(ENOROUTE, -31, 404, "no-route", "There is nothing at this path")                                                \
    X(EREQUESTTIMEOUT, -32, 408, "request-timeout", "The request did not arrive in time")                             \
    X(ENOTACCEPTABLE, -33, 406, "not-acceptable", "No acceptable representation")                                     \
    X(EBUG, -34, 500, "internal", "A defect of the server")                                                           \
    X(EUNSAFE, -35, 503, "unsafe-log", "The changelog does not keep what is promised")                                \
    X(ESTALLED, -36, 503, "log-stalled", "The changelog does not confirm writes at this moment")                      \
    X(EBUILDING, -37, 503, "index-building", "The index is being built")                                         \
    X(EPATCH, -38, 422, "bad-patch", "The content is JSON, but not a patch")                                          \
    X(EPATCHFAILED, -39, 409, "patch-failed", "The patch does not fit the present value")                             \
    X(ERATE, -40, 429, "too-many-requests", "The client sends too many requests")

typedef enum aff_code {
    AFF_OK = 0,
#define AFF_ERROR_ENUM(name, code, status, type, title) AFF_##name = (code),
    AFF_ERROR_TABLE(AFF_ERROR_ENUM)
#undef AFF_ERROR_ENUM
} aff_code;

/* A code with a text for people. The text is always NUL-terminated and names the thing that was wrong. */
typedef struct aff_error {
    int code; /* 0 or an AFF_E... */
    char text[508];
} aff_error;

/* All four: any thread, never NULL; 0 is "OK" with status 200, an unknown code yields the entry of AFF_EBUG. */
AFF_API const char *aff_error_name(int code);  /* "EPRECONDITION" */
AFF_API const char *aff_error_title(int code); /* "The precondition does not hold" */
AFF_API const char *aff_error_type(int code);  /* "precondition-failed" */
AFF_API int aff_error_status(int code);        /* 412 */

/* Fills `err` (may be NULL) and returns `code`, so that a caller can write `return aff_fail_with(err, AFF_EINVAL, ...)`. */
AFF_API int aff_fail_with(aff_error *err, int code, const char *format, ...) AFF_PRINTF(3, 4);

#ifdef __cplusplus
}
#endif
#endif
