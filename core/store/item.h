/*
 * item.h - the bytes of a stored value.
 *
 *   flags      1   bit 0: expires_ms follows; bit 1: event_ms follows
 *   type       1   place in the table of content types, or 255: length and text follow
 *   offset     8
 *   time_ms    8
 *   expires_ms 8   when flagged
 *   event_ms   8   when flagged
 *   length     2   when type is 255, and the text
 *   value          the rest
 *
 * Numbers are big-endian. Pure.
 */
#ifndef AFF_STORE_ITEM_H
#define AFF_STORE_ITEM_H

#include "store/store.h"

#define AFF_CONTENT_TYPE_MAX 65535

size_t aff_item_size(const struct aff_item *item);
void aff_item_write(const struct aff_item *item, void *to);                   /* aff_item_size() bytes */
bool aff_item_read(aff_bytes stored, struct aff_item *ret_item) AFF_MUST_USE; /* views of `stored`; false: damaged */

#endif
