/*
 * store_reader_test.c - snapshots beside the writer: core/store/reader.c.
 */
#include "store_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

static struct aff_store_reader *reader_of(struct fixture *f)
{
    struct aff_store_reader *reader = NULL;
    aff_error err = { 0 };
    if (aff_store_reader_new(f->store, &reader, &err))
        fail_msg("no reader: %s", err.text);
    return reader;
}

static void expect_read(struct aff_store_reader *reader, const char *key, const char *value)
{
    struct aff_item item = { .value = aff_str("") };
    int code = aff_store_reader_get(reader, aff_str(key), &item);
    if (code != (value != NULL) || (value && !aff_bytes_equal(item.value, aff_str(value))))
        fail_msg("%s: read %d '%.*s', expected '%s'", key, code, (int)item.value.len, (const char *)item.value.data,
                 value ? value : "(no value)");
}

static void a_reader_sees_what_is_committed_when_its_pass_begins(void **state)
{
    struct fixture *f = *state;
    struct aff_store_reader *reader = reader_of(f);
    expect_read(reader, "a", NULL);
    put(f, "a", item_of("1", 1));
    expect_read(reader, "a", NULL);
    commit(f);
    expect_read(reader, "a", NULL); /* the same pass */
    aff_store_reader_done(reader);
    expect_read(reader, "a", "1");
    put(f, "a", item_of("2", 2));
    commit(f);
    expect_read(reader, "a", "1");
    aff_store_reader_done(reader);
    aff_store_reader_done(reader);
    expect_read(reader, "a", "2");
    assert_int_equal(aff_store_reader_get(reader, aff_bytes_of("", 0), &(struct aff_item){ .value.len = 0 }),
                     AFF_EINVAL);
    assert_null(aff_store_reader_free(reader));
    assert_null(aff_store_reader_free(NULL));
}

static void a_snapshot_outlives_a_wipe(void **state)
{
    struct fixture *f = *state;
    struct aff_store_reader *reader = reader_of(f);
    char key[16];
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(key, sizeof key, "key-%d", i);
        put(f, key, item_of("before the wipe", i));
    }
    commit(f);
    expect_read(reader, "key-0", "before the wipe");
    assert_int_equal(aff_store_wipe(f->store, NULL), 0);
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(key, sizeof key, "key-%d", i);
        put(f, key, item_of("after the wipe", i));
        if (i % 10 == 0)
            commit(f);
        expect_read(reader, key, "before the wipe");
    }
    commit(f);
    aff_store_reader_done(reader);
    expect_read(reader, "key-999", "after the wipe");
    assert_null(aff_store_reader_free(reader));
}

static void there_are_as_many_readers_as_were_announced(void **state)
{
    struct fixture *f = *state;
    enum { MANY = 300 };
    struct aff_store_reader *readers[MANY];
    fixture_close(f);
    f->opts.readers = MANY;
    fixture_open(f);
    put(f, "a", item_of("1", 1));
    commit(f);
    for (int i = 0; i < MANY; i++) {
        readers[i] = reader_of(f);
        expect_read(readers[i], "a", "1");
    }
    int more = 0, code;
    struct aff_store_reader *extra[200];
    aff_error err = { 0 };
    while (more < 200 && (code = aff_store_reader_new(f->store, &extra[more], &err)) == 0)
        more++;
    assert_int_equal(code, AFF_EBUSY); /* not a crash */
    assert_true(strlen(err.text) > 0);
    while (more > 0)
        aff_store_reader_free(extra[--more]);
    for (int i = 0; i < MANY; i++)
        aff_store_reader_free(readers[i]);
}

static uint64_t bytes_on_disk(struct fixture *f)
{
    char path[300];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/data.mdb", f->folder);
    assert_int_equal(stat(path, &st), 0);
    return (uint64_t)st.st_blocks * 512;
}

/* A snapshot that is held keeps every page that is written meanwhile. */
static void a_reader_that_is_done_lets_the_file_stay_small(void **state)
{
    struct fixture *f = *state;
    struct aff_store_reader *reader = reader_of(f);
    uint64_t seed = 5, before = 0;
    char key[16];
    for (int batch = 0; batch < 2000; batch++) {
        for (int i = 0; i < 5; i++) {
            (void)snprintf(key, sizeof key, "key-%d", (int)(next_random(&seed) % 1000));
            put(f, key, item_of("some value that changes", batch));
        }
        commit(f);
        (void)aff_store_reader_get(reader, aff_str("key-1"), &(struct aff_item){ .value.len = 0 });
        aff_store_reader_done(reader);
        if (batch == 1000)
            before = bytes_on_disk(f);
    }
    assert_int_equal(bytes_on_disk(f), before);
    aff_store_reader_free(reader);
}

/* ---- another thread ---- */

enum { KEYS = 50 };

struct beside {
    struct fixture *f;
    atomic_bool stop;
    atomic_uint passes;
    char problem[128];
};

/* In each snapshot all keys have the value of one batch, and batches only go forward. */
static void *read_beside(void *arg)
{
    struct beside *b = arg;
    struct aff_store_reader *reader = NULL;
    if (aff_store_reader_new(b->f->store, &reader, NULL)) {
        (void)snprintf(b->problem, sizeof b->problem, "no reader");
        return NULL;
    }
    uint64_t last = 0;
    char key[16];
    while (!atomic_load(&b->stop) && !*b->problem) {
        for (int i = 0; i < KEYS && !*b->problem; i++) {
            (void)snprintf(key, sizeof key, "key-%d", i);
            struct aff_item item;
            int code = aff_store_reader_get(reader, aff_str(key), &item);
            uint64_t batch = code == 1 ? (uint64_t)item.version.offset : 0;
            if (code < 0 || (i == 0 ? batch < last : batch != last))
                (void)snprintf(b->problem, sizeof b->problem, "%s is of batch %llu in a snapshot of batch %llu (%d)",
                               key, (unsigned long long)batch, (unsigned long long)last, code);
            last = batch;
        }
        aff_store_reader_done(reader);
        atomic_fetch_add(&b->passes, 1);
    }
    aff_store_reader_free(reader);
    return NULL;
}

static void readers_of_other_threads_see_whole_batches(void **state)
{
    struct fixture *f = *state;
    struct beside beside[2] = { { .f = f }, { .f = f } };
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_beside, &beside[i]), 0);
    char key[16];
    for (int batch = 1; batch < 2000 || !atomic_load(&beside[0].passes) || !atomic_load(&beside[1].passes); batch++) {
        for (int i = 0; i < KEYS; i++) {
            (void)snprintf(key, sizeof key, "key-%d", i);
            put(f, key, item_of("v", batch));
        }
        commit(f);
    }
    for (int i = 0; i < 2; i++)
        atomic_store(&beside[i].stop, true);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        assert_string_equal(beside[i].problem, "");
    }
}

#define store_test(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(a_reader_sees_what_is_committed_when_its_pass_begins),
        store_test(a_snapshot_outlives_a_wipe),
        store_test(there_are_as_many_readers_as_were_announced),
        store_test(a_reader_that_is_done_lets_the_file_stay_small),
        store_test(readers_of_other_threads_see_whole_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
