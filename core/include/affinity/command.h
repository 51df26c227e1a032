/*
 * affinity/command.h - application code that runs next to the data.
 *
 * A command runs on the master of its key, one at a time per key. It reads its own key's value, may stage one write to it, and
 * answers or refuses. What it staged goes to the changelog as one record; the answer leaves only after that record is durable
 * and valid. Any result but 0 discards what was staged.
 *
 * Kinds and their contexts:
 *   aff_cmd   a command that may write: POST /v1/{keyspace}/{key}/{command}; runs on the loop that owns the partition
 *   aff_read  a command that only reads: GET of the same path (POST too); runs on any loop, concurrently, on a snapshot
 *   aff_later a command that asks other keys and answers when they have answered: affinity/ask.h
 *
 * The first two and every view they hand out live until the function returns. Commands must not block: a loop serves many
 * clients. A command may run again when its record turned out void, so it keeps no state outside its key; time and randomness
 * are fine, since only the master runs it and standbys apply its record.
 */
#ifndef AFFINITY_COMMAND_H
#define AFFINITY_COMMAND_H

#include <affinity/bytes.h>
#include <affinity/error.h>
#include <affinity/export.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct aff_cmd aff_cmd;
typedef struct aff_read aff_read;
typedef struct aff_later aff_later;

/* A value as it is stored. */
typedef struct aff_value {
    aff_bytes bytes;
    aff_bytes content_type;
    uint32_t partition;
    int64_t offset;  /* position in the changelog: the version */
    int64_t time_ms; /* log append time, milliseconds since 1970 */
} aff_value;

/* A way in which a command can refuse: declared as a constant, so clients can rely on its type and status. */
typedef struct aff_failure {
    const char *type;  /* last part of the problem type, [a-z0-9-]+ */
    int status;        /* HTTP status, 400 to 499 */
    const char *title; /* one sentence, the same each time */
} aff_failure;

typedef int aff_cmd_fn(aff_cmd *cmd);
typedef int aff_read_fn(aff_read *read);
typedef int aff_later_fn(aff_later *later); /* 0: it has replied, or will; any other code is the reply */

/* One command of a keyspace. Exactly one of `run`, `read` and `later` is set. */
typedef struct aff_command {
    size_t size;       /* sizeof(aff_command) */
    const char *name;  /* [a-z][a-z0-9-]{0,39}: the last segment of the path */
    aff_cmd_fn *run;   /* may write */
    aff_read_fn *read; /* only reads */
    const char *accepts; /* media type of the body, NULL: application/json; a body of another type is 415; "*" takes any */
    const char *doc;   /* one sentence */
    void *user;        /* handed to the function */
    /* What /openapi.json tells besides; each may be NULL. Schemas are texts of JSON Schema 2020-12: nothing is checked by them. */
    const char *request;                 /* schema of the body; NULL: anything of the type, or nothing */
    const char *reply;                   /* schema of the answer, which is JSON, with 200; NULL: anything */
    const aff_failure *const *failures;  /* every way in which it refuses, ends with NULL; NULL: any */
    aff_later_fn *later; /* asks others, see affinity/ask.h */
} aff_command;
#define AFF_COMMAND_END { 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL }

/* ---- in a command that may write ---- */

AFF_API aff_bytes aff_cmd_key(const aff_cmd *cmd);
AFF_API const aff_value *aff_cmd_value(const aff_cmd *cmd); /* NULL: no such key; sees the command merged before it */
AFF_API aff_bytes aff_cmd_body(const aff_cmd *cmd);         /* of the request; empty when there is none */
AFF_API aff_bytes aff_cmd_body_type(const aff_cmd *cmd);    /* its media type without parameters */
AFF_API void *aff_cmd_user(const aff_cmd *cmd);             /* aff_command.user */

/* Stages the new value (copied); the last call counts. content_type NULL: application/json, and then the bytes must be JSON
 * (AFF_EJSON). AFF_ETOOLARGE, AFF_ENOMEM. */
AFF_API int aff_cmd_put(aff_cmd *cmd, aff_bytes value, const char *content_type) AFF_MUST_USE;
AFF_API int aff_cmd_delete(aff_cmd *cmd) AFF_MUST_USE; /* stages a delete; no such key: nothing is staged */
AFF_API int aff_cmd_ttl(aff_cmd *cmd, int64_t ttl_ms) AFF_MUST_USE; /* lifetime of what is staged, above 0 */

/* The answer (copied). Without it: 200 with the staged value, or 204. content_type NULL: application/json. */
AFF_API int aff_cmd_reply(aff_cmd *cmd, int status, aff_bytes body, const char *content_type) AFF_MUST_USE;
/* Refuses: fills a problem+json answer and returns AFF_EREFUSED, so `return aff_cmd_fail(...)`. */
AFF_API int aff_cmd_fail(aff_cmd *cmd, const aff_failure *failure, const char *format, ...) AFF_PRINTF(3, 4);
/* Memory that lives until the answer is sent; NULL when there is none. */
AFF_API void *aff_cmd_alloc(aff_cmd *cmd, size_t size);

/* ---- in a command that only reads: the same, without the writes ---- */

AFF_API aff_bytes aff_read_key(const aff_read *read);
AFF_API const aff_value *aff_read_value(const aff_read *read);
AFF_API aff_bytes aff_read_body(const aff_read *read);
AFF_API aff_bytes aff_read_body_type(const aff_read *read);
AFF_API void *aff_read_user(const aff_read *read);
AFF_API int aff_read_reply(aff_read *read, int status, aff_bytes body, const char *content_type) AFF_MUST_USE;
AFF_API int aff_read_fail(aff_read *read, const aff_failure *failure, const char *format, ...) AFF_PRINTF(3, 4);
AFF_API void *aff_read_alloc(aff_read *read, size_t size);

#ifdef __cplusplus
}
#endif
#endif
