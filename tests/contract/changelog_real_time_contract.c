/*
 * changelog_real_time_contract.c - what compaction owes where time is real and compaction comes by itself: for each test of
 * changelog_compaction_contract.c that moves the clock, one that does not have to. Part of changelog_contract.c.
 */
#include "changelog_contract.h"

#include <stdio.h>

enum { HOUR_MS = 3600000, SEGMENTS_MS = 200, TURNS = 200, TRIES = 3 };

static void topic_of(struct contract_world *w, const char *name, int64_t lag_ms, int64_t retention_ms)
{
    contract_topic_of(w, &(struct aff_topic){ name, 1, lag_ms, retention_ms, true });
}

/* Appends behind the others, after a moment: what is before it is in closed segments then. */
static void close_segment(struct contract_world *w, struct client *c)
{
    w->driver->advance(w, SEGMENTS_MS);
    assert_true(client_put_now(c, CONTRACT_FILLER, "v"));
}

/* The same entries in two topics: those without lag go, so the others stay because of theirs. */
static void nothing_younger_than_a_real_lag_goes(void **state)
{
    struct contract_world *w = *state;
    struct client *stay, *go;

    topic_of(w, "r.stay", HOUR_MS, w->driver->retention_ms);
    topic_of(w, "r.go", w->driver->lag_ms, w->driver->retention_ms);
    stay = contract_open(w, "r.stay", 0, NULL);
    go = contract_open(w, "r.go", 0, stay);
    contract_fill(stay);
    close_segment(w, stay);
    contract_fill(go);
    w->driver->advance(w, w->driver->lag_ms + 1);
    contract_compact(w, "r.go", 0);
    assert_true(client_read_all(go, 0));
    assert_int_equal(contract_seen(go), CONTRACT_KEYS);
    assert_true(client_read_all(stay, 0));
    assert_int_equal(contract_seen(stay), CONTRACT_ALL);
    contract_close(w, go);
    contract_close(w, stay);
}

/*
 * "old" and "value" are older than the lag, "young" is not. False: it took so long until "old" was gone that "young" may have
 * been old as well, and nothing is shown.
 */
static bool shows_that_young_ones_do_not_supersede(struct contract_world *w, const char *topic, int64_t lag_ms)
{
    struct client *c;
    int turn = 0;

    topic_of(w, topic, lag_ms, w->driver->retention_ms);
    c = contract_open(w, topic, 0, NULL);
    assert_true(client_put_now(c, "k", "old"));
    assert_true(client_put_now(c, "k", "value"));
    close_segment(w, c);
    w->driver->advance(w, lag_ms + 1);
    assert_true(client_put_now(c, "k", "young"));
    const int64_t young_ms = c->reports[c->report_count - 1].time_ms;
    do {
        close_segment(w, c);
        assert_true(client_read_all(c, 0));
    } while (c->seen[0].entry.offset == 0 && ++turn < TURNS);
    assert_true(turn < TURNS);
    assert_true(client_put_now(c, CONTRACT_FILLER, "v")); /* tells what time it is in the log */
    bool shown = c->reports[c->report_count - 1].time_ms < young_ms + lag_ms;
    if (shown) {
        assert_int_equal(client_count_of(c, "k"), 2);
        assert_true(aff_bytes_equal(c->seen[0].entry.value, aff_str("value")));
    }
    contract_close(w, c);
    return shown;
}

static void an_entry_below_a_real_lag_does_not_supersede(void **state)
{
    struct contract_world *w = *state;
    char topic[16];
    int64_t lag_ms = 3000;

    for (int i = 0; i < TRIES; i++, lag_ms *= 3) {
        (void)snprintf(topic, sizeof topic, "r.young%d", i);
        if (shows_that_young_ones_do_not_supersede(w, topic, lag_ms))
            return;
    }
    fail_msg("compaction was too slow to show anything");
}

static void put_tombstones(struct client *c)
{
    assert_true(client_put_now(c, "gone", "value"));
    assert_true(client_put_now(c, "gone", NULL));
    assert_true(client_put_now(c, "back", NULL));
    assert_true(client_put_now(c, "back", "again"));
    assert_true(client_put_now(c, "other", "value"));
}

static void a_tombstone_stays_for_a_real_retention_and_then_goes(void **state)
{
    struct contract_world *w = *state;
    struct client *stay, *go;

    topic_of(w, "r.tomb-stays", w->driver->lag_ms, HOUR_MS);
    topic_of(w, "r.tomb-goes", w->driver->lag_ms, w->driver->retention_ms);
    stay = contract_open(w, "r.tomb-stays", 0, NULL);
    go = contract_open(w, "r.tomb-goes", 0, stay);
    put_tombstones(stay);
    put_tombstones(go);
    for (int i = 0; i < 2; i++) { /* the first time it is seen, and the second it may go */
        w->driver->advance(w, w->driver->retention_ms + 1);
        contract_compact(w, "r.tomb-stays", 0);
        contract_compact(w, "r.tomb-goes", 0);
    }
    assert_true(client_read_all(stay, 0));
    assert_int_equal(client_count_of(stay, "gone"), 1);
    assert_null(client_last_of(stay, "gone")->value.data);
    assert_true(client_read_all(go, 0));
    assert_int_equal(client_count_of(go, "gone"), 0);
    struct client *const both[] = { stay, go };
    for (int i = 0; i < 2; i++) {
        assert_int_equal(client_count_of(both[i], "back"), 1);
        assert_int_equal(client_count_of(both[i], "other"), 1);
    }
    contract_close(w, go);
    contract_close(w, stay);
}

#define CONTRACT(test)                                                                                                 \
    {                                                                                                                  \
#test, test, contract_set_up, contract_tear_down, (void *)(uintptr_t)driver                                    \
    }

int contract_real_time_tests(const struct changelog_driver *driver)
{
    const struct CMUnitTest tests[] = {
        CONTRACT(nothing_younger_than_a_real_lag_goes),
        CONTRACT(an_entry_below_a_real_lag_does_not_supersede),
        CONTRACT(a_tombstone_stays_for_a_real_retention_and_then_goes),
    };
    return cmocka_run_group_tests_name("compaction in real time", tests, NULL, NULL);
}
