/*
 * scan_fixture.c - see scan_fixture.h.
 */
#include "scan_fixture.h"

#include <sys/stat.h>
#include <unistd.h>

/* LMDB is not built with ThreadSanitizer: what it does with its own locks is not seen. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "called_from_lib:liblmdb.so\n";
}

bool leased;

static int64_t lease_until(struct aff_coordinator *c)
{
    (void)c;
    return leased ? INT64_MAX : 0;
}

uint64_t below(struct fixture *f, uint64_t limit)
{
    f->seed = f->seed * 6364136223846793005 + 1442695040888963407;
    return (f->seed >> 33) % limit;
}

void pass(struct fixture *f)
{
    for (unsigned i = 0; i < LOOPS; i++)
        aff_loop_pass(f->loops[i], 0);
}

/* ---- fixture ---- */

static void make_part(struct fixture *f, uint32_t i)
{
    char folder[96];
    struct aff_partition_opts opts = {
        .core = { .keyspace = "accounts", .index = i, .partitions = f->count, .compaction_lag_ms = 3600000,
                  .tombstone_retention_ms = 604800000 },
        .topic = "test.accounts",
        .group = f->groups[i % LOOPS],
        .changelog = f->log,
        .coordinator = f->coordinator,
        .finder = f->indexed ? &f->finder : NULL,
        .store = { .folder = folder, .map_bytes = 256 << 20, .readers = LOOPS, .boot_id = "b" },
    };
    aff_error err = { 0 };

    snprintf(folder, sizeof folder, "%s/%u", f->folder, (unsigned)i);
    if (aff_partition_new(&opts, &f->parts[i], &err) != 0)
        fail_msg("partition %u did not open: %s", (unsigned)i, err.text);
}

static void make_loops(struct fixture *f)
{
    aff_error err = { 0 };

    for (unsigned i = 0; i < LOOPS; i++) {
        struct aff_loop_opts opts = { .name = "test", .index = i, .clock = aff_clock_system() };

        assert_int_equal(aff_loop_new(&opts, &f->loops[i], &err), 0);
        f->groups[i] = aff_partition_group_new(f->loops[i]);
    }
}

/* A value's one term is the last byte of its key. */
static int last_of_key(aff_bytes key, const aff_value *value, void *user, aff_index_sink *sink)
{
    (void)value, (void)user;
    return aff_index_int(sink, ((const unsigned char *)key.data)[key.len - 1]);
}

static void declare_index(struct fixture *f)
{
    const aff_index last = { .size = sizeof last, .name = "last", .terms = last_of_key };
    aff_error err = { 0 };

    aff_finder_init(&f->finder);
    assert_int_equal(aff_finder_add(&f->finder, &last, &err), 0);
    f->indexed = true;
}

static struct fixture *fixture_make(uint32_t partitions, const char *route, bool indexed)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct aff_changelog_memory_opts log = { .clock = aff_clock_system() };
    struct aff_topic topic = { "test.accounts", partitions, 3600000, 604800000, true };
    struct aff_coordinator_embedded_opts coordinator = { .exclusive = true };
    struct aff_space settings = { .name = "accounts", .partitions = partitions, .max_value = 2 << 20 };
    aff_error err = { 0 };

    assert_int_equal(aff_key_route_read(aff_str(route), &settings.route, &err), 0);
    leased = true;
    if (indexed)
        declare_index(f);
    settings.indexes = indexed ? &f->finder : NULL;
    f->count = partitions;
    f->seed = partitions;
    snprintf(f->folder, sizeof f->folder, "%s/scan-test-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(f->folder));
    assert_int_equal(aff_changelog_memory_new(&log, &f->log, &err), 0);
    assert_int_equal(f->log->ops->topic(f->log, &topic, &err), 0);
    f->coordinator = aff_coordinator_embedded_new(&coordinator);
    f->ops = *f->coordinator->ops;
    f->ops.lease_until = lease_until;
    f->coordinator->ops = &f->ops;
    f->router = aff_router_new();
    make_loops(f);
    f->parts = calloc(partitions, sizeof(struct aff_partition *));
    for (uint32_t i = 0; i < partitions; i++)
        make_part(f, i);
    aff_router_add(f->router, &settings, f->parts);
    assert_int_equal(aff_port_new(f->router, f->loops[0], &f->port, &err), 0);
    f->space = aff_router_space(f->router, aff_str("accounts"));
    for (uint32_t i = 0; i < partitions; i++)
        aff_partition_start(f->parts[i]);
    for (uint32_t i = 0; i < partitions; i++)
        while (!atomic_load(&aff_partition_shared(f->parts[i])->serves))
            pass(f);
    f->records = calloc(KEYS, sizeof *f->records);
    f->value = malloc(VALUE_MAX + 16);
    memset(f->value, 'v', VALUE_MAX + 16);
    return f;
}

struct fixture *fixture_routed(uint32_t partitions, const char *route)
{
    return fixture_make(partitions, route, false);
}

struct fixture *fixture_indexed(uint32_t partitions)
{
    return fixture_make(partitions, "whole-key", true);
}

struct fixture *fixture_new(uint32_t partitions)
{
    return fixture_make(partitions, "whole-key", false);
}

void fixture_free(struct fixture *f)
{
    char command[128];

    for (uint32_t i = 0; i < f->count; i++)
        aff_partition_stop(f->parts[i]);
    for (int i = 0; i < 3; i++) /* there and back */
        pass(f);
    aff_port_free(f->port);
    for (uint32_t i = 0; i < f->count; i++)
        aff_partition_free(f->parts[i]);
    for (unsigned i = 0; i < LOOPS; i++)
        aff_partition_group_free(f->groups[i]);
    f->log->ops->free(f->log);
    for (unsigned i = 0; i < LOOPS; i++)
        aff_loop_free(f->loops[i]);
    f->coordinator->ops->free(f->coordinator);
    aff_router_free(f->router);
    snprintf(command, sizeof command, "rm -rf %s", f->folder);
    assert_int_equal(system(command), 0);
    free(f->parts);
    free(f->records);
    free(f->value);
    free(f);
}

/* ---- writes ---- */

static void on_answered(struct aff_call *call)
{
    aff_container_of(call, struct request, call)->answered = true;
}

static void on_released(struct aff_call *call)
{
    aff_container_of(call, struct request, call)->released = true;
}

aff_bytes key_of(const struct record *r)
{
    return aff_bytes_of(r->key, r->key_len);
}

/* The bytes that a record's value has; valid until the next call. */
static aff_bytes value_of(struct fixture *f, const struct record *r)
{
    int n = snprintf(f->value, 16, "%u:", r->version);

    f->value[n] = 'v';
    return aff_bytes_of(f->value, (size_t)n + r->size);
}

void send_write(struct fixture *f, struct request *q, struct record *r, bool there)
{
    memset(q, 0, sizeof *q);
    aff_op_init(&q->call.op, there ? AFF_OP_PUT : AFF_OP_DELETE);
    r->there = there;
    r->version++;
    q->call.op.key = key_of(r);
    if (there) {
        aff_bytes value = value_of(f, r);

        q->value = malloc(value.len);
        q->call.op.value = aff_bytes_of(memcpy(q->value, value.data, value.len), value.len);
    }
    q->call.op.content_type = aff_str("text/plain");
    q->call.answered = on_answered;
    q->call.released = on_released;
    aff_port_call(f->port, f->space, &q->call);
}

void finish_write(struct fixture *f, struct request *q)
{
    while (!q->released)
        pass(f);
    assert_true(q->answered);
    assert_true(q->call.op.result.code == 0 || q->call.op.result.code == AFF_ENOTFOUND);
    free(q->value);
    q->value = NULL;
}

void write_one(struct fixture *f, struct record *r, bool there)
{
    struct request q;

    send_write(f, &q, r, there);
    finish_write(f, &q);
}

static int compare_records(const void *a, const void *b)
{
    return aff_bytes_compare(key_of(a), key_of(b));
}

/* Keys of all lengths; half of them have a long beginning in common. */
static void make_key(struct fixture *f, struct record *r, unsigned i)
{
    char name[16];
    int n = snprintf(name, sizeof name, "%u", i);

    r->key_len = i % 50 == 0 ? AFF_KEY_MAX : i % 2 ? 20 + (size_t)below(f, 20) : (size_t)n + 1;
    memset(r->key, i % 2 ? 'p' : (int)(1 + below(f, 255)), r->key_len);
    memcpy(r->key + r->key_len - n, name, (size_t)n);
}

void fill(struct fixture *f, size_t size_max)
{
    static struct request batch[BATCH];

    for (unsigned i = 0; i < KEYS; i++)
        make_key(f, &f->records[i], i);
    qsort(f->records, KEYS, sizeof *f->records, compare_records);
    for (unsigned i = 0; i < KEYS; i += BATCH) {
        unsigned n = KEYS - i < BATCH ? KEYS - i : BATCH;

        for (unsigned j = 0; j < n; j++) {
            f->records[i + j].size = below(f, 40) ? below(f, 200) : below(f, size_max);
            send_write(f, &batch[j], &f->records[i + j], true);
        }
        for (unsigned j = 0; j < n; j++)
            finish_write(f, &batch[j]);
    }
}

/* ---- scans ---- */

static void on_ready(void *self)
{
    ((struct walk *)self)->ready++;
}

void walk_begin(struct walk *w, struct fixture *f, struct aff_scan_opts opts)
{
    *w = (struct walk){ .f = f, .opts = opts };
    w->opts.port = f->port;
    w->opts.space = f->space;
    w->opts.ready = on_ready;
    w->opts.self = w;
    w->at = opts.reverse ? KEYS : -1;
    w->scan = aff_scan_new(&w->opts);
}

int walk_next(struct walk *w, struct aff_scan_entry *e)
{
    for (;;) {
        unsigned before = w->ready;
        int code = aff_scan_next(w->scan, e, &w->partition);

        if (code != AFF_EAGAIN)
            return code;
        assert_int_equal(w->ready, before); /* not inside the call */
        w->waits++;
        while (w->ready == before)
            pass(w->f);
    }
}

static bool in_range(const struct walk *w, const struct record *r)
{
    aff_bytes key = key_of(r), start = w->opts.range.start, end = w->opts.range.end, after = w->opts.after;

    return (!start.data || aff_bytes_compare(key, start) >= 0) && (!end.data || aff_bytes_compare(key, end) < 0) &&
           (!after.data || (w->opts.reverse ? aff_bytes_compare(key, after) < 0 : aff_bytes_compare(key, after) > 0));
}

int wanted_after(const struct walk *w, int at)
{
    for (at += w->opts.reverse ? -1 : 1; at >= 0 && at < KEYS; at += w->opts.reverse ? -1 : 1)
        if (w->f->records[at].there && in_range(w, &w->f->records[at]))
            return at;
    return -1;
}

void expect_entry(struct walk *w, const struct record *r, const struct aff_scan_entry *e)
{
    struct fixture *f = w->f;
    uint32_t partition = aff_space_partition(f->space, key_of(r));

    if (!aff_bytes_equal(e->key, key_of(r)))
        fail_msg("\"%.*s\" was told in place of \"%.*s\"", (int)e->key.len, (const char *)e->key.data, (int)r->key_len,
                 r->key);
    assert_int_equal(e->partition, partition);
    assert_int_equal(e->identity8, atomic_load(&aff_partition_shared(f->parts[partition])->identity8));
    assert_true(aff_bytes_equal(e->item.content_type, aff_str("text/plain")));
    if (w->opts.keys_only)
        assert_int_equal(e->item.value.len, 0);
    else if (!aff_bytes_equal(e->item.value, value_of(f, r)))
        fail_msg("\"%.*s\" came with another value, of %zu bytes", (int)r->key_len, r->key, e->item.value.len);
}

unsigned expect_rest(struct walk *w)
{
    struct aff_scan_entry e;
    unsigned n = 0;
    int code;

    while ((code = walk_next(w, &e)) == 1) {
        w->at = wanted_after(w, w->at);
        if (w->at < 0)
            fail_msg("\"%.*s\" was told and should not", (int)e.key.len, (const char *)e.key.data);
        expect_entry(w, &w->f->records[w->at], &e);
        n++;
    }
    assert_int_equal(code, 0);
    assert_int_equal(aff_scan_next(w->scan, &e, NULL), 0); /* an end stays */
    if (wanted_after(w, w->at) >= 0)
        fail_msg("the end came before \"%s\"", w->f->records[wanted_after(w, w->at)].key);
    return n;
}

unsigned expect_scan(struct fixture *f, struct aff_scan_opts opts)
{
    struct walk w;
    unsigned n;

    walk_begin(&w, f, opts);
    n = expect_rest(&w);
    assert_null(aff_scan_free(w.scan));
    return n;
}
