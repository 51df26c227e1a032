/*
 * kafka/lane.c - one partition's place in a pool of producers: the order of its appends and of their reports.
 *
 * What the protocol leans on (I3, I10), and how it is kept here:
 *
 *   - Reports come in the order of the appends, whatever order librdkafka tells them in: they wait for those before them.
 *   - After a report that is not 0 nothing later lands until the reset. The broker sees to it by sequence numbers, but only
 *     where it knows the producer's last one: of a producer that it does not know it takes any. (Kafka 4.1: the first batch
 *     of a fresh producer was refused, and the next one, already under way, landed; gapless guarantee or not.) So the first
 *     append through an instance travels alone, and again after a rest that is long enough for brokers to forget producers.
 *   - What is not handed over when another append fails is certainly not in the log.
 *   - A success whose offset is not to be trusted is told without one.
 */
#include "base/alloc.h"
#include "changelog/kafka/pool.h"

#include <assert.h>
#include <stdlib.h>

enum { REPORTS_MOST = 256 }; /* to the user at once */

#define PROOF_LASTS_NS                                                                                                 \
    (INT64_C(3600) * AFF_NS_PER_S) /* brokers forget a producer after producer.id.expiration.ms, a day */

/* ---- appends ---- */

/* Something is always let in when nothing is under way. */
static bool admit(struct aff_kafka_pool *pool, size_t size)
{
    uint64_t before = atomic_fetch_add(pool->opts.in_flight, size);
    if (before == 0 || before + size <= pool->opts.max_in_flight)
        return true;
    aff_pool_charge_back(pool, size);
    return false;
}

static struct kafka_append *append_new(struct aff_kafka_lane *lane, const struct aff_entry *entry, uint64_t seq)
{
    size_t size = aff_entry_size(entry) + KAFKA_APPEND_COST;
    if (!admit(lane->pool, size))
        return NULL;
    struct kafka_append *a = aff_xmalloc(sizeof *a);
    *a = (struct kafka_append){
        .pool = lane->pool,
        .lane = lane,
        .size = size,
        .state = KAFKA_HELD,
        .report = { .seq = seq, .offset = -1 },
    };
    aff_list_init(&a->sent);
    return a;
}

/* What is done has given its bytes back. */
static void append_free(struct kafka_append *a)
{
    assert(aff_list_empty(&a->sent));
    if (a->state != KAFKA_DONE)
        aff_pool_charge_back(a->pool, a->size);
    free(a->held);
    free(a);
}

static void append_done(struct kafka_append *a, int status)
{
    assert(a->state != KAFKA_DONE);
    a->state = KAFKA_DONE;
    a->report.status = status;
    aff_pool_charge_back(a->pool, a->size);
    free(a->held);
    a->held = NULL;
}

static void copy_view(char **at, aff_bytes *view)
{
    if (!view->data)
        return;
    if (view->len)
        memcpy(*at, view->data, view->len);
    view->data = *at;
    *at += view->len;
}

/* Keeps a copy of the entry; false: no memory for it. */
static bool append_copy(struct kafka_append *a, const struct aff_entry *entry)
{
    struct kafka_held *held = malloc(sizeof *held + aff_entry_size(entry) + 1);
    if (!held)
        return false;
    char *at = held->bytes;
    held->entry = *entry;
    copy_view(&at, &held->entry.key);
    copy_view(&at, &held->entry.value);
    copy_view(&at, &held->entry.aff);
    copy_view(&at, &held->entry.content_type);
    copy_view(&at, &held->entry.event_time);
    copy_view(&at, &held->entry.traceparent);
    a->held = held;
    return true;
}

static void push(struct aff_kafka_lane *lane, struct kafka_append *a)
{
    *lane->last = a;
    lane->last = &a->next;
}

static void want_report(struct aff_kafka_lane *lane)
{
    if (lane->first && lane->first->state == KAFKA_DONE && aff_list_empty(&lane->reporting))
        aff_list_append(&lane->pool->reporting, &lane->reporting);
}

/* ---- which instance ---- */

static void leave(struct aff_kafka_lane *lane)
{
    assert(lane->sent == 0);
    if (lane->instance)
        lane->instance->lanes--;
    lane->instance = NULL;
    lane->handle = NULL;
}

void aff_lane_settle_down(struct aff_kafka_lane *lane)
{
    if (lane->instance && lane->instance->failed && lane->sent == 0)
        leave(lane);
    struct kafka_instance *instance = lane->slot->instance;
    if (lane->instance || lane->failed || !instance)
        return;
    struct kafka_topic *topic = aff_instance_topic(instance, lane->topic);
    if (!topic)
        return;
    lane->instance = instance;
    lane->handle = topic->handle;
    lane->proven = false;
    instance->lanes++;
}

static bool may_send(struct aff_kafka_lane *lane)
{
    if (lane->failed || !lane->instance || lane->instance->failed)
        return false;
    if (lane->sent == 0 && lane->proven && aff_pool_now(lane->pool) - lane->proven_ns > PROOF_LASTS_NS)
        lane->proven = false;
    if (!lane->proven)
        return lane->sent == 0;
    return lane->sent < KAFKA_SENT_MOST && lane->sent_bytes < KAFKA_SENT_BYTES_MOST;
}

/* ---- failure ---- */

/* From here on nothing lands until the reset: what is held is void at once. */
static void fail(struct aff_kafka_lane *lane)
{
    lane->failed = true;
    for (struct kafka_append *a = lane->held; a; a = a->next)
        append_done(a, AFF_EVOID);
    lane->held = NULL;
    aff_list_remove(&lane->holding);
    want_report(lane);
}

/* ---- sending ---- */

/* 0: sent. AFF_EAGAIN: not now. AFF_EVOID: the lane has failed by it. */
static int hand_over(struct aff_kafka_lane *lane, struct kafka_append *a, const struct aff_entry *entry)
{
    if (!may_send(lane))
        return AFF_EAGAIN;
    int rc = aff_instance_send(lane->instance, a, entry, lane->handle, lane->partition);
    if (rc == 0) {
        assert(!lane->failed); /* I3 */
        a->state = KAFKA_SENT;
        lane->sent++;
        lane->sent_bytes += a->size;
        return 0;
    }
    return rc == AFF_EVOID ? rc : AFF_EAGAIN;
}

void aff_lane_pump(struct aff_kafka_lane *lane)
{
    aff_lane_settle_down(lane);
    while (lane->held) {
        struct kafka_append *a = lane->held;
        int rc = hand_over(lane, a, &a->held->entry);
        if (rc == AFF_EVOID)
            fail(lane);
        if (rc)
            break;
        free(a->held);
        a->held = NULL;
        lane->held = a->next;
    }
    if (!lane->held)
        aff_list_remove(&lane->holding);
}

/* Keeps an entry that cannot be handed over now; false: no memory for it. */
static bool hold(struct aff_kafka_lane *lane, struct kafka_append *a, const struct aff_entry *entry)
{
    if (!append_copy(a, entry))
        return false;
    push(lane, a);
    if (!lane->held) {
        lane->held = a;
        aff_list_append(&lane->pool->holding, &lane->holding);
    }
    return true;
}

static bool is_too_large(const struct aff_kafka_lane *lane, const struct aff_entry *entry)
{
    size_t size = aff_entry_size(entry);
    return size > AFF_ENTRY_MAX || size + KAFKA_RECORD_OVERHEAD > lane->max_message_bytes;
}

int aff_kafka_lane_append(struct aff_kafka_lane *lane, const struct aff_entry *entry, uint64_t seq)
{
    assert(!lane->pool->loop || aff_loop_here(lane->pool->loop));
    assert(entry->key.data && entry->key.len > 0);
    if (is_too_large(lane, entry))
        return AFF_ETOOLARGE;
    struct kafka_append *a = append_new(lane, entry, seq);
    if (!a)
        return AFF_EAGAIN;
    int rc = lane->failed ? AFF_EVOID : lane->held ? AFF_EAGAIN : hand_over(lane, a, entry);
    if (rc == AFF_EAGAIN && !hold(lane, a, entry)) {
        append_free(a);
        return AFF_EAGAIN;
    }
    if (rc != AFF_EAGAIN)
        push(lane, a);
    if (rc == AFF_EVOID) {
        append_done(a, AFF_EVOID);
        fail(lane);
        aff_pool_ring(lane->pool);
    }
    return 0;
}

/* ---- reports ---- */

/*
 * librdkafka numbers the records of a batch upwards from the offset that the broker told, even when the broker told none
 * (a resent batch that it does not remember any more): -1, 0, 1, ...
 */
static void succeeded(struct aff_kafka_lane *lane, struct kafka_append *a, const rd_kafka_message_t *message)
{
    rd_kafka_timestamp_type_t type;

    lane->told_wrong = message->offset < 0 || (lane->told_wrong && message->offset == lane->told_offset + 1);
    lane->told_offset = message->offset;
    lane->proven = true;
    lane->proven_ns = aff_pool_now(lane->pool);
    if (!lane->told_wrong) {
        a->report.offset = message->offset;
        if (message->offset >= lane->confirmed_end)
            lane->confirmed_end = message->offset + 1;
    }
    a->report.time_ms = rd_kafka_message_timestamp(message, &type);
    append_done(a, 0);
}

/* librdkafka has it no more. False: nobody waits for its report. */
static bool come_back(struct kafka_append *a)
{
    struct aff_kafka_lane *lane = a->lane;
    if (!lane) {
        append_free(a);
        return false;
    }
    assert(a->state == KAFKA_SENT && lane->sent > 0 && lane->sent_bytes >= a->size);
    lane->sent--;
    lane->sent_bytes -= a->size;
    return true;
}

void aff_lane_settle(struct kafka_append *a, const rd_kafka_message_t *message)
{
    struct aff_kafka_lane *lane = a->lane;
    if (!come_back(a))
        return;
    if (!message->err) {
        succeeded(lane, a, message);
        want_report(lane);
        return;
    }
    bool absent = rd_kafka_message_status(message) == RD_KAFKA_MSG_STATUS_NOT_PERSISTED;
    append_done(a, absent ? AFF_EVOID : AFF_EUNKNOWN);
    if (!lane->failed && !lane->instance->failed)
        aff_log(lane->pool->opts.logger, WARN, "kafka.append.failed", aff_f_str("topic", lane->topic),
                aff_f_int("partition", lane->partition), aff_f_str("error", rd_kafka_err2str(message->err)));
    fail(lane);
}

void aff_lane_settle_unknown(struct kafka_append *a)
{
    struct aff_kafka_lane *lane = a->lane;
    if (!come_back(a))
        return;
    append_done(a, AFF_EUNKNOWN);
    fail(lane);
}

/* The first one, which is done, as it is told. */
static struct aff_delivery_report take_report(struct aff_kafka_lane *lane)
{
    struct kafka_append *a = lane->first;
    struct aff_delivery_report report = a->report;

    if (report.status == 0 && lane->failure_told) {
        /* A broker let it in although the one before it failed. The log has to tell what became of both. */
        aff_log(lane->pool->opts.logger, ERROR, "kafka.append.gap", aff_f_str("topic", lane->topic),
                aff_f_int("partition", lane->partition), aff_f_int("offset", report.offset));
        report = (struct aff_delivery_report){ .seq = report.seq, .status = AFF_EUNKNOWN, .offset = -1 };
    }
    lane->failure_told = lane->failure_told || report.status != 0;
    assert(report.status || !lane->failure_told); /* I3 */
    assert(lane->failed || !lane->failure_told);
    lane->first = a->next;
    if (!lane->first)
        lane->last = &lane->first;
    append_free(a);
    return report;
}

void aff_lane_report(struct aff_kafka_lane *lane)
{
    struct aff_delivery_report reports[REPORTS_MOST];
    size_t count = 0;

    while (count < REPORTS_MOST && lane->first && lane->first->state == KAFKA_DONE)
        reports[count++] = take_report(lane);
    want_report(lane);
    if (!aff_list_empty(&lane->reporting))
        aff_pool_ring(lane->pool);
    if (count)
        lane->user->reports(lane->user, reports, count); /* the lane may be closed now */
}

/* ---- reset, open, close ---- */

/* Nobody waits any more for what is under way; what was not handed over is dropped. */
static void drop(struct aff_kafka_lane *lane)
{
    struct kafka_append *next;
    for (struct kafka_append *a = lane->first; a; a = next) {
        next = a->next;
        if (a->state == KAFKA_SENT)
            a->lane = NULL;
        else
            append_free(a);
    }
    lane->first = lane->held = NULL;
    lane->last = &lane->first;
    lane->sent = lane->sent_bytes = 0;
    aff_list_remove(&lane->reporting);
    aff_list_remove(&lane->holding);
}

/* An instance that works is kept: what comes next lands behind what is under way in it, or not at all. */
void aff_kafka_lane_reset(struct aff_kafka_lane *lane)
{
    assert(!lane->pool->loop || aff_loop_here(lane->pool->loop));
    drop(lane);
    lane->failed = lane->failure_told = lane->told_wrong = false;
    aff_lane_settle_down(lane);
}

static struct kafka_slot *emptiest_slot(struct aff_kafka_pool *pool)
{
    struct kafka_slot *found = &pool->slots[0];
    for (unsigned i = 1; i < pool->opts.instances; i++)
        if (pool->slots[i].lane_count < found->lane_count)
            found = &pool->slots[i];
    return found;
}

int aff_kafka_lane_open(struct aff_kafka_pool *pool, const char *topic, uint32_t partition, uint64_t max_message_bytes,
                        struct aff_kafka_lane_user *user, struct aff_kafka_lane **ret_lane, aff_error *err)
{
    if (max_message_bytes < pool->opts.batch_bytes)
        return aff_fail_with(err, AFF_ECONFIG,
                             "kafka: topic %s takes %llu bytes (max.message.bytes); the producers, made for the topics "
                             "that were there first, send up to %llu at once",
                             topic, (unsigned long long)max_message_bytes, (unsigned long long)pool->opts.batch_bytes);
    struct aff_kafka_lane *lane = aff_xcalloc(1, sizeof *lane);
    lane->pool = pool;
    lane->slot = emptiest_slot(pool);
    lane->user = user;
    lane->topic = aff_xstrdup(topic);
    lane->partition = partition;
    lane->max_message_bytes = max_message_bytes;
    lane->last = &lane->first;
    aff_list_init(&lane->reporting);
    aff_list_init(&lane->holding);
    aff_list_append(&lane->slot->lanes, &lane->link);
    lane->slot->lane_count++;
    pool->lane_count++;
    aff_lane_settle_down(lane);
    *ret_lane = lane;
    return 0;
}

void aff_kafka_lane_close(struct aff_kafka_lane *lane)
{
    assert(!lane->pool->loop || aff_loop_here(lane->pool->loop));
    drop(lane);
    leave(lane);
    aff_list_remove(&lane->link);
    lane->slot->lane_count--;
    lane->pool->lane_count--;
    free(lane->topic);
    free(lane);
}

int64_t aff_kafka_lane_confirmed_end(const struct aff_kafka_lane *lane)
{
    return lane->confirmed_end;
}
