/*
 * target.h - a request target taken apart: path segments and query, percent-decoded by us.
 *
 * libmicrohttpd decodes `%2F` and cuts at `%00` before a handler sees the path, so the raw target is kept (server.c) and
 * parsed here. A key is any bytes: `%2F` stays inside its segment, and no segment is ever dropped or resolved ("..").
 *
 * Pure; any thread.
 */
#ifndef AFF_HTTP_TARGET_H
#define AFF_HTTP_TARGET_H

#include <affinity/bytes.h>
#include <affinity/error.h>

enum { AFF_TARGET_SEGMENTS = 4 };

struct aff_target {
    bool asterisk;                           /* "*": the server as a whole (OPTIONS) */
    aff_bytes path;                          /* as it was sent, without the query: "/v1/words/a%2Fb" */
    aff_bytes query;                         /* as it was sent, without the '?'; data NULL: there was no '?' */
    unsigned count;                          /* of segments; AFF_TARGET_SEGMENTS + 1: more than fit */
    aff_bytes segments[AFF_TARGET_SEGMENTS]; /* decoded: "v1", "words", "a/b" */
};

/*
 * Takes `raw` apart: "/path?query", "http://host/path?query" (the host is ignored: Host decides) or "*". Segments without
 * escapes are views of `raw`, the others of `room`, which has at least raw.len bytes. 0, or AFF_EINVAL with what is wrong
 * in `*ret_what`.
 */
int aff_target_parse(aff_bytes raw, char *room, struct aff_target *ret_target, const char **ret_what);

/*
 * Takes the next `name=value` off the front of `*query` (application/x-www-form-urlencoded: '+' is a space here, and only
 * here). Decoded views of `room`, which has at least query->len bytes. 1, 0 at the end, AFF_EINVAL for a bad escape.
 */
int aff_query_next(aff_bytes *query, char *room, aff_bytes *ret_name, aff_bytes *ret_value);

/* The same undecoded: false at the end. */
bool aff_query_pair(aff_bytes *query, aff_bytes *ret_name, aff_bytes *ret_value);

/* Decodes as in a path ('+' is a plus) to `room`, which has at least text.len bytes. AFF_EINVAL for a bad escape. */
int aff_percent_decode(aff_bytes text, char *room, aff_bytes *ret_bytes);

/* NULL when the bytes can be a key, or what is wrong: a key has 1 to 511 bytes and does not begin with NUL. */
const char *aff_key_fault(aff_bytes key);

#endif
