/*
 * store_fixture.c - see store_fixture.h.
 */
#include "store_fixture.h"

#include "base/clock.h"

#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* What LMDB itself copies within its map: ThreadSanitizer sees memcpy() in it, and not what orders it
 * (store/inner.h). */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "called_from_lib:liblmdb.so\n";
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

void remove_folder(const char *folder)
{
    (void)nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct aff_logger logger;

void fixture_init(struct fixture *f)
{
    const char *tmp = getenv("TMPDIR");
    *f = (struct fixture){ .store = NULL };
    (void)snprintf(f->folder, sizeof f->folder, "%s/affinity-store-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(f->folder))
        fail_msg("no temporary folder %s", f->folder);
    f->log_fd = memfd_create("log", MFD_CLOEXEC);
    logger = (struct aff_logger){ .fd = f->log_fd, .level = AFF_LOG_DEBUG, .clock = aff_clock_system() };
    f->opts = (struct aff_store_opts){
        .folder = f->folder,
        .map_bytes = UINT64_C(256) << 20,
        .readers = 4,
        .boot_id = "boot-1",
        .logger = &logger,
    };
}

void fixture_fini(struct fixture *f)
{
    f->store = aff_store_close(f->store);
    (void)close(f->log_fd);
    remove_folder(f->folder);
}

void fixture_open(struct fixture *f)
{
    aff_error err = { 0 };
    if (aff_store_open(&f->opts, &f->store, &f->fresh, &err))
        fail_msg("the store does not open: %s", err.text);
}

void fixture_close(struct fixture *f)
{
    f->store = aff_store_close(f->store);
}

void fixture_open_fails(struct fixture *f, int code, const char *part)
{
    aff_error err = { 0 };
    struct aff_store *store = NULL;
    bool fresh;
    int got = aff_store_open(&f->opts, &store, &fresh, &err);
    if (got != code || err.code != code || !strstr(err.text, part))
        fail_msg("opening gave %s '%s', not %s with '%s'", aff_error_name(got), err.text, aff_error_name(code), part);
    assert_null(store);
}

bool fixture_logged(struct fixture *f, const char *text)
{
    char lines[8192];
    ssize_t n = pread(f->log_fd, lines, sizeof lines - 1, 0);
    lines[n > 0 ? n : 0] = '\0';
    return strstr(lines, text) != NULL;
}

int fixture_setup(void **state)
{
    struct fixture *f = malloc(sizeof *f);
    fixture_init(f);
    fixture_open(f);
    *state = f;
    return 0;
}

int fixture_teardown(void **state)
{
    fixture_fini(*state);
    free(*state);
    return 0;
}

struct aff_item item_of(const char *value, int64_t offset)
{
    return item_due(value, offset, AFF_NO_TIME);
}

struct aff_item item_due(const char *value, int64_t offset, int64_t expires_ms)
{
    return (struct aff_item){
        .version = { offset, 1000 + offset, expires_ms, AFF_NO_TIME },
        .content_type = aff_str("application/json"),
        .value = aff_str(value),
    };
}

void put(struct fixture *f, const char *key, struct aff_item item)
{
    int code = aff_store_put(f->store, aff_str(key), &item);
    if (code)
        fail_msg("putting %s gave %s", key, aff_error_name(code));
}

void commit(struct fixture *f)
{
    int code = aff_store_commit(f->store);
    if (code)
        fail_msg("commit gave %s", aff_error_name(code));
}

void expect(struct fixture *f, const char *key, const char *value)
{
    struct aff_item item = { .value = aff_str("") };
    int code = aff_store_get(f->store, aff_str(key), &item);
    if (code != (value != NULL) || (value && !aff_bytes_equal(item.value, aff_str(value))))
        fail_msg("%s: got %d '%.*s', expected '%s'", key, code, (int)item.value.len, (const char *)item.value.data,
                 value ? value : "(no value)");
}

/* splitmix64 */
uint64_t next_random(uint64_t *seed)
{
    uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}
