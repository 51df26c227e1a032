/*
 * term.h - JSON's scalars as byte strings whose order (memcmp, a shorter prefix first) is that of the values:
 *
 *   null < false < true < numbers < strings
 *
 *   null     01
 *   false    02
 *   true     03
 *   number   04, a sign (01 below zero, 02 zero, 03 above zero), and but for zero the exponent and the digits
 *   string   05, its bytes: strings stand in the order of their code points
 *
 * A number is taken as it is written, to its last digit: 0.d1d2d3... times ten to the power of an exponent, where d1 is no zero
 * and zeros at the end are left out; so 1, 1.0 and 10e-1 are one term, and 0.1 has no other neighbours than in decimal. The
 * exponent is a byte 80 plus the count of the bytes that follow (of a negative one: minus, and those bytes inverted), then its
 * bytes; digits stand in ASCII. Below zero all of that is inverted and ends with FF. Numbers whose exponent is beyond 10 to the
 * power of 15, and strings that are no Unicode, have no term.
 *
 * Pure; any thread.
 */
#ifndef AFF_SERDE_TERM_H
#define AFF_SERDE_TERM_H

#include "base/buf.h"
#include "serde/tree.h"

/* Each adds the term to `to`. 1; 0: it has none; AFF_ENOMEM. */
int aff_term_of_node(const struct aff_json_tree *tree, uint32_t node, struct aff_buf *to); /* 0: an array or object, too */
int aff_term_of_number(aff_bytes text, struct aff_buf *to); /* as JSON writes it */
int aff_term_of_int(int64_t number, struct aff_buf *to);
int aff_term_of_string(aff_bytes text, struct aff_buf *to); /* UTF-8, without quotes */
int aff_term_of_word(enum aff_json_type type, struct aff_buf *to); /* null, false or true */

/* What somebody asks for: a scalar as JSON writes it, "x" with its quotes, 12 or null; any other text is a string. */
int aff_term_of_text(aff_bytes text, struct aff_buf *to);

/* The first byte tells the type: all terms of it are from this one on to before the next. */
static inline unsigned char aff_term_type(aff_bytes term)
{
    return term.len ? *(const unsigned char *)term.data : 0;
}

#endif
