/*
 * json.h - is this JSON? A check against the grammar of RFC 8259, and where it fails, what was expected there.
 *
 * Values are stored and served byte for byte, so nothing is parsed into anything: numbers may have any number of digits and
 * any exponent, names of members may repeat, and no number is ever printed again. What is checked beyond the grammar: the
 * text is UTF-8 without a byte order mark, and arrays and objects nest no deeper than the caller says. A `\u` escape of a
 * lone surrogate is accepted, as the grammar does; a surrogate as UTF-8 bytes is not.
 *
 * Pure: no allocation, no recursion; any thread. media.h beside it tells which media types are JSON.
 */
#ifndef AFF_SERDE_JSON_H
#define AFF_SERDE_JSON_H

#include "base/buf.h"

#include <affinity/bytes.h>
#include <affinity/error.h>

#define AFF_JSON_DEPTH_DEFAULT 128
#define AFF_JSON_DEPTH_MAX 1024

struct aff_json_error {
    size_t offset;     /* of the byte that does not fit, from 0; the text's length when it ended too early */
    size_t line;       /* from 1; lines end with LF */
    size_t column;     /* in characters, from 1 */
    char expected[64]; /* "',' or ']'", "a value" */
};

/*
 * 0, or AFF_EJSON with `ret_error` (may be NULL) filled. `max_depth` is from 1 to AFF_JSON_DEPTH_MAX: a text of that many
 * brackets in one another passes, one more does not.
 */
int aff_json_check(aff_bytes text, unsigned max_depth, struct aff_json_error *ret_error);

/* "line 3, column 14 (byte 52): expected ',' or '}'"; returns its length, cut to fit. */
size_t aff_json_error_print(const struct aff_json_error *error, char *out, size_t size);

/* Appends the text as a JSON string, quotes included; a byte that is not UTF-8 becomes U+FFFD. False: out of memory. */
bool aff_json_quote(aff_bytes text, struct aff_buf *out) AFF_MUST_USE;

/* The length of the UTF-8 character at `at`, which is below `end`: 1 to 4, or 0 when there is none. */
size_t aff_utf8_length(const unsigned char *at, const unsigned char *end);

#endif
