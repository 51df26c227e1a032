/*
 * equal.h - are two JSON values the same? As RFC 6902, 4.6 wants it for `test`, and exactly: no number is rounded.
 *
 * Numbers are equal when their decimal values are (1, 1.0 and 10e-1; not 0.1 and 0.10000000000000000001), strings when their
 * characters are, whatever the escapes, arrays by their elements in order, objects by their members in any order. Of
 * members with the same name the last one counts.
 *
 * Pure; any thread.
 */
#ifndef AFF_SERDE_EQUAL_H
#define AFF_SERDE_EQUAL_H

#include "serde/tree.h"

/* 0 with *ret_equal, or AFF_ENOMEM. No recursion; n log n in the length of the texts, linear unless objects differ in order. */
int aff_json_equal(const struct aff_json_tree *a_tree, uint32_t a, const struct aff_json_tree *b_tree, uint32_t b,
                   bool *ret_equal) AFF_MUST_USE;

/* The texts of two numbers. */
bool aff_json_number_equal(aff_bytes a, aff_bytes b);

#endif
