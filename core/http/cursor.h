/*
 * cursor.h - the place where a scan goes on, as a text for clients: opaque to them, whole in itself, good for ever.
 *
 * base64url, without padding, of
 *
 *   version  1   1
 *   order    1   0 ascending, 1 descending
 *   query    8   the beginning of the digest of what else is asked for
 *   key     1..  the last one that was told
 *   check    4   CRC-32 of all before it, big-endian: against typing errors, not against people
 *
 * It names nothing of the node that made it, so it outlives restarts and goes to any node.
 *
 * Pure; any thread.
 */
#ifndef AFF_HTTP_CURSOR_H
#define AFF_HTTP_CURSOR_H

#include "base/digest.h"
#include "router/router.h" /* AFF_KEY_MAX */

enum { AFF_CURSOR_TEXT_MAX = (14 + AFF_KEY_MAX + 2) / 3 * 4 };

/* What a cursor belongs to. */
struct aff_cursor_of_scan {
    bool reverse;
    struct aff_digest query;
};

size_t aff_cursor_print(struct aff_cursor_of_scan scan, aff_bytes key, char out[AFF_CURSOR_TEXT_MAX]);
/* NULL, and the key in `key`; or what is wrong, and what would be right. */
const char *aff_cursor_parse(aff_bytes text, struct aff_cursor_of_scan scan, unsigned char key[AFF_KEY_MAX],
                             size_t *ret_len);

#endif
