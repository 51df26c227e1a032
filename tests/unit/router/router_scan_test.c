/*
 * router_scan_test.c - scans: the merge of real partitions on two loops, which this test drives on its own thread, pass by pass, so
 * that everything that stands between two calls of a scan is chosen here.
 */
#include "scan_fixture.h"

#include <sys/stat.h>

enum { SCANS = 8, PATIENCE = 5 };

/* ---- the merge ---- */

static aff_bytes some_key(struct fixture *f)
{
    return below(f, 4) ? key_of(&f->records[below(f, KEYS)]) : aff_bytes_of(NULL, 0);
}

static void expect_all_kinds(struct fixture *f)
{
    unsigned char room[AFF_KEY_MAX];
    struct aff_range all = { .start.data = NULL };

    assert_int_equal(expect_scan(f, (struct aff_scan_opts){ .keys_only = false }), KEYS);
    assert_int_equal(expect_scan(f, (struct aff_scan_opts){ .reverse = true }), KEYS);
    assert_int_equal(expect_scan(f, (struct aff_scan_opts){ .keys_only = true }), KEYS);
    assert_int_equal(expect_scan(f, (struct aff_scan_opts){ .local = true, .reverse = true }), KEYS);
    assert_true(expect_scan(f, (struct aff_scan_opts){ .range = aff_range_of_prefix(all, aff_str("pp"), room) }) > KEYS / 3);
    assert_int_equal(expect_scan(f, (struct aff_scan_opts){ .range = { aff_str("b"), aff_str("a") } }), 0);
    for (int i = 0; i < 30; i++)
        expect_scan(f, (struct aff_scan_opts){ .range = { some_key(f), some_key(f) },
                                               .after = below(f, 2) ? some_key(f) : aff_bytes_of(NULL, 0),
                                               .reverse = below(f, 2),
                                               .keys_only = below(f, 2) });
    for (int i = 0; i < 30; i++) {
        const struct record *r = &f->records[below(f, KEYS)];
        aff_bytes prefix = aff_bytes_of(r->key, 1 + below(f, r->key_len));

        expect_scan(f, (struct aff_scan_opts){ .range = aff_range_of_prefix(all, prefix, room), .reverse = below(f, 2) });
    }
}

static void scans_tell_all_keys_in_order(void **state)
{
    static const uint32_t counts[] = { 1, 2, 7 };

    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct fixture *f = fixture_new(counts[i]);

        fill(f, 100000);
        expect_all_kinds(f);
        fixture_free(f);
    }
}

static void a_route_changes_nothing_of_what_is_told(void **state)
{
    static const char *const routes[] = { "up-to \"1\"", "up-to \"p\" 3" };

    (void)state;
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        struct fixture *f = fixture_routed(5, routes[i]);

        fill(f, 3000);
        expect_all_kinds(f);
        fixture_free(f);
    }
}

/* Nothing of the others is read: they have no master. */
static void expect_one_partition(struct fixture *f, struct aff_range range, bool reverse)
{
    struct walk w;
    struct aff_scan_entry e;
    uint32_t home = aff_space_partition(f->space, aff_str("a/7"));

    for (uint32_t i = 0; i < f->count; i++)
        atomic_store(&aff_partition_shared(f->parts[i])->serves, i == home);
    walk_begin(&w, f, (struct aff_scan_opts){ .range = range, .reverse = reverse });
    assert_int_equal(walk_next(&w, &e), 1);
    assert_int_equal(e.partition, home);
    aff_scan_free(w.scan);
    for (uint32_t i = 0; i < f->count; i++)
        atomic_store(&aff_partition_shared(f->parts[i])->serves, true);
}

static void a_scan_of_one_route_asks_one_partition(void **state)
{
    struct fixture *f = fixture_routed(7, "up-to \"/\" 2");
    struct aff_range all = { .start.data = NULL }, from = { .start = aff_str("a/7/t") };
    unsigned char room[16];
    struct walk w;
    struct aff_scan_entry e;
    uint32_t partition = 99;

    (void)state;
    f->records[0] = (struct record){ .key = "a/7/tx/1", .key_len = 8 };
    f->records[1] = (struct record){ .key = "a/7/\xff\xff", .key_len = 6 };
    write_one(f, &f->records[0], true);
    write_one(f, &f->records[1], true);
    for (int reverse = 0; reverse < 2; reverse++) {
        expect_one_partition(f, aff_range_of_prefix(all, aff_str("a/7/"), room), reverse);
        expect_one_partition(f, aff_range_of_prefix(from, aff_str("a/7/"), room), reverse);
        expect_one_partition(f, aff_range_of_prefix(all, aff_str("a/7/\xff"), room), reverse);
        expect_one_partition(f, (struct aff_range){ aff_str("a/7/t"), aff_str("a/7/u") }, reverse);
    }
    for (uint32_t i = 0; i < f->count; i++)
        atomic_store(&aff_partition_shared(f->parts[i])->serves, i == aff_space_partition(f->space, aff_str("a/7")));
    walk_begin(&w, f, (struct aff_scan_opts){ .range = aff_range_of_prefix(all, aff_str("a/7"), room) }); /* and a/70 */
    assert_int_equal(aff_scan_next(w.scan, &e, &partition), AFF_ENOMASTER);
    assert_int_not_equal(partition, aff_space_partition(f->space, aff_str("a/7")));
    aff_scan_free(w.scan);
    fixture_free(f);
}

/* The share of each is a few bytes, and one call reads a part of them only. */
static void many_partitions_are_merged_as_few(void **state)
{
    struct fixture *f = fixture_new(270);
    struct walk w;

    (void)state;
    fill(f, 5000);
    expect_all_kinds(f);
    walk_begin(&w, f, (struct aff_scan_opts){ .keys_only = false });
    expect_rest(&w);
    assert_true(w.waits > 0);
    aff_scan_free(w.scan);
    leased = false;
    assert_int_equal(expect_scan(f, (struct aff_scan_opts){ .keys_only = false }), KEYS);
    fixture_free(f);
}

static void a_mebibyte_and_nothing_are_values(void **state)
{
    struct fixture *f = fixture_new(3);

    (void)state;
    fill(f, 10);
    for (int i = 0; i < 6; i++) {
        struct record *r = &f->records[i * 7];

        r->size = i % 2 ? VALUE_MAX : 0;
        write_one(f, r, true);
    }
    expect_scan(f, (struct aff_scan_opts){ .keys_only = false });
    expect_scan(f, (struct aff_scan_opts){ .reverse = true, .keys_only = true });
    fixture_free(f);
}

static void an_empty_keyspace_has_nothing_to_tell(void **state)
{
    struct fixture *f = fixture_new(2);

    (void)state;
    assert_int_equal(expect_scan(f, (struct aff_scan_opts){ .keys_only = false }), 0);
    assert_int_equal(expect_scan(f, (struct aff_scan_opts){ .reverse = true }), 0);
    fixture_free(f);
}

/* ---- writes go on ---- */

/* Records of every third key change while a scan runs: the others are told as they are, and these as they were at some time of it. */
static void expect_moving(struct fixture *f, struct walk *w, const unsigned *version_before)
{
    struct aff_scan_entry e;
    int code, at = w->at, way = w->opts.reverse ? -1 : 1;

    while ((code = walk_next(w, &e)) == 1) {
        for (at += way; !aff_bytes_equal(key_of(&f->records[at]), e.key); at += way) {
            assert_in_range(at, 0, KEYS - 1); /* else it is out of order */
            if (at % 3)
                fail_msg("\"%s\" was left out", f->records[at].key);
        }
        if (at % 3)
            expect_entry(w, &f->records[at], &e);
        else
            assert_in_range(strtoul((const char *)e.item.value.data, NULL, 10), version_before[at], f->records[at].version);
        if (below(f, 4) == 0) {
            struct record *r = &f->records[below(f, KEYS / 3) * 3];

            write_one(f, r, below(f, 3) > 0);
        }
    }
    assert_int_equal(code, 0);
    for (at += way; at >= 0 && at < KEYS; at += way)
        assert_int_equal(at % 3, 0);
}

static void what_changes_meanwhile_is_told_as_it_was_at_some_time(void **state)
{
    struct fixture *f = fixture_new(5);
    static unsigned before[KEYS];

    (void)state;
    fill(f, 90000);
    for (int i = 0; i < 4; i++) {
        struct walk w;

        for (int j = 0; j < KEYS; j++)
            before[j] = f->records[j].version;
        leased = i / 2;
        walk_begin(&w, f, (struct aff_scan_opts){ .reverse = i % 2 });
        expect_moving(f, &w, before);
        aff_scan_free(w.scan);
    }
    fixture_free(f);
}

static void scans_of_one_port_do_not_disturb_each_other(void **state)
{
    struct fixture *f = fixture_new(4);
    struct walk w[SCANS];
    unsigned left = SCANS;

    (void)state;
    fill(f, 80000);
    for (unsigned i = 0; i < SCANS; i++)
        walk_begin(&w[i], f, (struct aff_scan_opts){ .reverse = i % 2, .keys_only = i % 3 == 0 });
    while (left > 0) {
        struct walk *one = &w[below(f, SCANS)];
        struct aff_scan_entry e;
        int code = one->scan ? walk_next(one, &e) : -1;

        if (code == 1) {
            one->at = wanted_after(one, one->at);
            expect_entry(one, &f->records[one->at], &e);
        } else if (code == 0) {
            assert_int_equal(wanted_after(one, one->at), -1);
            one->scan = aff_scan_free(one->scan);
            left--;
        }
        leased = below(f, 100) > 0;
    }
    fixture_free(f);
}

static uint64_t files_size(const struct fixture *f)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < f->count; i++) {
        char path[128];
        struct stat st;

        snprintf(path, sizeof path, "%s/%u/data.mdb", f->folder, (unsigned)i);
        assert_int_equal(stat(path, &st), 0);
        sum += (uint64_t)st.st_size;
    }
    return sum;
}

static void overwrite(struct fixture *f, int rounds)
{
    static struct request batch[BATCH];

    for (int i = 0; i < rounds; i++) {
        for (unsigned j = 0; j < BATCH; j++)
            send_write(f, &batch[j], &f->records[(i * BATCH + (int)j) % KEYS], true);
        for (unsigned j = 0; j < BATCH; j++)
            finish_write(f, &batch[j]);
    }
}

static void a_scan_that_stands_still_pins_nothing(void **state)
{
    struct fixture *f = fixture_new(2);
    struct walk w;
    struct aff_scan_entry e;
    uint64_t before;

    (void)state;
    fill(f, 1000);
    overwrite(f, 60);
    walk_begin(&w, f, (struct aff_scan_opts){ .keys_only = false });
    assert_int_equal(walk_next(&w, &e), 1);
    before = files_size(f);
    overwrite(f, 120);
    assert_int_equal(files_size(f), before);
    assert_int_equal(walk_next(&w, &e), 1);
    aff_scan_free(w.scan);
    fixture_free(f);
}

/* ---- proofs ---- */

static void without_a_lease_each_partition_is_proven(void **state)
{
    struct fixture *f = fixture_new(4);
    struct walk w;

    (void)state;
    fill(f, 90000);
    leased = false;
    walk_begin(&w, f, (struct aff_scan_opts){ .patience_ns = PATIENCE * AFF_NS_PER_S });
    assert_int_equal(expect_rest(&w), KEYS);
    assert_true(w.waits > 0);
    aff_scan_free(w.scan);
    assert_int_equal(expect_scan(f, (struct aff_scan_opts){ .local = true }), KEYS);
    walk_begin(&w, f, (struct aff_scan_opts){ .local = true });
    expect_rest(&w);
    assert_int_equal(w.waits, 0);
    aff_scan_free(w.scan);
    fixture_free(f);
}

static void a_partition_without_a_master_ends_a_scan_in_its_middle(void **state)
{
    struct fixture *f = fixture_new(3);
    struct walk w;
    struct aff_scan_entry e;
    unsigned n = 0;
    int code;

    (void)state;
    fill(f, 10000);
    for (int i = 0; i < 2; i++) {
        leased = i == 0;
        walk_begin(&w, f, (struct aff_scan_opts){ .keys_only = false });
        assert_int_equal(walk_next(&w, &e), 1);
        atomic_store(&aff_partition_shared(f->parts[1])->serves, false);
        for (n = 1; (code = walk_next(&w, &e)) == 1; n++)
            ;
        assert_int_equal(code, AFF_ENOMASTER);
        assert_int_equal(w.partition, 1);
        assert_in_range(n, 2, KEYS - 1);
        assert_int_equal(aff_scan_next(w.scan, &e, NULL), AFF_ENOMASTER); /* a failure stays */
        aff_scan_free(w.scan);
        assert_int_equal(expect_scan(f, (struct aff_scan_opts){ .local = true }), KEYS);
        atomic_store(&aff_partition_shared(f->parts[1])->serves, true);
    }
    fixture_free(f);
}

/* The partition stops while its barrier is under way: the barrier's own answer is the scan's. */
static void a_proof_that_fails_ends_a_scan(void **state)
{
    struct fixture *f = fixture_new(3);
    struct walk w;
    struct aff_scan_entry e;

    (void)state;
    fill(f, 100);
    leased = false;
    walk_begin(&w, f, (struct aff_scan_opts){ .keys_only = false });
    assert_int_equal(aff_scan_next(w.scan, &e, NULL), AFF_EAGAIN);
    aff_partition_stop(f->parts[0]);
    assert_true(walk_next(&w, &e) < 0);
    assert_int_equal(w.partition, 0);
    aff_scan_free(w.scan);
    fixture_free(f);
}

static void a_scan_is_freed_while_it_waits(void **state)
{
    struct fixture *f = fixture_new(4);
    struct walk w;
    struct aff_scan_entry e;

    (void)state;
    fill(f, 100);
    leased = false;
    for (int passes = 0; passes < 6; passes++) {
        walk_begin(&w, f, (struct aff_scan_opts){ .keys_only = false });
        assert_int_equal(aff_scan_next(w.scan, &e, NULL), AFF_EAGAIN);
        for (int i = 0; i < passes && w.ready == 0; i++)
            pass(f);
        w.scan = aff_scan_free(w.scan);
        w.ready = 0;
        for (int i = 0; i < 10; i++)
            pass(f);
        assert_int_equal(w.ready, 0); /* it comes back to nobody */
    }
    fixture_free(f);
}

struct once {
    struct aff_scan *scan;
    bool came;
};

static void free_in_ready(void *self)
{
    struct once *once = self;

    once->scan = aff_scan_free(once->scan);
    once->came = true;
}

static void a_scan_may_be_freed_by_the_one_that_it_waited_for(void **state)
{
    struct fixture *f = fixture_new(2);
    struct once once = { .scan = NULL };
    struct aff_scan_opts opts = { .port = f->port, .space = f->space, .ready = free_in_ready, .self = &once };
    struct aff_scan_entry e;

    (void)state;
    leased = false;
    once.scan = aff_scan_new(&opts);
    assert_int_equal(aff_scan_next(once.scan, &e, NULL), AFF_EAGAIN);
    while (!once.came)
        pass(f);
    assert_null(once.scan);
    fixture_free(f);
}

/* ---- ranges ---- */

static void expect_range(const char *start, const char *end, aff_bytes prefix, const char *want_start, aff_bytes want_end)
{
    unsigned char room[8];
    struct aff_range range = { start ? aff_str(start) : aff_bytes_of(NULL, 0), end ? aff_str(end) : aff_bytes_of(NULL, 0) };

    range = aff_range_of_prefix(range, prefix, room);
    assert_true(aff_bytes_equal(range.start, aff_str(want_start)));
    assert_true((range.end.data == NULL) == (want_end.data == NULL));
    assert_true(aff_bytes_equal(range.end, want_end));
}

static void a_prefix_is_a_range(void **state)
{
    (void)state;
    expect_range(NULL, NULL, aff_str("a/"), "a/", aff_str("a0"));
    expect_range(NULL, NULL, aff_str("a\xff\xff"), "a\xff\xff", aff_str("b"));
    expect_range(NULL, NULL, aff_str("\xff\xff"), "\xff\xff", aff_bytes_of(NULL, 0));
    expect_range(NULL, "\xff\xff\xff", aff_str("\xff\xff"), "\xff\xff", aff_str("\xff\xff\xff"));
    expect_range("a/5", NULL, aff_str("a/"), "a/5", aff_str("a0"));
    expect_range("a/5", "a/7", aff_str("a/"), "a/5", aff_str("a/7"));
    expect_range("0", "zz", aff_str("a/"), "a/", aff_str("a0"));
    expect_range("a", NULL, aff_str(""), "a", aff_bytes_of(NULL, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_prefix_is_a_range),
        cmocka_unit_test(an_empty_keyspace_has_nothing_to_tell),
        cmocka_unit_test(scans_tell_all_keys_in_order),
        cmocka_unit_test(a_route_changes_nothing_of_what_is_told),
        cmocka_unit_test(a_scan_of_one_route_asks_one_partition),
        cmocka_unit_test(many_partitions_are_merged_as_few),
        cmocka_unit_test(a_mebibyte_and_nothing_are_values),
        cmocka_unit_test(what_changes_meanwhile_is_told_as_it_was_at_some_time),
        cmocka_unit_test(scans_of_one_port_do_not_disturb_each_other),
        cmocka_unit_test(a_scan_that_stands_still_pins_nothing),
        cmocka_unit_test(without_a_lease_each_partition_is_proven),
        cmocka_unit_test(a_partition_without_a_master_ends_a_scan_in_its_middle),
        cmocka_unit_test(a_proof_that_fails_ends_a_scan),
        cmocka_unit_test(a_scan_is_freed_while_it_waits),
        cmocka_unit_test(a_scan_may_be_freed_by_the_one_that_it_waited_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
