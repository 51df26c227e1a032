/*
 * conditional.h - entity tags, dates and the conditions of RFC 9110 (13): parsed, printed, and decided for reads.
 *
 * An entity tag is "<identity8>-<partition>-<offset>", identity8 in eight hexadecimal digits: strong, exact, and the same
 * wherever the value is served. "-gzip" behind it is the same version coded by gzip; conditions take either. Conditions of writes are decided by the partition, on what it is about to change.
 *
 * Pure; any thread.
 */
#ifndef AFF_HTTP_CONDITIONAL_H
#define AFF_HTTP_CONDITIONAL_H

#include "router/router.h"

/* ---- entity tags ---- */

enum { AFF_ETAG_TEXT_MAX = 48, AFF_ETAGS_MAX = 64 /* of one field */ };

/* With its quotes and a NUL behind; returns the length without the NUL. */
size_t aff_etag_print(struct aff_etag tag, char out[AFF_ETAG_TEXT_MAX]);
size_t aff_etag_print_gzip(struct aff_etag tag, char out[AFF_ETAG_TEXT_MAX]); /* of the coded form */
/* False: no tag of ours, in the one spelling that each of the two has. `text` has no quotes. */
bool aff_etag_parse(aff_bytes text, struct aff_etag *ret_tag);

struct aff_etags {
    bool any;       /* "*" */
    unsigned count; /* of those that can be ours; others match nothing and are left out */
    uint64_t gzip;  /* a bit for each: it is of the coded one */
    struct aff_etag tags[AFF_ETAGS_MAX];
};
/*
 * Reads the value of If-Match (`weak_match` false: a weak tag matches nothing) or If-None-Match (true). AFF_EINVAL with
 * `*ret_what`: not a list of entity tags, or too many.
 */
int aff_etags_parse(aff_bytes value, bool weak_match, struct aff_etags *ret_tags, const char **ret_what);
bool aff_etags_contain(const struct aff_etags *tags, struct aff_etag tag); /* coded or not */
/* Is it there as this one of its two forms? */
bool aff_etags_name(const struct aff_etags *tags, struct aff_etag tag, bool gzip);

/* ---- dates ---- */

enum { AFF_DATE_TEXT_LEN = 29 };

/* "Sun, 06 Nov 1994 08:49:37 GMT" and a NUL. */
void aff_date_print(int64_t time_ms, char out[AFF_DATE_TEXT_LEN + 1]);
/* Seconds since 1970 of an HTTP date in any of its three forms. False: it is none, and the field is to be ignored. */
bool aff_date_parse(aff_bytes text, int64_t now_ms, int64_t *ret_seconds);
/* A time of RFC 3339, "2026-07-14T09:30:00.250Z" or with an offset, in milliseconds since 1970; what is finer is cut off. */
bool aff_date_parse_rfc3339(aff_bytes text, int64_t *ret_ms);

/* ---- reads ---- */

/* What came with a GET; NULL or false: the field did not. */
struct aff_read_conditions {
    const struct aff_etags *match, *none_match;
    bool has_modified_since, has_unmodified_since;
    int64_t modified_since, unmodified_since; /* seconds */
};

enum aff_verdict {
    AFF_VERDICT_PROCEED,
    AFF_VERDICT_NOT_MODIFIED, /* 304 */
    AFF_VERDICT_FAILED,       /* 412 */
};

/* Decides in the order of RFC 9110, 13.2.2. `exists` false: there is no value, `tag` and `time_ms` do not count. */
enum aff_verdict aff_conditions_decide(const struct aff_read_conditions *conditions, bool exists, struct aff_etag tag,
                                       int64_t time_ms);

#endif
