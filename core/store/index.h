/*
 * index.h - secondary indexes of a store: from what a value says (a term) to its key, kept in the transaction of the value.
 *
 * The store knows no formats: whoever opens it says which indexes there are and brings a function that finds the terms of a
 * value. A term is a byte string whose order is that of memcmp. An index remembers the digest of its declaration: one that is
 * new, or declared differently than when it was built, is built from the values in slices while the store serves; one that is
 * not declared any more is removed in slices. What was done commits with the place where it goes on, so after a crash it does,
 * and an index is read only once it is whole.
 *
 * An entry of an index is
 *
 *     term, with 00 written as 00 FF  |  00 01  |  key
 *
 * so that entries stand in the order of (term, key). LMDB's keys end at 511 bytes: an entry that is too long for that is cut
 * and followed by a digest of the whole; its key is the value of the entry in LMDB. Such entries stand in the order of what is
 * left of them; whether the term of one is in a range is looked up in the value (index_read.c), so that answers are exact.
 */
#ifndef AFF_STORE_INDEX_H
#define AFF_STORE_INDEX_H

#include "store/store.h"

enum { AFF_INDEXES_MAX = 16, AFF_INDEX_NAME_MAX = 40 };
enum { AFF_TERMS_MAX = 64 };  /* of one value in one index; further ones are not kept */
enum { AFF_INDEX_ENTRY_MAX = 509 }; /* bytes of an entry */

/* Takes the terms of a value, in any order, with repetitions. */
struct aff_terms {
    int (*add)(struct aff_terms *to, unsigned index, aff_bytes term); /* 0, or an error to return */
};

struct aff_index_decl {
    const char *name;         /* 1 to AFF_INDEX_NAME_MAX bytes */
    struct aff_digest digest; /* of what makes the terms: equal ones find the same terms in all values */
};

/* The indexes of a store: constant while it is open. */
struct aff_indexes {
    struct aff_index_decl items[AFF_INDEXES_MAX];
    unsigned count;
    /* Tells `to` the terms of a value. Pure: the same value has the same terms. On any thread, several at a time. 0, AFF_ENOMEM,
     * or what `to` returned. */
    int (*find)(const struct aff_indexes *self, aff_bytes key, const struct aff_item *item, struct aff_terms *to);
};

/* ---- the writer's thread ---- */

/* Bytes that a write of the item (NULL: a delete) needs in aff_store_room() for the sake of the indexes. */
int aff_store_index_weight(struct aff_store *store, aff_bytes key, const struct aff_item *item, uint64_t *ret_bytes);

/* Is an index not whole yet, or not gone yet? */
bool aff_store_index_pending(const struct aff_store *store);
/* Builds or removes what about `bytes` of values or entries are, and commits it. 1: there is more; 0: done; AFF_EAGAIN: there
 * are changes that are not committed; or an error, and nothing was done. */
int aff_store_index_step(struct aff_store *store, size_t bytes);

/* ---- readers ---- */

/* A range of terms: `from` inclusive, `to` exclusive; data NULL: no bound. */
struct aff_index_range {
    unsigned index; /* its place in the declaration */
    aff_bytes from, to;
};

/*
 * As aff_store_reader_step(), over the entries of an index whose terms are in the range. What is copied has the entry's place in
 * the order of the index where that has a key (aff_store_entry_key()), and so have `from` and `until` of the step; the key of
 * the value is told by aff_index_entry_read(). AFF_EBUILDING: the index is not whole yet. `to` has room for budget +
 * AFF_STORE_STEP_HEAD + 2 * AFF_KEY_MAX + 2 bytes.
 */
int aff_store_reader_index_step(struct aff_store_reader *reader, const struct aff_index_range *range,
                                const struct aff_store_step *step, void *to, size_t budget, size_t *ret_len);
/* As aff_store_entry_read(); `ret_entry->key` is that of the value. */
void aff_index_entry_read(const void *at, struct aff_store_entry *ret_entry);

/* Has the value a term in the range that makes this place? For a value that was read later than its entry. 1, 0 or AFF_ENOMEM. */
int aff_index_holds(const struct aff_indexes *indexes, const struct aff_index_range *range, aff_bytes place, aff_bytes key,
                    const struct aff_item *item);

#endif
