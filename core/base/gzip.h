/*
 * gzip.h - text coded by gzip (RFC 1952), the same bytes for the same text and level each time.
 *
 * A coder takes one text after another, each in as many parts as it comes in. It has about 270 KiB; nothing is allocated while
 * it codes but in the buffer that it appends to. One thread.
 */
#ifndef AFF_BASE_GZIP_H
#define AFF_BASE_GZIP_H

#include "base/buf.h"
#include "base/cleanup.h"

struct aff_gzip;

/* `level` 1 (fast) to 9 (small). NULL: out of memory. */
struct aff_gzip *aff_gzip_new(int level);
struct aff_gzip *aff_gzip_free(struct aff_gzip *gzip); /* accepts NULL, returns NULL */
AFF_CLEANUP_OF(struct aff_gzip, aff_gzip_free)

/*
 * Appends what the next part comes to; the coder holds some of it back until the part that is the `last`. After that, and when
 * it fails, the next part begins another text. False: out of memory, `out` ends somewhere in the text.
 */
bool aff_gzip_add(struct aff_gzip *gzip, aff_bytes part, bool last, struct aff_buf *out) AFF_MUST_USE;

#endif
