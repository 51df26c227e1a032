/*
 * vectors.h - the test vectors of doc/protocol.md: a line `vector NAME` and hexadecimal bytes up to an empty line or the
 * end of the block. PROTOCOL_MD is the path of the page.
 */
#ifndef AFF_TESTS_UNIT_CHANGELOG_VECTORS_H
#define AFF_TESTS_UNIT_CHANGELOG_VECTORS_H

#include "base/buf.h"

/* Fails the test, and prints what would be right, when the page has no such vector or another one. */
void vector_assert(const char *name, aff_bytes actual);

#endif
