/*
 * store.h - the state of one partition: an LMDB environment that is a cache of the changelog.
 *
 * Values with their versions, expiry times, the idempotency table, the dirty set, the ended masterships and the
 * checkpoint live in named databases of one environment; what a batch changes and the checkpoint that says so commit in
 * one transaction (I8).
 *
 * Threads. The writer functions (struct aff_store) run on the partition's loop. Readers (struct aff_store_reader)
 * belong to one loop each and read committed snapshots while the writer works; there is one per loop and store. No
 * snapshot outlives a pass of its loop: a held one would keep every page that is written meanwhile.
 *
 * Durability. Nothing is synced but the marker files: after a crash of the process the store is used as it stands
 * (the kernel has the pages); after a crash of the machine (another boot id and no clean close) it is thrown away and
 * rebuilt from the log.
 */
#ifndef AFF_STORE_STORE_H
#define AFF_STORE_STORE_H

#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"

#include <affinity/bytes.h>
#include <affinity/error.h>
#include <stdint.h>

struct aff_store;
struct aff_store_reader;
struct aff_indexes;

#define AFF_KEY_MAX 511

struct aff_store_opts {
    const char *folder;  /* made when missing, with those above it; one environment each */
    uint64_t map_bytes;  /* most that the store can ever hold, 1 MiB at least; address space only */
    unsigned readers;    /* readers that will be opened */
    const char *boot_id; /* NULL: /proc/sys/kernel/random/boot_id; tests bring their own */
    bool scratch; /* for this process alone: begins empty, nothing is synced, the kernel removes it when it is closed */
    const struct aff_logger *logger;
    const struct aff_indexes *indexes; /* index.h; NULL: none. Borrowed while the store is open */
};

/*
 * Opens or creates. `*ret_fresh` is true when the store is empty because it is new or had to be thrown away (the
 * reason is logged). Errors: AFF_EBUSY (another process has it), AFF_EINVAL (the options), AFF_ENOSPACE, AFF_EIO.
 */
int aff_store_open(const struct aff_store_opts *opts, struct aff_store **ret_store, bool *ret_fresh, aff_error *err);
/* Clean close: syncs and marks it so. Uncommitted changes are dropped; if there are some, on the thread that made them.
 * All readers are freed before. Accepts NULL, returns NULL. */
struct aff_store *aff_store_close(struct aff_store *store);
/* Gives about `bytes` of a scratch store's space back, so that closing it, which is all that may follow, does not take long.
 * True: there is more. On the writer's thread. */
bool aff_store_dissolve(struct aff_store *store, uint64_t bytes);
/* Removes what a process that was killed while it opened a scratch store left of it. */
void aff_store_sweep(const char *folder);
/* Throws all content away, committed; the store is open and empty afterwards. Readers go on: a snapshot that one
 * holds stays whole until it is done with. Time is that of walking all pages. On an error nothing is thrown away. */
int aff_store_wipe(struct aff_store *store, aff_error *err);

/* ---- what is stored ---- */

struct aff_version {
    int64_t offset;     /* of the record that made the value */
    int64_t time_ms;    /* its log append time */
    int64_t expires_ms; /* AFF_NO_TIME (INT64_MIN): never */
    int64_t event_ms;   /* event time, AFF_NO_TIME: none */
};

struct aff_item {
    struct aff_version version;
    aff_bytes content_type;
    aff_bytes value;
};

/* ---- writer: one open transaction at a time, begun by the first change or read ---- */

/* 1 found, 0 absent, or an error. Sees the changes of the open transaction. Views live until the next change or
 * commit. */
int aff_store_get(struct aff_store *store, aff_bytes key, struct aff_item *ret_item);
/* The bytes of the item must not be views of this store. AFF_EINVAL: the key is empty or longer than AFF_KEY_MAX (all
 * functions that take a key); AFF_ETOOLARGE: a value over 1 GiB, a content type over 65,535 bytes; AFF_ENOSPACE. */
int aff_store_put(struct aff_store *store, aff_bytes key, const struct aff_item *item) AFF_MUST_USE;
int aff_store_delete(struct aff_store *store, aff_bytes key) AFF_MUST_USE; /* absent is fine */

/*
 * Is there space for `bytes` more, whatever they are? Grows the file ahead of use (fallocate), since with a writable
 * map a full disk is a SIGBUS and not an error. AFF_ENOSPACE otherwise: the partition then refuses writes and serves
 * reads. `bytes` are those of all writes that are admitted and not applied yet, each counted as AFF_STORE_WRITE_MIN
 * at least: the trees are made of pages, and a write changes a few in each. Every change makes sure of its own space
 * as well, and returns AFF_ENOSPACE with nothing changed and the transaction as it was.
 */
#define AFF_STORE_WRITE_MIN 32768
int aff_store_room(struct aff_store *store, uint64_t bytes);

/* Commits what was changed since the last commit. On an error nothing of it is kept. */
int aff_store_commit(struct aff_store *store) AFF_MUST_USE;
void aff_store_abort(struct aff_store *store);

/* The first key in order of expiry with expires_ms <= now: 1 and its key and version, 0 when there is none, or an
 * error. `*after` (start with 0/empty) lets the caller walk on: pass the same cursor again. */
struct aff_expiry_cursor {
    int64_t expires_ms;
    size_t key_len;
    unsigned char key[AFF_KEY_MAX];
    bool started;
};
int aff_store_expired(struct aff_store *store, int64_t now_ms, struct aff_expiry_cursor *cursor,
                      struct aff_version *ret_version);

/* The checkpoint and other small values that the partition keeps with its state, by name; bytes are the caller's
 * format. */
int aff_store_meta_get(struct aff_store *store, const char *name, aff_bytes *ret_value); /* 1, 0, error */
/* As it is committed, whatever the open transaction has: at most `size` bytes are copied to `to`. */
int aff_store_meta_committed(struct aff_store *store, const char *name, void *to, size_t size, size_t *ret_len);
int aff_store_meta_put(struct aff_store *store, const char *name, aff_bytes value) AFF_MUST_USE;

/* Ordered side tables: small keys (at most 511 bytes) to small values. */
enum aff_table {
    AFF_TABLE_DIRTY,        /* keys whose last record is void (I6) */
    AFF_TABLE_IDEM,         /* idempotency: id digest to what was answered */
    AFF_TABLE_IDEM_BY_TIME, /* big-endian log time and id digest, to expire them */
    AFF_TABLE_EPOCHS,       /* ended masterships */
    AFF_TABLES
};
int aff_store_table_get(struct aff_store *store, enum aff_table table, aff_bytes key, aff_bytes *ret_value);
int aff_store_table_put(struct aff_store *store, enum aff_table table, aff_bytes key, aff_bytes value) AFF_MUST_USE;
int aff_store_table_delete(struct aff_store *store, enum aff_table table, aff_bytes key) AFF_MUST_USE;
/* The first entry with a key above `after` (len 0: the first of all): 1, 0 or an error. */
int aff_store_table_next(struct aff_store *store, enum aff_table table, aff_bytes after, aff_bytes *ret_key,
                         aff_bytes *ret_value);
uint64_t aff_store_table_count(struct aff_store *store, enum aff_table table);
uint64_t aff_store_count(struct aff_store *store); /* keys with a value */

/* ---- tally: digests of all values, whatever the order in which they came ---- */

struct aff_tally {
    struct aff_digest full;  /* all keys with content types, values and versions: equal stores have equal ones */
    struct aff_digest plain; /* the same without versions: what a reader of the log has that knows nothing of them */
    uint64_t count;          /* keys */
};

/* What one key adds: `plain` is the digest of key, content type and value; `full` that of `plain` and the version's four
 * numbers, 8 bytes each, big-endian. */
struct aff_tally aff_tally_of(aff_bytes key, const struct aff_item *item);
void aff_tally_add(struct aff_tally *sum, const struct aff_tally *more);
void aff_tally_subtract(struct aff_tally *sum, const struct aff_tally *less);

/*
 * The tally of a store, taken in slices while the writer goes on: changes of what was passed already are accounted for.
 * One at a time; all of it on the writer's thread, and freed before the store is closed.
 */
struct aff_store_tally;
int aff_store_tally_new(struct aff_store *store, struct aff_store_tally **ret_tally, aff_error *err);
struct aff_store_tally *aff_store_tally_free(struct aff_store_tally *tally); /* accepts NULL, returns NULL */
/* Takes about `bytes` more. 1: there is more; 0: it is whole, and stays so while the store changes; AFF_EAGAIN: there are
 * changes that are not committed, try again when they are; or an error. */
int aff_store_tally_step(struct aff_store_tally *tally, size_t bytes);
void aff_store_tally_get(const struct aff_store_tally *tally, struct aff_tally *ret_sum); /* of what is committed */

/* ---- readers: one per loop and store, on that loop's thread ---- */

int aff_store_reader_new(struct aff_store *store, struct aff_store_reader **ret_reader, aff_error *err);
struct aff_store_reader *aff_store_reader_free(struct aff_store_reader *reader);

/* 1 found, 0 absent, or an error. The views live until aff_store_reader_done(), which must come in the same pass. */
int aff_store_reader_get(struct aff_store_reader *reader, aff_bytes key, struct aff_item *ret_item);
/* A small value of the same snapshot (aff_store_meta_put): 1, 0, or an error. At most `size` bytes are copied to `to`. */
int aff_store_reader_meta(struct aff_store_reader *reader, const char *name, void *to, size_t size, size_t *ret_len);
void aff_store_reader_done(struct aff_store_reader *reader);

/* ---- steps over the keys, by a reader that holds no snapshot (scan.c) ---- */

struct aff_store_step {
    aff_bytes from;  /* the place, of any length; data NULL: before the first key, in reverse behind the last */
    aff_bytes until; /* exclusive, in reverse inclusive; data NULL: no bound */
    bool inclusive;  /* the key at `from`, too */
    bool reverse;    /* from `from` towards the first key */
    bool keys_only;  /* items come without their values */
};

/* What the copy of an entry takes besides its key and its stored bytes (item.h). */
#define AFF_STORE_STEP_HEAD 8

/*
 * Copies entries from the place on, as they are in one snapshot, and drops it: while all of them together are at most `budget`
 * bytes. When the first alone has more its key is copied without the item. `to` has room for budget + AFF_STORE_STEP_HEAD +
 * AFF_KEY_MAX bytes. 1: stopped for want of room; 0: those were the last; or an error, and then nothing was copied.
 */
int aff_store_reader_step(struct aff_store_reader *reader, const struct aff_store_step *step, void *to, size_t budget,
                          size_t *ret_len);

/*
 * Are these bytes whole entries as a step copies them, here or on another node; of an index when `indexed`? Nothing is taken on
 * trust; what is not said is whether they stand in order. On any thread, like the two below.
 */
bool aff_store_entries_check(aff_bytes entries, bool indexed);

struct aff_store_entry {
    aff_bytes key;
    struct aff_item item; /* when it is whole */
    bool whole;
};
/* The key alone of the entry that was copied to `at`, and how many bytes lie between it and the next one. */
aff_bytes aff_store_entry_key(const void *at, size_t *ret_size);
void aff_store_entry_read(const void *at, struct aff_store_entry *ret_entry); /* views of what lies at `at` */

#endif
