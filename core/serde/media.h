/*
 * media.h - media types as they stand in Content-Type and Accept (RFC 9110, 8.3.1 and 12.5.1).
 *
 * Pure views on the header's bytes; any thread. Types and subtypes compare without regard to case; parameters are checked
 * for form and otherwise left alone.
 */
#ifndef AFF_SERDE_MEDIA_H
#define AFF_SERDE_MEDIA_H

#include <affinity/bytes.h>

/* A character of a token (RFC 9110, 5.6.2): letters, digits and !#$%&'*+-.^_`|~ */
bool aff_is_token_char(unsigned char c);
/* At least one character, all of them a token's. */
bool aff_is_token(aff_bytes text);
/* Without the spaces and tabs around it. */
aff_bytes aff_trimmed(aff_bytes text);
/* Letters compare without regard to case. */
bool aff_same_word(aff_bytes text, const char *word);

struct aff_media {
    aff_bytes type, subtype; /* "application", "json" */
    aff_bytes essence;       /* "application/json": both, without parameters */
};

/* False: not a media type. Spaces around the whole are allowed. */
bool aff_media_parse(aff_bytes text, struct aff_media *ret_media);

/* application/json, or any type whose subtype ends in "+json". */
bool aff_media_is_json(const struct aff_media *media);

/* The same type, parameters aside; `essence` is like "application/json". */
bool aff_media_is(const struct aff_media *media, const char *essence);

/*
 * Does an Accept field allow this type (with a weight above 0)? The most specific range decides. A field that cannot be read
 * allows everything, as if it were not there.
 */
bool aff_media_accepted(aff_bytes accept, const struct aff_media *media);

/* The same with the weight itself, from 0 to 1000: 1000 where none is said, or where the field cannot be read. */
unsigned aff_media_weight(aff_bytes accept, const struct aff_media *media);

#endif
