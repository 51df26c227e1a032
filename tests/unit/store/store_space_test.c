/*
 * store_space_test.c - a disk that fills up yields AFF_ENOSPACE, never a SIGBUS, and reads go on: core/store/space.c.
 *
 * The disk is a small tmpfs in a mount namespace of this process. Mounting one needs root or user namespaces; without
 * either the tests fail. `store_space_test ext4` takes a loop device with ext4 instead, whose pages come in large
 * folios; where there is none to be had it is skipped.
 */
#include "store/inner.h"
#include "lib/mounts.h"
#include "store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DISK = 24 << 20, ROWS = 4000 };

static bool on_ext4;

static int mount_tmpfs(const char *folder)
{
    char options[64];
    (void)snprintf(options, sizeof options, "size=%d", DISK);
    if (mount("none", folder, "tmpfs", 0, options) == 0)
        return 0;
    print_error("cannot mount a tmpfs (%s): run this test as root or where user namespaces are allowed\n",
                strerror(errno));
    return -1;
}

/* Blocks of 1 KiB, so that a page and the end of what is allocated have little to do with each other. */
static int mount_ext4(const char *folder)
{
    char command[1200];
    (void)snprintf(command, sizeof command,
                   "PATH=$PATH:/usr/sbin:/sbin; f=$(mktemp /dev/shm/affinity-store-XXXXXX) && truncate -s 40M $f && "
                   "mkfs.ext4 -q -b 1024 $f && mount -o loop $f %s; s=$?; rm -f $f; exit $s",
                   folder);
    return system(command) == 0 ? 0 : -1; /* NOLINT(cert-env33-c): a command of our own */
}

static int mount_disk(void **state)
{
    struct fixture *f = malloc(sizeof *f);
    fixture_init(f);
    *state = f;
    return on_ext4 ? mount_ext4(f->folder) : mount_tmpfs(f->folder);
}

/* Can a disk with ext4 be had at all? */
static bool ext4_works(void)
{
    char folder[] = "/tmp/affinity-store-probe-XXXXXX";
    bool works = geteuid() == 0 && access("/dev/loop-control", R_OK | W_OK) == 0 && mkdtemp(folder) &&
                 mounts_of_its_own() && mount_ext4(folder) == 0;
    if (works)
        (void)umount2(folder, MNT_DETACH);
    (void)rmdir(folder);
    return works;
}

static int unmount_disk(void **state)
{
    struct fixture *f = *state;
    char folder[256];
    (void)snprintf(folder, sizeof folder, "%s", f->folder);
    f->store = aff_store_close(f->store);
    (void)umount2(folder, MNT_DETACH);
    fixture_fini(f);
    free(f);
    return 0;
}

/* A mount namespace, so that nobody else sees the disks and they vanish with the process. */
static int own_namespace(void **state)
{
    (void)state;
    return mounts_of_its_own() ? 0 : -1;
}

/* ---- something else that takes the space ---- */

static int ballast_open(struct fixture *f)
{
    char path[300];
    (void)snprintf(path, sizeof path, "%s/ballast", f->folder);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    return fd;
}

/* Takes all that is left but `leave` bytes. */
static void fill_disk(struct fixture *f, off_t leave)
{
    int fd = ballast_open(f);
    char block[4096] = "x";
    off_t size = lseek(fd, 0, SEEK_END);
    while (pwrite(fd, block, sizeof block, size) == sizeof block)
        size += (off_t)sizeof block;
    assert_int_equal(ftruncate(fd, size > leave ? size - leave : 0), 0);
    (void)close(fd);
}

static void empty_disk(struct fixture *f)
{
    int fd = ballast_open(f);
    assert_int_equal(ftruncate(fd, 0), 0);
    (void)close(fd);
}

/* ---- rows: a version for each that was stored last, 0 for none ---- */

static int64_t committed[ROWS], pending[ROWS];

static void forget_rows(void)
{
    memset(committed, 0, sizeof committed);
    memset(pending, 0, sizeof pending);
}

static aff_bytes row_key(unsigned row, char to[16])
{
    (void)snprintf(to, 16, "row-%05u", row);
    return aff_str(to);
}

/* Puts a row of `size` bytes. */
static int put_row(struct fixture *f, unsigned row, int64_t version, size_t size)
{
    char key[16], *value = malloc(size + 1);
    memset(value, (int)('a' + version % 26), size);
    struct aff_item item = item_due("", version, version % 3 ? AFF_NO_TIME : version);
    item.value = aff_bytes_of(value, size);
    int code = aff_store_put(f->store, row_key(row, key), &item);
    if (code == 0)
        pending[row] = version;
    free(value);
    return code;
}

static void commit_rows(struct fixture *f)
{
    commit(f);
    memcpy(committed, pending, sizeof committed);
}

static void check_rows(struct fixture *f)
{
    struct aff_store_reader *reader = NULL;
    assert_int_equal(aff_store_reader_new(f->store, &reader, NULL), 0);
    for (unsigned row = 0; row < ROWS; row++) {
        char key[16];
        struct aff_item item;
        int code = aff_store_reader_get(reader, row_key(row, key), &item);
        if (code != (committed[row] != 0) || (code == 1 && item.version.offset != committed[row]))
            fail_msg("%s: %d, not version %lld", key, code, (long long)committed[row]);
        const char *bytes = item.value.data;
        if (code == 1 && item.value.len && bytes[item.value.len / 2] != (char)('a' + committed[row] % 26))
            fail_msg("%s has another value", key);
    }
    aff_store_reader_free(reader);
}

static void a_full_disk_refuses_writes_and_serves_reads(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    forget_rows();
    int code = 0;
    unsigned rows = 0;
    while (code == 0 && rows < ROWS) { /* each in a transaction of its own */
        code = put_row(f, rows, rows + 1, 20000);
        if (code == 0)
            rows++;
        commit_rows(f);
    }
    assert_int_equal(code, AFF_ENOSPACE);
    assert_true(rows > 400); /* of 24 MiB, 8 MiB at least hold rows */
    assert_int_equal(aff_store_room(f->store, 1 << 20), AFF_ENOSPACE);
    aff_store_abort(f->store);
    assert_true(fixture_logged(f, "event=store.full"));
    check_rows(f);
}

static void one_transaction_that_fills_the_disk_commits(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    forget_rows();
    uint64_t seed = 3;
    int code = 0;
    for (int i = 0; code == 0 && i < 100000; i++)
        code = put_row(f, (unsigned)(next_random(&seed) % ROWS), i + 1, next_random(&seed) % 9000);
    assert_int_equal(code, AFF_ENOSPACE);
    commit_rows(f);
    check_rows(f);
    fixture_close(f);
    fixture_open(f);
    assert_false(f->fresh);
    check_rows(f);
}

static void when_somebody_frees_space_writes_go_on(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    forget_rows();
    fill_disk(f, 0);
    int code = 0;
    unsigned rows = 0;
    while (code == 0) {
        code = put_row(f, rows % ROWS, rows + 1, 5000);
        rows += code == 0;
    }
    assert_int_equal(code, AFF_ENOSPACE);
    commit_rows(f);
    assert_int_equal(aff_store_room(f->store, 1 << 20), AFF_ENOSPACE);
    empty_disk(f);
    assert_int_equal(aff_store_room(f->store, 1 << 20), 0);
    assert_true(fixture_logged(f, "event=store.space"));
    assert_int_equal(put_row(f, 0, 9999, 5000), 0);
    commit_rows(f);
    check_rows(f);
}

/* What room() said holds, whatever takes the disk afterwards. */
static void room_that_was_made_is_kept(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    forget_rows();
    enum { WRITES = 100 };
    for (int batch = 0; batch < 10; batch++) {
        assert_int_equal(aff_store_room(f->store, (uint64_t)WRITES * AFF_STORE_WRITE_MIN), 0);
        fill_disk(f, 0);
        for (unsigned i = 0; i < WRITES; i++) {
            int64_t version = batch * WRITES + i + 1;
            char id[16];
            assert_int_equal(put_row(f, i * 37 % ROWS, version, 4000), 0);
            (void)row_key(i + (unsigned)batch * 1000, id);
            assert_int_equal(aff_store_table_put(f->store, AFF_TABLE_IDEM, aff_str(id), aff_bytes_of(id, 16)), 0);
        }
        assert_int_equal(aff_store_meta_put(f->store, "checkpoint", aff_str("here")), 0);
        commit_rows(f);
        empty_disk(f);
    }
    check_rows(f);
}

static void a_store_opens_on_a_full_disk_and_serves_reads(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    forget_rows();
    for (unsigned row = 0; row < ROWS; row++)
        assert_int_equal(put_row(f, row, row + 1, 1000), 0);
    commit_rows(f);
    for (int round = 0; round < 3; round++) {
        fixture_close(f);
        fill_disk(f, 0);
        fixture_open(f);
        assert_false(f->fresh);
        check_rows(f);
        int code = 0;
        for (unsigned i = 0; code == 0 && i < 100000; i++)
            code = put_row(f, i % ROWS, i + 1, 3000);
        assert_int_equal(code, AFF_ENOSPACE);
        commit_rows(f);
        check_rows(f);
    }
    assert_int_equal(aff_store_wipe(f->store, NULL), 0); /* has room when nothing else has */
    forget_rows();
    check_rows(f);
    empty_disk(f);
    fill_disk(f, 3 << 20); /* with a little help all that it has is used again */
    for (unsigned row = 0; row < ROWS; row++) {
        assert_int_equal(put_row(f, row, row + 1, 1000), 0);
        if (row % 10 == 0)
            commit_rows(f);
    }
    commit_rows(f);
    check_rows(f);
}

static void a_new_store_on_a_full_disk_is_refused(void **state)
{
    struct fixture *f = *state;
    for (off_t leave = 0; leave < 3 << 20; leave += leave < 65536 ? 8192 : 262144) {
        aff_error err = { 0 };
        fill_disk(f, leave);
        int code = aff_store_open(&f->opts, &f->store, &f->fresh, &err);
        if (code && code != AFF_ENOSPACE)
            fail_msg("with %ld bytes left: %s", (long)leave, err.text);
        if (code == 0)
            assert_int_equal(put_row(f, 0, 1, 100) & ~AFF_ENOSPACE, 0);
        fixture_close(f);
        empty_disk(f);
    }
    fixture_open(f);
    assert_int_equal(put_row(f, 0, 1, 100), 0);
    commit(f);
}

/* The disk is now full, now not, under random changes; a byte that it has not promised would be a SIGBUS. */
static void random_changes_on_a_disk_that_comes_and_goes(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    forget_rows();
    fill_disk(f, 1 << 20);
    uint64_t seed = 11, refusals = 0;
    for (int i = 0; i < 30000; i++) {
        uint64_t dice = next_random(&seed);
        unsigned row = (unsigned)(dice >> 20) % ROWS, kind = (unsigned)(dice >> 8) % 1000;
        char key[16];
        int code = 0;
        if (kind < 600) {
            code = put_row(f, row, i + 1, (dice >> 40) % (kind % 16 ? 2000 : 60000));
        } else if (kind < 900) {
            code = aff_store_delete(f->store, row_key(row, key));
            if (code == 0)
                pending[row] = 0;
        } else if (kind < 980) {
            commit_rows(f);
        } else if (kind < 990) {
            aff_store_abort(f->store);
            memcpy(pending, committed, sizeof pending);
        } else if (kind < 999) {
            fill_disk(f, (off_t)((dice >> 40) % (1 << 20)));
        } else {
            empty_disk(f);
        }
        if (code && code != AFF_ENOSPACE)
            fail_msg("change %d gave %s", i, aff_error_name(code));
        refusals += code == AFF_ENOSPACE;
    }
    assert_in_range(refusals, 1, 29000); /* it was full for a time, and not all the time */
    commit_rows(f);
    check_rows(f);
}

/* With a release of LMDB whose transactions do not tell, the claims are counted. */
static void without_a_look_into_the_transaction_it_holds_as_well(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    forget_rows();
    assert_int_equal(aff_store_count(f->store), 0); /* begins a transaction */
    assert_true(f->store->space.exact);             /* this release of LMDB does tell */
    int code = 0;
    unsigned rows = 0;
    for (; code == 0 && rows < ROWS; rows += code == 0) {
        f->store->space.exact = false;
        code = put_row(f, rows, rows + 1, 8000);
        if (rows % 10 == 0) {
            commit_rows(f);
            (void)aff_store_count(f->store);
        }
    }
    assert_int_equal(code, AFF_ENOSPACE);
    assert_true(rows > 1000);
    commit_rows(f);
    check_rows(f);
}

#define disk_test(name) cmocka_unit_test_setup_teardown(name, mount_disk, unmount_disk)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        disk_test(a_full_disk_refuses_writes_and_serves_reads),
        disk_test(one_transaction_that_fills_the_disk_commits),
        disk_test(when_somebody_frees_space_writes_go_on),
        disk_test(room_that_was_made_is_kept),
        disk_test(a_store_opens_on_a_full_disk_and_serves_reads),
        disk_test(a_new_store_on_a_full_disk_is_refused),
        disk_test(random_changes_on_a_disk_that_comes_and_goes),
        disk_test(without_a_look_into_the_transaction_it_holds_as_well),
    };
    const struct CMUnitTest ext4_tests[] = {
        /* it is slower: what meets the end of the allocated part */
        disk_test(a_full_disk_refuses_writes_and_serves_reads),
        disk_test(one_transaction_that_fills_the_disk_commits),
        disk_test(room_that_was_made_is_kept),
    };
    on_ext4 = argc > 1 && strcmp(argv[1], "ext4") == 0;
    if (!on_ext4)
        return cmocka_run_group_tests(tests, own_namespace, NULL);
    if (ext4_works())
        return cmocka_run_group_tests(ext4_tests, own_namespace, NULL);
    printf("skipped: there is no loop device, no mkfs.ext4, or no right to mount\n");
    return 77;
}
