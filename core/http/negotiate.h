/*
 * negotiate.h - what a client asks for beside the thing itself: codings, Prefer, lifetimes, consistency, idempotency.
 *
 * Pure; any thread.
 */
#ifndef AFF_HTTP_NEGOTIATE_H
#define AFF_HTTP_NEGOTIATE_H

#include <affinity/bytes.h>
#include <affinity/error.h>
#include <stdint.h>

/* How a body travels; none: the client takes no way that there is. */
enum aff_coding { AFF_CODING_IDENTITY, AFF_CODING_GZIP, AFF_CODING_NONE };

/*
 * What Accept-Encoding (RFC 9110, 12.5.3; data NULL: it did not come) makes of a body that can be coded by gzip, or cannot. Of two
 * codings the one with the larger weight; gzip when they are equal, or when identity is not mentioned. A field that cannot be
 * read is ignored.
 */
enum aff_coding aff_coding_choose(aff_bytes accept_encoding, bool gzip_fits);

/* Text of some kind, which gzip makes smaller: "text/plain", "application/json", "image/svg+xml". */
bool aff_media_shrinks(aff_bytes content_type);

enum aff_return { AFF_RETURN_DEFAULT, AFF_RETURN_MINIMAL, AFF_RETURN_REPRESENTATION };

/* `return` of Prefer (RFC 7240); the first one counts. Other preferences, and what cannot be read, are ignored. */
enum aff_return aff_prefer_return(aff_bytes prefer);

/* "30s", "500ms", "15m", "12h", "7d": from 1 ms to 36500d. False: something else. */
bool aff_ttl_parse(aff_bytes text, int64_t *ret_ms);

/* Affinity-Event-Time: milliseconds since 1970, also before it. */
bool aff_event_time_parse(aff_bytes text, int64_t *ret_ms);

/* What a read must see: every write that was answered before, or what this node's copy has. */
enum aff_consistency {
    AFF_CONSISTENCY_STRICT,
    AFF_CONSISTENCY_EVENTUAL,
    AFF_CONSISTENCY_AT_LEAST, /* what this node's copy has, once it has the record at a place of the changelog */
    AFF_CONSISTENCY_MAX_LAG,  /* what this node's copy has, if that is no older than so long */
};
struct aff_wanted_consistency {
    enum aff_consistency kind;
    uint32_t partition; /* AT_LEAST */
    int64_t offset;
    int64_t max_lag_ms; /* MAX_LAG */
};

/* Affinity-Consistency. NULL: it is in *ret_wanted. Otherwise what is wrong with it. */
const char *aff_consistency_parse(aff_bytes text, struct aff_wanted_consistency *ret_wanted);

/* Idempotency-Key: 1 to 255 visible characters. */
bool aff_idempotency_key_fits(aff_bytes text);

#endif
