/*
 * affinity/index.h - secondary indexes of a keyspace: values are found by what they say, GET /v1/{keyspace}?index=name&value=...
 *
 * An index is declared by a JSON pointer, or by a function that tells the terms of a value. A term is null, a boolean, a number or
 * a string, in this order; a value may have several, of which the first 64 count. Indexes change in the transaction of the value.
 * One that is declared anew, or differently, is built while the node serves; queries on it are answered 503 until it is whole.
 */
#ifndef AFFINITY_INDEX_H
#define AFFINITY_INDEX_H

#include <affinity/command.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct aff_index_sink aff_index_sink; /* takes the terms of one value; lives until the function returns */

/*
 * Tells `sink` the terms of a value. On any loop, several at a time; must not block, and must be pure: the same key and value have
 * the same terms, in every process that opens the store, for as long as aff_index.version stays. 0, or what an aff_index_ function
 * returned.
 */
typedef int aff_index_fn(aff_bytes key, const aff_value *value, void *user, aff_index_sink *sink);

typedef struct aff_index {
    size_t size;         /* sizeof(aff_index) */
    const char *name;    /* [a-z][a-z0-9_-]{0,39} */
    const char *pointer; /* RFC 6901, "/branch": the scalar there, or the scalars of the array there, of values that are JSON */
    bool event_time;     /* the event time of the write, in milliseconds since 1970 */
    aff_index_fn *terms; /* exactly one of pointer, event_time and terms is set */
    unsigned version;    /* of `terms`: raise it when the function tells other terms than before; the index is built anew */
    void *user;          /* handed to `terms` */
} aff_index;
#define AFF_INDEX_END { 0, NULL, NULL, false, NULL, 0, NULL }

/* 0, or AFF_ENOMEM, which the function returns. */
AFF_API int aff_index_null(aff_index_sink *sink);
AFF_API int aff_index_bool(aff_index_sink *sink, bool value);
AFF_API int aff_index_int(aff_index_sink *sink, int64_t value);
AFF_API int aff_index_string(aff_index_sink *sink, aff_bytes utf8);
/* A scalar as JSON writes it, such as 0.1 or "x" with its quotes. AFF_EJSON: it is none. */
AFF_API int aff_index_json(aff_index_sink *sink, aff_bytes scalar);

#ifdef __cplusplus
}
#endif
#endif
