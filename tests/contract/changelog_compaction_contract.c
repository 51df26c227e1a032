/*
 * changelog_compaction_contract.c - what compaction owes: which entries may go, which must stay, and that readers do not
 * notice. Part of changelog_contract.c.
 */
#include "changelog_contract.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { KEYS = CONTRACT_KEYS, ALL = CONTRACT_ALL };

static void assert_last_values(const struct client *c)
{
    char key[16], value[16];
    for (unsigned k = 0; k < KEYS; k++) {
        (void)snprintf(key, sizeof key, "key%u", k);
        (void)snprintf(value, sizeof value, "%u", ALL - KEYS + k);
        const struct aff_entry *last = client_last_of(c, key);
        assert_non_null(last);
        assert_true(aff_bytes_equal(last->value, aff_str(value)));
    }
}

static void keep_nothing(struct contract_world *w, struct client *c)
{
    w->log->ops->keep_from(c->part, INT64_MAX);
}

static void superseded_entries_go_and_last_values_stay(void **state)
{
    struct contract_world *w = *state;
    struct client *c;

    contract_topic(w, "c.last", 1);
    c = contract_open(w, "c.last", 0, NULL);
    keep_nothing(w, c);
    contract_fill(c);
    w->driver->advance(w, w->driver->lag_ms + 1);
    int64_t end = ALL + (int64_t)contract_compact(w, "c.last", 0);
    assert_true(client_read_all(c, 0));
    assert_true(contract_seen(c) < ALL);
    assert_last_values(c);
    assert_int_equal(c->last.end, end);
    assert_int_equal(c->last.start, 0);
    assert_int_equal(c->seen[c->seen_count - 1].entry.offset, end - 1);

    size_t left = contract_seen(c);
    assert_true(client_read_all(c, 1)); /* from inside a hole */
    assert_in_range(contract_seen(c), left - 1, left);
    assert_true(client_put_now(c, "more", "v"));
    assert_int_equal(c->reports[ALL].offset, end);
    if (w->driver->persists) {
        contract_close(w, c);
        contract_restart(w);
        contract_topic(w, "c.last", 1);
        c = contract_open(w, "c.last", 0, NULL);
        assert_true(client_read_all(c, 0));
        assert_int_equal(contract_seen(c), left + 1);
        assert_last_values(c);
        assert_true(client_put_now(c, "more", "v"));
        assert_int_equal(c->reports[0].offset, end + 1);
    }
    contract_close(w, c);
}

static void nothing_younger_than_the_lag_goes(void **state)
{
    struct contract_world *w = *state;
    struct client *c;

    contract_needs(w->driver->clock_moves, "a clock that a test moves", "nothing_younger_than_a_real_lag_goes");
    contract_topic(w, "c.lag", 1);
    c = contract_open(w, "c.lag", 0, NULL);
    keep_nothing(w, c);
    contract_fill(c);
    w->driver->advance(w, w->driver->lag_ms / 2);
    contract_compact(w, "c.lag", 0);
    assert_true(client_read_all(c, 0));
    assert_int_equal(c->seen_count, ALL);
    contract_close(w, c);
}

/* The newest entry of a key may be void: what is under it has to stay until it is old enough for a repair to have come. */
static void a_young_entry_does_not_supersede(void **state)
{
    struct contract_world *w = *state;
    struct client *c;

    contract_needs(w->driver->clock_moves, "a clock that a test moves", "an_entry_below_a_real_lag_does_not_supersede");
    contract_topic(w, "c.young", 1);
    c = contract_open(w, "c.young", 0, NULL);
    keep_nothing(w, c);
    assert_true(client_put_now(c, "k", "old"));
    assert_true(client_put_now(c, "k", "value"));
    w->driver->advance(w, w->driver->lag_ms + 1);
    assert_true(client_put_now(c, "k", "young"));
    contract_compact(w, "c.young", 0);
    assert_true(client_read_all(c, 0));
    assert_int_equal(client_count_of(c, "k"), 2);
    assert_true(aff_bytes_equal(c->seen[0].entry.value, aff_str("value")));
    contract_close(w, c);
}

static void nothing_goes_from_what_the_owner_keeps(void **state)
{
    enum { KEEP = ALL / 2 };
    struct contract_world *w = *state;
    struct client *c;

    contract_needs(w->driver->keeps_from, "a log that keep_from() tells what to keep",
                   "the lag alone keeps it: nothing_younger_than_a_real_lag_goes");
    contract_topic(w, "c.keep", 1);
    c = contract_open(w, "c.keep", 0, NULL);
    contract_fill(c);
    w->driver->advance(w, w->driver->lag_ms + 1);
    contract_compact(w, "c.keep", 0); /* the owner has not said yet how far it may go */
    assert_true(client_read_all(c, 0));
    assert_int_equal(c->seen_count, ALL);

    w->log->ops->keep_from(c->part, KEEP);
    contract_compact(w, "c.keep", 0);
    assert_true(client_read_all(c, 0));
    assert_int_equal(c->seen_count, ALL - KEEP + KEYS); /* below: the last of each key, whatever stands above */
    for (size_t i = 0; i < KEYS; i++)
        assert_int_equal(c->seen[i].entry.offset, KEEP - KEYS + i);

    w->log->ops->keep_from(c->part, ALL);
    contract_compact(w, "c.keep", 0);
    assert_true(client_read_all(c, 0));
    assert_int_equal(c->seen_count, KEYS);
    contract_close(w, c);
}

static void a_tombstone_stays_its_time_and_then_goes_with_its_key(void **state)
{
    struct contract_world *w = *state;
    struct client *c;

    contract_needs(w->driver->clock_moves, "a clock that a test moves",
                   "a_tombstone_stays_for_a_real_retention_and_then_goes");
    contract_topic(w, "c.tomb", 1);
    c = contract_open(w, "c.tomb", 0, NULL);
    keep_nothing(w, c);
    assert_true(client_put_now(c, "gone", "value"));
    assert_true(client_put_now(c, "gone", NULL));
    assert_true(client_put_now(c, "back", NULL));
    assert_true(client_put_now(c, "back", "again"));
    assert_true(client_put_now(c, "other", "value"));

    w->driver->advance(w, w->driver->lag_ms + 1);
    contract_compact(w, "c.tomb", 0);
    assert_true(client_read_all(c, 0));
    assert_int_equal(client_count_of(c, "gone"), 1);
    assert_null(client_last_of(c, "gone")->value.data);
    assert_int_equal(client_count_of(c, "back"), 1);

    w->driver->advance(w, w->driver->retention_ms - 2);
    contract_compact(w, "c.tomb", 0);
    assert_true(client_read_all(c, 0));
    assert_int_equal(client_count_of(c, "gone"), 1);

    w->driver->advance(w, 3);
    contract_compact(w, "c.tomb", 0);
    assert_true(client_read_all(c, 0));
    assert_int_equal(client_count_of(c, "gone"), 0);
    assert_int_equal(client_count_of(c, "back"), 1);
    assert_int_equal(client_count_of(c, "other"), 1);
    contract_close(w, c);
}

/* Or the next entry would get an offset for the second time. */
static void the_last_entry_stays_even_as_an_old_tombstone(void **state)
{
    struct contract_world *w = *state;
    struct client *c;

    contract_topic(w, "c.end", 1);
    c = contract_open(w, "c.end", 0, NULL);
    keep_nothing(w, c);
    assert_true(client_put_now(c, "k", "v"));
    assert_true(client_put_now(c, "k", NULL));
    w->driver->advance(w, w->driver->lag_ms + w->driver->retention_ms + 2);
    int64_t end = 2 + (int64_t)contract_compact(w, "c.end", 0);
    assert_true(client_read_all(c, 0));
    assert_in_range(contract_seen(c), end == 2 ? 1 : 0, 1); /* with fillers behind it it is not the last one any more */
    assert_int_equal(c->seen[c->seen_count - 1].entry.offset, end - 1);
    assert_int_equal(c->last.end, end);

    assert_true(client_put_now(c, "other", "v")); /* now it is not the last one any more */
    w->driver->advance(w, w->driver->lag_ms + 1);
    contract_compact(w, "c.end", 0);
    assert_true(client_read_all(c, 0));
    assert_int_equal(client_count_of(c, "k"), 0);
    contract_close(w, c);
}

static void a_topic_that_is_not_compacted_keeps_everything(void **state)
{
    struct contract_world *w = *state;
    struct client *c, *beside;

    contract_topic_of(w, &(struct aff_topic){ "c.all", 1, 0, 0, false });
    contract_topic(w, "c.beside", 1);
    c = contract_open(w, "c.all", 0, NULL);
    beside = contract_open(w, "c.beside", 0, c);
    keep_nothing(w, c);
    keep_nothing(w, beside);
    contract_fill(c);
    contract_fill(beside);
    w->driver->advance(w, w->driver->lag_ms + w->driver->retention_ms + 2);
    if (w->driver->clock_moves)
        contract_compact(w, "c.all", 0);
    else /* it comes to both by itself, and shows in this one */
        contract_compact(w, "c.beside", 0);
    assert_true(client_read_all(c, 0));
    assert_int_equal(c->seen_count, ALL);
    contract_close(w, beside);
    contract_close(w, c);
}

static void partitions_with_the_same_keys_do_not_touch_each_other(void **state)
{
    struct contract_world *w = *state;
    struct client *a, *b;

    contract_topic(w, "c.two", 2);
    a = contract_open(w, "c.two", 0, NULL);
    b = contract_open(w, "c.two", 1, a);
    keep_nothing(w, a);
    keep_nothing(w, b);
    assert_true(client_put_now(a, "k", "first"));
    assert_true(client_put_now(b, "k", "second"));
    assert_true(client_put_now(a, "end", "v"));
    assert_true(client_put_now(b, "end", "v"));
    w->driver->advance(w, w->driver->lag_ms + 1);
    contract_compact(w, "c.two", 0);
    contract_compact(w, "c.two", 1);
    assert_true(client_read_all(a, 0));
    assert_true(client_read_all(b, 0));
    assert_true(aff_bytes_equal(client_last_of(a, "k")->value, aff_str("first")));
    assert_true(aff_bytes_equal(client_last_of(b, "k")->value, aff_str("second")));
    contract_close(w, b);
    contract_close(w, a);
}

/* ---- at the same time ---- */

enum { BUSY_KEYS = 37, BUSY_PASSES = 12, BUSY_REAL_PASSES = 4, BUSY_LEAST = 2000, BUSY_MOST = 500000 };

struct compacting {
    struct contract_world *world;
    atomic_int passes;
    atomic_bool stop;
    pthread_t thread;
};

static void *compact_again_and_again(void *arg)
{
    struct compacting *job = arg;
    while (!atomic_load(&job->stop)) {
        contract_compact(job->world, "c.busy", 0);
        atomic_fetch_add(&job->passes, 1);
    }
    return NULL;
}

/* The offset behind the newest entry that it saw. */
static int64_t seen_to(const struct client *c)
{
    return c->seen_count ? c->seen[c->seen_count - 1].entry.offset + 1 : 0;
}

/* Writes until there were enough passes; returns the number of entries. The tailer is never far behind. */
static size_t write_meanwhile(struct compacting *job, struct client *writer, struct client *tailer)
{
    char key[16], value[16];
    int passes = job->world->driver->clock_moves ? BUSY_PASSES : BUSY_REAL_PASSES;
    unsigned i = 0;
    while (i < BUSY_LEAST || (i < BUSY_MOST && atomic_load(&job->passes) < passes)) {
        (void)snprintf(key, sizeof key, "key%u", i * i % BUSY_KEYS);
        (void)snprintf(value, sizeof value, "%u", i);
        assert_int_equal(client_put(writer, key, i % 11 ? value : NULL, i), 0);
        if (++i % 40 > 0)
            continue;
        assert_true(client_await_reports(writer, i));
        (void)aff_loop_pass(tailer->loop, 0);
        while (seen_to(tailer) + 120 < writer->reports[i - 1].offset)
            client_pass(tailer);
        if (job->world->driver->clock_moves)
            job->world->driver->advance(job->world, job->world->driver->lag_ms / 2);
    }
    assert_true(client_await_reports(writer, i));
    return i;
}

/* Each entry that is left was seen by the tailer, in this order. */
static void assert_saw_all(const struct client *tailer, const struct client *late)
{
    size_t at = 0;
    for (size_t i = 0; i < late->seen_count; i++) {
        const struct aff_entry *left = &late->seen[i].entry;
        while (at < tailer->seen_count && tailer->seen[at].entry.offset < left->offset)
            at++;
        assert_true(at < tailer->seen_count);
        assert_int_equal(tailer->seen[at].entry.offset, left->offset);
        contract_assert_same(&tailer->seen[at].entry, left);
    }
}

/* Whoever follows the log while it is written and compacted has, at the end, the same state as who reads what is left. */
static void a_tailer_sees_everything_that_survives(void **state)
{
    struct contract_world *w = *state;
    struct compacting job = { .world = w };
    struct client *writer, *tailer, *late;
    char key[16];

    /* tombstones that outlive the test: a tailer that falls behind by more than their life would rightly miss them */
    contract_topic_of(w, &(struct aff_topic){ "c.busy", 1, w->driver->lag_ms, INT64_MAX / 4, true });
    writer = contract_open(w, "c.busy", 0, NULL);
    tailer = contract_open(w, "c.busy", 0, NULL);
    keep_nothing(w, writer);
    tailer->read_on = true;
    tailer->read_bytes = 500;
    client_read(tailer, 0, 500, AFF_READ_WAIT, 1);
    assert_int_equal(pthread_create(&job.thread, NULL, compact_again_and_again, &job), 0);
    size_t total = write_meanwhile(&job, writer, tailer);
    atomic_store(&job.stop, true);
    assert_int_equal(pthread_join(job.thread, NULL), 0);
    w->driver->advance(w, w->driver->lag_ms + 1);
    contract_compact(w, "c.busy", 0);
    assert_true(client_put_now(writer, "end", "v"));
    while (seen_to(tailer) <= writer->reports[total].offset)
        client_pass(tailer);

    late = contract_open(w, "c.busy", 0, NULL);
    assert_true(client_read_all(late, 0));
    assert_true(contract_seen(late) < total);
    assert_saw_all(tailer, late);
    for (unsigned k = 0; k < BUSY_KEYS; k++) {
        (void)snprintf(key, sizeof key, "key%u", k);
        const struct aff_entry *a = client_last_of(tailer, key), *b = client_last_of(late, key);
        assert_true(b ? a && a->offset == b->offset : !a || !a->value.data); /* gone: it ended as a tombstone */
    }
    contract_close(w, late);
    contract_close(w, tailer);
    contract_close(w, writer);
}

#define CONTRACT(test)                                                                                                 \
    {                                                                                                                  \
#test, test, contract_set_up, contract_tear_down, (void *)(uintptr_t)driver                                    \
    }

int contract_compaction_tests(const struct changelog_driver *driver)
{
    const struct CMUnitTest tests[] = {
        CONTRACT(superseded_entries_go_and_last_values_stay),
        CONTRACT(nothing_younger_than_the_lag_goes),
        CONTRACT(a_young_entry_does_not_supersede),
        CONTRACT(nothing_goes_from_what_the_owner_keeps),
        CONTRACT(a_tombstone_stays_its_time_and_then_goes_with_its_key),
        CONTRACT(the_last_entry_stays_even_as_an_old_tombstone),
        CONTRACT(a_topic_that_is_not_compacted_keeps_everything),
        CONTRACT(partitions_with_the_same_keys_do_not_touch_each_other),
        CONTRACT(a_tailer_sees_everything_that_survives),
    };
    return cmocka_run_group_tests_name("compaction", tests, NULL, NULL);
}
