/*
 * env.c - opens a store, throws it away when it cannot be trusted, empties it, closes it.
 *
 * Everything that can fail happens before the marker says "open", so a start that is refused leaves a clean store
 * clean. On the thread that starts and stops the partition; wiping on the partition's loop.
 */
#include "base/alloc.h"
#include "base/cleanup.h"
#include "store/inner.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAP_UNIT (UINT64_C(1) << 20)

enum { READERS_SPARE = 4, READER_SLOT = 64 };

static const char *const db_names[AFF_DBS] = {
    [AFF_DB_VALUES] = "values",
    [AFF_DB_EXPIRY] = "expiry",
    [AFF_DB_META] = "meta",
    [AFF_DB_TABLES + AFF_TABLE_DIRTY] = "dirty",
    [AFF_DB_TABLES + AFF_TABLE_IDEM] = "idem",
    [AFF_DB_TABLES + AFF_TABLE_IDEM_BY_TIME] = "idem_by_time",
    [AFF_DB_TABLES + AFF_TABLE_EPOCHS] = "epochs",
};

/* ---- files ---- */

static int make_folder(const char *folder, aff_error *err)
{
    char path[PATH_MAX];
    size_t len = strlen(folder);
    if (len == 0 || len >= sizeof path)
        return aff_fail_with(err, AFF_EINVAL, "store: a folder's name has 1 to %d bytes", PATH_MAX - 1);
    memcpy(path, folder, len + 1);
    for (char *at = path + 1;; at++) {
        if (*at && *at != '/')
            continue;
        char kept = *at;
        *at = '\0';
        if (mkdir(path, 0700) && errno != EEXIST)
            return aff_fail_with(err, errno == ENOSPC ? AFF_ENOSPACE : AFF_EIO, "store: cannot make the folder %s: %s",
                                 path, strerror(errno));
        *at = kept;
        if (!kept)
            return 0;
    }
}

/* The size of the data file as it was left, 0 when there is none; and what it takes on the disk. */
static uint64_t data_size(const struct aff_store *store, uint64_t *ret_on_disk)
{
    struct stat st;
    if (fstatat(store->marker.folder_fd, "data.mdb", &st, 0))
        return *ret_on_disk = 0;
    *ret_on_disk = (uint64_t)st.st_blocks * 512;
    return (uint64_t)st.st_size;
}

void aff_store_sweep(const char *folder)
{
    static const char *const files[] = { "data.mdb", "lock.mdb", "owner", "marker" };
    AFF_CLEANUP(aff_closep) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; fd >= 0 && i < sizeof files / sizeof *files; i++)
        (void)unlinkat(fd, files[i], 0);
    (void)rmdir(folder);
}

static int discard(struct aff_store *store, const char *reason, aff_error *err)
{
    static const char *const files[] = { "data.mdb", "lock.mdb" };
    aff_log(store->logger, WARN, "store.discarded", aff_f_str("folder", store->folder), aff_f_str("reason", reason));
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (unlinkat(store->marker.folder_fd, files[i], 0) && errno != ENOENT)
            return aff_fail_with(err, AFF_EIO, "store: cannot remove %s/%s: %s", store->folder, files[i],
                                 strerror(errno));
    }
    return 0;
}

/* Opens or makes a file that is written through a map. On btrfs one that is not copy-on-write, while it is empty:
 * there no other can be promised space (space.h). A file system without that flag refuses it, which is fine. */
static int open_file(const struct aff_store *store, const char *name, struct stat *ret_st)
{
    int flags, fd = openat(store->marker.folder_fd, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return -1;
    if (fstat(fd, ret_st))
        ret_st->st_size = 0;
    if (ret_st->st_size == 0 && ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0) {
        flags |= FS_NOCOW_FL;
        (void)ioctl(fd, FS_IOC_SETFLAGS, &flags);
    }
    return fd;
}

/* LMDB makes the files itself if need be; here they get what it does not know of. Its table of readers is written
 * through a map as well and must have no hole. */
static int make_files(const struct aff_store *store, unsigned readers, aff_error *err)
{
    struct stat st = { 0 };
    AFF_CLEANUP(aff_closep) int data = open_file(store, "data.mdb", &st);
    AFF_CLEANUP(aff_closep) int table = data < 0 ? -1 : open_file(store, "lock.mdb", &st);
    off_t size = ((off_t)readers * READER_SLOT / 4096 + 1) * 4096;
    int rc = table < 0 ? errno : 0;
    if (rc == 0 && (st.st_size < size || st.st_blocks * 512 < size))
        rc = posix_fallocate(table, 0, size);
    if (rc)
        return aff_fail_with(err, rc == ENOSPC || rc == EDQUOT ? AFF_ENOSPACE : AFF_EIO,
                             "store: cannot make the files in %s: %s", store->folder, strerror(rc));
    return 0;
}

/* ---- the environment ---- */

static int env_error(struct aff_store *store, int rc, const char *what, aff_error *err)
{
    return aff_fail_with(err, aff_store_code(store, rc), "store: cannot %s %s: %s", what, store->folder,
                         mdb_strerror(rc));
}

/* Reading ahead wins while the data fits into memory, and evicts what is in use when it does not. */
static unsigned readahead_flag(uint64_t on_disk)
{
    uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    return on_disk > memory / 2 ? MDB_NORDAHEAD : 0;
}

static int open_env(struct aff_store *store, const struct aff_store_opts *opts, uint64_t on_disk, aff_error *err)
{
    int rc = mdb_env_create(&store->env);
    if (rc)
        return env_error(store, rc, "open", err);
    unsigned readers = opts->readers + READERS_SPARE;
    int code = make_files(store, readers, err);
    if (code)
        return code;
    mdb_env_set_mapsize(store->env, opts->map_bytes / MAP_UNIT * MAP_UNIT);
    mdb_env_set_maxdbs(store->env, AFF_DBS + 1); /* and that of the indexes */
    mdb_env_set_maxreaders(store->env, readers);
    unsigned flags = MDB_NOSYNC | MDB_WRITEMAP | MDB_NOTLS | readahead_flag(on_disk);
    rc = mdb_env_open(store->env, store->folder, flags, 0600);
    return rc ? env_error(store, rc, "open", err) : 0;
}

static int check_size(struct aff_store *store, uint64_t size, aff_error *err)
{
    MDB_envinfo info;
    MDB_stat stat;
    mdb_env_info(store->env, &info);
    mdb_env_stat(store->env, &stat);
    uint64_t used = (info.me_last_pgno + 1) * (uint64_t)stat.ms_psize;
    if (info.me_last_txnid > 0 && size < used)
        return aff_fail_with(err, AFF_ECORRUPT, "data.mdb in %s has %llu bytes and should have %llu", store->folder,
                             (unsigned long long)size, (unsigned long long)used);
    return 0;
}

/* In a transaction that is the caller's. LMDB's code. */
static int open_dbs(struct aff_store *store, MDB_txn *txn, unsigned flags)
{
    int rc = MDB_SUCCESS;
    for (unsigned i = 0; i < AFF_DBS && rc == MDB_SUCCESS; i++)
        rc = mdb_dbi_open(txn, db_names[i], flags, &store->dbi[i]);
    return rc;
}

static int find_dbs(struct aff_store *store, aff_error *err)
{
    MDB_txn *txn = NULL;
    int rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
    if (rc == MDB_SUCCESS) {
        rc = open_dbs(store, txn, 0);
        if (rc == MDB_SUCCESS)
            rc = mdb_txn_commit(txn); /* keeps the handles */
        else
            mdb_txn_abort(txn);
    }
    return rc ? env_error(store, rc == MDB_NOTFOUND ? MDB_CORRUPTED : rc, "find a database in", err) : 0;
}

static int create_dbs(struct aff_store *store, aff_error *err)
{
    int code = aff_store_begin(store);
    if (code == 0)
        code = aff_space_claim(&store->space, store->txn, AFF_SPACE_CHANGE);
    if (code == 0) {
        int rc = open_dbs(store, store->txn, MDB_CREATE);
        code = rc ? aff_store_spoiled(store, rc) : aff_store_commit(store);
    }
    return code ? aff_fail_with(err, code, "store: cannot make the databases in %s: %s", store->folder,
                                aff_error_title(code))
                : 0;
}

/* Opens the data that is there, or begins new data. AFF_ECORRUPT: it cannot be read. */
static int open_data(struct aff_store *store, const struct aff_store_opts *opts, bool *ret_fresh, aff_error *err)
{
    uint64_t on_disk, size = data_size(store, &on_disk);
    int code = open_env(store, opts, on_disk, err);
    if (code == 0)
        code = check_size(store, size, err);
    if (code)
        return code;
    code = aff_space_init(&store->space, store->env, store->folder, store->logger);
    if (code)
        return aff_fail_with(err, code, "store: cannot allocate disk space in %s", store->folder);
    MDB_envinfo info;
    mdb_env_info(store->env, &info);
    *ret_fresh = info.me_last_txnid == 0;
    return *ret_fresh ? 0 : find_dbs(store, err);
}

static void close_env(struct aff_store *store)
{
    if (store->env)
        mdb_env_close(store->env);
    store->env = NULL;
    atomic_store(&store->corrupt, false);
}

/* ---- open and close ---- */

static struct aff_store *store_free(struct aff_store *store)
{
    if (!store)
        return NULL;
    aff_store_abort(store);
    aff_index_close(store);
    close_env(store);
    aff_marker_fini(&store->marker);
    free(store->folder);
    free(store);
    return NULL;
}
AFF_CLEANUP_OF(struct aff_store, store_free)

/* Why data that was left so must not be used; NULL: it may. */
static const char *distrust(enum aff_left left)
{
    switch (left) {
    case AFF_LEFT_CLOSED:
    case AFF_LEFT_RUNNING:
        return NULL;
    case AFF_LEFT_NEW:
        return "it has no marker";
    case AFF_LEFT_LOST:
        return "the machine stopped before it was closed";
    case AFF_LEFT_DAMAGED:
        return "its marker says that it is damaged, or is of another format";
    }
    return "its marker is unknown";
}

static int open_trusted(struct aff_store *store, const struct aff_store_opts *opts, enum aff_left left, bool *ret_fresh,
                        aff_error *err)
{
    uint64_t on_disk;
    int code = 0;
    if (distrust(left) && data_size(store, &on_disk) > 0)
        code = discard(store, distrust(left), err);
    if (code)
        return code;
    aff_error problem = { 0 };
    code = open_data(store, opts, ret_fresh, &problem);
    if (code == AFF_ECORRUPT) {
        close_env(store);
        code = discard(store, problem.text, &problem);
        if (code == 0)
            code = open_data(store, opts, ret_fresh, &problem);
    }
    return code ? aff_fail_with(err, code, "%s", problem.text) : 0;
}

int aff_store_open(const struct aff_store_opts *opts, struct aff_store **ret_store, bool *ret_fresh, aff_error *err)
{
    if (opts->map_bytes < MAP_UNIT || opts->map_bytes > SIZE_MAX / 2)
        return aff_fail_with(err, AFF_EINVAL, "store: map_bytes is %llu and must be 1 MiB at least",
                             (unsigned long long)opts->map_bytes);
    AFF_CLEANUP(store_freep) struct aff_store *store = aff_xcalloc(1, sizeof *store);
    store->marker = (struct aff_marker){ .folder_fd = -1, .owner_fd = -1, .fd = -1 };
    store->logger = opts->logger;
    store->folder = aff_xstrdup(opts->folder);
    store->scratch = opts->scratch;

    enum aff_left left = AFF_LEFT_NEW;
    bool fresh = false;
    int code = make_folder(opts->folder, err);
    if (code == 0)
        code = aff_marker_init(&store->marker, opts->folder, opts->boot_id, &left, err);
    if (code == 0)
        code = open_trusted(store, opts, opts->scratch ? AFF_LEFT_NEW : left, &fresh, err);
    if (code == 0 && !opts->scratch)
        code = aff_marker_say_open(&store->marker, err);
    if (opts->scratch && store->marker.owner_fd >= 0 && code != AFF_EBUSY)
        aff_store_sweep(store->folder); /* from now on the kernel removes it, however this process ends */
    if (code == 0 && fresh)
        code = create_dbs(store, err);
    if (code == 0)
        code = aff_index_open(store, opts->indexes, err);
    if (code)
        return code;
    *ret_fresh = fresh;
    *ret_store = store;
    store = NULL;
    return 0;
}

bool aff_store_dissolve(struct aff_store *store, uint64_t bytes)
{
    assert(store->scratch && atomic_load(&store->readers) == 0 && !store->tally);
    aff_store_abort(store);
    return aff_space_dissolve(&store->space, bytes);
}

struct aff_store *aff_store_close(struct aff_store *store)
{
    if (!store)
        return NULL;
    assert(atomic_load(&store->readers) == 0 && !store->tally);
    aff_store_abort(store);
    if (store->scratch)
        return store_free(store);
    aff_error problem = { 0 };
    bool damaged = atomic_load(&store->corrupt);
    int rc = damaged ? MDB_SUCCESS : mdb_env_sync(store->env, 1);
    close_env(store);
    if (rc)
        (void)aff_fail_with(&problem, AFF_EIO, "cannot sync: %s", mdb_strerror(rc));
    else if (damaged)
        (void)aff_marker_say_damaged(&store->marker, &problem);
    else
        (void)aff_marker_say_closed(&store->marker, &problem);
    if (problem.code)
        aff_log(store->logger, WARN, "store.unclean", aff_f_str("folder", store->folder),
                aff_f_str("reason", problem.text));
    return store_free(store);
}

int aff_store_wipe(struct aff_store *store, aff_error *err)
{
    aff_store_abort(store);
    int code = aff_store_begin(store);
    if (code == 0)
        code = aff_space_claim_wipe(&store->space, store->txn);
    for (unsigned i = 0; i < AFF_DBS && code == 0; i++) {
        int rc = mdb_drop(store->txn, store->dbi[i], 0);
        code = rc ? aff_store_spoiled(store, rc) : 0;
    }
    if (code == 0)
        code = aff_index_wipe(store);
    if (code == 0)
        code = aff_store_commit(store);
    else
        aff_store_abort(store);
    if (code == 0) {
        aff_tally_wiped(store);
        aff_index_wiped(store);
    }
    if (code)
        return aff_fail_with(err, code, "store: cannot empty %s: %s", store->folder, aff_error_title(code));
    return 0;
}
