/*
 * index_inner.h - what the files of the indexes share.
 *
 *   term.c         the bytes of an entry
 *   index.c        which indexes there are and how far each is built; the changes that come with those of a value
 *   index_build.c  slices of building and removing
 *   index_read.c   steps over the entries
 *
 * On the writer's thread, but for index_read.c, which sees only what is constant and its snapshot.
 */
#ifndef AFF_STORE_INDEX_INNER_H
#define AFF_STORE_INDEX_INNER_H

#include "store/inner.h"
#include "store/term.h"

#include "base/buf.h"

enum aff_index_stage {
    AFF_INDEX_WHOLE,
    AFF_INDEX_BUILDING, /* it has the terms of all values up to its place */
    AFF_INDEX_LEAVING,  /* declared no more; its entries are removed */
};

enum { AFF_INDEX_STATES = 4 * AFF_INDEXES_MAX };

/* What is remembered of an index. */
struct aff_index_state {
    uint16_t id; /* its entries begin with it */
    enum aff_index_stage stage;
    char name[AFF_INDEX_NAME_MAX + 1];
    struct aff_digest digest;
    size_t place_len;
    unsigned char place[AFF_KEY_MAX];
};

/* A change of one value: entries that go and entries that come. */
struct aff_index_edit {
    uint32_t at, len; /* in the bytes of the change */
    bool cut;
};

struct aff_index_edits {
    struct aff_index_edit *items; /* sorted by their entries, each once */
    size_t count, capacity;
};

struct aff_index_change {
    struct aff_buf bytes;
    struct aff_index_edits old, new;
};

struct aff_store_index {
    const struct aff_indexes *declared;
    MDB_dbi dbi;
    struct aff_index_state states[AFF_INDEX_STATES]; /* the first declared->count are those that are declared, in their order */
    unsigned count;
    struct aff_index_change change; /* of the value that is being changed */
};

/* The states as bytes of the meta value AFF_INDEX_META, and back; false: damaged. */
#define AFF_INDEX_META "indexes"
bool aff_index_states_write(const struct aff_store_index *index, struct aff_buf *to) AFF_MUST_USE;
bool aff_index_states_read(aff_bytes from, struct aff_index_state *ret_states, unsigned *ret_count) AFF_MUST_USE;

/* Puts the states into the open transaction. */
int aff_index_save(struct aff_store *store);
/* The pages that so many entries may take when they change. */
uint64_t aff_index_pages(struct aff_store *store, size_t entries);
/* Collects the entries that a value has in one index, whatever its stage. */
int aff_index_entries_of(struct aff_store *store, unsigned which, aff_bytes key, const struct aff_item *item);
/* Puts the entries that were collected. LMDB's code. */
int aff_index_put_new(struct aff_store *store, aff_bytes key);

#endif
