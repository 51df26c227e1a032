/*
 * expiry.h - the index of expiry times: which key is due first.
 *
 * An entry is the time (big-endian, sign flipped, so that bytes compare as times do), then the key; its value is
 * empty. A key that is too long for that, LMDB's keys ending at 511 bytes, is cut and followed by a digest of the
 * whole, which then is the value. Plain entries, no DUPSORT: two keys hardly ever share a millisecond, no sub-trees
 * come and go, and deleting duplicates had defects that were mended after LMDB 0.9.24 only (ITS#9376, ITS#9461).
 *
 * It changes in step with the values only: store.c. On the writer's thread.
 */
#ifndef AFF_STORE_EXPIRY_H
#define AFF_STORE_EXPIRY_H

#include "store/inner.h"

/* `key`, which may have an entry at `from_ms`, has one at `to_ms` then; AFF_NO_TIME: none. The space is claimed. */
int aff_expiry_move(struct aff_store *store, aff_bytes key, int64_t from_ms, int64_t to_ms);
/* No key has an entry? Then nobody needs to look for the one of a key. */
bool aff_expiry_unused(struct aff_store *store);

#endif
