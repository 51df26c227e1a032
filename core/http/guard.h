/*
 * guard.h - is the framing of this request beyond doubt? If not, nothing of it is handled: 400 and a closed connection.
 *
 * libmicrohttpd 0.9.75 takes requests that a proxy in front may read in another way: Content-Length with
 * Transfer-Encoding, two Content-Length, a space before the colon, folded lines, a NUL in a value or in the target. What it
 * reports of them looks harmless: the value cut at the NUL, the continuation glued to the *name* of its field. But what it
 * reports are pointers into its read buffer, where it only writes NULs over delimiters:
 *
 *   GET./keys/a.HTTP/1.1..Host.·x..Accept.·a/b....          a '.' is a NUL, '·' a space
 *   ^   ^       ^         ^     ^
 *   method target version name  value
 *
 * So the guard demands that all parts together leave no byte unexplained: every part begins exactly where the one before
 * ended, plus its delimiter, and the last one ends where the head ends. A folded field has its name elsewhere (it was
 * copied); a NUL inside anything leaves a gap; so does a line that ends in LF alone, which proxies read differently too.
 *
 * The lines between chunks cannot be seen at all, so a connection ends with its first chunked body (exchange.c). One thing more
 * cannot be seen: libmicrohttpd overwrites CR LF by two NULs and LF by one, so a NUL at the end of a line whose LF
 * has no CR looks like that CR. A proxy that let a NUL in a head pass would break RFC 9110 (5.5).
 *
 * Pure: it compares pointers and reads only the parts. tests/fuzz/guard_fuzz.c holds it against a strict parser.
 */
#ifndef AFF_HTTP_GUARD_H
#define AFF_HTTP_GUARD_H

#include <affinity/bytes.h>
#include <stdint.h>

enum { AFF_GUARD_FIELDS_MAX = 100 };

struct aff_guard {
    const char *wrong; /* what was found first, in words; NULL: nothing so far */
    aff_bytes target;  /* only its place counts */
    const char *next;  /* where the next part has to begin */
    unsigned fields, hosts, lengths, codings;
    bool version_1_0;
    bool chunked;            /* the body is chunked */
    uint64_t content_length; /* of the body; 0 without one; meaningful when `lengths` is 1 */
};

/* The raw target where it stands in the buffer, up to the first NUL; before it is decoded in place. */
void aff_guard_begin(struct aff_guard *guard, aff_bytes target);
/* The rest of the request line. */
void aff_guard_line(struct aff_guard *guard, const char *method, const char *version);
/* Each field, in the order of arrival. */
void aff_guard_field(struct aff_guard *guard, aff_bytes name, aff_bytes value);
/* `head_end`: behind the empty line that ends the head. NULL when all is well, or what is wrong. */
const char *aff_guard_end(struct aff_guard *guard, const char *head_end);

#endif
