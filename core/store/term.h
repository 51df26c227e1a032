/*
 * term.h - the bytes of an entry of an index (index.h): how they are made, and what a range of terms is among them. Pure.
 *
 * As LMDB's key an entry stands behind the number of its index, 2 bytes, big-endian.
 */
#ifndef AFF_STORE_TERM_H
#define AFF_STORE_TERM_H

#include "store/index.h"

enum { AFF_INDEX_ID_LEN = 2 };

struct aff_index_entry {
    size_t len;
    bool cut; /* the key is the entry's value */
    unsigned char b[AFF_KEY_MAX]; /* with the number */
};

void aff_index_entry_make(uint16_t id, aff_bytes term, aff_bytes key, struct aff_index_entry *ret_entry);
static inline aff_bytes aff_index_entry_view(const struct aff_index_entry *entry)
{
    return aff_bytes_of(entry->b, entry->len);
}
/* The key of an entry that is not cut; data NULL: the entry is damaged. */
aff_bytes aff_index_entry_key(aff_bytes entry);

/* Where entries of a range lie. All whose term is in the range do; with `loose` others may, too. */
struct aff_index_bounds {
    struct aff_index_entry from, to; /* from inclusive, to exclusive */
    bool loose;
};
void aff_index_bounds_make(uint16_t id, const struct aff_index_range *range, struct aff_index_bounds *ret_range);

#endif
