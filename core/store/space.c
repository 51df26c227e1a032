/*
 * space.c - see space.h.
 *
 * The file grows in steps of half its size, within 2 MiB and 256 MiB; on a disk that is nearly full, by what is needed.
 *
 * It is allocated in whole granules of 2 MiB: the kernel may keep so many bytes of a file in one folio, and to make
 * one page of a folio writable it asks the file system for blocks of all its pages (seen on ext4 with Linux 6.18: a
 * SIGBUS in front of the last block that was allocated). On btrfs the file must not be copy-on-write (env.c sees to
 * it); ZFS and other such file systems promise nothing by fallocate, and there a full disk can end the process.
 */
#include "store/space.h"

#include <affinity/error.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define GRANULE (UINT64_C(2) << 20)
#define STEP_MIN GRANULE
#define STEP_MAX (UINT64_C(256) << 20)

/*
 * Pages that a commit may take when the file has `allocated`: it copies the list of free pages (the tree, and one
 * number of 8 bytes for each page: an eighth of what is set aside), and the records of the named databases.
 */
static uint64_t commit_reserve(const struct aff_space *space, uint64_t allocated)
{
    return space->free_tree + allocated / 64 + 64;
}

/* The least size of the file at which pages up to `next` and a commit have room: commit_reserve() solved for it. */
static uint64_t least_for(const struct aff_space *space, uint64_t next)
{
    return (next + space->free_tree + 64) * 64 / 63 + 2;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static bool is_full(int rc)
{
    return rc == ENOSPC || rc == EDQUOT || rc == EFBIG;
}

/* Allocates from page `from` to `to` at least: to the end of its granule, or of the map. */
static int allocate(struct aff_space *space, uint64_t from, uint64_t to)
{
    uint64_t granule = GRANULE / space->page;
    to = smaller((to + granule - 1) / granule * granule, space->most);
    int rc;
    do {
        rc = posix_fallocate(space->fd, (off_t)(from * space->page), (off_t)((to - from) * space->page));
    } while (rc == EINTR);
    if (rc == 0)
        space->allocated = to;
    return rc;
}

/* What a refused allocation got before the disk was full (ext4 keeps it) is for others, the changelog among them. */
static void give_back(const struct aff_space *space, uint64_t from)
{
    off_t start = (off_t)(from * space->page), end = (off_t)(space->most * space->page);
    if (start < end)
        (void)fallocate(space->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, start, end - start);
}

static uint64_t step(const struct aff_space *space, uint64_t pages)
{
    uint64_t bytes = pages * space->page / 2;
    bytes = bytes < STEP_MIN ? STEP_MIN : bytes > STEP_MAX ? STEP_MAX : bytes;
    return bytes / space->page;
}

static int refused(struct aff_space *space, int rc, uint64_t pages)
{
    if (!space->full)
        aff_log(space->logger, WARN, "store.full", aff_f_str("folder", space->folder),
                aff_f_int("allocated_bytes", (int64_t)(space->allocated * space->page)),
                aff_f_int("wanted_bytes", (int64_t)(pages * space->page)),
                aff_f_str("reason", rc ? strerror(rc) : "the map is full"));
    space->full = true;
    return rc == 0 || is_full(rc) ? AFF_ENOSPACE : AFF_EIO;
}

static int grow(struct aff_space *space, uint64_t least)
{
    if (least >= space->most)
        return refused(space, 0, least);
    int rc = space->full ? ENOSPC : allocate(space, space->allocated, least + step(space, least));
    if (is_full(rc)) {
        rc = allocate(space, space->allocated, least);
        give_back(space, space->allocated);
    }
    if (rc)
        return refused(space, rc, least);
    if (space->full)
        aff_log(space->logger, INFO, "store.space", aff_f_str("folder", space->folder),
                aff_f_int("allocated_bytes", (int64_t)(space->allocated * space->page)));
    space->full = false;
    return 0;
}

/* What the data uses was allocated when it was written, but a copy of the file may have got holes. (To allocate it
 * again is no way to be sure: XFS asks for free space as if it were not.) */
static uint64_t known_allocated(const struct aff_space *space, uint64_t used)
{
    struct stat st;
    uint64_t granule = GRANULE / space->page;
    if (fstat(space->fd, &st) || (uint64_t)st.st_blocks * 512 < used * space->page)
        return 0;
    return used / granule * granule;
}

int aff_space_init(struct aff_space *space, MDB_env *env, const char *folder, const struct aff_logger *logger)
{
    MDB_envinfo info;
    MDB_stat stat;
    *space = (struct aff_space){ .logger = logger, .folder = folder };
    mdb_env_info(env, &info);
    mdb_env_stat(env, &stat);
    mdb_env_get_fd(env, &space->fd);
    space->page = stat.ms_psize;
    space->most = info.me_mapsize / space->page;
    uint64_t used = info.me_last_pgno + 1, more = step(space, used);
    space->allocated = known_allocated(space, used);
    int rc;
    while (is_full(rc = allocate(space, space->allocated, used + more)) && more > 0)
        more /= 2; /* what was ahead of use before is found by trying */
    if (more < step(space, used))
        give_back(space, space->allocated > used ? space->allocated : used);
    int code = rc ? refused(space, rc, used) : 0;
    return code == AFF_ENOSPACE ? 0 : code;
}

/*
 * LMDB tells nobody how many pages an open transaction has taken; without that a batch of 10,000 changes would have
 * to claim AFF_SPACE_CHANGE pages each. In every release since 0.9.10 its MDB_txn begins with these words; where they
 * are not what they must be when a transaction begins, the claims of the changes are counted instead, which only
 * costs space.
 */
struct txn_head {
    const void *parent, *child;
    size_t next_page, id;
};

static struct txn_head head_of(const MDB_txn *txn)
{
    struct txn_head head;
    memcpy(&head, (const void *)txn, sizeof head);
    return head;
}

void aff_space_begin(struct aff_space *space, MDB_txn *txn)
{
    MDB_envinfo info;
    MDB_stat free_pages;
    mdb_env_info(mdb_txn_env(txn), &info);
    mdb_stat(txn, 0, &free_pages);
    space->used = space->next = info.me_last_pgno + 1;
    space->free_tree = free_pages.ms_branch_pages + free_pages.ms_leaf_pages;
    struct txn_head head = head_of(txn);
    space->exact = !head.parent && !head.child && head.next_page == space->next && head.id == mdb_txn_id(txn);
}

void aff_space_committed(const struct aff_space *space, MDB_env *env)
{
    MDB_envinfo info;
    mdb_env_info(env, &info);
    assert(info.me_last_pgno < space->next + commit_reserve(space, space->allocated));
    assert(info.me_last_pgno < space->allocated || info.me_last_pgno < space->used);
    (void)space;
}

int aff_space_ensure(struct aff_space *space, MDB_txn *txn, uint64_t pages)
{
    if (space->next + pages + commit_reserve(space, space->allocated) <= space->allocated)
        return 0;
    if (space->exact)
        space->next = head_of(txn).next_page;
    uint64_t least = least_for(space, space->next + pages);
    return least <= space->allocated ? 0 : grow(space, least);
}

int aff_space_claim(struct aff_space *space, MDB_txn *txn, uint64_t pages)
{
    int code = aff_space_ensure(space, txn, pages);
    if (code == 0)
        space->next += pages;
    return code;
}

int aff_space_claim_wipe(struct aff_space *space, MDB_txn *txn)
{
    enum { COPIES = 12 }; /* the page with the roots of the trees, and what the indexes remember of themselves */
    uint64_t least = space->next + COPIES + space->free_tree + space->allocated / 128 + 32;
    if (least > space->allocated)
        return aff_space_claim(space, txn, COPIES);
    space->next += COPIES;
    return 0;
}

bool aff_space_dissolve(struct aff_space *space, uint64_t bytes)
{
    uint64_t pages = smaller(space->allocated, bytes / space->page + 1);
    space->allocated -= pages;
    (void)fallocate(space->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(space->allocated * space->page),
                    (off_t)(pages * space->page));
    return space->allocated > 0;
}
