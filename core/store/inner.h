/*
 * inner.h - what the files of the store share; nothing outside this folder includes it.
 *
 *   env.c      opens, closes, throws away, wipes      store.c   the writer: its transaction and the values
 *   marker.c   who has the folder, how it was left    expiry.c  the index of expiry times
 *   space.c    disk space ahead of use                tables.c  meta values and side tables
 *   item.c     the bytes of a stored value            tally.c   digests of all values
 *   reader.c   snapshots for other loops              scan.c    steps over the keys in such a snapshot
 *   index.c    secondary indexes: index_inner.h
 */
#ifndef AFF_STORE_INNER_H
#define AFF_STORE_INNER_H

#include "store/index.h"
#include "store/marker.h"
#include "store/space.h"
#include "store/store.h"

#include <lmdb.h>
#include <stdatomic.h>

/* The named databases of an environment; one for each enum aff_table from AFF_DB_TABLES on. */
enum aff_db {
    AFF_DB_VALUES, /* key -> item.h */
    AFF_DB_EXPIRY, /* expiry.h */
    AFF_DB_META,   /* name -> bytes */
    AFF_DB_TABLES,
    AFF_DBS = AFF_DB_TABLES + AFF_TABLES
};

struct aff_store_reader {
    struct aff_store *store;
    MDB_txn *txn;
    MDB_cursor *cursor; /* over the values, of its steps; NULL until the first */
    bool holds;         /* a snapshot */
};

struct aff_store {
    const struct aff_logger *logger;
    char *folder;
    bool scratch;
    struct aff_marker marker;
    MDB_env *env;
    MDB_dbi dbi[AFF_DBS];
    struct aff_store_index *index; /* NULL: there are none */

    /* the writer's */
    MDB_txn *txn;                  /* NULL: none is open */
    int failure;                   /* what spoiled the open transaction; it can only be dropped */
    bool changed;                  /* values in the open transaction */
    bool written;                  /* anything in it */
    struct aff_store_tally *tally; /* NULL: none is taken */
    struct aff_space space;

    /* anybody's */
    atomic_uint readers;
    atomic_bool corrupt; /* damage was met: the next open throws the store away */
};

static inline MDB_val aff_to_val(aff_bytes b)
{
    return (MDB_val){ b.len, (void *)b.data };
}

static inline aff_bytes aff_of_val(MDB_val v)
{
    return aff_bytes_of(v.mv_data ? v.mv_data : "", v.mv_size);
}

static inline bool aff_store_key_fits(aff_bytes key)
{
    return key.data && key.len > 0 && key.len <= AFF_KEY_MAX;
}

/*
 * LMDB orders the writer and the readers: what was committed is seen whole, and no page that a reader may look at is
 * written. Its library is not built with ThreadSanitizer, which therefore is told. In other builds these are nothing.
 */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define AFF_STORE_TELLS_TSAN 1
#endif
#elif defined(__SANITIZE_THREAD__)
#define AFF_STORE_TELLS_TSAN 1
#endif
#if defined(AFF_STORE_TELLS_TSAN)
void __tsan_acquire(void *at);
void __tsan_release(void *at);
#endif

/* What others did before their aff_store_leaves() has happened. */
static inline void aff_store_enters(struct aff_store *store)
{
#if defined(AFF_STORE_TELLS_TSAN)
    __tsan_acquire(store);
#endif
    (void)store;
}

static inline void aff_store_leaves(struct aff_store *store)
{
#if defined(AFF_STORE_TELLS_TSAN)
    __tsan_release(store);
#endif
    (void)store;
}

/* The code of the library for what LMDB or the system returned; notes damage. Any thread. */
int aff_store_code(struct aff_store *store, int rc);

/* LMDB's code: the first entry with a key above `after` (len 0: the first of all). */
int aff_store_seek(MDB_cursor *at, aff_bytes after, MDB_val *k, MDB_val *v);

/* tally.c, for the writer; harmless when none is taken. `item` NULL: the key goes. */
int aff_tally_change(struct aff_store *store, aff_bytes key, const struct aff_item *item);
void aff_tally_ended(struct aff_store *store, bool committed);
void aff_tally_wiped(struct aff_store *store);

/* index.c. A change of a value: what it changes in the indexes is found, claimed and, with the value, applied. Only with an index. */
int aff_index_change_find(struct aff_store *store, aff_bytes key, const struct aff_item *item); /* NULL: the key goes */
uint64_t aff_index_change_pages(struct aff_store *store);
int aff_index_change_apply(struct aff_store *store, aff_bytes key);
/* Once, when the databases are there; commits. */
int aff_index_open(struct aff_store *store, const struct aff_indexes *declared, aff_error *err);
void aff_index_close(struct aff_store *store);
int aff_index_wipe(struct aff_store *store); /* behind that of the other databases, in the open transaction */
void aff_index_wiped(struct aff_store *store); /* it is committed */

/* reader.c: takes a snapshot unless there is one. */
int aff_store_reader_hold(struct aff_store_reader *reader);

/* Begins the writer's transaction unless it is open. */
int aff_store_begin(struct aff_store *store);
/* The same code, kept as the reason why the open transaction can only be dropped. `rc` is not MDB_SUCCESS. */
int aff_store_spoiled(struct aff_store *store, int rc);

#endif
