/*
 * store_crash_test.c - a process that dies at any moment leaves the last committed state, whole.
 *
 * A child commits batches whose content follows from their number alone, and reports each; the parent kills it
 * (SIGKILL) in the middle of one that it did not choose. The next child opens what is there, compares it with what
 * its checkpoint says it must be, and goes on; nobody ever closes the store.
 */
#include "store_fixture.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 100, KEYS = 300, CHANGES = 12, VALUE_MAX = 9000 };

/* Of each key: the batch that wrote it last, 0: it has no value. */
static uint64_t written[KEYS];

static const char *key_name(unsigned key, char to[16])
{
    (void)snprintf(to, 16, "key-%u", key);
    return to;
}

static int64_t expiry_of(uint64_t batch, unsigned key)
{
    return (batch + key) % 3 ? AFF_NO_TIME : (int64_t)(batch * 1000 + key);
}

static size_t size_of(uint64_t batch, unsigned key)
{
    return (batch * 31 + key * 17) % 11 ? (batch + key) % 200 : (batch * 97 + key) % VALUE_MAX;
}

static struct aff_item item_of_batch(uint64_t batch, unsigned key, char *value)
{
    memset(value, (int)('a' + batch % 26), VALUE_MAX);
    struct aff_item item = item_due("", (int64_t)batch, expiry_of(batch, key));
    item.value = aff_bytes_of(value, size_of(batch, key));
    return item;
}

/* Says what is wrong, in a child, and ends it. */
static void require(bool holds, const char *what, uint64_t batch, unsigned key)
{
    if (holds)
        return;
    fprintf(stderr, "after %llu batches: %s (key %u)\n", (unsigned long long)batch, what, key);
    _exit(1);
}

/* The changes of a batch, to the store when there is one, and to `written`. */
static void apply_batch(struct aff_store *store, uint64_t batch)
{
    uint64_t seed = batch;
    char name[16], value[VALUE_MAX];
    for (int i = 0; i < CHANGES; i++) {
        uint64_t dice = next_random(&seed);
        unsigned key = (unsigned)(dice % KEYS);
        aff_bytes k = aff_str(key_name(key, name));
        bool deletes = (dice >> 32) % 4 == 0;
        if (store && deletes)
            require(aff_store_delete(store, k) == 0, "a delete failed", batch, key);
        if (store && !deletes) {
            struct aff_item item = item_of_batch(batch, key, value);
            require(aff_store_put(store, k, &item) == 0, "a put failed", batch, key);
        }
        written[key] = deletes ? 0 : batch;
    }
    aff_bytes number = aff_bytes_of(&batch, sizeof batch);
    if (store)
        require(aff_store_table_put(store, AFF_TABLE_IDEM, number, number) == 0 &&
                    aff_store_meta_put(store, "checkpoint", number) == 0,
                "the checkpoint was refused", batch, 0);
}

static uint64_t checkpoint_of(struct aff_store *store)
{
    uint64_t batch = 0;
    aff_bytes got;
    int code = aff_store_meta_get(store, "checkpoint", &got);
    require(code == 0 || (code == 1 && got.len == sizeof batch), "the checkpoint cannot be read", 0, 0);
    if (code == 1)
        memcpy(&batch, got.data, sizeof batch);
    return batch;
}

static void check_expiries(struct aff_store *store, uint64_t batch, uint64_t expected)
{
    struct aff_expiry_cursor cursor = { .started = false };
    struct aff_version version;
    uint64_t walked = 0;
    int code;
    while ((code = aff_store_expired(store, INT64_MAX, &cursor, &version)) == 1)
        walked++;
    require(code == 0 && walked == expected, "the expiry index is out of step", batch, 0);
}

/* The state is that after `batch` batches, no more and no less. */
static void check_state(struct aff_store *store, uint64_t batch)
{
    memset(written, 0, sizeof written);
    for (uint64_t i = 1; i <= batch; i++)
        apply_batch(NULL, i);
    uint64_t count = 0, expiring = 0;
    char name[16], value[VALUE_MAX];
    for (unsigned key = 0; key < KEYS; key++) {
        struct aff_item got;
        int code = aff_store_get(store, aff_str(key_name(key, name)), &got);
        require(code == (written[key] != 0), "a key is there or not, and should not be so", batch, key);
        if (code != 1)
            continue;
        struct aff_item item = item_of_batch(written[key], key, value);
        require(memcmp(&got.version, &item.version, sizeof got.version) == 0, "a wrong version", batch, key);
        require(aff_bytes_equal(got.value, item.value), "a wrong value", batch, key);
        count++;
        expiring += item.version.expires_ms != AFF_NO_TIME;
    }
    require(aff_store_count(store) == count, "a wrong count", batch, 0);
    require(aff_store_table_count(store, AFF_TABLE_IDEM) == batch, "a table is out of step", batch, 0);
    check_expiries(store, batch, expiring);
    aff_store_abort(store);
}

/* Checks what it finds, then commits and reports batch after batch. Never returns. */
static void child(struct fixture *f, int report_fd, uint64_t reported)
{
    aff_error err = { 0 };
    int code = aff_store_open(&f->opts, &f->store, &f->fresh, &err);
    require(code == 0, err.text, reported, 0);
    uint64_t batch = checkpoint_of(f->store);
    require(batch >= reported, "a batch that was committed is lost", reported, 0);
    require(!f->fresh || reported == 0, "the store was thrown away", reported, 0);
    check_state(f->store, batch);
    for (;;) {
        apply_batch(f->store, ++batch);
        require(aff_store_commit(f->store) == 0, "a commit failed", batch, 0);
        if (write(report_fd, &batch, sizeof batch) != sizeof batch)
            _exit(1);
    }
}

/* Lets a child run until it has reported some batches, and a moment longer; what it reported last. */
static uint64_t run_and_kill(struct fixture *f, uint64_t reported, uint64_t *seed)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(ends[0]);
        child(f, ends[1], reported);
    }
    (void)close(ends[1]);
    for (uint64_t more = 1 + next_random(seed) % 20; more > 0; more--) {
        if (read(ends[0], &reported, sizeof reported) != sizeof reported)
            break; /* it found something wrong: its status tells */
    }
    for (volatile uint64_t moment = next_random(seed) % 30000; moment > 0; moment--)
        continue;
    (void)kill(pid, SIGKILL);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        fail_msg("the child found the store broken, as it said, or died by itself (status %d)", status);
    while (read(ends[0], &reported, sizeof reported) == sizeof reported)
        continue; /* what it committed before it died */
    (void)close(ends[0]);
    return reported;
}

static void the_last_committed_state_survives_any_kill(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t seed = 2026, reported = 0;
    fixture_init(&f);
    for (int round = 0; round < ROUNDS; round++)
        reported = run_and_kill(&f, reported, &seed);
    fixture_open(&f);
    assert_false(f.fresh);
    assert_true(checkpoint_of(f.store) >= reported);
    check_state(f.store, checkpoint_of(f.store));
    fixture_close(&f);
    fixture_open(&f);
    assert_false(f.fresh);
    check_state(f.store, checkpoint_of(f.store));
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(the_last_committed_state_survives_any_kill) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
