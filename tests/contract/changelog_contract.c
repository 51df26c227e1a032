/*
 * changelog_contract.c - the contract of core/changelog/changelog.h, as tests; run against one driver: its name is the
 * argument. What compaction owes is in changelog_compaction_contract.c and, where time is real, in
 * changelog_real_time_contract.c.
 */
#include "changelog_contract.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static const struct changelog_driver *const drivers[] = {
    &changelog_driver_memory,
    &changelog_driver_embedded,
    &changelog_driver_kafka,
};

/* ---- the world of a test ---- */

static int64_t mono_ns(const struct aff_clock *clock)
{
    (void)clock;
    return aff_mono_ns(aff_clock_system());
}

static int64_t boot_ns(const struct aff_clock *clock)
{
    (void)clock;
    return aff_boot_ns(aff_clock_system());
}

static int64_t wall_ms(const struct aff_clock *clock)
{
    return atomic_load(&aff_container_of(clock, struct contract_clock, clock)->wall_ms);
}

void contract_advance(struct contract_world *w, int64_t ms)
{
    atomic_fetch_add(&w->clock.wall_ms, ms);
}

int contract_set_up(void **state)
{
    struct contract_world *w = calloc(1, sizeof *w);
    w->driver = *state;
    w->clock.clock = (struct aff_clock){ mono_ns, boot_ns, wall_ms };
    atomic_init(&w->clock.wall_ms, CONTRACT_START_MS);
    w->driver->set_up(w);
    w->log = w->driver->start(w);
    *state = w;
    return w->log ? 0 : -1;
}

static void free_client(struct contract_world *w, struct client *c)
{
    for (size_t i = 0; i < CONTRACT_CLIENTS; i++)
        if (w->clients[i] == c)
            w->clients[i] = NULL;
    client_close(c);
    free(c);
}

int contract_tear_down(void **state)
{
    struct contract_world *w = *state;
    for (size_t i = CONTRACT_CLIENTS; i-- > 0;) /* of a test that failed; those that lend their loop come last */
        if (w->clients[i])
            free_client(w, w->clients[i]);
    if (w->log)
        w->log = w->log->ops->free(w->log);
    w->driver->tear_down(w);
    free(w);
    return 0;
}

struct contract_name contract_name(const struct contract_world *w, const char *topic)
{
    struct contract_name name;
    (void)snprintf(name.text, sizeof name.text, "%s%s", w->prefix, topic);
    return name;
}

void contract_topic_of(struct contract_world *w, const struct aff_topic *topic)
{
    aff_error err = { 0 };
    const struct contract_name name = contract_name(w, topic->name);
    struct aff_topic named = *topic;
    named.name = name.text;
    if (w->log->ops->topic(w->log, &named, &err))
        fail_msg("topic %s: %s", named.name, err.text);
}

void contract_topic(struct contract_world *w, const char *name, uint32_t partitions)
{
    const struct changelog_driver *d = w->driver;
    contract_topic_of(w, &(struct aff_topic){ name, partitions, d->lag_ms, d->retention_ms, true });
}

size_t contract_compact(struct contract_world *w, const char *topic, uint32_t partition)
{
    return w->driver->compact(w, contract_name(w, topic).text, partition);
}

size_t contract_seen(const struct client *c)
{
    return c->seen_count - client_count_of(c, CONTRACT_FILLER);
}

void contract_fill(struct client *c)
{
    char key[16], value[16];
    for (unsigned i = 0; i < CONTRACT_ALL; i++) {
        (void)snprintf(key, sizeof key, "key%u", i % CONTRACT_KEYS);
        (void)snprintf(value, sizeof value, "%u", i);
        assert_int_equal(client_put(c, key, value, c->report_count + i), 0);
        if (i % 50 == 0)
            client_pass(c);
    }
    assert_true(client_await_reports(c, CONTRACT_ALL));
}

void contract_needs(bool property, const char *what, const char *instead)
{
    if (property)
        return;
    print_message("             needs %s; instead: %s\n", what, instead);
    skip();
}

void contract_restart(struct contract_world *w)
{
    w->log = w->log->ops->free(w->log);
    w->log = w->driver->start(w);
    assert_non_null(w->log);
}

struct client *contract_open(struct contract_world *w, const char *topic, uint32_t partition, struct client *loop_of)
{
    size_t slot = 0;
    while (slot < CONTRACT_CLIENTS && w->clients[slot])
        slot++;
    assert_true(slot < CONTRACT_CLIENTS);
    struct client *c = w->clients[slot] = calloc(1, sizeof *c);
    assert_true(client_open(c, w->log, contract_name(w, topic).text, partition, loop_of));
    return c;
}

void contract_close(struct contract_world *w, struct client *c)
{
    const char *failure = c->failure;
    free_client(w, c);
    if (failure)
        fail_msg("%s", failure);
}

/* ---- appends and reports ---- */

static void reports_come_in_order_with_dense_offsets(void **state)
{
    enum { PARTITIONS = 3, ROUNDS = 300 };
    struct contract_world *w = *state;
    struct client *c[PARTITIONS];

    contract_topic(w, "t.dense", PARTITIONS);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        c[p] = contract_open(w, "t.dense", p, p ? c[0] : NULL);
    for (uint64_t i = 0; i < ROUNDS; i++) {
        for (uint32_t p = 0; p < PARTITIONS; p++)
            assert_int_equal(client_put(c[p], "key", "value", 1000 * p + i), 0);
        if (i % 7 == 0)
            client_pass(c[0]);
    }
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        assert_true(client_await_reports(c[p], ROUNDS));
        for (size_t i = 0; i < ROUNDS; i++) {
            assert_int_equal(c[p]->reports[i].seq, 1000 * p + i);
            assert_int_equal(c[p]->reports[i].status, 0);
            assert_int_equal(c[p]->reports[i].offset, i);
        }
    }
    for (uint32_t p = PARTITIONS; p-- > 0;)
        contract_close(w, c[p]);
}

/* Where time is real nothing moves it here: then this says only that reports and entries agree, and that the clock is no other. */
static void log_time_never_goes_back(void **state)
{
    static const int64_t steps[] = { 0, 5, -5000, 1, 10000, -1 };
    struct contract_world *w = *state;
    struct client *c;

    contract_topic(w, "t.time", 1);
    c = contract_open(w, "t.time", 0, NULL);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        contract_advance(w, steps[i]);
        assert_true(client_put_now(c, "k", "v"));
    }
    assert_true(client_read_all(c, 0));
    assert_int_equal(c->seen_count, sizeof steps / sizeof *steps);
    for (size_t i = 0; i < c->seen_count; i++) {
        assert_int_equal(c->seen[i].entry.time_ms, c->reports[i].time_ms);
        if (i > 0)
            assert_true(c->reports[i].time_ms >= c->reports[i - 1].time_ms);
    }
    assert_true(c->reports[0].time_ms >= CONTRACT_START_MS);
    contract_close(w, c);
}

static void an_entry_comes_back_as_it_was(void **state)
{
    static const unsigned char binary[] = { 0, 1, 0xff, '\n', 0, 0x80 };
    const struct aff_entry entries[] = {
        { .key = aff_bytes_of(binary, sizeof binary), .value = aff_bytes_of(binary, 3) },
        { .key = aff_str("tombstone") },
        { .key = aff_str("empty value"), .value = aff_str("") },
        { .key = aff_str("all"),
          .value = aff_str("{}"),
          .aff = aff_bytes_of(binary, sizeof binary),
          .content_type = aff_str("application/json"),
          .event_time = aff_str("1767225600000"),
          .traceparent = aff_str("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01") },
        { .key = aff_str("empty headers"), .value = aff_str("v"), .aff = aff_str(""), .content_type = aff_str("") },
    };
    enum { COUNT = sizeof entries / sizeof *entries };
    struct contract_world *w = *state;
    struct client *c;

    contract_topic(w, "t.same", 1);
    c = contract_open(w, "t.same", 0, NULL);
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(client_append(c, &entries[i], i), 0);
    assert_true(client_await_reports(c, COUNT));
    assert_true(client_read_all(c, 0));
    assert_int_equal(c->seen_count, COUNT);
    for (size_t i = 0; i < COUNT; i++)
        contract_assert_same(&c->seen[i].entry, &entries[i]);
    contract_close(w, c);
}

static void the_largest_entry_is_taken_and_a_larger_one_refused(void **state)
{
    struct contract_world *w = *state;
    struct client *c;
    char *value = malloc(AFF_ENTRY_MAX);
    struct aff_entry entry = { .key = aff_str("big"), .value = aff_bytes_of(value, AFF_ENTRY_MAX - 3) };

    for (size_t i = 0; i < AFF_ENTRY_MAX; i++)
        value[i] = (char)(i * 2654435761u >> 13);
    contract_topic(w, "t.large", 1);
    c = contract_open(w, "t.large", 0, NULL);
    assert_int_equal(client_append(c, &entry, 1), 0);
    assert_true(client_await_reports(c, 1));
    entry.value.len++;
    assert_int_equal(client_append(c, &entry, 2), AFF_ETOOLARGE);
    entry.value.len--;
    assert_true(client_put_now(c, "after", "v"));
    assert_int_equal(c->report_count, 2);
    assert_true(client_read_all(c, 0));
    assert_int_equal(c->seen_count, 2);
    contract_assert_same(&c->seen[0].entry, &entry);
    contract_close(w, c);
    free(value);
}

static void too_much_in_flight_is_refused_until_reports_came(void **state)
{
    enum { SIZE = 64 << 10, MOST = 4 * CONTRACT_IN_FLIGHT / SIZE };
    struct contract_world *w = *state;
    struct client *c;
    char *value = calloc(1, SIZE);
    const struct aff_entry entry = { .key = aff_str("k"), .value = aff_bytes_of(value, SIZE) };
    size_t accepted = 0;

    contract_topic(w, "t.bound", 1);
    c = contract_open(w, "t.bound", 0, NULL);
    for (int round = 0; round < 3; round++) {
        size_t before = accepted;
        int rc = 0;
        while (rc == 0 && accepted - before < MOST) {
            rc = client_append(c, &entry, accepted);
            accepted += rc == 0;
        }
        assert_int_equal(rc, AFF_EAGAIN);
        assert_true(accepted > before);
        assert_true(client_await_reports(c, accepted));
    }
    for (size_t i = 0; i < accepted; i++)
        assert_int_equal(c->reports[i].seq, i);
    contract_close(w, c);
    free(value);
}

/* ---- reads ---- */

static void an_empty_log_is_read_to_its_end(void **state)
{
    struct contract_world *w = *state;
    struct client *c;

    contract_topic(w, "t.empty", 1);
    c = contract_open(w, "t.empty", 0, NULL);
    client_read(c, 0, 1000, AFF_READ_TO_END, 77);
    assert_true(client_await_batches(c, 1));
    assert_int_equal(c->last.ticket, 77);
    assert_int_equal(c->last.status, 0);
    assert_int_equal(c->last_count, 0);
    assert_int_equal(c->last.start, 0);
    assert_int_equal(c->last.next, 0);
    assert_int_equal(c->last.end, 0);
    contract_close(w, c);
}

static void a_read_tells_start_next_and_end(void **state)
{
    struct contract_world *w = *state;
    struct client *c;

    contract_topic(w, "t.ends", 1);
    c = contract_open(w, "t.ends", 0, NULL);
    for (int i = 0; i < 5; i++)
        assert_true(client_put_now(c, "k", "v"));

    client_read(c, 2, 1 << 20, AFF_READ_TO_END, 1);
    assert_true(client_await_batches(c, 1));
    assert_in_range(c->last_count, 1, 3); /* one at least; how many come at once is the log's to say */
    assert_int_equal(c->seen[0].entry.offset, 2);
    assert_int_equal(c->last.next, 2 + c->last_count);
    assert_int_equal(c->last.end, 5);
    assert_int_equal(c->last.start, 0);
    assert_true(client_read_all(c, 2));
    assert_int_equal(c->seen_count, 3);
    assert_int_equal(c->last.next, 5);

    assert_true(client_read_all(c, -3)); /* below the start: from there */
    assert_int_equal(c->seen_count, 5);
    assert_int_equal(c->seen[0].entry.offset, 0);

    client_forget(c);
    client_read(c, 9, 1 << 20, AFF_READ_TO_END, 3); /* above the end */
    assert_true(client_await_batches(c, 1));
    assert_int_equal(c->last_count, 0);
    assert_int_equal(c->last.next, 5);
    contract_close(w, c);
}

static void max_bytes_bounds_an_answer_but_one_entry_always_comes(void **state)
{
    enum { COUNT = 50 };
    struct contract_world *w = *state;
    struct client *c;
    size_t batches = 0;

    contract_topic(w, "t.bytes", 1);
    c = contract_open(w, "t.bytes", 0, NULL);
    for (uint64_t i = 0; i < COUNT; i++)
        assert_int_equal(client_put(c, "a key", "a value of 24 bytes here", i), 0);
    assert_true(client_await_reports(c, COUNT));
    for (int64_t from = 0; from < COUNT; from = c->last.next) {
        client_read(c, from, 100, AFF_READ_TO_END, 5);
        assert_true(client_await_batches(c, ++batches));
        assert_in_range(c->last_count, 1, 4);
    }
    assert_int_equal(c->seen_count, COUNT);
    client_read(c, 0, 1, AFF_READ_TO_END, 6);
    assert_true(client_await_batches(c, ++batches));
    assert_int_equal(c->last_count, 1);
    contract_close(w, c);
}

static void a_read_waits_for_an_entry_of_another_loop(void **state)
{
    struct contract_world *w = *state;
    struct client *reader, *writer;

    contract_topic(w, "t.wait", 1);
    reader = contract_open(w, "t.wait", 0, NULL);
    writer = contract_open(w, "t.wait", 0, NULL);
    client_read(reader, 0, 1000, AFF_READ_WAIT, 1);
    for (int i = 0; i < 3; i++)
        client_pass(reader);
    assert_int_equal(reader->batches, 0);
    assert_true(client_put_now(writer, "k", "v"));
    assert_true(client_await_batches(reader, 1));
    assert_int_equal(reader->last_count, 1);
    assert_int_equal(reader->last.ticket, 1);

    reader->read_on = true;
    client_read(reader, 1, 1000, AFF_READ_WAIT, 2);
    for (int i = 0; i < 20; i++) {
        assert_true(client_put_now(writer, "k", "v"));
        assert_true(client_await_seen(reader, 2 + (size_t)i));
    }
    contract_close(w, reader);
    contract_close(w, writer);
}

static void a_new_read_replaces_an_open_one(void **state)
{
    struct contract_world *w = *state;
    struct client *c;

    contract_topic(w, "t.replace", 1);
    c = contract_open(w, "t.replace", 0, NULL);
    client_read(c, 0, 1000, AFF_READ_WAIT, 1);
    client_pass(c);
    client_read(c, 0, 1000, AFF_READ_TO_END, 2);
    assert_true(client_await_batches(c, 1));
    assert_int_equal(c->last.ticket, 2);

    assert_true(client_put_now(c, "k", "v")); /* the first read is gone */
    client_pass(c);
    assert_int_equal(c->batches, 1);

    for (uint64_t ticket = 10; ticket < 60; ticket++) /* also while it is being answered */
        client_read(c, 0, 1000, AFF_READ_TO_END, ticket);
    assert_true(client_await_batches(c, 2));
    assert_int_equal(c->last.ticket, 59);
    client_pass(c);
    assert_int_equal(c->batches, 2);
    contract_close(w, c);
}

/* ---- reset and close ---- */

static void after_a_reset_only_new_appends_are_reported(void **state)
{
    struct contract_world *w = *state;
    struct client *c;

    contract_topic(w, "t.reset", 1);
    c = contract_open(w, "t.reset", 0, NULL);
    for (uint64_t i = 0; i < 10; i++)
        assert_int_equal(client_put(c, "old", "v", i), 0);
    w->log->ops->reset(c->part);
    for (uint64_t i = 100; i < 105; i++)
        assert_int_equal(client_put(c, "new", "v", i), 0);
    (void)aff_loop_pass(c->loop, 0); /* these are handed over now, and not reported yet or never */
    size_t before = c->report_count;
    w->log->ops->reset(c->part);
    for (uint64_t i = 200; i < 205; i++)
        assert_int_equal(client_put(c, "newer", "v", i), 0);
    assert_true(client_await_reports(c, before + 5));
    client_pass(c);
    assert_int_equal(c->report_count, before + 5);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(c->reports[before + i].seq, 200 + i);

    assert_true(client_read_all(c, 0)); /* what was reported is there, in order */
    int64_t offset = c->reports[before].offset;
    for (size_t i = 0; i < c->seen_count; i++)
        if (c->seen[i].entry.offset >= offset)
            assert_true(aff_bytes_equal(c->seen[i].entry.key, aff_str("newer")));
    assert_int_equal(client_count_of(c, "newer"), 5);
    contract_close(w, c);
}

static void nothing_comes_after_close(void **state)
{
    struct contract_world *w = *state;
    struct client *stays, *goes;

    contract_topic(w, "t.close", 2);
    stays = contract_open(w, "t.close", 0, NULL);
    for (int way = 0; way < 3; way++) {
        goes = contract_open(w, "t.close", 1, stays);
        for (uint64_t i = 0; i < 20; i++)
            assert_int_equal(client_put(goes, "k", "v", i), 0);
        client_read(goes, 0, 1000, AFF_READ_WAIT, 1);
        if (way > 0)
            (void)aff_loop_pass(stays->loop, 0);
        client_close_part(goes);
        if (way == 2)
            assert_true(client_put_now(stays, "k", "v"));
        for (int i = 0; i < 5; i++)
            client_pass(stays);
        contract_close(w, goes);
    }
    contract_close(w, stays);
}

static void a_sink_may_close_its_partition(void **state)
{
    struct contract_world *w = *state;

    contract_topic(w, "t.inside", 2);
    for (int last = 0; last < 2; last++)
        for (int way = 0; way < 2; way++) {
            struct client *c, *other;
            c = contract_open(w, "t.inside", 0, NULL);
            if (!last)
                other = contract_open(w, "t.inside", 1, c);
            c->close_on_reports = way == 0;
            c->close_on_entries = way == 1;
            assert_int_equal(client_put(c, "k", "v", 1), 0);
            client_read(c, 0, 1000, AFF_READ_WAIT, 1);
            for (int i = 0; c->part && i < 1000; i++)
                client_pass(c);
            assert_null(c->part);
            if (!last) {
                assert_true(client_put_now(other, "k", "v"));
                contract_close(w, other);
            }
            client_pass(c);
            contract_close(w, c);
        }
}

/* ---- topics ---- */

static void another_partition_count_is_refused_by_name(void **state)
{
    struct contract_world *w = *state;
    const struct contract_name name = contract_name(w, "t.count");
    const struct aff_topic other = { name.text, 5, w->driver->lag_ms, w->driver->retention_ms, true };
    aff_error err = { 0 };

    contract_topic(w, "t.count", 4);
    contract_topic(w, "t.count", 4);
    assert_int_equal(w->log->ops->topic(w->log, &other, &err), AFF_ECONFIG);
    assert_non_null(strstr(err.text, "t.count"));
    assert_non_null(strstr(err.text, "4"));
    if (w->driver->persists) {
        contract_restart(w);
        assert_int_equal(w->log->ops->topic(w->log, &other, &err), AFF_ECONFIG);
    }
}

static void what_does_not_exist_cannot_be_opened(void **state)
{
    struct contract_world *w = *state;
    struct client c;

    contract_topic(w, "t.exists", 2);
    assert_false(client_open(&c, w->log, contract_name(w, "t.exists").text, 2, NULL));
    client_close(&c);
    assert_false(client_open(&c, w->log, contract_name(w, "t.other").text, 0, NULL));
    client_close(&c);
}

/* ---- threads ---- */

enum { WRITERS = 4, EACH = 1500, SHARED = 2 };

struct writing {
    struct contract_world *world;
    uint64_t number;
    const char *failure;
    int64_t *offsets; /* by seq */
    pthread_t thread;
};

static const char *write_all(struct writing *job, struct client *c)
{
    char value[32];
    for (uint64_t i = 0; i < EACH;) {
        (void)snprintf(value, sizeof value, "%u.%u", (unsigned)job->number, (unsigned)i);
        int rc = client_put(c, "key", value, i);
        if (rc && rc != AFF_EAGAIN)
            return "an append failed";
        if (rc || i % 16 == 0)
            (void)aff_loop_pass(c->loop, rc ? AFF_NS_PER_MS : 0);
        i += rc == 0;
    }
    if (!client_await_reports(c, EACH))
        return "reports are missing";
    for (size_t i = 0; i < EACH; i++) {
        if (c->reports[i].seq != i || c->reports[i].status)
            return "reports out of order";
        job->offsets[i] = c->reports[i].offset;
    }
    return c->failure;
}

static void *writer_thread(void *arg)
{
    struct writing *job = arg;
    struct client c;
    if (!client_open(&c, job->world->log, contract_name(job->world, "t.threads").text, (uint32_t)(job->number % SHARED),
                     NULL)) {
        job->failure = "it cannot be opened";
        return NULL;
    }
    job->failure = write_all(job, &c);
    client_close(&c);
    return NULL;
}

static void check_partition(struct client *reader, const struct writing *jobs, uint64_t partition)
{
    char value[32];
    size_t expected = (size_t)WRITERS / SHARED * EACH;

    assert_true(client_await_seen(reader, expected));
    assert_int_equal(reader->seen_count, expected);
    for (size_t i = 0; i < expected; i++)
        assert_int_equal(reader->seen[i].entry.offset, i);
    for (uint64_t n = partition; n < WRITERS; n += SHARED)
        for (unsigned i = 0; i < EACH; i++) {
            (void)snprintf(value, sizeof value, "%u.%u", (unsigned)n, i);
            assert_true(aff_bytes_equal(reader->seen[jobs[n].offsets[i]].entry.value, aff_str(value)));
        }
}

static void loops_append_and_tail_side_by_side(void **state)
{
    struct contract_world *w = *state;
    struct writing jobs[WRITERS];
    struct client *readers[SHARED];

    contract_topic(w, "t.threads", SHARED);
    for (uint32_t p = 0; p < SHARED; p++) {
        readers[p] = contract_open(w, "t.threads", p, p ? readers[0] : NULL);
        readers[p]->read_on = true;
        client_read(readers[p], 0, 4096, AFF_READ_WAIT, 1);
    }
    for (uint64_t n = 0; n < WRITERS; n++) {
        jobs[n] = (struct writing){ .world = w, .number = n, .offsets = calloc(EACH, sizeof(int64_t)) };
        assert_int_equal(pthread_create(&jobs[n].thread, NULL, writer_thread, &jobs[n]), 0);
    }
    for (int i = 0; i < 50; i++)
        client_pass(readers[0]);
    for (uint64_t n = 0; n < WRITERS; n++)
        assert_int_equal(pthread_join(jobs[n].thread, NULL), 0);
    for (uint64_t n = 0; n < WRITERS; n++)
        if (jobs[n].failure)
            fail_msg("writer %u: %s", (unsigned)n, jobs[n].failure);
    for (uint32_t p = 0; p < SHARED; p++)
        check_partition(readers[p], jobs, p);
    for (uint32_t p = SHARED; p-- > 0;)
        contract_close(w, readers[p]);
    for (uint64_t n = 0; n < WRITERS; n++)
        free(jobs[n].offsets);
}

/* ---- start again ---- */

static void a_log_that_persists_has_what_it_had(void **state)
{
    enum { COUNT = 200 };
    struct contract_world *w = *state;
    struct client *c, *again;
    char value[16];

    if (!w->driver->persists)
        skip();
    contract_topic(w, "t.again", 2);
    c = contract_open(w, "t.again", 1, NULL);
    for (unsigned i = 0; i < COUNT; i++) {
        (void)snprintf(value, sizeof value, "%u", i);
        assert_int_equal(client_put(c, i % 3 ? "a" : "b", i % 5 ? value : NULL, i), 0);
    }
    assert_true(client_await_reports(c, COUNT));
    assert_true(client_read_all(c, 0));
    client_close_part(c);

    contract_advance(w, -100000); /* the world's clock, not the driver's hook: time that is real does not go back */
    contract_restart(w);
    contract_topic(w, "t.again", 2);
    again = contract_open(w, "t.again", 1, NULL);
    assert_true(client_read_all(again, 0));
    assert_int_equal(again->seen_count, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        contract_assert_same(&again->seen[i].entry, &c->seen[i].entry);
        assert_int_equal(again->seen[i].entry.offset, c->seen[i].entry.offset);
        assert_int_equal(again->seen[i].entry.time_ms, c->seen[i].entry.time_ms);
    }
    assert_true(client_put_now(again, "k", "v"));
    assert_int_equal(again->reports[0].offset, COUNT);
    assert_true(again->reports[0].time_ms >= c->seen[COUNT - 1].entry.time_ms);
    contract_close(w, again);
    contract_close(w, c);
}

/* ---- main ---- */

static const struct changelog_driver *find_driver(const char *name)
{
    for (size_t i = 0; i < sizeof drivers / sizeof *drivers; i++)
        if (strcmp(drivers[i]->name, name) == 0)
            return drivers[i];
    return NULL;
}

#define CONTRACT(test)                                                                                                 \
    {                                                                                                                  \
#test, test, contract_set_up, contract_tear_down, (void *)(uintptr_t)driver                                    \
    }

int main(int argc, char **argv)
{
    const struct changelog_driver *driver = argc == 2 ? find_driver(argv[1]) : NULL;
    if (!driver) {
        (void)fprintf(stderr, "usage: changelog_contract DRIVER\n");
        return 2;
    }
    const struct CMUnitTest tests[] = {
        CONTRACT(reports_come_in_order_with_dense_offsets),
        CONTRACT(log_time_never_goes_back),
        CONTRACT(an_entry_comes_back_as_it_was),
        CONTRACT(the_largest_entry_is_taken_and_a_larger_one_refused),
        CONTRACT(too_much_in_flight_is_refused_until_reports_came),
        CONTRACT(an_empty_log_is_read_to_its_end),
        CONTRACT(a_read_tells_start_next_and_end),
        CONTRACT(max_bytes_bounds_an_answer_but_one_entry_always_comes),
        CONTRACT(a_read_waits_for_an_entry_of_another_loop),
        CONTRACT(a_new_read_replaces_an_open_one),
        CONTRACT(after_a_reset_only_new_appends_are_reported),
        CONTRACT(nothing_comes_after_close),
        CONTRACT(a_sink_may_close_its_partition),
        CONTRACT(another_partition_count_is_refused_by_name),
        CONTRACT(what_does_not_exist_cannot_be_opened),
        CONTRACT(loops_append_and_tail_side_by_side),
        CONTRACT(a_log_that_persists_has_what_it_had),
    };
    int failures = cmocka_run_group_tests_name(driver->name, tests, NULL, NULL) + contract_compaction_tests(driver);
    return failures + (driver->clock_moves ? 0 : contract_real_time_tests(driver));
}
