/*
 * space.h - disk space ahead of use: no page of the map is written that the file system has not promised.
 *
 * With MDB_WRITEMAP LMDB makes the file as long as the map (sparse) and writes by memory stores; a store to a page
 * that the disk has no block for is a SIGBUS. So the first `allocated` pages of the file are fallocate'd, and every
 * change claims the pages that it can take at most before LMDB sees it:
 *
 *   0 ...... used ............ next ............................... allocated ............ most
 *   |  in the data |  taken by the  |   room; the end of it is kept   |   a hole of the file  |
 *                  |  transaction   |   for what the commit writes    |
 *
 * On the writer's thread, and the opener's before.
 */
#ifndef AFF_STORE_SPACE_H
#define AFF_STORE_SPACE_H

#include "base/log.h"

#include <lmdb.h>

struct aff_space {
    const struct aff_logger *logger;
    const char *folder; /* for log lines; borrowed */
    int fd;             /* LMDB's, of the data file */
    uint64_t page;      /* bytes */
    uint64_t most;      /* pages of the map */
    uint64_t allocated; /* pages */
    uint64_t used;      /* pages, when the open transaction began */
    uint64_t next;      /* the open transaction has used none from here on; a bound, or exact */
    uint64_t free_tree; /* pages of LMDB's own list of free pages */
    bool exact;         /* the transaction tells how many pages it has taken */
    bool full;          /* the disk refused lately */
};

/* Allocates what the data uses, and a first step more if the disk has it. A disk without any is found by the first
 * claim, so that reads can be served. 0 or AFF_EIO. */
int aff_space_init(struct aff_space *space, MDB_env *env, const char *folder, const struct aff_logger *logger);

void aff_space_begin(struct aff_space *space, MDB_txn *txn);           /* a transaction has begun */
void aff_space_committed(const struct aff_space *space, MDB_env *env); /* checks that it kept to what it claimed */

/* Makes sure of `pages` more for one change, and counts them as taken. 0, or AFF_ENOSPACE and nothing is counted. */
int aff_space_claim(struct aff_space *space, MDB_txn *txn, uint64_t pages);
/* The same for emptying all trees, which has room when the change before it had. */
int aff_space_claim_wipe(struct aff_space *space, MDB_txn *txn);
/* Makes sure of them without counting. */
int aff_space_ensure(struct aff_space *space, MDB_txn *txn, uint64_t pages);

/* Gives the space back from its end on, about `bytes` of it; the data is lost. True: there is more. */
bool aff_space_dissolve(struct aff_space *space, uint64_t bytes);

/*
 * At most so many pages does one put or delete in one tree take, besides those of a long value: it copies the pages
 * on its path and, deleting, their siblings, and splits each level once; LMDB's cursors are 32 levels deep.
 */
#define AFF_SPACE_CHANGE 100
/* The pages of a value of `size` bytes that does not fit into a leaf. */
static inline uint64_t aff_space_of_value(const struct aff_space *space, uint64_t size)
{
    return size < space->page / 4 ? 0 : size / space->page + 2;
}

/* What changes of `bytes` altogether may take, each small one counted as AFF_STORE_WRITE_MIN (store.h). */
static inline uint64_t aff_space_of_writes(const struct aff_space *space, uint64_t bytes)
{
    return 8 * AFF_SPACE_CHANGE + 2 * (bytes / space->page + 1);
}

#endif
