/*
 * utf8.h - which characters a text of the configuration may hold. Any thread.
 */
#ifndef AFF_CONFIG_UTF8_H
#define AFF_CONFIG_UTF8_H

#include <stddef.h>

/*
 * Length of the character that the bytes begin with, or 0 when it is not well-formed UTF-8 or not printable in a quoted
 * YAML scalar as it is (controls, line and paragraph separators, byte order mark, surrogates, non-characters).
 */
size_t aff_utf8_printable(const unsigned char *bytes, size_t len);

#endif
