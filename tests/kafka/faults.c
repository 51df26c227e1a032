/*
 * faults.c - see faults.h.
 */
#include "faults.h"

#include "base/alloc.h"
#include "changelog/kafka/kafka.h"
#include "changelog/kafka/reader.h"

#include <stdlib.h>
#include <unistd.h>

enum { OPEN_MOST = 64, PROBES = 3000, LAG_MS = 3600000 };

/* No checkpoint is too old: the mock reports every append with the time 0, and has another one when it is read. */
#define RETENTION_MS (INT64_MAX / 4)

/* ---- life ---- */

static void make_folder(struct faults *f)
{
    const char *base = getenv("TMPDIR");
    (void)snprintf(f->folder, sizeof f->folder, "%.32s/affinity-faults-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(f->folder));
}

static void remove_folder(const struct faults *f)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", f->folder);
    assert_int_equal(system(command), 0);
}

struct faults *faults_make(void)
{
    struct faults *f = aff_xcalloc(1, sizeof *f);
    const struct aff_coordinator_embedded_opts coordinator = { .quiet_min_ms = 50, .quiet_max_ms = 100 };
    const char *shown = getenv("AFFINITY_TEST_LOG");

    f->logger = (struct aff_logger){ 2, shown ? AFF_LOG_DEBUG : AFF_LOG_ERROR, AFF_LOG_LOGFMT, aff_clock_system() };
    const struct aff_loop_opts loop = { .name = "faults", .clock = aff_clock_system(), .logger = &f->logger };
    assert_int_equal(aff_loop_new(&loop, &f->loop, NULL), 0);
    f->writes = aff_xcalloc(FAULTS_WRITES, sizeof *f->writes);
    f->coordinator = aff_coordinator_embedded_new(&coordinator);
    f->group = aff_partition_group_new(f->loop);
    f->heartbeat_ms = 1000;
    f->stall_ms = 150;
    make_folder(f);
    kafka_mock_start(&f->mock, FAULTS_BROKERS);
    kafka_mock_topic(&f->mock, FAULTS_TOPIC, FAULTS_PARTS);
    for (int32_t p = 0; p < FAULTS_PARTS; p++) /* both on one broker, and so one connection */
        assert_int_equal(rd_kafka_mock_partition_set_leader(f->mock.cluster, FAULTS_TOPIC, p, 1), 0);
    return f;
}

struct faults *faults_make_careful(void)
{
    struct faults *f = faults_make();
    f->window = 1;
    kafka_mock_set(&f->mock, "socket.timeout.ms", "300");
    kafka_mock_set(&f->mock, "request.timeout.ms", "200");
    return f;
}

static void open_log(struct faults *f)
{
    const struct aff_topic topic = { FAULTS_TOPIC, FAULTS_PARTS, LAG_MS, RETENTION_MS, true };
    const struct aff_changelog_kafka_opts opts = {
        .properties = f->mock.properties,
        .property_count = f->mock.property_count,
        .development = true,
        .loops = 1,
        .producers = 1,
        .blind = true,
        .clock = aff_clock_system(),
        .logger = &f->logger,
    };
    aff_error err = { 0 };
    if (aff_changelog_kafka_new(&opts, &f->log, &err) || f->log->ops->topic(f->log, &topic, &err))
        fail_msg("%s", err.text);
}

static void open_part(struct faults *f, uint32_t index)
{
    char folder[96];
    const struct aff_partition_opts opts = {
        .core = { .keyspace = "things",
                  .index = index,
                  .partitions = FAULTS_PARTS,
                  .compaction_lag_ms = LAG_MS,
                  .tombstone_retention_ms = RETENTION_MS,
                  .heartbeat_ms = f->heartbeat_ms,
                  .stall_ms = f->stall_ms,
                  .window = f->window },
        .topic = FAULTS_TOPIC,
        .group = f->group,
        .changelog = f->log,
        .coordinator = f->coordinator,
        .store = { .folder = folder, .map_bytes = 64 << 20, .readers = 1, .boot_id = "b" },
    };
    aff_error err = { 0 };

    (void)snprintf(folder, sizeof folder, "%s/%u", f->folder, index);
    if (aff_partition_new(&opts, &f->parts[index], &err))
        fail_msg("%s", err.text);
    aff_partition_start(f->parts[index]);
}

void faults_start(struct faults *f)
{
    open_log(f);
    for (uint32_t i = 0; i < FAULTS_PARTS; i++)
        open_part(f, i);
}

int faults_set_up(void **state)
{
    struct faults *f = *state = faults_make();
    faults_start(f);
    faults_await(f, faults_lead(f));
    return 0;
}

static void close_parts(struct faults *f)
{
    for (uint32_t i = 0; i < FAULTS_PARTS; i++)
        f->parts[i] = aff_partition_free(f->parts[i]);
}

int faults_tear_down(void **state)
{
    struct faults *f = *state;
    close_parts(f);
    aff_partition_group_free(f->group);
    f->coordinator->ops->free(f->coordinator);
    if (f->log)
        f->log->ops->free(f->log);
    aff_loop_free(f->loop);
    kafka_mock_stop(&f->mock);
    remove_folder(f);
    free(f->writes);
    free(f);
    return 0;
}

void faults_rebuild(struct faults *f)
{
    close_parts(f);
    remove_folder(f);
    make_folder(f);
    for (uint32_t i = 0; i < FAULTS_PARTS; i++)
        open_part(f, i);
    faults_await(f, faults_lead(f));
}

/* ---- what there is to see ---- */

bool faults_lead(const struct faults *f)
{
    for (uint32_t i = 0; i < FAULTS_PARTS; i++)
        if (atomic_load(&aff_partition_shared(f->parts[i])->role) != AFF_ROLE_MASTER)
            return false;
    return true;
}

static bool is_clean(const struct faults *f)
{
    for (uint32_t i = 0; i < FAULTS_PARTS; i++)
        if (atomic_load(&aff_partition_shared(f->parts[i])->dirty) > 0 || !aff_partition_idle(f->parts[i]))
            return false;
    return true;
}

uint64_t faults_rebuilt(const struct faults *f)
{
    struct aff_changelog_numbers numbers;
    f->log->ops->numbers(f->log, &numbers);
    return numbers.producers_rebuilt;
}

size_t faults_committed(const struct faults *f)
{
    size_t count = 0;
    for (size_t i = 0; i < f->count; i++)
        count += f->writes[i].done && f->writes[i].op.result.outcome == AFF_OUTCOME_COMMITTED;
    return count;
}

/* ---- load ---- */

static void on_done(struct aff_op *op)
{
    struct faults_write *w = aff_container_of(op, struct faults_write, op);
    assert_false(w->done);
    w->done = true;
    w->faults->stalled += op->result.code == AFF_ESTALLED;
}

static void on_release(struct aff_op *op)
{
    struct faults_write *w = aff_container_of(op, struct faults_write, op);
    assert_true(w->done && !w->released);
    w->released = true;
    w->faults->released++;
}

void faults_submit(struct faults *f, uint32_t part)
{
    assert_true(f->count < FAULTS_WRITES);
    size_t number = f->count++;
    struct faults_write *w = &f->writes[number];

    aff_op_init(&w->op, AFF_OP_PUT);
    w->faults = f;
    w->part = part;
    (void)snprintf(w->key, sizeof w->key, "k%zu", number / FAULTS_PARTS % FAULTS_KEYS);
    (void)snprintf(w->value, sizeof w->value, "%zu", number);
    w->op.key = aff_str(w->key);
    w->op.value = aff_str(w->value);
    w->op.content_type = aff_str("text/plain");
    w->op.done = on_done;
    w->op.release = on_release;
    aff_partition_submit(f->parts[part], &w->op);
}

void faults_load(struct faults *f, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        faults_await(f, f->count - f->released < OPEN_MOST);
        faults_submit(f, (uint32_t)(f->count % FAULTS_PARTS));
        if (i % 8 == 0)
            (void)aff_loop_pass(f->loop, 0);
    }
}

void faults_settle(struct faults *f)
{
    faults_await(f, f->released == f->count);
    faults_await(f, faults_lead(f) && is_clean(f));
}

void faults_press(struct faults *f, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (f->count - f->released < OPEN_MOST)
            faults_submit(f, (uint32_t)(f->count % FAULTS_PARTS));
        (void)aff_loop_pass(f->loop, AFF_NS_PER_MS);
    }
}

void faults_load_until_it_stalls(struct faults *f)
{
    enum { MORE = 100 };
    size_t before = f->stalled;
    faults_load(f, OPEN_MOST - (f->count - f->released));
    for (int i = 0; f->stalled == before; i++) {
        assert_true(i < PROBES);
        faults_submit(f, (uint32_t)(f->count % FAULTS_PARTS));
        (void)aff_loop_pass(f->loop, 10 * AFF_NS_PER_MS);
    }
    const uint32_t part = f->writes[f->count - 1].part;
    before = f->stalled;
    for (int i = 0; i < MORE; i++)
        faults_submit(f, part);
    (void)aff_loop_pass(f->loop, 0);
    assert_int_equal(f->stalled, before + MORE); /* they do not pile up */
}

void faults_goes_on(struct faults *f)
{
    for (uint32_t p = 0; p < FAULTS_PARTS; p++)
        for (bool taken = false; !taken;) {
            faults_await(f, faults_lead(f));
            faults_submit(f, p);
            const struct faults_write *w = &f->writes[f->count - 1];
            faults_await(f, w->released);
            assert_true(w->op.result.code != AFF_EUNKNOWN);
            taken = w->op.result.outcome == AFF_OUTCOME_COMMITTED;
        }
}

/* ---- the log as judge ---- */

struct reading {
    struct faults *f;
    uint32_t part;
    struct aff_stamp cur;
    char last[FAULTS_KEYS][16]; /* last value of each key, whoever wrote it */
    struct aff_record record;
};

static void take_value(struct reading *r, bool valid)
{
    const struct aff_record *rec = &r->record;
    char text[32];
    (void)snprintf(text, sizeof text, "%.*s %.*s", (int)rec->key.len, (const char *)rec->key.data, (int)rec->value.len,
                   rec->value.data ? (const char *)rec->value.data : "");
    size_t key, number;
    if (sscanf(text, "k%zu %zu", &key, &number) != 2) {
        assert_true(rec->value.data == NULL && sscanf(text, "k%zu", &key) == 1 && key < FAULTS_KEYS);
        r->last[key][0] = '\0';
        return;
    }
    assert_true(key < FAULTS_KEYS && number < r->f->count);
    (void)snprintf(r->last[key], sizeof r->last[key], "%zu", number);
    struct faults_write *w = &r->f->writes[number];
    assert_int_equal(w->part, r->part);
    if (!valid || rec->kind != AFF_KIND_DATA)
        return;
    if (w->found >= 0)
        fail_msg("write %zu counts twice, at %lld and %lld", number, (long long)w->found, (long long)rec->offset);
    w->found = rec->offset;
}

static void take_record(const rd_kafka_message_t *message, void *arg)
{
    struct reading *r = arg;
    struct aff_entry entry;

    aff_kafka_entry_of(message, &entry);
    aff_record_decode(&entry, &r->record);
    bool valid = r->record.kind != AFF_KIND_FOREIGN && aff_stamp_valid(r->cur, r->record.stamp);
    if (valid)
        r->cur = r->record.stamp;
    if (!aff_key_is_control(r->record.key))
        take_value(r, valid);
}

static void check_write(const struct faults_write *w)
{
    const struct aff_result *result = &w->op.result;
    switch (result->outcome) {
    case AFF_OUTCOME_COMMITTED:
        if (w->found != result->version.offset)
            fail_msg("write %s is committed at %lld, and counts in the log at %lld", w->value,
                     (long long)result->version.offset, (long long)w->found);
        break;
    case AFF_OUTCOME_NOT_APPLIED:
        if (w->found >= 0)
            fail_msg("write %s is not applied (code %d), and counts in the log at %lld", w->value, result->code,
                     (long long)w->found);
        break;
    default:
        fail_msg("write %s has outcome %d, code %d", w->value, (int)result->outcome, result->code);
    }
}

static void check_store(struct faults *f, const struct reading *r)
{
    struct aff_store *store = aff_partition_store(f->parts[r->part]);
    for (int k = 0; k < FAULTS_KEYS; k++) {
        char key[16];
        struct aff_item item;
        (void)snprintf(key, sizeof key, "k%d", k);
        int found = aff_store_get(store, aff_str(key), &item);
        assert_int_equal(found, r->last[k][0] != '\0');
        if (found && !aff_bytes_equal(item.value, aff_str(r->last[k]))) /* I7 */
            fail_msg("partition %u, %s: the store has %.*s, the log %s", r->part, key, (int)item.value.len,
                     (const char *)item.value.data, r->last[k]);
    }
    aff_store_abort(store);
}

void faults_judge(struct faults *f)
{
    faults_settle(f);
    faults_goes_on(f); /* what came late was noticed */
    faults_settle(f);
    rd_kafka_mock_clear_request_errors(f->mock.cluster, FAULTS_FETCH); /* the judge is not to meet them */
    rd_kafka_mock_clear_request_errors(f->mock.cluster, FAULTS_LIST_OFFSETS);
    for (size_t i = 0; i < f->count; i++)
        f->writes[i].found = -1;
    for (uint32_t p = 0; p < FAULTS_PARTS; p++) {
        struct reading *r = aff_xcalloc(1, sizeof *r);
        r->f = f;
        r->part = p;
        (void)kafka_mock_each(&f->mock, FAULTS_TOPIC, (int32_t)p, take_record, r);
        check_store(f, r);
        free(r);
    }
    for (size_t i = 0; i < f->count; i++)
        check_write(&f->writes[i]);
}

/* ---- faults ---- */

void faults_inject(struct faults *f, int16_t request, size_t count, rd_kafka_resp_err_t error)
{
    rd_kafka_resp_err_t *errors = aff_xcalloc(count, sizeof *errors);
    for (size_t i = 0; i < count; i++)
        errors[i] = error;
    rd_kafka_mock_push_request_errors_array(f->mock.cluster, request, count, errors);
    free(errors);
}

void faults_answer(struct faults *f, int32_t broker, int16_t request, rd_kafka_resp_err_t error, int late_ms)
{
    assert_int_equal(rd_kafka_mock_broker_push_request_error_rtts(f->mock.cluster, broker, request, 1, error, late_ms),
                     0);
}
